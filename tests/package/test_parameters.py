"""The helpers for parameters: the things they list, find and refuse."""

import copy
import re
import warnings
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from html.parser import HTMLParser
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.testing._internal.two_tensor import TwoTensor

from d2lblocks import (
    MLP,
    FixedHiddenMLP,
    NestMLP,
    get_tensor,
    parameter_table,
    set_tensor,
    shared_names,
    uninitialized_names,
)

LAYERS = st.sampled_from(
    [
        lambda: nn.Linear(3, 3),
        lambda: nn.Linear(3, 3, bias=False),
        lambda: nn.BatchNorm1d(3),
        lambda: nn.ReLU(),
        lambda: nn.Sequential(nn.Linear(3, 3, dtype=torch.float64)),
        lambda: nn.LazyLinear(3),
    ]
)


@st.composite
def nets(draw: st.DrawFn) -> nn.Sequential:
    """Layers in any order, some of them used several times, some frozen."""
    layers = [make() for make in draw(st.lists(LAYERS, min_size=1, max_size=4))]
    for layer in layers:
        if not isinstance(layer, nn.LazyLinear):  # a lazy layer refuses this before its first batch
            layer.requires_grad_(draw(st.booleans()))
    return nn.Sequential(*draw(st.lists(st.sampled_from(layers), max_size=6)))


def tied_by_memory() -> nn.Sequential:
    a, b = nn.Linear(3, 3), nn.Linear(3, 3)
    b.weight.data = a.weight.data
    return nn.Sequential(a, b)


def transposed() -> nn.Sequential:
    a, b = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    b.weight = nn.Parameter(a.weight.detach().t())
    return nn.Sequential(a, b)


@settings(deadline=None, max_examples=60)
@given(net=nets())
def test_the_table_lists_what_the_state_dict_holds(net: nn.Module) -> None:
    """Each name is listed once, with its shape, type and gradient flag; shared tensors count once."""
    state = net.state_dict(keep_vars=True)
    table = parameter_table(net)
    assert {row.name for row in table} == set(state)
    assert len(table) == len(state)
    for row in table:
        tensor = state[row.name]
        if row.shape is None:
            assert (row.values, row.bytes) == (0, 0)
            continue
        assert row.shape == tuple(tensor.shape)
        assert (row.dtype, row.device, row.trainable) == (tensor.dtype, tensor.device, tensor.requires_grad)
        assert (row.values, row.bytes) == (tensor.numel(), tensor.numel() * tensor.element_size())
    sized = [t for t in (*net.parameters(), *net.buffers()) if not nn.parameter.is_lazy(t)]
    assert table.values == sum(tensor.numel() for tensor in sized)
    assert table.bytes == sum(tensor.numel() * tensor.element_size() for tensor in sized)
    assert table.trainable_values == sum(tensor.numel() for tensor in sized if tensor.requires_grad)


@settings(deadline=None, max_examples=60)
@given(net=nets())
def test_shared_names_are_one_object(net: nn.Module) -> None:
    """Groups are disjoint, have at least two names, and contain every name of a shared object."""
    state = net.state_dict(keep_vars=True)
    names: dict[int, list[str]] = {}
    for name, tensor in state.items():
        names.setdefault(id(tensor), []).append(name)
    expected = sorted(sorted(group) for group in names.values() if len(group) > 1)
    assert sorted(sorted(group) for group in shared_names(net)) == expected


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_two_parameters_in_one_memory_are_shared(device: str) -> None:
    """Transposed tensors and tensors on meta are shared. Parts that overlap partly or not at all are not."""
    assert shared_names(tied_by_memory()) == [["0.weight", "1.weight"]]
    assert shared_names(transposed()) == [["0.weight", "1.weight"]]
    with torch.device(device):
        net = tied_by_memory()
        flat = torch.zeros(2, 3)
        parts = nn.ParameterList(
            [nn.Parameter(part) for part in (flat[0], flat[1], flat[:, :2], flat[0, 1:])]
        )
    assert shared_names(net) == [["0.weight", "1.weight"]]
    assert shared_names(parts) == []


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_same_values_in_another_shape_are_shared(device: str) -> None:
    """Every second value of a larger tensor is different, despite the same start and number of values."""
    x = torch.zeros(12, device=device)
    views = [x[:6], x[:6].view(2, 3), x[:6].view(3, 1, 2), x[::2], x[::2].view(2, 3)]
    net = nn.ParameterList([nn.Parameter(view) for view in views])
    assert shared_names(net) == [["0", "1", "2"], ["3", "4"]]


