"""Created in forward."""

import torch
from torch import Tensor

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "devices.md#expected-all-tensors-to-be-on-the-same-device"
TASK = """
`AppendOne` appends a feature with the value 1 to every example: an input of shape `(*, features)` gives an output of shape `(*, features + 1)`.
It works only for inputs on the CPU in `float32`.
Change one line so that the output has the device and the dtype of the input, whatever they are.
"""
STUB = """\
import torch
from torch import nn


class AppendOne(nn.Module):
    def forward(self, X):
        ones = torch.ones(*X.shape[:-1], 1)
        return torch.cat([X, ones], dim=-1)
"""
SOLUTION = """\
import torch
from torch import nn


class AppendOne(nn.Module):
    def forward(self, X):
        ones = X.new_ones(*X.shape[:-1], 1)
        return torch.cat([X, ones], dim=-1)
"""
HINTS = (
    "On which device and with which dtype does `torch.ones(...)` create its tensor?",
    "Read devices.md#the-meta-device and devices.md#expected-all-tensors-to-be-on-the-same-device: three ways to create a tensor where another one is.",
    "`X.new_ones(...)` takes the device and the dtype from `X`; so does `torch.ones(..., device=X.device, dtype=X.dtype)`.",
)
AFTER = """
The output follows the input, so the layer needs to know neither a device nor a dtype.
Other ways: `X.new_ones(*X.shape[:-1], 1)` and `torch.ones_like(X[..., :1])` create the ones, and `F.pad(X, (0, 1), value=1.0)` does everything in one operation.
"""


def check(answer: Answer) -> None:
    """Values on the CPU; then the meta device, which takes the place of a GPU; then other dtypes."""
    layer = answer.module_class("AppendOne")()
    for shape in (2,), (2, 3), (2, 2, 3):
        X = torch.rand(shape, requires_grad=True)
        answer.given = f"X of shape {shape}"
        expected = torch.nn.functional.pad(X, (0, 1), value=1.0)
        try:
            came = answer.tensor(layer(X), "layer(X)")
        except (RuntimeError, AssertionError, AttributeError) as error:
            raise mistake(error, expected) or error from None
        why = ""
        if came.shape == (*shape[:-1], 2 * shape[-1]):
            why = "As many ones as features are appended, but one is enough: `ones_like(X)` has the shape of `X`."
        elif came.shape == expected.shape and torch.equal(came[..., 1:], X):
            why = "The one has to come after the features, not before them."
        elif came.shape == expected.shape and torch.equal(came[..., :-1], X):
            why = f"The appended feature has to be 1, and is {came.flatten()[-1].item():g}."
        answer.same(came, expected, "layer(X)", why)
        if not came.requires_grad:
            raise Wrong(
                "No gradient gets through the layer: keep `detach` and `.data` out of `forward`.",
                page="layers.md#gradients-are-none-data-in-forward",
            )
    X = torch.rand(2, 3)
    before = X.clone()
    answer.given = "X of shape (2, 3)"
    if layer(X).requires_grad:
        raise Wrong(
            "The output requires a gradient, though `X` does not: the ones are a constant.",
            came="layer(X).requires_grad is True",
            expected="False",
        )
    answer.same(X, before, "X", "`forward` changes its input `X`.", tolerance=0)
    X = torch.tensor([torch.inf, 2.0])
    answer.given = "X with an infinite feature"
    answer.same(
        layer(X),
        torch.tensor([torch.inf, 2.0, 1.0]),
        "layer(X)",
        "The appended feature is computed from the values of `X`, and is not always 1.",
    )
    answer.given = "X of shape (2, 3) on the meta device, which takes the place of a GPU"
    X = torch.empty(2, 3, device="meta")
    try:
        came = layer(X)
    except (RuntimeError, NotImplementedError) as error:
        if list(layer.buffers()) or list(layer.parameters()):
            why = (
                "The ones are kept in the layer, on its device: they move with the layer, not with the input. Create "
                "them from `X` in `forward`."
            )
        elif isinstance(error, NotImplementedError):
            why = "`forward` moves `X` to another device or reads its values. Leave `X` where it is."
        else:
            why = "The ones are on the CPU, and `X` is on another device."
        raise Wrong(
            why, came=f"{type(error).__name__}: {error}", expected="a tensor on the device meta"
        ) from error
    on_device(came, X)
    if torch.get_default_device() != torch.device("cpu"):
        why = "The default device is another one after the call: it belongs to the whole program."
        raise Wrong(why, came=str(torch.get_default_device()), expected="cpu")
    for dtype in torch.float64, torch.bfloat16, torch.float16, torch.int32:
        X = torch.rand(2, 3).to(dtype)
        answer.given = f"X of shape (2, 3) in {dtype}"
        came = layer(X)
        if torch.get_default_dtype() != torch.float32:
            why = "The default dtype is another one after the call: it belongs to the whole program."
            raise Wrong(why, came=str(torch.get_default_dtype()), expected="torch.float32")
        if came.dtype != dtype:
            raise Wrong(
                f"The output does not have the dtype of the input: from two dtypes, `cat` takes the larger one. Which "
                f"dtype do the ones have, if `X` has {dtype}?",
                came=str(came.dtype),
                expected=str(dtype),
                page="devices.md#the-meta-device",
            )
        answer.same(came, torch.nn.functional.pad(X, (0, 1), value=1), "layer(X)", "", 0)


