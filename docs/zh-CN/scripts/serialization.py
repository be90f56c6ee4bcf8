# %% [markdown]
# # 文件读写
#
# 这是 d2lblocks 中“文件读写”一页的脚本版：由页面生成，并且运行过。
# 运行它需要 `d2lblocks`、`numpy`、`safetensors` 和 `torch`。
# 在本仓库的克隆里运行 `pip install .`，就会装好 `d2lblocks`。
#
# 网络已经训练了好几个小时，任务突然被终止，学到的东西全丢了。
# 又或者，训练已经完成，同事想在笔记本电脑上运行你的网络。
# 这两种情况都需要一个完整的、可以放心打开的文件。
#
# - **学完之后你能：**保存和加载网络学到的东西，让中断的训练像没有停过一样继续下去，并分清哪些文件可以放心打开。
# - **需要先会：**层与模块和参数；要用库中的函数，还要在本站代码仓库的克隆中运行 `pip install .`。
# - **需要多长时间：**读到损坏的文件之前约 40 分钟，保存和加载网络有这部分就够了；加上其余部分和练习题，约 90 分钟。

# %%
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)

# %% [markdown]
# ## 保存张量、列表和字典
#
# 程序一结束，变量就没有了。
# 要留住一个张量，就用 `torch.save` 把它写进文件，以后再用 `torch.load` 读回来。
# <dfn>序列化</dfn>（serialization）把内存中的对象变成可以存进文件的字节；反序列化再把字节变回对象。

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
# 文件名通常以 `.pt` 或 `.pth` 结尾，但 PyTorch 接受任何名字。

# %% [markdown]
# ## 保存网络的参数：`state_dict`
#
# 保存模型时，不需要保存网络本身。
# 它的代码在你的程序里，文件只要存下各个值：参数和持久缓冲区，例如批量归一化层的滑动均值。
# `state_dict()` 返回一个字典，键是名字，值就是这些张量：

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
# 文件里有四个张量、它们的名字，以及每个模块的版本号，没有关于 `relu` 或 `MLP` 类的任何信息。
# 要从这个文件加载模型，先重新创建网络，再用 `load_state_dict` 把值复制进去：

# %%
clone = MLP()
print(clone.load_state_dict(torch.load("mlp.pt")))
#> <All keys matched successfully>
print(torch.equal(clone.eval()(X), Y))
#> True

# %% [markdown]
# 做预测之前要调用 `eval()`，它把 dropout 和批量归一化切换到评估模式。
# 这个网络里两者都没有。

# %% [markdown]
# ### 保存架构的三种方法
#
# 初读可以跳过：只有加载文件的程序不知道网络的代码或大小，才需要这一节。
#
# 网络的<dfn>架构</dfn>（architecture）是除张量的值以外的一切：有哪些层、各层有多大，以及把它们连接起来的代码。
# 状态字典不包含架构，所以要用别的办法保存：
#
# 1. **代码留在程序里，构造函数的参数存进文件。**这是通常的做法：构造网络时传入的参数也存在同一个文件里。

# %%
sized = nn.Sequential(nn.Linear(20, 64), nn.Linear(64, 10))
torch.save({"sizes": [20, 64, 10], "net": sized.state_dict()}, "with_sizes.pt")

loaded = torch.load("with_sizes.pt")
n_in, n_hidden, n_out = loaded["sizes"]
rebuilt = nn.Sequential(nn.Linear(n_in, n_hidden), nn.Linear(n_hidden, n_out))
print(rebuilt.load_state_dict(loaded["net"]))
#> <All keys matched successfully>

# %% [markdown]
# 2. **把计算保存成图**，用 [`torch.export`](https://docs.pytorch.org/docs/stable/export.html)。
#    文件里存的是操作和权重，加载时完全不需要你的代码。
#    导出后的网络不能切换模式，所以要先调用 `eval()`。
#    它只接受与示例输入相同的设备和批量大小；要用别的大小，见编译与导出。

# %%
torch.export.save(torch.export.export(net.eval(), (X,)), "mlp.pt2")
program = torch.export.load("mlp.pt2").module()
print(torch.allclose(program(X), Y))
#> True

# %% [markdown]
#     在这里，PyTorch 2.11 和 2.12 会警告某个缓冲区不可写，不必理会。
#
# 3. **保存整个对象**，用 `torch.save(net, "net.pt")`。
#    文件里没有你的类，只有类名，所以必须还能从同一个 Python 模块导入同名的类，才能加载。
#    加载时还会运行文件里的指令，所以可能有危险。

# %% [markdown]
# ## 严格加载：名字和形状必须一致
#
# 如果在保存网络之后给某个层改了名字，或者改了大小，`load_state_dict` 就会报错，并列出所有不同之处：

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
# “缺少”（missing）的名字只在网络中有，“多余”（unexpected）的名字只在状态字典中有。
#
# （图：两列：状态字典和网络。
# 两边都有 out.weight 和 out.bias，从左到右的箭头上写着：复制。
# 只有状态字典有 hidden.weight 和 hidden.bias，它们是多余的：网络中没有。
# 只有网络有 first.weight 和 first.bias，它们是缺少的：状态字典中没有。）
#
# <dfn>严格加载</dfn>（strict loading）是 `load_state_dict` 的默认方式：如果一个名字只在网络中或只在状态字典中，就会报错；`strict=False` 忽略这样的名字。
# 形状不对，用哪种方式都会报错。
#
# **注意。**能复制的值全部复制**之后**才报错，所以这时网络里的值有新有旧。
# 碰到这种错误，就重新创建一个网络；或者改用 `load_parameters`，它先检查一切，再开始复制。

# %% [markdown]
# ### 前缀：`module.` 和 `_orig_mod.`
#
# 初读可以跳过：等碰到文件里的名字以 `module.` 开头，或者含有 `_orig_mod.`，再回来读。
#
# 有些工具把网络包装在另一个模块里。
# `DataParallel` 和 `DistributedDataParallel` 用多块 GPU 训练网络，把网络存在属性 `module` 里；`torch.compile` 把网络存在 `_orig_mod` 里。
# 如果保存的是包装器，状态字典里的每个名字都以这个属性的名字开头：

# %%
compiled = torch.compile(net, backend="eager")
print(list(compiled.state_dict())[:2])
#> ['_orig_mod.hidden.weight', '_orig_mod.hidden.bias']

# %% [markdown]
# 要避免这种情况，就不要保存包装器的状态字典，而是保存你自己的网络（`compiled._orig_mod`）的状态字典；或者用 `net.compile()` 原地编译，名字就不会变。
#
# 如果文件里已经是这样的名字，就去掉前缀。
# PyTorch 的 `consume_prefix_in_state_dict_if_present` 原地修改字典，没有返回值：

# %%
wrapped = {f"module.{name}": tensor for name, tensor in net.state_dict().items()}
nn.modules.utils.consume_prefix_in_state_dict_if_present(wrapped, "module.")
print(MLP().load_state_dict(wrapped))
#> <All keys matched successfully>

