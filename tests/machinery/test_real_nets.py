"""`make real-nets`: its checks, the errors they find, the report, and when the command fails."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import d2lblocks
from tools.generate.generated import marks
from tools.pages import ROOT
from tools.real_nets import battery, command, resuming
from tools.real_nets.digests import digest, seed
from tools.real_nets.libraries import LIBRARIES, RealNet, first_that_works
from tools.real_nets.resuming import Training
from tools.real_nets.runs import BUILD, NotTried, Report, Task, results

# The checks of one net.


class Whole(nn.Module):
    """A net with most features: tied weights, buffers of both kinds, dropout, norms, padding."""

    def __init__(self, lazy: bool = False) -> None:
        super().__init__()
        self.table = nn.Embedding(6, 4, padding_idx=0)
        self.norm = nn.BatchNorm1d(4)
        self.inner = nn.LazyLinear(4) if lazy else nn.Linear(4, 4)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
        self.drop = nn.Dropout(0.5)
        self.scores = nn.Linear(4, 6, bias=False)
        self.scores.weight = self.table.weight
        self.register_buffer("scale", torch.full((1,), 2.0), persistent=False)

    def forward(self, X: Tensor) -> Tensor:
        Z = self.normed(self.inner(self.norm(self.table(X))))
        Y: Tensor = self.scores(self.drop(Z) * self.scale)
        return Y


def example(net: nn.Module) -> tuple[tuple[Tensor], dict[str, Any]]:
    return (torch.tensor([1, 2, 3, 4]),), {}


WHOLE = RealNet("whole", Whole, example)
LAZY = RealNet("lazy", partial(Whole, lazy=True), example)
EMPTY = RealNet("empty", nn.Identity, lambda net: ((torch.ones(1),), {}))


def tried(net: RealNet) -> dict[str, str]:
    """The outcome of each check."""
    outcomes: dict[str, str] = {}
    battery.battery(net, Report(lambda told: outcomes.update([told])))
    return outcomes


@pytest.mark.parametrize(
    ("net", "not_tried"),
    [
        (WHOLE, {"save_pretrained"}),
        (LAZY, {"save_pretrained"}),
        (EMPTY, {"save_pretrained", "refusals", "init_by_type", "save_checkpoint"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_sound_net_passes(net: RealNet, not_tried: set[str]) -> None:
    """Every check passes, except for those that do not apply."""
    outcomes = tried(net)
    passed = {check for check, outcome in outcomes.items() if outcome == "passed"}
    assert passed == {BUILD, *battery.CHECKS} - not_tried, outcomes
    assert all(outcomes[check].startswith("not tried: ") for check in not_tried)


def load_nothing(net: nn.Module, path: object, **options: bool) -> nn.Module:
    return net


def load_other_objects(net: nn.Module, path: Any, **options: bool) -> nn.Module:
    other = d2lblocks.load_parameters(Whole(), path, **options)
    net.load_state_dict(other.state_dict(), assign=True)
    return net


def change_before_refusing(net: nn.Module, path: Any, **options: bool) -> nn.Module:
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    try:
        return d2lblocks.load_parameters(net, path, **options)
    except RuntimeError:
        net.load_state_dict({name: torch.zeros_like(tensor) for name, tensor in state.items()})
        raise


def train_before_init(net: nn.Module, *inputs: Tensor) -> nn.Module:
    net.train()(*inputs)
    return net


def fill_everything(net: nn.Module, rules: dict[type[nn.Module], Any], **options: Any) -> dict[str, Any]:
    told = d2lblocks.init_by_type(net, rules, **options)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(0.5)
    return told


def leave_it_changed(net: nn.Module, rules: dict[type[nn.Module], Any], **options: Any) -> dict[str, Any]:
    try:
        return d2lblocks.init_by_type(net, rules, **options)
    except KeyError:
        nn.init.ones_(net.inner.weight)
        raise


def forget_random_states(folder: str, **parts: Any) -> int | None:
    step = d2lblocks.load_checkpoint(folder, **parts)
    torch.manual_seed(5)
    return step


def forget_optimizer(folder: str, net: nn.Module, **parts: Any) -> int | None:
    return d2lblocks.load_checkpoint(folder, net=net, scheduler=parts["scheduler"])


@pytest.mark.parametrize(
    ("check", "module", "function", "wrong"),
    [
        ("parameter_table", battery, "parameter_table", lambda net: d2lblocks.parameter_table(net.inner)),
        ("shared_names", battery, "shared_names", lambda net: []),
        ("get_tensor, set_tensor", battery, "set_tensor", lambda net, name, value: value),
        ("get_tensor, set_tensor", battery, "uninitialized_names", lambda net: ["scale"]),
        ("save_parameters", battery, "load_parameters", load_nothing),
        ("save_parameters", battery, "load_parameters", load_other_objects),
        ("save_model", battery, "load_parameters", load_nothing),
        ("refusals", battery, "load_parameters", load_nothing),
        ("refusals", battery, "load_parameters", change_before_refusing),
        ("init_by_type", battery, "init_by_type", fill_everything),
        ("init_by_type", battery, "init_by_type", leave_it_changed),
        ("apply_init", battery, "apply_init", train_before_init),
        ("save_checkpoint", resuming, "load_checkpoint", forget_random_states),
        ("save_checkpoint", resuming, "load_checkpoint", forget_optimizer),
    ],
)
def test_what_is_wrong_is_noticed(
    check: str, module: Any, function: str, wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of the broken function fails, and says what differs."""
    monkeypatch.setattr(module, function, wrong)
    assert tried(WHOLE)[check].startswith("failed: AssertionError: ")


