"""Single keys from the terminal, without Enter."""

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keys", "single_keys"]

_AT_ONCE = 0.02  # seconds between characters that are not pressed one by one
_MOST = 8  # keys that a hand presses before they are read; more are pasted text, probably for another window

if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def single_keys() -> Iterator[None]:
        """Nothing has to be prepared on Windows."""
        yield

    def keys() -> str:
        """Wait for a key and return it; Ctrl-C is `"\x03"`. Arrows and others that send two are left out."""
        while (key := msvcrt.getwch()) in ("\0", "\xe0"):
            msvcrt.getwch()  # a letter, such as Q for Page Down
        return key

else:
    import select
    import termios
    import tty

    # What arrows, function keys and Alt with a key send.
    _SEVERAL = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]?|O.?|.?)", re.DOTALL)

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
            with contextlib.suppress(termios.error):  # the terminal was closed
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)

    def keys() -> str:
        """Wait for keys and return them; arrows and others that send several characters are left out.

        Pasted text is left out, too. At the end of the input it returns `""`. Ctrl-C is a signal here.
        """
        with contextlib.suppress(OSError):  # the terminal was closed
            terminal = sys.stdin.fileno()
            while came := os.read(terminal, 1024):
                while select.select([terminal], [], [], _AT_ONCE)[0] and (more := os.read(terminal, 1024)):
                    came += more
                typed = _SEVERAL.sub(b"", came)
                if 0 < len(typed) <= _MOST:
                    return typed.decode("ascii", "replace")
        return ""
