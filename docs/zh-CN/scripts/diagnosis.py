# %% [markdown]
# # 诊断：问问网络
#
# 这是 d2lblocks 中“诊断：问问网络”一页的脚本版：由页面生成，并且运行过。
# 运行它需要 `d2lblocks` 和 `torch`。
# 在本仓库的克隆里运行 `pip install .`，就会装好 `d2lblocks`。
#
# 网络训练时不报错，损失却不下降。
# 某一层放在 Python 列表里，某个张量留在 CPU 上，或者 softmax 用了两次：没有任何提示，你要找上几个小时。
# 函数 `diagnose` 会调用网络几次，指出这样的错误，并给出位置和解决办法。
#
# - **学完之后你能：**找出网络为什么学不到东西，弄懂报错信息的意思，并编写测试，不让这类错误进入你的网络。
# - **需要先会：**层与模块和参数的初读部分；还要装好本站的包（在本站代码仓库的克隆中运行 `pip install .`）。
# - **需要多长时间：**读到在测试里之前约 10 分钟，有这部分就能检查自己的网络；加上其余部分和练习题，约 50 分钟。

# %%
import torch
from torch import nn
from torch.nn import functional as F

from d2lblocks import diagnose

# %% [markdown]
# ## 第一份报告
#
# 下面的网络把层放在 Python 列表里，把常量放在普通属性里。
# 它能运行，也没有任何提示：

# %%
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(20, 20), nn.Linear(20, 10)]
        self.scale = torch.tensor(0.5)

    def forward(self, X):
        for layer in self.layers:
            X = layer(X)
        return X * self.scale


net, X = Net(), torch.rand(8, 20)
print(net(X).shape)
#> torch.Size([8, 10])

# %% [markdown]
# 要检查它，就把网络和输入传给 `diagnose`。
# 输入不用多，很小的批量就够了：

# %%
report = diagnose(net, X)
print(report.title)
#> Net, called with (8, 20)
for finding in report:
    print(finding.level, finding.code, *finding.names)
#> error unregistered self.layers[0] self.layers[1]
#> question constant self.scale

# %% [markdown]
# <dfn>诊断结果</dfn>（finding）是 `diagnose` 报告中的一个条目：出了什么问题、在网络的哪里、怎样解决。
# `code` 是代号，例如 `unregistered`，表示错误的种类。
# `names` 是网络中的位置，也就是参数和模块的路径；如果某个东西没有注册，写的就是持有它的属性。

# %%
for finding in report:
    print(finding.text)
    print(finding.fix)
    print(finding.page)
#> 4 parameters take part in the forward pass, but net.parameters() does not list them: an optimizer built from it does not train them, and the net does not save or move them. A module does not look into a list.
#> Write self.layers = nn.ModuleList([...]).
#> modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list
#> A plain tensor takes part in the forward pass: net.to(...) does not move or cast it, and state_dict() does not hold it.
#> Write self.register_buffer("scale", ...), with persistent=False if it is not to be saved. If this is intended: silence=["constant"].
#> modules.md#a-constant-is-not-saved-cast-or-moved-with-the-net

# %% [markdown]
# 诊断结果给出的页面，就是本站解释这种错误的地方。
# `print(report)` 一次显示全部内容，还写明给这个属性赋值的文件和行号；在笔记本里，报告显示成表格。

# %% [markdown]
# ## 错误与疑问
#
# 诊断结果分两级：
#
# - 错误（error）：无论如何都是错的。
#   网络用到了列表里的层，但由 `net.parameters()` 创建的优化器不会训练它们。
# - 疑问（question）：除非你有意这样做，否则就是错的。
#   网络移到 GPU 上，常量会留在原处，保存的文件里也没有它；也许这正是你想要的。
#
# 如果是有意这样做，就用 `silence` 说明：传入代号，或者代号加位置。
# 位置不同，这条疑问就不会被屏蔽：

# %%
print([each.code for each in diagnose(net, X, silence=["constant"])])
#> ['unregistered']
print([each.code for each in diagnose(net, X, silence=["constant:self.other"])])
#> ['unregistered', 'constant']

# %% [markdown]
# 如果没有这个代号，`diagnose` 就会报错，所以代号打错了一定会发现：

# %%
try:
    diagnose(net, X, silence=["constants"])
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: there is no finding with the code 'constants': the nearest is 'constant'

# %% [markdown]
# 有诊断结果时，`bool(report)` 为 `True`；`report.errors` 和 `report.questions` 分别列出错误和疑问。
# 照建议的办法改好，就什么也查不出来了：

# %%
class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(20, 20), nn.Linear(20, 10)])
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, X):
        for layer in self.layers:
            X = layer(X)
        return X * self.scale


print(diagnose(Fixed(), X))
#> Fixed, called with (8, 20): nothing found

# %% [markdown]
# ## 加上损失和优化器
#
# 有些错误只在训练时才显现。
# 传入损失，`diagnose` 还会运行反向传播；传入优化器，它会比较优化器持有的参数与网络的参数。
# 优化器一步也不会走。
#
# 在下面的例子里，创建优化器之后，最后一层换成了新的。
# 此外，网络的末尾是 softmax，它把分数变成概率；而 `F.cross_entropy` 本身就包含 softmax，所以用了两次。

# %%
net = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
net[2] = nn.Sequential(nn.Linear(16, 3), nn.Softmax(dim=-1))
y = torch.arange(8) % 3

report = diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer)
for finding in report:
    print(finding.level, finding.code, *finding.names)
    print(finding.text)
#> error optimizer 2
#> The optimizer does not hold 2 of the 4 trainable parameters, which will not learn. It holds 2 that the net no longer has.
#> question softmax-twice output
#> The output of softmax goes into cross_entropy, which applies log_softmax itself. Applied twice, it makes the gradients small, and the loss cannot come close to 0.

# %% [markdown]
# 损失要写成函数，参数是网络的输出。
# 如果有几个优化器训练同一个网络，就放在列表里传入。
# 要检查权重是否绑定，就写出每一对名字：`ties=[("encoder.weight", "decoder.weight")]`。

# %% [markdown]
# ## 调用失败时
#
# 如果网络报错，`diagnose` 自己不会报错。
# 报告会说明报错信息里没有的内容：是哪一层报的错，这一层收到了什么输入：

