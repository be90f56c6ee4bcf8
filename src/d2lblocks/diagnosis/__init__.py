"""What is wrong: error messages explained."""

# explain.py        explain
# explanation.py    Explanation and Mistake, what explain returns
# uncaught.py       explain_errors
# messages.json     the messages on the pages, made by `make update`
#
# For both:
# _messages.py      reads messages.json
# _templates.py     messages with holes, and how to find them in a text
# _text.py          a text without colors, line breaks and lines of code

from .explain import explain
from .explanation import Explanation, Mistake
from .uncaught import explain_errors

__all__ = ["Explanation", "Mistake", "explain", "explain_errors"]
