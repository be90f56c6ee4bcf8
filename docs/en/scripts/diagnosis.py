# %% [markdown]
# # Diagnosis: ask the net
#
# This is the page "Diagnosis: ask the net" of d2lblocks as a script: made from the page, and executed.
# It needs `d2lblocks` and `torch`.
# In a clone of its repository, `pip install .` installs `d2lblocks`.
#
# Your net trains without an error, but the loss does not fall.
# A layer sits in a Python list, a tensor stays behind on the CPU, or softmax is applied twice: nothing complains, and you search for hours.
# The function `diagnose` calls your net a few times and names such mistakes with the place and the fix.
#
# - **What you will be able to do:** find out why a net does not learn and what an error message means, and write tests that keep such mistakes out of your nets.
# - **What you need:** the first readings of Layers and modules and Parameters, and the package (run `pip install .` in a clone of this site's repository).
# - **How long it takes:** about 10 minutes up to In a test, and this part is enough to examine your own net; about 50 minutes with the rest and the exercises.

# %%
import torch
from torch import nn
from torch.nn import functional as F

from d2lblocks import diagnose

# %% [markdown]
# ## A first report
#
# This net keeps its layers in a Python list and a constant in a plain attribute.
# It runs, and nothing complains:

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
# To examine it, pass the net and an input to `diagnose`.
# A small batch is enough:

# %%
report = diagnose(net, X)
print(report.title)
#> Net, called with (8, 20)
for finding in report:
    print(finding.level, finding.code, *finding.names)
#> error unregistered self.layers[0] self.layers[1]
#> question constant self.scale

# %% [markdown]
# A <dfn>finding</dfn> is one entry in a report of `diagnose`: what is wrong, where in the net, and how to fix it.
# Its `code`, such as `unregistered`, names the kind of mistake.
# Its `names` are places in the net: the paths of parameters and modules, or, for something that is not registered, the attribute that holds it.

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
# The page of a finding is the place on this site that explains the mistake.
# `print(report)` shows all of this at once, with the file and the line that assigns the attribute, and a notebook shows it as a table.

# %% [markdown]
# ## Errors and questions
#
# Findings have two levels:
#
# - An error is a mistake in any case. The net uses the layers in the list, but an optimizer built from `net.parameters()` does not train them.
# - A question is a mistake unless you did it on purpose. The constant stays behind when the net moves to a GPU, and it is not in the file that you save; perhaps that is what you want.
#
# If you did it on purpose, say so with `silence`: pass the code, or the code and the place.
# A different place does not silence the question:

# %%
print([each.code for each in diagnose(net, X, silence=["constant"])])
#> ['unregistered']
print([each.code for each in diagnose(net, X, silence=["constant:self.other"])])
#> ['unregistered', 'constant']

# %% [markdown]
# If there is no such code, `diagnose` raises an error, so a typo in a code cannot go unnoticed:

# %%
try:
    diagnose(net, X, silence=["constants"])
except ValueError as error:
    print(f"ValueError: {error}")
#> ValueError: there is no finding with the code 'constants': the nearest is 'constant'

# %% [markdown]
# `bool(report)` is `True` if there are findings, and `report.errors` and `report.questions` list them separately.
# If you apply the proposed fixes, nothing is found:

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
# ## With a loss and an optimizer
#
# Some mistakes show only during training.
# If you pass the loss, `diagnose` also runs the backward pass; if you pass the optimizer, it compares the parameters that the optimizer holds with those of the net.
# The optimizer takes no step.
#
# In this example, a new last layer replaces the old one after the optimizer was built.
# The net also ends with a softmax, which turns scores into probabilities; `F.cross_entropy` contains one, so it is applied twice.

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
# The loss is a function of the output.
# If several optimizers train one net, pass them in a list.
# To check that weights are tied, name each pair: `ties=[("encoder.weight", "decoder.weight")]`.