# %% [markdown]
# 这个函数只看每个名字的开头。
# 如果只编译了网络的一部分，`_orig_mod` 就在名字中间，函数什么也不改，也不会有任何提示：

# %%
partly = nn.Sequential(torch.compile(nn.Linear(20, 3), backend="eager"), nn.ReLU())
state = partly.state_dict()
nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "_orig_mod.")
print(list(state))
#> ['0._orig_mod.weight', '0._orig_mod.bias']

# %% [markdown]
# 要去掉所有的包装器，就得去掉 `module` 和 `_orig_mod` 这两个部分，不管它们在名字的什么位置：

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
# 如果你自己的网络有名叫 `module` 的属性，就不要用 `unwrapped`。

# %% [markdown]
# ## 把网络的一部分加载到另一个网络
#
# 你想把训练好的网络的第一层，用到另一项任务的网络里。
# 每个层都是模块，所以都有自己的 `state_dict`：

# %%
other = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 3))
other[0].load_state_dict(net.hidden.state_dict())
print(torch.equal(other[0].weight, net.hidden.weight))
#> True

# %% [markdown]
# 如果手头只有文件，就从中挑出这个层的条目。
# 条目的名字以层的路径开头，这里是 `hidden.`；在层的内部，名字是 `weight` 和 `bias`：

# %%
state = torch.load("mlp.pt")
part = {name: state[f"hidden.{name}"] for name in ("weight", "bias")}
print(other[0].load_state_dict(part))
#> <All keys matched successfully>

# %% [markdown]
# ## 绑定的权重
#
# 如果网络里没有共享参数的层，初读可以跳过这一节。
#
# 绑定的权重有两个名字。
# 它在状态字典里出现两次，在文件里却只存一份。
# `data_ptr()` 返回张量中第一个值的地址；加载之后，两个名字得到的地址相同：

# %%
table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
tied = nn.Sequential(table, scores)
torch.save(tied.state_dict(), "tied.pt")
state = torch.load("tied.pt")
print(list(state), state["0.weight"].data_ptr() == state["1.weight"].data_ptr())
#> ['0.weight', '1.weight'] True

# %% [markdown]
# 文件不会替你绑定网络里的权重，所以要先绑定，再加载。
# `load_state_dict` 把值复制到网络已有的张量里，因此权重仍是绑定的，之前创建的优化器持有的也仍是正确的张量：

# %%
before = table.weight
tied.load_state_dict(state)
print(table.weight is before, scores.weight is before)
#> True True

# %% [markdown]
# **注意。**状态字典如果来自没有绑定权重的网络，可能有两个不同的张量对应那个绑定的权重。
# 两个都会悄悄复制进去，所以最后只剩下第二个：

# %%
state = {"0.weight": torch.zeros(5, 4), "1.weight": torch.ones(5, 4)}
tied.load_state_dict(state)
print(table.weight.detach().unique())
#> tensor([1.])

# %% [markdown]
# ## 视图：保存张量的一部分，写入的是全部
#
# 初读可以跳过：保存大张量的切片，发现文件大得不对劲，再回来读。
#
# 张量的<dfn>存储</dfn>（storage）是存放其值的那块内存；几个张量可以共用一个存储。
# <dfn>视图</dfn>（view）是与另一个张量共用存储的张量，例如切片 `X[:1]`。
# `torch.save` 写入的是整个存储，所以保存之前共用存储的张量，加载之后仍然共用。
# 因此，保存只有一个值的视图，也可能写出四兆字节：

# %%
import os

large = torch.zeros(1_000_000)
torch.save(large[:1], "view.pt")
torch.save(large[:1].clone(), "clone.pt")
print(os.path.getsize("view.pt") > 4_000_000, os.path.getsize("clone.pt") < 4_000)
#> True True

# %% [markdown]
# 如果只需要大张量的一小部分，就保存这部分的 `clone()`，它有自己的存储。

# %% [markdown]
# ## `.pt` 文件里有什么
#
# 初读可以跳过：这一节解释为什么绑定的权重只存一份，为什么有些文件有危险。
#
# `torch.save` 写出的文件是 zip 归档文件。
# 其中的成员 `data.pkl` 存有名字，并描述每个张量：类型、形状、存储和步幅。
# 张量的<dfn>步幅</dfn>（strides）说明，在每个维度上，相邻元素在存储中相隔多远，以元素个数计。
# 值存在归档的其他成员里，每个存储一个成员。
# 上面那个绑定的权重，两个名字指向同一个存储，所以这样的成员只有一个：

# %%
import zipfile

with zipfile.ZipFile("tied.pt") as file:
    print([name for name in file.namelist() if name.startswith("tied/data")])
#> ['tied/data.pkl', 'tied/data/0']

# %% [markdown]
# （图：两个文件，存有同样的绑定的权重。
# 上面的是 torch.save 写出的 zip 归档文件。
# 成员 tied/data.pkl 是 pickle，里面有名字 0.weight 和 1.weight，以及它们的形状；两个名字都指向成员 tied/data/0，其中有 20 个数，每个 4 字节。
# 另有几个小的部分，存有版本和字节序。
# 下面的是 safetensors 文件。
# 最前面是文件头的长度。
# 接着是文件头，这是一段文本，写着 0.weight 的类型是 F32、形状是 5 乘 4，位于字节 0 到 80，还写着 1.weight 就是 0.weight。
# 文件头之后是那 20 个数。
# 这个文件里没有任何能运行的东西。）
#
# 图的下半部分是同一个网络的 safetensors 文件，由 `save_parameters` 写出（图中省略了校验和）。
# 它的文件头是纯文本；而 `data.pkl` 是 pickle，可以运行代码。

# %% [markdown]
# ## 恢复训练
#
# 训练走完一半的步数就停了，你想让它像没有停过一样继续下去。
# <dfn>检查点</dfn>（checkpoint）是一个文件，保存网络的值以及继续训练所需的其他一切。
# <dfn>恢复训练</dfn>（resuming）是指从检查点继续训练，往往在另一个进程里。
#
# 只有参数和缓冲区还不够，因为训练还取决于另外三种状态：
#
# - 优化器可能保存着梯度的滑动平均（即矩，moment），Adam 就是这样。
# - 学习率调度器记录步数。
#   <dfn>学习率调度器</dfn>（learning-rate scheduler）在训练期间改变优化器的学习率。
# - 随机数生成器决定 dropout 把哪些值设为零，以及按什么顺序打乱数据。
#
# 有了全部四种状态，恢复的训练最后得到的网络，与从未中断的训练得到的逐位相同。
# 下面的代码片段先不间断地把一个网络训练六步，再把另一个网络训练三步，并保存它的全部状态：

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
# 现在像在新进程里那样从头开始，加载全部四种状态，再训练三步：

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
# 两个网络相等。
# 如果只加载网络，结果就不同了：

# %%
net, optimizer, scheduler = start()
net.load_state_dict(loaded["net"])
train(net, optimizer, scheduler, steps=3)
print(all(torch.equal(a, b) for a, b in zip(net.parameters(), unstopped.parameters())))
#> False

