"""Files that are not as they were written: damaged at random, or made to do harm."""

import copy
import json
import os
import random
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from d2lblocks import load_parameters
from d2lblocks.serialization import DamagedFileError, load_checkpoint, save_checkpoint
from tests.package import malicious_files, torture
from tests.package.malicious_files import signed
from tests.package.saved_states import same

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no fork and no alarms")


@posix
def test_what_is_damaged_is_refused() -> None:
    """If the damage has no effect, the file loads as it was. All errors have one class and change nothing."""
    outcomes, errors = torture.tally("d2lblocks", 1000, seed=0)
    assert outcomes.keys() == {"refused", "right"}
    assert errors.keys() == {"DamagedFileError"}
    assert outcomes.total() == 1000


@posix
def test_the_torture_finds_what_it_looks_for() -> None:
    """Without checksums, some files load wrong values, and some change the net before they are refused."""
    outcomes, errors = torture.tally("safetensors", 60, seed=0)
    assert min(outcomes[name] for name in ("refused", "right", "wrong", "half")) > 0
    assert errors.keys() == {"SafetensorError", "RuntimeError"}


def test_a_crash_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """The corruptions after it are still tried."""
    runs = [
        subprocess.CompletedProcess([], -11, "refused SomeError\nright \n"),
        subprocess.CompletedProcess([], -14, "wrong \n"),
        subprocess.CompletedProcess([], 0, "half SomeError\n"),
    ]
    asked = []

    def run(command: list[str], **options: Any) -> Any:
        asked.append(command[-2:])
        return runs.pop(0)

    monkeypatch.setattr(subprocess, "run", run)
    outcomes, errors = torture.tally("d2lblocks", 6, seed=0)
    assert asked == [["0", "6"], ["3", "6"], ["5", "6"]]
    assert outcomes == {"refused": 1, "right": 1, "crashed": 2, "wrong": 1, "half": 1}
    assert errors == {"SomeError": 2, "SIGSEGV": 1, "SIGALRM": 1}


@pytest.fixture(scope="module")
def attempts() -> dict[str, list[Any]]:
    """The cost of each file of malicious_files.py, at a tenth of the default size."""
    run = subprocess.run([sys.executable, malicious_files.__file__, "100000"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    costs: dict[str, list[Any]] = {}
    for name, *cost in map(json.loads, run.stdout.splitlines()):
        costs.setdefault(name, []).append(cost)
    return costs


@posix
@pytest.mark.parametrize("name", [*malicious_files.FILES, *malicious_files.SIGNED])
def test_malice_is_refused(name: str, attempts: dict[str, list[Any]]) -> None:
    """The error comes quickly, uses little memory for the size of the file, and runs no code in it."""
    assert len(attempts[name]) >= 2
    for error, seconds, memory, size, message in attempts[name]:
        assert error in ("DamagedFileError", "RuntimeError")
        assert seconds < 2 + size
        assert memory < 80 + 40 * size
        assert message < 1_000_100


def test_no_code_of_a_checkpoint_is_run(tmp_path: Path) -> None:
    """A pickle with the name of a checkpoint is refused; the format itself has no place for code."""
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        (tmp_path / "step-1.safetensors").write_bytes(malicious_files.pickled(**options))
        with pytest.raises(DamagedFileError, match=r"it is a file of torch.save: torch.load"):
            load_checkpoint(tmp_path, 1, net=nn.Linear(2, 1))
    assert not Path("harm").exists()


@pytest.mark.parametrize("verify", [True, False])
def test_a_file_without_checksums_is_loaded_only_unverified(verify: bool, tmp_path: Path) -> None:
    """The error says how to load it, and comes even if names do not fit, because without checksums the
    content may be anything.
    """
    net, other = nn.Linear(2, 1), nn.Linear(2, 1)
    safetensors.torch.save_file(net.state_dict(), tmp_path / "x")
    load = partial(load_parameters, path=tmp_path / "x", verify=verify)
    if verify:
        for misfit in (other, nn.ModuleDict({"a": other})):
            with pytest.raises(
                DamagedFileError, match=r"has no checksums: verify=False loads it unverified$"
            ):
                load(misfit)
    else:
        assert same(load(other).state_dict(), net.state_dict())


# Notes with a right checksum that no checkpoint would contain.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(10**400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["Tensor", "tuple", "dict", "Counter", "x"]), inner, max_size=2)
    ),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """All places in a nested value: container and key. Of a long list, only the first entries."""
    keys = (
        list(value)
        if isinstance(value, dict)
        else range(min(len(value), 20))
        if isinstance(value, list)
        else []
    )
    return [place for key in keys for place in [(value, key), *places(value[key])]]


def run() -> dict[str, Any]:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(2)).backward()
    optimizer.step()
    return {"net": net, "optimizer": optimizer, "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 2)}


def look(parts: dict[str, Any]) -> Any:
    random_states = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()
    return copy.deepcopy([*(part.state_dict() for part in parts.values()), *random_states])


@settings(deadline=None, max_examples=300)
@given(value=JSON, data=st.data())
def test_notes_of_any_kind_are_loaded_or_refused(
    value: Any, data: st.DataObject, tmp_path_factory: Any
) -> None:
    """The error is a RuntimeError, after which nothing has changed. This includes missing notes."""
    folder = tmp_path_factory.mktemp("run")
    parts = run()
    path = save_checkpoint(folder, 1, loss=0.5, **parts)

    def change(ours: dict[str, Any]) -> None:
        found = places(ours)
        holder, key = found[data.draw(st.integers(0, len(found) - 1))]
        if data.draw(st.booleans()) and isinstance(holder, dict):
            del holder[key]
        else:
            holder[key] = value

    signed(path, change)
    parts = run()
    before = look(parts)
    for which in (1, "best"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                load_checkpoint(folder, which, **parts)
            except RuntimeError:
                assert same(look(parts), before)
            else:
                break


def test_random_states_that_would_read_beyond_memory_are_refused(tmp_path: Path) -> None:
    """NumPy accepts any position; torch and Python check theirs."""
    path = save_checkpoint(tmp_path, 1)

    def change(ours: dict[str, Any]) -> None:
        states = dict(ours["notes"]["random"]["dict"])
        states["numpy"]["tuple"][2] = 10**9

    signed(path, change)
    before = look({})
    with pytest.raises(RuntimeError, match=r"random states: ValueError\(.*no position 1000000000"):
        load_checkpoint(tmp_path, 1)
    assert same(look({}), before)


def test_a_tensor_is_read_once(tmp_path: Path) -> None:
    """Otherwise a small file could name a tensor a million times and fill the memory."""
    path = save_checkpoint(tmp_path, 1, optimizer=run()["optimizer"])

    def change(ours: dict[str, Any]) -> None:
        name = "optimizer.state.0.exp_avg"
        ours["notes"]["states"]["optimizer"] = [{"Tensor": name}, {"Tensor": name}]

    signed(path, change)
    with pytest.raises(
        DamagedFileError, match=r"it is not a checkpoint: KeyError\('optimizer.state.0.exp_avg'\)"
    ):
        load_checkpoint(tmp_path, 1, optimizer=run()["optimizer"])
