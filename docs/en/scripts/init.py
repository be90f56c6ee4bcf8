# %% [markdown]
# # Initialization
#
# This is the page "Initialization" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks`, `matplotlib` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# You stack 20 layers and start training, but the loss barely moves: the starting weights are so small that almost nothing of the input reaches the last layer.
# Or you write a function that sets better starting weights, and one layer silently keeps its old ones.
#
# - **What you will be able to do:** choose the starting values of a whole net, of one layer or of one tensor; pick a scale that suits the depth and the activation function; check that every layer got the values you chose.
# - **What you need:** Layers and modules and Parameters.
# - **How long it takes:** about 30 minutes up to In the library, which is all the next topic needs; about 60 minutes with everything and the exercises.
#
# The examples on this page start with this net and this batch:

# %%
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
X = torch.rand(2, 4)

# %% [markdown]
# ## Default initialization of each layer
#
# <dfn>Initialization</dfn> is the step that gives the parameters of a net the values they have before training starts.
# PyTorch does it for you: each layer fills its parameters when you build it, so a net is never without values.
#
# `nn.Linear` draws both its weight and its bias at random from this uniform distribution:
#
# $$ U({-a}, a), \quad a = \frac{1}{\sqrt{\mathrm{fan\_in}}} $$
#
# A <dfn>uniform distribution</dfn>, written U(-a, a), gives every number between -a and a the same chance.
# The <dfn>fan-in</dfn> of a layer is the number of inputs that each of its outputs is computed from; for `nn.Linear` it is `in_features`.
# The more inputs a layer adds up, the smaller its starting weights are.
# The <dfn>fan-out</dfn> of a layer is the number of outputs that each of its inputs contributes to; for `nn.Linear` it is `out_features`.
# Formulas later on this page use both.
#
# Does `nn.Linear` really do this?
# Values that fill the range from -a to a evenly have a standard deviation close to a/√3, so the next snippet checks the largest value and the standard deviation:

# %%
def looks_uniform(values, bound):
    spread = values.std().item() / (bound / 3**0.5)
    return values.abs().max().item() <= bound and 0.95 < spread < 1.05


layer, bound = nn.Linear(400, 100), 400**-0.5
print(looks_uniform(layer.weight, bound), bool((layer.bias.abs() <= bound).all()))
#> True True

# %% [markdown]
# The weight of this layer passes both checks.
# The bias has too few values to measure its standard deviation, so the snippet only checks that all of them are within the bound.
#
# Other layers have other defaults, which the table below lists.
# They come from PyTorch's documentation, except those of attention, which come from its source code.
#
# A <dfn>normal distribution</dfn>, written N(mean, std²), is the bell curve around `mean` with the standard deviation `std`; its second number is the variance, which is the square of the standard deviation.
# The <dfn>padding index</dfn> (`padding_idx`) of an embedding is the index of the filler token that brings short sequences to a common length; the row of this token starts at 0 and is not trained.
#
# | Layer | Weight | Bias |
# |---|---|---|
# | [`nn.Linear`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html) | U(-a, a), a = 1/√`in_features` | same as the weight |
# | [`nn.Conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html), also 1d and 3d | U(-a, a), a = 1/√(`in_channels / groups` · kernel size) | same as the weight |
# | [`nn.ConvTranspose2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html), also 1d and 3d | U(-a, a), a = 1/√(`out_channels / groups` · kernel size) | same as the weight |
# | [`nn.RNN`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html), `nn.LSTM`, `nn.GRU` | U(-a, a), a = 1/√`hidden_size` | same as the weight |
# | [`nn.MultiheadAttention`](https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html) | input: `xavier_uniform_` (below); output: same as `nn.Linear` | 0 |
# | [`nn.Embedding`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html) | N(0, 1); the row of `padding_idx` is 0 | none |
# | [`nn.LayerNorm`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html), `nn.BatchNorm2d`, `nn.GroupNorm` | 1 | 0 |
# | [`nn.RMSNorm`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html) | 1 | none |
#
# The next snippet checks one layer from most rows:

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
# `layer.reset_parameters()` draws the default values again, if the layer has this method.

# %% [markdown]
# ### Where the defaults come from
#
# Skip this on a first reading: it explains why PyTorch's defaults for linear layers and convolutions are smaller than you might expect.
#
# These defaults are older than PyTorch.
# One of PyTorch's authors names *Efficient BackProp* (LeCun, Bottou, Orr and Müller, 1998) as [their source](https://github.com/pytorch/pytorch/issues/5168).
# In that paper, 1/√fan_in is the standard deviation.
# In PyTorch it is the bound, so the standard deviation is smaller by a factor of √3.
# PyTorch keeps these values for [backward compatibility](https://github.com/pytorch/pytorch/issues/1667).
#
# PyTorch's source code writes the default as `kaiming_uniform_(weight, a=math.sqrt(5))`.
# This `a` is not the bound of the distribution, but the slope of a leaky ReLU.
# A slope of √5 gives a gain of √(2 / (1 + 5)) = 1/√3.
# The bound is √3 times the gain, divided by √fan_in, which makes [1/√fan_in](https://github.com/pytorch/pytorch/issues/57109).
#
# For a deep net with ReLU, the defaults are too small: the second plot shows the effect.

