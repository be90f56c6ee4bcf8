# %% [markdown]
# # 自訂層
#
# 這是 d2lblocks「自訂層」這一頁的腳本版：由頁面產生，並且執行過。
# 執行它需要 `d2lblocks` 和 `torch`。
# 把儲存庫 clone 下來，在裡面執行 `pip install .`，就會裝好 `d2lblocks`。
#
# 你的網路需要某種運算，PyTorch 卻沒有對應的層。
# 於是你寫了一個類別，主體只有六行，PyTorch 就能訓練它。
# 後來你載入從 `nn.Linear` 儲存的權重，你的層卻出錯，或是在沒有任何提示的情況下算出錯誤的結果。
#
# - **讀完之後你能：**寫出和 PyTorch 自己的層一樣可以訓練、儲存、載入、移動、編譯和複製的層，並說明其中每一行的用途。
# - **需要先會：**層與模組和參數，各讀到「初次閱讀到這裡就可以了」那一行，並安裝套件（把本站的儲存庫 clone 下來，在裡面執行 `pip install .`）；延後初始化層那一節還需要延後初始化，同樣讀到那一行。
# - **需要多少時間：**讀到自己的延後初始化層之前約 20 分鐘，要寫自己的層，這一部分就夠了；連同其餘部分和練習題約 60 分鐘。
#
# `torch.manual_seed(0)` 讓每次執行得到的亂數都相同：

# %%
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
X = torch.rand(2, 5)

# %% [markdown]
# ## 沒有參數的層
#
# 你想把某一層的輸出減去平均值。
# PyTorch 沒有這樣的層，所以要寫自訂層。
# <dfn>自訂層</dfn>（custom layer）是你自己寫的 `nn.Module` 子類別，用法和 PyTorch 的任何層一樣。
# 它的 `forward` 方法從輸入算出輸出：

# %%
class CenteredLayer(nn.Module):
    def forward(self, X):
        return X - X.mean()


print(CenteredLayer()(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])))
#> tensor([-2., -1.,  0.,  1.,  2.])

# %% [markdown]
# 這五個數字的平均值是 3，所以輸出是每個數字減去 3。
# 這個類別不需要 `__init__`，因為沒有東西要設定。
# 它和其他層一樣可以串成鏈；除了捨入誤差，輸出的平均值就是 0：

# %%
net = nn.Sequential(nn.Linear(5, 64), CenteredLayer())
print(bool(net(X).mean().abs() < 1e-6))
#> True

# %% [markdown]
# **注意。**`X.mean()` 是整個批次的平均值，所以一個樣本的結果會受同一批次的其他樣本影響。
# 第一個樣本放在批次裡是一種結果，單獨計算又是另一種：

# %%
center = CenteredLayer()
print(torch.equal(center(X)[:1], center(X[:1])))
#> False

# %% [markdown]
# 預測隨著批次裡的其他樣本改變，通常不是你要的。
# 在 `forward` 裡，請改為減去最後一個維度上的平均值 `X.mean(dim=-1, keepdim=True)`，讓每個樣本各自中心化：

# %%
in_batch = X - X.mean(dim=-1, keepdim=True)
alone = X[:1] - X[:1].mean(dim=-1, keepdim=True)
print(torch.equal(in_batch[:1], alone))
#> True

# %% [markdown]
# `keepdim=True` 會保留最後一個維度，大小變成 1，所以平均值的形狀是 `(2, 1)`，每一列有一個平均值。
# 接著，廣播讓每一列的五個數字都減去該列的平均值。
# <dfn>廣播</dfn>（broadcasting）讓 `-` 之類的運算可以結合形狀不同的張量，例如 `(2, 5)` 和 `(2, 1)`：從最後一個維度往前逐一比較形狀，如果張量缺少某個維度，或是在某個維度的大小是 1，就沿著那個維度重複。

# %% [markdown]
# ## 有參數的層
#
# 大多數的層都有要學習的值。
# 下面以線性層為例，主體有六行（在自己的程式裡，請用 `nn.Linear`）：

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
# 把 `nn.Parameter` 指派給屬性，它就會註冊在模組裡：`layer.parameters()` 會包含它，所以優化器可以更新它。
# 參數的梯度由 autograd 替你計算：

# %%
layer(X).sum().backward()
print(layer.weight.grad.shape, layer.bias.grad)
#> torch.Size([5, 3]) tensor([2., 2., 2.])
torch.optim.SGD(layer.parameters(), lr=0.1).step()
print(layer.bias.detach())
#> tensor([-0.2000, -0.2000, -0.2000])

# %% [markdown]
# 輸入有兩列，每一列都讓各個偏差的梯度增加 1，所以梯度是 2。
# 接著，學習率為 0.1 的一步讓每個偏差改變 -0.2。
#
# PyTorch 可以訓練這一層，但 PyTorch 自己的層能做的事，這一層還沒辦法全部做到。
# 接下來幾節會一小步一小步補上其餘的功能。

