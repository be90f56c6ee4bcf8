# %% [markdown]
# # 裝置
#
# 這是 d2lblocks「裝置」這一頁的腳本版：由頁面產生，並且執行過。
# 執行它需要 `d2lblocks` 和 `torch`。
# 把儲存庫 clone 下來，在裡面執行 `pip install .`，就會裝好 `d2lblocks`。
#
# 你有 GPU，網路的訓練卻沒有變快，因為工作還是在 CPU 上做。
# 或者你已經把網路移到 GPU 上，現在程式卻中斷，出現 `Expected all tensors to be on the same device`。
#
# - **讀完之後你能：**把張量和網路放到 GPU 上，寫出有沒有 GPU 都能執行的程式碼，並測量 GPU 花了多少時間。
# - **需要先會：**層與模組和參數，各讀到「初次閱讀到這裡就可以了」那一行；要用函式庫的函式，還要安裝套件（把本站的儲存庫 clone 下來，在裡面執行 `pip install .`）；不需要有 GPU。
# - **需要多少時間：**讀到複製與釘選記憶體之前約 20 分鐘，要在一個 GPU 上訓練，這一部分就夠了；連同其餘部分和練習題約 45 分鐘。

# %%
import torch
from torch import nn

# %% [markdown]
# 有些程式碼片段需要 GPU；一張表列出每個片段上次順利執行的時間。

# %% [markdown]
# ## 裝置的名稱與索引
#
# 要把張量放到 GPU 上，得先指定是哪一個 GPU。
# <dfn>裝置</dfn>（device）是存放張量、也對張量做運算的地方，通常是 CPU 或 GPU 這類硬體。
# `torch.device` 物件以類型和索引（可省略）指定一個裝置。
# <dfn>裝置索引</dfn>（device index）是裝置在同類型裝置當中的編號，例如 `cuda:1` 裡的 1；編號從 0 開始。

# %%
print(torch.device("cpu"), torch.device("cuda"))
#> cpu cuda
print(torch.device("cuda", 1), torch.device("cuda:1"))
#> cuda:1 cuda:1

# %% [markdown]
# 你會看到的類型有這些：
#
# - `cpu` 是 CPU 的所有核心和主記憶體。
# - `cuda` 是 NVIDIA 或 AMD 的 GPU。
# - `mps` 是 Mac 的 GPU。
# - `xpu` 是 Intel 的 GPU。
# - `meta` 不對應任何硬體（見 meta 裝置）。
#
# <dfn>CUDA</dfn> 是 NVIDIA 的軟體，用來在自家的 GPU 上計算；PyTorch 也用 `cuda` 這個名稱稱呼 AMD 的 GPU。
#
# 每個 GPU 都是獨立的裝置，通常有自己的記憶體（Mac 的 GPU 則和 CPU 共用記憶體）。
# 不帶索引的 `cuda` 是指目前的 GPU；除非你改過，否則就是編號 0 的 GPU。
# `torch.device` 只會建立名稱，所以上面的程式碼片段沒有 GPU 也能執行。
#
# 你的程式碼應該在任何廠牌的 GPU 上都能執行。
# PyTorch 有好幾種建置版本（build），例如 CUDA 用的、Mac 用的，每一種最多支援一種類型的 GPU。
# <dfn>加速器</dfn>（accelerator）是指 PyTorch 的某個建置版本所支援的 GPU 類型，或類似硬體的類型。
# [`torch.accelerator`](https://docs.pytorch.org/docs/stable/accelerator.html) 告訴你這個類型，以及這種裝置的數量。
# 如果用的是 CUDA 的建置版本，又有一個 NVIDIA 的 GPU，結果就是 `cuda` 和 1。
# 下面的程式碼片段只檢查在每台機器上都成立的事；想看自己的值，就加上 `print(accelerator, torch.accelerator.device_count())`：

# %%
accelerator = torch.accelerator.current_accelerator()
print(accelerator is None or accelerator.type in ("cuda", "mps", "xpu"))
#> True
print((torch.accelerator.device_count() > 0) == torch.accelerator.is_available())
#> True

# %% [markdown]
# 有了這些函式，就能寫出 `try_gpu(i)`，它回傳編號 `i` 的 GPU；如果沒有這個 GPU，就回傳 CPU：

# %%
def try_gpu(i=0):
    if i < torch.accelerator.device_count():
        return torch.device(torch.accelerator.current_accelerator().type, i)
    return torch.device("cpu")


device = try_gpu()
print(torch.ones(2, device=device).device.type == device.type)
#> True

# %% [markdown]
# ## 建立與移動張量
#
# 除非另外指定，PyTorch 會在 CPU 上建立張量。
# 屬性 `device` 告訴你張量在哪裡：

# %%
X = torch.ones(2, 3)
print(X.device)
#> cpu

# %% [markdown]
# 要在其他裝置上建立張量，就在建立時傳入那個裝置。
# 如果先在 CPU 上建立再移過去，就要多用一份記憶體、多複製一次，這些都要花時間。
# `with torch.device(...)` 為區塊裡建立的每個張量設定裝置：

# %%
Y = torch.ones(2, 3, device=try_gpu())
with torch.device(try_gpu()):
    Z = torch.ones(2, 3)
print(Y.device == Z.device)
#> True

# %% [markdown]
# 要移動已有的張量，就呼叫 `.to`。
# 它回傳新裝置上的張量，不改變原來的張量。
# （這裡用不儲存值的 `meta` 裝置代替 GPU；變數 `meta` 是張量。）

