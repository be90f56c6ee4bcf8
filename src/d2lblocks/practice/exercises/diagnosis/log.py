"""An explanation in the log."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from d2lblocks.diagnosis import explain

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "diagnosis.md#error-messages-explain"
TASK = """
A script may fail after hours, and its log should then explain the error.
Write `logged(main, path)`, which calls `main()` and returns its result.
If `main` raises an exception, append `str(explain(error))` to the text file `path`, and let the same exception go on.
Keep what the file holds already.
"""
STUB = """\
from d2lblocks import explain


def logged(main, path):
    ...
"""
SOLUTION = """\
from d2lblocks import explain


def logged(main, path):
    try:
        return main()
    except Exception as error:
        with open(path, "a") as log:
            log.write(f"{explain(error)}\\n")
        raise
"""
HINTS = (
    "Which statement raises the exception again that an `except` has caught?",
    "Read diagnosis.md#error-messages-explain: `explain` also takes the exception itself.",
    'In `except Exception as error:`, open the file with `open(path, "a")`, write the explanation, and end with `raise`.',
)
AFTER = """
The same exception goes on, with its traceback, so the script still fails.
To print the explanation below the traceback instead, call `explain_errors()` in the first lines of the script.
"""


def wrong_shape() -> Any:
    """Fail in a matrix product."""
    return nn.Linear(20, 10)(torch.rand(56, 28))


def no_file() -> Any:
    """Fail in loading."""
    return nn.Linear(20, 10).load_state_dict("net.pt")  # type: ignore[arg-type]


def check(answer: Answer) -> None:
    """The result is returned; an error is explained in the file, below what is there, and goes on."""
    logged = answer.function("logged")
    log = Path("run.txt")
    files = {log, *Path().iterdir()}
    log.write_text("epoch 1\n")
    for expected in 0.25, 0.0:
        answer.given = f"`main`, which returns {expected}"
        calls: list[int] = []
        main = _returning(expected, calls)
        result = logged(main, "run.txt")
        if len(calls) != 1:
            why = "`main()` has to be called once."
            if result is main:
                why = "The function `main` itself is returned: without parentheses, it is not called."
            raise Wrong(why, came=f"{len(calls)} calls", expected="1 call")
        answer.same(result, expected, "logged(main, path)", "The result of `main()` is not returned.")
    answer.same(
        log.read_text(), "epoch 1\n", "the file", "Something was written, although `main` did not fail."
    )
    for error in (
        *map(_error_of, (no_file, wrong_shape)),
        ValueError("seven"),
    ):  # the last has no explanation
        answer.given = f"`main`, which raises a {type(error).__name__}: {error}"
        before = log.read_text()
        _run(answer, logged, error)
        text = log.read_text()
        if not text.startswith(before):
            raise Wrong(
                'What the file held is not there anymore: the mode `"w"` empties a file, `"r+"` writes over its beginning, and `"a"` appends.',
                came=f"the file begins with {text[:20]!r}",
                expected=f"the file begins with {before[:20]!r}",
            )
        added = _letters(text[len(before) :])
        if _letters(str(explain(error))) not in added:
            why = "The explanation of the error is not in the file."
            if not added:
                why = "Nothing was written: does `except` catch every `Exception`, do the lines that write come before `raise`, and is the file closed, as `with open(...)` does?"
            if not added and (others := sorted({*Path().iterdir()} - files)):
                why = f"The text is in the file `{others[0]}`, not in the file `path`."
            if _letters(str(error)) in added:
                why = "The file has the message of the error but not its explanation, which `explain(error)` gives."
            raise Wrong(why, came=text[len(before) :] or "no text", expected=str(explain(error)))
    log.unlink()
    answer.given = "a path where there is no file yet"
    _run(answer, logged, error)
    if not log.is_file():
        raise Wrong("There still is no file.", came="no file", expected=str(explain(error)))


def _returning(value: float, calls: list[int]) -> Callable[[], float]:
    """A function that returns this value, and counts its calls."""

    def main() -> float:
        calls.append(1)
        return value

    main.__qualname__ = "main"  # the name in error messages
    return main


def _error_of(fail: Callable[[], Any]) -> Exception:
    """The exception that a function raises."""
    try:
        fail()
    except Exception as error:
        return error
    raise AssertionError(fail)


def _run(answer: Answer, logged: Callable[..., Any], error: Exception) -> None:
    """Call the reader's function with one that raises the error, which has to come out."""

    def main() -> None:
        raise error

    main.__qualname__ = "main"
    try:
        logged(main, "run.txt")
    except Exception as caught:
        if caught is error:
            return
        if caught.__cause__ is None and _letters(str(error)) not in _letters(str(caught)):
            lines = [
                line
                for frame, line in traceback.walk_tb(caught.__traceback__)
                if frame.f_code.co_filename == answer.file
            ]
            why = "The lines after `except` raised an exception of their own."
            if isinstance(caught, FileNotFoundError):
                why = 'The file may not exist yet: the mode `"a"` makes one then.'
            elif "must be str" in str(caught):
                why = "`explain` returns an object, and only its text, `str(explain(error))`, can be written."
            raise Wrong(
                why, came=f"{type(caught).__name__}: {caught}", at=lines[-1] if lines else None
            ) from None
        raise Wrong(
            "Another exception came out: the caller may wait for the one that was caught.",
            came=repr(caught),
            expected=repr(error),
        ) from None
    raise Wrong(
        "No exception comes out, so the script goes on as if nothing had happened: what `except` catches ends there.",
        came="no exception",
        expected=repr(error),
    )


def _letters(text: str) -> str:
    """The letters and digits of a text, without the line breaks and marks between them."""
    return "".join(filter(str.isalnum, text))


WRONG = (
    WrongAnswer("returns an object", changes={'f"{explain(error)}\\n"': "explain(error)"}),
    WrongAnswer("is not called", changes={"main()": "main"}),
    WrongAnswer("every `Exception`", changes={"except Exception": "except ValueError"}),
    WrongAnswer("in the file `log.txt`", changes={"open(path": 'open("log.txt"'}),
    WrongAnswer("No exception comes out", changes={"        raise\n": ""}),
    WrongAnswer("What the file held is not there", changes={'"a"': '"w"'}),
    WrongAnswer(
        "may not exist yet", changes={"        with open": "        open(path).close()\n        with open"}
    ),
    WrongAnswer("but not its explanation", changes={"{explain(error)}": "{error}"}),
    WrongAnswer("is not returned", changes={"return main()": "main()"}),
    WrongAnswer(
        "Another exception",
        changes={"        raise\n": "        raise RuntimeError(str(error)) from error\n"},
    ),
)
