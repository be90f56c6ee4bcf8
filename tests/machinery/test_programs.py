"""How pages are run: each in a separate process, once, in any order, and to the end."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.machinery.toy_project import (
    check,
    fake_torch,
    fence,
    pages_of,
    prepare,
    project,
    pytest_run,
    results,
)
from tests.page_runner import SMALLER_PROCESSOR
from tests.page_runner.program import Program
from tests.pages.doc_tests import DocTests

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc about processes")


def test_the_page_stops_where_it_cannot_go_on(tmp_path: Path) -> None:
    """Snippets after an exception are not run, and the remark says why."""
    text = fence("1 / 0") + fence("x = 1") + fence("y = 1")
    first, *rest = check(project(tmp_path, **{"docs/en/page.md": text})).values()
    assert "ZeroDivisionError" in first
    assert rest == [f"docs/en/page.md:{line}: not run, because page.md:1 could not go on" for line in (4, 7)]


def test_what_follows_is_not_run_though_the_page_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that is asked for its last snippet gets all of them at once. It stops by itself at a failure,
    before it is killed.
    """
    close = Program.close
    monkeypatch.setattr(Program, "close", lambda self: (time.sleep(0.5), close(self)))
    text = fence("x = 1") + fence("1 / 0") + fence("open('after', 'w').close()")
    pages = pages_of(project(tmp_path, **{"docs/en/page.md": text}))
    check = DocTests(pages, tmp_path, tmp_path / "run")
    remarks = [check(snippet)[0] for snippet in reversed(pages[0].snippets)]
    assert [remark == "" for remark in remarks] == [False, False, True]
    assert not list(tmp_path.rglob("after"))


def test_a_snippet_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    """A snippet that catches every exception is stopped too. The remark names it, and other pages go on."""
    forever = fence(
        "while True:", "    try:", "        while True: pass", "    except BaseException:", "        pass"
    )
    pages = {"docs/en/page.md": fence("x = 1") + forever, "docs/en/z.md": fence("print(1)", "#> 1")}
    assert check(project(tmp_path, **pages), seconds=2) == {
        "page.md:1": "",
        "page.md:4": "docs/en/page.md:4: did not end within 2 s, and was stopped",
        "z.md:1": "",
    }


def test_a_smaller_processor_is_what_the_page_has(tmp_path: Path) -> None:
    """The setting works although torch is already imported: torch reads it when it first calculates."""
    text = fence("import torch", "torch.ones(2).sum()", "print(torch.backends.cpu.get_cpu_capability())")
    pages = pages_of(project(tmp_path, **{"docs/en/page.md": text}))
    remark, _ = DocTests(pages, tmp_path, tmp_path / "run", environment=SMALLER_PROCESSOR)(
        pages[0].snippets[0]
    )
    assert "#> DEFAULT" in remark


def gone(pid: str) -> bool:
    """Whether a process has ended, even if its parent has not waited for it."""
    status = Path("/proc", pid, "status")
    return not status.exists() or "State:\tZ" in status.read_text()


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@linux
def test_what_a_stopped_page_started_is_stopped_too(tmp_path: Path) -> None:
    """No child process of a page outlives the run."""
    start = fence(
        "import subprocess",
        "child = subprocess.Popen(['sleep', '1000'])",
        "open(PLACE, 'w').write(str(child.pid))",
    )
    place = tmp_path / "pid"
    check(project(tmp_path, **{"docs/en/page.md": start.replace("PLACE", repr(str(place)))}))
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", place.read_text()], capture_output=True, text=True
    ).stdout
    assert state.strip() in ("", "Z")