# %% [markdown]
# 你的训练也许不只取决于这四种状态。
# 下面这些也要保存：
#
# - 已经完成的步数（如果训练循环要计步）；
# - `GradScaler` 的状态（如果用 `float16` 训练）；
# - Python 的 `random` 和 NumPy 的状态（如果用到它们）；
# - 数据用到了哪里（如果训练可能在一个 epoch 的中途停下）。
#   一个 <dfn>epoch</dfn> 就是把全部训练数据过一遍。
#
# 每块 GPU 都有自己的随机数生成器，所以还要保存 `torch.cuda.get_rng_state_all()`。
# 不要用 `map_location="cuda"` 加载这样的检查点（见设备），因为 `set_rng_state` 不接受位于 GPU 上的状态。
# 在 GPU 上，要得到相等的结果，还需要 `torch.use_deterministic_algorithms(True)`、同型号的 GPU 和同样的软件版本。
#
# `save_checkpoint` 会保存随机状态、你传入的步数，以及你传入的所有对象的状态。

# %% [markdown]
# ## 设备
#
# 在有 GPU 的机器上写的文件，常常要在没有 GPU 的机器上读。
# `torch.save` 会记下每个张量的设备，`torch.load` 再把张量放回那个设备；如果没有那个设备，就会报错。
# <dfn>`map_location`</dfn> 是 `torch.load` 的参数，指定把文件中的张量放到哪个设备上，不管它们保存时在哪个设备上。
# 设为 `"cpu"` 几乎总是对的，因为随后 `load_state_dict` 会把值复制到网络所在的设备。

# %%
state = torch.load("mlp.pt", map_location="cpu")
print({tensor.device.type for tensor in state.values()})
#> {'cpu'}
shapes = torch.load("mlp.pt", map_location="meta")
print(shapes["out.weight"].shape, shapes["out.weight"].device)
#> torch.Size([10, 256]) meta

# %% [markdown]
# 用 `"meta"` 可以很快看到一个大文件里有什么：`torch.load` 只读取名字、形状和 dtype。
#
# 下一个代码片段需要 GPU。
# 不带 `map_location`，张量会回到 GPU；用 `"cpu"` 就不会：
#
# *需要 CUDA GPU。*

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
# ## 安全：pickle、`weights_only` 和 safetensors
#
# 你下载了一个存有权重的文件。
# 打开它，可能和运行同一来源的程序一样危险，因为 `torch.save` 用的是 Python 的 `pickle`。
# <dfn>pickle</dfn> 是一串字节，其中的指令告诉 Python 的 `pickle` 模块怎样构建一个对象；这些指令可以调用 Python 能导入的任何函数。
# `__reduce__` 返回 pickle 要调用的函数及其参数；这里的函数是 `print`，但换成别的任何函数都可以：

# %%
import pickle


class Greeting:
    def __reduce__(self):
        return print, ("code from the file is running",)


content = pickle.dumps(Greeting())
pickle.loads(content)
#> code from the file is running

# %% [markdown]
# 所以 `torch.load` 默认使用 `weights_only=True`：它接受张量、数、字符串，以及由它们组成的容器，此外几乎什么都不接受。
# 其他对象会被拒绝，文件里的代码一概不运行：

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
# 如果用 `weights_only=False`，文件里的代码就会运行，所以只能用于自己写的文件。
#
# 默认设置防不住错误的值，防不住故意占满内存的文件，也防不住读取程序自身的错误（[有一个这样的错误](https://github.com/pytorch/pytorch/security/advisories/GHSA-53q9-r3pm-6pq6)已在 PyTorch 2.6 中修复）。
#
# 如果要用别人的文件，就请对方提供 safetensors 文件。
# <dfn>safetensors</dfn> 是一种文件格式，只存放带名字的张量和文本，没有别的，所以读取这样的文件不会运行其中的任何代码。
#
# | 格式 | 内容 | 读取时可能运行代码 | 用什么读取 |
# |---|---|---|---|
# | `torch.save`，用 `weights_only=True` 读取 | 张量、数、字符串、容器 | 只有 PyTorch 自身有错误才可能 | PyTorch |
# | `torch.save`，用 `weights_only=False` 读取 | 任何对象 | 是 | PyTorch，前提是能导入你的类 |
# | [safetensors](https://huggingface.co/docs/safetensors) | 带名字的张量，以及文本 | 否 | 许多程序，没有 Python 也行 |
# | [`torch.distributed.checkpoint`](https://docs.pytorch.org/docs/stable/distributed.checkpoint.html) | 拆成几份的张量，来自许多进程 | 是：它的元数据是 pickle | PyTorch，进程数任意 |
# | [`torch.export.save`](https://docs.pytorch.org/docs/stable/export.html) | 操作和权重 | 是：其中有些部分是 pickle | PyTorch，不需要你的类 |

# %% [markdown]
# ## 库中的实现
#
# `d2lblocks.serialization` 有三对函数。
# 它们会克隆视图，比较 dtype，并且在新文件写完之前保留旧文件；只用 PyTorch 的话，这些都得自己做。

# %% [markdown]
# ### 张量、列表和字典：`save` 和 `load`

# %%
from d2lblocks import load, load_parameters, save, save_parameters

save({"x": x, "losses": [0.5, 0.25]}, "data.pt")
print(load("data.pt"))
#> {'x': tensor([0, 1, 2, 3]), 'losses': [0.5, 0.25]}

# %% [markdown]
# 凡是 `load` 读不回来的东西，`save` 都会拒绝，并指出它在对象中的位置：

# %%
try:
    save({"metrics": [print]}, "data.pt")
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: cannot save builtin_function_or_method at ['metrics'][0]: expected tensors, numbers, strings, None, and lists, tuples and dicts of them

# %% [markdown]
# 视图用到存储的哪一部分，`save` 就只写哪一部分：

# %%
save(large[:1], "view.pt")
print(os.path.getsize("view.pt") < 4_000)
#> True

# %% [markdown]
# ### 网络：`save_parameters` 和 `load_parameters`
#
# `save_parameters` 把网络的参数和缓冲区写进 safetensors 文件，`load_parameters` 把它们读进架构相同的网络：

# %%
net = MLP()
save_parameters(net, "mlp.safetensors")
clone = load_parameters(MLP(), "mlp.safetensors")
print(torch.equal(clone(X), net(X)))
#> True

# %% [markdown]
# 与 `torch.save` 和 `load_state_dict` 不同，这两个函数有四个承诺：
#
# - **文件总是完整的。**即使程序在写文件时被终止，旧文件也还在（见原子替换）。
# - **加载要么全部生效，要么什么也不改。**所有名字、形状和 dtype 都比较完，才改第一个值；所有不同之处列在一条报错信息里。
# - **有问题就一定报告。**dtype 不同会报错，除非你要求转换类型。
#   绑定的权重保持绑定，否则会报错。
#   文件里存有校验和，加载时会核对。
#   <dfn>校验和</dfn>（checksum）是由许多字节算出的一个很短的数；只要其中有字节变了，重新计算几乎一定得到不同的数。
# - **加载不运行文件里的任何代码。**
#
# 下一个代码片段演示第二个承诺：文件与网络不符，所以加载报错，网络不变。
# 对于多余的名字，报错信息还会给出网络中与它最相似的名字。

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
# **局限。**safetensors 文件里只有张量和文本。
#
# **代价。**要计算校验和，每个字节都得多读一遍。