def test_sharing_is_seen_inside_a_copy() -> None:
    """A copy shares tensors inside itself, but not with the original."""
    layer = nn.Linear(3, 3, bias=False)
    net = nn.Sequential(layer, layer)
    both = nn.ModuleList([net, copy.deepcopy(net)])
    assert shared_names(both) == [["0.0.weight", "0.1.weight"], ["1.0.weight", "1.1.weight"]]


def test_a_total_asks_every_name_whether_it_trains() -> None:
    """A memory with two Parameters is trainable if either of them is."""
    net = tied_by_memory()
    net[0].requires_grad_(False)
    assert parameter_table(net).trainable_values == 12


def test_kinds_are_told_apart() -> None:
    """Parameters, saved buffers and unsaved buffers have different kinds."""
    net = FixedHiddenMLP()
    net.register_buffer("scratch", torch.zeros(2), persistent=False)
    kinds = {row.name: row.kind for row in parameter_table(net)}
    assert kinds == {
        "rand_weight": "buffer",
        "scratch": "buffer, not saved",
        "linear.weight": "parameter",
        "linear.bias": "parameter",
    }


def test_the_kind_of_a_buffer_is_its_own() -> None:
    """A wrapper may save only the wrapped net, or refuse to save: `state_dict` does not matter."""

    class Inner(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            return self.net.state_dict(*args, **kwargs)

    class Refusing(Inner):
        def state_dict(self) -> Any:  # type: ignore[override]
            raise RuntimeError("not now")

    net = nn.BatchNorm1d(2, affine=False)
    net.register_buffer("scratch", torch.zeros(2), persistent=False)
    for outer in (Inner(net), Refusing(net)):
        kinds = [row.kind for row in parameter_table(outer)]
        assert kinds == ["buffer"] * 3 + ["buffer, not saved"]


def test_only_parameters_train() -> None:
    """A buffer is not trainable, even if it carries a graph or is a Parameter."""
    net = nn.Linear(3, 3)
    net.register_buffer("memory", torch.zeros(3))
    net.memory = net.memory + net(torch.rand(3))
    net.register_buffer("average", nn.Parameter(torch.zeros(3)))
    table = parameter_table(net)
    assert [(row.kind, row.trainable) for row in table] == [("parameter", True)] * 2 + [("buffer", False)] * 2
    assert table.trainable_values == sum(parameter.numel() for parameter in net.parameters()) == 12
    assert [table.cells(row)[6] for row in table] == ["yes", "yes", "no", "no"]


def test_a_parameter_without_a_shape_is_listed_in_any_module() -> None:
    """In such a module, `state_dict` fails: only PyTorch's own lazy modules can save such a parameter."""
    net = nn.Module()
    net.w = UninitializedParameter()
    net.register_buffer("b", UninitializedBuffer(), persistent=False)
    table = parameter_table(net)
    assert [(row.kind, row.shape, row.bytes) for row in table] == [
        ("parameter", None, 0),
        ("buffer, not saved", None, 0),
    ]
    assert table.cells(table[0])[-1] == "lazy"
    assert shared_names(net) == []


def sparse(size: int) -> Tensor:
    return torch.sparse_coo_tensor([[0], [1]], [1.0], (size, size), check_invariants=True)


def jagged(layout: torch.layout) -> Tensor:
    return torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)], layout=layout)


def two_in_one() -> Tensor:
    return TwoTensor(torch.ones(3), torch.ones(3))


