"""One layer in two places."""

import copy
import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...answer import Answer, Wrong, shown
from ...exercise import WrongAnswer

LEVEL = "easy"
PAGE = "parameters.md#sharing-parameters-tied-weights"
TASK = """
Complete an MLP that uses one hidden layer twice.
`SharedMLP(4, 8, 1)` has three linear layers: `first` from 4 to 8 numbers, `hidden` from 8 to 8, and `last` from 8 to 1.
In `forward`, the input goes through `first`, `hidden`, the same `hidden` again, and `last`.
`F.relu` is applied to the output of `first` and to both outputs of `hidden`.
`net.state_dict()` has six entries: a weight and a bias for each of the three layers.
"""
STUB = """\
from torch import nn
from torch.nn import functional as F


class SharedMLP(nn.Module):
    def __init__(self, in_features, hidden_features, out_features):
        super().__init__()
        self.first = nn.Linear(in_features, hidden_features)
        ...

    def forward(self, X):
        X = F.relu(self.first(X))
        ...
"""
SOLUTION = """\
from torch import nn
from torch.nn import functional as F


class SharedMLP(nn.Module):
    def __init__(self, in_features, hidden_features, out_features):
        super().__init__()
        self.first = nn.Linear(in_features, hidden_features)
        self.hidden = nn.Linear(hidden_features, hidden_features)
        self.last = nn.Linear(hidden_features, out_features)

    def forward(self, X):
        X = F.relu(self.first(X))
        X = F.relu(self.hidden(X))
        X = F.relu(self.hidden(X))
        return self.last(X)
"""
HINTS = (
    "How many weights does the net have, and how many times does `forward` use each of them?",
    "Read parameters.md#sharing-parameters-tied-weights: one layer in two places has one weight, and its gradient is a sum.",
    "Create `self.hidden` once, and write `X = F.relu(self.hidden(X))` twice.",
)
AFTER = """
One layer that runs twice has one weight, and `backward()` adds up the gradients of both uses.
Another way to share: an `nn.Sequential` that contains the same layer twice; its state dict then has two names for each of its parameters.
"""
LAYERS = ("first", "hidden", "last")
ORDER = "`first`, ReLU, `hidden`, ReLU, `hidden`, ReLU, `last`"


def check(answer: Answer) -> None:
    """Three layers, their sizes, the result, and the gradient of the shared weight."""
    make: Any = answer.module_class("SharedMLP")
    for sizes in (2, 3, 1), (4, 8, 1), (3, 5, 2):
        answer.given = f"SharedMLP{sizes}"
        net: Any = answer.module(make(*sizes), f"SharedMLP{sizes}")
        _layers(answer, net, *sizes)
        X = _distinct(net, sizes[0])
        if sizes[2] > 1:
            X = X.view(2, 2, -1)
        answer.given = f"net = SharedMLP{sizes}, X of shape {tuple(X.shape)}"
        twin, before = copy.deepcopy(net), X.clone()
        came, ran = _run(net, X)
        answer.tensor(came, "net(X)")
        answer.same(X, before, "X", "The net changes its input `X`.", tolerance=0)
        expected = _forward(twin, before)
        if came.shape != expected.shape or not torch.allclose(came, expected, atol=1e-5):
            story = _story(net, before, came)
            if not story:
                answer.without_mistakes(net, X)
                story = _place(net, X, came, ran)
            raise Wrong(
                story, came=f"{shown(came)}, from {' then '.join(ran) or 'no layer'}", expected=expected
            )
        if not came.requires_grad:
            raise Wrong(
                "The result has no gradient: `forward` must not detach it.", came="requires_grad False"
            )
        torch.autograd.backward(came.sum())
        torch.autograd.backward(expected.sum())
        for name, parameter in twin.named_parameters():
            why = (
                f"The gradient of `{name}` is not the sum of all uses: in one of them the parameter is detached, copied "
                "or used without gradients."
            )
            grad = net.get_parameter(name).grad
            if grad is None:
                raise Wrong(why, came=f"net.{name}.grad is None", expected="a tensor")
            answer.same(grad, parameter.grad, f"net.{name}.grad", why)
        answer.without_mistakes(net, X)


