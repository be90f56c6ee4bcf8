"""The memory of tensors: their values and properties, kept so that they can be restored."""

from collections.abc import Iterable
from ctypes import memmove, string_at
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from d2lblocks._tensors import parts, span_in_storage

_SMALL = 2**12  # bytes: up to this size, Python copies memory faster than torch
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8)


class TensorState:
    """Everything about a tensor except its bytes."""

    __slots__ = ("attributes", "data", "gradient", "hooks", "is_leaf", "kind", "requires_grad", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.kind, self.attributes = tensor, type(tensor), vars(tensor)
        self.data = tensor.data  # another tensor with the same memory, shape, strides and type
        self.is_leaf, self.requires_grad = tensor.is_leaf, tensor.requires_grad
        self.gradient = _gradient(tensor)
        self.hooks = tensor._backward_hooks, tensor._post_accumulate_grad_hooks

    def inside(self) -> Iterable[Any]:
        return self.gradient, *self.hooks

    def restore(self) -> None:
        tensor: Any = self.tensor
        if self.is_leaf and not tensor.is_leaf:
            tensor.detach_()
        if tensor.requires_grad and not self.requires_grad:  # first: integers cannot require a gradient
            tensor.requires_grad = False
        tensor.data = self.data
        if self.requires_grad and not tensor.requires_grad:
            tensor.requires_grad = True
        if type(tensor) is not self.kind:
            tensor.__class__ = self.kind
        if vars(tensor) is not self.attributes:
            tensor.__dict__ = self.attributes

    def restore_gradient(self) -> None:
        tensor: Any = self.tensor
        if _gradient(tensor) is not self.gradient:
            if self.gradient is not None and not _fits(self.gradient, tensor):
                tensor.data = self.gradient.data  # torch only assigns a gradient that fits
            tensor.grad = self.gradient
            tensor.data = self.data
        backward_hooks, gradient_hooks = self.hooks
        if tensor._backward_hooks is not backward_hooks:
            tensor._backward_hooks = backward_hooks
        if tensor._post_accumulate_grad_hooks is not gradient_hooks:
            tensor._post_accumulate_grad_hooks = gradient_hooks


def _gradient(tensor: Tensor) -> Tensor | None:
    """The gradient of a tensor that keeps one. For any other tensor, torch warns if `grad` is read."""
    return tensor.grad if tensor.is_leaf or tensor.retains_grad else None


def _fits(gradient: Tensor, tensor: Tensor) -> bool:
    return (gradient.shape, gradient.dtype, gradient.device) == (tensor.shape, tensor.dtype, tensor.device)


class Memory:
    """The bytes of tensors: one copy of each piece of memory, even if several tensors share it."""

    def __init__(self, states: Iterable[TensorState]) -> None:
        users: dict[int, tuple[torch.UntypedStorage, list[_Span]]] = {}
        for state in states:
            if is_traceable_wrapper_subclass(state.data):
                continue  # for example a DTensor: the tensors that hold its values are attributes
            for part in parts(state.data):
                storage, span = part.untyped_storage(), _Span(*span_in_storage(part), [state.tensor])
                users.setdefault(storage._cdata, (storage, []))[1].append(span)
        self._sizes = [(storage, storage.nbytes()) for storage, _ in users.values()]
        self._pieces = [
            _Piece(storage, span)
            for storage, spans in users.values()
            if storage.device.type != "meta"
            for span in (_merged(spans) if spans[1:] else spans)
            if span.start < span.end <= storage.nbytes()  # false while the storage is resized to 0
        ]

    def restore(self) -> None:
        for storage, size in self._sizes:
            if storage.nbytes() != size:
                storage.resize_(size)
        for piece in self._pieces:
            piece.restore()


class _Span(NamedTuple):
    """A span of bytes in a storage, from its first byte to the one after its last, and the tensors in it."""

    start: int
    end: int
    tensors: list[Tensor]


class _Piece:
    """A piece of a storage, and a copy of its bytes."""

    __slots__ = ("copy", "end", "start", "storage", "tensors")

    def __init__(self, storage: torch.UntypedStorage, span: _Span) -> None:
        self.storage, (self.start, self.end, self.tensors) = storage, span
        small = self.end - self.start <= _SMALL and storage.device.type == "cpu"
        self.copy: bytes | Tensor = self._read() if small else self._view().clone()

    def restore(self) -> None:
        # Write only if something differs: autograd counts each write, and the memory may be read-only.
        if isinstance(self.copy, bytes):
            if self._read() == self.copy:
                return
            memmove(self._address(), self.copy, len(self.copy))
        else:
            if torch.equal(self._view(), self.copy):
                return
            self._view().copy_(self.copy)
        increment_version(self.tensors)

    def _address(self) -> int:
        return self.storage.data_ptr() + self.start

    def _read(self) -> bytes:
        return string_at(self._address(), self.end - self.start)

    def _view(self) -> Tensor:
        """The bytes as integers: they are equal only if all bits are equal. Wider integers compare faster."""
        kind = next(each for each in _INTEGERS if self.start % each.itemsize == self.end % each.itemsize == 0)
        place = self.start // kind.itemsize, ((self.end - self.start) // kind.itemsize,), (1,)
        view = torch.empty(0, dtype=kind, device=self.storage.device)
        return view.set_(self.storage, *place)


def _merged(spans: list[_Span]) -> list[_Span]:
    """Merge spans that overlap or touch."""
    merged: list[_Span] = []
    for start, end, tensors in sorted(spans, key=itemgetter(0)):
        if merged and start <= merged[-1].end:
            last = merged.pop()
            start, end, tensors = last.start, max(end, last.end), last.tensors + tensors
        merged.append(_Span(start, end, tensors))
    return merged
