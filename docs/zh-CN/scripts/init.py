# %% [markdown]
# # 初始化
#
# 这是 d2lblocks 中“初始化”一页的脚本版：由页面生成，并且运行过。
# 运行它需要 `d2lblocks`、`matplotlib` 和 `torch`。
# 在本仓库的克隆里运行 `pip install .`，就会装好 `d2lblocks`。
#
# 把 20 个层叠起来开始训练，损失却几乎不动：初始权重太小，数值传到最后一层时已缩到接近 0。
# 又或者，你写了一个函数来设置更好的初始权重，有一层却悄悄留着旧权重。
#
# - **学完之后你能：**为整个网络、一个层或一个张量选择初始值；按深度和激活函数选定合适的尺度；检查每个层是否都得到了你选的值。
# - **需要先会：**层与模块和参数；画图要用 Matplotlib。
# - **需要多长时间：**读到库中的实现之前约 35 分钟，学下一个主题有这部分就够了；加上其余部分和练习题，约 65 分钟。
#
# 本页的例子从这个网络和这个批量开始：

# %%
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
X = torch.rand(2, 4)

# %% [markdown]
# ## 各层的默认初始化
#
# <dfn>初始化</dfn>（initialization）是在训练开始之前给网络的参数设定数值的那一步。
# PyTorch 会替你做参数初始化：每个层在创建时填好自己的参数，延后初始化层则等到第一个批量到来时再填。
#
# <dfn>均匀分布</dfn>（uniform distribution）写作 U(low, high)，low 与 high 之间的所有值出现的可能性相等；PyTorch 的默认初始化大多使用 U(-a, a)，它关于 0 对称。
# 层的<dfn>扇入</dfn>（fan-in）是它计算每个输出时用到的输入个数；对 `nn.Linear` 来说就是 `in_features`。
# 层的<dfn>扇出</dfn>（fan-out）是每个输入参与计算的输出个数；对 `nn.Linear` 来说就是 `out_features`。
#
# `nn.Linear` 的权重和偏置都从下面这个均匀分布中随机抽取：
#
# $$ U({-a}, a), \quad a = \frac{1}{\sqrt{\mathrm{fan\_in}}} $$
#
# 一个层要相加的输入越多，初始权重就越小。
#
# 下面的代码片段检查两点：所有值的绝对值都不超过边界 a（`bound`）；标准差约为 a/√3，与 U(-a, a) 相符：

# %%
def looks_uniform(values, bound):
    spread = values.std().item() / (bound / 3**0.5)
    return bool(values.abs().max() <= bound) and 0.95 < spread < 1.05


layer, bound = nn.Linear(400, 100), 400**-0.5
print(looks_uniform(layer.weight, bound), bool((layer.bias.abs() <= bound).all()))
#> True True

# %% [markdown]
# 偏置里的数太少，算不出可靠的标准差，所以代码片段只检查它们是否都在边界之内。
#
# <dfn>正态分布</dfn>（normal distribution）写作 N(mean, std²)，是以 `mean` 为中心、标准差为 `std` 的钟形曲线；括号里的第二个数是方差，即标准差的平方。
#
# 下表列出最常用的层的默认值；不认识的层，跳过那几行就好。
# 这些默认值出自 PyTorch 的文档，只有 `nn.MultiheadAttention` 的出自源代码。
#
# | 层 | 权重 | 偏置 |
# |---|---|---|
# | [`nn.Linear`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html) | U(-a, a), a = 1/√`in_features` | 与权重相同 |
# | [`nn.Conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html)，1d 和 3d 也一样 | U(-a, a)，a = 1/√(`in_channels / groups` · 卷积核元素数) | 与权重相同 |
# | [`nn.ConvTranspose2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html)，1d 和 3d 也一样 | U(-a, a)，a = 1/√(`out_channels / groups` · 卷积核元素数) | 与权重相同 |
# | [`nn.RNN`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html), `nn.LSTM`, `nn.GRU` | U(-a, a), a = 1/√`hidden_size` | 与权重相同 |
# | [`nn.MultiheadAttention`](https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html) | `in_proj_weight`：`xavier_uniform_`（见下文）；`out_proj.weight`：与 `nn.Linear` 相同 | 0 |
# | [`nn.Embedding`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html) | N(0, 1)；`padding_idx` 那一行为 0 | 无 |
# | [`nn.LayerNorm`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html), `nn.BatchNorm2d`, `nn.GroupNorm` | 1 | 0 |
# | [`nn.RMSNorm`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html) | 1 | 无 |
#
# 卷积核元素数就是卷积核里有几个数：5 × 5 的卷积核有 25 个。
#
# 嵌入层（embedding）为每个词元（token）存一行数，例如每个单词一行。
# 嵌入层的<dfn>填充索引</dfn>（padding index，`padding_idx`）是一个特殊词元的索引：较短的序列用这个词元补在后面，直到同一批量的所有序列一样长；它的那一行全是零，也不参与训练。
#
# 设了 `groups`，卷积就把通道分成这么多组，每个输出只用自己那一组的输入。
# `in_proj_weight` 由三个权重合成，所以输出数是输入数的三倍。
# 下面的代码片段检查表中的大部分行，可以跳过：

# %%
attention = nn.MultiheadAttention(100, 4)
checks = [
    (nn.Conv2d(8, 40, 5, groups=2).weight, (4 * 5 * 5) ** -0.5),
    (nn.ConvTranspose2d(8, 40, 5).weight, (40 * 5 * 5) ** -0.5),
    (nn.LSTM(20, 100).weight_ih_l0, 100**-0.5),
    (attention.in_proj_weight, (6 / (100 + 3 * 100)) ** 0.5),
    (attention.out_proj.weight, 100**-0.5),
]
print(all(looks_uniform(weight, bound) for weight, bound in checks))
#> True
embedding = nn.Embedding(100, 100, padding_idx=0)
print(0.95 < embedding.weight.std().item() < 1.05)
#> True
for zeros in (attention.out_proj.bias, embedding.weight[0], nn.GroupNorm(1, 3).bias):
    print(bool((zeros == 0).all()))
#> True
#> True
#> True

# %% [markdown]
# 如果层有 `layer.reset_parameters()` 这个方法，调用它会重新抽取默认值。

# %% [markdown]
# ### 默认值的来历
#
# 初读可以跳过：这一节解释 PyTorch 中线性层和卷积层的默认值为什么比预想的小，要用到下一节才定义的增益。
#
# 这些默认值在 PyTorch 之前就有了。
# PyTorch 的一位作者说，[出处](https://github.com/pytorch/pytorch/issues/5168)是 *Efficient BackProp*（LeCun、Bottou、Orr 和 Müller，1998）。
# 那篇论文里，1/√fan_in 是标准差；到了 PyTorch 里，它成了边界，所以标准差还要除以 √3。
# 为了[向后兼容](https://github.com/pytorch/pytorch/issues/1667)，PyTorch 一直保留这些值。
#
# PyTorch 的源代码把默认值写作 `kaiming_uniform_(weight, a=math.sqrt(5))`。
# 这里的 `a` 不是上文的边界，而是 leaky ReLU 的斜率：leaky ReLU 把负数乘以这个斜率，而不是换成 0。
# leaky ReLU 的增益是 √(2 / (1 + 斜率²))，这里等于 1/√3。
# 边界等于 √3 乘以增益再除以 √fan_in，也就是 [1/√fan_in](https://github.com/pytorch/pytorch/issues/57109)。
#
# 对使用 ReLU 的深层网络，这些默认值太小：后果见激活值的消失与爆炸。

# %% [markdown]
# ## 初始化一个张量：`torch.nn.init` 的函数
#
# 想给一个张量换上新值，就把它传给 [`torch.nn.init`](https://docs.pytorch.org/docs/stable/nn.init.html) 的某个函数。
# 函数在 `torch.no_grad()` 下原地改写这些值，并返回同一个张量。

# %%
print(nn.init.constant_(net[2].bias, 0.5))
#> Parameter containing:
#> tensor([0.5000], requires_grad=True)
print(nn.init.zeros_(net[0].weight) is net[0].weight)
#> True

