# %% [markdown]
# # Devices
#
# This is the page "Devices" of d2lblocks as a script: made from the page, and executed.
# It needs `torch`.
#
# After this page you can put tensors and nets where they compute, write code that runs with and without a GPU, and tell what a copy and a wait cost.

# %%
import torch
from torch import nn

# %% [markdown]
# Some snippets need a GPU: the tests run them where there is one, skip them elsewhere, and tell when they last passed.

# %% [markdown]
# ## Names and numbers
#
# A *device* is where a tensor's numbers are, and the hardware that computes with them.
# `torch.device` is its name: a type, and for more than one of a kind a number from 0.

# %%
print(torch.device("cpu"), torch.device("cuda"), torch.device("cuda", 1), torch.device("cuda:1"))
#> cpu cuda cuda:1 cuda:1

# %% [markdown]
# `"cpu"` means all cores and the main memory.
# A GPU is one card with its own memory: `cuda` stands for NVIDIA's and AMD's, `mps` for a Mac's, `xpu` for Intel's.
# `cuda` without a number is the current GPU, which is number 0 unless you change it.
# A name is only a name; the device need not exist.
#
# One build of PyTorch supports one kind of GPU, its *accelerator*.
# [`torch.accelerator`](https://docs.pytorch.org/docs/stable/accelerator.html) says which, and how many there are, without asking for a brand:

# %%
accelerator = torch.accelerator.current_accelerator()
print(accelerator is None or accelerator.type in ("cuda", "mps", "xpu"))
#> True
print((torch.accelerator.device_count() > 0) == torch.accelerator.is_available())
#> True

# %% [markdown]
# From these, a function that takes the first GPU, and the CPU where there is none:

# %%
def try_gpu(i=0):
    if i < torch.accelerator.device_count():
        return torch.device(torch.accelerator.current_accelerator().type, i)
    return torch.device("cpu")


device = try_gpu()
print(torch.ones(2, device=device).device.type == device.type)
#> True

# %% [markdown]
# ## Where a tensor lives
#
# `.device` tells; a tensor is made on the CPU unless you say otherwise:

# %%
X = torch.ones(2, 3)
print(X.device)
#> cpu

# %% [markdown]
# To make it elsewhere, name the device when you make it.
# A tensor made on the CPU and then moved costs two allocations and a copy.

# %%
Y = torch.ones(2, 3, device=try_gpu())
with torch.device(try_gpu()):
    Z = torch.ones(2, 3)
print(Y.device == Z.device)
#> True

# %% [markdown]
# `.to` gives a tensor on the device; it changes nothing in place:

# %%
meta = X.to("meta")
print(X.device, meta.device)
#> cpu meta

# %% [markdown]
# If the tensor is there already, `.to` copies nothing and returns the same object:

# %%
print(X.to("cpu") is X, X.to("cpu", copy=True) is X)
#> True False

# %% [markdown]
# An operation needs its operands on one device, and its result is there, too.
# In elementwise operations a Python number may join, and so may a CPU tensor without dimensions.
# A CPU index, as in `X[index]`, is moved for you, which costs a copy; nothing else is moved behind your back.

# %%
try:
    X + meta
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Tensor on device meta is not on the expected device cpu!

# %% [markdown]
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
# ## A net on a device
#
# `net.to(device)` moves every parameter and every buffer, and, unlike a tensor's, it works in place:

# %%
net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
print(net.to(try_gpu()) is net)
#> True
print({tensor.device.type for tensor in net.state_dict().values()} == {try_gpu().type})
#> True

# %% [markdown]
# A tensor that is a plain attribute stays where it was.
# On CPU and GPU the parameters are the same objects afterwards (the meta device makes new ones), so an optimizer made before still holds them; but its own tensors, such as momentum, are made at its first step, so move the net before you train, and load the optimizer's state after you have moved.

# %%
net = nn.Linear(3, 1)
weight = net.weight
net.to(try_gpu())
print(net.weight is weight)
#> True

# %% [markdown]
# The batches have to follow, one by one, in the training loop:

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
# ## The GPU that everyone has: meta
#
# A tensor on the *meta* device has a shape, a type and a device, and no memory.
# Operations on it compute the shape and type of the result, and nothing else; so questions about shapes, types and sizes can be answered for nets that fit nowhere.

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
# It also stands in for a GPU in a test: a tensor that was made without a `device`, or with `device="cpu"`, meets a meta tensor, and elementwise operations raise.

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
# Fix: the input knows its device and its type.

# %%
class Follows(nn.Module):
    def forward(self, X):
        return X + torch.rand_like(X)


print(Follows()(torch.empty(2, 3, device="meta")).device)
#> meta