# %%
meta = X.to("meta")
print(X.device, meta.device)
#> cpu meta

# %% [markdown]
# 如果張量已經在那個裝置上，`.to` 就什麼也不複製，直接回傳同一個物件，除非傳入 `copy=True`：

# %%
print(X.to("cpu") is X, X.to("cpu", copy=True) is X)
#> True False

# %% [markdown]
# 一個運算用到的張量必須都在同一個裝置上，結果也在那個裝置上。
# PyTorch 不會替你移動張量，因為那樣會掩蓋複製的代價；它會直接引發錯誤：

# %%
try:
    X + meta
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Tensor on device meta is not on the expected device cpu!

# %% [markdown]
# 有兩種例外，meta 裝置還有其他例外。
# 像 `+` 這樣的運算可以接受沒有維度的 CPU 張量，例如 `torch.tensor(2.0)`，就像接受 Python 數字一樣。
# 在 `X[index]` 裡，CPU 上的索引會自動移動，代價是一次複製。
#
# 在真正的 GPU 上，結果和錯誤是這樣的：
#
# *需要 CUDA GPU。*

# %%
if torch.cuda.device_count() >= 1:
    on_gpu = X.to(try_gpu())
    print((on_gpu + on_gpu).device.type, (on_gpu * 2).device == on_gpu.device)
    #> cuda True
    try:
        X + on_gpu
    except RuntimeError as error:
        print("Expected all tensors to be on the same device" in str(error))
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ## 移動網路
#
# 網路和輸入的批次必須在同一個裝置上。
# `net.to(device)` 會移動每個參數和每個緩衝區。
# 和張量的 `.to` 不同，它會原地改變網路：

# %%
net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
print(net.to(try_gpu()) is net)
#> True
print({tensor.device.type for tensor in net.state_dict().values()} == {try_gpu().type})
#> True

# %% [markdown]
# 張量如果存成模組的一般屬性，就不會移動。
#
# 網路在 CPU 和 GPU 之間移動時，參數還是原來的物件。
# 所以，移動之前建立的優化器，持有的仍然是正確的參數：

# %%
net = nn.Linear(3, 1)
weight = net.weight
net.to(try_gpu())
print(net.weight is weight)
#> True

# %% [markdown]
# （沒有 GPU 時，這個程式碼片段不會移動任何東西。
# 移到 meta 裝置則會建立新的參數。）
#
# **注意。**優化器可能有自己的張量（稱為優化器的狀態），例如計算動量用的先前梯度總和，而 `net.to` 不會移動這些張量。
# 優化器在第一步建立它們，位置就是當時參數所在的裝置。
# 所以要先移動網路，再載入優化器先前儲存的狀態（如果有的話），然後才訓練。
#
# 在訓練迴圈裡，把每個批次移到網路所在的裝置：

# %%
net = nn.Linear(3, 1).to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for X, Y in [(torch.rand(8, 3), torch.rand(8, 1)) for _ in range(3)]:
    X, Y = X.to(device), Y.to(device)
    optimizer.zero_grad()
    nn.functional.mse_loss(net(X), Y).backward()
    optimizer.step()
print(net.weight.device.type == device.type)
#> True

# %% [markdown]
# ## meta 裝置
#
# 初次閱讀可以跳過這一節：這裡談的是如何不用記憶體就算出形狀和大小，以及如何不用 GPU 就測試和裝置有關的程式碼。
#
# meta 裝置上的張量有形狀、dtype 和裝置，但沒有記憶體，也沒有值。
# 對這樣的張量做運算，只會算出結果的形狀、dtype 和裝置。
# 所以，就算是電腦記憶體放不下的網路，也能算出它的大小：

# %%
with torch.device("meta"):
    large = nn.Sequential(nn.Linear(50_000, 50_000), nn.ReLU(), nn.Linear(50_000, 10))
    result = large(torch.empty(64, 50_000))
print(result.shape, result.device)
#> torch.Size([64, 10]) meta
gib = sum(p.numel() * p.element_size() for p in large.parameters()) / 2**30
print(f"{gib:.1f} GiB")
#> 9.3 GiB

# %% [markdown]
# `element_size()` 是每個值的位元組數，GiB 則是 2**30 個位元組。
# 這個網路的參數需要 9.3 GiB，但這個程式碼片段完全沒有為參數用到記憶體。
#
# 在測試裡，meta 裝置也可以代替 GPU。
# 如果 `forward` 建立一個 CPU 張量，再把它和 meta 張量相加，PyTorch 就會引發錯誤：

# %%
class Noisy(nn.Module):
    def forward(self, X):
        return X + torch.rand(X.shape)  # made on the CPU


try:
    Noisy()(torch.empty(2, 3, device="meta"))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Tensor on device cpu is not on the expected device meta!

# %% [markdown]
# 修正方法：裝置和 dtype 都取自輸入。

# %%
class Follows(nn.Module):
    def forward(self, X):
        return X + torch.rand_like(X)


print(Follows()(torch.empty(2, 3, device="meta")).device)
#> meta

# %% [markdown]
# 在 PyTorch 2.13 裡，卷積和沒有偏差的矩陣乘積，可以接受 CPU 張量和 meta 張量混用。
# 所以測試還應該檢查輸出的裝置，就像練習題 6 那樣。
#
# **限制。**meta 張量沒有值：`.item()`、`.tolist()`、`.cpu()`，以及根據值判斷的 `if`，都會引發錯誤，`print` 則顯示 `...`。
# 要為 meta 裝置上的網路配置記憶體並填入值，見延後初始化。

