"""A snapshot restores everything: whatever has changed in a net since then, it is bit for bit as before."""

import random
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from ctypes import string_at
from functools import partial
from operator import is_
from types import MappingProxyType
from typing import Any
from weakref import ProxyTypes

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy
from torch.nn.utils import parametrizations, parametrize
from torch.testing._internal.two_tensor import TwoTensor

from d2lblocks._snapshot import Snapshot

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
X = torch.ones(2, 4)
SPECIAL = torch.tensor([0.0, -0.0, float("nan"), float("inf")])
SPECIAL_BITS = 0x7FC00123  # an unusual NaN


def look(*objects: Any) -> list[Any]:
    """Everything that a snapshot must restore, in a form that can be compared."""
    facts: list[Any] = [
        random.getstate(),
        bytes(torch.get_rng_state()),
        repr(np.random.get_state(legacy=False)),
    ]
    seen: dict[int, Any] = {}

    def add(value: Any) -> None:
        if id(value) in seen:
            facts.append(id(value))
            return
        seen[id(value)] = value
        facts.append((id(value), type(value)))
        if value is None or type(value) in ProxyTypes or isinstance(value, int | str):
            return
        match value:
            case Tensor():
                tensor(value)
            case dict():
                for pair in value.items():
                    each(*pair)
            case list() | tuple() | deque():
                each(*value)
            case set() | frozenset():
                each(*sorted(value, key=id))  # their order depends on previous entries
            case np.ndarray():
                facts.append(value.tobytes())
                each(*value.flat) if value.dtype.hasobject else None
            case bytearray():
                facts.append(bytes(value))
            case torch.Generator():
                facts.append(bytes(value.get_state()))
            case random.Random() if not isinstance(value, random.SystemRandom):
                facts.append(value.getstate())
            case np.random.Generator():
                facts.append(repr(value.bit_generator.state))
            case np.random.RandomState():
                facts.append(repr(value.get_state()))
            case nn.Module() if parametrize.is_parametrized(value):
                each(*vars(type(value)))  # each has a class of its own
            case MappingProxyType():
                each(*value.values())
        if isinstance(value, Tensor | nn.Module | torch.optim.Optimizer | Own | Config):
            add(vars(value))

    def each(*values: Any) -> None:
        facts.append(len(values))
        for value in values:
            add(value)

    def tensor(value: Any) -> None:
        flags = value.requires_grad, value.is_leaf, is_lazy(value)
        add(value._backward_hooks)
        add(value._post_accumulate_grad_hooks)
        if value.is_leaf or value.retains_grad:
            add(value.grad)
        value = value.data
        facts.extend([*flags, value.is_inference(), value.dtype, value.device, value.shape, value.layout])
        parts = [value]
        if value.layout is torch.sparse_coo:
            parts = [value._indices(), value._values()]
        elif value.layout is torch.sparse_csr:
            parts = [value.crow_indices(), value.col_indices(), value.values()]
        for part in parts:
            storage = part.untyped_storage()
            facts.extend([storage._cdata, storage.nbytes(), part.storage_offset(), part.stride()])
            facts.append(part.is_conj())
            if not part.is_meta:
                facts.append(string_at(storage.data_ptr(), storage.nbytes()))

    with torch._C.DisableTorchFunctionSubclass():  # otherwise lazy tensors would refuse access
        each(*objects)
    return [facts, seen]  # keep the objects alive, so that no id is reused


def same(one: list[Any], other: list[Any]) -> bool:
    return one[0] == other[0]


class Own:
    """An object of a class that a snapshot does not follow."""

    def __init__(self) -> None:
        self.entries = [1]


