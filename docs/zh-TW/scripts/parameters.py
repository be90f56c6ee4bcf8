# %% [markdown]
# # 參數
#
# 這是 d2lblocks「參數」這一頁的腳本版：由頁面產生，並且執行過。
# 執行它需要 `d2lblocks` 和 `torch`。
# 把儲存庫 clone 下來，在裡面執行 `pip install .`，就會裝好 `d2lblocks`。
#
# 你拿一個訓練好的網路，凍結前幾層讓它們不再改變，換掉最後一層，然後再訓練一次。
# 結果網路怎麼練都沒有進步，或者凍結的層還是變了；這兩種情況都沒有錯誤訊息。
# 這一頁說明如何查看、修改網路的參數，以及如何發現這類問題。
#
# - **讀完之後你能：**尋找、讀取、修改、凍結和共享網路的參數，並看出 PyTorch 察覺不到的變動。
# - **需要先會：**層與模組，讀到函式庫中的實作這一節之前。
# - **需要多少時間：**讀到函式庫中的實作之前，大約 25 分鐘；只讀這一部分，就足以進入下一個主題。
#   加上其餘內容和練習題，大約 60 分鐘。
#
# 前幾節都用這個小網路，它對批次 `X` 裡的每個樣本回傳一個數字：

# %%
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
X = torch.rand(2, 4)
print(net(X).shape)
#> torch.Size([2, 1])

# %% [markdown]
# ## 單一參數：值與梯度
#
# 要讀取某個參數，先用索引從網路取出那一層，再把參數當作那一層的屬性來讀。
# `net[2]` 是網路的最後一層，`net[2].bias` 就是這一層的偏差。
# 想知道一層的參數叫什麼名稱，可以看它的狀態字典。
# <dfn>狀態字典</dfn>（state dict）是 `state_dict()` 回傳的字典：鍵是名稱，值是張量，收錄模組的每個參數，以及隨模組一起儲存的每個緩衝區。
# 緩衝區是屬於模組、但不參與訓練的張量。

# %%
print(net[2].bias.shape, type(net[2].bias))
#> torch.Size([1]) <class 'torch.nn.parameter.Parameter'>
print(list(net[2].state_dict()))
#> ['weight', 'bias']

# %% [markdown]
# 這個偏差只有一個數字，而這一層有兩個參數：`weight` 和 `bias`。
#
# 參數是類別 `nn.Parameter` 的物件，這個類別是 `torch.Tensor` 的子類別。
# 參數和其他張量有兩點不同。
# 第一，把參數指派給模組的屬性時，模組會註冊它。
# 第二，除非你把 `requires_grad` 設成 `False`，否則它就是 `True`，所以 autograd（自動微分）會計算參數的梯度。
#
# 如果不想讓 autograd 記錄你對這些值做的運算，就呼叫 `.detach()`，它回傳一個不需要梯度的張量。
# 值不會被複製：兩個張量使用同一份記憶體。
#
# 訓練會改變參數，讓損失變小。
# <dfn>損失</dfn>（loss）是一個數字，衡量網路的輸出和期望的輸出差了多少。
# 參數的<dfn>梯度</dfn>（gradient）為參數的每個值各給出一個數字：只改變這個值時，結果（通常是損失）的變化率。
# 對結果呼叫 `backward()`，就會算出每個參數的梯度，存進參數的屬性 `.grad`：

# %%
print(net[2].bias.requires_grad, net[2].bias.detach().requires_grad)
#> True False
print(net[2].bias.grad)
#> None
net(X).sum().backward()
print(net[2].bias.grad)
#> tensor([2.])

# %% [markdown]
# 呼叫 `backward()` 之前還沒有梯度，`.grad` 是 `None`。
# 呼叫之後，偏差的梯度是 2：結果是兩個輸出的總和，每個樣本一個輸出，而偏差在每個輸出裡都加了一次。

# %% [markdown]
# ### 重設梯度：`zero_grad()`
#
# 下一次 `backward()` 會把新的梯度加到 `.grad` 原有的梯度上：在這裡，2 會變成 4。
# 所以大多數訓練迴圈在每次 `backward()` 之前都會呼叫 `zero_grad()`，網路和優化器都有這個方法。
# `zero_grad()` 預設把 `.grad` 設成 `None`，而不是零：

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
# 和零相比，`None` 有兩個好處：釋放記憶體，而且優化器會跳過這個參數。
# <dfn>優化器</dfn>（optimizer）是利用參數的梯度來改變參數值、讓損失變小的物件。
# 有兩個選項可能讓優化器連梯度為零的參數也改變，但不會改變梯度是 `None` 的參數。
# <dfn>動量</dfn>（momentum）這個選項，讓優化器也用到先前幾步的梯度。
# <dfn>權重衰減</dfn>（weight decay）這個選項，讓優化器在每一步都把每個參數往零拉近一點。
#
# **限制。**`zero_grad()` 之後留下的是 `None`，所以使用 `.grad` 之前，要先確認它不是 `None`。

# %% [markdown]
# ## 所有參數：`named_parameters()`
#
# 要看網路的所有參數，就用迴圈走訪 `named_parameters()`。
# 它會回傳每個參數及其名稱，而名稱就是參數在網路中的路徑：

# %%
for name, parameter in net.named_parameters():
    print(name, tuple(parameter.shape))
