"""The subcommands of `practice`: exit status, JSON, the folder and its progress."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from d2lblocks._command import main
from d2lblocks.practice.exercise import all_exercises, find
from d2lblocks.practice.folder import Folder
from d2lblocks.practice.words import about_progress, visible

EXERCISES = all_exercises()
FIRST = EXERCISES[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A folder that was made in the current one, which was empty."""
    monkeypatch.chdir(tmp_path)
    made = Folder.open(Folder.find(Path.cwd()))
    made.make()
    made.save()
    return made


def practice(*arguments: str) -> int:
    return main(["practice", *arguments])


def test_check_says_what_is_right_and_wrong(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 0 if all are right; a right answer is noted with its day."""
    assert practice("check", FIRST.id) == 1
    assert capsys.readouterr().out.startswith(f"Not yet: {Path('builders-practice', FIRST.file)}\n")
    folder.file(FIRST).write_text(FIRST.solution)
    assert practice("check", FIRST.id) == 0
    assert capsys.readouterr().out.startswith("Right: ")
    assert Folder.open(folder.path).state(FIRST).done
    assert practice("check", FIRST.topic) == 1
    number = len(find(FIRST.topic))
    assert f"1 of {number} are right." in capsys.readouterr().out
    folder.file(FIRST).unlink()
    assert practice("check", FIRST.id) == 1
    assert "There is no file" in capsys.readouterr().out


def test_check_as_json(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """A teacher gets every verdict as data, and nothing is written into the folder that is named."""
    folder.file(FIRST).write_text("print('mine')\n" + FIRST.solution)
    before = {path: path.read_bytes() for path in folder.path.rglob("*.*")}
    assert practice("check", FIRST.topic, "--json", "--folder", str(folder.path)) == 1
    verdicts = json.loads(capsys.readouterr().out)
    assert [each["exercise"] for each in verdicts] == [each.id for each in find(FIRST.topic)]
    assert (verdicts[0]["status"], verdicts[0]["printed"]) == ("right", "mine\n")
    assert {each["status"] for each in verdicts[1:]} == {"wrong"}
    assert {path: path.read_bytes() for path in folder.path.rglob("*.*")} == before


def test_wrong_use(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown names and folders are refused with what there is."""
    for words, message in (
        (["check", "modles/1"], "there is no topic 'modles': there are modules, "),
        (["hint", "modules/99"], "there is no exercise 'modules/99': there are modules/1 to modules/"),
        (["reset", "modules"], "name one exercise, such as modules/1"),
        (["check", "--folder", "nowhere"], "there is no folder nowhere"),
        (["check", "--folder", f"builders-practice/{FIRST.file}"], "is not a folder"),
    ):
        assert practice(*words) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", [FIRST.id, FIRST.file, FIRST.file.removesuffix(".py"), f"{FIRST.topic}/{FIRST.name}"]
)
def test_an_exercise_has_several_names(name: str) -> None:
    """Its number, its name, and its file mean the same."""
    assert find(name) == [FIRST]


