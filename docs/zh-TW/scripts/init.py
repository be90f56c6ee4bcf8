# %% [markdown]
# # 初始化
#
# 這是 d2lblocks「初始化」這一頁的腳本版：由頁面產生，並且執行過。
# 執行它需要 `d2lblocks`、`matplotlib` 和 `torch`。
# 把儲存庫 clone 下來，在裡面執行 `pip install .`，就會裝好 `d2lblocks`。
#
# 你把 20 層疊起來開始訓練，損失卻幾乎不動：初始權重太小，數值還沒傳到最後一層，就已經縮到將近 0。
# 或者，你寫了一個函式來設定更好的初始權重，其中一層卻還是原來的值，而且沒有任何提示。
#
# - **讀完之後你能：**為整個網路、某一層或某個張量選擇初始值；選出適合網路深度和激活函數的尺度；檢查每一層是不是都得到了你選的值。
# - **需要先會：**層與模組和參數；畫圖需要 Matplotlib。
# - **需要多少時間：**讀到函式庫中的實作之前，大約 35 分鐘；只讀這一部分，就足以進入下一個主題。
#   加上其餘內容和練習題，大約 65 分鐘。
#
# 以下的例子都從這個網路和這個批次開始：

# %%
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
X = torch.rand(2, 4)

# %% [markdown]
# ## 各層的預設初始化
#
# <dfn>初始化</dfn>（initialization）就是在訓練開始之前，為網路的參數設定值的步驟。
# PyTorch 會替你做參數初始化：各層在建立時就為自己的參數填值，延後初始化層（lazy layer）則等第一個批次來了才填。
#
# <dfn>均勻分布</dfn>（uniform distribution）記作 U(low, high)，low 和 high 之間的每個值，出現的可能性都一樣；PyTorch 的預設初始化大多用 U(-a, a)，它以 0 為中心左右對稱。
# 一層的 <dfn>fan-in</dfn>（扇入）是計算每個輸出時用到的輸入個數，對 `nn.Linear` 來說就是 `in_features`。
# 一層的 <dfn>fan-out</dfn>（扇出）是每個輸入會影響到的輸出個數，對 `nn.Linear` 來說就是 `out_features`。
#
# `nn.Linear` 的權重和偏差，都從下面這個均勻分布隨機抽取：
#
# $$ U({-a}, a), \quad a = \frac{1}{\sqrt{\mathrm{fan\_in}}} $$
#
# 一層要加總的輸入愈多，初始權重就愈小。
#
# 下面的程式碼片段檢查兩件事：絕對值都不超過 a（`bound`），而且標準差大約是 a/√3，和 U(-a, a) 相符：

# %%
def looks_uniform(values, bound):
    spread = values.std().item() / (bound / 3**0.5)
    return bool(values.abs().max() <= bound) and 0.95 < spread < 1.05


layer, bound = nn.Linear(400, 100), 400**-0.5
print(looks_uniform(layer.weight, bound), bool((layer.bias.abs() <= bound).all()))
#> True True

# %% [markdown]
# 偏差的值太少，算出來的標準差不可靠，所以程式碼片段只檢查這些值是不是都在界限之內。
#
# <dfn>常態分布</dfn>（normal distribution）記作 N(mean, std²)，是以 `mean` 為中心、標準差為 `std` 的鐘形曲線；第二個數字是變異數（variance），也就是標準差的平方。
#
# 下表列出最常用的層的預設初始化，不認識的層可以跳過。
# 這些內容出自 PyTorch 的文件，只有 `nn.MultiheadAttention` 的出自原始碼。
#
# | 層 | 權重 | 偏差 |
# |---|---|---|
# | [`nn.Linear`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html) | U(-a, a), a = 1/√`in_features` | 和權重相同 |
# | [`nn.Conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html)，以及 1d 和 3d | U(-a, a)，a = 1/√(`in_channels / groups` · 卷積核元素數) | 和權重相同 |
# | [`nn.ConvTranspose2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html)，以及 1d 和 3d | U(-a, a)，a = 1/√(`out_channels / groups` · 卷積核元素數) | 和權重相同 |
# | [`nn.RNN`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html), `nn.LSTM`, `nn.GRU` | U(-a, a), a = 1/√`hidden_size` | 和權重相同 |
# | [`nn.MultiheadAttention`](https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html) | `in_proj_weight`：`xavier_uniform_`（見下文）；`out_proj.weight`：和 `nn.Linear` 相同 | 0 |
# | [`nn.Embedding`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html) | N(0, 1)；`padding_idx` 那一列是 0 | 無 |
# | [`nn.LayerNorm`](https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html), `nn.BatchNorm2d`, `nn.GroupNorm` | 1 | 0 |
# | [`nn.RMSNorm`](https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html) | 1 | 無 |
#
# 卷積核元素就是卷積核裡的數字：5 × 5 的卷積核有 25 個。
#
# 嵌入（embedding）為每個 token 各存一列數字，例如每個詞一列。
# 嵌入的<dfn>填充索引</dfn>（padding index，`padding_idx`）是一個特殊 token 的索引；較短的序列後面會補上這個 token，直到同一批次的序列都一樣長。
# 這個 token 的那一列全是零，不參與訓練。
#
# 指定 `groups` 時，卷積會把通道分成這麼多組，每個輸出只用到自己那一組的輸入。
# `in_proj_weight` 把三個權重合成一個，所以輸出的個數是輸入的三倍。
# 接下來的程式碼片段檢查表中大多數的列，可以跳過：

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
# `layer.reset_parameters()` 會重新抽取預設的初始值，前提是這一層有這個方法。

