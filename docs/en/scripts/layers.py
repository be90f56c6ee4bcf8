# %% [markdown]
# # Custom layers
#
# This is the page "Custom layers" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# Your net needs an operation that PyTorch does not have as a layer.
# You write a class with six lines in its body, and PyTorch can train it.
# Then you load weights that were saved from an `nn.Linear`, and your layer fails or silently gives wrong results.
#
# - **What you will be able to do:** write a layer that you can train, save, load, move, compile and copy like PyTorch's own layers, and say what each of its lines is for.
# - **What you need:** Layers and modules and Parameters, each up to the line "The first reading ends here", and the package (run `pip install .` in a clone of this site's repository); for the section on lazy layers, also Lazy initialization up to the same line.
# - **How long it takes:** about 20 minutes up to A lazy layer of your own, and this part is enough to write layers of your own; about 60 minutes with the rest and the exercises.
#
# `torch.manual_seed(0)` makes the random numbers the same in every run:

# %%
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
X = torch.rand(2, 5)

# %% [markdown]
# ## A layer without parameters
#
# You want to subtract the mean from the output of a layer.
# PyTorch has no layer for that, so you write a custom layer.
# A <dfn>custom layer</dfn> is a subclass of `nn.Module` that you write yourself and then use like any layer of PyTorch.
# Its `forward` method computes the output from the input:

# %%
class CenteredLayer(nn.Module):
    def forward(self, X):
        return X - X.mean()


print(CenteredLayer()(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])))
#> tensor([-2., -1.,  0.,  1.,  2.])

# %% [markdown]
# The mean of the five numbers is 3, so the output is each number minus 3.
# The class needs no `__init__`, because there is nothing to set up.
# It works in a chain of layers like any other layer, and the mean of the output is 0 up to rounding:

# %%
net = nn.Sequential(nn.Linear(5, 64), CenteredLayer())
print(bool(net(X).mean().abs() < 1e-6))
#> True

# %% [markdown]
# **Watch out.** `X.mean()` is the mean over the whole batch, so the result for one example depends on the other examples in its batch.
# The first example gets one result in the batch and another on its own:

# %%
center = CenteredLayer()
print(torch.equal(center(X)[:1], center(X[:1])))
#> False

# %% [markdown]
# You rarely want a prediction that changes with the rest of the batch.
# In `forward`, subtract the mean over the last dimension instead, `X.mean(dim=-1, keepdim=True)`, so that each example is centered separately:

# %%
in_batch = X - X.mean(dim=-1, keepdim=True)
alone = X[:1] - X[:1].mean(dim=-1, keepdim=True)
print(torch.equal(in_batch[:1], alone))
#> True

# %% [markdown]
# `keepdim=True` keeps the last dimension with size 1, so the means have the shape `(2, 1)`, one mean per row.
# Broadcasting then subtracts each mean from all five numbers of its row.
# <dfn>Broadcasting</dfn> lets an operation such as `-` combine tensors of different shapes, for example `(2, 5)` and `(2, 1)`: the shapes are compared from the last dimension to the first, and a tensor is repeated along each dimension that it lacks or in which it has size 1.

# %% [markdown]
# ## A layer with parameters
#
# Most layers have values to learn.
# As an example, here is a linear layer with six lines in its body (in your own programs, use `nn.Linear`):

# %%
class MyLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, X):
        return X @ self.weight + self.bias


layer = MyLinear(5, 3)
print(layer(X).shape)
#> torch.Size([2, 3])

# %% [markdown]
# An `nn.Parameter` that you assign to an attribute is registered in the module: `layer.parameters()` contains it, so an optimizer can update it.
# Autograd computes its gradient for you:

# %%
layer(X).sum().backward()
print(layer.weight.grad.shape, layer.bias.grad)
#> torch.Size([5, 3]) tensor([2., 2., 2.])
torch.optim.SGD(layer.parameters(), lr=0.1).step()
print(layer.bias.detach())
#> tensor([-0.2000, -0.2000, -0.2000])

# %% [markdown]
# Each of the two rows adds 1 to the gradient of each bias, so the gradient is 2.
# A step with a learning rate of 0.1 then changes each bias by -0.2.
#
# PyTorch can train this layer, but the layer cannot do everything that PyTorch's own layers can.
# The next sections add the rest in small steps.

# %% [markdown]
# ### The shape of the weight: outputs first
#
# You want your layer to load weights that were saved from an `nn.Linear`.
# That works only if the shapes are equal.
# The weight of an `nn.Linear` has the output size first, so give your weight the shape `(out_features, in_features)` too.

# %%
class MyLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, X):
        return X @ self.weight.T + self.bias


theirs, mine = nn.Linear(5, 3), MyLinear(5, 3)
mine.load_state_dict(theirs.state_dict())
print(torch.allclose(mine(X), theirs(X)))
#> True

# %% [markdown]
# ### Initial values: `reset_parameters`
#
# Each output is a sum over the inputs.
# `torch.randn` draws the weights with the same spread for every layer, so this sum gets larger as the number of inputs grows.
# Like `nn.Linear`, the next version draws its values between `-bound` and `bound`, with `bound` = 1/√n for n inputs.
#
# The code for the initial values goes into a method named `reset_parameters`, which `__init__` calls.
# Users of the layer can then call that method to draw the values again.
# They need it after building the layer on the meta device, where tensors have no memory: `to_empty` gives the layer memory with arbitrary values, and `reset_parameters` fills this memory.
#
# So that users can build the layer on any device and in any precision, `__init__` also takes `device` and `dtype` and uses them for every tensor that it creates:

# %%
class MyLinear(nn.Module):
    def __init__(self, in_features, out_features, *, device=None, dtype=None):
        super().__init__()
        self.in_features = in_features
        factory = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(out_features, in_features, **factory))
        self.bias = nn.Parameter(torch.empty(out_features, **factory))
        self.reset_parameters()

    def reset_parameters(self):
        bound = self.in_features**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, X):
        return X @ self.weight.T + self.bias


print(MyLinear(5, 3, device="meta", dtype=torch.float64).weight.dtype)
#> torch.float64
empty = MyLinear(5, 3, device="meta").to_empty(device="cpu")
torch.manual_seed(0)
empty.reset_parameters()
torch.manual_seed(0)
print(torch.equal(empty.weight, MyLinear(5, 3).weight))
#> True

