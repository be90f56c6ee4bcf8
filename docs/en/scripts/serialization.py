# %% [markdown]
# # File I/O
#
# This is the page "File I/O" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks`, `numpy`, `safetensors` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# Your net has been training for hours when the job is killed, and everything it has learned is lost.
# Another time, training is done and a colleague wants to run your net on a laptop.
# In both cases, you need a complete file that is safe to open.
#
# - **What you will be able to do:** save and load what a net has learned, continue a stopped training run as if it had not stopped and tell which files are safe to open.
# - **What you need:** Layers and modules and Parameters; for the library's functions, run `pip install .` in a clone of this site's repository.
# - **How long it takes:** about 40 minutes up to Damaged files, and this part is enough to save and load nets; about 90 minutes with the rest and the exercises.

# %%
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)

# %% [markdown]
# ## Saving tensors, lists and dictionaries
#
# The variables of a program are lost when the program ends.
# To keep a tensor, write it to a file with `torch.save` and read it back with `torch.load`.
# <dfn>Serialization</dfn> turns an object in memory into bytes that a file can hold; deserialization turns the bytes back into an object.

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
# The usual file names end in `.pt` or `.pth`; PyTorch accepts any name.

# %% [markdown]
# ## Saving a net: `state_dict`
#
# You do not need to save the net itself.
# Its code is in your program, so the file needs only the values: the parameters and the persistent buffers, such as the running mean of a batch normalization layer.
# `state_dict()` returns a dictionary that maps names to these tensors:

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
# The file holds four tensors, their names and a version number for each module.
# It does not know about `relu` or the class `MLP`.
# To use the file, build the net again and copy the values into it with `load_state_dict`:

# %%
clone = MLP()
print(clone.load_state_dict(torch.load("mlp.pt")))
#> <All keys matched successfully>
print(torch.equal(clone.eval()(X), Y))
#> True

# %% [markdown]
# Call `eval()` before you compute predictions: it switches dropout and batch normalization to evaluation mode.
# This net has neither.

# %% [markdown]
# ### Three ways to save the architecture
#
# Skip this on a first reading: you need it only if the loading program does not know the code or the sizes of the net.
#
# The <dfn>architecture</dfn> of a net is everything except the values of its tensors: which layers it has, how large they are and the code that connects them.
# A state dict does not contain it, so you have to keep it in another way:
#
# 1. **Keep the code in your program and the arguments in the file.**
#    This is the usual way: the file also holds the arguments of the constructor.

# %%
sized = nn.Sequential(nn.Linear(20, 64), nn.Linear(64, 10))
torch.save({"sizes": [20, 64, 10], "net": sized.state_dict()}, "with_sizes.pt")

loaded = torch.load("with_sizes.pt")
n_in, n_hidden, n_out = loaded["sizes"]
rebuilt = nn.Sequential(nn.Linear(n_in, n_hidden), nn.Linear(n_hidden, n_out))
print(rebuilt.load_state_dict(loaded["net"]))
#> <All keys matched successfully>

# %% [markdown]
# 2. **Save the computation as a graph**, with [`torch.export`](https://docs.pytorch.org/docs/stable/export.html).
#    The file holds operations and weights, so loading it needs none of your code.
#    The exported net cannot change its mode, so call `eval()` first.
#    It accepts only the device and the batch size of the example input; for other sizes, see Compile and export.

# %%
torch.export.save(torch.export.export(net.eval(), (X,)), "mlp.pt2")
program = torch.export.load("mlp.pt2").module()
print(torch.allclose(program(X), Y))
#> True

# %% [markdown]
#     PyTorch 2.11 and 2.12 warn here that a buffer is not writable; you can ignore the warning.
#
# 3. **Save the whole object**, with `torch.save(net, "net.pt")`.
#    The file does not hold your class, only its name, so loading works only while a class of that name can be imported from the same Python module.
#    Loading also runs instructions from the file, so it may be dangerous.

# %% [markdown]
# ## Strict loading: names and shapes must match
#
# If you have renamed a layer or changed a size since you saved the net, `load_state_dict` raises an error that lists every difference:

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
# "Missing" names are only in the net; "unexpected" names are only in the state dict.
#
# (A picture: Two columns, the state dict and the net. Both have out.weight and out.bias, and an arrow from left to right says: copied. Only the state dict has hidden.weight and hidden.bias; they are unexpected: not in the net. Only the net has first.weight and first.bias; they are missing: not in the state dict.)
#
# <dfn>Strict loading</dfn>, the default of `load_state_dict`, raises an error if a name is only in the net or only in the state dict; `strict=False` ignores such names.
# A wrong shape is an error in both cases.
#
# **Watch out.** The error comes *after* everything that fits has been copied, so the net then has some old values and some new ones.
# Build a new net after such an error, or use `load_parameters`, which checks everything before it copies.

# %% [markdown]
# ### Prefixes: `module.` and `_orig_mod.`
#
# Skip this on a first reading: come back when the names in a file begin with `module.` or contain `_orig_mod.`.
#
# Some tools wrap a net in another module.
# `DataParallel` and `DistributedDataParallel`, which train a net on several GPUs, keep it in their attribute `module`; `torch.compile` keeps it in `_orig_mod`.
# If you save the wrapper, every name in the state dict begins with the name of that attribute:

# %%
compiled = torch.compile(net, backend="eager")
print(list(compiled.state_dict())[:2])
#> ['_orig_mod.hidden.weight', '_orig_mod.hidden.bias']

# %% [markdown]
# To avoid this, save the state dict of your own net (`compiled._orig_mod`) instead of the wrapper's, or compile in place with `net.compile()`, which keeps the names.
#
# If a file already has such names, remove the prefix.
# PyTorch's `consume_prefix_in_state_dict_if_present` changes the dictionary in place and returns nothing:

# %%
wrapped = {f"module.{name}": tensor for name, tensor in net.state_dict().items()}
nn.modules.utils.consume_prefix_in_state_dict_if_present(wrapped, "module.")
print(MLP().load_state_dict(wrapped))
#> <All keys matched successfully>

# %% [markdown]
# The function looks only at the beginning of each name.
# If only part of the net was compiled, `_orig_mod` is in the middle of the names, and the function silently changes nothing:

# %%
partly = nn.Sequential(torch.compile(nn.Linear(20, 3), backend="eager"), nn.ReLU())
state = partly.state_dict()
nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "_orig_mod.")
print(list(state))
#> ['0._orig_mod.weight', '0._orig_mod.bias']

# %% [markdown]
# To remove every wrapper, remove the parts `module` and `_orig_mod` wherever they are:

# %%
def unwrapped(state):
    def inner(name):
        parts = name.split(".")
        return ".".join(part for part in parts if part not in ("module", "_orig_mod"))

    return {inner(name): tensor for name, tensor in state.items()}


print(list(unwrapped(state)))
#> ['0.weight', '0.bias']
twice = {f"module._orig_mod.{name}": each for name, each in net.state_dict().items()}
print(MLP().load_state_dict(unwrapped(twice)))
#> <All keys matched successfully>

# %% [markdown]
# Do not use `unwrapped` if your own net has an attribute named `module`.

