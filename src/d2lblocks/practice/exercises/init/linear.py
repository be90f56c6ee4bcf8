"""Linear layers that keep their weights."""

import re

import torch
from torch import Tensor, nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "init.md#netapplyf-runs-but-the-weights-do-not-change"
TASK = """
`net.apply(init_linear)` should fill the weight of every linear layer with `xavier_uniform_` and its bias, if it has one, with 0.
But it silently skips `out_proj`, the linear layer in `nn.MultiheadAttention`, because it checks `type(module) == nn.Linear`, and it fails for a layer built with `bias=False`.
Repair `init_linear`.
"""
STUB = """\
from torch import nn


def init_linear(module):
    if type(module) == nn.Linear:
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
"""
SOLUTION = """\
from torch import nn


def init_linear(module):
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
"""
HINTS = (
    "What is `type(nn.MultiheadAttention(4, 2).out_proj)`, and what is its base class?",
    "Read init.md#netapplyf-runs-but-the-weights-do-not-change for the type, and init.md#initialize-a-whole-net-netapply for the bias.",
    "Check `isinstance(module, nn.Linear)`, and fill the bias only under `if module.bias is not None:`.",
)
AFTER = """
`isinstance(module, nn.Linear)` is true for every class derived from `nn.Linear`, such as those of `out_proj` and of a lazy layer.
Another way: `init_by_type(net, {nn.Linear: {"weight": nn.init.xavier_uniform_, "bias": nn.init.zeros_}})` does the same and also reports what it filled.
"""


class _Head(nn.Linear):
    """A linear layer whose class does not say so in its name."""


def check(answer: Answer) -> None:
    """It fills every linear layer, whatever its class and bias, and nothing else."""
    fill = answer.function("init_linear")
    for text, net in {
        "nn.Linear(80, 40)": nn.Linear(80, 40),
        "nn.Sequential(nn.ReLU(), nn.Linear(80, 40))": nn.Sequential(nn.ReLU(), nn.Linear(80, 40)),
        "nn.MultiheadAttention(60, 2)": nn.MultiheadAttention(60, 2),
        "Head(80, 40), whose class is derived from nn.Linear": _Head(80, 40),
        "nn.Linear(80, 40, bias=False)": nn.Linear(80, 40, bias=False),
        "nn.Conv2d(8, 8, 3)": nn.Conv2d(8, 8, 3),
        "nn.Embedding(80, 40)": nn.Embedding(80, 40),
        "nn.Bilinear(8, 8, 8)": nn.Bilinear(8, 8, 8),
        "nn.LayerNorm(80)": nn.LayerNorm(80),
        "two layers nn.Linear(80, 40)": nn.ModuleList([nn.Linear(80, 40), nn.Linear(80, 40)]),
    }.items():
        answer.given = f"net = {text}"
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                nn.init.ones_(parameter)
        before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
        objects = dict(net.named_parameters())
        _apply(fill, net, text)
        if list(before) != [name for name, _ in net.named_parameters()]:
            raise Wrong(
                "The net does not have the same parameters anymore.",
                came=[name for name, _ in net.named_parameters()],
                expected=list(before),
            )
        for name, parameter in net.named_parameters():
            if parameter is not objects[name]:
                raise Wrong(
                    f"`{name}` is a new parameter, and an optimizer that exists already still has the old one: fill the old one.",
                    came="another object",
                    expected="the parameter that was there before",
                )
            if not parameter.requires_grad:
                raise Wrong(
                    f"`{name}` is frozen now, so it is not trained: fill it, and leave `requires_grad` as it is.",
                    came=f"requires_grad of {name} is False",
                    expected=f"requires_grad of {name} is True",
                    page="parameters.md#freezing-parameters",
                )
            if isinstance(net.get_submodule(name.rpartition(".")[0]), nn.Linear):
                _check_filled(name, parameter.detach(), before[name], net)
            elif not torch.equal(parameter, before[name]):
                raise Wrong(
                    f"`{name}` does not belong to a linear layer and has to keep its values: fill only linear layers.",
                    came=f"other values in {name}",
                    expected="the values that it had",
                )
    if torch.equal(net.get_parameter("0.weight"), net.get_parameter("1.weight")):
        raise Wrong(
            "Both layers get the same weights: set no seed in the function, or each layer starts with the same random numbers.",
            came="net[1].weight is equal to net[0].weight",
            expected="other values",
            page="init.md#reproducibility",
        )


