# %% [markdown]
# # File I/O
#
# This is the page "File I/O" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks`, `numpy`, `safetensors` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# After this page you can save and load what was learned, resume a training run bit for bit, and say which files you may open.

# %%
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)

# %% [markdown]
# ## Tensors, lists, dictionaries
#
# `torch.save` writes an object to a file, `torch.load` reads it:

# %%
x, y = torch.arange(4), torch.zeros(4)
torch.save(x, "x.pt")
print(torch.load("x.pt"))
#> tensor([0, 1, 2, 3])

torch.save([x, y], "list.pt")
x2, y2 = torch.load("list.pt")
print(x2, y2)
#> tensor([0, 1, 2, 3]) tensor([0., 0., 0., 0.])

torch.save({"x": x, "y": y}, "dict.pt")
print(torch.load("dict.pt"))
#> {'x': tensor([0, 1, 2, 3]), 'y': tensor([0., 0., 0., 0.])}

# %% [markdown]
# ## What was learned: `state_dict`
#
# You need not save the net itself, only its tensors: the parameters, and the buffers that belong to the result.
# `state_dict()` gives them by name:

# %%
class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 256)
        self.out = nn.Linear(256, 10)

    def forward(self, X):
        return self.out(F.relu(self.hidden(X)))


net, X = MLP(), torch.rand(2, 20)
Y = net(X)
torch.save(net.state_dict(), "mlp.pt")
print(list(torch.load("mlp.pt")))
#> ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']

# %% [markdown]
# The file says nothing of `relu`, nor of the class.
# To use it, build the net again, and fill it:

# %%
clone = MLP()
print(clone.load_state_dict(torch.load("mlp.pt")))
#> <All keys matched successfully>
print(torch.equal(clone.eval()(X), Y))
#> True

# %% [markdown]
# `eval()` is for nets with dropout or batch normalisation; here nothing changes by it.

# %% [markdown]
# ### Three ways to keep the architecture, too
#
# 1. **The code, and its arguments in the file.**
#    The usual way: the class lives in your repository, and the file holds what its constructor needs.

# %%
sized = nn.Sequential(nn.Linear(20, 64), nn.Linear(64, 10))
torch.save({"sizes": [20, 64, 10], "net": sized.state_dict()}, "with_sizes.pt")

loaded = torch.load("with_sizes.pt")
n_in, n_hidden, n_out = loaded["sizes"]
rebuilt = nn.Sequential(nn.Linear(n_in, n_hidden), nn.Linear(n_hidden, n_out))
print(rebuilt.load_state_dict(loaded["net"]))
#> <All keys matched successfully>

# %% [markdown]
# 2. **The computation as a graph**, by [`torch.export`](https://docs.pytorch.org/docs/stable/export.html).
#    The file holds operations and weights, and needs none of your code.
#    It keeps the mode, the device and the batch size of the example: `eval()` first, and for other batch sizes see export.

# %%
torch.export.save(torch.export.export(net.eval(), (X,)), "mlp.pt2")
program = torch.export.load("mlp.pt2").module()
print(torch.allclose(program(X), Y))
#> True

# %% [markdown]
# 3. **The object itself**, `torch.save(net, "net.pt")`.
#    The file names your class, and finds it only as long as it keeps its name and module; and to read it, PyTorch has to run what the file says: below.

# %% [markdown]
# ## Does it fit?
#
# `load_state_dict` compares names and shapes, and tells what does not fit:

# %%
class Renamed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(20, 256)
        self.out = nn.Linear(256, 5)


try:
    Renamed().load_state_dict(net.state_dict())
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for Renamed:
#>     Missing key(s) in state_dict: "first.weight", "first.bias". 
#>     Unexpected key(s) in state_dict: "hidden.weight", "hidden.bias". 
#>     size mismatch for out.weight: copying a param with shape torch.Size([10, 256]) from checkpoint, the shape in current model is torch.Size([5, 256]).
#>     size mismatch for out.bias: copying a param with shape torch.Size([10]) from checkpoint, the shape in current model is torch.Size([5]).

# %% [markdown]
# **The price.** It raises *after* it has copied what does fit, and leaves a net that is neither the old one nor the new one.
# Build a new net after an error, or use `load_parameters`, which checks everything first.

# %% [markdown]
# ### Prefixes
#
# `DataParallel` and `DistributedDataParallel` keep the net in their attribute `module`, `torch.compile` in `_orig_mod`; so each name of their state begins with that:

# %%
compiled = torch.compile(net, backend="eager")
print(list(compiled.state_dict())[:2])
#> ['_orig_mod.hidden.weight', '_orig_mod.hidden.bias']

# %% [markdown]
# When you save, save the net itself; `net.compile()` keeps the names as they are.
# When you are given such a file, take the prefix away.
# PyTorch's `consume_prefix_in_state_dict_if_present` changes the dictionary and returns nothing:

# %%
wrapped = {f"module.{name}": tensor for name, tensor in net.state_dict().items()}
nn.modules.utils.consume_prefix_in_state_dict_if_present(wrapped, "module.")
print(MLP().load_state_dict(wrapped))
#> <All keys matched successfully>

# %% [markdown]
# It looks at the beginning of each name only.
# If only a part of the net was compiled, `_orig_mod` is in the middle of the names, and the function does nothing, without an error:

# %%
partly = nn.Sequential(torch.compile(nn.Linear(20, 3), backend="eager"), nn.ReLU())
state = partly.state_dict()
nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "_orig_mod.")
print(list(state))
#> ['0._orig_mod.weight', '0._orig_mod.bias']

# %% [markdown]
# To remove every wrapper, wherever it is and however many there are, leave its part out of each name:

# %%
def unwrapped(state):
    def inner(name):
        return ".".join(part for part in name.split(".") if part not in ("module", "_orig_mod"))

    return {inner(name): tensor for name, tensor in state.items()}


print(list(unwrapped(state)))
#> ['0.weight', '0.bias']
twice = {f"module._orig_mod.{name}": tensor for name, tensor in net.state_dict().items()}
print(MLP().load_state_dict(unwrapped(twice)))
#> <All keys matched successfully>

# %% [markdown]
# Do not use it if your own net has an attribute named `module`.

# %% [markdown]
# ## Two layers for another net
#
# A part of a net is a module, and has a state of its own:

# %%
other = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 3))
other[0].load_state_dict(net.hidden.state_dict())
print(torch.equal(other[0].weight, net.hidden.weight))
#> True

# %% [markdown]
# In the state of the whole net, the part's names have its path in front:

# %%
state = torch.load("mlp.pt")
part = {name: state[f"hidden.{name}"] for name in ("weight", "bias")}
print(other[0].load_state_dict(part))
#> <All keys matched successfully>

# %% [markdown]
# ## Tied weights
#
# A tensor with two names stands in the state twice, and is stored once:

# %%
table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
tied = nn.Sequential(table, scores)
torch.save(tied.state_dict(), "tied.pt")
state = torch.load("tied.pt")
print(list(state), state["0.weight"].data_ptr() == state["1.weight"].data_ptr())
#> ['0.weight', '1.weight'] True

# %% [markdown]
# A tie is no part of the file: the net that loads has to be built with it.
# `load_state_dict` then keeps the tie, because it copies values into the tensors that the net has.
# An optimizer that was built before refers to the same tensors, and needs no change:

# %%
before = table.weight
tied.load_state_dict(state)
print(table.weight is before, scores.weight is before)
#> True True

# %% [markdown]
# A state whose two entries differ, from a net that was not tied, is taken without a word, and the last one wins:

# %%
state = {"0.weight": torch.zeros(5, 4), "1.weight": torch.ones(5, 4)}
tied.load_state_dict(state)
print(table.weight.detach().unique())
#> tensor([1.])

# %% [markdown]
# ## A view saves what it looks at
#
# A tensor looks at a block of memory, and `torch.save` writes the whole block, so that tensors which share it still share it afterwards:

# %%
import os

large = torch.zeros(1_000_000)
torch.save(large[:1], "view.pt")
torch.save(large[:1].clone(), "clone.pt")
print(os.path.getsize("view.pt") > 4_000_000, os.path.getsize("clone.pt") < 4_000)
#> True True

