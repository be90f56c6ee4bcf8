"""A layer from a formula."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...answer import Answer, Wrong, shown
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "layers.md#a-layer-with-parameters"
TASK = """
Write the layer `Affine`, which computes `gamma * X + beta` from an input `X` whose last dimension has size `features`.
`gamma` and `beta` are trained and have the shape `(features,)`.
Every value of `gamma` starts at 1, every value of `beta` at 0.
Both are created on `device` with `dtype`.
"""
STUB = """\
import torch
from torch import nn


class Affine(nn.Module):
    def __init__(self, features, *, device=None, dtype=None):
        super().__init__()
        ...

    def forward(self, X): ...
"""
SOLUTION = """\
import torch
from torch import nn


class Affine(nn.Module):
    def __init__(self, features, *, device=None, dtype=None):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(features, device=device, dtype=dtype))
        self.beta = nn.Parameter(torch.zeros(features, device=device, dtype=dtype))

    def forward(self, X):
        return self.gamma * X + self.beta
"""
HINTS = (
    "Which tensors should an optimizer change, and how does a module know that?",
    "Read layers.md#a-layer-with-parameters for the parameters, and layers.md#initial-values-reset_parameters for `device` and `dtype`.",
    "In `__init__`, `self.gamma = nn.Parameter(torch.ones(...))` with `device=device, dtype=dtype` for `torch.ones`, and the same with zeros for `beta`.",
)
AFTER = """
Both tensors are parameters, and broadcasting repeats them along the other dimensions of `X`.
Another way to write the formula: `torch.addcmul(self.beta, self.gamma, X)` computes it in a single operation.
"""


def check(answer: Answer) -> None:
    """Both are parameters with the right values, shape, device and dtype, and the formula holds."""
    make = answer.module_class("Affine")
    for features in 1, 3:
        answer.given = f"Affine({features})"
        layer = build(make, features)
        gamma, beta = parameter(layer, "gamma"), parameter(layer, "beta")
        for name, value, start in ("gamma", gamma, torch.ones), ("beta", beta, torch.zeros):
            if value.shape != (features,):
                raise Wrong(
                    f"`{name}` needs one value for each feature, so the shape `(features,)`.",
                    came=f"shape {tuple(value.shape)}",
                    expected=f"shape {(features,)}",
                    at=init(layer),
                )
            expected = start(features)
            if not torch.equal(value, expected):
                raise Wrong(
                    f"`{name}` does not start at {int(expected[0])}.",
                    came=f"{name} = {shown(value)}",
                    expected=f"{name} = {shown(expected)}",
                    at=init(layer),
                )
        if len(list(layer.parameters())) > 2:
            raise Wrong(
                "The layer has more parameters than `gamma` and `beta`.",
                came=[name for name, _ in layer.named_parameters()],
                expected=["gamma", "beta"],
                at=init(layer),
            )
        with torch.no_grad():
            gamma.copy_(torch.rand(features) + 1)
            beta.copy_(torch.rand(features))
        for shape in (features,), (2, features), (2, 4, features):
            X = torch.rand(shape)
            before = X.clone()
            answer.given = f"X of shape {shape}"
            came = answer.tensor(_call(layer, X), "layer(X)")
            expected = torch.addcmul(beta, gamma, before)
            answer.same(came, expected, "layer(X)", _mistake(came, before, gamma, beta))
            if not torch.equal(X, before):
                raise Wrong(
                    "The layer changes its input: an operation such as `*=` writes into `X`. Use `*`, which creates a new tensor.",
                    page="modules.md#the-net-changes-its-input-tensor",
                )
        answer.without_mistakes(layer, X)
        values = {"gamma": gamma, "beta": beta}
        total = layer(X.requires_grad_()).sum() + 0.0 * X.sum()  # needs a gradient, whatever the layer does
        found = torch.autograd.grad(total, list(values.values()), allow_unused=True)
        for name, gradient in zip(values, found, strict=True):
            if gradient is None:
                raise Wrong(
                    f"No gradient reaches `{name}`, so it is not trained: keep `detach` and `torch.no_grad()` out of `forward`.",
                    came=f"gradient of {name}: None",
                    expected=f"gradient of {name}: a tensor",
                    page="layers.md#gradients-are-none-data-in-forward",
                )
    for options in {"dtype": torch.float64}, {"device": torch.device("meta")}:
        [(kind, wanted)] = options.items()
        answer.given = f"Affine(3, {kind}={str(wanted) if kind == 'dtype' else repr(str(wanted))})"
        layer = build(make, 3, **options)
        for name in "gamma", "beta":
            value = parameter(layer, name)
            if getattr(value, kind) != wanted:
                raise Wrong(
                    f"`{name}` does not get the `{kind}` that the user asks for: pass `{kind}={kind}` to the "
                    "function that creates its tensor.",
                    came=str(getattr(value, kind)),
                    expected=str(wanted),
                    at=init(layer),
                    page="layers.md#initial-values-reset_parameters",
                )


def _call(layer: nn.Module, X: Tensor) -> object:
    """The result; if only a batch of shape `(n, features)` has one, raise `Wrong`."""
    try:
        return layer(X)
    except (IndexError, RuntimeError, ValueError) as error:
        if X.dim() != 2:
            try:
                layer(torch.rand(2, X.shape[-1]))
            except Exception:
                raise error from None
            why = "The layer works for an input of shape `(n, features)` only: `X` can have more dimensions or fewer."
            raise Wrong(
                why, came=f"{type(error).__name__}: {error}", page="layers.md#inputs-of-any-batch-shape"
            ) from error
        raise


def _mistake(came: object, X: Tensor, gamma: Tensor, beta: Tensor) -> str:
    """A sentence on the mistake that leads to this result; empty if it is none of the usual ones."""

    def equal(other: Tensor) -> bool:
        return isinstance(came, Tensor) and came.shape == other.shape and torch.allclose(came, other)

    if equal(torch.addcmul(gamma, beta, X)):
        return "`gamma` and `beta` have changed places: `gamma` is multiplied by `X`, and `beta` is added."
    if isinstance(came, Tensor) and came.shape == X.shape[:-1]:
        return "The result has one number for each example: `@` adds up the products, `*` keeps one for each feature."
    if equal(gamma * (X + beta)):
        return "`beta` is added before the multiplication: the formula is `gamma * X + beta`."
    if equal(gamma * X):
        return "`beta` is not added."
    return ""


def build(make: Callable[..., nn.Module], *args: Any, **options: Any) -> nn.Module:
    """A layer, with words for a parameter or buffer that is given a device or dtype."""
    try:
        return make(*args, **options)
    except TypeError as error:
        message = str(error)
        if not re.search(r"(Parameter|Buffer|register_\w+)(\.__new__)?\(\) .*'(device|dtype)'", message):
            raise
        why = "`device` and `dtype` belong to the function that creates the tensor, such as `torch.ones`."
        raise Wrong(
            why, came=f"TypeError: {message}", page="layers.md#initial-values-reset_parameters"
        ) from error


def init(layer: nn.Module) -> Any:
    """The reader's `__init__`."""
    return vars(type(layer)).get("__init__")


