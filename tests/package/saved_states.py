"""Shared by the tests of files: comparison bit for bit, nets to save, and errors to raise."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

Make = Callable[[], nn.Module]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64]


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Tensors of all shapes, also 0-dimensional, empty and transposed ones; some are parts of larger ones."""
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    tensor = torch.testing.make_tensor(shape, dtype=draw(st.sampled_from(DTYPES)), device="cpu")
    views = [
        tensor,
        tensor[:, :1] if len(shape) > 1 else tensor,
        tensor.expand(2, *shape),
        tensor.permute(tuple(range(len(shape)))[::-1]),
    ]
    view = draw(st.sampled_from(views))
    return nn.Parameter(view) if tensor.dtype.is_floating_point and draw(st.booleans()) else view


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal bit for bit, including their types."""
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        plain = [t.detach().resolve_conj().clone(memory_format=torch.contiguous_format) for t in (a, b)]
        raw = [t.flatten().view(torch.uint8) for t in plain]
        return (a.dtype, a.shape, a.requires_grad) == (b.dtype, b.shape, b.requires_grad) and torch.equal(
            *raw
        )
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(map(same, a.values(), b.values()))
    return bool(a == b or a != a)


def state(net: nn.Module) -> list[Any]:
    """A copy of everything that a failed load must leave as it was."""
    named = net.state_dict(keep_vars=True)
    return [
        [(type(module), module.training) for module in net.modules()],
        [(name, id(t), type(t), t.dtype, t.requires_grad) for name, t in named.items()],
        [(t.detach().clone(), t._version) for t in named.values() if not is_lazy(t)],
        copy.deepcopy([t.grad for t in named.values()]),
    ]


def tied(tie: bool = True) -> nn.Module:
    net = nn.ModuleDict({"embed": nn.Embedding(5, 4), "scores": nn.Linear(4, 5)})
    if tie:
        net["scores"].weight = net["embed"].weight
    return net


def buffers(*values: Tensor) -> nn.Module:
    net = nn.Module()
    for index, value in enumerate(values):
        net.register_buffer(f"x{index}", value)
    return net


def fail(error: BaseException, *args: Any) -> None:
    raise error


class Stating:
    """A part whose state is the given value."""

    def __init__(self, state: Any = None) -> None:
        self.state = state

    def state_dict(self) -> Any:
        return self.state

    def load_state_dict(self, state: Any) -> None:
        self.state = state