# %% [markdown]
# ## 非同步執行：如何測量時間
#
# 你測量矩陣乘積在 GPU 上要花多少時間，得到的時間卻短得不合理。
#
# <dfn>主機</dfn>（host）是 CPU 和主記憶體：Python 在那裡執行，並把工作交給 GPU。
# <dfn>串流</dfn>（stream）是一個佇列，裡面的運算由 GPU 按照主機加入的順序執行。
# 像 `X @ Y` 這樣的呼叫，只是把運算加入串流。
# <dfn>非同步執行</dfn>（asynchronous execution）是指主機不等 GPU 完成運算，就繼續往下執行。
# Python 需要值的時候才會等待，例如 `.item()`、`.tolist()`、`print`、`if` 或 `.cpu()`。
#
# 所以，如果用平常的方法測量 GPU 的計算，得到的只是**交代**工作所花的時間。
# <dfn>同步</dfn>（synchronize）是指等到 GPU 完成佇列裡的所有工作，例如用 `torch.accelerator.synchronize()`。
# 要測量工作本身，每次讀取時鐘之前都要先同步：
#
# *需要 CUDA GPU。*

# %%
if torch.cuda.device_count() >= 1:
    import time


    def seconds(work, wait):
        torch.accelerator.synchronize()
        start = time.perf_counter()
        work()
        if wait:
            torch.accelerator.synchronize()
        return time.perf_counter() - start


    big = torch.rand(8192, 8192, device=try_gpu())
    seconds(lambda: big @ big, wait=True)  # the first call also sets things up
    asked = min(seconds(lambda: big @ big, wait=False) for _ in range(5))
    done = min(seconds(lambda: big @ big, wait=True) for _ in range(5))
    print(asked < done)
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# 每個結果都取五次當中最短的時間，因為其他程式只會讓時間變長，不會變短。
# 交代這個乘積所花的時間，比算完它要短（在一個 GPU 上的測量結果）。
#
# 沒有 GPU 時，沒有什麼要等，而且 `synchronize()` 會引發錯誤，所以要先檢查 `torch.accelerator.is_available()`。
#
# 要公布的時間，請用 [`torch.utils.benchmark.Timer`](https://docs.pytorch.org/docs/stable/benchmark_utils.html) 測量。
# 它會替你同步、暖機和重複測量。
# 在 CPU 上，它只用一個執行緒，除非設定 `num_threads=`。
#
# **看不見的等待。**複製到 GPU 也會讓 Python 等待（除非使用釘選記憶體和 `non_blocking=True`），`X[mask]`、`nonzero` 和 `torch.equal` 也是如此。
# 呼叫 `torch.cuda.set_sync_debug_mode("warn")`，PyTorch 就會對大多數這類等待發出警告。
#
# **錯誤很晚才出現。**GPU 上的錯誤，例如索引超出範圍，要到下一個需要等待的那一行才會回報，而那一行往往不是出錯的那一行。
# 要找出原因，就先把環境變數 `CUDA_LAUNCH_BLOCKING` 設成 1，再重新啟動程式。
#
# **印出損失的代價。**訓練迴圈如果每一步都印出損失，每一步就都要等待。
# Python 在印的時候，GPU 閒著；GPU 在計算的時候，Python 閒著。
# 請改為在 GPU 上累加損失，大約每 50 步才讀取一次總和（`torch.zeros(())` 是單一的數字）：

# %%
total = torch.zeros((), device=device)
for step in range(1, 101):
    loss = torch.tensor(1.0, device=device)  # stands for a loss
    total += loss.detach()
    if step % 50 == 0:
        print(step, (total / 50).item())
        total.zero_()
#> 50 1.0
#> 100 1.0

# %% [markdown]
# 在 100 步當中，這個迴圈只讀取了兩次值；換成真正的損失，也只會等待兩次。
# 那時就需要 `detach`：少了它，`total` 會保留所有損失的計算圖。
#
# **初次閱讀到這裡就可以了。**這一頁其餘的部分，談的是比較省時的複製、16 位元的乘積、多個 GPU、函式庫、常見的錯誤和練習題。

# %% [markdown]
# ## 複製與釘選記憶體
#
# GPU 算得很快，但每個批次都要先送到 GPU。
# 主記憶體和 GPU 的記憶體之間由匯流排（bus）連接，這條資料線比兩邊的記憶體都慢得多。
#
# 作業系統隨時可能把一般記憶體移到別的地方，或是移到磁碟上。
# <dfn>釘選記憶體</dfn>（pinned memory）是作業系統絕不會移動的主記憶體，所以 GPU 不必靠 CPU 幫忙，就能從那裡取得資料。
# 一般記憶體裡的資料要先複製到釘選記憶體：可以由你用 `pin_memory()` 複製；不然就由 GPU 的驅動程式複製，驅動程式為此準備了**暫存緩衝區**（staging buffer，和模組的緩衝區無關）。
#
# （圖：上方是 CPU 和它的記憶體，下方是 GPU 和它的記憶體，中間是緩慢的匯流排。
# 一般記憶體裡的 X，由 CPU 把值複製到釘選記憶體裡的暫存緩衝區，這時 Python 要等待；接著這些值經過匯流排。
# X.pin_memory() 是 X 在釘選記憶體裡的複本，由 GPU 經過匯流排取得這些值；使用 non_blocking=True 時，Python 會繼續往下執行。
# 兩條路都通往 X.to(device)，再通往 X @ weight，它在 GPU 自己的記憶體裡算得很快。）
#
# 如果來源是釘選的，又傳入 `non_blocking=True`，PyTorch 就只把這次複製加入佇列，Python 立刻繼續往下執行：
#
# *需要 CUDA GPU。*

