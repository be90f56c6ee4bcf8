"""Exercises of the topic "Custom layers"."""

TITLE = "Custom layers"
EXERCISES: tuple[str, ...] = (
    "affine",
    "half_fourier",
    "quadratic",
    "running_center",
    "old_layout",
    "per_example",
)
