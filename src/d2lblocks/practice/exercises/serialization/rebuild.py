"""A file from which a net can be rebuilt."""

import contextlib
from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "serialization.md#security-pickle-weights_only-and-safetensors"
TASK = """
A plan such as `[("Linear", [20, 8]), ("ReLU", [])]` lists the classes of layers and their arguments.
The function `keep` saves a plan and the state dict of its net in one file.
Write `rebuild(path)`, which needs only that file and returns the net, an `nn.Sequential` with the saved values.
The file may come from anybody: run no code from it, and raise an error if it names a class that is not in `KNOWN`.
"""
STUB = """\
import torch
from torch import nn

KNOWN = {"Linear": nn.Linear, "ReLU": nn.ReLU}


def keep(net, plan, path):
    torch.save({"plan": plan, "state": net.state_dict()}, path)


def rebuild(path):
    ...
"""
SOLUTION = """\
import torch
from torch import nn

KNOWN = {"Linear": nn.Linear, "ReLU": nn.ReLU}


def keep(net, plan, path):
    torch.save({"plan": plan, "state": net.state_dict()}, path)


def rebuild(path):
    file = torch.load(path)
    layers = [KNOWN[name](*arguments) for name, arguments in file["plan"]]
    net = nn.Sequential(*layers)
    net.load_state_dict(file["state"])
    return net
"""
HINTS = (
    "Who decides which class a name in the file stands for: the file or your program?",
    "Read serialization.md#security-pickle-weights_only-and-safetensors on what `torch.load` accepts by default, and "
    "serialization.md#three-ways-to-save-the-architecture on a file that also holds the sizes.",
    "Build each layer with `KNOWN[name](*arguments)`, put the layers into `nn.Sequential(*layers)`, and load "
    '`file["state"]` into it.',
)
AFTER = """
The file chooses among the classes of your program, and `KNOWN[name]` raises a `KeyError` for any other name.
With `getattr(nn, name)` or `eval`, a file could choose what runs.
"""

ran: list[str] = []  # what files have called


def run(name: str) -> None:
    """Note that a file has called a function."""
    ran.append(name)


class Trap:
    """An object whose pickle calls a function when it is read."""

    def __reduce__(self) -> Any:
        return run, ("trap",)


def check(answer: Answer) -> None:
    """Nets come back from their files; files with code or with other classes do not."""
    keep, rebuild = answer.function("keep"), answer.function("rebuild")
    for plan in (
        [("Linear", [1, 1])],
        [("Linear", [2, 3]), ("ReLU", []), ("Linear", [3, 2, False])],
    ):
        original = nn.Sequential(*(getattr(nn, name)(*arguments) for name, arguments in plan))
        keep(original, plan, "net.pt")
        answer.given = f"the plan {plan}"
        try:
            net = rebuild("net.pt")
        except TypeError as error:
            if "Module subclass" in str(error):
                why = "`nn.Sequential` takes layers, not a list of layers: write a star, as in `nn.Sequential(*layers)`."
                raise Wrong(why, came=str(error), expected="a net") from None
            raise
        if hasattr(net, "missing_keys"):
            why = "`load_state_dict` returns the names that did not fit, not the net: return the net itself."
            raise Wrong(why, came=net, expected="a net")
        answer.module(net, 'rebuild("net.pt")')
        if not isinstance(net, nn.Sequential) or list(map(repr, net)) != list(map(repr, original)):
            raise Wrong("The net does not have the layers of the plan.", came=net, expected=original)
        for name, tensor in original.state_dict().items():
            answer.same(
                net.state_dict()[name],
                tensor,
                f'rebuild("net.pt").state_dict()[{name!r}]',
                "The layers are right, but they have random values: load the state dict into the net.",
                tolerance=0,
            )
    state = nn.Linear(1, 1).state_dict()
    file = {"plan": [("Linear", [1, 1])], "state": {f"0.{name}": each for name, each in state.items()}}
    answer.given = "a file with an object whose pickle calls a function"
    torch.save({**file, "more": Trap()}, "trap.pt")
    with contextlib.suppress(Exception):
        rebuild("trap.pt")
    if ran:
        raise Wrong(
            "Code from the file ran: `weights_only=False` lets a file call any function.",
            came="the function was called",
            expected="an error from `torch.load`",
        )
    answer.given = "the plan [('Linear', [1, 1]), ('Dropout', [0.5])], and `KNOWN` without `Dropout`"
    torch.save({**file, "plan": [("Linear", [1, 1]), ("Dropout", [0.5])]}, "other.pt")
    try:
        net = rebuild("other.pt")
    except Exception:
        return
    if isinstance(net, nn.Sequential) and len(net) == 1:
        why = "A layer whose class is not known was left out, so the net is not that of the plan: raise an error."
    else:
        why = "The file chose a class that is not in `KNOWN`: with `getattr(nn, name)` or `eval`, it can choose any."
    raise Wrong(why, came=net, expected="an error")


WRONG = (
    WrongAnswer(
        "lets a file call any function", changes={"torch.load(path)": "torch.load(path, weights_only=False)"}
    ),
    WrongAnswer("it can choose any", changes={"KNOWN[name](": "getattr(nn, name)("}),
    WrongAnswer("was left out", changes={'in file["plan"]]': 'in file["plan"] if name in KNOWN]'}),
    WrongAnswer("random values", changes={'    net.load_state_dict(file["state"])\n': ""}),
    WrongAnswer("is called without", changes={"(*arguments)": "(arguments)"}),
)
