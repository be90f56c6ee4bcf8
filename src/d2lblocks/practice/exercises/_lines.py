"""The reader's line of an error that a check tells in its own words."""

import traceback

from ..answer import Answer

__all__ = ["line_of"]


def line_of(error: Exception, answer: Answer) -> int | None:
    """The last line of the reader's file that took part in the error; None if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == answer.file), None)
