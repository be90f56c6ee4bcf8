"""Freezing a module by its name."""

import copy
from typing import Any

import torch
from torch import nn

from d2lblocks.modules import NestMLP

from ...answer import Answer, Wrong, shown
from ...exercise import WrongAnswer
from .._lines import line_of

LEVEL = "medium"
PAGE = "parameters.md#freezing-parameters"
TASK = """
The function `freeze(net, name)` is meant to freeze the module with this name, such as `"1"` or `"net.0"`, but it has five mistakes.
Repair it: after the call, no parameter of this module requires a gradient, and the `.grad` of each is `None`, so that no optimizer changes them.
All other parameters stay as they are, with their gradients: `freeze(net, "1")` does not freeze the module `10`.
A module that is in the net under two names can be frozen under each of them.
If there is no module with this name, the function raises an error.
"""
STUB = """\
def freeze(net, name):
    for each, parameter in net.named_parameters():
        if each.startswith(name):
            parameter.require_grad = False
"""
SOLUTION = """\
def freeze(net, name):
    module = net.get_submodule(name)
    module.requires_grad_(False)
    module.zero_grad()
"""
HINTS = (
    "Which method of a net gives you the module at a path, and which method of a module sets `requires_grad` for all its parameters?",
    "Read parameters.md#freezing-parameters, with what it says on old gradients, and parameters.md#a-frozen-layer-still-trains-require_grad.",
    "Call `requires_grad_(False)` and `zero_grad()` on `net.get_submodule(name)`.",
)
AFTER = """
The function finds the module exactly by its path, freezes all its parameters and removes the gradients that a step would still use.
The short way: `get_submodule` also raises the error, and `requires_grad_(False)` and `zero_grad()` of the module do the rest.
The long way is a loop over `named_parameters(remove_duplicate=False)` that compares with `name + "."`, and it has to check by itself whether there is a module with this name.
"""


def check(answer: Answer) -> None:
    """A layer, names that begin alike, blocks, two names, no such name; before and after a step."""
    answer.function("freeze")
    cases: list[tuple[str, nn.Module, str]] = [
        ("nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))", nn.Sequential(*_linears(2)), "1"),
        ("nn.Sequential of 11 x nn.Linear(2, 2)", nn.Sequential(*_linears(11)), "1"),
        ("nn.Sequential(NestMLP(2), nn.Linear(16, 2))", nn.Sequential(NestMLP(2), nn.Linear(16, 2)), "0.net"),
        (
            "nn.Sequential(nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), nn.Linear(2, 2))",
            nn.Sequential(nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), nn.Linear(2, 2)),
            "1",
        ),
        ("nn.Sequential(nn.Linear(2, 2), nn.ReLU())", nn.Sequential(nn.Linear(2, 2), nn.ReLU()), "1"),
    ]
    for what, net, name in cases:
        _compare(answer, net, what, name)
    shared = nn.Linear(2, 2)
    net = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(2, 2))
    _compare(answer, net, "nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(2, 2))", "2")
    frozen = nn.Sequential(
        nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2).requires_grad_(False)
    )
    _compare(answer, frozen, "nn.Sequential of 3 x nn.Linear(2, 2), two of them frozen", "1")
    for name in "3", "linaer", "0.weight":
        net = nn.Sequential(*_linears(2))
        answer.given = f'a net without a module "{name}": freeze(net, "{name}")'
        try:
            answer["freeze"](net, name)
        except Exception:
            continue
        if "." in name:
            raise Wrong(
                f"`{name}` is the name of a parameter, and not of a module: this has to be an error too.",
                came="no error",
                expected="an error, such as that of `net.get_submodule`",
            )
        raise Wrong(
            "No module has this name, and there is no error, so a typo would go unnoticed.",
            came="no error",
            expected="an error, such as that of `net.get_submodule`",
        )


def _linears(count: int) -> list[nn.Module]:
    return [nn.Linear(2, 2) for _ in range(count)]


