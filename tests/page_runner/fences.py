"""The fences of a page as a person reads them, run or not, and the problems of each."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<marker>(?:(?:>|[-*+]|\d+[.)])[ \t]*)*)(?P<ticks>`{3,}|~{3,})(?P<info>.*)$"
)
CONSOLE = re.compile(r"^[ \t]*(?:>[ \t]+)*>>>(?: |$)")
QUOTES = re.compile(r"^[ \t]*[rRuU]?(?:\"\"\"|'''|\"|')")  # the quotes of a docstring
HEADER = re.compile(r"^(?P<language>\w+)(?: +\{(?P<keys>.*)\})?$")
KEY = re.compile(r'\s*([^\s=]+)="([^"]*)"(?=\s|$)')


@dataclass
class Fence:
    """A fence as a person reads it, whether or not it is run."""

    line: int
    indent: str
    marker: str  # the quote, list or comment that it is inside
    ticks: str
    info: str
    last_line: int | None = None  # None: never closed
    inner: int | None = None  # a line inside that looks like the start of another fence


def scan(lines: list[str], first: int, last: int) -> Iterator[Fence]:
    """Find every fence between two lines that the site's Markdown or CommonMark would see."""
    fence: Fence | None = None
    hidden = ""
    for number in range(first, last + 1):
        line = QUOTES.sub("", lines[number - 1]) if number == first else lines[number - 1]
        match = FENCE.match(line)
        if fence is None:
            # Three backticks with more backticks after them are code within a line.
            if match and not (match["ticks"].startswith("`") and "`" in match["info"]):
                marker = hidden or match["marker"].strip()
                fence = Fence(number, match["indent"], marker, match["ticks"], match["info"].strip())
            elif "<!--" in line or "-->" in line:
                hidden = "<!--" if line.rfind("<!--") > line.rfind("-->") else ""
        elif match and match["info"].strip():
            fence.inner = fence.inner or number
        elif match and line.rstrip().startswith(fence.indent + fence.ticks):
            fence.last_line = number
            yield fence
            fence = None
    if fence is not None:
        yield fence


def consoles(lines: list[str], first: int, last: int, fences: list[Fence]) -> Iterator[int]:
    """Find the lines outside of fences that look like a Python console."""
    inside = {line for fence in fences for line in range(fence.line, (fence.last_line or last) + 1)}
    for number in range(first, last + 1):
        line = QUOTES.sub("", lines[number - 1]) if number == first else lines[number - 1]
        if number not in inside and CONSOLE.match(line):
            yield number


def read_header(
    fence: Fence, roles: Mapping[str, str], not_run: Collection[str]
) -> tuple[str, dict[str, str], list[str]]:
    """The language and the keys of a fence, and their problems."""
    problems = []
    if fence.marker:
        problems.append(f"a fence after `{fence.marker}` is not run as it is read: give it lines of its own")
    if fence.ticks != "```":
        problems.append(f"a fence is three backticks, not {fence.ticks}: others are not run")
    if "\t" in fence.indent:
        problems.append("a fence indented by a tab is not run: indent it by blanks")
    if fence.last_line is None:
        problems.append("this fence is never closed, by as many backticks in the same column")
    if fence.inner is not None:
        problems.append(f"line {fence.inner}, inside this fence, looks like the beginning of another")
    header = HEADER.match(fence.info)
    language = header["language"] if header else ""
    if header is None or language not in ("python", *not_run):
        others = " or ".join(f"```{name}" for name in not_run)
        problems.append(
            f"a fence is ```python, or {others} when it is not to be run, not ```{fence.info}: "
            'keys go into one brace, as in ```python {title="..."}'
        )
        return language, {}, problems
    keys: dict[str, str] = {}
    position, text = 0, header["keys"]
    while text is not None and text[position:].strip():
        match = KEY.match(text, position)
        if match is None:
            problems.append(
                f'keys are written key="value" with a blank between them, not {text[position:].strip()}'
            )
            break
        key, value = match.groups()
        if key not in roles:
            problems.append(f"there is no key {key}: there are {', '.join(roles)}")
        elif key in keys:
            problems.append(f"the key {key} stands here twice")
        elif language != "python" and roles[key] in ("gpus", "raises"):
            problems.append(f"{key} has no meaning in a fence that is not run")
        else:
            keys[key] = value
        position = match.end()
    return language, keys, problems


def body_problems(fence: Fence, body: list[str]) -> list[str]:
    """The problems that make the code that is run different from the code that a person copies."""
    if not any(line.strip() for line in body):
        return ["this snippet is empty"]
    if any(line.strip() and not line.startswith(fence.indent) for line in body):
        return ["a line of this snippet is indented less than its fence"]
    if all(not line.strip() or line[len(fence.indent) :].startswith((" ", "\t")) for line in body):
        return ["this snippet is indented more than its fence, so it does not run as it is copied"]
    return []


def makes_sense(role: str, value: str, length: int) -> bool:
    """Whether a key with this role can have this value, in a snippet with this number of lines."""
    if role in ("gpus", "number"):
        return re.fullmatch(r"[1-9]\d{0,5}", value) is not None
    if role == "lines":
        spans = [re.fullmatch(r"(\d+)(?:-(\d+))?", part) for part in value.split()]
        return bool(spans) and all(m and 1 <= int(m[1]) <= int(m[2] or m[1]) <= length for m in spans)
    if role == "raises":
        return all(part.isidentifier() for part in value.split("."))
    return bool(value.strip())
