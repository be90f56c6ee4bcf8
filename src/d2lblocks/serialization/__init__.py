"""Files: tensors, nested lists and dicts of them, the parameters of a net, and checkpoints."""

# objects.py      save and load
# nets.py         save_parameters and load_parameters
# checkpoints.py  save_checkpoint and load_checkpoint
# errors.py       DamagedFileError
#
# For all of them:
# _files.py    files that are replaced at once
# _format.py   safetensors files with checksums
# _states.py   the tensors of a net beside those of a file
# _trees.py    nested states taken apart into JSON and tensors
# _folder.py   the checkpoints in a folder
# _changes.py  changes that are made all together, or not at all

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
