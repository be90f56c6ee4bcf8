# %% [markdown]
# # 设备
#
# 这是 d2lblocks 中“设备”一页的脚本版：由页面生成，并且运行过。
# 运行它需要 `d2lblocks` 和 `torch`。
# 在本仓库的克隆里运行 `pip install .`，就会装好 `d2lblocks`。
#
# 你有 GPU，网络训练起来却没有变快，因为计算仍在 CPU 上。
# 或者，你把网络移动到了 GPU，现在它停了下来，报错 `Expected all tensors to be on the same device`。
#
# - **学完之后你能：**把张量和网络放到 GPU 上，写出有没有 GPU 都能运行的代码，并测量 GPU 用了多少时间。
# - **需要先会：**层与模块和参数，都读到“初读到此为止”那一行；要用库中的函数，还得装好这个包（在本站代码仓库的克隆中运行 `pip install .`）。
#   不需要 GPU。
# - **需要多长时间：**读到复制与锁页内存之前约 20 分钟，在一块 GPU 上训练有这部分就够了；加上其余部分和练习题，约 45 分钟。

# %%
import torch
from torch import nn

# %% [markdown]
# 有些代码片段需要 GPU；一张表列出了它们各自最近一次无错运行的日期。

# %% [markdown]
# ## 设备的名字与编号
#
# 要把张量放到 GPU 上，先得说出这块 GPU 的名字。
# <dfn>设备</dfn>（device）是存放张量、运行张量操作的地方，通常是 CPU 或 GPU 这样的硬件。
# `torch.device` 对象用类型和可选的编号指明一个设备。
# <dfn>设备编号</dfn>（device index）是设备在同类设备中的序号，例如 `cuda:1` 中的 1；编号从 0 开始。

# %%
print(torch.device("cpu"), torch.device("cuda"))
#> cpu cuda
print(torch.device("cuda", 1), torch.device("cuda:1"))
#> cuda:1 cuda:1

# %% [markdown]
# 你会遇到这些类型：
#
# - `cpu` 指 CPU 的所有核心和主内存。
# - `cuda` 指 NVIDIA 或 AMD 的 GPU。
# - `mps` 指 Mac 的 GPU。
# - `xpu` 指 Intel 的 GPU。
# - `meta` 不是任何硬件（见 meta 设备）。
#
# <dfn>CUDA</dfn> 是 NVIDIA 的软件，用来在它的 GPU 上做计算；对 AMD 的 GPU，PyTorch 也使用 `cuda` 这个名字。
#
# 每块 GPU 都是一个单独的设备，通常有自己的显存（Mac 的 GPU 则与 CPU 共用内存）。
# 不带编号的 `cuda` 指当前 GPU，也就是 0 号 GPU，除非你改过。
# `torch.device` 只创建名字，所以上面的代码片段没有 GPU 也能运行。
#
# 代码应当在任何品牌的 GPU 上都能运行。
# PyTorch 有好几个构建版本（用于 CUDA 的、用于 Mac 的，等等），每个构建版本最多支持一类 GPU。
# <dfn>加速器</dfn>（accelerator）是某个 PyTorch 构建版本所支持的那一类 GPU 或类似硬件。
# [`torch.accelerator`](https://docs.pytorch.org/docs/stable/accelerator.html) 会告诉你这个类型，以及这类设备的个数。
# 如果是 CUDA 的构建版本，有一块 NVIDIA GPU，答案就是 `cuda` 和 1。
# 下面的代码片段只检查在每台机器上都成立的事；想看自己机器上的值，就加上 `print(accelerator, torch.accelerator.device_count())`：

# %%
accelerator = torch.accelerator.current_accelerator()
print(accelerator is None or accelerator.type in ("cuda", "mps", "xpu"))
#> True
print((torch.accelerator.device_count() > 0) == torch.accelerator.is_available())
#> True

# %% [markdown]
# 有了这些函数，就可以写出 `try_gpu(i)`，它返回 `i` 号 GPU；如果没有这块 GPU，就返回 CPU：