def _compare(answer: Answer, net: nn.Module, what: str, name: str) -> None:
    answer.given = f'net = {what}; freeze(net, "{name}")'
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    values = copy.deepcopy(net.state_dict())
    objects = dict(net.named_parameters(remove_duplicate=False))
    before = {path for path, parameter in objects.items() if not parameter.requires_grad}
    _called(answer, net, name)
    chosen = {id(each) for each in net.get_submodule(name).parameters()}
    names = dict(net.named_parameters(remove_duplicate=False))
    if new := [path for path, parameter in names.items() if parameter is not objects.get(path)]:
        raise Wrong(
            f"`{new[0]}` is a new parameter: an optimizer that exists already would still have the old one.",
            came="another object",
            expected="the parameter that was there before",
        )
    frozen = [each for each, parameter in names.items() if not parameter.requires_grad]
    if thawed := [path for path in before if path not in frozen]:
        raise Wrong(
            f"`{thawed[0]}` was frozen before the call, and now it requires a gradient: only freeze.",
            came=f"{thawed[0]}.requires_grad is True",
            expected="False",
        )
    expected = [each for each, parameter in names.items() if id(parameter) in chosen or each in before]
    if frozen != expected:
        raise Wrong(
            _story(net, name, frozen, expected),
            came=f"frozen: {', '.join(frozen) or 'no parameter'}",
            expected=f"frozen: {', '.join(expected)}",
        )
    for path, parameter in names.items():
        _gradient(path, parameter, id(parameter) in chosen)
        if not torch.equal(parameter, values[path]):
            raise Wrong(
                f"`freeze` changes the values of `{path}`.", came="other values", expected="the same values"
            )


def _called(answer: Answer, net: nn.Module, name: str) -> None:
    """Call the function; errors that say what `name` is not are told in words."""
    try:
        answer["freeze"](net, name)
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        message = str(error)
        modules = list(net.named_modules(remove_duplicate=False))
        if isinstance(error, KeyError) or len({id(each) for _, each in modules}) < len(modules):
            why = (
                f"The net has a module `{name}`, but your code does not find it: `named_modules()` gives a module with two "
                "names only once, and `named_children()` gives no names with dots."
            )
        elif not list(net.get_submodule(name).parameters()):
            why = f"The net has a module `{name}`, and it has no parameters: that is not an error."
        elif "." in name and f"no attribute '{name}'" in message:
            why = f"`getattr` does not follow a path such as `{name}`: it looks for a single attribute with this name."
        elif "is not an nn.Parameter" in message:
            why = f"`{name}` is the name of a module, and not of a parameter."
        elif "cannot be interpreted as an integer" in message:
            why = "Square brackets after a container take a position, which is a number, and `name` is a string."
        elif "invalid literal for int()" in message:
            why = f"A name need not be a number: `{name}` is the path of a module inside another one."
        elif "assigned grad expected" in message:
            why = "A gradient is a tensor or `None`, which means that there is none."
        elif "object has no attribute" in message and name == "0.net":
            why = f"The module `{name}` is a chain of layers, not a layer: not each module has the same attributes."
        else:
            raise
        raise Wrong(why, came=f"{type(error).__name__}: {message}", at=line_of(error, answer)) from None


