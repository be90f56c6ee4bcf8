# %% [markdown]
# # 延後初始化
#
# 這是 d2lblocks「延後初始化」這一頁的腳本版：由頁面產生，並且執行過。
# 執行它需要 `d2lblocks` 和 `torch`。
# 把儲存庫 clone 下來，在裡面執行 `pip install .`，就會裝好 `d2lblocks`。
#
# 要在一連串卷積層後面接線性層，就得根據影像大小，以及卷積核大小、步幅、填充和池化，手動算出線性層的輸入大小。
# 延後初始化層則從第一個批次讀取這個大小。
# 但在第一個批次之前，對網路做的某些操作會失敗，還有少數操作會給出錯誤的答案，而且沒有任何提示。
#
# - **讀完之後你能：**不必計算輸入大小就建立網路；知道第一個批次之前能做哪些事；一步也不訓練，就得到所有形狀；建立並檢查大型網路，卻不必為它占用記憶體。
# - **需要先會：**初始化，讀到「初次閱讀到這裡就可以了」那一行；還需要安裝套件：把本站的儲存庫 clone 下來，在裡面執行 `pip install .`。
# - **需要多少時間：**讀到亂數種子與部分延後初始化的網路之前，大約 20 分鐘；只讀這一部分，就足以使用延後初始化層。
#   加上其餘內容和練習題，大約 60 分鐘。
#
# 這一頁的例子都用這個批次，裡面有兩個樣本，每個樣本有 20 個數字：

# %%
import torch
from torch import nn

X = torch.rand(2, 20)

# %% [markdown]
# ## `nn.LazyLinear`：由第一個批次決定輸入大小
#
# <dfn>延後初始化層</dfn>（lazy layer）是建立時不指定輸入大小的層，它會從第一個批次讀取這個大小。
# `nn.LazyLinear(256)` 只需要輸出的個數：

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
# 印出的 `in_features=0` 表示還不知道大小。
# <dfn>未初始化的參數</dfn>（uninitialized parameter）是延後初始化層的參數在第一個批次之前的占位物件：它有 dtype 和裝置，但沒有形狀，也沒有值。
#
# 第一個批次會決定大小：

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
# 現在兩層都是一般的 `nn.Linear` 層了。
# 這也表示，延後初始化層只會配合輸入調整一次。
# 第一個批次之後，每個輸入最後一個維度的大小，都必須和那個批次相同；樣本數則可以不同：

# %%
try:
    net(torch.rand(2, 30))
except RuntimeError as error:
    print(type(error).__name__, net[0].in_features)
#> RuntimeError 20

# %% [markdown]
# 這一層預期每個樣本有 20 個數字，卻收到 30 個，所以引發錯誤，和其他 `nn.Linear` 一樣。
#
# 這是怎麼做到的？
# 把未初始化的參數<dfn>實體化</dfn>（materialize），就是給它形狀和記憶體。
# 延後初始化層用掛勾（hook）做這件事；掛勾是這一層註冊在自己身上的函式，PyTorch 會在 `forward` 之前呼叫它。
# 第一次呼叫這一層時，掛勾會依序做這些事：
#
# 1. 從輸入讀取大小。
# 2. 把參數實體化。
# 3. 呼叫 `reset_parameters`，用亂數為參數填值（也就是抽取參數的值）。
# 4. 移除自己，並把這一層的類別從 `nn.LazyLinear` 改成 `nn.Linear`。
#
# （圖：由上到下的三個階段。
# 之前：一個 LazyLinear(256)，權重和偏差沒有形狀，也沒有值。
# 第一個批次，形狀為 (2, 20) 的 X：層的掛勾讀取大小 20，配置記憶體，抽取值，然後移除自己。
# 之後：一個 Linear(20, 256)，權重和偏差還是原來的物件，現在的形狀是 (256, 20) 和 (256,)。）
#
# 參數還是原來的物件，只是有了形狀和值，類別也從 `UninitializedParameter` 變成 `Parameter`：

# %%
layer = nn.LazyLinear(256)
weight = layer.weight
layer(X)
print(layer.weight is weight, type(weight) is nn.Parameter, type(layer) is nn.Linear)
#> True True True

# %% [markdown]
# ## 第一個批次之前能做的事
#
# 你可能想在第一個批次之前就使用延後初始化的網路，例如計算參數個數，或者建立優化器。
# 下面的程式碼片段嘗試九種操作，每種都用一個新的層：

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
# 前四種操作可行，因為只需要名稱、dtype 或物件。
# 載入也可行，因為狀態字典提供了形狀和值。
# 接下來三種操作會失敗，因為需要形狀或值。
# 其他需要形狀或值的操作，大多也會失敗。
#
# 凍結是例外：`layer.requires_grad_(False)` 既不需要形狀，也不需要值，卻還是失敗。
# PyTorch 不讓未初始化的參數使用這個方法，不過，對每個參數設定 `parameter.requires_grad = False` 是可行的。
#
# 在第一個批次之前建立的優化器，等參數有了值之後，確實會訓練這些參數。
#
# **注意。**`.shape` 會引發錯誤，`.size()` 和 `.ndim` 卻會回傳錯誤的答案，而且沒有任何提示。
# 收到批次 `X` 之後，這一層的權重形狀會是 `(3, 20)`，但在那之前：