# %% [markdown]
# 用 `normal_` 和 `uniform_` 时，随机权重的尺度（数值的典型大小）由你自己定。
# 另有两类函数根据权重的形状算出尺度。
#
# <dfn>Xavier 初始化</dfn>（Xavier initialization）也叫 Glorot 初始化，根据扇入与扇出之和计算随机权重的尺度。
# 取两者之和是一种折中：只按扇入定尺度，前向传播中数值的大小不变；只按扇出定尺度，反向传播中梯度的大小不变。
# <dfn>Kaiming 初始化</dfn>（Kaiming initialization）也叫 He 初始化，根据扇入和激活函数计算随机权重的尺度，使数值的大小在使用 ReLU 的深层网络中保持不变。
#
# 激活函数会改变数值的大小：以 ReLU 为例，如果数值关于 0 对称分布，它会让数值平方的均值减半。
# 激活函数的<dfn>增益</dfn>（gain）是一个倍数：随机权重乘上它，数值经过激活函数后大小不变；ReLU 的增益是 √2。
#
# | 函数 | 分布 | 适用于 | 出处 |
# |---|---|---|---|
# | `uniform_`<br>`normal_` | U(a, b)，默认 U(0, 1)<br>N(mean, std²)，默认 N(0, 1) | 由你自己定尺度的权重 | |
# | `trunc_normal_` | N(mean, std²)；[a, b] 之外的值重新抽取 | 嵌入层、Transformer | |
# | `zeros_`, `ones_`<br>`constant_` | 同一个值 | 偏置；归一化层的缩放系数；残差块 `X + f(X)` 的最后一层（练习题 4） | |
# | `xavier_uniform_` | U(-a, a)，a = gain · √(6 / (fan_in + fan_out)) | tanh；注意力 | [Glorot 和 Bengio，2010](https://proceedings.mlr.press/v9/glorot10a.html) |
# | `xavier_normal_` | N(0, std²)，std = gain · √(2 / (fan_in + fan_out)) | 与 `xavier_uniform_` 相同 | 同一篇论文 |
# | `kaiming_uniform_` | U(-a, a)，a = gain · √(3 / fan) | ReLU 及类似的激活函数 | [He 等，2015](https://arxiv.org/abs/1502.01852) |
# | `kaiming_normal_` | N(0, std²)，std = gain / √fan | 与 `kaiming_uniform_` 相同 | 同一篇论文 |
# | `orthogonal_` | 各行长度为 `gain`，两两正交；行比列多时，改为各列 | 循环层的权重；很深的网络 | [Saxe 等，2013](https://arxiv.org/abs/1312.6120) |
# | `sparse_` | N(0, std²)；每一列中 0 所占的比例为 `sparsity` | 每个输入只影响少数几个输出的层 | [Martens，2010](https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf) |
# | `eye_`<br>`dirac_` | 矩阵形式的恒等映射<br>卷积形式的恒等映射 | 一开始原样传递输入的层 | |
#
# 在 `kaiming_*` 那几行里，`fan` 是扇入；设 `mode="fan_out"` 则是扇出。
#
# [`nn.init.calculate_gain`](https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain) 返回激活函数的增益；对 tanh 返回 5/3（效果见后文）。
# `xavier_*` 函数直接接收增益的数值，默认为 1。
# `kaiming_*` 函数用 `nonlinearity` 接收激活函数的名字，默认使用 ReLU 的增益。
# 下面的代码片段拿公式核对其中两个函数：

# %%
w = torch.empty(256, 800)
std = nn.init.kaiming_normal_(w).std().item()
print(f"{std:.3f} {2**0.5 / 800**0.5:.3f}")
#> 0.050 0.050
gain = nn.init.calculate_gain("tanh")
largest = nn.init.xavier_uniform_(w, gain=gain).abs().max().item()
print(f"{largest:.3f} {5 / 3 * (6 / (800 + 256)) ** 0.5:.3f}")
#> 0.126 0.126

# %% [markdown]
# **注意。**`trunc_normal_` 的上下限默认是 -2 和 2。
# 它们就是普通的数，不是 `std` 的倍数：设 `std=0.02`，上下限离均值有 100 个标准差，什么也截不掉。

# %% [markdown]
# ### 扇入与扇出：各是哪个维度
#
# 初读可以跳过：只有自己编写带权重的层时才用得到。
#
# 在 PyTorch 中，线性层权重的形状是 `(out_features, in_features)`，所以扇入是**第二个**维度的大小。
#
# （图：nn.Linear(4, 3) 的权重画成矩阵，三个输出各占一行，四个输入各占一列。
# 高亮的一行有四个权重，即扇入。
# 虚线框出的一列有三个，即扇出。）
#
# 对卷积核元素数为 k 的卷积，PyTorch 取 k · `in_channels / groups` 为扇入，取 k · `out_channels` 为扇出。
#
# 如果你自己的层计算 `X @ weight`，权重的形状就是 `(in, out)`，`torch.nn.init` 的函数会把扇出当成扇入。
# Xavier 初始化的尺度仍然正确，因为它只用两者之和；Kaiming 初始化的尺度就错了。
# 解决办法有两种：传入 `mode="fan_out"`，或者改填 `weight.T`，它是转置后的视图，与权重共用内存。

# %%
mine = torch.empty(800, 8)  # X @ mine takes 800 inputs
print(f"{nn.init.kaiming_normal_(mine).std().item():.1f}")
#> 0.5
nn.init.kaiming_normal_(mine, mode="fan_out")
print(f"{mine.std().item():.2f} {(2 / 800) ** 0.5:.2f}")
#> 0.05 0.05
nn.init.kaiming_normal_(mine.T)
print(f"{mine.std().item():.2f}")
#> 0.05

# %% [markdown]
# 第一个标准差是正确值的十倍；两种办法都得到 √(2 / 800) = 0.05。
#
# `nn.ConvTranspose2d` 的权重按 `(in, out / groups, ...)` 存放。
# 不分组且步幅为 1 时，`mode="fan_out"` 给出正确的尺度。
# 其他情况下，要自己数一个输出用到多少个输入。
# 例如步幅为 2 时，相邻的输入落到输出上相隔两格，4 × 4 的卷积核中只有 2 · 2 个元素参与同一个输出的计算，扇入就是 `in_channels` 的 4 倍。

# %% [markdown]
# ### 是标准差，不是方差
#
# 论文常把正态分布写成 N(mean, variance)，第二个数是方差，而 `normal_` 要的是标准差。
# 如果论文写的是 N(0, 0.01)，就要传入 0.01 的平方根：

# %%
print(f"{nn.init.normal_(w, 0, 0.01).std().item():.2f}")
#> 0.01
print(f"{nn.init.normal_(w, 0, 0.01**0.5).std().item():.1f}")
#> 0.1

# %% [markdown]
# ### 自己指定数值
#
# 想设成特定的值，就在 `torch.no_grad()` 下赋值，做法与参数一页相同：

# %%
with torch.no_grad():
    net[0].weight[0] = torch.tensor([1.0, 2.0, 3.0, 4.0])  # one row
    net[0].bias += 1  # add 1 to every number
print(net[0].weight[0].detach())
#> tensor([1., 2., 3., 4.])

# %% [markdown]
# ## 初始化整个网络：`net.apply`
#
# 网络大了，初始化权重时没人想逐层动手去填。
# `net.apply(f)` 对网络的每个模块各调用一次 `f`：

# %%
done = net.apply(lambda module: print(type(module).__name__))
#> Linear
#> ReLU
#> Linear
#> Sequential
print(done is net)
#> True

# %% [markdown]
# `apply` 先对模块的直接子模块调用 `f`，再对模块自己调用，所以网络排在最后。
# 它返回的就是这个网络。
#
# `f` 会收到各种模块，激活函数和容器也在其中，所以要先检查收到的是什么：

# %%
def init_normal(module):
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, mean=0, std=0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


net.apply(init_normal)
print(net[0].bias.tolist(), bool((net[0].weight.abs() < 0.1).all()))
#> [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] True

