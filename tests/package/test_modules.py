"""The blocks of `d2lblocks.modules`: the properties of each, beyond those expected of any module."""

import copy
import functools
import importlib
import pkgutil
import re
import sys
import typing
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.testing import assert_close

import d2lblocks
from d2lblocks import MLP, FixedHiddenMLP, MySequential, NestMLP, Parallel, modules

sizes = st.integers(1, 6)
TAKEN = set(dir(nn.Sequential()))  # names of attributes, which no module can have
Pairs = list[tuple[nn.Module, nn.Module]]  # layers, and their twins with nn.Sequential


def drawn(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """`given`, with torch's generator seeded again for every example."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def seeded(*args: Any, **kwargs: Any) -> None:
            torch.manual_seed(0)
            test(*args, **kwargs)

        return settings(deadline=None, max_examples=60)(given(*strategies)(seeded))

    return decorate


def twins(layer: nn.Module) -> tuple[nn.Module, nn.Module]:
    return layer, copy.deepcopy(layer)


@st.composite
def nets(draw: st.DrawFn, width: int = 4, depth: int = 2) -> tuple[Pairs, int]:
    """Random layers that fit each other, for inputs of size `width`, and the size of their output."""
    pairs: Pairs = []
    widths = [width]  # before each layer, and after the last
    for _ in range(draw(st.integers(0, 4))):
        out = widths[-1]
        fitting = [i for i in range(len(pairs)) if widths[i] == out]
        kinds = ["linear", "relu", "tanh", "dropout"] + ["again"] * bool(fitting) + ["net"] * bool(depth)
        match draw(st.sampled_from(kinds)):
            case "linear":
                pair = twins(nn.Linear(out, out := draw(sizes)))
            case "again":
                pair, out = pairs[i := draw(st.sampled_from(fitting))], widths[i + 1]
            case "net":
                inner, out = draw(nets(out, depth - 1))
                pair = MySequential(*(ours for ours, _ in inner)), nn.Sequential(*(twin for _, twin in inner))
            case kind:
                pair = twins({"relu": nn.ReLU, "tanh": nn.Tanh, "dropout": nn.Dropout}[kind]())
        pairs.append(pair)
        widths.append(out)
    return pairs, widths[-1]


def outcome(call: Callable[..., Any], *args: Any) -> tuple[type, str]:
    """The class and text of the exception that `call` raises, or of its result."""
    try:
        result = call(*args)
    except Exception as error:
        return type(error), str(error)
    return type(result), repr(result)


class Fuse(TorchFunctionMode):
    """Fail after 3,000 calls of torch, so that an endless loop fails the test."""

    calls = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.calls += 1
        assert self.calls < 3_000, "the loop does not end"
        return func(*args, **(kwargs or {}))


# MySequential, compared with nn.Sequential.


@drawn(nets())
def test_random_nets_compute_what_nn_sequential_computes(net: tuple[Pairs, int]) -> None:
    """With the same layers, both have the same keys, parameters, length, repr and outputs."""
    pairs, width = net
    ours, theirs = MySequential(*(ours for ours, _ in pairs)), nn.Sequential(*(twin for _, twin in pairs))
    theirs.load_state_dict(ours.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert len(list(ours.parameters())) == len(list(theirs.parameters()))
    assert len(ours) == len(theirs)
    assert repr(ours).replace("MySequential", "Sequential") == repr(theirs)
    X = torch.rand(3, 4)
    assert torch.equal(ours.eval()(X), theirs.eval()(X))
    assert ours(X).shape == (3, width)


@drawn(nets(), st.data())
def test_random_names_are_kept(net: tuple[Pairs, int], data: st.DataObject) -> None:
    """An OrderedDict names the modules in its order; every name that `nn.Sequential` accepts is accepted."""
    layers = [ours for ours, _ in net[0]]
    names = st.text(min_size=1).filter(lambda name: "." not in name and name not in TAKEN)
    keys = data.draw(st.lists(names, min_size=len(layers), max_size=len(layers), unique=True))
    named = OrderedDict(zip(keys, layers, strict=True))
    ours, theirs, X = MySequential(named).eval(), nn.Sequential(named).eval(), torch.rand(2, 4)
    assert list(ours._modules) == keys
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert torch.equal(ours(X), theirs(X))


@drawn(nets(), st.data())
def test_iteration_and_indexing_give_the_layers(net: tuple[Pairs, int], data: st.DataObject) -> None:
    """Iteration, every index and every slice give the same layer objects that were passed in."""
    layers = [ours for ours, _ in net[0]]
    ours, part = MySequential(*layers), data.draw(st.slices(len(layers)))
    assert list(map(id, ours)) == list(map(id, layers))
    assert all(ours[i] is layers[i] for i in range(-len(layers), len(layers)))
    piece = typing.assert_type(ours[part], MySequential)
    assert type(piece) is MySequential
    assert list(map(id, piece)) == list(map(id, layers[part]))
    assert list(piece._modules) == list(nn.Sequential(*layers)[part]._modules)


@drawn(st.integers(0, 3), st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans()))
def test_a_bad_index_raises_what_nn_sequential_raises(length: int, index: Any) -> None:
    """The result or the message is that of `nn.Sequential`, for any index."""
    made = [nn.Linear(1, 1 + i) for i in range(length)]
    assert outcome(MySequential(*made).__getitem__, index) == outcome(nn.Sequential(*made).__getitem__, index)


BAD_NAMES = {1: nn.ReLU()}, {"a.b": nn.ReLU()}, {"": nn.ReLU()}, {"forward": nn.ReLU()}, {"a": "relu"}
BAD_ARGS = torch.relu, "relu", 3, nn.ReLU, {"a": nn.ReLU()}, [nn.ReLU()], *map(OrderedDict, BAD_NAMES)


@pytest.mark.parametrize("arg", BAD_ARGS)
def test_a_bad_argument_raises_what_nn_sequential_raises(arg: Any) -> None:
    """An argument that is not a module or has no valid name is refused with PyTorch's own message."""
    for args in (arg,), (nn.ReLU(), arg):
        with pytest.raises((TypeError, KeyError)) as error:
            nn.Sequential(*args)
        assert outcome(MySequential, *args) == (error.type, str(error.value))


LAYERS = [nn.Linear(1, 1 + i) for i in range(3)]
layers = st.sampled_from(LAYERS)
positions = st.integers(-5, 5)
places = positions | st.slices(4) | st.sampled_from([1.0, None, "0", True])  # some of them are invalid
others = st.lists(layers, max_size=3)
CHANGES: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
    "append": st.tuples(layers | st.sampled_from([None, nn.ReLU, torch.relu])),
    "extend": st.tuples(others | st.sampled_from([[nn.ReLU], 3, None, {"a": 1}])),
    "insert": st.tuples(positions, layers | st.sampled_from([None, nn.ReLU, torch.relu])),
    "pop": st.tuples(places),
    "__setitem__": st.tuples(places, layers | st.just(torch.relu)),
    "__delitem__": st.tuples(places),
    "__add__": st.tuples(others | st.sampled_from([3, None])),
    "__iadd__": st.tuples(others | st.sampled_from([3, None])),
    "__mul__": st.tuples(st.integers(-1, 2) | st.sampled_from([1.0, None, True])),
    "__rmul__": st.tuples(st.integers(-1, 2)),
    "__imul__": st.tuples(st.integers(-1, 2) | st.sampled_from([1.0, None])),
}
changes = st.sampled_from([*CHANGES]).flatmap(lambda name: st.tuples(st.just(name), CHANGES[name]))
START = [
    [],
    LAYERS,
    [OrderedDict(zip("abc", LAYERS, strict=True))],
    [OrderedDict({"2": LAYERS[0], "b": LAYERS[1]})],
]


