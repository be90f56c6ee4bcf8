# %% [markdown]
# # 檔案讀寫
#
# 這是 d2lblocks「檔案讀寫」這一頁的腳本版：由頁面產生，並且執行過。
# 執行它需要 `d2lblocks`、`numpy`、`safetensors` 和 `torch`。
# 把儲存庫 clone 下來，在裡面執行 `pip install .`，就會裝好 `d2lblocks`。
#
# 網路已經訓練了好幾個小時，工作卻被強制中止，學到的東西全部沒了。
# 又或者，訓練已經完成，同事想在筆電上執行你的網路。
# 這兩種情況都需要一個完整、而且可以安全開啟的檔案。
#
# - **讀完之後你能：**儲存和載入網路學到的東西；接續中斷的訓練，就像沒有中斷過一樣；分辨哪些檔案可以安全開啟。
# - **需要先會：**層與模組和參數；要用函式庫的函式，先把本站的儲存庫 clone 下來，在裡面執行 `pip install .`。
# - **需要多少時間：**讀到損壞的檔案之前約 40 分鐘，要儲存和載入網路，這一部分就夠了；連同其餘部分和練習題約 90 分鐘。

# %%
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)

# %% [markdown]
# ## 儲存張量、串列與字典
#
# 程式結束，程式裡的變數也跟著消失。
# 要留下張量，就用 `torch.save` 寫進檔案，再用 `torch.load` 讀回來。
# <dfn>序列化</dfn>（serialization）把記憶體裡的物件變成可以存進檔案的位元組；反序列化（deserialization）再把位元組變回物件。

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
# 檔名通常以 `.pt` 或 `.pth` 結尾，但 PyTorch 接受任何檔名。

# %% [markdown]
# ## 儲存網路的參數：`state_dict`
#
# 儲存模型時，不必儲存網路本身。
# 網路的程式碼就在你的程式裡，檔案只需要值：參數和持久緩衝區，例如批次正規化層的移動平均值。
# `state_dict()` 回傳一個字典，把名稱對應到這些張量：

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
# 檔案裡有四個張量、它們的名稱，以及每個模組的版本編號。
# 檔案不知道有 `relu`，也不知道類別 `MLP`。
# 要從這個檔案載入模型，就把網路重新建立一次，再用 `load_state_dict` 把值複製進去：

# %%
clone = MLP()
print(clone.load_state_dict(torch.load("mlp.pt")))
#> <All keys matched successfully>
print(torch.equal(clone.eval()(X), Y))
#> True

# %% [markdown]
# 預測之前，先呼叫 `eval()`，讓 dropout 和批次正規化切換到評估模式。
# 這個網路兩者都沒有。

# %% [markdown]
# ### 儲存架構的三種方式
#
# 初次閱讀可以跳過這一節：只有載入的程式不知道網路的程式碼或大小，才用得到。
#
# 網路的<dfn>架構</dfn>（architecture），是張量的值以外的一切：有哪些層、各層多大，以及把它們接起來的程式碼。
# 狀態字典不包含架構，所以要用別的方式保留：
#
# 1. **程式碼留在程式裡，引數存進檔案。**這是一般的做法：建構網路時用的引數，也一起存進檔案。

# %%
sized = nn.Sequential(nn.Linear(20, 64), nn.Linear(64, 10))
torch.save({"sizes": [20, 64, 10], "net": sized.state_dict()}, "with_sizes.pt")

loaded = torch.load("with_sizes.pt")
n_in, n_hidden, n_out = loaded["sizes"]
rebuilt = nn.Sequential(nn.Linear(n_in, n_hidden), nn.Linear(n_hidden, n_out))
print(rebuilt.load_state_dict(loaded["net"]))
#> <All keys matched successfully>

# %% [markdown]
# 2. **把計算存成一張圖**，用 [`torch.export`](https://docs.pytorch.org/docs/stable/export.html)。
#    檔案裡是運算和權重，所以載入時完全不需要你的程式碼。
#    匯出的網路無法切換模式，所以要先呼叫 `eval()`。
#    它只接受和範例輸入相同的裝置與批次大小；要用其他大小，見編譯與匯出。

# %%
torch.export.save(torch.export.export(net.eval(), (X,)), "mlp.pt2")
program = torch.export.load("mlp.pt2").module()
print(torch.allclose(program(X), Y))
#> True

# %% [markdown]
#     PyTorch 2.11 和 2.12 在這裡會警告有個緩衝區無法寫入；這個警告可以忽略。
#
# 3. **儲存整個物件**，用 `torch.save(net, "net.pt")`。
#    檔案裡沒有你的類別，只有類別的名稱，所以還要能從同一個 Python 模組匯入同名的類別，才能載入。
#    載入還會執行檔案裡的指令，所以可能有危險。

# %% [markdown]
# ## 嚴格載入：名稱和形狀必須相符
#
# 儲存之後，如果某一層改了名稱或大小，`load_state_dict` 就會引發錯誤，並列出每一處差異：

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
# 「Missing」（缺少）列出的名稱只在網路裡，「Unexpected」（多餘）列出的名稱只在狀態字典裡。
#
# （圖：左右兩欄：狀態字典和網路。
# 兩邊都有 out.weight 和 out.bias，中間有一支由左到右的箭頭，寫著：複製。
# hidden.weight 和 hidden.bias 只在狀態字典裡，屬於多餘：網路裡沒有。
# first.weight 和 first.bias 只在網路裡，屬於缺少：狀態字典裡沒有。）
#
# <dfn>嚴格載入</dfn>（strict loading）是 `load_state_dict` 的預設行為：如果有名稱只出現在網路裡，或只出現在狀態字典裡，就引發錯誤；`strict=False` 則忽略這樣的名稱。
# 不管用哪一種，形狀不對都是錯誤。
#
# **注意。**能複製的都複製**之後**，才會引發這個錯誤，所以這時網路裡有些是舊的值，有些是新的值。
# 遇到這種錯誤，請建立新的網路，或是改用 `load_parameters`，它會先全部檢查完才複製。

# %% [markdown]
# ### 前綴：`module.` 與 `_orig_mod.`
#
# 初次閱讀可以跳過這一節：等檔案裡的名稱以 `module.` 開頭，或含有 `_orig_mod.`，再回來讀。
#
# 有些工具會把網路包裝在另一個模組裡。
# 在多個 GPU 上訓練網路的 `DataParallel` 和 `DistributedDataParallel`，把網路放在自己的屬性 `module` 裡；`torch.compile` 則放在 `_orig_mod` 裡。
# 如果儲存的是包裝器，狀態字典裡的每個名稱都會以這個屬性的名稱開頭：

# %%
compiled = torch.compile(net, backend="eager")
print(list(compiled.state_dict())[:2])
#> ['_orig_mod.hidden.weight', '_orig_mod.hidden.bias']

# %% [markdown]
# 要避免這種情況，可以儲存自己網路的狀態字典（`compiled._orig_mod`），而不是包裝器的；也可以用 `net.compile()` 原地編譯，名稱就不會變。
#
# 如果檔案裡已經是這種名稱，就把前綴去掉。
# PyTorch 的 `consume_prefix_in_state_dict_if_present` 會原地修改字典，什麼也不回傳：

# %%
wrapped = {f"module.{name}": tensor for name, tensor in net.state_dict().items()}
nn.modules.utils.consume_prefix_in_state_dict_if_present(wrapped, "module.")
print(MLP().load_state_dict(wrapped))
#> <All keys matched successfully>

