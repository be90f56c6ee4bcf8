"""`make corpus`: what it notices about a net, what the other tools report, and when the command fails."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from d2lblocks import diagnosis
from d2lblocks.diagnosis._rules import RULES
from tests.gallery import CASES
from tools.corpus import command, gallery, nets, peers
from tools.corpus.nets import FINDINGS, Seen, diagnosed
from tools.generate.generated import marks
from tools.pages import ROOT
from tools.real_nets.libraries import RealNet
from tools.real_nets.runs import BUILD, Report, Result, Task

# One net.


class Listed(nn.Module):
    """A net with a mistake: a layer in a list."""

    def __init__(self) -> None:
        super().__init__()
        self.layers, self.out = [nn.Linear(4, 4)], nn.Linear(4, 2)

    def forward(self, X: Tensor) -> Tensor:
        Y: Tensor = self.out(self.layers[0](X))
        return Y


def example(net: nn.Module) -> Any:
    return (torch.ones(2, 4),), {}


def outcomes(build: Callable[[], nn.Module], inputs: Callable[[nn.Module], Any] = example) -> dict[str, str]:
    """The outcome of each way to diagnose a net."""
    found: dict[str, str] = {}
    diagnosed(RealNet("toy", build, inputs), Report(lambda told: found.update([told])))
    return found


def test_findings_are_recorded_with_their_place() -> None:
    """In both ways in which the net is diagnosed, and the seconds of each."""
    found = outcomes(Listed)
    assert [found[way] for way in (BUILD, *command.WAYS)] == ["passed"] * 4
    seen = [Seen(*each) for each in json.loads(found[FINDINGS])]
    assert [(each.way, each.code, each.level, each.names) for each in seen] == [
        (way, "unregistered", "error", ["self.layers[0]"]) for way in ("call", "loss")
    ]
    assert all(Path(each.file).name == Path(__file__).name and each.line for each in seen)
    assert json.loads(found[nets.SECONDS]).keys() == {"plain", "call", "loss"}


def test_a_net_that_cannot_be_called_is_left_out() -> None:
    """Also if it is too slow."""

    class Slow(nn.Linear):
        def forward(self, X: Tensor) -> Tensor:
            time.sleep(0.02)
            return super().forward(X)

    assert outcomes(lambda: nn.Linear(3, 2))[BUILD].startswith("failed: RuntimeError")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nets, "SLOWEST", 0.01)
        assert outcomes(lambda: Slow(4, 2))[BUILD].startswith("failed: ValueError: too slow")


def forgets(change: Callable[[nn.Module, Tensor], object]) -> Callable[..., diagnosis.Report]:
    """A `diagnose` that changes something."""

    def diagnose(net: nn.Module, X: Tensor, **options: Any) -> diagnosis.Report:
        found = diagnosis.diagnose(net, X, **options)
        change(net, X)
        return found

    return diagnose


@pytest.mark.parametrize(
    "change",
    [
        lambda net, X: net.eval(),
        lambda net, X: net.out.weight.data.add_(1e-6),
        lambda net, X: setattr(net, "extra", 1),
        lambda net, X: net.layers.append(None),
        lambda net, X: X.add_(1),
        lambda net, X: torch.rand(1),
    ],
    ids=["mode", "value", "attribute", "list", "input", "random numbers"],
)
def test_a_change_is_noticed(
    change: Callable[[nn.Module, Tensor], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each of the three ways."""
    monkeypatch.setattr(nets, "diagnose", forgets(change))
    found = outcomes(Listed)
    assert all(found[way].startswith("failed: AssertionError: ") for way in command.WAYS), found


# The other tools. They are not installed here.


def test_an_error_of_another_tool_is_an_alarm() -> None:
    """A tool that is not installed raises an error, too."""

    def fails(*given: Any) -> list[peers.Alarm]:
        raise ValueError

    assert peers.alarms(fails) == [peers.Alarm("raises ValueError", True)]


def test_a_mistake_is_detected_if_its_twin_differs() -> None:
    """A report for both says nothing about the mistake."""

    def said(*alarms: tuple[str, bool, str]) -> str:
        return json.dumps(alarms)

    always = ("style", False, "")
    checks = {"a: mistake": said(("lost", True, "0"), always), "a: twin": said(always)}
    assert gallery.verdict(checks, "a") == {"detected": True, "errors": False, "anything": True}
    checks = {"a: mistake": said(always), "a: twin": said(always)}
    assert gallery.verdict(checks, "a") == {"detected": False, "errors": False, "anything": True}
    checks = {"a: mistake": "failed: the process died", "a: twin": said()}
    assert gallery.verdict(checks, "a") == {"detected": True, "errors": False, "anything": False}


def test_diagnose_takes_part_in_the_comparison() -> None:
    """It is asked like the others."""
    first = CASES[0]
    assert [each.code for each in gallery.reported(gallery.ours, first, True)] == [first.code]
    assert gallery.reported(gallery.ours, first, False) == []


# The command, run on an invented library.


def result(*found: tuple[str, str, str, str], **checks: str) -> Callable[[Report], None]:
    """A task whose net has findings: their codes, levels, names and files."""
    seen = [Seen("call", code, level, [name], file, 7, "text") for code, level, name, file in found]
    ends = {**dict.fromkeys((BUILD, *command.WAYS), "passed"), **checks}
    ends |= {FINDINGS: json.dumps(seen), nets.SECONDS: json.dumps({"plain": 1, "call": 2, "loss": 3})}

    def run(report: Report) -> None:
        for end in ends.items():
            report.tell(end)

    return run


