"""The program in a real terminal: keys, saved files, a folder that is kept, and files that go wrong."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from d2lblocks.practice.exercise import Exercise, all_exercises
from tests.practice.pseudo_terminal import Terminal

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals of this kind")

MENU = "q quit"
EXERCISES = all_exercises()
FIRST = EXERCISES[0]
Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(*arguments)` starts the program in an empty folder; what is left is killed."""
    started: list[Terminal] = []

    def run(*arguments: str, **options: object) -> Terminal:
        started.append(Terminal(tmp_path, *arguments, **options))
        return started[-1]

    yield run
    for terminal in started:
        terminal.child.close(force=True)


def file(folder: Path, exercise: Exercise = FIRST) -> Path:
    return folder / "builders-practice" / exercise.file


def save(folder: Path, text: str, exercise: Exercise = FIRST) -> None:
    """Save as editors do: a new file takes the place of the old one."""
    path = file(folder, exercise)
    new = path.with_suffix(".tmp")
    new.write_text(text, "utf-8")
    new.replace(path)


def test_the_first_five_exercises(start: Start, tmp_path: Path) -> None:
    """A reader starts in an empty folder, is told what is wrong, takes a hint, gets it right, goes on."""
    terminal = start()
    assert f"{len(EXERCISES)} new files" in terminal.wait(MENU)
    for number, exercise in enumerate(EXERCISES[:5]):
        assert file(tmp_path, exercise).read_text("utf-8") == exercise.text
        wrong = exercise.wrong[0]
        save(tmp_path, wrong.file(exercise.solution), exercise)
        came = plain(terminal.wait(MENU))
        assert "Not yet" in came
        assert wrong.says in " ".join(came.split())
        terminal.press("h")
        assert f"Hint 1 of 3 for {exercise.id}" in terminal.wait(MENU)
        save(tmp_path, exercise.solution, exercise)
        came = terminal.wait(MENU)
        assert "Right" in came
        assert f"{number + 1} of {len(EXERCISES)} done" in came
        terminal.press("n")
        assert EXERCISES[number + 1].file in terminal.wait(MENU)
    terminal.press("q")
    assert terminal.end() == 0
    assert f"5 of {len(EXERCISES)} are done" in "\n".join(terminal.lines())
    again = start()
    assert EXERCISES[5].heading in plain(again.wait(MENU))
    again.press("q")
    assert again.end() == 0


def test_a_verdict_comes_within_three_seconds(start: Start, tmp_path: Path) -> None:
    """From saving to the verdict; the best of three, because this machine may be busy with other tests."""
    terminal = start()
    terminal.wait(MENU)
    times = []
    for text in (FIRST.stub, FIRST.solution, FIRST.stub):
        begin = time.monotonic()
        save(tmp_path, text + "\n")
        terminal.wait(MENU)
        times.append(time.monotonic() - begin)
    assert min(times) < 3


def test_it_fits_into_80_columns(start: Start, tmp_path: Path) -> None:
    """No line of the program's own is longer; links and the reader's own lines may be."""
    terminal = start()
    terminal.wait(MENU)
    save(tmp_path, FIRST.wrong[0].file(FIRST.solution))
    terminal.wait(MENU)
    for key in "hhhlssrp":
        terminal.press(key)
        terminal.wait(MENU)
    assert [
        line
        for line in plain(terminal.raw.decode()).splitlines()
        if len(line) > 80 and "  page  " not in line
    ] == []


def test_without_colors(start: Start, tmp_path: Path) -> None:
    """NO_COLOR leaves out colors, and a dumb terminal all sequences; the words are the same."""
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        terminal = start(**variables)
        terminal.wait(MENU)
        save(tmp_path, FIRST.solution)
        terminal.wait("Right")
        terminal.press("q")
        terminal.end()
        colors = rb"\x1b\[[0-9;]*3[0-9]" if "NO_COLOR" in variables else rb"\x1b\["
        assert not re.search(colors, terminal.raw)


@pytest.mark.parametrize("how", ["key", "signal"])
def test_ctrl_c_ends_it(how: str, start: Start) -> None:
    """Ctrl-C ends the program at once, with the status of an interrupt, no traceback, and a usable terminal."""
    terminal = start()
    terminal.wait(MENU)
    if how == "key":
        terminal.press("\x03")
    else:
        terminal.child.kill(signal.SIGINT)
    assert terminal.end() == 130
    assert "Traceback" not in "\n".join(terminal.lines())


