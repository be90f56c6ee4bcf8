"""Arguments of the wrong kind, refused before anything is done: what came, and what was expected."""

import os
from collections.abc import Mapping
from typing import Any

from torch import nn


def check_net(net: Any) -> None:
    """A TypeError unless it is a module."""
    if isinstance(net, nn.Module):
        return
    hint = ""
    if isinstance(net, type) and issubclass(net, nn.Module):
        hint = f": call it first, as in {net.__name__}(...)"
    elif isinstance(net, Mapping):
        hint = ": pass the net itself, not its state_dict()"
    elif isinstance(net, str | os.PathLike):
        hint = f", {os.fspath(net)!r}: the net comes first, then the path"
    raise TypeError(f"expected a net, which is an nn.Module, but got {kind_of(net)}{hint}")


def check_path(path: Any) -> None:
    """A TypeError unless it is the path of a file or folder."""
    if isinstance(path, str | os.PathLike):
        return
    hint = ""
    if isinstance(path, nn.Module | Mapping):
        hint = ": the path comes after it"
    elif hasattr(path, "write"):
        hint = ": pass the path, not an open file"
    raise TypeError(f"expected a path, which is a str or an os.PathLike, but got {kind_of(path)}{hint}")


def kind_of(value: Any) -> str:
    """The class of a value, with its module unless it is built in."""
    kind = value if isinstance(value, type) else type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return f"the class {name}" if isinstance(value, type) else name