# %% [markdown]
# 這個函式只看每個名稱的開頭。
# 如果只編譯了網路的一部分，`_orig_mod` 會出現在名稱的中間，函式就什麼也不改，而且沒有任何提示：

# %%
partly = nn.Sequential(torch.compile(nn.Linear(20, 3), backend="eager"), nn.ReLU())
state = partly.state_dict()
nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "_orig_mod.")
print(list(state))
#> ['0._orig_mod.weight', '0._orig_mod.bias']

# %% [markdown]
# 要去掉所有的包裝器，就把名稱裡的 `module` 和 `_orig_mod` 這兩段都去掉，不管出現在哪個位置：

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
# 如果你自己的網路有名為 `module` 的屬性，就不要用 `unwrapped`。

# %% [markdown]
# ## 把網路的一部分載入另一個網路
#
# 某個網路已經訓練好了，你想在另一項任務的網路裡重複使用它的第一層。
# 每一層都是模組，所以都有自己的 `state_dict`：

# %%
other = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 3))
other[0].load_state_dict(net.hidden.state_dict())
print(torch.equal(other[0].weight, net.hidden.weight))
#> True

# %% [markdown]
# 如果手上只有檔案，就把屬於那一層的項目挑出來。
# 這些項目的名稱以那一層的路徑開頭，在這裡是 `hidden.`；在那一層裡面，名稱則是 `weight` 和 `bias`：

# %%
state = torch.load("mlp.pt")
part = {name: state[f"hidden.{name}"] for name in ("weight", "bias")}
print(other[0].load_state_dict(part))
#> <All keys matched successfully>

# %% [markdown]
# ## 綁定的權重
#
# 如果你的網路沒有任何兩層共享參數，初次閱讀可以跳過這一節。
#
# 綁定的權重有兩個名稱。
# 它在狀態字典裡出現兩次，在檔案裡卻只存一份。
# `data_ptr()` 回傳張量第一個值的位址；載入之後，兩個名稱的位址相同：

# %%
table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
scores.weight = table.weight
tied = nn.Sequential(table, scores)
torch.save(tied.state_dict(), "tied.pt")
state = torch.load("tied.pt")
print(list(state), state["0.weight"].data_ptr() == state["1.weight"].data_ptr())
#> ['0.weight', '1.weight'] True

# %% [markdown]
# 檔案不會替你綁定網路裡的任何權重，所以要在載入之前先綁定。
# `load_state_dict` 把值複製到網路現有的張量裡，所以權重維持綁定，先前建立的優化器所持有的張量也仍然正確：

# %%
before = table.weight
tied.load_state_dict(state)
print(table.weight is before, scores.weight is before)
#> True True

# %% [markdown]
# **注意。**如果狀態字典來自沒有綁定的網路，綁定的權重在裡面可能對應到兩個不同的張量。
# 兩個都會複製到這個權重裡，沒有任何提示，所以最後只剩下第二個：

# %%
state = {"0.weight": torch.zeros(5, 4), "1.weight": torch.ones(5, 4)}
tied.load_state_dict(state)
print(table.weight.detach().unique())
#> tensor([1.])

# %% [markdown]
# ## View：儲存張量的一部分，會存下整個張量
#
# 初次閱讀可以跳過這一節：等你儲存大張量的切片，卻發現檔案太大，再回來讀。
#
# 張量的<dfn>儲存空間</dfn>（storage）是存放張量值的那塊記憶體；幾個張量可以共用一個儲存空間。
# <dfn>view</dfn> 是和另一個張量共用儲存空間的張量，例如 `X[:1]` 這樣的切片。
# `torch.save` 會寫出整個儲存空間，所以儲存之前共用儲存空間的張量，載入之後仍然共用。
# 因此，儲存只有一個值的 view，也可能寫出四百萬位元組：

# %%
import os

large = torch.zeros(1_000_000)
torch.save(large[:1], "view.pt")
torch.save(large[:1].clone(), "clone.pt")
print(os.path.getsize("view.pt") > 4_000_000, os.path.getsize("clone.pt") < 4_000)
#> True True

# %% [markdown]
# 如果只需要大張量的一小部分，就儲存它的 `clone()`，複本有自己的儲存空間。

# %% [markdown]
# ## `.pt` 檔案裡有什麼
#
# 初次閱讀可以跳過這一節：這裡說明綁定的權重為什麼只存一份，以及有些檔案為什麼危險。
#
# `torch.save` 寫出的檔案是一個 zip 檔。
# 其中一個成員 `data.pkl` 存放名稱，並描述每個張量：型別、形狀、儲存空間和步幅。
# 張量的<dfn>步幅</dfn>（strides）是指每個維度上相鄰的兩個元素，在儲存空間裡相隔幾個元素。
# 值放在 zip 檔的其他成員裡，每個儲存空間一個成員。
# 前面那個綁定的權重，兩個名稱指向同一個儲存空間，所以這樣的成員只有一個：

# %%
import zipfile

with zipfile.ZipFile("tied.pt") as file:
    print([name for name in file.namelist() if name.startswith("tied/data")])
#> ['tied/data.pkl', 'tied/data/0']

# %% [markdown]
# （圖：兩個檔案，存放相同的綁定權重。
# 上面是 torch.save 寫出的 zip 檔。
# 其中的成員 tied/data.pkl 是 pickle，裡面有名稱 0.weight 和 1.weight，以及各自的形狀；兩個名稱都指向成員 tied/data/0，裡面有 20 個數字，每個 4 位元組。
# 另有一些小部分，記錄版本和位元組順序。
# 下面是 safetensors 檔案。
# 開頭是標頭的長度。
# 接著是標頭，內容是文字，寫著 0.weight 的型別是 F32，形狀是 5 乘 4，位於位元組 0 到 80，而 1.weight 就是 0.weight。
# 標頭之後是那 20 個數字。
# 這個檔案裡沒有任何可以執行的東西。）
#
# 圖的下半部是同一個網路存成的 safetensors 檔案，由 `save_parameters` 寫出（圖中省略了校驗碼）。
# 它的標頭是純文字，而 `data.pkl` 是 pickle，可以執行程式碼。

# %% [markdown]
# ## 接續訓練
#
# 訓練只走完一半的步數就停了，你想繼續訓練，就像沒有停過一樣。
# <dfn>檢查點</dfn>（checkpoint）是一個檔案，裡面有網路的值，以及繼續訓練所需的其他一切。
# <dfn>接續</dfn>（resuming）訓練，就是從檢查點繼續訓練，往往是在另一個行程裡。
#
# 只有參數和緩衝區還不夠，因為訓練還取決於另外三種狀態：
#
# - 優化器可能保留著梯度的移動平均值（稱為動差，moments），Adam 就是如此。
# - 學習率排程器會計算步數。
#   <dfn>學習率排程器</dfn>（learning-rate scheduler）在訓練過程中改變優化器的學習率。
# - 亂數產生器決定 dropout 把哪些值設為零，以及資料打亂後的順序。
#
# 有了全部四種狀態，接續訓練最後得到的網路，就和從未中斷的訓練得到的相同，每個位元都一樣。
# 下面的程式碼片段先把一個網路一口氣訓練六步，再把另一個網路訓練三步，並儲存它的所有狀態：

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
# 現在像新的行程那樣重新開始，載入全部四種狀態，再訓練三步：

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
# 兩個網路相等。
# 如果只載入網路，結果就不同了：

# %%
net, optimizer, scheduler = start()
net.load_state_dict(loaded["net"])
train(net, optimizer, scheduler, steps=3)
print(all(torch.equal(a, b) for a, b in zip(net.parameters(), unstopped.parameters())))
#> False

