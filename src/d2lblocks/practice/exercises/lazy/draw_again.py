"""The weights of a net that is not lazy."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "lazy.md#seeds-and-partly-lazy-nets"
TASK = """
A colleague's net has all sizes given, and yours is the same net but partly lazy, so the same seed gives you other weights.
Write `draw_again(net, seed)`, which gives new values to every layer of your net that has a method `reset_parameters`, and returns the net.
It is called after the dry run.
Afterward, the parameters of your net should equal those of your colleague's net, which is built right after `torch.manual_seed(seed)`.
Both nets define their layers in the order of `net.modules()`.
"""
STUB = """\
import torch


def draw_again(net, seed): ...
"""
SOLUTION = """\
import torch


def draw_again(net, seed):
    torch.manual_seed(seed)
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return net
"""
HINTS = (
    "When does each layer of your colleague's net draw its values, and in which order?",
    "Read lazy.md#seeds-and-partly-lazy-nets; the method that draws the default values again is in init.md#default-initialization-of-each-layer.",
    'Set the seed once; then loop over `net.modules()`, and call `module.reset_parameters()` if `hasattr(module, "reset_parameters")`.',
)
AFTER = """
A layer with its size given draws in its `__init__` by calling `reset_parameters`, so calling it in the same order after the same seed gives the same values.
The function leaves out modules that have parameters of their own but no such method, and it overwrites values that a net sets in its `__init__`.
"""


def _short(lazy: bool) -> nn.Module:
    return nn.Sequential(nn.LazyLinear(4) if lazy else nn.Linear(6, 4))


def _layer(lazy: bool) -> nn.Module:
    return nn.LazyLinear(4) if lazy else nn.Linear(6, 4)


def _chain(lazy: bool) -> nn.Module:
    return nn.Sequential(nn.LazyLinear(6) if lazy else nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6))


def _nested(lazy: bool) -> nn.Module:
    block = nn.Sequential(nn.LazyLinear(8) if lazy else nn.Linear(6, 8), nn.ReLU())
    return nn.Sequential(block, nn.Linear(8, 3))


class _Scale(nn.Module):
    """A layer of a class that PyTorch does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.weight)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X * self.weight


