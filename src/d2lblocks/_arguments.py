"""Checks of arguments: the wrong kind is refused before anything is done, with a message and a hint."""

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn


def check_net(net: Any) -> None:
    """Raise a TypeError if the argument is not a module."""
    if not isinstance(net, nn.Module):
        raise TypeError(f"expected a net, which is an nn.Module, but got {kind_of(net)}{_hint(net)}")


def _hint(net: Any) -> str:
    """Guess what was meant by an object that is passed instead of a net."""
    match net:
        case type() if issubclass(net, nn.Module):
            return f": call it first, as in {net.__name__}(...)"
        case Mapping() if all(isinstance(key, str) for key in net):
            return ": pass the net itself, not its state_dict()"
        case str() | os.PathLike():
            return f", {os.fspath(net)!r}: the net comes first, then the path"
        case Tensor() | Mapping():
            return ": the net comes first"
        case Iterator():
            return ": pass the net itself, not its parameters()"
        case list() if net and all(isinstance(each, nn.Module) for each in net):
            return ": put its modules in an nn.Sequential or an nn.ModuleList"
        case nn.modules.module._IncompatibleKeys():
            return ": load_state_dict() does not return the net"
    return ""


def check_path(path: Any) -> None:
    """Raise a TypeError if the argument is not the path of a file or folder."""
    if isinstance(path, str | os.PathLike):
        return
    hint = ""
    if isinstance(path, nn.Module | Mapping):
        hint = ": the path comes after it"
    elif hasattr(path, "write"):
        hint = ": pass the path, not an open file"
    raise TypeError(f"expected a path, which is a str or an os.PathLike, but got {kind_of(path)}{hint}")


def kind_of(value: Any) -> str:
    """The class of a value, with the name of its module unless the class is built in."""
    kind = value if isinstance(value, type) else type(value)
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return f"the class {name}" if isinstance(value, type) else name


def nearest(name: str, names: Sequence[str]) -> str:
    """Guess what was meant by a name that is not among these names."""
    if close := difflib.get_close_matches(name, names, n=1):
        return f"the nearest is '{close[0]}'"
    return (
        f"there are {', '.join(names[:3])}{', ...' if names[3:] else ''}" if names else "it has none at all"
    )
