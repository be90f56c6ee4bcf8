# %% [markdown]
# # 参数
#
# 这是 d2lblocks 中“参数”一页的脚本版：由页面生成，并且运行过。
# 运行它需要 `d2lblocks` 和 `torch`。
# 在本仓库的克隆里运行 `pip install .`，就会装好 `d2lblocks`。
#
# 拿一个训练好的网络，冻结前几层让它们保持不变，换掉最后一层，再训练一次。
# 结果网络毫无起色，或者冻结的层还是变了，而这两种情况都不报错。
# 这一页讲怎样查看网络的参数、怎样修改，以及怎样发现这类问题。
#
# - **学完之后你能：**查找、读取、修改、冻结和共享网络的参数，并认出 PyTorch 察觉不到的改动。
# - **需要先会：**层与模块，读到其中库中的实现一节之前。
# - **需要多长时间：**读到库中的实现之前约 25 分钟，学下一个主题有这部分就够了；加上其余部分和练习题，约 60 分钟。
#
# 开头几节都用下面这个小网络，批量 `X` 中有几个样本，它就返回几个数：

# %%
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
X = torch.rand(2, 4)
print(net(X).shape)
#> torch.Size([2, 1])

# %% [markdown]
# ## 单个参数：值与梯度
#
# 要读取单个参数，先用索引从网络中取出参数所在的层，参数就是这一层的属性。
# `net[2]` 是网络的最后一层，`net[2].bias` 是它的偏置。
# 想知道这一层的参数叫什么名字，就看它的状态字典。
# <dfn>状态字典</dfn>（state dict）是 `state_dict()` 返回的字典：键是模块中每个参数的名字，以及随模块一起保存的每个缓冲区的名字，值是对应的张量。
# 缓冲区（buffer）是属于模块、但不参与训练的张量。

# %%
print(net[2].bias.shape, type(net[2].bias))
#> torch.Size([1]) <class 'torch.nn.parameter.Parameter'>
print(list(net[2].state_dict()))
#> ['weight', 'bias']

# %% [markdown]
# 偏置只含一个数；这一层有 `weight` 和 `bias` 两个参数。
#
# 参数是 `nn.Parameter` 类的对象，这个类是 `torch.Tensor` 的子类。
# 参数与其他张量有两点不同。
# 第一，把它赋给模块的属性，模块就会注册它。
# 第二，它的 `requires_grad` 是 `True`（除非你设为 `False`），所以 autograd 会为它计算梯度。
#
# 不想让 autograd 记录对这些值的操作，就调用 `.detach()`，得到一个不需要梯度的张量。
# 值并没有复制：两个张量用的是同一块内存。
#
# 训练就是修改参数，使损失变小。
# <dfn>损失</dfn>（loss）是一个数，衡量网络的输出与期望的输出相差多远。
# 参数的每个值在<dfn>梯度</dfn>（gradient）中都对应一个数：只有这个值变化时，某个结果（通常是损失）的变化率。
# 对这个结果调用 `backward()`，就会算出每个参数的梯度，存进参数的 `.grad` 属性：

# %%
print(net[2].bias.requires_grad, net[2].bias.detach().requires_grad)
#> True False
print(net[2].bias.grad)
#> None
net(X).sum().backward()
print(net[2].bias.grad)
#> tensor([2.])

# %% [markdown]
# 调用 `backward()` 之前没有梯度，`.grad` 是 `None`。
# 之后，偏置的梯度是 2：结果是两个输出之和，每个样本一个输出，而每个输出都加上了一次偏置。

# %% [markdown]
# ### 清除梯度：`zero_grad()`
#
# 再调用一次 `backward()`，新的梯度会加到 `.grad` 里已有的梯度上：在这里，2 会变成 4。
# 所以大多数训练循环在每次 `backward()` 之前都会调用 `zero_grad()`，网络和优化器都有这个方法。
# 默认情况下，`zero_grad()` 把 `.grad` 设为 `None`，而不是零：

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
# 与零相比，`None` 有两个好处：释放内存，并且让优化器跳过这个参数。
# <dfn>优化器</dfn>（optimizer）是一个对象，它利用参数的梯度修改参数的值，使损失变小。
# 有两个选项会让优化器改动梯度为零的参数，却不会改动梯度为 `None` 的参数。
# <dfn>动量</dfn>（momentum）这个选项让优化器把之前各步的梯度也用上。
# <dfn>权重衰减</dfn>（weight decay）这个选项让优化器在每一步都把每个参数向零拉近一点。
#
# **局限。**`zero_grad()` 留下的是 `None`，所以使用 `.grad` 之前，先确认它不是 `None`。

# %% [markdown]
# ## 全部参数：`named_parameters()`
#
# 要查看网络的全部参数，遍历 `named_parameters()` 即可。
# 每个参数都连同名字一起返回，名字就是参数在网络中的路径：

# %%
for name, parameter in net.named_parameters():
    print(name, tuple(parameter.shape))
#> 0.weight (8, 4)
#> 0.bias (8,)
#> 2.weight (1, 8)
#> 2.bias (1,)