# The tensor, its shape, how many numbers it stores, and the bytes of everything that it is stored as.
OTHERS: dict[str, tuple[Callable[[], Tensor], tuple[int, ...], int, int]] = {
    "coordinates": (lambda: sparse(10**5), (10**5, 10**5), 1, 2 * 8 + 4),
    "an empty matrix": (lambda: torch.zeros(5, 5).to_sparse(), (5, 5), 0, 0),
    "coordinates of rows": (lambda: torch.eye(3).to_sparse(1), (3, 3), 9, 3 * 8 + 9 * 4),
    "rows": (lambda: torch.eye(3).to_sparse_csr(), (3, 3), 3, (4 + 3) * 8 + 3 * 4),
    "columns": (lambda: torch.eye(3).to_sparse_csc(), (3, 3), 3, (4 + 3) * 8 + 3 * 4),
    "blocks of rows": (lambda: torch.eye(4).to_sparse_bsr((2, 2)), (4, 4), 8, (3 + 2) * 8 + 8 * 4),
    "blocks of columns": (lambda: torch.eye(4).to_sparse_bsc((2, 2)), (4, 4), 8, (3 + 2) * 8 + 8 * 4),
    "two in one": (two_in_one, (3,), 3, 24),
    "two in one, twice": (lambda: TwoTensor(two_in_one(), two_in_one()), (3,), 3, 48),
    "nested": (lambda: jagged(torch.strided), (2, -1, 3), 9, 36),
    "jagged": (lambda: jagged(torch.jagged), (2, -1, 3), 9, 36 + 3 * 8),
    "opaque": (lambda: torch.ones(3, 3).to_mkldnn(), (3, 3), 9, 36),
    "quantized": (lambda: torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.quint8), (4,), 4, 4),
    "expanded": (lambda: torch.ones(1).expand(6), (6,), 6, 24),
    "complex": (lambda: torch.ones(3, dtype=torch.complex32), (3,), 3, 12),
    "float8": (lambda: torch.ones(3).to(torch.float8_e4m3fn), (3,), 3, 3),
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(("make", "shape", "values", "size"), OTHERS.values(), ids=OTHERS)
def test_tensors_of_other_kinds_are_counted_as_they_are_stored(
    make: Callable[[], Tensor], shape: tuple[int, ...], values: int, size: int
) -> None:
    """For a sparse tensor, this counts the stored numbers, and also the bytes of their indices."""
    net = nn.Linear(2, 1)
    net.register_buffer("other", make())
    net.register_buffer("again", net.other)
    table = parameter_table(net)
    row = table[2]
    assert (row.name, row.shape, row.values) == ("other", shape, values)
    assert abs(row.bytes - size) <= (8 if row.name == "jagged" else 0)
    assert (table.values, table.bytes) == (3 + values, 12 + row.bytes)
    assert table[3].shared_with == "other"
    assert table.cells(row)[-1] == "buffer"
    assert str(table)
    assert shared_names(net) == [["other", "again"]]


def test_a_sparse_parameter_is_listed() -> None:
    """A sparse parameter has a gradient flag, like any parameter."""
    net = nn.ParameterList([nn.Parameter(sparse(9))])
    row = parameter_table(net)[0]
    assert (row.kind, row.trainable, row.values, row.bytes) == ("parameter", True, 1, 20)


def test_a_net_that_was_scripted_is_listed() -> None:
    """Its table equals that of the original net."""
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with warnings.catch_warnings(action="ignore"):
        scripted = torch.jit.script(net)
    assert parameter_table(scripted) == parameter_table(net)


def test_a_lazy_parameter_is_listed_and_left_lazy() -> None:
    """Listing does not change it; after the first batch it has its shape."""
    net = MLP()
    before = parameter_table(net)
    assert [row.shape for row in before] == [None, None, (10, 256), (10,)]
    assert str(before).count("lazy") == 2
    net(torch.rand(2, 20))
    assert [row.shape for row in parameter_table(net)] == [(256, 20), (256,), (10, 256), (10,)]


