"""A part of a net by its path."""

import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn

from d2lblocks.modules import NestMLP

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from .._lines import line_of

LEVEL = "easy"
PAGE = "parameters.md#parameters-of-nested-modules"
TASK = """
Write a function `part(net, path)` that returns the part of a net at a dotted path, for example the weight at `"net.0.weight"`.
The part can be a parameter, a buffer or a module, such as `"net.0"`, and the function returns the object itself, not a copy.
The function follows the path name by name.
Each name is the name of an attribute, and a name such as `1` need not be the position of a child.
"""
STUB = """\
def part(net, path): ...
"""
SOLUTION = """\
def part(net, path):
    for name in path.split("."):
        net = getattr(net, name)
    return net
"""
HINTS = (
    'What does `getattr(net, "net")` give, and what does `getattr(net.net, "0")` give?',
    "Read parameters.md#parameters-of-nested-modules: the path and the attributes lead to the same parameter.",
    'Loop over `path.split(".")`, and replace `net` with `getattr(net, name)` in each step.',
)
AFTER = """
Each name of a path is an attribute of the module before it, even `0`: `net.0` is not valid Python, but `getattr(net, "0")` reads it.
Another way: `operator.attrgetter(path)(net)`; `get_parameter`, `get_buffer` and `get_submodule` each find one kind of part.
"""


def _named_blocks() -> nn.Module:
    """Blocks whose names are not their positions."""
    net = nn.Sequential()
    net.add_module("1", nn.Linear(2, 3))
    net.add_module("0", nn.BatchNorm1d(3))
    net.add_module("block2", nn.Sequential(nn.ReLU()))
    return net


def check(answer: Answer) -> None:
    """Parameters, modules and buffers, of a layer, of nets, under each of several names."""
    answer.function("part")
    layer, net, named, shared = nn.Linear(2, 1), NestMLP(4), _named_blocks(), nn.Linear(3, 3)
    _compare(answer, layer, "nn.Linear(2, 1)", "weight", layer.weight)
    _compare(answer, net, "NestMLP(4)", "linear.bias", net.linear.bias)
    for path, parameter in net.named_parameters():
        _compare(answer, net, "NestMLP(4)", path, parameter)
    for path in "net", "net.0", "linear":
        _compare(answer, net, "NestMLP(4)", path, net.get_submodule(path))
    what = 'nn.Sequential with children called "1", "0" and "block2", in this order'
    for path in "1.weight", "0.weight":
        _compare(answer, named, what, path, named.get_parameter(path))
    for path in "0.running_mean", "0.num_batches_tracked":
        _compare(answer, named, "a net with a batch normalization layer", path, named.get_buffer(path))
    _compare(answer, named, what, "block2.0", named.get_submodule("block2.0"))
    twice = nn.Sequential(shared, nn.ReLU(), shared)
    _compare(answer, twice, "nn.Sequential(shared, nn.ReLU(), shared)", "2.weight", shared.weight)
    norm = nn.BatchNorm1d(2)
    what = "nn.Sequential(norm, nn.ReLU(), norm), norm = nn.BatchNorm1d(2)"
    _compare(answer, nn.Sequential(norm, nn.ReLU(), norm), what, "2.running_mean", norm.running_mean)