# %% [markdown]
# ### 检查点
#
# 把网络、优化器、调度器和随机状态逐个保存，很容易出错。
# 每调用一次 `save_checkpoint`，就写出一个文件，里面有你传入的所有部分的状态，以及 Python、NumPy、PyTorch 及其 GPU 的随机状态。
# `load_checkpoint` 加载最后一个完整的文件，返回它的步数；如果没有文件，就什么也不改，返回 `None`：

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
# 这里的两个网络也相等。
# 训练程序可以在每次启动时都运行这个代码片段的后半部分：如果没有检查点，`done` 就是 0。
#
# 默认情况下，`save_checkpoint` 保留最近的三个检查点；用 `keep` 可以改成别的个数。
# 如果传入 `loss`，还会保留损失最小的检查点。
# 要加载这个检查点，就把 `"best"` 传给 `load_checkpoint`：

# %%
for step, loss in enumerate([0.9, 0.2, 0.4, 0.3, 0.5], start=4):
    path = save_checkpoint("run", step, **parts, keep=2, loss=loss)
print(sorted(each.name for each in path.parent.iterdir()))
#> ['step-5.safetensors', 'step-7.safetensors', 'step-8.safetensors']
print(load_checkpoint("run", "best", model=model))
#> 5

# %% [markdown]
# 如果某个检查点损坏了，`load_checkpoint` 会发出警告，指出是哪个文件，然后加载前一个检查点：

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
# PyTorch 的优化器按位置保存状态，所以改变层的顺序之后，每一层得到的都是另一层的动量。
# `save_checkpoint` 写的文件里还有参数的名字，所以每个参数都能取回自己的状态。
# 如果某个参数只在保存的优化器或只在新的优化器里，或者在两者中属于不同的参数组（选项相同的一组参数），报错信息会写出它的名字。
#
# 训练还要记住的其他东西，都放进一个字典或列表；加载时会原地填好。
# 随机数生成器，例如用来打乱数据的那个，也可以作为一个部分传入：

# %%
progress, shuffling = {"epoch": 3, "losses": [0.5, 0.25]}, torch.Generator()
save_checkpoint("attention", 2, progress=progress, shuffling=shuffling)
restored = {}
load_checkpoint("attention", progress=restored, shuffling=torch.Generator())
print(restored)
#> {'epoch': 3, 'losses': [0.5, 0.25]}

# %% [markdown]
# 每次训练都要用单独的文件夹。
# 如果以前的训练在里面留下了第 8 步的检查点，新的训练又保存了第 3 步的，那么最后一个检查点属于以前的训练，所以 `save_checkpoint` 会警告你。
#
# **局限。**状态里可以有张量、数、字符串、`None`、NumPy 数组，以及由它们组成的列表、元组、集合和字典。
# 保存别的东西会报错，并指出它在哪里。
# 如果网络在加载期间会运行自己的代码，例如在钩子里，`load_checkpoint` 就在内存里保留所有网络的副本，一旦那段代码出错，可以全部还原。
#
# 其他对象用 `torch.save` 保存；与其他程序交换权重，用 `safetensors.torch`；拆分到几个进程的网络，用 `torch.distributed.checkpoint`。
#
# **初读到此为止。**本节其余部分适合这样的读者：要加载其他程序的文件，要用多块 GPU 训练，或者想知道保存的代价和原理。
# 报错信息请到出错的时候一节查找。

# %% [markdown]
# ### 损坏的文件，以及其他程序的文件
#
# 磁盘或网络连接出故障，会让文件里的某个比特悄悄翻转。
# 下面的文件有 250,000 多个比特，其中一个翻转了，`load_parameters` 就拒绝加载：

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
# `torch.load` 和 safetensors 库读取这样的文件都不报错：`.pt` 文件有校验和，但 `torch.load` 不核对；其他的 safetensors 文件没有校验和。
# 下表是 20,000 个小文件的测试结果，文件里存的是一个网络、一个绑定了权重的网络，或者一个网络连同它的优化器。
# 每个文件损坏一次：翻转一个比特，改动对张量的描述，或者截断、漏掉、重复、对调、覆盖某个部分。
# 在最后两行，由 `load_state_dict` 把张量复制进网络，它可能已经改了一些值，才发现有张量对不上。
#
# “与保存时相同”一列：损坏没有改变加载的任何内容。
# “值有错”一列：加载没有报错，但有些值与保存的不同。
# “拒绝，但已改动”一列：加载报错之前，有些值已经换掉了。
# 最后一列是出现过多少种错误类。
# 表下面的列表，讲的是程序被终止或同时运行的情况。
#
# | 用什么读取 | 拒绝 | 与保存时相同 | 值有错 | 拒绝，但已改动 | 崩溃或卡死 | 错误种类数 |
# |---|--:|--:|--:|--:|--:|--:|
# | `d2lblocks` | 18,675 | 1,325 | 0 | 0 | 0 | 1 |
# | `torch.load(weights_only=True)` | 13,380 | 3,345 | 2,480 | 795 | 0 | 11 |
# | `safetensors` | 10,595 | 2,772 | 4,050 | 2,583 | 0 | 2 |
#
# - 300 个写入程序被强行终止，其中 146 个正写到一半：没有丢失任何东西，也没有留下残余文件。
# - 两个进程同时各保存 1000 次：没有一次失败，也没有留下残余文件。
# - 加载 1000 次，同时另一个线程在保存：读到 239 个版本，全都完整。
#
# 其他程序的文件没有校验和，所以 `load_parameters` 会拒绝加载，除非传入 `verify=False`。
# 绑定的权重有几个名字，这样的程序往往只写其中一个。
# 只要在你的网络里，缺少的名字与文件中的某个名字绑定，`load_parameters` 就接受这个文件：

# %%
from safetensors.torch import save_file

save_file({"0.weight": torch.ones(5, 4)}, "theirs.safetensors")
load_parameters(tied, "theirs.safetensors", verify=False)
print(scores.weight is table.weight, scores.weight.detach().unique())
#> True tensor([1.])

# %% [markdown]
# 如果文件是另一种格式，报错信息会说明用哪个函数读取：

# %%
try:
    load("mlp.safetensors")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: cannot load mlp.safetensors: it is a safetensors file: load_parameters loads it into a net, safetensors.torch.load_file gives its tensors

# %% [markdown]
# **注意。**校验和防的是意外，不是攻击：能改文件的人，也能改其中的校验和。

