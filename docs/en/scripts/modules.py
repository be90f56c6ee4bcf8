# %% [markdown]
# # Layers and modules
#
# This is the page "Layers and modules" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks`, `numpy` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# You want to build a network that no ready-made class provides: it has two inputs, a loop or the same layer in two places.
# In PyTorch, you write it as a class of your own.
# Such a network can run without errors even when PyTorch does not find some of its layers; those layers are then not trained, saved or moved to the GPU.
#
# - **What you will be able to do:** write a network as a module made of other modules, and tell which of its parts PyTorch trains, saves and moves.
# - **What you need:** Python, including classes and methods; you should also know what a tensor is, for example from [Tensors](https://docs.pytorch.org/tutorials/beginner/basics/tensorqs_tutorial.html) on pytorch.org.
# - **How long it takes:** about 20 minutes up to In the library, and this part is enough for the next topic; about 75 minutes with the rest and the exercises.
#
# The snippets on this page use these three imports:

# %%
import torch
from torch import nn
from torch.nn import functional as F

# %% [markdown]
# ## `nn.Module`: one class for neuron, layer, block and network
#
# A network has parts of different sizes, and each size has a name.
# A <dfn>neuron</dfn> multiplies each of its inputs by a number called a weight, adds up the products and adds one more number, the bias.
# A <dfn>layer</dfn> is one step of a network; the most common kind is a group of neurons that all get the same inputs.
# A <dfn>block</dfn> is a group of layers that is used as one unit.
# A <dfn>network</dfn>, also called a net or a model, consists of all the layers that turn an input into a result.
#
# PyTorch uses one class, `nn.Module`, for all of these, from a single neuron to a whole network.
# A <dfn>module</dfn> is an object of the class `nn.Module` or of one of its subclasses; it usually takes tensors and returns tensors, and it can hold parameters and other modules.
# A <dfn>parameter</dfn> is a tensor whose values are learned during training, such as the weights and biases of a layer.
#
# `nn.Linear(3, 4)` is a linear layer of four neurons: it takes 3 numbers and returns 4, one from each neuron.
# `nn.ReLU()` is a layer without parameters: it replaces each negative number with 0.
# An <dfn>activation function</dfn> is a function, such as ReLU, that is applied to the output of a layer and is nonlinear: it does more than multiply by constants and add constants.
# Without an activation function between them, two linear layers can compute no more than one, because the two steps can be combined into one.
#
# This snippet builds a module of each size; `nn.Sequential` joins modules into a chain:

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
# `X` is a batch.
# A <dfn>batch</dfn> is a tensor that holds several inputs, called examples, usually along its first dimension, so that a net can process all of them in one call.
# Here, five examples of three numbers each went into every module, and five results came out, one per example.
#
# All four objects are modules, and all four are called in the same way.
# You can therefore use a block wherever you can use a layer:
#
# (A picture: A network drawn as a box. X enters at the top, with the shape (5, 3). The box contains a block and, below it, Linear(4, 2). The block is also a box and contains Linear(3, 4) and ReLU(). An arrow leads from X through all three layers to the output Y at the bottom, with the shape (5, 2).)

# %% [markdown]
# ## `nn.Sequential`: a chain of modules
#
# Many nets are chains: the output of each module is the input of the next.
# `nn.Sequential` builds such a chain from modules, in the order in which you pass them.
# The net below takes 20 numbers per example, computes 256 intermediate values, called hidden values, and returns 10 numbers.
# The next sections build the same net in two other ways.

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
# The printout shows the three modules and their names, `0`, `1` and `2`.
# `net[0]` is the first module.
#
# To choose the names yourself, pass an `OrderedDict`, a dictionary class from Python's standard library.
# The next snippet builds a small convolutional net; if convolutions are new to you, look only at the names, and then continue at "Limitation" below.

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
# A batch of images has the shape `(examples, channels, height, width)`.
# `nn.Conv2d(1, 20, kernel_size=5)` computes 20 channels from 1 channel.
# Without padding, a kernel of size 5 reduces both the height and the width by 4.
# Two such layers therefore reduce them from 28 to 20.
#
# **Limitation.** `nn.Sequential` can build only a chain.
# If the net has two inputs, a skip connection (a path around some layers), a loop or an `if`, write a module of your own.

# %% [markdown]
# ## Your own module: `__init__` and `forward`
#
# To write a module, subclass `nn.Module` and define two methods.
# `__init__` creates the layers.
# `forward` computes the output from the input.

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
# An <dfn>MLP</dfn>, or multilayer perceptron, is a net of linear layers with an activation function between them.
# Calling `net(X)` runs `forward` and returns 10 numbers for each of the two examples, as before.
# A <dfn>forward pass</dfn> is one run of a net from its input to its output.
#
# `F.relu` is a function, and `nn.ReLU()` is a module that calls this function.
# Because ReLU has no parameters, you can use either.
#
# You do not write a method for the backward pass, which computes the derivatives of the result with respect to the parameters.
# These derivatives are called gradients, and autograd computes them for you.
# <dfn>Autograd</dfn> is PyTorch's automatic differentiation: it records the operations of the forward pass and computes the gradients from this record.

