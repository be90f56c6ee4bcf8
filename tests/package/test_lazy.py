"""The dry run: the shapes it gives, the things it leaves unchanged, and its messages when it fails."""

import copy
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from torch.testing._internal.two_tensor import TwoTensor

from d2lblocks import MLP, Parallel, apply_init, init_42, uninitialized_names

Make = Callable[[], nn.Module]

rows, five, none = torch.ones(2, 4), torch.ones(2, 5), torch.ones(0, 4)
image, small = torch.ones(1, 4, 9, 9), torch.ones(1, 3, 4, 4)


class Run(nn.Module):
    """Modules and a forward pass that the test provides."""

    def __init__(self, run: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.run = run

    def forward(self, *inputs: Any) -> Any:
        return self.run(self, *inputs)


class Scale(LazyModuleMixin, nn.Module):
    """A custom lazy module that keeps its class."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = UninitializedParameter()

    def initialize_parameters(self, X: Tensor) -> None:
        if self.has_uninitialized_params():
            self.factor.materialize(X.shape[1:])
            nn.init.normal_(self.factor)

    def forward(self, X: Tensor) -> Tensor:
        return X * self.factor


def shared() -> nn.Module:
    layer = nn.LazyLinear(4)
    return nn.Sequential(layer, nn.ReLU(), layer)


def state(net: nn.Module) -> dict[str, Any]:
    """Everything that a failure must leave unchanged."""
    tensors = dict((*net.named_parameters(), *net.named_buffers()))
    return {
        "random": torch.get_rng_state().tolist(),
        "repr": repr(net),
        "modules": [(type(m), m.training) for m in net.modules()],
        "hooks": [[*m._forward_pre_hooks, None, *m._forward_hooks] for m in net.modules()],
        "tensors": [(name, id(t), type(t), t.dtype, t.requires_grad) for name, t in tensors.items()],
        "values": {name: t.tolist() for name, t in tensors.items() if not is_lazy(t)},
        "gradients": [p.grad if p.grad is None else p.grad.tolist() for p in net.parameters()],
    }


# The result for a lazy net.

NAMES: list[tuple[Make, list[str]]] = [
    (MLP, ["hidden.weight", "hidden.bias"]),
    (lambda: nn.Sequential(nn.LazyBatchNorm1d()), ["0.weight", "0.bias", "0.running_mean", "0.running_var"]),
    (shared, ["0.weight", "0.bias", "2.weight", "2.bias"]),
    (lambda: nn.Sequential(nn.Linear(4, 4), Scale()), ["1.factor"]),
    (lambda: nn.Linear(4, 4), []),
]


@pytest.mark.parametrize(("make", "names"), NAMES)
def test_names_wait_until_the_dry_run(make: Make, names: list[str]) -> None:
    """Names of parameters and buffers come in the order of the modules, with every name of a shared one."""
    net = make()
    assert uninitialized_names(net) == names
    outer = nn.Sequential(net, MLP())
    assert apply_init(net, rows) is net
    assert uninitialized_names(outer) == ["1.hidden.weight", "1.hidden.bias"]


def test_names_do_not_need_the_mixin() -> None:
    """Any module may hold lazy tensors."""
    net = nn.ParameterDict({"a": UninitializedParameter()})
    net.register_buffer("b", UninitializedBuffer())
    assert uninitialized_names(net) == ["a", "b"]


NORM = (1e-5, 0.1, True, True)
KINDS = [("Conv", (3, 2)), ("ConvTranspose", (3, 2)), ("BatchNorm", ()), ("InstanceNorm", NORM)]
LAZY = [("Linear", (3,), 0), *((f"{kind}{d}d", args, d) for kind, args in KINDS for d in (1, 2, 3))]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("kind", "args", "d"), LAZY)
def test_every_lazy_layer_becomes_the_eager_one(kind: str, args: Any, d: int, dtype: torch.dtype) -> None:
    """Class, values and the next random number equal those of a layer with sizes and the same seed."""
    made = []
    for make in (partial(getattr(nn, kind), 4), getattr(nn, f"Lazy{kind}")):
        torch.manual_seed(1)
        net = apply_init(make(*args, dtype=dtype), torch.ones(2, 4, *[5] * d, dtype=dtype))
        made.append((type(net), repr(net), torch.rand(1), net.state_dict()))
    assert made[0][:3] == made[1][:3]
    assert {tensor.dtype for tensor in net.parameters()} == {dtype}
    torch.testing.assert_close(made[0][3], made[1][3], rtol=0, atol=0)


class Noise(nn.Module):
    def forward(self, X: Tensor) -> Tensor:
        return F.dropout(X + torch.rand_like(X), training=True)


@settings(deadline=None, max_examples=40)
@given(plan=st.lists(st.sampled_from([nn.Linear, nn.BatchNorm1d, nn.Dropout, Noise]), min_size=1))
def test_a_lazy_net_equals_an_eager_one(plan: list[type[nn.Module]]) -> None:
    """The forward pass may draw numbers; the random state afterwards is the same too."""

    def build(lazy: bool) -> Iterator[nn.Module]:
        width = 4
        for size, kind in enumerate(plan, start=1):
            if kind is nn.Linear:
                yield nn.LazyLinear(size) if lazy else nn.Linear(width, size)
                width = size
            elif kind is nn.BatchNorm1d:
                yield nn.LazyBatchNorm1d() if lazy else nn.BatchNorm1d(width)
            else:
                yield kind()

    torch.manual_seed(1)
    eager, ahead = nn.Sequential(*build(lazy=False)).state_dict(), torch.rand(1)
    torch.manual_seed(1)
    lazy = apply_init(nn.Sequential(*build(lazy=True)), rows).state_dict()
    assert torch.equal(torch.rand(1), ahead)
    torch.testing.assert_close(lazy, eager, rtol=0, atol=0)


class Catching(nn.Sequential):
    def forward(self, X: Tensor) -> Tensor:
        with suppress(TypeError):
            self[0](X + torch.rand(1), "too many")
        return super().forward(X)


@pytest.fixture
def compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("kind", [Catching, nn.Sequential])
def test_other_nets_equal_eager_ones(kind: type[nn.Sequential], compiler: None) -> None:
    """The two kinds are a net that continues after a layer's error, and a net that will be compiled."""
    torch.manual_seed(1)
    eager = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).state_dict(), torch.rand(1)
    torch.manual_seed(1)
    net = kind(nn.LazyLinear(3), nn.LazyLinear(2))
    if kind is nn.Sequential:
        net.compile(backend="eager")
    torch.testing.assert_close((apply_init(net, rows).state_dict(), torch.rand(1)), eager, rtol=0, atol=0)


