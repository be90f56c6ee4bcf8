# %% [markdown]
# # 診斷：問問網路
#
# 這是 d2lblocks「診斷：問問網路」這一頁的腳本版：由頁面產生，並且執行過。
# 執行它需要 `d2lblocks` 和 `torch`。
# 把儲存庫 clone 下來，在裡面執行 `pip install .`，就會裝好 `d2lblocks`。
#
# 網路訓練時沒有錯誤，損失卻降不下來。
# 某一層放在 Python 串列裡、某個張量留在 CPU 上，或者 softmax 套用了兩次：沒有任何提示，你一找就是好幾個小時。
# 函式 `diagnose` 會呼叫你的網路幾次，指出這類錯誤，並說明錯在哪裡、怎麼修正。
#
# - **讀完之後你能：**找出網路為什麼不學習、錯誤訊息是什麼意思，並寫出測試，不讓這類錯誤進到你的網路裡。
# - **需要先會：**層與模組和參數的初次閱讀部分，並裝好套件（把本站的儲存庫 clone 下來，在裡面執行 `pip install .`）。
# - **需要多少時間：**讀到放進測試之前約 10 分鐘，要檢查自己的網路，這一部分就夠了；連同其餘部分和練習題約 50 分鐘。

# %%
import torch
from torch import nn
from torch.nn import functional as F

from d2lblocks import diagnose

# %% [markdown]
# ## 第一份報告
#
# 下面的網路把各層放在 Python 串列裡，又把一個常數存成一般屬性。
# 它照樣執行，沒有任何提示：

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
# 要檢查這個網路，就把網路和一筆輸入傳給 `diagnose`。
# 用一個小批次就夠了：

# %%
report = diagnose(net, X)
print(report.title)
#> Net, called with (8, 20)
for finding in report:
    print(finding.level, finding.code, *finding.names)
#> error unregistered self.layers[0] self.layers[1]
#> question constant self.scale

# %% [markdown]
# <dfn>診斷結果</dfn>（finding）是 `diagnose` 報告裡的一項：哪裡不對、在網路的什麼地方、怎麼修正。
# `code`（代號，例如 `unregistered`）表示是哪一種錯誤。
# `names` 是網路裡的位置：參數和模組寫成路徑；沒有註冊的東西，則寫出存放它的屬性。

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
# 診斷結果的頁面（page），是本站說明這種錯誤的地方。
# `print(report)` 會一次顯示以上全部內容，並指出該屬性是在哪個檔案的哪一行指派的；在筆記本（notebook）裡則顯示成表格。

# %% [markdown]
# ## 錯誤與疑問
#
# 診斷結果分成兩個等級：
#
# - 錯誤（error）：無論如何都不對。
#   網路用到了串列裡的層，但由 `net.parameters()` 建立的優化器不會訓練這些層。
# - 疑問（question）：除非你是有意的，否則就不對。
#   網路移到 GPU 時，常數會留在原處，你儲存的檔案裡也沒有它；不過，也許你就是要這樣。
#
# 如果是有意的，就用 `silence` 說明：傳入代號，或是代號加位置。
# 位置不符，這個疑問就不會消失：

# %%
print([each.code for each in diagnose(net, X, silence=["constant"])])
#> ['unregistered']
print([each.code for each in diagnose(net, X, silence=["constant:self.other"])])
#> ['unregistered', 'constant']

# %% [markdown]
# 如果沒有這個代號，`diagnose` 會引發錯誤，所以代號打錯了一定會發現：

# %%
try:
    diagnose(net, X, silence=["constants"])
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: there is no finding with the code 'constants': the nearest is 'constant'

# %% [markdown]
# 有診斷結果時，`bool(report)` 是 `True`；`report.errors` 和 `report.questions` 則分別列出錯誤和疑問。
# 照著建議修正之後，就不會再有任何診斷結果：

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
# ## 加上損失與優化器
#
# 有些錯誤要到訓練時才看得出來。
# 傳入損失，`diagnose` 就會連反向傳播一起執行；傳入優化器，它會比對優化器持有的參數和網路的參數。
# 優化器一步也不會走。
#
# 在下面的例子裡，建立優化器之後，網路的最後一層換成了新的。
# 此外，網路的結尾還有一個 softmax，它把分數變成機率；而 `F.cross_entropy` 裡面已經有 softmax，所以一共套用了兩次。

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
# 損失寫成函式，引數是網路的輸出。
# 如果有好幾個優化器訓練同一個網路，就放在串列裡傳入。
# 要檢查權重是不是綁定的，就寫出每一對名稱：`ties=[("encoder.weight", "decoder.weight")]`。