def _compare(answer: Answer, net: nn.Module, what: str, path: str, expected: Any) -> None:
    answer.given = f'net = {what}, path = "{path}"'
    call = f'part(net, "{path}")'
    part = answer["part"]
    if list(inspect.signature(part).parameters)[:2] == ["path", "net"]:
        raise Wrong("The parameters are in the wrong order: `net` comes first, and `path` second.", at=part)
    try:
        came = part(net, path)
    except (AttributeError, KeyError, IndexError, TypeError, SyntaxError, ValueError) as error:
        if why := _failure(error, net, path):
            raise Wrong(
                why,
                came=f"{type(error).__name__}: {error}",
                expected=f"the {type(expected).__name__} at {path}",
                at=line_of(error, answer),
            ) from None
        raise
    if came is expected:
        return
    at = [name for name, each in net.named_modules() if each is came]
    others = [name for name, each in net.named_parameters() if each is came]
    shown = came
    if came is None and (twin := [name for name, each in net.named_parameters() if each is expected]):
        why = f"`{call}` is `None`: is there a `return` in each case?"
        if twin[0] != path:
            why = f"`{call}` is `None`. This parameter has two names, and `named_parameters()` gives only `{twin[0]}`."
    elif came is None:
        kind = "module" if isinstance(expected, nn.Module) else "buffer"
        why = f"`{call}` is `None`, but there is a {kind} at this path: is there a `return` in each case?"
    elif came is net:
        why = f"`{call}` is the net itself, and not its part."
    elif others:
        why = f"This is the parameter `{others[0]}`: the `1` in `1.weight` is the name of a child, not its position."
    elif isinstance(expected, Tensor) and isinstance(came, Tensor):
        shown = "another tensor"
        if came.shape != expected.shape or not torch.equal(came, expected):
            why = f"`{call}` is the tensor of another part."
        elif came.data_ptr() == expected.data_ptr():
            why = (
                "`part` returns another tensor with the same values, such as `.data` or an entry of the state dict: "
                "these are not the parameter."
            )
        else:
            why = f"`{call}` is a copy: it has the same values, but in memory of its own."
    elif at and path.startswith(f"{at[0]}."):
        why = (
            f"`part` returns the module at `{at[0]}`, but the path goes on: is the `return` inside the loop?"
        )
    elif isinstance(came, nn.Module):
        why = f"`{call}` is another module."
    else:
        why = f"`{call}` is not a part of the net."
    raise Wrong(why, came=shown, expected=f"the {type(expected).__name__} at {path}")


def _failure(error: Exception, net: nn.Module, path: str) -> str:
    """What an error on the way means; empty if it is another one."""
    message, names = str(error), path.split(".")
    if isinstance(error, KeyError):
        return (
            f"The table has no entry `{error.args[0]}`: parameters, buffers and modules are in separate tables, and "
            "`named_parameters()` and `named_buffers()` give a tensor with two names only once. Follow the path instead."
        )
    if isinstance(error, SyntaxError):
        return "A path is not always valid Python: `net.0` is not."
    if isinstance(error, IndexError) or "values to unpack" in message:
        return "A path can have one name, such as `weight`, or two, or more."
    if re.search(r"not subscriptable|indices must be|cannot be interpreted as an integer", message):
        return "Square brackets work only for containers such as `nn.Sequential`, and there with numbers."
    if found := re.search(r"is not an nn\.(Parameter|Module)|is not a buffer", message):
        method = {"Parameter": "get_parameter", "Module": "get_submodule", None: "get_buffer"}[found[1]]
        return f"`{method}` finds only one kind of part, and this part is of another: follow the path by yourself."
    if "has no parameter or buffer" in message:
        return "`get_tensor` finds only parameters and buffers, and this part is a module."
    if "attribute name must be string" in message:
        return "`getattr` takes one name, which is a string."
    missing = re.search(r"'(\w+)' object has no attribute '([^']*)'", message)
    if not missing:
        return ""
    if missing[2] == path and len(names) > 1:
        return "`getattr` does not follow a path: split it at the dots, and take one name after the other."
    if missing[2] == path[0] and len(names[0]) > 1:
        return "A loop over a string gives its letters, one by one, and not the names between the dots."
    if missing[2] in names[1:] and missing[1] == type(net).__name__:
        return (
            f"`{missing[2]}` is looked up in the net itself, but it belongs to the part at "
            f"`{path.partition('.' + missing[2])[0]}`: look up each name in what the step before has found."
        )
    if missing[2] not in names:
        return f"The attribute `{missing[2]}` is looked up, but it is not in the path."
    return ""


WRONG = (
    WrongAnswer(
        "does not follow a path",
        changes={
            '    for name in path.split("."):\n        net = getattr(net, name)\n    return net': "    return getattr(net, path)"
        },
    ),
    WrongAnswer(
        "these are not the parameter",
        changes={
            '    for name in path.split("."):\n        net = getattr(net, name)\n    return net': "    return net.state_dict()[path]"
        },
    ),
    WrongAnswer(
        "are in separate tables",
        changes={
            '    for name in path.split("."):\n        net = getattr(net, name)\n    return net': "    return dict(net.named_parameters())[path]"
        },
    ),
    WrongAnswer(
        "not its position",
        changes={
            "        net = getattr(net, name)\n": "        net = net[int(name)] if name.isdigit() else getattr(net, name)\n"
        },
    ),
    WrongAnswer(
        "in what the step before has found",
        changes={"net = getattr": "value = getattr", "return net": "return value"},
    ),
    WrongAnswer("but the path goes on", changes={"    return net": "        return net"}),
)