class Config(dict[str, Any]):
    """A dict with attributes that refuses changes."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("frozen")

    __setitem__ = __delitem__ = clear = update  # type: ignore[assignment]


class Holding(nn.Module):
    """A module whose attributes hold a value of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.number, self.text, self.nothing = 3, "text", None
        self.items: list[Any] = [1, [2, {"deep": [torch.ones(2)]}]]
        self.items.append(self.items)  # a cycle
        self.table: dict[Any, Any] = {"a": 1, 2: [3], (4, torch.ones(2)): None}
        self.ordered = OrderedDict(b=1, a=2)
        self.default = defaultdict(list, a=[1])
        self.counter = Counter("aab")
        self.names = {"a", "b"}
        self.recent = deque([1, 2, 3], maxlen=3)
        self.raw = bytearray(b"abc")
        self.fixed = ([1], frozenset({2}), MappingProxyType({"a": [1]}))
        self.config = Config(width=3)
        self.array = np.array([1.0, -0.0, np.nan])
        self.zeros = np.array([-0.0])
        self.boxes = np.array([[1], None], dtype=object)
        self.streams = [torch.Generator().manual_seed(1), random.Random(1)]
        self.streams += [np.random.default_rng(1), np.random.RandomState(1), random.SystemRandom()]
        self.cache = torch.ones(2, 3)
        self.cache.note = ["of a tensor"]  # type: ignore[attr-defined]
        self.own = Own()
        self.computed = torch.ones(3, requires_grad=True) * 2
        self.kept = torch.ones(3, requires_grad=True) * 2
        self.kept.retain_grad()
        self.kept.sum().backward()


class Odd(nn.Module):
    """A module with unusual values, types and places of tensors."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.ones(3, 2, 4, 4).to(memory_format=torch.channels_last)
        self.images = nn.Parameter(weight)
        self.short = nn.Parameter(torch.ones(5))
        self.short.grad = torch.ones(5)
        self.short.data = self.short.data.bfloat16()  # now the gradient does not fit
        self.freed = nn.Parameter(torch.ones(2000))
        self.freed.untyped_storage().resize_(0)
        self.turned = nn.Parameter(torch.arange(6.0).reshape(2, 3).t())
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.pair = nn.Parameter(torch.ones(2, dtype=torch.complex64))
        self.large = nn.Parameter(torch.ones(2000, 3))
        with torch.no_grad():
            self.large[500] = torch.tensor([0.0, -0.0, 1.0])
        self.memory = nn.Parameter(torch.ones(2))
        self.memory.data = self.large.data[0, :2]
        self.register_buffer(
            "special", torch.cat([SPECIAL, torch.tensor([SPECIAL_BITS]).int().view(torch.float32)])
        )
        self.register_buffer("scalar", torch.tensor(True), persistent=False)
        self.register_buffer("wide", torch.zeros(1).expand(10**12))
        self.register_buffer("part", torch.arange(9.0)[1::2])
        self.register_buffer("sparse", torch.eye(3).to_sparse())
        self.register_buffer("rows", torch.eye(3).to_sparse_csr())
        self.register_buffer("meta", torch.ones(2, device="meta"))
        self.register_buffer("empty", torch.ones(0, 3))
        self.register_buffer("later", UninitializedBuffer())
        with torch.inference_mode():
            self.register_buffer("inference", torch.ones(2))


class Net(nn.Module):
    """Layers of many kinds, with gradients, hooks, and attributes of all kinds inside."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.tied = nn.Linear(4, 4), nn.Linear(4, 4)
        self.tied.weight = self.linear.weight
        self.norm, self.drop, self.lazy = nn.BatchNorm1d(4), nn.Dropout(), nn.LazyLinear(3)
        self.scaled = parametrizations.weight_norm(nn.Linear(4, 4))
        self.tables = nn.ModuleDict({"a": nn.Embedding(5, 3, max_norm=0.1)})
        self.rnn, self.eager = nn.GRU(4, 4), nn.Sequential(nn.Sequential(nn.LazyBatchNorm1d()))
        self.holding, self.odd = Holding(), Odd()
        self.handles = [self.linear.register_forward_hook(lambda *_: None)]
        self.handles.append(self.linear.bias.register_hook(lambda gradient: None))
        self.scaled(self.norm(self.tied(self.linear(X)))).sum().backward()

    def forward(self, X: Tensor) -> Tensor:
        X = self.scaled(self.drop(self.norm(self.tied(self.linear(X)))))
        self.holding.items.append(X)
        self.holding.last = X
        return self.lazy(self.rnn(X)[0])


