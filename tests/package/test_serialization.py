"""Files: what comes back, what is refused, and that a failure leaves the file and the net as they were."""

import argparse
import collections
import copy
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from d2lblocks import MLP, load, load_parameters, save, save_parameters, serialization, shared_names

Make = Callable[[], nn.Module]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool, torch.complex64]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder, in which no temporary file stays."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert list(tmp_path.rglob(".d2lblocks-*")) == []


def same(a: Any, b: Any) -> bool:
    """Equal to the bit, in types too."""
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


# Nested values.


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Of all shapes, 0-dimensional, empty and transposed ones among them; some are parts of larger ones."""
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


OTHERS = [
    None,
    True,
    2**2038,
    torch.float32,
    torch.Size([2]),
    torch.device("cpu"),
    collections.Counter("aab"),
]
PLAIN = st.floats() | st.complex_numbers() | st.text() | st.sets(st.integers(-9, 9)) | st.sampled_from(OTHERS)
KEYS = st.text() | st.integers(-(2**99), 2**99) | st.tuples(st.booleans())
NESTED = st.recursive(
    PLAIN | tensors(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(KEYS, inner, dict_class=collections.OrderedDict)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(nested=NESTED)
def test_values_come_back(nested: Any) -> None:
    """Whatever is nested in what; torch itself reads the file as well."""
    save(nested, "x.pt")
    assert same(load("x.pt"), nested)
    assert same(torch.load("x.pt", weights_only=True), nested)


def test_tensors_share_what_they_shared() -> None:
    """Memory, objects, also lists that hold themselves; the caller's are left alone."""
    x = torch.zeros(4)
    both: list[Any] = [x, x, x[1:3], x.view(2, 2)]
    both.append(both)
    save(both, "x.pt")
    a, b, part, view, again = loaded = load("x.pt")
    a.fill_(1)
    assert a is b
    assert again is loaded
    assert (part.tolist(), view.tolist()) == ([1, 1], [[1, 1], [1, 1]])
    assert both[0] is x
    assert both[4] is both


@pytest.mark.parametrize("wrap", [Tensor.detach, nn.Parameter])
def test_a_part_is_stored_without_the_rest(wrap: Callable[[Tensor], Tensor]) -> None:
    """The whole takes 4 MB."""
    part = wrap(torch.rand(1000, 1000)[3, :7])
    save([part], "x.pt")
    assert os.path.getsize("x.pt") < 5000
    assert same(load("x.pt"), [part])


def test_parts_of_several_tensors_are_stored_without_the_rest() -> None:
    """Each whole takes 4 MB. One of which two parts are saved is written, once, for they may share values."""
    parts = [torch.rand(1000, 1000)[3, :7], torch.rand(1000, 1000)[:, 5]]
    save(parts, "x.pt")
    assert os.path.getsize("x.pt") < 10_000
    assert same(load("x.pt"), parts)
    whole = torch.rand(1000, 1000)
    save([whole[1], whole[:2], *parts], "x.pt")
    assert 4_000_000 < os.path.getsize("x.pt") < 4_020_000
    row, rows, *_ = load("x.pt")
    row.fill_(2)
    assert rows[1].tolist() == row.tolist()


def test_graphs_are_not_saved() -> None:
    """The values of what was computed are, and a leaf trains on. A state dict keeps its versions."""
    w = torch.ones(2, requires_grad=True)
    state = nn.Linear(2, 1).state_dict()
    save([w, w * 2, w[:1], state], "x.pt")
    *loaded, again = load("x.pt")
    assert [t.requires_grad for t in loaded] == [True, False, False]
    with torch.no_grad():
        loaded[0].fill_(5)
    assert [t.tolist() for t in loaded] == [[5, 5], [2, 2], [5]]
    assert again._metadata == state._metadata


def test_tensors_go_to_the_device() -> None:
    """The CPU, if none is given."""
    save(torch.ones(2), "x.pt")
    assert (load("x.pt").device.type, load("x.pt", device="meta").device.type) == ("cpu", "meta")
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        load("x.pt", device="gpu")


