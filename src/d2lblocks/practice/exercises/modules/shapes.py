"""The shape after each layer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as hooks

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "modules.md#what-netx-does"
TASK = """
Write a function `shapes(net, X)` that calls the net once and returns the shape of the output of every layer.
The result is a list of pairs `(name, shape)`, in the order in which the layers run, such as `[("0", (2, 64)), ("1", (2, 64))]`.
The layers are the modules without children; each of them returns one tensor.
The name is the one that `net.named_modules()` gives to the layer, and a layer that runs twice is in the list twice.
No hook of `shapes` stays behind, not even if the call raises an error, and `shapes` does not catch this error.
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
A forward hook gets every output, also that of a layer which runs twice, and `finally` runs with and without an error.
`record` makes a hook for one name: a hook defined in the loop would look up `name` only when it runs, after the loop has ended.
`functools.partial` or a default value, `name=name`, would do as well.
"""


class _Twice(nn.Module):
    """Registers a layer that it does not use, runs another one twice, and a function in between."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(4, 4)
        self.last = nn.Linear(4, 2)
        self.body = nn.Sequential(nn.Linear(4, 4))

    def forward(self, X: Tensor) -> Any:
        return self.last(self.body(F.relu(self.body(X))))


def check(answer: Answer) -> None:
    """One layer, a chain, a net that is not a chain; then hooks, errors and modes."""
    shapes = answer.function("shapes")
    X = torch.rand(3, 4)
    one, twice = ("body.0", (3, 4)), ("last", (3, 2))
    cases: list[tuple[str, nn.Module, list[tuple[str, tuple[int, ...]]]]] = [
        ("nn.Sequential(nn.Linear(4, 2))", nn.Sequential(nn.Linear(4, 2)), [("0", (3, 2))]),
        (
            "nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))",
            nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1)),
            [("0", (3, 5)), ("1", (3, 5)), ("2", (3, 1))],
        ),
        (
            "a net that runs body.0, body.0 and last, and has a layer that does not run",
            _Twice(),
            [one, one, twice],
        ),
        ("a single layer, nn.Linear(4, 2)", nn.Linear(4, 2), [("", (3, 2))]),
    ]
    for given, net, expected in cases:
        answer.given = given
        calls: list[int] = []
        net.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        before = _hooks(net)
        came = answer.kind(shapes(net, X), "shapes(net, X)", (list, tuple, dict), "a list")
        _compare(answer, came, expected, net)
        _clean(net, before, "after the call")
        _once(len(calls))
        answer.same(net.training, True, "net.training", "`shapes` changes the mode of the net.")
    answer.given = "nn.Sequential(nn.Linear(4, 5), nn.Linear(4, 5)), whose second layer raises an error"
    net = nn.Sequential(nn.Linear(4, 5), nn.Linear(4, 5))
    before = _hooks(net)
    if not _raises(lambda: shapes(net, X)):
        raise Wrong(
            "The call of the net raises an error, and `shapes` hides it: `finally` without `except` lets it through.",
            came="no error",
            expected="RuntimeError",
        )
    _clean(net, before, "after an error: remove the hooks in a `finally`")


def _compare(answer: Answer, came: Any, expected: list[tuple[str, tuple[int, ...]]], net: nn.Module) -> None:
    if isinstance(came, dict):
        raise Wrong(
            "A dictionary has one place for each name, so a layer that runs twice is in it once: return a list.",
            came=came,
            expected=expected,
        )
    try:
        pairs = [(name, tuple(shape)) for name, shape in came]
    except (TypeError, ValueError):
        raise Wrong(
            "`shapes(net, X)` is not a list of pairs `(name, shape)`.", came=came, expected=expected
        ) from None
    names = {name for name, _ in pairs}
    if not pairs and len(expected) > 0:
        why = "`shapes(net, X)` is empty: no layer is recorded."
    elif unknown := [name for name, _ in pairs if name not in dict(net.named_modules())]:
        why = f"`{unknown[0]}` is not the name of a module: `net.named_modules()` gives each module with its name."
    elif containers := [name for name in names if name != expected[0][0] and _is_container(net, name)]:
        what = f"`{containers[0]}`" if containers[0] else "the net itself"
        why = f"The list contains {what}: leave out the modules with children, which are not layers."
    elif len(names) == 1 and len(pairs) == len(expected) > len({name for name, _ in expected}) - 1 > 0:
        why = (
            "All names are equal: a hook that is defined in a loop looks up `name` only when it runs, after the loop "
            "has ended."
        )
    elif [(name, (3, 4)) for name, _ in expected] == pairs[:1]:
        why = "These are the shapes of the inputs: the third argument of a forward hook is the output."
    elif len(expected) == 3 and expected[0] == expected[1] and "unused" in names:
        why = "`unused` does not run in the call, but it is in the list: record in a hook what runs."
    elif len(expected) == 3 and expected[0] == expected[1] and len(pairs) == 2:
        why = "`body.0` runs twice, so it has to be in the list twice."
    else:
        why = ""
    answer.same(pairs, expected, "shapes(net, X)", why)


def _once(calls: int) -> None:
    if calls == 0:
        why = (
            "`shapes` does not call the net as `net(X)`: `net.forward(X)` skips the hooks of the net, and to run the "
            "layers one by one is right only for a chain."
        )
    else:
        why = f"`shapes` calls the net {calls} times: one call gives the shapes of all layers."
    if calls != 1:
        raise Wrong(why, came=f"{calls} calls of the net", expected="1 call")


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
    raise Wrong(why, came=f"{counts[0]} hooks", expected=f"{counts[1]} hooks")


def _raises(call: Callable[[], Any]) -> bool:
    try:
        call()
    except RuntimeError:
        return True
    return False


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
    WrongAnswer("one place for each name", changes={"return found\n": "return dict(found)\n"}),
    WrongAnswer("skips the hooks of the net", changes={"        net(X)": "        net.forward(X)"}),
)
