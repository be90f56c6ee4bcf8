"""Linear layers that keep their weights."""

from torch import nn

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
`isinstance` is true for a class and for everything derived from it, such as `out_proj` and a lazy layer.
`init_by_type(net, {nn.Linear: {"weight": nn.init.xavier_uniform_, "bias": nn.init.zeros_}})` does the same and also reports what it filled.
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
        "a class derived from nn.Linear": _Head(80, 40),
        "nn.Linear(80, 40, bias=False)": nn.Linear(80, 40, bias=False),
        "nn.Conv2d(8, 8, 3)": nn.Conv2d(8, 8, 3),
        "nn.Embedding(80, 40)": nn.Embedding(80, 40),
        "nn.LayerNorm(80)": nn.LayerNorm(80),
    }.items():
        answer.given = f"net = {text}"
        for name, parameter in net.named_parameters():
            if name.endswith("bias"):
                nn.init.ones_(parameter)
        linear = {
            f"{path}.{name}".lstrip("."): parameter
            for path, module in net.named_modules()
            if isinstance(module, nn.Linear)
            for name, parameter in module.named_parameters()
        }
        others = {
            name: (parameter, parameter.detach().clone())
            for name, parameter in net.named_parameters()
            if name not in linear
        }
        _apply(fill, net, text)
        for name, parameter in linear.items():
            _check_filled(name, parameter, net)
        for name, (parameter, before) in others.items():
            why = f"`{name}` does not belong to a linear layer and has to keep its values: fill only linear layers."
            answer.same(parameter, before, name, why, tolerance=0)


def _apply(fill: object, net: nn.Module, text: str) -> None:
    """`net.apply(fill)`, with words for its two usual errors."""
    try:
        net.apply(fill)  # type: ignore[arg-type]
    except AttributeError as error:
        if isinstance(net, nn.Linear) and net.bias is None:
            why = f"`{text}` has the attribute `bias`, but its value is `None`: check `module.bias is not None`."
            raise Wrong(why, came=f"AttributeError: {error}", expected="no error") from error
        if isinstance(net, nn.MultiheadAttention):
            why = (
                "`nn.MultiheadAttention` is not a linear layer and has no `weight`: `apply` also calls the function "
                "for the linear layer inside it."
            )
            raise Wrong(why, came=f"AttributeError: {error}", expected="no error") from error
        raise
    except RuntimeError as error:
        if "ambiguous" in str(error):
            why = "A tensor is neither true nor false: compare the bias with `None`, as in `is not None`."
            raise Wrong(why, came=f"RuntimeError: {error}", expected="no error") from error
        raise


def _check_filled(name: str, parameter: nn.Parameter, net: nn.Module) -> None:
    if name.endswith("bias"):
        if parameter.any():
            raise Wrong(f"`{name}` is not 0.", came=f"values up to {parameter.max():.3f}", expected="zeros")
        return
    bound = (6 / sum(parameter.shape)) ** 0.5
    largest, spread = parameter.abs().max().item(), parameter.std().item() * 3**0.5
    if abs(largest / bound - 1) < 0.02 and abs(spread / bound - 1) < 0.1:
        return
    layer = net.get_submodule(name.rpartition(".")[0])
    if type(layer) is not nn.Linear:
        why = (
            f"`{name}` keeps its default values: the class of its layer is derived from `nn.Linear`, so `type(module) "
            "== nn.Linear` is false."
        )
    elif getattr(layer, "bias", None) is None:
        why = "A layer without a bias has a weight too, and it is not filled."
    else:
        why = f"`{name}` does not have the values of `xavier_uniform_`."
    raise Wrong(why, came=f"values up to {largest:.3f}", expected=f"values up to {bound:.3f}")


WRONG = (
    WrongAnswer(
        "derived from `nn.Linear`", changes={"isinstance(module, nn.Linear)": "type(module) is nn.Linear"}
    ),
    WrongAnswer(
        "its value is `None`", changes={"        if module.bias is not None:\n            nn": "        nn"}
    ),
    WrongAnswer("neither true nor false", changes={"module.bias is not None": "module.bias"}),
    WrongAnswer(
        "fill only linear layers", changes={"isinstance(module, nn.Linear)": 'hasattr(module, "weight")'}
    ),
    WrongAnswer("is not 0", changes={"nn.init.zeros_(module.bias)": "module.bias = module.bias"}),
    WrongAnswer("does not have the values", changes={"xavier_uniform_": "xavier_normal_"}),
)