# %% [markdown]
# 两个线性层都换上了新权重，偏置为 0。
# （标准差为 0.01 时，绝对值超过 0.1 的数几乎不会出现。）
#
# **注意。**如果函数检查的类不对，它就什么也不做，也不会有任何提示：见例子。

# %% [markdown]
# ### 各层用不同的初始化
#
# 也可以只对网络的一部分或单个层调用 `apply`：

# %%
def init_xavier(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)


def init_42(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 42)


net[0].apply(init_xavier)
net[2].apply(init_42)
print(bool((net[0].weight.abs() <= (6 / (4 + 8)) ** 0.5).all()))
#> True
print(net[2].weight.tolist())
#> [[42.0, 42.0, 42.0, 42.0, 42.0, 42.0, 42.0, 42.0]]

# %% [markdown]
# 想按名字挑选参数，就遍历 `named_parameters()`。
# 这个循环填好所有偏置：

# %%
for name, parameter in net.named_parameters():
    if name.endswith("bias"):
        nn.init.zeros_(parameter)
print(net[2].bias.tolist())
#> [0.0]

# %% [markdown]
# ### 从自己的分布抽取
#
# 初读可以跳过：这一节说明怎样构造 `torch.nn.init` 没有的分布。
#
# 假设你希望每个权重取自 U(5, 10) 或 U(-10, -5)，概率各为 1/4，或者等于 0，概率为 1/2。
# 这等于先从 U(-10, 10) 中抽取，再把 -5 与 5 之间的值都换成 0：两侧各剩下整个范围的四分之一。

# %%
def my_init(module):
    if isinstance(module, nn.Linear):
        nn.init.uniform_(module.weight, -10, 10)
        with torch.no_grad():
            module.weight *= module.weight.abs() >= 5


weight = nn.Linear(400, 100).apply(my_init).weight
for part, share in ((weight >= 5, 1 / 4), (weight == 0, 1 / 2), (weight <= -5, 1 / 4)):
    print(abs(part.float().mean().item() - share) < 0.02)
#> True
#> True
#> True

# %% [markdown]
# ## 权重为什么不能全相等：对称性
#
# 如果一个隐藏层的所有神经元权重相同、偏置也相同，它们算出的值就全都一样。
# 如果下一层对这些输出的权重也相等，`backward()` 给这些神经元的梯度就都相同。
# 此后每一步训练都让它们保持相同：

# %%
def init_constant(module):
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.weight, 1)
        nn.init.zeros_(module.bias)


same = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)).apply(init_constant)
optimizer = torch.optim.SGD(same.parameters(), lr=0.01)
for _ in range(10):
    optimizer.zero_grad()
    nn.functional.mse_loss(same(X), torch.zeros(2, 1)).backward()
    optimizer.step()

rows = same[0].weight.grad
print(bool((rows == rows[0]).all()), bool((same[0].weight == same[0].weight[0]).all()))
#> True True

# %% [markdown]
# 十步之后，梯度的各行相等，权重的各行也相等。
# 八个这样的神经元，无论网络训练多久，能做的都不比一个多。
#
# 一层神经元之间的<dfn>对称性</dfn>（symmetry）是指它们的权重相等，得到的梯度也相等，因此训练永远不会让它们变得不同。
# 要打破对称性，就随机抽取隐藏层或下一层的权重。
# 这样，偏置就可以从 0 开始。

# %% [markdown]
# ## 各种分布的样子
#
# 下面的代码片段用六种方式填一个有 256 个输出和 256 个输入的权重，并为每种方式画一张直方图。
# 虚线在 ±1/√256 处，即 `nn.Linear` 的边界。
#
# <dfn>随机数生成器</dfn>（random number generator）是产生随机数的对象；如果不传入自己的生成器，PyTorch 就用所在设备的默认生成器。
# <dfn>随机种子</dfn>（seed）是随机数生成器的起点，是一个数：随机种子相同，生成器就以相同的顺序产生相同的数。
# `torch.manual_seed(0)` 给所有设备的默认生成器设定随机种子，所以每次运行抽到的权重都一样。

# %%
import matplotlib.pyplot as plt

# Only for a picture file that is the same in every run: you can leave this out.
plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "d2lblocks"})


def empty():
    return torch.empty(256, 256, dtype=torch.float64)


torch.manual_seed(0)
weights = {
    "nn.Linear": nn.Linear(256, 256, dtype=torch.float64).weight.detach(),
    "normal_(std=0.01)": nn.init.normal_(empty(), std=0.01),
    "xavier_uniform_()": nn.init.xavier_uniform_(empty()),
    "xavier_normal_()": nn.init.xavier_normal_(empty()),
    "kaiming_normal_()": nn.init.kaiming_normal_(empty()),
    "orthogonal_()": nn.init.orthogonal_(empty()),
}

figure, axes = plt.subplots(2, 3, figsize=(8, 4), sharex=True, sharey=True)
figure.set_layout_engine("constrained")
for axis, (title, weight) in zip(axes.flat, weights.items()):
    axis.hist(weight.flatten(), bins=24, range=(-0.25, 0.25), histtype="stepfilled")
    axis.vlines(
        [-1 / 16, 1 / 16], 0, 7500, color="gray", linestyle="--", linewidth=0.8
    )
    axis.set(title=title, ylim=(0, 7500), yticks=[])
figure.savefig("plot-initializers.svg", metadata={"Date": None})

# %% [markdown]
# （图：六张坐标轴相同的直方图。
# nn.Linear 是从负 1/16 到正 1/16 的平顶方块。
# std 为 0.01 的 normal_ 是 0 处的一根尖针，顶端被截去。
# xavier_uniform_ 是平顶方块，宽度是第一个的 1.7 倍。
# xavier_normal_ 和 orthogonal_ 是宽度相同的钟形曲线。
# kaiming_normal_ 也是钟形曲线，宽度是这两条的 1.4 倍。）
#
# `orthogonal_` 看上去和 `xavier_normal_` 一样，因为直方图显示不出数值之间的关系；只有 `orthogonal_` 的各行两两正交。

# %% [markdown]
# ## 激活值的消失与爆炸
#
# 数值每经过一层，大小都要乘上某个因子。
# 一个 1/2 影响不大，二十个相乘就只有约 10⁻⁶。
# <dfn>激活值消失</dfn>（vanishing activations）是指层的输出逐层变小，直到接近 0。
# <dfn>激活值爆炸</dfn>（exploding activations）是指层的输出逐层变大，直到数值大得无法训练。
#
# 下面的代码片段让 256 个随机输入通过 20 个宽度为 256 的层，每层后面接一个 ReLU。
# 每层之后，用均方根衡量数值的大小：所有值先平方，取均值，再开平方。
# 数据类型用 `float64`，因为有些平方太小，`float32` 表示不了。

# %%
def scales(fill, layers=20, width=256):
    """The root mean square of the activations after each layer."""
    torch.manual_seed(0)
    X = torch.randn(256, width, dtype=torch.float64)
    values = []
    for _ in range(layers):
        layer = nn.Linear(width, width, bias=False, dtype=torch.float64)
        fill(layer.weight)
        X = torch.relu(layer(X)).detach()
        values.append(X.square().mean().sqrt().item())
    return values


initializations = {
    "kaiming_normal_()": nn.init.kaiming_normal_,
    "xavier_normal_()": nn.init.xavier_normal_,
    "nn.Linear": lambda weight: weight,
    "normal_(std=0.01)": lambda weight: nn.init.normal_(weight, std=0.01),
}

for label, fill in initializations.items():
    print(f"{label:17} {scales(fill)[-1]:.0e}")
#> kaiming_normal_() 9e-01
#> xavier_normal_()  9e-04
#> nn.Linear         2e-08
#> normal_(std=0.01) 1e-19