def train(net: Net) -> None:
    optimizer = torch.optim.Adam(net.linear.parameters())
    net(X).square().sum().backward()
    optimizer.step()


def leave_no_leaf(net: Net) -> None:
    net.linear.weight.requires_grad_(False).mul_(torch.ones(1, requires_grad=True))


def replace_attributes(net: Net) -> None:
    object.__setattr__(net.linear, "__dict__", dict(vars(net.linear)))
    net.linear.extra = 1  # type: ignore[assignment]


def clear_gradients(net: Net) -> None:
    net.zero_grad()


def replace_gradient(net: Net) -> None:
    net.linear.weight.grad = net.linear.weight.grad.clone()  # type: ignore[union-attr]


def write_in_inference_mode(net: Net) -> None:
    with torch.inference_mode():
        net.odd.inference.zero_()
        net.linear.weight.zero_()


class Scaled(nn.Module):
    def forward(self, X: Tensor) -> Tensor:
        return 2 * X


def flat(net: Net) -> Any:
    return net.holding


MISCHIEF: dict[str, Callable[[Any], Any]] = {
    "a training step": train,
    "a forward pass": lambda net: net(X),
    "an embedding that scales": lambda net: net.tables["a"](torch.tensor([1])),
    # Modules.
    "a lazy layer called": lambda net: net.lazy(X),
    "a lazy norm called": lambda net: net.eager(X),
    "another mode": lambda net: net.eval(),
    "the mode of one": lambda net: net.drop.train(False),
    "a module removed": lambda net: delattr(net, "norm"),
    "a module replaced": lambda net: setattr(net, "norm", nn.Linear(4, 4)),
    "a module added": lambda net: net.eager.append(nn.Linear(4, 4)),
    "modules in another order": lambda net: net._modules.update(linear=net._modules.pop("linear")),
    "a parameter replaced": lambda net: setattr(net.linear, "weight", nn.Parameter(torch.ones(4, 4))),
    "a parameter added": lambda net: net.linear.register_parameter("more", nn.Parameter(torch.ones(4))),
    "a parameter set to None": lambda net: net.linear.register_parameter("bias", None),
    "a buffer added": lambda net: net.linear.register_buffer("more", torch.ones(4), persistent=False),
    "another class": lambda net: setattr(net.linear, "__class__", Scaled),
    "other attributes": replace_attributes,
    "a parametrization registered": lambda net: parametrize.register_parametrization(net.linear, "weight", Scaled()),
    "another parametrization": lambda net: parametrize.register_parametrization(net.scaled, "bias", Scaled()),
    "a parametrization removed": lambda net: parametrize.remove_parametrizations(net.scaled, "weight"),
    "a forward hook": lambda net: net.linear.register_forward_hook(lambda *_: None, prepend=True),
    "a backward hook": lambda net: net.linear.register_full_backward_hook(lambda *_: None),
    "a hook of load_state_dict": lambda net: net.register_load_state_dict_post_hook(lambda *_: None),
    "a hook removed": lambda net: net.handles[0].remove(),
    "a call compiled": lambda net: net.linear.compile(backend="eager"),
    # Tensors.
    "values": lambda net: net.linear.weight.data.fill_(7.0),
    "a few values of many": lambda net: net.odd.large.data[1000].zero_(),
    "the sign of one of many zeros": lambda net: net.odd.large.data[500, 1].zero_(),
    "the sign of zero": lambda net: net.odd.special[1].zero_(),
    "the bits of NaN": lambda net: net.odd.special[4].fill_(float("nan")),
    "a bool": lambda net: net.odd.scalar.fill_(False),
    "an expanded tensor": lambda net: net.odd.wide[:1].fill_(1.0),
    "part of a tensor": lambda net: net.odd.part.zero_(),
    "a tensor of inference mode": write_in_inference_mode,
    "sparse values": lambda net: net.odd.sparse._values().zero_(),
    "other sparse values": lambda net: setattr(net.odd.sparse, "data", torch.zeros(3, 3).to_sparse()),
    "sparse values with rows": lambda net: net.odd.rows.values().zero_(),
    "another type": lambda net: net.linear.half(),
    "another type everywhere": lambda net: net.odd.images.data.double() is None or net.rnn.double(),
    "another device": lambda net: net.linear.to("meta"),
    "other data": lambda net: setattr(net.linear.weight, "data", torch.zeros(7)),
    "data of integers": lambda net: setattr(net.odd.frozen, "data", torch.zeros(7, dtype=torch.int64)),
    "another memory format": lambda net: setattr(net.odd.images, "data", net.odd.images.data.contiguous()),
    "its transpose": lambda net: setattr(net.odd.turned, "data", net.odd.turned.data.t()),
    "its conjugate": lambda net: setattr(net.odd.pair, "data", net.odd.pair.data.conj()),
    "another shape on meta": lambda net: setattr(net.odd.meta, "data", net.odd.meta.data[:1]),
    "a memory that grows": lambda net: net.odd.short.data.untyped_storage().resize_(1000),
    "a memory that is freed": lambda net: net.odd.large.untyped_storage().resize_(0),
    "a freed memory": lambda net: net.odd.freed.untyped_storage().resize_(40),
    "a tensor resized": lambda net: net.odd.frozen.data.set_(torch.ones(9)) is None or net.odd.frozen.resize_(50),
    "tensors swapped": lambda net: torch.utils.swap_tensors(net.odd.short, nn.Parameter(torch.zeros(2))),
    "a buffer that gets its shape": lambda net: net.odd.later.materialize((3,)),
    "frozen": lambda net: net.linear.requires_grad_(False),
    "trained": lambda net: net.odd.frozen.requires_grad_(),
    "no leaf any more": leave_no_leaf,
    "gradients written to": lambda net: net.linear.weight.grad.fill_(7.0),
    "gradients removed": clear_gradients,
    "a gradient replaced": replace_gradient,
    "a gradient that does not fit": lambda net: setattr(net.odd.short, "grad", None),
    "the gradient of a computed tensor": lambda net: setattr(net.holding.kept, "grad", None),
    "a gradient made": lambda net: net.rnn(X)[0].sum().backward(),
    "a hook of a tensor": lambda net: net.linear.weight.register_hook(lambda gradient: None),
    "another hook of a tensor": lambda net: net.linear.bias.register_hook(lambda gradient: None),
    "a hook of a tensor removed": lambda net: net.handles[1].remove(),
    "a hook of gradients": lambda net: net.linear.bias.register_post_accumulate_grad_hook(lambda parameter: None),
    "an attribute of a tensor": lambda net: setattr(net.linear.weight, "note", 1),
    "a list that a tensor holds": lambda net: net.holding.cache.note.append(1),
    # Attributes and their contents.
    "a number": lambda net: setattr(net.holding, "number", 4),
    "an attribute more": lambda net: setattr(net.holding, "last", X),
    "an attribute less": lambda net: delattr(net.holding, "text"),
    "another object": lambda net: setattr(net.holding, "own", Own()),
    "a list appended to": lambda net: net.holding.items.append(X),
    "a list deep inside": lambda net: net.holding.items[1][1]["deep"].clear(),
    "a tensor deep inside": lambda net: net.holding.items[1][1]["deep"][0].zero_(),
    "an equal entry": lambda net: net.holding.items.__setitem__(0, True),
    "a dict": lambda net: net.holding.table.update(a=2),
    "a dict without an entry": lambda net: net.holding.table.pop(2),
    "an empty dict": lambda net: net.holding._forward_hooks.__setitem__(0, print),
    "an equal value": lambda net: net.holding.table.update(a=True),
    "an equal key": lambda net: net.holding.table.update({2.0: net.holding.table.pop(2)}),
    "a tensor in a key": lambda net: list(net.holding.table)[2][1].zero_(),
    "another order": lambda net: net.holding.ordered.move_to_end("b"),
    "a default": lambda net: net.holding.default["b"],
    "a count": lambda net: net.holding.counter.update("a"),
    "a set": lambda net: net.holding.names.add("c"),
    "a deque": lambda net: net.holding.recent.append(4),
    "bytes": lambda net: net.holding.raw.extend(b"d"),
    "a list in a tuple": lambda net: net.holding.fixed[0].append(2),
    "a list in a mapping": lambda net: net.holding.fixed[2]["a"].append(2),
    "a dict that refuses changes": lambda net: dict.__setitem__(net.holding.config, "width", 4),
    "an attribute of a dict": lambda net: setattr(net.holding.config, "note", 1),
    "an array": lambda net: net.holding.array.fill(0.0),
    "the sign of zero in an array": lambda net: net.holding.zeros.fill(0.0),
    "an array of objects": lambda net: net.holding.boxes.__setitem__(1, 1),
    "a list in an array": lambda net: net.holding.boxes[0].append(1),
    # Random numbers.
    "Python's random numbers": lambda net: random.gauss(0, 1),
    "NumPy's random numbers": lambda net: np.random.standard_normal(),
    "torch's random numbers": lambda net: torch.randn(1),
    "a generator's numbers": lambda net: torch.rand(1, generator=net.holding.streams[0]),
    "a Random's numbers": lambda net: net.holding.streams[1].random(),
    "a NumPy generator's numbers": lambda net: net.holding.streams[2].random(),
    "a RandomState's numbers": lambda net: net.holding.streams[3].rand(),
}  # fmt: skip