# %% [markdown]
# ### 權重的形狀：輸出在前
#
# 你想讓自己的層載入從 `nn.Linear` 儲存的權重。
# 形狀相等才能載入。
# `nn.Linear` 的權重把輸出大小放在前面，所以你的權重也要用 `(out_features, in_features)` 這個形狀。

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
# 每個輸出都是各輸入的加總。
# 不管是哪一層，`torch.randn` 抽取的權重分散程度都一樣，所以輸入愈多，總和愈大。
# 下一個版本和 `nn.Linear` 一樣，在 `-bound` 和 `bound` 之間抽取值；有 n 個輸入時，`bound` = 1/√n。
#
# 設定初始值的程式碼放在名為 `reset_parameters` 的方法裡，由 `__init__` 呼叫。
# 這樣一來，使用這一層的人也能呼叫這個方法，重新抽取值。
# 在 meta 裝置上建立這一層之後，就需要這樣做，因為那裡的張量沒有記憶體：`to_empty` 給這一層記憶體，裡面的值是任意的，再由 `reset_parameters` 把值填進去。
#
# 為了讓使用者能在任何裝置上、以任何精度建立這一層，`__init__` 還接收 `device` 和 `dtype`，並用在它建立的每個張量上：

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
# 輸出的第一行表示，權重的 dtype 就是指定的那一種。
# 第二行表示，`reset_parameters` 填進新記憶體的值，和以相同的亂數種子建立的新層一樣。

# %% [markdown]
# ### 可省略的偏差
#
# `nn.Linear(5, 3, bias=False)` 沒有偏差，你的層也應該提供這個選擇。
# 沒有偏差時，不要把屬性省掉，而要把它註冊為 `None`，就像下面這個小小的層。
# 這樣一來，`bias` 這個名稱還在，只是沒有張量：`shift.bias` 是 `None`，狀態字典裡也沒有它的項目。
# 這個名稱仍然保留給參數：如果指派一般張量，例如 `shift.bias = torch.zeros(5)`，就會引發錯誤。

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
# 要用偏差計算的方法，必須先檢查它是不是 `None`（`F.linear` 接受 `None`）。

# %% [markdown]
# ### `print` 顯示的內容：`extra_repr`
#
# `print(net)` 會顯示每一層的類別，後面接一對括號。
# 括號裡的文字由 `extra_repr` 回傳。
# 按照慣例，這段文字列出 `__init__` 的引數，例如下面的類別：

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
# ### 任何批次形狀的輸入
#
# 呼叫你的層時，傳入的可能是一個樣本、一批樣本，或是一批序列。
# 對 `X @ weight.T` 來說，最後一個維度之前可以有任意多個維度，一個也沒有也行，批次裡沒有樣本也行：

# %%
layer = MyLinear(5, 3)
for shape in [(5,), (0, 5), (2, 5), (2, 7, 5)]:
    print(shape, tuple(layer(torch.rand(shape)).shape))
#> (5,) (3,)
#> (0, 5) (0, 3)
#> (2, 5) (2, 3)
#> (2, 7, 5) (2, 7, 3)

# %% [markdown]
# 只要 `forward` 裡沒有寫死批次大小，這些形狀就全都能用。

# %% [markdown]
# ### Autocast
#
# 如果你不用 16 位元數值計算，初次閱讀可以跳過這一節。
#
# <dfn>混合精度</dfn>（mixed precision）是指在精確度夠用的地方以 16 位元數值計算，其餘地方以 32 位元數值計算，這樣可以節省時間和記憶體。
# <dfn>Autocast</dfn>，也就是 [`torch.autocast`](https://docs.pytorch.org/docs/stable/amp.html)，是 PyTorch 的混合精度工具：它為每個運算選擇 dtype。
# 矩陣乘積用 16 位元的 dtype，損失用 `float32`；其他運算大多沿用輸入的 dtype。
#
# 目前寫好的層無法保持 16 位元的 dtype。
# 它的矩陣乘積是 `bfloat16`（一種 16 位元的 dtype），但偏差是 `float32`，兩者相加又變回 `float32`：

# %%
with torch.autocast("cpu", dtype=torch.bfloat16):
    print(layer(X).dtype, nn.Linear(5, 3)(X).dtype)
#> torch.float32 torch.bfloat16

# %% [markdown]
# `F.linear` 用單一運算算出乘積並加上偏差，而 autocast 會以 16 位元執行這個運算。
# 所以最後一步是改為呼叫 `F.linear`：

# %%
with torch.autocast("cpu", dtype=torch.bfloat16):
    print(F.linear(X, layer.weight, layer.bias).dtype)
#> torch.bfloat16
print(torch.allclose(F.linear(X, layer.weight, layer.bias), layer(X)))
#> True

# %% [markdown]
# 在 autocast 之下，輸出現在是 `bfloat16`；沒有 autocast 時，輸出和之前一樣。
# 包含以上所有步驟的完整類別，見函式庫中的實作。

# %% [markdown]
# ### 掛勾
#
# <dfn>掛勾</dfn>（hook）是附加在模組上的函式；PyTorch 會在呼叫模組的時候執行它（在 `forward` 之前或之後），或是在反向傳播期間執行。
# PyTorch 有好幾個部分要靠掛勾運作，例如延後初始化層（從第一個批次得知輸入大小）和 `fully_shard`（把一個網路拆開，分到多個 GPU 上）。
#
# 如果你的層裡還有另一層，呼叫那一層要寫 `self.linear(X)`，絕不要寫 `self.linear.forward(X)`，因為只有呼叫層本身，才會執行它的掛勾。
# 在下面的程式碼片段裡，內層是 `nn.LazyLinear`，這種延後初始化層靠掛勾讀取輸入大小：

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
# 第一個網路呼叫延後初始化層，所以掛勾會執行。
# 第二個網路直接呼叫 `forward`，所以掛勾沒有執行，這一層也就還沒有權重，錯誤訊息的開頭說的就是這件事。