# %%
net = nn.Sequential(
    nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Linear(676, 10)
)
print(diagnose(net, torch.rand(2, 1, 28, 28)))
#> Sequential, called with (2, 1, 28, 28): 1 error
#>
#> error     raises                2
#>           Linear(in_features=676, out_features=10, bias=True) got shape (2, 4,
#>           13, 13): RuntimeError: mat1 and mat2 shapes cannot be multiplied
#>           (104x13 and 676x10)
#>           The last dimension of the input differs from the number of features
#>           that the linear layer was built for.
#>           Build the layer for the size that arrives, or use `nn.LazyLinear`;
#>           between convolutions and linear layers, put `nn.Flatten()` directly
#>           before the first linear layer.
#>           modules.md#mat1-and-mat2-shapes-cannot-be-multiplied

# %% [markdown]
# ## 一切保持原样
#
# 每次调用网络都可能改变一些东西：dropout 抽取随机数，批量归一化更新统计量，延后初始化层得到形状，`forward` 可能往列表里追加内容。
# `diagnose` 会把这些全部撤销，即使调用失败也一样：

# %%
net = nn.Sequential(nn.LazyLinear(8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 2))
before = torch.get_rng_state()
print(diagnose(net, X))
#> Sequential, called with (8, 20): nothing found
print(net[0])
#> LazyLinear(in_features=0, out_features=8, bias=True)
print(net[1].num_batches_tracked.item(), torch.equal(torch.get_rng_state(), before))
#> 0 True

# %% [markdown]
# 所以可以在训练中途调用它：之后训练得到的数值，与没有调用它时完全相同。
#
# **局限。**如果对象属于你自己的类，又不是模块，里面的内容就不会恢复，除非这个对象是调用的参数。
# 程序之外的东西也不会恢复，例如 `forward` 写入的文件。
#
# **代价。**诊断一次所花的时间，最多是一次前向传播加反向传播的 6 倍，再加半秒。
# 需要的内存相当于网络的一份副本。
#
# **初读到此为止。**后面讲怎样用在测试和训练循环里、怎样解释报错信息；想知道工作原理的读者也请往下读。

# %% [markdown]
# ## 在测试里
#
# 写一个遇到错误就不通过的测试，这类错误就再也进不了网络。
# 把下面的代码放进 [pytest](https://docs.pytest.org) 会收集的文件：

# %%
def test_the_net_has_no_errors():
    report = diagnose(Fixed(), torch.rand(8, 20))
    assert not report.errors, str(report)


test_the_net_has_no_errors()

# %% [markdown]
# 如果对疑问也要同样严格，就写 `assert not report, str(report)`，并屏蔽有意为之的疑问。
# 本页的第一个网络去掉常量之后，pytest 打印的错误是这样的：

# %%
from pathlib import Path
import subprocess
import sys

TEST = """
import torch
from torch import nn
from d2lblocks import diagnose


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(20, 20), nn.Linear(20, 10)]

    def forward(self, X):
        for layer in self.layers:
            X = layer(X)
        return X


def test_the_net_has_no_errors():
    report = diagnose(Net(), torch.rand(8, 20))
    assert not report.errors, str(report)
"""
Path("test_net.py").write_text(TEST)
done = subprocess.run(
    [sys.executable, "-m", "pytest", "--color=no", "test_net.py"],
    capture_output=True,
    text=True,
)
said = [line[1:].strip() for line in done.stdout.splitlines() if line.startswith("E ")]
print(*said[:7], sep="\n")
#> AssertionError: Net, called with (8, 20): 1 error
#>
#> error     unregistered          self.layers[0], self.layers[1]    test_net.py:10
#> 4 parameters take part in the forward pass, but net.parameters() does
#> not list them: an optimizer built from it does not train them, and the
#> net does not save or move them. A module does not look into a list.
#> Write self.layers = nn.ModuleList([...]).

# %% [markdown]
# ## 在训练循环里
#
# 第一个批量是最合适的时机：形状已经知道，网络还什么都没有学，而且与训练一整夜相比，一秒钟不算什么。

# %%
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
batches = [(torch.rand(8, 20), torch.arange(8) % 3) for _ in range(3)]

for step, (X, y) in enumerate(batches):
    if step == 0:
        report = diagnose(
            net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer
        )
        if report.errors:
            raise SystemExit(str(report))
    loss = F.cross_entropy(net(X), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"trained for {step + 1} steps")
#> trained for 3 steps

# %% [markdown]
# ## 报错信息：`explain`
#
# 如果手上已经有报错信息，就用 `explain`。
# 它认识本站的每一条报错信息，哪怕里面是你自己的名字、形状和设备：

# %%
from d2lblocks import explain

print(explain("mat1 and mat2 shapes cannot be multiplied (56x28 and 20x256)"))
#> mat1 and mat2 shapes cannot be multiplied
#>   Cause: The last dimension of the input differs from the number of features
#>          that the linear layer was built for.
#>   Fix:   Build the layer for the size that arrives, or use nn.LazyLinear;
#>          between convolutions and linear layers, put nn.Flatten() directly
#>          before the first linear layer.
#>   Page:  modules.md#mat1-and-mat2-shapes-cannot-be-multiplied

# %% [markdown]
# 它也接受异常本身，其中的信息比报错信息更多；还接受整段回溯（traceback）的文字：

# %%
try:
    Net().load_state_dict("mlp.pt")
except TypeError as error:
    print(explain(error))
#> Expected state_dict to be dict-like, got <class 'str'>
#>   Cause: You passed the name of a file to load_state_dict.
#>   Fix:   Read the file first: net.load_state_dict(torch.load("mlp.pt")).
#>   Page:  serialization.md#expected-state_dict-to-be-dict-like-got-class-str

# %% [markdown]
# 它从不猜测：如果哪个页面上都没有这条报错信息，它会如实说明。

# %%
print(explain("division by zero"))
#> No page explains this message.
#> Look for a part of it, or for what you see, on the page mistakes.md.

# %% [markdown]
# `explain_errors()` 对每个没有捕获的错误都这样做，在程序里和在笔记本里都行。
# 这时，解释附在回溯的下面。
# 下面的程序在开头几行调用了它：