# %%
print(nn.LazyLinear(3).weight.size(), nn.LazyLinear(3).weight.ndim)
#> torch.Size([0]) 1

# %% [markdown]
# 要列出網路裡還有哪些東西未初始化，就呼叫 `uninitialized_names`。
# 它也會找出緩衝區，也就是屬於模組、但不參與訓練的張量：

# %%
from d2lblocks import uninitialized_names

net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(10))
print(uninitialized_names(net))
#> ['2.weight', '2.bias']

# %% [markdown]
# `parameter_table(net)` 產生的表，會用 `?` 表示還不知道的形狀。

# %% [markdown]
# ## 試跑
#
# 在網路的參數有形狀之前，你無法計算參數的個數，也無法初始化，`net.requires_grad_(False)` 也會失敗。
# 解決辦法是讓一個批次通過網路，只為了決定形狀。
# <dfn>試跑</dfn>（dry run）就是讓延後初始化層得到形狀的一次前向傳播，結果丟棄不用。
#
# 這個批次的形狀和 dtype 必須正確；在評估模式下，一個樣本就夠了。
# 值是什麼並不重要，只有一個例外：傳給 `nn.Embedding` 的索引，必須是表中有效的列索引。
#
# 在訓練模式下，一般的前向傳播改變的不只是形狀。
# 例如，批次正規化層（batch norm）會更新移動平均值和移動變異數：

# %%
net = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
net(X)
print(net[1].num_batches_tracked, bool((net[1].running_mean == 0).all()))
#> tensor(1) False

# %% [markdown]
# 批次正規化層已經數了一個批次，移動平均值也不再是 0。
#
# Dropout 會先取用亂數，之後下一個延後初始化層才抽取權重，所以在訓練模式下試跑，會得到不同的權重。
# 下面的程式碼片段用同一個亂數種子建立三次網路：一次指定所有大小，兩次延後初始化，分別在訓練模式和評估模式下試跑：

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
# 在訓練模式下試跑之後，最後一層的權重和指定所有大小的網路不同。
# 在評估模式下試跑之後，兩者就相同。
#
# 所以，手動試跑時要切換到評估模式，關閉梯度，之後再恢復訓練模式。
# （`net.train()` 會讓每個模組都進入訓練模式，就連你要保持在評估模式的模組也不例外。）關閉梯度要用 `torch.no_grad()`，不要用 `torch.inference_mode()`：如果參數是在推論模式（inference mode）下建立的，網路往往無法訓練。

# %% [markdown]
# ## `apply_init`
#
# 手動試跑很容易出錯。
# `apply_init` 會替你試跑；如果你傳入函式 `init`，它接著還會呼叫 `net.apply(init)`。
# 它會原地修改網路，並回傳網路：

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
# 執行 `apply_init` 之後：
#
# - 原本未初始化的參數和緩衝區，都有了形狀和值。
# - 接下來的亂數，和你一開始就指定所有大小來建立網路、再套用 `init`（如果有傳入）的情況相同。
#   試跑期間取用的亂數，例如 dropout 取用的，不會影響這一點。
#
# 傳入 `init` 時，原本就有值的參數，只要 `init` 會設定到，也會得到新的值。
# 沒有傳入 `init` 時，其他一切都不變：輸入、每個模組的訓練模式、梯度，以及原本就有的值，例如移動統計量（running statistics）。
# 下面的程式碼片段不傳入 `init`，檢查其中幾項保證：

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
# 網路仍然處於訓練模式，批次正規化層沒有數到任何批次，也沒有梯度。
# 亂數種子相同時，延後初始化的網路和指定所有大小的網路有相同的權重，下一個亂數也相同。
#
# 如果某一層和它的輸入不相符，`apply_init` 會引發錯誤，並指出是哪一層。
# 在下面的網路裡，第二個卷積層預期 9 個通道，卻收到 8 個：

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
# 在訊息裡，N 是樣本數，H 是高，W 是寬。
# 發生錯誤之後，網路和亂數產生器都和之前一樣：

# %%
print(uninitialized_names(net))
#> ['0.weight', '0.bias']

# %% [markdown]
# 如果是手動試跑失敗，出錯處之前的層就不再是延後初始化層了。
#
# 還有一些細節：
#
# - 如果前向傳播沒有經過某個延後初始化層，也是錯誤，因為那一層仍然沒有初始化。
#   `diagnose` 會把這個問題回報為 `still-lazy`。
# - 對於沒有延後初始化層的網路，試跑只會檢查輸入是否相符。
# - 如果你的網路用關鍵字引數接收輸入，就照樣用名稱傳入，例如 `apply_init(net, input_ids=ids)`。
#   除了網路和 `init`，所有引數都會傳給 `forward`。
# - `apply_init` 也適用於其他函式庫的延後初始化層，例如 PyTorch Geometric 的，只要這些層是在 `forward` 之前的掛勾裡得到形狀。
#
# **代價。**執行期間，`apply_init` 需要額外的記憶體，用來存放網路裡每個張量的複本。