# %% [markdown]
# 只有 `kaiming_normal_` 保住了激活值的大小。
# 用 `nn.Linear` 的默认权重，激活值缩小到 2 · 10⁻⁸。
# `diagnose` 把这种情况报告为 `scale`。
#
# 除去随机波动，这些数字可以用公式解释。
# 每个输出是 n 个乘积之和，每个乘积是一个权重乘一个输入，n 是宽度。
# 各权重相互独立，均值为 0，方差为 v，所以不同两项的乘积平均为 0，输出的均方是输入均方的 n · v 倍。
# 输出有一半是负数；ReLU 把它们换成 0，均方减半。
# 所以每层都把均方乘以 n · v / 2：
#
# | 初始化 | 均方所乘的因子 |
# |---|---|
# | Kaiming：v = 2 / n | 1 |
# | Xavier：v = 2 / (n + n) | 1/2 |
# | `nn.Linear`: v = 1 / (3n) | 1/6 |
# | std 0.01，n = 256 | 0.0128 |
#
# 所以经过 20 层，均方要乘以这个因子的 20 次方，均方根要乘以这个因子的 20 / 2 次方：

# %%
for factor in (1, 1 / 2, 1 / 6, 256 * 0.01**2 / 2):
    print(f"{factor ** (20 / 2):.0e}")
#> 1e+00
#> 1e-03
#> 2e-08
#> 1e-19

# %% [markdown]
# <dfn>梯度消失</dfn>（vanishing gradients）是指层输出的梯度在网络中往回传时逐层变小。
# <dfn>梯度爆炸</dfn>（exploding gradients）是指层输出的梯度在网络中往回传时逐层变大。
# 在这些网络里，每层给梯度和激活值的大小乘上同一个因子。
# 权重的梯度，等于所在层的输入乘以传回到该层输出的梯度。
# 用默认权重，前几层的输入大、传回的梯度极小，后几层的输入极小、传回的梯度大，所以各层的乘积差不多一样小：

# %%
def gradients(fill, layers=20, width=256):
    """The size of the weight's gradient in the first layer and in the last."""
    torch.manual_seed(0)
    net = nn.Sequential()
    for _ in range(layers):
        layer = nn.Linear(width, width, bias=False)
        fill(layer.weight)
        net.extend([layer, nn.ReLU()])
    net(torch.randn(256, width)).sum().backward()
    return net[0].weight.grad.norm().item(), net[-2].weight.grad.norm().item()


first, last = gradients(lambda weight: weight)
print(first < 0.01, last < 0.01)
#> True True
first, last = gradients(nn.init.kaiming_normal_)
print(first > 100, last > 100)
#> True True

# %% [markdown]
# 用 Kaiming 初始化，梯度能超过 100，只是因为代码把 256 个样本的所有输出都加了起来。
#
# 因子太大也不好。
# 设 `std=0.2`，激活值会超过一百万：

# %%
print(scales(lambda weight: nn.init.normal_(weight, std=0.2))[-1] > 1e6)
#> True

# %% [markdown]
# 浅层网络可以沿用默认值，因为只有几个因子相乘；带归一化层的网络也可以，因为每个归一化层都会重设数值的尺度。

# %% [markdown]
# ### 动手试试：增益、激活函数与深度
#
# 你的激活函数需要多大的增益？
# 这里，权重的标准差是增益 / √n，n 是扇入。
# 在浏览器里设定增益、激活函数和深度，看看激活值和梯度会怎样；图背后的数字都在下面的表里。
#
# 同样的数字，列成两张表：
#
# 经过这么多层之后，激活值的大小：
#
# | 激活函数 | 增益 | 1 | 2 | 5 | 10 | 20 | 50 |
# |---|---|--:|--:|--:|--:|--:|--:|
# | 无 | 0.8 | 8.0e-01 | 6.4e-01 | 3.3e-01 | 1.1e-01 | 1.2e-02 | 1.4e-05 |
# | 无 | 1.0 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | 无 | √2 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
# | 无 | 1.67 | 1.7e+00 | 2.8e+00 | 1.3e+01 | 1.7e+02 | 2.7e+04 | 1.2e+11 |
# | 无 | 2.0 | 2.0e+00 | 4.0e+00 | 3.2e+01 | 1.0e+03 | 1.0e+06 | 1.1e+15 |
# | tanh | 0.8 | 5.6e-01 | 3.8e-01 | 1.7e-01 | 5.3e-02 | 5.6e-03 | 7.0e-06 |
# | tanh | 1.0 | 6.3e-01 | 4.9e-01 | 3.2e-01 | 2.3e-01 | 1.6e-01 | 1.0e-01 |
# | tanh | √2 | 7.2e-01 | 6.3e-01 | 5.7e-01 | 5.6e-01 | 5.6e-01 | 5.6e-01 |
# | tanh | 1.67 | 7.6e-01 | 6.9e-01 | 6.5e-01 | 6.5e-01 | 6.5e-01 | 6.5e-01 |
# | tanh | 2.0 | 8.0e-01 | 7.5e-01 | 7.3e-01 | 7.3e-01 | 7.3e-01 | 7.3e-01 |
# | ReLU | 0.8 | 5.7e-01 | 3.2e-01 | 5.8e-02 | 3.4e-03 | 1.1e-05 | 4.3e-13 |
# | ReLU | 1.0 | 7.1e-01 | 5.0e-01 | 1.8e-01 | 3.1e-02 | 9.8e-04 | 3.0e-08 |
# | ReLU | √2 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | ReLU | 1.67 | 1.2e+00 | 1.4e+00 | 2.3e+00 | 5.2e+00 | 2.7e+01 | 3.7e+03 |
# | ReLU | 2.0 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
#
# 往回传这么多层之后，梯度的大小：
#
# | 激活函数 | 增益 | 1 | 2 | 5 | 10 | 20 | 50 |
# |---|---|--:|--:|--:|--:|--:|--:|
# | 无 | 0.8 | 8.0e-01 | 6.4e-01 | 3.3e-01 | 1.1e-01 | 1.2e-02 | 1.4e-05 |
# | 无 | 1.0 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | 无 | √2 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
# | 无 | 1.67 | 1.7e+00 | 2.8e+00 | 1.3e+01 | 1.7e+02 | 2.7e+04 | 1.2e+11 |
# | 无 | 2.0 | 2.0e+00 | 4.0e+00 | 3.2e+01 | 1.0e+03 | 1.0e+06 | 1.1e+15 |
# | tanh | 0.8 | 5.9e-01 | 4.1e-01 | 1.8e-01 | 5.7e-02 | 6.1e-03 | 7.5e-06 |
# | tanh | 1.0 | 6.8e-01 | 5.4e-01 | 3.7e-01 | 2.7e-01 | 1.9e-01 | 1.2e-01 |
# | tanh | √2 | 8.4e-01 | 8.0e-01 | 8.6e-01 | 1.1e+00 | 1.8e+00 | 8.1e+00 |
# | tanh | 1.67 | 9.2e-01 | 9.5e-01 | 1.2e+00 | 1.9e+00 | 5.0e+00 | 8.8e+01 |
# | tanh | 2.0 | 1.0e+00 | 1.1e+00 | 1.8e+00 | 3.8e+00 | 1.8e+01 | 1.9e+03 |
# | ReLU | 0.8 | 5.7e-01 | 3.2e-01 | 5.8e-02 | 3.4e-03 | 1.1e-05 | 4.3e-13 |
# | ReLU | 1.0 | 7.1e-01 | 5.0e-01 | 1.8e-01 | 3.1e-02 | 9.8e-04 | 3.0e-08 |
# | ReLU | √2 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | ReLU | 1.67 | 1.2e+00 | 1.4e+00 | 2.3e+00 | 5.2e+00 | 2.7e+01 | 3.7e+03 |
# | ReLU | 2.0 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
#
# 这些设置值得一试：
#
# - ReLU 配增益 √2，激活值和梯度的大小都不变，因为 ReLU 在每层去掉一半的均方；这就是 Kaiming 初始化。
# - tanh 配增益 1，数值逐层缩小，先快后慢。
#   增益 5/3（1.67）让激活值保持在 0.65，梯度却慢慢增大，经过 20 层变为原来的 5 倍。
#   增益 2 会误导人：激活值看着正常，因为 tanh 从不超过 1，梯度却爆炸了。
# - 没有激活函数时，不管网络多深，只有增益恰好为 1 才能保持大小不变。
#
# 这些数字对应非常宽的层；计算方法见图背后的代码。
#
# **初读到此为止。**想看到填了哪些参数的报告，想解决某个问题，或者想让结果可以重复，请接着读。

