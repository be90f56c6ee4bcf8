"""The parameters and buffers of a net by name, and where in memory tensors are."""

from collections.abc import Hashable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy


def named_tensors(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every name of every parameter and buffer, also the second names of shared ones."""
    for prefix, module in net.named_modules(remove_duplicate=False):
        for name, tensor in own_tensors(module):
            yield f"{prefix}.{name}" if prefix else name, tensor


def own_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters and buffers that a module itself holds."""
    yield from module.named_parameters(recurse=False, remove_duplicate=False)
    yield from module.named_buffers(recurse=False, remove_duplicate=False)


def identity(tensor: Tensor) -> Hashable:
    """Equal for tensors that are the same values in the same memory, transposed or not."""
    if is_lazy(tensor) or tensor.layout is not torch.strided:
        return id(tensor)
    # The storage object itself, because on the meta device all addresses are 0.
    span = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor.numel(), span, tensor.dtype


def span_in_storage(tensor: Tensor) -> tuple[int, int]:
    """The first byte of a strided tensor in its storage, and the one after the last."""
    length: Any = tensor.numel()
    if length and not tensor.is_contiguous():
        length = 1 + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    start, width = int(tensor.storage_offset()), tensor.itemsize
    return start * width, (start + int(length)) * width