def change(net: Any, name: str, args: tuple[Any, ...], done: list[Any]) -> Any:
    """Change a container of either class, and return the result if it is one, and the container otherwise."""
    if name in ("__add__", "__iadd__") and isinstance(args[0], list):
        args = (type(net)(*args[0]),)
    kinds = re.compile(r"d2lblocks\.modules\.MySequential|torch\.nn\.modules\.container\.Sequential")
    try:
        result = getattr(net, name)(*args)
    except Exception as error:
        done.append((type(error), kinds.sub("Sequential", str(error))))
        return net
    done.append(type(result).__name__.removeprefix("My"))
    done.append(result is net)
    if name == "pop" and isinstance(result, nn.Linear):
        done.append(id(result))
    return result if type(result) is type(net) else net


@drawn(st.sampled_from(START), st.lists(changes, max_size=6))
def test_random_changes_do_what_they_do_to_nn_sequential(
    start: list[Any], made: list[tuple[str, Any]]
) -> None:
    """After each change, the result or error, the names, the modules and the training mode are the same."""
    seen = []
    for kind in (MySequential, nn.Sequential):
        net, done = kind(*start), []
        for name, args in made:
            net = change(net, name, args, done)
            done.append([(key, id(module)) for key, module in net._modules.items()])
            done.append([id(module) for module in net])
        seen.append(done)
    assert seen[0] == seen[1]


