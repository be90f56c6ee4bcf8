"""Any net: saved values come back bit for bit, and a net that differs in anything is refused."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from d2lblocks import load_parameters, save_parameters, shared_names
from d2lblocks.serialization import load_checkpoint, save_checkpoint
from tests.package.saved_states import same, state

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64, torch.int64, torch.uint8, torch.bool, torch.float8_e4m3fn]  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One parameter or buffer of a net."""

    path: tuple[str, ...]  # the modules that contain it
    name: str
    kind: str  # "parameter", "buffer", or "scratch" for a buffer that is not saved
    dtype: torch.dtype
    shape: tuple[int, ...]
    tied: int | None = None  # the number of an earlier, untied entry that it is tied to


@st.composite
def nets(draw: st.DrawFn) -> list[Entry]:
    """Descriptions of nets: empty and nested ones, with shared tensors, of all types and sizes."""
    entries: list[Entry] = []
    for number in range(draw(st.integers(0, 6))):
        path = tuple(draw(st.lists(st.sampled_from(["a", "b", "0", "é"]), max_size=3)))
        kind = draw(st.sampled_from(["parameter", "parameter", "buffer", "scratch"]))
        dtype = draw(st.sampled_from(DTYPES))
        shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
        tied = draw(st.sampled_from([None, *(n for n, entry in enumerate(entries) if entry.tied is None)]))
        entries.append(
            Entry(path, f"x{number}", kind if tied is None else entries[tied].kind, dtype, shape, tied)
        )
    return entries


def is_saved(entry: Entry) -> bool:
    return entry.kind != "scratch"


def built(entries: list[Entry], draw: Any = None) -> nn.Module:
    """A net with new values. If `draw` is given, its memory layout is random, and some of it is lazy."""
    net, made = nn.Module(), []
    for entry in entries:
        module = net
        for name in entry.path:
            if name not in dict(module.named_children()):
                module.add_module(name, nn.Module())
            module = module.get_submodule(name)
        module.training = bool(len(made) % 2)
        made.append(tensor(entry, draw) if entry.tied is None else made[entry.tied])
        if entry.kind == "parameter":
            module.register_parameter(entry.name, made[-1])
        else:
            module.register_buffer(entry.name, made[-1], persistent=is_saved(entry))
    for parameter in net.parameters():
        if not is_lazy(parameter) and parameter.requires_grad:
            parameter.grad = torch.ones_like(parameter)
    return net


def tensor(entry: Entry, draw: Any) -> Tensor:
    """A tensor of random bits."""
    trains = entry.kind == "parameter" and (entry.dtype.is_floating_point or entry.dtype.is_complex)
    if draw and is_saved(entry) and draw(st.booleans()):
        if entry.kind == "buffer":
            return nn.UninitializedBuffer(dtype=entry.dtype)
        return nn.UninitializedParameter(trains, dtype=entry.dtype)
    layout = (
        draw(st.sampled_from(["in order", "transposed", "every other", "inside"])) if draw else "transposed"
    )
    shape = {"transposed": entry.shape[::-1], "every other": (*entry.shape, 2), "inside": (3, *entry.shape)}
    high = 2 if entry.dtype == torch.bool else 256
    bits = torch.randint(0, high, (*shape.get(layout, entry.shape), entry.dtype.itemsize), dtype=torch.uint8)
    values = bits.view(entry.dtype).squeeze(-1)
    if layout == "transposed":
        values = values.permute(tuple(reversed(range(values.ndim))))
    elif layout != "in order":
        values = values[..., 0] if layout == "every other" else values[1]
    return nn.Parameter(values, trains) if entry.kind == "parameter" else values


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Entry], list[Entry]]:
    """Nets that differ in one name, shape or type, in one tensor, or in their sharing."""
    entries = draw(nets().filter(lambda entries: any(map(is_saved, entries))))
    place = draw(st.sampled_from([number for number, entry in enumerate(entries) if is_saved(entry)]))
    root = place if entries[place].tied is None else entries[place].tied
    other = draw(st.sampled_from([dtype for dtype in DTYPES if dtype != entries[root].dtype]))

    def changed(place: int, **how: Any) -> list[Entry]:
        return [replace(entry, **how) if number == place else entry for number, entry in enumerate(entries)]

    tied, alone = ([*entries, replace(entries[root], name="more", tied=to)] for to in (root, None))
    differing = [
        changed(place, name="other"),
        changed(root, shape=(*entries[root].shape, 2)),
        changed(root, dtype=other),
        tied,
        alone,
    ]
    couples = [(entries, others) for others in differing] + [(tied, alone)]
    couple = draw(st.sampled_from(couples))
    return couple if draw(st.booleans()) else couple[::-1]


def load_either(net: nn.Module, folder: Path, checkpoint: bool) -> None:
    if checkpoint:
        assert load_checkpoint(folder, net=net) == 1
    else:
        assert load_parameters(net, folder / "x") is net