# %%
PROGRAM = """
from torch import nn
import d2lblocks

d2lblocks.explain_errors()


class Net(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(20, 10)


Net()
"""
Path("program.py").write_text(PROGRAM)
done = subprocess.run([sys.executable, "program.py"], capture_output=True, text=True)
print(done.stderr[done.stderr.index("AttributeError: ") :].rstrip())
#> AttributeError: cannot assign module before Module.__init__() call
#> d2lblocks explains:
#> cannot assign module before Module.__init__() call
#>   Cause: A layer, parameter or buffer was assigned before nn.Module.__init__ had
#>          run.
#>   Fix:   Make super().__init__() the first line of __init__.
#>   Page:  modules.md#cannot-assign-module-before-module__init__-call

# %% [markdown]
# ## 在命令行里
#
# `diagnose` 和 `explain` 也是命令。
# 要用 `diagnose`，就写一个返回网络及其输入的函数，再给出文件名和函数名：

# %%
CHECK = TEST.partition("def test")[0] + """
def example():
    return Net(), torch.rand(8, 20)
"""
Path("check.py").write_text(CHECK)
command = [sys.executable, "-m", "d2lblocks", "diagnose", "check.py:example"]
done = subprocess.run(command, capture_output=True, text=True)
print(done.stdout.rstrip())
#> Net, called with (8, 20): 1 error
#>
#> error     unregistered          self.layers[0], self.layers[1]       check.py:10
#>           4 parameters take part in the forward pass, but net.parameters() does
#>           not list them: an optimizer built from it does not train them, and the
#>           net does not save or move them. A module does not look into a list.
#>           Write self.layers = nn.ModuleList([...]).
#>           modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list
print("exit status:", done.returncode)
#> exit status: 1

# %% [markdown]
# 在终端里，命令是 `python -m d2lblocks diagnose check.py:example` 或 `d2lblocks diagnose check.py:example`。
# 有错误时，退出状态是 1，所以这条命令也能用在持续集成任务里；加上 `--json`，打印的报告可供其他工具使用。
#
# `explain` 读取一条报错信息，或者从标准输入读取整份日志：
#
# ```console
# $ python -m d2lblocks explain "mat1 and mat2 shapes cannot be multiplied (56x28 and 20x256)"
# $ python train.py 2>&1 | python -m d2lblocks explain
# ```

# %% [markdown]
# ## 能找出什么
#
# 下面是所有诊断结果的代号。
# 如果一个代号既可能是错误，也可能是疑问，诊断结果的文字会说明这一次为什么是其中哪一种。
#
# | 代号 | 能找出什么 |
# |---|---|
# | `mixed-dtype`，错误或疑问 | 浮点 dtype 不一致：如果调用因此失败，就是错误（层与模块） |
# | `mixed-device`，错误 | 设备不一致，调用因此失败（设备） |
# | `raises`，错误 | 前向传播、损失或反向传播报的错（错误列表） |
# | `cycle`，错误 | 包含自己的模块（层与模块） |
# | `unhashable`，错误 | 没有哈希值的模块，例如数据类（层与模块） |
# | `hidden-method`，错误或疑问 | 属性或方法，遮蔽了 `nn.Module` 的方法，例如 `parameters` 或 `eval`（见下文） |
# | `unregistered`，错误或疑问 | `forward` 用到的、放在列表、元组、字典、闭包或全局变量里的模块或参数（层与模块） |
# | `built-in-forward`，错误或疑问 | `forward` 创建的层：每次调用都新建，或者只在第一次调用时创建（层与模块） |
# | `not-a-parameter`，错误 | 属性里的张量，需要梯度，也用到了，却不是参数（自定义层） |
# | `constant`，疑问 | 属性里的普通张量，参与了调用（层与模块） |
# | `kept-graph`，错误 | 一次调用算出的张量，连同它的图，又用在下一次调用里（自定义层） |
# | `filled-at-first-call`，疑问 | 原来是 None、调用之后成了张量的缓冲区（文件读写） |
# | `still-lazy`，错误 | 调用之后仍没有形状的参数（延后初始化） |
# | `misspelt`，错误 | 名字与 `requires_grad` 或 `training` 只差一点、又没有代码读取的属性（参数） |
# | `dotted-name`，错误 | 自己的名字里含有点号的直接子模块，把路径传给 `setattr` 就会得到（层与模块） |
# | `same-memory`，错误 | 共用同一块内存的两个参数（参数） |
# | `tie-lost`，错误或疑问 | 本该指向同一个参数、实际却不是的两个名字（文件读写） |
# | `runs-once`，错误 | 把同一个模块放了几次、又遍历 `children()` 的容器，于是只运行它一次（层与模块） |
# | `one-layer-many-names`，疑问 | 在同一个容器里出现几次的带参数的模块，例如由 `[layer] * 3` 得到（参数） |
# | `no-gradient`，错误 | 无法由此反向传播的损失或输出（见下文） |
# | `unused`，疑问 | 没有梯度的参数，而其他参数有：从未用到，或者被切断（见下文） |
# | `optimizer`，错误 | 不在任何优化器里的可训练参数，以及优化器持有、却不属于网络的参数（参数） |
# | `optimizer-device`，错误 | 优化器中某个参数的状态，与这个参数不在同一个设备上（设备） |
# | `in-eval`，疑问 | 明明给了损失或优化器，模块却处于评估模式（层与模块） |
# | `frozen`，疑问 | 明明给了损失或优化器，参数却不需要梯度（参数） |
# | `data-read`，错误 | 前向传播只经由 `.data` 使用的参数（自定义层） |
# | `data-write`，错误或疑问 | 前向传播期间经由 `.data` 写入参数（参数） |
# | `random-in-eval`，疑问 | 评估模式下影响结果的随机数（层与模块） |
# | `forward-called`，错误或疑问 | 调用的是模块的 `forward` 方法，而不是模块本身（见下文） |
# | `input-changed`，错误 | 写入输入、并改变了输入的值的操作（层与模块） |
# | `nan`，疑问 | 第一个含有 NaN 的地方，依次查找参数、输入、模块、损失、梯度（自定义层） |
# | `scale`，疑问 | 大幅增大或缩小的层输出或权重梯度（初始化） |
# | `dead-units`，疑问 | 对所有样本都返回 0 的 ReLU（见下文） |
# | `rounded-buffer`，疑问 | 存放位置或频率的 16 位缓冲区：值一路递增，或一路递减（自定义层） |
# | `padding-row`，疑问 | 填充行不为 0 的嵌入层（初始化） |
# | `softmax-twice`，错误或疑问 | 损失需要的是分数，得到的却是概率，因为损失自己会用 softmax 或 sigmoid（见下文） |
# | `broadcast`，疑问 | 形状不同的预测和目标，于是每个预测都与每个目标比较（见下文） |
# | `equal-units`，错误 | 各神经元全都相等、训练中也一直相等的权重（初始化） |