# %% [markdown]
# ### 這些預設值的由來
#
# 初次閱讀可以跳過：這一節說明，PyTorch 給線性層和卷積的預設值，為什麼可能比你預期的小；其中會用到下一節才定義的增益（gain）。
#
# 這些預設值比 PyTorch 還早出現。
# 根據 PyTorch 一位作者的說法，[出處](https://github.com/pytorch/pytorch/issues/5168)是 *Efficient BackProp*（LeCun、Bottou、Orr 和 Müller，1998）。
# 在那篇論文裡，1/√fan_in 是標準差；在 PyTorch 裡，它是界限，所以標準差縮小為 √3 分之一。
# PyTorch 為了[向後相容](https://github.com/pytorch/pytorch/issues/1667)，一直沿用這些值。
#
# PyTorch 的原始碼把這個預設值寫成 `kaiming_uniform_(weight, a=math.sqrt(5))`。
# 這裡的 `a` 不是上面的界限，而是 leaky ReLU 的斜率（slope）：leaky ReLU 遇到負數時，不是換成 0，而是乘上這個斜率。
# leaky ReLU 的增益是 √(2 / (1 + slope²))，在這裡是 1/√3。
# 界限是 √3 乘以增益，再除以 √fan_in，正好等於 [1/√fan_in](https://github.com/pytorch/pytorch/issues/57109)。
#
# 對於使用 ReLU 的深層網路，預設值太小，後果見激活值的消失與爆炸。

# %% [markdown]
# ## 初始化單一張量：`torch.nn.init` 的函式
#
# 要給某個張量新的值，就把它傳給 [`torch.nn.init`](https://docs.pytorch.org/docs/stable/nn.init.html) 的函式。
# 函式會在 `torch.no_grad()` 之下原地覆寫這些值，並回傳同一個張量。

# %%
print(nn.init.constant_(net[2].bias, 0.5))
#> Parameter containing:
#> tensor([0.5000], requires_grad=True)
print(nn.init.zeros_(net[0].weight) is net[0].weight)
#> True

# %% [markdown]
# 使用 `normal_` 和 `uniform_` 時，隨機權重的尺度（典型的大小）由你自己決定。
# 另外有兩類函式，會根據權重的形狀算出尺度。
#
# <dfn>Xavier 初始化</dfn>（也稱為 Glorot 初始化）根據 fan-in 與 fan-out 的和，算出隨機權重的尺度。
# 取兩者的和是一種折衷：如果尺度只由 fan-in 決定，數值在前向傳播中會維持大小；如果只由 fan-out 決定，梯度在反向傳播中會維持大小。
# <dfn>Kaiming 初始化</dfn>（也稱為 He 初始化）根據 fan-in 和激活函數，算出隨機權重的尺度，讓數值在使用 ReLU 的深層網路裡維持大小。
#
# 激活函數會改變數值的大小。
# 例如，如果數值以 0 為中心對稱分布，經過 ReLU 之後，數值平方的平均值會減半。
# 激活函數的<dfn>增益</dfn>（gain）是隨機權重要乘上的倍數，讓數值經過激活函數之後仍然維持大小；ReLU 的增益是 √2。
#
# | 函式 | 分布 | 用途 | 出處 |
# |---|---|---|---|
# | `uniform_`<br>`normal_` | U(a, b)，預設是 U(0, 1)<br>N(mean, std²)，預設是 N(0, 1) | 自己決定尺度的權重 | |
# | `trunc_normal_` | N(mean, std²)；超出 [a, b] 的值會重新抽取 | 嵌入、transformer | |
# | `zeros_`, `ones_`<br>`constant_` | 單一的值 | 偏差；正規化層的縮放係數；殘差區塊 `X + f(X)` 的最後一層（練習題 4） | |
# | `xavier_uniform_` | U(-a, a)，a = gain · √(6 / (fan_in + fan_out)) | tanh；注意力 | [Glorot 與 Bengio，2010](https://proceedings.mlr.press/v9/glorot10a.html) |
# | `xavier_normal_` | N(0, std²), std = gain · √(2 / (fan_in + fan_out)) | 和 `xavier_uniform_` 相同 | 同一篇論文 |
# | `kaiming_uniform_` | U(-a, a)，a = gain · √(3 / fan) | ReLU 和類似的激活函數 | [He 等人，2015](https://arxiv.org/abs/1502.01852) |
# | `kaiming_normal_` | N(0, std²), std = gain / √fan | 和 `kaiming_uniform_` 相同 | 同一篇論文 |
# | `orthogonal_` | 各列長度為 `gain`，彼此垂直；如果列比行多，則改為各行 | 遞迴權重；非常深的網路 | [Saxe 等人，2013](https://arxiv.org/abs/1312.6120) |
# | `sparse_` | N(0, std²)；每一行裡，比例為 `sparsity` 的元素是 0 | 每個輸入只影響少數輸出的層 | [Martens，2010](https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf) |
# | `eye_`<br>`dirac_` | 矩陣形式的恆等映射<br>卷積形式的恆等映射 | 一開始要原封不動傳遞輸入的層 | |
#
# 在 `kaiming_*` 這幾列裡，`fan` 是 fan-in；加上 `mode="fan_out"`，則是 fan-out。
#
# [`nn.init.calculate_gain`](https://docs.pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain) 回傳激活函數的增益；對 tanh，它回傳 5/3（請看實際效果）。
# `xavier_*` 函式以數字接收增益，預設是 1。
# `kaiming_*` 函式以 `nonlinearity` 接收激活函數的名稱，預設使用 ReLU 的增益。
# 下面的程式碼片段拿其中兩個函式和公式比對：

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
# **注意。**`trunc_normal_` 的上下限預設是 -2 和 2。
# 這是數字本身，不是 `std` 的倍數：用 `std=0.02` 時，上下限遠在 100 個標準差之外，所以什麼也不會截掉。

