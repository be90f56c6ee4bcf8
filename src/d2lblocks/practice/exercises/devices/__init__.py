"""Exercises of the topic "Devices"."""

TITLE = "Devices"
EXERCISES: tuple[str, ...] = ()