# %% [markdown]
# ## 找得有多准
#
# 误报多的工具，很快就没人理会了。
# 所以，`diagnose` 在一批本不该有错误的网络上试过：它们来自其他库，权重随机，尺寸很小。
# 在这些网络上，一个错误也不许报出；每条疑问都逐一查过，归入三类：属实（没有这个问题，网络会更好）、有意（作者特意这样做）或误报。
# 有多条疑问的网络，可能在几列里都计入。
#
# 其他库的网络，以及这些疑问的含义：
#
# | 库 | 网络 | 有错误 | 有疑问 | 都没有 | 耗时 |
# | --- | --: | --: | --: | --: | --: |
# | timm | 93 | 0 | 8 | 85 | 2.3 |
# | torchvision | 25 | 0 | 0 | 25 | 2.6 |
# | transformers | 703 | 0 | 252 | 451 | 4.7 |
# | torch_geometric | 144 | 0 | 8 | 136 | 8.1 |
# | monai | 91 | 0 | 20 | 71 | 4.1 |
# | diffusers | 28 | 0 | 7 | 21 | 4.9 |
# | x_transformers | 55 | 0 | 0 | 55 | 8.0 |
# | peft | 32 | 0 | 31 | 1 | 19.4 |
# | segmentation_models_pytorch | 20 | 0 | 7 | 13 | 2.0 |
# | lightning | 7 | 0 | 3 | 4 | 5.3 |
# | 合计 | 1198 | 0 | 336 | 862 | 4.9 |
#
# 耗时是做一次带损失和优化器的诊断所花的时间，除以一次前向传播加反向传播的时间；取各网络的中位数。
#
# | 疑问 | 网络 | 属实 | 有意 | 误报 |
# | --- | --: | --: | --: | --: |
# | `unused` | 246 | 47 | 200 |  |
# | `frozen` | 63 |  | 63 |  |
# | `scale` | 25 | 20 | 4 | 1 |
# | `forward-called` | 8 | 8 |  |  |
# | `padding-row` | 7 | 7 |  |  |
# | `constant` | 7 | 6 | 1 |  |
# | `random-in-eval` | 5 |  | 5 |  |
# | `one-layer-many-names` | 3 |  | 3 |  |
# | `dead-units` | 2 | 2 |  |  |
#
# 这些疑问的含义：
#
# - `unused`，133（transformers），有意：调用网络时只给了一种输入，例如文本，而这些部分用于另一种输入，例如图像。
# - `unused`，35（transformers），有意：这些部分需要掩码、位置或编码器的输出，而这次调用没有给。
# - `frozen`，31（peft），有意：冻结的网络旁边，有一个适配器（adapter）在训练。
# - `unused`，21（transformers），有意：这些层只做选择，而选择没有梯度；或者这次输入没有选中它们。
# - `frozen`，21（transformers、monai），有意：位置是正弦值和余弦值。
# - `unused`，15（transformers），属实：网络的头在创建基础模型时带上了最后一层，却用不到它。
# - `scale`，15（timm、transformers、monai、segmentation_models_pytorch），属实：在新建的网络里，批量只有两个样本，每个批量归一化都会放大梯度。
# - `unused`，11（monai、segmentation_models_pytorch），属实：编码器只用到前面的特征，后面的层却还留着。
# - `unused`，9（monai），属实：块创建了交叉注意力的归一化层，却没有交叉注意力。
# - `frozen`，9（transformers、diffusers），有意：这一部分以别的方式更新，从常量开始，或者来自另一个模型。
# - `unused`，8（transformers），属实：层创建了却从不调用，或者它的结果被丢弃、被换成零。
# - `unused`，7（transformers），有意：这些部分用于另外的输入或训练阶段，而这次调用不涉及。
# - `padding-row`，7（transformers），属实：库的初始化填了所有的行。
# - `unused`，6（diffusers），有意：这些层用于掩码、视频或其他尺寸，或者结果是特意舍入的。
# - `constant`，4（peft），属实：提示词的词元编号放在字典里，每次调用都把它们移到嵌入层的设备上。
# - `unused`，4（torch_geometric），有意：这些层用于边的特征、损失，或训练的后一阶段。
# - `random-in-eval`，4（transformers、monai），有意：要遮住或保留哪些图块，由网络随机抽取，在评估模式下也是如此。
# - `scale`，4（transformers），属实：视觉编码器的配置默认 `initializer_range = 1e-10`。
# - `scale`，4（transformers），有意：每个块的缩放系数起初是 1e-5，所以新建的网络近似恒等映射。
# - `forward-called`，3（timm hrnet；transformers SqueezeBertModel；transformers SqueezeBertForMaskedLM），属实：遍历各层的循环调用 `layer.forward(x)`，所以这些层的钩子不运行。
# - `forward-called`，2（torch_geometric TAGConv；torch_geometric MixHopConv），属实：层调用 `lin.forward(x)`，所以这些线性层的钩子不运行。
# - `forward-called`，2（transformers ProphetNetModel；transformers ProphetNetForCausalLM），属实：嵌入层自己的方法 `_forward` 调用 `super().forward(...)`，所以它的钩子不运行。
# - `constant`，2（peft FourierFTConfig；peft ShiraConfig），属实：适配器的索引放在字典里，每次调用都把它们移到权重的设备上。
# - `unused`，2（monai BasicUNetPlusPlus，2 维；monai BasicUNetPlusPlus，3 维），属实：四个输出层中有三个运行了，而不用深度监督时，它们的结果会被丢弃。
# - `unused`，2（torch_geometric ARMAConv；torch_geometric ARMAConv，延后初始化），属实：即使只有一层，也会创建后续各层的权重。
# - `unused`，2（transformers Sam3Model；transformers Sam3LiteTextModel），有意：在训练模式下，网络会随机跳过一些整层。
# - `frozen`，2（monai VQVAE，2 维；monai VQVAE，3 维），有意：向量表是滑动平均值。
# - `one-layer-many-names`，2（lightning Fabric.setup；lightning Fabric.setup，用于 LightningModule），有意：包装器以两个名字持有它所包装的网络。
# - `dead-units`，2（timm byobnet；timm nfnet），属实：神经元很少的新层，对只有两个样本的批量可能全是 0。
# - `forward-called`，1（peft AdaLoraConfig），属实：包装器调用 `self.model.forward(...)`，所以它所包装的模型的钩子不运行。
# - `constant`，1（lightning torchmetrics.MetricCollection），有意：指标（metric）自己移动、保存和重置自己的状态。
# - `random-in-eval`，1（transformers UnivNetModel），有意：网络把噪声变成声音，或者用随机向量做哈希。
# - `scale`，1（transformers CpmAntModel），属实：配置默认以 1 为标准差抽取权重。
# - `scale`，1（transformers Nemotron3_5AsrForRNNT），误报：第一层和最后一层属于并排运行的两个网络。
# - `one-layer-many-names`，1（timm coat），有意：同一个层处理三种大小的特征。
#
# 耗时超过 6 次前向传播加反向传播再加 0.5 秒的网络：0。
#
# 未包括：724 个网络，它们无法用通用的大小创建，或者参数超过 64,000,000 个，或者需要没有安装的包。
# 2026-11-26：AMD EPYC 的 2 个核心、Python 3.11.7、torch 2.13.0、safetensors 0.8.0、timm 1.0.31、torchvision 0.28.0、transformers 5.24.0、torch_geometric 2.8.1、monai 1.6.1、diffusers 0.42.1、x_transformers 2.31.10、peft 0.21.2、segmentation_models_pytorch 0.6.0、lightning 2.6.6。
#
# 还有两个包也会查找网络中的错误：[torchtest2](https://pypi.org/project/torchtest2/) 检查网络在一个批量上的表现，[torch-audit](https://pypi.org/project/torch-audit/) 还给出提速的建议。
# 它们也在同样的网络上试过，还在一个错误集上试过：其中每个网络有一处错误，并附有改正之后的同一个网络：
#
# 工具报告有错误的真实网络：
#
# | 库 | 网络 | `diagnose` | 不属实 | torch-audit | torchtest2 |
# | --- | --: | --: | --: | --: | --: |
# | timm | 93 | 0 | 0 | 4 | 0 |
# | torchvision | 25 | 0 | 0 | 2 | 0 |
# | transformers | 700 | 0 | 0 | 219 | 237 |
# | torch_geometric | 144 | 0 | 0 | 10 | 15 |
# | monai | 91 | 0 | 0 | 15 | 25 |
# | diffusers | 28 | 0 | 0 | 5 | 6 |
# | x_transformers | 55 | 0 | 0 | 0 | 1 |
# | peft | 32 | 0 | 0 | 20 | 0 |
# | segmentation_models_pytorch | 20 | 0 | 0 | 4 | 5 |
# | lightning | 7 | 0 | 0 | 0 | 0 |
# | 合计 | 1195 | 0 | 0 | 279 | 289 |
#
# 其他工具报告为错误的是什么，各涉及多少个网络：
#
# - torch-audit：TA500 279
# - torchtest2：params_change 247，gradient_flow 247，input_dependency 29，batch_independence 16，forward 4，frozen_params 2
#
# 这些网络大多有输入影响不到的参数，两个工具都称之为错误，`diagnose` 则称之为疑问。
#
# 错误集（其中的错误正是 `diagnose` 要查的）和改正后的网络：
#
# | 工具 | 查出的错误 | 改正后的网络：有错误 | 有诊断结果 |
# | --- | --: | --: | --: |
# | `diagnose` | 89/89 | 0/89 | 0/89 |
# | torch-audit | 33/89 | 1/89 | 88/89 |
# | torchtest2 | 46/89 | 4/89 | 17/89 |

