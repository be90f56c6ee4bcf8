# %% [markdown]
# # Lazy initialization
#
# This is the page "Lazy initialization" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# After this page you can leave input sizes to the first batch, tell what a net can and cannot do until then, and give it its shapes without training a step.

# %%
import torch
from torch import nn

X = torch.rand(2, 20)

# %% [markdown]
# ## A layer that waits
#
# `nn.LazyLinear(256)` knows how many values it gives, and not how many it takes:

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
# Its weight is there, as an object with a name, and has neither shape nor values.
# The first batch brings them:

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
# The layers are plain `nn.Linear` now.
# So a lazy layer does not take inputs of any size: it takes those of the size that came first.

# %%
try:
    net(torch.rand(2, 30))
except RuntimeError as error:
    print(type(error).__name__, net[0].in_features)
#> RuntimeError 20

# %% [markdown]
# (A picture: Three stages from left to right. Before: a LazyLinear whose weight and bias are uninitialized Parameters without shape or values. The first batch, of shape (2, 20): a hook reads the last size, makes the memory, draws the values, and removes itself. After: a Linear whose weight is the same Parameter object, now of shape (256, 20).)
#
# A lazy layer registers a hook on itself, a function that PyTorch calls before `forward`.
# At the first call the hook reads the size from the input, gives the parameters memory, and calls `reset_parameters`; then it removes itself, and changes the class of the layer.
# The parameters are the same objects before and after; their class changes from `UninitializedParameter` to `Parameter`:

# %%
layer = nn.LazyLinear(256)
weight = layer.weight
layer(X)
print(layer.weight is weight, type(weight) is nn.Parameter, type(layer) is nn.Linear)
#> True True True

# %% [markdown]
# ## Until the first batch
#
# What asks for names, types or objects works; what asks for a shape or for values does not, with few exceptions.
# Each attempt gets a new layer:

# %%
import copy


attempts = {
    "names": lambda layer: list(layer.state_dict()),
    "another type": lambda layer: layer.double(),
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
#> another type     works
#> an optimizer     works
#> a copy           works
#> loading          works
#> the shape        RuntimeError
#> counting         ValueError
#> initializing     ValueError
#> freezing         ValueError

# %% [markdown]
# An optimizer that is built now learns, and `requires_grad_` refuses although `parameter.requires_grad = False` works.
# Two answers are wrong without an error, since the weight will have two dimensions:

# %%
print(nn.LazyLinear(3).weight.size(), nn.LazyLinear(3).weight.ndim)
#> torch.Size([0]) 1

# %% [markdown]
# `uninitialized_names` lists what a net is still waiting for; a table of its parameters shows `?` in place of such a shape.

# %%
from d2lblocks import uninitialized_names

net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(10))
print(uninitialized_names(net))
#> ['2.weight', '2.bias']

# %% [markdown]
# ## The dry run
#
# To count, to initialize, to freeze, you need the shapes before training begins.
# A *dry run* sends a batch through the net for its shapes, and forgets the result.
# The batch has to have the right shape and type, and one example is enough; the values do not matter, unless they are indices for an embedding.
#
# A forward pass in training mode changes more than shapes.
# Batch normalisation updates its running mean and variance:

# %%
net = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
net(X)
print(net[1].num_batches_tracked, bool((net[1].running_mean == 0).all()))
#> tensor(1) False

# %% [markdown]
# And dropout draws random numbers, from the stream that the next lazy layer uses for its weights:

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
# The net that ran in training mode has other weights than the net with sizes.
# So a dry run by hand sets evaluation mode, switches gradients off, and goes back to training mode.
# `torch.no_grad()` is right here, and `torch.inference_mode()` is not: parameters made in it cannot be trained.

# %% [markdown]
# ## `apply_init`
#
# `apply_init` does a dry run, and then, if you want, initializes:

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
# What changes: parameters and buffers that waited have shapes and values.
# The random stream has moved as far as building the layers with their sizes would have moved it, and by what `init` draws.
#
# What must not change, and does not: the training mode of every module, running statistics and other buffers, gradients, all parameters that had values, and the input.
# What dropout or noise draws in the dry run is forgotten: the stream does not move for it.

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
# A wrong input leaves everything as it was, the random stream too, and the error says where it stopped:

# %%
net = nn.Sequential(nn.LazyConv2d(8, kernel_size=3), nn.ReLU(), nn.Conv2d(9, 4, kernel_size=3))
try:
    apply_init(net, torch.rand(1, 3, 32, 32))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: the dry run failed in '2', Conv2d(9, 4, kernel_size=(3, 3), stride=(1, 1)): it got shape (1, 8, 30, 30), and expects shape (N, 9, H, W): RuntimeError: Given groups=1, weight of size [4, 9, 3, 3], expected input[1, 8, 30, 30] to have 9 channels, but got 8 channels instead

# %%
print(uninitialized_names(net))
#> ['0.weight', '0.bias']

# %% [markdown]
# The same call by hand would have left the first layer with a size, chosen by a batch that was wrong.
# A layer that the forward pass does not reach is an error as well, because it would be lazy still.
# For a net without lazy layers, the dry run checks the input and changes nothing.
#
# If your net takes its inputs by name, pass them by name, as in `apply_init(net, input_ids=ids)`; only `init` is not passed on to the net.
# Lazy layers of other libraries, such as PyTorch Geometric, get their shapes too, because `apply_init` repeats the hooks that initialize them.
#
# **The price.** `apply_init` copies what the net holds, and keeps the copy until it is done.

# %% [markdown]
# ## Convolutions and normalisation
#
# | Lazy class | Takes from the first batch | Becomes |
# |---|---|---|
# | `nn.LazyLinear(out_features)` | the last size | `nn.Linear` |
# | `nn.LazyConv2d(out_channels, kernel_size)` | the channels | `nn.Conv2d` |
# | `nn.LazyConvTranspose2d(out_channels, kernel_size)` | the channels | `nn.ConvTranspose2d` |
# | `nn.LazyBatchNorm2d()` | the channels | `nn.BatchNorm2d` |
# | `nn.LazyInstanceNorm2d()` | the channels | `nn.InstanceNorm2d` |
#
# All but the first have a 1d and a 3d form, too.
# A lazy instance norm has a weight, a bias and running statistics by default, which `nn.InstanceNorm2d` has not.
# `nn.LayerNorm`, `nn.Embedding`, recurrent and attention layers have no lazy form.
#
# They help most after a stack of convolutions, where the number of values is what padding, stride and pooling have left:

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
# A convolution takes the channels, and images of any size may follow; the linear layer has counted what was left of a 32 x 32 image, and takes no other.
#
# **The price.** You cannot read the sizes from the code.
# PyTorch calls lazy modules [experimental](https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html): their interface may change.
# `DistributedDataParallel` and `weight_norm` refuse them before the first batch.
# When a design is settled, print the net after the dry run and write the sizes down.

# %% [markdown]
# ## Seeds, and the half-lazy net
#
# An all-lazy chain gets the values that the same chain with sizes gets, as shown above: its layers draw one after the other, only later.
# That holds as long as nothing else draws between the seed and the first batch: make `X` before you set the seed.
# If some layers have sizes, they draw when they are built, and before all others:

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
# Nothing complains; the values are as good, and not the same.
# Exercise 5 makes the two equal.

# %% [markdown]
# ## Saving and loading
#
# The state of a net that has not seen a batch holds parameters without values.
# `torch.save` writes it, and `torch.load` does not read it:

# %%
import pickle

torch.save(nn.LazyLinear(3).state_dict(), "lazy.pt")
try:
    torch.load("lazy.pt")
except pickle.UnpicklingError as error:
    print(str(error).partition(".")[0])
#> Weights only load failed

# %% [markdown]
# Save after the first batch.
# Loading the other way round works: a state with values gives a lazy layer its shapes.

# %%
sized, waiting = nn.Linear(20, 3), nn.LazyLinear(3)
waiting.load_state_dict(sized.state_dict())
print(waiting.weight.shape, type(waiting).__name__, uninitialized_names(waiting))
#> torch.Size([3, 20]) LazyLinear []
print(torch.equal(waiting(X), sized(X)), type(waiting).__name__)
#> True Linear

# %% [markdown]
# The class is the lazy one until the first call.

# %% [markdown]
# ## What lazy nets can do
#
# Three things that are often denied.
#
# **An optimizer need not wait for the dry run.**
# It holds the parameters as objects, and these are filled in place:

# %%
net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
net(X).sum().backward()
before = net[0].weight.detach().clone()
optimizer.step()
print(torch.equal(net[0].weight, before))
#> False

# %% [markdown]
# The exceptions are optimizers that make something of each parameter's shape at once, and choices by shape: weight decay for `p.ndim >= 2` leaves out every parameter that waits, silently.
# So build the optimizer after the dry run when you can.

# %%
refused = []
for kind in (torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop, torch.optim.Adagrad):
    try:
        kind(nn.LazyLinear(8).parameters(), lr=0.1)
    except ValueError:
        refused.append(kind.__name__)
print(refused)
#> ['Adagrad']

# %% [markdown]
# **A lazy net can be copied**, unless it holds running statistics that wait, as those of a lazy batch norm.
# The copy is lazy, too, and gets its own shapes:

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
# **A saved state can be loaded**, as shown.

# %% [markdown]
# ## Other ways to postpone
#
# With sizes that are known, memory and values can still wait.
#
# On the *meta device* a tensor has a shape and a type, and no memory.
# A net made there can be counted, checked with an input from there, and filled later:

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
# [`torch.nn.utils.skip_init`](https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.skip_init.html) makes one module with memory and without drawing values, for weights that are about to be loaded:

# %%
before = torch.get_rng_state()
layer = nn.utils.skip_init(nn.Linear, 20, 3)
print(layer.weight.shape, torch.equal(torch.get_rng_state(), before))
#> torch.Size([3, 20]) True
layer.load_state_dict(sized.state_dict())
print(torch.equal(layer(X), sized(X)))
#> True

# %% [markdown]
# | Way | Shape | Memory | Values |
# |---|---|---|---|
# | lazy layer | first batch | first batch | first batch |
# | meta device | at once | `to_empty`, or `load_state_dict(..., assign=True)` | by you, or with the loaded state |
# | `skip_init` | at once | at once | by you, or with the loaded state |
#
# **The price.** Until you have filled it, a tensor from `to_empty` or `skip_init` holds whatever was in the memory.
# Not every module has `reset_parameters`, and what it misses looks like a number.
# Under `torch.use_deterministic_algorithms(True)` fresh memory is filled with nan, and what was missed can be seen:

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
# ### From the meta device to a working net
#
# You build a large net on the meta device to load it without drawing values that the file replaces anyway.
# `load_state_dict` copies into memory, and a meta net has none, so give it `assign=True`: the net then takes the tensors of the state as its parameters.
# Two things are missing afterwards: ties between weights, and buffers that are not saved.
# This net has both:

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
print([name for name, tensor in (*net.named_parameters(), *net.named_buffers()) if tensor.is_meta])
#> ['scale']

# %% [markdown]
# Tie the weights again, fill what is still on the meta device, and build the optimizer only now, because the parameters are new objects:

# %%
net.scores.weight = net.table.weight
net.scale = torch.full((4,), 0.5)
print(torch.equal(net(words), trained(words)))
#> True

# %% [markdown]
# The other way is `to_empty`, which gives every parameter and buffer memory of its own, so it unties weights as well.
# Tie again before you load; then `load_state_dict` and `load_parameters` copy as usual, and the buffer still has to be filled:

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
# **The price.** With `assign=True` the net shares memory with the state, and so do two nets that are filled from one state.
# PyTorch 2.13 also notes the choice in the state: if you load it again without `assign=True`, it is assigned all the same.
# So load the file again for each net:

# %%
state = torch.load("tied.pt")
first, second = Tied(), Tied()
first.load_state_dict(state, assign=True)
second.load_state_dict(state)
print(first.table.weight.data_ptr() == second.table.weight.data_ptr())
#> True

# %% [markdown]
# ## In the library
#
# The source of `d2lblocks.lazy`, docstrings aside.
# A way to see what waits:
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
# `apply_init` takes a snapshot of the net, does the dry run, and restores the snapshot, whatever happened.
# Only then does it initialize the lazy modules: it calls their hooks once more, with the inputs that the dry run brought them.
# If that fails, it restores the snapshot again.
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
# The dry run adds two hooks to every module, which note the call under way for the error message.
# It also wraps the hooks that the modules have, and notes those after which a lazy tensor has its shape.
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
# It agrees with the dry run by hand:

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
# You asked a lazy layer for its shape before its first batch:

# %%
try:
    nn.LazyLinear(3).weight.shape
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before accessing their attributes.

# %% [markdown]
# Most other questions give a `ValueError` that names the function:

# %%
try:
    sum(parameter.numel() for parameter in nn.LazyLinear(3).parameters())
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Attempted to use an uninitialized parameter in <method 'numel' of 'torch._C.TensorBase' objects>. This error happens when you are using a `LazyModule` or explicitly manipulating `torch.nn.parameter.UninitializedParameter` objects. When using LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch functions

# %% [markdown]
# Fix: the dry run.

# %%
print(sum(parameter.numel() for parameter in apply_init(nn.LazyLinear(3), X).parameters()))
#> 63

# %% [markdown]
# ### `apply` skipped the lazy layers
#
# `type(module) == nn.Linear` is false for an `nn.LazyLinear`, and the function does nothing, silently.

# %%
def zero_exactly_linear(module):
    if type(module) == nn.Linear:  # noqa: E721
        nn.init.zeros_(module.weight)


net = nn.Sequential(nn.LazyLinear(3)).apply(zero_exactly_linear)
net(X)
print(bool((net[0].weight == 0).all()))
#> False

# %% [markdown]
# After the first batch, `type(module) == nn.LazyLinear` is false instead, because the layer is an `nn.Linear` by then.
# Fix: `isinstance`, which finds the lazy layer, and `apply` after the first batch; before it, filling the layer raises `Attempted to use an uninitialized parameter`.

# %%
def zero_linear(module):
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.weight)


print(bool((apply_init(nn.LazyLinear(3), X, init=zero_linear).weight == 0).all()))
#> True

# %% [markdown]
# ### `'Parameter' object has no attribute 'materialize'`
#
# You tied the weights of two lazy layers before the first batch.
# The first layer fills the common parameter, and the second finds nothing that waits:

# %%
net = nn.Sequential(nn.LazyLinear(20), nn.LazyLinear(20))
net[1].weight = net[0].weight
try:
    net(X)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Parameter' object has no attribute 'materialize'

# %% [markdown]
# Fix: tie after the dry run, or put one layer in two places.

# %%
net = apply_init(nn.Sequential(nn.LazyLinear(20), nn.LazyLinear(20)), X)
net[1].weight = net[0].weight
print(net(X).shape)
#> torch.Size([2, 20])

layer = nn.LazyLinear(20)
print(nn.Sequential(layer, layer)(X).shape)
#> torch.Size([2, 20])

# %% [markdown]
# ### `Weights only load failed`, from a state of your own
#
# You saved a net before its first batch, as shown above.
# Loading without `weights_only` would bring back parameters without values, and run whatever code is in the file.
# Fix: check before you save.

# %%
net = nn.Sequential(nn.LazyLinear(3))
print(uninitialized_names(net))
#> ['0.weight', '0.bias']
torch.save(apply_init(net, X).state_dict(), "net.pt")
print(list(torch.load("net.pt")))
#> ['0.weight', '0.bias']

# %% [markdown]
# ### The same seed, other weights
#
# Your net is half lazy, its dry run ran dropout, or something drew between the seed and the first batch: seeds, the dry run.
# Fix: all layers lazy or none, the input before the seed, and `apply_init`.

# %%
torch.manual_seed(0)
first = apply_init(lazy(), X)
torch.manual_seed(0)
second = nn.Sequential(nn.Linear(20, 8), nn.Dropout(), nn.Linear(8, 3))
print(torch.equal(first[2].weight, second[2].weight))
#> True

# %% [markdown]
# ### `Attempted to use an uninitialized parameter`, from `requires_grad_`
#
# You froze a net that still waits.

# %%
try:
    nn.LazyLinear(3).requires_grad_(False)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# Fix: freeze after the dry run.

# %%
print(apply_init(nn.LazyLinear(3), X).requires_grad_(False).weight.requires_grad)
#> False

# %% [markdown]
# ### `Expected more than 1 value per channel when training`
#
# One example is enough for shapes, and not for the variance of a batch.

# %%
try:
    nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())(X[:1])
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Expected more than 1 value per channel when training, got input size torch.Size([1, 4])

# %% [markdown]
# Fix: evaluation mode for the dry run.

