"""Files: tensors, nested lists and dicts of tensors, the parameters of a net, and checkpoints."""

# objects.py      save and load
# nets.py         save_parameters and load_parameters
# checkpoints.py  save_checkpoint and load_checkpoint
# errors.py       DamagedFileError
#
# For all of them:
# _files.py         files that are replaced in one step
# _file_kinds.py    files of other kinds, recognized by their content
# _format.py        safetensors files with checksums
# _states.py        the tensors of a net compared with those of a file
# _renaming.py      names in a file that would fit after renaming
# _lazy_sizes.py    the sizes that lazy layers know, and those they learn from a file
# _loading_code.py  nets with their own loading code
# _changes.py       changes that are made all together, or not at all
#
# For checkpoints:
# _folder.py      the checkpoints in a folder
# _notes.py       everything in a checkpoint besides the tensors of nets
# _parts.py       how to get the state of a part, and how to set it
# _optimizers.py  which parameter a state belongs to
# _trees.py       nested states, split into JSON and tensors

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
