"""The gain of any activation function."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from d2lblocks._arguments import kind_of

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
A million values from N(0, 1) give m with a small error; another way is to add up the squares on a fine grid, each times its probability, as the page does for its picture.
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
    "This is what the function does to the size; the gain has to undo that, so it is 1 divided by this number.": (
        lambda y, p: (p @ y.square()) ** 0.5
    ),
    "This is 1 divided by the mean of the absolute values: gains are about the mean of the squares.": (
        lambda y, p: 1 / (p @ y.abs())
    ),
    "This is 1 divided by the root of the sum of the squares: the gain needs the root of their mean.": (
        lambda y, p: y.square().sum() ** -0.5
    ),
    "This is 1 divided by the mean of the outputs: the gain needs the mean of their squares, so square them first.": (
        lambda y, p: 1 / (p @ y).abs()
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
        inputs: list[Tensor] = []
        came = _call(gain, function, inputs)
        if isinstance(came, Tensor) and came.numel() == 1:
            raise Wrong(f"`{answer.given}` is a tensor: end with `.item()`.", came=came, expected="a number")
        came = float(answer.kind(came, answer.given, int | float, "a number"))
        y = function(z)
        expected = ((p @ y.square()) ** -0.5).item()
        if abs(came / expected - 1) < 0.01:
            continue
        raise Wrong(
            _why(came, y, p, function, inputs, text),
            came=f"{came:.3f}",
            expected=f"{expected:.3f}",
        )


def _call(gain: Callable[..., Any], function: Callable[[Tensor], Tensor], inputs: list[Tensor]) -> Any:
    """Call `gain` with the function, and keep the values for which it asks."""

    @functools.wraps(function)  # with the name of the function
    def activation(z: Tensor) -> Tensor:
        if not isinstance(z, Tensor):
            why = "The activation functions of PyTorch take a tensor of values."
            raise Wrong(why, came=f"activation({kind_of(z)})", expected="activation(tensor)")
        inputs.append(z.detach().clone())
        return function(z)

    try:
        return gain(activation)
    except ValueError as error:
        if "nonlinearity" not in str(error):
            raise
        raise Wrong(
            "`calculate_gain` takes the name of one of the few activation functions that it knows: compute the gain yourself.",
            came="ValueError: Unsupported nonlinearity",
            expected="a number",
        ) from error


def _why(
    came: float,
    y: Tensor,
    p: Tensor,
    function: Callable[[Tensor], Tensor],
    inputs: list[Tensor],
    text: str,
) -> str:
    if text == "torch.tanh" and abs(came - 5 / 3) < 0.001:
        return "5/3 is what `calculate_gain` returns for tanh, but it does not keep the mean square at 1: compute the gain."
    if not inputs:
        return "The result cannot depend on the activation function, because `gain` does not call it."
    z = torch.cat([each.flatten().double() for each in inputs])
    own, equal = function(z), torch.full((len(z),), 1 / len(z), dtype=torch.float64)
    if abs(came * own.square().mean().sqrt().item() - 1) < 0.001:  # the formula is right
        size = z.square().mean().item()
        if z.min() >= 0 and z.max() <= 1:
            return "All inputs are between 0 and 1, as from `torch.rand`, but they have to be distributed as N(0, 1)."
        if z.min() >= 0:
            return "No input is negative, but half of the values from N(0, 1) are."
        if abs(size - 1) < 5 * (2 / len(z)) ** 0.5 or abs(size - 1) < 0.05:
            return f"The error is more than 1%: {len(z):,} values are not enough."
        return f"The inputs have a mean square of {size:.2f}, but those from N(0, 1) have a mean square of 1."
    for why, wrong in MISTAKES.items():
        if any(
            abs(came / wrong(outputs, weights).item() - 1) < limit
            for outputs, weights, limit in ((y, p, 0.01), (own, equal, 0.001))
        ):
            return why
    right = (p @ y.square()).item() ** -0.5
    if abs(came / right - 1) < 0.05:
        return "This is close to the gain, but the error is more than 1%: is the result rounded, or the formula not exact?"
    if z.abs().max() < 3:
        return f"The largest input is {z.abs().max():.2f}, but values from N(0, 1) go further."
    return "This is not the gain: it is 1 / √m, where m is the mean square of the outputs for inputs from N(0, 1)."


WRONG = (
    WrongAnswer("subtracts the mean", changes={".square().mean().rsqrt()": ".std().reciprocal()"}),
    WrongAnswer("the root is missing", changes={"rsqrt()": "reciprocal()"}),
    WrongAnswer("has to undo", changes={"rsqrt": "sqrt"}),
    WrongAnswer("between 0 and 1, as from", changes={"randn": "rand"}),
    WrongAnswer("end with `.item()`", changes={".item()": ""}),
    WrongAnswer("are not enough", changes={"1_000_000": "30"}),
    WrongAnswer("so square them first", changes={".square().mean().rsqrt()": ".mean().square().rsqrt()"}),
    WrongAnswer("have a mean square of", changes={"torch.randn(": "torch.linspace(-8, 8, "}),
    WrongAnswer("does not call it", changes={"activation(z).square().mean().rsqrt()": "z.std()"}),
)