SPARE: list[Net] = []  # restored nets, which other tests can use again


@pytest.mark.parametrize("mischief", MISCHIEF.values(), ids=MISCHIEF)
def test_everything_is_put_back(mischief: Callable[[Any], Any]) -> None:
    """A snapshot restores the same objects, bit for bit, any number of times, and also in inference mode."""
    net = SPARE.pop() if SPARE else Net()
    before = look(net)
    snapshot = Snapshot(net)
    for inference in (False, True):
        mischief(net)
        assert not same(look(net), before)
        with torch.inference_mode(inference):
            snapshot.restore()
        assert same(look(net), before)
    SPARE.append(net)


def test_a_snapshot_changes_nothing() -> None:
    """Neither taking it nor restoring it changes an unchanged net, and autograd counts no change."""
    net = Net()
    watched = [*net.rnn.parameters(), net.odd.large]
    before, versions = look(net), [parameter._version for parameter in watched]
    snapshot = Snapshot(net)
    assert same(look(net), before)
    snapshot.restore()
    assert same(look(net), before)
    assert [parameter._version for parameter in watched] == versions


# Nets and changes of any kind.


def tie(net: nn.Sequential) -> None:
    linears = [layer for layer in net.modules() if type(layer) is nn.Linear]
    for layer in linears[1:]:
        layer.weight = linears[0].weight