@pytest.mark.parametrize("make", [MLP, shared, Scale])
def test_two_nets_differ(make: Make) -> None:
    """New parameters advance the random state."""
    nets = [apply_init(make(), rows) for _ in range(2)]
    assert not torch.equal(*(torch.cat([p.flatten() for p in net.parameters()]) for net in nets))


# Lazy layers that are not PyTorch's.


class Foreign(nn.Module):
    """A linear layer with a hook of its own, which removes itself when it is done."""

    def __init__(self, out: int = 4) -> None:
        super().__init__()
        self.out, self.width = out, -1
        self.weight = UninitializedParameter()
        self.bias = nn.Parameter(torch.zeros(out))
        self.handle: Any = self.register_forward_pre_hook(self.initialize)

    def initialize(self, module: Any, args: Any) -> None:
        if is_lazy(self.weight):
            self.fill(args[0])
        self.handle.remove()
        del self.handle

    def fill(self, X: Tensor) -> None:
        self.width = X.shape[-1]
        self.weight.materialize((self.out, self.width))  # type: ignore[attr-defined]
        nn.init.normal_(self.weight)

    def forward(self, X: Tensor) -> Tensor:
        return X @ self.weight.T + self.bias


class Bare(nn.Module):
    """A parameter, a buffer, and a hook that stays and takes keywords."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = UninitializedParameter()
        self.register_buffer("shift", UninitializedBuffer())
        self.register_forward_pre_hook(self.initialize, with_kwargs=True)

    @staticmethod
    def initialize(module: Any, args: Any, kwargs: Any) -> Any:
        X = kwargs["X"]
        if is_lazy(module.factor):
            module.factor.materialize(X.shape[1:])
            module.shift.materialize(X.shape[1:])
            module.factor.uniform_()  # in place on a leaf, which is allowed only without gradients
            module.shift.fill_(1)
        return args, {"X": X + 0}

    def forward(self, *, X: Tensor) -> Tensor:
        return X * self.factor + self.shift


class Replacing(Foreign):
    """A layer that replaces its lazy parameter by a new one."""

    def fill(self, X: Tensor) -> None:
        self.weight = nn.Parameter(torch.rand(self.out, X.shape[-1]))


class Parent(nn.Module):
    """A hook that initializes the children, by their methods or by calling them, and a hook that does not."""

    def __init__(self, calls: bool) -> None:
        super().__init__()
        self.calls, self.noise = calls, nn.Parameter(torch.zeros(1))
        self.layers = nn.ModuleList([Foreign(), Foreign(), nn.LazyLinear(4)])
        self.handle: Any = self.register_forward_pre_hook(self.initialize)
        self.register_forward_pre_hook(lambda module, args: (args[0] + 0,))

    def initialize(self, module: Any, args: Any) -> None:
        nn.init.normal_(self.noise)
        for layer in self.layers if self.calls else list(self.layers)[:2]:
            layer(args[0]) if self.calls else layer.initialize(layer, args)
        nn.init.normal_(self.noise)
        self.handle.remove()
        del self.handle

    def forward(self, X: Tensor) -> Any:
        return sum(layer(X) for layer in self.layers)


FOREIGN: dict[str, Make] = {
    "linear": Foreign,
    "replacing": Replacing,
    "bare": lambda: Run(lambda net, X: net.a(X=X), a=Bare()),
    "parent": lambda: Parent(calls=False),
    "parent that calls": lambda: Parent(calls=True),
    "between PyTorch's own": lambda: nn.Sequential(
        nn.LazyLinear(4), Foreign(), nn.Dropout(), nn.LazyLinear(4)
    ),
    "in another order": lambda: Run(lambda net, X: net.a(net.b(X)), a=Foreign(), b=Foreign()),
    "twice": lambda: Run(lambda net, X: net.a(net.a(X)), a=Foreign()),
    "in a parent twice": lambda: nn.Sequential(Parent(calls=True), nn.LazyBatchNorm1d(), Parent(calls=False)),
}


def hooks(net: nn.Module) -> list[Any]:
    return [
        (type(m), sorted(vars(m)), len(m._forward_pre_hooks), len(m._forward_hooks)) for m in net.modules()
    ]


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_lazy_layers_of_others_get_what_a_plain_call_gives(make: Make) -> None:
    """Values, attributes, hooks and the next random number are equal; afterwards the net can be trained."""
    found = []
    for initialize in (lambda net: net(rows), lambda net: apply_init(net, rows)):
        torch.manual_seed(1)
        net = make()
        names, modes = [name for name, _ in net.named_parameters()], [m.training for m in net.modules()]
        net.eval()  # otherwise a plain call would draw for dropout
        with torch.no_grad():
            initialize(net)
        found.append((net.state_dict(), hooks(net), torch.rand(1), getattr(net, "width", None)))
        assert [name for name, _ in net.named_parameters()] == names
        net.train()
        assert [m.training for m in net.modules()] == modes
    assert found[0][1:] == found[1][1:]
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=0)
    assert uninitialized_names(net) == []
    net(rows).sum().backward()
    again = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    apply_init(net, rows)
    torch.testing.assert_close(net.state_dict(), again, rtol=0, atol=0)


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_lazy_layers_of_others_are_left_after_a_failure(make: Make) -> None:
    """The failure is in the forward pass after them, or in the function for their values. Afterwards a call
    succeeds.
    """
    net = nn.Sequential(make(), nn.Linear(9, 1))
    before = state(net), hooks(net)
    with pytest.raises(RuntimeError, match=r"the dry run failed in '1', Linear"):
        apply_init(net, rows)
    assert (state(net), hooks(net)) == before
    net = make()
    before = state(net), hooks(net)

    def refuse(module: nn.Module) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        apply_init(net, rows, init=refuse)
    assert (state(net), hooks(net)) == before
    apply_init(net, rows)
    assert uninitialized_names(net) == []


def test_a_hook_finds_everything_as_it_was_before_the_dry_run() -> None:
    """Its second call sees the same state as the first, except for the training mode, which the dry run
    turns off.
    """
    seen: list[Any] = []

    class Looking(Foreign):
        calls = 0

        def initialize(self, module: Any, args: Any) -> None:
            assert self.handle.id in self._forward_pre_hooks
            assert not torch.is_grad_enabled()
            self.calls += 1
            seen.append((self.calls, is_lazy(self.weight), self.bias.tolist(), self.training, args[0].shape))
            with torch.no_grad():
                self.bias.add_(1)
            super().initialize(module, args)

    net = apply_init(nn.Sequential(nn.LazyLinear(3), Looking()), rows)
    assert seen == [(1, True, [0.0] * 4, mode, (2, 3)) for mode in (False, True)]
    assert (net[1].calls, net[1].bias.tolist()) == (1, [1.0] * 4)


def test_hooks_that_initialize_nothing_are_not_repeated() -> None:
    """Hooks on the same layer as one that initializes, or on a layer that already has its shape, run once."""
    net, seen = nn.Sequential(nn.LazyLinear(3), Foreign(), nn.Linear(4, 4)), []
    for name, module in net.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: seen.append(name))
    module.register_forward_pre_hook(lambda *_: seen.append("before"), prepend=True)
    apply_init(net, rows)
    assert seen == ["", "0", "1", "before", "2"]
    net(rows)
    assert seen == ["", "0", "1", "before", "2"] * 2


def test_a_layer_that_was_loaded_before_its_first_batch_becomes_the_eager_one() -> None:
    """Its hook only has to change the class."""
    net = loaded()
    before = net[0].weight.tolist()
    apply_init(net, rows)
    assert (type(net[0]), net[0].in_features, net[0].weight.tolist()) == (nn.Linear, 4, before)


class InForward(nn.Module):
    """A lazy layer without a hook: the forward pass itself creates the weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = UninitializedParameter()

    def forward(self, X: Tensor) -> Tensor:
        if is_lazy(self.weight):
            self.weight.materialize((3, X.shape[-1]))
            nn.init.normal_(self.weight)
        return X @ self.weight.T