# %% [markdown]
# ## 延後初始化的卷積層與正規化層
#
# 卷積層和正規化層也有延後初始化的版本：
#
# | 延後初始化的類別 | 從第一個批次讀取 | 變成 |
# |---|---|---|
# | `nn.LazyLinear(out_features)` | 最後一個維度的大小 | `nn.Linear` |
# | `nn.LazyConv2d(out_channels, kernel_size)` | 通道數 | `nn.Conv2d` |
# | `nn.LazyConvTranspose2d(out_channels, kernel_size)` | 通道數 | `nn.ConvTranspose2d` |
# | `nn.LazyBatchNorm2d()` | 通道數 | `nn.BatchNorm2d` |
# | `nn.LazyInstanceNorm2d()` | 通道數 | `nn.InstanceNorm2d` |
#
# 除了 `nn.LazyLinear`，這些類別也都有 1d 和 3d 的版本。
# 延後初始化的實例正規化層（instance norm）預設有權重、偏差和移動統計量；一般的 `nn.InstanceNorm2d` 則全都沒有。
# `nn.LayerNorm`、`nn.Embedding`、遞迴層和注意力層沒有延後初始化的版本。
#
# 延後初始化層在一連串卷積層之後最有用，因為這時值的個數取決於影像大小，以及前面的每一層：

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
# 試跑找出了卷積層的 3 個通道、批次正規化層的 16 個通道，以及線性層的 784 個輸入。
# 手動計算的話：卷積把 32 × 32 像素變成 14 × 14，池化再把它變成 7 × 7；16 個通道 × 7 × 7 = 784。
#
# 試跑之後，卷積層可以接受其他大小的影像，只要有 3 個通道就行。
# 線性層不行：它現在要求每張影像正好有 784 個值。
#
# **限制。**你無法再從程式碼看出各層的大小。
# PyTorch 把延後初始化的模組列為[實驗性質](https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html)，所以介面可能會改變。
# 在第一個批次之前，有些工具不接受延後初始化的模組，例如 `DistributedDataParallel`（用多個行程訓練）和 `weight_norm`（把權重拆成長度和方向）。
# 設計定案之後，請在試跑後印出網路，把各層的大小直接寫在程式碼裡。
#
# **初次閱讀到這裡就可以了。**如果你需要可以重現的權重、要修正錯誤、要儲存或複製延後初始化的網路，或者要建立記憶體放不下的網路，再往下讀。

# %% [markdown]
# ## 亂數種子與部分延後初始化的網路
#
# 亂數種子相同時，一串延後初始化層得到的值，和指定了所有大小的同一串層相同，就像前面示範的那樣。
# 各層以同樣的順序抽取值，只是比較晚。
# 前提是從設定亂數種子到第一個批次之間，沒有別的東西取用亂數，所以要先建立 `X`，再設定亂數種子。
#
# 如果網路只有部分延後初始化，而且有延後初始化層排在指定了大小的層前面，得到的值就會不同。
# 指定了大小的層在建立時就抽取值，比任何延後初始化層都早：

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
# 沒有錯誤，也沒有警告：值雖然不同，但一樣好。
# 練習題 7 會讓兩個這樣的網路權重相等。

# %% [markdown]
# ## 儲存與載入
#
# 你在第一個批次之前儲存了延後初始化的網路，後來卻無法載入檔案。
# 這種網路的狀態字典裡，參數沒有值；`torch.save` 會寫入檔案，`torch.load` 卻不接受這個檔案：

# %%
import pickle

torch.save(nn.LazyLinear(3).state_dict(), "lazy.pt")
try:
    torch.load("lazy.pt")
except pickle.UnpicklingError as error:
    print(str(error).partition(".")[0])
#> Weights only load failed

# %% [markdown]
# 所以，延後初始化的網路要在第一個批次之後才儲存。
#
# 你可以把有值的狀態字典載入延後初始化層。
# 這一層就會從狀態字典得到形狀：

# %%
sized, waiting = nn.Linear(20, 3), nn.LazyLinear(3)
waiting.load_state_dict(sized.state_dict())
print(waiting.weight.shape, type(waiting).__name__, uninitialized_names(waiting))
#> torch.Size([3, 20]) LazyLinear []
print(torch.equal(waiting(X), sized(X)), type(waiting).__name__)
#> True Linear

# %% [markdown]
# 權重在載入之後馬上就有形狀。
# 類別則仍然是 `LazyLinear`，到第一次呼叫時才改變。

# %% [markdown]
# ## 第一個批次之前的優化器與複本
#
# 你也許讀過這樣的說法：在第一個批次之前，延後初始化的網路不能交給優化器，不能複製，也不能載入值。
# 其實三件事都做得到，只有少數例外；載入的部分前面已經說明過。
#
# **優化器可以在試跑之前建立。**優化器持有的是參數物件，而第一個批次會原地為同樣的物件填值：

# %%
net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
net(X).sum().backward()
before = net[0].weight.detach().clone()
optimizer.step()
print(torch.equal(net[0].weight, before))
#> False