def test_a_net_that_cannot_be_built_is_not_tried() -> None:
    """The report says why, and contains no other outcomes."""

    def build() -> nn.Module:
        raise ValueError("too large")

    assert tried(RealNet("none", build, example)) == {BUILD: "failed: ValueError: too large"}


def test_a_net_that_cannot_be_called_is_tried_without_calls() -> None:
    """Checks that need no call still run."""

    def inputs(net: nn.Module) -> Any:
        return first_that_works(net, [((torch.ones(1, dtype=torch.long), "unexpected"), {})])

    outcomes = tried(RealNet("silent", Whole, inputs))
    assert {outcomes[check] for check in ("parameter_table", "save_parameters", "refusals")} == {"passed"}
    assert outcomes["apply_init"].startswith(
        "not tried: cannot be called: Whole cannot be called with the usual"
    )


def test_what_torch_cannot_resume_either_is_no_failure() -> None:
    """For example a training step that depends on values outside of all state dicts."""
    calls = [0.0]

    def make(number: int) -> Training:
        net = nn.Linear(1, 1)

        def step() -> None:
            calls[0] += 1
            nn.init.constant_(net.bias, calls[0])

        return Training({"net": net}, step)

    with pytest.raises(NotTried, match="torch's own state dicts differs, too"):
        resuming.resume(make, 2)


def test_digests_are_equal_for_equal_bits_only() -> None:
    """Strides make no difference, but the sign of a zero does."""
    seed(0)
    X = torch.rand(2, 3)
    assert digest(X) == digest(X.t().contiguous().t())
    others = [-X, X.double(), X.flatten(), X.to_sparse(), X + 1e-7]
    assert len({str(digest(each)) for each in [X, *others]}) == len(others) + 1
    assert digest({"a": [torch.zeros(1)]}) != digest({"a": [-torch.zeros(1)]})


# Tasks in separate processes.


def test_no_task_stops_the_run() -> None:
    """A task that hangs, dies or takes too much memory fails in the check that was running."""

    def hang(report: Report) -> None:
        with report("first"):
            pass
        with report("second"):
            time.sleep(60)

    def die(report: Report) -> None:
        with report("first"):
            os._exit(3)

    def grow(report: Report) -> None:
        with report("first"):
            bytearray(1 << 32)

    def quit(report: Report) -> None:
        raise SystemExit(3)

    tasks = [Task("toy", each.__name__, each) for each in (hang, die, grow, quit, sound)]
    found = {result.name: result.checks for result in results(tasks, seconds=5, memory=1 << 30)}
    assert found == {
        "hang": {"first": "passed", "second": "failed: took longer than 5 s"},
        "die": {"first": "failed: the process died"},
        "grow": {"first": "failed: MemoryError: test_real_nets.py: bytearray(1 << 32)"},
        "quit": {BUILD: "failed: the process died"},
        "sound": {BUILD: "passed", "first": "passed"},
    }


# The command, run on an invented library.


def sound(report: Report) -> None:
    with report(BUILD):
        pass
    with report("first"):
        pass


def unsound(report: Report) -> None:
    with report(BUILD):
        pass
    with report("first"):
        raise ValueError("a shape is wrong")
    with report("second"):
        raise NotTried("it has none")


def not_built(report: Report) -> None:
    with report(BUILD):
        raise ValueError("too large")


