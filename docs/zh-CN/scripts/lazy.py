# %% [markdown]
# # 延后初始化
#
# 这是 d2lblocks 中“延后初始化”一页的脚本版：由页面生成，并且运行过。
# 运行它需要 `d2lblocks` 和 `torch`。
# 在本仓库的克隆里运行 `pip install .`，就会装好 `d2lblocks`。
#
# 要在一连串卷积层后面接一个线性层，得根据图像的大小，以及卷积核大小、步幅、填充和池化，手工算出它的输入大小。
# 延后初始化层则从第一个批量读出这个大小。
# 在这个批量之前，对网络的某些操作会报错，还有少数操作会悄悄给出错误的结果。
#
# - **学完之后你能：**不用计算输入大小就搭出网络；知道第一个批量之前哪些操作可行；一步也不训练就得到全部形状；不占内存地创建并检查大型网络。
# - **需要先会：**初始化，读到“初读到此为止”那一行；还要装好本站的包：在本站代码仓库的克隆中运行 `pip install .`。
# - **需要多长时间：**读到随机种子与部分延后初始化的网络之前约 20 分钟，有这部分就足以使用延后初始化层；加上其余部分和练习题，约 60 分钟。
#
# 本页的例子都用下面这个批量，其中有两个样本，每个样本 20 个数：

# %%
import torch
from torch import nn

X = torch.rand(2, 20)

# %% [markdown]
# ## `nn.LazyLinear`：输入大小来自第一个批量
#
# <dfn>延后初始化层</dfn>（lazy layer）是创建时不指定输入大小的层；它从第一个批量读出输入大小。
# `nn.LazyLinear(256)` 只需要输出的个数：

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
# 打印出来的 `in_features=0` 表示大小还不知道。
# <dfn>未初始化参数</dfn>（uninitialized parameter）在第一个批量之前为延后初始化层的参数占位：它有 dtype 和设备，但没有形状和值。
#
# 第一个批量定下各个大小：

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
# 两个层现在都是普通的 `nn.Linear` 层了。
# 这也意味着，延后初始化层只会适应一次输入。
# 第一个批量之后，每个输入最后一个维度的大小都必须与那个批量相同，样本数则可以变：

# %%
try:
    net(torch.rand(2, 30))
except RuntimeError as error:
    print(type(error).__name__, net[0].in_features)
#> RuntimeError 20

# %% [markdown]
# 这一层要求每个样本 20 个数，得到的是 30 个，于是像任何 `nn.Linear` 一样报错。
#
# 这是怎么做到的？
# <dfn>实体化</dfn>（materialize）一个未初始化参数，就是给它形状和内存。
# 延后初始化层在钩子（hook）里做这件事。
# 钩子是它在自己身上注册的函数，PyTorch 会在 `forward` 之前调用。
# 第一次调用这个层时，钩子依次做下面几件事：
#
# 1. 从输入读出大小。
# 2. 实体化各个参数。
# 3. 调用 `reset_parameters`，给参数填上随机数（也就是抽取参数的值）。
# 4. 移除自己，并把层的类从 `nn.LazyLinear` 改为 `nn.Linear`。
#
# （图：从上到下三个阶段。
# 之前：一个 LazyLinear(256)，它的权重和偏置没有形状，也没有值。
# 第一个批量，即形状为 (2, 20) 的 X：层的钩子读出大小 20，分配内存，抽取值，然后移除自己。
# 之后：一个 Linear(20, 256)，它的权重和偏置还是原来的对象，现在形状是 (256, 20) 和 (256,)。）
#
# 参数还是原来的对象，只是有了形状和值，类也从 `UninitializedParameter` 变成了 `Parameter`：

# %%
layer = nn.LazyLinear(256)
weight = layer.weight
layer(X)
print(layer.weight is weight, type(weight) is nn.Parameter, type(layer) is nn.Linear)
#> True True True

# %% [markdown]
# ## 第一个批量之前能做什么
#
# 有时在第一个批量之前就想使用延后初始化的网络，例如数一数参数，或者创建优化器。
# 下面的代码片段尝试九种操作，每种都用一个新的层：

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
# 前四种操作可行，因为它们只需要名字、dtype 或对象。
# 加载可行，因为状态字典提供了形状和值。
# 接下来的三种操作会报错，因为它们需要形状或值。
# 其他需要形状或值的操作，大多也会报错。
#
# 冻结是个例外：`layer.requires_grad_(False)` 既不需要形状，也不需要值，却还是报错。
# PyTorch 不允许对未初始化参数调用这个方法，但可以给每个参数设置 `parameter.requires_grad = False`。
#
# 在第一个批量之前创建的优化器，等参数有了值，确实会训练这些参数。
#
# **注意。**`.shape` 会报错，而 `.size()` 和 `.ndim` 会悄悄返回错误的结果。
# 批量 `X` 会让下面这个层的权重得到形状 `(3, 20)`，但在那之前：

