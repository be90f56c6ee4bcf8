"""Constants that take part in the call."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "diagnosis.md#how-it-works"
TASK = """
The class `Strangers` in [How it works](diagnosis.md#how-it-works) watches operations to find parameters in lists.
Write `Constants(net)`, which finds constants: plain tensors in attributes of the modules of `net` that existed before the call and take part in it.
After `with Constants(net) as watch: net(X)`, the set `watch.found` holds their paths, such as `"scale"` for one of the net and `"body.scale"` for one of its child `body`.
To take part means to be a positional or a named argument of an operation.
The call must return what it returns without the `with` block.
"""
STUB = """\
import torch
from torch.overrides import TorchFunctionMode


class Constants(TorchFunctionMode):
    def __init__(self, net):
        super().__init__()
        self.found = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))
"""
SOLUTION = """\
import torch
from torch.overrides import TorchFunctionMode


class Constants(TorchFunctionMode):
    def __init__(self, net):
        super().__init__()
        self.held = {
            id(value): f"{path}.{name}".lstrip(".")
            for path, module in net.named_modules()
            for name, value in vars(module).items()
            if isinstance(value, torch.Tensor)
        }
        self.found = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for value in [*args, *kwargs.values()]:
            if id(value) in self.held:
                self.found.add(self.held[id(value)])
        return function(*args, **kwargs)
"""
HINTS = (
    "Where does a module keep a plain tensor, and where does it keep its parameters and buffers?",
    "Read diagnosis.md#how-it-works: `Strangers` collects the `id` of each parameter first, and then looks at the "
    "arguments of each operation.",
    "In `__init__`, map `id(value)` to the path, for all `net.named_modules()` and all tensors in `vars(module)`; in "
    "`__torch_function__`, look up the `id` of each argument.",
)
AFTER = """
Plain tensors are in `vars(module)`, and registered ones are not: a module keeps those in tables of its own, `_parameters` and `_buffers`.
The real `diagnose` also looks into lists of arguments, such as those of `torch.cat`.
"""


class Plain(nn.Module):
    """One constant."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.tensor(2.0)

    def forward(self, X: Tensor) -> Tensor:
        """Scale the input."""
        return X * self.scale


class Registered(Plain):
    """A parameter, a buffer, a constant that is not used, and a tensor that the call makes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("mean", torch.ones(2))
        self.unused = self.weight.detach()  # the same values, in the same memory
        self.last = torch.ones(2)

    def forward(self, X: Tensor) -> Tensor:
        """Use everything but one."""
        self.last = super().forward(X) * self.weight - self.get_buffer("mean")
        return self.last.add_(1)


class Named(nn.Module):
    """A constant that is the first argument, and one that is a named argument."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.rand(2)
        self.table = torch.rand(2, 2)

    def forward(self, X: Tensor) -> Tensor:
        """A linear layer."""
        return F.linear(self.shift - X, weight=self.table)


