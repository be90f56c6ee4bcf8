"""Fresh global state of torch and the same random numbers for every test.

One thread, so that workers do not slow each other down.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def fresh_torch() -> Iterator[None]:
    """Seed every generator, and reset torch's global state after each test."""
    dtype, grad, threads = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        for set_seed in (torch.manual_seed, random.seed, np.random.seed):
            set_seed(0)
        yield
    torch.set_default_dtype(dtype)
    torch.set_default_device(None)
    torch.set_grad_enabled(grad)
    torch.set_num_threads(threads)
    torch.set_printoptions(profile="default")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; no temporary file may be left in it."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert list(tmp_path.rglob(".d2lblocks-*")) == []
