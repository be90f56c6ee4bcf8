"""Exercises of the topic "File I/O"."""

TITLE = "File I/O"
EXERCISES: tuple[str, ...] = ("save_net", "best", "transfer", "data_parallel", "rebuild")