# %%
print(nn.LazyLinear(3).weight.size(), nn.LazyLinear(3).weight.ndim)
#> torch.Size([0]) 1

# %% [markdown]
# 要列出网络中还有哪些张量未初始化，就调用 `uninitialized_names`。
# 它也能找到缓冲区，也就是属于模块、但不参与训练的张量：

# %%
from d2lblocks import uninitialized_names

net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(10))
print(uninitialized_names(net))
#> ['2.weight', '2.bias']

# %% [markdown]
# 在 `parameter_table(net)` 给出的表中，还不知道的形状显示为 `?`。

# %% [markdown]
# ## 试运行
#
# 网络的参数没有形状之前，既不能计数，也不能初始化，`net.requires_grad_(False)` 也会报错。
# 办法是让一个批量通过网络，只为定下形状。
# <dfn>试运行</dfn>（dry run）是一次前向传播，目的是让延后初始化层得到形状；输出的结果丢弃不用。
#
# 这个批量的形状和 dtype 必须正确；在评估模式下，一个样本就够了。
# 值是多少无所谓，只有一个例外：传给 `nn.Embedding` 的索引，必须是嵌入层那张表中有效的行索引。
#
# 在训练模式下，普通的前向传播改变的不只是形状。
# 例如，批量归一化（batch norm）层会更新自己的滑动均值和滑动方差：

# %%
net = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
net(X)
print(net[1].num_batches_tracked, bool((net[1].running_mean == 0).all()))
#> tensor(1) False

# %% [markdown]
# 批量归一化层已经计入一个批量，滑动均值也不再是 0。
#
# dropout 会在下一个延后初始化层抽取权重之前抽取随机数，所以在训练模式下试运行，得到的权重会不同。
# 下面的代码片段用同一个随机种子把一个网络创建三次：一次指定全部大小，两次延后初始化，后两次分别在训练模式和评估模式下试运行：

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
# 在训练模式下试运行之后，最后一层的权重与指定全部大小的网络不同。
# 在评估模式下试运行之后，两者相同。
#
# 所以，如果手动试运行，就要切换到评估模式，关闭梯度，之后再恢复训练模式。
# （`net.train()` 会把每个模块都切换到训练模式，哪怕你想让其中某个模块一直留在评估模式。）关闭梯度用 `torch.no_grad()`，不要用 `torch.inference_mode()`：如果参数是在推理模式下创建的，网络往往无法训练。

# %% [markdown]
# ## `apply_init`
#
# 手动试运行很容易出错。
# `apply_init` 会替你试运行；如果传入函数 `init`，试运行之后还会调用 `net.apply(init)`。
# 它原地修改网络，并返回这个网络：

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
# 调用 `apply_init` 之后：
#
# - 原来未初始化的参数和缓冲区都有了形状和值。
# - 接下来的随机数，与创建网络时就指定全部大小、再应用 `init`（如果传入）的情形相同。
#   试运行期间抽取的随机数，例如 dropout 抽取的，对此没有影响。
#
# 传入 `init` 时，原来就有值的参数，只要 `init` 会设置它们，也会得到新值。
# 不传 `init` 时，其他一切不变：输入、每个模块的训练模式、梯度，以及原来就有的所有值，例如滑动统计量。
# 下面的代码片段不传 `init`，检查其中的几条：

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
# 网络仍处于训练模式，批量归一化层没有计入任何批量，也没有梯度。
# 随机种子相同，延后初始化的网络就与指定全部大小的网络权重相同，下一个随机数也相同。
#
# 如果某个层与它的输入不匹配，`apply_init` 会报错，并指出是哪个层。
# 下面的网络中，第二个卷积层要求 9 个通道，得到的却是 8 个：

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
# 报错信息中的 N 是样本数，H 是高，W 是宽。
# 报错之后，网络和随机数生成器都和之前一样：

# %%
print(uninitialized_names(net))
#> ['0.weight', '0.bias']

# %% [markdown]
# 如果是手动试运行失败，出错处之前的各层就不再是延后初始化层了。
#
# 还有几点细节：
#
# - 如果前向传播没有到达某个延后初始化层，也会报错，因为这个层到最后仍未初始化。
#   `diagnose` 把这种情况报告为 `still-lazy`。
# - 对没有延后初始化层的网络，试运行只检查输入是否匹配。
# - 如果网络按名字接收输入，就按名字传入，例如 `apply_init(net, input_ids=ids)`。
#   除了网络和 `init`，所有参数都会传给 `forward`。
# - `apply_init` 也适用于其他库的延后初始化层，例如 PyTorch Geometric 的，只要它们是在 `forward` 之前的钩子里得到形状的。
#
# **代价。**`apply_init` 运行期间，网络持有的每个张量都要在内存里多存一份副本。