# %% [markdown]
# ## Initialize one tensor: the functions of `torch.nn.init`
#
# To give one tensor other values, pass it to a function of [`torch.nn.init`](https://docs.pytorch.org/docs/stable/nn.init.html).
# The function overwrites the values in place, under `torch.no_grad()`, and returns the same tensor.
# In PyTorch, a name that ends in `_` marks a function that changes its tensor in place.

# %%
print(nn.init.constant_(net[2].bias, 0.5))
#> Parameter containing:
#> tensor([0.5000], requires_grad=True)
print(nn.init.zeros_(net[0].weight) is net[0].weight)
#> True

# %% [markdown]
# The first call sets the bias to 0.5.
# The last line shows that the returned tensor is the weight itself, not a copy.
#
# The functions differ in how they choose the scale of random weights.
# With `normal_` and `uniform_` you choose the scale yourself.
# Two families compute the scale from the shape of the weight.
#
# <dfn>Xavier initialization</dfn>, also called Glorot initialization, computes the scale of random weights from both fan-in and fan-out, as a compromise between keeping the size of the values on the way forward and the size of the gradients on the way back.
# <dfn>Kaiming initialization</dfn>, also called He initialization, computes the scale of random weights from the fan-in (or the fan-out) and the activation function, so that values keep their size in a deep net with ReLU.
#
# An activation function changes the size of the values that pass through it: ReLU, for example, halves their mean square.
# The <dfn>gain</dfn> of an activation function is the factor by which random weights are made larger, so that values keep their size when they pass through the activation function; for ReLU it is √2.
#
# | Function | Distribution | When to use it | Source |
# |---|---|---|---|
# | `uniform_`<br>`normal_` | U(a, b), by default U(0, 1)<br>N(mean, std²), by default N(0, 1) | you know the scale you want | |
# | `trunc_normal_` | N(mean, std²); values outside [a, b] are drawn again | embeddings, transformers | |
# | `zeros_`, `ones_`<br>`constant_` | one value | biases; scales of normalization; the end of a residual branch | |
# | `xavier_uniform_` | U(-a, a), a = gain · √(6 / (fan_in + fan_out)) | tanh; attention | [Glorot and Bengio, 2010](https://proceedings.mlr.press/v9/glorot10a.html) |
# | `xavier_normal_` | N(0, std²), std = gain · √(2 / (fan_in + fan_out)) | same as `xavier_uniform_` | the same paper |
# | `kaiming_uniform_` | U(-a, a), a = gain · √(3 / fan) | ReLU and similar | [He et al., 2015](https://arxiv.org/abs/1502.01852) |
# | `kaiming_normal_` | N(0, std²), std = gain / √fan | same as `kaiming_uniform_` | the same paper |
# | `orthogonal_` | perpendicular rows of length `gain`; if there are more rows than columns, perpendicular columns | recurrent weights; very deep nets | [Saxe et al., 2013](https://arxiv.org/abs/1312.6120) |
# | `sparse_` | N(0, std²); in each column, the share `sparsity` is 0 | each input should reach only a few outputs | [Martens, 2010](https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf) |
# | `eye_`<br>`dirac_` | the identity as a matrix<br>the identity as a convolution | a layer that should start by passing its input on unchanged | |
#
# In the rows of `kaiming_*`, `fan` is the fan-in; with `mode="fan_out"` it is the fan-out.
#
# [`nn.init.calculate_gain`](https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain) returns the gain of an activation function; for tanh it returns 5/3.
# `xavier_*` take the gain as a number, 1 by default.
# `kaiming_*` take the name of the activation function as `nonlinearity`, and use the gain of ReLU by default.
# This snippet measures what two of the functions draw, and prints the value of the formula next to it:

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
# **Watch out.** The limits of `trunc_normal_` are -2 and 2 by default.
# They are plain numbers, not multiples of `std`: with `std=0.02` they are 100 standard deviations away, and nothing is cut off.

# %% [markdown]
# ### Fan-in and fan-out: which dimension is which
#
# Skip this on a first reading: you need it when you write a layer that stores its own weight.
#
# PyTorch stores the weight of a linear layer with the shape `(out_features, in_features)`, so the fan-in is the *second* size.
#
# (A picture: The weight of nn.Linear(4, 3) as a matrix with one row for each of its three outputs and one column for each of its four inputs. One row is highlighted: it has four weights, the fan-in. One column has a dashed outline: it has three weights, the fan-out.)
#
# For a convolution, both fan-in and fan-out count the kernel: the fan-in is `in_channels / groups` times the kernel's size.
#
# If your own layer stores its weight as `(in, out)`, to compute `X @ weight`, the functions of `torch.nn.init` mistake the fan-out for the fan-in.
# Xavier initialization still gives the right scale, because its formula contains only the sum of fan-in and fan-out.
# Kaiming initialization gives the wrong scale.
# There are two fixes: pass `mode="fan_out"`, or fill the transposed view, which shares its memory with the weight.

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
# The standard deviation should be √(2 / 800) = 0.05.
# The first call gives 0.5, which is ten times too large; both fixes give 0.05.
#
# `nn.ConvTranspose2d` stores its weight as `(in, out / groups, ...)`.
# Without groups and with stride 1, `mode="fan_out"` gives it the right scale.
# In all other cases you have to count yourself how many inputs each output is computed from.

