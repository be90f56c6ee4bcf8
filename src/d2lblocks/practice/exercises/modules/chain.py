"""A function that makes a chain."""

import copy
import inspect
from typing import Any

import torch
from torch import Tensor, nn

from ...answer import Answer, Wrong, shown
from ...exercise import WrongAnswer
from ._nets import misused, run, times, unregistered

LEVEL = "medium"
PAGE = "modules.md#nnsequential-a-chain-of-modules"
TASK = """
Write a function `chain(make_block, n)` that returns a net of `n` blocks, which run one after the other.
`make_block` is a function: each call, `make_block()`, returns a new block, and `chain` calls it once for each block.
The blocks run in the order in which they are made.
Each block has weights of its own, and none is a copy of another.
For `n = 0`, the net returns its input.
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
One block, passed and repeated, would share its weights among all places.
Two ways to write it: `nn.Sequential(*blocks)`, and a module of your own that keeps `nn.ModuleList(blocks)` and loops over it in `forward`.
"""


def check(answer: Answer) -> None:
    """The blocks that were made are the blocks that run, in this order; none is shared, missing or left over."""
    chain = answer.function("chain")
    if list(inspect.signature(chain).parameters)[:2] == ["n", "make_block"]:
        raise Wrong(
            "The parameters are in the wrong order: `make_block` comes first, and `n` second.", at=chain
        )
    for n in 1, 2, 4, 2, 0, 11:
        made: list[nn.Module] = []
        new: list[nn.Module] = []
        answer.given = f"n = {n}, make_block() returns nn.Sequential(nn.Linear(2, 2), nn.Tanh())"
        net = _made(answer, chain, made, new, n)
        X, calls = torch.randn(3, 2), len(made)
        came, ran = run(net, made, X, "blocks")
        if len(made) > calls:
            raise Wrong(
                "The net makes blocks when it is called, so each call has new ones: `chain` has to make them.",
                came=f"blocks made before the call of the net: {calls}, after it: {len(made)}",
                expected=f"before and after it: {n}",
            )
        order = [number for number, _ in ran]
        _separate(net, made, n, order)
        expected = nn.Sequential(*made)(X)
        answer.same(came, expected, "net(X)", _story(came, expected, X, order, n))
        if not list(net.parameters()):
            unregistered(net, made, "blocks", None)
        if n:
            answer.without_mistakes(net, X)
        _as_made(made, new)
        if n and not came.requires_grad:
            raise Wrong(
                "The net gives no gradients, so its blocks are not trained: it must not detach a result.",
                came="net(X).requires_grad is False",
                expected="True",
            )


def _as_made(made: list[nn.Module], new: list[nn.Module]) -> None:
    """Refuse blocks that are not as `make_block` made them."""
    for block, before in zip(made, new, strict=True):
        for parameter, own in zip(block.parameters(), before.parameters(), strict=True):
            if not torch.equal(parameter, own):
                raise Wrong(
                    "`chain` changes a block: each block keeps the weights with which `make_block` makes it.",
                    came=f"weights {shown(parameter)}",
                    expected=f"weights {shown(own)}",
                )
            if not parameter.requires_grad:
                raise Wrong("`chain` freezes a block.", came="requires_grad is False", expected="True")


def _maker(made: list[nn.Module], new: list[nn.Module]) -> Any:
    """A function `make_block` that keeps what it makes, and a copy of it."""

    def make_block(*arguments: Any, **more: Any) -> nn.Module:
        if arguments or more:
            raise Wrong(
                "`make_block` is called with an argument, and it takes none.",
                came=f"make_block({', '.join(map(shown, [*arguments, *more.values()]))})",
                expected="make_block()",
            )
        made.append(nn.Sequential(nn.Linear(2, 2), nn.Tanh()))
        new.append(copy.deepcopy(made[-1]))
        return made[-1]

    return make_block


def _made(answer: Answer, chain: Any, made: list[nn.Module], new: list[nn.Module], n: int) -> nn.Module:
    try:
        net = chain(_maker(made, new), n)
    except TypeError as error:
        if "make_block is not a Module subclass" in str(error):
            raise Wrong(
                "The function `make_block` itself is in the chain: call it, `make_block()`, to get a block.",
                came="make_block",
                expected="make_block()",
            ) from None
        misused(error, "blocks")
        if made and "must be Tensor, not" in str(error):
            raise Wrong(
                "A block is called with a block as its input: `chain` puts the blocks into a net, and only the call "
                "of this net runs them.",
                came=str(error),
            ) from None
        raise
    except LookupError as error:
        if n:
            raise
        raise Wrong(
            "For `n = 0` there is no first block, and the net returns its input.",
            came=f"{type(error).__name__}: {error}",
        ) from None
    if isinstance(net, list | tuple):
        kind = type(net).__name__
        raise Wrong(
            f"A {kind} of blocks is not a net: it cannot be called.", came=f"a {kind}", expected="a module"
        )
    if type(net) is nn.ModuleList:
        raise Wrong(
            "An `nn.ModuleList` keeps the blocks but cannot be called: it has no `forward`.",
            came="nn.ModuleList",
            expected="a net that runs the blocks",
        )
    if not n and (net is None or (isinstance(net, nn.Module) and list(net.parameters()))):
        raise Wrong(
            "For `n = 0`, the net has no blocks and no parameters: it is a module that returns its input.",
            came=net,
            expected="a net that returns its input",
        )
    return answer.module(net, f"chain(make_block, {n})")


