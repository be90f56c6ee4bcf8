"""The initializers: the values they draw, the tensors they leave alone, and filling a net by types."""

import inspect
import math
import random
import warnings
from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import init
from torch.nn.utils.parametrizations import weight_norm
from torch.testing._internal.two_tensor import TwoTensor

from d2lblocks import (
    MLP,
    hardshrink_uniform_,
    init_42,
    init_by_type,
    init_constant,
    init_normal,
    init_xavier,
    my_init,
    shared_names,
    uninitialized_names,
)

Init = Callable[..., Any]

ones, zeros, xavier = init.ones_, init.zeros_, init.xavier_uniform_
twos, threes = partial(init.constant_, val=2.0), partial(init.constant_, val=3.0)
every_init = pytest.mark.parametrize("fill", [init_normal, init_constant, init_xavier, init_42, my_init])


class Scores(nn.Linear):
    """A linear layer of another class."""


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# The functions for `nn.Module.apply`.


@every_init
def test_every_linear_layer_is_filled_and_nothing_else(fill: Init) -> None:
    """Subclasses and the layer inside an attention block are filled. Two of the functions set biases to 0."""
    attention = nn.MultiheadAttention(3, 1)
    net = nn.Sequential(nn.Linear(3, 3), Scores(3, 3, bias=False), attention, nn.Conv1d(3, 3, 1))
    net[0].weight.requires_grad_(False)
    before = [(parameter, parameter.requires_grad) for parameter in net.parameters()]
    for parameter in net.parameters():
        init.constant_(parameter, math.nan)
    assert net.apply(fill) is net
    weights, biases = {"0.weight", "1.weight", "2.out_proj.weight"}, {"0.bias", "2.out_proj.bias"}
    filled = {name for name, parameter in net.named_parameters() if parameter.isfinite().all()}
    assert filled == (weights | biases if fill in (init_normal, init_constant) else weights)
    assert not any(net.get_parameter(name).any() for name in filled & biases)
    for parameter, (old, flag) in zip(net.parameters(), before, strict=True):
        assert parameter is old
        assert (parameter.requires_grad, parameter.is_leaf) == (flag, True)


@every_init
def test_a_lazy_layer_is_refused_and_stays_lazy(fill: Init) -> None:
    """The error is PyTorch's own, and nothing is drawn."""
    layer, state = nn.LazyLinear(2), torch.get_rng_state()
    with pytest.raises(ValueError, match="uninitialized parameter"):
        layer.apply(fill)
    assert uninitialized_names(layer) == ["weight", "bias"]
    assert torch.equal(torch.get_rng_state(), state)


XAVIER = math.sqrt(6 / (300 + 500))
DISTRIBUTIONS = [
    (init_normal, 0.01**2, 3, math.inf),
    (partial(init_normal, std=2.0), 2.0**2, 3, math.inf),
    (init_xavier, XAVIER**2 / 3, 9 / 5, XAVIER),
    (my_init, 175 / 6, 1937.5 / (175 / 6) ** 2, 10),
]


@pytest.mark.parametrize(("fill", "variance", "kurtosis", "bound"), DISTRIBUTIONS)
def test_weights_have_their_distribution(fill: Init, variance: float, kurtosis: float, bound: float) -> None:
    """Mean and variance are within four standard errors. Values nearly reach the bound."""
    weight = nn.Linear(300, 500).apply(fill).weight.double()
    n = weight.numel()
    assert abs(weight.mean()) < 4 * math.sqrt(variance / n)
    assert abs(weight.var() - variance) < 4 * variance * math.sqrt((kurtosis - 1) / n)
    assert bound == math.inf or 0.999 * bound < min(weight.max(), -weight.min())
    assert weight.abs().max() <= bound


def test_the_constants_are_the_constants() -> None:
    """The values are 1 unless another one is given, and 42."""
    fills = init_constant, partial(init_constant, value=-0.5), init_42
    assert [nn.Linear(1, 1).apply(fill).weight.item() for fill in fills] == [1.0, -0.5, 42.0]


