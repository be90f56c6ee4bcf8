# %% [markdown]
# # Custom layers
#
# This is the page "Custom layers" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# After this page you can write a layer that trains, saves, moves, compiles and copies like those of PyTorch, and you know what each line of it is for.

# %%
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
X = torch.rand(2, 5)

# %% [markdown]
# ## A layer without parameters
#
# A layer is a module: `forward` says what it computes.
# This one subtracts the mean:

# %%
class CenteredLayer(nn.Module):
    def forward(self, X):
        return X - X.mean()


print(CenteredLayer()(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])))
#> tensor([-2., -1.,  0.,  1.,  2.])

# %% [markdown]
# It needs no `__init__`, since there is nothing to set up, and works in a chain like any other layer:

# %%
net = nn.Sequential(nn.Linear(5, 64), CenteredLayer())
print(bool(net(X).mean().abs() < 1e-6))
#> True

# %% [markdown]
# **The price.** The mean is taken over all examples of the batch, which couples them: the result for one example depends on its neighbours.

# %%
center = CenteredLayer()
print(torch.equal(center(X)[:1], center(X[:1])))
#> False

# %% [markdown]
# A prediction that changes with the batch is rarely wanted.
# With a mean over the last dimension, each example is centred by itself; `keepdim=True` keeps the shape `(2, 1)`, so that each row loses its own mean.

# %%
by_itself = X - X.mean(dim=-1, keepdim=True)
alone = X[:1] - X[:1].mean(dim=-1, keepdim=True)
print(torch.equal(by_itself[:1], alone))
#> True

# %% [markdown]
# ## A layer with parameters
#
# Six lines in a class make a linear layer:

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
# It computes, and it trains: an `nn.Parameter` that is assigned to an attribute is registered, so an optimizer gets it, and autograd does the rest.

# %%
layer(X).sum().backward()
print(layer.weight.grad.shape, layer.bias.grad)
#> torch.Size([5, 3]) tensor([2., 2., 2.])
torch.optim.SGD(layer.parameters(), lr=0.1).step()
print(layer.bias.detach())
#> tensor([-0.2000, -0.2000, -0.2000])

# %% [markdown]
# What is missing is everything else that PyTorch's users expect of a layer.
# The next sections add it, a line or two at a time.

# %% [markdown]
# ### The shape that everybody expects
#
# The weights of PyTorch's linear layers and convolutions have their output size first (only transposed convolutions have not).
# With `(out_features, in_features)` the layer loads what an `nn.Linear` has saved, and the functions of `nn.init` see the right fan-in.

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
# ### Values in a method of their own
#
# `torch.randn` makes the outputs larger, the more inputs there are.
# Put the initial values into a method `reset_parameters`, and call it in the constructor.
# Then they can be drawn again, for example after `to_empty`, which gives memory without values.
# The constructor takes `device` and `dtype`, and passes them to every tensor that it makes.

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
empty.reset_parameters()
print(bool((empty.weight.abs() <= 5**-0.5).all()))
#> True

# %% [markdown]
# ### A bias that may be absent
#
# A bias that is switched off is registered as `None`.
# It then has a name and no tensor: `layer.bias` is `None`, and `state_dict` has no entry for it.