# %% [markdown]
# ## Loading part of a net into another net
#
# You want to reuse the first layer of a trained net in a net for another task.
# Every layer is a module, so it has its own `state_dict`:

# %%
other = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 3))
other[0].load_state_dict(net.hidden.state_dict())
print(torch.equal(other[0].weight, net.hidden.weight))
#> True

# %% [markdown]
# If you have only the file, pick out the entries of that layer.
# Their names begin with the path of the layer, here `hidden.`; inside the layer, the names are `weight` and `bias`:

# %%
state = torch.load("mlp.pt")
part = {name: state[f"hidden.{name}"] for name in ("weight", "bias")}
print(other[0].load_state_dict(part))
#> <All keys matched successfully>

# %% [markdown]
# ## Tied weights
#
# Skip this on a first reading if no two layers of your net share a parameter.
#
# A tied weight has two names.
# It appears twice in the state dict but is stored only once in the file.
# `data_ptr()` returns the address of a tensor's first value; after loading, it is the same for both names:

# %%
table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
tied = nn.Sequential(table, scores)
torch.save(tied.state_dict(), "tied.pt")
state = torch.load("tied.pt")
print(list(state), state["0.weight"].data_ptr() == state["1.weight"].data_ptr())
#> ['0.weight', '1.weight'] True

# %% [markdown]
# The file does not tie anything in your net, so tie the weights before you load.
# `load_state_dict` copies values into the existing tensors of the net, so the weights stay tied and an optimizer built earlier still has the right tensors:

# %%
before = table.weight
tied.load_state_dict(state)
print(table.weight is before, scores.weight is before)
#> True True

# %% [markdown]
# **Watch out.** A state dict from a net without the tie may hold two different tensors for the tied weight.
# Both are silently copied into it, so only the second remains:

# %%
state = {"0.weight": torch.zeros(5, 4), "1.weight": torch.ones(5, 4)}
tied.load_state_dict(state)
print(table.weight.detach().unique())
#> tensor([1.])

# %% [markdown]
# ## Views: saving part of a tensor saves all of it
#
# Skip this on a first reading: it matters when you save a slice of a large tensor and the file is too large.
#
# The <dfn>storage</dfn> of a tensor is the block of memory that holds its values; several tensors can share one storage.
# A <dfn>view</dfn> is a tensor that shares the storage of another tensor, for example a slice such as `X[:1]`.
# `torch.save` writes the whole storage, so tensors that shared it before saving still share it after loading.
# Saving a view of one value can therefore write four megabytes:

# %%
import os

large = torch.zeros(1_000_000)
torch.save(large[:1], "view.pt")
torch.save(large[:1].clone(), "clone.pt")
print(os.path.getsize("view.pt") > 4_000_000, os.path.getsize("clone.pt") < 4_000)
#> True True

# %% [markdown]
# If you need only a small part of a large tensor, save its `clone()`, which has its own storage.

# %% [markdown]
# ## What is inside a `.pt` file
#
# Skip this on a first reading: it explains why tied weights are stored once and why some files are dangerous.
#
# A file that `torch.save` writes is a zip archive.
# One member, `data.pkl`, holds the names and describes each tensor: its type, shape, storage and strides.
# The <dfn>strides</dfn> of a tensor give, for each dimension, the distance in the storage between neighbors, counted in elements.
# The values are in other members of the archive, one for each storage.
# The two names of the tied weight from above refer to one storage, so there is only one such member:

# %%
import zipfile

with zipfile.ZipFile("tied.pt") as file:
    print([name for name in file.namelist() if name.startswith("tied/data")])
#> ['tied/data.pkl', 'tied/data/0']

# %% [markdown]
# (A picture: Two files that hold the same tied weights. The upper one is a zip archive written by torch.save. Its member tied/data.pkl is a pickle with the names 0.weight and 1.weight and their shapes; both names point to the member tied/data/0, which holds 20 numbers of 4 bytes. Small parts hold the version and the byte order. The lower one is a safetensors file. It begins with the length of the header. Then comes the header, a text, which says that 0.weight has type F32 and shape 5 by 4 and is in bytes 0 to 80, and that 1.weight is 0.weight. After the header come the 20 numbers. Nothing in this file can run.)
#
# The lower part of the picture shows the same net in a safetensors file, as `save_parameters` writes it (its checksums are left out).
# Its header is plain text, whereas `data.pkl` is a pickle, which can run code.

# %% [markdown]
# ## Resuming training
#
# A training run was stopped after half of its steps, and you want to continue it as if it had not stopped.
# A <dfn>checkpoint</dfn> is a file that holds the values of a net and everything else needed to continue training it.
# <dfn>Resuming</dfn> a training run means continuing it from a checkpoint, often in another process.
#
# The parameters and buffers alone are not enough, because training depends on three more states:
#
# - The optimizer may keep running averages of the gradients (moments), as Adam does.
# - The learning-rate scheduler counts the steps.
#   A <dfn>learning-rate scheduler</dfn> changes the learning rate of an optimizer during training.
# - The random number generator determines what dropout sets to zero and in which order data is shuffled.
#
# With all four states, the resumed run ends with the same net, to the last bit, as a run that was never stopped.
# This snippet trains one net for six steps without a stop.
# It trains a second net for three steps and saves all of its states:

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
# Now start again, as a new process would, load all four states and train for three more steps:

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
# The two nets are equal.
# If you load only the net, the result is different:

# %%
net, optimizer, scheduler = start()
net.load_state_dict(loaded["net"])
train(net, optimizer, scheduler, steps=3)
print(all(torch.equal(a, b) for a, b in zip(net.parameters(), unstopped.parameters())))
#> False

# %% [markdown]
# Your run may depend on more than these four states.
# Save these too:
#
# - the number of steps done, if your loop counts them;
# - the state of the `GradScaler`, if you train with `float16`;
# - the states of Python's `random` and of NumPy, if you use them;
# - the position in the data, if a run can stop in the middle of an epoch.
#   An <dfn>epoch</dfn> is one pass over all training data.
#
# Each GPU has its own random number generator: save `torch.cuda.get_rng_state_all()` as well.
# Do not load such a checkpoint with `map_location="cuda"` (see Devices), because `set_rng_state` rejects a state that is on a GPU.
# On a GPU, equal results also need `torch.use_deterministic_algorithms(True)`, the same type of GPU and the same software versions.
#
# `save_checkpoint` saves the random states, the step that you pass and the states of all objects that you pass.

# %% [markdown]
# ## Devices
#
# A file written on a machine with a GPU often has to be read on a machine without one.
# `torch.save` stores the device of each tensor, and `torch.load` puts the tensor back on that device or fails if there is no such device.
# <dfn>`map_location`</dfn> is the argument of `torch.load` that says on which device to put the tensors of a file, whatever device they were saved from.
# The value `"cpu"` is nearly always right, because `load_state_dict` then copies the values to the device of the net.

# %%
state = torch.load("mlp.pt", map_location="cpu")
print({tensor.device.type for tensor in state.values()})
#> {'cpu'}
shapes = torch.load("mlp.pt", map_location="meta")
print(shapes["out.weight"].shape, shapes["out.weight"].device)
#> torch.Size([10, 256]) meta