@pytest.mark.parametrize("fill", [init_normal, init_xavier, my_init])
def test_a_generator_decides_alone(fill: Init) -> None:
    """The same seed gives the same weights, and the global random state does not change."""
    layer, state = nn.Linear(8, 8), torch.get_rng_state()
    drawn = [layer.apply(partial(fill, generator=seeded(s))).weight.detach().clone() for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("fill", "alike"), [(init_constant, True), (init_normal, False)])
def test_units_that_begin_alike_stay_alike(fill: Init, alike: bool) -> None:
    """With constant weights, the rows of a hidden layer's gradient are equal, even after some steps."""
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).apply(fill)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.rand(5, 4)).square().sum().backward()
        gradient = net[0].weight.grad
        assert gradient.any()
        assert torch.allclose(gradient, gradient[:1].expand(3, 4)) is alike
        optimizer.step()


# `hardshrink_uniform_`.


@pytest.mark.parametrize(("bound", "threshold"), [(10, 5), (3, 1), (2, 0), (1, 1)])
def test_small_values_are_zero_and_large_ones_uniform(bound: float, threshold: float) -> None:
    """The fractions of negative, zero and positive values are right, and so are their ranges."""
    values = hardshrink_uniform_(torch.empty(100_000), bound, threshold)
    size, outer = values.abs(), (1 - threshold / bound) / 2
    assert ((size == 0) | ((threshold <= size) & (size <= bound))).all()
    for share, p in ((values < 0, outer), (values == 0, threshold / bound), (values > 0, outer)):
        assert abs(share.double().mean() - p) <= 4 * math.sqrt(p * (1 - p) / len(values))


def test_a_value_at_the_threshold_stays() -> None:
    """In a type with few digits some values equal the threshold; only smaller values become 0."""
    values = hardshrink_uniform_(torch.empty(10_000, dtype=torch.bfloat16), bound=10, threshold=5)
    assert (values.abs() == 5).any()


FILLABLE = [torch.ones(()), torch.ones(0, 3), torch.ones(3, 4).t(), torch.ones(3).double()]
FILLABLE += [torch.ones(3).bfloat16(), torch.ones(3, device="meta"), torch.ones(3, requires_grad=True)]


@pytest.mark.parametrize("tensor", FILLABLE)
def test_any_tensor_is_filled_in_place(tensor: Tensor) -> None:
    """The tensor itself is returned, with its dtype and its gradient flag, and none of its 1s is left."""
    before = tensor.dtype, tensor.requires_grad, tensor.is_leaf
    assert hardshrink_uniform_(tensor, generator=seeded(1)) is tensor
    assert (tensor.dtype, tensor.requires_grad, tensor.is_leaf) == before
    assert tensor.is_meta or not (tensor == 1).any()


@pytest.mark.parametrize(("bound", "threshold"), [(10, -1), (5, 6), (-1, -2), (math.nan, 1), (1, math.nan)])
def test_bounds_that_make_no_sense_change_nothing(bound: float, threshold: float) -> None:
    """The error names both numbers, the tensor keeps its values, and nothing is drawn."""
    tensor, state = torch.ones(3), torch.get_rng_state()
    with pytest.raises(ValueError, match=rf"threshold={threshold} and bound={bound}"):
        hardshrink_uniform_(tensor, bound, threshold)
    assert tensor.tolist() == [1.0] * 3
    assert torch.equal(torch.get_rng_state(), state)


# `init_by_type`: the tensors that it fills.

RULES = {nn.Linear: {"bias": twos, "weight": ones}, nn.Embedding: {"weight": threes}}
LINEAR = {"weight": 1.0, "bias": 2.0}
FILLS = {nn.Linear: LINEAR, Scores: LINEAR, nn.Embedding: {"weight": 3.0}}
TEXTS = {1.0: "ones_", 2.0: "constant_(val=2.0)", 3.0: "constant_(val=3.0)"}
LAYERS = [partial(nn.Linear, 3, 3, bias=False), partial(nn.Embedding, 3, 3), partial(nn.LayerNorm, 3)]
LAYERS += [lambda: nn.Sequential(Scores(3, 3), nn.ReLU())]


