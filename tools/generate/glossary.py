"""The glossary: the sentences of the topics that define a term, which they mark with `<dfn>`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.page_runner import Page
from tools.pages import topics

GLOSSARY = "docs/en/glossary.md"
TERM = re.compile(r"<dfn>(.+?)</dfn>")
LIST_MARK = re.compile(r"^ *(?:[-*] |\d+\. )?")


class Definition(NamedTuple):
    """A term, the sentence that defines it, and the anchor of the section around it."""

    term: str
    sentence: str
    page: Page
    anchor: str


def definitions(pages: list[Page], root: Path) -> Iterator[Definition]:
    """All of them, in the order of the pages. A line of a page is a sentence."""
    for page in topics(pages, root):
        code = {line for fence in page.fences() for line in range(fence.line, fence.last_line or 0)}
        headings = list(page.headings())
        for number, line in enumerate(page.text_lines(), 1):
            if number in code:
                continue
            for term in TERM.findall(line):
                anchor = [heading.anchor for heading in headings if heading.line < number][-1]
                sentence = TERM.sub(r"\1", LIST_MARK.sub("", line)).strip()
                yield Definition(term, sentence, page, anchor)


def glossary(pages: list[Page], root: Path) -> Iterator[str]:
    """One line for each term, in alphabetical order; a ValueError if a term has two definitions."""
    known: dict[str, Definition] = {}
    for each in sorted(definitions(pages, root), key=lambda each: each.term.strip("`").casefold()):
        key = each.term.casefold()
        if key in known:
            places = " and ".join(f"{where.page.name}#{where.anchor}" for where in (known[key], each))
            raise ValueError(f"'{each.term}' is defined twice, in {places}")
        known[key] = each
        term, title = each.term[0].upper() + each.term[1:], next(each.page.headings()).text
        yield f"- **{term}**: {each.sentence} [{title}]({each.page.path.name}#{each.anchor})"