# %% [markdown]
# ## 延后初始化的卷积层与归一化层
#
# 卷积层和归一化层也有延后初始化的版本：
#
# | 延后初始化的类 | 从第一个批量读出 | 变成 |
# |---|---|---|
# | `nn.LazyLinear(out_features)` | 最后一个维度的大小 | `nn.Linear` |
# | `nn.LazyConv2d(out_channels, kernel_size)` | 通道数 | `nn.Conv2d` |
# | `nn.LazyConvTranspose2d(out_channels, kernel_size)` | 通道数 | `nn.ConvTranspose2d` |
# | `nn.LazyBatchNorm2d()` | 通道数 | `nn.BatchNorm2d` |
# | `nn.LazyInstanceNorm2d()` | 通道数 | `nn.InstanceNorm2d` |
#
# 除 `nn.LazyLinear` 外，这些类都还有 1d 和 3d 的版本。
# 默认情况下，延后初始化的实例归一化（instance norm）层有权重、偏置和滑动统计量，普通的 `nn.InstanceNorm2d` 则三样都没有。
# `nn.LayerNorm`、`nn.Embedding`、循环层和注意力层没有延后初始化的版本。
#
# 延后初始化层最有用的地方，是接在一连串卷积层之后，因为那里值的个数取决于图像的大小和前面的每一层：

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
# 试运行得出：卷积层的输入有 3 个通道，批量归一化层有 16 个通道，线性层有 784 个输入。
# 手工算一遍：卷积把 32 × 32 个像素变成 14 × 14，池化再变成 7 × 7；16 个通道 × 7 × 7 = 784。
#
# 试运行之后，卷积层可以接收其他大小的图像，只要有 3 个通道。
# 线性层则不行：现在每张图像必须恰好给它 784 个值。
#
# **局限。**从代码里再也看不出各个大小。
# PyTorch 把延后初始化的模块标为[实验性](https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html)功能，所以接口可能会变。
# 在第一个批量之前，有些工具不接受延后初始化的模块，例如 `DistributedDataParallel`（用于多进程训练）和 `weight_norm`（把权重分解为长度和方向）。
# 设计定下来以后，在试运行之后打印网络，把各个大小写进代码。
#
# **初读到此为止。**想让权重可重复，有报错要解决，要保存或复制延后初始化的网络，或者要搭内存装不下的网络，再往下读。

# %% [markdown]
# ## 随机种子与部分延后初始化的网络
#
# 上文已经演示过：随机种子相同，一条由延后初始化层组成的链，得到的值与指定全部大小的同一条链相同。
# 各层抽取值的顺序不变，只是晚一些。
# 前提是从设定随机种子到第一个批量之间，没有别的东西抽取随机数，所以要先创建 `X`，再设随机种子。
#
# 在部分延后初始化的网络中，如果某个延后初始化层后面还有指定了大小的层，得到的值就不同了。
# 指定了大小的层在创建时就抽取值，比任何延后初始化层都早：

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
# 没有报错，也没有警告：值虽然不同，却同样好用。
# 练习题 7 会让两个这样的网络权重相等。

# %% [markdown]
# ## 保存与加载
#
# 在第一个批量之前保存延后初始化的网络，以后这个文件就加载不了。
# 这种网络的状态字典里，参数没有值；`torch.save` 照样写入，`torch.load` 却拒绝这个文件：

# %%
import pickle

torch.save(nn.LazyLinear(3).state_dict(), "lazy.pt")
try:
    torch.load("lazy.pt")
except pickle.UnpicklingError as error:
    print(str(error).partition(".")[0])
#> Weights only load failed

# %% [markdown]
# 所以，延后初始化的网络要等到第一个批量之后再保存。
#
# 有值的状态字典可以加载到延后初始化层，层从状态字典得到形状：

# %%
sized, waiting = nn.Linear(20, 3), nn.LazyLinear(3)
waiting.load_state_dict(sized.state_dict())
print(waiting.weight.shape, type(waiting).__name__, uninitialized_names(waiting))
#> torch.Size([3, 20]) LazyLinear []
print(torch.equal(waiting(X), sized(X)), type(waiting).__name__)
#> True Linear

# %% [markdown]
# 加载之后，权重马上就有了形状。
# 类仍是 `LazyLinear`，第一次调用时才改变。

# %% [markdown]
# ## 第一个批量之前的优化器与副本
#
# 你也许读到过这样的说法：在第一个批量之前，延后初始化的网络不能交给优化器，不能复制，也不能加载值。
# 其实三样都可以，只有少数例外；加载上文已经演示过。
#
# **优化器可以在试运行之前创建。**优化器持有的是参数对象，第一个批量原地填的正是这些对象：

# %%
net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
net(X).sum().backward()
before = net[0].weight.detach().clone()
optimizer.step()
print(torch.equal(net[0].weight, before))
#> False

