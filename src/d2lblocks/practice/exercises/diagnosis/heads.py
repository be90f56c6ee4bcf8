"""Heads that do not learn."""

from typing import Any

import torch
from torch import Tensor

from d2lblocks.diagnosis import diagnose

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "diagnosis.md#a-first-report"
TASK = """
This net has three heads, and only one of them learns.
Find out why with `diagnose(Heads(), torch.rand(2, 4))`, and repair the net by changing one line.
The output must stay the same, and the names of the attributes too: the head of `size` has the weight `others.size.weight`.
"""
STUB = """\
import torch
from torch import nn


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.main = nn.Linear(8, 2)
        heads = {"size": nn.Linear(8, 1), "color": nn.Linear(8, 3)}
        self.others = heads

    def forward(self, X):
        H = self.body(X).relu()
        extra = [head(H) for head in self.others.values()]
        return torch.cat([self.main(H), *extra], dim=-1)
"""
SOLUTION = """\
import torch
from torch import nn


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.main = nn.Linear(8, 2)
        heads = {"size": nn.Linear(8, 1), "color": nn.Linear(8, 3)}
        self.others = nn.ModuleDict(heads)

    def forward(self, X):
        H = self.body(X).relu()
        extra = [head(H) for head in self.others.values()]
        return torch.cat([self.main(H), *extra], dim=-1)
"""
HINTS = (
    "Which attributes does the finding name, and what does its `fix` say?",
    "Read diagnosis.md#a-first-report: the net there keeps its layers in a list, and a dictionary is no better.",
    "Write `self.others = nn.ModuleDict(heads)`.",
)
AFTER = """
Each head is registered under its key now, so an optimizer gets its parameters.
With two attributes, one for each head, both heads would learn too, but their weights would have other names.
"""
NAMES = [
    f"{layer}.{name}"
    for layer in ("body", "main", "others.size", "others.color")
    for name in ("weight", "bias")
]


def check(answer: Answer) -> None:
    """Nothing is found, the names are right, and the heads are the layers of these names."""
    make = answer.module_class("Heads")
    try:
        net = make()
    except TypeError as error:
        if "unexpected keyword argument" in str(error):
            why = "`nn.ModuleDict` takes one argument: the dictionary."
            raise Wrong(why, came=f"TypeError: {error}", expected="a net") from None
        if "Module subclass" in str(error):
            why = "`nn.ModuleList` of a dictionary gets its keys, which are no modules: the container for it is `nn.ModuleDict`."
            raise Wrong(why, came=str(error), expected="a net") from None
        raise
    for count in 1, 3:
        X = torch.rand(count, 4)
        answer.given = f"X of shape ({count}, 4)"
        _call(net, X)
        for finding in diagnose(net, X, loss=lambda Y: Y.square().sum()):
            fix = finding.fix.partition(" If this is intended")[0]
            at = finding.line if finding.file == answer.file else None
            raise Wrong(f"{finding.text} {fix}", at=at, page=finding.page)
        if sorted(net.state_dict()) != sorted(NAMES):
            raise Wrong(
                "The parameters have other names: keep the attribute `others` and its two keys.",
                at=vars(make).get("__init__"),
                came=list(net.state_dict()),
                expected=NAMES,
            )
        shapes = [tuple(net.get_parameter(name).shape) for name in NAMES if name.endswith("weight")]
        answer.same(
            shapes,
            [(8, 4), (2, 8), (1, 8), (3, 8)],
            "the shapes of the weights",
            "The layers have other sizes than before.",
        )
        main, size, color = (net.get_submodule(name) for name in ("main", "others.size", "others.color"))
        Y, H = answer.tensor(net(X), "net(X)"), net.get_submodule("body")(X).relu()
        expected = torch.cat([main(H), size(H), color(H)], dim=-1)
        why = ""
        if Y.shape == expected.shape and torch.allclose(Y.sort().values, expected.sort().values):
            why = "The heads are in another order: before, it was main, size, color."
        elif Y.shape != expected.shape:
            why = "The output does not have the scores of all three heads side by side: 2, 1 and 3."
        answer.same(Y, expected, "net(X)", why)


def _call(net: Any, X: Tensor) -> None:
    """Raise `Wrong` if the call fails because the heads are in another container."""
    try:
        net(X)
    except (AttributeError, TypeError) as error:
        if "'values'" in str(error):
            why = "The heads have lost their keys `size` and `color`, so there is no `values()`."
        elif "'str' object is not callable" in str(error):
            why = "A loop over a dictionary gives its keys, and these are strings: the heads are its values."
        else:
            raise
        raise Wrong(why, came=f"{type(error).__name__}: {error}", expected="a call of each head") from None


WRONG = (
    WrongAnswer(
        "A module does not look into a tuple",
        changes={
            '{"size": nn.Linear(8, 1), "color": nn.Linear(8, 3)}': "(nn.Linear(8, 1), nn.Linear(8, 3))",
            "nn.ModuleDict(heads)": "heads",
            "self.others.values()": "self.others",
        },
    ),
    WrongAnswer(
        "have other names",
        changes={
            "nn.ModuleDict(heads)": "nn.ModuleList(heads.values())",
            "self.others.values()": "self.others",
        },
    ),
    WrongAnswer("have lost their keys", changes={"nn.ModuleDict(heads)": "nn.ModuleList(heads.values())"}),
    WrongAnswer("gives its keys", changes={"self.others.values()": "self.others"}),
    WrongAnswer("takes one argument", changes={"nn.ModuleDict(heads)": "nn.ModuleDict(**heads)"}),
    WrongAnswer(
        "in another order",
        changes={
            '{"size": nn.Linear(8, 1), "color": nn.Linear(8, 3)}': '{"color": nn.Linear(8, 3), "size": nn.Linear(8, 1)}'
        },
    ),
    WrongAnswer(
        "all three heads",
        changes={
            "torch.cat([self.main(H), *extra], dim=-1)": "self.main(H) + sum(each.sum() for each in extra)"
        },
    ),
    WrongAnswer("get no gradient", changes={"[head(H) for": "[head(H).detach() for"}),
)