# %% [markdown]
# 這一步改變了權重，可見優化器確實會訓練它。
#
# 有兩個例外：
#
# - 有的優化器建立時就需要形狀，所以不接受未初始化的參數。
#   在下面的程式碼片段裡，四個優化器當中只有 `Adagrad` 是這樣。
# - 如果依照 `p.ndim` 或 `p.size()` 挑選參數，遇到未初始化的參數就會選錯，而且沒有任何提示。
#   例如，許多程式只在 `p.ndim >= 2` 成立時才套用權重衰減（把值往 0 拉近）。
#   這樣一來，所有未初始化的參數都會被漏掉，因為它們的 `ndim` 是 1。

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
# 所以，可以的話，請在試跑之後才建立優化器。
#
# **延後初始化的網路可以複製。**複本也是延後初始化的，會得到自己的形狀。
# 例外是移動統計量未初始化的網路，例如裡面有延後初始化的批次正規化層：

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
# ## meta 裝置與 `skip_init`
#
# 有時候，你知道所有大小，但還不需要記憶體或值：你只想計算參數個數，或者馬上就要從檔案載入值。
#
# <dfn>meta 裝置</dfn>（meta device）是一種裝置，上面的張量有形狀和 dtype，但沒有記憶體，也沒有值。
# 在 meta 裝置上，你可以計算網路的參數個數，用 meta 輸入檢查網路，之後再給它值：

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
# [`torch.nn.utils.skip_init`](https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.skip_init.html) 建立單一模組：它會配置記憶體，但不抽取值。
# 馬上要載入的權重，就適合用它：

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
# 亂數產生器的狀態沒有改變，可見沒有抽取任何值。
#
# 延後初始化層、meta 裝置和 `skip_init`，給張量形狀、記憶體和值的時機各不相同：
#
# | 方式 | 形狀 | 記憶體 | 值 |
# |---|---|---|---|
# | 延後初始化層 | 第一個批次 | 第一個批次 | 第一個批次 |
# | meta 裝置 | 建立時 | `to_empty`，或 `load_state_dict(..., assign=True)` | 為張量填值或載入狀態字典時 |
# | `skip_init` | 建立時 | 建立時 | 為張量填值或載入狀態字典時 |
#
# **注意。**`to_empty` 或 `skip_init` 產生的張量，在你填值之前，裝的是記憶體裡殘留的資料，看起來可能像正常的數字。
# 並非每個模組都有 `reset_parameters`，所以上面那樣的迴圈可能會漏掉一些張量。
# 要找出這些張量，就在 `to_empty` 之前呼叫 `torch.use_deterministic_algorithms(True)`：PyTorch 會用 `nan` 填滿新配置的浮點數記憶體，漏掉的張量就還是 `nan`。

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
# `nn.MultiheadAttention` 沒有 `reset_parameters`，所以迴圈只為裡面的那一層填值，沒有為注意力模組自己的兩個參數填值。

# %% [markdown]
# ### 從 meta 裝置到可用的網路
#
# 如果值馬上會被檔案取代，就不必抽取：請在 meta 裝置上建立大型網路，再載入權重。
# `load_state_dict` 預設會把值複製到參數的記憶體裡，但 meta 裝置上的網路沒有記憶體。
# 所以要傳入 `assign=True`：網路會直接把狀態字典的張量當成自己的參數。
#
# 還有兩個問題要解決：綁定的權重不再綁定；而 `persistent=False` 的緩衝區不在狀態字典裡，所以沒有值。
# 下面的網路兩種張量都有：

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
# 載入之後，兩個權重是各自獨立的參數，但共用記憶體；它們各有自己的梯度和優化器狀態，所以優化器在每一步都會把同樣的值更新兩次。
# 緩衝區 `scale` 仍然在 meta 裝置上。
#
# 請重新綁定權重，並為還在 meta 裝置上的東西填值。
# 這些做完之後才建立優化器，因為參數是新的物件：

# %%
net.scores.weight = net.table.weight
net.scale = torch.full((4,), 0.5)  # still a buffer, because the name is registered
print(torch.equal(net(words), trained(words)))
#> True

# %% [markdown]
# 另一個做法是用 `to_empty`。
# 它會給每個參數和緩衝區各自的記憶體，所以同樣會解除權重的綁定，要在載入之前重新綁定。
# 這樣，`load_state_dict` 就會照常複製值；`load_parameters` 也一樣，它讀取 `save_parameters` 寫出的檔案。
# 緩衝區還是要自己填值：

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
# **注意。**使用 `assign=True` 時，網路和狀態字典共用記憶體；用同一個狀態字典載入的兩個網路，彼此也共用記憶體。
# PyTorch（以 2.13 確認過）還會在這個狀態字典上做標記：再次載入它的時候，就算沒有 `assign=True`，PyTorch 仍然會直接指派它的張量。

# %%
state = torch.load("tied.pt")
first, second = Tied(), Tied()
first.load_state_dict(state, assign=True)
second.load_state_dict(state)
print(first.table.weight.data_ptr() == second.table.weight.data_ptr())
#> True

# %% [markdown]
# 兩個網路共用同一張表。
# 要避免這種情況，就為每個網路重新讀取檔案。

# %% [markdown]
# ## 函式庫中的實作
#
# 如果你想知道 `apply_init` 如何運作，就讀這一節。
# `d2lblocks.lazy` 的原始碼分成三個部分。
#
# 第一部分是 `uninitialized_names`：
#
# <code>uninitialized_names</code> 的原始碼，不含說明字串（docstring）：
#
# *函式庫的原始碼，出自 `d2lblocks/lazy.py`：*

# %%
from torch.nn.parameter import is_lazy

from d2lblocks._arguments import check_net
from d2lblocks._tensors import named_modules, named_tensors