# %%
class Biasless(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_parameter("bias", None)


print(Biasless().bias, list(Biasless().state_dict()))
#> None []

# %% [markdown]
# Because the name is registered, a plain tensor assigned to it later is refused, as for every parameter.

# %% [markdown]
# ### What it prints
#
# `extra_repr` fills the parentheses behind the class's name.
# By custom it gives the arguments of the constructor:

# %%
class Named(nn.Module):
    def extra_repr(self):
        return "in_features=5, out_features=3, bias=True"


print(nn.Sequential(Named()))
#> Sequential(
#>   (0): Named(in_features=5, out_features=3, bias=True)
#> )

# %% [markdown]
# ### Inputs of any batch shape
#
# `X @ weight.T` takes any number of leading dimensions, none of them included, and a batch of no examples:

# %%
layer = MyLinear(5, 3)
for shape in [(5,), (0, 5), (2, 5), (2, 7, 5)]:
    print(shape, tuple(layer(torch.rand(shape)).shape))
#> (5,) (3,)
#> (0, 5) (0, 3)
#> (2, 5) (2, 3)
#> (2, 7, 5) (2, 7, 3)

# %% [markdown]
# Do not write the batch size into `forward`, and all these shapes work.

# %% [markdown]
# ### Autocast
#
# Under [`torch.autocast`](https://docs.pytorch.org/docs/stable/amp.html) matrix products run in a shorter type, losses in `float32`, and most other operations in the type of their inputs.
# The product gives `bfloat16`, the bias is `float32`, and their sum is `float32` again:

# %%
with torch.autocast("cpu", dtype=torch.bfloat16):
    print(layer(X).dtype, nn.Linear(5, 3)(X).dtype)
#> torch.float32 torch.bfloat16

# %% [markdown]
# `F.linear` does product and bias in one operation, which autocast knows.
# So the last step is to call it:

# %%
with torch.autocast("cpu", dtype=torch.bfloat16):
    print(F.linear(X, layer.weight, layer.bias).dtype)
#> torch.bfloat16
print(torch.allclose(F.linear(X, layer.weight, layer.bias), layer(X)))
#> True

# %% [markdown]
# ### Hooks
#
# A layer that is made of layers calls them, `self.linear(X)`, and never their `forward`: only a call runs hooks, and with them pruning, profiling, `fully_shard`, and lazy initialization.

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
# ## In the library
#
# All of these steps together, in `d2lblocks.layers`, docstrings aside:
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
# With one seed it is `nn.Linear`, to the bit in `float32`:

# %%
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
# [`torch.autograd.gradcheck`](https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html) compares the gradients with slopes that it measures by a small step, (f(x + h) - f(x - h)) / 2h.
# It wants `float64`; in `float32` the slopes are too coarse.
# `functional_call` runs a module with the parameters that you pass:

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
# Custom layers are stacked like others:

# %%
net = nn.Sequential(MyLinear(5, 64), nn.ReLU(), CenteredLayer(dim=-1), MyLinear(64, 1))
print(net(X).shape)
#> torch.Size([2, 1])

# %% [markdown]
# When to use something else: `nn.Linear` for a linear layer, always; write a layer for what it does not do.

# %% [markdown]
# ## Parameter, buffer, attribute
#
# A layer has four kinds of tensors, and it matters which one you choose:

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
    print(f"{name:9}  trained: {name in trained!s:5}  saved: {name in saved!s:5}  moved: {moved}")
#> parameter  trained: True   saved: True   moved: True
#> buffer     trained: False  saved: True   moved: True
#> scratch    trained: False  saved: False  moved: True
#> plain      trained: False  saved: False  moved: False

# %% [markdown]
# | Kind | Trained | Saved | Moved and cast | For |
# |---|---|---|---|---|
# | `nn.Parameter` | yes | yes | yes | what is learned |
# | `nn.Buffer` | no | yes | yes | constants and statistics that belong to the result |
# | `nn.Buffer(..., persistent=False)` | no | no | yes | what can be computed again: masks, whole numbers |
# | plain tensor | no | no | no | nothing that `forward` computes with |
#
# `register_buffer("name", tensor)` is the longer form of `nn.Buffer`.
#
# "Cast" has a price: `net.bfloat16()` and `net.half()` round every floating-point buffer, and casting back does not undo it.
# A mask or a whole number comes to no harm; a table of positions does, as shown below.

# %% [markdown]
# ### Lists and dictionaries of them
#
# A Python list hides what is in it, as it hides layers.
# `nn.ParameterList` and `nn.ParameterDict` register parameters, `nn.ModuleList` and `nn.ModuleDict` modules:

# %%
class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleDict({"small": MyLinear(5, 3), "large": MyLinear(5, 3)})
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
# ## A lazy layer of your own
#
# `LazyModuleMixin` brings the hook of the lazy layers; what is left to write is which parameters wait, and how they get their shapes:
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
lazy = MyLazyLinear(3)
print(lazy.weight)
#> <UninitializedParameter>
Y = lazy(X)
print(lazy)
#> MyLinear(in_features=5, out_features=3, bias=True)

# %% [markdown]
# `cls_to_become` is the class after the first batch.
# `reset_parameters` must do nothing when it is called before the first batch, as the constructor of `MyLinear` does.

# %% [markdown]
# ## Compile and export
#
# [`torch.compile`](https://docs.pytorch.org/docs/stable/generated/torch.compile.html) records `forward` as a graph, and `fullgraph=True` insists on a single one.
# The backend `"eager"` runs the graph as it is, so this checks that a layer *can* be compiled, without a compiler:

# %%
compiled = torch.compile(mine, backend="eager", fullgraph=True)
print(torch.equal(compiled(X), mine(X)))
#> True

# %% [markdown]
# [`torch.export`](https://docs.pytorch.org/docs/stable/export.html) gives the graph as a program that needs none of your code.
# It takes the shapes of its example for the only ones, unless a dimension is declared to be dynamic:

# %%
batch = torch.export.Dim("batch")
program = torch.export.export(mine, (X,), dynamic_shapes=({0: batch},))
print(program.module()(torch.rand(7, 5)).shape)
#> torch.Size([7, 3])

# %% [markdown]
# What breaks the graph is Python that has to know a value.
# The loop of `FixedHiddenMLP` asks after every turn whether the sum is small enough, and a graph holds no values:

# %%
from d2lblocks import FixedHiddenMLP

looped = torch.compile(FixedHiddenMLP(5), backend="eager", fullgraph=True)
try:
    looped(X)
except Exception as error:
    print(type(error).__name__)
#> Unsupported

# %% [markdown]
# Without `fullgraph=True` it runs, in pieces, and goes back to Python between them.
# Other causes: an `if` on a tensor's value, `print` of a tensor, `.tolist()` of floating-point numbers.
# What depends on *shapes* only is no obstacle, and the loop itself can often be replaced by arithmetic: exercise 5 of the first page does it.

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### Gradients are None: `.data` in `forward`
#
# `.data` is the value without autograd, so the weights get no gradient.
# Alone, the layer says so at `backward`:

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
# In a net with other layers nothing complains, and the layer never learns:

# %%
net = nn.Sequential(nn.Linear(5, 5), Detached(), nn.Linear(5, 1))
net(X).sum().backward()
print([name for name, parameter in net.named_parameters() if parameter.grad is None])
#> ['1.weight']

# %% [markdown]
# (The first layer has a gradient, and it is zero: it came through a weight of zeros.)
# Fix: use the parameter itself.
# A test that every parameter has a gradient after `backward` finds this mistake in any layer:

# %%
class Attached(Detached):
    def forward(self, X):
        return X @ self.weight


net = nn.Sequential(nn.Linear(5, 5), Attached(), nn.Linear(5, 1))
net(X).sum().backward()
print([name for name, parameter in net.named_parameters() if parameter.grad is None])
#> []

# %% [markdown]
# ### Parameters in a Python list

# %%
class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = [nn.Parameter(torch.ones(3)) for _ in range(2)]


print(list(Hidden().parameters()))
#> []

# %% [markdown]
# No error: `Module` looks at what is assigned to its attributes, and a list is neither Parameter, Buffer nor Module.
# Fix: `nn.ParameterList`.

# %%
class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(3)) for _ in range(2))


