"""Memory for training."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "devices.md#the-meta-device"
TASK = """
Write `training_bytes(make)`, which returns how many bytes it takes to train the net that `make()` returns, as an `int`.
Count every parameter, and for every one that is trained also its gradient and the two moments of Adam, which have its size and dtype.
A tied parameter counts once; buffers and the outputs of the layers are not counted.
The net may be too large for your computer, so it must not be built in memory.
"""
STUB = """\
import torch


def training_bytes(make): ...
"""
SOLUTION = """\
import torch


def training_bytes(make):
    with torch.device("meta"):
        net = make()
    total = 0
    for parameter in net.parameters():
        tensors = 4 if parameter.requires_grad else 1
        total += tensors * parameter.numel() * parameter.element_size()
    return total
"""
HINTS = (
    "Which device gives a tensor a shape and a dtype, but no memory?",
    "Read devices.md#the-meta-device: it computes the size of a net without its memory.",
    'Call `make()` in `with torch.device("meta"):`, and add up `parameter.numel() * parameter.element_size()`, four times if `parameter.requires_grad` is true.',
)
AFTER = """
The gradient and both moments are each as large as the parameter, so what is trained counts four times, and what is frozen counts once.
For the size of one, `parameter.nbytes` is the product of `numel()` and `element_size()`.
"""


def check(answer: Answer) -> None:
    """The numbers are right for several dtypes, frozen and tied parameters, and nothing is built in memory."""
    training_bytes = answer.function("training_bytes")
    nets: list[tuple[str, Callable[[], nn.Module]]] = [
        ("nn.Linear(2, 1), and nn.Linear(1, 1) in float64", two_dtypes),
        ("nn.Linear(3, 2)", lambda: nn.Linear(3, 2)),
        ("nn.Linear(3, 2), bfloat16", lambda: nn.Linear(3, 2, dtype=torch.bfloat16)),
        ("nn.BatchNorm1d(4)", lambda: nn.BatchNorm1d(4)),
        ("a net with tied weights", tied),
        ("nn.Linear(3, 2), frozen", lambda: nn.Linear(3, 2).requires_grad_(requires_grad=False)),
        ("a net with a frozen layer", partly_frozen),
    ]
    for words, make in nets:
        answer.given = f"make() returns {words}"
        probe = Probe(make)
        try:
            came = training_bytes(probe)
        except TypeError as error:
            if "unexpected keyword argument" in str(error) or "positional argument" in str(error):
                why = "`make` takes no arguments: call it as `make()`."
            elif "_method'" in str(error):
                why = "`numel` and `element_size` are methods: without parentheses, they are not called."
            else:
                raise
            raise Wrong(why, came=f"TypeError: {error}") from None
        if torch.get_default_device() != torch.device("cpu"):
            torch.set_default_device(None)
            why = "The default device is still the meta device after the call: a `with` block sets it for its lines only."
            raise Wrong(why, came="default device: meta", expected="default device: cpu")
        if not probe.calls:
            raise Wrong("`make` is never called: it is a function that builds the net.", came=came)
        if probe.real:
            raise Wrong(
                "`make()` builds the net in memory, and a large one does not fit. A move to the meta device afterward "
                "is too late.",
                came="parameters on the CPU",
                expected="parameters on the meta device",
            )
        sizes = [(each.numel(), each.nbytes, each.requires_grad) for each in make().parameters()]
        expected = sum(size * (4 if trained else 1) for _, size, trained in sizes)
        answer.same(came, expected, "training_bytes(make)", mistake(came, sizes, make()))


class Probe:
    """A function that makes a net, and remembers whether that took memory."""

    def __init__(self, make: Callable[[], nn.Module]) -> None:
        self.make = make
        self.calls = 0
        self.real = False

    def __call__(self) -> nn.Module:
        self.calls += 1
        made = torch.empty(0)
        self.real |= type(made) is Tensor and not made.is_meta  # a FakeTensor has another type
        return self.make()


def two_dtypes() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 1), nn.Linear(1, 1, dtype=torch.float64))


def partly_frozen() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1))
    net[0].requires_grad_(requires_grad=False)
    return net


def tied() -> nn.Module:
    net = nn.Sequential(nn.Embedding(5, 2), nn.Linear(2, 5, bias=False))
    net[1].weight = net[0].weight
    return net


def mistake(came: Any, sizes: list[tuple[int, int, bool]], net: nn.Module) -> str:
    """A sentence on the mistake that leads to this number; empty if it is none of the usual ones."""
    if came is None:
        return "`training_bytes(make)` is `None`: is there a `return` in each case?"
    if not isinstance(came, int):
        return "The number of bytes is not an `int`."
    if len(sizes) > 1 and came == sizes[0][1] * (4 if sizes[0][2] else 1):
        return (
            "Only one parameter is counted: is `return` inside the loop? Or are tensors told apart by `data_ptr()`, which "
            "is 0 for all on the meta device?"
        )
    total = sum(size for _, size, _ in sizes)
    trained = sum(size for _, size, trains in sizes if trains)
    state = sum(each.nbytes for each in net.state_dict().values())
    doubled = sum(each.nbytes for _, each in net.named_parameters(remove_duplicate=False))
    values = sum(number * (4 if trains else 1) for number, _, trains in sizes)
    if trained < total and came == 4 * total:
        return (
            "A frozen parameter has no gradient and no moments, so it counts once: look at `requires_grad`."
        )
    if trained < total and came == 4 * trained:
        return "A frozen parameter is in memory too: it counts once."
    if came == total + 2 * trained:
        return "One of four tensors is missing: parameter, gradient, and two moments."
    if trained and came == total + trained:
        return "The two moments of Adam are missing."
    if trained and came == total:
        return "Only the parameters are counted: a trained one also has a gradient and two moments."
    if came in (values, sum(number for number, _, _ in sizes)):
        return "This is a number of values, not of bytes: `element_size()` is the number of bytes per value."
    if came == 4 * values:
        return "Not every value has 4 bytes: `element_size()` tells how many it has."
    if doubled != total and came == 4 * doubled:
        return "A tied parameter counts twice here, but it is in memory once: `parameters()` gives it once."
    if state != total and came in (4 * state, state + 3 * trained):
        return "The buffers are counted, too: `state_dict()` has them, and `parameters()` does not."
    return "This is not the number of bytes of all parameters, gradients and moments; each gradient and moment has the dtype of its parameter."


WRONG = (
    WrongAnswer(
        "has the dtype of its parameter",
        changes={
            "total += tensors * parameter.numel() * parameter.element_size()": "total += parameter.nbytes + (tensors - 1) * parameter.numel() * 4"
        },
    ),
    WrongAnswer(
        "for its lines only",
        changes={'with torch.device("meta"):': 'if torch.set_default_device("meta") is None:'},
    ),
    WrongAnswer(
        "A move to the meta device afterward",
        changes={'    with torch.device("meta"):\n        net = make()': '    net = make().to("meta")'},
    ),
    WrongAnswer("`element_size()` is the number", changes={" * parameter.element_size()": ""}),
    WrongAnswer("Only one parameter is counted", changes={"    return total": "        return total"}),
    WrongAnswer("`make` takes no arguments", changes={"make()": 'make("meta")'}),
    WrongAnswer(
        "they are not called",
        changes={"parameter.numel() * parameter.element_size()": "parameter.numel * parameter.element_size"},
    ),
    WrongAnswer("Not every value has 4 bytes", changes={"parameter.element_size()": "4"}),
    WrongAnswer("so it counts once", changes={"4 if parameter.requires_grad else 1": "4"}),
    WrongAnswer("One of four tensors", changes={"4 if": "3 if"}),
    WrongAnswer(
        "The buffers are counted",
        changes={
            "net.parameters()": "net.state_dict().values()",
            "4 if parameter.requires_grad else 1": "4 if net.training else 1",
        },
    ),
)
