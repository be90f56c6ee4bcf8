"""Checkpoints of a training run: all that it needs to go on, in one file for each step that is kept."""

import operator
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from d2lblocks._random import random_states, set_random_states

from ._changes import all_or_nothing, uninterrupted
from ._files import FilePath, make_folder, replacing
from ._folder import candidates, path_of, remove_unwanted
from ._format import FileContent, reading, write
from ._states import (
    check_loadable,
    check_storable,
    compare,
    compare_names,
    fill,
    misfit,
    named_state,
    split_ties,
)
from ._trees import packed, unpacked
from .errors import DamagedFileError


def save_checkpoint(
    folder: FilePath, step: int, *, keep: int = 3, loss: float | None = None, **parts: Any
) -> Path:
    """Write a checkpoint of a training run, and remove those that are no longer wanted.

    The file `step-STEP.safetensors` holds the parameters and buffers of nets, what `state_dict` gives of all
    other parts, the step, and the random states of Python, NumPy (if it is imported), torch and its GPUs.
    It is written as by `save_parameters`: whole or not at all, with checksums, shared tensors once.

    Of this step and earlier ones, the last `keep` checkpoints stay, and the one with the smallest loss.
    Those of later steps, from which a run went back, stay as well.

    Args:
        folder: where the checkpoints of this run are; it is made if there is none.
        step: the number of steps done, zero or more; a checkpoint of the same step is replaced.
        keep: how many of the last checkpoints stay, one or more.
        loss: how good the net is, if known: the smaller, the better.
        parts: nets, and other objects with `state_dict` and `load_state_dict`, such as
            optimizers, schedulers and gradient scalers, by the names under which they will be loaded.

    Returns:
        the path of the file.

    Raises:
        TypeError: when a part has no `state_dict`, or its state holds what a file cannot;
            the message says where.
        ValueError: when a tensor is lazy or on the meta device, `step` or `keep` is too small,
            or the plain values, such as numbers, take more than the format has a place for.
        OSError: when the file cannot be written; the older checkpoints are all there.

    Examples:
        ```python
        import torch
        from d2lblocks import MLP, save_checkpoint

        net = MLP(20)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        for step in range(1, 6):
            path = save_checkpoint("run", step, keep=2, net=net, optimizer=optimizer)
        print(path.name, sorted(path.name for path in path.parent.iterdir()))
        #> step-5.safetensors ['step-4.safetensors', 'step-5.safetensors']
        ```
    """
    step, keep = int(operator.index(step)), operator.index(keep)
    _check_arguments(step, keep, parts)
    nets = _nets(parts)
    others = {name: part for name, part in parts.items() if name not in nets}
    state = _named_states(nets)
    check_storable(state)
    tensors, ties = split_ties(state)
    notes = {
        "step": step,
        "loss": None if loss is None else float(loss),
        "nets": list(nets),
        "kinds": {name: _kind(part) for name, part in others.items()},
        "states": {name: packed(part.state_dict(), name, tensors) for name, part in others.items()},
        "random": packed(random_states(), "", tensors),
    }
    path = path_of(Path(folder), step)
    make_folder(path.parent)
    with replacing(path) as file:
        write(file, tensors, ties, notes)
    remove_unwanted(path.parent, step, keep)
    return path


def load_checkpoint(folder: FilePath, which: int | str = "last", **parts: Any) -> int | None:
    """Go on from a checkpoint: the last one, unless told otherwise, that is whole.

    Everything is checked before the first value changes. Nets keep their tensors, as with `load_parameters`;
    other parts get theirs by `load_state_dict`; the random states are set.

    Args:
        folder: where `save_checkpoint` has put the checkpoints.
        which: `"last"`, `"best"` for the one with the smallest loss, or the number of a step.
            Of the first two, a damaged checkpoint is skipped with a warning, and the next one taken.
        parts: what to load into, by the names under which it was saved; others are not loaded.

    Returns:
        the number of steps done; None if there is no checkpoint, and then nothing has changed.

    Raises:
        RuntimeError: when the checkpoint does not fit, with all that does not. Nothing has changed.
        DamagedFileError: when the checkpoint of that step, or every one, is damaged. Nothing has changed.
        FileNotFoundError: when there is no checkpoint of that step.
        ValueError: when a net is on the meta device.

    Examples:
        ```python
        import torch
        from d2lblocks import MLP, load_checkpoint, save_checkpoint

        net = MLP(20)
        print(load_checkpoint("run", net=net))
        #> None
        save_checkpoint("run", 100, net=net)
        print(load_checkpoint("run", net=net))
        #> 100
        ```
    """
    damaged: dict[Path, DamagedFileError] = {}
    while untried := [path for path in candidates(Path(folder), which) if path not in damaged]:
        path = untried[0]
        try:
            # Outside of inference mode, or an optimizer could not change its state later.
            with torch.inference_mode(False), reading(path) as file:
                file.verify()
                return _load(file, parts, path)
        except FileNotFoundError:  # another process has removed it, and written a later one
            if isinstance(which, int):
                raise
        except DamagedFileError as error:
            if isinstance(which, int):
                raise
            warnings.warn(f"skipped: {error}", stacklevel=2)
            damaged[path] = error
    if damaged:
        first = next(iter(damaged.values()))
        raise DamagedFileError(f"every checkpoint in {os.fspath(folder)} is damaged") from first
    return None


