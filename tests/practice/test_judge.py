"""Whatever a file does, there is a verdict that helps, and nothing is left behind."""

import contextlib
import os
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest

from d2lblocks.practice import isolated
from d2lblocks.practice.exercise import find
from d2lblocks.practice.isolated import Judges
from tests.practice.conftest import Marker

TOWER = find("modules/tower")[0]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="these limits exist on Linux only")


@pytest.mark.parametrize(
    ("program", "why", "line"),
    [
        ("", "The file has no code.", None),
        ("# " + TOWER.solution.replace("\n", "\n# "), "The file has no code.", None),
        ("clas Tower:\n    pass\n", "This is not valid Python yet: invalid syntax.", 1),
        ("class Tower:\n", "This is not valid Python yet: expected an indented block", 1),
        ("x = 1\n\0", "This is not valid Python yet: source code string cannot contain null bytes.", None),
        ("x = \f1\n\f\ny = z\n", "There is nothing called `z` here", 3),
        ("x = " + "-" * 100_000 + "1\n", "too deeply nested, for Python to read", None),
        ("class Own(Exception):\n    def __str__(self):\n        return 3\n\n\nraise Own\n", "in which it cannot be checked (`TypeError`)", None),
        ("import builtins\nbuiltins.isinstance = None\n", "cannot be checked (`TypeError`)", None),
        ("breakpoint()\n", "Remove `breakpoint()`.", None),
        ("class Towel:\n    pass\n", "The file does not define `Tower`; the nearest is 'Towel'.", None),
        ("Tower = 3\n", "`Tower` has to be a class derived from `nn.Module`", None),
        ("class Tower:\n    pass\n", "`Tower` has to be a class derived from `nn.Module`", 1),
        ("import sys\nsys.exit()\n", "The file ends Python, with `sys.exit()` or `quit()`.", 2),
        ("import os\nos._exit(0)\n", "Your code ended Python with the status 0", None),
        ("x = input('name? ')\n", "The file waits for `input()`", 1),
        ("import sys\nx = sys.stdin.readline()[0]\n", "Your code raised an `IndexError`.", 2),
        ("def f():\n    return g()\n\n\ndef g():\n    return f()\n\n\nf()\n", "`RecursionError`", None),
        ("raise KeyboardInterrupt\n", "Your code raised a `KeyboardInterrupt`.", 1),
        ("import torhc\n", "There is no module `torhc` here", 1),
        ("import no_such_package.part\n", "`pip install no_such_package`", 1),
        ("a = {1: 2}\nfor b in a: a[b + 1] = 0\n", "The loop changes the container", 2),
        (TOWER.solution.replace("(blocks)", "[blocks]"), "a call has round ones, as in `ModuleList(...)`", 7),
        ("from torch import nm\n", "`torch` has no `nm` to import", 1),
        ("import torch\ntorch.rand(2, 3) @ torch.rand(2, 3)\n", "mat1 and mat2 shapes", 2),
        (TOWER.solution.replace("def forward(self, X)", "def forward(X)"), "the first one is `self`, and it counts", 9),
        (TOWER.solution.replace("def forward(self, X)", "def forward(self, X, y)"), "is called without 'y'", 9),
        (TOWER.solution.replace("__init__(self, blocks)", "__init__(self)").replace("(blocks)", "([])"), "with too many arguments, 2 instead of 1", 5),
        (TOWER.solution.replace("in self.blocks", "in blocks"), "There is nothing called `blocks` here", 10),
        (TOWER.solution.replace("self.blocks = nn.ModuleList(blocks)", "pass"), "This Tower has no `blocks`", 10),
        (TOWER.solution.replace("X = block(X)", "X += block(X) if X.any() else X; y = y + 1"), "`y` is used before it gets a value", 11),
        (TOWER.solution.replace("super().__init__()", "super().__init__(); self.a = 1; self.register_buffer('a', None)"), "`a` is already an attribute", 6),
        (TOWER.solution.replace("super().__init__()", "pass"), "super().__init__()", 7),
        (TOWER.solution.replace("X = block(X)", "X = block(X)\n            raise ValueError('no')"), "Your code raised a `ValueError`.", 12),
        (TOWER.solution.replace("return X", "pass"), "`tower(X)` is `None`: is a `return` missing?", 12),
        (TOWER.solution.replace("return X", "return X.tolist()"), "`tower(X)` is not a tensor.", 12),
    ],
)  # fmt: skip
def test_what_is_wrong(program: str, why: str, line: int | None, mark: Marker) -> None:
    """Each has a sentence of its own and the reader's line."""
    verdict = mark(TOWER, program)
    assert verdict.status == "wrong"
    assert why in verdict.why or why in verdict.came, verdict
    assert line is None or verdict.line == line, verdict
    assert verdict.line is None or verdict.code == program.split("\n")[verdict.line - 1].strip()
    assert "multiprocessing" not in verdict.printed


