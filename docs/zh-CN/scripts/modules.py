# %% [markdown]
# # 层与模块
#
# 这是 d2lblocks 中“层与模块”一页的脚本版：由页面生成，并且运行过。
# 运行它需要 `d2lblocks`、`numpy` 和 `torch`。
# 在本仓库的克隆里运行 `pip install .`，就会装好 `d2lblocks`。
#
# 你想搭一个网络，却没有现成的类可用：它有两个输入，或者带循环，或者同一层要用在两处。
# 在 PyTorch 里，可以把它写成自己的类。
# 这样的网络即使有些层没被 PyTorch 找到，也能照常运行、不报错；可那些层不会参与训练，不会保存，也不会移动到 GPU。
#
# - **学完之后你能：**把网络写成由其他模块组成的模块，并分清其中哪些部分会被 PyTorch 训练、保存和移动。
# - **需要先会：**Python，包括类和方法；还要知道张量是什么，可以先读 pytorch.org 上的[张量教程](https://docs.pytorch.org/tutorials/beginner/basics/tensorqs_tutorial.html)。
# - **需要多长时间：**读到库中的实现之前约 20 分钟，这一部分足够学下一个主题；加上其余内容和练习题约 75 分钟。
#
# 本页的代码片段都要用到下面三个导入：

# %%
import torch
from torch import nn
from torch.nn import functional as F

# %% [markdown]
# ## `nn.Module`：神经元、层、块、网络共用的类
#
# 网络的组成部分有大有小，每种大小都有名字。
# <dfn>神经元</dfn>（neuron）把每个输入各乘以一个数，即权重（weight），把乘积相加，再加上一个数，即偏置（bias）。
# <dfn>层</dfn>（layer）是网络中的一步；最常见的层由一组神经元组成，它们的输入都相同。
# <dfn>块</dfn>（block）是作为一个整体使用的一组层。
# <dfn>网络</dfn>（network 或 net）也叫模型（model），由把输入变成结果的所有层组成。
#
# 从单个神经元到整个网络，PyTorch 都用同一个类 `nn.Module` 表示。
# <dfn>模块</dfn>（module）是 `nn.Module` 类或其子类的对象，通常接收张量、返回张量，还可以包含参数和其他模块。
# <dfn>参数</dfn>（parameter）是一种张量，其中的值在训练中学得，例如层的权重和偏置。
#
# `nn.Linear(3, 4)` 是有四个神经元的线性层：接收 3 个数，返回 4 个数，每个神经元给出一个。
# `nn.ReLU()` 是没有参数的层：把每个负数换成 0。
# <dfn>激活函数</dfn>（activation function）是作用在层的输出上的非线性函数，例如 ReLU；非线性是指它不只是乘以常数、加上常数。
# 如果两个线性层之间没有激活函数，合起来能算的并不比一个线性层多，因为两步可以合并成一步。
#
# 下面的代码片段为每种大小各建一个模块；`nn.Sequential` 把模块连成链：

# %%
neuron = nn.Linear(3, 1)
layer = nn.Linear(3, 4)
block = nn.Sequential(layer, nn.ReLU())
network = nn.Sequential(block, nn.Linear(4, 2))

X = torch.rand(5, 3)
for module in (neuron, layer, block, network):
    print(isinstance(module, nn.Module), module(X).shape)
#> True torch.Size([5, 1])
#> True torch.Size([5, 4])
#> True torch.Size([5, 4])
#> True torch.Size([5, 2])

# %% [markdown]
# `X` 是一个批量。
# <dfn>批量</dfn>（batch）是装着多个输入的张量，这些输入叫作样本（example），通常沿第一个维度排列，网络调用一次就能处理全部样本。
# 这里，送进每个模块的都是五个样本，每个样本三个数；得到五个结果，每个样本一个。
#
# 四个对象都是模块，调用方式也都一样。
# 所以，能用层的地方就能用块：
#
# （图：网络画成一个方框。
# X 从顶部进入，形状是 (5, 3)。
# 方框里有一个块，块的下面是 Linear(4, 2)。
# 块也是一个方框，里面有 Linear(3, 4) 和 ReLU()。
# 箭头从 X 出发，穿过全部三层，到达底部的输出 Y，形状是 (5, 2)。）

# %% [markdown]
# ## `nn.Sequential`：模块连成的链
#
# 很多网络是一条链：每个模块的输出就是下一个模块的输入。
# `nn.Sequential` 用模块搭出这样的链，顺序就是传入模块的顺序。
# 下面的网络接收每个样本的 20 个数，算出 256 个中间值（叫作隐藏值），返回 10 个数。
# 后面几节会用另外两种方式搭出同一个网络。

# %%
net = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10))
X = torch.rand(2, 20)
print(net(X).shape)
#> torch.Size([2, 10])
print(net)
#> Sequential(
#>   (0): Linear(in_features=20, out_features=256, bias=True)
#>   (1): ReLU()
#>   (2): Linear(in_features=256, out_features=10, bias=True)
#> )

# %% [markdown]
# 打印结果里有三个模块和它们的名字：`0`、`1` 和 `2`。
# `net[0]` 是第一个模块。
#
# 想自己起名字，就传入 `OrderedDict`，它是 Python 标准库里的一个字典类。
# 下一个代码片段搭一个小型卷积网络；如果还没学过卷积，只看名字就行，然后从下面的“局限”接着读。

# %%
from collections import OrderedDict

convnet = nn.Sequential(
    OrderedDict(
        [
            ("conv1", nn.Conv2d(1, 20, kernel_size=5)),
            ("relu1", nn.ReLU()),
            ("conv2", nn.Conv2d(20, 64, kernel_size=5)),
            ("relu2", nn.ReLU()),
        ]
    )
)
print(convnet.conv2)
#> Conv2d(20, 64, kernel_size=(5, 5), stride=(1, 1))
print(convnet(torch.rand(1, 1, 28, 28)).shape)
#> torch.Size([1, 64, 20, 20])

# %% [markdown]
# 图像批量的形状是 `(examples, channels, height, width)`，即样本、通道、高、宽。
# `nn.Conv2d(1, 20, kernel_size=5)` 由 1 个通道算出 20 个通道。
# 不加填充的话，大小为 5 的卷积核会让高和宽各减少 4。
# 所以经过两个这样的层，高和宽从 28 减到 20。
#
# **局限。**`nn.Sequential` 只能搭出链。
# 如果网络有两个输入、跳跃连接（绕过某些层的路径）、循环或 `if`，就要自己写模块。

# %% [markdown]
# ## 自己的模块：`__init__` 和 `forward`
#
# 写模块，就是继承 `nn.Module` 并定义两个方法：`__init__` 创建各层，`forward` 由输入算出输出。

# %%
class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 256)
        self.out = nn.Linear(256, 10)

    def forward(self, X):
        return self.out(F.relu(self.hidden(X)))


