"""The folder of a reader: a file for each exercise, and a text file with the progress."""

import contextlib
import datetime
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .exercise import Exercise, all_exercises

__all__ = ["FOLDER", "Folder", "State"]

FOLDER = "builders-practice"
PROGRESS = "progress.txt"
TOP = f"""\
# {PROGRESS}: the exercises that were opened, one a line, written by `python -m d2lblocks practice`.
# "done" has the day of the first right answer; "hints" counts those that were shown.
"""
_KEEP = "surrogateescape"  # of bytes that are not UTF-8: they are written again as they were
LINE = re.compile(
    r"(?P<topic>\w+)/(?:\d+_)?(?P<name>\w+) +(?P<state>open|done (?P<day>[\d-]+))"
    r"(?:, hints (?P<hints>\d))?(?P<asked>, solution asked for)?(?P<now>, now)?"
)


@dataclass
class State:
    """The progress of one exercise."""

    done: str = ""  # the day of the first right answer
    hints: int = 0  # how many were shown
    asked: bool = False  # for the solution


@dataclass
class Folder:
    """A reader's folder. Files that are missing are made; a file that is there is never overwritten."""

    path: Path
    exercises: list[Exercise] = field(default_factory=all_exercises)
    states: dict[str, State] = field(default_factory=dict)  # by topic and name, which outlive the order
    now: str = ""  # the exercise that was open last
    other_lines: list[str] = field(default_factory=list)  # of the progress, kept as they are
    not_saved: OSError | None = None  # why the progress could not be written the last time

    @classmethod
    def find(cls, start: Path) -> Path:
        """The folder above or below this one, or where it would be made."""
        for each in (start, *start.parents):
            if _is_progress(each / PROGRESS):
                return each
        return start / FOLDER

    @classmethod
    def open(cls, path: Path) -> "Folder":
        """The folder with its progress; one that does not exist is empty."""
        folder = cls(path)
        folder._read()
        return folder

    def _read(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            for line in _progress(self.path / PROGRESS).splitlines():
                self._read_line(line)

    def _read_line(self, line: str) -> None:
        match = LINE.fullmatch(line.strip())
        if match is None:
            if line and line not in TOP.splitlines():
                self.other_lines.append(line)
            return
        key = f"{match['topic']}/{match['name']}"
        self.states[key] = State(match["day"] or "", int(match["hints"] or 0), bool(match["asked"]))
        if match["now"]:
            self.now = key

    def make(self) -> int:
        """Write the files that are missing, and return how many these were."""
        return sum(self.write(exercise) for exercise in self.exercises)

    def write(self, exercise: Exercise) -> bool:
        """Write the file of an exercise unless it is there; return whether it was written."""
        path = self.file(exercise)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = path.open("x", encoding="utf-8")
        except FileExistsError:
            return False
        try:
            with file:
                file.write(exercise.text)
        except BaseException:  # half a file, as on a full disk, would count as the reader's
            path.unlink()
            raise
        return True

    def reset(self, exercise: Exercise) -> Path | None:
        """Start an exercise again; return where the file that was there is now."""
        path, kept = self.file(exercise), None
        if os.path.lexists(path) and not _holds(path, exercise.text):
            kept = next(each for each in _free_names(path) if not os.path.lexists(each))
            path.rename(kept)
        try:
            self.write(exercise)
        except BaseException:
            if kept:
                kept.rename(path)
            raise
        return kept

    def file(self, exercise: Exercise) -> Path:
        """The file of an exercise."""
        return self.path / exercise.file

    def state(self, exercise: Exercise) -> State:
        """The progress of an exercise, to be changed and then saved."""
        return self.states.setdefault(_key(exercise), State())

    def current(self) -> Exercise:
        """The exercise that was open last, or the first one."""
        found = [each for each in self.exercises if _key(each) == self.now]
        return (found or self.exercises)[0]

    def done(self) -> int:
        """The number of exercises that were answered."""
        return sum(bool(self.state(each).done) for each in self.exercises)

    def answered(self, exercise: Exercise) -> None:
        """Note that an answer was right, and save."""
        state = self.state(exercise)
        state.done = state.done or datetime.date.today().isoformat()
        self.save()

    def next_hint(self, exercise: Exercise) -> int:
        """Note that one more hint is shown, and return its number; it goes one beyond the last."""
        state = self.state(exercise)
        number = state.hints + 1
        state.hints = min(number, len(exercise.hints))
        self.save()
        return number

    def may_see_solution(self, exercise: Exercise) -> bool:
        """Whether the exercise is done, or its solution is asked for a second time."""
        state = self.state(exercise)
        if state.done or state.asked:
            return True
        state.asked = True
        self.save()
        return False

    def save(self, now: Exercise | None = None) -> None:
        """Write the progress, whole or not at all; `now` is the exercise that is open.

        If it cannot be written, `not_saved` says why, and everything else goes on.
        """
        self.now = _key(now) if now else self.now
        try:
            self._join()
            self._save()
            self.not_saved = None
        except OSError as error:
            self.not_saved = error

    def _join(self) -> None:
        """Take over what another program, or the reader, has written into the progress meanwhile."""
        if not (self.path / PROGRESS).exists():
            return
        there = Folder(self.path, self.exercises)
        there._read()
        for key, other in there.states.items():
            own = self.states.setdefault(key, State())
            own.done = min(filter(None, (own.done, other.done)), default="")
            own.hints = max(own.hints, other.hints)
            own.asked = own.asked or other.asked
        self.other_lines = there.other_lines

    def _save(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        path = self.path / PROGRESS
        lines = [*self._lines(), *self.other_lines]
        handle, name = tempfile.mkstemp(prefix=f".{PROGRESS}-", dir=self.path)
        try:
            with open(handle, "w", encoding="utf-8", errors=_KEEP) as file:
                file.write(TOP + "".join(f"{line}\n" for line in lines))
            if path.exists():
                shutil.copymode(path, name)  # `mkstemp` lets only its owner read a file
            else:
                umask = os.umask(0)
                os.umask(umask)
                os.chmod(name, 0o666 & ~umask)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise

    def _lines(self) -> Iterator[str]:
        known = [_key(each) for each in self.exercises]
        for key in [*known, *(key for key in self.states if key not in known)]:
            state = self.states.get(key, State())
            if state == State() and key != self.now:
                continue
            words = [f"{_shown(key, self.exercises):<32} {f'done {state.done}' if state.done else 'open'}"]
            words += [f"hints {state.hints}"] if state.hints else []
            words += ["solution asked for"] if state.asked else []
            words += ["now"] if key == self.now else []
            yield ", ".join(words)


def _key(exercise: Exercise) -> str:
    return f"{exercise.topic}/{exercise.name}"


def _shown(key: str, exercises: list[Exercise]) -> str:
    """The name of an exercise as its file has it; one that is gone has no number."""
    return next((each.file.removesuffix(".py") for each in exercises if _key(each) == key), key)


def _progress(path: Path) -> str:
    """The text of the file; some editors put a mark (BOM) before it."""
    return path.read_text("utf-8", _KEEP).removeprefix("\ufeff")


def _is_progress(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.is_file() and _progress(path).startswith(TOP.splitlines()[0])
    return False


def _holds(path: Path, text: str) -> bool:
    """Whether it is a file with this text; one that cannot be read is another."""
    with contextlib.suppress(OSError):
        return path.is_file() and path.read_bytes() == text.encode()
    return False


def _free_names(path: Path) -> Iterator[Path]:
    yield path.with_suffix(".old.py")
    for number in itertools.count(2):
        yield path.with_suffix(f".old{number}.py")
