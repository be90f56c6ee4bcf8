"""Parameters on any device."""

from typing import Any
from unittest import mock

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "devices.md#move-a-net"
TASK = """
Read and write a parameter of a net, wherever the net is and whatever its dtype.
`read(net, name)` returns the values of the parameter with this name, such as `"0.weight"`, as a nested list of numbers.
`write(net, name, values)` writes such a list into the parameter, as exactly as its dtype allows.
The parameter remains the same object on the same device, and autograd notices the write.
"""
STUB = """\
import torch


def read(net, name): ...


def write(net, name, values): ...
"""
SOLUTION = """\
import torch


def read(net, name):
    return net.get_parameter(name).tolist()


def write(net, name, values):
    parameter = net.get_parameter(name)
    with torch.no_grad():
        parameter.copy_(parameter.new_tensor(values))
"""
HINTS = (
    "Which method of a module returns the parameter with a given name, and which method of a tensor returns a list?",
    "Read parameters.md#changing-values for writing in place, and devices.md#create-and-move-tensors for creating a tensor where another one is.",
    "In `write`, `parameter.copy_(...)` under `torch.no_grad()`; `parameter.new_tensor(values)` has the device and the dtype of the parameter.",
)
AFTER = """
The values go into the memory of the parameter, on whatever device that is, and autograd notices the write.
Under `torch.no_grad()`, two ways do this: `parameter.copy_(...)`, and an assignment to an index, `parameter[...] = ...`; both copy the values to the right device.
"""


def check(answer: Answer) -> None:
    """Values are read and written exactly, into the same parameter, which works on each device."""
    nets = (
        ("nn.Linear(2, 1)", nn.Linear(2, 1), "weight"),
        ("nn.Linear(3, 2)", nn.Linear(3, 2), "bias"),
        ("nested blocks", nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 2))), "1.0.weight"),
        ("nn.Linear(2, 1) in float64", nn.Linear(2, 1, dtype=torch.float64), "weight"),
        ("nn.Linear(2, 1) in bfloat16, frozen", nn.Linear(2, 1, dtype=torch.bfloat16), "weight"),
    )
    nets[-1][1].requires_grad_(requires_grad=False)
    with mock.patch.object(nn.Module, "_apply", moved):
        _check(answer, nets)


def _check(answer: Answer, nets: tuple[tuple[str, nn.Module, str], ...]) -> None:
    read: Any = answer.function("read")
    for words, net, name in nets:
        answer.given = f'{words}, name "{name}"'
        try:
            came = read(net, name)
        except (RuntimeError, TypeError) as error:
            if "numpy()" not in str(error) and "ScalarType BFloat16" not in str(error):
                raise
            why = "`numpy()` needs a tensor without a gradient, on the CPU and with a dtype that NumPy has; `tolist()` needs none of this."
            raise Wrong(
                why, came=f"{type(error).__name__}: {error}", expected=net.get_parameter(name).tolist()
            ) from None
        except AttributeError as error:
            if "." not in name:
                raise
            raise Wrong(
                "A name with dots is a path through nested modules, not the name of an attribute: `get_parameter` follows it.",
                came=f"AttributeError: {error}",
                expected=net.get_parameter(name).tolist(),
                page="parameters.md#parameters-of-nested-modules",
            ) from error
        if came is None:
            answer.kind(came, "read(net, name)", list, "a list")
        why = "`read` does not return the nested list of the values."
        if isinstance(came, list) and any(isinstance(each, torch.Tensor) for each in came):
            why = "The elements of the list are still tensors: `list(...)` splits only the first dimension."
        elif isinstance(came, list) and came == net.get_parameter(name).flatten().tolist():
            why = "The list is flat: for a parameter with two dimensions, it has to be a list of lists."
        elif isinstance(came, list) and came == net.get_parameter(name).float().tolist():
            why = "The values went through `float32`, which keeps about 7 digits, and the parameter is `float64`."
        elif isinstance(came, torch.Tensor):
            why = "`read` returns a tensor, which stays on its device: `tolist` gives numbers."
        answer.same(came, net.get_parameter(name).tolist(), "read(net, name)", why)
    write: Any = answer.function("write")
    for words, net, name in nets:
        parameter = net.get_parameter(name)
        values = torch.rand(parameter.shape, dtype=torch.float64).tolist()
        answer.given = f'{words}, name "{name}", values {values}'
        written(write, net, name, values)
        expected = torch.tensor(values, dtype=parameter.dtype)
        why = "The parameter has other values than those that were written."
        if torch.allclose(parameter.double(), expected.double()):
            why = "The values went through `float32`, which keeps about 7 digits, and the parameter is `float64`: `torch.tensor(values)` is `float32` unless you pass a `dtype`."
        answer.same(parameter.tolist(), expected.tolist(), name, why)


