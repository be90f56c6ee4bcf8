"""Save a net and load it."""

import pickle
import zipfile
from pathlib import Path

import torch
from torch import nn

from d2lblocks._arguments import kind_of

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "serialization.md#saving-a-net-state_dict"
TASK = """
Write `save_net(net, path)`, which saves the state dict of a trained net in a file.
Write `load_net(make, path)`, which builds a new net with `make()`, loads the file into it and returns it in evaluation mode.
"""
STUB = """\
import torch


def save_net(net, path):
    ...


def load_net(make, path):
    ...
"""
SOLUTION = """\
import torch


def save_net(net, path):
    torch.save(net.state_dict(), path)


def load_net(make, path):
    net = make()
    net.load_state_dict(torch.load(path))
    return net.eval()
"""
HINTS = (
    "Which objects does the loading program have already, and what has to come from the file?",
    "Read serialization.md#saving-a-net-state_dict: it saves the state dict of an MLP, loads it into a second one and calls `eval()`.",
    "`torch.save(net.state_dict(), path)` writes the file; `net.load_state_dict(torch.load(path))` copies it into "
    "a net that `make()` has built. Return the net, not what `load_state_dict` returns.",
)
AFTER = """
The file holds only tensors and their names, so it can be opened without danger and is independent of your class.
`save_parameters(net, path)` and `load_parameters(make(), path)` of this library do the same, and find damaged files.
"""


def check(answer: Answer) -> None:
    """The file holds a state dict; what is loaded is another net with all its values, in evaluation mode."""
    save, load = answer.function("save_net"), answer.function("load_net")
    kinds = ("nn.Linear(1, 1)", small), ("a net with batch normalization and dropout in float64", larger)
    for number, (kind, make) in enumerate(kinds):
        make.__qualname__ = "make"  # the name in error messages
        net, other = make(), make()
        path = f"net{number}.pt"
        weight = next(net.parameters())
        net(torch.rand(4, len(weight[0]), dtype=weight.dtype))  # changes the running statistics
        saved = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        answer.given = f"save_net(net, {path!r}), where net is {kind}"
        answer.last = save
        try:
            save(net, path)
        except AttributeError as error:
            if "'write' attribute" not in str(error):
                raise
            why = "`torch.save` takes the object first, and then the path."
            raise Wrong(why, came=f"AttributeError: {error}", expected=f"a file {path}") from None
        if not net.training:
            why = "`save_net` has put `net` into evaluation mode, and the program may go on training it."
            raise Wrong(why, came="net.training is False", expected="net.training is True")
        save(other, "other.pt")
        _look_into(path)
        with torch.no_grad():
            for tensor in net.state_dict().values():
                tensor.add_(1)  # the program goes on
        answer.given = f"load_net(make, {path!r}), where make() builds {kind}"
        answer.last = load
        try:
            loaded = load(make, path)
        except AttributeError as error:
            raise _without(error) or error from None
        if hasattr(loaded, "missing_keys"):
            raise Wrong(REPORT, came=loaded, expected="a net")
        answer.module(loaded, "load_net(make, path)")
        _compare(answer, loaded, saved)
        if any(module.training for module in loaded.modules()):
            raise Wrong(
                "The net is not in evaluation mode, so dropout and batch normalization would act as in training.",
                came="net.training is True",
                expected="net.training is False",
            )
        if frozen := [name for name, each in loaded.named_parameters() if not each.requires_grad]:
            raise Wrong(
                "The net is frozen, so it cannot be trained further: evaluation mode is `eval()`, and it leaves "
                "`requires_grad` as it is.",
                came=f"requires_grad of {frozen[0]} is False",
                expected=f"requires_grad of {frozen[0]} is True",
                page="parameters.md#freezing-parameters",
            )


REPORT = (
    "`load_state_dict` changes the net and returns a report, the names that did not fit. You use the report as if it "
    "were the net."
)


