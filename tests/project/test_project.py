"""The project as a whole: lint, types, pins, the wheel, and the messages of failing commands."""

import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tools.pages import ROOT, project


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)  # type: ignore[call-overload]


EXERCISES = ROOT / "src/d2lblocks/practice/exercises"
LINTERS = ["ruff check", "ruff format --check", "mypy"]


@pytest.mark.parametrize("check", LINTERS)
def test_code_is_clean(check: str) -> None:
    """Lint, format, and mypy's strict type checks pass."""
    checked = run(sys.executable, "-m", *check.split())
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_hooks_before_a_commit_are_the_same() -> None:
    """A commit that passes the hooks is therefore clean here too; they use the versions in `.venv`."""
    hooks = re.findall(
        r"entry: \.venv/bin/python -m (.+)", (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    )
    assert hooks == LINTERS


def test_without_a_gpu_its_figures_stay() -> None:
    """`make bench` continues with the things that it can measure."""
    page = ROOT / "docs" / "en" / "speed.md"
    before = page.read_bytes()
    ran = run(sys.executable, "benchmarks/gpu.py", "--write", env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "torch finds no CUDA GPU here: the figures of a GPU stay as they are.\n"
    assert page.read_bytes() == before


def test_snippets_are_clean(tmp_path: Path) -> None:
    """Pages have no unused or undefined names. All pages are linted at once, with their own line numbers."""
    for page in project().pages():
        if page.path.suffix == ".md":
            lines = [""] * len(page.lines)
            for snippet in page.snippets:
                lines[snippet.line : snippet.last_line - 1] = snippet.code
            place = tmp_path / f"{page.name}.py"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("\n".join(lines), "utf-8")
    # F811 and E402: a page may redefine a name, and import a module just before its first use.
    rules = ["--isolated", "--select=E7,E9,F,W6", "--ignore=F811,E402", "--output-format=concise"]
    checked = run(sys.executable, "-m", "ruff", "check", *rules, tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_snippets_named_as_examples_exist() -> None:
    """Commands in the texts name tests that exist."""
    ids = {snippet.id for page in project().pages() for snippet in page.snippets}
    texts = [path.read_text("utf-8") for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/en/*.md"))]
    named = {name for text in texts for name in re.findall(r"test_snippet\[(.+?)\]", text)}
    assert named
    assert named <= ids


def test_every_package_is_pinned() -> None:
    """Every installed package, direct or not, has the version in `constraints.txt`."""
    pins = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    pinned = {canonicalize_name(name): version for name, version in pins}
    installed = {canonicalize_name(each.name): each.version for each in importlib.metadata.distributions()}
    del installed["d2lblocks"]  # this is the tested package
    installed.pop("pip", None)  # pip installs the others, unless uv does
    installed["torch"] = installed["torch"].split("+")[0]  # +cpu says where the build came from
    # A CUDA build of torch requires exact versions of its libraries, which no page needs.
    cuda = {name for name in installed if name.startswith(("cuda-", "nvidia-")) or name == "triton"}
    assert installed == {name: installed[name] if name in cuda else pinned.get(name) for name in installed}


def test_the_wheel_is_complete(tmp_path: Path) -> None:
    """The wheel has `py.typed`, the messages and the command, and the package can be imported from it alone."""
    run(sys.executable, "-m", "flit_core.wheel", "--outdir", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    exercises = {path.relative_to(ROOT / "src").as_posix() for path in EXERCISES.rglob("*.py")}
    assert {"d2lblocks/py.typed", "d2lblocks/diagnosis/messages.json", *exercises} <= {*names}
    (scripts,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "d2lblocks=d2lblocks._command:main" in zipfile.ZipFile(wheel).read(scripts).decode()
    script = f"import sys; sys.path.insert(0, {str(wheel)!r}); import d2lblocks; print(d2lblocks.__file__)"
    script += "; assert d2lblocks.explain('mat1 and mat2 shapes cannot be multiplied')"
    imported = run(sys.executable, "-c", script, env=os.environ | {"PYTHONSAFEPATH": "1"})
    assert imported.stdout.startswith(str(wheel)), imported.stderr


TARGETS = [
    "help",
    "serve",
    "test",
    "test-fast",
    "site",
    "offline",
    "zensical",
    "messages",
    "update",
    "gpu-record",
    "site-record",
    "bench",
    "torture",
    "mutants",
    "real-nets",
    "corpus",
    "clean",
]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@needs_make
def test_make_lists_its_targets() -> None:
    """Every target has one line."""
    listed = run("make").stdout
    assert re.findall(r"^make (\S+)\t\S", listed, re.M) == TARGETS


@needs_make
def test_make_says_that_the_port_is_taken() -> None:
    """The sentence names another port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        made = run("make", "serve", f"PORT={port}", f"PYTHON={sys.executable}")
    assert made.returncode != 0
    assert made.stderr.startswith(f"Port {port} cannot be had on 127.0.0.1")


def install(root: Path, before: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run tools/environment.py in an empty project, after code that removes something it needs."""
    (root / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "environment.py", root / "tools")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    after = "import runpy, sys; sys.argv[1:] = ['docs']; runpy.run_path('tools/environment.py', run_name='__main__')"
    command = [sys.executable, "-c", f"{before}\n{after}"]
    variables = os.environ | {"UV": ""} | environment  # test_environment.py covers uv
    return subprocess.run(command, cwd=root, env=variables, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ("import sys; sys.version_info = (3, 9, 1)", "This is Python 3.9, and d2lblocks needs 3.11 or newer"),
        ("import sys; sys.modules['ensurepip'] = None", "This Python cannot make virtual environments"),
    ],
)
def test_a_python_that_will_not_do_is_told(before: str, sentence: str, tmp_path: Path) -> None:
    """One sentence says what to do, and no environment is made."""
    installed = install(tmp_path, before)
    assert installed.returncode == 1
    assert installed.stderr.startswith(sentence)
    assert installed.stderr.count("\n") == 1
    assert not (tmp_path / ".venv").exists()


def test_no_network_is_told(tmp_path: Path) -> None:
    """The message is one sentence, and the next call tries again."""
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}
    others = {"PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "0"}
    installed = install(tmp_path, **nowhere, **others)
    assert installed.returncode == 1
    assert installed.stderr.startswith("The packages could not be fetched: connect to the network")
    assert installed.stderr.count("\n") == 1
    assert not (tmp_path / ".venv" / "installed-docs").exists()