#> 0.weight (8, 4)
#> 0.bias (8,)
#> 2.weight (1, 8)
#> 2.bias (1,)

# %% [markdown]
# 沒有以 `1` 開頭的名稱，因為 `net[1]` 是 `ReLU`，沒有參數。
#
# 也可以依路徑取得單一參數，用 `get_parameter` 或從狀態字典取得都行：

# %%
print(net.get_parameter("2.bias") is net[2].bias)
#> True
print(net.state_dict()["2.bias"].data_ptr() == net[2].bias.data_ptr())
#> True

# %% [markdown]
# `get_parameter` 回傳的就是參數本身。
# 狀態字典裡的張量則是另一個物件，而且不需要梯度，但它和參數使用同一份記憶體：`data_ptr()` 是張量在記憶體中的位址，兩者相同。
# 所以狀態字典並不是複本，裡面的值會隨著訓練改變。

# %% [markdown]
# ## `state_dict()` 與 `parameters()` 的差別
#
# 訓練用 `parameters()`，儲存用 `state_dict()`。
# 狀態字典可能包含兩種 `named_parameters()` 不列出的名稱：緩衝區的名稱，以及一個參數用在兩處時多出來的名稱。
# 下面這個網路兩種都有，因為它把一層用了兩次，又含有一個批次正規化層。
# <dfn>批次正規化</dfn>（batch normalization）層會把批次的每一行（影像則是每個通道）減去平均值，再除以標準差；然後乘上學到的縮放係數，加上學到的平移量。
# 網路一開始處於訓練模式，`net.eval()` 會把它切換到評估模式。
# 在訓練模式下，平均值和標準差來自這個批次；在評估模式下，這一層使用存下來的值。

# %%
shared = nn.Linear(4, 4)
net = nn.Sequential(shared, nn.BatchNorm1d(4), shared)
parameters = {name for name, _ in net.named_parameters()}
print([name for name in net.state_dict() if name not in parameters])
#> ['1.running_mean', '1.running_var', '1.num_batches_tracked', '2.weight', '2.bias']

# %% [markdown]
# （圖：一個 Sequential，有三個名稱：0、1、2。
# 名稱 0 和 2 通往同一個 Linear，所以它的權重有 0.weight 和 2.weight 兩個名稱，它的偏差有 0.bias 和 2.bias 兩個名稱。
# 名稱 1 通往一個 BatchNorm1d，它有參數 1.weight 和 1.bias，以及緩衝區 1.running_mean、1.running_var 和 1.num_batches_tracked。
# 不在 named_parameters() 裡的名稱用粗體標出：2.weight、2.bias 和那三個緩衝區。）
#
# 前三個名稱屬於批次正規化層的緩衝區：移動平均值（running mean）、移動變異數（running variance），以及批次的計數器。
# 在訓練模式下，每個批次都會把移動平均值和移動變異數，往這個批次自己的平均值和變異數拉近。
# 緩衝區會跟著網路一起儲存、一起移動，但不參與訓練。
# 後兩個是多出來的名稱：`2.weight` 和 `0.weight` 是同一個參數，`2.bias` 和 `0.bias` 也是。
#
# `parameters()` 和 `named_parameters()` 對每個參數只回傳一次，這正是優化器需要的。
# 狀態字典則包含一個參數的所有名稱；加上 `remove_duplicate=False`，`named_parameters` 也會全部回傳。
#
# 初次閱讀可以跳過以下兩種特例。
# 不該儲存的緩衝區，用 `persistent=False` 註冊；`buffers()` 會回傳它，但狀態字典裡沒有它。
# 如果模組還要儲存張量以外的東西，例如字串，就定義 `get_extra_state`；這時狀態字典裡還會有 `_extra_state` 這個名稱。

# %% [markdown]
# ## 巢狀模組的參數
#
# 在由區塊組成的網路裡，看參數的路徑就知道它在哪個區塊。
# 網路 `rgnet` 有三個區塊，每個區塊有兩個線性層，最後再接一個線性層：

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
# 第二個區塊裡第一層的偏差，可以一步一步取得，也可以用路徑取得：

# %%
print(rgnet[0][1][0].bias.shape)
#> torch.Size([8])
print(rgnet.get_parameter("0.block1.0.bias") is rgnet[0][1][0].bias)
#> True

# %% [markdown]
# `rgnet[0][1]` 裡的索引 1 是位置；這個位置上的區塊名叫 `block1`。
#
# 有兩個方法可以列出模組本身。
# `modules()` 回傳網路自己和底下各層級的所有子模組，`children()` 只回傳直屬子模組。
# 兩者對每個模組都只回傳一次。

# %%
print(len(list(rgnet.modules())), len(list(rgnet.children())))
#> 18 2
print(sum(isinstance(module, nn.Linear) for module in rgnet.modules()))
#> 7

# %% [markdown]
# 這 18 個模組是：網路自己、兩個直屬子模組、三個區塊，以及每個區塊裡的四層；18 個當中有 7 個是線性層。

# %% [markdown]
# ## 修改參數的值
#
# 你想把參數設成指定的值，例如來自另一個程式的值。
# 做法是在 `torch.no_grad()` 之下使用原地操作，也就是寫在 `with torch.no_grad():` 區塊裡。
# <dfn>原地操作</dfn>（in-place operation）直接寫入現有張量的記憶體，不建立新的張量，例如 `X += 1`，以及 `copy_`、`fill_` 這類名稱以底線結尾的方法。
# `torch.no_grad()` 讓 autograd 不記錄這個操作；少了它，PyTorch 會引發錯誤。