print(len(list(Listed().parameters())))
#> 2

# %% [markdown]
# ### The constants are trained: `nn.ParameterList` of buffers
#
# `nn.ParameterList` and `nn.ParameterDict` make an `nn.Parameter` of every tensor, also of a buffer, and also of the result of an operation, which then no longer depends on what it was computed from.

# %%
held = nn.ParameterList([torch.zeros(2), nn.Buffer(torch.zeros(2))])
print([(name, parameter.requires_grad) for name, parameter in held.named_parameters()], list(held.buffers()))
#> [('0', True), ('1', True)] []

# %% [markdown]
# PyTorch has no list of buffers.
# Fix: one buffer with a dimension more, or, if the shapes differ, a registered buffer for each.

# %%
class Constants(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = nn.Buffer(torch.zeros(2, 3))
        for i, tensor in enumerate([torch.zeros(1), torch.zeros(4)]):
            self.register_buffer(f"constant{i}", tensor)

    def forward(self, X):
        return X + self.pair[0].sum() + self.get_buffer("constant1").sum()


print([name for name, _ in Constants().named_buffers()], list(Constants().parameters()))
#> ['pair', 'constant0', 'constant1'] []

# %% [markdown]
# ### `nn.Parameter(t) * 0.01` is no Parameter
#
# What is computed from a Parameter is a plain tensor, and so is what `.to(dtype)` returns when it has to convert:

# %%
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5)) * 0.01
        self.other = nn.Parameter(torch.randn(3, 5)).to(torch.float64)


