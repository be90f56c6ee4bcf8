"""Tensors as they are now, to be put back as they were."""

from collections.abc import Iterable
from ctypes import memmove, string_at
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import increment_version
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from d2lblocks._tensors import parts, span_in_storage

_SMALL = 2**12  # bytes: of so few, Python makes a copy sooner than torch
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.uint8)


class TensorState:
    """All of a tensor but its bytes."""

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
        if tensor.requires_grad and not self.requires_grad:  # before it gets integers, which cannot
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
                tensor.data = self.gradient.data  # torch assigns only what fits, whatever it had before
            tensor.grad = self.gradient
            tensor.data = self.data
        backward_hooks, gradient_hooks = self.hooks
        if tensor._backward_hooks is not backward_hooks:
            tensor._backward_hooks = backward_hooks
        if tensor._post_accumulate_grad_hooks is not gradient_hooks:
            tensor._post_accumulate_grad_hooks = gradient_hooks


def _gradient(tensor: Tensor) -> Tensor | None:
    """The gradient of a tensor that keeps one; torch warns whoever asks another for it."""
    return tensor.grad if tensor.is_leaf or tensor.retains_grad else None


def _fits(gradient: Tensor, tensor: Tensor) -> bool:
    return (gradient.shape, gradient.dtype, gradient.device) == (tensor.shape, tensor.dtype, tensor.device)


class Memory:
    """The bytes of tensors: one copy of each piece of memory, though several tensors may see it."""

    def __init__(self, states: Iterable[TensorState]) -> None:
        users: dict[int, tuple[torch.UntypedStorage, list[_Span]]] = {}
        for state in states:
            if is_traceable_wrapper_subclass(state.data):
                continue  # such as a DTensor, which has the tensors with its numbers as attributes
            for part in parts(state.data):
                storage, span = part.untyped_storage(), _Span(*span_in_storage(part), [state.tensor])
                users.setdefault(storage._cdata, (storage, []))[1].append(span)
        self._sizes = [(storage, storage.nbytes()) for storage, _ in users.values()]
        self._pieces = [
            _Piece(storage, span)
            for storage, spans in users.values()
            if storage.device.type != "meta"
            for span in (_merged(spans) if spans[1:] else spans)
            if span.start < span.end <= storage.nbytes()  # not while the storage is emptied
        ]

    def restore(self) -> None:
        for storage, size in self._sizes:
            if storage.nbytes() != size:
                storage.resize_(size)
        for piece in self._pieces:
            piece.restore()


class _Span(NamedTuple):
    """The first byte of tensors in their storage, and the one after the last."""

    start: int
    end: int
    tensors: list[Tensor]


class _Piece:
    """Some bytes of a storage, and a copy of them."""

    __slots__ = ("copy", "end", "start", "storage", "tensors")

    def __init__(self, storage: torch.UntypedStorage, span: _Span) -> None:
        self.storage, (self.start, self.end, self.tensors) = storage, span
        small = self.end - self.start <= _SMALL and storage.device.type == "cpu"
        self.copy: bytes | Tensor = self._read() if small else self._view().clone()

    def restore(self) -> None:
        # Only what differs is written: autograd is told of it, and the memory may be read-only.
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
        """The bytes as integers, which are equal only if all bits are. Wide ones compare faster."""
        kind = next(each for each in _INTEGERS if self.start % each.itemsize == self.end % each.itemsize == 0)
        place = self.start // kind.itemsize, ((self.end - self.start) // kind.itemsize,), (1,)
        view = torch.empty(0, dtype=kind, device=self.storage.device)
        return view.set_(self.storage, *place)


def _merged(spans: list[_Span]) -> list[_Span]:
    """The same bytes in spans that do not overlap."""
    merged: list[_Span] = []
    for start, end, tensors in sorted(spans, key=itemgetter(0)):
        if merged and start <= merged[-1].end:
            last = merged.pop()
            start, end, tensors = last.start, max(end, last.end), last.tensors + tensors
        merged.append(_Span(start, end, tensors))
    return merged
