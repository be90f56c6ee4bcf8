"""Finding ties, and tying again."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong, shown
from ...exercise import WrongAnswer
from .._lines import line_of

LEVEL = "hard"
PAGE = "parameters.md#operations-that-untie-weights"
TASK = """
Loading can untie the tied weights of a model, so a training script checks them before its first step.
Write `ties(net)`, which returns the names of the tied parameters: one list of names for each parameter that has two or more names.
The lists can be in any order, and so can the names in a list.
Two parameters that use the same memory are not tied, because each has its own gradient.
Write `tie(net, groups)`, which ties the weights again: afterward, all names of a list in `groups` refer to the parameter of the first name.
All other names stay as they are.
"""
STUB = """\
def ties(net): ...


def tie(net, groups): ...
"""
SOLUTION = """\
def ties(net):
    names = {}
    for name, parameter in net.named_parameters(remove_duplicate=False):
        names.setdefault(parameter, []).append(name)
    return [group for group in names.values() if len(group) > 1]


def tie(net, groups):
    for first, *others in groups:
        for path in others:
            owner, _, name = path.rpartition(".")
            setattr(net.get_submodule(owner), name, net.get_parameter(first))
"""
HINTS = (
    "With which option does `named_parameters` list every name, and what is equal for two names of one parameter?",
    "Read parameters.md#operations-that-untie-weights, and parameters.md#the-difference-between-state_dict-and-parameters for the option.",
    "Collect the names in a dictionary with the parameter as its key; to tie, call `setattr(module, name, parameter)` on the module that holds the other name.",
)
AFTER = """
Tied weights are one `nn.Parameter` object, so names belong together if they lead to the same object.
There are three ways to tell: `is`, `id(parameter)` as the key of a dictionary, and the parameter itself as the key, because a tensor hashes by identity.
A comparison of the memory, as in `shared_names`, is not enough, because two parameters that are not tied may share it.
"""


class _Own(nn.Module):
    """A net that uses the weight of its embedding under a name of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Embedding(4, 4), nn.Linear(4, 4))
        self.out = self.body[0].weight
        self.bias = self.body[1].bias


def _language_model() -> nn.Sequential:
    table, scores = nn.Embedding(3, 2), nn.Linear(2, 3, bias=False)
    scores.weight = table.weight
    return nn.Sequential(table, scores)