# %% [markdown]
# ## 呼叫失敗的時候
#
# 網路引發錯誤時，`diagnose` 不會跟著引發。
# 報告還會說出錯誤訊息沒有說的事：是哪一層引發錯誤，以及這一層收到什麼輸入：

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
# ## 一切維持原狀
#
# 每次呼叫網路，都可能改變某些東西：dropout 會抽取亂數，批次正規化會更新統計值，延後初始化層會得到形狀，`forward` 可能會在串列裡附加東西。
# 這些改變，`diagnose` 都會復原，就算呼叫失敗也一樣：

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
# 所以訓練到一半也可以呼叫它，接下來算出的數字和沒有呼叫它時完全相同。
#
# **限制。**如果物件屬於你自己寫的類別，又不是模組，它裡面的東西就不會復原，除非這個物件是呼叫的引數。
# 程式以外的東西也不會復原，例如 `forward` 寫入的檔案。
#
# **代價。**診斷一次所花的時間，最多是前向與反向傳播各一次的 6 倍，再加半秒。
# 另外還需要一份網路複本的記憶體。
#
# **初次閱讀到這裡就可以了。**接下來談測試和訓練迴圈、錯誤訊息；想深入了解的人，還可以看看它怎麼運作。

# %% [markdown]
# ## 放進測試
#
# 寫一個遇到錯誤就不通過的測試，這些錯誤就再也進不了網路。
# 把下面的程式碼放進 [pytest](https://docs.pytest.org) 會收集的檔案：

# %%
def test_the_net_has_no_errors():
    report = diagnose(Fixed(), torch.rand(8, 20))
    assert not report.errors, str(report)


test_the_net_has_no_errors()

# %% [markdown]
# 如果對疑問也要這麼嚴格，就寫 `assert not report, str(report)`，並排除有意的疑問。
# 拿這一頁的第一個網路去掉常數來測試，pytest 會印出下面的錯誤：

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
# ## 放進訓練迴圈
#
# 第一個批次是最好的時機：形狀已經知道了，還沒有學到任何東西，而且和一整晚相比，一秒鐘不算什麼。

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
# ## 錯誤訊息：`explain`
#
# 如果手上已經有錯誤訊息，就用 `explain`。
# 本站的每一則錯誤訊息它都認得，就算裡面是你自己的名稱、形狀和裝置也沒問題：

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
# 也可以把例外本身傳給它，例外比訊息透露得更多；傳入整段回溯（traceback）的文字也可以：

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
# 它從不猜測：如果哪一頁都沒有這則訊息，它就會直說。

# %%
print(explain("division by zero"))
#> No page explains this message.
#> Look for a part of it, or for what you see, on the page mistakes.md.

# %% [markdown]
# `explain_errors()` 會這樣說明每一個未捕捉的錯誤，在程式裡或筆記本裡都行。
# 這時，說明會附在回溯下方。
# 下面的程式在開頭幾行就呼叫它：

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
# ## 在命令列使用
#
# `diagnose` 和 `explain` 也是指令。
# 要用 `diagnose`，就寫一個函式，回傳網路和它的輸入，再指定檔案和函式的名稱：

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
# 在終端機裡，這就是 `python -m d2lblocks diagnose check.py:example`，或是 `d2lblocks diagnose check.py:example`。
# 有錯誤時，結束狀態碼是 1，所以這個指令也能用在持續整合（continuous integration）裡；`--json` 則把報告印成其他工具能讀的形式。
#
# `explain` 可以讀一則訊息，也可以從標準輸入讀整份紀錄檔：
#
# ```console
# $ python -m d2lblocks explain "mat1 and mat2 shapes cannot be multiplied (56x28 and 20x256)"
# $ python train.py 2>&1 | python -m d2lblocks explain
# ```

