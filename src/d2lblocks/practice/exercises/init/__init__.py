"""Exercises of the topic "Initialization"."""

TITLE = "Initialization"
EXERCISES: tuple[str, ...] = ("linear", "four", "gain", "residual", "gpt2", "by_name")
