# %% [markdown]
# # Devices
#
# This is the page "Devices" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# You have a GPU, but your net trains no faster, because the work is still done on the CPU.
# Or you moved the net to the GPU, and now it stops with `Expected all tensors to be on the same device`.
#
# - **What you will be able to do:** put tensors and nets on a GPU, write code that runs with and without one, and measure how long the GPU takes.
# - **What you need:** Layers and modules and Parameters, each up to the line "The first reading ends here", and, for the library's functions, the package (run `pip install .` in a clone of this site's repository); you do not need a GPU.
# - **How long it takes:** about 20 minutes up to Copies and pinned memory, and this part is enough to train on one GPU; about 45 minutes with the rest and the exercises.

# %%
import torch
from torch import nn

# %% [markdown]
# Some snippets need a GPU; a table shows when each of them last ran without an error.

# %% [markdown]
# ## Device names and indices
#
# Before you can put a tensor on a GPU, you have to name the GPU.
# A <dfn>device</dfn> is the place where a tensor is stored and where operations on it run, usually hardware such as the CPU or a GPU.
# A `torch.device` object names a device by its type and, optionally, its index.
# A <dfn>device index</dfn> is the number of a device among those of its type, such as the 1 in `cuda:1`; numbering starts at 0.

# %%
print(torch.device("cpu"), torch.device("cuda"))
#> cpu cuda
print(torch.device("cuda", 1), torch.device("cuda:1"))
#> cuda:1 cuda:1

# %% [markdown]
# These are the types that you will see:
#
# - `cpu` means all cores of the CPU and the main memory.
# - `cuda` means a GPU from NVIDIA or AMD.
# - `mps` means the GPU of a Mac.
# - `xpu` means a GPU from Intel.
# - `meta` means no hardware at all (see The meta device).
#
# <dfn>CUDA</dfn> is NVIDIA's software for computing on its GPUs; PyTorch uses the name `cuda` for AMD's GPUs as well.
#
# Each GPU is a separate device, usually with its own memory (the GPU of a Mac shares the CPU's memory).
# `cuda` without an index means the current GPU, which is number 0 unless you change it.
# `torch.device` only creates a name, so the snippet above works without a GPU.
#
# Your code should run on every brand of GPU.
# PyTorch comes in several builds (for CUDA, for a Mac and so on), and each build supports at most one type of GPU.
# An <dfn>accelerator</dfn> is the type of GPU, or of similar hardware, that a build of PyTorch supports.
# [`torch.accelerator`](https://docs.pytorch.org/docs/stable/accelerator.html) tells you this type and the number of its devices.
# With a CUDA build and one NVIDIA GPU, these are `cuda` and 1.
# The next snippet checks only what is true on every machine; to see your own values, add `print(accelerator, torch.accelerator.device_count())`:

# %%
accelerator = torch.accelerator.current_accelerator()
print(accelerator is None or accelerator.type in ("cuda", "mps", "xpu"))
#> True
print((torch.accelerator.device_count() > 0) == torch.accelerator.is_available())
#> True

# %% [markdown]
# With these functions, you can write `try_gpu(i)`, which returns GPU number `i` or, if there is no such GPU, the CPU:

# %%
def try_gpu(i=0):
    if i < torch.accelerator.device_count():
        return torch.device(torch.accelerator.current_accelerator().type, i)
    return torch.device("cpu")


device = try_gpu()
print(torch.ones(2, device=device).device.type == device.type)
#> True

# %% [markdown]
# ## Create and move tensors
#
# PyTorch creates a tensor on the CPU unless you say otherwise.
# The attribute `device` tells you where a tensor is:

# %%
X = torch.ones(2, 3)
print(X.device)
#> cpu

# %% [markdown]
# To create a tensor on another device, pass that device when you create it.
# If you create it on the CPU and move it afterward, the extra memory and the copy cost time.
# `with torch.device(...)` sets the device for every tensor created inside the block:

# %%
Y = torch.ones(2, 3, device=try_gpu())
with torch.device(try_gpu()):
    Z = torch.ones(2, 3)
print(Y.device == Z.device)
#> True

# %% [markdown]
# To move an existing tensor, call `.to`.
# It returns a tensor on the new device and does not change the original.
# (Here, the device `meta`, which stores no values, takes the place of a GPU; the variable `meta` is a tensor.)

# %%
meta = X.to("meta")
print(X.device, meta.device)
#> cpu meta

# %% [markdown]
# If the tensor is already on that device, `.to` copies nothing and returns the same object, unless you pass `copy=True`:

# %%
print(X.to("cpu") is X, X.to("cpu", copy=True) is X)
#> True False

