# %% [markdown]
# # Parameters
#
# This is the page "Parameters" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# You take a trained net, freeze its first layers so that they do not change, replace its last layer and train again.
# But the net does not get better, or a frozen layer changes anyway; in either case, there is no error message.
# This page shows how to look at the parameters of a net, how to change them and how to notice such problems.
#
# - **What you will be able to do:** find, read, change, freeze and share the parameters of a net, and recognize changes that PyTorch does not notice.
# - **What you need:** Layers and modules, up to its section In the library.
# - **How long it takes:** about 25 minutes up to In the library, and this part is enough for the next topic; about 60 minutes with the rest and the exercises.
#
# The first sections use this small net, which returns one number for each example in the batch `X`:

# %%
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
X = torch.rand(2, 4)
print(net(X).shape)
#> torch.Size([2, 1])

# %% [markdown]
# ## One parameter: its value and its gradient
#
# To read a single parameter, index the net to get the layer, and then read the parameter as an attribute of the layer.
# `net[2]` is the last layer of the net, and `net[2].bias` is its bias.
# To see the names of the layer's parameters, look at its state dict.
# A <dfn>state dict</dfn> is the dictionary that `state_dict()` returns: it maps the name of each parameter of a module, and of each buffer that is saved with it, to its tensor.
# A buffer is a tensor that belongs to a module but is not trained.

# %%
print(net[2].bias.shape, type(net[2].bias))
#> torch.Size([1]) <class 'torch.nn.parameter.Parameter'>
print(list(net[2].state_dict()))
#> ['weight', 'bias']

# %% [markdown]
# The bias contains one number, and the layer has two parameters, `weight` and `bias`.
#
# A parameter is an object of the class `nn.Parameter`, a subclass of `torch.Tensor`.
# It differs from other tensors in two ways.
# First, a module registers it when you assign it to an attribute.
# Second, its `requires_grad` is `True` unless you set it to `False`, so autograd computes a gradient for it.
#
# To keep autograd from recording what you do with the values, call `.detach()`, which returns a tensor that does not require a gradient.
# The values are not copied: both tensors use the same memory.
#
# Training changes the parameters so that the loss becomes smaller.
# The <dfn>loss</dfn> is a single number that measures how far the output of a net is from the desired output.
# The <dfn>gradient</dfn> of a parameter holds one number for each value of the parameter: the rate at which a result, usually the loss, changes when only this value changes.
# Calling `backward()` on the result computes the gradient of each parameter and stores it in the parameter's attribute `.grad`:

# %%
print(net[2].bias.requires_grad, net[2].bias.detach().requires_grad)
#> True False
print(net[2].bias.grad)
#> None
net(X).sum().backward()
print(net[2].bias.grad)
#> tensor([2.])

# %% [markdown]
# Before `backward()`, there is no gradient, and `.grad` is `None`.
# Afterward, the gradient of the bias is 2: the result is the sum of two outputs, one per example, and the bias is added to each of them.

# %% [markdown]
# ### Resetting gradients: `zero_grad()`
#
# The next `backward()` adds its gradients to those that are already in `.grad`: here, 2 becomes 4.
# Most training loops therefore call `zero_grad()`, a method of nets and optimizers, before each `backward()`.
# By default, `zero_grad()` sets `.grad` to `None`, not to zeros:

# %%
net(X).sum().backward()
print(net[2].bias.grad)
#> tensor([4.])
net.zero_grad()
print(net[2].bias.grad)
#> None
net(X).sum().backward()
net.zero_grad(set_to_none=False)
print(net[2].bias.grad)
#> tensor([0.])

# %% [markdown]
# `None` has two advantages over zeros: it frees memory, and it makes the optimizer skip the parameter.
# An <dfn>optimizer</dfn> is an object that uses the gradients of parameters to change their values, so that the loss becomes smaller.
# Two options can make an optimizer change a parameter whose gradient is zero, but not one whose gradient is `None`.
# <dfn>Momentum</dfn> is an option that makes an optimizer also use the gradients of earlier steps.
# <dfn>Weight decay</dfn> is an option that makes an optimizer move each parameter a little toward zero in every step.
#
# **Limitation.** `zero_grad()` leaves `None`, so check that `.grad` is not `None` before you use it.

# %% [markdown]
# ## All parameters: `named_parameters()`
#
# To see all parameters of a net, loop over `named_parameters()`.
# It returns each parameter with its name, which is its path in the net:

# %%
for name, parameter in net.named_parameters():
    print(name, tuple(parameter.shape))
#> 0.weight (8, 4)
#> 0.bias (8,)
#> 2.weight (1, 8)
#> 2.bias (1,)

# %% [markdown]
# No name begins with `1`, because `net[1]` is a `ReLU` and has no parameters.
#
# You can also get a single parameter by its path, with `get_parameter` or from the state dict:

# %%
print(net.get_parameter("2.bias") is net[2].bias)
#> True
print(net.state_dict()["2.bias"].data_ptr() == net[2].bias.data_ptr())
#> True

# %% [markdown]
# `get_parameter` returns the parameter itself.
# The tensor in the state dict is a different object and does not require a gradient.
# It uses the same memory as the parameter: `data_ptr()`, its address in memory, is the same for both.
# A state dict is therefore not a copy, and its values change during training.

