"""The initialisers: what they draw, what they leave alone, and filling a net by the types of its layers."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

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
Rules = dict[type[nn.Module], dict[str, Init]]

ones, zeros, xavier = nn.init.ones_, nn.init.zeros_, nn.init.xavier_uniform_
twos, threes = partial(nn.init.constant_, val=2.0), partial(nn.init.constant_, val=3.0)
every_init = pytest.mark.parametrize("init", [init_normal, init_constant, init_xavier, init_42, my_init])


class Scores(nn.Linear):
    """A linear layer of another class."""


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# The functions for `nn.Module.apply`.


@every_init
def test_every_linear_layer_is_filled_and_nothing_else(init: Init) -> None:
    """Subclasses too, and the one inside an attention block; two of the functions set biases to 0."""
    linear, attention = nn.Linear(3, 3), nn.MultiheadAttention(3, 1)
    net = nn.Sequential(linear, Scores(3, 3, bias=False), attention, nn.Conv1d(3, 3, 1), nn.BatchNorm1d(3))
    linear.weight.requires_grad_(False)
    before = list(net.parameters())
    flags = [parameter.requires_grad for parameter in before]
    with torch.no_grad():
        for parameter in before:
            parameter.fill_(torch.nan)
    assert net.apply(init) is net
    weights, biases = {"0.weight", "1.weight", "2.out_proj.weight"}, {"0.bias", "2.out_proj.bias"}
    filled = {name for name, parameter in net.named_parameters() if parameter.isfinite().all()}
    assert filled == (weights | biases if init in (init_normal, init_constant) else weights)
    assert not any(net.get_parameter(name).any() for name in filled & biases)
    after = list(net.parameters())
    assert all(new is old and new.is_leaf for new, old in zip(after, before, strict=True))
    assert [parameter.requires_grad for parameter in after] == flags


@every_init
def test_a_lazy_layer_is_refused_and_stays_lazy(init: Init) -> None:
    """The error is PyTorch's own; nothing is drawn."""
    layer, state = nn.LazyLinear(2), torch.get_rng_state()
    with pytest.raises(ValueError, match="uninitialized parameter"):
        layer.apply(init)
    assert uninitialized_names(layer) == ["weight", "bias"]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("init", "variance", "kurtosis"),
    [
        (init_normal, 0.01**2, 3),
        (partial(init_normal, std=2.0), 4, 3),
        (init_xavier, 6 / (300 + 500) / 3, 9 / 5),
        (my_init, 175 / 6, 1937.5 / (175 / 6) ** 2),
    ],
)
def test_mean_and_variance_are_those_of_the_distribution(init: Init, variance: float, kurtosis: float) -> None:
    """Within four standard errors; `std` is the standard deviation."""
    weight = nn.Linear(300, 500).apply(init).weight.double()
    n = weight.numel()
    assert abs(weight.mean()) < 4 * math.sqrt(variance / n)
    assert abs(weight.var() - variance) < 4 * variance * math.sqrt((kurtosis - 1) / n)


def test_the_constants_are_the_constants() -> None:
    """1 unless another value is given, and 42."""
    inits = init_constant, partial(init_constant, value=-0.5), init_42
    assert [nn.Linear(2, 1).apply(init).weight.tolist() for init in inits] == [
        [[1.0, 1.0]],
        [[-0.5, -0.5]],
        [[42.0, 42.0]],
    ]


def test_xavier_draws_up_to_its_bound() -> None:
    """The bound a = sqrt(6 / (fan_in + fan_out)) is kept, and nearly reached on both sides."""
    weight = nn.Linear(300, 500).apply(init_xavier).weight
    a = math.sqrt(6 / (300 + 500))
    assert 0.999 * a < weight.max() <= a
    assert 0.999 * a < -weight.min() <= a


@pytest.mark.parametrize("init", [init_normal, init_xavier, my_init])
def test_a_generator_decides_alone(init: Init) -> None:
    """The same seed gives the same weights, and the global stream is not touched."""
    state = torch.get_rng_state()
    layer = nn.Linear(8, 8, device="meta").to_empty(device="cpu")
    drawn = [
        layer.apply(partial(init, generator=seeded(seed))).weight.detach().clone() for seed in (1, 1, 2)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("init", "alike"), [(init_constant, True), (init_normal, False)])
def test_units_that_begin_alike_stay_alike(init: Init, alike: bool) -> None:
    """With constant weights the rows of a hidden layer's gradient are equal, after some steps too."""
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)).apply(init)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.rand(5, 4)).square().sum().backward()
        gradient = net[0].weight.grad
        assert gradient.any()
        assert torch.equal(gradient, gradient[:1].expand(3, 4)) is alike
        optimizer.step()


# `hardshrink_uniform_`.