# %% [markdown]
# ### fan-in 與 fan-out：哪個維度是哪個
#
# 初次閱讀可以跳過：只有在你寫的層自己存放權重時，才需要知道。
#
# PyTorch 存放線性層的權重時，形狀是 `(out_features, in_features)`，所以 fan-in 是**第二個**大小。
#
# （圖：nn.Linear(4, 3) 的權重畫成矩陣，三個輸出各一列，四個輸入各一行。
# 醒目標示的一列有四個權重，也就是 fan-in。
# 虛線框起來的一行有三個權重，也就是 fan-out。）
#
# 對於有 k 個卷積核元素的卷積，PyTorch 把 k · `in_channels / groups` 當作 fan-in，把 k · `out_channels` 當作 fan-out。
#
# 如果你自己的層計算的是 `X @ weight`，權重的形狀就是 `(in, out)`，`torch.nn.init` 的函式會把 fan-out 當成 fan-in。
# Xavier 初始化只用到兩者的和，所以尺度仍然正確；Kaiming 初始化的尺度就錯了。
# 修正方法有兩種：傳入 `mode="fan_out"`；或者把值填進 `weight.T`，它是轉置後的 view，和權重使用同一份記憶體。

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
# 第一個標準差是應有大小的十倍；兩種修正方法都得到 √(2 / 800) = 0.05。
#
# `nn.ConvTranspose2d` 的權重以 `(in, out / groups, ...)` 的形狀存放。
# 沒有分組，而且步幅是 1 時，用 `mode="fan_out"` 就能得到正確的尺度。
# 其他情況都要自己數一個輸出用到幾個輸入。
# 例如步幅是 2 時，相鄰的輸入在輸出上相隔兩格，所以 4 × 4 的卷積核只有 2 · 2 個元素會影響同一個輸出，fan-in 是 `in_channels` 的 4 倍。

# %% [markdown]
# ### 是標準差，不是變異數
#
# 論文常把常態分布寫成 N(mean, variance)，第二個數字是變異數，但 `normal_` 要的是標準差。
# 如果論文寫的是 N(0, 0.01)，就要傳入 0.01 的平方根：

# %%
print(f"{nn.init.normal_(w, 0, 0.01).std().item():.2f}")
#> 0.01
print(f"{nn.init.normal_(w, 0, 0.01**0.5).std().item():.1f}")
#> 0.1

# %% [markdown]
# ### 設定自己的值
#
# 要設定特定的值，就在 `torch.no_grad()` 之下指派，做法和參數那一頁相同：

# %%
with torch.no_grad():
    net[0].weight[0] = torch.tensor([1.0, 2.0, 3.0, 4.0])  # one row
    net[0].bias += 1  # add 1 to every number
print(net[0].weight[0].detach())
#> tensor([1., 2., 3., 4.])

# %% [markdown]
# ## 初始化整個網路：`net.apply`
#
# 網路一大，初始化權重時，你不會想一層一層手動填值。
# `net.apply(f)` 會對網路的每個模組各呼叫一次 `f`：

# %%
done = net.apply(lambda module: print(type(module).__name__))
#> Linear
#> ReLU
#> Linear
#> Sequential
print(done is net)
#> True

# %% [markdown]
# `apply` 先對模組的直屬子模組呼叫 `f`，再輪到模組自己，所以網路排在最後。
# 它會回傳網路。
#
# `f` 會收到各種模組，包括激活函數和容器，所以要先檢查收到的是什麼：

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
# 兩個線性層都有了新的權重，偏差都是 0。
# （標準差是 0.01 時，超過 0.1 的值幾乎不可能出現。）
#
# **注意。**如果函式檢查的類別不對，就什麼也不會做，也沒有任何提示：請看這個例子。

# %% [markdown]
# ### 用不同的方式初始化各層
#
# 也可以只對網路的一部分，或者只對其中一層呼叫 `apply`：

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
# 要依名稱挑選參數，就用迴圈走訪 `named_parameters()`。
# 下面的迴圈為每個偏差填值：

# %%
for name, parameter in net.named_parameters():
    if name.endswith("bias"):
        nn.init.zeros_(parameter)
print(net[2].bias.tolist())
#> [0.0]

# %% [markdown]
# ### 從自訂的分布抽取
#
# 初次閱讀可以跳過：這一節說明如何做出 `torch.nn.init` 沒有的分布。
#
# 假設你希望每個權重來自 U(5, 10) 和 U(-10, -5) 的機率各是 1/4，等於 0 的機率是 1/2。
# 這就等於從 U(-10, 10) 抽取，再把 -5 和 5 之間的值都換成 0：兩邊各剩下整個範圍的四分之一。

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
# ## 權重為什麼不能全部相等：對稱性
#
# 如果一個隱藏層的所有神經元，權重都相同，偏差也相同，它們算出的值就全都一樣。
# 如果這些輸出在下一層的權重也都相等，`backward()` 就會給這些神經元相同的梯度。
# 於是每訓練一步，它們還是彼此相等：

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
# 十步之後，梯度的每一列都相等，權重的每一列也都相等。
# 網路不管訓練多久，這樣的八個神經元都只抵得上一個。
#
# 一層的神經元之間有<dfn>對稱性</dfn>（symmetry），是指它們的權重相等，得到的梯度也相等，所以訓練永遠不會讓它們變得不同。
# 要打破對稱性，就隨機抽取這個隱藏層或下一層的權重。
# 這樣，偏差就可以從 0 開始。

