"""The Builders' Guide, tested: the modules that the pages teach."""

from d2lblocks.modules import MLP, FixedHiddenMLP, MySequential, NestMLP, Parallel
from d2lblocks.parameters import (
    ParameterTable,
    Row,
    get_tensor,
    parameter_table,
    set_tensor,
    shared_names,
)

__all__ = [
    "MLP",
    "FixedHiddenMLP",
    "MySequential",
    "NestMLP",
    "Parallel",
    "ParameterTable",
    "Row",
    "get_tensor",
    "parameter_table",
    "set_tensor",
    "shared_names",
]
__version__ = "0.1.0"
