"""The built site: its pages, and where each of them is."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "en"
PUBLISHED = "https://example.org/guide/"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
NODE_MODULES = ROOT / "tests" / "node_modules"
NPM = "run `npm --prefix tests ci`"  # which brings what is there


WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from mkdocs.__main__ import cli; cli()"


def build(folder: Path, address: str = "", torch: bool = True) -> None:
    """Build the site as `make site` does it, perhaps for an address: any warning is an error."""
    mkdocs = ["-m", "mkdocs"] if torch else ["-c", WITHOUT_TORCH]
    command = [sys.executable, *mkdocs, "build", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "SITE_URL": address}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def address(page: str) -> str:
    """Where the site has a page, named as in `docs/en`."""
    return page.removesuffix("index.md").replace(".md", "/")


def html(site: Path, page: str) -> Path:
    """The file that a page has become."""
    return site / address(page) / "index.html"
