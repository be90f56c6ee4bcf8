# %% [markdown]
# # Initialization
#
# This is the page "Initialization" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks`, `matplotlib` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# After this page you can choose the values a net begins with, layer by layer, and you notice when a choice did not reach its layer.

# %%
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
X = torch.rand(2, 4)

# %% [markdown]
# ## What a layer does by itself
#
# A layer fills its parameters when it is built, so a net is never without values.
# `nn.Linear` draws both weight and bias from U(-a, a), which gives every number between -a and a the same chance:
#
# $$ U({-a}, a), \quad a = \frac{1}{\sqrt{\mathrm{fan\_in}}} $$
#
# *Fan-in* is the number of inputs that one output takes, here `in_features`; *fan-out*, which comes later, is the number of outputs that one input reaches, here `out_features`.
# If values fill the range from -a to a evenly, their standard deviation is near a/√3:

# %%
def looks_uniform(values, bound):
    spread = values.std().item() / (bound / 3**0.5)
    return values.abs().max().item() <= bound and 0.95 < spread < 1.05


layer, bound = nn.Linear(400, 100), 400**-0.5
print(looks_uniform(layer.weight, bound), bool((layer.bias.abs() <= bound).all()))
#> True True

# %% [markdown]
# The defaults of other layers, from PyTorch's documentation; for attention, from its source:
#
# | Layer | Weight | Bias |
# |---|---|---|
# | [`nn.Linear`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html) | U(-a, a), a = 1/√`in_features` | as the weight |
# | [`nn.Conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html), also 1d and 3d | U(-a, a), a = 1/√(`in_channels / groups` · kernel size) | as the weight |
# | [`nn.ConvTranspose2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html), also 1d and 3d | U(-a, a), a = 1/√(`out_channels / groups` · kernel size) | as the weight |
# | [`nn.RNN`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html), `nn.LSTM`, `nn.GRU` | U(-a, a), a = 1/√`hidden_size` | as the weight |
# | [`nn.MultiheadAttention`](https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html) | input: Xavier's uniform; output: as `nn.Linear` | 0 |
# | [`nn.Embedding`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html) | N(0, 1); the row of `padding_idx` is 0 | none |
# | [`nn.LayerNorm`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html), `nn.BatchNorm2d`, `nn.GroupNorm` | 1 | 0 |
# | [`nn.RMSNorm`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html) | 1 | none |

# %%
convolution = nn.Conv2d(8, 40, 5, groups=2)
print(looks_uniform(convolution.weight, (4 * 5 * 5) ** -0.5))
#> True
print(looks_uniform(nn.ConvTranspose2d(8, 40, 5).weight, (40 * 5 * 5) ** -0.5))
#> True
print(looks_uniform(nn.LSTM(20, 100).weight_ih_l0, 100**-0.5))
#> True
attention = nn.MultiheadAttention(100, 4)
print(looks_uniform(attention.in_proj_weight, (6 / (100 + 3 * 100)) ** 0.5))
#> True
print(looks_uniform(attention.out_proj.weight, 100**-0.5), attention.out_proj.bias.any().item())
#> True False
embedding = nn.Embedding(100, 100, padding_idx=0)
print(0.95 < embedding.weight.std().item() < 1.05, embedding.weight[0].any().item())
#> True False
print(nn.GroupNorm(1, 3).weight.tolist(), nn.GroupNorm(1, 3).bias.tolist())
#> [1.0, 1.0, 1.0] [0.0, 0.0, 0.0]

# %% [markdown]
# Where do they come from?
# The values of linear and convolution layers are older than PyTorch; one of its authors names *Efficient BackProp* (LeCun, Bottou, Orr and Müller, 1998) as [their source](https://github.com/pytorch/pytorch/issues/5168).
# In that paper 1/√fan_in is the standard deviation; in PyTorch it is the bound, and the standard deviation is smaller by √3.
# They are kept for [backward compatibility](https://github.com/pytorch/pytorch/issues/1667).
# PyTorch's source writes them as `kaiming_uniform_(weight, a=math.sqrt(5))`.
# That `a` is the slope of a leaky ReLU and no bound: it makes a gain of √(2 / (1 + 5)) = 1/√3, and √3 times that over √fan_in is [1/√fan_in](https://github.com/pytorch/pytorch/issues/57109).
# For a deep net with ReLU they are too small, as the second plot shows.
#
# `layer.reset_parameters()` draws the defaults again, for the layers that have this method.

# %% [markdown]
# ## One tensor: the functions of `nn.init`
#
# A function of [`torch.nn.init`](https://docs.pytorch.org/docs/stable/nn.init.html) fills a tensor in place, under `no_grad`, and returns it.
# PyTorch ends the names of functions that change their tensor in `_`.

# %%
print(nn.init.constant_(net[2].bias, 0.5))
#> Parameter containing:
#> tensor([0.5000], requires_grad=True)
print(nn.init.zeros_(net[0].weight) is net[0].weight)
#> True