# %% [markdown]
# With `"meta"`, you quickly see what a large file holds: `torch.load` reads only names, shapes and dtypes.
#
# The next snippet needs a GPU.
# Without `map_location`, the tensor returns to the GPU; with `"cpu"`, it does not:
#
# *Needs a CUDA GPU.*

# %%
if torch.cuda.device_count() >= 1:
    torch.save(torch.ones(2, device="cuda"), "on_gpu.pt")
    print(torch.load("on_gpu.pt").device.type)
    #> cuda
    print(torch.load("on_gpu.pt", map_location="cpu").device)
    #> cpu
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ## Security: pickle, `weights_only` and safetensors
#
# You have downloaded a file with weights.
# Opening it can be as dangerous as starting a program from the same source, because `torch.save` uses Python's `pickle`.
# A <dfn>pickle</dfn> is a sequence of bytes with instructions that tell Python's `pickle` module how to build an object; the instructions may call any function that Python can import.
# `__reduce__` returns the function that the pickle calls and its arguments; the function is `print` here but could be any other:

# %%
import pickle


class Greeting:
    def __reduce__(self):
        return print, ("code from the file is running",)


content = pickle.dumps(Greeting())
pickle.loads(content)
#> code from the file is running

# %% [markdown]
# So `torch.load` uses `weights_only=True` by default: it accepts tensors, numbers, strings, containers of these and little else.
# It rejects other objects, and no code from the file runs:

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
# With `weights_only=False`, the code from the file runs, so use it only for files that you wrote yourself.
#
# The default does not protect you from wrong values, a file made to fill your memory or errors in the reader itself ([one such error](https://github.com/pytorch/pytorch/security/advisories/GHSA-53q9-r3pm-6pq6) was fixed in PyTorch 2.6).
#
# If you get files from other people, ask for safetensors.
# <dfn>Safetensors</dfn> is a file format that holds named tensors and text and nothing else, so reading such a file does not run any code from it.
#
# | Format | Holds | Can run code when it is read | Read by |
# |---|---|---|---|
# | `torch.save`, read with `weights_only=True` | tensors, numbers, strings, containers | only through an error in PyTorch | PyTorch |
# | `torch.save`, read with `weights_only=False` | anything | yes | PyTorch, if your classes can be imported |
# | [safetensors](https://huggingface.co/docs/safetensors) | named tensors, and text | no | many programs, also without Python |
# | [`torch.distributed.checkpoint`](https://docs.pytorch.org/docs/stable/distributed.checkpoint.html) | tensors in pieces, from many processes | yes: its metadata is a pickle | PyTorch, with any number of processes |
# | [`torch.export.save`](https://docs.pytorch.org/docs/stable/export.html) | operations and weights | yes: parts of it are pickles | PyTorch, without your classes |

# %% [markdown]
# ## In the library
#
# `d2lblocks.serialization` has three pairs of functions.
# They clone views, compare dtypes and keep the old file until the new one is complete; plain PyTorch leaves this to you.

# %% [markdown]
# ### Tensors, lists and dictionaries: `save` and `load`

# %%
from d2lblocks import load, load_parameters, save, save_parameters

save({"x": x, "losses": [0.5, 0.25]}, "data.pt")
print(load("data.pt"))
#> {'x': tensor([0, 1, 2, 3]), 'losses': [0.5, 0.25]}

# %% [markdown]
# `save` rejects anything that `load` could not read again and says where it is in the object:

# %%
try:
    save({"metrics": [print]}, "data.pt")
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: cannot save builtin_function_or_method at ['metrics'][0]: expected tensors, numbers, strings, None, and lists, tuples and dicts of them

# %% [markdown]
# `save` writes only the part of a storage that a view uses:

# %%
save(large[:1], "view.pt")
print(os.path.getsize("view.pt") < 4_000)
#> True

# %% [markdown]
# ### A net: `save_parameters` and `load_parameters`
#
# `save_parameters` writes the parameters and buffers of a net to a safetensors file, and `load_parameters` reads them into a net of the same architecture:

# %%
net = MLP()
save_parameters(net, "mlp.safetensors")
clone = load_parameters(MLP(), "mlp.safetensors")
print(torch.equal(clone(X), net(X)))
#> True

# %% [markdown]
# Unlike `torch.save` and `load_state_dict`, the two functions make four promises:
#
# - **The file is always complete.**
#   If the program is killed while it writes, the old file is still there (see Atomic replacement).
# - **Loading changes everything or nothing.**
#   All names, shapes and dtypes are compared before the first value changes, and one error lists every difference.
# - **Every problem is reported.**
#   A different dtype is an error unless you ask for a cast.
#   Tied weights stay tied, or you get an error.
#   The file holds checksums, and loading compares them.
#   A <dfn>checksum</dfn> is a short number computed from many bytes; if some of the bytes change, computing it again almost certainly gives a different number.
# - **Loading runs no code from the file.**
#
# The next snippet shows the second promise: the file does not fit, so loading raises an error and does not change the net.
# For an unexpected name, the error also gives the most similar name in the net.

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
print(
    all(
        torch.equal(tensor, before[name])
        for name, tensor in clone.state_dict().items()
    )
)
#> True

# %% [markdown]
# **Limitation.** A safetensors file holds only tensors and text.
#
# **Cost.** Computing the checksums reads every byte once more.

# %% [markdown]
# ### Checkpoints
#
# Saving the net, the optimizer, the scheduler and the random states one by one is easy to get wrong.
# Each call to `save_checkpoint` writes one file with the states of all parts that you pass and the random states of Python, NumPy, PyTorch and its GPUs.
# `load_checkpoint` loads the last complete file and returns its step; if there is no file, it changes nothing and returns `None`:

# %%
from d2lblocks import load_checkpoint, save_checkpoint

model, optimizer, scheduler = start()
train(model, optimizer, scheduler, steps=3)
parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
print(save_checkpoint("run", 3, **parts).name)
#> step-3.safetensors

model, optimizer, scheduler = start()
parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
done = load_checkpoint("run", **parts) or 0
train(model, optimizer, scheduler, steps=6 - done)
print(
    all(torch.equal(a, b) for a, b in zip(model.parameters(), unstopped.parameters()))
)
#> True

# %% [markdown]
# Again, the two nets are equal.
# A training program can run the second half of this snippet at every start: without a checkpoint, `done` is 0.
#
# By default, `save_checkpoint` keeps the last three checkpoints; `keep` sets a different number.
# If you pass a `loss`, it also keeps the checkpoint with the smallest loss.
# To load that checkpoint, pass `"best"` to `load_checkpoint`:

# %%
for step, loss in enumerate([0.9, 0.2, 0.4, 0.3, 0.5], start=4):
    path = save_checkpoint("run", step, **parts, keep=2, loss=loss)
print(sorted(each.name for each in path.parent.iterdir()))
#> ['step-5.safetensors', 'step-7.safetensors', 'step-8.safetensors']
print(load_checkpoint("run", "best", model=model))
#> 5

