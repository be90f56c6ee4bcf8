"""Read a project's pages: their snippets, and everything on them that only looks like a snippet."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .fences import Fence, body_problems, consoles, makes_sense, read_header, scan
from .page import Page
from .plots import never_drawn
from .snippet import Snippet, parse_quietly

if TYPE_CHECKING:
    from pytest_examples import CodeExample

    from .project import Project

MARKDOWN = (".md", ".markdown", ".mdown", ".mkdn", ".mkd")  # the files from which mkdocs makes pages
RAW = re.compile(r"^[ \t]*[rR]")


def read_pages(project: Project) -> list[Page]:
    """Every page of the project: pages of its site, other files, and the docstrings of its package."""
    root, docs = project.root, project.root / project.docs
    paths = [path for suffix in MARKDOWN for path in sorted(docs.rglob(f"*{suffix}"))]
    shorts = {path: path.relative_to(docs).as_posix() for path in paths}
    if project.package:
        package = root / project.package
        shorts |= {path: path.relative_to(package).as_posix() for path in sorted(package.rglob("*.py"))}
    shorts |= {path: path.name for name in project.other_pages for path in root.glob(name)}
    taken = Counter(shorts.values())
    return [
        read_page(project, path, short if taken[short] == 1 else path.relative_to(root).as_posix())
        for path, short in shorts.items()
        if path.is_file() and not path.name.startswith(".")
    ]


def read_page(project: Project, path: Path, short: str) -> Page:
    """Read one page. Problems are recorded instead of raised."""
    # Import it only here: the process of a page imports this module too, but reads no pages.
    from pytest_examples import find_examples

    page = Page(path, path.relative_to(project.root).as_posix(), short, [])
    if path.suffix not in (".md", ".py"):
        page.problems.append(f"{page.name}: the site shows this file and nothing tests it: name it .md")
        return page
    try:
        page.lines = path.read_bytes().decode().split("\n")
        lines = page.text_lines()
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
            read_program(project, page, lines, first, last, found)
        for line in found or ():
            page.problems.append(f"{page.name}:{line}: this snippet stands inside something that is not run")
        for name in never_drawn(page.snippets, lines, project.root / project.pictures):
            page.problems.append(f"{page.name}: {name} is a plot, and no snippet of this page draws it")
    return page


def programs(path: Path, name: str, lines: list[str]) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of every program: a page is one program, and so is a docstring."""
    if path.suffix == ".md":
        yield 1, len(lines)
        return
    for node in ast.walk(parse_quietly("\n".join(lines), name)):
        match node:  # docstrings of modules, classes and functions, and those below attributes
            case ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=int(last)):
                yield first, last


def read_program(
    project: Project,
    page: Page,
    lines: list[str],
    first: int,
    last: int,
    found: dict[int, CodeExample] | None,
) -> None:
    """Add a program's snippets to the page, and the problems of its fences."""
    fences = list(scan(lines, first, last))
    raw = found is not None or RAW.match(lines[first - 1]) is not None
    for number in consoles(lines, first, last, fences):
        page.problems.append(f"{page.name}:{number}: a `>>>` example is not run: write a python fence")
    for fence in fences:
        language, keys, problems = read_header(fence, project.keys, project.not_run)
        end = fence.last_line or (last if found is None else last + 1)
        body = lines[fence.line : end - 1]
        if not problems:
            problems = value_problems(project, keys, language, len(body))
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
            runs = language not in project.not_run
        else:
            runs = found is None and language == "python"
            if language == "python" and not (runs or problems):
                problems.append("this snippet is not found, and so not run")
        if runs:
            program = page.name if found is not None else f"{page.name}:{first}"
            page.snippets.append(read_snippet(project, page, program, fence, body, raw, keys, problems))
        page.problems += [f"{page.name}:{fence.line}: {problem}" for problem in problems]


def read_snippet(
    project: Project,
    page: Page,
    program: str,
    fence: Fence,
    body: list[str],
    raw: bool,
    keys: dict[str, str],
    problems: list[str],
) -> Snippet:
    values = {project.keys[key]: value for key, value in keys.items()}
    title = values.get("title", "")
    return Snippet(
        id=f"{page.short}:{fence.line}",
        file=page.name,
        line=fence.line,
        program=program,
        code=[line[len(fence.indent) :] for line in body],
        indent=len(fence.indent),
        raw=raw,
        title=title,
        source=title if project.is_source(title) else "",
        raises=values.get("raises", ""),
        gpus=0 if problems else int(values.get("gpus", 0)),
        problems=problems,
    )


def value_problems(project: Project, keys: dict[str, str], language: str, length: int) -> list[str]:
    """The values of a fence's keys that make no sense."""
    problems = []
    for key, value in keys.items():
        if not makes_sense(project.keys[key], value, length):
            problems.append(f'{key}="{value}" makes no sense for a snippet of {length} lines')
        elif project.keys[key] == "title" and project.package and project.source_prefix in value:
            prefix = project.source_prefix
            if not project.is_source(value):
                problems.append(f'a title of the library\'s source begins "{prefix}", not "{value}"')
            elif language != "python":
                problems.append("what is not run cannot be shown as the library's source")
            elif not (project.source_folder / value).is_file():
                source = (project.source_folder / value).relative_to(project.root).as_posix()
                problems.append(f"there is no {source}")
    return problems
