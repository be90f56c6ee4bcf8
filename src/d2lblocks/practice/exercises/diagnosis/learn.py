"""A net that does not learn."""

import copy
import traceback
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d2lblocks.diagnosis import diagnose

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "diagnosis.md#with-a-loss-and-an-optimizer"
TASK = """
`Classifier` is a net for ten classes; `start` gives it a last layer for three, and returns it with an optimizer.
The function `train` is right, but the loss that it returns stays high, because of three mistakes in `Classifier` and `start`.
Find them with `diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer)`, for example for `X = torch.rand(6, 2)` and `y = torch.arange(6) % 3`.
Repair them, and leave everything else as it is.
"""
STUB = """\
import torch
from torch import nn
from torch.nn import functional as F


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
"""
SOLUTION = """\
import torch
from torch import nn
from torch.nn import functional as F


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
"""
HINTS = (
    "Which parameters change when the optimizer takes a step, and what does `F.cross_entropy` do with its input first?",
    "Read diagnosis.md#with-a-loss-and-an-optimizer, and print the report: each finding names the place and the fix.",
    "Put the hidden layers into `nn.ModuleList`, return the scores without softmax, and build the optimizer after "
    "the last layer has been replaced.",
)
AFTER = """
Now the optimizer holds the parameters of all three layers, and the loss gets scores, so it can fall to nearly 0.
Two of the three findings were errors; the third was a question, because a loss with softmax twice still falls a little.
"""


def check(answer: Answer) -> None:
    """Nothing is found in the net, all its layers are there, and training it works."""
    train, start = answer.function("train"), answer.function("start")
    answer.given = "start()"
    try:
        started = start()
    except TypeError as error:
        if "ModuleList" not in str(error):
            raise
        why = "`nn.ModuleList` takes one argument: a list of modules."
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == answer.file]
        raise Wrong(why, came=f"TypeError: {error}", expected="a net", at=lines[-1]) from None
    pair = answer.kind(started, "start()", tuple | list, "a net and its optimizer")
    if len(pair) != 2:
        raise Wrong("`start()` has to return two objects.", came=pair, expected="net, optimizer")
    net = answer.module(pair[0], "start()[0]")
    optimizer = answer.kind(pair[1], "start()[1]", torch.optim.Optimizer, "an optimizer")
    y = torch.arange(12) % 3
    X = torch.tensor([[2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]])[y] + torch.rand(12, 2)
    answer.given = "X of shape (12, 2) and y of three classes"
    for finding in diagnose(net, X, loss=lambda Y: F.cross_entropy(Y, y), optimizer=optimizer):
        fix = finding.fix.partition(" If this is intended")[0]
        at: Any = finding.line if finding.file == answer.file else type(net)
        if finding.code == "optimizer":
            at = start
        raise Wrong(f"{finding.text} {fix}", at=at, page=finding.page)
    shapes = sorted(tuple(each.shape) for each in net.parameters() if each.dim() == 2)
    if shapes != [(3, 16), (16, 2), (16, 16)]:
        raise Wrong(
            "The net needs its two hidden layers, and a last layer with three outputs.",
            came=f"weights of the shapes {', '.join(map(str, shapes))}",
            expected="weights of the shapes (3, 16), (16, 2), (16, 16)",
            at=type(net),
        )
    if not all(each.bias is not None for each in net.modules() if isinstance(each, nn.Linear)):
        raise Wrong(
            "Each linear layer had a bias, and now there is one without.",
            came="bias=False",
            expected="bias=True",
            at=type(net),
        )
    _computes(net, X)
    scores = answer.tensor(answer.module_class("Classifier")()(X), "Classifier()(X)")
    answer.same(
        tuple(scores.shape),
        (12, 10),
        "Classifier()(X).shape",
        "`Classifier()` itself has to stay a net for ten classes.",
    )
    answer.given = "train(net, optimizer, X, y, 3)"
    answer.last = train
    mine, yours = copy.deepcopy(net), copy.deepcopy(net)
    expected = _train(mine, torch.optim.SGD(mine.parameters(), lr=0.1), X, y, 3)
    loss = train(yours, torch.optim.SGD(yours.parameters(), lr=0.1), X, y, 3)
    answer.kind(loss, "train(net, optimizer, X, y, 3)", float, "a number")
    if abs(loss - expected) > 1e-4:
        raise Wrong("`train` was right, but it now does something else.", came=loss, expected=expected)
    for group in optimizer.param_groups:
        others = {
            name: value
            for name, value in torch.optim.Adam(net.parameters(), lr=0.01).defaults.items()
            if name in ("lr", "betas", "weight_decay", "amsgrad") and group.get(name) != value
        }
        if type(optimizer) is not torch.optim.Adam or others:
            settings = ", ".join(
                f"{name}={group[name]}" for name in dict.fromkeys(["lr", *others]) if name in group
            )
            raise Wrong(
                "The kind of the optimizer and its settings were right.",
                came=f"{type(optimizer).__name__} with {settings}",
                expected="Adam with lr=0.01",
                at=start,
            )
    answer.given = "200 steps with the optimizer of `start()`"
    answer.last = start
    loss = train(net, optimizer, X, y, 200)
    if not loss < 0.1:
        why = "`diagnose` finds nothing, but the loss is still high."
        raise Wrong(why, came=f"a loss of {loss:.2f}", expected="a loss below 0.1")