def check(answer: Answer) -> None:
    """Nets without and with ties, one that loading untied, and the same nets tied again."""
    answer.function("ties")
    layer = nn.Linear(1, 1)
    cases: list[tuple[str, nn.Module, list[list[str]]]] = [
        (
            "nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 3, bias=False)) with tied weights",
            _language_model(),
            [["0.weight", "1.weight"]],
        ),
        ("nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))", nn.Sequential(layer, nn.Linear(1, 1)), []),
        ("nn.Sequential(layer, copy.deepcopy(layer))", nn.Sequential(layer, copy.deepcopy(layer)), []),
        (
            "nn.Sequential(layer, layer, nn.Linear(1, 1), layer)",
            nn.Sequential(layer, layer, nn.Linear(1, 1), layer),
            [["0.weight", "1.weight", "3.weight"], ["0.bias", "1.bias", "3.bias"]],
        ),
        (
            "a net in which out is body.0.weight, and bias is body.1.bias",
            _Own(),
            [["out", "body.0.weight"], ["bias", "body.1.bias"]],
        ),
        (
            "nn.Sequential(layer, layer), frozen, layer = nn.Linear(1, 1, bias=False)",
            nn.Sequential(*[nn.Linear(1, 1, bias=False)] * 2).requires_grad_(False),
            [["0.weight", "1.weight"]],
        ),
    ]
    for what, net, expected in cases:
        answer.given = f"ties(net), net = {what}"
        _compare_ties(answer, net, expected)
    norm = nn.BatchNorm1d(2)
    answer.given = "ties(net), net = nn.Sequential(norm, norm), norm = nn.BatchNorm1d(2)"
    _compare_ties(answer, nn.Sequential(norm, norm), [["0.weight", "1.weight"], ["0.bias", "1.bias"]])
    model = _language_model()
    model.load_state_dict(model.state_dict(), assign=True)
    answer.given = "ties(model) after model.load_state_dict(state, assign=True)"
    _compare_ties(answer, model, [])
    answer.given = "ties(net), net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)) on the meta device"
    _compare_ties(answer, nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)).to("meta"), [])
    answer.given = ""
    answer.function("tie")
    three = nn.Sequential(*(nn.Linear(1, 1) for _ in range(4)))
    untied = [
        (cases[0][0].replace("tied", "untied"), cases[0][1], cases[0][2]),
        (
            "nn.Sequential of 4 x nn.Linear(1, 1)",
            three,
            [["0.weight", "1.weight", "3.weight"], ["0.bias", "3.bias"]],
        ),
        ("a net with the parameters out, body.0.weight, bias and body.1.bias", _Own(), cases[4][2]),
    ]
    for what, net, groups in untied:
        for given in groups, [group[::-1] for group in groups]:
            answer.given = f"tie(net, {given}), net = {what}"
            _untie(net, given)
            _compare_tie(answer, net, given)
    model = _language_model()
    model.load_state_dict(model.state_dict(), assign=True)
    answer.given = "tie(model, [['0.weight', '1.weight']]) after model.load_state_dict(state, assign=True)"
    _compare_tie(answer, model, [["0.weight", "1.weight"]])
    for given in [["1.weight", "2.weight"]], [["2.weight", "1.weight"]]:
        net = nn.Sequential(*(nn.Linear(1, 1) for _ in range(3)))
        net[1].weight = net[0].weight
        answer.given = (
            f"tie(net, {given}), net = nn.Sequential of 3 x nn.Linear(1, 1), 1.weight tied to 0.weight"
        )
        _compare_tie(answer, net, given)


def _compare_ties(answer: Answer, net: nn.Module, expected: list[list[str]]) -> None:
    try:
        came = answer["ties"](net)
    except RuntimeError as error:
        if "Boolean value of Tensor" not in str(error):
            raise
        raise Wrong(
            "`==` and `in` compare tensors value by value, and the result is not a single `True` or `False`. Equal "
            "values would not mean that the parameters are tied, either.",
            came=str(error),
        ) from None
    answer.kind(came, "ties(net)", (list, tuple), "a list")
    if not all(isinstance(group, list | tuple) for group in came):
        raise Wrong("Each group has to be a list of names.", came=came, expected=expected)
    if not all(isinstance(name, str) for group in came for name in group):
        raise Wrong("The groups contain something else than names.", came=came, expected=expected)
    groups, wanted = sorted(map(sorted, came)), sorted(map(sorted, expected))
    if groups != wanted:
        raise Wrong(
            _story(answer.given, net, groups, wanted),
            came=f"the groups {groups}" if groups else "no groups",
            expected=f"the groups {wanted}" if wanted else "no groups",
        )


