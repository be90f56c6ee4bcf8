"""`diagnose`: each mistake of the gallery is named, its twin is not, and nothing is changed."""

import gc
import inspect
import json
import os
import random
import re
import subprocess
import sys
import time
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from threading import Barrier, Event, Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module
from torch.utils.checkpoint import checkpoint

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
    assert not any("  " in each.text + each.fix for each in found)


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


def test_the_line_of_a_direct_call_is_that_of_the_caller() -> None:
    """Not that of a decorator or of a derived class between the two."""

    def decorated(function: Any) -> Any:
        return lambda *args: function(*args)

    class Inner(nn.Linear):
        @decorated
        def forward(self, X: torch.Tensor) -> torch.Tensor:
            return super().forward(X)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner(4, 4)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            return self.inner.forward(X) + 1

    (finding,) = report(Given(Outer(), (torch.ones(2, 4),)))
    first = Outer.forward.__code__.co_firstlineno
    assert (finding.code, finding.names, finding.line) == ("forward-called", ("inner",), first + 1)


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
        (["constant:self.sc"], {"unregistered", "constant"}),
        (["unregistered:self.layers"], {"constant"}),
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
    assert "Linear(in_features=5, out_features=2, bias=True) got shape (2, 3): RuntimeError: " in found.text
    assert "mat1 and mat2 shapes cannot be multiplied" in found.text


def test_what_runs_without_gradients_is_a_question_if_the_call_fails_too() -> None:
    """What the backward pass would reach is then not known, but what autograd recorded is."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.teacher = (nn.Linear(4, 2),)
            self.out = nn.Linear(5, 2)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                self.teacher[0](X)
            return self.out(X)

    found = diagnosis.diagnose(Net(), X)
    assert [(each.code, each.level) for each in found] == [("raises", "error"), ("unregistered", "question")]


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


# Around the call: threads, modes, graphs, memory.


def test_modules_of_other_threads_are_not_named() -> None:
    """An error comes from a module of this thread, also while another thread is inside a module."""
    inside, end, threads = Event(), Event(), []

    class Other(nn.Module):
        def forward(self, X: torch.Tensor) -> torch.Tensor:
            inside.set()
            end.wait(10)
            return X

    class Part(nn.Module):
        def forward(self, X: torch.Tensor) -> torch.Tensor:
            threads.append(Thread(target=Other(), args=(X,)))
            threads[-1].start()
            inside.wait(10)
            raise ValueError("of this thread")

    try:
        (found,) = diagnosis.diagnose(nn.Sequential(nn.Linear(4, 4), Part()), X)
    finally:
        end.set()
        for each in threads:
            each.join()
    assert (found.code, found.names) == ("raises", ("1",))
    assert found.text.startswith("Part() got shape (2, 4): ValueError: of this thread")


def test_two_threads_diagnose_one_net() -> None:
    """The second waits for the first; both find the same, and the net is as it was."""
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    before, found = look(net), list[str]()
    start = Barrier(2)

    def work() -> None:
        start.wait()
        for _ in range(5):
            found.append(str(diagnosis.diagnose(net, X, loss=torch.sum)))

    threads = [Thread(target=work) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == ["Sequential, called with (2, 4): nothing found"] * 10
    assert same(look(net), before)


class Interrupted(Eventful):
    """Is interrupted in one of its calls."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = iter(range(calls))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        Y = super().forward(X)
        if next(self.left, None) is None:
            raise KeyboardInterrupt
        return Y


def test_an_interrupted_diagnosis_changes_nothing() -> None:
    """Ctrl-C in any of the calls goes through; the net is restored, and no hook stays."""
    for calls in count():
        net = Interrupted(calls)
        before = look(net)
        try:
            diagnosis.diagnose(net, torch.ones(3, 4), loss=torch.sum)
        except KeyboardInterrupt:
            assert same(look(net), before)
            assert not module._global_forward_hooks
            assert not module._global_forward_pre_hooks
        else:
            break
    assert calls > 3


def test_inference_mode_around_a_diagnosis() -> None:
    """The findings are the same, the inputs may come from that mode, and the net can be trained afterward."""
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    with torch.inference_mode():
        inputs = torch.randn(3, 4)
        assert not diagnosis.diagnose(net, inputs, loss=torch.sum)
        assert torch.is_inference_mode_enabled()
    assert not diagnosis.diagnose(net, inputs, loss=torch.sum)
    net(X).sum().backward()
    assert all(each.grad is not None for each in net.parameters())