# %% [markdown]
# ## 各種分布的形狀
#
# 下面的程式碼片段用六種方式，為有 256 個輸出和 256 個輸入的權重填值，並且各畫一張直方圖。
# 虛線位於 ±1/√256，也就是 `nn.Linear` 的界限。
#
# <dfn>亂數產生器</dfn>（random number generator）是產生亂數的物件；除非你傳入自己的產生器，否則 PyTorch 會用裝置的預設產生器。
# <dfn>亂數種子</dfn>（seed）是亂數產生器起步用的數字：亂數種子相同，就會以相同的順序產生相同的亂數。
# `torch.manual_seed(0)` 會設定所有裝置的預設產生器的亂數種子，所以每次執行都抽到同樣的權重。

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
# （圖：六張直方圖，座標軸相同。
# nn.Linear 是平坦的一塊，介於負 1/16 和正 1/16 之間。
# std 為 0.01 的 normal_ 是 0 處的一根尖針，頂端被圖的邊緣截掉。
# xavier_uniform_ 是平坦的一塊，寬度是第一張的 1.7 倍。
# xavier_normal_ 和 orthogonal_ 是同樣寬的鐘形曲線。
# kaiming_normal_ 是鐘形曲線，寬度是前面那兩張的 1.4 倍。）
#
# `orthogonal_` 看起來和 `xavier_normal_` 一樣，因為直方圖看不出各個值之間的關係；其實只有 `orthogonal_` 的各列是彼此垂直的。

# %% [markdown]
# ## 激活值的消失與爆炸
#
# 數值每經過一層，大小就乘上某個倍數。
# 一個 1/2 沒什麼影響，二十個乘起來卻大約只有 10⁻⁶。
# <dfn>激活值消失</dfn>（vanishing activations）是指層的輸出一層比一層小，最後幾乎是 0。
# <dfn>激活值爆炸</dfn>（exploding activations）是指層的輸出一層比一層大，最後大到無法訓練。
#
# 接下來的程式碼片段讓 256 個隨機輸入通過 20 個寬度為 256 的層，每層後面接一個 ReLU。
# 它用均方根（root mean square）衡量每層之後數值的大小，也就是把所有的值平方，取平均，再開平方根。
# 這裡用 `float64`，因為有些平方太小，`float32` 無法表示。

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
# 只有 `kaiming_normal_` 讓激活值維持大小。
# 使用 `nn.Linear` 的預設權重時，激活值會縮小到 2 · 10⁻⁸。
# `diagnose` 會把這個問題回報為 `scale`。
#
# 除了隨機造成的差異，這些數字都可以用公式解釋。
# 每個輸出是 n 個乘積的和，每個乘積是一個權重乘以一個輸入，n 是層的寬度。
# 權重彼此獨立，平均值是 0，變異數是 v，所以不同的兩項相乘，平均起來是 0，輸出的均方值（mean square，平方的平均值）就是輸入的 n · v 倍。
# 輸出有一半是負數，ReLU 把它們換成 0，均方值因此減半。
# 所以每一層都會把均方值乘上 n · v / 2：
#
# | 初始化 | 均方值的倍數 |
# |---|---|
# | Kaiming: v = 2 / n | 1 |
# | Xavier: v = 2 / (n + n) | 1/2 |
# | `nn.Linear`: v = 1 / (3n) | 1/6 |
# | std 0.01, n = 256 | 0.0128 |
#
# 因此經過 20 層，均方值會乘上這個倍數的 20 次方，均方值的平方根則乘上這個倍數的 20 / 2 次方：

# %%
for factor in (1, 1 / 2, 1 / 6, 256 * 0.01**2 / 2):
    print(f"{factor ** (20 / 2):.0e}")
#> 1e+00
#> 1e-03
#> 2e-08
#> 1e-19

# %% [markdown]
# <dfn>梯度消失</dfn>（vanishing gradients）是指層輸出的梯度在往回傳的路上，一層比一層小。
# <dfn>梯度爆炸</dfn>（exploding gradients）是指層輸出的梯度在往回傳的路上，一層比一層大。
# 在這些網路裡，每一層讓梯度和激活值的大小乘上同樣的倍數。
# 權重的梯度，等於這一層的輸入，乘以傳到這一層輸出處的梯度。
# 使用預設權重時，前面幾層的輸入大，梯度極小；後面幾層的輸入極小，梯度大。
# 所以兩者的乘積在每一層都差不多小：

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
# 使用 Kaiming 初始化時，梯度會超過 100，只是因為程式碼片段把 256 個樣本的所有輸出加在一起。
#
# 倍數太大也不好。
# 用 `std=0.2`，激活值會超過一百萬：

# %%
print(scales(lambda weight: nn.init.normal_(weight, std=0.2))[-1] > 1e6)
#> True

# %% [markdown]
# 有兩種網路可以沿用預設值：一種是淺層網路，只有少數幾個倍數相乘；另一種是有正規化層的網路，每個正規化層都會重設數值的尺度。