def _story(given: str, net: nn.Module, groups: list[list[str]], wanted: list[list[str]]) -> str:
    """Why the groups are not the tied parameters."""
    flat = [name for group in groups for name in group]
    if not groups and "frozen" in given:
        return "A tied parameter that is frozen is not found, though one that is trained was."
    if not groups and any(len(group) > 2 for group in wanted):
        return "A parameter with three names is not found, though one with two names was."
    if not groups:
        return (
            "`ties(net)` finds nothing. `named_parameters()` leaves out further names of a parameter, unless you pass "
            "`remove_duplicate=False`, and a state dict has a new object for each name."
        )
    if [each for each in groups if len(each) > 1] == wanted:
        return "A parameter with a single name is not tied: return only groups of two or more names."
    if not wanted and "assign=True" in given:
        return (
            "These are two parameters that use the same memory, each with its own gradient, so they are not tied. "
            "`shared_names(net)` and `data_ptr()` compare the memory: compare the objects."
        )
    if not wanted and "meta" in given:
        return "On the meta device, each tensor has the address 0: compare the objects, not the addresses."
    if not wanted:
        return "Equal values do not mean that parameters are tied: these are different objects with equal values."
    if len(groups) < len(wanted) and all(group in wanted for group in groups):
        return "A tied parameter is missing: there is one group for each."
    if groups and len(flat) == len(set(flat)) < sum(map(len, wanted)) and len(groups) == len(wanted):
        return "A name is missing in its group: a group has all names of its parameter, also the first one."
    named = dict(net.named_parameters(remove_duplicate=False))
    if buffers := [name for name in flat if name in dict(net.named_buffers(remove_duplicate=False))]:
        return f"`{buffers[0]}` is a buffer, and the list is of tied parameters."
    if unknown := [name for name in flat if name not in named]:
        if any(
            unknown[0] in (f"{path}.{none}" for none, each in module._parameters.items() if each is None)
            for path, module in net.named_modules()
        ):
            return f"`{unknown[0]}` is `None`, because the layer has no bias: several `None` are not a tie."
        return f"`{unknown[0]}` is not the name of a parameter of the net."
    if len(flat) > len(set(flat)):
        return "A parameter is in more than one group: there is one group for each parameter."
    return "Each group has to contain the names of one parameter."


def _untie(net: nn.Module, groups: Sequence[Sequence[str]]) -> None:
    """Give each name a parameter of its own."""
    for path in [path for group in groups for path in group]:
        owner, _, name = path.rpartition(".")
        setattr(net.get_submodule(owner), name, nn.Parameter(torch.rand_like(net.get_parameter(path))))


def _compare_tie(answer: Answer, net: nn.Module, groups: Sequence[Sequence[str]]) -> None:
    before = dict(net.named_parameters(remove_duplicate=False))
    values = {path: parameter.detach().clone() for path, parameter in before.items()}
    given = [[*group] for group in groups]
    try:
        answer["tie"](net, given)
    except (KeyError, TypeError, ValueError) as error:
        message = str(error)
        if 'contain "."' in message:
            why = "`setattr` does not follow a path: get the module before the last dot, and set the name after it there."
        elif "cannot assign 'torch.FloatTensor'" in message:
            why = (
                "What is set is a plain tensor, such as `.data` and `.detach()` give, and not the parameter of the first "
                "name."
            )
        elif isinstance(error, KeyError) and error.args[0] in before:
            why = (
                f"`named_parameters()` gives a tied parameter only under its first name, so `{error.args[0]}` is not "
                "found: pass `remove_duplicate=False`."
            )
        elif "values to unpack" in message and len(groups[0]) > 2:
            why = "A group can have more than two names, if a parameter has them."
        elif "values to unpack" in message:
            why = "A path can have no dot, as in `out`, and two or more, as in `body.0.weight`."
        else:
            raise
        raise Wrong(why, came=message, at=line_of(error, answer)) from None
    if given != [[*group] for group in groups]:
        raise Wrong(
            "`tie` changes the list `groups`.", came=f"groups is {given}", expected="the list as it was"
        )
    for group in groups:
        parameter = net.get_parameter(group[0])
        if parameter is not before[group[0]]:
            _replaced(group[0], parameter, before)
        if not torch.equal(parameter, values[group[0]]):
            raise Wrong(
                f"The values of `{group[0]}` have changed: the parameter of the first name stays as it is.",
                came=f"{group[0]} is {shown(parameter)}",
                expected=f"{group[0]} is {shown(values[group[0]])}",
            )
        for path in group[1:]:
            other = net.get_parameter(path)
            if other is not parameter:
                _not_tied(path, group[0], other, parameter)
            if dict(net.named_parameters(remove_duplicate=False)).get(path) is not parameter:
                raise Wrong(
                    f"`{path}` is an attribute, but `net.named_parameters()` still lists the old parameter: use `setattr`.",
                    came=f"another parameter called {path}",
                    expected="one parameter with both names",
                )
    listed = {path for group in groups for path in group}
    now = dict(net.named_parameters(remove_duplicate=False))
    if list(now) != list(before):
        raise Wrong(
            "The names are in another order, and the state of an optimizer goes by the order: assign the parameter "
            "without deleting the old one.",
            came=f"the names {list(now)}",
            expected=f"the names {list(before)}",
        )
    for path, parameter in now.items():
        if path not in listed and parameter is not before.get(path):
            raise Wrong(
                f"`{path}` is in no group, and it has changed: only the names in `groups` are tied.",
                came=f"{path} is another parameter",
                expected=f"{path} is as before",
            )


