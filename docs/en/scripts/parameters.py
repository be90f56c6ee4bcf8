# %% [markdown]
# # Parameters
#
# This is the page "Parameters" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# After this page you can find, read, change, freeze and share what a net learns, and you know which changes PyTorch does not notice.

# %%
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
X = torch.rand(2, 4)
print(net(X).shape)
#> torch.Size([2, 1])

# %% [markdown]
# ## One parameter
#
# A layer is reached by its index, and its parameters are attributes of the layer:

# %%
print(net[2].bias.shape, type(net[2].bias))
#> torch.Size([1]) <class 'torch.nn.parameter.Parameter'>
print(list(net[2].state_dict()))
#> ['weight', 'bias']

# %% [markdown]
# An `nn.Parameter` is a tensor that a module registers when it is assigned to an attribute, and that requires a gradient unless told otherwise.
# `.detach()` gives its value, without the gradient's book-keeping and in the same memory.
# `.grad` is its gradient, and there is none before a `backward`:

# %%
print(net[2].bias.requires_grad, net[2].bias.detach().requires_grad)
#> True False
print(net[2].bias.grad)
#> None
net(X).sum().backward()
print(net[2].bias.grad)
#> tensor([2.])

# %% [markdown]
# Two examples went in, and each adds the bias to its output once: the gradient of the sum is 2.
#
# The next `backward` adds to what is in `.grad`, so the training loop empties it before.
# `zero_grad` leaves `None` there, not zeros: that frees the memory, and an optimizer skips a parameter without a gradient, whereas a gradient of zeros still lets momentum and weight decay move it.

# %%
net.zero_grad()
print(net[2].bias.grad)
#> None
net(X).sum().backward()
net.zero_grad(set_to_none=False)
print(net[2].bias.grad)
#> tensor([0.])

# %% [markdown]
# Code that reads `.grad` therefore has to expect `None`.

# %% [markdown]
# ## All of them
#
# `named_parameters()` goes through the net and gives each parameter with its path.

# %%
for name, parameter in net.named_parameters():
    print(name, tuple(parameter.shape))
#> 0.weight (8, 4)
#> 0.bias (8,)
#> 2.weight (1, 8)
#> 2.bias (1,)

# %% [markdown]
# `net[1]` is a `ReLU` and has no parameters, so no name begins with `1`.
# The path reaches the same object that index and attribute reach:

# %%
print(net.get_parameter("2.bias") is net[2].bias)
#> True
print(net.state_dict()["2.bias"].data_ptr() == net[2].bias.data_ptr())
#> True

# %% [markdown]
# `state_dict()` makes a dictionary of names and *detached* tensors, that is, without `requires_grad`.
# They lie in the same memory as the parameters: the dictionary is no copy, and training changes it.

# %% [markdown]
# ## What `state_dict` holds and `parameters` does not
#
# Two kinds of names: those of buffers, and second names of shared parameters.
# (A third is `_extra_state`, of modules that define it.)

# %%
shared = nn.Linear(4, 4)
net = nn.Sequential(shared, nn.BatchNorm1d(4), shared)
parameters = {name for name, _ in net.named_parameters()}
print([name for name in net.state_dict() if name not in parameters])
#> ['1.running_mean', '1.running_var', '1.num_batches_tracked', '2.weight', '2.bias']

# %% [markdown]
# (A picture: A tree. The Sequential has three names, 0, 1 and 2: 0 and 2 lead to one Linear, whose weight and bias are parameters with two names each; 1 leads to a BatchNorm1d with the parameters weight and bias, and the buffers running_mean, running_var and num_batches_tracked.)
#
# The running mean, the running variance and the counter of the batch norm are buffers: saved, moved, not trained.
# `2.weight` is a second name of `0.weight`, and `2.bias` of `0.bias`.
# `parameters()` and `named_parameters()` give each object once, as an optimizer needs it; `state_dict()` gives each name, and so does `named_parameters(remove_duplicate=False)`.
# Every name in `named_parameters()` is also in `state_dict()`.
# A buffer registered with `persistent=False` is in neither; `buffers()` gives it.