def _computes(net: nn.Module, X: Tensor) -> None:
    """Raise `Wrong` unless the layers are called in their order, with a ReLU after each hidden one."""
    layers = {tuple(each.weight.shape): each for each in net.modules() if isinstance(each, nn.Linear)}
    if len(layers) != 3:
        return
    first, second, out = layers[16, 2], layers[16, 16], layers[3, 16]
    came, expected = net(X), out(second(first(X).relu()).relu())
    if torch.allclose(came, expected, rtol=1e-4, atol=1e-5):
        return
    why = "Apart from the three mistakes, the net was right, but it computes something else now."
    if torch.allclose(came, out(second(first(X))), rtol=1e-4, atol=1e-5):
        why = "The ReLU after each hidden layer was right, and now there is none."
    raise Wrong(
        why,
        came=came[0],
        expected=expected[0],
        at=type(net),
    )


def _train(net: nn.Module, optimizer: torch.optim.Optimizer, X: Tensor, y: Tensor, steps: int) -> float:
    """What `train` does."""
    loss = torch.zeros(())
    for _ in range(steps):
        loss = F.cross_entropy(net(X), y)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return loss.item()


WRONG = (
    WrongAnswer(
        "A module does not look into a list",
        changes={
            "nn.ModuleList([nn.Linear(2, 16), nn.Linear(16, 16)])": "[nn.Linear(2, 16), nn.Linear(16, 16)]"
        },
    ),
    WrongAnswer(
        "The optimizer does not hold",
        changes={
            "    net.out = nn.Linear(16, 3)\n": "",
            "    return net, optimizer": "    net.out = nn.Linear(16, 3)\n    return net, optimizer",
        },
    ),
    WrongAnswer("it makes the gradients small", changes={"self.out(X)": "self.out(X).softmax(dim=-1)"}),
    WrongAnswer("A second one changes nothing", changes={"self.out(X)": "self.out(X).log_softmax(dim=-1)"}),
    WrongAnswer(
        "needs its two hidden layers",
        changes={
            "        self.hidden = nn.ModuleList([nn.Linear(2, 16), nn.Linear(16, 16)])\n": "",
            "        for layer in self.hidden:\n            X = layer(X).relu()\n": "",
            "nn.Linear(16, ": "nn.Linear(2, ",
        },
    ),
    WrongAnswer("and now there is none", changes={".relu()": ""}),
    WrongAnswer("it computes something else", changes={"self.out(X)": "self.out(X).relu()"}),
    WrongAnswer(
        "a list of modules",
        changes={"[nn.Linear(2, 16), nn.Linear(16, 16)]": "nn.Linear(2, 16), nn.Linear(16, 16)"},
    ),
    WrongAnswer("and its settings were right", changes={"0.01": "0.1"}),
    WrongAnswer("now does something else", changes={"        optimizer.zero_grad()\n": ""}),
)