def test_changes_in_the_usual_notation() -> None:
    """Indices, `del`, `+` and `*` work; a sum or product is a new container with the same modules."""
    a, b, c = LAYERS
    net = MySequential(a)
    assert net.append(b) is net
    assert net.extend([c, a]) is net
    assert net.insert(0, c) is net
    assert list(net) == [c, a, b, c, a]
    net[-1] = b
    del net[0], net[1:3]
    assert (list(net), list(net.state_dict())) == ([a, b], ["0.weight", "0.bias", "1.weight", "1.bias"])
    assert net.pop(0) is a
    both = net + MySequential(c)
    assert (list(both), list(net), type(both)) == ([b, c], [b], MySequential)
    assert list(both + nn.Sequential(a)) == [b, c, a]
    assert [*map(list, (net * 2, 2 * net))] == [[b, b]] * 2
    before = net
    net += both
    net *= 2
    assert net is before
    assert list(net) == [b, b, c] * 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_knows_only_the_containers_of_pytorch() -> None:
    """TorchScript has a fixed list of container classes."""
    torch.jit.script(nn.Sequential(nn.ReLU()))
    with pytest.raises(RuntimeError, match="Only constant Sequential, ModuleList"):
        torch.jit.script(MySequential(nn.ReLU()))


def test_a_slice_of_a_subclass_is_of_the_subclass() -> None:
    """Slicing keeps the class."""

    class Deeper(MySequential):
        pass

    assert type(Deeper(nn.ReLU(), nn.Tanh())[1:]) is Deeper


def test_a_layer_given_twice_runs_twice() -> None:
    """Iteration yields a module as often as it was passed in, too."""
    double = nn.Linear(1, 1, bias=False)
    nn.init.constant_(double.weight, 2)
    net = MySequential(double, double, double)
    assert net(torch.ones(1)).item() == 8
    assert list(net) == [double] * 3


# MLP and NestMLP, compared with the formula.


def affine(net: nn.Module, name: str, X: Tensor) -> Tensor:
    return X @ net.get_parameter(f"{name}.weight").T + net.get_parameter(f"{name}.bias")


@drawn(sizes, sizes, sizes, st.lists(sizes, max_size=3), st.booleans())
def test_mlp_is_its_formula(inputs: int, hidden: int, out: int, batch: list[int], lazy: bool) -> None:
    """`out(relu(hidden(X)))`, for all sizes, lazy or not, with any leading dimensions."""
    net, X = MLP(None if lazy else inputs, hidden, out), torch.randn(*batch, inputs)
    Y = net(X)
    assert Y.shape == (*batch, out)
    assert net.hidden.weight.shape == (hidden, inputs)
    assert_close(Y, affine(net, "out", affine(net, "hidden", X).clamp(min=0)))


def test_mlp_has_256_hidden_and_10_output_features() -> None:
    """The defaults are those of the book; without `in_features` the first batch determines the input size."""
    net = MLP()
    assert isinstance(net.hidden, nn.LazyLinear)
    assert net(torch.rand(2, 7)).shape == (2, 10)
    assert net.hidden.weight.shape == (256, 7)
    assert type(MLP(20).hidden) is nn.Linear


@drawn(sizes, st.lists(sizes, max_size=3))
def test_nest_mlp_is_its_formula(inputs: int, batch: list[int]) -> None:
    """Two layers with ReLU, then one without: 64, 32 and 16 features."""
    net, X = NestMLP(inputs), torch.randn(*batch, inputs)
    H = affine(net, "net.2", affine(net, "net.0", X).clamp(min=0)).clamp(min=0)
    assert_close(net(X), affine(net, "linear", H))
    assert [p.shape[0] for p in net.parameters()] == [64, 64, 32, 32, 16, 16]
    assert NestMLP().net[0].in_features == 20