def hold(net: nn.Module) -> None:
    for layer in net.modules():
        layer.register_forward_hook(lambda *_: None)
        layer.history = [{"weights": list(layer.parameters())}]  # type: ignore[assignment]


def sized(net: nn.Module) -> list[Any]:
    """The parameters that have a shape."""
    return [parameter for parameter in net.parameters() if not is_lazy(parameter)]


def change_data(change: Callable[[Tensor], Tensor], net: nn.Module) -> None:
    for parameter in sized(net):
        parameter.data = change(parameter.data)


def odd(data: Tensor) -> Tensor:
    data[0] = torch.nan
    data[-1] = -0.0
    return data


CHANGES: list[Callable[[Any], Any]] = [
    tie,
    hold,
    partial(change_data, odd),
    partial(change_data, lambda data: data.bfloat16()),
    partial(change_data, lambda data: data.movedim(0, -1)),
    partial(change_data, lambda data: torch.cat([data, data])[1 : len(data) + 1]),
    lambda net: net.register_buffer("count", torch.tensor(-0.0), persistent=False),
    lambda net: [parameter.requires_grad_(False) for parameter in sized(net)],
    lambda net: [setattr(parameter, "grad", torch.ones_like(parameter)) for parameter in sized(net)],
    lambda net: net.eval(),
    lambda net: setattr(net, "holding", Holding()),
]
LAYERS: list[Callable[[], nn.Module]] = [
    lambda: nn.Linear(4, 4),
    lambda: nn.LazyLinear(4),
    lambda: nn.Conv2d(2, 3, 2),
    lambda: nn.LazyConv2d(2, 1),
    lambda: nn.BatchNorm1d(4),
    lambda: nn.LazyBatchNorm1d(),
    lambda: nn.Dropout(),
    lambda: nn.Embedding(5, 4, max_norm=0.1),
    lambda: nn.GRU(4, 4),
    lambda: parametrizations.weight_norm(nn.Linear(4, 4)),
    lambda: nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.ReLU()}),
    lambda: nn.ParameterList([torch.ones(2), torch.ones(3)]),
]
NETS = st.recursive(
    st.sampled_from(LAYERS).map(lambda make: make()),
    lambda layers: st.lists(layers, max_size=4).map(lambda found: nn.Sequential(*found)),
    max_leaves=6,
).map(lambda layer: nn.Sequential(layer, nn.Linear(4, 4)))


