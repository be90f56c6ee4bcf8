"""What the reader is told, as lines with a style each: the terminal colors them, a pipe gets the text."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from .exercise import Exercise, wrapped
from .folder import Folder
from .judge import Verdict

__all__ = ["Line", "about_exercise", "about_hint", "about_list", "about_solution", "about_verdict"]

Line = tuple[str, str]  # the style and the text
NARROWEST, WIDEST = 20, 80
MOST_PRINTED = 20  # lines of what a file prints
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
# What would move the cursor, clear the screen or change the direction of the text, and what no encoding has.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def width() -> int:
    """The columns of the terminal, 80 at most, and never so few that nothing fits."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size().columns))


def text(words: str) -> Iterator[Line]:
    """The lines of a text of sentences, indented."""
    for line in wrapped(words, width() - 2):
        yield "", f"  {line}".rstrip()


def about_exercise(exercise: Exercise, folder: Folder) -> Iterator[Line]:
    """The exercise that is open, and its file."""
    yield "title", exercise.heading
    yield from text(exercise.plain_task)
    yield "", ""
    yield "file", f"  {shortest(folder.file(exercise))}"


def about_verdict(verdict: Verdict, exercise: Exercise, folder: Folder) -> Iterator[Line]:
    """What the file printed, whether it is right, and why."""
    file = shortest(folder.file(exercise))
    if verdict.printed:
        yield "faint", f"{exercise.file} printed:"
        lines = verdict.printed.splitlines()
        for line in lines[:MOST_PRINTED]:
            yield "", f"  {visible(line)}"
        if len(lines) > MOST_PRINTED:
            yield "faint", "  ... and more lines"
    yield (verdict.status, f"{'Right' if verdict.status == 'right' else 'Not yet'}: {file}")
    yield from text(visible(verdict.why))
    rows = [("came", verdict.came), ("expected", verdict.expected), ("for", verdict.given)]
    if verdict.line:
        rows.append((f"line {verdict.line}", verdict.code))
    rows.append(("page", verdict.page))
    for name, value in rows:
        if value:
            first, *others = wrapped(visible(value), width() - 12)
            yield "row", f"  {name:<10}{first}"
            for line in others:
                yield "row", f"{'':<12}{line}"


def about_hint(exercise: Exercise, number: int) -> Iterator[Line]:
    """One hint, counted from 1."""
    last = len(exercise.hints)
    yield "title", f"Hint {min(number, last)} of {last} for {exercise.id}"
    yield from text(exercise.hints[min(number, last) - 1])
    if number > last:
        yield "", "  This was the last one. The next step is the solution."


def about_solution(exercise: Exercise) -> Iterator[Line]:
    """The solution, and why it is right."""
    yield "title", f"A solution of {exercise.id}"
    for line in exercise.solution.splitlines():
        yield "code", f"  {line}".rstrip()
    yield "", ""
    yield from text(exercise.after)


def about_list(folder: Folder, now: Exercise, only_now: bool = False) -> Iterator[Line]:
    """The exercises by topic, with what is done and how hard each is; or only those of the topic of one."""
    topic = ""
    for exercise in folder.exercises:
        if exercise.topic != topic:
            topic = exercise.topic
            all_of_it = [each for each in folder.exercises if each.topic == topic]
            done = sum(bool(folder.state(each).done) for each in all_of_it)
            yield "title", f"{exercise.topic_title:<22}{done} of {len(all_of_it)} done"
        if only_now and topic != now.topic:
            continue
        state = folder.state(exercise)
        mark = "done" if state.done else ""
        here = ">" if exercise == now else " "
        yield (
            "right" if state.done else "",
            f"{here} {mark:<5} {exercise.id:<17} {exercise.level:<7} {exercise.title}",
        )
    yield "", ""
    yield "", f"{folder.done()} of {len(folder.exercises)} are done."


def about_error(error: OSError) -> str:
    """Which file cannot be read or written, and why."""
    why = error.strerror or str(error)
    file = error.filename
    return f"{shortest(Path(os.fsdecode(file)))}: {why}" if isinstance(file, str | bytes) else why


def about_progress(folder: Folder) -> str:
    """That the progress could not be written; empty if it could."""
    if folder.not_saved is None:
        return ""
    where, why = shortest(folder.path), folder.not_saved.strerror
    return f"Your progress could not be saved in {where} ({why}). Your answers are not affected."


def visible(words: str) -> str:
    """The text without colors; other characters that control a terminal are shown as Python writes them."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), _COLORS.sub("", words))


def shortest(path: Path) -> str:
    """The path from here, if the file is below, or else the whole path."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # OSError: the current folder was removed
        return str(path)