def test_a_chimera_runs_block_after_block() -> None:
    """Blocks of blocks can be combined: the chimera gives the same result as its parts in turn."""
    parts = NestMLP(), nn.Linear(16, 20), FixedHiddenMLP()
    X = torch.rand(2, 20)
    assert torch.equal(MySequential(*parts)(X), parts[2](parts[1](parts[0](X))))
    assert nn.Sequential(*parts)(X).shape == ()


# FixedHiddenMLP.


def fixed_hidden(hidden: nn.Linear, out: nn.Linear, constant: Tensor, X: Tensor) -> Tensor:
    """The formula of `FixedHiddenMLP`, with a separate layer for each use; it halves in one step."""
    Y = out(((hidden(X) @ constant) + torch.ones(())).clamp(min=0))
    halvings, total = 0, Y.abs().sum().item()
    while total / 2.0**halvings > 1:
        halvings += 1
    return (Y / 2.0**halvings).sum()


@drawn(st.integers(1, 20), st.lists(sizes, max_size=2), st.sampled_from([0.0, 1e-9, 1.0, 1e3, 1e30]))
def test_fixed_hidden_mlp_is_its_formula(features: int, batch: list[int], scale: float) -> None:
    """The result equals the formula's, a scalar between -1 and 1."""
    net = FixedHiddenMLP(features, dtype=torch.float64)
    X = torch.randn(*batch, features, dtype=torch.float64) * scale
    with Fuse():
        result = net(X)
    assert_close(result, fixed_hidden(net.linear, net.linear, net.rand_weight, X))
    assert result.shape == ()
    assert result.abs() <= 1


def test_a_sum_of_at_most_one_is_not_halved() -> None:
    """Halving stops as soon as the sum is at most 1."""
    net = FixedHiddenMLP(2)
    nn.init.zeros_(net.linear.weight)
    for bias, result in (0.5, 1.0), (0.25, 0.5), (0.75, 0.75), (2.0, 1.0):
        nn.init.constant_(net.linear.bias, bias)
        assert net(torch.zeros(2)).item() == result


def test_the_gradient_of_a_layer_used_twice_is_the_sum_over_its_uses() -> None:
    """`linear` gets the sum of the gradients that two separate layers with its weights would get."""
    net, X = FixedHiddenMLP(), torch.rand(2, 20)
    first, second = copy.deepcopy(net.linear), copy.deepcopy(net.linear)
    net(X).backward()
    fixed_hidden(first, second, net.rand_weight, X).backward()
    for shared, one, other in zip(
        *(layer.parameters() for layer in (net.linear, first, second)), strict=True
    ):
        assert one.grad.any()
        assert other.grad.any()
        assert_close(shared.grad, one.grad + other.grad)


def test_the_constant_is_uniform_saved_and_not_trained() -> None:
    """`rand_weight` fills [0, 1). A training step does not change it, and a state dict contains it."""
    net, other = FixedHiddenMLP(), FixedHiddenMLP()
    before, weight = net.rand_weight.clone(), net.linear.weight.clone()
    assert 0 <= before.min() < 0.1
    assert 0.9 < before.max() < 1
    assert not torch.equal(before, other.rand_weight)
    net(torch.rand(2, 20)).backward()
    torch.optim.SGD(net.parameters(), lr=1.0, weight_decay=0.1).step()
    assert not net.rand_weight.requires_grad
    assert torch.equal(net.rand_weight, before)
    assert not torch.equal(net.linear.weight, weight)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other.rand_weight, before)


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan, 3e38])
def test_what_cannot_be_halved_to_an_end_is_an_error(value: float) -> None:
    """Values that are not finite raise an error: it counts them in the result and in the input."""
    X = torch.rand(3, 20)
    X[1] = value
    bad = 0 if value == 3e38 else 20  # 3e38 is finite but overflows in the computation
    message = f"got 20 of 60 that are inf or nan, from an input of shape (3, 20) with {bad} of them"
    with pytest.raises(ValueError, match=re.escape(message)), Fuse():
        FixedHiddenMLP()(X)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_a_sum_that_overflows_still_ends(dtype: torch.dtype) -> None:
    """Finite values with an infinite sum are halved until the sum is small enough."""
    net = FixedHiddenMLP(4, dtype=dtype)
    nn.init.zeros_(net.linear.weight)
    nn.init.constant_(net.linear.bias, torch.finfo(dtype).max)
    nn.init.zeros_(net.rand_weight)
    assert net.linear.bias.sum().isinf()
    with Fuse():
        assert 0.5 < net(torch.zeros(4, dtype=dtype)) <= 1


