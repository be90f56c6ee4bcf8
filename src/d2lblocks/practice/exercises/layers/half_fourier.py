"""Half of the Fourier coefficients."""

import torch

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "layers.md#a-layer-without-parameters"
TASK = """
Write the layer `HalfFourier`, which returns only those Fourier coefficients that are needed for a real input.
For n values along the last dimension of `X`, it returns the coefficients 0 to n // 2 along this dimension, as complex numbers.
The other dimensions of `X` are separate examples, and there can be any number of them, including none.
"""
STUB = """\
import torch
from torch import nn


class HalfFourier(nn.Module):
    def forward(self, X): ...
"""
SOLUTION = """\
import torch
from torch import nn


class HalfFourier(nn.Module):
    def forward(self, X):
        return torch.fft.rfft(X)
"""
HINTS = (
    "What does `torch.fft.fft(X)` return for a real `X`, and which of its values can you compute from the others?",
    "Read layers.md#a-layer-without-parameters for such a layer, layers.md#inputs-of-any-batch-shape for the dimensions, and look in the list of functions of `torch.fft` for the one for real inputs.",
    "`torch.fft.rfft` transforms the last dimension of a real tensor and returns the first n // 2 + 1 coefficients.",
)
AFTER = """
If the input is real, coefficient n - k is the complex conjugate of coefficient k, so the coefficients 0 to n // 2 contain all the information.
`torch.fft.rfft(X)` computes only these; another way, `torch.fft.fft(X)[..., : X.shape[-1] // 2 + 1]`, also computes the other half.
"""


def check(answer: Answer) -> None:
    """The coefficients are the first ones of the whole transform; gradients reach the input."""
    layer = answer.module_class("HalfFourier")()
    for shape in (3,), (2,), (2, 3), (4, 5), (2, 3, 6):
        X = torch.rand(shape)
        answer.given = f"X of shape {shape}"
        n = shape[-1]
        full = torch.fft.fft(X)
        expected = full[..., : n // 2 + 1]
        before = X.clone()
        try:
            came = answer.tensor(layer(X), "layer(X)")
        except (IndexError, RuntimeError) as error:
            raise Wrong(
                "The layer fails for this number of dimensions. Transform and slice the last dimension: it is `dim=-1`, and the last place in `[..., :k]`.",
                came=f"{type(error).__name__}: {error}",
                expected="a tensor of shape " + str(tuple(expected.shape)),
                page="layers.md#inputs-of-any-batch-shape",
            ) from error
        if not torch.equal(X, before):
            raise Wrong(
                "The layer changes its input `X`.", page="modules.md#the-net-changes-its-input-tensor"
            )
        if not came.is_complex():
            if came.shape == (*expected.shape, 2):
                why = "`view_as_real` splits each coefficient into two numbers: return the complex numbers."
            elif came.shape != expected.shape:
                why = "The result is real: `rfft` goes from real numbers to their coefficients, `irfft` and `hfft` the other way."
            else:
                why = "A coefficient is a complex number: its absolute value or its real part alone is not enough to get `X` back."
            raise Wrong(why, came=came, expected=expected)
        answer.same(came, expected, "layer(X)", mistake(came, X, full))
    answer.given = f"X of shape {shape} in float64"
    if (came := layer(X.double())).dtype != torch.complex128:
        raise Wrong(
            "The layer converts its input, so the coefficients of a `float64` input lose precision: keep the dtype of `X`.",
            came=came,
            expected="complex128 tensor of shape (2, 3, 4)",
        )
    answer.given = f"X of shape {shape}"
    X.requires_grad_()
    try:
        Y = layer(X).abs().sum()
        learns = Y.requires_grad and torch.autograd.grad(Y, [X], allow_unused=True)[0] is not None
    except RuntimeError as error:
        if "numpy" not in str(error):
            raise
        learns = False
    if not learns:
        raise Wrong(
            "No gradient gets through the layer: keep `detach`, `.data` and NumPy out of `forward`.",
            came="gradient of X: None",
            expected="gradient of X: a tensor",
            page="layers.md#gradients-are-none-data-in-forward",
        )


def mistake(came: torch.Tensor, X: torch.Tensor, full: torch.Tensor) -> str:
    """A sentence on the mistake that leads to these values; empty if it is none of the usual ones."""

    def equal(other: torch.Tensor) -> bool:
        return (
            came.shape == other.shape and came.dtype == other.dtype and torch.allclose(came, other, atol=1e-5)
        )

    n = X.shape[-1]
    half = full[..., : n // 2 + 1]
    if equal(full):
        return "These are all n coefficients. Leave out the second half of the last dimension: it holds the conjugates of the first half."
    if equal(full[..., : n // 2]):
        if n % 2 == 0:  # it is right for an odd n, which comes first
            return "For an even n, coefficient n // 2 is missing, and it cannot be computed from the others."
        return "The last coefficient is missing: 0 to n // 2 are n // 2 + 1 numbers."
    if equal(full[..., 1 : n // 2 + 1]):
        return "Coefficient 0, the sum of the values, is missing."
    if any(equal(each * factor) for each in (half, half.conj()) for factor in (n**-0.5, 1 / n)):
        return "The coefficients are divided by n or by its square root: use the forward transform, and leave `norm` at its default."
    if equal(half.conj()):
        return "These are the conjugates: the forward transform is `fft`, and `ifft` is its inverse."
    if X.dim() > 1 and came.shape in (half.shape, full.shape):
        return "The coefficients mix the examples: transform the last dimension only."
    if came.shape != half.shape and came.shape[:-1] == half.shape[:-1]:
        return f"From {n} values, the layer makes {came.shape[-1]} coefficient{'s' * (came.shape[-1] != 1)}, but 0 to n // 2 are {n // 2 + 1}."
    return ""


WRONG = (
    WrongAnswer("all n coefficients", changes={"rfft(X)": "fft(X)"}),
    WrongAnswer("For an even n", changes={"rfft(X)": "fft(X)[..., : (X.shape[-1] + 1) // 2]"}),
    WrongAnswer("The last coefficient is missing", changes={"rfft(X)": "fft(X)[..., : X.shape[-1] // 2]"}),
    WrongAnswer("this number of dimensions", changes={"rfft(X)": "fft(X)[:, : X.shape[1] // 2 + 1]"}),
    WrongAnswer("mix the examples", changes={"rfft(X)": "rfftn(X)"}),
    WrongAnswer("The result is real", changes={"rfft(X)": "irfft(X)"}),
    WrongAnswer("the layer makes 1 coefficient,", changes={"rfft(X)": "rfft(X, X.shape[-1] // 2)"}),
    WrongAnswer("keep the dtype", changes={"rfft(X)": "rfft(X.float())"}),
    WrongAnswer("A coefficient is a complex number", changes={"rfft(X)": "rfft(X).abs()"}),
)