DISTURBED = fence(
    "import os, random, sys, warnings, torch",
    "torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False); torch.set_num_threads(2)",
    "torch.set_printoptions(precision=1); torch.manual_seed(3); random.seed(3)",
    "torch.set_default_device('meta'); torch.use_deterministic_algorithms(True)",
    "os.environ['LEFT'] = 'yes'; open('left.txt', 'w').close(); os.chdir('/'); sys.path.append('left')",
    "warnings.simplefilter('ignore'); sys.stdout = open(os.devnull, 'w'); torch.left = 1; print = len",
    "sys.modules['__main__'].left = 1; sys.modules['left'] = sys",
)
FRESH = fence(
    "import os, sys, warnings, torch",
    "print(torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_device())",
    "#> torch.float32 True 1 cpu",
    "print(torch.tensor(1 / 3), torch.are_deterministic_algorithms_enabled(), hasattr(torch, 'left'))",
    "#> tensor(0.3333) False False",
    "print('LEFT' in os.environ, os.listdir(), 'left' in sys.path, 'left' in sys.modules)",
    "#> False [] False False",
    "print(hasattr(sys.modules['__main__'], 'left'), [f[0] for f in warnings.filters], __name__)",
    "#> False ['ignore', 'always'] __main__",
    "print(torch.initial_seed() != 3, [key for key in os.environ if key.startswith('PYTEST')], sys.argv)",
    "#> True [] ['']",
    "print([name for name in ('pytest', 'page', 'conftest') if name in globals()], sys.path[0] == '')",
    "#> [] True",
)


def test_pages_cannot_touch_each_other(tmp_path: Path) -> None:
    """A page that changes all kinds of global state does not affect the next one."""
    pages = {
        "docs/en/a.md": DISTURBED,
        "docs/en/b.md": FRESH,
        "docs/en/c.md": DISTURBED,
        "docs/en/d.md": FRESH,
    }
    said = check(project(tmp_path, **pages))
    assert said == dict.fromkeys(["a.md:1", "b.md:1", "c.md:1", "d.md:1"], "")


def test_every_snippet_is_run_once(tmp_path: Path) -> None:
    """The order of the tests does not matter, and no snippet after the requested one is run."""
    count = fence(f"file = open({str(tmp_path / 'runs')!r}, 'a')", "file.write('SNIPPET '); file.close()")
    text = "".join(count.replace("SNIPPET", str(number)) for number in range(4))
    pages = pages_of(project(tmp_path, **{"docs/en/page.md": text.replace("file.write", "n = file.write")}))
    first, second, third, _ = pages[0].snippets
    checked = DocTests(pages, tmp_path, tmp_path / "scratch")
    assert [checked(snippet)[0] for snippet in (second, third, first, second)] == [""] * 4
    checked.close()
    assert (tmp_path / "runs").read_text() == "0 1 2 "


GPU_PAGE = (
    fence("import torch", "seed = torch.manual_seed(0)", "COUNT")
    + fence("print(torch.rand(1).shape, 'on a GPU')", "#> torch.Size([1]) on a GPU", keys='gpu="2"')
    + fence("print(torch.rand(1))", "#> tensor([0.4963])")
)


def test_a_gpu_snippet_is_skipped_without_gpus(tmp_path: Path) -> None:
    """The reason names the number of GPUs that it needs and the number found."""
    text = GPU_PAGE.replace("COUNT", "torch.cuda.device_count = lambda: 1")
    said = check(project(tmp_path, **{"docs/en/page.md": text}))
    assert list(said.values()) == ["", "skipped: needs 2 CUDA GPUs, found 1; never run", ""]


def test_a_gpu_snippet_is_run_with_gpus_and_moves_no_random_stream(tmp_path: Path) -> None:
    """With a faked count of two GPUs, the snippet runs, and the rest of the page draws the same numbers."""
    text = GPU_PAGE.replace("COUNT", "torch.cuda.device_count = lambda: 2")
    assert not any(check(project(tmp_path, **{"docs/en/page.md": text})).values())
    lying = text.replace("#> torch.Size([1]) on", "#> torch.Size([2]) on")
    said = check(project(tmp_path / "lying", **{"docs/en/page.md": lying}))
    assert "what the page shows is not what happens" in said["page.md:6"]


