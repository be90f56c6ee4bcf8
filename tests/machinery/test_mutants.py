"""`make mutants`: the changes it makes, the report on each change, and when it fails."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.mutants import command
from tools.mutants.changes import is_python
from tools.mutants.changes import mutants as changes_of

ROOT = Path(__file__).parents[2]


def changes(folder: Path, code: str) -> set[str]:
    """All lines that one changed line of code can become."""
    path = folder / "package" / "topic.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(code)
    return {mutant.code.decode() for mutant in changes_of(path, folder) if is_python(mutant)}


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("x = a < b", {"x = a <= b"}),
        ("x = a is not b", {"x = a is b"}),
        ("x = (a) + (b)", {"x = (a) - (b)"}),
        ("x = a and b or c", {"x = a or b or c", "x = a and b and c"}),
        ("x = not a", {"x =  a"}),
        ("x = a[-1]", {"x = a[1]", "x = a[-2]", "x = a[-0]"}),
        ("x = a[b:]", {"x = a[:]"}),
        ("x = f(a, b, c=d)", {"x = f(b, c=d)", "x = f(a, c=d)", "x = f(a, b)", "x = f(b, a, c=d)"}),
        ("x.y = True", {"x.y = False", "pass"}),
        ("x += y", {"x -= y", "pass"}),
        ("def f(): return x", {"def f(): return None"}),
        ("def f(): return", {"def f(): pass"}),
        ("def f(): return True", {"def f(): return False", "def f(): pass"}),
        ("def f(x: int = 1 - y): ...", {"def f(x: int = 2 - y): ...", "def f(x: int = 0 - y): ...", "def f(x: int = 1 + y): ..."}),
        ("while x: break", {"while not (x): break", "while x: pass"}),
        ("y = [x for x in z if x]", {"y = [x for x in z if not (x)]"}),
        ("y = f'{a} and {b or c}'", {"y = f'{a} and {b and c}'"}),
        ("@a\ndef f(): ...", {"\ndef f(): ..."}),
        ("@overload\ndef f(x=1): ...", set()),
        ("import a", set()),
        ("x = zip(a, strict=True)", set()),
        ("__all__ = ['a'] + b", set()),
        ("_Path = str | int", set()),
        ("'and'", set()),
        ("x: a | b", set()),
        ("def f(x: 1 + 2) -> 1 + 2: ...", set()),
    ],
)  # fmt: skip
def test_every_small_change_is_made(code: str, changed: set[str], tmp_path: Path) -> None:
    """Each change is in one place; types, imports and strings stay."""
    assert changes(tmp_path, code) == changed


def test_a_change_is_told_by_its_lines(tmp_path: Path) -> None:
    """A change is shown by its lines, even if there are several."""
    path = tmp_path / "package" / "topic.py"
    path.parent.mkdir()
    path.write_text("if x:\n    f(\n        a,\n    )\n")
    found = {mutant.diff: (mutant.line, mutant.topic) for mutant in changes_of(path, tmp_path)}
    assert found == {"- if x:\n+ if not (x):": (1, "topic"), "- f(\n- a,\n- )\n+ pass": (2, "topic")}


def test_every_topic_has_its_tests() -> None:
    """The tests of a topic are found in all of their files. A private module gets the tests of all topics."""
    for name in ("init", "modules", "serialization"):
        stems = [Path(file).stem for file in command.test_files(ROOT, name)]
        assert stems[0] == f"test_{name}"
        assert {f"test_{more}" for more in command.MORE_TESTS.get(name, ())} == set(stems[1:])
        assert set(stems) < {Path(file).stem for file in command.test_files(ROOT, "_private")}


# A small project.

CODE = """def most(a, b):
    return a if a > b else b


def is_full(size):
    return size >= 10
"""
TEST = """from toy.most import is_full, most

def test_most():
    assert most(2, 1) == 2

def test_is_full():
    assert is_full(20)
    assert not is_full(3)