# %% [markdown]
# ## 找得出哪些錯誤
#
# 下面是所有診斷結果的代號。
# 如果一個代號可能是錯誤，也可能是疑問，診斷結果的文字會說明這次為什麼是其中哪一種。
#
# | 代號 | 找得出哪些錯誤 |
# |---|---|
# | `mixed-dtype`，錯誤或疑問 | 浮點 dtype 不一致；如果呼叫因此失敗，就是錯誤（層與模組） |
# | `mixed-device`，錯誤 | 裝置不一致，呼叫因此失敗（裝置） |
# | `raises`，錯誤 | 前向傳播、損失或反向傳播引發的錯誤（錯誤清單） |
# | `cycle`，錯誤 | 包含自己的模組（層與模組） |
# | `unhashable`，錯誤 | 沒有雜湊值的模組，例如 dataclass（層與模組） |
# | `hidden-method`，錯誤或疑問 | 蓋住 `nn.Module` 方法（例如 `parameters` 或 `eval`）的屬性或方法（見下文） |
# | `unregistered`，錯誤或疑問 | 放在串列、tuple、字典、閉包或全域變數裡，由 `forward` 使用的模組或參數（層與模組） |
# | `built-in-forward`，錯誤或疑問 | 由 `forward` 建立的層：每次呼叫都建立新的，或只在第一次呼叫時建立（層與模組） |
# | `not-a-parameter`，錯誤 | 存成屬性的張量，需要梯度，也用到了，卻不是參數（自訂層） |
# | `constant`，疑問 | 存成屬性的一般張量，參與了呼叫（層與模組） |
# | `kept-graph`，錯誤 | 前一次呼叫算出的張量，連同它的計算圖，又用在下一次呼叫（自訂層） |
# | `filled-at-first-call`，疑問 | 原本是 None、呼叫之後變成張量的緩衝區（檔案讀寫） |
# | `still-lazy`，錯誤 | 呼叫之後仍然沒有形狀的參數（延後初始化） |
# | `misspelt`，錯誤 | 名稱和 `requires_grad` 或 `training` 只差一點，而且沒有程式碼讀取的屬性（參數） |
# | `dotted-name`，錯誤 | 自己的名稱裡有點號的直屬子模組，例如用路徑呼叫 `setattr` 的結果（層與模組） |
# | `same-memory`，錯誤 | 使用同一份記憶體的兩個參數（參數） |
# | `tie-lost`，錯誤或疑問 | 應該指向同一個參數、實際上卻不是的兩個名稱（檔案讀寫） |
# | `runs-once`，錯誤 | 把一個模組放了好幾次的容器，對 `children()` 跑迴圈，所以這個模組只執行一次（層與模組） |
# | `one-layer-many-names`，疑問 | 有參數的模組，在同一個容器裡放了好幾次，例如 `[layer] * 3` 的結果（參數） |
# | `no-gradient`，錯誤 | 無法做反向傳播的損失或輸出（見下文） |
# | `unused`，疑問 | 其他參數有梯度、自己卻沒有的參數：從未用到，或被切斷（見下文） |
# | `optimizer`，錯誤 | 沒有任何優化器持有的可訓練參數，以及優化器持有、卻不屬於網路的參數（參數） |
# | `optimizer-device`，錯誤 | 優化器中某個參數的狀態，和這個參數不在同一個裝置上（裝置） |
# | `in-eval`，疑問 | 有損失或優化器，卻處於評估模式的模組（層與模組） |
# | `frozen`，疑問 | 有損失或優化器，卻不需要梯度的參數（參數） |
# | `data-read`，錯誤 | 前向傳播只透過 `.data` 使用的參數（自訂層） |
# | `data-write`，錯誤或疑問 | 前向傳播期間，透過 `.data` 寫入參數（參數） |
# | `random-in-eval`，疑問 | 評估模式下影響結果的亂數（層與模組） |
# | `forward-called`，錯誤或疑問 | 呼叫的是模組的 `forward` 方法，而不是模組本身（見下文） |
# | `input-changed`，錯誤 | 寫入輸入、改變了輸入值的運算（層與模組） |
# | `nan`，疑問 | 第一個含有 NaN 的地方，依參數、輸入、模組、損失、梯度的順序尋找（自訂層） |
# | `scale`，疑問 | 層的輸出，或是權重的梯度，放大或縮小了很多倍（初始化） |
# | `dead-units`，疑問 | 對所有樣本都回傳 0 的 ReLU（見下文） |
# | `rounded-buffer`，疑問 | 存放位置或頻率的 16 位元緩衝區：值一路遞增，或一路遞減（自訂層） |
# | `padding-row`，疑問 | 嵌入中用於填充的那一列不是 0（初始化） |
# | `softmax-twice`，錯誤或疑問 | 損失要的是分數，收到的卻是機率：損失自己就會套用 softmax 或 sigmoid（見下文） |
# | `broadcast`，疑問 | 預測和目標的形狀不同，變成每個預測都和每個目標比較（見下文） |
# | `equal-units`，錯誤 | 各神經元相同、而且訓練中也一直相同的權重（初始化） |

