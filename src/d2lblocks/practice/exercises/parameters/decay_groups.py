"""Weight decay for weights only."""

from typing import Any

import torch
from torch import Tensor, nn

from d2lblocks._tensors import named_tensors

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "parameters.md#replacing-a-layer-after-the-optimizer-is-built"
TASK = """
Weight decay is intended for weight matrices, not for biases or the scales of normalization layers.
Write a function `decay_groups(net, decay)` that returns a list of two parameter groups for an optimizer, as in `torch.optim.AdamW(decay_groups(net, 0.01))`.
The first group holds the parameters with two or more dimensions, with `decay` as its `"weight_decay"`.
The second group holds all others, with a weight decay of 0.
A frozen parameter is in neither group, and a parameter with two names is in its group once.
"""
STUB = """\
def decay_groups(net, decay):
    return [
        {"params": ..., "weight_decay": decay},
        {"params": ..., "weight_decay": 0.0},
    ]
"""
SOLUTION = """\
def decay_groups(net, decay):
    parameters = [
        parameter for parameter in net.parameters() if parameter.requires_grad
    ]
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
"""
HINTS = (
    "How many dimensions does the weight of `nn.Linear`, of `nn.Conv2d` and of `nn.LayerNorm` have, and how many does a bias have?",
    "Read parameters.md#replacing-a-layer-after-the-optimizer-is-built for parameter groups, and parameters.md#all-parameters-named_parameters for what to split.",
    "Make a list of the parameters that require a gradient, and split it by `parameter.dim() >= 2`.",
)
AFTER = """
The number of dimensions tells a weight matrix from a bias or a scale, whatever they are called, and `parameters()` lists each parameter once.
The rule is not exact: it also decays embeddings, and a `LayerNorm` over two dimensions.
"""