# %%
def try_gpu(i=0):
    if i < torch.accelerator.device_count():
        return torch.device(torch.accelerator.current_accelerator().type, i)
    return torch.device("cpu")


device = try_gpu()
print(torch.ones(2, device=device).device.type == device.type)
#> True

# %% [markdown]
# ## 创建和移动张量
#
# 除非另外指定，PyTorch 在 CPU 上创建张量。
# 想知道张量在哪里，就看它的属性 `device`：

# %%
X = torch.ones(2, 3)
print(X.device)
#> cpu

# %% [markdown]
# 要在别的设备上创建张量，创建时就传入这个设备。
# 如果先在 CPU 上创建，再移动过去，多用的内存和多做的复制都要花时间。
# `with torch.device(...)` 为代码块里创建的每个张量设定设备：

# %%
Y = torch.ones(2, 3, device=try_gpu())
with torch.device(try_gpu()):
    Z = torch.ones(2, 3)
print(Y.device == Z.device)
#> True

# %% [markdown]
# 要移动已有的张量，就调用 `.to`。
# 它返回新设备上的一个张量，原来的张量不变。
# （这里用不存储值的设备 `meta` 代替 GPU；变量 `meta` 是一个张量。）

# %%
meta = X.to("meta")
print(X.device, meta.device)
#> cpu meta

# %% [markdown]
# 如果张量已经在这个设备上，`.to` 什么也不复制，返回同一个对象，除非传入 `copy=True`：

# %%
print(X.to("cpu") is X, X.to("cpu", copy=True) is X)
#> True False

# %% [markdown]
# 一个操作用到的所有张量必须在同一个设备上，结果也在这个设备上。
# PyTorch 不会替你移动张量，因为那样会掩盖复制的代价；它会直接报错：

# %%
try:
    X + meta
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Tensor on device meta is not on the expected device cpu!

# %% [markdown]
# 有两个例外（meta 设备还有别的例外）。
# `+` 这样的操作可以接收没有维度的 CPU 张量，例如 `torch.tensor(2.0)`，就像可以接收 Python 的数一样。
# 在 `X[index]` 中，CPU 上的索引会自动移动过去，代价是一次复制。
#
# 在真正的 GPU 上，结果和报错是这样的：
#
# *需要 CUDA GPU。*

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
# ## 移动网络
#
# 网络和它的批量必须在同一个设备上。
# `net.to(device)` 移动每个参数和每个缓冲区。
# 与张量的 `.to` 不同，它原地修改网络：

# %%
net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
print(net.to(try_gpu()) is net)
#> True
print({tensor.device.type for tensor in net.state_dict().values()} == {try_gpu().type})
#> True

# %% [markdown]
# 如果张量只是模块的普通属性，就不会移动。
#
# 网络在 CPU 与 GPU 之间移动之后，参数仍是原来的对象。
# 所以，移动之前创建的优化器，持有的参数仍是正确的：

# %%
net = nn.Linear(3, 1)
weight = net.weight
net.to(try_gpu())
print(net.weight is weight)
#> True

# %% [markdown]
# （没有 GPU 时，这个代码片段什么也不移动。
# 如果移动到 meta 设备，则会创建新的参数。）
#
# **注意。**优化器可能有自己的张量（即优化器的状态），例如动量要用的、由之前各步的梯度累加而成的张量，`net.to` 不会移动它们。
# 优化器在第一步创建这些张量，放在参数当时所在的设备上。
# 所以，先移动网络，再加载保存的优化器状态（如果有），然后训练。
#
# 在训练循环中，把每个批量移动到网络所在的设备：

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
# ## meta 设备
#
# 初读可以跳过：这一节讲怎样不占内存地计算形状和大小，以及怎样在没有 GPU 的情况下测试与设备有关的代码。
#
# meta 设备上的张量有形状、dtype 和设备，但没有内存，也没有值。
# 对这样的张量做操作，只会算出结果的形状、dtype 和设备。
# 所以，电脑内存装不下的网络，也能算出它有多大：

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
# `element_size()` 是每个值的字节数，一个 GiB 是 2**30 字节。
# 这个网络的参数要占 9.3 GiB，但这个代码片段没有为它们占用内存。
#
# 在测试中，meta 设备也可以代替 GPU。
# 如果 `forward` 创建一个 CPU 张量，再把它与 meta 张量相加，PyTorch 就会报错：

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
# 解决办法：设备和 dtype 都从输入得到。