# %% [markdown]
# | Function | Distribution | When | Source |
# |---|---|---|---|
# | `uniform_`<br>`normal_` | U(a, b), by default U(0, 1)<br>N(mean, std²), by default N(0, 1) | you know the scale you want | |
# | `trunc_normal_` | N(mean, std²), drawn again outside [a, b] | embeddings, transformers | |
# | `zeros_`, `ones_`<br>`constant_` | one value | biases; scales of normalisation; the end of a residual branch | |
# | `xavier_uniform_` | U(-a, a), a = gain · √(6 / (fan_in + fan_out)) | tanh; attention | [Glorot and Bengio, 2010](https://proceedings.mlr.press/v9/glorot10a.html) |
# | `xavier_normal_` | N(0, std²), std = gain · √(2 / (fan_in + fan_out)) | as `xavier_uniform_` | the same paper |
# | `kaiming_uniform_` | U(-a, a), a = gain · √(3 / fan) | ReLU and similar | [He et al., 2015](https://arxiv.org/abs/1502.01852) |
# | `kaiming_normal_` | N(0, std²), std = gain / √fan | as `kaiming_uniform_` | the same paper |
# | `orthogonal_` | perpendicular rows of length gain; with more rows than columns, such columns | recurrent weights; very deep nets | [Saxe et al., 2013](https://arxiv.org/abs/1312.6120) |
# | `sparse_` | N(0, std²), a share `sparsity` of each column 0 | each input is to reach few outputs | [Martens, 2010](https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf) |
# | `eye_`<br>`dirac_` | the identity, as a matrix<br>and as a convolution | a layer that begins by passing its input on | |
#
# The limits of `trunc_normal_` are numbers, -2 and 2 by default, and not multiples of `std`: with `std=0.02` they lie 100 standard deviations away, and nothing is cut.
#
# `fan` is the fan-in, or with `mode="fan_out"` the fan-out.
# The *gain* is the factor that keeps the scale through an activation: ReLU halves the mean square of what it gets, so its gain is √2.
# [`nn.init.calculate_gain`](https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain) returns it; for tanh it returns 5/3.
# `xavier_*` take the number, 1 by default; `kaiming_*` take the name of the activation, and use the gain of ReLU by default.

# %%
w = torch.empty(256, 512)
std = nn.init.kaiming_normal_(w).std().item()
print(f"{std:.2f} {2**0.5 / 512**0.5:.2f}")
#> 0.06 0.06
gain = nn.init.calculate_gain("tanh")
largest = nn.init.xavier_uniform_(w, gain=gain).abs().max().item()
print(f"{largest:.3f} {5 / 3 * (6 / (512 + 256)) ** 0.5:.3f}")
#> 0.147 0.147

# %% [markdown]
# ### Fan-in and fan-out, and which is which
#
# A weight of PyTorch has the shape `(out_features, in_features)`: fan-in is its *second* size.
# For a convolution, both count the kernel: fan-in is `in_channels / groups` times the kernel's size.
#
# Xavier gives the same scale for a weight and its transpose; Kaiming does not.
# So a layer of your own that keeps its weight as `(in, out)`, to compute `X @ weight`, gets the wrong scale.
# Fix: `mode="fan_out"`, or fill the transposed view, which lies in the same memory.

# %%
mine = torch.empty(800, 8)  # X @ mine takes 800 inputs
print(f"{nn.init.kaiming_normal_(mine).std().item():.1f}")
#> 0.5
nn.init.kaiming_normal_(mine, mode="fan_out")
print(f"{mine.std().item():.2f} {(2 / 800) ** 0.5:.2f}")
#> 0.05 0.05
nn.init.kaiming_normal_(mine.T)
print(f"{mine.std().item():.2f}")
#> 0.05

# %% [markdown]
# `nn.ConvTranspose2d` keeps its weight as `(in, out / groups, ...)`: `mode="fan_out"` is right for it without groups and with stride 1, and otherwise the number of inputs is for you to count.

# %% [markdown]
# ### Standard deviation, not variance
#
# `normal_(w, 0, 0.01)` draws from N(0, 0.01²).
# Where a paper writes N(0, 0.01), the second number is the variance, and the function needs its root:

# %%
w = torch.empty(256, 512)
print(f"{nn.init.normal_(w, 0, 0.01).std().item():.2f}")
#> 0.01
print(f"{nn.init.normal_(w, 0, 0.01**0.5).std().item():.1f}")
#> 0.1

# %% [markdown]
# ### Values of your own
#
# A value is set directly under `torch.no_grad()`, as on the page about parameters:

# %%
with torch.no_grad():
    net[0].weight[0] = torch.tensor([1.0, 2.0, 3.0, 4.0])  # one row
    net[0].bias += 1  # all of them
print(net[0].weight[0].detach())
#> tensor([1., 2., 3., 4.])

# %% [markdown]
# ## A whole net: `apply`
#
# `net.apply(f)` calls `f` with every module of the net, the innermost first and the net itself last, and returns the net.

# %%
done = net.apply(lambda module: print(type(module).__name__))
#> Linear
#> ReLU
#> Linear
#> Sequential
print(done is net)
#> True

# %% [markdown]
# `f` is called with modules of all kinds, so it asks first what it was given:

# %%
def init_normal(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, mean=0, std=0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


net.apply(init_normal)
print(net[0].bias.tolist(), bool((net[0].weight.abs() < 0.1).all()))
#> [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] True

# %% [markdown]
# **The price.** A function that tests for the wrong class does nothing, and no error tells you: below.

# %% [markdown]
# ### Different layers, different functions
#
# `apply` is a method of every module, so a part of a net can have a function of its own, and a single layer as well:

# %%
def init_xavier(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)


def init_42(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 42)


net[0].apply(init_xavier)
net[2].apply(init_42)
print(bool((net[0].weight.abs() <= (6 / (4 + 8)) ** 0.5).all()))
#> True
print(net[2].weight.tolist())
#> [[42.0, 42.0, 42.0, 42.0, 42.0, 42.0, 42.0, 42.0]]

# %% [markdown]
# Xavier's paper calls it a normalised initialization; the old values are not rescaled, new ones are drawn from U(-a, a).
#
# To choose by name, for example every bias:

# %%
for name, parameter in net.named_parameters():
    if name.endswith("bias"):
        nn.init.zeros_(parameter)
print(net[2].bias.tolist())
#> [0.0]

# %% [markdown]
# ### A distribution of your own
#
# Each weight is to be drawn from U(5, 10) with probability 1/4, to be 0 with probability 1/2, and to be drawn from U(-10, -5) with probability 1/4.
# That is U(-10, 10) with everything nearer to 0 than 5 set to 0:

# %%
def my_init(module):
    if isinstance(module, nn.Linear):
        nn.init.uniform_(module.weight, -10, 10)
        with torch.no_grad():
            module.weight *= module.weight.abs() >= 5


weight = nn.Linear(400, 100).apply(my_init).weight
for share in (weight >= 5, weight == 0, weight <= -5):
    print(f"{round(4 * share.float().mean().item())}/4")
#> 1/4
#> 2/4
#> 1/4
print(bool((weight.abs() <= 10).all()))
#> True

# %% [markdown]
# ## Why not a constant
#
# Give all neurons of a hidden layer the same weights and bias, and they compute the same.
# If the next layer weighs them all alike, too, `backward` gives them the same gradient, and every step keeps them the same:

# %%
def init_constant(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 1)
        nn.init.zeros_(module.bias)


same = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)).apply(init_constant)
optimizer = torch.optim.SGD(same.parameters(), lr=0.01)
for _ in range(10):
    optimizer.zero_grad()
    nn.functional.mse_loss(same(X), torch.zeros(2, 1)).backward()
    optimizer.step()

