"""Exercises of the topic "Lazy initialization"."""

TITLE = "Lazy initialization"
EXERCISES: tuple[str, ...] = ()
