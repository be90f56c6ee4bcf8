"""Rotation: which checkpoints are kept, and which one is loaded."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from d2lblocks import save_parameters
from d2lblocks.serialization import DamagedFileError, _folder, _format, load_checkpoint, save_checkpoint

# Which files are kept.


def net(value: float = 0.0) -> nn.Linear:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.fill_(value)
    return layer


def save(folder: Path, *steps: int, **options: Any) -> list[int]:
    """Save these steps, each with its number in the net; return the steps that have a file."""
    for step in steps:
        save_checkpoint(folder, step, net=net(step), **options)
    return there(folder)


def there(folder: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("step-")) for path in folder.glob("step-*.safetensors"))


def load(folder: Path, which: int | str = "last") -> int | None:
    """Load a checkpoint, check that the net has the number of its step, and return the step."""
    layer = net(-1.0)
    step = load_checkpoint(folder, which, net=layer)
    assert layer.weight[0, 0].item() == (-1 if step is None else step)
    return step


def damage(folder: Path, step: int) -> None:
    path = folder / f"step-{step}.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def test_the_last_ones_stay(tmp_path: Path) -> None:
    """`keep` says how many, ordered by step; a step that is saved again is replaced."""
    assert save(tmp_path, 1, 2, 3, 8, keep=3) == [2, 3, 8]
    assert save(tmp_path, 8, keep=3) == [2, 3, 8]
    assert save(tmp_path, 9, keep=2) == [8, 9]
    assert save(tmp_path, 11, keep=1) == [11]
    assert save(tmp_path / "new" / "folder", 0) == [0]
    assert load(tmp_path) == 11


def test_the_best_one_stays(tmp_path: Path) -> None:
    """Its age does not matter. A loss of nan or infinity does not count. Among equal losses the last wins."""
    losses = [None, math.nan, 0.5, 0.25, math.inf, 0.25, 1.0, np.float32(3), torch.tensor(2.0)]
    for step, loss in enumerate(losses):
        save(tmp_path, step, keep=2, loss=loss)
    assert there(tmp_path) == [5, 7, 8]
    assert load(tmp_path, "best") == 5
    save(tmp_path, 9, 10, 11, keep=2, loss=-math.inf)
    assert there(tmp_path) == [10, 11]
    assert save(tmp_path, 12, keep=1, loss=math.nan) == [11, 12]
    assert load(tmp_path, "best") == 11


def test_a_damaged_one_is_not_the_best(tmp_path: Path) -> None:
    """Otherwise a damaged checkpoint would be kept instead of the best readable one."""
    save(tmp_path, 1, loss=0.0)
    (tmp_path / "step-1.safetensors").write_bytes(b"")
    save(tmp_path, 2, loss=0.5)
    assert save(tmp_path, 3, 4, keep=1, loss=1.0) == [2, 4]


def test_the_loss_of_each_file_is_read_once(tmp_path: Path, monkeypatch: Any) -> None:
    """Otherwise a save would take longer, the more checkpoints are kept. A replaced file is read again."""
    read: list[str] = []

    def reading(path: Path) -> Any:
        read.append(path.name)
        return _format.reading(path)

    monkeypatch.setattr(_folder, "reading", reading)
    save(tmp_path, 1, 2, 3, keep=3, loss=0.5)
    assert sorted(read) == ["step-1.safetensors", "step-2.safetensors", "step-3.safetensors"]
    save(tmp_path, 3, keep=3, loss=0.25)
    assert read[3:] == ["step-3.safetensors"]
    assert load(tmp_path, "best") == 3
    assert len(read) == 4


def test_without_a_loss_the_last_is_the_best(tmp_path: Path) -> None:
    """No other checkpoint is kept for its loss."""
    assert save(tmp_path, 1, 2, 3, keep=2, loss=math.nan) == [2, 3]
    assert load(tmp_path, "best") == 3


def test_what_was_just_saved_stays(tmp_path: Path) -> None:
    """A new checkpoint stays even if the run has gone back to an earlier step."""
    save(tmp_path, 100, 200, 300, 400, 500, keep=5)
    damage(tmp_path, 500)
    assert load(tmp_path, 200) == 200
    with pytest.warns(
        UserWarning, match=r"step-500.safetensors is a checkpoint of a later step, so \"last\" means"
    ):
        assert save(tmp_path, 201, 202, 203, keep=2) == [202, 203, 300, 400, 500]


def test_a_run_that_begins_anew_in_an_old_folder_is_told(tmp_path: Path) -> None:
    """Otherwise "last" would refer to the old run. In a folder of its own, there is no warning."""
    save(tmp_path, 3000)
    with pytest.warns(UserWarning, match=r"if this is a new run, give it a folder of its own$") as caught:
        save(tmp_path, 500)
    assert caught[0].filename == __file__
    save(tmp_path / "new", 500, 1000)


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    """Files with similar names are left alone. Folders and broken links are not taken for checkpoints."""
    names = ["step-1.pt", "step-01.safetensors", "step-\u0661.safetensors", "step--1.safetensors", "xstep-1.safetensors", "step-1.safetensors.bak"]  # fmt: skip
    for name in names:
        (tmp_path / name).write_text("mine")
    (tmp_path / "step-9.safetensors").mkdir()
    (tmp_path / "step-8.safetensors").symlink_to("nowhere")
    for step in (2, 3):
        save_checkpoint(tmp_path, step, keep=1, loss=1 / step, net=net())
    assert {path.name for path in tmp_path.iterdir()} == {
        *names,
        *(f"step-{n}.safetensors" for n in (3, 8, 9)),
    }
    assert [(tmp_path / name).read_text() for name in names] == ["mine"] * len(names)
    assert load_checkpoint(tmp_path, net=net()) == 3


@pytest.mark.parametrize(("step", "keep"), [(-1, 1), (0, 0), (0, -1)])
def test_numbers_that_make_no_sense_are_refused(step: int, keep: int, tmp_path: Path) -> None:
    """The error comes before anything is written."""
    with pytest.raises(ValueError, match=f"but got step={step} and keep={keep}"):
        save_checkpoint(tmp_path, step, keep=keep, net=net())
    for numbers in ({"step": 1.0}, {"step": 1, "keep": 1.5}):
        with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
            save_checkpoint(tmp_path, **numbers, net=net())
    assert list(tmp_path.iterdir()) == []


# Which checkpoint is loaded.


def test_a_damaged_checkpoint_is_skipped(tmp_path: Path) -> None:
    """A warning names the checkpoint. Loading it by its step is an error, and so is having no other."""
    for step in (1, 2, 3):
        save(tmp_path, step, loss=1 / step)
    damage(tmp_path, 3)
    for which in ("last", "best"):
        with pytest.warns(
            UserWarning, match=r"^skipped: cannot load .*step-3.safetensors: '.*' is damaged"
        ) as caught:
            assert load(tmp_path, which) == 2
        assert caught[0].filename == __file__
    with pytest.raises(DamagedFileError, match=r"step-3.safetensors: '.*' is damaged"):
        load(tmp_path, 3)
    (tmp_path / "step-3.safetensors").write_bytes(b"")
    for which in ("last", "best"):
        with pytest.warns(UserWarning, match=r"step-3.safetensors: it is empty"):
            assert load(tmp_path, which) == 2
    damage(tmp_path, 2)
    save_parameters(net(), tmp_path / "step-1.safetensors")
    with pytest.warns(UserWarning, match="^skipped: ") as caught, pytest.raises(DamagedFileError) as error:
        load(tmp_path)
    assert str(error.value) == f"every checkpoint in {tmp_path} is damaged"
    reasons = ["it is empty", "'.*' is damaged", "it is not a checkpoint"]
    for warning, step, reason in zip(caught, (3, 2, 1), reasons, strict=True):
        assert re.search(f"step-{step}.safetensors: {reason}", str(warning.message))


def test_none_is_there(tmp_path: Path) -> None:
    """The folder is missing or empty, the step does not exist, or the word is unknown."""
    assert load(tmp_path / "none") is None
    assert load(tmp_path, "best") is None
    save(tmp_path, 2)
    with pytest.raises(FileNotFoundError, match=r"step-1\.safetensors"):
        load(tmp_path, 1)
    with pytest.raises(ValueError, match="but got 'first'"):
        load(tmp_path, "first")


def test_a_checkpoint_that_is_removed_meanwhile_is_no_error(tmp_path: Path, monkeypatch: Any) -> None:
    """Another process may save and rotate, so the folder is read again."""
    save(tmp_path, 1)
    real, calls = open, []

    def opening(path: Any, *args: Any) -> Any:
        if not calls:
            calls.append(path)
            save(tmp_path, 2, 3, keep=1)
        return real(path, *args)

    monkeypatch.setattr("builtins.open", opening)
    assert load(tmp_path) == 3
    assert calls == [tmp_path / "step-1.safetensors"]


def test_three_checkpoints_stay_unless_told_otherwise(tmp_path: Path) -> None:
    for step in range(5):
        save_checkpoint(tmp_path, step, net=nn.Linear(1, 1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-{n}.safetensors" for n in (2, 3, 4)]
