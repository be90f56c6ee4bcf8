# %% [markdown]
# # Lazy initialization
#
# This is the page "Lazy initialization" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# To put a linear layer after a stack of convolutions, you have to compute its input size by hand from the size of the images and from the kernel sizes, strides, padding and pooling.
# A lazy layer reads this size from the first batch instead.
# Until that batch, some operations on the net fail, and a few silently give wrong answers.
#
# - **What you will be able to do:** build a net without computing input sizes; know what works before the first batch; get all shapes without a training step; build and check a large net without using memory for it.
# - **What you need:** Initialization up to the line "The first reading ends here"; and the package: run `pip install .` in a clone of this site's repository.
# - **How long it takes:** about 20 minutes up to Seeds and partly lazy nets, and this part is enough to use lazy layers; about 60 minutes with the rest and the exercises.
#
# The examples on this page use this batch of two examples with 20 numbers each:

# %%
import torch
from torch import nn

X = torch.rand(2, 20)

# %% [markdown]
# ## `nn.LazyLinear`: the input size comes from the first batch
#
# A <dfn>lazy layer</dfn> is a layer that you build without its input size; it reads the size from the first batch.
# `nn.LazyLinear(256)` needs only the number of outputs:

# %%
net = nn.Sequential(nn.LazyLinear(256), nn.ReLU(), nn.LazyLinear(10))
print(net)
#> Sequential(
#>   (0): LazyLinear(in_features=0, out_features=256, bias=True)
#>   (1): ReLU()
#>   (2): LazyLinear(in_features=0, out_features=10, bias=True)
#> )
print(net[0].weight)
#> <UninitializedParameter>

# %% [markdown]
# The printed `in_features=0` means that the size is not known yet.
# An <dfn>uninitialized parameter</dfn> is the placeholder for a parameter of a lazy layer before the first batch: it has a dtype and a device, but no shape and no values.
#
# The first batch sets the sizes:

# %%
Y = net(X)
print(net)
#> Sequential(
#>   (0): Linear(in_features=20, out_features=256, bias=True)
#>   (1): ReLU()
#>   (2): Linear(in_features=256, out_features=10, bias=True)
#> )
print(net[0].weight.shape)
#> torch.Size([256, 20])

# %% [markdown]
# Both layers are now plain `nn.Linear` layers.
# This also means that a lazy layer adapts to its input only once.
# After the first batch, the last dimension of each input must have the same size as in that batch; the number of examples may vary:

# %%
try:
    net(torch.rand(2, 30))
except RuntimeError as error:
    print(type(error).__name__, net[0].in_features)
#> RuntimeError 20

# %% [markdown]
# The layer expects 20 numbers per example and got 30, so it raises an error, as any other `nn.Linear` does.
#
# How does it work?
# To <dfn>materialize</dfn> an uninitialized parameter means to give it a shape and memory.
# A lazy layer does this in a hook, a function that it registers on itself and that PyTorch calls before `forward`.
# On the first call of the layer, the hook does the following:
#
# 1. It reads the size from the input.
# 2. It materializes the parameters.
# 3. It calls `reset_parameters`, which fills the parameters with random numbers (draws their values).
# 4. It removes itself and changes the class of the layer from `nn.LazyLinear` to `nn.Linear`.
#
# (A picture: Three stages from top to bottom. Before: a LazyLinear(256) whose weight and bias have no shape and no values. The first batch, X of shape (2, 20): a hook of the layer reads the size, 20, allocates the memory, draws the values and removes itself. After: a Linear(20, 256) whose weight and bias are the same objects as before, now of shape (256, 20) and (256,).)
#
# The parameters stay the same objects.
# They get shapes and values, and their class changes from `UninitializedParameter` to `Parameter`:

# %%
layer = nn.LazyLinear(256)
weight = layer.weight
layer(X)
print(layer.weight is weight, type(weight) is nn.Parameter, type(layer) is nn.Linear)
#> True True True

# %% [markdown]
# ## What works before the first batch
#
# You may want to use a lazy net before its first batch, for example to count its parameters or to build an optimizer.
# The next snippet tries nine operations, each on a new layer:

# %%
import copy


attempts = {
    "names": lambda layer: list(layer.state_dict()),
    "another dtype": lambda layer: layer.double(),
    "an optimizer": lambda layer: torch.optim.SGD(layer.parameters()),
    "a copy": copy.deepcopy,
    "loading": lambda layer: layer.load_state_dict(nn.Linear(20, 3).state_dict()),
    "the shape": lambda layer: layer.weight.shape,
    "counting": lambda layer: layer.weight.numel(),
    "initializing": lambda layer: nn.init.zeros_(layer.weight),
    "freezing": lambda layer: layer.requires_grad_(False),
}
for what, action in attempts.items():
    try:
        action(nn.LazyLinear(3))
        print(f"{what:16} works")
    except Exception as error:
        print(f"{what:16} {type(error).__name__}")
#> names            works
#> another dtype    works
#> an optimizer     works
#> a copy           works
#> loading          works
#> the shape        RuntimeError
#> counting         ValueError
#> initializing     ValueError
#> freezing         ValueError

# %% [markdown]
# The first four operations work because they need only names, dtypes or objects.
# Loading works because the state dict provides the shapes and the values.
# The next three operations fail because they need a shape or values.
# Most other operations that need a shape or values fail too.
#
# Freezing is an exception: `layer.requires_grad_(False)` fails although it needs neither a shape nor values.
# PyTorch rejects the method for uninitialized parameters, but setting `parameter.requires_grad = False` on each of them works.
#
# An optimizer built before the first batch does train the parameters once they have values.
#
# **Watch out.** `.shape` raises an error, but `.size()` and `.ndim` silently return wrong answers.
# With the batch `X`, the weight of this layer will get the shape `(3, 20)`, but until then:

# %%
print(nn.LazyLinear(3).weight.size(), nn.LazyLinear(3).weight.ndim)
#> torch.Size([0]) 1

# %% [markdown]
# To list what is still uninitialized in a net, call `uninitialized_names`.
# It also finds buffers, which are tensors that belong to a module but are not trained:

# %%
from d2lblocks import uninitialized_names

net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(10))
print(uninitialized_names(net))
#> ['2.weight', '2.bias']

# %% [markdown]
# The table from `parameter_table(net)` shows `?` for a shape that is not known yet.

