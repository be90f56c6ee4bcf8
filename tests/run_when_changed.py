"""Run the tests in machinery/ only if the files they test have changed since they passed, or on request.

The option --machinery always runs them.
They are a third of all tests and say nothing about the pages or the package.
If all of them pass in a run of all tests, pytest's cache stores a digest of the files.
"""

import hashlib
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "machinery"
KEY = "machinery/passed"
# The files that determine the results of these tests, besides the version of Python.
TESTED = ("tests/*.py", "tests/machinery/*", "tests/page_runner/*", "tests/pages/*", "tools/**/*")
PINNED = ("Makefile", "constraints.txt", "pyproject.toml")


def pytest_addoption(parser: pytest.Parser) -> None:
    always = "run the tests of the machinery, whether or not it has changed since they passed"
    parser.getgroup("pages").addoption("--machinery", action="store_true", help=always)


class Machinery:
    """Whether this run leaves these tests out, and whether it may store that they passed."""

    def __init__(self, config: pytest.Config) -> None:
        everything = config.args_source == pytest.Config.ArgsSource.TESTPATHS
        self.whole = everything and not (config.option.keyword or config.option.markexpr)
        self.digest = digest()
        self.passed = self.failed = 0
        cache = getattr(config, "cache", None)
        known = cache.get(KEY, None) if cache else None
        self.left_out = everything and not config.getoption("machinery") and known == self.digest

    def pytest_configure_node(self, node: object) -> None:
        """Tell a worker the decision of the process that starts it."""
        node.workerinput["machinery_left_out"] = self.left_out  # type: ignore[attr-defined]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid.startswith("tests/machinery/"):
            self.passed += report.passed and report.when == "call"
            self.failed += report.failed

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        stopped = session.shouldstop or session.shouldfail
        cache = getattr(session.config, "cache", None)
        if cache and self.whole and self.passed and not self.failed and not stopped:
            cache.set(KEY, self.digest)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.left_out:
            terminalreporter.write_line(
                "tests/machinery was left out: what it tests has not changed since it passed. "
                "--machinery runs it."
            )


def digest() -> str:
    """A digest of everything that determines the results of these tests."""
    found = hashlib.sha256(f"{sys.version} {platform.platform()}".encode())
    for path in files():
        found.update(path.relative_to(ROOT).as_posix().encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def files() -> Iterator[Path]:
    for pattern in (*TESTED, *PINNED):
        yield from sorted(path for path in ROOT.glob(pattern) if path.is_file() and path.suffix != ".pyc")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Machinery(config), "machinery")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if hasattr(config, "workerinput"):
        left_out = config.workerinput["machinery_left_out"]
    else:
        left_out = config.pluginmanager.getplugin("machinery").left_out
    return True if left_out and collection_path.is_relative_to(FOLDER) else None