rows = same[0].weight.grad
print(bool((rows == rows[0]).all()), bool((same[0].weight == same[0].weight[0]).all()))
#> True True

# %% [markdown]
# Eight neurons that compute one value are one neuron, however long the net trains.
# Random weights break this symmetry, in one of the two layers at least; a bias can be 0, because the weights have broken it already.

# %% [markdown]
# ## What the distributions look like
#
# Here a weight of 256 outputs and 256 inputs is filled in six ways.
# The dashed lines are ±1/√256, the bound of `nn.Linear`.

# %%
import matplotlib.pyplot as plt

# Text stays text in the picture, and every run draws the same file.
plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "d2lblocks"})


def empty():
    return torch.empty(256, 256, dtype=torch.float64)


torch.manual_seed(0)
weights = {
    "nn.Linear": nn.Linear(256, 256, dtype=torch.float64).weight.detach(),
    "normal_(std=0.01)": nn.init.normal_(empty(), std=0.01),
    "xavier_uniform_()": nn.init.xavier_uniform_(empty()),
    "xavier_normal_()": nn.init.xavier_normal_(empty()),
    "kaiming_normal_()": nn.init.kaiming_normal_(empty()),
    "orthogonal_()": nn.init.orthogonal_(empty()),
}

figure, axes = plt.subplots(2, 3, figsize=(8, 4), sharex=True, sharey=True)
figure.set_layout_engine("constrained")
for axis, (title, weight) in zip(axes.flat, weights.items()):
    axis.hist(weight.flatten(), bins=60, range=(-0.3, 0.3), histtype="stepfilled")
    axis.axvline(-(256**-0.5), color="gray", linestyle="--", linewidth=0.8)
    axis.axvline(256**-0.5, color="gray", linestyle="--", linewidth=0.8)
    axis.set_title(title)
    axis.set_ylim(0, 6000)
figure.savefig("plot-initializers.svg", metadata={"Date": None})

# %% [markdown]
# (A picture: Six histograms with the same axes. nn.Linear is a flat block between minus and plus 1/16. normal_ with std 0.01 is a needle at 0, cut off at the top. xavier_uniform_ is a flat block, wider than that of nn.Linear by a factor of 1.7. xavier_normal_ and orthogonal_ are bells of the same width, kaiming_normal_ is a bell wider by a factor of 1.4.)
#
# `orthogonal_` looks like `xavier_normal_`; the difference does not show in single values, but in the rows, which are perpendicular.

# %% [markdown]
# ## How large the activations are after 20 layers
#
# A layer multiplies the scale of what passes through it by some factor.
# One factor of 1/2 does little; twenty of them make 10⁻⁶.
# Here 256 random inputs go through 20 layers of width 256, each followed by a ReLU:

# %%
def scales(fill, layers=20, width=256):
    """The root mean square of the activations after each layer."""
    torch.manual_seed(0)
    X = torch.randn(256, width, dtype=torch.float64)
    values = []
    for _ in range(layers):
        layer = nn.Linear(width, width, bias=False, dtype=torch.float64)
        fill(layer.weight)
        X = torch.relu(layer(X)).detach()
        values.append(X.square().mean().sqrt().item())
    return values


initializations = {
    "kaiming_normal_()": nn.init.kaiming_normal_,
    "xavier_normal_()": nn.init.xavier_normal_,
    "nn.Linear": lambda weight: weight,
    "normal_(std=0.01)": lambda weight: nn.init.normal_(weight, std=0.01),
}

figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
for label, fill in initializations.items():
    axis.plot(range(1, 21), scales(fill), marker=".", label=label)
axis.set_yscale("log")
axis.set_xlabel("layer")
axis.set_xticks([1, 5, 10, 15, 20])
axis.set_ylabel("root mean square of the activations")
axis.grid(alpha=0.3)
axis.legend(loc="lower left")
figure.savefig("plot-activations.svg", metadata={"Date": None})

# %% [markdown]
# (A picture: A plot with the layer from 1 to 20 on one axis and the root mean square of the activations on a logarithmic other one. The line of kaiming_normal_ stays level near 1. The others are straight and fall: xavier_normal_ to one thousandth, nn.Linear to two parts in 10 to the 8, normal_ with std 0.01 to one part in 10 to the 19.)
#
# The slopes are what the formulas say.
# A sum of n products has n times the mean square of one product, and ReLU keeps half of it.
# So with a weight of variance v, a ReLU layer of width n multiplies the mean square by n · v / 2:
#
# | Initialization | factor of the mean square | root mean square after 20 layers |
# |---|---|---|
# | Kaiming: v = 2 / n | 1 | 1 |
# | Xavier: v = 2 / (n + n) | 1/2 | 10⁻³ |
# | `nn.Linear`: v = 1 / (3n) | 1/6 | 2 · 10⁻⁸ |
# | std 0.01, n = 256 | 0.0128 | 10⁻¹⁹ |