def a_module(net: nn.Module) -> Any:
    """A random module: a different one each time, because the random state changes as well."""
    return random.choice(list(net.modules()))


def tensors(net: nn.Module) -> list[Any]:
    return [tensor for tensor in (*net.parameters(), *net.buffers()) if not is_lazy(tensor)]


def run(net: nn.Module) -> None:
    for layer in list(net.modules()):
        for shape in ((2, 4), (2, 2, 4, 4)):
            with suppress(Exception):
                output = layer(torch.rand(shape))
                output = output if isinstance(output, Tensor) else output[0]
                output.square().sum().backward()


def step(net: nn.Module) -> None:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    optimizer.step()


def write(net: nn.Module) -> None:
    with torch.no_grad():
        for tensor in tensors(net):
            tensor.copy_(torch.rand(tensor.shape))


def interrupt(net: nn.Module) -> None:
    raise KeyboardInterrupt


DEEDS: list[Callable[[Any], Any]] = [
    *CHANGES,
    run,
    step,
    write,
    interrupt,
    lambda net: random.choice(tensors(net)).data.view(-1).fill_(-0.0),
    lambda net: setattr(random.choice(tensors(net)), "data", torch.rand(3, dtype=torch.float64)),
    lambda net: setattr(random.choice(tensors(net)), "grad", None),
    lambda net: random.choice(tensors(net)).register_hook(lambda gradient: None),
    lambda net: a_module(net)._modules.clear(),
    lambda net: a_module(net)._parameters.clear(),
    lambda net: a_module(net)._forward_hooks.clear(),
    lambda net: a_module(net).add_module("more", nn.Linear(4, 4)),
    lambda net: a_module(net).register_full_backward_hook(lambda *_: None),
    lambda net: a_module(net).register_parameter("weight", nn.Parameter(torch.ones(2))),
    lambda net: setattr(a_module(net), "weight", None),
    lambda net: vars(a_module(net)).pop("training"),
    lambda net: setattr(a_module(net), "__class__", nn.ReLU),
    lambda net: net.to("meta"),
    lambda net: [random.random(), np.random.rand(), torch.rand(1)],
]


@settings(deadline=None, max_examples=60)
@given(
    net=NETS,
    changes=st.lists(st.sampled_from(CHANGES), max_size=4),
    deeds=st.lists(st.sampled_from(DEEDS), min_size=1, max_size=8),
)
def test_whatever_is_done_is_undone(net: nn.Module, changes: list[Any], deeds: list[Any]) -> None:
    """The changes may complete, or stop with an error."""
    for change in changes:
        change(net)
    before = look(net)
    snapshot = Snapshot(net)
    for deed in deeds:
        with suppress(Exception, KeyboardInterrupt):
            deed(net)
    snapshot.restore()
    assert same(look(net), before)


# Other objects than nets, and the limits.