def uninitialized_names(net: nn.Module) -> list[str]:
    check_net(net)
    return [name for name, tensor in named_tensors(net) if is_lazy(tensor)]

# %% [markdown]
# 第二部分是 `apply_init`。
# 它為網路建立快照，然後試跑；不管試跑有沒有失敗，都會還原快照。
# 如果試跑成功，`apply_init` 接著用試跑時的輸入，再呼叫一次延後初始化模組的掛勾，藉此把這些模組逐一初始化。
# 如果這一步失敗，它會再次還原快照。
#
# <code>apply_init</code> 的原始碼，不含說明字串（docstring）：
#
# *函式庫的原始碼，出自 `d2lblocks/lazy.py`：*

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
# 第三部分是試跑。
# 它替每個模組加上兩個掛勾，追蹤目前的呼叫，供錯誤訊息使用。
# 它還會把模組自己的掛勾包裝起來，記錄其中哪些讓延後初始化的張量得到形狀。
#
# 試跑的原始碼，不含說明字串（docstring）：
#
# *函式庫的原始碼，出自 `d2lblocks/lazy.py`：*

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
# `apply_init` 得到的網路，參數和手動試跑得到的網路 `in_evaluation` 相同：

# %%
torch.manual_seed(0)
net = apply_init(lazy(), X)
pairs = zip(net.parameters(), in_evaluation.parameters())
print(all(torch.equal(mine, theirs) for mine, theirs in pairs))
#> True

# %% [markdown]
# ## 出錯的時候

# %% [markdown]
# ### `Can't access the shape of an uninitialized parameter`
#
# 你在第一個批次之前，讀取延後初始化層某個參數的形狀：

# %%
try:
    nn.LazyLinear(3).weight.shape
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before accessing their attributes.

# %% [markdown]
# 如果讀取的是別的東西，例如值的個數，通常會得到 `ValueError`，其中指出你呼叫的函式：

# %%
try:
    sum(parameter.numel() for parameter in nn.LazyLinear(3).parameters())
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Attempted to use an uninitialized parameter in <method 'numel' of 'torch._C.TensorBase' objects>. This error happens when you are using a `LazyModule` or explicitly manipulating `torch.nn.parameter.UninitializedParameter` objects. When using LazyModules Call `forward` with a dummy batch to initialize the parameters before calling torch functions

# %% [markdown]
# 修正方法：先試跑。

# %%
print(
    sum(
        parameter.numel() for parameter in apply_init(nn.LazyLinear(3), X).parameters()
    )
)
#> 63

# %% [markdown]
# 下次如何及早發現：使用形狀之前，先檢查 `uninitialized_names(net)` 是不是空的。

# %% [markdown]
# ### `apply` 跳過了延後初始化層
#
# 你用 `apply` 初始化延後初始化的網路，沒有出現錯誤，但第一個批次之後，延後初始化層的值是預設值。
# 你傳入的函式檢查 `type(module) is nn.Linear`，遇到 `nn.LazyLinear`，這個條件不成立：

# %%
def zero_exactly_linear(module):
    if type(module) is nn.Linear:
        nn.init.zeros_(module.weight)


net = nn.Sequential(nn.LazyLinear(3)).apply(zero_exactly_linear)
net(X)
print(bool((net[0].weight == 0).all()))
#> False

# %% [markdown]
# 在第一個批次之後檢查 `type(module) == nn.LazyLinear` 也行不通，因為這時它已經是 `nn.Linear` 了。
#
# 修正方法：用 `isinstance` 檢查，它對延後初始化層也成立；並且在第一個批次之後才呼叫 `apply`。
# 在第一個批次之前為這一層填值，會引發 `Attempted to use an uninitialized parameter`。

# %%
def zero_linear(module):
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.weight)


print(bool((apply_init(nn.LazyLinear(3), X, init=zero_linear).weight == 0).all()))
#> True

# %% [markdown]
# 下次如何及早發現：用認得出來的值為權重填值，例如 0，等第一個批次之後，再看看是不是這個值。

# %% [markdown]
# ### `'Parameter' object has no attribute 'materialize'`
#
# 你在第一個批次之前，綁定了兩個延後初始化層的權重。
# 第一層把共享的參數實體化，接著第二層又想把它實體化一次，於是失敗：

# %%
net = nn.Sequential(nn.LazyLinear(20), nn.LazyLinear(20))
net[1].weight = net[0].weight
try:
    net(X)
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: 'Parameter' object has no attribute 'materialize'

# %% [markdown]
# 修正方法：在試跑之後才綁定權重，或者把同一層用在兩處。

# %%
net = apply_init(nn.Sequential(nn.LazyLinear(20), nn.LazyLinear(20)), X)
net[1].weight = net[0].weight
print(net(X).shape)
#> torch.Size([2, 20])

layer = nn.LazyLinear(20)
print(nn.Sequential(layer, layer)(X).shape)
#> torch.Size([2, 20])

# %% [markdown]
# ### `Weights only load failed`：檔案明明是自己儲存的
#
# 你無法載入自己儲存的檔案。
# 網路是在第一個批次之前儲存的，所以檔案裡的參數沒有值，就像儲存與載入一節說明的那樣。
# 不要設定 `weights_only=False` 來強行載入：得到的還是沒有值的參數。
#
# 修正方法：儲存之前先試跑。