# %% [markdown]
# ## When the call fails
#
# If the net raises an error, `diagnose` does not raise it.
# Unlike the message, the report says which layer raised the error and what input this layer got:

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
# ## Everything stays as it was
#
# Each call of a net can change something: dropout draws random numbers, batch normalization updates its statistics, a lazy layer gets its shape, and `forward` may append to a list.
# `diagnose` undoes all of this, even if the call fails:

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
# So you can call it in the middle of training, and the run continues with exactly the same numbers as without it.
#
# **Limitation.** Inside an object of your own class that is not a module, nothing is restored, unless the object is an argument of the call.
# Nor is anything outside the program, such as a file that `forward` writes.
#
# **Cost.** A diagnosis takes at most 6 times as long as a forward and a backward pass, plus half a second.
# It needs memory for one copy of the net.
#
# **The first reading ends here.** What follows is for tests and training loops, for error messages, and for those who want to know how it works.

# %% [markdown]
# ## In a test
#
# A test that fails on errors keeps these mistakes out of a net for good.
# Put this into a file that [pytest](https://docs.pytest.org) collects:

# %%
def test_the_net_has_no_errors():
    report = diagnose(Fixed(), torch.rand(8, 20))
    assert not report.errors, str(report)


test_the_net_has_no_errors()

# %% [markdown]
# To be as strict about questions, write `assert not report, str(report)`, and silence the intended ones.
# Here is the error that pytest prints for the first net of this page without its constant:

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
# ## In a training loop
#
# The first batch is the right moment: the shapes are known, nothing has been learned yet, and one second is nothing compared with a night.

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
# ## Error messages: `explain`
#
# If you already have an error message, use `explain`.
# It knows every message on this site, even with your own names, shapes and devices in it:

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
# It also takes the exception itself, which says more than its message, or the whole text of a traceback:

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
# It never guesses: for a message that is on no page, it says so.

# %%
print(explain("division by zero"))
#> No page explains this message.
#> Look for a part of it, or for what you see, on the page mistakes.md.

# %% [markdown]
# `explain_errors()` does this for every uncaught error, in a program as well as in a notebook.
# The explanation is then a note below the traceback.
# This program has the call in its first lines:

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
# ## On the command line
#
# `diagnose` and `explain` are also commands.
# For `diagnose`, write a function that returns the net and its input, and name the file and the function:

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
# In a terminal, that is `python -m d2lblocks diagnose check.py:example`, or `d2lblocks diagnose check.py:example`.
# The exit status is 1 if there are errors, so the command also works in a continuous-integration job, and `--json` prints the report for other tools.
#
# `explain` reads a message, or a whole log from standard input:
#
# ```console
# $ python -m d2lblocks explain "mat1 and mat2 shapes cannot be multiplied (56x28 and 20x256)"
# $ python train.py 2>&1 | python -m d2lblocks explain
# ```

