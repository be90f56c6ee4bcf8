"""The parameters and buffers of a net by name, and the place of tensors in memory."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass


def named_tensors(net: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield every name of every parameter and buffer, including the further names of shared ones."""
    for prefix, module in named_modules(net):
        for name, tensor in own_tensors(module):
            yield f"{prefix}.{name}" if prefix else name, tensor


def named_modules(
    module: nn.Module, path: str = "", above: tuple[tuple[str, nn.Module], ...] = ()
) -> Iterator[tuple[str, nn.Module]]:
    """Yield every path of every module, including the further paths of shared ones, in PyTorch's order.

    Raise a ValueError if a module contains itself: PyTorch's own method would recurse until Python stops it.
    """
    for head, known in above:
        if known is module:
            again = repr(head) if head else "the net"
            raise ValueError(
                f"{type(above[0][1]).__name__} contains itself: '{path}' is {again}. "
                "To refer to a module without making it a child, keep it in a tuple: self.parent = (parent,)"
            )
    yield path, module
    for name, child in module._modules.items():
        if child is not None:
            yield from named_modules(child, f"{path}.{name}" if path else name, (*above, (path, module)))


def own_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and buffers of the module itself, without those of its children."""
    yield from module.named_parameters(recurse=False, remove_duplicate=False)
    yield from module.named_buffers(recurse=False, remove_duplicate=False)


def identity(tensor: Tensor) -> Hashable:
    """A key that is equal for tensors with the same values in the same memory, transposed or not."""
    if is_lazy(tensor) or tensor.layout is not torch.strided or tensor.is_nested:
        return id(tensor)
    # Use the storage object itself, because all addresses on the meta device are 0.
    span = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor.numel(), span, tensor.dtype


def span_in_storage(tensor: Tensor) -> tuple[int, int]:
    """The position of a strided tensor in its storage: its first byte, and the byte after its last."""
    length: Any = tensor.numel()
    if length and not tensor.is_contiguous():
        length = 1 + sum((n - 1) * stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    start, width = int(tensor.storage_offset()), tensor.itemsize
    return start * width, (start + int(length)) * width


@contextmanager
def writing(tensor: Tensor) -> Iterator[None]:
    """Allow writing to a tensor without gradients, in inference mode if the tensor was created in it."""
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        yield


def parts(tensor: Tensor) -> Sequence[Tensor]:
    """The strided tensors that store a tensor: nearly always only itself, and none for an opaque tensor."""
    if type(tensor) not in (Tensor, nn.Parameter) and is_traceable_wrapper_subclass(tensor):
        names, _ = tensor.__tensor_flatten__()
        return [part for name in names for part in parts(getattr(tensor, name))]
    match tensor.layout:
        case torch.strided:
            return (tensor.values() if tensor.is_nested else tensor,)
        case torch.sparse_coo:
            return tensor._indices(), tensor._values()
        case torch.sparse_csr | torch.sparse_bsr:
            return tensor.crow_indices(), tensor.col_indices(), tensor.values()
        case torch.sparse_csc | torch.sparse_bsc:
            return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
    return ()
