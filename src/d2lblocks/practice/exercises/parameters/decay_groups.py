"""Weight decay for weights only."""

from typing import Any

import torch
from torch import Tensor, nn

from d2lblocks._arguments import kind_of
from d2lblocks._tensors import named_tensors

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from .._lines import line_of

LEVEL = "medium"
PAGE = "parameters.md#all-parameters-named_parameters"
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
    "Read parameters.md#all-parameters-named_parameters for what to split; the second half of parameters.md#replacing-a-layer-after-the-optimizer-is-built shows what a parameter group is.",
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
        ("nn.Linear(2, 1, bias=False)", nn.Linear(2, 1, bias=False)),
        ("nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))", nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))),
        ("nn.Sequential(nn.LayerNorm(2), nn.Linear(2, 1))", nn.Sequential(nn.LayerNorm(2), nn.Linear(2, 1))),
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
    answer.given = "decay_groups(net, 0.0), net = nn.Linear(2, 1)"
    _compare(answer, nn.Linear(2, 1), 0.0)
    answer.given = (
        "decay_groups(net, 0.01), net = nn.Sequential(nn.LayerNorm(2), nn.LayerNorm(2)) on the meta device"
    )
    _compare(answer, nn.Sequential(nn.LayerNorm(2), nn.LayerNorm(2)).to("meta"), 0.01)


def _compare(answer: Answer, net: nn.Module, decay: float) -> None:
    trainable = [(name, each) for name, each in net.named_parameters() if each.requires_grad]
    try:
        groups = answer["decay_groups"](net, decay)
    except (RuntimeError, TypeError) as error:
        message = str(error)
        if "Boolean value of Tensor" in message or "must match the size of tensor" in message:
            why = (
                "A tensor is used as if it were true or false. `==` and `in` compare tensors value by value, and "
                "`requires_grad_()` changes a tensor and returns it."
            )
        elif "builtin_function_or_method" in message:
            why = "`dim` is a method, so it has to be called: `dim()`."
        else:
            raise
        raise Wrong(why, came=f"{type(error).__name__}: {message}", at=line_of(error, answer)) from None
    answer.kind(groups, f"decay_groups(net, {decay})", (list, tuple), "a list")
    for number, group in enumerate(groups):
        answer.kind(group, f"decay_groups(net, {decay})[{number}]", dict, "a dictionary")
        for key in "params", "weight_decay":
            if key not in group:
                raise Wrong(
                    f'A group has no entry "{key}".',
                    came=f"the entries {list(group)}",
                    expected="the entries ['params', 'weight_decay']",
                )
        if "lr" in group:
            raise Wrong(
                "A group has a learning rate of its own, which replaces that of the optimizer.",
                came=f"the entries {list(group)}",
                expected="the entries ['params', 'weight_decay']",
            )
        if group["params"] is ...:
            raise Wrong('`"params"` is still `...`: write which parameters are in the group.', came="...")
        if isinstance(group["params"], set):
            raise Wrong(
                "An optimizer does not take a set, which has no order: put the parameters in a list.",
                came="a set of parameters",
                expected="a list of parameters",
            )
    _groups(
        net, [(_parameters(group["params"]), group["weight_decay"]) for group in groups], decay, trainable
    )


def _parameters(params: Any) -> list[Any]:
    """The parameters of a group, of which an optimizer also takes one alone, and pairs of a name and a parameter."""
    found = [params] if isinstance(params, Tensor) else list(params)
    found = [each[1] if isinstance(each, tuple) and len(each) == 2 else each for each in found]
    for each in found:
        if isinstance(each, str):
            raise Wrong(
                "A group contains the names of parameters: an optimizer gets the parameters themselves.",
                came=f"the name {each}",
                expected="nn.Parameter",
            )
    return found


def _groups(
    net: nn.Module,
    groups: list[tuple[list[Any], float]],
    decay: float,
    trainable: list[tuple[str, nn.Parameter]],
) -> None:
    names = {id(tensor): name for name, tensor in reversed(list(named_tensors(net)))}
    came: dict[str, float] = {}
    for parameters, own in groups:
        before = set(came)
        for parameter in parameters:
            if id(parameter) not in names:
                _foreign(net, parameter)
            name = names[id(parameter)]
            if name in before:
                raise Wrong(
                    f"`{name}` is in both groups.",
                    came=f"{name} in both groups",
                    expected=f"{name} in one of them",
                )
            if name in came:
                raise Wrong(
                    f"`{name}` is in its group twice: `parameters()` lists a parameter with two names once.",
                    came=f"{name} twice",
                    expected=f"{name} once",
                )
            came[name] = own
    expected = {name: decay if each.dim() >= 2 else 0.0 for name, each in trainable}
    if came != expected:
        raise Wrong(_story(net, came, expected), came=_listed(came, net), expected=_listed(expected, net))
    if len(groups) != 2 or groups[0][1] != decay:
        raise Wrong(
            "There have to be two groups, first the one with weight decay, even if one of them is empty.",
            came=f"groups with the weight decay {', '.join(str(own) for _, own in groups)}",
            expected=f"groups with the weight decay {decay}, 0.0",
        )


