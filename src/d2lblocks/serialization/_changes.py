"""Changes of objects in memory: either all of them are made, or none."""

import copy
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from torch import nn
from torch.optim import Optimizer

from d2lblocks._random import put_back_random_states, random_states
from d2lblocks._snapshot import Snapshot

from ._parts import has_methods, put_state, state_of


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block. Python never raises it in a thread other than the main one."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    waiting: list[tuple[Any, ...]] = []
    signal.signal(signal.SIGINT, lambda *signals: waiting.append(signals))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if waiting:
            handler(*waiting[0])


@contextmanager
def all_or_nothing(parts: list[Any]) -> Iterator[None]:
    """If the block fails, restore the states of these parts and the random states."""
    before, chance = Snapshot(*parts, tensors=False), random_states()
    states = [(part, copy.deepcopy(state_of(part))) for part in parts if not _keeps_tensors(part)]
    try:
        yield
    except BaseException:
        before.restore()
        for part, state in states:  # the state may be in places that the snapshot does not follow
            with suppress(Exception):
                put_state(part, state)
        before.restore()
        put_back_random_states(chance)  # includes NumPy and GPUs that were not in use before, but are now
        raise


def _keeps_tensors(part: Any) -> bool:
    """Whether loading gives a part new tensors and leaves the old ones alone, like torch's optimizers."""
    if not has_methods(part):
        return True
    return isinstance(part, Optimizer) and type(part).load_state_dict is Optimizer.load_state_dict


@contextmanager
def undone_on_error(*nets: nn.Module) -> Iterator[None]:
    """If the block fails, restore these nets from a copy."""
    before = Snapshot(*nets)
    try:
        yield
    except BaseException:
        before.restore()
        raise