def test_optimizers_and_inputs_are_put_back() -> None:
    """An optimizer with its state and the tensors in a net's inputs are restored."""
    net = nn.Linear(4, 4)
    optimizer = torch.optim.Adam(net.parameters())
    inputs = {"X": torch.ones(2, 4), "parts": [torch.ones(2)]}
    net(inputs["X"]).sum().backward()
    for steps in range(2):  # before there is a state, and after
        before = look(net, optimizer, inputs)
        snapshot = Snapshot(net, optimizer, inputs)
        for _ in range(2):
            optimizer.step()
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 7.0
        optimizer.add_param_group({"params": [inputs["X"]]})
        inputs["parts"].append(inputs["X"].zero_())  # type: ignore[union-attr]
        snapshot.restore()
        assert same(look(net, optimizer, inputs), before), steps
        optimizer.step()


def test_a_given_object_is_looked_into_and_others_are_not() -> None:
    """If a net refers to an object of a custom class, the reference is restored but its contents are not."""
    given, held = Own(), Own()
    given.held = held  # type: ignore[attr-defined]
    snapshot = Snapshot(given)
    given.entries.append(2)
    held.entries.append(2)
    del given.held  # type: ignore[attr-defined]
    snapshot.restore()
    assert (given.entries, given.held, held.entries) == ([1], held, [1, 2])  # type: ignore[attr-defined]


def test_without_tensors_only_references_are_put_back() -> None:
    """The entries of lists and dicts are restored, but values keep their changes."""
    net = Net()
    weight, bias = net.linear.weight, net.linear.bias
    snapshot = Snapshot(net, tensors=False)
    weight.data.fill_(7.0)
    net.linear.bias = None  # type: ignore[assignment]
    net.holding.items.append(X)
    net.holding.array.fill(7.0)
    snapshot.restore()
    assert (net.linear.bias, len(net.holding.items)) == (bias, 3)
    assert (weight.unique().tolist(), net.holding.array.tolist()) == ([7.0], [7.0] * 3)


@pytest.mark.parametrize("first", [True, False])
def test_autograd_is_told_of_what_is_written(first: bool) -> None:
    """A graph cannot go on if a value that it needs has been restored, whichever tensor shares the memory."""
    net, other = nn.Linear(4, 4), nn.Linear(4, 4)
    other.weight.data = net.weight.data
    snapshot = Snapshot(nn.Sequential(net, other))
    with torch.no_grad():
        other.weight.mul_(2.0)
    loss = (net if first else other).weight.square().sum()
    snapshot.restore()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("modes", [(True, False), (False, True), (True, True)])
def test_inference_mode_has_no_part_in_it(modes: tuple[bool, bool]) -> None:
    """The mode when the snapshot is taken or restored does not matter."""
    net = Odd()
    before = look(net)
    with torch.inference_mode(modes[0]):
        snapshot = Snapshot(net)
    with torch.inference_mode():
        for tensor in (net.large, net.inference, net.special):
            tensor.zero_()  # type: ignore[operator]
    with torch.inference_mode(modes[1]):
        snapshot.restore()
    assert same(look(net), before)


def test_the_memory_is_copied_once() -> None:
    """Any number of tensors may share the memory, whether or not one of them covers all of it."""
    probe = """
import sys, torch
from pathlib import Path
from torch import nn
from d2lblocks._snapshot import Snapshot

def resident():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024

net = nn.ModuleList(nn.Linear(2**12, 2**11) for _ in range(4))  # 32 MB each
net[1].weight = net[0].weight
net[2].weight.data = net[0].weight.data
net.view, net.wide = net[3].weight[::2], torch.ones(1).expand(10**12)
Snapshot(nn.Linear(2**12, 2**11))
before = resident()
snapshot = Snapshot(net)
taken = resident()
for parameter in net.parameters():
    parameter.data.zero_()
snapshot.restore()
print(round((taken - before) / 32, 1), round((resident() - taken) / 32, 1), float(net[3].weight.abs().max()) > 0)
"""
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["2.0", "0.0", "True"]


def retained() -> Tensor:
    tensor = torch.ones(3, requires_grad=True) * 2
    tensor.retain_grad()
    return tensor