# %% [markdown]
# ## 函式庫中的實作
#
# `d2lblocks.layers` 裡有 `CenteredLayer` 和完成的 `MyLinear`。
# 這個 `CenteredLayer` 有引數 `dim`；設定 `dim=-1`，每個樣本就會各自中心化。
#
# <code>CenteredLayer</code> 和 <code>MyLinear</code> 的原始碼，不含說明字串（docstring）：
#
# *函式庫的原始碼，出自 `d2lblocks/layers.py`：*

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
# 亂數種子相同時，`MyLinear` 和 `nn.Linear` 的權重相等，輸出也完全相等。
# `MyLinear` 呼叫的是 `F.linear`，所以直接呼叫 `F.linear` 會得到相同的輸出：

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
# 自訂層可以和其他層一樣疊起來：

# %%
net = nn.Sequential(MyLinear(5, 64), nn.ReLU(), CenteredLayer(dim=-1), MyLinear(64, 1))
print(net(X).shape)
#> torch.Size([2, 1])

# %% [markdown]
# ### 檢查梯度：`gradcheck`
#
# 初次閱讀可以跳過這一節：如果一層由 PyTorch 的運算組成，autograd 就會算出正確的梯度，所以只有在你有疑慮，或是自己寫反向傳播的時候，才需要這項檢查。
#
# [`torch.autograd.gradcheck`](https://docs.pytorch.org/docs/stable/generated/torch.autograd.gradcheck.gradcheck.html) 會拿每個梯度和實測的斜率比較，斜率是 (f(x + h) - f(x - h)) / (2h)，其中 h 是很小的步長。
# 請用 `float64` 的輸入，因為用 `float32` 測出來的斜率太不準確。
# `gradcheck` 需要一個接收張量的函式，所以程式碼片段用了 `functional_call`，它以你傳入的參數執行模組：

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
# ## 參數、緩衝區、屬性
#
# 你的層裡有一張常數表。
# 優化器該不該改變它？
# 儲存的檔案該不該包含它？
# 它該不該跟著網路移到 GPU 上？
# 這些答案決定你要用哪種方式存放它。
#
# <dfn>緩衝區</dfn>（buffer）是註冊在模組裡的張量，會跟著模組移動，但不參與訓練。
# <dfn>持久緩衝區</dfn>（persistent buffer）是狀態字典裡有的緩衝區，所以會跟著模組儲存；緩衝區預設是持久的。
# <dfn>非持久緩衝區</dfn>（non-persistent buffer）以 `persistent=False` 建立，會跟著模組移動，但不會儲存。
# 要註冊緩衝區，就寫 `self.name = nn.Buffer(tensor)` 或 `self.register_buffer("name", tensor)`。
# 下面的類別裡，每一種張量各有一個：

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
# 輸出裡的「moved」顯示 `kinds.double()` 的效果，它把模組轉型成 `float64`。
# 轉型改變了參數和兩個緩衝區，但沒有改變一般張量；移到另一個裝置時也是如此。
# 每一種各有不同的用途：
#
# | 種類 | 訓練 | 儲存 | 移動和轉型 | 用途 |
# |---|---|---|---|---|
# | `nn.Parameter` | 是 | 是 | 是 | 要學習的值 |
# | `nn.Buffer` | 否 | 是 | 是 | 儲存下來的網路所需的常數和統計量 |
# | `nn.Buffer(..., persistent=False)` | 否 | 否 | 是 | 可以重新計算的值，例如遮罩和索引 |
# | 一般張量 | 否 | 否 | 否 | `forward` 不使用的張量，例如畫圖用的資料 |
#
# **注意。**`net.bfloat16()` 和 `net.half()` 會把每個浮點數緩衝區的值捨入，就算把網路轉型回來，失去的位數也不會恢復。
# 一張頻率表可能因此完全不能用，後面有例子。
# 整數和布林緩衝區不受影響。

# %% [markdown]
# ### 參數和層的串列與字典
#
# 你想把好幾個層或參數放在同一個名稱之下。
# Python 串列不會註冊裡面的東西：模組看不到串列裡的參數或層。
# 請用 PyTorch 自己的容器：`nn.ParameterList` 和 `nn.ParameterDict` 會註冊參數，`nn.ModuleList` 和 `nn.ModuleDict` 會註冊模組。

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
# 從名稱就看得出參數在哪裡：`experts.small.weight` 是 `experts` 裡 `small` 這個模組的權重。
#
# **初次閱讀到這裡就可以了。**這一頁其餘的部分，談的是從第一個批次得知大小的層、編譯或匯出的層，以及如何找出層裡的問題。

