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
The file may come from anybody: run no code from it, and raise an error if it lacks a value, or if it names a class that is not in `KNOWN`.
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
The file chooses only among the classes in `KNOWN`; with `getattr(nn, name)` or `eval`, it could choose what runs.
`KNOWN[name]` needs no check of its own: it raises a `KeyError` for any other name.
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
    plans: list[list[tuple[str, list[Any]]]] = [
        [("Linear", [1, 1])],
        [("Linear", [2, 3]), ("ReLU", [True]), ("Linear", [3, 2, False])],
    ]
    for plan in plans:
        original = nn.Sequential(*(getattr(nn, name)(*arguments) for name, arguments in plan))
        keep(original, plan, "net.pt")
        answer.given = f"the plan {plan}"
        try:
            net = rebuild("net.pt")
        except Exception as error:
            raise _mistake(error) or error from None
        if hasattr(net, "missing_keys"):
            why = "`load_state_dict` returns the names that did not fit, not the net."
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
            "Code from the file ran: with `weights_only=False`, a file can call any function.",
            came="the function was called",
            expected="an error from `torch.load`",
        )
    answer.given = "the plan [('Linear', [1, 1])], and a state dict without 0.bias"
    torch.save({**file, "state": {"0.weight": torch.ones(1, 1)}}, "part.pt")
    try:
        net = rebuild("part.pt")
    except Exception:
        pass
    else:
        rest = ": the net keeps a random one" * isinstance(net, nn.Module)
        why = f"The file lacks a value, but there is no error{rest}."
        raise Wrong(why, came=net, expected="an error")
    answer.given = "the plan [('Linear', [1, 1]), ('Softshrink', [0.5])], and `KNOWN` without `Softshrink`"
    torch.save({**file, "plan": [("Linear", [1, 1]), ("Softshrink", [0.5])]}, "other.pt")
    try:
        net = rebuild("other.pt")
    except Exception:
        return
    if isinstance(net, nn.Sequential) and len(net) == 1:
        why = "A layer whose class is not known was left out, so the net is not that of the plan: raise an error."
    elif not (isinstance(net, nn.Sequential) and isinstance(net[1], nn.Softshrink)):
        why = "The plan names a class that is not in `KNOWN`, but there is no error."
    else:
        why = "The file chose a class that is not in `KNOWN`: with `getattr(nn, name)` or `eval`, it can choose any."
    raise Wrong(why, came=net, expected="an error")


def _mistake(error: Exception) -> Wrong | None:
    """The verdict on an error while a net is built, if it is one of the usual errors."""
    message = str(error)
    came = f"{type(error).__name__}: {message}"
    if message == "list is not a Module subclass":
        why = "`nn.Sequential` takes the layers one by one, and you pass a list of them."
        return Wrong(why, came=came, expected="a net")
    if "is not a Module subclass" in message:
        why = "`nn.Sequential` takes layers, and this is something else: `KNOWN[name]` is a class, and a call of it builds a layer."
        return Wrong(why, came=came, expected="a net")
    if isinstance(error, TypeError) and "__init__() missing" in message:
        why = "A class gets its list of arguments as one argument: pass the elements of the list one by one, with a star."
        if "missing 2" in message:
            why = "A class is called without its arguments: they are the second element of each pair in the plan."
        return Wrong(why, came=came, expected="nn.Linear(1, 1)")
    if isinstance(error, KeyError):
        why = 'There is no such key. In the file, `keep` has written the keys `"plan"` and `"state"`.'
        if str(error.args[0]).lower() in ("linear", "relu"):
            why = "`KNOWN` has no such key: look up the name as it is in the plan."
        return Wrong(why, came=came, expected="plan, state")
    if "Unexpected key(s)" in message and '"plan"' in message:
        why = "`load_state_dict` gets all that the file holds, and the state dict is only a part of it."
        return Wrong(why, came=came, expected="the state dict")
    if "Error(s) in loading state_dict" in message:
        why = "The state dict does not fit the net: build each layer with the class and the arguments in the plan."
        return Wrong(why, came=came, expected="the layers of the plan")
    return None


WRONG = (
    WrongAnswer(
        "a file can call any function", changes={"torch.load(path)": "torch.load(path, weights_only=False)"}
    ),
    WrongAnswer("it can choose any", changes={"KNOWN[name](": "getattr(nn, name)("}),
    WrongAnswer("names a class that is not", changes={"KNOWN[name](": "KNOWN.get(name, nn.Identity)("}),
    WrongAnswer("does not fit the net", changes={"(*layers)": "(nn.Linear(20, 8), nn.ReLU())"}),
    WrongAnswer("was left out", changes={'in file["plan"]]': 'in file["plan"] if name in KNOWN]'}),
    WrongAnswer("random values", changes={'    net.load_state_dict(file["state"])\n': ""}),
    WrongAnswer("keeps a random one", changes={'(file["state"])': '(file["state"], strict=False)'}),
    WrongAnswer("you pass a list", changes={"(*layers)": "(layers)"}),
    WrongAnswer("and a call of it builds", changes={"KNOWN[name](*arguments)": "KNOWN[name]"}),
    WrongAnswer("gets all that the file holds", changes={'file["state"]': "file"}),
    WrongAnswer("without its arguments", changes={"(*arguments)": "()"}),
    WrongAnswer("one by one, with a star", changes={"(*arguments)": "(arguments)"}),
)