# %% [markdown]
# ## The dry run
#
# Until the parameters of a net have shapes, you cannot count or initialize them, and `net.requires_grad_(False)` fails.
# The remedy is to send one batch through the net just to set the shapes.
# A <dfn>dry run</dfn> is a forward pass that gives lazy layers their shapes; its result is thrown away.
#
# The batch needs the right shape and dtype; in evaluation mode, one example is enough.
# The values do not matter, with one exception: the indices passed to an `nn.Embedding` must be valid row indices of its table.
#
# A plain forward pass in training mode changes more than shapes.
# A batch normalization layer (batch norm), for example, updates its running mean and running variance:

# %%
net = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
net(X)
print(net[1].num_batches_tracked, bool((net[1].running_mean == 0).all()))
#> tensor(1) False

# %% [markdown]
# The batch norm has counted one batch, and its running mean is no longer 0.
#
# Dropout draws random numbers before the next lazy layer draws its weights, so a dry run in training mode leads to different weights.
# The next snippet builds a net three times with the same seed, once with all sizes given and twice lazy, with a dry run in training mode and in evaluation mode:

# %%
def lazy():
    return nn.Sequential(nn.LazyLinear(8), nn.Dropout(), nn.LazyLinear(3))


torch.manual_seed(0)
with_sizes = nn.Sequential(nn.Linear(20, 8), nn.Dropout(), nn.Linear(8, 3))

torch.manual_seed(0)
in_training = lazy()
in_training(X)

torch.manual_seed(0)
in_evaluation = lazy().eval()
with torch.no_grad():
    in_evaluation(X)
in_evaluation.train()

print(torch.equal(in_training[2].weight, with_sizes[2].weight))
#> False
print(torch.equal(in_evaluation[2].weight, with_sizes[2].weight))
#> True

# %% [markdown]
# After the dry run in training mode, the weights of the last layer differ from those in the net with all sizes given.
# After the dry run in evaluation mode, they are the same.
#
# So if you do a dry run by hand, switch to evaluation mode, turn gradients off and restore training mode afterward.
# (`net.train()` puts every module into training mode, even one that you keep in evaluation mode.)
# Turn gradients off with `torch.no_grad()`, not with `torch.inference_mode()`: a net whose parameters were created in inference mode often cannot be trained.

# %% [markdown]
# ## `apply_init`
#
# A dry run by hand is easy to get wrong.
# `apply_init` does the dry run for you and then, if you pass a function `init`, calls `net.apply(init)`.
# It changes the net in place and returns it:

# %%
from d2lblocks import apply_init, init_xavier

net = apply_init(lazy(), X, init=init_xavier)
print(net)
#> Sequential(
#>   (0): Linear(in_features=20, out_features=8, bias=True)
#>   (1): Dropout(p=0.5, inplace=False)
#>   (2): Linear(in_features=8, out_features=3, bias=True)
#> )

# %% [markdown]
# After `apply_init`:
#
# - Parameters and buffers that were uninitialized have shapes and values.
# - The next random numbers are the same as if you had built the net with all sizes given and applied `init` (if you pass it).
#   Random draws during the dry run, such as those of dropout, do not affect this.
#
# With `init`, parameters that already had values also get new ones if `init` sets them.
# Without `init`, everything else is unchanged: the input, the training mode of every module, the gradients and all values that were there before, such as running statistics.
# The next snippet checks several of these guarantees for a call without `init`:

# %%
net = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.LazyLinear(3))
apply_init(net, X)
print(net.training, net[1].num_batches_tracked, net[0].weight.grad)
#> True tensor(0) None

torch.manual_seed(0)
sized = nn.Sequential(nn.Linear(20, 8), nn.Dropout(), nn.Linear(8, 3))
after_sized = torch.rand(1)
torch.manual_seed(0)
dry = apply_init(lazy(), X)
print(torch.equal(dry[2].weight, sized[2].weight))
#> True
print(torch.equal(torch.rand(1), after_sized))
#> True

# %% [markdown]
# The net is still in training mode, the batch norm has counted no batch, and there is no gradient.
# With the same seed, the lazy net has the same weights as the net with all sizes given, and the next random number is also the same.
#
# If a layer does not fit its input, `apply_init` raises an error that names the layer.
# In this net, the second convolution expects 9 channels but gets 8:

# %%
net = nn.Sequential(
    nn.LazyConv2d(8, kernel_size=3), nn.ReLU(), nn.Conv2d(9, 4, kernel_size=3)
)
try:
    apply_init(net, torch.rand(1, 3, 32, 32))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: the dry run failed in '2', Conv2d(9, 4, kernel_size=(3, 3), stride=(1, 1)): it got shape (1, 8, 30, 30), and expects shape (N, 9, H, W): RuntimeError: Given groups=1, weight of size [4, 9, 3, 3], expected input[1, 8, 30, 30] to have 9 channels, but got 8 channels instead

# %% [markdown]
# In the message, N is the number of examples, H the height and W the width.
# After the error, the net and the random number generator are as they were before:

# %%
print(uninitialized_names(net))
#> ['0.weight', '0.bias']

# %% [markdown]
# After a failed dry run by hand, the layers before the failure are no longer lazy.
#
# Some more details:
#
# - It is also an error if the forward pass does not reach a lazy layer, because that layer would still be lazy.
#   `diagnose` reports this as `still-lazy`.
# - For a net without lazy layers, the dry run only checks whether the input fits.
# - If your net takes its inputs by name, pass them by name, as in `apply_init(net, input_ids=ids)`.
#   All arguments except the net and `init` go to `forward`.
# - `apply_init` also works for other libraries' lazy layers, such as those of PyTorch Geometric, if they get their shapes in a hook before `forward`.
#
# **Cost.** While it runs, `apply_init` needs memory for a copy of every tensor that the net holds.

# %% [markdown]
# ## Lazy convolutions and normalization layers
#
# Convolutions and normalization layers also have lazy forms:
#
# | Lazy class | Reads from the first batch | Becomes |
# |---|---|---|
# | `nn.LazyLinear(out_features)` | the size of the last dimension | `nn.Linear` |
# | `nn.LazyConv2d(out_channels, kernel_size)` | the number of channels | `nn.Conv2d` |
# | `nn.LazyConvTranspose2d(out_channels, kernel_size)` | the number of channels | `nn.ConvTranspose2d` |
# | `nn.LazyBatchNorm2d()` | the number of channels | `nn.BatchNorm2d` |
# | `nn.LazyInstanceNorm2d()` | the number of channels | `nn.InstanceNorm2d` |
#
# All of these except `nn.LazyLinear` also have 1d and 3d forms.
# By default, a lazy instance norm has a weight, a bias and running statistics; a plain `nn.InstanceNorm2d` has none of these.
# `nn.LayerNorm`, `nn.Embedding`, recurrent layers and attention layers have no lazy form.
#
# Lazy layers help most after a stack of convolutions, where the number of values depends on the image size and on every earlier layer:

# %%
def small_convnet():
    return nn.Sequential(
        nn.LazyConv2d(16, kernel_size=5, stride=2),
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(10),
    )


net = small_convnet()
print(uninitialized_names(net))
#> ['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var', '5.weight', '5.bias']
images = torch.rand(1, 3, 32, 32)
net = apply_init(net, images)
print(net[0].in_channels, net[1].num_features)
#> 3 16
print(net[5])
#> Linear(in_features=784, out_features=10, bias=True)

# %% [markdown]
# The dry run found 3 channels for the convolution, 16 for the batch norm and 784 inputs for the linear layer.
# By hand: the convolution turns 32 × 32 pixels into 14 × 14, and the pooling turns these into 7 × 7; 16 channels × 7 × 7 = 784.
#
# After the dry run, the convolution accepts images of other sizes if they have 3 channels.
# The linear layer does not: it now needs exactly 784 values per image.
#
# **Limitation.** You can no longer read the sizes in the code.
# PyTorch calls lazy modules [experimental](https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html), so their interface may change.
# Before the first batch, some tools reject lazy modules, for example `DistributedDataParallel` (for training in several processes) and `weight_norm` (for splitting a weight into length and direction).
# Once your design is settled, print the net after the dry run and write the sizes into your code.
#
# **The first reading ends here.** The rest is for you if you need repeatable weights, have an error to fix, save or copy lazy nets, or build nets that are too large for memory.

# %% [markdown]
# ## Seeds and partly lazy nets
#
# With the same seed, a chain of lazy layers gets the same values as the same chain with all sizes given, as shown above.
# The layers draw their values in the same order, only later.
# This holds as long as nothing else draws random numbers between the seed and the first batch, so create `X` before you set the seed.
#
# A partly lazy net gets different values if a lazy layer comes before a layer whose size is given.
# Layers whose sizes are given draw their values when they are built, before any lazy layer does:

# %%
torch.manual_seed(0)
half_lazy = nn.Sequential(nn.LazyLinear(8), nn.Linear(8, 3))
half_lazy(X)
torch.manual_seed(0)
sized = nn.Sequential(nn.Linear(20, 8), nn.Linear(8, 3))
print(torch.equal(half_lazy[0].weight, sized[0].weight))
#> False
print(torch.equal(half_lazy[1].weight, sized[1].weight))
#> False

# %% [markdown]
# There is no error or warning: the values are different, but equally good.
# Exercise 7 makes the weights of two such nets equal.

# %% [markdown]
# ## Saving and loading
#
# You save a lazy net before its first batch, and later you cannot load the file.
# The state dict of such a net holds parameters without values; `torch.save` writes it, but `torch.load` rejects the file:

# %%
import pickle

torch.save(nn.LazyLinear(3).state_dict(), "lazy.pt")
try:
    torch.load("lazy.pt")
except pickle.UnpicklingError as error:
    print(str(error).partition(".")[0])
#> Weights only load failed

# %% [markdown]
# So save a lazy net only after its first batch.
#
# You can load a state dict with values into a lazy layer.
# The layer then gets its shapes from the state dict:

# %%
sized, waiting = nn.Linear(20, 3), nn.LazyLinear(3)
waiting.load_state_dict(sized.state_dict())
print(waiting.weight.shape, type(waiting).__name__, uninitialized_names(waiting))
#> torch.Size([3, 20]) LazyLinear []
print(torch.equal(waiting(X), sized(X)), type(waiting).__name__)
#> True Linear

# %% [markdown]
# The weight has its shape right after loading.
# The class is still `LazyLinear` and changes on the first call.

# %% [markdown]
# ## Optimizers and copies before the first batch
#
# You may have read that you cannot give a lazy net to an optimizer, copy it or load values into it before its first batch.
# All three work, with a few exceptions; loading is shown above.
#
# **You can build the optimizer before the dry run.**
# An optimizer holds the parameters as objects, and the first batch fills the same objects in place:

# %%
net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
net(X).sum().backward()
before = net[0].weight.detach().clone()
optimizer.step()
print(torch.equal(net[0].weight, before))
#> False

# %% [markdown]
# The step changed the weight, so the optimizer does train it.
#
# There are two exceptions:
#
# - An optimizer that needs the shapes when you build it rejects uninitialized parameters.
#   Of the four optimizers in the snippet below, only `Adagrad` does.
# - If you choose parameters by `p.ndim` or `p.size()`, the choice is silently wrong for uninitialized parameters.
#   For example, many programs apply weight decay (a pull toward 0) only if `p.ndim >= 2`.
#   Every uninitialized parameter is then left out because its `ndim` is 1.

# %%
refused = []
for kind in (
    torch.optim.SGD,
    torch.optim.AdamW,
    torch.optim.RMSprop,
    torch.optim.Adagrad,
):
    try:
        kind(nn.LazyLinear(8).parameters(), lr=0.1)
    except ValueError:
        refused.append(kind.__name__)
print(refused)
#> ['Adagrad']

# %% [markdown]
# So build the optimizer after the dry run if you can.
#
# **You can copy a lazy net.**
# The copy is lazy too and gets its own shapes.
# The exception is a net with uninitialized running statistics, such as those of a lazy batch norm:

# %%
twin = copy.deepcopy(nn.LazyLinear(3))
print(twin(X).shape)
#> torch.Size([2, 3])
try:
    copy.deepcopy(nn.LazyBatchNorm1d())
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# ## Meta device and `skip_init`
#
# Sometimes you know all sizes but do not need memory or values yet: you only want to count the parameters, or you are about to load values from a file.
#
# The <dfn>meta device</dfn> is a device on which tensors have a shape and a dtype, but no memory and no values.
# You can count the parameters of a net on the meta device, check the net with a meta input and give it values later:

# %%
with torch.device("meta"):  # every tensor made here is a meta tensor
    net = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10))
    print(net(torch.empty(2, 20)).shape)
