"""Freezing a module by its name."""

import copy
from typing import Any

import torch
from torch import nn

from d2lblocks.modules import NestMLP

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "parameters.md#freezing-parameters"
TASK = """
The function `freeze(net, name)` is meant to freeze the module with this name, such as `"1"` or `"net.0"`, but it has several mistakes.
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
`get_submodule` follows the path exactly and raises an error if there is nothing, and `zero_grad()` removes the gradients that a step would still use.
A loop over `named_parameters(remove_duplicate=False)` that compares with `name + "."` works too, but has to notice by itself that nothing matched.
"""


def check(answer: Answer) -> None:
    """A layer, names that begin alike, blocks, two names, no such name; before and after a step."""
    answer.function("freeze")
    cases: list[tuple[str, nn.Module, str]] = [
        ("nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))", nn.Sequential(*_linears(2)), "1"),
        ("nn.Sequential of 11 x nn.Linear(2, 2)", nn.Sequential(*_linears(11)), "1"),
        ("nn.Sequential(NestMLP(2), nn.Linear(16, 2))", nn.Sequential(NestMLP(2), nn.Linear(16, 2)), "0.net"),
    ]
    for what, net, name in cases:
        _compare(answer, net, what, name)
    shared = nn.Linear(2, 2)
    net = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(2, 2))
    _compare(answer, net, "nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(2, 2))", "2")
    for name in "3", "linaer":
        net = nn.Sequential(*_linears(2))
        answer.given = f'a net without a module "{name}": freeze(net, "{name}")'
        try:
            answer["freeze"](net, name)
        except Exception:
            continue
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
    before = copy.deepcopy(net.state_dict())
    answer["freeze"](net, name)
    chosen = {id(each) for each in net.get_submodule(name).parameters()}
    names = dict(net.named_parameters(remove_duplicate=False))
    frozen = [each for each, parameter in names.items() if not parameter.requires_grad]
    expected = [each for each, parameter in names.items() if id(parameter) in chosen]
    if frozen != expected:
        raise Wrong(_story(net, name, frozen, expected), came=frozen, expected=expected)
    for path, parameter in names.items():
        _gradient(path, parameter, id(parameter) in chosen)
        if not torch.equal(parameter, before[path]):
            raise Wrong(
                f"`freeze` changes the values of `{path}`.", came="other values", expected="the same values"
            )


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
    if not frozen and len({id(each) for each in net.modules()}) < len(
        list(net.named_modules(remove_duplicate=False))
    ):
        return (
            f"The module `{name}` has a second name, under which `named_parameters()` lists its parameters, so no name "
            f"begins with `{name}.`."
        )
    if not frozen:
        return "No parameter is frozen: call `requires_grad_(False)` on the module or on its parameters."
    if more := [each for each in frozen if each not in expected]:
        if set(frozen) & set(expected) and more[0].startswith(name):
            return (
                f"`{more[0]}` is frozen too, because its name begins with `{name}`: end the prefix with a dot, or use "
                "the module itself."
            )
        if not set(frozen) & set(expected):
            return f"It is the other way round: `{more[0]}` is frozen, and `{expected[0]}` is not."
        return f"`{more[0]}` is frozen too, but it is not in the module `{name}`."
    missing = next(each for each in expected if each not in frozen)
    return f"`{missing}` is in the module `{name}` but is not frozen."


def _gradient(path: str, parameter: Any, frozen: bool) -> None:
    if not frozen and (parameter.grad is None or not parameter.grad.all()):
        raise Wrong(
            f"`{path}` is not frozen, but its gradient is gone: call `zero_grad()` only on the module that you freeze.",
            came=parameter.grad,
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
        raise Wrong(why, came=parameter.grad, expected="None")


WRONG = (
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
    WrongAnswer("still has a gradient", changes={"    module.zero_grad()\n": ""}),
    WrongAnswer("its gradient is gone", changes={"module.zero_grad()": "net.zero_grad()"}),
)
