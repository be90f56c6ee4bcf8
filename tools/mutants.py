"""Change the package at random, one small change at a time, and see whether its tests notice.

    python -m tools.mutants N SEED [TOPIC ...]    N changes, of all topics unless some are named

A change that no test notices is a survivor: a promise without a test, or code that makes no difference.
`mutants.toml` explains the latter. More than 3 % of survivors without an explanation are an error,
and so is an explanation of a change that cannot be made any more.

Each mutant is a copy of `src/` in a temporary folder, tested in a fork of a process that has imported torch:
so a mutant costs its tests alone. They are the tests that call the changed function, and those that start
other programs, whose calls nobody sees. The quickest files come first, and the first failure is the last.

No library does this here: mutatest 3.1 fails on Python 3.11; mutmut 3.8 skips functions with decorators,
and so every context manager and property; cosmic-ray 8.7 writes into the work tree, imports torch for every
mutant, and neither removes statements nor changes arguments. The last two take no random sample.
"""

import importlib
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import tomllib
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import pytest

from tools.changes import Mutant, is_python, mutants

ROOT = Path(__file__).parents[1]
LARGEST_SHARE = 0.03  # of survivors without an explanation
# Beside tests/**/test_TOPIC.py. Where there is no such file, the tests of all topics count.
MORE_TESTS = {
    "layers": ["contract"],
    "modules": ["contract"],
    "serialization": ["checkpoints", "refusals", "resuming", "rotation", "round_trips", "writers"],
}
IMPORTS = ["hypothesis.strategies", "numpy", "safetensors.torch", "xdist.remote"]
OPTIONS = ["-q", "-x", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]


class Test(NamedTuple):
    """What is known of a test from a run on the code as it is."""

    seconds: float
    calls: list[list[Any]]  # functions of the package: the file, and the first line
    starts: bool  # other programs


Tests = dict[str, Test]


def test_files(root: Path, topic: str) -> list[str]:
    """The files with the tests of a topic, wherever below tests/ they are."""
    there = {path.stem.removeprefix("test_"): str(path) for path in root.glob("tests/**/test_*.py")}
    if topic not in there:
        topics = [path.stem for path in root.glob("src/*/*") if path.stem in there]
        return sorted({file for each in topics for file in test_files(root, each)})
    return [there[name] for name in (topic, *MORE_TESTS.get(topic, ()))]


def test_file(name: str) -> str:
    return name.partition("::")[0]


def may_notice(mutant: Mutant, tests: Tests) -> Tests:
    """The tests of a mutant, in the order in which to run them."""
    call = [str(mutant.file), mutant.function]
    reach = [n for n, test in tests.items() if test.starts or call in test.calls or not mutant.function]
    # All cases of a test: what its module shares is made by the first of them.
    names = {name.partition("[")[0] for name in reach}
    seconds: Counter[str] = Counter()
    for name, test in tests.items():
        seconds[test_file(name)] += test.seconds
    found = [name for name in tests if name.partition("[")[0] in names]
    found.sort(key=lambda name: (seconds[test_file(name)], test_file(name), tests[name].seconds))
    return {name: tests[name] for name in found}


class Plugin:
    """Notes the first failure."""

    def __init__(self) -> None:
        self.failed = ""
        self.tests: Tests = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or (report.nodeid if report.failed else "")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.failed = self.failed or (f"the import of {report.nodeid}" if report.failed else "")


