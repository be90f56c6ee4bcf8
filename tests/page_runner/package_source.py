"""A snippet that shows the library's source, compared with that source."""

import ast
import difflib
from collections.abc import Iterator
from copy import deepcopy
from inspect import cleandoc
from pathlib import Path

from .snippet import Snippet, parse_quietly

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def library_lies(snippet: Snippet, folder: Path) -> list[str]:
    """The differences between the syntax trees of the snippet and the source, except docstrings."""
    title = snippet.source
    library = parse_quietly((folder / title).read_text("utf-8"), title)
    tree = snippet.tree()
    lies = []
    if not any(defined(statement) for statement in tree.body):
        lies.append(f"{snippet.file}:{snippet.line}: this defines nothing, so it shows nothing of {title}")
    imports = {alias for statement in library.body for alias in imported(statement)}
    for statement, real in counterparts(tree, library):
        at = f"{snippet.file}:{snippet.line + statement.lineno}"
        if foreign := set(imported(statement)) - imports:
            lies.append(f"{at}: {title} has no `{foreign.pop()}`")
        elif not defined(statement) and not list(imported(statement)):
            lies.append(f"{at}: `{ast.unparse(statement)}` is not in {title}: give it a snippet of its own")
        elif defined(statement) and real is None:
            lies.append(f"{at}: {title} defines no {', '.join(defined(statement))} like this")
        elif real is not None and not same(statement, real):
            name = defined(statement)[0]
            shown, wanted = (ast.unparse(bare(each)).split("\n") for each in (statement, real))
            diff = difflib.unified_diff(
                shown, wanted, f"{name}, as shown", f"{name}, in {title}", lineterm=""
            )
            lies.append("\n".join([f"{at}: {name} is not the one of {title}", *diff]))
    return lies


def refreshed(snippet: Snippet, folder: Path) -> list[str]:
    """The snippet's code with every outdated definition replaced by the library's text."""
    source = (folder / snippet.source).read_text("utf-8")
    library = parse_quietly(source, snippet.source)
    code = list(snippet.code)
    tree = snippet.tree()
    for statement, real in reversed(list(counterparts(tree, library))):
        # A statement that shares a line with another cannot be cut out whole, so it stays and fails.
        if real and not same(statement, real) and alone(statement, tree) and alone(real, library):
            keep = any(docstring(node) for node in ast.walk(statement))
            first, last = statement_lines(statement)
            code[first - 1 : last] = text(real, source.splitlines(), keep)
    return code


def counterparts(tree: ast.Module, library: ast.Module) -> Iterator[tuple[ast.stmt, ast.stmt | None]]:
    """Pair each statement of the snippet with the library's statement that defines the same names."""
    for statement in tree.body:
        names = defined(statement)
        alike = [each for each in library.body if names and defined(each) == names]
        shown = [each for each in tree.body if names and defined(each) == names]
        if len(shown) == 1 and alike:
            yield statement, alike[-1]  # the last definition of the name is the valid one
        elif len(shown) == len(alike) and alike:
            yield statement, alike[shown.index(statement)]  # overloads, in order
        else:
            yield statement, None


def defined(statement: ast.stmt) -> list[str]:
    """The names that a statement defines: classes, functions, constants."""
    match statement:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            nodes = [node for target in targets for node in ast.walk(target)]
        case ast.AnnAssign(target=target):
            nodes = [target]
        case _:
            nodes = []
    if any(isinstance(node, ast.Attribute | ast.Subscript) for node in nodes):
        return []  # the statement changes something instead of defining it
    return [node.id for node in nodes if isinstance(node, ast.Name)]


def imported(statement: ast.stmt) -> Iterator[str]:
    """Each name that a statement imports, as a separate import."""
    match statement:
        case ast.Import(names=names):
            yield from (ast.unparse(ast.Import([name])) for name in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            yield from (ast.unparse(ast.ImportFrom(module, [name], level)) for name in names)


def same(shown: ast.stmt, real: ast.stmt) -> bool:
    """Whether both have the same syntax tree. The shown one may omit docstrings, but not change them."""
    if ast.dump(bare(shown)) != ast.dump(bare(real)):
        return False
    pairs = zip(docstrings(shown), docstrings(real), strict=True)
    return all(told is None or told == true for told, true in pairs)


def docstrings(statement: ast.stmt) -> Iterator[str | None]:
    for node in ast.walk(statement):
        if isinstance(node, Definition):
            words = ast.get_docstring(node)
            yield words and cleandoc(words)


def bare(statement: ast.stmt) -> ast.stmt:
    """A copy without docstrings."""
    statement = deepcopy(statement)
    for node in ast.walk(statement):
        if isinstance(node, Definition) and docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return statement


def docstring(node: ast.AST) -> ast.stmt | None:
    """The statement that is the docstring of a class or a function."""
    match node:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            match node.body[0]:
                case ast.Expr(value=ast.Constant(value=str())) as first:
                    return first
    return None


def statement_lines(statement: ast.stmt) -> tuple[int, int]:
    """The first line of a statement, including decorators, and its last line."""
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    assert statement.end_lineno is not None
    return min([statement.lineno, *(each.lineno for each in decorators)]), statement.end_lineno


def alone(statement: ast.stmt, tree: ast.Module) -> bool:
    """Whether no other statement shares a line with this one."""
    first, last = statement_lines(statement)
    others = (statement_lines(each) for each in tree.body if each is not statement)
    return all(end < first or start > last for start, end in others)


def text(statement: ast.stmt, source: list[str], keep_docstrings: bool) -> list[str]:
    """The lines of a statement, including comments, with or without its docstrings."""
    dropped: set[int] = set()
    for node in ast.walk(statement):
        doc = docstring(node)
        # A body that is only a docstring keeps it, because a body cannot be empty.
        if doc is None or keep_docstrings or len(getattr(node, "body", ())) == 1:
            continue
        first, last = statement_lines(doc)
        before = source[first - 1].encode()[: doc.col_offset]
        after = source[last - 1].encode()[doc.end_col_offset :]
        if not before.strip() and not after.strip():
            dropped.update(range(first, last + 1))
            if not source[last].strip():
                dropped.add(last + 1)
    first, last = statement_lines(statement)
    return [source[number - 1] for number in range(first, last + 1) if number not in dropped]