# %% [markdown]
# ### 動手試試：增益、激活函數與深度
#
# 你的激活函數需要多大的增益？
# 在這裡，權重的標準差是增益 / √n，n 是 fan-in。
# 請在瀏覽器裡設定增益、激活函數和深度，看看激活值和梯度怎麼變化；下面的表格列出圖中的數字。
#
# 同一組數字，列成兩張表：
#
# 經過這麼多層之後，激活值的大小：
#
# | 激活函數 | 增益 | 1 | 2 | 5 | 10 | 20 | 50 |
# |---|---|--:|--:|--:|--:|--:|--:|
# | 無 | 0.8 | 8.0e-01 | 6.4e-01 | 3.3e-01 | 1.1e-01 | 1.2e-02 | 1.4e-05 |
# | 無 | 1.0 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | 無 | √2 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
# | 無 | 1.67 | 1.7e+00 | 2.8e+00 | 1.3e+01 | 1.7e+02 | 2.7e+04 | 1.2e+11 |
# | 無 | 2.0 | 2.0e+00 | 4.0e+00 | 3.2e+01 | 1.0e+03 | 1.0e+06 | 1.1e+15 |
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
# 往回經過這麼多層之後，梯度的大小：
#
# | 激活函數 | 增益 | 1 | 2 | 5 | 10 | 20 | 50 |
# |---|---|--:|--:|--:|--:|--:|--:|
# | 無 | 0.8 | 8.0e-01 | 6.4e-01 | 3.3e-01 | 1.1e-01 | 1.2e-02 | 1.4e-05 |
# | 無 | 1.0 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 | 1.0e+00 |
# | 無 | √2 | 1.4e+00 | 2.0e+00 | 5.7e+00 | 3.2e+01 | 1.0e+03 | 3.4e+07 |
# | 無 | 1.67 | 1.7e+00 | 2.8e+00 | 1.3e+01 | 1.7e+02 | 2.7e+04 | 1.2e+11 |
# | 無 | 2.0 | 2.0e+00 | 4.0e+00 | 3.2e+01 | 1.0e+03 | 1.0e+06 | 1.1e+15 |
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
# 這些設定值得一試：
#
# - ReLU，增益 √2：激活值和梯度都維持大小，因為 ReLU 在每一層都會去掉一半的均方值；這就是 Kaiming 初始化。
# - tanh，增益 1：數值每一層都縮小，起初很快，後來變慢。
#   增益 5/3（1.67）讓激活值維持在 0.65，但梯度會慢慢變大，經過 20 層變成 5 倍。
#   增益 2 會讓人誤判：激活值看起來沒問題，因為 tanh 永遠不超過 1，但梯度會爆炸。
# - 沒有激活函數：不管網路多深，都只有增益正好是 1 才能維持大小。
#
# 這些數字是非常寬的層的結果，由圖背後的程式碼算出。
#
# **初次閱讀到這裡就可以了。**如果你想知道哪些參數填了值、想找問題的修正方法，或者想得到可以重現的結果，再往下讀。

# %% [markdown]
# ## 函式庫中的實作
#
# 要使用這一頁的函式，請把本站的儲存庫 clone 下來，在裡面執行 `pip install .`，然後從 `d2lblocks.init` 匯入。
#
# 這些函式的原始碼，不含說明字串（docstring）：
#
# *函式庫的原始碼，出自 `d2lblocks/init.py`：*

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
# 從這裡開始，這一頁改用這些函式，不再用前面自己定義的。
# 它們適用於 `nn.Linear` 和它的子類別（延後初始化層要等第一個批次之後），有沒有偏差都可以；其中會取用亂數的函式，都接受產生器。
# `hardshrink_uniform_` 為一個張量填值，方式和 `my_init` 為線性層的權重填值時相同。
#
# 使用 `weight_norm` 之類的參數化（parametrization）時，每次存取權重，都會重新從其他參數算出來，填進去的值就沒了。
# 所以這些函式不接受這樣的權重：

# %%
try:
    nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)).apply(init_42)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: `weight` is not an nn.Parameter

# %% [markdown]
# ### `init_by_type`
#
# `net.apply` 不會告訴你它處理到哪些層。
# 使用 `init_by_type` 時，每一種層各給一條規則；它為規則指定的參數填值，並報告網路裡每一個參數的情況：

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
# 批次正規化層的參數 `1.weight` 和 `1.bias` 沒有填值。
#
# 規則裡可以用任何為張量填值的函式；函式的其他引數，用 `functools.partial` 設定。
# 規則的運作方式如下：
#
# - 每一層依照自己類別的規則；如果沒有，就依照最接近的基底類別的規則。
# - 由好幾層共享的張量，只填一次。
# - 沒有規則指定的參數，保留原來的值。
# - 如果嵌入有 `padding_idx`，填值之後會把那一列重新設成 0。
# - `skip=("head",)` 會略過 `head` 這一層，以及裡面的所有內容。
#
# 如果有規則對應不到任何一層，`init_by_type` 會引發錯誤，網路則維持不變：

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
# 如果網路太大，你的機器放不下，就在 meta 裝置上建立網路，用來檢查規則：

# %%
with torch.device("meta"):
    large = nn.Sequential(
        nn.Linear(100_000, 100_000), nn.ReLU(), nn.Linear(100_000, 1)
    )
print(init_by_type(large, {nn.Linear: rules[nn.Linear]})["2.bias"])
#> zeros_

# %% [markdown]
# **代價。**為了在出錯之後能夠全部還原，`init_by_type` 在完成之前，會一直保留一份網路所有值的複本。
#
# <code>init_by_type</code> 的原始碼，不含說明字串（docstring）和輔助函式：

# %%
from d2lblocks.init import _fill, _plan, _skipped, _text

# %% [markdown]
# *函式庫的原始碼，出自 `d2lblocks/init.py`：*

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
# ## 可重現性
#
# 你設定了亂數種子，希望能重現結果；可是網路只改了一點點，幾乎所有的權重就都不一樣了。
# 除非你傳入產生器，否則亂數都來自 PyTorch 的預設產生器，所以一層的值，取決於在這之前取用過的所有亂數。
# 如果在最前面加一層，後面每一層的值都會不同：

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
# 自己建立的 [`torch.Generator`](https://docs.pytorch.org/docs/stable/generated/torch.Generator.html) 會產生自己的一串亂數。
# `torch.nn.init` 裡會取用亂數的函式，全都接受產生器；傳入之後，就不會動到預設產生器。
# （`sparse_` 仍然用預設產生器決定零的位置。）

# %%
def filled(seed):
    generator = torch.Generator().manual_seed(seed)
    return nn.init.normal_(torch.empty(3), generator=generator)