def moved(net: nn.Module, *_: Any, **__: Any) -> Any:
    """What `net.to(...)`, `net.cpu()` or `net.float()` calls."""
    raise Wrong(
        "The whole net is moved or converted, as by `net.to(...)`: it has to stay as and where it is.",
        came="a call such as `net.cpu()`",
        expected="no such call",
    )


def written(write: Any, net: nn.Module, name: str, values: list[Any]) -> None:
    """Write, and raise `Wrong` unless the parameter is still the same, and its version is a later one."""
    parameter = net.get_parameter(name)
    before: Any = (parameter.dtype, str(parameter.device), parameter.data_ptr())
    trained = parameter.requires_grad
    version, old = parameter._version, parameter.detach().clone()
    write(net, name, values)
    if net.get_parameter(name) is not parameter:
        raise Wrong(
            "The net has another parameter now, and an optimizer still has the old one.",
            came="a new nn.Parameter",
            expected="the same nn.Parameter with other values",
            page="parameters.md#replacing-a-layer-after-the-optimizer-is-built",
        )
    if before != (parameter.dtype, str(parameter.device), parameter.data_ptr()):
        raise Wrong(
            "`.data = ...` puts another tensor into the parameter, with its own device, dtype and shape.",
            came=f"{parameter.dtype} on {parameter.device}, in new memory",
            expected=f"{before[0]} on {before[1]}, in the same memory",
            page="parameters.md#assigning-to-data-hides-a-wrong-shape",
        )
    if parameter.requires_grad != trained:
        raise Wrong(
            f"`write` {'freezes the parameter' if trained else 'lets a frozen parameter be trained'}.",
            came=f"requires_grad is {parameter.requires_grad}",
            expected=f"requires_grad is {trained}",
        )
    if torch.equal(parameter, old):
        raise Wrong(
            "`write` does not change the parameter. (An assignment such as `parameter = ...` only gives the name to another tensor.)",
            came=f"{name}: {parameter.tolist()}",
            expected=f"{name}: {values}",
        )
    if parameter._version == version:
        raise Wrong(
            "Autograd does not notice a write through `.data`: a backward pass that needs the old values would silently "
            "use the new ones. Write under `torch.no_grad()`.",
            came="the parameter is at the same version",
            expected="a later version",
            page="parameters.md#the-gradient-is-wrong-and-there-is-no-error",
        )


WRONG = (
    WrongAnswer(
        "The whole net is moved", changes={"return net.get_parameter": "return net.cpu().get_parameter"}
    ),
    WrongAnswer(
        "lets a frozen parameter",
        changes={
            "    with torch.no_grad():\n        parameter.copy_(parameter.new_tensor(values))": "    parameter.requires_grad_(False)\n    parameter.copy_(parameter.new_tensor(values))\n    parameter.requires_grad_(True)"
        },
    ),
    WrongAnswer(
        "turns gradients off and leaves them off",
        changes={"    with torch.no_grad():\n        ": "    torch.set_grad_enabled(False)\n    "},
    ),
    WrongAnswer(
        "still tensors", changes={"net.get_parameter(name).tolist()": "list(net.get_parameter(name))"}
    ),
    WrongAnswer("is flat", changes={".tolist()": ".flatten().tolist()"}),
    WrongAnswer("needs none of this", changes={".tolist()": ".numpy().tolist()"}),
    WrongAnswer(
        "does not change the parameter",
        changes={"parameter.copy_(parameter.new_tensor(values))": "parameter = parameter.new_tensor(values)"},
    ),
    WrongAnswer("returns a tensor", changes={".tolist()": ".detach()"}),
    WrongAnswer(
        "puts another tensor into the parameter",
        changes={
            "    with torch.no_grad():\n        parameter.copy_(parameter.new_tensor(values))": "    parameter.data = torch.tensor(values)"
        },
    ),
    WrongAnswer(
        "Autograd does not notice",
        changes={"    with torch.no_grad():\n        parameter.copy_": "    parameter.data.copy_"},
    ),
    WrongAnswer("went through `float32`", changes={"parameter.new_tensor(values)": "torch.tensor(values)"}),
    WrongAnswer(
        "still has the old one",
        changes={
            "    with torch.no_grad():\n        parameter.copy_(parameter.new_tensor(values))": "    module, _, last = name.rpartition('.')\n    new = torch.nn.Parameter(parameter.new_tensor(values))\n    setattr(net.get_submodule(module), last, new)"
        },
    ),
    WrongAnswer(
        "changed in place while autograd",
        changes={"    with torch.no_grad():\n        parameter": "    parameter"},
    ),
)