# %% [markdown]
# 没有名字以 `1` 开头，因为 `net[1]` 是 `ReLU`，没有参数。
#
# 也可以按路径取得单个参数：用 `get_parameter`，或者从状态字典里取：

# %%
print(net.get_parameter("2.bias") is net[2].bias)
#> True
print(net.state_dict()["2.bias"].data_ptr() == net[2].bias.data_ptr())
#> True

# %% [markdown]
# `get_parameter` 返回的就是参数本身。
# 状态字典里的张量是另一个对象，也不需要梯度，但与参数用的是同一块内存：两者的内存地址 `data_ptr()` 相同。
# 因此，状态字典不是副本，其中的值会随训练变化。

# %% [markdown]
# ## `state_dict()` 与 `parameters()` 的区别
#
# 训练用 `parameters()`，保存用 `state_dict()`。
# 状态字典里可能有两类名字是 `named_parameters()` 不列出的：缓冲区的名字，以及用在两处的参数的额外名字。
# 下面的网络两类都有，因为它把一个层用了两次，还包含一个批量归一化层。
# <dfn>批量归一化</dfn>（batch normalization）层对批量的每一列，或图像的每个通道，先减去均值，除以标准差，再乘以学到的缩放系数，加上学到的偏移量。
# 网络一开始处于训练模式，`net.eval()` 把它切换到评估模式。
# 在训练模式下，均值和标准差来自当前的批量；在评估模式下，这一层使用存储的值。

# %%
shared = nn.Linear(4, 4)
net = nn.Sequential(shared, nn.BatchNorm1d(4), shared)
parameters = {name for name, _ in net.named_parameters()}
print([name for name in net.state_dict() if name not in parameters])
#> ['1.running_mean', '1.running_var', '1.num_batches_tracked', '2.weight', '2.bias']

# %% [markdown]
# （图：一个 Sequential，有 0、1 和 2 三个名字。
# 名字 0 和 2 指向同一个 Linear，所以它的权重有 0.weight 和 2.weight 两个名字，偏置有 0.bias 和 2.bias 两个名字。
# 名字 1 指向一个 BatchNorm1d，它有参数 1.weight 和 1.bias，以及缓冲区 1.running_mean、1.running_var 和 1.num_batches_tracked。
# 不在 named_parameters() 中的名字用粗体：2.weight、2.bias 和三个缓冲区。）
#
# 前三个名字属于批量归一化层的缓冲区：滑动均值、滑动方差和批量计数器。
# 在训练模式下，每个批量都让滑动均值和滑动方差向自己的均值和方差靠近。
# 缓冲区随网络一起保存和移动，但不参与训练。
# 后两个是额外的名字：`2.weight` 和 `0.weight` 是同一个参数，`2.bias` 和 `0.bias` 也是。
#
# `parameters()` 和 `named_parameters()` 对每个参数只返回一次，这正是优化器需要的。
# 状态字典包含参数的全部名字；加上 `remove_duplicate=False`，`named_parameters` 也会返回全部名字。
#
# 初读可以跳过下面两种特殊情况。
# 不需要保存的缓冲区用 `persistent=False` 注册；`buffers()` 会返回它，但状态字典里没有它。
# 如果模块要保存张量以外的东西，比如字符串，就要定义 `get_extra_state`；这样，它的状态字典里还会有 `_extra_state` 这个名字。

# %% [markdown]
# ## 嵌套模块的参数
#
# 如果网络由块组成，从参数的路径就能看出它在哪个块里。
# 网络 `rgnet` 有三个块，每块两个线性层，后面再接一个线性层：

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
# 第二个块第一层的偏置，可以一级一级地取，也可以按路径取：

# %%
print(rgnet[0][1][0].bias.shape)
#> torch.Size([8])
print(rgnet.get_parameter("0.block1.0.bias") is rgnet[0][1][0].bias)
#> True

# %% [markdown]
# `rgnet[0][1]` 中的索引 1 是位置；这个位置上的块名叫 `block1`。
#
# 有两个方法用来列出模块本身。
# `modules()` 返回网络自身和各级的全部子模块，`children()` 只返回直接子模块。
# 两者对每个模块都只返回一次。

# %%
print(len(list(rgnet.modules())), len(list(rgnet.children())))
#> 18 2
print(sum(isinstance(module, nn.Linear) for module in rgnet.modules()))
#> 7

# %% [markdown]
# 这 18 个模块是：网络自身、两个直接子模块、三个块，以及每个块里的四个层；18 个中有 7 个是线性层。

# %% [markdown]
# ## 修改参数的值
#
# 有时要把参数设为给定的值，比如来自另一个程序的值。
# 做法是在 `torch.no_grad()` 下使用原地操作，也就是把操作写在 `with torch.no_grad():` 代码块里。
# <dfn>原地操作</dfn>（in-place operation）直接写入已有张量的内存，而不是创建新张量。
# `X += 1` 就是一例；`copy_`、`fill_` 这类名字以下划线结尾的方法也是。
# `torch.no_grad()` 让 autograd 不记录这个操作；没有它，PyTorch 会报错。