# %%
for factor in (1, 1 / 2, 1 / 6, 256 * 0.01**2 / 2):
    print(f"{factor ** (20 / 2):.0e}")
#> 1e+00
#> 1e-03
#> 2e-08
#> 1e-19

# %% [markdown]
# On its way back, a gradient shrinks by the same factors.
# The gradient of a weight is the product of what came in and what comes back: one is small in the last layers, the other in the first, and the product is about equally small in all of them.

# %%
def gradients(fill, layers=20, width=256):
    """The size of the weight's gradient in the first layer and in the last."""
    torch.manual_seed(0)
    net = nn.Sequential()
    for _ in range(layers):
        layer = nn.Linear(width, width, bias=False)
        fill(layer.weight)
        net.extend([layer, nn.ReLU()])
    net(torch.randn(256, width)).sum().backward()
    return net[0].weight.grad.norm().item(), net[-2].weight.grad.norm().item()


first, last = gradients(lambda weight: weight)
print(first < 0.01, last < 0.01)
#> True True
first, last = gradients(nn.init.kaiming_normal_)
print(first > 100, last > 100)
#> True True

# %% [markdown]
# Too large a factor is no better: with `std=0.2` the activations grow to ten million.

# %%
print(scales(lambda weight: nn.init.normal_(weight, std=0.2))[-1] > 1e6)
#> True

# %% [markdown]
# A shallow net multiplies few factors, and a normalisation layer sets the scale anew: both train from the defaults.

# %% [markdown]
# ## In the library
#
# The functions that the page has sketched, and a tensor function in the manner of `torch.nn.init`, are in `d2lblocks.init`:
#
# *The library's own source, from `d2lblocks/init.py`:*

# %%
from torch import Tensor


def init_normal(module: nn.Module, *, std: float = 0.01, generator: torch.Generator | None = None) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.get_parameter("weight"), std=std, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_constant(module: nn.Module, *, value: float = 1.0) -> None:
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.get_parameter("weight"), value)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_xavier(module: nn.Module, *, generator: torch.Generator | None = None) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.get_parameter("weight"), generator=generator)


def init_42(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.get_parameter("weight"), 42)


def my_init(module: nn.Module, *, generator: torch.Generator | None = None) -> None:
    if isinstance(module, nn.Linear):
        hardshrink_uniform_(module.get_parameter("weight"), generator=generator)


@torch.no_grad()
def hardshrink_uniform_(
    tensor: Tensor,
    bound: float = 10.0,
    threshold: float = 5.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    if not 0 <= threshold <= bound:
        raise ValueError(f"expected 0 <= threshold <= bound, but got threshold={threshold} and bound={bound}")
    nn.init.uniform_(tensor, -bound, bound, generator=generator)
    return tensor.masked_fill_(tensor.abs() < threshold, 0)

# %% [markdown]
# They work with any subclass of `nn.Linear`, with and without a bias, and take a generator.
# `get_parameter("weight")` is `weight`, and an error where the weight is no parameter: `weight_norm` and its relatives compute it at every access, and what fills it is lost.

# %%
try:
    nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)).apply(init_42)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: `weight` is not an nn.Parameter

# %% [markdown]
# ### `init_by_type`
#
# `apply` does not say which layers it reached.
# `init_by_type` takes rules, fills what they name, and reports every parameter of the net:

# %%
from d2lblocks import init_by_type

tower = nn.Sequential(
    nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10)
)
rules = {
    nn.Conv2d: {"weight": nn.init.kaiming_normal_},
    nn.Linear: {"weight": nn.init.xavier_uniform_, "bias": nn.init.zeros_},
}
for name, function in init_by_type(tower, rules).items():
    print(name, function)
#> 0.weight kaiming_normal_
#> 1.weight None
#> 1.bias None
#> 3.weight xavier_uniform_
#> 3.bias zeros_

# %% [markdown]
# Any function that fills a tensor will do; `functools.partial` gives it its arguments.
# A layer follows the rule of its own class or of the nearest base class, a shared tensor is filled once, and parameters that no rule names keep their values.
# If an embedding has a `padding_idx`, its row is 0 again afterwards, and `skip=("head",)` leaves out the layer `head` with everything inside it.
# A rule that reaches no layer is an error, and nothing has changed after it:

# %%
zero = {"weight": nn.init.zeros_}
try:
    init_by_type(tower, {nn.Linear: zero, nn.Embedding: zero})
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: no layer of Sequential follows the rule for Embedding

# %%
print(bool((tower[3].weight == 0).any()))
#> False

# %% [markdown]
# On the meta device it checks the rules of a net that is too large to build here:

# %%
with torch.device("meta"):
    large = nn.Sequential(nn.Linear(100_000, 100_000), nn.ReLU(), nn.Linear(100_000, 1))
print(init_by_type(large, {nn.Linear: rules[nn.Linear]})["2.bias"])
#> zeros_

# %% [markdown]
# **The price.** To undo everything after an error, it copies the net's values, and keeps the copy until it is done.
#
# Its source, docstrings aside:
#
# *The library's own source, from `d2lblocks/init.py`:*

# %%
import inspect
from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from torch.nn.parameter import is_lazy

from d2lblocks._arguments import check_net, kind_of, nearest
from d2lblocks._snapshot import Snapshot
from d2lblocks._tensors import identity, named_modules, writing