# %% [markdown]
# ## What it finds
#
# These are the codes of all findings.
# If a code can be an error or a question, the text of the finding says why it is the one or the other.
#
# | Code | What it finds |
# |---|---|
# | `mixed-dtype`, error or question | Floating dtypes that differ: an error if the call fails because of it (Layers and modules) |
# | `mixed-device`, error | Devices that differ, where the call fails because of it (Devices) |
# | `raises`, error | The error of the forward pass, the loss or the backward pass (the list of mistakes) |
# | `cycle`, error | A module that contains itself (Layers and modules) |
# | `unhashable`, error | A module without a hash, such as a dataclass (Layers and modules) |
# | `hidden-method`, error or question | An attribute or a method that hides a method of `nn.Module`, such as `parameters` or `eval` (below) |
# | `unregistered`, error or question | Modules or Parameters in a list, tuple, dict, closure or global variable, which `forward` uses (Layers and modules) |
# | `built-in-forward`, error or question | Layers that `forward` creates: new ones in each call, or once in the first (Layers and modules) |
# | `not-a-parameter`, error | A tensor in an attribute that requires a gradient, and is used, but is no parameter (Custom layers) |
# | `constant`, question | A plain tensor in an attribute that takes part in the call (Layers and modules) |
# | `kept-graph`, error | A tensor computed in one call that the next one uses, with its graph (Custom layers) |
# | `filled-at-first-call`, question | A buffer that was None, and is a tensor after the call (File I/O) |
# | `still-lazy`, error | Parameters without a shape after the call (Lazy initialization) |
# | `misspelt`, error | An attribute whose name is almost `requires_grad` or `training`, and which nothing reads (Parameters) |
# | `dotted-name`, error | A child whose own name contains a dot, as `setattr` with a path makes it (Layers and modules) |
# | `same-memory`, error | Two Parameters over one piece of memory (Parameters) |
# | `tie-lost`, error or question | Two names that should refer to one parameter, and do not (File I/O) |
# | `runs-once`, error | A container that holds a module several times, loops over `children()`, and so runs it once (Layers and modules) |
# | `one-layer-many-names`, question | A module with parameters that one container holds several times, as `[layer] * 3` makes it (Parameters) |
# | `no-gradient`, error | A loss, or an output, from which no backward pass is possible (below) |
# | `unused`, question | Parameters that get no gradient, although others do: never used, or cut off (below) |
# | `optimizer`, error | Trainable parameters that no optimizer holds, and held ones that are not the net's (Parameters) |
# | `optimizer-device`, error | The optimizer's state of a parameter is on another device than the parameter (Devices) |
# | `in-eval`, question | Modules in evaluation mode while there is a loss or an optimizer (Layers and modules) |
# | `frozen`, question | Parameters that require no gradient while there is a loss or an optimizer (Parameters) |
# | `data-read`, error | A parameter that the forward pass computes with only through `.data` (Custom layers) |
# | `data-write`, error or question | A write into a parameter through `.data` during the forward pass (Parameters) |
# | `random-in-eval`, question | Random numbers in evaluation mode on which the result depends (Layers and modules) |
# | `forward-called`, error or question | A module whose method `forward` was called, instead of the module itself (below) |
# | `input-changed`, error | An operation that wrote into an input, and changed its values (Layers and modules) |
# | `nan`, question | The first place that holds NaN, in the order parameters, input, modules, loss, gradients (Custom layers) |
# | `scale`, question | Outputs of layers, or gradients of their weights, that grow or shrink by a large factor (Initialization) |
# | `dead-units`, question | A ReLU that returns 0 for all examples (below) |
# | `rounded-buffer`, question | A buffer in 16 bits that holds positions or frequencies: it only grows, or only falls (Custom layers) |
# | `padding-row`, question | An embedding whose row for padding is not 0 (Initialization) |
# | `softmax-twice`, error or question | Probabilities where the loss expects scores: it applies the softmax or the sigmoid itself (below) |
# | `broadcast`, question | Predictions and targets of different shapes, which are compared each with each (below) |
# | `equal-units`, error | Weights whose units are equal, and remain so during training (Initialization) |