# %% [markdown]
# ### Standard deviation, not variance
#
# The second number in a paper is often the variance, but `normal_` expects the standard deviation.
# `normal_(w, 0, 0.01)` draws from N(0, 0.01²).
# If a paper writes N(0, 0.01), its second number is the variance, so pass the square root:

# %%
w = torch.empty(256, 512)
print(f"{nn.init.normal_(w, 0, 0.01).std().item():.2f}")
#> 0.01
print(f"{nn.init.normal_(w, 0, 0.01**0.5).std().item():.1f}")
#> 0.1

# %% [markdown]
# ### Set your own values
#
# To set values that you know, assign them under `torch.no_grad()`, as shown in Parameters:

# %%
with torch.no_grad():
    net[0].weight[0] = torch.tensor([1.0, 2.0, 3.0, 4.0])  # one row
    net[0].bias += 1  # all of them
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
# The innermost modules come first and the net itself comes last.
# `apply` returns the net.
#
# `apply` passes modules of every kind to `f`, including activation functions and containers.
# So `f` first checks what it got:

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
# Both linear layers got new weights and a bias of 0; the `nn.ReLU` and the `nn.Sequential` were left alone.
#
# **The price.** A function that checks for the wrong class does nothing, and no error tells you: see When it goes wrong.

# %% [markdown]
# ### Initialize each layer differently
#
# Every module has the method `apply`, so you can call it on a part of a net, or on a single layer:

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
# The weights of the first layer are now within the bound of Xavier initialization, and every weight of the last layer is 42.
#
# The paper behind Xavier initialization calls it "normalized initialization".
# Despite this name, the old values are not rescaled: new ones are drawn from U(-a, a).
#
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
# Suppose you want each weight to come from U(5, 10) with probability 1/4, to be 0 with probability 1/2, and to come from U(-10, -5) with probability 1/4.
# That is the same as drawing from U(-10, 10) and setting every value closer to 0 than 5 to 0:

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
# The printed shares are 1/4, 2/4 and 1/4, as wanted.

# %% [markdown]
# ## Why weights must not all be equal: symmetry
#
# If all neurons of a hidden layer have the same weights and the same bias, they all compute the same value.
# If the next layer also gives their outputs equal weights, `backward` gives all these neurons the same gradient.
# Then every training step keeps them equal:

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
# After ten steps, all rows of the gradient are still the same, and so are all rows of the weight.
# Eight neurons that compute the same value are worth no more than one, however long the net trains.
#
# The neurons of a layer have <dfn>symmetry</dfn> if they have equal weights and get equal gradients, so that training never makes them different; giving them different random weights is called breaking the symmetry.
# It is enough if the weights of one of the two layers are random.
# Biases can start at 0, because the random weights already break the symmetry.

# %% [markdown]
# ## What the distributions look like
#
# A picture shows how much the distributions differ.
# The next snippet fills a weight with 256 outputs and 256 inputs in six ways, and draws a histogram of each.
# The dashed lines are at ±1/√256, the bound of `nn.Linear`.
#
# In the snippet, `torch.manual_seed(0)` makes every run draw the same weights: it sets the seed of PyTorch's default generator.
# A random number <dfn>generator</dfn> is an object that produces random numbers; unless you pass your own, PyTorch uses its default generator.
# A <dfn>seed</dfn> is the number that a random number generator starts from: after the same seed, it produces the same numbers in the same order.

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
    axis.hist(weight.flatten(), bins=48, range=(-0.3, 0.3), histtype="stepfilled")
    axis.axvline(-(256**-0.5), color="gray", linestyle="--", linewidth=0.8)
    axis.axvline(256**-0.5, color="gray", linestyle="--", linewidth=0.8)
    axis.set_title(title)
    axis.set_ylim(0, 7500)
    axis.set_yticks([])
figure.savefig("plot-initializers.svg", metadata={"Date": None})

# %% [markdown]
# (A picture: Six histograms with the same axes. nn.Linear is a flat block between minus 1/16 and plus 1/16. normal_ with std 0.01 is a needle at 0 that is cut off at the top. xavier_uniform_ is a flat block that is 1.7 times as wide as the block of nn.Linear. xavier_normal_ and orthogonal_ are bell curves of the same width. kaiming_normal_ is a bell curve that is 1.4 times as wide as those two.)
#
# `orthogonal_` looks the same as `xavier_normal_`, because a histogram shows only single values.
# The difference is between the rows: those of `orthogonal_` are perpendicular to each other.

# %% [markdown]
# ## Vanishing and exploding activations
#
# Each layer multiplies the size of the values that pass through it by some factor.
# A single factor of 1/2 does little, but twenty of them make 10⁻⁶.
# <dfn>Vanishing activations</dfn> are outputs of layers that get smaller from layer to layer, until almost nothing of the input is left.
# <dfn>Exploding activations</dfn> are outputs of layers that get larger from layer to layer, until the numbers are too large to train with.
#
# The next snippet sends 256 random inputs through 20 layers of width 256, each followed by a ReLU.
# After each layer it computes the root mean square, which is the square root of the mean of all squared values and measures how large they are:

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
# With the default weights of `nn.Linear`, almost nothing is left after 20 layers.
#
# The formulas explain these numbers.
# A sum of n products has n times the mean square of one product, and ReLU keeps half of it.
# So a ReLU layer of width n, whose weights have the variance v, multiplies the mean square by n · v / 2:
#
# | Initialization | factor of the mean square per layer | root mean square after 20 layers |
# |---|---|---|
# | Kaiming: v = 2 / n | 1 | 1 |
# | Xavier: v = 2 / (n + n) | 1/2 | 10⁻³ |
# | `nn.Linear`: v = 1 / (3n) | 1/6 | 2 · 10⁻⁸ |
# | std 0.01, n = 256 | 0.0128 | 10⁻¹⁹ |
#
# The last column is the square root of twenty such factors multiplied together:

# %%
for factor in (1, 1 / 2, 1 / 6, 256 * 0.01**2 / 2):
    print(f"{factor ** (20 / 2):.0e}")
#> 1e+00
#> 1e-03
#> 2e-08
#> 1e-19

# %% [markdown]
# <dfn>Vanishing gradients</dfn> are gradients that get smaller from layer to layer on their way back through a net.
# <dfn>Exploding gradients</dfn> are gradients that get larger from layer to layer on their way back through a net.
# In this net, gradients shrink by the same factors as activations.
# The gradient of a weight is the product of two things: the input of its layer, and the gradient that comes back to the output of its layer.
# In the first layers the input is still large, but the gradient that comes back is tiny.
# In the last layers it is the other way around.
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
# With the default weights, the gradient is below 0.01 in both the first and the last layer; with Kaiming initialization, it is above 100 in both.
#
# A factor that is too large is no better.
# With `std=0.2`, the activations grow to ten million; the snippet checks that they pass one million:

# %%
print(scales(lambda weight: nn.init.normal_(weight, std=0.2))[-1] > 1e6)
#> True

# %% [markdown]
# You can keep the defaults in two kinds of nets.
# A shallow net multiplies only a few factors.
# In a net with normalization layers, each of these layers sets the scale again, whatever came before.

# %% [markdown]
# ### Try it: gain, activation and depth
#
# How large a gain does your activation function need?
# In this picture, the gain multiplies the standard deviation 1/√n of the weights, where n is the fan-in.
# Change it, and watch what happens to the activations on their way to the last layer, and to the gradient on its way back:
#
# <details class="scales" markdown="1"><summary>The same numbers in two tables</summary>
#
# The size of the activations, after this many layers:
#
# | activation | gain | 1 | 2 | 5 | 10 | 20 | 50 |
# |---|---|--:|--:|--:|--:|--:|--:|
# | none | 0.5 | 5.0e-01 | 2.5e-01 | 3.1e-02 | 9.8e-04 | 9.5e-07 | 8.9e-16 |
# | none | 0.8 | 8.0e-01 | 6.4e-01 | 3.3e-01 | 1.1e-01 | 1.2e-02 | 1.4e-05 |
# | none | 1.0 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | none | 1.2 | 1.2e+00 | 1.4e+00 | 2.5e+00 | 6.2e+00 | 3.8e+01 | 9.1e+03 |
# | none | √2 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
# | none | 2.0 | 2.0e+00 | 4.0e+00 | 3.2e+01 | 1.0e+03 | 1.0e+06 | 1.1e+15 |
# | tanh | 0.5 | 4.2e-01 | 2.0e-01 | 2.5e-02 | 7.7e-04 | 7.5e-07 | 7.0e-16 |
# | tanh | 0.8 | 5.6e-01 | 3.8e-01 | 1.7e-01 | 5.3e-02 | 5.6e-03 | 7.0e-06 |
# | tanh | 1.0 | 6.3e-01 | 4.9e-01 | 3.2e-01 | 2.3e-01 | 1.6e-01 | 1.0e-01 |
# | tanh | 1.2 | 6.8e-01 | 5.7e-01 | 4.6e-01 | 4.2e-01 | 4.2e-01 | 4.2e-01 |
# | tanh | √2 | 7.2e-01 | 6.3e-01 | 5.7e-01 | 5.6e-01 | 5.6e-01 | 5.6e-01 |
# | tanh | 2.0 | 8.0e-01 | 7.5e-01 | 7.3e-01 | 7.3e-01 | 7.3e-01 | 7.3e-01 |
# | ReLU | 0.5 | 3.5e-01 | 1.2e-01 | 5.5e-03 | 3.1e-05 | 9.3e-10 | 2.6e-23 |
# | ReLU | 0.8 | 5.7e-01 | 3.2e-01 | 5.8e-02 | 3.4e-03 | 1.1e-05 | 4.3e-13 |
# | ReLU | 1.0 | 7.1e-01 | 5.0e-01 | 1.8e-01 | 3.1e-02 | 9.8e-04 | 3.0e-08 |
# | ReLU | 1.2 | 8.5e-01 | 7.2e-01 | 4.4e-01 | 1.9e-01 | 3.7e-02 | 2.7e-04 |
# | ReLU | √2 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | ReLU | 2.0 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
#
# The size of the gradient, back through this many layers:
#
# | activation | gain | 1 | 2 | 5 | 10 | 20 | 50 |
# |---|---|--:|--:|--:|--:|--:|--:|
# | none | 0.5 | 5.0e-01 | 2.5e-01 | 3.1e-02 | 9.8e-04 | 9.5e-07 | 8.9e-16 |
# | none | 0.8 | 8.0e-01 | 6.4e-01 | 3.3e-01 | 1.1e-01 | 1.2e-02 | 1.4e-05 |
# | none | 1.0 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | none | 1.2 | 1.2e+00 | 1.4e+00 | 2.5e+00 | 6.2e+00 | 3.8e+01 | 9.1e+03 |
# | none | √2 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
# | none | 2.0 | 2.0e+00 | 4.0e+00 | 3.2e+01 | 1.0e+03 | 1.0e+06 | 1.1e+15 |
# | tanh | 0.5 | 4.2e-01 | 2.0e-01 | 2.5e-02 | 7.8e-04 | 7.7e-07 | 7.1e-16 |
# | tanh | 0.8 | 5.9e-01 | 4.1e-01 | 1.8e-01 | 5.7e-02 | 6.1e-03 | 7.5e-06 |
# | tanh | 1.0 | 6.8e-01 | 5.4e-01 | 3.7e-01 | 2.7e-01 | 1.9e-01 | 1.2e-01 |
# | tanh | 1.2 | 7.6e-01 | 6.7e-01 | 5.9e-01 | 6.0e-01 | 7.0e-01 | 1.1e+00 |
# | tanh | √2 | 8.4e-01 | 8.0e-01 | 8.6e-01 | 1.1e+00 | 1.8e+00 | 8.1e+00 |
# | tanh | 2.0 | 1.0e+00 | 1.1e+00 | 1.8e+00 | 3.8e+00 | 1.8e+01 | 1.9e+03 |
# | ReLU | 0.5 | 3.5e-01 | 1.2e-01 | 5.5e-03 | 3.1e-05 | 9.3e-10 | 2.6e-23 |
# | ReLU | 0.8 | 5.7e-01 | 3.2e-01 | 5.8e-02 | 3.4e-03 | 1.1e-05 | 4.3e-13 |
# | ReLU | 1.0 | 7.1e-01 | 5.0e-01 | 1.8e-01 | 3.1e-02 | 9.8e-04 | 3.0e-08 |
# | ReLU | 1.2 | 8.5e-01 | 7.2e-01 | 4.4e-01 | 1.9e-01 | 3.7e-02 | 2.7e-04 |
# | ReLU | √2 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | ReLU | 2.0 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
#
# Three settings are worth trying.
# With ReLU, a gain of √2 keeps both sizes, because ReLU loses half of the mean square in each layer; this is Kaiming initialization.
# With tanh, a gain of 1 loses a little in each layer, and a gain of 2 is treacherous: the activations look fine, because tanh never exceeds 1, but the gradients explode.
# Without an activation function, only a gain of exactly 1 keeps the sizes, however deep the net is.
#
# The numbers are those of very wide layers, and code further below computes them.
#
# **The first reading ends here.** What follows is for you if you want a report of what was filled, results that you can repeat, or the fix for a problem.