# %% [markdown]
# ### 分片的网络：`torch.distributed.checkpoint`
#
# 不用多块 GPU 训练网络的话，可以跳过这一节。
#
# 给网络<dfn>分片</dfn>（sharding），就是把它的张量拆成若干份，每一份也叫一个分片（shard），让每个进程只持有其中几份。
# 用 [`torch.distributed.checkpoint`](https://docs.pytorch.org/docs/stable/distributed.checkpoint.html)，每个进程写自己的分片，而读取时用多少个进程都可以。
#
# 这个例子在 CPU 上运行两个进程，每个进程持有一个线性层的一半，这个层的权重有六行。
# `"gloo"` 是用于进程间通信的库。
# 如果没有这个参数，PyTorch 还会启动 NCCL，这是用于 GPU 的库，不允许两个进程用同一块 GPU。

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
# 现在，单个进程就能加载全部六行：

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
# **局限。**这种检查点是一个装着许多文件的文件夹，元数据是 pickle，所以只能加载自己写的检查点。

# %% [markdown]
# ### 保存和加载要用多长时间
#
# 网络不大，也不常保存的话，可以跳过这一节。
#
# 速度一页有各项时间的表，这一节解释这些时间。
#
# **加载。**不核对校验和的话，`load_parameters` 花的时间，与 safetensors 的 `load_file` 加上 `load_state_dict` 差不多。
# 对于有 2,000 层的网络，`load_parameters` 快十倍以上，因为 `load_state_dict` 对 `nn.Sequential` 的每一层都要把所有名字再过一遍。
# <dfn>内存映射文件</dfn>（memory-mapped file）按页读取（一页有几 KiB），程序第一次用到某一页时才读；系统随时可以把页从内存中丢弃。
# 两种加载方式都从这样的文件复制，这比从内存复制慢，因为系统要在复制期间准备好各页。
# 核对校验和花的时间与复制差不多。
#
# **保存。**`save_parameters` 临到写每一兆字节之前，才计算它的校验和。
# 新文件写完之前，旧文件一直保留，所以系统要为新文件的页另找内存。
# `torch.save` 先清空旧文件，释放它的页，所以可能更快，这要看磁盘还在忙什么。

# %% [markdown]
# ### 原子替换：不留下写到一半的文件
#
# 除非要在随时可能中断的程序里用 `torch.save` 写文件，否则可以跳过这一节。
#
# `torch.save` 先清空旧文件，再写新文件。
# 如果程序在这中间停下，旧文件就没了，新文件也只写了半截。
# 文件的<dfn>原子替换</dfn>（atomic replacement）是指，程序打开这个文件时，得到的要么是完整的旧版本，要么是完整的新版本。
# 做法是：在同一个文件夹里用另一个名字写，写完再改名：

# %%
with open("mlp.pt.tmp", "wb") as file:
    torch.save(net.state_dict(), file)
    file.flush()
    os.fsync(file.fileno())
os.replace("mlp.pt.tmp", "mlp.pt")
print(os.path.exists("mlp.pt"), os.path.exists("mlp.pt.tmp"))
#> True False

# %% [markdown]
# `fsync` 一直等到数据写进磁盘，所以即使断电，也还有一个完整的文件。
#
# 库中的函数也这样做，并保留旧文件的权限。
# 如果写入程序被终止，它的临时文件会留下，由下一个写入程序删除。
# 每个写入程序都会给自己的临时文件上锁（如果系统有这种锁），所以其他写入程序不会过早删掉它。

# %% [markdown]
# ## 出错的时候

# %% [markdown]
# ### `Weights only load failed`：整个模块，NumPy 标量
#
# `torch.save` 几乎什么对象都接受，`torch.load` 却几乎只接受张量、普通的 Python 数和字符串，以及由它们组成的列表、元组、字典和集合。
# NumPy 的数和 `defaultdict` 只是看上去像其中的一种：

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
# 报错信息的最后几行写着被拒绝的类：

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
# 解决办法：先转换对象，再保存。
# 数值用 `.item()` 或 `float(...)`，路径用 `str(...)`，模块用 `state_dict()`，命名空间用 `vars(...)`，`defaultdict` 用 `dict(...)`，日期用 `.isoformat()`。

# %%
torch.save(
    {"net": net.state_dict(), "folder": str(pathlib.Path("data"))}, "with_path.pt"
)
print(torch.load("with_path.pt")["folder"])
#> data

# %% [markdown]
# 如果信任一个旧文件，就在 `with torch.serialization.safe_globals([...]):` 里加载它，并列出其中允许出现的类。
#
# 下次怎样及早发现：用 `save`，它会拒绝这样的对象。

# %% [markdown]
# ### `Expected state_dict to be dict-like, got <class 'str'>`
#
# 传给 `load_state_dict` 的是文件名，而不是文件里的字典。

# %%
try:
    net.load_state_dict("mlp.pt")
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: Expected state_dict to be dict-like, got <class 'str'>.

# %% [markdown]
# 解决办法：先读取文件：`net.load_state_dict(torch.load("mlp.pt"))`。

# %% [markdown]
# ### `'_IncompatibleKeys' object is not callable`
#
# 你把 `load_state_dict` 的结果当成网络来调用，但这个结果是一份报告，列出没有对上的名字。

# %%
report = net.load_state_dict(torch.load("mlp.pt"))
try:
    report(X)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: '_IncompatibleKeys' object is not callable

# %% [markdown]
# 解决办法：继续用 `net`，`load_state_dict` 已经原地修改了它：`net(X)`。

# %% [markdown]
# ### `state_dict` 没有加括号：文件里存的是方法
#
# 你写了 `net.state_dict`，没有加括号，结果把这个方法连同它的网络一起保存了，而 `torch.load` 拒绝这样的文件。

# %%
torch.save(net.state_dict, "method.pt")
try:
    torch.load("method.pt")
except pickle.UnpicklingError as error:
    print("Unsupported global: GLOBAL getattr" in str(error))
#> True

# %% [markdown]
# 解决办法：调用这个方法：`torch.save(net.state_dict(), path)`。
#
# 下次怎样及早发现：保存之后，马上加载一次。

# %% [markdown]
# ### `Attempting to deserialize object on a CUDA device`
#
# 文件是在有 GPU 的机器上保存的，你却在没有 GPU 的机器上加载；下面的代码片段模拟这种情况：

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
# 如果第二台机器的 GPU 比第一台少，报错信息也差不多：

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
# 解决办法：用 `map_location`；或者用 `d2lblocks.load`，除非指定别的设备，它都用 CPU。

# %%
print(torch.load("from_gpu.pt", map_location="cpu").device, load("from_gpu.pt").device)
#> cpu cpu

# %% [markdown]
# ### `No module named 'models'`，或者 `Can't get attribute 'Net'`
#
# 你保存了整个网络，后来把它的类移到了别处，或者改了名字。
# 文件里只有类的名字和类所在的 Python 模块的名字。
# 如果导入不了这个模块，看到的就是第一条报错信息：

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
# 如果模块里已经没有这个类，看到的就是第二条：

# %%
sys.modules["models"] = types.ModuleType("models")
try:
    torch.load("whole.pt", weights_only=False)
except AttributeError as error:
    print(str(error).partition(" on ")[0])
#> Can't get attribute 'Net'

# %% [markdown]
# 解决办法：如果信任这个文件，就让这个类用旧名字也能找到，加载一次文件，再保存状态字典。