# %% [markdown]
# ## How well it finds mistakes
#
# A tool with many false alarms is soon ignored.
# So `diagnose` was tried on nets that should have no errors: those of other libraries, with random weights and small sizes.
# No error may be reported there, and each question was looked into: it is true (the net would be better without it), meant (its authors did it on purpose) or false.
# A net with several questions can be counted in more than one column.
#
# Nets of other libraries, and what the questions about them mean:
#
# | library | nets | with an error | with a question | with nothing | time |
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
# | all | 1198 | 0 | 336 | 862 | 4.9 |
#
# Time is that of a diagnosis with a loss and an optimizer, divided by that of one forward and backward pass; the median of the nets.
#
# | question | nets | true | meant | false |
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
# What the questions mean:
#
# - `unused`, 133 (transformers), meant: the net is called with one kind of input, such as text, and these parts are for another, such as images.
# - `unused`, 35 (transformers), meant: the call does without the mask, the positions or the outputs of an encoder that these parts need.
# - `frozen`, 31 (peft), meant: an adapter trains beside a frozen net.
# - `unused`, 21 (transformers), meant: these layers only choose, and a choice has no gradient; or they were not chosen for this input.
# - `frozen`, 21 (transformers, monai), meant: the positions are sines and cosines.
# - `unused`, 15 (transformers), true: the head builds the base model with a last layer that it does not use.
# - `scale`, 15 (timm, transformers, monai, segmentation_models_pytorch), true: in a new net with a batch of two, each batch normalization enlarges the gradients.
# - `unused`, 11 (monai, segmentation_models_pytorch), true: an encoder of which only the first features are used keeps its later layers.
# - `unused`, 9 (monai), true: the block makes the normalization of a cross-attention that it does not have.
# - `frozen`, 9 (transformers, diffusers), meant: a part that is updated in another way, starts from constants, or comes from another model.
# - `unused`, 8 (transformers), true: a layer is built and never called, or its result is dropped or replaced by zeros.
# - `unused`, 7 (transformers), meant: these parts are for inputs or phases of training that the call does not have.
# - `padding-row`, 7 (transformers), true: the library's initialization fills all rows.
# - `unused`, 6 (diffusers), meant: these layers are for masks, for videos or for other sizes, or the result is rounded on purpose.
# - `constant`, 4 (peft), true: the numbers of the prompt's tokens are in a dict, and each call moves them to the embedding's device.
# - `unused`, 4 (torch_geometric), meant: these layers are for edge features, for the loss, or for a later phase of training.
# - `random-in-eval`, 4 (transformers, monai), meant: the net draws the patches that it masks or keeps, also in evaluation mode.
# - `scale`, 4 (transformers), true: the configuration of the vision encoder has `initializer_range = 1e-10` as its default.
# - `scale`, 4 (transformers), meant: each block starts with a scale of 1e-5, so that the new net is almost the identity.
# - `forward-called`, 3 (timm hrnet; transformers SqueezeBertModel; transformers SqueezeBertForMaskedLM), true: a loop over layers calls `layer.forward(x)`, so hooks of these layers do not run.
# - `forward-called`, 2 (torch_geometric TAGConv; torch_geometric MixHopConv), true: the layer calls `lin.forward(x)`, so hooks of these linear layers do not run.
# - `forward-called`, 2 (transformers ProphetNetModel; transformers ProphetNetForCausalLM), true: the embedding's own method `_forward` calls `super().forward(...)`, so its hooks do not run.
# - `constant`, 2 (peft FourierFTConfig; peft ShiraConfig), true: the indices of an adapter are in a dict, and each call moves them to the weight's device.
# - `unused`, 2 (monai BasicUNetPlusPlus, 2 dimensions; monai BasicUNetPlusPlus, 3 dimensions), true: three of four output layers run, and their results are dropped without deep supervision.
# - `unused`, 2 (torch_geometric ARMAConv; torch_geometric ARMAConv, lazy), true: the weight of further layers exists even if there is only one.
# - `unused`, 2 (transformers Sam3Model; transformers Sam3LiteTextModel), meant: in training mode, the net skips whole layers at random.
# - `frozen`, 2 (monai VQVAE, 2 dimensions; monai VQVAE, 3 dimensions), meant: the table of vectors is a running average.
# - `one-layer-many-names`, 2 (lightning Fabric.setup; lightning Fabric.setup of a LightningModule), meant: a wrapper holds the net that it wraps under two names.
# - `dead-units`, 2 (timm byobnet; timm nfnet), true: a new layer of few units may be 0 for a batch of two.
# - `forward-called`, 1 (peft AdaLoraConfig), true: the wrapper calls `self.model.forward(...)`, so hooks of the wrapped model do not run.
# - `constant`, 1 (lightning torchmetrics.MetricCollection), meant: a metric moves, saves and resets its state itself.
# - `random-in-eval`, 1 (transformers UnivNetModel), meant: the net turns noise into sound, or hashes with random vectors.
# - `scale`, 1 (transformers CpmAntModel), true: the configuration draws weights with a standard deviation of 1 as its default.
# - `scale`, 1 (transformers Nemotron3_5AsrForRNNT), false: the first and the last layer belong to two nets that run side by side.
# - `one-layer-many-names`, 1 (timm coat), meant: one layer serves features of three sizes.
#
# Took longer than 6 forward and backward passes and 0.5 s: 0.
#
# Left out: 724 nets that cannot be built from generic sizes, have more than 64,000,000 parameters, or need packages that are not installed.
# 2026-11-26: 2 cores of AMD EPYC, Python 3.11.7, torch 2.13.0, safetensors 0.8.0, timm 1.0.31, torchvision 0.28.0, transformers 5.24.0, torch_geometric 2.8.1, monai 1.6.1, diffusers 0.42.1, x_transformers 2.31.10, peft 0.21.2, segmentation_models_pytorch 0.6.0, lightning 2.6.6.
#
# Two other packages look for mistakes in a net: [torchtest2](https://pypi.org/project/torchtest2/), which checks how a net behaves on one batch, and [torch-audit](https://pypi.org/project/torch-audit/), which also gives advice on speed.
# They were tried on the same nets, and on a gallery of nets with one mistake each, beside the same nets with the mistake corrected:
#
# Real nets on which a tool reports an error:
#
# | library | nets | `diagnose` | not true | torch-audit | torchtest2 |
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
# | all | 1195 | 0 | 0 | 279 | 289 |
#
# What the other tools report as errors, and on how many nets:
#
# - torch-audit: TA500 279
# - torchtest2: params_change 247, gradient_flow 247, input_dependency 29, batch_independence 16, forward 4, frozen_params 2
#
# Most of these nets have parameters that the inputs do not reach, which both call an error, and `diagnose` a question.
#
# The gallery of mistakes, which are those that `diagnose` is made for, and its mended nets:
#
# | tool | mistakes detected | mended nets with an error | with anything |
# | --- | --: | --: | --: |
# | `diagnose` | 89 of 89 | 0 of 89 | 0 of 89 |
# | torch-audit | 33 of 89 | 1 of 89 | 88 of 89 |
# | torchtest2 | 46 of 89 | 4 of 89 | 17 of 89 |

