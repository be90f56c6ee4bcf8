# %% [markdown]
# # 層與模組
#
# 這是 d2lblocks「層與模組」這一頁的腳本版：由頁面產生，並且執行過。
# 執行它需要 `d2lblocks`、`numpy` 和 `torch`。
# 把儲存庫 clone 下來，在裡面執行 `pip install .`，就會裝好 `d2lblocks`。
#
# 你想建的網路沒有現成的類別可用：它有兩個輸入、有迴圈，或是同一層要用在兩個地方。
# 在 PyTorch 裡，這種網路就寫成自己的類別。
# 不過，就算 PyTorch 沒找到其中某些層，網路照樣能執行，也不會出現錯誤；那些層卻不會被訓練、不會被儲存，也不會移到 GPU 上。
#
# - **讀完之後你能：**把網路寫成由其他模組組成的模組，並分辨其中哪些部分會由 PyTorch 訓練、儲存和移動。
# - **需要先會：**Python，包括類別和方法；還要知道張量是什麼，例如讀過 pytorch.org 上的 [Tensors](https://docs.pytorch.org/tutorials/beginner/basics/tensorqs_tutorial.html)。
# - **需要多少時間：**讀到函式庫中的實作之前約 20 分鐘，要接著讀下一個主題，這些就夠了；連同其餘部分和練習題約 75 分鐘。
#
# 這一頁的程式碼片段都用到下面三行匯入：

# %%
import torch
from torch import nn
from torch.nn import functional as F

# %% [markdown]
# ## `nn.Module`：神經元、層、區塊和網路共用的類別
#
# 網路的組成部分有大有小，每種大小都有名稱。
# <dfn>神經元</dfn>（neuron）把每個輸入各乘上一個稱為權重的數字，將乘積加總，再加上一個稱為偏差（bias）的數字。
# <dfn>層</dfn>（layer）是網路的一個步驟；最常見的層是一組接收相同輸入的神經元。
# <dfn>區塊</dfn>（block）是當成一個單位使用的一組層。
# <dfn>網路</dfn>（network，也稱為 net 或模型）包含把輸入變成結果的所有層。
#
# 從單一神經元到整個網路，PyTorch 都用 `nn.Module` 這一個類別表示。
# <dfn>模組</dfn>（module）是類別 `nn.Module` 或其子類別的物件；它通常接收張量、回傳張量，裡面可以有參數和其他模組。
# <dfn>參數</dfn>（parameter）是一種張量，它的值在訓練中學得，例如一層的權重和偏差。
#
# `nn.Linear(3, 4)` 是有四個神經元的線性層：它接收 3 個數字，回傳 4 個數字，每個神經元各一個。
# `nn.ReLU()` 是沒有參數的層：它把負數一律換成 0。
# <dfn>激活函數</dfn>（activation function）是套用在層的輸出上的函式，例如 ReLU；它是非線性的，也就是說，它做的不只是乘上常數和加上常數。
# 兩個線性層之間如果沒有激活函數，能算的就不會比一個線性層多，因為兩個步驟可以合併成一個。
#
# 下面的程式碼片段為每種大小各建立一個模組；`nn.Sequential` 把模組串成鏈：

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
# `X` 是一個批次。
# <dfn>批次</dfn>（batch）是裝著多筆輸入的張量，每筆輸入稱為一個樣本，樣本通常沿著第一個維度排列，這樣呼叫一次網路，就能處理全部樣本。
# 在這裡，每個模組都收到五個樣本，每個樣本有三個數字；輸出的是五筆結果，每個樣本一筆。
#
# 這四個物件都是模組，呼叫的方式也都一樣。
# 因此，能用層的地方就能用區塊：
#
# （圖：畫成方框的網路。
# X 從上方進入，形狀是 (5, 3)。
# 方框裡有一個區塊，區塊下方是 Linear(4, 2)。
# 區塊也是一個方框，裡面有 Linear(3, 4) 和 ReLU()。
# 一支箭頭從 X 穿過這三層，通到下方的輸出 Y，形狀是 (5, 2)。）

# %% [markdown]
# ## `nn.Sequential`：把模組串成鏈
#
# 很多網路都是一條鏈：每個模組的輸出就是下一個模組的輸入。
# `nn.Sequential` 按照傳入的順序，把模組串成這樣的鏈。
# 下面的網路對每個樣本接收 20 個數字，算出 256 個中間值（稱為隱藏值），再回傳 10 個數字。
# 接下來幾節會用另外兩種方式建立同一個網路。

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
# 印出的內容列出三個模組，以及它們的名稱 `0`、`1`、`2`。
# `net[0]` 是第一個模組。
#
# 想自己取名稱，就傳入 `OrderedDict`，這是 Python 標準函式庫裡的一種字典類別。
# 下面的程式碼片段建立一個小型卷積網路；如果還沒學過卷積，看名稱就好，然後從下方的「限制」接著讀。

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
# 一批影像的形狀是 `(examples, channels, height, width)`，也就是樣本數、通道數、高、寬。
# `nn.Conv2d(1, 20, kernel_size=5)` 從 1 個通道算出 20 個通道。
# 不加填充的話，大小為 5 的卷積核會讓高和寬各減少 4。
# 因此，經過兩層這樣的卷積，高和寬都從 28 減為 20。
#
# **限制。**`nn.Sequential` 只能建出一條鏈。
# 網路如果有兩個輸入、跳接（skip connection，也就是繞過某些層的路徑）、迴圈或 `if`，就要寫自己的模組。

# %% [markdown]
# ## 自己的模組：`__init__` 與 `forward`
#
# 要寫模組，就繼承 `nn.Module`，並定義兩個方法。
# `__init__` 建立各層。
# `forward` 從輸入算出輸出。

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
# <dfn>MLP</dfn>（multilayer perceptron，多層感知器）是由線性層組成的網路，線性層之間有激活函數。
# 呼叫 `net(X)` 會執行 `forward`，和前面一樣，為兩個樣本各回傳 10 個數字。
# 網路從輸入到輸出執行一次，稱為一次<dfn>前向傳播</dfn>（forward pass）。
#
# `F.relu` 是函式，`nn.ReLU()` 是呼叫這個函式的模組。
# ReLU 沒有參數，所以兩種都可以用。
#
# 反向傳播（backward pass）計算結果對參數的導數，你不必為它寫方法：這些導數稱為梯度，由 autograd 替你計算。
# <dfn>Autograd</dfn> 是 PyTorch 的自動微分：它記錄前向傳播的運算，再根據這份紀錄算出梯度。

