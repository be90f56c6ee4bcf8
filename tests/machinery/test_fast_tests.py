"""`make test-fast`: it tests everything that has changed, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.machinery.toy_project import fence, prepare, project
from tools import fast_tests

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "tests", "pages"),
    [
        ("docs/en/lazy.md", set(), {"lazy.md"}),
        ("README.md", set(), {"README.md"}),
        ("src/d2lblocks/init.py", {"tests/package/test_init.py"}, {"init.py", "init.md"}),
        ("src/d2lblocks/serialization/nets.py", {"tests/package/test_serialization.py", "tests/package/test_nets.py"}, {"nets.py", "serialization.md"}),
        ("src/d2lblocks/_snapshot.py", {"tests/package/test_snapshot.py"}, {"_snapshot.py", "_snapshot.md"}),
        ("tests/package/test_writers.py", {"tests/package/test_writers.py"}, set()),
        ("tests/pages/test_docs.py", set(), set()),
        ("tests/package/test_that_is_gone.py", set(), set()),
        ("Makefile", set(), set()),
    ],
)  # fmt: skip
def test_what_tests_a_file(path: str, tests: set[str], pages: set[str]) -> None:
    """The tests of a file are found by the project's naming scheme."""
    assert fast_tests.tests_of(Path(path)) == (tests, pages)


def test_only_what_has_changed_is_tested(tmp_path: Path) -> None:
    """An unchanged page is not tested, even if it would fail; changed files without fast tests are listed."""
    wrong = fence("print(1)", "#> 2")
    root = project(tmp_path, **{"docs/en/a.md": fence("print(1)", "#> 1"), "docs/en/b.md": wrong})
    prepare(root)

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)

    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "tools/fast_tests.py", *arguments]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "all")
    assert run() == (0, "Nothing that it tests has changed since HEAD: `make test` tests everything.\n")
    (root / "docs" / "en" / "a.md").write_text(f"Changed.\n\n{fence('print(1)', '#> 1')}")
    (root / "notes").write_text("new")
    code, said = run("HEAD")
    assert code == 0, said
    assert "not tested: notes\ntested: a.md\n" in said
    (root / "docs" / "en" / "b.md").write_text(f"Changed.\n\n{wrong}")
    code, said = run()
    assert code == 1
    assert "docs/en/b.md:5" in said
    code, said = run("nowhere")
    assert code == 1
    assert said.endswith("git cannot tell what has changed since nowhere.\n")