OTHERS: dict[str, tuple[Callable[[], Tensor], Callable[[Any], Any]]] = {
    "nested": (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), lambda t: t.values()),
    "nested and turned": (lambda: torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)]).transpose(1, 2), lambda t: t.values()),
    "jagged": (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged), lambda t: t.values()),
    "two in one": (lambda: TwoTensor(torch.ones(3), torch.ones(3)), lambda t: t.a),
    "quantized": (lambda: torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.quint8), lambda t: t),
    "columns": (lambda: torch.eye(3).to_sparse_csc(), lambda t: t.values()),
    "blocks": (lambda: torch.eye(4).to_sparse_bsr((2, 2)), lambda t: t.values()),
    "a graph": (lambda: torch.ones(3, requires_grad=True) * 2, lambda t: t.data),
    "a graph that keeps gradients": (retained, lambda t: t.data),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("make", "values"), OTHERS.values(), ids=OTHERS)
def test_tensors_of_other_kinds_are_put_back(
    make: Callable[[], Tensor], values: Callable[[Any], Any]
) -> None:
    """Other tensors are restored as attributes, and computed tensors keep their graph."""
    net = nn.Module()
    net.cache = cache = make()
    graph, before = cache.grad_fn, repr(values(cache))
    snapshot = Snapshot(net)
    values(cache).copy_(torch.zeros(values(cache).shape))
    assert repr(values(cache)) != before
    net.cache = None
    snapshot.restore()
    assert net.cache is cache
    assert (repr(values(cache)), cache.grad_fn) == (before, graph)


def test_an_opaque_tensor_is_no_hindrance() -> None:
    """Its values cannot be reached, so only the reference is restored."""
    net = nn.Linear(4, 4)
    net.cache = cache = torch.ones(3, 3).to_mkldnn()
    before = net.weight.tolist()
    snapshot = Snapshot(net)
    net.cache = None
    net.weight.data.zero_()
    snapshot.restore()
    assert net.cache is cache
    assert net.weight.tolist() == before


def test_another_global_generator_of_numpy_is_put_back() -> None:
    """NumPy's global generator can be replaced by one of another kind."""
    usual = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(1))
    try:
        snapshot = Snapshot()
        drawn = np.random.rand()
        snapshot.restore()
        assert np.random.rand() == drawn
    finally:
        np.random.set_bit_generator(usual)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_net_on_a_gpu_is_put_back() -> None:
    """Its gradients and the GPU's random numbers are restored too."""
    net = nn.Sequential(nn.Linear(40, 40), nn.BatchNorm1d(40), nn.Dropout()).cuda()
    inputs = torch.rand(8, 40, device="cuda")
    net(inputs).sum().backward()
    state = torch.cuda.get_rng_state()
    before = [tensor.clone() for tensor in (*net.parameters(), *net.buffers(), net[0].weight.grad)]
    parameters = [*net.parameters()]
    snapshot = Snapshot(net)
    for _ in range(2):
        net(inputs).square().sum().backward()
        torch.optim.SGD(net.parameters(), lr=0.1).step()
        net.cpu()
        snapshot.restore()
        after = [*net.parameters(), *net.buffers(), net[0].weight.grad]
        assert all(torch.equal(*pair) for pair in zip(after, before, strict=True))
        assert all(map(is_, net.parameters(), parameters))
        assert torch.equal(torch.cuda.get_rng_state(), state)


@pytest.mark.parametrize("start", [0, 1, 2, 4])
@pytest.mark.parametrize("length", [9000, 9001, 9002, 9004])
def test_memory_of_any_length_is_put_back(start: int, length: int) -> None:
    """The length may prevent a comparison as wide integers. The memory around the tensor does not change."""
    whole = torch.arange(10_000).to(torch.uint8)
    snapshot, before = Snapshot(whole[start : start + length]), whole.clone()
    whole += 1
    snapshot.restore()
    expected = before + 1
    expected[start : start + length] = before[start : start + length]
    assert torch.equal(whole, expected)
    assert whole.untyped_storage().nbytes() == 10_000