@pytest.mark.parametrize(
    ("name", "old", "new", "line"),
    [
        (
            "init/gain",
            "activation(z)",
            "torch.tensor(0.0) + activation(1.0)",
            6,
        ),  # raised by the check's function
        ("init/linear", "(module, nn.Linear)", "(nn.Linear, module)", 5),  # raised for an error
    ],
)
def test_words_of_a_check_for_an_error_name_its_line(
    name: str, old: str, new: str, line: int, mark: Marker
) -> None:
    """The line is the one in which the error was raised, not the one that returned last."""
    [exercise] = find(name)
    verdict = mark(exercise, exercise.solution.replace(old, new))
    assert (verdict.status, verdict.line) == ("wrong", line), verdict


def test_a_file_that_is_not_there_or_not_text(mark: Marker, tmp_path: Path) -> None:
    """A missing file and one in another encoding are said to be so."""
    assert mark.judges.verdict(TOWER, tmp_path / "nothing.py").status == "missing"
    path = tmp_path / "latin.py"
    path.write_bytes(b"# caf\xe9\n" + TOWER.solution.encode())
    assert "UTF-8" in mark.judges.verdict(TOWER, path).why
    (tmp_path / "folder.py").mkdir()
    assert "is not a file" in mark.judges.verdict(TOWER, tmp_path / "folder.py").why
    if os.name != "nt":
        os.mkfifo(tmp_path / "pipe.py")
        assert "is not a file" in mark.judges.verdict(TOWER, tmp_path / "pipe.py").why
        (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
        assert mark.judges.verdict(TOWER, tmp_path / "loop.py").status != "right"
    path.write_bytes(b"\xef\xbb\xbf" + TOWER.solution.replace("\n", "\r\n").encode())
    assert mark.judges.verdict(TOWER, path).status == "right"


@pytest.mark.parametrize(
    "loop",
    [
        "while True:\n    pass",
        "while True:\n    try:\n        pass\n    except BaseException:\n        pass",
        "sum(iter(int, 1))",
    ],
)
def test_an_endless_loop_is_stopped(loop: str, mark: Marker) -> None:
    """It is stopped after the limit, also in C; what it printed before and its line are shown."""
    begin = time.monotonic()
    verdict = mark(TOWER, f"print('begun')\n{loop}\n")
    assert "stopped after 5 seconds" in verdict.why
    assert verdict.printed == "begun\n"
    assert verdict.line in range(2, 7)
    assert time.monotonic() - begin < 30


def test_an_endless_loop_in_forward_names_its_line(mark: Marker) -> None:
    """The line is the reader's, also if the check calls it."""
    verdict = mark(TOWER, TOWER.solution.replace("            X = block(X)", "            while True: pass"))
    assert (verdict.line, verdict.code) == (11, "while True: pass")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize(
    "bomb",
    [
        "import os\nwhile True:\n    os.fork()\n",
        "import os\nwhile True:\n    try:\n        os.fork()\n    except BaseException:\n        pass\n",
        "import subprocess, sys\nwhile True:\n    subprocess.Popen([sys.executable, __file__])\n",
        "import multiprocessing\nmultiprocessing.set_start_method('fork')\nwhile True:\n    multiprocessing.Process(target=print).start()\n",
    ],
)
def test_a_fork_bomb_is_held(bomb: str, mark: Marker) -> None:
    """No more than a few processes start, and none of them stays."""
    verdict = mark(TOWER, bomb)
    assert verdict.status == "wrong"
    assert "8 processes" in verdict.came or "stopped after" in verdict.why, verdict
    assert processes_of(mark.folder) == []


def processes_of(folder: Path) -> list[str]:
    """The processes whose command names a file of this folder; given a moment to end."""
    for _ in range(20):
        left = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                left += [path.read_text()] if str(folder) in path.read_text() else []
        if not left:
            break
        time.sleep(0.1)
    return left


@pytest.mark.parametrize(
    "program", ["print('x' * 10**9)\n", "for _ in range(10**6):\n    print('x' * 999)\n"]
)
def test_a_gigabyte_of_output_is_cut(program: str, mark: Marker) -> None:
    """The beginning is shown, the rest is counted, and the verdict is that on the code."""
    verdict = mark(TOWER, program + TOWER.solution)
    assert verdict.status == "right"
    assert verdict.printed.startswith("xxxx")
    assert "more characters" in verdict.printed
    assert len(verdict.printed) < 5000


@on_linux
def test_too_much_memory_is_refused(mark: Marker) -> None:
    """A file cannot take all memory of the machine."""
    verdict = mark(TOWER, "kept = []\nwhile True:\n    kept.append(bytearray(10**9))\n")
    assert verdict.why.startswith("Your code needs too much memory")
    assert verdict.line == 3
    assert "memory" in mark(TOWER, "import torch\nX = torch.ones(10**5, 10**6)\n").why


def test_a_process_that_dies_says_how(mark: Marker) -> None:
    """A crash of the interpreter names its signal."""
    if os.name != "nt":
        assert "SIGSEGV" in mark(TOWER, "import ctypes\nctypes.string_at(0)\n").why


def test_settings_of_a_file_do_not_reach_its_check(mark: Marker) -> None:
    """A default dtype, a seed and switched off gradients are those of the file."""
    settings = "import torch\ntorch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\ntorch.set_default_device('meta')\n"
    assert mark(TOWER, settings + TOWER.solution).status == "right"


def test_gradients_that_stay_off_are_refused(mark: Marker) -> None:
    """A forward pass that turns them off and not on again is told so, not what follows from it."""
    turned_off = TOWER.solution.replace(
        "        for block", "        torch.set_grad_enabled(False)\n        for block"
    )
    verdict = mark(TOWER, "import torch\n" + turned_off)
    assert "turns gradients off and leaves them off" in verdict.why
    assert verdict.line


def test_threads_and_exit_functions_do_not_hold_the_verdict(mark: Marker) -> None:
    """A thread that sleeps and a function at exit are not waited for."""
    slow = "import atexit, threading, time\natexit.register(time.sleep, 100)\nthreading.Thread(target=time.sleep, args=(100,)).start()\n"
    begin = time.monotonic()
    assert mark(TOWER, slow + TOWER.solution).status == "right"
    assert time.monotonic() - begin < 30


def test_the_file_runs_as_a_program_in_an_empty_folder(mark: Marker) -> None:
    """`__name__` is `"__main__"`, files beside it can be imported, and what it saves goes elsewhere."""
    (mark.folder / "modules").mkdir(exist_ok=True)
    (mark.folder / "modules" / "beside.py").write_text("VALUE = 7\n")
    program = (
        "import os, pickle, torch\nfrom beside import VALUE\n"
        "print(__name__, VALUE, os.listdir())\ntorch.save(torch.ones(2), 'x.pt')\n"
        "class Own:\n    pass\npickle.loads(pickle.dumps(Own()))\n"
    )
    verdict = mark(TOWER, program + TOWER.solution)
    assert (verdict.status, verdict.printed) == ("right", "__main__ 7 []\n")
    assert not list(mark.folder.rglob("x.pt"))


def test_the_solution_of_the_package_is_out_of_reach(mark: Marker) -> None:
    """A test double that claims to be equal to everything is not a right answer."""
    program = "from torch import nn\n\n\nclass Tower(nn.Module):\n    def __init__(self, blocks):\n        super().__init__()\n\n    def forward(self, X):\n        return type('Any', (), {'__eq__': lambda self, other: True})()\n"
    assert mark(TOWER, program).status == "wrong"


def test_a_verdict_can_be_stopped(tmp_path: Path) -> None:
    """`stop` ends a check that runs, and the next one is as fast as ever."""
    import threading

    path = tmp_path / "loop.py"
    path.write_text("while True:\n    pass\n")
    with Judges() as judges:
        threading.Timer(1.0, judges.stop).start()
        begin = time.monotonic()
        judges.verdict(TOWER, path)
        assert time.monotonic() - begin < 4.5
        path.write_text(TOWER.solution)
        assert judges.verdict(TOWER, path).status == "right"


def test_the_process_that_forks_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """If it has just ended, the next one is used."""
    calls = []

    def start(modules: tuple[str, ...]) -> str:
        calls.append(modules)
        if len(calls) == 1:
            raise EOFError("unexpected EOF")
        return "started"

    monkeypatch.setattr(isolated, "_Judge", start)
    assert isolated._started(("json",)) == "started"
    assert calls == [("json",)] * 2


def test_it_works_without_forking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows and macOS, each judge can be a new process; it still waits with torch imported."""
    monkeypatch.setattr(isolated, "_CONTEXT", get_context("spawn"))
    path = tmp_path / "tower.py"
    path.write_text("print('mine')\n" + TOWER.solution)
    with Judges() as judges:
        verdict = judges.verdict(TOWER, path)
        assert (verdict.status, verdict.printed) == ("right", "mine\n")
        path.write_text("import os\nos._exit(7)\n")
        assert "status 7" in judges.verdict(TOWER, path).why