def test_a_lazy_row_shows_that_it_has_no_shape() -> None:
    """The row has a question mark, no values, no bytes, and a note, until the tensor has its shape."""
    net = nn.Sequential(nn.LazyLinear(3, bias=False), nn.LazyBatchNorm1d())
    table = parameter_table(net)
    lazy = [table.cells(row) for row in table][:5]
    weight = ["0.weight", "?", "0", "0", "float32", "cpu", "yes", "lazy"]
    assert lazy[0] == weight
    assert [cells[1:4] for cells in lazy] == [["?", "0", "0"]] * 5
    assert [cells[-1] for cells in lazy[1:]] == ["lazy", "lazy", "buffer, lazy", "buffer, lazy"]
    assert str(table).split("\n")[1].split() == weight
    net(torch.rand(2, 4))
    assert table.cells(parameter_table(net)[0]) == ["0.weight", "(3, 4)", "12", "48", *weight[4:-1], ""]


def test_a_table_is_a_sequence_of_rows() -> None:
    """An index counts from either end, and an index out of range is an error."""
    table = parameter_table(nn.Linear(2, 1))
    weight, bias = table
    assert len(table) == 2
    assert [table[0], table[1], table[-1], table[-2]] == [weight, bias, bias, weight]
    assert (weight.name, bias.name) == ("weight", "bias")
    with pytest.raises(IndexError):
        table[2]


def test_a_table_says_what_was_found_and_cannot_be_changed() -> None:
    """Tables and rows can therefore be compared and hashed."""
    tables = [parameter_table(nn.Linear(2, 1)) for _ in range(2)]
    assert tables[0] == tables[1]
    assert len({*tables, tables[0][0], tables[1][0]}) == 2
    with pytest.raises(FrozenInstanceError):
        tables[0].rows = ()  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        tables[0][0].name = "other"  # type: ignore[misc]


def test_a_module_that_has_a_tensor_under_two_names_shows_both() -> None:
    """Parameters and buffers are both shown under both names."""
    net = nn.Module()
    net.a = net.b = nn.Parameter(torch.zeros(2))
    net.c = net.d = nn.Buffer(torch.zeros(3))
    assert shared_names(net) == [["a", "b"], ["c", "d"]]
    assert [row.shared_with for row in parameter_table(net)] == [None, "a", None, "c"]
    assert get_tensor(net, "b") is net.a
    assert get_tensor(net, "d") is net.c


class Net(nn.Module):
    """A net with a child set by a path, as in `setattr(net, "block.1", ...)`: its name contains a dot."""

    def __init__(self, hidden: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.ReLU(), nn.Linear(2, 2, bias=False))
        setattr(self, "block.1", hidden)


def test_two_tensors_under_one_name_are_told_apart() -> None:
    """Both are listed and counted, the second with a note; a path reaches the one that PyTorch finds."""
    net = Net(nn.Linear(3, 3))
    net.block[1].requires_grad_(False)
    table = parameter_table(net)
    assert [row.name for row in table] == ["block.1.weight", "block.1.weight", "block.1.bias"]
    assert [row.repeated for row in table] == [False, True, False]
    assert [table.cells(row)[-1] for row in table] == ["", "same name as above", ""]
    assert (table.values, table.bytes, table.trainable_values) == (4 + 12, 64, 12)
    assert get_tensor(net, "block.1.weight") is net.get_parameter("block.1.weight") is net.block[1].weight
    set_tensor(net, "block.1.weight", 7.0)
    assert net.block[1].weight.unique().tolist() == [7.0]
    with pytest.raises(AttributeError, match=r"no parameter or buffer 'block.1.bias': .* has a dot"):
        get_tensor(net, "block.1.bias")