# %%
layer = nn.Linear(2, 1)
with torch.no_grad():
    layer.weight.copy_(torch.tensor([[1.0, 2.0]]))
    layer.bias.fill_(0.5)
print(layer(torch.tensor([10.0, 100.0])).item())
#> 210.5

# %% [markdown]
# 這一層算的是 `1 * 10 + 2 * 100 + 0.5`，可見權重和偏差都換成了新的值。
# `copy_` 會把新的值轉換成參數的 dtype。
# 張量的 <dfn>dtype</dfn> 是其中數字的型別，例如 `torch.float32` 就是 32 位元浮點數。
#
# 參數還是同一個物件，所以持有它的優化器或其他層，用到的也是新的值。
#
# 只能在 `backward()` 之後、下一次前向傳播之前修改值。
# 在前向傳播和對應的 `backward()` 之間，計算圖可能還需要舊的值。
# <dfn>計算圖</dfn>（computation graph）是 autograd 的紀錄，記下張量是由哪些運算產生的，以及求導數所需的值。
# `backward()` 沿著這張圖，從結果一路走回參數。
# 即使在 `torch.no_grad()` 之下，autograd 也會記下每個張量被原地修改了幾次，所以 `backward()` 能發現它需要的值被改過：

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
# **注意。**`.data` 是避開 autograd 取得值的舊方法；透過它做的修改，autograd 不會計數。
# `w**2` 在 2 的導數是 4，但 `backward()` 用了新的值，算出 2 * 20 = 40：

# %%
w = nn.Parameter(torch.tensor(2.0))
y = w**2
w.data.fill_(20.0)
y.backward()
print(w.grad)
#> tensor(40.)

# %% [markdown]
# 沒有錯誤訊息，梯度卻是錯的。
# 不要用 `.data`：讀取值用 `.detach()`，修改值則放在 `torch.no_grad()` 之下。
# 要保留一份舊的值，用 `.detach().clone()`；少了 `clone()`，得到的張量會和參數共用記憶體，跟著參數一起改變。

# %% [markdown]
# ## 凍結參數
#
# 你有一個訓練好的網路，只想訓練它的最後一層，那就把其他層全部凍結。
# <dfn>凍結</dfn>（freezing）一個參數，就是把它的 `requires_grad` 設成 `False`，讓訓練不會改變它。
# autograd 就不再計算它的梯度；只要它的 `.grad` 是 `None`，優化器也會跳過它。
#
# 模組的 `requires_grad_` 方法會設定模組裡所有參數的 `requires_grad`。
# 下面除了最後一層，其餘全部凍結：

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
# 只有最後一層的參數有梯度。
#
# 要依名稱挑選參數，就拿每個名稱的開頭和前綴比對。
# 前綴要以點號結尾，因為 `"2"` 也會比對到名叫 `20` 的層。
# 如果沒有任何名稱符合前綴，就什麼也沒凍結，也不會有錯誤，所以請把凍結的名稱印出來看看：

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
# **注意。**凍結不會影響舊的梯度，也不會影響緩衝區。
#
# 第一，`.grad` 裡可能還留著凍結之前算出的梯度，優化器下一次執行 `step()` 就會用到它。
# 所以凍結之後請呼叫 `net.zero_grad()`。
#
# 第二，緩衝區不會凍結。
# 在訓練模式下，批次正規化層每次前向傳播仍然會更新移動平均值和移動變異數。
# 要停止更新，就對這一層呼叫 `eval()`；之後它會用存下來的平均值和變異數，而不是批次的。

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
# 批次的計數器停在 1：第二次呼叫沒有更新緩衝區。
# `net.train()` 會讓 `net` 的每一層都回到訓練模式，所以每次 `net.train()` 之後，都要再呼叫 `norm.eval()`。
#
# 訓練的時候，沒有任何跡象會告訴你某個參數還凍結著。
# `diagnose` 會把這個問題回報為 `frozen`。

# %% [markdown]
# ## 共享參數：綁定權重
#
# 如果網路把同一個 `nn.Parameter` 物件用在不只一處，就說它有<dfn>綁定的權重</dfn>（tied weights），也稱為共享參數（shared parameters）。
# 例如，可以把一層用在兩處。
# 這時網路在這兩處只有一個權重，`parameters()` 也只回傳它一次：

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
# 第二個輸出用了 `numel()`，也就是張量裡值的個數，確認共享的權重只算一次：預期的數字裡，`8 * 8` 只出現一次。
#
# `is` 可以判斷兩個名稱是不是指向同一個物件。
# 光比較值並不行，因為兩個各自獨立的參數也可能有相同的值。
#
# 用在兩處的參數，梯度是兩處梯度的總和。
# 最簡單的例子是把一個權重用兩次：`y = w * (w * x)`。
# 如果把內層的權重叫作 `a`，外層的權重叫作 `b`，那麼 `y` 對 `a` 的導數是 `b * x`，對 `b` 的導數是 `a * x`。
# 令 `a = b = w`，兩者的總和就是 `2 * w * x`：

# %%
twice = nn.Linear(1, 1, bias=False)
with torch.no_grad():
    twice.weight.fill_(3.0)
