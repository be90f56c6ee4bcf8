"""The shape after each layer."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as hooks

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from .._lines import line_of
from ._nets import times

LEVEL = "medium"
PAGE = "modules.md#what-netx-does"
TASK = """
Write a function `shapes(net, X)` that calls the net once, with `net(X)`, and returns the shape of the output of every layer.
The result is a list of pairs `(name, shape)`, in the order in which the layers run, such as `[("0", (2, 64)), ("1", (2, 64))]`.
Each pair is a tuple, and so is each shape (a `torch.Size` is a tuple too).
The layers are the modules without children; each of them returns one tensor.
The name is the one that `net.named_modules()` gives to the layer, and a layer that runs twice is in the list twice.
After the call of the net, `shapes` removes all its hooks.
If this call raises an error, `shapes` removes the hooks too, and the error reaches the caller of `shapes`.
"""
STUB = """\
def shapes(net, X):
    found = []
    ...
    return found
"""
SOLUTION = """\
def shapes(net, X):
    found = []

    def record(name):
        def hook(module, inputs, output):
            found.append((name, tuple(output.shape)))

        return hook

    handles = [
        module.register_forward_hook(record(name))
        for name, module in net.named_modules()
        if not list(module.children())
    ]
    try:
        net(X)
    finally:
        for handle in handles:
            handle.remove()
    return found
"""
HINTS = (
    "Which function can you attach to a layer so that PyTorch calls it with the layer's output?",
    "Read modules.md#what-netx-does: a forward hook gets the output, and `handle.remove()` detaches it.",
    "Attach a hook to each module of `net.named_modules()` that has no children, call `net(X)` inside `try`, and remove all hooks in `finally`.",
)
AFTER = """
A forward hook gets every output, also that of a layer that runs twice, and `finally` runs with and without an error.
Each hook has to keep the name of its own module; there are three ways: a function that makes the hook, `functools.partial`, and a default value such as `name=name`.
"""


Pair = tuple[str, tuple[int, ...]]


class _Twice(nn.Module):
    """Registers a layer that it does not use, runs another one twice, and a function in between."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(4, 4)
        self.last = nn.Linear(4, 2)
        self.net = nn.Sequential(nn.Linear(4, 4))

    def forward(self, X: Tensor) -> Any:
        return self.last(self.net(F.relu(self.net(X))))


def check(answer: Answer) -> None:
    """One layer, a chain, nets that are not chains; then hooks, errors and modes."""
    shapes = answer.function("shapes")
    X = torch.rand(3, 4)
    one, twice, shared = ("net.0", (3, 4)), ("last", (3, 2)), nn.Linear(4, 4)
    cases: list[tuple[str, nn.Module, list[Pair]]] = [
        ("nn.Sequential(nn.Linear(4, 2))", nn.Sequential(nn.Linear(4, 2)), [("0", (3, 2))]),
        (
            "nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))",
            nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1)),
            [("0", (3, 5)), ("1", (3, 5)), ("2", (3, 1))],
        ),
        (
            "a net that runs net.0, net.0 and last, and has a layer that does not run",
            _Twice(),
            [one, one, twice],
        ),
        ("a single layer, nn.Linear(4, 2)", nn.Linear(4, 2), [("", (3, 2))]),
        (
            "nn.Sequential(shared, nn.ReLU(), shared), shared = nn.Linear(4, 4)",
            nn.Sequential(shared, nn.ReLU(), shared),
            [("0", (3, 4)), ("1", (3, 4)), ("0", (3, 4))],
        ),
    ]
    for given, net, expected in cases:
        answer.given = f"net = {given}, X of shape (3, 4)"
        calls: list[int] = []
        net.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        list(net.modules())[-1].eval()
        before, modes = _hooks(net), [each.training for each in net.modules()]
        came = _called(answer, shapes, net, X)
        if len(calls) > 1:
            raise Wrong(
                f"`shapes` calls the net {times(len(calls))}: one call gives the shapes of all layers.",
                came=f"{len(calls)} calls of the net",
                expected="1 call",
            )
        _compare(answer, came, expected, net, len(calls))
        _clean(net, before, "after the call")
        if not calls:
            raise Wrong(
                "`shapes` does not call the net as `net(X)`. A call of `net.forward(X)` skips the hooks of the net, and "
                "to run the layers one by one is right only for a chain.",
                came="0 calls of net(X)",
                expected="1 call",
            )
        answer.same(
            [each.training for each in net.modules()],
            modes,
            "the modes",
            "`shapes` changes the mode of a module: after the call, `training` of each module has to be as before.",
        )
    for layer, name, error in (
        (nn.Linear(4, 5), "nn.Linear(4, 5)", RuntimeError),
        (nn.BatchNorm2d(5), "nn.BatchNorm2d(5)", ValueError),
    ):
        answer.given = f"nn.Sequential(nn.Linear(4, 5), {name}), whose second layer raises a {error.__name__}"
        _fails(answer, shapes, nn.Sequential(nn.Linear(4, 5), layer), X, error)


