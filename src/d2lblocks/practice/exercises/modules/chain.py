"""A function that makes a chain."""

from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "modules.md#nnsequential-a-chain-of-modules"
TASK = """
Write a function `chain(make_block, n)` that returns a net of `n` blocks, which run one after the other.
`make_block` is a function: each call, `make_block()`, returns a new block, and `chain` calls it once for each block.
The blocks run in the order in which they are made, and they do not share weights or start with equal weights.
For `n = 0`, the net returns its input.
What would go wrong if the first argument were a block?
"""
STUB = """\
from torch import nn


def chain(make_block, n): ...
"""
SOLUTION = """\
from torch import nn


def chain(make_block, n):
    return nn.Sequential(*(make_block() for _ in range(n)))
"""
HINTS = (
    "How often does `[make_block()] * 3` call the function?",
    "Read modules.md#nnsequential-a-chain-of-modules and parameters.md#layer-3-makes-one-layer-not-three: a list comprehension makes new layers.",
    "Pass `n` blocks to `nn.Sequential`, with `*` before `[make_block() for ...]`.",
)
AFTER = """
`make_block()` runs once for each place, so each place has weights of its own.
A module of your own that keeps the blocks in an `nn.ModuleList` and loops over them in `forward` is right too.
"""


def check(answer: Answer) -> None:
    """The blocks that were made are the blocks that run, in this order; none is shared, missing or left over."""
    chain = answer.function("chain")
    for n in 1, 2, 4, 0:
        made: list[nn.Module] = []

        def make_block(made: list[nn.Module] = made) -> nn.Module:
            made.append(nn.Sequential(nn.Linear(2, 2), nn.Tanh()))
            return made[-1]

        answer.given = f"n = {n}, make_block() returns nn.Sequential(nn.Linear(2, 2), nn.Tanh())"
        net = answer.module(_made(chain, make_block, n), f"chain(make_block, {n})")
        X = torch.rand(3, 2)
        if type(net) is nn.ModuleList:
            raise Wrong(
                "An `nn.ModuleList` keeps the blocks but cannot be called: it has no `forward`.",
                came="nn.ModuleList",
                expected="a net that runs the blocks",
            )
        _separate(net, made, n)
        expected = nn.Sequential(*made)(X)
        why = "The blocks do not run one after the other, in the order in which they were made."
        answer.same(net(X), expected, "net(X)", why)
        if n:
            answer.without_mistakes(net, X)


def _made(chain: Any, make_block: Any, n: int) -> Any:
    try:
        return chain(make_block, n)
    except TypeError as error:
        if "make_block is not a Module subclass" in str(error):
            raise Wrong(
                "The function `make_block` itself is in the chain: call it, `make_block()`, to get a block.",
                came="make_block",
                expected="make_block()",
            ) from None
        if "is not a Module subclass" in str(error):
            raise Wrong(
                "`nn.Sequential` takes the blocks one by one, not in a list: put `*` before the list.",
                came=str(error),
                expected="nn.Sequential(*[...])",
            ) from None
        raise


def _separate(net: nn.Module, made: list[nn.Module], n: int) -> None:
    own = {id(each) for each in net.parameters()}
    runs = f"make_block() was called {len(made)} x"
    blocks = {id(each) for block in made for each in block.parameters()}
    if len(made) == 1 and own and (n > 1 or own != blocks):
        if own != blocks:
            why = "The blocks are copies of one block, so all start with the same weights: call `make_block` for each."
        else:
            why = (
                f"All {n} places share the weights of one block: `make_block` is called once, not {n} times."
            )
        raise Wrong(why, came=runs, expected=f"{n} x")
    if len(made) != n:
        often = "often" if len(made) > n else "few times"
        raise Wrong(f"`make_block` is called too {often}: once for each block.", came=runs, expected=f"{n} x")
    if own and own < blocks:
        raise Wrong(
            "The net does not keep all the blocks: one that gets the name of another takes its place.",
            came=f"{len(own)} parameters",
            expected=f"the {2 * n} parameters of the {n} blocks",
        )
    if own and own != blocks:
        raise Wrong(
            "The net does not hold exactly the blocks that `make_block` made.",
            came=f"{len(own)} parameters",
            expected=f"the {2 * n} parameters of the {n} blocks",
        )


WRONG = (
    WrongAnswer(
        "share the weights of one block", changes={"(make_block() for _ in range(n))": "[make_block()] * n"}
    ),
    WrongAnswer(
        "copies of one block",
        changes={
            "    return nn.Sequential(*(make_block()": "    block = make_block()\n"
            "    return nn.Sequential(*(copy.deepcopy(block)",
            "from torch": "import copy\n\nfrom torch",
        },
    ),
    WrongAnswer(
        "cannot be called",
        changes={
            "nn.Sequential(*(make_block() for _ in range(n)))": "nn.ModuleList(make_block() for _ in range(n))"
        },
    ),
    WrongAnswer("itself is in the chain", changes={"make_block()": "make_block"}),
    WrongAnswer("too few times", changes={"range(n)": "range(1, n)"}),
    WrongAnswer(
        "do not run one after the other",
        changes={"*(make_block() for _ in range(n))": "*[make_block() for _ in range(n)][::-1]"},
    ),
)