# %% [markdown]
# 你的訓練可能不只取決於這四種狀態。
# 下面這些也要儲存：
#
# - 已經完成的步數（如果迴圈會計算步數）；
# - `GradScaler` 的狀態（如果以 `float16` 訓練）；
# - Python 的 `random` 和 NumPy 的狀態（如果有用到）；
# - 資料讀到的位置（如果訓練可能停在某個 epoch 的中間）。
#   <dfn>Epoch</dfn> 是指把全部訓練資料走過一遍。
#
# 每個 GPU 都有自己的亂數產生器，所以也要儲存 `torch.cuda.get_rng_state_all()`。
# 不要用 `map_location="cuda"`（見裝置）載入這樣的檢查點，因為 `set_rng_state` 不接受位於 GPU 上的狀態。
# 在 GPU 上要得到相同的結果，還需要 `torch.use_deterministic_algorithms(True)`、相同型號的 GPU，以及相同的軟體版本。
#
# `save_checkpoint` 會儲存亂數狀態、你傳入的步數，以及你傳入的所有物件的狀態。

# %% [markdown]
# ## 裝置
#
# 在有 GPU 的機器上寫出的檔案，常常要在沒有 GPU 的機器上讀取。
# `torch.save` 會記下每個張量所在的裝置，`torch.load` 會把張量放回那個裝置；如果沒有那個裝置，就會失敗。
# <dfn>`map_location`</dfn> 是 `torch.load` 的引數，指定要把檔案裡的張量放到哪個裝置上，不管當初是從哪個裝置儲存的。
# 用 `"cpu"` 幾乎總是對的，因為之後 `load_state_dict` 會把值複製到網路所在的裝置。

# %%
state = torch.load("mlp.pt", map_location="cpu")
print({tensor.device.type for tensor in state.values()})
#> {'cpu'}
shapes = torch.load("mlp.pt", map_location="meta")
print(shapes["out.weight"].shape, shapes["out.weight"].device)
#> torch.Size([10, 256]) meta

# %% [markdown]
# 用 `"meta"` 可以很快看出大檔案裡有什麼：`torch.load` 只讀取名稱、形狀和 dtype。
#
# 下面的程式碼片段需要 GPU。
# 不指定 `map_location`，張量就回到 GPU；指定 `"cpu"` 就不會：
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
# ## 安全性：pickle、`weights_only` 與 safetensors
#
# 你下載了一個權重檔。
# 開啟這個檔案，可能和執行同一來源的程式一樣危險，因為 `torch.save` 使用 Python 的 `pickle`。
# <dfn>pickle</dfn> 是一串位元組，裡面的指令告訴 Python 的 `pickle` 模組如何建立物件；這些指令可以呼叫 Python 匯入得到的任何函式。
# `__reduce__` 回傳 pickle 要呼叫的函式和引數；這裡的函式是 `print`，但也可以是任何別的函式：

# %%
import pickle


class Greeting:
    def __reduce__(self):
        return print, ("code from the file is running",)


content = pickle.dumps(Greeting())
pickle.loads(content)
#> code from the file is running

# %% [markdown]
# 所以 `torch.load` 預設使用 `weights_only=True`：它接受張量、數字、字串、由這些組成的容器，除此之外幾乎都不接受。
# 遇到其他物件就拒絕，檔案裡的程式碼不會執行：

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
# 如果設成 `weights_only=False`，檔案裡的程式碼就會執行，所以只能用在自己寫出的檔案上。
#
# 這個預設值防不了錯誤的值、故意撐爆記憶體的檔案，也防不了讀取程式本身的漏洞（[其中一個漏洞](https://github.com/pytorch/pytorch/security/advisories/GHSA-53q9-r3pm-6pq6)已在 PyTorch 2.6 修正）。
#
# 如果檔案是別人給的，就請對方提供 safetensors 格式。
# <dfn>Safetensors</dfn> 這種檔案格式只存放有名稱的張量和文字，沒有別的，所以讀取這種檔案不會執行其中的任何程式碼。
#
# | 格式 | 內容 | 讀取時可能執行程式碼 | 可讀取的程式 |
# |---|---|---|---|
# | `torch.save`，以 `weights_only=True` 讀取 | 張量、數字、字串、容器 | 只有在 PyTorch 有漏洞時 | PyTorch |
# | `torch.save`，以 `weights_only=False` 讀取 | 任何東西 | 是 | PyTorch，前提是匯入得到你的類別 |
# | [safetensors](https://huggingface.co/docs/safetensors) | 有名稱的張量，以及文字 | 否 | 許多程式，不用 Python 也行 |
# | [`torch.distributed.checkpoint`](https://docs.pytorch.org/docs/stable/distributed.checkpoint.html) | 切成小塊的張量，來自多個行程 | 是：中繼資料是 pickle | PyTorch，行程數不限 |
# | [`torch.export.save`](https://docs.pytorch.org/docs/stable/export.html) | 運算和權重 | 是：其中有些部分是 pickle | PyTorch，不需要你的類別 |

# %% [markdown]
# ## 函式庫中的實作
#
# `d2lblocks.serialization` 有三對函式。
# 它們會複製 view、比對 dtype，並把舊檔案保留到新檔案寫完為止；只用 PyTorch 的話，這些都得自己處理。

# %% [markdown]
# ### 張量、串列與字典：`save` 與 `load`

# %%
from d2lblocks import load, load_parameters, save, save_parameters

save({"x": x, "losses": [0.5, 0.25]}, "data.pt")
print(load("data.pt"))
#> {'x': tensor([0, 1, 2, 3]), 'losses': [0.5, 0.25]}

# %% [markdown]
# 凡是 `load` 讀不回來的東西，`save` 一律拒絕，並指出它在物件裡的位置：

# %%
try:
    save({"metrics": [print]}, "data.pt")
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: cannot save builtin_function_or_method at ['metrics'][0]: expected tensors, numbers, strings, None, and lists, tuples and dicts of them

# %% [markdown]
# 對於 view，`save` 只寫出它在儲存空間裡用到的部分：

# %%
save(large[:1], "view.pt")
print(os.path.getsize("view.pt") < 4_000)
#> True

# %% [markdown]
# ### 網路：`save_parameters` 與 `load_parameters`
#
# `save_parameters` 把網路的參數和緩衝區寫成 safetensors 檔案，`load_parameters` 再把它們讀進架構相同的網路：

# %%
net = MLP()
save_parameters(net, "mlp.safetensors")
clone = load_parameters(MLP(), "mlp.safetensors")
print(torch.equal(clone(X), net(X)))
#> True

# %% [markdown]
# 和 `torch.save` 與 `load_state_dict` 不同，這兩個函式提供四項保證：
#
# - **檔案永遠是完整的。**如果程式在寫檔案的途中遭到強制中止，舊檔案還在（見原子替換）。
# - **載入不是全部改變，就是什麼都不變。**改變第一個值之前，會先比對所有的名稱、形狀和 dtype；錯誤只有一個，裡面列出每一處差異。
# - **所有問題都會回報。**除非你要求轉型，否則 dtype 不同就是錯誤。
#   綁定的權重會維持綁定，否則就引發錯誤。
#   檔案裡有校驗碼，載入時會比對。
#   <dfn>校驗碼</dfn>（checksum）是從許多位元組算出的一個短數字；如果其中有些位元組變了，重新計算幾乎一定會得到不同的數字。
# - **載入不會執行檔案裡的程式碼。**
#
# 下面的程式碼片段示範第二項保證：檔案和網路不符，所以載入會引發錯誤，網路完全不變。
# 對於多餘的名稱，錯誤訊息還會指出網路裡最相近的名稱。

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
# **限制。**safetensors 檔案只能存放張量和文字。
#
# **代價。**計算校驗碼要把每個位元組再讀一次。

