"""Files that are replaced at once: whoever reads the path meets the old file or the new one, whole."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # on Windows, where nobody can remove a file that is open
    fcntl = None  # type: ignore[assignment]

FilePath = str | os.PathLike[str]
_TEMPORARY = ".d2lblocks-{}.tmp"


@contextmanager
def replacing(path: FilePath) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of the one at `path` when it is complete, and not before."""
    target = os.path.realpath(path)
    exists = os.path.isfile(target)
    if os.path.exists(target) and not exists:  # a device, which is written to, or a folder: an error
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
            if fcntl:  # while it is open, and so is nobody's leftover
                os.replace(temporary, target)
        if not fcntl:
            os.replace(temporary, target)
        _sync_folder(folder)
    except BaseException as error:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)
        if isinstance(error, OSError) and error.errno:  # with the name that the caller knows
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise


def _create(folder: str) -> tuple[BinaryIO, str]:
    """A new file that is locked for as long as it is open, and its path."""
    while True:
        path = os.path.join(folder, _TEMPORARY.format(secrets.token_hex(8)))
        file = open(path, "xb")
        if fcntl:
            with suppress(OSError):  # some network drives have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
        if os.path.exists(path):
            return file, path
        file.close()  # between the two lines another save took it for a leftover


def _remove_leftovers(folder: str) -> None:
    """Remove the files of writers that were killed: those that nobody has locked."""
    for path in Path(folder).glob(_TEMPORARY.format("*")) if fcntl else ():
        with suppress(OSError), open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that they last."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in new:
        _sync_folder(os.fspath(path.parent))


def _sync_folder(folder: str) -> None:
    """Make a new name last. Windows opens no folders."""
    if hasattr(os, "O_DIRECTORY"):
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:  # one may write there, and not read
            return
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