@st.composite
def nets(draw: st.DrawFn) -> nn.Sequential:
    """Layers in any order, some used several times, some frozen, some tied by object or by memory."""
    first, makers = nn.Linear(3, 3), draw(st.lists(st.sampled_from(LAYERS)))
    others = [nn.Embedding(3, 3), *(make() for make in makers)]
    for layer in others:
        layer.requires_grad_(draw(st.booleans()))
        if isinstance(layer, nn.Linear | nn.Embedding):
            match draw(st.sampled_from(["own", "object", "memory"])):
                case "object":
                    layer.weight = first.weight
                case "memory":
                    layer.weight.data = first.weight.data
    layers = [first, *others]
    return nn.Sequential(*draw(st.permutations(layers)), *draw(st.lists(st.sampled_from(layers), max_size=3)))


@settings(deadline=None, max_examples=60)
@given(net=nets())
def test_the_report_tells_what_was_filled(net: nn.Module) -> None:
    """Each tensor is filled once, by the rule for its first name that has one. All others keep their bits."""
    state, ties = net.state_dict(keep_vars=True), shared_names(net)
    before = {name: (tensor.detach().clone(), tensor.requires_grad) for name, tensor in state.items()}
    filled: dict[int, float] = {}
    for name, tensor in state.items():
        owner, _, own = name.rpartition(".")
        if own in (fills := FILLS.get(type(net.get_submodule(owner)), {})):
            filled.setdefault(tensor.data_ptr(), fills[own])
    values = {name: filled.get(tensor.data_ptr()) for name, tensor in state.items()}
    report = init_by_type(net, RULES)
    assert list(report.items()) == [(name, value and TEXTS[value]) for name, value in values.items()]
    for name, tensor in net.state_dict(keep_vars=True).items():
        (old, flag), value = before[name], values[name]
        assert tensor is state[name]
        assert tensor.requires_grad is flag
        assert torch.equal(tensor, old if value is None else torch.full_like(old, value))
    assert shared_names(net) == ties


def test_the_nearest_class_with_a_rule_decides() -> None:
    """An empty rule excludes layers from the rule of their base class."""

    class Finer(Scores):
        pass

    net = nn.Sequential(*(kind(2, 2, bias=False) for kind in (nn.Linear, Scores, Finer)))
    report = init_by_type(net, {nn.Module: {}, Scores: {"weight": twos}, nn.Linear: {"weight": ones}})
    assert list(report.values()) == ["ones_", "constant_(val=2.0)", "constant_(val=2.0)"]
    report = init_by_type(net, {nn.Linear: {"weight": ones}, Scores: {}})
    assert list(report.values()) == ["ones_", None, None]
    assert [layer.weight.unique().tolist() for layer in net] == [[1.0], [2.0], [2.0]]


