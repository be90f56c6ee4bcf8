"""The rules of `diagnose`: a function for each kind of mistake, which looks at a net that was called.

To add one, write a function with `@rule` in one of these files, its net and its twin in `tests/gallery/`,
and the line that names its code in the entry that teaches it. CONTRIBUTING explains each step.

_rule.py          what a rule is, and the table of all rules
structure.py      classes that cannot be a module
registration.py   what the net uses and does not hold
naming.py         misspelt names, names with dots
sharing.py        modules and tensors with several names
training.py       gradients, modes, the optimizer
equal_units.py    units of a layer that stay equal
calls.py          how the forward pass calls and writes
values.py         numbers: NaN, scales, dead units, rounded buffers
mixed.py          several dtypes or devices
losses.py         what the loss function is given
failures.py       errors that the call raises
"""

# Each of these adds its rules to the table, in this order.
from . import failures as failures  # isort: skip
from . import structure as structure  # isort: skip
from . import registration as registration  # isort: skip
from . import naming as naming  # isort: skip
from . import sharing as sharing  # isort: skip
from . import training as training  # isort: skip
from . import calls as calls  # isort: skip
from . import mixed as mixed  # isort: skip
from . import values as values  # isort: skip
from . import losses as losses  # isort: skip
from . import equal_units as equal_units  # isort: skip
from ._rule import PART, RULES, Found, Rule, findings, rule

__all__ = ["PART", "RULES", "Found", "Rule", "findings", "rule"]
