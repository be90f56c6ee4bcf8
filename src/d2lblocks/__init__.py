"""The Builders' Guide, tested: the modules that the pages teach."""

from d2lblocks.devices import cpu, gpu, num_gpus, try_all_gpus, try_gpu
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
    "FixedHiddenMLP",
    "MyLazyLinear",
    "MyLinear",
    "MySequential",
    "NestMLP",
    "Parallel",
    "ParameterTable",
    "Row",
    "apply_init",
    "cpu",
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