# %% [markdown]
# ## 找得有多準
#
# 誤報太多的工具，很快就沒有人理會。
# 所以我們拿一批應該沒有錯誤的網路來試 `diagnose`：這些網路來自其他函式庫，權重是隨機的，尺寸很小。
# 在它們上面，一個錯誤都不該回報；每個疑問也都逐一查過，分成三種：屬實（去掉這一點，網路會更好）、有意（作者是刻意這樣做的）和誤報。
# 有好幾個疑問的網路，可能在不只一欄裡計入。
#
# 其他函式庫的網路，以及這些疑問的含義：
#
# | 函式庫 | 網路 | 有錯誤 | 有疑問 | 都沒有 | 時間 |
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
# | 全部 | 1198 | 0 | 336 | 862 | 4.9 |
#
# 「時間」是做一次診斷（包含損失和優化器）的時間，除以前向與反向傳播各一次的時間；表中是各網路的中位數。
#
# | 疑問 | 網路 | 屬實 | 有意 | 誤報 |
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
# 這些疑問的含義：
#
# - `unused`，133 個（transformers），有意：呼叫網路時只給了一種輸入，例如文字，而這些部分是給另一種輸入用的，例如影像。
# - `unused`，35 個（transformers），有意：這些部分需要遮罩、位置或編碼器的輸出，但這次呼叫沒有提供。
# - `frozen`，31 個（peft），有意：在凍結的網路旁邊，訓練一個轉接器（adapter）。
# - `unused`，21 個（transformers），有意：這些層只負責選擇，而選擇沒有梯度；或者這次的輸入沒有選到它們。
# - `frozen`，21 個（transformers、monai），有意：位置是正弦值和餘弦值。
# - `unused`，15 個（transformers），屬實：輸出頭（head）建立基礎模型時，連同它用不到的最後一層也建立了。
# - `scale`，15 個（timm、transformers、monai、segmentation_models_pytorch），屬實：在新建的網路裡，如果批次只有兩個樣本，每個批次正規化層都會放大梯度。
# - `unused`，11 個（monai、segmentation_models_pytorch），屬實：編碼器只用到前面幾層的特徵，後面的層卻還留著。
# - `unused`，9 個（monai），屬實：區塊建立了交叉注意力要用的正規化層，卻沒有交叉注意力。
# - `frozen`，9 個（transformers、diffusers），有意：這個部分以其他方式更新、從常數開始，或是來自另一個模型。
# - `unused`，8 個（transformers），屬實：建立了一層卻從未呼叫，或者它的結果被丟棄、換成零。
# - `unused`，7 個（transformers），有意：這些部分用於這次呼叫沒有的輸入或訓練階段。
# - `padding-row`，7 個（transformers），屬實：函式庫的初始化會把每一列都填上值。
# - `unused`，6 個（diffusers），有意：這些層用於遮罩、影片或其他尺寸，或者結果是刻意捨入的。
# - `constant`，4 個（peft），屬實：提示（prompt）的 token 編號放在字典裡，每次呼叫都要移到嵌入所在的裝置。
# - `unused`，4 個（torch_geometric），有意：這些層用於邊的特徵、損失，或是訓練的後期階段。
# - `random-in-eval`，4 個（transformers、monai），有意：要遮住或保留哪些圖塊（patch），由網路隨機抽取，評估模式下也是如此。
# - `scale`，4 個（transformers），屬實：視覺編碼器的組態預設 `initializer_range = 1e-10`。
# - `scale`，4 個（transformers），有意：每個區塊的縮放係數從 1e-5 開始，讓新的網路幾乎原封不動地回傳輸入。
# - `forward-called`，3 個（timm hrnet；transformers SqueezeBertModel；transformers SqueezeBertForMaskedLM），屬實：對各層跑的迴圈裡，呼叫的是 `layer.forward(x)`，所以這些層的掛勾不會執行。
# - `forward-called`，2 個（torch_geometric TAGConv；torch_geometric MixHopConv），屬實：這一層呼叫的是 `lin.forward(x)`，所以這些線性層的掛勾不會執行。
# - `forward-called`，2 個（transformers ProphetNetModel；transformers ProphetNetForCausalLM），屬實：嵌入自己的方法 `_forward` 呼叫 `super().forward(...)`，所以嵌入的掛勾不會執行。
# - `constant`，2 個（peft FourierFTConfig；peft ShiraConfig），屬實：轉接器的索引放在字典裡，每次呼叫都要移到權重所在的裝置。
# - `unused`，2 個（monai BasicUNetPlusPlus，2 維；monai BasicUNetPlusPlus，3 維），屬實：四個輸出層裡有三個執行了，但沒有使用深度監督（deep supervision），所以結果都被丟棄。
# - `unused`，2 個（torch_geometric ARMAConv；torch_geometric ARMAConv，lazy），屬實：就算只有一層，後續各層用的權重也照樣存在。
# - `unused`，2 個（transformers Sam3Model；transformers Sam3LiteTextModel），有意：在訓練模式下，網路會隨機跳過整層。
# - `frozen`，2 個（monai VQVAE，2 維；monai VQVAE，3 維），有意：這張向量表是移動平均值。
# - `one-layer-many-names`，2 個（lightning Fabric.setup；lightning Fabric.setup，用在 LightningModule 上），有意：包裝器以兩個名稱持有它所包裝的網路。
# - `dead-units`，2 個（timm byobnet；timm nfnet），屬實：神經元很少的新層，遇到只有兩個樣本的批次，可能全是 0。
# - `forward-called`，1 個（peft AdaLoraConfig），屬實：包裝器呼叫的是 `self.model.forward(...)`，所以被包裝的模型的掛勾不會執行。
# - `constant`，1 個（lightning torchmetrics.MetricCollection），有意：指標（metric）會自己移動、儲存和重設狀態。
# - `random-in-eval`，1 個（transformers UnivNetModel），有意：網路把雜訊變成聲音，或是用隨機向量計算雜湊值。
# - `scale`，1 個（transformers CpmAntModel），屬實：組態預設以標準差 1 抽取權重。
# - `scale`，1 個（transformers Nemotron3_5AsrForRNNT），誤報：第一層和最後一層屬於兩個並排執行的網路。
# - `one-layer-many-names`，1 個（timm coat），有意：同一層處理三種尺寸的特徵。
#
# 花費的時間超過 6 次前向與反向傳播再加 0.5 秒的網路：0。
#
# 未納入：724 個網路，因為無法用通用的尺寸建立、參數超過 64,000,000 個，或是需要沒有安裝的套件。
# 2026-11-26：AMD EPYC 的 2 個核心，Python 3.11.7、torch 2.13.0、safetensors 0.8.0、timm 1.0.31、torchvision 0.28.0、transformers 5.24.0、torch_geometric 2.8.1、monai 1.6.1、diffusers 0.42.1、x_transformers 2.31.10、peft 0.21.2、segmentation_models_pytorch 0.6.0、lightning 2.6.6。
#
# 另外還有兩個套件會尋找網路裡的錯誤：[torchtest2](https://pypi.org/project/torchtest2/) 檢查網路處理一個批次時的行為，[torch-audit](https://pypi.org/project/torch-audit/) 還會提供加速的建議。
# 這兩個套件也在同一批網路上試過，另外還用了一組錯誤範例（每個網路各有一個錯誤，並附上改正後的同一個網路）：
#
# 工具回報有錯誤的真實網路：
#
# | 函式庫 | 網路 | `diagnose` | 不屬實 | torch-audit | torchtest2 |
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
# | 全部 | 1195 | 0 | 0 | 279 | 289 |
#
# 其他工具回報的錯誤，以及各在多少個網路上回報：
#
# - torch-audit：TA500 279
# - torchtest2：params_change 247、gradient_flow 247、input_dependency 29、batch_independence 16、forward 4、frozen_params 2
#
# 這些網路大多有輸入傳不到的參數，這兩個工具都說是錯誤，`diagnose` 則說是疑問。
#
# 這組錯誤範例（都是 `diagnose` 要找的錯誤），以及改正後的網路：
#
# | 工具 | 找出的錯誤 | 改正後的網路：回報錯誤 | 改正後的網路：有任何回報 |
# | --- | --: | --: | --: |
# | `diagnose` | 89 / 89 | 0 / 89 | 0 / 89 |
# | torch-audit | 33 / 89 | 1 / 89 | 88 / 89 |
# | torchtest2 | 46 / 89 | 4 / 89 | 17 / 89 |

