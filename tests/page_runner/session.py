"""The process of a page: it runs snippets as they come, statement by statement, and reports the outcome."""

import __future__

import ast
import atexit
import contextlib
import ctypes
import itertools
import linecache
import multiprocessing
import os
import random
import signal
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .snippet import Outcome, Snippet

FORKS = sys.platform == "linux"
LIBC: Any = ctypes.CDLL(None) if os.name == "posix" else None
PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def serve(
    pipe: Connection,
    name: str,
    page_lines: list[str],
    folder: Path,
    environment: dict[str, str],
    hidden: tuple[Path, ...],
) -> None:
    """Run snippets as they come, until one fails or the other end closes."""
    if os.name == "posix":
        os.setsid()
    if FORKS:
        # If pytest is killed, the server ends, because no other process keeps this pipe open. Then this
        # process ends with the server, whatever it is doing.
        os.close(forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined]
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    as_the_main_process()
    os.environ |= environment
    if "torch" in sys.modules or not (FORKS or find_spec("torch") is None):
        import torch

        torch.set_num_threads(1)
    for variable in [variable for variable in os.environ if variable.startswith("PYTEST_")]:
        del os.environ[variable]
    # The reader's session: the current folder is in the import path, but nothing of the tests is.
    sys.path[:] = ["", *(place for place in sys.path if place and Path(place) not in hidden)]
    sys.argv[:] = [""]
    os.chdir(folder / "files")
    # Show the relative name, and do not let linecache look for the file on disk.
    linecache.cache[name] = (0, None, [line.rstrip("\r") + "\n" for line in page_lines], name)
    session = Session(name, folder)
    page = os.getpid()
    pipe.send("ready")
    with contextlib.suppress(EOFError):
        while True:
            for snippet in pipe.recv() or [None]:
                answer = session.run(snippet) if snippet else session.end()
                if os.getpid() != page:
                    os._exit(0)  # a process that the page has forked ends here
                pipe.send(answer)
                if answer.fatal:
                    break


def as_the_main_process() -> None:
    """Undo what multiprocessing has set up in this process: a page may use it like any script."""
    multiprocessing.set_start_method(None, force=True)
    multiprocessing.process._parent_process = None  # type: ignore[attr-defined]
    multiprocessing.current_process().name = "MainProcess"


class Session:
    """The single namespace in which the snippets of a program run."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.module = sys.modules["__main__"] = types.ModuleType("__main__")
        self.flags = 0
        self.where = name
        # Capture file descriptor 1, which includes print, threads and child processes.
        for number, stream in ((1, "stdout"), (2, "stderr")):
            descriptor = os.open(folder / stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(descriptor, number)
            os.close(descriptor)
            file = open(number, "w", 1, "utf-8", "backslashreplace", "\n", closefd=False)
            setattr(sys, stream, file)
            setattr(sys, f"__{stream}__", file)
        self.stdout = sys.stdout
        self.printed = open(folder / "stdout", encoding="utf-8", errors="replace", newline="\n")
        # Use a file, because problems in a process that the page forks count as well.
        self.noted = open(folder / "troubles", "a+", encoding="utf-8", errors="backslashreplace")
        warnings.resetwarnings()
        warnings.simplefilter("always")
        # torch.compile gives this warning for one release of Python, whatever the page does.
        warnings.filterwarnings("ignore", "Guards may run slower on Python 3.13.0")
        warnings.showwarning = self.warned  # type: ignore[assignment]
        threading.excepthook = self.thread_raised
        sys.unraisablehook = lambda args: self.raised(args.exc_value, "ignored, but raised")

    def run(self, snippet: Snippet) -> Outcome:
        self.where = f"{snippet.file}:{snippet.line}"
        try:
            tree = parse(snippet)
            compile(tree, self.name, "exec", self.flags, dont_inherit=True)
        except SyntaxError as error:
            return Outcome(troubles=[f"{snippet.file}:{error.lineno}: {displayed(error)}"], fatal=True)
        if snippet.gpus > (have := gpu_count(snippet)):
            gpus = "GPU" if snippet.gpus == 1 else "GPUs"
            return Outcome(skipped=f"needs {snippet.gpus} CUDA {gpus}, found {have or 'none'}")
        outcome = Outcome()
        with random_state_kept() if snippet.gpus else contextlib.nullcontext():
            self.execute(snippet, tree, outcome)
        outcome.troubles += self.read_troubles()
        return outcome

    def end(self) -> Outcome:
        """Do what Python does at its end: wait for threads, and run exit functions."""
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        late = self.read_printed()
        troubles = [f"{self.where}: printed after the last statement: {late}"] if late else []
        return Outcome(troubles=troubles + self.read_troubles())

    def execute(self, snippet: Snippet, tree: ast.Module, outcome: Outcome) -> None:
        expected = snippet.raises
        error = None
        for statement, following in itertools.zip_longest(tree.body, tree.body[1:]):
            self.where = f"{snippet.file}:{statement.lineno}"
            error = self.execute_statement(statement)
            text = self.read_printed()
            if error is not None and expected and following is None:
                outcome.troubles += wrong_class(error, expected, self.module.__dict__, self.where)
                text += ("" if not text or text.endswith("\n") else "\n") + displayed(error)
            elif error is not None:
                outcome.troubles.append(self.report(error, "this raises"))
                outcome.fatal = True
            assert statement.end_lineno is not None
            # Statements on the same line share the place for their output.
            end = following.end_lineno if following and following.lineno <= statement.end_lineno else None
            place = (end or statement.end_lineno) - snippet.line
            outcome.outputs[place] = outcome.outputs.pop(statement.end_lineno - snippet.line, "") + text
            if outcome.fatal:
                return
        if expected and error is None:
            outcome.troubles.append(f"{self.where}: this was to raise {expected}, and raised nothing")

    def execute_statement(self, statement: ast.stmt) -> BaseException | None:
        try:
            code = compile(ast.Module([statement], []), self.name, "exec", self.flags, dont_inherit=True)
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                for alias in statement.names:
                    self.flags |= getattr(__future__, alias.name).compiler_flag
            exec(code, self.module.__dict__)
        except BaseException as error:
            return error
        return None

    def read_printed(self) -> str:
        for stream in {self.stdout, sys.stdout}:
            with contextlib.suppress(Exception):  # the page may have closed it
                stream.flush()
        if LIBC:
            LIBC.fflush(None)  # for the output of C and C++ code
        text = self.printed.read()
        return text.replace("\r\n", "\n") if os.name == "nt" else text

    def note(self, trouble: str) -> None:
        self.noted.write(trouble + "\0")
        self.noted.flush()

    def read_troubles(self) -> list[str]:
        """Each problem noted since the last call, once."""
        self.noted.seek(0)
        troubles = self.noted.read().split("\0")[:-1]
        if troubles:
            self.noted.truncate(0)
        return list(dict.fromkeys(troubles))

    def warned(self, message: Warning | str, category: type[Warning], *_: object) -> None:
        self.note(f"{self.where}: this warns, {category.__name__}: {message}")

    def thread_raised(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:  # SystemExit ends a thread silently
            self.raised(args.exc_value, "a thread raised")

    def raised(self, error: BaseException | None, what: str) -> None:
        if error is not None:
            self.note(self.report(error, what))

    def report(self, error: BaseException, what: str) -> str:
        """The exception, with its traceback reduced to the page's own lines."""
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == self.name]
        return f"{self.where}: {what} {displayed(error)}\n{''.join(traceback.format_list(frames))}".rstrip()