def _run(net: Any, X: Tensor) -> tuple[Any, list[str]]:
    """The result of a call, and the names of the layers that run."""
    ran: list[str] = []
    handles = [
        getattr(net, name).register_forward_hook(lambda *_, name=name: ran.append(name)) for name in LAYERS
    ]
    try:
        return net(X), ran
    finally:
        for handle in handles:
            handle.remove()


def _distinct(net: Any, size: int) -> Tensor:
    """Draw weights and an input for which each layer and each ReLU makes a difference, and return the input."""
    for _ in range(100):
        for parameter in net.parameters():
            nn.init.uniform_(parameter, -1, 1)
        X = torch.randn(4, size)
        values = [_forward(net, X, *options) for options in OPTIONS]
        if not any(torch.allclose(a, b, atol=1e-3) for a, b in itertools.combinations(values, 2)):
            break
    return X


def _layers(answer: Answer, net: Any, inside: int, hidden: int, out: int) -> None:
    sizes = {"first": (inside, hidden), "hidden": (hidden, hidden), "last": (hidden, out)}
    for name, size in sizes.items():
        if not hasattr(net, name):
            raise Wrong(
                f"The net has no layer `{name}`: create it in `__init__`, as `self.{name}`.",
                came=f"the layers {[child for child, _ in net.named_children()]}",
                expected=f"the layers {list(LAYERS)}",
                at=type(net).__init__,
            )
        layer = answer.kind(getattr(net, name), f"net.{name}", nn.Linear, "an nn.Linear")
        came = tuple(layer.weight.shape)[::-1]
        if came != size:
            raise Wrong(
                f"`{name}` has the wrong sizes.",
                came=f"from {came[0]} to {came[1]} numbers",
                expected=f"from {size[0]} to {size[1]} numbers",
                at=type(net).__init__,
            )
    own = {id(parameter) for name in LAYERS for parameter in getattr(net, name).parameters()}
    names = [f"{name}.{each}" for name in LAYERS for each in ("weight", "bias")]
    saved = list(net.state_dict())
    if more := [name for name, parameter in net.named_parameters() if id(parameter) not in own]:
        why = (
            f"The net has one more parameter, `{more[0]}`: a second layer does not share the parameters of `hidden`, "
            "not even as a copy. Use `self.hidden` in both places."
        )
    elif lost := [name for name in names if name not in saved]:
        why = f"The net has no `{lost[0]}`: each layer has a weight and a bias."
    elif more := [name for name in saved if name not in names]:
        why = (
            f"The weights are shared, but they are saved under a second name, `{more[0]}`: one attribute is enough for "
            "a layer that runs twice."
        )
    else:
        return
    raise Wrong(why, came=f"the entries {saved}", expected=f"the entries {names}", at=type(net).__init__)


Options = tuple[int, tuple[bool, ...], bool, bool]
RIGHT: Options = (2, (True, True, True), True, False)
# How often `hidden` runs, after which layers there is a ReLU, whether `last` runs, and whether a ReLU follows it.
OPTIONS: list[Options] = [
    RIGHT,
    *((2, relus, True, False) for relus in itertools.product((True, False), repeat=3) if not all(relus)),
    *((uses, (True, True, True), True, False) for uses in (0, 1, 3)),
    (2, (True, True, True), True, True),
]


def _forward(
    net: Any,
    X: Tensor,
    uses: int = 2,
    relus: tuple[bool, ...] = (True, True, True),
    last: bool = True,
    end: bool = False,
) -> Any:
    X = F.linear(X, net.first.weight, net.first.bias)
    X = F.relu(X) if relus[0] else X
    for use in range(uses):
        X = F.linear(X, net.hidden.weight, net.hidden.bias)
        X = F.relu(X) if relus[min(use + 1, 2)] else X
    X = F.linear(X, net.last.weight, net.last.bias) if last else X
    return F.relu(X) if end else X


