"""Checkpoints of a training run: all that it needs to go on, in one file for each step that is kept."""

import math
import operator
import os
import re
import warnings
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .changes import _all_or_nothing, _random_states, _set_random_states, _uninterrupted
from .files import _make_folder, _Path, _replacing
from .nets import _compare, _fill, _loadable, _misfit, _state, _storable, _wrong_names
from .tensors import DamagedFileError, _Content, _reading, _write
from .trees import _packed, _unpacked

_Kind = tuple[str, list[list[Any]]]  # a class, and for an optimizer the shapes in each group
_FILE = re.compile(r"step-(0|[1-9][0-9]*)\.safetensors")


def save_checkpoint(
    folder: _Path, step: int, *, keep: int = 3, loss: float | None = None, **parts: Any
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
    if step < 0 or keep < 1:
        raise ValueError(f"expected step >= 0 and keep >= 1, but got step={step} and keep={keep}")
    for name, part in parts.items():
        if not name.isidentifier():  # a dot would mix up the names of its tensors and another part's
            raise ValueError(f"expected names of parts like those of variables, but got {name!r}")
        if not hasattr(part, "state_dict") or not hasattr(part, "load_state_dict"):
            kind = f"{type(part).__module__}.{type(part).__qualname__}".removeprefix("builtins.")
            raise TypeError(f"cannot save '{name}': {kind} has no state_dict and load_state_dict")
    nets = [name for name, part in parts.items() if isinstance(part, nn.Module)]
    tensors, ties = _storable(_tensors(parts))
    others = {name: part for name, part in parts.items() if name not in nets}
    notes = {
        "step": step,
        "loss": None if loss is None else float(loss),
        "nets": nets,
        "kinds": {name: _kind(part) for name, part in others.items()},
        "states": {name: _packed(part.state_dict(), name, tensors) for name, part in others.items()},
        "random": _packed(_random_states(), "", tensors),
    }
    path = Path(folder) / f"step-{step}.safetensors"
    _make_folder(path.parent)
    with _replacing(path) as file:
        _write(file, tensors, ties, notes)
    _remove_unwanted(path.parent, step, keep)
    return path


def load_checkpoint(folder: _Path, which: int | str = "last", **parts: Any) -> int | None:
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
    while untried := [path for path in _candidates(Path(folder), which) if path not in damaged]:
        path = untried[0]
        try:
            # Outside of inference mode, or an optimizer could not change its state later.
            with torch.inference_mode(False), _reading(path) as file:
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


def _steps(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints of a folder, the last one first."""
    found = [(_FILE.fullmatch(path.name), path) for path in folder.glob("step-*") if path.is_file()]
    return sorted(((int(match[1]), path) for match, path in found if match), reverse=True)


def _candidates(folder: Path, which: int | str) -> list[Path]:
    """The files to try, in this order."""
    if isinstance(which, int):
        return [folder / f"step-{which}.safetensors"]
    paths = [path for _, path in _steps(folder)]
    if which == "best":
        return sorted(paths, key=partial(_loss, if_damaged=-math.inf))  # so that loading warns of it
    if which != "last":
        raise ValueError(f'expected which to be "last", "best" or the number of a step, but got {which!r}')
    return paths


def _loss(path: Path, if_damaged: float) -> float:
    """The loss that a checkpoint was saved with; infinite if it has none."""
    try:
        with _reading(path) as file:
            loss = file.notes["loss"]
            return math.inf if loss is None or math.isnan(loss) else float(loss)
    except Exception:  # also because another process has just removed it
        return if_damaged


def _remove_unwanted(folder: Path, step: int, keep: int) -> None:
    """Remove all but the last ones, the best one, and later ones."""
    there = _steps(folder)
    losses = {path: _loss(path, if_damaged=math.inf) for _, path in there}
    best = min(losses, key=losses.__getitem__, default=None)
    up_to_this = [path for number, path in there if number <= step]
    for path in up_to_this[keep:]:
        if path != best or losses[path] == math.inf:
            path.unlink(missing_ok=True)


def _load(file: _Content, parts: dict[str, Any], path: Path) -> int:
    """Compare everything, and then change it."""
    notes = _read(file, {name for name, part in parts.items() if not isinstance(part, nn.Module)}, path)
    here = _loadable(_tensors({name: part for name, part in parts.items() if name in notes.nets}))
    problems, pairs = _compare(here, file)
    for name, part in parts.items():
        if isinstance(part, nn.Module) and name in notes.nets:
            wrong = _wrong_names(*(_inside(name, names) for names in (file.names, here)))
        elif name in notes.states:
            wrong = _wrong_kind(notes.kinds[name], _kind(part))
        else:
            there = [", ".join(map(repr, names)) or "none" for names in (notes.nets, notes.kinds)]
            wrong = iter([f"no such part in the checkpoint. Nets: {there[0]}. Others: {there[1]}."])
        problems += [f"{name}: {problem}" for problem in wrong]
    head = f"Error(s) in loading the checkpoint {os.fspath(path)}:"
    if problems:
        raise _misfit(head, problems)
    changes = [(name, parts[name].load_state_dict, state) for name, state in notes.states.items()]
    with _uninterrupted(), _all_or_nothing([parts[name] for name in notes.states]):
        for name, change, state in [*changes, ("random states", _set_random_states, notes.chance)]:
            try:
                change(state)
            except Exception as error:
                raise _misfit(head, [f"{name}: {error!r}"]) from error
        _fill(pairs)
    return notes.step


class _Notes(NamedTuple):
    """What a checkpoint has beside nets."""

    step: int
    nets: list[str]
    kinds: dict[str, _Kind]
    states: dict[str, Any]
    chance: Any


def _read(file: _Content, wanted: Container[str], path: Path) -> _Notes:
    """The notes of a file, with those states that are wanted; an error if a checkpoint has others."""
    unread = set(file.names)

    def tensor(name: str) -> Tensor:
        unread.remove(name)  # once, or a small file could fill the memory
        return file[name].clone()

    try:
        notes = file.notes
        kinds = {
            name: (kind, [[tuple(shape) for shape in group] for group in groups])
            for name, (kind, groups) in notes["kinds"].items()
        }
        states = {name: _unpacked(notes["states"][name], tensor) for name in kinds if name in wanted}
        chance = _unpacked(notes["random"], tensor)
        return _Notes(operator.index(notes["step"]), list(notes["nets"]), kinds, states, chance)
    except DamagedFileError:
        raise
    except Exception as error:
        raise DamagedFileError(f"cannot load {os.fspath(path)}: it is no checkpoint: {error!r}") from error


def _tensors(nets: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of several nets, by the names of the nets and their own."""
    return {
        name: tensor
        for net, part in nets.items()
        if isinstance(part, nn.Module)
        for name, tensor in _state(part, f"{net}.").items()
    }


def _inside(net: str, names: Iterable[str]) -> list[str]:
    return [name.removeprefix(f"{net}.") for name in names if name.startswith(f"{net}.")]


def _kind(part: Any) -> _Kind:
    """The class of an object, and the shapes of what an optimizer optimises, if they are known already."""
    groups = part.param_groups if isinstance(part, torch.optim.Optimizer) else []
    shapes = [[None if is_lazy(p) else tuple(p.shape) for p in group["params"]] for group in groups]
    return type(part).__name__, shapes


def _wrong_kind(there: _Kind, here: _Kind) -> Iterator[str]:
    """What an optimizer would not notice, or too late."""
    counts = [list(map(len, groups)) for _, groups in (there, here)]
    if there[0] != here[0]:
        yield f"{there[0]} in checkpoint, {here[0]} in current program."
    elif counts[0] != counts[1]:
        yield f"parameter groups of {counts[0]} parameters in checkpoint, {counts[1]} in optimizer."
    else:
        for number, (old, new) in enumerate(zip(chain(*there[1]), chain(*here[1]), strict=True)):
            if new not in (None, old):
                yield f"size mismatch for parameter {number}: {old} in checkpoint, {new} in optimizer."
