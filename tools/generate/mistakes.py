"""Every mistake that the pages show: the headings of "When it goes wrong", and all messages of errors."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tests.page_runner import Page, Snippet
from tools.pages import topics

MISTAKES = "docs/en/mistakes.md"
SECTION = "When it goes wrong"


def mistakes(pages: list[Page], root: Path) -> Iterator[str]:
    """The lines of the list, a part for each topic, in the order in which the site has them."""
    there = topics(pages, root)
    known = "\n".join(heading.text.replace("`", "") for page in there for heading in page.headings())
    for page in there:
        title, *others = (heading.text for heading in page.headings())
        if SECTION in others:
            yield from (f"## [{title}]({page.short})", "", *of_page(page, known), "")


def of_page(page: Page, known: str) -> Iterator[str]:
    """An entry for each heading of the section, and for each other under which something raises.

    What is caught elsewhere, and is a heading's own words, is found there.
    """
    inside = False
    marks = [(heading.line, heading) for heading in page.headings()]
    for (line, heading), (following, _) in pairwise([*marks, (len(page.lines) + 1, None)]):
        assert heading is not None
        inside = heading.text == SECTION if heading.level <= 2 else inside
        here = [snippet for snippet in page.snippets if line < snippet.line < following]
        messages = [message for snippet in here for message in raised(snippet)]
        messages += [message for snippet in here for message in caught(snippet) if message not in known]
        if messages or (inside and heading.level > 2):
            yield f"- [{heading.text}]({page.short}#{heading.anchor})"
            yield from (f"    - ``{message}``" for message in dict.fromkeys(messages))


def raised(snippet: Snippet) -> list[str]:
    """The message that ends a snippet, if one does."""
    begin = f"#> {snippet.raises}: "
    return [line.removeprefix("#> ") for line in snippet.code if line.startswith(begin)]


def caught(snippet: Snippet) -> Iterator[str]:
    """What is printed of exceptions that are caught: each line of a few words, and no mere True."""
    shown = snippet.output_lines()
    for node in snippet.tree().body:
        if isinstance(node, ast.Try) and any(handler.name for handler in node.handlers):
            number = (node.end_lineno or 0) + 1
            while number in shown:
                message = snippet.code[number - 1].strip().removeprefix("#>").strip()
                if message.count(" ") > 1:
                    yield message
                number += 1