# %% [markdown]
# ## In the library
#
# You do not have to copy the functions from this page: import them from `d2lblocks.init`.
# The module also has `hardshrink_uniform_`, which does to one tensor what `my_init` does to a linear layer.
# The functions work with any subclass of `nn.Linear`, with or without a bias, and those that draw random numbers accept a generator.
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
# The functions refuse a weight that is not a parameter.
# `weight_norm` and its relatives compute the weight each time you access it, so the values you fill in would be lost.
# Therefore the functions call `get_parameter("weight")`, which raises an error for such a weight:

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
# `init_by_type` takes one rule per class of layer, fills the parameters that the rules name, and reports on every parameter of the net:

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
# The report shows that the two parameters of the batch norm, `1.weight` and `1.bias`, were not filled.
#
# A rule can use any function that fills a tensor; set the other arguments of the function with `functools.partial`.
# The rules work as follows:
#
# - A layer follows the rule of its own class, or else of its nearest base class.
# - A tensor that several layers share is filled once.
# - Parameters that no rule names keep their values.
# - If an embedding has a `padding_idx`, that row is set to 0 again afterwards.
# - `skip=("head",)` leaves out the layer `head` and everything inside it.
#
# A rule that reaches no layer is an error, and after the error the net is unchanged:

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
    large = nn.Sequential(nn.Linear(100_000, 100_000), nn.ReLU(), nn.Linear(100_000, 1))
print(init_by_type(large, {nn.Linear: rules[nn.Linear]})["2.bias"])
#> zeros_

# %% [markdown]
# **The price.** To be able to undo everything after an error, `init_by_type` copies the values of the net and keeps the copy until it is done.
#
# Source of `init_by_type`, without docstrings:
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
            raise ValueError(f"expected {_text(function)} to fill its tensor in place, but it returned a new one")
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
# You set a seed so that you can repeat your results, but after a small change to the net almost all weights are different.
# The reason is that every function above draws from PyTorch's default generator, whose seed `torch.manual_seed` sets.
# So the values of a layer depend on everything that was drawn before it.
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
# The same seed gave the same weight for the same code, but not after an additional layer.
#
# A [`torch.Generator`](https://docs.pytorch.org/docs/stable/generated/torch.Generator.html) of your own produces its own sequence of numbers.
# Every function of `torch.nn.init` that draws random numbers accepts one, and then leaves the default generator as it was.
# (`sparse_` is an exception: it still uses the default generator to choose where the zeros go.)

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
# Two more things change the values although the seed is the same.
#
# The first is the size of the tensor.
# On the CPU, `normal_` uses a different algorithm for 16 values or more, so a wider layer does not start with the values of a narrower one:

# %%
torch.manual_seed(0)
narrow = torch.randn(15)
torch.manual_seed(0)
wide = torch.randn(16)
print(torch.equal(narrow, wide[:15]))
#> False

# %% [markdown]
# The second is the device.
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
# ## The numbers of the picture
#
# Skip this on a first reading: it is the code behind the picture of gain, activation and depth.
#
# In a very wide layer, each output is a sum of many random terms, so the outputs are close to normally distributed.
# Instead of drawing random numbers, the code averages over the normal distribution, layer by layer:

# %%
z = torch.linspace(-8, 8, 2000, dtype=torch.float64)
density = torch.exp(-z.square() / 2)
density /= density.sum()


def wide_scales(activation, gain, depth):
    """Root mean squares of the activations, and of the gradient back through as many layers."""
    sizes, gradients = [1.0], [1.0]
    for _ in range(depth):
        H = (gain * sizes[-1] * z).requires_grad_()
        A = activation(H)
        (slope,) = torch.autograd.grad(A.sum(), H)
        sizes.append((density @ A.detach().square()).sqrt().item())
        gradients.append(gradients[-1] * gain * (density @ slope.square()).sqrt().item())
    return sizes, gradients


after = [1, 2, 5, 10, 20, 50]
gains = {"0.5": 0.5, "0.8": 0.8, "1.0": 1.0, "1.2": 1.2, "√2": 2**0.5, "2.0": 2.0}
print("layers", *after)
#> layers 1 2 5 10 20 50
for name, activation in {"none": lambda H: H, "tanh": torch.tanh, "ReLU": torch.relu}.items():
    for label, gain in gains.items():
        for kind, values in zip(("sizes", "gradients"), wide_scales(activation, gain, 50)):
            print(f"{name:4} {label:3} {kind:9}", *(f"{values[layer]:.1e}" for layer in after))
#> none 0.5 sizes     5.0e-01 2.5e-01 3.1e-02 9.8e-04 9.5e-07 8.9e-16
#> none 0.5 gradients 5.0e-01 2.5e-01 3.1e-02 9.8e-04 9.5e-07 8.9e-16
#> none 0.8 sizes     8.0e-01 6.4e-01 3.3e-01 1.1e-01 1.2e-02 1.4e-05
#> none 0.8 gradients 8.0e-01 6.4e-01 3.3e-01 1.1e-01 1.2e-02 1.4e-05
#> none 1.0 sizes     1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> none 1.0 gradients 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> none 1.2 sizes     1.2e+00 1.4e+00 2.5e+00 6.2e+00 3.8e+01 9.1e+03
#> none 1.2 gradients 1.2e+00 1.4e+00 2.5e+00 6.2e+00 3.8e+01 9.1e+03
#> none √2  sizes     1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07
#> none √2  gradients 1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07
#> none 2.0 sizes     2.0e+00 4.0e+00 3.2e+01 1.0e+03 1.0e+06 1.1e+15
#> none 2.0 gradients 2.0e+00 4.0e+00 3.2e+01 1.0e+03 1.0e+06 1.1e+15
#> tanh 0.5 sizes     4.2e-01 2.0e-01 2.5e-02 7.7e-04 7.5e-07 7.0e-16
#> tanh 0.5 gradients 4.2e-01 2.0e-01 2.5e-02 7.8e-04 7.7e-07 7.1e-16
#> tanh 0.8 sizes     5.6e-01 3.8e-01 1.7e-01 5.3e-02 5.6e-03 7.0e-06
#> tanh 0.8 gradients 5.9e-01 4.1e-01 1.8e-01 5.7e-02 6.1e-03 7.5e-06
#> tanh 1.0 sizes     6.3e-01 4.9e-01 3.2e-01 2.3e-01 1.6e-01 1.0e-01
#> tanh 1.0 gradients 6.8e-01 5.4e-01 3.7e-01 2.7e-01 1.9e-01 1.2e-01
#> tanh 1.2 sizes     6.8e-01 5.7e-01 4.6e-01 4.2e-01 4.2e-01 4.2e-01
#> tanh 1.2 gradients 7.6e-01 6.7e-01 5.9e-01 6.0e-01 7.0e-01 1.1e+00
#> tanh √2  sizes     7.2e-01 6.3e-01 5.7e-01 5.6e-01 5.6e-01 5.6e-01
#> tanh √2  gradients 8.4e-01 8.0e-01 8.6e-01 1.1e+00 1.8e+00 8.1e+00
#> tanh 2.0 sizes     8.0e-01 7.5e-01 7.3e-01 7.3e-01 7.3e-01 7.3e-01
#> tanh 2.0 gradients 1.0e+00 1.1e+00 1.8e+00 3.8e+00 1.8e+01 1.9e+03
#> ReLU 0.5 sizes     3.5e-01 1.2e-01 5.5e-03 3.1e-05 9.3e-10 2.6e-23
#> ReLU 0.5 gradients 3.5e-01 1.2e-01 5.5e-03 3.1e-05 9.3e-10 2.6e-23
#> ReLU 0.8 sizes     5.7e-01 3.2e-01 5.8e-02 3.4e-03 1.1e-05 4.3e-13
#> ReLU 0.8 gradients 5.7e-01 3.2e-01 5.8e-02 3.4e-03 1.1e-05 4.3e-13
#> ReLU 1.0 sizes     7.1e-01 5.0e-01 1.8e-01 3.1e-02 9.8e-04 3.0e-08
#> ReLU 1.0 gradients 7.1e-01 5.0e-01 1.8e-01 3.1e-02 9.8e-04 3.0e-08
#> ReLU 1.2 sizes     8.5e-01 7.2e-01 4.4e-01 1.9e-01 3.7e-02 2.7e-04
#> ReLU 1.2 gradients 8.5e-01 7.2e-01 4.4e-01 1.9e-01 3.7e-02 2.7e-04
#> ReLU √2  sizes     1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> ReLU √2  gradients 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> ReLU 2.0 sizes     1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07
#> ReLU 2.0 gradients 1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07

