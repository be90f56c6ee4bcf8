"""A test run leaves nothing in the system's temporary folder, unless a test fails."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machinery.toy_project import fence, project, pytest_run

LEAVES = fence(
    "import os, subprocess, sys, tempfile",
    "place = tempfile.mkdtemp()",
    "child = subprocess.run([sys.executable, '-c', 'import tempfile; tempfile.mkdtemp()'])",
    "print(os.path.isdir(place), child.returncode)",
    "#> True 0",
)


@pytest.fixture
def system() -> Iterator[Path]:
    """A replacement for the system's temporary folder; its path is short enough for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_a_run_that_passes_leaves_nothing(workers: list[str], system: Path, tmp_path: Path) -> None:
    """Files left by a page and its child processes are removed too."""
    root = project(tmp_path, **{"docs/en/page.md": LEAVES})
    done = pytest_run(root, *workers, TMPDIR=str(system))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert list(system.iterdir()) == []


def test_a_run_that_fails_says_what_it_has_left(system: Path, tmp_path: Path) -> None:
    """One folder is left, with pytest's own folders in it."""
    root = project(tmp_path, **{"docs/en/page.md": LEAVES.replace("True", "False")})
    done = pytest_run(root, TMPDIR=str(system))
    assert done.returncode == 1
    (left,) = system.iterdir()
    assert f"What the tests have left is in {left}." in done.stdout
    assert list(left.glob("pytest-of-*/pytest-*"))