# %% [markdown]
# An operation needs all its tensors on one device, and its result is on that device too.
# PyTorch does not move a tensor for you, because that would hide the cost of a copy; it raises an error instead:

# %%
try:
    X + meta
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Tensor on device meta is not on the expected device cpu!

# %% [markdown]
# There are two exceptions, and the meta device has others.
# An operation such as `+` accepts a CPU tensor that has no dimensions, such as `torch.tensor(2.0)`, just as it accepts a Python number.
# In `X[index]`, an index on the CPU is moved for you, at the cost of a copy.
#
# On a real GPU, the results and the error look like this:
#
# *Needs a CUDA GPU.*

# %%
if torch.cuda.device_count() >= 1:
    on_gpu = X.to(try_gpu())
    print((on_gpu + on_gpu).device.type, (on_gpu * 2).device == on_gpu.device)
    #> cuda True
    try:
        X + on_gpu
    except RuntimeError as error:
        print("Expected all tensors to be on the same device" in str(error))
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ## Move a net
#
# A net and its batches have to be on the same device.
# `net.to(device)` moves every parameter and every buffer.
# Unlike the `.to` of a tensor, it changes the net in place:

# %%
net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
print(net.to(try_gpu()) is net)
#> True
print({tensor.device.type for tensor in net.state_dict().values()} == {try_gpu().type})
#> True

# %% [markdown]
# A tensor that is a plain attribute of a module is not moved.
#
# When a net moves between the CPU and a GPU, its parameters remain the same objects.
# So an optimizer that you created before the move still holds the right parameters:

# %%
net = nn.Linear(3, 1)
weight = net.weight
net.to(try_gpu())
print(net.weight is weight)
#> True

# %% [markdown]
# (Without a GPU, this snippet moves nothing.
# A move to the meta device creates new parameters.)
#
# **Watch out.** An optimizer may keep tensors of its own (its state), such as sums of earlier gradients for momentum, and `net.to` does not move them.
# The optimizer creates them in its first step, on the device where the parameters are at that time.
# So first move the net, then load a saved state of the optimizer, if any, and then train.
#
# In the training loop, move each batch to the device of the net:

# %%
net = nn.Linear(3, 1).to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for X, Y in [(torch.rand(8, 3), torch.rand(8, 1)) for _ in range(3)]:
    X, Y = X.to(device), Y.to(device)
    optimizer.zero_grad()
    nn.functional.mse_loss(net(X), Y).backward()
    optimizer.step()
print(net.weight.device.type == device.type)
#> True

# %% [markdown]
# ## The meta device
#
# Skip this on a first reading: it is about computing shapes and sizes without memory and testing device code without a GPU.
#
# A tensor on the meta device has a shape, a dtype and a device, but no memory and no values.
# An operation on such a tensor computes only the shape, dtype and device of the result.
# So you can compute the size of a net that would not fit in your computer's memory:

# %%
with torch.device("meta"):
    large = nn.Sequential(nn.Linear(50_000, 50_000), nn.ReLU(), nn.Linear(50_000, 10))
    result = large(torch.empty(64, 50_000))
print(result.shape, result.device)
#> torch.Size([64, 10]) meta
gib = sum(p.numel() * p.element_size() for p in large.parameters()) / 2**30
print(f"{gib:.1f} GiB")
#> 9.3 GiB

# %% [markdown]
# `element_size()` is the number of bytes per value, and a GiB is 2**30 bytes.
# The net would need 9.3 GiB for its parameters, but this snippet uses no memory for them.
#
# In a test, the meta device can also take the place of a GPU.
# If `forward` creates a CPU tensor and adds it to a meta tensor, PyTorch raises an error:

# %%
class Noisy(nn.Module):
    def forward(self, X):
        return X + torch.rand(X.shape)  # made on the CPU


try:
    Noisy()(torch.empty(2, 3, device="meta"))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Tensor on device cpu is not on the expected device meta!

# %% [markdown]
# Fix: take the device and the dtype from the input.

# %%
class Follows(nn.Module):
    def forward(self, X):
        return X + torch.rand_like(X)


print(Follows()(torch.empty(2, 3, device="meta")).device)
#> meta

# %% [markdown]
# In PyTorch 2.13, convolutions, and matrix products without a bias, accept a CPU tensor together with a meta tensor.
# So your test should also check the device of the output, as in exercise 6.
#
# **Limitation.** A meta tensor has no values: `.item()`, `.tolist()`, `.cpu()` and an `if` on its value raise an error, and `print` shows `...`.
# Lazy initialization shows how to give memory and values to a net on the meta device.

