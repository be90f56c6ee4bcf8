"""Nets for medical images of MONAI, in two and three dimensions."""

import inspect
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import torch
from monai.networks import blocks
from monai.networks import nets as monai_nets
from torch import nn

from tools.real_nets.libraries import Inputs, RealNet, first_that_works, small_enough

SIDE, MOST_VALUES = 32, 20_000_000
# The arguments of constructors, by their names; "dims" stands for the number of dimensions.
SIZES: dict[str, Any] = {"spatial_dims": "dims", "in_channels": 1, "out_channels": 2, "num_classes": 2}
SIZES |= {
    "channels": (8, 16, 16),
    "strides": (2, 2),
    "num_res_units": 1,
    "feature_size": 12,
    "init_filters": 8,
}
SIZES |= {
    "features": (8, 8, 16, 16, 16, 8),
    "hidden_size": 48,
    "mlp_dim": 64,
    "num_heads": 4,
    "num_layers": 4,
}
SIZES |= {"patch_size": "8 dims", "img_size": "32 dims", "input_image_size": "32 dims", "growth_rate": 4}
SIZES |= {"block": "basic", "layers": (1, 1, 1, 1), "block_inplanes": (8, 8, 16, 16), "n_input_channels": 1}
SIZES |= {
    "block_config": (1, 1),
    "init_features": 8,
    "in_shape": (1, SIDE, SIDE),
    "classes": 2,
    "out_shape": (2,),
}
SIZES |= {
    "latent_shape": (5,),
    "start_shape": (8, 4, 4),
    "scale_factor": 2,
    "num_channel_initial": 4,
    "image_size": [SIDE],
}
SIZES |= {
    "num_res_blocks": 1,
    "norm_num_groups": 4,
    "attention_levels": (False, True, True),
    "latent_channels": 2,
}
SIZES |= {"num_head_channels": 4, "label_nc": 3, "num_tokens": 10, "max_seq_len": 16, "attn_layers_dim": 16}
SIZES |= {
    "attn_layers_depth": 1,
    "attn_layers_heads": 2,
    "num_embeddings": 8,
    "embedding_dim": 8,
    "proj_type": "conv",
}
SIZES |= {
    "kernel_size": [3, 3, 3],
    "upsample_kernel_size": [2, 2],
    "model_name": "efficientnet-b0",
    "backbone": "efficientnet-b0",
}
SIZES |= {
    "hidden_channels": (8, 8),
    "pretrained": False,
    "num_d": 1,
    "num_layers_d": 1,
    "latent_size": 4,
    "decode_channels": (8, 8),
}
SIZES |= {
    "init_filters_out": 8,
    "depth": 2,
    "encoder_channels": [8, 8],
    "extract_levels": (0, 1),
    "num_blocks": 2,
    "dsdepth": 1,
}


def nets() -> Iterator[RealNet]:
    for kind in modules_of(monai_nets):
        for dims in (2, 3):
            yield RealNet(
                f"{kind.__name__}, {dims} dimensions", partial(build, kind, dims), partial(inputs, dims)
            )
    for kind in modules_of(blocks):
        yield RealNet(f"block {kind.__name__}", partial(build, kind, 2), partial(inputs, 2))


def modules_of(library: ModuleType) -> list[type[nn.Module]]:
    """Each class once, even if it has several names."""
    there = [
        each for each in vars(library).values() if isinstance(each, type) and issubclass(each, nn.Module)
    ]
    return sorted(dict.fromkeys(there), key=lambda kind: kind.__name__)


def build(kind: type[nn.Module], dims: int) -> nn.Module:
    """Build with all known arguments; if that fails, with the usual ones, or only with the required ones."""
    arguments = inspect.signature(kind).parameters.values()
    needed = [argument.name for argument in arguments if argument.default is argument.empty]
    usual = [*needed, "spatial_dims", "in_channels", "out_channels", "img_size", "channels", "strides"]
    error: Exception = ValueError("no arguments are known")
    for names in ([argument.name for argument in arguments], usual, needed):
        given = {a.name: sized(SIZES[a.name], dims) for a in arguments if a.name in names and a.name in SIZES}
        try:
            return small_enough(kind(**given), MOST_VALUES)
        except Exception as failed:
            error = failed
    raise ValueError(f"cannot be built with the usual arguments: {error}")


def sized(value: Any, dims: int) -> Any:
    """Replace a text by the size that it describes for this number of dimensions."""
    if isinstance(value, str) and value.endswith("dims"):
        side = value.removesuffix("dims").strip()
        return (int(side),) * dims if side else dims
    return value


def inputs(dims: int, net: nn.Module) -> Inputs:
    images = [torch.rand(2, channels, *(side,) * dims) for side in (16, SIDE, 64) for channels in (1, 3, 8)]
    steps, labels = torch.tensor([1, 2]), torch.randint(2, (2, 3, *(16,) * dims)).float()
    first = images[0]
    candidates: list[Inputs] = [((image,), {}) for image in images]
    candidates += [
        ((first, steps), {}),
        ((first, labels), {}),
        ((first, steps, labels), {}),
        ((first, first), {}),
    ]
    candidates += [((torch.rand(2, 5),), {}), ((torch.rand(2, 4),), {}), ((torch.randint(8, (2, 6)),), {})]
    candidates += [((torch.rand(2, 3, 3, SIDE, SIDE),), {}), ((torch.rand(2, 9, 48),), {})]
    return first_that_works(net, candidates)