class _Scale(nn.Module):
    """A parameter of no dimensions and one of three, with names that say nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.bias_free = nn.Parameter(torch.ones(1, 2, 2))
        self.amount = nn.Parameter(torch.tensor(1.0))


def check(answer: Answer) -> None:
    """A layer, normalization, convolution, other names, two names, frozen layers; as an optimizer sees them."""
    answer.function("decay_groups")
    shared = nn.Linear(2, 2)
    cases: list[tuple[str, nn.Module]] = [
        ("nn.Linear(2, 1)", nn.Linear(2, 1)),
        ("nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))", nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))),
        (
            "nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))",
            nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2)),
        ),
        ("a module with the parameters bias_free of shape (1, 2, 2) and amount of shape ()", _Scale()),
        ("nn.Sequential(shared, shared), shared = nn.Linear(2, 2)", nn.Sequential(shared, shared)),
        (
            "nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), the first layer frozen",
            nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2)),
        ),
    ]
    for what, net in cases:
        for decay in 0.01, 0.5:
            answer.given = f"decay_groups(net, {decay}), net = {what}"
            _compare(answer, net, decay)


def _compare(answer: Answer, net: nn.Module, decay: float) -> None:
    groups = answer.kind(
        answer["decay_groups"](net, decay), f"decay_groups(net, {decay})", (list, tuple), "a list"
    )
    for group in groups:
        answer.kind(group, "decay_groups(...)[0]", dict, "a dictionary")
        for key in "params", "weight_decay":
            if key not in group:
                raise Wrong(
                    f'A group has no entry "{key}".', came=list(group), expected=["params", "weight_decay"]
                )
        if group["params"] is ...:
            raise Wrong('`"params"` is still `...`: write which parameters are in the group.', came="...")
    _groups(net, [(_parameters(group["params"]), group["weight_decay"]) for group in groups], decay)


def _parameters(params: Any) -> list[Any]:
    """The parameters of a group, of which an optimizer also takes one alone, and pairs of a name and a parameter."""
    found = [params] if isinstance(params, Tensor) else list(params)
    found = [each[1] if isinstance(each, tuple) and len(each) == 2 else each for each in found]
    for each in found:
        if isinstance(each, str):
            raise Wrong(
                "A group contains the names of parameters: an optimizer gets the parameters themselves.",
                came=each,
                expected="nn.Parameter",
            )
    return found


def _groups(net: nn.Module, groups: list[tuple[list[Any], float]], decay: float) -> None:
    names = {id(tensor): name for name, tensor in reversed(list(named_tensors(net)))}
    came: dict[str, float] = {}
    for parameters, own in groups:
        before = set(came)
        for parameter in parameters:
            name = names.get(id(parameter), "a tensor that is not in the net")
            if name in before:
                raise Wrong(f"`{name}` is in both groups.", came="both", expected="one of them")
            if name in came:
                raise Wrong(
                    f"`{name}` is in its group twice: `parameters()` lists a parameter with two names once.",
                    came=f"{name} twice",
                    expected=f"{name} once",
                )
            came[name] = own
    trainable = [(name, each) for name, each in net.named_parameters() if each.requires_grad]
    expected = {name: decay if each.dim() >= 2 else 0.0 for name, each in trainable}
    if came != expected:
        raise Wrong(_story(net, came, expected), came=came, expected=expected)
    if len(groups) != 2 or groups[0][1] != decay:
        raise Wrong(
            "There have to be two groups, first the one with weight decay.",
            came=[own for _, own in groups],
            expected=[decay, 0.0],
        )


def _story(net: nn.Module, came: dict[str, float], expected: dict[str, float]) -> str:
    more = [name for name in came if name not in expected]
    missing = [name for name in expected if name not in came]
    if more:
        parameter = dict(net.named_parameters()).get(more[0])
        if parameter is None:
            return f"The groups contain {more[0]}: the optimizer has to get the parameters themselves."
        return f"`{more[0]}` is frozen, so it does not belong in a group: leave out what does not require a gradient."
    if missing and dict(net.named_parameters())[missing[0]].dim() == 0:
        return f"`{missing[0]}` is in no group: it has no dimensions, and 0 is less than 2."
    if missing:
        if not any(came[name] == 0 for name in came):
            return (
                f"`{missing[0]}` is in no group. If you loop twice over one `net.parameters()`, the second loop gets "
                "nothing: it is a generator, so make a list of it."
            )
        return f"`{missing[0]}` is in no group, so the optimizer does not train it."
    name = next(each for each in expected if came[each] != expected[each])
    parameter = dict(net.named_parameters())[name]
    if {came[name], expected[name]} != {0.0, *expected.values(), *came.values()}:
        return f"`{name}` has a weight decay of {came[name]}, not of {expected[name]}."
    if parameter.dim() < 2:
        return (
            f"`{name}` has weight decay, but it has fewer than two dimensions: decide by the number of dimensions, not "
            "by the name."
        )
    return f"`{name}` has no weight decay, but it has {parameter.dim()} dimensions, and two are enough."


WRONG = (
    WrongAnswer(
        "make a list of it",
        changes={
            "    parameters = [\n        parameter for parameter in net.parameters() if parameter.requires_grad\n    ]": "    parameters = net.parameters()"
        },
    ),
    WrongAnswer("is frozen", changes={" if parameter.requires_grad": ""}),
    WrongAnswer(
        "`1.weight` has weight decay",
        code="""\
def decay_groups(net, decay):
    named = [(n, p) for n, p in net.named_parameters() if p.requires_grad]
    return [
        {"params": [p for n, p in named if not n.endswith("bias")], "weight_decay": decay},
        {"params": [p for n, p in named if n.endswith("bias")], "weight_decay": 0.0},
    ]
""",
    ),
    WrongAnswer(
        "has no weight decay", changes={"p.dim() >= 2": "p.dim() > 2", "p.dim() < 2": "p.dim() <= 2"}
    ),
    WrongAnswer("is in both groups", changes={"[p for p in parameters if p.dim() < 2]": "parameters"}),
    WrongAnswer(
        "in its group twice",
        changes={
            "in net.parameters() if": "in (p for _, p in net.named_parameters(remove_duplicate=False)) if"
        },
    ),
)
