"""One layer in two places."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "parameters.md#sharing-parameters-tied-weights"
TASK = """
Complete an MLP that uses one hidden layer twice.
`SharedMLP(4, 8, 1)` has three linear layers: `first` from 4 to 8 numbers, `hidden` from 8 to 8, and `last` from 8 to 1.
In `forward`, the input goes through `first`, `hidden`, the same `hidden` again, and `last`.
After each layer except the last, `F.relu` is applied.
"""
STUB = """\
from torch import nn
from torch.nn import functional as F


class SharedMLP(nn.Module):
    def __init__(self, in_features, hidden_features, out_features):
        super().__init__()
        self.first = nn.Linear(in_features, hidden_features)
        ...

    def forward(self, X):
        X = F.relu(self.first(X))
        ...
"""
SOLUTION = """\
from torch import nn
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
"""
HINTS = (
    "How many weights does the net have, and how many times does `forward` use each of them?",
    "Read parameters.md#sharing-parameters-tied-weights: one layer in two places has one weight, and its gradient is a sum.",
    "Create `self.hidden` once, and write `X = F.relu(self.hidden(X))` twice.",
)
AFTER = """
One layer that runs twice has one weight, and `backward()` adds up the gradients of both uses.
An `nn.Sequential` that contains the same layer twice is tied in the same way; its state dict then has two names for it.
"""
LAYERS = ("first", "hidden", "last")


def check(answer: Answer) -> None:
    """Three layers, their sizes, the result, and the gradient of the shared weight."""
    make = answer.module_class("SharedMLP")
    for sizes, examples in (((1, 1, 1), 1), ((4, 8, 1), 8), ((3, 5, 2), 8)):
        answer.given = f"SharedMLP{sizes}"
        net: Any = answer.module(make(*sizes), f"SharedMLP{sizes}")
        _layers(answer, net, *sizes)
        for layer in (net.first, net.hidden, net.last):
            nn.init.uniform_(layer.weight, -1, 1)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
        X = torch.randn(examples, sizes[0]) if examples > 1 else _by_hand(net)
        answer.given = f"net = SharedMLP{sizes}, X of shape {tuple(X.shape)}"
        twin, before = copy.deepcopy(net), X.clone()
        came, expected = answer.tensor(net(X), "net(X)"), _forward(twin, before)
        answer.same(came, expected, "net(X)", _story(net, before, came))
        answer.same(X, before, "X", "The net changes its input `X`.", tolerance=0)
        if not came.requires_grad:
            raise Wrong(
                "The result has no gradient: `forward` must not detach it.", came="requires_grad False"
            )
        torch.autograd.backward(came.sum())
        torch.autograd.backward(expected.sum())
        for name, parameter in twin.named_parameters():
            why = f"The gradient of `{name}` is not the sum of all uses: one of them is detached or runs without gradients."
            answer.same(net.get_parameter(name).grad, parameter.grad, f"net.{name}.grad", why)
        answer.without_mistakes(net, X)


def _by_hand(net: Any) -> Tensor:
    """Set the weights so that each use of `hidden` and each ReLU makes a difference, and return the input."""
    values = {"first": (1.0, 0.0), "hidden": (-0.5, 0.5), "last": (-1.0, 0.1)}
    for name, (weight, bias) in values.items():
        nn.init.constant_(getattr(net, name).weight, weight)
        nn.init.constant_(getattr(net, name).bias, bias)
    return torch.full((1, 1), 2.0)


def _layers(answer: Answer, net: Any, inside: int, hidden: int, out: int) -> None:
    sizes = {"first": (inside, hidden), "hidden": (hidden, hidden), "last": (hidden, out)}
    for name, size in sizes.items():
        if not hasattr(net, name):
            raise Wrong(
                f"The net has no layer `{name}`: create it in `__init__`, as `self.{name}`.",
                came=[child for child, _ in net.named_children()],
                expected=list(LAYERS),
                at=type(net).__init__,
            )
        layer = answer.kind(getattr(net, name), f"net.{name}", nn.Linear, "an `nn.Linear`")
        came = layer.in_features, layer.out_features
        if came != size:
            raise Wrong(
                f"`{name}` has the wrong sizes.",
                came=f"from {came[0]} to {came[1]} numbers",
                expected=f"from {size[0]} to {size[1]} numbers",
                at=type(net).__init__,
            )
    own = {id(parameter) for name in LAYERS for parameter in getattr(net, name).parameters()}
    if more := [name for name, parameter in net.named_parameters() if id(parameter) not in own]:
        raise Wrong(
            f"The net has one more parameter, `{more[0]}`: a second layer does not share the parameters of `hidden`, "
            "not even as a copy. Use `self.hidden` in both places.",
            came=[name for name, _ in net.named_parameters()],
            expected=[f"{name}.{each}" for name in LAYERS for each in ("weight", "bias")],
            at=type(net).__init__,
        )


def _forward(
    net: Any, X: Tensor, uses: int = 2, last: bool = False, between: bool = True, first: bool = True
) -> Any:
    X = F.linear(X, net.first.weight, net.first.bias)
    X = F.relu(X) if first else X
    for use in range(uses):
        X = F.linear(X, net.hidden.weight, net.hidden.bias)
        X = F.relu(X) if between or use == uses - 1 else X
    X = F.linear(X, net.last.weight, net.last.bias)
    return F.relu(X) if last else X


def _story(net: nn.Module, X: Tensor, came: Tensor) -> str:
    """What the wrong values are, if they are those of a net that people write instead."""
    stories: dict[str, dict[str, Any]] = {
        "This is the result of a single use of `hidden`: the output of `hidden` has to go into `hidden` again.": {
            "uses": 1
        },
        "`hidden` runs three times, not twice.": {"uses": 3},
        "After `first`, `F.relu` is missing.": {"first": False},
        "The last layer has no ReLU after it: its output can be negative.": {"last": True},
        "Between the uses of `hidden`, `F.relu` is missing.": {"between": False},
    }
    for story, options in stories.items():
        other = _forward(net, X, **options)
        if came.shape == other.shape and torch.allclose(came, other):
            return story
    return ""


WRONG = (
    WrongAnswer(
        "one more parameter",
        changes={
            "        self.last": "        self.second = copy.deepcopy(self.hidden)\n        self.last",
            "(X))\n        X = F.relu(self.hidden(X))\n        return": "(X))\n        X = F.relu(self.second(X))\n        return",
            "from torch import": "import copy\n\nfrom torch import",
        },
    ),
    WrongAnswer(
        "a single use",
        changes={
            "        X = F.relu(self.hidden(X))\n        X = F.relu(self.hidden(X))\n": "        X = F.relu(self.hidden(X))\n"
        },
    ),
    WrongAnswer(
        "Between the uses",
        changes={
            "        X = F.relu(self.hidden(X))\n        X = F.relu": "        X = self.hidden(X)\n        X = F.relu"
        },
    ),
    WrongAnswer("no ReLU after it", changes={"return self.last(X)": "return F.relu(self.last(X))"}),
    WrongAnswer(
        "not the sum of all uses",
        changes={
            "        X = F.relu(self.hidden(X))\n        return": "        weight, bias = self.hidden.weight.data, self.hidden.bias.data\n"
            "        X = F.relu(F.linear(X, weight, bias))\n        return"
        },
    ),
)
