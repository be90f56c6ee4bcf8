"""How long does it take to test pages, compared with executing their code, and with other tools?

python benchmarks/pages.py [--sizes N ...] [--rounds N] [--write]

The real pages are those of the site, the README and the docstrings. The other sites have N snippets on six
pages, each of which prints a number. Bare Python executes the same code in one process, and compares
nothing. All import torch. Times are for a whole command; processor time includes all of its processes.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nbformat
from measure import ROOT, arguments, origin, ratio, seconds, show, table, take_turns, with_its_spread

from tests.machinery.toy_project import fence, prepare
from tools.pages import project

PAGES = 6
PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h
TOO_LONG = 120  # seconds: a slower tool is not run on larger sites

BARE = """
import json
import os
import sys
import types
from tempfile import mkdtemp

import torch

torch.set_num_threads(1)
this = sys.modules["__main__"]
for program in json.load(open("programs.json")):
    os.chdir(mkdtemp(dir=sys.argv[1]))
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    for code, raises in program:
        try:
            exec(compile(code, "page", "exec"), module.__dict__)
        except BaseException:
            if not raises:
                raise
"""
NOTEBOOKS = """
from pathlib import Path

import nbformat
from nbclient import NotebookClient

for path in sorted(Path(".").glob("*.ipynb")):
    NotebookClient(nbformat.read(path, as_version=4)).execute()
"""
EXAMPLES = """
import pytest
from pytest_examples import find_examples


@pytest.mark.parametrize("example", list(find_examples("docs")), ids=str)
def test_page(example, eval_example):
    eval_example.run_print_check(example)
"""
MKTESTDOCS = """
from pathlib import Path

import pytest
from mktestdocs import check_md_file


@pytest.mark.parametrize("path", sorted(Path("docs").glob("*.md")), ids=str)
def test_page(path):
    check_md_file(path, memory=True)
"""
SYBIL = """
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

