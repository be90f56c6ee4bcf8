"""Files on disk: anyone who reads them gets the old or the new file, whatever happens to the writer."""

import os
import re
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from d2lblocks import load, save, save_parameters, serialization
from tests.package.saved_states import buffers, fail

pytestmark = pytest.mark.usefixtures("folder")

both = pytest.mark.parametrize("write", ["write_torch", "write_safetensors"])


def write_torch(number: int, path: str | Path) -> None:
    save(torch.full((1000,), number), path)


def write_safetensors(number: int, path: str | Path) -> None:
    save_parameters(buffers(torch.full((1000,), number)), path)


def value(path: str | Path) -> int:
    """The number in a complete file. The file is read once, because it may be replaced at any time."""
    with open(path, "rb") as file:
        content = file.read()
    Path("copy").write_bytes(content)
    x = load("copy") if content.startswith(b"PK") else safetensors.torch.load(content)["x0"]
    assert x.tolist() == [x[0].item()] * 1000
    return x[0].item()


def child(code: str) -> subprocess.Popen[str]:
    """Another Python that runs some code with everything in this file imported."""
    if os.name == "nt":
        pytest.skip("it sets limits and kills, as Windows does not")
    paths = [str(Path(__file__).parents[2]), str(Path(serialization.__file__).parents[2])]
    start = (
        f"import os, resource, sys, time; sys.path[:0] = {paths}; from tests.package.test_files import *\n"
    )
    return subprocess.Popen([sys.executable, "-c", start + code], stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes of this kind")
@both
def test_modes_and_links_stay(write: str) -> None:
    """A new file gets the mode of the umask, and a replaced file keeps its mode. A link stays a link.
    A device can be written to.
    """
    mask = os.umask(0o027)
    try:
        for number, mode in ((1, 0o640), (2, 0o604)):
            if number == 2:
                os.chmod("x", mode)
            globals()[write](number, "x")
            assert os.stat("x").st_mode & 0o777 == mode
    finally:
        os.umask(mask)
    os.mkdir("far")
    os.symlink("far/y", "link")
    for number in (1, 2):
        globals()[write](number, Path("link"))
        assert (os.readlink("link"), value("far/y")) == ("far/y", number)
    globals()[write](1, os.devnull)
    assert not os.path.isfile(os.devnull)


@both
@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_save_that_fails_leaves_the_old_file(write: str, name: str, error: Any, monkeypatch: Any) -> None:
    """No other file is left, and an error of the system names the path."""
    globals()[write](1, "x")
    with monkeypatch.context() as patch:
        patch.setattr(os, name, partial(fail, error))
        with pytest.raises(type(error)) as caught:
            globals()[write](2, "x")
    assert getattr(caught.value, "filename", "x") == "x"
    assert value("x") == 1


def test_a_write_that_fails_midway_leaves_the_old_file() -> None:
    """A limit on the size of files simulates a full disk; the system's error is raised."""
    write_torch(1, "x")
    write_safetensors(1, "y")
    writer = child("""if True:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        for write, path in ((write_torch, "x"), (write_safetensors, "y")):
            try:
                write(2, path)
            except OSError as error:
                print(error.errno, error.filename)
    """)
    assert writer.communicate()[0].split() == ["27", "x", "27", "y"]
    assert [value(path) for path in ("x", "y")] == [1, 1]


def test_a_killed_writer_leaves_the_old_file(folder: Path) -> None:
    """The writer is killed with two new files half written. Temporary files stay until the next saves."""
    write_torch(1, "x")
    write_safetensors(1, "y")
    half_written = """if True:
        os.fsync = lambda file: (os.ftruncate(file, 500), os.write(1, b"half\\n"), time.sleep(60))
        threading.Thread(target=write_torch, args=(2, "x")).start()
        write_safetensors(2, "y")
    """
    with child(half_written) as writer:
        assert writer.stdout is not None
        assert [writer.stdout.readline() for _ in range(2)] == ["half\n"] * 2
        writer.kill()
    assert len(list(folder.glob(".d2lblocks-*"))) == 2
    assert [value(path) for path in ("x", "y")] == [1, 1]
    for write, path in ((write_torch, "x"), (write_safetensors, "y")):
        write(3, path)
        assert value(path) == 3
    assert list(folder.glob(".d2lblocks-*")) == []


@both
@pytest.mark.parametrize(("path", "code"), [("none/x", 2), (".", 21), ("x/y", 20)])
def test_a_path_that_will_not_do_is_named(write: str, path: str, code: int) -> None:
    """The system's own error names it."""
    globals()[write](1, "x")
    with pytest.raises(OSError, match=re.escape(path)) as caught:
        globals()[write](2, path)
    assert (caught.value.errno, caught.value.filename) == (code, path)


@both
def test_a_reader_finds_the_old_or_the_new(write: str) -> None:
    """A reader gets a complete file even if the file is replaced many times during reading."""
    globals()[write](0, "x")
    done, seen = threading.Event(), []

    def read() -> None:
        while not done.is_set():
            seen.append(value("x"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 60):
        globals()[write](number, "x")
    done.set()
    reader.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
    assert value("x") == 59


def test_numpy_is_not_needed(folder: Path) -> None:
    """The package works without NumPy, an optional dependency of torch and safetensors."""
    script = """if True:
        import sys, warnings
        sys.modules["numpy"] = None
        warnings.simplefilter("ignore")  # torch says that it is missing
        from d2lblocks import MLP, load, load_parameters, save, save_parameters
        save_parameters(MLP(3), "net.safetensors")
        load_parameters(MLP(3), "net.safetensors")
        save([1.5], "x.pt")
        print(load("x.pt"))
    """
    run = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("[1.5]\n", "")
