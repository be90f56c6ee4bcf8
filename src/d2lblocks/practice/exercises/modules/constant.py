"""A constant that stays behind."""

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "modules.md#a-constant-is-not-saved-cast-or-moved-with-the-net"
TASK = """
The first layer of a net standardizes its input: it subtracts the tensor `mean` and divides by the tensor `std`.
The two tensors are not saved, cast or moved with the net.
Repair the class so that they are.
They must not be parameters, and they keep their names: the names in `net.state_dict()` are `mean` and `std`.
"""
STUB = """\
from torch import nn


class Standardize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = mean
        self.std = std

    def forward(self, X):
        return (X - self.mean) / self.std
"""
SOLUTION = """\
from torch import nn


class Standardize(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean = nn.Buffer(mean)
        self.std = nn.Buffer(std)

    def forward(self, X):
        return (X - self.mean) / self.std
"""
HINTS = (
    "What does `net.state_dict()` contain, and what is the name for a tensor that is in it but is not trained?",
    "Read modules.md#a-constant-is-not-saved-cast-or-moved-with-the-net: its fix has a short form and a longer one.",
    "In `__init__`, write `self.mean = nn.Buffer(...)`, and do the same for `std`.",
)
AFTER = """
A buffer is saved, cast and moved with its module, and no optimizer gets it.
`self.register_buffer("mean", mean)` does the same and also works in old versions of PyTorch.
"""
NAMES = ("mean", "std")


def check(answer: Answer) -> None:
    """Both tensors are buffers and in the state dict, and what follows from it."""
    make = answer.module_class("Standardize")
    X = torch.rand(4, 3)
    for size in 1, 3:
        mean, std = torch.rand(size), torch.rand(size) + 1
        answer.given = f"Standardize(mean, std) with tensors of shape ({size},)"
        net = answer.module(make(mean.clone(), std.clone()), "Standardize(mean, std)")
        for name in NAMES:
            if getattr(net, name, mean) is None:
                raise Wrong(
                    f"`self.{name}` is `None`: `register_buffer` returns nothing, so do not assign its result.",
                    came="None",
                    expected="a buffer",
                    at=make.__init__,
                )
        answer.same(net(X), (X - mean) / std, "net(X)")
        _buffers(net)
        answer.same(sorted(net.state_dict()), ["mean", "std"], "sorted(net.state_dict())")
        net.bfloat16()
        answer.given = "net.bfloat16()(X.bfloat16())"
        answer.same(
            net(X.bfloat16()).dtype, torch.bfloat16, "net(X).dtype", "The tensors are not cast with the net."
        )
        answer.given = "net.to('meta')"
        devices = {each.device.type for each in net.to("meta").buffers()}
        answer.same(devices, {"meta"}, "the device", "The tensors are not moved with the net.")
    answer.given = "net.load_state_dict(...) with the state of another net"
    net = make(torch.zeros(3), torch.ones(3))
    net.load_state_dict({"mean": mean, "std": std})
    answer.same(
        net(X),
        (X - mean) / std,
        "net(X)",
        "After loading, the net still computes with its old numbers: let `forward` use `self.mean` and `self.std`.",
    )


def _buffers(net: nn.Module) -> None:
    parameters, buffers = dict(net.named_parameters()), dict(net.named_buffers())
    for name in NAMES:
        if name not in parameters:
            continue
        if parameters[name].requires_grad:
            why = f"`{name}` is a parameter: an optimizer would train it. Register it as a buffer."
        else:
            why = (
                f"`{name}` is a parameter that is frozen, so `net.requires_grad_(True)` would make it trainable. "
                "A tensor that is never trained is a buffer."
            )
        raise Wrong(why, came="nn.Parameter", expected="nn.Buffer")
    plain = [f"`{name}`" for name in NAMES if name not in buffers]
    if plain and (others := sorted(set(buffers) - set(NAMES))):
        raise Wrong(
            f"The buffers have other names: a file saved with `mean` and `std` does not fit `{others[0]}`.",
            came=sorted(buffers),
            expected=list(NAMES),
        )
    if plain:
        if len(plain) == 2:
            why = "`mean` and `std` are plain attributes: `state_dict()`, `.to()` and casts do not find them."
        else:
            why = f"{plain[0]} is still a plain attribute: the other tensor is a buffer, but this one is not."
        raise Wrong(why, came=f"buffers {sorted(buffers)}", expected="buffers ['mean', 'std']")
    if lost := [name for name in NAMES if name not in net.state_dict()]:
        raise Wrong(
            f"`{lost[0]}` is a buffer but is not saved: `persistent=False` keeps it out of `state_dict()`.",
            came=list(net.state_dict()),
            expected=list(NAMES),
        )


WRONG = (
    WrongAnswer("an optimizer would train it", changes={"nn.Buffer": "nn.Parameter"}),
    WrongAnswer(
        "a parameter that is frozen",
        changes={
            "nn.Buffer(mean)": "nn.Parameter(mean, requires_grad=False)",
            "nn.Buffer(std)": "nn.Parameter(std, requires_grad=False)",
        },
    ),
    WrongAnswer("still a plain attribute", changes={"nn.Buffer(std)": "std"}),
    WrongAnswer(
        "`mean` and `std` are plain attributes",
        changes={
            "nn.Buffer(mean)": "mean",
            "nn.Buffer(std)": "std",
            "(X - self.mean) / self.std": "(X - self.mean.to(X)) / self.std.to(X)",
        },
    ),
    WrongAnswer(
        "keeps it out of `state_dict()`",
        changes={
            "nn.Buffer(mean)": "nn.Buffer(mean, persistent=False)",
            "nn.Buffer(std)": "nn.Buffer(std, persistent=False)",
        },
    ),
)
