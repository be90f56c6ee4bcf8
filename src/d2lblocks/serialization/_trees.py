"""Nested states, such as those of optimizers, split into JSON and tensors."""

import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from enum import Enum, EnumMeta
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from d2lblocks._arguments import kind_of

from ._format import has_code

EXPECTED = "tensors, numbers, strings, None, and lists, tuples and dicts of them"
_PLAIN = (type(None), bool, int, float, str)
_DICTS = {kind.__name__: kind for kind in (dict, OrderedDict, Counter)}
_COLLECTIONS = {kind.__name__: kind for kind in (tuple, set, frozenset, torch.Size)}
_FACTORIES = {kind.__name__: kind for kind in (bool, int, float, str, list, tuple, set, dict)}


class ClassNotLoadedError(LookupError):
    """A state contains an object of a class that this program has not loaded."""


def packed(value: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    """A value as JSON data; its tensors are added to `tensors`, named after their place in the value."""
    kind = type(value)
    if isinstance(value, Tensor):
        if value.is_complex() and not has_code(value.dtype):
            return {"complex Tensor": packed(torch.view_as_real(value.resolve_conj()), where, tensors)}
        return {"Tensor": _packed_tensor(value, where, tensors)}
    if kind in _PLAIN:
        return value
    if kind is list:
        return [packed(part, f"{where}.{at}", tensors) for at, part in enumerate(value)]
    if kind in _DICTS.values():
        return {kind.__name__: _packed_pairs(value, where, tensors)}
    if kind is defaultdict and (value.default_factory or list) in _FACTORIES.values():
        factory = value.default_factory and value.default_factory.__name__
        return {kind.__name__: [factory, _packed_pairs(value, where, tensors)]}
    if (parts := _taken_apart(value)) is not None:
        name, content = parts
        return {name: packed(content, where, tensors)}
    raise TypeError(f"cannot save {kind_of(value)} at {where}: expected {EXPECTED}")


def unpacked(value: Any, tensor: Callable[[str, Sequence[int] | None], Tensor]) -> Any:
    """Restore a packed value; `tensor` returns the tensor for a name and strides (None for the usual ones).

    Raise a ClassNotLoadedError if the value needs a class that is not loaded, and some other error if it is
    not a packed value.
    """
    if isinstance(value, list):
        return [unpacked(part, tensor) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "Tensor":
        return tensor(content, None) if isinstance(content, str) else tensor(*content)
    if kind in _DICTS:
        return _DICTS[kind](_unpacked_pairs(content, tensor))
    if kind == "defaultdict":
        factory, pairs = content
        return defaultdict(factory and _FACTORIES[factory], _unpacked_pairs(pairs, tensor))
    return _put_together(kind, unpacked(content, tensor))


def _packed_tensor(value: Tensor, where: str, tensors: dict[str, Tensor]) -> Any:
    wrapper = hasattr(value, "__tensor_flatten__")  # e.g. a DTensor, which stores its values elsewhere
    empty = value.is_meta or is_lazy(value)
    if wrapper or empty or value.layout is not torch.strided or not has_code(value.dtype):
        found = f"{type(value).__name__} of {value.layout} and {value.dtype} on {value.device}"
        raise TypeError(f"cannot save {where}: safetensors has no {found}")
    while where in tensors:  # if names collide: keys 1 and "1" of a dict, or "a.b" and b inside a
        where += "'"
    tensors[where] = value
    strides = unusual_strides(value)
    return where if strides is None else [where, strides]


def _packed_pairs(value: dict[Any, Any], where: str, tensors: dict[str, Tensor]) -> list[Any]:
    keys: dict[str, Tensor] = {}
    pairs = [
        (packed(key, where, keys), packed(part, f"{where}.{key}", tensors)) for key, part in value.items()
    ]
    if keys:
        raise TypeError(f"cannot save a tensor that is a key at {where}")
    return pairs


def _unpacked_pairs(pairs: list[Any], tensor: Callable[..., Tensor]) -> dict[Any, Any]:
    return {unpacked(key, tensor): unpacked(part, tensor) for key, part in pairs}


def _taken_apart(value: Any) -> tuple[str, Any] | None:
    """The name of a value's kind, and its content; None if the kind is not supported."""
    kind = type(value)
    if kind in _COLLECTIONS.values():
        return kind.__name__, list(value)
    if kind is deque:
        return "deque", [list(value), value.maxlen]
    if kind is complex:
        return "complex", [value.real, value.imag]
    if kind is torch.dtype:
        return "dtype", str(value).removeprefix("torch.")
    if kind is torch.device:
        return "device", str(value)
    if isinstance(value, Enum) and value.name in kind.__members__ and _is_loaded(kind):
        return "Enum", [kind.__module__, kind.__qualname__, value.name]
    if isinstance(value, tuple) and hasattr(kind, "_fields") and _is_loaded(kind):
        return "namedtuple", [kind.__module__, kind.__qualname__, list(value)]
    if numpy := sys.modules.get("numpy"):
        if isinstance(value, numpy.generic) and type(value.item()) in (*_PLAIN, complex):
            return "numpy", ["str" if value.dtype.kind == "U" else value.dtype.name, value.item()]
        if kind is numpy.ndarray and value.dtype.isnative and value.dtype.kind in "biufc":
            return "ndarray", torch.from_numpy(numpy.array(value))
    return None


def _put_together(kind: str, content: Any) -> Any:
    """Restore a value from its kind and content. This imports only NumPy and runs no other code."""
    if kind in _COLLECTIONS:
        return _COLLECTIONS[kind](content)
    if kind == "dtype" and isinstance(dtype := vars(torch)[content], torch.dtype):
        return dtype
    if kind == "Enum" and isinstance(enum := _loaded(*content[:2]), EnumMeta):
        return enum.__members__[content[2]]
    if kind == "namedtuple" and hasattr(named := _loaded(*content[:2]), "_fields"):
        return tuple.__new__(named, content[2])
    if kind == "complex Tensor":
        return torch.view_as_complex(content)
    if kind == "ndarray":
        return content.numpy()
    if kind == "numpy":
        import numpy

        return numpy.dtype(content[0]).type(content[1])
    if kind == "device":
        return torch.device(content)
    return {"deque": deque, "complex": complex}[kind](*content)


def _is_loaded(kind: type) -> bool:
    """Whether a class can be found by its name. A class that is defined inside a function cannot."""
    try:
        return _loaded(kind.__module__, kind.__qualname__) is kind
    except ClassNotLoadedError:
        return False


def _loaded(module: str, name: str) -> Any:
    """A class in a module that the program has already imported."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = vars(found).get(part) if hasattr(found, "__dict__") else None
    if not isinstance(found, type):
        raise ClassNotLoadedError(f"{module}.{name}")
    return found


def unusual_strides(tensor: Tensor) -> list[int] | None:
    """The strides that a copy needs to keep the order of values in memory; None for the usual strides."""
    if tensor.is_contiguous() and 1 not in tensor.shape:  # as for nearly all tensors
        return None
    strides = torch.empty_like(tensor, device="meta", memory_format=torch.preserve_format).stride()
    return None if strides == torch.empty(tensor.shape, device="meta").stride() else list(strides)


def with_strides(tensor: Tensor, strides: Sequence[int]) -> Tensor:
    """A copy of a tensor with other strides; raise a ValueError if they leave gaps."""
    end = 1
    for stride, size in sorted(zip(strides, tensor.shape, strict=True)):
        if size > 1 and stride != end:
            raise ValueError(f"a tensor of shape {tuple(tensor.shape)} cannot have the strides {strides}")
        end *= size
    copy = torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype, device=tensor.device)
    return copy.copy_(tensor)