@linux
def test_a_killed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """Even a page that never ends is stopped."""
    place = tmp_path / "pid"
    forever = fence("import os", f"n = open({str(place)!r}, 'w').write(str(os.getpid()))", "while True: pass")
    root = project(tmp_path, **{"docs/en/page.md": forever})
    prepare(root)
    command = [sys.executable, "-m", "pytest", "-q"]
    with tempfile.TemporaryDirectory() as own:  # for the files that pytest would have removed at its end
        run = subprocess.Popen(command, cwd=root, env=os.environ | {"TMPDIR": own}, stdout=subprocess.DEVNULL)
        wait_until(lambda: place.exists() and place.read_text())
        run.kill()
        run.wait()
        wait_until(lambda: gone(place.read_text()))


PROGRAM = fence("x = 1") + "\n" + fence("print(x)", "#> 2") + "\n" + fence("x += 1", "print(x)", "#> 2")
SITE = {
    "README.md": fence("print('readme')", "#> readme"),
    "docs/en/page.md": PROGRAM,
    "docs/en/deep/page.md": PROGRAM.replace("print(x)\n#> 2\n```\n\n", "print(x)\n#> 1\n```\n\n"),
    "src/d2lblocks/a.py": '"""A.\n\n{}"""\n'.format(fence("print('a')", "#> b")),
}
ENDS = {
    "README.md:1": "PASSED",
    "a.py:3": "FAILED",
    "deep/page.md:1": "PASSED",
    "deep/page.md:5": "PASSED",
    "deep/page.md:10": "PASSED",
    "page.md:1": "PASSED",
    "page.md:5": "FAILED",
    "page.md:10": "PASSED",
}


@pytest.mark.parametrize("arguments", [[], ["-n", "2"], ["-p", "reverse"]], ids=" ".join)
def test_order_and_workers_change_nothing(arguments: list[str], tmp_path: Path) -> None:
    """Pages, README and docstrings have the same results in order, in reverse, and with several workers."""
    root = project(
        tmp_path, **SITE, **{"reverse.py": "def pytest_collection_modifyitems(items): items.reverse()"}
    )
    assert results(pytest_run(root, *arguments)) == ENDS


def test_a_page_stays_in_one_worker(tmp_path: Path) -> None:
    """Workers divide the pages among themselves, and each page is run once."""
    runs = tmp_path / "runs"
    begin = f"with open({str(runs)!r}, 'a') as file: n = file.write('NAME ')"
    page = fence(begin) + fence("x = 1") * 20
    names = ["a", "b", "c", "d"]
    root = project(
        tmp_path / "project", **{f"docs/en/{name}.md": page.replace("NAME", name) for name in names}
    )
    assert set(results(pytest_run(root, "-n", "2")).values()) == {"PASSED"}
    assert sorted(runs.read_text().split()) == names


def test_a_snippet_runs_alone(tmp_path: Path) -> None:
    """The earlier snippets of its page are run first."""
    root = project(tmp_path, **SITE)
    assert results(pytest_run(root, "tests/pages/test_docs.py::test_snippet[page.md:10]")) == {
        "page.md:10": "PASSED"
    }
    run = pytest_run(root, "tests/pages/test_docs.py::test_snippet[page.md:5]")
    assert results(run) == {"page.md:5": "FAILED"}
    assert "docs/en/page.md:7: what the page shows is not what happens" in run.stdout
    assert "-#> 2\n+#> 1\n" in run.stdout


def test_required_gpus_are_not_skipped(tmp_path: Path) -> None:
    """A snippet that needs more GPUs than the required number is still skipped, with its reason."""
    text = fence("x = 1") + fence("x = 1", keys='gpu="1"') + fence("x = 1", keys='gpu="2"')
    root = project(tmp_path, **{"docs/en/page.md": text})
    no_gpu = fake_torch(root, gpus=0, version="2.12.0")
    without = pytest_run(root, **no_gpu)
    assert results(without) == {"page.md:1": "PASSED"}
    assert "needs 1 CUDA GPU, found none" in without.stdout
    with_one = pytest_run(root, "--gpus-required=1", **no_gpu)
    assert results(with_one) == {"page.md:1": "PASSED", "page.md:4": "FAILED"}
    assert "needs 2 CUDA GPUs, found none" in with_one.stdout