# %% [markdown]
# If a checkpoint is damaged, `load_checkpoint` warns, names the file and loads the one before it:

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
# A PyTorch optimizer saves its state by position, so changing the order of the layers gives each layer the momentum of another one.
# A file from `save_checkpoint` also holds the names of the parameters, so each parameter gets its own state back.
# If a parameter is missing from the saved or the new optimizer or is in a different parameter group (a set of parameters with the same options), the error names it.
#
# Put everything else that the run must remember into a dictionary or a list; loading fills it in place.
# A random number generator, such as the one that shuffles your data, can also be a part:

# %%
progress, shuffling = {"epoch": 3, "losses": [0.5, 0.25]}, torch.Generator()
save_checkpoint("attention", 2, progress=progress, shuffling=shuffling)
restored = {}
load_checkpoint("attention", progress=restored, shuffling=torch.Generator())
print(restored)
#> {'epoch': 3, 'losses': [0.5, 0.25]}

# %% [markdown]
# Give each run its own folder.
# If an old run left step 8 there and the new run saves step 3, the last checkpoint is the old run's, so `save_checkpoint` warns you.
#
# **Limitation.** A state may hold tensors, numbers, strings, `None`, NumPy arrays, and lists, tuples, sets and dictionaries of them.
# Saving anything else raises an error that says where it is.
# If a net runs its own code during loading, for example in a hook, `load_checkpoint` keeps a copy of all nets in memory to undo everything if that code fails.
#
# Use `torch.save` for other objects, `safetensors.torch` to exchange weights with other programs and `torch.distributed.checkpoint` for nets that are split over several processes.
#
# **The first reading ends here.** The rest of this section is for readers who load files from other programs, train on several GPUs or want to know what saving costs and how it works; look up messages in When it goes wrong.

# %% [markdown]
# ### Damaged files, and files from other programs
#
# A failing disk or network can silently flip a bit in a file.
# In the file below, one of over 250,000 bits is flipped, and `load_parameters` rejects it:

# %%
from pathlib import Path

from d2lblocks import DamagedFileError

save_parameters(net, "damaged.safetensors")
content = bytearray(Path("damaged.safetensors").read_bytes())
content[-1000] ^= 1  # flips one bit
Path("damaged.safetensors").write_bytes(content)

try:
    load_parameters(clone, "damaged.safetensors")
except DamagedFileError as error:
    print(error)
#> cannot load damaged.safetensors: 'out.weight' is damaged

# %% [markdown]
# `torch.load` and the safetensors library read such a file without an error: a `.pt` file has checksums, but `torch.load` does not compare them, and other safetensors files have none.
# The table shows what happens with 20,000 small files that hold a net, a net with tied weights or a net with its optimizer.
# Each is damaged once: a bit is flipped, the description of the tensors is changed, or a part is cut off, left out, repeated, swapped or overwritten.
# In the last two rows, `load_state_dict` copies the tensors into the net and may change some values before it finds one that does not fit.
#
# Under "as saved", the damage changed nothing that is loaded.
# Under "wrong values", loading raised no error, but some values differ from the saved ones.
# Under "refused, yet changed", loading raised an error after some values had been replaced.
# The last column counts the classes of errors.
# The list below the table is about programs that are killed or run at the same time.
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
# A file from another program has no checksums, so `load_parameters` rejects it unless you pass `verify=False`.
# Such a program often writes a tied weight under only one of its names.
# `load_parameters` accepts the file if, in your net, the missing name is tied to a name in the file:

# %%
from safetensors.torch import save_file

save_file({"0.weight": torch.ones(5, 4)}, "theirs.safetensors")
load_parameters(tied, "theirs.safetensors", verify=False)
print(scores.weight is table.weight, scores.weight.detach().unique())
#> True tensor([1.])

# %% [markdown]
# If the file has a different format, the error says which function reads it:

# %%
try:
    load("mlp.safetensors")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: cannot load mlp.safetensors: it is a safetensors file: load_parameters loads it into a net, safetensors.torch.load_file gives its tensors

# %% [markdown]
# **Watch out.** Checksums find accidents, not attacks: anyone who can change the file can also change its checksums.

# %% [markdown]
# ### Sharded nets: `torch.distributed.checkpoint`
#
# Skip this unless you train a net on several GPUs.
#
# <dfn>Sharding</dfn> a net means splitting its tensors into pieces, called shards, so that each process holds only some of the pieces.
# With [`torch.distributed.checkpoint`](https://docs.pytorch.org/docs/stable/distributed.checkpoint.html), each process writes its own shards, and any number of processes can read them.
#
# The example runs two processes on the CPU; each holds half of a linear layer whose weight has six rows.
# `"gloo"` is a library for communication between processes.
# Without this argument, PyTorch would also start NCCL, a library for GPUs that rejects two processes on one GPU.

# %%
import subprocess
import sys

Path("spread.py").write_text("""
import gc

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch.distributed.fsdp import fully_shard


def main():
    dist.init_process_group("gloo")
    mesh = dist.init_device_mesh("cpu", (2,))  # the two processes
    torch.manual_seed(0)
    net = nn.Linear(4, 6)
    fully_shard(net, mesh=mesh)  # each process keeps half of the rows
    dcp.save({"net": net.state_dict()}, checkpoint_id="spread")
    if dist.get_rank() == 0:
        rows = len(net.weight.to_local())  # of this process
        print(rows, "of", len(net.weight), "rows are here")


main()
# The net keeps the process group alive; its threads could crash the program at exit.
gc.collect()
dist.destroy_process_group()
""")
command = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--nproc-per-node=2",
    "spread.py",
]
print(
    subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
)
#> 3 of 6 rows are here

# %% [markdown]
# A single process can now load all six rows:

# %%
import torch.distributed.checkpoint as dcp

torch.manual_seed(0)
original, whole = nn.Linear(4, 6), nn.Linear(4, 6)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the warning says that a single process loads
    dcp.load({"net": whole.state_dict()}, checkpoint_id="spread")
print(torch.equal(whole.weight, original.weight))
#> True

# %% [markdown]
# **Limitation.** The checkpoint is a folder of many files, and its metadata is a pickle, so load only checkpoints that you wrote yourself.

# %% [markdown]
# ### How long saving and loading take
#
# Skip this unless your nets are large or you save them often.
#
# Speed has tables of the times; this section explains them.
#
# **Loading.** Without checksums, `load_parameters` takes about as long as `load_file` from safetensors followed by `load_state_dict`.
# For a net of 2,000 layers, `load_parameters` is more than ten times faster, because `load_state_dict` goes through all names again for each layer of an `nn.Sequential`.
# A <dfn>memory-mapped file</dfn> is read page by page (a page is a few KiB), when a program first uses the page; the system can drop a page from memory at any time.
# Both ways of loading copy from such a file; this takes longer than copying from memory, because the system provides the pages during the copy.
# Comparing the checksums takes about as long as copying.
#
# **Saving.** `save_parameters` computes the checksum of each megabyte just before writing it.
# The old file stays until the new one is complete, so the system needs new memory for the pages of the new one.
# `torch.save` empties the old file first, which frees its pages, so it can be faster, depending on the disk's other work.

