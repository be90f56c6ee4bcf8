"""A gallery of mistakes: for each code of `diagnose` one net or more with the mistake, and its mended twin.

A case builds everything that `diagnose` is given. The mistake has exactly the finding of its code, at the
places that it names; the twin has no finding at all. The comment `# here` marks the line of the finding.

_case.py         what a case is, and what several cases share
registration.py  what the net uses and does not hold, names, classes that cannot be a module
sharing.py       modules and tensors with several names
training.py      gradients, the optimizer, modes, `.data`
calls.py         how the forward pass calls its layers, and where it writes
values.py        numbers, dtypes, devices
losses.py        what the loss is given, and errors that the call raises
correct.py       unusual nets without a mistake
"""

# Each of these adds its nets, in this order.
from . import registration as registration  # isort: skip
from . import sharing as sharing  # isort: skip
from . import training as training  # isort: skip
from . import calls as calls  # isort: skip
from . import values as values  # isort: skip
from . import losses as losses  # isort: skip
from . import correct as correct  # isort: skip
from ._case import CASES, CORRECT, Case, Given

__all__ = ["CASES", "CORRECT", "Case", "Given"]