# %% [markdown]
# ### 檢查點
#
# 網路、優化器、排程器和亂數狀態，如果一個一個儲存，很容易出錯。
# 每呼叫一次 `save_checkpoint`，就會寫出一個檔案，裡面有你傳入的各個部分的狀態，以及 Python、NumPy、PyTorch 和各個 GPU 的亂數狀態。
# `load_checkpoint` 會載入最後一個完整的檔案，並回傳它的步數；如果沒有檔案，就什麼也不改變，並回傳 `None`：

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
# 兩個網路同樣相等。
# 訓練程式每次啟動時，都可以執行這個程式碼片段的後半段：沒有檢查點的時候，`done` 是 0。
#
# `save_checkpoint` 預設保留最後三個檢查點；用 `keep` 可以改成其他數量。
# 如果傳入 `loss`，還會保留損失最小的檢查點。
# 要載入那個檢查點，就把 `"best"` 傳給 `load_checkpoint`：

# %%
for step, loss in enumerate([0.9, 0.2, 0.4, 0.3, 0.5], start=4):
    path = save_checkpoint("run", step, **parts, keep=2, loss=loss)
print(sorted(each.name for each in path.parent.iterdir()))
#> ['step-5.safetensors', 'step-7.safetensors', 'step-8.safetensors']
print(load_checkpoint("run", "best", model=model))
#> 5

# %% [markdown]
# 如果檢查點損壞，`load_checkpoint` 會發出警告，指出是哪個檔案，並載入前一個檢查點：

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
# PyTorch 的優化器按照位置儲存狀態，所以改變各層的順序會讓每一層拿到另一層的動量。
# `save_checkpoint` 寫出的檔案還存有參數的名稱，所以每個參數都能拿回自己的狀態。
# 如果某個參數在儲存的優化器或新的優化器裡找不到，或是所在的參數群組（選項相同的一組參數）不同，錯誤訊息會指出是哪個參數。
#
# 訓練需要記住的其他東西，都放進字典或串列；載入時會原地填入。
# 亂數產生器也可以當成一個部分傳入，例如用來打亂資料的那個：

# %%
progress, shuffling = {"epoch": 3, "losses": [0.5, 0.25]}, torch.Generator()
save_checkpoint("attention", 2, progress=progress, shuffling=shuffling)
restored = {}
load_checkpoint("attention", progress=restored, shuffling=torch.Generator())
print(restored)
#> {'epoch': 3, 'losses': [0.5, 0.25]}

# %% [markdown]
# 每次訓練都用自己的資料夾。
# 如果舊的訓練在資料夾裡留下第 8 步的檢查點，新的訓練又儲存了第 3 步的檢查點，最後一個檢查點就是舊的訓練的，所以 `save_checkpoint` 會警告你。
#
# **限制。**狀態裡可以有張量、數字、字串、`None`、NumPy 陣列，以及由這些組成的串列、tuple、集合和字典。
# 儲存其他任何東西都會引發錯誤，訊息會指出它的位置。
# 如果網路在載入時會執行自己的程式碼，例如掛勾裡的程式碼，`load_checkpoint` 會在記憶體裡保留所有網路的複本，萬一那段程式碼失敗，就能全部復原。
#
# 要儲存其他物件，請用 `torch.save`；要和其他程式交換權重，請用 `safetensors.torch`；如果網路拆開放在好幾個行程裡，請用 `torch.distributed.checkpoint`。
#
# **初次閱讀到這裡就可以了。**如果你要載入其他程式的檔案、在多個 GPU 上訓練，或想知道儲存的代價和原理，再讀本節其餘部分；遇到錯誤訊息，請到出錯的時候查找。

# %% [markdown]
# ### 損壞的檔案，以及其他程式的檔案
#
# 磁碟或網路連線故障，可能會讓檔案裡的某個位元反轉，而且沒有任何提示。
# 下面的檔案有超過 250,000 個位元，其中一個反轉了，`load_parameters` 就拒絕載入：

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
# `torch.load` 和 safetensors 函式庫讀取這樣的檔案，都不會引發錯誤：`.pt` 檔案有校驗碼，但 `torch.load` 不會比對；其他的 safetensors 檔案則沒有校驗碼。
# 下表是用 20,000 個小檔案測試的結果，檔案裡存的是網路、有綁定權重的網路，或網路連同它的優化器。
# 每個檔案損壞一次：反轉一個位元、改掉張量的描述，或是把一部分截掉、漏掉、重複、對調或覆寫。
# 最後兩列由 `load_state_dict` 把張量複製到網路裡，它可能先改了一些值，才發現有一個不符。
#
# 「與儲存時相同」表示損壞沒有影響到載入的任何內容。
# 「值錯誤」表示載入沒有引發錯誤，但有些值和儲存的不同。
# 「拒絕但已改動」表示載入引發了錯誤，但在那之前已經換掉一些值。
# 最後一欄是錯誤類別的數量。
# 表格下方的清單，講的是遭到強制中止或同時執行的程式。
#
# | 讀取方式 | 拒絕 | 與儲存時相同 | 值錯誤 | 拒絕但已改動 | 當掉或卡住 | 錯誤種類 |
# |---|--:|--:|--:|--:|--:|--:|
# | `d2lblocks` | 18,675 | 1,325 | 0 | 0 | 0 | 1 |
# | `torch.load(weights_only=True)` | 13,380 | 3,345 | 2,480 | 795 | 0 | 11 |
# | `safetensors` | 10,595 | 2,772 | 4,050 | 2,583 | 0 | 2 |
#
# - 強制中止 300 個寫入程式，其中 146 個的檔案正寫到一半：沒有遺失任何東西，也沒有留下殘餘的檔案。
# - 兩個行程同時各儲存 1000 次：沒有一次失敗，也沒有留下殘餘的檔案。
# - 另一個執行緒在儲存的同時，載入 1000 次：讀到 239 個版本，全都完整。
#
# 其他程式的檔案沒有校驗碼，所以除非傳入 `verify=False`，`load_parameters` 都會拒絕。
# 這樣的程式往往只用其中一個名稱寫出綁定的權重。
# 只要在你的網路裡，缺少的名稱和檔案裡的某個名稱綁定在一起，`load_parameters` 就接受這個檔案：

# %%
from safetensors.torch import save_file

save_file({"0.weight": torch.ones(5, 4)}, "theirs.safetensors")
load_parameters(tied, "theirs.safetensors", verify=False)
print(scores.weight is table.weight, scores.weight.detach().unique())
#> True tensor([1.])

# %% [markdown]
# 如果檔案是別的格式，錯誤訊息會說明要用哪個函式讀取：

# %%
try:
    load("mlp.safetensors")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: cannot load mlp.safetensors: it is a safetensors file: load_parameters loads it into a net, safetensors.torch.load_file gives its tensors

# %% [markdown]
# **注意。**校驗碼找得出意外，防不了攻擊：能改動檔案的人，也能改動裡面的校驗碼。

