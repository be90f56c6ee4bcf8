"""The page runner is a library: another project can copy the folder and follow its docstring."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import page_runner
from tests.machinery.toy_project import fence
from tools.pages import ROOT

FOLDER = Path(page_runner.__file__).parent
# A project that differs from this one: other folders, and another name for the package.
PACKAGE = '''\
"""A toy.

{}"""


def twice(x):
    """Double it."""
    return 2 * x
'''
PAGE = (
    "# Toys\n\n"
    + fence("from toy.blocks import twice", "print(twice(2))", "#> 4")
    + fence("def twice(x):", "    return 2 * x", keys='title="toy/blocks.py"')
    + fence("1 / 0", "#> ZeroDivisionError: division by zero", keys='raises="ZeroDivisionError"')
)


def example() -> str:
    """The test file in the docstring."""
    lines = (page_runner.__doc__ or "").split("\n")
    block = [line[4:] for line in lines if line.startswith("    ") or not line]
    return "\n".join(block).strip() + "\n"


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The toy project: the runner's folder and one test file beside it."""
    docstring = fence("from toy.blocks import twice", "print(twice(1))", "#> 2")
    for name, text in {
        "docs/deep/toys.md": PAGE,
        "README.md": fence("print('readme')", "#> readme"),
        "src/toy/blocks.py": PACKAGE.format(docstring),
        "tests/test_pages.py": example(),
        "pytest.ini": "[pytest]\npythonpath = src\n",
    }.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    shutil.copytree(FOLDER, tmp_path / "tests" / "page_runner")
    return tmp_path


def ran(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def test_a_toy_project_is_proven(toy: Path) -> None:
    """Each snippet of the pages, the README and the docstrings is a test, and passes."""
    done = ran(toy)
    assert done.returncode == 0, done.stdout
    for snippet in ("deep/toys.md:3", "deep/toys.md:8", "deep/toys.md:12", "README.md:1", "blocks.py:3"):
        assert f"PASSED tests/test_pages.py::test_snippet[{snippet}]" in done.stdout
    assert "PASSED tests/test_pages.py::test_fences" in done.stdout


@pytest.mark.parametrize(
    ("file", "old", "new", "remark"),
    [
        ("docs/deep/toys.md", "#> 4", "#> 5", "docs/deep/toys.md:6: what the page shows is not what happens"),
        ("docs/deep/toys.md", "return 2 * x", "return 3 * x", "twice is not the one of toy/blocks.py"),
        ("docs/deep/toys.md", "#> ZeroDivisionError: div", "#> ZeroDivisionError: mod", "docs/deep/toys.md:14:"),
        ("docs/deep/toys.md", "```python\n", "```py\n", "a fence is ```python"),
        ("README.md", "#> readme", "#> README", "README.md:3: what the page shows"),
        ("src/toy/blocks.py", "#> 2", "#> 3", "src/toy/blocks.py:6: what the page shows"),
    ],
)  # fmt: skip
def test_its_lies_are_caught(file: str, old: str, new: str, remark: str, toy: Path) -> None:
    """Errors on a page, in the README and in a docstring are caught. The remark names pytest's own command
    instead of this project's.
    """
    place = toy / file
    assert old in place.read_text()
    place.write_text(place.read_text().replace(old, new, 1))
    done = ran(toy)
    assert done.returncode == 1
    assert remark in done.stdout
    assert "make update" not in done.stdout


def test_its_pages_are_rewritten(toy: Path) -> None:
    """The option that the docstring reads rewrites the pages."""
    place = toy / "docs" / "deep" / "toys.md"
    place.write_text(PAGE.replace("#> 4", "#> 5").replace("return 2 * x", "return 3 * x"))
    done = ran(toy, "--update-examples")
    assert done.returncode == 0, done.stdout
    assert place.read_text() == PAGE


def test_its_keys_are_its_own(toy: Path) -> None:
    """Keys can have other names, and a project can add keys for its site. Our own keys are unknown there."""
    tests, place = toy / "tests" / "test_pages.py", toy / "docs" / "deep" / "toys.md"
    keys = 'keys={"error": "raises", "file": "title", "color": "text"}'
    tests.write_text(tests.read_text().replace('package="src/toy"', f'package="src/toy", {keys}'))
    place.write_text(PAGE.replace("raises=", 'color="red" error=').replace("title=", "file="))
    assert ran(toy).returncode == 0
    place.write_text(PAGE)
    assert "there is no key title: there are error, file, color" in ran(toy).stdout


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """The modules that a file imports; relative ones start with a dot."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return found | {
        "." * node.level + (node.module or "") for node in nodes if isinstance(node, ast.ImportFrom)
    }


@pytest.mark.parametrize("path", modules("tests/page_runner"), ids=lambda path: path.name)
def test_it_knows_nothing_of_this_project(path: Path) -> None:
    """The runner does not mention this project's name or folders, or any files generated from pages."""
    text = path.read_text("utf-8")
    assert not [word for word in ("d2lblocks", "docs/en", "make update", "notebook") if word in text.lower()]
    assert not [name for name in imports(path) if name.partition(".")[0] in ("tests", "tools", "d2lblocks")]


def test_nobody_reaches_into_it() -> None:
    """Other code imports only the package itself; only its own tests use its modules."""
    users = [path for path in modules("tests", "tools", "benchmarks") if path.parent != FOLDER]
    inside = {
        path.relative_to(ROOT).as_posix(): name
        for path in users
        for name in imports(path)
        if name.startswith("tests.page_runner.")
    }
    assert {path for path in inside if not path.startswith("tests/machinery/")} == set()


def test_the_docstring_is_short() -> None:
    """About ten statements, not counting blank lines and imports."""
    body = ast.parse(example()).body
    assert len([node for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.stmt)]) <= 20
