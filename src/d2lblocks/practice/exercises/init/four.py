"""Four functions of `torch.nn.init`."""

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
`"dirac_"`: the weight of a 2d convolution with `size` channels in and out and a kernel of size 3, which returns its input.
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
Each function overwrites its tensor and returns it, so you can write the call inside the dict.
You could also build `nn.Conv2d(size, size, 3, padding=1)` and pass its weight to `dirac_`.
"""
LIMIT = 0.04
SPREAD = 0.8796 * 0.02  # of a normal distribution without what is beyond two standard deviations


def check(answer: Answer) -> None:
    """Each tensor has the property, for two sizes."""
    four = answer.function("four")
    for size in 2, 5:
        answer.given = f"four({size})"
        made = answer.kind(four(size), answer.given, dict, "a dict")
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
            tensor = answer.tensor(made[name], f'four({size})["{name}"]').detach()
            if tensor.shape != shape:
                why = f"The tensor of `{name}` has another shape."
                raise Wrong(why, came=tuple(tensor.shape), expected=shape)
            check_one(tensor)


def _orthogonal(matrix: Tensor) -> None:
    squared = matrix.T @ matrix
    if torch.allclose(squared, torch.eye(len(matrix)), atol=1e-4):
        raise Wrong(
            "The matrix of `orthogonal_` keeps the length of every vector: the argument `gain` multiplies it.",
            came="length 1 for a vector of length 1",
            expected="length 2",
        )
    if not torch.allclose(squared, 4 * torch.eye(len(matrix)), atol=1e-4):
        raise Wrong(
            "The matrix of `orthogonal_` does not double the length of every vector.",
            came=matrix,
            expected="W.T @ W = 4 · I",
        )


def _truncated(values: Tensor) -> None:
    largest = values.abs().max().item()
    if largest > LIMIT + 1e-6:
        raise Wrong(
            "Some values of `trunc_normal_` are beyond two standard deviations: its limits `a` and `b` are plain "
            "numbers, not multiples of `std`.",
            came=f"largest distance from 0: {largest:.3f}",
            expected=f"at most {LIMIT}",
        )
    if (values.abs() > LIMIT - 1e-6).sum() > 2:
        raise Wrong(
            "Values beyond the limits were set to the limits, not drawn again: let `trunc_normal_` do it.",
            came=f"{(values.abs() > LIMIT - 1e-6).sum()} values of ±{LIMIT}",
        )
    if abs(values.mean().item()) > 0.004 or abs(values.std().item() / SPREAD - 1) > 0.12:
        raise Wrong(
            "The values of `trunc_normal_` are not from N(0, 0.02²).",
            came=f"mean {values.mean():.3f}, standard deviation {values.std():.4f}",
            expected=f"mean 0, standard deviation {SPREAD:.4f} (without what is drawn again)",
        )


def _dirac(weight: Tensor) -> None:
    images = torch.rand(2, weight.shape[1], 5, 5)
    if not torch.equal(F.conv2d(images, weight, padding=1), images):
        raise Wrong("The convolution with the weight of `dirac_` does not return its input.", came=weight)


def _sparse(matrix: Tensor) -> None:
    zeros = (matrix == 0).sum(dim=0).tolist()
    if zeros == [2] * len(zeros):
        why = "`sparsity` is the fraction of zeros in a column, not of the other values."
    elif zeros != [8] * len(zeros):
        why = "The matrix of `sparse_` does not have eight zeros in every column."
    else:
        return
    raise Wrong(why, came=f"zeros in each column: {zeros}", expected=[8] * len(zeros))


WRONG = (
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
    WrongAnswer("does not have eight zeros", changes={"sparsity=0.8": "sparsity=8 / 12"}),
)