@settings(deadline=None, max_examples=150)
@given(entries=nets(), checkpoint=st.booleans(), data=st.data())
def test_any_net_comes_back(entries: list[Entry], checkpoint: bool, data: Any, tmp_path_factory: Any) -> None:
    """The values come back bit for bit, in a net with other layouts, possibly lazy, and the same sharing."""
    folder = tmp_path_factory.mktemp("net")
    net, twin = built(entries), built(entries, data.draw)
    save_parameters(net, folder / "x")
    save_checkpoint(folder, 1, net=net)
    there, here = (model.state_dict(keep_vars=True) for model in (net, twin))
    scratch = {name: buffer.clone() for name, buffer in twin.named_buffers() if name not in here}
    load_either(twin, folder, checkpoint)
    assert list(there) == list(here)
    assert all(same(there[name], here[name]) for name in there)
    assert shared_names(twin) == shared_names(net)
    assert [module.training for module in twin.modules()] == [module.training for module in net.modules()]
    assert all(same(twin.get_buffer(name), values) for name, values in scratch.items())


def sliced(shared: bool, values: list[list[float]]) -> nn.Module:
    """A net of three slices of one memory, of which the first two overlap, or of three separate tensors."""
    net, whole = nn.Module(), torch.zeros(4, 3).T
    slices = (
        [whole[:, :3], whole[:, 2:], whole[:0]]
        if shared
        else [torch.empty(3, 3), torch.empty(3, 2), whole[:0]]
    )
    for number, (part, columns) in enumerate(zip(slices, values, strict=True)):
        part.copy_(torch.tensor(columns))
        net.register_buffer(f"x{number}", part)
    return net


@pytest.mark.parametrize("fits", [True, False])
def test_tensors_that_overlap_get_values_that_agree(fits: bool, tmp_path: Path) -> None:
    """If the values in the overlap differ, the file does not fit. A nan agrees with itself."""
    values = [[1.0, 2.0, math.nan], [math.nan if fits else 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]]
    save_parameters(sliced(False, values), tmp_path / "x")
    net = sliced(True, [[5.0], [6.0], [7.0]])
    before = state(net)
    if fits:
        load_parameters(net, tmp_path / "x")
        assert net.x0[1].tolist()[:2] + net.x1[1].tolist()[1:] == [1, 2, 4]
    else:
        with pytest.raises(
            RuntimeError, match="tie mismatch for x0: of its own in checkpoint, in part the same"
        ):
            load_parameters(net, tmp_path / "x")
        assert same(state(net), before)


NEIGHBORS: list[tuple[Any, bool]] = [  # parts of 25 numbers, and whether two parts share a number
    (lambda x: [x[:1], x[:2]], True),
    (lambda x: [x[:20].view(5, 4), x[19:]], True),
    (lambda x: [x[:20].view(4, 5).T, x[19:21]], True),
    (lambda x: [x[0:9:4], x[8:]], True),
    (lambda x: [x[:20].view(5, 4), x[20:], x[20:20]], False),
    (lambda x: [x[3:5], x[:3]], False),
    (lambda x: [x[::2], x[1::2]], False),
]


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(("parts", "overlap"), NEIGHBORS)
def test_one_number_in_common_is_enough(parts: Any, overlap: bool, device: str, tmp_path: Path) -> None:
    """Tensors that need different values for it do not fit; neighbors do. Any default device works."""

    def buffers(parts: list[Tensor]) -> nn.Module:
        net = nn.Module()
        for number, part in enumerate(parts):
            net.register_buffer(f"x{number}", part)
        return net

    net = buffers(parts(torch.zeros(25)))
    other = buffers([torch.full(part.shape, float(number)) for number, part in enumerate(net.buffers(), 1)])
    save_parameters(other, tmp_path / "x")
    before = state(net)
    with torch.device(device):
        if overlap:
            with pytest.raises(
                RuntimeError, match=r"tie mismatch for x\d: of its own in checkpoint, in part"
            ):
                load_parameters(net, tmp_path / "x")
        else:
            load_parameters(net, tmp_path / "x")
    assert same(state(net) if overlap else [*net.buffers()], before if overlap else [*other.buffers()])


@settings(deadline=None, max_examples=150)
@given(pair=pairs(), checkpoint=st.booleans())
def test_a_net_that_differs_is_refused(pair: Any, checkpoint: bool, tmp_path_factory: Any) -> None:
    """Nothing in it has changed, including gradients and modes."""
    folder, (net, other) = tmp_path_factory.mktemp("net"), map(built, pair)
    save_parameters(net, folder / "x")
    save_checkpoint(folder, 1, net=net)
    before = state(other)
    with pytest.raises(RuntimeError, match=r"^Error\(s\) in loading "):
        load_either(other, folder, checkpoint)
    assert same(state(other), before)