# %% [markdown]
# The first line of output shows that the weight has the dtype that you asked for.
# The second shows that `reset_parameters` filled the new memory with the same values that a new layer gets from the same seed.

# %% [markdown]
# ### An optional bias
#
# `nn.Linear(5, 3, bias=False)` has no bias, and your layer should offer the same choice.
# If there is no bias, do not leave the attribute out; register it as `None`, as this small layer does.
# The name `bias` then exists without a tensor: `shift.bias` is `None`, and the state dict has no entry for it.
# The name also stays reserved for a parameter: assigning a plain tensor, as in `shift.bias = torch.zeros(5)`, raises an error.

# %%
class Shift(nn.Module):
    def __init__(self, features, bias=True):
        super().__init__()
        if bias:
            self.bias = nn.Parameter(torch.zeros(features))
        else:
            self.register_parameter("bias", None)

    def forward(self, X):
        return X if self.bias is None else X + self.bias


shift = Shift(5, bias=False)
print(shift.bias, list(shift.state_dict()), torch.equal(shift(X), X))
#> None [] True

# %% [markdown]
# A method that computes with the bias must first check whether it is `None` (`F.linear` accepts `None`).

# %% [markdown]
# ### What `print` shows: `extra_repr`
#
# `print(net)` shows the class of each layer, followed by a pair of parentheses.
# `extra_repr` returns the text between the parentheses.
# By convention, that text lists the arguments of `__init__`, as in this class:

# %%
class Named(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}"


print(nn.Sequential(Named(5, 3)))
#> Sequential(
#>   (0): Named(in_features=5, out_features=3)
#> )

# %% [markdown]
# ### Inputs of any batch shape
#
# Your layer can be called with one example, a batch of examples or a batch of sequences.
# `X @ weight.T` accepts any number of dimensions before the last, including none, and also a batch without examples:

# %%
layer = MyLinear(5, 3)
for shape in [(5,), (0, 5), (2, 5), (2, 7, 5)]:
    print(shape, tuple(layer(torch.rand(shape)).shape))
#> (5,) (3,)
#> (0, 5) (0, 3)
#> (2, 5) (2, 3)
#> (2, 7, 5) (2, 7, 3)

# %% [markdown]
# All these shapes work as long as `forward` contains no fixed batch size.

# %% [markdown]
# ### Autocast
#
# Skip this on a first reading if you do not compute with 16-bit numbers.
#
# <dfn>Mixed precision</dfn> means computing with 16-bit numbers where they are accurate enough and with 32-bit numbers elsewhere, which saves time and memory.
# <dfn>Autocast</dfn>, or [`torch.autocast`](https://docs.pytorch.org/docs/stable/amp.html), is PyTorch's tool for mixed precision: it chooses a dtype for each operation.
# Matrix products run in a 16-bit dtype and losses in `float32`; most other operations run in the dtype of their inputs.
#
# The layer as written so far does not keep the 16-bit dtype.
# Its matrix product gives `bfloat16`, a 16-bit dtype, but its bias is `float32`, and the sum of the two is `float32` again:

# %%
with torch.autocast("cpu", dtype=torch.bfloat16):
    print(layer(X).dtype, nn.Linear(5, 3)(X).dtype)
#> torch.float32 torch.bfloat16

# %% [markdown]
# `F.linear` computes the product and adds the bias in a single operation that autocast runs in 16 bits.
# So the last step is to call `F.linear`:

# %%
with torch.autocast("cpu", dtype=torch.bfloat16):
    print(F.linear(X, layer.weight, layer.bias).dtype)
#> torch.bfloat16
print(torch.allclose(F.linear(X, layer.weight, layer.bias), layer(X)))
#> True

# %% [markdown]
# Under autocast, the output is now `bfloat16`; without autocast, it is the same as before.
# The finished class with all these steps is in the library.

# %% [markdown]
# ### Hooks
#
# A <dfn>hook</dfn> is a function that is attached to a module; PyTorch runs it before or after `forward` when the module is called, or during the backward pass.
# Several parts of PyTorch, such as lazy layers, which get their input size from the first batch, and `fully_shard`, which splits a net across several GPUs, rely on hooks.
#
# If your layer contains another layer, call that layer as `self.linear(X)` and never as `self.linear.forward(X)`, because only calling the layer itself runs its hooks.
# In this snippet, the inner layer is an `nn.LazyLinear`, a lazy layer whose hook reads the input size:

# %%
class Calls(nn.Module):
    def __init__(self, forward_only):
        super().__init__()
        self.linear = nn.LazyLinear(3)
        self.forward_only = forward_only

    def forward(self, X):
        return self.linear.forward(X) if self.forward_only else self.linear(X)


print(Calls(forward_only=False)(X).shape)
#> torch.Size([2, 3])
try:
    Calls(forward_only=True)(X)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# The first net calls the lazy layer, so the hook runs.
# The second net calls `forward` directly, so the hook does not run and the layer still has no weight, as the beginning of the error message says.

# %% [markdown]
# ## In the library
#
# `d2lblocks.layers` has `CenteredLayer` and the finished `MyLinear`.
# This `CenteredLayer` has an argument `dim`; with `dim=-1`, it centers each example separately.
#
# Source of <code>CenteredLayer</code> and <code>MyLinear</code>, without docstrings:
#
# *The library's own source, from `d2lblocks/layers.py`:*

# %%
from torch import Tensor


class CenteredLayer(nn.Module):
    def __init__(self, dim: int | tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, X: Tensor) -> Tensor:
        return X - X.mean(dim=self.dim, keepdim=True)

    def extra_repr(self) -> str:
        return "" if self.dim is None else f"dim={self.dim}"


class MyLinear(nn.Module):
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features, device=device, dtype=dtype))
        self.bias: nn.Parameter | None
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = self.in_features**-0.5 if self.in_features else 0.0
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, X: Tensor) -> Tensor:
        return F.linear(X, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )

# %% [markdown]
# With the same seed, `MyLinear` and `nn.Linear` have equal weights, and their outputs are exactly equal.
# `MyLinear` calls `F.linear`, so calling `F.linear` directly gives the same output:

# %%
from d2lblocks import CenteredLayer, MyLinear