# %%
net = nn.Sequential(nn.LazyLinear(3))
print(uninitialized_names(net))
#> ['0.weight', '0.bias']
torch.save(apply_init(net, X).state_dict(), "net.pt")
print(list(torch.load("net.pt")))
#> ['0.weight', '0.bias']

# %% [markdown]
# 下次如何及早發現：儲存之前，先檢查 `uninitialized_names(net)` 是不是空的。

# %% [markdown]
# ### 亂數種子相同，值卻不同
#
# 同一個網路，一個延後初始化，另一個指定所有大小，你為兩者設定同樣的亂數種子，權重卻不同。
# 可能的原因有三個：
#
# - 網路只有部分延後初始化。
# - Dropout 在試跑時取用了亂數。
# - 從設定亂數種子到第一個批次之間，有別的東西取用了亂數。
#
# 修正方法：讓所有的層都延後初始化，或者全都不要；先建立輸入，再設定亂數種子；並且使用 `apply_init`。

# %%
torch.manual_seed(0)
first = apply_init(lazy(), X)
torch.manual_seed(0)
second = nn.Sequential(nn.Linear(20, 8), nn.Dropout(), nn.Linear(8, 3))
print(torch.equal(first[2].weight, second[2].weight))
#> True

# %% [markdown]
# 下次如何及早發現：像上面那樣，用 `torch.equal` 比較權重。

# %% [markdown]
# ### `Attempted to use an uninitialized parameter`：由 `requires_grad_` 引發
#
# 你在第一個批次之前，凍結了延後初始化的網路：

# %%
try:
    nn.LazyLinear(3).requires_grad_(False)
except ValueError as error:
    print(str(error).partition(" in <")[0])
#> Attempted to use an uninitialized parameter

# %% [markdown]
# 修正方法：在試跑之後才凍結。

# %%
print(apply_init(nn.LazyLinear(3), X).requires_grad_(False).weight.requires_grad)
#> False

# %% [markdown]
# ### `Expected more than 1 value per channel when training`
#
# 你用一個樣本試跑，批次正規化層卻不接受。
# 一個樣本就足以決定形狀，但在訓練模式下，批次正規化層還會計算每個通道的變異數，這就需要不只一個值：

# %%
try:
    nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())(X[:1])
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: Expected more than 1 value per channel when training, got input size torch.Size([1, 4])

# %% [markdown]
# 修正方法：像 `apply_init` 那樣，在評估模式下試跑，或者用較大的批次。

# %%
net = apply_init(nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d()), X[:1])
print(net[1].num_features)
#> 4

# %% [markdown]
# ### 延後初始化層的參數，形狀是 `(0,)`
#
# 你把延後初始化層移到 meta 裝置。
# `.to("meta")` 會把未初始化的參數換成空的參數，之後不管來什麼批次，都不會改變：

# %%
layer = nn.LazyLinear(3).to("meta")
print(uninitialized_names(layer), tuple(layer.weight.shape))
#> [] (0,)

# %% [markdown]
# 修正方法：在 meta 裝置上建立這一層，並給它 meta 裝置上的輸入。

# %%
with torch.device("meta"):
    layer = nn.LazyLinear(3)
    layer(torch.empty(2, 20))
print(tuple(layer.weight.shape))
#> (3, 20)

# %% [markdown]
# 下次如何及早發現：印出各個參數的形狀，應該沒有一個是 `(0,)`。

# %% [markdown]
# ### 載入之後 `in_channels` 是 0
#
# 你把狀態字典載入延後初始化的網路，之後印出網路，大小卻顯示為 0。
# 狀態字典已經提供了權重，所以第一個批次來的時候，沒有東西需要初始化。
# 這時，大多數延後初始化的類別會讓 `in_channels` 或 `num_features` 停在 0。
# 這一層的計算是正確的，但讀取這個屬性的程式碼會得到錯誤的數字：

# %%
conv = nn.LazyConv2d(4, kernel_size=3)
conv.load_state_dict(nn.Conv2d(3, 4, kernel_size=3).state_dict())
conv(torch.rand(1, 3, 9, 9))
print(conv)
#> Conv2d(0, 4, kernel_size=(3, 3), stride=(1, 1))

# %% [markdown]
# 還有第二個問題：這一層也會接受大小不同的狀態字典。
# 下面這一層應該有 3 個輸出，載入之後卻有 5 個：

# %%
layer = nn.LazyLinear(3)
print(layer.load_state_dict(nn.Linear(20, 5).state_dict()), layer(X).shape)
#> <All keys matched successfully> torch.Size([2, 5])

# %% [markdown]
# 修正方法：先試跑。
# 這樣 `load_state_dict` 就會比較大小，屬性也會正確：

# %%
try:
    apply_init(nn.LazyLinear(3), X).load_state_dict(nn.Linear(20, 5).state_dict())
except RuntimeError as error:
    print(str(error).expandtabs(4))
#> Error(s) in loading state_dict for Linear:
#>     size mismatch for weight: copying a param with shape torch.Size([5, 20]) from checkpoint, the shape in current model is torch.Size([3, 20]).
#>     size mismatch for bias: copying a param with shape torch.Size([5]) from checkpoint, the shape in current model is torch.Size([3]).

# %% [markdown]
# 或者使用 `load_parameters`，它不需要批次，就能比較大小、設定屬性：