# %% [markdown]
# ## Asynchronous execution: how to measure time
#
# You measure how long a matrix product takes on a GPU, and the time is impossibly short.
#
# The <dfn>host</dfn> is the CPU with the main memory: Python runs there and gives work to the GPU.
# A <dfn>stream</dfn> is a queue of operations that a GPU executes in the order in which the host added them.
# A call such as `X @ Y` only adds an operation to a stream.
# <dfn>Asynchronous execution</dfn> means that the host does not wait for the GPU to finish an operation before it continues.
# Python waits when it needs a value, as in `.item()`, `.tolist()`, `print`, `if` or `.cpu()`.
#
# So if you measure a GPU computation in the usual way, you get only the time to *ask* for the work.
# To <dfn>synchronize</dfn> means to wait until the GPU has finished all the work in its queues, for example with `torch.accelerator.synchronize()`.
# To measure the work itself, synchronize before each reading of the clock:
#
# *Needs a CUDA GPU.*

# %%
if torch.cuda.device_count() >= 1:
    import time


    def seconds(work, wait):
        torch.accelerator.synchronize()
        start = time.perf_counter()
        work()
        if wait:
            torch.accelerator.synchronize()
        return time.perf_counter() - start


    big = torch.rand(8192, 8192, device=try_gpu())
    seconds(lambda: big @ big, wait=True)  # the first call also sets things up
    asked = min(seconds(lambda: big @ big, wait=False) for _ in range(5))
    done = min(seconds(lambda: big @ big, wait=True) for _ in range(5))
    print(asked < done)
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# Each result is the shortest of five times, because other programs can make a time longer but not shorter.
# Asking for the product takes less time than computing it (measured on one GPU).
#
# Without a GPU, there is nothing to wait for, and `synchronize()` raises an error, so check `torch.accelerator.is_available()` first.
#
# For times that you report, use [`torch.utils.benchmark.Timer`](https://docs.pytorch.org/docs/stable/benchmark_utils.html).
# It synchronizes, warms up and repeats for you.
# On the CPU, it uses one thread unless you set `num_threads=`.
#
# **Hidden waits.** A copy to the GPU also makes Python wait (unless you use pinned memory and `non_blocking=True`), and so do `X[mask]`, `nonzero` and `torch.equal`.
# `torch.cuda.set_sync_debug_mode("warn")` makes PyTorch warn you about most of these waits.
#
# **Errors appear late.** An error on the GPU, such as an index out of range, is reported only at the next line that waits, which is often not the line that caused it.
# To find the cause, set the environment variable `CUDA_LAUNCH_BLOCKING` to 1 before you start the program again.
#
# **The cost of printing the loss.** A training loop that prints its loss at every step waits at every step.
# The GPU does nothing while Python prints, and Python does nothing while the GPU computes.
# Add up the losses on the GPU instead and read the sum only every 50 steps or so (`torch.zeros(())` is a single number):

# %%
total = torch.zeros((), device=device)
for step in range(1, 101):
    loss = torch.tensor(1.0, device=device)  # stands for a loss
    total += loss.detach()
    if step % 50 == 0:
        print(step, (total / 50).item())
        total.zero_()
#> 50 1.0
#> 100 1.0

# %% [markdown]
# In 100 steps, the loop read a value only twice; with a real loss, it would wait only twice.
# `detach` is then needed: without it, `total` would keep the computation graphs of all losses.
#
# **The first reading ends here.** The rest of the page is about cheaper copies, 16-bit products, several GPUs, the library, common mistakes and exercises.

# %% [markdown]
# ## Copies and pinned memory
#
# The GPU computes fast, but each batch has to reach it first.
# Main memory and GPU memory are connected by a bus, a data line that is much slower than either memory.
#
# The operating system can move ordinary memory to another place or to the disk at any time.
# <dfn>Pinned memory</dfn> is main memory that the operating system never moves, so that a GPU can fetch data from it without the help of the CPU.
# Data in ordinary memory has to be copied into pinned memory first: by you, with `pin_memory()`, or by the GPU's driver, which has a *staging buffer* for this (not a buffer of a module).
#
# (A picture: The CPU and its memory at the top, the GPU and its memory at the bottom, and the slow bus between them. From X in ordinary memory, the CPU copies the values into a staging buffer in pinned memory, and Python waits; then they cross the bus. From X.pin_memory(), a copy of X in pinned memory, the GPU fetches the values over the bus, and with non_blocking=True Python goes on. Both ways lead to X.to(device) and then to X @ weight, which is fast in the GPU's own memory.)
#
# If the source is pinned and you pass `non_blocking=True`, PyTorch only adds the copy to the queue, and Python continues at once:
#
# *Needs a CUDA GPU.*