def test_the_first_name_fills_within_a_layer_too() -> None:
    """The order in the rule does not matter."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = self.second = nn.Parameter(torch.zeros(2))

    report = init_by_type(Tied(), {Tied: {"second": twos, "first": ones}})
    assert report == {"first": "ones_", "second": "ones_"}


# Rows that PyTorch keeps at 0.


def tied(first: nn.Module, second: nn.Module) -> nn.Module:
    second.weight = first.weight
    return nn.Sequential(first, second)


def tied_by_memory() -> nn.Module:
    table, scores = nn.Embedding(5, 3, padding_idx=2), nn.Linear(3, 5)
    scores.weight.data = table.weight.data
    return nn.Sequential(scores, table)


def turned() -> nn.Module:
    table, scores = nn.Embedding(5, 3, padding_idx=2), nn.Linear(5, 3)
    scores.weight = nn.Parameter(table.weight.detach().t())
    return nn.Sequential(scores, table)


class Words(nn.Embedding):
    """An embedding of another class, which has no rule of its own."""


TABLE = {nn.Embedding: {"weight": ones}}
SCORES = {nn.Linear: {"weight": ones, "bias": zeros}}
PADDED: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "embedding": (lambda: nn.Embedding(5, 3, padding_idx=2), TABLE),
    "counted from the end": (lambda: nn.Embedding(5, 3, padding_idx=-3), TABLE),
    "subclass": (lambda: Words(5, 3, padding_idx=2), TABLE),
    "bag": (lambda: nn.EmbeddingBag(5, 3, padding_idx=2), {nn.EmbeddingBag: {"weight": ones}}),
    "tied, first": (lambda: tied(nn.Embedding(5, 3, padding_idx=2), nn.Linear(3, 5)), SCORES | TABLE),
    "tied, filled by the other": (lambda: tied(nn.Embedding(5, 3, padding_idx=2), nn.Linear(3, 5)), SCORES),
    "tied, second": (lambda: tied(nn.Linear(3, 5), nn.Embedding(5, 3, padding_idx=2)), SCORES),
    "tied, a bag": (lambda: tied(nn.Linear(3, 5), nn.EmbeddingBag(5, 3, padding_idx=2)), SCORES),
    "tied by memory": (tied_by_memory, SCORES),
    "tied and transposed": (turned, SCORES),
    "with an empty rule": (lambda: tied(nn.Linear(3, 5), nn.Embedding(5, 3, padding_idx=2)), SCORES | {nn.Embedding: {}}),
}  # fmt: skip


@pytest.mark.parametrize(("make", "rules"), PADDED.values(), ids=PADDED)
def test_the_row_of_padding_stays_zero(make: Callable[[], nn.Module], rules: Any) -> None:
    """The row stays 0 whichever layer's rule fills the weight. The weight can be trained."""
    for device in ("cpu", "meta"):
        with torch.device(device):
            net = make()
        report = init_by_type(net, rules)
        assert "ones_" in report.values()
    net = make()
    init_by_type(net, rules)
    table = next(module for module in net.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag))
    assert table.weight.tolist() == [[float(row != 2)] * 3 for row in range(5)]
    assert table.weight.is_leaf
    assert table.weight.requires_grad


def test_a_row_of_padding_that_no_rule_fills_is_left() -> None:
    """The row may contain loaded values."""
    net = nn.Sequential(nn.Embedding(3, 2, padding_idx=0), nn.Linear(2, 1))
    init.ones_(net[0].weight)
    init_by_type(net, SCORES)
    assert net[0].weight.unique().tolist() == [1.0]


def test_a_weight_without_padding_is_filled_whole() -> None:
    """A computed weight, which is not a parameter, causes no error."""
    net = nn.Sequential(nn.Embedding(3, 2), weight_norm(nn.Embedding(3, 2, padding_idx=0)))
    init_by_type(net, {nn.Embedding: {"weight": ones}}, skip=("1",))
    assert net[0].weight.unique().tolist() == [1.0]


# Layers that are left out.