# %%
save_parameters(nn.Conv2d(3, 4, kernel_size=3), "conv.safetensors")
print(load_parameters(nn.LazyConv2d(4, kernel_size=3), "conv.safetensors").in_channels)
#> 3

# %% [markdown]
# ### `Cannot copy out of meta tensor; no data!`
#
# 你在 meta 裝置上建立網路，再載入狀態字典。
# `load_state_dict` 回報所有的鍵都對得上，其實什麼也沒載入。
# PyTorch 只會發出警告，每個張量一次：

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
# 後來移動網路時，才出現錯誤：

# %%
try:
    net.to("cpu")
except NotImplementedError as error:
    print(f"NotImplementedError: {error}")
#> NotImplementedError: Cannot copy out of meta tensor; no data! Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when moving module from meta to a different device.

# %% [markdown]
# 修正方法：用 `assign=True` 載入，然後重新綁定權重，並為沒有儲存的緩衝區填值。

# %%
net.load_state_dict(sized.state_dict(), assign=True)
print(torch.equal(net(X), sized(X)))
#> True

# %% [markdown]
# 如果還是出現同樣的錯誤，就是有某個沒有儲存的緩衝區還在 meta 裝置上。
#
# 下次如何及早發現：載入之後，確認沒有任何參數或緩衝區的 `is_meta` 為真。

# %% [markdown]
# ### `SymIntArrayRef expected to contain only concrete integers`
#
# 你編譯延後初始化的網路，然後呼叫它。
# 對於可能改變的大小，編譯器可以用 `s0` 之類的符號代替數字，讓編譯出來的程式碼適用於多種大小。
# 但延後初始化層的每個大小都必須是數字。
# 使用 `dynamic=True` 時，編譯器從一開始就用符號；預設情況下，同一段程式碼以不同的大小再次執行時，編譯器才會改用符號，就算是同一個類別的另一個網路也一樣。
# PyTorch 2.13 和更早的版本在這裡會引發錯誤；之後的版本能夠編譯這個網路（以 2.14.1 和 2.15.0 確認過）：

# %%
net = torch.compile(nn.Sequential(nn.LazyLinear(3)), backend="eager", dynamic=True)
try:
    net(X)
except Exception as error:  # InternalTorchDynamoError
    print(str(error).splitlines()[0].rpartition(": ")[2])
#> SymIntArrayRef expected to contain only concrete integers

# %% [markdown]
# 修正方法：先試跑。
# `apply_init` 也接受編譯過的網路。

# %%
net = torch.compile(nn.Sequential(nn.LazyLinear(3)), backend="eager", dynamic=True)
print(apply_init(net, X)(X).shape)
#> torch.Size([2, 3])

# %% [markdown]
# ### `Modules with uninitialized parameters can't be used with DistributedDataParallel`
#
# 你包裝了延後初始化的網路，想用多個行程訓練。
# 包裝器會把第一個行程的參數傳送給所有其他行程，所以需要形狀：

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
# 修正方法：在每個行程裡先試跑，然後才包裝網路。

# %%
net = nn.parallel.DistributedDataParallel(apply_init(nn.LazyLinear(3), X))
print(net(X).shape)
#> torch.Size([2, 3])
dist.destroy_process_group()

# %% [markdown]
# ## 練習題

# %% [markdown]
# ### 練習題 1
#
# 你指定第一層的輸入大小，其餘的層延後初始化：`net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(32), nn.LazyLinear(10))`。
# 請預測在三個時間點，各有哪些參數未初始化。
# 每個答案都是名稱的串列，名稱的形式如 `"0.weight"`；串列可以是空的。
# `built` 是網路剛建立時的串列。
# `half` 是呼叫 `net[:3](X)` 之後的串列，`X` 的形狀是 `(2, 20)`。
# `called` 是接著再呼叫 `net(X)` 之後的串列。
#
# 練習（簡單）：`python -m d2lblocks practice start lazy/1`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 第一層在建立時就初始化，其餘各層則在第一次呼叫時才初始化。
# 每一層只看得到自己的輸入，所以無法從前面的層算出自己的輸入大小。
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
# ### 練習題 2
#
# `groups(net, X)` 回傳優化器的參數群組：權重衰減只套用在至少有兩個維度的參數上。
# 但遇到第一個批次之前的延後初始化網路，它會漏掉所有延後初始化層的權重，而且沒有任何提示。
# 請修好這個函式；`X` 是給網路的批次。
#
# 練習（簡單）：`python -m d2lblocks practice start lazy/2`

# %%
def groups(net, X):
    decay = [p for p in net.parameters() if p.ndim >= 2]
    rest = [p for p in net.parameters() if p.ndim < 2]
    return [{"params": decay}, {"params": rest, "weight_decay": 0}]

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 在第一個批次之前，所有未初始化的參數的 `ndim` 都是 1，所以函式把它們全都當成偏差。
# 只要在函式的第一行試跑就好：
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
# 沒有試跑的話，兩個群組會分別有 0 個和 4 個參數。