nn.Sequential(twice, twice)(torch.tensor([5.0])).backward()
print(twice.weight.grad, 2 * 3 * 5)
#> tensor([[30.]]) 30

# %% [markdown]
# （圖：左邊是前向傳播：x = 5 進入內層，a 乘以 x 得 15，接著進入外層，b 乘以 15 得 45，最後得到 y = 45。
# 右邊是一個 nn.Parameter：a = b = w = 3。
# 兩個虛線箭頭 backward() 從兩層指向它的 grad。
# 內層貢獻 b 乘以 x = 15，外層貢獻 a 乘以 x = 15。
# 在 grad 裡，15 + 15 = 30。）

# %% [markdown]
# ### 兩層共用一個權重
#
# 語言模型的開頭是嵌入（embedding），也就是一張表，每個詞對應一列數字。
# 結尾往往是一個線性層，為每個詞算出一個分數，而這一層的權重同樣是每個詞一列。
# 許多模型讓這兩層使用同一個矩陣，以節省記憶體。
# 要綁定兩層的權重，就把其中一層的參數指派給另一層：

# %%
table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
model = nn.Sequential(table, scores)
print(len(list(model.parameters())), list(model.state_dict()))
#> 1 ['0.weight', '1.weight']

# %% [markdown]
# 模型只有一個參數，而這個參數在狀態字典裡有兩個名稱。

# %% [markdown]
# ### 會解除權重綁定的操作
#
# 初次閱讀可以跳過這一節：等你要載入、移動或替換綁定的權重時，才需要知道這些。
# 有些操作會讓每一層各有自己的參數，而且沒有任何提示；這一節說明其中三種。
# 做過任何一種之後，都要重新綁定權重。
#
# 第一種是 `load_state_dict` 加上 `assign=True`：

# %%
state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
model.load_state_dict(state, assign=True)
print(scores.weight is table.weight)
#> False

# %% [markdown]
# 加上 `assign=True` 時，`load_state_dict` 會一個模組一個模組地建立新的參數。
# 用在兩處的同一層是一個模組，所以兩處仍然共用它的權重。
# 權重綁定的兩層則是兩個模組，所以會各自得到自己的參數。
#
# 第二種是 `to_empty`，它為 meta 裝置上的網路配置記憶體；在 meta 裝置上，張量有形狀，但沒有記憶體，也沒有值：

# %%
with torch.device("meta"):
    table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
model = nn.Sequential(table, scores).to_empty(device="cpu")
print(scores.weight is table.weight)
#> False

# %% [markdown]
# 第三種是指派新的參數：`table.weight = nn.Parameter(...)` 只會改變兩層中的一層。
#
# 另外有兩種操作會保持權重的綁定：`model.double()` 這類轉型（改變參數的 dtype），以及對整個網路使用 `copy.deepcopy`：

# %%
import copy

scores.weight = table.weight
twin = copy.deepcopy(model.double())
print(scores.weight is table.weight, twin[1].weight is twin[0].weight)
#> True True

# %% [markdown]
# ## 建立優化器之後才替換層
#
# 你先建立優化器，之後才替換網路的最後一層。
# 優化器在建立時就拿到了參數，不會再去找新的，手上仍然是舊層的參數：

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
# 輸出 `True` 表示新層的偏差沒有改變，儘管 `backward()` 算出了它的梯度。
# 要把新的參數加進優化器，請用 `add_param_group`，同時還可以為它們設定自己的學習率。
# 優化器的<dfn>學習率</dfn>（learning rate）是決定每一步要讓參數改變多少的係數。

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
# 現在偏差改變了。
# 優化器有兩個參數群組，各有自己的學習率。
# <dfn>參數群組</dfn>（parameter group）是一組參數，優化器對它們使用同樣的選項，例如同樣的學習率。
#
# **代價。**第一個群組裡還留著舊層的兩個參數，而像 Adam 這樣的優化器，還會為它訓練過的每個參數，在記憶體裡多保留幾個張量。
# 要清除這些東西，就建立新的優化器。
# 最好是先改完網路，最後才建立優化器。
#
# **初次閱讀到這裡就可以了。**如果你想用輔助函式檢查大型網路，或者遇到錯誤訊息，或者網路不學習，再往下讀。

# %% [markdown]
# ## 函式庫中的實作
#
# 網路一大，就會想在一張表裡看到它所有的參數和緩衝區。
# `d2lblocks.parameters` 裡有產生這張表的函式，還有另外幾個輔助函式。
# 要安裝這個套件，請把本站的儲存庫 clone 下來，在裡面執行 `pip install .`。

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
# 每個參數和緩衝區的每個名稱，在表裡各占一列。
# 共享的張量每個名稱都有一列，但只算一次；備註 `is 0.weight` 標示這是第二個名稱。
# 延後初始化的參數要等第一個批次來了才有形狀，所以形狀欄顯示 `?`。
# 對於稀疏張量，表裡只計算實際儲存的值；位元組數則包含記錄位置所用的部分。
#
# 如果這張表是筆記本儲存格裡的最後一個運算式，筆記本會把它顯示成 HTML 表格。
# 程式可以讀取表的總計和每一列：

# %%
table = parameter_table(net)
print(table.values, table.trainable_values, table.bytes)
#> 97 80 392
print([row.name for row in table if row.kind == "buffer"])
#> ['3.running_mean', '3.running_var', '3.num_batches_tracked']