# %% [markdown]
# ### Atomic replacement: no half-written files
#
# Skip this unless you write files with `torch.save` in a program that may be stopped at any time.
#
# `torch.save` empties the old file before it writes the new one.
# If the program is stopped in between, the old file is lost and the new one is cut off.
# <dfn>Atomic replacement</dfn> of a file means that a program that opens the file gets either the complete old version or the complete new one.
# To get it, write to a different name in the same folder and rename the file when it is complete:

# %%
with open("mlp.pt.tmp", "wb") as file:
    torch.save(net.state_dict(), file)
    file.flush()
    os.fsync(file.fileno())
os.replace("mlp.pt.tmp", "mlp.pt")
print(os.path.exists("mlp.pt"), os.path.exists("mlp.pt.tmp"))
#> True False

# %% [markdown]
# `fsync` waits until the disk has the data, so a complete file is there even after a power failure.
#
# The library's functions do the same and keep the permissions of the old file.
# If a writer is killed, its temporary file stays, and the next writer removes it.
# Each writer locks its temporary file (if the system has such locks), so no other writer removes it too early.

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### `Weights only load failed`: a whole module, a NumPy scalar
#
# `torch.save` accepts nearly any object, but `torch.load` accepts little more than tensors, plain Python numbers and strings, and lists, tuples, dictionaries and sets of them.
# A NumPy number or a `defaultdict` only looks like one of these:

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
        refused = "Unsupported global" in str(error)
        print(f"{what}: {'Unsupported global' if refused else error}")
#> a whole module: Unsupported global
#> numpy.float64: Unsupported global
#> Namespace: Unsupported global
#> Path: Unsupported global
#> defaultdict: Unsupported global
#> partial: Unsupported global
#> date: Unsupported global

# %% [markdown]
# The last lines of the message name the rejected class:

# %%
torch.save({"arguments": objects["Namespace"]}, "thing.pt")
try:
    torch.load("thing.pt")
except pickle.UnpicklingError as error:
    (line,) = [
        line for line in str(error).splitlines() if "Unsupported global" in line
    ]
    print(line.partition(". Please")[0].strip())
#> WeightsUnpickler error: Unsupported global: GLOBAL argparse.Namespace was not an allowed global by default

# %% [markdown]
# Fix: convert the object before you save it.
# Use `.item()` or `float(...)` for numbers, `str(...)` for paths, `state_dict()` for a module, `vars(...)` for a namespace, `dict(...)` for a `defaultdict` and `.isoformat()` for a date.

# %%
torch.save(
    {"net": net.state_dict(), "folder": str(pathlib.Path("data"))}, "with_path.pt"
)
print(torch.load("with_path.pt")["folder"])
#> data

# %% [markdown]
# If you trust an old file, load it inside `with torch.serialization.safe_globals([...]):` and list the classes that it may contain.
#
# To notice it next time: use `save`, which rejects such an object.

# %% [markdown]
# ### `Expected state_dict to be dict-like, got <class 'str'>`
#
# You passed the name of a file to `load_state_dict`, not the dictionary in it.

# %%
try:
    net.load_state_dict("mlp.pt")
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: Expected state_dict to be dict-like, got <class 'str'>.

# %% [markdown]
# Fix: read the file first: `net.load_state_dict(torch.load("mlp.pt"))`.

# %% [markdown]
# ### `'_IncompatibleKeys' object is not callable`
#
# You called the result of `load_state_dict` as if it were the net, but the result is a report of the names that did not match.

# %%
report = net.load_state_dict(torch.load("mlp.pt"))
try:
    report(X)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: '_IncompatibleKeys' object is not callable

# %% [markdown]
# Fix: go on using `net`, which `load_state_dict` has changed in place: `net(X)`.

# %% [markdown]
# ### `state_dict` without parentheses: the file holds a method
#
# You wrote `net.state_dict` without parentheses, so the method was saved together with its net, and `torch.load` rejects the file.

# %%
torch.save(net.state_dict, "method.pt")
try:
    torch.load("method.pt")
except pickle.UnpicklingError as error:
    print("Unsupported global: GLOBAL getattr" in str(error))
#> True

# %% [markdown]
# Fix: call the method: `torch.save(net.state_dict(), path)`.
#
# To notice it next time: load the file right after saving it.

# %% [markdown]
# ### `Attempting to deserialize object on a CUDA device`
#
# The file was saved on a machine with a GPU, and you are loading it on a machine without one; this snippet imitates that:

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
# If the second machine has fewer GPUs than the first, the message is similar:

# %%
with mock.patch("torch.serialization.location_tag", return_value="cuda:1"):
    torch.save(torch.ones(2), "from_second_gpu.pt")
try:
    with mock.patch.multiple(
        "torch.cuda", is_available=lambda: True, device_count=lambda: 1
    ):
        torch.load("from_second_gpu.pt")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Attempting to deserialize object on CUDA device 1 but torch.cuda.device_count() is 1. Please use torch.load with map_location to map your storages to an existing device.

# %% [markdown]
# Fix: use `map_location` or `d2lblocks.load`, which uses the CPU unless you name another device.

# %%
print(torch.load("from_gpu.pt", map_location="cpu").device, load("from_gpu.pt").device)
#> cpu cpu

# %% [markdown]
# ### `No module named 'models'`, or `Can't get attribute 'Net'`
#
# You saved a whole net and later moved or renamed its class.
# The file holds only the names of the class and of its Python module.
# If that module cannot be imported, you see the first message:

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

# %% [markdown]
# If the module no longer has the class, you see the second message:

# %%
sys.modules["models"] = types.ModuleType("models")
try:
    torch.load("whole.pt", weights_only=False)
except AttributeError as error:
    print(str(error).partition(" on ")[0])
#> Can't get attribute 'Net'

# %% [markdown]
# Fix: if you trust the file, make the class available under its old name, load the file once and save the state dict.

# %%
sys.modules["models"].Net = Net
torch.save(torch.load("whole.pt", weights_only=False).state_dict(), "state.pt")
print(list(torch.load("state.pt")))
#> ['weight', 'bias']

# %% [markdown]
# ### `'GELU' object has no attribute 'approximate'`
#
# You loaded a whole net saved with an older PyTorch.
# The attributes of the `GELU` layer come from the file, but the class has gained an attribute since then, so the first call fails:

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
# Fix: set the attribute to its default value, and save the state dict, which does not contain such attributes.

# %%
old[1].approximate = "none"
print(old(torch.rand(1, 2)).shape)
#> torch.Size([1, 2])
torch.save(old.state_dict(), "state.pt")

# %% [markdown]
# ### `PytorchStreamReader failed reading zip archive`
#
# The file was cut off, and the table of contents at the end of the zip archive is missing:

# %%
Path("cut.pt").write_bytes(Path("mlp.pt").read_bytes()[:2000])
try:
    torch.load("cut.pt")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory. This is an internal miniz error. If you are seeing this error, there is a high likelihood that your checkpoint file is corrupted. This can happen if the checkpoint was not saved properly, was transferred incorrectly, or the file was modified after saving.

# %% [markdown]
# If the file is empty, `torch.load` raises an `EOFError` without a message; with `weights_only=False`, it raises this error:

# %%
Path("empty.pt").touch()
try:
    torch.load("empty.pt", weights_only=False)
except EOFError as error:
    print(f"EOFError: {error}")
