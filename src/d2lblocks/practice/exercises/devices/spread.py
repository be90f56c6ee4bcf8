"""Devices for several nets."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "devices.md#device-names-and-indices"
TASK = """
You train n nets, and each one needs a device.
Write `spread(n)`, which returns a list of n devices, each a `torch.device`: GPU number 0, number 1 and so on, and after the last GPU number 0 again.
If there is no GPU, every device is the CPU.
It works for every type of GPU that `torch.accelerator` knows.
"""
STUB = """\
import torch


def spread(n): ...
"""
SOLUTION = """\
import torch


def spread(n):
    count = torch.accelerator.device_count()
    if count == 0:
        return [torch.device("cpu")] * n
    kind = torch.accelerator.current_accelerator().type
    return [torch.device(kind, i % count) for i in range(n)]
"""
HINTS = (
    "How many GPUs are there, and which number does net number 5 get if there are two?",
    "Read devices.md#device-names-and-indices: `torch.accelerator` knows the type and the number of devices.",
    "With `count = torch.accelerator.device_count()`, net `i` gets `torch.device(kind, i % count)`; `kind` is the `type` of `torch.accelerator.current_accelerator()`.",
)
AFTER = """
Each GPU is named by its type, which `torch.accelerator` knows, and its number, which begins again at 0 after the last one; without a GPU, there is only the CPU.
With the library's `devices = try_all_gpus()`, `[devices[i % len(devices)] for i in range(n)]` is all that is needed.
"""


def check(answer: Answer) -> None:
    """The devices are right on machines without GPUs, and with one or more GPUs of several brands."""
    spread = answer.function("spread")
    machines = ((None, 0), ("cuda", 0), ("cuda", 1), ("cuda", 2), ("xpu", 3), ("mps", 1))
    for brand, count in machines:
        for n in 1, 2, 5:
            answer.given = f"n = {n}, number of GPUs: {count}" + (f", type {brand}" if count else "")
            with machine(answer, brand, count):
                try:
                    came = spread(n)
                except TypeError as error:
                    if "must be str, not torch.device" not in str(error):
                        raise
                    why = "`current_accelerator()` is a device: the type of the GPU, such as `cuda`, is its attribute `type`."
                    raise Wrong(why, came=f"TypeError: {error}", expected="a type and a number") from error
                except (AttributeError, ZeroDivisionError) as error:
                    if count or "argument" in str(error):
                        raise
                    raise Wrong(
                        "Without a GPU, `current_accelerator()` can be `None`, and the count is 0: handle this case first.",
                        came=f"{type(error).__name__}: {error}",
                        expected=[torch.device("cpu")] * n,
                    ) from error
            expected = [
                torch.device(str(brand), i % count) if count else torch.device("cpu") for i in range(n)
            ]
            answer.same(came, expected, "spread(n)", mistake(came, expected, count))


@contextlib.contextmanager
def machine(answer: Answer, brand: str | None, count: int) -> Iterator[None]:
    """Let PyTorch believe that the machine has so many GPUs."""
    type_ = None if brand is None else torch.device(brand)

    def current_accelerator(check_available: bool = False) -> torch.device | None:
        return None if check_available and not count else type_

    fakes: dict[Any, Any] = {
        (torch.accelerator, "current_accelerator"): current_accelerator,
        (torch.accelerator, "device_count"): lambda: count,
        (torch.accelerator, "is_available"): lambda: count > 0,
        (torch.accelerator, "current_device_index"): lambda: count - 1,
    }
    for each, module in (("cuda", torch.cuda), ("xpu", torch.xpu), ("mps", torch.mps)):
        number = count if each == brand else 0
        fakes[module, "device_count"] = lambda number=number: number
        fakes[module, "is_available"] = lambda number=number: number > 0
    with contextlib.ExitStack() as stack:
        known = {
            getattr(module, name): fake for (module, name), fake in fakes.items() if hasattr(module, name)
        }
        for (module, name), fake in fakes.items():
            stack.enter_context(mock.patch.object(module, name, fake, create=True))
        own: Any = answer.names  # what the file imported by name
        imported = {name: known[value] for name, value in own.items() if callable(value) and value in known}
        stack.enter_context(mock.patch.dict(own, imported))
        yield


def mistake(came: Any, expected: list[torch.device], count: int) -> str:
    """A sentence on the mistake that leads to these devices; empty if it is none of the usual ones."""
    if not isinstance(came, list):
        return (
            "`spread(n)` is `None`: is there a `return` in each case?"
            if came is None
            else "`spread(n)` is not a list."
        )
    if any(isinstance(each, str) for each in came):
        return "These are strings: `torch.device(...)` makes a device of a name."
    if len(came) != len(expected):
        return f"The list has {len(came)} device{'s' * (len(came) != 1)} for {len(expected)} net{'s' * (len(expected) != 1)}."
    if not all(isinstance(each, torch.device) for each in came):
        return "Not every element of the list is a `torch.device`."
    types = {each.type for each in came}
    if not count and types == {"cpu"}:
        return 'The CPU is one device without a number: `torch.device("cpu")`.'
    if not count:
        return (
            "There is no GPU: ask for the number of devices, because a build of PyTorch knows its type of GPU even on "
            "a machine that has none."
        )
    if "cpu" in types and len(types) > 1:
        return "A net gets the CPU although there is a GPU: after the last GPU, number 0 gets another net."
    if types == {"cpu"} and expected[0].type == "cuda":
        return "There is a GPU, and every net gets the CPU. One GPU is enough, and the function has to ask `torch.accelerator` each time that it is called."
    if types != {expected[0].type}:
        return "The type of the GPU is not always `cuda`: `torch.accelerator` knows the type and the number."
    if any(each.index is None for each in came):
        return "A device without a number means the current GPU, so all nets would be on one: pass the index."
    if any(each.index >= count for each in came):
        return "There is no GPU with this number: count from 0, and begin again after the last one."
    if sorted(map(str, came)) == sorted(map(str, expected)):
        return "The order is another one: take all GPUs in turn before the first gets its second net."
    if came[0].index != 0:
        return "The first net has to get GPU number 0."
    return "The nets are not spread over the GPUs in turn: after number 0 comes number 1, and after the last one number 0."


WRONG = (
    WrongAnswer("no GPU with this number", changes={"i % count": "i"}),
    WrongAnswer(
        "even on a machine that has none",
        changes={
            "    if count == 0:": "    if torch.accelerator.current_accelerator() is None:",
            "i % count": "i % max(count, 1)",
        },
    ),
    WrongAnswer(
        "handle this case first",
        changes={'    if count == 0:\n        return [torch.device("cpu")] * n\n': ""},
    ),
    WrongAnswer(
        "is not always `cuda`", changes={"torch.device(kind, i % count)": 'torch.device("cuda", i % count)'}
    ),
    WrongAnswer("is its attribute `type`", changes={"current_accelerator().type": "current_accelerator()"}),
    WrongAnswer(
        "each time that it is called",
        changes={
            "    count = torch": "    count = COUNT\n    # count = torch",
            "import torch\n": "import torch\n\nCOUNT = torch.accelerator.device_count()\n",
        },
    ),
    WrongAnswer("without a number", changes={"torch.device(kind, i % count)": "torch.device(kind)"}),
    WrongAnswer("first net has to get", changes={"for i in range(n)": "for i in range(1, n + 1)"}),
    WrongAnswer("device for 2 nets", changes={"* n": ""}),
    WrongAnswer("These are strings", changes={"torch.device(kind, i % count)": 'f"{kind}:{i % count}"'}),
)