def _apply(fill: object, net: nn.Module, text: str) -> None:
    """`net.apply(fill)`, with words for its two usual errors."""
    try:
        net.apply(fill)  # type: ignore[arg-type]
    except RecursionError as error:
        why = "The function calls itself without end: `net.apply` already calls it for every module, so call no `apply` in it."
        raise Wrong(why, came="RecursionError", expected="no error", at=fill) from error
    except AttributeError as error:
        if isinstance(net, nn.Linear) and net.bias is None:
            why = f"`{text}` has the attribute `bias`, but its value is `None`: check `module.bias is not None`."
            raise Wrong(why, came=f"AttributeError: {error}", expected="no error") from error
        missing = re.search(r"'(\w+)' object has no attribute '(weight|bias)'", str(error))
        if missing and missing[1] != "NoneType":
            why = (
                f"`{missing[1]}` has no `{missing[2]}`: `apply` calls the function for every module of the net, and only "
                "linear layers should be filled."
            )
            raise Wrong(why, came=f"AttributeError: {error}", expected="no error") from error
        raise
    except TypeError as error:
        if "isinstance() arg 2" not in str(error):
            raise
        why = "`isinstance` takes the module first and then the class."
        raise Wrong(why, came=f"TypeError: {error}", expected="no error") from error
    except RuntimeError as error:
        if "ambiguous" in str(error):
            why = "A tensor is neither true nor false: compare the bias with `None`, as in `is not None`."
            raise Wrong(why, came=f"RuntimeError: {error}", expected="no error") from error
        raise


def _check_filled(name: str, values: Tensor, before: Tensor, net: nn.Module) -> None:
    if name.endswith("bias"):
        if torch.equal(values, before):
            raise Wrong(
                f"`{name}` keeps its values: it is not filled.", came="the old values", expected="zeros"
            )
        if values.any():
            raise Wrong(
                f"`{name}` is not 0.", came=f"values up to {values.abs().max():.3f}", expected="zeros"
            )
        return
    bound = (6 / sum(values.shape)) ** 0.5
    largest, spread = values.abs().max().item(), values.std().item() * 3**0.5
    if abs(largest / bound - 1) < 0.02 and abs(spread / bound - 1) < 0.1:
        return
    layer = net.get_submodule(name.rpartition(".")[0])
    kept = torch.equal(values, before)
    if kept and type(layer) is not nn.Linear:
        why = (
            f"`{name}` keeps its default values: the class of its layer, `{type(layer).__name__.lstrip('_')}`, is "
            "derived from `nn.Linear`, so this is a linear layer too."
        )
    elif kept and layer.bias is None:
        why = "A layer without a bias has a weight too, and it is not filled."
    elif kept:
        why = f"`{name}` keeps its default values: it is not filled."
    elif abs(spread / bound - 1) < 0.1:
        why = f"`{name}` has the scale of Xavier initialization, but its values are not from a uniform distribution."
    else:
        why = f"`{name}` does not have the values of `xavier_uniform_`."
    raise Wrong(why, came=f"values up to {largest:.3f}", expected=f"values up to {bound:.3f}")


WRONG = (
    WrongAnswer(
        "calls itself without end",
        changes={"    if isinstance": "    module.apply(init_linear)\n    if isinstance"},
    ),
    WrongAnswer(
        "set no seed",
        code="""\
import torch
from torch import nn


def init_linear(module):
    if isinstance(module, nn.Linear):
        torch.manual_seed(0)
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
""",
    ),
    WrongAnswer(
        "derived from `nn.Linear`", changes={"isinstance(module, nn.Linear)": "type(module) is nn.Linear"}
    ),
    WrongAnswer(
        "its value is `None`", changes={"        if module.bias is not None:\n            nn": "        nn"}
    ),
    WrongAnswer("neither true nor false", changes={"module.bias is not None": "module.bias"}),
    WrongAnswer(
        "is a new parameter",
        changes={
            "nn.init.xavier_uniform_(module.weight)": "module.weight = nn.Parameter(nn.init.xavier_uniform_(module.weight.detach()))"
        },
    ),
    WrongAnswer(
        "fill only linear layers", changes={"isinstance(module, nn.Linear)": 'hasattr(module, "weight")'}
    ),
    WrongAnswer(
        "`bias` keeps its values", changes={"nn.init.zeros_(module.bias)": "module.bias = module.bias"}
    ),
    WrongAnswer("not from a uniform distribution", changes={"xavier_uniform_": "xavier_normal_"}),
    WrongAnswer("does not have the values", changes={"xavier_uniform_": "kaiming_uniform_"}),
)