#> EOFError: Ran out of input

# %% [markdown]
# Fix: download or copy the file again.
# If your own program wrote the file, use atomic replacement or call `save`.
#
# If the message is `Unsupported operand 118`, or `invalid load key, 'v'` with `weights_only=False`, your file is only the short text that Git LFS keeps in a repository in place of the real file.
# `git lfs pull` downloads the real one.

# %%
Path("pointer.pt").write_text("version https://git-lfs.github.com/spec/v1")
try:
    torch.load("pointer.pt")
except pickle.UnpicklingError as error:
    print("Unsupported operand 118" in str(error))
#> True

# %% [markdown]
# To notice it next time: compare the size or the checksum of the file with that of the original.

# %% [markdown]
# ### `Some tensors share memory`, from safetensors
#
# Your net has tied weights, and safetensors has no entry for them, so `save_file` rejects the state dict.

# %%
try:
    save_file(tied.state_dict(), "tied.safetensors")
except RuntimeError as error:
    print(str(error).strip().partition(" and potential")[0])
#> Some tensors share memory, this will lead to duplicate memory on disk

# %% [markdown]
# `save_model` of safetensors stores the tensor under only one of the names, so for `load_state_dict` the other name is missing:

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
# Fix: load the file with `load_model` or `load_parameters`, which take the tie from the net, or save the net with `save_parameters`, which adds the tie to the header as text.

# %%
load_model(tied, "tied.safetensors")
load_parameters(tied, "tied.safetensors", verify=False)  # or this
save_parameters(tied, "tied.safetensors")  # writes the tie as well
print(scores.weight is table.weight)
#> True

# %% [markdown]
# ### `You are trying to save a non contiguous tensor`
#
# You transposed a weight or converted the net to `channels_last`, and `save_file` accepts only contiguous tensors.
# A <dfn>contiguous tensor</dfn> has its values in memory one after another, in the order of its indices, with the last index changing fastest.
# `channels_last` keeps the shape of a weight but stores its values in another order:

# %%
conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
try:
    save_file(conv.state_dict(), "conv.safetensors")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: You are trying to save a non contiguous tensor: `weight` which is not allowed. It either means you are trying to save tensors which are reference of each other in which case it's recommended to save only the full tensors, and reslice at load time, or simply call `.contiguous()` on your tensor to pack it before saving.

# %% [markdown]
# Fix: call `.contiguous()` on each tensor, or use `save_parameters`.

# %%
save_file(
    {name: t.contiguous() for name, t in conv.state_dict().items()}, "conv.safetensors"
)
save_parameters(conv, "conv.safetensors")
print(
    torch.equal(
        load_parameters(nn.Conv2d(3, 4, 3), "conv.safetensors").weight, conv.weight
    )
)
#> True

# %% [markdown]
# ### Unpacking a loaded dictionary gives its keys
#
# You expected two tensors and got two strings:

# %%
a, b = torch.load("dict.pt")
print(a, b)
#> x y

# %% [markdown]
# The file holds a dictionary, and Python unpacks a dictionary into its keys.
#
# Fix: keep the dictionary, `state = torch.load("dict.pt")`, and look up each entry: `a, b = state["x"], state["y"]`.

# %% [markdown]
# ### `Missing key(s) in state_dict`, and the same names with `module.`
#
# The file was saved from a wrapped net, so each name is listed twice: as missing and, with `module.` or `_orig_mod.` in it, as unexpected:

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
# Fix: save the state dict of the inner net, or remove the wrapper's names as in Prefixes.
# `consume_prefix_in_state_dict_if_present` also removes other prefixes, such as the `model.` of a training framework.
#
# `torch.optim.swa_utils.AveragedModel`, which averages the weights during training, is also a wrapper and adds an entry of its own:

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
# Fix: save `averaged.module.state_dict()`, or remove `n_averaged` and `module.` from the state dict.
#
# For a safetensors file, the error of `load_parameters` says how to rename the entries:

# %%
save_file(dict(partly.state_dict()), "partly.safetensors")
try:
    load_parameters(plain, "partly.safetensors", verify=False)
except RuntimeError as error:
    print(str(error).splitlines()[-1].strip())
#> The checkpoint is wrapped: without "_orig_mod." its keys fit. To load this one, rename each by name.replace("_orig_mod.", "").

# %% [markdown]
# To notice it next time: look at the names with `list(state)` before you save.

# %% [markdown]
# ### `Unexpected key(s) in state_dict`: a buffer that was `None`
#
# Your module registers a buffer as `None` and assigns a tensor in the first call.
# Only then does the state dict have an entry for it:

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
# Fix: register the buffer with its shape, for example as `torch.zeros(20)`.
# If you do not know the shape, take it from the state dict before you load:

# %%
new, state = Centered(), used.state_dict()
new.mean = torch.empty_like(state["mean"])
print(new.load_state_dict(state))
#> <All keys matched successfully>

# %% [markdown]
# To notice it next time: test that a *new* net can load what a *used* net has saved.
# `diagnose` reports this as `filled-at-first-call`.

# %% [markdown]
# ### `Missing key(s)`: `weight_g` and `parametrizations.weight.original0`
#
# Weight normalization stores a weight as a length and a direction, and PyTorch has two versions of it.
# `nn.utils.weight_norm` calls the length and the direction `weight_g` and `weight_v`; the newer `nn.utils.parametrizations.weight_norm` names them `parametrizations.weight.original0` and `original1`.
# The newer one can load a state dict of the older one, but not the reverse:

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
# With `strict=False`, the layer silently keeps its random weights.
#
# Fix: use the newer version, or rename the entries.

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
# ### `strict=False`: nothing was loaded, and there is no error
#
# The loaded net predicts no better than a new one.
# With `strict=False`, `load_state_dict` silently skips every name that does not match, and here none does:

# %%
report = MLP().load_state_dict(compiled.state_dict(), strict=False)
print(len(report.missing_keys), len(report.unexpected_keys))
#> 4 4

# %% [markdown]
# Fix: decide which names may be missing, and check that no others are.

# %%
state = net.state_dict()
del state["out.weight"], state["out.bias"]
report = MLP().load_state_dict(state, strict=False)
assert (
    set(report.missing_keys) <= {"out.weight", "out.bias"}
    and not report.unexpected_keys
)
print(report.missing_keys)
#> ['out.weight', 'out.bias']

# %% [markdown]
# ### `state_dict()` is not a copy: the best weights have changed
#
# You kept the state dict of the best epoch, but at the end it holds the weights of the last epoch.
# The tensors of `state_dict()` share the memory of the net, so training changes them too:

# %%
best = net.state_dict()
with torch.no_grad():
    net.out.bias.fill_(7.0)
print(bool((best["out.bias"] == 7).all()))
#> True

# %% [markdown]
# Fix: make a copy, or save the state dict to a file at once.

# %%
import copy

best = copy.deepcopy(net.state_dict())
with torch.no_grad():
    net.out.bias.fill_(8.0)
print(bool((best["out.bias"] == 7).all()))
#> True

# %% [markdown]
# To notice it next time: evaluate the net again with the best weights, and compare the result with that epoch's.