# %% [markdown]
# 这一步改变了权重，可见优化器确实在训练它。
#
# 有两个例外：
#
# - 如果优化器在创建时就需要形状，它会拒绝未初始化参数。
#   下面代码片段的四个优化器中，只有 `Adagrad` 是这样。
# - 如果按 `p.ndim` 或 `p.size()` 挑选参数，遇到未初始化参数就会选错，而且没有任何提示。
#   例如，许多程序只在 `p.ndim >= 2` 时才用权重衰减（把参数拉向 0）。
#   未初始化参数的 `ndim` 都是 1，于是全部漏掉。

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
# 所以，尽可能在试运行之后再创建优化器。
#
# **延后初始化的网络可以复制。**副本也是延后初始化的，会得到自己的形状。
# 例外是滑动统计量尚未初始化的网络，例如含有延后初始化的批量归一化层的网络：

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
# ## meta 设备与 `skip_init`
#
# 有时各个大小都知道，但还不需要内存或值：只想数一数参数，或者马上就要从文件加载值。
#
# <dfn>meta 设备</dfn>（meta device）是一种设备，其上的张量有形状和 dtype，但没有内存，也没有值。
# 对 meta 设备上的网络，可以数参数，可以用 meta 输入做检查，以后再给它值：

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
# [`torch.nn.utils.skip_init`](https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.skip_init.html) 创建单个模块：只分配内存，不抽取值。
# 权重马上要加载进来，就可以用它：

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
# 随机数生成器的状态没有变，可见没有抽取任何值。
#
# 用延后初始化层、meta 设备和 `skip_init`，张量得到形状、内存和值的时间各不相同：
#
# | 方式 | 形状 | 内存 | 值 |
# |---|---|---|---|
# | 延后初始化层 | 第一个批量 | 第一个批量 | 第一个批量 |
# | meta 设备 | 创建时 | `to_empty` 或 `load_state_dict(..., assign=True)` | 给张量填值或加载状态字典时 |
# | `skip_init` | 创建时 | 创建时 | 给张量填值或加载状态字典时 |
#
# **注意。**由 `to_empty` 或 `skip_init` 得到的张量，填好之前装的是内存里残留的数据，看上去可能像普通的数。
# 不是每个模块都有 `reset_parameters`，所以上面那样的循环可能漏掉一些张量。
# 想找出它们，就在 `to_empty` 之前调用 `torch.use_deterministic_algorithms(True)`：这样 PyTorch 会给新的浮点内存填上 `nan`，漏掉的张量里就仍是 `nan`。

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
# `nn.MultiheadAttention` 没有 `reset_parameters`，所以循环只填了它里面的那个层，没有填注意力模块自己的两个参数。

# %% [markdown]
# ### 从 meta 设备到可用的网络
#
# 如果值随后会被文件替换，就不必先抽取一遍：在 meta 设备上创建大型网络，再加载权重。
# 默认情况下，`load_state_dict` 把值复制到参数的内存里，但 meta 设备上的网络没有内存。
# 传入 `assign=True`，网络就会把状态字典里的张量当作自己的参数。
#
# 还剩两个问题：绑定的权重不再绑定；`persistent=False` 的缓冲区不在状态字典里，所以没有值。
# 下面的网络两种张量都有：

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
# 加载之后，两个权重是共用内存的两个独立参数，各有自己的梯度和优化器状态，所以优化器每一步都把同样的值更新两次。
# 缓冲区 `scale` 仍在 meta 设备上。
#
# 重新绑定权重，给还在 meta 设备上的张量填上值。
# 做完之后再创建优化器，因为参数已是新的对象：

# %%
net.scores.weight = net.table.weight
net.scale = torch.full((4,), 0.5)  # still a buffer, because the name is registered
print(torch.equal(net(words), trained(words)))
#> True

# %% [markdown]
# 另一种办法是用 `to_empty`。
# 它给每个参数和缓冲区各自的内存，所以同样会解除权重绑定。
# 加载之前要重新绑定。
# 之后，`load_state_dict` 照常复制；`load_parameters` 也一样，它读取 `save_parameters` 写出的文件。
# 缓冲区仍要自己填：

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
# **注意。**用了 `assign=True`，网络就与状态字典共用内存；两个网络如果从同一个状态字典得到值，彼此也共用内存。
# PyTorch（在 2.13 上核实过）还会给这个状态字典做标记：即使再次加载时不带 `assign=True`，PyTorch 仍会直接换上其中的张量。

# %%
state = torch.load("tied.pt")
first, second = Tied(), Tied()
first.load_state_dict(state, assign=True)
second.load_state_dict(state)
print(first.table.weight.data_ptr() == second.table.weight.data_ptr())
#> True

# %% [markdown]
# 两个网络共用一张表。
# 要避免这一点，就为每个网络各读一次文件。

# %% [markdown]
# ## 库中的实现
#
# 想知道 `apply_init` 的原理，可以读这一节。
# `d2lblocks.lazy` 的源代码有三部分。
#
# 第一部分是 `uninitialized_names`：
#
# <code>uninitialized_names</code> 的源代码，不含文档字符串：
#
# *库的源代码，出自 `d2lblocks/lazy.py`：*

# %%
from torch.nn.parameter import is_lazy

from d2lblocks._arguments import check_net
from d2lblocks._tensors import named_modules, named_tensors


