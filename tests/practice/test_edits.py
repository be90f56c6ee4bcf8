"""Random edits of every solution: a check refuses them, unless they mean the same."""

import random
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from d2lblocks.practice.exercise import Exercise, all_exercises
from tests.practice.conftest import Marker
from tests.practice.edits import edits_of

NUMBER = 20  # of each solution
EQUIVALENT = Path(__file__).parent / "equivalent"
EXERCISES = all_exercises()


@pytest.mark.parametrize("exercise", EXERCISES, ids=[each.file for each in EXERCISES])
def test_edits_are_refused(
    exercise: Exercise, mark: Marker, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each of 20 random edits of a solution is refused, or is known to mean the same."""
    chosen = random.Random(exercise.file).sample(edits_of(exercise.solution, tmp_path, NUMBER), NUMBER)
    accepted = {each.diff for each in chosen if mark(exercise, each.code.decode()).status == "right"}
    record_property("edits", len(chosen))
    record_property("refused", len(chosen) - len(accepted))
    record_property("equivalent", len(accepted & equivalent(exercise)))
    missed = accepted - equivalent(exercise)
    assert not missed, "\n\n".join(missed)


def test_a_short_program_has_edits_of_every_kind(tmp_path: Path) -> None:
    """Names, attributes, texts, order, what is around a value, loops, conditions, and several at once."""
    lines = ["def f(a, b):", "    for c in b.items():", '        if c: print("x", a.count)', "    return a"]
    program = "\n".join(lines)
    edits = {each.code.decode() for each in edits_of(program, tmp_path, NUMBER)}
    for old, new in (
        ("in b.", "in a."), ("items", "keys"), ('"x"', '""'), ('"x", a.count', 'a.count, "x"'), ("b.items()", "b"),
        ("b.items()", "list(b.items())[1:]"), ("if c", "if False"), ("return a", "return (a)[:-1]"),
    ):  # fmt: skip
        assert program.replace(old, new) in edits
    assert len(edits_of("def f(a):\n    return a", tmp_path, 50)) >= 50


def equivalent(exercise: Exercise) -> set[str]:
    """The edits of a solution that change nothing that matters; each is listed with the reason."""
    path = EQUIVALENT / f"{exercise.topic}.toml"
    edits = tomllib.loads(path.read_text("utf-8")).get("edit", []) if path.is_file() else []
    assert all(edit["reason"] for edit in edits)
    return {edit["change"].strip() for edit in edits if edit["exercise"] == exercise.name}
