"""Exercises of the topic "Parameters"."""

TITLE = "Parameters"
EXERCISES: tuple[str, ...] = ()
