# %% [markdown]
# # Initialization
#
# This is the page "Initialization" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks`, `matplotlib` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# You stack 20 layers and start training, but the loss hardly changes: the starting weights are so small that the values shrink almost to 0 on their way to the last layer.
# Or you write a function that sets better starting weights, but one layer silently keeps its old ones.
#
# - **What you will be able to do:** choose the starting values of a whole net, of one layer or of one tensor; pick a scale that suits the depth and the activation function; check that every layer got the values you chose.
# - **What you need:** Layers and modules and Parameters; Matplotlib for the plot.
# - **How long it takes:** about 35 minutes up to In the library, and this part is enough for the next topic; about 65 minutes with the rest and the exercises.
#
# The examples start with this net and this batch:

# %%
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
X = torch.rand(2, 4)

# %% [markdown]
# ## Default initialization of each layer
#
# <dfn>Initialization</dfn> is the step that gives the parameters of a net the values they have before training starts.
# PyTorch does it for you: each layer fills its parameters when you build it, and a lazy layer fills them at its first batch.
#
# A <dfn>uniform distribution</dfn>, written U(low, high), makes all values between low and high equally likely; most of PyTorch's default initializations use U(-a, a), which is symmetric around 0.
# The <dfn>fan-in</dfn> of a layer is the number of inputs that it uses to compute each output; for `nn.Linear` it is `in_features`.
# The <dfn>fan-out</dfn> of a layer is the number of outputs that each input contributes to; for `nn.Linear` it is `out_features`.
#
# `nn.Linear` draws both its weight and its bias at random from this uniform distribution:
#
# $$ U({-a}, a), \quad a = \frac{1}{\sqrt{\mathrm{fan\_in}}} $$
#
# The more inputs a layer adds up, the smaller its starting weights are.
#
# This snippet checks that no absolute value exceeds a (`bound`) and that the standard deviation is about a/√3, as for U(-a, a):

# %%
def looks_uniform(values, bound):
    spread = values.std().item() / (bound / 3**0.5)
    return bool(values.abs().max() <= bound) and 0.95 < spread < 1.05


layer, bound = nn.Linear(400, 100), 400**-0.5
print(looks_uniform(layer.weight, bound), bool((layer.bias.abs() <= bound).all()))
#> True True

# %% [markdown]
# The bias has too few values for a reliable standard deviation, so the snippet checks only that all are within the bound.
#
# A <dfn>normal distribution</dfn>, written N(mean, std²), is the bell curve around `mean` with standard deviation `std`; its second number is the variance, the square of the standard deviation.
#
# The table lists the defaults of the most common layers; skip the rows of layers that you do not know.
# They come from PyTorch's documentation or, for `nn.MultiheadAttention`, from its source code.
#
# | Layer | Weight | Bias |
# |---|---|---|
# | [`nn.Linear`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html) | U(-a, a), a = 1/√`in_features` | same as the weight |
# | [`nn.Conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html), also 1d and 3d | U(-a, a), a = 1/√(`in_channels / groups` · kernel elements) | same as the weight |
# | [`nn.ConvTranspose2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html), also 1d and 3d | U(-a, a), a = 1/√(`out_channels / groups` · kernel elements) | same as the weight |
# | [`nn.RNN`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html), `nn.LSTM`, `nn.GRU` | U(-a, a), a = 1/√`hidden_size` | same as the weight |
# | [`nn.MultiheadAttention`](https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html) | `in_proj_weight`: `xavier_uniform_` (below); `out_proj.weight`: same as `nn.Linear` | 0 |
# | [`nn.Embedding`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html) | N(0, 1); the row of `padding_idx` is 0 | none |
# | [`nn.LayerNorm`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html), `nn.BatchNorm2d`, `nn.GroupNorm` | 1 | 0 |
# | [`nn.RMSNorm`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html) | 1 | none |
#
# The kernel elements are the numbers in a kernel: a 5 × 5 kernel has 25.
#
# An embedding has one row of numbers per token, for example per word.
# The <dfn>padding index</dfn> (`padding_idx`) of an embedding is the index of a special token that is appended to short sequences until all sequences of a batch have the same length; the row of this token holds zeros and is not trained.
#
# With `groups`, a convolution splits its channels into that many groups, and each output uses only the inputs of its own group.
# `in_proj_weight` is three weights in one, so it has three times as many outputs as inputs.
# The next snippet, which you can skip, checks most of these rows:

# %%
attention = nn.MultiheadAttention(100, 4)
checks = [
    (nn.Conv2d(8, 40, 5, groups=2).weight, (4 * 5 * 5) ** -0.5),
    (nn.ConvTranspose2d(8, 40, 5).weight, (40 * 5 * 5) ** -0.5),
    (nn.LSTM(20, 100).weight_ih_l0, 100**-0.5),
    (attention.in_proj_weight, (6 / (100 + 3 * 100)) ** 0.5),
    (attention.out_proj.weight, 100**-0.5),
]
print(all(looks_uniform(weight, bound) for weight, bound in checks))
#> True
embedding = nn.Embedding(100, 100, padding_idx=0)
print(0.95 < embedding.weight.std().item() < 1.05)
#> True
for zeros in (attention.out_proj.bias, embedding.weight[0], nn.GroupNorm(1, 3).bias):
    print(bool((zeros == 0).all()))
#> True
#> True
#> True

# %% [markdown]
# `layer.reset_parameters()` draws the default values again, if the layer has this method.

# %% [markdown]
# ### Where the defaults come from
#
# Skip this on a first reading: it explains why PyTorch's defaults for linear layers and convolutions are smaller than you might expect, and it needs the gain, which the next section defines.
#
# These defaults are older than PyTorch.
# One of PyTorch's authors names *Efficient BackProp* (LeCun, Bottou, Orr and Müller, 1998) as [the source](https://github.com/pytorch/pytorch/issues/5168).
# In that paper, 1/√fan_in is the standard deviation.
# In PyTorch, it is the bound, so the standard deviation is smaller by a factor of √3.
# PyTorch keeps these values for [backward compatibility](https://github.com/pytorch/pytorch/issues/1667).
#
# PyTorch's source code writes the default as `kaiming_uniform_(weight, a=math.sqrt(5))`.
# Here, `a` is not the bound from above but the slope of a leaky ReLU, which multiplies negative numbers by this slope instead of replacing them with 0.
# The gain of a leaky ReLU is √(2 / (1 + slope²)), here 1/√3.
# The bound is √3 times the gain, divided by √fan_in, which equals [1/√fan_in](https://github.com/pytorch/pytorch/issues/57109).
#
# For a deep net with ReLU, the defaults are too small: Vanishing and exploding activations shows the effect.