# %% [markdown]
# Matrix products without a bias and convolutions accept the mix (in 2.13), so look at the output's device, too.
#
# What a meta tensor does not have is values: `.item()`, `.tolist()`, an `if` and `.cpu()` raise, and `print` shows `...`.
# How to give such a net memory and values: lazy initialization.

# %% [markdown]
# ## What waits for what
#
# A GPU works through a queue.
# A call such as `X @ Y` only puts work into the queue, and Python goes on at once; it waits when it needs a value: at `.item()`, `.tolist()`, `print`, `if`, `.cpu()`.
#
# So a clock around a GPU computation measures how long it takes to *ask* for it.
# To measure the work, wait for the queue to be empty, with `torch.accelerator.synchronize()`:
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
# Without a GPU there is nothing to wait for, and the call raises: ask `torch.accelerator.is_available()` first.
#
# For figures that you report use [`torch.utils.benchmark.Timer`](https://docs.pytorch.org/docs/stable/benchmark_utils.html), which waits by itself, warms up and repeats; on the CPU it uses one thread unless `num_threads=` says otherwise.
#
# Copies from ordinary memory wait as well, and so do `X[mask]`, `nonzero` and `torch.equal`; `torch.cuda.set_sync_debug_mode("warn")` names such places.
# And an error of the GPU, such as an index out of range, is reported by whatever line waits next: run again with `CUDA_LAUNCH_BLOCKING=1` in the environment to see the right one.
#
# **The price of a look.** A training loop that prints its loss at every step waits at every step: the GPU stands still while Python prints, and Python stands still while the GPU computes.
# Add up on the GPU, and look now and then:

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
# ## What a copy costs
#
# Between main memory and GPU lies a bus, many times slower than the memory on either side.
# The GPU can fetch data by itself only from *pinned* memory, which the system may not swap out; from ordinary memory it is copied there first.
#
# (A picture: Two boxes. On the left the CPU and its memory: X stands in ordinary memory, and is copied into pinned memory first, where X.pin_memory() is. From there a long arrow crosses the bus, which is many times slower than the memory on either side, to X.to(device) in the box on the right, the GPU and its memory. There the product of X and the weight is computed, fast, with what is in that memory.)
#
# Pinned, and with `non_blocking=True`, a copy to the GPU joins the queue, and Python goes on:
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
# Pinning is a copy itself, and Python waits for it, so it pays when somebody else does it: `DataLoader(..., pin_memory=True)` pins batches in the background.
# Which way pays on your machine, a command tells.
#
# **The price.** Pinned memory is taken away from the rest of the system.
# Do not write to a pinned tensor before its copy is done: the GPU would get the new values.
# And the other way, `X.to("cpu", non_blocking=True)` returns before the values are there: reading them without `torch.accelerator.synchronize()` may give what was in the memory before.

# %% [markdown]
# ## Autocast
#
# Tensor cores multiply matrices of 16-bit numbers many times faster than of 32-bit ones.
# Under `torch.autocast`, products run in the shorter type, what needs range and precision, such as a loss, runs in `float32`, and the parameters stay as they are:

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
# The forward pass and the loss belong inside, `backward` outside.
# `bfloat16` has the range of `float32`; `float16` has not, and needs a `torch.amp.GradScaler` that keeps small gradients from becoming 0.
# Without autocast, `torch.set_float32_matmul_precision("high")` lets products of `float32` use tensor cores with fewer digits.
# Either way CPU and GPU differ in the last digits: compare their results by `torch.allclose`.

# %% [markdown]
# ## Two GPUs
#
# Work for different GPUs goes into different queues, so two GPUs compute at the same time, although Python asks one after the other:
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
# For training on several GPUs use [`DistributedDataParallel`](https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html), one process per GPU, or [`fully_shard`](https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html) for nets that do not fit on one.

# %% [markdown]
# ## In the library
#
# `d2lblocks.devices`, docstrings aside:
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
# `gpu` names a device, `try_gpu` gives one that exists, and `try_all_gpus` never gives an empty list:

# %%
print(cpu(), gpu(2).index, len(try_all_gpus()) == max(num_gpus(), 1))
#> cpu 2 True
print(try_gpu(num_gpus()))
#> cpu

