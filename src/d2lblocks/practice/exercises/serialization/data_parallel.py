"""Load what DataParallel has saved."""

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from ._loads import Load, observed

LEVEL = "medium"
PAGE = "serialization.md#prefixes-module-and-_orig_mod"
TASK = """
A file was saved from a net in `nn.DataParallel`, so all its names begin with `module.`.
Write `load_wrapped(net, path)`, which loads the file into `net`, your own net without the wrapper.
Your net may itself have an attribute named `module`; if the file lacks a name, raise an error.
"""
STUB = """\
import torch
from torch import nn


def load_wrapped(net, path):
    ...
"""
SOLUTION = """\
import torch
from torch import nn


def load_wrapped(net, path):
    wrapper = nn.Module()
    wrapper.module = net
    wrapper.load_state_dict(torch.load(path))
"""
HINTS = (
    "In which module would your net have the names that are in the file?",
    "Read serialization.md#prefixes-module-and-_orig_mod: look at where the wrapper keeps the net, and at the function "
    "that removes a prefix.",
    "Make an `nn.Module()`, assign the net to its attribute `module`, and call `load_state_dict` on this module.",
)
AFTER = """
In the file, each name of your net has one `module.` more at the beginning: the attribute in which the wrapper kept the net.
There are two ways: to load the file into a module that has your net as its attribute `module`, or to remove this prefix, for example with `nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")`.
"""


class Inner(nn.Module):
    """A net with an attribute `module`, and with names that consist of the letters of that word."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(2, 2)
        self.mode = nn.BatchNorm1d(2)


def check(answer: Answer) -> None:
    """All tensors arrive, also in a net with an attribute `module`; other names are errors."""
    load_wrapped = answer.function("load_wrapped")
    for net in nn.Linear(1, 1), nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), Inner():
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        saved = {name: tensor + 1 for name, tensor in before.items()}
        torch.save({f"module.{name}": tensor for name, tensor in saved.items()}, "wrapped.pt")
        answer.given = f"a net with {', '.join(before)}"
        with observed() as loads:
            try:
                load_wrapped(net, "wrapped.pt")
            except (RuntimeError, TypeError, AttributeError) as error:
                raise _mistake(error, list(before), loads[-1] if loads else None) or error from None
        if list(net.state_dict()) != list(before):
            raise Wrong(
                "The net itself has changed: its entries have other names now.",
                came=list(net.state_dict()),
                expected=list(before),
            )
        buffers = {name for name, _ in net.named_buffers()}
        if all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items()):
            why = "Nothing was loaded into `net`."
            if loads and all(each is not net for each in loads[-1].module.modules()):
                why = "The file was loaded into another net: `net` itself still has its old values."
            elif loads and not loads[-1].strict:
                why = "Nothing was loaded into `net`: `strict=False` skips each name that does not match."
            raise Wrong(why, came="the old values", expected="the values from the file")
        for name, tensor in net.state_dict().items():
            why = "The buffers were not loaded, such as the running mean." if name in buffers else ""
            answer.same(tensor, saved[name], f"net.state_dict()[{name!r}]", why, tolerance=0)
    part = {"module.weight": torch.rand(1, 1)}
    for text, more in (
        ("without the bias of the net", {}),
        ("with `module.b`, not `module.bias`", {"module.b": torch.rand(1)}),
    ):
        answer.given = f"a file {text}"
        torch.save(part | more, "part.pt")
        net = nn.Linear(1, 1)
        try:
            load_wrapped(net, "part.pt")
        except Exception:
            continue
        why = "the net keeps some of its old values."
        if more and torch.equal(net.bias, more["module.b"]):
            why = "values are loaded by their order, not by their names."
        why = f"The file lacks a name, but there is no error: {why}"
        raise Wrong(why, came="no error", expected="an error")


def _mistake(error: Exception, keys: list[str], load: Load | None) -> Wrong | None:
    """The verdict on an error, from the names of the entries that were loaded."""
    came = f"{type(error).__name__}: {error}"
    expected = f"entries named {', '.join(keys)}"
    if isinstance(error, AttributeError):
        if "no attribute 'module'" not in came:
            return None
        why = "`net` is your own net, without the wrapper: it may have an attribute `module` or not."
        return Wrong(why, came=came, expected=expected)
    if "NoneType" in came and isinstance(error, TypeError):
        why = "`load_state_dict` gets `None`: the function that removes a prefix changes the dictionary and returns nothing."
        return Wrong(why, came=came, expected=expected)
    if load is None or set(load.names) == set(keys):
        return None
    names, file = set(load.names), [f"module.{key}" for key in keys]
    if names == set(file):
        why = "The names in the state dict still begin with `module.`, and those of your net do not."
    elif names == {each.replace("module.", "") for each in file}:
        why = "`module.module.weight` in the file is `module.weight` in your net: only the first `module` is that of the wrapper."
    elif names == {each.lstrip("module.") for each in file}:
        why = 'Too much was removed: `lstrip("module.")` removes every letter of this word, not the word.'
    else:
        why = "These are not the names in your net: at the beginning of each, exactly `module.` has to go, dot included."
    return Wrong(why, came=str(load), expected=expected)


PREFIXED = """\
import torch


def load_wrapped(net, path):
    state = torch.load(path)
    net.load_state_dict({name.removeprefix("module."): each for name, each in state.items()})
"""
WRONG = (
    WrongAnswer("still begin with", code=PREFIXED.replace('name.removeprefix("module.")', "name")),
    WrongAnswer(
        "only the first `module`",
        code=PREFIXED.replace('removeprefix("module.")', 'replace("module.", "")'),
    ),
    WrongAnswer(
        "every letter",
        code=PREFIXED.replace("removeprefix", "lstrip"),
    ),
    WrongAnswer("dot included", code=PREFIXED.replace('"module."', '"module"')),
    WrongAnswer(
        "into another net",
        changes={
            "wrapper.module = net": "wrapper.module = copy.deepcopy(net)",
            "import torch\n": "import copy\n\nimport torch\n",
        },
    ),
    WrongAnswer(
        "Nothing was loaded",
        changes={
            "    wrapper = nn.Module()\n    wrapper.module = net\n    wrapper.": "    net.",
            "torch.load(path)": "torch.load(path), strict=False",
        },
    ),
    WrongAnswer(
        "by their order",
        code=PREFIXED.replace(
            '{name.removeprefix("module."): each for name, each in state.items()}',
            "dict(zip(net.state_dict(), state.values()))",
        ),
    ),
    WrongAnswer(
        "keeps some of its old values", changes={"torch.load(path)": "torch.load(path), strict=False"}
    ),
)