# %%
if torch.cuda.device_count() >= 1:
    pinned = torch.rand(2**24).pin_memory()
    on_gpu = pinned.to(try_gpu(), non_blocking=True)
    print(pinned.is_pinned(), torch.equal(on_gpu.cpu(), pinned))
    #> True True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# Pinning is itself a copy that Python has to wait for, so it is best done in the background, for example by PyTorch's batch loader, `DataLoader(..., num_workers=1, pin_memory=True)`.
# Speed compares the kinds of copies on one GPU and has the command for measuring them on yours.
#
# **Cost.** The rest of the system cannot use memory that is pinned.
#
# **Watch out.** Two mistakes silently give wrong values:
#
# - You write to a pinned tensor before its copy is done.
#   The GPU may then get the new values or a mix of old and new ones.
# - You read the result of `X.to("cpu", non_blocking=True)` too early.
#   This call returns before the values have arrived, so without `torch.accelerator.synchronize()` you may read old data from that memory.

# %% [markdown]
# ## Autocast
#
# Many GPUs have units for matrix products (on NVIDIA GPUs, tensor cores) that multiply 16-bit numbers several times faster than 32-bit numbers.
# Autocast uses these units and leaves the parameters in `float32`.
# Matrix products run in the 16-bit dtype that you choose.
# Operations that need a larger range or more precision, such as a loss, run in `float32`:

# %%
net, X, Y = nn.Linear(3, 1), torch.rand(2, 3), torch.rand(2, 1)
with torch.autocast("cpu", dtype=torch.bfloat16):
    prediction = net(X)
    loss = nn.functional.mse_loss(prediction, Y)
print(prediction.dtype, loss.dtype, net.weight.dtype)
#> torch.bfloat16 torch.float32 torch.float32
loss.backward()
print(net.weight.grad.dtype)
#> torch.float32

# %% [markdown]
# The forward pass and the loss belong inside the `with` block, and `backward` belongs outside.
#
# `bfloat16` has the same range as `float32`.
# `float16` cannot hold numbers that are as small, so small gradients can become 0; a [`torch.amp.GradScaler`](https://docs.pytorch.org/docs/stable/amp.html) prevents this.
#
# Without autocast, `torch.set_float32_matmul_precision("high")` makes `float32` products use these units too, with inputs rounded to fewer digits.
#
# **Limitation.** With either method, the results keep only two or three digits, so compare them with `torch.allclose(a.float(), b.float(), atol=t)`, where `t` is about 1% of the largest value.

# %% [markdown]
# ## Two GPUs
#
# Each GPU has its own queues.
# So two GPUs can compute at the same time, although Python gives work to one after the other:
#
# *Needs 2 CUDA GPUs.*

# %%
if torch.cuda.device_count() >= 2:
    devices = [torch.device("cuda", i) for i in range(2)]
    inputs = [torch.rand(1024, 1024, device=device) for device in devices]
    outputs = [X @ X for X in inputs]  # neither waits for the other
    print([output.device.index for output in outputs])
    #> [0, 1]
    print(outputs[0].to(devices[1]).device.index)
    #> 1
else:
    print("skipped: this needs 2 CUDA GPUs")

# %% [markdown]
# To train on several GPUs, use [`DistributedDataParallel`](https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html) with one process per GPU.
# If the net does not fit on one GPU, use [`fully_shard`](https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html).

# %% [markdown]
# ## In the library
#
# `d2lblocks.devices` has five functions.
# `cpu()` and `gpu(i)` return the name of a device, even of a GPU that does not exist.
# `num_gpus()` counts the GPUs.
# `try_gpu(i)` returns a device that exists: GPU number `i`, or the CPU if there is no such GPU.
# `try_all_gpus()` returns a list of all GPUs; without a GPU, the list contains the CPU.
#
# Source of these functions, without docstrings:
#
# *The library's own source, from `d2lblocks/devices.py`:*

# %%
import operator


def cpu() -> torch.device:
    return torch.device("cpu")


def gpu(i: int = 0) -> torch.device:
    i = operator.index(i)
    if i < 0:
        raise ValueError(f"expected the number of a GPU, 0 or larger, but got {i}")
    accelerator = torch.accelerator.current_accelerator()
    return torch.device("cuda" if accelerator is None else accelerator.type, i)


def num_gpus() -> int:
    return torch.accelerator.device_count()


def try_gpu(i: int = 0) -> torch.device:
    device = gpu(i)
    return device if device.index < num_gpus() else cpu()


def try_all_gpus() -> list[torch.device]:
    return [gpu(i) for i in range(num_gpus())] or [cpu()]

# %% [markdown]
# Numbering starts at 0, so no GPU has the number `num_gpus()`:

# %%
from d2lblocks import cpu, gpu, num_gpus, try_all_gpus, try_gpu