torch.manual_seed(0)
theirs = nn.Linear(5, 3)
torch.manual_seed(0)
mine = MyLinear(5, 3)
print(torch.equal(mine.weight, theirs.weight), torch.equal(mine(X), theirs(X)))
#> True True
print(torch.equal(mine(X), F.linear(X, mine.weight, mine.bias)))
#> True
print(mine)
#> MyLinear(in_features=5, out_features=3, bias=True)

# %% [markdown]
# You can stack custom layers like any others:

# %%
net = nn.Sequential(MyLinear(5, 64), nn.ReLU(), CenteredLayer(dim=-1), MyLinear(64, 1))
print(net(X).shape)
#> torch.Size([2, 1])

# %% [markdown]
# ### Check the gradients: `gradcheck`
#
# Skip this on a first reading: autograd computes correct gradients for a layer that is made of PyTorch's operations, so you need this check only if you are in doubt or write your own backward pass.
#
# [`torch.autograd.gradcheck`](https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html) compares each gradient with a measured slope, (f(x + h) - f(x - h)) / (2h) for a small step h.
# Use `float64` inputs, because slopes measured in `float32` are too inaccurate.
# `gradcheck` expects a function of tensors, so the snippet uses `functional_call`, which runs a module with the parameters that you pass:

# %%
from torch.autograd import gradcheck
from torch.func import functional_call

exact = MyLinear(5, 3, dtype=torch.float64)
names = [name for name, _ in exact.named_parameters()]


def output(X, *parameters):
    return functional_call(exact, dict(zip(names, parameters)), (X,))


X64 = X.double().requires_grad_()
print(gradcheck(output, (X64, *exact.parameters())))
#> True

# %% [markdown]
# ## Parameter, buffer, attribute
#
# Your layer holds a table of constants.
# Should an optimizer change it?
# Should a saved file contain it?
# Should it move to the GPU with the net?
# Your answers decide how you store it.
#
# A <dfn>buffer</dfn> is a tensor that is registered in a module and moves with it but is not trained.
# A <dfn>persistent buffer</dfn> is a buffer that the state dict contains, so it is saved with the module; buffers are persistent by default.
# A <dfn>non-persistent buffer</dfn>, made with `persistent=False`, moves with the module but is not saved.
# To register a buffer, write `self.name = nn.Buffer(tensor)` or `self.register_buffer("name", tensor)`.
# This class has one tensor of each kind:

# %%
class Kinds(nn.Module):
    def __init__(self):
        super().__init__()
        self.parameter = nn.Parameter(torch.zeros(2))
        self.buffer = nn.Buffer(torch.zeros(2))
        self.scratch = nn.Buffer(torch.zeros(2), persistent=False)
        self.plain = torch.zeros(2)


kinds = Kinds()
trained = dict(kinds.named_parameters())
saved = kinds.state_dict()
kinds.double()
for name in ("parameter", "buffer", "scratch", "plain"):
    moved = getattr(kinds, name).dtype == torch.float64
    print(f"{name}: trained {name in trained}, saved {name in saved}, moved {moved}")
#> parameter: trained True, saved True, moved True
#> buffer: trained False, saved True, moved True
#> scratch: trained False, saved False, moved True
#> plain: trained False, saved False, moved False

# %% [markdown]
# "Moved" shows the effect of `kinds.double()`, which casts a module to `float64`.
# The cast changed the parameter and both buffers, but not the plain tensor; a move to another device treats them the same way.
# Use each kind for a different purpose:
#
# | Kind | Trained | Saved | Moved and cast | Use it for |
# |---|---|---|---|---|
# | `nn.Parameter` | yes | yes | yes | values that are learned |
# | `nn.Buffer` | no | yes | yes | constants and statistics that the saved net needs |
# | `nn.Buffer(..., persistent=False)` | no | no | yes | values that can be computed again, such as masks and indices |
# | plain tensor | no | no | no | a tensor that `forward` does not use, such as data for a plot |
#
# **Watch out.** `net.bfloat16()` and `net.half()` round every floating-point buffer, and casting the net back does not restore the lost digits.
# This can make a table of frequencies useless, as shown below.
# Integer and boolean buffers are not affected.

# %% [markdown]
# ### Lists and dictionaries of parameters and layers
#
# You want several layers or parameters under one name.
# A Python list does not register its contents: the module does not see the parameters or layers in it.
# Use PyTorch's own containers: `nn.ParameterList` and `nn.ParameterDict` register parameters, and `nn.ModuleList` and `nn.ModuleDict` register modules.

# %%
class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleDict(
            {"small": MyLinear(5, 3), "large": MyLinear(5, 3)}
        )
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(3)) for _ in range(2))

    def forward(self, X, name):
        return self.experts[name](X) * self.scales[0] * self.scales[1]


experts = Experts()
for name, _ in experts.named_parameters():
    print(name)
#> experts.small.weight
#> experts.small.bias
#> experts.large.weight
#> experts.large.bias
#> scales.0
#> scales.1
print(experts(X, "small").shape)
#> torch.Size([2, 3])

# %% [markdown]
# Each name shows where the parameter is: `experts.small.weight` is the weight of the module `small` in `experts`.
#
# **The first reading ends here.** The rest of the page is about layers that take their sizes from the first batch, compiled or exported layers and finding out what is wrong with a layer.

# %% [markdown]
# ## A lazy layer of your own
#
# You want to let users of your layer leave out the input size, as they can with PyTorch's lazy layers.
# `LazyModuleMixin` provides the hook that runs before the first call.
# You supply two things: parameters that have no shape yet and a method `initialize_parameters` that gives them their shapes.
# In this method, `has_uninitialized_params()` tells you whether a shape is still missing, and `materialize(shape)` gives a parameter its shape and memory but no values:

# %%
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter


class LazyScale(LazyModuleMixin, nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = UninitializedParameter()

    def initialize_parameters(self, X):
        if self.has_uninitialized_params():
            self.scale.materialize((X.shape[-1],))
            nn.init.ones_(self.scale)

    def forward(self, X):
        return X * self.scale


scale = LazyScale()
print(scale.scale)
#> <UninitializedParameter>
print(scale(X).shape, scale.scale.shape)
#> torch.Size([2, 5]) torch.Size([5])

# %% [markdown]
# The parameter has no shape at first.
# The last dimension of the first batch has size 5, so the parameter then has five values.
# If the layer already has values that were loaded from a file, the `if` leaves them unchanged.
#
# `MyLazyLinear` in `d2lblocks.layers` does the same for a weight and a bias.
# It also sets `cls_to_become`, the class that the layer has after the first batch.
#
# Source of <code>MyLazyLinear</code>, without docstrings:
#
# *The library's own source, from `d2lblocks/layers.py`:*

# %%
from typing import Any

from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter


class MyLazyLinear(LazyModuleMixin, MyLinear):
    cls_to_become = MyLinear
    weight: Any  # an UninitializedParameter, and a Parameter after the first batch
    bias: Any

    def __init__(
        self,
        out_features: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(0, 0, bias=False)
        self.out_features = out_features
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weight = UninitializedParameter(**factory)
        if bias:
            self.bias = UninitializedParameter(**factory)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, X: Tensor) -> None:
        waits = self.has_uninitialized_params()
        if waits:
            self.weight.materialize((self.out_features, X.shape[-1]))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
        self.in_features = self.weight.shape[1]  # also of a weight that was loaded
        if waits:
            self.reset_parameters()

# %%
from d2lblocks import MyLazyLinear

lazy = MyLazyLinear(3)
print(lazy.weight)
#> <UninitializedParameter>
Y = lazy(X)
print(lazy)
#> MyLinear(in_features=5, out_features=3, bias=True)

# %% [markdown]
# After the first batch, the layer is a `MyLinear`.
#
# **Watch out.** Someone may call `reset_parameters` on every layer of a net before the first batch, when the parameters of a lazy layer have no memory to fill.
# So give a lazy class its own `reset_parameters` that does nothing before the first batch, as in `MyLazyLinear`.

# %% [markdown]
# ## Compile and export
#
# You want your layer to run faster or to run in a program that does not have your Python class.
# To <dfn>compile</dfn> a module means to record its `forward` as a graph of operations and turn this graph into faster code, as [`torch.compile`](https://docs.pytorch.org/docs/stable/generated/torch.compile.html) does.
#
# A layer usually runs fastest if `torch.compile` can record it as a single graph.
# With `fullgraph=True`, you get an error if this is not possible.
# The part of `torch.compile` that turns the graph into code is called the backend.
# The backend `"eager"` runs the graph as it is, so it lets you check a layer on a machine without a C++ compiler:

# %%
compiled = torch.compile(mine, backend="eager", fullgraph=True)
print(torch.equal(compiled(X), mine(X)))
#> True

# %% [markdown]
# To <dfn>export</dfn> a module means to record its `forward` as a program that runs without your Python code, as [`torch.export`](https://docs.pytorch.org/docs/stable/export.html) does.
# The exported program accepts only inputs with the shape of the example that you pass to `torch.export.export`, here `X`.
# For other batch sizes, declare the batch dimension as dynamic:

# %%
batch = torch.export.Dim("batch")
program = torch.export.export(mine, (X,), dynamic_shapes=({0: batch},))
print(program.module()(torch.rand(7, 5)).shape)
#> torch.Size([7, 3])

# %% [markdown]
# The program was exported with 2 rows and runs with 7.
#
# A <dfn>fake tensor</dfn> has a shape, a dtype and a device like a real tensor, but no values; `torch.compile` and `torch.export` use fake tensors to record a net without computing any values.
# So `torch.export` and `fullgraph=True` fail if Python needs the value of a tensor to decide what to do next.
# For example, the loop of `FixedHiddenMLP` checks before every iteration whether the sum is still too large:

# %%
from d2lblocks import FixedHiddenMLP

looped = torch.compile(FixedHiddenMLP(5), backend="eager", fullgraph=True)
try:
    looped(X)
except Exception as error:
    print(type(error).__name__)
#> Unsupported

# %% [markdown]
# Without `fullgraph=True`, `torch.compile` accepts this layer, but the result has graph breaks, which make it slower.
# A <dfn>graph break</dfn> is a place where `torch.compile` ends one graph, lets Python run the code that it cannot record, and begins another graph.
# Branching on a tensor's value, printing a tensor and calling `.tolist()` on a floating-point tensor also cause graph breaks.
# Code that depends only on *shapes* causes none.
# You can often replace a loop such as that of `FixedHiddenMLP` with arithmetic, as exercise 6 of "Layers and modules" does.

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### Gradients are `None`: `.data` in `forward`
#
# The net trains, but one of its layers never changes, and the gradient of that layer's weight is `None`.
# The layer's `forward` uses `.data`, which gives the values of a tensor without autograd.
# If this is the only layer, `backward` raises an error:

# %%
class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 5))

    def forward(self, X):
        return X @ self.weight.data


try:
    Detached()(X).sum().backward()
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn

# %% [markdown]
# In a net with other layers, there is no error, and the layer never learns:

# %%
net = nn.Sequential(nn.Linear(5, 5), Detached(), nn.Linear(5, 1))
net(X).sum().backward()
print([name for name, parameter in net.named_parameters() if parameter.grad is None])
#> ['1.weight']

# %% [markdown]
# (The first layer does have a gradient, but the gradient is zero, because it passed through a weight of zeros.)
#
# Fix: use the parameter itself.

# %%
class Attached(Detached):
    def forward(self, X):
        return X @ self.weight


net = nn.Sequential(nn.Linear(5, 5), Attached(), nn.Linear(5, 1))
net(X).sum().backward()
print([name for name, parameter in net.named_parameters() if parameter.grad is None])
#> []

# %% [markdown]
# To notice it next time: after `backward`, check that every parameter has a gradient.
# `diagnose` reports this as `data-read`.

# %% [markdown]
# ### Parameters in a Python list
#
# Your layer has parameters in a list, but `parameters()` does not contain them, so an optimizer never gets them:

# %%
class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = [nn.Parameter(torch.ones(3)) for _ in range(2)]


print(list(Hidden().parameters()))
#> []

# %% [markdown]
# There is no error.
# A module registers a parameter, buffer or module when you assign it to an attribute.
# A list is none of these, so the module does not look inside it.
#
# Fix: use `nn.ParameterList`.

# %%
class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(3)) for _ in range(2))


print(len(list(Listed().parameters())))
#> 2

# %% [markdown]
# To notice it next time: compare `len(list(layer.parameters()))` with the number of parameters that you expect.
# `diagnose` reports this as `unregistered`.

# %% [markdown]
# ### The constants are trained: `nn.ParameterList` of buffers
#
# You put constants into an `nn.ParameterList`, and training changes them.
# `nn.ParameterList` and `nn.ParameterDict` turn every tensor, even a buffer, into an `nn.Parameter`:

# %%
held = nn.ParameterList([torch.zeros(2), nn.Buffer(torch.zeros(2))])
print(
    [(name, parameter.requires_grad) for name, parameter in held.named_parameters()],
    list(held.buffers()),
)
#> [('0', True), ('1', True)] []

# %% [markdown]
# The same happens to the result of an operation, such as `2 * w`: it becomes a new parameter, and `w` gets no gradient through it.
#
# PyTorch has no list type for buffers.
# Fix: stack the constants into one buffer or, if the shapes differ, register a buffer for each constant.

# %%
class Constants(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = nn.Buffer(torch.zeros(2, 3))
        for i, tensor in enumerate([torch.zeros(1), torch.zeros(4)]):
            self.register_buffer(f"constant{i}", tensor)

    def forward(self, X):
        return X + self.pair[0].sum() + self.get_buffer("constant1").sum()


print(
    [name for name, _ in Constants().named_buffers()], list(Constants().parameters())
)
#> ['pair', 'constant0', 'constant1'] []

# %% [markdown]
# To notice it next time: look in `named_parameters()` for tensors that should not be trained.

# %% [markdown]
# ### `nn.Parameter(t) * 0.01` is not a parameter
#
# You scale a parameter on the line that creates it, and then the parameter is missing from `parameters()`.
# An operation on a parameter returns a plain tensor, and so does `.to(dtype)` if it has to convert the values:

# %%
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5)) * 0.01
        self.other = nn.Parameter(torch.randn(3, 5)).to(torch.float64)


print(list(Scaled().parameters()))
#> []

# %% [markdown]
# There is no error.
# `diagnose` reports this as `not-a-parameter`.
#
# Fix: do the arithmetic first, and call `nn.Parameter` on the result.

# %%
class ScaledFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5) * 0.01)
        self.other = nn.Parameter(torch.randn(3, 5, dtype=torch.float64))


print([name for name, _ in ScaledFirst().named_parameters()])
#> ['weight', 'other']

# %% [markdown]
# If you give such a tensor to an optimizer, the optimizer raises `can't optimize a non-leaf Tensor`.

# %% [markdown]
# ### The loss is `nan` from the first step: a weight that was never filled
#
# The loss is `nan` or huge from the first step, but perhaps not on every run.
# `torch.empty(2, 3)` and the older `torch.Tensor(2, 3)` reserve memory and leave its contents as they were: zeros, huge numbers or `nan`.
#
# To find a parameter that was never filled, call `torch.use_deterministic_algorithms(True)` before you build the net; PyTorch then fills new memory with `nan`:

# %%
class Unfilled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(5, 3))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, X):
        return X @ self.weight + self.bias


torch.use_deterministic_algorithms(True)
net = Unfilled()
torch.use_deterministic_algorithms(False)
print([name for name, parameter in net.named_parameters() if parameter.isnan().any()])
#> ['weight']

# %% [markdown]
# `diagnose` reports this as `nan`.
#
# Fix: fill every parameter in `reset_parameters`, and call that method in `__init__`.

# %%
class Filled(Unfilled):
    def __init__(self):
        super().__init__()
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.normal_(self.weight, std=0.01)
        nn.init.zeros_(self.bias)


print(bool(Filled()(X).isfinite().all()))
#> True

# %% [markdown]
# ### The constant is not cast or moved: a plain tensor attribute
#
# After you cast or move the net, a layer raises an error about two dtypes or two devices.
# The layer keeps a constant as a plain attribute, which is not cast, moved or saved with it:

# %%
class Shifted(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.ones(5, 5)

    def forward(self, X):
        return X @ self.table


try:
    Shifted().double()(X.double())
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float

# %% [markdown]
# Fix: use a buffer.

# %%
class Buffered(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Buffer(torch.ones(5, 5))

    def forward(self, X):
        return X @ self.table


print(Buffered().double()(X.double()).dtype)
#> torch.float64

# %% [markdown]
# If every tensor of the layer is registered and you still get an error about dtypes, the batch and the weights have different dtypes: see `mat1 and mat2 must have the same dtype`.
#
# To notice it next time: list the registered tensors with `list(layer.state_dict())`; a non-persistent buffer appears in `named_buffers()` only.
# `diagnose` reports this as `constant`.

# %% [markdown]
# ### The positions are wrong in 16 bits: a rounded buffer
#
# A net that works in `float32` gives bad results after `net.bfloat16()`, even if you cast it back afterward.
# Casting the net silently rounds its floating-point buffers too, and this cannot be undone.
# Models that encode the positions of words often keep a table of frequencies f and compute cos(p · f) for each position p.
# For position 2,000, an error of 0.0002 in f becomes an error of 0.4 in p · f, so the cosine is wrong:

# %%
class Rounded(nn.Module):
    def __init__(self):
        super().__init__()
        self.frequencies = nn.Buffer(
            10000.0 ** (-torch.arange(0, 32, 2) / 32), persistent=False
        )

    def forward(self, length):
        positions = torch.arange(length, device=self.frequencies.device)
        return torch.outer(positions.float(), self.frequencies.float()).cos()


rounded = Rounded()
exact = rounded(2048)
print(bool((rounded.bfloat16()(2048) - exact).abs().max() > 0.3))
#> True
print(bool((rounded.float()(2048) - exact).abs().max() > 0.3))
#> True

# %% [markdown]
# Fix: keep integers in the buffer and compute the frequencies from them in `float32` inside `forward`.
# Casting a net does not change integer buffers.

# %%
class Exact(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.Buffer(torch.arange(0, 32, 2), persistent=False)

    def forward(self, length):
        frequencies = 10000.0 ** (-self.steps.float() / 32)
        positions = torch.arange(length, device=self.steps.device)
        return torch.outer(positions.float(), frequencies).cos()


print(torch.equal(Exact().bfloat16()(2048), exact))
#> True

# %% [markdown]
# Alternatively, leave the net in `float32` and use autocast, which does not cast buffers.
#
# To notice it next time: print `parameter_table(net)`, which shows the dtype of every buffer.
# `diagnose` reports this as `rounded-buffer`.

# %% [markdown]
# ### `Index put requires the source and destination dtypes match`
#
# Your layer works until you turn on autocast.
# Under autocast, the output of a linear layer is 16-bit, but `torch.zeros` still creates a `float32` tensor.
# An assignment such as `Y[mask] = H` needs the same dtype on both sides:

# %%
class Scatter(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, X, mask):
        Y = torch.zeros(len(mask), 3)
        Y[mask] = self.linear(X)
        return Y


mask = torch.tensor([True, False, True])
try:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        Scatter()(X, mask)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Index put requires the source and destination dtypes match, got Float for the destination and BFloat16 for the source.

# %% [markdown]
# Fix: compute the values first, then create the result with their dtype and device.

# %%
class ScatterAny(Scatter):
    def forward(self, X, mask):
        H = self.linear(X)
        Y = H.new_zeros(len(mask), 3)
        Y[mask] = H
        return Y


with torch.autocast("cpu", dtype=torch.bfloat16):
    print(ScatterAny()(X, mask).dtype)
#> torch.bfloat16

# %% [markdown]
# `scatter_`, `scatter_add_`, `index_add_` and `index_copy_` fail for the same reason and have the same fix:

# %%
H = torch.ones(2, 3, dtype=torch.bfloat16)
try:
    torch.zeros(2, 3).scatter_(0, torch.zeros(2, 3, dtype=torch.int64), H)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: scatter(): Expected self.dtype to be equal to src.dtype

# %% [markdown]
# To notice it next time: in the test of each new layer, call the layer once under autocast.

# %% [markdown]
# ### `self` and the input in the wrong order
#
# The message says that your module lacks a method that every tensor has.
# Python passes the module as the first argument of every method, even if this argument is not called `self`.
# With the arguments in the wrong order, `X` is the module and `self` is the input:

# %%
class Swapped(nn.Module):
    def forward(X, self):
        return X.relu()


try:
    Swapped()(X)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Swapped' object has no attribute 'relu'

# %% [markdown]
# Fix: write `forward(self, X)`.

# %%
class Ordered(nn.Module):
    def forward(self, X):
        return X.relu()


print(Ordered()(X).shape)
#> torch.Size([2, 5])

# %% [markdown]
# ### `Trying to backward through the graph a second time`: a state that is kept
#
# The first training step works, but the second raises an error.
# `backward` frees the graph that it has gone through.
# A module that keeps its output for the next call also keeps the graph of that output, so the second `backward` reaches a graph that has been freed:

# %%
class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)
        self.state = nn.Buffer(torch.zeros(2, 5))

    def forward(self, X):
        self.state = torch.tanh(self.linear(X) + self.state)
        return self.state


cell = Cell()
try:
    for _ in range(2):
        cell(X).sum().backward()
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors after calling backward.

# %% [markdown]
# `retain_graph=True` is not a fix.
# The graph then grows with every step, and each step takes more time and memory.
# Once the optimizer has changed the weights, `backward` may also raise `modified by an inplace operation`.
#
# Fix: keep the value without its graph.

# %%
class DetachedCell(Cell):
    def forward(self, X):
        H = torch.tanh(self.linear(X) + self.state)
        self.state = H.detach()
        return H


cell = DetachedCell()
for _ in range(2):
    cell(X).sum().backward()
print(cell.state.requires_grad)
#> False

# %% [markdown]
# The same happens if you compute a tensor from parameters before the loop and use it in each step: compute it inside the loop instead.
# It also happens if you call `backward` on a running sum of losses: call `backward` on the loss of each step, and add up `loss.item()` to print the sum.
#
# To notice it next time: check that `requires_grad` is `False` for every tensor that the module keeps between steps.
# `diagnose` reports this as `kept-graph`.

# %% [markdown]
# ### `Inference tensors cannot be saved for backward`
#
# You evaluate the net once, and then training fails.
# A tensor created under `torch.inference_mode()` is an inference tensor, and autograd cannot save it for the backward pass.
# If a module creates a buffer on its first call, and that call is an evaluation, the module keeps an inference tensor:

# %%
class MadeLate(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)
        self.register_buffer("scale", None, persistent=False)

    def forward(self, X):
        if self.scale is None:
            self.scale = torch.arange(5.0, device=X.device)
        return self.linear(X) * self.scale


net = MadeLate()
with torch.inference_mode():
    net(X)
try:
    net(X)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`.

# %% [markdown]
# Fix: create the buffer in `__init__`.
# If its size is not known there, make the first call under `torch.no_grad()`, or leave inference mode for the line that creates the tensor:

# %%
class MadeNormally(MadeLate):
    def forward(self, X):
        if self.scale is None:
            with torch.inference_mode(False):
                self.scale = torch.arange(5.0, device=X.device)
        return self.linear(X) * self.scale


net = MadeNormally()
with torch.inference_mode():
    net(X)
net(X).sum().backward()
print(net.scale.is_inference())
#> False

# %% [markdown]
# If you *build* a net under `torch.inference_mode()`, all its parameters are inference tensors, and writing into them fails:

# %%
with torch.inference_mode():
    net = nn.Linear(5, 5)
try:
    net.reset_parameters()
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details.

# %% [markdown]
# Fix: build the net outside `torch.inference_mode()`, and use that mode only for predictions.
#
# To notice it next time: check that `is_inference()` is `False` for every tensor that the module keeps.

# %% [markdown]
# ### `torch._dynamo hit config.recompile_limit`: a counter that is an `int`
#
# A compiled module is slow, and PyTorch warns about a recompile limit.
# `torch.compile` treats the Python numbers of a module as constants of the graph.
# If such a number changes with each call, each call compiles the module again.
# After eight compilations, PyTorch warns, and from then on, it runs the module without compiling it.
# A ninth call would trigger the warning; the backend in this snippet counts the compilations:

# %%
graphs = []


def counting(graph, example_inputs):
    graphs.append(graph)
    return graph.forward


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.linear = 0, nn.Linear(5, 3)

    def forward(self, X):
        self.calls += 1
        return self.linear(X)


compiled = torch.compile(Counts(), backend=counting)
for _ in range(8):
    compiled(X)
print(len(graphs))
#> 8

# %% [markdown]
# Fix: count in a buffer, which is an input of the graph and not a constant.

# %%
class CountsInBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.linear = nn.Buffer(torch.tensor(0)), nn.Linear(5, 3)

    def forward(self, X):
        self.calls.add_(1)
        return self.linear(X)


graphs.clear()
net = CountsInBuffer()
compiled = torch.compile(net, backend=counting)
for _ in range(8):
    compiled(X)
print(len(graphs), net.calls.item())
#> 1 8

# %% [markdown]
# To notice it next time: set the environment variable `TORCH_LOGS` to `recompiles`; PyTorch then prints why it compiles a module again.

# %% [markdown]
# ### `Only Tensors of floating point and complex dtype can require gradients`
#
# You store indices, a mask or a count as a parameter.
# A parameter requires a gradient by default, and integers and booleans cannot have one:

# %%
try:
    nn.Parameter(torch.tensor([0, 1]))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Only Tensors of floating point and complex dtype can require gradients

# %% [markdown]
# Fix: use a buffer, which is saved and moved with the net and never trained.

# %%
print(nn.Buffer(torch.tensor([0, 1])))
#> tensor([0, 1])

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# Write the layer `Affine`, which computes `gamma * X + beta` from an input `X` whose last dimension has size `features`.
# `gamma` and `beta` are trained and have the shape `(features,)`.
# Every value of `gamma` starts at 1, every value of `beta` at 0.
# Both are created on `device` with `dtype`.
#
# To practice (easy): `python -m d2lblocks practice start layers/1`

# %% [markdown]
# #### Solution

# %% [markdown]
# `nn.Parameter` goes around the finished tensor, so `device` and `dtype` go to the function that creates this tensor.
# Broadcasting repeats `gamma` and `beta` along the other dimensions of the input.
#
# *layers/1_affine.py*

# %%
class Affine(nn.Module):
    def __init__(self, features, *, device=None, dtype=None):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(features, device=device, dtype=dtype))
        self.beta = nn.Parameter(torch.zeros(features, device=device, dtype=dtype))

    def forward(self, X):
        return self.gamma * X + self.beta

# %% [markdown]
# Layer normalization and batch normalization end with such a layer.
# At first, it returns its input, and each parameter gets a gradient:

# %%
affine = Affine(5)
print(torch.equal(affine(X), X), affine(X[0]).shape)
#> True torch.Size([5])
affine(X).sum().backward()
print(torch.allclose(affine.gamma.grad, X.sum(dim=0)), affine.beta.grad)
#> True tensor([2., 2., 2., 2., 2.])
print(Affine(5, device="meta", dtype=torch.float64).gamma.dtype)
#> torch.float64

# %% [markdown]
# ### Exercise 2
#
# Write the layer `HalfFourier`, which returns only those Fourier coefficients that are needed for a real input.
# For n values along the last dimension of `X`, it returns the coefficients 0 to n // 2 along this dimension, as complex numbers.
# The other dimensions of `X` are separate examples, and there can be any number of them, including none.
#
# To practice (easy): `python -m d2lblocks practice start layers/2`

# %% [markdown]
# #### Solution

# %% [markdown]
# If the n input values are real, coefficient n - k is the complex conjugate of coefficient k.
# So the coefficients from 0 to n // 2 contain all the information, and `torch.fft.rfft` computes only those.
#
# *layers/2_half_fourier.py*

# %%
class HalfFourier(nn.Module):
    def forward(self, X):
        return torch.fft.rfft(X)

# %% [markdown]
# `torch.fft.irfft` turns the coefficients back into the input.
# It needs `n=5` because 3 coefficients can come from 4 values or from 5.

# %%
half, full = HalfFourier()(X), torch.fft.fft(X)
print(half.shape, torch.allclose(half, full[:, :3], atol=1e-6))
#> torch.Size([2, 3]) True
print(torch.allclose(full[:, 3:], half[:, 1:].flip(-1).conj(), atol=1e-6))
#> True
print(torch.allclose(torch.fft.irfft(half, n=5), X, atol=1e-6))
#> True

# %% [markdown]
# If the next layer needs real numbers, use `torch.view_as_real`, which puts the real and imaginary parts into a last dimension of size 2.

# %% [markdown]
# ### Exercise 3
#
# Write the layer `QuadraticForm`, which computes one number for each output k: the sum of `W[k, i, j] * x[i] * x[j]` over all i and j.
# `W` is its parameter `weight`, which has the shape `(out_features, in_features, in_features)`.
# The initial values are drawn from a normal distribution with mean 0 and standard deviation 1 / `in_features`.
# An input of shape `(*, in_features)` gives an output of shape `(*, out_features)`, where `*` is any number of dimensions, including none.
#
# To practice (medium): `python -m d2lblocks practice start layers/3`

# %% [markdown]
# #### Solution

# %% [markdown]
# In the formula for `einsum`, `...` stands for all dimensions before the last, so the layer accepts any batch shape.
# Each output is a sum of n² products, where n is `in_features`.
# For inputs with mean 0 and variance 1, the variance of this sum is about n² times the variance of one weight.
# So weights with a standard deviation of 1/n keep the scale of the values.
#
# *layers/3_quadratic.py*

# %%
class QuadraticForm(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(
            torch.empty(out_features, in_features, in_features)
        )
        nn.init.normal_(self.weight, std=1 / in_features)

    def forward(self, X):
        return torch.einsum("...i,kij,...j->...k", X, self.weight, X)

# %% [markdown]
# A loop over i and j gives the same outputs.
# So does `nn.Bilinear`, which takes two inputs, if you pass the same tensor twice:

# %%
quadratic = QuadraticForm(5, 3)
print(quadratic(X).shape, quadratic(X[0]).shape)
#> torch.Size([2, 3]) torch.Size([3])

x, W = X[0], quadratic.weight
for k in range(3):
    y = sum(W[k, i, j] * x[i] * x[j] for i in range(5) for j in range(5))
    print(torch.allclose(y, quadratic(x)[k], atol=1e-6))
#> True
#> True
#> True

bilinear = nn.Bilinear(5, 5, 3, bias=False)
bilinear.load_state_dict(quadratic.state_dict())
print(torch.allclose(bilinear(X, X), quadratic(X)))
#> True

# %% [markdown]
# ### Exercise 4
#
# Write the layer `RunningCenter`, which subtracts the mean of each feature from an input of shape `(n, features)`.
# In training mode, this is the mean of the batch, and gradients flow through it.
# The layer also has `running_mean`, a tensor of shape `(features,)` that starts at 0.
# Each batch in training mode moves it toward the mean of the batch, by the fraction `momentum` of the difference.
# In evaluation mode, the layer subtracts `running_mean` and does not change it, so that each prediction depends only on its own input.
# `running_mean` is saved with the net and not trained; it is updated in place, without keeping a graph.
# It is created on `device` with `dtype`.
#
# To practice (medium): `python -m d2lblocks practice start layers/4`

# %% [markdown]
# #### Solution

# %% [markdown]
# The saved net needs the running mean, and no optimizer should change it, so it is a buffer.
# `lerp_` moves the running mean a fraction `momentum` of the way to the mean of the batch.
# It works in place, so the running mean remains the registered buffer.
# `no_grad` keeps the update out of autograd.
#
# *layers/4_running_center.py*

# %%
class RunningCenter(nn.Module):
    def __init__(self, features, momentum=0.1, *, device=None, dtype=None):
        super().__init__()
        self.momentum = momentum
        self.running_mean = nn.Buffer(
            torch.zeros(features, device=device, dtype=dtype)
        )

    def forward(self, X):
        if not self.training:
            return X - self.running_mean
        mean = X.mean(dim=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
        return X - mean

# %% [markdown]
# After 200 batches of numbers between 0 and 1, the running mean is 0.5, and the prediction for one example is the same alone and in a batch:

# %%
center = RunningCenter(5)
for _ in range(200):
    Y = center(torch.rand(64, 5))
center.eval()
print(
    torch.equal(center(X)[:1], center(X[:1])),
    center.running_mean.round(decimals=1),
)
#> True tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000])

# %% [markdown]
# ### Exercise 5
#
# `OldLinear` stores its weight as `(in_features, out_features)`, and you have checkpoints in this layout.
# `NewLinear` stores it as `(out_features, in_features)`.
# Change `NewLinear` so that it loads the state dict of either class, also inside another module and also if the weight is square.
# A state dict without a version counts as an old one.
# If the state dict does not contain the weight, PyTorch still reports the key as missing.
# Loading does not change the tensors of the state dict.
#
# To practice (hard): `python -m d2lblocks practice start layers/5`

# %%
class OldLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(in_features, out_features))

    def forward(self, X):
        return X @ self.weight


class NewLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(out_features, in_features))

    def forward(self, X):
        return F.linear(X, self.weight)

# %% [markdown]
# #### Solution

# %% [markdown]
# A state dict records the `_version` of each module, and `_load_from_state_dict` receives this number when the state dict is loaded.
# Some of PyTorch's own layers, such as `nn.BatchNorm2d`, use their version in the same way.
# Here the method replaces the entry in a copy, so the caller's dictionary does not change.
# A state dict without a version counts as version 1.
#
# *layers/5_old_layout.py*

# %%
class OldLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(in_features, out_features))

    def forward(self, X):
        return X @ self.weight


class NewLinear(nn.Module):
    _version = 2

    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(out_features, in_features))

    def forward(self, X):
        return F.linear(X, self.weight)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        key = f"{prefix}weight"
        if (local_metadata.get("version") or 1) < 2 and key in state_dict:
            state_dict = state_dict | {key: state_dict[key].T}
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

# %%
old = nn.Sequential(OldLinear(5, 3))
new = nn.Sequential(NewLinear(5, 3))
new.load_state_dict(old.state_dict())
print(torch.allclose(new(X), old(X)))
#> True
again = nn.Sequential(NewLinear(5, 3))
again.load_state_dict(new.state_dict())
print(torch.equal(again(X), new(X)))
#> True

# %% [markdown]
# **Watch out.** If the weight is square, both layouts have the same shape, and only the version tells them apart.
# The version is lost in a dictionary that you build yourself.
# It is also lost in a safetensors file: `load_parameters`, which reads such files, does not call this method.
# It is safer to give the new layout a new name, such as `weight_out_in`.

# %% [markdown]
# ### Exercise 6
#
# Write `per_example(layer, X)`, which computes a separate gradient for each example of a batch `X` of shape `(n, features)`, without a loop.
# The loss of one example `x` is `layer(x).square().sum()`.
# The function returns a dict that maps the name of each parameter to its n gradients, a tensor of shape `(n, *parameter.shape)`.
# It changes neither the layer nor the `.grad` of its parameters.
#
# To practice (hard): `python -m d2lblocks practice start layers/6`

# %% [markdown]
# #### Solution

# %% [markdown]
# A layer that keeps no state between calls is a function of its parameters and its input.
# `grad` computes the gradient of the loss for one example, and `vmap` does this for all examples of the batch at once.
#
# *layers/6_per_example.py*

# %%
from torch.func import functional_call, grad, vmap


def per_example(layer, X):
    parameters = {
        name: parameter.detach() for name, parameter in layer.named_parameters()
    }

    def loss(parameters, x):
        return functional_call(layer, parameters, (x,)).square().sum()

    return vmap(grad(loss), in_dims=(None, 0))(parameters, X)

# %% [markdown]
# The gradient of a batch is the sum of these gradients:

# %%
layer = MyLinear(5, 3)
each = per_example(layer, X)
print(each["weight"].shape)
#> torch.Size([2, 3, 5])

layer(X).square().sum().backward()
print(torch.allclose(each["weight"].sum(dim=0), layer.weight.grad))
#> True

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | a layer | a subclass of `nn.Module` with `forward(self, X)` |
# | values that are learned | `self.weight = nn.Parameter(torch.empty(outputs, inputs, device=device, dtype=dtype))` |
# | initial values | `reset_parameters`, called by `__init__` |
# | a constant or a statistic | `nn.Buffer`, with `persistent=False` if it can be computed again |
# | a bias that can be turned off | `self.register_parameter("bias", None)` |
# | several parameters or layers | `nn.ParameterList`, `nn.ModuleList`, `nn.ParameterDict`, `nn.ModuleDict` |
# | to print the arguments of `__init__` | `extra_repr` |
# | to use a layer inside a layer | `self.linear(X)`, never `self.linear.forward(X)` |
# | to keep 16 bits under autocast | `F.linear` and other single operations |
# | each example centered separately | `X - X.mean(dim=-1, keepdim=True)` |
# | to check gradients | `torch.autograd.gradcheck`, in `float64` |
# | to check that a layer compiles | `torch.compile(layer, backend="eager", fullgraph=True)` |
# | sizes from the first batch | `LazyModuleMixin` |
#
# The library's layers are in `d2lblocks.layers`, and the tables of all topics are on the Cheat sheet.
#
# Next: File I/O, to save the layers that you have written and trained, or Devices, to run them on a GPU.