# %%
if torch.cuda.device_count() >= 1:
    pinned = torch.rand(2**24).pin_memory()
    on_gpu = pinned.to(try_gpu(), non_blocking=True)
    print(pinned.is_pinned(), torch.equal(on_gpu.cpu(), pinned))
    #> True True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# 釘選本身也是一次複製，Python 必須等它完成，所以最好放在背景做，例如交給 PyTorch 的批次載入器：`DataLoader(..., num_workers=1, pin_memory=True)`。
# 速度那一頁在一個 GPU 上比較了各種複製方式，也有指令可以在你的機器上測量。
#
# **代價。**記憶體一旦釘選，系統的其他部分就不能用。
#
# **注意。**下面兩種錯誤會讓值變得不正確，而且沒有任何提示：
#
# - 複製還沒完成，就寫入釘選的張量。
#   這樣一來，GPU 得到的可能是新的值，也可能是新舊混雜的值。
# - 太早讀取 `X.to("cpu", non_blocking=True)` 的結果。
#   這個呼叫在值送達之前就會回傳，所以少了 `torch.accelerator.synchronize()`，讀到的可能是那塊記憶體裡的舊資料。

# %% [markdown]
# ## Autocast
#
# 許多 GPU 都有專門計算矩陣乘積的單元（在 NVIDIA 的 GPU 上稱為 Tensor Core），16 位元數值的乘法比 32 位元快好幾倍。
# Autocast 會使用這些單元，並讓參數維持 `float32`。
# 矩陣乘積用你選擇的 16 位元 dtype 計算。
# 需要更大範圍或更高精度的運算，例如損失，則用 `float32` 計算：

# %%
net, X, Y = nn.Linear(3, 1), torch.rand(2, 3), torch.rand(2, 1)
with torch.autocast("cpu", dtype=torch.bfloat16):
    prediction = net(X)
    loss = nn.functional.mse_loss(prediction, Y)
print(prediction.dtype, loss.dtype, net.weight.dtype)
#> torch.bfloat16 torch.float32 torch.float32
loss.backward()
print(net.weight.grad.dtype)
#> torch.float32

# %% [markdown]
# 前向傳播和損失要放在 `with` 區塊裡，`backward` 要放在外面。
#
# `bfloat16` 的範圍和 `float32` 相同。
# `float16` 無法表示那麼小的數字，所以很小的梯度可能變成 0；[`torch.amp.GradScaler`](https://docs.pytorch.org/docs/stable/amp.html) 可以避免這種情況。
#
# 不用 autocast 的話，`torch.set_float32_matmul_precision("high")` 可以讓 `float32` 的乘積也使用這些單元，輸入會捨入成比較少的位數。
#
# **限制。**不管用哪一種方法，結果都只保留兩到三位有效數字，所以要用 `torch.allclose(a.float(), b.float(), atol=t)` 比較，其中 `t` 大約是最大值的 1%。

# %% [markdown]
# ## 兩個 GPU
#
# 每個 GPU 都有自己的佇列。
# 所以，雖然 Python 是先後把工作交給兩個 GPU，兩個 GPU 還是可以同時計算：
#
# *需要 2 個 CUDA GPU。*

# %%
if torch.cuda.device_count() >= 2:
    devices = [torch.device("cuda", i) for i in range(2)]
    inputs = [torch.rand(1024, 1024, device=device) for device in devices]
    outputs = [X @ X for X in inputs]  # neither waits for the other
    print([output.device.index for output in outputs])
    #> [0, 1]
    print(outputs[0].to(devices[1]).device.index)
    #> 1
else:
    print("skipped: this needs 2 CUDA GPUs")

# %% [markdown]
# 要在多個 GPU 上訓練，請用 [`DistributedDataParallel`](https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html)，每個 GPU 各用一個行程。
# 如果一個 GPU 放不下網路，請用 [`fully_shard`](https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html)。

# %% [markdown]
# ## 函式庫中的實作
#
# `d2lblocks.devices` 有五個函式。
# `cpu()` 和 `gpu(i)` 回傳裝置的名稱，即使 GPU 不存在也一樣。
# `num_gpus()` 計算有幾個 GPU。
# `try_gpu(i)` 回傳確實存在的裝置：編號 `i` 的 GPU；如果沒有這個 GPU，就回傳 CPU。
# `try_all_gpus()` 回傳所有 GPU 的串列；如果沒有 GPU，串列裡就是 CPU。
#
# 這些函式的原始碼，不含說明字串（docstring）：
#
# *函式庫的原始碼，出自 `d2lblocks/devices.py`：*

# %%
import operator


def cpu() -> torch.device:
    return torch.device("cpu")


def gpu(i: int = 0) -> torch.device:
    i = operator.index(i)
    if i < 0:
        raise ValueError(f"expected the number of a GPU, 0 or larger, but got {i}")
    accelerator = torch.accelerator.current_accelerator()
    return torch.device("cuda" if accelerator is None else accelerator.type, i)


def num_gpus() -> int:
    return torch.accelerator.device_count()


