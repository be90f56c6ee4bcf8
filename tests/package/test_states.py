"""The states of a run: values of all kinds, parts without `state_dict`, nets with more than tensors."""

import collections
import copy
import enum
import random
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from d2lblocks.serialization import load_checkpoint, load_parameters, save_checkpoint, save_parameters
from tests.package.malicious_files import signed
from tests.package.saved_states import Stating, fail, same


class Norm(enum.Enum):
    SPECTRAL = 1
    SIGN = "sign"


class Span(NamedTuple):
    start: int
    values: Tensor


Point = collections.namedtuple("Point", "x y")

VALUES: list[Any] = [
    np.float64(0.1),
    np.float32(0.1),
    np.int64(-3),
    np.uint8(3),
    np.bool_(True),
    np.complex64(1 + 2j),
    np.str_("x"),
    torch.bfloat16,
    torch.device("cuda:1"),
    torch.Size([2, 3]),
    1 + 2j,
    {1, "a", (2, 3)},
    frozenset({1.5}),
    collections.deque([1, 2], maxlen=2),
    collections.deque(),
    collections.defaultdict(list, a=[1]),
    collections.defaultdict(None, a=1),
    Norm.SIGN,
    Point(1, Norm.SPECTRAL),
    [Norm.SPECTRAL, {"a": {np.int64(3): torch.float16}}],
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_what_it_was(value: Any, tmp_path: Path) -> None:
    """Its type, its order and its maximum length are kept."""
    part = Stating()
    save_checkpoint(tmp_path, 1, part=Stating({"x": value}))
    load_checkpoint(tmp_path, part=part)
    assert type(part.state["x"]) is type(value)
    assert repr(part.state["x"]) == repr(value)
    assert part.state["x"] == value


TENSORS: dict[str, Tensor] = {
    "a matrix by columns": torch.rand(3, 2).t(),
    "channels last": torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "channels last, one channel": torch.rand(2, 1, 4, 5).to(memory_format=torch.channels_last),
    "eigenvectors": torch.linalg.eigh(torch.eye(3)).eigenvectors,
    "five dimensions": torch.rand(2, 3, 2, 3, 2).permute(3, 1, 4, 0, 2),
    "complex128": torch.rand(2, 3, dtype=torch.complex128),
    "complex128, conjugate, by columns": torch.rand(2, 3, dtype=torch.complex128).conj().t(),
    "complex64, conjugate": torch.rand(2, 3, dtype=torch.complex64).conj(),
}


@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS)
def test_a_tensor_keeps_its_strides(tensor: Tensor, tmp_path: Path) -> None:
    """Strides determine the order of the values in memory."""
    part = Stating()
    save_checkpoint(tmp_path, 1, part=Stating([tensor]))
    load_checkpoint(tmp_path, part=part)
    assert same(part.state, [tensor.resolve_conj()])
    assert part.state[0].stride() == tensor.stride()


@pytest.mark.parametrize(
    "tensor", [torch.rand(4, 6)[:, ::2], torch.rand(3).expand(2, 3), torch.rand(9, 9)[2:5].t()]
)
def test_gaps_are_not_kept(tensor: Tensor, tmp_path: Path) -> None:
    """Memory that a tensor does not use is not stored; the order of its values is kept."""
    part = Stating()
    save_checkpoint(tmp_path, 1, part=Stating(tensor))
    load_checkpoint(tmp_path, part=part)
    assert same(part.state, tensor)
    assert part.state.untyped_storage().nbytes() == tensor.numel() * tensor.itemsize


ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
    np.array(3),
    np.array([True, False]),
    np.array([1, 2], dtype=np.uint64),
    np.arange(9)[::-2],
]


@pytest.mark.parametrize("array", ARRAYS, ids=repr)
def test_an_array_comes_back(array: Any, tmp_path: Path) -> None:
    """An array comes back with its type, shape and values, and is always writable."""
    part = Stating()
    save_checkpoint(tmp_path, 1, part=Stating({"x": array}))
    load_checkpoint(tmp_path, part=part)
    found = part.state["x"]
    assert (found.dtype, found.shape, found.flags.writeable) == (array.dtype, array.shape, True)
    np.testing.assert_array_equal(found, array)