# %% [markdown]
# ### 診斷的代價
#
# 第一列是一次前向傳播加反向傳播的時間，其餘各列是它的倍數。
# 最後一欄是額外的記憶體，以網路本身的大小為單位：
#
# | 時間：前向與反向傳播的幾倍 | 10 個模組 | 98 個模組 | 498 個模組 | 1,998 個模組 | 網路的複本數 |
# | --- | --: | --: | --: | --: | --: |
# | 前向與反向傳播各一次 | 304 µs | 2.05 ms | 12 ms | 53.9 ms |  |
# | `diagnose(net, X)` | 12.65 ± 0.40 | 7.50 ± 0.18 | 5.82 ± 0.25 | 8.64 ± 0.26 | 0.0 |
# | `diagnose(net, X, loss, optimizer)` | 13.10 ± 0.39 | 8.12 ± 0.35 | 6.65 ± 0.10 | 9.53 ± 0.16 | 1.1 |
# | torchtest2，只有輸入 | 21.50 ± 0.51 | 22.36 ± 0.53 | 26.32 ± 1.28 | 48.53 ± 1.18 | 5.0 |
# | torchtest2，加上損失與優化器 | 304.35 ± 11.96 | 166.93 ± 0.75 | 69.51 ± 2.64 | 266.33 ± 9.91 | 3.3 |
# | torch-audit | 4.52 ± 0.06 | 4.60 ± 0.16 | 3.94 ± 0.21 | 4.03 ± 0.05 | 1.3 |
#
# 最多 6 次前向與反向傳播再加 0.5 秒：所有網路都符合。
# 3 輪的中位數和四分位距的一半，2026-11-26：AMD EPYC 的 2 個核心，Python 3.11.7、torch 2.13.0、torchtest2 0.1.0、torch-audit 0.3.0。

