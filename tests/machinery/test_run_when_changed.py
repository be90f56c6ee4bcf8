"""When the tests in machinery/ run: the first time, after changes or failures, and on request."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import run_when_changed

ROOT = run_when_changed.ROOT
TEST = "def test_it() -> None:\n    assert {}\n"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A project with the plugin, a test of the machinery, and another test."""
    for name, text in {
        "tests/__init__.py": "",
        "tests/conftest.py": 'pytest_plugins = ["tests.run_when_changed"]\n',
        "tests/machinery/test_machinery.py": TEST.format(True),
        "tests/package/test_package.py": TEST.format(True),
        "tools/tool.py": "",
        "pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = ["."]\n',
    }.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    shutil.copy(run_when_changed.__file__, tmp_path / "tests")
    return tmp_path


def ran(root: Path, *arguments: str) -> tuple[bool, bool]:
    """Whether the test of the machinery ran, and whether the summary says that it was left out."""
    command = [sys.executable, "-m", "pytest", "-v", "--import-mode=importlib", "-p", "xdist", *arguments]
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # other plugins take time
    run = subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True)
    assert "test_package" in run.stdout or "tests/machinery" in arguments, run.stdout + run.stderr
    return "test_machinery.py" in run.stdout, "tests/machinery was left out" in run.stdout


YES, NO = (True, False), (False, True)


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_what_has_not_changed_is_not_tested_again(workers: list[str], toy: Path) -> None:
    """The tests run on request, by an option or by their folder, and again after a change of a tool."""
    assert [ran(toy, *workers), ran(toy, *workers)] == [YES, NO]
    assert ran(toy, *workers, "--machinery") == YES
    assert ran(toy, *workers, "tests/machinery") == YES
    (toy / "tools" / "tool.py").write_text("# changed\n")
    assert [ran(toy, *workers), ran(toy, *workers)] == [YES, NO]


@pytest.mark.parametrize("arguments", [["-k", "it"], ["tests/machinery"], ["-m", "not slow"]], ids=" ".join)
def test_a_run_of_some_tests_is_not_remembered(arguments: list[str], toy: Path) -> None:
    """The run may have left out tests that would have failed."""
    assert [ran(toy, *arguments), ran(toy)] == [YES, YES]


def test_a_failure_is_not_remembered(toy: Path) -> None:
    """The tests run and fail again until the failure is fixed."""
    place = toy / "tests" / "machinery" / "test_machinery.py"
    place.write_text(TEST.format(False))
    assert [ran(toy), ran(toy)] == [YES, YES]
    place.write_text(TEST.format(True))
    assert [ran(toy), ran(toy)] == [YES, NO]


def test_its_files_are_there() -> None:
    """Every pattern matches some file, and the tests themselves are among the files."""
    found = set(run_when_changed.files())
    assert Path(__file__) in found
    assert all(any(ROOT.glob(pattern)) for pattern in (*run_when_changed.TESTED, *run_when_changed.PINNED))
    assert ROOT / "tests" / "page_runner" / "session.py" in found