# %% [markdown]
# ## Initialize one tensor: the functions of `torch.nn.init`
#
# To give one tensor new values, pass it to a function of [`torch.nn.init`](https://docs.pytorch.org/docs/stable/nn.init.html).
# The function overwrites the values in place, under `torch.no_grad()`, and returns the same tensor.

# %%
print(nn.init.constant_(net[2].bias, 0.5))
#> Parameter containing:
#> tensor([0.5000], requires_grad=True)
print(nn.init.zeros_(net[0].weight) is net[0].weight)
#> True

# %% [markdown]
# With `normal_` and `uniform_`, you choose the scale (typical size) of random weights yourself.
# Two families of functions compute it from the shape of the weight.
#
# <dfn>Xavier initialization</dfn>, also called Glorot initialization, computes the scale of random weights from the sum of fan-in and fan-out.
# The sum is a compromise: a scale from the fan-in alone would preserve the size of the values in the forward pass; a scale from the fan-out alone would preserve the size of the gradients in the backward pass.
# <dfn>Kaiming initialization</dfn>, also called He initialization, computes the scale of random weights from the fan-in and the activation function, so that values keep their size in a deep net with ReLU.
#
# An activation function changes the size of values: ReLU, for example, halves the mean of their squares if they are distributed symmetrically around 0.
# The <dfn>gain</dfn> of an activation function is the factor by which you scale random weights so that values keep their size despite the function; for ReLU it is √2.
#
# | Function | Distribution | Use it for | Source |
# |---|---|---|---|
# | `uniform_`<br>`normal_` | U(a, b), by default U(0, 1)<br>N(mean, std²), by default N(0, 1) | weights whose scale you choose | |
# | `trunc_normal_` | N(mean, std²); values outside [a, b] are drawn again | embeddings, transformers | |
# | `zeros_`, `ones_`<br>`constant_` | one value | biases; normalization scales; the last layer of a residual block `X + f(X)` (exercise 4) | |
# | `xavier_uniform_` | U(-a, a), a = gain · √(6 / (fan_in + fan_out)) | tanh; attention | [Glorot and Bengio, 2010](https://proceedings.mlr.press/v9/glorot10a.html) |
# | `xavier_normal_` | N(0, std²), std = gain · √(2 / (fan_in + fan_out)) | same as `xavier_uniform_` | the same paper |
# | `kaiming_uniform_` | U(-a, a), a = gain · √(3 / fan) | ReLU and similar | [He et al., 2015](https://arxiv.org/abs/1502.01852) |
# | `kaiming_normal_` | N(0, std²), std = gain / √fan | same as `kaiming_uniform_` | the same paper |
# | `orthogonal_` | rows of length `gain`, at right angles to each other; if there are more rows than columns, the columns instead | recurrent weights; very deep nets | [Saxe et al., 2013](https://arxiv.org/abs/1312.6120) |
# | `sparse_` | N(0, std²); in each column, a fraction `sparsity` of the entries is 0 | layers in which each input reaches few outputs | [Martens, 2010](https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf) |
# | `eye_`<br>`dirac_` | the identity as a matrix<br>the identity as a convolution | layers that start by passing on their input unchanged | |
#
# In the `kaiming_*` rows, `fan` is the fan-in; with `mode="fan_out"` it is the fan-out.
#
# [`nn.init.calculate_gain`](https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain) returns the gain of an activation function; for tanh it returns 5/3 (see its effect).
# The `xavier_*` functions take the gain as a number, 1 by default.
# The `kaiming_*` functions take the name of the activation function as `nonlinearity` and use the gain of ReLU by default.
# This snippet checks two of the functions against their formulas:

# %%
w = torch.empty(256, 800)
std = nn.init.kaiming_normal_(w).std().item()
print(f"{std:.3f} {2**0.5 / 800**0.5:.3f}")
#> 0.050 0.050
gain = nn.init.calculate_gain("tanh")
largest = nn.init.xavier_uniform_(w, gain=gain).abs().max().item()
print(f"{largest:.3f} {5 / 3 * (6 / (800 + 256)) ** 0.5:.3f}")
#> 0.126 0.126

# %% [markdown]
# **Watch out.** The limits of `trunc_normal_` are -2 and 2 by default.
# They are plain numbers, not multiples of `std`: with `std=0.02` they are 100 standard deviations away, so nothing is cut off.

# %% [markdown]
# ### Fan-in and fan-out: which dimension is which
#
# Skip this on a first reading: you need it only when you write a layer that stores its own weight.
#
# PyTorch stores the weight of a linear layer with the shape `(out_features, in_features)`, so the fan-in is the *second* size.
#
# (A picture: The weight of nn.Linear(4, 3) as a matrix with one row for each of its three outputs and one column for each of its four inputs. A highlighted row has four weights, the fan-in. A column with a dashed outline has three, the fan-out.)
#
# For a convolution with k kernel elements, PyTorch uses k · `in_channels / groups` as the fan-in and k · `out_channels` as the fan-out.
#
# If your own layer computes `X @ weight`, its weight has the shape `(in, out)`, and the functions of `torch.nn.init` use the fan-out as if it were the fan-in.
# Xavier initialization still gives the right scale, because it uses only the sum of the two.
# Kaiming initialization gives the wrong scale.
# There are two fixes: pass `mode="fan_out"`, or fill `weight.T`, a transposed view that uses the same memory as the weight.

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
# The first standard deviation is ten times too large; both fixes give √(2 / 800) = 0.05.
#
# `nn.ConvTranspose2d` stores its weight as `(in, out / groups, ...)`.
# Without groups and with stride 1, `mode="fan_out"` gives it the right scale.
# In all other cases, count the inputs of one output yourself.
# For example, stride 2 places neighboring inputs two outputs apart, so only 2 · 2 elements of a 4 × 4 kernel contribute to one output, and the fan-in is 4 times `in_channels`.

# %% [markdown]
# ### Standard deviation, not variance
#
# Papers often write a normal distribution as N(mean, variance), but `normal_` expects the standard deviation.
# If a paper writes N(0, 0.01), pass the square root of 0.01:

# %%
print(f"{nn.init.normal_(w, 0, 0.01).std().item():.2f}")
#> 0.01
print(f"{nn.init.normal_(w, 0, 0.01**0.5).std().item():.1f}")
#> 0.1

# %% [markdown]
# ### Set your own values
#
# To set specific values, assign them under `torch.no_grad()`, as in Parameters:

# %%
with torch.no_grad():
    net[0].weight[0] = torch.tensor([1.0, 2.0, 3.0, 4.0])  # one row
    net[0].bias += 1  # add 1 to every number
print(net[0].weight[0].detach())
#> tensor([1., 2., 3., 4.])

# %% [markdown]
# ## Initialize a whole net: `net.apply`
#
# In a large net, you do not want to fill every layer by hand.
# `net.apply(f)` calls `f` once for every module of the net:

# %%
done = net.apply(lambda module: print(type(module).__name__))
#> Linear
#> ReLU
#> Linear
#> Sequential
print(done is net)
#> True

# %% [markdown]
# `apply` calls `f` for the children of a module before the module itself, so the net comes last.
# It returns the net.
#
# `f` gets modules of every kind, including activation functions and containers, so it must first check what it got:

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
# Both linear layers got new weights and a bias of 0.
# (With a standard deviation of 0.01, values beyond 0.1 practically never occur.)
#
# **Watch out.** A function that checks for the wrong class silently does nothing: see an example.

# %% [markdown]
# ### Initialize each layer differently
#
# You can also call `apply` on a part of a net or on a single layer:

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
# To choose parameters by name, loop over `named_parameters()`.
# This loop fills every bias:

# %%
for name, parameter in net.named_parameters():
    if name.endswith("bias"):
        nn.init.zeros_(parameter)
print(net[2].bias.tolist())
#> [0.0]

# %% [markdown]
# ### Draw from your own distribution
#
# Skip this on a first reading: it shows how to build a distribution that `torch.nn.init` does not have.
#
# Suppose you want each weight to come from U(5, 10) or U(-10, -5), with probability 1/4 each, or to be 0, with probability 1/2.
# That is the same as drawing from U(-10, 10) and replacing every value between -5 and 5 with 0: a quarter of the range remains on each side.

# %%
def my_init(module):
    if isinstance(module, nn.Linear):
        nn.init.uniform_(module.weight, -10, 10)
        with torch.no_grad():
            module.weight *= module.weight.abs() >= 5


weight = nn.Linear(400, 100).apply(my_init).weight
for part, share in ((weight >= 5, 1 / 4), (weight == 0, 1 / 2), (weight <= -5, 1 / 4)):
    print(abs(part.float().mean().item() - share) < 0.02)
#> True
#> True
#> True

# %% [markdown]
# ## Why weights must not all be equal: symmetry
#
# If all neurons of a hidden layer have the same weights and the same bias, they all compute the same value.
# If their outputs also have equal weights in the next layer, `backward()` gives all these neurons the same gradient.
# Every training step then keeps them equal:

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
# After ten steps, all rows of the gradient and of the weight are equal.
# Eight such neurons can do no more than one, however long the net trains.
#
# <dfn>Symmetry</dfn> between the neurons of a layer means that they have equal weights and get equal gradients, so that training never makes them different.
# To break the symmetry, draw the weights of the hidden layer or of the next layer at random.
# The biases can then start at 0.

# %% [markdown]
# ## What the distributions look like
#
# The snippet below fills a weight with 256 outputs and 256 inputs in six ways and plots a histogram of each.
# The dashed lines are at ±1/√256, the bound of `nn.Linear`.
#
# A <dfn>random number generator</dfn> is an object that produces random numbers; unless you pass your own, PyTorch uses the default generator of the device.
# A <dfn>seed</dfn> is the number that a random number generator starts from: with the same seed, it produces the same numbers in the same order.
# `torch.manual_seed(0)` seeds the default generators of all devices, so every run draws the same weights.

# %%
import matplotlib.pyplot as plt

# Only for a picture file that is the same in every run: you can leave this out.
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
    axis.hist(weight.flatten(), bins=24, range=(-0.25, 0.25), histtype="stepfilled")
    axis.vlines(
        [-1 / 16, 1 / 16], 0, 7500, color="gray", linestyle="--", linewidth=0.8
    )
    axis.set(title=title, ylim=(0, 7500), yticks=[])
figure.savefig("plot-initializers.svg", metadata={"Date": None})

# %% [markdown]
# (A picture: Six histograms with the same axes. nn.Linear is a flat block between minus 1/16 and plus 1/16. normal_ with std 0.01 is a needle at 0 that is cut off at the top. xavier_uniform_ is a flat block, 1.7 times as wide as the first. xavier_normal_ and orthogonal_ are bell curves of the same width. kaiming_normal_ is a bell curve, 1.4 times as wide as those two.)
#
# `orthogonal_` looks the same as `xavier_normal_`, because a histogram does not show how values are related; only the rows of `orthogonal_` are at right angles to each other.

# %% [markdown]
# ## Vanishing and exploding activations
#
# Each layer multiplies the size of the values that pass through it by some factor.
# One factor of 1/2 does little, but the product of twenty of them is about 10⁻⁶.
# <dfn>Vanishing activations</dfn> are layer outputs that get smaller from layer to layer until they are almost 0.
# <dfn>Exploding activations</dfn> are layer outputs that get larger from layer to layer until the numbers are too large to train with.
#
# The next snippet sends 256 random inputs through 20 layers of width 256, each followed by a ReLU.
# It measures the size of the values after each layer as the root mean square: the square root of the mean of all squared values.
# It uses `float64`, because some squares are too small for `float32`.

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

for label, fill in initializations.items():
    print(f"{label:17} {scales(fill)[-1]:.0e}")
#> kaiming_normal_() 9e-01
#> xavier_normal_()  9e-04
#> nn.Linear         2e-08
#> normal_(std=0.01) 1e-19

# %% [markdown]
# Only `kaiming_normal_` keeps the size of the activations.
# With the default weights of `nn.Linear`, they shrink to 2 · 10⁻⁸.
# `diagnose` reports this as `scale`.
#
# The formulas explain these numbers, up to random variation.
# Each output is a sum of n products of a weight and an input, where n is the width.
# The weights are independent, with mean 0 and variance v, so products of two different terms average to 0, and the mean square of the outputs is n · v times that of the inputs.
# Half of the outputs are negative; ReLU replaces them with 0, which halves the mean square.
# So each layer multiplies the mean square by n · v / 2:
#
# | Initialization | Factor for the mean square |
# |---|---|
# | Kaiming: v = 2 / n | 1 |
# | Xavier: v = 2 / (n + n) | 1/2 |
# | `nn.Linear`: v = 1 / (3n) | 1/6 |
# | std 0.01, n = 256 | 0.0128 |
#
# So 20 layers multiply the mean square by the factor to the power of 20, and its root by the factor to the power of 20 / 2:

# %%
for factor in (1, 1 / 2, 1 / 6, 256 * 0.01**2 / 2):
    print(f"{factor ** (20 / 2):.0e}")
#> 1e+00
#> 1e-03
#> 2e-08
#> 1e-19

# %% [markdown]
# <dfn>Vanishing gradients</dfn> are gradients of layer outputs that shrink from layer to layer on the way back through a net.
# <dfn>Exploding gradients</dfn> are gradients of layer outputs that grow from layer to layer on the way back through a net.
# In these nets, each layer multiplies the sizes of the gradient and of the activations by the same factor.
# The gradient of a weight is the product of its layer's input and the gradient that comes back to the layer's output.
# With the default weights, the first layers get a large input and a tiny gradient, and the last layers get a tiny input and a large gradient.
# So the product is about equally small in all layers:

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
# With Kaiming initialization, the gradients are above 100 only because the snippet adds up all outputs of 256 examples.
#
# A factor that is too large is no better.
# With `std=0.2`, the activations grow past one million:

# %%
print(scales(lambda weight: nn.init.normal_(weight, std=0.2))[-1] > 1e6)
#> True

# %% [markdown]
# You can keep the defaults in shallow nets, where only a few factors are multiplied, and in nets with normalization layers, each of which resets the scale of the values.

# %% [markdown]
# ### Try it: gain, activation and depth
#
# How large a gain does your activation function need?
# Here, the weights have standard deviation gain / √n, where n is the fan-in.
# In a browser, set the gain, the activation function and the depth, and see what happens to the activations and the gradient; the tables below contain the numbers behind the picture.
#
# The same numbers in two tables:
#
# The size of the activations, after this many layers:
#
# | activation | gain | 1 | 2 | 5 | 10 | 20 | 50 |
# |---|---|--:|--:|--:|--:|--:|--:|
# | none | 0.8 | 8.0e-01 | 6.4e-01 | 3.3e-01 | 1.1e-01 | 1.2e-02 | 1.4e-05 |
# | none | 1.0 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | none | √2 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
# | none | 1.67 | 1.7e+00 | 2.8e+00 | 1.3e+01 | 1.7e+02 | 2.7e+04 | 1.2e+11 |
# | none | 2.0 | 2.0e+00 | 4.0e+00 | 3.2e+01 | 1.0e+03 | 1.0e+06 | 1.1e+15 |
# | tanh | 0.8 | 5.6e-01 | 3.8e-01 | 1.7e-01 | 5.3e-02 | 5.6e-03 | 7.0e-06 |
# | tanh | 1.0 | 6.3e-01 | 4.9e-01 | 3.2e-01 | 2.3e-01 | 1.6e-01 | 1.0e-01 |
# | tanh | √2 | 7.2e-01 | 6.3e-01 | 5.7e-01 | 5.6e-01 | 5.6e-01 | 5.6e-01 |
# | tanh | 1.67 | 7.6e-01 | 6.9e-01 | 6.5e-01 | 6.5e-01 | 6.5e-01 | 6.5e-01 |
# | tanh | 2.0 | 8.0e-01 | 7.5e-01 | 7.3e-01 | 7.3e-01 | 7.3e-01 | 7.3e-01 |
# | ReLU | 0.8 | 5.7e-01 | 3.2e-01 | 5.8e-02 | 3.4e-03 | 1.1e-05 | 4.3e-13 |
# | ReLU | 1.0 | 7.1e-01 | 5.0e-01 | 1.8e-01 | 3.1e-02 | 9.8e-04 | 3.0e-08 |
# | ReLU | √2 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | ReLU | 1.67 | 1.2e+00 | 1.4e+00 | 2.3e+00 | 5.2e+00 | 2.7e+01 | 3.7e+03 |
# | ReLU | 2.0 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
#
# The size of the gradient, back through this many layers:
#
# | activation | gain | 1 | 2 | 5 | 10 | 20 | 50 |
# |---|---|--:|--:|--:|--:|--:|--:|
# | none | 0.8 | 8.0e-01 | 6.4e-01 | 3.3e-01 | 1.1e-01 | 1.2e-02 | 1.4e-05 |
# | none | 1.0 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | none | √2 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
# | none | 1.67 | 1.7e+00 | 2.8e+00 | 1.3e+01 | 1.7e+02 | 2.7e+04 | 1.2e+11 |
# | none | 2.0 | 2.0e+00 | 4.0e+00 | 3.2e+01 | 1.0e+03 | 1.0e+06 | 1.1e+15 |
# | tanh | 0.8 | 5.9e-01 | 4.1e-01 | 1.8e-01 | 5.7e-02 | 6.1e-03 | 7.5e-06 |
# | tanh | 1.0 | 6.8e-01 | 5.4e-01 | 3.7e-01 | 2.7e-01 | 1.9e-01 | 1.2e-01 |
# | tanh | √2 | 8.4e-01 | 8.0e-01 | 8.6e-01 | 1.1e+00 | 1.8e+00 | 8.1e+00 |
# | tanh | 1.67 | 9.2e-01 | 9.5e-01 | 1.2e+00 | 1.9e+00 | 5.0e+00 | 8.8e+01 |
# | tanh | 2.0 | 1.0e+00 | 1.1e+00 | 1.8e+00 | 3.8e+00 | 1.8e+01 | 1.9e+03 |
# | ReLU | 0.8 | 5.7e-01 | 3.2e-01 | 5.8e-02 | 3.4e-03 | 1.1e-05 | 4.3e-13 |
# | ReLU | 1.0 | 7.1e-01 | 5.0e-01 | 1.8e-01 | 3.1e-02 | 9.8e-04 | 3.0e-08 |
# | ReLU | √2 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | ReLU | 1.67 | 1.2e+00 | 1.4e+00 | 2.3e+00 | 5.2e+00 | 2.7e+01 | 3.7e+03 |
# | ReLU | 2.0 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
#
# These settings are worth trying:
#
# - With ReLU, a gain of √2 keeps both sizes, because ReLU removes half of the mean square in each layer; this is Kaiming initialization.
# - With tanh and a gain of 1, the values shrink in each layer, quickly at first, then more slowly.
#   A gain of 5/3 (1.67) keeps the activations at 0.65, but the gradient slowly grows, to 5 times its size over 20 layers.
#   A gain of 2 is misleading: the activations look fine, because tanh never exceeds 1, but the gradient explodes.
# - Without an activation function, only a gain of exactly 1 keeps the sizes, however deep the net is.
#
# The numbers are those of very wide layers; The code behind the picture computes them.
#
# **The first reading ends here.** Read on if you want a report of what was filled, the fix for a problem or results that you can repeat.