def mistake(error: Exception, expected: Tensor) -> Wrong | None:
    """The verdict on an error with an input on the CPU, if it is one of the usual errors."""
    came = f"{type(error).__name__}: {error}"
    if "has no attribute 'device'" in came or "has no attribute 'dtype'" in came:
        why = "A module has no device and no dtype of its own, but `X` has both."
    elif "CUDA" in came or "Cannot access accelerator" in came:
        why = "The ones are created on a GPU, and `X` is on the CPU here: they have to follow `X`, whatever device it is on."
    elif "Expected all tensors to be on the same device" in came:
        why = "The ones are on another device than `X`."
    elif "a leaf Variable that requires grad" in came:
        why = "`forward` changes its input `X` in place: create a new tensor."
    elif "number of dimensions" in came or "Sizes of tensors must match" in came:
        why = "The ones do not fit: except for the last dimension, they need the shape of `X`."
    else:
        return None
    return Wrong(why, came=came, expected=expected)


def on_device(came: Tensor, X: Tensor) -> None:
    """Raise `Wrong` unless the output is where the input is."""
    if came.device != X.device:
        raise Wrong(
            "The output is not on the device of the input.",
            came=str(came.device),
            expected=str(X.device),
        )


WRONG = (
    WrongAnswer(
        "The default dtype is another one",
        changes={
            "        ones = X.new_ones(*X.shape[:-1], 1)": "        torch.set_default_dtype(X.dtype)\n        ones = torch.ones(*X.shape[:-1], 1, device=X.device)"
        },
    ),
    WrongAnswer(
        "The ones are on the CPU",
        changes={"X.new_ones(*X.shape[:-1], 1)": "torch.ones(*X.shape[:-1], 1, dtype=X.dtype)"},
    ),
    WrongAnswer(
        "does not have the dtype",
        changes={"X.new_ones(*X.shape[:-1], 1)": "torch.ones(*X.shape[:-1], 1, device=X.device)"},
    ),
    WrongAnswer("is not always 1", changes={"X.new_ones(*X.shape[:-1], 1)": "X[..., :1] * 0 + 1"}),
    WrongAnswer("has to be 1, and is 0", changes={"new_ones": "new_zeros"}),
    WrongAnswer("need the shape of `X`", changes={"*X.shape[:-1]": "X.shape[0]"}),
    WrongAnswer(
        "of its own",
        changes={"X.new_ones(*X.shape[:-1], 1)": "torch.ones(*X.shape[:-1], 1, device=self.device)"},
    ),
    WrongAnswer("As many ones as features", changes={"X.new_ones(*X.shape[:-1], 1)": "torch.ones_like(X)"}),
    WrongAnswer(
        "move with the layer",
        changes={
            "    def forward": "    def __init__(self):\n        super().__init__()\n        self.one = nn.Buffer(torch.ones(1))\n\n    def forward",
            "X.new_ones(*X.shape[:-1], 1)": "self.one.expand(*X.shape[:-1], 1)",
        },
    ),
    WrongAnswer(
        "Leave `X` where it is",
        changes={
            "X.new_ones(*X.shape[:-1], 1)": "torch.ones(*X.shape[:-1], 1)",
            "[X, ones]": "[X.cpu(), ones]",
        },
    ),
)