def _foreign(net: nn.Module, tensor: Any) -> None:
    """Refuse something in a group that is not in the net."""
    twins = [
        name
        for name, each in net.named_parameters()
        if isinstance(tensor, Tensor) and each.data_ptr() == tensor.data_ptr()
    ]
    if not isinstance(tensor, Tensor):
        why = "A group contains something that is not a parameter."
    elif twins:
        why = (
            f"A group contains a tensor with the values of `{twins[0]}`, not the parameter itself, so the optimizer "
            "does not train it. The entries of a state dict are such tensors, and so are `.data` and `.detach()`."
        )
    else:
        why = "A group contains a tensor that is not in the net."
    came = "another tensor" if isinstance(tensor, Tensor) else kind_of(tensor)
    raise Wrong(why, came=came, expected="the parameters of the net")


def _listed(decays: dict[str, float], net: nn.Module) -> str:
    """The weight decay of each parameter, in the order of the net."""
    order = [name for name, _ in named_tensors(net) if name in decays]
    return "weight decay: " + (", ".join(f"{decays[name]} of {name}" for name in order) or "of no parameter")


def _story(net: nn.Module, came: dict[str, float], expected: dict[str, float]) -> str:
    parameters = dict(net.named_parameters())
    more = [name for name in came if name not in expected]
    missing = [name for name in expected if name not in came]
    if more and more[0] not in parameters:
        return f"`{more[0]}` is a buffer, and no optimizer trains a buffer."
    if more:
        return f"`{more[0]}` is frozen, so it does not belong in a group: leave out what does not require a gradient."
    if not came:
        return "Both groups are empty."
    if missing and parameters[missing[0]].is_meta:
        return (
            f"`{missing[0]}` is in no group: on the meta device, all addresses are equal, and parameters can have equal "
            "values. Compare the objects, if at all: `parameters()` gives each only once."
        )
    if missing and parameters[missing[0]].dim() == 0:
        return f"`{missing[0]}` is in no group: it has no dimensions, and 0 is less than 2."
    if missing and len(expected) == 2 and not any(came[name] == 0 for name in came):
        return (
            f"`{missing[0]}` is in no group, so the optimizer does not train it. `net.parameters()` and each generator "
            "can be looped over only once: for a second loop, make a list of it. And a `return` inside a loop ends it."
        )
    if missing:
        return f"`{missing[0]}` is in no group, so the optimizer does not train it."
    name = next(each for each in expected if came[each] != expected[each])
    parameter = parameters[name]
    if came[name] and parameter.dim() >= 2:
        return f"`{name}` has a weight decay of {came[name]}, not of {expected[name]}."
    if {came[name], expected[name]} != {0.0, *expected.values(), *came.values()}:
        return f"`{name}` has a weight decay of {came[name]}, not of {expected[name]}."
    if parameter.dim() < 2:
        dimensions = ("no dimensions", "one dimension")[parameter.dim()]
        rest = ": decide by the number of dimensions, not by the name." if name.endswith("weight") else "."
        return f"`{name}` has weight decay, but it has {dimensions}{rest}"
    return f"`{name}` has no weight decay, but it has {parameter.dim()} dimensions, and two are enough."


WRONG = (
    WrongAnswer(
        "as if it were true or false",
        changes={"if p.dim() < 2": "if p in [p for p in parameters if p.dim() < 2]"},
    ),
    WrongAnswer(
        "not the parameter itself",
        changes={
            "[\n        parameter for parameter in net.parameters() if parameter.requires_grad\n    ]": "list(net.state_dict().values())"
        },
    ),
    WrongAnswer(
        "make a list of it",
        changes={
            "    parameters = [\n        parameter for parameter in net.parameters() if parameter.requires_grad\n    ]": "    parameters = net.parameters()"
        },
    ),
    WrongAnswer("is frozen", changes={" if parameter.requires_grad": ""}),
    WrongAnswer(
        "does not take a set",
        changes={
            "[p for p in parameters if p.dim() >= 2]": "{p for p in parameters if p.dim() >= 2}",
            "[p for p in parameters if p.dim() < 2]": "{p for p in parameters if p.dim() < 2}",
        },
    ),
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
    WrongAnswer("a weight decay of 0.01, not of 0.0", changes={": decay}": ": decay or 0.01}"}),
    WrongAnswer(
        "a learning rate of its own",
        changes={
            "def decay": "import torch\n\n\ndef decay",
            "    return [\n": "    groups = [\n",
            '"weight_decay": 0.0},\n    ]\n': '"weight_decay": 0.0},\n    ]\n'
            "    return torch.optim.AdamW(groups).param_groups\n",
        },
    ),
    WrongAnswer("is in both groups", changes={"[p for p in parameters if p.dim() < 2]": "parameters"}),
    WrongAnswer(
        "in its group twice",
        changes={
            "in net.parameters() if": "in (p for _, p in net.named_parameters(remove_duplicate=False)) if"
        },
    ),
)
