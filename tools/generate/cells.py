"""The parts of a page for its notebook and its script: prose and snippets, in reading order.

The prose becomes plain Markdown: markup that only the site understands is left out or replaced by words.
`say` translates a sentence that is not on the page.
"""

import ast
import re
import sys
from collections.abc import Callable, Iterator

from tests.page_runner import HEADING, Page, Snippet
from tools.languages import phrases

Say = Callable[[str], str]

EXERCISE = re.compile(r"(\d+)\. +(.+)")
DETAILS = re.compile(r" *<details(?: class=\"[\w-]+\")? markdown=\"1\"><summary>(.+)</summary>")
DROPPED = re.compile(r" *</details>| *<!--.*-->")
# Code of any content, or a link or a picture.
LINK = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)|(!?)\[((?:`[^`]*`|[^]`])*)\]\(([^)\s]+)\)", re.S)


def page_cells(page: Page, about: str, say: Say) -> Iterator[str | Snippet]:
    """Yield the parts of a page. A heading starts a part; the heading of a solution is a separate part.

    `about` is the sentence below the title, which has a place for it: `phrases.NOTEBOOK` or `phrases.SCRIPT`.
    """
    prose: list[str] = []
    for piece in pieces(page, say):
        heading = isinstance(piece, str) and HEADING.fullmatch(piece)
        if isinstance(piece, Snippet):
            prose += caption(piece, say)
        if isinstance(piece, Snippet) or heading:
            yield from joined(prose)
            prose = []
        if isinstance(piece, Snippet) or piece == solution(say):
            yield piece
        else:
            prose.append(piece)
            if heading and heading[1] == "#":
                prose += ["", *introduction(page, about, say)]
    yield from joined(prose)


def solution(say: Say) -> str:
    """The heading of a solution, which a notebook folds."""
    return f"#### {say(phrases.SOLUTION)}"


def joined(prose: list[str]) -> Iterator[str]:
    """Join the lines into one part; yield nothing if they are empty."""
    if text := re.sub(r"\n{3,}", "\n\n", "\n".join(prose)).strip("\n"):
        yield text


def introduction(page: Page, about: str, say: Say) -> Iterator[str]:
    """The text below the title."""
    packages = [f"`{name}`" for name in sorted(imported(page))]
    yield say(about).format(next(page.headings()).text)
    if packages:
        *others, last = packages
        needed = say(phrases.AND).format(say(phrases.COMMA).join(others), last) if others else last
        yield say(phrases.NEEDS).format(needed)
    if "`d2lblocks`" in packages:
        yield say(phrases.INSTALL)
    if about == phrases.NOTEBOOK and any(snippet.gpus for snippet in page.snippets):
        yield say(phrases.GPUS)


def imported(page: Page) -> set[str]:
    """The packages that a page imports, except those of the standard library."""
    nodes = [node for each in page.snippets for node in ast.walk(each.tree())]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


def pieces(page: Page, say: Say) -> Iterator[str | Snippet]:
    """Yield lines of prose, fences that are not run, and snippets; an exercise becomes a section."""
    lines = page.text_lines()
    fences = {fence.line: fence for fence in page.fences()}
    snippets = {snippet.line: snippet for snippet in page.snippets}
    inside, number = False, 0  # of an exercise
    while number < len(lines):
        line, number = lines[number], number + 1
        if number in fences:
            fence = fences[number]
            body = [each.removeprefix(fence.indent) for each in lines[number : fence.last_line]]
            number = fence.last_line or len(lines)
            yield snippets.get(fence.line) or "\n".join([f"```{fence.info.partition(' ')[0]}", *body])
        elif (match := EXERCISE.fullmatch(line)) and has_solution(lines[number:]):
            inside = True
            yield from (f"### {say(phrases.EXERCISE).format(match[1])}", "", match[2])
        elif match := DETAILS.fullmatch(line):
            yield solution(say) if inside else say(phrases.FOLDED).format(match[1])
        elif not DROPPED.fullmatch(line):
            inside = inside and (not line or line.startswith(" "))
            yield re.sub(r"^ {1,4}", "", line) if inside else line


def has_solution(following: list[str]) -> bool:
    """Whether a list item, of which these are the next lines, has a solution."""
    for line in following:
        if line and not line.startswith(" "):
            return False
        if DETAILS.fullmatch(line):
            return True
    return False


def caption(snippet: Snippet, say: Say) -> Iterator[str]:
    """The labels that the site shows for a snippet, in words."""
    if title := snippet.title:
        yield from ("", f"*{say(phrases.SOURCE).format(title) if snippet.source else title}*")
    if snippet.gpus:
        needs = say(phrases.ONE_GPU if snippet.gpus == 1 else phrases.SOME_GPUS)
        yield from ("", f"*{needs.format(snippet.gpus)}*")


def relinked(text: str, link: Callable[[str, str], str], picture: Callable[[str, str], str]) -> str:
    """The text after replacing each link and picture; the functions get its words and its target."""

    def put(match: re.Match[str]) -> str:
        return match[0] if match[1] else (picture if match[2] else link)(match[3], match[4])

    return LINK.sub(put, text)


def error_shown(shown: list[str], raises: str) -> tuple[list[str], str, str]:
    """The lines printed before an exception, its class as shown, and its message."""
    kind = re.compile(rf"([\w.]+\.)?{raises.rpartition('.')[2]}(: |$)")
    first = next((number for number, line in enumerate(shown) if kind.match(line)), 0)
    name, _, message = "\n".join(shown[first:]).partition(": ")
    return shown[:first], name, message
