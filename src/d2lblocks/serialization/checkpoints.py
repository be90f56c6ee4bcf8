"""Checkpoints of a training run: everything it needs to resume, in one file for each step that is kept."""

import errno
import operator
import os
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from d2lblocks._arguments import check_path
from d2lblocks._random import set_random_states

from ._changes import all_or_nothing, undone_on_error, uninterrupted
from ._files import FilePath, make_folder, replacing
from ._folder import candidates, last_step, path_of, remove_unwanted
from ._format import FileContent, reading, write
from ._lazy_sizes import lazy_problems, learn_sizes
from ._loading_code import has_loading_code, run_loading_code
from ._notes import Kind, Notes, read_notes, written_notes
from ._optimizers import Names, arranged, optimizer_problems
from ._parts import check_part, put_state
from ._states import (
    check_loadable,
    check_storable,
    compare,
    compare_names,
    fill,
    misfit,
    named_state,
    split_copies,
    split_ties,
)
from .errors import DamagedFileError


def save_checkpoint(
    folder: FilePath, step: int, *, keep: int = 3, loss: float | None = None, **parts: Any
) -> Path:
    """Write a checkpoint of a training run, and remove old checkpoints that are no longer needed.

    The file `step-STEP.safetensors` holds the parameters and buffers of nets, the states of all other parts,
    the step, and the random states of Python, NumPy (if it is imported), torch, and GPUs (if CUDA is in use).
    Like a file of `save_parameters`, it is written completely or not at all, it has checksums, and it holds
    a shared tensor once.
    Tensors in states keep their strides, that is, the order of their values in memory.

    Among the checkpoints of this step and earlier steps, the last `keep` ones stay, and also the one with
    the smallest loss. Checkpoints of later steps stay too, with a warning: they may belong to an older run.

    Args:
        folder: the folder for the checkpoints of this run; it is created if it does not exist.
        step: the number of steps done, 0 or more; an existing checkpoint of the same step is replaced.
        keep: how many of the last checkpoints to keep, 1 or more.
        loss: a measure of how good the net is, if known; smaller is better.
        parts: what to save, by the names under which it will be loaded: nets; other objects with
            `state_dict` and `load_state_dict`, such as optimizers, schedulers and gradient scalers;
            dicts, lists, sets and deques; random number generators of torch, NumPy and Python.

    Returns:
        the path of the file.

    Raises:
        TypeError: if a part has no state, or if a state holds something that the file cannot hold;
            the message says where.
        ValueError: if a tensor is lazy or on the meta device, if two tensors of a net have the same name,
            if `step` or `keep` is too small, or if the values that are not tensors take more than 100 MB.
        OSError: if the file cannot be written; all older checkpoints are still there.

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
    check_path(folder)
    step, keep = int(operator.index(step)), operator.index(keep)
    _check_arguments(step, keep, parts)
    nets = _nets(parts)
    others = {name: part for name, part in parts.items() if name not in nets}
    extra: dict[str, Any] = {}
    state = _named_states(nets, extra)
    check_storable(state)
    tensors, ties = split_ties(state)
    of_parts: dict[str, Tensor] = {}
    notes = written_notes(step, loss, [*nets], extra, others, Names(state), of_parts)
    of_parts, ties_of_parts = split_copies(of_parts)
    path = path_of(Path(folder), step)
    make_folder(path.parent)
    with replacing(path) as file:
        write(file, tensors | of_parts, ties | ties_of_parts, notes)
    remove_unwanted(path.parent, step, keep)
    if (last := last_step(path.parent)) > step:
        there = f"{os.fspath(path_of(path.parent, last))} is a checkpoint of a later step"
        remedy = "if this is a new run, give it a folder of its own"
        warnings.warn(f'{there}, so "last" means that one: {remedy}', stacklevel=2)
    return path


def load_checkpoint(folder: FilePath, which: int | str = "last", **parts: Any) -> int | None:
    """Resume from a checkpoint: by default from the last one that is not damaged.

    Everything is checked before the first value changes. The tensors of nets are filled in place, as by
    `load_parameters`. Containers and generators are also changed in place. All other parts get their states
    through `load_state_dict`. The random states are set.

    An optimizer's state is matched with its parameters by name if the parameters belong to one of the nets
    that are loaded too, or if the optimizer was made from named parameters. Otherwise it goes by position.
    If the memory format of a net has changed, the optimizer's state follows it.

    Args:
        folder: the folder in which `save_checkpoint` has put the checkpoints.
        which: `"last"`, `"best"` for the checkpoint with the smallest loss, or the number of a step.
            With `"last"` and `"best"`, a damaged checkpoint is skipped with a warning, and the next is used.
        parts: the objects to load into, by the names under which they were saved; other parts in the file
            are not loaded.

    Returns:
        the number of steps done, or `None` if there is no checkpoint; in that case nothing has changed.

    Raises:
        RuntimeError: if the checkpoint does not fit; the message lists every mismatch. Nothing has changed.
        DamagedFileError: if the checkpoint of that step, or every checkpoint, is damaged.
            Nothing has changed.
        FileNotFoundError: if there is no checkpoint of that step.
        NotADirectoryError: if `folder` is a file.
        ValueError: if a net is on the meta device.

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
    check_path(folder)
    if os.path.isfile(folder):
        text = "Not a directory, which is where checkpoints are: give the folder, and the step as which"
        raise NotADirectoryError(errno.ENOTDIR, text, os.fspath(folder))
    damaged: dict[Path, DamagedFileError] = {}
    while untried := [path for path in candidates(Path(folder), which) if path not in damaged]:
        path = untried[0]
        try:
            # In inference mode, an optimizer would get a state that it could not change later.
            with torch.inference_mode(False), reading(path) as file:
                file.verify()
                return _load(file, parts, path)
        except FileNotFoundError:  # another process has removed it after saving a later one
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
    notes = read_notes(file, parts, path)
    nets = {name: net for name, net in _nets(parts).items() if name in notes.nets}
    others = {name: parts[name] for name in notes.states}
    extra: dict[str, Any] = {}
    state = _named_states(nets, extra)
    names = Names(state)
    problems, copies = compare(file, state)
    for name, part in parts.items():
        if name in nets:
            check_loadable(state, part)
            found = _net_problems(name, part, file, notes, [*state, *extra])
        elif name in others:
            found = _state_problems(part, notes.kinds[name], notes.states[name], names)
        else:
            there = (", ".join(map(repr, each)) or "none" for each in (notes.nets, notes.kinds))
            found = iter(["no such part in the checkpoint. Nets: {}. Others: {}.".format(*there)])
        problems += [f"{name}: {problem}" for problem in found]
    head = f"Error(s) in loading the checkpoint {os.fspath(path)}:"
    if problems:
        raise misfit(head, problems)

    coded = {name: net for name, net in nets.items() if has_loading_code(net)}
    kept = undone_on_error(*nets.values()) if coded else nullcontext()
    with uninterrupted(), kept, all_or_nothing([*others.values()]):
        for name, part in others.items():
            with _named_errors(head, name):
                _put(part, notes.kinds[name], notes.states[name], names)
        with _named_errors(head, "random states"):
            set_random_states(notes.random)
        fill(copies)
        for net in nets.values():
            learn_sizes(net)
        for name, net in coded.items():
            own = {key: notes.extra[f"{name}.{key}"] for key in _inside(name, notes.extra)}
            with _named_errors(head, name):
                run_loading_code(net, own)
    return notes.step