#> torch.Size([2, 10])
net.to_empty(device="cpu")  # memory, with whatever was in it
for module in net.modules():
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
print(net(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# [`torch.nn.utils.skip_init`](https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.skip_init.html) builds a single module: it allocates memory but draws no values.
# Use it for weights that you are about to load:

# %%
before = torch.get_rng_state()
layer = nn.utils.skip_init(nn.Linear, 20, 3)
print(layer.weight.shape, torch.equal(torch.get_rng_state(), before))
#> torch.Size([3, 20]) True
# The state dict of the nn.Linear(20, 3) in "Saving and loading":
layer.load_state_dict(sized.state_dict())
print(torch.equal(layer(X), sized(X)))
#> True

# %% [markdown]
# The state of the random number generator did not change, so no values were drawn.
#
# A lazy layer, the meta device and `skip_init` give a tensor its shape, its memory and its values at different times:
#
# | Way | Shape | Memory | Values |
# |---|---|---|---|
# | lazy layer | first batch | first batch | first batch |
# | meta device | when built | `to_empty`, or `load_state_dict(..., assign=True)` | when you fill the tensor or load a state dict |
# | `skip_init` | when built | when built | when you fill the tensor or load a state dict |
#
# **Watch out.** Until you fill it, a tensor from `to_empty` or `skip_init` contains leftover data, which can look like ordinary numbers.
# Not every module has `reset_parameters`, so a loop such as the one above can miss some tensors.
# To find them, call `torch.use_deterministic_algorithms(True)` before `to_empty`: PyTorch then fills new floating-point memory with `nan`, and the tensors that you missed still hold `nan`.

# %%
torch.use_deterministic_algorithms(True)
attention = nn.MultiheadAttention(4, 2, device="meta").to_empty(device="cpu")
for module in attention.modules():
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
torch.use_deterministic_algorithms(False)
print([name for name, value in attention.named_parameters() if value.isnan().any()])
#> ['in_proj_weight', 'in_proj_bias']

# %% [markdown]
# `nn.MultiheadAttention` has no `reset_parameters`, so the loop filled only the layer inside it, not the two parameters of the attention module itself.

# %% [markdown]
# ### From the meta device to a working net
#
# To avoid drawing values that a file will replace, build a large net on the meta device and load its weights.
# By default, `load_state_dict` copies values into the memory of the parameters, but a meta net has no memory.
# Pass `assign=True`: the net then takes the tensors of the state dict as its parameters.
#
# Two problems remain: tied weights are no longer tied, and buffers with `persistent=False`, which the state dict does not contain, have no values.
# This net has tensors of both kinds:

# %%
class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
        self.scores.weight = self.table.weight
        self.scale = nn.Buffer(torch.full((4,), 0.5), persistent=False)

    def forward(self, words):
        return self.scores(self.table(words) * self.scale)


trained, words = Tied(), torch.tensor([1, 2])
torch.save(trained.state_dict(), "tied.pt")

with torch.device("meta"):
    net = Tied()
net.load_state_dict(torch.load("tied.pt"), assign=True)
print(net.scores.weight is net.table.weight)
#> False
print(
    [
        name
        for name, tensor in (*net.named_parameters(), *net.named_buffers())
        if tensor.is_meta
    ]
)
#> ['scale']

# %% [markdown]
# After loading, the two weights are separate parameters that share memory; each gets its own gradient and optimizer state, so an optimizer updates the same values twice in each step.
# The buffer `scale` is still on the meta device.
#
# Tie the weights again and fill whatever is still on the meta device.
# Build the optimizer after that, because the parameters are new objects:

# %%
net.scores.weight = net.table.weight
net.scale = torch.full((4,), 0.5)  # still a buffer, because the name is registered
print(torch.equal(net(words), trained(words)))
#> True

# %% [markdown]
# Alternatively, use `to_empty`.
# It gives each parameter and buffer its own memory, so it unties weights as well.
# Tie them again before you load.
# Then `load_state_dict` copies as usual, and so does `load_parameters`, which reads files written by `save_parameters`.
# You still have to fill the buffer:

# %%
from d2lblocks import load_parameters, save_parameters

save_parameters(trained, "tied.safetensors")
with torch.device("meta"):
    net = Tied()
net.to_empty(device="cpu")
print(net.scores.weight is net.table.weight)
#> False
net.scores.weight = net.table.weight
load_parameters(net, "tied.safetensors")
net.scale.fill_(0.5)
print(torch.equal(net(words), trained(words)))
#> True

# %% [markdown]
# **Watch out.** With `assign=True`, the net shares memory with the state dict, and two nets that you fill from the same state dict share memory with each other.
# PyTorch (checked with 2.13) also marks the state dict: if you load it again without `assign=True`, PyTorch still assigns its tensors.

# %%
state = torch.load("tied.pt")
first, second = Tied(), Tied()
first.load_state_dict(state, assign=True)
second.load_state_dict(state)
print(first.table.weight.data_ptr() == second.table.weight.data_ptr())
#> True

# %% [markdown]
# The two nets share one table.
# To avoid this, read the file again for each net.

# %% [markdown]
# ## In the library
#
# This section is for you if you want to know how `apply_init` works.
# The source of `d2lblocks.lazy` has three parts.
#
# The first part is `uninitialized_names`:
#
# Source of <code>uninitialized_names</code>, without docstrings:
#
# *The library's own source, from `d2lblocks/lazy.py`:*

# %%
from torch.nn.parameter import is_lazy

from d2lblocks._arguments import check_net
from d2lblocks._tensors import named_modules, named_tensors


def uninitialized_names(net: nn.Module) -> list[str]:
    check_net(net)
    return [name for name, tensor in named_tensors(net) if is_lazy(tensor)]

# %% [markdown]
# The second part is `apply_init`.
# It takes a snapshot of the net, does the dry run and then restores the snapshot, whether or not the dry run failed.
# If the dry run succeeded, `apply_init` then initializes each lazy module by calling the module's hook again with the input from the dry run.
# If that fails, it restores the snapshot again.
#
# Source of <code>apply_init</code>, without docstrings:
#
# *The library's own source, from `d2lblocks/lazy.py`:*

# %%
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, TypeVar

from torch import Tensor
from torch.utils._pytree import tree_map_only

from d2lblocks._snapshot import Snapshot

_Net = TypeVar("_Net", bound=nn.Module)


def apply_init(
    net: _Net, /, *inputs: Any, init: Callable[[nn.Module], None] | None = None, **kwargs: Any
) -> _Net:
    check_net(net)
    _refuse_scripted(net)
    before, gradients = Snapshot(net), torch.is_grad_enabled()
    # Values made in inference mode can be written in no other, and trained in none: use it for those alone.
    inference = any(parameter.data.is_inference() for parameter in net.parameters())
    with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
        try:
            calls = _dry_run(net, inputs, kwargs)
            unreached = uninitialized_names(net)
        finally:
            before.restore()
        try:
            with torch.no_grad():
                for hook, arguments in calls:
                    hook(*arguments)
            if missed := uninitialized_names(net):
                raise RuntimeError(_missed(net, unreached, missed))
            if init is not None:
                net.apply(init)
        except BaseException:
            before.restore()
            raise
    return net

# %% [markdown]
# The third part is the dry run.
# It adds two hooks to every module to keep track of the current call for the error message.
# It also wraps the modules' own hooks and records those that give a lazy tensor its shape.
#
# Source of the dry run, without docstrings:
#
# *The library's own source, from `d2lblocks/lazy.py`:*

# %%
def _refuse_scripted(net: nn.Module) -> None:
    for path, module in named_modules(net):
        if isinstance(module, torch.jit.ScriptModule):
            which = repr(path) if path else "the net"
            raise RuntimeError(
                f"apply_init is not supported on ScriptModules, and {which} is one: "
                "call it before torch.jit.script or torch.jit.trace"
            )


_Call = tuple[str, nn.Module, tuple[Any, ...]]  # the path of a module, itself, and what it was called with
_HookCall = tuple[Callable[..., Any], tuple[Any, ...]]  # a hook, and its arguments


def _dry_run(net: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> list[_HookCall]:
    initializing: list[_HookCall] = []
    inside: list[_Call] = []  # the calls that have not returned
    failed: list[tuple[BaseException, _Call]] = []

    def enter(name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        inside.append((name, module, (*args, *kwargs.values())))

    def leave(*_: Any) -> None:
        call, error = inside.pop(), sys.exception()
        if error is not None:
            failed.append((error, call))

    def follow(hook: Callable[..., Any], initializes: bool, module: nn.Module, *arguments: Any) -> Any:
        waiting, known = len(uninitialized_names(module)), len(initializing)
        result = hook(module, *arguments)
        if initializes or len(uninitialized_names(module)) < waiting:
            # Hooks of other modules that it has called are called by it the next time as well.
            initializing[known:] = [(hook, (module, *arguments))]
        return result

    args, kwargs = tree_map_only(
        Tensor, lambda t: t.detach().clone().requires_grad_(t.requires_grad), (inputs, kwargs)
    )
    for name, module in net.named_modules():
        module.training = False  # not eval(), in which a module may do more than this
        # That of a lazy module of PyTorch's also changes the class, if the tensors were loaded.
        own = getattr(vars(module).get("_initialize_hook"), "id", None)
        hooks = module._forward_pre_hooks
        hooks.update({key: partial(follow, hook, key == own) for key, hook in hooks.items()})
        module.register_forward_pre_hook(partial(enter, name), prepend=True, with_kwargs=True)
        module.register_forward_hook(leave, always_call=True)
    # A compiled net would initialize its layers by other hooks than these.
    compiles = "torch._dynamo" in sys.modules
    with torch.no_grad(), torch.compiler.set_stance("force_eager") if compiles else nullcontext():
        try:
            net(*args, **kwargs)
        except Exception as error:
            whole = "", net, (*args, *kwargs.values())
            call = next((call for known, call in failed if known is error), whole)
            raise RuntimeError(_failure(*call, error)) from error
    return initializing


def _missed(net: nn.Module, unreached: list[str], missed: list[str]) -> str:
    names, kind = ", ".join(map(repr, unreached or missed)), type(net).__name__
    if unreached:
        return f"the dry run of {kind} did not reach {names}: call their layers by themselves first"
    return (
        f"the forward pass of {kind} initializes {names} other than by a forward pre-hook, "
        "which cannot be repeated after the dry run: call the net once under torch.no_grad() instead"
    )


def _failure(name: str, module: nn.Module, given: tuple[Any, ...], error: Exception) -> str:
    layer = type(module).__name__ if list(module.children()) else repr(module)
    came = [f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"type {type(x).__name__}" for x in given]
    expected = _expected(module)
    return (
        f"the dry run failed in {f'{name!r}, ' if name else ''}{layer}: "
        f"it got {' and '.join(came) or 'nothing'}{f', and expects shape {expected}' if expected else ''}: "
        f"{type(error).__name__}: {error}"
    )


def _expected(module: nn.Module) -> str:
    if any(map(is_lazy, (*module.parameters(recurse=False), *module.buffers(recurse=False)))):
        return ""
    match module:
        case nn.Linear(weight=weight):
            return f"(*, {weight.shape[1]})"
        case nn.modules.conv._ConvNd(weight=weight, groups=groups, kernel_size=kernel):
            channels = weight.shape[0] if module.transposed else weight.shape[1] * groups
            return f"(N, {channels}, {', '.join('DHW'[-len(kernel) :] if len(kernel) > 1 else 'L')})"
        case nn.modules.batchnorm._NormBase(weight=weight, running_mean=mean, num_features=features):
            sizes = [len(tensor) for tensor in (weight, mean) if tensor is not None] or [features]
            return f"(N, {sizes[0]}, ...)" if sizes[0] else ""
        case nn.LayerNorm(normalized_shape=shape):
            return f"(*, {', '.join(map(str, shape))})"
    return ""

# %% [markdown]
# A net from `apply_init` has the same parameters as `in_evaluation`, the net from the dry run by hand:

# %%
torch.manual_seed(0)
net = apply_init(lazy(), X)
pairs = zip(net.parameters(), in_evaluation.parameters())
print(all(torch.equal(mine, theirs) for mine, theirs in pairs))
#> True

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### `Can't access the shape of an uninitialized parameter`
#
# You ask a lazy layer for the shape of a parameter before its first batch:

# %%
try:
    nn.LazyLinear(3).weight.shape
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before accessing their attributes.

# %% [markdown]
# If you ask for something else, such as the number of values, you usually get a `ValueError` that names the function you called:

# %%
try:
    sum(parameter.numel() for parameter in nn.LazyLinear(3).parameters())
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Attempted to use an uninitialized parameter in <method 'numel' of 'torch._C.TensorBase' objects>. This error happens when you are using a `LazyModule` or explicitly manipulating `torch.nn.parameter.UninitializedParameter` objects. When using LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch functions

# %% [markdown]
# Fix: do a dry run first.

# %%
print(
    sum(
        parameter.numel() for parameter in apply_init(nn.LazyLinear(3), X).parameters()
    )
)
#> 63

# %% [markdown]
# To notice it next time: before you use shapes, check that `uninitialized_names(net)` is empty.

# %% [markdown]
# ### `apply` skipped the lazy layers
#
# You initialize a lazy net with `apply` and get no error, but after the first batch, the lazy layers have their default values.
# The function that you passed checks `type(module) is nn.Linear`, which is false for an `nn.LazyLinear`:

# %%
def zero_exactly_linear(module):
    if type(module) is nn.Linear:
        nn.init.zeros_(module.weight)


net = nn.Sequential(nn.LazyLinear(3)).apply(zero_exactly_linear)
net(X)
print(bool((net[0].weight == 0).all()))
#> False

# %% [markdown]
# Checking `type(module) == nn.LazyLinear` after the first batch does not work either, because the layer is an `nn.Linear` by then.
#
# Fix: check with `isinstance`, which is true for the lazy layer too, and call `apply` after the first batch.
# Before the first batch, filling the layer raises `Attempted to use an uninitialized parameter`.

# %%
def zero_linear(module):
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.weight)


print(bool((apply_init(nn.LazyLinear(3), X, init=zero_linear).weight == 0).all()))
#> True

# %% [markdown]
# To notice it next time: fill the weights with a value that you recognize, such as 0, and look for it after the first batch.

# %% [markdown]
# ### `'Parameter' object has no attribute 'materialize'`
#
# You tie the weights of two lazy layers before the first batch.
# The first layer materializes the shared parameter.
# Then the second layer tries to materialize it again and fails:

# %%
net = nn.Sequential(nn.LazyLinear(20), nn.LazyLinear(20))
net[1].weight = net[0].weight
try:
    net(X)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Parameter' object has no attribute 'materialize'

# %% [markdown]
# Fix: tie the weights after the dry run, or use one layer in both places.

# %%
net = apply_init(nn.Sequential(nn.LazyLinear(20), nn.LazyLinear(20)), X)
net[1].weight = net[0].weight
print(net(X).shape)
#> torch.Size([2, 20])

layer = nn.LazyLinear(20)
print(nn.Sequential(layer, layer)(X).shape)
#> torch.Size([2, 20])

# %% [markdown]
# ### `Weights only load failed`, from a file that you saved yourself
#
# You cannot load a file that you saved yourself.
# You saved the net before its first batch, so the file holds parameters without values, as shown in Saving and loading.
# Do not set `weights_only=False` to load it anyway: you would only get parameters without values again.
#
# Fix: do a dry run before you save.

# %%
net = nn.Sequential(nn.LazyLinear(3))
print(uninitialized_names(net))
#> ['0.weight', '0.bias']
torch.save(apply_init(net, X).state_dict(), "net.pt")
print(list(torch.load("net.pt")))
#> ['0.weight', '0.bias']

# %% [markdown]
# To notice it next time: before you save, check that `uninitialized_names(net)` is empty.

# %% [markdown]
# ### The same seed, but not the same values
#
# You set the same seed for a lazy net and for the same net with all sizes given, and their weights differ.
# There are three possible causes:
#
# - The net is only partly lazy.
# - Dropout drew random numbers in the dry run.
# - Something else drew random numbers between the seed and the first batch.
#
# Fix: make all layers lazy or none, create the input before you set the seed, and use `apply_init`.

# %%
torch.manual_seed(0)
first = apply_init(lazy(), X)
torch.manual_seed(0)
second = nn.Sequential(nn.Linear(20, 8), nn.Dropout(), nn.Linear(8, 3))
print(torch.equal(first[2].weight, second[2].weight))
#> True

# %% [markdown]
# To notice it next time: compare the weights with `torch.equal`, as above.

# %% [markdown]
# ### `Attempted to use an uninitialized parameter`, from `requires_grad_`
#
# You freeze a lazy net before its first batch:

# %%
try:
    nn.LazyLinear(3).requires_grad_(False)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# Fix: freeze it after the dry run.

# %%
print(apply_init(nn.LazyLinear(3), X).requires_grad_(False).weight.requires_grad)
#> False

# %% [markdown]
# ### `Expected more than 1 value per channel when training`
#
# You do a dry run with one example, and a batch norm rejects it.
# One example is enough to set the shapes, but in training mode a batch norm also computes a variance for each channel, which takes more than one value:

# %%
try:
    nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())(X[:1])
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Expected more than 1 value per channel when training, got input size torch.Size([1, 4])

# %% [markdown]
# Fix: do the dry run in evaluation mode, as `apply_init` does, or use a larger batch.

# %%
net = apply_init(nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d()), X[:1])
print(net[1].num_features)
#> 4

# %% [markdown]
# ### The lazy layer's parameters have shape `(0,)`
#
# You move a lazy layer to the meta device.
# `.to("meta")` replaces its uninitialized parameters with empty ones, and no later batch changes that:

# %%
layer = nn.LazyLinear(3).to("meta")
print(uninitialized_names(layer), tuple(layer.weight.shape))
#> [] (0,)

# %% [markdown]
# Fix: build the layer on the meta device, and give it an input from the meta device.

# %%
with torch.device("meta"):
    layer = nn.LazyLinear(3)
    layer(torch.empty(2, 20))
print(tuple(layer.weight.shape))
#> (3, 20)

# %% [markdown]
# To notice it next time: print the shapes of the parameters; none of them should be `(0,)`.

# %% [markdown]
# ### `in_channels` is 0 after loading
#
# After you load a state dict into a lazy net, printing the net shows sizes of 0.
# The state dict already provides the weight, so nothing is left to initialize at the first batch.
# Most lazy classes then leave `in_channels` or `num_features` at 0.
# The layer computes correctly, but code that reads the attribute gets a wrong number:

# %%
conv = nn.LazyConv2d(4, kernel_size=3)
conv.load_state_dict(nn.Conv2d(3, 4, kernel_size=3).state_dict())
conv(torch.rand(1, 3, 9, 9))
print(conv)
#> Conv2d(0, 4, kernel_size=(3, 3), stride=(1, 1))

# %% [markdown]
# There is a second problem: the layer also accepts a state dict with different sizes.
# This layer should have 3 outputs but has 5 after loading:

# %%
layer = nn.LazyLinear(3)
print(layer.load_state_dict(nn.Linear(20, 5).state_dict()), layer(X).shape)
#> <All keys matched successfully> torch.Size([2, 5])

# %% [markdown]
# Fix: do the dry run first.
# Then `load_state_dict` compares the sizes, and the attributes are right:

# %%
try:
    apply_init(nn.LazyLinear(3), X).load_state_dict(nn.Linear(20, 5).state_dict())
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for Linear:
#>     size mismatch for weight: copying a param with shape torch.Size([5, 20]) from checkpoint, the shape in current model is torch.Size([3, 20]).
#>     size mismatch for bias: copying a param with shape torch.Size([5]) from checkpoint, the shape in current model is torch.Size([3]).

# %% [markdown]
# Or use `load_parameters`, which compares the sizes and sets the attributes without a batch:

# %%
save_parameters(nn.Conv2d(3, 4, kernel_size=3), "conv.safetensors")
print(load_parameters(nn.LazyConv2d(4, kernel_size=3), "conv.safetensors").in_channels)
#> 3

# %% [markdown]
# ### `Cannot copy out of meta tensor; no data!`
#
# You build a net on the meta device and load a state dict into it.
# `load_state_dict` reports that all keys match, but it has loaded nothing.
# PyTorch only warns, once for each tensor:

# %%
import warnings

with torch.device("meta"):
    net = nn.Linear(20, 3)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    report = net.load_state_dict(sized.state_dict())
print(caught[0].message)
#> for weight: copying from a non-meta parameter in the checkpoint to a meta parameter in the current model, which is a no-op. (Did you mean to pass `assign=True` to assign items in the state dictionary to their corresponding key in the module instead of copying them in place?)
print(report, net.weight.device)
#> <All keys matched successfully> meta

# %% [markdown]
# The error comes later, when you move the net:

# %%
try:
    net.to("cpu")
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from meta to a different device.

# %% [markdown]
# Fix: load with `assign=True`, and then tie weights again and fill the buffers that are not saved.

# %%
net.load_state_dict(sized.state_dict(), assign=True)
print(torch.equal(net(X), sized(X)))
#> True

# %% [markdown]
# If you still get the same error, a buffer that is not saved is still on the meta device.
#
# To notice it next time: after loading, check that `is_meta` is false for every parameter and every buffer.

# %% [markdown]
# ### `SymIntArrayRef expected to contain only concrete integers`
#
# You compile a lazy net and call it.
# For a size that may change, the compiler can use a symbol such as `s0` instead of a number, so that the compiled code works for several sizes.
# But a lazy layer needs a number for each size.
# With `dynamic=True`, the compiler uses symbols from the start; by default, it switches to symbols when the same code runs again with a different size, even in another net of the same class.
# PyTorch 2.13 and earlier raise an error here; later versions compile the net (checked with 2.14.1 and 2.15.0):

# %%
net = torch.compile(nn.Sequential(nn.LazyLinear(3)), backend="eager", dynamic=True)
try:
    net(X)
except Exception as error:  # InternalTorchDynamoError
    print(str(error).splitlines()[0].rpartition(": ")[2])
#> SymIntArrayRef expected to contain only concrete integers

# %% [markdown]
# Fix: do the dry run first.
# `apply_init` also accepts the compiled net.

# %%
net = torch.compile(nn.Sequential(nn.LazyLinear(3)), backend="eager", dynamic=True)
print(apply_init(net, X)(X).shape)
#> torch.Size([2, 3])

# %% [markdown]
# ### `Modules with uninitialized parameters can't be used with DistributedDataParallel`
#
# You wrap a lazy net for training in several processes.
# The wrapper sends the parameters of the first process to all others, so it needs the shapes:

# %%
import torch.distributed as dist

# a group of this process alone, so that the example runs on any machine
dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
try:
    nn.parallel.DistributedDataParallel(nn.LazyLinear(3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Modules with uninitialized parameters can't be used with `DistributedDataParallel`. Run a dummy forward pass to correctly initialize the modules

# %% [markdown]
# Fix: do the dry run in each process before you wrap the net.

# %%
net = nn.parallel.DistributedDataParallel(apply_init(nn.LazyLinear(3), X))
print(net(X).shape)
#> torch.Size([2, 3])
dist.destroy_process_group()

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# You give the first layer its input size and leave the others lazy: `net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(32), nn.LazyLinear(10))`.
# Predict which of its parameters are uninitialized at three moments.
# Each answer is a list of names such as `"0.weight"`, and it may be empty.
# `built` is the list for the new net.
# `half` is the list after the call `net[:3](X)`, where `X` has the shape `(2, 20)`.
# `called` is the list after one more call, `net(X)`.
#
# To practice (easy): `python -m d2lblocks practice start lazy/1`

# %% [markdown]
# #### Solution

# %% [markdown]
# The first layer is initialized when you build it, and each other layer when it is called for the first time.
# A layer sees only its own input, so it cannot compute its input size from the layers before it.
#
# *lazy/1_waiting.py*

# %%
built = ["2.weight", "2.bias", "3.weight", "3.bias"]
half = ["3.weight", "3.bias"]
called = []

# %%
net = nn.Sequential(
    nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(32), nn.LazyLinear(10)
)
print(uninitialized_names(net) == built)
#> True
net[:3](X)
print(uninitialized_names(net) == half)
#> True
net(X)
print(uninitialized_names(net) == called)
#> True

# %% [markdown]
# ### Exercise 2
#
# `groups(net, X)` returns parameter groups for an optimizer: weight decay applies to the parameters with two or more dimensions and to no others.
# But for a lazy net before its first batch, it silently leaves out the weights of all lazy layers.
# Repair the function; `X` is a batch for the net.
#
# To practice (easy): `python -m d2lblocks practice start lazy/2`

# %%
def groups(net, X):
    decay = [p for p in net.parameters() if p.ndim >= 2]
    rest = [p for p in net.parameters() if p.ndim < 2]
    return [{"params": decay}, {"params": rest, "weight_decay": 0}]

# %% [markdown]
# #### Solution

# %% [markdown]
# Before the first batch, the `ndim` of every uninitialized parameter is 1, so the function takes all of them for biases.
# A dry run in its first line is enough:
#
# *lazy/2_decay.py*

# %%
def groups(net, X):
    apply_init(net, X)
    decay = [p for p in net.parameters() if p.ndim >= 2]
    rest = [p for p in net.parameters() if p.ndim < 2]
    return [{"params": decay}, {"params": rest, "weight_decay": 0}]

# %%
net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3))
decay, rest = groups(net, X)
print(len(decay["params"]), len(rest["params"]))
#> 2 2

# %% [markdown]
# Without the dry run, the two groups would have 0 and 4 parameters.

# %% [markdown]
# ### Exercise 3
#
# In a net that is partly lazy, the input size that you gave one layer may not match the layer before it.
# Write `fits(net, X)`, which returns `True` if the net accepts the batch `X`, and `False` if the forward pass raises an error.
# If the batch fits, the net should have all its shapes afterward.
# If it does not, every layer that was lazy should still be lazy.
#
# To practice (medium): `python -m d2lblocks practice start lazy/3`

# %% [markdown]
# #### Solution

# %% [markdown]
# A plain call stops at the mismatch.
# By then, the layers before it already have their shapes:

# %%
def mismatched():
    return nn.Sequential(
        nn.LazyLinear(64), nn.ReLU(), nn.Linear(32, 16), nn.LazyLinear(10)
    )


net = mismatched()
try:
    net(X)
except RuntimeError:
    print(net[0], uninitialized_names(net))
#> Linear(in_features=20, out_features=64, bias=True) ['3.weight', '3.bias']

# %% [markdown]
# After an error in `apply_init`, all lazy layers are still lazy:
#
# *lazy/3_fits.py*

# %%
def fits(net, X):
    try:
        apply_init(net, X)
    except RuntimeError:
        return False
    return True

# %%
net = mismatched()
print(fits(net, X), uninitialized_names(net))
#> False ['0.weight', '0.bias', '3.weight', '3.bias']

# %% [markdown]
# ### Exercise 4
#
# After its first batch, the net that `convnet(classes)` returns accepts only images of the size in that batch.
# Repair it by changing one line: the pooling should return channels of height and width 4, whatever the height and width of the images (3 pixels or more).
# The net takes a batch of images and returns a tensor of shape `(batch, classes)`.
#
# To practice (medium): `python -m d2lblocks practice start lazy/4`

# %%
def convnet(classes):
    return nn.Sequential(
        nn.LazyConv2d(16, kernel_size=3),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.LazyLinear(classes),
    )

# %% [markdown]
# #### Solution

# %% [markdown]
# A linear layer needs inputs whose last dimension has a fixed size, and a convolution needs a fixed number of channels.
# For a convolution, the batch size, height and width may vary.
# Before a linear layer, `nn.AdaptiveAvgPool2d` turns images of any size into images of one size.
#
# *lazy/4_any_size.py*

# %%
def convnet(classes):
    return nn.Sequential(
        nn.LazyConv2d(16, kernel_size=3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.LazyLinear(classes),
    )

# %%
net = apply_init(convnet(10), torch.rand(1, 3, 32, 32))
print(net(torch.rand(8, 3, 64, 48)).shape)
#> torch.Size([8, 10])

# %% [markdown]
# Pad sequences of different lengths at the end until all have the same length.

# %% [markdown]
# ### Exercise 5
#
# How many parameters would a lazy net have for larger images?
# Write `count(make, size)`: `make()` builds a lazy net for images with 3 channels, and the result is the number of values in all its parameters for images with height and width `size`.
# Use no memory for the parameters or the images: create all of them on the meta device.
# Leave the default device as it is.
#
# To practice (medium): `python -m d2lblocks practice start lazy/5`

# %% [markdown]
# #### Solution

# %% [markdown]
# On the meta device, the dry run uses no memory for the parameters, but the sizes are the real ones.
#
# *lazy/5_count.py*

# %%
def count(make, size):
    with torch.device("meta"):
        net = make()
        net(torch.empty(2, 3, size, size))
    return sum(parameter.numel() for parameter in net.parameters())

# %%
for size in (32, 64, 224):
    print(size, count(small_convnet, size))
#> 32 9098
#> 64 37258
#> 224 485258

# %% [markdown]
# ### Exercise 6
#
# Write `dry_run(net, X)`, which gives a lazy net its shapes with one forward pass and returns the net.
# One example in `X` has to be enough.
# Nothing but the uninitialized tensors may change: running statistics keep their values, and each module keeps its training mode, even if the mode differs from module to module.
# The forward pass runs without gradients, but the net can be trained afterward.
#
# To practice (hard): `python -m d2lblocks practice start lazy/6`

# %% [markdown]
# #### Solution

# %% [markdown]
# In evaluation mode, a batch norm keeps its running statistics and accepts a single example.
# `net.train()` would put every module into training mode, so remember the mode of each one.
#
# *lazy/6_dry_run.py*

# %%
def dry_run(net, X):
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    with torch.no_grad():
        net(X)
    for module, training in modes:
        module.training = training
    return net

# %%
net = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.LazyLinear(3))
net[1].eval()
dry_run(net, X[:1])
print([module.training for module in net], net[1].num_batches_tracked)
#> [True, False, True] tensor(0)

# %% [markdown]
# `apply_init` does this too, and after an error it restores the net.

# %% [markdown]
# ### Exercise 7
#
# A colleague's net has all sizes given, and yours is the same net but partly lazy, so the same seed gives you other weights.
# Write `draw_again(net, seed)`, which gives new values to every layer of your net that has a method `reset_parameters`, and returns the net.
# It is called after the dry run.
# Afterward, the parameters of your net should equal those of your colleague's net, which is built right after `torch.manual_seed(seed)`.
# Both nets define their layers in the order of `net.modules()`.
#
# To practice (hard): `python -m d2lblocks practice start lazy/7`

# %% [markdown]
# #### Solution

# %% [markdown]
# After the dry run, both nets have the same layers.
# A chain with all sizes given draws its values when you build it, in the order of the modules.
# So set the seed again and let all layers of your net draw their values again in this order.
#
# *lazy/7_draw_again.py*

# %%
def draw_again(net, seed):
    torch.manual_seed(seed)
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return net

# %%
torch.manual_seed(0)
theirs = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))
mine = apply_init(nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 3)), X)
draw_again(mine, seed=0)
print(
    all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters()))
)
#> True