# %% [markdown]
# ### 註冊：`self.name = layer`
#
# `super().__init__()` 會建立幾個空字典，也就是模組用來存放各組成部分的表。
# 接著，`self.hidden = nn.Linear(20, 256)` 會註冊這一層，之後可以用 `net.hidden` 讀出來。
# <dfn>註冊</dfn>（registration）是指模組把層或參數之類的組成部分，以某個名稱存進自己的字典。
# 註冊過的層或參數會跟著模組一起訓練、儲存和移動。
# 在這裡，名稱就是屬性的名稱 `hidden`。
# <dfn>直屬子模組</dfn>（child module）是直接註冊在另一個模組裡的模組，那個模組稱為它的父模組（parent）。
# 一個模組的<dfn>子模組</dfn>（submodule）包括它的直屬子模組、這些模組的直屬子模組，依此類推。
#
# PyTorch 不會檢查一般 Python 串列的內容，所以串列裡的層不會註冊（請改用 `nn.ModuleList`，寫成 `self.layers = nn.ModuleList([...])`）：
#
# （圖：self.hidden = nn.Linear(20, 256) 通往一個方框，也就是網路的模組表。
# 表裡有兩列：hidden 是 Linear(20, 256)，out 是 Linear(256, 10)。
# 四支箭頭從表指向訓練、儲存、移動、印出這幾個詞。
# 下方的 self.layers 是一個裝著 nn.Linear(20, 256) 的串列，它通往一個虛線方框，裡面寫著：是屬性，但不在表裡，不會訓練、儲存、移動或印出。）
#
# `named_parameters()` 會列出網路和所有子模組的參數及名稱：

# %%
for name, parameter in net.named_parameters():
    print(name, tuple(parameter.shape))
#> hidden.weight (256, 20)
#> hidden.bias (256,)
#> out.weight (10, 256)
#> out.bias (10,)

# %% [markdown]
# 四個參數都已註冊，每個名稱都以所屬層的名稱開頭。
# 在線性層的權重裡，每個神經元占一列（row），所以形狀以輸出大小開頭：`nn.Linear(20, 256)` 的權重形狀是 `(256, 20)`。
# 這一層計算矩陣乘積 `X @ weight.T`（`.T` 會把列和行對調），再加上偏差。

# %% [markdown]
# ### 用引數指定大小
#
# `MLP` 的大小永遠一樣。
# 想為每個網路選擇大小，就把大小改成 `__init__` 的引數：

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
# ### `net(X)` 做了什麼
#
# 要呼叫 `net(X)`，不要呼叫 `net.forward(X)`。
# 和 Python 裡所有可呼叫的物件一樣，呼叫 `net` 會執行其類別的 `__call__` 方法。
# 這個方法由 `nn.Module` 定義，它會執行 `forward` 和模組的**掛勾**（hook）。
# 掛勾是附加在模組上的函式：forward pre-hook 在 `forward` 之前執行，forward hook 在之後執行。
#
# PyTorch 會把三樣東西傳給 forward hook：模組、模組的輸入和輸出。
# 下面的程式碼片段附加一個掛勾，記下每次輸出的形狀，接著用三種方式呼叫網路，最後用 `handle.remove()` 移除掛勾：

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
# （圖：net(X) 通往 __call__，它先執行 forward pre-hook，再執行 forward，然後執行 forward hook，最後回傳 Y。
# net.forward(X) 直接通往 forward，再到 Y，不執行任何掛勾。）
#
# 呼叫了三次，串列裡卻只有兩項：`net.forward(X)` 跳過了掛勾。
# 這種呼叫只跳過 `net` 自己的掛勾，各層的掛勾還是會執行。
# 跳過掛勾可能讓網路出錯，因為 PyTorch 本身也會用掛勾。
# 例如，延後初始化層（lazy layer）建立時沒有輸入大小，要靠掛勾從第一個批次得知；少了掛勾就會失敗。

# %% [markdown]
# ## 自己的容器：`nn.Sequential` 如何運作
#
# <dfn>容器</dfn>（container）是專門用來存放其他模組的模組，例如 `nn.Sequential` 和 `nn.ModuleList`。
# `nn.Sequential` 如何管理裡面的模組？
# 它以位置作為名稱，註冊每個模組，再一個接一個呼叫，就像下面這個類別：

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
# `self.0 = module` 不是合法的 Python 程式碼，因為原始碼裡的名稱不能以數字開頭。
# `add_module` 以字串接收名稱，所以可以用 `"0"`。
# 它不接受帶點號的名稱，也不接受已經存在的屬性名稱；但如果已經有同名的直屬子模組，它會取代那個模組。
#
# `_modules` 是直屬子模組的表：它按照註冊的順序，把每個名稱對應到模組。
# 開頭的底線表示這張表供 PyTorch 內部使用。
# `MySequential` 用它，是為了說明容器如何運作；在自己的程式碼裡，請改為對 `nn.ModuleList` 跑迴圈。
#
# 給定相同的層，`MySequential` 和 `nn.Sequential` 會回傳相同的輸出，參數的名稱也相同。
# 為了比較名稱，下面的程式碼片段呼叫 `state_dict()`。
# 這個方法回傳狀態字典（state dict），它把每個參數的名稱（例如 `0.weight`）對應到參數的張量。
# 狀態字典可以儲存成檔案。

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
# ## `forward` 裡的常數、重複使用的層與迴圈
#
# `forward` 是一般的 Python 程式碼，每次呼叫模組都會執行。
# 因此，凡是 Python 允許的寫法，都可以寫在裡面。
# 下面的區塊有一個常數，把同一層用了兩次，還有一個迴圈：

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
# - **常數** `rand_weight` 是緩衝區（buffer）：屬於模組但不會被訓練的張量。
#   `register_buffer` 用來註冊緩衝區。
#   緩衝區會和參數一起儲存和移動。
#   轉型（cast）會改變數值的型別，對參數和緩衝區都有效：`net.double()` 把浮點數的參數和緩衝區轉成 `float64`。
# - **用了兩次的層**是同一層，權重只有一個。
#   這個權重的梯度，是兩次使用的梯度總和。
# - **迴圈**執行幾次，取決於當次的輸入。
#   Autograd 只記錄實際執行的運算。
# - **結果**是單一的數字：模組不一定要回傳批次。
#   這個數字介於 -1 和 1 之間，因為絕對值的總和不超過 1 時，迴圈才會結束。
#
# 常數不在參數清單裡，但在狀態字典裡，所以會被儲存：