def test_what_forward_itself_initializes_takes_a_plain_call() -> None:
    """The error says so and leaves the net unchanged; following the error's advice works."""
    net = nn.Sequential(nn.LazyLinear(4), InForward())
    before = state(net)
    with pytest.raises(
        RuntimeError, match=r"^the forward pass .* '1.weight' .* the net once under torch.no_grad\(\)"
    ):
        apply_init(net, rows)
    assert state(net) == before
    with torch.no_grad():
        net(rows)
    assert uninitialized_names(net) == []
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    apply_init(net, rows)
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)
    net(rows).sum().backward()


@pytest.mark.parametrize("layer", [nn.LazyLinear, Foreign])
def test_what_the_forward_pass_does_not_reach_is_called_by_itself(layer: Callable[[int], nn.Module]) -> None:
    """The error gives this advice, and it works."""
    net = Run(lambda net, X: net.a(X), a=layer(3), b=layer(2))
    with pytest.raises(
        RuntimeError, match=r"did not reach 'b.weight'.*: call their layers by themselves first"
    ):
        apply_init(net, rows)
    with torch.no_grad():
        net.b(rows)
    apply_init(net, rows)
    assert uninitialized_names(net) == []


# The inputs of the net.


class Named(nn.Module):
    """A forward pass that takes keywords only; one of them has the name of `apply_init`'s own argument."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LazyLinear(3)

    def forward(self, *inputs: Tensor, net: Tensor, mask: Tensor | None = None, extra: Any = None) -> Tensor:
        self.seen = inputs, net, mask, extra
        Y = self.layer(net.mul_(2))
        return Y if mask is None else Y * mask


def test_inputs_may_have_names() -> None:
    """Inputs with names are copied like those without."""
    X, mask, extra = (
        torch.ones(2, 4, requires_grad=True),
        torch.ones(3),
        {"deep": [torch.zeros(1)], "mode": "x"},
    )
    seen: list[Any] = []
    net = Named()
    net.layer.register_forward_hook(lambda *_: seen.append(net.seen))
    assert apply_init(net, rows, net=X, mask=mask, extra=extra, init=init_42) is net
    assert net.layer.weight.unique().tolist() == [42.0]
    ((inputs, given, masked, deep),) = seen
    assert [inputs[0].tolist(), masked.tolist()] == [rows.tolist(), mask.tolist()]
    assert (X.sum(), X._version) == (8, 0)
    assert (deep["mode"], deep["deep"][0].tolist()) == ("x", [0.0])
    assert not {id(each) for each in (given, masked, deep["deep"][0])} & {
        id(each) for each in (X, mask, *extra["deep"])
    }


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"net": five, "mask": five},
            r"failed in Named: it got shape \(2, 5\) and shape \(2, 5\): RuntimeError",
        ),
        ({}, "failed in Named: it got nothing: TypeError: .*missing 1 required keyword-only argument: 'net'"),
        (
            {"net": rows, "wrong": 3},
            r"failed in Named: it got shape \(2, 4\) and type int: TypeError: .*'wrong'",
        ),
        ({"net": image[0]}, r"failed in Named: it got shape \(4, 9, 9\): KeyError"),
    ],
)
def test_a_failure_shows_the_shapes_of_inputs_with_names(kwargs: Any, message: str) -> None:
    """The net is unchanged."""

    class Strict(Named):
        def forward(self, *inputs: Tensor, **kwargs: Any) -> Tensor:
            if kwargs and kwargs["net"].dim() > 2:
                raise KeyError("net")
            return super().forward(*inputs, **kwargs)

    net = Strict()
    before = state(net)
    with pytest.raises(RuntimeError, match=message.replace("Named", "Strict", 1)):
        apply_init(net, **kwargs)
    assert state(net) == before
    apply_init(net, net=rows)


def test_init_runs_after_the_dry_run() -> None:
    """The function runs on every module, in the order of `net.apply`, and with the net's own modes."""
    net, seen = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d()), []
    apply_init(net, rows, init=lambda module: seen.append((type(module), module.training)))
    assert seen == [(nn.Linear, True), (nn.BatchNorm1d, True), (nn.Sequential, True)]
    assert apply_init(MLP(), rows, init=init_42).hidden.weight.unique().tolist() == [42.0]


