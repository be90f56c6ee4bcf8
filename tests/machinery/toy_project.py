"""A small project of pages for the tests of the page runner, and functions to run it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.page_runner import Page
from tests.pages.doc_tests import DocTests
from tools import pages as this_project
from tools.generate.gpu_record import Machine

TESTS = Path(__file__).parents[1]

LIBRARY = '''\
import math
from typing import Any, overload

HALF = 0.5


def scale(x, by=2):
    """Multiply."""
    # an old habit
    return x * by


class Scaler:
    """Holds a factor."""

    def __init__(self, by: float = HALF) -> None:
        """Keep it."""
        self.by = by


ONE, TWO = 1, 2


@overload
def pick(x: int) -> int: ...
@overload
def pick(x: str) -> str: ...
def pick(x):
    return x
'''


def fence(*code: str, keys: str = "", indent: str = "") -> str:
    """The text of one snippet on a page."""
    header = f"```python {{{keys}}}" if keys else "```python"
    return "".join(
        f"{indent}{line}\n" if line else "\n" for line in (header, *"\n".join(code).split("\n"), "```")
    )


def project(root: Path, **pages: str) -> Path:
    """Make a small project that has these pages and a small library."""
    for name, text in {"docs/en/page.md": "", **pages, "src/d2lblocks/lib.py": LIBRARY}.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode())
    return root


def pages_of(root: Path) -> list[Page]:
    """The pages of a project, read in the same way as those of this project."""
    return this_project.project(root).pages()


def check(
    root: Path, seconds: float = 30, update: bool = False, machine: Machine | None = None
) -> dict[str, str]:
    """The result of the doc tests for every snippet of a project, and the problems of its pages."""
    pages = pages_of(root)
    scratch = Path(tempfile.mkdtemp(dir=root))
    checked = DocTests(pages, root, scratch, seconds, update, machine)
    said = {page.short: "\n".join(page.problems) for page in pages if page.problems}
    for page in pages:
        for snippet in page.snippets:
            remark, skipped = checked(snippet)
            said[snippet.id] = remark or (skipped and f"skipped: {skipped}")
    checked.close()
    return said


# The files that a small project gets, with their compiled versions.
DOC_TESTS = (
    "tests/__init__.py",
    "tests/conftest.py",
    "tests/edits_report.py",
    "tests/workers.py",
    "tests/run_when_changed.py",
    "tests/temporary_folder.py",
    "tests/page_runner",
    "tools",
    "pyproject.toml",
)
OF_PAGES = ("__init__.py", "doc_tests.py", "test_docs.py")


def prepare(root: Path) -> None:
    """Copy the real doc tests into a small project."""
    if (root / "tests").exists():
        return
    for name in (*DOC_TESTS, *(f"tests/pages/{each}" for each in OF_PAGES)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (TESTS.parent / name).is_dir() else shutil.copy
        copy(TESTS.parent / name, root / name)


def pytest_run(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real doc tests on the pages of a small project, in a separate process."""
    prepare(root)
    once = "not smaller_processor"  # run each page once, with the processor as it is
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "-k", once, *arguments]
    return subprocess.run(command, cwd=root, env=os.environ | environment, capture_output=True, text=True)


FAKE_TORCH = """\
from types import SimpleNamespace

__version__, version = {version!r}, SimpleNamespace(cuda="13.0")
cuda = SimpleNamespace(device_count=lambda: {gpus}, get_device_name=lambda *device: "NVIDIA H100")
set_num_threads = set_rng_state = get_rng_state = lambda *state: None
"""


def fake_torch(root: Path, gpus: int, version: str) -> dict[str, str]:
    """The environment of a machine with GPUs and another torch, as far as the doc tests look at it."""
    # Each fake has its own folder: Python would reuse a compiled file if size and time were the same.
    place = root / f"fake-torch-{version}-{gpus}" / "torch.py"
    place.parent.mkdir(exist_ok=True)
    place.write_text(FAKE_TORCH.format(gpus=gpus, version=version), "utf-8")
    paths = [str(place.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


def results(run: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """How the test of every snippet ended."""
    found = re.findall(r"^(PASSED|FAILED|XFAIL) \S*test_docs\.py::test_snippet\[(.*?)\]", run.stdout, re.M)
    return {name: end for end, name in found}
