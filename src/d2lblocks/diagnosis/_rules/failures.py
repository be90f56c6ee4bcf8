"""Errors that the call raises: where they come from, and what they mean."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from torch import Tensor

from .._seen import Failure, Seen
from .._source import Line, is_torch
from ..explanation import Mistake
from ..messages import explain
from ._rule import Found, rule
from .mixed import differing_devices, differing_dtypes, first_line


@rule("raises", "error", "mistakes.md")
def raises(seen: Seen) -> Iterator[Found]:
    """The error of the forward pass, the loss or the backward pass."""
    failure = seen.failure
    if failure is None or differing_dtypes(seen) or differing_devices(seen):
        return
    path = seen.path(failure.call.module) if failure.call else ""
    name = path or ("net" if failure.during == "forward" else failure.during)
    text = f"{_where(failure)}{type(failure.error).__name__}: {first_line(failure.error)}"
    known = _explained(failure.error)
    yield Found(
        (name,),
        f"{text}\n{known.cause}" if known else text,
        known.fix if known else "Search the list of mistakes for the message.",
        _line(failure.error),
        page=known.link if known else "",
    )


def _explained(error: Exception) -> Mistake | None:
    """The mistake on the pages that fits the error best, if it says what to do."""
    return next((mistake for mistake in explain(error) if mistake.fix), None)


def _where(failure: Failure) -> str:
    if failure.call is None:
        return f"In the {failure.during} pass: " if failure.during == "backward" else ""
    module = failure.call.module
    shown = type(module).__name__
    if not list(module.children()):
        with suppress(Exception):  # from an extra_repr
            shown = repr(module)
    return f"{shown} got {given(failure.given)}: "


def given(args: tuple[Any, ...]) -> str:
    """Arguments in short: the shapes of tensors, the types of anything else."""
    shown = [f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"type {type(x).__name__}" for x in args]
    return " and ".join(shown) or "nothing"


def _line(error: Exception) -> Line | None:
    """The innermost line of the traceback outside PyTorch."""
    trace, line = error.__traceback__, None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not is_torch(file):
            line = Line(file, trace.tb_lineno)
        trace = trace.tb_next
    return line
