"""Single keys from the terminal, without Enter."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keys", "single_keys"]

if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def single_keys() -> Iterator[None]:
        """Nothing has to be prepared on Windows."""
        yield

    def keys() -> str:
        """Wait for keys and return them; Ctrl-C is `"\x03"`."""
        return msvcrt.getwch()

else:
    import termios
    import tty

    @contextmanager
    def single_keys() -> Iterator[None]:
        """Let the terminal send each key at once and not show it; afterward it is as it was."""
        before = termios.tcgetattr(sys.stdin)

        def begin(*_: object) -> None:
            tty.setcbreak(sys.stdin)

        signal.signal(signal.SIGCONT, begin)  # after Ctrl-Z and fg
        try:
            begin()
            yield
        finally:
            signal.signal(signal.SIGCONT, signal.SIG_DFL)
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

    def keys() -> str:
        """Wait for keys and return them; arrows and others that send several signs are left out.

        At the end of the input it returns `""`. Ctrl-C is a signal here.
        """
        while (came := os.read(sys.stdin.fileno(), 16)).startswith(b"\x1b"):
            pass
        return came.decode("ascii", "replace")