# %% [markdown]
# ### 找出使用同一份記憶體的張量：`shared_names`
#
# `shared_names` 會列出使用同一份記憶體的張量名稱。
# 就連使用同一份記憶體的兩個不同參數，也就是 `is` 回傳 `False` 的情況，它也找得出來：

# %%
a, b = nn.Linear(3, 3), nn.Linear(3, 3)
b.weight.data = a.weight.data  # do not do this in your own code
print(a.weight is b.weight, shared_names(nn.Sequential(a, b)))
#> False [['0.weight', '1.weight']]

# %% [markdown]
# 這樣的兩個參數並沒有綁定：它們各有自己的梯度，優化器也會兩個都持有。
# `diagnose` 會把這個問題回報為 `same-memory`。

# %%
pair = nn.Sequential(a, b)
pair(torch.ones(1, 3)).sum().backward()
print(len(list(pair.parameters())), a.weight.grad is b.weight.grad)
#> 4 False

# %% [markdown]
# 單純的 SGD 會把兩個梯度各乘上學習率，再從同一組值中減去。
# 效果等於用梯度的總和走一步，而這個總和正是綁定的權重會有的梯度。
# 用 Adam 或權重衰減時，結果就不一樣了：Adam 會分別縮放兩個梯度，權重衰減則會作用兩次。
# 轉型成另一種 dtype，或者使用 `copy.deepcopy`，會讓這兩個參數各有自己的記憶體。

# %% [markdown]
# ### 依路徑讀寫：`get_tensor` 與 `set_tensor`
#
# `get_tensor` 和 `set_tensor` 接受參數或緩衝區的路徑。
# `set_tensor` 會原地寫入；它接受一個數字，或一個形狀完全相符的張量。

# %%
set_tensor(net, "0.weight", 0.0)
print(bool((net[2].weight == 0).all()))
#> True

# %% [markdown]
# `0.weight` 和 `2.weight` 是同一個參數的兩個名稱，所以 `net[2]` 也有了新的值。
# 如果路徑寫錯，錯誤訊息會建議最接近的名稱：

# %%
try:
    get_tensor(net, "0.wieght")
except AttributeError as error:
    print(f"AttributeError: {error}")
#> AttributeError: Sequential has no parameter or buffer '0.wieght': the nearest is '0.weight'

# %% [markdown]
# 這些輔助函式的原始碼，不含說明字串（docstring）：
#
# *函式庫的原始碼，出自 `d2lblocks/parameters.py`：*

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
# 有些工作請用 PyTorch 或其他套件：
#
# - `nn.Module` 的 `get_parameter`、`get_buffer` 和 `get_submodule`：確定路徑存在的時候用；
# - `torch.nn.utils.parameters_to_vector`：把所有的值放進一個向量；
# - 套件 `torchinfo`：查看每一層輸出的形狀。

# %% [markdown]
# ## 出錯的時候

# %% [markdown]
# ### `a leaf Variable that requires grad is being used in an in-place operation`
#
# 你用 `+=` 之類的原地操作修改參數，卻得到錯誤。
# 如果一個張量不是由 autograd 記錄的運算產生的，就稱為<dfn>葉節點張量</dfn>（leaf tensor）；每個參數都是葉節點張量。
# 在 autograd 記錄期間，需要梯度的葉節點張量不能原地修改。

# %%
layer = nn.Linear(3, 3)
try:
    layer.weight += 1
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: a leaf Variable that requires grad is being used in an in-place operation.

# %% [markdown]
# 修正方法：在 `torch.no_grad()` 之下修改。

# %%
layer = nn.Linear(3, 3)
with torch.no_grad():
    layer.weight += 1

# %% [markdown]
# 如果只修改參數的一部分，訊息會稍有不同，其中提到 *view*，也就是使用另一個張量的記憶體的張量。

# %%
try:
    layer.weight[0] = 0.0
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: a view of a leaf Variable that requires grad is being used in an in-place operation.

# %% [markdown]
# 修正方法相同：

# %%
with torch.no_grad():
    layer.weight[0] = 0.0
print(layer.weight[0].tolist())
#> [0.0, 0.0, 0.0]

# %% [markdown]
# ### `cannot assign 'torch.FloatTensor' as parameter 'bias'`
#
# 你想給參數新的值，於是把一個張量指派給參數的名稱。
# 這個名稱是註冊給參數用的，所以 PyTorch 只接受 `nn.Parameter` 或 `None`。

# %%
try:
    layer.bias = torch.zeros(3)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: cannot assign 'torch.FloatTensor' as parameter 'bias' (torch.nn.Parameter or None expected)

# %% [markdown]
# 修正方法：用 `copy_` 複製值，參數物件不會換掉。
# 也可以指派新的 `nn.Parameter`，但這樣一來，優化器手上仍然是舊的參數，綁定的權重也不再綁定了。

# %%
with torch.no_grad():
    layer.bias.copy_(torch.zeros(3))
print(layer.bias)
#> Parameter containing:
#> tensor([0., 0., 0.], requires_grad=True)

# %% [markdown]
# ### 指派給 `.data` 會掩蓋錯誤的形狀
#
# 某一層回報形狀不對，但你的錯誤其實在更前面的一行：你把形狀不對的張量指派給 `.data`，而這樣的指派接受任何形狀、任何浮點 dtype。
# 下一次前向傳播會引發錯誤；如果 PyTorch 能把這個張量廣播（broadcast，也就是擴展）成正確的形狀，就完全不會有錯誤：