# %% [markdown]
# ## 自己的延後初始化層
#
# 你想讓使用這一層的人可以省略輸入大小，就像使用 PyTorch 的延後初始化層那樣。
# `LazyModuleMixin` 提供在第一次呼叫之前執行的掛勾。
# 你要提供兩樣東西：還沒有形狀的參數，以及給參數形狀的方法 `initialize_parameters`。
# 在這個方法裡，`has_uninitialized_params()` 告訴你是不是還有參數缺少形狀，`materialize(shape)` 則給參數形狀和記憶體，但不填入值：

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
# 參數一開始沒有形狀。
# 第一個批次的最後一個維度大小是 5，所以之後參數有五個值。
# 如果這一層已經有從檔案載入的值，`if` 會讓這些值保持不變。
#
# `d2lblocks.layers` 裡的 `MyLazyLinear` 以同樣的方式處理權重和偏差。
# 它還設定了 `cls_to_become`，也就是這一層在第一個批次之後所屬的類別。
#
# <code>MyLazyLinear</code> 的原始碼，不含說明字串（docstring）：
#
# *函式庫的原始碼，出自 `d2lblocks/layers.py`：*

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
# 第一個批次之後，這一層就是 `MyLinear` 了。
#
# **注意。**可能有人在第一個批次之前，就對網路的每一層呼叫 `reset_parameters`，而這時延後初始化層的參數還沒有記憶體可填。
# 所以延後初始化的類別要有自己的 `reset_parameters`，在第一個批次之前什麼也不做，就像 `MyLazyLinear` 那樣。

# %% [markdown]
# ## 編譯與匯出
#
# 你想讓自己的層跑得更快，或是在沒有你的 Python 類別的程式裡執行。
# <dfn>編譯</dfn>（compile）模組，是把它的 `forward` 記錄成一張由運算組成的圖，再把這張圖變成更快的程式碼；[`torch.compile`](https://docs.pytorch.org/docs/stable/generated/torch.compile.html) 做的就是這件事。
#
# 如果 `torch.compile` 能把一層記錄成單一的圖，這一層通常跑得最快。
# 加上 `fullgraph=True`，做不到時就會出現錯誤。
# `torch.compile` 裡把圖變成程式碼的部分，稱為後端（backend）。
# 後端 `"eager"` 照原樣執行這張圖，所以在沒有 C++ 編譯器的機器上，也能用它檢查一層：

# %%
compiled = torch.compile(mine, backend="eager", fullgraph=True)
print(torch.equal(compiled(X), mine(X)))
#> True

# %% [markdown]
# <dfn>匯出</dfn>（export）模組，是把它的 `forward` 記錄成一個不靠你的 Python 程式碼就能執行的程式；[`torch.export`](https://docs.pytorch.org/docs/stable/export.html) 做的就是這件事。
# 匯出的程式只接受一種形狀的輸入，也就是傳給 `torch.export.export` 的範例輸入（這裡是 `X`）的形狀。
# 如果要用其他的批次大小，就把批次維度宣告為動態：

# %%
batch = torch.export.Dim("batch")
program = torch.export.export(mine, (X,), dynamic_shapes=({0: batch},))
print(program.module()(torch.rand(7, 5)).shape)
#> torch.Size([7, 3])

# %% [markdown]
# 這個程式匯出時用的是 2 列，執行時用的是 7 列。
#
# <dfn>假張量</dfn>（fake tensor）和真正的張量一樣有形狀、dtype 和裝置，但沒有值；`torch.compile` 和 `torch.export` 用假張量記錄網路，不計算任何值。
# 所以，如果 Python 要看到張量的值才能決定下一步，`torch.export` 和 `fullgraph=True` 就會失敗。
# 例如，`FixedHiddenMLP` 的迴圈在每一輪之前，都會檢查總和是不是還太大：

# %%
from d2lblocks import FixedHiddenMLP

looped = torch.compile(FixedHiddenMLP(5), backend="eager", fullgraph=True)
try:
    looped(X)
except Exception as error:
    print(type(error).__name__)
#> Unsupported

# %% [markdown]
# 不加 `fullgraph=True` 時，`torch.compile` 接受這一層，但結果裡有圖中斷，所以比較慢。
# <dfn>圖中斷</dfn>（graph break）是指 `torch.compile` 在某處結束一張圖，讓 Python 執行無法記錄的程式碼，再開始另一張圖。
# 根據張量的值分支、印出張量，以及對浮點數張量呼叫 `.tolist()`，也都會造成圖中斷。
# 只取決於**形狀**的程式碼則不會。
# 像 `FixedHiddenMLP` 那樣的迴圈，常常可以換成算術，「層與模組」的練習題 6 就是這樣做的。

# %% [markdown]
# ## 出錯的時候

# %% [markdown]
# ### 梯度是 `None`：`forward` 裡的 `.data`
#
# 網路照常訓練，其中一層卻始終不變，而且這一層權重的梯度是 `None`。
# 這一層的 `forward` 用了 `.data`，它繞過 autograd，直接給出張量的值。
# 如果網路只有這一層，`backward` 會引發錯誤：

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
# 如果網路還有其他層，就不會有錯誤，而這一層永遠不學習：

# %%
net = nn.Sequential(nn.Linear(5, 5), Detached(), nn.Linear(5, 1))
net(X).sum().backward()
print([name for name, parameter in net.named_parameters() if parameter.grad is None])
#> ['1.weight']