# %% [markdown]
# ### 代价
#
# 第一行是一次前向传播加反向传播的时间，其余各行是它的倍数。
# 最后一列是额外占用的内存，以网络自身的大小为单位：
#
# | 一次前向传播加反向传播的多少倍 | 10 个模块 | 98 个模块 | 498 个模块 | 1,998 个模块 | 网络的副本 |
# | --- | --: | --: | --: | --: | --: |
# | 一次前向传播加反向传播 | 304 µs | 2.05 ms | 12 ms | 53.9 ms |  |
# | `diagnose(net, X)` | 12.65 ± 0.40 | 7.50 ± 0.18 | 5.82 ± 0.25 | 8.64 ± 0.26 | 0.0 |
# | `diagnose(net, X, loss, optimizer)` | 13.10 ± 0.39 | 8.12 ± 0.35 | 6.65 ± 0.10 | 9.53 ± 0.16 | 1.1 |
# | torchtest2，只有输入 | 21.50 ± 0.51 | 22.36 ± 0.53 | 26.32 ± 1.28 | 48.53 ± 1.18 | 5.0 |
# | torchtest2，损失和优化器 | 304.35 ± 11.96 | 166.93 ± 0.75 | 69.51 ± 2.64 | 266.33 ± 9.91 | 3.3 |
# | torch-audit | 4.52 ± 0.06 | 4.60 ± 0.16 | 3.94 ± 0.21 | 4.03 ± 0.05 | 1.3 |
#
# 最多 6 次前向传播加反向传播再加 0.5 秒：所有网络。
# 3 轮的中位数和四分位距的一半，2026-11-26：AMD EPYC 的 2 个核心、Python 3.11.7、torch 2.13.0、torchtest2 0.1.0、torch-audit 0.3.0。

# %% [markdown]
# ## 工作原理
#
# PyTorch 让你可以观察每个操作：在 `TorchFunctionMode` 的 `with` 代码块里，每次调用 PyTorch 的函数，它都会收到这次调用及其参数。
# 要找出列表里的层的参数，一个短短的类就够了。
# 凡是参与操作、却不是网络参数的 `nn.Parameter`，这个类都会记下来：

