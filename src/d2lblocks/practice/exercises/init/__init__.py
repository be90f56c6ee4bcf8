"""Exercises of the topic "Initialization"."""

TITLE = "Initialization"
EXERCISES: tuple[str, ...] = ()
