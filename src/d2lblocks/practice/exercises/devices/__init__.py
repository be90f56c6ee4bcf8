"""Exercises of the topic "Devices"."""

TITLE = "Devices"
EXERCISES: tuple[str, ...] = ("write", "follows", "spread", "norms", "training_bytes", "check_devices")
