"""Options of the doc tests, and a fresh torch for every other test."""

import sys
from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("pages")
    required = "fail, instead of skip, a snippet that needs at most N CUDA GPUs and finds fewer"
    group.addoption("--gpus-required", type=int, default=0, metavar="N", help=required)
    seconds = "stop a snippet that takes longer (default: 60)"
    group.addoption("--snippet-seconds", type=float, default=60, metavar="S", help=seconds)


def pytest_configure(config: pytest.Config) -> None:
    parallel = hasattr(config, "workerinput") or config.getoption("dist", "no") != "no"
    if config.getoption("update_examples") and parallel:
        raise pytest.UsageError(
            "--update-examples writes pages, so one process must do it: run it without -n"
        )


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
