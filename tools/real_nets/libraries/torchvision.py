"""The smallest net of each family of torchvision."""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torchvision import models

from tools.real_nets.libraries import Inputs, RealNet, first_that_works, small_enough, smallest


def nets() -> Iterator[RealNet]:
    for family, names in families().items():
        yield RealNet(family, partial(build, tuple(names)), inputs)


def families() -> dict[str, list[str]]:
    found = defaultdict(list)
    for name in models.list_models():
        found[models.get_model_builder(name).__module__.removeprefix("torchvision.models.")].append(name)
    return found


@cache
def name_of(names: tuple[str, ...]) -> str:
    return smallest(names, create)


def create(name: str) -> nn.Module:
    builder = models.get_model_builder(name)
    with_backbone = "weights_backbone" in builder.__wrapped__.__annotations__
    arguments: dict[str, Any] = {"weights_backbone": None} if with_backbone else {}
    if ".detection." in builder.__module__ and "ssd" not in name:
        arguments |= {"min_size": 64, "max_size": 64}  # the net resizes its images to this size
    return builder(weights=None, **arguments)


def build(names: tuple[str, ...]) -> nn.Module:
    return small_enough(create(name_of(names)))


def inputs(net: nn.Module) -> Inputs:
    image, video = torch.rand(2, 3, 64, 64), torch.rand(1, 3, 16, 112, 112)
    candidates = (image, torch.rand(2, 3, 224, 224), torch.rand(2, 3, 299, 299), video)
    pairs = [((image, image), {}), ((torch.rand(1, 3, 128, 128), torch.rand(1, 3, 128, 128)), {})]
    lists = [(([torch.rand(3, 64, 64)],), {})]
    return first_that_works(net, [*(((each,), {}) for each in candidates), *pairs, *lists])
