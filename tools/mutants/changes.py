"""The small changes of a Python file from which `make mutants` chooses.

Operators of comparison, logic and arithmetic, `not` and signs, numbers and truth values (so also indexes and
defaults), conditions, bounds of slices, arguments, decorators, returned values, and whole statements.

These are not changed: annotations, imports and `__all__`; `strict`, which only matters if there already is a
mistake; and strings, because a wrong word in a message is seen by reading it, and a wrong key fails at once.
"""

import ast
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

OTHER = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "is": "is not", "is not": "is"}
OTHER |= {"in": "not in", "not in": "in", "and": "or", "or": "and", "+": "-", "-": "+", "*": "+", "/": "*"}
OTHER |= {"//": "*", "%": "*", "**": "*", "|": "&", "&": "|"}
OPERATOR = re.compile(rb"not\s+in|is\s+not|[<>=!]=|\*\*|//|[-+*/%|&<>]|\b(?:and|or|is|in)\b")
TYPE = re.compile("_?[A-Z][a-z]+")  # a type's name, such as _Path
Edit = tuple[int, int, bytes]  # start and end in bytes, and the new text


class Mutant(NamedTuple):
    """A file of the package with one change."""

    file: Path  # below src/, in the folder of a package
    function: int  # the first line of the function that contains the change, or 0
    source: bytes
    edit: Edit

    @property
    def code(self) -> bytes:
        start, end, text = self.edit
        return self.source[:start] + text + self.source[end:]

    @property
    def topic(self) -> str:
        return self.file.parts[1].removesuffix(".py")

    @property
    def line(self) -> int:
        return self.source.count(b"\n", 0, self.edit[0]) + 1

    @property
    def diff(self) -> str:
        """The lines that change, before and after, without their indentation."""
        start, end, text = self.edit
        first = self.source.rfind(b"\n", 0, start) + 1
        last = self.source.find(b"\n", end)
        old, new = self.source[first:last], self.source[first:start] + text + self.source[end:last]
        lines = [
            (sign, line.strip()) for sign, part in (("-", old), ("+", new)) for line in part.splitlines()
        ]
        return "\n".join(f"{sign} {line.decode()}" for sign, line in lines if line)


def spans(source: bytes) -> Callable[[Any], tuple[int, int]]:
    """A function that returns the start and the end of a node of this program, in bytes."""
    starts = [0, *itertools.accumulate(map(len, source.splitlines(keepends=True)))]

    def span(node: Any) -> tuple[int, int]:
        start = starts[node.lineno - 1] + node.col_offset
        return start, starts[node.end_lineno - 1] + node.end_col_offset

    return span


def mutants(path: Path, source_folder: Path) -> Iterator[Mutant]:
    """Yield all changes of a file, including some that are not valid Python."""
    file, source = path.relative_to(source_folder), path.read_bytes()
    span = spans(source)

    def is_there(node: ast.AST) -> bool:
        """Whether the place is right: in Python 3.11 it is wrong for some expressions in f-strings."""
        if not isinstance(node, ast.expr) or isinstance(node, ast.FormattedValue | ast.JoinedStr):
            return True
        try:
            found = ast.parse(source[slice(*span(node))], mode="eval").body
        except SyntaxError:
            return False
        return ast.dump(found) == ast.dump(node)

    def walk(node: ast.AST, function: int, in_text: bool) -> Iterator[Mutant]:
        if in_text and not is_there(node):
            return
        if isinstance(node, ast.FunctionDef):
            function = min(each.lineno for each in (node, *node.decorator_list))
        for edit in edits(node, source, span):
            yield Mutant(file, function, source, edit)
        for field, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if (
                    isinstance(child, ast.AST)
                    and field not in ("annotation", "returns")
                    and not is_quiet(child)
                ):
                    yield from walk(child, function, in_text or isinstance(node, ast.JoinedStr))

    return walk(ast.parse(source), 0, False)


def is_quiet(node: ast.AST) -> bool:
    """Whether it does nothing at run time that a test could notice."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.FunctionDef(decorator_list=[ast.Name(id="overload")]):
            return True
        case ast.keyword(arg="strict", value=ast.Constant(value=bool())):
            return True
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name in ("__all__", "__version__") or TYPE.fullmatch(name) is not None
    return False


def edits(node: Any, source: bytes, span: Callable[[Any], tuple[int, int]]) -> Iterator[Edit]:
    """Yield the changes of a node itself, not of its parts."""
    match node:
        case ast.Compare(left=left, comparators=others):
            operands = [left, *others]
        case ast.BoolOp(values=values):
            operands = values
        case ast.BinOp(left=left, right=right):
            operands = [left, right]
        case ast.AugAssign(target=left, value=right):
            operands = [left, right]
        case _:
            operands = []
    for left, right in itertools.pairwise(operands):
        after, before = span(left)[1], span(right)[0]
        if found := OPERATOR.search(source, after, before):
            other = OTHER[" ".join(found[0].decode().split())]
            yield found.start(), found.end(), other.encode()
    match node:
        case ast.Constant(value=bool(value)):
            yield *span(node), str(not value).encode()
        case ast.Constant(value=int(value)) | ast.Constant(value=float(value)):
            yield from ((*span(node), str(other).encode()) for other in (value + 1, value - 1))
        case ast.UnaryOp(op=ast.Not() | ast.USub() as op):
            start = span(node)[0]
            yield start, start + (3 if isinstance(op, ast.Not) else 1), b""
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield negated(source, *span(test))
        case ast.comprehension(ifs=tests):
            yield from (negated(source, *span(test)) for test in tests)
        case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
            yield *span(value), b"None"
        case ast.Slice(lower=lower, upper=upper):
            yield from ((*span(end), b"") for end in (lower, upper) if end)
        case ast.Call(args=args, keywords=keywords):
            named = [keyword for keyword in keywords if not is_quiet(keyword)]
            yield from changed_arguments(source, sorted(map(span, (*args, *named))), len(args))
        case ast.Expr(value=value) if not isinstance(value, ast.Constant):
            yield *span(node), b"pass"
        case ast.Raise() | ast.Delete() | ast.Continue() | ast.Break() | ast.Return() | ast.AugAssign():
            yield *span(node), b"pass"
        case ast.Assign(targets=[target, *_]) | ast.AnnAssign(target=target, value=ast.expr()):
            if not isinstance(target, ast.Name | ast.Tuple):  # without a name, its next use fails
                yield *span(node), b"pass"
        case ast.FunctionDef(decorator_list=decorators) | ast.ClassDef(decorator_list=decorators):
            yield from ((start - 1, end, b"") for start, end in map(span, decorators))


def negated(source: bytes, start: int, end: int) -> Edit:
    return start, end, b"not (" + source[start:end] + b")"


def changed_arguments(source: bytes, spans: list[tuple[int, int]], positional: int) -> Iterator[Edit]:
    """Yield the changes that leave out one of several arguments, or swap two neighbors."""
    if len(spans) > 1:
        yield spans[0][0], spans[1][0], b""
    for (start, middle), (other, end) in itertools.pairwise(spans):
        yield middle, end, b""
        if (other, end) in spans[:positional]:
            yield start, end, source[other:end] + source[middle:other] + source[start:middle]


def is_python(mutant: Mutant) -> bool:
    try:
        return ast.dump(ast.parse(mutant.code)) != ast.dump(ast.parse(mutant.source))
    except SyntaxError:
        return False
