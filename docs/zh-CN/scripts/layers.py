# %% [markdown]
# # 自定义层
#
# 这是 d2lblocks 中“自定义层”一页的脚本版：由页面生成，并且运行过。
# 运行它需要 `d2lblocks` 和 `torch`。
# 在本仓库的克隆里运行 `pip install .`，就会装好 `d2lblocks`。
#
# 网络需要一种操作，而 PyTorch 没有现成的层。
# 你写了一个类，类体只有六行，PyTorch 就能训练它。
# 可是，加载从 `nn.Linear` 保存的权重时，你的层要么报错，要么悄悄给出错误的结果。
#
# - **学完之后你能：**写出能像 PyTorch 自带的层那样训练、保存、加载、移动、编译和复制的层，并说清每一行的作用。
# - **需要先会：**层与模块和参数，都读到“初读到此为止”那一行；还要装好本站的包（在本站代码仓库的克隆中运行 `pip install .`）。
#   关于延后初始化层的那一节，还需要读过延后初始化，同样读到这一行。
# - **需要多长时间：**读到自己的延后初始化层之前约 20 分钟，有这部分就能写自己的层了；加上其余部分和练习题，约 60 分钟。
#
# `torch.manual_seed(0)` 让每次运行得到的随机数都相同：

# %%
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
X = torch.rand(2, 5)

# %% [markdown]
# ## 没有参数的层
#
# 你想让某一层的输出减去均值。
# PyTorch 没有这样的层，于是你写一个自定义层。
# <dfn>自定义层</dfn>（custom layer）是你自己编写的 `nn.Module` 子类，用起来与 PyTorch 的任何层一样。
# 它的 `forward` 方法由输入算出输出：

# %%
class CenteredLayer(nn.Module):
    def forward(self, X):
        return X - X.mean()


print(CenteredLayer()(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])))
#> tensor([-2., -1.,  0.,  1.,  2.])

# %% [markdown]
# 五个数的均值是 3，所以输出就是每个数减去 3。
# 这个类没有什么要准备的，不需要 `__init__`。
# 它和别的层一样，可以接在一串层里；这时输出的均值是 0，只差舍入误差：

# %%
net = nn.Sequential(nn.Linear(5, 64), CenteredLayer())
print(bool(net(X).mean().abs() < 1e-6))
#> True

# %% [markdown]
# **注意。**`X.mean()` 是整个批量的均值，所以一个样本的结果还取决于同一批量里的其他样本。
# 第一个样本，放在批量里算是一个结果，单独算是另一个结果：

# %%
center = CenteredLayer()
print(torch.equal(center(X)[:1], center(X[:1])))
#> False

# %% [markdown]
# 预测结果随同一批量里的其他样本而变，通常不是你想要的。
# 请在 `forward` 里改为减去最后一个维度上的均值，即 `X.mean(dim=-1, keepdim=True)`，让每个样本各自中心化：

# %%
in_batch = X - X.mean(dim=-1, keepdim=True)
alone = X[:1] - X[:1].mean(dim=-1, keepdim=True)
print(torch.equal(in_batch[:1], alone))
#> True

# %% [markdown]
# `keepdim=True` 保留最后一个维度，大小为 1，所以均值的形状是 `(2, 1)`，每行一个均值。
# 接着，广播让每一行的五个数都减去这一行的均值。
# <dfn>广播</dfn>（broadcasting）让 `-` 这样的操作可以用于形状不同的张量，例如 `(2, 5)` 和 `(2, 1)`：从最后一个维度到第一个维度逐个比较形状，张量缺少某个维度，或者在这个维度上大小为 1，就沿着这个维度重复。

# %% [markdown]
# ## 带参数的层
#
# 大多数层都有要学习的值。
# 举个例子，下面是一个线性层，类体只有六行（在自己的程序里请用 `nn.Linear`）：

# %%
class MyLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, X):
        return X @ self.weight + self.bias


layer = MyLinear(5, 3)
print(layer(X).shape)
#> torch.Size([2, 3])

# %% [markdown]
# 把 `nn.Parameter` 赋给属性，模块就会注册它：`layer.parameters()` 里有它，优化器就能更新它。
# 梯度由 autograd 替你算好：

# %%
layer(X).sum().backward()
print(layer.weight.grad.shape, layer.bias.grad)
#> torch.Size([5, 3]) tensor([2., 2., 2.])
torch.optim.SGD(layer.parameters(), lr=0.1).step()
print(layer.bias.detach())
#> tensor([-0.2000, -0.2000, -0.2000])

# %% [markdown]
# 两行输入各给每个偏置的梯度加上 1，所以梯度是 2。
# 接着，学习率为 0.1 的一步让每个偏置变化 -0.2。
#
# PyTorch 能训练这个层，但 PyTorch 自带的层能做的事，它还不能全都做到。
# 后面几节一小步一小步地补齐。

# %% [markdown]
# ### 权重的形状：输出大小在前
#
# 你希望自己的层能加载从 `nn.Linear` 保存的权重，这只有形状相同才行。
# `nn.Linear` 的权重把输出大小放在前面，所以你的权重也要用形状 `(out_features, in_features)`。

# %%
class MyLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, X):
        return X @ self.weight.T + self.bias


theirs, mine = nn.Linear(5, 3), MyLinear(5, 3)
mine.load_state_dict(theirs.state_dict())
print(torch.allclose(mine(X), theirs(X)))
#> True

# %% [markdown]
# ### 初始值：`reset_parameters`
#
# 每个输出都是一个和，每个输入贡献一项。
# 不管是什么层，`torch.randn` 抽取的权重都一样分散，所以输入越多，这个和就越大。
# 下一个版本和 `nn.Linear` 一样，在 `-bound` 与 `bound` 之间抽取值，其中 `bound` = 1/√n，n 是输入的个数。
#
# 设定初始值的代码放进一个叫 `reset_parameters` 的方法，由 `__init__` 调用。
# 这样，使用这个层的人也能调用它，重新抽取初始值。
# 在 meta 设备上创建层之后就需要它：那里的张量没有内存，先由 `to_empty` 给层分配内存，其中的值是任意的，再由 `reset_parameters` 填好。
#
# 为了让使用者能在任何设备上、以任何精度创建这个层，`__init__` 还接收 `device` 和 `dtype`，并用在它创建的每个张量上：

# %%
class MyLinear(nn.Module):
    def __init__(self, in_features, out_features, *, device=None, dtype=None):
        super().__init__()
        self.in_features = in_features
        factory = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(out_features, in_features, **factory))
        self.bias = nn.Parameter(torch.empty(out_features, **factory))
        self.reset_parameters()

    def reset_parameters(self):
        bound = self.in_features**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, X):
        return X @ self.weight.T + self.bias