EXPLAINED = """
[[failure]]
check = "first"
message = "shape is (wrong|odd)"
nets = "^toy b"
reason = "the shape is computed"
"""
BEGIN, END = marks(command.TABLE, "make real-nets")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a page and one library."""
    monkeypatch.setattr(command, "everything", lambda: ["toy"])
    for name, text in {command.PAGE: f"# Tested\n\n{BEGIN}\n\n{END}\n", "src/package.py": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    explain(tmp_path, EXPLAINED)
    return tmp_path


def explain(project: Path, text: str) -> None:
    path = project / "tools" / "real_nets" / "explained.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(project: Path, tasks: Iterable[Callable[[Report], None]], number: int | None = None) -> int:
    """Run the command on tasks named a, b and so on."""
    todo = [Task("toy", name, task) for name, task in zip("abcdef", tasks, strict=False)]
    return command.main(["toy"], number, write=True, root=project, find=lambda library, number: todo)


def test_failures_with_an_explanation_are_tabulated(project: Path) -> None:
    """The table has a row for the library and a line for the explanation; nets that cannot be built are
    counted.
    """
    assert run(project, [sound, unsound, not_built]) == 0
    lines = (project / command.PAGE).read_text().splitlines()
    assert lines[2] == BEGIN
    assert lines[4:8] == [
        "| library | nets | `first` | `second` |",
        "| --- | --: | --: | --: |",
        "| toy | 2 | 1 of 2 |  |",
        "| all | 2 | 1 of 2 |  |",
    ]
    assert "- `first`, 1 (b): the shape is computed." in lines
    assert any(line.startswith("Left out: 1 nets that cannot be built") for line in lines)


@pytest.mark.parametrize(
    "text", ["", EXPLAINED.replace("wrong", "large"), EXPLAINED.replace("toy b", "toy a")]
)
def test_a_failure_without_an_explanation_is_an_error(
    text: str, project: Path, capsys: pytest.CaptureFixture
) -> None:
    """The failure is shown, and the page stays as it is."""
    explain(project, text)
    page = (project / command.PAGE).read_text()
    assert run(project, [sound, unsound]) == 1
    assert "\nUNEXPLAINED toy b: first failed: ValueError: a shape is wrong\n" in capsys.readouterr().out
    assert (project / command.PAGE).read_text() == page


def test_an_explanation_of_nothing_is_an_error(project: Path, capsys: pytest.CaptureFixture) -> None:
    """After a complete run, an explanation without its failure is an error. A partial run may lack it."""
    assert run(project, [sound], number=1) == 0
    assert run(project, [sound]) == 1
    said = "explained.toml explains what no longer fails: first: the shape is computed\n"
    assert capsys.readouterr().out.endswith(said)


def test_a_run_goes_on_where_it_was_stopped(project: Path) -> None:
    """Known results are reused until a file that affects them changes. A result cut off in the file, whichever
    came last, is tried again.
    """
    count = project / "count"

    def counted(task: Callable[[Report], None], report: Report) -> None:
        with count.open("a") as file:
            file.write("x")
        task(report)

    results_file = project / ".cache" / "real-nets.jsonl"
    for change, expected in {
        lambda: None: 2,
        lambda: results_file.touch(): 2,
        lambda: results_file.write_text(results_file.read_text()[:-9]): 3,
        lambda: (project / "src" / "package.py").write_text("x = 1"): 5,
    }.items():
        change()
        assert run(project, [partial(counted, sound), partial(counted, unsound)]) == 0
        assert len(count.read_text()) == expected


ENDLESS = """
import sys, time
from pathlib import Path
from tools.real_nets import command
from tools.real_nets.runs import Task

alive = Path(sys.argv[1], "alive")

def endless(report):
    while True:
        alive.touch()
        time.sleep(0.02)

command.everything = lambda: ["toy"]
command.main(["toy"], root=alive.parent, find=lambda library, number: [Task("toy", "endless", endless)])
"""


def test_a_run_that_is_stopped_leaves_nothing_running(project: Path) -> None:
    """Its tasks end with it."""
    alive = project / "alive"
    run = subprocess.Popen([sys.executable, "-c", ENDLESS, str(project)], cwd=ROOT)
    while not alive.exists():
        time.sleep(0.05)
        assert run.poll() is None
    run.terminate()
    assert run.wait(10) != 0
    alive.unlink()
    time.sleep(0.2)
    assert not alive.exists()


def test_a_number_of_nets_is_chosen_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nets are spread over the whole list, and there are at most that many."""
    attempts = [(f"{place}", lambda: None) for place in range(10)]
    monkeypatch.setattr(command, "kinds_of_training", lambda: {"toys": lambda: attempts})
    assert [task.name for task in command.tasks("toys", 3)] == ["0", "4", "8"]
    assert len(command.tasks("toys", 20)) == len(command.tasks("toys")) == 10


def test_every_library_has_its_file() -> None:
    """Every file also belongs to a library."""
    files = {path.stem for path in ROOT.glob("tools/real_nets/libraries/*.py")}
    assert files == {"__init__", *LIBRARIES}


def test_every_explanation_is_on_the_page() -> None:
    """The table was written after the last explanation was added."""
    page = (ROOT / command.PAGE).read_text("utf-8")
    known = command.explanations(ROOT / "tools" / "real_nets" / "explained.toml")
    assert known
    always = [each for each in known if not each.sometimes]
    assert [each.reason for each in always if f": {each.reason}.\n" not in page] == []
