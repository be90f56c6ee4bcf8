"""Counting without memory."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "lazy.md#meta-device-and-skip_init"
TASK = """
How many parameters would a lazy net have for larger images?
Write `count(make, size)`: `make()` builds a lazy net for images with 3 channels, and the result is the number of values in all its parameters for images with height and width `size`.
Use no memory for the parameters or the images: do everything on the meta device, and leave the default device as it is.
"""
STUB = """\
import torch


def count(make, size):
    net = make()
    net(torch.empty(2, 3, size, size))
    return sum(parameter.numel() for parameter in net.parameters())
"""
SOLUTION = """\
import torch


def count(make, size):
    with torch.device("meta"):
        net = make()
        net(torch.empty(2, 3, size, size))
    return sum(parameter.numel() for parameter in net.parameters())
"""
HINTS = (
    "What does a tensor on the meta device have, and what does it not have?",
    "Read lazy.md#meta-device-and-skip_init: what `with torch.device(...)` does. Why not `.to(...)`: see lazy.md#the-lazy-layers-parameters-have-shape-0.",
    'Put `net = make()` and the dry run under `with torch.device("meta"):`.',
)
AFTER = """
On the meta device, tensors have shapes but no memory, and a dry run needs nothing but shapes.
`apply_init(net, X)` and `parameter_table(net).trainable_values` of the package would do as well.
"""


def _one() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(2))


def _several() -> nn.Module:
    return nn.Sequential(
        nn.LazyConv2d(4, kernel_size=3, stride=2),
        nn.LazyBatchNorm2d(),
        nn.ReLU(),
        nn.Flatten(),
        nn.LazyLinear(5),
    )


def check(answer: Answer) -> None:
    """The number is that of the formula, and neither the net nor its input was ever on the CPU."""
    count = answer.function("count")
    for text, build, size, expected in (
        ("nn.Flatten(), nn.LazyLinear(2)", _one, 4, (3 * 16 + 1) * 2),
        ("nn.Flatten(), nn.LazyLinear(2)", _one, 32, (3 * 1024 + 1) * 2),
        ("nn.LazyConv2d(4, 3, 2), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)", _several, 9, 112 + 8 + (4 * 16 + 1) * 5),
        ("nn.LazyConv2d(4, 3, 2), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)", _several, 33, 112 + 8 + (4 * 256 + 1) * 5),
    ):  # fmt: skip
        answer.given = f"make() returns nn.Sequential({text}), size={size}"
        seen = _Seen(build)
        try:
            came = count(seen.make, size)
        except RuntimeError:
            seen.check()
            raise
        if torch.empty(0).is_meta:
            torch.set_default_device("cpu")
            why = 'The default device is still the meta device: use `with torch.device("meta"):`, which ends with its block.'
            raise Wrong(why, came="meta", expected="cpu")
        seen.check()
        if isinstance(came, Tensor):
            raise Wrong("`count(make, size)` is a tensor, not a number.", came=came, expected=expected)
        answer.kind(came, "count(make, size)", int, "a whole number")
        buffers = 9 if build is _several else 0
        if came == 0 and expected:
            why = '`.to("meta")` turns uninitialized parameters into empty ones: build the net on the meta device instead.'
        elif buffers and came == expected + buffers:
            why = "This number includes the buffers: the state dict of a batch norm has its running statistics too."
        else:
            why = "This is not the number of values in all parameters of the net."
        answer.same(came, expected, "count(make, size)", why)


class _Seen:
    """Builds a net, and records on which devices it was built and called."""

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        self.build = build
        self.built: list[str] = []
        self.inputs: list[str] = []
        self.net: nn.Module | None = None

    def make(self) -> nn.Module:
        self.net = self.build()
        self.built.append(next(self.net.parameters()).device.type)
        self.net.register_forward_pre_hook(lambda _, args: self.inputs.append(args[0].device.type))
        return self.net

    def check(self) -> None:
        if self.net is None:
            raise Wrong("`count` does not call `make()`.", came="no call", expected="one call")
        emptied = all(tensor.is_meta and not is_lazy(tensor) for tensor in self.net.parameters())
        if "cpu" in self.built and not (emptied and not self.inputs):
            raise Wrong(
                "The net was built on the CPU, so its parameters get memory at the first batch: call `make()` under "
                '`with torch.device("meta"):`.',
                came="a net on the CPU",
                expected="a net on the meta device",
            )
        if "cpu" in self.inputs:
            raise Wrong(
                "The images are on the CPU, so they use memory: create them on the meta device too.",
                came="images on the CPU",
                expected="images on the meta device",
            )
        if not self.inputs and not emptied:
            raise Wrong(
                "The net is not called, so it does not have its shapes yet: do a dry run.",
                came="no call",
                expected="a dry run on the meta device",
            )


WRONG = (
    WrongAnswer(
        "The net was built on the CPU",
        changes={
            '    with torch.device("meta"):\n        net = make()\n        net(': "    net = make()\n    net("
        },
    ),
    WrongAnswer("The images are on the CPU", changes={"size, size)": 'size, size, device="cpu")'}),
    WrongAnswer(
        "into empty ones",
        changes={
            '    with torch.device("meta"):\n        net = make()\n        net(torch.empty(2, 3, size, size))': '    net = make().to("meta")'
        },
    ),
    WrongAnswer("includes the buffers", changes={"net.parameters()": "net.state_dict().values()"}),
    WrongAnswer(
        "default device is still",
        changes={'with torch.device("meta"):': 'if torch.set_default_device("meta") is None:'},
    ),
    WrongAnswer(
        "is a tensor, not a number",
        changes={"return sum(parameter.numel()": "return sum(torch.tensor(parameter.numel())"},
    ),
)
