"""Runs of tests in forks of one process that has already imported modules, each on a copy of the source."""

import faulthandler
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest

from tools.mutants.changes import Mutant

IMPORTS = ["hypothesis.strategies", "numpy", "safetensors.torch", "torch._dynamo", "xdist.remote"]
OPTIONS = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
SECONDS = 30  # the time for every test, plus five times its time on the unchanged code


class Test(NamedTuple):
    """The record of a test from a run on the unchanged code."""

    seconds: float
    calls: list[list[Any]]  # functions of the package: the file, and the first line
    starts: bool  # whether it starts other programs


Tests = dict[str, Test]


def prepare(scratch: Path) -> None:
    """Import the modules that each fork needs, and move the caches of Python and Hypothesis elsewhere."""
    scratch.chmod(0o755)  # a test reads its files as another user
    for name in IMPORTS:
        importlib.import_module(name)
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(scratch / "pycache")
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(scratch / "hypothesis")
    # Use the same examples each time, and do not reduce an example that fails.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, phases=phases)
    hypothesis.settings.load_profile("mutants")


def case_of(name: str) -> str:
    """The test that a case belongs to."""
    return name.partition("[")[0]


class Plugin:
    """Records the first failure."""

    def __init__(self) -> None:
        self.failed = ""
        self.tests: Tests = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or (report.nodeid if report.failed else "")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.failed = self.failed or (f"the import of {report.nodeid}" if report.failed else "")


class Watch(Plugin):
    """Records the calls of each test."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source + os.sep
        self.calls: set[tuple[str, int]] = set()
        self.starts = False
        sys.addaudithook(self.audit)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        self.starts = self.starts or event in ("subprocess.Popen", "os.fork")

    def trace(self, frame: Any, event: str, argument: Any) -> None:
        if frame.f_code.co_filename.startswith(self.source):
            self.calls.add((frame.f_code.co_filename.removeprefix(self.source), frame.f_code.co_firstlineno))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.calls, self.starts, start = set(), False, time.perf_counter()
        threading.settrace(self.trace)
        sys.settrace(self.trace)
        result = yield
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        calls = [list(call) for call in self.calls]
        self.tests[item.nodeid] = Test(time.perf_counter() - start, calls, self.starts)
        return result


class Choose(Plugin):
    """Runs some tests in a given order. A test that takes much longer than before ends the process."""

    def __init__(self, chosen: Tests, found: Path) -> None:
        super().__init__()
        self.places = {name: place for place, name in enumerate(chosen)}
        self.found = found
        self.seconds: defaultdict[str, float] = defaultdict(float)
        for name, test in chosen.items():  # the first case may also create shared objects
            self.seconds[case_of(name)] += test.seconds
        self.limit("the import")

    def limit(self, name: str) -> None:
        self.found.write_text(json.dumps([f"a crash or the time limit in {name}", {}]))
        faulthandler.dump_traceback_later(SECONDS + 5 * self.seconds[case_of(name)], exit=True, file=2)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.limit(nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.places), key=lambda i: self.places[i.nodeid])


class Run:
    """Tests in a fork of this process: on the copy of a mutant, or all tests of a file with recording."""

    def __init__(
        self, root: Path, scratch: Path, files: list[str], tests: Tests, mutant: Mutant | None
    ) -> None:
        self.mutant = mutant
        self.folder = Path(tempfile.mkdtemp(dir=scratch))
        self.folder.chmod(0o755)
        source = self.folder / "src"
        shutil.copytree(root / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        if mutant:
            (source / mutant.file).write_bytes(mutant.code)
        self.process = os.fork()
        if self.process == 0:
            try:
                found = self.folder / "found.json"
                self.test(root, source, files, Choose(tests, found) if mutant else Watch(str(source)))
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(0)

    def test(self, root: Path, source: Path, files: list[str], plugin: Plugin) -> None:
        """Run the tests; called in the fork."""
        os.setsid()  # so that processes started by the tests can be stopped with them
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        log = os.open(self.folder / "log", os.O_CREAT | os.O_WRONLY)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(root)
        sys.path.insert(0, str(source))
        os.environ |= {"PYTHONPATH": str(source), "TMPDIR": str(self.folder), "OMP_NUM_THREADS": "1"}
        tempfile.tempdir = str(self.folder)
        code = int(pytest.main([*OPTIONS, *files], [plugin]))
        failed = plugin.failed or (f"pytest, which ended with {code}" if code else "")
        (self.folder / "found.json").write_text(json.dumps([failed, plugin.tests]))

    def found(self) -> tuple[str, Tests] | None:
        """The first failure or "", and the records of the tests; None while they run."""
        if os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        path = self.folder / "found.json"
        failed, tests = json.loads(path.read_text()) if path.exists() else ("a crash", {})
        return failed, {name: Test(*test) for name, test in tests.items()}

    def stop(self) -> None:
        """Stop the process if it is running, and all processes that its tests have left."""
        for stop in (os.kill, os.killpg):
            with suppress(ProcessLookupError):
                stop(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def finished(runs: list[Callable[[], Run]], jobs: int) -> Iterator[tuple[Run, str, Tests]]:
    """Start all runs, `jobs` at a time, and yield each one when it has ended."""
    waiting, running = runs[::-1], []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(waiting.pop()())
            for run in list(running):
                if (found := run.found()) is not None:
                    yield run, *found
                    running.remove(run)
                    run.stop()
                    shutil.rmtree(run.folder, ignore_errors=True)
            time.sleep(0.02)
    finally:
        for run in running:
            run.stop()
