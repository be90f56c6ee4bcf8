"""The gain of any activation function."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "init.md#unsupported-nonlinearity-gelu"
TASK = """
Your net uses GELU, which `nn.init.calculate_gain` does not know.
Write `gain(activation)`, which returns the gain of any elementwise activation function as a number, with an error of less than 1%.
If z is drawn from N(0, 1), the gain times `activation(z)` has a mean square of 1.
"""
STUB = """\
import torch


def gain(activation): ...
"""
SOLUTION = """\
import torch


def gain(activation):
    z = torch.randn(1_000_000)
    return activation(z).square().mean().rsqrt().item()
"""
HINTS = (
    "If the inputs of the activation function are distributed as N(0, 1), what is the mean of its squared outputs?",
    "Read init.md#initialize-one-tensor-the-functions-of-torchnninit: the gain undoes what the function does to the size. For ReLU, the mean square is 1/2 and the gain √2.",
    "Draw a million values `z` with `torch.randn`; the gain is 1 divided by the root of the mean of `activation(z)` squared.",
)
AFTER = """
If the outputs have the mean square m, weights scaled by 1 / √m bring the mean square back to 1.
Instead of drawing, you can add up a fine grid of values times their probabilities, as the page does for its picture.
"""
CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "lambda z: z": lambda z: z,
    "lambda z: 2 * z": lambda z: 2 * z,
    "torch.relu": torch.relu,
    "torch.tanh": torch.tanh,
    "nn.functional.gelu": nn.functional.gelu,
}
MISTAKES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "`std` subtracts the mean first: the size of the values is the root of their mean square.": (
        lambda y, p: (p @ (y - p @ y).square()) ** -0.5
    ),
    "This is 1 divided by the mean square: the root is missing.": lambda y, p: 1 / (p @ y.square()),
    "This is what the function does to the size; the gain has to undo that, so it is 1 divided by this.": (
        lambda y, p: (p @ y.square()) ** 0.5
    ),
    "This is 1 divided by the mean of the absolute values: gains are about the mean of the squares.": (
        lambda y, p: 1 / (p @ y.abs())
    ),
}


def check(answer: Answer) -> None:
    """Compare with the integral, for functions with and without a mean, and name wrong formulas."""
    gain = answer.function("gain")
    z = torch.linspace(-8, 8, 20001, dtype=torch.float64)
    p = torch.exp(-z.square() / 2)
    p /= p.sum()
    for text, function in CASES.items():
        answer.given = f"gain({text})"
        came = gain(function)
        if isinstance(came, Tensor) and came.numel() == 1:
            raise Wrong(f"`{answer.given}` is a tensor: end with `.item()`.", came=came, expected="a number")
        came = float(answer.kind(came, answer.given, int | float, "a number"))
        y = function(z)
        expected = ((p @ y.square()) ** -0.5).item()
        if abs(came / expected - 1) < 0.01:
            continue
        again = float(gain(function))
        whys = [why for why, wrong in MISTAKES.items() if abs(came / wrong(y, p).item() - 1) < 0.01]
        raise Wrong(
            whys[0] if whys else _why(came, expected, text, again),
            came=f"{came:.3f}",
            expected=f"{expected:.3f}",
        )


def _why(came: float, expected: float, text: str, again: float) -> str:
    if text == "lambda z: z" and abs(came - 3**0.5) < 0.03:
        return (
            "`torch.rand` draws from U(0, 1), but the inputs are distributed as N(0, 1): use `torch.randn`."
        )
    if text == "torch.tanh" and abs(came - 5 / 3) < 0.001:
        return "5/3 is what `calculate_gain` returns for tanh, but it does not keep the mean square at 1: compute the gain."
    if abs(came / again - 1) > 0.005 or abs(came / expected - 1) < 0.04:
        return "The error is more than 1%: draw more values, for example a million."
    return "This is not the gain: it is 1 / √m, where m is the mean square of the outputs for inputs from N(0, 1)."


WRONG = (
    WrongAnswer("subtracts the mean", changes={".square().mean().rsqrt()": ".std().reciprocal()"}),
    WrongAnswer("the root is missing", changes={"rsqrt()": "reciprocal()"}),
    WrongAnswer("has to undo", changes={"rsqrt": "sqrt"}),
    WrongAnswer("draws from U(0, 1)", changes={"randn": "rand"}),
    WrongAnswer("end with `.item()`", changes={".item()": ""}),
    WrongAnswer("draw more values", changes={"1_000_000": "30"}),
)