# %%
print([name for name, _ in fixed.named_parameters()])
#> ['linear.weight', 'linear.bias']
print(list(fixed.state_dict()))
#> ['rand_weight', 'linear.weight', 'linear.bias']

# %% [markdown]
# **限制。**迴圈的次數取決於輸入的值。
# 但是 `torch.compile`（讓網路變快）和 `torch.export`（讓網路不靠 Python 程式碼就能執行）需要一串固定的運算，所以都無法轉換整個區塊。
# Python 通常不必等 GPU，但在這裡，每一輪都得等總和算出來，因為迴圈的條件要用到它。
# 練習題 6 會換掉這個迴圈。

# %% [markdown]
# ## 巢狀模組
#
# 區塊也是模組，所以可以放進另一個區塊。
# 網路 `chimera`（由多種動物拼成的生物）含有兩個區塊：

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
# 網路某個部分的<dfn>路徑</dfn>（path），由網路往下走到這個部分沿途的名稱組成，中間用點號連接，例如 `0.net.2`。
# 在印出的內容裡，括號中的就是名稱，例如 `(0)`、`(net)` 和 `(2)`。
# 要取得某個部分，可以用屬性和索引，也可以把路徑寫成字串，傳給 `get_submodule`：

# %%
print(chimera[0].net[2])
#> Linear(in_features=64, out_features=32, bias=True)
print(chimera.get_submodule("0.net.2") is chimera[0].net[2])
#> True

# %% [markdown]
# 印出的內容沒有參數和緩衝區。
# 例如，它沒有顯示 `rand_weight`，但 `chimera.state_dict()` 裡有這個緩衝區，名稱是 `2.rand_weight`。
#
# **初次閱讀到這裡就可以了。**如果要使用函式庫裡的這些區塊，或是網路出了問題，再往下讀。

# %% [markdown]
# ## 函式庫中的實作
#
# 套件 `d2lblocks` 屬於本站；要安裝它，先把本站的儲存庫 clone 下來，再到裡面執行 `pip install .`。
# 這一頁的區塊都在它的 Python 模組 `d2lblocks.modules` 裡：

# %%
from d2lblocks import FixedHiddenMLP, MLP, MySequential, NestMLP, Parallel

