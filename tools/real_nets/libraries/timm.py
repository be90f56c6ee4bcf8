"""The smallest net of each family of timm."""

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import timm
import torch
from torch import nn

from tools.real_nets.libraries import Inputs, RealNet, first_that_works, small_enough, smallest

TRIED = 12  # names of a family that are tried, starting with those that look small
SMALL = [
    "test",
    "atto",
    "femto",
    "pico",
    "nano",
    "micro",
    "tiny",
    "xxs",
    "mini",
    "xs",
    "small",
    "_s",
    "18",
    "10",
]


def nets() -> Iterator[RealNet]:
    for family in timm.list_modules():
        if timm.list_models(module=family):
            yield RealNet(family, partial(build, family), inputs)


@cache
def name_of(family: str) -> str:
    names = timm.list_models(module=family)
    names.sort(key=lambda name: min([place for place, word in enumerate(SMALL) if word in name], default=99))
    return smallest(names[:TRIED], timm.create_model)


def build(family: str) -> nn.Module:
    return timm.create_model(name_of(family), **fewer_layers(family))


@cache
def fewer_layers(family: str) -> dict[str, Any]:
    """Arguments that make the net small enough, if there are any."""
    error = None
    for arguments in ({}, {"depth": 2}, {"depths": (1, 1, 1, 1)}, {"layers": (1, 1, 1, 1)}):
        try:
            with torch.device("meta"):
                small_enough(timm.create_model(name_of(family), **arguments))
            return arguments
        except Exception as failed:
            error = error or failed
    raise error


def inputs(net: nn.Module) -> Inputs:
    shape = net.default_cfg["input_size"]
    return first_that_works(net, [((torch.rand(2, 3, 64, 64),), {}), ((torch.rand(2, *shape),), {})])