def init_by_type(
    net: nn.Module,
    rules: Mapping[type[nn.Module], Mapping[str, Callable[..., Any]]],
    *,
    generator: torch.Generator | None = None,
    skip: Iterable[str] = (),
) -> dict[str, str | None]:
    check_net(net)
    plan = _plan(net, rules, generator, _skipped(net, skip))
    names = [(name, identity(each)) for name, each in net.named_parameters(remove_duplicate=False)]
    filled: dict[Hashable, str] = {}
    before = Snapshot(net, generator)
    try:
        for name, parameter, function, given in plan:
            if (tensor := identity(parameter)) not in filled:
                filled[tensor] = _text(function)
                _fill(name, parameter, function, given)
        _zero_padding(net, filled)
    except BaseException:
        before.restore()
        raise
    return {name: filled.get(tensor) for name, tensor in names}


def _skipped(net: nn.Module, skip: Iterable[str]) -> set[nn.Module]:
    if isinstance(skip, str) or not isinstance(skip, Iterable):
        example = skip if isinstance(skip, str) else "head"
        raise TypeError(f"expected the paths of layers to skip, as in skip=('{example}',), but got {skip!r}")
    modules: set[nn.Module] = set()
    for path in skip:
        if not isinstance(path, str):
            raise TypeError(f"expected the path of a layer to skip, which is a str, but got {kind_of(path)}")
        try:
            modules.update(net.get_submodule(path).modules())
        except AttributeError:
            parameters = (name for name, _ in net.named_parameters(remove_duplicate=False))
            layers = [name for name, _ in named_modules(net) if name]
            hint = "it is a parameter" if path in parameters else nearest(path, layers)
            raise AttributeError(f"{type(net).__name__} has no layer '{path}' to skip: {hint}") from None
    return modules


def _plan(
    net: nn.Module,
    rules: Mapping[type[nn.Module], Mapping[str, Callable[..., Any]]],
    generator: torch.Generator | None,
    skipped: set[nn.Module],
) -> list[tuple[str, nn.Parameter, Callable[..., Any], dict[str, torch.Generator]]]:
    _check_rules(rules)
    functions = {id(function): function for rule in rules.values() for function in rule.values()}
    drawing = {key for key, function in functions.items() if generator and _takes_generator(function)}
    plan = []
    unused = dict(rules)
    for path, module in named_modules(net):
        kind = next((kind for kind in type(module).__mro__ if kind in rules), None)
        if kind is None or module in skipped:
            continue
        unused.pop(kind, None)
        if unknown := [own for own in rules[kind] if own not in module._parameters]:
            name = f"{path}.{unknown[0]}" if path else unknown[0]
            owned = ", ".join(map(repr, module._parameters)) or "none"
            raise AttributeError(
                f"{type(module).__name__} has no parameter '{name}' to fill: of its own it has {owned}"
                f"{f'; skip=({path!r},) leaves the layer out' if path else ''}"
            )
        for own, parameter in module._parameters.items():
            if own in rules[kind] and parameter is not None:
                name, function = f"{path}.{own}" if path else own, rules[kind][own]
                given = {"generator": generator} if generator and id(function) in drawing else {}
                _check_parameter(name, parameter, **given)
                plan.append((name, parameter, function, given))
    left = " that is not skipped" if skipped else ""
    if unused:
        kinds = ", ".join(kind.__name__ for kind in unused)
        raise ValueError(f"no layer of {type(net).__name__}{left} follows the rule for {kinds}")
    if not plan:
        raise ValueError(f"the rules fill no parameter of {type(net).__name__}")
    return plan


def _check_rules(rules: Mapping[type[nn.Module], Mapping[str, Callable[..., Any]]]) -> None:
    if not isinstance(rules, Mapping):
        raise TypeError(f"expected a rule for each type of layer, but got {rules!r}")
    for kind, functions in rules.items():
        if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
            raise TypeError(f"expected a class of modules to have a rule, but got {kind!r}")
        if not isinstance(functions, Mapping):
            raise TypeError(
                f"expected names of parameters and functions for {kind.__name__}, "
                f'as in {{"weight": torch.nn.init.xavier_uniform_}}, but got {functions!r}'
            )
        for name, function in functions.items():
            if not isinstance(name, str):
                raise TypeError(f"expected the name of a parameter of {kind.__name__}, but got {name!r}")
            if not callable(function):
                raise TypeError(
                    f"expected a function for '{name}' of {kind.__name__}, but got {type(function).__name__}"
                )


def _check_parameter(name: str, parameter: nn.Parameter, generator: torch.Generator | None = None) -> None:
    if is_lazy(parameter):
        raise ValueError(
            f"'{name}' is not initialized yet and cannot be filled: its shape comes with the first batch"
        )
    if generator and not parameter.is_meta and parameter.device.type != generator.device.type:
        raise RuntimeError(
            f"Expected a '{parameter.device.type}' device type for generator "
            f"but found '{generator.device.type}', for '{name}'"
        )


def _fill(name: str, parameter: nn.Parameter, function: Callable[..., Any], given: dict[str, Any]) -> None:
    # On meta, some functions of some versions of torch draw all the same, as `sparse_` of 2.11 does.
    undrawn = torch.random.fork_rng(devices=[]) if parameter.is_meta else nullcontext()
    try:
        with writing(parameter), undrawn:
            result = function(parameter, **given)
        if isinstance(result, Tensor) and not _in_one_memory(result, parameter):
            raise ValueError(f"expected {_text(function)} to fill its tensor in place, but it gave a new one")
    except BaseException as error:
        error.add_note(f"{_text(function)} was filling '{name}' of shape {tuple(parameter.shape)}")
        raise


def _in_one_memory(a: Tensor, b: Tensor) -> bool:
    return a is b or a.untyped_storage()._cdata == b.untyped_storage()._cdata


def _zero_padding(net: nn.Module, filled: Container[Hashable]) -> None:
    for module in net.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.padding_idx is not None:
            weight = module._parameters.get("weight")  # not one that is computed
            if weight is not None and identity(weight) in filled:
                with writing(weight):
                    weight[module.padding_idx] = 0