def test_nothing_is_left_behind(start: Start, tmp_path: Path) -> None:
    """All processes end with the program, also if it is killed while a file is running."""
    for stop in (signal.SIGTERM, signal.SIGKILL):
        terminal = start()
        terminal.wait(MENU)
        save(tmp_path, "print('begun')\nwhile True:\n    pass\n")
        time.sleep(1)
        terminal.child.kill(stop)
        terminal.end()
    deadline = time.monotonic() + SECONDS_TO_STOP
    while (left := processes_below(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == []


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_in_order(stop: signal.Signals, start: Start, tmp_path: Path) -> None:
    """Whoever ends it, or closes its terminal, while a file runs: no temporary folder stays."""
    with tempfile.TemporaryDirectory() as temporary:  # the path of `tmp_path` is too long for a socket in it
        terminal = start(TMPDIR=temporary)
        terminal.wait(MENU)
        save(tmp_path, "while True:\n    pass\n")
        time.sleep(1.5)
        terminal.child.kill(stop)
        terminal.wait("The next time, you continue")
        terminal.child.wait()
        assert terminal.child.exitstatus == 128 + stop
        assert [name for name in os.listdir(temporary) if name.startswith(("d2lblocks", "pymp"))] == []


SECONDS_TO_STOP = 15


def processes_below(folder: Path) -> list[str]:
    """The processes that have been started in a folder."""
    if not Path("/proc/self/cwd").exists():
        return []
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder):
                left.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            pass
    return left


def test_a_file_that_is_removed_or_renamed(start: Start, tmp_path: Path) -> None:
    """The program says so and goes on; r writes the file again, and a name that comes back is taken."""
    terminal = start()
    terminal.wait(MENU)
    other = file(tmp_path).rename(file(tmp_path).with_name("mine.py"))
    assert "There is no file" in terminal.wait(MENU)
    other.write_text(FIRST.solution)
    other.rename(file(tmp_path))
    assert "Right" in terminal.wait(MENU)
    file(tmp_path).unlink()
    assert "There is no file" in terminal.wait(MENU)
    terminal.press("r")
    terminal.wait(MENU)
    assert file(tmp_path).read_text() == FIRST.text


def test_a_folder_that_is_removed(start: Start, tmp_path: Path) -> None:
    """The program goes on, and r makes the folder again, whose files are watched."""
    terminal = start()
    terminal.wait(MENU)
    shutil.rmtree(tmp_path / "builders-practice")
    assert "There is no file" in terminal.wait(MENU)
    terminal.press("r")
    terminal.wait(MENU)
    save(tmp_path, FIRST.solution)
    assert "Right" in terminal.wait(MENU)


def test_a_file_that_is_saved_half(start: Start, tmp_path: Path) -> None:
    """What counts is the last state of the file."""
    terminal = start()
    terminal.wait(MENU)
    with file(tmp_path).open("w") as half:
        half.write(FIRST.solution[:40])
        half.flush()
        time.sleep(0.5)
        half.write(FIRST.solution[40:])
    assert "Right" in terminal.wait("Right")


def test_a_save_during_a_check_counts(start: Start, tmp_path: Path) -> None:
    """A file that is saved while its last state still runs is checked at once, without waiting for the end."""
    terminal = start()
    terminal.wait(MENU)
    save(tmp_path, "while True:\n    pass\n")
    time.sleep(1)
    save(tmp_path, FIRST.solution)
    assert "Not yet" not in terminal.wait("Right")


def test_another_file_that_is_saved_is_opened(start: Start, tmp_path: Path) -> None:
    """Whoever saves another exercise wants that one."""
    terminal = start()
    terminal.wait(MENU)
    save(tmp_path, EXERCISES[2].solution, EXERCISES[2])
    came = plain(terminal.wait(MENU))
    assert EXERCISES[2].heading in came
    assert "Right" in came


def test_starting_again_keeps_the_old_file(start: Start, tmp_path: Path) -> None:
    """r keeps each file beside the new one, and does not check the new one."""
    terminal = start()
    terminal.wait(MENU)
    for text in ("one = 1\n", "two = 2\n"):
        save(tmp_path, text)
        terminal.wait("Not yet")
        terminal.wait(MENU)
        terminal.press("r")
        assert "Not yet" not in terminal.wait(MENU)
    kept = [file(tmp_path).with_suffix(suffix).read_text() for suffix in (".old.py", ".old2.py", ".py")]
    assert kept == ["one = 1\n", "two = 2\n", FIRST.text]


def test_a_folder_in_the_place_of_the_file(start: Start, tmp_path: Path) -> None:
    """The program says so, and r keeps the folder beside the file that it writes."""
    terminal = start()
    terminal.wait(MENU)
    file(tmp_path).unlink()
    file(tmp_path).mkdir()
    assert "is not a file" in terminal.wait(MENU)
    terminal.press("r")
    assert "is as it was" in terminal.wait(MENU)
    save(tmp_path, FIRST.solution)
    assert "Right" in terminal.wait(MENU)


def test_what_cannot_be_written_is_said(start: Start, tmp_path: Path) -> None:
    """The program goes on without its progress, and without the files of a topic."""
    terminal = start()
    terminal.wait(MENU)
    progress = tmp_path / "builders-practice" / "progress.txt"
    progress.unlink()
    progress.mkdir()
    terminal.press("h")
    came = terminal.wait(MENU) + terminal.wait("not affected")
    assert "Hint 1 of 3" in came
    assert "Your progress could not be saved in builders-practice" in came
    shutil.rmtree(file(tmp_path).parent)
    file(tmp_path).parent.write_text("mine")
    assert "There is no file" in terminal.wait(MENU)
    terminal.press("r")
    assert "This did not work: builders-practice/modules: " in terminal.wait(MENU)
    terminal.press("q")
    assert terminal.end() == 0
    assert file(tmp_path).parent.read_text() == "mine"


def test_what_a_file_prints_does_not_reach_the_terminal_raw(start: Start, tmp_path: Path) -> None:
    """Neither sequences for the terminal nor characters that it cannot show end the program or change the screen."""
    for variables in ({}, {"PYTHONIOENCODING": "ascii"}):
        terminal = start(**variables)
        terminal.wait(MENU)
        save(tmp_path, f"print('\\x1b[2J \\a \\ud800 \\U0001f600')  # {variables}\n" + FIRST.solution)
        came = terminal.wait(MENU)
        assert r"\x1b[2J \x07 \ud800" in came
        assert "Right" in came
        terminal.press("q")
        assert terminal.end() == 0


def test_a_terminal_of_one_column(start: Start) -> None:
    """The text does not fit, but the program runs."""
    terminal = start(columns=1)
    terminal.wait(MENU)
    terminal.press("q")
    assert terminal.end() == 0


@pytest.mark.skipif(not Path("/proc").exists(), reason="other systems refuse such names")
def test_a_folder_that_cannot_be_watched(tmp_path: Path) -> None:
    """The program looks at the files instead."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/not-utf8-\xff"))
    folder.mkdir()
    terminal = Terminal(folder)
    terminal.wait(MENU)
    for exercise in FIRST, EXERCISES[1]:
        save(folder, exercise.solution, exercise)
        assert "Right" in terminal.wait(MENU)
    terminal.press("q")
    assert terminal.end() == 0
    assert "Traceback" not in terminal.raw.decode()


def test_after_the_last_exercise_no_next_one_is_named(start: Start, tmp_path: Path) -> None:
    """Other exercises are left, but n does not lead there."""
    last = EXERCISES[-1]
    terminal = start("start", last.id)
    terminal.wait(MENU)
    save(tmp_path, last.solution, last)
    came = terminal.wait(MENU)
    assert "This is the last exercise. Press l" in came
    assert "Press n" not in came


def test_the_solution_has_to_be_asked_for_twice(start: Start) -> None:
    """The first time, the key only says how to see it."""
    terminal = start()
    terminal.wait(MENU)
    terminal.press("s")
    assert "press s again" in terminal.wait(MENU)
    terminal.press("s")
    assert "A solution of" in terminal.wait(MENU)


def test_it_starts_where_it_is_told_to(start: Start) -> None:
    """`practice start` takes an exercise; n and p go on and back."""
    terminal = start("start", EXERCISES[3].id)
    assert EXERCISES[3].heading in plain(terminal.wait(MENU))
    terminal.press("n")
    assert EXERCISES[4].heading in plain(terminal.wait(MENU))
    terminal.press("p")
    assert EXERCISES[3].heading in plain(terminal.wait(MENU))


def test_unknown_keys_do_nothing(start: Start) -> None:
    """Arrows, which send several characters, and other keys are ignored."""
    terminal = start()
    terminal.wait(MENU)
    terminal.press("\x1b[H")
    terminal.press("xyz\x1b[A")
    terminal.press("x\x1b[H\x1bOP\x1b[15~\x1b[1;5H")
    terminal.press("self.layers = nn.Sequential(*layers)  # quit or reset?\n" * 100)
    time.sleep(0.5)
    terminal.press("q")
    assert terminal.end() == 0
    assert "Hint" not in "\n".join(terminal.lines())
    assert "beginning" not in "\n".join(terminal.lines())


def test_without_a_terminal_it_says_what_to_do(tmp_path: Path) -> None:
    """In a pipe, the files are made, and the message names the command that checks them."""
    import sys

    run = subprocess.run(
        [sys.executable, "-m", "d2lblocks", "practice"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert f"practice check {FIRST.id}" in run.stderr
    assert file(tmp_path).exists()


def plain(text: str) -> str:
    """The text without colors and with unix line ends."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r\n", "\n")