net = MLP()
print(net(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# <dfn>MLP</dfn> 即多层感知机（multilayer perceptron），是由线性层组成、线性层之间有激活函数的网络。
# 调用 `net(X)` 会运行 `forward`，和前面一样，为两个样本各返回 10 个数。
# <dfn>前向传播</dfn>（forward pass）是网络从输入到输出的一次运行。
#
# `F.relu` 是函数，`nn.ReLU()` 是调用这个函数的模块。
# ReLU 没有参数，所以用哪一个都可以。
#
# 反向传播计算结果对参数的导数，这一步不用自己写方法。
# 这些导数叫作梯度（gradient），autograd 会替你算好。
# <dfn>autograd</dfn> 是 PyTorch 的自动微分：它记录前向传播中的操作，再根据这份记录算出梯度。

# %% [markdown]
# ### 注册：`self.name = layer`
#
# `super().__init__()` 会创建几个空字典，也就是模块存放自己各个部分的表。
# 之后，`self.hidden = nn.Linear(20, 256)` 注册这个层，用 `net.hidden` 就能取出来。
# <dfn>注册</dfn>（registration）是指模块把层或参数之类的部分以某个名字存进自己的一个字典。
# 注册过的层和参数会随模块一起训练、保存和移动。
# 这里，这个部分的名字就是属性名 `hidden`。
# <dfn>直接子模块</dfn>（child module）是注册在另一个模块中的模块，后者叫作父模块（parent）。
# 模块的<dfn>子模块</dfn>（submodule）包括它的直接子模块、直接子模块的直接子模块，依此类推。
#
# PyTorch 不会查看普通的 Python 列表，所以列表里的层没有注册（请改用 `nn.ModuleList`，例如 `self.layers = nn.ModuleList([...])`）：
#
# （图：self.hidden = nn.Linear(20, 256) 指向一个方框，即网络的模块表。
# 表有两行：hidden 对应 Linear(20, 256)，out 对应 Linear(256, 10)。
# 四个箭头从表指向四个词：训练、保存、移动、打印。
# 下方的 self.layers 是一个列表，装着 nn.Linear(20, 256)，它指向一个虚线框，框里写着：是属性，但不在表中：不会训练、保存、移动或打印。）
#
# `named_parameters()` 列出网络及其所有子模块的参数，连同名字：

# %%
for name, parameter in net.named_parameters():
    print(name, tuple(parameter.shape))
#> hidden.weight (256, 20)
#> hidden.bias (256,)
#> out.weight (10, 256)
#> out.bias (10,)

# %% [markdown]
# 四个参数都注册了，每个名字都以所在层的名字开头。
# 线性层的权重每行对应一个神经元，所以形状以输出大小开头：`nn.Linear(20, 256)` 的权重形状是 `(256, 20)`。
# 这个层计算矩阵乘积 `X @ weight.T`（`.T` 交换行和列），再加上偏置。

# %% [markdown]
# ### 用参数指定大小
#
# `MLP` 的各个大小总是固定的。
# 想给每个网络分别选定大小，就把大小写成 `__init__` 的参数：

# %%
class SizedMLP(nn.Module):
    def __init__(self, in_features, hidden_features, out_features):
        super().__init__()
        self.hidden = nn.Linear(in_features, hidden_features)
        self.out = nn.Linear(hidden_features, out_features)

    def forward(self, X):
        return self.out(F.relu(self.hidden(X)))


print(SizedMLP(20, 64, 3)(X).shape)
#> torch.Size([2, 3])

# %% [markdown]
# ### `net(X)` 做了什么
#
# 要调用 `net(X)`，不要调用 `net.forward(X)`。
# 和 Python 中所有可调用对象一样，调用 `net` 会运行它的类的 `__call__` 方法。
# 这个方法由 `nn.Module` 定义，会运行 `forward` 和模块的**钩子**（hook）。
# 钩子是挂在模块上的函数：前向预钩子（forward pre-hook）在 `forward` 之前运行，前向钩子（forward hook）在其后运行。
#
# PyTorch 传给前向钩子三样东西：模块、模块的输入和模块的输出。
# 下面的代码片段挂上一个钩子，记下每次输出的形状；然后用三种方式调用网络，最后用 `handle.remove()` 摘下钩子：

# %%
shapes = []
handle = net.register_forward_hook(
    lambda module, inputs, output: shapes.append(tuple(output.shape))
)
for call in (net, net.__call__, net.forward):
    call(X)
print(shapes)
#> [(2, 10), (2, 10)]
handle.remove()

# %% [markdown]
# （图：net(X) 指向 __call__，后者先运行前向预钩子，再运行 forward，然后运行前向钩子，最后返回 Y。
# net.forward(X) 直接指向 forward，再到 Y，不运行任何钩子。）
#
# 调用了三次，列表里却只有两项：`net.forward(X)` 跳过了钩子。
# 跳过的只是 `net` 自己的钩子，各层的钩子照常运行。
# 跳过钩子可能让网络出错，因为 PyTorch 自己也用钩子。
# 例如，延后初始化层在创建时没有输入大小，要靠钩子从第一个批量得到；没有这个钩子就会报错。

# %% [markdown]
# ## 自己的容器：`nn.Sequential` 的原理
#
# <dfn>容器</dfn>（container）是专门用来装其他模块的模块，例如 `nn.Sequential` 和 `nn.ModuleList`。
# `nn.Sequential` 怎样管理其中的模块？
# 它以位置为名注册每个模块，再依次调用，就像下面这个类：

# %%
class MySequential(nn.Module):
    def __init__(self, *args):
        super().__init__()
        for index, module in enumerate(args):
            self.add_module(str(index), module)

    def forward(self, X):
        for module in self._modules.values():
            X = module(X)
        return X

# %% [markdown]
# `self.0 = module` 不是合法的 Python 代码，因为代码中的名字不能以数字开头。
# `add_module` 接收的名字是字符串，所以可以是 `"0"`。
# 名字带点，或与已有属性同名，它都会拒绝；但如果已有同名的直接子模块，它会直接替换。
#
# `_modules` 是直接子模块的表：按注册顺序，每个名字对应一个模块。
# 开头的下划线表示这张表供 PyTorch 内部使用。
# `MySequential` 用它是为了展示容器的原理；在自己的代码里，请改为遍历 `nn.ModuleList`。
#
# 放进同样的层，`MySequential` 和 `nn.Sequential` 返回同样的输出，参数的名字也相同。
# 为了比较名字，下一个代码片段调用 `state_dict()`。
# 这个方法返回状态字典（state dict）：每个参数的名字（例如 `0.weight`）对应它的张量。
# 状态字典可以保存到文件。

# %%
layers = nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10)
print(torch.equal(MySequential(*layers)(X), nn.Sequential(*layers)(X)))
#> True
print(
    list(MySequential(*layers).state_dict())
    == list(nn.Sequential(*layers).state_dict())
)
#> True

# %% [markdown]
# ## `forward` 中的常量、复用的层和循环
#
# `forward` 是普通的 Python 代码，每次调用模块都会运行。
# 所以 Python 允许的代码都可以写在里面。
# 下面的块有一个常量，把同一个层用了两次，还有一个循环：

# %%
class FixedHiddenMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("rand_weight", torch.rand(20, 20))
        self.linear = nn.Linear(20, 20)

    def forward(self, X):
        X = self.linear(X)
        X = F.relu(X @ self.rand_weight + 1)
        X = self.linear(X)
        while X.abs().sum() > 1:
            X = X / 2
        return X.sum()


fixed = FixedHiddenMLP()
Y = fixed(X)
print(Y.shape, bool(Y.abs() <= 1))
#> torch.Size([]) True

# %% [markdown]
# - **常量** `rand_weight` 是缓冲区（buffer）：属于模块、但不参与训练的张量，由 `register_buffer` 注册。
#   缓冲区和参数一起保存、一起移动。
#   类型转换（cast）改变数的类型，对两者都有效：`net.double()` 把浮点型的参数和缓冲区变成 `float64`。
# - **用了两次的层**是同一个层，只有一份权重。
#   这份权重的梯度是两处的梯度之和。
# - **循环**运行多少次，由当前的输入决定。
#   autograd 只记录实际运行过的操作。
# - **结果**是一个数：模块不一定要返回批量。
#   这个数在 -1 和 1 之间，因为绝对值之和不超过 1，循环才结束。
#
# 常量不在参数列表里，但在状态字典里，所以会被保存：

# %%
print([name for name, _ in fixed.named_parameters()])
#> ['linear.weight', 'linear.bias']
print(list(fixed.state_dict()))
#> ['rand_weight', 'linear.weight', 'linear.bias']

# %% [markdown]
# **局限。**迭代次数取决于输入中的值。
# 可是，`torch.compile`（让网络跑得更快）和 `torch.export`（让网络脱离自己的 Python 代码运行）都需要固定的操作列表，所以无法整体转换这个块。
# Python 通常不等待 GPU，但这里每次迭代都要等求和的结果，因为循环条件要用它。
# 练习题 6 会替换这个循环。

# %% [markdown]
# ## 模块的嵌套
#
# 块也是模块，所以可以放进另一个块。
# 网络 `chimera`（奇美拉，由几种动物拼成的生物）包含两个块：

# %%
class NestMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()
        )
        self.linear = nn.Linear(32, 16)

    def forward(self, X):
        return self.linear(self.net(X))