# %% [markdown]
# ## 库中的实现
#
# 要使用本页的函数，先克隆本站的代码仓库，在其中用 `pip install .` 安装本站的包，再从 `d2lblocks.init` 导入。
#
# 这些函数的源代码，不含文档字符串：
#
# *库的源代码，出自 `d2lblocks/init.py`：*

# %%
from torch import Tensor


def init_normal(module: nn.Module, *, std: float = 0.01, generator: torch.Generator | None = None) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.get_parameter("weight"), std=std, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_constant(module: nn.Module, *, value: float = 1.0) -> None:
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.get_parameter("weight"), value)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_xavier(module: nn.Module, *, generator: torch.Generator | None = None) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.get_parameter("weight"), generator=generator)


def init_42(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.constant_(module.get_parameter("weight"), 42)


def my_init(module: nn.Module, *, generator: torch.Generator | None = None) -> None:
    if isinstance(module, nn.Linear):
        hardshrink_uniform_(module.get_parameter("weight"), generator=generator)


@torch.no_grad()
def hardshrink_uniform_(
    tensor: Tensor,
    bound: float = 10.0,
    threshold: float = 5.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    if not 0 <= threshold <= bound:
        raise ValueError(f"expected 0 <= threshold <= bound, but got threshold={threshold} and bound={bound}")
    nn.init.uniform_(tensor, -bound, bound, generator=generator)
    return tensor.masked_fill_(tensor.abs() < threshold, 0)

# %% [markdown]
# 从这里开始，本页改用这些函数，不再用前面自己写的。
# 它们适用于 `nn.Linear` 及其子类（延后初始化层要等到第一个批量之后），有没有偏置都行；其中抽取随机数的函数可以接收生成器。
# `hardshrink_uniform_` 填一个张量，填法与 `my_init` 填线性层的权重一样。
#
# 使用 `weight_norm` 这类参数化时，每次访问权重，它都由别的参数重新算出，填进去的值会丢失。
# 所以这些函数拒绝这样的层：

# %%
try:
    nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)).apply(init_42)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: `weight` is not an nn.Parameter

# %% [markdown]
# ### `init_by_type`
#
# `net.apply` 不会告诉你它处理了哪些层。
# `init_by_type` 为每一类层接收一条规则，填好规则指明的参数，并报告网络中每个参数的情况：

# %%
from d2lblocks import init_by_type

tower = nn.Sequential(
    nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10)
)
rules = {
    nn.Conv2d: {"weight": nn.init.kaiming_normal_},
    nn.Linear: {"weight": nn.init.xavier_uniform_, "bias": nn.init.zeros_},
}
for name, function in init_by_type(tower, rules).items():
    print(name, function)
#> 0.weight kaiming_normal_
#> 1.weight None
#> 1.bias None
#> 3.weight xavier_uniform_
#> 3.bias zeros_

# %% [markdown]
# 批量归一化层的参数 `1.weight` 和 `1.bias` 没有填。
#
# 规则可以使用任何能填张量的函数；函数的其他参数用 `functools.partial` 设定。
# 规则这样起作用：
#
# - 层遵循自己的类的规则；没有的话，遵循最近的基类的规则。
# - 几个层共享的张量只填一次。
# - 规则没有指明的参数保持原值。
# - 如果嵌入层有 `padding_idx`，那一行填完后会重新设为 0。
# - `skip=("head",)` 跳过层 `head` 和其中的一切。
#
# 如果一条规则找不到对应的层，`init_by_type` 会报错，网络保持不变：

# %%
zero = {"weight": nn.init.zeros_}
try:
    init_by_type(tower, {nn.Linear: zero, nn.Embedding: zero})
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: no layer of Sequential follows the rule for Embedding

# %%
print(bool((tower[3].weight == 0).any()))
#> False

# %% [markdown]
# 网络太大、机器装不下时，可以在 meta 设备上创建它来检查规则：

# %%
with torch.device("meta"):
    large = nn.Sequential(
        nn.Linear(100_000, 100_000), nn.ReLU(), nn.Linear(100_000, 1)
    )
print(init_by_type(large, {nn.Linear: rules[nn.Linear]})["2.bias"])
#> zeros_

# %% [markdown]
# **代价。**为了出错时能全部撤销，`init_by_type` 在完成之前会保留一份网络数值的副本。
#
# <code>init_by_type</code> 的源代码，不含文档字符串和辅助函数：

# %%
from d2lblocks.init import _fill, _plan, _skipped, _text

# %% [markdown]
# *库的源代码，出自 `d2lblocks/init.py`：*

# %%
from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from typing import Any

from d2lblocks._arguments import check_net
from d2lblocks._snapshot import Snapshot
from d2lblocks._tensors import identity, writing


def init_by_type(
    net: nn.Module,
    rules: Mapping[type[nn.Module], Mapping[str, Callable[..., Any]]],
    *,
    generator: torch.Generator | None = None,
    skip: Iterable[str] = (),
) -> dict[str, str | None]:
    check_net(net)
    plan = _plan(net, rules, generator, _skipped(net, skip))
    names = [(name, identity(each)) for name, each in net.named_parameters(remove_duplicate=False)]
    filled: dict[Hashable, str] = {}
    before = Snapshot(net, generator)
    try:
        for name, parameter, function, given in plan:
            if (tensor := identity(parameter)) not in filled:
                filled[tensor] = _text(function)
                _fill(name, parameter, function, given)
        _zero_padding(net, filled)
    except BaseException:
        before.restore()
        raise
    return {name: filled.get(tensor) for name, tensor in names}


def _zero_padding(net: nn.Module, filled: Container[Hashable]) -> None:
    for module in net.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.padding_idx is not None:
            weight = module._parameters.get("weight")  # not one that is computed
            if weight is not None and identity(weight) in filled:
                with writing(weight):
                    weight[module.padding_idx] = 0

# %% [markdown]
# ## 可复现性
#
# 设随机种子是为了重现结果，可是网络只改了一点点，几乎所有权重都变了。
# 如果不传入生成器，随机数就来自 PyTorch 的默认生成器，所以一个层的值取决于在它之前抽过的所有数。
# 在最前面加一个层，后面各层的值就都变了：

# %%
torch.manual_seed(0)
first = nn.Linear(4, 2)
torch.manual_seed(0)
again = nn.Linear(4, 2)
torch.manual_seed(0)
extra, later = nn.Linear(4, 4), nn.Linear(4, 2)
print(torch.equal(first.weight, again.weight), torch.equal(first.weight, later.weight))
#> True False

# %% [markdown]
# 自己创建的 [`torch.Generator`](https://docs.pytorch.org/docs/stable/generated/torch.Generator.html) 有自己的随机数序列。
# `torch.nn.init` 中抽取随机数的函数都可以接收生成器，这时默认生成器保持原样。
# （`sparse_` 仍用默认生成器决定零的位置。）

# %%
def filled(seed):
    generator = torch.Generator().manual_seed(seed)
    return nn.init.normal_(torch.empty(3), generator=generator)


print(torch.equal(filled(0), filled(0)), torch.equal(filled(0), filled(1)))
#> True False

# %% [markdown]
# `net.apply` 只把模块传给函数。
# 想连生成器一起传，可以用 `functools.partial(init_normal, generator=...)`，或者用 `init_by_type`，它有专门的参数：

# %%
def seeded(seed):
    net, generator = nn.Linear(4, 2), torch.Generator().manual_seed(seed)
    init_by_type(net, {nn.Linear: rules[nn.Linear]}, generator=generator)
    return net.weight


print(torch.equal(seeded(0), seeded(0)), torch.equal(seeded(0), seeded(1)))
#> True False

