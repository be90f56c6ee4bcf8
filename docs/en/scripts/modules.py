# %% [markdown]
# # Layers and modules
#
# This is the page "Layers and modules" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks`, `numpy` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# After this page you can write a network as a module made of modules, and tell which of its parts PyTorch knows about and which it does not.

# %%
import torch
from torch import nn
from torch.nn import functional as F

# %% [markdown]
# ## One interface for every size
#
# A *neuron* is a weighted sum of its inputs plus a bias.
# Neurons that share their inputs form a *layer*, layers that belong together a *block*, and the whole model is a *network*.
# PyTorch has one class for all four, `nn.Module`: tensors go in, tensors come out, and the module knows its own *parameters*, the numbers that training changes.
#
# `nn.Linear(3, 4)` is a layer of four neurons: it takes 3 numbers per example and gives 4.
# `nn.ReLU()` has no parameters: it replaces negative numbers by 0.

# %%
neuron = nn.Linear(3, 1)
layer = nn.Linear(3, 4)
block = nn.Sequential(layer, nn.ReLU())
network = nn.Sequential(block, nn.Linear(4, 2))

X = torch.rand(5, 3)
for module in (neuron, layer, block, network):
    print(isinstance(module, nn.Module), module(X).shape)
#> True torch.Size([5, 1])
#> True torch.Size([5, 4])
#> True torch.Size([5, 4])
#> True torch.Size([5, 2])

# %% [markdown]
# Five examples of three numbers went in each time, and five results came out.
# Because the interface is the same at every size, a block can stand wherever a layer can:
#
# (A picture: A network is drawn as a box. Inside it stand a block, again a box with a Linear and a ReLU layer in it, and next to the block a Linear layer. An arrow carries X through all of them to the output.)

# %% [markdown]
# ## One after the other: `nn.Sequential`
#
# `nn.Sequential` passes its input through the modules it was given, in their order.
# This net takes 20 numbers per example, has 256 hidden values, and gives 10; the next sections build it again in two other ways.

# %%
net = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10))
X = torch.rand(2, 20)
print(net(X).shape)
#> torch.Size([2, 10])
print(net)
#> Sequential(
#>   (0): Linear(in_features=20, out_features=256, bias=True)
#>   (1): ReLU()
#>   (2): Linear(in_features=256, out_features=10, bias=True)
#> )

# %% [markdown]
# `0`, `1` and `2` are the names of the three modules, and `net[0]` is the first of them.
# An `OrderedDict` gives them names of your choice, here in a small convolutional net:

# %%
from collections import OrderedDict

convnet = nn.Sequential(
    OrderedDict(
        [
            ("conv1", nn.Conv2d(1, 20, kernel_size=5)),
            ("relu1", nn.ReLU()),
            ("conv2", nn.Conv2d(20, 64, kernel_size=5)),
            ("relu2", nn.ReLU()),
        ]
    )
)
print(convnet.conv2)
#> Conv2d(20, 64, kernel_size=(5, 5), stride=(1, 1))
print(convnet(torch.rand(1, 1, 28, 28)).shape)
#> torch.Size([1, 64, 20, 20])

# %% [markdown]
# Images are `(examples, channels, height, width)`, and `nn.Conv2d(1, 20, kernel_size=5)` makes 20 channels from 1.
# Without padding a kernel of size 5 shortens height and width by 4, so two of them shorten 28 to 20.
#
# **The price.** `nn.Sequential` is a chain and nothing else.
# Two inputs, a skip connection, a loop or a condition need a module of your own.

# %% [markdown]
# ## A module of your own
#
# Subclass `nn.Module` and write two methods: `__init__` says what the module is, `forward` says what it does.

# %%
class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 256)
        self.out = nn.Linear(256, 10)

    def forward(self, X):
        return self.out(F.relu(self.hidden(X)))


net = MLP()
print(net(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# `F.relu` is the function, and `nn.ReLU()` the module that calls it; since it has no parameters, either will do.
# There is no `backward`: autograd, PyTorch's differentiation, records what `forward` does to its tensors, and derives the backward pass from the record.
#
# `super().__init__()` makes the tables in which a module keeps its parts.
# From then on, assigning a module to an attribute also *registers* it, under the attribute's name.
# Registered parts are what the rest of PyTorch sees: it trains them, saves them, moves them to a device, and prints the modules among them.

# %%
for name, parameter in net.named_parameters():
    print(name, tuple(parameter.shape))
#> hidden.weight (256, 20)
#> hidden.bias (256,)
#> out.weight (10, 256)
#> out.bias (10,)

# %% [markdown]
# A weight has its output size first: `nn.Linear(20, 256)` holds one of shape `(256, 20)`, and computes `X @ weight.T + bias`.
#
# Sizes that a caller may want to choose become arguments:

# %%
class SizedMLP(nn.Module):
    def __init__(self, in_features, hidden_features, out_features):
        super().__init__()
        self.hidden = nn.Linear(in_features, hidden_features)
        self.out = nn.Linear(hidden_features, out_features)

    def forward(self, X):
        return self.out(F.relu(self.hidden(X)))


print(SizedMLP(20, 64, 3)(X).shape)
#> torch.Size([2, 3])

# %% [markdown]
# ### What `net(X)` does
#
# `net(X)` is `net.__call__(X)`, as for every Python object that can be called.
# `nn.Module.__call__` runs the *hooks*, functions that others have attached to the module, and between them `forward`.

# %%
shapes = []
hook = net.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape)))
for call in (net, net.__call__, net.forward):
    call(X)
