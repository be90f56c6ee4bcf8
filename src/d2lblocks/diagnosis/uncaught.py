"""Explanations of errors that nothing catches, in programs, threads and notebooks."""

import contextlib
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from .messages import explain

__all__ = ["explain_errors"]
FIRST_LINE = "d2lblocks explains:"


def explain_errors() -> None:
    """From now on, add an explanation to each error that nothing catches.

    The explanation is a note below the traceback.
    An error that no page explains stays as it is.
    It works in a program, in its threads, in IPython and in a notebook; calling it again changes nothing.

    Examples:
        ```python
        import sys
        from d2lblocks import explain_errors

        before = sys.excepthook
        explain_errors()
        print(sys.excepthook is before)
        #> False
        ```
    """
    if not getattr(sys.excepthook, "_explains", False):
        sys.excepthook = _program(sys.excepthook)
    if not getattr(threading.excepthook, "_explains", False):
        threading.excepthook = _thread(threading.excepthook)
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython else None
    if shell is not None and not getattr(shell.showtraceback, "_explains", False):
        shell.showtraceback = _notebook(shell.showtraceback)


def _add_explanation(error: BaseException | None) -> None:
    """Add the explanation to an error, once. Whatever happens, the error stays."""
    with contextlib.suppress(Exception):
        notes = getattr(error, "__notes__", [])
        if error is None or any(str(note).startswith(FIRST_LINE) for note in notes):
            return
        if explanation := explain(error):
            error.add_note(f"{FIRST_LINE}\n{explanation}")


def _program(previous: Callable[..., Any]) -> Callable[..., Any]:
    def excepthook(
        kind: type[BaseException], error: BaseException, frames: TracebackType | None = None
    ) -> None:
        _add_explanation(error)
        previous(kind, error, frames)

    excepthook._explains = True  # type: ignore[attr-defined]
    return excepthook


def _thread(previous: Callable[..., Any]) -> Callable[..., Any]:
    def excepthook(args: threading.ExceptHookArgs) -> None:
        _add_explanation(args.exc_value)
        previous(args)

    excepthook._explains = True  # type: ignore[attr-defined]
    return excepthook


def _notebook(previous: Callable[..., Any]) -> Callable[..., Any]:
    def showtraceback(exc_tuple: Any = None, *args: Any, **options: Any) -> Any:
        with contextlib.suppress(Exception):
            _add_explanation(exc_tuple[1] if exc_tuple else sys.exc_info()[1])
        return previous(exc_tuple, *args, **options)

    showtraceback._explains = True  # type: ignore[attr-defined]
    return showtraceback
