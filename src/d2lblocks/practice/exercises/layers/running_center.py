"""A running mean."""

from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong, shown
from ...exercise import WrongAnswer
from .affine import build

LEVEL = "medium"
PAGE = "layers.md#parameter-buffer-attribute"
TASK = """
Write the layer `RunningCenter`, which subtracts the mean of each feature from an input of shape `(n, features)`.
In training mode, this is the mean of the batch, and gradients flow through it.
The layer also has `running_mean`, a tensor of shape `(features,)` that starts at 0.
Each batch in training mode moves it toward the mean of the batch, by the fraction `momentum` of the difference.
In evaluation mode, the layer subtracts `running_mean` and does not change it, so that each prediction depends only on its own input.
`running_mean` is saved with the net and not trained; it is updated in place, without keeping a graph.
It is created on `device` with `dtype`.
"""
STUB = """\
import torch
from torch import nn


class RunningCenter(nn.Module):
    def __init__(self, features, momentum=0.1, *, device=None, dtype=None):
        super().__init__()
        ...

    def forward(self, X): ...
"""
SOLUTION = """\
import torch
from torch import nn


class RunningCenter(nn.Module):
    def __init__(self, features, momentum=0.1, *, device=None, dtype=None):
        super().__init__()
        self.momentum = momentum
        self.running_mean = nn.Buffer(
            torch.zeros(features, device=device, dtype=dtype)
        )

    def forward(self, X):
        if not self.training:
            return X - self.running_mean
        mean = X.mean(dim=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
        return X - mean
"""
HINTS = (
    "Which of parameter, buffer and plain attribute is saved and moved, but not trained?",
    "Read layers.md#parameter-buffer-attribute for the kinds of tensors, and layers.md#trying-to-backward-through-the-graph-a-second-time-a-state-that-is-kept for the update.",
    "In training mode, `mean = X.mean(dim=0)`; under `torch.no_grad()`, `self.running_mean.lerp_(mean, self.momentum)`; then return `X - mean`.",
)
AFTER = """
A buffer is saved and moved but not trained.
An update in place keeps the tensor, and under `torch.no_grad()` or with detached values it keeps no graph.
Two ways to write the update: `self.running_mean.lerp_(mean, self.momentum)` under `torch.no_grad()`, or `self.running_mean += self.momentum * (mean.detach() - self.running_mean)`.
"""


def check(answer: Answer) -> None:
    """The state is a buffer; both modes, its update and the gradients are those of a batch norm."""
    make = answer.module_class("RunningCenter")
    answer.given = "RunningCenter(2)"
    buffer_of(build(make, 2), 2)
    for features, n in (2, 3), (4, 5):
        answer.given = f"RunningCenter({features}, momentum=0.25)"
        layer: Any = make(features, momentum=0.25)
        norm = nn.BatchNorm1d(features, momentum=0.25, affine=False)
        for step in range(1, 3):
            training(answer, layer, torch.rand(n, features), norm, step)
        layer.eval()
        state = layer.running_mean.clone()
        X = torch.rand(n, features)
        before = X.clone()
        answer.given = f"layer.eval() and X of shape {(n, features)}"
        came = answer.tensor(layer(X), "layer(X)")
        unchanged(X, before)
        if came.shape == X.shape and torch.allclose(came, X - X.mean(dim=0), atol=1e-5):
            why = "In evaluation mode, the mean of the batch is subtracted, so a prediction depends on the other examples in the batch."
            answer.same(came, X - state, "layer(X)", why)
        why = "An evaluation changes `running_mean`, so a prediction depends on the batches before it."
        answer.same(layer.running_mean, state, "layer.running_mean", why, 0)
        why = "In evaluation mode, the layer does not subtract `running_mean`."
        answer.same(came, X - state, "layer(X)", why)
        if not layer(X.requires_grad_()).requires_grad:
            raise Wrong(
                "In evaluation mode, no gradient flows through the layer, so the layers before it cannot be trained: "
                "leave `torch.no_grad()` to the caller.",
                came="layer(X).requires_grad is False",
                expected="True",
            )
    answer.given = "RunningCenter(2) and ten batches"
    layer, norm = make(2), nn.BatchNorm1d(2, momentum=0.1)
    for _ in range(10):
        X = torch.rand(3, 2)
        layer(X), norm(X)
    why = "The default of `momentum` is not 0.1."
    answer.same(layer.running_mean, norm.running_mean, "layer.running_mean", why)
    state, X = layer.running_mean.clone(), torch.rand(1, 2)
    answer.given = "layer = RunningCenter(2) in training mode and X of shape (1, 2)"
    why = "A batch of one example is a batch, too: in training mode, its mean is subtracted, and it moves `running_mean`."
    answer.same(layer(X), torch.zeros(1, 2), "layer(X)", why)
    answer.same(layer.running_mean, state.lerp(X[0], 0.1), "layer.running_mean", why)
    for options in {"dtype": torch.float64}, {"device": torch.device("meta")}:
        [(kind, wanted)] = options.items()
        answer.given = f"RunningCenter(2, {kind}={str(wanted) if kind == 'dtype' else repr(str(wanted))})"
        came = getattr(buffer_of(make(2, **options), 2), kind)
        if came != wanted:
            raise Wrong(
                f"`running_mean` does not get the `{kind}` that the user asks for: pass `{kind}={kind}` to the "
                "function that creates it.",
                came=str(came),
                expected=str(wanted),
                at=vars(make).get("__init__"),
                page="layers.md#initial-values-reset_parameters",
            )
    answer.given = "RunningCenter(2, dtype=torch.float64) and X of shape (3, 2) in float64"
    X = torch.rand(3, 2, dtype=torch.float64)
    answer.same(make(2, dtype=X.dtype)(X), X - X.mean(dim=0), "layer(X)")