def _takes_generator(function: Callable[..., Any]) -> bool:
    try:
        return "generator" in inspect.signature(function).parameters
    except ValueError:  # a method of Tensor has its signature in its documentation only
        while isinstance(function, partial):
            function = function.func
        return "generator=" in (function.__doc__ or "")


def _text(function: Callable[..., Any]) -> str:
    if isinstance(function, partial):
        given = [*map(repr, function.args), *(f"{key}={value!r}" for key, value in function.keywords.items())]
        return f"{_text(function.func)}({', '.join(given)})"
    return getattr(function, "__name__", type(function).__name__)

# %% [markdown]
# ## Reproducibility
#
# All of the above draws from PyTorch's default generator, which `torch.manual_seed` sets.
# The values of a layer depend on everything drawn before it, so one more layer at the front changes all that come after:

# %%
torch.manual_seed(0)
first = nn.Linear(4, 2)
torch.manual_seed(0)
again = nn.Linear(4, 2)
torch.manual_seed(0)
extra, later = nn.Linear(4, 4), nn.Linear(4, 2)
print(torch.equal(first.weight, again.weight), torch.equal(first.weight, later.weight))
#> True False

# %% [markdown]
# A [`torch.Generator`](https://docs.pytorch.org/docs/stable/generated/torch.Generator.html) is a stream of its own.
# Every function of `nn.init` that draws takes one, and leaves the default generator where it was.
# (Not quite `sparse_`: it places its zeros by the default generator.)

# %%
def filled(seed):
    generator = torch.Generator().manual_seed(seed)
    return nn.init.normal_(torch.empty(3), generator=generator)


print(torch.equal(filled(0), filled(0)), torch.equal(filled(0), filled(1)))
#> True False

# %% [markdown]
# `net.apply` gives its function the module and nothing else; `functools.partial(init_normal, generator=...)` brings the generator along, and `init_by_type` has an argument for it:

# %%
def seeded(seed):
    net, generator = nn.Linear(4, 2), torch.Generator().manual_seed(seed)
    init_by_type(net, {nn.Linear: rules[nn.Linear]}, generator=generator)
    return net.weight


print(torch.equal(seeded(0), seeded(0)), torch.equal(seeded(0), seeded(1)))
#> True False

# %% [markdown]
# Two more things change the numbers under one seed.
# From 16 values on, `normal_` draws by another algorithm on the CPU, so a wider layer does not begin with the values of a narrower one:

# %%
torch.manual_seed(0)
narrow = torch.randn(15)
torch.manual_seed(0)
wide = torch.randn(16)
print(torch.equal(narrow, wide[:15]))
#> False

# %% [markdown]
# And a GPU draws by an algorithm of its own: the same seed gives other values there.
# For one net on all devices, build it on the CPU and move it.
#
# *Needs a CUDA GPU.*

# %%
if torch.cuda.device_count() >= 1:
    torch.manual_seed(0)
    on_cpu = nn.Linear(4, 2)
    torch.manual_seed(0)
    on_gpu = nn.Linear(4, 2, device="cuda")
    print(torch.equal(on_cpu.weight, on_gpu.weight.cpu()))
    #> False
    values = on_cpu.weight.detach().clone()
    print(torch.equal(on_cpu.to("cuda").weight.cpu(), values))
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### `apply`, and nothing has changed
#
# `type(module) == nn.Linear` is false for every subclass.
# Lazy layers are of another class until their first batch; the output layer of `nn.MultiheadAttention` always is:

# %%
def init_exactly_linear(module):
    if type(module) == nn.Linear:  # noqa: E721
        nn.init.constant_(module.weight, 42)


net = nn.Sequential(nn.Linear(4, 8), nn.LazyLinear(8), nn.MultiheadAttention(8, 2))
net.apply(init_exactly_linear)
net[1](net[0](X))  # the first batch of the lazy layer
for name, parameter in net.named_parameters():
    if name.endswith("weight"):
        print(name, bool((parameter == 42).all()))
#> 0.weight True
#> 1.weight False
#> 2.in_proj_weight False
#> 2.out_proj.weight False

# %% [markdown]
# No error, and two of the three linear layers, `1` and `2.out_proj`, keep their own values.
# `in_proj_weight` belongs to no linear layer, but to the attention itself.
#
# How to notice: fill with a value that you recognise, as above, or use `init_by_type`, which reports.
# Fix: `isinstance`, after the first batch.

# %%
net.apply(init_42)
print([name for name, parameter in net.named_parameters() if (parameter == 42).all()])
#> ['0.weight', '1.weight', '2.out_proj.weight']
attention = {"in_proj_weight": nn.init.xavier_uniform_}
report = init_by_type(net, {nn.MultiheadAttention: attention})
print([name for name, function in report.items() if function])
#> ['2.in_proj_weight']

# %% [markdown]
# ### `Attempted to use an uninitialized parameter`
#
# With `isinstance` a lazy layer is recognised, and cannot be filled before its first batch:

# %%
try:
    nn.LazyLinear(8).apply(init_42)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# Fix: a dry run first.

# %%
from d2lblocks import apply_init

print(apply_init(nn.LazyLinear(1), torch.rand(1, 2), init=init_42).weight)
#> Parameter containing:
#> tensor([[42., 42.]], requires_grad=True)

# %% [markdown]
# ### `Fan in and fan out can not be computed`
#
# You gave a bias to a function that needs fan-in and fan-out; a bias has one dimension, and neither.

# %%
try:
    for parameter in nn.Linear(4, 8).parameters():
        nn.init.xavier_uniform_(parameter)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Fan in and fan out can not be computed for tensor with fewer than 2 dimensions