# %% [markdown]
# ### What it costs
#
# The first row is the time of one forward and backward pass, and the other rows are multiples of it.
# The last column is the additional memory, as a multiple of the net's own:
#
# | times as long as a forward and backward pass | 10 modules | 98 modules | 498 modules | 1,998 modules | copies of the net |
# | --- | --: | --: | --: | --: | --: |
# | a forward and backward pass | 304 µs | 2.05 ms | 12 ms | 53.9 ms |  |
# | `diagnose(net, X)` | 12.65 ± 0.40 | 7.50 ± 0.18 | 5.82 ± 0.25 | 8.64 ± 0.26 | 0.0 |
# | `diagnose(net, X, loss, optimizer)` | 13.10 ± 0.39 | 8.12 ± 0.35 | 6.65 ± 0.10 | 9.53 ± 0.16 | 1.1 |
# | torchtest2, inputs only | 21.50 ± 0.51 | 22.36 ± 0.53 | 26.32 ± 1.28 | 48.53 ± 1.18 | 5.0 |
# | torchtest2, loss and optimizer | 304.35 ± 11.96 | 166.93 ± 0.75 | 69.51 ± 2.64 | 266.33 ± 9.91 | 3.3 |
# | torch-audit | 4.52 ± 0.06 | 4.60 ± 0.16 | 3.94 ± 0.21 | 4.03 ± 0.05 | 1.3 |
#
# At most 6 forward and backward passes and 0.5 s: all nets.
# Medians of 3 rounds and half of the distance between their quartiles, 2026-11-26: 2 cores of AMD EPYC, Python 3.11.7, torch 2.13.0, torchtest2 0.1.0, torch-audit 0.3.0.

# %% [markdown]
# ## How it works
#
# PyTorch lets you watch every operation: inside its `with` block, a `TorchFunctionMode` receives every call of a PyTorch function and the arguments of that call.
# A short class is enough to find the parameters of layers in a list.
# It remembers every `nn.Parameter` that takes part in an operation but is not a parameter of the net:

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
# `diagnose` watches in the same way, and records more: reads and writes of `.data`, operations that write into an input, the random numbers that are drawn, and the losses with the shapes that they compare.
# Hooks on all modules show which module is running and what it returns.
# The autograd graph of the result shows which parameters a gradient reaches.
# Before `diagnose` begins, it makes a copy of the net; at the end, it writes the copy back.
#
# Three things need more than one call:
#
# - Whether random numbers change the result in evaluation mode: the net runs twice, with two seeds.
# - Whether a tensor that one call keeps takes part in the next one: the net runs once more.
# - Whether equal units stay equal: the net takes a few steps of training for a loss with random weights, which are undone as well.
#
# **Limitation.** Nothing can be watched inside a `ScriptModule` or inside a compiled function of another library.
# A net that was passed to `torch.compile` runs without compilation while it is watched.

# %% [markdown]
# ## In the library
#
# `d2lblocks.diagnosis` has `diagnose`, `explain` and `explain_errors`, and the classes of their results.

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
# ## When it goes wrong

# %% [markdown]
# ### The loss stays high: softmax before `cross_entropy`
#
# The loss falls a little and then stays high, because two softmaxes make all predictions similar.
# A net that is certain and right still has a loss far above 0:

# %%
scores = torch.tensor([[100.0, 0.0, 0.0]])
y = torch.tensor([0])
print(f"{F.cross_entropy(scores.softmax(-1), y):.3f}")
#> 0.551
print(f"{F.cross_entropy(scores, y):.3f}")
#> 0.000

# %% [markdown]
# The same holds for a sigmoid before `F.binary_cross_entropy_with_logits`.
# `F.nll_loss` is the opposite: it expects the result of `log_softmax`.
# Leave out the softmax, and apply it only when you need probabilities, after training.

# %%
net = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=-1))
X, y = torch.rand(6, 4), torch.arange(6) % 3
print([each.code for each in diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y))])
#> ['softmax-twice']
del net[1]
print([each.code for each in diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y))])
#> []

# %% [markdown]
# ### All predictions become the mean: shapes `(8, 1)` and `(8,)`
#
# A net for regression returns the shape `(8, 1)`, and the targets have the shape `(8,)`.
# Their difference has the shape `(8, 8)`, so the best prediction is the mean of all targets.
# `F.mse_loss` warns about it; your own formula does not:

# %%
net, X, y = nn.Linear(4, 1), torch.rand(8, 4), torch.rand(8)
print((net(X) - y).shape, (net(X).squeeze(-1) - y).shape)
#> torch.Size([8, 8]) torch.Size([8])
print([each.code for each in diagnose(net, X, loss=lambda Y: (Y - y).square().mean())])
#> ['broadcast']

# %% [markdown]
# ### No gradient at all: `item()`, `detach()` or `torch.tensor(...)`
#
# The backward pass fails with `element 0 of tensors does not require grad and does not have a grad_fn`, or you never call it because the loss is a number.
# These lose the graph: `item()`, `tolist()`, `numpy()`, `detach()`, `.data`, `argmax`, comparisons, and `torch.tensor(...)` of a tensor.

# %%
net = nn.Linear(4, 3)
X, y = torch.rand(6, 4), torch.arange(6) % 3
report = diagnose(net, X, loss=lambda Y: (Y.argmax(-1) != y).float().mean())
print(report[0].code, *report[0].names)
#> no-gradient loss
print(diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y)))
#> Linear, called with (6, 4): nothing found

# %% [markdown]
# ### A layer gets no gradient: not called, or cut off
#
# The gradient of a parameter stays `None`, and its optimizer skips it.
# Distributed training stops with an error at the second step, because it waits for this gradient.

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
# In a net that uses some layers only for some inputs, this is intended: `silence=["unused"]`.

# %% [markdown]
# ### `layer.forward(X)` skips the hooks
#
# Lazy layers get their shapes in a hook, pruning computes the weight in a hook, and profilers use hooks to count operations.
# `layer(X)` runs `forward` and the hooks; `layer.forward(X)` runs only `forward`.

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
# ### `nan` in the output: which layer is the first
#
# Once a value is NaN, nearly everything computed from it is NaN, and the output does not show where the NaN began.
# `diagnose` names the first module in the order of the forward pass:

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
# ### A ReLU returns only zeros
#
# After a step that was too large, or with a large negative bias, all inputs of a ReLU can be negative.
# It then returns only zeros, its derivative is 0 everywhere, and the layers before it never change again.

# %%
net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
with torch.no_grad():
    net[0].bias.fill_(-9)
report = diagnose(net, torch.rand(2, 4))
print(report[0].code, *report[0].names)
#> dead-units 1

# %% [markdown]
# ### An attribute called `parameters` hides the method
#
# A module already has the names `parameters`, `children`, `modules`, `train`, `eval` and many more.
# If you assign something else to one of them, every call of that method fails, far away from the cause:

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
# A method of your own called `train` or `eval` is just as bad: `net.eval()` then calls yours.

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# This net has three heads, and only one of them learns.
# Find out why with `diagnose(Heads(), torch.rand(2, 4))`, and repair the net by changing one line.
# The output must stay the same, and the names of the attributes too: the head of `size` has the weight `others.size.weight`.
#
# To practice (easy): `python -m d2lblocks practice start diagnosis/1`

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
# #### Solution