# %% [markdown]
# ### 分片的網路：`torch.distributed.checkpoint`
#
# 除非要在多個 GPU 上訓練網路，否則可以跳過這一節。
#
# <dfn>分片</dfn>（sharding）就是把網路的張量切成小塊，每一塊也稱為一個分片（shard），讓每個行程只持有其中幾塊。
# 用 [`torch.distributed.checkpoint`](https://docs.pytorch.org/docs/stable/distributed.checkpoint.html)，每個行程寫出自己的分片，讀取時則不限行程數。
#
# 這個例子在 CPU 上執行兩個行程；有一個線性層，權重有六列，每個行程各持有一半。
# `"gloo"` 是行程之間通訊用的函式庫。
# 少了這個引數，PyTorch 還會啟動 GPU 用的函式庫 NCCL，而 NCCL 不允許兩個行程用同一個 GPU。

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
# 現在，單一行程就能載入全部六列：

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
# **限制。**這種檢查點是一個裝著許多檔案的資料夾，中繼資料是 pickle，所以只載入自己寫出的檢查點。

# %% [markdown]
# ### 儲存和載入要多久
#
# 除非你的網路很大，或是經常儲存，否則可以跳過這一節。
#
# 速度一頁有各種時間的表格；這一節說明這些時間從何而來。
#
# **載入。**不比對校驗碼的話，`load_parameters` 花的時間，大約和先用 safetensors 的 `load_file`、再用 `load_state_dict` 一樣多。
# 對於有 2,000 層的網路，`load_parameters` 快了十倍以上，因為 `load_state_dict` 對 `nn.Sequential` 的每一層，都要把所有名稱重新走一遍。
# <dfn>記憶體對映檔案</dfn>（memory-mapped file）是一個分頁一個分頁讀取的（一個分頁是幾 KiB），程式第一次用到某個分頁才讀取；系統隨時可以把分頁從記憶體中丟掉。
# 兩種載入方式都從這樣的檔案複製；這比從記憶體複製要久，因為複製的過程中，系統還要提供這些分頁。
# 比對校驗碼花的時間，大約和複製一樣多。
#
# **儲存。**`save_parameters` 一次寫出一個 MB，寫出之前才計算這一個 MB 的校驗碼。
# 舊檔案會保留到新檔案寫完為止，所以系統需要新的記憶體來放新檔案的分頁。
# `torch.save` 會先清空舊檔案，釋放舊檔案的分頁，所以可能比較快，這取決於磁碟當時的其他工作。

# %% [markdown]
# ### 原子替換：不留下寫到一半的檔案
#
# 除非你在隨時可能中斷的程式裡用 `torch.save` 寫檔案，否則可以跳過這一節。
#
# `torch.save` 會先清空舊檔案，才寫新檔案。
# 如果程式在這中間停掉，舊檔案就沒了，新檔案也不完整。
# 檔案的<dfn>原子替換</dfn>（atomic replacement）是指程式開啟檔案時，得到的不是完整的舊版本，就是完整的新版本。
# 做法是在同一個資料夾裡寫到另一個檔名，寫完之後再改名：

# %%
with open("mlp.pt.tmp", "wb") as file:
    torch.save(net.state_dict(), file)
    file.flush()
    os.fsync(file.fileno())
os.replace("mlp.pt.tmp", "mlp.pt")
print(os.path.exists("mlp.pt"), os.path.exists("mlp.pt.tmp"))
#> True False

# %% [markdown]
# `fsync` 會等到資料確實寫進磁碟，所以就算斷電，磁碟上也有一個完整的檔案。
#
# 函式庫的函式也是這樣做的，還會保留舊檔案的權限。
# 如果寫入程式遭到強制中止，它的暫存檔會留下來，由下一個寫入程式刪除。
# 每個寫入程式都會鎖定自己的暫存檔（如果系統提供這種鎖定），所以其他寫入程式不會太早把它刪掉。

# %% [markdown]
# ## 出錯的時候

# %% [markdown]
# ### `Weights only load failed`：整個模組、NumPy 純量
#
# `torch.save` 幾乎接受任何物件，但 `torch.load` 能接受的不多：除了張量、一般的 Python 數字和字串，以及由這些組成的串列、tuple、字典和集合，其他幾乎都不行。
# NumPy 的數字和 `defaultdict` 只是看起來像其中一種：

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
# 訊息的最後幾行會指出遭到拒絕的類別：

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
# 修正方法：先轉換物件，再儲存。
# 數字用 `.item()` 或 `float(...)`，路徑用 `str(...)`，模組用 `state_dict()`，命名空間（namespace）用 `vars(...)`，`defaultdict` 用 `dict(...)`，日期用 `.isoformat()`。

# %%
torch.save(
    {"net": net.state_dict(), "folder": str(pathlib.Path("data"))}, "with_path.pt"
)
print(torch.load("with_path.pt")["folder"])
#> data

# %% [markdown]
# 如果舊檔案可以信任，就在 `with torch.serialization.safe_globals([...]):` 裡載入，並列出檔案可以包含的類別。
#
# 下次如何及早發現：使用 `save`，它會拒絕這樣的物件。

# %% [markdown]
# ### `Expected state_dict to be dict-like, got <class 'str'>`
#
# 你把檔名傳給 `load_state_dict`，而不是檔案裡的字典。

# %%
try:
    net.load_state_dict("mlp.pt")
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: Expected state_dict to be dict-like, got <class 'str'>.

# %% [markdown]
# 修正方法：先讀取檔案：`net.load_state_dict(torch.load("mlp.pt"))`。

# %% [markdown]
# ### `'_IncompatibleKeys' object is not callable`
#
# 你把 `load_state_dict` 的結果當成網路來呼叫，但這個結果是一份報告，列出對不上的名稱。

# %%
report = net.load_state_dict(torch.load("mlp.pt"))
try:
    report(X)
except TypeError as error:
    print(f"TypeError: {error}")
#> TypeError: '_IncompatibleKeys' object is not callable

# %% [markdown]
# 修正方法：繼續使用 `net`（`load_state_dict` 已經原地改好了）：`net(X)`。

# %% [markdown]
# ### `state_dict` 少了括號：檔案裡存的是方法
#
# 你寫了 `net.state_dict` 卻沒加括號，於是存下的是這個方法和它的網路，`torch.load` 會拒絕這個檔案。

# %%
torch.save(net.state_dict, "method.pt")
try:
    torch.load("method.pt")
except pickle.UnpicklingError as error:
    print("Unsupported global: GLOBAL getattr" in str(error))
#> True

# %% [markdown]
# 修正方法：呼叫這個方法：`torch.save(net.state_dict(), path)`。
#
# 下次如何及早發現：儲存之後，馬上載入這個檔案試試。

# %% [markdown]
# ### `Attempting to deserialize object on a CUDA device`
#
# 檔案是在有 GPU 的機器上儲存的，而你在沒有 GPU 的機器上載入；下面的程式碼片段模擬這種情況：

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
# 如果載入的機器 GPU 數量比儲存的機器少，訊息也很類似：

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
# 修正方法：使用 `map_location`，或是使用 `d2lblocks.load`，除非另外指定裝置，否則它會用 CPU。

# %%
print(torch.load("from_gpu.pt", map_location="cpu").device, load("from_gpu.pt").device)
#> cpu cpu

# %% [markdown]
# ### `No module named 'models'` 或 `Can't get attribute 'Net'`
#
# 你儲存了整個網路，後來把它的類別搬到別處或改了名稱。
# 檔案裡只有類別的名稱，以及類別所在的 Python 模組的名稱。
# 如果匯入不到那個模組，看到的是第一種訊息：

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
# 如果模組裡已經沒有這個類別，看到的是第二種訊息：

# %%
sys.modules["models"] = types.ModuleType("models")
try:
    torch.load("whole.pt", weights_only=False)
