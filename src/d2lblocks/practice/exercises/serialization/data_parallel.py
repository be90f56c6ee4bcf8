"""Load what DataParallel has saved."""

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "serialization.md#prefixes-module-and-_orig_mod"
TASK = """
A file was saved from a net in `nn.DataParallel`, so all its names begin with `module.`.
Write `load_wrapped(net, path)`, which loads the file into `net`, your own net without the wrapper.
Your net may itself have an attribute named `module`; if the file lacks a name, raise an error.
Can you do it without changing the names in the state dict?
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
A module with your net as its attribute `module` has the names of the file, as `DataParallel` has.
`nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")` changes the names in the dictionary instead.
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
        try:
            load_wrapped(net, "wrapped.pt")
        except (RuntimeError, TypeError) as error:
            _explain(error)
            raise
        if list(net.state_dict()) != list(before):
            raise Wrong(
                "The net itself has changed: its entries have other names now.",
                came=list(net.state_dict()),
                expected=list(before),
            )
        buffers = {name for name, _ in net.named_buffers()}
        if all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items()):
            raise Wrong(
                "Nothing was loaded into the net. In case you use `strict=False`: it skips each name that does not match.",
                came="the old values",
                expected="the values from the file",
            )
        for name, tensor in net.state_dict().items():
            why = "The buffers were not loaded, such as the running mean." if name in buffers else ""
            answer.same(tensor, saved[name], f"net.state_dict()[{name!r}]", why, tolerance=0)
    answer.given = "a file without the bias of the net"
    torch.save({"module.weight": torch.rand(1, 1)}, "part.pt")
    try:
        load_wrapped(nn.Linear(1, 1), "part.pt")
    except Exception:
        return
    raise Wrong(
        "The file lacks a name, but there is no error: the net keeps some of its old values.",
        came="no error",
        expected="an error",
    )


def _explain(error: Exception) -> None:
    """Raise `Wrong` if the message shows what was wrong with the names."""
    message = str(error)
    if "NoneType" in message and isinstance(error, TypeError):
        why = "The function that removes a prefix changes the dictionary and returns `None`: load the dictionary."
    elif "Missing key(s)" not in message:
        return
    elif '"module.' in message.partition("Unexpected key(s)")[2]:
        why = "The names in the state dict still begin with `module.`, and those of your net do not."
    else:
        why = (
            "What was removed is not exactly the first `module.`: `replace` also changes the middle of a name, "
            "and `lstrip` removes letters, not a word."
        )
    raise Wrong(why, came=message, expected="<All keys matched successfully>") from None


PREFIXED = """\
import torch


def load_wrapped(net, path):
    state = torch.load(path)
    net.load_state_dict({name.removeprefix("module."): each for name, each in state.items()})
"""
WRONG = (
    WrongAnswer("still begin with", code=PREFIXED.replace('name.removeprefix("module.")', "name")),
    WrongAnswer(
        "not exactly the first",
        code=PREFIXED.replace('removeprefix("module.")', 'replace("module.", "")'),
    ),
    WrongAnswer(
        "Nothing was loaded",
        changes={
            "    wrapper = nn.Module()\n    wrapper.module = net\n    wrapper.": "    net.",
            "torch.load(path)": "torch.load(path), strict=False",
        },
    ),
    WrongAnswer(
        "keeps some of its old values", changes={"torch.load(path)": "torch.load(path), strict=False"}
    ),
)