# %%
sys.modules["models"].Net = Net
torch.save(torch.load("whole.pt", weights_only=False).state_dict(), "state.pt")
print(list(torch.load("state.pt")))
#> ['weight', 'bias']

# %% [markdown]
# ### `'GELU' object has no attribute 'approximate'`
#
# 你加载了用旧版 PyTorch 保存的整个网络。
# `GELU` 层的属性来自文件，可是这个类后来多了一个属性，所以第一次调用就会报错：

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
# 解决办法：把这个属性设为默认值，再保存状态字典，状态字典里没有这样的属性。

# %%
old[1].approximate = "none"
print(old(torch.rand(1, 2)).shape)
#> torch.Size([1, 2])
torch.save(old.state_dict(), "state.pt")

# %% [markdown]
# ### `PytorchStreamReader failed reading zip archive`
#
# 文件被截断了，zip 归档末尾的目录不见了：

# %%
Path("cut.pt").write_bytes(Path("mlp.pt").read_bytes()[:2000])
try:
    torch.load("cut.pt")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory. This is an internal miniz error. If you are seeing this error, there is a high likelihood that your checkpoint file is corrupted. This can happen if the checkpoint was not saved properly, was transferred incorrectly, or the file was modified after saving.

# %% [markdown]
# 如果文件是空的，`torch.load` 会抛出 `EOFError`，不带任何信息；用 `weights_only=False` 则抛出下面的错误：

# %%
Path("empty.pt").touch()
try:
    torch.load("empty.pt", weights_only=False)
except EOFError as error:
    print(f"EOFError: {error}")
#> EOFError: Ran out of input

# %% [markdown]
# 解决办法：重新下载或复制文件。
# 如果文件是你自己的程序写的，就用原子替换，或者改用 `save`。
#
# 如果报错信息是 `Unsupported operand 118`，或者用 `weights_only=False` 时是 `invalid load key, 'v'`，那么你的文件只是一小段文本，Git LFS 在代码仓库里用它代替真正的文件。
# 用 `git lfs pull` 下载真正的文件。

# %%
Path("pointer.pt").write_text("version https://git-lfs.github.com/spec/v1")
try:
    torch.load("pointer.pt")
except pickle.UnpicklingError as error:
    print("Unsupported operand 118" in str(error))
#> True

# %% [markdown]
# 下次怎样及早发现：比较这个文件与原文件的大小或校验和。

# %% [markdown]
# ### `Some tensors share memory`，来自 safetensors
#
# 网络里有绑定的权重，而 safetensors 没有表示绑定的条目，所以 `save_file` 拒绝这个状态字典。

# %%
try:
    save_file(tied.state_dict(), "tied.safetensors")
except RuntimeError as error:
    print(str(error).strip().partition(" and potential")[0])
#> Some tensors share memory, this will lead to duplicate memory on disk

# %% [markdown]
# safetensors 的 `save_model` 只用其中一个名字存这个张量，所以对 `load_state_dict` 来说，就缺少另一个名字：

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
# 解决办法：用 `load_model` 或 `load_parameters` 加载文件，两者都会从网络得知哪些权重是绑定的；或者用 `save_parameters` 保存网络，它把绑定关系作为文本加进文件头。

# %%
load_model(tied, "tied.safetensors")
load_parameters(tied, "tied.safetensors", verify=False)  # or this
save_parameters(tied, "tied.safetensors")  # writes the tie as well
print(scores.weight is table.weight)
#> True

# %% [markdown]
# ### `You are trying to save a non contiguous tensor`
#
# 你转置了权重，或者把网络转换成了 `channels_last`，而 `save_file` 只接受连续张量。
# <dfn>连续张量</dfn>（contiguous tensor）的值在内存中一个挨着一个，按索引的顺序排列，最后一个索引变化最快。
# `channels_last` 不改变权重的形状，但按另一种顺序存放值：

# %%
conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
try:
    save_file(conv.state_dict(), "conv.safetensors")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: You are trying to save a non contiguous tensor: `weight` which is not allowed. It either means you are trying to save tensors which are reference of each other in which case it's recommended to save only the full tensors, and reslice at load time, or simply call `.contiguous()` on your tensor to pack it before saving.

# %% [markdown]
# 解决办法：对每个张量调用 `.contiguous()`，或者用 `save_parameters`。

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
# ### 解包加载的字典，得到的是键
#
# 本来想要两个张量，得到的却是两个字符串：

# %%
a, b = torch.load("dict.pt")
print(a, b)
#> x y

# %% [markdown]
# 文件里存的是字典，而 Python 解包字典，得到的是字典的键。
#
# 解决办法：把字典留着，`state = torch.load("dict.pt")`，再逐项查找：`a, b = state["x"], state["y"]`。

# %% [markdown]
# ### `Missing key(s) in state_dict`，以及带 `module.` 的相同名字
#
# 这个文件来自包装过的网络，所以每个名字都列了两次：一次算缺少的；另一次带着 `module.` 或 `_orig_mod.`，算多余的：

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
# 解决办法：保存内层网络的状态字典；或者像前缀一节那样，去掉包装器的名字。
# `consume_prefix_in_state_dict_if_present` 也能去掉别的前缀，例如训练框架的 `model.`。
#
# `torch.optim.swa_utils.AveragedModel` 在训练期间对权重求平均，它也是包装器，还会加上一个自己的条目：

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
# 解决办法：保存 `averaged.module.state_dict()`，或者从状态字典里去掉 `n_averaged` 和 `module.`。
#
# 对于 safetensors 文件，`load_parameters` 的报错信息会说明怎样给条目改名：

# %%
save_file(dict(partly.state_dict()), "partly.safetensors")
try:
    load_parameters(plain, "partly.safetensors", verify=False)
except RuntimeError as error:
    print(str(error).splitlines()[-1].strip())
#> The checkpoint is wrapped: without "_orig_mod." its keys fit. To load this one, rename each by name.replace("_orig_mod.", "").

# %% [markdown]
# 下次怎样及早发现：保存之前，用 `list(state)` 看一看名字。

# %% [markdown]
# ### `Unexpected key(s) in state_dict`：原来是 `None` 的缓冲区
#
# 模块把一个缓冲区注册为 `None`，第一次调用时才把一个张量赋给它。
# 从这时起，状态字典里才有它的条目：

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
# 解决办法：注册缓冲区时就给出形状，例如 `torch.zeros(20)`。
# 如果不知道形状，就在加载之前从状态字典里取：

# %%
new, state = Centered(), used.state_dict()
new.mean = torch.empty_like(state["mean"])
print(new.load_state_dict(state))
#> <All keys matched successfully>

# %% [markdown]
# 下次怎样及早发现：测试一下，**用过**的网络保存的文件，**新**网络能不能加载。
# `diagnose` 把这种情况报告为 `filled-at-first-call`。