# %% [markdown]
# 即使随机种子相同，还有两个因素会改变抽到的值：张量的大小和设备。
#
# 在 CPU 上，值的个数达到 16 个或更多时，`normal_` 和 `torch.randn` 会改用另一种算法，所以大张量开头的值不一定与小张量相同：

# %%
torch.manual_seed(0)
narrow = torch.randn(15)
torch.manual_seed(0)
wide = torch.randn(16)
print(torch.equal(narrow, wide[:15]))
#> False

# %% [markdown]
# GPU 用的是它自己的算法，所以即使随机种子相同，得到的值也不同。
# 想在所有设备上得到相同的值，就先在 CPU 上创建网络，再移过去：
#
# *需要 CUDA GPU。*

# %%
if torch.cuda.device_count() >= 1:
    torch.manual_seed(0)
    on_cpu = nn.Linear(4, 2)
    torch.manual_seed(0)
    on_gpu = nn.Linear(4, 2, device="cuda")
    print(torch.equal(on_cpu.weight, on_gpu.weight.cpu()))
    #> False
    values = on_cpu.weight.detach().clone()
    print(torch.equal(on_cpu.to("cuda").weight.cpu(), values))
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ## 图背后的代码
#
# 初读可以跳过：这一节的代码计算增益、激活函数与深度那张图里的数字。
#
# 在非常宽的层里，每个输出是许多随机项之和，所以输出近似服从正态分布。
# 代码不抽取随机数，而是用 2,000 个值 `z` 和每个值的概率 `p`。
# 对每一层，`activation(gain * size * z)` 给出输出，输出的均方根就是下一层用的大小。
# 梯度则乘以增益，再乘以激活函数斜率的均方根。

# %%
z = torch.linspace(-8, 8, 2000, dtype=torch.float64)
p = torch.exp(-z.square() / 2)
p /= p.sum()


def wide_scales(activation, gain, depth):
    """Root mean squares of activations and gradients, layer by layer."""
    sizes, gradients = [1.0], [1.0]
    for _ in range(depth):
        H = (gain * sizes[-1] * z).requires_grad_()
        A = activation(H)
        (slope,) = torch.autograd.grad(A.sum(), H)
        sizes.append((p @ A.detach().square()).sqrt().item())
        gradients.append(gradients[-1] * gain * (p @ slope.square()).sqrt().item())
    return sizes, gradients


after = [1, 2, 5, 10, 20, 50]
gains = {"0.8": 0.8, "1.0": 1.0, "√2": 2**0.5, "1.67": 5 / 3, "2.0": 2.0}
print("layers", *after)
#> layers 1 2 5 10 20 50
for at, kind in enumerate(("sizes", "gradients")):
    for name, activation in {
        "none": lambda H: H,
        "tanh": torch.tanh,
        "ReLU": torch.relu,
    }.items():
        for label, gain in gains.items():
            values = wide_scales(activation, gain, 50)[at]
            print(name, label, kind, *(f"{values[layer]:.1e}" for layer in after))
#> none 0.8 sizes 8.0e-01 6.4e-01 3.3e-01 1.1e-01 1.2e-02 1.4e-05
#> none 1.0 sizes 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> none √2 sizes 1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07
#> none 1.67 sizes 1.7e+00 2.8e+00 1.3e+01 1.7e+02 2.7e+04 1.2e+11
#> none 2.0 sizes 2.0e+00 4.0e+00 3.2e+01 1.0e+03 1.0e+06 1.1e+15
#> tanh 0.8 sizes 5.6e-01 3.8e-01 1.7e-01 5.3e-02 5.6e-03 7.0e-06
#> tanh 1.0 sizes 6.3e-01 4.9e-01 3.2e-01 2.3e-01 1.6e-01 1.0e-01
#> tanh √2 sizes 7.2e-01 6.3e-01 5.7e-01 5.6e-01 5.6e-01 5.6e-01
#> tanh 1.67 sizes 7.6e-01 6.9e-01 6.5e-01 6.5e-01 6.5e-01 6.5e-01
#> tanh 2.0 sizes 8.0e-01 7.5e-01 7.3e-01 7.3e-01 7.3e-01 7.3e-01
#> ReLU 0.8 sizes 5.7e-01 3.2e-01 5.8e-02 3.4e-03 1.1e-05 4.3e-13
#> ReLU 1.0 sizes 7.1e-01 5.0e-01 1.8e-01 3.1e-02 9.8e-04 3.0e-08
#> ReLU √2 sizes 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> ReLU 1.67 sizes 1.2e+00 1.4e+00 2.3e+00 5.2e+00 2.7e+01 3.7e+03
#> ReLU 2.0 sizes 1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07
#> none 0.8 gradients 8.0e-01 6.4e-01 3.3e-01 1.1e-01 1.2e-02 1.4e-05
#> none 1.0 gradients 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> none √2 gradients 1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07
#> none 1.67 gradients 1.7e+00 2.8e+00 1.3e+01 1.7e+02 2.7e+04 1.2e+11
#> none 2.0 gradients 2.0e+00 4.0e+00 3.2e+01 1.0e+03 1.0e+06 1.1e+15
#> tanh 0.8 gradients 5.9e-01 4.1e-01 1.8e-01 5.7e-02 6.1e-03 7.5e-06
#> tanh 1.0 gradients 6.8e-01 5.4e-01 3.7e-01 2.7e-01 1.9e-01 1.2e-01
#> tanh √2 gradients 8.4e-01 8.0e-01 8.6e-01 1.1e+00 1.8e+00 8.1e+00
#> tanh 1.67 gradients 9.2e-01 9.5e-01 1.2e+00 1.9e+00 5.0e+00 8.8e+01
#> tanh 2.0 gradients 1.0e+00 1.1e+00 1.8e+00 3.8e+00 1.8e+01 1.9e+03
#> ReLU 0.8 gradients 5.7e-01 3.2e-01 5.8e-02 3.4e-03 1.1e-05 4.3e-13
#> ReLU 1.0 gradients 7.1e-01 5.0e-01 1.8e-01 3.1e-02 9.8e-04 3.0e-08
#> ReLU √2 gradients 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00 1.0e+00
#> ReLU 1.67 gradients 1.2e+00 1.4e+00 2.3e+00 5.2e+00 2.7e+01 3.7e+03
#> ReLU 2.0 gradients 1.4e+00 2.0e+00 5.7e+00 3.2e+01 1.0e+03 3.4e+07

# %% [markdown]
# 用 ReLU、增益为 1 时，宽度为 256 的网络在 20 层以内与这些数字相差不到 30%：

# %%
measured = scales(nn.init.xavier_normal_)
computed, _ = wide_scales(torch.relu, gain=1.0, depth=20)
print(all(0.7 < a / b < 1.3 for a, b in zip(measured, computed[1:])))
#> True

# %% [markdown]
# ## 出错的时候

# %% [markdown]
# ### `net.apply(f)` 运行了，权重却没变
#
# 你对网络应用了一个初始化函数，有些层却悄悄留着旧权重。
# 这个函数检查的是 `type(module) == nn.Linear`，遇到 `nn.Linear` 的子类，结果一律为假。
# 延后初始化层在第一个批量之前属于另一个专门的类。
# `nn.MultiheadAttention` 的输出层 `out_proj` 始终是某个子类的实例：

# %%
def init_exactly_linear(module):
    if type(module) == nn.Linear:  # noqa: E721
        nn.init.constant_(module.weight, 42)


net = nn.Sequential(nn.Linear(4, 8), nn.LazyLinear(8), nn.MultiheadAttention(8, 2))
net.apply(init_exactly_linear)
net[:2](X)  # the first batch of the lazy layer; the attention would need three inputs
for name, parameter in net.named_parameters():
    if name.endswith("weight"):
        print(name, bool((parameter == 42).all()))
#> 0.weight True
#> 1.weight False
#> 2.in_proj_weight False
#> 2.out_proj.weight False

# %% [markdown]
# 三个线性层中，只填了 `0`。
# `in_proj_weight` 属于 `nn.MultiheadAttention` 本身，不属于线性层。
#
# 解决办法：用 `isinstance` 检查，并在第一个批量之后调用 `apply`。
# `in_proj_weight` 要用规则来填：