# %%
layer = nn.Linear(3, 1)
layer.bias.data = torch.randn(3, 3)
try:
    layer(torch.rand(2, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: The expanded size of the tensor (1) must match the existing size (3) at non-singleton dimension 1.  Target sizes: [2, 1].  Tensor sizes: [3, 3]

# %% [markdown]
# 修正方法：在 `torch.no_grad()` 之下使用 `copy_`，寫錯的那一行就會引發錯誤。

# %%
layer = nn.Linear(3, 1)
try:
    with torch.no_grad():
        layer.bias.copy_(torch.randn(3, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: output with shape [1] doesn't match the broadcast shape [3, 3]

# %% [markdown]
# `copy_` 仍然會廣播比較小的張量。
# `set_tensor` 不會：它要求形狀完全相符。

# %% [markdown]
# ### 梯度是錯的，卻沒有錯誤訊息
#
# 訓練過程沒有錯誤，但有一個梯度的值是錯的。
# 你在前向傳播和 `backward()` 之間，透過 `.data` 改了權重。
# 前面的例子算出的梯度是 40 而不是 4，就是這個原因。
#
# 修正方法：在 `backward()` 之後、在 `torch.no_grad()` 之下修改權重。

# %%
w = nn.Parameter(torch.tensor(2.0))
y = w**2
y.backward()
with torch.no_grad():
    w.fill_(20.0)
print(w.grad)
#> tensor(4.)

# %% [markdown]
# 下次如何及早發現：只在 `torch.no_grad()` 之下修改權重；萬一改得太早，`backward()` 會引發錯誤，而不是算出錯的梯度。
#
# 如果 `forward` 透過 `.data` 修改權重，也是犯了同樣的錯。
# `diagnose` 會把這個問題回報為 `data-write`。

# %% [markdown]
# ### 替換後的層不學習
#
# 你替換了一層，但訓練的時候，新層的參數不會改變。
# 優化器在替換之前就建立好了，手上仍然是舊層的參數，就像前面說明的那樣。
# `load_state_dict(..., assign=True)` 之後也是如此，因為它會替換每一個參數：

# %%
layer = nn.Linear(2, 2)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
layer.load_state_dict(layer.state_dict(), assign=True)
held = optimizer.param_groups[0]["params"]
print(any(parameter is layer.weight for parameter in held))
#> False

# %% [markdown]
# 修正方法：最後才建立優化器。
#
# 下次如何及早發現：像這個程式碼片段一樣，在 `optimizer.param_groups` 裡找找看有沒有這個參數。
# `diagnose` 會把這個問題回報為 `optimizer`。

# %% [markdown]
# ### `optimizer got an empty parameter list`，網路明明有參數
#
# 你的網路有參數，優化器卻說一個也沒拿到。
# `parameters()` 回傳的是產生器（generator），用迴圈走過一遍之後就空了：

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
# 修正方法：保留一個串列，或者再呼叫一次 `parameters()`。

# %%
parameters = list(net.parameters())
print(
    len(parameters), len(torch.optim.SGD(parameters, lr=0.1).param_groups[0]["params"])
)
#> 2 2

# %% [markdown]
# ### `can't optimize a non-leaf Tensor`
#
# 你把一個張量交給優化器，優化器卻不接受。
# 優化器只改變葉節點張量，而你的張量是對參數做運算的結果。
# 轉型就是這樣的運算；如果張量需要移動，`.to(device)` 也是：

# %%
weight = nn.Parameter(torch.rand(2)).double()
try:
    torch.optim.SGD([weight], lr=0.1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: can't optimize a non-leaf Tensor

# %% [markdown]
# 修正方法：先轉型、移動或計算，最後才建立 `nn.Parameter`。

# %%
weight = nn.Parameter(torch.rand(2).double())
print(torch.optim.SGD([weight], lr=0.1).param_groups[0]["params"][0] is weight)
#> True

# %% [markdown]
# 在模組裡犯這個錯不會引發錯誤，因為運算的結果沒有註冊：請看自訂層的錯誤。
# `diagnose` 會把這個問題回報為 `not-a-parameter`。

# %% [markdown]
# ### `some parameters appear in more than one parameter group`
#
# 你想讓某一層用不同的學習率，所以為它加了一個群組。
# 現在它的參數同時在兩個群組裡：新的群組，以及包含所有參數的群組。

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
# 修正方法：建立互不重疊的群組。

# %%
groups = [
    {"params": net[:2].parameters()},
    {"params": net[2].parameters(), "lr": 0.01},
]
print([group["lr"] for group in torch.optim.SGD(groups, lr=0.1).param_groups])
#> [0.1, 0.01]

# %% [markdown]
# ### 凍結的層還在訓練：`require_grad`
#
# 你凍結了一層，訓練卻還是會改變它。
# 參數的這個屬性叫作 `requires_grad`，中間有一個 `s`。
# 如果拼錯，Python 會建立一個新的屬性，而且沒有任何提示：

# %%
net[0].weight.require_grad = False
print(net[0].weight.requires_grad)
#> True

# %% [markdown]
# 模組沒有 `requires_grad` 這個屬性，所以對它指派也會建立新的屬性：

# %%
net.requires_grad = False
print(net[2].weight.requires_grad)
#> True

# %% [markdown]
# 修正方法：呼叫 `requires_grad_` 方法，參數和模組都有這個方法。

# %%
net[0].weight.requires_grad_(False)
print(net[0].weight.requires_grad)
#> False

# %% [markdown]
# 下次如何及早發現：把 `requires_grad` 是 `True` 的參數名稱印出來。
# `diagnose` 會把這個問題回報為 `misspelt`。

# %% [markdown]
# ### `'method' object is not subscriptable`
#
# 你想讀取狀態字典裡的某一項，卻得到和方法有關的錯誤。
# `state_dict` 是方法，這裡少了用來呼叫的括號。

# %%
try:
    net.state_dict["0.weight"]
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: 'method' object is not subscriptable

# %% [markdown]
# 修正方法：呼叫這個方法。

# %%
print(net.state_dict()["0.weight"].shape)
#> torch.Size([8, 4])

# %% [markdown]
# ### `Only Tensors created explicitly by the user ... support the deepcopy protocol`
#
# 你用 `copy.deepcopy` 複製網路，卻得到錯誤，內容提到由使用者建立的張量。
# `copy.deepcopy` 只能複製葉節點張量，而網路裡有一個由參數算出來的張量。
# 如果模組會把上一次的輸出存起來，裡面就有這樣的張量。
# 兩個比較舊的函式 `nn.utils.weight_norm` 和 `nn.utils.spectral_norm` 會用其他張量算出一層的權重，再把結果存在層裡。

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
# 修正方法：只存值，不存它的計算圖。

# %%
keeps.last = keeps.last.detach()
print(torch.equal(copy.deepcopy(keeps).last, keeps.last))
#> True

# %% [markdown]
# 如果用的是 `weight_norm`，請改用 `nn.utils.parametrizations` 裡同名的新函式，它在每次需要權重時才計算。
# 使用新函式的層，可以載入舊函式所儲存的狀態字典。

# %%
normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
print(torch.equal(copy.deepcopy(normed)(X), normed(X)))
#> True

# %% [markdown]
# ### `[layer] * 3` 建立的是一層，不是三層
#
# 你想要三個同種類的層，網路裡卻只有一層的參數。
# `[layer] * 3` 這個串列，是把同一層放了三次。

# %%
net = nn.Sequential(*[nn.Linear(4, 4)] * 3)
print(len(list(net.parameters())), shared_names(net))
#> 2 [['0.weight', '1.weight', '2.weight'], ['0.bias', '1.bias', '2.bias']]

# %% [markdown]
# 修正方法：用串列綜合運算（list comprehension），就會建立三層。

# %%
net = nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)])
print(len(list(net.parameters())), shared_names(net))
#> 6 []

# %% [markdown]
# 下次如何及早發現：印出 `shared_names(net)`，沒有任何共享時，結果是空的。
# `diagnose` 會把這個問題回報為 `one-layer-many-names`。

# %% [markdown]
# ## 練習題

# %% [markdown]
# ### 練習題 1
#
# 寫一個函式 `part(net, path)`，回傳網路中某個路徑上的部分；路徑用點號分隔，例如 `"net.0.weight"` 就是一個權重。
# 這個部分可以是參數、緩衝區，也可以是模組，例如 `"net.0"`；函式回傳的是物件本身，不是複本。
# 函式沿著路徑，一個名稱一個名稱往下找。
# 每個名稱都是屬性的名稱；像 `1` 這樣的名稱，不一定是直屬子模組的位置。
#
# 練習（簡單）：`python -m d2lblocks practice start parameters/1`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 路徑會告訴你依序要取哪些屬性和索引。
# `net.0.weight` 這個權重就是 `net.net[0].weight`：名稱 `0` 也是屬性，但 `net.net.0` 不是合法的 Python 寫法，所以用 `getattr` 來讀。
#
# *parameters/1_by_path.py*

# %%
def part(net, path):
    for name in path.split("."):
        net = getattr(net, name)
    return net

# %% [markdown]
# 這個程式碼片段用三種方式取得 `NestMLP` 的每個參數：用迴圈、逐一手寫，以及用路徑。

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
# ### 練習題 2
#
# 完成一個把同一個隱藏層用兩次的 MLP。
# `SharedMLP(4, 8, 1)` 有三個線性層：`first` 從 4 個數字到 8 個，`hidden` 從 8 個到 8 個，`last` 從 8 個到 1 個。
# 在 `forward` 裡，輸入先經過 `first`，再經過 `hidden`，接著再經過同一個 `hidden` 一次，最後經過 `last`。
# `first` 的輸出和 `hidden` 的兩次輸出，都要套用 `F.relu`。
# `net.state_dict()` 有六個項目：三層各有一個權重和一個偏差。
#
# 練習（簡單）：`python -m d2lblocks practice start parameters/2`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 這一層只建立一次，呼叫兩次。
# 不必把任何東西從一處複製到另一處，因為兩次呼叫用的是同一組參數。
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
# 這個網路可以訓練，而共享權重的梯度是兩處梯度的總和。
# 為了分別得到這兩個梯度，程式碼片段在第二處放入 `hidden` 的複本，然後再執行一次網路：

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
# ### 練習題 3
#
# 函式 `freeze(net, name)` 應該要凍結叫這個名稱的模組，例如 `"1"` 或 `"net.0"`，但它有五個錯誤。
# 請修好它：呼叫之後，這個模組的參數都不需要梯度，每個參數的 `.grad` 也都是 `None`，這樣就沒有優化器會改變它們。
# 其他參數都維持原狀，連同它們的梯度：`freeze(net, "1")` 不會凍結模組 `10`。
# 如果一個模組在網路裡有兩個名稱，用哪個名稱都能凍結它。
# 如果沒有模組叫這個名稱，函式要引發錯誤。
#
# 練習（中等）：`python -m d2lblocks practice start parameters/3`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 這個函式有五個錯誤。
# `require_grad` 拼錯了，所以成了新的屬性，什麼也沒凍結。
# 前綴 `1` 也會比對到模組 `10` 的名稱。
# 有兩個名稱的參數只會用第一個名稱列出來。
# 舊的梯度還在，優化器的下一步會用到它。
# 如果沒有模組叫這個名稱，什麼也不會發生，也不會有錯誤。
# 比較簡單的做法是先取得模組，其餘的交給模組自己的方法：
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
# ### 練習題 4
#
# 寫兩個函式，看看模型共用一個矩陣可以節省多少記憶體。
# `language_model(words, features)` 回傳一個 `nn.Sequential`，由權重綁定的 `nn.Embedding(words, features)` 和 `nn.Linear(features, words, bias=False)` 組成。
# `size(net)` 回傳任何一個網路的參數和緩衝區總共占多少位元組，每個張量只算一次。
# 同一個網路裡，不同的張量可以有不同的 dtype。
# `size` 也要適用於 meta 裝置上的網路；在那裡，張量有形狀和 dtype，但沒有記憶體。
#
# 練習（中等）：`python -m d2lblocks practice start parameters/4`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 兩層各有一個每個詞一列的矩陣，所以可以共用一個矩陣。
# 多一個矩陣就多占一份記憶體，而且那個矩陣也得學習。
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
# 在 meta 裝置上，不必真的配置記憶體，就能算出大型模型需要多少記憶體；這裡是 50,000 個詞，每個詞 512 個數字。
# 第二個模型有同樣的兩層，但沒有綁定。

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
# ### 練習題 5
#
# 權重衰減是給權重矩陣用的，不是給偏差或正規化層的縮放係數用的。
# 寫一個函式 `decay_groups(net, decay)`，回傳一個串列，內含優化器的兩個參數群組，用法如 `torch.optim.AdamW(decay_groups(net, 0.01))`。
# 第一個群組放至少有兩個維度的參數，`"weight_decay"` 設成 `decay`。
# 第二個群組放其餘的參數，權重衰減是 0。
# 凍結的參數不屬於任何一個群組；有兩個名稱的參數，在所屬的群組裡只出現一次。
#
# 練習（中等）：`python -m d2lblocks practice start parameters/5`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 線性層或卷積層的權重至少有兩個維度。
# 偏差只有一個維度，大多數正規化層的縮放係數也是。
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
# **限制。**這條規則並不精確：嵌入，以及作用在兩個維度上的 `LayerNorm`，也會套用權重衰減。
# 延後初始化的網路要先試跑。

# %% [markdown]
# ### 練習題 6
#
# 載入可能會解除模型的權重綁定，所以訓練腳本在第一步之前會先檢查。
# 寫一個函式 `ties(net)`，回傳綁定的參數的名稱：每個至少有兩個名稱的參數，各有一個名稱串列。
# 這些串列的順序不拘，串列裡名稱的順序也不拘。
# 使用同一份記憶體的兩個參數不算綁定，因為它們各有自己的梯度。
# 再寫一個函式 `tie(net, groups)`，把權重重新綁定：完成之後，`groups` 裡每個串列的所有名稱，都指向其中第一個名稱的參數。
# 其他名稱都維持原狀。
#
# 練習（較難）：`python -m d2lblocks practice start parameters/6`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 綁定的權重就是同一個 `nn.Parameter` 物件，所以檢查的時候，按物件把名稱分組。
# 要綁定一個名稱，就在持有它的模組上設定；最後一個點號之前的部分，就是那個模組的路徑。
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
# 訓練腳本在載入之前先記下這些群組，載入之後再重新綁定權重：

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
# `shared_names` 找不出這個問題：在 `load_state_dict(torch.load(path), assign=True)` 之後，這兩個參數雖然是兩個物件，卻仍然使用同一份記憶體。

# %% [markdown]
# ## 小結
#
# | 需求 | 寫法 |
# |---|---|
# | 單一參數 | `net[2].bias`, `net.get_parameter("2.bias")` |
# | 參數的值、梯度 | `.detach()`, `.grad` |
# | 所有參數，連同名稱 | `net.named_parameters()` |
# | 還要緩衝區和多出來的名稱 | `net.state_dict()`, `parameter_table(net)` |
# | 修改值 | `with torch.no_grad(): parameter.copy_(...)`, `set_tensor(net, path, value)` |
# | 凍結 | `net.requires_grad_(False)` |
# | 共享 | 一層用在兩處，或 `b.weight = a.weight` |
# | 查看哪些是共享的 | `is`, `shared_names(net)` |
# | 某一層單獨的學習率 | `optimizer.add_param_group(...)` |
# | 持有全部參數的優化器 | `torch.optim.SGD(net.parameters(), lr=...)`，放在所有修改之後 |
#
# 函式庫的函式都在 `d2lblocks.parameters` 裡。
#
# 下一步：初始化，選擇參數在訓練之前的值。