except AttributeError as error:
    print(str(error).partition(" on ")[0])
#> Can't get attribute 'Net'

# %% [markdown]
# 修正方法：如果檔案可以信任，就先讓這個類別能用舊的名稱找到，把檔案載入一次，再儲存狀態字典。

# %%
sys.modules["models"].Net = Net
torch.save(torch.load("whole.pt", weights_only=False).state_dict(), "state.pt")
print(list(torch.load("state.pt")))
#> ['weight', 'bias']

# %% [markdown]
# ### `'GELU' object has no attribute 'approximate'`
#
# 你載入了用舊版 PyTorch 儲存的整個網路。
# `GELU` 層的屬性來自檔案，但這個類別在那之後多了一個屬性，所以第一次呼叫就失敗：

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
# 修正方法：把這個屬性設成預設值，並儲存狀態字典，因為狀態字典不包含這類屬性。

# %%
old[1].approximate = "none"
print(old(torch.rand(1, 2)).shape)
#> torch.Size([1, 2])
torch.save(old.state_dict(), "state.pt")

# %% [markdown]
# ### `PytorchStreamReader failed reading zip archive`
#
# 檔案被截斷了，缺少 zip 檔結尾的目錄：

# %%
Path("cut.pt").write_bytes(Path("mlp.pt").read_bytes()[:2000])
try:
    torch.load("cut.pt")
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory. This is an internal miniz error. If you are seeing this error, there is a high likelihood that your checkpoint file is corrupted. This can happen if the checkpoint was not saved properly, was transferred incorrectly, or the file was modified after saving.

# %% [markdown]
# 如果檔案是空的，`torch.load` 會引發沒有訊息的 `EOFError`；加上 `weights_only=False`，則引發下面的錯誤：

# %%
Path("empty.pt").touch()
try:
    torch.load("empty.pt", weights_only=False)
except EOFError as error:
    print(f"EOFError: {error}")
#> EOFError: Ran out of input

# %% [markdown]
# 修正方法：重新下載或複製檔案。
# 如果檔案是你自己的程式寫出的，請使用原子替換，或是呼叫 `save`。
#
# 如果訊息是 `Unsupported operand 118`，或是加上 `weights_only=False` 時出現 `invalid load key, 'v'`，表示你手上的檔案，只是 Git LFS 放在儲存庫裡代替真正檔案的一小段文字。
# 用 `git lfs pull` 可以下載真正的檔案。

# %%
Path("pointer.pt").write_text("version https://git-lfs.github.com/spec/v1")
try:
    torch.load("pointer.pt")
except pickle.UnpicklingError as error:
    print("Unsupported operand 118" in str(error))
#> True

# %% [markdown]
# 下次如何及早發現：比對這個檔案和原始檔案的大小或校驗碼。

# %% [markdown]
# ### `Some tensors share memory`，來自 safetensors
#
# 你的網路有綁定的權重，而 safetensors 沒有可以記錄綁定關係的項目，所以 `save_file` 拒絕這個狀態字典。

# %%
try:
    save_file(tied.state_dict(), "tied.safetensors")
except RuntimeError as error:
    print(str(error).strip().partition(" and potential")[0])
#> Some tensors share memory, this will lead to duplicate memory on disk

# %% [markdown]
# safetensors 的 `save_model` 只用其中一個名稱存放這個張量，所以對 `load_state_dict` 來說，就少了另一個名稱：

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
# 修正方法：用 `load_model` 或 `load_parameters` 載入檔案，它們會從網路得知綁定關係；也可以用 `save_parameters` 儲存網路，它會把綁定關係以文字寫進標頭。

# %%
load_model(tied, "tied.safetensors")
load_parameters(tied, "tied.safetensors", verify=False)  # or this
save_parameters(tied, "tied.safetensors")  # writes the tie as well
print(scores.weight is table.weight)
#> True

# %% [markdown]
# ### `You are trying to save a non contiguous tensor`
#
# 你轉置了權重，或是把網路轉成 `channels_last`，而 `save_file` 只接受連續張量。
# <dfn>連續張量</dfn>（contiguous tensor）的值在記憶體裡一個緊接著一個，按照索引的順序排列，最後一個索引變化最快。
# `channels_last` 不改變權重的形狀，但會以另一種順序存放值：

# %%
conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
try:
    save_file(conv.state_dict(), "conv.safetensors")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: You are trying to save a non contiguous tensor: `weight` which is not allowed. It either means you are trying to save tensors which are reference of each other in which case it's recommended to save only the full tensors, and reslice at load time, or simply call `.contiguous()` on your tensor to pack it before saving.

# %% [markdown]
# 修正方法：對每個張量呼叫 `.contiguous()`，或使用 `save_parameters`。

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
# ### 拆解載入的字典，得到的是鍵
#
# 你預期得到兩個張量，卻得到兩個字串：

# %%
a, b = torch.load("dict.pt")
print(a, b)
#> x y

# %% [markdown]
# 檔案裡是字典，而 Python 拆解（unpack）字典，得到的是字典的鍵。
#
# 修正方法：保留字典，`state = torch.load("dict.pt")`，再分別取出各項：`a, b = state["x"], state["y"]`。

# %% [markdown]
# ### `Missing key(s) in state_dict`，以及帶著 `module.` 的相同名稱
#
# 檔案是從包裝過的網路儲存的，所以每個名稱都列了兩次：一次列為缺少；另一次帶著 `module.` 或 `_orig_mod.`，列為多餘：

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
# 修正方法：儲存裡面那個網路的狀態字典，或是照前綴一節的做法，去掉包裝器加上的名稱。
# `consume_prefix_in_state_dict_if_present` 也能去掉其他前綴，例如某個訓練框架加上的 `model.`。
#
# `torch.optim.swa_utils.AveragedModel` 會在訓練期間平均權重，它也是包裝器，還會多加一個自己的項目：

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
# 修正方法：儲存 `averaged.module.state_dict()`，或是把 `n_averaged` 和 `module.` 從狀態字典裡去掉。
#
# 如果是 safetensors 檔案，`load_parameters` 的錯誤訊息會說明如何為這些項目改名：

# %%
save_file(dict(partly.state_dict()), "partly.safetensors")
try:
    load_parameters(plain, "partly.safetensors", verify=False)
except RuntimeError as error:
    print(str(error).splitlines()[-1].strip())
#> The checkpoint is wrapped: without "_orig_mod." its keys fit. To load this one, rename each by name.replace("_orig_mod.", "").

# %% [markdown]
# 下次如何及早發現：儲存之前，用 `list(state)` 看看有哪些名稱。

# %% [markdown]
# ### `Unexpected key(s) in state_dict`：原本是 `None` 的緩衝區
#
# 你的模組把緩衝區註冊為 `None`，在第一次呼叫時才指派張量。
# 狀態字典要到那時才有它的項目：

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
# 修正方法：註冊緩衝區時就給它形狀，例如註冊為 `torch.zeros(20)`。
# 如果不知道形狀，就在載入之前從狀態字典取得：

# %%
new, state = Centered(), used.state_dict()
new.mean = torch.empty_like(state["mean"])
print(new.load_state_dict(state))
#> <All keys matched successfully>

# %% [markdown]
# 下次如何及早發現：測試**新的**網路能不能載入**用過的**網路儲存的內容。
# `diagnose` 會把這個問題回報為 `filled-at-first-call`。