print(shapes)
#> [(2, 10), (2, 10)]
hook.remove()

# %% [markdown]
# (A picture: net(X) goes through __call__, which runs the forward pre-hooks, then forward, then the forward hooks, and gives Y. net.forward(X) goes to forward alone, past all hooks.)
#
# Three calls, two entries: `net.forward(X)` skipped the hook.
# Only the hooks of `net` itself are skipped; those of its layers still run.
# Pruning (`torch.nn.utils.prune`) and training split over several GPUs (`fully_shard`) attach hooks to the modules they change, so write `net(X)`.

# %% [markdown]
# ## A container of your own
#
# How does `nn.Sequential` know its modules?
# It registers each under its position, and goes through the table:

# %%
class MySequential(nn.Module):
    def __init__(self, *args):
        super().__init__()
        for index, module in enumerate(args):
            self.add_module(str(index), module)

    def forward(self, X):
        for module in self._modules.values():
            X = module(X)
        return X

# %% [markdown]
# `add_module` registers a module under a name given as a string, also one like `0` that no attribute could have in source code.
# It refuses a name with a dot, and the name of an attribute that exists.
# `_modules` is the table itself: the modules by name, in the order in which they came.
# The underscore says that it is PyTorch's own: look at it to see how containers work, and elsewhere loop over the container.
#
# Given the same layers, the two containers agree.
# `state_dict()`, here and below, maps the path of every parameter to its tensor; it is what one saves.

# %%
layers = nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10)
print(torch.equal(MySequential(*layers)(X), nn.Sequential(*layers)(X)))
#> True
print(list(MySequential(*layers).state_dict()) == list(nn.Sequential(*layers).state_dict()))
#> True

# %% [markdown]
# ## Any code in `forward`
#
# `forward` is Python, and it runs anew at every call.
# This block makes use of that: it has a constant, it uses one layer twice, and it loops.

# %%
class FixedHiddenMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("rand_weight", torch.rand(20, 20))
        self.linear = nn.Linear(20, 20)

    def forward(self, X):
        X = self.linear(X)
        X = F.relu(X @ self.rand_weight + 1)
        X = self.linear(X)
        while X.abs().sum() > 1:
            X = X / 2
        return X.sum()


fixed = FixedHiddenMLP()
Y = fixed(X)
print(Y.shape, bool(Y.abs() <= 1))
#> torch.Size([]) True

# %% [markdown]
# - **The constant** is a *buffer*: a tensor that belongs to the module and is not trained.
#   It is saved and moved together with the parameters, and cast with them if it holds floating-point numbers.
# - **The layer used twice** is one layer with one weight, whose gradient is the sum over both uses.
# - **The loop** runs as often as this input needs.
#   Autograd records the path that was taken.
# - **The result** is a scalar: nothing says that a module has to return a batch.

# %%
print([name for name, _ in fixed.named_parameters()])
#> ['linear.weight', 'linear.bias']
print(list(fixed.state_dict()))
#> ['rand_weight', 'linear.weight', 'linear.bias']

# %% [markdown]
# **The price.** How often the loop runs depends on the data, so the block cannot be compiled or exported as one graph.
# On a GPU, Python has to wait for the result before it can decide, at every turn of the loop.
# Exercise 5 takes the loop out.

# %% [markdown]
# ## Blocks in blocks
#
# A block is a module, so it can be a part of another block:

# %%
class NestMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.linear = nn.Linear(32, 16)

    def forward(self, X):
        return self.linear(self.net(X))


chimera = nn.Sequential(NestMLP(), nn.Linear(16, 20), FixedHiddenMLP())
print(chimera(X).shape)
#> torch.Size([])
print(chimera)
#> Sequential(
#>   (0): NestMLP(
#>     (net): Sequential(
#>       (0): Linear(in_features=20, out_features=64, bias=True)
#>       (1): ReLU()
#>       (2): Linear(in_features=64, out_features=32, bias=True)
#>       (3): ReLU()
#>     )
#>     (linear): Linear(in_features=32, out_features=16, bias=True)
#>   )
#>   (1): Linear(in_features=16, out_features=20, bias=True)
#>   (2): FixedHiddenMLP(
#>     (linear): Linear(in_features=20, out_features=20, bias=True)
#>   )
#> )

# %% [markdown]
# Every part has a path, the names from the outside in.
# What the printout calls `(0)`, `(net)`, `(2)` is reached by attribute and index, and by the path as a string:

# %%
print(chimera[0].net[2])
#> Linear(in_features=64, out_features=32, bias=True)
print(chimera.get_submodule("0.net.2") is chimera[0].net[2])
#> True

# %% [markdown]
# Parameters and buffers have no lines of their own in the printout; `rand_weight` is there all the same, as `state_dict()` showed.

# %% [markdown]
# ## In the library
#
# These blocks, fit for use, are in `d2lblocks.modules`:

# %%
import d2lblocks

