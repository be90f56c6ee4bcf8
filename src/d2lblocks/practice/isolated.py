"""Files judged in processes of their own, within limits: what a file does stays in its process.

Each process imports torch before a file comes, so a verdict takes no longer than the file. On Linux they are
forked from one process that has imported it; elsewhere forking a process with torch is not safe, so the next
one is started while the last one works.
"""

import contextlib
import faulthandler
import importlib
import io
import os
import re
import signal
import sys
import tempfile
import threading
import time
from multiprocessing import connection, get_context, set_start_method
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from d2lblocks._arguments import kind_of

from .exercise import Exercise, find
from .judge import Verdict, judge, line_text

__all__ = ["Judges"]

_CONTEXT: Any = get_context("forkserver" if sys.platform == "linux" else "spawn")
_MOST_PRINTED = 4000  # characters that are shown of what a file prints
_MOST_PROCESSES = 8  # that a file may start
_MOST_MEMORY = 2 << 30  # bytes that a file may use
_START = 60  # seconds for starting a process on a busy machine
_STARTS_PROCESSES = (
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.startfile",
    "os.system",
    "subprocess.Popen",
)


class Judges:
    """Judges of files; one that is not busy is always ready. `close` ends them.

    Examples:
        ```python
        from d2lblocks.practice.exercise import find
        from d2lblocks.practice.isolated import Judges

        exercise = find("modules/1")[0]
        with open("1_tower.py", "w") as file:
            length = file.write(exercise.solution)
        with Judges() as judges:
            print(judges.verdict(exercise, "1_tower.py").status)
        #> right
        ```
    """

    def __init__(self) -> None:
        if sys.platform == "linux":
            _CONTEXT.set_forkserver_preload([f"{__package__}.warm"])
            _start_without_ctrl_c()
        self._busy: _Judge | None = None
        self._ready = _started(())

    def prepare(self, exercise: Exercise) -> None:
        """Import what the answers of an exercise need while nobody waits."""
        if self._ready.modules != exercise.modules:
            self._ready.end()
            self._ready = _started(exercise.modules)

    def verdict(self, exercise: Exercise, path: str | Path) -> Verdict:
        """Judge a file. One call at a time; `stop` ends it from another thread."""
        self._busy, self._ready = self._ready, _started(exercise.modules)
        path = Path(path).absolute()
        with contextlib.suppress(OSError, RuntimeError):  # a link to itself
            path = path.resolve()
        return self._busy.verdict(exercise, path)

    def stop(self) -> None:
        """End the call of `verdict` that waits, if there is one."""
        if self._busy is not None:
            self._busy.kill()

    def close(self) -> None:
        """End all processes."""
        self.stop()
        self._ready.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.close()