# %% [markdown]
# Call `clone()` on a small part of a large tensor first.

# %% [markdown]
# ## What is inside the file
#
# What `torch.save` writes is a zip archive.
# One part is a pickle with the names, and says of each tensor its shape, and where its numbers are; the numbers are in other parts, one for each block of memory.
# The two tied weights from above have two names, and one part:

# %%
import zipfile

with zipfile.ZipFile("tied.pt") as file:
    print([name for name in file.namelist() if name.startswith("tied/data")])
#> ['tied/data.pkl', 'tied/data/0']

# %% [markdown]
# (A picture: Two files with the same tied weights. On the left the zip archive of torch.save: tied/data.pkl, a pickle, has the names 0.weight and 1.weight with their shapes, and both point to tied/data/0, which holds 20 numbers of 4 bytes. On the right a safetensors file: after the length of the header comes the header, a text that says that 0.weight is of type F32, of shape 5 by 4, and in bytes 0 to 80, and that 1.weight is 0.weight; then come the bytes.)
#
# On the right is the same net in a safetensors file, as `save_parameters` writes it; checksums of all tensors are in its metadata as well.
# Its header is plain text, where the other file has a pickle; what that means for files from others stands below.

# %% [markdown]
# ## Resuming a run
#
# The net's state is not all that training needs.
# The optimizer has moments (running averages of the gradients), the scheduler counts steps, dropout and shuffling depend on the state of the random numbers.
# With all four, a run that was stopped gives bit for bit what the unstopped run gives:

# %%
def start():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    return net, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)


def train(net, optimizer, scheduler, steps):
    for _ in range(steps):
        X = torch.rand(8, 20)
        optimizer.zero_grad()
        F.mse_loss(net(X), X.sum(dim=1, keepdim=True)).backward()
        optimizer.step()
        scheduler.step()
    return net


unstopped = train(*start(), steps=6)

net, optimizer, scheduler = start()
train(net, optimizer, scheduler, steps=3)
checkpoint = {
    "net": net.state_dict(),
    "optimizer": optimizer.state_dict(),
    "scheduler": scheduler.state_dict(),
    "random": torch.get_rng_state(),
}
torch.save(checkpoint, "checkpoint.pt")

# %% [markdown]
# Another process would do this:

# %%
net, optimizer, scheduler = start()
loaded = torch.load("checkpoint.pt")
net.load_state_dict(loaded["net"])
optimizer.load_state_dict(loaded["optimizer"])
scheduler.load_state_dict(loaded["scheduler"])
torch.set_rng_state(loaded["random"])
train(net, optimizer, scheduler, steps=3)
print(all(torch.equal(a, b) for a, b in zip(net.parameters(), unstopped.parameters())))
#> True

# %% [markdown]
# Leave one of them out, and it is another run:

# %%
net, optimizer, scheduler = start()
net.load_state_dict(loaded["net"])
train(net, optimizer, scheduler, steps=3)
print(all(torch.equal(a, b) for a, b in zip(net.parameters(), unstopped.parameters())))
#> False

# %% [markdown]
# Save the number of steps as well, if your loop counts them; with `float16` the state of the `GradScaler`; the states of Python's `random` and of NumPy, if you use them; and the position in the data, if a run can stop within an epoch.
#
# On a GPU its random numbers have states of their own, `torch.cuda.get_rng_state_all()`, and equal bits also need `torch.use_deterministic_algorithms(True)`, the same card and the same versions.
# Load with `map_location="cpu"` there: `set_rng_state` refuses a state that was moved.
#
# `save_checkpoint` does all of this.

# %% [markdown]
# ## Devices
#
# A tensor remembers its device, and `torch.load` puts it there again.
# On a machine without that device this is an error; `map_location` says where to put tensors instead, and `"cpu"` is right nearly always, because `load_state_dict` copies to where the net is.

# %%
state = torch.load("mlp.pt", map_location="cpu")
print({tensor.device.type for tensor in state.values()})
#> {'cpu'}
shapes = torch.load("mlp.pt", map_location="meta")
print(shapes["out.weight"].shape, shapes["out.weight"].device)
#> torch.Size([10, 256]) meta

# %% [markdown]
# With `"meta"` only names, shapes and types are read.
#
# *Needs a CUDA GPU.*

# %%
if torch.cuda.device_count() >= 1:
    torch.save(torch.ones(2, device="cuda"), "on_gpu.pt")
    print(torch.load("on_gpu.pt").device.type, torch.load("on_gpu.pt", map_location="cpu").device)
    #> cuda cpu
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ## Who may run code
#
# `torch.save` uses `pickle`, and a pickle is a program: to build its objects, it may call any function that Python can import.
# This one calls `print`; it could call anything:

# %%
import pickle


class Greeting:
    def __reduce__(self):
        return print, ("code from the file is running",)


content = pickle.dumps(Greeting())
pickle.loads(content)
#> code from the file is running

# %% [markdown]
# `torch.load` therefore reads with `weights_only=True` unless told otherwise: tensors, numbers, strings, and containers of them; everything else is refused before it runs.

# %%
torch.save(Greeting(), "greeting.pt")
try:
    torch.load("greeting.pt")
except pickle.UnpicklingError as error:
    print(str(error).partition(".")[0])
#> Weights only load failed

torch.load("greeting.pt", weights_only=False)
#> code from the file is running

# %% [markdown]
# `weights_only=False` is for files that you have written yourself.
# The safe reader protects you from code in the file; it does not protect you from wrong numbers, from a file made to fill your memory, or from mistakes in the reader itself ([one](https://github.com/pytorch/pytorch/security/advisories/GHSA-53q9-r3pm-6pq6) was found and mended in PyTorch 2.6).
# For a file from somebody else, ask for safetensors.
#
# | Format | Holds | Can run code when it is read | Read by |
# |---|---|---|---|
# | `torch.save`, read with `weights_only=True` | tensors, numbers, strings, containers | not by design | PyTorch |
# | `torch.save`, read with `weights_only=False` | anything | yes | PyTorch, with your classes in their places |
# | [safetensors](https://huggingface.co/docs/safetensors) | tensors by name, and text | no | many programs, also without Python |
# | [`torch.distributed.checkpoint`](https://docs.pytorch.org/docs/stable/distributed.checkpoint.html) | tensors in pieces, from many processes | yes: its metadata is a pickle | PyTorch, with any number of processes |
# | [`torch.export.save`](https://docs.pytorch.org/docs/stable/export.html) | operations and weights | yes: parts of it are pickles | PyTorch, without your classes |

# %% [markdown]
# ## In the library
#
# `d2lblocks.serialization` has three pairs of functions.
# `save` and `load` are for tensors, lists and dictionaries:

# %%
from d2lblocks import load, load_parameters, save, save_parameters

save({"x": x, "losses": [0.5, 0.25]}, "data.pt")
print(load("data.pt"))
#> {'x': tensor([0, 1, 2, 3]), 'losses': [0.5, 0.25]}

# %% [markdown]
# What could not be loaded again is refused when it is saved, and the message says where it stands; a view is stored without the rest of its memory:

# %%
try:
    save({"metrics": [print]}, "data.pt")
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: cannot save builtin_function_or_method at ['metrics'][0]: expected tensors, numbers, strings, None, and lists, tuples and dicts of them

# %%
save(large[:1], "view.pt")
print(os.path.getsize("view.pt") < 4_000)
#> True

# %% [markdown]
# `save_parameters` and `load_parameters` keep a net's parameters and buffers in a safetensors file.

# %%
net = MLP()
save_parameters(net, "mlp.safetensors")
clone = load_parameters(MLP(), "mlp.safetensors")
print(torch.equal(clone(X), net(X)))
#> True