# %% [markdown]
# ### 練習題 3
#
# 在部分延後初始化的網路裡，你為某一層指定的輸入大小，可能和前一層不相符。
# 寫一個函式 `fits(net, X)`：如果網路接受批次 `X`，就回傳 `True`；如果前向傳播引發錯誤，就回傳 `False`。
# 如果批次相符，之後網路應該有了所有形狀；如果不相符，原本的延後初始化層應該全都還是延後初始化層。
#
# 練習（中等）：`python -m d2lblocks practice start lazy/3`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 直接呼叫網路，會在不相符的地方停下來。
# 這時，前面的層已經有了形狀：

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
# 在 `apply_init` 發生錯誤之後，所有延後初始化層都還是延後初始化層：
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
# ### 練習題 4
#
# 在第一個批次之後，`convnet(classes)` 回傳的網路只接受和那個批次同樣大小的影像。
# 請只改一行，把它修好：不管影像的高和寬是多少（至少 3 像素），池化都應該回傳高和寬為 4 的通道。
# 網路接收一個批次的影像，回傳形狀為 `(batch, classes)` 的張量。
#
# 練習（中等）：`python -m d2lblocks practice start lazy/4`

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
# #### 參考答案

# %% [markdown]
# 線性層的輸入，最後一個維度的大小必須固定；卷積層的輸入，通道數必須固定。
# 對卷積層來說，批次大小、高和寬都可以改變。
# 在線性層之前，`nn.AdaptiveAvgPool2d` 會把任何大小的影像變成同樣大小的影像。
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
# 序列長度不同的話，請在後面加上填充，直到全都一樣長。

# %% [markdown]
# ### 練習題 5
#
# 如果影像更大，延後初始化的網路會有多少參數？
# 寫一個函式 `count(make, size)`：`make()` 會建立延後初始化的網路，用於有 3 個通道的影像；結果是影像的高和寬為 `size` 時，網路所有參數裡值的個數。
# 參數和影像都不能占用記憶體，全都要在 meta 裝置上建立。
# 預設裝置要維持原狀。
#
# 練習（中等）：`python -m d2lblocks practice start lazy/5`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 在 meta 裝置上試跑，參數不占記憶體，但得到的大小是真的。
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
# ### 練習題 6
#
# 寫一個函式 `dry_run(net, X)`，用一次前向傳播讓延後初始化的網路得到形狀，並回傳網路。
# `X` 裡只有一個樣本也必須夠用。
# 除了未初始化的張量，什麼都不能改變：移動統計量保留原來的值，每個模組保留自己的訓練模式，就算各個模組的模式不同也一樣。
# 這次前向傳播不計算梯度，但之後網路可以訓練。
#
# 練習（較難）：`python -m d2lblocks practice start lazy/6`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 在評估模式下，批次正規化層不會改變移動統計量，也接受單一樣本。
# `net.train()` 會讓每個模組都進入訓練模式，所以要記下每個模組的模式。
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
# `apply_init` 也會這樣做，而且發生錯誤之後會還原網路。

# %% [markdown]
# ### 練習題 7
#
# 同事的網路指定了所有大小，你的網路和它相同，但部分延後初始化，所以同樣的亂數種子會給你不同的權重。
# 寫一個函式 `draw_again(net, seed)`，讓你的網路裡每個有 `reset_parameters` 方法的層得到新的值，並回傳網路。
# 這個函式在試跑之後呼叫。
# 呼叫之後，你的網路的參數應該和同事的相等；同事的網路是緊接在 `torch.manual_seed(seed)` 之後建立的。
# 兩個網路都依照 `net.modules()` 的順序定義各層。
#
# 練習（較難）：`python -m d2lblocks practice start lazy/7`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 試跑之後，兩個網路有相同的層。
# 指定了所有大小的一串層，在建立時就依照模組的順序抽取值。
# 所以，請重新設定亂數種子，再讓自己網路的所有層依照這個順序重新抽取值。
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
# **注意。**如果模組有自己的參數，卻沒有 `reset_parameters`，這個迴圈就會略過它；而網路在 `__init__` 裡設定的值，會被這個迴圈覆寫。

# %% [markdown]
# ## 小結
#
# | 需求 | 寫法 |
# |---|---|
# | 從第一個批次讀取輸入大小的層 | `nn.LazyLinear(256)`, `nn.LazyConv2d(16, 3)`, `nn.LazyBatchNorm2d()` |
# | 查看還有什麼未初始化 | `uninitialized_names(net)` |
# | 在訓練之前得到形狀 | `apply_init(net, X)` |
# | 初始化延後初始化的網路 | `apply_init(net, X, init=f)` |
# | 手動試跑 | `net.eval()`, `torch.no_grad()`, `net(X)`, `net.train()` |
# | 計算個數、凍結、綁定或儲存 | 先執行 `apply_init(net, X)` |
# | 優化器 | 在試跑之後建立；大多數優化器也可以在試跑之前建立 |
# | 用同一個亂數種子，得到和指定所有大小的網路相同的權重 | 讓所有的層都延後初始化，或者全都不要 |
# | 載入儲存的狀態 | `load_state_dict`，最好在試跑之後 |
# | 有大小，但不占記憶體 | `with torch.device("meta")` |
# | 不抽取值的模組 | `nn.utils.skip_init(nn.Linear, 20, 3)` |
#
# 函式庫的函式都在 `d2lblocks.lazy`，所有主題的表都在速查表。
#
# 下一步：自訂層，寫出自己的層；或者檔案讀寫，把網路學到的東西儲存起來。
