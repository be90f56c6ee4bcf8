"""Every mistake that the pages show: the headings of "When it goes wrong", and all messages of errors."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from .headings import headings
from .read import Page, topics

MISTAKES = "docs/en/mistakes.md"
SECTION = "When it goes wrong"


def mistakes(pages: list[Page], root: Path) -> Iterator[str]:
    """The lines of the list, a part for each topic, in the order in which the site has them."""
    for page in topics(pages, root):
        title, *others = (heading.text for heading in headings(page))
        if SECTION in others:
            yield from (f"## [{title}]({page.short})", "", *of_page(page), "")


def of_page(page: Page) -> Iterator[str]:
    """An entry for each heading of the section, and for each other under which something raises."""
    inside = False
    marks = [(heading.line, heading) for heading in headings(page)]
    for (line, heading), (following, _) in pairwise([*marks, (len(page.lines) + 1, None)]):
        assert heading is not None
        inside = heading.text == SECTION if heading.level <= 2 else inside
        messages = [
            text.removeprefix("#> ")
            for snippet in page.snippets
            if line < snippet.line < following and "raises" in snippet.keys
            for text in snippet.code
            if text.startswith(f"#> {snippet.keys['raises']}: ")
        ]
        if messages or (inside and heading.level > 2):
            yield f"- [{heading.text}]({page.short}#{heading.anchor})"
            yield from (f"    - ``{message}``" for message in dict.fromkeys(messages))
