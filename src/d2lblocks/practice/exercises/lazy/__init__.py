"""Exercises of the topic "Lazy initialization"."""

TITLE = "Lazy initialization"
EXERCISES: tuple[str, ...] = ("waiting", "decay", "fits", "any_size", "count", "dry_run", "draw_again")
