"""A block that starts as the identity."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "init.md#initialize-one-tensor-the-functions-of-torchnninit"
TASK = """
A residual block computes `X + f(X)`; here, `f` is two linear layers with a ReLU between them.
Change only the starting values, so that a new block returns exactly its input and can still learn: a few steps of training change all of its parameters.
"""
STUB = """\
from torch import nn


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        first, last = nn.Linear(width, width), nn.Linear(width, width)
        self.f = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, X):
        return X + self.f(X)
"""
SOLUTION = """\
from torch import nn


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        first, last = nn.Linear(width, width), nn.Linear(width, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.f = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, X):
        return X + self.f(X)
"""
HINTS = (
    "What must `f(X)` be for every `X`, and which layer of `f` decides that alone?",
    "Read init.md#initialize-one-tensor-the-functions-of-torchnninit: the row of `zeros_` in the table names the layer. Then think of the gradient of each weight.",
    "Fill the weight and the bias of `last` with `nn.init.zeros_`, and leave `first` as it is.",
)
AFTER = """
The gradient of the last weight is a product of the layer's input and the gradient of its output, and neither is 0.
After one step, the last weight is not 0 anymore, and then the first layer gets a gradient too.
"""
STEPS = 5


def check(answer: Answer) -> None:
    """The block is the identity, computes what it should for other values, and learns."""
    make = answer.module_class("Residual")
    for width in 2, 6:
        answer.given = f"Residual({width}) and X of shape (32, {width})"
        block = answer.module(make(width), f"Residual({width})")
        X = torch.randn(32, width)
        came = answer.tensor(block(X), "block(X)").detach()
        if not torch.equal(came, X):
            raise Wrong(_not_the_identity(came, X), came=came[0], expected=X[0])
        _check_formula(answer, make(width), X)
    _check_training(answer, make, X)  # in the wider one, in which hardly ever all units are dead


def _not_the_identity(came: Tensor, X: Tensor) -> str:
    if came.shape != X.shape:
        return "A new block does not return its input."
    rest = came - X
    if torch.allclose(rest, rest[0].expand_as(rest), atol=1e-6):
        return "`f(X)` is the same vector for every input, but not 0: the bias of the last layer is not 0."
    if rest.abs().max() < 0.05:
        return (
            "A new block almost returns its input, but `f(X)` is not exactly 0: small weights are not enough."
        )
    return "A new block does not return its input: `f(X)` has to be 0 for every `X`."


def _check_formula(answer: Answer, block: nn.Module, X: Tensor) -> None:
    """With other values, the block still computes `X + f(X)`."""
    parameters = list(block.parameters())
    width = X.shape[1]
    if [each.shape for each in parameters] != [(width, width), (width,)] * 2:
        raise Wrong(
            "`f` is not two linear layers of the width of the block: change only their starting values.",
            came=[tuple(each.shape) for each in parameters],
            expected=[(width, width), (width,)] * 2,
        )
    if frozen := [name for name, each in block.named_parameters() if not each.requires_grad]:
        raise Wrong(f"`{frozen[0]}` is frozen, so it cannot learn.", came="requires_grad=False")
    with torch.no_grad():
        for each in parameters:
            each.normal_()
    weight, bias, last_weight, last_bias = parameters
    expected = X + F.linear(F.relu(F.linear(X, weight, bias)), last_weight, last_bias)
    why = "With other values in its parameters, the block does not compute `X + f(X)`: change only their starting values."
    answer.same(block(X), expected, "block(X)", why)


def _check_training(answer: Answer, make: Callable[..., nn.Module], X: Tensor) -> None:
    """A few steps change all parameters, and the units of a layer do not stay equal."""
    net = nn.Sequential(*(make(X.shape[1]) for _ in range(3)))
    answer.given = f"three blocks of width {X.shape[1]} in a row, and {STEPS} steps of training"
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    target = torch.randn_like(X)
    answer.without_mistakes(net, X, loss=lambda Y: F.mse_loss(Y, target))
    parameters = list(net.parameters())
    for _ in range(STEPS):
        gradients = torch.autograd.grad(F.mse_loss(net(X), target), parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(0.1 * gradient)
    still = [name for name, parameter in net.named_parameters() if torch.equal(parameter, before[name])]
    if still:
        raise Wrong(
            f"Training does not change `{still[0]}`: if both layers start at 0, each makes the other's gradient 0.",
            came=f"no change in {len(still)} of {len(before)} parameters",
            expected="all of them change",
        )


WRONG = (
    WrongAnswer("same vector for every input", changes={"        nn.init.zeros_(last.bias)\n": ""}),
    WrongAnswer("has to be 0 for every", changes={"        nn.init.zeros_(last.weight)\n": ""}),
    WrongAnswer(
        "small weights are not enough", changes={"zeros_(last.weight)": "normal_(last.weight, std=0.001)"}
    ),
    WrongAnswer(
        "each makes the other's gradient 0",
        changes={
            "        self.f =": "        nn.init.zeros_(first.weight)\n        nn.init.zeros_(first.bias)\n        self.f ="
        },
    ),
    WrongAnswer(
        "is frozen", changes={"        self.f =": "        last.requires_grad_(False)\n        self.f ="}
    ),
    WrongAnswer("does not compute `X + f(X)`", changes={"return X + self.f(X)": "return X"}),
)