# %%
net.apply(init_42)
print([name for name, parameter in net.named_parameters() if (parameter == 42).all()])
#> ['0.weight', '1.weight', '2.out_proj.weight']
attention = {"in_proj_weight": nn.init.xavier_uniform_}
report = init_by_type(net, {nn.MultiheadAttention: attention})
print([name for name, function in report.items() if function])
#> ['2.in_proj_weight']

# %% [markdown]
# 下次怎样及早发现：填一个认得出的值，例如 42；或者用 `init_by_type`，它会报告填了什么。

# %% [markdown]
# ### `Attempted to use an uninitialized parameter`
#
# 你初始化一个带有延后初始化层的网络，函数报错。
# 用 `isinstance` 检查能找到延后初始化层，但在第一个批量之前，它的参数没有形状：

# %%
try:
    nn.LazyLinear(8).apply(init_42)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# 解决办法：先做一次试运行，也就是让一个批量通过网络。
# `apply_init` 会先试运行，再调用 `net.apply(init)`：

# %%
from d2lblocks import apply_init

print(apply_init(nn.LazyLinear(1), torch.rand(1, 2), init=init_42).weight)
#> Parameter containing:
#> tensor([[42., 42.]], requires_grad=True)

# %% [markdown]
# 下次怎样及早发现：初始化之前，检查本站包里的 `uninitialized_names(net)` 是否返回空列表。

# %% [markdown]
# ### `Fan in and fan out can not be computed`
#
# 你在循环里初始化所有参数。
# `xavier_uniform_` 需要扇入和扇出，而偏置只有一个维度，两者都没有：

# %%
try:
    for parameter in nn.Linear(4, 8).parameters():
        nn.init.xavier_uniform_(parameter)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Fan in and fan out can not be computed for tensor with fewer than 2 dimensions

# %% [markdown]
# 解决办法：按维度的个数选择函数，或者按层的类型和参数的名字选择。

# %%
for parameter in nn.Linear(4, 8).parameters():
    if parameter.dim() >= 2:
        nn.init.xavier_uniform_(parameter)
    else:
        nn.init.zeros_(parameter)

# %% [markdown]
# ### `'NoneType' object has no attribute 'zero_'`
#
# 你想填一个层的偏置，而这个层创建时就没有偏置。
# 层仍有属性 `bias`，只是值为 `None`：

# %%
try:
    nn.init.zeros_(nn.Linear(4, 8, bias=False).bias)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'NoneType' object has no attribute 'zero_'

# %% [markdown]
# 解决办法：填之前先检查层有没有偏置。

# %%
layer = nn.Linear(4, 8, bias=False)
if layer.bias is not None:
    nn.init.zeros_(layer.bias)

# %% [markdown]
# ### `Unsupported nonlinearity gelu`
#
# 你要查一个激活函数的增益，而 PyTorch 不认识它。
# 在常用的激活函数中，`calculate_gain` 和 `kaiming_*` 函数只认识 sigmoid、tanh、ReLU、leaky ReLU 和 SELU：

# %%
try:
    nn.init.kaiming_normal_(torch.empty(8, 8), nonlinearity="gelu")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Unsupported nonlinearity gelu

# %% [markdown]
# 解决办法：浅层网络用 ReLU 的增益。
# 深层网络要自己计算增益，再以 `gain / √fan_in` 为标准差抽取权重。

# %%
print(nn.init.kaiming_normal_(torch.empty(8, 8), nonlinearity="relu").shape)
#> torch.Size([8, 8])

# %% [markdown]
# ### 隐藏神经元始终相同：权重是常数
#
# 网络在学习，效果却不比只有一个隐藏神经元时好。
# 一个隐藏层和它后面的层都填了常数，偏置也一样，于是所有隐藏神经元得到相同的梯度（原因）：

# %%
hidden, out = nn.Linear(4, 3), nn.Linear(3, 1)
pair = nn.Sequential(hidden, nn.Tanh(), out).apply(init_constant)
pair(X).sum().backward()
print(bool((hidden.weight.grad == hidden.weight.grad[0]).all()))
#> True

# %% [markdown]
# 解决办法：随机抽取权重。

# %%
pair.apply(init_normal).zero_grad()
pair(X).sum().backward()
print(bool((hidden.weight.grad == hidden.weight.grad[0]).all()))
#> False

# %% [markdown]
# 下次怎样及早发现：像上面那样，检查权重梯度的各行是否不同。
# `diagnose` 把这种情况报告为 `equal-units`。

# %% [markdown]
# ### 各层的初始权重都相同：随机种子设了太多次
#
# 你在填层的函数里设定随机种子。
# 于是每填一个层，生成器都从头开始，形状相同的层得到相同的值：

# %%
def init_seeded(module):
    torch.manual_seed(0)
    init_normal(module)


net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).apply(init_seeded)
print(torch.equal(net[0].weight, net[1].weight))
#> True

# %% [markdown]
# 用 `copy.deepcopy` 复制同一个层，得到的各层初始权重也相同。
#
# 解决办法：只设一次随机种子，在创建网络或给网络填值之前。

# %%
torch.manual_seed(0)
net.apply(init_normal)
print(torch.equal(net[0].weight, net[1].weight))
#> False

# %% [markdown]
# 下次怎样及早发现：用 `torch.equal` 比较两个形状相同的层。

# %% [markdown]
# ### 权重过大或过小：方差与标准差
#
# 你从论文或别人的代码里拿来一个数，例如 0.01。
# 它是方差，你却当作标准差传了进去，或者正好相反。
#
# 解决办法：传入标准差，说明见是标准差，不是方差。
#
# 下次怎样及早发现：填好一个权重后，量一量它的标准差。

# %%
print(f"{nn.Linear(400, 100).apply(init_normal).weight.std().item():.2f}")
#> 0.01

# %% [markdown]
# ### `padding_idx` 那一行不为零
#
# 你初始化了嵌入层，从此填充（padding）就会改变网络的结果。
# `nn.Embedding` 在创建时把 `padding_idx` 那一行设为 0，但 `torch.nn.init` 的函数都会改写整个权重。
# 训练也修正不了这一行，因为它的梯度始终为 0：

# %%
embedding = nn.Embedding(4, 3, padding_idx=0)
nn.init.normal_(embedding.weight)
print(bool(embedding(torch.tensor([0])).any()))
#> True

# %% [markdown]
# 解决办法：把这一行重新设为 0，或者用 `init_by_type` 填嵌入层。

# %%
with torch.no_grad():
    embedding.weight[embedding.padding_idx] = 0
init_by_type(embedding, {nn.Embedding: {"weight": nn.init.normal_}})
print(bool(embedding(torch.tensor([0])).any()))
#> False

# %% [markdown]
# 下次怎样及早发现：把填充索引传给嵌入层，检查结果是否为 0。
# `diagnose` 把这种情况报告为 `padding-row`。

# %% [markdown]
# ## 练习题

# %% [markdown]
# ### 练习题 1
#
# `net.apply(init_linear)` 应当用 `xavier_uniform_` 填每个线性层的权重，并把偏置（如果有）填成 0。
# 但它悄悄跳过了 `nn.MultiheadAttention` 中的线性层 `out_proj`，因为它检查的是 `type(module) == nn.Linear`；遇到用 `bias=False` 创建的层，它还会报错。
# 请修正 `init_linear`。
#
# 练习（容易）：`python -m d2lblocks practice start init/1`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 对 `nn.Linear` 的派生类，`isinstance` 也为真；没有偏置的层，偏置是 `None`。
#
# *init/1_linear.py*

