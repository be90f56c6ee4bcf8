"""Exercises of the topic "Parameters"."""

TITLE = "Parameters"
EXERCISES: tuple[str, ...] = ("by_path", "shared", "freeze", "tied", "decay_groups", "ties")
