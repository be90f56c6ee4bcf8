"""Tasks, each in a forked process with a limit on time and memory, and their results."""

import gc
import os
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import NamedTuple

SECONDS = 90  # of one task
MEMORY = 8 << 30  # bytes that a task may use in addition
BUILD = "build"  # the first part of a task: if it fails, nothing has been tried


class NotTried(Exception):  # noqa: N818 (it is no error of what is tried)
    """A check does not apply, or cannot work even without the package."""


class Report:
    """Report the checks of a task: the name of each check when it starts, and its outcome.

    An outcome is "passed", "failed: ..." or "not tried: ...".
    """

    def __init__(self, tell: Callable[[tuple[str, str]], None]) -> None:
        self.tell = tell

    @contextmanager
    def __call__(self, check: str) -> Iterator[None]:
        self.tell((check, ""))
        try:
            yield
        except NotTried as reason:
            self.tell((check, f"not tried: {one_line(reason)}"))
        except Exception as error:
            self.tell((check, f"failed: {type(error).__name__}: {one_line(error) or place_of(error)}"))
        else:
            self.tell((check, "passed"))


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500]


def place_of(error: BaseException) -> str:
    """The line that raised an error without a message."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{os.path.basename(last.filename)}: {last.line}"


class Task(NamedTuple):
    """Something to try.

    Attributes:
        collection: the library or the kind of training, which is its row in the table.
        name: unique in its library.
        run: tries it, and reports its checks.
    """

    collection: str
    name: str
    run: Callable[[Report], None]


class Result(NamedTuple):
    """The result of a task.

    Attributes:
        checks: the outcome of each check.
    """

    collection: str
    name: str
    seconds: float
    checks: dict[str, str]

    @property
    def built(self) -> bool:
        return self.checks.get(BUILD, "passed") == "passed"


class Running:
    """A task in a separate process."""

    def __init__(self, task: Task, seconds: float, memory: int) -> None:
        self.task = task
        self.start = time.monotonic()
        self.limit = seconds
        self.checks: dict[str, str] = {}
        self.receiver, sender = get_context("fork").Pipe(duplex=False)
        self.process = get_context("fork").Process(target=self.work, args=(sender, memory), daemon=True)
        self.process.start()
        sender.close()

    def work(self, sender: Connection, memory: int) -> None:
        """Run the task; called in the process."""
        os.setsid()  # so that processes started by the task can be stopped with it
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + memory, used + memory))
        self.task.run(Report(sender.send))

    def read(self) -> bool:
        """Store the outcomes that the task has sent; return whether it is over."""
        try:
            while self.receiver.poll():
                check, outcome = self.receiver.recv()
                self.checks[check] = outcome
        except (EOFError, OSError):
            return True
        return time.monotonic() - self.start > self.limit

    def result(self) -> Result:
        """Stop the task if it is running. A check without an outcome has failed."""
        seconds = time.monotonic() - self.start
        late = seconds > self.limit
        for stop in (os.kill, os.killpg):
            with suppress(ProcessLookupError):
                stop(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.receiver.close()
        why = f"took longer than {self.limit:g} s" if late else "the process died"
        checks = {name: outcome or f"failed: {why}" for name, outcome in self.checks.items()}
        return Result(
            self.task.collection, self.task.name, round(seconds, 1), checks or {BUILD: f"failed: {why}"}
        )


def results(
    tasks: Iterable[Task], jobs: int = 2, seconds: float = SECONDS, memory: int = MEMORY
) -> Iterator[Result]:
    """Run all tasks, `jobs` at a time, and yield each result as soon as it is available."""
    running: list[Running] = []
    waiting = iter(tasks)
    gc.freeze()  # share the objects that exist now with the forks
    try:
        while True:
            while len(running) < jobs and (task := next(waiting, None)) is not None:
                running.append(Running(task, seconds, memory))
            if not running:
                return
            wait([each.receiver for each in running], timeout=0.5)
            for each in list(running):
                if each.read():
                    running.remove(each)
                    yield each.result()
    finally:
        for each in running:
            each.result()
