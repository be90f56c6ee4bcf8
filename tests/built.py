"""The built site: its pages, and where each of them is."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "en"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def build(folder: Path) -> None:
    """Build the site as `make site` does it: any warning is an error."""
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def address(page: str) -> str:
    """Where the site has a page, named as in `docs/en`."""
    return page.removesuffix("index.md").replace(".md", "/")


def html(site: Path, page: str) -> Path:
    """The file that a page has become."""
    return site / address(page) / "index.html"