# %% [markdown]
# ## The difference between `state_dict()` and `parameters()`
#
# Use `parameters()` for training and `state_dict()` for saving.
# The state dict can contain two kinds of names that `named_parameters()` leaves out: the names of buffers and the additional names of a parameter that is used in two places.
# This net has both kinds, because it uses one layer twice and contains a batch normalization layer.
# A <dfn>batch normalization</dfn> layer subtracts a mean from each column of a batch, or from each channel of images, and divides by a standard deviation; it then multiplies by a learned scale and adds a learned shift.
# A net starts in training mode, and `net.eval()` switches it to evaluation mode.
# In training mode, the mean and the standard deviation come from the batch; in evaluation mode, the layer uses stored values.

# %%
shared = nn.Linear(4, 4)
net = nn.Sequential(shared, nn.BatchNorm1d(4), shared)
parameters = {name for name, _ in net.named_parameters()}
print([name for name in net.state_dict() if name not in parameters])
#> ['1.running_mean', '1.running_var', '1.num_batches_tracked', '2.weight', '2.bias']

# %% [markdown]
# (A picture: A Sequential with three names, 0, 1 and 2. The names 0 and 2 lead to the same Linear, so its weight has the names 0.weight and 2.weight, and its bias has the names 0.bias and 2.bias. The name 1 leads to a BatchNorm1d with the parameters 1.weight and 1.bias and the buffers 1.running_mean, 1.running_var and 1.num_batches_tracked. The names that are not in named_parameters() are bold: 2.weight, 2.bias and the three buffers.)
#
# The first three names belong to the buffers of the batch normalization layer: its running mean, its running variance and a counter of batches.
# In training mode, each batch moves the running mean and variance toward its own mean and variance.
# Buffers are saved and moved with the net but not trained.
# The last two are additional names: `2.weight` is the same parameter as `0.weight`, and `2.bias` is the same as `0.bias`.
#
# `parameters()` and `named_parameters()` return each parameter only once, which is what an optimizer needs.
# The state dict contains all names of a parameter; with `remove_duplicate=False`, `named_parameters` returns them too.
#
# Skip these two special cases on a first reading.
# A buffer that should not be saved is registered with `persistent=False`; `buffers()` returns it, but the state dict does not contain it.
# A module that saves something other than tensors, such as a string, defines `get_extra_state`; its state dict then also contains the name `_extra_state`.

# %% [markdown]
# ## Parameters of nested modules
#
# In a net made of blocks, the path of a parameter shows which block it is in.
# The net `rgnet` has three blocks of two linear layers each, followed by one more linear layer:

# %%
def make_block():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU())


def make_blocks():
    net = nn.Sequential()
    for index in range(3):
        net.add_module(f"block{index}", make_block())
    return net


rgnet = nn.Sequential(make_blocks(), nn.Linear(4, 1))
print(rgnet)
#> Sequential(
#>   (0): Sequential(
#>     (block0): Sequential(
#>       (0): Linear(in_features=4, out_features=8, bias=True)
#>       (1): ReLU()
#>       (2): Linear(in_features=8, out_features=4, bias=True)
#>       (3): ReLU()
#>     )
#>     (block1): Sequential(
#>       (0): Linear(in_features=4, out_features=8, bias=True)
#>       (1): ReLU()
#>       (2): Linear(in_features=8, out_features=4, bias=True)
#>       (3): ReLU()
#>     )
#>     (block2): Sequential(
#>       (0): Linear(in_features=4, out_features=8, bias=True)
#>       (1): ReLU()
#>       (2): Linear(in_features=8, out_features=4, bias=True)
#>       (3): ReLU()
#>     )
#>   )
#>   (1): Linear(in_features=4, out_features=1, bias=True)
#> )

# %% [markdown]
# You can reach the bias of the first layer in the second block step by step or by its path:

# %%
print(rgnet[0][1][0].bias.shape)
#> torch.Size([8])
print(rgnet.get_parameter("0.block1.0.bias") is rgnet[0][1][0].bias)
#> True

# %% [markdown]
# The index 1 in `rgnet[0][1]` is a position; the block at this position is named `block1`.
#
# Two methods list the modules themselves.
# `modules()` returns the net and all of its submodules, and `children()` returns only the child modules.
# Both return each module once.

# %%
print(len(list(rgnet.modules())), len(list(rgnet.children())))
#> 18 2
print(sum(isinstance(module, nn.Linear) for module in rgnet.modules()))
#> 7

# %% [markdown]
# The 18 modules are the net, its two child modules, the three blocks and the four layers in each block; 7 of the 18 are linear layers.

# %% [markdown]
# ## Changing values
#
# You want to set a parameter to given values, for example values from another program.
# Use an in-place operation under `torch.no_grad()`, that is, inside a `with torch.no_grad():` block.
# An <dfn>in-place operation</dfn> writes into the memory of an existing tensor instead of creating a new tensor.
# Examples are `X += 1` and methods such as `copy_` and `fill_`, whose names end in an underscore.
# `torch.no_grad()` stops autograd from recording the operation; without it, PyTorch raises an error.

# %%
layer = nn.Linear(2, 1)
with torch.no_grad():
    layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
    layer.bias.fill_(0.5)
print(layer(torch.tensor([10.0, 100.0])).item())
#> 210.5

