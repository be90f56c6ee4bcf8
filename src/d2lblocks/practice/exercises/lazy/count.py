"""Counting without memory."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "lazy.md#meta-device-and-skip_init"
TASK = """
How many parameters would a lazy net have for larger images?
Write `count(make, size)`: `make()` builds a lazy net for images with 3 channels, and the result is the number of values in all its parameters for images with height and width `size`.
Use no memory for the parameters or the images: create all of them on the meta device.
Leave the default device as it is.
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
Another way to do the dry run there: `apply_init(net, X)` of the package.
"""
EMPTIED = (
    '`.to("meta")` turns uninitialized parameters into empty ones: build the net on the meta device instead.'
)


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


def _frozen() -> nn.Module:
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(2), nn.Linear(2, 3))
    net[2].requires_grad_(False)
    return net


def _tied() -> nn.Module:
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(2), nn.Linear(2, 2), nn.Linear(2, 2))
    net[3].weight = net[2].weight
    return net


def check(answer: Answer) -> None:
    """The number is that of the formula, and neither the net nor its input was ever on the CPU."""
    count = answer.function("count")
    for text, build, size, expected in (
        ("nn.Flatten(), nn.LazyLinear(2)", _one, 4, (3 * 16 + 1) * 2),
        ("nn.Flatten(), nn.LazyLinear(2)", _one, 32, (3 * 1024 + 1) * 2),
        ("nn.LazyConv2d(4, 3, 2), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)", _several, 9, 112 + 8 + (4 * 16 + 1) * 5),
        ("nn.LazyConv2d(4, 3, 2), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)", _several, 33, 112 + 8 + (4 * 256 + 1) * 5),
        ("nn.Flatten(), nn.LazyLinear(2), nn.Linear(2, 3)) with its last layer frozen", _frozen, 4, (3 * 16 + 1) * 2 + 9),
        ("nn.Flatten(), nn.LazyLinear(2), nn.Linear(2, 2), nn.Linear(2, 2)) with one weight for its last two layers", _tied, 4, (3 * 16 + 1) * 2 + 8),
    ):  # fmt: skip
        answer.given = (
            f"make() returns nn.Sequential({text}{')' * (build not in (_frozen, _tied))}, size={size}"
        )
        came = _call(count, _Seen(build), size)
        if isinstance(came, Tensor):
            raise Wrong("`count(make, size)` is a tensor, not a number.", came=came, expected=expected)
        answer.kind(came, "count(make, size)", int, "a whole number")
        if came != expected:
            _refuse(came, expected, build, size)
    answer.given = "make() returns nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), size=4, with the default device set to the meta device"
    torch.set_default_device("meta")
    _call(count, _Seen(_one), 4)
    torch.set_default_device(None)


def _call(count: Callable[..., Any], seen: "_Seen", size: int) -> Any:
    """Call the function, and check where it created tensors."""
    default = torch.get_default_device()
    with _OnCpu(3 * size * size) as on_cpu:
        try:
            came = count(seen.make, size)
        except AssertionError as error:
            if "inferred from input" not in str(error):
                raise
            raise Wrong(EMPTIED, came=f"AssertionError: {error}", expected="a number") from error
        except RuntimeError:
            seen.check()
            raise
    if (now := torch.get_default_device()) != default:
        torch.set_default_device(None)
        why = f"The default device was {default.type} before the call and is {now.type} afterward."
        raise Wrong(why, came=f"default device: {now.type}", expected=f"default device: {default.type}")
    seen.check()
    if on_cpu.found and default.type == "cpu":
        raise Wrong(
            "A tensor as large as an image was created on the CPU, so it used memory.",
            came="a tensor on the CPU",
            expected="tensors on the meta device only",
        )
    return came


def _refuse(came: int, expected: int, build: Callable[[], nn.Module], size: int) -> None:
    """Raise `Wrong` for a wrong number."""
    net = build()
    seen = [each for each in _Seen.shapes if len(each) != 4 or each[1:] != (3, size, size)]
    frozen = sum(each.numel() for each in net.parameters() if not is_lazy(each) and not each.requires_grad)
    if came == 0:
        why = EMPTIED
    elif build is _several and came == expected + 9:
        why = (
            "This number includes the buffers: the state dict of a batch norm has its running statistics too."
        )
    elif frozen and came == expected - frozen:
        why = "This number leaves out the frozen parameters: it should be the number of values in all parameters."
    elif build is _tied and came == expected + 4:
        why = "A weight with two names is counted twice: `net.parameters()` gives it once."
    elif came == len(list(net.parameters())):
        why = "This is the number of parameters: add up how many values each one has."
    elif came == 4 * expected:
        why = "This is the number of bytes: each value has four of them."
    elif seen:
        why = f"The images have the shape {seen[0]}: a batch of images has the shape `(n, 3, size, size)`."
    else:
        why = "This is not the number of values in all parameters of the net."
    raise Wrong(why, came=came, expected=expected)


class _OnCpu(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records whether a tensor with so many values or more is created on the CPU."""

    def __init__(self, values: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values = values
        self.found = False

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.device.type == "cpu" and result.numel() >= self.values:
            self.found = True
        return result


class _Seen:
    """Builds a net, and records on which devices it was built and called."""

    shapes: ClassVar[list[tuple[int, ...]]] = []  # of the inputs of the last net

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        self.shapes.clear()
        self.build = build
        self.built: list[str] = []
        self.inputs: list[str] = []
        self.net: nn.Module | None = None

    def make(self, *args: object, **options: object) -> nn.Module:
        if args or options:
            why = "`make` takes no arguments: call `make()`, and use `size` for the images."
            raise Wrong(why, came="make with arguments", expected="make()")
        self.net = self.build()
        self.built.append(next(self.net.parameters()).device.type)
        self.net.register_forward_pre_hook(self.note)
        return self.net

    def note(self, net: nn.Module, args: tuple[Tensor, ...]) -> None:
        self.inputs.append(args[0].device.type)
        self.shapes.append(tuple(args[0].shape))

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
        "is counted twice",
        changes={"in net.parameters()": "in (p for m in net.modules() for p in m.parameters(recurse=False))"},
    ),
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
    WrongAnswer(
        "is cpu afterward",
        changes={
            '    with torch.device("meta"):': '    torch.set_default_device("meta")\n    if True:',
            "    return": '    torch.set_default_device("cpu")\n    return',
        },
    ),
    WrongAnswer("as large as an image", changes={"size, size)": 'size, size, device="cpu").to("meta")'}),
    WrongAnswer(
        "leaves out the frozen", changes={"net.parameters())": "net.parameters() if parameter.requires_grad)"}
    ),
    WrongAnswer("takes no arguments", changes={"make()": "make(size)"}),
    WrongAnswer("the number of parameters: add up", changes={"parameter.numel()": "1"}),
    WrongAnswer("The images have the shape", changes={"2, 3, size, size": "3, size, size"}),
    WrongAnswer("includes the buffers", changes={"net.parameters()": "net.state_dict().values()"}),
    WrongAnswer(
        "is meta afterward",
        changes={'with torch.device("meta"):': 'if torch.set_default_device("meta") is None:'},
    ),
    WrongAnswer(
        "is a tensor, not a number",
        changes={"return sum(parameter.numel()": "return sum(torch.tensor(parameter.numel())"},
    ),
)
