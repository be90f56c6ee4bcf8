"""A transformer that starts as GPT-2 does."""

import torch
from torch import Tensor, nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "init.md#in-the-library"
TASK = """
Write `init_gpt2(net)`, which initializes a transformer the way GPT-2 does and returns it.
`net` is an `nn.Sequential` of new `nn.TransformerEncoderLayer` blocks.
Draw the weights of all linear layers, and those for query, key and value, from N(0, 0.02²), and set their biases to 0.
Each block has two residual branches: attention, and two linear layers.
For the weight of the last layer of each branch, divide the standard deviation by √N, where N is the number of branches in the net.
The normalization layers keep their values.
"""
STUB = """\
from torch import nn


def init_gpt2(net): ...
"""
SOLUTION = """\
from torch import nn


def init_gpt2(net):
    for name, parameter in net.named_parameters():
        if name.endswith(("out_proj.weight", "linear2.weight")):
            nn.init.normal_(parameter, std=0.02 / (2 * len(net)) ** 0.5)
        elif parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.02)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
    return net
"""
HINTS = (
    "What do the names in `net.named_parameters()` tell you about the last layer of each branch?",
    "Read init.md#initialize-each-layer-differently to choose parameters by name. To see what `init_by_type` of init.md#in-the-library would miss, print its report.",
    "The branches end in `self_attn.out_proj` and `linear2`; the weights for query, key and value are in `self_attn.in_proj_weight`, and N is `2 * len(net)`.",
)
AFTER = """
The type of a layer does not say whether it ends a branch: `out_proj` and `linear2` have to be found by their names.
Another way: with `init_by_type`, one rule for `nn.Linear` and one for `nn.MultiheadAttention` fill everything else.
"""
STD = 0.02


def check(answer: Answer) -> None:
    """Biases, norms, and the scale of each weight, for nets of two and of three blocks."""
    init = answer.function("init_gpt2")
    for blocks in 2, 3:
        answer.given = (
            f"a net of {('two', 'three')[blocks - 2]} blocks nn.TransformerEncoderLayer(64, 4, 128)"
        )
        net = nn.Sequential(*(nn.TransformerEncoderLayer(64, 4, 128) for _ in range(blocks)))
        before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
        objects = dict(net.named_parameters())
        if answer.module(init(net), "init_gpt2(net)") is not net:
            raise Wrong(
                "`init_gpt2(net)` returns another net: fill the one that it gets.",
                came="another net",
                expected="the same net",
            )
        kept = [
            str(index)
            for index, block in enumerate(net)
            if all(torch.equal(each, before[f"{index}.{name}"]) for name, each in block.named_parameters())
        ]
        if kept:
            raise Wrong(
                f"`net[{kept[0]}]` keeps all its default values: fill every block.",
                came=f"not filled: {', '.join(kept)}",
                expected="not filled: none",
            )
        for name, parameter in net.named_parameters():
            if parameter is not objects[name]:
                raise Wrong(
                    f"`{name}` is a new parameter, and an optimizer that exists already still has the old one: fill the old one.",
                    came="another object",
                    expected="the parameter that was there before",
                )
            if "norm" in name and not torch.equal(parameter, before[name]):
                why = f"`{name}` belongs to a normalization layer, which has to keep its default values."
                came = f"values from {parameter.min():.3f} to {parameter.max():.3f}"
                raise Wrong(why, came=came, expected="ones" if name.endswith("weight") else "zeros")
            if "norm" in name:
                continue
            if parameter.dim() == 1 and parameter.any():
                raise Wrong(
                    f"The bias `{name}` is not 0.",
                    came=f"values up to {parameter.abs().max():.3f}",
                    expected="zeros",
                )
            if parameter.dim() == 2:
                _check_weight(name, parameter, before[name], blocks)
        first, second = (net.get_parameter(f"{index}.linear1.weight") for index in (0, 1))
        if torch.equal(first, second):
            raise Wrong(
                "All blocks have the same values: draw each weight anew, and set no seed in between.",
                came="net[1].linear1.weight is equal to net[0].linear1.weight",
                expected="other values",
            )


def _check_weight(name: str, weight: Tensor, before: Tensor, blocks: int) -> None:
    ends = name.endswith(("out_proj.weight", "linear2.weight"))
    expected = STD / (2 * blocks) ** 0.5 if ends else STD
    came = weight.std().item()
    if torch.equal(weight, before):
        why = f"`{name}` keeps its default values."
        if "in_proj" in name:
            why += " It is a parameter of `nn.MultiheadAttention` itself, not of a linear layer."
    elif _near(came, expected):
        if abs(weight.mean().item()) < 0.1 * expected and weight.abs().max().item() > 2.5 * expected:
            return
        why = (
            f"`{name}` has the right standard deviation but is not drawn from a normal distribution around 0."
        )
    elif any(_near(came, std) for std in (STD**0.5, STD**2, (expected / STD * STD**2), expected**0.5)):
        why = "N(0, 0.02²) has the variance 0.02², so pass 0.02 as the standard deviation."
    elif ends and _near(came, STD):
        why = f"`{name}` is the last weight of a branch, so its standard deviation has to be divided by √N."
    elif ends and _near(came, STD / blocks**0.5):
        why = "N is the number of branches, and each block has two of them."
    elif ends and _near(came, STD / (2 * blocks)):
        why = "The standard deviation is divided by N, not by √N."
    elif not ends and _near(came, STD / (2 * blocks) ** 0.5):
        why = f"`{name}` is not the last weight of a branch, so its standard deviation must not be divided."
    elif ends and _near(came, STD * (2 * blocks) ** 0.5):
        why = "The standard deviation is multiplied by √N, not divided."
    elif weight.abs().max() < 2 * came:
        why = f"`{name}` is not drawn from a normal distribution: no value is beyond two standard deviations."
    else:
        why = f"The standard deviation of `{name}` is not right."
    raise Wrong(why, came=f"standard deviation {came:.4f}", expected=f"{expected:.4f}")


def _near(came: float, expected: float) -> bool:
    return abs(came / expected - 1) < 0.08


WRONG = (
    WrongAnswer("so pass 0.02", changes={"std=0.02)": "std=0.02**0.5)"}),
    WrongAnswer(
        "of `nn.MultiheadAttention` itself", changes={"parameter.dim() == 2": '"linear1.weight" in name'}
    ),
    WrongAnswer(
        "belongs to a normalization layer", changes={"parameter.dim() == 2": 'name.endswith("weight")'}
    ),
    WrongAnswer(
        "All blocks have the same values",
        changes={
            "    return net": "    for block in net:\n        block.load_state_dict(net[0].state_dict())\n    return net"
        },
    ),
    WrongAnswer("each block has two", changes={"(2 * len(net))": "len(net)"}),
    WrongAnswer(
        "keeps all its default values",
        changes={"net.named_parameters()": "net[:1].named_parameters()"},
    ),
    WrongAnswer("multiplied by √N", changes={"0.02 / (2": "0.02 * (2"}),
    WrongAnswer(
        "no value is beyond two", changes={"normal_(parameter, std=0.02)": "uniform_(parameter, -0.02, 0.02)"}
    ),
    WrongAnswer("is divided by N", changes={"(2 * len(net)) ** 0.5": "(2 * len(net))"}),
    WrongAnswer(
        "has to be divided by √N", changes={'("out_proj.weight", "linear2.weight")': '"linear2.weight"'}
    ),
)