def _without(error: AttributeError) -> Wrong | None:
    """The verdict on an attribute that an object does not have, if it is one of the usual objects."""
    came = f"AttributeError: {error}"
    if "_IncompatibleKeys" in came:
        return Wrong(REPORT, came=came, expected="a net")
    if "'function' object" in came:
        return Wrong("`make` is a function, and only a call of it builds a net.", came=came, expected="a net")
    return None


def small() -> nn.Module:
    """The smallest net."""
    return nn.Linear(1, 1)


def larger() -> nn.Module:
    """A net with buffers, and with layers for which the mode matters."""
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2)).double()


def _look_into(path: str) -> None:
    """Raise `Wrong` if a file of `torch.save` holds more than tensors; other formats are fine."""
    if not Path(path).exists():
        raise Wrong("`save_net` writes no file at `path`.", came="no file", expected=f"a file {path}")
    whole = "The file holds the whole net, so only a program with the same class can open it, and opening it may run code."
    if not zipfile.is_zipfile(path):
        if b"torch.nn.modules" in Path(path).read_bytes():  # the name of a class
            raise Wrong(whole, came="a pickled net", expected="a dict of tensors")
        return
    try:
        torch.load(path)
    except RuntimeError:  # a zip file of another program, such as that of NumPy
        return
    except pickle.UnpicklingError:
        content = torch.load(path, weights_only=False)
        why = "The file holds more than tensors, so opening it may run code: save what `net.state_dict()` returns, and nothing else."
        if isinstance(content, nn.Module):
            why = whole
        elif callable(content):
            why = (
                "The file holds a method and not the tensors: the parentheses after `state_dict` are missing."
            )
        raise Wrong(why, came=kind_of(content), expected="a dict of tensors") from None


def _compare(answer: Answer, loaded: nn.Module, saved: dict[str, torch.Tensor]) -> None:
    """Raise `Wrong` unless a net has the saved values."""
    buffers = {name for name, _ in loaded.named_buffers()}
    for name, tensor in loaded.state_dict().items():
        why = "The net does not have the values from the file: it has those of a new net, or of another one."
        if tensor.shape == saved[name].shape and torch.allclose(tensor, saved[name], rtol=0.01):
            why = "The values are rounded: save them with the dtype that they have."
        elif name in buffers:
            why = "The net has the parameters from the file but not the buffers, such as the running mean."
        answer.same(tensor, saved[name], f"net.state_dict()[{name!r}]", why, tolerance=0)


WRONG = (
    WrongAnswer(
        "holds the whole net",
        changes={
            "net.state_dict(), path": "net, path",
            "    net = make()\n    net.load_state_dict(torch.load(path))\n": "    net = torch.load(path, weights_only=False)\n",
        },
    ),
    WrongAnswer("go on training", changes={"    torch.save(net": "    torch.save(net.eval()"}),
    WrongAnswer("are rounded", changes={"net.state_dict(), path": "net.half().state_dict(), path"}),
    WrongAnswer("parentheses", changes={"torch.save(net.state_dict()": "torch.save(net.state_dict"}),
    WrongAnswer(
        "as if it were the net",
        changes={
            "    net = make()\n    net.load_state_dict(torch.load(path))\n    return net.eval()": "    return make().eval().load_state_dict(torch.load(path))"
        },
    ),
    WrongAnswer("the name of a file", changes={"torch.load(path)": "path"}),
    WrongAnswer("those of a new net", changes={"net.load_state_dict(torch.load(path))": "torch.load(path)"}),
    WrongAnswer("and then the path", changes={"net.state_dict(), path": "path, net.state_dict()"}),
    WrongAnswer(
        "and nothing else",
        changes={"net.state_dict(), path": '{"kind": type(net), "net": net.state_dict()}, path'},
    ),
    WrongAnswer("The net is frozen", changes={"net.eval()": "net.eval().requires_grad_(False)"}),
    WrongAnswer("not in evaluation mode", changes={"net.eval()": "net"}),
)