# %%
def init_linear(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

# %% [markdown]
# ### 练习题 2
#
# 编写 `four(size)`，返回一个有四个张量的字典，每个张量都由 `torch.nn.init` 中与键同名的函数来填。
# `"orthogonal_"`：形状为 `(size, size)` 的矩阵，能把任何向量的长度加倍。
# `"trunc_normal_"`：取自 N(0, 0.02²) 的 1,000 个值，超出两个标准差的重新抽取。
# `"dirac_"`：2d 卷积的权重，输入和输出都有 `size` 个通道，卷积核大小为 3，卷积原样返回输入。
# `"sparse_"`：形状为 `(10, size)` 的矩阵，每一列有八个零。
#
# 练习（容易）：`python -m d2lblocks practice start init/2`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# `trunc_normal_` 的上下限就是普通的数，所以两个标准差要写成 0.04；`sparsity` 是零所占的比例。
#
# *init/2_four.py*

# %%
def four(size):
    values = torch.empty(1000)
    return {
        "orthogonal_": nn.init.orthogonal_(torch.empty(size, size), gain=2),
        "trunc_normal_": nn.init.trunc_normal_(values, std=0.02, a=-0.04, b=0.04),
        "dirac_": nn.init.dirac_(torch.empty(size, size, 3, 3)),
        "sparse_": nn.init.sparse_(torch.empty(10, size), sparsity=0.8),
    }

# %% [markdown]
# ### 练习题 3
#
# 你的网络使用 GELU，而 `nn.init.calculate_gain` 不认识它。
# 编写 `gain(activation)`，返回任意逐元素激活函数的增益，结果是一个数，误差小于 1%。
# 如果 z 取自 N(0, 1)，增益乘以 `activation(z)` 的均方为 1。
#
# 练习（中等）：`python -m d2lblocks practice start init/3`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 激活函数 f 把均方从 1 变为 f(z)² 的均值。
# 增益要抵消这一变化，所以等于 1 除以这个均值的平方根。
#
# *init/3_gain.py*

# %%
def gain(activation):
    z = torch.randn(1_000_000)
    return activation(z).square().mean().rsqrt().item()

# %%
torch.manual_seed(0)
for each in (gain(nn.functional.gelu), gain(torch.relu)):
    print(f"{each:.2f} {wide_scales(nn.functional.gelu, each, 20)[0][-1]:.0e}")
#> 1.54 4e+00
#> 1.41 4e-02

# %% [markdown]
# 在 20 个使用 GELU 的非常宽的层里，用 GELU 的增益，数值增大到四倍；用 ReLU 的增益，数值缩小到 4%。
# 用 GELU 的增益仍会增大，是因为合适的增益取决于数值的大小，而我们的增益是针对大小 1 算的。

# %% [markdown]
# ### 练习题 4
#
# 残差块计算 `X + f(X)`；这里的 `f` 是两个线性层，中间夹一个 ReLU。
# 只改初始值，让新建的块原样返回输入，一点不差；训练几步之后，它的所有参数都应当有变化。
#
# 练习（中等）：`python -m d2lblocks practice start init/4`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 如果 `f` 最后一层的权重和偏置都为 0，块就把 `X` 原样传下去。
# 这个权重的梯度不为 0：它等于该层的输入乘以后面各块传来的梯度，而和式 `X + f(X)` 会把这个梯度传回来。
# 第一步之后，该层不再为 0，`f` 的另一层也就有了梯度。
#
# *init/4_residual.py*

# %%
class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        first, last = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.f = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, X):
        return X + self.f(X)

# %%
net = nn.Sequential(*(Residual(4) for _ in range(10)))
print(torch.equal(net(X), X))
#> True
net(X).sum().backward()
print(bool(net[0].f[2].weight.grad.any()), bool(net[0].f[0].weight.grad.any()))
#> True False

# %% [markdown]
# 如果 `f` 的两层都从 0 开始，两个权重的梯度就会一直为 0。

# %% [markdown]
# ### 练习题 5
#
# 编写 `init_gpt2(net)`，按 GPT-2 的方式初始化 Transformer 并返回它。
# `net` 是由新建的 `nn.TransformerEncoderLayer` 块组成的 `nn.Sequential`。
# 所有线性层的权重，以及查询、键、值的权重，都从 N(0, 0.02²) 中抽取，偏置都设为 0。
# 每个块有两条残差分支：一条是注意力，另一条是两个线性层。
# 每条分支最后一层的权重，标准差要再除以 √N，N 是网络中分支的总数。
# 归一化层保持原值。
#
# 练习（较难）：`python -m d2lblocks practice start init/5`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 两条分支的最后一层分别是 `self_attn.out_proj` 和 `linear2`，这一点只有从名字才看得出。
# 查询、键、值的权重是 `nn.MultiheadAttention` 自己的参数，所以针对线性层的规则会漏掉它们。
#
# *init/5_gpt2.py*

# %%
def init_gpt2(net):
    for name, parameter in net.named_parameters():
        if name.endswith(("out_proj.weight", "linear2.weight")):
            nn.init.normal_(parameter, std=0.02 / (2 * len(net)) ** 0.5)
        elif parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
    return net

# %%
net = nn.Sequential(*(nn.TransformerEncoderLayer(32, 4, 64) for _ in range(8)))
block = init_gpt2(net)[0]
print(f"{(block.linear1.weight.std() / block.linear2.weight.std()).item():.0f}")
#> 4

# %% [markdown]
# ### 练习题 6
#
# 同事在网络最前面加了一个层，你设过随机种子的结果就全变了。
# 编写 `init_by_name(net, seed)`，用 `kaiming_normal_` 填至少有两个维度的参数，其余参数填 0，并返回网络。
# 随机值只取决于随机种子和参数的名字：换一个随机种子或名字，值就不同；再运行一次 Python，值不变。
# PyTorch 的默认生成器要保持原样。
#
# 练习（较难）：`python -m d2lblocks practice start init/6`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 每个参数有自己的生成器，生成器的随机种子由你的随机种子和参数的名字得出。
# `zlib.crc32` 在每个进程里都返回同一个数；Python 的 `hash` 对字符串则不是这样。
#
# *init/6_by_name.py*

# %%
import zlib


def init_by_name(net, seed):
    for name, parameter in net.named_parameters():
        own_seed = zlib.crc32(f"{seed}:{name}".encode())
        generator = torch.Generator().manual_seed(own_seed)
        if parameter.dim() >= 2:
            nn.init.kaiming_normal_(parameter, generator=generator)
        else:
            nn.init.zeros_(parameter)
    return net

# %%
short = init_by_name(nn.ModuleDict({"out": nn.Linear(4, 2)}), seed=0)
long = nn.ModuleDict({"new": nn.Linear(4, 4), "out": nn.Linear(4, 2)})
for seed in (0, 1):
    long = init_by_name(long, seed)
    print(torch.equal(short["out"].weight, long["out"].weight))
#> True
#> False

# %% [markdown]
# ## 小结
#
# | 想要 | 写法 |
# |---|---|
# | `nn.Linear` 的默认初始化 | 什么也不写：U(-a, a)，a = 1/√fan_in |
# | 填一个张量 | `nn.init.normal_(layer.weight, std=0.01)`，`std` 是标准差 |
# | 用一个函数填整个网络 | `net.apply(f)`，在 `f` 里检查 `isinstance(module, nn.Linear)` |
# | 知道填了什么 | `init_by_type(net, {nn.Linear: {"weight": nn.init.xavier_uniform_}})` |
# | 适合 ReLU 的尺度 | `nn.init.kaiming_normal_(weight)` |
# | 适合 tanh 或注意力的尺度 | `nn.init.xavier_uniform_(weight)`；对 tanh，PyTorch 建议 `gain=5 / 3` |
# | 权重形状为 `(in, out)` 时的正确扇入 | `mode="fan_out"` |
# | 自己指定数值 | `with torch.no_grad(): weight.copy_(...)` |
# | 偏置或残差分支的末尾从 0 开始 | `nn.init.zeros_` |
# | 隐藏神经元各不相同 | 随机权重，不用常数 |
# | 再次得到同样的值 | `torch.manual_seed`，或者 `generator=` |
# | 填延后初始化的网络 | 先试运行：`apply_init(net, X, init=f)` |
#
# 库中的函数在 `d2lblocks.init` 里，用于延后初始化的网络的函数在 `d2lblocks.lazy` 里。
#
# 下一个主题：延后初始化，让第一个批量决定输入大小；或者文件读写，保存网络学到的东西。
