"""The checkpoints in a folder: how they are named, which are tried, and which are kept."""

import math
import re
from functools import cache, partial
from pathlib import Path

from ._format import reading

_FILE = re.compile(r"step-(0|[1-9][0-9]*)\.safetensors")


def path_of(folder: Path, step: int) -> Path:
    return folder / f"step-{step}.safetensors"


def candidates(folder: Path, which: int | str) -> list[Path]:
    """The files to try, in this order."""
    if isinstance(which, int):
        return [path_of(folder, which)]
    paths = [path for _, path in _steps(folder)]
    if which == "best":
        # Damaged ones come first, so that loading warns about them.
        return sorted(paths, key=partial(_loss, if_damaged=-math.inf))
    if which != "last":
        raise ValueError(f'expected which to be "last", "best" or the number of a step, but got {which!r}')
    return paths


def last_step(folder: Path) -> int:
    """The number of the latest step; -1 if there is no checkpoint or the folder cannot be read."""
    return max((number for number, _ in _steps(folder)), default=-1)


def remove_unwanted(folder: Path, step: int, keep: int) -> None:
    """Remove all checkpoints except the last `keep` ones, the best one, and those of later steps."""
    there = _steps(folder)
    losses = {path: _loss(path, if_damaged=math.inf) for _, path in there}
    best = min(losses, key=losses.__getitem__, default=None)
    up_to_this = [path for number, path in there if number <= step]
    for path in up_to_this[keep:]:
        if path != best or losses[path] == math.inf:
            path.unlink(missing_ok=True)


def _steps(folder: Path) -> list[tuple[int, Path]]:
    """The checkpoints in a folder, the last one first."""
    found = [(_FILE.fullmatch(path.name), path) for path in folder.glob("step-*") if path.is_file()]
    return sorted(((int(match[1]), path) for match, path in found if match), reverse=True)


def _loss(path: Path, if_damaged: float) -> float:
    """The loss stored in a checkpoint; infinite if it has none."""
    try:
        found = path.stat()
        return _stored_loss(path, (found.st_ino, found.st_mtime_ns, found.st_size))
    except Exception:  # another process may have just removed it
        return if_damaged


@cache
def _stored_loss(path: Path, file: tuple[int, ...]) -> float:
    """The loss in a file, which is read once; `file` differs if another file has replaced it."""
    with reading(path) as content:
        loss = content.notes["loss"]
        return math.inf if loss is None or math.isnan(loss) else float(loss)