# %% [markdown]
# ## 運作方式
#
# PyTorch 讓你可以監看每一個運算：在 `TorchFunctionMode` 的 `with` 區塊裡，每次呼叫 PyTorch 的函式，它都會收到這次呼叫和其中的引數。
# 要找出串列裡各層的參數，一個簡短的類別就夠了。
# 凡是參與運算、卻不是網路參數的 `nn.Parameter`，它都會記下來：

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
# `diagnose` 也用同樣的方法監看，只是記錄得更多：對 `.data` 的讀寫、寫入輸入的運算、抽取的亂數，還有各個損失，以及損失所比較的形狀。
# 附加在所有模組上的掛勾，會顯示目前執行的是哪個模組、它回傳什麼。
# 結果的 autograd 計算圖，會顯示梯度到達哪些參數。
# `diagnose` 開始之前，先為網路做一份複本；結束時，再把複本寫回去。
#
# 有三件事，只呼叫一次看不出來：
#
# - 在評估模式下，亂數會不會改變結果：用兩個亂數種子，讓網路執行兩次。
# - 前一次呼叫留下的張量，會不會參與下一次呼叫：讓網路再執行一次。
# - 相同的神經元，會不會一直相同：用帶有隨機權重的損失，讓網路訓練幾步，事後同樣會復原。
#
# **限制。**在 `ScriptModule` 裡，或在其他函式庫編譯過的函式裡，什麼都監看不到。
# 傳給 `torch.compile` 的網路，監看期間會以未編譯的方式執行。

# %% [markdown]
# ## 函式庫中的實作
#
# `d2lblocks.diagnosis` 裡有 `diagnose`、`explain` 和 `explain_errors`，以及它們的結果所屬的類別。

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
# ## 出錯的時候

# %% [markdown]
# ### 損失居高不下：`cross_entropy` 之前有 softmax
#
# 損失下降一點之後就居高不下，因為套用兩次 softmax，會讓所有預測都差不多。
# 網路就算很有把握又答對了，損失還是遠大於 0：

# %%
scores = torch.tensor([[100.0, 0.0, 0.0]])
y = torch.tensor([0])
print(f"{F.cross_entropy(scores.softmax(-1), y):.3f}")
#> 0.551
print(f"{F.cross_entropy(scores, y):.3f}")
#> 0.000

# %% [markdown]
# 在 `F.binary_cross_entropy_with_logits` 之前用 sigmoid，也是同樣的情形。
# `F.nll_loss` 正好相反：它要的是 `log_softmax` 的結果。
# 請拿掉 softmax，等訓練完、需要機率的時候再套用。

# %%
net = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=-1))
X, y = torch.rand(6, 4), torch.arange(6) % 3
print([each.code for each in diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y))])
#> ['softmax-twice']
del net[1]
print([each.code for each in diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y))])
#> []

# %% [markdown]
# ### 所有預測都變成平均值：形狀 `(8, 1)` 與 `(8,)`
#
# 做迴歸的網路回傳的形狀是 `(8, 1)`，目標的形狀是 `(8,)`。
# 兩者相減，差的形狀是 `(8, 8)`，所以最好的預測就是所有目標的平均值。
# `F.mse_loss` 會對此發出警告，你自己寫的公式不會：