print(MyLinear(5, 3, device="meta", dtype=torch.float64).weight.dtype)
#> torch.float64
empty = MyLinear(5, 3, device="meta").to_empty(device="cpu")
torch.manual_seed(0)
empty.reset_parameters()
torch.manual_seed(0)
print(torch.equal(empty.weight, MyLinear(5, 3).weight))
#> True

# %% [markdown]
# 第一行输出说明，权重的 dtype 就是指定的那个。
# 第二行说明，`reset_parameters` 给新内存填的值，与用同样的随机种子新建的层相同。

# %% [markdown]
# ### 可选的偏置
#
# `nn.Linear(5, 3, bias=False)` 没有偏置，你的层也应该提供这个选择。
# 如果没有偏置，不要省掉这个属性，而要像下面这个小小的层那样，把它注册成 `None`。
# 这样，`bias` 这个名字还在，只是没有张量：`shift.bias` 是 `None`，状态字典里没有它的条目。
# 这个名字也仍然留给参数：把普通张量赋给它，例如 `shift.bias = torch.zeros(5)`，会报错。

# %%
class Shift(nn.Module):
    def __init__(self, features, bias=True):
        super().__init__()
        if bias:
            self.bias = nn.Parameter(torch.zeros(features))
        else:
            self.register_parameter("bias", None)

    def forward(self, X):
        return X if self.bias is None else X + self.bias


shift = Shift(5, bias=False)
print(shift.bias, list(shift.state_dict()), torch.equal(shift(X), X))
#> None [] True

# %% [markdown]
# 用偏置做计算的方法，要先检查它是不是 `None`（`F.linear` 接受 `None`）。

# %% [markdown]
# ### `print` 显示的内容：`extra_repr`
#
# `print(net)` 显示每一层的类名，后面跟一对括号。
# 括号里的文字由 `extra_repr` 返回。
# 按惯例，这段文字列出 `__init__` 的参数，就像下面这个类：

# %%
class Named(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}"


print(nn.Sequential(Named(5, 3)))
#> Sequential(
#>   (0): Named(in_features=5, out_features=3)
#> )

# %% [markdown]
# ### 任意批量形状的输入
#
# 调用你的层时，传入的可能是一个样本、一批样本，或者一批序列。
# 对 `X @ weight.T` 来说，输入的最后一个维度之前可以有任意多个维度，没有也行；批量里一个样本都没有也行：

# %%
layer = MyLinear(5, 3)
for shape in [(5,), (0, 5), (2, 5), (2, 7, 5)]:
    print(shape, tuple(layer(torch.rand(shape)).shape))
#> (5,) (3,)
#> (0, 5) (0, 3)
#> (2, 5) (2, 3)
#> (2, 7, 5) (2, 7, 3)

# %% [markdown]
# 只要 `forward` 里没有写死批量大小，这些形状就都能用。

# %% [markdown]
# ### Autocast
#
# 不用 16 位数计算的话，初读可以跳过这一节。
#
# <dfn>混合精度</dfn>（mixed precision）是指，在精度够用的地方用 16 位数计算，在其他地方用 32 位数，以节省时间和内存。
# <dfn>Autocast</dfn> 即 [`torch.autocast`](https://docs.pytorch.org/docs/stable/amp.html)，是 PyTorch 用于混合精度的工具：它为每个操作选择 dtype。
# 矩阵乘积用 16 位的 dtype，损失用 `float32`；其他操作大多沿用输入的 dtype。
#
# 目前写出的层保不住 16 位的 dtype。
# 它的矩阵乘积得到 `bfloat16`（一种 16 位的 dtype），而偏置是 `float32`，两者之和又成了 `float32`：

# %%
with torch.autocast("cpu", dtype=torch.bfloat16):
    print(layer(X).dtype, nn.Linear(5, 3)(X).dtype)
#> torch.float32 torch.bfloat16

# %% [markdown]
# `F.linear` 用一个操作算出乘积并加上偏置，而 autocast 用 16 位运行这个操作。
# 所以最后一步就是调用 `F.linear`：

# %%
with torch.autocast("cpu", dtype=torch.bfloat16):
    print(F.linear(X, layer.weight, layer.bias).dtype)
#> torch.bfloat16
print(torch.allclose(F.linear(X, layer.weight, layer.bias), layer(X)))
#> True

# %% [markdown]
# 现在，在 autocast 下，输出是 `bfloat16`；不用 autocast，输出和之前一样。
# 做完这些步骤的类，见库中的实现。

# %% [markdown]
# ### 钩子
#
# <dfn>钩子</dfn>（hook）是挂在模块上的函数；调用模块时，PyTorch 在 `forward` 之前或之后运行它，也有的钩子在反向传播期间运行。
# PyTorch 中有几个部分靠的就是钩子，例如从第一个批量得到输入大小的延后初始化层，以及把网络拆到多块 GPU 上的 `fully_shard`。
#
# 如果你的层里还有别的层，就用 `self.linear(X)` 调用它，绝不要用 `self.linear.forward(X)`，因为只有调用层本身才会运行它的钩子。
# 在下面的代码片段里，里面的层是 `nn.LazyLinear`，这种延后初始化层靠钩子读出输入大小：

# %%
class Calls(nn.Module):
    def __init__(self, forward_only):
        super().__init__()
        self.linear = nn.LazyLinear(3)
        self.forward_only = forward_only

    def forward(self, X):
        return self.linear.forward(X) if self.forward_only else self.linear(X)


print(Calls(forward_only=False)(X).shape)
#> torch.Size([2, 3])
try:
    Calls(forward_only=True)(X)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# 第一个网络调用延后初始化层本身，所以钩子会运行。
# 第二个网络直接调用 `forward`，所以钩子不运行，这一层就仍然没有权重，报错信息的开头说的正是这一点。

# %% [markdown]
# ## 库中的实现
#
# `d2lblocks.layers` 里有 `CenteredLayer` 和完成后的 `MyLinear`。
# 这里的 `CenteredLayer` 有参数 `dim`；设 `dim=-1`，每个样本就各自中心化。
#
# <code>CenteredLayer</code> 和 <code>MyLinear</code> 的源代码，不含文档字符串：
#
# *库的源代码，出自 `d2lblocks/layers.py`：*

# %%
from torch import Tensor


class CenteredLayer(nn.Module):
    def __init__(self, dim: int | tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, X: Tensor) -> Tensor:
        return X - X.mean(dim=self.dim, keepdim=True)

    def extra_repr(self) -> str:
        return "" if self.dim is None else f"dim={self.dim}"


class MyLinear(nn.Module):
    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features, device=device, dtype=dtype))
        self.bias: nn.Parameter | None
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = self.in_features**-0.5 if self.in_features else 0.0
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, X: Tensor) -> Tensor:
        return F.linear(X, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )

# %% [markdown]
# 随机种子相同，`MyLinear` 和 `nn.Linear` 的权重就相等，输出也完全相等。
# `MyLinear` 调用的就是 `F.linear`，所以直接调用 `F.linear` 也得到同样的输出：

