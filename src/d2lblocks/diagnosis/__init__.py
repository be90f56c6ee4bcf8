"""Diagnosis: the mistakes in a net, and the meaning of error messages."""

# mistakes.py       diagnose: calls a net, and applies the rules
# report.py         Report and Finding, what diagnose returns
# _rules/           a function for each kind of mistake
# _seen.py          what the rules look at
# _look.py          calls the net, and records that
# _watch.py         one call, operation by operation
# _held.py          tensors that attributes hold
# _source.py        lines of source
# _target.py        the net of the command `d2lblocks diagnose`
#
# messages.py       explain
# explanation.py    Explanation and Mistake, what explain returns
# uncaught.py       explain_errors
# messages.json     the messages on the pages, made by `make update`
# _messages.py      reads messages.json
# _templates.py     messages with holes, and how to find them in a text
# _text.py          a text without colors, line breaks and lines of code

from .explanation import Explanation, Mistake
from .messages import explain
from .mistakes import diagnose
from .report import Finding, Report
from .uncaught import explain_errors

__all__ = ["Explanation", "Finding", "Mistake", "Report", "diagnose", "explain", "explain_errors"]