def test_what_was_made_before_stays_in_use() -> None:
    """An optimizer holds the same parameters, a copy computes the same, and loaded values are kept."""
    net, other = MLP(), MLP()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    Y = apply_init(net, rows)(rows)
    Y.sum().backward()
    assert torch.equal(copy.deepcopy(net)(rows), Y)
    optimizer.step()
    assert not torch.equal(net(rows), Y)
    other.load_state_dict(net.state_dict())
    assert torch.equal(apply_init(other, rows)(rows), net(rows))


def test_a_net_on_meta_takes_meta_inputs() -> None:
    """The net gets its shapes on meta, and nothing is drawn."""
    before = torch.get_rng_state()
    net = nn.Sequential(MLP(device="meta"), nn.LazyBatchNorm1d(device="meta"))
    apply_init(net, torch.rand(2, 4, device="meta"))
    assert (net[0].hidden.weight.shape, net[1].running_var.shape) == ((256, 4), (10,))
    assert all(tensor.is_meta for tensor in net.state_dict().values())
    assert torch.equal(torch.get_rng_state(), before)


# The things that a dry run leaves unchanged.


def test_a_net_without_lazy_parameters_is_only_checked() -> None:
    """Modules, statistics, gradients, hooks and the random state keep their exact values."""
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(), Noise())
    net[0].weight.requires_grad_(False)
    net[2].eval()
    net(torch.rand(5, 4)).sum().backward()
    for module, prepend in itertools.product(net.modules(), (False, True)):
        module.register_forward_pre_hook(lambda *_: None, prepend=prepend)
        module.register_forward_hook(lambda *_: None, prepend=prepend)
    before = state(net)
    apply_init(net, rows)
    assert state(net) == before
    wider = nn.Sequential(net, nn.LazyLinear(2))
    apply_init(wider, rows)
    assert {**state(net), "random": before["random"]} == before
    assert [len(module._forward_pre_hooks) for module in (wider, wider[1])] == [0, 0]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_run_is_without_training_and_gradients(enabled: bool) -> None:
    """The modes of all modules are changed without calling `train`, which may do more, and are restored."""

    class Strict(nn.Sequential):
        def train(self, mode: bool = True) -> Any:
            raise AssertionError("train was called")

    net, seen = Strict(nn.LazyLinear(3), nn.ReLU()), []
    net[1].training = False
    net[1].register_forward_hook(
        lambda *_: seen.extend([torch.is_grad_enabled(), *(module.training for module in net.modules())])
    )
    with torch.inference_mode():
        X = torch.rand(2, 4)
    with torch.set_grad_enabled(enabled):
        apply_init(net, X)
        assert torch.is_grad_enabled() is enabled
    assert seen == [False] * 4
    assert [module.training for module in net.modules()] == [True, True, False]
    net(rows).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


