"""Read a page: its snippets, and everything on it that only looks like one."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_examples import CodeExample, find_examples

from .snippet import Snippet

KEYS = ("title", "hl_lines", "linenums", "gpu", "raises")
NOT_RUN = ("text", "console")
LIBRARY = "d2lblocks/"  # a title that begins so presents the library's own source

FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<marker>(?:(?:>|[-*+]|\d+[.)])[ \t]*)*)(?P<ticks>`{3,}|~{3,})(?P<info>.*)$"
)
HEADER = re.compile(r"^(?P<language>\w+)(?: +\{(?P<keys>.*)\})?$")
KEY = re.compile(r'\s*([^\s=]+)="([^"]*)"(?=\s|$)')


@dataclass
class Page:
    """A Markdown file, or the docstrings of a Python file."""

    path: Path
    name: str  # relative to the project's root
    short: str  # as the names of its tests begin
    lines: list[str]  # as in the file, a carriage return at the end included
    snippets: list[Snippet] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class Fence:
    """A fence as a reader sees it, whether or not it is run."""

    line: int
    indent: str
    marker: str  # of a block quote or a list, on the fence's own line
    ticks: str
    info: str
    last_line: int | None = None  # None: never closed


def read_pages(root: Path) -> list[Page]:
    """Every page of the project: the English site, the README, and the package's docstrings."""
    docs, package = root / "docs" / "en", root / "src" / "d2lblocks"
    files = {path: path.relative_to(docs) for path in sorted(docs.rglob("*.md"))}
    files |= {path: path.relative_to(root) for path in sorted(root.glob("README.md"))}
    files |= {path: path.relative_to(package) for path in sorted(package.rglob("*.py"))}
    return [read_page(path, root, short.as_posix()) for path, short in files.items()]


def read_page(path: Path, root: Path, short: str) -> Page:
    """Read one page; what is wrong with its fences is noted, not raised."""
    page = Page(path, path.relative_to(root).as_posix(), short, path.read_bytes().decode().split("\n"))
    lines = [line.removesuffix("\r") for line in page.lines]
    found = {example.start_line: example for example in find_examples(path)}
    for first, last in programs(path, lines):
        fences = list(scan(lines, first, last))
        for number in consoles(lines, first, last, fences):
            problem = "a `>>>` example is not run: write a python fence"
            page.problems.append(f"{page.name}:{number}: {problem}")
        for fence in fences:
            language, keys, problems = read_header(fence)
            if language == "python" and fence.last_line and not problems:
                problems += finder_problems(fence, lines, found)
            if fence.line in found and language not in NOT_RUN:
                example = found.pop(fence.line)
                end = fence.last_line or example.end_line
                code = [line[len(fence.indent) :] for line in lines[fence.line : end - 1]]
                problems += value_problems(keys, len(code), root)
                program = page.name if path.suffix == ".md" else f"{page.name}:{first}"
                page.snippets.append(
                    Snippet(f"{short}:{fence.line}", page.name, fence.line, program, code,
                            len(fence.indent), keys, problems)
                )  # fmt: skip
            page.problems += [f"{page.name}:{fence.line}: {problem}" for problem in problems]
    for line in found:
        page.problems.append(f"{page.name}:{line}: this snippet stands inside something that is not run")
    return page


def programs(path: Path, lines: list[str]) -> Iterator[tuple[int, int]]:
    """The first and last line of every program: a page is one, a docstring is one."""
    if path.suffix == ".md":
        yield 1, len(lines)
        return
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = node.body and node.body[0]
            if isinstance(text, ast.Expr) and ast.get_docstring(node) is not None:
                assert text.end_lineno is not None
                yield text.lineno, text.end_lineno