def test_one_tensor_that_has_a_name_twice_counts_once() -> None:
    """Its rows say that they are the same tensor."""
    net = Net(nn.Identity())
    setattr(net, "block.1", net.block[1])
    table = parameter_table(net)
    assert [row.shared_with for row in table] == [None, "block.1.weight"]
    assert table.cells(table[1])[-1] == "is block.1.weight, same name as above"
    assert table.values == 4


def ring(*path: str) -> nn.Module:
    """A net with a cycle: the module at the path is one of the modules above it, two levels up."""
    net = nn.Module()
    above = [net]
    for name in path[:-1]:
        above.append(nn.Linear(2, 2))
        above[-2].add_module(name, above[-1])
    above[-1].add_module(path[-1], above[-2])
    return net


@pytest.mark.parametrize("function", [parameter_table, shared_names, uninitialized_names])
@pytest.mark.parametrize(
    ("path", "which"),
    [(["child", "parent"], "the net"), (["a", "b", "c"], "'a'"), (["a", "b", "c", "d"], "'a.b'")],
)
def test_a_net_inside_itself_is_refused(
    function: Callable[[nn.Module], Any], path: list[str], which: str
) -> None:
    """The error names the place; PyTorch would recurse until Python stops it."""
    net = ring(*path)
    with pytest.raises(ValueError, match=f"^Module contains itself: '{'.'.join(path)}' is {which}"):
        function(net)
    layer = nn.Linear(2, 2)
    layer.add_module("same", layer)
    with pytest.raises(ValueError, match=r"^Linear contains itself: 'same' is the net"):
        function(layer)
    assert get_tensor(net, ".".join([*path[:-1], "bias"])) is net.get_submodule(".".join(path[:-1])).bias
    twice = nn.Linear(2, 2)
    function(nn.Sequential(twice, nn.Sequential(twice, twice)))


def test_the_text_is_aligned() -> None:
    """Columns start below their heading, and no line ends with blanks."""
    lines = str(parameter_table(NestMLP())).split("\n")
    head = lines[0]
    assert [len(line.rstrip()) for line in lines] == [len(line) for line in lines]
    for column in ("shape", "dtype", "device", "trains"):
        assert {line[head.index(column) - 1] for line in lines[1:-2]} == {" "}
        assert " " not in {line[head.index(column)] for line in lines[1:-2]}
    assert lines[-2].split() == ["total", "3,952", "15,808"]


def test_the_html_is_a_table_of_the_same_cells() -> None:
    """Names that contain markup are escaped."""
    net = nn.ModuleDict({"<b>": nn.Linear(2, 1)})
    cells: list[str] = []

    class Cells(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            assert tag in ("table", "thead", "tbody", "tfoot", "tr", "th", "td")
            if tag in ("td", "th"):
                cells.append("")

        def handle_data(self, data: str) -> None:
            cells[-1] += data

    table = parameter_table(net)
    Cells().feed(table._repr_html_())
    text = [*table.head(), *(cell for row in table for cell in table.cells(row))]
    assert cells[: len(text)] == text
    assert "<b>.weight" in cells


@pytest.mark.parametrize("path", ["net.0.weight", "linear.bias"])
def test_a_path_reaches_the_tensor(path: str) -> None:
    """The object is the same as from `get_parameter`, and a new value is written into it."""
    net = NestMLP()
    tensor = net.get_parameter(path)
    assert get_tensor(net, path) is tensor
    value = torch.rand_like(tensor, dtype=torch.float64)
    assert set_tensor(net, path, value) is tensor
    assert torch.equal(tensor, value.float())
    assert tensor.requires_grad
    assert (set_tensor(net, path, 3) == 3).all()


def test_a_path_reaches_buffers_and_second_names() -> None:
    """A value set by one name is visible by the other."""
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.BatchNorm1d(2), layer)
    set_tensor(net, "2.bias", torch.tensor([1.0, 2.0]))
    assert get_tensor(net, "0.bias").tolist() == [1.0, 2.0]
    set_tensor(net, "1.running_mean", 5.0)
    assert net(torch.rand(3, 2)).shape == (3, 2)
    assert get_tensor(net, "1.num_batches_tracked").item() == 1