def test_layers_are_left_out_by_path() -> None:
    """Everything inside these layers is left out too; the other layers are filled."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2))
    before = [net[1][0].weight.clone(), net[1][1].weight.clone(), net[2].weight.clone()]
    report = init_by_type(net, {nn.Linear: {"weight": ones}}, skip=("1",))
    assert [name for name, function in report.items() if function] == ["0.weight", "2.weight"]
    assert torch.equal(net[1][0].weight, before[0])
    report = init_by_type(net, {nn.Linear: {"weight": twos}}, skip=["1.0", "2"])
    assert [name for name, function in report.items() if function] == ["0.weight", "1.1.weight"]
    report = init_by_type(net, {nn.Linear: {"weight": twos}}, skip={"0"})
    assert report["0.weight"] is None


def test_a_layer_that_has_no_such_parameter_can_be_left_out() -> None:
    """For example, the weight of a layer under the old `weight_norm` is not a parameter."""
    with warnings.catch_warnings(action="ignore"):
        head = nn.utils.weight_norm(nn.Linear(2, 2))
    net = nn.ModuleDict({"body": nn.Linear(2, 2), "head": head, "lazy": nn.LazyLinear(2)})
    rules = {nn.Linear: {"weight": ones}}
    with pytest.raises(
        AttributeError, match=r"no parameter 'head.weight' .* skip=\('head',\) leaves the layer out"
    ):
        init_by_type(net, rules)
    report = init_by_type(net, rules, skip=("head", "lazy"))
    assert {name: function for name, function in report.items() if function} == {"body.weight": "ones_"}
    assert uninitialized_names(net) == ["lazy.weight", "lazy.bias"]


def test_a_shared_layer_is_left_out_by_any_of_its_paths() -> None:
    """A tensor that the layer shares with another one is still filled through the other layer."""
    layer, other = nn.Linear(2, 2), Scores(2, 2)
    other.bias = layer.bias
    net = nn.Sequential(layer, other, layer)
    report = init_by_type(net, {nn.Linear: {"weight": ones, "bias": twos}}, skip=("2",))
    texts = [None, "constant_(val=2.0)", "ones_", "constant_(val=2.0)", None, "constant_(val=2.0)"]
    assert list(report.values()) == texts


def test_a_net_inside_itself_is_refused() -> None:
    """The error comes before anything is filled, even if a path to skip is wrong."""
    net = nn.Sequential(nn.Linear(2, 2))
    net[0].parent = net
    for skip in ((), ("hed",)):
        with pytest.raises(ValueError, match=r"^Sequential contains itself: '0.parent' is the net"):
            init_by_type(net, {nn.Linear: {"weight": ones}}, skip=skip)
    assert not (net[0].weight == 1).any()


SKIPS: list[tuple[Any, type[Exception], str]] = [
    ("1", TypeError, r"expected the paths of layers to skip, as in skip=\('1',\), but got '1'"),
    (1, TypeError, r"expected the paths of layers to skip, as in skip=\('head',\), but got 1"),
    ((1,), TypeError, r"expected the path of a layer to skip, which is a str, but got int"),
    (("hed",), AttributeError, "ModuleDict has no layer 'hed' to skip: the nearest is 'head'"),
    (("head", "head.1"), AttributeError, "has no layer 'head.1' to skip: the nearest is 'head"),
    (("head.weight",), AttributeError, "has no layer 'head.weight' to skip: it is a parameter"),
    (("zzz",), AttributeError, "has no layer 'zzz' to skip: there are body, head"),
    (("",), ValueError, "no layer of ModuleDict that is not skipped follows the rule for Linear"),
    (("body", "head"), ValueError, "no layer of ModuleDict that is not skipped follows the rule for Linear"),
]  # fmt: skip


@pytest.mark.parametrize(("skip", "error", "message"), SKIPS)
def test_a_path_to_skip_has_to_be_one(skip: Any, error: type[Exception], message: str) -> None:
    """The error comes before anything is filled."""
    net = nn.ModuleDict({"body": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    before = [parameter.clone() for parameter in net.parameters()]
    with pytest.raises(error, match=message):
        init_by_type(net, {nn.Linear: {"weight": ones}}, skip=skip)
    assert all(torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True))


def test_a_function_is_asked_once_for_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of parameters does not matter. Without a generator, no function is inspected."""
    asked: list[Any] = []
    monkeypatch.setattr(inspect, "signature", lambda function: asked.append(function) or signature(function))
    net = nn.Sequential(*(kind(3, 3) for kind in (nn.Linear, Scores) * 3))
    rules = {nn.Linear: {"weight": xavier, "bias": ones}, Scores: {"weight": xavier, "bias": ones}}
    init_by_type(net, rules, generator=seeded(1))
    assert sorted(map(id, asked)) == sorted(map(id, (xavier, ones)))
    asked.clear()
    init_by_type(net, rules)
    assert asked == []


