"""The dry run: which shapes it gives, what it leaves as it was, and what it says when it fails."""

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

from d2lblocks import MLP, Parallel, apply_init, init_42, uninitialized_names

Make = Callable[[], nn.Module]

rows = torch.ones(2, 4)


class Run(nn.Module):
    """Modules, and a forward pass that the test gives."""

    def __init__(self, run: Callable[..., Any], **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self.run = run

    def forward(self, *inputs: Any) -> Any:
        return self.run(self, *inputs)


class Scale(LazyModuleMixin, nn.Module):
    """A lazy module of one's own, which keeps its class."""

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
    """All that a failure has to leave as it was."""
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


# What a lazy net becomes.

NAMES: list[tuple[Make, list[str]]] = [
    (MLP, ["hidden.weight", "hidden.bias"]),
    (lambda: nn.Sequential(nn.LazyBatchNorm1d()), ["0.weight", "0.bias", "0.running_mean", "0.running_var"]),
    (shared, ["0.weight", "0.bias", "2.weight", "2.bias"]),
    (lambda: nn.Sequential(nn.Linear(4, 4), Scale()), ["1.factor"]),
    (lambda: nn.Linear(4, 4), []),
]


@pytest.mark.parametrize(("make", "names"), NAMES)
def test_names_wait_until_the_dry_run(make: Make, names: list[str]) -> None:
    """Of parameters and buffers, in the order of the modules, each name of a shared one."""
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
    """With the class, the values and the next random number that the same seed gives to one with sizes."""
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
    """Whatever the forward pass draws; the random stream goes on alike as well."""

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
    """One whose forward pass goes on after an error of a layer, and one that is to be compiled."""
    torch.manual_seed(1)
    eager = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).state_dict(), torch.rand(1)
    torch.manual_seed(1)
    net = kind(nn.LazyLinear(3), nn.LazyLinear(2))
    if kind is nn.Sequential:
        net.compile(backend="eager")
    torch.testing.assert_close((apply_init(net, rows).state_dict(), torch.rand(1)), eager, rtol=0, atol=0)


@pytest.mark.parametrize("make", [MLP, shared, Scale])
def test_two_nets_differ(make: Make) -> None:
    """What new parameters draw moves the stream on."""
    nets = [apply_init(make(), rows) for _ in range(2)]
    assert not torch.equal(*(torch.cat([p.flatten() for p in net.parameters()]) for net in nets))


def test_init_runs_after_the_dry_run() -> None:
    """On every module, in the order of `net.apply`, and in the net's own modes."""
    net, seen = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d()), []
    apply_init(net, rows, init=lambda module: seen.append((type(module), module.training)))
    assert seen == [(nn.Linear, True), (nn.BatchNorm1d, True), (nn.Sequential, True)]
    assert apply_init(MLP(), rows, init=init_42).hidden.weight.unique().tolist() == [42.0]


def test_what_was_made_before_stays_in_use() -> None:
    """An optimizer holds the same parameters, a copy computes the same, loaded values are not drawn anew."""
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
    """It gets its shapes there, and nothing is drawn."""
    before = torch.get_rng_state()
    net = nn.Sequential(MLP(device="meta"), nn.LazyBatchNorm1d(device="meta"))
    apply_init(net, torch.rand(2, 4, device="meta"))
    assert (net[0].hidden.weight.shape, net[1].running_var.shape) == ((256, 4), (10,))
    assert all(tensor.is_meta for tensor in net.state_dict().values())
    assert torch.equal(torch.get_rng_state(), before)


# What the dry run leaves as it was.


def test_a_net_without_lazy_parameters_is_only_checked() -> None:
    """Modes, statistics, gradients, hooks and the random stream are bit for bit as before."""
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
    """In every module; `train` is not called, which may do more. Afterwards all is as before."""

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
    """The same objects with the same values, however the forward pass writes to them."""
    net = Run(lambda net, X: (write(net), net.a(X)), a=nn.LazyLinear(3))
    net.register_buffer("count", count)
    apply_init(net, rows)
    assert net.count is count
    assert count.tolist() == [0.0] * 3


def test_parameters_are_left() -> None:
    """Also those of a layer that scales its weight when it is called."""
    net = nn.Sequential(nn.Embedding(5, 3, max_norm=0.1), nn.LazyLinear(2))
    before = net[0].weight.tolist()
    apply_init(net, torch.tensor([1, 2]))
    assert net[0].weight.tolist() == before