print(d2lblocks.MLP(20)(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# Their source follows as it is in the package, docstrings aside.
# From here on the names mean the library's classes.

# %% [markdown]
# ### `MLP`
#
# *The library's own source, from `d2lblocks/modules.py`:*

# %%
from torch import Tensor


class MLP(nn.Module):
    def __init__(
        self,
        in_features: int | None = None,
        hidden_features: int = 256,
        out_features: int = 10,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if in_features is None:
            self.hidden: nn.Linear = nn.LazyLinear(hidden_features, device=device, dtype=dtype)
        else:
            self.hidden = nn.Linear(in_features, hidden_features, device=device, dtype=dtype)
        self.out = nn.Linear(hidden_features, out_features, device=device, dtype=dtype)

    def forward(self, X: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(X)))

# %% [markdown]
# It takes its sizes as arguments, and with `in_features=None` it leaves the input size to the first batch.
# **The price** of that: until the first batch the first weight has no shape, and can be neither counted nor initialized.
# `device` and `dtype` reach both layers, as every layer of `torch.nn` lets you choose them.
# With the same weights it gives what the sketch gave:

# %%
sketch, library = SizedMLP(20, 256, 10), MLP(20)
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True
print(MLP()(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# ### `MySequential`
#
# *The library's own source, from `d2lblocks/modules.py`:*

# %%
import operator
from collections.abc import Iterable, Iterator
from typing import Any, Self, overload


class MySequential(nn.Module):
    _modules: dict[str, nn.Module]  # type: ignore[assignment]

    def __init__(self, *args: nn.Module | OrderedDict[str, nn.Module]) -> None:
        super().__init__()
        named: Iterable[tuple[str, Any]] = ((str(index), module) for index, module in enumerate(args))
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            named = args[0].items()
        for name, module in named:
            self.add_module(name, module)  # checks the name and the type

    def forward(self, X: Tensor) -> Tensor:
        for module in self:
            X = module(X)
        return X

    def __iter__(self) -> Iterator[nn.Module]:
        # Not children(): it names every module once, however often it stands here.
        return iter(self._modules.values())

    def __len__(self) -> int:
        return len(self._modules)

    @overload
    def __getitem__(self, index: int) -> nn.Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> nn.Module | Self:
        if isinstance(index, slice):
            return type(self)(OrderedDict(list(self._modules.items())[index]))
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range")
        return list(self)[index]

    # These functions of nn.Sequential use nothing that is not above, so they are methods here as well.
    _get_item_by_idx: Any = nn.Sequential._get_item_by_idx
    append: Any = nn.Sequential.append
    extend: Any = nn.Sequential.extend
    insert: Any = nn.Sequential.insert
    pop: Any = nn.Sequential.pop
    __setitem__: Any = nn.Sequential.__setitem__
    __delitem__: Any = nn.Sequential.__delitem__
    __imul__: Any = nn.Sequential.__imul__

    def __iadd__(self, other: "MySequential | nn.Sequential") -> Self:
        added = nn.Sequential(*other) if isinstance(other, MySequential) else other
        nn.Sequential.__iadd__(self, added)  # type: ignore[arg-type]
        return self

    def __add__(self, other: "MySequential | nn.Sequential") -> "MySequential":
        return MySequential(*self).__iadd__(other)

    def __mul__(self, times: int) -> "MySequential":
        return MySequential(*self).__imul__(times)

    __rmul__ = __mul__

# %% [markdown]
# Unlike the sketch, it also accepts an `OrderedDict`, has a length, indices and slices, and can be changed.
# The methods that change it are `nn.Sequential`'s own: a method is a function in a class, and these need only what `MySequential` defines above them.
# So wherever both define a method, they behave the same:

# %%
mine, theirs = MySequential(*layers), nn.Sequential(*layers)
print(torch.equal(mine(X), theirs(X)), len(mine) == len(theirs))
#> True True
print(mine[-1] is theirs[-1], list(mine[1:].state_dict()) == list(theirs[1:].state_dict()))
#> True True

# %%
mine.append(nn.Tanh()).insert(0, nn.Flatten())
del mine[1]
print(len(mine), mine[0], (mine + mine)[-1])
#> 4 Flatten(start_dim=1, end_dim=-1) Tanh()

# %% [markdown]
# In a net of your own, use `nn.Sequential`: other code may look for its class, as `torch.jit.script` does.

# %% [markdown]
# ### `FixedHiddenMLP`
#
# *The library's own source, from `d2lblocks/modules.py`:*

# %%
class FixedHiddenMLP(nn.Module):
    rand_weight: Tensor

    def __init__(
        self,
        num_features: int = 20,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        constant = torch.empty(num_features, num_features, device=device, dtype=dtype)
        self.register_buffer("rand_weight", constant)
        self.linear = nn.Linear(num_features, num_features, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.rand_weight)

    def forward(self, X: Tensor) -> Tensor:
        H = F.relu(self.linear(X) @ self.rand_weight + 1)
        Y = self.linear(H)
        if not Y.isfinite().all():
            raise ValueError(
                "expected finite values to halve until their absolute values sum to at most 1, "
                f"but got {(~Y.isfinite()).sum()} of {Y.numel()} that are inf or nan, "
                f"from an input of shape {tuple(X.shape)} with {(~X.isfinite()).sum()} of them"
            )
        while Y.abs().sum() > 1:
            Y = Y / 2
        return Y.sum()

# %% [markdown]
# Values that are not finite get an error: halving never brings infinity to 1, and `nan` would end the loop unnoticed.

# %%
sketch, library = fixed, FixedHiddenMLP()
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True

# %%
try:
    library(torch.full((2, 20), float("inf")))
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: expected finite values to halve until their absolute values sum to at most 1, but got 40 of 40 that are inf or nan, from an input of shape (2, 20) with 40 of them

# %% [markdown]
# `reset_parameters` fills what the block itself holds.
# A block made on the `meta` device, where tensors have shapes and no memory, gets memory from `to_empty`, and values from the `reset_parameters` of each of its modules:

# %%
library = FixedHiddenMLP(device="meta").to_empty(device="cpu")
for module in library.modules():
    module.reset_parameters()
print(library(X).shape)
#> torch.Size([])

# %% [markdown]
# ### `NestMLP`
#
# *The library's own source, from `d2lblocks/modules.py`:*

# %%
class NestMLP(nn.Module):
    def __init__(
        self,
        in_features: int = 20,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(in_features, 64, device=device, dtype=dtype),
            nn.ReLU(),
            nn.Linear(64, 32, device=device, dtype=dtype),
            nn.ReLU(),
        )
        self.linear = nn.Linear(32, 16, device=device, dtype=dtype)

    def forward(self, X: Tensor) -> Tensor:
        return self.linear(self.net(X))

# %% [markdown]
# The width of its input is an argument; the inner widths are what makes it `NestMLP`.

# %%
sketch, library = chimera[0], NestMLP()
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### `cannot assign module before Module.__init__() call`
#
# The tables of the module do not exist yet: `super().__init__()` is missing, or comes too late.

# %%
class NoInit(nn.Module):
    def __init__(self):
        self.linear = nn.Linear(20, 10)

    def forward(self, X):
        return self.linear(X)

# %%
try:
    NoInit()
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: cannot assign module before Module.__init__() call

# %% [markdown]
# A parameter or a buffer gets the same error, with `parameters` or `buffer` in place of `module`:

# %%
class NoInitParameter(nn.Module):
    def __init__(self):
        self.weight = nn.Parameter(torch.zeros(20))


try:
    NoInitParameter()
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: cannot assign parameters before Module.__init__() call

# %% [markdown]
# A class whose attributes are all plain builds without an error, and fails at its first call:

# %%
class NoInitNoLayers(nn.Module):
    def __init__(self):
        self.scale = 2.0

    def forward(self, X):
        return self.scale * X


try:
    NoInitNoLayers()(X)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'NoInitNoLayers' object has no attribute '_backward_hooks'

# %% [markdown]
# Fix: `super().__init__()` is the first line of `__init__`.
# A class without an `__init__` inherits that of `nn.Module`, and needs no line.

# %%
class WithInit(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(20, 10)

    def forward(self, X):
        return self.linear(X)


print(WithInit()(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# ### `unhashable type`: a module as a dataclass
#
# `@dataclass` gives the class a method `__eq__`, and a class that defines `__eq__` loses its hash.
# PyTorch collects modules in a set to visit each of them once, so `parameters()` and `zero_grad()` fail, and in a net that has such a module inside, so do `to()` and `eval()`.

# %%
from dataclasses import dataclass


@dataclass
class Fields(nn.Module):
    width: int

    def __post_init__(self):
        super().__init__()
        self.linear = nn.Linear(self.width, 10)


try:
    list(Fields(20).parameters())
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: unhashable type: 'Fields'

# %% [markdown]
# Fix: `eq=False` keeps the hash.

# %%
@dataclass(eq=False)
class HashableFields(nn.Module):
    width: int

    def __post_init__(self):
        super().__init__()
        self.linear = nn.Linear(self.width, 10)


print([name for name, _ in HashableFields(20).named_parameters()])
#> ['linear.weight', 'linear.bias']

# %% [markdown]
# A class that needs an `__eq__` of its own, or inherits one from `collections.abc.Mapping`, gets its hash back by the line `__hash__ = nn.Module.__hash__`:

# %%
from collections.abc import Mapping


class Table(nn.Module, Mapping):
    __hash__ = nn.Module.__hash__

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict({"out": nn.Linear(20, 10)})

    def __getitem__(self, name):
        return self.layers[name]

    def __iter__(self):
        return iter(self.layers)

    def __len__(self):
        return len(self.layers)


print([name for name, _ in Table().named_parameters()])
#> ['layers.out.weight', 'layers.out.bias']

# %% [markdown]
# A field that holds a module, a parameter or a buffer is assigned before `__post_init__` runs, and raises `cannot assign module before Module.__init__() call`.
# Write the `__init__` of such a class by hand.

# %% [markdown]
# ### `optimizer got an empty parameter list`: layers in a Python list
#
# A list is a plain attribute, so nothing in it is registered.
# The net computes, and has no parameters:

# %%
class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(20, 20), nn.Linear(20, 10)]

    def forward(self, X):
        for layer in self.layers:
            X = layer(X)
        return X


net = Listed()
print(net(X).shape, list(net.parameters()), net.state_dict())
#> torch.Size([2, 10]) [] OrderedDict()
print(net)
#> Listed()

# %% [markdown]
# Its layers are not moved by `.to()` and not in `state_dict()`, and loading an empty `state_dict` into it reports success.
# The optimizer is the first to notice:

# %%
try:
    torch.optim.SGD(net.parameters(), lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: optimizer got an empty parameter list

# %% [markdown]
# Next to layers that are registered, even the optimizer is silent.
# Fix: `nn.ModuleList`, a list that registers.

# %%
net.layers = nn.ModuleList(net.layers)
print(list(net.state_dict()))
#> ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']

# %% [markdown]
# For modules by name there is `nn.ModuleDict`; a Python dictionary registers nothing either.
# Its keys become attributes, so a name that every `ModuleDict` has is refused, and so is one with a dot:

# %%
try:
    nn.ModuleDict({"keys": nn.ReLU()})
except KeyError as error:
    print(f"KeyError: {error}")
#> KeyError: "attribute 'keys' already exists"

# %% [markdown]
# Fix: another key.

# %%
print(nn.ModuleDict({"key_layer": nn.ReLU()})["key_layer"])
#> ReLU()

# %% [markdown]
# ### The constant that stays behind
#
# A tensor as a plain attribute is not registered either.
# It is not in `state_dict()`, and it does not follow when the net is moved or cast:

# %%
class PlainConstant(nn.Module):
    def __init__(self):
        super().__init__()
        self.rand_weight = torch.rand(20, 20)
        self.linear = nn.Linear(20, 20)

    def forward(self, X):
        return self.linear(X) @ self.rand_weight


net, clone = PlainConstant(), PlainConstant()
print(clone.load_state_dict(net.state_dict()))
#> <All keys matched successfully>
print(torch.equal(net(X), clone(X)))
#> False

# %% [markdown]
# "All keys matched", and the outputs differ: each net drew a constant of its own.
# After a cast, the constant is the only one left behind:

# %%
try:
    net.double()(X.double())
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float

# %% [markdown]
# If there is no such constant in your net, the batch has another dtype than the weights: see `mat1 and mat2 must have the same dtype`.
#
# Fix: `register_buffer`, as in `FixedHiddenMLP` above, or its short form, an `nn.Buffer` assigned to an attribute.

# %%
class BufferConstant(nn.Module):
    def __init__(self):
        super().__init__()
        self.rand_weight = nn.Buffer(torch.rand(20, 20))
        self.linear = nn.Linear(20, 20)

    def forward(self, X):
        return self.linear(X) @ self.rand_weight


net, clone = BufferConstant(), BufferConstant()
clone.load_state_dict(net.state_dict())
print(torch.equal(net(X), clone(X)), net.double()(X.double()).dtype)
#> True torch.float64

# %% [markdown]
# A constant that can be computed again needs no place in a saved file: `nn.Buffer(..., persistent=False)` is moved and cast, and not in `state_dict()`.

# %% [markdown]
# ### A layer given twice runs once
#
# `children()` names every module once, however often it is registered.
# A container that loops over it leaves out every repetition, silently:

# %%
class ChildrenSequential(MySequential):
    def forward(self, X):
        for module in self.children():
            X = module(X)
        return X


double = nn.Linear(1, 1, bias=False)
nn.init.constant_(double.weight, 2.0)
ones = torch.ones(1, 1)
print(ChildrenSequential(double, double)(ones).item())
#> 2.0
print(MySequential(double, double)(ones).item())
#> 4.0

# %% [markdown]
# Fix: loop over the container itself.
# `for module in self` gives every entry of a `MySequential`, as of an `nn.Sequential` or an `nn.ModuleList`.

# %%
print(len(list(MySequential(double, double))), len(list(MySequential(double, double).children())))
#> 2 1

# %% [markdown]
# ### `nn.Sequential(*net.children())` computes something else
#
# You want the features in front of the last layer, and build a net from all children but the last.
# `children()` gives the layers only: whatever `forward` does between them, such as an activation, a flatten or a shortcut, is lost.

# %%
class WithFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(20, 20), nn.Linear(20, 10)

    def forward(self, X):
        return self.out(F.relu(self.hidden(X)))


net = WithFunction()
features = F.relu(net.hidden(X))
print(torch.equal(nn.Sequential(*list(net.children())[:-1])(X), features))
#> False

# %% [markdown]
# Only when the shapes no longer fit is there an error, `mat1 and mat2 shapes cannot be multiplied`.
# Fix: keep the net with its `forward`, and replace its last layer.

# %%
net.out = nn.Identity()
print(torch.equal(net(X), features))
#> True

# %% [markdown]
# To keep the last layer as well, read its input with a hook.

# %% [markdown]
# ### The layer that never learns: built in `forward`
#
# A layer made inside `forward` is a new one, with new random weights, at every call.

# %%
class Forgetful(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 20)

    def forward(self, X):
        return nn.Linear(20, 10)(self.hidden(X))


net = Forgetful()
print(torch.equal(net(X), net(X)))
#> False
print([name for name, _ in net.named_parameters()])
#> ['hidden.weight', 'hidden.bias']

# %% [markdown]
# One input, two results, and no optimizer gets the second layer.
# Assigning it to `self` inside `forward` only looks better: it is registered then, but every call replaces it, and an optimizer holds one that is gone.
# Fix: build layers in `__init__`; where an input size is not known there, `nn.LazyLinear` waits for the first batch.
# An optimizer built before that batch holds its parameters all the same, because they are filled in place.

# %%
class Learning(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 20)
        self.out = nn.LazyLinear(10)

    def forward(self, X):
        return self.out(self.hidden(X))


net = Learning()
print(torch.equal(net(X), net(X)))
#> True
print([name for name, _ in net.named_parameters()])
#> ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']

# %% [markdown]
# ### The replaced layer is still there: a dot in `setattr`
#
# `setattr` does not follow a path.
# A name with a dot becomes a new child of the net itself, without an error, and the old layer stays in use:

# %%
net = NestMLP()
setattr(net, "net.2", nn.Linear(64, 32))
print([name for name, _ in net.named_children()])
#> ['net', 'linear', 'net.2']
print(len(list(net.named_parameters())), len(net.state_dict()))
#> 8 6

# %% [markdown]
# Both layers now have parameters called `net.2.weight` and `net.2.bias`, and `state_dict()` holds one tensor for each name, so one of them is not saved.
# Fix: `set_submodule` follows the path; with `strict=True` it raises an error if there is no layer to replace.

# %%
net = NestMLP()
net.set_submodule("net.2", nn.Identity(), strict=True)
print(net.net[2], [name for name, _ in net.named_children()])
#> Identity() ['net', 'linear']

# %% [markdown]
# Assigning to the parent does the same: `net.net[2] = nn.Identity()`.
# In the same way, `getattr(net, "net.2")` finds nothing and `net.get_submodule("net.2")` finds the layer.

# %% [markdown]
# ### `missing the required "forward" function`
#
# The method is called `forward`, and is indented inside the class.
# A misspelt name, or one outside the class, shows only at the call:

# %%
class Misspelt(nn.Module):
    def foward(self, X):
        return X


try:
    Misspelt()(X)
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Module [Misspelt] is missing the required "forward" function

# %% [markdown]
# The same message, for the same reason, from a container that does not say how its modules are to be run:

# %%
try:
    nn.ModuleList([nn.Linear(20, 10)])(X)
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Module [ModuleList] is missing the required "forward" function

# %% [markdown]
# Fix: the right name; loop over an `nn.ModuleList` in your own `forward`, or chain its modules.

# %%
modules = nn.ModuleList([nn.Linear(20, 10), nn.ReLU()])
print(nn.Sequential(*modules)(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# ### A class where an instance belongs
#
# `nn.ReLU` is a class: `nn.ReLU()` makes a module, and `nn.ReLU(X)` makes one whose option `inplace` is `X`.
# The error comes one step later, from whoever receives a module in place of a tensor:

# %%
try:
    nn.Linear(20, 10)(nn.ReLU(X))
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: linear(): argument 'input' (position 1) must be Tensor, not ReLU

# %% [markdown]
# Fix: the function `F.relu` on tensors, the module `nn.ReLU()` among modules.

# %%
print(nn.Linear(20, 10)(F.relu(X)).shape)
#> torch.Size([2, 10])

# %% [markdown]
# The other way round, a function among modules, is refused at once:

# %%
try:
    nn.Sequential(nn.Linear(20, 10), F.relu)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: torch.nn.functional.relu is not a Module subclass

# %% [markdown]
# A container that writes into `_modules` by hand skips this check, and fails far from the cause:

# %%
net = nn.Module()
net._modules["0"] = F.relu
try:
    net.state_dict()
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'function' object has no attribute 'state_dict'

# %% [markdown]
# Fix: `add_module`, which checks.

# %%
try:
    nn.Module().add_module("0", F.relu)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: torch.nn.functional.relu is not a Module subclass

# %% [markdown]
# ### `has no attribute`, and the property is there
#
# The property exists, but something inside it raises an `AttributeError`.
# Python then asks `nn.Module` for an attribute of the property's name, and its error replaces the real one:

# %%
class Slip(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(20, 10)

    @property
    def width(self):
        return self.linear.out_feature


net = Slip()
try:
    net.width
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Slip' object has no attribute 'width'

# %% [markdown]
# To see the real error, call the function of the property (for a `cached_property`, it is `.func` in place of `.fget`):

# %%
try:
    type(net).width.fget(net)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Linear' object has no attribute 'out_feature'

# %% [markdown]
# Fix: correct the name inside the property.

# %%
class Corrected(Slip):
    @property
    def width(self):
        return self.linear.out_features


print(Corrected().width)
#> 10

# %% [markdown]
# ### `mat1 and mat2 shapes cannot be multiplied`
#
# The last dimension of an input is not what the layer was built for:

# %%
import re

net = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10))
try:
    net(torch.rand(2, 28, 28))
except RuntimeError as error:
    print(re.search("mat1 .*", str(error))[0])
#> mat1 and mat2 shapes cannot be multiplied (56x28 and 20x256)

# %% [markdown]
# The numbers are the shapes that met: 56 rows of 28 values, and a weight for rows of 20.
# Here the images should have been flattened, and the layer built for their 784 values:

# %%
net = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
print(net(torch.rand(2, 28, 28)).shape)
#> torch.Size([2, 10])

# %% [markdown]
# Inside a longer chain, print the shape after each module, or leave the size to the first batch: lazy initialization.

# %% [markdown]
# ### `mat1 and mat2 must have the same dtype`: a batch from NumPy
#
# A layer multiplies only numbers of one dtype.
# NumPy's numbers are `float64`, and `torch.from_numpy` keeps that; a layer's weights are `float32`.

# %%
import numpy

net = nn.Linear(20, 10)
batch = torch.from_numpy(numpy.ones((2, 20)))
try:
    net(batch)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: mat1 and mat2 must have the same dtype, but got Double and Float

# %% [markdown]
# The first of the two dtypes is the batch's, the second the weight's: `Float and BFloat16` means that the net was cast to 16 bits and the batch was not, `Long and Float` that the batch holds whole numbers.
# Fix: cast the batch to the dtype of the weights.

# %%
print(net(batch.float()).dtype, net.bfloat16()(batch.to(net.weight.dtype)).dtype)
#> torch.float32 torch.bfloat16

# %% [markdown]
# A layer without a bias says the same in other words:

# %%
try:
    nn.Linear(20, 10, bias=False)(batch)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float

# %% [markdown]
# So does a convolution:

# %%
try:
    nn.Conv2d(1, 1, 3)(torch.ones(1, 1, 5, 5, dtype=torch.float64))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Input type (double) and bias type (float) should be the same

# %% [markdown]
# If the batch has the right dtype, look for a tensor inside the net that was not cast: the constant that stays behind.
# On Apple's GPU, cast before moving: `Cannot convert a MPS Tensor to float64 dtype`.

# %% [markdown]
# ### The caller's input has changed
#
# `X /= 2` writes into the tensor that it was given, and so does `nn.ReLU(inplace=True)` when it comes first in a net.

# %%
class Halved(nn.Module):
    def forward(self, X):
        X /= 2
        return X


ones = torch.ones(3)
Halved()(ones)
print(ones)
#> tensor([0.5000, 0.5000, 0.5000])

# %% [markdown]
# Fix: `X = X / 2` makes a new tensor.

# %%
class HalvedCopy(nn.Module):
    def forward(self, X):
        X = X / 2
        return X


ones = torch.ones(3)
print(HalvedCopy()(ones), ones)
#> tensor([0.5000, 0.5000, 0.5000]) tensor([1., 1., 1.])

# %% [markdown]
# ### The same input, another output
#
# Dropout sets random values to zero in training, and a new module is in training mode.

# %%
net = nn.Sequential(nn.Linear(20, 256), nn.Dropout(), nn.Linear(256, 10))
print(net.training, torch.equal(net(X), net(X)))
#> True False
net.eval()
print(net.training, torch.equal(net(X), net(X)))
#> False True

# %% [markdown]
# Fix: `net.eval()` before you predict, `net.train()` before training continues.
# Loading weights does not do it for you: the mode is not among the tensors of a state dict, so a new net is in training mode after it was loaded, too.

# %%
loaded = nn.Sequential(nn.Linear(20, 256), nn.Dropout(), nn.Linear(256, 10))
loaded.load_state_dict(net.state_dict())
print(net.training, loaded.training)
#> False True
print(torch.equal(loaded.eval()(X), net(X)))
#> True

# %% [markdown]
# The function `F.dropout` does not listen to either, unless you write `F.dropout(X, training=self.training)`.
# Whether gradients are recorded is another switch: `torch.no_grad()`.

# %% [markdown]
# ### The call that never returns
#
# Half of infinity is infinity, so the loop of the sketch of `FixedHiddenMLP` never ends once a value has overflowed:

# %%
print(torch.tensor(float("inf")) / 2)
#> tensor(inf)

# %% [markdown]
# Fix: before a loop that ends when values are small enough, make sure that they are finite.
# The library's block does so, and raises the error shown above.

# %%
print(bool(torch.tensor([1.0, float("inf"), float("nan")]).isfinite().all()))
#> False

# %% [markdown]
# ### `maximum recursion depth exceeded`: a child that holds its parent
#
# A module assigned to an attribute is registered as a child, and a parent is no exception.
# Each is then inside the other, and everything that goes through the net by recursion, such as `to()`, `train()` or `print`, never reaches an end:

# %%
class Child(nn.Module):
    def __init__(self, parent):
        super().__init__()
        self.parent = parent


class Parent(nn.Module):
    def __init__(self, child_class):
        super().__init__()
        self.width = 20
        self.child = child_class(self)


try:
    Parent(Child).to("cpu")
except RecursionError as error:
    print("maximum recursion depth exceeded" in str(error))
#> True

# %% [markdown]
# Fix: pass what the child needs to its `__init__` or `forward`.
# If it really needs the parent, a tuple hides the parent from the registration:

# %%
class Aware(nn.Module):
    def __init__(self, parent):
        super().__init__()
        self.parent = (parent,)


net = Parent(Aware).to("cpu")
print(net.child.parent[0].width)
#> 20

# %% [markdown]
# ### `'DataParallel' object has no attribute`
#
# `DataParallel`, `DistributedDataParallel` and `AveragedModel` keep your net in their attribute `module`:

# %%
averaged_net = nn.Sequential(OrderedDict(body=nn.Linear(4, 4)))
wrapped = torch.optim.swa_utils.AveragedModel(averaged_net)
try:
    wrapped.body
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'AveragedModel' object has no attribute 'body'

# %% [markdown]
# Fix: go through `module`, or keep a variable for the net itself.

# %%
print(wrapped.module.body)
#> Linear(in_features=4, out_features=4, bias=True)

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# A net keeps its blocks in a Python list, `self.blocks = blocks`, and calling it works.
# Show three things that do not work, and repair the net in one line.

# %% [markdown]
# #### Solution

# %% [markdown]
# Nothing in the list is registered, so nothing outside `forward` finds it: not the optimizer, not `.to()`, not `state_dict()`.

# %%
class Tower(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks

    def forward(self, X):
        for block in self.blocks:
            X = block(X)
        return X


tower = Tower([MLP(20, 64, 20), MLP(20, 64, 10)])
print("parameters", len(list(tower.parameters())))
#> parameters 0
print("cast", {block.out.weight.dtype for block in tower.double().blocks})
#> cast {torch.float32}
print("saved", list(tower.state_dict()))
#> saved []

# %% [markdown]
# `nn.ModuleList` takes the list as it is; in the class, the line is `self.blocks = nn.ModuleList(blocks)`.

# %%
tower.blocks = nn.ModuleList(tower.blocks)
print("parameters", len(list(tower.parameters())))
#> parameters 8
print("cast", {block.out.weight.dtype for block in tower.double().blocks})
#> cast {torch.float64}
print("saved", list(tower.state_dict())[:2], "and so on")
#> saved ['blocks.0.hidden.weight', 'blocks.0.hidden.bias'] and so on

# %% [markdown]
# ### Exercise 2
#
# Write a block that takes two nets, gives both the same input, and joins their outputs.
# Which sizes have to agree?

# %% [markdown]
# #### Solution

# %% [markdown]
# Both nets take the same input, and their outputs agree in every size but the one along which they are joined.
# The block is useful enough to be in the library, for any number of nets; for images, `dim=1` joins channels.
#
# *The library's own source, from `d2lblocks/modules.py`:*

# %%
class Parallel(nn.Module):
    def __init__(self, *nets: nn.Module, dim: int = -1) -> None:
        super().__init__()
        if not nets:
            raise ValueError("expected at least one module to join, but got none")
        self.nets = nn.ModuleList(nets)
        self.dim = dim

    def forward(self, X: Tensor) -> Tensor:
        return torch.cat([net(X) for net in self.nets], dim=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"

# %%
left, right = nn.Linear(20, 8), MLP(20, 64, 4)
both = Parallel(left, right)
print(both(X).shape)
#> torch.Size([2, 12])
print(torch.equal(both(X), torch.cat([left(X), right(X)], dim=1)))
#> True

# %% [markdown]
# ### Exercise 3
#
# Write a function that makes `n` blocks of one kind and chains them.
# Its first argument is a function that makes a block: what would go wrong with a block?

# %% [markdown]
# #### Solution

# %% [markdown]
# A block given once and repeated is one block: its weights are shared by all places.
# A function that is called `n` times makes `n` blocks.
# (`copy.deepcopy` would give separate weights too, but all blocks would begin with the same values.)

# %%
def chain(make_block, n):
    return nn.Sequential(*(make_block() for _ in range(n)))


net = chain(lambda: MLP(20, 64, 20), 3)
print(net(X).shape, len(list(net.parameters())))
#> torch.Size([2, 20]) 12

shared = nn.Sequential(*[MLP(20, 64, 20)] * 3)
print(shared(X).shape, len(list(shared.parameters())))
#> torch.Size([2, 20]) 4

# %% [markdown]
# ### Exercise 4
#
# Print the shape of what every layer of `chimera` gives, without changing a line of its classes.

# %% [markdown]
# #### Solution

# %% [markdown]
# A forward hook sees every output.
# Layers are the modules without children; the one that `FixedHiddenMLP` uses twice reports twice.

# %%
def report(name):
    return lambda module, inputs, output: print(f"{name:9} {tuple(output.shape)}")


hooks = [
    module.register_forward_hook(report(name))
    for name, module in chimera.named_modules()
    if not list(module.children())
]
Y = chimera(X)
#> 0.net.0   (2, 64)
#> 0.net.1   (2, 64)
#> 0.net.2   (2, 32)
#> 0.net.3   (2, 32)
#> 0.linear  (2, 16)
#> 1         (2, 20)
#> 2.linear  (2, 20)
#> 2.linear  (2, 20)
for hook in hooks:
    hook.remove()

# %% [markdown]
# ### Exercise 5
#
# The loop in `FixedHiddenMLP` keeps it from being compiled as one graph.
# Write the same function without a loop, and show that both give the same number and the same gradients.

# %% [markdown]
# #### Solution

# %% [markdown]
# `torch.frexp` writes a positive, finite sum as `mantissa * 2**exponent`, with a mantissa of at least 0.5 and less than 1.
# So `exponent` halvings bring it below 1, and one less is enough when the mantissa is 0.5.
# A factor that is a power of two changes exponents only, so one product gives exactly what the halvings gave, as long as no value becomes too small for its type.

# %%
class NoLoop(FixedHiddenMLP):
    def forward(self, X):
        Y = self.linear(F.relu(self.linear(X) @ self.rand_weight + 1))
        mantissa, exponent = torch.frexp(Y.detach().abs().sum())
        halvings = (exponent - (mantissa == 0.5).int()).clamp(min=0)
        return (Y * torch.ldexp(torch.ones_like(mantissa), -halvings)).sum()


looped, straight = FixedHiddenMLP(), NoLoop()
straight.load_state_dict(looped.state_dict())
print(torch.equal(looped(X), straight(X)))
#> True

looped(X).backward()
straight(X).backward()
print(torch.equal(looped.linear.weight.grad, straight.linear.weight.grad))
#> True

compiled = torch.compile(straight, backend="eager", fullgraph=True)
print(torch.equal(compiled(X), looped(X)))
#> True

# %% [markdown]
# `torch.ldexp` makes only the factor, from a tensor without gradient: with a whole exponent its own gradient is zero, silently.
# **The price.** The check for `inf` and `nan` is gone, and a sum that overflows is not halved.

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | a chain of modules | `nn.Sequential(...)` |
# | names for its parts | `nn.Sequential(OrderedDict(...))` |
# | a module of your own | a subclass of `nn.Module` with `__init__` and `forward` |
# | its parts to be trained, saved, moved | `super().__init__()` first, then `self.name = module` |
# | parts in a list, or by name | `nn.ModuleList`, `nn.ModuleDict` |
# | a constant that is saved and moved | `register_buffer` or `nn.Buffer` |
# | to run a module | `net(X)`, not `net.forward(X)` |
# | a part by its path | `net.get_submodule("0.net.2")` |
# | every entry of a container | `for module in container`, not `.children()` |
# | no dropout while predicting | `net.eval()` |
#
# The classes of this page: `d2lblocks.modules`.
# How it is kept true: tested.
# Next: Parameters.