# %% [markdown]
# What they promise beyond `torch.save` and `load_state_dict`:
#
# - **A file is old or new, and whole.**
#   It is written under another name in the same folder, and then takes the place of the old one; if the program is killed while it writes, the old file stays.
# - **A net is filled or left alone.**
#   Everything is compared before the first value changes, and one error lists all that does not fit.
# - **Nothing is silent.**
#   Another type is an error unless you ask for a cast, and tied weights stay tied, or it is an error.
#   The file has a checksum of everything, and loading compares them.
# - **No code** from a file is ever run.

# %%
before = {name: tensor.clone() for name, tensor in clone.state_dict().items()}
save_parameters(Renamed(), "renamed.safetensors")
try:
    load_parameters(clone, "renamed.safetensors")
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading parameters for MLP from renamed.safetensors:
#>     Missing key(s): "hidden.weight", "hidden.bias".
#>     Unexpected key(s): "first.bias", "first.weight" (the nearest is "hidden.weight").
#>     size mismatch for out.weight: copying a param with shape torch.Size([5, 256]) from checkpoint, the shape in current model is torch.Size([10, 256]).
#>     size mismatch for out.bias: copying a param with shape torch.Size([5]) from checkpoint, the shape in current model is torch.Size([10]).
print(all(torch.equal(tensor, before[name]) for name, tensor in clone.state_dict().items()))
#> True

# %% [markdown]
# One bit of 24,000 changes in the file below, as a disk or a network may do it, and it is refused:

# %%
from d2lblocks import DamagedFileError

with open("mlp.safetensors", "r+b") as file:
    file.seek(-1000, os.SEEK_END)
    (byte,) = file.read(1)
    file.seek(-1000, os.SEEK_END)
    file.write(bytes([byte ^ 1]))

try:
    load_parameters(clone, "mlp.safetensors")
except DamagedFileError as error:
    print(error)
#> cannot load mlp.safetensors: 'out.weight' is damaged

# %% [markdown]
# `torch.load` and the library of safetensors read such a file without a word: they have nothing to compare it with.
# Here are 20,000 small files for each, of a net, of a net with tied weights, and of a net with its optimizer, each damaged once.
# Bits are flipped, parts cut off, left out, doubled, exchanged or overwritten, or the description of the tensors is edited.
# `torch.load` and `load_file` of safetensors are followed by `load_state_dict`, which changes some tensors before it finds that another does not fit.
#
# | read by | refused | as saved | wrong values | refused, yet changed | crashed or hung | kinds of errors |
# |---|--:|--:|--:|--:|--:|--:|
# | `d2lblocks` | 18,675 | 1,325 | 0 | 0 | 0 | 1 |
# | `torch.load(weights_only=True)` | 13,380 | 3,345 | 2,480 | 795 | 0 | 11 |
# | `safetensors` | 10,595 | 2,772 | 4,050 | 2,583 | 0 | 2 |
#
# - 300 writers killed, 146 of them in the middle of a file: nothing lost, nothing left.
# - 1000 saves by each of two processes at once: nobody failed, nothing left.
# - 1000 loads while another thread saved: 239 versions seen, all whole.
#
# A file from another program has no checksums: `load_parameters(net, path, verify=False)` loads it anyway.
# Such a program often writes a tied weight once and does not say which other names it has.
# If the net ties the missing name to one that the file has, nothing is missing:

# %%
from safetensors.torch import save_file

save_file({"0.weight": torch.ones(5, 4)}, "theirs.safetensors")
load_parameters(tied, "theirs.safetensors", verify=False)
print(scores.weight is table.weight, scores.weight.detach().unique())
#> True tensor([1.])

# %% [markdown]
# A file of another kind is recognized by its content, and the error says what opens it:

# %%
try:
    load("mlp.safetensors")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: cannot load mlp.safetensors: it is a safetensors file: load_parameters loads it into a net, safetensors.torch.load_file gives its tensors

# %% [markdown]
# **The price.** A safetensors file holds tensors and no other objects, and a checksum takes a second look at every byte.
# It finds accidents, not attacks: who can write the file can write the checksums, too.

# %% [markdown]
# ### Checkpoints
#
# `save_checkpoint` writes one file for a step of a run: the nets, the states of all other parts that you name, and the random states of Python, NumPy, PyTorch and its GPUs.
# `load_checkpoint` takes the last one that is whole:

# %%
from d2lblocks import load_checkpoint, save_checkpoint

model, optimizer, scheduler = start()
train(model, optimizer, scheduler, steps=3)
parts = {"net": model, "optimizer": optimizer, "scheduler": scheduler}
print(save_checkpoint("run", 3, **parts).name)
#> step-3.safetensors

model, optimizer, scheduler = start()
parts = {"net": model, "optimizer": optimizer, "scheduler": scheduler}
done = load_checkpoint("run", **parts)
train(model, optimizer, scheduler, steps=6 - done)
print(all(torch.equal(a, b) for a, b in zip(model.parameters(), unstopped.parameters())))
#> True

# %% [markdown]
# A loop that may be stopped at any time needs no more than that: `load_checkpoint` gives `None` where there is none, and leaves everything as it was.
# The last three checkpoints stay, unless `keep` says otherwise, and the one with the smallest `loss`:

# %%
for step, loss in enumerate([0.9, 0.2, 0.4, 0.3, 0.5], start=4):
    path = save_checkpoint("run", step, **parts, keep=2, loss=loss)
print(sorted(each.name for each in path.parent.iterdir()))
#> ['step-5.safetensors', 'step-7.safetensors', 'step-8.safetensors']
print(load_checkpoint("run", "best", net=model))
#> 5

# %% [markdown]
# A damaged one is skipped, with a warning that names it:

# %%
import warnings

path.write_bytes(path.read_bytes()[:-1])  # as if the disk had been full
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print(load_checkpoint("run", **parts))
#> 7
print(str(caught[0].message).partition(":")[0], path.name in str(caught[0].message))
#> skipped True

# %% [markdown]
# An optimizer of PyTorch stores its state by position: the first parameter, the second parameter, and so on.
# If you register layers of one shape in another order than before, `optimizer.load_state_dict` gives each layer the momentum of another one, without an error.
# A checkpoint also holds the names from the nets, so each parameter gets its own state back:

# %%
def build(names):
    layers = nn.ModuleDict({name: nn.Linear(2, 2, bias=False) for name in names})
    return layers, torch.optim.SGD(layers.parameters(), lr=0.1, momentum=0.9)


layers, momentum = build("qk")
(layers["q"].weight.sum() + 2 * layers["k"].weight.sum()).backward()
momentum.step()
save_checkpoint("attention", 1, net=layers, optimizer=momentum)

layers, momentum = build("kq")
load_checkpoint("attention", net=layers, optimizer=momentum)
print(momentum.state[layers["q"].weight]["momentum_buffer"].unique())
#> tensor([1.])

# %% [markdown]
# If a parameter is in only one of the two optimizers, or in another group, the error names it.
#
# Put everything else that the run must remember into a dictionary or a list: loading fills it in place.
# A random number generator can be a part too, such as the one that shuffles your data:

# %%
progress, shuffling = {"epoch": 3, "losses": [0.5, 0.25]}, torch.Generator()
save_checkpoint("attention", 2, progress=progress, shuffling=shuffling)
restored = {}
load_checkpoint("attention", progress=restored, shuffling=torch.Generator())
print(restored)
#> {'epoch': 3, 'losses': [0.5, 0.25]}

# %% [markdown]
# Give each run a folder of its own.
# In the folder of an older run that got further, `"last"` would mean the older run's checkpoint, so `save_checkpoint` warns you.
#
# **The price.** A state may hold tensors, numbers, strings, `None`, NumPy arrays, and lists, tuples, sets and dictionaries of them.
# Anything else is an error when you save, and the message says where it is.
# If a net has code of its own that runs when it is loaded, such as a hook or `set_extra_state`, a copy of the nets is kept until that code has run.
#
# When to use something else: `torch.save` for other objects; `safetensors.torch` to exchange weights with other programs; for nets that are spread over processes, the next section.

# %% [markdown]
# ### Nets in many processes
#
# A net that is too large for one GPU is spread over several, and no process has all of it.
# [`torch.distributed.checkpoint`](https://docs.pytorch.org/docs/stable/distributed.checkpoint.html) writes such a net, each process its own part, and reads it into any number of processes.
# Here are two, on the CPU, with a layer of six rows.
# `gloo` is the backend for CPUs; without that line PyTorch would also start the one for GPUs, which refuses two processes on one GPU:

# %%
import subprocess
import sys
from pathlib import Path

Path("spread.py").write_text("""
import gc

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.fsdp import fully_shard


def main():
    dist.init_process_group("gloo")
    mesh = dist.init_device_mesh("cpu", (2,))
    torch.manual_seed(0)
    net = nn.Linear(4, 6)
    fully_shard(net, mesh=mesh)
    dcp.save({"net": net.state_dict()}, checkpoint_id="spread")
    if dist.get_rank() == 0:
        print(len(net.weight.to_local()), "of", len(net.weight), "rows are here")


main()
gc.collect()  # the net refers to the processes' group, and threads of a group that lasts may crash the end
dist.destroy_process_group()
""")
command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "spread.py"]
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
#> 3 of 6 rows are here

# %% [markdown]
# One process, which knows nothing of the two, gets all rows:

# %%
import torch.distributed.checkpoint as dcp

torch.manual_seed(0)
original, whole = nn.Linear(4, 6), nn.Linear(4, 6)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says that it is alone
    dcp.load({"net": whole.state_dict()}, checkpoint_id="spread")
print(torch.equal(whole.weight, original.weight))
#> True

# %% [markdown]
# **The price.** A folder of many files, whose metadata is a pickle: only for checkpoints of your own.

# %% [markdown]
# ### What it costs
#
# A cell is the ratio to the limit, and the time.
# The limit of loading is copying the same tensors from one place in memory to another; that of saving is writing as many bytes to a file, which the system then brings to the disk when it likes.
# The last column is the most memory that a way took beside the net, over the size of the net of 1 GiB; a file that is mapped counts there, though the system can drop its pages at any time.
#
# | loading | 1 MiB | 100 MiB | 1 GiB | 2,000 layers | memory |
# | --- | --: | --: | --: | --: | --: |
# | from memory to memory: the limit | 1.00 ± 0.00, 35.4 µs | 1.00 ± 0.00, 7.35 ms | 1.00 ± 0.00, 66.5 ms | 1.00 ± 0.00, 17 ms | 0.00 |
# | `load_parameters(..., verify=False)` | 13.91 ± 2.60, 493 µs | 1.46 ± 0.07, 10.9 ms | 1.60 ± 1.53, 106 ms | 5.06 ± 2.11, 64.3 ms | 1.00 |
# | `load_parameters` | 13.24 ± 0.71, 469 µs | 2.30 ± 0.14, 16.8 ms | 2.58 ± 0.38, 171 ms | 7.42 ± 1.61, 94 ms | 1.00 |
# | safetensors: `load_file`, `load_state_dict` | 11.07 ± 0.90, 392 µs | 1.51 ± 0.10, 10.9 ms | 1.93 ± 0.29, 126 ms | 76.60 ± 17.56, 1.22 s | 1.00 |
# | safetensors: `load_model` | 12.75 ± 1.68, 447 µs | 1.42 ± 0.06, 10.4 ms | 1.71 ± 0.25, 114 ms | 65.74 ± 38.81, 1.09 s | 1.00 |
# | safetensors: `safe_open`, `copy_` | 9.50 ± 3.03, 333 µs | 1.36 ± 0.10, 9.68 ms | 1.64 ± 0.25, 104 ms | 4.17 ± 4.74, 70.8 ms | 1.00 |
# | `torch.load`, `load_state_dict` | 25.69 ± 0.50, 901 µs | 7.00 ± 0.56, 50.8 ms | 10.99 ± 0.33, 698 ms | 78.00 ± 50.18, 1.32 s | 1.00 |
# | `torch.load(mmap=True)`, `load_state_dict` | 29.02 ± 3.09, 1.04 ms | 1.84 ± 0.06, 13.7 ms | 2.23 ± 0.56, 148 ms | 66.75 ± 34.37, 1.13 s | 1.00 |
# | the same with `assign=True` | 25.88 ± 1.13, 908 µs | 0.62 ± 0.03, 4.52 ms | 0.82 ± 0.04, 54.7 ms | 97.40 ± 42.70, 1.31 s | 0.00 |
# | reading the file into memory | 1.52 ± 0.03, 54 µs | 2.37 ± 0.13, 17.4 ms | 2.99 ± 0.38, 190 ms | 0.00 ± 0.00, 37.9 µs | 0.00 |
# | touching every page of the mapped file | 1.39 ± 0.12, 49.8 µs | 0.46 ± 0.12, 3.28 ms | 0.91 ± 0.24, 58 ms | 0.00 ± 0.00, 62.7 µs | 1.00 |
#
# Medians of 3 rounds and half of the distance between their quartiles, 2026-11-21: 2 cores of AMD EPYC, Python 3.11.7, torch 2.13.0, safetensors 0.8.0, xxhash 4.1.0.
#
# | saving | 1 MiB | 100 MiB | 1 GiB | 2,000 layers | memory |
# | --- | --: | --: | --: | --: | --: |
# | writing as many bytes: the limit | 1.00 ± 0.00, 877 µs | 1.00 ± 0.00, 74.4 ms | 1.00 ± 0.00, 1.64 s | 1.00 ± 0.00, 405 µs | 0.00 |
# | `save_parameters`, `fsync` left out | 1.49 ± 0.22, 1.55 ms | 2.43 ± 1.05, 181 ms | 0.74 ± 0.29, 1.21 s | 249.81 ± 74.93, 105 ms | 0.00 |
# | safetensors: `save_file` | 1.33 ± 0.11, 1.17 ms | 1.20 ± 1.00, 110 ms | 0.54 ± 0.25, 904 ms | 254.62 ± 14.36, 105 ms | 0.00 |
# | safetensors: `save_model` | 1.44 ± 0.10, 1.26 ms | 1.25 ± 0.13, 103 ms | 0.63 ± 0.35, 1.02 s | 281.78 ± 64.18, 112 ms | 0.00 |
# | `torch.save` | 1.73 ± 0.12, 1.53 ms | 1.29 ± 0.08, 108 ms | 1.10 ± 0.32, 1.32 s | 324.14 ± 57.33, 129 ms | 0.00 |
# | `save_parameters` | 2.00 ± 0.23, 2.11 ms | 2.70 ± 0.63, 201 ms | 0.83 ± 1.58, 1.6 s | 177.95 ± 63.94, 73.6 ms | 0.00 |
# | writing as many bytes, and `fsync` | 1.16 ± 0.06, 1.01 ms | 1.16 ± 0.19, 86 ms | 0.91 ± 0.49, 1.37 s | 1.28 ± 0.24, 509 µs | 0.00 |
#
# Medians of 3 rounds and half of the distance between their quartiles, 2026-11-21: 2 cores of AMD EPYC, Python 3.11.7, torch 2.13.0, safetensors 0.8.0, xxhash 4.1.0.
#
# **Loading.** Without comparing checksums it takes as long as `load_file` and `load_state_dict` of safetensors, and a net of 2,000 layers less than a tenth: for each module of a container `load_state_dict` looks through all names of it.
# Copying from a mapped file takes longer than from memory, because the system hands over its pages while they are copied.
# The checksums read every byte once more, about as fast as it is copied.
# For a net of 1 MiB, all of it is half a millisecond, and most of that is opening the file and comparing names.
#
# **Saving.** A checksum is computed of each megabyte just before it is written.
# The old file stays until the new one is there, so the system finds new memory for its pages, where the others write into those that they have just emptied.
# What a disk does meanwhile makes these times uncertain, as the second number of a cell shows.

# %% [markdown]
# ### How a file is replaced at once
#
# If a program is stopped while `torch.save` writes, the old file is gone and the new one is cut off.
# Write to another name in the same folder, and rename the file when it is complete:

# %%
with open("mlp.pt.tmp", "wb") as file:
    torch.save(net.state_dict(), file)
    file.flush()
    os.fsync(file.fileno())