def _load(file: FileContent, parts: dict[str, Any], path: Path) -> int:
    """Check everything, then change everything."""
    notes = _read_notes(file, parts, path)
    state = _named_states({name: net for name, net in _nets(parts).items() if name in notes.nets})
    check_loadable(state)
    problems, copies = compare(file, state)
    for name, part in parts.items():
        problems += [f"{name}: {problem}" for problem in _part_problems(name, part, notes, file, state)]
    head = f"Error(s) in loading the checkpoint {os.fspath(path)}:"
    if problems:
        raise misfit(head, problems)
    changes = [(name, parts[name].load_state_dict, saved) for name, saved in notes.states.items()]
    changes.append(("random states", set_random_states, notes.random))
    with uninterrupted(), all_or_nothing([parts[name] for name in notes.states]):
        for name, change, saved in changes:
            try:
                change(saved)
            except Exception as error:
                raise misfit(head, [f"{name}: {error!r}"]) from error
        fill(copies)
    return notes.step


def _check_arguments(step: int, keep: int, parts: Mapping[str, Any]) -> None:
    if step < 0 or keep < 1:
        raise ValueError(f"expected step >= 0 and keep >= 1, but got step={step} and keep={keep}")
    for name, part in parts.items():
        if not name.isidentifier():  # a dot would mix up the names of its tensors and another part's
            raise ValueError(f"expected names of parts like those of variables, but got {name!r}")
        if not hasattr(part, "state_dict") or not hasattr(part, "load_state_dict"):
            kind = f"{type(part).__module__}.{type(part).__qualname__}".removeprefix("builtins.")
            raise TypeError(f"cannot save '{name}': {kind} has no state_dict and load_state_dict")


def _nets(parts: Mapping[str, Any]) -> dict[str, nn.Module]:
    return {name: part for name, part in parts.items() if isinstance(part, nn.Module)}


def _named_states(nets: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The tensors of several nets, by the names of the nets and their own."""
    return {key: tensor for name, net in nets.items() for key, tensor in named_state(net, f"{name}.").items()}


class _Kind(NamedTuple):
    """The class of an object, and the shapes of what an optimizer optimizes, if they are known already."""

    name: str
    groups: list[list[Any]]


def _kind(part: Any) -> _Kind:
    groups = part.param_groups if isinstance(part, torch.optim.Optimizer) else []
    shapes = [[None if is_lazy(p) else tuple(p.shape) for p in group["params"]] for group in groups]
    return _Kind(type(part).__name__, shapes)


class _Notes(NamedTuple):
    """What a checkpoint has beside the tensors of nets."""

    step: int
    nets: list[str]
    kinds: dict[str, _Kind]
    states: dict[str, Any]
    random: Any


def _read_notes(file: FileContent, parts: Mapping[str, Any], path: Path) -> _Notes:
    """The notes of a file, with the states of these parts only; an error if a checkpoint has others."""
    unread = set(file.names)

    def tensor(name: str) -> Tensor:
        unread.remove(name)  # once, or a small file could fill the memory
        return file[name].clone()

    try:
        notes = file.notes
        kinds = {
            name: _Kind(kind, [[tuple(shape) for shape in group] for group in groups])
            for name, (kind, groups) in notes["kinds"].items()
        }
        wanted = [name for name in kinds if name in parts and name not in _nets(parts)]
        states = {name: unpacked(notes["states"][name], tensor) for name in wanted}
        random = unpacked(notes["random"], tensor)
        return _Notes(operator.index(notes["step"]), list(notes["nets"]), kinds, states, random)
    except Exception as error:  # not of a tensor, since each of them was read for its checksum
        raise DamagedFileError(f"cannot load {os.fspath(path)}: it is no checkpoint: {error!r}") from error


def _part_problems(
    name: str, part: Any, notes: _Notes, file: FileContent, state: Mapping[str, Tensor]
) -> Iterator[str]:
    """Why a part cannot be loaded; of a net, only what its names tell."""
    if isinstance(part, nn.Module) and name in notes.nets:
        return compare_names(*(_names_inside(name, names) for names in (file.names, state)))
    if name in notes.states:
        return _kind_problems(saved=notes.kinds[name], current=_kind(part))
    nets, others = (", ".join(map(repr, names)) or "none" for names in (notes.nets, notes.kinds))
    return iter([f"no such part in the checkpoint. Nets: {nets}. Others: {others}."])


def _names_inside(net: str, names: Iterable[str]) -> list[str]:
    """The names that a net's tensors have in it."""
    return [name.removeprefix(f"{net}.") for name in names if name.startswith(f"{net}.")]


def _kind_problems(saved: _Kind, current: _Kind) -> Iterator[str]:
    """What an optimizer would not notice, or too late."""
    saved_counts, current_counts = ([len(group) for group in kind.groups] for kind in (saved, current))
    if saved.name != current.name:
        yield f"{saved.name} in checkpoint, {current.name} in current program."
    elif saved_counts != current_counts:
        yield f"parameter groups of {saved_counts} parameters in checkpoint, {current_counts} in optimizer."
    else:
        shapes = zip(chain(*saved.groups), chain(*current.groups), strict=True)
        for number, (old, new) in enumerate(shapes):
            if new not in (None, old):
                yield f"size mismatch for parameter {number}: {old} in checkpoint, {new} in optimizer."