# %% [markdown]
# （第一層確實有梯度，但梯度是零，因為它經過了全是零的權重。）
#
# 修正方法：使用參數本身。

# %%
class Attached(Detached):
    def forward(self, X):
        return X @ self.weight


net = nn.Sequential(nn.Linear(5, 5), Attached(), nn.Linear(5, 1))
net(X).sum().backward()
print([name for name, parameter in net.named_parameters() if parameter.grad is None])
#> []

# %% [markdown]
# 下次如何及早發現：在 `backward` 之後，檢查每個參數是不是都有梯度。
# `diagnose` 會把這個問題回報為 `data-read`。

# %% [markdown]
# ### 放在 Python 串列裡的參數
#
# 你的層把參數放在串列裡，但 `parameters()` 不包含這些參數，所以優化器根本拿不到：

# %%
class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = [nn.Parameter(torch.ones(3)) for _ in range(2)]


print(list(Hidden().parameters()))
#> []

# %% [markdown]
# 不會有錯誤訊息。
# 模組會註冊指派給屬性的參數、緩衝區或模組。
# 串列不屬於其中任何一種，所以模組不會檢查裡面的內容。
#
# 修正方法：改用 `nn.ParameterList`。

# %%
class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(3)) for _ in range(2))


print(len(list(Listed().parameters())))
#> 2

# %% [markdown]
# 下次如何及早發現：比較 `len(list(layer.parameters()))` 和你預期的參數個數。
# `diagnose` 會把這個問題回報為 `unregistered`。

# %% [markdown]
# ### 常數參與了訓練：裝著緩衝區的 `nn.ParameterList`
#
# 你把常數放進 `nn.ParameterList`，訓練卻改變了它們。
# `nn.ParameterList` 和 `nn.ParameterDict` 會把每個張量都變成 `nn.Parameter`，連緩衝區也不例外：

# %%
held = nn.ParameterList([torch.zeros(2), nn.Buffer(torch.zeros(2))])
print(
    [(name, parameter.requires_grad) for name, parameter in held.named_parameters()],
    list(held.buffers()),
)
#> [('0', True), ('1', True)] []

# %% [markdown]
# 運算的結果也是如此，例如 `2 * w`：它會變成新的參數，`w` 不會透過它得到梯度。
#
# PyTorch 沒有存放緩衝區的串列型別。
# 修正方法：把這些常數堆疊成一個緩衝區；如果形狀不同，就為每個常數各註冊一個緩衝區。

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
# 下次如何及早發現：看看 `named_parameters()` 裡有沒有不該訓練的張量。

# %% [markdown]
# ### `nn.Parameter(t) * 0.01` 不是參數
#
# 你在建立參數的那一行縮放它，結果 `parameters()` 裡就沒有這個參數。
# 對參數做運算，回傳的是一般張量；`.to(dtype)` 如果需要轉換值，也是如此：

# %%
class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5)) * 0.01
        self.other = nn.Parameter(torch.randn(3, 5)).to(torch.float64)


print(list(Scaled().parameters()))
#> []

# %% [markdown]
# 不會有錯誤訊息。
# `diagnose` 會把這個問題回報為 `not-a-parameter`。
#
# 修正方法：先做算術，再對結果呼叫 `nn.Parameter`。

# %%
class ScaledFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5) * 0.01)
        self.other = nn.Parameter(torch.randn(3, 5, dtype=torch.float64))


print([name for name, _ in ScaledFirst().named_parameters()])
#> ['weight', 'other']

# %% [markdown]
# 如果把這樣的張量交給優化器，優化器會引發 `can't optimize a non-leaf Tensor`。

# %% [markdown]
# ### 損失從第一步就是 `nan`：從未填入值的權重
#
# 損失從第一步就是 `nan` 或非常大，但不一定每次執行都這樣。
# `torch.empty(2, 3)` 和比較舊的 `torch.Tensor(2, 3)` 只是取得記憶體，內容維持原樣：可能是零、非常大的數字或 `nan`。
#
# 要找出從未填入值的參數，就在建立網路之前呼叫 `torch.use_deterministic_algorithms(True)`，PyTorch 就會在新的記憶體裡填滿 `nan`：

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
# `diagnose` 會把這個問題回報為 `nan`。
#
# 修正方法：在 `reset_parameters` 裡填入每個參數的值，並在 `__init__` 裡呼叫這個方法。

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
# ### 常數沒有轉型或移動：存成一般屬性的張量
#
# 網路轉型或移動之後，某一層引發錯誤，訊息提到兩種 dtype 或兩個裝置。
# 這一層把常數存成一般屬性，所以常數不會跟著它轉型、移動或儲存：

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
# 修正方法：改用緩衝區。

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
# 如果這一層的每個張量都已註冊，還是出現和 dtype 有關的錯誤，那就是批次和權重的 dtype 不同：見 `mat1 and mat2 must have the same dtype`。
#
# 下次如何及早發現：用 `list(layer.state_dict())` 列出註冊過的張量；非持久緩衝區只出現在 `named_buffers()` 裡。
# `diagnose` 會把這個問題回報為 `constant`。