"""
EXPLAINED = """
[[survivor]]
file = "toy/most.py"
change = '''
- return a if a > b else b
+ return a if a {} b else b
'''
reason = "either of two equal numbers is the greatest"
"""
MAIN = """
import sys
from pathlib import Path
from tools.mutants import command, runs
runs.IMPORTS = []  # no torch
runs.SECONDS = 1
sys.exit(command.main(Path(sys.argv[1]), 10, 0, jobs=2))
"""


def toy(root: Path, test: str = TEST, explained: str = "", code: str = CODE) -> dict[str, str]:
    """A project whose tests miss the boundaries, and its files."""
    files = {
        "pyproject.toml": "[tool.pytest.ini_options]",
        "src/toy/__init__.py": "",
        "src/toy/most.py": code,
        "tests/unit/test_most.py": test,
        "tools/mutants/explained.toml": explained,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return files


def files_of(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def start(root: Path, scratch: Path) -> subprocess.Popen[str]:
    """Start `make mutants` in such a project."""
    scratch.mkdir()
    command = [sys.executable, "-c", MAIN, str(root)]
    environment = os.environ | {"TMPDIR": str(scratch), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def test_what_survives_is_an_error_unless_it_is_explained(tmp_path: Path) -> None:
    """Every change gets a line, an unexplained survivor is shown, and the project stays as it is."""
    files = toy(tmp_path / "toy", explained=EXPLAINED.format(">="))
    with start(tmp_path / "toy", tmp_path / "scratch") as run:
        said, _ = run.communicate()
    outcomes = sorted(line.partition(" ")[2] for line in said.splitlines()[:7])
    by = "caught by tests/unit/test_most.py::test_"
    assert outcomes == [
        *[f"toy/most.py:2 {by}most"] * 2,
        "toy/most.py:2 explained: either of two equal numbers is the greatest",
        *["toy/most.py:6 SURVIVED"] * 3,
        f"toy/most.py:6 {by}is_full",
    ]
    for line in ("size > 10", "size >= 9", "size >= 11"):
        assert f"\ntoy/most.py:6\n- return size >= 10\n+ return {line}\n" in said
    assert said.splitlines()[-2].split() == ["most", "7", "3", "1", "3"]
    assert said.splitlines()[-1] == "3 of 7 changes survived unexplained: 42.9%"
    assert run.returncode == 1
    assert files_of(tmp_path / "toy") == files
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_never_ends_is_caught(tmp_path: Path) -> None:
    """Each test has a time limit."""
    code = "def wait():\n    while False:\n        pass\n"
    test = "from toy.most import wait\n\ndef test_wait():\n    wait()\n"
    toy(tmp_path / "toy", test, code=code)
    with start(tmp_path / "toy", tmp_path / "scratch") as run:
        said, _ = run.communicate()
    assert said.count("caught by a crash or the time limit in tests/unit/test_most.py::test_wait\n") == 2
    assert (said.splitlines()[-1], run.returncode) == ("0 of 2 changes survived unexplained: 0.0%", 0)


def test_an_explanation_without_its_code_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """The explanation is shown, and no change is tried."""
    toy(tmp_path, explained=EXPLAINED.format("<"))
    assert command.main(tmp_path, 10, 0, jobs=1) == 2
    assert capsys.readouterr().out == (
        "tools/mutants/explained.toml explains a change of toy/most.py that cannot be made any more:\n"
        "- return a if a > b else b\n+ return a if a < b else b\n"
    )


def test_a_run_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """No file is left, and no test is still running."""
    alive = tmp_path / "alive"
    test = f"""import pathlib, time

def test_most():
    for second in range(1000):
        pathlib.Path({str(alive)!r}).touch()
        time.sleep(0.05)
"""
    files = toy(tmp_path / "toy", test)
    with start(tmp_path / "toy", tmp_path / "scratch") as run:
        while not alive.exists():
            time.sleep(0.05)
            assert run.poll() is None
        run.terminate()
    alive.unlink()
    time.sleep(0.2)
    assert not alive.exists()
    assert files_of(tmp_path / "toy") == files
    assert list((tmp_path / "scratch").iterdir()) == []


def test_tests_that_fail_anyway_say_nothing_of_a_change(tmp_path: Path) -> None:
    """Tests that fail on unchanged code are an error, and their output is shown."""
    toy(tmp_path / "toy", TEST.replace("== 2", "== 1"))
    with start(tmp_path / "toy", tmp_path / "scratch") as run:
        said, _ = run.communicate()
    assert "assert 2 == 1" in said
    assert said.endswith("The code as it is fails tests/unit/test_most.py::test_most\n")
    assert run.returncode == 2