chimera = nn.Sequential(NestMLP(), nn.Linear(16, 20), FixedHiddenMLP())
print(chimera(X).shape)
#> torch.Size([])
print(chimera)
#> Sequential(
#>   (0): NestMLP(
#>     (net): Sequential(
#>       (0): Linear(in_features=20, out_features=64, bias=True)
#>       (1): ReLU()
#>       (2): Linear(in_features=64, out_features=32, bias=True)
#>       (3): ReLU()
#>     )
#>     (linear): Linear(in_features=32, out_features=16, bias=True)
#>   )
#>   (1): Linear(in_features=16, out_features=20, bias=True)
#>   (2): FixedHiddenMLP(
#>     (linear): Linear(in_features=20, out_features=20, bias=True)
#>   )
#> )

# %% [markdown]
# 网络中某个部分的<dfn>路径</dfn>（path），是从网络往下走到这个部分一路上的名字，用点连接而成，例如 `0.net.2`。
# 在打印结果里，名字写在括号中，例如 `(0)`、`(net)` 和 `(2)`。
# 要取出某个部分，可以用属性和索引，也可以把路径作为字符串传给 `get_submodule`：

# %%
print(chimera[0].net[2])
#> Linear(in_features=64, out_features=32, bias=True)
print(chimera.get_submodule("0.net.2") is chimera[0].net[2])
#> True

# %% [markdown]
# 打印结果里没有参数和缓冲区。
# 例如，看不到 `rand_weight`，而 `chimera.state_dict()` 里有它，名字是 `2.rand_weight`。
#
# **初读到此为止。**想用库中的这些块，或者网络出了问题，再往下读。

# %% [markdown]
# ## 库中的实现
#
# `d2lblocks` 包属于本站；在本站代码仓库的克隆中运行 `pip install .` 就能安装。
# 其中的 Python 模块 `d2lblocks.modules` 包含本页的块：

# %%
from d2lblocks import FixedHiddenMLP, MLP, MySequential, NestMLP, Parallel

