"""The headings of a page, with their anchors on the site."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown.extensions.toc import slugify, unique  # type: ignore[import-untyped]

from .read import Page, scan

HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t]*#*")


@dataclass(frozen=True)
class Heading:
    line: int
    level: int
    text: str
    anchor: str


def headings(page: Page) -> Iterator[Heading]:
    """Every heading of a Markdown page, in order; a file of docstrings has none."""
    if page.path.suffix == ".py":
        return
    lines = [line.removesuffix("\r") for line in page.lines]
    code = {line for each in scan(lines, 1, len(lines)) for line in range(each.line, each.last_line or 0)}
    taken: set[str] = set()
    for number, line in enumerate(lines, 1):
        if number not in code and (match := HEADING.fullmatch(line)):
            yield Heading(number, len(match[1]), match[2], unique(slugify(match[2], "-"), taken))