os.replace("mlp.pt.tmp", "mlp.pt")
print(os.path.exists("mlp.pt"), os.path.exists("mlp.pt.tmp"))
#> True False

# %% [markdown]
# The functions of this page do the same, and they also remove what a stopped program has left behind.
# Whoever reads the path meets the old file until `os.replace`, and the new one after it.
# `fsync` waits until the disk has the data, so that a power cut leaves one of the two as well.
# A writer that is killed leaves its temporary file, and the next one removes it: a file that is still being written is locked, where the system has such locks.

# %%
try:
    import fcntl
except ImportError:  # on Windows, where nobody can remove a file that is open
    fcntl = None

# %% [markdown]
# *The library's own source, from `d2lblocks/serialization/_files.py`:*

# %%
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

FilePath = str | os.PathLike[str]
_TEMPORARY = ".d2lblocks-{}.tmp"


@contextmanager
def replacing(path: FilePath) -> Iterator[BinaryIO]:
    target = os.path.realpath(path)
    exists = os.path.isfile(target)
    if os.path.exists(target) and not exists:  # a device, which is written to, or a folder: an error
        with open(path, "wb") as device:
            yield device
        return
    folder = os.path.dirname(target)
    temporary = None
    try:
        _remove_leftovers(folder)
        file, temporary = _create(folder)
        with file:
            if exists:
                with suppress(FileNotFoundError):  # another process has just removed it
                    shutil.copymode(target, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl:  # while it is open, and so is nobody's leftover
                os.replace(temporary, target)
        if not fcntl:
            os.replace(temporary, target)
        _sync_folder(folder)
    except BaseException as error:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError) and error.errno:  # with the name that the caller knows
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise


def _create(folder: str) -> tuple[BinaryIO, str]:
    while True:
        path = os.path.join(folder, _TEMPORARY.format(secrets.token_hex(8)))
        file = open(path, "xb")
        if fcntl:
            with suppress(OSError):  # some network drives have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
        if os.path.exists(path):
            return file, path
        file.close()  # between the two lines another save took it for a leftover


def _remove_leftovers(folder: str) -> None:
    for path in Path(folder).glob(_TEMPORARY.format("*")) if fcntl else ():
        with suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _sync_folder(folder: str) -> None:
    if hasattr(os, "O_DIRECTORY"):
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:  # one may write there, and not read
            return
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### `Weights only load failed`: a whole module, a numpy scalar
#
# You saved an object that is neither a tensor, a plain Python number or string, nor a list, tuple, dict or set of those.

# %%
import argparse
import collections
import datetime
import functools
import pathlib

import numpy

objects = {
    "a whole module": net,
    "numpy.float64": numpy.float64(0.5),
    "Namespace": argparse.Namespace(lr=0.1),
    "Path": pathlib.Path("data"),
    "defaultdict": collections.defaultdict(list),
    "partial": functools.partial(max, 1),
    "date": datetime.date(2026, 11, 21),
}
for what, thing in objects.items():
    torch.save({"thing": thing}, "thing.pt")
    try:
        torch.load("thing.pt")
    except pickle.UnpicklingError as error:
        print(f"{what}: {'Unsupported global' if 'Unsupported global' in str(error) else error}")
#> a whole module: Unsupported global
#> numpy.float64: Unsupported global
#> Namespace: Unsupported global
#> Path: Unsupported global
#> defaultdict: Unsupported global
#> partial: Unsupported global
#> date: Unsupported global

# %% [markdown]
# The last lines of the message name the class:

# %%
torch.save({"arguments": objects["Namespace"]}, "thing.pt")
try:
    torch.load("thing.pt")
except pickle.UnpicklingError as error:
    (line,) = [line for line in str(error).splitlines() if "Unsupported global" in line]
    print(line.partition(". Please")[0].strip())
#> WeightsUnpickler error: Unsupported global: GLOBAL argparse.Namespace was not an allowed global by default

# %% [markdown]
# Fix: numbers by `.item()` or `float(...)`, paths by `str(...)`, a module by its `state_dict()`, a namespace by `vars(...)`, a `defaultdict` by `dict(...)`, a date by `.isoformat()`.
# For an old file that you trust, `torch.serialization.safe_globals([...])` admits the classes that you name.

# %%
torch.save({"net": net.state_dict(), "folder": str(pathlib.Path("data"))}, "with_path.pt")
print(torch.load("with_path.pt")["folder"])
#> data

# %% [markdown]
# ### `Expected state_dict to be dict-like, got <class 'str'>`
#
# `load_state_dict` takes a dictionary, not a file's name.

# %%
try:
    net.load_state_dict("mlp.pt")
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: Expected state_dict to be dict-like, got <class 'str'>.

# %% [markdown]
# Fix: load the file first.

# %%
print(net.load_state_dict(torch.load("mlp.pt")))
#> <All keys matched successfully>

# %% [markdown]
# ### `'_IncompatibleKeys' object is not callable`
#
# `load_state_dict` fills the net, and returns a report; you took the report for the net.

# %%
report = net.load_state_dict(torch.load("mlp.pt"))
try:
    report(X)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: '_IncompatibleKeys' object is not callable

# %% [markdown]
# Fix: do not assign it.

