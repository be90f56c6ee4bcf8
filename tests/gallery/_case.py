"""What a case of the gallery is, and what several cases share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Given:
    """The arguments of a call of `diagnose`."""

    net: nn.Module
    args: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A mistake and its twin.

    Attributes:
        code: the code of its finding.
        name: what it shows; unique.
        build: builds it: with the mistake if it is given True, and otherwise mended.
        names: the names of the finding.
        level: the level of the finding.
        others: codes of further findings that follow from the mistake.
    """

    code: str
    name: str
    build: Callable[[bool], Given]
    names: tuple[str, ...]
    level: str
    others: tuple[str, ...] = ()


CASES: list[Case] = []
CORRECT: dict[str, tuple[Callable[[], Given], set[str]]] = {}  # unusual nets that are not wrong


def correct(*questions: str) -> Callable[[Callable[[], Given]], Callable[[], Given]]:
    """Add a net without an error, and the codes of its questions."""

    def add(build: Callable[[], Given]) -> Callable[[], Given]:
        CORRECT[build.__name__] = build, {*questions}
        return build

    return add


def case(
    code: str, *names: str, level: str = "error", others: tuple[str, ...] = ()
) -> Callable[[Callable[[bool], Given]], Callable[[bool], Given]]:
    def add(build: Callable[[bool], Given]) -> Callable[[bool], Given]:
        CASES.append(Case(code, build.__name__, build, names, level, others))
        return build

    return add


def batch(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def classes(n: int, k: int) -> Tensor:
    return torch.arange(n) % k


class Chain(nn.Module):
    """Calls what its attribute `layers` holds, one after the other."""

    def forward(self, X: Tensor) -> Tensor:
        layers = self.layers.values() if hasattr(self.layers, "values") else self.layers
        for layer in layers:
            X = layer(X)
        return X
