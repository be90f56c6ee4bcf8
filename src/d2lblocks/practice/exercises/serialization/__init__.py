"""Exercises of the topic "File I/O"."""

TITLE = "File I/O"
EXERCISES: tuple[str, ...] = ()