# %% [markdown]
# ### `Missing key(s)`：`weight_g` 和 `parametrizations.weight.original0`
#
# 权重归一化把权重存成长度和方向，PyTorch 里有它的两个版本。
# `nn.utils.weight_norm` 把长度和方向叫作 `weight_g` 和 `weight_v`；较新的 `nn.utils.parametrizations.weight_norm` 把它们叫作 `parametrizations.weight.original0` 和 `original1`。
# 新版能加载旧版的状态字典，反过来不行：

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
# 如果用 `strict=False`，这个层会悄悄保留自己的随机权重。
#
# 解决办法：改用新版，或者给条目改名。

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
# ### `strict=False`：什么也没有加载，也不报错
#
# 加载之后的网络，预测效果不比新网络好。
# 用了 `strict=False`，`load_state_dict` 会悄悄跳过所有对不上的名字，而这里没有一个对得上：

# %%
report = MLP().load_state_dict(compiled.state_dict(), strict=False)
print(len(report.missing_keys), len(report.unexpected_keys))
#> 4 4

# %% [markdown]
# 解决办法：先确定哪些名字可以缺少，再检查有没有缺少别的名字。

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
# ### `state_dict()` 不是副本：最好的权重变了
#
# 你留下了最好的那个 epoch 的状态字典，可是训练结束时，里面已经是最后一个 epoch 的权重。
# `state_dict()` 的张量与网络共用内存，所以训练也会改变它们：

# %%
best = net.state_dict()
with torch.no_grad():
    net.out.bias.fill_(7.0)
print(bool((best["out.bias"] == 7).all()))
#> True

# %% [markdown]
# 解决办法：复制一份，或者马上把状态字典保存到文件。

# %%
import copy

best = copy.deepcopy(net.state_dict())
with torch.no_grad():
    net.out.bias.fill_(8.0)
print(bool((best["out.bias"] == 7).all()))
#> True

# %% [markdown]
# 下次怎样及早发现：用最好的权重再评估一次网络，与那个 epoch 的结果比较。

# %% [markdown]
# ### 加载之后，权重不再绑定
#
# 加载之前，两个层共享一个参数，加载之后却各有各的。
# 用 `assign=True` 加载，会换掉网络的参数，而不是把值复制进去：

# %%
tied.load_state_dict(tied.state_dict(), assign=True)
print(
    scores.weight is table.weight, scores.weight.data_ptr() == table.weight.data_ptr()
)
#> False True

# %% [markdown]
# 如果文件里两个名字指向同一个张量，两个参数就仍然共用内存，所以比较值发现不了这个错误。
# 对于 meta 设备上的网络，`to_empty` 也会解除权重绑定。
#
# 解决办法：重新绑定权重，或者加载时不用 `assign=True`。
#
# 下次怎样及早发现：加载之后，检查 `scores.weight is table.weight`。
# `diagnose` 把这种情况报告为 `tie-lost` 或 `same-memory`。

# %% [markdown]
# ### 加载改变了 dtype
#
# 网络里的值与文件里的不完全相同。
# `load_state_dict` 不比较 dtype：如果网络的参数是 `float16`，它会把 `float32` 的值舍入；如果网络里是整数，它会丢掉小数部分：

# %%
counter = nn.Module()
counter.seen = nn.Buffer(torch.zeros(2, dtype=torch.int64))
print(counter.load_state_dict({"seen": torch.tensor([0.7, 2.9])}), counter.seen)
#> <All keys matched successfully> tensor([0, 2])

# %% [markdown]
# 解决办法：先比较 dtype，或者交给 `load_parameters` 去比较。

# %%
half = MLP().half()
theirs, mine = half.state_dict(), net.state_dict()
print([name for name in mine if mine[name].dtype != theirs[name].dtype])
#> ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
save_parameters(half, "half.safetensors")
print(load_parameters(MLP(), "half.safetensors", cast=True).out.bias.dtype)
#> torch.float32

# %% [markdown]
# 不带 `cast=True`，`load_parameters` 会报错，并列出所有这样的张量。

# %% [markdown]
# ### `loaded state dict contains a parameter group that doesn't match the size of optimizer's group`
#
# 你添加了一个层，或者冻结了一些参数并把它们排除在优化器之外。
# 优化器的状态，只能加载到每组参数个数都相同的优化器里。

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
# 如果组数不同，例如现在给偏置单独设置了学习率，报错信息就不一样：

# %%
groups = [{"params": short[0].weight}, {"params": short[0].bias, "lr": 0.01}]
try:
    torch.optim.Adam(groups).load_state_dict(saved)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: loaded state dict has a different number of parameter groups

# %% [markdown]
# 解决办法：只加载网络，接着用新的优化器，刚才失败的调用没有改变它。
# 要保留旧的状态，就先加载它，再把新参数单独作为一组加进去：

# %%
optimizer = torch.optim.Adam(longer[0].parameters())
optimizer.load_state_dict(saved)
optimizer.add_param_group({"params": longer[1].parameters()})
print([len(group["params"]) for group in optimizer.param_groups])
#> [2, 2]

# %% [markdown]
# ### 优化器的状态给错了层
#
# 恢复训练之前，你改变了层的顺序。
# 网络按名字加载，优化器却按位置加载，所以每一层都会悄悄得到另一个形状相同的层的动量：

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
# `q` 的梯度是 1，所以它的动量应该是 1，实际却是 2。
#
# 解决办法：按原来的顺序注册各层；或者用 `save_checkpoint`，它按名字查找每个参数的状态。

# %%
load_checkpoint("ordered", net=after, optimizer=optimizer)
print(optimizer.state[after["q"].weight]["momentum_buffer"].unique())
#> tensor([1.])

# %% [markdown]
# 下次怎样及早发现：像上面那样，加载之前先比较名字；用 `named_parameters()` 创建的优化器会保存名字，但不会比较。

# %% [markdown]
# ### `param 'initial_lr' is not specified`，来自调度器
#
# 为了恢复训练，你给调度器传入了 `last_epoch`，但这个参数什么也不加载。
# 它设置调度器的计数器，并要求优化器里有 `initial_lr` 这一项，这一项要由先前的调度器写入。

# %%
optimizer = torch.optim.SGD(MLP().parameters(), lr=0.1)
try:
    torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, last_epoch=4)
except KeyError as error:
    print(f"KeyError: {error}")
#> KeyError: "param 'initial_lr' is not specified in param_groups[0] when resuming scheduler with last_epoch >= 0.\nThis typically happens when:\n1. You're trying to resume training from a checkpoint but haven't properly loaded the optimizer state\n2. You're using last_epoch >= 0 for a fresh training run (not recommended)"

# %% [markdown]
# 解决办法：创建调度器时不带 `last_epoch`，再加载调度器和优化器的状态，见恢复训练。

# %% [markdown]
# ### 在第一个批量之前保存延后初始化的网络
#
# 在第一个批量之前，延后初始化层还没有值可以保存：

# %%
try:
    save_parameters(nn.LazyLinear(3), "lazy.safetensors")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: cannot save 'weight', 'bias': not initialized yet, the shapes come with the first batch

# %% [markdown]
# 解决办法：保存之前，用一个示例批量试运行，这里用的是 `apply_init`。

# %%
from d2lblocks import apply_init

save_parameters(apply_init(nn.LazyLinear(3), X), "lazy.safetensors")
print(load_parameters(nn.LazyLinear(3), "lazy.safetensors").weight.shape)
#> torch.Size([3, 20])