def test_autocast_around_a_diagnosis() -> None:
    """The next call in the same context computes with the weights of the net, and they get gradients.

    Autocast keeps the weights that it has cast until the end of the context; the steps of the search for
    equal units change them.
    """
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    nn.init.zeros_(net[0].weight)
    nn.init.zeros_(net[2].weight)  # so the first layer gets a gradient only after a step
    with torch.autocast("cpu", torch.bfloat16):
        expected = net(X)
    with torch.autocast("cpu", torch.bfloat16):
        assert not diagnosis.diagnose(net, X)
        Y = net(X)
        assert torch.equal(Y, expected)
        Y.sum().backward()
    assert all(each.grad is not None for each in net.parameters())


@pytest.mark.parametrize(
    "reentrant", [None, False, True], ids=["plain", "checkpoint", "reentrant checkpoint"]
)
def test_a_graph_of_the_caller_stays(reentrant: bool | None) -> None:
    """An input, and a penalty in the loss, have a graph: it gets no gradients, and its backward pass still works."""

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(4, 4)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            return self.out(X) if reentrant is None else checkpoint(self.out, X, use_reentrant=reentrant)

    before, head, other = nn.Linear(4, 4), Head(), nn.Linear(4, 4)
    inputs = before(X).tanh()
    penalty = other(head.out(inputs.detach())).tanh().sum()
    gradients = list[torch.Tensor]()
    inputs.register_hook(gradients.append)
    parameters = [each for part in (before, head, other) for each in part.parameters()]
    assert not diagnosis.diagnose(head, inputs, loss=lambda Y: Y.sum() + penalty)
    assert not gradients
    assert all(each.grad is None for each in parameters)
    (head(inputs).sum() + penalty).backward()
    assert all(each.grad is not None for each in parameters)


def test_batch_norms_that_are_not_registered_keep_their_statistics() -> None:
    """In a closure, a partial and a dataclass."""
    norms = [nn.BatchNorm1d(4) for _ in range(3)]

    @dataclass
    class Part:
        norm: nn.Module

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            first, second, third = norms
            self.first = lambda X: first(X)
            self.second = partial(lambda norm, X: norm(X), second)
            self.third = Part(third)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            return self.third.norm(self.second(self.first(X)))

    inputs = torch.randn(3, 4)
    before = look(norms)
    assert diagnosis.diagnose(Net(), inputs)
    assert same(look(norms), before)


class Criterion:
    """A loss with a module and a history."""

    def __init__(self) -> None:
        self.norm, self.number, self.history = nn.BatchNorm1d(4), 0, list[float]()

    def __call__(self, Y: torch.Tensor) -> torch.Tensor:
        loss = self.norm(Y).square().mean()
        self.number += 1
        self.history.append(loss.item())
        return loss

    def measured(self, Y: torch.Tensor) -> torch.Tensor:
        return self(Y)


@pytest.mark.parametrize("kind", ["object", "method", "closure"])
def test_a_loss_is_as_it_was(kind: str) -> None:
    """Also what it counts, and the statistics of its batch norm."""
    criterion, norm, losses = Criterion(), nn.BatchNorm1d(4), list[float]()

    def closure(Y: torch.Tensor) -> torch.Tensor:
        losses.append(Y.sum().item())
        return norm(Y).square().mean()

    loss = {"object": criterion, "method": criterion.measured, "closure": closure}[kind]
    net, inputs = nn.Linear(4, 4), torch.randn(3, 4)
    before = look(vars(criterion), norm, losses)
    assert not diagnosis.diagnose(net, inputs, loss=loss)
    assert same(look(vars(criterion), norm, losses), before)


