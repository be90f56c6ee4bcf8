"""Four functions of `torch.nn.init`."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "init.md#initialize-one-tensor-the-functions-of-torchnninit"
TASK = """
Write `four(size)`, which returns a dict of four tensors, each filled by the function of `torch.nn.init` whose name is its key.
`"orthogonal_"`: a matrix of shape `(size, size)` that doubles the length of every vector.
`"trunc_normal_"`: 1,000 values from N(0, 0.02²); those beyond two standard deviations are drawn again.
`"dirac_"`: the weight of a 2d convolution that returns its input, with `size` channels in and out and a kernel of size 3.
`"sparse_"`: a matrix of shape `(10, size)` with eight zeros in every column.
"""
STUB = """\
import torch
from torch import nn


def four(size):
    return {
        "orthogonal_": nn.init.orthogonal_(torch.empty(size, size)),
        "trunc_normal_": ...,
        "dirac_": ...,
        "sparse_": ...,
    }
"""
SOLUTION = """\
import torch
from torch import nn


def four(size):
    values = torch.empty(1000)
    return {
        "orthogonal_": nn.init.orthogonal_(torch.empty(size, size), gain=2),
        "trunc_normal_": nn.init.trunc_normal_(values, std=0.02, a=-0.04, b=0.04),
        "dirac_": nn.init.dirac_(torch.empty(size, size, 3, 3)),
        "sparse_": nn.init.sparse_(torch.empty(10, size), sparsity=0.8),
    }