def test_autograd_notices_a_value_that_is_set() -> None:
    """A backward that needs the old value raises an error, unlike after a change of `.data`."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    loss = net(torch.rand(3, 2)).sum()
    set_tensor(net, "1.weight", 0.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_a_tensor_made_in_inference_mode_is_set_wherever_it_is_asked_for() -> None:
    """An inference tensor stays one, even where `copy_` refuses it. A normal tensor stays trainable."""
    with torch.inference_mode():
        inside = nn.Linear(2, 1)
    normal = nn.Linear(2, 1)
    for net in (inside, normal):
        for mode in (True, False):
            with torch.inference_mode(mode):
                values = torch.rand(1, 2)
                assert set_tensor(net, "weight", values) is net.weight
                assert torch.equal(net.weight, values)
                set_tensor(net, "bias", 3.0)
                assert torch.is_inference_mode_enabled() is mode
        assert net.bias.item() == 3.0
    assert inside.weight.is_inference()
    normal(torch.rand(3, 2)).sum().backward()
    assert normal.weight.grad is not None


def plain_attribute() -> nn.Module:
    net = nn.Linear(2, 1)
    net.constant = torch.zeros(2)  # type: ignore[assignment]
    return net


def on_meta() -> nn.Module:
    return nn.Linear(2, 1, device="meta")


ERRORS: list[tuple[Callable[[], nn.Module], str, object, type[Exception], str]] = [
    (NestMLP, "net.0.wieght", 0, AttributeError, "NestMLP has no parameter or buffer 'net.0.wieght': the nearest is 'net.0.weight'"),
    (NestMLP, "net.9.bias", 0, AttributeError, "the nearest is 'net.2.bias'"),
    (NestMLP, "net", 0, AttributeError, "it is a module, which holds 'net.0.weight'"),
    (NestMLP, "", 0, AttributeError, "has no parameter or buffer '': there are net.0.weight, net.0.bias, net.2.weight, ..."),
    (NestMLP, ".linear.bias", 0, AttributeError, "the nearest is 'linear.bias'"),
    (nn.ReLU, "weight", 0, AttributeError, "ReLU has no parameter or buffer 'weight': it has none at all"),
    (plain_attribute, "constant", 0, AttributeError, "Linear has no parameter or buffer 'constant'"),
    (lambda: nn.Linear(2, 1), ".weight", 0, AttributeError, "the nearest is 'weight'"),
    (lambda: nn.Linear(2, 1, bias=False), "bias", 0, AttributeError, "there are weight$"),
    (NestMLP, "linear.bias", torch.zeros(1), ValueError, r"expected a value of shape \(16,\) for 'linear.bias', but got \(1,\)"),
    (NestMLP, "linear.bias", torch.zeros(3, 16), ValueError, r"but got \(3, 16\)"),
    (MLP, "hidden.weight", 0, ValueError, "'hidden.weight' is not initialized yet"),
    (on_meta, "weight", 0, ValueError, "'weight' is on the meta device"),
    (NestMLP, None, 0, TypeError, "expected the path of a parameter or buffer, which is a str, but got NoneType"),
    (NestMLP, torch.zeros(16), "linear.bias", TypeError, "expected the path .* but got torch.Tensor: the value comes after it"),
    (NestMLP, "linear.bias", [0.0] * 16, TypeError, "expected a tensor or a number for 'linear.bias', but got list"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "path", "value", "error", "message"), ERRORS)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    make: Callable[[], nn.Module], path: str, value: Tensor | float, error: type[Exception], message: str
) -> None:
    """The error names the path, the given value and the expected one."""
    net = make()
    unset = make in (MLP, on_meta)
    before = {} if unset else copy.deepcopy(net.state_dict())
    with pytest.raises(error, match=message):
        set_tensor(net, path, value)
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in before.items())
    if error is AttributeError:
        with pytest.raises(error, match=re.escape(f"'{path}'")):
            get_tensor(net, path)