def check(answer: Answer) -> None:
    """Only the constants that take part are found, and the output is as without the watch."""
    make = answer["Constants"]
    for net, expected, text in (
        (Plain(), {"scale"}, "a net that computes X * self.scale"),
        (
            Registered(),
            {"scale"},
            "a net that also has a parameter, a buffer, an unused constant and a state",
        ),
        (
            nn.ModuleDict({"body": nn.Sequential(Plain(), nn.Linear(2, 2), Plain())}),
            {"body.0.scale", "body.2.scale"},
            "a net with two such nets inside",
        ),
        (Named(), {"shift", "table"}, "a net that computes F.linear(self.shift - X, weight=self.table)"),
    ):
        X = torch.rand(3, 2)
        call: nn.Module = net["body"] if isinstance(net, nn.ModuleDict) else net
        output = call(X)
        answer.given = text
        try:
            with make(net) as watch:
                came = call(X)
        except (RuntimeError, AttributeError, TypeError) as error:
            message = f"{type(error).__name__}: {error}"
            if "Boolean value of Tensor" in message:
                why = "`in` and `==` compare the values of tensors, but here the question is whether it is the same tensor."
            elif "NoneType" in message and (
                "values" in message or "items" in message or "iterable" in message or "mapping" in message
            ):
                why = "`kwargs` is `None` if an operation has no named arguments."
            elif "linear() missing" in message:
                why = "The named arguments do not reach the operation: call `function(*args, **kwargs)`."
            else:
                raise
            raise Wrong(why, came=message, expected=expected) from None
        if came is None:
            why = "The call gives `None` inside the `with` block: return the result of `function`."
            raise Wrong(why, came=came, expected=output)
        answer.same(
            came,
            output,
            "net(X)",
            "The net returns something else inside the `with` block: return the result of `function`, called once, with all its arguments.",
        )
        if came.requires_grad != output.requires_grad:
            why = "The result of the net has no gradient inside the `with` block: call `function` with gradients, as the net does."
            raise Wrong(why, came=came, expected=output)
        if watch is None:
            raise Wrong("`with Constants(net) as watch` gives `None`.", came=watch, expected="the object")
        found = answer.kind(watch.found, "watch.found", set, "a set")
        if found != expected:
            raise Wrong(_why(found, expected), came=found or "an empty set", expected=expected)


def _why(found: set[str], expected: set[str]) -> str:
    """What is wrong with the paths."""
    extra = found - expected
    if any(path.startswith(".") for path in extra):
        return "The path of the net itself is empty, so its attributes have no dot in front."
    for name, why in (
        ("weight", "`weight` is a parameter, not a plain tensor."),
        ("mean", "`mean` is a buffer, not a plain tensor."),
        (
            "unused",
            "`unused` takes no part in the call: look at the arguments of the operations. Another tensor can have the same values, or the same memory.",
        ),
        ("last", "`last` was computed in the call: look for the tensors that the attributes held before it."),
    ):
        if name in extra:
            return why
    if "table" in expected:
        return "A named argument of an operation is not in `args` but in `kwargs`."
    if "body.0.scale" in expected:
        return "The constants of inner modules are missing: `net.named_modules()` gives every module, also those inside the children, with its path."
    return "`scale`, an attribute of the net itself, is an argument of an operation, and `watch.found` does not contain it."


WRONG = (
    WrongAnswer(
        "return the result",
        changes={"        return function(*args, **kwargs)\n": "        function(*args, **kwargs)\n"},
    ),
    WrongAnswer("in `kwargs`", changes={"[*args, *kwargs.values()]": "args"}),
    WrongAnswer("do not reach the operation", changes={"(*args, **kwargs)": "(*args)"}),
    WrongAnswer(
        "has no gradient", changes={"        return": "        with torch.no_grad():\n            return"}
    ),
    WrongAnswer("no dot in front", changes={'.lstrip(".")': ""}),
    WrongAnswer("is `None` if an operation", changes={"kwargs = kwargs or {}\n": "\n"}),
    WrongAnswer("an attribute of the net itself", changes={"net.named_modules()": "net.named_children()"}),
    WrongAnswer(
        "the same tensor",
        changes={
            "id(value): f": "f",
            '.lstrip(".")\n': '.lstrip("."): value\n',
            "        for value in [*args, *kwargs.values()]:\n            if id(value) in self.held:\n                self.found.add(self.held[id(value)])\n": "        for name, value in self.held.items():\n            if value in args:\n                self.found.add(name)\n",
        },
    ),
    WrongAnswer("also those inside the children", changes={"net.named_modules()": '[("", net)]'}),
    WrongAnswer(
        "`unused` takes no part", changes={"self.found = set()": "self.found = set(self.held.values())"}
    ),
    WrongAnswer(
        "is a buffer",
        changes={"vars(module).items()": "[*vars(module).items(), *module.named_buffers(recurse=False)]"},
    ),
)