# %%
try:
    try_gpu(-1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: expected the number of a GPU, 0 or larger, but got -1

# %% [markdown]
# When to use something else: a program for one kind of device should name it, `torch.device("cuda")`, and fail where there is none; falling back to a much slower CPU can be the worse surprise.

# %% [markdown]
# ## When it goes wrong

# %% [markdown]
# ### `Expected one of cpu, cuda, ...`
#
# There is no device type `"gpu"`.

# %%
try:
    torch.device("gpu")
except RuntimeError as error:
    print("Expected one of cpu, cuda" in str(error))
#> True

# %% [markdown]
# Fix: the type's name, or the function `gpu`.

# %%
print(gpu(0).type in ("cuda", "mps", "xpu"))
#> True

# %% [markdown]
# ### `Torch not compiled with CUDA enabled`
#
# You asked for a GPU that this build of PyTorch does not support.
# A build that does support it, without a driver or with too few GPUs, raises a `RuntimeError` in other words:

# %%
try:
    torch.ones(2, device=gpu(num_gpus()))
except (AssertionError, RuntimeError):
    print("no such device")
#> no such device

# %% [markdown]
# Fix: `try_gpu()`, or the [build](https://pytorch.org/get-started/locally/) for your GPU.

# %%
print(torch.ones(2, device=try_gpu(num_gpus())).device)
#> cpu

# %% [markdown]
# ### The tensor did not move
#
# `X.to(device)` returns a tensor, and you dropped it.

# %%
X = torch.ones(2, 3)
X.to("meta")
print(X.device)
#> cpu

# %% [markdown]
# Fix: assign the result.
# (A *net* moves in place: `net.to(device)` is enough.)

# %%
X = X.to("meta")
print(X.device)
#> meta

# %% [markdown]
# ### `Expected all tensors to be on the same device`
#
# The net is on the GPU and the batch is not, or a tensor was made in `forward` without a device.
# (If the error comes from `optimizer.step()`, see the next entry.)
# The meta device often finds both without a GPU, in other words:

# %%
try:
    nn.Linear(3, 1, device="meta")(torch.rand(2, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Tensor on device meta is not on the expected device cpu!

# %% [markdown]
# Fix: move the batch; in `forward`, make tensors with `rand_like`, `X.new_zeros(...)`, or `device=X.device`.

# %%
print(torch.empty(2, 3, device="meta").new_zeros(5).device)
#> meta

# %% [markdown]
# ### `Expected all tensors to be on the same device` at `optimizer.step()`
#
# `net.to(device)` moves the net and not what the optimizer keeps, such as momentum.
# `optimizer.load_state_dict` puts that state where each parameter is *at that moment*; if the net moves later, the two are on different devices at the next step.
# Here the net is on the meta device when the state is loaded, and the momentum goes there too:

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
# Fix: in this order, move the net, make the optimizer, load its state.

# %%
net, optimizer = resumed("cpu")
net.to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
optimizer.load_state_dict(saved)
print(optimizer.state[net.weight]["momentum_buffer"].device == net.weight.device)
#> True

# %% [markdown]
# If the net has moved already, load the state once more: `optimizer.load_state_dict(optimizer.state_dict())`.

# %% [markdown]
# ### `Cannot convert a MPS Tensor to float64 dtype`
#
# Apple's GPU (`mps`) has no `float64`, and NumPy's numbers are `float64`.
# Fix: cast first, on the CPU, and then move.

# %%
batch = torch.ones(2, 3, dtype=torch.float64)
print(batch.float().to(device).dtype)
#> torch.float32

# %% [markdown]
# Elsewhere the same batch gets to the net, and fails there: `mat1 and mat2 must have the same dtype`.

# %% [markdown]
# ### A number that never changes device: the plain attribute
#
# A constant kept as a plain attribute stays on the CPU when the net moves.
# Fix: a buffer.

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
# ### The timing is too good to be true
#
# The clock stopped before the GPU had begun: see what waits for what.
# Fix: synchronise before each reading of the clock.

# %% [markdown]
# ### `CUDA out of memory`: memory grows with every step
#
# A loss refers to the whole graph that it was computed with.
# A sum of losses refers to all of them, so memory grows until the GPU raises `torch.OutOfMemoryError: CUDA out of memory`:

# %%
layer, total = nn.Linear(4, 1), 0.0
for _ in range(3):
    total += layer(torch.ones(2, 4)).sum()
print(total.requires_grad)
#> True

# %% [markdown]
# Fix: detach what you only want to look at. `item()` waits for the GPU, and `detach()` does not.

# %%
layer, total = nn.Linear(4, 1), torch.zeros(())
for _ in range(3):
    total += layer(torch.ones(2, 4)).sum().detach()
print(total.requires_grad)
#> False

# %% [markdown]
# The same happens with a list of outputs, and with a buffer that keeps its graph.

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# How much faster is a GPU, for a large product of matrices and for a small one?

# %% [markdown]
# #### Solution

# %% [markdown]
# Each call costs some microseconds to ask for, whatever its size; a small product is over before the GPU has been told of it.
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
# ### Exercise 2
#
# Read and write the parameters of a net on the GPU.

# %% [markdown]
# #### Solution

# %% [markdown]
# As on the CPU: a parameter is on its device, and so is what is computed from it.
# Reading a value copies it to the CPU, and waits for it.

# %%
net = nn.Linear(3, 1).to(try_gpu())
with torch.no_grad():
    net.weight.fill_(2.0)
    net.weight[0, 1] = 5.0
print(net.weight.tolist(), net.weight.device == net.bias.device)
#> [[2.0, 5.0, 2.0]] True

# %% [markdown]
# ### Exercise 3
#
# Compute 1,000 products of matrices, and log the norm of each: once after each product, and once with all norms kept on the GPU and read at the end.

# %% [markdown]
# #### Solution

# %% [markdown]
# Reading 1,000 times waits 1,000 times.
#
# *Needs a CUDA GPU.*

# %%
if torch.cuda.device_count() >= 1:
    X = torch.rand(256, 256, device=gpu())


    def each_time():
        return [(X @ X).norm().item() for _ in range(1000)]


    def at_the_end():
        return torch.stack([(X @ X).norm() for _ in range(1000)]).tolist()


    slow, fast = (
        min(seconds(work, wait=True) for _ in range(5)) for work in (each_time, at_the_end)
    )
    print(fast < slow)
    #> True
    print(torch.allclose(torch.tensor(each_time()), torch.tensor(at_the_end())))
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ### Exercise 4
#
# Compute two products on two equal GPUs at the same time, and compare with both on one.

# %% [markdown]
# #### Solution

# %% [markdown]
# Both are asked for before either is waited for.
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


    one, two = (min(time_of(first, other) for _ in range(5)) for other in (first, second))
    print(two < one)
    #> True
else:
    print("skipped: this needs 2 CUDA GPUs")

# %% [markdown]
# ### Exercise 5
#
# Will it fit?
# Give the memory that training takes for a net, without building it: parameters, gradients, and the two moments of Adam.

# %% [markdown]
# #### Solution

# %% [markdown]
# Each is as large as the parameters, so the sum is four times that; activations come on top, and grow with the batch.

# %%
def training_bytes(make):
    with torch.device("meta"):
        net = make()
    trained = sum(p.numel() * p.element_size() for p in net.parameters() if p.requires_grad)
    frozen = sum(p.numel() * p.element_size() for p in net.parameters() if not p.requires_grad)
    return 4 * trained + frozen


def model():
    blocks = (nn.TransformerEncoderLayer(1024, 16, 4096) for _ in range(24))
    return nn.Sequential(nn.Embedding(50_000, 1024), *blocks, nn.Linear(1024, 50_000))


print(f"{training_bytes(model) / 2**30:.1f} GiB")
#> 6.0 GiB

# %% [markdown]
# ### Exercise 6
#
# Write a test that fails when a module of yours makes a tensor on the wrong device, and that needs no GPU.

# %% [markdown]
# #### Solution

# %% [markdown]
# Build it on the meta device, call it with a meta input, and look at the output.
# A tensor made on the CPU raises when it meets a meta tensor, or is the output itself.

# %%
def check_devices(make, *shape):
    with torch.device("meta"):
        net = make()
    Y = net(torch.empty(*shape, device="meta"))
    assert Y.is_meta, f"the output is on {Y.device}"


check_devices(lambda: nn.Sequential(nn.Linear(3, 4), Follows()), 2, 3)
try:
    check_devices(lambda: nn.Sequential(nn.Linear(3, 4), Noisy()), 2, 3)
except RuntimeError:
    print("caught")
#> caught

# %% [markdown]
# **The price.** A module that looks at values cannot run on the meta device, and a product of a CPU and a meta tensor is not refused.

# %% [markdown]
# ## In short
#
# | You want | Write |
# |---|---|
# | the first GPU, or the CPU | `try_gpu()` |
# | all GPUs, or the CPU | `try_all_gpus()` |
# | to know where a tensor is | `X.device` |
# | a tensor made there | `torch.ones(2, 3, device=device)` |
# | to move a tensor | `X = X.to(device)` |
# | to move a net | `net.to(device)` |
# | a tensor where another one is | `torch.rand_like(X)`, `X.new_zeros(...)`, `device=X.device` |
# | shapes without memory | `with torch.device("meta")` |
# | to measure time | `torch.accelerator.synchronize()` before each reading of the clock |
# | a loop that does not wait | add up on the device, call `.item()` now and then |
# | a copy that does not wait | `DataLoader(..., pin_memory=True)`, then `X.to(device, non_blocking=True)` |
# | 16-bit products | `with torch.autocast(device.type, dtype=torch.bfloat16)` |
#
# The functions of this page: `d2lblocks.devices`.
# Before it: File I/O.
# All tables on one page: Cheat sheet.