# %%
from d2lblocks import CenteredLayer, MyLinear

torch.manual_seed(0)
theirs = nn.Linear(5, 3)
torch.manual_seed(0)
mine = MyLinear(5, 3)
print(torch.equal(mine.weight, theirs.weight), torch.equal(mine(X), theirs(X)))
#> True True
print(torch.equal(mine(X), F.linear(X, mine.weight, mine.bias)))
#> True
print(mine)
#> MyLinear(in_features=5, out_features=3, bias=True)

# %% [markdown]
# 自定义层和其他层一样可以叠起来：

# %%
net = nn.Sequential(MyLinear(5, 64), nn.ReLU(), CenteredLayer(dim=-1), MyLinear(64, 1))
print(net(X).shape)
#> torch.Size([2, 1])

# %% [markdown]
# ### 检查梯度：`gradcheck`
#
# 初读可以跳过：由 PyTorch 的操作组成的层，autograd 算出的梯度都是对的，所以只有不放心，或者自己写反向传播，才需要这项检查。
#
# [`torch.autograd.gradcheck`](https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html) 把每个梯度与量出来的斜率 (f(x + h) - f(x - h)) / (2h) 作比较，其中 h 是很小的步长。
# 输入要用 `float64`，因为用 `float32` 量出的斜率太不精确。
# `gradcheck` 要的是接收张量的函数，所以代码片段用了 `functional_call`，它用你传入的参数运行模块：

# %%
from torch.autograd import gradcheck
from torch.func import functional_call

exact = MyLinear(5, 3, dtype=torch.float64)
names = [name for name, _ in exact.named_parameters()]


def output(X, *parameters):
    return functional_call(exact, dict(zip(names, parameters)), (X,))


X64 = X.double().requires_grad_()
print(gradcheck(output, (X64, *exact.parameters())))
#> True

# %% [markdown]
# ## 参数、缓冲区、属性
#
# 你的层里有一张常量表。
# 优化器该不该修改它？
# 保存的文件里要不要有它？
# 网络移到 GPU 上，它要不要跟着移动？
# 怎样存放它，取决于你的回答。
#
# <dfn>缓冲区</dfn>（buffer）是在模块中注册的张量，随模块移动，但不参与训练。
# <dfn>持久缓冲区</dfn>（persistent buffer）是状态字典所包含的缓冲区，所以会随模块保存；缓冲区默认是持久的。
# <dfn>非持久缓冲区</dfn>（non-persistent buffer）用 `persistent=False` 创建，随模块移动，但不会保存。
# 要注册缓冲区，写 `self.name = nn.Buffer(tensor)` 或 `self.register_buffer("name", tensor)`。
# 在下面的类里，各种张量都有一个：

# %%
class Kinds(nn.Module):
    def __init__(self):
        super().__init__()
        self.parameter = nn.Parameter(torch.zeros(2))
        self.buffer = nn.Buffer(torch.zeros(2))
        self.scratch = nn.Buffer(torch.zeros(2), persistent=False)
        self.plain = torch.zeros(2)


kinds = Kinds()
trained = dict(kinds.named_parameters())
saved = kinds.state_dict()
kinds.double()
for name in ("parameter", "buffer", "scratch", "plain"):
    moved = getattr(kinds, name).dtype == torch.float64
    print(f"{name}: trained {name in trained}, saved {name in saved}, moved {moved}")
#> parameter: trained True, saved True, moved True
#> buffer: trained False, saved True, moved True
#> scratch: trained False, saved False, moved True
#> plain: trained False, saved False, moved False

# %% [markdown]
# 输出中的“moved”显示 `kinds.double()` 的效果，它把模块转换成 `float64`。
# 转换改变了参数和两个缓冲区，没有改变普通张量；移动到另一个设备也是如此。
# 每种张量各有用途：
#
# | 种类 | 训练 | 保存 | 移动和转换类型 | 适用于 |
# |---|---|---|---|---|
# | `nn.Parameter` | 是 | 是 | 是 | 要学习的值 |
# | `nn.Buffer` | 否 | 是 | 是 | 保存的网络需要的常量和统计量 |
# | `nn.Buffer(..., persistent=False)` | 否 | 否 | 是 | 能重新算出来的值，例如掩码和索引 |
# | 普通张量 | 否 | 否 | 否 | `forward` 用不到的张量，例如画图用的数据 |
#
# **注意。**`net.bfloat16()` 和 `net.half()` 会把所有浮点型缓冲区的值舍入，就算再转换回来，丢掉的数位也找不回来。
# 一张频率表可能因此完全没法用，见下文。
# 整数型和布尔型缓冲区不受影响。

# %% [markdown]
# ### 参数和层的列表与字典
#
# 你想把几个层或几个参数放在一个名字下。
# Python 列表不会注册里面的东西：其中的参数或层，模块都看不到。
# 请用 PyTorch 自己的容器：`nn.ParameterList` 和 `nn.ParameterDict` 注册参数，`nn.ModuleList` 和 `nn.ModuleDict` 注册模块。

# %%
class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleDict(
            {"small": MyLinear(5, 3), "large": MyLinear(5, 3)}
        )
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(3)) for _ in range(2))

    def forward(self, X, name):
        return self.experts[name](X) * self.scales[0] * self.scales[1]


experts = Experts()
for name, _ in experts.named_parameters():
    print(name)
#> experts.small.weight
#> experts.small.bias
#> experts.large.weight
#> experts.large.bias
#> scales.0
#> scales.1
print(experts(X, "small").shape)
#> torch.Size([2, 3])

# %% [markdown]
# 每个名字都说明参数在哪里：`experts.small.weight` 是 `experts` 里模块 `small` 的权重。
#
# **初读到此为止。**本页余下的部分讲从第一个批量得到大小的层，编译或导出的层，以及怎样找出层的问题。

# %% [markdown]
# ## 自己的延后初始化层
#
# 你想让别人使用你的层时不必给出输入大小，就像 PyTorch 的延后初始化层那样。
# `LazyModuleMixin` 提供在第一次调用之前运行的钩子。
# 你要写两样东西：还没有形状的参数，以及给参数定形状的方法 `initialize_parameters`。
# 在这个方法里，`has_uninitialized_params()` 告诉你是不是还有形状没定，`materialize(shape)` 给参数形状和内存，但不给值：

# %%
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter


class LazyScale(LazyModuleMixin, nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = UninitializedParameter()

    def initialize_parameters(self, X):
        if self.has_uninitialized_params():
            self.scale.materialize((X.shape[-1],))
            nn.init.ones_(self.scale)

    def forward(self, X):
        return X * self.scale


scale = LazyScale()
print(scale.scale)
#> <UninitializedParameter>
print(scale(X).shape, scale.scale.shape)
#> torch.Size([2, 5]) torch.Size([5])

# %% [markdown]
# 参数起初没有形状。
# 第一个批量的最后一个维度大小为 5，于是参数有了五个值。
# 如果层里已经有从文件加载的值，`if` 会让这些值保持不变。
#
# `d2lblocks.layers` 里的 `MyLazyLinear` 对权重和偏置做同样的事。
# 它还设定了 `cls_to_become`，即第一个批量之后这个层变成的类。
#
# <code>MyLazyLinear</code> 的源代码，不含文档字符串：
#
# *库的源代码，出自 `d2lblocks/layers.py`：*

# %%
from typing import Any

from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter


class MyLazyLinear(LazyModuleMixin, MyLinear):
    cls_to_become = MyLinear
    weight: Any  # an UninitializedParameter, and a Parameter after the first batch
    bias: Any

    def __init__(
        self,
        out_features: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(0, 0, bias=False)
        self.out_features = out_features
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weight = UninitializedParameter(**factory)
        if bias:
            self.bias = UninitializedParameter(**factory)

    def reset_parameters(self) -> None:
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, X: Tensor) -> None:
        waits = self.has_uninitialized_params()
        if waits:
            self.weight.materialize((self.out_features, X.shape[-1]))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
        self.in_features = self.weight.shape[1]  # also of a weight that was loaded
        if waits:
            self.reset_parameters()

# %%
from d2lblocks import MyLazyLinear

lazy = MyLazyLinear(3)
print(lazy.weight)
#> <UninitializedParameter>
Y = lazy(X)
print(lazy)
#> MyLinear(in_features=5, out_features=3, bias=True)

# %% [markdown]
# 第一个批量之后，这个层就成了 `MyLinear`。
#
# **注意。**有人可能在第一个批量之前就对网络的每一层调用 `reset_parameters`，而这时延后初始化层的参数还没有内存可填。
# 所以，要给延后初始化层的类写一个自己的 `reset_parameters`，像 `MyLazyLinear` 那样，在第一个批量之前什么也不做。

# %% [markdown]
# ## 编译与导出
#
# 你希望自己的层跑得更快，或者能在没有你的 Python 类的程序里运行。
# <dfn>编译</dfn>（compile）模块，就是把它的 `forward` 记录成由操作组成的图，再把图变成更快的代码，[`torch.compile`](https://docs.pytorch.org/docs/stable/generated/torch.compile.html) 做的就是这件事。
#
# 如果 `torch.compile` 能把层记录成一整张图，层通常跑得最快。
# 设 `fullgraph=True`，做不到就会报错。
# `torch.compile` 中把图变成代码的部分叫作后端（backend）。
# 后端 `"eager"` 原样运行这张图，所以机器上没有 C++ 编译器也能检查层：

# %%
compiled = torch.compile(mine, backend="eager", fullgraph=True)
print(torch.equal(compiled(X), mine(X)))
#> True

# %% [markdown]
# <dfn>导出</dfn>（export）模块，就是把它的 `forward` 记录成一个程序，运行时不需要你的 Python 代码，[`torch.export`](https://docs.pytorch.org/docs/stable/export.html) 做的就是这件事。
# 导出的程序只接受与示例输入形状相同的输入；示例输入是传给 `torch.export.export` 的，这里是 `X`。
# 想接受其他批量大小，就把批量维度声明为动态的：

# %%
batch = torch.export.Dim("batch")
program = torch.export.export(mine, (X,), dynamic_shapes=({0: batch},))
print(program.module()(torch.rand(7, 5)).shape)
#> torch.Size([7, 3])

# %% [markdown]
# 导出时的输入是 2 行，运行时的输入是 7 行。
#
# <dfn>假张量</dfn>（fake tensor）像真正的张量一样有形状、dtype 和设备，但没有值；`torch.compile` 和 `torch.export` 用假张量记录网络，不计算任何值。
# 所以，如果 Python 要知道张量的值才能决定下一步做什么，`torch.export` 和 `fullgraph=True` 就会失败。
# 例如，`FixedHiddenMLP` 的循环在每次迭代之前都要检查总和是不是还太大：

# %%
from d2lblocks import FixedHiddenMLP

looped = torch.compile(FixedHiddenMLP(5), backend="eager", fullgraph=True)
try:
    looped(X)
except Exception as error:
    print(type(error).__name__)
#> Unsupported

# %% [markdown]
# 不设 `fullgraph=True`，`torch.compile` 会接受这个层，但结果里有图中断，因而变慢。
# <dfn>图中断</dfn>（graph break）是 `torch.compile` 结束一张图的地方：它让 Python 运行自己无法记录的代码，然后开始另一张图。
# 根据张量的值分支、打印张量、对浮点张量调用 `.tolist()`，也会造成图中断。
# 只依赖**形状**的代码不会。
# 像 `FixedHiddenMLP` 那样的循环，往往可以换成算术运算，“层与模块”的练习题 6 就是这样做的。

# %% [markdown]
# ## 出错的时候

# %% [markdown]
# ### 梯度是 `None`：`forward` 里用了 `.data`
#
# 网络能训练，但其中一层从不变化，这一层权重的梯度是 `None`。
# 原因是它的 `forward` 用了 `.data`，取值时绕开了 autograd。
# 如果网络只有这一层，`backward` 会报错：

# %%
class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 5))

    def forward(self, X):
        return X @ self.weight.data


try:
    Detached()(X).sum().backward()
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn

# %% [markdown]
# 如果网络里还有别的层，就不会报错，而这一层永远学不到东西：

# %%
net = nn.Sequential(nn.Linear(5, 5), Detached(), nn.Linear(5, 1))
net(X).sum().backward()
print([name for name, parameter in net.named_parameters() if parameter.grad is None])
#> ['1.weight']

# %% [markdown]
# （第一层有梯度，但梯度是零，因为传回来时经过了全是零的权重。）
#
# 解决办法：使用参数本身。

# %%
class Attached(Detached):
    def forward(self, X):
        return X @ self.weight


net = nn.Sequential(nn.Linear(5, 5), Attached(), nn.Linear(5, 1))
net(X).sum().backward()
print([name for name, parameter in net.named_parameters() if parameter.grad is None])
#> []

# %% [markdown]
# 下次怎样及早发现：在 `backward` 之后，检查是不是每个参数都有梯度。
# `diagnose` 把这种情况报告为 `data-read`。

# %% [markdown]
# ### Python 列表里的参数
#
# 你的层把参数放在列表里，但 `parameters()` 里没有它们，所以优化器从来拿不到：

# %%
class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = [nn.Parameter(torch.ones(3)) for _ in range(2)]


print(list(Hidden().parameters()))
#> []

# %% [markdown]
# 没有报错。
# 只有把参数、缓冲区或模块赋给属性，模块才会注册它们。
# 列表不是这三者之一，所以模块不会查看列表里面。
#
# 解决办法：用 `nn.ParameterList`。

# %%
class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(3)) for _ in range(2))


print(len(list(Listed().parameters())))
#> 2

