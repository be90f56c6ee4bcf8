"""Every exercise: its stub fails, its solution passes, each known wrong answer gets its own sentence."""

import ast
import re

import pytest

from d2lblocks.practice.exercise import Exercise, WrongAnswer, all_exercises
from d2lblocks.practice.exercises import TOPICS
from tests.practice.conftest import Marker
from tools.pages import ROOT, project

EXERCISES = all_exercises()
FOLDER = ROOT / "src/d2lblocks/practice/exercises"
LEVELS = ("easy", "medium", "hard")
every_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=[each.file for each in EXERCISES])


@pytest.mark.parametrize("topic", TOPICS)
def test_every_file_is_an_exercise(topic: str) -> None:
    """A topic lists each of its files once, and there are five or more; two of the projects."""
    names = [each.name for each in EXERCISES if each.topic == topic]
    files = {path.stem for path in (FOLDER / topic).glob("[!_]*.py")}
    assert sorted(names) == sorted(files)
    assert len(names) >= (2 if topic == "projects" else 5)
    assert {path.name for path in FOLDER.iterdir() if path.is_dir()} - {"__pycache__"} == {*TOPICS}


@every_exercise
def test_code_of_the_task_is_in_the_file(exercise: Exercise) -> None:
    """Code that looks like a link, such as `net[:3](X)`, is not taken for one."""
    assert [code for code in re.findall(r"`[^`]+`", exercise.task) if code not in exercise.plain_task] == []


@every_exercise
def test_the_stub_fails(exercise: Exercise, mark: Marker) -> None:
    """The reader has something to do, and is told so."""
    verdict = mark(exercise, exercise.text)
    assert (verdict.status, verdict.why[:24]) == ("wrong", "Nothing has changed yet.")


@every_exercise
def test_the_solution_passes(exercise: Exercise, mark: Marker) -> None:
    """The solution is right, prints nothing, and keeps the names that the stub defines."""
    verdict = mark(exercise, exercise.solution)
    assert (verdict.status, verdict.why, verdict.printed) == ("right", exercise.after, "")
    assert definitions(exercise.stub) <= definitions(exercise.solution)


@every_exercise
def test_known_wrong_answers_are_told_apart(exercise: Exercise, mark: Marker) -> None:
    """Three or more wrong answers are refused, each with its own sentence, a line of the file and a place."""
    assert len(exercise.wrong) >= 3
    verdicts = {wrong.says: mark(exercise, changed(exercise, wrong)) for wrong in exercise.wrong}
    for says, verdict in verdicts.items():
        assert (verdict.status, [each for each in verdicts if each in verdict.why]) == ("wrong", [says]), (
            verdict
        )
        assert verdict.line is not None, verdict
        assert is_place(verdict.page), verdict


@every_exercise
@pytest.mark.parametrize("program", ["", "# nothing\n", "from torch import nn\n", "x = 1\n"])
def test_a_file_without_the_definition_is_refused(exercise: Exercise, program: str, mark: Marker) -> None:
    """An empty file and one without the definition get a sentence that says so."""
    why = mark(exercise, program).why
    assert "has no code" in why or "does not define" in why


@every_exercise
def test_the_texts_are_complete(exercise: Exercise) -> None:
    """Level, hints, page and the other texts have their form, and fit into 80 columns."""
    assert exercise.level in LEVELS
    assert len(exercise.hints) == 3
    assert exercise.hints[0].endswith("?")
    pages = re.findall(r"\w+\.md(?:#[\w-]+)?", " ".join([exercise.page, *exercise.hints, exercise.after]))
    assert is_place(exercise.page)
    assert re.search(r"\w+\.md", exercise.hints[1])
    assert [page for page in pages if not is_place(page)] == []
    texts = [
        exercise.text,
        exercise.stub,
        exercise.solution,
        *(each.file(exercise.solution) for each in exercise.wrong),
    ]
    for text in texts:
        ast.parse(text)
    assert [line for line in (exercise.text + exercise.solution).splitlines() if len(line) > 88] == []
    assert max(map(len, exercise.text.partition("\n\n")[0].splitlines())) <= 80
    assert exercise.after
    sentences = exercise.task.strip().splitlines()
    assert all(re.search(r"[.?:]$", line) or not line for line in sentences), sentences


@pytest.mark.parametrize("topic", dict.fromkeys(each.topic for each in EXERCISES))
def test_exercises_go_from_easy_to_hard(topic: str) -> None:
    """Within a topic, no exercise is easier than the one before."""
    levels = [LEVELS.index(each.level) for each in EXERCISES if each.topic == topic]
    assert levels == sorted(levels)


def changed(exercise: Exercise, wrong: WrongAnswer) -> str:
    """The file with the wrong answer; if that is what the stub has, something else in it has changed."""
    program = wrong.file(exercise.solution)
    return (
        program
        if ast.dump(ast.parse(program)) != ast.dump(ast.parse(exercise.stub))
        else f"{program}\nown = 1\n"
    )


def definitions(code: str) -> set[str]:
    """The names that a program defines on its top level."""
    nodes = ast.parse(code).body
    names = {each.name for each in nodes if isinstance(each, ast.ClassDef | ast.FunctionDef)}
    assigned = [target for each in nodes if isinstance(each, ast.Assign) for target in each.targets]
    return names | {each.id for each in assigned if isinstance(each, ast.Name)}


def is_place(place: str) -> bool:
    """Whether it is a page of the site, or a heading of one."""
    name, _, anchor = place.partition("#")
    path = ROOT / "docs/en" / name
    return path.is_file() and (
        not anchor or anchor in {each.anchor for each in project().page(path, name).headings()}
    )