# %%
class Follows(nn.Module):
    def forward(self, X):
        return X + torch.rand_like(X)


print(Follows()(torch.empty(2, 3, device="meta")).device)
#> meta

# %% [markdown]
# 在 PyTorch 2.13 中，卷积和不带偏置的矩阵乘积可以同时接收 CPU 张量和 meta 张量。
# 所以，测试还应当检查输出的设备，就像练习题 6 那样。
#
# **局限。**meta 张量没有值：`.item()`、`.tolist()`、`.cpu()` 以及判断它的值的 `if` 都会报错，`print` 则显示 `...`。
# 怎样让 meta 设备上的网络得到内存和值，见延后初始化。

# %% [markdown]
# ## 异步执行：怎样测量时间
#
# 你测量一次矩阵乘积在 GPU 上要多久，测出来的时间短得不可能是真的。
#
# <dfn>主机</dfn>（host）是 CPU 连同主内存：Python 在这里运行，并把工作交给 GPU。
# <dfn>流</dfn>（stream）是一个操作队列，GPU 按照主机加入的先后顺序运行其中的操作。
# `X @ Y` 这样的调用只是把一个操作加入流。
# <dfn>异步执行</dfn>（asynchronous execution）是指主机不等 GPU 完成一个操作就继续往下走。
# Python 需要一个值的时候才等待，例如 `.item()`、`.tolist()`、`print`、`if` 或 `.cpu()`。
#
# 所以，按平常的办法给 GPU 计算计时，得到的只是**提交**工作的时间。
# <dfn>同步</dfn>（synchronize）是指等待 GPU 完成队列中的全部工作，例如用 `torch.accelerator.synchronize()`。
# 要测量工作本身，每次读取时钟之前都要同步：
#
# *需要 CUDA GPU。*

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
# 每个结果都取五次中最短的一次，因为其他程序只会让时间变长，不会变短。
# 提交这个乘积的时间比算出它的时间短（在一块 GPU 上测得的结果）。
#
# 没有 GPU，就没有什么要等，`synchronize()` 会报错，所以先检查 `torch.accelerator.is_available()`。
#
# 如果测量结果要写给别人看，就用 [`torch.utils.benchmark.Timer`](https://docs.pytorch.org/docs/stable/benchmark_utils.html)。
# 同步、预热和重复，它都会替你做。
# 在 CPU 上，除非设置 `num_threads=`，它只用一个线程。
#
# **隐藏的等待。**复制到 GPU 也会让 Python 等待（除非使用锁页内存和 `non_blocking=True`），`X[mask]`、`nonzero` 和 `torch.equal` 也一样。
# `torch.cuda.set_sync_debug_mode("warn")` 让 PyTorch 在遇到大多数这类等待时发出警告。
#
# **报错来得晚。**GPU 上的错误，例如索引越界，要到下一行会等待的代码才报告，而那一行往往不是出错的那一行。
# 要找到原因，就把环境变量 `CUDA_LAUNCH_BLOCKING` 设为 1，再重新启动程序。
#
# **打印损失的代价。**训练循环如果每一步都打印损失，每一步就都要等待。
# Python 打印的时候，GPU 闲着；GPU 计算的时候，Python 闲着。
# 应当改为在 GPU 上累加损失，每隔 50 步左右才读取一次总和（`torch.zeros(())` 是一个数）：

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
# 在 100 步里，这个循环只读取了两次值；换成真正的损失，也只会等待两次。
# 那时就需要 `detach`：没有它，`total` 会保留所有损失的计算图。
#
# **初读到此为止。**本页其余部分讲代价更低的复制、16 位的乘积、多块 GPU、库中的实现、常见的错误和练习题。