# %% [markdown]
# The layer computes `1 * 10 + 2 * 100 + 0.5`, so the weight and the bias have their new values.
# `copy_` converts the new values to the dtype of the parameter.
# The <dfn>dtype</dfn> of a tensor is the type of its numbers, such as `torch.float32` for 32-bit floating-point numbers.
#
# The parameter is still the same object.
# An optimizer or another layer that holds it therefore uses the new values too.
#
# Change values only after `backward()` and before the next forward pass.
# Between a forward pass and its `backward()`, the computation graph may still need the old values.
# A <dfn>computation graph</dfn> is autograd's record of the operations that produced a tensor, with the values needed for the derivatives.
# `backward()` goes through this graph from the result to the parameters.
# Even under `torch.no_grad()`, autograd counts the in-place changes to each tensor, so `backward()` notices if a value that it needs has been changed:

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
# **Watch out.** `.data` is an older way to get the values without autograd, and autograd does not count changes that you make through it.
# The derivative of `w**2` at 2 is 4, but `backward()` uses the new value and computes 2 * 20 = 40:

# %%
w = nn.Parameter(torch.tensor(2.0))
y = w**2
w.data.fill_(20.0)
y.backward()
print(w.grad)
#> tensor(40.)

# %% [markdown]
# There is no error, but the gradient is wrong.
# Do not use `.data`: read values with `.detach()` and change them under `torch.no_grad()`.
# To keep a copy of the old values, use `.detach().clone()`; without `clone()`, the result shares the memory of the parameter and changes with it.

# %% [markdown]
# ## Freezing parameters
#
# You have a trained net and want to train only its last layer.
# To do so, freeze all other layers.
# <dfn>Freezing</dfn> a parameter means setting its `requires_grad` to `False`, so that training does not change it.
# Autograd then computes no gradient for it, and the optimizer skips it if its `.grad` is `None`.
#
# The method `requires_grad_` of a module sets `requires_grad` for all parameters of the module.
# Here, everything except the last layer is frozen:

# %%
net = nn.Sequential(
    nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)
)
net.requires_grad_(False)
net[-1].requires_grad_(True)
print([name for name, parameter in net.named_parameters() if parameter.requires_grad])
#> ['4.weight', '4.bias']

net(X).sum().backward()
print(
    [name for name, parameter in net.named_parameters() if parameter.grad is not None]
)
#> ['4.weight', '4.bias']

# %% [markdown]
# Only the parameters of the last layer have a gradient.
#
# To choose parameters by name, compare the beginning of each name with a prefix.
# End the prefix with a dot, because `"2"` would also match a layer called `20`.
# If the prefix matches no name, nothing is frozen and there is no error, so print the frozen names:

# %%
net.requires_grad_(True)
for name, parameter in net.named_parameters():
    if name.startswith(("0.", "2.")):
        parameter.requires_grad_(False)
print(
    [name for name, parameter in net.named_parameters() if not parameter.requires_grad]
)
#> ['0.weight', '0.bias', '2.weight', '2.bias']

# %% [markdown]
# **Watch out.** Freezing does not affect old gradients or buffers.
#
# First, `.grad` may still contain a gradient that was computed before you froze the parameter, and the next `step()` of the optimizer uses it.
# Call `net.zero_grad()` after freezing.
#
# Second, buffers are not frozen.
# In training mode, a batch normalization layer still updates its running mean and variance in every forward pass.
# To stop the updates, call `eval()` on this layer; it then uses its stored mean and variance, not those of the batch.

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
# The counter of batches stays at 1: the second call did not update the buffers.
# `net.train()` puts every layer of `net` back into training mode, so call `norm.eval()` again after each `net.train()`.
#
# During training, nothing tells you that a parameter is still frozen.
# `diagnose` reports this as `frozen`.

# %% [markdown]
# ## Sharing parameters: tied weights
#
# A net has <dfn>tied weights</dfn>, also called shared parameters, if it uses one `nn.Parameter` object in more than one place.
# For example, you can use one layer in two places.
# The net then has one weight for both places, and `parameters()` returns it once:

# %%
shared = nn.Linear(8, 8, bias=False)
net = nn.Sequential(
    nn.Linear(4, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1)
)
print(net[2] is net[4], net[2].weight is net[4].weight)
#> True True
print(
    sum(parameter.numel() for parameter in net.parameters())
    == 4 * 8 + 8 + 8 * 8 + 8 + 1
)
#> True

# %% [markdown]
# The second output uses `numel()`, the number of values in a tensor, and confirms that the shared weight is counted once: the expected number contains `8 * 8` only once.
#
# `is` tells you whether two names refer to the same object.
# Comparing values does not, because two separate parameters can have equal values.
#
# The gradient of a parameter that is used in two places is the sum of the gradients from both places.
# In the smallest case, one weight is used twice: `y = w * (w * x)`.
# If the inner weight is called `a` and the outer weight is called `b`, the derivative of `y` with respect to `a` is `b * x`, and with respect to `b` it is `a * x`.
# For `a = b = w`, the sum of the two is `2 * w * x`:

# %%
twice = nn.Linear(1, 1, bias=False)
with torch.no_grad():
    twice.weight.fill_(3.0)
nn.Sequential(twice, twice)(torch.tensor([5.0])).backward()
print(twice.weight.grad, 2 * 3 * 5)
#> tensor([[30.]]) 30

# %% [markdown]
# (A picture: On the left, the forward pass: x = 5 leads to the inner layer, where a times x is 15, then to the outer layer, where b times 15 is 45, and then to y = 45. On the right, one nn.Parameter: a = b = w = 3. Two dashed arrows, backward(), lead from the layers to its grad. The inner layer contributes b times x = 15, and the outer layer a times x = 15. In grad, 15 + 15 = 30.)

