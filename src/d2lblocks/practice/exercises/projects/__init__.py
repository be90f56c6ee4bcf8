"""Exercises of the topic "Projects"."""

TITLE = "Projects"
EXERCISES: tuple[str, ...] = ("digits", "stranger")
