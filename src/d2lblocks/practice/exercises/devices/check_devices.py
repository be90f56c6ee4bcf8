"""A test for devices, without a GPU."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "devices.md#the-meta-device"
TASK = """
Write `check_devices(make, *shape)`, a test that needs no GPU.
`make()` builds a module as usual, on the CPU; its input has the shape `shape`, and its output is one tensor.
The test raises an error if the module would mix devices on a GPU.
There are three cases: `forward` creates a tensor on the CPU and computes with it, `forward` returns such a tensor, or the module keeps a constant as a plain attribute, which does not move with it.
Otherwise, it returns `None`; a number such as `torch.tensor(2.0)` may be on the CPU.
"""
STUB = """\
import torch


def check_devices(make, *shape): ...
"""
SOLUTION = """\
import torch


def check_devices(make, *shape):
    net = make().to("meta")
    Y = net(torch.empty(*shape, device="meta"))
    assert Y.is_meta, f"the output is on {Y.device}"
"""
HINTS = (
    "Which device takes the place of a GPU, and what does PyTorch do with two tensors on two devices?",
    "Read devices.md#the-meta-device, and devices.md#the-constant-stays-on-the-cpu-a-plain-attribute for what a move leaves behind.",
    'Move the module with `.to("meta")`, call it with `torch.empty(*shape, device="meta")`, and `assert` that the output `is_meta`.',
)
AFTER = """
A move to the meta device leaves behind what a move to a GPU would leave behind, and an operation on two devices raises an error.
A CPU tensor that is returned raises none, so the test also looks at the device of the output.
In PyTorch 2.13, convolutions and some matrix products accept a CPU tensor with a meta tensor, so the test misses a constant that only goes into those.
"""


class Follows(nn.Module):
    def forward(self, X: Tensor) -> Tensor:
        return X + torch.rand_like(X)


class Creates(nn.Module):
    def forward(self, X: Tensor) -> Tensor:
        return X + torch.rand(X.shape)


class Returns(nn.Module):
    def forward(self, X: Tensor) -> Tensor:
        return torch.zeros(X.shape)


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.ones(3)

    def forward(self, X: Tensor) -> Tensor:
        return X + self.shift


class Buffered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Buffer(torch.ones(3))

    def forward(self, X: Tensor) -> Tensor:
        return (X + self.shift) * torch.tensor(2.0)  # a number, which PyTorch accepts on the CPU


class Number(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.tensor(2.0)

    def forward(self, X: Tensor) -> Tensor:
        return X * self.factor


RIGHT: tuple[tuple[str, Callable[[], nn.Module]], ...] = (
    ("nn.Linear(3, 2)", lambda: nn.Linear(3, 2)),
    ("a module with `X + torch.rand_like(X)`", Follows),
    ("a module that adds a buffer, and multiplies by `torch.tensor(2.0)`", Buffered),
    ("a module with `self.factor = torch.tensor(2.0)`, a number", Number),
)
MIXED: tuple[tuple[str, Callable[[], nn.Module], str], ...] = (
    (
        "a module with `X + torch.rand(X.shape)`",
        Creates,
        "`forward` creates a tensor on the CPU, and the test does not notice: the input has to be on the meta device, "
        "and the call outside of `with torch.device(...)`, which would create every tensor there.",
    ),
    (
        "a module with `return torch.zeros(X.shape)`",
        Returns,
        "The output is on the CPU, and the test does not notice: without an operation on two devices there is no error, "
        "so look at the device of the output.",
    ),
    (
        "a module with `self.shift = torch.ones(3)` and `X + self.shift`",
        Plain,
        "A constant in a plain attribute is not noticed: in `with torch.device(...)` it is created on the meta device "
        "like the rest. Build the module on the CPU and move it, as you would to a GPU.",
    ),
)


def check(answer: Answer) -> None:
    """Right modules pass, those that mix devices do not, alone and in a chain."""
    test: Any = answer.function("check_devices")
    for shape in (3,), (2, 3), (2, 4, 3):
        for words, make in RIGHT:
            answer.given = f"{words}, shape {shape}"
            seen: list[Tensor] = []
            try:
                came = test(watched(make, seen), *shape)
            except (AssertionError, RuntimeError) as error:
                if "CUDA" in str(error).upper():
                    raise
                why = (
                    "The test refuses a module that is right: build it on the CPU, move it as a whole, and call it with an "
                    "input on the same device."
                )
                if make is Number and shape == (3,):
                    why = "The test refuses a number, which may be on the CPU: an operation accepts it with tensors on any device."
                raise Wrong(
                    why,
                    came=f"{type(error).__name__}: {error}",
                    expected="no error",
                ) from error
            if not seen:
                raise Wrong("The test does not call the module, so it cannot see what `forward` does.")
            if type(seen[0]) is Tensor and not seen[0].is_meta:
                raise Wrong(
                    "The module is called with an input on the CPU, and there, nothing can be on two devices: which device "
                    "takes the place of a GPU?",
                    came=f"an input on {seen[0].device}",
                    expected="an input on meta",
                )
            if tuple(seen[0].shape) != shape:
                raise Wrong(
                    "The input has another shape than the one that was passed.",
                    came=tuple(seen[0].shape),
                    expected=shape,
                )
            if came is not None:
                raise Wrong(
                    "The test returns something: a test passes silently and fails with an error, for example from `assert`.",
                    came=came,
                    expected="None",
                )
        for words, make, why in MIXED:
            refused(answer, test, words, make, shape, why)
    for words, make, why in MIXED:
        refused(answer, test, f"nn.Linear(3, 3) and {words}", chain(make), (2, 3), why)


def watched(make: Callable[[], nn.Module], seen: list[Tensor]) -> Callable[[], nn.Module]:
    """A function that makes the module, and puts its inputs into the list."""

    def made() -> nn.Module:
        net = make()
        net.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        return net

    made.__qualname__ = "make"  # the name in error messages
    return made


def chain(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(3, 3), make())


def refused(
    answer: Answer, test: Any, words: str, make: Callable[[], nn.Module], shape: tuple[int, ...], why: str
) -> None:
    """Raise `Wrong` unless the test raises an error."""
    answer.given = f"{words}, shape {shape}"
    calls: list[Tensor] = []
    results: list[Tensor] = []

    def noting() -> nn.Module:
        net = watched(make, calls)()
        net.register_forward_hook(lambda *args: results.append(args[-1]))
        return net

    try:
        came = test(noting, *shape)
    except Exception:
        return
    if len(calls) > len(results) and came is not False:
        why = "The call of the module raises an error, as it should, but the test catches it: let it go on."
    if came is False:
        why = "The test returns `False` where it has to raise an error, so nobody notices: use `assert`."
    raise Wrong(why, came="no error", expected="an error")


WRONG = (
    WrongAnswer(
        "but the test catches it",
        changes={
            '    Y = net(torch.empty(*shape, device="meta"))\n    assert Y': '    try:\n        Y = net(torch.empty(*shape, device="meta"))\n    except RuntimeError as error:\n        return print(error)\n    assert Y'
        },
    ),
    WrongAnswer(
        "the test does not notice: without",
        changes={'    assert Y.is_meta, f"the output is on {Y.device}"\n': "    assert Y is not None\n"},
    ),
    WrongAnswer(
        "A constant in a plain attribute",
        changes={'    net = make().to("meta")': '    with torch.device("meta"):\n        net = make()'},
    ),
    WrongAnswer(
        "and the call outside of",
        changes={
            '    net = make().to("meta")\n    Y = net(torch.empty(*shape, device="meta"))': '    with torch.device("meta"):\n        net = make()\n        Y = net(torch.empty(*shape))'
        },
    ),
    WrongAnswer(
        "returns something", changes={'assert Y.is_meta, f"the output is on {Y.device}"': "return Y.is_meta"}
    ),
    WrongAnswer(
        "refuses a number",
        changes={
            "    Y = net(": "    for module in net.modules():\n        assert all(value.is_meta for value in vars(module).values() if isinstance(value, torch.Tensor))\n    Y = net("
        },
    ),
    WrongAnswer(
        "which device takes the place",
        changes={
            '    net = make().to("meta")\n    Y = net(torch.empty(*shape, device="meta"))\n    assert Y.is_meta, f"the output is on {Y.device}"': "    make()(torch.rand(*shape))"
        },
    ),
    WrongAnswer(
        "does not call the module",
        changes={
            '    Y = net(torch.empty(*shape, device="meta"))\n    assert Y.is_meta, f"the output is on {Y.device}"': "    assert all(each.is_meta for each in net.parameters())"
        },
    ),
)
