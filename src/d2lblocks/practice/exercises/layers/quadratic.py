"""A quadratic layer."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d2lblocks._arguments import kind_of

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "layers.md#a-layer-with-parameters"
TASK = """
Write the layer `QuadraticForm`, which computes one number for each output k: the sum of `W[k, i, j] * x[i] * x[j]` over all i and j.
`W` is its parameter `weight`, which has the shape `(out_features, in_features, in_features)`.
The initial values are drawn from a normal distribution with mean 0 and standard deviation 1 / `in_features`.
An input of shape `(*, in_features)` gives an output of shape `(*, out_features)`, where `*` is any number of dimensions, including none.
"""
STUB = """\
import torch
from torch import nn


class QuadraticForm(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        ...

    def forward(self, X): ...
"""
SOLUTION = """\
import torch
from torch import nn


class QuadraticForm(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(
            torch.empty(out_features, in_features, in_features)
        )
        nn.init.normal_(self.weight, std=1 / in_features)

    def forward(self, X):
        return torch.einsum("...i,kij,...j->...k", X, self.weight, X)
"""
HINTS = (
    "Which indices of the formula does the output keep, and over which does it sum?",
    "Read layers.md#a-layer-with-parameters for the parameter, and layers.md#inputs-of-any-batch-shape for the dots in the formula of `torch.einsum`.",
    'In `forward`, `torch.einsum("...i,kij,...j->...k", ...)` with three tensors; in `__init__`, `nn.init.normal_(self.weight, std=...)`.',
)
AFTER = """
In `torch.einsum("...i,kij,...j->...k", X, self.weight, X)`, values with the same index are multiplied, and every index that is missing after the arrow is summed over.
Another way: `F.bilinear(X, X, self.weight)`, because the layer is an `nn.Bilinear` without a bias that gets its input twice.
"""


def check(answer: Answer) -> None:
    """The weight has shape and spread of the task; values are those of `F.bilinear`."""
    make = answer.module_class("QuadraticForm")
    for inputs, outputs in (3, 2), (2, 4), (2, 1):
        answer.given = f"QuadraticForm({inputs}, {outputs})"
        layer = made(make, inputs, outputs)
        weight = parameter(layer)
        if weight.shape != (outputs, inputs, inputs):
            raise Wrong(
                "The weight has the wrong shape: in `W[k, i, j]`, k counts the outputs, and i and j count the inputs.",
                came=f"shape {tuple(weight.shape)}",
                expected=f"shape {(outputs, inputs, inputs)}",
                at=vars(make).get("__init__"),
            )
        with torch.no_grad():
            weight.copy_(torch.rand(weight.shape))
        values = weight.detach().clone()
        for shape in (4, inputs), (inputs,), (2, 3, inputs), (1, inputs):
            X = torch.randn(shape)
            before = X.clone()
            answer.given = f"QuadraticForm({inputs}, {outputs}) and X of shape {shape}"
            expected = F.bilinear(X, X, values)
            try:
                came = answer.tensor(layer(X), "layer(X)")
            except (IndexError, RuntimeError) as error:
                if len(shape) == 2:
                    raise
                raise Wrong(
                    "The layer works for a batch of shape `(n, in_features)` only: write `...` for the dimensions "
                    "before the last one.",
                    came=f"{type(error).__name__}: {error}",
                    expected="a tensor of shape " + str(tuple(expected.shape)),
                    page="layers.md#inputs-of-any-batch-shape",
                ) from error
            if not torch.equal(X, before):
                raise Wrong(
                    "The layer changes its input `X`.", page="modules.md#the-net-changes-its-input-tensor"
                )
            answer.same(came, expected, "layer(X)", mistake(came, X, values))
        answer.without_mistakes(layer, X)
        gradients(answer, layer, X, values)
    for inputs, outputs in (20, 50), (10, 200):
        answer.given = f"QuadraticForm({inputs}, {outputs})"
        _initial(make, inputs, outputs)


def _initial(make: Callable[..., nn.Module], inputs: int, outputs: int) -> None:
    """Raise `Wrong` unless the initial values are those of the task; there are 20,000 of them."""
    init, right = vars(make).get("__init__"), 1 / inputs
    values = parameter(made(make, inputs, outputs)).detach()
    if not values.isfinite().all():
        raise Wrong(
            "The weight was never filled: `torch.empty` reserves memory and leaves in it what was there.",
            came="values that are not numbers",
            expected=f"mean 0, standard deviation {right:.3f}",
            at=init,
            page="layers.md#the-loss-is-nan-from-the-first-step-a-weight-that-was-never-filled",
        )
    if torch.equal(values, parameter(made(make, inputs, outputs))) and values.std() > 0:
        raise Wrong(
            "Every new layer starts with the same values: leave seeds, as in `torch.manual_seed`, to the caller.",
            came="two layers with the same weight",
            expected="two layers with different weights",
            at=init,
            page="init.md#reproducibility",
        )
    if torch.equal(values[0], values[1]) and values.std() > 0:
        raise Wrong(
            "All outputs start with the same matrix: draw one for each output.",
            came="weight[0] equals weight[1]",
            expected="two different matrices",
            at=init,
        )
    mean, std = float(values.mean()), float(values.std())
    if not (abs(mean) < right / 10 and abs(std / right - 1) < 0.06 and values.abs().max() > 3 * right):
        if std == 0:
            why = f"All initial values are {float(values.max()):g}: draw them at random."
        elif values.min() >= 0:
            why = "No initial value is negative: draw them from a normal distribution with mean 0."
        elif abs(mean) >= (right + std) / 10:
            why = "The mean of the initial values is not 0."
        elif values.abs().max() < 2 * std:
            why = "The initial values are not drawn from a normal distribution: none is beyond two standard deviations."
        elif abs(std / inputs**-0.5 - 1) < 0.05:
            why = "The standard deviation is 1 / √`in_features`, not 1 / `in_features`."
        elif abs(std / right**2 - 1) < 0.1:
            why = "1 / `in_features`² is the variance: pass its square root, the standard deviation."
        else:
            why = "The standard deviation of the initial values is not 1 / `in_features`."
        raise Wrong(
            why,
            came=f"mean {mean:.3f}, standard deviation {std:.3f}, largest value {float(values.max()):.3f}",
            expected=f"mean 0, standard deviation {right:.3f}, largest value about {4 * right:.1f}",
            at=init,
            page="layers.md#initial-values-reset_parameters",
        )


def gradients(answer: Answer, layer: nn.Module, X: Tensor, values: Tensor) -> None:
    """Raise `Wrong` unless the gradients are those of the formula."""
    X.requires_grad_()
    tensors = {"X": X, "weight": parameter(layer)}
    came = layer(X).square().sum() + 0.0 * X.sum()  # needs a gradient, whatever the layer does
    all_found = torch.autograd.grad(came, list(tensors.values()), allow_unused=True)
    copies = X.detach().requires_grad_(), values.requires_grad_()
    expected = torch.autograd.grad(F.bilinear(copies[0], *copies).square().sum(), copies)
    for name, found, right in zip(tensors, all_found, expected, strict=True):
        if found is None or not torch.allclose(found, right, rtol=1e-3, atol=1e-4):
            raise Wrong(
                f"The output is right, but the gradient with respect to `{name}` is not: keep `detach` and "
                "`torch.no_grad()` out of `forward`.",
                came=found,
                expected=right,
                page="layers.md#gradients-are-none-data-in-forward",
            )


def made(make: Callable[..., nn.Module], inputs: int, outputs: int) -> nn.Module:
    """A layer; memory that it does not fill is filled with nan."""
    torch.set_deterministic_debug_mode(1)
    try:
        return make(inputs, outputs)
    finally:
        torch.set_deterministic_debug_mode(0)


def parameter(layer: nn.Module) -> nn.Parameter:
    """The weight, which has to be the only parameter."""
    weight = getattr(layer, "weight", None)
    init = vars(type(layer)).get("__init__")
    if isinstance(weight, Tensor) and not isinstance(weight, nn.Parameter):
        if weight.grad_fn is None:
            why = (
                "`self.weight` is a plain tensor, so no optimizer gets it: put `nn.Parameter(...)` around it."
            )
        else:
            why = (
                "`self.weight` is the result of an operation on a parameter, which is a plain tensor: do the "
                "arithmetic first, and call `nn.Parameter` on the result."
            )
        raise Wrong(
            why,
            came=f"weight: {kind_of(weight)}",
            expected="weight: nn.Parameter",
            at=init,
            page="layers.md#nnparametert-001-is-not-a-parameter",
        )
    names = [name for name, _ in layer.named_parameters()]
    if names != ["weight"]:
        raise Wrong(
            "The layer needs one parameter, `self.weight`.",
            came=f"parameters: {', '.join(names) or 'none'}",
            expected="parameters: weight",
            at=init,
        )
    assert isinstance(weight, nn.Parameter)
    return weight


def mistake(came: Tensor, X: Tensor, weight: Tensor) -> str:
    """A sentence on the mistake that leads to these values; empty if it is none of the usual ones."""
    outputs, inputs, _ = weight.shape
    same_index = X.square() @ weight.sum(dim=2).T, X.square() @ weight.sum(dim=1).T
    if any(came.shape == other.shape and torch.allclose(came, other, atol=1e-5) for other in same_index):
        return "The second factor has the index of the first: that is `W[k, i, j] * x[i] * x[i]`."
    diagonal = X.square() @ weight.diagonal(dim1=1, dim2=2).T
    if came.shape == diagonal.shape and torch.allclose(came, diagonal, atol=1e-5):
        return "Only the terms with i = j are in the sum: i and j take all values independently."
    expected = F.bilinear(X, X, weight)
    if came.shape == expected.shape:
        one = F.linear(X, weight.sum(dim=2)), F.linear(X, weight.sum(dim=1))
        if any(torch.allclose(came, each, atol=1e-5) for each in one):
            return "One factor is missing: each term is a product of `W[k, i, j]`, `x[i]` and `x[j]`."
        times = (came / expected).mean().item()
        if torch.allclose(came, times * expected, atol=1e-5):
            return f"Every number is {times:.3g} times what it should be: the sum goes over all i and j, once for each pair."
        if any(torch.allclose(came, each.square(), atol=1e-5) for each in one):
            return "The sum is squared after `W` has been multiplied by `x` once: multiply each `W[k, i, j]` by both factors, and then add."
        if X.dim() == 2 and len(X) > 1:
            return "The values are not those of the sum over all i and j of `W[k, i, j] * x[i] * x[j]`, with `x` one row of `X`."
    elif came.numel() == expected.numel() and torch.allclose(came.flatten(), expected.flatten(), atol=1e-5):
        if came.dim() < expected.dim():
            return "The numbers are right, but a dimension of size 1 is missing: `squeeze()` removes every dimension of size 1."
        return "The numbers are right, but their tensor has another shape."
    if came.shape == (*X.shape[:-1], outputs, inputs):
        return "One of the two sums is missing: multiply by `x` on both sides of the matrix."
    if X.dim() == 2 and came.shape in ((outputs, len(X), len(X)), (len(X), len(X), outputs)):
        return "Every example is multiplied by every other one: multiply each example by itself only."
    if came.shape == (outputs, *X.shape[:-1]) and torch.allclose(came.movedim(0, -1), expected, atol=1e-5):
        return "The outputs are in the first dimension: they have to be in the last one."
    if came.shape == X.shape[:-1] and torch.allclose(came, expected.sum(dim=-1), atol=1e-5):
        return "The outputs are summed: keep the index k."
    return ""


WRONG = (
    WrongAnswer("`(n, in_features)` only", changes={"...i,kij,...j->...k": "ni,kij,nj->nk"}),
    WrongAnswer("has the index of the first", changes={"...j->": "...i->"}),
    WrongAnswer(
        "every other one",
        changes={'torch.einsum("...i,kij,...j->...k", X, self.weight, X)': "X @ self.weight @ X.mT"},
    ),
    WrongAnswer(
        "The sum is squared",
        changes={'"...i,kij,...j->...k", X, self.weight, X)': '"...i,kij->...k", X, self.weight).square()'},
    ),
    WrongAnswer(
        "with `x` one row of `X`", changes={'k", X, self.weight, X)': 'k", X, self.weight.triu(), X)'}
    ),
    WrongAnswer("Every number is 0.5 times", changes={"return torch": "return 0.5 * torch"}),
    WrongAnswer("One factor is missing", changes={'"...i,kij,...j->...k", X, ': '"kij,...j->...k", '}),
    WrongAnswer(
        "`squeeze()` removes every dimension",
        changes={
            'torch.einsum("...i,kij,...j->...k", X, self.weight, X)': 'torch.einsum("...i,kij,...j->...k", X, self.weight, X).squeeze()'
        },
    ),
    WrongAnswer("gradient with respect to `X`", changes={"self.weight, X)": "self.weight, X.detach())"}),
    WrongAnswer(
        "starts with the same values",
        changes={"        nn.init": "        torch.manual_seed(0)\n        nn.init"},
    ),
    WrongAnswer("is the variance", changes={"std=1 / in_features": "std=1 / in_features**2"}),
    WrongAnswer("is 1 / √`in_features`", changes={"std=1 / in_features": "std=in_features**-0.5"}),
    WrongAnswer(
        "none is beyond two",
        changes={
            "normal_(self.weight, std=1 / in_features": "uniform_(self.weight, -1 / in_features, 1 / in_features"
        },
    ),
    WrongAnswer(
        "draw one for each output",
        changes={
            "std=1 / in_features)\n": "std=1 / in_features)\n        self.weight.data[1:] = self.weight.data[0]\n"
        },
    ),
    WrongAnswer(
        "All initial values are 0", changes={"normal_(self.weight, std=1 / in_features": "zeros_(self.weight"}
    ),
    WrongAnswer(
        "never filled",
        changes={"nn.init.normal_(self.weight, std=1 / in_features)": "self.inputs = in_features"},
    ),
    WrongAnswer(
        "result of an operation",
        changes={
            "        )\n        nn.init.normal_(self.weight, std=1 / in_features)": "        ) / in_features",
            "torch.empty": "torch.randn",
        },
    ),
    WrongAnswer(
        "One of the two sums", changes={"...i,kij,...j->...k": "...i,kij->...kj", "weight, X)": "weight)"}
    ),
)
