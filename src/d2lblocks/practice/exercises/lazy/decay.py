"""Weight decay for a lazy net."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from d2lblocks._arguments import kind_of

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "lazy.md#optimizers-and-copies-before-the-first-batch"
TASK = """
`groups(net, X)` returns parameter groups for an optimizer: weight decay applies to the parameters with two or more dimensions and to no others.
But for a lazy net before its first batch, it silently leaves out the weights of all lazy layers.
Repair the function; `X` is a batch for the net.
"""
STUB = """\
def groups(net, X):
    decay = [p for p in net.parameters() if p.ndim >= 2]
    rest = [p for p in net.parameters() if p.ndim < 2]
    return [{"params": decay}, {"params": rest, "weight_decay": 0}]
"""
SOLUTION = """\
from d2lblocks import apply_init


def groups(net, X):
    apply_init(net, X)
    decay = [p for p in net.parameters() if p.ndim >= 2]
    rest = [p for p in net.parameters() if p.ndim < 2]
    return [{"params": decay}, {"params": rest, "weight_decay": 0}]
"""
HINTS = (
    "What is `nn.LazyLinear(3).weight.ndim` before the first batch, and what is it afterward?",
    "Read lazy.md#what-works-before-the-first-batch, where `ndim` silently returns a wrong answer, and then lazy.md#apply_init.",
    "Do a dry run in the first line of the function: `apply_init(net, X)`.",
)
AFTER = """
Before the first batch, every uninitialized parameter has `ndim` 1, so the function took all of them for biases.
`apply_init(net, X)` changes nothing else in the net; another way, `net(X)`, would also change the running statistics of a batch norm.
"""
OF_OPTIMIZER = 0.1  # the weight decay of groups without their own


def check(answer: Answer) -> None:
    """Each parameter is in the group that its number of dimensions asks for, for several nets."""
    groups = answer.function("groups")
    nets: dict[str, list[nn.Module]] = {
        "nn.Linear(4, 3)": [nn.Linear(4, 3)],
        "nn.LazyLinear(3)": [nn.LazyLinear(3)],
        "nn.LazyLinear(8), nn.LayerNorm(8), nn.LazyLinear(3, bias=False)": [
            nn.LazyLinear(8),
            nn.LayerNorm(8),
            nn.LazyLinear(3, bias=False),
        ],
        "nn.LayerNorm(4), nn.LazyLinear(3)": [nn.LayerNorm(4), nn.LazyLinear(3)],
        "nn.Unflatten(1, (2, 2)), nn.Conv1d(2, 3, 2)": [nn.Unflatten(1, (2, 2)), nn.Conv1d(2, 3, 2)],
    }
    for text, layers in nets.items():
        net = nn.Sequential(*layers)
        answer.given = f"net = nn.Sequential({text}) and X of shape (2, 4)"
        X = torch.rand(2, 4)
        lazy = [name for name, parameter in net.named_parameters() if is_lazy(parameter)]
        came = answer.kind(_call(groups, net, X), "groups(net, X)", list | tuple, "a list of groups")
        decays: dict[int, float] = {}
        for group in came:
            if not isinstance(group, dict):
                why = "Each group has to be a dict with the key `params`, as an optimizer takes it."
                raise Wrong(why, came=kind_of(group), expected="a dict")
            if "params" not in group:
                raise Wrong("A group has no `params`.", came=list(group), expected="params")
            members = group["params"]
            for member in [members] if isinstance(members, torch.Tensor) else members:
                parameter = (
                    member[1] if isinstance(member, tuple) and len(member) == 2 else member
                )  # a name too
                if id(parameter) in decays:
                    name = next(
                        (name for name, each in net.named_parameters() if each is parameter), "a parameter"
                    )
                    raise Wrong(f"`{name}` is in two groups.", came="two groups", expected="one group")
                decays[id(parameter)] = group.get("weight_decay", OF_OPTIMIZER)
            if group.get("weight_decay", 0.0) is None:
                why = "The weight decay of a group has to be a number: 0 means that there is none."
                raise Wrong(why, came="a weight decay of None", expected="a number")
        others = bool(decays.keys() - {id(parameter) for parameter in net.parameters()})
        for name, parameter in net.named_parameters():
            _check_group(name, parameter, decays.get(id(parameter)), name in lazy, others)
        if len(decays) != len(list(net.parameters())):
            raise Wrong(
                "The groups have parameters that the net does not have.",
                came=f"{len(decays)} parameters",
                expected=f"{len(list(net.parameters()))} parameters",
            )


def _call(groups: Callable[..., object], net: nn.Module, X: torch.Tensor) -> object:
    """The groups; refuse what the dry run leaves in the net."""
    came = groups(net, X)
    if not all(module.training for module in net.modules()):
        raise Wrong(
            "The net was in training mode and is in evaluation mode now: put the mode back.",
            came="net.training is False",
            expected="net.training is True",
        )
    if left := [name for name, each in net.named_parameters() if not is_lazy(each) and each.grad is not None]:
        raise Wrong(
            f"`{left[0]}` has a gradient now, which the first step of the optimizer would use: a dry run needs no "
            "backward pass.",
            came=f"{left[0]}.grad is a tensor",
            expected=f"{left[0]}.grad is None",
        )
    return came


def _check_group(
    name: str, parameter: nn.Parameter, decay: float | None, was_lazy: bool, others: bool
) -> None:
    lazy = is_lazy(parameter)
    expected = name.endswith("weight") if lazy else parameter.ndim >= 2
    if decay is not None and (decay > 0 if expected else decay == 0):
        return
    if decay is None and others:
        why = f"`{name}` is in no group: the groups have parameters of another net, such as a copy."
    elif decay is None:
        why = f"`{name}` of the net is in no group, so the optimizer would not train it."
    elif lazy:
        why = f"`{name}` is still uninitialized, so its `ndim` is 1, whatever it will be: do a dry run with `X` first."
    elif expected and not was_lazy:
        why = f"`{name}` has two or more dimensions, so weight decay has to apply to it."
    elif expected:
        why = f"`{name}` has its shape now, but it had none when the groups were made: do the dry run before that."
    else:
        why = f"`{name}` has one dimension, so weight decay must not apply to it."
    came = "in no group" if decay is None else "weight decay" if decay else "no weight decay"
    raise Wrong(
        why, came=f"{name}: {came}", expected=f"{name}: {'weight decay' if expected else 'no weight decay'}"
    )


WRONG = (
    WrongAnswer(
        "in evaluation mode now",
        changes={
            "from d2lblocks import apply_init": "import torch",
            "    apply_init(net, X)": "    with torch.no_grad():\n        net.eval()(X)",
        },
    ),
    WrongAnswer("is still uninitialized", changes={"    apply_init(net, X)\n": ""}),
    WrongAnswer(
        "do the dry run before that",
        changes={"    apply_init(net, X)\n": "", "    return": "    apply_init(net, X)\n    return"},
    ),
    WrongAnswer("must not apply to it", changes={"p.ndim >= 2": "p.ndim >= 1", "p.ndim < 2": "p.ndim < 1"}),
    WrongAnswer(
        "parameters of another net",
        changes={
            "    apply_init(net, X)": "    net = apply_init(copy.deepcopy(net), X)",
            "from d2l": "import copy\n\nfrom d2l",
        },
    ),
    WrongAnswer("would not train it", changes={', {"params": rest, "weight_decay": 0}': ""}),
    WrongAnswer(
        "has two or more dimensions",
        changes={
            'decay}, {"params": rest, "weight_decay": 0}': 'decay, "weight_decay": 0}, {"params": rest}'
        },
    ),
    WrongAnswer("is in two groups", changes={"p.ndim < 2": "p.ndim <= 2"}),
)
