"""Two runs that are equal to the bit."""

import inspect
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from d2lblocks.diagnosis import diagnose

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "diagnosis.md#everything-stays-as-it-was"
TASK = """
Does a call in the middle of training, such as `diagnose(net, X)`, change the run?
Write `same_run(train, call)`, where `train(f)` builds a net, trains it, calls `f(net)` before each step and returns the state dict.
Run `train` twice from one seed of `torch.manual_seed`, once with `call` and once with a function that does nothing.
Return `True` if both state dicts have the same names and the same values to the last bit, and `False` if not.
"""
STUB = """\
import torch


def same_run(train, call):
    ...
"""
SOLUTION = """\
import torch


def same_run(train, call):
    torch.manual_seed(0)
    with_it = train(call)
    torch.manual_seed(0)
    without = train(lambda net: None)
    return with_it.keys() == without.keys() and all(
        torch.equal(with_it[name], without[name]) for name in without
    )
"""
HINTS = (
    "If `call` does nothing, does your function return `True` every time?",
    "Read diagnosis.md#everything-stays-as-it-was: what could a call of a net change?",
    "Call `torch.manual_seed(0)` before each of the two runs; compare the sets of names, and each pair of tensors with "
    "`torch.equal`.",
)
AFTER = """
Every difference shows: a parameter, a buffer, or a random number that was drawn, because it changes all later ones.
Here, `same_run(train, lambda net: diagnose(net, X))` is `True`.
"""


State = dict[str, Tensor]
Call = Callable[[nn.Module], Any]


def short(call: Call) -> State:
    """A run that only calls."""
    net = nn.Linear(2, 1)
    net.weight.data = net.weight.data.sort(descending=True).values
    for _ in range(2):
        call(net)
    return net.state_dict()


def train(call: Call) -> State:
    """A short run with batch normalization and dropout."""
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 1))
    for _ in range(3):
        call(net)
        net.zero_grad()
        net(torch.rand(4, 2)).square().mean().backward()
        with torch.no_grad():
            for weight in net.parameters():
                weight.sub_(0.1 * cast(Tensor, weight.grad))
    return net.state_dict()


def last_bit(net: nn.Module) -> None:
    """Change the last bit of a weight."""
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.nextafter(weight, weight + 1))


def last(net: nn.Module) -> None:
    """Change the last entry of the state dict."""
    with torch.no_grad():
        net.get_parameter("bias").add_(1)


def order(net: nn.Module) -> None:
    """Sort the two weights."""
    with torch.no_grad():
        weight = net.get_parameter("weight")
        weight.copy_(weight.sort().values)


def count(net: nn.Module) -> None:
    """Change a buffer of the batch normalization."""
    net.get_buffer("1.num_batches_tracked").add_(1)


def rename(net: nn.Module) -> None:
    """Move the bias to another name."""
    if net.bias is not None:
        net.register_parameter("offset", net.get_parameter("bias"))
        net.register_parameter("bias", None)


SEEDS = "Both runs need the same random numbers: call `torch.manual_seed` before each of the two."
CASES: tuple[tuple[str, Callable[[Call], State], Call, bool, str], ...] = (
    (
        "which does nothing",
        short,
        lambda net: None,
        True,
        SEEDS,
    ),
    ("which does nothing", train, lambda net: None, True, SEEDS),
    (
        "which calls diagnose(net, X)",
        train,
        lambda net: diagnose(net, torch.ones(2, 2)),
        True,
        "`diagnose` changes nothing, so the runs are equal.",
    ),
    (
        "which sets a weight to 0",
        short,
        lambda net: nn.init.zeros_(net.get_parameter("weight")),
        False,
        "`weight` differs and `bias` is equal, and the result is `True`: is every tensor compared?",
    ),
    (
        "which adds 1 to the bias",
        short,
        last,
        False,
        "`bias` differs and `weight` is equal, and the result is `True`: is every tensor compared?",
    ),
    (
        "which draws a random number",
        train,
        lambda net: torch.rand(1),
        False,
        "A call that draws a random number is not noticed: the later ones, such as those of dropout, are not the same then.",
    ),
    (
        "which changes the last bit of each weight",
        short,
        last_bit,
        False,
        "A change of the last bit is not noticed: `torch.equal` finds it, but neither `allclose` nor a comparison of printed numbers does.",
    ),
    (
        "which exchanges the two weights",
        short,
        order,
        False,
        "The same numbers in another order are not noticed: compare the values one by one, not their sums.",
    ),
    (
        "which changes a buffer",
        train,
        count,
        False,
        "A buffer that changes is not noticed: compare all entries of the state dicts.",
    ),
    (
        "which registers another buffer",
        short,
        lambda net: net.register_buffer("mean", torch.zeros(1)),
        False,
        "A name that only one state dict has is not noticed: compare the names, too.",
    ),
    (
        "which removes the bias",
        short,
        lambda net: setattr(net, "bias", None),
        False,
        "A name that only one state dict has is not noticed: compare the names, too.",
    ),
    (
        "which gives the bias another name",
        short,
        rename,
        False,
        "Another name for the same values is not noticed: compare the names, too, not only how many there are.",
    ),
)