def _fails(answer: Answer, shapes: Any, net: nn.Module, X: Tensor, error: type[Exception]) -> None:
    """The error of the net reaches the caller, and no hook is left."""
    before = _hooks(net)
    raised = _raised(lambda: shapes(net, X))
    if raised and not isinstance(raised, error):
        raise Wrong(
            "The net raises an error, and `shapes` raises another one instead: the error of the net has to reach the "
            "caller.",
            came=f"{type(raised).__name__}: {raised}",
            expected=f"the {error.__name__} of the net",
            at=line_of(raised, answer),
        )
    if not raised:
        raise Wrong(
            "The call of the net raises an error, and `shapes` hides it: an `except` does that, and also a `return` "
            "inside `finally`.",
            came="no error",
            expected=error.__name__,
        )
    _clean(net, before, "after an error: remove the hooks in a `finally`")


def _called(answer: Answer, shapes: Any, net: nn.Module, X: Tensor) -> Any:
    """The result; errors of hooks are told in the words of the page."""
    try:
        return shapes(net, X)
    except (AttributeError, TypeError) as error:
        message = str(error)
        if re.search(
            r"missing \d required positional argument|positional arguments? but 3 were given", message
        ):
            why = (
                "A forward hook is called with three arguments: the module, a tuple with its inputs, and its output. "
                "A forward pre-hook gets no output."
            )
        elif "'tuple' object has no attribute" in message:
            why = (
                "A forward hook gets three arguments: the module, a tuple with its inputs, and its output. Here, the "
                "tuple is used as if it were the output."
            )
        elif "must be Tensor, not" in message:
            why = "What a forward hook returns takes the place of the output of its layer: it has to return nothing."
        elif "'NoneType' object is not callable" in message:
            why = "`register_forward_hook` gets `None` and not a function: is the hook called where it is attached?"
        else:
            raise
        raise Wrong(why, came=f"{type(error).__name__}: {message}", at=line_of(error, answer)) from None


def _compare(answer: Answer, came: Any, expected: list[Pair], net: nn.Module, calls: int) -> None:
    if isinstance(came, dict):
        raise Wrong(
            "A dictionary has one place for each name, so a layer that runs twice is in it once: return a list.",
            came=came,
            expected=expected,
        )
    answer.kind(came, "shapes(net, X)", list, "a list")
    if why := _form(came):
        raise Wrong(why, came=came, expected=expected)
    if came != expected:
        raise Wrong(_story(came, expected, net, calls), came=came, expected=expected)


def _form(pairs: list[Any]) -> str:
    """What is wrong with the form of the list; empty if it consists of names and shapes."""
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return "`shapes(net, X)` is not a list of pairs `(name, shape)`."
        name, shape = pair
        if isinstance(shape, str) and not isinstance(name, str):
            return "In each pair, the name comes first, and the shape second."
        if not isinstance(name, str):
            return "The first part of a pair has to be a name, which is a string."
        if isinstance(shape, Tensor):
            return "The second part of a pair is the output itself, not its shape."
        if isinstance(shape, list) or not isinstance(pair, tuple):
            return f"The {'pairs' if isinstance(pair, list) else 'shapes'} are lists, and they have to be tuples."
        if not isinstance(shape, tuple) or not all(isinstance(size, int) for size in shape):
            return "The second part of a pair has to be the shape, as a tuple of numbers."
    return ""