def uninitialized_names(net: nn.Module) -> list[str]:
    check_net(net)
    return [name for name, tensor in named_tensors(net) if is_lazy(tensor)]

# %% [markdown]
# 第二部分是 `apply_init`。
# 它给网络拍一张快照，试运行，然后不管试运行成功与否，都按快照恢复网络。
# 如果试运行成功，`apply_init` 接着初始化每个延后初始化的模块：用试运行时的输入，再次调用模块的钩子。
# 如果这一步失败，就再按快照恢复一次。
#
# <code>apply_init</code> 的源代码，不含文档字符串：
#
# *库的源代码，出自 `d2lblocks/lazy.py`：*

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
# 第三部分是试运行。
# 它给每个模块加上两个钩子，随时记下当前的调用，供报错信息使用。
# 它还包装模块自己的钩子，记录其中给延后初始化的张量定下形状的那些。
#
# 试运行的源代码，不含文档字符串：
#
# *库的源代码，出自 `d2lblocks/lazy.py`：*

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
# `apply_init` 返回的网络与 `in_evaluation`（手动试运行得到的网络）参数相同：

# %%
torch.manual_seed(0)
net = apply_init(lazy(), X)
pairs = zip(net.parameters(), in_evaluation.parameters())
print(all(torch.equal(mine, theirs) for mine, theirs in pairs))
#> True

# %% [markdown]
# ## 出错的时候

# %% [markdown]
# ### `Can't access the shape of an uninitialized parameter`
#
# 在第一个批量之前，读取延后初始化层某个参数的形状：

# %%
try:
    nn.LazyLinear(3).weight.shape
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before accessing their attributes.

# %% [markdown]
# 如果读取的是别的信息，例如值的个数，通常得到 `ValueError`，其中写明调用的是哪个函数：

# %%
try:
    sum(parameter.numel() for parameter in nn.LazyLinear(3).parameters())
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Attempted to use an uninitialized parameter in <method 'numel' of 'torch._C.TensorBase' objects>. This error happens when you are using a `LazyModule` or explicitly manipulating `torch.nn.parameter.UninitializedParameter` objects. When using LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch functions

# %% [markdown]
# 解决办法：先试运行。

# %%
print(
    sum(
        parameter.numel() for parameter in apply_init(nn.LazyLinear(3), X).parameters()
    )
)
#> 63

# %% [markdown]
# 下次怎样及早发现：使用形状之前，检查 `uninitialized_names(net)` 是否为空。

# %% [markdown]
# ### `apply` 跳过了延后初始化层
#
# 用 `apply` 初始化延后初始化的网络，没有报错，可是第一个批量之后，延后初始化层里还是默认值。
# 传入的函数检查的是 `type(module) is nn.Linear`，遇到 `nn.LazyLinear`，结果为假：

# %%
def zero_exactly_linear(module):
    if type(module) is nn.Linear:
        nn.init.zeros_(module.weight)


net = nn.Sequential(nn.LazyLinear(3)).apply(zero_exactly_linear)
net(X)
print(bool((net[0].weight == 0).all()))
#> False

# %% [markdown]
# 在第一个批量之后检查 `type(module) == nn.LazyLinear` 也不行，因为那时层已经是 `nn.Linear` 了。
#
# 解决办法：用 `isinstance` 检查，它对延后初始化层也为真；并在第一个批量之后调用 `apply`。
# 在第一个批量之前填这个层，会报错 `Attempted to use an uninitialized parameter`。

# %%
def zero_linear(module):
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.weight)


print(bool((apply_init(nn.LazyLinear(3), X, init=zero_linear).weight == 0).all()))
#> True

# %% [markdown]
# 下次怎样及早发现：给权重填一个认得出的值，例如 0，第一个批量之后看它还在不在。

# %% [markdown]
# ### `'Parameter' object has no attribute 'materialize'`
#
# 在第一个批量之前绑定两个延后初始化层的权重。
# 第一个层把共享的参数实体化；第二个层想再实体化一次，于是报错：

# %%
net = nn.Sequential(nn.LazyLinear(20), nn.LazyLinear(20))
net[1].weight = net[0].weight
try:
    net(X)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Parameter' object has no attribute 'materialize'

# %% [markdown]
# 解决办法：试运行之后再绑定权重，或者把一个层用在两处。

# %%
net = apply_init(nn.Sequential(nn.LazyLinear(20), nn.LazyLinear(20)), X)
net[1].weight = net[0].weight
print(net(X).shape)
#> torch.Size([2, 20])

layer = nn.LazyLinear(20)
print(nn.Sequential(layer, layer)(X).shape)
#> torch.Size([2, 20])

# %% [markdown]
# ### `Weights only load failed`，而文件是自己保存的
#
# 自己保存的文件，自己却加载不了。
# 网络是在第一个批量之前保存的，所以文件里的参数没有值，见保存与加载。
# 不要为了加载它而设 `weights_only=False`：得到的仍是没有值的参数。
#
# 解决办法：保存之前先试运行。