WRITES: dict[str, tuple[Tensor, Callable[[Any], Any]]] = {
    "in place": (torch.zeros(3), lambda net: net.count.add_(1)),
    "another tensor": (torch.zeros(3), lambda net: setattr(net, "count", net.count + 1)),
    "expanded": (torch.zeros(1).expand(3), lambda net: None),
}


@pytest.mark.parametrize(("count", "write"), WRITES.values(), ids=WRITES)
def test_buffers_are_left(count: Tensor, write: Callable[[Any], Any]) -> None:
    """Buffers are the same objects with the same values, however the forward pass writes to them."""
    net = Run(lambda net, X: (write(net), net.a(X)), a=nn.LazyLinear(3))
    net.register_buffer("count", count)
    apply_init(net, rows)
    assert net.count is count
    assert count.tolist() == [0.0] * 3


def test_parameters_are_left() -> None:
    """Parameters keep their values even if a layer scales its weight when it is called."""
    net = nn.Sequential(nn.Embedding(5, 3, max_norm=0.1), nn.LazyLinear(2))
    before = net[0].weight.tolist()
    apply_init(net, torch.tensor([1, 2]))
    assert net[0].weight.tolist() == before


@pytest.mark.parametrize("pack", [lambda X: X, lambda X: [X]], ids=["tensor", "list"])
def test_inputs_are_left(pack: Callable[[Tensor], Any]) -> None:
    """The forward pass gets copies that it may write to. Inputs without tensors are passed as they are."""

    def halve(net: Any, given: Any, *rest: Any) -> None:
        assert rest == others
        net.a((given if isinstance(given, Tensor) else given[0]).div_(2))

    X, others = torch.ones(2, 4, requires_grad=True), (object(), None, 3)
    apply_init(Run(halve, a=nn.LazyLinear(3)), pack(X), *others)
    assert (X.sum(), X._version) == (8, 0)


# The messages of failures, and the things that failures leave unchanged.


def loaded() -> nn.Module:
    net = nn.Sequential(nn.LazyLinear(3))
    net.load_state_dict(nn.Sequential(nn.Linear(4, 3)).state_dict())
    return net


def by_name(net: Any, X: Tensor) -> Any:
    return net.a(X), net.b(input=X)


def picky(net: Any, X: Tensor, both: bool = True) -> Tensor:
    with suppress(TypeError):
        net.b(X, "too many")
    Y = net.b(net.a(X)) if both else net.a(X)
    if len(X) != 2:
        raise ValueError("two rows, please") if len(X) else KeyboardInterrupt("by the user")
    return Y


def two_lazy() -> nn.Module:
    return Run(picky, a=nn.LazyLinear(3), b=nn.LazyLinear(2))


def beside(layer: nn.Module) -> nn.Module:
    """A net whose lazy layer takes inputs of any width, but whose other layer does not."""
    lazy = nn.LazyConv2d(2, 1) if isinstance(layer, nn.modules.conv._ConvNd) else nn.LazyLinear(2)
    return nn.Sequential(Parallel(lazy, layer, dim=1))


def images() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.LazyConv2d(2, 5))


