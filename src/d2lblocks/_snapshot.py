"""Snapshots of nets, optimizers and random number generators, to restore them later."""

import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import is_
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from d2lblocks._memory import Memory, TensorState
from d2lblocks._random import global_generators


class Snapshot:
    """A copy of the contents of objects and of the random states, which can be restored any number of times.

    The snapshot starts at the given objects, and follows the attributes of modules, optimizers and tensors,
    and the entries of lists, tuples, dicts, sets and deques. Everything it reaches is restored in place:

    - modules and optimizers: their classes and attributes. Attributes include the training mode, the tables
      of parameters, buffers, modules and hooks, and anything that `forward` sets on `self`;
    - lists, dicts, sets and deques: their entries and attributes; a `bytearray`: its bytes;
    - tensors: their bytes, in the same memory; shape, strides, type and device; gradient, `requires_grad`,
      hooks and attributes; a lazy tensor becomes lazy again;
    - NumPy arrays that are writable: their values;
    - generators of Python, NumPy and torch: their states. The global ones are always included, NumPy's only
      if `numpy.random` is imported, and those of GPUs only if CUDA is in use.

    Three things are not restored. The attributes of an object of any other class are not restored, unless
    the object itself is given: only the reference to it is. A tensor that was computed keeps the graph that
    it has at the time of restoring. An opaque tensor, such as one of MKL-DNN, keeps its current values.

    The bytes of tensors are copied once, even if several tensors share them.

    Args:
        *objects: nets, optimizers, tensors, generators, or objects of any other class.
        tensors: whether tensors and arrays are restored. If not, none of their values are copied.
    """

    def __init__(self, *objects: Any, tensors: bool = True) -> None:
        self._holders: list[_Holder] = []
        self._empty: list[Any] = []
        with _plain_torch():
            self._follow([*objects, *global_generators()], tensors)
            self._tensors = [holder for holder in self._holders if isinstance(holder, TensorState)]
            self._memory = Memory(self._tensors)

    def tensors(self) -> list[Tensor]:
        """The tensors that are restored."""
        return [holder.tensor for holder in self._tensors]

    def _follow(self, found: list[Any], tensors: bool) -> None:
        """Record everything that can be reached from these objects."""
        found += [vars(each) for each in found if hasattr(each, "__dict__")]
        holders: dict[type, type[_Holder] | None] = {}
        known: set[int] = set()
        todo: list[Iterable[Any]] = [found]
        while todo:
            for value in todo.pop():
                kind = type(value)
                if kind not in holders:
                    holders[kind] = _holder_of(kind, tensors)
                if (make := holders[kind]) is None:
                    continue
                if kind in _CONTAINERS and not value:  # as in most tables of most modules
                    self._empty.append(value)
                elif id(value) not in known:
                    known.add(id(value))
                    holder = make(value)
                    self._holders.append(holder)
                    todo.append(holder.inside())
                    if kind.__dictoffset__ and kind not in _CONTAINERS:
                        todo.append((vars(value),))

    def restore(self) -> None:
        with _plain_torch():
            for container in self._empty:
                if container:
                    container.clear()
            for holder in self._holders:
                holder.restore()
            for holder in self._tensors:  # after the tensors and their gradients have their shapes back
                holder.restore_gradient()
            self._memory.restore()


@contextmanager
def _plain_torch() -> Iterator[None]:
    """Turn off modes of the caller: lazy tensors then allow access, and no inference tensors are created."""
    with torch._C.DisableTorchFunctionSubclass(), torch.inference_mode(False):
        yield


class _Holder(Protocol):
    """A record of one object, which can restore it."""

    def __init__(self, value: Any) -> None: ...
    def inside(self) -> Iterable[Any]:
        """The objects that it refers to."""
        ...

    def restore(self) -> None: ...


def _holder_of(kind: type, tensors: bool) -> type[_Holder] | None:
    """The class that records objects of this class; None for objects that are not followed."""
    if issubclass(kind, Tensor):
        return TensorState if tensors else None
    if (numpy := sys.modules.get("numpy")) and issubclass(kind, numpy.ndarray):
        return _Array if tensors else None
    if issubclass(kind, random.SystemRandom):  # it has no state
        return None
    if (numpy_random := sys.modules.get("numpy.random")) and issubclass(
        kind, (numpy_random.Generator, numpy_random.RandomState)
    ):
        return _Generator
    return next((holder for base, holder in _HOLDERS.items() if issubclass(kind, base)), None)