print(MLP(20)(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# 从这里开始，这些名字都指库中的类；`Parallel` 在练习题 3 中介绍。
# 前面的简短版本，下文叫作简化版（sketch）；本节余下的部分说明库中的类与简化版有哪些不同。
# 折叠起来的源代码就是包中的代码，只去掉了文档字符串。

# %% [markdown]
# ### `MLP`
#
# 简化版 `MLP` 的大小是固定的，`SizedMLP` 需要给出输入大小。
# 库中的 `MLP` 用参数接收各个大小。
# 默认是 `in_features=None`，这时第一层是延后初始化层，从第一个批量得到输入大小。
# 和 `torch.nn` 中的层一样，它还接收 `device`（设备，例如 GPU）和 `dtype`（数的类型），并把两者传给自己的各层。
#
# <code>MLP</code> 的源代码：
#
# *库的源代码，出自 `d2lblocks/modules.py`：*

# %%
from torch import Tensor


class MLP(nn.Module):
    def __init__(
        self,
        in_features: int | None = None,
        hidden_features: int = 256,
        out_features: int = 10,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if in_features is None:
            self.hidden: nn.Linear = nn.LazyLinear(hidden_features, device=device, dtype=dtype)
        else:
            self.hidden = nn.Linear(in_features, hidden_features, device=device, dtype=dtype)
        self.out = nn.Linear(hidden_features, out_features, device=device, dtype=dtype)

    def forward(self, X: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(X)))

# %% [markdown]
# 权重相同，库中的类与 `SizedMLP` 就返回同样的输出。
# 不给任何大小的 `MLP()` 也能用：

# %%
sketch, library = SizedMLP(20, 256, 10), MLP(20)
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True
print(MLP()(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# **局限。**如果输入大小未知，第一个权重要到第一个批量来了才有形状；在此之前，既数不出它有多少个值，也无法初始化这些值。

# %% [markdown]
# ### `MySequential`
#
# 简化版只能运行其中的模块。
# 库中的 `MySequential` 还接受 `OrderedDict`，支持 `len()`、索引、切片和 `append` 之类的方法。
#
# <code>MySequential</code> 的源代码：
#
# *库的源代码，出自 `d2lblocks/modules.py`：*

# %%
import operator
from collections.abc import Iterable, Iterator
from typing import Any, Self, overload


class MySequential(nn.Module):
    _modules: dict[str, nn.Module]  # type: ignore[assignment]

    def __init__(self, *args: nn.Module | OrderedDict[str, nn.Module]) -> None:
        super().__init__()
        named: Iterable[tuple[str, Any]] = ((str(index), module) for index, module in enumerate(args))
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            named = args[0].items()
        for name, module in named:
            self.add_module(name, module)  # checks the name and the type

    def forward(self, X: Tensor) -> Tensor:
        for module in self:
            X = module(X)
        return X

    def __iter__(self) -> Iterator[nn.Module]:
        # Not children(): it names every module once, however often it stands here.
        return iter(self._modules.values())

    def __len__(self) -> int:
        return len(self._modules)

    @overload
    def __getitem__(self, index: int) -> nn.Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> nn.Module | Self:
        if isinstance(index, slice):
            return type(self)(OrderedDict(list(self._modules.items())[index]))
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range")
        return list(self)[index]

    # These functions of nn.Sequential use nothing that is not above, so they are methods here as well.
    _get_item_by_idx: Any = nn.Sequential._get_item_by_idx
    append: Any = nn.Sequential.append
    extend: Any = nn.Sequential.extend
    insert: Any = nn.Sequential.insert
    pop: Any = nn.Sequential.pop
    __setitem__: Any = nn.Sequential.__setitem__
    __delitem__: Any = nn.Sequential.__delitem__
    __imul__: Any = nn.Sequential.__imul__

    def __iadd__(self, other: "MySequential | nn.Sequential") -> Self:
        added = nn.Sequential(*other) if isinstance(other, MySequential) else other
        nn.Sequential.__iadd__(self, added)  # type: ignore[arg-type]
        return self

    def __add__(self, other: "MySequential | nn.Sequential") -> "MySequential":
        return MySequential(*self).__iadd__(other)

    def __mul__(self, times: int) -> "MySequential":
        return MySequential(*self).__imul__(times)

    __rmul__ = __mul__

# %% [markdown]
# 修改容器的方法大多取自 `nn.Sequential`。
# 能这样做，是因为方法就是存放在类里的函数，而这些函数只用到 `MySequential` 也有的属性，例如 `_modules`。
# `len()`、索引和切片在两个类中的行为相同：

# %%
mine, theirs = MySequential(*layers), nn.Sequential(*layers)
print(torch.equal(mine(X), theirs(X)), len(mine) == len(theirs))
#> True True
print(
    mine[-1] is theirs[-1],
    list(mine[1:].state_dict()) == list(theirs[1:].state_dict()),
)
#> True True

# %% [markdown]
# 可以原地修改容器，也可以用 `+` 连接两个这样的容器：

# %%
mine.append(nn.Tanh()).insert(0, nn.Flatten())
del mine[1]
print(len(mine), mine[0], (mine + mine)[-1])
#> 4 Flatten(start_dim=1, end_dim=-1) Tanh()

# %% [markdown]
# 在自己的网络里，请用 `nn.Sequential`：有些代码会检查是不是这个类，例如 `nn.Sequential` 的 `+` 和已弃用的 `torch.jit.script`。

# %% [markdown]
# ### `FixedHiddenMLP`
#
# 如果有一个值是无穷大，又没有值是 `nan`（not a number，非数），简化版中的循环就永远不会结束，因为无穷大的一半还是无穷大。
# 只要有一个值是 `nan`，总和也是 `nan`，简化版就悄悄返回 `nan`。
# 库中的块会检查这两种情况并报错。
#
# <code>FixedHiddenMLP</code> 的源代码：
#
# *库的源代码，出自 `d2lblocks/modules.py`：*

# %%
class FixedHiddenMLP(nn.Module):
    rand_weight: Tensor

    def __init__(
        self,
        num_features: int = 20,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        constant = torch.empty(num_features, num_features, device=device, dtype=dtype)
        self.register_buffer("rand_weight", constant)
        self.linear = nn.Linear(num_features, num_features, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.rand_weight)

    def forward(self, X: Tensor) -> Tensor:
        H = F.relu(self.linear(X) @ self.rand_weight + 1)
        Y = self.linear(H)
        if not Y.isfinite().all():
            raise ValueError(
                "expected finite values to halve until their absolute values sum to at most 1, "
                f"but got {(~Y.isfinite()).sum()} of {Y.numel()} that are inf or nan, "
                f"from an input of shape {tuple(X.shape)} with {(~X.isfinite()).sum()} of them"
            )
        while Y.abs().sum() > 1:
            Y = Y / 2
        return Y.sum()

# %% [markdown]
# 对有限的值，库中的类与简化版返回同样的输出：

# %%
sketch, library = fixed, FixedHiddenMLP()
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True

# %% [markdown]
# 如果输入是无穷大，报错信息会说明块中有多少个值不是有限值，输入中又有多少个：

# %%
try:
    library(torch.full((2, 20), float("inf")))
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: expected finite values to halve until their absolute values sum to at most 1, but got 40 of 40 that are inf or nan, from an input of shape (2, 20) with 40 of them

# %% [markdown]
# `reset_parameters` 只给块直接持有的张量填上值，不管子模块的张量。
# 在 `meta` 设备上创建的块需要它：那里的张量有形状，但没有内存，也没有值。
# `to_empty` 给这样的块分配内存，但其中的值仍然没有意义。
# 接着，对每个有这个方法的模块调用 `reset_parameters`（这里所有模块都有）：

# %%
library = FixedHiddenMLP(device="meta").to_empty(device="cpu")
for module in library.modules():
    module.reset_parameters()
print(library(X).shape)
#> torch.Size([])

# %% [markdown]
# ### `NestMLP`
#
# 库中的 `NestMLP` 用参数接收输入大小。
# 其他大小和简化版一样，都是固定的。
#
# <code>NestMLP</code> 的源代码：
#
# *库的源代码，出自 `d2lblocks/modules.py`：*

# %%
class NestMLP(nn.Module):
    def __init__(
        self,
        in_features: int = 20,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(in_features, 64, device=device, dtype=dtype),
            nn.ReLU(),
            nn.Linear(64, 32, device=device, dtype=dtype),
            nn.ReLU(),
        )
        self.linear = nn.Linear(32, 16, device=device, dtype=dtype)

    def forward(self, X: Tensor) -> Tensor:
        return self.linear(self.net(X))

# %% [markdown]
# 权重相同，库中的类与简化版就返回同样的输出：

# %%
sketch, library = chimera[0], NestMLP()
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True

# %% [markdown]
# ## 出错的时候

# %% [markdown]
# ### `cannot assign module before Module.__init__() call`
#
# 创建网络时，把第一个层赋给属性就报错。
# 模块的那些表还不存在，因为 `super().__init__()` 漏写了，或者写得太晚。

# %%
class NoInit(nn.Module):
    def __init__(self):
        self.linear = nn.Linear(20, 10)

    def forward(self, X):
        return self.linear(X)

# %%
try:
    NoInit()
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: cannot assign module before Module.__init__() call

# %% [markdown]
# 如果赋给属性的是参数或缓冲区，报错信息里写的就是 `parameters` 或 `buffer`，而不是 `module`：

# %%
class NoInitParameter(nn.Module):
    def __init__(self):
        self.weight = nn.Parameter(torch.zeros(20))


try:
    NoInitParameter()
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: cannot assign parameters before Module.__init__() call

# %% [markdown]
# 如果类没有把任何模块、参数或缓冲区赋给属性，对象可以创建，但第一次调用就报错：

# %%
class NoInitNoLayers(nn.Module):
    def __init__(self):
        self.scale = 2.0

    def forward(self, X):
        return self.scale * X


try:
    NoInitNoLayers()(X)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'NoInitNoLayers' object has no attribute '_backward_hooks'

# %% [markdown]
# 解决办法：把 `super().__init__()` 写成 `__init__` 的第一行。
# 类如果没有自己的 `__init__`，会继承 `nn.Module` 的，不需要这一行。

# %%
class WithInit(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(20, 10)

    def forward(self, X):
        return self.linear(X)


print(WithInit()(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# ### `unhashable type`：写成数据类的模块
#
# 用 `@dataclass` 装饰模块的类，`parameters()` 就会报错。
# `@dataclass` 给类加上 `__eq__` 方法，而定义了 `__eq__` 的类会失去哈希值（hash），集合正是靠这个数找到对象。
# 没有哈希值的对象不能放进集合，而 PyTorch 会把模块收进集合，让每个模块只访问一次。
# 所以 `parameters()` 和 `zero_grad()` 会报错；如果这个模块在另一个网络里，那个网络的 `to()` 和 `eval()` 也会报错。
# `diagnose` 把这种情况报告为 `unhashable`。

# %%
from dataclasses import dataclass


@dataclass
class Fields(nn.Module):
    width: int

    def __post_init__(self):
        super().__init__()
        self.linear = nn.Linear(self.width, 10)


try:
    list(Fields(20).parameters())
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: unhashable type: 'Fields'

# %% [markdown]
# 解决办法：`eq=False` 会保留哈希值。
# 还要加上 `repr=False`；否则 `@dataclass` 会换掉模块的打印结果，新的打印结果里看不到各层。

# %%
@dataclass(eq=False, repr=False)
class HashableFields(nn.Module):
    width: int

    def __post_init__(self):
        super().__init__()
        self.linear = nn.Linear(self.width, 10)


print([name for name, _ in HashableFields(20).named_parameters()])
#> ['linear.weight', 'linear.bias']

# %% [markdown]
# 有些类需要自己的 `__eq__`，或者继承了一个，例如来自 `collections.abc.Mapping`。
# 在这样的类里，写上 `__hash__ = nn.Module.__hash__` 这一行就能恢复哈希值：

# %%
from collections.abc import Mapping


class Table(nn.Module, Mapping):
    __hash__ = nn.Module.__hash__

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict({"out": nn.Linear(20, 10)})

    def __getitem__(self, name):
        return self.layers[name]

    def __iter__(self):
        return iter(self.layers)

    def __len__(self):
        return len(self.layers)


print([name for name, _ in Table().named_parameters()])
#> ['layers.out.weight', 'layers.out.bias']

# %% [markdown]
# 写成数据类的模块，创建时不能传入模块、参数或缓冲区。
# 自动生成的 `__init__` 在 `__post_init__` 运行之前就把传入的值赋给属性，于是报错 `cannot assign module before Module.__init__() call`。
# 这样的类要自己写 `__init__`。

# %% [markdown]
# ### `optimizer got an empty parameter list`：Python 列表里的层
#
# 网络的层放在一个 Python 列表里。
# 网络能算出输出，PyTorch 却找不到参数，优化器得到的参数为空：列表是普通属性，里面的模块没有注册。

# %%
class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(20, 20), nn.Linear(20, 10)]

    def forward(self, X):
        for layer in self.layers:
            X = layer(X)
        return X


net = Listed()
print(net(X).shape, list(net.parameters()), net.state_dict())
#> torch.Size([2, 10]) [] OrderedDict()
print(net)
#> Listed()

# %% [markdown]
# `.to()` 不会移动这些层，`state_dict()` 里也没有它们。
# 把空的状态字典加载进这个网络，竟然还报告成功。
# 最先报错的是优化器（optimizer），也就是在训练中修改参数的对象：

# %%
try:
    torch.optim.SGD(net.parameters(), lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: optimizer got an empty parameter list

# %% [markdown]
# 如果网络还有其他注册过的层，连优化器也不会报错。
#
# 解决办法：用 `nn.ModuleList`，它是会注册其中模块的列表。

# %%
net.layers = nn.ModuleList(net.layers)
print(list(net.state_dict()))
#> ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']

# %% [markdown]
# 下次怎样及早发现：打印网络；打印结果里没有的层就是没有注册。
# `diagnose` 把这种情况报告为 `unregistered`。
#
# 想给模块起名字，就用 `nn.ModuleDict`；Python 字典同样不会注册里面的模块。
# `nn.ModuleDict` 的键会成为直接子模块的名字。
# 所以键带点，或与它自己的属性或方法同名（例如 `keys`），它都会拒绝：

# %%
try:
    nn.ModuleDict({"keys": nn.ReLU()})
except KeyError as error:
    print(f"KeyError: {error}")
#> KeyError: "attribute 'keys' already exists"

# %% [markdown]
# 解决办法：换一个键。

# %%
print(nn.ModuleDict({"key_layer": nn.ReLU()})["key_layer"])
#> ReLU()

# %% [markdown]
# ### 常量没有随网络保存、转换类型或移动
#
# 保存网络再加载，输出却不一样。
# 或者把网络转换成另一种 dtype（数的类型），或者移动到 GPU，下一次调用就报错。
# 原因是网络把一个张量存成了普通属性：它没有注册。

# %%
class PlainConstant(nn.Module):
    def __init__(self):
        super().__init__()
        self.rand_weight = torch.rand(20, 20)
        self.linear = nn.Linear(20, 20)

    def forward(self, X):
        return self.linear(X) @ self.rand_weight


net, clone = PlainConstant(), PlainConstant()
print(clone.load_state_dict(net.state_dict()))
#> <All keys matched successfully>
print(torch.equal(net(X), clone(X)))
#> False

# %% [markdown]
# `load_state_dict` 报告所有键都匹配，输出却不同：两个网络各有各的随机常量，而 `state_dict()` 里没有它。
# 转换类型之后，常量还是原来的 dtype：

# %%
try:
    net.double()(X.double())
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float

# %% [markdown]
# 如果网络里没有这样的常量，那就是批量与权重的 dtype 不同：见 `mat1 and mat2 must have the same dtype`。
#
# 解决办法：像 `FixedHiddenMLP` 那样用 `register_buffer`；或者用更短的写法，把 `nn.Buffer` 赋给属性。

# %%
class BufferConstant(nn.Module):
    def __init__(self):
        super().__init__()
        self.rand_weight = nn.Buffer(torch.rand(20, 20))
        self.linear = nn.Linear(20, 20)

    def forward(self, X):
        return self.linear(X) @ self.rand_weight


net, clone = BufferConstant(), BufferConstant()
clone.load_state_dict(net.state_dict())
print(torch.equal(net(X), clone(X)), net.double()(X.double()).dtype)
#> True torch.float64

# %% [markdown]
# 能重新算出来的常量不需要保存：`nn.Buffer(..., persistent=False)` 会移动，也会转换类型，但不在 `state_dict()` 里。
#
# 下次怎样及早发现：打印 `list(net.state_dict())`，看里面有没有这个常量的名字。
# `diagnose` 把这种情况报告为 `constant`。

# %% [markdown]
# ### 容器中用了两次的层只运行一次
#
# 你写了一个容器，把同一个层放进去两次，输出却不对。
# 同一个模块即使注册了几个名字，`children()` 也只返回一次。
# 所以，如果容器的 `forward` 遍历的是 `children()`，第二次就被悄悄跳过了：

# %%
class ChildrenSequential(MySequential):
    def forward(self, X):
        for module in self.children():
            X = module(X)
        return X


double = nn.Linear(1, 1, bias=False)
nn.init.constant_(double.weight, 2.0)
ones = torch.ones(1, 1)
print(ChildrenSequential(double, double)(ones).item())
#> 2.0
print(MySequential(double, double)(ones).item())
#> 4.0

# %% [markdown]
# 这个层把输入翻倍，用两次应该把 1 变成 4。
# `diagnose` 把这种情况报告为 `runs-once`。
#
# 解决办法：遍历容器本身。
# `for module in self` 会访问 `MySequential`、`nn.Sequential` 或 `nn.ModuleList` 的每一项，重复的也不漏。

# %%
print(
    len(list(MySequential(double, double))),
    len(list(MySequential(double, double).children())),
)
#> 2 1

# %% [markdown]
# ### `nn.Sequential(*net.children())` 算出的结果不同
#
# 你想得到最后一层的输入（常叫作特征），于是去掉最后一个直接子模块，用其余的搭了一个新网络。
# 但 `children()` 只返回各层。
# `forward` 自己在层与层之间做的操作，例如 `F.relu`、展平或跳跃连接，都丢了。

# %%
class WithFunction(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(20, 20), nn.Linear(20, 10)

    def forward(self, X):
        return self.out(F.relu(self.hidden(X)))


net = WithFunction()
features = F.relu(net.hidden(X))
print(torch.equal(nn.Sequential(*list(net.children())[:-1])(X), features))
#> False

# %% [markdown]
# 只有形状不再匹配，才会报错：`mat1 and mat2 shapes cannot be multiplied`。
#
# 解决办法：保留网络和它的 `forward`，把最后一层换成 `nn.Identity()`，它原样返回输入。

# %%
net.out = nn.Identity()
print(torch.equal(net(X), features))
#> True

# %% [markdown]
# 如果还要最后一层的输出，就保留这一层，给它挂一个前向钩子：钩子的参数 `inputs` 是元组，里面就是特征。

# %% [markdown]
# ### 在 `forward` 里创建的层学不到东西
#
# 网络学得不如预期，同样的输入每次调用都得到不同的输出。
# 在 `forward` 里创建的层，每次调用都是新的层，带着新的随机权重。

# %%
class Forgetful(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 20)

    def forward(self, X):
        return nn.Linear(20, 10)(self.hidden(X))


net = Forgetful()
print(torch.equal(net(X), net(X)))
#> False
print([name for name, _ in net.named_parameters()])
#> ['hidden.weight', 'hidden.bias']

# %% [markdown]
# 两次调用的输出不同；第二层不在参数列表里，所以没有优化器能训练它。
# 在 `forward` 里把层赋给 `self` 也没有用：每次调用都会注册一个新的层，优化器持有的仍是旧的层。
#
# 解决办法：在 `__init__` 里创建层。
# 如果那里还不知道输入大小，就用 `nn.LazyLinear`，它从第一个批量得到输入大小。
# 优化器可以在这个批量之前创建：延后初始化层已经有参数对象，第一个批量会给出形状和值。

# %%
class Learning(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 20)
        self.out = nn.LazyLinear(10)

    def forward(self, X):
        return self.out(self.hidden(X))


net = Learning()
print(torch.equal(net(X), net(X)))
#> True
print([name for name, _ in net.named_parameters()])
#> ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']

# %% [markdown]
# 下次怎样及早发现：先用 `net.eval()` 关掉 dropout，再用同样的输入调用网络两次，比较输出。
# `diagnose` 把这种情况报告为 `built-in-forward`。

# %% [markdown]
# ### 把带点号的名字传给 `setattr`，替换不了层
#
# 为了替换里面的某一层，你用它的路径调用 `setattr`，但网络用的还是旧的层。
# `setattr` 不会沿着路径往里找。
# 它给外层网络加上一个名字里有点号的直接子模块，旧的层还在：

# %%
net = NestMLP()
setattr(net, "net.2", nn.Linear(64, 32))
print([name for name, _ in net.named_children()])
#> ['net', 'linear', 'net.2']
print(len(list(net.named_parameters())), len(net.state_dict()))
#> 8 6

# %% [markdown]
# 现在两个层都有叫作 `net.2.weight` 和 `net.2.bias` 的参数。
# `state_dict()` 里每个名字只能放一个张量，所以其中一个层的参数没有保存。
# `diagnose` 把这种情况报告为 `dotted-name`。
#
# 解决办法：`set_submodule` 会沿着路径往里找。
# 加上 `strict=True`，找不到要替换的层就会报错。

# %%
net = NestMLP()
net.set_submodule("net.2", nn.Identity(), strict=True)
print(net.net[2], [name for name, _ in net.named_children()])
#> Identity() ['net', 'linear']

# %% [markdown]
# 也可以给父模块赋值：`net.net[2] = nn.Identity()`。
# 按路径读取某一层，用 `net.get_submodule("net.2")`；`getattr(net, "net.2")` 会报错。

# %% [markdown]
# ### `missing the required "forward" function`
#
# 你写好了做计算的方法，PyTorch 却找不到。
# 它必须叫 `forward`，而且要缩进到类里面。
# 名字拼错或缩进不对，PyTorch 要到调用模块时才会发现：

# %%
class Misspelled(nn.Module):
    def foward(self, X):
        return X


try:
    Misspelled()(X)
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Module [Misspelled] is missing the required "forward" function

# %% [markdown]
# `nn.ModuleList` 和 `nn.ModuleDict` 会报同样的错，因为它们也没有 `forward`：它们装着模块，但没有定义怎样运行。

# %%
try:
    nn.ModuleList([nn.Linear(20, 10)])(X)
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Module [ModuleList] is missing the required "forward" function

# %% [markdown]
# 解决办法：改正名字或缩进。
# 如果用的是 `nn.ModuleList`，就在自己模块的 `forward` 里遍历它，或者用 `nn.Sequential` 把其中的模块连成链。

# %%
modules = nn.ModuleList([nn.Linear(20, 10), nn.ReLU()])
print(nn.Sequential(*modules)(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# ### `must be Tensor, not ReLU`：该用 `F.relu(X)` 却用了 `nn.ReLU(X)`
#
# 你把激活函数用在张量上，下一层却拒绝接收。
# `nn.ReLU` 是类，所以 `nn.ReLU(X)` 只创建模块，什么也没有计算：PyTorch 把 `X` 当作参数 `inplace`，也不检查它的类型。
# 错误晚一步才出现，由下一层报出，因为它收到的是这个模块，而不是张量：

# %%
try:
    nn.Linear(20, 10)(nn.ReLU(X))
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: linear(): argument 'input' (position 1) must be Tensor, not ReLU

# %% [markdown]
# 解决办法：对张量用函数 `F.relu`，需要模块的地方用模块 `nn.ReLU()`。

# %%
print(nn.Linear(20, 10)(F.relu(X)).shape)
#> torch.Size([2, 10])

# %% [markdown]
# 反过来，在需要模块的地方传入函数，会立刻报错：

# %%
try:
    nn.Sequential(nn.Linear(20, 10), F.relu)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: torch.nn.functional.relu is not a Module subclass

# %% [markdown]
# 容器如果直接写入 `_modules`，就绕过了这项检查，要到后面才报错，而且从报错的地方看不出原因：

# %%
net = nn.Module()
net._modules["0"] = F.relu
try:
    net.state_dict()
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'function' object has no attribute 'state_dict'

# %% [markdown]
# 解决办法：用 `add_module`，它会检查类型。

# %%
try:
    nn.Module().add_module("0", F.relu)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: torch.nn.functional.relu is not a Module subclass

# %% [markdown]
# ### `has no attribute`，但 property 明明存在
#
# 报错信息说模块没有属性 `width`，可是类里明明有 property `width`。
# Python 找到了这个 property，但其中的代码抛出了 `AttributeError`。
# 于是 Python 又调用 `nn.Module.__getattr__`，按 property 的名字去找参数、缓冲区或模块。
# 这个方法什么也没找到，抛出第二个错误，把第一个盖住了：

# %%
class Slip(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(20, 10)

    @property
    def width(self):
        return self.linear.out_feature


net = Slip()
try:
    net.width
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Slip' object has no attribute 'width'

# %% [markdown]
# 想看到真正的错误，就调用 property 的函数。
# 如果是 `cached_property`，把 `.fget` 换成 `.func`。

# %%
try:
    type(net).width.fget(net)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Linear' object has no attribute 'out_feature'

# %% [markdown]
# 解决办法：改正 property 里的名字。

# %%
class Corrected(Slip):
    @property
    def width(self):
        return self.linear.out_features


print(Corrected().width)
#> 10

# %% [markdown]
# ### `mat1 and mat2 shapes cannot be multiplied`
#
# 调用网络，线性层报告两个形状不匹配。
# 输入的最后一个维度，大小与创建这个层时给出的不同。
# 下面的代码片段只打印报错信息中写明形状的部分：

# %%
import re

net = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10))
try:
    net(torch.rand(2, 28, 28))
except RuntimeError as error:
    print(re.search("mat1 .*", str(error))[0])
#> mat1 and mat2 shapes cannot be multiplied (56x28 and 20x256)

# %% [markdown]
# 这个层把两张 28 行的图像当作 2 · 28 = 56 行，每行 28 个值，但它需要每行 20 个值。
#
# 解决办法：在这个例子里，先把图像展平，并按 784 个值创建这个层。

# %%
net = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
print(net(torch.rand(2, 28, 28)).shape)
#> torch.Size([2, 10])

# %% [markdown]
# 如果链更长，就打印每个模块的输出形状，或者让第一个批量决定大小：见延后初始化。

# %% [markdown]
# ### `mat1 and mat2 must have the same dtype`：来自 NumPy 的批量
#
# 你用 NumPy 数组做了一个批量，网络却拒绝接收。
# 批量的 dtype（数的类型）要与层的权重相同。
# NumPy 的浮点数默认是 `float64`，`torch.from_numpy` 会保留 dtype；而层的权重默认是 `float32`。
# `diagnose` 把这种情况报告为 `mixed-dtype`。

# %%
import numpy

net = nn.Linear(20, 10)
batch = torch.from_numpy(numpy.ones((2, 20)))
try:
    net(batch)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: mat1 and mat2 must have the same dtype, but got Double and Float

# %% [markdown]
# 报错信息先写批量的 dtype，再写权重的 dtype。
# 如果写的是 `Float and BFloat16`，说明网络转换成了 16 位，批量没有转换。
# 如果写的是 `Long and Float`，说明批量里是整数。
#
# 解决办法：把批量转换成权重的 dtype。

# %%
print(net(batch.float()).dtype, net.bfloat16()(batch.to(net.weight.dtype)).dtype)
#> torch.float32 torch.bfloat16

# %% [markdown]
# 同样的问题，没有偏置的层给出的报错信息不同：

# %%
try:
    nn.Linear(20, 10, bias=False)(batch)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float

# %% [markdown]
# 卷积给出的又是另一种：

# %%
try:
    nn.Conv2d(1, 1, 3)(torch.ones(1, 1, 5, 5, dtype=torch.float64))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Input type (double) and bias type (float) should be the same

# %% [markdown]
# 如果批量的 dtype 已经正确，就找一找网络里有没有漏掉转换的张量：见常量没有随网络保存、转换类型或移动。
# 要用 Mac 的 GPU，先转换批量的类型，再移动批量：见 `Cannot convert a MPS Tensor to float64 dtype`。

# %% [markdown]
# ### 网络改动了输入张量
#
# 调用网络之后，输入张量的值变了。
# `X /= 2` 不会创建张量，而是写入传给 `forward` 的那个张量。
# 如果网络的第一个模块是 `nn.ReLU(inplace=True)`，也会这样。

# %%
class Halved(nn.Module):
    def forward(self, X):
        X /= 2
        return X


ones = torch.ones(3)
Halved()(ones)
print(ones)
#> tensor([0.5000, 0.5000, 0.5000])

# %% [markdown]
# `diagnose` 把这种情况报告为 `input-changed`。
#
# 解决办法：写成 `X = X / 2`，它会创建新的张量，输入保持不变。

# %%
class HalvedCopy(nn.Module):
    def forward(self, X):
        X = X / 2
        return X


ones = torch.ones(3)
print(HalvedCopy()(ones), ones)
#> tensor([0.5000, 0.5000, 0.5000]) tensor([1., 1., 1.])

# %% [markdown]
# ### 同样的输入每次得到不同的输出
#
# 用同样的输入多次调用训练好的网络，每次得到的输出都不同。
# 这个网络含有 dropout，而且仍处于训练模式。
# <dfn>Dropout</dfn> 是一种层：在训练模式下，它把输入中随机选出的值设为零，并放大其余的值。
# <dfn>训练模式</dfn>（training mode）是新建模块的状态，也是任何模块在 `net.train()` 之后的状态：dropout 起作用；批量归一化（batch normalization，会重新缩放数值）使用当前批量的均值和方差。
# <dfn>评估模式</dfn>（evaluation mode）是模块在 `net.eval()` 之后的状态：dropout 原样返回输入，批量归一化使用存下来的均值和方差。

# %%
net = nn.Sequential(nn.Linear(20, 256), nn.Dropout(), nn.Linear(256, 10))
print(net.training, torch.equal(net(X), net(X)))
#> True False
net.eval()
print(net.training, torch.equal(net(X), net(X)))
#> False True

# %% [markdown]
# 解决办法：预测之前调用 `net.eval()`，继续训练之前调用 `net.train()`。
# 如果忘了 `net.train()`，后面的训练就没有 dropout。
# `diagnose` 把这种情况报告为 `in-eval`。
#
# 加载权重不会改变模式。
# 状态字典里没有模式，所以给新网络加载权重之后，它仍处于训练模式：

# %%
loaded = nn.Sequential(nn.Linear(20, 256), nn.Dropout(), nn.Linear(256, 10))
loaded.load_state_dict(net.state_dict())
print(net.training, loaded.training)
#> False True
print(torch.equal(loaded.eval()(X), net(X)))
#> True

# %% [markdown]
# 函数 `F.dropout` 不知道模块处于哪种模式：即使在 `net.eval()` 之后，它照样把一些值设为零。
# 请改写成 `F.dropout(X, training=self.training)`。
# `diagnose` 把这种情况报告为 `random-in-eval`。
# `net.eval()` 不会关掉 autograd。
# 想在预测时节省内存，还要用 `with torch.no_grad():`，让 autograd 停止记录。
#
# 下次怎样及早发现：预测之前打印 `net.training`。

# %% [markdown]
# ### 调用不返回：把无穷大减半的循环
#
# 调用网络，却一直不返回。
# 简化版 `FixedHiddenMLP` 不断把值减半，直到足够小，但无穷大的一半还是无穷大：

# %%
print(torch.tensor(float("inf")) / 2)
#> tensor(inf)

# %% [markdown]
# 解决办法：在这样的循环之前，检查所有值是不是都有限。
# 库中的块就是这样做的，并报出上文显示的错误。

# %%
print(bool(torch.tensor([1.0, float("inf"), float("nan")]).isfinite().all()))
#> False

# %% [markdown]
# ### `maximum recursion depth exceeded`：持有父模块的直接子模块
#
# 直接子模块需要父模块里的某样东西，于是你把父模块赋给直接子模块的一个属性。
# 这样一来，父模块反过来注册到了自己的直接子模块里。
# 凡是从模块走到直接子模块的操作，例如 `to()`、`train()` 和 `print`，都会一遍又一遍地调用自己，直到 Python 抛出 `RecursionError`：

# %%
class Child(nn.Module):
    def __init__(self, parent):
        super().__init__()
        self.parent = parent


class Parent(nn.Module):
    def __init__(self, child_class):
        super().__init__()
        self.width = 20
        self.child = child_class(self)


try:
    Parent(Child).to("cpu")
except RecursionError as error:
    print("maximum recursion depth exceeded" in str(error))
#> True

# %% [markdown]
# `diagnose` 把这种情况报告为 `cycle`。
#
# 解决办法：直接子模块需要什么值，就把什么值传给它的 `__init__` 或 `forward`。
# 如果确实需要父模块本身，就把父模块放进元组，因为 PyTorch 不会注册元组里的模块：

# %%
class Aware(nn.Module):
    def __init__(self, parent):
        super().__init__()
        self.parent = (parent,)


net = Parent(Aware).to("cpu")
print(net.child.parent[0].width)
#> 20

# %% [markdown]
# ### `'DataParallel' object has no attribute`
#
# 为了训练，你把网络包装起来，结果网络的一个属性不见了。
# 有些类会包装网络，例如为了用多块 GPU 训练（`DataParallel`、`DistributedDataParallel`），或者为了对权重求平均（`AveragedModel`）。
# 包装器把你的网络存在属性 `module` 里；网络的属性在包装器上取不到。
# 报错信息里写的是包装器的类名：

# %%
averaged_net = nn.Sequential(OrderedDict(body=nn.Linear(4, 4)))
wrapped = torch.optim.swa_utils.AveragedModel(averaged_net)
try:
    wrapped.body
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'AveragedModel' object has no attribute 'body'

# %% [markdown]
# 解决办法：在属性前面写上 `.module`，或者留一个变量指向网络本身。

# %%
print(wrapped.module.body)
#> Linear(in_features=4, out_features=4, bias=True)

# %% [markdown]
# ## 练习题

# %% [markdown]
# ### 练习题 1
#
# 一个网络把块存在 Python 列表里：`self.blocks = blocks`。
# 可以调用这个网络，但训练、类型转换（例如 `.double()`）和保存都不起作用。
# 只改一行，把网络修好；修好后，参数的名字以 `blocks.0`、`blocks.1` 等开头。
#
# 练习（容易）：`python -m d2lblocks practice start modules/1`

# %%
class Broken(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks

    def forward(self, X):
        for block in self.blocks:
            X = block(X)
        return X

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 列表里的块没有注册，所以只有 `forward` 找得到。
# 优化器、`.to()` 和 `state_dict()` 都找不到。

# %%
broken = Broken([MLP(20, 64, 20), MLP(20, 64, 10)])
print("parameters", len(list(broken.parameters())))
#> parameters 0
print("cast", {block.out.weight.dtype for block in broken.double().blocks})
#> cast {torch.float32}
print("saved", list(broken.state_dict()))
#> saved []

# %% [markdown]
# 要修好网络，把列表传给 `nn.ModuleList`：
#
# *modules/1_tower.py*

# %%
class Tower(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, X):
        for block in self.blocks:
            X = block(X)
        return X

# %%
tower = Tower(broken.blocks)
print("parameters", len(list(tower.parameters())))
#> parameters 8
print("cast", {block.out.weight.dtype for block in tower.double().blocks})
#> cast {torch.float64}
print("saved", list(tower.state_dict())[:2], "and so on")
#> saved ['blocks.0.hidden.weight', 'blocks.0.hidden.bias'] and so on

# %% [markdown]
# ### 练习题 2
#
# 一个网络的第一层把输入标准化：减去张量 `mean`，再除以张量 `std`。
# 这两个张量没有随网络保存、转换类型或移动。
# 请修好这个类，让它们随网络保存、转换类型和移动。
# 它们不能是参数，名字也不能变：在 `net.state_dict()` 里的名字是 `mean` 和 `std`。
#
# 练习（容易）：`python -m d2lblocks practice start modules/2`

# %%
class Plain(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = mean
        self.std = std

    def forward(self, X):
        return (X - self.mean) / self.std

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 属性里的普通张量没有注册，所以类型转换和 `state_dict()` 都找不到它们。
# 转换本身不报错：随后的减法混用两种 dtype，返回其中较大的一种，到下一层才报错。

# %%
mean, std = X.mean(dim=0), X.std(dim=0)
plain = Plain(mean, std).bfloat16()
print("cast", plain(X.bfloat16()).dtype)
#> cast torch.float32
print("saved", list(plain.state_dict()))
#> saved []

# %% [markdown]
# 要修好这个类，把它们改成缓冲区。
# 改成参数也会保存和移动，但训练会改变它们的值。
#
# *modules/2_constant.py*

# %%
class Standardize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = nn.Buffer(mean)
        self.std = nn.Buffer(std)

    def forward(self, X):
        return (X - self.mean) / self.std

# %%
standardize = Standardize(mean, std).bfloat16()
print("cast", standardize(X.bfloat16()).dtype)
#> cast torch.bfloat16
print("saved", list(standardize.state_dict()))
#> saved ['mean', 'std']
print("trained", list(standardize.parameters()))
#> trained []

# %% [markdown]
# ### 练习题 3
#
# 写一个块，接收两个或更多网络，例如 `SideBySide(left, right)`。
# 每个网络得到同样的输入；块返回各网络的输出，按网络的顺序沿最后一个维度拼接。
# `X` 可以有两个或更多维度，结果的 dtype 和设备与各网络的输出相同。
# 这些网络随块一起训练、保存和移动。
#
# 练习（中等）：`python -m d2lblocks practice start modules/3`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 所有网络都必须能接收同样的输入。
# 各网络的输出，除了拼接的那个维度，其余维度的大小必须相等。
#
# *modules/3_both.py*

# %%
class SideBySide(nn.Module):
    def __init__(self, *nets):
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, X):
        return torch.cat([net(X) for net in self.nets], dim=-1)

# %%
left, right = nn.Linear(20, 8), MLP(20, 64, 4)
both = SideBySide(left, right)
print(both(X).shape)
#> torch.Size([2, 12])
print(torch.equal(both(X), torch.cat([left(X), right(X)], dim=1)))
#> True

# %% [markdown]
# 库中的 `Parallel` 还用参数接收维度；对图像来说，`dim=1` 拼接的是通道。
#
# *库的源代码，出自 `d2lblocks/modules.py`：*

# %%
class Parallel(nn.Module):
    def __init__(self, *nets: nn.Module, dim: int = -1) -> None:
        super().__init__()
        if not nets:
            raise ValueError("expected at least one module to join, but got none")
        self.nets = nn.ModuleList(nets)
        self.dim = dim

    def forward(self, X: Tensor) -> Tensor:
        return torch.cat([net(X) for net in self.nets], dim=self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"

# %%
images = torch.rand(2, 3, 8, 8)
small, large = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 6, 5, padding=2)
print(Parallel(small, large, dim=1)(images).shape)
#> torch.Size([2, 10, 8, 8])

# %% [markdown]
# ### 练习题 4
#
# 写一个函数 `chain(make_block, n)`，返回由 `n` 个块组成的网络，这些块依次运行。
# `make_block` 是函数：每次调用 `make_block()` 都返回一个新的块，`chain` 为每个块调用它一次。
# 块按创建的顺序运行。
# 每个块都有自己的权重，没有哪个块是另一个块的副本。
# 如果 `n = 0`，网络原样返回输入。
#
# 练习（中等）：`python -m d2lblocks practice start modules/4`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 如果传入一个块并重复使用，链上的每一处都共享它的权重。
# 如果传入函数并调用 `n` 次，就得到 `n` 个权重各自独立的块。
# （`copy.deepcopy` 也能得到独立的权重，但所有副本的初始值都相同。）
#
# *modules/4_chain.py*

# %%
def chain(make_block, n):
    return nn.Sequential(*(make_block() for _ in range(n)))

# %%
net = chain(lambda: MLP(20, 64, 20), 3)
print(net(X).shape, len(list(net.parameters())))
#> torch.Size([2, 20]) 12

shared = nn.Sequential(*[MLP(20, 64, 20)] * 3)
print(shared(X).shape, len(list(shared.parameters())))
#> torch.Size([2, 20]) 4

# %% [markdown]
# ### 练习题 5
#
# 写一个函数 `shapes(net, X)`，用 `net(X)` 调用网络一次，返回每一层的输出形状。
# 结果是一个列表，每一项是一对 `(name, shape)`，按各层运行的顺序排列，例如 `[("0", (2, 64)), ("1", (2, 64))]`。
# 每一对都是元组，每个形状也是元组（`torch.Size` 也是元组）。
# 这里的层是没有直接子模块的模块，每个层返回一个张量。
# 名字就是 `net.named_modules()` 给这个层的名字；运行两次的层在列表中出现两次。
# 网络调用结束后，`shapes` 要摘下自己的全部钩子。
# 如果这次调用报错，`shapes` 同样要摘下钩子，并把错误继续抛给 `shapes` 的调用者。
#
# 练习（中等）：`python -m d2lblocks practice start modules/5`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 前向钩子会得到模块的每一次输出，所以网络的类不用改。
# `FixedHiddenMLP` 中用了两次的层占两行。
#
# *modules/5_shapes.py*

# %%
def shapes(net, X):
    found = []

    def record(name):
        def hook(module, inputs, output):
            found.append((name, tuple(output.shape)))

        return hook

    handles = [
        module.register_forward_hook(record(name))
        for name, module in net.named_modules()
        if not list(module.children())
    ]
    try:
        net(X)
    finally:
        for handle in handles:
            handle.remove()
    return found

# %%
for name, shape in shapes(chimera, X):
    print(f"{name:9} {shape}")
#> 0.net.0   (2, 64)
#> 0.net.1   (2, 64)
#> 0.net.2   (2, 32)
#> 0.net.3   (2, 32)
#> 0.linear  (2, 16)
#> 1         (2, 20)
#> 2.linear  (2, 20)
#> 2.linear  (2, 20)

# %% [markdown]
# `record` 为一个名字创建一个钩子。
# 如果直接在循环里定义钩子，它要到运行时才去查 `name`，而那时 `name` 已经是循环中的最后一个名字。
# 即使网络报错，`finally` 也会摘下钩子：

# %%
try:
    shapes(chimera, torch.rand(2, 3))
except RuntimeError:
    print([module for module in chimera.modules() if module._forward_hooks])
#> []

# %% [markdown]
# ### 练习题 6
#
# `FixedHiddenMLP` 无法整体编译，因为其中的循环不断把 `Y` 减半，直到绝对值之和不超过 1。
# 写一个 `NoLoop`，它的 `forward` 不用循环，而是只乘以或除以一个二的幂。
# 只要总和不超过 1e30，结果和梯度就与用循环的相同。
# 注意，总和正好是 1 时，循环不会减半。
# `forward` 不能在 Python 里读取张量的值，而 `while`、`if` 和 `.item()` 都会读取。
# 请用 `mantissa, exponent = torch.frexp(total)`：这里 `total` 等于 `mantissa * 2**exponent`，正数的尾数（mantissa）不小于 0.5 且小于 1。
# 从指数（exponent）可以看出要减半多少次。
#
# 练习（较难）：`python -m d2lblocks practice start modules/6`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# `torch.frexp` 把正的有限总和拆成 `mantissa * 2**exponent`，其中尾数（mantissa）不小于 0.5 且小于 1。
# 所以减半 `exponent` 次，总和就小于 1；如果指数（exponent）为负，就不需要减半，因此要有 `clamp(min=0)`。
# 如果尾数正好是 0.5，少减半一次就够了。
# 乘以二的幂，只改变浮点数的指数。
# 所以乘一次与一次次减半的结果完全相同，除非某个值小到它的 dtype 无法表示。
#
# *modules/6_no_loop.py*

# %%
class NoLoop(FixedHiddenMLP):
    def forward(self, X):
        Y = self.linear(F.relu(self.linear(X) @ self.rand_weight + 1))
        mantissa, exponent = torch.frexp(Y.detach().abs().sum())
        halvings = (exponent - (mantissa == 0.5).int()).clamp(min=0)
        return (Y * torch.ldexp(torch.ones_like(mantissa), -halvings)).sum()

# %%
looped, straight = FixedHiddenMLP(), NoLoop()
straight.load_state_dict(looped.state_dict())
print(torch.equal(looped(X), straight(X)))
#> True

looped(X).backward()
straight(X).backward()
print(torch.equal(looped.linear.weight.grad, straight.linear.weight.grad))
#> True

compiled = torch.compile(straight, backend="eager", fullgraph=True)
print(torch.equal(compiled(X), looped(X)))
#> True

# %% [markdown]
# `torch.ldexp` 只用来生成这个因子，用到的张量不需要梯度。
# 不要把它用在 `Y` 本身：在 PyTorch 2.13 中，如果指数是负整数，`torch.ldexp` 的梯度会悄悄变成零（[issue 187460](https://github.com/pytorch/pytorch/issues/187460)）。
#
# **局限。**这个版本不检查 `inf` 和 `nan`；如果总和溢出，也不会减半。

# %% [markdown]
# ## 小结
#
# | 想要 | 写法 |
# |---|---|
# | 模块连成的链 | `nn.Sequential(...)` |
# | 给各部分起名字 | `nn.Sequential(OrderedDict(...))` |
# | 自己的模块 | `nn.Module` 的子类，定义 `__init__` 和 `forward` |
# | 各部分都能训练、保存和移动 | 先写 `super().__init__()`，再写 `self.name = module` |
# | 各部分放在列表里，或按名字存放 | `nn.ModuleList`, `nn.ModuleDict` |
# | 会保存、会移动的常量 | `register_buffer` 或 `nn.Buffer` |
# | 运行模块 | `net(X)`，不用 `net.forward(X)` |
# | 按路径取出某个部分 | `net.get_submodule("0.net.2")` |
# | 容器的每一项 | `for module in container`，不用 `.children()` |
# | 预测时关掉 dropout | `net.eval()` |
#
# 库中的类见 `d2lblocks.modules`，所有主题的表都在速查表里。
#
# 下一个主题：参数，读取、修改、冻结和共享网络学到的数。