def try_gpu(i: int = 0) -> torch.device:
    device = gpu(i)
    return device if device.index < num_gpus() else cpu()


def try_all_gpus() -> list[torch.device]:
    return [gpu(i) for i in range(num_gpus())] or [cpu()]

# %% [markdown]
# 編號從 0 開始，所以沒有編號為 `num_gpus()` 的 GPU：

# %%
from d2lblocks import cpu, gpu, num_gpus, try_all_gpus, try_gpu

print(cpu(), gpu(2).index, len(try_all_gpus()) == max(num_gpus(), 1))
#> cpu 2 True
print(try_gpu(num_gpus()))
#> cpu

# %% [markdown]
# 和前面的簡短版本不同，函式庫的 `try_gpu` 不接受負的索引，而且錯誤訊息很清楚：

# %%
try:
    try_gpu(-1)
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: expected the number of a GPU, 0 or larger, but got -1

# %% [markdown]
# 只適用於某一種裝置的程式，應該寫明那種裝置，例如 `torch.device("cuda")`，這樣沒有那種裝置時，程式就會失敗。
# 出現錯誤，往往好過不知不覺在 CPU 上訓練好幾個小時。

# %% [markdown]
# ## 出錯的時候

# %% [markdown]
# ### `Expected one of cpu, cuda, ...`
#
# 你要求的裝置是 `"gpu"`。
# PyTorch 沒有叫這個名稱的裝置類型：

# %%
try:
    torch.device("gpu")
except RuntimeError as error:
    print("Expected one of cpu, cuda" in str(error))
#> True

# %% [markdown]
# 修正方法：用類型的名稱，例如 `cuda`；或是用函式 `gpu`，它會替你找出類型。

# %%
print(gpu(0).type in ("cuda", "mps", "xpu"))
#> True

# %% [markdown]
# ### `Torch not compiled with CUDA enabled`
#
# 你要求使用 GPU，但這個 PyTorch 的建置版本不支援。
# 如果建置版本支援這種 GPU，但沒有驅動程式，或是 GPU 不夠多，就會出現訊息不同的 `RuntimeError`：

# %%
try:
    torch.ones(2, device=gpu(num_gpus()))
except (AssertionError, RuntimeError):
    print("no such device")
#> no such device

# %% [markdown]
# 修正方法：用 `try_gpu()`，或是安裝適合你的 GPU 的[建置版本](https://pytorch.org/get-started/locally/)。

# %%
print(torch.ones(2, device=try_gpu(num_gpus())).device)
#> cpu

# %% [markdown]
# 下次如何及早發現：開始長時間執行之前，印出 `torch.accelerator.is_available()`。

# %% [markdown]
# ### 張量沒有移動
#
# 你呼叫了 `X.to(device)`，但 `X` 還在原來的裝置上。
# `.to` 回傳新的張量，`X` 保持不變：

# %%
X = torch.ones(2, 3)
X.to("meta")
print(X.device)
#> cpu

# %% [markdown]
# 修正方法：把結果指派給變數。
# （**網路**是原地移動的，所以只要寫 `net.to(device)` 就夠了。）

# %%
X = X.to("meta")
print(X.device)
#> meta

# %% [markdown]
# ### `Expected all tensors to be on the same device`
#
# 某個運算收到的張量來自兩個裝置，也就是裝置不一致：可能是網路在 GPU 上，批次卻不在；也可能是 `forward` 建立張量時沒有指定裝置。
# （如果錯誤來自 `optimizer.step()`，見下一個條目。）沒有 GPU 時，用 meta 裝置往往也看得到同樣的錯誤，只是訊息不同：

# %%
try:
    nn.Linear(3, 1, device="meta")(torch.rand(2, 3))
except RuntimeError as error:
    print(f"RuntimeError: {error}")
#> RuntimeError: Tensor on device meta is not on the expected device cpu!

# %% [markdown]
# 修正方法：移動批次。
# 在 `forward` 裡，用 `torch.rand_like(X)`、`X.new_zeros(...)` 或 `device=X.device` 建立張量。

# %%
print(torch.empty(2, 3, device="meta").new_zeros(5).device)
#> meta

# %% [markdown]
# 下次如何及早發現：在 meta 裝置上測試模組，就像練習題 6 那樣。
# `diagnose` 會把這個問題回報為 `mixed-device`。

# %% [markdown]
# ### `Expected all tensors to be on the same device`：發生在 `optimizer.step()`
#
# 你接續先前的訓練，優化器的第一步就失敗了。
# 優化器可能有自己的張量，例如 SGD 的動量緩衝區，而 `net.to(device)` 不會移動這些張量。
# `optimizer.load_state_dict` 會把每個張量放到對應的參數**當時**所在的裝置。
# 如果之後才移動網路，到了下一步，參數和動量緩衝區就在不同的裝置上。
# `diagnose` 會把這個問題回報為 `optimizer-device`。
#
# 這個程式碼片段沒有顯示錯誤本身，只顯示動量緩衝區在哪個裝置上。
# 狀態是在 CPU 上儲存的，但載入時網路在 meta 裝置上，所以緩衝區也到了那個裝置上：

# %%
def resumed(device):
    net = nn.Linear(3, 1, device=device)
    return net, torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)


net, optimizer = resumed("cpu")
net(torch.ones(2, 3)).sum().backward()
optimizer.step()
saved = optimizer.state_dict()

net, optimizer = resumed("meta")
optimizer.load_state_dict(saved)
print(optimizer.state[net.weight]["momentum_buffer"].device)
#> meta

