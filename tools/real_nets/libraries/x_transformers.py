"""Variants of the transformer in x-transformers."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn
from x_transformers import (
    AutoregressiveWrapper,
    ContinuousTransformerWrapper,
    Decoder,
    Encoder,
    TransformerWrapper,
    ViTransformerWrapper,
    XTransformer,
)

from tools.real_nets.libraries import Inputs, RealNet, first_that_works

WORDS, LENGTH = 20, 16
# Options of the layers, and of the net around them.
LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rotary positions": {"rotary_pos_emb": True},
    "alibi": {"alibi_pos_bias": True, "alibi_num_heads": 2},
    "relative positions": {"rel_pos_bias": True},
    "dynamic positions": {"dynamic_pos_bias": True, "dynamic_pos_bias_log_distance": False},
    "xpos": {"rotary_pos_emb": True, "rotary_xpos": True},
    "GLU": {"ff_glu": True},
    "SwiGLU without bias": {"ff_swish": True, "ff_glu": True, "ff_no_bias": True},
    "ReLU squared": {"ff_relu_squared": True},
    "RMSNorm": {"use_rmsnorm": True},
    "ScaleNorm": {"use_scalenorm": True},
    "sandwich norm": {"sandwich_norm": True},
    "residual gates": {"gate_residual": True},
    "one head of keys": {"attn_one_kv_head": True},
    "groups of heads": {"attn_kv_heads": 1},
    "normed queries": {"attn_qk_norm": True},
    "memory": {"attn_num_mem_kv": 2},
    "gated values": {"attn_gate_values": True},
    "macaron": {"macaron": True},
    "sparse": {"attn_sparse_topk": 2},
    "layers that are shared": {"weight_tie_layers": True},
    "hyper connections": {"num_residual_streams": 2},
    "dropout": {"layer_dropout": 0.1, "attn_dropout": 0.1, "ff_dropout": 0.1},
}
NETS: dict[str, dict[str, Any]] = {
    "tied embedding": {"tie_embedding": True},
    "memory tokens": {"num_memory_tokens": 2},
    "no positions": {"use_abs_pos_emb": False},
    "scaled positions": {"scaled_sinu_pos_emb": True},
    "mixture of softmaxes": {"mixture_of_softmax": True, "mixture_of_softmax_k": 2},
}


def nets() -> Iterator[RealNet]:
    for name, options in LAYERS.items():
        yield RealNet(f"decoder: {name}", partial(wrapped, Decoder, options, {}), words)
        if name != "xpos":  # xpos only supports causal attention
            yield RealNet(f"encoder: {name}", partial(wrapped, Encoder, options, {}), words)
    for name, options in NETS.items():
        yield RealNet(f"decoder: {name}", partial(wrapped, Decoder, {}, options), words)
    yield RealNet("AutoregressiveWrapper", autoregressive, words)
    yield RealNet("ContinuousTransformerWrapper", continuous, lambda net: ((torch.rand(2, LENGTH, 8),), {}))
    yield RealNet("ViTransformerWrapper", vision, lambda net: ((torch.rand(2, 3, 32, 32),), {}))
    for tied in (False, True):
        name = "XTransformer" + (", one table of words" if tied else "")
        yield RealNet(name, partial(both, tied), lambda net: ((ids(), ids()), {}))


def ids() -> torch.Tensor:
    return torch.randint(WORDS, (2, LENGTH))


def words(net: nn.Module) -> Inputs:
    return first_that_works(net, [((ids(),), {})])


def wrapped(kind: type[nn.Module], layers: dict[str, Any], options: dict[str, Any]) -> nn.Module:
    inside = kind(dim=32, depth=2, heads=2, attn_dim_head=16, **layers)
    return TransformerWrapper(num_tokens=WORDS, max_seq_len=2 * LENGTH, attn_layers=inside, **options)


def autoregressive() -> nn.Module:
    return AutoregressiveWrapper(wrapped(Decoder, {}, {}))


def continuous() -> nn.Module:
    inside = Decoder(dim=32, depth=2, heads=2)
    return ContinuousTransformerWrapper(dim_in=8, dim_out=4, max_seq_len=LENGTH, attn_layers=inside)


def vision() -> nn.Module:
    inside = Encoder(dim=32, depth=2, heads=2)
    return ViTransformerWrapper(image_size=32, patch_size=8, num_classes=5, attn_layers=inside)


def both(tied: bool) -> nn.Module:
    sizes = {"num_tokens": WORDS, "depth": 2, "heads": 2, "max_seq_len": LENGTH}
    parts = {f"{part}_{name}": value for part in ("enc", "dec") for name, value in sizes.items()}
    return XTransformer(dim=32, tie_token_emb=tied, **parts)