# %% [markdown]
# ## Nets in nets

# %%
def block1():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU())


def block2():
    net = nn.Sequential()
    for index in range(3):
        net.add_module(f"block {index}", block1())
    return net


rgnet = nn.Sequential(block2(), nn.Linear(4, 1))
print(rgnet)
#> Sequential(
#>   (0): Sequential(
#>     (block 0): Sequential(
#>       (0): Linear(in_features=4, out_features=8, bias=True)
#>       (1): ReLU()
#>       (2): Linear(in_features=8, out_features=4, bias=True)
#>       (3): ReLU()
#>     )
#>     (block 1): Sequential(
#>       (0): Linear(in_features=4, out_features=8, bias=True)
#>       (1): ReLU()
#>       (2): Linear(in_features=8, out_features=4, bias=True)
#>       (3): ReLU()
#>     )
#>     (block 2): Sequential(
#>       (0): Linear(in_features=4, out_features=8, bias=True)
#>       (1): ReLU()
#>       (2): Linear(in_features=8, out_features=4, bias=True)
#>       (3): ReLU()
#>     )
#>   )
#>   (1): Linear(in_features=4, out_features=1, bias=True)
#> )

# %% [markdown]
# The first part holds three blocks, each of two linear layers.
# The bias of the first layer of the second block is reached step by step, or by its path:

# %%
print(rgnet[0][1][0].bias.shape)
#> torch.Size([8])
print(rgnet.get_parameter("0.block 1.0.bias") is rgnet[0][1][0].bias)
#> True

# %% [markdown]
# `modules()` gives every module at every depth, each once and the net itself first; `children()` gives the direct parts, each once:

# %%
print(len(list(rgnet.modules())), len(list(rgnet.children())))
#> 18 2
print(sum(isinstance(module, nn.Linear) for module in rgnet.modules()))
#> 7

# %% [markdown]
# ## Changing values
#
# Write into a parameter under `torch.no_grad()`, with `copy_`, `fill_` or another method that changes values in place; PyTorch ends their names in `_`.
# (The functions of `nn.init` do so themselves.)

# %%
layer = nn.Linear(2, 1)
with torch.no_grad():
    layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
    layer.bias.fill_(0.5)
print(layer(torch.tensor([10.0, 100.0])).item())
#> 210.5

# %% [markdown]
# The parameter stays the same object, so an optimizer that holds it and a layer that shares it see the new values.
# The right moment is after `backward`, or before the next forward pass.
# Autograd counts such writes, and a `backward` that still needs the old value says so:

# %%
w = nn.Parameter(torch.tensor(2.0))
y = w**2
with torch.no_grad():
    w.fill_(20.0)

# %%
try:
    y.backward()
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: one of the variables needed for gradient computation has been modified by an inplace operation: [torch.FloatTensor []] is at version 1; expected version 0 instead. Hint: enable anomaly detection to find the operation that failed to compute its gradient, with torch.autograd.set_detect_anomaly(True, check_nan=False).

# %% [markdown]
# A write through `.data` is not counted.
# The derivative of `w**2` at 2 is 4, and `backward` gives 40:

# %%
w = nn.Parameter(torch.tensor(2.0))
y = w**2
w.data.fill_(20.0)
y.backward()
print(w.grad)
#> tensor(40.)

# %% [markdown]
# No error, and a wrong gradient: do not use `.data`.
# Read with `.detach()`, write under `torch.no_grad()`.
# To keep old values, `.detach().clone()`: without `clone` they change with the parameter.

# %% [markdown]
# ## Freezing
#
# Autograd computes no gradient for a parameter with `requires_grad=False`, and an optimizer leaves alone what has no gradient.
# `requires_grad_` on a module sets all of its parameters; here all but the last layer are frozen:

# %%
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
net.requires_grad_(False)
net[-1].requires_grad_(True)
print([name for name, parameter in net.named_parameters() if parameter.requires_grad])
#> ['4.weight', '4.bias']

net(X).sum().backward()
print([name for name, parameter in net.named_parameters() if parameter.grad is not None])
#> ['4.weight', '4.bias']

# %% [markdown]
# To freeze by name, compare the beginning of each name with a prefix.
# End the prefix with a dot: `"1"` would also match a layer `10`.
# A prefix that matches nothing freezes nothing and raises no error, so look at what was frozen:

# %%
net.requires_grad_(True)
for name, parameter in net.named_parameters():
    if name.startswith(("0.", "2.")):
        parameter.requires_grad_(False)
print([name for name, parameter in net.named_parameters() if not parameter.requires_grad])
#> ['0.weight', '0.bias', '2.weight', '2.bias']

# %% [markdown]
# **The price.** A gradient from before the freezing is still there, and the next `step()` still uses it: call `net.zero_grad()` after freezing.
# And buffers are not frozen: a batch norm in training mode goes on adapting its running mean and variance.
# Its own `eval()` stops that, and it then normalises with the stored mean and variance in place of the batch's.
# The next `net.train()` undoes both: call `norm.eval()` after it.

# %%
norm = nn.BatchNorm1d(4).requires_grad_(False)
norm(X)
print(norm.num_batches_tracked)
#> tensor(1)
norm.eval()
norm(X)
print(norm.num_batches_tracked)
#> tensor(1)

# %% [markdown]
# ## Sharing
#
# A layer that stands in two places is one layer, with one weight:

# %%
shared = nn.Linear(8, 8, bias=False)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1))
print(net[2] is net[4], net[2].weight is net[4].weight)
#> True True
print(sum(parameter.numel() for parameter in net.parameters()) == 4 * 8 + 8 + 8 * 8 + 8 + 1)
#> True

# %% [markdown]
# `is` tells whether two names are one object; equal values do not.
#
# What is the gradient of a weight that is used twice?
# Take the smallest case, `y = w * (w * x)`.
# As a function of two weights, `a` inside and `b` outside, its derivatives are `b * x` and `a * x`; at `a = b = w` they add up to `2 * w * x`:

# %%
double = nn.Linear(1, 1, bias=False)
with torch.no_grad():
    double.weight.fill_(3.0)
nn.Sequential(double, double)(torch.tensor([5.0])).backward()
print(double.weight.grad, 2 * 3 * 5)
#> tensor([[30.]]) 30

# %% [markdown]
# Two different layers can hold one Parameter; their weights are then *tied*.
# An embedding, a table with one row per word, and the layer that gives each word a score often are:

# %%
table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
model = nn.Sequential(table, scores)
print(len(list(model.parameters())), list(model.state_dict()))
#> 1 ['0.weight', '1.weight']

# %% [markdown]
# **The price.** A tie lives in Python's objects, and a few things undo it without an error:

# %%
state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
model.load_state_dict(state, assign=True)
print(scores.weight is table.weight)
#> False

# %% [markdown]
# `assign=True` gives each *module* a Parameter of its own: a layer used twice stays one, and two layers that held one Parameter come apart.
# So does `to_empty`, which gives memory to a net made on the meta device, where tensors have shapes and no values:

# %%
with torch.device("meta"):
    table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
model = nn.Sequential(table, scores).to_empty(device="cpu")
print(scores.weight is table.weight)
#> False

# %% [markdown]
# So does a new Parameter: `table.weight = nn.Parameter(...)` reaches one of the two.
# Tie them again afterwards.
# Casts and a `copy.deepcopy` of the whole net keep the tie:

# %%
import copy