print(list(Scaled().parameters()))
#> []

# %% [markdown]
# Fix: first the arithmetic, then the Parameter.

# %%
class ScaledFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5) * 0.01)
        self.other = nn.Parameter(torch.randn(3, 5, dtype=torch.float64))


print([name for name, _ in ScaledFirst().named_parameters()])
#> ['weight', 'other']

# %% [markdown]
# Given to an optimizer, such a tensor raises `can't optimize a non-leaf Tensor`.

# %% [markdown]
# ### The loss is `nan` from the first step: nothing fills the weight
#
# `torch.empty(2, 3)`, like the older `torch.Tensor(2, 3)`, takes memory as it is: sometimes zeros, sometimes huge numbers or `nan`.
# To find a parameter that nothing fills, let PyTorch put `nan` into fresh memory while the net is built:

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
# Fix: a method of its own fills every parameter, and `__init__` calls it.

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
# ### The constant stays behind
#
# A plain tensor in a layer is not cast, moved or saved:

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
# If every tensor of the layer was cast, the batch has another dtype than the weights: see `mat1 and mat2 must have the same dtype`.
#
# Fix: a buffer.

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
# ### The positions are wrong in 16 bits: a rounded buffer
#
# A cast of the net casts its floating-point buffers as well, without an error, and what was rounded stays rounded after a cast back.
# A table of frequencies, as used for the positions of words, does not survive it: multiplied by a large position, a small error becomes a wrong angle.

# %%
class Rounded(nn.Module):
    def __init__(self):
        super().__init__()
        self.frequencies = nn.Buffer(10000.0 ** (-torch.arange(0, 32, 2) / 32), persistent=False)

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
# Fix: a cast to a floating-point type leaves whole numbers alone, so keep those in the buffer and compute the frequencies in `float32` inside `forward`.

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
# Or leave the net in `float32` and use autocast, which casts no buffer.
# To see the dtype of every buffer, print `parameter_table(net)`.

# %% [markdown]
# ### `Index put requires the source and destination dtypes match`
#
# Under autocast the output of a linear layer is 16-bit, and `torch.zeros` still makes `float32`.
# Writing one into the other by index needs equal dtypes:

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
# Fix: compute first, then make the result with the dtype and the device of what goes into it.

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
# `scatter_`, `scatter_add_`, `index_add_` and `index_copy_` have the same cause and the same fix:

# %%
H = torch.ones(2, 3, dtype=torch.bfloat16)
try:
    torch.zeros(2, 3).scatter_(0, torch.zeros(2, 3, dtype=torch.int64), H)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: scatter(): Expected self.dtype to be equal to src.dtype

# %% [markdown]
# ### `self` and the input in the wrong order
#
# `self` is the first argument of every method, and the input the second.
# In the wrong order each gets the other's place:

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
# Fix: `forward(self, X)`.