class Offset(nn.Module):
    """A layer with a parameter that has no method `reset_parameters`."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X + self.bias


def _own(lazy: bool) -> nn.Module:
    return nn.Sequential(nn.LazyLinear(3) if lazy else nn.Linear(6, 3), _Scale(), Offset())


def _shared(lazy: bool) -> nn.Module:
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.LazyLinear(4) if lazy else nn.Linear(6, 4))


def _images(lazy: bool) -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)),
        nn.LazyConv2d(4, 2) if lazy else nn.Conv2d(1, 4, 2),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(8, 3),
    )


def check(answer: Answer) -> None:
    """The parameters equal those of the same net with sizes, for chains, nested nets and convolutions."""
    draw_again = answer.function("draw_again")
    for text, build in {
        "nn.Sequential(nn.LazyLinear(4))": _short,
        "nn.Sequential(nn.LazyLinear(6), nn.ReLU(), nn.Linear(6, 6))": _chain,
        "nn.Sequential(nn.Sequential(nn.LazyLinear(8), nn.ReLU()), nn.Linear(8, 3))": _nested,
        "nn.Sequential(..., nn.LazyConv2d(4, 2), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(8, 3))": _images,
        "nn.Sequential(nn.LazyLinear(3), Scale(), Offset())": _own,
        "nn.Sequential(layer, nn.ReLU(), layer, nn.LazyLinear(4))": _shared,
        "nn.LazyLinear(4)": _layer,
    }.items():
        for seed in 0, 7:
            answer.given = f"net = {text} and seed={seed}"
            torch.manual_seed(100 + seed)
            mine = build(True)
            mine(torch.rand(2, 6))
            before = {name: parameter.detach().clone() for name, parameter in mine.named_parameters()}
            torch.manual_seed(seed)
            theirs = dict(build(False).named_parameters())
            torch.rand(1)
            if answer.module(_call(draw_again, mine, seed), "draw_again(net, seed)") is not mine:
                raise Wrong(
                    "`draw_again` returns another net: fill the one that it gets.",
                    came="another net",
                    expected="the same net",
                )
            _compare(mine, before, theirs, partial(_again, draw_again, mine, seed))


def _call(draw_again: Callable[..., object], net: nn.Module, seed: int) -> object:
    try:
        return draw_again(net, seed)
    except AttributeError as error:
        if "no attribute 'reset_parameters'" not in str(error):
            raise
        kind = str(error).split("'")[1]
        why = f"`{kind}` has no method `reset_parameters`: call the method only for modules that have it."
        raise Wrong(why, came=f"AttributeError: {error}") from error


def _again(draw_again: Callable[..., object], net: nn.Module, seed: int, other: int) -> object:
    return draw_again(net, seed + other)


def _compare(
    mine: nn.Module,
    before: dict[str, torch.Tensor],
    theirs: dict[str, nn.Parameter],
    again: Callable[[int], object],
) -> None:
    came = {name: parameter.detach().clone() for name, parameter in mine.named_parameters()}
    drawn = [name for name in before if (before[name] != before[name].flatten()[0]).any()]  # not constants
    kept = [name for name in drawn if torch.equal(came[name], before[name])]
    wrong = [name for name in came if not torch.equal(came[name], theirs[name])]
    if not wrong:
        return
    if len(kept) == len(drawn):
        why = "All layers keep their values: `reset_parameters()` draws new ones."
    elif kept and kept[0].count(".") > 1:
        why = f"`{kept[0]}` keeps its values: `net.modules()` also gives the layers inside blocks, unlike `children()`."
    elif kept and type(mine.get_submodule(kept[0].rpartition(".")[0])) is nn.Linear:
        why = f"`{kept[0]}` keeps its values: `reset_parameters()` gives new values to all parameters of a layer."
    elif kept:
        why = f"`{kept[0]}` keeps its values: layers of any class can have `reset_parameters`, so ask for the method, not for a class."
    elif len(list(mine.modules())) < len(list(mine.named_modules(remove_duplicate=False))):
        why = (
            "A layer that is in the net twice draws new values twice: `net.modules()` gives each module once."
        )
    elif torch.equal(
        came.get("2.weight", torch.zeros(1)), came["0.weight"] if "0.weight" in came else came["1.weight"]
    ):
        why = "Layers of the same shape get the same values: set the seed once, before the loop."
    else:

        def same(other: int) -> bool:
            again(other)
            return all(torch.equal(parameter, came[name]) for name, parameter in mine.named_parameters())

        if not same(0):
            why = "The values differ from call to call: set the seed of PyTorch's default generator before the layers draw."
        elif same(1):
            why = "The values do not depend on `seed`."
        else:
            why = f"`{wrong[0]}` differs from your colleague's: the layers have to draw their default values, in the order of `net.modules()`, with nothing drawn in between."
    raise Wrong(
        why,
        came=f"{wrong[0]} begins with {came[wrong[0]].flatten()[0]:.4f}",
        expected=f"{wrong[0]} begins with {theirs[wrong[0]].flatten()[0]:.4f}",
    )


WRONG = (
    WrongAnswer(
        "draws new values twice",
        changes={"for module in net.modules()": "for _, module in net.named_modules(remove_duplicate=False)"},
    ),
    WrongAnswer("differ from call to call", changes={"    torch.manual_seed(seed)\n": ""}),
    WrongAnswer("do not depend on `seed`", changes={"manual_seed(seed)": "manual_seed(0)"}),
    WrongAnswer(
        "set the seed once",
        changes={
            "    torch.manual_seed(seed)\n": "",
            "            module.reset": "            torch.manual_seed(seed)\n            module.reset",
        },
    ),
    WrongAnswer(
        "only for modules that have it",
        changes={'        if hasattr(module, "reset_parameters"):\n            module': "        module"},
    ),
    WrongAnswer(
        "all parameters of a layer",
        changes={"module.reset_parameters()": "torch.nn.init.xavier_uniform_(module.weight)"},
    ),
    WrongAnswer("unlike `children()`", changes={"net.modules()": "net.children()"}),
    WrongAnswer(
        "ask for the method",
        changes={'hasattr(module, "reset_parameters")': "isinstance(module, torch.nn.Linear)"},
    ),
    WrongAnswer(
        "in the order of `net.modules()`", changes={"in net.modules()": "in reversed(list(net.modules()))"}
    ),
    WrongAnswer(
        "All layers keep their values", changes={"module.reset_parameters()": "module.reset_parameters"}
    ),
)
