"""Edits of a solution, such as a reader could make by mistake: the mutants of `make mutants`, and more kinds.

Another variable, attribute or text of the same program; two statements or two entries in another order; a
value without the call or the operation around it; a result that is changed; a loop without its first or its
last item; an assignment, a condition or a `with` that is left out.
"""

import ast
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.mutants.changes import Edit, Mutant, is_python, mutants, spans

OTHER = {
    "parameters": "buffers", "buffers": "parameters", "modules": "children", "children": "modules",
    "named_parameters": "named_buffers", "named_buffers": "named_parameters",
    "named_modules": "named_children", "named_children": "named_modules",
    "ModuleList": "Sequential", "Sequential": "ModuleList", "Parameter": "Buffer", "Buffer": "Parameter",
    "mean": "sum", "sum": "mean", "var": "std", "std": "var", "rand": "randn", "randn": "rand",
    "empty": "zeros", "zeros": "ones", "ones": "zeros", "zeros_": "ones_", "ones_": "zeros_",
    "copy_": "add_", "add_": "copy_", "items": "keys", "append": "extend", "extend": "append",
    "train": "eval", "eval": "train", "dtype": "device", "device": "dtype", "shape": "dtype",
}  # fmt: skip
FIXED = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef  # in another order, they do the same


def edits_of(solution: str, folder: Path, least: int) -> list[Mutant]:
    """All edits of a solution; if a short one has less than `least`, also several at once."""
    source = solution.encode()
    found = {each.code: each for each in single_edits(source, folder)}
    tried: set[bytes] = {source}
    while len(found) < least and not tried.issuperset(found):
        for code in [each for each in found if each not in tried]:
            tried.add(code)
            for more in single_edits(code, folder):
                whole = Mutant(more.file, 0, source, difference(source, more.code))
                if is_python(whole):
                    found.setdefault(whole.code, whole)
    return [*found.values()]


def single_edits(source: bytes, folder: Path) -> list[Mutant]:
    """The edits of a program that are valid Python, each once; `folder` gets a file."""
    path = folder / "solution" / "answer.py"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(source)
    more = (Mutant(path.relative_to(folder), 0, source, edit) for edit in Edits(source))
    return list({each.code: each for each in (*mutants(path, folder), *more) if is_python(each)}.values())


def difference(source: bytes, code: bytes) -> Edit:
    """The edit that makes one program of another."""
    start = common(source, code)
    same = common(source[start:][::-1], code[start:][::-1])
    return start, len(source) - same, code[start : len(code) - same]


def common(one: bytes, other: bytes) -> int:
    """The length of the beginning that both have."""
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


class Edits:
    """The edits of a program that are not mutants."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.span = spans(source)
        self.nodes = list(walk(ast.parse(source)))

    def text(self, node: Any) -> bytes:
        return self.source[slice(*self.span(node))]

    def __iter__(self) -> Iterator[Edit]:
        for node in self.nodes:
            for name in ("body", "orelse", "elts"):
                yield from self.swapped(getattr(node, name, []))
            for part, others in self.replaced(node):
                yield from ((*self.span(part), other) for other in others)
            match node:
                case ast.FunctionDef():
                    yield from self.variables(node)
                case ast.Attribute(attr=attr):
                    end = self.span(node)[1]
                    yield from ((end - len(attr), end, other.encode()) for other in self.attributes(node))
                case ast.With(items=[*_, last]):
                    yield self.span(node)[0], self.span(last.context_expr)[1], b"if True"

    def replaced(self, node: Any) -> Iterator[tuple[Any, list[bytes]]]:
        """Yield parts of a node, and what could stand in their place."""
        match node:
            case ast.Assign(targets=[ast.Name() | ast.Tuple()]):
                yield node, [b"pass"]
            case ast.Call(func=ast.Attribute(value=value), args=args):
                yield node, [self.text(value), *map(self.text, args[:1])]
            case ast.Call(args=[first, *_]):
                yield node, [self.text(first)]
            case ast.BoolOp(values=operands):
                yield node, [*map(self.text, operands)]
            case ast.BinOp(left=left, right=right):
                yield node, [self.text(left), self.text(right)]
            case ast.For(iter=items) | ast.comprehension(iter=items):
                whole = b"list(" + self.text(items) + b")"
                yield items, [b"[]", whole + b"[1:]", whole + b"[:-1]"]
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                yield test, [b"True", b"False"]
            case ast.Return(value=ast.expr() as value):
                changes = (b"[1:]", b"[:-1]", b" + 1", b" * 2", b".detach()")
                yield value, [b"(" + self.text(value) + b")" + change for change in changes]
            case ast.Constant(value=str()):
                texts = [self.text(each) for each in self.nodes if isinstance(each, ast.Constant)]
                yield node, [b'""', *(each for each in texts if each[:1] in (b'"', b"'"))]

    def swapped(self, nodes: Any) -> Iterator[Edit]:
        """Yield the edits that swap two neighbors."""
        for first, second in itertools.pairwise(nodes if isinstance(nodes, list) else []):
            if not isinstance(first, FIXED) and not isinstance(second, FIXED):
                (start, middle), (other, end) = self.span(first), self.span(second)
                yield start, end, self.text(second) + self.source[middle:other] + self.text(first)

    def attributes(self, node: ast.Attribute) -> list[str]:
        """The attributes that the program uses of the same value, and a similar one."""
        same = [each for each in self.nodes if isinstance(each, ast.Attribute)]
        found = {each.attr for each in same if self.text(each.value) == self.text(node.value)}
        return sorted((found | {OTHER.get(node.attr, node.attr)}) - {node.attr})

    def variables(self, function: ast.FunctionDef) -> Iterator[Edit]:
        """Yield the edits that use another variable of a function."""
        parts = list(walk(function))
        uses = [each for each in parts if isinstance(each, ast.Name)]
        names = {each.arg for each in parts if isinstance(each, ast.arg)}
        names |= {each.id for each in uses if isinstance(each.ctx, ast.Store)}
        for use in uses:
            if isinstance(use.ctx, ast.Load) and use.id in names:
                yield from ((*self.span(use), other.encode()) for other in sorted(names - {use.id}))


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it that may change.

    The base of a class stays, and so do the parts of f-strings, whose places are wrong in Python 3.11.
    """
    yield node
    below = node.body if isinstance(node, ast.ClassDef) else ast.iter_child_nodes(node)
    if not isinstance(node, ast.JoinedStr):
        for child in below:
            yield from walk(child)
