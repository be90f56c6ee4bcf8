"""Exercises of the topic "Diagnosis"."""

TITLE = "Diagnosis"
EXERCISES: tuple[str, ...] = ("heads", "intended", "log", "learn", "same_run", "constants")
