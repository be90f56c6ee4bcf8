"""U-Nets, transformers and autoencoders of diffusers, each from a tiny configuration."""

import inspect
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import diffusers
import torch
from torch import nn

from tools.real_nets.libraries import Inputs, RealNet, first_that_builds, first_that_works

MOST_VALUES = 20_000_000
# The largest value of a size, by a part of its name; the first part that matches is used.
SIZES = {
    "layers_per_block": 1,
    "layers": 1,
    "num_heads": 2,
    "heads": 2,
    "head_dim": 16,
    "depth": 1,
    "groups": 4,
}
SIZES |= {"cross_attention_dim": 32, "joint_attention_dim": 32, "caption": 32, "text": 32, "pooled": 32}
SIZES |= {"inner_dim": 32, "hidden": 32, "embed_dim": 32, "ffn": 32, "intermediate": 32, "sample_size": 16}
SIZES |= {"num_embeds": 32, "vocab": 64, "codebook": 16, "dim": 32, "base": 16, "width": 32, "norm_num": 4}
TINY: dict[str, Any] = {"block_out_channels": (16, 16), "axes_dims_rope": (4, 6, 6), "axes_dim": (4, 6, 6)}
BLOCKS = {"down_block_types": "DownBlock2D", "up_block_types": "UpBlock2D"}
ENCODERS = {"down_block_types": "DownEncoderBlock2D", "up_block_types": "UpDecoderBlock2D"}


def nets() -> Iterator[RealNet]:
    for name in sorted(set(dir(diffusers))):
        kind = getattr(diffusers, name, None)
        is_net = (
            isinstance(kind, type) and issubclass(kind, nn.Module) and issubclass(kind, diffusers.ModelMixin)
        )
        if is_net and name not in ("ModelMixin", "MotionAdapter") and "Multi" not in name:
            yield RealNet(name, partial(build, kind), inputs)


def build(kind: type[nn.Module]) -> nn.Module:
    net: nn.Module = kind(**tiny(kind))
    return net


@cache
def tiny(kind: type[nn.Module]) -> dict[str, Any]:
    """The smallest arguments with which the net can be built and, if possible, called."""
    arguments = inspect.signature(kind).parameters
    defaults = {name: argument.default for name, argument in arguments.items()}
    small = {name: min(value, most(name, value)) for name, value in defaults.items() if type(value) is int}
    wide = {name: value for name, value in small.items() if "layers" in name or "depth" in name}
    lists = {name: value for name, value in TINY.items() if name in arguments}
    blocks = [
        {},
        *({n: (each,) * 2 for n, each in kinds.items() if n in arguments} for kinds in (BLOCKS, ENCODERS)),
    ]
    candidates = [
        *({**small, **lists, **each} for each in blocks),
        small,
        *({**wide, **lists, **each} for each in blocks),
        {name: value for name, value in small.items() if "dim" not in name},
        wide,
        {},
    ]
    return first_that_builds(candidates, lambda given: kind(**given), inputs, MOST_VALUES)


def most(name: str, default: int) -> int:
    return next((size for word, size in SIZES.items() if word in name), default)


def inputs(net: nn.Module) -> Inputs:
    """Noise, a time and a text, by the names of the arguments."""
    config, names = net.config, inspect.signature(net.forward).parameters
    channels = config.get("in_channels") or 3
    widths = [config.get(name) for name in ("cross_attention_dim", "joint_attention_dim", "caption_channels")]
    widths += [config.get(name) for name in ("text_embed_dim", "text_dim", "encoder_hid_dim")]
    width = next((each for each in widths if isinstance(each, int)), 32)
    text = {"encoder_hidden_states": torch.rand(1, 4, width), "timestep": torch.tensor([1])}
    text |= {"pooled_projections": torch.rand(1, config.get("pooled_projection_dim") or 32)}
    text |= {"class_labels": torch.tensor([1]), "return_dict": True}
    shapes = [
        (1, channels, 16, 16),
        (1, channels, 1, 16, 16),
        (1, channels, 5, 16, 16),
        (1, 5, channels, 16, 16),
    ]
    shapes += [(1, 16, channels), (1, channels, 64), (1, channels, 64, 64)]
    first = next(iter(names), "sample")
    known = {name: value for name, value in text.items() if name in names}
    candidates: list[Inputs] = []
    for shape in shapes:
        for given in ({}, known, {name: known[name] for name in known if name != "class_labels"}):
            candidates.append(((), {first: torch.rand(shape), **given}))
    return first_that_works(net, candidates)
