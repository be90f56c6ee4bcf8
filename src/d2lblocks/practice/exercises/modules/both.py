"""Nets side by side."""

from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "modules.md#your-own-module-__init__-and-forward"
TASK = """
Write a block that takes two or more nets, as in `SideBySide(left, right)`.
Each net gets the same input, and the block returns their outputs, concatenated along the last dimension in the order of the nets.
The nets are trained, saved and moved with the block.
Which sizes must be equal so that this works?
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
    """Two nets, then more, of other widths and dimensions; the same net twice; nets with ReLU."""
    make = answer.module_class("SideBySide")
    for widths, shape in (((2, 2), (1, 2)), ((2, 3), (4, 2)), ((3, 1, 2), (5, 2)), ((2, 2), (2, 3, 2))):
        nets = [nn.Linear(2, width) for width in widths]
        X = torch.rand(shape)
        answer.given = f"nets with {' and '.join(map(str, widths))} outputs, X of shape {tuple(shape)}"
        block = answer.module(_made(make, nets), "SideBySide(...)")
        _compare(answer, block, nets, X)
        answer.without_mistakes(block, X)
        if {id(each) for each in block.parameters()} != {
            id(each) for net in nets for each in net.parameters()
        }:
            raise Wrong(
                "The block does not train the nets that it was given: it has other parameters.",
                came=f"{len(list(block.parameters()))} parameters",
                expected=f"the {2 * len(nets)} parameters of the nets",
            )
    net = nn.Linear(2, 2)
    answer.given = "the same net twice"
    answer.same(
        make(net, net)(X),
        torch.cat([net(X), net(X)], dim=-1),
        "block(X)",
        "A net that is given twice is there only once: loop over the `nn.ModuleList`, because `children()` lists "
        "each module once.",
    )


def _made(make: Any, nets: list[nn.Linear]) -> Any:
    try:
        return make(*nets)
    except TypeError as error:
        if "positional argument" not in str(error):
            raise
        raise Wrong(
            "`__init__` does not take any number of nets: with `*nets`, it gets all of them in one tuple.",
            came=str(error),
            expected=f"a block of {len(nets)} nets",
            at=make.__init__,
        ) from None


def _compare(answer: Answer, block: nn.Module, nets: list[nn.Linear], X: torch.Tensor) -> None:
    before = X.clone()
    came = answer.tensor(block(X), "block(X)")
    outputs = [net(before) for net in nets]
    expected = torch.cat(outputs, dim=-1)
    why = ""
    if came.shape[-1] == outputs[-1].shape[-1] and _chain(came, nets, before):
        why = "The nets run one after the other: each net has to get `X` itself, not the output of the net before."
    elif came.dim() > X.dim():
        why = "The outputs are stacked in a new dimension: `torch.cat` joins them along one that they have."
    elif came.shape != expected.shape and came.shape[-1] < expected.shape[-1]:
        size = list(map(len, outputs))
        if came.shape[0] == sum(size):
            why = "The outputs are joined along the dimension of the examples: join them along the last one."
        elif X.dim() > 2 and came.shape[1] == X.shape[1] * len(nets):
            why = "Dimension 1 is the last one only if `X` has two dimensions: use `dim=-1`."
        elif len(nets) > 2 and came.shape[-1] == sum(each.shape[-1] for each in outputs[:2]):
            why = "Only two nets run: the block has to take any number of nets."
        elif came.shape == outputs[0].shape and torch.allclose(came, sum(outputs, torch.zeros(()))):
            why = "The outputs are added up: `torch.cat` puts them side by side."
        else:
            why = "The outputs are not joined: `block(X)` has to have all columns of all nets."
    elif came.shape == expected.shape and torch.allclose(came, torch.cat(outputs[::-1], dim=-1)):
        why = "The outputs are in the wrong order: the output of the first net comes first."
    answer.same(came, expected, "block(X)", why)
    answer.same(X, before, "X", "The block changes its input `X`.", tolerance=0)


def _chain(came: torch.Tensor, nets: list[nn.Linear], X: torch.Tensor) -> bool:
    """Whether the nets, which fit together, ran one after the other."""
    try:
        for net in nets:
            X = net(X)
    except RuntimeError:
        return False
    return came.shape == X.shape and torch.allclose(came, X)


WRONG = (
    WrongAnswer("self.nets = nn.ModuleList([...])", changes={"nn.ModuleList(nets)": "nets"}),
    WrongAnswer(
        "one after the other",
        changes={
            "return torch.cat([net(X) for net in self.nets], dim=-1)": "for net in self.nets:\n"
            "            X = net(X)\n        return X"
        },
    ),
    WrongAnswer("stacked in a new dimension", changes={"torch.cat": "torch.stack"}),
    WrongAnswer("along the dimension of the examples", changes={", dim=-1": ""}),
    WrongAnswer("Dimension 1 is the last one only", changes={"dim=-1": "dim=1"}),
    WrongAnswer("loop over the `nn.ModuleList`", changes={"in self.nets]": "in self.nets.children()]"}),
)
