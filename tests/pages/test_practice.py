"""The exercises of the pages are those of practice: task, command and solution."""

import ast
import re

import pytest

from d2lblocks.practice.exercise import Exercise, all_exercises
from tests.page_runner import Page
from tools.pages import ROOT, project

EXERCISES = all_exercises()
PAGES = {page.path.stem: page for page in project().pages() if page.path.parent == ROOT / "docs/en"}
every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=[each.file for each in EXERCISES])


def page_of(exercise: Exercise) -> Page:
    return PAGES["practice" if exercise.topic == "projects" else exercise.topic]


def item_of(exercise: Exercise) -> str:
    """The item of the list of exercises on the page."""
    text = page_of(exercise).path.read_text("utf-8")
    section = re.split(r"^## (?:Exercises|Projects)\n", text, flags=re.M)[1].partition("\n## ")[0]
    items = re.split(r"^(\d+)\. ", section, flags=re.M)
    return dict(zip(items[1::2], items[2::2], strict=True))[str(exercise.number)]


@every_exercise
def test_the_solution_on_the_page_is_the_one_that_passes(exercise: Exercise) -> None:
    """The folded solution has the same syntax tree, apart from imports that the page has before."""
    (snippet,) = [each for each in page_of(exercise).snippets if each.title == exercise.file]
    shown, true = statements("\n".join(snippet.code)), statements(exercise.solution)
    assert [each for each in shown if not each.startswith("Import")] == [
        each for each in true if not each.startswith("Import")
    ]
    item = item_of(exercise)
    assert f'"{exercise.file}"' in item.partition("<summary>Solution</summary>")[2].partition("</details>")[0]


def statements(code: str) -> list[str]:
    return [ast.dump(each) for each in ast.parse(code).body]


@every_exercise
def test_the_page_has_the_task_and_the_command(exercise: Exercise) -> None:
    """The task is that of the file, word for word, and the command beside it opens the exercise."""
    item = " ".join(item_of(exercise).split())
    task = " ".join(exercise.task.split())
    command = f"To practice ({exercise.level}): `python -m d2lblocks practice start {exercise.id}`"
    assert item.startswith(f"{task} {command} ")


def test_the_page_has_no_other_commands() -> None:
    """Each command of a page names an exercise of its topic."""
    named = {
        (page.path.stem, name)
        for page in PAGES.values()
        if page.path.stem != "practice"
        for name in re.findall(r"^ +To practice .*practice start (\S+)`$", page.path.read_text("utf-8"), re.M)
    }
    assert named == {(each.topic, each.id) for each in EXERCISES if each.topic != "projects"}


def test_every_command_of_the_page_exists() -> None:
    """The keys and subcommands on the page are those of the program."""
    from d2lblocks.practice import terminal
    from d2lblocks.practice.folder import FOLDER, PROGRESS

    text = (ROOT / "docs/en/practice.md").read_text("utf-8")
    keys = set(re.findall(r"^\| (?:`\w`, )?`(\w)`", text, re.M)) | set(
        re.findall(r"^\| `(\w)`, ", text, re.M)
    )
    assert keys == set(re.findall(r"\b(\w) \w+", terminal.MENU.splitlines()[1]))
    assert f"{FOLDER}/{PROGRESS}" in text