# %%
net = nn.Sequential(nn.LazyLinear(3))
print(uninitialized_names(net))
#> ['0.weight', '0.bias']
torch.save(apply_init(net, X).state_dict(), "net.pt")
print(list(torch.load("net.pt")))
#> ['0.weight', '0.bias']

# %% [markdown]
# 下次怎样及早发现：保存之前，检查 `uninitialized_names(net)` 是否为空。

# %% [markdown]
# ### 随机种子相同，值却不同
#
# 给延后初始化的网络设定随机种子，指定全部大小的同一个网络也设定相同的随机种子，两者的权重却不同。
# 原因可能有三种：
#
# - 网络只是部分延后初始化。
# - dropout 在试运行时抽取了随机数。
# - 从设定随机种子到第一个批量之间，有别的东西抽取了随机数。
#
# 解决办法：要么让所有层都延后初始化，要么都不延后；先创建输入，再设随机种子；试运行用 `apply_init`。

# %%
torch.manual_seed(0)
first = apply_init(lazy(), X)
torch.manual_seed(0)
second = nn.Sequential(nn.Linear(20, 8), nn.Dropout(), nn.Linear(8, 3))
print(torch.equal(first[2].weight, second[2].weight))
#> True

# %% [markdown]
# 下次怎样及早发现：像上面那样，用 `torch.equal` 比较权重。

# %% [markdown]
# ### `Attempted to use an uninitialized parameter`，由 `requires_grad_` 引起
#
# 在第一个批量之前冻结延后初始化的网络：

# %%
try:
    nn.LazyLinear(3).requires_grad_(False)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# 解决办法：试运行之后再冻结。

# %%
print(apply_init(nn.LazyLinear(3), X).requires_grad_(False).weight.requires_grad)
#> False

# %% [markdown]
# ### `Expected more than 1 value per channel when training`
#
# 用一个样本试运行，批量归一化层却不接受。
# 要定下形状，一个样本就够了；但在训练模式下，批量归一化层还要为每个通道计算方差，这需要不止一个值：

# %%
try:
    nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())(X[:1])
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Expected more than 1 value per channel when training, got input size torch.Size([1, 4])

# %% [markdown]
# 解决办法：像 `apply_init` 那样在评估模式下试运行，或者用更大的批量。

# %%
net = apply_init(nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d()), X[:1])
print(net[1].num_features)
#> 4

# %% [markdown]
# ### 延后初始化层的参数形状为 `(0,)`
#
# 把延后初始化层移动到 meta 设备。
# `.to("meta")` 会把未初始化参数换成空的参数，之后的任何批量都改变不了：

# %%
layer = nn.LazyLinear(3).to("meta")
print(uninitialized_names(layer), tuple(layer.weight.shape))
#> [] (0,)

# %% [markdown]
# 解决办法：在 meta 设备上创建这个层，传给它的输入也要在 meta 设备上。

# %%
with torch.device("meta"):
    layer = nn.LazyLinear(3)
    layer(torch.empty(2, 20))
print(tuple(layer.weight.shape))
#> (3, 20)

# %% [markdown]
# 下次怎样及早发现：打印各个参数的形状，不应该出现 `(0,)`。

# %% [markdown]
# ### 加载之后 `in_channels` 为 0
#
# 把状态字典加载到延后初始化的网络，再打印网络，显示的大小是 0。
# 权重已由状态字典提供，到第一个批量时就没有什么可初始化的了。
# 于是，大多数延后初始化的类会让 `in_channels` 或 `num_features` 停留在 0。
# 层的计算没有错，但读取这个属性的代码会得到错误的数：

# %%
conv = nn.LazyConv2d(4, kernel_size=3)
conv.load_state_dict(nn.Conv2d(3, 4, kernel_size=3).state_dict())
conv(torch.rand(1, 3, 9, 9))
print(conv)
#> Conv2d(0, 4, kernel_size=(3, 3), stride=(1, 1))

# %% [markdown]
# 还有第二个问题：大小不同的状态字典，层也会接受。
# 下面的层应当有 3 个输出，加载之后却有 5 个：

# %%
layer = nn.LazyLinear(3)
print(layer.load_state_dict(nn.Linear(20, 5).state_dict()), layer(X).shape)
#> <All keys matched successfully> torch.Size([2, 5])

# %% [markdown]
# 解决办法：先试运行。
# 这样 `load_state_dict` 会比较大小，属性也是对的：

# %%
try:
    apply_init(nn.LazyLinear(3), X).load_state_dict(nn.Linear(20, 5).state_dict())
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for Linear:
#>     size mismatch for weight: copying a param with shape torch.Size([5, 20]) from checkpoint, the shape in current model is torch.Size([3, 20]).
#>     size mismatch for bias: copying a param with shape torch.Size([5]) from checkpoint, the shape in current model is torch.Size([3]).

# %% [markdown]
# 或者用 `load_parameters`，它会比较大小，并设置属性，不需要批量：

