"""Options of the doc tests, the built site, and a fresh torch for every test."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from built import PUBLISHED, Needs, Once, build
from page.record import this_machine

pytest_plugins = ["browser", "schedule"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pages")
    required = "fail, instead of skip, a snippet that needs at most N CUDA GPUs and finds fewer"
    group.addoption("--gpus-required", type=int, default=0, metavar="N", help=required)
    record = "run all pages on this machine's GPUs, and put on record what passed"
    group.addoption("--gpu-record", action="store_true", help=record)
    required = "fail, instead of skip, what needs a browser or a package of npm and finds none"
    group.addoption("--browser-required", action="store_true", help=required)
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
    """Without tests that use Hypothesis, its plugin would import it, for half a second, to say nothing."""
    if "hypothesis" not in sys.modules:
        session.config.pluginmanager.unregister(name="hypothesispytest")


@pytest.fixture(scope="session")
def needs(pytestconfig: pytest.Config) -> Needs:
    """The path of a tool that not every machine has; without it the test is skipped, or fails."""

    def place(name: str, path: str | Path | None, remedy: str) -> str:
        if path is None or not Path(path).is_file():
            fail_or_skip = pytest.fail if pytestconfig.getoption("browser_required") else pytest.skip
            fail_or_skip(f"There is no {name} here: {remedy}.")
        return str(path)

    return place


@pytest.fixture(scope="session")
def site(once: Once) -> Path:
    """The built site, once for all tests that look at it."""
    return once("site", build)


@pytest.fixture(scope="session")
def published(once: Once) -> Path:
    """The site as it is built for an address of its own, in a folder of a server, and where torch is not."""
    return once("published", partial(build, address=PUBLISHED, torch=False))


@pytest.fixture(autouse=True)
def fresh_torch() -> Iterator[None]:
    """What one test does to torch's global state, the next one does not see."""
    torch = sys.modules.get("torch")  # the doc tests do not import it: their pages run elsewhere
    if torch is None:
        yield
        return
    dtype, grad, threads = (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    torch.set_default_dtype(dtype)
    torch.set_default_device(None)
    torch.set_grad_enabled(grad)
    torch.set_num_threads(threads)
    torch.set_printoptions(profile="default")