def _replaced(path: str, parameter: Any, before: dict[str, Any]) -> None:
    """Refuse another parameter for the first name."""
    origin = [name for name, each in before.items() if each is parameter]
    if origin:
        why = (
            f"`{path}` comes first, but it has got the parameter of `{origin[0]}`: it is the other way round."
        )
    else:
        why = (
            f"`{path}` refers to a new parameter, and it has to stay the object that it was, which an optimizer may "
            "already have."
        )
    raise Wrong(why, came=f"{path} is another object", expected=f"{path} is the same object as before")


def _not_tied(path: str, first: str, other: Any, parameter: Any) -> None:
    if other.data_ptr() == parameter.data_ptr():
        why = f"`{path}` is in the memory of `{first}` but is another parameter: assign the parameter itself."
    elif torch.equal(other, parameter):
        why = f"`{path}` has a copy of the values of `{first}`: assign the parameter itself."
    else:
        why = f"`{path}` is not tied to `{first}`."
    raise Wrong(why, came=f"{path} and {first} are two parameters", expected="one parameter with both names")


WRONG = (
    WrongAnswer("is the other way round", changes={"for first, *others in": "for *others, first in"}),
    WrongAnswer("finds nothing", changes={"remove_duplicate=False": ""}),
    WrongAnswer(
        "use the same memory", changes={"setdefault(parameter, ": "setdefault(parameter.data_ptr(), "}
    ),
    WrongAnswer(
        "that is frozen is not found",
        changes={"        names.set": "        if parameter.requires_grad:\n            names.set"},
    ),
    WrongAnswer(
        "several `None` are not a tie",
        changes={
            "    for name, parameter in net.named_parameters(remove_duplicate=False):\n        names.setdefault(parameter, []).append(name)": "    for path, module in net.named_modules(remove_duplicate=False):\n"
            "        for name, parameter in module._parameters.items():\n"
            '            names.setdefault(parameter, []).append(f"{path}.{name}".strip("."))'
        },
    ),
    WrongAnswer(
        "only under its first name",
        changes={
            "    for first, *others in groups": "    named = dict(net.named_parameters())\n    for first, *others in groups",
            "net.get_parameter(first)": "named[first]",
        },
    ),
    WrongAnswer("single name", changes={" if len(group) > 1": ""}),
    WrongAnswer(
        "Equal values do not mean",
        code="""\
import torch


def ties(net):
    groups = []
    for name, parameter in net.named_parameters(remove_duplicate=False):
        for group in groups:
            if torch.equal(net.get_parameter(group[0]), parameter):
                group.append(name)
                break
        else:
            groups.append([name])
    return [group for group in groups if len(group) > 1]


def tie(net, groups): ...
""",
    ),
    WrongAnswer(
        "does not follow a path",
        changes={
            '            owner, _, name = path.rpartition(".")\n': "",
            "setattr(net.get_submodule(owner), name, ": "setattr(net, path, ",
        },
    ),
    WrongAnswer(
        "a copy of the values",
        changes={
            '            owner, _, name = path.rpartition(".")\n': "",
            "setattr(net.get_submodule(owner), name, net.get_parameter(first))": "with torch.no_grad():\n"
            "                net.get_parameter(path).copy_(net.get_parameter(first))",
            "def ties": "import torch\n\n\ndef ties",
        },
    ),
)
