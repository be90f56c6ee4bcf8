"""Each architecture of transformers from a tiny configuration: the base model, and one model with a head."""

import copy
import dataclasses
import inspect
from collections.abc import Iterator
from functools import cache, partial
from itertools import product
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers.models.auto import modeling_auto

from tools.real_nets.libraries import Inputs, RealNet, first_that_builds, first_that_works

HEADS = ["CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "MASKED_LM", "IMAGE_TEXT_TO_TEXT", "SPEECH_SEQ_2_SEQ"]
HEADS += [
    "IMAGE_CLASSIFICATION",
    "CTC",
    "AUDIO_CLASSIFICATION",
    "OBJECT_DETECTION",
    "SEQUENCE_CLASSIFICATION",
]
HEADS += ["SEMANTIC_SEGMENTATION", "DEPTH_ESTIMATION", "BACKBONE", "TEXT_TO_WAVEFORM", "MASK_GENERATION"]
WORDS, MOST_VALUES = 128, 20_000_000
# The largest value of a size, by a part of its name; the first part that matches is used.
SIZES = {"vocab_size": WORDS, "experts": 2, "layers": 2, "n_layer": 2, "depth": 2, "blocks": 2}
SIZES |= {"head_dim": 16, "heads": 4, "n_head": 4, "num_head": 4, "d_kv": 16, "lora_rank": 16, "d_state": 16}
SIZES |= {"patch_size": 8, "image_size": 32, "mel_bins": 32, "codebook_size": 64, "num_codebooks": 2}
SIZES |= {
    "position": 512,
    "hidden_size": 64,
    "intermediate_size": 64,
    "ffn_dim": 64,
    "d_model": 64,
    "d_ff": 64,
}
SIZES |= {"embed": 64, "embd": 64, "hidden_dim": 64, "mlp_dim": 64, "projection_dim": 64, "inner_dim": 64}
# Sizes that some architectures need unchanged, tried in this order.
KEPT = [(), ("head_dim",), ("patch", "image"), ("head_dim", "d_state", "patch", "image", "experts", "depth")]
KEPT += [("head", "size", "dim", "d_"), ("",)]


def nets() -> Iterator[RealNet]:
    for name in names():
        yield RealNet(name, partial(build, name), inputs)


def names() -> list[str]:
    """The base model of each kind of configuration, and the model with the first available head."""
    found: dict[str, None] = {}
    have_head: set[str] = set()
    for mapping in ["MODEL_MAPPING_NAMES", *(f"MODEL_FOR_{head}_MAPPING_NAMES" for head in HEADS)]:
        for kind, models in getattr(modeling_auto, mapping).items():
            if kind not in have_head:
                found |= dict.fromkeys([models] if isinstance(models, str) else models[:1])
            if mapping != "MODEL_MAPPING_NAMES":
                have_head.add(kind)
    return [name for name in found if "Timm" not in name]  # their nets are those of timm


def build(name: str) -> nn.Module:
    model = getattr(transformers, name)
    return model(copy.deepcopy(tiny_config(model)))  # saving a net writes to its configuration


@cache
def tiny_config(model: type[nn.Module]) -> PreTrainedConfig:
    """The smallest configuration with which the net can be built and called, or at least built."""

    def built(kept: tuple[str, ...]) -> nn.Module:
        return model(tiny(model.config_class, kept))

    return tiny(model.config_class, first_that_builds(KEPT, built, inputs, MOST_VALUES))


def tiny(kind: type[PreTrainedConfig], kept: tuple[str, ...]) -> PreTrainedConfig:
    """A configuration with small sizes, except for those with a word of `kept` in their names."""
    given: dict[str, Any] = {}
    identifiers = iter(range(WORDS - 1, 0, -1))
    for field in dataclasses.fields(kind):
        name, value = field.name, field.default
        if name == "depths":
            given[name] = [1] * len(value or [])
        elif isinstance(value, int) and not isinstance(value, bool):
            if name.endswith(("_token_id", "_token_index")):
                given |= {name: next(identifiers)} if value >= WORDS else {}
            elif not any(word in name for word in kept) or "vocab" in name or "layers" in name:
                most = next((size for word, size in SIZES.items() if word in name), value)
                given[name] = min(value, most)
    if kind.sub_configs:
        default = kind()
        parts = {name: getattr(default, name, None) for name in kind.sub_configs}
        given |= {
            n: tiny(type(part), kept) for n, part in parts.items() if isinstance(part, PreTrainedConfig)
        }
    return kind(**{name: value for name, value in given.items() if value != []})


def inputs(net: nn.Module) -> Inputs:
    """Ids, pixels or sound, by the names of the arguments."""
    arguments = inspect.signature(net.forward).parameters
    needed = [name for name, argument in arguments.items() if argument.default is argument.empty]
    values = {name: shapes for name, shapes in samples(net).items() if name in arguments}
    main = [net.main_input_name] if isinstance(net.main_input_name, str) else list(net.main_input_name)
    needed = [name for name in needed if name in values]
    sets = [
        main,
        [*main, "decoder_input_ids"],
        [*main, *needed],
        ["input_ids", "pixel_values"],
        ["pixel_values"],
    ]
    sets += [["input_ids"], ["input_ids", "bbox"], ["input_ids", "decoder_input_ids"], ["input_ids", *needed]]
    candidates = []
    for chosen in sets:
        chosen = [name for name in dict.fromkeys(chosen) if name in values]
        for sample in product(*(values[name] for name in chosen)):
            candidates.append(((), dict(zip(chosen, sample, strict=True))))
    return first_that_works(net, [each for each in candidates if each[1]][:24])


def samples(net: nn.Module) -> dict[str, list[Tensor]]:
    """Possible values of the usual arguments, in a few shapes."""

    def find(name: str, default: int) -> int:
        parts = [net.config, *(getattr(net.config, part, None) for part in net.config.sub_configs)]
        found = [getattr(part, name, None) for part in parts]
        found = [each[0] if isinstance(each, list | tuple) else each for each in found if each]
        return next((each for each in found if isinstance(each, int)), default)

    channels, mel = find("num_channels", 3), find("num_mel_bins", 80)
    sides = dict.fromkeys([find("image_size", 32), 64, 224])
    pixels = [torch.rand(2, channels, side, side) for side in sides]
    ids = torch.randint(5, 50, (2, 12))
    return {
        "input_ids": [ids],
        "decoder_input_ids": [ids[:, :7]],
        "pixel_values": pixels,
        "pixel_values_videos": [torch.rand(1, find("num_frames", 8), channels, side, side) for side in sides],
        "input_features": [torch.rand(2, mel, 64), torch.rand(2, 64, mel), torch.rand(2, mel, 3000)],
        "input_values": [torch.rand(2, 4000), torch.rand(2, 1, 4000), torch.rand(2, 64, mel)],
        "bbox": [torch.zeros(2, 12, 4, dtype=torch.long)],
        "past_values": [torch.rand(2, find("context_length", 32), find("num_input_channels", 1))],
    }
