"""The environment made by tools/environment.py: with uv if it is on the PATH, otherwise with pip."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tools.pages import ROOT

BIN = Path(sys.executable).parent
UV = shutil.which("uv", path=BIN)  # the group `test` installs it
PINS = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M))
needs_scripts = pytest.mark.skipif(os.name == "nt", reason="Windows does not run a script by its name")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files of this project that tools/environment.py needs, and no others."""
    (tmp_path / "tools").mkdir()
    for name in ("tools/environment.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def environment() -> dict[str, str]:
    """The variables of this process, without those that configure pip or uv."""
    ours = {name: value for name, value in os.environ.items() if not re.match("PIP_|UV_|UV$|SSL_", name)}
    return ours | {"PIP_CONFIG_FILE": os.devnull}


def make(
    project: Path, environment: dict[str, str], group: str = "docs", **more: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/environment.py", group]
    return subprocess.run(command, cwd=project, env=environment | more, capture_output=True, text=True)


def stand_in(path: Path, error: str = "") -> Path:
    """A fake uv that records its calls in a file and, if `error` is given, fails with it."""
    path.write_text(f"""#!{sys.executable}
import json, os, shutil, sys
variables = {{name: value for name, value in os.environ.items() if name.startswith(("UV_", "SSL_"))}}
with open({f"{path}.calls"!r}, "a") as file:
    print(json.dumps([sys.argv[1:], variables]), file=file)
if sys.argv[1] == "venv":
    shutil.rmtree(sys.argv[-1], ignore_errors=True)
    os.mkdir(sys.argv[-1])
elif {error!r}:
    sys.exit({error!r})
""")
    path.chmod(0o755)
    return path


def calls(uv: Path) -> list[tuple[list[str], dict[str, str]]]:
    return [tuple(json.loads(line)) for line in Path(f"{uv}.calls").read_text().splitlines()]


@needs_scripts
def test_uv_on_the_path_makes_the_environment(
    project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """The environment gets the same group, under the same constraints, and pip."""
    uv = stand_in(tmp_path / "uv")
    made = make(project, environment, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert (made.returncode, made.stderr) == (0, "")
    (venv, _), (pip, variables) = calls(uv)
    assert venv[0] == "venv"
    assert "--clear" in venv  # an environment of another Python is useless
    assert Path(venv[-1]) == project / ".venv"
    assert venv[venv.index("--python") + 1] == getattr(sys, "_base_executable", sys.executable)
    assert pip[:2] == ["pip", "install"]
    assert Path(pip[pip.index("--python") + 1]).parent.parent == project / ".venv"
    assert "pip" in pip[2:]
    for option, value in {"--constraint": "constraints.txt", "--group": "docs"}.items():
        assert pip[pip.index(option) + 1] == value
    assert variables == {"UV_INDEX_STRATEGY": "unsafe-best-match"}


@needs_scripts
def test_a_group_can_have_pins_of_its_own(project: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """The group's pins are added to the project's. Its separate environment is updated when they change."""
    uv, pins = stand_in(tmp_path / "uv"), project / "tools" / "real_nets" / "constraints.txt"
    pins.parent.mkdir()
    installed = []
    for versions in ("timm==1", "timm==2", "timm==2"):
        pins.write_text(versions)
        made = make(project, environment, "real-nets", UV=str(uv))
        assert (made.returncode, made.stderr) == (0, "")
        installed.append((project / ".venv-real-nets" / "installed-real-nets").read_text())
    assert installed[0] != installed[1] == installed[2]
    for command in [command for command, _ in calls(uv) if command[0] == "pip"]:
        options = [value for option, value in pairwise(command) if option == "--constraint"]
        assert options == ["constraints.txt", "tools/real_nets/constraints.txt"]
        assert Path(command[command.index("--python") + 1]).parent.parent == project / ".venv-real-nets"


@needs_scripts
def test_uv_looks_for_packages_where_pip_does(
    project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """pip's variables and files are used, but uv's own settings have priority."""
    uv, config = stand_in(tmp_path / "uv"), tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://a/\nextra-index-url = https://b/\n  https://c/\nfind-links = /d /e\n"
        "cert = /f\ntrusted-host = a\n[install]\nindex-url = https://g/\n"
    )
    files = {"PIP_CONFIG_FILE": str(config)}
    variables = {"PIP_EXTRA_INDEX_URL": "https://h/ https://i/", "PIP_TRUSTED_HOST": "h"}
    make(project, environment, UV=str(uv), **files)
    make(project, environment, UV=str(uv), **files, **variables)
    make(project, environment, UV=str(uv), **files, UV_FIND_LINKS="/j", UV_INDEX_STRATEGY="first-index")
    of_files = {
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://g/",
        "UV_EXTRA_INDEX_URL": "https://b/ https://c/",
        "UV_FIND_LINKS": "/d,/e",
        "UV_INSECURE_HOST": "a",
        "SSL_CERT_FILE": "/f",
    }
    assert [told for (command, *_), told in calls(uv) if command == "pip"] == [
        of_files,
        of_files | {"UV_EXTRA_INDEX_URL": "https://h/ https://i/", "UV_INSECURE_HOST": "h"},
        of_files | {"UV_FIND_LINKS": "/j", "UV_INDEX_STRATEGY": "first-index"},
    ]


@needs_scripts
def test_uv_can_be_refused(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty `UV=` does that. A uv inside the environment is never used, because it would remove itself."""
    uv, own = stand_in(tmp_path / "uv"), project / ".venv" / "bin" / "uv"
    own.parent.mkdir(parents=True)
    find_uv = runpy.run_path(str(project / "tools" / "environment.py"))["find_uv"]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("UV", raising=False)
    assert find_uv() == str(uv)
    monkeypatch.setenv("UV", "")
    assert find_uv() is None
    monkeypatch.setenv("UV", str(stand_in(own)))
    assert find_uv() is None


@needs_scripts
def test_an_error_of_uv_is_told(project: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """One line has the reason, and says how to use pip instead. The next call tries again."""
    uv = stand_in(
        tmp_path / "uv", "error: No solution found\n  cause: there is no version of x==9\nAnd more."
    )
    made = make(project, environment, UV=str(uv))
    assert made.returncode == 1
    assert made.stderr == (
        "uv could not install the packages, and says: No solution found: there is no version of x==9 "
        f"(all of it is in {Path('.venv', 'install.log')}). To use pip instead, run `UV= make serve`.\n"
    )
    assert list((project / ".venv").glob("installed-*")) == []


@pytest.mark.parametrize("index", ["http://127.0.0.1:9/", "http://nowhere.invalid/"])
def test_no_network_is_told_with_uv(index: str, project: Path, environment: dict[str, str]) -> None:
    """The sentence is the same as with pip. This test uses the real uv."""
    alone = {"UV": str(UV), "UV_DEFAULT_INDEX": index, "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0"}
    made = make(project, environment, **alone)
    assert made.returncode == 1
    assert made.stderr.startswith("The packages could not be fetched: connect to the network")
    assert made.stderr.count("\n") == 1
    assert list((project / ".venv").glob("installed-*")) == []


@pytest.mark.network
@pytest.mark.parametrize(("first", "second"), [(str(UV), ""), ("", str(UV))], ids=["uv", "pip"])
def test_the_environment_is_as_pinned(
    first: str, second: str, project: Path, pytestconfig: pytest.Config
) -> None:
    """With either tool, and after the other tool has updated it, it has the pins and pip, but not torch, and
    it works.
    """
    if not pytestconfig.getoption("browser_required"):
        pytest.skip("it fetches packages: `python -m pytest -m network --browser-required` runs it")
    settings = dict(os.environ)  # with the package indexes of this machine
    for tool in (first, second):
        made = make(project, settings, UV=tool)
        assert (made.returncode, made.stderr) == (0, "")
        assert made.stdout == "Installing what the site needs (no torch) into .venv, once ...\n"
        python = project / ".venv" / BIN.name / Path(sys.executable).name
        listed = subprocess.run(
            [python, "-m", "pip", "list", "--format=json"], capture_output=True, check=True
        )
        versions = {each["name"]: each["version"] for each in json.loads(listed.stdout)}
        versions.pop("setuptools", None)  # Python 3.11 adds it to every environment
        assert {"mkdocs-material", "pip", "ruff"} <= versions.keys()
        assert versions == {name: PINS.get(name) for name in versions}
        assert "torch" not in versions
        subprocess.run([python, "-m", "mkdocs", "--version"], check=True, capture_output=True)
        assert make(project, settings, UV=tool).stdout == ""
        with open(project / "constraints.txt", "a", encoding="utf-8") as file:
            file.write("# changed\n")