ERROR = ("unregistered", "error", "self.layers[0]", "toy/layers.py")
QUESTION = ("unused", "question", "pooler", "")
TRIAGED = """
[[finding]]
code = "unregistered"
verdict = "true"
file = "toy/layers.py"
reason = "the layer does not learn"

[[finding]]
code = "unused"
verdict = "meant"
names = "pooler"
reason = "another head needs it"
"""
MARKS = {name: marks(name, "make corpus") for name in (command.NETS_TABLE, command.PEERS_TABLE)}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a page and one library."""
    monkeypatch.setattr(command, "LIBRARIES", ["toy"])
    parts = "\n\n".join(f"{begin}\n\n{end}" for begin, end in MARKS.values())
    for name, text in {
        command.PAGE: f"# Diagnosis\n\n{parts}\n",
        "tools/corpus/triaged.toml": TRIAGED,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


PEERS = {"torch-audit": '[["TA500", true, "0"]]', "torchtest2": "[]"}


def compared(report: Report) -> None:
    """What tools report for a case of the gallery."""
    for tool, found in {**PEERS, "diagnose": '[["unregistered", true, "0"]]'}.items():
        report.tell((f"{tool}: mistake", found))
        report.tell((f"{tool}: twin", "[]"))


def run(project: Path, tasks: list[Callable[[Report], None]], number: int | None = None) -> int:
    """Run the command on nets named a, b and so on; the other tools say the same for all."""

    def tried(report: Report) -> None:
        for end in {BUILD: "passed", **PEERS}.items():
            report.tell(end)

    def find(part: str, library: str, number: int | None) -> list[Task]:
        if part == "gallery":
            return [Task("gallery", "case", compared)]
        chosen = tasks if part == "nets" else [tried] * len(tasks)
        return [Task("toy", name, task) for name, task in zip("abcdef", chosen, strict=False)]

    return command.main(["toy"], number, write=True, root=project, find=find)


def test_explained_findings_are_tabulated(project: Path) -> None:
    """The page gets the tables of nets, of questions and of the other tools."""
    assert run(project, [result(ERROR, QUESTION), result(QUESTION), result(**{BUILD: "failed: no"})]) == 0
    page = (project / command.PAGE).read_text()
    for line in [
        "| library | nets | with an error | with a question | with nothing | time |",
        "| toy | 2 | 1 | 2 | 0 | 3.0 |",
        "- `unregistered`, 1 (toy a), true: the layer does not learn.",
        "- `unregistered` at `toy/layers.py`, line 7: 1 (toy a)",
        "| `unused` | 2 |  | 2 |  |",
        "- `unused`, 2 (toy a; toy b), meant: another head needs it.",
        "| toy | 2 | 1 | 0 | 2 | 0 |",
        "| torch-audit | 1 of 1 | 0 of 1 | 0 of 1 |",
        "| torchtest2 | 0 of 1 | 0 of 1 | 0 of 1 |",
    ]:
        assert f"\n{line}\n" in page, line
    assert "Left out: 1 nets" in page


@pytest.mark.parametrize(
    ("tasks", "triaged", "said"),
    [
        ([result(ERROR)], TRIAGED.replace('"true"', '"meant"', 1), "UNEXPLAINED toy a: error unregistered"),
        ([result(ERROR, QUESTION)], TRIAGED.replace("pooler", "head"), "UNEXPLAINED toy a: question unused"),
        ([result(ERROR)], TRIAGED, "triaged.toml explains what is not found: unused: another head"),
        (
            [result(ERROR, QUESTION, loss="failed: AssertionError: 1 of 2 differ")],
            TRIAGED,
            "FAILED toy a: loss: failed: AssertionError: 1 of 2 differ",
        ),
    ],
    ids=["an error that is not true", "a question without a reason", "a reason for nothing", "a change"],
)
def test_the_command_fails(
    tasks: list[Any], triaged: str, said: str, project: Path, capsys: pytest.CaptureFixture
) -> None:
    """It says why, and the page stays as it is."""
    (project / "tools" / "corpus" / "triaged.toml").write_text(triaged)
    page = (project / command.PAGE).read_text()
    assert run(project, tasks) == 1
    assert f"\n{said}" in capsys.readouterr().out
    assert (project / command.PAGE).read_text() == page


def test_a_part_of_the_nets_may_lack_what_is_explained(project: Path) -> None:
    """The page stays as it is."""
    page = (project / command.PAGE).read_text()
    assert run(project, [result(ERROR)], number=1) == 0
    assert (project / command.PAGE).read_text() == page


def test_a_slow_diagnosis_is_counted() -> None:
    """The limit is a multiple of one forward and backward pass, and half a second."""

    def spent(plain: float, loss: float) -> Result:
        return Result(
            "toy", "a", 1, {BUILD: "passed", nets.SECONDS: json.dumps({"plain": plain, "loss": loss})}
        )

    assert command.slow([spent(1, 6.4), spent(0.01, 0.5)]) == []
    assert command.slow([spent(1, 6.6)]) == ["toy a: 6.60 s, for a step of 1.00 s"]


def test_every_verdict_is_one_of_three() -> None:
    """And its code exists."""
    known = command.verdicts(ROOT / "tools" / "corpus" / "triaged.toml")
    assert known
    assert {each.verdict for each in known} <= {"true", "meant", "false"}
    assert {each.code for each in known} <= {*RULES}
