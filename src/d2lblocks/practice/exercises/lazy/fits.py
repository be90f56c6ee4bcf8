"""Does the batch fit?"""

from collections.abc import Callable

import torch
from torch import nn

from d2lblocks.lazy import uninitialized_names

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "lazy.md#apply_init"
TASK = """
In a net that is partly lazy, the input size that you gave one layer may not match the layer before it.
Write `fits(net, X)`, which returns `True` if the net accepts the batch `X`, and `False` if the forward pass raises an error.
If the batch fits, the net should have all its shapes afterward.
If it does not, every layer that was lazy should still be lazy.
"""
STUB = """\
def fits(net, X):
    try:
        net(X)
    except RuntimeError:
        return False
    return True
"""
SOLUTION = """\
from d2lblocks import apply_init


def fits(net, X):
    try:
        apply_init(net, X)
    except RuntimeError:
        return False
    return True
"""
HINTS = (
    "How far does the forward pass get before it stops at a mismatch, and what has happened to the layers before it?",
    "Read lazy.md#apply_init: what the net is like after an error.",
    "Call `apply_init(net, X)` inside `try`, and return `False` for a `RuntimeError`.",
)
AFTER = """
A plain call stops at the mismatch, when the layers before it already have their shapes; `apply_init` makes them lazy again.
Another way is to try the batch on `copy.deepcopy(net)` first, but a net with a lazy batch norm cannot be copied before its first batch.
"""


class _Fails(nn.Module):
    """A layer that refuses its input with an error that is not a RuntimeError."""

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        raise IndexError("index 8 is out of range")


def check(answer: Answer) -> None:
    """A batch that fits gives all shapes; one that does not leaves the net lazy, and another may fit."""
    fits = answer.function("fits")
    X = torch.rand(2, 20)
    net = nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.LazyLinear(10))
    answer.given = (
        "net = nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.LazyLinear(10)) and X of shape (2, 20)"
    )
    _compare(answer, _called(fits, net, X), expected=True)
    _check_shapes(net)
    net = nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.Linear(32, 16), nn.LazyLinear(10))
    answer.given = "net = nn.Sequential(nn.LazyLinear(64), nn.ReLU(), nn.Linear(32, 16), nn.LazyLinear(10)) and X of shape (2, 20)"
    _check_refused(answer, _call(fits, net, X), net, ["0.weight", "0.bias", "3.weight", "3.bias"])
    net = nn.Sequential(nn.LazyLinear(8), nn.BatchNorm2d(8))
    answer.given = "net = nn.Sequential(nn.LazyLinear(8), nn.BatchNorm2d(8)) and X of shape (2, 20)"
    _check_refused(answer, _call(fits, net, X), net, ["0.weight", "0.bias"])
    net = nn.Sequential(nn.LazyLinear(8), _Fails())
    answer.given = (
        "net = nn.Sequential(nn.LazyLinear(8), a layer that raises an IndexError) and X of shape (2, 20)"
    )
    _check_refused(answer, _call(fits, net, X), net, ["0.weight", "0.bias"])
    net = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 8), nn.LazyLinear(2))
    names = ["0.weight", "0.bias", "3.weight", "3.bias"]
    text = "net = nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.Linear(144, 8), nn.LazyLinear(2))"
    answer.given = f"{text} and X of shape (2, 3, 9, 9)"
    _check_refused(answer, _call(fits, net, torch.rand(2, 3, 9, 9)), net, names)
    answer.given = f"{text} and then X of shape (2, 1, 8, 8)"
    _compare(answer, _called(fits, net, torch.rand(2, 1, 8, 8)), expected=True)
    _check_shapes(net)


def _called(fits: Callable[..., object], net: nn.Module, X: torch.Tensor) -> object:
    """Call the function; the layers have to stay those that they were."""
    before = list(net.modules())
    came = fits(net, X)
    if not all(now is each for now, each in zip(net.modules(), before, strict=False)):
        raise Wrong(
            "`net` has other layers after the call, such as those of a copy, and an optimizer that exists already has the "
            "parameters of the old ones: keep the layers of `net`.",
            came="net[0] is another object",
            expected="net[0] is the object that it was",
        )
    return came


def _call(fits: Callable[..., object], net: nn.Module, X: torch.Tensor) -> object:
    """Call the function with a batch that does not fit."""
    try:
        return _called(fits, net, X)
    except Wrong:
        raise
    except Exception as error:
        name, message = type(error).__name__, " ".join(str(error).split())
        raise Wrong(
            f"The batch does not fit, and the `{name}` of the forward pass reaches the caller: catch it.",
            came=f"{name}: {message}"[:200],
            expected="False",
        ) from error


def _compare(answer: Answer, came: object, expected: bool) -> None:
    answer.kind(came, "fits(net, X)", bool, "`True` or `False`")
    why = (
        "The batch fits: `net(X)` raises no error."
        if expected
        else "The batch does not fit: `net(X)` stops at the mismatch with an error."
    )
    answer.same(came, expected, "fits(net, X)", why)


def _check_shapes(net: nn.Module) -> None:
    if names := uninitialized_names(net):
        raise Wrong(
            f"The batch fits, but `{names[0]}` is still uninitialized: the net itself needs the batch, not only a copy.",
            came=f"uninitialized: {', '.join(names)}",
            expected="uninitialized: none",
        )
    if not net.training:
        raise Wrong(
            "The net was in training mode and is in evaluation mode now: put the mode back.",
            came="net.training is False",
            expected="net.training is True",
        )


def _check_refused(answer: Answer, came: object, net: nn.Sequential, names: list[str]) -> None:
    _compare(answer, came, expected=False)
    left = uninitialized_names(net)
    if left != names:
        raise Wrong(
            "The batch does not fit, but the layers before the mismatch are not lazy anymore: the call has already initialized them.",
            came=f"uninitialized: {', '.join(left) or 'none'}",
            expected=f"uninitialized: {', '.join(names)}",
        )
    if not isinstance(net[0], nn.modules.lazy.LazyModuleMixin):
        raise Wrong(
            "The first layer has another class now.", came=type(net[0]).__name__, expected="a lazy class"
        )


WRONG = (
    WrongAnswer(
        "has other layers after the call",
        code="""\
import copy


def fits(net, X):
    trial = copy.deepcopy(net)
    try:
        trial(X)
    except Exception:
        return False
    for name, layer in trial.named_children():
        setattr(net, name, layer)
    return True
""",
    ),
    WrongAnswer(
        "already initialized them",
        changes={"apply_init(net, X)": "net(X)", "from d2lblocks import apply_init\n\n\n": ""},
    ),
    WrongAnswer(
        "not only a copy",
        changes={
            "apply_init(net, X)": "copy.deepcopy(net)(X)",
            "from d2lblocks import apply_init": "import copy",
        },
    ),
    WrongAnswer("`fits(net, X)` is `None`", changes={"return True": "return None"}),
    WrongAnswer("the `RuntimeError` of the forward pass", changes={"RuntimeError": "ValueError"}),
    WrongAnswer(
        "the `ValueError` of the forward pass",
        changes={
            "        apply_init(net, X)": "        copy.deepcopy(net)(X)",
            "from d2lblocks import apply_init": "import copy",
            "    return True": "    net(X)\n    return True",
        },
    ),
    WrongAnswer("put the mode back", changes={"    return True": "    net.eval()\n    return True"}),
    WrongAnswer(
        "with an error",
        changes={"        return False": "        return True"},
    ),
)
