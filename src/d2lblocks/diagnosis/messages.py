"""The explanation of an error message: which mistakes on the pages it fits."""

import inspect
import os
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ._messages import known
from ._text import Text
from .explanation import Explanation, Mistake

__all__ = ["explain"]
MOST = 20  # errors of a chain or a group that are read


def explain(error: BaseException | str) -> Explanation:
    """Say what an error message means: the mistakes on the pages that it fits, with cause, fix and link.

    The most specific mistake comes first.
    Nothing is guessed: a message that is on no page gives an empty explanation, which says where to search.

    Args:
        error: the exception, or text: a message, a line of it, a warning or a whole traceback, as a terminal,
            a notebook or a log shows it.
            Of an exception, its notes are read too, the errors that led to it, and those in its group.

    Returns:
        the mistakes; print them, or take them one by one.

    Raises:
        TypeError: if `error` is neither an exception nor text.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import explain

        class Net(nn.Module):
            def __init__(self):
                self.layer = nn.Linear(20, 10)

        try:
            Net()
        except AttributeError as error:
            print(explain(error))
        #> cannot assign module before Module.__init__() call
        #>   Cause: A layer, parameter or buffer was assigned before nn.Module.__init__ had
        #>          run.
        #>   Fix:   Make super().__init__() the first line of __init__.
        #>   Page:  modules.md#cannot-assign-module-before-module__init__-call
        print(explain("division by zero"))
        #> No page explains this message.
        #> Look for a part of it, or for what you see, on the page mistakes.md.
        ```
    """
    if isinstance(error, str):
        found = list(_matches(Text(error), frozenset()))
    elif isinstance(error, BaseException):
        found = [each for one in _related(error) for each in _matches(_text_of(one), _classes(one))]
    else:
        raise TypeError(f"expected an exception or the text of a message, but got {_what(error)}")
    best: dict[str, Mistake] = {}
    for _, mistake in sorted(found, key=lambda pair: -pair[0]):
        best.setdefault(mistake.link, mistake)
    return Explanation(tuple(best.values()))


def _what(value: Any) -> str:
    """The class of an argument that cannot be explained, with a hint."""
    if isinstance(value, type) and issubclass(value, BaseException):
        return f"the class {value.__name__}: pass the exception itself, as in `except ... as error`"
    name = type(value).__name__
    if isinstance(value, bytes | bytearray):
        return f"{name}: decode it first, as in text.decode()"
    if hasattr(value, "message") and hasattr(value, "category"):  # what warnings.catch_warnings records
        return f"{name}: pass its message"
    if isinstance(value, os.PathLike) or hasattr(value, "read"):
        return f"{name}: pass the text of the file"
    return name


def _matches(text: Text, classes: frozenset[str]) -> Iterator[tuple[float, Mistake]]:
    """Yield the mistakes that a text fits, each with how specific its best message is."""
    for mistake, templates in known():
        score, line = max((template.score(text, classes) for template in templates), default=(0, ""))
        if score:
            # Where two are equally specific, one that says what to do comes first.
            yield score + bool(mistake.fix) / 4, replace(mistake, message=line)


def _related(error: BaseException) -> list[BaseException]:
    """The error, and those that led to it or are in its group, each once."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < MOST:
        one = waiting.pop(0)
        if one is None or any(one is each for each in found):
            continue
        found.append(one)
        waiting += [one.__cause__, None if one.__suppress_context__ else one.__context__]
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return found


def _text_of(error: BaseException) -> Text:
    """The traceback and the message of one error, and what is known of its object."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), limit=-50)
    try:
        said = str(error)
    except Exception:  # a class may define __str__ wrongly
        said = ""
    notes = getattr(error, "__notes__", ())
    notes = [note for note in notes if isinstance(note, str)] if isinstance(notes, list | tuple) else []
    return Text("\n".join([*frames.format(), f"{type(error).__name__}: {said}", *notes, *_facts(error)]))


def _facts(error: BaseException) -> Iterator[str]:
    """Yield what the object of an AttributeError tells; templates ask for it."""
    if isinstance(error, AttributeError) and error.name and error.obj is not None:
        there = inspect.getattr_static(type(error.obj), error.name, None)
        yield f"The class has {'no' if there is None else 'an'} attribute of this name."


def _classes(error: BaseException) -> frozenset[str]:
    return frozenset(kind.__name__ for kind in type(error).__mro__)
