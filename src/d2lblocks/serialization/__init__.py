"""Files: tensors, nested lists and dicts of them, the parameters of a net, and checkpoints."""

# objects.py      save and load
# nets.py         save_parameters and load_parameters
# checkpoints.py  save_checkpoint and load_checkpoint
# errors.py       DamagedFileError
#
# For all of them:
# _files.py         files that are replaced at once
# _file_kinds.py    files of other kinds, recognized by their content
# _format.py        safetensors files with checksums
# _states.py        the tensors of a net beside those of a file
# _renaming.py      names in a file that would fit if they were written in another way
# _lazy_sizes.py    what lazy layers know of their shapes, and learn from a file
# _loading_code.py  nets with code of their own for loading
# _changes.py       changes that are made all together, or not at all
#
# For checkpoints:
# _folder.py      the checkpoints in a folder
# _notes.py       what a checkpoint has besides the tensors of nets
# _parts.py       how to get the state of a part, and how to put one into it
# _optimizers.py  which parameter a state belongs to
# _trees.py       nested states taken apart into JSON and tensors

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
