"""Writers that are killed, run out of space or work at the same time: the file is always a complete one."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch

from d2lblocks import load_parameters, save_parameters
from d2lblocks.serialization import DamagedFileError, _files, _folder, save_checkpoint
from tests.package import torture
from tests.package.torture import Number

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="Windows has no fork, no limits and no locks of this kind"
)


def temporary(folder: Path) -> list[Path]:
    return list(folder.glob(".d2lblocks-*"))


def python(code: str, *arguments: Any, before: tuple[str, ...] = ()) -> list[str]:
    """The lines printed by another Python that has the functions of the torture."""
    paths = [str(torture.ROOT), str(Path(_files.__file__).parents[2])]
    start = f"import os, resource, sys; sys.path[:0] = {paths}; from pathlib import Path; from tests.package.torture import *\n"
    command = [*before, sys.executable, "-c", start + code, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


def torturing(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.package.torture", *arguments]
    run = subprocess.run(command, cwd=torture.ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_killed_writers_lose_nothing() -> None:
    """At any time, the file has the last number that was saved, or the one that was being saved."""
    assert torturing("kill", "16").endswith("nothing lost, nothing left\n")


def test_loading_while_another_thread_saves() -> None:
    """Every file is complete, and none is older than the one before."""
    assert torturing("load", "60").endswith("all whole\n")


def test_two_writers_at_once() -> None:
    """Two processes save to one path, or to one folder, where both remove the oldest: neither fails."""
    assert torturing("two", "60").endswith("nobody failed, nothing left\n")


@pytest.mark.parametrize("save", [torture.save_file_number, torture.save_step])
def test_everything_reaches_the_disk_in_order(save: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """First the values, then the name, then the folder. A new folder also reaches the folder above it."""
    order = []

    def sync(handle: int) -> None:
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        order.append(("folder" if folder else "file", os.readlink(f"/proc/self/fd/{handle}")))

    def replace(old: str, new: str) -> None:
        order.append(("name", new))
        os.rename(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    folder = tmp_path / "a" / "b"
    if save is torture.save_step:
        above = [("folder", str(path)) for path in (folder.parent, tmp_path)]
    else:
        folder.mkdir(parents=True)
        above = []
    save(folder, 1)
    written = next(path for path in folder.iterdir())
    (kind, old), *rest = order[len(above) :]
    assert order[: len(above)] == above
    assert (kind, Path(old).parent, Path(old).name[:11]) == ("file", folder, ".d2lblocks-")
    assert rest == [("name", str(written)), ("folder", str(folder))]


# No space.

FILL = """
for (save, load), folder in zip(WAYS, map(Path, sys.argv[1:3])):
    if sys.argv[3] == "disk":  # of our own, and gone with this process
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", folder], check=True)
    save(folder, 1)
    there = os.listdir(folder)
    if sys.argv[3] == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))
    for _ in range(2):
        try:
            save(folder, 2)
            print("saved")
        except OSError as error:
            print(error.errno, Path(error.filename).name)
    assert os.listdir(folder) == there
    print(load(folder))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.mark.parametrize(("limit", "code"), [("limit", 27), ("disk", 28)])
def test_a_full_disk_leaves_the_old_file(limit: str, code: int, tmp_path: Path) -> None:
    """No other file is left. The system's error names the path, and comes again while there is no space."""
    own: tuple[str, ...] = ("unshare", "--mount", "--map-root-user") if limit == "disk" else ()
    if own and (not shutil.which(own[0]) or subprocess.run([*own, "true"], capture_output=True).returncode):
        pytest.skip("no disk of our own can be mounted here: unshare --mount --map-root-user fails")
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        folder.mkdir()
    names = ["x", "step-2.safetensors"]
    expected = [line for name in names for line in (f"{code} {name}", f"{code} {name}", "1")]
    assert python(FILL, *folders, limit, before=own) == expected