# %% [markdown]
# ## 复制与锁页内存
#
# GPU 算得很快，但每个批量都得先送到 GPU。
# 主内存与显存之间由总线相连，这条数据通路比两端的内存都慢得多。
#
# 操作系统随时可能把普通内存移到别处或磁盘上。
# <dfn>锁页内存</dfn>（pinned memory）是操作系统从不移动的主内存，所以 GPU 不用 CPU 帮忙就能从中取数据。
# 普通内存里的数据必须先复制到锁页内存：要么由你用 `pin_memory()` 复制，要么由 GPU 的驱动程序复制，它为此准备了一个中转缓冲区（staging buffer，不是模块的缓冲区）。
#
# （图：上方是 CPU 和它的内存，下方是 GPU 和它的显存，两者之间是慢速的总线。
# 从普通内存中的 X 出发，CPU 把值复制到锁页内存中的中转缓冲区，Python 等待；然后值经过总线。
# 从 X.pin_memory()（X 在锁页内存中的副本）出发，GPU 经过总线取走值；用了 non_blocking=True，Python 就继续运行。
# 两条路都通向 X.to(device)，再通向 X @ weight，后者在 GPU 自己的显存中计算，很快。）
#
# 如果源张量在锁页内存里，又传入 `non_blocking=True`，PyTorch 就只把复制加入队列，Python 马上继续运行：
#
# *需要 CUDA GPU。*

# %%
if torch.cuda.device_count() >= 1:
    pinned = torch.rand(2**24).pin_memory()
    on_gpu = pinned.to(try_gpu(), non_blocking=True)
    print(pinned.is_pinned(), torch.equal(on_gpu.cpu(), pinned))
    #> True True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# 锁页本身也是一次复制，Python 必须等它完成，所以最好放到后台去做，例如交给 PyTorch 的批量加载器：`DataLoader(..., num_workers=1, pin_memory=True)`。
# 速度一页比较了一块 GPU 上的各种复制，也给出了在你的 GPU 上测量的命令。
#
# **代价。**被锁页的内存，系统的其他部分用不了。
#
# **注意。**有两种失误会悄悄给出错误的值：
#
# - 复制还没完成，就往锁页内存中的张量里写。
#   这时 GPU 得到的可能是新值，也可能新旧混杂。
# - 过早读取 `X.to("cpu", non_blocking=True)` 的结果。
#   这个调用在值到达之前就返回，所以不用 `torch.accelerator.synchronize()`，就可能从那块内存里读到旧数据。

# %% [markdown]
# ## Autocast
#
# 许多 GPU 有专门计算矩阵乘积的单元（NVIDIA GPU 上叫张量核心，tensor core），做 16 位数的乘法比 32 位数快几倍。
# autocast 使用这些单元，参数则仍是 `float32`。
# 矩阵乘积用你选定的 16 位 dtype 运行；需要更大范围或更高精度的操作，例如损失，用 `float32` 运行：

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
# 前向传播和损失放在 `with` 代码块里面，`backward` 放在外面。
#
# `bfloat16` 的范围与 `float32` 相同。
# `float16` 存不了那么小的数，所以小的梯度可能变成 0；[`torch.amp.GradScaler`](https://docs.pytorch.org/docs/stable/amp.html) 可以避免这种情况。
#
# 不用 autocast 时，`torch.set_float32_matmul_precision("high")` 可以让 `float32` 的乘积也使用这些单元，输入会舍入到较少的位数。
#
# **局限。**不管用哪种方法，结果都只保留两三位有效数字，所以比较时用 `torch.allclose(a.float(), b.float(), atol=t)`，其中 `t` 约为最大值的 1%。

# %% [markdown]
# ## 两块 GPU
#
# 每块 GPU 都有自己的队列。
# 所以，虽然 Python 把工作先交给一块，再交给另一块，两块 GPU 仍可以同时计算：
#
# *需要 2 块 CUDA GPU。*

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
# 要用多块 GPU 训练，就用 [`DistributedDataParallel`](https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html)，每块 GPU 一个进程。
# 如果一块 GPU 装不下网络，就用 [`fully_shard`](https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html)。