# %%
from torch.overrides import TorchFunctionMode


class Strangers(TorchFunctionMode):
    def __init__(self, net):
        super().__init__()
        self.owned = {id(parameter) for parameter in net.parameters()}
        self.found = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        for value in args:
            known = id(value) in self.owned
            if isinstance(value, nn.Parameter) and not known:
                self.found.append((function.__name__, tuple(value.shape)))
        return function(*args, **(kwargs or {}))


net, X = Net(), torch.rand(8, 20)
with Strangers(net) as watch:
    net(X)
print(*watch.found, sep="\n")
#> ('linear', (20, 20))
#> ('linear', (20,))
#> ('linear', (10, 20))
#> ('linear', (10,))

# %% [markdown]
# `diagnose` 也是这样观察的，只是记录得更多：对 `.data` 的读写，写入输入的操作，抽取的随机数，还有损失及其所比较的形状。
# 挂在所有模块上的钩子说明哪个模块正在运行、返回了什么。
# 结果的 autograd 计算图说明梯度能到达哪些参数。
# 开始之前，`diagnose` 先复制一份网络；结束时，再把副本写回去。
#
# 有三件事，只调用一次看不出来：
#
# - 评估模式下，随机数会不会改变结果：用两个随机种子，让网络运行两次。
# - 一次调用留下的张量，会不会参与下一次调用：让网络再运行一次。
# - 相等的神经元，会不会一直相等：用带随机权重的损失，让网络训练几步，之后同样撤销。
#
# **局限。**`ScriptModule` 的内部，或者其他库中编译过的函数的内部，什么也观察不到。
# 用 `torch.compile` 编译过的网络，在观察期间不经编译直接运行。

# %% [markdown]
# ## 库中的实现
#
# `d2lblocks.diagnosis` 里有 `diagnose`、`explain` 和 `explain_errors`，还有它们返回的结果所用的类。

# %%
from d2lblocks import Explanation, Finding, Mistake, Report, explain_errors

report = diagnose(net, X)
print(isinstance(report, Report), isinstance(report[0], Finding))
#> True True
explanation = explain("optimizer got an empty parameter list")
print(isinstance(explanation, Explanation), isinstance(explanation[0], Mistake))
#> True True
print(report.as_dict()["findings"][0]["code"], explain_errors.__name__)
#> unregistered explain_errors

# %% [markdown]
# ## 出错的时候

# %% [markdown]
# ### 损失居高不下：`cross_entropy` 之前用了 softmax
#
# 损失下降一点，然后就居高不下，因为两次 softmax 让所有预测都差不多。
# 网络即使预测正确，而且非常有把握，损失仍远大于 0：

# %%
scores = torch.tensor([[100.0, 0.0, 0.0]])
y = torch.tensor([0])
print(f"{F.cross_entropy(scores.softmax(-1), y):.3f}")
#> 0.551
print(f"{F.cross_entropy(scores, y):.3f}")
#> 0.000

# %% [markdown]
# 在 `F.binary_cross_entropy_with_logits` 之前用 sigmoid，也是一样。
# `F.nll_loss` 正好相反：它需要的是 `log_softmax` 的结果。
# 请去掉 softmax，等训练之后需要概率时再用。

# %%
net = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=-1))
X, y = torch.rand(6, 4), torch.arange(6) % 3
print([each.code for each in diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y))])
#> ['softmax-twice']
del net[1]
print([each.code for each in diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y))])
#> []

# %% [markdown]
# ### 所有预测都变成均值：形状 `(8, 1)` 和 `(8,)`
#
# 做回归的网络返回的形状是 `(8, 1)`，而目标的形状是 `(8,)`。
# 两者之差的形状是 `(8, 8)`，所以最好的预测就是所有目标的均值。
# `F.mse_loss` 会发出警告，自己写的公式不会：

# %%
net, X, y = nn.Linear(4, 1), torch.rand(8, 4), torch.rand(8)
print((net(X) - y).shape, (net(X).squeeze(-1) - y).shape)
#> torch.Size([8, 8]) torch.Size([8])
print([each.code for each in diagnose(net, X, loss=lambda Y: (Y - y).square().mean())])
#> ['broadcast']

# %% [markdown]
# ### 完全没有梯度：`item()`、`detach()` 或 `torch.tensor(...)`
#
# 反向传播失败，报错 `element 0 of tensors does not require grad and does not have a grad_fn`；或者你根本没有调用它，因为损失是一个数。
# 下面这些都会丢掉计算图：`item()`、`tolist()`、`numpy()`、`detach()`、`.data`、`argmax`、比较，以及对张量使用 `torch.tensor(...)`。

# %%
net = nn.Linear(4, 3)
X, y = torch.rand(6, 4), torch.arange(6) % 3
report = diagnose(net, X, loss=lambda Y: (Y.argmax(-1) != y).float().mean())
print(report[0].code, *report[0].names)
#> no-gradient loss
print(diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y)))
#> Linear, called with (6, 4): nothing found

# %% [markdown]
# ### 某一层没有梯度：没有调用，或者被切断
#
# 参数的梯度一直是 `None`，优化器会跳过它。
# 分布式训练要等这个梯度，所以到第二步就报错停下。