def _separate(net: nn.Module, made: list[nn.Module], n: int, order: list[int]) -> None:
    """Refuse shared blocks, copies, and blocks that are missing or left over."""
    own = {id(each) for each in net.parameters()}
    blocks = {id(each) for block in made for each in block.parameters()}
    calls = f"{len(made)} {'call' if len(made) == 1 else 'calls'} of make_block()"
    needed = f"{n} {'call' if n == 1 else 'calls'}"
    copies = len(own) == 2 * n and own != blocks
    if n == 1 and len(made) == 1 and copies:
        return  # a copy of a single block does no harm; with two, the verdict is clear
    if len(made) == 1 and copies:
        raise Wrong(
            "The blocks are copies of one block, so all start with the same weights: call `make_block` for each.",
            came=calls,
            expected=needed,
        )
    if len(made) == 1 and n > 1 and len(order) == n:
        raise Wrong(
            f"One block is in {'both' if n == 2 else f'all {n}'} places of the chain, so the places share its weights: "
            "`make_block` is called only once.",
            came=calls,
            expected=needed,
        )
    if len(made) == 1 and n > 1:
        raise Wrong(
            f"The net has only one block, not {n}. A `return` inside a loop also ends the loop.",
            came=calls,
            expected=needed,
        )
    if len(made) != n:
        raise Wrong(
            f"`make_block` is {f'called {times(len(made))}' if made else 'not called'}: `chain` has to call it once for "
            "each block.",
            came=calls,
            expected=needed,
        )
    if own and own < blocks:
        raise Wrong(
            f"The net keeps only {len(own) // 2} of the {n} blocks. Is each of them added, and under a name of its own?",
            came=f"{len(own)} parameters",
            expected=f"the {2 * n} parameters of the {n} {'block' if n == 1 else 'blocks'}",
        )
    if own and own != blocks:
        raise Wrong(
            "The net holds more than the blocks that `make_block` made."
            if own > blocks
            else "The net does not hold exactly the blocks that `make_block` made.",
            came=f"{len(own)} parameters, {len(own & blocks)} of them of these blocks",
            expected=f"the {2 * n} parameters of the {n} {'block' if n == 1 else 'blocks'}",
        )


def _story(came: Any, expected: Tensor, X: Tensor, order: list[int], n: int) -> str:
    """What the net does instead of running the blocks in the order in which they were made."""
    if not isinstance(came, Tensor) or came.shape != expected.shape:
        return ""
    if n and not order and torch.equal(came, X):
        return "No block runs: the net returns its input."
    if n and not order:
        return "None of the blocks that `make_block` made runs."
    if len(order) < n and order == list(range(len(order))):
        return f"Only {len(order)} of the {n} blocks {'runs' if len(order) == 1 else 'run'}."
    if sorted(order) == list(range(n)) != order:
        return "The blocks do not run in the order in which they were made."
    if n == 1:
        return "The block runs, but the net does not return its output."
    return "All blocks run. The input of each has to be the output of the one before, and the last output is the result."


WRONG = (
    WrongAnswer("has only one block", changes={"*(make_block() for _ in range(n))": "make_block()"}),
    WrongAnswer("called with an argument", changes={"make_block() for _": "make_block(_) for _"}),
    WrongAnswer("share its weights", changes={"(make_block() for _ in range(n))": "[make_block()] * n"}),
    WrongAnswer(
        "copies of one block",
        changes={
            "    return nn.Sequential(*(make_block()": "    block = make_block()\n"
            "    return nn.Sequential(*(copy.deepcopy(block)",
            "from torch": "import copy\n\nfrom torch",
        },
    ),
    WrongAnswer(
        "changes a block",
        changes={
            "    return nn.Sequential(*(make_block() for _ in range(n)))": "    net = nn.Sequential(*(make_block() for _ in range(n)))\n"
            "    for block in net:\n        block.load_state_dict(net[0].state_dict())\n    return net"
        },
    ),
    WrongAnswer(
        "cannot be called",
        changes={
            "nn.Sequential(*(make_block() for _ in range(n)))": "nn.ModuleList(make_block() for _ in range(n))"
        },
    ),
    WrongAnswer("itself is in the chain", changes={"make_block()": "make_block"}),
    WrongAnswer("is not called", changes={"range(n)": "range(1, n)"}),
    WrongAnswer(
        "do not run in the order",
        changes={"*(make_block() for _ in range(n))": "*[make_block() for _ in range(n)][::-1]"},
    ),
)