# %% [markdown]
# A net of width 256 stays within 30% of these numbers:

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
# You apply an initialization function and get no error, but some layers keep their old weights.
# The function checks `type(module) == nn.Linear`, which is false for every subclass of `nn.Linear`.
# A lazy layer has a class of its own until its first batch.
# The class of the output layer of `nn.MultiheadAttention` is always a subclass:

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
# Only one of the three linear layers was filled: `1` and `2.out_proj` kept their own values.
# `in_proj_weight` belongs to the attention itself, not to a linear layer.
#
# Fix: check with `isinstance`, and call `apply` after the first batch.
# For the parameter of the attention, use a rule:

# %%
net.apply(init_42)
print([name for name, parameter in net.named_parameters() if (parameter == 42).all()])
#> ['0.weight', '1.weight', '2.out_proj.weight']
attention = {"in_proj_weight": nn.init.xavier_uniform_}
report = init_by_type(net, {nn.MultiheadAttention: attention})
print([name for name, function in report.items() if function])
#> ['2.in_proj_weight']

# %% [markdown]
# How to notice it next time: fill with a value that you recognize, such as the 42 above, or use `init_by_type`, which reports what it filled.

# %% [markdown]
# ### `Attempted to use an uninitialized parameter`
#
# You initialize a net that has a lazy layer, and the function raises an error.
# A check with `isinstance` finds the lazy layer, but before the first batch the layer has nothing that could be filled:

# %%
try:
    nn.LazyLinear(8).apply(init_42)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# Fix: do a dry run first.

# %%
from d2lblocks import apply_init

print(apply_init(nn.LazyLinear(1), torch.rand(1, 2), init=init_42).weight)
#> Parameter containing:
#> tensor([[42., 42.]], requires_grad=True)

# %% [markdown]
# How to notice it next time: before you initialize, check that `uninitialized_names(net)` is empty; Lazy initialization shows this function.

# %% [markdown]
# ### `Fan in and fan out can not be computed`
#
# You initialize all parameters in a loop.
# The function computes the scale from fan-in and fan-out, but a bias has one dimension and therefore neither of them:

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
# You fill the bias of a layer that you built without one.
# A layer built with `bias=False` still has the attribute `bias`, but its value is `None`:

# %%
try:
    nn.init.zeros_(nn.Linear(4, 8, bias=False).bias)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'NoneType' object has no attribute 'zero_'

# %% [markdown]
# Fix: check before you fill it.

# %%
layer = nn.Linear(4, 8, bias=False)
if layer.bias is not None:
    nn.init.zeros_(layer.bias)

# %% [markdown]
# ### `Unsupported nonlinearity gelu`
#
# You ask for the gain of an activation function that PyTorch does not know.
# Of the common activation functions, `calculate_gain` and `kaiming_*` know only sigmoid, tanh, ReLU, leaky ReLU and SELU:

# %%
try:
    nn.init.kaiming_normal_(torch.empty(8, 8), nonlinearity="gelu")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Unsupported nonlinearity gelu

# %% [markdown]
# Fix: for a shallow net, use the gain of ReLU.
# For a deep one, compute the gain yourself and draw with the standard deviation `gain / √fan_in`.

# %%
print(nn.init.kaiming_normal_(torch.empty(8, 8), nonlinearity="relu").shape)
#> torch.Size([8, 8])

# %% [markdown]
# ### The hidden units stay equal: constant weights
#
# Your net learns, but no better than a net whose hidden layer has a width of 1.
# A hidden layer and the layer after it were filled with a constant, so all hidden units have the same gradient, as shown in symmetry:

# %%
hidden, out = nn.Linear(4, 3), nn.Linear(3, 1)
pair = nn.Sequential(hidden, out)
nn.init.constant_(hidden.weight, 42)
nn.init.constant_(out.weight, 42)
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
# How to notice it next time: compare the rows of the weight's gradient, as above; they should differ.

# %% [markdown]
# ### All layers start with the same weights: a seed set too often
#
# You set the seed inside the function that fills a layer.
# Then the generator starts over for each layer, and layers of the same shape get the same values:

# %%
def init_seeded(module):
    torch.manual_seed(0)
    init_normal(module)


net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).apply(init_seeded)
print(torch.equal(net[0].weight, net[1].weight))
#> True

# %% [markdown]
# `copy.deepcopy` of a single layer has the same effect.
#
# Fix: set the seed once, before you build or fill the net.