# %% [markdown]
# ### Two layers with one weight
#
# A language model begins with an embedding, a table with one row of numbers per word.
# It often ends with a linear layer that computes a score for each word, and the weight of this layer also has one row per word.
# Many models use the same matrix for both layers to save memory.
# To tie the weights of two layers, assign the parameter of one layer to the other layer:

# %%
table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
model = nn.Sequential(table, scores)
print(len(list(model.parameters())), list(model.state_dict()))
#> 1 ['0.weight', '1.weight']

# %% [markdown]
# The model has one parameter, and this parameter has two names in the state dict.

# %% [markdown]
# ### Operations that untie weights
#
# Skip this section on a first reading: it matters once you load, move or replace tied weights.
# Some operations silently give each layer its own parameter; this section shows three.
# Tie the weights again after each of them.
#
# The first is `load_state_dict` with `assign=True`:

# %%
state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
model.load_state_dict(state, assign=True)
print(scores.weight is table.weight)
#> False

# %% [markdown]
# With `assign=True`, `load_state_dict` creates new parameters module by module.
# A single layer that is used in two places is one module, so both places still share its weight.
# Two layers with tied weights are two modules, so each of them gets its own parameter.
#
# The second is `to_empty`, which gives memory to a net on the meta device, where tensors have a shape but neither memory nor values:

# %%
with torch.device("meta"):
    table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
model = nn.Sequential(table, scores).to_empty(device="cpu")
print(scores.weight is table.weight)
#> False

# %% [markdown]
# The third is assigning a new parameter: `table.weight = nn.Parameter(...)` changes only one of the two layers.
#
# Two other operations keep the weights tied: a cast such as `model.double()`, which changes the dtype of the parameters, and `copy.deepcopy` of the whole net:

# %%
import copy

scores.weight = table.weight
twin = copy.deepcopy(model.double())
print(scores.weight is table.weight, twin[1].weight is twin[0].weight)
#> True True

# %% [markdown]
# ## Replacing a layer after the optimizer is built
#
# You build an optimizer and then replace the last layer of the net.
# The optimizer got its parameters when you built it and does not look for new ones.
# It still holds the parameters of the old layer:

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
# The output `True` shows that the bias of the new layer did not change, even though `backward()` computed a gradient for it.
# Use `add_param_group` to add the new parameters to the optimizer.
# You can give them their own learning rate at the same time.
# The <dfn>learning rate</dfn> of an optimizer is the factor that determines how much each step changes the parameters.

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
# Now the bias changes.
# The optimizer has two parameter groups, each with its own learning rate.
# A <dfn>parameter group</dfn> is a set of parameters for which an optimizer uses the same options, such as the same learning rate.
#
# **Cost.** The first group still contains the two parameters of the old layer, and an optimizer such as Adam also keeps extra tensors in memory for each parameter that it has trained.
# To remove all of these, build a new optimizer.
# It is best to build the optimizer last, after all changes to the net.
#
# **The first reading ends here.** Read on if you want to inspect a large net with helper functions, or if you have an error message or a net that does not learn.

# %% [markdown]
# ## In the library
#
# When a net is large, you want to see all of its parameters and buffers in one table.
# `d2lblocks.parameters` contains a function for this table and a few more helpers.
# To install the package, run `pip install .` in a clone of this site's repository.

# %%
from d2lblocks import get_tensor, parameter_table, set_tensor, shared_names

shared = nn.Linear(8, 8, bias=False)
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
# The table has one row for every name of every parameter and buffer.
# A shared tensor has a row for each of its names but is counted only once; the note `is 0.weight` marks the second name.
# A lazy parameter, which gets its shape from the first batch, has `?` instead of a shape.
# For a sparse tensor, the table counts only the stored values; the bytes include those of the positions.
#
# If the table is the last expression in a notebook cell, the notebook shows it as an HTML table.
# A program can read its totals and its rows:

# %%
table = parameter_table(net)
print(table.values, table.trainable_values, table.bytes)
#> 97 80 392
print([row.name for row in table if row.kind == "buffer"])
#> ['3.running_mean', '3.running_var', '3.num_batches_tracked']

# %% [markdown]
# ### Finding tensors that use the same memory: `shared_names`
#
# `shared_names` lists the names of tensors that use the same memory.
# It even finds two different parameters in the same memory, for which `is` returns `False`:

# %%
a, b = nn.Linear(3, 3), nn.Linear(3, 3)
b.weight.data = a.weight.data  # do not do this in your own code
print(a.weight is b.weight, shared_names(nn.Sequential(a, b)))
#> False [['0.weight', '1.weight']]

# %% [markdown]
# Two such parameters are not tied: each has its own gradient, and the optimizer holds both of them.
# `diagnose` reports this as `same-memory`.

# %%
pair = nn.Sequential(a, b)
pair(torch.ones(1, 3)).sum().backward()
print(len(list(pair.parameters())), a.weight.grad is b.weight.grad)
#> 4 False

# %% [markdown]
# Plain SGD subtracts both gradients, each multiplied by the learning rate, from the same values.
# The effect is that of one step with the sum of the gradients, which is the gradient that a tied weight would have.
# With Adam or weight decay, the result differs: Adam scales each gradient separately, and weight decay acts twice.
# A cast to another dtype or `copy.deepcopy` gives each of the two parameters its own memory.