# %%
class Ordered(nn.Module):
    def forward(self, X):
        return X.relu()


print(Ordered()(X).shape)
#> torch.Size([2, 5])

# %% [markdown]
# ### `Trying to backward through the graph a second time`: a state that is kept
#
# `backward` frees the graph it went through.
# A module that keeps its output for the next call keeps that graph too, and the second `backward` runs into it:

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
# `retain_graph=True` does not help: the graph then grows with every step, and with it the time and the memory, and once the optimizer has changed the weights, `backward` may raise `modified by an inplace operation`.
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
# The same happens with anything computed before the loop and used in each step, and with losses that are added up: add `loss.item()`, and compute inside the loop what depends on parameters.

# %% [markdown]
# ### `Inference tensors cannot be saved for backward`
#
# A tensor made under `torch.inference_mode()` can never take part in training.
# A module that makes a buffer at its first call keeps such a tensor if that call was an evaluation:

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
# Fix: make the buffer in `__init__`.
# If its size is not known there, make the first call under `torch.no_grad()`, or leave inference mode where the tensor is made:

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
# A net that was *built* under `torch.inference_mode()` has such tensors as parameters, and writing into them fails:

# %%
with torch.inference_mode():
    net = nn.Linear(5, 5)
try:
    net.reset_parameters()
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details.

# %% [markdown]
# Fix: build the net outside, and only predict inside.

# %% [markdown]
# ### `torch._dynamo hit config.recompile_limit`: a counter that is an `int`
#
# `torch.compile` takes the Python numbers of a module for constants of the graph.
# If one changes at each call, each call compiles anew; after eight times PyTorch warns, and runs the module without compiling it.
# A backend that counts shows it:

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
for _ in range(4):
    compiled(X)
print(len(graphs))
#> 4

# %% [markdown]
# Fix: a buffer, which is part of the graph's input and not of its constants.

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
for _ in range(4):
    compiled(X)
print(len(graphs), net.calls.item())
#> 1 4

# %% [markdown]
# To see why a module is compiled again, set the environment variable `TORCH_LOGS=recompiles`.

# %% [markdown]
# ### `Only Tensors of floating point and complex dtype can require gradients`

# %%
try:
    nn.Parameter(torch.tensor([0, 1]))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Only Tensors of floating point and complex dtype can require gradients

# %% [markdown]
# Fix: indices, masks and counts are buffers: saved and moved with the net, never trained.

# %%
print(nn.Buffer(torch.tensor([0, 1])))
#> tensor([0, 1])

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# Write a layer that takes x and gives the quadratic forms y_k = Σ_i Σ_j W_kij x_i x_j, for k from 1 to `out_features`.
# What are the shapes, and which layer of PyTorch computes the same?

# %% [markdown]
# #### Solution

# %% [markdown]
# W holds one square matrix per output: `(out_features, in_features, in_features)`.
# `...` stands for all leading dimensions, so any batch shape will do.
# There are n² products in a sum, so for inputs of mean 0 and variance 1 a standard deviation of 1/n in the weights keeps the scale.
# `nn.Bilinear` takes two inputs, and gives the same if they are one.

# %%
class QuadraticForm(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features, in_features))
        nn.init.normal_(self.weight, std=1 / in_features)

    def forward(self, X):
        return torch.einsum("...i,kij,...j->...k", X, self.weight, X)


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
# ### Exercise 2
#
# Write a layer that returns the leading half of the Fourier coefficients of its input.
# Why is half enough?

# %% [markdown]
# #### Solution

# %% [markdown]
# For real inputs of n values, coefficient n - k is the complex conjugate of coefficient k.
# So the coefficients from 0 to n // 2 hold everything; `torch.fft.rfft` computes no others, and `torch.fft.irfft` gives the input back (`n=5`, since 3 coefficients can come from 4 values or 5).

# %%
class HalfFourier(nn.Module):
    def forward(self, X):
        return torch.fft.rfft(X)


