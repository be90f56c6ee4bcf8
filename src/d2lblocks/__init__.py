"""The Builders' Guide, tested: the modules that the pages teach.

modules.py      blocks made of other modules
parameters.py   what a net contains, which tensors it shares, and how to reach them by name
init.py         the values that a net starts with
lazy.py         layers that take their sizes from the first batch
layers.py       layers with parameters of their own
serialization/  files: tensors, the parameters of a net, checkpoints
devices.py      devices by number
diagnosis/      mistakes in a net named, error messages explained
practice/       exercises that are checked as the reader saves them

Used by all of them:
_arguments.py  arguments of the wrong kind, refused with a hint
_tensors.py    the tensors of a net by name, and their place in memory
_snapshot.py   nets, optimizers and random numbers, to be restored later
_memory.py     the tensors of a snapshot
_random.py     the global random number generators

The command `d2lblocks`:
_command.py    its commands
__main__.py    the same as `python -m d2lblocks`
"""

from d2lblocks.devices import cpu, gpu, num_gpus, try_all_gpus, try_gpu
from d2lblocks.diagnosis import Explanation, Finding, Mistake, Report, diagnose, explain, explain_errors
from d2lblocks.init import (
    hardshrink_uniform_,
    init_42,
    init_by_type,
    init_constant,
    init_normal,
    init_xavier,
    my_init,
)
from d2lblocks.layers import CenteredLayer, MyLazyLinear, MyLinear
from d2lblocks.lazy import apply_init, uninitialized_names
from d2lblocks.modules import MLP, FixedHiddenMLP, MySequential, NestMLP, Parallel
from d2lblocks.parameters import (
    ParameterTable,
    Row,
    get_tensor,
    parameter_table,
    set_tensor,
    shared_names,
)
from d2lblocks.serialization import (
    DamagedFileError,
    load,
    load_checkpoint,
    load_parameters,
    save,
    save_checkpoint,
    save_parameters,
)

__all__ = [
    "MLP",
    "CenteredLayer",
    "DamagedFileError",
    "Explanation",
    "Finding",
    "FixedHiddenMLP",
    "Mistake",
    "MyLazyLinear",
    "MyLinear",
    "MySequential",
    "NestMLP",
    "Parallel",
    "ParameterTable",
    "Report",
    "Row",
    "apply_init",
    "cpu",
    "diagnose",
    "explain",
    "explain_errors",
    "get_tensor",
    "gpu",
    "hardshrink_uniform_",
    "init_42",
    "init_by_type",
    "init_constant",
    "init_normal",
    "init_xavier",
    "load",
    "load_checkpoint",
    "load_parameters",
    "my_init",
    "num_gpus",
    "parameter_table",
    "save",
    "save_checkpoint",
    "save_parameters",
    "set_tensor",
    "shared_names",
    "try_all_gpus",
    "try_gpu",
    "uninitialized_names",
]
__version__ = "0.1.0"
