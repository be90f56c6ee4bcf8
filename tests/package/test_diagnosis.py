"""`diagnose`: each mistake of the gallery is named, its twin is not, and nothing is changed."""

import inspect
import json
import random
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from d2lblocks import diagnosis
from d2lblocks.diagnosis._rules import RULES
from tests.gallery import CASES, CORRECT, Case, Given
from tests.package.test_snapshot import CHANGES, NETS, look, same


def report(given: Given) -> diagnosis.Report:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return diagnosis.diagnose(given.net, *given.args, **given.options)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_mistake_is_named(case: Case) -> None:
    """The mistake has its finding, at the right place, and no other."""
    found = report(case.build(True))
    first, *others = [each for each in found if each.code == case.code]
    assert {each.code for each in found} == {case.code, *case.others}, str(found)
    names = [name for each in (first, *others) for name in each.names]
    assert (tuple(names), first.level) == (case.names, case.level), str(found)
    source, start = inspect.getsourcelines(case.build)
    marked = [number for number, line in enumerate(source, start) if line.endswith("# here\n")]
    assert [each.line for each in (first, *others) if each.line] == marked, str(found)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_twin_has_no_finding(case: Case) -> None:
    """The mended net has no finding."""
    assert str(report(case.build(False))).endswith(": nothing found")


@pytest.mark.parametrize("name", CORRECT)
def test_an_unusual_net_has_no_error(name: str) -> None:
    """What other libraries do on purpose is at most a question."""
    build, questions = CORRECT[name]
    found = report(build())
    assert ({each.code for each in found}, found.errors) == (questions, ()), str(found)


def test_the_gallery_has_each_rule() -> None:
    """There is a net for each code."""
    assert {case.code for case in CASES} == {*RULES}


# Reports and arguments.


class Net(nn.Module):
    """Has an error and a question."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(4, 4) for _ in range(6)]
        self.scale = torch.tensor(2.0)

    def forward(self, X: torch.Tensor, Y: torch.Tensor | None = None) -> torch.Tensor:
        for layer in self.layers:
            X = layer(X)
        return X * self.scale


X = torch.ones(2, 4)


def test_a_report_is_a_sequence_with_errors_first() -> None:
    """Errors and questions are also there by themselves."""
    found = diagnosis.diagnose(Net(), X)
    assert bool(found)
    assert len(found) == 2
    assert [each.level for each in found] == ["error", "question"]
    assert (found.errors, found.questions) == ((found[0],), (found[1],))
    assert not diagnosis.diagnose(nn.Linear(4, 2), X)


def test_a_report_as_text_fits_into_80_columns() -> None:
    """It names the call, the counts, the first places, and the line."""
    shown = str(diagnosis.diagnose(Net(), X))
    title, _, first, rest, *_ = shown.splitlines()
    assert title == "Net, called with (2, 4): 1 error, 1 question"
    assert first == "error     unregistered          self.layers[0], self.layers[1], self.layers[2],"
    assert rest.strip() == "self.layers[3], ... (2 more)"
    assert re.fullmatch(r" {10}\S*test_diagnosis\.py:\d+", shown.splitlines()[4])
    assert [line for line in shown.splitlines() if len(line) > 80 and ".md#" not in line] == []


def test_a_report_as_html_and_as_data() -> None:
    """Names and texts are escaped; the data can be written as JSON."""
    net = nn.Sequential(OrderedDict({"<b>": nn.Linear(4, 4), "out": nn.Linear(4, 2)}))
    net[0].requires_grad = False
    found = diagnosis.diagnose(net, X)
    assert "&lt;b&gt;" in found._repr_html_()
    assert "<b>" not in found._repr_html_()
    data = json.loads(json.dumps(found.as_dict()))
    assert data["findings"][0]["names"] == ["<b>.requires_grad"]
    assert data["findings"][0]["code"] == "misspelt"


@pytest.mark.parametrize(
    ("silence", "codes"),
    [
        ((), {"unregistered", "constant"}),
        (["constant"], {"unregistered"}),
        ("constant", {"unregistered"}),
        (["constant:self.scale"], {"unregistered"}),
        (["constant:self.other"], {"unregistered", "constant"}),
        (["constant", "unregistered"], set()),
    ],
)
def test_findings_can_be_silenced(silence: Any, codes: set[str]) -> None:
    """All findings of a code, or those at one place."""
    assert {each.code for each in diagnosis.diagnose(Net(), X, silence=silence)} == codes


def test_the_arguments_are_shown_in_short() -> None:
    """Shapes of tensors; names of keyword arguments."""
    assert diagnosis.diagnose(nn.Linear(4, 2), X).title == "Linear, called with (2, 4)"
    assert diagnosis.diagnose(Net(), X, Y=X).title == "Net, called with (2, 4), Y=(2, 4)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: diagnosis.diagnose(X, X), "expected a net, which is an nn.Module, but got torch.Tensor"),
        (lambda: diagnosis.diagnose(nn.Linear, X), "got the class torch.nn.modules.linear.Linear: call it first"),
        (lambda: diagnosis.diagnose(nn.Linear(4, 2), X, loss=X), "expected a loss, which is a function, but got torch.Tensor"),
        (lambda: diagnosis.diagnose(nn.Linear(4, 2), X, optimizer=0.1), "expected an optimizer, or several, but got float"),
        (lambda: diagnosis.diagnose(nn.Linear(4, 2), X, optimizer=[0.1]), "expected an optimizer, or several, but got list"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(call: Callable[[], Any], message: str) -> None:
    """The message says what came, and what was expected."""
    with pytest.raises(TypeError, match=re.escape(message)):
        call()


def test_an_unknown_code_is_refused() -> None:
    """The message names the nearest one."""
    with pytest.raises(ValueError, match="no finding with the code 'constants': the nearest is 'constant'"):
        diagnosis.diagnose(nn.Linear(4, 2), X, silence=["constants"])


def test_several_optimizers_hold_a_net_together() -> None:
    """No parameter is missing if one of them holds it."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    both = [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in net]
    assert not diagnosis.diagnose(net, X, optimizer=both)
    assert [each.names for each in diagnosis.diagnose(net, X, optimizer=both[:1])] == [("1",)]


