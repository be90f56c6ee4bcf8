"""The built site: its pages and their addresses."""

import os
import subprocess
import sys
from pathlib import Path

from tools.languages.catalogs import LANGUAGES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "en"
PUBLISHED = "https://example.org/zh-TW/guide/"  # a folder that is named like one of ours
REPOSITORY = "https://github.com/example/guide"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
SITES = ["", *(f"{language}/" for language in LANGUAGES)]  # below the English one, the others
EVERYWHERE = [site + page for site in SITES for page in PAGES]  # each page in each language
NODE_MODULES = ROOT / "tests" / "node_modules"
NPM = "run `npm --prefix tests ci`"  # this installs NODE_MODULES


WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from mkdocs.__main__ import cli; cli()"


def build(folder: Path, address: str = "", torch: bool = True) -> None:
    """Build the site in all languages like `make site`, optionally for an address; any warning is an error."""
    mkdocs = ["-m", "mkdocs"] if torch else ["-c", WITHOUT_TORCH]
    command = [sys.executable, *mkdocs, "build", "--site-dir", str(folder)]
    environment = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "SITE_URL": address,
        "REPO_URL": REPOSITORY if address else "",  # whoever publishes the site also has a repository
    }
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def split(page: str) -> tuple[str, str]:
    """The folder of the page's language, and the page as it is named in `docs/en`."""
    folder = next(site for site in reversed(SITES) if page.startswith(site))
    return folder, page.removeprefix(folder)


def address(page: str) -> str:
    """The address of a page on the site; it is named as in `docs/en`, after the folder of its language."""
    return page.removesuffix("index.md").replace(".md", "/")


def html(site: Path, page: str) -> Path:
    """The HTML file of a page."""
    return site / address(page) / "index.html"