# %% [markdown]
# ### Registration: `self.name = layer`
#
# `super().__init__()` creates empty dictionaries, the tables in which the module keeps its parts.
# After that, `self.hidden = nn.Linear(20, 256)` registers the layer, and you can read it back as `net.hidden`.
# <dfn>Registration</dfn> means that a module stores a part, such as a layer or a parameter, under a name in one of its dictionaries.
# A registered layer or parameter is trained, saved and moved together with the module.
# Here, the name of the part is the name of the attribute, `hidden`.
# A <dfn>child module</dfn> is a module that is registered in another module, which is called its parent.
# A <dfn>submodule</dfn> of a module is one of its child modules, a child of one of them, and so on.
#
# PyTorch does not look into a plain Python list, so a layer in a list is not registered (use an `nn.ModuleList` instead, as in `self.layers = nn.ModuleList([...])`):
#
# (A picture: self.hidden = nn.Linear(20, 256) leads into a box, the table of modules in the net. The table has two rows, hidden with Linear(20, 256) and out with Linear(256, 10). Four arrows lead from the table to the words trained, saved, moved and printed. Below, self.layers, a list that contains nn.Linear(20, 256), leads to a dashed box that says: an attribute, but not in the table: not trained, saved, moved or printed.)
#
# `named_parameters()` lists the parameters of the net and of all its submodules with their names:

# %%
for name, parameter in net.named_parameters():
    print(name, tuple(parameter.shape))
#> hidden.weight (256, 20)
#> hidden.bias (256,)
#> out.weight (10, 256)
#> out.bias (10,)

# %% [markdown]
# All four parameters are registered, and each name begins with the name of its layer.
# The weight of a linear layer has one row per neuron, so its shape begins with the output size: `nn.Linear(20, 256)` has a weight of shape `(256, 20)`.
# The layer computes the matrix product `X @ weight.T`, where `.T` swaps rows and columns, and adds the bias.

# %% [markdown]
# ### Sizes as arguments
#
# `MLP` always has the same sizes.
# If you want to choose the sizes for each net, make them arguments of `__init__`:

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
# Call `net(X)`, not `net.forward(X)`.
# As with every callable object in Python, calling `net` runs the `__call__` method of its class.
# `nn.Module` defines this method: it runs `forward` and the *hooks* of the module.
# A hook is a function that is attached to a module: a forward pre-hook runs before `forward`, and a forward hook runs after it.
#
# PyTorch passes three things to a forward hook: the module, its inputs and its output.
# This snippet attaches a hook that stores the shape of each output.
# It then calls the net in three ways and, at the end, detaches the hook with `handle.remove()`:

# %%
shapes = []
handle = net.register_forward_hook(
    lambda module, inputs, output: shapes.append(tuple(output.shape))
)
for call in (net, net.__call__, net.forward):
    call(X)
print(shapes)
#> [(2, 10), (2, 10)]
handle.remove()

# %% [markdown]
# (A picture: net(X) leads to __call__, which runs the forward pre-hooks, then forward, then the forward hooks, and returns Y. net.forward(X) leads directly to forward and from there to Y, and runs no hooks.)
#
# There were three calls, but the list has only two entries: `net.forward(X)` skipped the hook.
# This call skips only the hooks of `net` itself; the hooks of its layers still run.
# Skipping a hook can break a net, because PyTorch uses hooks too.
# For example, a lazy layer is built without an input size and gets it from the first batch in a hook; without the hook, it fails.

# %% [markdown]
# ## Your own container: how `nn.Sequential` works
#
# A <dfn>container</dfn>, such as `nn.Sequential` or `nn.ModuleList`, is a module whose task is to hold other modules.
# How does `nn.Sequential` keep track of its modules?
# It registers each module under its position and calls the modules one after the other, as this class does:

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
# `self.0 = module` is not valid Python, because a name in source code cannot begin with a digit.
# `add_module` takes the name as a string, so it accepts `"0"`.
# It rejects names with a dot and names of existing attributes, but it replaces a child module that has the same name.
#
# `_modules` is the table of child modules: it maps each name to its module, in the order of registration.
# The underscore means that the table is internal to PyTorch.
# `MySequential` uses it to show how containers work; in your own code, loop over an `nn.ModuleList` instead.
#
# Given the same layers, `MySequential` and `nn.Sequential` return the same output, and their parameters have the same names.
# To compare the names, the next snippet calls `state_dict()`.
# This method returns the state dict, a dictionary that maps the name of every parameter, such as `0.weight`, to its tensor.
# You can save a state dict to a file.

# %%
layers = nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10)
print(torch.equal(MySequential(*layers)(X), nn.Sequential(*layers)(X)))
#> True
print(
    list(MySequential(*layers).state_dict())
    == list(nn.Sequential(*layers).state_dict())
)
#> True

# %% [markdown]
# ## Constants, reused layers and loops in `forward`
#
# `forward` is ordinary Python code that runs each time you call the module.
# You can therefore write anything in it that Python allows.
# The block below has a constant, uses one layer twice and contains a loop:

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
# - **The constant** `rand_weight` is a *buffer*: a tensor that belongs to the module but is not trained.
#   `register_buffer` registers it.
#   A buffer is saved and moved together with the parameters.
#   A cast, which changes the type of numbers, affects both: `net.double()` changes floating-point parameters and buffers to `float64`.
# - **The layer that is used twice** is one layer with one weight.
#   The gradient of this weight is the sum of the gradients from both uses.
# - **The loop** runs as many times as the current input requires.
#   Autograd records only the operations that actually run.
# - **The result** is a single number: a module does not have to return a batch.
#   This number lies between -1 and 1, because the loop ends when the absolute values sum to at most 1.
#
# The constant is not in the list of parameters, but it is in the state dict, so it is saved:

# %%
print([name for name, _ in fixed.named_parameters()])
#> ['linear.weight', 'linear.bias']
print(list(fixed.state_dict()))
#> ['rand_weight', 'linear.weight', 'linear.bias']

# %% [markdown]
# **Limitation.** The number of iterations depends on the values in the input.
# But `torch.compile`, which makes a net faster, and `torch.export`, which lets it run without its Python code, need a fixed list of operations, so they cannot translate this block as a whole.
# Python normally does not wait for a GPU, but here it must wait for the sum in every iteration, because the loop condition needs it.
# Exercise 6 replaces the loop.