def scan(lines: list[str], first: int, last: int) -> Iterator[Fence]:
    """Every fence between two lines, by the rules of CommonMark."""
    fence: Fence | None = None
    for number in range(first, last + 1):
        match = FENCE.match(lines[number - 1])
        if match is None:
            continue
        info = match["info"].strip()
        if fence is None:
            if not (match["ticks"].startswith("`") and "`" in info):  # else it is code within a line
                fence = Fence(number, match["indent"], match["marker"], match["ticks"], info)
        elif match["ticks"].startswith(fence.ticks) and not info:
            fence.last_line = number
            yield fence
            fence = None
    if fence is not None:
        yield fence


def consoles(lines: list[str], first: int, last: int, fences: list[Fence]) -> Iterator[int]:
    """The lines outside of fences that look like a Python console."""
    inside = {line for fence in fences for line in range(fence.line, (fence.last_line or last) + 1)}
    for number in range(first, last + 1):
        if number not in inside and lines[number - 1].lstrip().startswith(">>> "):
            yield number


def read_header(fence: Fence) -> tuple[str, dict[str, str], list[str]]:
    """The language and the keys of a fence, and what is wrong with them."""
    problems = []
    if fence.marker:
        problems.append(f"a fence after `{fence.marker.strip()}` is not run: give it lines of its own")
    if fence.ticks != "```":
        problems.append(f"a fence is three backticks, not {fence.ticks}: others are not run")
    if "\t" in fence.indent:
        problems.append("a fence indented by a tab is not run: indent it by blanks")
    if fence.last_line is None:
        problems.append("this fence is never closed")
    header = HEADER.match(fence.info)
    language = header["language"] if header else ""
    if header is None or language not in ("python", *NOT_RUN):
        problems.append(
            f"a fence is ```python, or ```text or ```console when it is not to be run, not ```{fence.info}: "
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
        if key not in KEYS:
            problems.append(f"there is no key {key}: there are {', '.join(KEYS)}")
        elif key in keys:
            problems.append(f"the key {key} stands here twice")
        elif language != "python" and key in ("gpu", "raises"):
            problems.append(f"{key} has no meaning in a fence that is not run")
        else:
            keys[key] = value
        position = match.end()
    return language, keys, problems


def finder_problems(fence: Fence, lines: list[str], found: dict[int, CodeExample]) -> list[str]:
    """Whether what is run is what a reader sees and copies."""
    assert fence.last_line is not None
    body = lines[fence.line : fence.last_line - 1]
    if not any(line.strip() for line in body):
        return ["this snippet is empty"]
    example = found.get(fence.line)
    if example is None or example.end_line != fence.last_line:
        return ["this snippet is not run as a reader sees it: do three backticks stand inside it?"]
    if any(line.strip() and not line.startswith(fence.indent) for line in body):
        return ["a line of this snippet is indented less than its fence"]
    if all(not line.strip() or line[len(fence.indent) :].startswith((" ", "\t")) for line in body):
        return ["this snippet is indented more than its fence, so it does not run as it is copied"]
    return []


def value_problems(keys: dict[str, str], length: int, root: Path) -> list[str]:
    """What makes no sense in the values of a Python fence's keys."""
    problems = []
    for key, value in keys.items():
        if key in ("gpu", "linenums"):
            sense = re.fullmatch(r"[1-9]\d{0,5}", value) is not None
        elif key == "hl_lines":
            spans = [re.fullmatch(r"(\d+)(?:-(\d+))?", part) for part in value.split()]
            sense = bool(spans) and all(m and 1 <= int(m[1]) <= int(m[2] or m[1]) <= length for m in spans)
        elif key == "raises":
            sense = all(part.isidentifier() for part in value.split("."))
        else:
            sense = bool(value.strip())
            if LIBRARY in value and not is_library(value):
                problems.append(f'a title of the library\'s source begins "{LIBRARY}", not "{value}"')
            elif is_library(value) and not (root / "src" / value).is_file():
                problems.append(f"there is no src/{value}")
        if not sense:
            problems.append(f'{key}="{value}" makes no sense for a snippet of {length} lines')
    return problems


def is_library(title: str) -> bool:
    """Whether a snippet of this title presents the library's source."""
    return title.startswith(LIBRARY)