# Parallel.


@drawn(st.lists(sizes, min_size=1, max_size=4), st.integers(-2, 1))
def test_parallel_joins_the_outputs(widths: list[int], dim: int) -> None:
    """Each net gets the whole input; the outputs are concatenated in dimension `dim`."""
    nets = [nn.Linear(5, 3 if dim in (0, -2) else width) for width in widths]
    X = torch.rand(2, 5)
    expected = torch.cat([F.linear(X, net.weight, net.bias) for net in nets], dim)
    assert_close(Parallel(*nets, dim=dim)(X), expected, rtol=0, atol=0)


def test_parallel_joins_the_last_dimension_and_shows_it() -> None:
    """`dim` defaults to -1, `repr` shows it, and one net can be used twice."""
    net = nn.Linear(5, 3)
    X = torch.rand(2, 4, 5)
    assert torch.equal(Parallel(net, nn.Identity(), net)(X), torch.cat([net(X), X, net(X)], 2))
    assert "Parallel(\n  dim=-1\n  (nets): ModuleList(" in repr(Parallel(net))
    assert "Parallel(\n  dim=0\n" in repr(Parallel(net, dim=0))


# Errors, types and names.


ROWS = torch.rand(2, 5)


@pytest.mark.parametrize(
    ("make", "X", "error", "text"),
    [
        (lambda: MLP(20), ROWS, RuntimeError, "2x5 and 20x256"),
        (lambda: MLP(5), ROWS.int(), RuntimeError, "dtype"),
        (NestMLP, ROWS, RuntimeError, "2x5 and 20x64"),
        (FixedHiddenMLP, ROWS, RuntimeError, "2x5 and 20x20"),
        (lambda: MySequential(nn.Linear(5, 8), nn.Linear(9, 1)), ROWS, RuntimeError, "2x8 and 9x1"),
        (lambda: MySequential(nn.ReLU())[::0], ROWS, ValueError, "slice step cannot be zero"),
        (lambda: MySequential(nn.ReLU())[-2], ROWS, IndexError, "index -2 is out of range"),
        (Parallel, ROWS, ValueError, "expected at least one module to join, but got none"),
        (lambda: Parallel(nn.ReLU(), torch.relu), ROWS, TypeError, "not a Module subclass"),
        (lambda: Parallel(nn.Linear(5, 2), nn.Linear(5, 3), dim=0), ROWS, RuntimeError, "2 but got size 3"),
        (lambda: Parallel(nn.ReLU(), dim=2), ROWS, IndexError, r"range of \[-2, 1\], but got 2"),
    ],
)
def test_errors(make: Callable[[], nn.Module], X: Any, error: type[Exception], text: str) -> None:
    """A wrong argument or input raises an error that contains its numbers."""
    with pytest.raises(error, match=text):
        make()(X)


@pytest.mark.parametrize("name", modules.__all__)
def test_forward_is_annotated(name: str) -> None:
    """A type checker knows the types of input and output."""
    assert typing.get_type_hints(getattr(modules, name).forward) == {"X": Tensor, "return": Tensor}


def test_all_names_are_exported() -> None:
    """`d2lblocks.__all__` lists the names that the topic modules define, and each name is the same object."""
    topics = [
        importlib.import_module(f"d2lblocks.{topic.name}")
        for topic in pkgutil.iter_modules(d2lblocks.__path__)
        if not topic.name.startswith("_") and topic.name != "practice"
    ]
    for topic in topics:
        files = [
            file
            for name, file in sys.modules.items()
            if f"{name}.".startswith(f"{topic.__name__}.") and "._" not in name
        ]
        public = [
            name
            for file in files
            for name, value in vars(file).items()
            if getattr(value, "__module__", "") == file.__name__
        ]
        assert sorted(topic.__all__) == sorted(name for name in public if not name.startswith("_"))
        assert all(getattr(d2lblocks, name) is getattr(topic, name) for name in topic.__all__)
    assert sorted(d2lblocks.__all__) == sorted(name for topic in topics for name in topic.__all__)