# %% [markdown]
# ## 库中的实现
#
# `d2lblocks.devices` 有五个函数。
# `cpu()` 和 `gpu(i)` 返回设备的名字，哪怕这块 GPU 并不存在。
# `num_gpus()` 返回 GPU 的个数。
# `try_gpu(i)` 返回确实存在的设备：`i` 号 GPU；如果没有这块 GPU，就是 CPU。
# `try_all_gpus()` 返回所有 GPU 的列表；没有 GPU 时，列表里是 CPU。
#
# 这些函数的源代码，不含文档字符串：
#
# *库的源代码，出自 `d2lblocks/devices.py`：*

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
# 编号从 0 开始，所以没有哪块 GPU 的编号是 `num_gpus()`：

# %%
from d2lblocks import cpu, gpu, num_gpus, try_all_gpus, try_gpu

print(cpu(), gpu(2).index, len(try_all_gpus()) == max(num_gpus(), 1))
#> cpu 2 True
print(try_gpu(num_gpus()))
#> cpu

# %% [markdown]
# 与前面的简短版本不同，库中的 `try_gpu` 会拒绝负的编号，报错信息也说得清楚：

# %%
try:
    try_gpu(-1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: expected the number of a GPU, 0 or larger, but got -1

# %% [markdown]
# 如果程序只针对一种设备，就应当写明这种设备，例如 `torch.device("cuda")`，这样没有它时程序就会报错。
# 报错往往好过不知不觉地在 CPU 上训练几个小时。

# %% [markdown]
# ## 出错的时候

# %% [markdown]
# ### `Expected one of cpu, cuda, ...`
#
# 你要的设备是 `"gpu"`，而 PyTorch 没有叫这个名字的设备类型：

# %%
try:
    torch.device("gpu")
except RuntimeError as error:
    print("Expected one of cpu, cuda" in str(error))
#> True

# %% [markdown]
# 解决办法：用类型的名字，例如 `cuda`；或者用函数 `gpu`，它会替你找到类型。

# %%
print(gpu(0).type in ("cuda", "mps", "xpu"))
#> True

# %% [markdown]
# ### `Torch not compiled with CUDA enabled`
#
# 你要用 GPU，但这个 PyTorch 构建版本不支持它。
# 如果构建版本支持，但缺少驱动程序，或者 GPU 不够多，得到的是 `RuntimeError`，报错信息也不同：

# %%
try:
    torch.ones(2, device=gpu(num_gpus()))
except (AssertionError, RuntimeError):
    print("no such device")
#> no such device

# %% [markdown]
# 解决办法：用 `try_gpu()`，或者安装适合你的 GPU 的[构建版本](https://pytorch.org/get-started/locally/)。

# %%
print(torch.ones(2, device=try_gpu(num_gpus())).device)
#> cpu

# %% [markdown]
# 下次怎样及早发现：开始长时间的运行之前，打印 `torch.accelerator.is_available()`。

# %% [markdown]
# ### 张量没有移动
#
# 调用了 `X.to(device)`，`X` 却还在原来的设备上。
# `.to` 返回新的张量，`X` 保持原样：

# %%
X = torch.ones(2, 3)
X.to("meta")
print(X.device)
#> cpu

# %% [markdown]
# 解决办法：把结果赋给变量。
# （**网络**是原地移动的，所以 `net.to(device)` 就够了。）

# %%
X = X.to("meta")
print(X.device)
#> meta

# %% [markdown]
# ### `Expected all tensors to be on the same device`
#
# 一个操作收到的张量来自两个设备，也就是设备不一致。
# 要么网络在 GPU 上而批量不在，要么 `forward` 创建张量时没有指定设备。
# （如果报错来自 `optimizer.step()`，见下一个条目。）没有 GPU 时，用 meta 设备往往也能发现同样的错误，只是报错信息不同：

# %%
try:
    nn.Linear(3, 1, device="meta")(torch.rand(2, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Tensor on device meta is not on the expected device cpu!

# %% [markdown]
# 解决办法：移动批量。
# 在 `forward` 中，用 `torch.rand_like(X)`、`X.new_zeros(...)` 或 `device=X.device` 创建张量。

# %%
print(torch.empty(2, 3, device="meta").new_zeros(5).device)
#> meta

# %% [markdown]
# 下次怎样及早发现：在 meta 设备上测试模块，就像练习题 6 那样。
# `diagnose` 把这种情况报告为 `mixed-device`。

# %% [markdown]
# ### `Expected all tensors to be on the same device`，来自 `optimizer.step()`
#
# 恢复训练，优化器的第一步就报错。
# 优化器可能有自己的张量，例如 SGD 的动量缓冲区，`net.to(device)` 不会移动它们。
# `optimizer.load_state_dict` 把每个这样的张量放到对应参数**当时**所在的设备上。
# 如果之后再移动网络，到了下一步，参数和动量缓冲区就在不同的设备上。
# `diagnose` 把这种情况报告为 `optimizer-device`。
#
# 下面的代码片段不演示报错本身，只显示动量缓冲区的设备。
# 状态是在 CPU 上保存的，但加载时网络在 meta 设备上，所以缓冲区也到了那个设备上：

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
# 解决办法：先移动网络，再创建优化器，最后加载优化器的状态。

# %%
net, optimizer = resumed("cpu")
net.to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
optimizer.load_state_dict(saved)
print(optimizer.state[net.weight]["momentum_buffer"].device == net.weight.device)
#> True

# %% [markdown]
# 如果网络已经移动了，就把状态再加载一次：`optimizer.load_state_dict(optimizer.state_dict())`。

# %% [markdown]
# ### `Cannot convert a MPS Tensor to float64 dtype`
#
# 批量来自 NumPy，你要把它移动到 Mac 的 GPU。
# NumPy 的数默认是 `float64`，而这种 GPU（`mps`）没有 `float64`。
#
# 解决办法：先在 CPU 上转换类型，再移动。

# %%
batch = torch.ones(2, 3, dtype=torch.float64)
print(batch.float().to(device).dtype)
#> torch.float32

# %% [markdown]
# 在其他设备上，移动会成功，随后网络报错：见 `mat1 and mat2 must have the same dtype`。
# `diagnose` 把这种情况报告为 `mixed-dtype`。

# %% [markdown]
# ### 常量留在 CPU 上：普通属性
#
# 网络移动了，其中一个张量却还在 CPU 上。
# 模块只移动自己的参数和缓冲区，普通属性里的张量两者都不是。
# `diagnose` 把这种情况报告为 `constant`。
#
# 解决办法：用缓冲区。

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
# ### 测得的时间太短：没有 `synchronize`
#
# 测得的时间太短，不可能完成那么多工作。
# GPU 还没有完成，就读取了时钟，因为执行是异步的。
#
# 解决办法：每次读取时钟之前调用 `torch.accelerator.synchronize()`，或者用 `torch.utils.benchmark.Timer`。

# %% [markdown]
# ### `CUDA out of memory`：占用的内存每一步都在增加
#
# 程序运行了一阵，PyTorch 抛出 `torch.OutOfMemoryError: CUDA out of memory`。
# 损失会把自己的整张计算图留在内存里，损失的总和则会留住所有损失的计算图。
# 评估时如果没有 `torch.no_grad()`，这些内存一点也释放不了；训练时，`backward` 会释放每张图的大部分，但其余部分仍留在内存里：

# %%
layer, total = nn.Linear(4, 1), 0.0
for _ in range(3):
    total += layer(torch.ones(2, 4)).sum()
print(total.requires_grad)
#> True

# %% [markdown]
# 解决办法：只是想看一看的值，要从计算图中分离（detach）出来。
# `detach()` 不会等待 GPU，而 `item()` 会。

# %%
layer, total = nn.Linear(4, 1), torch.zeros(())
for _ in range(3):
    total += layer(torch.ones(2, 4)).sum().detach()
print(total.requires_grad)
#> False

# %% [markdown]
# 用列表收集输出，或者缓冲区留住了自己的计算图，也会这样。
#
# 下次怎样及早发现：检查 `total.requires_grad` 是否为 `False`。

# %% [markdown]
# ## 练习题

# %% [markdown]
# ### 练习题 1
#
# 读取和写入网络的参数，不管网络在哪个设备上、是什么 dtype。
# `read(net, name)` 返回叫这个名字（例如 `"0.weight"`）的参数的值，形式是由数组成的嵌套列表。
# `write(net, name, values)` 把这样的列表写入参数，在参数的 dtype 允许的范围内尽量精确。
# 参数仍是同一个对象，仍在同一个设备上，并且 autograd 要能察觉这次写入。
#
# 练习（容易）：`python -m d2lblocks practice start devices/1`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 在每个设备上，代码都一样：`tolist` 把值复制到 CPU，Python 等待复制完成。
# `copy_` 写入参数的内存，所以优化器持有的仍是正确的对象。
# `new_tensor` 用参数的 dtype 创建这些值，所以写入 `float64` 参数时，一位数字也不会丢。
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
# 写入固定的值用不着列表：在 `torch.no_grad()` 下，写 `net.weight.fill_(2.0)` 或 `net.weight[0, 1] = 5.0`。

# %% [markdown]
# ### 练习题 2
#
# `AppendOne` 给每个样本追加一个值为 1 的特征：输入的形状为 `(*, features)`，输出的形状就是 `(*, features + 1)`。
# 它只适用于 CPU 上的 `float32` 输入。
# 改动一行，让输出的设备和 dtype 与输入相同，不管它们是什么。
#
# 练习（容易）：`python -m d2lblocks practice start devices/2`

# %%
class AppendOne(nn.Module):
    def forward(self, X):
        ones = torch.ones(*X.shape[:-1], 1)
        return torch.cat([X, ones], dim=-1)

# %% [markdown]
# #### 参考答案

# %% [markdown]
# `torch.ones` 在 CPU 上以 `float32` 创建张量；`X.new_ones` 则在 `X` 所在的地方创建。
# 在 CPU 上用 `float32` 时，两者结果一样，所以这个错误要到第一次移动或转换类型之后才会暴露。
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
# ### 练习题 3
#
# 你要训练 n 个网络，每个网络都需要一个设备。
# 编写 `spread(n)`，返回 n 个设备的列表，每个设备都是 `torch.device`：0 号 GPU、1 号 GPU，依此类推，最后一块 GPU 之后又回到 0 号。
# 如果没有 GPU，每个设备都是 CPU。
# 只要是 `torch.accelerator` 认识的 GPU，不管哪一类，它都要适用。
#
# 练习（中等）：`python -m d2lblocks practice start devices/3`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 最后一块 GPU 之后，`i % count` 又从 0 开始。
# 要先处理个数为 0 的情况，因为不能除以 0。
# 不要改为检查 `current_accelerator()` 是否为 `None`：CUDA 构建版本的 PyTorch 在没有 GPU 的机器上也回答 `cuda`。
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
# 如果只有一个设备，所有网络都在它上面：

# %%
print(len(spread(3)), len(set(spread(3))) == min(3, max(num_gpus(), 1)))
#> 3 True

# %% [markdown]
# ### 练习题 4
#
# `norms(matrices)` 接收由大小相同的方阵组成的列表，为每个矩阵 `X` 返回 `(X @ X).norm()`，结果是由 Python 数组成的列表。
# 它在每次乘积之后读取一个值，所以有多少次乘积，Python 就要等待 GPU 多少次。
# 请修改它，改为在最后一次乘积之后一起读取所有值。
#
# 练习（中等）：`python -m d2lblocks practice start devices/4`

# %%
def norms(matrices):
    result = []
    for X in matrices:
        result.append((X @ X).norm().item())
    return result

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 读取 1,000 次，Python 就等待 1,000 次。
# 只在最后读取一次，就只等待一次。
#
# `torch.stack` 在 GPU 上把各个范数合到一起，`tolist` 再把它们一次全部复制过来。
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
# 做 1,000 次乘积，就能测出差别：
#
# *需要 CUDA GPU。*

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
# ### 练习题 5
#
# 编写 `training_bytes(make)`，算出训练 `make()` 返回的网络需要多少字节，以 `int` 返回。
# 每个参数都要计入；如果参数参与训练，还要计入它的梯度和 Adam 的两个矩，它们的大小和 dtype 与参数相同。
# 绑定的参数只计一次；缓冲区和各层的输出不计。
# 网络可能太大，你的电脑装不下，所以不能在内存里创建它。
#
# 练习（中等）：`python -m d2lblocks practice start devices/5`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 梯度和两个矩，每一样都与参与训练的参数一样大，所以训练需要的内存是这些参数的四倍。
# 冻结的参数只计一次。
# 训练还需要内存来存放所有层的输出（激活值），批量越大，这部分越大。
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
# ### 练习题 6
#
# 编写 `check_devices(make, *shape)`，这是一个不需要 GPU 的测试。
# `make()` 照常在 CPU 上创建一个模块；模块的输入形状为 `shape`，输出是一个张量。
# 如果模块到了 GPU 上会混用设备，测试就要报错。
# 有三种情况：`forward` 在 CPU 上创建张量，并用它计算；`forward` 返回这样的张量；模块把常量存成普通属性，常量不会随模块移动。
# 其他情况下，测试返回 `None`；`torch.tensor(2.0)` 这样的数可以在 CPU 上。
#
# 练习（较难）：`python -m d2lblocks practice start devices/6`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 创建模块，像移动到 GPU 那样把它移动到 meta 设备，再用 meta 输入调用它。
# 普通属性里的常量会留在 CPU 上，`forward` 在 CPU 上创建的张量也一样。
# 一个操作如果同时用到 CPU 张量和 meta 张量，通常会报错；如果 CPU 张量本身就是输出，检查输出的设备就能发现。
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
# **局限。**这个测试不适用于会读取值的模块，因为 meta 张量没有值。
# 在某些矩阵乘积和卷积中，它也会漏掉 CPU 张量，因为结果这时在 meta 设备上。

# %% [markdown]
# ### 练习题 7
#
# 做大的矩阵乘积，GPU 比 CPU 快吗？
# 做小的呢？

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 做小的乘积，GPU 并不快：把工作交给 GPU 要花几微秒，这时 CPU 已经算完了。
# 乘积越大，GPU 越占优势（在一块 GPU 上测得的结果）。
# 代码片段里的 `lambda X=X:` 把当前的 `X` 存进函数。
#
# *需要 CUDA GPU。*

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
# ### 练习题 8
#
# 在两块相同的 GPU 上同时计算两个乘积，再与在一块 GPU 上计算两个这样的乘积比一比时间。

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 先提交两个乘积，再等待两个都完成。
#
# *需要 2 块 CUDA GPU。*

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
# ## 小结
#
# | 想要 | 写法 |
# |---|---|
# | 第一块 GPU，没有就用 CPU | `try_gpu()` |
# | 所有 GPU，没有就用 CPU | `try_all_gpus()` |
# | 知道张量在哪里 | `X.device` |
# | 在某个设备上创建张量 | `torch.ones(2, 3, device=device)` |
# | 移动张量 | `X = X.to(device)` |
# | 移动网络 | `net.to(device)` |
# | 在另一个张量所在的地方创建张量 | `torch.rand_like(X)`, `X.new_zeros(...)`, `device=X.device` |
# | 只要形状，不占内存 | `with torch.device("meta")` |
# | 测量时间 | 每次读取时钟之前 `torch.accelerator.synchronize()` |
# | 不等待的循环 | 在设备上累加，每隔 50 步左右才调用一次 `.item()` |
# | 不等待的复制 | `DataLoader(..., pin_memory=True)`，然后 `X.to(device, non_blocking=True)` |
# | 16 位的乘积 | `with torch.autocast(device.type, dtype=torch.bfloat16)` |
#
# 库中的函数见 `d2lblocks.devices`，所有主题的表都在速查表上。
#
# 下一个主题：诊断，让函数找出网络里的错误。
