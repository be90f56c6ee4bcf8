"""Checkpoints of a training run: all that it needs to go on, in one file for each step that is kept."""

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
    """Write a checkpoint of a training run, and remove those that are no longer wanted.

    The file `step-STEP.safetensors` holds the parameters and buffers of nets, the states of all other parts,
    the step, and the random states of Python, NumPy (if it is imported), torch, and GPUs (if CUDA is in use).
    It is written as by `save_parameters`: whole or not at all, with checksums, shared tensors once.
    Tensors in states keep the order of their values in memory (their strides).

    Of this step and earlier ones, the last `keep` checkpoints stay, and the one with the smallest loss.
    Checkpoints of later steps stay as well, with a warning: they may belong to an older run.

    Args:
        folder: where the checkpoints of this run are; it is made if there is none.
        step: the number of steps done, zero or more; a checkpoint of the same step is replaced.
        keep: how many of the last checkpoints stay, one or more.
        loss: how good the net is, if known: the smaller, the better.
        parts: by the names under which they will be loaded: nets; other objects with `state_dict` and
            `load_state_dict`, such as optimizers, schedulers and gradient scalers; dicts, lists, sets and
            deques; random number generators of torch, NumPy and Python.

    Returns:
        the path of the file.

    Raises:
        TypeError: when a part has no state, or a state holds something that the file cannot;
            the message says where.
        ValueError: when a tensor is lazy or on the meta device, two tensors of a net have the same name,
            `step` or `keep` is too small, or the values that are not tensors take more than 100 MB.
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
        warnings.warn(f'{there}, so "last" stands for that one: {remedy}', stacklevel=2)
    return path


def load_checkpoint(folder: FilePath, which: int | str = "last", **parts: Any) -> int | None:
    """Go on from a checkpoint: the last one, unless told otherwise, that is whole.

    Everything is checked before the first value changes. Nets keep their tensors, as with `load_parameters`;
    other parts get their states by `load_state_dict`, and containers and generators in place;
    the random states are set.

    An optimizer finds the state of each parameter by the parameter's name, if it is in one of the nets that
    are loaded too, or if the optimizer was made from named parameters. Otherwise the position decides.
    If the memory format of a net has changed, the optimizer's state follows it.

    Args:
        folder: where `save_checkpoint` has put the checkpoints.
        which: `"last"`, `"best"` for the one with the smallest loss, or the number of a step.
            Of the first two, a damaged checkpoint is skipped with a warning, and the next one taken.
        parts: what to load into, by the names under which it was saved; others are not loaded.

    Returns:
        the number of steps done; None if there is no checkpoint, and then nothing has changed.

    Raises:
        RuntimeError: when the checkpoint does not fit, with everything that does not. Nothing has changed.
        DamagedFileError: when the checkpoint of that step, or every one, is damaged. Nothing has changed.
        FileNotFoundError: when there is no checkpoint of that step.
        NotADirectoryError: when `folder` is a file.
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
    check_path(folder)
    if os.path.isfile(folder):
        text = "Not a directory, which is where checkpoints are: give the folder, and the step as which"
        raise NotADirectoryError(errno.ENOTDIR, text, os.fspath(folder))
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
        if not name.isidentifier():  # a dot would mix up the names of its tensors and another part's
            raise ValueError(f"expected names of parts like those of variables, but got {name!r}")
        check_part(name, part)


def _nets(parts: Mapping[str, Any]) -> dict[str, nn.Module]:
    return {name: part for name, part in parts.items() if isinstance(part, nn.Module)}


def _named_states(nets: Mapping[str, nn.Module], extra: dict[str, Any]) -> dict[str, Tensor]:
    """The tensors of several nets, by the names of the nets and their own; other states go into `extra`."""
    states = (named_state(net, f"{name}.", extra) for name, net in nets.items())
    return {key: tensor for state in states for key, tensor in state.items()}


def _net_problems(
    name: str, net: nn.Module, file: FileContent, notes: Notes, here: Collection[str]
) -> Iterator[str]:
    """What does not fit of the names and of the lazy layers of a net."""
    there = _inside(name, file.names | notes.extra.keys())
    yield from compare_names([*there], [*_inside(name, here)], net)
    yield from lazy_problems(net, f"{name}.", file)


def _state_problems(part: Any, saved: Kind, state: Any, names: Names) -> Iterator[str]:
    """What a part would not notice, or too late."""
    if saved.name != type(part).__name__:
        yield f"{saved.name} in checkpoint, {type(part).__name__} in current program."
    elif isinstance(part, Optimizer):
        yield from optimizer_problems(saved.groups, state, part, names)


def _put(part: Any, saved: Kind, state: Any, names: Names) -> None:
    if isinstance(part, Optimizer):
        state = arranged(saved.groups, state, part, names)
    put_state(part, state)


def _inside(net: str, names: Iterable[str]) -> Iterator[str]:
    """The names that a net's tensors have in it."""
    return (name.removeprefix(f"{net}.") for name in names if name.startswith(f"{net}."))