# %% [markdown]
# ### `Missing key(s)`：`weight_g` 與 `parametrizations.weight.original0`
#
# 權重正規化把權重拆成長度和方向來存放，PyTorch 裡有新舊兩個版本。
# `nn.utils.weight_norm` 把長度和方向叫作 `weight_g` 和 `weight_v`；較新的 `nn.utils.parametrizations.weight_norm` 則取名為 `parametrizations.weight.original0` 和 `original1`。
# 新版可以載入舊版的狀態字典，反過來卻不行：

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
# 加上 `strict=False`，這一層就會留著原本的隨機權重，而且沒有任何提示。
#
# 修正方法：使用新版，或是為這些項目改名。

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
# ### `strict=False`：什麼都沒載入，也沒有錯誤
#
# 載入後的網路，預測結果不比新的網路好。
# 加上 `strict=False`，`load_state_dict` 會跳過每個對不上的名稱，而且沒有任何提示；在這裡，沒有一個名稱對得上：

# %%
report = MLP().load_state_dict(compiled.state_dict(), strict=False)
print(len(report.missing_keys), len(report.unexpected_keys))
#> 4 4

# %% [markdown]
# 修正方法：先決定哪些名稱可以缺少，再確認沒有缺少其他名稱。

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
# ### `state_dict()` 不是複本：最好的權重變了
#
# 你留下了最好的那個 epoch 的狀態字典，最後裡面卻是最後一個 epoch 的權重。
# `state_dict()` 的張量和網路共用記憶體，所以訓練也會改變這些張量：

# %%
best = net.state_dict()
with torch.no_grad():
    net.out.bias.fill_(7.0)
print(bool((best["out.bias"] == 7).all()))
#> True

# %% [markdown]
# 修正方法：複製一份，或是立刻把狀態字典存成檔案。

# %%
import copy

best = copy.deepcopy(net.state_dict())
with torch.no_grad():
    net.out.bias.fill_(8.0)
print(bool((best["out.bias"] == 7).all()))
#> True

# %% [markdown]
# 下次如何及早發現：用最好的權重再評估網路一次，和那個 epoch 的結果比較。

# %% [markdown]
# ### 載入之後，綁定的權重不再綁定
#
# 載入之前，兩層共享一個參數；載入之後，卻各有自己的參數。
# 加上 `assign=True` 載入，會換掉網路的參數，而不是把值複製進去：

# %%
tied.load_state_dict(tied.state_dict(), assign=True)
print(
    scores.weight is table.weight, scores.weight.data_ptr() == table.weight.data_ptr()
)
#> False True

# %% [markdown]
# 如果兩個名稱在檔案裡指向同一個張量，這兩個參數仍然會共用那個張量的記憶體，所以比較值看不出這個錯誤。
# 網路如果在 meta 裝置上，`to_empty` 也會解除權重的綁定。
#
# 修正方法：重新綁定權重，或是載入時不要加 `assign=True`。
#
# 下次如何及早發現：載入之後檢查 `scores.weight is table.weight`。
# `diagnose` 會把這個問題回報為 `tie-lost` 或 `same-memory`。

# %% [markdown]
# ### 載入改變了 dtype
#
# 網路裡的值和檔案裡的不完全相同。
# `load_state_dict` 不會比對 dtype：如果網路的參數是 `float16`，它就把 `float32` 的值捨入；如果網路裡是整數，它就捨去小數部分：

# %%
counter = nn.Module()
counter.seen = nn.Buffer(torch.zeros(2, dtype=torch.int64))
print(counter.load_state_dict({"seen": torch.tensor([0.7, 2.9])}), counter.seen)
#> <All keys matched successfully> tensor([0, 2])

# %% [markdown]
# 修正方法：先比對 dtype，或是交給 `load_parameters` 比對。

# %%
half = MLP().half()
theirs, mine = half.state_dict(), net.state_dict()
print([name for name in mine if mine[name].dtype != theirs[name].dtype])
#> ['hidden.weight', 'hidden.bias', 'out.weight', 'out.bias']
save_parameters(half, "half.safetensors")
print(load_parameters(MLP(), "half.safetensors", cast=True).out.bias.dtype)
#> torch.float32

# %% [markdown]
# 如果沒有加上 `cast=True`，`load_parameters` 會引發錯誤，並列出每個這樣的張量。

# %% [markdown]
# ### `loaded state dict contains a parameter group that doesn't match the size of optimizer's group`
#
# 你加了一層，或是凍結了一些參數，沒有把它們交給優化器。
# 優化器的狀態，只能載入到每個群組的參數個數都和它相符的優化器裡。

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
# 如果群組的數量不同，例如偏差現在有自己的學習率，訊息就不一樣：

# %%
groups = [{"params": short[0].weight}, {"params": short[0].bias, "lr": 0.01}]
try:
    torch.optim.Adam(groups).load_state_dict(saved)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: loaded state dict has a different number of parameter groups

# %% [markdown]
# 修正方法：只載入網路，用新的優化器繼續；失敗的呼叫並沒有改變這個優化器。
# 要保留舊的狀態，就先載入舊的狀態，再為新的參數另外加一個群組：

# %%
optimizer = torch.optim.Adam(longer[0].parameters())
optimizer.load_state_dict(saved)
optimizer.add_param_group({"params": longer[1].parameters()})
print([len(group["params"]) for group in optimizer.param_groups])
#> [2, 2]

# %% [markdown]
# ### 優化器的狀態給了別的層
#
# 你在接續訓練之前改變了各層的順序。
# 網路按照名稱載入，優化器卻按照位置載入，所以每一層都會拿到另一層（形狀相同）的動量，而且沒有任何提示：

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
# `q` 的梯度是 1，所以動量應該是 1，結果卻是 2。
#
# 修正方法：按照原來的順序註冊各層，或是使用 `save_checkpoint`，它會依名稱找到每個參數的狀態。

# %%
load_checkpoint("ordered", net=after, optimizer=optimizer)
print(optimizer.state[after["q"].weight]["momentum_buffer"].unique())
#> tensor([1.])

# %% [markdown]
# 下次如何及早發現：像上面那樣，在載入之前比對名稱；優化器如果是用 `named_parameters()` 建立的，會儲存名稱，但不會比對。

# %% [markdown]
# ### `param 'initial_lr' is not specified`，來自排程器
#
# 你為了接續訓練，把 `last_epoch` 傳給排程器，但這個引數不會載入任何東西。
# 它會設定排程器的計數器，還要求優化器裡有先前的排程器寫入的項目 `initial_lr`。

# %%
optimizer = torch.optim.SGD(MLP().parameters(), lr=0.1)
try:
    torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, last_epoch=4)
except KeyError as error:
    print(f"KeyError: {error}")
#> KeyError: "param 'initial_lr' is not specified in param_groups[0] when resuming scheduler with last_epoch >= 0.\nThis typically happens when:\n1. You're trying to resume training from a checkpoint but haven't properly loaded the optimizer state\n2. You're using last_epoch >= 0 for a fresh training run (not recommended)"

# %% [markdown]
# 修正方法：建立排程器時不要用 `last_epoch`，再載入排程器和優化器的狀態，如接續訓練一節所示。

# %% [markdown]
# ### 在第一個批次之前儲存延後初始化的網路
#
# 在第一個批次之前，延後初始化層還沒有值可以儲存：

# %%
try:
    save_parameters(nn.LazyLinear(3), "lazy.safetensors")
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: cannot save 'weight', 'bias': not initialized yet, the shapes come with the first batch

# %% [markdown]
# 修正方法：儲存之前，先用一個範例批次試跑，這裡用的是 `apply_init`。

# %%
from d2lblocks import apply_init

