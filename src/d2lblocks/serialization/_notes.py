"""The notes of a checkpoint: the step, the loss, and the states of all parts that are not nets."""

import operator
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from d2lblocks._random import random_states

from ._format import FileContent
from ._optimizers import Groups, Names, Parameter, described
from ._parts import state_of
from ._trees import ClassNotLoadedError, packed, unpacked, with_strides
from .errors import DamagedFileError


class Kind(NamedTuple):
    """The name of a part's class, and the parameters if the part is an optimizer."""

    name: str
    groups: Groups


class Notes(NamedTuple):
    """The notes of a checkpoint, with the states of only the parts to be loaded."""

    step: int
    nets: list[str]
    # The entries of nets' `state_dict` that are not tensors, by the net's name and their own name.
    extra: dict[str, Any]
    kinds: dict[str, Kind]
    states: dict[str, Any]
    random: Any


def written_notes(
    step: int,
    loss: float | None,
    nets: Sequence[str],
    extra: Mapping[str, Any],
    others: Mapping[str, Any],
    names: Names,
    tensors: dict[str, Tensor],
) -> dict[str, Any]:
    """The notes as JSON data; their tensors are added to `tensors`."""
    kinds = {name: Kind(type(part).__name__, described(part, names)) for name, part in others.items()}
    return {
        "step": step,
        "loss": None if loss is None else float(loss),
        "nets": list(nets),
        "extra": {name: packed(value, f"extra state of {name}", tensors) for name, value in extra.items()},
        # Two keys, because version 0.1.0 wrote and reads only the shapes.
        "kinds": {
            name: (kind.name, [[p.shape for p in group] for group in kind.groups])
            for name, kind in kinds.items()
        },
        "parameters": {
            name: [[p[1:] for p in group] for group in kind.groups] for name, kind in kinds.items()
        },
        "states": {name: packed(state_of(part), name, tensors) for name, part in others.items()},
        "random": packed(random_states(), "", tensors),
    }


def read_notes(file: FileContent, parts: Mapping[str, Any], path: Path) -> Notes:
    """The notes of a file, with the states of only these parts; raise an error if the notes are invalid."""
    unread = set(file.names)
    tensors: dict[str, Tensor] = {}

    def tensor(name: str, strides: Sequence[int] | None) -> Tensor:
        unread.remove(name)  # a second use is an error: otherwise a small file could fill the memory
        first = file.ties.get(name, name)
        if first not in tensors:
            stored = file[first]
            tensors[first] = stored.clone() if strides is None else with_strides(stored, strides)
        return tensors[first]

    others = {name for name, part in parts.items() if not isinstance(part, nn.Module)}
    try:
        notes = file.notes
        kinds = {
            name: Kind(kind, _groups(shapes, notes.get("parameters", {}).get(name)))
            for name, (kind, shapes) in notes["kinds"].items()
        }
        states = {name: unpacked(notes["states"][name], tensor) for name in kinds if name in others}
        extra = {
            name: unpacked(value, tensor)
            for name, value in notes.get("extra", {}).items()
            if name.partition(".")[0] in parts
        }
        random = unpacked(notes["random"], tensor)
        return Notes(operator.index(notes["step"]), list(notes["nets"]), extra, kinds, states, random)
    except ClassNotLoadedError as error:
        reason = f"it has an object of {error}, which this program has not imported"
        raise RuntimeError(f"cannot load {os.fspath(path)}: {reason}") from error
    except Exception as error:  # not because of a damaged tensor: all checksums were compared before
        raise DamagedFileError(f"cannot load {os.fspath(path)}: it is not a checkpoint: {error!r}") from error


def _groups(shapes: Any, more: Any) -> Groups:
    """The stored descriptions of an optimizer's parameters; version 0.1.0 stored only their shapes."""
    if more is None:
        more = [[()] * len(group) for group in shapes]
    return [
        [_parameter(shape, *rest) for shape, rest in zip(group, rests, strict=True)]
        for group, rests in zip(shapes, more, strict=True)
    ]


def _parameter(shape: Any, strides: Any = None, *names: Any) -> Parameter:
    if not all(isinstance(name, str | None) for name in names):
        raise TypeError(f"names of a parameter that are not text: {names}")
    sizes, steps = (None if each is None else [*map(operator.index, each)] for each in (shape, strides))
    return Parameter(None if sizes is None else tuple(sizes), steps, *names)