# %%
layer = nn.Linear(2, 1)
with torch.no_grad():
    layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
    layer.bias.fill_(0.5)
print(layer(torch.tensor([10.0, 100.0])).item())
#> 210.5

# %% [markdown]
# 这一层计算的是 `1 * 10 + 2 * 100 + 0.5`，可见权重和偏置都已是新值。
# `copy_` 会把新值转换成参数的 dtype。
# 张量的 <dfn>dtype</dfn> 是其中数值的类型，例如 `torch.float32` 表示 32 位浮点数。
#
# 参数仍是同一个对象，所以持有它的优化器或其他层也会使用新值。
#
# 修改值只能在 `backward()` 之后、下一次前向传播之前。
# 在前向传播和它的 `backward()` 之间，计算图可能还需要旧值。
# <dfn>计算图</dfn>（computation graph）是 autograd 的记录，写明一个张量由哪些操作产生，并存有求导所需的值。
# `backward()` 沿着这张图从结果走到参数。
# 即使在 `torch.no_grad()` 下，autograd 也会给每个张量的原地修改计数，所以一旦需要的值被改过，`backward()` 就会发现：

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
# **注意。**`.data` 是绕开 autograd 取得值的旧办法，经由它做的修改，autograd 不会计数。
# `w**2` 在 2 处的导数是 4，但 `backward()` 用了新值，算出 2 * 20 = 40：

# %%
w = nn.Parameter(torch.tensor(2.0))
y = w**2
w.data.fill_(20.0)
y.backward()
print(w.grad)
#> tensor(40.)

# %% [markdown]
# 没有报错，梯度却是错的。
# 不要用 `.data`：读取值用 `.detach()`，修改值要放在 `torch.no_grad()` 下。
# 要保留一份旧值，用 `.detach().clone()`；少了 `clone()`，得到的张量与参数共用内存，会跟着一起变。

# %% [markdown]
# ## 冻结参数
#
# 你有一个训练好的网络，只想训练它的最后一层，那就把其余各层冻结。
# <dfn>冻结</dfn>（freezing）一个参数，就是把它的 `requires_grad` 设为 `False`，这样训练就不会改动它。
# 此后 autograd 不再为它计算梯度；如果它的 `.grad` 是 `None`，优化器也会跳过它。
#
# 模块的方法 `requires_grad_` 会设置模块中所有参数的 `requires_grad`。
# 下面把最后一层以外的部分全部冻结：

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
# 只有最后一层的参数有梯度。
#
# 要按名字挑选参数，就看名字是否以某个前缀开头。
# 前缀末尾要带点号，否则 `"2"` 也会匹配名叫 `20` 的层。
# 如果没有名字与前缀匹配，就什么也没有冻结，也不会报错，所以要把冻结的名字打印出来：

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
# **注意。**冻结对旧的梯度和缓冲区不起作用。
#
# 第一，`.grad` 里可能还留着冻结之前算出的梯度，优化器下一次 `step()` 会用到它。
# 冻结之后要调用 `net.zero_grad()`。
#
# 第二，缓冲区没有冻结。
# 在训练模式下，批量归一化层在每次前向传播中仍会更新滑动均值和滑动方差。
# 要停止更新，就对这一层调用 `eval()`；此后它使用存储的均值和方差，而不是批量的均值和方差。

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
# 批量计数器停在 1：第二次调用没有更新缓冲区。
# `net.train()` 会把 `net` 的每一层都切回训练模式，所以每次 `net.train()` 之后都要再调用一次 `norm.eval()`。
#
# 训练期间，没有任何提示说明某个参数仍处于冻结状态。
# `diagnose` 把这种情况报告为 `frozen`。

# %% [markdown]
# ## 共享参数：权重绑定
#
# 如果网络在不止一处使用同一个 `nn.Parameter` 对象，就叫作<dfn>权重绑定</dfn>（tied weights），也叫共享参数（shared parameters）。
# 例如，可以把一个层用在两处。
# 这时，网络的这两处共用一个权重，`parameters()` 只返回它一次：

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
# 第二个输出用到了 `numel()`，即张量中值的个数；这个输出证实共享的权重只计了一次，因为预期的总数里 `8 * 8` 只出现一次。
#
# `is` 可以判断两个名字是否指向同一个对象。
# 比较值则判断不了，因为两个独立的参数也可能有相等的值。
#
# 一个参数用在两处，它的梯度就是两处的梯度之和。
# 最简单的情形是一个权重用两次：`y = w * (w * x)`。
# 把里面的权重叫作 `a`，外面的叫作 `b`，则 `y` 对 `a` 的导数是 `b * x`，对 `b` 的导数是 `a * x`。
# 令 `a = b = w`，两者之和就是 `2 * w * x`：

# %%
twice = nn.Linear(1, 1, bias=False)
with torch.no_grad():
    twice.weight.fill_(3.0)
