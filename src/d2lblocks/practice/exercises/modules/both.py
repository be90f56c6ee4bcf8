"""Nets side by side."""

import inspect
import itertools
import re
from typing import Any

import torch
from torch import Tensor, nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from ._nets import misused, run, unregistered

LEVEL = "medium"
PAGE = "modules.md#your-own-module-__init__-and-forward"
TASK = """
Write a block that takes two or more nets, as in `SideBySide(left, right)`.
Each net gets the same input, and the block returns their outputs, concatenated along the last dimension in the order of the nets.
`X` can have two or more dimensions, and the result has the dtype and the device of the outputs.
The nets are trained, saved and moved with the block.
"""
STUB = """\
import torch
from torch import nn


class SideBySide(nn.Module):
    def __init__(self, *nets):
        super().__init__()
        ...

    def forward(self, X): ...
"""
SOLUTION = """\
import torch
from torch import nn


class SideBySide(nn.Module):
    def __init__(self, *nets):
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def forward(self, X):
        return torch.cat([net(X) for net in self.nets], dim=-1)
"""
HINTS = (
    "What keeps any number of nets so that PyTorch finds them, and which function joins a list of tensors?",
    "Read modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list for the list of nets; `torch.cat` concatenates.",
    "Keep `nn.ModuleList(nets)` in `__init__`, and in `forward` pass a list with the output of each net to `torch.cat`, with `dim=-1`.",
)
AFTER = """
Each net gets `X` itself, and `torch.cat` joins the outputs along the last dimension; all their other sizes must be equal.
The library's `Parallel` also takes the dimension as an argument, for example `dim=1` for the channels of images.
"""


def check(answer: Answer) -> None:
    """Two nets, then more, of other widths, dimensions and dtypes; the same net twice; on the meta device."""
    make: Any = answer.module_class("SideBySide")
    for widths, shape in (
        ((2, 2), (1, 2)),
        ((2, 3), (4, 2)),
        ((3, 1, 2), (5, 2)),
        ((2, 2), (2, 3, 2)),
        ((1,) * 11, (2, 2)),
    ):
        nets = [nn.Linear(2, width) for width in widths]
        X = torch.randn(shape, requires_grad=True)
        each = ", ".join(f"nn.Linear(2, {width})" for width in widths)
        if len(nets) > 3:
            each = f"{len(nets)} x nn.Linear(2, 1)"
        answer.given = f"block = SideBySide({each}), X of shape {tuple(shape)}"
        block = answer.module(_made(make, nets), "SideBySide(...)")
        came = _compare(answer, block, nets, X)
        unregistered(block, nets, "nets", make.__init__)
        answer.without_mistakes(block, X)
        if {id(each) for each in block.parameters()} != {
            id(each) for net in nets for each in net.parameters()
        }:
            raise Wrong(
                "The parameters of the block are not exactly those of the nets.",
                came=f"{len(list(block.parameters()))} parameters",
                expected=f"the {2 * len(nets)} parameters of the nets",
                at=make.__init__,
            )
        if came.requires_grad:
            torch.autograd.backward(came.sum())
        if any(each.grad is None for net in nets for each in net.parameters()):
            raise Wrong(
                "A net gets no gradients, so it is not trained: `forward` must not detach an output.",
                came=f"requires_grad {came.requires_grad}",
                expected="a gradient for each parameter",
            )
        if X.grad is None:
            raise Wrong(
                "`X` gets no gradient, so layers before the block are not trained: `forward` must not detach `X`.",
                came="X.grad is None",
                expected="a gradient",
            )
    _elsewhere(answer, make)
    net = nn.Linear(2, 2)
    answer.given = "net = nn.Linear(2, 2); block = SideBySide(net, net)"
    answer.same(
        make(net, net)(X),
        torch.cat([net(X), net(X)], dim=-1),
        "block(X)",
        "A net that is given twice runs only once: `children()` gives each module once, and a loop over the "
        "container itself gives each place.",
    )


class _Double(nn.Module):
    """A net whose output has another dtype than its input."""

    def forward(self, X: Tensor) -> Tensor:
        return X.double()


def _elsewhere(answer: Answer, make: Any) -> None:
    """Another dtype, and another device."""
    for dtype, device in ((torch.bfloat16, "cpu"), (torch.float32, "meta")):
        what = {"dtype": dtype} if device == "cpu" else {"device": device}
        answer.given = f"nets and X with {' '.join(f'{name}={value}' for name, value in what.items())}"
        block = make(nn.Linear(2, 2), nn.Linear(2, 3)).to(**what)
        try:
            came = answer.tensor(block(torch.rand(4, 2).to(**what)), "block(X)")
        except RuntimeError as error:
            if "same dtype" not in str(error):
                raise
            why = "`forward` casts `X` before the nets get it: each net has to get `X` as it is."
            raise Wrong(why, came=str(error)) from error
        if (came.dtype, came.device.type) != (dtype, device):
            raise _other_kind(came, f"{dtype} on {device}")
    answer.given = "nets that return float64, X with dtype=torch.float32"
    came = answer.tensor(make(_Double(), _Double())(torch.rand(4, 2)), "block(X)")
    if came.dtype != torch.float64:
        raise _other_kind(came, "torch.float64 on cpu")


def _other_kind(came: Tensor, expected: str) -> Wrong:
    return Wrong(
        "The result does not have the dtype and the device of the outputs: a tensor that `forward` creates, "
        "such as an empty one to begin with, has to get theirs.",
        came=f"{came.dtype} on {came.device.type}",
        expected=expected,
    )