# %% [markdown]
# 修正方法：先移動網路，再建立優化器，然後載入優化器的狀態。

# %%
net, optimizer = resumed("cpu")
net.to(device)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
optimizer.load_state_dict(saved)
print(optimizer.state[net.weight]["momentum_buffer"].device == net.weight.device)
#> True

# %% [markdown]
# 如果已經移動了網路，就再載入一次狀態：`optimizer.load_state_dict(optimizer.state_dict())`。

# %% [markdown]
# ### `Cannot convert a MPS Tensor to float64 dtype`
#
# 你的批次來自 NumPy，你要把它移到 Mac 的 GPU 上。
# NumPy 的數值預設是 `float64`，而這個 GPU（`mps`）沒有 `float64`。
#
# 修正方法：先在 CPU 上轉型，再移動。

# %%
batch = torch.ones(2, 3, dtype=torch.float64)
print(batch.float().to(device).dtype)
#> torch.float32

# %% [markdown]
# 在其他裝置上，移動會成功，但之後網路會失敗：見 `mat1 and mat2 must have the same dtype`。
# `diagnose` 會把這個問題回報為 `mixed-dtype`。

# %% [markdown]
# ### 常數留在 CPU 上：存成一般屬性
#
# 你移動了網路，其中一個張量卻還在 CPU 上。
# 模組只移動自己的參數和緩衝區，而存成一般屬性的張量兩者都不是。
# `diagnose` 會把這個問題回報為 `constant`。
#
# 修正方法：改用緩衝區。

# %%
class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.plain = torch.ones(3)
        self.buffer = nn.Buffer(torch.ones(3))


constant = Constant().to("meta")
print(constant.plain.device, constant.buffer.device)
#> cpu meta

# %% [markdown]
# ### 測到的時間太短：沒有 `synchronize`
#
# 你測到的時間太短，不可能做完那些工作。
# GPU 還沒做完，就已經讀取了時鐘，因為執行是非同步的。
#
# 修正方法：每次讀取時鐘之前，都呼叫 `torch.accelerator.synchronize()`，或是改用 `torch.utils.benchmark.Timer`。

# %% [markdown]
# ### `CUDA out of memory`：記憶體用量逐步增加
#
# 程式執行一段時間之後，PyTorch 引發 `torch.OutOfMemoryError: CUDA out of memory`。
# 損失會在記憶體裡保留整張計算圖，損失的總和則會保留所有損失的計算圖。
# 在沒有 `torch.no_grad()` 的評估裡，這些記憶體完全無法釋放；在訓練裡，`backward` 會釋放每張計算圖的大部分，但其餘的還留在記憶體裡：

# %%
layer, total = nn.Linear(4, 1), 0.0
for _ in range(3):
    total += layer(torch.ones(2, 4)).sum()
print(total.requires_grad)
#> True

# %% [markdown]
# 修正方法：只想看看的值，就讓它脫離計算圖。
# `detach()` 不會等待 GPU，但 `item()` 會。

# %%
layer, total = nn.Linear(4, 1), torch.zeros(())
for _ in range(3):
    total += layer(torch.ones(2, 4)).sum().detach()
print(total.requires_grad)
#> False

# %% [markdown]
# 用串列存放輸出，也會發生同樣的情況；緩衝區如果保留計算圖，也是如此。
#
# 下次如何及早發現：檢查 `total.requires_grad` 是不是 `False`。

# %% [markdown]
# ## 練習題

# %% [markdown]
# ### 練習題 1
#
# 讀寫網路的參數，不管網路在哪個裝置上，也不管參數的 dtype 是什麼。
# `read(net, name)` 回傳叫這個名稱（例如 `"0.weight"`）的參數有哪些值，形式是數字的巢狀串列。
# `write(net, name, values)` 把這樣的串列寫進參數，精確到參數的 dtype 所能表示的程度。
# 參數還是同一個裝置上的同一個物件，而且 autograd 會察覺到這次寫入。
#
# 練習（簡單）：`python -m d2lblocks practice start devices/1`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 在每個裝置上，程式碼都一樣：`tolist` 把值複製到 CPU，Python 會等複製完成。
# `copy_` 寫入參數的記憶體，所以優化器持有的仍然是正確的物件。
# `new_tensor` 以參數的 dtype 建立這些值，所以 `float64` 的參數不會少掉任何位數。
#
# *devices/1_write.py*

# %%
def read(net, name):
    return net.get_parameter(name).tolist()


def write(net, name, values):
    parameter = net.get_parameter(name)
    with torch.no_grad():
        parameter.copy_(parameter.new_tensor(values))

# %%
net = nn.Linear(3, 1).to(try_gpu())
weight = net.weight
write(net, "weight", [[2.0, 5.0, 2.0]])
print(read(net, "weight"), net.weight is weight)
#> [[2.0, 5.0, 2.0]] True
print(net.weight.device == net.bias.device)
#> True

# %% [markdown]
# 固定的值不需要串列：在 `torch.no_grad()` 之下，寫 `net.weight.fill_(2.0)` 或 `net.weight[0, 1] = 5.0` 就行了。

# %% [markdown]
# ### 練習題 2
#
# `AppendOne` 為每個樣本加上一個值為 1 的特徵：輸入的形狀是 `(*, features)`，輸出的形狀就是 `(*, features + 1)`。
# 它只適用於 CPU 上的 `float32` 輸入。
# 請只改一行，讓輸出的裝置和 dtype 與輸入相同，不管輸入是什麼。
#
# 練習（簡單）：`python -m d2lblocks practice start devices/2`