# %%
net = apply_init(nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d()), X[:1])
print(net[1].num_features)
#> 4

# %% [markdown]
# ### The lazy layer has shape `(0,)`
#
# `.to("meta")` turns parameters that wait into empty ones, for good:

# %%
layer = nn.LazyLinear(3).to("meta")
print(uninitialized_names(layer), tuple(layer.weight.shape))
#> [] (0,)

# %% [markdown]
# Fix: make it on the meta device, and give it a meta input.

# %%
with torch.device("meta"):
    layer = nn.LazyLinear(3)
    layer(torch.empty(2, 20))
print(tuple(layer.weight.shape))
#> (3, 20)

# %% [markdown]
# ### `in_channels` is 0 after loading
#
# The state brings the weight, so the first batch has nothing left to initialize, and most lazy classes then leave `in_channels` or `num_features` at 0.
# The layer computes correctly, but whatever reads the attribute is wrong.

# %%
conv = nn.LazyConv2d(4, kernel_size=3)
conv.load_state_dict(nn.Conv2d(3, 4, kernel_size=3).state_dict())
conv(torch.rand(1, 3, 9, 9))
print(conv)
#> Conv2d(0, 4, kernel_size=(3, 3), stride=(1, 1))

# %% [markdown]
# A file of other sizes is also accepted: this layer should have 3 outputs and has 5.

# %%
layer = nn.LazyLinear(3)
print(layer.load_state_dict(nn.Linear(20, 5).state_dict()), layer(X).shape)
#> <All keys matched successfully> torch.Size([2, 5])

# %% [markdown]
# Fix: do the dry run first.
# `load_state_dict` then compares, and the attributes are right:

# %%
try:
    apply_init(nn.LazyLinear(3), X).load_state_dict(nn.Linear(20, 5).state_dict())
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for Linear:
#>     size mismatch for weight: copying a param with shape torch.Size([5, 20]) from checkpoint, the shape in current model is torch.Size([3, 20]).
#>     size mismatch for bias: copying a param with shape torch.Size([5]) from checkpoint, the shape in current model is torch.Size([3]).

# %% [markdown]
# Or use `load_parameters`, which does both without a batch:

# %%
save_parameters(nn.Conv2d(3, 4, kernel_size=3), "conv.safetensors")
print(load_parameters(nn.LazyConv2d(4, kernel_size=3), "conv.safetensors").in_channels)
#> 3

# %% [markdown]
# ### `Cannot copy out of meta tensor; no data!`
#
# `load_state_dict` reports that all keys match, but nothing is loaded.
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
# The error comes when the net is moved:

# %%
try:
    net.to("cpu")
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from meta to a different device.

# %% [markdown]
# Fix: `assign=True`, and what else is missing.

# %%
net.load_state_dict(sized.state_dict(), assign=True)
print(torch.equal(net(X), sized(X)))
#> True

# %% [markdown]
# If the same message comes after that, a buffer that is not saved is still on the meta device.

# %% [markdown]
# ### `SymIntArrayRef expected to contain only concrete integers`
#
# The compiler replaces a size that can change by a symbol, with `dynamic=True` at once, and otherwise when a second net of the same code has another size.
# A lazy layer needs the number.

# %%
net = torch.compile(nn.Sequential(nn.LazyLinear(3)), backend="eager", dynamic=True)
try:
    net(X)
except Exception as error:  # InternalTorchDynamoError
    print(str(error).splitlines()[0].rpartition(": ")[2])
#> SymIntArrayRef expected to contain only concrete integers

# %% [markdown]
# Fix: the dry run first.
# `apply_init` also takes the compiled net.

# %%
net = torch.compile(nn.Sequential(nn.LazyLinear(3)), backend="eager", dynamic=True)
print(apply_init(net, X)(X).shape)
#> torch.Size([2, 3])

# %% [markdown]
# ### `Modules with uninitialized parameters can't be used with DistributedDataParallel`
#
# The wrapper sends the parameters of the first process to all others, so it needs their shapes.

# %%
import torch.distributed as dist

dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
try:
    nn.parallel.DistributedDataParallel(nn.LazyLinear(3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Modules with uninitialized parameters can't be used with `DistributedDataParallel`. Run a dummy forward pass to correctly initialize the modules

# %% [markdown]
# Fix: the dry run first.

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
# You give the input size to the first layer, and leave all others lazy.
# What is initialized, and when?

# %% [markdown]
# #### Solution

# %% [markdown]
# The first layer when it is built; the others with the first batch, although their sizes would follow from those before them.
# A layer knows its input, not its neighbours.

# %%
net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(32), nn.LazyLinear(10))
print(uninitialized_names(net))
#> ['2.weight', '2.bias', '3.weight', '3.bias']
net(X)
print(uninitialized_names(net))
#> []

# %% [markdown]
# ### Exercise 2
#
# You give sizes that do not match.
# What happens to the layers in front of the mismatch?

# %% [markdown]
# #### Solution

# %% [markdown]
# The forward pass stops at the mismatch, and whatever came before it has its shapes by then:

# %%
net = nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.Linear(32, 16), nn.LazyLinear(10))
try:
    net(X)
except RuntimeError:
    print(net[0], uninitialized_names(net))
#> Linear(in_features=20, out_features=64, bias=True) ['3.weight', '3.bias']

# %% [markdown]
# Under `apply_init` nothing has its shape afterwards, and the error names the layer.

# %% [markdown]
# ### Exercise 3
#
# Your inputs vary in size.
# Which layers mind, and what can be done?

# %% [markdown]
# #### Solution

# %% [markdown]
# A linear layer minds the last size, a convolution the channels; batch size, height and width may vary for a convolution.
# In front of a linear layer, `nn.AdaptiveAvgPool2d` brings images of every size to one.

# %%
net = nn.Sequential(
    nn.LazyConv2d(16, kernel_size=3),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(4),
    nn.Flatten(),
    nn.LazyLinear(10),
)
apply_init(net, torch.rand(1, 3, 32, 32))
print(net(torch.rand(8, 3, 64, 48)).shape)
#> torch.Size([8, 10])

# %% [markdown]
# Sequences of different lengths are padded to one.

# %% [markdown]
# ### Exercise 4
#
# How many parameters would `small_convnet` have for images of 32, 64 and 224 pixels?
# Find out without using memory for them.

# %% [markdown]
# #### Solution

# %% [markdown]
# On the meta device the dry run costs nothing, and the sizes are the true ones.

# %%
from d2lblocks import parameter_table

for size in (32, 64, 224):
    with torch.device("meta"):
        net = apply_init(small_convnet(), torch.empty(1, 3, size, size))
    print(size, net[5].in_features, parameter_table(net).trainable_values)
#> 32 784 9098
#> 64 3600 37258
#> 224 48400 485258

# %% [markdown]
# ### Exercise 5
#
# A colleague's net has sizes, yours is half lazy, and both set the same seed.
# Make the weights equal without touching the nets' code.

# %% [markdown]
# #### Solution

# %% [markdown]
# After the dry run both have the same layers; let them all draw again, in the order of the modules, from the same seed.
# That is the order in which a chain draws when it is built.

# %%
def draw_again(net, seed):
    torch.manual_seed(seed)
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return net


torch.manual_seed(0)
theirs = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))
mine = apply_init(nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 3)), X)
draw_again(mine, seed=0)
print(all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters())))
#> True

# %% [markdown]
# **The price.** Modules with parameters of their own and no `reset_parameters` are left out, and a net that sets its values in `__init__` loses them.

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | a layer that takes its input size from the first batch | `nn.LazyLinear(256)`, `nn.LazyConv2d(16, 3)`, `nn.LazyBatchNorm2d()` |
# | to see what still waits | `uninitialized_names(net)` |
# | the shapes before training | `apply_init(net, X)` |
# | to initialize a lazy net | `apply_init(net, X, init=f)` |
# | the dry run by hand | `net.eval()`, `torch.no_grad()`, `net(X)`, `net.train()` |
# | to count, freeze, tie, save | do it after the dry run |
# | an optimizer | after it; before it works for most |
# | the weights of the net with sizes, under one seed | all layers lazy, or none |
# | to load a saved state | `load_state_dict`, before or after it |
# | sizes without memory | `with torch.device("meta")` |
# | a module without drawn values | `nn.utils.skip_init(nn.Linear, 20, 3)` |
#
# The functions of this page: `d2lblocks.lazy`.
# Before it: Initialization.
# Next: Custom layers.
# All tables on one page: Cheat sheet.
