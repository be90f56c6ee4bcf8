"""Digests of values, which are equal only if the values are equal bit for bit."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
import xxhash
from torch import Tensor, nn
from torch.nn.parameter import is_lazy


def digest(value: Any) -> Any:
    """A digest of a value; for a tensor it covers type, shape and bits, but not strides."""
    if isinstance(value, Tensor):
        return tensor_digest(value)
    if isinstance(value, Mapping):
        return {str(key): digest(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [digest(part) for part in value]
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value)


def tensor_digest(tensor: Tensor) -> Any:
    if is_lazy(tensor):
        return "lazy"
    tensor = tensor.detach()
    if hasattr(tensor, "__tensor_flatten__"):  # made of other tensors
        names, _ = tensor.__tensor_flatten__()
        return [type(tensor).__name__, *(digest(getattr(tensor, name)) for name in names)]
    if tensor.layout is not torch.strided:
        dense = tensor.to_dense()
        return str(tensor.layout), digest(dense)
    if tensor.is_quantized:
        return str(tensor.dtype), digest(tensor.dequantize())
    if tensor.is_meta:
        return "meta", str(tensor.dtype), tuple(tensor.shape)
    raw = tensor.resolve_conj().resolve_neg().contiguous().reshape(-1).view(torch.uint8)
    return str(tensor.dtype), tuple(tensor.shape), xxhash.xxh3_64_hexdigest(raw.numpy())


def tensors(net: nn.Module) -> dict[str, Tensor]:
    """Every name of every parameter and buffer, with its tensor."""
    found: dict[str, Tensor] = dict(net.named_parameters(remove_duplicate=False))
    return found | dict(net.named_buffers(remove_duplicate=False))


def values_of(net: nn.Module) -> dict[str, Any]:
    return {name: digest(tensor) for name, tensor in tensors(net).items()}


def look(net: nn.Module) -> dict[str, Any]:
    """The state of a net: its tensors with values and gradients, and the modes and hooks of its modules."""
    seen: dict[str, Any] = {"random numbers": digest(get_random_states())}
    for name, tensor in tensors(net).items():
        grad = None if is_lazy(tensor) or tensor.grad_fn else tensor.grad
        seen[name] = (id(tensor), tensor.requires_grad, digest(tensor), digest(grad))
    for name, module in net.named_modules(remove_duplicate=False):
        hooks = [
            len(part) for key, part in vars(module).items() if key.endswith("_hooks") and part is not None
        ]
        seen[f"module {name}"] = (id(module), type(module), module.training, hooks)
    return seen


def get_random_states() -> tuple[Any, ...]:
    """The random states of torch, Python and NumPy."""
    return torch.get_rng_state(), random.getstate(), np.random.get_state()


def set_random_states(states: tuple[Any, ...]) -> None:
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])


def seed(number: int) -> None:
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """A sentence with a name whose entries differ; "" if there is none."""
    names: Iterable[str] = dict.fromkeys([*before, *after])
    differ = [name for name in names if before.get(name, "none") != after.get(name, "none")]
    return f"{len(differ)} of {len(before)} differ, such as '{differ[0]}'" if differ else ""