# %% [markdown]
# 下次怎样及早发现：比较 `len(list(layer.parameters()))` 与你预期的参数个数。
# `diagnose` 把这种情况报告为 `unregistered`。

# %% [markdown]
# ### 常量被训练了：装着缓冲区的 `nn.ParameterList`
#
# 你把常量放进 `nn.ParameterList`，训练却改变了它们。
# `nn.ParameterList` 和 `nn.ParameterDict` 会把每个张量都变成 `nn.Parameter`，连缓冲区也不例外：

# %%
held = nn.ParameterList([torch.zeros(2), nn.Buffer(torch.zeros(2))])
print(
    [(name, parameter.requires_grad) for name, parameter in held.named_parameters()],
    list(held.buffers()),
)
#> [('0', True), ('1', True)] []

# %% [markdown]
# 操作的结果也一样，例如 `2 * w`：它会变成新的参数，梯度不会经过它传到 `w`。
#
# PyTorch 没有专门装缓冲区的列表类型。
# 解决办法：把这些常量堆叠成一个缓冲区；如果形状不同，就为每个常量各注册一个缓冲区。

# %%
class Constants(nn.Module):
    def __init__(self):
        super().__init__()
        self.pair = nn.Buffer(torch.zeros(2, 3))
        for i, tensor in enumerate([torch.zeros(1), torch.zeros(4)]):
            self.register_buffer(f"constant{i}", tensor)

    def forward(self, X):
        return X + self.pair[0].sum() + self.get_buffer("constant1").sum()


print(
    [name for name, _ in Constants().named_buffers()], list(Constants().parameters())
)
#> ['pair', 'constant0', 'constant1'] []

# %% [markdown]
# 下次怎样及早发现：看看 `named_parameters()` 里有没有不该训练的张量。

# %% [markdown]
# ### `nn.Parameter(t) * 0.01` 不是参数
#
# 你在创建参数的那一行给它乘了一个系数，结果 `parameters()` 里没有这个参数。
# 对参数做操作，返回的是普通张量；`.to(dtype)` 如果需要转换值，返回的也是普通张量：

# %%
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5)) * 0.01
        self.other = nn.Parameter(torch.randn(3, 5)).to(torch.float64)


print(list(Scaled().parameters()))
#> []

# %% [markdown]
# 没有报错。
# `diagnose` 把这种情况报告为 `not-a-parameter`。
#
# 解决办法：先做运算，再对结果调用 `nn.Parameter`。

# %%
class ScaledFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5) * 0.01)
        self.other = nn.Parameter(torch.randn(3, 5, dtype=torch.float64))


print([name for name, _ in ScaledFirst().named_parameters()])
#> ['weight', 'other']

# %% [markdown]
# 把这样的张量交给优化器，优化器会报错 `can't optimize a non-leaf Tensor`。

# %% [markdown]
# ### 损失从第一步起就是 `nan`：从未填过值的权重
#
# 损失从第一步起就是 `nan` 或极大的数，但不一定每次运行都这样。
# `torch.empty(2, 3)` 和较旧的 `torch.Tensor(2, 3)` 只分配内存，里面原来是什么就还是什么：零、极大的数或 `nan`。
#
# 要找出从未填过值的参数，就在创建网络之前调用 `torch.use_deterministic_algorithms(True)`；这样，PyTorch 会给新内存填上 `nan`：

# %%
class Unfilled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(5, 3))
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, X):
        return X @ self.weight + self.bias


torch.use_deterministic_algorithms(True)
net = Unfilled()
torch.use_deterministic_algorithms(False)
print([name for name, parameter in net.named_parameters() if parameter.isnan().any()])
#> ['weight']

# %% [markdown]
# `diagnose` 把这种情况报告为 `nan`。
#
# 解决办法：在 `reset_parameters` 里填好每个参数，并在 `__init__` 里调用这个方法。

# %%
class Filled(Unfilled):
    def __init__(self):
        super().__init__()
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.normal_(self.weight, std=0.01)
        nn.init.zeros_(self.bias)


print(bool(Filled()(X).isfinite().all()))
#> True

# %% [markdown]
# ### 常量没有转换类型或移动：属性里的普通张量
#
# 转换网络的类型或移动网络之后，某一层报错，说有两种 dtype 或两个设备。
# 这一层把常量存成普通属性，常量就不会随它转换类型、移动或保存：