print(torch.equal(filled(0), filled(0)), torch.equal(filled(0), filled(1)))
#> True False

# %% [markdown]
# `net.apply` 只會把模組傳給它的函式。
# 想把產生器也傳進去，就用 `functools.partial(init_normal, generator=...)`，或者改用 `init_by_type`，它有這個引數：

# %%
def seeded(seed):
    net, generator = nn.Linear(4, 2), torch.Generator().manual_seed(seed)
    init_by_type(net, {nn.Linear: rules[nn.Linear]}, generator=generator)
    return net.weight


print(torch.equal(seeded(0), seeded(0)), torch.equal(seeded(0), seeded(1)))
#> True False

# %% [markdown]
# 就算亂數種子相同，還有兩件事會改變值：張量的大小和裝置。
#
# 在 CPU 上，`normal_` 和 `torch.randn` 產生 16 個以上的值時，會用另一種演算法，所以較大的張量，開頭不一定和較小的張量相同：

# %%
torch.manual_seed(0)
narrow = torch.randn(15)
torch.manual_seed(0)
wide = torch.randn(16)
print(torch.equal(narrow, wide[:15]))
#> False

# %% [markdown]
# GPU 有自己的演算法，所以相同的亂數種子在 GPU 上會得到不同的值。
# 要在所有裝置上得到相同的值，就先在 CPU 上建立網路，然後再移動：
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
# ## 圖背後的程式碼
#
# 初次閱讀可以跳過：這一節計算增益、激活函數與深度的那張圖。
#
# 在非常寬的層裡，每個輸出都是許多隨機項的和，所以輸出近似常態分布。
# 這段程式碼不抽亂數，而是用 2,000 個值 `z`，以及每個值的機率 `p`。
# 在每一層，`activation(gain * size * z)` 算出輸出，輸出的均方根就是下一層數值的大小。
# 梯度則乘上增益，再乘上激活函數斜率的均方根。

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
# 使用 ReLU、增益為 1 時，寬度為 256 的網路在 20 層以內，和這些數字的差距都在 30% 之內：

# %%
measured = scales(nn.init.xavier_normal_)
computed, _ = wide_scales(torch.relu, gain=1.0, depth=20)
print(all(0.7 < a / b < 1.3 for a, b in zip(measured, computed[1:])))
#> True

# %% [markdown]
# ## 出錯的時候

# %% [markdown]
# ### `net.apply(f)` 執行了，權重卻沒有改變
#
# 你套用了初始化函式，有些層卻保留原來的權重，而且沒有任何提示。
# 函式檢查的是 `type(module) == nn.Linear`，遇到 `nn.Linear` 的任何子類別，這個條件都不成立。
# 延後初始化層在第一個批次之前，有自己的類別。
# `nn.MultiheadAttention` 的輸出層 `out_proj`，則永遠是某個子類別的實例：

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
# 三個線性層當中，只有 `0` 填了值。
# `in_proj_weight` 屬於 `nn.MultiheadAttention` 本身，不屬於任何線性層。
#
# 修正方法：用 `isinstance` 檢查，並且在第一個批次之後才呼叫 `apply`。
# 至於 `in_proj_weight`，請用規則：

# %%
net.apply(init_42)
print([name for name, parameter in net.named_parameters() if (parameter == 42).all()])
#> ['0.weight', '1.weight', '2.out_proj.weight']
attention = {"in_proj_weight": nn.init.xavier_uniform_}
report = init_by_type(net, {nn.MultiheadAttention: attention})
print([name for name, function in report.items() if function])
#> ['2.in_proj_weight']

# %% [markdown]
# 下次如何及早發現：填入一個認得出來的值，例如 42；或者使用 `init_by_type`，它會報告填了哪些參數。

# %% [markdown]
# ### `Attempted to use an uninitialized parameter`
#
# 你初始化含有延後初始化層的網路，函式卻引發錯誤。
# 用 `isinstance` 檢查，找得到延後初始化層，但在第一個批次之前，它的參數還沒有形狀：

# %%
try:
    nn.LazyLinear(8).apply(init_42)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# 修正方法：先試跑一次，也就是讓一個批次通過網路。
# `apply_init` 會先試跑，再呼叫 `net.apply(init)`：

# %%
from d2lblocks import apply_init

print(apply_init(nn.LazyLinear(1), torch.rand(1, 2), init=init_42).weight)
#> Parameter containing:
#> tensor([[42., 42.]], requires_grad=True)

# %% [markdown]
# 下次如何及早發現：初始化之前，先檢查套件的 `uninitialized_names(net)` 是不是回傳空的串列。

# %% [markdown]
# ### `Fan in and fan out can not be computed`
#
# 你用迴圈初始化所有參數。
# `xavier_uniform_` 需要 fan-in 和 fan-out，但偏差只有一個維度，兩者都沒有：

# %%
try:
    for parameter in nn.Linear(4, 8).parameters():
        nn.init.xavier_uniform_(parameter)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Fan in and fan out can not be computed for tensor with fewer than 2 dimensions

# %% [markdown]
# 修正方法：依照維度的個數選擇函式，或者依照層的型別和參數的名稱來選。

# %%
for parameter in nn.Linear(4, 8).parameters():
    if parameter.dim() >= 2:
        nn.init.xavier_uniform_(parameter)
    else:
        nn.init.zeros_(parameter)

# %% [markdown]
# ### `'NoneType' object has no attribute 'zero_'`
#
# 你想為某一層的偏差填值，但這一層建立時就沒有偏差。
# 這一層還是有屬性 `bias`，只不過值是 `None`：

# %%
try:
    nn.init.zeros_(nn.Linear(4, 8, bias=False).bias)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'NoneType' object has no attribute 'zero_'