def parse(snippet: Snippet) -> ast.Module:
    """The snippet's syntax tree, with every node at its place in the page."""
    try:
        tree = ast.parse("\n".join(snippet.code), snippet.file)
    except SyntaxError as error:
        error.lineno = snippet.line + (error.lineno or 0)
        raise
    ast.increment_lineno(tree, snippet.line)
    nodes: Iterator[Any] = ast.walk(tree)
    for node in nodes:
        if snippet.indent and hasattr(node, "col_offset"):
            node.col_offset += snippet.indent
            node.end_col_offset += snippet.indent
    return tree


def displayed(error: BaseException) -> str:
    """The last line of the exception's traceback, without hints that differ between versions of Python."""
    kind = type(error)
    bare = kind.__module__ in ("builtins", "__main__")
    name = kind.__qualname__ if bare else f"{kind.__module__}.{kind.__qualname__}"
    try:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException:
        text = "<exception str() failed>"  # as Python shows it
    shown = f"{name}: {text}" if text else name
    return shown.encode("utf-8", "backslashreplace").decode()


def wrong_class(error: BaseException, expected: str, namespace: dict[str, Any], where: str) -> list[str]:
    """A message if an exception is not exactly of the class that the page names."""
    wanted = find_class(expected, namespace)
    if not (isinstance(wanted, type) and issubclass(wanted, BaseException)):
        return [f'{where}: raises="{expected}" names no exception class that the page knows']
    if type(error) is not wanted:
        return [f"{where}: this was to raise exactly {expected}, and raised {displayed(error)}"]
    return []


def find_class(dotted: str, namespace: dict[str, Any]) -> object:
    """The object with a dotted name: defined on the page, a builtin, or in an imported module."""
    first, *rest = dotted.split(".")
    found = namespace.get(first, vars(sys.modules["builtins"]).get(first, sys.modules.get(first)))
    for name in rest:
        found = getattr(found, name, None)
    return found


def gpu_count(snippet: Snippet) -> int:
    if not snippet.gpus:
        return 0
    import torch

    return torch.cuda.device_count()


@contextlib.contextmanager
def random_state_kept() -> Iterator[None]:
    """Restore the random state after a GPU snippet, so that the rest of the page draws the same numbers even
    on machines that skip the snippet.
    """
    import torch

    python, cpu = random.getstate(), torch.get_rng_state()
    numpy = sys.modules.get("numpy.random")
    legacy = numpy.get_state() if numpy else None
    try:
        yield
    finally:
        random.setstate(python)
        torch.set_rng_state(cpu)
        if numpy:
            numpy.set_state(legacy)
