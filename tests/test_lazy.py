"""The dry run: which shapes it gives, what it leaves as it was, and what it says when it fails."""

import copy
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter, is_lazy

from d2lblocks import MLP, Parallel, apply_init, init_xavier, uninitialized_names

Make = Callable[[], nn.Module]


class Scale(LazyModuleMixin, nn.Module):
    """A lazy module of one's own: it keeps its class, and does not ask whether it is initialised."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = UninitializedParameter()

    def initialize_parameters(self, X: Tensor) -> None:
        self.factor.materialize(X.shape[1:])
        nn.init.normal_(self.factor)

    def forward(self, X: Tensor) -> Tensor:
        return X * self.factor


class Plain(nn.Module):
    """A module that fills a lazy parameter in its forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = UninitializedParameter()

    def forward(self, X: Tensor) -> Tensor:
        if is_lazy(self.factor):
            self.factor.materialize(X.shape[1:])
            nn.init.normal_(self.factor)
        return X * self.factor


class Run(nn.Module):
    """A lazy layer and an eager one, and a forward pass that the test gives."""

    def __init__(self, run: Callable[..., Any], lazy: bool = True) -> None:
        super().__init__()
        self.a = nn.LazyLinear(3) if lazy else nn.Linear(4, 3)
        self.b = nn.LazyLinear(2) if lazy else nn.Linear(3, 2)
        self.run = run

    def forward(self, *inputs: Any) -> Any:
        return self.run(self, *inputs)


def shared() -> nn.Module:
    layer = nn.LazyLinear(4)
    return nn.Sequential(layer, nn.ReLU(), layer)


def state(net: nn.Module) -> dict[str, Any]:
    """All that a failure has to leave as it was."""
    tensors = dict((*net.named_parameters(), *net.named_buffers()))
    return {
        "random": torch.get_rng_state().tolist(),
        "repr": repr(net),
        "modules": [
            (type(m), m.training, [*m._forward_pre_hooks], [*m._forward_hooks]) for m in net.modules()
        ],
        "tensors": [(name, id(t), type(t), t.requires_grad) for name, t in tensors.items()],
        "values": {name: t.tolist() for name, t in tensors.items() if not is_lazy(t)},
        "gradients": [None if p.grad is None else p.grad.tolist() for p in net.parameters()],
    }


# Which names wait.

NAMES: list[tuple[Make, list[str]]] = [
    (MLP, ["hidden.weight", "hidden.bias"]),
    (lambda: nn.Sequential(nn.LazyBatchNorm1d()), ["0.weight", "0.bias", "0.running_mean", "0.running_var"]),
    (shared, ["0.weight", "0.bias", "2.weight", "2.bias"]),
    (lambda: nn.Sequential(nn.Linear(4, 4), Scale()), ["1.factor"]),
    (lambda: nn.Sequential(nn.Linear(4, 4), Plain()), ["1.factor"]),
    (lambda: nn.Linear(4, 4), []),
]  # fmt: skip


@pytest.mark.parametrize(("make", "names"), NAMES)
def test_names_wait_until_the_dry_run(make: Make, names: list[str]) -> None:
    """Of parameters and buffers, in the order of the modules, each name of a shared one."""
    net = make()
    assert uninitialized_names(net) == names
    assert apply_init(net, torch.rand(2, 4)) is net
    assert uninitialized_names(net) == []
    assert net(torch.rand(3, 4)).shape[0] == 3


# What a lazy net becomes.


def test_the_signature() -> None:
    """Any number of inputs; `init` goes by its name."""
    assert str(inspect.signature(apply_init)).startswith("(net: ~Net, *inputs: Any, init: ")


KINDS = [("Conv", (3, 2)), ("ConvTranspose", (3, 2)), ("BatchNorm", ()), ("InstanceNorm", (1e-5, 0.1, True, True))]
LAZY = [("Linear", (3,), 0), *((f"{kind}{d}d", args, d) for kind, args in KINDS for d in (1, 2, 3))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("kind", "args", "d"), LAZY)
def test_every_lazy_layer_becomes_the_eager_one(
    kind: str, args: tuple[Any, ...], d: int, dtype: torch.dtype
) -> None:
    """With the class, the values and the next random number that the same seed gives to one with sizes."""
    made = []
    for make in (partial(getattr(nn, kind), 4), getattr(nn, f"Lazy{kind}")):
        torch.manual_seed(1)
        net = apply_init(make(*args, dtype=dtype), torch.ones(2, 4, *[5] * d, dtype=dtype))
        made.append((type(net), repr(net), torch.rand(1), net.state_dict()))
    assert made[0][:3] == made[1][:3]
    assert {tensor.dtype for tensor in net.parameters()} == {dtype}
    torch.testing.assert_close(made[0][3], made[1][3], rtol=0, atol=0)


@settings(deadline=None, max_examples=40)
@given(plan=st.lists(st.sampled_from(["linear", "scale", "norm", "dropout", "noise", "again"]), min_size=1))
def test_a_lazy_net_equals_an_eager_one(plan: list[str]) -> None:
    """Whatever the forward pass draws; the random stream goes on alike as well."""

    class Noise(nn.Module):
        def forward(self, X: Tensor) -> Tensor:
            return F.dropout(X + torch.rand_like(X), training=True)

    def build(lazy: bool) -> nn.Sequential:
        net, width = nn.Sequential(), 4
        for step, kind in enumerate(plan):
            match kind:
                case "linear":
                    net.append(nn.LazyLinear(step + 1) if lazy else nn.Linear(width, step + 1))
                    width = step + 1
                case "norm":
                    net.append(nn.LazyBatchNorm1d() if lazy else nn.BatchNorm1d(width))
                case "scale":
                    net.append(Scale())
                    if not lazy:
                        net[-1].initialize_parameters(torch.empty(1, width))
                case "again" if step and plan[step - 1] != "linear":
                    net.append(net[-1])
                case _:
                    net.append(nn.Dropout() if kind == "dropout" else Noise())
        return net

    nets, ahead = [], []
    for lazy in (False, True):
        torch.manual_seed(1)
        nets.append(build(lazy))
        if lazy:
            apply_init(nets[-1], torch.rand(2, 4, generator=torch.Generator()))
        ahead.append(torch.rand(1))
    states = [net.state_dict() for net in nets]
    assert list(states[0]) == list(states[1])
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert torch.equal(*ahead)


@pytest.mark.parametrize("make", [MLP, shared, lambda: Run(lambda net, X: Scale()(X)), Plain])
def test_two_nets_differ(make: Make) -> None:
    """What new parameters draw, wherever they are made, moves the stream on."""
    nets = [apply_init(make(), torch.ones(2, 4)) for _ in range(2)]
    weights = [torch.cat([p.flatten() for p in net.parameters()]) for net in nets]
    assert not torch.equal(*weights)


def chain(net: Any, X: Tensor) -> Tensor:
    return net.b(net.a(X))