def unchanged(X: torch.Tensor, before: torch.Tensor) -> None:
    """Raise `Wrong` if the layer has changed its input."""
    if not torch.equal(X, before):
        raise Wrong(
            "The layer changes its input: an operation such as `-=` writes into `X`. Use `-`, which creates a new tensor.",
            page="modules.md#the-net-changes-its-input-tensor",
        )


def buffer_of(layer: Any, features: int) -> torch.Tensor:
    """The running mean; raise `Wrong` unless it is a buffer that is saved and starts at 0."""
    value = getattr(layer, "running_mean", None)
    if value is None:
        why = "The layer has no `running_mean` yet: assign an `nn.Buffer` to it in `__init__`."
    elif isinstance(value, nn.Parameter):
        why = "`running_mean` is a parameter, so an optimizer changes it, for example by weight decay: make it a buffer."
    elif "running_mean" not in dict(layer.named_buffers()):
        why = "`running_mean` is a plain attribute, which is neither saved nor moved with the net: make it a buffer."
    elif "running_mean" not in layer.state_dict():
        why = "The state dict does not contain `running_mean`, and evaluation needs it after loading: leave out `persistent=False`."
    elif tuple(value.shape) != (features,):
        why = "`running_mean` needs one value for each feature, so the shape `(features,)`."
    elif not value.is_meta and value.count_nonzero():
        why = "`running_mean` does not start at 0."
    else:
        found: torch.Tensor = value
        return found
    raise Wrong(
        why,
        came=value,
        expected="a buffer of zeros with one value for each feature",
        at=vars(type(layer)).get("__init__"),
    )


def training(answer: Answer, layer: Any, X: torch.Tensor, norm: nn.BatchNorm1d, step: int) -> None:
    """Check one call in training mode."""
    state, memory = layer.running_mean, layer.running_mean.data_ptr()
    assert norm.running_mean is not None
    answer.given = f"layer = RunningCenter({X.shape[1]}, momentum=0.25) in training mode, batch {step}, X of shape {tuple(X.shape)}"
    old, before, values = state.clone(), norm.running_mean.clone(), X.clone()
    leaf = X.requires_grad_()
    X = leaf * 1.0  # so that it can be changed in place
    try:
        came = answer.tensor(layer(X), "layer(X)")
    except RuntimeError as error:
        if "shape" not in str(error) and "size" not in str(error):
            raise
        raise Wrong(
            "The mean has another shape than `running_mean`: take the mean of each feature over the examples, with `dim=0`.",
            came=f"RuntimeError: {error}",
            expected=f"a mean of shape {tuple(state.shape)}",
        ) from error
    norm(X)
    mean = values.mean(dim=0)
    unchanged(X, values)
    answer.same(came, values - mean, "layer(X)", wrong_mean(came, values, old))
    if layer.running_mean.requires_grad:
        raise Wrong(
            "`running_mean` keeps the graph of the batch, and the next backward pass goes through it a second "
            "time: update it under `torch.no_grad()`.",
            came="running_mean.requires_grad is True",
            expected="False",
            page="layers.md#trying-to-backward-through-the-graph-a-second-time-a-state-that-is-kept",
        )
    back = before.lerp(mean, 0.75)
    if torch.equal(layer.running_mean, old):
        why = (
            "`running_mean` does not change in training mode, so there is nothing to subtract in evaluation."
        )
    elif torch.allclose(layer.running_mean, back):
        why = "`momentum` is on the wrong side: it is the share of the new mean, and 1 - `momentum` that of the old one."
    elif torch.allclose(layer.running_mean, old + 0.25 * mean):
        why = (
            "The update only adds: the old value has to shrink to 1 - `momentum` of itself, as `lerp_` does."
        )
    elif torch.allclose(layer.running_mean, before.lerp(mean, 0.1)):
        why = "`running_mean` moves by a fraction of 0.1, but `momentum` is 0.25."
    elif torch.allclose(layer.running_mean, mean):
        why = "`running_mean` is the mean of the last batch: it should move only a fraction `momentum` of the way there."
    elif torch.allclose(layer.running_mean, before.lerp(mean, -0.25)):
        why = "`running_mean` moves away from the mean of the batch: the difference has the wrong sign."
    else:
        why = "`running_mean` does not move a fraction `momentum` of the way to the mean of the batch."
    answer.same(layer.running_mean, norm.running_mean, "layer.running_mean", why)
    if layer.running_mean is not state or state.data_ptr() != memory:
        what = "is another tensor" if layer.running_mean is not state else "has other memory"
        raise Wrong(
            f"`running_mean` {what} now: whoever holds the old one does not see the update. Use an operation that "
            "ends in `_`, such as `lerp_`.",
            came="a new tensor",
            expected="the same tensor with other values",
        )
    if came.requires_grad:
        came.sum().backward()  # type: ignore[no-untyped-call]
    if leaf.grad is None or leaf.grad.abs().max() > 1e-4:
        if leaf.grad is None:
            why = "No gradient flows through the layer: compute its result outside of `torch.no_grad()`, and without `detach`."
        else:
            why = "No gradient flows through the mean of the batch: compute it outside of `torch.no_grad()`, and without `detach`."
        raise Wrong(
            why,
            came="no gradient of layer(X).sum()"
            if leaf.grad is None
            else f"gradient of layer(X).sum(): {shown(leaf.grad)}",
            expected="gradient of layer(X).sum(): zeros, because this sum is 0 for each X",
        )


