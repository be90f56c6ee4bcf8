"""A page as blocks of prose and lines that stay as they are: code, output, comments, HTML, rulers of tables."""

import re
from collections.abc import Iterator
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
# What is the same in every language: inline code, formulas, targets of links, HTML tags, attributes.
SAME = re.compile(r"(`+).+?\1|\$[^$\n]+\$|\]\([^)\s]*\)|</?\w[^>]*>|\{[ ]?[.#:][^}]*\}|https?://\S+")


@dataclass(frozen=True)
class Block:
    """Prose on one or more lines; they are joined by blanks, because a source line is a sentence."""

    kind: str  # "heading", "paragraph", "item", "row", "summary" or "caption"
    text: str
    before: str = ""  # on its first line: indentation and marks
    after: str = ""
    line: int = 0  # its first line, counted from 1

    def shown(self, text: str) -> str:
        """The line with another text."""
        return f"{self.before}{text}{self.after}"


def blocks(lines: list[str]) -> Iterator[Block | str]:
    """Yield each block of prose, and each other line as it is."""
    fence = ""
    comment = False
    prose: Block | None = None
    for number, line in enumerate(lines, 1):
        started = None
        rest = line.strip()
        if fence:
            fence = "" if rest == fence else fence
        elif comment or rest.startswith("<!--"):
            comment = "-->" not in line
        elif opened := FENCE.match(line):
            fence = opened[1]
            if (caption := CAPTION.match(line)) and not PATH.fullmatch(caption["text"]):
                yield from [prose] if prose else []
                prose = None
                yield Block("caption", **caption.groupdict(), line=number)
                continue
        elif not rest or HTML.match(line) or RULER.match(line) or DIRECTIVE.match(line) or FORMULA.match(line):
            if summary := SUMMARY.match(line):
                yield from [prose] if prose else []
                prose = None
                yield Block("summary", **summary.groupdict(), line=number)
                continue
        elif ROW.match(line):
            indent = line[: len(line) - len(line.lstrip())]
            started = Block("row", rest, indent, line=number)
        elif heading := HEADING.match(line):
            started = Block("heading", **heading.groupdict(), line=number)
        elif item := ITEM.match(line):
            started = Block("item", **item.groupdict(), line=number)
        elif prose and prose.kind in ("paragraph", "item"):
            prose = replace(prose, text=f"{prose.text} {rest}")
            continue
        else:
            indent = line[: len(line) - len(line.lstrip())]
            started = Block("paragraph", rest, indent, line=number)
        if prose:
            yield prose if is_prose(prose.text) else prose.shown(prose.text)
        prose = started
        if started is None:
            yield line
    if prose:
        yield prose if is_prose(prose.text) else prose.shown(prose.text)


def is_prose(text: str) -> bool:
    """Whether anything in the text depends on the language."""
    words = SAME.sub(" ", PATH.sub(" ", text))
    return re.search(r"[^\W\d_]{2}", words) is not None


def fixed(text: str) -> list[str]:
    """The parts of a text that every translation has to keep, sorted: code, targets of links, tags, numbers."""
    found = [match[0] for match in SAME.finditer(text)]
    rest = SAME.sub(" ", text)
    return sorted([*found, *NUMBER.findall(rest)])


NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
