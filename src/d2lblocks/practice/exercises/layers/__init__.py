"""Exercises of the topic "Custom layers"."""

TITLE = "Custom layers"
EXERCISES: tuple[str, ...] = ()