# %%
class Forgetful(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.norm = nn.Linear(4, 4), nn.LayerNorm(4)
        self.out = nn.Linear(4, 2)

    def forward(self, X):
        H = self.hidden(X).detach()
        return self.out(H)


report = diagnose(Forgetful(), torch.rand(2, 4))
for finding in report:
    print(finding.code, *finding.names)
    print(finding.text)
#> unused norm
#> 2 parameters take no part in the forward pass, and get no gradient.
#> unused hidden
#> 2 parameters take part in the forward pass, but get no gradient: the output does not use the result, or the graph is cut.

# %% [markdown]
# 如果网络的某些层只用于某些输入，这就是有意的：`silence=["unused"]`。

# %% [markdown]
# ### `layer.forward(X)` 跳过钩子
#
# 延后初始化层在钩子里得到形状，剪枝（pruning）在钩子里计算权重，性能分析器（profiler）用钩子统计操作次数。
# `layer(X)` 会运行 `forward` 和钩子；`layer.forward(X)` 只运行 `forward`。

# %%
class Direct(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.layer.register_forward_hook(lambda module, args, Y: Y * 2)

    def forward(self, X):
        return self.layer.forward(X)


report = diagnose(Direct(), torch.rand(2, 4))
print(report[0].level, report[0].code, *report[0].names)
#> error forward-called layer

# %% [markdown]
# ### 输出中有 `nan`：最先出现在哪一层
#
# 一旦某个值是 NaN，由它算出的值几乎都是 NaN，从输出看不出 NaN 是从哪里开始的。
# `diagnose` 按前向传播的顺序，指出第一个模块：

# %%
class Root(nn.Module):
    def forward(self, X):
        return X.sqrt()


net = nn.Sequential(nn.Linear(4, 4), Root(), nn.Linear(4, 2))
with torch.no_grad():
    net[0].bias.fill_(-9)
report = diagnose(net, torch.rand(2, 4))
print(report[0].code, *report[0].names)
#> nan 1
print(report[0].text)
#> Root is the first module that returns NaN. Its input and its parameters hold none.

# %% [markdown]
# ### ReLU 只返回零
#
# 某一步走得太大，或者偏置是绝对值很大的负数，ReLU 的输入就可能全是负数。
# 这时，它只返回零，导数处处为 0，前面的层再也不会变化。

# %%
net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
with torch.no_grad():
    net[0].bias.fill_(-9)
report = diagnose(net, torch.rand(2, 4))
print(report[0].code, *report[0].names)
#> dead-units 1

# %% [markdown]
# ### 名为 `parameters` 的属性遮蔽了方法
#
# 模块已经有 `parameters`、`children`、`modules`、`train`、`eval` 等许多名字。
# 如果把别的东西赋给其中一个，每次调用这个方法都会失败，而失败的地方离原因很远：

# %%
net = nn.Linear(4, 2)
net.parameters = ["weight", "bias"]
print(callable(net.parameters))
#> False
print(*[(each.code, each.names) for each in diagnose(net, torch.rand(2, 4))])
#> ('hidden-method', ('parameters',))
del net.parameters
print(diagnose(net, torch.rand(2, 4)))
#> Linear, called with (2, 4): nothing found

# %% [markdown]
# 自己写一个叫 `train` 或 `eval` 的方法，同样糟糕：`net.eval()` 调用的就成了你的方法。

# %% [markdown]
# ## 练习题

# %% [markdown]
# ### 练习题 1
#
# 下面的网络有三个头，其中只有一个在学习。
# 用 `diagnose(Heads(), torch.rand(2, 4))` 找出原因，只改一行把网络修好。
# 输出要保持不变，属性的名字也不能变：`size` 这个头的权重叫作 `others.size.weight`。
#
# 练习（容易）：`python -m d2lblocks practice start diagnosis/1`

# %%
class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.main = nn.Linear(8, 2)
        heads = {"size": nn.Linear(8, 1), "color": nn.Linear(8, 3)}
        self.others = heads

    def forward(self, X):
        H = self.body(X).relu()
        extra = [head(H) for head in self.others.values()]
        return torch.cat([self.main(H), *extra], dim=-1)

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 另外两个头放在普通字典里，所以没有注册：

# %%
report = diagnose(Heads(), torch.rand(2, 4))
print(*report[0].names)
#> self.others['size'] self.others['color']
print(report[0].fix)
#> Write self.others = nn.ModuleDict({...}).

# %% [markdown]
# *diagnosis/1_heads.py*

# %%
class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.main = nn.Linear(8, 2)
        heads = {"size": nn.Linear(8, 1), "color": nn.Linear(8, 3)}
        self.others = nn.ModuleDict(heads)

    def forward(self, X):
        H = self.body(X).relu()
        extra = [head(H) for head in self.others.values()]
        return torch.cat([self.main(H), *extra], dim=-1)

# %%
print(diagnose(Heads(), torch.rand(2, 4)))
#> Heads, called with (2, 4): nothing found

# %% [markdown]
# ### 练习题 2
#
# 一个网络要用教师网络（teacher），而教师网络既不能随它训练，也不能随它保存。
# 所以作者特意把教师网络放进元组：`self.teacher = (teacher,)`。
# 编写 `examine(net, X)`，返回 `diagnose(net, X)` 的报告，但不含关于 `self.teacher[0]` 的疑问。
# 其他问题都仍要找出来，例如元组或列表里的其他层。
#
# 练习（中等）：`python -m d2lblocks practice start diagnosis/2`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 这条诊断结果的级别是 `question`，因为教师网络在 `torch.no_grad()` 下运行，作者不可能是想让它学习。
# 位置也要写上，这样别处的同类错误仍能找出来：
#
# *diagnosis/2_intended.py*

# %%
def examine(net, X):
    return diagnose(net, X, silence=["unregistered:self.teacher[0]"])

# %%
class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.teacher = (nn.Linear(4, 2),)

    def forward(self, X):
        with torch.no_grad():
            Y = self.teacher[0](X)
        return self.layer(X) - Y


X = torch.rand(2, 4)
report = diagnose(Student(), X)
print(report[0].level, report[0].code, *report[0].names)
#> question unregistered self.teacher[0]
print(examine(Student(), X))
#> Student, called with (2, 4): nothing found

# %% [markdown]
# ### 练习题 3
#
# 脚本可能运行几小时之后才失败，这时日志里应该有对错误的解释。
# 编写 `logged(main, path)`，调用 `main()` 并返回它的结果。
# 如果 `main` 抛出异常，就把 `str(explain(error))` 追加到文本文件 `path`，再让同一个异常继续向外抛出。
# 文件里已有的内容要保留。
#
# 练习（中等）：`python -m d2lblocks practice start diagnosis/3`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 捕获异常，写入解释，再重新抛出这个异常：
#
# *diagnosis/3_log.py*

# %%
def logged(main, path):
    try:
        return main()
    except Exception as error:
        with open(path, "a") as log:
            log.write(f"{explain(error)}\n")
        raise

# %%
def main():
    return nn.Linear(20, 10)(torch.rand(56, 28))


try:
    logged(main, "log.txt")
except RuntimeError:
    print(Path("log.txt").read_text().partition("\n")[0])
#> mat1 and mat2 shapes cannot be multiplied

# %% [markdown]
# 如果想让解释打印在回溯的下面，就改为在脚本的开头几行调用 `explain_errors()`。

# %% [markdown]
# ### 练习题 4
#
# `Classifier` 是有十个类别的分类网络；`start` 给它换上三个类别的最后一层，并把它连同优化器一起返回。
# 函数 `train` 是对的，但它返回的损失居高不下，因为 `Classifier` 和 `start` 里有三处错误。
# 用 `diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer)` 找出它们，可以取 `X = torch.rand(6, 2)` 和 `y = torch.arange(6) % 3`。
# 改正这些错误，其余的保持原样。
#
# 练习（中等）：`python -m d2lblocks practice start diagnosis/4`

# %%
class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = [nn.Linear(2, 16), nn.Linear(16, 16)]
        self.out = nn.Linear(16, 10)

    def forward(self, X):
        for layer in self.hidden:
            X = layer(X).relu()
        return self.out(X).softmax(dim=-1)


def start():
    net = Classifier()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    net.out = nn.Linear(16, 3)
    return net, optimizer


def train(net, optimizer, X, y, steps):
    for _ in range(steps):
        loss = F.cross_entropy(net(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 两处是错误，一处是疑问：

# %%
net, optimizer = start()
X, y = torch.rand(6, 2), torch.arange(6) % 3
report = diagnose(
    net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer
)
for finding in report:
    print(finding.level, finding.code, *finding.names)
#> error unregistered self.hidden[0] self.hidden[1]
#> error optimizer out
#> question softmax-twice output

# %% [markdown]
# 注册隐藏层，返回分数，最后再创建优化器：
#
# *diagnosis/4_learn.py*

# %%
class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.ModuleList([nn.Linear(2, 16), nn.Linear(16, 16)])
        self.out = nn.Linear(16, 10)

    def forward(self, X):
        for layer in self.hidden:
            X = layer(X).relu()
        return self.out(X)


def start():
    net = Classifier()
    net.out = nn.Linear(16, 3)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    return net, optimizer


def train(net, optimizer, X, y, steps):
    for _ in range(steps):
        loss = F.cross_entropy(net(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()

# %%
net, optimizer = start()
X = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]])[y]
print(train(net, optimizer, X, y, steps=200) < 0.1)
#> True

# %% [markdown]
# ### 练习题 5
#
# 在训练中途调用一次 `diagnose(net, X)` 之类的函数，会不会改变训练的结果？
# 编写 `same_run(train, call)`，其中 `train(f)` 创建网络、训练网络，每一步之前调用 `f(net)`，最后返回状态字典。
# 用 `torch.manual_seed` 设定同一个随机种子，运行 `train` 两次，一次用 `call`，一次用什么也不做的函数。
# 如果两个状态字典的名字相同，值也逐位相同，就返回 `True`，否则返回 `False`。
#
# 练习（较难）：`python -m d2lblocks practice start diagnosis/5`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 任何差别都看得出来，不管是抽取了随机数，还是改变了参数或缓冲区。
#
# *diagnosis/5_same_run.py*

# %%
def same_run(train, call):
    torch.manual_seed(0)
    with_it = train(call)
    torch.manual_seed(0)
    without = train(lambda net: None)
    return with_it.keys() == without.keys() and all(
        torch.equal(with_it[name], without[name]) for name in without
    )

# %% [markdown]
# 用这个函数可以证明：`diagnose` 不改变训练，而在训练模式下调用网络会改变训练：

# %%
def short_run(f):
    net = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 3)
    )
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(5):
        f(net)
        X, y = torch.rand(6, 4), torch.arange(6) % 3
        optimizer.zero_grad()
        F.cross_entropy(net(X), y).backward()
        optimizer.step()
    return net.state_dict()


X = torch.ones(6, 4)
print(same_run(short_run, lambda net: diagnose(net, X)))
#> True
print(same_run(short_run, lambda net: net(X)))
#> False

# %% [markdown]
# ### 练习题 6
#
# 工作原理中的类 `Strangers` 观察操作，找出列表里的参数。
# 编写 `Constants(net)`，用来找出常量，也就是放在 `net` 的各模块的属性里、调用之前就存在、又参与调用的普通张量。
# 运行 `with Constants(net) as watch: net(X)` 之后，集合 `watch.found` 里是它们的路径，例如网络自己的常量是 `"scale"`，直接子模块 `body` 的常量是 `"body.scale"`。
# 参与调用，是指成为某个操作的位置参数或关键字参数。
# 调用返回的结果，要与没有 `with` 代码块时相同。
#
# 练习（较难）：`python -m d2lblocks practice start diagnosis/6`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 先收集所有模块的属性里的张量。
# 注册过的张量不在其中，因为模块另有专门的表存放它们。
#
# *diagnosis/6_constants.py*

# %%
class Constants(TorchFunctionMode):
    def __init__(self, net):
        super().__init__()
        self.held = {
            id(value): f"{path}.{name}".lstrip(".")
            for path, module in net.named_modules()
            for name, value in vars(module).items()
            if isinstance(value, torch.Tensor)
        }
        self.found = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for value in [*args, *kwargs.values()]:
            if id(value) in self.held:
                self.found.add(self.held[id(value)])
        return function(*args, **kwargs)

# %%
net = Net()
with Constants(net) as watch:
    net(torch.rand(8, 20))
print(watch.found)
#> {'scale'}

# %% [markdown]
# ## 小结
#
# | 想要 | 写法 |
# |---|---|
# | 检查网络 | `print(diagnose(net, X))` |
# | 连同损失和优化器 | `diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer)` |
# | 只看错误，不看疑问 | `report.errors` |
# | 说明某处是有意的 | `diagnose(net, X, silence=["constant:self.scale"])` |
# | 测试 | `assert not diagnose(net, X).errors` |
# | 检查权重是否绑定 | `diagnose(net, X, ties=[("encoder.weight", "decoder.weight")])` |
# | 在命令行里检查 | `python -m d2lblocks diagnose check.py:example` |
# | 看懂报错信息 | `print(explain("the message"))` |
# | 解释每个没有捕获的错误 | `d2lblocks.explain_errors()` |
#
# 本页的函数见 `d2lblocks.diagnosis`，所有主题的表都在速查表里。
#
# 这是最后一个主题。
# 接下来：出错的时候，按报错信息或症状查找所有主题的错误。
