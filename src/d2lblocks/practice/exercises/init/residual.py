"""A block that starts as the identity."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...answer import Answer, Wrong, shown
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "init.md#initialize-one-tensor-the-functions-of-torchnninit"
TASK = """
A residual block computes `X + f(X)`; here, `f` is two linear layers with a ReLU between them.
Change only the starting values.
A new block should return exactly its input, and a few steps of training should change all its parameters.
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
The gradient of the last weight is computed from the input of its layer and the gradient of its output, and neither is 0.
After one step, the last weight is not 0 anymore, and then the first layer gets a gradient too.
Another way: assign new parameters, as in `last.weight = nn.Parameter(torch.zeros(width, width))`.
"""
STEPS = 5


def check(answer: Answer) -> None:
    """The block is the identity, computes what it should for other values, and learns."""
    make = answer.module_class("Residual")
    for width in 2, 6:
        answer.given = f"block = Residual({width}) and X of shape (32, {width})"
        block = answer.module(_build(make, width), f"Residual({width})")
        init = vars(make).get("__init__")
        _check_shapes(block, width, init)
        X = torch.randn(32, width)
        came = answer.tensor(block(X), "block(X)").detach()
        if came.shape != X.shape:
            why = "`block(X)` has another shape than `X`."
            raise Wrong(why, came=f"shape {tuple(came.shape)}", expected=f"shape {tuple(X.shape)}")
        if not torch.equal(came, X):
            raise Wrong(
                _not_the_identity(came, X, block),
                came=f"block(X) - X has values up to {(came - X).abs().max():.1g}",
                expected="zeros",
                at=init if came.any() else None,
            )
        _check_formula(answer, make(width), X, init)
    _check_training(answer, make, X)  # in the wider one, in which hardly ever all units are dead


def _build(make: Callable[..., nn.Module], width: int) -> object:
    try:
        return make(width)
    except AttributeError as error:
        if "object has no attribute 'zero_'" not in str(error):
            raise
        why = "The functions of `torch.nn.init` take a tensor, not a layer: a linear layer has a weight and a bias."
        raise Wrong(why, came=f"AttributeError: {error}") from error


def _check_shapes(block: nn.Module, width: int, init: Any) -> None:
    if [each.shape for each in block.parameters()] != [(width, width), (width,)] * 2:
        raise Wrong(
            "The parameters are not those of two linear layers, a weight and a bias for each: change only their starting values.",
            came={name: tuple(each.shape) for name, each in block.named_parameters()},
            expected=f"shapes {', '.join(map(str, [(width, width), (width,)] * 2))}",
            at=init,
        )


def _not_the_identity(came: Tensor, X: Tensor, block: nn.Module) -> str:
    rest = came - X
    if torch.equal(came, X.relu()):
        return "A new block returns `X.relu()`: `forward` has to return the sum itself."
    if not came.any():
        return "A new block returns zeros: `forward` has to add `X` to `f(X)`."
    if rest.abs().max() < 0.05:
        return (
            "A new block almost returns its input, but `f(X)` is not exactly 0: small values are not enough."
        )
    if torch.allclose(rest, rest[0].expand_as(rest), atol=1e-6):
        biases = [
            name
            for name, each in block.named_parameters()
            if each.shape == rest[0].shape and torch.allclose(each, rest[0], atol=1e-6)
        ]
        reason = f": it is `{biases[0]}`" if biases else ""
        return f"`f(X)` is the same vector for every input, but not 0{reason}."
    return "A new block does not return its input: `f(X)` has to be 0 for every `X`."


def _check_formula(answer: Answer, block: nn.Module, X: Tensor, init: Any) -> None:
    """With other values, the block still computes `X + f(X)`."""
    parameters = list(block.parameters())
    if frozen := [name for name, each in block.named_parameters() if not each.requires_grad]:
        raise Wrong(
            f"`{frozen[0]}` is frozen, so it cannot learn.",
            came=f"frozen: {', '.join(frozen)}",
            expected="frozen: none",
            at=init,
        )
    with torch.no_grad():
        for each in parameters:
            each.normal_()
    weight, bias, last_weight, last_bias = parameters
    expected = X + F.linear(F.relu(F.linear(X, weight, bias)), last_weight, last_bias)
    values = {name: each.detach().clone() for name, each in block.named_parameters()}
    before = X.clone()
    came = answer.tensor(block(X), "block(X)").detach()
    why = "The block changes its input: `X += ...` writes into it, `X + ...` does not."
    answer.same(X, before, "X", why, tolerance=0)
    for name, each in block.named_parameters():
        if not torch.equal(each, values[name]):
            raise Wrong(
                f"A forward pass overwrites `{name}`: fill it once, when the block is built.",
                came=f"other values in {name} after block(X)",
                expected="the values that it had",
            )
    if torch.equal(came, X):
        why = (
            "The block returns `X` whatever values its parameters have: `forward` has to compute `X + f(X)`."
        )
    else:
        why = "With other values in its parameters, the block does not compute `X + f(X)`: change only their starting values."
    if not torch.allclose(came, expected, atol=1e-4, rtol=1e-4):
        begins = f"block(X) - X begins with {shown((came - X)[0])}"
        raise Wrong(why, came=begins, expected=f"{shown((expected - X)[0])}")
    X.requires_grad_()
    expected = X + F.linear(F.relu(F.linear(X, weight, bias)), last_weight, last_bias)
    right, found = (torch.autograd.grad(each.sum(), X)[0] for each in (expected, block(X) + 0 * X))
    if not torch.allclose(found, right, atol=1e-4, rtol=1e-4):
        raise Wrong(
            "The gradient with respect to `X` is not that of `X + f(X)`: change only the starting values.",
            came=shown(found[0]),
            expected=shown(right[0]),
            page="layers.md#gradients-are-none-data-in-forward",
        )
    X.requires_grad_(False)


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
    if not still:
        return
    weight, bias, last_weight, _ = list(before.values())[:4]
    why = f"Training does not change `{still[0]}`"
    if not (last_weight.any() or weight.any() or bias.any()):
        why += ": if both layers start at 0, each makes the other's gradient 0."
    elif not F.relu(F.linear(X, weight, bias)).any():
        why += ": the ReLU returns 0 for every input, so neither the weight after it nor the layer before it gets a gradient."
    else:
        why += "."
    raise Wrong(
        why,
        came=f"changed: {len(before) - len(still)} of the {len(before)} parameters",
        expected=f"changed: all {len(before)}",
        at=vars(make).get("__init__"),
    )


WRONG = (
    WrongAnswer("it is `f.2.bias`", changes={"        nn.init.zeros_(last.bias)\n": ""}),
    WrongAnswer("The gradient with respect to `X`", changes={"self.f(X)": "self.f(X.detach())"}),
    WrongAnswer("has to return the sum itself", changes={"X + self.f(X)": "(X + self.f(X)).relu()"}),
    WrongAnswer("has to be 0 for every", changes={"        nn.init.zeros_(last.weight)\n": ""}),
    WrongAnswer(
        "small values are not enough", changes={"zeros_(last.weight)": "normal_(last.weight, std=0.001)"}
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
    WrongAnswer(
        "changes its input",
        changes={"        return X + self.f(X)": "        X += self.f(X)\n        return X"},
    ),
    WrongAnswer("whatever values its parameters have", changes={"return X + self.f(X)": "return X"}),
    WrongAnswer(
        "A forward pass overwrites",
        changes={
            "        nn.init.zeros_(last.weight)\n        nn.init.zeros_(last.bias)\n": "",
            "        return X": "        nn.init.zeros_(self.f[2].weight)\n        nn.init.zeros_(self.f[2].bias)\n        return X",
        },
    ),
    WrongAnswer(
        "the ReLU returns 0 for every input",
        changes={
            "nn.init.zeros_(last.weight)": "nn.init.zeros_(first.weight)\n        nn.init.zeros_(first.bias)"
        },
    ),
)