# %% [markdown]
# The other two heads are in a plain dictionary, so they are not registered:

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
# ### Exercise 2
#
# A net uses a teacher, a net that must be neither trained nor saved with it.
# So its author keeps the teacher in a tuple on purpose: `self.teacher = (teacher,)`.
# Write `examine(net, X)`, which returns the report of `diagnose(net, X)` without the question about `self.teacher[0]`.
# Everything else must still be found, for example other layers in a tuple or a list.
#
# To practice (medium): `python -m d2lblocks practice start diagnosis/2`

# %% [markdown]
# #### Solution

# %% [markdown]
# The finding has the level `question`, because the teacher runs under `torch.no_grad()`, so it cannot be intended to learn.
# Name the place too, so that the same mistake elsewhere is still found:
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
# ### Exercise 3
#
# A script may fail after hours, and its log should then explain the error.
# Write `logged(main, path)`, which calls `main()` and returns its result.
# If `main` raises an exception, append `str(explain(error))` to the text file `path`, and let the same exception go on.
# Keep what the file holds already.
#
# To practice (medium): `python -m d2lblocks practice start diagnosis/3`

# %% [markdown]
# #### Solution

# %% [markdown]
# Catch the exception, write the explanation, and raise the exception again:
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
# To print the explanation below the traceback instead, call `explain_errors()` in the first lines of the script.

# %% [markdown]
# ### Exercise 4
#
# `Classifier` is a net for ten classes; `start` gives it a last layer for three, and returns it with an optimizer.
# The function `train` is right, but the loss that it returns stays high, because of three mistakes in `Classifier` and `start`.
# Find them with `diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer)`, for example for `X = torch.rand(6, 2)` and `y = torch.arange(6) % 3`.
# Repair them, and leave everything else as it is.
#
# To practice (medium): `python -m d2lblocks practice start diagnosis/4`

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
# #### Solution

# %% [markdown]
# Two mistakes are errors, and one is a question:

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
# Register the hidden layers, return the scores, and build the optimizer last:
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
# ### Exercise 5
#
# Does a call in the middle of training, such as `diagnose(net, X)`, change the run?
# Write `same_run(train, call)`, where `train(f)` builds a net, trains it, calls `f(net)` before each step and returns the state dict.
# Run `train` twice from one seed of `torch.manual_seed`, once with `call` and once with a function that does nothing.
# Return `True` if both state dicts have the same names and the same values to the last bit, and `False` if not.
#
# To practice (hard): `python -m d2lblocks practice start diagnosis/5`

# %% [markdown]
# #### Solution

# %% [markdown]
# Every difference shows: a random number that was drawn, a parameter or a buffer.
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
# With it, you can show that `diagnose` does not change a training run, while a call of the net in training mode does:

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
# ### Exercise 6
#
# The class `Strangers` in How it works watches operations to find parameters in lists.
# Write `Constants(net)`, which finds constants: plain tensors in attributes of the modules of `net` that existed before the call and take part in it.
# After `with Constants(net) as watch: net(X)`, the set `watch.found` holds their paths, such as `"scale"` for one of the net and `"body.scale"` for one of its child `body`.
# To take part means to be a positional or a named argument of an operation.
# The call must return what it returns without the `with` block.
#
# To practice (hard): `python -m d2lblocks practice start diagnosis/6`

# %% [markdown]
# #### Solution

# %% [markdown]
# Collect the tensors in the attributes of all modules first.
# Registered tensors are not among them, because a module keeps those in tables of its own.
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
# ## In short
#
# | You want | Write |
# |---|---|
# | to examine a net | `print(diagnose(net, X))` |
# | also its loss and its optimizer | `diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer)` |
# | only the mistakes, without the questions | `report.errors` |
# | to say that something is intended | `diagnose(net, X, silence=["constant:self.scale"])` |
# | a test | `assert not diagnose(net, X).errors` |
# | to check that weights are tied | `diagnose(net, X, ties=[("encoder.weight", "decoder.weight")])` |
# | a check on the command line | `python -m d2lblocks diagnose check.py:example` |
# | to understand a message | `print(explain("the message"))` |
# | an explanation of every uncaught error | `d2lblocks.explain_errors()` |
#
# The functions of this page are in `d2lblocks.diagnosis`, and the tables of all topics are on the Cheat sheet.
#
# This is the last topic.
# Next: When it goes wrong, to look up the mistakes of all topics by message or symptom.