def test_tensors_that_are_one_stay_one(tmp_path: Path) -> None:
    """A tensor is stored once. Another view of the same memory is a separate tensor."""
    tensor = torch.rand(300, 300)
    part = Stating()
    path = save_checkpoint(
        tmp_path, 1, part=Stating({"a": tensor, "b": [tensor, tensor.view(-1)], "c": tensor.t()})
    )
    assert path.stat().st_size < 4 * tensor.nbytes
    load_checkpoint(tmp_path, part=part)
    loaded = part.state
    assert loaded["a"] is loaded["b"][0]
    assert same(loaded, {"a": tensor, "b": [tensor, tensor.view(-1)], "c": tensor.t()})


def test_a_class_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its module is not imported, because importing would run code."""
    module = types.ModuleType("shapes")
    exec("import enum\nclass Shape(enum.Enum): ROUND = 1", module.__dict__)
    monkeypatch.setitem(sys.modules, "shapes", module)
    save_checkpoint(tmp_path, 1, part=Stating(module.Shape.ROUND))
    part = Stating()
    load_checkpoint(tmp_path, part=part)
    assert part.state is module.Shape.ROUND
    monkeypatch.delitem(sys.modules, "shapes")
    part = Stating()
    with pytest.raises(
        RuntimeError, match=r"has an object of shapes.Shape, which this program has not imported$"
    ):
        load_checkpoint(tmp_path, part=part)
    assert part.state is None
    assert load_checkpoint(tmp_path) == 1  # only loading the part is an error


def local() -> Any:
    class Local(enum.Enum):
        ONE = 1

    return Local.ONE


class Length(float):
    """A subclass that a file does not support."""


UNFIT = [
    b"x",
    range(3),
    object(),
    local(),
    Length(1),
    np.datetime64("2026"),
    np.array(["a"]),
    np.array([None]),
    np.longdouble(1),
]


@pytest.mark.parametrize("value", UNFIT, ids=lambda value: type(value).__name__)
def test_what_would_come_back_as_something_else_is_refused(value: Any, tmp_path: Path) -> None:
    """The error names its place."""
    with pytest.raises(
        TypeError, match=r"^cannot save .* at part.x: expected tensors, numbers, strings, None"
    ):
        save_checkpoint(tmp_path, 1, part=Stating({"x": value}))


PARTS: dict[str, tuple[Any, Any]] = {
    "a dict": ({"epoch": 3, "best": [0.5, torch.ones(2)]}, {"epoch": 0}),
    "a list": ([1, {"a": 2}], [0]),
    "a deque": (collections.deque([1.0, 2.0], 9), collections.deque(maxlen=9)),
    "a set": ({1, 2}, set()),
    "a Counter": (collections.Counter("aab"), collections.Counter()),
}


@pytest.mark.parametrize(("saved", "mine"), PARTS.values(), ids=PARTS)
def test_a_container_is_filled(saved: Any, mine: Any, tmp_path: Path) -> None:
    """A container is filled in place, so everything that refers to it sees the loaded entries."""
    part, before = copy.deepcopy(mine), copy.deepcopy(saved)
    save_checkpoint(tmp_path, 1, part=saved)
    load_checkpoint(tmp_path, part=part)
    assert same([*part], [*saved])
    assert same(saved, before)
    assert same(part, saved)


GENERATORS: dict[str, Callable[[int], Any]] = {
    "torch": lambda seed: torch.Generator().manual_seed(seed),
    "Python": random.Random,
    "NumPy": np.random.default_rng,
    "NumPy, MT19937": lambda seed: np.random.Generator(np.random.MT19937(seed)),
    "NumPy, Philox": lambda seed: np.random.Generator(np.random.Philox(seed)),
    "NumPy, older": np.random.RandomState,
}


def draw(generator: Any) -> list[float]:
    if isinstance(generator, torch.Generator):
        return [*torch.rand(3, generator=generator).tolist(), *torch.randn(3, generator=generator).tolist()]
    if isinstance(generator, random.Random):
        return [generator.random(), generator.gauss(0, 1)]
    return [generator.normal(), *generator.uniform(size=3).tolist(), generator.standard_normal()]


@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
def test_a_generator_goes_on(make: Callable[[int], Any], tmp_path: Path) -> None:
    """An example is the generator of a DataLoader."""
    saved, part = make(0), make(1)
    draw(saved)
    save_checkpoint(tmp_path, 1, part=saved)
    load_checkpoint(tmp_path, part=part)
    assert draw(part) == draw(saved)


@pytest.mark.parametrize("name", ["NumPy, older", "NumPy, MT19937", "NumPy, Philox"])
def test_a_place_beyond_the_numbers_is_refused(name: str, tmp_path: Path) -> None:
    """NumPy does not check the position, and would read outside its memory."""
    saved, part, untouched = (GENERATORS[name](seed) for seed in (0, 1, 1))
    path = save_checkpoint(tmp_path, 1, part=saved)

    def change(ours: dict[str, Any]) -> None:
        state = ours["notes"]["states"]["part"]["dict"]
        inner = dict(map(tuple, state))["state"]["dict"]
        for pair in [*state, *inner]:
            pair[1] = {"pos": 625, "buffer_pos": 5}.get(pair[0], pair[1])  # one past the largest

    signed(path, change)
    with pytest.raises(RuntimeError, match=r"part: ValueError\(.*no position (625|5)"):
        load_checkpoint(tmp_path, part=part)
    assert draw(part) == draw(untouched)


def test_the_order_of_a_loader_goes_on(tmp_path: Path) -> None:
    """A run that was stopped between two epochs sees the same order as one that was not."""

    def run(epochs: int, seed: int = 0) -> tuple[torch.Generator, list[list[int]]]:
        generator = torch.Generator().manual_seed(seed)
        loader = torch.utils.data.DataLoader(range(6), batch_size=6, shuffle=True, generator=generator)
        return generator, [next(iter(loader)).tolist() for _ in range(epochs)]

    generator, first = run(2)
    save_checkpoint(tmp_path, 2, generator=generator)
    whole = run(4)[1]
    resumed = torch.Generator()
    load_checkpoint(tmp_path, generator=resumed)
    loader = torch.utils.data.DataLoader(range(6), batch_size=6, shuffle=True, generator=resumed)
    assert first + [next(iter(loader)).tolist() for _ in range(2)] == whole


@pytest.mark.parametrize("value", [3, 0.5, "x", None, (1, 2), True])
def test_a_value_that_cannot_change_is_refused(value: Any, tmp_path: Path) -> None:
    """The error gives advice, and the advice works."""
    message = rf"cannot save 'epoch': {type(value).__name__} has no state_dict and load_state_dict, and .* put it into a dict"
    with pytest.raises(TypeError, match=message):
        save_checkpoint(tmp_path, 1, epoch=value)
    save_checkpoint(tmp_path, 1, progress={"epoch": value})
    progress: dict[str, Any] = {}
    load_checkpoint(tmp_path, progress=progress)
    assert progress == {"epoch": value}


def test_parts_of_all_kinds_are_put_back(tmp_path: Path) -> None:
    """All parts are restored if one of them cannot be loaded."""

    class Broken(Stating):
        def load_state_dict(self, state: Any) -> None:
            raise ValueError("broken")

    def parts(seed: int) -> dict[str, Any]:
        return {
            "progress": {"epoch": seed, "losses": [seed]},
            "losses": [float(seed)],
            **{f"g{at}": make(seed) for at, make in enumerate(GENERATORS.values())},
            "broken": Broken(seed),
        }

    save_checkpoint(tmp_path, 1, **parts(1))
    mine, same_again = parts(2), parts(2)
    losses = mine["progress"]["losses"]
    with pytest.raises(RuntimeError, match=r"broken: ValueError\('broken'\)"):
        load_checkpoint(tmp_path, **mine)
    for name, part in mine.items():
        if name.startswith("g"):
            assert draw(part) == draw(same_again[name])
    assert mine["progress"] == {"epoch": 2, "losses": [2]}
    assert mine["progress"]["losses"] is losses
    assert mine["losses"] == [2.0]


def test_a_part_of_another_class_is_refused(tmp_path: Path) -> None:
    """A dict is not a list."""
    save_checkpoint(tmp_path, 1, part={"a": 1})
    part = [1]
    with pytest.raises(RuntimeError, match=r"part: dict in checkpoint, list in current program"):
        load_checkpoint(tmp_path, part=part)
    assert part == [1]


class Counting(nn.Linear):
    """A layer with a state that is not a tensor."""

    calls = 0
    broken = False

    def get_extra_state(self) -> Any:
        return {"calls": self.calls, "last": torch.full((2,), self.calls)}

    def set_extra_state(self, state: Any) -> None:
        self.calls = state["calls"]
        if self.broken:
            raise ValueError("broken")


class Metric(nn.Module):
    """Like the metrics of torchmetrics: a plain tensor attribute that is nevertheless in the state."""

    def __init__(self) -> None:
        super().__init__()
        self.total = torch.zeros(2)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}total"] = self.total.clone()

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        self.total = state_dict.pop(f"{prefix}total")
        super()._load_from_state_dict(state_dict, prefix, *args)


def test_a_net_with_more_than_tensors_comes_back(tmp_path: Path) -> None:
    """Its own code loads the extra states, after the tensors."""
    saved, net = (nn.ModuleDict({"a": Counting(2, 2), "b": Metric()}) for _ in range(2))
    saved["a"].calls, saved["b"].total = 7, torch.tensor([1.0, 2.0])
    save_checkpoint(tmp_path, 1, net=saved)
    load_checkpoint(tmp_path, net=net)
    assert same(net["a"].weight, saved["a"].weight)
    assert net["a"].calls == 7
    assert same(net["b"].total, saved["b"].total)


def test_extra_states_are_compared_by_name(tmp_path: Path) -> None:
    """A state that only the file or only the net has is an error."""
    save_checkpoint(tmp_path, 1, net=Counting(2, 2))
    save_checkpoint(tmp_path, 2, net=nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match=r'net: Unexpected key\(s\): "_extra_state"'):
        load_checkpoint(tmp_path, 1, net=nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match=r'net: Missing key\(s\): "_extra_state"'):
        load_checkpoint(tmp_path, 2, net=Counting(2, 2))


def test_an_extra_state_that_fails_changes_nothing(tmp_path: Path) -> None:
    """The tensors, which were loaded before it, are restored too."""
    save_checkpoint(tmp_path, 1, net=Counting(2, 2), other=nn.Linear(2, 2))
    net, other = Counting(2, 2), nn.Linear(2, 2)
    net.calls, net.broken = 3, True
    before = copy.deepcopy((net.weight, other.weight))
    with pytest.raises(RuntimeError, match=r"net: ValueError\('broken'\)"):
        load_checkpoint(tmp_path, net=net, other=other)
    assert same((net.weight, other.weight), before)
    assert net.calls == 3


def test_an_extra_state_that_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    """The error names its place. `save_parameters` supports no extra state at all."""
    net = nn.Sequential(Counting(2, 2))
    net[0].get_extra_state = lambda: {"x": object()}
    with pytest.raises(TypeError, match=r"cannot save object at extra state of net.0._extra_state.x"):
        save_checkpoint(tmp_path, 1, net=net)
    with pytest.raises(
        TypeError, match=r"'0._extra_state' is neither a parameter nor a buffer.*save_checkpoint saves it"
    ):
        save_parameters(net, tmp_path / "x")


class Deriving(nn.Module):
    """A layer that computes something from its weight whenever the weight is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))
        self.derive()
        self.register_load_state_dict_post_hook(lambda module, keys: module.derive())

    def derive(self) -> None:
        self.twice = self.weight.detach() * 2


class Reading(nn.Linear):
    """A layer with its own way of loading."""

    loaded = 0

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.loaded += 1


def test_what_a_net_derives_from_its_values_is_derived_again(tmp_path: Path) -> None:
    """Its hooks and its own methods run, as `load_state_dict` runs them."""
    saved, net, other = (nn.ModuleDict({"a": Deriving(), "b": Reading(1, 1)}) for _ in range(3))
    save_parameters(saved, tmp_path / "x")
    save_checkpoint(tmp_path, 1, net=saved)
    load_parameters(net, tmp_path / "x")
    load_checkpoint(tmp_path, net=other)
    for loaded in (net, other):
        assert same(loaded["a"].twice, saved["a"].twice)
        assert loaded["b"].loaded == 1


def test_a_hook_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Its own error is raised."""
    save_parameters(Deriving(), tmp_path / "x")
    net = Deriving()
    net.register_load_state_dict_post_hook(lambda module, keys: fail(KeyError("mine")))
    before = copy.deepcopy((net.weight, net.twice))
    with pytest.raises(KeyError, match="mine"):
        load_parameters(net, tmp_path / "x")
    assert same((net.weight, net.twice), before)