def test_functions_of_every_kind() -> None:
    """Lambdas, methods, objects and nested partials work. A function without `generator` gets none."""

    class Sevens:
        def __call__(self, tensor: Tensor) -> None:
            tensor.fill_(7.0)

    net = nn.Sequential(nn.Linear(2, 1), nn.LayerNorm(2))
    normal = partial(partial(init.normal_, mean=1.0), std=0.0)
    fives = {"weight": lambda tensor: tensor.data.fill_(5.0), "bias": torch.Tensor.zero_}
    rules = {nn.Linear: fives, nn.LayerNorm: {"weight": Sevens(), "bias": normal}}
    texts = ["<lambda>", "zero_", "Sevens", "normal_(mean=1.0, std=0.0)"]
    assert list(init_by_type(net, rules, generator=seeded(1)).values()) == texts
    assert [parameter.unique().tolist() for parameter in net.parameters()] == [[5.0], [0.0], [7.0], [1.0]]


# The source of the random numbers.

SPARSE = partial(init.sparse_, sparsity=0.5)  # PyTorch takes the places of its zeros from the global stream
PUBLIC = [f for name, f in vars(init).items() if name.endswith("_") and not name.startswith("_")]
RANDOM = [f for f in PUBLIC if "generator" in signature(f).parameters and f is not init.sparse_]
METHODS = [torch.Tensor.normal_, partial(torch.Tensor.uniform_, to=2.0)]  # without a readable signature


def shuffled(tensor: Tensor) -> None:
    """Draw numbers for any tensor, like `sparse_` before PyTorch 2.13."""
    tensor.copy_(torch.randperm(tensor.numel(), device="cpu").view_as(tensor))


@pytest.mark.parametrize("generator", [None, seeded(1)], ids=["global", "generator"])
@pytest.mark.parametrize("function", [*RANDOM, hardshrink_uniform_, SPARSE, shuffled])
def test_nothing_is_drawn_on_meta(function: Init, generator: torch.Generator | None) -> None:
    """The net is made on meta by argument or by context; the call may be inside the context."""
    net, state = nn.Linear(3, 2, device="meta"), torch.get_rng_state()
    init_by_type(net, {nn.Linear: {"weight": function}}, generator=generator)
    with torch.device("meta"):
        inside = nn.Linear(3, 2)
        init_by_type(inside, {nn.Linear: {"weight": function}}, generator=generator)
    assert all(parameter.is_meta for parameter in (*net.parameters(), *inside.parameters()))
    assert torch.equal(torch.get_rng_state(), state)
    assert generator is None or torch.equal(generator.get_state(), seeded(1).get_state())


