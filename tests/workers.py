"""Several workers: which tests stay together, which run first, and what is made once for all workers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Files with slow tests, the slowest first: each test goes to any free worker.
# In all other files, the tests of a file stay together.
LONG = (
    "test_docs",
    "test_site",
    "test_notebooks",
    "test_keyboard",
    "test_scripts",
    "test_programs",
    "test_gpu_record",
    "test_writers",
    "test_notebooks_and_scripts",
    "test_rewriting",
    "test_page_runner",
)

Once = Callable[[str, Callable[[Path], object]], Path]  # the fixture of this name


class Schedule(LoadScopeScheduling):
    """Work units in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        """The name of a test's work unit: tests of the same page share one, because they share its run."""
        file, _, test = nodeid.partition("::")
        if Path(file).stem not in LONG:
            return file
        name, _, parameters = test.rstrip("]").partition("[")
        return f"{file} {parameters.partition(':')[0] or name}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Schedule | None:
    if config.getoption("dist") != "load":  # the value that -n sets
        return None
    config.option.loadscopereorder = False
    return Schedule(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """A function that returns the folder with a name; the first worker that needs it makes it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def once(name: str, make: Callable[[Path], object]) -> Path:
        place = shared / f"shared-{name}"
        with FileLock(f"{place}.lock"):
            if not place.exists():
                make(part := place.with_name(f"{place.name}-part"))
                part.rename(place)
        return place

    return once
