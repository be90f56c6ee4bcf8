"""What waits for the first batch."""

import ast
from pathlib import Path

import torch
from torch import nn

from d2lblocks._arguments import kind_of
from d2lblocks.lazy import uninitialized_names

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "lazy.md#nnlazylinear-the-input-size-comes-from-the-first-batch"
TASK = """
You give the first layer its input size and leave the others lazy: `net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(32), nn.LazyLinear(10))`.
Predict which of its parameters are uninitialized at three moments.
Each answer is a list of names such as `"0.weight"`, and it may be empty.
`built` is the list for the new net.
`half` is the list after the call `net[:3](X)`, where `X` has the shape `(2, 20)`.
`called` is the list after one more call, `net(X)`.
"""
STUB = """\
built = [...]
half = [...]
called = [...]
"""
SOLUTION = """\
built = ["2.weight", "2.bias", "3.weight", "3.bias"]
half = ["3.weight", "3.bias"]
called = []
"""
HINTS = (
    "From what does a lazy layer read its input size, and when?",
    "Read lazy.md#nnlazylinear-the-input-size-comes-from-the-first-batch: the steps of a layer's first call. `net[:3]` consists of the layers 0, 1 and 2.",
    "`nn.Linear(20, 64)` has its values when it is built; each lazy layer gets them at its own first call; `nn.ReLU()` has no parameters.",
)
AFTER = """
A layer sees only its own input, so it cannot compute its size from the layers before it and waits for its own first call.
Another way to get these lists: `uninitialized_names(net)` of the package.
"""
NAMES = [f"{layer}.{kind}" for layer in (0, 2, 3) for kind in ("weight", "bias")]


def check(answer: Answer) -> None:
    """Compare with what a real net reports at each of the three moments."""
    net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.LazyLinear(32), nn.LazyLinear(10))
    X = torch.rand(2, 20)
    answer.given = "the new net"
    _compare(answer, "built", uninitialized_names(net))
    net[:3](X)
    answer.given = "the net after net[:3](X)"
    _compare(answer, "half", uninitialized_names(net))
    net(X)
    answer.given = "the net after net[:3](X) and net(X)"
    _compare(answer, "called", uninitialized_names(net))


def _compare(answer: Answer, name: str, expected: list[str]) -> None:
    came, at = answer[name], _line(answer.file, name)
    if not isinstance(came, list | tuple | set):
        raise Wrong(f"`{name}` is not a list of names.", came=kind_of(came), expected="a list", at=at)
    if sorted(map(str, came)) == sorted(expected):
        return
    unknown = [each for each in came if each not in NAMES]
    extra = {str(each)[0] for each in came if each not in expected and each != ""}
    if ... in came:
        why = f"`{name}` still has the `...` of the exercise."
    elif not all(isinstance(each, str) for each in came):
        why = f"`{name}` has to be a list of names, such as `0.weight`."
    elif "1" in extra:
        why = "Layer 1 is `nn.ReLU()`, which has no parameters; the first layer is layer 0."
    elif "4" in extra:
        why = "There is no layer 4: the first layer is layer 0."
    elif unknown:
        why = f"`{unknown[0]}` is not the name of a parameter: names look like `2.weight`."
    elif "0" in extra:
        why = "`nn.Linear(20, 64)` knows its input size, so it gets its parameters when it is built."
    elif "2" in extra and name == "half":
        why = "`net[:3](X)` calls layer 2, and this call gives the layer its shapes."
    elif extra and name == "called":
        why = "`net(X)` reaches every layer, so nothing is uninitialized anymore."
    elif name == "built" and not any(each[0] == "3" for each in came):
        why = "A layer sees only its own input: it cannot compute its input size from the layer before it, so layer 3 waits too."
    elif name == "half" and not came:
        why = "`net[:3]` consists of the layers 0, 1 and 2: layer 3 has not been called yet."
    elif len({*came}) < len(came):
        why = f"`{name}` contains a name more than once."
    else:
        why = f"`{name}` is not complete: each lazy layer has a weight and a bias."
    raise Wrong(why, came=f"{name} = {list(came)}".replace("Ellipsis", "..."), at=at)


def _line(file: str, name: str) -> int | None:
    """The line of the file that assigns to a name."""
    for statement in ast.parse(Path(file).read_text("utf-8-sig")).body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
                return node.lineno
    return None


WRONG = (
    WrongAnswer("layer 3 waits too", changes={'"2.bias", "3.weight", "3.bias"]\nhalf': '"2.bias"]\nhalf'}),
    WrongAnswer("when it is built", changes={'["2.weight"': '["0.weight", "0.bias", "2.weight"'}),
    WrongAnswer("Layer 1 is", changes={'["2.weight"': '["1.weight", "2.weight"'}),
    WrongAnswer("There is no layer 4", changes={'"3.': '"4.', '"2.': '"3.'}),
    WrongAnswer("calls layer 2", changes={"half = [": 'half = ["2.weight", "2.bias", '}),
    WrongAnswer("has not been called yet", changes={'half = ["3.weight", "3.bias"]': "half = []"}),
    WrongAnswer("more than once", changes={'["2.weight"': '["2.weight", "2.weight"'}),
    WrongAnswer("reaches every layer", changes={"called = []": "called = built"}),
)