GOT_FIVE = r"it got shape \(2, 5\), and expects shape"
FAILURES: list[tuple[Make, list[Any], list[Any], str]] = [
    (lambda: beside(nn.Linear(4, 2)), [five], [rows], rf"'0.nets.1', Linear\(.*: {GOT_FIVE} \(\*, 4\): "),
    (lambda: MLP(None, 3, 2).double(), [five], [rows.double()], "'hidden', Linear.*must have the same dtype"),
    (lambda: beside(nn.LayerNorm(4)), [five], [rows], rf"LayerNorm.*: {GOT_FIVE} \(\*, 4\): "),
    (lambda: beside(nn.BatchNorm1d(4)), [five], [rows], rf"BatchNorm1d.*: {GOT_FIVE} \(N, 4, ...\): "),
    (lambda: beside(nn.Conv2d(4, 2, 1, groups=2)), [small], [image], r"expects shape \(N, 4, H, W\): "),
    (lambda: beside(nn.ConvTranspose2d(4, 2, 1, groups=2)), [small], [image], r"shape \(N, 4, H, W\): "),
    (images, [rows], [image], r"'0', LazyConv2d.*: it got shape \(2, 4\): RuntimeError: Expected 3D"),
    (images, [small], [image], r"'2', Conv2d.*: it got shape \(1, 2, 2, 2\).*Kernel size"),
    (nn.LazyBatchNorm2d, [rows], [image], r"in BatchNorm2d.*: it got shape \(2, 4\), .*expected 4D input"),
    (lambda: nn.Sequential(Scale(), nn.Linear(4, 2)), [five], [rows], rf"'1', .*: {GOT_FIVE}"),
    (loaded, [five], [rows], rf"'0', LazyLinear.*: {GOT_FIVE} \(\*, 4\): AssertionError"),
    (lambda: Run(by_name, a=nn.LazyLinear(2), b=nn.Linear(4, 2)), [five], [rows], rf"'b', .*: {GOT_FIVE}"),
    (MLP, [], [rows], "failed in MLP: it got nothing: TypeError"),
    (MLP, [rows, five], [rows], r"failed in MLP: it got shape \(2, 4\) and shape \(2, 5\): TypeError"),
    (MLP, ["text"], [rows], "'hidden', LazyLinear.*: it got type str: AttributeError"),
    (two_lazy, [image], [rows], r"failed in Run: it got shape \(1, 4, 9, 9\): ValueError: two rows, please"),
    (two_lazy, [none], [rows], "^by the user$"),
    (two_lazy, [rows, False], [rows], "the dry run of Run did not reach 'b.weight', 'b.bias'"),
]  # fmt: skip
RECOVERIES: dict[str, Callable[[nn.Module, list[Any], Make], Any]] = {
    "apply_init": lambda net, inputs, make: apply_init(net, *inputs),
    "call": lambda net, inputs, make: net(*inputs),
    "load": lambda net, inputs, make: net.load_state_dict(apply_init(make(), *inputs).state_dict()),
}


@pytest.mark.parametrize("recover", RECOVERIES.values(), ids=RECOVERIES)
@pytest.mark.parametrize(("make", "wrong", "right", "message"), FAILURES)
def test_a_failure_says_where_and_leaves_everything(
    make: Make, wrong: list[Any], right: list[Any], message: str, recover: Callable[..., Any]
) -> None:
    """The message names the layer, its input and the expected shape. Afterwards the net takes right inputs
    in every way.
    """
    net = make()
    before = state(net)
    with pytest.raises((RuntimeError, KeyboardInterrupt), match=message):
        apply_init(net, *wrong)
    assert state(net) == before
    recover(net, right, make)
    assert uninitialized_names(net) == []
    net(*right)


def test_a_layer_that_is_called_by_keyword_gets_its_shape() -> None:
    """An example is `net.a(input=X)`."""
    net = apply_init(Run(lambda net, X: net.a(input=X), a=nn.LazyLinear(3)), rows)
    assert net.a.weight.shape == (3, 4)


def test_a_failure_frees_the_memory_of_what_is_lazy_again() -> None:
    """A parameter has no values again, and has kept its type and device."""
    net = nn.Sequential(nn.LazyLinear(3), nn.Linear(4, 2)).double()
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        apply_init(net, rows.double())
    for parameter in net[0].parameters():
        assert is_lazy(parameter)
        assert (parameter.data.numel(), parameter.data.untyped_storage().nbytes()) == (0, 0)
        assert (parameter.dtype, parameter.device.type) == (torch.float64, "cpu")


CONVS = [
    (nn.Conv1d(6, 12, 1, groups=3), r"\(N, 6, L\)"),
    (nn.Conv2d(6, 12, 1, groups=3), r"\(N, 6, H, W\)"),
    (nn.Conv3d(6, 12, 1, groups=3), r"\(N, 6, D, H, W\)"),
    (nn.ConvTranspose1d(6, 12, 1, groups=3), r"\(N, 6, L\)"),
    (nn.ConvTranspose2d(6, 12, 1, groups=3), r"\(N, 6, H, W\)"),
    (nn.ConvTranspose3d(6, 12, 1, groups=3), r"\(N, 6, D, H, W\)"),
]


@pytest.mark.parametrize(("layer", "shape"), CONVS, ids=[type(layer).__name__ for layer, _ in CONVS])
def test_the_expected_shape_of_a_convolution_has_all_its_channels(layer: nn.Module, shape: str) -> None:
    """The shape has the channels of all groups, although the weight has those of one group."""
    d = len(layer.kernel_size)
    with pytest.raises(
        RuntimeError, match=rf"it got shape \(2, 5(, 4){{{d}}}\), and expects shape {shape}: "
    ):
        apply_init(layer, torch.ones(2, 5, *[4] * d))
    apply_init(layer, torch.ones(2, 6, *[4] * d))


