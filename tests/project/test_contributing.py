"""The maps of the project name files that exist: CONTRIBUTING, and the docstring of each folder."""

import re
import subprocess
from pathlib import Path

import pytest

from tools.pages import ROOT

MAPPED = ["src", "tests", "tools"]
# A path in backticks: folders end with a slash, files have a suffix. NAME and TOPIC can be any topic.
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|yml|toml|txt|cff))`")


def tracked() -> list[Path]:
    """The files of the project, including new ones that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [Path(name) for name in names.split("\0") if name and (ROOT / name).exists()]


def folders() -> list[Path]:
    """Every folder of Python files that must have a map; those of exercises have a list, with its own test."""
    homes = {path.parent for path in tracked() if path.suffix == ".py" and path.parts[0] in MAPPED}
    return sorted(home for home in homes if "exercises" not in home.parts)


def test_every_path_in_contributing_is_there() -> None:
    """All text in backticks that looks like a path names a file or folder."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = {name.replace("NAME", "modules").replace("TOPIC", "modules") for name in PATH.findall(text)}
    assert len(named) > 20
    made = {"docs/gpu-record.json"}  # only on a machine with a GPU
    missing = [name for name in named - made if not any((ROOT / at / name).exists() for at in places(name))]
    assert missing == []


def places(name: str) -> list[str]:
    """The folders where a path in CONTRIBUTING may start: the root, and other folders for shortened paths."""
    shortened = name.startswith(("css/", "js/", "img/", "partials/", "llms")) or name == "main.html"
    return ["", *(["docs/theme"] if shortened else []), *(["docs/en"] if name == "init.md" else [])]


def test_the_map_comes_first() -> None:
    """The map is on the first screen of CONTRIBUTING."""
    lines = (ROOT / "CONTRIBUTING.md").read_text("utf-8").split("\n")
    assert lines.index("| you want to ... | look in ... |") < 6


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.as_posix())
def test_the_map_of_a_folder_has_every_file(folder: Path) -> None:
    """The top of its `__init__` names each Python file and folder, and nothing else."""
    text = (ROOT / folder / "__init__.py").read_text("utf-8")
    named = set(re.findall(r"^(?:# )?(\w+(?:\.py|/))  ?", text, re.M))
    inside = [path.relative_to(folder) for path in tracked() if path.is_relative_to(folder)]
    python = [path for path in inside if path.suffix == ".py" and path.name != "__init__.py"]
    there = {path.name if len(path.parts) == 1 else f"{path.parts[0]}/" for path in python}
    if folder == Path("tests/package"):  # these match test_TOPIC.py
        there -= {path.name for path in python if (ROOT / "docs/en" / f"{path.stem[5:]}.md").exists()}
        named -= {"test_TOPIC.py"}
    assert named - {"conftest.py"} == there - {"conftest.py"}