# %% [markdown]
# ## Nested modules
#
# A block is a module, so it can be part of another block.
# The net `chimera` (a creature made of several animals) contains two blocks:

# %%
class NestMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()
        )
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
# The <dfn>path</dfn> of a part of a net, such as `0.net.2`, consists of the names on the way from the net down to the part, joined by dots.
# In the printout, the names are in parentheses, such as `(0)`, `(net)` and `(2)`.
# To get a part, use attributes and indices, or pass the path as a string to `get_submodule`:

# %%
print(chimera[0].net[2])
#> Linear(in_features=64, out_features=32, bias=True)
print(chimera.get_submodule("0.net.2") is chimera[0].net[2])
#> True

# %% [markdown]
# The printout has no lines for parameters or buffers.
# For example, it does not show `rand_weight`, which `chimera.state_dict()` contains as `2.rand_weight`.
#
# **The first reading ends here.** Read on if you want to use these blocks from the library, or if your net does not work.

# %% [markdown]
# ## In the library
#
# The package `d2lblocks` belongs to this site; to install it, run `pip install .` in a clone of the site's repository.
# Its Python module `d2lblocks.modules` contains the blocks of this page:

# %%
from d2lblocks import FixedHiddenMLP, MLP, MySequential, NestMLP, Parallel