# %%
net.load_state_dict(torch.load("mlp.pt"))
print(net(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# ### The file holds a method
#
# The parentheses are missing: `torch.save(net.state_dict, ...)` saves the method, with the net that it belongs to.

# %%
torch.save(net.state_dict, "method.pt")
try:
    torch.load("method.pt")
except pickle.UnpicklingError as error:
    print("Unsupported global: GLOBAL getattr" in str(error))
#> True

# %% [markdown]
# Fix: `net.state_dict()`.

# %%
torch.save(net.state_dict(), "method.pt")
print(len(torch.load("method.pt")))
#> 4

# %% [markdown]
# ### `Attempting to deserialize object on a CUDA device`
#
# The file holds the device of each tensor, and `torch.load` puts the tensor there.
# Here is such a file, and a machine without a GPU:

# %%
from unittest import mock

with mock.patch("torch.serialization.location_tag", return_value="cuda:0"):
    torch.save(torch.ones(2), "from_gpu.pt")
try:
    with mock.patch("torch.cuda.is_available", return_value=False):
        torch.load("from_gpu.pt")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your storages to the CPU.

# %% [markdown]
# A file from a machine with more GPUs than this one has a similar message:

# %%
with mock.patch("torch.serialization.location_tag", return_value="cuda:1"):
    torch.save(torch.ones(2), "from_second_gpu.pt")
try:
    with mock.patch.multiple("torch.cuda", is_available=lambda: True, device_count=lambda: 1):
        torch.load("from_second_gpu.pt")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Attempting to deserialize object on CUDA device 1 but torch.cuda.device_count() is 1. Please use torch.load with map_location to map your storages to an existing device.

# %% [markdown]
# Fix: say where the tensors should be.
# `d2lblocks.load` puts them on the CPU unless you name another device.

# %%
print(torch.load("from_gpu.pt", map_location="cpu").device, load("from_gpu.pt").device)
#> cpu cpu

# %% [markdown]
# ### `No module named 'models'`, or `Can't get attribute 'Net'`
#
# `torch.save(net, path)` does not save the class, only the name of the class and of its Python module.
# If the module cannot be imported when you load, the first message comes; if it no longer has the class, the second.

# %%
import types


class Net(nn.Linear):
    pass


Net.__module__ = "models"  # as if it were from a file models.py
sys.modules["models"] = types.ModuleType("models")
sys.modules["models"].Net = Net
torch.save(Net(2, 2), "whole.pt")

del sys.modules["models"]
try:
    torch.load("whole.pt", weights_only=False)
except ModuleNotFoundError as error:
    print(f"ModuleNotFoundError: {error}")
#> ModuleNotFoundError: No module named 'models'

# %%
sys.modules["models"] = types.ModuleType("models")
try:
    torch.load("whole.pt", weights_only=False)
except AttributeError as error:
    print(str(error).partition(" on ")[0])
#> Can't get attribute 'Net'

# %% [markdown]
# Fix: if you trust the file, put the class back under its old name, load once, and save the state.

# %%
sys.modules["models"].Net = Net
torch.save(torch.load("whole.pt", weights_only=False).state_dict(), "state.pt")
print(list(torch.load("state.pt")))
#> ['weight', 'bias']

# %% [markdown]
# ### `'GELU' object has no attribute 'approximate'`
#
# A module that was saved whole gets its attributes from the file, and the code of its class from your PyTorch.
# If the class has gained an attribute since, loading works and the first call fails.

# %%
old = nn.Sequential(nn.Linear(2, 2), nn.GELU())
del old[1].approximate  # as saved before PyTorch 1.12
torch.save(old, "whole.pt")
old = torch.load("whole.pt", weights_only=False)
try:
    old(torch.rand(1, 2))
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'GELU' object has no attribute 'approximate'

# %% [markdown]
# Fix: set the attribute to its default, and save the state, which has no such attributes.

# %%
old[1].approximate = "none"
print(old(torch.rand(1, 2)).shape)
#> torch.Size([1, 2])
torch.save(old.state_dict(), "state.pt")

# %% [markdown]
# ### `PytorchStreamReader failed reading zip archive`
#
# The directory of a zip archive is at its end, so a file that was cut off has none.

# %%
Path("cut.pt").write_bytes(Path("mlp.pt").read_bytes()[:2000])
try:
    torch.load("cut.pt")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory. This is an internal miniz error. If you are seeing this error, there is a high likelihood that your checkpoint file is corrupted. This can happen if the checkpoint was not saved properly, was transferred incorrectly, or the file was modified after saving.

# %% [markdown]
# If nothing was written at all, the file is empty.
# By default, `torch.load` then raises an `EOFError` without a message, and with `weights_only=False` it raises this one:

# %%
Path("empty.pt").touch()
try:
    torch.load("empty.pt", weights_only=False)
except EOFError as error:
    print(f"EOFError: {error}")
#> EOFError: Ran out of input

# %% [markdown]
# Fix: download or copy it again.
# If a program of yours wrote it, replace files at once, or use `save`, which does.

# %%
save(torch.load("mlp.pt"), "whole.pt")
print(list(load("whole.pt"))[:2])
#> ['hidden.weight', 'hidden.bias']

# %% [markdown]
# `Unsupported operand 118`, or `invalid load key, 'v'` without `weights_only`, is another case: Git has stored a pointer in place of the file.
# `git lfs pull` gets the file itself.

# %%
Path("pointer.pt").write_text("version https://git-lfs.github.com/spec/v1")
try:
    torch.load("pointer.pt")
except pickle.UnpicklingError as error:
    print("Unsupported operand 118" in str(error))
#> True

# %% [markdown]
# ### `Some tensors share memory`, from safetensors
#
# Two names of the state refer to one tensor.

# %%
try:
    save_file(tied.state_dict(), "tied.safetensors")
except RuntimeError as error:
    print(str(error).strip().partition(" and potential")[0])
#> Some tensors share memory, this will lead to duplicate memory on disk

# %% [markdown]
# `save_model` of safetensors stores one of the names only, so `load_state_dict` then misses the other one:

# %%
from safetensors.torch import load_file, load_model, save_model

save_model(tied, "tied.safetensors")
try:
    tied.load_state_dict(load_file("tied.safetensors"))
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for Sequential:
#>     Missing key(s) in state_dict: "1.weight". 

# %% [markdown]
# Fix: load with `load_model`, or with `load_parameters`, which both take the tie from the net.

# %%
load_model(tied, "tied.safetensors")
load_parameters(tied, "tied.safetensors", verify=False)
save_parameters(tied, "tied.safetensors")  # writes the tie as well
print(scores.weight is table.weight)
#> True

# %% [markdown]
# ### `You are trying to save a non contiguous tensor`
#
# `channels_last` keeps the shape and orders the values in memory in another way, as a transpose does.

# %%
conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
try:
    save_file(conv.state_dict(), "conv.safetensors")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: You are trying to save a non contiguous tensor: `weight` which is not allowed. It either means you are trying to save tensors which are reference of each other in which case it's recommended to save only the full tensors, and reslice at load time, or simply call `.contiguous()` on your tensor to pack it before saving.

# %% [markdown]
# Fix: make the tensors contiguous, or use `save_parameters`, which does.

# %%
save_file({name: t.contiguous() for name, t in conv.state_dict().items()}, "conv.safetensors")
save_parameters(conv, "conv.safetensors")
print(torch.equal(load_parameters(nn.Conv2d(3, 4, 3), "conv.safetensors").weight, conv.weight))
#> True

# %% [markdown]
# ### Two names where two tensors were expected
#
# A dictionary that is taken apart gives its keys:

# %%
a, b = torch.load("dict.pt")
print(a, b)
#> x y

# %% [markdown]
# Fix: ask for the entries.

# %%
state = torch.load("dict.pt")
a, b = state["x"], state["y"]
print(a, b)
#> tensor([0, 1, 2, 3]) tensor([0., 0., 0., 0.])

# %% [markdown]
# ### `Missing key(s) in state_dict`, and the same names with `module.`
#
# The file is of a wrapped net: prefixes.

# %%
try:
    MLP().load_state_dict(compiled.state_dict())
except RuntimeError as error:
    print("Missing key(s)" in str(error), "Unexpected key(s)" in str(error))
#> True True

# %% [markdown]
# The prefix can also be inside the names, if only a part of the net was wrapped:

# %%
plain = nn.Sequential(nn.Linear(20, 3), nn.ReLU())
try:
    plain.load_state_dict(partly.state_dict())
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for Sequential:
#>     Missing key(s) in state_dict: "0.weight", "0.bias". 
#>     Unexpected key(s) in state_dict: "0._orig_mod.weight", "0._orig_mod.bias". 

# %% [markdown]
# Fix: save the inner net's state, or remove every wrapper with `unwrapped`.

# %%
print(MLP().load_state_dict(compiled._orig_mod.state_dict()))
#> <All keys matched successfully>
print(plain.load_state_dict(unwrapped(partly.state_dict())))
#> <All keys matched successfully>

# %% [markdown]
# Any other prefix, such as the `model.` of a training framework, is at the beginning of the names: call `consume_prefix_in_state_dict_if_present(state, "model.")`.
#
# `torch.optim.swa_utils.AveragedModel` is a wrapper, too, and adds an entry of its own:

# %%
averaged = torch.optim.swa_utils.AveragedModel(plain)
try:
    plain.load_state_dict(averaged.state_dict())
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for Sequential:
#>     Missing key(s) in state_dict: "0.weight", "0.bias". 
#>     Unexpected key(s) in state_dict: "n_averaged", "module.0.weight", "module.0.bias". 

# %% [markdown]
# Fix: save the state of its `module`.

# %%
print(plain.load_state_dict(averaged.module.state_dict()))
#> <All keys matched successfully>

# %% [markdown]
# For a wrapped safetensors file, the error of `load_parameters` says how to rename:

# %%
save_file(dict(partly.state_dict()), "partly.safetensors")
try:
    load_parameters(plain, "partly.safetensors", verify=False)
except RuntimeError as error:
    print(str(error).splitlines()[-1].strip())
#> The checkpoint is wrapped: without "_orig_mod." its keys fit. To load this one, rename each by name.replace("_orig_mod.", "").

# %% [markdown]
# ### `Unexpected key(s) in state_dict`: a buffer that was `None`
#
# The buffer is registered as `None` and filled at the first call.
# A buffer that is `None` has no entry, so the state of a used net has one name more than a new net.

# %%
class Centered(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", None)

    def forward(self, X):
        if self.mean is None:
            self.mean = X.mean(dim=0)
        return X - self.mean


used = Centered()
used(X)
try:
    Centered().load_state_dict(used.state_dict())
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for Centered:
#>     Unexpected key(s) in state_dict: "mean". 

# %% [markdown]
# Fix: register it with its shape, `torch.zeros(20)`.
# If you do not know the shape beforehand, take it from the file:

# %%
new, state = Centered(), used.state_dict()
new.mean = torch.empty_like(state["mean"])
print(new.load_state_dict(state))
#> <All keys matched successfully>

# %% [markdown]
# ### `Missing key(s)`: `weight_g` and `parametrizations.weight.original0`
#
# `nn.utils.weight_norm` names its parameters `weight_g` and `weight_v`, and the newer `nn.utils.parametrizations.weight_norm` names them `parametrizations.weight.original0` and `original1`.
# A state of the older form goes into the newer one, but not the other way round:

# %%
newer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # it is deprecated
    older = nn.utils.weight_norm(nn.Linear(3, 2))
print(newer.load_state_dict(older.state_dict()))
#> <All keys matched successfully>
try:
    older.load_state_dict(newer.state_dict())
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for Linear:
#>     Missing key(s) in state_dict: "weight_g", "weight_v". 
#>     Unexpected key(s) in state_dict: "parametrizations.weight.original0", "parametrizations.weight.original1". 

# %% [markdown]
# With `strict=False` the layer keeps its random weights.
# Fix: use the newer form, or rename.

# %%
renamed = {
    name.replace("parametrizations.weight.original0", "weight_g").replace(
        "parametrizations.weight.original1", "weight_v"
    ): tensor
    for name, tensor in newer.state_dict().items()
}
print(older.load_state_dict(renamed))
#> <All keys matched successfully>

# %% [markdown]
# ### `strict=False`, and the net is as random as before
#
# Names that do not fit are left out, silently, unless you look at what the call returns.
# (A wrong shape is an error all the same.)

# %%
report = MLP().load_state_dict(compiled.state_dict(), strict=False)
print(len(report.missing_keys), len(report.unexpected_keys))
#> 4 4

# %% [markdown]
# Fix: say which names may be missing, and check that no others are.

# %%
state = net.state_dict()
del state["out.weight"], state["out.bias"]
report = MLP().load_state_dict(state, strict=False)
assert set(report.missing_keys) <= {"out.weight", "out.bias"} and not report.unexpected_keys
print(report.missing_keys)
#> ['out.weight', 'out.bias']

# %% [markdown]
# ### The best weights have changed
#
# `state_dict()` is no copy: its tensors lie in the memory of the net, and training changes them.

# %%
best = net.state_dict()
with torch.no_grad():
    net.out.bias.fill_(7.0)
print(bool((best["out.bias"] == 7).all()))
#> True

# %% [markdown]
# Fix: copy them, or save them at once.

# %%
import copy

best = copy.deepcopy(net.state_dict())
with torch.no_grad():
    net.out.bias.fill_(8.0)
print(bool((best["out.bias"] == 7).all()))
#> True

# %% [markdown]
# ### The tied weights have come apart
#
# `assign=True` gives each layer a parameter of its own: parameters.
# So does `to_empty` for a net on the meta device.
# Fix: tie again, or load without it.

# %%
tied.load_state_dict(tied.state_dict(), assign=True)
print(scores.weight is table.weight)
#> False
scores.weight = table.weight
save_parameters(tied, "tied.safetensors")
load_parameters(tied, "tied.safetensors")
print(scores.weight is table.weight)
#> True

# %% [markdown]
# ### Loading changes the dtype
#
# `load_state_dict` compares names and shapes, but not dtypes.
# It rounds a `float32` weight into a `float16` net, and drops the fraction of a number where the net has whole numbers:

# %%
counter = nn.Module()
counter.seen = nn.Buffer(torch.zeros(2, dtype=torch.int64))
print(counter.load_state_dict({"seen": torch.tensor([0.7, 2.9])}), counter.seen)
#> <All keys matched successfully> tensor([0, 2])

# %% [markdown]
# Fix: compare first, or let `load_parameters` do it.

# %%
half = MLP().half()
theirs, mine = half.state_dict(), net.state_dict()
print([name for name in mine if mine[name].dtype != theirs[name].dtype])
#> ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
save_parameters(half, "half.safetensors")
print(load_parameters(MLP(), "half.safetensors", cast=True).out.bias.dtype)
#> torch.float32

# %% [markdown]
# Without `cast=True`, it is an error that lists every tensor.

# %% [markdown]
# ### `loaded state dict contains a parameter group that doesn't match the size of optimizer's group`
#
# An optimizer's state is a list by position: it does not fit if a layer was added, or if other parameters are left out because they are frozen.

# %%
short = nn.Sequential(nn.Linear(2, 2))
longer = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
saved = torch.optim.Adam(short.parameters()).state_dict()
optimizer = torch.optim.Adam(longer.parameters())
try:
    optimizer.load_state_dict(saved)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: loaded state dict contains a parameter group that doesn't match the size of optimizer's group

# %% [markdown]
# If the number of groups differs, for example because biases now have their own learning rate, the message is another one:

# %%
groups = [{"params": short[0].weight}, {"params": short[0].bias, "lr": 0.01}]
try:
    torch.optim.Adam(groups).load_state_dict(saved)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: loaded state dict has a different number of parameter groups

# %% [markdown]
# Fix: load the net alone and train on with the new optimizer, which is as it was.
# To keep the old state, put the new parameters into a group of their own after loading.

# %%
optimizer = torch.optim.Adam(longer[0].parameters())
optimizer.load_state_dict(saved)
optimizer.add_param_group({"params": longer[1].parameters()})
print([len(group["params"]) for group in optimizer.param_groups])
#> [2, 2]

# %% [markdown]
# ### The optimizer's state belongs to other layers
#
# The net loads by name and the optimizer by position, so after a change of order each layer of the same shape gets the momentum of another.
# There is no error:

# %%
def ordered(names):
    layers = nn.ModuleDict({name: nn.Linear(2, 2, bias=False) for name in names})
    return layers, torch.optim.SGD(layers.named_parameters(), lr=0.1, momentum=0.9)


before, optimizer = ordered("qk")
(before["q"].weight.sum() + 2 * before["k"].weight.sum()).backward()
optimizer.step()
saved = optimizer.state_dict()

after, optimizer = ordered("kq")
optimizer.load_state_dict(saved)
print(optimizer.state[after["q"].weight]["momentum_buffer"].unique())
#> tensor([2.])

# %% [markdown]
# The gradient of `q` was 1, and its momentum is now 2.
#
# Fix: an optimizer that is built from `named_parameters()` saves the names, but does not compare them.
# Compare them yourself, before you load:

# %%
layers, optimizer = ordered("kq")
for old, new in zip(saved["param_groups"], optimizer.param_groups):
    print(old["param_names"] == new["param_names"])
#> False

# %% [markdown]
# If they differ, register the layers in the old order, or save with `save_checkpoint`, which finds each parameter's state by its name.

# %% [markdown]
# ### `param 'initial_lr' is not specified`, from a scheduler
#
# `last_epoch` does not load anything: it expects that the optimizer's groups have the `initial_lr` that a scheduler has left there.

# %%
optimizer = torch.optim.SGD(MLP().parameters(), lr=0.1)
try:
    torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, last_epoch=4)
except KeyError as error:
    print(f"KeyError: {error}")
#> KeyError: "param 'initial_lr' is not specified in param_groups[0] when resuming scheduler with last_epoch >= 0.\nThis typically happens when:\n1. You're trying to resume training from a checkpoint but haven't properly loaded the optimizer state\n2. You're using last_epoch >= 0 for a fresh training run (not recommended)"

# %% [markdown]
# Fix: build both anew, and load the state of both, as in resuming a run.

# %%
optimizer = torch.optim.SGD(MLP().parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
for _ in range(5):
    optimizer.step()
    scheduler.step()
states = optimizer.state_dict(), scheduler.state_dict()

optimizer = torch.optim.SGD(MLP().parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
optimizer.load_state_dict(states[0])
scheduler.load_state_dict(states[1])
print(scheduler.last_epoch, scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]])
#> 5 True

# %% [markdown]
# ### A state without values
#
# A lazy net was saved before its first batch: lazy initialization.
# `save_parameters` refuses it:

# %%
try:
    save_parameters(nn.LazyLinear(3), "lazy.safetensors")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: cannot save 'weight', 'bias': not initialized yet, the shapes come with the first batch

# %% [markdown]
# Fix: a dry run first.

# %%
from d2lblocks import apply_init

save_parameters(apply_init(nn.LazyLinear(3), X), "lazy.safetensors")
print(load_parameters(nn.LazyLinear(3), "lazy.safetensors").weight.shape)
#> torch.Size([3, 20])

# %% [markdown]
# ### `Can't pickle local object`: saving a whole net

# %%
class WithLambda(nn.Module):
    def __init__(self):
        super().__init__()
        self.activation = lambda X: X.relu()


try:
    torch.save(WithLambda(), "lambda.pt")
except AttributeError as error:
    print("local object 'WithLambda.__init__.<locals>.<lambda>'" in str(error))
#> True

# %% [markdown]
# Python 3.12 and later say `Can't get local object`.
# Fix: `torch.save(net.state_dict(), path)`, which holds tensors only; or `nn.ReLU()` in place of the lambda.

# %% [markdown]
# ### `size mismatch`, also with `strict=False`: another number of classes
#
# You have trained a classifier for ten classes and now need three:

# %%
ten = nn.ModuleDict({"body": nn.Linear(2, 4), "head": nn.Linear(4, 10)})
three = nn.ModuleDict({"body": nn.Linear(2, 4), "head": nn.Linear(4, 3)})
try:
    three.load_state_dict(ten.state_dict(), strict=False)
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for ModuleDict:
#>     size mismatch for head.weight: copying a param with shape torch.Size([10, 4]) from checkpoint, the shape in current model is torch.Size([3, 4]).
#>     size mismatch for head.bias: copying a param with shape torch.Size([10]) from checkpoint, the shape in current model is torch.Size([3]).

# %% [markdown]
# Fix: leave the head out, and look at what is missing: only the head may be.

# %%
state = {name: tensor for name, tensor in ten.state_dict().items() if not name.startswith("head.")}
print(three.load_state_dict(state, strict=False).missing_keys)
#> ['head.weight', 'head.bias']

# %% [markdown]
# ### `Unexpected key(s) in state_dict: "total_ops", "total_params"`
#
# Profilers and the like keep their counts in buffers of every module, and `state_dict()` saves them.
# Fix: leave out what the new net does not have, but only those names.

# %%
counted = copy.deepcopy(ten)
for module in counted.modules():
    module.register_buffer("total_ops", torch.zeros(1))
state = {name: t for name, t in counted.state_dict().items() if not name.endswith("total_ops")}
print(ten.load_state_dict(state))
#> <All keys matched successfully>

# %% [markdown]
# ### The learning rate starts anew after resuming
#
# A scheduler writes the learning rate into the optimizer as soon as it is made.
# Here a schedule that falls by a tenth each step:

# %%
def scheduled():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step)


optimizer, scheduler = scheduled()
for _ in range(3):
    optimizer.step()
    scheduler.step()
states = optimizer.state_dict(), scheduler.state_dict()

optimizer, scheduler = scheduled()
optimizer.load_state_dict(states[0])
optimizer.step()
scheduler.step()
print(round(optimizer.param_groups[0]["lr"], 3))
#> 0.9

# %% [markdown]
# Fix: load both, when both are there.

# %%
optimizer, scheduler = scheduled()
optimizer.load_state_dict(states[0])
scheduler.load_state_dict(states[1])
optimizer.step()
scheduler.step()
print(round(optimizer.param_groups[0]["lr"], 3))
#> 0.656

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# Your net is trained, and you will use it on this machine only.
# Why store its parameters all the same?

# %% [markdown]
# #### Solution

# %% [markdown]
# Memory ends with the process: by a crash, or with the job.
# And a file can be compared, sent, gone back to, and started from: for other data, for another last layer, for a second opinion on an old result.
# It costs little: the file of this net is as large as its numbers.

# %%
numbers = sum(parameter.numel() * 4 for parameter in net.parameters())
print(0 < os.path.getsize("mlp.safetensors") - numbers < 1_000)
#> True

# %% [markdown]
# ### Exercise 2
#
# Take the hidden layer of a saved MLP into a net with another output, and train only what is new.

# %% [markdown]
# #### Solution

# %% [markdown]
# Load the part by its prefix, and freeze it.

# %%
state = load_file("mlp.safetensors")
new = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 2))
new[0].load_state_dict({"weight": state["hidden.weight"], "bias": state["hidden.bias"]})
new[0].requires_grad_(False)
print([name for name, parameter in new.named_parameters() if parameter.requires_grad])
#> ['2.weight', '2.bias']