def test_the_default_dtype_stays() -> None:
    """Also if forward changes it."""

    class Net(nn.Linear):
        def forward(self, X: torch.Tensor) -> torch.Tensor:
            torch.set_default_dtype(torch.float64)
            return super().forward(X)

    diagnosis.diagnose(Net(4, 2), X)
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("fails", ["nowhere", "forward", "loss"])
def test_no_tensor_of_the_calls_stays_in_memory(fails: str) -> None:
    """They are free as soon as the report is there, without the garbage collector."""
    made = SimpleNamespace(refs=[])  # a list would be restored, too

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = nn.Linear(4, 4), nn.Linear(5 if fails == "forward" else 4, 2)

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            H = self.hidden(X)
            made.refs.append(weakref.ref(H))
            return self.out(H)

    def loss(Y: torch.Tensor) -> torch.Tensor:
        made.refs.append(weakref.ref(Y))
        return Y.sum() if fails == "nowhere" else Y.no_such_method()

    net = Net()
    gc.collect()
    gc.disable()
    try:
        found = diagnosis.diagnose(net, X, loss=loss)
        assert made.refs
        assert not [each for each in made.refs if each() is not None]
    finally:
        gc.enable()
    assert [each.code for each in found] == ([] if fails == "nowhere" else ["raises"])


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc, as on Linux")
def test_a_diagnosis_keeps_one_copy_of_the_net() -> None:
    """The memory of the process grows by the size of the net, and not by twice that."""
    program = r"""
        import re, torch
        from torch import nn
        from d2lblocks import diagnose

        def size():
            # Not that of getrusage, which begins with the size of the process that started this one.
            with open("/proc/self/status") as file:
                return int(re.search(r"VmHWM:\s+(\d+)", file.read())[1]) / 1024  # MiB

        X = torch.ones(1, 64)
        diagnose(nn.Linear(64, 64), X, loss=torch.sum)
        net = nn.Sequential(nn.Linear(64, 2**19, bias=False), nn.Linear(2**19, 8, bias=False))  # 144 MiB
        with torch.no_grad():
            net(X)
        before = size()
        diagnose(net, X)
        print((size() - before) / 144)
    """
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", inspect.cleandoc(program)],
        capture_output=True,
        check=True,
        text=True,
    )
    assert 0.5 < float(run.stdout) < 1.5


def test_a_batch_whose_parts_refer_to_it_takes_time_in_proportion_to_its_size() -> None:
    """Ten times as many parts take ten times as long, and not a hundred times."""

    class Net(nn.Linear):
        def forward(self, batch: Any) -> torch.Tensor:
            return super().forward(torch.stack([each.X for each in batch.parts]))

    def seconds(number: int) -> float:
        batch = SimpleNamespace(parts=[SimpleNamespace(X=torch.ones(4)) for _ in range(number)])
        for each in batch.parts:
            each.batch = batch
        start = time.process_time()
        assert not diagnosis.diagnose(Net(4, 2), batch)
        return time.process_time() - start

    few, many = (min(seconds(number) for _ in range(3)) for number in (400, 4_000))
    assert many < 40 * few


def test_an_error_without_a_text_and_a_module_without_a_repr_are_reported() -> None:
    """Nothing that is shown may raise an error of its own."""

    class Mute(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise TypeError("no text")

    class Part(nn.Module):
        def extra_repr(self) -> str:
            raise AttributeError("no repr")

        def forward(self, X: torch.Tensor) -> torch.Tensor:
            raise Mute

    (found,) = diagnosis.diagnose(nn.Sequential(Part()), X)
    assert (found.code, found.names) == ("raises", ("0",))
    assert found.text.strip() == "Part got shape (2, 4): Mute:"


@pytest.mark.parametrize(
    ("ties", "error", "message"),
    [
        ([("0.weight", "1.wieght")], ValueError, "Sequential has no parameter or buffer '1.wieght': the nearest is '1.weight'"),
        ([("0", "1")], ValueError, "Sequential has no parameter or buffer '0': there are 0.weight, 0.bias, 1.weight, ..."),
        ([("0.weight",)], TypeError, "expected pairs of names, such as ('encoder.weight', 'decoder.weight'), but got ('0.weight',)"),
        ("0.weight", TypeError, "but got '0.weight'"),
        ([("0.weight", "1.weight", "0.bias")], TypeError, "expected pairs of names"),
    ],
)  # fmt: skip
def test_ties_of_another_form_are_refused(ties: Any, error: type[Exception], message: str) -> None:
    """Also names that the net does not have."""
    with pytest.raises(error, match=re.escape(message)):
        diagnosis.diagnose(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), X, ties=ties)
