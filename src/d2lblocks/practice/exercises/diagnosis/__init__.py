"""Exercises of the topic "Diagnosis"."""

TITLE = "Diagnosis"
EXERCISES: tuple[str, ...] = ()