@pytest.mark.parametrize("pack", [lambda X: X, lambda X: [X]], ids=["tensor", "list"])
def test_inputs_are_left(pack: Callable[[Tensor], Any]) -> None:
    """The forward pass gets copies, which it may write to; what holds no tensor arrives as it is."""

    def halve(net: Any, given: Any, *rest: Any) -> None:
        assert rest == others
        net.a((given if isinstance(given, Tensor) else given[0]).div_(2))

    X, others = torch.ones(2, 4, requires_grad=True), (object(), None, 3)
    apply_init(Run(halve, a=nn.LazyLinear(3)), pack(X), *others)
    assert (X.sum(), X._version) == (8, 0)


# What a failure says, and leaves as it was.


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
    """A net whose lazy layer takes inputs of any width, and whose other layer does not."""
    lazy = nn.LazyConv2d(2, 1) if isinstance(layer, nn.modules.conv._ConvNd) else nn.LazyLinear(2)
    return nn.Sequential(Parallel(lazy, layer, dim=1))


def images() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.LazyConv2d(2, 5))


five, image, small, none = torch.ones(2, 5), torch.ones(1, 4, 9, 9), torch.ones(1, 3, 4, 4), torch.ones(0, 4)
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
    """The layer, what came and what it expects; afterwards the net takes right inputs in every way."""
    net = make()
    before = state(net)
    with pytest.raises((RuntimeError, KeyboardInterrupt), match=message):
        apply_init(net, *wrong)
    assert state(net) == before
    recover(net, right, make)
    assert uninitialized_names(net) == []
    net(*right)


def test_a_layer_that_is_called_by_keyword_gets_its_shape() -> None:
    """As in `net.a(input=X)`."""
    net = apply_init(Run(lambda net, X: net.a(input=X), a=nn.LazyLinear(3)), rows)
    assert net.a.weight.shape == (3, 4)


def test_a_failure_frees_the_memory_of_what_is_lazy_again() -> None:
    """It has no values, as before, and its type and device."""
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
    """Those of all groups together, though the weight holds those of one; and a letter for each dimension."""
    d = len(layer.kernel_size)
    with pytest.raises(
        RuntimeError, match=rf"it got shape \(2, 5(, 4){{{d}}}\), and expects shape {shape}: "
    ):
        apply_init(layer, torch.ones(2, 5, *[4] * d))
    apply_init(layer, torch.ones(2, 6, *[4] * d))


def test_a_failure_leaves_what_modules_hold() -> None:
    """A dictionary that refuses to be changed is neither emptied nor in the way."""

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
    """Its error comes through as it is, and what it did to lazy and eager layers is undone."""

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
    """A counter, a hidden state, a layer built on the way: they come with the first real call."""

    def remember(net: Any, X: Tensor) -> Tensor:
        net.last = X
        net.extra = nn.Linear(2, 2)
        return net.a(X)

    net = Run(remember, a=nn.LazyLinear(3))
    apply_init(net, rows)
    assert not hasattr(net, "last")
    assert [name for name, _ in net.named_children()] == ["a"]


def test_what_forward_does_elsewhere_is_undone() -> None:
    """To lists in attributes, to gradients, and to the random numbers of Python and NumPy."""

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
    """What writes to parameters under the caller's `no_grad` may do so here as well."""
    with mode():
        seen = [torch.is_grad_enabled()]
        apply_init(nn.LazyLinear(3), rows, init=lambda module: seen.append(torch.is_grad_enabled()))
        seen.append(torch.is_grad_enabled())
    assert len(set(seen)) == 1


def test_a_net_of_inference_mode_is_served_too() -> None:
    """One that was built there can be written there only, wherever the dry run is asked for."""
    with torch.inference_mode():
        inside, outside = nn.LazyLinear(3), nn.LazyLinear(3)
        assert apply_init(inside, rows, init=init_42)(rows).shape == (2, 3)
    assert apply_init(outside, rows, init=init_42).weight.is_inference()
    assert not torch.is_inference_mode_enabled()


def test_parameters_made_in_inference_mode_can_be_trained() -> None:
    """They are not those of a plain call there, which cannot."""
    net = nn.Sequential(nn.LazyLinear(3), nn.LazyLinear(2))
    with torch.inference_mode():
        apply_init(net, rows)
        assert torch.is_inference_mode_enabled()
    net(rows).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