# %% [markdown]
# ### Tied weights are no longer tied after loading
#
# Two layers shared a parameter before loading, but afterward each has its own.
# Loading with `assign=True` replaces the parameters of the net instead of copying values into them:

# %%
tied.load_state_dict(tied.state_dict(), assign=True)
print(
    scores.weight is table.weight, scores.weight.data_ptr() == table.weight.data_ptr()
)
#> False True

# %% [markdown]
# If both names refer to one tensor in the file, the two parameters still share its memory, so comparing values does not reveal the mistake.
# `to_empty` also unties the weights of a net on the meta device.
#
# Fix: tie the weights again, or load without `assign=True`.
#
# To notice it next time: check `scores.weight is table.weight` after loading.
# `diagnose` reports this as `tie-lost` or `same-memory`.

# %% [markdown]
# ### Loading changes the dtype
#
# The values in the net are not exactly those in the file.
# `load_state_dict` does not compare dtypes: it rounds `float32` values when the net has `float16` parameters, and it drops the fraction when the net has integers:

# %%
counter = nn.Module()
counter.seen = nn.Buffer(torch.zeros(2, dtype=torch.int64))
print(counter.load_state_dict({"seen": torch.tensor([0.7, 2.9])}), counter.seen)
#> <All keys matched successfully> tensor([0, 2])

# %% [markdown]
# Fix: compare the dtypes first, or let `load_parameters` do it.

# %%
half = MLP().half()
theirs, mine = half.state_dict(), net.state_dict()
print([name for name in mine if mine[name].dtype != theirs[name].dtype])
#> ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
save_parameters(half, "half.safetensors")
print(load_parameters(MLP(), "half.safetensors", cast=True).out.bias.dtype)
#> torch.float32

# %% [markdown]
# Without `cast=True`, `load_parameters` raises an error that lists every such tensor.

# %% [markdown]
# ### `loaded state dict contains a parameter group that doesn't match the size of optimizer's group`
#
# You added a layer, or you froze some parameters and left them out of the optimizer.
# The state of an optimizer fits only an optimizer with the same number of parameters in each group.

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
# If the number of groups differs, for example because biases now have their own learning rate, the message is different:

# %%
groups = [{"params": short[0].weight}, {"params": short[0].bias, "lr": 0.01}]
try:
    torch.optim.Adam(groups).load_state_dict(saved)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: loaded state dict has a different number of parameter groups

# %% [markdown]
# Fix: load only the net, and continue with the new optimizer, which the failed call has not changed.
# To keep the old state, load it first and then add the new parameters as a group of their own:

# %%
optimizer = torch.optim.Adam(longer[0].parameters())
optimizer.load_state_dict(saved)
optimizer.add_param_group({"params": longer[1].parameters()})
print([len(group["params"]) for group in optimizer.param_groups])
#> [2, 2]

# %% [markdown]
# ### The optimizer's state belongs to other layers
#
# You changed the order of the layers before you resumed a run.
# A net is loaded by name but an optimizer by position, so each layer silently gets the momentum of another layer of the same shape:

# %%
def ordered(names):
    layers = nn.ModuleDict({name: nn.Linear(2, 2, bias=False) for name in names})
    return layers, torch.optim.SGD(layers.named_parameters(), lr=0.1, momentum=0.9)


before, optimizer = ordered("qk")
(before["q"].weight.sum() + 2 * before["k"].weight.sum()).backward()
optimizer.step()
save_checkpoint("ordered", 1, net=before, optimizer=optimizer)
saved = optimizer.state_dict()

after, optimizer = ordered("kq")
print(
    saved["param_groups"][0]["param_names"] == optimizer.param_groups[0]["param_names"]
)
#> False
optimizer.load_state_dict(saved)
print(optimizer.state[after["q"].weight]["momentum_buffer"].unique())
#> tensor([2.])

# %% [markdown]
# The gradient of `q` was 1, so its momentum should be 1, but it is 2.
#
# Fix: register the layers in the old order, or use `save_checkpoint`, which finds the state of each parameter by name.

# %%
load_checkpoint("ordered", net=after, optimizer=optimizer)
print(optimizer.state[after["q"].weight]["momentum_buffer"].unique())
#> tensor([1.])

# %% [markdown]
# To notice it next time: compare the names before you load, as above; an optimizer built from `named_parameters()` saves the names but does not compare them.

# %% [markdown]
# ### `param 'initial_lr' is not specified`, from a scheduler
#
# You passed `last_epoch` to a scheduler to resume a run, but this argument loads nothing.
# It sets the scheduler's counter and requires an entry `initial_lr` that an earlier scheduler wrote into the optimizer.

# %%
optimizer = torch.optim.SGD(MLP().parameters(), lr=0.1)
try:
    torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, last_epoch=4)
except KeyError as error:
    print(f"KeyError: {error}")
#> KeyError: "param 'initial_lr' is not specified in param_groups[0] when resuming scheduler with last_epoch >= 0.\nThis typically happens when:\n1. You're trying to resume training from a checkpoint but haven't properly loaded the optimizer state\n2. You're using last_epoch >= 0 for a fresh training run (not recommended)"

# %% [markdown]
# Fix: build the scheduler without `last_epoch`, and load its state and the optimizer's, as in Resuming training.

# %% [markdown]
# ### Saving a lazy net before its first batch
#
# Before its first batch, a lazy layer has no values to save:

# %%
try:
    save_parameters(nn.LazyLinear(3), "lazy.safetensors")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: cannot save 'weight', 'bias': not initialized yet, the shapes come with the first batch

# %% [markdown]
# Fix: before you save, do a dry run with an example batch, here with `apply_init`.

# %%
from d2lblocks import apply_init

save_parameters(apply_init(nn.LazyLinear(3), X), "lazy.safetensors")
print(load_parameters(nn.LazyLinear(3), "lazy.safetensors").weight.shape)
#> torch.Size([3, 20])

# %% [markdown]
# ### `Can't pickle local object`: saving a whole net
#
# You saved the whole net, and one of its attributes is a lambda or a function defined inside another function.
# A pickle stores a function by its name, and such a function has no name that can be imported.

# %%
class WithLambda(nn.Module):
    def __init__(self):
        super().__init__()
        self.activation = lambda X: X.relu()


try:
    torch.save(WithLambda(), "lambda.pt")
except (AttributeError, pickle.PicklingError) as error:
    print("local object 'WithLambda.__init__.<locals>.<lambda>'" in str(error))
#> True

# %% [markdown]
# The error is an `AttributeError`, or since Python 3.14 a `PicklingError`; some versions of Python say `Can't get local object`.
#
# Fix: save the state dict: `torch.save(net.state_dict(), path)`.
# Alternatively, use a module such as `nn.ReLU()` instead of the lambda.

# %% [markdown]
# ### `size mismatch`, even with `strict=False`: a different number of classes
#
# You have trained a classifier for ten classes and now need three.
# The last layer has the same name but a different shape, which `strict=False` does not ignore:

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
# Fix: leave out the last layer, and check that nothing else is missing.

# %%
state = {
    name: tensor
    for name, tensor in ten.state_dict().items()
    if not name.startswith("head.")
}
print(three.load_state_dict(state, strict=False).missing_keys)
#> ['head.weight', 'head.bias']