# %% [markdown]
# ## In the library
#
# To use the functions of this page, install the package with `pip install .` in a clone of this site's repository and import them from `d2lblocks.init`.
#
# Source of these functions, without docstrings:
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
# From here on, the page uses these functions instead of its own.
# They work with `nn.Linear` and its subclasses (a lazy layer only after its first batch), with or without a bias; those that draw random numbers accept a generator.
# `hardshrink_uniform_` fills one tensor as `my_init` fills the weight of a linear layer.
#
# A parametrization such as `weight_norm` computes the weight from other parameters each time you access it, so values that you fill in would be lost.
# The functions reject it:

# %%
try:
    nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)).apply(init_42)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: `weight` is not an nn.Parameter

# %% [markdown]
# ### `init_by_type`
#
# `net.apply` does not tell you which layers it reached.
# `init_by_type` takes one rule per class of layer, fills the parameters that the rules name and reports on every parameter of the net:

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
# The parameters of the batch normalization layer, `1.weight` and `1.bias`, were not filled.
#
# A rule can use any function that fills a tensor; set the other arguments of the function with `functools.partial`.
# The rules work as follows:
#
# - A layer follows the rule of its own class, or else of its nearest base class.
# - A tensor that several layers share is filled once.
# - Parameters that no rule names keep their values.
# - If an embedding has a `padding_idx`, that row is set to 0 again afterward.
# - `skip=("head",)` leaves out the layer `head` and everything inside it.
#
# If a rule matches no layer, `init_by_type` raises an error and leaves the net unchanged:

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
# To check the rules for a net that is too large for your machine, build the net on the meta device:

# %%
with torch.device("meta"):
    large = nn.Sequential(
        nn.Linear(100_000, 100_000), nn.ReLU(), nn.Linear(100_000, 1)
    )
print(init_by_type(large, {nn.Linear: rules[nn.Linear]})["2.bias"])
#> zeros_

# %% [markdown]
# **Cost.** To be able to undo everything after an error, `init_by_type` keeps a copy of the net's values until it is done.
#
# Source of <code>init_by_type</code>, without docstrings and helpers:

# %%
from d2lblocks.init import _fill, _plan, _skipped, _text

# %% [markdown]
# *The library's own source, from `d2lblocks/init.py`:*

# %%
from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from typing import Any

from d2lblocks._arguments import check_net
from d2lblocks._snapshot import Snapshot
from d2lblocks._tensors import identity, writing


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


def _zero_padding(net: nn.Module, filled: Container[Hashable]) -> None:
    for module in net.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.padding_idx is not None:
            weight = module._parameters.get("weight")  # not one that is computed
            if weight is not None and identity(weight) in filled:
                with writing(weight):
                    weight[module.padding_idx] = 0

# %% [markdown]
# ## Reproducibility
#
# You set a seed so that you can repeat your results, but after a small change to the net, almost all weights are different.
# Unless you pass a generator, random numbers come from PyTorch's default generator, so the values of a layer depend on everything that was drawn before them.
# If you add a layer at the front, all layers after it get different values:

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
# A [`torch.Generator`](https://docs.pytorch.org/docs/stable/generated/torch.Generator.html) of your own produces its own sequence of numbers.
# Every function of `torch.nn.init` that draws random numbers accepts a generator and then leaves the default one as it was.
# (`sparse_` still uses the default generator to place its zeros.)

# %%
def filled(seed):
    generator = torch.Generator().manual_seed(seed)
    return nn.init.normal_(torch.empty(3), generator=generator)


print(torch.equal(filled(0), filled(0)), torch.equal(filled(0), filled(1)))
#> True False

# %% [markdown]
# `net.apply` passes only the module to its function.
# To pass a generator too, use `functools.partial(init_normal, generator=...)`, or use `init_by_type`, which has an argument for it:

# %%
def seeded(seed):
    net, generator = nn.Linear(4, 2), torch.Generator().manual_seed(seed)
    init_by_type(net, {nn.Linear: rules[nn.Linear]}, generator=generator)
    return net.weight


print(torch.equal(seeded(0), seeded(0)), torch.equal(seeded(0), seeded(1)))
#> True False

# %% [markdown]
# Two other things change the values even with the same seed: the size of the tensor and the device.
#
# On the CPU, `normal_` and `torch.randn` use a different algorithm for 16 or more values, so a larger tensor does not always start with the values of a smaller one:

# %%
torch.manual_seed(0)
narrow = torch.randn(15)
torch.manual_seed(0)
wide = torch.randn(16)
print(torch.equal(narrow, wide[:15]))
#> False

# %% [markdown]
# A GPU uses an algorithm of its own, so the same seed gives different values there.
# To get the same values on all devices, build the net on the CPU and then move it:
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
# ## The code behind the picture
#
# Skip this on a first reading: it computes the picture of gain, activation and depth.
#
# In a very wide layer, each output is a sum of many random terms, so the outputs are approximately normally distributed.
# Instead of drawing random numbers, the code uses 2,000 values `z` and the probability of each, `p`.
# For each layer, `activation(gain * size * z)` gives the outputs, and their root mean square is the next size.
# The gradient is multiplied by the gain and by the root mean square of the slopes of the activation function.

# %%
z = torch.linspace(-8, 8, 2000, dtype=torch.float64)
p = torch.exp(-z.square() / 2)
p /= p.sum()


def wide_scales(activation, gain, depth):
    """Root mean squares of activations and gradients, layer by layer."""
    sizes, gradients = [1.0], [1.0]
    for _ in range(depth):
        H = (gain * sizes[-1] * z).requires_grad_()
        A = activation(H)
        (slope,) = torch.autograd.grad(A.sum(), H)
        sizes.append((p @ A.detach().square()).sqrt().item())
        gradients.append(gradients[-1] * gain * (p @ slope.square()).sqrt().item())
    return sizes, gradients


after = [1, 2, 5, 10, 20, 50]
gains = {"0.8": 0.8, "1.0": 1.0, "√2": 2**0.5, "1.67": 5 / 3, "2.0": 2.0}
print("layers", *after)
#> layers 1 2 5 10 20 50
for at, kind in enumerate(("sizes", "gradients")):
    for name, activation in {
        "none": lambda H: H,
        "tanh": torch.tanh,
        "ReLU": torch.relu,
    }.items():
        for label, gain in gains.items():
            values = wide_scales(activation, gain, 50)[at]
            print(name, label, kind, *(f"{values[layer]:.1e}" for layer in after))
