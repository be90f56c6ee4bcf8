"""A snippet that shows the library's source, beside that source."""

import ast
import difflib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

from .read import is_library
from .snippet import Snippet


def shows_library(snippet: Snippet) -> bool:
    return is_library(snippet.keys.get("title", ""))


def library_lies(snippet: Snippet, root: Path) -> list[str]:
    """Where the snippet is not, to the syntax tree, the library's source; docstrings and comments aside."""
    title = snippet.keys["title"]
    library = definitions(ast.parse((root / "src" / title).read_text("utf-8")))
    tree = ast.parse("\n".join(snippet.code))
    lies = []
    if not definitions(tree):
        lies.append(f"{snippet.file}:{snippet.line}: this defines nothing, so it shows nothing of {title}")
    for statement in tree.body:
        at = f"{snippet.file}:{snippet.line + statement.lineno}"
        names = list(defined(statement))
        if not names and not isinstance(statement, ast.Import | ast.ImportFrom):
            lies.append(f"{at}: `{ast.unparse(statement)}` is not in {title}: give it a snippet of its own")
        for name in names:
            if name not in library:
                lies.append(f"{at}: {title} defines no {name}")
            elif not same(statement, library[name]):
                shown, real = (ast.unparse(bare(each)).split("\n") for each in (statement, library[name]))
                diff = difflib.unified_diff(
                    shown, real, f"{name}, as shown", f"{name}, in {title}", lineterm=""
                )
                lies.append("\n".join([f"{at}: {name} is not the one of {title}", *diff]))
    return lies


def refreshed(snippet: Snippet, root: Path) -> list[str]:
    """The snippet's code with every definition that differs replaced by the library's text."""
    source = (root / "src" / snippet.keys["title"]).read_text("utf-8")
    library = definitions(ast.parse(source))
    code = list(snippet.code)
    for statement in reversed(ast.parse("\n".join(code)).body):
        name = next(defined(statement), None)
        if name in library and not same(statement, library[name]):
            keep = any(docstring(node) for node in ast.walk(statement))
            assert statement.end_lineno is not None
            code[first_line(statement) - 1 : statement.end_lineno] = text(
                library[name], source.splitlines(), keep
            )
    return code


def definitions(tree: ast.Module) -> dict[str, ast.stmt]:
    return {name: statement for statement in tree.body for name in defined(statement)}


def defined(statement: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement defines: classes, functions, constants."""
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def same(one: ast.stmt, other: ast.stmt) -> bool:
    """Whether two statements are one syntax tree, docstrings aside."""
    return ast.dump(bare(one)) == ast.dump(bare(other))


def bare(statement: ast.stmt) -> ast.stmt:
    """A copy without docstrings."""
    statement = deepcopy(statement)
    for node in ast.walk(statement):
        if docstring(node):
            assert isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            node.body = node.body[1:] or [ast.Pass()]
    return statement


def docstring(node: ast.AST) -> ast.stmt | None:
    """The statement that is the docstring of a class or a function."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        match node.body[0]:
            case ast.Expr(value=ast.Constant(value=str())) as first:
                return first
    return None


def first_line(statement: ast.stmt) -> int:
    """The line of the statement's first decorator, else its own."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def text(statement: ast.stmt, source: list[str], keep_docstrings: bool) -> list[str]:
    """The statement's own lines, comments included, with or without its docstrings."""
    assert statement.end_lineno is not None
    dropped: set[int] = set()
    for node in ast.walk(statement):
        doc = docstring(node)
        # A body that is only a docstring keeps it: something has to stand there.
        if doc is None or keep_docstrings or len(getattr(node, "body", ())) == 1:
            continue
        assert doc.end_lineno is not None
        dropped.update(range(doc.lineno, doc.end_lineno + 1))
        if not source[doc.end_lineno].strip():
            dropped.add(doc.end_lineno + 1)
    lines = range(first_line(statement), statement.end_lineno + 1)
    return [source[number - 1] for number in lines if number not in dropped]