# %%
class AppendOne(nn.Module):
    def forward(self, X):
        ones = torch.ones(*X.shape[:-1], 1)
        return torch.cat([X, ones], dim=-1)

# %% [markdown]
# #### 參考答案

# %% [markdown]
# `torch.ones` 在 CPU 上以 `float32` 建立張量；`X.new_ones` 則在 `X` 所在的地方建立。
# 在 CPU 上用 `float32` 時，兩者的作用相同，所以要到第一次移動或轉型之後，才看得出這個錯誤。
#
# *devices/2_follows.py*

# %%
class AppendOne(nn.Module):
    def forward(self, X):
        ones = X.new_ones(*X.shape[:-1], 1)
        return torch.cat([X, ones], dim=-1)

# %%
for X in (torch.empty(2, 3, device="meta"), torch.ones(2, 3).bfloat16()):
    Y = AppendOne()(X)
    print(tuple(Y.shape), Y.device, Y.dtype)
#> (2, 4) meta torch.float32
#> (2, 4) cpu torch.bfloat16

# %% [markdown]
# ### 練習題 3
#
# 你要訓練 n 個網路，每個都需要一個裝置。
# 寫一個函式 `spread(n)`，回傳由 n 個裝置組成的串列，每個都是 `torch.device`：先是編號 0 的 GPU，再來是編號 1，依此類推，最後一個 GPU 之後又回到編號 0。
# 如果沒有 GPU，每個裝置都是 CPU。
# `torch.accelerator` 認得的每一種 GPU 都要適用。
#
# 練習（中等）：`python -m d2lblocks practice start devices/3`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 在最後一個 GPU 之後，`i % count` 又從 0 開始。
# 要先處理數量為 0 的情況，因為不能除以 0。
# 不要改成檢查 `current_accelerator()` 是不是 `None`：即使機器上沒有 GPU，CUDA 的 PyTorch 建置版本還是會回答 `cuda`。
#
# *devices/3_spread.py*

# %%
def spread(n):
    count = torch.accelerator.device_count()
    if count == 0:
        return [torch.device("cpu")] * n
    kind = torch.accelerator.current_accelerator().type
    return [torch.device(kind, i % count) for i in range(n)]

# %% [markdown]
# 如果只有一個裝置，所有的網路都在那個裝置上：

# %%
print(len(spread(3)), len(set(spread(3))) == min(3, max(num_gpus(), 1)))
#> 3 True

# %% [markdown]
# ### 練習題 4
#
# `norms(matrices)` 接收由大小相同的方陣組成的串列，為每個矩陣 `X` 算出 `(X @ X).norm()`，再把結果以 Python 數字的串列回傳。
# 它在每個乘積之後都讀取一個值，所以有幾個乘積，Python 就要等 GPU 幾次。
# 請修改它，在最後一個乘積之後才一起讀取所有的值。
#
# 練習（中等）：`python -m d2lblocks practice start devices/4`

# %%
def norms(matrices):
    result = []
    for X in matrices:
        result.append((X @ X).norm().item())
    return result

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 讀取 1,000 次，Python 就要等 1,000 次。
# 最後才讀取一次，就只等一次。
#
# `torch.stack` 在 GPU 上把這些範數合在一起，接著 `tolist` 一次複製全部。
#
# *devices/4_norms.py*

# %%
def norms(matrices):
    result = []
    for X in matrices:
        result.append((X @ X).norm())
    return torch.stack(result).tolist()

# %%
print(norms([torch.eye(4), 2 * torch.eye(4)]))
#> [2.0, 8.0]

# %% [markdown]
# 有 1,000 個乘積時，差別就測得出來：
#
# *需要 CUDA GPU。*

# %%
if torch.cuda.device_count() >= 1:
    X = torch.rand(256, 256, device=gpu())


    def each_time():
        return [(X @ X).norm().item() for _ in range(1000)]


    def at_the_end():
        return torch.stack([(X @ X).norm() for _ in range(1000)]).tolist()


    slow = min(seconds(each_time, wait=True) for _ in range(5))
    fast = min(seconds(at_the_end, wait=True) for _ in range(5))
    print(fast < slow)
    #> True
    print(torch.allclose(torch.tensor(each_time()), torch.tensor(at_the_end())))
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ### 練習題 5
#
# 寫一個函式 `training_bytes(make)`，回傳訓練 `make()` 所回傳的網路需要多少位元組，型別是 `int`。
# 每個參數都要計算；參與訓練的參數，還要加上它的梯度和 Adam 的兩個動差（moment），它們的大小和 dtype 都與參數相同。
# 綁定的參數只算一次；緩衝區和各層的輸出不算。
# 網路可能大到電腦放不下，所以不能在記憶體裡建立它。
#
# 練習（中等）：`python -m d2lblocks practice start devices/5`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 梯度和兩個動差都和參與訓練的參數一樣大，所以訓練需要的記憶體是這些參數的四倍。
# 凍結的參數只算一份。
# 訓練還需要記憶體存放各層的輸出（稱為激活值，activation），這部分會隨著批次變大。
#
# *devices/5_training_bytes.py*

# %%
def training_bytes(make):
    with torch.device("meta"):
        net = make()
    total = 0
    for parameter in net.parameters():
        tensors = 4 if parameter.requires_grad else 1
        total += tensors * parameter.numel() * parameter.element_size()
    return total

