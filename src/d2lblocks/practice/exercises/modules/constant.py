"""A constant that stays behind."""

from typing import Any

import torch
from torch import Tensor, nn

from ...answer import Answer, Wrong, shown
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
There are two ways to write it: `self.mean = nn.Buffer(mean)`, and `self.register_buffer("mean", mean)`, which also works in old versions of PyTorch.
"""
NAMES = ("mean", "std")


def check(answer: Answer) -> None:
    """Both tensors are buffers and in the state dict, and what follows from it."""
    make: Any = answer.module_class("Standardize")
    X = torch.randn(4, 3)
    for size, dtype in ((1, torch.float32), (3, torch.float64), (3, torch.float32)):
        mean, std = torch.rand(size, dtype=dtype), torch.rand(size, dtype=dtype) / 10 + 0.05
        answer.given = f"Standardize(mean, std) with tensors of shape ({size},)"
        if dtype == torch.float64:
            answer.given += f" and dtype={dtype}"
        net = answer.module(_made(make, mean.clone(), std.clone()), "Standardize(mean, std)")
        for name in NAMES:
            if getattr(net, name, mean) is None:
                raise Wrong(
                    f"`self.{name}` is `None`: `register_buffer` returns nothing, so do not assign its result.",
                    came=f"self.{name} is None",
                    expected="a buffer",
                    at=make.__init__,
                )
        before = X.clone()
        _held(net, mean, std, make)
        came = answer.tensor(net(X), "net(X)")
        answer.same(X, before, "X", "`forward` changes its input `X`.", tolerance=0)
        _values(answer, came, X, mean, std)
        _buffers(net, make)
        if not net(X.clone().requires_grad_()).requires_grad:
            raise Wrong(
                "The result has no gradient for `X`: `forward` must not detach it or turn gradients off.",
                came="net(X).requires_grad is False",
                expected="True, if X.requires_grad is True",
            )
        net.bfloat16()
        answer.given = "net.bfloat16()(X.bfloat16())"
        answer.same(
            net(X.bfloat16()).dtype,
            torch.bfloat16,
            "net(X).dtype",
            "The result of a `bfloat16` net has another dtype: `forward` uses a tensor that is not cast with the net.",
        )
    answer.given = "net.load_state_dict(...) with the state of another net"
    net = make(torch.zeros(3), torch.ones(3))
    net.load_state_dict({"mean": mean, "std": std})
    answer.same(
        net(X),
        (X - mean) / std,
        "net(X)",
        "After loading, the net still computes with its old numbers: let `forward` use `self.mean` and `self.std`.",
    )
    answer.given = "net.to('meta')(X.to('meta'))"
    answer.same(
        net.to("meta")(X.to("meta")).device.type,
        "meta",
        "net(X).device",
        "The result of a net on another device is not there: `forward` uses a tensor that is not moved with the net.",
    )


def _made(make: Any, mean: Tensor, std: Tensor) -> Any:
    try:
        return make(mean, std)
    except TypeError as error:
        message = str(error)
        if "register_buffer" in message or "buffer name should be a string" in message:
            why = "`register_buffer` takes two arguments: the name, as a string, and the tensor."
        elif "Buffer" in message and "positional" in message:
            why = "`nn.Buffer` takes no name, only the tensor: the attribute to which it is assigned is its name."
        else:
            raise
        raise Wrong(why, came=message) from None


def _held(net: Any, mean: Tensor, std: Tensor, make: Any) -> None:
    """Refuse tensors with other values than the arguments, which a file saved with the old class would replace."""
    own, other = {"mean": mean, "std": std}, {"mean": std, "std": mean}
    for name in NAMES:
        tensor = getattr(net, name, None)
        if not isinstance(tensor, Tensor):
            continue
        if tensor.dtype != own[name].dtype:
            raise Wrong(
                f"`net.{name}` has another dtype than the argument `{name}`: keep the tensor as it is.",
                came=f"{tensor.dtype}",
                expected=f"{own[name].dtype}",
                at=make.__init__,
            )
        if torch.equal(tensor.detach(), own[name]):
            continue
        why = f"`net.{name}` does not hold the values of the argument `{name}`."
        if torch.equal(tensor.detach(), other[name]):
            why = f"`net.{name}` holds the argument `{'std' if name == 'mean' else 'mean'}`."
        raise Wrong(
            why,
            came=f"net.{name} is {shown(tensor)}",
            expected=f"net.{name} is {shown(own[name])}",
            at=make.__init__,
        )


def _values(answer: Answer, came: Tensor, X: Tensor, mean: Tensor, std: Tensor) -> None:
    """Refuse other numbers than `(X - mean) / std`, and say which they are."""
    stories = {
        "`forward` adds something to `std`: divide by `std` itself.": (X - mean) / (std + 1e-5),
        "`forward` subtracts `std` and divides by `mean`: it is the other way round.": (X - std) / mean,
        "Only the mean is divided by `std`, because a division comes before a subtraction: put the subtraction in "
        "parentheses.": X - mean / std,
        "`forward` multiplies by `std`, and it has to divide.": (X - mean) * std,
        "`forward` adds the mean, and it has to subtract it.": (X + mean) / std,
        "`forward` does not divide by `std`.": X - mean,
        "`forward` does not subtract `mean`.": X / std,
        "`forward` uses the mean and the deviation of its input, not the tensors `mean` and `std`.": (
            X - X.mean(dim=0)
        )
        / X.std(dim=0),
    }
    why = [
        each
        for each, value in stories.items()
        if (value.shape, value.dtype) == (came.shape, came.dtype) and torch.allclose(came, value)
    ]
    why.append("`forward` has to return `(X - self.mean) / self.std`.")
    answer.same(came, (X - mean) / std, "net(X)", why[0])


def _buffers(net: nn.Module, make: Any) -> None:
    parameters, buffers = dict(net.named_parameters()), dict(net.named_buffers())
    came, expected = f"the buffers {sorted(buffers)}", "the buffers ['mean', 'std']"
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
        raise Wrong(
            why, came=f"self.{name} is an nn.Parameter", expected=f"self.{name} is a buffer", at=make.__init__
        )
    plain = [f"`{name}`" for name in NAMES if name not in buffers]
    if plain and (others := sorted(set(buffers) - set(NAMES))):
        raise Wrong(
            f"The buffers have other names: a file saved with `mean` and `std` does not fit `{others[0]}`.",
            came=came,
            expected=expected,
            at=make.__init__,
        )
    if plain:
        if len(plain) == 2:
            why = "`mean` and `std` are plain attributes: `state_dict()`, `.to()` and casts do not find them."
        else:
            why = f"{plain[0]} is still a plain attribute: the other tensor is a buffer, but this one is not."
        raise Wrong(why, came=came, expected=expected, at=make.__init__)
    saved = list(net.state_dict())
    if lost := [name for name in NAMES if name not in saved]:
        why = f"`{lost[0]}` is a buffer but is not saved: `persistent=False` keeps it out of `state_dict()`."
    elif more := [name for name in saved if name not in NAMES]:
        why = f"`net.state_dict()` has one more entry, `{more[0]}`."
    else:
        return
    raise Wrong(why, came=f"the entries {saved}", expected="the entries ['mean', 'std']", at=make.__init__)


WRONG = (
    WrongAnswer("holds the argument `std`", changes={"(mean)\n": "(std)\n", "(std)\n\n": "(mean)\n\n"}),
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
        "does not hold the values of the argument `std`",
        changes={"nn.Buffer(std)": "nn.Buffer(1 / std)", "(X - self.mean) /": "(X - self.mean) *"},
    ),
    WrongAnswer(
        "keeps it out of `state_dict()`",
        changes={
            "nn.Buffer(mean)": "nn.Buffer(mean, persistent=False)",
            "nn.Buffer(std)": "nn.Buffer(std, persistent=False)",
        },
    ),
    WrongAnswer("adds something to `std`", changes={"/ self.std": "/ (self.std + 1e-5)"}),
)