# %% [markdown]
# ### 位置在 16 位元下算錯：捨入的緩衝區
#
# 在 `float32` 下正常的網路，經過 `net.bfloat16()` 之後結果變差，就算再轉型回來也一樣。
# 網路轉型時，浮點數緩衝區也會跟著捨入，沒有任何提示，而且無法復原。
# 為詞的位置編碼的模型，常常存有一張頻率 f 的表，並為每個位置 p 計算 cos(p · f)。
# 在位置 2,000，f 差 0.0002，p · f 就會差 0.4，所以餘弦值是錯的：

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
# 修正方法：在緩衝區裡存整數，並在 `forward` 裡以 `float32` 從整數算出頻率。
# 網路轉型不會改變整數緩衝區。

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
# 也可以讓網路維持 `float32`，並使用 autocast，它不會改變緩衝區的型別。
#
# 下次如何及早發現：印出 `parameter_table(net)`，它會顯示每個緩衝區的 dtype。
# `diagnose` 會把這個問題回報為 `rounded-buffer`。

# %% [markdown]
# ### `Index put requires the source and destination dtypes match`
#
# 你的層原本正常，打開 autocast 之後卻失敗了。
# 在 autocast 之下，線性層的輸出是 16 位元，但 `torch.zeros` 建立的還是 `float32` 張量。
# 像 `Y[mask] = H` 這樣的指派，兩邊的 dtype 必須相同：

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
# 修正方法：先算出值，再用這些值的 dtype 和裝置建立結果。

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
# `scatter_`、`scatter_add_`、`index_add_` 和 `index_copy_` 也會因為同樣的原因失敗，修正方法也一樣：

# %%
H = torch.ones(2, 3, dtype=torch.bfloat16)
try:
    torch.zeros(2, 3).scatter_(0, torch.zeros(2, 3, dtype=torch.int64), H)
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: scatter(): Expected self.dtype to be equal to src.dtype

# %% [markdown]
# 下次如何及早發現：測試每個新的層時，都在 autocast 之下呼叫一次。

# %% [markdown]
# ### `self` 和輸入的順序寫反了
#
# 訊息說你的模組少了某個方法，而這個方法明明每個張量都有。
# Python 會把模組當成每個方法的第一個引數傳入，即使這個引數不叫 `self`。
# 引數的順序寫反時，`X` 就是模組，`self` 就是輸入：

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
# 修正方法：寫成 `forward(self, X)`。

# %%
class Ordered(nn.Module):
    def forward(self, X):
        return X.relu()


print(Ordered()(X).shape)
#> torch.Size([2, 5])

# %% [markdown]
# ### `Trying to backward through the graph a second time`：保留下來的狀態
#
# 訓練的第一步正常，第二步卻引發錯誤。
# `backward` 會釋放它走過的計算圖。
# 如果模組把輸出保留到下一次呼叫，也就保留了這個輸出的計算圖，所以第二次 `backward` 會走到已經釋放的計算圖：

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
# `retain_graph=True` 並不是修正方法。
# 用了它，計算圖會一步比一步大，每一步花的時間和記憶體也愈來愈多。
# 優化器改變權重之後，`backward` 還可能引發 `modified by an inplace operation`。
#
# 修正方法：只保留值，不保留它的計算圖。

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
# 如果在迴圈之前從參數算出一個張量，然後在每一步都用它，也會出現同樣的錯誤：請改在迴圈裡計算。
# 如果對累加的損失呼叫 `backward`，也會如此：請對每一步的損失呼叫 `backward`，要印出總和就累加 `loss.item()`。
#
# 下次如何及早發現：檢查模組在各步之間保留的每個張量，`requires_grad` 是不是都為 `False`。
# `diagnose` 會把這個問題回報為 `kept-graph`。

# %% [markdown]
# ### `Inference tensors cannot be saved for backward`
#
# 你評估網路一次，之後訓練就失敗了。
# 在 `torch.inference_mode()` 之下建立的張量是推論張量（inference tensor），autograd 無法把它存下來供反向傳播使用。
# 如果模組在第一次呼叫時建立緩衝區，而那次呼叫是評估，模組保留的就是推論張量：

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
# 修正方法：在 `__init__` 裡建立緩衝區。
# 如果在那裡還不知道大小，就在 `torch.no_grad()` 之下做第一次呼叫，或是只在建立張量的那一行離開推論模式：

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
# 如果在 `torch.inference_mode()` 之下**建立**網路，所有的參數都會是推論張量，寫入這些參數就會失敗：

# %%
with torch.inference_mode():
    net = nn.Linear(5, 5)
try:
    net.reset_parameters()
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details.

# %% [markdown]
# 修正方法：在 `torch.inference_mode()` 之外建立網路，只在預測時使用這個模式。
#
# 下次如何及早發現：檢查模組保留的每個張量，`is_inference()` 是不是都為 `False`。