half, full = HalfFourier()(X), torch.fft.fft(X)
print(half.shape, torch.allclose(half, full[:, :3], atol=1e-6))
#> torch.Size([2, 3]) True
print(torch.allclose(full[:, 3:], half[:, 1:].flip(-1).conj(), atol=1e-6))
#> True
print(torch.allclose(torch.fft.irfft(half, n=5), X, atol=1e-6))
#> True

# %% [markdown]
# The result is complex; a layer that needs real numbers can take `torch.view_as_real`, which puts real and imaginary parts into a last dimension of 2.

# %% [markdown]
# ### Exercise 3
#
# Centre by the mean of the whole batch in training, and by a running mean in evaluation, so that a prediction depends on its own input only.

# %% [markdown]
# #### Solution

# %% [markdown]
# The running mean is part of the result and not trained: a buffer.
# It is updated in place, under `no_grad`, so that it moves and is saved with the layer.

# %%
class RunningCenter(nn.Module):
    def __init__(self, features, momentum=0.1, *, device=None, dtype=None):
        super().__init__()
        self.momentum = momentum
        self.running_mean = nn.Buffer(torch.zeros(features, device=device, dtype=dtype))

    def forward(self, X):
        if not self.training:
            return X - self.running_mean
        mean = X.mean(dim=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
        return X - mean


center = RunningCenter(5)
for _ in range(200):
    Y = center(torch.rand(64, 5))
center.eval()
print(torch.equal(center(X)[:1], center(X[:1])), center.running_mean.round(decimals=1))
#> True tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000])

# %% [markdown]
# ### Exercise 4
#
# Your layer used to keep its weight as `(in, out)`, and there are checkpoints of it.
# Turn to `(out, in)` without breaking them.

# %% [markdown]
# #### Solution

# %% [markdown]
# `_version` is saved with each module, and `_load_from_state_dict` sees it when a state comes back; PyTorch's own layers do so.
# The entry is replaced in a copy, so that the caller's dictionary stays what it was.
# A state without metadata counts as version 1.

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
# **The price.** Only the version tells the two layouts of a square weight apart, and it is lost in a dictionary of your own making and in a safetensors file, which `load_parameters` reads without asking this method.
# A new name, `weight_out_in`, is safer than a new layout under the old one.

# %% [markdown]
# ### Exercise 5
#
# Give the gradient of every single example of a batch, not their sum, without a loop.

# %% [markdown]
# #### Solution

# %% [markdown]
# A layer without hidden state is a function of its parameters, and functions can be differentiated and vectorised.
# `grad` gives the gradient for one example, `vmap` maps it over the batch.

# %%
from torch.func import grad, vmap

layer = MyLinear(5, 3)
parameters = {name: parameter.detach() for name, parameter in layer.named_parameters()}


def loss(parameters, x):
    return functional_call(layer, parameters, (x,)).square().sum()


each = vmap(grad(loss), in_dims=(None, 0))(parameters, X)
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
# | what is learned | `self.weight = nn.Parameter(torch.empty(out, in, device=device, dtype=dtype))` |
# | initial values | `reset_parameters`, called by `__init__` |
# | a constant or a statistic | `nn.Buffer`, with `persistent=False` if it can be computed again |
# | a bias that is off | `self.register_parameter("bias", None)` |
# | several parameters, several layers | `nn.ParameterList`, `nn.ModuleList`, and their `Dict`s |
# | to print its arguments | `extra_repr` |
# | to use a layer inside | `self.linear(X)`, never `.forward` |
# | autocast that works | `F.linear` and other whole operations |
# | each example by itself | no mean over the batch |
# | to check gradients | `torch.autograd.gradcheck`, in `float64` |
# | to check that it compiles | `torch.compile(layer, backend="eager", fullgraph=True)` |
# | sizes from the first batch | `LazyModuleMixin` |
#
# The layers of this page: `d2lblocks.layers`.
# Before it: Lazy initialization.
# Next: File I/O.
# All tables on one page: Cheat sheet.
