"""The pages of this project: the settings for the page runner, and which pages are topics."""

import re
from pathlib import Path

from tests.page_runner import Page, Project

ROOT = Path(__file__).parents[1]
PICTURES = "docs/theme/img"  # for the pages of every language
REWRITE = "make update"
TOPICS = re.compile(r"^( *)- Topics:\n((?:\1 +- .+\n?)+)", re.M)  # in the navigation of the site


def project(root: Path = ROOT) -> Project:
    """This project, or another one with its pages and its package in the same places."""
    return Project(root, docs="docs/en", package="src/d2lblocks", pictures=PICTURES, rewrite_command=REWRITE)


def topics(pages: list[Page], root: Path = ROOT) -> list[Page]:
    """The pages that the site lists under Topics, in its order."""
    config = root / "mkdocs.yml"
    found = TOPICS.search(config.read_text("utf-8")) if config.is_file() else None
    names = [f"docs/en/{name}" for name in re.findall(r"- (\S+\.md)$", found[2] if found else "", re.M)]
    return sorted((page for page in pages if page.name in names), key=lambda page: names.index(page.name))