# %% [markdown]
# Fix: choose by the number of dimensions, or by type and name.

# %%
for parameter in nn.Linear(4, 8).parameters():
    if parameter.dim() >= 2:
        nn.init.xavier_uniform_(parameter)
    else:
        nn.init.zeros_(parameter)

# %% [markdown]
# ### `'NoneType' object has no attribute 'zero_'`
#
# A layer built with `bias=False` still has the attribute `bias`: it is `None`.

# %%
try:
    nn.init.zeros_(nn.Linear(4, 8, bias=False).bias)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'NoneType' object has no attribute 'zero_'

# %% [markdown]
# Fix: ask before.

# %%
layer = nn.Linear(4, 8, bias=False)
if layer.bias is not None:
    nn.init.zeros_(layer.bias)

# %% [markdown]
# ### `Unsupported nonlinearity gelu`
#
# `calculate_gain` and `kaiming_*` know sigmoid, tanh, ReLU, leaky ReLU and SELU.

# %%
try:
    nn.init.kaiming_normal_(torch.empty(8, 8), nonlinearity="gelu")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Unsupported nonlinearity gelu

# %% [markdown]
# Fix: the gain of ReLU for a shallow net, or your own as `gain / √fan_in`.

# %%
print(nn.init.kaiming_normal_(torch.empty(8, 8), nonlinearity="relu").shape)
#> torch.Size([8, 8])

# %% [markdown]
# ### The net learns, but no better than one of width 1
#
# A constant has filled a hidden layer and the layer after it, as shown above.
# The sign is a gradient whose rows are all the same:

# %%
hidden, out = nn.Linear(4, 3), nn.Linear(3, 1)
pair = nn.Sequential(hidden, out)
nn.init.constant_(hidden.weight, 42)
nn.init.constant_(out.weight, 42)
pair(X).sum().backward()
print(bool((hidden.weight.grad == hidden.weight.grad[0]).all()))
#> True

# %% [markdown]
# Fix: draw the weights.

# %%
pair.apply(init_normal).zero_grad()
pair(X).sum().backward()
print(bool((hidden.weight.grad == hidden.weight.grad[0]).all()))
#> False

# %% [markdown]
# ### All layers begin with the same values
#
# You set the seed inside the function, and every layer begins the stream anew:

# %%
def init_seeded(module):
    torch.manual_seed(0)
    init_normal(module)


net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).apply(init_seeded)
print(torch.equal(net[0].weight, net[1].weight))
#> True

# %% [markdown]
# The same comes from `copy.deepcopy` of one layer.
# Fix: the seed once, before the net.

# %%
torch.manual_seed(0)
net.apply(init_normal)
print(torch.equal(net[0].weight, net[1].weight))
#> False

# %% [markdown]
# ### The numbers are ten times too large, or too small
#
# 0.01 was meant as a variance and given as a standard deviation, or the other way round: see above.
# How to notice: measure.

# %%
print(f"{nn.Linear(400, 100).apply(init_normal).weight.std().item():.2f}")
#> 0.01

# %% [markdown]
# ### The row of `padding_idx` is not zero
#
# `nn.Embedding` sets that row to 0 when it is built, and every function of `nn.init` overwrites it.
# It gets no gradient, so training does not change it back:

# %%
embedding = nn.Embedding(4, 3, padding_idx=0)
nn.init.normal_(embedding.weight)
print(bool(embedding(torch.tensor([0])).any()))
#> True

# %% [markdown]
# Fix: set it to 0 again, or fill with `init_by_type`.

# %%
with torch.no_grad():
    embedding.weight[embedding.padding_idx] = 0
init_by_type(embedding, {nn.Embedding: {"weight": nn.init.normal_}})
print(bool(embedding(torch.tensor([0])).any()))
#> False

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# Look up the other initializers.
# Show one property of `orthogonal_`, `trunc_normal_`, `dirac_` and `sparse_` that you can check.

# %% [markdown]
# #### Solution

# %% [markdown]
# An orthogonal matrix keeps lengths; a truncated normal distribution has no value outside its limits; a convolution with a Dirac kernel passes its input on; a sparse weight has as many zeros in every column as was asked for.

# %%
w = nn.init.orthogonal_(torch.empty(8, 8))
x = torch.rand(8)
print(torch.allclose((w @ x).norm(), x.norm()))
#> True

values = nn.init.trunc_normal_(torch.empty(1000), std=2, a=-1, b=1)
print(bool((values.abs() <= 1).all()))
#> True

convolution = nn.Conv2d(3, 3, kernel_size=5, padding=2, bias=False)
nn.init.dirac_(convolution.weight)
images = torch.rand(2, 3, 8, 8)
print(torch.equal(convolution(images), images))
#> True

print((nn.init.sparse_(torch.empty(10, 3), sparsity=0.8) == 0).sum(dim=0))
#> tensor([8, 8, 8])

# %% [markdown]
# ### Exercise 2
#
# Your net uses GELU, and `calculate_gain` does not know it.
# Find the gain, and show that it keeps the scale through 20 layers.

# %% [markdown]
# #### Solution

# %% [markdown]
# A layer without activation keeps the mean square of its input when its weights have the variance 1 / n.
# The activation f multiplies it by E[f(z)²], where z is drawn from N(0, 1); the gain undoes that: it is 1 / √E[f(z)²].

# %%
def gain(activation):
    torch.manual_seed(0)
    z = torch.randn(1_000_000)
    return activation(z).square().mean().rsqrt().item()


print(f"{gain(torch.relu):.2f} {nn.init.calculate_gain('relu'):.2f}")
#> 1.42 1.41
print(f"{gain(nn.functional.gelu):.2f}")
#> 1.54

