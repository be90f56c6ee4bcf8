"""Sentences that the pages do not have: those of notebooks and scripts, which are made from pages."""

NOTEBOOK = 'This is the page "{}" of d2lblocks as a notebook: made from the page, and executed.'
SCRIPT = 'This is the page "{}" of d2lblocks as a script: made from the page, and executed.'
NEEDS = "It needs {}."
AND = "{} and {}"
COMMA = ", "  # between the names of packages
INSTALL = "In a clone of its repository, `pip install .` installs `d2lblocks`."
GPUS = "What needs a CUDA GPU says so: without one it fails or prints other things; the rest runs."
EXERCISE = "Exercise {}"
SOLUTION = "Solution"
FOLDED = "{}:"
SOURCE = "The library's own source, from `{}`:"
ONE_GPU = "Needs a CUDA GPU."
SOME_GPUS = "Needs {} CUDA GPUs."
PICTURE = "(A picture: {})"

PHRASES = [
    NOTEBOOK, SCRIPT, NEEDS, AND, COMMA, INSTALL, GPUS, EXERCISE, SOLUTION, FOLDED, SOURCE, ONE_GPU,
    SOME_GPUS, PICTURE,
]  # fmt: skip
