"""Files: tensors, nested lists and dicts of them, the parameters of a net, and checkpoints."""

from .checkpoints import load_checkpoint, save_checkpoint
from .errors import DamagedFileError
from .nets import load_parameters, save_parameters
from .objects import load, save

__all__ = [
    "DamagedFileError",
    "load",
    "load_checkpoint",
    "load_parameters",
    "save",
    "save_checkpoint",
    "save_parameters",
]