def test_hints_come_one_at_a_time(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """Each call shows the next one; after the last, it stays."""
    for number in (1, 2, 3, 3):
        assert practice("hint", FIRST.id) == 0
        assert capsys.readouterr().out.startswith(f"Hint {number} of 3")


def test_the_solution_comes_when_done_or_asked_twice(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first call says how to get it."""
    assert practice("solution", FIRST.id) == 1
    assert "ask for it once more" in capsys.readouterr().out
    assert practice("solution", FIRST.id) == 0
    out = capsys.readouterr().out
    assert all(line in out for line in FIRST.solution.splitlines())
    other = EXERCISES[1]
    folder.file(other).write_text(other.solution)
    practice("check", other.id)
    assert practice("solution", other.id) == 0


def test_reset_keeps_every_file(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """The old files stay beside the new one, which is as at the beginning."""
    for text in ("one", "two", "three"):
        folder.file(FIRST).write_text(text)
        assert practice("reset", FIRST.id) == 0
    names = sorted(path.name for path in folder.file(FIRST).parent.glob(f"{FIRST.number}_*"))
    stem = Path(FIRST.file).stem
    assert names == sorted([f"{stem}.py", f"{stem}.old.py", f"{stem}.old2.py", f"{stem}.old3.py"])
    assert folder.file(FIRST).read_text() == FIRST.text
    assert folder.file(FIRST).with_suffix(".old.py").read_text() == "one"
    folder.file(FIRST).unlink()
    assert practice("reset", FIRST.id) == 0
    assert folder.file(FIRST).read_text() == FIRST.text


def test_making_a_folder_overwrites_nothing(folder: Folder) -> None:
    """Files that are there stay; missing ones are written."""
    folder.file(FIRST).write_text("mine")
    folder.file(EXERCISES[1]).unlink()
    assert folder.make() == 1
    assert folder.file(FIRST).read_text() == "mine"


def test_the_folder_is_found_from_inside(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the folder itself, or one below, it is the same; another project's progress.txt is not ours."""
    monkeypatch.chdir(folder.path / FIRST.topic)
    assert Folder.find(Path.cwd()) == folder.path
    other = folder.path.parent / "other"
    other.mkdir()
    (other / "progress.txt").write_text("chapter 3\n")
    assert Folder.find(other) == other / "builders-practice"


def test_the_list_shows_what_is_done(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """Every exercise is listed with its level; no line is longer than 80 columns."""
    folder.answered(FIRST)
    assert practice("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert f"1 of {len(EXERCISES)} are done." in lines
    done = next(line for line in lines if f" {FIRST.id} " in line)
    assert done.split()[:4] == [">", "done", FIRST.id, FIRST.level]
    assert all(any(f" {each.id} " in line for line in lines) for each in EXERCISES)


def test_progress_is_text_that_people_can_edit(folder: Folder) -> None:
    """A line that is not understood stays as it is, even if it is not UTF-8."""
    folder.answered(FIRST)
    path = folder.path / "progress.txt"
    path.write_text(path.read_text() + "ask Ms. Li about layers/3\n")
    again = Folder.open(folder.path)
    assert again.state(FIRST).done == folder.state(FIRST).done
    again.next_hint(EXERCISES[1])
    assert path.read_text().endswith("ask Ms. Li about layers/3\n")
    assert Folder.open(folder.path).state(EXERCISES[1]).hints == 1
    path.write_bytes(b"\xff\xfe\n" + path.read_bytes())
    again = Folder.open(folder.path)
    assert again.done() == 1
    again.save()
    assert b"\xff\xfe\n" in path.read_bytes()


def test_two_programs_keep_the_progress_of_each_other(folder: Folder) -> None:
    """What another program, or the reader, writes meanwhile is kept."""
    one, two = Folder.open(folder.path), Folder.open(folder.path)
    one.answered(FIRST)
    one.next_hint(EXERCISES[1])
    with (folder.path / "progress.txt").open("a") as progress:
        progress.write("ask Ms. Li\n")
    two.answered(EXERCISES[2])
    two.next_hint(EXERCISES[3])
    one.next_hint(EXERCISES[3])
    last = Folder.open(folder.path)
    assert [bool(last.state(each).done) for each in EXERCISES[:4]] == [True, False, True, False]
    assert [last.state(each).hints for each in EXERCISES[:4]] == [0, 1, 0, 1]
    assert last.other_lines == ["ask Ms. Li"]


def test_the_progress_keeps_its_mode_and_may_have_a_mark(folder: Folder) -> None:
    """A teacher who may read it still may after it is saved; Notepad's mark before the text does not matter."""
    path = folder.path / "progress.txt"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    path.chmod(0o640)
    assert Folder.find(folder.path) == folder.path
    Folder.open(folder.path).answered(FIRST)
    assert not path.read_bytes().startswith(b"\xef\xbb\xbf")
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in folder.path.iterdir() if each.name.startswith(".")] == []


def test_files_that_cannot_be_used(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder in the place of a file, and a file in the place of a folder, are named; nothing is lost."""
    path = folder.file(FIRST)
    path.unlink()
    path.mkdir()
    assert practice("check", FIRST.id) == 1
    assert "is not a file" in capsys.readouterr().out
    assert practice("reset", FIRST.id) == 0
    assert path.read_text() == FIRST.text
    assert path.with_suffix(".old.py").is_dir()
    capsys.readouterr()
    path.parent.rename(folder.path / "mine")
    path.parent.write_text("mine")
    assert practice("reset", FIRST.id) == 2
    assert capsys.readouterr().err.startswith(
        f"d2lblocks practice: {Path('builders-practice', FIRST.topic)}: "
    )
    assert path.parent.read_text() == "mine"
    (folder.path / "progress.txt").unlink()
    (folder.path / "progress.txt").mkdir()
    for words in ("list", "hint", "check"):
        assert practice(words) == 2
        assert "progress.txt: " in capsys.readouterr().err


def test_progress_that_cannot_be_written(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """The hint is shown nevertheless, and the error says what is not saved."""
    made = Folder.open(folder.path)
    (folder.path / "progress.txt").unlink()
    (folder.path / "progress.txt").mkdir()
    assert made.next_hint(FIRST) == 1
    assert about_progress(made).startswith("Your progress could not be saved in builders-practice (")
    assert [each.name for each in folder.path.iterdir() if each.name.startswith(".")] == []
    (folder.path / "progress.txt").rmdir()
    assert made.next_hint(FIRST) == 2
    assert about_progress(made) == ""


def test_half_a_file_is_never_left(folder: Folder) -> None:
    """If a file cannot be written whole, as on a full disk, it is not there, and reset gives the old one back."""
    path = folder.file(FIRST)
    path.write_text("mine")
    broken = replace(FIRST, stub="\ud800")  # which UTF-8 cannot write
    with pytest.raises(UnicodeEncodeError):
        folder.reset(broken)
    assert path.read_text() == "mine"
    path.unlink()
    with pytest.raises(UnicodeEncodeError):
        folder.write(broken)
    assert not path.exists()


@pytest.mark.skipif(os.name == "nt", reason="links need a permission there")
def test_reset_keeps_links(folder: Folder) -> None:
    """A link is kept as it is, also one that leads nowhere."""
    path = folder.file(FIRST)
    for number in range(2):
        path.unlink()
        path.symlink_to("nowhere.py")
        kept = folder.reset(FIRST)
        assert kept is not None
        assert kept.name == path.with_suffix(("", "2")[number].join((".old", ".py"))).name
        assert kept.is_symlink()
        assert path.read_text() == FIRST.text


def test_a_path_names_its_exercise(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` takes the path that the program shows."""
    path = folder.file(FIRST)
    for name in (
        str(path),
        f"builders-practice/{FIRST.file}",
        rf"builders-practice\{FIRST.topic}\{path.name}",
    ):
        assert find(name) == [FIRST]
    with pytest.raises(ValueError, match="there is no topic 'nowhere'"):
        find("builders-practice/nowhere/1_tower.py")


def test_what_a_file_says_does_not_control_the_terminal() -> None:
    """Colors are left out; other characters that terminals obey, or cannot show, are written out."""
    shown = visible("\x1b[31mred\x1b[0m \x1b[2J\a\ud800\u202e")
    assert ascii(shown) == ascii("red \\x1b[2J\\x07\\ud800\\u202e")  # a worker cannot report a lone surrogate
    assert visible("tab\tand é 中 😀") == "tab\tand é 中 😀"


def test_keys_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page Down sends a character and Q, and is not the key q."""
    import importlib
    import sys
    from types import SimpleNamespace

    from d2lblocks.practice import keys

    characters = iter("\xe0Q\0;h")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(getwch=lambda: next(characters)))
    try:
        assert importlib.reload(keys).keys() == "h"
    finally:
        monkeypatch.undo()
        importlib.reload(keys)


def test_without_the_extra_packages(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`practice` says what to install; `check` works without."""
    import sys

    monkeypatch.setitem(sys.modules, "watchfiles", None)
    monkeypatch.delitem(sys.modules, "d2lblocks.practice.terminal", raising=False)
    assert practice() == 2
    err = capsys.readouterr().err
    assert 'pip install "d2lblocks[practice]"' in err
    assert f"practice check {FIRST.id}" in err
    assert practice("check", FIRST.id) == 1
