"""Parameter management: what a net contains, which tensors it shares, and how to reach them by name."""

import html
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from numbers import Number

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from d2lblocks._arguments import check_net, kind_of, nearest
from d2lblocks._tensors import identity, named_modules, named_tensors, own_tensors, parts, writing

__all__ = ["ParameterTable", "Row", "get_tensor", "parameter_table", "set_tensor", "shared_names"]


@dataclass(frozen=True)
class Row:
    """One name of a parameter or buffer, as `parameter_table` lists it.

    Attributes:
        name: the dotted path.
        kind: `"parameter"`, `"buffer"`, or `"buffer, not saved"` for a buffer with `persistent=False`.
        shape: the tensor's shape, or `None` while it is uninitialized.
            A size that varies inside a nested tensor is -1.
        dtype: the tensor's dtype.
        device: the tensor's device.
        trainable: whether it is a parameter that requires a gradient.
        values: how many numbers the tensor holds: 0 while it is uninitialized,
            and only the stored ones if it is sparse.
        bytes: how many bytes the tensor takes as it is stored. For a sparse tensor this includes the indices;
            for a tensor made of other tensors, such as a quantized one of torchao, it is their total.
        shared_with: the first name of the same tensor, or `None` if this is the first.
        repeated: whether an earlier row has the same name. This happens if a child's own name contains a dot.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import parameter_table

        row = parameter_table(nn.Linear(20, 8))[0]
        print(row.name, row.shape, row.values, row.bytes)
        #> weight (8, 20) 160 640
        ```
    """

    name: str
    kind: str
    shape: tuple[int, ...] | None
    dtype: torch.dtype
    device: torch.device
    trainable: bool
    values: int
    bytes: int
    shared_with: str | None
    repeated: bool = False


