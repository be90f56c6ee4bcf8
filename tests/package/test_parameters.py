"""The helpers for parameters: what they list, what they find, what they refuse."""

import copy
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from html.parser import HTMLParser

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from d2lblocks import MLP, FixedHiddenMLP, NestMLP, get_tensor, parameter_table, set_tensor, shared_names

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
    """Layers in any order, some of them in several places, some frozen."""
    layers = [make() for make in draw(st.lists(LAYERS, min_size=1, max_size=4))]
    for layer in layers:
        if not isinstance(layer, nn.LazyLinear):  # which refuses it before the first batch
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
    """Each name once, with the tensor's own shape, type and flag; shared tensors count once."""
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
    """Groups are disjoint, hold two names or more, and every name of a shared object is in one."""
    state = net.state_dict(keep_vars=True)
    names: dict[int, list[str]] = {}
    for name, tensor in state.items():
        names.setdefault(id(tensor), []).append(name)
    expected = sorted(sorted(group) for group in names.values() if len(group) > 1)
    assert sorted(sorted(group) for group in shared_names(net)) == expected


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_two_parameters_in_one_memory_are_shared(device: str) -> None:
    """Also transposed, also without memory; parts of one memory that do not overlap are not."""
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
    """Not so every second one of twice as many, which has as many values and begins at the same place."""
    x = torch.zeros(12, device=device)
    views = [x[:6], x[:6].view(2, 3), x[:6].view(3, 1, 2), x[::2], x[::2].view(2, 3)]
    net = nn.ParameterList([nn.Parameter(view) for view in views])
    assert shared_names(net) == [["0", "1", "2"], ["3", "4"]]


def test_sharing_is_seen_inside_a_copy() -> None:
    """A copy shares with itself, and not with what it was copied from."""
    layer = nn.Linear(3, 3, bias=False)
    net = nn.Sequential(layer, layer)
    both = nn.ModuleList([net, copy.deepcopy(net)])
    assert shared_names(both) == [["0.0.weight", "0.1.weight"], ["1.0.weight", "1.1.weight"]]


def test_a_total_asks_every_name_whether_it_trains() -> None:
    """Of two Parameters in one memory, one that trains is enough."""
    net = tied_by_memory()
    net[0].requires_grad_(False)
    assert parameter_table(net).trainable_values == 12


def test_kinds_are_told_apart() -> None:
    """Parameters, buffers that are saved, and buffers that are not."""
    net = FixedHiddenMLP()
    net.register_buffer("scratch", torch.zeros(2), persistent=False)
    kinds = {row.name: row.kind for row in parameter_table(net)}
    assert kinds == {
        "rand_weight": "buffer",
        "scratch": "buffer, not saved",
        "linear.weight": "parameter",
        "linear.bias": "parameter",
    }


def test_a_lazy_parameter_is_listed_and_left_lazy() -> None:
    """Listing it does not touch it; after the first batch it has its shape."""
    net = MLP()
    before = parameter_table(net)
    assert [row.shape for row in before] == [None, None, (10, 256), (10,)]
    assert str(before).count("lazy") == 2
    net(torch.rand(2, 20))
    assert [row.shape for row in parameter_table(net)] == [(256, 20), (256,), (10, 256), (10,)]


def test_a_lazy_row_shows_that_it_has_no_shape() -> None:
    """A question mark, no values and no bytes, and a note; once it has its shape, the row is like any other."""
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
    """An index counts from either end, and one that is too large is an error."""
    table = parameter_table(nn.Linear(2, 1))
    weight, bias = table
    assert len(table) == 2
    assert [table[0], table[1], table[-1], table[-2]] == [weight, bias, bias, weight]
    assert (weight.name, bias.name) == ("weight", "bias")
    with pytest.raises(IndexError):
        table[2]


def test_a_table_says_what_was_found_and_cannot_be_changed() -> None:
    """So two of them can be compared, also by their hashes."""
    tables = [parameter_table(nn.Linear(2, 1)) for _ in range(2)]
    assert tables[0] == tables[1]
    assert len({*tables, tables[0][0], tables[1][0]}) == 2
    with pytest.raises(FrozenInstanceError):
        tables[0].rows = ()  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        tables[0][0].name = "other"  # type: ignore[misc]


def test_a_module_that_has_a_tensor_under_two_names_shows_both() -> None:
    """Whether the two names are in one module or in two makes no difference."""
    net = nn.Module()
    net.a = net.b = nn.Parameter(torch.zeros(2))
    net.c = net.d = nn.Buffer(torch.zeros(3))
    assert shared_names(net) == [["a", "b"], ["c", "d"]]
    assert [row.shared_with for row in parameter_table(net)] == [None, "a", None, "c"]
    assert get_tensor(net, "b") is net.a
    assert get_tensor(net, "d") is net.c


def test_the_text_is_aligned() -> None:
    """Every line begins its columns where the head does, and has no blanks at its end."""
    lines = str(parameter_table(NestMLP())).split("\n")
    head = lines[0]
    assert [len(line.rstrip()) for line in lines] == [len(line) for line in lines]
    for column in ("shape", "dtype", "device", "trains"):
        assert {line[head.index(column) - 1] for line in lines[1:-2]} == {" "}
        assert " " not in {line[head.index(column)] for line in lines[1:-2]}
    assert lines[-2].split() == ["total", "3,952", "15,808"]


def test_the_html_is_a_table_of_the_same_cells() -> None:
    """With names that would be markup escaped."""
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
    """The same object as `get_parameter`; a new value is written into it."""
    net = NestMLP()
    tensor = net.get_parameter(path)
    assert get_tensor(net, path) is tensor
    value = torch.rand_like(tensor, dtype=torch.float64)
    assert set_tensor(net, path, value) is tensor
    assert torch.equal(tensor, value.float())
    assert tensor.requires_grad
    assert (set_tensor(net, path, 3) == 3).all()


def test_a_path_reaches_buffers_and_second_names() -> None:
    """What is set by one name is seen by the other."""
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.BatchNorm1d(2), layer)
    set_tensor(net, "2.bias", torch.tensor([1.0, 2.0]))
    assert get_tensor(net, "0.bias").tolist() == [1.0, 2.0]
    set_tensor(net, "1.running_mean", 5.0)
    assert net(torch.rand(3, 2)).shape == (3, 2)
    assert get_tensor(net, "1.num_batches_tracked").item() == 1


def test_autograd_notices_a_value_that_is_set() -> None:
    """A backward that needs the old value raises, as it does not after `.data`."""
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    loss = net(torch.rand(3, 2)).sum()
    set_tensor(net, "1.weight", 0.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


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
    (MLP, "hidden.weight", 0, ValueError, "'hidden.weight' is not initialised yet"),
    (on_meta, "weight", 0, ValueError, "'weight' is on the meta device"),
    (NestMLP, "linear.bias", [0.0] * 16, TypeError, "expected a tensor or a number for 'linear.bias', but got list"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "path", "value", "error", "message"), ERRORS)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    make: Callable[[], nn.Module], path: str, value: Tensor | float, error: type[Exception], message: str
) -> None:
    """The error names the path, what came and what was expected."""
    net = make()
    unset = make in (MLP, on_meta)
    before = {} if unset else copy.deepcopy(net.state_dict())
    with pytest.raises(error, match=message):
        set_tensor(net, path, value)
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in before.items())
    if error is AttributeError:
        with pytest.raises(error, match=re.escape(f"'{path}'")):
            get_tensor(net, path)