#> none 0.8 sizes 8.0e-01 6.4e-01 3.3e-01 1.1e-01 1.2e-02 1.4e-05
#> none 1.0 sizes 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> none √2 sizes 1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07
#> none 1.67 sizes 1.7e+00 2.8e+00 1.3e+01 1.7e+02 2.7e+04 1.2e+11
#> none 2.0 sizes 2.0e+00 4.0e+00 3.2e+01 1.0e+03 1.0e+06 1.1e+15
#> tanh 0.8 sizes 5.6e-01 3.8e-01 1.7e-01 5.3e-02 5.6e-03 7.0e-06
#> tanh 1.0 sizes 6.3e-01 4.9e-01 3.2e-01 2.3e-01 1.6e-01 1.0e-01
#> tanh √2 sizes 7.2e-01 6.3e-01 5.7e-01 5.6e-01 5.6e-01 5.6e-01
#> tanh 1.67 sizes 7.6e-01 6.9e-01 6.5e-01 6.5e-01 6.5e-01 6.5e-01
#> tanh 2.0 sizes 8.0e-01 7.5e-01 7.3e-01 7.3e-01 7.3e-01 7.3e-01
#> ReLU 0.8 sizes 5.7e-01 3.2e-01 5.8e-02 3.4e-03 1.1e-05 4.3e-13
#> ReLU 1.0 sizes 7.1e-01 5.0e-01 1.8e-01 3.1e-02 9.8e-04 3.0e-08
#> ReLU √2 sizes 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> ReLU 1.67 sizes 1.2e+00 1.4e+00 2.3e+00 5.2e+00 2.7e+01 3.7e+03
#> ReLU 2.0 sizes 1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07
#> none 0.8 gradients 8.0e-01 6.4e-01 3.3e-01 1.1e-01 1.2e-02 1.4e-05
#> none 1.0 gradients 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> none √2 gradients 1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07
#> none 1.67 gradients 1.7e+00 2.8e+00 1.3e+01 1.7e+02 2.7e+04 1.2e+11
#> none 2.0 gradients 2.0e+00 4.0e+00 3.2e+01 1.0e+03 1.0e+06 1.1e+15
#> tanh 0.8 gradients 5.9e-01 4.1e-01 1.8e-01 5.7e-02 6.1e-03 7.5e-06
#> tanh 1.0 gradients 6.8e-01 5.4e-01 3.7e-01 2.7e-01 1.9e-01 1.2e-01
#> tanh √2 gradients 8.4e-01 8.0e-01 8.6e-01 1.1e+00 1.8e+00 8.1e+00
#> tanh 1.67 gradients 9.2e-01 9.5e-01 1.2e+00 1.9e+00 5.0e+00 8.8e+01
#> tanh 2.0 gradients 1.0e+00 1.1e+00 1.8e+00 3.8e+00 1.8e+01 1.9e+03
#> ReLU 0.8 gradients 5.7e-01 3.2e-01 5.8e-02 3.4e-03 1.1e-05 4.3e-13
#> ReLU 1.0 gradients 7.1e-01 5.0e-01 1.8e-01 3.1e-02 9.8e-04 3.0e-08
#> ReLU √2 gradients 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> ReLU 1.67 gradients 1.2e+00 1.4e+00 2.3e+00 5.2e+00 2.7e+01 3.7e+03
#> ReLU 2.0 gradients 1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07

# %% [markdown]
# With ReLU and gain 1, a net of width 256 stays within 30% of these numbers for 20 layers:

# %%
measured = scales(nn.init.xavier_normal_)
computed, _ = wide_scales(torch.relu, gain=1.0, depth=20)
print(all(0.7 < a / b < 1.3 for a, b in zip(measured, computed[1:])))
#> True

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### `net.apply(f)` runs, but the weights do not change
#
# You apply an initialization function, but some layers silently keep their old weights.
# The function checks `type(module) == nn.Linear`, which is false for every subclass of `nn.Linear`.
# A lazy layer has a class of its own until its first batch.
# The output layer of `nn.MultiheadAttention`, `out_proj`, is always an instance of a subclass:

# %%
def init_exactly_linear(module):
    if type(module) == nn.Linear:  # noqa: E721
        nn.init.constant_(module.weight, 42)


net = nn.Sequential(nn.Linear(4, 8), nn.LazyLinear(8), nn.MultiheadAttention(8, 2))
net.apply(init_exactly_linear)
net[:2](X)  # the first batch of the lazy layer; the attention would need three inputs
for name, parameter in net.named_parameters():
    if name.endswith("weight"):
        print(name, bool((parameter == 42).all()))
#> 0.weight True
#> 1.weight False
#> 2.in_proj_weight False
#> 2.out_proj.weight False

# %% [markdown]
# Of the three linear layers, only `0` was filled.
# `in_proj_weight` belongs to `nn.MultiheadAttention` itself, not to a linear layer.
#
# Fix: check with `isinstance`, and call `apply` after the first batch.
# For `in_proj_weight`, use a rule:

# %%
net.apply(init_42)
print([name for name, parameter in net.named_parameters() if (parameter == 42).all()])
#> ['0.weight', '1.weight', '2.out_proj.weight']
attention = {"in_proj_weight": nn.init.xavier_uniform_}
report = init_by_type(net, {nn.MultiheadAttention: attention})
print([name for name, function in report.items() if function])
#> ['2.in_proj_weight']

# %% [markdown]
# To notice it next time: fill with a value that you recognize, such as 42, or use `init_by_type`, which reports what it filled.

# %% [markdown]
# ### `Attempted to use an uninitialized parameter`
#
# You initialize a net that has a lazy layer, and the function raises an error.
# A check with `isinstance` finds the lazy layer, but before the first batch its parameters have no shape:

# %%
try:
    nn.LazyLinear(8).apply(init_42)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# Fix: do a dry run first, that is, send one batch through the net.
# `apply_init` does this and then calls `net.apply(init)`:

# %%
from d2lblocks import apply_init

print(apply_init(nn.LazyLinear(1), torch.rand(1, 2), init=init_42).weight)
#> Parameter containing:
#> tensor([[42., 42.]], requires_grad=True)

# %% [markdown]
# To notice it next time: before you initialize, check that the package's `uninitialized_names(net)` returns an empty list.

# %% [markdown]
# ### `Fan in and fan out can not be computed`
#
# You initialize all parameters in a loop.
# `xavier_uniform_` needs fan-in and fan-out, but a bias, with its one dimension, has neither:

# %%
try:
    for parameter in nn.Linear(4, 8).parameters():
        nn.init.xavier_uniform_(parameter)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Fan in and fan out can not be computed for tensor with fewer than 2 dimensions

# %% [markdown]
# Fix: choose the function by the number of dimensions, or by the type of the layer and the name of the parameter.

# %%
for parameter in nn.Linear(4, 8).parameters():
    if parameter.dim() >= 2:
        nn.init.xavier_uniform_(parameter)
    else:
        nn.init.zeros_(parameter)

# %% [markdown]
# ### `'NoneType' object has no attribute 'zero_'`
#
# You try to fill the bias of a layer that you built without one.
# The layer still has the attribute `bias`, but its value is `None`:

# %%
try:
    nn.init.zeros_(nn.Linear(4, 8, bias=False).bias)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'NoneType' object has no attribute 'zero_'

# %% [markdown]
# Fix: check that the layer has a bias before you fill it.

# %%
layer = nn.Linear(4, 8, bias=False)
if layer.bias is not None:
    nn.init.zeros_(layer.bias)

# %% [markdown]
# ### `Unsupported nonlinearity gelu`
#
# You ask for the gain of an activation function that PyTorch does not know.
# Of the common activation functions, `calculate_gain` and the `kaiming_*` functions know only sigmoid, tanh, ReLU, leaky ReLU and SELU:

# %%
try:
    nn.init.kaiming_normal_(torch.empty(8, 8), nonlinearity="gelu")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Unsupported nonlinearity gelu

# %% [markdown]
# Fix: for a shallow net, use the gain of ReLU.
# For a deep one, compute the gain yourself and draw the weights with standard deviation `gain / √fan_in`.

# %%
print(nn.init.kaiming_normal_(torch.empty(8, 8), nonlinearity="relu").shape)
#> torch.Size([8, 8])

# %% [markdown]
# ### The hidden neurons stay equal: constant weights
#
# Your net learns, but no better than with a single hidden neuron.
# A hidden layer and the layer after it were filled with constants, including the biases, so all hidden neurons get the same gradient (the reason):

# %%
hidden, out = nn.Linear(4, 3), nn.Linear(3, 1)
pair = nn.Sequential(hidden, nn.Tanh(), out).apply(init_constant)
pair(X).sum().backward()
print(bool((hidden.weight.grad == hidden.weight.grad[0]).all()))
#> True

# %% [markdown]
# Fix: draw the weights at random.

# %%
pair.apply(init_normal).zero_grad()
pair(X).sum().backward()
print(bool((hidden.weight.grad == hidden.weight.grad[0]).all()))
#> False

# %% [markdown]
# To notice it next time: check that the rows of the weight's gradient differ, as above.
# `diagnose` reports this as `equal-units`.

# %% [markdown]
# ### All layers start with the same weights: a seed set too often
#
# You set the seed inside the function that fills a layer.
# The generator then starts over for each layer, and layers of the same shape get the same values:

# %%
def init_seeded(module):
    torch.manual_seed(0)
    init_normal(module)


net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).apply(init_seeded)
print(torch.equal(net[0].weight, net[1].weight))
#> True

# %% [markdown]
# Copies of one layer made with `copy.deepcopy` also start with the same weights.
#
# Fix: set the seed once, before you build or fill the net.

# %%
torch.manual_seed(0)
net.apply(init_normal)
print(torch.equal(net[0].weight, net[1].weight))
#> False

# %% [markdown]
# To notice it next time: compare two layers of the same shape with `torch.equal`.

# %% [markdown]
# ### The weights are much too large or too small: variance and standard deviation
#
# You took a number such as 0.01 from a paper or from other code.
# It was a variance, but you passed it as a standard deviation, or the other way around.
#
# Fix: pass the standard deviation, as explained in Standard deviation, not variance.
#
# To notice it next time: measure the standard deviation of a weight that you have filled.

# %%
print(f"{nn.Linear(400, 100).apply(init_normal).weight.std().item():.2f}")
#> 0.01

# %% [markdown]
# ### The row of `padding_idx` is not zero
#
# You initialize an embedding, and from then on, padding changes the results of your net.
# `nn.Embedding` sets the row of `padding_idx` to 0 when you build it, but every function of `torch.nn.init` overwrites the whole weight.
# Training does not repair the row, because its gradient is always 0:

# %%
embedding = nn.Embedding(4, 3, padding_idx=0)
nn.init.normal_(embedding.weight)
print(bool(embedding(torch.tensor([0])).any()))
#> True

# %% [markdown]
# Fix: set the row to 0 again, or fill the embedding with `init_by_type`.

# %%
with torch.no_grad():
    embedding.weight[embedding.padding_idx] = 0
init_by_type(embedding, {nn.Embedding: {"weight": nn.init.normal_}})
print(bool(embedding(torch.tensor([0])).any()))
#> False

# %% [markdown]
# To notice it next time: pass the padding index to the embedding and check that the result is 0.
# `diagnose` reports this as `padding-row`.

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# `net.apply(init_linear)` should fill the weight of every linear layer with `xavier_uniform_` and its bias, if it has one, with 0.
# But it silently skips `out_proj`, the linear layer in `nn.MultiheadAttention`, because it checks `type(module) == nn.Linear`, and it fails for a layer built with `bias=False`.
# Repair `init_linear`.
#
# To practice (easy): `python -m d2lblocks practice start init/1`

# %% [markdown]
# #### Solution

# %% [markdown]
# `isinstance` is also true for a class derived from `nn.Linear`, and the bias of a layer without one is `None`.
#
# *init/1_linear.py*

