"""Blocks in a list."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from ._nets import misused, run

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
A container registers each block under its index, so `parameters()`, `.double()` and `state_dict()` find it.
With `nn.ModuleList(blocks)`, `forward` loops over the blocks; with `nn.Sequential(*blocks)`, it can be `return self.blocks(X)`.
"""


def check(answer: Answer) -> None:
    """The blocks are registered as they are, and run in order, one that is there twice included."""
    make: Any = answer.module_class("Tower")
    for count in 1, 3, 11:
        blocks: list[nn.Module] = [nn.Linear(2, 2) for _ in range(count)]
        answer.given = f"Tower([{', '.join(['nn.Linear(2, 2)'] * count)}])"
        if count > 3:
            answer.given = f"Tower([nn.Linear(2, 2) for _ in range({count})])"
        tower = answer.module(_made(make, blocks), "Tower(blocks)")
        X = torch.randn(3, 2)
        came, ran = run(tower, blocks, X, "blocks")
        answer.tensor(came, "tower(X)")
        order = [number for number, _ in ran]
        answer.same(came, nn.Sequential(*blocks)(X), "tower(X)", _story(came, blocks, X, order))
        answer.without_mistakes(tower, X)
        own = {id(each) for each in tower.parameters()}
        passed = {id(each) for block in blocks for each in block.parameters()}
        if own > passed:
            raise Wrong(
                "The tower has more parameters than the blocks that were passed.",
                came=f"{len(own)} parameters",
                expected=f"the {len(passed)} parameters of the blocks",
                at=make.__init__,
            )
        if own != passed:
            raise Wrong(
                "The tower has other parameters than the blocks that were passed, such as those of copies, so training "
                "it does not change these blocks: register the blocks themselves.",
                came="other parameters",
                expected="tower.blocks[0] is blocks[0]",
                at=make.__init__,
            )
        names = list(tower.state_dict())
        expected = [f"blocks.{i}.{name}" for i in range(count) for name in ("weight", "bias")]
        if names != expected:
            raise Wrong(
                "The parameters have other names: they have to begin with `blocks.0`, `blocks.1` and so on.",
                came=f"the names {names}",
                expected=f"the names {expected}",
                at=make.__init__,
            )
        if frozen := [name for name, each in tower.named_parameters() if not each.requires_grad]:
            raise Wrong(
                f"`__init__` freezes the blocks: `{frozen[0]}` does not require a gradient.",
                came="requires_grad is False",
                expected="True",
                at=make.__init__,
            )
        if came.requires_grad:
            torch.autograd.backward(came.sum())
        if any(each.grad is None for each in tower.parameters()):
            raise Wrong(
                "A block gets no gradients, so it is not trained: `forward` must not detach a result.",
                came=f"requires_grad {came.requires_grad}",
                expected="a gradient for each parameter",
            )
    both = nn.Linear(2, 2)
    answer.given = "layer = nn.Linear(2, 2); Tower([layer, layer])"
    answer.same(
        make([both, both])(X),
        both(both(X)),
        "tower(X)",
        "A block that is in the list twice runs only once: `children()` gives each module once, and a loop over the "
        "container itself gives each place.",
    )


def _made(make: Any, blocks: list[nn.Module]) -> Any:
    try:
        return make(blocks)
    except TypeError as error:
        if _takes_any_number(make):
            raise Wrong(
                "`Tower` is called with one list. Because of the `*` before `blocks`, `__init__` gets a tuple that "
                "contains this list.",
                came=str(error),
                at=make.__init__,
            ) from None
        misused(error, "blocks")
        raise


def _takes_any_number(make: Any) -> bool:
    kinds = [each.kind for each in inspect.signature(make).parameters.values()]
    return inspect.Parameter.VAR_POSITIONAL in kinds


def _story(came: Tensor, blocks: list[nn.Module], X: Tensor, ran: list[int]) -> str:
    """What the tower does instead of running the blocks one after the other."""
    every = list(range(len(blocks)))
    alone = [torch.equal(came, block(X)) for block in blocks]
    if torch.equal(came, X):
        if not ran:
            return "`tower(X)` is `X` itself, because no block runs."
        return "`tower(X)` is `X` itself: a block runs, but its output is not assigned to `X`."
    if ran == [0] and len(blocks) > 1:
        return (
            f"Only the first of the {len(blocks)} blocks runs: a `return` inside the loop also ends the loop."
        )
    if ran == every and alone[-1]:
        return (
            "Each block gets `X` itself, and the result is the output of the last one: the output of a block has to be "
            "the input of the next."
        )
    if ran == every:
        return (
            "Each block runs once, in the right order, but something changes an output: pass it on as it is."
        )
    if sorted(ran) == every:
        last = ", the last one first" if ran == every[::-1] else ""
        return f"The blocks run in the wrong order{last}."
    if len(ran) < len(blocks) and ran == every[: len(ran)]:
        return f"Only {len(ran)} of the {len(blocks)} blocks run."
    return "The blocks do not run one after the other."


WRONG = (
    WrongAnswer("self.blocks = nn.ModuleList([...])", changes={"nn.ModuleList(blocks)": "tuple(blocks)"}),
    WrongAnswer(
        "copies",
        changes={
            "nn.ModuleList(blocks)": "copy.deepcopy(nn.ModuleList(blocks))",
            "from torch": "import copy\n\nfrom torch",
        },
    ),
    WrongAnswer("pass it on as it is", changes={"X = block(X)": "X = block(X).relu()"}),
    WrongAnswer("brackets too many", changes={"(blocks)\n": "([blocks])\n"}),
    WrongAnswer("Only the first of the 3 blocks runs", changes={"        return X": "            return X"}),
    WrongAnswer("runs only once", changes={"in self.blocks:": "in self.blocks.children():"}),
    WrongAnswer(
        "other names", changes={"self.blocks = nn": "self.layers = nn", "in self.blocks": "in self.layers"}
    ),
    WrongAnswer(
        "Each block gets `X` itself",
        changes={"X = block(X)\n        return X": "Y = block(X)\n        return Y"},
    ),
)
