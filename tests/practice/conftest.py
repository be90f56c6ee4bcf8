"""Judges for a whole run, because starting the first takes a second, and the exercises by their names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from d2lblocks.practice.exercise import Exercise
from d2lblocks.practice.isolated import Judges
from d2lblocks.practice.judge import Verdict


class Marker:
    """Gives the verdict on a program."""

    def __init__(self, judges: Judges, folder: Path) -> None:
        self.judges = judges
        self.folder = folder

    def __call__(self, exercise: Exercise, program: str) -> Verdict:
        path = self.folder / exercise.file
        path.parent.mkdir(exist_ok=True)
        path.write_text(program, "utf-8")
        return self.judges.verdict(exercise, path)


@pytest.fixture(scope="session")
def mark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marker]:
    """`mark(exercise, program)` is the verdict on the program."""
    with Judges() as judges:
        yield Marker(judges, tmp_path_factory.mktemp("practice"))