# %%
torch.manual_seed(0)
net.apply(init_normal)
print(torch.equal(net[0].weight, net[1].weight))
#> False

# %% [markdown]
# How to notice it next time: compare two layers of the same shape with `torch.equal`.

# %% [markdown]
# ### The weights are ten times too large or too small
#
# You took a number such as 0.01 from a paper or from other code.
# It was meant as a variance and you passed it as a standard deviation, or the other way around.
#
# Fix: pass the standard deviation, as shown in Standard deviation, not variance.
#
# How to notice it next time: measure the standard deviation of a layer that you have filled.

# %%
print(f"{nn.Linear(400, 100).apply(init_normal).weight.std().item():.2f}")
#> 0.01

# %% [markdown]
# ### The row of `padding_idx` is not zero
#
# You initialize an embedding, and from then on padding changes the results of your net.
# `nn.Embedding` sets the row of `padding_idx` to 0 when you build it, but every function of `torch.nn.init` overwrites the whole weight.
# Training does not repair the row, because it gets no gradient:

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
# How to notice it next time: pass the padding index to the embedding, as above, and check that the result is 0.

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# Look up the other initialization functions.
# For each of `orthogonal_`, `trunc_normal_`, `dirac_` and `sparse_`, show one property that you can check.

# %% [markdown]
# #### Solution

# %% [markdown]
# - An orthogonal matrix does not change the length of a vector.
# - A truncated normal distribution has no values outside its limits.
# - A convolution with a Dirac kernel returns its input.
# - A sparse weight has as many zeros in every column as you asked for.

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
# Compute the gain, and show that it keeps the size of the activations through 20 layers.

# %% [markdown]
# #### Solution

# %% [markdown]
# A layer without an activation function keeps the mean square of its input if its weights have the variance 1 / n.
# The activation function f then multiplies the mean square by E[f(z)²], the mean of f(z)² for z drawn from N(0, 1).
# The gain has to undo that, so it is 1 / √E[f(z)²].

# %%
def gain(activation):
    torch.manual_seed(0)
    z = torch.randn(1_000_000)
    return activation(z).square().mean().rsqrt().item()


print(f"{gain(torch.relu):.2f} {nn.init.calculate_gain('relu'):.2f}")
#> 1.42 1.41
print(f"{gain(nn.functional.gelu):.2f}")
#> 1.54

# %% [markdown]
# For ReLU, the measured gain is close to the exact one, so the method works.
# Now send values through 20 layers with three different gains:

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
# With its own gain, the size of the activations grows to three times its value over 20 layers.
# With the gain of ReLU it falls to 7 %, and without a gain it vanishes.
# Even its own gain does not keep the size exactly.
# The reason is that GELU(2x) is not 2 · GELU(x), so the right gain depends on the size of the values, and ours is right for size 1.

# %% [markdown]
# ### Exercise 3
#
# A residual block computes `X + f(X)`.
# Initialize the last layer of f such that a net of ten blocks starts as the identity, and show that the net still learns.

# %% [markdown]
# #### Solution

# %% [markdown]
# If the last layer of f has a weight and a bias of 0, its output is 0 and the block passes X on unchanged.
# The gradient of that layer is not 0, because it depends on the input of the layer and on the gradient from the blocks above, which the sum passes on unchanged.
# After the first step that layer is no longer 0, and then the other layer of f gets a gradient as well.

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
# If both layers of f started at 0, neither weight would get a gradient.

# %% [markdown]
# ### Exercise 4
#
# Initialize a transformer in the manner of [GPT-2](https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf):
# Draw the weights of all linear layers from N(0, 0.02²) and set their biases to 0.
# For the layers at the end of a residual branch, divide the standard deviation by √N, where N is the number of such branches, two per block.
# Do this for blocks of `nn.TransformerEncoderLayer`, and make sure that no parameter was missed.

# %% [markdown]
# #### Solution

# %% [markdown]
# The residual branches end in `self_attn.out_proj` and in `linear2`.
# Only the names tell you which layers these are, so initialize by type first and by name afterwards.
# The weights for query, key and value are parameters of `nn.MultiheadAttention` itself and need a rule of their own.
# The normalization layers keep their default values.

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
# A colleague adds a layer at the front of the net, and all your seeded results change.
# Write an initialization in which the values of a parameter depend only on the seed and on the name of the parameter.

# %% [markdown]
# #### Solution

# %% [markdown]
# Give each parameter its own generator, with a seed made from your seed and the name.
# `zlib.crc32` returns the same number in every process; Python's `hash` of a string does not.

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
# **The price.** Scales and other vectors that should not start at 0, such as those of normalization layers, need a rule of their own.

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
# | a scale for tanh or attention | `nn.init.xavier_uniform_(weight)` |
# | the right fan for a weight of shape `(in, out)` | `mode="fan_out"` |
# | to set your own values | `with torch.no_grad(): weight.copy_(...)` |
# | biases, or the end of a residual branch, at 0 | `nn.init.zeros_` |
# | hidden neurons that differ | random weights, not a constant |
# | the same values again | `torch.manual_seed`, or `generator=` |
# | to fill a lazy net | a dry run first: `apply_init(net, X, init=f)` |
#
# The functions of this page are in `d2lblocks.init`.
#
# Next: Lazy initialization, to leave input sizes to the first batch; or File I/O, to save what a net has learned.
