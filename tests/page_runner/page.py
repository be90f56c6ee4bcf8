"""A page: its lines, its snippets, its fences and its headings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .fences import Fence, scan
from .snippet import Snippet

HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t]*#*")


@dataclass(frozen=True)
class Heading:
    line: int
    level: int
    text: str
    anchor: str  # on the site


@dataclass
class Page:
    """A Markdown file, or the docstrings of a Python file."""

    path: Path
    name: str  # relative to the project's root
    short: str  # the beginning of the names of its tests
    lines: list[str]  # as in the file, including a carriage return at the end
    snippets: list[Snippet] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # of the page as a whole

    def text_lines(self) -> list[str]:
        """The lines without carriage returns."""
        return [line.removesuffix("\r") for line in self.lines]

    def fences(self) -> list[Fence]:
        """Every fence of a Markdown page, run or not."""
        return list(scan(self.text_lines(), 1, len(self.lines)))

    def headings(self) -> Iterator[Heading]:
        """Yield every heading of a Markdown page, in order; a file of docstrings has none."""
        if self.path.suffix == ".py":
            return
        # Import it only here: the process of a page imports this module too, but needs no headings.
        from markdown.extensions.toc import slugify, unique  # type: ignore[import-untyped]

        code = {line for each in self.fences() for line in range(each.line, each.last_line or 0)}
        taken: set[str] = set()
        for number, line in enumerate(self.text_lines(), 1):
            if number not in code and (match := HEADING.fullmatch(line)):
                anchor = unique(slugify(match[2], "-"), taken)
                yield Heading(number, len(match[1]), match[2], anchor)