# %% [markdown]
# ### `torch._dynamo hit config.recompile_limit`：用 `int` 當計數器
#
# 編譯過的模組很慢，而且 PyTorch 發出警告，說達到了重新編譯的上限。
# `torch.compile` 把模組裡的 Python 數字當成圖的常數。
# 如果這樣的數字每次呼叫都會改變，每次呼叫就都要重新編譯模組。
# 編譯八次之後，PyTorch 會發出警告，從此不再編譯，直接執行模組。
# 第九次呼叫就會觸發警告；這個程式碼片段裡的後端會計算編譯的次數：

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
# 修正方法：用緩衝區計數；它是圖的輸入，不是常數。

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
# 下次如何及早發現：把環境變數 `TORCH_LOGS` 設成 `recompiles`，PyTorch 就會印出重新編譯模組的原因。

# %% [markdown]
# ### `Only Tensors of floating point and complex dtype can require gradients`
#
# 你把索引、遮罩或計數存成參數。
# 參數預設需要梯度，而整數和布林值不能有梯度：

# %%
try:
    nn.Parameter(torch.tensor([0, 1]))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Only Tensors of floating point and complex dtype can require gradients

# %% [markdown]
# 修正方法：改用緩衝區，它會跟著網路儲存和移動，但絕不參與訓練。

# %%
print(nn.Buffer(torch.tensor([0, 1])))
#> tensor([0, 1])

# %% [markdown]
# ## 練習題

# %% [markdown]
# ### 練習題 1
#
# 寫一個層 `Affine`，計算 `gamma * X + beta`，其中輸入 `X` 的最後一個維度大小是 `features`。
# `gamma` 和 `beta` 會參與訓練，形狀是 `(features,)`。
# `gamma` 的每個值一開始都是 1，`beta` 的每個值一開始都是 0。
# 兩者都建立在 `device` 上，型別是 `dtype`。
#
# 練習（簡單）：`python -m d2lblocks practice start layers/1`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# `nn.Parameter` 包住的是已經建好的張量，所以 `device` 和 `dtype` 要傳給建立這個張量的函式。
# 廣播會沿著輸入的其他維度重複 `gamma` 和 `beta`。
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
# 層正規化和批次正規化的最後一步就是這樣的層。
# 一開始，它會原封不動地回傳輸入，而每個參數都會得到梯度：

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
# ### 練習題 2
#
# 寫一個層 `HalfFourier`，只回傳實數輸入所需要的傅立葉係數。
# 如果 `X` 的最後一個維度有 n 個值，就沿著這個維度回傳係數 0 到 n // 2，以複數表示。
# `X` 的其他維度是各自獨立的樣本，這樣的維度可以有任意多個，也可以一個都沒有。
#
# 練習（簡單）：`python -m d2lblocks practice start layers/2`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 如果 n 個輸入值都是實數，係數 n - k 就是係數 k 的共軛複數。
# 所以係數 0 到 n // 2 已經包含全部的資訊，`torch.fft.rfft` 也只計算這些係數。
#
# *layers/2_half_fourier.py*

# %%
class HalfFourier(nn.Module):
    def forward(self, X):
        return torch.fft.rfft(X)

# %% [markdown]
# `torch.fft.irfft` 把係數變回輸入。
# 它需要 `n=5`，因為 3 個係數可能來自 4 個值，也可能來自 5 個值。

# %%
half, full = HalfFourier()(X), torch.fft.fft(X)
print(half.shape, torch.allclose(half, full[:, :3], atol=1e-6))
#> torch.Size([2, 3]) True
print(torch.allclose(full[:, 3:], half[:, 1:].flip(-1).conj(), atol=1e-6))
#> True
print(torch.allclose(torch.fft.irfft(half, n=5), X, atol=1e-6))
#> True

# %% [markdown]
# 如果下一層需要實數，就用 `torch.view_as_real`，它會在最後加上一個大小為 2 的維度，放實部和虛部。