LOADED: list[tuple[Make, nn.Module, tuple[int, ...], str]] = [
    (lambda: nn.LazyBatchNorm1d(), nn.BatchNorm1d(3), (2, 5), r"\(N, 3, ...\)"),
    (lambda: nn.LazyBatchNorm2d(), nn.BatchNorm2d(3), (2, 5, 4, 4), r"\(N, 3, ...\)"),
    (lambda: nn.LazyBatchNorm2d(affine=False), nn.BatchNorm2d(3, affine=False), (2, 5, 4, 4), r"\(N, 3, ...\)"),
    (lambda: nn.LazyBatchNorm1d(track_running_stats=False), nn.BatchNorm1d(3, track_running_stats=False), (2, 5), r"\(N, 3, ...\)"),
    (lambda: nn.LazyInstanceNorm1d(affine=True, track_running_stats=True), nn.InstanceNorm1d(3, affine=True, track_running_stats=True), (2, 5, 4), r"\(N, 3, ...\)"),
    (lambda: nn.LazyConv2d(4, 3), nn.Conv2d(3, 4, 3), (2, 5, 9, 9), r"\(N, 3, H, W\)"),
    (lambda: nn.LazyConvTranspose1d(4, 3), nn.ConvTranspose1d(3, 4, 3), (2, 5, 9), r"\(N, 3, L\)"),
    (lambda: nn.LazyLinear(4), nn.Linear(3, 4), (2, 5), r"\(\*, 3\)"),
]  # fmt: skip


@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize(
    ("lazy", "eager", "shape", "expected"), LOADED, ids=[type(e).__name__ for _, e, *_ in LOADED]
)
def test_the_expected_shape_after_loading_is_that_of_the_tensors(
    lazy: Make, eager: nn.Module, shape: tuple[int, ...], expected: str, called: bool
) -> None:
    """The attributes of a loaded lazy layer stay 0, which is PyTorch's own behavior."""
    net = nn.Sequential(lazy())
    net.load_state_dict(nn.Sequential(eager).state_dict())
    if called and not isinstance(eager, nn.InstanceNorm1d):  # an instance norm would fail for the same reason
        net(torch.ones(2, 3, *shape[2:]))
    with pytest.raises(RuntimeError, match=f"expects shape {expected}: "):
        apply_init(net, torch.ones(shape))


def test_a_norm_without_tensors_expects_what_it_was_made_for() -> None:
    """A lazy norm has no expected size."""
    with pytest.raises(RuntimeError, match=r"got shape \(2,\), and expects shape \(N, 3, ...\): "):
        apply_init(nn.BatchNorm1d(3, affine=False, track_running_stats=False), torch.ones(2))
    with pytest.raises(RuntimeError, match=r"got shape \(2,\): "):
        apply_init(nn.LazyBatchNorm1d(affine=False, track_running_stats=False), torch.ones(2))


BESIDE: dict[str, tuple[Callable[[], Tensor], Callable[[Any], Tensor]]] = {
    "sparse": (lambda: torch.eye(3).to_sparse(), lambda t: t._values()),
    "sparse rows": (lambda: torch.eye(3).to_sparse_csr(), lambda t: t.values()),
    "two in one": (lambda: TwoTensor(torch.ones(3), torch.ones(3)), lambda t: t.b),
    "complex32": (lambda: torch.ones(3, dtype=torch.complex32), torch.view_as_real),
    "float8": (lambda: torch.ones(3).to(torch.float8_e5m2), lambda t: t.view(torch.uint8)),
    "float4": (lambda: torch.ones(4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), lambda t: t.view(torch.uint8)),
    "nested": (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), lambda t: t.values()),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("make", "values"), BESIDE.values(), ids=BESIDE)
def test_buffers_of_any_kind_are_left(make: Callable[[], Tensor], values: Callable[[Any], Tensor]) -> None:
    """Buffers are restored after the forward pass writes to them, whether or not it fails."""

    def write(net: Any, X: Tensor) -> Tensor:
        values(net.other).zero_()
        return net.b(net.a(X))

    net = Run(write, a=nn.LazyLinear(3), b=nn.Linear(3, 1))
    net.register_buffer("other", other := make())
    before = values(other).tolist()
    with pytest.raises(RuntimeError, match="the dry run failed in 'a', LazyLinear"):
        apply_init(net, torch.ones(()))
    assert net.other is other
    assert values(other).tolist() == before
    apply_init(net, rows)
    assert net.other is other
    assert values(other).tolist() == before
    assert any(before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: torch.jit.script(nn.Linear(4, 2)), "and the net is one"),
        (lambda: nn.Sequential(nn.LazyLinear(4), torch.jit.script(nn.Linear(4, 2))), "and '1' is one"),
        (lambda: nn.Sequential(torch.jit.trace(nn.Linear(4, 2), rows)), "and '0' is one"),
    ],
)
def test_a_net_that_was_scripted_is_refused(make: Make, where: str) -> None:
    """Scripted modules take no hooks, and changes could not be undone. The order named by the error works."""
    net = make()
    with pytest.raises(RuntimeError, match=f"^apply_init is not supported on ScriptModules, {where}: "):
        apply_init(net, rows)
    scripted = torch.jit.script(apply_init(nn.Sequential(nn.LazyLinear(3)), rows))
    assert scripted(rows).shape == (2, 3)