def test_a_failed_call_is_reported_with_the_layer_and_its_input() -> None:
    """The innermost module that raised, what it got, and the message."""
    net = nn.Sequential(OrderedDict(first=nn.Linear(4, 3), rest=nn.Sequential(nn.ReLU(), nn.Linear(5, 2))))
    found = diagnosis.diagnose(net, X)[0]
    assert (found.code, found.names) == ("raises", ("rest.1",))
    assert (
        "Linear(in_features=5, out_features=2, bias=True) got shape (2, 3): RuntimeError: mat1" in found.text
    )


# Everything is as it was.


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@pytest.mark.parametrize("wrong", [True, False], ids=["mistake", "twin"])
def test_a_diagnosis_changes_nothing(case: Case, wrong: bool) -> None:
    """The net, its inputs, the optimizer and the random numbers are as before, to the bit."""
    given = case.build(wrong)
    optimizer = given.options.setdefault("optimizer", torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1))
    everything = given.net, given.args, optimizer
    before = look(*everything)
    for _ in range(2):
        report(given)
        assert same(look(*everything), before)


@pytest.mark.parametrize("name", CORRECT)
def test_a_diagnosis_changes_no_unusual_net(name: str) -> None:
    """Also the attributes of an object that is passed to the net."""
    given = CORRECT[name][0]()
    everything = given.net, *given.args, *(vars(each) for each in given.args if hasattr(each, "__dict__"))
    before = look(*everything)
    report(given)
    assert same(look(*everything), before)


def test_a_scripted_net_stays_in_training_mode() -> None:
    """It keeps its mode in no attribute."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        net = nn.Sequential(torch.jit.script(nn.Linear(4, 4)), nn.Linear(4, 2))
    report(Given(net, (torch.ones(2, 4),)))
    assert all(each.training for each in net.modules())


@settings(deadline=None, max_examples=60)
@given(net=NETS, changes=st.lists(st.sampled_from(CHANGES), max_size=4), fails=st.booleans())
def test_any_net_is_as_it_was(net: nn.Module, changes: list[Any], fails: bool) -> None:
    """Also if the call raises an error, and whatever is unusual about the net."""
    for change in changes:
        change(net)
    X = torch.ones(2, 3 if fails else 4)
    before = look(net, X)
    with suppress(TypeError):  # from a net with a module that cannot be hashed or called
        report(Given(net, (X,)))
    assert same(look(net, X), before)


class Eventful(nn.Module):
    """A net whose forward pass changes whatever it can."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.norm, self.out = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.LazyLinear(2)
        self.seen: list[int] = []
        self.count = 0
        self.by_name: dict[str, Any] = {"last": None}
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        self.count += 1
        self.seen.append(self.count)
        self.by_name["last"] = X.mean().item()
        self.by_name[str(random.random())] = np.random.rand()
        self.calls += 1
        self.train()
        return self.out(F.dropout(self.norm(self.hidden(X)), 0.5))


def trained(with_diagnosis: bool) -> list[Any]:
    """The facts about a net after six steps, during which it is diagnosed at every place, or not."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    net = nn.Sequential(Eventful(), nn.Linear(2, 2))
    net(torch.ones(3, 4))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    y = torch.tensor([0, 1, 1])
    facts = []

    def ask(X: torch.Tensor) -> None:
        if with_diagnosis:
            report(Given(net, (X,), {"loss": lambda Y: F.cross_entropy(Y, y), "optimizer": optimizer}))
            report(Given(net, (X[:, :2],)))  # fails

    for _ in range(6):
        X = torch.randn(3, 4)
        ask(X)
        loss = F.cross_entropy(net(X), y)
        ask(X)  # between the forward and the backward pass
        optimizer.zero_grad()
        loss.backward()
        ask(X)
        optimizer.step()
        facts.append([loss.item(), *(parameter.tolist() for parameter in net.parameters())])
    eventful = net[0]
    return [*facts, eventful.count, eventful.seen, eventful.by_name, eventful.calls.item(), random.random()]


def test_a_diagnosis_in_the_middle_of_training_does_not_change_the_run() -> None:
    """All losses, parameters, attributes and random numbers are the same with it and without."""
    assert trained(with_diagnosis=True) == trained(with_diagnosis=False)
