"""`python -m d2lblocks practice` in a pseudo-terminal, as a reader sees it."""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import pexpect  # type: ignore[import-untyped]
import pyte

SECONDS = 60  # to wait for a text on a busy machine


class Terminal:
    """The program in a terminal of 80 columns; `screen` has what it shows."""

    def __init__(self, folder: Path, *arguments: str, columns: int = 80, **variables: str) -> None:
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "", "LINES": "", **variables}
        environment = {name: value for name, value in environment.items() if value}
        command = ["-m", "d2lblocks", "practice", *arguments]
        # A program that a shell started in the background ignores Ctrl-C, and so would this one.
        heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
        self.child = pexpect.spawn(
            sys.executable, command, cwd=folder, env=environment, dimensions=(50, columns), timeout=SECONDS,
            preexec_fn=heard,
        )  # fmt: skip
        self.screen = pyte.HistoryScreen(columns, 50, history=5000)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""

    def wait(self, text: str) -> str:
        """Wait until it prints the text, and return everything that came before."""
        self.child.expect_exact(text.encode())
        came: bytes = self.child.before + self.child.after
        self.raw += came
        self.stream.feed(came)
        return came.decode()

    def press(self, keys: str) -> None:
        self.child.send(keys)

    def end(self) -> int:
        """Wait until the program ends, and return its exit status, or minus the signal."""
        self.child.expect(pexpect.EOF)
        self.raw += self.child.before
        self.stream.feed(self.child.before)
        self.child.close()
        status: int = -self.child.signalstatus if self.child.signalstatus else self.child.exitstatus
        return status

    def lines(self) -> list[str]:
        """All lines that were shown, without trailing blanks."""
        width = self.screen.columns
        rows = [*self.screen.history.top, *(self.screen.buffer[row] for row in range(self.screen.lines))]
        return ["".join(row[column].data for column in range(width)).rstrip() for row in rows]