@dataclass(frozen=True)
class ParameterTable:
    """The rows of `parameter_table` and their totals; a shared tensor counts once in a total.

    It prints as text, and a notebook displays it as a table.

    Attributes:
        rows: one row for each name, in the order of the modules.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import parameter_table

        table = parameter_table(nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8)))
        print(len(table), table.values, table.trainable_values, table.bytes)
        #> 7 201 184 808
        ```
    """

    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]

    @property
    def values(self) -> int:
        """How many numbers the net holds, including those in buffers."""
        return sum(row.values for row in self if row.shared_with is None)

    @property
    def trainable_values(self) -> int:
        """How many of these numbers require a gradient."""
        # Under any of its names: two Parameters that share memory may differ in this.
        shared = {row.shared_with for row in self if row.trainable}
        first = (row for row in self if row.shared_with is None)
        return sum(row.values for row in first if row.trainable or row.name in shared)

    @property
    def bytes(self) -> int:
        """How many bytes these numbers take."""
        return sum(row.bytes for row in self if row.shared_with is None)

    def __str__(self) -> str:
        lines = [self.head(), *map(self.cells, self), *self.totals()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = (
            "  ".join(
                cell.rjust(width) if name in ("values", "bytes") else cell.ljust(width)
                for cell, width, name in zip(line, widths, self.head(), strict=True)
            )
            for line in lines
        )
        return "\n".join(line.rstrip() for line in aligned)

    def _repr_html_(self) -> str:
        def line(cells: list[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

        body = "".join(line(self.cells(row), "td") for row in self)
        foot = "".join(line(cells, "td") for cells in self.totals())
        head = line(self.head(), "th")
        return f"<table><thead>{head}</thead><tbody>{body}</tbody><tfoot>{foot}</tfoot></table>"

    @staticmethod
    def head() -> list[str]:
        """The names of the columns."""
        return ["name", "shape", "values", "bytes", "dtype", "device", "trains", "note"]

    @staticmethod
    def cells(row: Row) -> list[str]:
        """A row as text, one cell for each column."""
        notes = [
            "" if row.kind == "parameter" else row.kind,
            "lazy" if row.shape is None else "",
            f"is {row.shared_with}" if row.shared_with else "",
            "same name as above" if row.repeated else "",
        ]
        return [
            row.name,
            "?" if row.shape is None else str(row.shape),
            f"{row.values:,}",
            f"{row.bytes:,}",
            str(row.dtype).removeprefix("torch."),
            str(row.device),
            "yes" if row.trainable else "no",
            ", ".join(filter(None, notes)),
        ]

    def totals(self) -> list[list[str]]:
        """The rows of totals as text."""
        rest = [""] * 4
        total = ["total", "", f"{self.values:,}", f"{self.bytes:,}", *rest]
        return [total, ["trainable", "", f"{self.trainable_values:,}", "", *rest]]


def parameter_table(net: nn.Module) -> ParameterTable:
    """List every name of a net's parameters and buffers.

    A tensor with several names has one row for each name.
    Lazy parameters are listed as uninitialized, including those of other libraries' modules.
    Only parameters count as trainable: a buffer that was computed from parameters also requires a gradient,
    but no optimizer changes it.
    If two tensors have the same name, the note in the second row says so.
    `get_tensor` documents which of the two it finds.

    Args:
        net: any module.

    Raises:
        TypeError: if `net` is not a module.
        ValueError: if a module in the net contains itself; the message gives its path.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import parameter_table

        layer = nn.Linear(4, 4, bias=False)
        print(parameter_table(nn.Sequential(layer, nn.ReLU(), layer)))
        #> name       shape   values  bytes  dtype    device  trains  note
        #> 0.weight   (4, 4)      16     64  float32  cpu     yes
        #> 2.weight   (4, 4)      16     64  float32  cpu     yes     is 0.weight
        #> total                  16     64
        #> trainable              16
        ```
    """
    check_net(net)
    first: dict[Hashable, str] = {}
    names: set[str] = set()
    rows = []
    for path, module in named_modules(net):
        for own, tensor in own_tensors(module):
            name, known = f"{path}.{own}" if path else own, identity(tensor)
            parameter = own in module._parameters
            values, size = (0, 0) if is_lazy(tensor) else _amounts(tensor)
            rows.append(
                Row(
                    name=name,
                    kind="parameter" if parameter else _kind_of_buffer(module, own),
                    shape=None if is_lazy(tensor) else _shape(tensor),
                    dtype=tensor.dtype,
                    device=tensor.device,
                    trainable=parameter and tensor.requires_grad,
                    values=values,
                    bytes=size,
                    shared_with=first.get(known),
                    repeated=name in names,
                )
            )
            first.setdefault(known, name)
            names.add(name)
    return ParameterTable(tuple(rows))


def _kind_of_buffer(module: nn.Module, name: str) -> str:
    return "buffer, not saved" if name in module._non_persistent_buffers_set else "buffer"


def _shape(tensor: Tensor) -> tuple[int, ...]:
    if not tensor.is_nested:
        return tuple(tensor.shape)
    sizes = [{*each} for each in zip(*(part.shape for part in tensor.unbind()), strict=True)]
    return tensor.size(0), *(each.pop() if len(each) == 1 else -1 for each in sizes)


def _amounts(tensor: Tensor) -> tuple[int, int]:
    """How many numbers a tensor holds, and how many bytes it takes."""
    stored = parts(tensor) or (tensor,)
    sparse = tensor.layout not in (torch.strided, torch.jagged)
    values = stored[-1] if sparse else tensor  # the indices come first
    return values.numel(), sum(part.numel() * part.element_size() for part in stored)


def shared_names(net: nn.Module) -> list[list[str]]:
    """List the groups of names that refer to one tensor.

    Two names share a tensor if they refer to the same object.
    They also share it if they refer to two Parameters whose values lie in the same memory;
    each of these Parameters then has its own gradient.

    Args:
        net: any module.

    Returns:
        one list of names for each shared tensor, in the order of the modules;
            tensors with a single name are left out.

    Raises:
        TypeError: if `net` is not a module.
        ValueError: if a module in the net contains itself; the message gives its path.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import shared_names

        table, scores = nn.Embedding(5, 4), nn.Linear(4, 5)
        scores.weight = table.weight
        print(shared_names(nn.Sequential(table, scores)))
        #> [['0.weight', '1.weight']]
        ```
    """
    check_net(net)
    groups: dict[Hashable, list[str]] = {}
    for name, tensor in named_tensors(net):
        groups.setdefault(identity(tensor), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def get_tensor(net: nn.Module, path: str) -> Tensor:
    """Return the parameter or buffer at a dotted path.

    It combines `nn.Module.get_parameter` and `nn.Module.get_buffer`, with a more helpful error.
    If two tensors have the same name, it finds the same one as these methods do:
    the one whose modules have no dot in their own names.

    Args:
        net: any module.
        path: the dotted path, as in `state_dict`.

    Raises:
        AttributeError: if there is no such parameter or buffer; the message names the nearest existing path.
        TypeError: if `net` is not a module, or the path is not a `str`.

    Examples:
        ```python
        from d2lblocks import MLP, get_tensor

        print(get_tensor(MLP(20), "hidden.weight").shape)
        #> torch.Size([256, 20])
        ```
    """
    check_net(net)
    if not isinstance(path, str):
        hint = ": the value comes after it" if isinstance(path, Tensor) else ""
        raise TypeError(
            f"expected the path of a parameter or buffer, which is a str, but got {kind_of(path)}{hint}"
        )
    owner, dot, name = path.rpartition(".")
    try:
        return dict(own_tensors(net.get_submodule(owner or dot)))[name]
    except (AttributeError, KeyError):
        raise AttributeError(
            f"{type(net).__name__} has no parameter or buffer '{path}': {_hint(net, path)}"
        ) from None


def set_tensor(net: nn.Module, path: str, value: Tensor | float) -> Tensor:
    """Set the values of the parameter or buffer at a dotted path, in place.

    The tensor stays the same object, so layers that share it and optimizers that hold it see the new values.
    Autograd records the change: a `backward` that needs the old values raises an error.
    A tensor that was created in inference mode can be set too, in any mode.

    Args:
        net: any module.
        path: the dotted path, as in `state_dict`, of a tensor that `get_tensor` finds.
        value: a tensor of the same shape, or one number for all elements.
            It is moved and cast as by `Tensor.copy_`, which does not check that the values fit the dtype.

    Returns:
        the tensor at the path.

    Raises:
        AttributeError: if there is no such parameter or buffer; the message names the nearest existing path.
        TypeError: if the value is neither a tensor nor a number, `net` is not a module,
            or the path is not a `str`.
        ValueError: if the shapes differ, or if the tensor has no values yet (it is lazy and waits for its
            first batch, or it is on the meta device). Nothing is changed.

    Examples:
        ```python
        from torch import nn
        from d2lblocks import set_tensor

        net = nn.Linear(2, 1)
        print(set_tensor(net, "bias", 42.0))
        #> Parameter containing:
        #> tensor([42.], requires_grad=True)
        ```
    """
    tensor = get_tensor(net, path)
    if is_lazy(tensor):
        raise ValueError(f"'{path}' is not initialized yet: its shape comes with the first batch")
    if tensor.is_meta:
        raise ValueError(f"'{path}' is on the meta device, and has no values to set")
    if not isinstance(value, Tensor | Number):
        raise TypeError(f"expected a tensor or a number for '{path}', but got {type(value).__name__}")
    if isinstance(value, Tensor) and value.shape != tensor.shape:
        raise ValueError(
            f"expected a value of shape {tuple(tensor.shape)} for '{path}', but got {tuple(value.shape)}"
        )
    with writing(tensor):
        return tensor.copy_(value) if isinstance(value, Tensor) else tensor.fill_(value)


def _hint(net: nn.Module, path: str) -> str:
    """Guess what was meant by a path that does not exist."""
    names = [name for name, _ in named_tensors(net)]
    if path in names:
        return "it is inside a child whose own name has a dot, which no path reaches"
    if inside := [name for name in names if path and name.startswith(f"{path}.")]:
        return f"it is a module, which holds '{inside[0]}'"
    return nearest(path, names)