@pytest.mark.parametrize("init", [None, init_42])
def test_a_net_inside_itself_is_refused(init: Any) -> None:
    """The error comes before the net is called."""
    net = Run(lambda net, X: pytest.fail("called"), a=nn.LazyLinear(3))
    net.a.parent = net
    with pytest.raises(ValueError, match=r"^Run contains itself: 'a.parent' is the net"):
        apply_init(net, rows, init=init)


def test_a_failure_leaves_what_modules_hold() -> None:
    """A dictionary that refuses changes is not emptied and causes no error."""

    class Frozen(dict[str, int]):
        def update(self, *args: Any, **kwargs: Any) -> None:
            raise TypeError("frozen")

    net = nn.Sequential(nn.LazyLinear(3), nn.Linear(4, 2))
    net.config = Frozen(width=3)
    before = state(net)
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        apply_init(net, rows)
    assert (net.config, state(net)) == ({"width": 3}, before)


SPOILS: dict[str, Callable[[Any], Any]] = {
    "values": lambda module: module.weight.data.fill_(7.0),
    "buffers": lambda module: module.running_mean.fill_(7.0),
    "flags": lambda module: module.requires_grad_(False),
    "modes": lambda module: module.eval(),
    "objects": lambda module: module.register_parameter("weight", None),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_an_init_that_fails_midway_leaves_everything(spoil: Callable[[Any], Any]) -> None:
    """The error is the function's own, and its changes to lazy and eager layers are undone."""

    def init(module: nn.Module) -> None:
        if module is net:
            raise ValueError("midway")
        spoil(module)

    net = nn.Sequential(nn.LazyBatchNorm1d(), nn.BatchNorm1d(4))
    before = state(net)
    with pytest.raises(ValueError, match="midway"):
        apply_init(net, rows, init=init)
    assert state(net) == before


def test_what_forward_sets_is_forgotten() -> None:
    """Attributes and layers that `forward` creates appear only with the first real call."""

    def remember(net: Any, X: Tensor) -> Tensor:
        net.last = X
        net.extra = nn.Linear(2, 2)
        return net.a(X)

    net = Run(remember, a=nn.LazyLinear(3))
    apply_init(net, rows)
    assert not hasattr(net, "last")
    assert [name for name, _ in net.named_children()] == ["a"]


def test_what_forward_does_elsewhere_is_undone() -> None:
    """Lists in attributes, gradients, and the random states of Python and NumPy are restored."""

    def spread(net: Any, X: Tensor) -> Tensor:
        net.seen.append(X + random.random() + np.random.rand())
        net.b.weight.grad.zero_()
        return net.a(X)

    net = Run(spread, a=nn.LazyLinear(3), b=nn.Linear(4, 1))
    net.seen = []
    net.b(rows).sum().backward()
    before = random.getstate(), np.random.get_state()[1].tolist()
    apply_init(net, rows)
    assert (net.seen, net.b.weight.grad.tolist()) == ([], [[2.0] * 4])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_init_runs_in_the_callers_grad_mode(mode: Callable[[], Any]) -> None:
    """A function that writes to parameters under the caller's `no_grad` works here as well."""
    with mode():
        seen = [torch.is_grad_enabled()]
        apply_init(nn.LazyLinear(3), rows, init=lambda module: seen.append(torch.is_grad_enabled()))
        seen.append(torch.is_grad_enabled())
    assert len(set(seen)) == 1


def test_a_net_of_inference_mode_is_served_too() -> None:
    """A net made in inference mode can be written only in that mode, wherever the dry run is called."""
    with torch.inference_mode():
        inside, outside = nn.LazyLinear(3), nn.LazyLinear(3)
        assert apply_init(inside, rows, init=init_42)(rows).shape == (2, 3)
    assert apply_init(outside, rows, init=init_42).weight.is_inference()
    assert not torch.is_inference_mode_enabled()


def test_parameters_made_in_inference_mode_can_be_trained() -> None:
    """After a plain call in that mode they could not be trained."""
    net = nn.Sequential(nn.LazyLinear(3), nn.LazyLinear(2))
    with torch.inference_mode():
        apply_init(net, rows)
        assert torch.is_inference_mode_enabled()
    net(rows).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_a_hook_that_changes_the_input_decides_on_the_size() -> None:
    """In the dry run, too."""
    net = nn.Sequential(nn.LazyLinear(2))
    net[0].register_forward_pre_hook(lambda module, inputs: (inputs[0][:, :3],), prepend=True)
    assert apply_init(net, torch.ones(1, 5))[0].in_features == 3
