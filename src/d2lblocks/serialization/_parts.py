"""The parts of a run that are not nets: how to get and set the state of each."""

import random
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from d2lblocks._arguments import kind_of


class _Access(NamedTuple):
    get: Callable[[Any], Any]
    put: Callable[[Any, Any], Any]


def state_of(part: Any) -> Any:
    return _access(part).get(part)


def put_state(part: Any, state: Any) -> None:
    _access(part).put(part, state)


def check_part(name: str, part: Any) -> None:
    """Raise a TypeError if a part does not have a state that can be set in another object of its kind."""
    try:
        _access(part)
    except TypeError as error:
        raise TypeError(f"cannot save '{name}': {error}") from None


def has_methods(part: Any) -> bool:
    return hasattr(part, "state_dict") and hasattr(part, "load_state_dict")


def _access(part: Any) -> _Access:
    if has_methods(part):
        return _Access(lambda part: part.state_dict(), lambda part, state: part.load_state_dict(state))
    if isinstance(part, dict | set):
        return _Access(lambda part: part, _refill("update"))
    if isinstance(part, list | deque):
        return _Access(lambda part: part, _refill("extend"))
    if isinstance(part, torch.Generator):
        return _Access(torch.Generator.get_state, torch.Generator.set_state)
    if isinstance(part, random.Random) and not isinstance(part, random.SystemRandom):  # it has no state
        return _Access(random.Random.getstate, random.Random.setstate)
    if numpy := sys.modules.get("numpy.random"):
        if isinstance(part, numpy.RandomState):
            return _Access(lambda part: part.get_state(legacy=False), _set_numpy_state)
        if isinstance(part, numpy.Generator):
            return _Access(lambda part: part.bit_generator.state, _set_numpy_state)
    hint = ""
    if isinstance(part, str | int | float | complex | tuple | torch.Tensor | None):
        hint = ", and loading does not change it: put it into a dict, as in progress={'epoch': 3}"
    raise TypeError(f"{kind_of(part)} has no state_dict and load_state_dict{hint}")


def _refill(method: str) -> Callable[[Any, Any], None]:
    def refill(part: Any, entries: Any) -> None:
        part.clear()
        getattr(part, method)(entries)

    return refill


def _set_numpy_state(part: Any, state: Any) -> None:
    inner = state["state"]
    for position, numbers in (
        (inner.get("pos"), inner.get("key")),
        (state.get("buffer_pos"), state.get("buffer")),
    ):
        if position is not None and position not in range(len(numbers) + 1):
            # NumPy does not check, and would read outside its memory.
            raise ValueError(f"NumPy's generator has no position {position}")
    if hasattr(part, "bit_generator"):
        part.bit_generator.state = state
    else:
        part.set_state(state)