def tagged(tag: Any) -> Tensor:
    x = torch.ones(2)
    x.tag = tag  # type: ignore[attr-defined]
    return x


END = "expected tensors, numbers, strings, None, and lists, tuples and dicts of them"
Point = collections.namedtuple("Point", "x y")
REFUSED: list[tuple[Any, str]] = [
    ({"metrics": [np.float32(1)]}, rf"numpy.float32 at \['metrics'\]\[0\]: {END}$"),
    ([{"a": (1, np.ones(2))}], rf"numpy.ndarray at \[0\]\['a'\]\[1\]: {END}$"),
    ({pathlib.PurePosixPath("a"): 1}, rf"pathlib\S*.PurePosixPath at \[PurePosixPath\('a'\)\]: {END}$"),
    (argparse.Namespace(lr=0.1), rf"argparse.Namespace: {END}$"),
    ([nn.Linear(2, 1)], rf"torch.nn.modules.linear.Linear at \[0\]: {END}; save_parameters saves a net$"),
    ((1, lambda: 1), rf"function at \[1\]: {END}$"),
    (collections.defaultdict(list), rf"collections.defaultdict: {END}$"),
    (functools.partial(len), rf"functools.partial: {END}$"),
    (Point(1, 2), rf"\S*test_serialization.Point: {END}$"),
    (nn.LazyLinear(3).state_dict(), rf"torch.nn.parameter.UninitializedParameter at \['weight'\]: {END}$"),
    ({1, frozenset()}, rf"frozenset: {END}$"),
    ([b""], rf"bytes at \[0\]: {END}$"),
    ([2**2040], rf"int at \[0\]: {END}$"),
    ([tagged(range(3))], rf"range at \[0\].tag: {END}$"),
]


@pytest.mark.parametrize(("nested", "message"), REFUSED)
def test_what_could_not_be_loaded_is_not_saved(nested: Any, message: str) -> None:
    """The error says what it is and where; torch would save most of it, and then refuse to load it."""
    save(1, "x.pt")
    with pytest.raises(TypeError, match=f"^cannot save {message}"):
        save(nested, "x.pt")
    assert load("x.pt") == 1


class Payload:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("new", [True, False])
def test_no_code_of_a_file_is_run(new: bool) -> None:
    """What it would have called is in the error."""
    torch.save({"x": [torch.ones(2), Payload()]}, "x.pt", _use_new_zipfile_serialization=new)
    with pytest.raises(
        RuntimeError, match=r"^cannot load x.pt: it holds (posix|nt).mkdir, and only tensors,"
    ):
        load("x.pt")
    assert not os.path.exists("harm")
    code = Path(serialization.__file__).read_text("utf-8")
    assert re.search(r"^\s*(import|from) \w*(pickle|dill|shelve|marshal)", code, re.M) is None


