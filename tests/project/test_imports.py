"""The imports between modules of the package: no private names, no later topics."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "d2lblocks"
NAV = (ROOT / "mkdocs.yml").read_text("utf-8").partition("- Topics:\n")[2]
TOPICS = [line[1] for line in re.finditer(r"^ +- (\w+)\.md\n", re.match(r"( {6}- .*\n)+", NAV)[0], re.M)]  # type: ignore[index]
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(source: str, package: list[str]) -> Iterator[tuple[list[str], str]]:
    """Yield each import from the package: the module's path below `d2lblocks`, and the name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            path = (node.module or "").split(".") if node.module else []
            if node.level:
                path = ["d2lblocks", *package[: len(package) + 1 - node.level], *path]
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                *path, name = alias.name.split(".")
                if path[:1] == ["d2lblocks"]:
                    yield path[1:], name
            continue
        else:
            continue
        if path[:1] == ["d2lblocks"]:
            yield from ((path[1:], name) for name in names)


def is_module(path: list[str]) -> bool:
    return PACKAGE.joinpath(*path).with_suffix(".py").is_file() or PACKAGE.joinpath(*path).is_dir()


def mistakes(source: str, module: list[str]) -> list[str]:
    """The errors in the imports of a module; `module` is its path below `d2lblocks`."""
    found = []
    own = module[0]
    for path, name in imports(source, module[:-1]):
        taken = [*path, name]
        if name.startswith("_") and not is_module(taken):
            found.append(f"private name: {'.'.join(taken)}")
        topic = taken[0]
        earlier = TOPICS[: TOPICS.index(own) + 1] if own in TOPICS else []
        if own not in ("__init__", "_command", "practice") and topic in TOPICS and topic not in earlier:
            found.append(f"later topic: {'.'.join(taken)}")
    return found


@pytest.mark.parametrize("file", FILES, ids=[file.relative_to(PACKAGE).as_posix() for file in FILES])
def test_imports_point_one_way(file: Path) -> None:
    """A module imports only public names, from earlier topics and private modules."""
    module = list(file.relative_to(PACKAGE).with_suffix("").parts)
    assert mistakes(file.read_text("utf-8"), module) == []


def test_the_topics_are_those_of_the_package() -> None:
    """The topics are listed in the order of the site."""
    there = {file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in FILES}
    assert {*TOPICS, "practice"} == {name for name in there if not name.startswith("_")}
    assert (TOPICS[0], TOPICS[-1]) == ("modules", "diagnosis")


@pytest.mark.parametrize(
    ("source", "module", "found"),
    [
        ("from d2lblocks.init import _fill", ["lazy"], ["private name: init._fill"]),
        ("from ._files import _create", ["serialization", "nets"], ["private name: serialization._files._create"]),
        ("from . import _files", ["serialization", "nets"], []),
        ("from d2lblocks._snapshot import Snapshot", ["init"], []),
        ("from d2lblocks.lazy import apply_init", ["init"], ["later topic: lazy.apply_init"]),
        ("from d2lblocks import lazy", ["init"], ["later topic: lazy"]),
        ("import d2lblocks.lazy", ["init"], ["later topic: lazy"]),
        ("from ..devices import gpu", ["serialization", "nets"], ["later topic: devices.gpu"]),
        ("from d2lblocks.modules import MLP", ["_snapshot"], ["later topic: modules.MLP"]),
        ("from d2lblocks.parameters import shared_names", ["init"], []),
        ("from torch import _C", ["init"], []),
    ],
)  # fmt: skip
def test_a_wrong_import_is_found(source: str, module: list[str], found: list[str]) -> None:
    """All forms of import are recognized."""
    assert mistakes(source, module) == found