# %% [markdown]
# 修正方法：填值之前，先檢查這一層有沒有偏差。

# %%
layer = nn.Linear(4, 8, bias=False)
if layer.bias is not None:
    nn.init.zeros_(layer.bias)

# %% [markdown]
# ### `Unsupported nonlinearity gelu`
#
# 你想取得某個激活函數的增益，但 PyTorch 不認得它。
# 在常見的激活函數當中，`calculate_gain` 和 `kaiming_*` 函式只認得 sigmoid、tanh、ReLU、leaky ReLU 和 SELU：

# %%
try:
    nn.init.kaiming_normal_(torch.empty(8, 8), nonlinearity="gelu")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Unsupported nonlinearity gelu

# %% [markdown]
# 修正方法：淺層網路用 ReLU 的增益。
# 深層網路則自己計算增益，再用標準差 `gain / √fan_in` 抽取權重。

# %%
print(nn.init.kaiming_normal_(torch.empty(8, 8), nonlinearity="relu").shape)
#> torch.Size([8, 8])

# %% [markdown]
# ### 隱藏神經元一直相同：常數權重
#
# 你的網路學得起來，但不比只有一個隱藏神經元的網路好。
# 某個隱藏層和下一層都填了常數，連偏差也是，所以所有隱藏神經元得到的梯度都相同（原因）：

# %%
hidden, out = nn.Linear(4, 3), nn.Linear(3, 1)
pair = nn.Sequential(hidden, nn.Tanh(), out).apply(init_constant)
pair(X).sum().backward()
print(bool((hidden.weight.grad == hidden.weight.grad[0]).all()))
#> True

# %% [markdown]
# 修正方法：隨機抽取權重。

# %%
pair.apply(init_normal).zero_grad()
pair(X).sum().backward()
print(bool((hidden.weight.grad == hidden.weight.grad[0]).all()))
#> False

# %% [markdown]
# 下次如何及早發現：像上面那樣，檢查權重梯度的各列是不是不同。
# `diagnose` 會把這個問題回報為 `equal-units`。

# %% [markdown]
# ### 各層的初始權重都相同：亂數種子設定太多次
#
# 你在為層填值的函式裡設定亂數種子。
# 這樣一來，產生器每到一層就從頭開始，形狀相同的層會得到相同的值：

# %%
def init_seeded(module):
    torch.manual_seed(0)
    init_normal(module)


net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)).apply(init_seeded)
print(torch.equal(net[0].weight, net[1].weight))
#> True

# %% [markdown]
# 用 `copy.deepcopy` 做出的同一層的複本，初始權重也相同。
#
# 修正方法：只設定一次亂數種子，放在建立網路或填值之前。

# %%
torch.manual_seed(0)
net.apply(init_normal)
print(torch.equal(net[0].weight, net[1].weight))
#> False

# %% [markdown]
# 下次如何及早發現：用 `torch.equal` 比較形狀相同的兩層。

# %% [markdown]
# ### 權重過大或過小：變異數與標準差
#
# 你從論文或其他程式碼裡拿了一個數字，例如 0.01。
# 它是變異數，你卻當成標準差傳入；或者正好相反。
#
# 修正方法：傳入標準差，說明見是標準差，不是變異數。
#
# 下次如何及早發現：為權重填值之後，算一下它的標準差。

# %%
print(f"{nn.Linear(400, 100).apply(init_normal).weight.std().item():.2f}")
#> 0.01

# %% [markdown]
# ### `padding_idx` 那一列不是零
#
# 你初始化了嵌入，從此以後，填充（padding）就會改變網路的結果。
# `nn.Embedding` 建立時會把 `padding_idx` 那一列設成 0，但 `torch.nn.init` 的每個函式都會覆寫整個權重。
# 訓練也修不好那一列，因為它的梯度永遠是 0：

# %%
embedding = nn.Embedding(4, 3, padding_idx=0)
nn.init.normal_(embedding.weight)
print(bool(embedding(torch.tensor([0])).any()))
#> True

# %% [markdown]
# 修正方法：把那一列重新設成 0，或者用 `init_by_type` 為嵌入填值。

# %%
with torch.no_grad():
    embedding.weight[embedding.padding_idx] = 0
init_by_type(embedding, {nn.Embedding: {"weight": nn.init.normal_}})
print(bool(embedding(torch.tensor([0])).any()))
#> False

# %% [markdown]
# 下次如何及早發現：把填充索引傳給嵌入，檢查結果是不是 0。
# `diagnose` 會把這個問題回報為 `padding-row`。

# %% [markdown]
# ## 練習題

# %% [markdown]
# ### 練習題 1
#
# `net.apply(init_linear)` 應該用 `xavier_uniform_` 為每個線性層的權重填值，如果有偏差，就填入 0。
# 但它檢查的是 `type(module) == nn.Linear`，所以會跳過 `out_proj`，也就是 `nn.MultiheadAttention` 裡的線性層，而且沒有任何提示；遇到用 `bias=False` 建立的層，它還會出錯。
# 請修好 `init_linear`。
#
# 練習（簡單）：`python -m d2lblocks practice start init/1`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 如果層的類別衍生自 `nn.Linear`，`isinstance` 也成立；沒有偏差的層，偏差的值是 `None`。
#
# *init/1_linear.py*