@contextmanager
def _named_errors(head: str, name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise misfit(head, [f"{name}: {error!r}"]) from error


def _check_arguments(step: int, keep: int, parts: Mapping[str, Any]) -> None:
    if step < 0 or keep < 1:
        raise ValueError(f"expected step >= 0 and keep >= 1, but got step={step} and keep={keep}")
    for name, part in parts.items():
        if not name.isidentifier():  # with a dot, names of its tensors could equal those of another part
            raise ValueError(f"expected names of parts like those of variables, but got {name!r}")
        check_part(name, part)


def _nets(parts: Mapping[str, Any]) -> dict[str, nn.Module]:
    return {name: part for name, part in parts.items() if isinstance(part, nn.Module)}


def _named_states(nets: Mapping[str, nn.Module], extra: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of several nets, by the net's name and their own name; extra states go into `extra`."""
    states = (named_state(net, f"{name}.", extra) for name, net in nets.items())
    return {key: tensor for state in states for key, tensor in state.items()}


def _net_problems(
    name: str, net: nn.Module, file: FileContent, notes: Notes, here: Collection[str]
) -> Iterator[str]:
    """Find the names and the lazy layers of a net that do not fit."""
    there = _inside(name, file.names | notes.extra.keys())
    yield from compare_names([*there], [*_inside(name, here)], net)
    yield from lazy_problems(net, f"{name}.", file)


def _state_problems(part: Any, saved: Kind, state: Any, names: Names) -> Iterator[str]:
    """Find what the part itself would notice too late or not at all."""
    if saved.name != type(part).__name__:
        yield f"{saved.name} in checkpoint, {type(part).__name__} in current program."
    elif isinstance(part, Optimizer):
        yield from optimizer_problems(saved.groups, state, part, names)


def _put(part: Any, saved: Kind, state: Any, names: Names) -> None:
    if isinstance(part, Optimizer):
        state = arranged(saved.groups, state, part, names)
    put_state(part, state)


def _inside(net: str, names: Iterable[str]) -> Iterator[str]:
    """The names of a net's tensors, without the name of the net."""
    return (name.removeprefix(f"{net}.") for name in names if name.startswith(f"{net}."))
