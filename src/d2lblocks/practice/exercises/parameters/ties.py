"""Finding ties, and tying again."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "parameters.md#operations-that-untie-weights"
TASK = """
Loading can untie the tied weights of a model, so a training script checks them before its first step.
Write `ties(net)`, which returns the names of the tied parameters: one list of names for each parameter that has two or more names.
Two parameters that use the same memory are not tied, because each has its own gradient.
Write `tie(net, groups)`, which ties the weights again: afterward, all names of a list in `groups` refer to the parameter of the first name.
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
Tied weights are one `nn.Parameter` object, and a dictionary finds its keys by the object, because a tensor hashes by identity.
`id(parameter)` as the key does the same; a check of the memory does not, because an untied copy may share it.
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
        ("a model whose two layers have tied weights", _language_model(), [["0.weight", "1.weight"]]),
        ("nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))", nn.Sequential(layer, nn.Linear(1, 1)), []),
        (
            "a net in which one layer is in three places",
            nn.Sequential(layer, layer, nn.Linear(1, 1), layer),
            [["0.weight", "1.weight", "3.weight"], ["0.bias", "1.bias", "3.bias"]],
        ),
        (
            "a net in which out is body.0.weight, and bias is body.1.bias",
            _Own(),
            [["out", "body.0.weight"], ["bias", "body.1.bias"]],
        ),
        ("two layers of equal values", nn.Sequential(layer, copy.deepcopy(layer)), []),
    ]
    for what, net, expected in cases:
        answer.given = f"ties(net), net = {what}"
        _compare_ties(answer, net, expected)
    model = _language_model()
    model.load_state_dict(model.state_dict(), assign=True)
    answer.given = "ties(model) after model.load_state_dict(state, assign=True)"
    _compare_ties(answer, model, [])
    answer.given = "ties(net), net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)) on the meta device"
    _compare_ties(answer, nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)).to("meta"), [])
    answer.function("tie")
    for what, net, groups in cases:
        if groups:
            answer.given = f"tie(net, {groups}), net = {what}, untied before"
            _compare_tie(answer, net, groups)
            backward = [group[::-1] for group in groups]
            answer.given = f"tie(net, {backward}), net = {what}, untied before"
            _compare_tie(answer, net, backward)


def _compare_ties(answer: Answer, net: nn.Module, expected: list[list[str]]) -> None:
    came = answer.kind(answer["ties"](net), "ties(net)", (list, tuple), "a list")
    if not all(isinstance(group, list | tuple) for group in came):
        raise Wrong("Each group has to be a list of names.", came=came, expected=expected)
    groups, wanted = sorted(map(sorted, came)), sorted(map(sorted, expected))
    if groups == wanted:
        return
    if not came:
        why = (
            "`ties(net)` finds nothing: `named_parameters()` leaves out further names of a parameter, unless you pass "
            "`remove_duplicate=False`."
        )
    elif any(len(group) == 1 for group in groups) and [each for each in groups if len(each) > 1] == wanted:
        why = "A parameter with a single name is not tied: return only groups of two or more names."
    elif not expected and "assign=True" in answer.given:
        why = (
            "These are two parameters that use the same memory, each with its own gradient: compare the objects, not "
            "the addresses."
        )
    elif not expected and "meta" in answer.given:
        why = "On the meta device, each tensor has the address 0: compare the objects, not the addresses."
    elif not expected:
        why = "These are different parameters with equal values: compare the objects, not the values."
    elif sum(map(len, groups)) > sum(map(len, wanted)):
        why = "A parameter is in more than one group: there is one group for each parameter."
    else:
        why = ""
    answer.same(groups, wanted, "ties(net)", why)


def _compare_tie(answer: Answer, net: nn.Module, groups: Sequence[Sequence[str]]) -> None:
    net.load_state_dict(net.state_dict(), assign=True)  # unties what is not one module
    for path in [path for _, *others in groups for path in others]:  # and this unties the rest
        _set(net, path, nn.Parameter(torch.rand_like(net.get_parameter(path))))
    first: dict[str, Any] = {group[0]: net.get_parameter(group[0]) for group in groups}
    values = {name: parameter.detach().clone() for name, parameter in first.items()}
    try:
        answer["tie"](net, [[*group] for group in groups])
    except KeyError as error:
        if 'contain "."' not in str(error):
            raise
        raise Wrong(
            "`setattr` does not follow a path: get the module before the last dot, and set the name after it there.",
            came=str(error),
        ) from None
    for group in groups:
        parameter = net.get_parameter(group[0])
        if parameter is not first[group[0]] or not torch.equal(parameter, values[group[0]]):
            raise Wrong(
                f"`{group[0]}` has changed: the parameter of the first name stays, and the other names get it.",
                came=parameter,
                expected=values[group[0]],
            )
        for path in group[1:]:
            other = net.get_parameter(path)
            if other is not parameter:
                _not_tied(path, group[0], other, parameter)


def _not_tied(path: str, first: str, other: Any, parameter: Any) -> None:
    if other.data_ptr() == parameter.data_ptr():
        why = f"`{path}` is in the memory of `{first}` but is another parameter: assign the parameter itself."
    elif torch.equal(other, parameter):
        why = f"`{path}` has a copy of the values of `{first}`: assign the parameter itself."
    else:
        why = f"`{path}` is not tied to `{first}`."
    raise Wrong(why, came="two parameters", expected="one parameter")


def _set(net: nn.Module, path: str, parameter: nn.Parameter) -> None:
    owner, _, name = path.rpartition(".")
    setattr(net.get_submodule(owner), name, parameter)


WRONG = (
    WrongAnswer("finds nothing", changes={"remove_duplicate=False": ""}),
    WrongAnswer(
        "use the same memory", changes={"setdefault(parameter, ": "setdefault(parameter.data_ptr(), "}
    ),
    WrongAnswer("single name", changes={" if len(group) > 1": ""}),
    WrongAnswer(
        "equal values",
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