"""
HINTS = (
    "Which argument of each function sets the property that the task asks for?",
    "Read the table in init.md#initialize-one-tensor-the-functions-of-torchnninit and, below it, what the limits of `trunc_normal_` mean.",
    "The arguments are `gain=2`, `std=0.02, a=-0.04, b=0.04` and `sparsity=0.8`; a weight of a convolution has the shape `(outputs, inputs, height, width)`.",
)
AFTER = """
Each function of `torch.nn.init` overwrites its tensor and returns it, so the call can be written inside the dict.
Another way for `dirac_`: pass it the weight of an `nn.Conv2d(size, size, 3)`.
"""
LIMIT = 0.04
SPREAD = 0.8796 * 0.02  # of a normal distribution without what is beyond two standard deviations


def check(answer: Answer) -> None:
    """Each tensor has the property, for two sizes."""
    four = answer.function("four")
    for size in 2, 5:
        answer.given = f"four({size})"
        made = answer.kind(_call(four, size), answer.given, dict, "a dict")
        shapes = {
            "orthogonal_": (size, size),
            "trunc_normal_": (1000,),
            "dirac_": (size, size, 3, 3),
            "sparse_": (10, size),
        }
        if made.keys() != shapes.keys():
            raise Wrong("The dict has other keys.", came=list(made), expected=list(shapes))
        for (name, shape), check_one in zip(
            shapes.items(), (_orthogonal, _truncated, _dirac, _sparse), strict=True
        ):
            if made[name] is ...:
                raise Wrong(f"`{name}` is not written yet.", came="...", expected="a tensor")
            tensor = answer.tensor(made[name], f'four({size})["{name}"]').detach()
            if name == "trunc_normal_" and tensor.numel() == 1000:
                tensor = tensor.flatten()
            if tensor.shape != shape:
                why = f"The tensor of `{name}` has another shape."
                if name == "dirac_":
                    why += " The weight of a 2d convolution has the outputs, the inputs, the height and the width."
                raise Wrong(why, came=f"shape {tuple(tensor.shape)}", expected=f"shape {tuple(shape)}")
            check_one(tensor)
    answer.given = "two calls of four(5)"
    again = four(5)
    for name in "orthogonal_", "trunc_normal_", "sparse_":
        if torch.equal(made[name], again[name]):
            raise Wrong(
                f"Both calls give the same tensor for `{name}`: call this function each time, because it draws "
                "random numbers, and leave seeds to the caller.",
                came="equal values",
                expected="other values",
                page="init.md#reproducibility",
            )


def _call(four: Callable[[int], object], size: int) -> object:
    """Call the function, with words for the usual errors of `torch.nn.init`."""
    try:
        return four(size)
    except (AttributeError, ValueError) as error:
        if "object has no attribute 'ndimension'" in str(error) or "object has no attribute 'data'" in str(
            error
        ):
            why = "The functions of `torch.nn.init` take a tensor, not a module: `dirac_` needs the weight of the convolution."
        elif "3, 4, or 5 dimensions" in str(error):
            why = "The weight of a 2d convolution has four dimensions: outputs, inputs, height and width."
        elif "2 dimensions are supported" in str(error):
            why = "`sparse_` fills a matrix: its tensor needs two dimensions."
        else:
            raise
        raise Wrong(why, came=f"{type(error).__name__}: {error}") from error


def _orthogonal(matrix: Tensor) -> None:
    squared = matrix.T @ matrix
    if torch.allclose(squared, torch.eye(len(matrix)), atol=1e-4):
        raise Wrong(
            "The matrix of `orthogonal_` keeps the length of every vector: the argument `gain` multiplies it.",
            came="length 1 for a vector of length 1",
            expected="length 2",
        )
    if not torch.allclose(squared, 4 * torch.eye(len(matrix)), atol=1e-4):
        lengths = matrix.norm(dim=0)
        raise Wrong(
            "The matrix of `orthogonal_` does not double the length of every vector.",
            came=f"length {lengths[0]:.3f} for the vector (1, 0, ...)",
            expected="length 2",
        )


def _truncated(values: Tensor) -> None:
    largest = values.abs().max().item()
    std = values.std().item()
    if largest > LIMIT + 1e-6 and abs(std / (LIMIT / 2) - 1) < 0.12:
        raise Wrong(
            "Some values of `trunc_normal_` are beyond two standard deviations: its limits `a` and `b` are plain "
            "numbers, not multiples of `std`.",
            came=f"largest distance from 0: {largest:.3f}",
            expected=f"at most {LIMIT}",
        )
    if largest <= LIMIT + 1e-6 and (values.abs() > LIMIT - 1e-6).sum() > 2:
        raise Wrong(
            "Values beyond the limits were set to the limits, not drawn again: let `trunc_normal_` do it.",
            came=f"{(values.abs() > LIMIT - 1e-6).sum()} values of ±{LIMIT}",
            expected=f"no value of ±{LIMIT}",
        )
    if abs(values.mean().item()) <= 0.004 and abs(std / SPREAD - 1) <= 0.12 and largest <= LIMIT + 1e-6:
        return
    if 0.9 * LIMIT / 2 < largest <= LIMIT / 2 + 1e-6:
        why = (
            "No value is beyond one standard deviation, 0.02: the limits are two standard deviations from 0."
        )
    elif abs(std / (LIMIT / 3**0.5) - 1) < 0.05 and largest <= LIMIT + 1e-6:
        why = "The values of `trunc_normal_` are spread evenly between the limits, as if `std` were much larger than 0.02."
    elif abs(values.mean().item()) > 0.004:
        why = "The mean of the values is not 0: after the tensor, `trunc_normal_` takes the mean, the standard deviation and the two limits."
    elif std < 0.001 or 0.09 < std < 0.2:
        why = "The scale is not right: 0.02² is the variance, and `trunc_normal_` expects the standard deviation."
    else:
        why = "The values of `trunc_normal_` are not from N(0, 0.02²)."
    raise Wrong(
        why,
        came=f"mean {values.mean():.3f}, standard deviation {std:.4f}, largest distance from 0 {largest:.3f}",
        expected=f"mean 0, standard deviation {SPREAD:.4f} (after drawing again), largest distance from 0 {LIMIT}",
    )


def _dirac(weight: Tensor) -> None:
    images = torch.rand(2, weight.shape[1], 5, 5)
    came = F.conv2d(images, weight, padding=1)
    if not torch.equal(came, images):
        same = [torch.equal(came[:, channel], images[:, channel]) for channel in range(len(weight))]
        raise Wrong(
            "The convolution with the weight of `dirac_` does not return its input.",
            came=f"returned unchanged: {sum(same)} of {len(same)} channels",
            expected="every channel",
        )


def _sparse(matrix: Tensor) -> None:
    zeros = (matrix == 0).sum(dim=0).tolist()
    if zeros == [10] * len(zeros):
        why = (
            "All values are 0: `sparsity` is a fraction, a number from 0 to 1, of the ten values in a column."
        )
    elif zeros == [2] * len(zeros):
        why = "`sparsity` is the fraction of zeros in a column, not of the other values."
    elif zeros != [8] * len(zeros):
        why = "The matrix of `sparse_` does not have eight zeros in every column."
    else:
        return
    raise Wrong(why, came=f"zeros in each column: {zeros}", expected=[8] * len(zeros))


WRONG = (
    WrongAnswer(
        "leave seeds to the caller", changes={"    return {": "    torch.manual_seed(0)\n    return {"}
    ),
    WrongAnswer("keeps the length", changes={", gain=2": ""}),
    WrongAnswer("plain numbers", changes={"a=-0.04, b=0.04": "a=-2, b=2"}),
    WrongAnswer(
        "not drawn again",
        changes={
            "trunc_normal_(values, std=0.02, a=-0.04, b=0.04)": "normal_(values, std=0.02).clamp(-0.04, 0.04)"
        },
    ),
    WrongAnswer("has another shape", changes={"size, size, 3, 3": "3, 3, size, size"}),
    WrongAnswer("not of the other values", changes={"sparsity=0.8": "sparsity=0.2"}),
    WrongAnswer("All values are 0", changes={"sparsity=0.8": "sparsity=8"}),
    WrongAnswer("spread evenly", changes={"std=0.02, ": ""}),
    WrongAnswer("0.02² is the variance", changes={"std=0.02": "std=0.02**2"}),
    WrongAnswer("beyond one standard deviation", changes={"a=-0.04, b=0.04": "a=-0.02, b=0.02"}),
    WrongAnswer("does not have eight zeros", changes={"sparsity=0.8": "sparsity=8 / 12"}),
)
