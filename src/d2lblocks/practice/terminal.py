"""The program that shows an exercise, waits for the reader to save it, and says what it thinks."""

import contextlib
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeAlias, TypeVar

import watchfiles
from rich.console import Console
from rich.text import Text
from rich.theme import Theme

from .exercise import Exercise
from .folder import Folder
from .isolated import Judges
from .judge import Verdict
from .keys import keys, single_keys
from .words import (
    Line,
    about_error,
    about_exercise,
    about_hint,
    about_list,
    about_progress,
    about_solution,
    about_verdict,
    shortest,
    text,
)

__all__ = ["practice"]

THEME = Theme(
    {"title": "bold", "file": "bold cyan", "right": "bold green", "wrong": "bold red", "missing": "bold red"}
    | {"row": "", "code": "cyan", "faint": "dim"}
)
MENU = """\
Waiting for you to save the file.
h hint  n next  p back  l list  s solution  r reset  q quit"""
NEXT = "Press n for the next exercise."
AT_END = "This is the last exercise. Press l to see which ones are not done, and p to go back."
ALL_DONE = "That was the last one: all exercises are done."
NOT_CHECKED = "The file could not be checked ({}). To check it again, save it again."
BAR = 40  # columns
GONE_AFTER = 0.4  # seconds: editors remove a file for a moment while they save it
LOOK_AGAIN = 1000  # milliseconds
SECONDS_TO_STOP = 5  # for a check that is not needed anymore
LATEST = 100  # milliseconds without another change after which a file counts as saved


@dataclass(frozen=True)
class Keys:
    typed: str


@dataclass(frozen=True)
class Saved:
    """A file was perhaps changed, or removed."""

    exercise: Exercise


@dataclass(frozen=True)
class Gone:
    """A file was not there, a moment ago."""

    exercise: Exercise


@dataclass(frozen=True)
class Judged:
    number: int
    exercise: Exercise
    verdict: Verdict


_T = TypeVar("_T")
Event: TypeAlias = Keys | Saved | Gone | Judged


def practice(folder: Folder, exercise: Exercise) -> int:
    """Go through the exercises from this one on until the reader quits; return the exit status."""
    with single_keys(), stopped_in_order(), Judges() as judges:
        Session(folder, judges).run(exercise)
    return 0