@pytest.mark.parametrize("read", [load, partial(load_parameters, nn.Linear(2, 1))])
def test_a_file_that_cannot_be_read_is_named(read: Callable[..., Any]) -> None:
    """Empty, of another kind, cut off anywhere, missing."""
    save_parameters(nn.Linear(2, 1), "x.st")
    save(torch.ones(3), "x.pt")
    whole, other = [Path(name).read_bytes() for name in ("x.pt", "x.st")][:: 1 if read is load else -1]
    for content in (b"", b"hello, world", other, whole[:7], whole[: len(whole) // 2], whole[:-1]):
        Path("bad").write_bytes(content)
        with pytest.raises(RuntimeError, match=r"^cannot load bad: it is .*damaged"):
            read("bad")
    for path, kind in (("none", FileNotFoundError), (".", IsADirectoryError)):
        with pytest.raises(kind) as caught:
            read(path)
        assert caught.value.filename == path


# Parameters.


class Kinds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scalar = nn.Parameter(torch.rand(()))
        self.empty = nn.Parameter(torch.ones(0, 3))
        self.brain = nn.Parameter(torch.rand(3, dtype=torch.bfloat16), requires_grad=False)
        self.across = nn.Parameter(torch.rand(2, 3).t())
        self.register_buffer("complex", torch.rand(2, dtype=torch.complex64))
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        whole = torch.rand(6)
        self.left, self.right = nn.Parameter(whole[:4]), nn.Parameter(whole[2:])


def tied(tie: bool = True) -> nn.Module:
    net = nn.ModuleDict({"embed": nn.Embedding(5, 4), "scores": nn.Linear(4, 5)})
    if tie:
        net["scores"].weight = net["embed"].weight
    return net


def in_one_memory() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight.data = net[0].weight.data
    return net


def transposed() -> nn.Module:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    net[1].weight = nn.Parameter(net[0].weight.detach().t())
    return net


def shared(lazy: bool) -> nn.Module:
    layer = nn.LazyLinear(4) if lazy else nn.Linear(4, 4)
    return nn.Sequential(layer, nn.LazyBatchNorm1d() if lazy else nn.BatchNorm1d(4), layer)


def buffers(*values: Tensor) -> nn.Module:
    net = nn.Module()
    for index, value in enumerate(values):
        net.register_buffer(f"x{index}", value)
    return net


LAYERS: list[tuple[Make, Make]] = [
    *((make, make) for make in (lambda: nn.Linear(4, 4).requires_grad_(False), tied, Kinds, in_one_memory)),
    (lambda: nn.Linear(4, 4), lambda: nn.LazyLinear(4)),
    (lambda: nn.BatchNorm1d(4), nn.LazyBatchNorm1d),
    (partial(shared, False), partial(shared, True)),
]


def state(net: nn.Module) -> list[Any]:
    """A copy of all that a failed load has to leave as it was."""
    named = net.state_dict(keep_vars=True)
    return [
        [(type(module), module.training) for module in net.modules()],
        [(name, id(t), type(t), t.dtype, t.requires_grad) for name, t in named.items()],
        [(t.detach().clone(), t._version) for t in named.values() if not is_lazy(t)],
        copy.deepcopy([t.grad for t in named.values()]),
    ]


@settings(deadline=None, max_examples=80)
@given(layers=st.lists(st.sampled_from(LAYERS), max_size=4), data=st.data())
def test_a_net_comes_back(layers: list[tuple[Make, Make]], data: st.DataObject) -> None:
    """In the same objects, shared as before; a load that fails changes nothing at all."""
    order = data.draw(st.lists(st.integers(0, len(layers) - 1), max_size=6)) if layers else []
    made = [[sized(), lazy()] for sized, lazy in layers]
    net, fresh = (nn.Sequential(*(made[index][kind] for index in order)) for kind in (0, 1))
    save_parameters(net, "x.st")
    before, groups, named = state(fresh), shared_names(fresh), fresh.state_dict(keep_vars=True)
    more = nn.Sequential(*fresh, nn.Linear(2, 1))
    with pytest.raises(
        RuntimeError, match=rf'Missing key\(s\): "{len(order)}.weight", "{len(order)}.bias"\.$'
    ):
        load_parameters(more, "x.st")
    assert same(state(fresh), before)
    assert load_parameters(fresh, "x.st") is fresh
    assert all(named[name] is tensor for name, tensor in fresh.state_dict(keep_vars=True).items())
    assert shared_names(fresh) == groups == shared_names(net)
    for a, b in zip(
        fresh.state_dict(keep_vars=True).values(), net.state_dict(keep_vars=True).values(), strict=True
    ):
        assert same(a, b)


@settings(deadline=None, max_examples=60)
@given(values=st.lists(tensors(), max_size=4))
def test_tensors_of_all_kinds_come_back(values: list[Tensor]) -> None:
    """As buffers; any reader of safetensors reads the same."""
    plain = [value.detach() for value in values]
    save_parameters(buffers(*plain), "x.st")
    net = load_parameters(buffers(*(torch.zeros(v.shape, dtype=v.dtype) for v in plain)), "x.st")
    read = safetensors.torch.load_file("x.st")
    assert same(list(net.buffers()), plain)
    assert same([read[f"x{index}"] for index in range(len(plain))], plain)


def test_views_that_torch_computes_when_they_are_used_are_written_as_values() -> None:
    """The conjugate and the negative of a tensor have its memory, and a bit that says what is to be done."""
    values = torch.tensor([1 + 2j, 3 - 4j])
    views = [values.conj(), values.conj().imag]
    assert views[0].is_conj()
    assert views[1].is_neg()
    save_parameters(buffers(*views), "x.st")
    read = safetensors.torch.load_file("x.st")
    assert [read["x0"].tolist(), read["x1"].tolist()] == [[1 - 2j, 3 + 4j], [-2, 4]]


def test_every_tensor_begins_at_a_multiple_of_its_width() -> None:
    """So that programs can map it, whatever comes before."""
    kinds = [torch.uint8, torch.float64, torch.bool, torch.bfloat16, torch.int32]
    save_parameters(buffers(*(torch.ones(3).to(kind) for kind in kinds)), "x.st")
    content = Path("x.st").read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    starts = [end + header[f"x{number}"]["data_offsets"][0] for number in range(len(kinds))]
    assert [start % kind.itemsize for start, kind in zip(starts, kinds, strict=True)] == [0] * len(kinds)


def test_a_shared_tensor_is_written_once() -> None:
    """The library's own functions understand the file, and theirs is understood."""
    net, other, third = tied(), tied(), tied()
    save_parameters(net, "x.st")
    with safetensors.safe_open("x.st", "pt") as file:
        assert sorted(file.keys()) == ["embed.weight", "scores.bias"]
        metadata = file.metadata()
        assert {key: metadata[key] for key in metadata if "d2lblocks" not in key} == {
            "format": "pt",
            "scores.weight": "embed.weight",
        }
    assert safetensors.torch.load_model(other, "x.st") == (set(), [])
    safetensors.torch.save_model(net, "y.st")
    load_parameters(third, "y.st", verify=False)
    assert third["scores"].weight is third["embed"].weight
    assert same([n["scores"].weight for n in (other, third)], [net["embed"].weight] * 2)


def test_optimizers_and_autograd_go_on() -> None:
    """The one trains the loaded values, the other notices that they changed."""
    net = nn.Linear(2, 1)
    save_parameters(net, "x.st")
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    Y = net(torch.ones(2)) ** 2 * net.weight
    load_parameters(net, "x.st")
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        Y.sum().backward()
    net.zero_grad()
    net(torch.ones(2)).sum().backward()
    optimizer.step()
    assert same(net.weight.detach(), safetensors.torch.load_file("x.st")["weight"] - 1)


@pytest.mark.parametrize("inside", [True, False])
def test_lazy_parameters_can_be_used(inside: bool) -> None:
    """Inference mode has no part in it. Nothing points into the file, which may be written over."""
    sized = shared(lazy=False)
    save_parameters(sized, "x.st")
    with torch.inference_mode(not inside):
        net = shared(lazy=inside)  # lazy ones that are made in it, torch cannot use
    with torch.inference_mode(inside):
        load_parameters(net, "x.st")
    with open("x.st", "r+b") as file:
        file.write(b"\xff" * os.path.getsize("x.st"))
    with torch.inference_mode(not inside):
        Y = net.eval()(torch.ones(2, 4))
    torch.testing.assert_close(Y, sized.eval()(torch.ones(2, 4)))
    assert not inside or Y.sum().backward() is None


def wrong(name: str, *lines: str) -> str:
    return (
        "^" + re.escape("\n\t".join([f"Error(s) in loading parameters for {name} from x.st:", *lines])) + "$"
    )


def size(name: str, there: str, here: str) -> str:
    shapes = f"torch.Size([{there}]) from checkpoint, the shape in current model is torch.Size([{here}])."
    return f"size mismatch for {name}: copying a param with shape {shapes}"


NAMES = [
    'Missing key(s): "hidden.weight", "hidden.bias".',
    'Unexpected key(s): "hiden.bias" (the nearest is "hidden.bias"), "hiden.weight" (the nearest is "hidden.weight"), "zzz.0".',
]
TYPES = "torch.float32 in checkpoint, torch.int64 in current model."
compiled = partial(torch.compile, backend="eager")
MISFITS: list[tuple[Make, Make, str]] = [
    (lambda: MLP(20, 5), lambda: MLP(20, 6), wrong("MLP", size("hidden.weight", "5, 20", "6, 20"), size("hidden.bias", "5", "6"), size("out.weight", "10, 5", "10, 6"))),
    (lambda: nn.ModuleDict({"hiden": nn.Linear(2, 1), "zzz": nn.ParameterList([torch.ones(1)])}), lambda: nn.ModuleDict({"hidden": nn.Linear(2, 3)}), wrong("ModuleDict", *NAMES)),
    (lambda: nn.DataParallel(MLP(2)), lambda: MLP(2), r'\n\tThe checkpoint is wrapped: without "module." its keys fit. Save net.module.$'),
    (lambda: compiled(MLP(2)), lambda: MLP(2), r'\n\tThe checkpoint is wrapped: without "_orig_mod." its keys fit. Save net._orig_mod.$'),
    (lambda: MLP(2), lambda: compiled(MLP(2)), r'\n\tThe current model is wrapped: without "_orig_mod." its keys fit. Load into net._orig_mod.$'),
    (lambda: buffers(torch.ones(1).double()), lambda: buffers(torch.ones(1)), wrong("Module", "dtype mismatch for x0: torch.float64 in checkpoint, torch.float32 in current model: cast=True casts.")),
    (lambda: buffers(torch.ones(1)), lambda: buffers(torch.tensor([1])), wrong("Module", f"dtype mismatch for x0: {TYPES}")),
    (partial(tied, False), tied, wrong("ModuleDict", "tie mismatch for scores.weight: on its own in checkpoint, the same tensor as embed.weight in current model.")),
    (tied, partial(tied, False), wrong("ModuleDict", "tie mismatch for scores.weight: the same tensor as embed.weight in checkpoint, on its own in current model.")),
    (lambda: buffers(torch.ones(3)), lambda: buffers(torch.ones(1).expand(3)), wrong("Module", "cannot write to x0: it is an expanded or conjugate view. Give the net a clone of it.")),
    (lambda: nn.Sequential(nn.Linear(4, 3), nn.PReLU(2)), lambda: nn.Sequential(nn.LazyLinear(3), nn.PReLU(1)), wrong("Sequential", size("1.weight", "2", "1"))),
]  # fmt: skip


@pytest.mark.parametrize(("make", "other", "message"), MISFITS)
def test_a_file_that_does_not_fit_changes_nothing(make: Make, other: Make, message: str) -> None:
    """One error says all that is wrong."""
    save_parameters(make(), "x.st")
    net = other().eval()
    for parameter in net.parameters():
        if not is_lazy(parameter):
            parameter.grad = torch.ones_like(parameter)
    before = state(net)
    with pytest.raises(RuntimeError, match=message):
        load_parameters(net, "x.st")
    assert same(state(net), before)


def test_of_many_names_a_thousand_are_listed() -> None:
    """And it is said how many more there are."""
    save_parameters(
        nn.ParameterDict({f"x{number}": nn.Parameter(torch.ones(1)) for number in range(1200)}), "x.st"
    )
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\): "x0", .*, and 200 more\.$') as caught:
        load_parameters(nn.Module(), "x.st")
    assert str(caught.value).count('"x') == 1000


@pytest.mark.parametrize(("there", "here"), [(1.0, 1), (1j, 1.0), (1, True)])
def test_a_cast_drops_nothing_but_digits(there: complex, here: complex) -> None:
    """No fraction and no imaginary part; the other way round it casts."""
    there, here = torch.tensor(there), torch.tensor(here)
    save_parameters(buffers(there), "x.st")
    with pytest.raises(RuntimeError, match="dtype mismatch for x0"):
        load_parameters(buffers(here), "x.st", cast=True)
    save_parameters(buffers(here), "x.st")
    assert same(load_parameters(buffers(there * 0), "x.st", cast=True).x0, here.to(there.dtype))


def test_a_load_that_is_stopped_leaves_lazy_parameters_lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when memory runs out, or the user interrupts."""
    net = shared(lazy=True)
    save_parameters(shared(lazy=False), "x.st")
    before = state(net)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "_foreach_copy_", partial(fail, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            load_parameters(net, "x.st")
    assert same(state(net), before)
    load_parameters(net, "x.st")


class Extra(nn.Linear):
    def get_extra_state(self) -> int:
        return 3


UNFIT: list[tuple[Make, type[Exception], str, str]] = [
    (partial(shared, True), ValueError, "cannot save '0.weight', .*'2.bias': not initialised yet, the shapes come with", ""),
    (lambda: nn.Linear(2, 1, device="meta"), ValueError, "cannot save 'weight': it is on the meta device", "cannot load 'weight': .*to_empty"),
    (lambda: nn.LazyLinear(1, device="meta"), ValueError, "cannot save 'weight', 'bias': not init", "cannot load 'weight': .*to_empty"),
    (lambda: buffers(torch.ones(2, dtype=torch.complex128)), TypeError, "cannot save 'x0': safetensors has no torch.complex128$", ""),
    (lambda: buffers(torch.eye(2).to_sparse()), TypeError, "'x0' is a tensor of a kind that .*: Tensor of torch.sparse_coo", "'x0' is"),
    (lambda: Extra(2, 1), TypeError, "'_extra_state' is no parameter and no buffer", "'_extra_state' is"),
    (transposed, TypeError, "'1.weight' is another view of the memory of '0.weight', such as its transpose", "'1.weight' is"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "saving", "loading"), UNFIT)
def test_nets_that_no_file_can_hold(make: Make, kind: type[Exception], saving: str, loading: str) -> None:
    """The tensor is named; the file is not touched."""
    save_parameters(nn.Linear(2, 1), "x.st")
    content, net = Path("x.st").read_bytes(), make()
    with pytest.raises(kind, match=f"^{saving}"):
        save_parameters(net, "x.st")
    if loading:
        with pytest.raises(kind, match=f"^{loading}"):
            load_parameters(net, "x.st")
    assert Path("x.st").read_bytes() == content


# The file itself.

both = pytest.mark.parametrize("write", ["write_torch", "write_safetensors"])


def write_torch(number: int, path: str | Path) -> None:
    save(torch.full((1000,), number), path)


def write_safetensors(number: int, path: str | Path) -> None:
    save_parameters(buffers(torch.full((1000,), number)), path)


def value(path: str | Path) -> int:
    """What one of the two has written, if it is whole. It reads once, so it may be replaced at any time."""
    with open(path, "rb") as file:
        content = file.read()
    Path("copy").write_bytes(content)
    x = load("copy") if content.startswith(b"PK") else safetensors.torch.load(content)["x0"]
    assert x.tolist() == [x[0].item()] * 1000
    return x[0].item()


def fail(error: BaseException, *args: Any) -> None:
    raise error


def child(code: str) -> subprocess.Popen[str]:
    """Another Python that runs some code with what this file has."""
    if os.name == "nt":
        pytest.skip("it sets limits and kills, as Windows does not")
    paths = [str(Path(__file__).parents[2]), str(Path(serialization.__file__).parents[2])]
    start = f"import os, resource, sys, time; sys.path[:0] = {paths}; from tests.package.test_serialization import *\n"
    return subprocess.Popen([sys.executable, "-c", start + code], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of this kind")
@both
def test_modes_and_links_stay(write: str) -> None:
    """A new file is as open as the umask says; a link leads to the new content; a device is written to."""
    mask = os.umask(0o027)
    try:
        for number, mode in ((1, 0o640), (2, 0o604)):
            if number == 2:
                os.chmod("x", mode)
            globals()[write](number, "x")
            assert os.stat("x").st_mode & 0o777 == mode
    finally:
        os.umask(mask)
    os.mkdir("far")
    os.symlink("far/y", "link")
    for number in (1, 2):
        globals()[write](number, Path("link"))
        assert (os.readlink("link"), value("far/y")) == ("far/y", number)
    globals()[write](1, os.devnull)
    assert not os.path.isfile(os.devnull)


@both
@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_save_that_fails_leaves_the_old_file(write: str, name: str, error: Any, monkeypatch: Any) -> None:
    """And no other; an error of the system names the path."""
    globals()[write](1, "x")
    with monkeypatch.context() as patch:
        patch.setattr(os, name, partial(fail, error))
        with pytest.raises(type(error)) as caught:
            globals()[write](2, "x")
    assert getattr(caught.value, "filename", "x") == "x"
    assert value("x") == 1


def test_a_write_that_fails_midway_leaves_the_old_file() -> None:
    """A file that may not grow stands for a full disk; the system's error comes through."""
    write_torch(1, "x")
    write_safetensors(1, "y")
    writer = child("""if True:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        for write, path in ((write_torch, "x"), (write_safetensors, "y")):
            try:
                write(2, path)
            except OSError as error:
                print(error.errno, error.filename)
    """)
    assert writer.communicate()[0].split() == ["27", "x", "27", "y"]
    assert [value(path) for path in ("x", "y")] == [1, 1]


def test_a_killed_writer_leaves_the_old_file(folder: Path) -> None:
    """It is killed when two new files are half written; its temporary files stay, each until the next save."""
    write_torch(1, "x")
    write_safetensors(1, "y")
    half_written = """if True:
        os.fsync = lambda file: (os.ftruncate(file, 500), os.write(1, b"half\\n"), time.sleep(60))
        threading.Thread(target=write_torch, args=(2, "x")).start()
        write_safetensors(2, "y")
    """
    with child(half_written) as writer:
        assert writer.stdout is not None
        assert [writer.stdout.readline() for _ in range(2)] == ["half\n"] * 2
        writer.kill()
    assert len(list(folder.glob(".d2lblocks-*"))) == 2
    assert [value(path) for path in ("x", "y")] == [1, 1]
    for write, path in ((write_torch, "x"), (write_safetensors, "y")):
        write(3, path)
        assert value(path) == 3
    assert list(folder.glob(".d2lblocks-*")) == []


@both
@pytest.mark.parametrize(("path", "code"), [("none/x", 2), (".", 21), ("x/y", 20)])
def test_a_path_that_will_not_do_is_named(write: str, path: str, code: int) -> None:
    """By the system's own error."""
    globals()[write](1, "x")
    with pytest.raises(OSError, match=re.escape(path)) as caught:
        globals()[write](2, path)
    assert (caught.value.errno, caught.value.filename) == (code, path)


@both
def test_a_reader_finds_the_old_or_the_new(write: str) -> None:
    """However often the file is replaced while it reads."""
    globals()[write](0, "x")
    done, seen = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            seen.append(value("x"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 60):
        globals()[write](number, "x")
    done.set()
    reader.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
    assert value("x") == 59


def test_numpy_is_not_needed(folder: Path) -> None:
    """The package depends on torch and safetensors, and on nothing that they may do without."""
    script = """if True:
        import sys, warnings
        sys.modules["numpy"] = None
        warnings.simplefilter("ignore")  # torch says that it is missing
        from d2lblocks import MLP, load, load_parameters, save, save_parameters
        save_parameters(MLP(3), "net.safetensors")
        load_parameters(MLP(3), "net.safetensors")
        save([1.5], "x.pt")
        print(load("x.pt"))
    """
    run = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("[1.5]\n", "")