# %%
def init_linear(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

# %% [markdown]
# ### Exercise 2
#
# Write `four(size)`, which returns a dict of four tensors, each filled by the function of `torch.nn.init` whose name is its key.
# `"orthogonal_"`: a matrix of shape `(size, size)` that doubles the length of every vector.
# `"trunc_normal_"`: 1,000 values from N(0, 0.02²); those beyond two standard deviations are drawn again.
# `"dirac_"`: the weight of a 2d convolution that returns its input, with `size` channels in and out and a kernel of size 3.
# `"sparse_"`: a matrix of shape `(10, size)` with eight zeros in every column.
#
# To practice (easy): `python -m d2lblocks practice start init/2`

# %% [markdown]
# #### Solution

# %% [markdown]
# The limits of `trunc_normal_` are plain numbers, so two standard deviations are 0.04; `sparsity` is the fraction of zeros.
#
# *init/2_four.py*

# %%
def four(size):
    values = torch.empty(1000)
    return {
        "orthogonal_": nn.init.orthogonal_(torch.empty(size, size), gain=2),
        "trunc_normal_": nn.init.trunc_normal_(values, std=0.02, a=-0.04, b=0.04),
        "dirac_": nn.init.dirac_(torch.empty(size, size, 3, 3)),
        "sparse_": nn.init.sparse_(torch.empty(10, size), sparsity=0.8),
    }

# %% [markdown]
# ### Exercise 3
#
# Your net uses GELU, which `nn.init.calculate_gain` does not know.
# Write `gain(activation)`, which returns the gain of any elementwise activation function as a number, with an error of less than 1%.
# If z is drawn from N(0, 1), the gain times `activation(z)` has a mean square of 1.
#
# To practice (medium): `python -m d2lblocks practice start init/3`

# %% [markdown]
# #### Solution

# %% [markdown]
# The activation function f changes the mean square from 1 to the mean of f(z)².
# The gain undoes that, so it is 1 divided by the root of this mean.
#
# *init/3_gain.py*

# %%
def gain(activation):
    z = torch.randn(1_000_000)
    return activation(z).square().mean().rsqrt().item()

# %%
torch.manual_seed(0)
for each in (gain(nn.functional.gelu), gain(torch.relu)):
    print(f"{each:.2f} {wide_scales(nn.functional.gelu, each, 20)[0][-1]:.0e}")
#> 1.54 4e+00
#> 1.41 4e-02

# %% [markdown]
# In 20 very wide layers with GELU, the values grow to four times their size with the gain of GELU, but shrink to 4% with that of ReLU.
# They do grow because the right gain depends on the size of the values, and ours is right for size 1.

# %% [markdown]
# ### Exercise 4
#
# A residual block computes `X + f(X)`; here, `f` is two linear layers with a ReLU between them.
# Change only the starting values.
# A new block should return exactly its input, and a few steps of training should change all its parameters.
#
# To practice (medium): `python -m d2lblocks practice start init/4`

# %% [markdown]
# #### Solution

# %% [markdown]
# If the last layer of `f` has a weight and a bias of 0, the block passes `X` on unchanged.
# The gradient of that weight is not 0: it is the product of the layer's input and the gradient from the later blocks, which the sum `X + f(X)` passes back.
# After the first step, that layer is no longer 0, and then the other layer of `f` gets a gradient too.
#
# *init/4_residual.py*

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

# %%
net = nn.Sequential(*(Residual(4) for _ in range(10)))
print(torch.equal(net(X), X))
#> True
net(X).sum().backward()
print(bool(net[0].f[2].weight.grad.any()), bool(net[0].f[0].weight.grad.any()))
#> True False

# %% [markdown]
# If both layers of `f` started at 0, the gradients of both weights would stay 0.

# %% [markdown]
# ### Exercise 5
#
# Write `init_gpt2(net)`, which initializes a transformer the way GPT-2 does and returns it.
# `net` is an `nn.Sequential` of new `nn.TransformerEncoderLayer` blocks.
# Draw the weights of all linear layers, and those for query, key and value, from N(0, 0.02²), and set their biases to 0.
# Each block has two residual branches: attention, and two linear layers.
# For the weight of the last layer of each branch, divide the standard deviation by √N, where N is the number of branches in the net.
# The normalization layers keep their values.
#
# To practice (hard): `python -m d2lblocks practice start init/5`

# %% [markdown]
# #### Solution

# %% [markdown]
# The branches end in `self_attn.out_proj` and `linear2`; only the names tell you this.
# The weights for query, key and value are parameters of `nn.MultiheadAttention` itself, so a rule for linear layers misses them.
#
# *init/5_gpt2.py*

# %%
def init_gpt2(net):
    for name, parameter in net.named_parameters():
        if name.endswith(("out_proj.weight", "linear2.weight")):
            nn.init.normal_(parameter, std=0.02 / (2 * len(net)) ** 0.5)
        elif parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
    return net

# %%
net = nn.Sequential(*(nn.TransformerEncoderLayer(32, 4, 64) for _ in range(8)))
block = init_gpt2(net)[0]
print(f"{(block.linear1.weight.std() / block.linear2.weight.std()).item():.0f}")
#> 4

# %% [markdown]
# ### Exercise 6
#
# A colleague adds a layer at the front of the net, and all your seeded results change.
# Write `init_by_name(net, seed)`, which fills parameters with two or more dimensions with `kaiming_normal_` and all others with 0, and returns the net.
# The random values depend only on the seed and on the name of the parameter: another seed or name gives other values, and another run of Python gives the same values.
# Leave PyTorch's default generator as it was.
#
# To practice (hard): `python -m d2lblocks practice start init/6`

# %% [markdown]
# #### Solution

# %% [markdown]
# Each parameter gets a generator of its own, with a seed made from your seed and the name.
# `zlib.crc32` returns the same number in every process; Python's `hash` of a string does not.
#
# *init/6_by_name.py*

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

# %%
short = init_by_name(nn.ModuleDict({"out": nn.Linear(4, 2)}), seed=0)
long = nn.ModuleDict({"new": nn.Linear(4, 4), "out": nn.Linear(4, 2)})
for seed in (0, 1):
    long = init_by_name(long, seed)
    print(torch.equal(short["out"].weight, long["out"].weight))
#> True
#> False

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | the default of `nn.Linear` | nothing: U(-a, a), a = 1/√fan_in |
# | to fill one tensor | `nn.init.normal_(layer.weight, std=0.01)`, where `std` is the standard deviation |
# | to fill a whole net with a function | `net.apply(f)`, where `f` checks `isinstance(module, nn.Linear)` |
# | to know what was filled | `init_by_type(net, {nn.Linear: {"weight": nn.init.xavier_uniform_}})` |
# | a scale for ReLU | `nn.init.kaiming_normal_(weight)` |
# | a scale for tanh or attention | `nn.init.xavier_uniform_(weight)`; for tanh, PyTorch suggests `gain=5 / 3` |
# | the right fan for a weight of shape `(in, out)` | `mode="fan_out"` |
# | to set your own values | `with torch.no_grad(): weight.copy_(...)` |
# | biases, or the end of a residual branch, at 0 | `nn.init.zeros_` |
# | hidden neurons that differ | random weights, not a constant |
# | the same values again | `torch.manual_seed`, or `generator=` |
# | to fill a lazy net | a dry run first: `apply_init(net, X, init=f)` |
#
# The library's functions are in `d2lblocks.init`, and those for lazy nets are in `d2lblocks.lazy`.
#
# Next: Lazy initialization, to leave input sizes to the first batch, or File I/O, to save what a net has learned.
