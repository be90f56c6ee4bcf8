"""Changes of objects in memory that are made all together, or not at all."""

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
    """Ctrl-C waits until the end. In threads other than the main one it never comes."""
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
    """If what is done inside fails, put back the states of these parts, and the random states."""
    before, chance = Snapshot(*parts, tensors=False), random_states()
    states = [(part, copy.deepcopy(state_of(part))) for part in parts if not _keeps_tensors(part)]
    try:
        yield
    except BaseException:
        before.restore()
        for part, state in states:  # which may be in places that the snapshot does not know
            with suppress(Exception):
                put_state(part, state)
        before.restore()
        put_back_random_states(chance)  # also of NumPy and GPUs that were not in use, and are now
        raise


def _keeps_tensors(part: Any) -> bool:
    """Whether loading gives a part new tensors, and leaves the old ones alone, as in torch's optimizers."""
    if not has_methods(part):
        return True
    return isinstance(part, Optimizer) and type(part).load_state_dict is Optimizer.load_state_dict


@contextmanager
def undone_on_error(*nets: nn.Module) -> Iterator[None]:
    """If what is done inside fails, put back these nets, of which a copy is kept."""
    before = Snapshot(*nets)
    try:
        yield
    except BaseException:
        before.restore()
        raise