# %%
save_parameters(nn.Conv2d(3, 4, kernel_size=3), "conv.safetensors")
print(load_parameters(nn.LazyConv2d(4, kernel_size=3), "conv.safetensors").in_channels)
#> 3

# %% [markdown]
# ### `Cannot copy out of meta tensor; no data!`
#
# 在 meta 设备上创建网络，再加载状态字典。
# `load_state_dict` 报告所有键都匹配，其实什么也没有加载。
# PyTorch 只给出警告，每个张量一次：

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
# 等到移动网络时，才会报错：

# %%
try:
    net.to("cpu")
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from meta to a different device.

# %% [markdown]
# 解决办法：用 `assign=True` 加载，然后重新绑定权重，并填好没有保存的缓冲区。

# %%
net.load_state_dict(sized.state_dict(), assign=True)
print(torch.equal(net(X), sized(X)))
#> True

# %% [markdown]
# 如果还是同样的报错，说明某个没有保存的缓冲区仍在 meta 设备上。
#
# 下次怎样及早发现：加载之后，检查每个参数和每个缓冲区的 `is_meta` 是否都为假。

# %% [markdown]
# ### `SymIntArrayRef expected to contain only concrete integers`
#
# 编译延后初始化的网络，然后调用它。
# 如果某个大小可能变化，编译器可以用 `s0` 这样的符号代替数，让编译出的代码适用于几种大小。
# 但延后初始化层要求每个大小都是数。
# 设了 `dynamic=True`，编译器从一开始就用符号；默认情况下，同样的代码再次运行而大小不同时，编译器就改用符号，哪怕那是同一个类的另一个网络。
# PyTorch 2.13 及更早的版本会在这里报错，之后的版本则能编译这个网络（在 2.14.1 和 2.15.0 上核实过）：

# %%
net = torch.compile(nn.Sequential(nn.LazyLinear(3)), backend="eager", dynamic=True)
try:
    net(X)
except Exception as error:  # InternalTorchDynamoError
    print(str(error).splitlines()[0].rpartition(": ")[2])
#> SymIntArrayRef expected to contain only concrete integers

# %% [markdown]
# 解决办法：先试运行。
# `apply_init` 也接受编译过的网络。

# %%
net = torch.compile(nn.Sequential(nn.LazyLinear(3)), backend="eager", dynamic=True)
print(apply_init(net, X)(X).shape)
#> torch.Size([2, 3])

# %% [markdown]
# ### `Modules with uninitialized parameters can't be used with DistributedDataParallel`
#
# 为了用多个进程训练，你把延后初始化的网络包装起来。
# 包装器要把第一个进程的参数发送给其他所有进程，所以需要形状：

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
# 解决办法：在每个进程里，先试运行，再包装网络。

# %%
net = nn.parallel.DistributedDataParallel(apply_init(nn.LazyLinear(3), X))
print(net(X).shape)
#> torch.Size([2, 3])
dist.destroy_process_group()

# %% [markdown]
# ## 练习题

# %% [markdown]
# ### 练习题 1
#
# 给第一个层指定输入大小，其余各层延后初始化：`net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(32), nn.LazyLinear(10))`。
# 预测在三个时刻，它的哪些参数未初始化。
# 每个答案都是由 `"0.weight"` 这样的名字组成的列表，也可能是空列表。
# `built` 是网络刚创建时的列表。
# `half` 是调用 `net[:3](X)` 之后的列表，其中 `X` 的形状是 `(2, 20)`。
# `called` 是接着再调用 `net(X)` 之后的列表。
#
# 练习（容易）：`python -m d2lblocks practice start lazy/1`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 第一个层在创建时就初始化，其余各层在第一次调用时初始化。
# 一个层只看得到自己的输入，无法根据前面各层算出自己的输入大小。
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
# ### 练习题 2
#
# `groups(net, X)` 返回供优化器使用的参数组：权重衰减只用于至少有两个维度的参数。
# 但是，如果延后初始化的网络还没有经过第一个批量，它会悄悄漏掉所有延后初始化层的权重。
# 请修正这个函数；`X` 是网络能接收的批量。
#
# 练习（容易）：`python -m d2lblocks practice start lazy/2`

# %%
def groups(net, X):
    decay = [p for p in net.parameters() if p.ndim >= 2]
    rest = [p for p in net.parameters() if p.ndim < 2]
    return [{"params": decay}, {"params": rest, "weight_decay": 0}]

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 在第一个批量之前，每个未初始化参数的 `ndim` 都是 1，所以函数把它们全当成了偏置。
# 在函数的第一行试运行就够了：
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
# 如果不试运行，两个组里分别有 0 个和 4 个参数。