# %%
net, X, y = nn.Linear(4, 1), torch.rand(8, 4), torch.rand(8)
print((net(X) - y).shape, (net(X).squeeze(-1) - y).shape)
#> torch.Size([8, 8]) torch.Size([8])
print([each.code for each in diagnose(net, X, loss=lambda Y: (Y - y).square().mean())])
#> ['broadcast']

# %% [markdown]
# ### 完全沒有梯度：`item()`、`detach()` 或 `torch.tensor(...)`
#
# 反向傳播失敗，訊息是 `element 0 of tensors does not require grad and does not have a grad_fn`；或者損失只是一個數字，所以根本沒有做反向傳播。
# 以下這些會失去計算圖：`item()`、`tolist()`、`numpy()`、`detach()`、`.data`、`argmax`、比較運算，以及把張量傳給 `torch.tensor(...)`。

# %%
net = nn.Linear(4, 3)
X, y = torch.rand(6, 4), torch.arange(6) % 3
report = diagnose(net, X, loss=lambda Y: (Y.argmax(-1) != y).float().mean())
print(report[0].code, *report[0].names)
#> no-gradient loss
print(diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y)))
#> Linear, called with (6, 4): nothing found

# %% [markdown]
# ### 某一層沒有梯度：沒有呼叫，或被切斷
#
# 參數的梯度一直是 `None`，優化器會跳過它。
# 分散式訓練要等這個梯度，所以到第二步就會出錯停止。

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
# 如果網路的某些層只用於某些輸入，這就是有意的：`silence=["unused"]`。

# %% [markdown]
# ### `layer.forward(X)` 會跳過掛勾
#
# 延後初始化層在掛勾裡得到形狀，剪枝（pruning）在掛勾裡計算權重，效能分析工具（profiler）用掛勾計算運算的次數。
# `layer(X)` 會執行 `forward` 和掛勾；`layer.forward(X)` 只執行 `forward`。

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
# ### 輸出裡有 `nan`：最先出現在哪一層
#
# 一旦某個值是 NaN，由它算出的值幾乎都是 NaN，從輸出看不出 NaN 是從哪裡開始的。
# `diagnose` 會依前向傳播的順序，指出第一個出現 NaN 的模組：

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
# ### ReLU 只回傳零
#
# 某一步更新得太大，或者偏差是絕對值很大的負數，都可能讓 ReLU 的輸入全部變成負的。
# 這時 ReLU 只回傳零，導數處處是 0，前面的各層就再也不會改變。

# %%
net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
with torch.no_grad():
    net[0].bias.fill_(-9)
report = diagnose(net, torch.rand(2, 4))
print(report[0].code, *report[0].names)
#> dead-units 1

# %% [markdown]
# ### 名為 `parameters` 的屬性蓋住了方法
#
# 模組已經有 `parameters`、`children`、`modules`、`train`、`eval` 等許多名稱。
# 如果把別的東西指派給其中一個名稱，之後每次呼叫這個方法都會失敗，而且出錯的地方離原因很遠：

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
# 自己寫一個叫作 `train` 或 `eval` 的方法也一樣糟：`net.eval()` 呼叫的會是你的方法。

# %% [markdown]
# ## 練習題

# %% [markdown]
# ### 練習題 1
#
# 下面的網路有三個輸出頭，卻只有一個在學習。
# 用 `diagnose(Heads(), torch.rand(2, 4))` 找出原因，並且只改一行，把網路修好。
# 輸出必須維持不變，屬性的名稱也是：`size` 這個輸出頭的權重是 `others.size.weight`。
#
# 練習（簡單）：`python -m d2lblocks practice start diagnosis/1`

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
# #### 參考答案

# %% [markdown]
# 另外兩個輸出頭放在一般的字典裡，所以沒有註冊：

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
# ### 練習題 2
#
# 某個網路會用到教師網路（teacher），教師網路既不能和它一起訓練，也不能和它一起儲存。
# 所以作者刻意把教師網路放在 tuple 裡：`self.teacher = (teacher,)`。
# 寫一個函式 `examine(net, X)`，回傳 `diagnose(net, X)` 的報告，但不含關於 `self.teacher[0]` 的疑問。
# 其他問題都還是要找得到，例如放在 tuple 或串列裡的其他層。
#
# 練習（中等）：`python -m d2lblocks practice start diagnosis/2`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 這項診斷結果的等級是 `question`，因為教師網路在 `torch.no_grad()` 之下執行，本來就不可能要它學習。
# 位置也要寫出來，這樣別處有同樣的錯誤時，還是找得到：
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
# ### 練習題 3
#
# 腳本可能執行好幾個小時才失敗，這時紀錄檔裡應該要有這個錯誤的說明。
# 寫一個函式 `logged(main, path)`，呼叫 `main()` 並回傳它的結果。
# 如果 `main` 引發例外，就把 `str(explain(error))` 附加到文字檔 `path`，再讓同一個例外繼續往外傳。
# 檔案原有的內容要保留。
#
# 練習（中等）：`python -m d2lblocks practice start diagnosis/3`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 捕捉例外，寫入說明，再重新引發這個例外：
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
# 如果想改成把說明印在回溯下方，就在腳本的開頭幾行呼叫 `explain_errors()`。