# %% [markdown]
# ### 練習題 3
#
# 寫一個層 `QuadraticForm`，為每個輸出 k 算出一個數字：`W[k, i, j] * x[i] * x[j]` 對所有 i 和 j 的總和。
# `W` 是這一層的參數 `weight`，形狀是 `(out_features, in_features, in_features)`。
# 初始值從平均值為 0、標準差為 1 / `in_features` 的常態分布抽取。
# 輸入的形狀是 `(*, in_features)`，輸出的形狀就是 `(*, out_features)`，其中 `*` 代表任意多個維度，也可以一個都沒有。
#
# 練習（中等）：`python -m d2lblocks practice start layers/3`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 在 `einsum` 的式子裡，`...` 代表最後一個維度之前的所有維度，所以這一層接受任何批次形狀。
# 每個輸出都是 n² 個乘積的總和，其中 n 是 `in_features`。
# 如果輸入的平均值是 0、變異數是 1，這個總和的變異數大約是單一權重變異數的 n² 倍。
# 所以權重的標準差取 1/n，數值的尺度就能保持不變。
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
# 用迴圈走過所有的 i 和 j，會得到相同的輸出。
# `nn.Bilinear` 接收兩個輸入，如果兩個都傳入同一個張量，也會得到相同的輸出：

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
# ### 練習題 4
#
# 寫一個層 `RunningCenter`，把形狀為 `(n, features)` 的輸入減去每個特徵的平均值。
# 在訓練模式下，減去的是批次的平均值，而且梯度會流過它。
# 這一層還有 `running_mean`，這是形狀為 `(features,)` 的張量，從 0 開始。
# 在訓練模式下，每個批次都會讓它往批次的平均值靠近，靠近的幅度是兩者差距乘以 `momentum`。
# 在評估模式下，減去的是 `running_mean`，而且不改變它，所以每個預測只取決於自己的輸入。
# `running_mean` 會跟著網路儲存，但不參與訓練；更新採用原地操作，不保留計算圖。
# 它建立在 `device` 上，型別是 `dtype`。
#
# 練習（中等）：`python -m d2lblocks practice start layers/4`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 儲存下來的網路需要這個移動平均值，而優化器不該改變它，所以它是緩衝區。
# `lerp_` 讓移動平均值往批次的平均值靠近，幅度是兩者差距乘以 `momentum`。
# 這是原地操作，所以移動平均值還是註冊過的那個緩衝區。
# `no_grad` 讓 autograd 不記錄這次更新。
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
# 輸入 200 批介於 0 和 1 之間的數字之後，移動平均值是 0.5；同一個樣本，單獨預測和放在批次裡預測的結果相同：

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
# ### 練習題 5
#
# `OldLinear` 以 `(in_features, out_features)` 的形狀存放權重，你手上有這種佈局的檢查點。
# `NewLinear` 則以 `(out_features, in_features)` 存放。
# 請修改 `NewLinear`，讓它能載入這兩個類別的狀態字典；放在另一個模組裡時要能載入，權重是方陣時也要能載入。
# 沒有版本的狀態字典視為舊版。
# 如果狀態字典裡沒有權重，PyTorch 仍然要回報缺少這個鍵。
# 載入不能改變狀態字典裡的張量。
#
# 練習（較難）：`python -m d2lblocks practice start layers/5`

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
# #### 參考答案

# %% [markdown]
# 狀態字典會記錄每個模組的 `_version`，載入時 `_load_from_state_dict` 會收到這個數字。
# PyTorch 自己的某些層，例如 `nn.BatchNorm2d`，也以同樣的方式使用版本。
# 在這裡，這個方法替換的是複本裡的項目，所以呼叫端的字典不會改變。
# 沒有版本的狀態字典視為版本 1。
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
# **注意。**如果權重是方陣，兩種佈局的形狀相同，只能靠版本分辨。
# 自己建立的字典會失去版本。
# 存成 safetensors 檔案也會失去版本：`load_parameters` 讀取這種檔案時，不會呼叫這個方法。
# 比較安全的做法，是為新的佈局取新的名稱，例如 `weight_out_in`。

# %% [markdown]
# ### 練習題 6
#
# 寫一個函式 `per_example(layer, X)`，不用迴圈，就為形狀是 `(n, features)` 的批次 `X` 算出每個樣本各自的梯度。
# 一個樣本 `x` 的損失是 `layer(x).square().sum()`。
# 函式回傳一個字典，把每個參數的名稱對應到它的 n 個梯度，也就是形狀為 `(n, *parameter.shape)` 的張量。
# 函式不改變這一層，也不改變參數的 `.grad`。
#
# 練習（較難）：`python -m d2lblocks practice start layers/6`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 如果一層在兩次呼叫之間不保留狀態，輸出就只取決於參數和輸入。
# `grad` 計算一個樣本的損失的梯度，`vmap` 則對批次裡的所有樣本同時這樣做。
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
# 批次的梯度是這些梯度的總和：

# %%
layer = MyLinear(5, 3)
each = per_example(layer, X)
print(each["weight"].shape)
#> torch.Size([2, 3, 5])

layer(X).square().sum().backward()
print(torch.allclose(each["weight"].sum(dim=0), layer.weight.grad))
#> True

# %% [markdown]
# ## 小結
#
# | 需求 | 寫法 |
# |---|---|
# | 寫一個層 | `nn.Module` 的子類別，定義 `forward(self, X)` |
# | 要學習的值 | `self.weight = nn.Parameter(torch.empty(outputs, inputs, device=device, dtype=dtype))` |
# | 初始值 | `reset_parameters`，由 `__init__` 呼叫 |
# | 常數或統計量 | `nn.Buffer`；可以重新計算的，加上 `persistent=False` |
# | 可以關掉的偏差 | `self.register_parameter("bias", None)` |
# | 多個參數或層 | `nn.ParameterList`, `nn.ModuleList`, `nn.ParameterDict`, `nn.ModuleDict` |
# | 印出 `__init__` 的引數 | `extra_repr` |
# | 在層裡使用另一層 | `self.linear(X)`，絕不要用 `self.linear.forward(X)` |
# | 在 autocast 之下保持 16 位元 | `F.linear` 和其他單一運算 |
# | 每個樣本各自中心化 | `X - X.mean(dim=-1, keepdim=True)` |
# | 檢查梯度 | `torch.autograd.gradcheck`，用 `float64` |
# | 檢查一層能不能編譯 | `torch.compile(layer, backend="eager", fullgraph=True)` |
# | 從第一個批次得知大小 | `LazyModuleMixin` |
#
# 函式庫的層在 `d2lblocks.layers` 裡，所有主題的表格都在速查表裡。
#
# 下一步：檔案讀寫，儲存你寫好並訓練過的層；或是裝置，在 GPU 上執行這些層。