@pytest.mark.parametrize("function", [*RANDOM, hardshrink_uniform_, *METHODS])
def test_the_generator_reaches_every_function(function: Init) -> None:
    """Equal seeds give equal values. The global random state and a meta context make no difference."""
    net, drawn = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), []
    state = torch.get_rng_state()
    for seed, device in ((1, "cpu"), (1, "meta"), (2, "cpu")):
        with torch.device(device):
            init_by_type(net, {nn.Linear: {"weight": function, "bias": zeros}}, generator=seeded(seed))
        drawn.append(torch.stack([layer.weight.detach() for layer in net]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0][0], drawn[0][1])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(("net", "generator"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_generator_of_another_device_is_refused(net: str, generator: str) -> None:
    """The error comes before anything is filled. Functions that draw nothing accept any generator."""
    layer, other = nn.Linear(2, 2, device=net), torch.Generator(generator)
    with pytest.raises(RuntimeError, match=f"'{net}' device type for generator but found '{generator}'"):
        init_by_type(layer, {nn.Linear: {"bias": zeros, "weight": xavier}}, generator=other)
    assert layer.bias.any()
    init_by_type(layer, {nn.Linear: {"bias": zeros}}, generator=other)


# Arguments that are refused.


def two() -> nn.Module:
    return nn.Sequential(nn.LayerNorm(2), nn.Linear(2, 3))


def interrupted(tensor: Tensor) -> None:
    raise KeyboardInterrupt("by the user")


def late(function: Any) -> Any:
    """Rules under which two parameters are filled before this function is called."""
    return {nn.LayerNorm: {"weight": twos}, nn.Linear: {"weight": ones, "bias": function}}


ERRORS: list[tuple[Callable[[], nn.Module], Any, type[BaseException], str]] = [
    (two, RULES, ValueError, "no layer of Sequential follows the rule for Embedding"),
    (two, {}, ValueError, "the rules fill no parameter of Sequential"),
    (partial(nn.Linear, 2, 2, bias=False), {nn.Linear: {"bias": ones}}, ValueError, "fill no parameter"),
    (MLP, {nn.Linear: {"bias": ones}}, ValueError, "'hidden.bias' is not initialized yet and cannot be"),
    (two, late(torch.zeros_like), ValueError, "expected zeros_like to fill its tensor in place, but it"),
    (two, late(lambda tensor: tensor * 2), ValueError, "expected <lambda> to fill its tensor in place"),
    (two, late(xavier), ValueError, r"Fan in .*\nxavier_uniform_ was filling '1.bias' of shape \(3,\)"),
    (two, late(interrupted), KeyboardInterrupt, "by the user"),
    (two, {nn.Linear: {"wieght": ones}}, AttributeError, "'1.wieght' .* of its own it has 'weight', 'bias'"),
    (two, {nn.Linear: {"wieght": ones, "bais": ones}}, AttributeError, "Linear has no parameter '1.wieght' to"),
    (two, {nn.Module: {"weight": ones}}, AttributeError, "Sequential has no .* 'weight' .* it has none"),
    (lambda: weight_norm(nn.Linear(2, 2)), {nn.Linear: {"weight": ones}}, AttributeError, "'weight' to fill"),
    (two, [nn.Linear], TypeError, "but got"),
    (two, {"Linear": {"weight": ones}}, TypeError, "class of modules .* but got 'Linear'"),
    (two, {nn.Linear(1, 1): {"weight": ones}}, TypeError, r"but got Linear\(in_features=1"),
    (two, {nn.Linear: ones}, TypeError, "expected names of parameters and functions for Linear"),
    (two, {nn.Linear: {0: ones}}, TypeError, "but got"),
    (two, late(0.0), TypeError, "expected a function for 'bias' of Linear, but got float"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "rules", "error", "message"), ERRORS)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    make: Callable[[], nn.Module], rules: Any, error: type[BaseException], message: str
) -> None:
    """The error may come before the first function runs or while one runs; a note names the parameter."""
    net = make()
    before = [(p, None if nn.parameter.is_lazy(p) else p.detach().clone()) for p in net.parameters()]
    with pytest.raises(error, match=message):
        init_by_type(net, rules)
    for parameter, (old, values) in zip(net.parameters(), before, strict=True):
        assert parameter is old
        assert nn.parameter.is_lazy(parameter) if values is None else torch.equal(parameter, values)


def test_an_error_takes_back_what_was_drawn() -> None:
    """Both the default generator and a given one are restored."""
    rules = {nn.Linear: {"weight": nn.init.normal_, "bias": nn.init.xavier_uniform_}}
    generator = torch.Generator().manual_seed(3)
    for chosen in (None, generator):
        net = nn.Linear(4, 2)
        before = torch.get_rng_state(), generator.get_state()
        with pytest.raises(ValueError, match="Fan in and fan out"):
            init_by_type(net, rules, generator=chosen)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert torch.equal(generator.get_state(), before[1])


@pytest.mark.parametrize("mode", [True, False])
def test_a_net_made_in_inference_mode_is_filled(mode: bool) -> None:
    """The caller's mode does not matter, and a part made outside inference mode can still be trained."""
    with torch.inference_mode():
        table = nn.Embedding(3, 2, padding_idx=0)
    net = nn.Sequential(table, nn.Linear(2, 1))
    with torch.inference_mode(mode):
        report = init_by_type(
            net, {nn.Embedding: {"weight": ones}, nn.Linear: {"weight": lambda t: t.data.fill_(2)}}
        )
        assert torch.is_inference_mode_enabled() is mode
    assert list(report.values()) == ["ones_", "<lambda>", None]
    assert net[0].weight.tolist() == [[0.0] * 2, [1.0] * 2, [1.0] * 2]
    assert net[0].weight.is_inference()
    net[1](torch.rand(1, 2)).sum().backward()
    assert net[1].weight.grad is not None


def test_an_error_on_a_net_made_in_inference_mode_takes_everything_back() -> None:
    """The error is the function's own."""
    with torch.inference_mode():
        net = nn.Sequential(nn.LayerNorm(2), nn.Linear(2, 1))
    before = [parameter.tolist() for parameter in net.parameters()]
    with pytest.raises(ValueError, match=r"Fan in .*\nxavier_uniform_ was filling '1.bias'"):
        init_by_type(net, late(xavier))
    assert [parameter.tolist() for parameter in net.parameters()] == before
    assert [parameter.requires_grad for parameter in net.parameters()] == [True] * 4


BESIDE: dict[str, Callable[[], Tensor]] = {
    "sparse": lambda: torch.eye(3).to_sparse(),
    "sparse rows": lambda: torch.eye(3).to_sparse_csr(),
    "two in one": lambda: TwoTensor(torch.ones(3), torch.ones(3)),
    "complex32": lambda: torch.ones(3, dtype=torch.complex32),
    "float8": lambda: torch.ones(3).to(torch.float8_e5m2),
    "float4": lambda: torch.ones(4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "opaque": lambda: torch.ones(3).to_mkldnn(),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("make", BESIDE.values(), ids=BESIDE)
def test_buffers_of_any_kind_are_no_hindrance(make: Callable[[], Tensor]) -> None:
    """The error is the function's own, and values and random numbers are restored."""
    net = two()
    net.register_buffer("other", make())
    before, random_state = [p.tolist() for p in net.parameters()], torch.get_rng_state()

    def draw(tensor: Tensor) -> None:
        init.normal_(tensor)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        init_by_type(net, late(draw))
    assert [p.tolist() for p in net.parameters()] == before
    assert torch.equal(torch.get_rng_state(), random_state)
    assert init_by_type(net, late(zeros))["1.bias"] == "zeros_"


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_an_error_leaves_what_has_no_values_yet(device: str) -> None:
    """Lazy layers without a rule stay lazy, and the error is the function's own, even on the meta device."""
    net = nn.Sequential(nn.LazyLinear(2), nn.LayerNorm(2, device=device), nn.Linear(2, 3, device=device))
    rules = {nn.LayerNorm: {"weight": ones}, nn.Linear: {"bias": xavier}, nn.LazyLinear: {}}
    with pytest.raises(ValueError, match="Fan in and fan out"):
        init_by_type(net, rules)
    assert uninitialized_names(net) == ["0.weight", "0.bias"]
    rules[nn.Linear] = {"bias": zeros}
    report = init_by_type(net, rules)
    assert [*report.values()] == [None, None, "ones_", None, None, "zeros_"]


def test_an_error_takes_back_what_was_drawn_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """All GPUs are covered. CPU generators stand in for those of GPUs in use."""
    generators = torch.Generator(), torch.Generator()
    monkeypatch.setattr(torch.cuda, "default_generators", generators)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)

    def draw(tensor: Tensor) -> None:
        for generator in generators:
            torch.rand(1, generator=generator)
        raise ValueError("after drawing")

    before = [generator.get_state() for generator in generators]
    with pytest.raises(ValueError, match="after drawing"):
        init_by_type(nn.Linear(2, 1), {nn.Linear: {"weight": draw}})
    assert all(torch.equal(each.get_state(), state) for each, state in zip(generators, before, strict=True))


def test_an_error_takes_back_what_a_function_did_elsewhere() -> None:
    """Gradients, the contents of attributes, and Python's random state are restored."""
    net = nn.Linear(4, 2)
    net.seen = []
    net(torch.ones(4)).sum().backward()

    def spread(tensor: Tensor) -> None:
        net.seen.append(random.random())
        net.weight.grad.zero_()
        raise KeyboardInterrupt

    before = random.getstate()
    with pytest.raises(KeyboardInterrupt):
        init_by_type(net, {nn.Linear: {"weight": spread}})
    assert (net.seen, net.weight.grad.tolist(), random.getstate()) == ([], [[1.0] * 4] * 2, before)