# %% [markdown]
# ### Exercise 3
#
# Keep architecture and parameters in one file, so that `rebuild(path)` needs nothing else.
# What has to be restricted?

# %% [markdown]
# #### Solution

# %% [markdown]
# The file names a class and its arguments, and the program decides which classes it may name: a file that can name anything can run anything.

# %%
KNOWN = {"Linear": nn.Linear, "ReLU": nn.ReLU}


def keep(net, plan, path):
    torch.save({"plan": plan, "state": net.state_dict()}, path)


def build(plan):
    return nn.Sequential(*(KNOWN[name](*arguments) for name, arguments in plan))


def rebuild(path):
    file = torch.load(path)
    net = build(file["plan"])
    net.load_state_dict(file["state"])
    return net


plan = [("Linear", [20, 8]), ("ReLU", []), ("Linear", [8, 2])]
original = build(plan)
keep(original, plan, "both.pt")
print(torch.equal(rebuild("both.pt")(X), original(X)))
#> True

# %% [markdown]
# ### Exercise 4
#
# A checkpoint was written under `DataParallel`.
# Load it into a bare net without changing the file.

# %% [markdown]
# #### Solution

# %% [markdown]
# Build a module whose attribute `module` is the net: then the names fit.

# %%
torch.save({f"module.{name}": t for name, t in net.state_dict().items()}, "parallel.pt")

