"""Run a page, statement by statement, in a separate process.

In a separate process, a page cannot leave anything behind, hang forever or end the test run.
On Linux the process is forked, in milliseconds, from a server that has only imported the modules given to
`warm_up`, or torch: no earlier page, test or CUDA context can affect it. On other systems, a fresh
interpreter is started.
"""

import atexit
import contextlib
import multiprocessing
import os
import signal
import threading
from importlib.util import find_spec
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from .session import FORKS, serve
from .snippet import Outcome, Snippet

# Fewer vector instructions for ATen and MKL. Both read these variables when they first calculate.
SMALLER_PROCESSOR = {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
CONTEXT: Any = multiprocessing.get_context("forkserver" if FORKS else "spawn")


def preload(modules: list[str]) -> None:
    CONTEXT.set_forkserver_preload(["__main__", __name__, *modules, f"{__package__}.freeze"])


if FORKS:
    preload(["torch"] if find_spec("torch") else [])


def warm_up(modules: list[str]) -> None:
    """Start the server now, so that it imports these modules while pytest collects tests."""
    if FORKS:
        preload(modules)
        forkserver.ensure_running()


class Program:
    """The snippets of one page or docstring, run in order, each once, and only as far as requested."""

    def __init__(
        self,
        snippets: list[Snippet],
        page_lines: list[str],
        folder: Path,
        seconds: float,
        environment: dict[str, str],
        hidden: tuple[Path, ...],  # folders in the import path that are only for the tests
    ) -> None:
        self.snippets = snippets
        self.page_lines = page_lines
        self.folder = folder
        self.files = folder / "files"  # the working directory of the page
        self.seconds = seconds
        self.environment = environment
        self.hidden = hidden
        self.outcomes: dict[str, Outcome] = {}
        self.numbers = {snippet.id: number for number, snippet in enumerate(snippets, 1)}
        self.sent = 0  # how many snippets the process has received
        self.over = ""  # the snippet after which the program could not go on
        self.process: BaseProcess | None = None
        self.closed = False
        self.running = threading.Lock()  # the program may be run ahead of the tests

    def outcome(self, snippet: Snippet) -> Outcome:
        """Run the program up to this snippet if needed, and return the snippet's outcome."""
        while snippet.id not in self.outcomes:
            with self.running:
                if snippet.id not in self.outcomes:
                    self.run_next(self.numbers[snippet.id])
        return self.outcomes[snippet.id]

    def run_next(self, wanted: int) -> None:
        """Wait for the next snippet. The process receives all requested snippets at once."""
        each = self.snippets[len(self.outcomes)]
        at = f"{each.file}:{each.line}"
        if self.over:
            outcome = Outcome(troubles=[f"{at}: not run, because {self.over} could not go on"], fatal=True)
        else:
            todo = None
            if self.sent == len(self.outcomes):
                todo, self.sent = self.snippets[self.sent : wanted], wanted
            outcome = self.ask(todo, at, "did not end")
            if each is self.snippets[-1] and not outcome.fatal:
                outcome.troubles += self.ask([], at, "ran, and then Python did not end").troubles
        if outcome.fatal:
            self.over = self.over or each.id
        self.outcomes[each.id] = outcome
        if self.over or len(self.outcomes) == len(self.snippets):
            self.close()

    def ask(self, todo: list[Snippet] | None, at: str, what: str) -> Outcome:
        """Send snippets to the process, or an empty list to end it. The next answer must come in time."""
        if self.closed:
            return Outcome(troubles=[f"{at}: not run, because the tests have ended"], fatal=True)
        if self.process is None:
            self.start()
        assert self.process is not None
        try:
            if todo is not None:
                self.pipe.send(todo)
            if self.pipe.poll(self.seconds):
                outcome: Outcome = self.pipe.recv()
                return outcome
            trouble = f"{at}: {what} within {self.seconds:g} s, and was stopped"
        except (EOFError, ConnectionError):
            self.process.join(5)
            stderr = (self.folder / "stderr").read_text("utf-8", "replace")
            trouble = f"{at}: ended the process ({exit_reason(self.process.exitcode)})\n{stderr}".rstrip()
        self.close()
        return Outcome(troubles=[trouble], fatal=True)

    def start(self) -> None:
        self.files.mkdir(parents=True)
        self.pipe, theirs = CONTEXT.Pipe()
        name = self.snippets[0].file
        arguments = (theirs, name, self.page_lines, self.folder, self.environment, self.hidden)
        self.process = CONTEXT.Process(target=serve, args=arguments)
        self.process.start()
        theirs.close()
        atexit.register(self.close)  # before multiprocessing's own, which would wait for the process
        self.pipe.recv()  # it is ready now; importing torch does not count as a snippet's time

    def close(self) -> None:
        if self.process is not None and not self.closed:
            self.closed = True
            assert self.process.pid is not None
            if os.name == "posix":
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)  # and the page's child processes
            self.process.kill()
            self.process.join()
            atexit.unregister(self.close)


def run_file(
    path: Path, folder: Path, seconds: float, environment: dict[str, str], hidden: tuple[Path, ...]
) -> Outcome:
    """Run a Python file as a program of one snippet, in an empty folder, `folder / "files"`."""
    lines = path.read_text("utf-8").split("\n")
    whole = Snippet(id=path.name, file=path.name, line=0, program=path.name, code=lines, indent=0)
    program = Program([whole], lines, folder, seconds, environment, hidden)
    try:
        return program.outcome(whole)
    finally:
        program.close()


def exit_reason(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit status {code}"