def parameter(layer: nn.Module, name: str) -> nn.Parameter:
    """The parameter of this name; raise `Wrong` with the reason why it is none."""
    value: Any = getattr(layer, name, None)
    if isinstance(value, nn.Parameter) and value.requires_grad:
        return value
    page = "layers.md#parameter-buffer-attribute"
    if value is None:
        why = f"The layer has no `{name}` yet: assign an `nn.Parameter` to `self.{name}` in `__init__`."
    elif isinstance(value, nn.Parameter):
        why = f"`{name}` is frozen, but it has to be trained: leave `requires_grad` at its default."
        page = "parameters.md#freezing-parameters"
    elif name in dict(layer.named_buffers()):
        why = f"`{name}` is a buffer, which no optimizer changes: use `nn.Parameter` instead."
    elif isinstance(value, Tensor) and value.grad_fn is not None:
        why = f"`{name}` is a plain tensor: an operation on a parameter, such as `.to(...)`, returns one. Create the tensor with the right device and dtype, and call `nn.Parameter` last."
        page = "layers.md#nnparametert-001-is-not-a-parameter"
    elif not isinstance(value, Tensor):
        why = f"`{name}` has the type `{type(value).__name__}`: assign a single `nn.Parameter` that holds all its values."
    else:
        why = (
            f"`{name}` is not a parameter, so no optimizer gets it, and it is not saved: put "
            "`nn.Parameter(...)` around the tensor."
        )
    raise Wrong(why, came=value, expected="an nn.Parameter", at=init(layer), page=page)


WRONG = (
    WrongAnswer(
        "is not a parameter, so",
        changes={"nn.Parameter(torch.ones(features, device=device, dtype=dtype))": "torch.ones(features)"},
    ),
    WrongAnswer(
        "an operation on a parameter, such as",
        changes={
            "torch.ones(features, device=device, dtype=dtype))": "torch.ones(features)).to(\n            device=device, dtype=dtype\n        )"
        },
    ),
    WrongAnswer(
        "belong to the function that creates the tensor",
        changes={"features, device=device, dtype=dtype))": "features), device=device, dtype=dtype)"},
    ),
    WrongAnswer("does not get the `dtype`", changes={", device=device, dtype=dtype)": ")"}),
    WrongAnswer("have changed places", changes={"self.gamma * X + self.beta": "self.beta * X + self.gamma"}),
    WrongAnswer("adds up the products", changes={"self.gamma * X": "X @ self.gamma"}),
    WrongAnswer(
        "more dimensions or fewer",
        changes={"        return self": "        n, features = X.shape\n        return self"},
    ),
    WrongAnswer("`gamma` does not start at 1", changes={"torch.ones(": "torch.randn("}),
    WrongAnswer("one value for each feature", changes={"features, device": "1, features, device"}),
    WrongAnswer("No gradient reaches `gamma`", changes={"self.gamma * X": "self.gamma.detach() * X"}),
    WrongAnswer(
        "has the type `list`",
        changes={"nn.Parameter(torch.ones(features, device=device, dtype=dtype))": "[1.0] * features"},
    ),
    WrongAnswer("with the .data of this parameter", changes={"self.gamma * X": "self.gamma.data * X"}),
)