class _Judge:
    """A process that judges one file."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self.modules = modules
        self.connection, other = _CONTEXT.Pipe()
        # Not a daemon: those may not have children, and a DataLoader with workers has some.
        self.process = _CONTEXT.Process(target=_wait_and_judge, args=(other, modules), daemon=False)
        self.process.start()
        other.close()

    def verdict(self, exercise: Exercise, path: Path) -> Verdict:
        with tempfile.TemporaryDirectory(prefix="d2lblocks-", ignore_cleanup_errors=True) as folder:
            stopped = Path(folder, "stopped.txt")
            empty = Path(folder, "empty")
            empty.mkdir()
            try:
                self.connection.send((exercise.id, path, empty, stopped))
                printed, verdict = self._answers(time.monotonic() + _START + exercise.seconds)
            except (BrokenPipeError, ConnectionResetError):
                printed, verdict = "", None
            finally:
                self.end()
            if verdict is None:
                verdict = _died(exercise, path, stopped, self.process.exitcode)
        return Verdict(**{**verdict.as_dict(), "printed": printed})

    def _answers(self, end: float) -> tuple[str, Verdict | None]:
        """What the file printed, and the verdict if one came before the process or the time ended."""
        printed = ""
        while (left := end - time.monotonic()) > 0:
            ready = connection.wait([self.connection, self.process.sentinel], left)
            if self.connection in ready:
                try:
                    came = self.connection.recv()
                except (EOFError, OSError):
                    break
                if isinstance(came, Verdict):
                    return printed, came
                printed += came
            elif ready:
                break
        return printed, None

    def kill(self) -> None:
        """End the process, and all that it has started."""
        if self.process.pid is not None and hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()

    def end(self) -> None:
        """End the process, and wait until it has."""
        self.kill()
        self.process.join()


def _start_without_ctrl_c() -> None:
    """Start the process that forks the others, so that Ctrl-C does not reach it while it imports torch."""
    from multiprocessing import forkserver

    if threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            forkserver.ensure_running()
        finally:
            signal.signal(signal.SIGINT, before)


def _started(modules: tuple[str, ...]) -> _Judge:
    """A new process. If the one that it is forked from has just ended, another takes its place."""
    try:
        return _Judge(modules)
    except (EOFError, OSError):
        time.sleep(0.5)
        return _Judge(modules)


def _died(exercise: Exercise, path: Path, stopped: Path, status: int | None) -> Verdict:
    """The verdict on a file that ended its process, or was stopped."""
    text = stopped.read_text("utf-8", "replace") if stopped.exists() else ""
    if text:
        found = re.search(rf'File "{re.escape(str(path))}", line (\d+)', text)
        line = int(found[1]) if found else None
        code = ""
        with contextlib.suppress(OSError):
            code = line_text(path.read_text("utf-8", "replace"), line)
        why = f"Your code was stopped after {exercise.seconds:.0f} seconds: is there a loop that never ends?"
        return Verdict("wrong", why, line=line, code=code, page=exercise.page)
    how = f"with the status {status}"
    if status is not None and status < 0:
        how = f"by the signal {signal.Signals(-status).name}"
    return Verdict("wrong", f"Your code ended Python {how}, so it could not be checked.", page=exercise.page)


def _wait_and_judge(answers: Connection, modules: tuple[str, ...]) -> None:
    """Judge the one file that comes, in this process, and send what it prints and the verdict."""
    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own, to be killed as one, which Ctrl-C in the terminal does not reach
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in 0, 1, 2:
        os.dup2(silent, stream)
    for module in (f"{__package__}.warm", *modules):  # the first is there already if this process was forked
        with contextlib.suppress(ImportError):  # if the file needs it, it is told
            importlib.import_module(module)
    torch.set_num_threads(1)
    own = os.getpid()
    try:
        name, path, folder, stopped = answers.recv()
    except (EOFError, OSError):  # the other side has ended
        os._exit(0)
    os.chdir(folder)
    set_start_method(None, force=True)  # the file may choose its own
    sys.stdin = io.StringIO()
    sys.stdout = sys.stderr = _Printed(answers, own)
    exercise = find(name)[0]
    _limit_memory()
    _limit_processes(own)
    with open(stopped, "w") as file:
        faulthandler.dump_traceback_later(exercise.seconds, exit=True, file=file)
        try:
            verdict = judge(exercise, path)
        except BaseException as error:  # for example if the file has changed what Python itself works with
            name = type(error).__name__
            why = f"Your code leaves Python in a state in which it cannot be checked (`{name}`)."
            verdict = Verdict("wrong", why, page=exercise.page)
        faulthandler.cancel_dump_traceback_later()
    if os.getpid() == own:  # not a process that the file has forked
        sys.stdout.close()
        answers.send(verdict)
    os._exit(0)  # without the file's own exit functions, and without waiting for its threads


class _Printed(io.TextIOBase):
    """Standard output, sent as it comes up to a limit; the rest is only counted."""

    def __init__(self, answers: Connection, process: int) -> None:
        self.answers = answers
        self.process = process
        self.length = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {kind_of(text)}")
        if os.getpid() == self.process and (rest := _MOST_PRINTED - self.length) > 0 and text:
            self.answers.send(text[:rest])
        self.length += len(text)
        return len(text)

    def close(self) -> None:
        if (more := self.length - _MOST_PRINTED) > 0 and not self.closed:
            self.answers.send(f"... and {more:,} more characters\n")
        super().close()


def _limit_memory() -> None:
    """Let more memory than the limit raise a MemoryError, where the system can: on Linux."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + _MOST_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _limit_processes(own: int) -> None:
    """Let the file start a few processes, and let these start none."""
    started = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal started
        if event in _STARTS_PROCESSES:
            started += 1
            if started > _MOST_PROCESSES or os.getpid() != own:
                raise RuntimeError(f"a practice file may start {_MOST_PROCESSES} processes, and these none")

    sys.addaudithook(hook)