# %% [markdown]
# ### 练习题 3
#
# 在部分延后初始化的网络中，给某个层指定的输入大小可能与前面的层不匹配。
# 编写 `fits(net, X)`：如果网络能接收批量 `X`，就返回 `True`；如果前向传播报错，就返回 `False`。
# 批量匹配的话，网络之后应当有全部形状；不匹配的话，原来的延后初始化层应当都仍是延后初始化层。
#
# 练习（中等）：`python -m d2lblocks practice start lazy/3`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 普通的调用会停在不匹配的地方。
# 这时，前面的各层已经有了形状：

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
# 如果是 `apply_init` 报错，所有延后初始化层都仍是延后初始化层：
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
# ### 练习题 4
#
# `convnet(classes)` 返回的网络，在第一个批量之后，就只能接收与那个批量中的图像一样大的图像。
# 改动一行来修正：不管图像的高和宽是多少（3 个像素或更多），池化返回的通道，高和宽都应当是 4。
# 网络接收一个图像批量，返回形状为 `(batch, classes)` 的张量。
#
# 练习（中等）：`python -m d2lblocks practice start lazy/4`

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
# #### 参考答案

# %% [markdown]
# 线性层要求输入的最后一个维度大小固定，卷积层要求通道数固定。
# 对卷积层来说，批量大小、高和宽都可以变。
# `nn.AdaptiveAvgPool2d` 放在线性层之前，把任意大小的图像变成同一种大小。
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
# 如果是长短不一的序列，就在末尾填充，直到一样长。

# %% [markdown]
# ### 练习题 5
#
# 换成更大的图像，延后初始化的网络会有多少参数？
# 编写 `count(make, size)`：`make()` 为有 3 个通道的图像创建一个延后初始化的网络；函数返回图像的高和宽为 `size` 时，网络的所有参数共有多少个值。
# 参数和图像都不要占用内存：全都在 meta 设备上创建。
# 默认设备保持原样。
#
# 练习（中等）：`python -m d2lblocks practice start lazy/5`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 在 meta 设备上，试运行不会为参数占用内存，得到的大小却是真实的。
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
# ### 练习题 6
#
# 编写 `dry_run(net, X)`，用一次前向传播让延后初始化的网络得到形状，并返回网络。
# `X` 里只有一个样本也必须够用。
# 除了未初始化的张量，什么都不能改变：滑动统计量保持原值，每个模块保持自己的训练模式，即使各个模块的模式不同。
# 前向传播不计算梯度，但网络之后仍可以训练。
#
# 练习（较难）：`python -m d2lblocks practice start lazy/6`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 在评估模式下，批量归一化层的滑动统计量保持不变，单个样本也能接受。
# `net.train()` 会把每个模块都切换到训练模式，所以要记住每个模块各自的模式。
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
# `apply_init` 也是这样做的，报错之后还会恢复网络。

# %% [markdown]
# ### 练习题 7
#
# 同事的网络指定了全部大小；你的网络与它相同，只是部分延后初始化，所以同一个随机种子给你的权重不同。
# 编写 `draw_again(net, seed)`，给你的网络中每个有 `reset_parameters` 方法的层换上新值，并返回网络。
# 它在试运行之后调用。
# 调用之后，你的网络的参数应当与同事网络的参数相等；同事的网络是在 `torch.manual_seed(seed)` 之后马上创建的。
# 两个网络都按 `net.modules()` 的顺序定义各层。
#
# 练习（较难）：`python -m d2lblocks practice start lazy/7`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 试运行之后，两个网络的层相同。
# 指定全部大小的链在创建时抽取值，按的是模块的顺序。
# 所以，重新设定随机种子，让你的网络的各层按这个顺序再抽取一次。
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
# **注意。**如果模块有自己的参数，却没有 `reset_parameters`，这个循环会漏掉它；网络在自己的 `__init__` 里设置的值，则会被循环覆盖。

# %% [markdown]
# ## 小结
#
# | 想要 | 写法 |
# |---|---|
# | 从第一个批量读出输入大小的层 | `nn.LazyLinear(256)`, `nn.LazyConv2d(16, 3)`, `nn.LazyBatchNorm2d()` |
# | 查看哪些张量还未初始化 | `uninitialized_names(net)` |
# | 训练之前得到形状 | `apply_init(net, X)` |
# | 初始化延后初始化的网络 | `apply_init(net, X, init=f)` |
# | 手动试运行 | `net.eval()`, `torch.no_grad()`, `net(X)`, `net.train()` |
# | 计数、冻结、绑定或保存 | 先 `apply_init(net, X)` |
# | 优化器 | 在试运行之后创建；大多数优化器也可以在这之前创建 |
# | 用同一个随机种子，权重与指定全部大小的网络相同 | 要么所有层都延后初始化，要么都不延后 |
# | 加载保存的状态 | `load_state_dict`，最好在试运行之后 |
# | 只要大小，不占内存 | `with torch.device("meta")` |
# | 不抽取值的模块 | `nn.utils.skip_init(nn.Linear, 20, 3)` |
#
# 库中的函数在 `d2lblocks.lazy` 里，所有主题的表都在速查表里。
#
# 下一个主题：自定义层，编写自己的层；或者文件读写，保存网络学到的东西。