# %% [markdown]
# ### `Can't pickle local object`：保存整个网络
#
# 你保存了整个网络，而它有一个属性是 lambda，或者是定义在另一个函数里的函数。
# pickle 存函数，存的是名字，而这样的函数没有可以导入的名字。

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
# 抛出的是 `AttributeError`，从 Python 3.14 起是 `PicklingError`；有些 Python 版本写的是 `Can't get local object`。
#
# 解决办法：保存状态字典：`torch.save(net.state_dict(), path)`。
# 也可以不用 lambda，改用 `nn.ReLU()` 这样的模块。

# %% [markdown]
# ### `size mismatch`，用了 `strict=False` 也一样：类别数不同
#
# 你训练了一个十个类别的分类器，现在需要三个类别。
# 最后一层的名字相同，形状却不同，而 `strict=False` 不会忽略形状：

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
# 解决办法：不加载最后一层，并检查没有缺少别的东西。

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
# 保存网络之前，有个统计运算量的工具在每个模块里都注册了缓冲区，而 `state_dict()` 包含这些缓冲区。
#
# 解决办法：加载时去掉这些名字，而且只去掉这些名字；这样的工具要在 `copy.deepcopy(net)` 上运行。

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
# 下次怎样及早发现：保存之前，看一看 `list(net.state_dict())`。

# %% [markdown]
# ### 恢复训练之后，学习率变回去了
#
# 恢复训练之后，学习率不对，例如又回到最初的值附近：你加载了优化器的状态，却没有加载调度器的状态。
# 新的调度器从零开始计步，而像 `LambdaLR` 这样的调度器，就用这个步数算出学习率。
# 这里，学习率每一步之后都乘以 0.9，所以四步之后应该是 0.656：

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
# 解决办法：两者都创建好，再加载两者的状态。

# %%
optimizer, scheduler = scheduled()
optimizer.load_state_dict(states[0])
scheduler.load_state_dict(states[1])
optimizer.step()
scheduler.step()
print(round(optimizer.param_groups[0]["lr"], 3))
#> 0.656

# %% [markdown]
# 下次怎样及早发现：恢复训练之后，走完第一步就打印 `optimizer.param_groups[0]["lr"]`。

# %% [markdown]
# ## 练习题

# %% [markdown]
# ### 练习题 1
#
# 编写 `save_net(net, path)`，把训练好的网络的状态字典保存到文件。
# 再编写 `load_net(make, path)`，用 `make()` 创建新网络，把文件加载进去，返回处于评估模式的网络。
#
# 练习（容易）：`python -m d2lblocks practice start serialization/1`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 即使只在这台机器上使用网络，进程一结束，内存里的一切也都没有了。
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
# ### 练习题 2
#
# 在每个 epoch 里，`best_state` 都调用 `train(net)` 和 `loss(net)`，前者改变 `net`，后者返回一个数。
# 它本该返回损失最小的那个 epoch 之后的状态字典，却返回了最后的状态字典。
# 请把它修好。
#
# 练习（容易）：`python -m d2lblocks practice start serialization/2`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# `net.state_dict()` 里就是网络自己的张量，所以留下的状态必须是副本。
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
# ### 练习题 3
#
# 把已保存的网络中的一个层用到另一个网络里，只训练新的层。
# 编写 `transfer(path, name, layer)`：在文件 `path` 的状态字典里，这个层的条目，名字都以 `name` 加一个点开头。
# 把这些条目加载到 `layer` 中（里面可能还有层），冻结它的所有参数，然后返回它。
# 如果文件缺少某个条目，就报错。
#
# 练习（中等）：`python -m d2lblocks practice start serialization/3`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 在层的内部，名字没有这个前缀；在整个网络的优化器里，冻结的参数没有梯度，会被跳过。
#
# *serialization/3_transfer.py*

# %%
def transfer(path, name, layer):
    state = torch.load(path)
    part = {key: state[f"{name}.{key}"] for key in layer.state_dict()}
    layer.load_state_dict(part)
    return layer.requires_grad_(False)

# %% [markdown]
# ### 练习题 4
#
# 有一个文件，保存时网络包在 `nn.DataParallel` 里，所以所有名字都以 `module.` 开头。
# 编写 `load_wrapped(net, path)`，把文件加载到 `net`，也就是你自己的、没有包装器的网络。
# 你的网络自己也可能有名叫 `module` 的属性；如果文件缺少某个名字，就报错。
#
# 练习（中等）：`python -m d2lblocks practice start serialization/4`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 如果一个模块的属性 `module` 就是你的网络，那么这个模块里的名字与文件里的相同。
#
# *serialization/4_data_parallel.py*

# %%
def load_wrapped(net, path):
    wrapper = nn.Module()
    wrapper.module = net
    wrapper.load_state_dict(torch.load(path))

# %% [markdown]
# ### 练习题 5
#
# 像 `[("Linear", [20, 8]), ("ReLU", [])]` 这样的方案，列出各层的类和构造参数。
# 函数 `keep` 把方案和对应网络的状态字典保存到一个文件里。
# 编写 `rebuild(path)`，只凭这个文件就能返回网络：一个 `nn.Sequential`，装着保存的值。
# 文件可能来自任何人：不要运行其中的任何代码；如果文件缺少某个值，或者写了不在 `KNOWN` 中的类，就报错。
#
# 练习（较难）：`python -m d2lblocks practice start serialization/5`

# %% [markdown]
# #### 参考答案

# %% [markdown]
# 要限制可用的类：否则，文件可以写上任何类或函数的名字，加载它就可能运行任何东西。
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
# ## 小结
#
# | 想要 | 写法 |
# |---|---|
# | 保存张量、列表、字典 | `save(obj, path)`, `load(path)`; `torch.save`, `torch.load` |
# | 保存网络学到的东西 | `save_parameters(net, path)`; `torch.save(net.state_dict(), path)` |
# | 再加载回来 | `load_parameters(net, path)`; `net.load_state_dict(torch.load(path))` |
# | 内存中的副本 | `copy.deepcopy(net.state_dict())` |
# | 网络的一部分 | `net.hidden.state_dict()` |
# | 不带 `module.` 的名字 | `consume_prefix_in_state_dict_if_present(state, "module.")`，用于开头的前缀 |
# | 恢复训练 | `save_checkpoint(folder, step, net=net, optimizer=optimizer)`, `load_checkpoint(folder, net=net, optimizer=optimizer)` |
# | 保存拆分到许多进程的网络 | `torch.distributed.checkpoint` |
# | 在另一台机器上加载 | `map_location="cpu"` |
# | 只要名字和形状 | `map_location="meta"` |
# | 大张量的一小部分 | `save`，或者先 `.clone()` |
# | 别人的文件 | safetensors；其次是默认的 `weights_only=True` |
# | 不用网络的类，也能运行网络 | `torch.export.save` |
#
# 库中的函数见 `d2lblocks.serialization`。
#
# 下一个主题：设备，因为要使用加载的网络，网络和数据必须在同一个设备上。
