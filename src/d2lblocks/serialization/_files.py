"""Files that are replaced in one step: anyone who opens the path gets the complete old or new file."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # on Windows, which does not let anyone remove an open file
    fcntl = None  # type: ignore[assignment]

FilePath = str | os.PathLike[str]
_TEMPORARY = ".d2lblocks-{}.tmp"


@contextmanager
def replacing(path: FilePath) -> Iterator[BinaryIO]:
    """Open a file to write, which replaces the one at `path` only when it is complete."""
    target = os.path.realpath(path)
    exists = os.path.isfile(target)
    if os.path.exists(target) and not exists:  # a device can be written to; a folder raises an error
        with open(path, "wb") as device:
            yield device
        return
    folder = os.path.dirname(target)
    temporary = None
    try:
        _remove_leftovers(folder)
        file, temporary = _create(folder)
        with file:
            if exists:
                with suppress(FileNotFoundError):  # another process has just removed it
                    shutil.copymode(target, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl:  # while it is open and locked, so that no other writer takes it for a leftover
                os.replace(temporary, target)
        if not fcntl:
            os.replace(temporary, target)
        _sync_folder(folder)
    except BaseException as error:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError) and error.errno:  # show the path that the caller gave
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise


def _create(folder: str) -> tuple[BinaryIO, str]:
    """Create a file that is locked as long as it is open; return it and its path."""
    while True:
        path = os.path.join(folder, _TEMPORARY.format(secrets.token_hex(8)))
        file = open(path, "xb")
        if fcntl:
            with suppress(OSError):  # some network drives do not support locks
                fcntl.flock(file, fcntl.LOCK_EX)
        if os.path.exists(path):
            return file, path
        file.close()  # before it was locked, another save removed it as a leftover


def _remove_leftovers(folder: str) -> None:
    """Remove the files of writers that were killed: the files that nobody has locked."""
    for path in Path(folder).glob(_TEMPORARY.format("*")) if fcntl else ():
        with suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, and make sure that they survive a crash."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in new:
        _sync_folder(os.fspath(path.parent))


def _sync_folder(folder: str) -> None:
    """Make sure that a new name in a folder survives a crash. Windows cannot open folders."""
    if hasattr(os, "O_DIRECTORY"):
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:  # the folder can be writable but not readable
            return
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