# %% [markdown]
# ### Reading and writing by path: `get_tensor` and `set_tensor`
#
# `get_tensor` and `set_tensor` take the path of a parameter or a buffer.
# `set_tensor` writes in place; it accepts a number or a tensor of exactly the right shape.

# %%
set_tensor(net, "0.weight", 0.0)
print(bool((net[2].weight == 0).all()))
#> True

# %% [markdown]
# `0.weight` and `2.weight` are two names of one parameter, so `net[2]` has the new values too.
# For a wrong path, the error message suggests the most similar name:

# %%
try:
    get_tensor(net, "0.wieght")
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: Sequential has no parameter or buffer '0.wieght': the nearest is '0.weight'

# %% [markdown]
# Source of these helpers, without docstrings:
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
# For some tasks, use PyTorch or another package:
#
# - `get_parameter`, `get_buffer` and `get_submodule` of `nn.Module`, if you know that the path exists;
# - `torch.nn.utils.parameters_to_vector`, to get all values in one vector;
# - the package `torchinfo`, to see the output shape of every layer.

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### `a leaf Variable that requires grad is being used in an in-place operation`
#
# You change a parameter with an in-place operation, such as `+=`, and get an error.
# A <dfn>leaf tensor</dfn> is a tensor that was not produced by a recorded operation; every parameter is a leaf tensor.
# While autograd is recording, a leaf tensor that requires a gradient cannot be changed in place.

# %%
layer = nn.Linear(3, 3)
try:
    layer.weight += 1
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.

# %% [markdown]
# Fix: change it under `torch.no_grad()`.

# %%
layer = nn.Linear(3, 3)
with torch.no_grad():
    layer.weight += 1

# %% [markdown]
# If you change only part of a parameter, the message is slightly different: it mentions a *view*, a tensor that uses the memory of another tensor.

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
# You want to give a parameter new values, so you assign a tensor to its name.
# This name is registered for a parameter, so PyTorch accepts only an `nn.Parameter` or `None`.

# %%
try:
    layer.bias = torch.zeros(3)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: cannot assign 'torch.FloatTensor' as parameter 'bias' (torch.nn.Parameter or None expected)

# %% [markdown]
# Fix: copy the values with `copy_`, which keeps the parameter object.
# You could also assign a new `nn.Parameter`, but then the optimizer still holds the old one, and tied weights are no longer tied.

# %%
with torch.no_grad():
    layer.bias.copy_(torch.zeros(3))
print(layer.bias)
#> Parameter containing:
#> tensor([0., 0., 0.], requires_grad=True)

# %% [markdown]
# ### Assigning to `.data` hides a wrong shape
#
# A layer reports a wrong shape, but your mistake is in an earlier line.
# You assigned a tensor of a wrong shape to `.data`, which accepts any shape and any floating-point dtype.
# The next forward pass raises an error; if PyTorch can broadcast (stretch) the tensor to the right shape, there is no error at all:

# %%
layer = nn.Linear(3, 1)
layer.bias.data = torch.randn(3, 3)
try:
    layer(torch.rand(2, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: The expanded size of the tensor (1) must match the existing size (3) at non-singleton dimension 1.  Target sizes: [2, 1].  Tensor sizes: [3, 3]

# %% [markdown]
# Fix: use `copy_` under `torch.no_grad()`, which raises the error in the line with the mistake.

# %%
layer = nn.Linear(3, 1)
try:
    with torch.no_grad():
        layer.bias.copy_(torch.randn(3, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: output with shape [1] doesn't match the broadcast shape [3, 3]

# %% [markdown]
# `copy_` still broadcasts a smaller tensor.
# `set_tensor` does not: it requires exactly the right shape.

# %% [markdown]
# ### The gradient is wrong, and there is no error
#
# Training runs without an error, but a gradient has a wrong value.
# You changed a weight through `.data` between the forward pass and `backward()`.
# The example above computes a gradient of 40 instead of 4 for this reason.
#
# Fix: change weights after `backward()`, under `torch.no_grad()`.

# %%
w = nn.Parameter(torch.tensor(2.0))
y = w**2
y.backward()
with torch.no_grad():
    w.fill_(20.0)
print(w.grad)
#> tensor(4.)

# %% [markdown]
# To notice it next time: change weights only under `torch.no_grad()`; if you do so too early, `backward()` raises an error instead of computing a wrong gradient.
#
# A `forward` that changes a weight through `.data` makes the same mistake.
# `diagnose` reports this as `data-write`.

# %% [markdown]
# ### A replaced layer does not learn
#
# You replaced a layer, and its parameters do not change during training.
# The optimizer was built before the replacement and still holds the parameters of the old layer, as shown above.
# The same happens after `load_state_dict(..., assign=True)`, which replaces every parameter:

# %%
layer = nn.Linear(2, 2)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
layer.load_state_dict(layer.state_dict(), assign=True)
held = optimizer.param_groups[0]["params"]
print(any(parameter is layer.weight for parameter in held))
#> False

# %% [markdown]
# Fix: build the optimizer last.
#
# To notice it next time: look for the parameter in `optimizer.param_groups`, as this snippet does.
# `diagnose` reports this as `optimizer`.

# %% [markdown]
# ### `optimizer got an empty parameter list`, from a net that has parameters
#
# Your net has parameters, but the optimizer says that it got none.
# `parameters()` returns a generator, and a generator is empty after you have looped over it once:

# %%
net = nn.Linear(4, 8)
parameters = net.parameters()
print(len(list(parameters)))
#> 2
try:
    torch.optim.SGD(parameters, lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: optimizer got an empty parameter list

# %% [markdown]
# Fix: keep a list, or call `parameters()` again.

# %%
parameters = list(net.parameters())
print(
    len(parameters), len(torch.optim.SGD(parameters, lr=0.1).param_groups[0]["params"])
)
#> 2 2

# %% [markdown]
# ### `can't optimize a non-leaf Tensor`
#
# You give a tensor to an optimizer, which rejects it.
# An optimizer changes only leaf tensors, and your tensor is the result of an operation on a parameter.
# A cast is such an operation, and so is `.to(device)` if the tensor has to be moved:

# %%
weight = nn.Parameter(torch.rand(2)).double()
try:
    torch.optim.SGD([weight], lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: can't optimize a non-leaf Tensor

# %% [markdown]
# Fix: cast, move or compute first, and create the `nn.Parameter` last.

# %%
weight = nn.Parameter(torch.rand(2).double())
print(torch.optim.SGD([weight], lr=0.1).param_groups[0]["params"][0] is weight)
#> True

# %% [markdown]
# Inside a module, this mistake raises no error, because the result is not registered: see the mistakes of custom layers.
# `diagnose` reports this as `not-a-parameter`.

# %% [markdown]
# ### `some parameters appear in more than one parameter group`
#
# You want a different learning rate for one layer, so you add a group for it.
# Its parameters are now in two groups: the new group and the group of all parameters.

# %%
net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
try:
    torch.optim.SGD(
        [{"params": net.parameters()}, {"params": net[2].parameters(), "lr": 0.01}], lr=0.1
    )
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: some parameters appear in more than one parameter group

# %% [markdown]
# Fix: build groups that do not overlap.

# %%
groups = [
    {"params": net[:2].parameters()},
    {"params": net[2].parameters(), "lr": 0.01},
]
print([group["lr"] for group in torch.optim.SGD(groups, lr=0.1).param_groups])
#> [0.1, 0.01]

# %% [markdown]
# ### A frozen layer still trains: `require_grad`
#
# You froze a layer, but training still changes it.
# On a parameter, the attribute is called `requires_grad`, with an `s`.
# If you misspell it, Python silently creates a new attribute:

# %%
net[0].weight.require_grad = False
print(net[0].weight.requires_grad)
#> True

# %% [markdown]
# A module has no attribute `requires_grad`, so assigning to it creates a new attribute too:

# %%
net.requires_grad = False
print(net[2].weight.requires_grad)
#> True

# %% [markdown]
# Fix: call the method `requires_grad_`, which both parameters and modules have.

# %%
net[0].weight.requires_grad_(False)
print(net[0].weight.requires_grad)
#> False

# %% [markdown]
# To notice it next time: print the names of the parameters whose `requires_grad` is `True`.
# `diagnose` reports this as `misspelt`.

# %% [markdown]
# ### `'method' object is not subscriptable`
#
# You want to read an entry of the state dict but get an error about a method.
# `state_dict` is a method, and the parentheses that call it are missing.

# %%
try:
    net.state_dict["0.weight"]
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: 'method' object is not subscriptable

# %% [markdown]
# Fix: call the method.

# %%
print(net.state_dict()["0.weight"].shape)
#> torch.Size([8, 4])

# %% [markdown]
# ### `Only Tensors created explicitly by the user ... support the deepcopy protocol`
#
# You copy a net with `copy.deepcopy` and get an error about tensors created by the user.
# `copy.deepcopy` copies only leaf tensors, and the net holds a tensor that was computed from parameters.
# A module that stores its last output holds such a tensor.
# Two older functions, `nn.utils.weight_norm` and `nn.utils.spectral_norm`, compute the weight of a layer from other tensors and store the result in the layer.

# %%
import copy


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
# Fix: store the value without its computation graph.

# %%
keeps.last = keeps.last.detach()
print(torch.equal(copy.deepcopy(keeps).last, keeps.last))
#> True

# %% [markdown]
# For `weight_norm`, use the newer function of the same name in `nn.utils.parametrizations`, which computes the weight whenever it is needed.
# A layer that uses it can load a state dict that was saved with the older function.

# %%
normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
print(torch.equal(copy.deepcopy(normed)(X), normed(X)))
#> True

# %% [markdown]
# ### `[layer] * 3` makes one layer, not three
#
# You want three layers of the same kind, but the net has only the parameters of a single layer.
# `[layer] * 3` is a list that contains the same layer three times.

# %%
net = nn.Sequential(*[nn.Linear(4, 4)] * 3)
print(len(list(net.parameters())), shared_names(net))
#> 2 [['0.weight', '1.weight', '2.weight'], ['0.bias', '1.bias', '2.bias']]

# %% [markdown]
# Fix: use a list comprehension, which creates three layers.

# %%
net = nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)])
print(len(list(net.parameters())), shared_names(net))
#> 6 []

# %% [markdown]
# To notice it next time: print `shared_names(net)`, which is empty if nothing is shared.
# `diagnose` reports this as `one-layer-many-names`.

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# Write a function `part(net, path)` that returns the part of a net at a dotted path, for example the weight at `"net.0.weight"`.
# The part can be a parameter, a buffer or a module, such as `"net.0"`, and the function returns the object itself, not a copy.
# The function follows the path name by name.
# Each name is the name of an attribute, and a name such as `1` need not be the position of a child.
#
# To practice (easy): `python -m d2lblocks practice start parameters/1`

# %% [markdown]
# #### Solution

# %% [markdown]
# The path of a part tells you which attributes and indices to follow.
# The weight at `net.0.weight` is `net.net[0].weight`: the name `0` is an attribute too, but `net.net.0` is not valid Python, so `getattr` reads it.
#
# *parameters/1_by_path.py*

# %%
def part(net, path):
    for name in path.split("."):
        net = getattr(net, name)
    return net

# %% [markdown]
# The snippet reaches every parameter of `NestMLP` in three ways: in a loop, by hand and by its path.

# %%
from d2lblocks import NestMLP

net = NestMLP()
by_hand = [
    net.net[0].weight,
    net.net[0].bias,
    net.net[2].weight,
    net.net[2].bias,
    net.linear.weight,
    net.linear.bias,
]
for (path, parameter), mine in zip(net.named_parameters(), by_hand):
    print(path, parameter is mine and mine is part(net, path))
#> net.0.weight True
#> net.0.bias True
#> net.2.weight True
#> net.2.bias True
#> linear.weight True
#> linear.bias True

# %% [markdown]
# ### Exercise 2
#
# Complete an MLP that uses one hidden layer twice.
# `SharedMLP(4, 8, 1)` has three linear layers: `first` from 4 to 8 numbers, `hidden` from 8 to 8, and `last` from 8 to 1.
# In `forward`, the input goes through `first`, `hidden`, the same `hidden` again, and `last`.
# `F.relu` is applied to the output of `first` and to both outputs of `hidden`.
# `net.state_dict()` has six entries: a weight and a bias for each of the three layers.
#
# To practice (easy): `python -m d2lblocks practice start parameters/2`

# %% [markdown]
# #### Solution

# %% [markdown]
# The layer is created once and called twice.
# Nothing has to be copied from one place to the other, because both calls use the same parameters.
#
# *parameters/2_shared.py*

# %%
from torch.nn import functional as F


class SharedMLP(nn.Module):
    def __init__(self, in_features, hidden_features, out_features):
        super().__init__()
        self.first = nn.Linear(in_features, hidden_features)
        self.hidden = nn.Linear(hidden_features, hidden_features)
        self.last = nn.Linear(hidden_features, out_features)

    def forward(self, X):
        X = F.relu(self.first(X))
        X = F.relu(self.hidden(X))
        X = F.relu(self.hidden(X))
        return self.last(X)

# %% [markdown]
# The net trains, and the gradient of the shared weight is the sum of the gradients from its two places.
# To get the two gradients separately, the snippet puts a copy of `hidden` into the second place and runs the net again:

# %%
torch.manual_seed(0)
net = SharedMLP(4, 8, 1)
X = torch.rand(64, 4)
Y = X.sum(dim=1, keepdim=True)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
losses = []
for _ in range(200):
    optimizer.zero_grad()
    loss = F.mse_loss(net(X), Y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(losses[-1] < losses[0] / 10)
#> True

optimizer.zero_grad()
second = copy.deepcopy(net.hidden)
F.mse_loss(net(X), Y).backward()
total = net.hidden.weight.grad

untied = nn.Sequential(
    net.first, nn.ReLU(), net.hidden, nn.ReLU(), second, nn.ReLU(), net.last
)
optimizer.zero_grad()
F.mse_loss(untied(X), Y).backward()
separate = net.hidden.weight.grad + second.weight.grad
print(torch.allclose(total, separate, atol=1e-6))
#> True

# %% [markdown]
# ### Exercise 3
#
# The function `freeze(net, name)` is meant to freeze the module with this name, such as `"1"` or `"net.0"`, but it has five mistakes.
# Repair it: after the call, no parameter of this module requires a gradient, and the `.grad` of each is `None`, so that no optimizer changes them.
# All other parameters stay as they are, with their gradients: `freeze(net, "1")` does not freeze the module `10`.
# A module that is in the net under two names can be frozen under each of them.
# If there is no module with this name, the function raises an error.
#
# To practice (medium): `python -m d2lblocks practice start parameters/3`

# %% [markdown]
# #### Solution

# %% [markdown]
# The function has five mistakes.
# `require_grad` is misspelled, so it is a new attribute, and nothing is frozen.
# The prefix `1` also matches the names of the module `10`.
# A parameter with two names is listed under its first name only.
# An old gradient stays, and the next step of the optimizer uses it.
# If no module has the name, nothing happens, and there is no error.
# It is easier to get the module and to let its own methods do the rest:
#
# *parameters/3_freeze.py*

# %%
def freeze(net, name):
    module = net.get_submodule(name)
    module.requires_grad_(False)
    module.zero_grad()

# %%
net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(11)))
net(torch.ones(1, 2)).sum().backward()
freeze(net, "1")
print([name for name, each in net.named_parameters() if not each.requires_grad])
#> ['1.weight', '1.bias']
print(net[1].weight.grad, net[10].weight.grad is None)
#> None False

# %% [markdown]
# ### Exercise 4
#
# Write two functions, to see how much memory a model saves by sharing one matrix.
# `language_model(words, features)` returns an `nn.Sequential` of an `nn.Embedding(words, features)` and an `nn.Linear(features, words, bias=False)` with tied weights.
# `size(net)` returns how many bytes the parameters and buffers of any net take, with each tensor counted once.
# Different tensors of a net can have different dtypes.
# `size` also works for a net on the meta device, where a tensor has a shape and a dtype but no memory.
#
# To practice (medium): `python -m d2lblocks practice start parameters/4`

# %% [markdown]
# #### Solution

# %% [markdown]
# Both layers have a matrix with one row per word, so they can share one matrix.
# A second matrix costs memory, and it has to be learned too.
#
# *parameters/4_tied.py*

# %%
def language_model(words, features):
    table = nn.Embedding(words, features)
    scores = nn.Linear(features, words, bias=False)
    scores.weight = table.weight
    return nn.Sequential(table, scores)


def size(net):
    tensors = [*net.parameters(), *net.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

# %% [markdown]
# On the meta device, you can compute the memory of a large model without allocating it, here for 50,000 words with 512 numbers per word.
# The second model has the same two layers without the tie.

# %%
with torch.device("meta"):
    tied = language_model(50_000, 512)
    untied = nn.Sequential(
        nn.Embedding(50_000, 512), nn.Linear(512, 50_000, bias=False)
    )
for model in (tied, untied):
    equal = size(model) == parameter_table(model).bytes
    print(f"{size(model) / 2**20:.0f} MiB", equal)
#> 98 MiB True
#> 195 MiB True

# %% [markdown]
# ### Exercise 5
#
# Weight decay is intended for weight matrices, not for biases or the scales of normalization layers.
# Write a function `decay_groups(net, decay)` that returns a list of two parameter groups for an optimizer, as in `torch.optim.AdamW(decay_groups(net, 0.01))`.
# The first group holds the parameters with two or more dimensions, with `decay` as its `"weight_decay"`.
# The second group holds all others, with a weight decay of 0.
# A frozen parameter is in neither group, and a parameter with two names is in its group once.
#
# To practice (medium): `python -m d2lblocks practice start parameters/5`

# %% [markdown]
# #### Solution

# %% [markdown]
# The weight of a linear or convolution layer has two or more dimensions.
# A bias has one dimension, and so does the scale of most normalization layers.
#
# *parameters/5_decay_groups.py*

# %%
def decay_groups(net, decay):
    parameters = [
        parameter for parameter in net.parameters() if parameter.requires_grad
    ]
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]

# %%
net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))
optimizer = torch.optim.AdamW(decay_groups(net, 0.01), lr=1e-3)
print(
    [
        (len(group["params"]), group["weight_decay"])
        for group in optimizer.param_groups
    ]
)
#> [(2, 0.01), (4, 0.0)]