class _Object:
    """The class of a module or an optimizer, and the dict of its attributes."""

    __slots__ = ("attributes", "kind", "properties", "value")

    def __init__(self, value: Any) -> None:
        self.value, self.kind, self.attributes = value, type(value), vars(value)
        # A module with parametrizations has a class of its own, whose properties change with them.
        parametrized = "parametrizations" in self.attributes.get("_modules", ())
        self.properties = _properties(self.kind) if parametrized else None

    def inside(self) -> Iterable[Any]:
        return ()  # the attributes of every object are followed elsewhere

    def restore(self) -> None:
        if type(self.value) is not self.kind:
            object.__setattr__(self.value, "__class__", self.kind)
        if vars(self.value) is not self.attributes:
            object.__setattr__(self.value, "__dict__", self.attributes)
        if self.properties is not None:
            for name in _properties(self.kind).keys() - self.properties.keys():
                delattr(self.kind, name)
            for name, value in self.properties.items():
                setattr(self.kind, name, value)


def _properties(kind: type) -> dict[str, property]:
    return {name: value for name, value in vars(kind).items() if isinstance(value, property)}


# Call the methods of the base classes, because a derived class may refuse a change or do more than that.


class _Dict:
    """The entries of a dict, in order."""

    __slots__ = ("base", "entries", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.base: Any = OrderedDict if isinstance(value, OrderedDict) else dict
        self.entries = dict.copy(value) if self.base is dict else dict(OrderedDict.items(value))

    def inside(self) -> Iterable[Any]:
        if {*map(type, self.entries)} == {str}:
            return self.entries.values()
        return *self.entries, *self.entries.values()

    def restore(self) -> None:
        if not _same(self.base.keys(self.value), self.entries):
            self.base.clear(self.value)
        if not _same(self.base.values(self.value), self.entries.values()):
            for key, value in self.entries.items():
                self.base.__setitem__(self.value, key, value)


class _Collection:
    """The entries of a list, deque or set, or the bytes of a `bytearray`."""

    def __init__(self, value: Any) -> None:
        self.base: Any = next(base for base in (list, deque, set, bytearray) if isinstance(value, base))
        self.value, self.entries = value, [*self.base.__iter__(value)]

    def inside(self) -> Iterable[Any]:
        return self.entries

    def restore(self) -> None:
        if not _same([*self.base.__iter__(self.value)], self.entries):
            fill = self.base.update if self.base is set else self.base.extend
            self.base.clear(self.value)
            fill(self.value, self.entries)


class _Fixed:
    """A container that cannot change, although its entries can."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def inside(self) -> Iterable[Any]:
        return self.value.values() if isinstance(self.value, MappingProxyType) else self.value

    def restore(self) -> None:
        pass


class _Generator:
    """The state of a random number generator."""

    def __init__(self, value: Any) -> None:
        self.state: Any
        self.set_state: Callable[[Any], Any]
        if isinstance(value, torch.Generator):
            self.state, self.set_state = value.get_state(), value.set_state
        elif isinstance(value, random.Random):
            self.state, self.set_state = value.getstate(), value.setstate
        elif hasattr(value, "get_state"):  # NumPy's RandomState, for example the global one
            self.state, self.set_state = value.get_state(legacy=False), value.set_state
        else:  # NumPy's Generator
            bits = value.bit_generator
            self.state, self.set_state = bits.state, partial(setattr, bits, "state")

    def inside(self) -> Iterable[Any]:
        return ()

    def restore(self) -> None:
        self.set_state(self.state)


class _Array:
    """The values of a NumPy array."""

    def __init__(self, value: Any) -> None:
        self.value, self.entries = value, value.copy() if value.flags.writeable else None

    def inside(self) -> Iterable[Any]:
        return self.value.flat if self.value.dtype.hasobject else ()

    def restore(self) -> None:
        if self.entries is not None and self.value.tobytes() != self.entries.tobytes():
            self.value[...] = self.entries


_HOLDERS: dict[type | tuple[type, ...], type[_Holder]] = {
    (nn.Module, torch.optim.Optimizer): _Object,
    dict: _Dict,
    (list, deque, set, bytearray): _Collection,
    (tuple, frozenset, MappingProxyType): _Fixed,
    (torch.Generator, random.Random): _Generator,
}
_CONTAINERS = {dict, OrderedDict, defaultdict, Counter, list, deque, set}  # their objects have no attributes


def _same(now: Collection[Any], before: Collection[Any]) -> bool:
    """Whether both contain the same objects (not only equal ones) in the same order."""
    return len(now) == len(before) and all(map(is_, now, before))