def _story(net: nn.Module, X: Tensor, came: Tensor) -> str:
    """What the wrong values are, if they are those of a net that people write instead."""
    for options in [*OPTIONS, (2, (True, True, True), False, False)]:
        other = _forward(net, X, *options)
        if options != RIGHT and came.shape == other.shape and torch.allclose(came, other, atol=1e-5):
            return _meaning(*options)
    return ""


def _place(net: Any, X: Tensor, came: Tensor, ran: list[str]) -> str:
    """Where the first difference is."""
    if ran != ["first", "hidden", "hidden", "last"]:
        return f"The net does not compute {ORDER}."
    calls: list[tuple[Tensor, Tensor]] = []
    hooks = [
        getattr(net, name).register_forward_hook(
            lambda _, args, Y: calls.append((args[0].clone(), Y.clone()))
        )
        for name in LAYERS
    ]
    net(X.clone())
    for hook in hooks:
        hook.remove()
    if calls[0][0].shape != X.shape or not torch.equal(calls[0][0], X):
        return "The input of `first` is not `X`."
    places = "the first use of `hidden`", "the second use of `hidden`", "`last`"
    for place, (value, _), (_, before) in zip(places, calls[1:], calls[:-1], strict=True):
        if value.shape != before.shape or not torch.allclose(value, F.relu(before), atol=1e-5):
            return f"The input of {place} is not `F.relu` of the output before it."
    return "The net does not return the output of `last` as it is."


def _meaning(uses: int, relus: tuple[bool, ...], last: bool, end: bool) -> str:
    if end:
        return "The last layer has no ReLU after it: its output can be negative."
    if not last:
        return "The output of `last` is missing: this is the output of `hidden`."
    if uses == 0:
        return (
            "The input of `last` is the output of `first`: is the output of `hidden` assigned to a variable?"
        )
    if uses == 1:
        return "This is the result of a single use of `hidden`: the output of `hidden` has to go into `hidden` again."
    if uses == 3:
        return "`hidden` runs three times, not twice."
    places = ("after `first`", "between the uses of `hidden`", "after the second use of `hidden`")
    missing = [place for place, there in zip(places, relus, strict=True) if not there]
    where = " and ".join([", ".join(missing[:-1]), missing[-1]] if len(missing) > 1 else missing)
    return f"The effect of `F.relu` is missing {where}: is its result assigned?"


WRONG = (
    WrongAnswer(
        "is the output of `hidden` assigned",
        changes={"        X = F.relu(self.hidden(X))": "        F.relu(self.hidden(X))"},
    ),
    WrongAnswer(
        "saved under a second name",
        changes={"        self.last": "        self.again = self.hidden\n        self.last"},
    ),
    WrongAnswer(
        "one more parameter",
        changes={
            "        self.last": "        self.second = copy.deepcopy(self.hidden)\n        self.last",
            "(X))\n        X = F.relu(self.hidden(X))\n        return": "(X))\n        X = F.relu(self.second(X))\n        return",
            "from torch import": "import copy\n\nfrom torch import",
        },
    ),
    WrongAnswer(
        "a single use",
        changes={
            "        X = F.relu(self.hidden(X))\n        X = F.relu(self.hidden(X))\n": "        X = F.relu(self.hidden(X))\n"
        },
    ),
    WrongAnswer(
        "missing between the uses",
        changes={
            "        X = F.relu(self.hidden(X))\n        X = F.relu": "        X = self.hidden(X)\n        X = F.relu"
        },
    ),
    WrongAnswer(
        "The input of the second use of `hidden` is not",
        changes={
            "        X = F.relu(self.hidden(X))\n        X = F.relu": "        X = F.gelu(self.hidden(X))\n        X = F.relu"
        },
    ),
    WrongAnswer("return the output of `last` as it is", changes={"self.last(X)": "self.last(X).sigmoid()"}),
    WrongAnswer("no ReLU after it", changes={"return self.last(X)": "return F.relu(self.last(X))"}),
    WrongAnswer(
        "not the sum of all uses",
        changes={
            "        X = F.relu(self.hidden(X))\n        return": "        weight, bias = self.hidden.weight.data, self.hidden.bias.data\n"
            "        X = F.relu(F.linear(X, weight, bias))\n        return"
        },
    ),
)