@pytest.mark.parametrize(("bound", "threshold"), [(10, 5), (3, 1), (2, 0), (1, 1)])
def test_small_values_are_zero_and_large_ones_uniform(bound: float, threshold: float) -> None:
    """The shares of negative, zero and positive values are right, and so are their ranges."""
    n = 100_000
    values = hardshrink_uniform_(torch.empty(n), bound, threshold)
    size = values.abs()
    assert ((size == 0) | ((threshold <= size) & (size <= bound))).all()
    outer = (bound - threshold) / (2 * bound)
    for share, p in ((values < 0, outer), (values == 0, threshold / bound), (values > 0, outer)):
        assert abs(share.double().mean() - p) <= 4 * math.sqrt(p * (1 - p) / n)


FILLABLE: dict[str, Callable[[], Tensor]] = {
    "0-dim": lambda: torch.empty(()),
    "empty": lambda: torch.empty(0, 3),
    "float64": lambda: torch.empty(3, dtype=torch.float64),
    "bfloat16": lambda: torch.empty(3, dtype=torch.bfloat16),
    "transposed": lambda: torch.empty(3, 4).t(),
    "every second": lambda: torch.full((6,), 7.0)[::2],
    "meta": lambda: torch.empty(3, device="meta"),
    "leaf": lambda: torch.empty(3, requires_grad=True),
}


@pytest.mark.parametrize("make", FILLABLE.values(), ids=FILLABLE)
def test_any_tensor_is_filled_in_place(make: Callable[[], Tensor]) -> None:
    """It is returned itself, with its dtype, its gradient flag, and what lies between its values."""
    tensor = make()
    dtype, flag = tensor.dtype, tensor.requires_grad
    with torch.no_grad():
        tensor.fill_(1.0)
    assert hardshrink_uniform_(tensor, generator=seeded(1)) is tensor
    assert (tensor.dtype, tensor.requires_grad, tensor.is_leaf) == (dtype, flag, True)
    assert tensor.is_meta or not (tensor == 1).any()  # 1 is below the threshold, and not 0
    assert tensor._base is None or tensor.is_contiguous() or tensor._base.flatten()[1] != 0


@pytest.mark.parametrize(("bound", "threshold"), [(10, -1), (5, 6), (-1, -2), (math.nan, 1), (1, math.nan)])
def test_bounds_that_make_no_sense_change_nothing(bound: float, threshold: float) -> None:
    """Both numbers are named, the tensor keeps its values, and nothing is drawn."""
    tensor, state = torch.ones(3), torch.get_rng_state()
    with pytest.raises(ValueError, match=rf"threshold={threshold} and bound={bound}"):
        hardshrink_uniform_(tensor, bound, threshold)
    assert tensor.tolist() == [1.0] * 3
    assert torch.equal(torch.get_rng_state(), state)


# `init_by_type`: what is filled.

FILLS = {nn.Linear: {"weight": 1.0, "bias": 2.0}, Scores: {"weight": 1.0, "bias": 2.0}, nn.Embedding: {"weight": 3.0}}
TEXTS = {1.0: "ones_", 2.0: "constant_(val=2.0)", 3.0: "constant_(val=3.0)"}
RULES: Rules = {nn.Linear: {"bias": twos, "weight": ones}, nn.Embedding: {"weight": threes}}
LAYERS = st.sampled_from(
    [
        lambda: nn.Linear(3, 3, bias=False),
        lambda: nn.Embedding(3, 3),
        lambda: nn.LayerNorm(3),
        lambda: nn.Sequential(Scores(3, 3), nn.ReLU()),
    ]
)


@st.composite
def nets(draw: st.DrawFn) -> nn.Sequential:
    """Layers in any order, some in several places, some frozen, some tied by object or by memory."""
    layers: list[nn.Module] = [nn.Linear(3, 3), nn.Embedding(3, 3)]
    layers += [make() for make in draw(st.lists(LAYERS, max_size=4))]
    for layer in layers:
        layer.requires_grad_(draw(st.booleans()))
    square = [layer for layer in layers if isinstance(layer, nn.Linear | nn.Embedding)]
    for layer in square[1:]:
        match draw(st.sampled_from(["own", "object", "memory"])):
            case "object":
                layer.weight = square[0].weight
            case "memory":
                layer.weight.data = square[0].weight.data
    return nn.Sequential(*draw(st.permutations(layers)), *draw(st.lists(st.sampled_from(layers), max_size=3)))


@settings(deadline=None, max_examples=60)
@given(net=nets())
def test_the_report_tells_what_was_filled(net: nn.Module) -> None:
    """Each tensor once, by the first of its names that has a rule; the others are bit for bit as before."""
    state = net.state_dict(keep_vars=True)
    before = {name: (tensor.detach().clone(), tensor.requires_grad) for name, tensor in state.items()}
    ties = shared_names(net)
    filled: dict[int, float] = {}
    for name, tensor in state.items():
        owner, _, own = name.rpartition(".")
        if own in (fills := FILLS.get(type(net.get_submodule(owner)), {})):
            filled.setdefault(tensor.data_ptr(), fills[own])
    report = init_by_type(net, RULES)
    values = {name: filled.get(tensor.data_ptr()) for name, tensor in state.items()}
    assert report == {name: value and TEXTS[value] for name, value in values.items()}
    assert list(report) == list(state)
    after = net.state_dict(keep_vars=True)
    for name, (old, flag) in before.items():
        assert after[name] is state[name]
        assert after[name].requires_grad is flag
        assert torch.equal(after[name], old if values[name] is None else torch.full_like(old, values[name]))
    assert shared_names(net) == ties


