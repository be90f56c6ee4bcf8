"""The exercises: a folder for each topic, in this order, and a file for each exercise.

The `__init__.py` of a topic has its title and the names of its exercises in order.
"""

TOPICS = (
    "modules",
    "parameters",
    "init",
    "lazy",
    "layers",
    "serialization",
    "devices",
    "diagnosis",
    "projects",
)