# %% [markdown]
# **Limitation.** The rule is not exact: it applies weight decay to embeddings and to a `LayerNorm` over two dimensions.
# A lazy net needs its dry run first.

# %% [markdown]
# ### Exercise 6
#
# Loading can untie the tied weights of a model, so a training script checks them before its first step.
# Write `ties(net)`, which returns the names of the tied parameters: one list of names for each parameter that has two or more names.
# The lists can be in any order, and so can the names in a list.
# Two parameters that use the same memory are not tied, because each has its own gradient.
# Write `tie(net, groups)`, which ties the weights again: afterward, all names of a list in `groups` refer to the parameter of the first name.
# All other names stay as they are.
#
# To practice (hard): `python -m d2lblocks practice start parameters/6`

# %% [markdown]
# #### Solution

# %% [markdown]
# Tied weights are one `nn.Parameter` object, so the check groups the names by object.
# To tie a name, set it on the module that holds it, which is at the path before the last dot.
#
# *parameters/6_ties.py*

# %%
def ties(net):
    names = {}
    for name, parameter in net.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return [group for group in names.values() if len(group) > 1]


def tie(net, groups):
    for first, *others in groups:
        for path in others:
            owner, _, name = path.rpartition(".")
            setattr(net.get_submodule(owner), name, net.get_parameter(first))