scores.weight = table.weight
twin = copy.deepcopy(model.double())
print(scores.weight is table.weight, twin[1].weight is twin[0].weight)
#> True True

# %% [markdown]
# ## An optimizer holds objects, not names
#
# An optimizer takes its parameters when it is built.
# A layer that replaces another later on is not among them:

# %%
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
net[2] = nn.Linear(8, 1)

before = net[2].bias.detach().clone()
net(X).sum().backward()
optimizer.step()
print(torch.equal(net[2].bias, before))
#> True

# %% [markdown]
# The new layer got a gradient, and did not move.
# `add_param_group` tells the optimizer, and may give the layer a learning rate of its own:

# %%
optimizer.add_param_group({"params": net[2].parameters(), "lr": 0.01})
optimizer.zero_grad()
net(X).sum().backward()
optimizer.step()
print(torch.equal(net[2].bias, before))
#> False
print([(len(group["params"]), group["lr"]) for group in optimizer.param_groups])
#> [(4, 0.1), (2, 0.01)]

# %% [markdown]
# The first group still holds the two parameters of the old layer, and what the optimizer keeps for them; to be rid of them, build the optimizer again.

# %% [markdown]
# ## In the library
#
# `d2lblocks.parameters` has the few helpers that are missed in daily work.

# %%
from d2lblocks import get_tensor, parameter_table, set_tensor, shared_names

net = nn.Sequential(shared, nn.ReLU(), shared, nn.BatchNorm1d(8), nn.LazyLinear(2))
print(parameter_table(net))
#> name                   shape   values  bytes  dtype    device  trains  note
#> 0.weight               (8, 8)      64    256  float32  cpu     yes
#> 2.weight               (8, 8)      64    256  float32  cpu     yes     is 0.weight
#> 3.weight               (8,)         8     32  float32  cpu     yes
#> 3.bias                 (8,)         8     32  float32  cpu     yes
#> 3.running_mean         (8,)         8     32  float32  cpu     no      buffer
#> 3.running_var          (8,)         8     32  float32  cpu     no      buffer
#> 3.num_batches_tracked  ()           1      8  int64    cpu     no      buffer
#> 4.weight               ?            0      0  float32  cpu     yes     lazy
#> 4.bias                 ?            0      0  float32  cpu     yes     lazy
#> total                              97    392
#> trainable                          80

# %% [markdown]
# `parameter_table` lists every name of every parameter and buffer.
# A shared tensor has a row for each of its names and counts once in the totals; a lazy parameter, one that waits for the first batch, is listed without a shape.
# A sparse tensor counts the values that it stores, and its bytes include those of their indices.
# In a notebook the last expression of a cell shows it as an HTML table, and a program reads its rows:

# %%
table = parameter_table(net)
print(table.values, table.trainable_values, table.bytes)
#> 97 80 392
print([row.name for row in table if row.kind == "buffer"])
#> ['3.running_mean', '3.running_var', '3.num_batches_tracked']

# %% [markdown]
# `shared_names` gives the names that are one tensor, also where two Parameters lie in the same memory, which `is` does not see:

# %%
a, b = nn.Linear(3, 3), nn.Linear(3, 3)
b.weight.data = a.weight.data
print(a.weight is b.weight, shared_names(nn.Sequential(a, b)))
#> False [['0.weight', '1.weight']]

# %% [markdown]
# Such a pair is not tied: it has two gradients, and two places in the optimizer.
# With plain SGD the two steps add up to the same; with Adam or weight decay they do not, and a cast or a `deepcopy` takes the pair apart.

# %%
pair = nn.Sequential(a, b)
pair(torch.ones(1, 3)).sum().backward()
print(len(list(pair.parameters())), a.weight.grad is b.weight.grad)
#> 4 False

# %% [markdown]
# `get_tensor` and `set_tensor` take a path; `set_tensor` writes in place, and refuses a shape that does not fit.