pytest_collect_file = Sybil([PythonCodeBlockParser()], pattern="*.md").pytest()
"""


def snippets(page: int, count: int) -> list[list[str]]:
    """Short snippets, all different and independent of each other."""
    first = ["import torch", f"print({page})", f"#> {page}"]
    others = [[f"x = {n} * {page}", "print(x)", f"#> {n * page}"] for n in range(1, count)]
    return [first, *others]


def site(folder: Path, size: int) -> None:
    """Write the same snippets as pages, as one program per page, as notebooks, and as doctests."""
    docs, doctests = folder / "ours" / "docs" / "en", folder / "doctests"
    for place in (docs, doctests):
        place.mkdir(parents=True)
    programs = []
    for page in range(PAGES):
        parts = snippets(page, size // PAGES)
        (docs / f"page{page}.md").write_text("\n".join(fence(*part) for part in parts))
        in_a_shell = ["\n".join([*(f">>> {line}" for line in part[:-1]), part[-1][3:]]) for part in parts]
        (doctests / f"page{page}.md").write_text("\n".join(fence(part) for part in in_a_shell))
        cells = [nbformat.v4.new_code_cell("\n".join(part)) for part in parts]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"page{page}.ipynb")
        programs.append([["\n".join(part), False] for part in parts])
    prepare(folder / "ours")
    (folder / "docs").symlink_to(docs)
    (folder / "programs.json").write_text(json.dumps(programs))
    for name, text in (
        ("doctests/conftest", SYBIL),
        ("test_examples", EXAMPLES),
        ("test_mktestdocs", MKTESTDOCS),
    ):
        (folder / f"{name}.py").write_text(text)


def real(folder: Path) -> int:
    """Write the code of the real pages, one program after the other; return the number of snippets."""
    programs: dict[str, list[tuple[str, bool]]] = {}
    for page in project().pages():
        for snippet in page.snippets:
            if not snippet.gpus:
                part = "\n".join(snippet.code), bool(snippet.raises)
                programs.setdefault(snippet.program, []).append(part)
    (folder / "programs.json").write_text(json.dumps(list(programs.values())))
    return sum(map(len, programs.values()))


def command(*arguments: str | Path, cwd: Path) -> dict[str, float]:
    """The seconds until a command ends, and the processor seconds of all processes that it has started."""
    # Use a separate temporary folder: pytest removes the folders of earlier runs from a shared one.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=os.environ | {"TMPDIR": own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wall = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{arguments} in {cwd}: {done.stdout}")
    try:
        while True:
            os.wait()  # processes that the command has left belong to this process now
    except ChildProcessError:
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu}


def pytest_(*arguments: str | Path) -> list[str | Path]:
    return ["-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


WAYS: dict[str, Callable[..., dict[str, float]]] = {
    "bare Python": partial(command, "-c", BARE, "."),
    "d2lblocks": partial(command, *pytest_("tests/pages/test_docs.py::test_snippet")),
    "pytest-examples": partial(command, *pytest_("test_examples.py")),
    "sybil": partial(command, *pytest_("doctests")),
    "pytest-markdown-docs": partial(command, *pytest_("--markdown-docs", "docs")),
    "mktestdocs": partial(command, *pytest_("test_mktestdocs.py")),
    "nbclient": partial(command, "-c", NOTEBOOKS),
}


def run(places: dict[str, Path], way: str) -> dict[str, float]:
    return WAYS[way](cwd=places[way])


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--sizes", nargs="+", type=int, default=[60, 240, 960, 3840], help="of sites, from small to large"
    )
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)

    with tempfile.TemporaryDirectory() as name:
        count = real(Path(name))
        places = {"bare Python": Path(name), "d2lblocks": ROOT}
        found = take_turns(places, partial(run, places), options.rounds)
    bare = found["bare Python"]
    rows = [
        [f"{way}, {what}", seconds(values, with_spread=True), ratio(values, [each[key] for each in bare])]
        for key, what in (("wall", "until it ends"), ("cpu", "processor time"))
        for way, results in found.items()
        for values in [[each[key] for each in results]]
    ]
    real_pages = table([f"{count} snippets of the real pages", "time", "ratio to bare Python"], rows)

    costs: dict[str, dict[int, list[dict[str, float]]]] = {way: {} for way in WAYS}
    for size in options.sizes:
        ways = [
            way
            for way in WAYS
            if all(each["wall"] < TOO_LONG for results in costs[way].values() for each in results)
        ]
        with tempfile.TemporaryDirectory() as name:
            site(Path(name), size)
            places = {way: Path(name, "ours" if way == "d2lblocks" else "") for way in ways}
            for way, results in take_turns(places, partial(run, places), options.rounds).items():
                costs[way][size] = results
    smallest, largest = options.sizes[0], options.sizes[-1]

    def one_more(way: str, key: str) -> str:
        """The milliseconds for each additional snippet, without the fixed cost."""
        if largest not in costs[way]:
            return ""
        sides = zip(costs[way][smallest], costs[way][largest], strict=True)
        differences = [(more[key] - less[key]) / (largest - smallest) for less, more in sides]
        return with_its_spread([difference * 1000 for difference in differences])

    rows = [
        [
            way,
            *(
                with_its_spread([each["wall"] for each in results[size]]) if size in results else ""
                for size in options.sizes
            ),
            one_more(way, "wall"),
            one_more(way, "cpu"),
        ]
        for way, results in costs.items()
    ]
    sizes = [f"{size:,}, s" for size in options.sizes]
    head = ["snippets on six pages", *sizes, "one more, ms", "processor time, ms"]
    synthetic = table(head, rows)
    notes = ["", origin(options.rounds, "torch", "pytest", "pytest-examples", "sybil", "nbclient")]
    tables = {
        ("speed.md", "table of real pages"): real_pages + notes,
        ("speed.md", "table of synthetic pages"): synthetic + notes,
    }
    show(tables, options.write)


if __name__ == "__main__":
    main()