print(MLP(20)(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# From here on, these names mean the library's classes; exercise 3 introduces `Parallel`.
# The rest of this section shows how the classes differ from the short versions above, called sketches here.
# The collapsed source blocks show the package's code without its docstrings.

# %% [markdown]
# ### `MLP`
#
# The sketch `MLP` has fixed sizes, and `SizedMLP` needs its input size.
# The library's `MLP` takes its sizes as arguments.
# With `in_features=None`, the default, its first layer is a lazy layer, which gets its input size from the first batch.
# Like the layers in `torch.nn`, it also takes a `device` (such as a GPU) and a `dtype` (the type of the numbers) and passes both to its layers.
#
# Source of <code>MLP</code>:
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
# With the same weights, the library's class and `SizedMLP` return the same output.
# `MLP()` without any sizes works too:

# %%
sketch, library = SizedMLP(20, 256, 10), MLP(20)
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True
print(MLP()(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# **Limitation.** If the input size is unknown, the first weight has no shape until the first batch arrives, so before then you can neither count nor initialize its values.

# %% [markdown]
# ### `MySequential`
#
# The sketch can only run its modules.
# The library's `MySequential` also accepts an `OrderedDict` and supports `len()`, indices, slices and methods such as `append`.
#
# Source of <code>MySequential</code>:
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
# Most of the methods that change the container are taken from `nn.Sequential`.
# This is possible because a method is a function stored in a class, and these functions use only attributes that `MySequential` also has, such as `_modules`.
# `len()`, indexing and slicing work in the same way in both classes:

# %%
mine, theirs = MySequential(*layers), nn.Sequential(*layers)
print(torch.equal(mine(X), theirs(X)), len(mine) == len(theirs))
#> True True
print(
    mine[-1] is theirs[-1],
    list(mine[1:].state_dict()) == list(theirs[1:].state_dict()),
)
#> True True

# %% [markdown]
# You can change the container in place and join two such containers with `+`:

# %%
mine.append(nn.Tanh()).insert(0, nn.Flatten())
del mine[1]
print(len(mine), mine[0], (mine + mine)[-1])
#> 4 Flatten(start_dim=1, end_dim=-1) Tanh()

# %% [markdown]
# In a net of your own, use `nn.Sequential`: code may check for this class, as the `+` of `nn.Sequential` and the deprecated `torch.jit.script` do.

# %% [markdown]
# ### `FixedHiddenMLP`
#
# The loop in the sketch never ends if one of the values is infinite and none is `nan` (not a number), because half of infinity is still infinity.
# If any value is `nan`, the sum is `nan` too, and the sketch silently returns `nan`.
# The library's block checks for both cases and raises an error.
#
# Source of <code>FixedHiddenMLP</code>:
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
# For finite values, the library's class and the sketch return the same output:

# %%
sketch, library = fixed, FixedHiddenMLP()
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True

# %% [markdown]
# For an infinite input, the error tells you how many values in the block and how many in its input are not finite:

# %%
try:
    library(torch.full((2, 20), float("inf")))
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: expected finite values to halve until their absolute values sum to at most 1, but got 40 of 40 that are inf or nan, from an input of shape (2, 20) with 40 of them

# %% [markdown]
# `reset_parameters` fills only the tensors that the block holds directly, not those of its submodules.
# You need it for a block that was built on the `meta` device, where tensors have a shape but neither memory nor values.
# `to_empty` gives such a block memory, but still no meaningful values.
# Then call `reset_parameters` on every module that has this method (here, all of them):

# %%
library = FixedHiddenMLP(device="meta").to_empty(device="cpu")
for module in library.modules():
    module.reset_parameters()
print(library(X).shape)
#> torch.Size([])

# %% [markdown]
# ### `NestMLP`
#
# The library's `NestMLP` takes the size of its input as an argument.
# All other sizes are fixed, as in the sketch.
#
# Source of <code>NestMLP</code>:
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
# With the same weights, the library's class and the sketch return the same output:

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
# When you create your net, the assignment of its first layer fails.
# The tables of the module do not exist yet, because `super().__init__()` is missing or comes too late.

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
# For a parameter or a buffer, the message says `parameters` or `buffer` instead of `module`:

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
# If the class assigns no modules, parameters or buffers, you can create an object of it, but the first call fails:

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
# Fix: make `super().__init__()` the first line of `__init__`.
# A class without an `__init__` of its own inherits that of `nn.Module` and does not need this line.

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
# You decorate a module class with `@dataclass`, and `parameters()` fails.
# `@dataclass` adds a method `__eq__` to the class, and a class that defines `__eq__` loses its hash, the number by which a set finds an object.
# Without a hash, an object cannot be in a set, but PyTorch collects modules in a set to visit each of them only once.
# Therefore `parameters()` and `zero_grad()` fail; if the module is inside another net, `to()` and `eval()` of that net fail too.
# `diagnose` reports this as `unhashable`.

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
# Also add `repr=False`; otherwise `@dataclass` replaces the printout of the module with one that does not show its layers.

# %%
@dataclass(eq=False, repr=False)
class HashableFields(nn.Module):
    width: int

    def __post_init__(self):
        super().__init__()
        self.linear = nn.Linear(self.width, 10)


print([name for name, _ in HashableFields(20).named_parameters()])
#> ['linear.weight', 'linear.bias']

# %% [markdown]
# Some classes need an `__eq__` of their own or inherit one, for example from `collections.abc.Mapping`.
# In such a class, the line `__hash__ = nn.Module.__hash__` restores the hash:

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
# A module written as a dataclass cannot take a module, a parameter or a buffer as an argument.
# The generated `__init__` assigns its arguments before `__post_init__` runs, so you get `cannot assign module before Module.__init__() call`.
# Write the `__init__` of such a class yourself.

# %% [markdown]
# ### `optimizer got an empty parameter list`: layers in a Python list
#
# You keep the layers of a net in a Python list.
# The net computes its output, but PyTorch finds no parameters: the list is a plain attribute, and the modules in it are not registered.

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
# `.to()` does not move these layers, and `state_dict()` does not contain them.
# Loading an empty state dict into the net even reports success.
# The first error comes from the optimizer, the object that changes the parameters during training:

# %%
try:
    torch.optim.SGD(net.parameters(), lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: optimizer got an empty parameter list

# %% [markdown]
# If the net also has some registered layers, not even the optimizer raises an error.
#
# Fix: use an `nn.ModuleList`, a list that registers its modules.

# %%
net.layers = nn.ModuleList(net.layers)
print(list(net.state_dict()))
#> ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']

# %% [markdown]
# To notice it next time: print the net; a layer that is not in the printout is not registered.
# `diagnose` reports this as `unregistered`.
#
# For modules with names, use `nn.ModuleDict`; a Python dictionary does not register its modules either.
# The keys of an `nn.ModuleDict` become names of child modules.
# It therefore rejects a key that contains a dot or that is the name of one of its own attributes or methods, such as `keys`:

# %%
try:
    nn.ModuleDict({"keys": nn.ReLU()})
except KeyError as error:
    print(f"KeyError: {error}")
#> KeyError: "attribute 'keys' already exists"

# %% [markdown]
# Fix: choose another key.

# %%
print(nn.ModuleDict({"key_layer": nn.ReLU()})["key_layer"])
#> ReLU()

# %% [markdown]
# ### A constant is not saved, cast or moved with the net
#
# You save a net and load it again, and the outputs differ.
# Or you cast the net to another dtype (type of numbers) or move it to the GPU, and the next call fails.
# The reason is a tensor that the net keeps as a plain attribute: it is not registered.

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
# `load_state_dict` reports that all keys matched, but the outputs differ: each net has its own random constant, and `state_dict()` does not contain it.
# After a cast, the constant still has the old dtype:

# %%
try:
    net.double()(X.double())
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float

# %% [markdown]
# If your net has no such constant, the batch and the weights have different dtypes: see `mat1 and mat2 must have the same dtype`.
#
# Fix: use `register_buffer`, as `FixedHiddenMLP` does, or the shorter form, which assigns an `nn.Buffer` to an attribute.

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
# If you can compute a constant again, you do not need to save it: `nn.Buffer(..., persistent=False)` is moved and cast but is not in `state_dict()`.
#
# To notice it next time: print `list(net.state_dict())` and look for the name of the constant.
# `diagnose` reports this as `constant`.

# %% [markdown]
# ### A layer used twice in a container runs only once
#
# You wrote a container and put the same layer into it twice, and the output is wrong.
# `children()` returns each module only once, even if it is registered under several names.
# A container whose `forward` loops over `children()` therefore silently skips the second use:

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
# The layer doubles its input, so using it twice must turn 1 into 4.
# `diagnose` reports this as `runs-once`.
#
# Fix: loop over the container itself.
# `for module in self` visits every entry of a `MySequential`, an `nn.Sequential` or an `nn.ModuleList`, including repeated ones.

# %%
print(
    len(list(MySequential(double, double))),
    len(list(MySequential(double, double).children())),
)
#> 2 1

# %% [markdown]
# ### `nn.Sequential(*net.children())` computes something else
#
# You want the input of the last layer, often called the features, so you build a new net from all children except the last.
# But `children()` returns only the layers.
# Any operation that `forward` itself runs between them, such as `F.relu`, a flatten operation or a skip connection, is lost.

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
# You get an error only if the shapes no longer fit: `mat1 and mat2 shapes cannot be multiplied`.
#
# Fix: keep the net with its `forward`, and replace its last layer with `nn.Identity()`, which returns its input unchanged.

# %%
net.out = nn.Identity()
print(torch.equal(net(X), features))
#> True

# %% [markdown]
# If you also need the output of the last layer, keep this layer and attach a forward hook to it: the hook's argument `inputs` is a tuple that contains the features.

# %% [markdown]
# ### A layer does not learn because `forward` creates it
#
# The net learns less than it should, and the same input gives a different output on every call.
# A layer that is created in `forward` is a new layer with new random weights on every call.

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
# The two calls give different outputs, and the second layer is not in the list of parameters, so no optimizer can train it.
# Assigning the layer to `self` in `forward` does not help: each call registers a new layer, and the optimizer still holds an old one.
#
# Fix: create layers in `__init__`.
# If you do not know the input size there, use `nn.LazyLinear`, which takes it from the first batch.
# You can build the optimizer before that batch: a lazy layer already has its parameter objects, and the first batch gives them a shape and values.

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
# To notice it next time: after `net.eval()`, which turns off dropout, call the net twice with the same input and compare the outputs.
# `diagnose` reports this as `built-in-forward`.

# %% [markdown]
# ### `setattr` with a dotted name does not replace a layer
#
# To replace an inner layer, you call `setattr` with its path, but the net still uses the old layer.
# `setattr` does not follow a path.
# It adds to the outer net a new child whose name contains a dot, and the old layer stays:

# %%
net = NestMLP()
setattr(net, "net.2", nn.Linear(64, 32))
print([name for name, _ in net.named_children()])
#> ['net', 'linear', 'net.2']
print(len(list(net.named_parameters())), len(net.state_dict()))
#> 8 6

# %% [markdown]
# Both layers now have parameters called `net.2.weight` and `net.2.bias`.
# `state_dict()` has room for only one tensor per name, so the parameters of one of the two layers are not saved.
# `diagnose` reports this as `dotted-name`.
#
# Fix: `set_submodule` follows the path.
# With `strict=True`, it raises an error if there is no layer to replace.

# %%
net = NestMLP()
net.set_submodule("net.2", nn.Identity(), strict=True)
print(net.net[2], [name for name, _ in net.named_children()])
#> Identity() ['net', 'linear']

# %% [markdown]
# You can also assign to the parent module: `net.net[2] = nn.Identity()`.
# To read a layer by its path, call `net.get_submodule("net.2")`; `getattr(net, "net.2")` fails.

# %% [markdown]
# ### `missing the required "forward" function`
#
# You wrote a method for the computation, but PyTorch does not find it.
# Its name must be `forward`, and it must be indented so that it is inside the class.
# PyTorch notices a misspelled name or a wrong indentation only when you call the module:

# %%
class Misspelled(nn.Module):
    def foward(self, X):
        return X


try:
    Misspelled()(X)
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Module [Misspelled] is missing the required "forward" function

# %% [markdown]
# `nn.ModuleList` and `nn.ModuleDict` raise the same error, because they have no `forward` either: they hold modules but do not define how to run them.

# %%
try:
    nn.ModuleList([nn.Linear(20, 10)])(X)
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Module [ModuleList] is missing the required "forward" function

# %% [markdown]
# Fix: correct the name or the indentation.
# For an `nn.ModuleList`, loop over it in the `forward` of your own module, or chain its modules with `nn.Sequential`.

# %%
modules = nn.ModuleList([nn.Linear(20, 10), nn.ReLU()])
print(nn.Sequential(*modules)(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# ### `must be Tensor, not ReLU`: `nn.ReLU(X)` instead of `F.relu(X)`
#
# You apply an activation function to a tensor, and the next layer rejects its input.
# `nn.ReLU` is a class, so `nn.ReLU(X)` creates a module and computes nothing: PyTorch takes `X` as the argument `inplace` and does not check its type.
# The error comes one step later, from the layer that receives this module instead of a tensor:

# %%
try:
    nn.Linear(20, 10)(nn.ReLU(X))
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: linear(): argument 'input' (position 1) must be Tensor, not ReLU

# %% [markdown]
# Fix: use the function `F.relu` on a tensor, and the module `nn.ReLU()` where a module is expected.

# %%
print(nn.Linear(20, 10)(F.relu(X)).shape)
#> torch.Size([2, 10])

# %% [markdown]
# The opposite mistake, passing a function where a module is expected, raises an error immediately:

# %%
try:
    nn.Sequential(nn.Linear(20, 10), F.relu)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: torch.nn.functional.relu is not a Module subclass

# %% [markdown]
# A container that writes directly into `_modules` skips this check and fails later, in a place that does not show the cause:

# %%
net = nn.Module()
net._modules["0"] = F.relu
try:
    net.state_dict()
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'function' object has no attribute 'state_dict'

# %% [markdown]
# Fix: use `add_module`, which checks the type.

# %%
try:
    nn.Module().add_module("0", F.relu)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: torch.nn.functional.relu is not a Module subclass

# %% [markdown]
# ### `has no attribute`, although the property exists
#
# The message says that your module has no attribute `width`, but you can see the property `width` in its class.
# Python finds the property, but some code inside it raises an `AttributeError`.
# It then calls `nn.Module.__getattr__`, which looks for a parameter, a buffer or a module with the name of the property.
# This method finds none and raises a second error, which hides the first one:

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
# To see the real error, call the function of the property.
# For a `cached_property`, write `.func` instead of `.fget`.

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
# You call a net, and a linear layer reports two shapes that do not fit together.
# The last dimension of its input does not have the size that the layer was built for.
# The snippet prints the part of the message that names the shapes:

# %%
import re

net = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10))
try:
    net(torch.rand(2, 28, 28))
except RuntimeError as error:
    print(re.search("mat1 .*", str(error))[0])
#> mat1 and mat2 shapes cannot be multiplied (56x28 and 20x256)

# %% [markdown]
# The layer treats the two images of 28 rows as 2 · 28 = 56 rows of 28 values, but it expects rows of 20 values.
#
# Fix: in this example, flatten the images first and build the layer for their 784 values.

# %%
net = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
print(net(torch.rand(2, 28, 28)).shape)
#> torch.Size([2, 10])

# %% [markdown]
# In a longer chain, print the output shape of each module, or let the first batch determine the size: see Lazy initialization.

# %% [markdown]
# ### `mat1 and mat2 must have the same dtype`: a batch from NumPy
#
# You made a batch from a NumPy array, and the net rejects it.
# A layer needs a batch with the same dtype (type of numbers) as its weights.
# NumPy's floating-point numbers are `float64` by default, and `torch.from_numpy` keeps the dtype; the weights of a layer are `float32` by default.
# `diagnose` reports this as `mixed-dtype`.

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
# The message names the dtype of the batch first and then that of the weight.
# If it says `Float and BFloat16`, the net was cast to 16 bits, but the batch was not.
# If it says `Long and Float`, the batch holds integers.
#
# Fix: cast the batch to the dtype of the weights.

# %%
print(net(batch.float()).dtype, net.bfloat16()(batch.to(net.weight.dtype)).dtype)
#> torch.float32 torch.bfloat16

# %% [markdown]
# A layer without a bias reports the same problem with a different message:

# %%
try:
    nn.Linear(20, 10, bias=False)(batch)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float

# %% [markdown]
# A convolution reports it in yet another way:

# %%
try:
    nn.Conv2d(1, 1, 3)(torch.ones(1, 1, 5, 5, dtype=torch.float64))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Input type (double) and bias type (float) should be the same

# %% [markdown]
# If the batch already has the right dtype, look for a tensor in the net that was not cast: see A constant is not saved, cast or moved with the net.
# On the GPU of a Mac, cast the batch before you move it: see `Cannot convert a MPS Tensor to float64 dtype`.

# %% [markdown]
# ### The net changes its input tensor
#
# You call a net, and afterward your input tensor has different values.
# `X /= 2` does not create a tensor: it writes into the tensor that was passed to `forward`.
# `nn.ReLU(inplace=True)` does the same if it is the first module of a net.

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
# `diagnose` reports this as `input-changed`.
#
# Fix: write `X = X / 2`, which creates a new tensor and leaves the input unchanged.

# %%
class HalvedCopy(nn.Module):
    def forward(self, X):
        X = X / 2
        return X


ones = torch.ones(3)
print(HalvedCopy()(ones), ones)
#> tensor([0.5000, 0.5000, 0.5000]) tensor([1., 1., 1.])

# %% [markdown]
# ### The same input gives a different output every time
#
# You call a trained net several times with the same input and get a different output every time.
# The net contains dropout and is still in training mode.
# <dfn>Dropout</dfn> is a layer that, in training mode, sets randomly chosen values of its input to zero and scales up the others.
# <dfn>Training mode</dfn> is the state of a new module, and of any module after `net.train()`: dropout is active, and batch normalization, which rescales values, uses the mean and the variance of the current batch.
# <dfn>Evaluation mode</dfn> is the state of a module after `net.eval()`: dropout returns its input unchanged, and batch normalization uses its stored mean and variance.

# %%
net = nn.Sequential(nn.Linear(20, 256), nn.Dropout(), nn.Linear(256, 10))
print(net.training, torch.equal(net(X), net(X)))
#> True False
net.eval()
print(net.training, torch.equal(net(X), net(X)))
#> False True

# %% [markdown]
# Fix: call `net.eval()` before you predict, and `net.train()` before training continues.
# If you forget `net.train()`, training continues without dropout.
# `diagnose` reports this as `in-eval`.
#
# Loading weights does not change the mode.
# The mode is not part of a state dict, so a new net is still in training mode after you load weights into it:

# %%
loaded = nn.Sequential(nn.Linear(20, 256), nn.Dropout(), nn.Linear(256, 10))
loaded.load_state_dict(net.state_dict())
print(net.training, loaded.training)
#> False True
print(torch.equal(loaded.eval()(X), net(X)))
#> True

# %% [markdown]
# The function `F.dropout` does not know the mode of your module: it sets values to zero even after `net.eval()`.
# Write `F.dropout(X, training=self.training)` instead.
# `diagnose` reports this as `random-in-eval`.
# `net.eval()` does not turn off autograd.
# To save memory while predicting, also use `with torch.no_grad():`, which stops autograd from recording.
#
# To notice it next time: print `net.training` before you predict.

# %% [markdown]
# ### The call never returns: a loop that halves infinity
#
# You call a net, and the call never returns.
# The sketch of `FixedHiddenMLP` halves its values until they are small enough, but half of infinity is still infinity:

# %%
print(torch.tensor(float("inf")) / 2)
#> tensor(inf)

# %% [markdown]
# Fix: before such a loop, check that all values are finite.
# The library's block does this and raises the error shown above.

# %%
print(bool(torch.tensor([1.0, float("inf"), float("nan")]).isfinite().all()))
#> False

# %% [markdown]
# ### `maximum recursion depth exceeded`: a child that holds its parent
#
# A child module needs something from its parent, so you assign the parent to an attribute of the child.
# This registers the parent as a child of its own child.
# Operations that go from each module to its children, such as `to()`, `train()` and `print`, then call themselves again and again until Python raises a `RecursionError`:

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
# `diagnose` reports this as `cycle`.
#
# Fix: pass the value that the child needs to its `__init__` or to its `forward`.
# If the child really needs the parent itself, put the parent into a tuple, because PyTorch does not register modules in a tuple:

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
# You wrapped a net for training, and one of its attributes is gone.
# Some classes wrap a net, for example to train it on several GPUs (`DataParallel`, `DistributedDataParallel`) or to average its weights (`AveragedModel`).
# The wrapper stores your net in its attribute `module`; the attributes of your net are not available on the wrapper itself.
# The message names the class of the wrapper:

# %%
averaged_net = nn.Sequential(OrderedDict(body=nn.Linear(4, 4)))
wrapped = torch.optim.swa_utils.AveragedModel(averaged_net)
try:
    wrapped.body
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'AveragedModel' object has no attribute 'body'

# %% [markdown]
# Fix: write `.module` before the attribute, or keep a variable that refers to the net itself.

# %%
print(wrapped.module.body)
#> Linear(in_features=4, out_features=4, bias=True)

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# A net keeps its blocks in a Python list, `self.blocks = blocks`.
# You can call the net, but training it, casting it (for example with `.double()`) and saving it do not work.
# Repair the net by changing one line; the names of its parameters then begin with `blocks.0`, `blocks.1` and so on.
#
# To practice (easy): `python -m d2lblocks practice start modules/1`

# %%
class Broken(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks

    def forward(self, X):
        for block in self.blocks:
            X = block(X)
        return X

# %% [markdown]
# #### Solution

# %% [markdown]
# The blocks in the list are not registered, so only `forward` finds them.
# The optimizer, `.to()` and `state_dict()` do not.

# %%
broken = Broken([MLP(20, 64, 20), MLP(20, 64, 10)])
print("parameters", len(list(broken.parameters())))
#> parameters 0
print("cast", {block.out.weight.dtype for block in broken.double().blocks})
#> cast {torch.float32}
print("saved", list(broken.state_dict()))
#> saved []

# %% [markdown]
# To repair the net, pass the list to `nn.ModuleList`:
#
# *modules/1_tower.py*

# %%
class Tower(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, X):
        for block in self.blocks:
            X = block(X)
        return X

# %%
tower = Tower(broken.blocks)
print("parameters", len(list(tower.parameters())))
#> parameters 8
print("cast", {block.out.weight.dtype for block in tower.double().blocks})
#> cast {torch.float64}
print("saved", list(tower.state_dict())[:2], "and so on")
#> saved ['blocks.0.hidden.weight', 'blocks.0.hidden.bias'] and so on

# %% [markdown]
# ### Exercise 2
#
# The first layer of a net standardizes its input: it subtracts the tensor `mean` and divides by the tensor `std`.
# The two tensors are not saved, cast or moved with the net.
# Repair the class so that they are.
# They must not be parameters, and they keep their names: the names in `net.state_dict()` are `mean` and `std`.
#
# To practice (easy): `python -m d2lblocks practice start modules/2`

# %%
class Plain(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = mean
        self.std = std

    def forward(self, X):
        return (X - self.mean) / self.std

# %% [markdown]
# #### Solution

# %% [markdown]
# Plain tensors in attributes are not registered, so the cast and `state_dict()` do not find them.
# The cast itself is silent: the subtraction then mixes two dtypes and returns the larger one, and the error comes from the next layer.

# %%
mean, std = X.mean(dim=0), X.std(dim=0)
plain = Plain(mean, std).bfloat16()
print("cast", plain(X.bfloat16()).dtype)
#> cast torch.float32
print("saved", list(plain.state_dict()))
#> saved []

# %% [markdown]
# To repair the class, make buffers of them.
# A parameter would be saved and moved too, but training would change it.
#
# *modules/2_constant.py*

# %%
class Standardize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = nn.Buffer(mean)
        self.std = nn.Buffer(std)

    def forward(self, X):
        return (X - self.mean) / self.std

# %%
standardize = Standardize(mean, std).bfloat16()
print("cast", standardize(X.bfloat16()).dtype)
#> cast torch.bfloat16
print("saved", list(standardize.state_dict()))
#> saved ['mean', 'std']
print("trained", list(standardize.parameters()))
#> trained []

# %% [markdown]
# ### Exercise 3
#
# Write a block that takes two or more nets, as in `SideBySide(left, right)`.
# Each net gets the same input, and the block returns their outputs, concatenated along the last dimension in the order of the nets.
# `X` can have two or more dimensions, and the result has the dtype and the device of the outputs.
# The nets are trained, saved and moved with the block.
#
# To practice (medium): `python -m d2lblocks practice start modules/3`

# %% [markdown]
# #### Solution

# %% [markdown]
# All nets must accept the same input.
# Their outputs must have equal sizes in every dimension except the one along which they are concatenated.
#
# *modules/3_both.py*

# %%
class SideBySide(nn.Module):
    def __init__(self, *nets):
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, X):
        return torch.cat([net(X) for net in self.nets], dim=-1)

# %%
left, right = nn.Linear(20, 8), MLP(20, 64, 4)
both = SideBySide(left, right)
print(both(X).shape)
#> torch.Size([2, 12])
print(torch.equal(both(X), torch.cat([left(X), right(X)], dim=1)))
#> True

# %% [markdown]
# The library's `Parallel` also takes the dimension as an argument; for images, `dim=1` concatenates the channels.
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
images = torch.rand(2, 3, 8, 8)
small, large = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 6, 5, padding=2)
print(Parallel(small, large, dim=1)(images).shape)
#> torch.Size([2, 10, 8, 8])

# %% [markdown]
# ### Exercise 4
#
# Write a function `chain(make_block, n)` that returns a net of `n` blocks, which run one after the other.
# `make_block` is a function: each call, `make_block()`, returns a new block, and `chain` calls it once for each block.
# The blocks run in the order in which they are made.
# Each block has weights of its own, and none is a copy of another.
# For `n = 0`, the net returns its input.
#
# To practice (medium): `python -m d2lblocks practice start modules/4`

# %% [markdown]
# #### Solution

# %% [markdown]
# If you pass one block and repeat it, all places in the chain share its weights.
# If you pass a function and call it `n` times, you get `n` blocks with separate weights.
# (`copy.deepcopy` creates separate weights too, but all copies start with the same values.)
#
# *modules/4_chain.py*

# %%
def chain(make_block, n):
    return nn.Sequential(*(make_block() for _ in range(n)))

# %%
net = chain(lambda: MLP(20, 64, 20), 3)
print(net(X).shape, len(list(net.parameters())))
#> torch.Size([2, 20]) 12

shared = nn.Sequential(*[MLP(20, 64, 20)] * 3)
print(shared(X).shape, len(list(shared.parameters())))
#> torch.Size([2, 20]) 4

# %% [markdown]
# ### Exercise 5
#
# Write a function `shapes(net, X)` that calls the net once, with `net(X)`, and returns the shape of the output of every layer.
# The result is a list of pairs `(name, shape)`, in the order in which the layers run, such as `[("0", (2, 64)), ("1", (2, 64))]`.
# Each pair is a tuple, and so is each shape (a `torch.Size` is a tuple too).
# The layers are the modules without children; each of them returns one tensor.
# The name is the one that `net.named_modules()` gives to the layer, and a layer that runs twice is in the list twice.
# After the call of the net, `shapes` removes all its hooks.
# If this call raises an error, `shapes` removes the hooks too, and the error reaches the caller of `shapes`.
#
# To practice (medium): `python -m d2lblocks practice start modules/5`

# %% [markdown]
# #### Solution

# %% [markdown]
# A forward hook gets every output of its module, so the classes of the net need not change.
# The layer that `FixedHiddenMLP` uses twice appears on two lines.
#
# *modules/5_shapes.py*

# %%
def shapes(net, X):
    found = []

    def record(name):
        def hook(module, inputs, output):
            found.append((name, tuple(output.shape)))

        return hook

    handles = [
        module.register_forward_hook(record(name))
        for name, module in net.named_modules()
        if not list(module.children())
    ]
    try:
        net(X)
    finally:
        for handle in handles:
            handle.remove()
    return found

# %%
for name, shape in shapes(chimera, X):
    print(f"{name:9} {shape}")
#> 0.net.0   (2, 64)
#> 0.net.1   (2, 64)
#> 0.net.2   (2, 32)
#> 0.net.3   (2, 32)
#> 0.linear  (2, 16)
#> 1         (2, 20)
#> 2.linear  (2, 20)
#> 2.linear  (2, 20)

# %% [markdown]
# `record` makes a hook for one name.
# A hook that is defined in the loop itself would look up `name` only when it runs, and by then `name` is the last name of the loop.
# `finally` removes the hooks even if the net raises an error:

# %%
try:
    shapes(chimera, torch.rand(2, 3))
except RuntimeError:
    print([module for module in chimera.modules() if module._forward_hooks])
#> []

# %% [markdown]
# ### Exercise 6
#
# `FixedHiddenMLP` cannot be compiled as a whole, because a loop halves `Y` until the sum of the absolute values is at most 1.
# Write `NoLoop`, whose `forward` does without the loop: it multiplies or divides by a single power of two instead.
# The result and the gradients are the same as with the loop, for sums of up to 1e30.
# Note that the loop does not halve a sum of exactly 1.
# `forward` does not read the value of a tensor in Python, as `while`, `if` and `.item()` do.
# Use `mantissa, exponent = torch.frexp(total)`: here `total` is equal to `mantissa * 2**exponent`, and the mantissa of a positive number is at least 0.5 and less than 1.
# The exponent tells you how many times to halve.
#
# To practice (hard): `python -m d2lblocks practice start modules/6`

# %% [markdown]
# #### Solution

# %% [markdown]
# `torch.frexp` splits a positive, finite sum into `mantissa * 2**exponent`, where the mantissa is at least 0.5 and less than 1.
# Therefore `exponent` halvings bring the sum below 1; if the exponent is negative, none is needed, hence `clamp(min=0)`.
# If the mantissa is exactly 0.5, one fewer halving is enough.
# Multiplying by a power of two changes only the exponent of a floating-point number.
# One multiplication therefore gives exactly the same result as the halvings, unless a value becomes too small for its dtype.
#
# *modules/6_no_loop.py*

# %%
class NoLoop(FixedHiddenMLP):
    def forward(self, X):
        Y = self.linear(F.relu(self.linear(X) @ self.rand_weight + 1))
        mantissa, exponent = torch.frexp(Y.detach().abs().sum())
        halvings = (exponent - (mantissa == 0.5).int()).clamp(min=0)
        return (Y * torch.ldexp(torch.ones_like(mantissa), -halvings)).sum()

# %%
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
# `torch.ldexp` creates only the factor, from a tensor that does not require a gradient.
# Do not apply it to `Y` itself: in PyTorch 2.13, the gradient of `torch.ldexp` is silently zero if the exponent is a negative integer ([issue 187460](https://github.com/pytorch/pytorch/issues/187460)).
#
# **Limitation.** This version does not check for `inf` and `nan`, and it does not halve a sum that overflows.

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | a chain of modules | `nn.Sequential(...)` |
# | names for its parts | `nn.Sequential(OrderedDict(...))` |
# | a module of your own | a subclass of `nn.Module` with `__init__` and `forward` |
# | its parts to be trained, saved and moved | `super().__init__()` first, then `self.name = module` |
# | parts in a list, or by name | `nn.ModuleList`, `nn.ModuleDict` |
# | a constant that is saved and moved | `register_buffer` or `nn.Buffer` |
# | to run a module | `net(X)`, not `net.forward(X)` |
# | a part by its path | `net.get_submodule("0.net.2")` |
# | every entry of a container | `for module in container`, not `.children()` |
# | no dropout while predicting | `net.eval()` |
#
# The library's classes are in `d2lblocks.modules`, and the tables of all topics are on the Cheat sheet.
#
# Next: Parameters, to read, change, freeze and share the numbers that a net learns.