def _run(run: Callable[[Call], State], call: Call) -> State:
    """A run; raise `Wrong` if its argument cannot be called with a net."""
    try:
        inspect.signature(call).bind("net")
    except TypeError:
        raise Wrong(
            "`train(f)` calls `f(net)`, so it needs a function of one argument: `call` itself, or `lambda net: None`, which does nothing.",
            came="None" if call is None else "a function that does not take one argument",
            expected="a function of one argument",
        ) from None
    return run(call)


def check(answer: Answer) -> None:
    """Calls that change nothing give True, and each kind of change gives False."""
    same_run = answer.function("same_run")
    for text, run, call, expected, why in CASES:
        answer.given = f"`call`, {text}"
        runs = Runs(run, call)
        try:
            result = same_run(runs.train, runs.call)
        except (AssertionError, RuntimeError, TypeError, KeyError) as error:
            raise _mistake(error) or error from None
        runs.check()
        answer.kind(result, "same_run(train, call)", bool, "`True` or `False`")
        if why == SEEDS and torch.equal(*runs.seeds):
            why = "The two runs end with the same values, so the result has to be `True`."
        answer.same(result, expected, "same_run(train, call)", why)


class Runs:
    """Counts the calls in each run."""

    def __init__(self, run: Callable[[Call], State], call: Call) -> None:
        self.run = run
        self.counts: list[int] = []
        self.seeds: list[Tensor] = []  # the state of the generator before each run

        def counted(net: nn.Module) -> Any:
            if self.counts:
                self.counts[-1] += 1
            return call(net)

        counted.__qualname__ = "call"  # the name in error messages
        self.call = counted

    def train(self, f: Call) -> State:
        """A run."""
        self.counts.append(0)
        self.seeds.append(torch.get_rng_state())
        return _run(self.run, f)

    def check(self) -> None:
        """Raise `Wrong` unless there were two runs, one with the call."""
        number = len(self.counts)
        if number != 2:
            why = "`train` has to run twice."
            raise Wrong(why, came=f"{number} run{'s' * (number != 1)}", expected="2 runs")
        with_it = sum(map(bool, self.counts))
        if with_it != 1:
            why = "Both runs call `call`: one of them needs a function that does nothing."
            if not with_it:
                why = "Neither of the two runs calls `call`."
            raise Wrong(why, came=f"{with_it} runs with `call`", expected="1 run with `call`")


def _mistake(error: Exception) -> Wrong | None:
    """The verdict on an error, if it is one of the usual errors."""
    came = f"{type(error).__name__}: {error}"
    if "Boolean value of Tensor" in came:
        why = "`==` on two dictionaries also uses `==` on their tensors, and its result is a tensor, not `True` or `False`."
        return Wrong(why, came=came, expected="True or False")
    if isinstance(error, KeyError):
        why = "Only one of the two state dicts has this name, so they differ."
        return Wrong(why, came=came, expected="False")
    if isinstance(error, AssertionError):
        why = "If the two runs differ, return `False` instead of raising an error."
        return Wrong(why, came=came.removesuffix(": "), expected="False")
    if isinstance(error, TypeError) and "'net'" in came:
        why = "`call` is called without a net: `train` takes the function itself, and calls it before each step."
        return Wrong(why, came=came, expected="`call`")
    return None


WRONG = (
    WrongAnswer("before each of the two", changes={"    torch.manual_seed(0)\n    without": "    without"}),
    WrongAnswer("end with the same values", changes={"    return with_it": "    return not with_it"}),
    WrongAnswer(
        "not their sums",
        changes={"torch.equal(with_it[name], without[name])": "with_it[name].sum() == without[name].sum()"},
    ),
    WrongAnswer(
        "instead of raising an error",
        changes={
            "    return with_it.keys() == without.keys() and all": "    assert with_it.keys() == without.keys()\n    return all"
        },
    ),
    WrongAnswer("neither `allclose`", changes={"torch.equal": "torch.allclose"}),
    WrongAnswer("A name that only one state dict has", changes={"with_it.keys() == without.keys() and ": ""}),
    WrongAnswer(
        "not only how many",
        changes={
            "with_it.keys() == without.keys()": "len(with_it) == len(without)",
            "torch.equal(with_it[name], without[name]) for name in without": "torch.equal(*pair)\n        for pair in zip(with_it.values(), without.values())",
        },
    ),
    WrongAnswer("a function of one argument: `call`", changes={"lambda net: None": "None"}),
    WrongAnswer("Neither of the two runs", changes={"train(call)": "train(lambda net: None)"}),
    WrongAnswer("Both runs call", changes={"lambda net: None": "call"}),
    WrongAnswer("without a net", changes={"train(call)": "train(call())"}),
    WrongAnswer(
        "Only one of the two state dicts",
        changes={"with_it.keys() == without.keys() and ": "", "in without": "in {**with_it, **without}"},
    ),
    WrongAnswer("is every tensor compared", changes={" all(": " any("}),
    WrongAnswer(
        "`==` on two dictionaries",
        changes={
            "with_it.keys() == without.keys() and all(\n        torch.equal(with_it[name], without[name]) for name in without\n    )": "with_it == without"
        },
    ),
)