print(cpu(), gpu(2).index, len(try_all_gpus()) == max(num_gpus(), 1))
#> cpu 2 True
print(try_gpu(num_gpus()))
#> cpu

# %% [markdown]
# Unlike the short version above, the library's `try_gpu` rejects a negative index with a clear message:

# %%
try:
    try_gpu(-1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: expected the number of a GPU, 0 or larger, but got -1

# %% [markdown]
# A program for one kind of device should name that device, as in `torch.device("cuda")`, so that it fails if there is none.
# An error is often better than hours of unnoticed training on the CPU.

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### `Expected one of cpu, cuda, ...`
#
# You asked for the device `"gpu"`.
# PyTorch has no device type with that name:

# %%
try:
    torch.device("gpu")
except RuntimeError as error:
    print("Expected one of cpu, cuda" in str(error))
#> True

# %% [markdown]
# Fix: use the name of the type, such as `cuda`, or the function `gpu`, which finds the type for you.

# %%
print(gpu(0).type in ("cuda", "mps", "xpu"))
#> True

# %% [markdown]
# ### `Torch not compiled with CUDA enabled`
#
# You asked for a GPU, but this build of PyTorch does not support it.
# If the build supports the GPU, but the driver is missing or there are too few GPUs, you get a `RuntimeError` with a different message:

# %%
try:
    torch.ones(2, device=gpu(num_gpus()))
except (AssertionError, RuntimeError):
    print("no such device")
#> no such device

# %% [markdown]
# Fix: use `try_gpu()`, or install the [build](https://pytorch.org/get-started/locally/) for your GPU.

# %%
print(torch.ones(2, device=try_gpu(num_gpus())).device)
#> cpu

# %% [markdown]
# To notice it next time: print `torch.accelerator.is_available()` before you start a long run.

# %% [markdown]
# ### The tensor did not move
#
# You called `X.to(device)`, but `X` is still on the old device.
# `.to` returns a new tensor and leaves `X` as it is:

# %%
X = torch.ones(2, 3)
X.to("meta")
print(X.device)
#> cpu

# %% [markdown]
# Fix: assign the result.
# (A *net* moves in place, so `net.to(device)` is enough.)

# %%
X = X.to("meta")
print(X.device)
#> meta

# %% [markdown]
# ### `Expected all tensors to be on the same device`
#
# An operation got tensors from two devices.
# Either the net is on the GPU and the batch is not, or `forward` creates a tensor without naming a device.
# (If the error comes from `optimizer.step()`, see the next entry.)
# The meta device often shows the same mistake without a GPU, with a different message:

# %%
try:
    nn.Linear(3, 1, device="meta")(torch.rand(2, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Tensor on device meta is not on the expected device cpu!

# %% [markdown]
# Fix: move the batch.
# In `forward`, create tensors with `torch.rand_like(X)`, `X.new_zeros(...)` or `device=X.device`.

# %%
print(torch.empty(2, 3, device="meta").new_zeros(5).device)
#> meta

# %% [markdown]
# To notice it next time: test the module on the meta device, as in exercise 6.
# `diagnose` reports this as `mixed-device`.

# %% [markdown]
# ### `Expected all tensors to be on the same device` at `optimizer.step()`
#
# You resume a training run, and the first step of the optimizer fails.
# An optimizer may keep tensors of its own, such as the momentum buffers of SGD, and `net.to(device)` does not move them.
# `optimizer.load_state_dict` puts each of them on the device where its parameter is *at that moment*.
# If you move the net later, the parameters and the momentum buffers are on different devices at the next step.
# `diagnose` reports this as `optimizer-device`.
#
# The snippet does not show the error itself, only the device of the momentum buffer.
# The state was saved on the CPU, but when it is loaded, the net is on the meta device, so the buffer goes to that device:

# %%
def resumed(device):
    net = nn.Linear(3, 1, device=device)
    return net, torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)


net, optimizer = resumed("cpu")
net(torch.ones(2, 3)).sum().backward()
optimizer.step()
saved = optimizer.state_dict()

net, optimizer = resumed("meta")
optimizer.load_state_dict(saved)
print(optimizer.state[net.weight]["momentum_buffer"].device)
#> meta

# %% [markdown]
# Fix: move the net, then create the optimizer, then load its state.

# %%
net, optimizer = resumed("cpu")
net.to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
optimizer.load_state_dict(saved)
print(optimizer.state[net.weight]["momentum_buffer"].device == net.weight.device)
#> True

# %% [markdown]
# If you have already moved the net, load the state again: `optimizer.load_state_dict(optimizer.state_dict())`.

# %% [markdown]
# ### `Cannot convert a MPS Tensor to float64 dtype`
#
# Your batch comes from NumPy, and you move it to the GPU of a Mac.
# NumPy's numbers are `float64` by default, and this GPU (`mps`) has no `float64`.
#
# Fix: cast on the CPU first and then move.

# %%
batch = torch.ones(2, 3, dtype=torch.float64)
print(batch.float().to(device).dtype)
#> torch.float32

# %% [markdown]
# On other devices, the move succeeds and the net then fails: see `mat1 and mat2 must have the same dtype`.
# `diagnose` reports this as `mixed-dtype`.

# %% [markdown]
# ### The constant stays on the CPU: a plain attribute
#
# You moved the net, and one of its tensors is still on the CPU.
# A module moves only its parameters and buffers, and a tensor in a plain attribute is neither.
# `diagnose` reports this as `constant`.
#
# Fix: use a buffer.

# %%
class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.plain = torch.ones(3)
        self.buffer = nn.Buffer(torch.ones(3))


constant = Constant().to("meta")
print(constant.plain.device, constant.buffer.device)
#> cpu meta

# %% [markdown]
# ### The measured time is too short: no `synchronize`
#
# You measure a time that is too short for the work.
# The clock was read before the GPU had finished, because execution is asynchronous.
#
# Fix: call `torch.accelerator.synchronize()` before each reading of the clock, or use `torch.utils.benchmark.Timer`.

# %% [markdown]
# ### `CUDA out of memory`: memory grows with every step
#
# A program runs for a while, and then PyTorch raises `torch.OutOfMemoryError: CUDA out of memory`.
# A loss keeps its whole graph in memory, and a sum of losses keeps the graphs of all losses.
# In an evaluation without `torch.no_grad()`, none of this memory can be freed; in training, `backward` frees most of each graph, but the rest stays in memory:

# %%
layer, total = nn.Linear(4, 1), 0.0
for _ in range(3):
    total += layer(torch.ones(2, 4)).sum()
print(total.requires_grad)
#> True

# %% [markdown]
# Fix: detach a value that you only want to look at.
# `detach()` does not wait for the GPU, but `item()` does.

# %%
layer, total = nn.Linear(4, 1), torch.zeros(())
for _ in range(3):
    total += layer(torch.ones(2, 4)).sum().detach()
print(total.requires_grad)
#> False

# %% [markdown]
# The same happens with a list of outputs and with a buffer that keeps its graph.
#
# To notice it next time: check that `total.requires_grad` is `False`.

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# Read and write a parameter of a net, wherever the net is and whatever its dtype.
# `read(net, name)` returns the values of the parameter with this name, such as `"0.weight"`, as a nested list of numbers.
# `write(net, name, values)` writes such a list into the parameter, as exactly as its dtype allows.
# The parameter remains the same object on the same device, and autograd notices the write.
#
# To practice (easy): `python -m d2lblocks practice start devices/1`

# %% [markdown]
# #### Solution

# %% [markdown]
# The code is the same on each device: `tolist` copies the values to the CPU, and Python waits for the copy.
# `copy_` writes into the memory of the parameter, so an optimizer still has the right object.
# `new_tensor` creates the values with the dtype of the parameter, so a `float64` parameter gets all digits.
#
# *devices/1_write.py*

# %%
def read(net, name):
    return net.get_parameter(name).tolist()


def write(net, name, values):
    parameter = net.get_parameter(name)
    with torch.no_grad():
        parameter.copy_(parameter.new_tensor(values))

# %%
net = nn.Linear(3, 1).to(try_gpu())
weight = net.weight
write(net, "weight", [[2.0, 5.0, 2.0]])
print(read(net, "weight"), net.weight is weight)
#> [[2.0, 5.0, 2.0]] True
print(net.weight.device == net.bias.device)
#> True

# %% [markdown]
# A fixed value needs no list: under `torch.no_grad()`, write `net.weight.fill_(2.0)` or `net.weight[0, 1] = 5.0`.

# %% [markdown]
# ### Exercise 2
#
# `AppendOne` appends a feature with the value 1 to every example: an input of shape `(*, features)` gives an output of shape `(*, features + 1)`.
# It works only for inputs on the CPU in `float32`.
# Change one line so that the output has the device and the dtype of the input, whatever they are.
#
# To practice (easy): `python -m d2lblocks practice start devices/2`

# %%
class AppendOne(nn.Module):
    def forward(self, X):
        ones = torch.ones(*X.shape[:-1], 1)
        return torch.cat([X, ones], dim=-1)

# %% [markdown]
# #### Solution

# %% [markdown]
# `torch.ones` creates its tensor on the CPU in `float32`; `X.new_ones` creates it where `X` is.
# On the CPU in `float32`, both do the same, so the mistake shows only after the first move or cast.
#
# *devices/2_follows.py*

# %%
class AppendOne(nn.Module):
    def forward(self, X):
        ones = X.new_ones(*X.shape[:-1], 1)
        return torch.cat([X, ones], dim=-1)

# %%
for X in (torch.empty(2, 3, device="meta"), torch.ones(2, 3).bfloat16()):
    Y = AppendOne()(X)
    print(tuple(Y.shape), Y.device, Y.dtype)
#> (2, 4) meta torch.float32
#> (2, 4) cpu torch.bfloat16

# %% [markdown]
# ### Exercise 3
#
# You train n nets, and each one needs a device.
# Write `spread(n)`, which returns a list of n devices, each a `torch.device`: GPU number 0, number 1 and so on, and after the last GPU number 0 again.
# If there is no GPU, every device is the CPU.
# It works for every type of GPU that `torch.accelerator` knows.
#
# To practice (medium): `python -m d2lblocks practice start devices/3`

# %% [markdown]
# #### Solution

# %% [markdown]
# `i % count` begins again at 0 after the last GPU.
# A count of 0 comes first, because nothing can be divided by 0.
# Do not ask whether `current_accelerator()` is `None` instead: a CUDA build of PyTorch answers `cuda` on a machine without a GPU.
#
# *devices/3_spread.py*

# %%
def spread(n):
    count = torch.accelerator.device_count()
    if count == 0:
        return [torch.device("cpu")] * n
    kind = torch.accelerator.current_accelerator().type
    return [torch.device(kind, i % count) for i in range(n)]

# %% [markdown]
# With one device, all nets are on it:

# %%
print(len(spread(3)), len(set(spread(3))) == min(3, max(num_gpus(), 1)))
#> 3 True

# %% [markdown]
# ### Exercise 4
#
# `norms(matrices)` takes a list of square matrices of the same size and returns `(X @ X).norm()` for each matrix `X`, as a list of Python numbers.
# It reads a value after each product, so Python waits for the GPU as often as there are products.
# Change it so that it reads all values together, after the last product.
#
# To practice (medium): `python -m d2lblocks practice start devices/4`

# %%
def norms(matrices):
    result = []
    for X in matrices:
        result.append((X @ X).norm().item())
    return result

# %% [markdown]
# #### Solution

# %% [markdown]
# If you read 1,000 times, Python waits 1,000 times.
# If you read once at the end, it waits once.
#
# `torch.stack` joins the norms on the GPU; `tolist` then copies all of them at once.
#
# *devices/4_norms.py*

# %%
def norms(matrices):
    result = []
    for X in matrices:
        result.append((X @ X).norm())
    return torch.stack(result).tolist()

# %%
print(norms([torch.eye(4), 2 * torch.eye(4)]))
#> [2.0, 8.0]

# %% [markdown]
# With 1,000 products, the difference can be measured:
#
# *Needs a CUDA GPU.*

# %%
if torch.cuda.device_count() >= 1:
    X = torch.rand(256, 256, device=gpu())


    def each_time():
        return [(X @ X).norm().item() for _ in range(1000)]


    def at_the_end():
        return torch.stack([(X @ X).norm() for _ in range(1000)]).tolist()


    slow = min(seconds(each_time, wait=True) for _ in range(5))
    fast = min(seconds(at_the_end, wait=True) for _ in range(5))
    print(fast < slow)
    #> True
    print(torch.allclose(torch.tensor(each_time()), torch.tensor(at_the_end())))
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ### Exercise 5
#
# Write `training_bytes(make)`, which returns how many bytes it takes to train the net that `make()` returns, as an `int`.
# Count every parameter, and for every one that is trained also its gradient and the two moments of Adam, which have its size and dtype.
# A tied parameter counts once; buffers and the outputs of the layers are not counted.
# The net may be too large for your computer, so it must not be built in memory.
#
# To practice (medium): `python -m d2lblocks practice start devices/5`

# %% [markdown]
# #### Solution

# %% [markdown]
# The gradients and both moments are each as large as the trained parameters, so training needs four times the memory of these parameters.
# Frozen parameters count once.
# Training also needs memory for the outputs of all layers (the activations), which grows with the batch.
#
# *devices/5_training_bytes.py*

# %%
def training_bytes(make):
    with torch.device("meta"):
        net = make()
    total = 0
    for parameter in net.parameters():
        tensors = 4 if parameter.requires_grad else 1
        total += tensors * parameter.numel() * parameter.element_size()
    return total

# %%
def model():
    blocks = (nn.TransformerEncoderLayer(1024, 16, 4096) for _ in range(24))
    return nn.Sequential(
        nn.Embedding(50_000, 1024), *blocks, nn.Linear(1024, 50_000)
    )


print(f"{training_bytes(model) / 2**30:.1f} GiB")
#> 6.0 GiB

# %% [markdown]
# ### Exercise 6
#
# Write `check_devices(make, *shape)`, a test that needs no GPU.
# `make()` builds a module as usual, on the CPU; its input has the shape `shape`, and its output is one tensor.
# The test raises an error if the module would mix devices on a GPU.
# There are three cases: `forward` creates a tensor on the CPU and computes with it, `forward` returns such a tensor, or the module keeps a constant as a plain attribute, which does not move with it.
# Otherwise, it returns `None`; a number such as `torch.tensor(2.0)` may be on the CPU.
#
# To practice (hard): `python -m d2lblocks practice start devices/6`

# %% [markdown]
# #### Solution

# %% [markdown]
# Build the module, move it to the meta device as you would move it to a GPU, and call it with a meta input.
# A constant in a plain attribute stays on the CPU, and so does a tensor that `forward` creates there.
# An operation on a CPU tensor and a meta tensor usually raises an error; if the CPU tensor is the output itself, the check of its device finds it.
#
# *devices/6_check_devices.py*

# %%
def check_devices(make, *shape):
    net = make().to("meta")
    Y = net(torch.empty(*shape, device="meta"))
    assert Y.is_meta, f"the output is on {Y.device}"

# %%
check_devices(lambda: nn.Sequential(nn.Linear(3, 4), Follows()), 2, 3)
try:
    check_devices(lambda: nn.Sequential(nn.Linear(3, 4), Noisy()), 2, 3)
except RuntimeError:
    print("caught")
#> caught

# %% [markdown]
# **Limitation.** This test does not work for a module that reads values, because a meta tensor has none.
# It also misses a CPU tensor in some matrix products and convolutions, because the result is then on the meta device.

# %% [markdown]
# ### Exercise 7
#
# Is a GPU faster than a CPU for a large matrix product and for a small one?

# %% [markdown]
# #### Solution

# %% [markdown]
# For a small product, it is not: giving work to the GPU takes a few microseconds, and by then the CPU has already finished.
# The larger the product, the more the GPU gains (measured on one GPU).
# In the snippet, `lambda X=X:` stores the current `X` in the function.
#
# *Needs a CUDA GPU.*

# %%
if torch.cuda.device_count() >= 1:
    def speedup(n):
        times = []
        for each in (cpu(), gpu()):
            X = torch.rand(n, n, device=each)
            X @ X
            times.append(min(seconds(lambda X=X: X @ X, wait=True) for _ in range(5)))
        return times[0] / times[1]


    print(speedup(2048) > speedup(16))
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ### Exercise 8
#
# Compute two products on two identical GPUs at the same time, and compare the time with that of two such products on one GPU.

# %% [markdown]
# #### Solution

# %% [markdown]
# Ask for both products first, and then wait for both.
#
# *Needs 2 CUDA GPUs.*

# %%
if torch.cuda.device_count() >= 2:
    first, second = (torch.rand(8192, 8192, device=gpu(i)) for i in range(2))


    def wait_for_both():
        torch.accelerator.synchronize(gpu(0))
        torch.accelerator.synchronize(gpu(1))


    def time_of(*operands):
        wait_for_both()
        start = time.perf_counter()
        for operand in operands:
            operand @ operand
        wait_for_both()
        return time.perf_counter() - start


    one = min(time_of(first, first) for _ in range(5))
    two = min(time_of(first, second) for _ in range(5))
    print(two < one)
    #> True
else:
    print("skipped: this needs 2 CUDA GPUs")

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | the first GPU, or the CPU | `try_gpu()` |
# | all GPUs, or the CPU | `try_all_gpus()` |
# | to know where a tensor is | `X.device` |
# | to create a tensor on a device | `torch.ones(2, 3, device=device)` |
# | to move a tensor | `X = X.to(device)` |
# | to move a net | `net.to(device)` |
# | to create a tensor where another one is | `torch.rand_like(X)`, `X.new_zeros(...)`, `device=X.device` |
# | shapes without memory | `with torch.device("meta")` |
# | to measure time | `torch.accelerator.synchronize()` before each reading of the clock |
# | a loop that does not wait | add up on the device, and call `.item()` only every 50 steps or so |
# | a copy that does not wait | `DataLoader(..., pin_memory=True)`, then `X.to(device, non_blocking=True)` |
# | 16-bit products | `with torch.autocast(device.type, dtype=torch.bfloat16)` |
#
# The library's functions are in `d2lblocks.devices`, and the tables of all topics are on the Cheat sheet.
#
# Next: Diagnosis, to let a function find the mistakes in your net.