LOCKED = """
folders = [(Path(sys.argv[1], f"{mode}{number}"), mode, way) for mode in (500, 300, 700) for number, way in enumerate(WAYS)]
for folder, mode, (save, load) in folders:
    folder.mkdir()
    save(folder, 1)
    folder.chmod(int(str(mode), 8))
if os.getuid() == 0:  # to whom nothing is forbidden
    for folder, *_ in folders:
        os.chown(folder, 65534, 65534)
    os.setgid(65534)
    os.setuid(65534)
for folder, mode, (save, load) in folders:
    try:
        save(folder, 2)
        print(mode, "saved")
    except OSError as error:
        print(mode, error.errno, Path(error.filename).name)
    folder.chmod(0o700)
    print(load(folder))
    assert not list(folder.glob(".d2lblocks-*"))
"""  # fmt: skip


def test_a_folder_that_may_not_be_written_to() -> None:
    """The error names the path, and the old file stays. A folder that cannot be read causes no error."""
    with tempfile.TemporaryDirectory() as folder:  # not every user can reach pytest's own folders
        os.chmod(folder, 0o755)
        printed = python(LOCKED, folder)
    assert printed[:4] == ["500 13 x", "1", "500 13 step-2.safetensors", "1"]
    assert printed[4:] == ["300 saved", "2"] * 2 + ["700 saved", "2"] * 2


# Other writers in the same folder.


def test_a_sweep_leaves_a_writer_alone(tmp_path: Path, monkeypatch: Any) -> None:
    """Its file is not complete yet, but it is not a leftover; a real leftover is removed."""
    real, at_work, go_on = os.fsync, threading.Event(), threading.Event()

    def slow(handle: int) -> None:
        if threading.current_thread() is writer:
            at_work.set()
            assert go_on.wait(60)
        real(handle)

    monkeypatch.setattr(os, "fsync", slow)
    writer = threading.Thread(target=save_parameters, args=(Number(1), tmp_path / "x"))
    writer.start()
    assert at_work.wait(60)
    (tmp_path / ".d2lblocks-0123.tmp").write_text("left by a writer that was killed")
    kept = [path for path in temporary(tmp_path) if path.name != ".d2lblocks-0123.tmp"]
    save_parameters(Number(2), tmp_path / "x")
    assert load_parameters(Number(0), tmp_path / "x").value() == 2
    assert temporary(tmp_path) == kept
    assert len(kept) == 1
    go_on.set()
    writer.join()
    assert load_parameters(Number(0), tmp_path / "x").value() == 1
    assert temporary(tmp_path) == []


def test_a_sweep_between_making_and_locking_is_noticed(tmp_path: Path, monkeypatch: Any) -> None:
    """The writer creates another file."""
    real, swept = _files.fcntl.flock, []

    def lock(file: Any, how: int) -> None:
        if how == _files.fcntl.LOCK_EX and not swept:
            swept.extend(temporary(tmp_path))
            _files._remove_leftovers(str(tmp_path))
        real(file, how)

    monkeypatch.setattr(_files.fcntl, "flock", lock)
    save_parameters(Number(1), tmp_path / "x")
    assert len(swept) == 1
    assert load_parameters(Number(0), tmp_path / "x").value() == 1


def test_what_another_process_removes_is_no_error(tmp_path: Path, monkeypatch: Any) -> None:
    """Another process may remove a file that this one reads, or that this one is about to remove."""
    real = _folder._loss

    def loss(path: Path, if_damaged: float) -> float:
        if path.name == "step-1.safetensors":
            path.unlink()
        found = real(path, if_damaged)
        if path.name == "step-2.safetensors":
            path.unlink()
        return found

    for step in (1, 2):
        save_checkpoint(tmp_path, step, net=Number(step))
    monkeypatch.setattr(_folder, "_loss", loss)
    save_checkpoint(tmp_path, 3, keep=1, net=Number(3))
    assert [path.name for path in tmp_path.iterdir()] == ["step-3.safetensors"]


