"""What is known of a net after it was called and watched: everything that the rules look at."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ._held import Held
from ._source import Line, line_that_assigns
from ._watch import Call, Draw, Use, Watch


class Failure(NamedTuple):
    """An error that the net, its loss or the backward pass raised, and the call from which it came.

    Attributes:
        error: the error.
        during: `"forward"`, `"loss"` or `"backward"`.
        call: the innermost call of a module that raised it, or None.
        given: the arguments of that call.
    """

    error: Exception
    during: str
    call: Call | None
    given: tuple[Any, ...]


class Size(NamedTuple):
    """The root mean square of what a module returned."""

    path: str
    module: nn.Module
    rms: float


@dataclass
class Seen:
    """A net that was called once as it is, and once in evaluation mode.

    Attributes:
        net: the net, after the call as it is.
        modules: its modules by path, including the further paths of shared ones.
        names: the first name of each parameter and buffer, by the id of the tensor.
        tensors: the parameters and buffers, by their ids.
        held: the tensors that attributes held before the call, outside the tables of the net.
        held_after: the tensors that attributes hold after the call, also in the tables of the net.
        buffers_none: the names of the buffers that were None before the call.
        modes: whether each module was in training mode, by its id.
        with_loss: whether a loss function was given.
        watch: the record of the call, and of the loss.
        outputs: the tensors in the result of the call.
        loss: what the loss function returned.
        reached: the ids of the tensors that the backward pass reaches, or None if that is not known.
        gradients: the gradients of a backward pass from the loss, by the ids of parameters.
        failure: the error, if there was one.
        used_again: what the call in evaluation mode uses: parameters and tensors in attributes, and
            parameters that the net does not own.
        written_again: the ids of parameters that the call in evaluation mode writes through `.data`.
        changed_inputs: the inputs with other values after the call, and the operations that wrote them.
        draws: the operations that drew random numbers in evaluation mode, if the result depends on them.
        still_lazy: the names of parameters that have no shape after the call.
        outdated: the ids of parameters that were written through `.data` after the graph had saved them.
        rewritten: the ids of parameters that the next call changes once more through `.data`.
        kept: attributes and buffers that hold the result of one call and take part in the next.
        equal: the names of weights with units that stay equal, and the number of such units.
    """

    net: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    optimizers: Sequence[torch.optim.Optimizer]
    ties: Sequence[tuple[str, str]]
    with_loss: bool
    modules: dict[str, nn.Module]
    names: dict[int, str]
    tensors: dict[int, Tensor]
    held: dict[int, Held]
    buffers_none: list[str]
    modes: dict[int, bool]
    watch: Watch
    outputs: list[Tensor] = field(default_factory=list)
    loss: Any = None
    reached: set[int] | None = None
    gradients: dict[int, Tensor] = field(default_factory=dict)
    failure: Failure | None = None
    held_after: dict[int, Held] = field(default_factory=dict)
    used_again: dict[int, Use] = field(default_factory=dict)
    written_again: set[int] = field(default_factory=set)
    changed_inputs: list[tuple[Tensor, Use | None]] = field(default_factory=list)
    draws: list[Draw] = field(default_factory=list)
    still_lazy: list[str] = field(default_factory=list)
    outdated: set[int] = field(default_factory=set)
    rewritten: set[int] = field(default_factory=set)
    kept: list[tuple[str, nn.Module, str]] = field(default_factory=list)
    equal: list[tuple[str, int]] = field(default_factory=list)

    @property
    def trainable(self) -> dict[int, nn.Parameter]:
        """The parameters that require a gradient, by their ids."""
        return {
            known: tensor
            for known, tensor in self.tensors.items()
            if isinstance(tensor, nn.Parameter) and tensor.requires_grad
        }

    @property
    def inputs(self) -> list[Tensor]:
        return list(tensors_in((self.args, self.kwargs)))

    @cached_property
    def outputs_of_modules(self) -> list["Size"]:
        """The size of what each module returned, in the order in which they returned."""
        norms = [float(each.norm) for each in self.watch.outputs]
        return [
            Size(each.call.path, each.call.module, norm / math.sqrt(each.numel))
            for each, norm in zip(self.watch.outputs, norms, strict=True)
            if each.call.path is not None
        ]

    def path(self, module: nn.Module) -> str:
        """The path of a module; empty for the net itself."""
        return self.watch.paths.get(id(module), "")

    def line_of(self, name: str) -> Line | None:
        """The line on which a class outside PyTorch assigns the part with this name, or a part around it."""
        while name:
            owner, own = self.parent(name)
            if line := line_that_assigns(type(owner), own):
                return line
            name = name.rpartition(".")[0]
        return None

    def parent(self, path: str) -> tuple[nn.Module, str]:
        """The module that holds the one at a path, and the name that it has there."""
        above, _, name = path.rpartition(".")
        return self.modules.get(above, self.net), name


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def tensors_in(value: Any, known: set[int] | None = None) -> Iterator[Tensor]:
    """Yield the tensors in lists, tuples, dicts, dataclasses and other simple objects, each once."""
    known = set() if known is None else known
    if (
        value is None
        or isinstance(value, str | bytes | int | float | type | ModuleType | nn.Module)
        or id(value) in known
    ):
        return
    known.add(id(value))
    if isinstance(value, Tensor):
        yield value
        return
    parts: Any = ()
    if isinstance(value, list | tuple):
        parts = value
    elif isinstance(value, dict):
        parts = list(value.values())
    elif hasattr(value, "__dict__"):
        parts = list(vars(value).values())
    for part in parts:
        yield from tensors_in(part, known)


def plain_tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from plain_tensors_in(part)


def objects_in(value: Any, known: set[int] | None = None) -> Iterator[Any]:
    """Yield the objects among arguments that may keep something, such as a cache, and those inside them."""
    known = set() if known is None else known
    if id(value) in known:
        return
    known.add(id(value))
    if isinstance(value, list | tuple):
        parts = list(value)
    elif isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, Tensor | nn.Module | type | ModuleType) or not hasattr(value, "__dict__"):
        return
    else:
        yield value
        parts = list(vars(value).values())
    for part in parts:
        yield from objects_in(part, known)