# %%
def model():
    blocks = (nn.TransformerEncoderLayer(1024, 16, 4096) for _ in range(24))
    return nn.Sequential(
        nn.Embedding(50_000, 1024), *blocks, nn.Linear(1024, 50_000)
    )


print(f"{training_bytes(model) / 2**30:.1f} GiB")
#> 6.0 GiB

# %% [markdown]
# ### 練習題 6
#
# 寫一個測試 `check_devices(make, *shape)`，不需要 GPU。
# `make()` 照平常的方式在 CPU 上建立模組；模組的輸入形狀是 `shape`，輸出是一個張量。
# 如果模組在 GPU 上會混用裝置，測試就要引發錯誤。
# 這樣的情況有三種：`forward` 在 CPU 上建立張量並用它計算；`forward` 回傳這樣的張量；或是模組把常數存成一般屬性，常數因此不會跟著模組移動。
# 其他情況則回傳 `None`；單一的數字，例如 `torch.tensor(2.0)`，可以在 CPU 上。
#
# 練習（較難）：`python -m d2lblocks practice start devices/6`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 建立模組，像移到 GPU 那樣把它移到 meta 裝置，再用 meta 輸入呼叫它。
# 存成一般屬性的常數會留在 CPU 上，`forward` 在 CPU 上建立的張量也是如此。
# CPU 張量和 meta 張量一起運算，通常會引發錯誤；如果輸出本身就是 CPU 張量，檢查輸出的裝置就會發現。
#
# *devices/6_check_devices.py*

# %%
def check_devices(make, *shape):
    net = make().to("meta")
    Y = net(torch.empty(*shape, device="meta"))
    assert Y.is_meta, f"the output is on {Y.device}"

# %%
check_devices(lambda: nn.Sequential(nn.Linear(3, 4), Follows()), 2, 3)
try:
    check_devices(lambda: nn.Sequential(nn.Linear(3, 4), Noisy()), 2, 3)
except RuntimeError:
    print("caught")
#> caught

# %% [markdown]
# **限制。**這個測試不適用於會讀取值的模組，因為 meta 張量沒有值。
# 某些矩陣乘積和卷積裡的 CPU 張量，這個測試也會漏掉，因為那時結果在 meta 裝置上。

# %% [markdown]
# ### 練習題 7
#
# 大的矩陣乘積，GPU 是不是比 CPU 快？
# 小的呢？

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 小的乘積並不會比較快：把工作交給 GPU 要花幾微秒，那時 CPU 早就算完了。
# 乘積愈大，GPU 的優勢也愈大（在一個 GPU 上的測量結果）。
# 在程式碼片段裡，`lambda X=X:` 把當下的 `X` 存進函式。
#
# *需要 CUDA GPU。*

# %%
if torch.cuda.device_count() >= 1:
    def speedup(n):
        times = []
        for each in (cpu(), gpu()):
            X = torch.rand(n, n, device=each)
            X @ X
            times.append(min(seconds(lambda X=X: X @ X, wait=True) for _ in range(5)))
        return times[0] / times[1]


    print(speedup(2048) > speedup(16))
    #> True
else:
    print("skipped: this needs a CUDA GPU")

# %% [markdown]
# ### 練習題 8
#
# 在兩個相同的 GPU 上同時計算兩個乘積，並和在一個 GPU 上計算兩個這樣的乘積比較時間。

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 先交代兩個乘積，再等兩個都完成。
#
# *需要 2 個 CUDA GPU。*

# %%
if torch.cuda.device_count() >= 2:
    first, second = (torch.rand(8192, 8192, device=gpu(i)) for i in range(2))


    def wait_for_both():
        torch.accelerator.synchronize(gpu(0))
        torch.accelerator.synchronize(gpu(1))


    def time_of(*operands):
        wait_for_both()
        start = time.perf_counter()
        for operand in operands:
            operand @ operand
        wait_for_both()
        return time.perf_counter() - start


    one = min(time_of(first, first) for _ in range(5))
    two = min(time_of(first, second) for _ in range(5))
    print(two < one)
    #> True
else:
    print("skipped: this needs 2 CUDA GPUs")

# %% [markdown]
# ## 小結
#
# | 需求 | 寫法 |
# |---|---|
# | 第一個 GPU，或 CPU | `try_gpu()` |
# | 所有的 GPU，或 CPU | `try_all_gpus()` |
# | 查看張量在哪裡 | `X.device` |
# | 在某個裝置上建立張量 | `torch.ones(2, 3, device=device)` |
# | 移動張量 | `X = X.to(device)` |
# | 移動網路 | `net.to(device)` |
# | 在另一個張量所在的地方建立張量 | `torch.rand_like(X)`, `X.new_zeros(...)`, `device=X.device` |
# | 不用記憶體就得知形狀 | `with torch.device("meta")` |
# | 測量時間 | 每次讀取時鐘之前，先呼叫 `torch.accelerator.synchronize()` |
# | 不必等待的迴圈 | 在裝置上累加，大約每 50 步才呼叫一次 `.item()` |
# | 不必等待的複製 | `DataLoader(..., pin_memory=True)`，再用 `X.to(device, non_blocking=True)` |
# | 16 位元的乘積 | `with torch.autocast(device.type, dtype=torch.bfloat16)` |
#
# 函式庫的函式在 `d2lblocks.devices` 裡，所有主題的表格都在速查表裡。
#
# 下一步：診斷，讓函式找出你網路裡的錯誤。