# %%
class Shifted(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.ones(5, 5)

    def forward(self, X):
        return X @ self.table


try:
    Shifted().double()(X.double())
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float

# %% [markdown]
# 解决办法：用缓冲区。

# %%
class Buffered(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Buffer(torch.ones(5, 5))

    def forward(self, X):
        return X @ self.table


print(Buffered().double()(X.double()).dtype)
#> torch.float64

# %% [markdown]
# 如果层的每个张量都注册了，却仍有关于 dtype 的报错，那就是批量与权重的 dtype 不同：见 `mat1 and mat2 must have the same dtype`。
#
# 下次怎样及早发现：用 `list(layer.state_dict())` 列出注册过的张量；非持久缓冲区只出现在 `named_buffers()` 里。
# `diagnose` 把这种情况报告为 `constant`。

# %% [markdown]
# ### 用 16 位时位置出错：舍入过的缓冲区
#
# 网络用 `float32` 时正常，调用 `net.bfloat16()` 之后结果就很差，再转换回来也没用。
# 转换网络的类型，会悄悄把浮点型缓冲区也舍入，而且无法恢复。
# 为单词的位置编码的模型，往往存着一张频率 f 的表，对每个位置 p 计算 cos(p · f)。
# 位置为 2,000 时，f 的误差 0.0002 会变成 p · f 的误差 0.4，余弦就错了：

# %%
class Rounded(nn.Module):
    def __init__(self):
        super().__init__()
        self.frequencies = nn.Buffer(
            10000.0 ** (-torch.arange(0, 32, 2) / 32), persistent=False
        )

    def forward(self, length):
        positions = torch.arange(length, device=self.frequencies.device)
        return torch.outer(positions.float(), self.frequencies.float()).cos()


rounded = Rounded()
exact = rounded(2048)
print(bool((rounded.bfloat16()(2048) - exact).abs().max() > 0.3))
#> True
print(bool((rounded.float()(2048) - exact).abs().max() > 0.3))
#> True

# %% [markdown]
# 解决办法：缓冲区里存整数，在 `forward` 里用 `float32` 由这些整数算出频率。
# 转换网络的类型，不会改变整数型缓冲区。

# %%
class Exact(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.Buffer(torch.arange(0, 32, 2), persistent=False)

    def forward(self, length):
        frequencies = 10000.0 ** (-self.steps.float() / 32)
        positions = torch.arange(length, device=self.steps.device)
        return torch.outer(positions.float(), frequencies).cos()


print(torch.equal(Exact().bfloat16()(2048), exact))
#> True

# %% [markdown]
# 也可以让网络保持 `float32`，改用 autocast，它不会转换缓冲区的类型。
#
# 下次怎样及早发现：打印 `parameter_table(net)`，里面有每个缓冲区的 dtype。
# `diagnose` 把这种情况报告为 `rounded-buffer`。

# %% [markdown]
# ### `Index put requires the source and destination dtypes match`
#
# 你的层一直正常，打开 autocast 就报错。
# 在 autocast 下，线性层的输出是 16 位，而 `torch.zeros` 创建的仍是 `float32` 张量。
# `Y[mask] = H` 这样的赋值要求两边的 dtype 相同：

# %%
class Scatter(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, X, mask):
        Y = torch.zeros(len(mask), 3)
        Y[mask] = self.linear(X)
        return Y


mask = torch.tensor([True, False, True])
try:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        Scatter()(X, mask)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Index put requires the source and destination dtypes match, got Float for the destination and BFloat16 for the source.

# %% [markdown]
# 解决办法：先算出值，再按这些值的 dtype 和设备创建结果。

# %%
class ScatterAny(Scatter):
    def forward(self, X, mask):
        H = self.linear(X)
        Y = H.new_zeros(len(mask), 3)
        Y[mask] = H
        return Y


with torch.autocast("cpu", dtype=torch.bfloat16):
    print(ScatterAny()(X, mask).dtype)
#> torch.bfloat16

# %% [markdown]
# `scatter_`、`scatter_add_`、`index_add_` 和 `index_copy_` 报错的原因相同，解决办法也相同：

# %%
H = torch.ones(2, 3, dtype=torch.bfloat16)
try:
    torch.zeros(2, 3).scatter_(0, torch.zeros(2, 3, dtype=torch.int64), H)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: scatter(): Expected self.dtype to be equal to src.dtype

# %% [markdown]
# 下次怎样及早发现：测试每个新写的层时，在 autocast 下调用它一次。

# %% [markdown]
# ### `self` 和输入的顺序写反了
#
# 报错信息说，你的模块缺少一个方法，而这个方法每个张量都有。
# Python 把模块作为每个方法的第一个参数传入，哪怕这个参数不叫 `self`。
# 顺序一反，`X` 就是模块，`self` 就是输入：

# %%
class Swapped(nn.Module):
    def forward(X, self):
        return X.relu()


try:
    Swapped()(X)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Swapped' object has no attribute 'relu'

# %% [markdown]
# 解决办法：写成 `forward(self, X)`。

# %%
class Ordered(nn.Module):
    def forward(self, X):
        return X.relu()


print(Ordered()(X).shape)
#> torch.Size([2, 5])

# %% [markdown]
# ### `Trying to backward through the graph a second time`：留存下来的状态
#
# 训练的第一步正常，第二步报错。
# `backward` 走完一张计算图，就会释放它。
# 如果模块把输出留给下一次调用，也就留下了这个输出的计算图，于是第二次 `backward` 会走到已经释放的图上：

# %%
class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)
        self.state = nn.Buffer(torch.zeros(2, 5))

    def forward(self, X):
        self.state = torch.tanh(self.linear(X) + self.state)
        return self.state


cell = Cell()
try:
    for _ in range(2):
        cell(X).sum().backward()
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors after calling backward.

# %% [markdown]
# `retain_graph=True` 解决不了问题。
# 用了它，图每一步都会变大，每一步花的时间和内存也越来越多。
# 而且优化器一旦改动了权重，`backward` 还可能报错 `modified by an inplace operation`。
#
# 解决办法：只留下值，不留下计算图。

# %%
class DetachedCell(Cell):
    def forward(self, X):
        H = torch.tanh(self.linear(X) + self.state)
        self.state = H.detach()
        return H


cell = DetachedCell()
for _ in range(2):
    cell(X).sum().backward()
print(cell.state.requires_grad)
#> False

# %% [markdown]
# 如果在循环之前由参数算出一个张量，又在每一步都用它，也会报这个错：请改在循环里面计算。
# 如果对累加起来的损失调用 `backward`，也是一样：请对每一步的损失调用 `backward`，想打印总和，就把 `loss.item()` 加起来。
#
# 下次怎样及早发现：对模块在各步之间留存的每个张量，检查 `requires_grad` 是否为 `False`。
# `diagnose` 把这种情况报告为 `kept-graph`。

# %% [markdown]
# ### `Inference tensors cannot be saved for backward`
#
# 网络评估过一次之后，训练就报错。
# 在 `torch.inference_mode()` 下创建的张量是推理张量（inference tensor），autograd 不能把它存下来供反向传播使用。
# 如果模块在第一次调用时创建缓冲区，而这次调用又是评估，模块留下的就是推理张量：

# %%
class MadeLate(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 5)
        self.register_buffer("scale", None, persistent=False)

    def forward(self, X):
        if self.scale is None:
            self.scale = torch.arange(5.0, device=X.device)
        return self.linear(X) * self.scale


net = MadeLate()
with torch.inference_mode():
    net(X)
try:
    net(X)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`.

# %% [markdown]
# 解决办法：在 `__init__` 里创建缓冲区。
# 如果那里还不知道它的大小，就在 `torch.no_grad()` 下做第一次调用，或者在创建张量的那一行退出推理模式：

# %%
class MadeNormally(MadeLate):
    def forward(self, X):
        if self.scale is None:
            with torch.inference_mode(False):
                self.scale = torch.arange(5.0, device=X.device)
        return self.linear(X) * self.scale


net = MadeNormally()
with torch.inference_mode():
    net(X)
net(X).sum().backward()
print(net.scale.is_inference())
#> False

# %% [markdown]
# 如果在 `torch.inference_mode()` 下**创建**网络，它的参数就全是推理张量，写入时会报错：

# %%
with torch.inference_mode():
    net = nn.Linear(5, 5)
try:
    net.reset_parameters()
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details.

# %% [markdown]
# 解决办法：在 `torch.inference_mode()` 之外创建网络，只在预测时使用这个模式。
#
# 下次怎样及早发现：对模块留存的每个张量，检查 `is_inference()` 是否为 `False`。

# %% [markdown]
# ### `torch._dynamo hit config.recompile_limit`：用 `int` 做计数器
#
# 编译过的模块很慢，PyTorch 还警告重新编译的次数到了上限。
# `torch.compile` 把模块里的 Python 数当作图中的常量。
# 如果这样的数每次调用都变，每次调用就都要重新编译模块。
# 编译八次之后，PyTorch 发出警告，从此不再编译，直接运行模块。
# 第九次调用就会触发警告；下面的代码片段用后端来数编译的次数：

# %%
graphs = []


def counting(graph, example_inputs):
    graphs.append(graph)
    return graph.forward


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.linear = 0, nn.Linear(5, 3)

    def forward(self, X):
        self.calls += 1
        return self.linear(X)


compiled = torch.compile(Counts(), backend=counting)
for _ in range(8):
    compiled(X)
print(len(graphs))
#> 8

# %% [markdown]
# 解决办法：用缓冲区计数，它是图的输入，不是常量。

# %%
class CountsInBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls, self.linear = nn.Buffer(torch.tensor(0)), nn.Linear(5, 3)

    def forward(self, X):
        self.calls.add_(1)
        return self.linear(X)


graphs.clear()
net = CountsInBuffer()
compiled = torch.compile(net, backend=counting)
for _ in range(8):
    compiled(X)
print(len(graphs), net.calls.item())
#> 1 8

# %% [markdown]
# 下次怎样及早发现：把环境变量 `TORCH_LOGS` 设为 `recompiles`；这样，PyTorch 每次重新编译模块都会打印原因。

# %% [markdown]
# ### `Only Tensors of floating point and complex dtype can require gradients`
#
# 你把索引、掩码或计数存成参数。
# 参数默认需要梯度，而整数和布尔值不能有梯度：

# %%
try:
    nn.Parameter(torch.tensor([0, 1]))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Only Tensors of floating point and complex dtype can require gradients

# %% [markdown]
# 解决办法：用缓冲区，它随网络保存和移动，但从不训练。

# %%
print(nn.Buffer(torch.tensor([0, 1])))
#> tensor([0, 1])

# %% [markdown]
# ## 练习题

# %% [markdown]
# ### 练习题 1
#
# 编写层 `Affine`，由输入 `X` 计算 `gamma * X + beta`，输入的最后一个维度大小为 `features`。
# `gamma` 和 `beta` 参与训练，形状为 `(features,)`。
# `gamma` 的值起初都是 1，`beta` 的值起初都是 0。
# 两者都在 `device` 上以 `dtype` 创建。
#
# 练习（容易）：`python -m d2lblocks practice start layers/1`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# `nn.Parameter` 套在已经创建好的张量外面，所以 `device` 和 `dtype` 要传给创建这个张量的函数。
# 广播让 `gamma` 和 `beta` 沿输入的其他维度重复。
#
# *layers/1_affine.py*

# %%
class Affine(nn.Module):
    def __init__(self, features, *, device=None, dtype=None):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(features, device=device, dtype=dtype))
        self.beta = nn.Parameter(torch.zeros(features, device=device, dtype=dtype))

    def forward(self, X):
        return self.gamma * X + self.beta

# %% [markdown]
# 层归一化和批量归一化的最后一步就是这样的层。
# 起初，它原样返回输入，每个参数都有梯度：

# %%
affine = Affine(5)
print(torch.equal(affine(X), X), affine(X[0]).shape)
#> True torch.Size([5])
affine(X).sum().backward()
print(torch.allclose(affine.gamma.grad, X.sum(dim=0)), affine.beta.grad)
#> True tensor([2., 2., 2., 2., 2.])
print(Affine(5, device="meta", dtype=torch.float64).gamma.dtype)
#> torch.float64

# %% [markdown]
# ### 练习题 2
#
# 编写层 `HalfFourier`，只返回实数输入所需的那些傅里叶系数。
# `X` 沿最后一个维度有 n 个值，就沿这个维度返回系数 0 到 n // 2，都是复数。
# `X` 的其他维度是各自独立的样本，这样的维度可以有任意多个，没有也行。
#
# 练习（容易）：`python -m d2lblocks practice start layers/2`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 如果 n 个输入值都是实数，系数 n - k 就是系数 k 的共轭复数。
# 所以系数 0 到 n // 2 已经包含全部信息，`torch.fft.rfft` 也只计算这些系数。
#
# *layers/2_half_fourier.py*

# %%
class HalfFourier(nn.Module):
    def forward(self, X):
        return torch.fft.rfft(X)

# %% [markdown]
# `torch.fft.irfft` 把系数变回输入。
# 它需要 `n=5`，因为 3 个系数可能来自 4 个值，也可能来自 5 个值。

# %%
half, full = HalfFourier()(X), torch.fft.fft(X)
print(half.shape, torch.allclose(half, full[:, :3], atol=1e-6))
#> torch.Size([2, 3]) True
print(torch.allclose(full[:, 3:], half[:, 1:].flip(-1).conj(), atol=1e-6))
#> True
print(torch.allclose(torch.fft.irfft(half, n=5), X, atol=1e-6))
#> True

# %% [markdown]
# 如果下一层需要实数，就用 `torch.view_as_real`，它把实部和虚部放进大小为 2 的最后一个维度。

# %% [markdown]
# ### 练习题 3
#
# 编写层 `QuadraticForm`，为每个输出 k 计算一个数：`W[k, i, j] * x[i] * x[j]` 对所有 i 和 j 之和。
# `W` 是它的参数 `weight`，形状为 `(out_features, in_features, in_features)`。
# 初始值取自均值为 0、标准差为 1 / `in_features` 的正态分布。
# 输入的形状是 `(*, in_features)`，输出的形状是 `(*, out_features)`，其中 `*` 是任意多个维度，没有也行。
#
# 练习（中等）：`python -m d2lblocks practice start layers/3`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 在 `einsum` 的公式里，`...` 代表最后一个维度之前的所有维度，所以这个层接受任意的批量形状。
# 每个输出是 n² 个乘积之和，n 即 `in_features`。
# 如果输入的均值为 0、方差为 1，这个和的方差就约为单个权重方差的 n² 倍。
# 所以权重的标准差取 1/n，数值的尺度就保持不变。
#
# *layers/3_quadratic.py*

# %%
class QuadraticForm(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(
            torch.empty(out_features, in_features, in_features)
        )
        nn.init.normal_(self.weight, std=1 / in_features)

    def forward(self, X):
        return torch.einsum("...i,kij,...j->...k", X, self.weight, X)

# %% [markdown]
# 对 i 和 j 循环，得到的输出相同。
# `nn.Bilinear` 接收两个输入，把同一个张量传两次，输出也相同：

# %%
quadratic = QuadraticForm(5, 3)
print(quadratic(X).shape, quadratic(X[0]).shape)
#> torch.Size([2, 3]) torch.Size([3])

x, W = X[0], quadratic.weight
for k in range(3):
    y = sum(W[k, i, j] * x[i] * x[j] for i in range(5) for j in range(5))
    print(torch.allclose(y, quadratic(x)[k], atol=1e-6))
#> True
#> True
#> True

bilinear = nn.Bilinear(5, 5, 3, bias=False)
bilinear.load_state_dict(quadratic.state_dict())
print(torch.allclose(bilinear(X, X), quadratic(X)))
#> True

# %% [markdown]
# ### 练习题 4
#
# 编写层 `RunningCenter`，从形状为 `(n, features)` 的输入中减去每个特征的均值。
# 在训练模式下，减去的是批量的均值，梯度会流经这个均值。
# 层里还有 `running_mean`，形状为 `(features,)`，从 0 开始。
# 在训练模式下，每个批量都让它向批量的均值移动，移动的距离是两者之差的 `momentum` 倍。
# 在评估模式下，减去的是 `running_mean`，而且不改变它，这样每个预测只取决于自己的输入。
# `running_mean` 随网络保存，不参与训练；它要原地更新，不保留计算图。
# 它在 `device` 上以 `dtype` 创建。
#
# 练习（中等）：`python -m d2lblocks practice start layers/4`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 保存的网络需要滑动均值，而优化器不该改动它，所以它是缓冲区。
# `lerp_` 让滑动均值向批量的均值移动，移动的距离是两者之差的 `momentum` 倍。
# 这是原地操作，所以滑动均值仍是注册过的那个缓冲区。
# `no_grad` 让 autograd 不记录这次更新。
#
# *layers/4_running_center.py*

# %%
class RunningCenter(nn.Module):
    def __init__(self, features, momentum=0.1, *, device=None, dtype=None):
        super().__init__()
        self.momentum = momentum
        self.running_mean = nn.Buffer(
            torch.zeros(features, device=device, dtype=dtype)
        )

    def forward(self, X):
        if not self.training:
            return X - self.running_mean
        mean = X.mean(dim=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
        return X - mean

# %% [markdown]
# 经过 200 个批量（其中的数都在 0 和 1 之间），滑动均值是 0.5；同一个样本，单独预测与放在批量里预测，结果相同：

# %%
center = RunningCenter(5)
for _ in range(200):
    Y = center(torch.rand(64, 5))
center.eval()
print(
    torch.equal(center(X)[:1], center(X[:1])),
    center.running_mean.round(decimals=1),
)
#> True tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000])

# %% [markdown]
# ### 练习题 5
#
# `OldLinear` 把权重存成 `(in_features, out_features)`，你手头有这种布局的检查点。
# `NewLinear` 把权重存成 `(out_features, in_features)`。
# 修改 `NewLinear`，让它能加载这两个类中任何一个的状态字典，放在另一个模块里也行，权重是方阵也行。
# 没有版本的状态字典按旧的处理。
# 状态字典里如果没有权重，PyTorch 仍会报告缺少这个键。
# 加载不改变状态字典里的张量。
#
# 练习（较难）：`python -m d2lblocks practice start layers/5`

# %%
class OldLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(in_features, out_features))

    def forward(self, X):
        return X @ self.weight


class NewLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(out_features, in_features))

    def forward(self, X):
        return F.linear(X, self.weight)

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 状态字典记录每个模块的 `_version`，加载状态字典时，`_load_from_state_dict` 会收到这个数。
# PyTorch 自带的一些层，例如 `nn.BatchNorm2d`，也是这样使用版本的。
# 这里，方法在副本里替换这个条目，所以调用者的字典不变。
# 没有版本的状态字典按版本 1 处理。
#
# *layers/5_old_layout.py*

# %%
class OldLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(in_features, out_features))

    def forward(self, X):
        return X @ self.weight


class NewLinear(nn.Module):
    _version = 2

    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(out_features, in_features))

    def forward(self, X):
        return F.linear(X, self.weight)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        key = f"{prefix}weight"
        if (local_metadata.get("version") or 1) < 2 and key in state_dict:
            state_dict = state_dict | {key: state_dict[key].T}
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

# %%
old = nn.Sequential(OldLinear(5, 3))
new = nn.Sequential(NewLinear(5, 3))
new.load_state_dict(old.state_dict())
print(torch.allclose(new(X), old(X)))
#> True
again = nn.Sequential(NewLinear(5, 3))
again.load_state_dict(new.state_dict())
print(torch.equal(again(X), new(X)))
#> True

# %% [markdown]
# **注意。**如果权重是方阵，两种布局的形状相同，只能靠版本区分。
# 自己构建的字典里没有版本。
# safetensors 文件里也没有：读取这种文件的 `load_parameters` 不调用这个方法。
# 更稳妥的做法是给新的布局起一个新名字，例如 `weight_out_in`。

# %% [markdown]
# ### 练习题 6
#
# 编写 `per_example(layer, X)`，不用循环，为形状为 `(n, features)` 的批量 `X` 中的每个样本单独计算一个梯度。
# 单个样本 `x` 的损失是 `layer(x).square().sum()`。
# 函数返回一个字典：键是每个参数的名字，值是它的 n 个梯度，即形状为 `(n, *parameter.shape)` 的张量。
# 函数既不改变层，也不改变参数的 `.grad`。
#
# 练习（较难）：`python -m d2lblocks practice start layers/6`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 如果层在两次调用之间不保留状态，它就是参数和输入的函数。
# `grad` 计算一个样本的损失的梯度，`vmap` 一次就为批量中的所有样本算完。
#
# *layers/6_per_example.py*

# %%
from torch.func import functional_call, grad, vmap


def per_example(layer, X):
    parameters = {
        name: parameter.detach() for name, parameter in layer.named_parameters()
    }

    def loss(parameters, x):
        return functional_call(layer, parameters, (x,)).square().sum()

    return vmap(grad(loss), in_dims=(None, 0))(parameters, X)

# %% [markdown]
# 批量的梯度就是这些梯度之和：

# %%
layer = MyLinear(5, 3)
each = per_example(layer, X)
print(each["weight"].shape)
#> torch.Size([2, 3, 5])

layer(X).square().sum().backward()
print(torch.allclose(each["weight"].sum(dim=0), layer.weight.grad))
#> True

# %% [markdown]
# ## 小结
#
# | 想要 | 写法 |
# |---|---|
# | 层 | `nn.Module` 的子类，定义 `forward(self, X)` |
# | 要学习的值 | `self.weight = nn.Parameter(torch.empty(outputs, inputs, device=device, dtype=dtype))` |
# | 初始值 | `reset_parameters`，由 `__init__` 调用 |
# | 常量或统计量 | `nn.Buffer`，能重新算出来就加 `persistent=False` |
# | 可以关掉的偏置 | `self.register_parameter("bias", None)` |
# | 几个参数或层 | `nn.ParameterList`, `nn.ModuleList`, `nn.ParameterDict`, `nn.ModuleDict` |
# | 打印 `__init__` 的参数 | `extra_repr` |
# | 在层里使用另一个层 | `self.linear(X)`，绝不用 `self.linear.forward(X)` |
# | 在 autocast 下保持 16 位 | `F.linear` 等单个操作 |
# | 每个样本各自中心化 | `X - X.mean(dim=-1, keepdim=True)` |
# | 检查梯度 | `torch.autograd.gradcheck`，用 `float64` |
# | 检查层能不能编译 | `torch.compile(layer, backend="eager", fullgraph=True)` |
# | 从第一个批量得到大小 | `LazyModuleMixin` |
#
# 库中的层在 `d2lblocks.layers` 里，所有主题的表都在速查表里。
#
# 下一个主题：文件读写，保存你写好并训练好的层；或者设备，在 GPU 上运行这些层。
