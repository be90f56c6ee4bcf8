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


def equivalent(exercise: Exercise) -> set[str]:
    """The edits of a solution that change nothing that matters; each is listed with the reason."""
    path = EQUIVALENT / f"{exercise.topic}.toml"
    edits = tomllib.loads(path.read_text("utf-8")).get("edit", []) if path.is_file() else []
    assert all(edit["reason"] for edit in edits)
    return {edit["change"].strip() for edit in edits if edit["exercise"] == exercise.name}