print(MLP(20)(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# 從這裡開始，這些名稱指的是函式庫的類別；練習題 3 會介紹 `Parallel`。
# 本節其餘部分說明這些類別和前面的簡短版本有什麼不同；簡短版本在這裡稱為簡版。
# 收合起來的原始碼就是套件的程式碼，只是去掉了說明字串（docstring）。

# %% [markdown]
# ### `MLP`
#
# 簡版的 `MLP` 大小固定，`SizedMLP` 則必須指定輸入大小。
# 函式庫的 `MLP` 以引數接收各種大小。
# 預設是 `in_features=None`，這時第一層是延後初始化層，會從第一個批次得知輸入大小。
# 和 `torch.nn` 的層一樣，它還接受 `device`（例如 GPU）和 `dtype`（數值的型別），並把兩者傳給裡面的層。
#
# <code>MLP</code> 的原始碼：
#
# *函式庫的原始碼，出自 `d2lblocks/modules.py`：*

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
# 權重相同時，函式庫的類別和 `SizedMLP` 回傳相同的輸出。
# `MLP()` 不給任何大小也能用：

# %%
sketch, library = SizedMLP(20, 256, 10), MLP(20)
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True
print(MLP()(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# **限制。**如果輸入大小未知，第一個權重在第一個批次到來之前沒有形狀，所以在那之前，無法計算它有幾個值，也無法初始化這些值。

# %% [markdown]
# ### `MySequential`
#
# 簡版只能執行裡面的模組。
# 函式庫的 `MySequential` 還接受 `OrderedDict`，並支援 `len()`、索引、切片，以及 `append` 等方法。
#
# <code>MySequential</code> 的原始碼：
#
# *函式庫的原始碼，出自 `d2lblocks/modules.py`：*

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
# 會改變容器內容的那些方法，大多取自 `nn.Sequential`。
# 可以這樣做，是因為方法就是存在類別裡的函式，而這些函式只用到 `MySequential` 也有的屬性，例如 `_modules`。
# `len()`、索引和切片在兩個類別裡的作用相同：

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
# 容器可以原地（in-place）修改，兩個這樣的容器可以用 `+` 接在一起：

# %%
mine.append(nn.Tanh()).insert(0, nn.Flatten())
del mine[1]
print(len(mine), mine[0], (mine + mine)[-1])
#> 4 Flatten(start_dim=1, end_dim=-1) Tanh()

# %% [markdown]
# 在自己的網路裡，請用 `nn.Sequential`：有些程式碼會檢查是不是這個類別，例如 `nn.Sequential` 的 `+` 和已棄用的 `torch.jit.script`。

# %% [markdown]
# ### `FixedHiddenMLP`
#
# 如果有某個值是無限大，又沒有任何值是 `nan`（not a number，非數值），簡版的迴圈就永遠不會結束，因為無限大的一半還是無限大。
# 只要有一個值是 `nan`，總和也會是 `nan`，簡版就回傳 `nan`，沒有任何提示。
# 函式庫的區塊會檢查這兩種情況，並引發錯誤。
#
# <code>FixedHiddenMLP</code> 的原始碼：
#
# *函式庫的原始碼，出自 `d2lblocks/modules.py`：*

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
# 只要值都是有限的，函式庫的類別和簡版就回傳相同的輸出：

# %%
sketch, library = fixed, FixedHiddenMLP()
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True

# %% [markdown]
# 如果輸入是無限大，錯誤訊息會指出區塊和輸入裡各有幾個值不是有限的：

# %%
try:
    library(torch.full((2, 20), float("inf")))
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: expected finite values to halve until their absolute values sum to at most 1, but got 40 of 40 that are inf or nan, from an input of shape (2, 20) with 40 of them

# %% [markdown]
# `reset_parameters` 只為區塊直接持有的張量填入值，不包括子模組的張量。
# 在 `meta` 裝置上建立的區塊需要這個方法，因為那裡的張量有形狀，但沒有記憶體，也沒有值。
# `to_empty` 會給這樣的區塊記憶體，但值仍然沒有意義。
# 接著，對每個有這個方法的模組呼叫 `reset_parameters`（在這裡是全部的模組）：

# %%
library = FixedHiddenMLP(device="meta").to_empty(device="cpu")
for module in library.modules():
    module.reset_parameters()
print(library(X).shape)
#> torch.Size([])

# %% [markdown]
# ### `NestMLP`
#
# 函式庫的 `NestMLP` 以引數接收輸入大小。
# 其他大小和簡版一樣，都是固定的。
#
# <code>NestMLP</code> 的原始碼：
#
# *函式庫的原始碼，出自 `d2lblocks/modules.py`：*

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
# 權重相同時，函式庫的類別和簡版回傳相同的輸出：

# %%
sketch, library = chimera[0], NestMLP()
library.load_state_dict(sketch.state_dict())
print(torch.equal(library(X), sketch(X)))
#> True

# %% [markdown]
# ## 出錯的時候

# %% [markdown]
# ### `cannot assign module before Module.__init__() call`
#
# 建立網路時，指派第一層的那一行就失敗了。
# 這時模組的表還不存在，因為少了 `super().__init__()`，或是寫得太晚。

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
# 如果是參數或緩衝區，訊息裡的 `module` 會換成 `parameters` 或 `buffer`：

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
# 如果類別沒有把模組、參數或緩衝區指派給屬性，物件可以建立，但第一次呼叫就會失敗：

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
# 修正方法：把 `super().__init__()` 放在 `__init__` 的第一行。
# 如果類別沒有自己的 `__init__`，就會繼承 `nn.Module` 的，不需要這一行。

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
# ### `unhashable type`：寫成 dataclass 的模組
#
# 你用 `@dataclass` 裝飾模組的類別，`parameters()` 就失敗了。
# `@dataclass` 會替類別加上 `__eq__` 方法，而定義 `__eq__` 的類別會失去雜湊值，也就是集合（set）用來尋找物件的數字。
# 沒有雜湊值的物件不能放進集合，但 PyTorch 會把模組收集到集合裡，讓每個模組只走訪一次。
# 因此，`parameters()` 和 `zero_grad()` 都會失敗；如果這個模組在另一個網路裡，那個網路的 `to()` 和 `eval()` 也會失敗。
# `diagnose` 會把這個問題回報為 `unhashable`。

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
# 修正方法：用 `eq=False` 保留雜湊值。
# 還要加上 `repr=False`，否則 `@dataclass` 會換掉模組印出的內容，新的內容裡看不到各層。

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
# 有些類別需要自己的 `__eq__`，或是從別的類別繼承而來，例如 `collections.abc.Mapping`。
# 在這樣的類別裡，寫上 `__hash__ = nn.Module.__hash__` 這一行，就能恢復雜湊值：

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
# 寫成 dataclass 的模組，不能以模組、參數或緩衝區作為引數。
# 自動產生的 `__init__` 會在 `__post_init__` 執行之前把引數指派給屬性，所以會出現 `cannot assign module before Module.__init__() call`。
# 這種類別要自己寫 `__init__`。

# %% [markdown]
# ### `optimizer got an empty parameter list`：放在 Python 串列裡的層
#
# 你把網路的各層放在 Python 串列裡。
# 網路算得出輸出，PyTorch 卻找不到參數，優化器沒有參數可以訓練：串列是一般屬性，裡面的模組沒有註冊。

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
# `.to()` 不會移動這些層，`state_dict()` 也不包含它們。
# 把空的狀態字典載入這個網路，甚至還會回報成功。
# 第一個錯誤來自優化器，也就是在訓練中改變參數的物件：

# %%
try:
    torch.optim.SGD(net.parameters(), lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: optimizer got an empty parameter list

# %% [markdown]
# 如果網路還有一些註冊過的層，連優化器也不會引發錯誤。
#
# 修正方法：改用 `nn.ModuleList`，這種串列會註冊裡面的模組。

# %%
net.layers = nn.ModuleList(net.layers)
print(list(net.state_dict()))
#> ['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias']

# %% [markdown]
# 下次如何及早發現：印出網路；沒有印出來的層就是沒有註冊。
# `diagnose` 會把這個問題回報為 `unregistered`。
#
# 如果模組要有名稱，就用 `nn.ModuleDict`；Python 字典同樣不會註冊裡面的模組。
# `nn.ModuleDict` 的鍵會成為直屬子模組的名稱，所以它不接受帶點號的鍵，也不接受與自己的屬性或方法同名的鍵，例如 `keys`：

# %%
try:
    nn.ModuleDict({"keys": nn.ReLU()})
except KeyError as error:
    print(f"KeyError: {error}")
#> KeyError: "attribute 'keys' already exists"

# %% [markdown]
# 修正方法：換一個鍵。

# %%
print(nn.ModuleDict({"key_layer": nn.ReLU()})["key_layer"])
#> ReLU()

# %% [markdown]
# ### 常數沒有跟著網路儲存、轉型或移動
#
# 你儲存網路再載入，輸出卻不一樣。
# 或者，你把網路轉成另一種 dtype（數值的型別）或移到 GPU，下一次呼叫就失敗。
# 原因是網路把某個張量存成一般屬性，這個張量沒有註冊。

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
# `load_state_dict` 回報所有的鍵都對得上，輸出卻不同：每個網路都有自己的隨機常數，而 `state_dict()` 不包含這個常數。
# 轉型之後，常數還是原來的 dtype：

# %%
try:
    net.double()(X.double())
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float

# %% [markdown]
# 如果網路裡沒有這樣的常數，那就是批次和權重的 dtype 不同：見 `mat1 and mat2 must have the same dtype`。
#
# 修正方法：像 `FixedHiddenMLP` 那樣使用 `register_buffer`，或是用比較短的寫法，把 `nn.Buffer` 指派給屬性。

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
# 如果常數可以重新計算，就不必儲存：`nn.Buffer(..., persistent=False)` 會跟著移動和轉型，但不在 `state_dict()` 裡。
#
# 下次如何及早發現：印出 `list(net.state_dict())`，看看有沒有這個常數的名稱。
# `diagnose` 會把這個問題回報為 `constant`。

# %% [markdown]
# ### 在容器裡用了兩次的層只執行一次
#
# 你寫了一個容器，把同一層放進去兩次，輸出卻是錯的。
# 同一個模組即使用好幾個名稱註冊，`children()` 也只回傳一次。
# 因此，如果容器的 `forward` 對 `children()` 跑迴圈，就會跳過第二次使用，而且沒有任何提示：

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
# 這一層把輸入變成兩倍，所以用兩次應該會把 1 變成 4。
# `diagnose` 會把這個問題回報為 `runs-once`。
#
# 修正方法：直接對容器跑迴圈。
# `for module in self` 會走訪 `MySequential`、`nn.Sequential` 或 `nn.ModuleList` 的每一項，包括重複的項目。

# %%
print(
    len(list(MySequential(double, double))),
    len(list(MySequential(double, double).children())),
)
#> 2 1

# %% [markdown]
# ### `nn.Sequential(*net.children())` 算出不同的結果
#
# 你想取得最後一層的輸入（常稱為特徵），所以用最後一層以外的所有直屬子模組建立一個新網路。
# 但是 `children()` 只回傳層。
# 凡是 `forward` 自己在各層之間執行的運算，例如 `F.relu`、攤平或跳接，全都不見了。

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
# 只有在形狀對不上的情況下，才會出現錯誤：`mat1 and mat2 shapes cannot be multiplied`。
#
# 修正方法：保留原來的網路和 `forward`，把最後一層換成 `nn.Identity()`，它會原封不動地回傳輸入。

# %%
net.out = nn.Identity()
print(torch.equal(net(X), features))
#> True

# %% [markdown]
# 如果還需要最後一層的輸出，就保留這一層，並附加一個 forward hook：它的引數 `inputs` 是一個 tuple，裡面就有特徵。

# %% [markdown]
# ### 在 `forward` 裡建立的層不會學習
#
# 網路學得不如預期，而且同樣的輸入每次呼叫都得到不同的輸出。
# 在 `forward` 裡建立的層，每次呼叫都是一個新的層，帶著新的隨機權重。

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
# 兩次呼叫的輸出不同，而且第二層不在參數清單裡，所以任何優化器都無法訓練它。
# 在 `forward` 裡把這一層指派給 `self` 的屬性也沒有用：每次呼叫都會註冊一個新的層，而優化器持有的還是舊的層。
#
# 修正方法：在 `__init__` 裡建立各層。
# 如果在那裡還不知道輸入大小，就用 `nn.LazyLinear`，它會從第一個批次得知。
# 優化器可以在第一個批次之前建立：延後初始化層已經有參數物件，第一個批次會給這些參數形狀和值。

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
# 下次如何及早發現：先呼叫 `net.eval()`，關掉 dropout，再用同樣的輸入呼叫網路兩次，比較輸出。
# `diagnose` 會把這個問題回報為 `built-in-forward`。

# %% [markdown]
# ### `setattr` 無法用帶點號的名稱換掉層
#
# 你想換掉內部的某一層，用它的路徑呼叫 `setattr`，但網路用的還是舊的層。
# `setattr` 不會沿著路徑往下找，只會替外層的網路加上一個名稱帶點號的直屬子模組，舊的層還留在原處：

# %%
net = NestMLP()
setattr(net, "net.2", nn.Linear(64, 32))
print([name for name, _ in net.named_children()])
#> ['net', 'linear', 'net.2']
print(len(list(net.named_parameters())), len(net.state_dict()))
#> 8 6

# %% [markdown]
# 現在兩層都有名為 `net.2.weight` 和 `net.2.bias` 的參數。
# 在 `state_dict()` 裡，每個名稱只能放一個張量，所以其中一層的參數沒有儲存下來。
# `diagnose` 會把這個問題回報為 `dotted-name`。
#
# 修正方法：`set_submodule` 會沿著路徑往下找。
# 加上 `strict=True`，如果沒有層可換，就會引發錯誤。

# %%
net = NestMLP()
net.set_submodule("net.2", nn.Identity(), strict=True)
print(net.net[2], [name for name, _ in net.named_children()])
#> Identity() ['net', 'linear']

# %% [markdown]
# 也可以直接指派給父模組：`net.net[2] = nn.Identity()`。
# 要用路徑讀取層，就呼叫 `net.get_submodule("net.2")`；`getattr(net, "net.2")` 會失敗。

# %% [markdown]
# ### `missing the required "forward" function`
#
# 你寫了計算用的方法，PyTorch 卻找不到。
# 方法的名稱必須是 `forward`，而且要縮排在類別裡面。
# 如果名稱拼錯或縮排不對，PyTorch 要到呼叫模組時才會發現：

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
# `nn.ModuleList` 和 `nn.ModuleDict` 也會引發同樣的錯誤，因為它們同樣沒有 `forward`：它們存放模組，但沒有定義如何執行這些模組。

# %%
try:
    nn.ModuleList([nn.Linear(20, 10)])(X)
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Module [ModuleList] is missing the required "forward" function

# %% [markdown]
# 修正方法：改正名稱或縮排。
# 如果是 `nn.ModuleList`，就在自己模組的 `forward` 裡對它跑迴圈，或是用 `nn.Sequential` 把裡面的模組串成鏈。

# %%
modules = nn.ModuleList([nn.Linear(20, 10), nn.ReLU()])
print(nn.Sequential(*modules)(X).shape)
#> torch.Size([2, 10])

# %% [markdown]
# ### `must be Tensor, not ReLU`：該用 `F.relu(X)` 卻寫成 `nn.ReLU(X)`
#
# 你把激活函數套用在張量上，下一層卻不接受收到的輸入。
# `nn.ReLU` 是類別，所以 `nn.ReLU(X)` 建立了一個模組，什麼也沒計算：PyTorch 把 `X` 當成引數 `inplace`，而且不檢查型別。
# 錯誤晚一步才出現，由收到這個模組（而不是張量）的層引發：

# %%
try:
    nn.Linear(20, 10)(nn.ReLU(X))
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: linear(): argument 'input' (position 1) must be Tensor, not ReLU

# %% [markdown]
# 修正方法：對張量用函式 `F.relu`，在需要模組的地方用模組 `nn.ReLU()`。

# %%
print(nn.Linear(20, 10)(F.relu(X)).shape)
#> torch.Size([2, 10])

# %% [markdown]
# 反過來的錯誤是在需要模組的地方傳入函式，這會立刻引發錯誤：

# %%
try:
    nn.Sequential(nn.Linear(20, 10), F.relu)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: torch.nn.functional.relu is not a Module subclass

# %% [markdown]
# 如果容器直接寫入 `_modules`，就會跳過這項檢查，之後才在看不出原因的地方失敗：

# %%
net = nn.Module()
net._modules["0"] = F.relu
try:
    net.state_dict()
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'function' object has no attribute 'state_dict'

# %% [markdown]
# 修正方法：用 `add_module`，它會檢查型別。

# %%
try:
    nn.Module().add_module("0", F.relu)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: torch.nn.functional.relu is not a Module subclass

# %% [markdown]
# ### `has no attribute`：property 明明存在
#
# 訊息說你的模組沒有屬性 `width`，但在類別裡看得到 property `width`。
# Python 找得到這個 property，但其中的某段程式碼引發了 `AttributeError`。
# 接著，Python 會呼叫 `nn.Module.__getattr__`，尋找與 property 同名的參數、緩衝區或模組。
# 這個方法找不到，於是引發第二個錯誤，蓋住了第一個：

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
# 要看到真正的錯誤，就直接呼叫 property 的函式。
# 如果是 `cached_property`，要把 `.fget` 換成 `.func`。

# %%
try:
    type(net).width.fget(net)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Linear' object has no attribute 'out_feature'

# %% [markdown]
# 修正方法：改正 property 裡的名稱。

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
# 你呼叫網路，線性層回報兩個對不上的形狀。
# 輸入的最後一個維度，大小和建立這一層時指定的不同。
# 下面的程式碼片段會印出訊息中寫著形狀的部分：

# %%
import re

net = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 10))
try:
    net(torch.rand(2, 28, 28))
except RuntimeError as error:
    print(re.search("mat1 .*", str(error))[0])
#> mat1 and mat2 shapes cannot be multiplied (56x28 and 20x256)

# %% [markdown]
# 這一層把兩張 28 列的影像當成 2 · 28 = 56 列，每列 28 個值，但它需要的是每列 20 個值。
#
# 修正方法：在這個例子裡，先把影像攤平，再按照攤平後的 784 個值建立這一層。

# %%
net = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
print(net(torch.rand(2, 28, 28)).shape)
#> torch.Size([2, 10])

# %% [markdown]
# 如果鏈比較長，可以印出每個模組的輸出形狀，或是讓第一個批次決定大小：見延後初始化。

# %% [markdown]
# ### `mat1 and mat2 must have the same dtype`：來自 NumPy 的批次
#
# 你用 NumPy 陣列做出批次，網路卻不接受。
# 批次的 dtype（數值的型別）必須和層的權重相同。
# NumPy 的浮點數預設是 `float64`，而 `torch.from_numpy` 會保留 dtype；層的權重預設則是 `float32`。
# `diagnose` 會把這個問題回報為 `mixed-dtype`。

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
# 訊息先寫批次的 dtype，再寫權重的 dtype。
# 如果訊息是 `Float and BFloat16`，表示網路轉成了 16 位元，但批次沒有轉。
# 如果訊息是 `Long and Float`，表示批次裡是整數。
#
# 修正方法：把批次轉成權重的 dtype。

# %%
print(net(batch.float()).dtype, net.bfloat16()(batch.to(net.weight.dtype)).dtype)
#> torch.float32 torch.bfloat16

# %% [markdown]
# 沒有偏差的層遇到同樣的問題，訊息卻不一樣：

# %%
try:
    nn.Linear(20, 10, bias=False)(batch)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: expected m1 and m2 to have the same dtype, but got: double != float

# %% [markdown]
# 卷積層的訊息又是另一種：

# %%
try:
    nn.Conv2d(1, 1, 3)(torch.ones(1, 1, 5, 5, dtype=torch.float64))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Input type (double) and bias type (float) should be the same

# %% [markdown]
# 如果批次的 dtype 已經正確，就找找看網路裡有沒有未轉型的張量：見常數沒有跟著網路儲存、轉型或移動。
# 在 Mac 的 GPU 上，要先把批次轉型再移動：見 `Cannot convert a MPS Tensor to float64 dtype`。

# %% [markdown]
# ### 網路改動了輸入張量
#
# 呼叫網路之後，輸入張量的值變了。
# `X /= 2` 不會建立張量，而是寫進傳給 `forward` 的那個張量。
# 如果 `nn.ReLU(inplace=True)` 是網路的第一個模組，也會這樣。

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
# `diagnose` 會把這個問題回報為 `input-changed`。
#
# 修正方法：寫成 `X = X / 2`，這會建立新的張量，輸入保持不變。

# %%
class HalvedCopy(nn.Module):
    def forward(self, X):
        X = X / 2
        return X


ones = torch.ones(3)
print(HalvedCopy()(ones), ones)
#> tensor([0.5000, 0.5000, 0.5000]) tensor([1., 1., 1.])

# %% [markdown]
# ### 同樣的輸入每次得到不同的輸出
#
# 你用同樣的輸入多次呼叫訓練好的網路，每次得到的輸出都不同。
# 網路裡有 dropout，而且還在訓練模式。
# <dfn>Dropout</dfn> 是一種層，在訓練模式下，它會隨機選出一些輸入值設為零，並放大其餘的值。
# <dfn>訓練模式</dfn>（training mode）是新模組的狀態，也是任何模組在 `net.train()` 之後的狀態：dropout 會起作用，而批次正規化（batch normalization，會重新縮放數值）使用當前批次的平均值和變異數。
# <dfn>評估模式</dfn>（evaluation mode）是模組在 `net.eval()` 之後的狀態：dropout 原封不動地回傳輸入，批次正規化則使用已經存下的平均值和變異數。

# %%
net = nn.Sequential(nn.Linear(20, 256), nn.Dropout(), nn.Linear(256, 10))
print(net.training, torch.equal(net(X), net(X)))
#> True False
net.eval()
print(net.training, torch.equal(net(X), net(X)))
#> False True

# %% [markdown]
# 修正方法：預測之前呼叫 `net.eval()`，繼續訓練之前呼叫 `net.train()`。
# 如果忘了 `net.train()`，接下來的訓練就沒有 dropout。
# `diagnose` 會把這個問題回報為 `in-eval`。
#
# 載入權重不會改變模式。
# 模式不在狀態字典裡，所以新的網路載入權重之後，還是在訓練模式：

# %%
loaded = nn.Sequential(nn.Linear(20, 256), nn.Dropout(), nn.Linear(256, 10))
loaded.load_state_dict(net.state_dict())
print(net.training, loaded.training)
#> False True
print(torch.equal(loaded.eval()(X), net(X)))
#> True

# %% [markdown]
# 函式 `F.dropout` 不知道模組的模式：即使在 `net.eval()` 之後，它還是會把一些值設為零。
# 請改寫成 `F.dropout(X, training=self.training)`。
# `diagnose` 會把這個問題回報為 `random-in-eval`。
# `net.eval()` 不會關掉 autograd。
# 想在預測時節省記憶體，還要使用 `with torch.no_grad():`，讓 autograd 停止記錄。
#
# 下次如何及早發現：預測之前，印出 `net.training`。

# %% [markdown]
# ### 呼叫永遠不結束：把無限大減半的迴圈
#
# 你呼叫網路，呼叫卻永遠不結束。
# `FixedHiddenMLP` 的簡版會一直把值減半，直到夠小為止，但無限大的一半還是無限大：

# %%
print(torch.tensor(float("inf")) / 2)
#> tensor(inf)

# %% [markdown]
# 修正方法：在這種迴圈之前，先檢查所有的值是不是有限的。
# 函式庫的區塊會這樣檢查，並引發前面顯示的錯誤。

# %%
print(bool(torch.tensor([1.0, float("inf"), float("nan")]).isfinite().all()))
#> False

# %% [markdown]
# ### `maximum recursion depth exceeded`：持有父模組的直屬子模組
#
# 子模組需要父模組的某樣東西，所以你把父模組指派給子模組的屬性。
# 這樣一來，父模組就註冊成自己子模組的子模組。
# `to()`、`train()` 和 `print` 這類操作，會從每個模組走到它的直屬子模組，於是一再呼叫自己，直到 Python 引發 `RecursionError`：

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
# `diagnose` 會把這個問題回報為 `cycle`。
#
# 修正方法：把子模組需要的值傳給它的 `__init__` 或 `forward`。
# 如果子模組真的需要父模組本身，就把父模組放進 tuple，因為 PyTorch 不會註冊 tuple 裡的模組：

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
# 為了訓練，你把網路包裝起來，網路的某個屬性卻不見了。
# 有些類別會包裝網路，例如為了在多個 GPU 上訓練（`DataParallel`、`DistributedDataParallel`），或是為了平均權重（`AveragedModel`）。
# 包裝器把你的網路存在屬性 `module` 裡；網路的屬性無法直接從包裝器取得。
# 訊息裡寫的是包裝器的類別：

# %%
averaged_net = nn.Sequential(OrderedDict(body=nn.Linear(4, 4)))
wrapped = torch.optim.swa_utils.AveragedModel(averaged_net)
try:
    wrapped.body
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'AveragedModel' object has no attribute 'body'

# %% [markdown]
# 修正方法：在屬性前面加上 `.module`，或是保留一個指向網路本身的變數。

# %%
print(wrapped.module.body)
#> Linear(in_features=4, out_features=4, bias=True)

# %% [markdown]
# ## 練習題

# %% [markdown]
# ### 練習題 1
#
# 某個網路把區塊放在 Python 串列裡，寫成 `self.blocks = blocks`。
# 網路可以呼叫，但無法訓練、轉型（例如用 `.double()`）和儲存。
# 請只改一行，修好這個網路；修好之後，參數的名稱以 `blocks.0`、`blocks.1` 等開頭。
#
# 練習（簡單）：`python -m d2lblocks practice start modules/1`

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
# #### 參考答案

# %% [markdown]
# 串列裡的區塊沒有註冊，所以只有 `forward` 找得到它們。
# 優化器、`.to()` 和 `state_dict()` 都找不到。

# %%
broken = Broken([MLP(20, 64, 20), MLP(20, 64, 10)])
print("parameters", len(list(broken.parameters())))
#> parameters 0
print("cast", {block.out.weight.dtype for block in broken.double().blocks})
#> cast {torch.float32}
print("saved", list(broken.state_dict()))
#> saved []

# %% [markdown]
# 要修好網路，就把串列傳給 `nn.ModuleList`：
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
# ### 練習題 2
#
# 某個網路的第一層會把輸入標準化：減去張量 `mean`，再除以張量 `std`。
# 這兩個張量不會跟著網路儲存、轉型或移動。
# 請修好這個類別，讓它們也會跟著儲存、轉型和移動。
# 它們不能是參數，名稱也要保持不變：在 `net.state_dict()` 裡，名稱是 `mean` 和 `std`。
#
# 練習（簡單）：`python -m d2lblocks practice start modules/2`

# %%
class Plain(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = mean
        self.std = std

    def forward(self, X):
        return (X - self.mean) / self.std

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 存成屬性的一般張量沒有註冊，所以轉型和 `state_dict()` 都找不到它們。
# 轉型本身沒有任何提示：之後的減法混用兩種 dtype，結果採用較大的那一種，到下一層才出現錯誤。

# %%
mean, std = X.mean(dim=0), X.std(dim=0)
plain = Plain(mean, std).bfloat16()
print("cast", plain(X.bfloat16()).dtype)
#> cast torch.float32
print("saved", list(plain.state_dict()))
#> saved []

# %% [markdown]
# 要修好這個類別，就把它們改成緩衝區。
# 參數也會儲存和移動，但訓練會改變參數。
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
# ### 練習題 3
#
# 寫一個接收兩個或更多網路的區塊，例如 `SideBySide(left, right)`。
# 每個網路都收到同樣的輸入；區塊把它們的輸出按照網路的順序，沿著最後一個維度串接起來，再回傳結果。
# `X` 可以有兩個或更多維度；結果的 dtype 和裝置，與這些輸出相同。
# 這些網路會跟著區塊訓練、儲存和移動。
#
# 練習（中等）：`python -m d2lblocks practice start modules/3`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 所有的網路都必須接受同樣的輸入。
# 除了串接的那個維度，它們的輸出在其他維度上的大小都必須相等。
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
# 函式庫的 `Parallel` 還可以用引數指定維度；如果是影像，`dim=1` 會串接通道。
#
# *函式庫的原始碼，出自 `d2lblocks/modules.py`：*

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
# ### 練習題 4
#
# 寫一個函式 `chain(make_block, n)`，回傳由 `n` 個區塊組成的網路，這些區塊一個接一個執行。
# `make_block` 是函式：每次呼叫 `make_block()` 都會回傳一個新的區塊，而 `chain` 為每個區塊各呼叫一次。
# 區塊按照建立的順序執行。
# 每個區塊都有自己的權重，而且沒有一個區塊是另一個區塊的複本。
# 如果 `n = 0`，網路會回傳輸入。
#
# 練習（中等）：`python -m d2lblocks practice start modules/4`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 如果傳入一個區塊再重複使用，鏈上的每個位置都會共享它的權重。
# 如果傳入函式並呼叫 `n` 次，就會得到 `n` 個權重各自獨立的區塊。
# （`copy.deepcopy` 也會建立獨立的權重，但所有複本一開始的值都相同。）
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
# ### 練習題 5
#
# 寫一個函式 `shapes(net, X)`，用 `net(X)` 呼叫網路一次，並回傳每一層的輸出形狀。
# 結果是由 `(name, shape)` 組成的串列，按照各層執行的順序排列，例如 `[("0", (2, 64)), ("1", (2, 64))]`。
# 每一組都是 tuple，其中的形狀也是 tuple（`torch.Size` 也是一種 tuple）。
# 層是指沒有子模組的模組，每一層都回傳一個張量。
# 名稱採用 `net.named_modules()` 給這一層的名稱，執行兩次的層在串列裡出現兩次。
# 呼叫網路之後，`shapes` 要移除自己的所有掛勾。
# 如果這次呼叫引發錯誤，`shapes` 同樣要移除掛勾，並讓錯誤傳到 `shapes` 的呼叫端。
#
# 練習（中等）：`python -m d2lblocks practice start modules/5`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# forward hook 會收到模組的每次輸出，所以不必修改網路的類別。
# `FixedHiddenMLP` 用了兩次的層，會出現在兩行裡。
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
# `record` 為一個名稱建立一個掛勾。
# 如果直接在迴圈裡定義掛勾，它要到執行時才會查 `name`，那時 `name` 已經是迴圈的最後一個名稱。
# 即使網路引發錯誤，`finally` 也會移除掛勾：

# %%
try:
    shapes(chimera, torch.rand(2, 3))
except RuntimeError:
    print([module for module in chimera.modules() if module._forward_hooks])
#> []

# %% [markdown]
# ### 練習題 6
#
# `FixedHiddenMLP` 無法整個編譯，因為有一個迴圈會一直把 `Y` 減半，直到絕對值的總和不超過 1。
# 請寫出 `NoLoop`，它的 `forward` 不用迴圈，而是只做一次乘法或除法：乘以或除以二的某個次方。
# 總和在 1e30 以內時，結果和梯度都和使用迴圈時相同。
# 請注意，總和正好是 1 時，迴圈不會減半。
# `forward` 不能在 Python 裡讀取張量的值（`while`、`if` 和 `.item()` 都會讀取）。
# 請使用 `mantissa, exponent = torch.frexp(total)`：這裡的 `total` 等於 `mantissa * 2**exponent`，而正數的尾數（mantissa）大於或等於 0.5，小於 1。
# 看指數就知道要減半幾次。
#
# 練習（較難）：`python -m d2lblocks practice start modules/6`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# `torch.frexp` 把有限的正總和拆成 `mantissa * 2**exponent`，其中尾數（mantissa）大於或等於 0.5，小於 1。
# 因此，減半 `exponent` 次，總和就會小於 1；如果指數是負的，就不必減半，所以用 `clamp(min=0)`。
# 如果尾數正好是 0.5，少減半一次就夠了。
# 乘以二的次方，只會改變浮點數的指數。
# 因此，乘一次得到的結果和逐次減半完全相同，除非有值變得太小，超出了 dtype 能表示的範圍。
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
# 這裡的 `torch.ldexp` 只用來建立要乘上的係數，用的是不需要梯度的張量。
# 不要直接對 `Y` 使用它：在 PyTorch 2.13 裡，如果指數是負整數，`torch.ldexp` 的梯度會是零，而且沒有任何提示（[issue 187460](https://github.com/pytorch/pytorch/issues/187460)）。
#
# **限制。**這個版本不檢查 `inf` 和 `nan`，也不會把溢位的總和減半。

# %% [markdown]
# ## 小結
#
# | 需求 | 寫法 |
# |---|---|
# | 把模組串成鏈 | `nn.Sequential(...)` |
# | 為各部分取名稱 | `nn.Sequential(OrderedDict(...))` |
# | 寫自己的模組 | `nn.Module` 的子類別，定義 `__init__` 和 `forward` |
# | 讓各部分能訓練、儲存和移動 | 先寫 `super().__init__()`，再寫 `self.name = module` |
# | 把各部分放進串列，或用名稱存取 | `nn.ModuleList`, `nn.ModuleDict` |
# | 會跟著儲存和移動的常數 | `register_buffer` 或 `nn.Buffer` |
# | 執行模組 | `net(X)`，不要用 `net.forward(X)` |
# | 用路徑取得某個部分 | `net.get_submodule("0.net.2")` |
# | 走訪容器的每一項 | `for module in container`，不要用 `.children()` |
# | 預測時不用 dropout | `net.eval()` |
#
# 函式庫的類別在 `d2lblocks.modules` 裡，所有主題的表格都在速查表裡。
#
# 下一步：參數，讀取、修改、凍結和共享網路學到的數值。
