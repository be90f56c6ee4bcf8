"""What the loss function is given."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from .._seen import Seen
from .._watch import LossCall
from ._rule import Found, rule

_LOGITS = {
    "cross_entropy": ("SoftmaxBackward", "LogSoftmaxBackward"),
    "binary_cross_entropy_with_logits": ("SigmoidBackward",),
}
_VIEWS = (
    "View", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "TBackward", "Permute", "Slice", "Select",
    "Clone", "Alias", "Expand", "ToCopy", "Flatten",
)  # fmt: skip


@rule("softmax-twice", "question", "diagnosis.md#the-loss-stays-high-softmax-before-cross_entropy")
def softmax_twice(seen: Seen) -> Iterator[Found]:
    """Probabilities where the loss expects scores: it applies the softmax or the sigmoid itself."""
    for loss in seen.watch.losses:
        made = _made_by(loss.tensors[0]) if loss.tensors else ""
        if any(made.startswith(name) for name in _LOGITS.get(loss.function, ())):
            name = made.partition("Backward")[0]
            shown = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}[name]
            own = "sigmoid" if name == "Sigmoid" else "log_softmax"
            other = "binary_cross_entropy" if name == "Sigmoid" else "nll_loss with log_softmax"
            harm = (
                "A second one changes nothing, and costs time."
                if name == "LogSoftmax"
                else "Applied twice, it makes the gradients small, and the loss cannot come close to 0."
            )
            yield Found(
                ("output",),
                f"The output of {shown} goes into {loss.function}, which applies {own} itself. {harm}",
                f"Return the scores without {shown}, or use {other}.",
                loss.line,
            )
        if loss.function == "nll_loss" and made.startswith("SoftmaxBackward"):
            yield Found(
                ("output",),
                "The output of softmax goes into nll_loss, which expects log-probabilities.",
                "Use cross_entropy on the scores, or log_softmax instead of softmax.",
                loss.line,
                "error",
            )


def _made_by(tensor: Tensor) -> str:
    """The name of the operation that made a tensor, before views of it."""
    node: Any = tensor.grad_fn
    while node is not None and node.name().startswith(_VIEWS) and node.next_functions:
        node = node.next_functions[0][0]
    return "" if node is None else str(node.name())


@rule("broadcast", "question", "diagnosis.md#all-predictions-become-the-mean-shapes-8-1-and-8")
def broadcast(seen: Seen) -> Iterator[Found]:
    """Predictions and targets of different shapes, which are compared each with each."""
    for loss in seen.watch.losses:
        if _is_broadcast(loss):
            first, second = loss.shapes[:2]
            yield Found(
                ("output",),
                f"The loss compares tensors of shapes {first} and {second}: broadcasting compares each "
                "prediction with every target.",
                "Give both the same shape: Y.squeeze(-1) for predictions, or y.unsqueeze(-1) for targets.",
                loss.line,
            )
            return


def _is_broadcast(loss: LossCall) -> bool:
    """Whether one shape has a 1 where the other has the number of examples."""
    if loss.function in ("cross_entropy", "nll_loss") or len(loss.shapes) < 2:
        return False
    first, second = loss.shapes[:2]
    if first == second or not first or not second:
        return False
    longer, shorter = sorted((first, second), key=len, reverse=True)
    # (8, 1) and (8,) become (8, 8).
    return len(longer) == len(shorter) + 1 and longer[-1] == 1 and longer[:-1] == shorter and shorter[-1] > 1
