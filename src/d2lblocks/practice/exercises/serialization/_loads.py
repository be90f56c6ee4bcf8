"""Calls of `load_state_dict`, observed while an answer runs."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

from torch import nn


@dataclass(frozen=True)
class Load:
    """A call of `load_state_dict`: the module, the names in the state dict, and whether it was strict."""

    module: nn.Module
    names: tuple[str, ...]
    strict: bool

    def __str__(self) -> str:
        return f"entries named {', '.join(self.names)}" if self.names else "no entries"


@contextlib.contextmanager
def observed() -> Iterator[list[Load]]:
    """The calls that are made in the `with` block."""
    loads: list[Load] = []
    original = nn.Module.load_state_dict

    def load_state_dict(self: nn.Module, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        if isinstance(state_dict, dict):
            loads.append(Load(self, tuple(map(str, state_dict)), strict))
        return original(self, state_dict, strict, assign)

    with mock.patch.object(nn.Module, "load_state_dict", load_state_dict):
        yield loads