def _story(net: nn.Module, name: str, frozen: list[str], expected: list[str]) -> str:
    """Why other parameters are frozen than those that should be."""
    misspelt = [each for each, parameter in net.named_parameters() if hasattr(parameter, "require_grad")]
    if misspelt:
        return (
            f"`{misspelt[0]}` has a new attribute `require_grad`, without `s`, and still requires a gradient."
        )
    if "requires_grad" in vars(net.get_submodule(name)):
        return (
            "The module has a new attribute `requires_grad`, and its parameters still require a gradient: call the "
            "method `requires_grad_(False)`."
        )
    gone = [each for each in expected if net.get_parameter(each).grad is None]
    if not frozen and gone:
        return f"`{gone[0]}` has no gradient any more, but its `requires_grad` is still `True`."
    if not frozen and len({id(each) for each in net.modules()}) < len(
        list(net.named_modules(remove_duplicate=False))
    ):
        return (
            f"The module `{name}` has a second name, under which `named_parameters()` lists its parameters, so no name "
            f"begins with `{name}.`."
        )
    if not frozen and "." in name:
        return (
            f"Nothing is frozen: `{name}` is a module inside another one, and it has children too. The names of its "
            f"parameters are such as `{expected[0]}`."
        )
    if not frozen:
        return (
            f"No parameter of the net is frozen. The parameters of the module `{name}` are called `{expected[0]}` and "
            f"`{expected[1]}`, and no parameter is called `{name}`. A copy and the result of `detach()` are other tensors."
        )
    if more := [each for each in frozen if each not in expected]:
        if set(frozen) & set(expected) and more[0].startswith(name):
            return (
                f"`{more[0]}` is frozen too, because its name begins with `{name}`: end the prefix with a dot, or use "
                "the module itself."
            )
        if f".{name}." in more[0]:
            return f"`{more[0]}` is frozen too: it contains `{name}.`, but it does not begin with it."
        if expected and not set(frozen) & set(expected):
            return f"It is the other way round: `{more[0]}` is frozen, and `{expected[0]}` is not."
        return f"`{more[0]}` is frozen too, but it is not in the module `{name}`."
    missing = next(each for each in expected if each not in frozen)
    return f"`{missing}` is in the module `{name}` but is not frozen."


def _gradient(path: str, parameter: Any, frozen: bool) -> None:
    if not frozen and (parameter.grad is None or not parameter.grad.all()):
        raise Wrong(
            f"`{path}` is not frozen, but its gradient is gone: call `zero_grad()` only on the module that you freeze.",
            came=f"the gradient {shown(parameter.grad)}",
            expected="the gradient that it had",
        )
    if frozen and parameter.grad is not None:
        if parameter.grad.any():
            why = f"`{path}` is frozen, but it still has a gradient, which the next step of an optimizer would use."
        else:
            why = (
                f"The gradient of `{path}` is zero, not `None`: weight decay or momentum would still change the "
                "parameter."
            )
        raise Wrong(why, came=f"the gradient {shown(parameter.grad)}", expected="the gradient None")


WRONG = (
    WrongAnswer(
        "no parameter is called `1`",
        code="""\
def freeze(net, name):
    for each, parameter in net.named_parameters():
        if each == name:
            parameter.requires_grad = False
            parameter.grad = None
""",
    ),
    WrongAnswer("is still `True`", changes={"requires_grad_(False)": "eval()"}),
    WrongAnswer(
        "without `s`",
        changes={
            "    module.requires_grad_(False)\n": "    for parameter in module.parameters():\n        parameter.require_grad = False\n"
        },
    ),
    WrongAnswer(
        "a new attribute `requires_grad`, and",
        changes={"module.requires_grad_(False)": "module.requires_grad = False"},
    ),
    WrongAnswer(
        "end the prefix with a dot",
        code="""\
def freeze(net, name):
    for each, parameter in net.named_parameters():
        if each.startswith(name):
            parameter.requires_grad_(False)
            parameter.grad = None
""",
    ),
    WrongAnswer(
        "has a second name",
        code="""\
def freeze(net, name):
    for each, parameter in net.named_parameters():
        if each.startswith(name + "."):
            parameter.requires_grad_(False)
            parameter.grad = None
""",
    ),
    WrongAnswer(
        "but it does not begin with it",
        code="""\
def freeze(net, name):
    net.get_submodule(name)
    for each, parameter in net.named_parameters(remove_duplicate=False):
        if f"{name}." in each:
            parameter.requires_grad_(False)
            parameter.grad = None
""",
    ),
    WrongAnswer(
        "was frozen before the call",
        changes={"    module.req": "    net.requires_grad_(True)\n    module.req"},
    ),
    WrongAnswer(
        "has to be an error too",
        code="""\
def freeze(net, name):
    part = net
    for each in name.split("."):
        part = getattr(part, each)
    part.requires_grad_(False)
    for parameter in part.parameters() if hasattr(part, "parameters") else [part]:
        parameter.grad = None
""",
    ),
    WrongAnswer("still has a gradient", changes={"    module.zero_grad()\n": ""}),
    WrongAnswer("its gradient is gone", changes={"module.zero_grad()": "net.zero_grad()"}),
)