save_parameters(apply_init(nn.LazyLinear(3), X), "lazy.safetensors")
print(load_parameters(nn.LazyLinear(3), "lazy.safetensors").weight.shape)
#> torch.Size([3, 20])

# %% [markdown]
# ### `Can't pickle local object`：儲存整個網路
#
# 你儲存了整個網路，而網路有個屬性是 lambda，或是定義在另一個函式裡的函式。
# Pickle 存放函式時只存名稱，而這樣的函式沒有可以匯入的名稱。

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
# 這個錯誤是 `AttributeError`，從 Python 3.14 起則是 `PicklingError`；有些版本的 Python 寫的是 `Can't get local object`。
#
# 修正方法：儲存狀態字典：`torch.save(net.state_dict(), path)`。
# 也可以不用 lambda，改用 `nn.ReLU()` 之類的模組。

# %% [markdown]
# ### `size mismatch`，加上 `strict=False` 也一樣：類別數不同
#
# 你訓練了一個有十個類別的分類器，現在只需要三個。
# 最後一層名稱相同，形狀卻不同，而 `strict=False` 不會忽略這一點：

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
# 修正方法：去掉最後一層，並確認沒有缺少別的東西。

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
# 在你儲存網路之前，某個計算運算量的工具在每個模組裡都註冊了緩衝區，而 `state_dict()` 會包含這些緩衝區。
#
# 修正方法：載入時去掉這些名稱，其他的都不要去掉；這類工具請用在 `copy.deepcopy(net)` 上。

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
# 下次如何及早發現：儲存之前，先看看 `list(net.state_dict())`。

# %% [markdown]
# ### 接續訓練之後，學習率被重設
#
# 你接續訓練，學習率卻不對，例如又回到接近最初的值：你載入了優化器的狀態，卻沒有載入排程器的狀態。
# 新的排程器從零開始計算步數，而像 `LambdaLR` 這樣的排程器會根據步數算出學習率。
# 在這裡，學習率每一步之後都乘以 0.9，所以四步之後應該是 0.656：

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
# 修正方法：兩個都先建立，再載入各自的狀態。

# %%
optimizer, scheduler = scheduled()
optimizer.load_state_dict(states[0])
scheduler.load_state_dict(states[1])
optimizer.step()
scheduler.step()
print(round(optimizer.param_groups[0]["lr"], 3))
#> 0.656

# %% [markdown]
# 下次如何及早發現：接續訓練的第一步之後，印出 `optimizer.param_groups[0]["lr"]`。

# %% [markdown]
# ## 練習題

# %% [markdown]
# ### 練習題 1
#
# 寫一個函式 `save_net(net, path)`，把訓練好的網路的狀態字典存成檔案。
# 再寫一個函式 `load_net(make, path)`，用 `make()` 建立新的網路，把檔案載入網路，切換到評估模式後回傳。
#
# 練習（簡單）：`python -m d2lblocks practice start serialization/1`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 就算只在這台機器上使用網路，行程一結束，記憶體裡的東西也全都沒了。
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
# ### 練習題 2
#
# 在每個 epoch，`best_state` 會呼叫 `train(net)` 來改變 `net`，並呼叫 `loss(net)`，它回傳一個數字。
# 函式應該回傳損失最小的那個 epoch 之後的狀態字典，但回傳的卻是最後一個。
# 請修好它。
#
# 練習（簡單）：`python -m d2lblocks practice start serialization/2`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# `net.state_dict()` 裡的就是網路自己的張量，所以要留下的狀態必須是複本。
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
# ### 練習題 3
#
# 從儲存下來的網路取出一層，用在另一個網路裡，而且只訓練新的層。
# 寫一個函式 `transfer(path, name, layer)`：在檔案 `path` 的狀態字典裡，這一層的項目名稱以 `name` 加一個點開頭。
# 把這些項目載入 `layer`（裡面可能還有層），凍結它的所有參數，最後回傳它。
# 如果檔案裡缺少某個項目，就引發錯誤。
#
# 練習（中等）：`python -m d2lblocks practice start serialization/3`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 在這一層裡面，名稱沒有前綴；在整個網路的優化器裡，凍結的參數沒有梯度，所以優化器會跳過它。
#
# *serialization/3_transfer.py*

# %%
def transfer(path, name, layer):
    state = torch.load(path)
    part = {key: state[f"{name}.{key}"] for key in layer.state_dict()}
    layer.load_state_dict(part)
    return layer.requires_grad_(False)

# %% [markdown]
# ### 練習題 4
#
# 有個檔案是從 `nn.DataParallel` 裡的網路儲存的，所以所有名稱都以 `module.` 開頭。
# 寫一個函式 `load_wrapped(net, path)`，把檔案載入 `net`，也就是你自己的、沒有包裝器的網路。
# 你的網路本身也可能有名為 `module` 的屬性；如果檔案裡缺少某個名稱，就引發錯誤。
#
# 練習（中等）：`python -m d2lblocks practice start serialization/4`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 如果有個模組以你的網路作為屬性 `module`，它裡面的名稱就和檔案裡的一樣。
#
# *serialization/4_data_parallel.py*

# %%
def load_wrapped(net, path):
    wrapper = nn.Module()
    wrapper.module = net
    wrapper.load_state_dict(torch.load(path))

# %% [markdown]
# ### 練習題 5
#
# 像 `[("Linear", [20, 8]), ("ReLU", [])]` 這樣的計畫（plan），列出各層的類別和引數。
# 函式 `keep` 把計畫和對應網路的狀態字典存在同一個檔案裡。
# 寫一個函式 `rebuild(path)`，只靠這個檔案，回傳一個 `nn.Sequential` 網路，裡面是儲存下來的值。
# 檔案可能來自任何人：不要執行裡面的任何程式碼；如果檔案裡缺少某個值，或是寫了 `KNOWN` 以外的類別，就引發錯誤。
#
# 練習（較難）：`python -m d2lblocks practice start serialization/5`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 要限制可用的類別：否則檔案裡可以寫上任何類別或函式，載入時就可能執行任何東西。
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
# ## 小結
#
# | 需求 | 寫法 |
# |---|---|
# | 儲存張量、串列、字典 | `save(obj, path)`, `load(path)`; `torch.save`, `torch.load` |
# | 儲存網路學到的東西 | `save_parameters(net, path)`; `torch.save(net.state_dict(), path)` |
# | 再把它載入 | `load_parameters(net, path)`; `net.load_state_dict(torch.load(path))` |
# | 記憶體裡的複本 | `copy.deepcopy(net.state_dict())` |
# | 網路的一部分 | `net.hidden.state_dict()` |
# | 不帶 `module.` 的名稱 | `consume_prefix_in_state_dict_if_present(state, "module.")`，只去掉開頭的前綴 |
# | 接續訓練 | `save_checkpoint(folder, step, net=net, optimizer=optimizer)`, `load_checkpoint(folder, net=net, optimizer=optimizer)` |
# | 儲存拆開放在許多行程裡的網路 | `torch.distributed.checkpoint` |
# | 在另一台機器上載入 | `map_location="cpu"` |
# | 只要名稱和形狀 | `map_location="meta"` |
# | 大張量的一小部分 | `save`，或先用 `.clone()` |
# | 別人給的檔案 | safetensors；其次是 `weights_only=True`，也就是預設值 |
# | 沒有類別也能執行網路 | `torch.export.save` |
#
# 函式庫的函式都在 `d2lblocks.serialization`。
#
# 下一步：裝置，因為網路和資料必須在同一個裝置上，載入的網路才能使用。
