"""Nested states, such as those of optimizers, taken apart into JSON and tensors."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from ._format import has_code

EXPECTED = "tensors, numbers, strings, None, and lists, tuples and dicts of them"
_PLAIN = (type(None), bool, int, float, str)
_DICTS = {kind.__name__: kind for kind in (dict, OrderedDict, Counter)}


def packed(value: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    """What JSON can hold of a value; its tensors go into `tensors`, named after their place."""
    kind = type(value)
    if isinstance(value, Tensor):
        wrapper = hasattr(value, "__tensor_flatten__")  # such as a DTensor, whose values are elsewhere
        empty = value.is_meta or is_lazy(value)
        if wrapper or empty or value.layout is not torch.strided or not has_code(value.dtype):
            found = f"{kind.__name__} of {value.layout} and {value.dtype} on {value.device}"
            raise TypeError(f"cannot save {where}: safetensors has no {found}")
        while where in tensors:  # the keys 1 and "1" of a dict, or "a.b" and b inside a
            where += "'"
        tensors[where] = value
        return {"Tensor": where}
    if kind in _PLAIN:
        return value
    if kind is list:
        return [packed(part, f"{where}.{at}", tensors) for at, part in enumerate(value)]
    if kind is tuple:
        return {"tuple": packed(list(value), where, tensors)}
    if kind in _DICTS.values():
        lost: dict[str, Tensor] = {}
        pairs = [
            (packed(key, where, lost), packed(part, f"{where}.{key}", tensors)) for key, part in value.items()
        ]
        if lost:
            raise TypeError(f"cannot save a tensor that is a key at {where}")
        return {kind.__name__: pairs}
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    raise TypeError(f"cannot save {name} at {where}: expected {EXPECTED}")


def unpacked(value: Any, tensor: Callable[[str], Tensor]) -> Any:
    """The value again; `tensor` gives the tensor of a name. Some error, if this is no packed value."""
    if isinstance(value, list):
        return [unpacked(part, tensor) for part in value]
    if not isinstance(value, Mapping):
        return value
    ((kind, content),) = value.items()
    if kind == "Tensor":
        return tensor(content)
    if kind == "tuple":
        return tuple(unpacked(content, tensor))
    return _DICTS[kind]({unpacked(key, tensor): unpacked(part, tensor) for key, part in content})