# %% [markdown]
# ### `Unexpected key(s) in state_dict: "total_ops", "total_params"`
#
# Before you saved the net, an operation counter registered buffers in every module, and `state_dict()` includes them.
#
# Fix: leave out those names, and no others, when you load; run such counters on `copy.deepcopy(net)`.

# %%
counted = copy.deepcopy(ten)
for module in counted.modules():
    module.register_buffer("total_ops", torch.zeros(1))
counts = ("total_ops", "total_params")
state = {
    name: t for name, t in counted.state_dict().items() if not name.endswith(counts)
}
print(ten.load_state_dict(state))
#> <All keys matched successfully>

# %% [markdown]
# To notice it next time: look at `list(net.state_dict())` before you save.

# %% [markdown]
# ### The learning rate is reset after resuming
#
# You resumed a run, and the learning rate is wrong, for example back near its first value: you loaded the state of the optimizer but not that of the scheduler.
# A new scheduler counts its steps from zero, and one such as `LambdaLR` computes the learning rate from that count.
# Here, the learning rate is multiplied by 0.9 after each step, so after four steps it should be 0.656:

# %%
def scheduled():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.9**step
    )


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
# Fix: build both, and then load the states of both.

# %%
optimizer, scheduler = scheduled()
optimizer.load_state_dict(states[0])
scheduler.load_state_dict(states[1])
optimizer.step()
scheduler.step()
print(round(optimizer.param_groups[0]["lr"], 3))
#> 0.656

# %% [markdown]
# To notice it next time: print `optimizer.param_groups[0]["lr"]` after the first resumed step.

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# Write `save_net(net, path)`, which saves the state dict of a trained net in a file.
# Write `load_net(make, path)`, which builds a new net with `make()`, loads the file into it and returns it in evaluation mode.
#
# To practice (easy): `python -m d2lblocks practice start serialization/1`

# %% [markdown]
# #### Solution

# %% [markdown]
# Even if you use the net only on this machine, everything in memory is lost when the process ends.
#
# *serialization/1_save_net.py*

# %%
def save_net(net, path):
    torch.save(net.state_dict(), path)


def load_net(make, path):
    net = make()
    net.load_state_dict(torch.load(path))
    return net.eval()

# %%
save_net(net, "trained.pt")
print(torch.equal(load_net(MLP, "trained.pt")(X), net(X)))
#> True

# %% [markdown]
# ### Exercise 2
#
# In each epoch, `best_state` calls `train(net)`, which changes `net`, and `loss(net)`, which returns a number.
# It should return the state dict after the epoch with the smallest loss, but it returns the last one.
# Repair it.
#
# To practice (easy): `python -m d2lblocks practice start serialization/2`

# %% [markdown]
# #### Solution

# %% [markdown]
# `net.state_dict()` holds the tensors of the net itself, so the kept state must be a copy.
#
# *serialization/2_best.py*

# %%
def best_state(net, train, loss, epochs):
    best, least = None, float("inf")
    for _ in range(epochs):
        train(net)
        if (now := loss(net)) < least:
            best, least = copy.deepcopy(net.state_dict()), now
    return best

# %% [markdown]
# ### Exercise 3
#
# Reuse one layer of a saved net in another net, and train only the new layers.
# Write `transfer(path, name, layer)`: in the state dict in the file `path`, the names of the layer's entries begin with `name` and a dot.
# Load these entries into `layer`, which may have layers inside, freeze all its parameters and return it.
# If the file lacks an entry, raise an error.
#
# To practice (medium): `python -m d2lblocks practice start serialization/3`

# %% [markdown]
# #### Solution

# %% [markdown]
# Inside the layer, the names do not have the prefix; in an optimizer for the whole net, a frozen parameter has no gradient and is skipped.
#
# *serialization/3_transfer.py*

# %%
def transfer(path, name, layer):
    state = torch.load(path)
    part = {key: state[f"{name}.{key}"] for key in layer.state_dict()}
    layer.load_state_dict(part)
    return layer.requires_grad_(False)

# %% [markdown]
# ### Exercise 4
#
# A file was saved from a net in `nn.DataParallel`, so all its names begin with `module.`.
# Write `load_wrapped(net, path)`, which loads the file into `net`, your own net without the wrapper.
# Your net may itself have an attribute named `module`; if the file lacks a name, raise an error.
#
# To practice (medium): `python -m d2lblocks practice start serialization/4`

# %% [markdown]
# #### Solution

# %% [markdown]
# In a module that has your net as its attribute `module`, the names are those in the file.
#
# *serialization/4_data_parallel.py*

# %%
def load_wrapped(net, path):
    wrapper = nn.Module()
    wrapper.module = net
    wrapper.load_state_dict(torch.load(path))

# %% [markdown]
# ### Exercise 5
#
# A plan such as `[("Linear", [20, 8]), ("ReLU", [])]` lists the classes of layers and their arguments.
# The function `keep` saves a plan and the state dict of its net in one file.
# Write `rebuild(path)`, which needs only that file and returns the net, an `nn.Sequential` with the saved values.
# The file may come from anybody: run no code from it, and raise an error if it lacks a value, or if it names a class that is not in `KNOWN`.
#
# To practice (hard): `python -m d2lblocks practice start serialization/5`

# %% [markdown]
# #### Solution

# %% [markdown]
# Restrict the classes: otherwise, a file could name any class or function, and loading it could run anything.
#
# *serialization/5_rebuild.py*

# %%
KNOWN = {"Linear": nn.Linear, "ReLU": nn.ReLU}


def keep(net, plan, path):
    torch.save({"plan": plan, "state": net.state_dict()}, path)


def rebuild(path):
    file = torch.load(path)
    layers = [KNOWN[name](*arguments) for name, arguments in file["plan"]]
    net = nn.Sequential(*layers)
    net.load_state_dict(file["state"])
    return net

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | to save tensors, lists, dictionaries | `save(obj, path)`, `load(path)`; `torch.save`, `torch.load` |
# | to save what a net has learned | `save_parameters(net, path)`; `torch.save(net.state_dict(), path)` |
# | to load it again | `load_parameters(net, path)`; `net.load_state_dict(torch.load(path))` |
# | a copy in memory | `copy.deepcopy(net.state_dict())` |
# | one part of a net | `net.hidden.state_dict()` |
# | names without `module.` | `consume_prefix_in_state_dict_if_present(state, "module.")`, for a prefix at the beginning |
# | to resume a run | `save_checkpoint(folder, step, net=net, optimizer=optimizer)`, `load_checkpoint(folder, net=net, optimizer=optimizer)` |
# | to save a net that is split over many processes | `torch.distributed.checkpoint` |
# | to load on another machine | `map_location="cpu"` |
# | names and shapes only | `map_location="meta"` |
# | a small part of a large tensor | `save`, or `.clone()` first |
# | a file from somebody else | safetensors; second best `weights_only=True`, the default |
# | to run a net without its classes | `torch.export.save` |
#
# The library's functions are in `d2lblocks.serialization`.
#
# Next: Devices, because a net and its data must be on the same device before you can use a loaded net.
