"""Blocks in a list."""

from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list"
TASK = """
A net keeps its blocks in a Python list, `self.blocks = blocks`.
You can call the net, but training it, casting it (for example with `.double()`) and saving it do not work.
Repair the net by changing one line; the names of its parameters then begin with `blocks.0`, `blocks.1` and so on.
"""
STUB = """\
from torch import nn


class Tower(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks

    def forward(self, X):
        for block in self.blocks:
            X = block(X)
        return X
"""
SOLUTION = """\
from torch import nn


class Tower(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, X):
        for block in self.blocks:
            X = block(X)
        return X
"""
HINTS = (
    "What does `list(tower.parameters())` give, and what would an optimizer do with it?",
    "Read modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list: one of PyTorch's containers is a list of modules.",
    "In `__init__`, write `self.blocks = nn.ModuleList(...)` around the list.",
)
AFTER = """
`nn.ModuleList` registers each block under its index, so `parameters()`, `.double()` and `state_dict()` find it.
`nn.Sequential(*blocks)` would do as well, and `forward` would be `return self.blocks(X)`.
"""


def check(answer: Answer) -> None:
    """The blocks are registered as they are, and run in order, one that is there twice included."""
    make = answer.module_class("Tower")
    for count in 1, 3:
        blocks: list[nn.Module] = [nn.Linear(2, 2) for _ in range(count)]
        answer.given = f"Tower(blocks) with {count} x nn.Linear(2, 2)"
        tower = answer.module(_made(make, blocks), "Tower(blocks)")
        X = torch.rand(3, 2)
        answer.same(
            tower(X), nn.Sequential(*blocks)(X), "tower(X)", "The blocks do not run one after the other."
        )
        answer.without_mistakes(tower, X)
        if {id(each) for each in tower.parameters()} != {
            id(each) for block in blocks for each in block.parameters()
        }:
            raise Wrong(
                "The tower has copies of the blocks, so training it does not change the blocks that were passed: "
                "register the blocks themselves.",
                came="other parameters",
                expected="tower.blocks[0] is blocks[0]",
            )
        names = list(tower.state_dict())
        expected = [f"blocks.{i}.{name}" for i in range(count) for name in ("weight", "bias")]
        answer.same(
            names, expected, "list(tower.state_dict())", "The parameters have other names than before."
        )
    both = nn.Linear(2, 2)
    answer.given = "the same nn.Linear(2, 2) twice"
    answer.same(
        make([both, both])(X),
        both(both(X)),
        "tower(X)",
        "A block that is in the list twice runs only once: `children()` gives each module once, so loop over "
        "the container itself.",
    )


def _made(make: Any, blocks: list[nn.Module]) -> Any:
    try:
        return make(blocks)
    except TypeError as error:
        if "is not a Module subclass" in str(error):
            raise Wrong(
                "`nn.Sequential` takes the blocks one by one, not in a list: write `nn.Sequential(*blocks)`.",
                came=str(error),
                at=make.__init__,
            ) from None
        if "iterable" in str(error):
            raise Wrong(
                "`nn.ModuleList` takes the blocks in a list, not one by one: write `nn.ModuleList(blocks)`.",
                came=str(error),
                at=make.__init__,
            ) from None
        raise


WRONG = (
    WrongAnswer("self.blocks = nn.ModuleList([...])", changes={"nn.ModuleList(blocks)": "tuple(blocks)"}),
    WrongAnswer(
        "copies",
        changes={
            "nn.ModuleList(blocks)": "copy.deepcopy(nn.ModuleList(blocks))",
            "from torch": "import copy\n\nfrom torch",
        },
    ),
    WrongAnswer("runs only once", changes={"in self.blocks:": "in self.blocks.children():"}),
    WrongAnswer(
        "other names", changes={"self.blocks = nn": "self.layers = nn", "in self.blocks": "in self.layers"}
    ),
    WrongAnswer(
        "one after the other", changes={"X = block(X)\n        return X": "Y = block(X)\n        return Y"}
    ),
)