def test_a_file_that_is_removed_while_it_is_replaced_is_no_error(tmp_path: Path, monkeypatch: Any) -> None:
    """Another process may remove a checkpoint of the same step."""
    real = _files._create

    def create(folder: str) -> Any:
        (tmp_path / "x").unlink()
        return real(folder)

    save_parameters(Number(1), tmp_path / "x")
    monkeypatch.setattr(_files, "_create", create)
    save_parameters(Number(2), tmp_path / "x")
    assert load_parameters(Number(0), tmp_path / "x").value() == 2


@pytest.mark.parametrize("verify", [True, False])
def test_a_file_that_is_replaced_while_it_is_opened(verify: bool, tmp_path: Path, monkeypatch: Any) -> None:
    """The checked header and the content come from the same file, although the file is opened twice."""
    real = safetensors.safe_open

    def safe_open(*args: Any, **options: Any) -> Any:
        torch.save("no safetensors file", tmp_path / "other")
        os.replace(tmp_path / "other", tmp_path / "x")
        return real(*args, **options)

    save_parameters(Number(1), tmp_path / "x")
    monkeypatch.setattr(safetensors, "safe_open", safe_open)
    assert load_parameters(Number(0), tmp_path / "x", verify=verify).value() == 1
    with pytest.raises(DamagedFileError):
        load_parameters(Number(0), tmp_path / "x", verify=verify)


def test_a_net_that_is_trained_meanwhile_can_be_loaded(tmp_path: Path) -> None:
    """The values may come from different moments, but the checksum is that of the written bytes."""
    net, done = Number(0), threading.Event()

    def train() -> None:
        while not done.is_set():
            net.x += 1

    trainer = threading.Thread(target=train)
    trainer.start()
    try:
        for _ in range(20):
            save_parameters(net, tmp_path / "x")
            load_parameters(Number(0), tmp_path / "x")
    finally:
        done.set()
        trainer.join()


# Without locks, as on Windows, which has no `fcntl`.

WINDOWS = """if True:
    import os, sys
    sys.modules["fcntl"] = None

    def of_closed(change):
        def changed(path, *others, **places):  # Windows neither renames nor removes a file that is open
            handles = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
            if os.path.realpath(path) in [os.readlink(handle) for handle in handles if os.path.exists(handle)]:
                raise PermissionError(13, "it is open", path)
            change(path, *others, **places)
        return changed

    os.replace, os.unlink = of_closed(os.replace), of_closed(os.unlink)
    code = sys.argv[3]
    del sys.argv[1:4]
    exec(code)
"""
windows = (sys.executable, "-c", WINDOWS)


def test_without_locks_a_file_is_closed_before_it_is_replaced(tmp_path: Path) -> None:
    """A file that could not be completed is also closed before it is removed."""
    code = """if True:
        for number, sync in ((1, os.fsync), (2, os.fsync), (3, None)):
            os.fsync = sync
            for save, load in WAYS:
                try:
                    save(Path(sys.argv[1]), number)
                except TypeError:  # None cannot be called
                    print("not saved")
                print(load(Path(sys.argv[1])))
    """
    assert python(code, tmp_path, before=windows) == [*"1122", "not saved", "2", "not saved", "2"]
    assert temporary(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "end"), [("two_at_once", "nothing left"), ("load_while_saving", "all whole")]
)
def test_without_locks_no_writer_is_in_the_way(name: str, end: str) -> None:
    """Another process may save, or another thread may load, at the same time."""
    (printed,) = python(f"print({name}(40))", before=windows)
    assert printed.endswith(end)


def test_without_locks_the_file_of_another_writer_stays(tmp_path: Path) -> None:
    """Without locks, a leftover cannot be told apart from a file in use."""
    (tmp_path / ".d2lblocks-0123.tmp").write_text("of a writer that may be at work")
    python("[save(Path(sys.argv[1]), 1) for save, load in WAYS]", tmp_path, before=windows)
    assert [path.name for path in temporary(tmp_path)] == [".d2lblocks-0123.tmp"]