@contextlib.contextmanager
def stopped_in_order() -> Iterator[None]:
    """Whoever ends the program or closes its terminal ends it as q does, so that nothing is left behind."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {}
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` does
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Session:
    """What happens between the start and the end of the program: keys, saved files and verdicts, in order."""

    def __init__(self, folder: Folder, judges: Judges) -> None:
        self.folder = folder
        self.judges = judges
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # characters that the terminal cannot show
        self.console = Console(theme=THEME, highlight=False, soft_wrap=True)
        self.events: SimpleQueue[Event] = SimpleQueue()
        self.jobs: SimpleQueue[Exercise | tuple[int, Exercise] | None] = SimpleQueue()
        self.number = 0  # of the last check; verdicts of others come too late
        # When each file was changed last, as far as is known here; `None` if there is none.
        self.known = {each.id: self.changed(each) for each in folder.exercises}
        self.leave = threading.Event()
        self.actions: dict[str, Callable[[], None]] = {
            "h": self.hint,
            "n": self.next,
            "p": self.back,
            "l": self.list,
            "s": self.solution,
            "r": self.reset,
        }

    def run(self, exercise: Exercise) -> None:
        """React to events until the reader quits."""
        self.exercise = exercise
        judge = threading.Thread(target=self.judge, daemon=True)
        judge.start()
        for work in self.watch, self.read_keys:
            threading.Thread(target=work, daemon=True).start()
        try:
            self.orderly(self.open, exercise)
            while not self.leave.is_set():
                self.orderly(self.react, self.events.get())
        finally:
            self.leave.set()
            self.number += 1
            self.jobs.put(None)
            self.judges.stop()
            judge.join(SECONDS_TO_STOP)  # it removes its folder
            done = f"{self.folder.done()} of {len(self.folder.exercises)} are done."
            with contextlib.suppress(OSError):  # the terminal was closed
                self.say([("", f"{done} The next time, you continue with {self.exercise.id}.")])

    def orderly(self, action: Callable[[_T], None], about: _T) -> None:
        """Do it; say which file could not be read or written, and go on."""
        not_saved = self.folder.not_saved
        try:
            action(about)
        except OSError as error:
            self.say([("missing", f"This did not work: {about_error(error)}")])
            self.menu()
        if self.folder.not_saved and not not_saved:  # said once
            self.say(text(about_progress(self.folder)))

    # Threads: each only puts events into the queue.

    def watch(self) -> None:
        """Report changed files; where the system cannot report them, look at each of them again and again."""
        while not self.leave.is_set():
            with contextlib.suppress(OSError, RuntimeError, UnicodeError):
                self.watch_folder()
            for each in self.folder.exercises:
                self.events.put(Saved(each))  # if it was not changed, nothing happens
            self.leave.wait(LOOK_AGAIN / 1000)

    def watch_folder(self) -> None:
        """Report changed files; if the whole folder is removed and made again, watch the new one."""
        root = self.folder.path.resolve()
        files = {str(root / each.file): each for each in self.folder.exercises}
        while not self.leave.is_set():
            for changed in watchfiles.watch(
                root, step=LATEST, rust_timeout=LOOK_AGAIN, yield_on_timeout=True, stop_event=self.leave,
                raise_interrupt=False,
            ):  # fmt: skip
                paths = {path for _, path in changed}
                for path in paths & set(files):
                    self.events.put(Saved(files[path]))
                self.events.put(Saved(self.exercise))  # in case no change was reported: then nothing happens
                if str(root) in paths and not self.leave.wait(GONE_AFTER):
                    break
            while not root.is_dir() and not self.leave.wait(GONE_AFTER):
                pass

    def read_keys(self) -> None:
        while not self.leave.is_set():
            typed = keys()
            self.events.put(Keys(typed or "q"))
            if not typed:
                return

    def judge(self) -> None:
        while (job := self.jobs.get()) is not None:
            if isinstance(job, Exercise):
                self.judges.prepare(job)
                continue
            number, exercise = job
            if number == self.number:
                try:
                    verdict = self.judges.verdict(exercise, self.folder.file(exercise))
                except Exception as error:
                    verdict = Verdict("wrong", NOT_CHECKED.format(f"{type(error).__name__}: {error}"))
                self.events.put(Judged(number, exercise, verdict))

    # Events, one after the other.

    def react(self, event: Event) -> None:
        match event:
            case Keys(typed):
                for key in typed.lower():
                    if key in ("q", "\x03", "\x04"):
                        self.leave.set()
                        return
                    action = self.actions.get(key)
                    if action:
                        action()
                    if action or key in "?\r\n ":
                        self.menu()
            case Saved(exercise) if self.changed(exercise) != self.known[exercise.id]:
                self.note_time(exercise)
                if self.known[exercise.id] is not None:
                    if exercise != self.exercise:
                        self.open(exercise, menu=False)
                    self.check()
                elif exercise == self.exercise:
                    threading.Timer(GONE_AFTER, self.events.put, [Gone(exercise)]).start()
            case Gone(exercise) if not self.folder.file(exercise).exists():
                self.gone(exercise)
                self.menu()
            case Judged(number, exercise, verdict) if number == self.number:
                self.answer(exercise, verdict)
                self.menu()

    def changed(self, exercise: Exercise) -> int | None:
        """When the file was changed; `None` if there is none, or none that can be found."""
        try:
            return self.folder.file(exercise).stat().st_mtime_ns
        except OSError:
            return None

    def note_time(self, exercise: Exercise) -> None:
        """Remember when the file was changed: that change is answered, or was made here."""
        self.known[exercise.id] = self.changed(exercise)

    def check(self) -> None:
        """Judge the file; a check that still runs is about an older file."""
        self.number += 1
        self.judges.stop()
        self.jobs.put((self.number, self.exercise))

    def answer(self, exercise: Exercise, verdict: Verdict) -> None:
        if verdict.status == "missing":
            self.gone(exercise)
            return
        if verdict.status == "right":
            self.folder.answered(exercise)
        self.say([("", ""), *about_verdict(verdict, exercise, self.folder)])
        if verdict.status == "right":
            self.progress()
            all_done = self.folder.done() == len(self.folder.exercises)
            at_end = exercise == self.folder.exercises[-1]
            self.say([("title", ALL_DONE if all_done else AT_END if at_end else NEXT)])

    def gone(self, exercise: Exercise) -> None:
        file = shortest(self.folder.file(exercise))
        self.say([("missing", f"There is no file {file}.")])
        self.say(text("If you have renamed it, give it its name back. To start again, press r."))

    # What keys do.

    def open(self, exercise: Exercise, menu: bool = True) -> None:
        """Show an exercise; its file is written if it is missing."""
        self.exercise = exercise
        self.number += 1
        if self.folder.write(exercise):
            self.note_time(exercise)
        self.folder.save(now=exercise)
        self.jobs.put(exercise)
        self.say([("", ""), *about_exercise(exercise, self.folder)])
        self.progress()
        if menu:
            self.menu()

    def next(self) -> None:
        self.move(1, "This is the last exercise.")

    def back(self) -> None:
        self.move(-1, "This is the first exercise.")

    def move(self, step: int, end: str) -> None:
        place = self.folder.exercises.index(self.exercise) + step
        if 0 <= place < len(self.folder.exercises):
            self.open(self.folder.exercises[place], menu=False)
        else:
            self.say([("", end)])

    def hint(self) -> None:
        self.say(about_hint(self.exercise, self.folder.next_hint(self.exercise)))

    def solution(self) -> None:
        if self.folder.may_see_solution(self.exercise):
            self.say(about_solution(self.exercise))
        else:
            self.say([("", "The third hint is nearly the code. To see the solution, press s again.")])

    def reset(self) -> None:
        self.number += 1
        kept = self.folder.reset(self.exercise)
        self.note_time(self.exercise)
        where = f" Your file is now {shortest(kept)}." if kept else ""
        self.say(text(f"{shortest(self.folder.file(self.exercise))} is as it was at the beginning.{where}"))

    def list(self) -> None:
        self.say(about_list(self.folder, self.exercise, only_now=True))

    def menu(self) -> None:
        self.say(("faint", line) for line in MENU.splitlines())

    def progress(self) -> None:
        done, number = self.folder.done(), len(self.folder.exercises)
        full = BAR * done // number
        self.say([("right", f"  [{'#' * full}{'-' * (BAR - full)}] {done} of {number} done")])

    def say(self, lines: Iterable[Line]) -> None:
        """Print lines in their styles."""
        for style, line in lines:
            words = Text(line, style=style)
            words.highlight_regex(r"`[^`]+`", "code")
            self.console.print(words)
