"""Each architecture of segmentation-models-pytorch, with small encoders."""

from collections.abc import Iterator
from functools import partial

import segmentation_models_pytorch
import torch
from torch import nn

from tools.real_nets.libraries import Inputs, RealNet, first_that_works

ENCODERS = ["resnet18", "mobilenet_v2", "timm-mobilenetv3_small_minimal_100", "mit_b0", "efficientnet-b0"]


def nets() -> Iterator[RealNet]:
    for place, name in enumerate(sorted(segmentation_models_pytorch.MODEL_ARCHITECTURES_MAPPING)):
        small = (
            ["resnet18", ENCODERS[place % len(ENCODERS)]] if name != "dpt" else ["tu-vit_tiny_patch16_224"]
        )
        for encoder in dict.fromkeys(small):
            yield RealNet(f"{name} with {encoder}", partial(build, name, encoder), inputs)


def build(name: str, encoder: str) -> nn.Module:
    return segmentation_models_pytorch.create_model(
        name, encoder_name=encoder, encoder_weights=None, classes=2
    )


def inputs(net: nn.Module) -> Inputs:
    return first_that_works(net, (((torch.rand(2, 3, side, side),), {}) for side in (64, 128, 224)))
