"""The Builders' Guide, tested: the modules that the pages teach."""

from d2lblocks.modules import MLP, FixedHiddenMLP, MySequential, NestMLP, Parallel

__all__ = ["MLP", "FixedHiddenMLP", "MySequential", "NestMLP", "Parallel"]
__version__ = "0.1.0"