# %% [markdown]
# ### 練習題 4
#
# `Classifier` 是分成十個類別的網路；`start` 把它的最後一層換成三個類別的，再把網路連同優化器一起回傳。
# 函式 `train` 是對的，但它回傳的損失居高不下，因為 `Classifier` 和 `start` 裡有三個錯誤。
# 用 `diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer)` 找出這些錯誤，例如用 `X = torch.rand(6, 2)` 和 `y = torch.arange(6) % 3`。
# 把它們修好，其他部分都不要改。
#
# 練習（中等）：`python -m d2lblocks practice start diagnosis/4`

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
# #### 參考答案

# %% [markdown]
# 這三個當中，兩個的等級是錯誤，一個是疑問：

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
# 註冊隱藏層、回傳分數，最後才建立優化器：
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
# ### 練習題 5
#
# 訓練到一半做一次呼叫，例如 `diagnose(net, X)`，會不會改變這次訓練？
# 寫一個函式 `same_run(train, call)`，其中 `train(f)` 會建立網路並訓練，每一步之前呼叫 `f(net)`，最後回傳狀態字典。
# 用 `torch.manual_seed` 設定同一個亂數種子，執行 `train` 兩次：一次傳入 `call`，一次傳入什麼也不做的函式。
# 如果兩個狀態字典的名稱相同，值的每個位元也都相同，就回傳 `True`，否則回傳 `False`。
#
# 練習（較難）：`python -m d2lblocks practice start diagnosis/5`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 任何差異都看得出來，不論是抽取了亂數，還是改變了參數或緩衝區。
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
# 用這個函式可以看出，`diagnose` 不會改變訓練，而在訓練模式下呼叫網路會：

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
# ### 練習題 6
#
# 運作方式這一節的類別 `Strangers` 監看運算，找出串列裡的參數。
# 寫一個類別 `Constants(net)`，用來找出常數，也就是存成屬性的一般張量：屬性屬於 `net` 的模組，張量在呼叫之前就存在，而且參與這次呼叫。
# 執行 `with Constants(net) as watch: net(X)` 之後，集合 `watch.found` 裡有這些常數的路徑，例如網路自己的常數是 `"scale"`，直屬子模組 `body` 的常數是 `"body.scale"`。
# 「參與」是指作為某個運算的位置引數或關鍵字引數。
# 這次呼叫回傳的結果，必須和沒有 `with` 區塊時相同。
#
# 練習（較難）：`python -m d2lblocks practice start diagnosis/6`

# %% [markdown]
# #### 參考答案

# %% [markdown]
# 先收集所有模組的屬性裡的張量。
# 註冊過的張量不在其中，因為模組另外用自己的表存放它們。
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
# ## 小結
#
# | 需求 | 寫法 |
# |---|---|
# | 檢查網路 | `print(diagnose(net, X))` |
# | 連損失和優化器一起檢查 | `diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer)` |
# | 只看錯誤，不看疑問 | `report.errors` |
# | 表明某件事是有意的 | `diagnose(net, X, silence=["constant:self.scale"])` |
# | 寫成測試 | `assert not diagnose(net, X).errors` |
# | 檢查權重是不是綁定的 | `diagnose(net, X, ties=[("encoder.weight", "decoder.weight")])` |
# | 在命令列檢查 | `python -m d2lblocks diagnose check.py:example` |
# | 看懂訊息 | `print(explain("the message"))` |
# | 說明每個未捕捉的錯誤 | `d2lblocks.explain_errors()` |
#
# 這一頁的函式都在 `d2lblocks.diagnosis` 裡，所有主題的表格都在速查表裡。
#
# 這是最後一個主題。
# 下一步：出錯的時候，用訊息或症狀查詢所有主題的錯誤。
