"""Diagnosis: mistakes in a net are named, and error messages are explained."""

# diagnose.py       diagnose: calls a net, and applies the rules
# rules/            a function for each kind of mistake
# report.py         what diagnose returns
# _seen.py          what the rules look at: the net after it was called
# _watch.py         one call, operation by operation
# _held.py          tensors that attributes hold
# _source.py        lines of source
# _target.py        the net of the command `diagnose`
#
# explain.py        explain
# uncaught.py       explain_errors
# messages.json     the messages on the pages, made by `make update`
# _explanation.py   what explain returns
# _messages.py      reads messages.json
# _templates.py     messages with holes, and how to find them in a text
# _text.py          a text without colors, line breaks and lines of code

from ._explanation import Explanation, Mistake
from ._report import Finding, Report
from .diagnose import diagnose
from .explain import explain
from .uncaught import explain_errors

__all__ = ["Explanation", "Finding", "Mistake", "Report", "diagnose", "explain", "explain_errors"]
