"""A text from a terminal, a notebook or a log: its messages, without anything that only a display adds."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate

LONGEST = 200_000  # characters; of a longer text, only the beginning and the end are read
LONGEST_LINE = 20_000
COLOR = re.compile(r"\x1b(?:\[[0-?]{0,50}[ -/]{0,5}[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\)|[@-Z\\^_])")
RANK = re.compile(r"^\[(?:rank)?\d+\]:? ?")  # torchrun puts it before each line
GROUP = re.compile(r"^ *(?:\| ?|\+-[-+ ]*)")  # the frame around the members of an ExceptionGroup
PYTEST = re.compile(r"^E {2,}")
WHERE = re.compile(r"^(\s*)File .+\bline \d+|^()(?:File .+:\d+|Cell In\s?\[.*)")
NUMBERED = re.compile(
    r"^(?:-{2,}> ?|\s{2,})\[?\d+(?:\s|\]|$)|^\s*[│╭╰┃]"
)  # lines of code in IPython and rich
SPACE = re.compile(r"[\s`\x00\u200b\ufeff]+")
SAME = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})


def squeeze(text: str) -> str:
    """The text without spaces, line breaks and backticks, which change when a text is wrapped or quoted."""
    escaped = text.replace("\\n", "").replace("\\t", "").replace("\\'", "'").replace('\\"', '"')
    return SPACE.sub("", escaped.translate(SAME))


class Text:
    """A text whose lines are divided into messages and code.

    Args:
        text: one message, a line of it, or a whole traceback.

    Attributes:
        lines: the lines that are not code.
        said: these lines, squeezed, in one string.
        everything: all lines, squeezed, in one string, with the paths of files as on Linux.
        has_frames: whether the text says in which files the error happened.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"
        lines = [GROUP.sub("", RANK.sub("", line)) for line in COLOR.sub("", text).splitlines()]
        self.lines = [line[:LONGEST_LINE] for line in without_code(lines)]
        squeezed = [squeeze(line) for line in self.lines]
        self.said = "".join(squeezed)
        self.starts = list(accumulate(map(len, squeezed), initial=0))
        self.has_frames = any(map(WHERE.match, lines))
        self.all_lines = lines

    @cached_property
    def everything(self) -> str:
        return "".join(squeeze(line.replace("\\", "/")) for line in self.all_lines)

    def line(self, position: int) -> tuple[str, str]:
        """The line that has this position in `said`, and what stands before the position in that line."""
        number = bisect_right(self.starts, position) - 1
        line = self.lines[number]
        left = position - self.starts[number]
        end = bisect_left(range(len(line)), left, key=lambda length: len(squeeze(line[:length])))
        return line.strip(), line[:end]


def without_code(lines: list[str]) -> Iterator[str]:
    """Yield the lines that are messages: not the name of a file, nor the code below it."""
    if any(map(PYTEST.match, lines)):  # pytest marks the lines of the message
        yield from (PYTEST.sub("", line) for line in lines if PYTEST.match(line))
        return
    indent = -1  # of the last name of a file
    for line in lines:
        if there := WHERE.match(line):
            indent = len(there[1] or "")
        elif not line.strip() or NUMBERED.match(line):
            continue
        elif indent < 0 or len(line) - len(line.lstrip()) <= max(indent, 1):
            indent = -1
            yield line