def _made(make: Any, nets: list[nn.Linear]) -> Any:
    try:
        inspect.signature(make).bind(*nets)
    except TypeError as error:
        raise Wrong(
            f"`SideBySide` cannot be called with {len(nets)} nets: its `__init__` has to take any number of them.",
            came=str(error),
            expected=f"a block of {len(nets)} nets",
            at=make.__init__,
        ) from None
    try:
        return make(*nets)
    except TypeError as error:
        misused(error, "nets")
        raise


def _compare(answer: Answer, block: nn.Module, nets: list[nn.Linear], X: Tensor) -> Tensor:
    before = X.detach().clone()
    try:
        came, ran = run(block, nets, X, "nets")
    except TypeError as error:
        if found := re.search(r"cat\(\): argument 'tensors' .*, not (\w+)", str(error)):
            raise Wrong(
                f"`torch.cat` takes one list or tuple of tensors, and gets a {found[1]}.", came=str(error)
            ) from None
        raise
    except RuntimeError as error:
        if "shapes cannot be multiplied" not in str(error):
            raise
        why = "A net gets an input of another size: each net has to get the whole `X`."
        raise Wrong(why, came=str(error)) from error
    if isinstance(came, list | tuple):
        raise Wrong(
            f"`block(X)` is a {type(came).__name__} of the outputs: join them into one tensor, with `torch.cat`.",
            came=f"a {type(came).__name__} of {len(came)} tensors",
            expected="a tensor",
        )
    answer.tensor(came, "block(X)")
    answer.same(X, before, "X", "The block changes its input `X`.", tolerance=0)
    outputs = [net(before) for net in nets]
    expected = torch.cat(outputs, dim=-1)
    answer.same(came, expected, "block(X)", _story(came, nets, outputs, expected, X, ran))
    if other := [value for _, value in ran if value.shape != X.shape]:
        raise Wrong(
            "A net gets an input of another shape: each net has to get `X` as it is.",
            came=f"an input of shape {tuple(other[0].shape)}",
            expected=f"an input of shape {tuple(X.shape)}",
        )
    if len(ran) > len(nets):
        raise Wrong(
            "A net runs more than once: call each net once, and keep its output.",
            came=f"{len(ran)} calls of nets",
            expected=f"{len(nets)} calls",
        )
    return came


def _story(
    came: Tensor,
    nets: list[nn.Linear],
    outputs: list[Tensor],
    expected: Tensor,
    X: Tensor,
    ran: list[tuple[int, Any]],
) -> str:
    """What the block does instead of putting the outputs side by side."""
    numbers = [number for number, _ in ran]
    for (number, _), (_, second) in itertools.pairwise(ran):
        if second.shape == outputs[number].shape and torch.equal(second, outputs[number]):
            return "The nets run one after the other: each net has to get `X` itself, not the output of the net before."
    if other := [value for _, value in ran if value.shape != X.shape]:
        return f"A net gets an input of shape {tuple(other[0].shape)}: each net has to get the whole `X`."
    if numbers == [0]:
        return f"Only the first of the {len(nets)} nets runs. A `return` inside a loop also ends the loop."
    if 0 < len(set(numbers)) < len(nets):
        return (
            f"Only {len(set(numbers))} of the {len(nets)} nets run: the block has to take any number of nets."
        )
    if came.dim() > X.dim():
        return "The outputs are stacked in a new dimension: `torch.cat` joins them along one that they have."
    for place, output in (("first", outputs[0]), ("last", outputs[-1])):
        if came.shape == output.shape and torch.equal(came, output):
            return f"All nets run, but the result is the output of the {place} one alone: keep all outputs."
    if came.shape == expected.shape:
        if torch.allclose(came.sort(dim=-1).values, expected.sort(dim=-1).values):
            return "The outputs are in the wrong order: the output of the first net comes first."
        return "The values are not those of the nets: the block has to return their outputs as they are."
    if came.shape[0] == sum(map(len, outputs)):
        return "The outputs are joined along the dimension of the examples: join them along the last one."
    if X.dim() > 2 and came.shape[1] == X.shape[1] * len(nets):
        return "Dimension 1 is the last one only if `X` has two dimensions: use `dim=-1`."
    if came.shape == outputs[0].shape and torch.allclose(came, sum(outputs, torch.zeros(()))):
        return "The outputs are added up: `torch.cat` puts them side by side."
    return "The outputs are not joined: `block(X)` has to have all columns of all nets."


WRONG = (
    WrongAnswer("does not look into a list", changes={"nn.ModuleList(nets)": "nets"}),
    WrongAnswer(
        "one after the other",
        changes={
            "return torch.cat([net(X) for net in self.nets], dim=-1)": "for net in self.nets:\n"
            "            X = net(X)\n        return X"
        },
    ),
    WrongAnswer(
        "join them into one tensor",
        changes={"torch.cat([net(X) for net in self.nets], dim=-1)": "[net(X) for net in self.nets]"},
    ),
    WrongAnswer("in one list, not one by one", changes={"nn.ModuleList(nets)": "nn.ModuleList(*nets)"}),
    WrongAnswer("stacked in a new dimension", changes={"torch.cat": "torch.stack"}),
    WrongAnswer("along the dimension of the examples", changes={", dim=-1": ""}),
    WrongAnswer("Dimension 1 is the last one only", changes={"dim=-1": "dim=1"}),
    WrongAnswer("runs only once", changes={"in self.nets]": "in self.nets.children()]"}),
    WrongAnswer("must not detach `X`", changes={"net(X)": "net(X.detach())"}),
    WrongAnswer(
        "A net gets an input of another shape",
        changes={
            "return torch.cat([net(X)": "Y = X.flatten(end_dim=-2)\n        Y = torch.cat([net(Y)",
            "dim=-1)": "dim=-1)\n        return Y.reshape(*X.shape[:-1], -1)",
        },
    ),
    WrongAnswer("does not have the dtype and the device", changes={"dim=-1)": "dim=-1).to(X)"}),
)