nn.Sequential(twice, twice)(torch.tensor([5.0])).backward()
print(twice.weight.grad, 2 * 3 * 5)
#> tensor([[30.]]) 30

# %% [markdown]
# （图：左边是前向传播：x = 5 先到里层，a 乘 x 得 15；再到外层，b 乘 15 得 45；最后 y = 45。
# 右边是一个 nn.Parameter：a = b = w = 3。
# 两条标着 backward() 的虚线箭头从两个层指向它的 grad。
# 里层贡献 b 乘 x = 15，外层贡献 a 乘 x = 15。
# 在 grad 中，15 + 15 = 30。）

# %% [markdown]
# ### 两个层共用一个权重
#
# 语言模型以嵌入层（embedding）开头，这是一张表，每个词对应一行数。
# 结尾往往是一个线性层，为每个词算出一个分数，它的权重也是每个词一行。
# 为了节省内存，许多模型让这两个层使用同一个矩阵。
# 要绑定两个层的权重，把一个层的参数赋给另一个层即可：

# %%
table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
model = nn.Sequential(table, scores)
print(len(list(model.parameters())), list(model.state_dict()))
#> 1 ['0.weight', '1.weight']

# %% [markdown]
# 这个模型只有一个参数，而这个参数在状态字典里有两个名字。

# %% [markdown]
# ### 会解除权重绑定的操作
#
# 初读可以跳过这一节：等到要加载、移动或替换绑定的权重时才用得上。
# 有些操作会悄悄地让每个层各有自己的参数，这一节介绍其中三种。
# 每次做完这些操作，都要重新绑定权重。
#
# 第一种是带 `assign=True` 的 `load_state_dict`：

# %%
state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
model.load_state_dict(state, assign=True)
print(scores.weight is table.weight)
#> False

# %% [markdown]
# 加上 `assign=True`，`load_state_dict` 会逐个模块地创建新参数。
# 一个层用在两处，仍是一个模块，所以两处还是共用它的权重。
# 权重绑定的两个层是两个模块，所以各自得到一个参数。
#
# 第二种是 `to_empty`，它给 meta 设备上的网络分配内存；meta 设备上的张量有形状，但既没有内存，也没有值：

# %%
with torch.device("meta"):
    table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
model = nn.Sequential(table, scores).to_empty(device="cpu")
print(scores.weight is table.weight)
#> False

# %% [markdown]
# 第三种是赋一个新参数：`table.weight = nn.Parameter(...)` 只改变两个层中的一个。
#
# 另有两种操作会保持权重绑定：一是类型转换，例如 `model.double()`，它改变参数的 dtype；二是对整个网络做 `copy.deepcopy`：

# %%
import copy

scores.weight = table.weight
twin = copy.deepcopy(model.double())
print(scores.weight is table.weight, twin[1].weight is twin[0].weight)
#> True True

# %% [markdown]
# ## 创建优化器之后替换层
#
# 你先创建了优化器，然后替换了网络的最后一层。
# 优化器的参数是创建时拿到的，之后不会再去找新的。
# 它持有的仍是旧层的参数：

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
# 输出 `True` 说明，虽然 `backward()` 为新层的偏置算出了梯度，这个偏置却没有变。
# 用 `add_param_group` 把新参数加入优化器，还可以同时给它们单独设置学习率。
# 优化器的<dfn>学习率</dfn>（learning rate）是一个系数，决定每一步把参数改变多少。

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
# 现在偏置变了。
# 优化器有两个参数组，各有自己的学习率。
# <dfn>参数组</dfn>（parameter group）是一组参数，优化器对它们使用相同的选项，例如相同的学习率。
#
# **代价。**第一组里仍有旧层的两个参数，而 Adam 这样的优化器还会为训练过的每个参数在内存里多存一些张量。
# 要把这些全部清除，就创建一个新的优化器。
# 最好等网络全部改完，最后再创建优化器。
#
# **初读到此为止。**如果想用辅助函数检查大型网络，或者遇到了报错信息，或者网络不学习，就接着往下读。

# %% [markdown]
# ## 库中的实现
#
# 网络一大，就需要在一张表里看到全部参数和缓冲区。
# `d2lblocks.parameters` 里有生成这张表的函数，还有另外几个辅助函数。
# 要安装这个包，先克隆本站的仓库，再在其中运行 `pip install .`。

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
# 每个参数和缓冲区的每个名字在表中各占一行。
# 共享的张量有几个名字就有几行，但只计一次；备注 `is 0.weight` 标出第二个名字。
# 延后初始化的参数要从第一个批量得到形状，所以形状一栏是 `?`。
# 对于稀疏张量，表中只计实际存储的值；字节数则包括记录这些值的位置所占的字节。
#
# 如果这张表是笔记本单元格的最后一个表达式，笔记本会把它显示成 HTML 表格。
# 程序可以读取表的合计和各行：

# %%
table = parameter_table(net)
print(table.values, table.trainable_values, table.bytes)
#> 97 80 392
print([row.name for row in table if row.kind == "buffer"])
#> ['3.running_mean', '3.running_var', '3.num_batches_tracked']