# %%
set_tensor(net, "0.weight", 0.0)
print(bool((net[2].weight == 0).all()))
#> True

# %%
try:
    get_tensor(net, "0.wieght")
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: Sequential has no parameter or buffer '0.wieght': the nearest is '0.weight'

# %% [markdown]
# Their source, docstrings aside:
#
# *The library's own source, from `d2lblocks/parameters.py`:*

# %%
import html
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from numbers import Number

from torch import Tensor
from torch.nn.parameter import is_lazy

from d2lblocks._arguments import check_net, kind_of, nearest
from d2lblocks._tensors import identity, named_modules, named_tensors, own_tensors, parts, writing


@dataclass(frozen=True)
class Row:
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
    rows: tuple[Row, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]

    @property
    def values(self) -> int:
        return sum(row.values for row in self if row.shared_with is None)

    @property
    def trainable_values(self) -> int:
        # By any of its names: two Parameters in one memory may differ in this.
        shared = {row.shared_with for row in self if row.trainable}
        first = (row for row in self if row.shared_with is None)
        return sum(row.values for row in first if row.trainable or row.name in shared)

    @property
    def bytes(self) -> int:
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
        return ["name", "shape", "values", "bytes", "dtype", "device", "trains", "note"]

    @staticmethod
    def cells(row: Row) -> list[str]:
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
        rest = [""] * 4
        total = ["total", "", f"{self.values:,}", f"{self.bytes:,}", *rest]
        return [total, ["trainable", "", f"{self.trainable_values:,}", "", *rest]]


def parameter_table(net: nn.Module) -> ParameterTable:
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
    stored = parts(tensor) or (tensor,)
    sparse = tensor.layout not in (torch.strided, torch.jagged)
    values = stored[-1] if sparse else tensor  # after the indices
    return values.numel(), sum(part.numel() * part.element_size() for part in stored)


