"""Nets of other libraries, tiny and with random weights: one file per library, which only builds them.

timm.py                         one net of each family
torchvision.py                  one net of each family
transformers.py                 each architecture from a tiny configuration: base models and heads
torch_geometric.py              layers and models on graphs, with sizes and lazy
monai.py                        nets for medical images
diffusers.py                    U-Nets, transformers and autoencoders
x_transformers.py               variants of the transformer
peft.py                         adapters around a small language model
segmentation_models_pytorch.py  each architecture
lightning.py                    modules of Lightning, and nets wrapped by Fabric and Accelerate
"""

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

import torch
from torch import library as operators
from torch import nn

LIBRARIES = [
    "timm",
    "torchvision",
    "transformers",
    "torch_geometric",
    "monai",
    "diffusers",
    "x_transformers",
    "peft",
    "segmentation_models_pytorch",
    "lightning",
]
MOST_VALUES = 64_000_000  # in the parameters of one net
_Given = TypeVar("_Given")
Inputs = tuple[tuple[Any, ...], dict[str, Any]]  # the arguments of a net's call


class RealNet(NamedTuple):
    """A net of another library.

    Attributes:
        name: its name in the library.
        build: builds a new one with random weights; raises an error if no tiny one can be built.
        inputs: returns inputs for such a net; raises a ValueError if none of the usual inputs work.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[nn.Module], Inputs]


def real_nets(library: str) -> Iterator[RealNet]:
    """All nets of a library. Each one is built only on request."""
    with_torchvision_operators()
    nets: Iterable[RealNet] = import_module(f"{__name__}.{library}").nets()
    return iter(nets)


def with_torchvision_operators() -> None:
    """Import torchvision, even if its compiled operators do not load, as with another build of torch."""
    with suppress(ImportError):
        try:
            import_module("torchvision")
        except RuntimeError:
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
            for name in ("nms", "qnms"):
                operators.define(
                    f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
            import_module("torchvision")


def first_that_works(net: nn.Module, candidates: Iterable[Inputs]) -> Inputs:
    """The first inputs with which the net can be called."""
    training, error = net.training, None
    try:
        net.eval()
        for args, kwargs in candidates:
            try:
                with torch.no_grad():
                    net(*args, **kwargs)
                return args, kwargs
            except Exception as failed:
                error = failed
    finally:
        net.train(training)
    raise ValueError(f"{type(net).__name__} cannot be called with the usual inputs: {error}")


def images(*shapes: tuple[int, ...]) -> Callable[[nn.Module], Inputs]:
    """A function that returns a batch of random images, of the first shape that the net accepts."""
    return lambda net: first_that_works(net, (((torch.rand(shape),), {}) for shape in shapes))


def known_arguments(call: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values for which a callable has arguments."""
    there = inspect.signature(call).parameters
    return {name: value for name, value in values.items() if name in there}


def small_enough(net: nn.Module, most: int = MOST_VALUES) -> nn.Module:
    """The net itself; raise an error if it is too large."""
    values = sum(0 if nn.parameter.is_lazy(p) else p.numel() for p in net.parameters())
    if values > most:
        raise ValueError(f"too large: {values:,} values")
    return net


def first_that_builds(
    candidates: Iterable[_Given],
    build: Callable[[_Given], nn.Module],
    inputs: Callable[[nn.Module], Inputs],
    most: int = MOST_VALUES,
) -> _Given:
    """The first candidate from which a tiny net can be built and called, or at least built."""
    built, error = [], None
    for given in candidates:
        try:
            with torch.device("meta"):
                small_enough(build(given), most)
            net = build(given)
            built.append(given)
            inputs(net)
            return given
        except Exception as failed:
            error = failed
    if built:
        return built[0]
    raise ValueError(f"cannot be built tiny: {error}")


def smallest(names: Sequence[str], build: Callable[[str], nn.Module]) -> str:
    """The name of the net with the fewest parameters, found on the meta device."""

    def values(name: str) -> float:
        try:
            with torch.device("meta"):
                return sum(parameter.numel() for parameter in build(name).parameters())
        except Exception:
            return math.inf

    return min(names, key=values)
