"""Exercises of the topic "Layers and modules"."""

TITLE = "Layers and modules"
EXERCISES: tuple[str, ...] = ("tower", "constant", "both", "chain", "shapes", "no_loop")