def wrong_mean(came: torch.Tensor, X: torch.Tensor, state: torch.Tensor) -> str:
    """A sentence on what was subtracted instead of the mean of the batch; empty if it is something else."""
    if came.shape != X.shape:
        return ""
    if torch.allclose(came, X - X.mean(), atol=1e-5):
        return "One mean of all values is subtracted: each feature has a mean of its own, over the first dimension."
    if torch.allclose(came, X - X.mean(dim=1, keepdim=True), atol=1e-5):
        return "The mean of each example is subtracted: the mean of a feature is taken over the examples, with `dim=0`."
    if torch.allclose(came, X - state, atol=1e-5) or torch.allclose(came, X - state.lerp(X.mean(0), 0.25)):
        return "In training mode, `running_mean` is subtracted: it has to be the mean of the batch."
    return ""


WRONG = (
    WrongAnswer(
        "is a plain attribute",
        changes={
            "nn.Buffer(\n            torch.zeros(features, device=device, dtype=dtype)\n        )": "torch.zeros(features, device=device, dtype=dtype)"
        },
    ),
    WrongAnswer("is a parameter", changes={"nn.Buffer": "nn.Parameter"}),
    WrongAnswer(
        "keeps the graph",
        changes={"        with torch.no_grad():\n            self": "        self"},
    ),
    WrongAnswer(
        "is another tensor now",
        changes={
            "            self.running_mean.lerp_": "            self.running_mean = self.running_mean.lerp"
        },
    ),
    WrongAnswer(
        "through the mean of the batch",
        changes={
            "        mean = X.mean(dim=0)\n        with torch.no_grad():": "        with torch.no_grad():\n            mean = X.mean(dim=0)"
        },
    ),
    WrongAnswer(
        "the mean of the batch is subtracted, so",
        changes={"        if not self.training:\n            return X - self.running_mean\n": ""},
    ),
    WrongAnswer(
        "An evaluation changes `running_mean`",
        changes={
            "        if not self.training:\n            return X - self.running_mean\n": "",
            "        return X - mean": "        return X - (mean if self.training else self.running_mean)",
        },
    ),
    WrongAnswer("A batch of one example", changes={"not self.training": "not self.training or len(X) == 1"}),
    WrongAnswer(
        "the layers before it cannot be trained",
        changes={"return X - self.running_mean": "return X.detach() - self.running_mean"},
    ),
    WrongAnswer(
        "has other memory now", changes={"running_mean.lerp_(": "running_mean.data = self.running_mean.lerp("}
    ),
    WrongAnswer("moves by a fraction of 0.1", changes={"mean, self.momentum": "mean, 0.1"}),
    WrongAnswer("has the wrong sign", changes={"mean, self.momentum": "mean, -self.momentum"}),
    WrongAnswer("is the mean of the last batch", changes={"lerp_(mean, self.momentum)": "copy_(mean)"}),
    WrongAnswer(
        "such as `-=` writes", changes={"        return X - mean": "        X -= mean\n        return X"}
    ),
    WrongAnswer("on the wrong side", changes={"mean, self.momentum": "mean, 1 - self.momentum"}),
)
