"""Errors that the call raises: where they come from, and what they mean."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from ..explanation import Mistake
from .._seen import Failure, Seen
from .._source import Line, is_torch
from ..explain import explain
from . import Found, rule


@rule("raises", "error", "mistakes.md")
def raises(seen: Seen) -> Iterator[Found]:
    """The error of the forward pass, the loss or the backward pass."""
    failure = seen.failure
    if failure is None:
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
    shown = repr(module) if not list(module.children()) else type(module).__name__
    return f"{shown} got {given(failure.given)}: "


def given(args: tuple[Any, ...]) -> str:
    """Arguments in short: the shapes of tensors, the types of anything else."""
    shown = [f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"type {type(x).__name__}" for x in args]
    return " and ".join(shown) or "nothing"


def first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")


def _line(error: Exception) -> Line | None:
    """The innermost line of the traceback outside PyTorch."""
    trace, line = error.__traceback__, None
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not is_torch(file):
            line = Line(file, trace.tb_lineno)
        trace = trace.tb_next
    return line