# %%
def last_scale(gain):
    torch.manual_seed(0)
    X = torch.randn(256, 256)
    for _ in range(20):
        layer = nn.Linear(256, 256, bias=False)
        nn.init.normal_(layer.weight, std=gain / 256**0.5)
        X = nn.functional.gelu(layer(X)).detach()
    return X.square().mean().sqrt().item()


for each in (gain(nn.functional.gelu), 2**0.5, 1.0):
    print(f"{each:.2f} {last_scale(each):.0e}")
#> 1.54 3e+00
#> 1.41 7e-02
#> 1.00 2e-06

# %% [markdown]
# With its own gain the scale triples over 20 layers, with that of ReLU it falls to 7 %, without any it is gone.
# It does not stay exactly: GELU(2x) is not 2 · GELU(x), so the right gain depends on the scale, and ours is right for 1.

# %% [markdown]
# ### Exercise 3
#
# A residual block computes `X + f(X)`.
# Give the last layer of f such values that a net of ten blocks begins as the identity, and show that it learns all the same.

# %% [markdown]
# #### Solution

# %% [markdown]
# With a weight and a bias of 0 the last layer gives 0, and each block passes X on.
# The gradient of that layer is not 0: it depends on what comes in, and on the gradient from above, which the sum passes on unchanged.
# After the first step the other layers get one, too.

# %%
class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        first, last = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.f = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, X):
        return X + self.f(X)


torch.manual_seed(0)
net = nn.Sequential(*(Residual(4) for _ in range(10)))
print(torch.equal(net(X), X))
#> True

net(X).sum().backward()
print(bool(net[0].f[2].weight.grad.any()), bool(net[0].f[0].weight.grad.any()))
#> True False

# %% [markdown]
# Had both layers of f been 0, no gradient would reach either weight.

# %% [markdown]
# ### Exercise 4
#
# In the manner of [GPT-2](https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf), draw the weights of all linear layers of a transformer from N(0, 0.02²), set their biases to 0, and divide the standard deviation of the layers that end a residual branch by √N, where N is the number of such branches: two per block.
# Do it for blocks of `nn.TransformerEncoderLayer`, and make sure that nothing was missed.

# %% [markdown]
# #### Solution

# %% [markdown]
# Branches end in `self_attn.out_proj` and in `linear2`: a role that only the name tells.
# So the types come first, and the names after them.
# The query, key and value weights are parameters of `nn.MultiheadAttention` itself, and have their own rule; the normalisation layers keep what they have.

# %%
from functools import partial

blocks = 4
net = nn.Sequential(*(nn.TransformerEncoderLayer(32, 4, 64) for _ in range(blocks)))
small = partial(nn.init.normal_, std=0.02)
rules = {
    nn.Linear: {"weight": small, "bias": nn.init.zeros_},
    nn.MultiheadAttention: {"in_proj_weight": small, "in_proj_bias": nn.init.zeros_},
}
report = init_by_type(net, rules)
ends = [name for name in report if name.endswith(("out_proj.weight", "linear2.weight"))]
for name in ends:
    nn.init.normal_(net.get_parameter(name), std=0.02 / (2 * blocks) ** 0.5)

print(len(ends), [name for name in report if report[name] is None and "norm" not in name])
#> 8 []
ratio = net[0].linear1.weight.std() / net[0].linear2.weight.std()
print(f"{ratio.item():.0f} {(2 * blocks) ** 0.5:.0f}")
#> 3 3

# %% [markdown]
# ### Exercise 5
#
# A colleague adds a layer at the front, and all your seeded results change.
# Write an initialization in which the values of a parameter depend on the seed and on its name, and on nothing else.

# %% [markdown]
# #### Solution

# %% [markdown]
# Each parameter gets a generator of its own, whose seed is made from both.
# `zlib.crc32` is the same in every process; Python's `hash` of a string is not.

# %%
import zlib


def init_by_name(net, seed):
    for name, parameter in net.named_parameters():
        own_seed = zlib.crc32(f"{seed}:{name}".encode())
        generator = torch.Generator().manual_seed(own_seed)
        if parameter.dim() >= 2:
            nn.init.kaiming_normal_(parameter, generator=generator)
        else:
            nn.init.zeros_(parameter)
    return net


short = nn.ModuleDict({"out": nn.Linear(4, 2)})
long = nn.ModuleDict({"new": nn.Linear(4, 4), "out": nn.Linear(4, 2)})
init_by_name(short, seed=0)
init_by_name(long, seed=0)
print(torch.equal(short["out"].weight, long["out"].weight))
#> True
init_by_name(long, seed=1)
print(torch.equal(short["out"].weight, long["out"].weight))
#> False

# %% [markdown]
# **The price.** Scales and other vectors that should not be 0, as those of a normalisation, need a rule of their own.

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | the default of `nn.Linear` | nothing: U(-a, a), a = 1/√fan_in |
# | to fill one tensor | `nn.init.normal_(layer.weight, std=0.01)`: the standard deviation |
# | to fill a net by a function | `net.apply(f)`, where `f` asks `isinstance(module, nn.Linear)` |
# | to know what was filled | `init_by_type(net, {nn.Linear: {"weight": nn.init.xavier_uniform_}})` |
# | a scale for ReLU | `nn.init.kaiming_normal_(weight)` |
# | a scale for tanh or attention | `nn.init.xavier_uniform_(weight)` |
# | the right fan for a weight of shape `(in, out)` | `mode="fan_out"` |
# | values of your own | `with torch.no_grad(): weight.copy_(...)` |
# | biases, the end of a residual branch | `nn.init.zeros_` |
# | hidden neurons that differ | random weights, not a constant |
# | the same values again | `torch.manual_seed`, or `generator=` |
# | to fill a lazy net | the dry run first: `apply_init(net, X, init=f)` |
#
# The functions of this page: `d2lblocks.init`.
# Before it: Parameters.
# Next: Lazy initialization.