def test_the_nearest_class_with_a_rule_decides() -> None:
    """A rule that is empty takes layers out of their base class's rule."""

    class Finer(Scores):
        pass

    net = nn.Sequential(nn.Linear(2, 2), Scores(2, 2, bias=False), Finer(2, 2, bias=False), nn.Bilinear(1, 1, 1))
    report = init_by_type(net, {nn.Module: {}, nn.Linear: {"weight": ones}, Scores: {"weight": twos}})
    assert [text for text in report.values() if text] == ["ones_", "constant_(val=2.0)", "constant_(val=2.0)"]
    assert set(init_by_type(net, {nn.Linear: {"weight": ones}, Scores: {}})) == set(report)
    assert net[1].weight.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_names_of_one_layer_are_taken_in_its_order() -> None:
    """Of two names in one module the first fills, in whatever order the rule has them."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = self.second = nn.Parameter(torch.zeros(2))

    assert init_by_type(Tied(), {Tied: {"second": twos, "first": ones}}) == {"first": "ones_", "second": "ones_"}


def test_functions_of_every_kind() -> None:
    """Lambdas, methods, objects and nested partials; without `generator`, they are not given one."""

    class Sevens:
        def __call__(self, tensor: Tensor) -> None:
            tensor.fill_(7.0)

    net = nn.Sequential(nn.Linear(2, 1), nn.LayerNorm(2), nn.Bilinear(2, 2, 1, bias=False))
    rules: Rules = {
        nn.Linear: {"weight": lambda tensor: tensor.data.fill_(5.0), "bias": torch.Tensor.zero_},
        nn.LayerNorm: {"weight": Sevens()},
        nn.Bilinear: {"weight": partial(partial(nn.init.normal_, mean=1.0), std=0.0)},
    }
    texts = ["<lambda>", "zero_", "Sevens", None, "normal_(mean=1.0, std=0.0)"]
    assert list(init_by_type(net, rules, generator=seeded(1)).values()) == texts
    values = [parameter.unique().tolist() for parameter in net.parameters()]
    assert values == [[5.0], [0.0], [7.0], [0.0], [1.0]]


# Where the random numbers come from.

RANDOM: list[Init] = [
    nn.init.uniform_,
    nn.init.normal_,
    nn.init.trunc_normal_,
    partial(nn.init.trunc_normal_, a=1.0, b=2.0),
    xavier,
    nn.init.xavier_normal_,
    nn.init.kaiming_uniform_,
    nn.init.kaiming_normal_,
    nn.init.orthogonal_,
    hardshrink_uniform_,
]
SPARSE = partial(nn.init.sparse_, sparsity=0.5)  # its places come from the global stream, in PyTorch


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("function", [*RANDOM, SPARSE])
def test_nothing_is_drawn_on_meta(function: Init, seed: int | None) -> None:
    """For a net made there by the argument or in the context, and also within the context."""
    generator = None if seed is None else seeded(seed)
    states = torch.get_rng_state(), generator and generator.get_state()
    net = nn.Linear(3, 2, device="meta")
    init_by_type(net, {nn.Linear: {"weight": function}}, generator=generator)
    with torch.device("meta"):
        inside = nn.Linear(3, 2)
        init_by_type(inside, {nn.Linear: {"weight": function}}, generator=generator)
    assert all(parameter.is_meta for parameter in (*net.parameters(), *inside.parameters()))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert generator is None or torch.equal(generator.get_state(), states[1])


@pytest.mark.parametrize("function", RANDOM)
def test_the_generator_reaches_every_function(function: Init) -> None:
    """Equal seeds, equal values; other seeds, others; the global stream and a meta context do not matter."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    rules: Rules = {nn.Linear: {"weight": function, "bias": zeros}}
    state, drawn = torch.get_rng_state(), []
    for seed, device in ((1, "cpu"), (1, "meta"), (2, "cpu")):
        with torch.device(device):
            init_by_type(net, rules, generator=seeded(seed))
        drawn.append(torch.stack([layer.weight.detach().clone() for layer in net]))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0][0], drawn[0][1])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("function", [torch.Tensor.normal_, partial(torch.Tensor.uniform_, to=2.0)])
def test_the_generator_reaches_methods(function: Init) -> None:
    """A method whose signature Python cannot read takes a generator all the same."""
    state, generator = torch.get_rng_state(), seeded(1)
    init_by_type(nn.Linear(2, 2, device="meta").to_empty(device="cpu"), {nn.Linear: {"weight": function}}, generator=generator)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(generator.get_state(), seeded(1).get_state())