# %% [markdown]
# **Watch out.** The loop leaves out modules that have parameters of their own but no `reset_parameters`, and it overwrites values that a net sets in its `__init__`.

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | a layer that reads its input size from the first batch | `nn.LazyLinear(256)`, `nn.LazyConv2d(16, 3)`, `nn.LazyBatchNorm2d()` |
# | to see what is still uninitialized | `uninitialized_names(net)` |
# | the shapes before training | `apply_init(net, X)` |
# | to initialize a lazy net | `apply_init(net, X, init=f)` |
# | to do the dry run by hand | `net.eval()`, `torch.no_grad()`, `net(X)`, `net.train()` |
# | to count, freeze, tie or save | `apply_init(net, X)` first |
# | an optimizer | build it after the dry run; most optimizers can also be built before it |
# | the same weights as a net with all sizes given, from the same seed | make all layers lazy or none |
# | to load a saved state | `load_state_dict`, best after the dry run |
# | sizes without memory | `with torch.device("meta")` |
# | a module without drawn values | `nn.utils.skip_init(nn.Linear, 20, 3)` |
#
# The library's functions are in `d2lblocks.lazy`, and the tables of all topics are on the Cheat sheet.
#
# Next: Custom layers, to write a layer of your own, or File I/O, to save what a net has learned.