# %% [markdown]
# A training script keeps the groups before it loads, and ties the weights again afterward:

# %%
table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
model = nn.Sequential(table, scores)
torch.save(model.state_dict(), "model.pt")
groups = ties(model)
print(groups)
#> [['0.weight', '1.weight']]

model.load_state_dict(torch.load("model.pt"), assign=True)
print(ties(model), shared_names(model))
#> [] [['0.weight', '1.weight']]

tie(model, groups)
print(ties(model))
#> [['0.weight', '1.weight']]

# %% [markdown]
# `shared_names` cannot find this problem: after `load_state_dict(torch.load(path), assign=True)`, the two parameters still use the same memory, even though they are two objects.

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | one parameter | `net[2].bias`, `net.get_parameter("2.bias")` |
# | its value, its gradient | `.detach()`, `.grad` |
# | all parameters, by name | `net.named_parameters()` |
# | buffers and additional names too | `net.state_dict()`, `parameter_table(net)` |
# | to change values | `with torch.no_grad(): parameter.copy_(...)`, `set_tensor(net, path, value)` |
# | to freeze | `net.requires_grad_(False)` |
# | to share | one layer in two places, or `b.weight = a.weight` |
# | to see what is shared | `is`, `shared_names(net)` |
# | a separate learning rate for one layer | `optimizer.add_param_group(...)` |
# | an optimizer that holds everything | `torch.optim.SGD(net.parameters(), lr=...)`, after all changes |
#
# The library's functions are in `d2lblocks.parameters`.
#
# Next: Initialization, to choose the values that parameters have before training.