bare = MLP()
wrapper = nn.Module()
wrapper.module = bare
print(wrapper.load_state_dict(torch.load("parallel.pt")))
#> <All keys matched successfully>
print(torch.equal(bare(X), net(X)))
#> True

# %% [markdown]
# ### Exercise 5
#
# Average the parameters of three checkpoints of one run.
# What must not be averaged?

# %% [markdown]
# #### Solution

# %% [markdown]
# Whole numbers, such as the counter of a batch norm, have no average of their type; take the last one.

# %%
def average(states):
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0)
        if last.is_floating_point()
        else last
        for name, last in states[-1].items()
    }


states = [nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).state_dict() for _ in range(3)]
mean = average(states)
third = sum(state["0.weight"] for state in states) / 3
print(torch.allclose(mean["0.weight"], third), mean["1.num_batches_tracked"].dtype)
#> True torch.int64

# %% [markdown]
# Averaged running statistics do not belong to the averaged weights: `torch.optim.swa_utils.update_bn` computes them anew from data.

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | to keep tensors, lists, dictionaries | `save(obj, path)`, `load(path)`; `torch.save`, `torch.load` |
# | to keep what a net has learned | `save_parameters(net, path)`; `torch.save(net.state_dict(), path)` |
# | to use it again | `load_parameters(net, path)`; `net.load_state_dict(torch.load(path))` |
# | a copy in memory | `copy.deepcopy(net.state_dict())` |
# | one part of a net | `net.hidden.state_dict()` |
# | names without `module.` | `consume_prefix_in_state_dict_if_present(state, "module.")`, for a prefix at the beginning |
# | to resume a run | `save_checkpoint(folder, step, net=net, optimizer=optimizer)`, `load_checkpoint(folder, net=net, optimizer=optimizer)` |
# | a net in many processes | `torch.distributed.checkpoint` |
# | to load on another machine | `map_location="cpu"` |
# | names and shapes only | `map_location="meta"` |
# | a small part of a large tensor | `save`, or `.clone()` first |
# | a file from somebody else | safetensors; second best `weights_only=True`, the default |
# | a program without your classes | `torch.export.save` |
#
# The functions of this page: `d2lblocks.serialization`.
# Before it: Custom layers.
# Next: Devices.
