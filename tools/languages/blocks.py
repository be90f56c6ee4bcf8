"""A page as blocks of prose and lines that stay as they are: code, output, comments, HTML."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

FENCE = re.compile(r"^[ ]*(`{3,}|~{3,})(?P<info>.*)$")
CAPTION = re.compile(r'^(?P<before>[ ]*`{3,}.*?\btitle=")(?P<text>[^"]+)(?P<after>".*)$')
HEADING = re.compile(r"^(?P<before>#{1,6}[ ]+)(?P<text>.+?)(?P<after>)$")
ITEM = re.compile(r"^(?P<before>[ ]*(?:[-*+]|\d+[.)])[ ]+)(?P<text>.+?)(?P<after>)$")
SUMMARY = re.compile(r"^(?P<before>[ ]*<details.*?><summary>)(?P<text>.+?)(?P<after></summary>)$")
HTML = re.compile(r"^[ ]*</?(?:details|div|figure|p)\b")
ROW = re.compile(r"^[ ]*\|")
RULER = re.compile(r"^[ ]*\|[-:| ]+\|?[ ]*$")
DIRECTIVE = re.compile(r"^[ ]*(?:-+8<-+|:::|\[TOC\])")
FORMULA = re.compile(r"^[ ]*\$\$.*\$\$[ ]*$")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.\w+")
# What is the same in every language: code, formulas, targets of links, tags, attributes, places for values.
SAME = re.compile(r"(`+).+?\1|\$[^$\n]+\$|\]\([^)\s]*\)|</?\w[^>]*>|\{[ ]?[.#:][^}]*\}|https?://\S+|\{\}")


CELLS = re.compile(r"((?<!\\)\|)(?=(?:[^`]*`[^`]*`)*[^`]*$)")  # bars that are not in code and not escaped
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Block:
    """Prose on one or more lines; they are joined by blanks, because a source line is a sentence.

    A cell of a table is a block, too: its row goes on if `ends_line` is false.
    """

    kind: str  # "heading", "paragraph", "item", "cell", "summary" or "caption"
    text: str
    before: str = ""  # indentation, marks, and in a row what is left of the cell
    after: str = ""
    line: int = 0  # its first line, counted from 1
    ends_line: bool = True

    def shown(self, text: str) -> str:
        """The part of the line with another text."""
        return f"{self.before}{text}{self.after}"


def matched(kind: str, match: re.Match[str], line: int) -> Block:
    """The block on a line that one of the patterns above describes."""
    return Block(kind, match["text"], match["before"], match["after"], line)


def blocks(lines: list[str]) -> Iterator[Block | str]:
    """Yield each block of prose and each heading, and each other line as it is."""
    fence = ""
    comment = False
    prose: Block | None = None
    for number, line in enumerate(lines, 1):
        rest = line.strip()
        found: list[Block | str] = [line]
        started = None
        if fence:
            fence = "" if rest == fence else fence
        elif comment or rest.startswith("<!--"):
            comment = "-->" not in line
        elif opened := FENCE.match(line):
            fence = opened[1]
            if (caption := CAPTION.match(line)) and not PATH.fullmatch(caption["text"]):
                found = [matched("caption", caption, number)]
        elif summary := SUMMARY.match(line):
            found = [matched("summary", summary, number)]
        elif not rest or any(each.match(line) for each in (HTML, RULER, DIRECTIVE, FORMULA)):
            pass
        elif ROW.match(line):
            found = list(row(line, number))
        elif heading := HEADING.match(line):
            started = matched("heading", heading, number)
        elif item := ITEM.match(line):
            started = matched("item", item, number)
        elif prose and prose.kind in ("paragraph", "item"):
            prose = replace(prose, text=f"{prose.text} {rest}")
            continue
        else:
            started = Block("paragraph", rest, line[: len(line) - len(line.lstrip())], line=number)
        if prose:
            yield prose if prose.kind == "heading" or is_prose(prose.text) else prose.shown(prose.text)
        prose = started
        if started is None:
            yield from found
    if prose:
        yield prose if prose.kind == "heading" or is_prose(prose.text) else prose.shown(prose.text)


def row(line: str, number: int) -> Iterator[Block | str]:
    """Yield the cells of a row that are prose, each with what is left of it; or the row, if none is."""
    before = ""
    cells = []
    for part in CELLS.split(line):
        if is_prose(part):
            gap = len(part) - len(part.lstrip())
            cells.append(Block("cell", part.strip(), before + part[:gap], line=number, ends_line=False))
            before = part[gap + len(part.strip()) :]
        else:
            before += part
    if not cells:
        yield line
        return
    yield from cells[:-1]
    yield replace(cells[-1], after=before, ends_line=True)


def is_prose(text: str) -> bool:
    """Whether anything in the text depends on the language."""
    words = PATH.sub(" ", SAME.sub(" ", text))
    return re.search(r"[^\W\d_]{2}", words) is not None


def fixed(text: str) -> list[str]:
    """The parts of a text that every translation keeps, sorted: code, targets of links, tags, numbers."""
    found = [match[0] for match in SAME.finditer(text)]
    return sorted([*found, *NUMBER.findall(SAME.sub(" ", text))])


def with_texts(lines: list[str], text_of: Callable[[Block], str]) -> list[str]:
    """The lines of a page with another text for each block."""
    shown = [""]
    for part in blocks(lines):
        shown[-1] += part if isinstance(part, str) else part.shown(text_of(part))
        if isinstance(part, str) or part.ends_line:
            shown.append("")
    return shown[:-1]