# %%
def init_linear(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

# %% [markdown]
# ### 練習題 2
#
# 寫一個函式 `four(size)`，回傳內含四個張量的字典，每個張量都由 `torch.nn.init` 裡和鍵同名的函式填值。
# `"orthogonal_"`：形狀為 `(size, size)` 的矩陣，會把任何向量的長度變成兩倍。
# `"trunc_normal_"`：來自 N(0, 0.02²) 的 1,000 個值，超出兩個標準差的要重新抽取。
# `"dirac_"`：2d 卷積的權重，輸入和輸出各有 `size` 個通道，卷積核大小為 3；這個卷積會回傳它的輸入。
# `"sparse_"`：形狀為 `(10, size)` 的矩陣，每一行有八個零。
#
# 練習（簡單）：`python -m d2lblocks practice start init/2`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# `trunc_normal_` 的上下限是數字本身，所以兩個標準差就是 0.04；`sparsity` 是零所占的比例。
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
# ### 練習題 3
#
# 你的網路使用 GELU，但 `nn.init.calculate_gain` 不認得它。
# 寫一個函式 `gain(activation)`，對任何逐元素的激活函數，以數字回傳它的增益，誤差小於 1%。
# 如果 z 抽自 N(0, 1)，增益乘以 `activation(z)` 的均方值是 1。
#
# 練習（中等）：`python -m d2lblocks practice start init/3`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 激活函數 f 把均方值從 1 變成 f(z)² 的平均值。
# 增益要抵銷這個改變，所以是 1 除以這個平均值的平方根。
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
# 在 20 個使用 GELU 的非常寬的層裡，用 GELU 的增益，數值會增為四倍；用 ReLU 的增益，則縮小到 4%。
# 用 GELU 的增益還是會變大，是因為正確的增益取決於數值的大小，而我們算的增益只對大小 1 正確。

# %% [markdown]
# ### 練習題 4
#
# 殘差區塊計算 `X + f(X)`；在這裡，`f` 是兩個線性層，中間有一個 ReLU。
# 請只改變初始值，讓新的區塊回傳的正好是它的輸入，而訓練幾步之後，所有參數都會改變。
#
# 練習（中等）：`python -m d2lblocks practice start init/4`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 如果 `f` 最後一層的權重和偏差都是 0，區塊就會原封不動地傳遞 `X`。
# 這個權重的梯度並不是 0：它等於這一層的輸入，乘以後面的區塊傳來的梯度，而這個梯度是沿著加法 `X + f(X)` 傳回來的。
# 第一步之後，這一層就不再是 0，`f` 的另一層也就有了梯度。
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
# 如果 `f` 的兩層一開始都是 0，兩個權重的梯度就會一直是 0。

# %% [markdown]
# ### 練習題 5
#
# 寫一個函式 `init_gpt2(net)`，用 GPT-2 的方式初始化 transformer，並回傳它。
# `net` 是由新的 `nn.TransformerEncoderLayer` 區塊組成的 `nn.Sequential`。
# 所有線性層的權重，以及 query、key 和 value 的權重，都從 N(0, 0.02²) 抽取，它們的偏差都設成 0。
# 每個區塊有兩個殘差分支：一個是注意力，另一個是兩個線性層。
# 對於每個分支最後一層的權重，標準差要除以 √N，N 是網路裡分支的個數。
# 正規化層保留原來的值。
#
# 練習（較難）：`python -m d2lblocks practice start init/5`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 兩個分支分別以 `self_attn.out_proj` 和 `linear2` 結尾，這一點只能從名稱看出來。
# query、key 和 value 的權重是 `nn.MultiheadAttention` 自己的參數，所以給線性層的規則會漏掉它們。
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
# ### 練習題 6
#
# 同事在網路最前面加了一層，你靠亂數種子固定下來的結果就全都變了。
# 寫一個函式 `init_by_name(net, seed)`，用 `kaiming_normal_` 為至少有兩個維度的參數填值，其餘的填入 0，並回傳網路。
# 隨機的值只取決於亂數種子和參數的名稱：換了亂數種子或名稱，值就不同；重新執行 Python，值還是相同。
# PyTorch 的預設產生器要維持原狀。
#
# 練習（較難）：`python -m d2lblocks practice start init/6`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 每個參數都有自己的產生器，產生器的亂數種子由你給的亂數種子和參數的名稱算出來。
# `zlib.crc32` 在每個行程裡都回傳同樣的數字；Python 對字串的 `hash` 則不會。
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
# ## 小結
#
# | 需求 | 寫法 |
# |---|---|
# | `nn.Linear` 的預設值 | 什麼都不用寫：U(-a, a)，a = 1/√fan_in |
# | 為單一張量填值 | `nn.init.normal_(layer.weight, std=0.01)`，其中 `std` 是標準差 |
# | 用函式為整個網路填值 | `net.apply(f)`，其中 `f` 要檢查 `isinstance(module, nn.Linear)` |
# | 知道哪些參數填了值 | `init_by_type(net, {nn.Linear: {"weight": nn.init.xavier_uniform_}})` |
# | 適合 ReLU 的尺度 | `nn.init.kaiming_normal_(weight)` |
# | 適合 tanh 或注意力的尺度 | `nn.init.xavier_uniform_(weight)`；對於 tanh，PyTorch 建議 `gain=5 / 3` |
# | 讓形狀為 `(in, out)` 的權重用對 fan | `mode="fan_out"` |
# | 設定自己的值 | `with torch.no_grad(): weight.copy_(...)` |
# | 偏差或殘差分支的結尾設成 0 | `nn.init.zeros_` |
# | 各不相同的隱藏神經元 | 隨機的權重，不是常數 |
# | 再次得到相同的值 | `torch.manual_seed` 或 `generator=` |
# | 為延後初始化的網路填值 | 先試跑：`apply_init(net, X, init=f)` |
#
# 函式庫的函式都在 `d2lblocks.init`，用於延後初始化網路的函式則在 `d2lblocks.lazy`。
#
# 下一步：延後初始化，把輸入大小留給第一個批次決定；或者檔案讀寫，把網路學到的東西儲存起來。
