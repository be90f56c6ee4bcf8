"""Read a page: its snippets, and everything on it that only looks like one."""

import ast
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_examples import CodeExample, find_examples

from .plots import never_drawn
from .snippet import Snippet

KEYS = ("title", "hl_lines", "linenums", "gpu", "raises")
NOT_RUN = ("text", "console")
MARKDOWN = (".md", ".markdown", ".mdown", ".mkdn", ".mkd")  # what mkdocs makes a page of
LIBRARY = "d2lblocks/"  # a title that begins so presents the library's own source
TOPICS = re.compile(r"^( *)- Topics:\n((?:\1 +- .+\n?)+)", re.M)  # in the navigation of the site

FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<marker>(?:(?:>|[-*+]|\d+[.)])[ \t]*)*)(?P<ticks>`{3,}|~{3,})(?P<info>.*)$"
)
CONSOLE = re.compile(r"^[ \t]*(?:>[ \t]+)*>>>(?: |$)")
QUOTES = re.compile(r"^[ \t]*[rRuU]?(?:\"\"\"|'''|\"|')")  # of a docstring
RAW = re.compile(r"^[ \t]*[rR]")
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
    marker: str  # what hides it: a quote, a list or a comment that begins before it
    ticks: str
    info: str
    last_line: int | None = None  # None: never closed
    inner: int | None = None  # a line inside that looks like another fence's first


def read_pages(root: Path) -> list[Page]:
    """Every page of the project: the English site, the README, and the package's docstrings."""
    docs, package = root / "docs" / "en", root / "src" / "d2lblocks"
    paths = [path for suffix in MARKDOWN for path in sorted(docs.rglob(f"*{suffix}"))]
    shorts = {path: path.relative_to(docs).as_posix() for path in paths}
    shorts |= {path: path.relative_to(package).as_posix() for path in sorted(package.rglob("*.py"))}
    shorts |= {path: path.name for path in root.glob("README.md")}
    taken = Counter(shorts.values())
    return [
        read_page(path, root, short if taken[short] == 1 else path.relative_to(root).as_posix())
        for path, short in shorts.items()
        if path.is_file() and not path.name.startswith(".")
    ]


def topics(pages: list[Page], root: Path) -> list[Page]:
    """The pages that the site lists under Topics, in its order."""
    config = root / "mkdocs.yml"
    found = TOPICS.search(config.read_text("utf-8")) if config.is_file() else None
    names = [f"docs/en/{name}" for name in re.findall(r"- (\S+\.md)$", found[2] if found else "", re.M)]
    return sorted((page for page in pages if page.name in names), key=lambda page: names.index(page.name))


def read_page(path: Path, root: Path, short: str) -> Page:
    """Read one page; what is wrong with it is noted, not raised."""
    page = Page(path, path.relative_to(root).as_posix(), short, [])
    if path.suffix not in (".md", ".py"):
        page.problems.append(f"{page.name}: the site shows this file and nothing tests it: name it .md")
        return page
    try:
        page.lines = path.read_bytes().decode().split("\n")
        lines = [line.removesuffix("\r") for line in page.lines]
        found = (
            {example.start_line: example for example in find_examples(path)} if path.suffix == ".md" else None
        )
        parts = list(programs(path, page.name, lines))
    except UnicodeDecodeError as error:
        page.problems.append(f"{page.name}: this file is not UTF-8: {error}")
    except SyntaxError as error:
        page.problems.append(f"{page.name}:{error.lineno}: {error.msg}")
    else:
        for first, last in parts:
            read_program(page, lines, first, last, found, root)
        for line in found or ():
            page.problems.append(f"{page.name}:{line}: this snippet stands inside something that is not run")
        for name in never_drawn(page.snippets, lines, root):
            page.problems.append(f"{page.name}: {name} is a plot, and no snippet of this page draws it")
    return page


def programs(path: Path, name: str, lines: list[str]) -> Iterator[tuple[int, int]]:
    """The first and last line of every program: a page is one, and so is a docstring."""
    if path.suffix == ".md":
        yield 1, len(lines)
        return
    for node in ast.walk(parse_quietly("\n".join(lines), name)):
        match node:  # docstrings of modules, classes and functions, and those below attributes
            case ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=int(last)):
                yield first, last


def parse_quietly(source: str, name: str) -> ast.Module:
    """The syntax tree; what Python would warn about is no matter of reading."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source, name)


def read_program(
    page: Page, lines: list[str], first: int, last: int, found: dict[int, CodeExample] | None, root: Path
) -> None:
    """Add a program's snippets to the page, and what is wrong with its fences."""
    fences = list(scan(lines, first, last))
    raw = found is not None or RAW.match(lines[first - 1]) is not None
    for number in consoles(lines, first, last, fences):
        page.problems.append(f"{page.name}:{number}: a `>>>` example is not run: write a python fence")
    for fence in fences:
        language, keys, problems = read_header(fence)
        end = fence.last_line or (last if found is None else last + 1)
        body = lines[fence.line : end - 1]
        if not problems:
            problems = value_problems(keys, language, len(body), root)
        if language == "python" and not problems:
            problems = body_problems(fence, body)
            if not raw and "\\" in "".join(body):
                problems.append('a snippet with a backslash needs a raw docstring, r"""')
        if found is not None and fence.line in found:
            example = found.pop(fence.line)
            if example.end_line != fence.last_line and not problems:
                problems.append(
                    "this snippet is not run as a reader sees it: do three backticks stand inside it?"
                )
            runs = language not in NOT_RUN
        else:
            runs = found is None and language == "python"
            if language == "python" and not (runs or problems):
                problems.append("this snippet is not found, and so not run")
        if runs:
            page.snippets.append(
                Snippet(
                    id=f"{page.short}:{fence.line}",
                    file=page.name,
                    line=fence.line,
                    program=page.name if found is not None else f"{page.name}:{first}",
                    code=[line[len(fence.indent) :] for line in body],
                    indent=len(fence.indent),
                    raw=raw,
                    keys=keys,
                    problems=problems,
                )
            )
        page.problems += [f"{page.name}:{fence.line}: {problem}" for problem in problems]


def scan(lines: list[str], first: int, last: int) -> Iterator[Fence]:
    """Every fence between two lines, as the site's Markdown and CommonMark both see it."""
    fence: Fence | None = None
    hidden = ""
    for number in range(first, last + 1):
        line = QUOTES.sub("", lines[number - 1]) if number == first else lines[number - 1]
        match = FENCE.match(line)
        if fence is None:
            # Three backticks with another behind them are code within a line.
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
    """The lines outside of fences that look like a Python console."""
    inside = {line for fence in fences for line in range(fence.line, (fence.last_line or last) + 1)}
    for number in range(first, last + 1):
        line = QUOTES.sub("", lines[number - 1]) if number == first else lines[number - 1]
        if number not in inside and CONSOLE.match(line):
            yield number


def read_header(fence: Fence) -> tuple[str, dict[str, str], list[str]]:
    """The language and the keys of a fence, and what is wrong with them."""
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


def body_problems(fence: Fence, body: list[str]) -> list[str]:
    """Whether what is run is what a reader copies."""
    if not any(line.strip() for line in body):
        return ["this snippet is empty"]
    if any(line.strip() and not line.startswith(fence.indent) for line in body):
        return ["a line of this snippet is indented less than its fence"]
    if all(not line.strip() or line[len(fence.indent) :].startswith((" ", "\t")) for line in body):
        return ["this snippet is indented more than its fence, so it does not run as it is copied"]
    return []


def value_problems(keys: dict[str, str], language: str, length: int, root: Path) -> list[str]:
    """What makes no sense in the values of a fence's keys."""
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
            elif is_library(value) and language != "python":
                problems.append("what is not run cannot be shown as the library's source")
            elif is_library(value) and not (root / "src" / value).is_file():
                problems.append(f"there is no src/{value}")
        if not sense:
            problems.append(f'{key}="{value}" makes no sense for a snippet of {length} lines')
    return problems


def is_library(title: str) -> bool:
    """Whether a snippet of this title presents the library's source."""
    return title.startswith(LIBRARY)