def shared_names(net: nn.Module) -> list[list[str]]:
    check_net(net)
    groups: dict[Hashable, list[str]] = {}
    for name, tensor in named_tensors(net):
        groups.setdefault(identity(tensor), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def get_tensor(net: nn.Module, path: str) -> Tensor:
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
    names = [name for name, _ in named_tensors(net)]
    if path in names:
        return "it is inside a child whose own name has a dot, which no path reaches"
    if inside := [name for name in names if path and name.startswith(f"{path}.")]:
        return f"it is a module, which holds '{inside[0]}'"
    return nearest(path, names)

# %% [markdown]
# When to use something else: `get_parameter`, `get_buffer` and `get_submodule` of `nn.Module` for paths that are known to exist; `torch.nn.utils.parameters_to_vector` for all values as one vector; the package `torchinfo` for the output shape of every layer.

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### `a leaf Variable that requires grad is being used in an in-place operation`
#
# You changed a *leaf* in place, a tensor that no operation made, as every parameter is, while autograd recorded.

# %%
layer = nn.Linear(3, 3)
try:
    layer.weight += 1
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.

# %% [markdown]
# Fix: write under `no_grad`.

# %%
layer = nn.Linear(3, 3)
with torch.no_grad():
    layer.weight += 1

# %% [markdown]
# A part of a parameter is a view of it, and gets the same error in other words:

# %%
try:
    layer.weight[0] = 0.0
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: a view of a leaf Variable that requires grad is being used in an in-place operation.

# %% [markdown]
# The fix is the same:

# %%
with torch.no_grad():
    layer.weight[0] = 0.0
print(layer.weight[0].tolist())
#> [0.0, 0.0, 0.0]

# %% [markdown]
# ### `cannot assign 'torch.FloatTensor' as parameter 'bias'`
#
# You assigned a tensor where a Parameter is registered.

# %%
try:
    layer.bias = torch.zeros(3)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: cannot assign 'torch.FloatTensor' as parameter 'bias' (torch.nn.Parameter or None expected)

# %% [markdown]
# Fix: `copy_` keeps the object.
# A new `nn.Parameter` replaces it: the optimizer has to be told, and a tie is broken.

# %%
with torch.no_grad():
    layer.bias.copy_(torch.zeros(3))
print(layer.bias)
#> Parameter containing:
#> tensor([0., 0., 0.], requires_grad=True)

# %% [markdown]
# ### A wrong shape that is noticed late
#
# `.data` takes a tensor of any shape and type.
# If the shape happens to broadcast there is no error at all; otherwise it comes with the next forward pass, from another line:

# %%
layer = nn.Linear(3, 1)
layer.bias.data = torch.randn(3, 3)
try:
    layer(torch.rand(2, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: The expanded size of the tensor (1) must match the existing size (3) at non-singleton dimension 1.  Target sizes: [2, 1].  Tensor sizes: [3, 3]

# %% [markdown]
# `copy_` under `no_grad` raises where the mistake is:

# %%
layer = nn.Linear(3, 1)
try:
    with torch.no_grad():
        layer.bias.copy_(torch.randn(3, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: output with shape [1] doesn't match the broadcast shape [3, 3]

# %% [markdown]
# It still broadcasts a smaller tensor; `set_tensor` wants the exact shape.

# %% [markdown]
# ### The gradient is wrong, and nothing complains
#
# A write through `.data` between forward and backward, as shown above: 40 instead of 4.
# Fix: write after `backward`.
# Under `torch.no_grad()` a write that comes too early is an error and not a wrong number.

# %%
w = nn.Parameter(torch.tensor(2.0))
y = w**2
y.backward()
with torch.no_grad():
    w.fill_(20.0)
print(w.grad)
#> tensor(4.)

# %% [markdown]
# ### The new layer never learns
#
# The optimizer was built before the layer was replaced, as shown above.
# The same happens after `load_state_dict(..., assign=True)`, which replaces every Parameter:

# %%
layer = nn.Linear(2, 2)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
layer.load_state_dict(layer.state_dict(), assign=True)
held = optimizer.param_groups[0]["params"]
print(any(parameter is layer.weight for parameter in held))
#> False

# %% [markdown]
# Fix: build the optimizer last.

# %% [markdown]
# ### `optimizer got an empty parameter list`, from a net that has parameters
#
# `parameters()` gives a generator, and a generator is used up after one pass:

# %%
parameters = net[:1].parameters()
print(len(list(parameters)))
#> 1
try:
    torch.optim.SGD(parameters, lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: optimizer got an empty parameter list

# %% [markdown]
# Fix: a list, or a new call.

# %%
parameters = list(net[:1].parameters())
print(len(parameters), len(torch.optim.SGD(parameters, lr=0.1).param_groups[0]["params"]))
#> 1 1

# %% [markdown]
# ### `can't optimize a non-leaf Tensor`
#
# An optimizer changes *leaves* only, tensors that no operation made, and you gave it what was computed from a parameter.
# A cast is an operation, and so is `.to(device)` when the tensor has to move:

# %%
weight = nn.Parameter(torch.rand(2)).double()
try:
    torch.optim.SGD([weight], lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: can't optimize a non-leaf Tensor

# %% [markdown]
# Fix: first the cast, the move or the arithmetic, then the Parameter.

# %%
weight = nn.Parameter(torch.rand(2).double())
print(torch.optim.SGD([weight], lr=0.1).param_groups[0]["params"][0] is weight)
#> True

# %% [markdown]
# Inside a module the same mistake is silent, because the result is not registered: see `nn.Parameter(t) * 0.01` among the mistakes of custom layers.

# %% [markdown]
# ### `some parameters appear in more than one parameter group`
#
# You gave one layer a rate of its own, and left it among the others.

# %%
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
try:
    torch.optim.SGD([{"params": net.parameters()}, {"params": net[2].parameters(), "lr": 0.01}], lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: some parameters appear in more than one parameter group

# %% [markdown]
# Fix: groups that do not overlap.

# %%
groups = [{"params": net[:2].parameters()}, {"params": net[2].parameters(), "lr": 0.01}]
print([group["lr"] for group in torch.optim.SGD(groups, lr=0.1).param_groups])
#> [0.1, 0.01]

# %% [markdown]
# ### Frozen, and it trains all the same
#
# `require_grad` is not an attribute that PyTorch knows; Python makes a new one, and says nothing.

# %%
net[0].weight.require_grad = False
print(net[0].weight.requires_grad)
#> True

# %% [markdown]
# On a module even `requires_grad` is a new attribute:

# %%
net.requires_grad = False
print(net[2].weight.requires_grad)
#> True

# %% [markdown]
# Fix: the method `requires_grad_`, which parameters and modules both have.

# %%
net[0].weight.requires_grad_(False)
print(net[0].weight.requires_grad)
#> False

# %% [markdown]
# ### `'method' object is not subscriptable`
#
# `state_dict` is a method, and the parentheses are missing.

# %%
try:
    net.state_dict["0.weight"]
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: 'method' object is not subscriptable

# %% [markdown]
# Fix: call it.

# %%
print(net.state_dict()["0.weight"].shape)
#> torch.Size([8, 4])

# %% [markdown]
# ### `Only Tensors created explicitly by the user ... support the deepcopy protocol`
#
# `copy.deepcopy` copies a tensor only if no operation made it, and the net holds one that was computed with gradients.
# The older `nn.utils.weight_norm` and `spectral_norm` keep such a tensor, the computed weight, and so does a module that keeps its last output:

# %%
class Keeps(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, X):
        self.last = self.linear(X)
        return self.last


keeps = Keeps()
keeps(X)
try:
    copy.deepcopy(keeps)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, see https://github.com/pytorch/pytorch/pull/103001

# %% [markdown]
# Fix: keep the value without its graph.

# %%
keeps.last = keeps.last.detach()
print(torch.equal(copy.deepcopy(keeps).last, keeps.last))
#> True

# %% [markdown]
# For `weight_norm`, use the newer one of the same name, which computes the weight when it is asked for; a state dict saved with the older one loads into it.

# %%
normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
print(torch.equal(copy.deepcopy(normed)(X), normed(X)))
#> True

# %% [markdown]
# ### Three blocks that are one
#
# `[layer] * 3` is a list of one layer, three times.

# %%
net = nn.Sequential(*[nn.Linear(4, 4)] * 3)
print(len(list(net.parameters())), shared_names(net))
#> 2 [['0.weight', '1.weight', '2.weight'], ['0.bias', '1.bias', '2.bias']]

# %% [markdown]
# Fix: a comprehension, which makes three.

# %%
net = nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)])
print(len(list(net.parameters())), shared_names(net))
#> 6 []

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# Reach every parameter of `NestMLP` in three ways: by attribute and index, by path, and in a loop.

# %% [markdown]
# #### Solution

# %% [markdown]
# The path says which attributes and indices to follow.

# %%
from d2lblocks import NestMLP

net = NestMLP()
paths = {name: parameter for name, parameter in net.named_parameters()}
by_hand = [
    net.net[0].weight, net.net[0].bias, net.net[2].weight, net.net[2].bias, net.linear.weight, net.linear.bias
]
for (path, parameter), mine in zip(paths.items(), by_hand):
    print(path, tuple(parameter.shape), parameter is mine is net.get_parameter(path))
#> net.0.weight (64, 20) True
#> net.0.bias (64,) True
#> net.2.weight (32, 64) True
#> net.2.bias (32,) True
#> linear.weight (16, 32) True
#> linear.bias (16,) True

# %% [markdown]
# ### Exercise 2
#
# Train an MLP whose two hidden layers are one layer.
# Watch that layer's weight and gradient at its two places.

# %% [markdown]
# #### Solution

# %% [markdown]
# Nothing has to be copied between the places: they are two names of one object.

# %%
torch.manual_seed(0)
hidden = nn.Linear(8, 8)
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), hidden, nn.ReLU(), hidden, nn.ReLU(), nn.Linear(8, 1))
X = torch.rand(64, 4)
Y = X.sum(dim=1, keepdim=True)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
losses = []
for _ in range(200):
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(net(X), Y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

print(losses[-1] < losses[0] / 10)
#> True
print(net[2].weight is net[4].weight, net[2].weight.grad is net[4].weight.grad)
#> True True

# %% [markdown]
# ### Exercise 3
#
# Why share parameters?
# Give the numbers for an embedding of 50,000 words in 512 dimensions, and a layer that scores the words.

# %% [markdown]
# #### Solution

# %% [markdown]
# Both tables hold one vector per word, so one can serve both layers; a second costs memory, and has to be learned too.
# On the meta device the net can be counted without being made.

# %%
with torch.device("meta"):
    words, scores = nn.Embedding(50_000, 512), nn.Linear(512, 50_000, bias=False)
    model = nn.Sequential(words, scores)
print(f"{parameter_table(model).bytes / 2**20:.0f} MiB")
#> 195 MiB

scores.weight = words.weight
print(f"{parameter_table(model).bytes / 2**20:.0f} MiB")
#> 98 MiB

# %% [markdown]
# ### Exercise 4
#
# Weight decay is meant for matrices, not for biases and the scales of normalisation.
# Split the parameters of a net of linear, convolution and normalisation layers into two groups accordingly.

# %% [markdown]
# #### Solution

# %% [markdown]
# Weights of linear and convolution layers have two dimensions or more; a bias, and a scale over one dimension, have one.

# %%
def decay_groups(net, decay):
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]


net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))
optimizer = torch.optim.AdamW(decay_groups(net, 0.01), lr=1e-3)
print([(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups])
#> [(2, 0.01), (4, 0.0)]

# %% [markdown]
# **The price.** It is a rule of thumb: an embedding and a `LayerNorm` over two dimensions would be decayed, and a lazy net needs its dry run before.

# %% [markdown]
# ### Exercise 5
#
# A model was tied, and something has untied it.
# Write the check that a training script runs before its first step.

# %% [markdown]
# #### Solution

# %% [markdown]
# Tied means one Parameter, so the check groups names by object.
# `shared_names` would not do: `torch.load` keeps the common memory, and `assign=True` makes two Parameters in it.

# %%
def ties(net):
    names = {}
    for name, parameter in net.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return [group for group in names.values() if len(group) > 1]


table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
model = nn.Sequential(table, scores)
torch.save(model.state_dict(), "model.pt")
print(ties(model))
#> [['0.weight', '1.weight']]

model.load_state_dict(torch.load("model.pt"), assign=True)
print(ties(model), shared_names(model))
#> [] [['0.weight', '1.weight']]

scores.weight = table.weight
print(ties(model))
#> [['0.weight', '1.weight']]

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | one parameter | `net[2].bias`, `net.get_parameter("2.bias")` |
# | its value, its gradient | `.detach()`, `.grad` |
# | all parameters, by name | `net.named_parameters()` |
# | buffers and second names too | `net.state_dict()`, `parameter_table(net)` |
# | to change values | `with torch.no_grad(): parameter.copy_(...)`, `set_tensor(net, path, value)` |
# | to freeze | `net.requires_grad_(False)` |
# | to share | one layer in two places, or `b.weight = a.weight` |
# | to see what is shared | `is`, `shared_names(net)` |
# | a rate of its own for a layer | `optimizer.add_param_group(...)` |
# | an optimizer that holds everything | build it last |
#
# The helpers of this page: `d2lblocks.parameters`.
# Before it: Layers and modules.
# Next: Initialization.
