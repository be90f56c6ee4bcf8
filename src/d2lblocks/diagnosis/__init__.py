"""Diagnosis: mistakes in a net, and the meaning of error messages.

diagnose.py   `diagnose`: calls a net, and applies the rules
report.py     what it returns
explain.py    `explain`: what an error message means
rules/        a function for each kind of mistake

_seen.py      what the rules look at: the net after it was called
_watch.py     one call, operation by operation
_held.py      tensors in attributes
_source.py    lines of source
"""

from .diagnose import diagnose
from .report import Finding, Report

__all__ = ["Finding", "Report", "diagnose"]
