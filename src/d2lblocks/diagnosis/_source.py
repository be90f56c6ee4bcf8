"""Lines of source: where a class assigns an attribute, and which line of a program runs."""

import dis
import os
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

import torch

_TORCH = os.path.dirname(torch.__file__) + os.sep
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep + "diagnosis" + os.sep
_STORES = ("STORE_ATTR", "LOAD_CONST")  # `self.name = ...`, and `self.register_buffer("name", ...)`


class Line(NamedTuple):
    """A line of a file."""

    file: str
    number: int


def is_torch(file: str) -> bool:
    """Whether a file belongs to PyTorch, or to this package's own diagnosis."""
    return file.startswith((_TORCH, _HERE))


def line_of(frame: FrameType | None) -> Line | None:
    """The line that runs in the innermost frame outside PyTorch, from this frame outward.

    `None` if there is none before the call of the net.
    """
    while frame is not None and not frame.f_code.co_filename.startswith(_HERE):
        if not is_torch(frame.f_code.co_filename):
            return Line(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


def caller() -> FrameType | None:
    """The innermost frame outside this package's diagnosis."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return frame


def line_that_assigns(kind: type, name: str, *, later: bool = False) -> Line | None:
    """The line on which a class, or a base class of it, assigns `self.NAME`.

    It is read from the compiled code, so it is known in notebooks and for code without a file as well.

    Args:
        kind: the class.
        name: the name of the attribute.
        later: whether to prefer another method to `__init__`.
    """
    lines = [
        (code.co_name != "__init__", Line(code.co_filename, _number(instruction, code)))
        for base in kind.__mro__
        if base.__module__.partition(".")[0] != "torch"
        for code in _codes(base)
        for instruction in dis.get_instructions(code)
        if instruction.argval == name and instruction.opname in _STORES
    ]
    return next((line for other, line in lines if other == later), lines[0][1] if lines else None)


def reads(kind: type, name: str) -> bool:
    """Whether a class, or a base class outside PyTorch, reads an attribute or an argument of this name."""
    return any(
        instruction.opname.startswith("LOAD_") and instruction.argval == name
        for base in kind.__mro__
        if base.__module__.partition(".")[0] != "torch"
        for code in _codes(base)
        for instruction in dis.get_instructions(code)
    )


def line_of_class(kind: type) -> Line | None:
    """The line on which the class, or its first method, begins; `None` for classes of PyTorch."""
    if kind.__module__.partition(".")[0] == "torch":
        return None
    return next((Line(code.co_filename, code.co_firstlineno) for code in _codes(kind)), None)


def _codes(kind: type) -> Iterator[CodeType]:
    """The compiled code of the methods of a class, with the functions inside them."""
    for method in [each for each in vars(kind).values() if hasattr(each, "__code__")]:
        todo: list[Any] = [method.__code__]
        for code in todo:
            yield code
            todo += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _number(instruction: dis.Instruction, code: CodeType) -> int:
    position = instruction.positions
    return (position and position.lineno) or code.co_firstlineno