def _story(pairs: list[Pair], expected: list[Pair], net: nn.Module, calls: int) -> str:
    """Why the list differs from the one that is right."""
    names, wanted = [name for name, _ in pairs], [name for name, _ in expected]
    lost = [name for name in wanted if name not in names]
    if not pairs and not calls:
        return "`shapes(net, X)` is empty: the net is not called."
    if not pairs and wanted == [""]:
        return "The net is a layer itself, and it is not in the list: its name is the empty string."
    if not pairs:
        return (
            "`shapes(net, X)` is empty: no layer has a hook that records it. `module.children()` is a generator, and a "
            "generator counts as true even if nothing is in it."
        )
    if unknown := [name for name in names if name not in dict(net.named_modules(remove_duplicate=False))]:
        return f"`{unknown[0]}` is not the name of a module: `net.named_modules()` gives each module with its name."
    if containers := [name for name in names if name not in wanted and _is_container(net, name)]:
        what = f"`{containers[0]}`" if containers[0] else "the net itself"
        return f"The list contains {what}: leave out the modules with children, which are not layers."
    if len(set(names)) == 1 < len(set(wanted)) and len(names) == len(wanted):
        return (
            "All names are equal: a hook that is defined in a loop looks up `name` only when it runs, after the loop "
            "has ended."
        )
    if len(pairs) > len(expected) and pairs[-len(expected) :] == expected:
        return "The list still has what an earlier call found: make a new list in each call of `shapes`."
    if len(wanted) == 1 < len(names):
        return (
            f"One layer runs once, but the list has {len(names)} entries: a layer needs one hook, and a module with "
            "children, such as the net itself, needs none."
        )
    if pairs[0] == (wanted[0], (3, 4)) != expected[0]:
        return "These are the shapes of the inputs: the third argument of a forward hook is the output."
    if [(name, shape[1:]) for name, shape in expected] == pairs:
        return "The first size is missing in the shapes: the number of examples belongs to the shape."
    if sorted(pairs) == sorted(expected):
        return "The list is not in the order in which the layers run."
    if "unused" in names:
        return "`unused` does not run in the call, but it is in the list: record in a hook what runs."
    if names != wanted and set(names) > set(wanted):
        return (
            "A layer with two names is recorded under both: `named_modules()` gives it once, under the first."
        )
    if lost and "." in lost[0]:
        return f"`{lost[0]}` runs but is not in the list: `named_children()` does not look into the children."
    if any(isinstance(net.get_submodule(name), nn.Linear) for name in lost):
        return f"`{lost[0]}` runs but is not in the list."
    if lost:
        return f"`{lost[0]}` runs but is not in the list: a layer is each module without children, not only `nn.Linear`."
    if len(pairs) < len(expected):
        return f"`{wanted[0]}` runs twice, so it has to be in the list twice."
    if len(pairs) > len(expected):
        return f"The list has {len(pairs)} entries, but {len(expected)} layers run: is there one hook for each layer?"
    return "`shapes(net, X)` has other shapes than the outputs of the layers."


def _is_container(net: nn.Module, name: Any) -> bool:
    return any(module for path, module in net.named_modules() if path == name and list(module.children()))


def _hooks(net: nn.Module) -> list[Any]:
    tables = [table for each in net.modules() for table in (each._forward_hooks, each._forward_pre_hooks)]
    return [list(table) for table in (*tables, hooks._global_forward_hooks, hooks._global_forward_pre_hooks)]


def _clean(net: nn.Module, before: list[Any], when: str) -> None:
    after = _hooks(net)
    counts = sum(map(len, after)), sum(map(len, before))
    if counts[0] < counts[1]:
        why = "`shapes` removes a hook that was there before: remove only the hooks that you attached."
    elif counts[0] > counts[1]:
        why = f"A hook of `shapes` is still attached {when}."
    else:
        return
    came, expected = (f"{count} {'hook' if count == 1 else 'hooks'}" for count in counts)
    raise Wrong(why, came=f"{came} on the net", expected=f"{expected}, as before the call")


def _raised(call: Callable[[], Any]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


WRONG = (
    WrongAnswer(
        "still attached after the call",
        changes={"handle.remove()": "handle"},
    ),
    WrongAnswer(
        "still attached after an error",
        changes={
            "    try:\n        net(X)\n    finally:\n        for handle in handles:\n            handle.remove()": "    net(X)\n"
            "    for handle in handles:\n        handle.remove()"
        },
    ),
    WrongAnswer(
        "All names are equal",
        code="""\
def shapes(net, X):
    found, handles = [], []
    for name, module in net.named_modules():
        if not list(module.children()):
            handles.append(
                module.register_forward_hook(
                    lambda module, inputs, output: found.append((name, output.shape))
                )
            )
    try:
        net(X)
    finally:
        for handle in handles:
            handle.remove()
    return found
""",
    ),
    WrongAnswer(
        "leave out the modules with children", changes={"        if not list(module.children())\n": ""}
    ),
    WrongAnswer("have to be tuples", changes={"tuple(output.shape)": "list(output.shape)"}),
    WrongAnswer("one place for each name", changes={"return found\n": "return dict(found)\n"}),
    WrongAnswer("skips the hooks of the net", changes={"        net(X)": "        net.forward(X)"}),
    WrongAnswer(
        "what an earlier call found",
        changes={"def shapes(net, X):\n    found = []\n": "found = []\n\n\ndef shapes(net, X):\n"},
    ),
    WrongAnswer(
        "raises another one instead",
        changes={
            "    finally:\n": '    except RuntimeError as error:\n        raise ValueError("the net fails") from error\n    finally:\n'
        },
    ),
    WrongAnswer(
        "changes the mode of a module",
        changes={"        net(X)": "        net.eval()\n        net(X)\n        net.train()"},
    ),
)
