"""Options of the test run."""

import sys

import pytest

from tools.generate.gpu_record import this_machine

pytest_plugins = [
    "tests.temporary_folder",
    "tests.workers",
    "tests.run_when_changed",
    "tests.edits_report",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pages")
    required = "fail, instead of skip, a snippet that needs at most N CUDA GPUs and finds fewer"
    group.addoption("--gpus-required", type=int, default=0, metavar="N", help=required)
    record = "run all pages on this machine's GPUs, and put on record what passed"
    group.addoption("--gpu-record", action="store_true", help=record)
    required = "fail, instead of skip, what needs a browser or a package of npm and finds none"
    group.addoption("--browser-required", action="store_true", help=required)
    without = "skip what needs a browser, though there is one"
    group.addoption("--no-browser", action="store_true", help=without)
    record = "put on record what each page weighs in a browser"
    group.addoption("--site-record", action="store_true", help=record)
    seconds = "stop a snippet that takes longer (default: 60)"
    group.addoption("--snippet-seconds", type=float, default=60, metavar="S", help=seconds)


def pytest_configure(config: pytest.Config) -> None:
    parallel = hasattr(config, "workerinput") or config.getoption("dist", "no") != "no"
    update, record = config.getoption("update_examples"), config.getoption("gpu_record")
    options = {
        "--update-examples": update,
        "--gpu-record": record,
        "--site-record": config.getoption("site_record"),
    }
    if parallel and (option := next((name for name, given in options.items() if given), "")):
        raise pytest.UsageError(f"{option} writes pages, so one process must do it: run it without -n")
    if update and record:
        raise pytest.UsageError("--gpu-record compares what --update-examples rewrites: run them in turn")
    if record and this_machine() is None:
        raise pytest.UsageError("--gpu-record needs a CUDA GPU, and torch finds none here")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Remove Hypothesis's plugin if no test uses it, because importing Hypothesis takes half a second."""
    if "hypothesis" not in sys.modules:
        session.config.pluginmanager.unregister(name="hypothesispytest")