class Watch(Plugin):
    """Notes what each test does."""

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
    """Runs some tests, in a given order."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.places = {name: place for place, name in enumerate(names)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((i for i in items if i.nodeid in self.places), key=lambda i: self.places[i.nodeid])


class Run:
    """Tests in a fork of this process, over a copy of the source: a mutant's, or all of a topic, watched."""

    def __init__(self, root: Path, scratch: Path, topic: str, mutant: Mutant | None, tests: Tests) -> None:
        self.topic, self.mutant = topic, mutant
        self.folder = Path(tempfile.mkdtemp(dir=scratch))
        self.folder.chmod(0o755)  # a test reads its files as another user
        source = self.folder / "src"
        shutil.copytree(root / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        if mutant:
            (source / mutant.file).write_bytes(mutant.code)
        files = [*dict.fromkeys(map(test_file, tests))] if mutant else test_files(root, topic)
        seconds = sum(test.seconds for test in tests.values())
        self.end = time.monotonic() + (20 + 5 * seconds if mutant else 3600)
        self.process = os.fork()
        if self.process == 0:
            try:
                self.test(root, source, files, Choose(list(tests)) if mutant else Watch(str(source)))
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            os._exit(0)

    def test(self, root: Path, source: Path, files: list[str], plugin: Plugin) -> None:
        """What the fork does."""
        os.setsid()  # so that what the tests start can be stopped with them
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
        """The first failure, or "", and what is known of the tests; None as long as they run."""
        if time.monotonic() > self.end:
            return "the time limit", {}
        if os.waitid(os.P_PID, self.process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        if not (path := self.folder / "found.json").exists():
            return "a crash", {}
        failed, tests = json.loads(path.read_text())
        return failed, {name: Test(*test) for name, test in tests.items()}

    def stop(self) -> None:
        """Stop it if it runs, and what its tests have left running."""
        for stop in (os.kill, os.killpg):
            with suppress(ProcessLookupError):
                stop(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)


def finished(runs: list[Callable[[], Run]], jobs: int) -> Iterator[tuple[Run, str, Tests]]:
    """Start all runs, some at a time, and give each when it has ended."""
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


def explanations(root: Path) -> dict[tuple[str, str], str]:
    """The reasons for survivors, by file and change."""
    path = root / "tools" / "mutants.toml"
    entries = tomllib.loads(path.read_text("utf-8")).get("survivor", []) if path.exists() else []
    return {(entry["file"], entry["change"].strip()): entry["reason"] for entry in entries}


def prepare(scratch: Path) -> None:
    """Import what each fork would import, and keep out of the work tree what Python and Hypothesis keep."""
    for name in IMPORTS:
        importlib.import_module(name)
    sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(scratch / "pycache")
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(scratch / "hypothesis")
    # The same examples each time, and none smaller than the first that fails.
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutants", derandomize=True, database=None, phases=phases)
    hypothesis.settings.load_profile("mutants")


def main(root: Path, number: int, seed: int, *topics: str, jobs: int) -> int:
    every = [m for path in sorted(root.glob("src/**/*.py")) for m in mutants(path, root / "src")]
    reasons = explanations(root)
    if gone := sorted(reasons.keys() - {(str(mutant.file), mutant.diff) for mutant in every}):
        for file, change in gone:
            print(f"tools/mutants.toml explains a change of {file} that cannot be made any more:\n{change}")
        return 2
    random.Random(seed).shuffle(every)
    sound = (mutant for mutant in every if mutant.topic in (topics or [mutant.topic]) and is_python(mutant))
    chosen = list(itertools.islice(sound, number))
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(1)
    )  # so that it stops the forks and removes their folders
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)
        prepare(scratch)
        start = partial(partial, Run, root, scratch)
        known: dict[str, Tests] = {}
        for run, failed, tests in finished(
            [start(t, None, {}) for t in sorted({m.topic for m in chosen})], jobs
        ):
            if failed:
                print((run.folder / "log").read_text("utf-8"), f"The code as it is fails {failed}", sep="\n")
                return 2
            known[run.topic] = tests
        runs = [start(mutant.topic, mutant, may_notice(mutant, known[mutant.topic])) for mutant in chosen]
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        survivors: list[Mutant] = []
        for place, (mutant, failed) in enumerate(
            ((run.mutant, failed) for run, failed, _ in finished(runs, jobs)), 1
        ):
            reason = reasons.get((str(mutant.file), mutant.diff), "")
            outcome = f"caught by {failed}" if failed else f"explained: {reason}" if reason else "SURVIVED"
            print(f"{place}/{len(chosen)} {mutant.file}:{mutant.line} {outcome}", flush=True)
            counts[mutant.topic][outcome.partition(" ")[0].strip(":").lower()] += 1
            survivors += [mutant] * (outcome == "SURVIVED")
    for mutant in survivors:
        print(f"\n{mutant.file}:{mutant.line}\n{mutant.diff}")
    print(f"\n{'topic':16}   tried  caught  explained  survived")
    for topic, count in sorted(counts.items()):
        print(f"{topic:16}{count.total():8}{count['caught']:8}{count['explained']:11}{count['survived']:10}")
    print(
        f"{len(survivors)} of {len(chosen)} changes survived unexplained: {len(survivors) / len(chosen):.1%}"
    )
    return int(len(survivors) > LARGEST_SHARE * len(chosen))


if __name__ == "__main__":
    sys.exit(main(ROOT, int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:], jobs=min(os.cpu_count() or 1, 4)))