# %% [markdown]
# ### 查找使用同一块内存的张量：`shared_names`
#
# `shared_names` 列出使用同一块内存的张量的名字。
# 即使同一块内存里是两个不同的参数，`is` 对它们返回 `False`，它也能找到：

# %%
a, b = nn.Linear(3, 3), nn.Linear(3, 3)
b.weight.data = a.weight.data  # do not do this in your own code
print(a.weight is b.weight, shared_names(nn.Sequential(a, b)))
#> False [['0.weight', '1.weight']]

# %% [markdown]
# 这样的两个参数并没有绑定：它们各有自己的梯度，优化器两个都持有。
# `diagnose` 把这种情况报告为 `same-memory`。

# %%
pair = nn.Sequential(a, b)
pair(torch.ones(1, 3)).sum().backward()
print(len(list(pair.parameters())), a.weight.grad is b.weight.grad)
#> 4 False

# %% [markdown]
# 普通的 SGD 把两个梯度分别乘以学习率，再从同一组值里减去。
# 效果相当于用梯度之和走一步，而梯度之和正是绑定的权重会有的梯度。
# 用 Adam 或权重衰减，结果就不同了：Adam 分别缩放每个梯度，权重衰减则作用两次。
# 转换成另一种 dtype，或者用 `copy.deepcopy`，会让两个参数各有自己的内存。

# %% [markdown]
# ### 按路径读写：`get_tensor` 和 `set_tensor`
#
# `get_tensor` 和 `set_tensor` 接受参数或缓冲区的路径。
# `set_tensor` 原地写入；新值可以是一个数，也可以是形状完全一致的张量。

# %%
set_tensor(net, "0.weight", 0.0)
print(bool((net[2].weight == 0).all()))
#> True

# %% [markdown]
# `0.weight` 和 `2.weight` 是同一个参数的两个名字，所以 `net[2]` 也有了新值。
# 如果路径写错，报错信息会提示最相近的名字：

# %%
try:
    get_tensor(net, "0.wieght")
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: Sequential has no parameter or buffer '0.wieght': the nearest is '0.weight'

# %% [markdown]
# 这些辅助函数的源代码（不含文档字符串）：
#
# *库的源代码，出自 `d2lblocks/parameters.py`：*

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
# 下面这些任务，请用 PyTorch 或其他包：
#
# - `nn.Module` 的 `get_parameter`、`get_buffer` 和 `get_submodule`，用于已知路径存在的情况；
# - `torch.nn.utils.parameters_to_vector`，把全部的值放进一个向量；
# - `torchinfo` 包，查看每一层输出的形状。

# %% [markdown]
# ## 出错的时候

# %% [markdown]
# ### `a leaf Variable that requires grad is being used in an in-place operation`
#
# 用 `+=` 之类的原地操作修改参数，结果报错。
# <dfn>叶子张量</dfn>（leaf tensor）是指不由任何被记录的操作产生的张量；参数都是叶子张量。
# 在 autograd 记录期间，需要梯度的叶子张量不能原地修改。

# %%
layer = nn.Linear(3, 3)
try:
    layer.weight += 1
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.

# %% [markdown]
# 解决办法：在 `torch.no_grad()` 下修改。

# %%
layer = nn.Linear(3, 3)
with torch.no_grad():
    layer.weight += 1

# %% [markdown]
# 如果只修改参数的一部分，报错信息略有不同：里面提到视图（view），即与另一个张量共用内存的张量。

# %%
try:
    layer.weight[0] = 0.0
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: a view of a leaf Variable that requires grad is being used in an in-place operation.

# %% [markdown]
# 解决办法相同：

# %%
with torch.no_grad():
    layer.weight[0] = 0.0
print(layer.weight[0].tolist())
#> [0.0, 0.0, 0.0]

# %% [markdown]
# ### `cannot assign 'torch.FloatTensor' as parameter 'bias'`
#
# 想给参数设置新的值，于是把一个张量赋给它的名字。
# 这个名字下注册的是参数，所以 PyTorch 只接受 `nn.Parameter` 或 `None`。

# %%
try:
    layer.bias = torch.zeros(3)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: cannot assign 'torch.FloatTensor' as parameter 'bias' (torch.nn.Parameter or None expected)

# %% [markdown]
# 解决办法：用 `copy_` 复制值，参数对象保持不变。
# 也可以赋一个新的 `nn.Parameter`，但那样优化器持有的仍是旧参数，权重绑定也会解除。

# %%
with torch.no_grad():
    layer.bias.copy_(torch.zeros(3))
print(layer.bias)
#> Parameter containing:
#> tensor([0., 0., 0.], requires_grad=True)

# %% [markdown]
# ### 给 `.data` 赋值会掩盖错误的形状
#
# 某一层报错说形状不对，可是问题出在更前面的一行。
# 你把形状不对的张量赋给了 `.data`，而它接受任何形状和任何浮点 dtype。
# 下一次前向传播会报错；如果 PyTorch 能把这个张量广播（扩展）成正确的形状，就根本不会报错：

