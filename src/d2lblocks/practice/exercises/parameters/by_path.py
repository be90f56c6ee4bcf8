"""A part of a net by its path."""

import re
from typing import Any

from torch import nn

from d2lblocks.modules import NestMLP

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "parameters.md#parameters-of-nested-modules"
TASK = """
Write a function `part(net, path)` that returns the part of a net at a dotted path, for example the weight at `"net.0.weight"`.
The part can be a parameter, a buffer or a module, such as `"net.0"`, and the function returns the object itself, not a copy.
It follows the path name by name, as you would write it with attributes and indices.
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
`operator.attrgetter(path)(net)` does the same; `get_parameter`, `get_buffer` and `get_submodule` each find one kind of part.
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


def _compare(answer: Answer, net: nn.Module, what: str, path: str, expected: Any) -> None:
    answer.given = f'net = {what}, path = "{path}"'
    call = f'part(net, "{path}")'
    try:
        came = answer["part"](net, path)
    except AttributeError as error:
        if f"no attribute '{path}'" in str(error) and "." in path:
            raise Wrong(
                "`getattr` does not follow a path: split it at the dots, and take one name after the other.",
                came=str(error),
                expected=f"{type(expected).__name__} at {path}",
            ) from None
        if found := re.search(r"is not an nn\.(Parameter|Module)|is not a buffer", str(error)):
            method = {"Parameter": "get_parameter", "Module": "get_submodule", None: "get_buffer"}[found[1]]
            raise Wrong(
                f"`{method}` finds only one kind of part, and this part is of another: follow the path by yourself.",
                came=str(error),
                expected=f"{type(expected).__name__} at {path}",
            ) from None
        raise
    except KeyError:
        raise Wrong(
            "This table does not have the path: `named_parameters()` gives only parameters, each under its first "
            "name, and a state dict only tensors. Follow the path instead.",
            came=f"KeyError: '{path}'",
            expected=f"{type(expected).__name__} at {path}",
        ) from None
    if came is expected:
        return
    at = [name for name, each in net.named_modules() if each is came]
    others = [name for name, each in net.named_parameters() if each is came]
    if came is None:
        why = f"`{call}` is `None`: is there a `return` in each case?"
    elif others:
        why = f"This is the parameter `{others[0]}`: the `1` in `1.weight` is the name of a child, not its position."
    elif isinstance(expected, nn.Parameter) and isinstance(came, type(expected.detach())):
        why = "`part` returns another tensor with the same values, such as `.data` or an entry of the state dict: these are not the parameter."
        if came.shape != expected.shape or came.data_ptr() != expected.data_ptr():
            why = f"`{call}` is the tensor of another part, or a copy."
    elif at and path.startswith(f"{at[0]}."):
        why = f"`part` returns the module at `{at[0]}`, which is only on the way: return after the loop has ended."
    elif isinstance(came, nn.Module):
        why = f"`{call}` is another module."
    else:
        why = f"`{call}` is another object."
    raise Wrong(why, came=came, expected=expected)


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
        "each under its first name",
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
    WrongAnswer("only on the way", changes={"    return net": "        return net"}),
)