# %%
layer = nn.Linear(3, 1)
layer.bias.data = torch.randn(3, 3)
try:
    layer(torch.rand(2, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: The expanded size of the tensor (1) must match the existing size (3) at non-singleton dimension 1.  Target sizes: [2, 1].  Tensor sizes: [3, 3]

# %% [markdown]
# 解决办法：在 `torch.no_grad()` 下用 `copy_`，错在哪一行，就在哪一行报错。

# %%
layer = nn.Linear(3, 1)
try:
    with torch.no_grad():
        layer.bias.copy_(torch.randn(3, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: output with shape [1] doesn't match the broadcast shape [3, 3]

# %% [markdown]
# `copy_` 仍会广播较小的张量。
# `set_tensor` 不会：它要求形状完全一致。

# %% [markdown]
# ### 梯度错了，却没有报错
#
# 训练没有报错，但某个梯度的值不对。
# 原因是在前向传播和 `backward()` 之间经由 `.data` 修改了权重。
# 上文的例子算出的梯度是 40 而不是 4，就是这个原因。
#
# 解决办法：在 `backward()` 之后、`torch.no_grad()` 下修改权重。

# %%
w = nn.Parameter(torch.tensor(2.0))
y = w**2
y.backward()
with torch.no_grad():
    w.fill_(20.0)
print(w.grad)
#> tensor(4.)

# %% [markdown]
# 下次怎样及早发现：只在 `torch.no_grad()` 下修改权重；如果改得太早，`backward()` 会报错，而不是算出错误的梯度。
#
# 在 `forward` 里经由 `.data` 修改权重，也是同样的错误。
# `diagnose` 把这种情况报告为 `data-write`。

# %% [markdown]
# ### 换上的层不学习
#
# 换了一个层，训练中新层的参数却没有变化。
# 优化器是在替换之前创建的，持有的仍是旧层的参数，上文已经演示过。
# `load_state_dict(..., assign=True)` 会替换所有参数，结果也一样：

# %%
layer = nn.Linear(2, 2)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
layer.load_state_dict(layer.state_dict(), assign=True)
held = optimizer.param_groups[0]["params"]
print(any(parameter is layer.weight for parameter in held))
#> False

# %% [markdown]
# 解决办法：最后再创建优化器。
#
# 下次怎样及早发现：像上面的代码片段那样，在 `optimizer.param_groups` 里查找这个参数。
# `diagnose` 把这种情况报告为 `optimizer`。

# %% [markdown]
# ### `optimizer got an empty parameter list`，而网络明明有参数
#
# 网络有参数，优化器却说一个也没有收到。
# `parameters()` 返回的是生成器，而生成器遍历一次之后就空了：

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
# 解决办法：保留一个列表，或者再调用一次 `parameters()`。

# %%
parameters = list(net.parameters())
print(
    len(parameters), len(torch.optim.SGD(parameters, lr=0.1).param_groups[0]["params"])
)
#> 2 2

# %% [markdown]
# ### `can't optimize a non-leaf Tensor`
#
# 把一个张量交给优化器，却被拒绝。
# 优化器只修改叶子张量，而你的张量是对参数做了某个操作的结果。
# 类型转换就是这样的操作；如果张量需要移动，`.to(device)` 也是：

# %%
weight = nn.Parameter(torch.rand(2)).double()
try:
    torch.optim.SGD([weight], lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: can't optimize a non-leaf Tensor

# %% [markdown]
# 解决办法：先做类型转换、移动或计算，最后再创建 `nn.Parameter`。

# %%
weight = nn.Parameter(torch.rand(2).double())
print(torch.optim.SGD([weight], lr=0.1).param_groups[0]["params"][0] is weight)
#> True

# %% [markdown]
# 在模块内部，这样做不会报错，因为结果没有注册：参见自定义层中的错误。
# `diagnose` 把这种情况报告为 `not-a-parameter`。

# %% [markdown]
# ### `some parameters appear in more than one parameter group`
#
# 想给某一层用不同的学习率，于是为它加了一个组。
# 现在它的参数在两个组里：新的组，以及包含全部参数的组。

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
# 解决办法：让各组互不重叠。

# %%
groups = [
    {"params": net[:2].parameters()},
    {"params": net[2].parameters(), "lr": 0.01},
]
print([group["lr"] for group in torch.optim.SGD(groups, lr=0.1).param_groups])
#> [0.1, 0.01]

# %% [markdown]
# ### 冻结的层仍在训练：`require_grad`
#
# 冻结了一个层，训练却还在改变它。
# 参数的这个属性叫 `requires_grad`，带一个 `s`。
# 如果拼错，Python 会悄悄创建一个新属性：

# %%
net[0].weight.require_grad = False
print(net[0].weight.requires_grad)
#> True

# %% [markdown]
# 模块没有 `requires_grad` 属性，所以给它赋值也会创建一个新属性：

# %%
net.requires_grad = False
print(net[2].weight.requires_grad)
#> True

# %% [markdown]
# 解决办法：调用方法 `requires_grad_`，参数和模块都有这个方法。

# %%
net[0].weight.requires_grad_(False)
print(net[0].weight.requires_grad)
#> False

# %% [markdown]
# 下次怎样及早发现：打印 `requires_grad` 为 `True` 的参数的名字。
# `diagnose` 把这种情况报告为 `misspelt`。

# %% [markdown]
# ### `'method' object is not subscriptable`
#
# 想读取状态字典里的一个条目，报错信息里却提到方法。
# `state_dict` 是方法，这里少了调用它的括号。

# %%
try:
    net.state_dict["0.weight"]
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: 'method' object is not subscriptable

# %% [markdown]
# 解决办法：调用这个方法。

# %%
print(net.state_dict()["0.weight"].shape)
#> torch.Size([8, 4])

# %% [markdown]
# ### `Only Tensors created explicitly by the user ... support the deepcopy protocol`
#
# 用 `copy.deepcopy` 复制网络，却得到一条报错信息，说的是用户创建的张量。
# `copy.deepcopy` 只复制叶子张量，而这个网络持有一个由参数计算出来的张量。
# 如果模块把最近一次的输出存了下来，就持有这样的张量。
# 两个较旧的函数 `nn.utils.weight_norm` 和 `nn.utils.spectral_norm` 会用其他张量算出层的权重，并把结果存在层里。

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
# 解决办法：只存储值，不带计算图。

# %%
keeps.last = keeps.last.detach()
print(torch.equal(copy.deepcopy(keeps).last, keeps.last))
#> True

# %% [markdown]
# `weight_norm` 可以换成 `nn.utils.parametrizations` 里较新的同名函数，它在每次需要权重时才计算。
# 使用新函数的层，可以加载用旧函数时保存的状态字典。

# %%
normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
print(torch.equal(copy.deepcopy(normed)(X), normed(X)))
#> True

# %% [markdown]
# ### `[layer] * 3` 得到的是一个层，不是三个
#
# 想要三个同类的层，网络却只有一个层的参数。
# `[layer] * 3` 这个列表里，同一个层出现了三次。

# %%
net = nn.Sequential(*[nn.Linear(4, 4)] * 3)
print(len(list(net.parameters())), shared_names(net))
#> 2 [['0.weight', '1.weight', '2.weight'], ['0.bias', '1.bias', '2.bias']]

# %% [markdown]
# 解决办法：用列表推导式创建三个层。

# %%
net = nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)])
print(len(list(net.parameters())), shared_names(net))
#> 6 []

# %% [markdown]
# 下次怎样及早发现：打印 `shared_names(net)`，没有共享的张量，它就是空的。
# `diagnose` 把这种情况报告为 `one-layer-many-names`。

# %% [markdown]
# ## 练习题

# %% [markdown]
# ### 练习题 1
#
# 编写函数 `part(net, path)`，返回网络中由点分路径指定的部分，例如 `"net.0.weight"` 处的权重。
# 这个部分可以是参数、缓冲区，也可以是模块（如 `"net.0"`）；函数返回对象本身，而不是副本。
# 函数沿着路径一个名字一个名字地往下走。
# 每个名字都是属性名；`1` 这样的名字，不一定就是直接子模块的位置。
#
# 练习（容易）：`python -m d2lblocks practice start parameters/1`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 路径说明了要依次经过哪些属性和索引。
# `net.0.weight` 处的权重是 `net.net[0].weight`：名字 `0` 也是属性，但 `net.net.0` 不是合法的 Python 代码，所以用 `getattr` 读取。
#
# *parameters/1_by_path.py*

# %%
def part(net, path):
    for name in path.split("."):
        net = getattr(net, name)
    return net

# %% [markdown]
# 下面的代码片段用三种方式取得 `NestMLP` 的每个参数：循环、手写、按路径。

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
# ### 练习题 2
#
# 补全一个 MLP，其中的一个隐藏层用了两次。
# `SharedMLP(4, 8, 1)` 有三个线性层：`first` 从 4 个数到 8 个数，`hidden` 从 8 到 8，`last` 从 8 到 1。
# 在 `forward` 中，输入先经过 `first`，再经过 `hidden`，又一次经过同一个 `hidden`，最后经过 `last`。
# `first` 的输出和 `hidden` 的两次输出都要用 `F.relu` 处理。
# `net.state_dict()` 有六个条目：三个层各有一个权重和一个偏置。
#
# 练习（容易）：`python -m d2lblocks practice start parameters/2`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 层只创建一次，调用两次。
# 不需要把任何东西从一处复制到另一处，因为两次调用用的是同样的参数。
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
# 网络能够训练，共享权重的梯度是它在两处的梯度之和。
# 为了分别得到这两个梯度，下面的代码片段把 `hidden` 的副本放到第二处，再运行一次网络：

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
# ### 练习题 3
#
# 函数 `freeze(net, name)` 本应冻结叫这个名字的模块，例如 `"1"` 或 `"net.0"`，但里面有五处错误。
# 请改正：调用之后，这个模块的参数都不需要梯度，`.grad` 也都是 `None`，这样就没有优化器会改动它们。
# 其他参数保持原样，梯度也保留：`freeze(net, "1")` 不会冻结模块 `10`。
# 如果一个模块在网络中有两个名字，用哪个名字都能冻结。
# 如果没有叫这个名字的模块，函数要报错。
#
# 练习（中等）：`python -m d2lblocks practice start parameters/3`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 函数有五处错误。
# `require_grad` 拼错了，成了一个新属性，什么也没有冻结。
# 前缀 `1` 也匹配模块 `10` 里的名字。
# 有两个名字的参数只会以第一个名字列出。
# 旧的梯度还在，优化器的下一步会用到它。
# 如果没有叫这个名字的模块，什么也不会发生，也不报错。
# 更简单的做法是取出模块，其余的交给它自己的方法：
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
# ### 练习题 4
#
# 编写两个函数，看看共用一个矩阵能为模型节省多少内存。
# `language_model(words, features)` 返回一个 `nn.Sequential`，由权重绑定的 `nn.Embedding(words, features)` 和 `nn.Linear(features, words, bias=False)` 组成。
# `size(net)` 返回任意一个网络的参数和缓冲区共占多少字节，每个张量只计一次。
# 同一个网络的张量，dtype 可以不同。
# `size` 也要适用于 meta 设备上的网络，那里的张量有形状和 dtype，但没有内存。
#
# 练习（中等）：`python -m d2lblocks practice start parameters/4`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 两个层都有一个每词一行的矩阵，所以可以共用一个矩阵。
# 如果各用各的，第二个矩阵既占内存，又需要学习。
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
# 在 meta 设备上，不必分配内存就能算出一个大模型要占多少内存，这里是 50,000 个词，每个词 512 个数。
# 第二个模型由同样的两个层组成，但没有绑定。

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
# ### 练习题 5
#
# 权重衰减针对的是权重矩阵，而不是偏置或归一化层的缩放系数。
# 编写函数 `decay_groups(net, decay)`，返回一个列表，内含供优化器使用的两个参数组，用法如 `torch.optim.AdamW(decay_groups(net, 0.01))`。
# 第一组是有两个或更多维度的参数，`"weight_decay"` 为 `decay`。
# 第二组是其余的参数，权重衰减为 0。
# 冻结的参数不在任何一组里，有两个名字的参数在所属的组里只出现一次。
#
# 练习（中等）：`python -m d2lblocks practice start parameters/5`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 线性层和卷积层的权重有两个或更多维度。
# 偏置只有一个维度，大多数归一化层的缩放系数也是如此。
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
# **局限。**这条规则并不精确：它会把权重衰减也用到嵌入层和跨两个维度的 `LayerNorm` 上。
# 延后初始化的网络要先做一次试运行。

# %% [markdown]
# ### 练习题 6
#
# 加载可能解除模型的权重绑定，所以训练脚本要在第一步之前检查。
# 编写 `ties(net)`，返回绑定的参数的名字：每个有两个或更多名字的参数，对应一个名字列表。
# 各列表的顺序不限，列表中名字的顺序也不限。
# 使用同一块内存的两个参数不算绑定，因为它们各有自己的梯度。
# 再编写 `tie(net, groups)`，重新绑定权重：之后，`groups` 里每个列表的所有名字都指向其中第一个名字的参数。
# 其他名字保持原样。
#
# 练习（较难）：`python -m d2lblocks practice start parameters/6`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 绑定的权重是同一个 `nn.Parameter` 对象，所以检查时按对象给名字分组。
# 要绑定一个名字，就在持有它的模块上设置；最后一个点号之前的路径就是这个模块的路径。
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
# 训练脚本在加载之前记下这些组，加载之后重新绑定权重：

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
# `shared_names` 发现不了这个问题：在 `load_state_dict(torch.load(path), assign=True)` 之后，两个参数虽然已是两个对象，用的却仍是同一块内存。

# %% [markdown]
# ## 小结
#
# | 想要 | 写法 |
# |---|---|
# | 一个参数 | `net[2].bias`, `net.get_parameter("2.bias")` |
# | 它的值和梯度 | `.detach()`, `.grad` |
# | 全部参数，按名字 | `net.named_parameters()` |
# | 再加上缓冲区和额外的名字 | `net.state_dict()`, `parameter_table(net)` |
# | 修改值 | `with torch.no_grad(): parameter.copy_(...)`, `set_tensor(net, path, value)` |
# | 冻结 | `net.requires_grad_(False)` |
# | 共享 | 一个层用在两处，或 `b.weight = a.weight` |
# | 查看哪些是共享的 | `is`, `shared_names(net)` |
# | 为一个层单独设学习率 | `optimizer.add_param_group(...)` |
# | 持有全部参数的优化器 | `torch.optim.SGD(net.parameters(), lr=...)`，在全部修改之后 |
#
# 库中的函数见 `d2lblocks.parameters`。
#
# 下一个主题：初始化，为参数选择训练开始前的值。
