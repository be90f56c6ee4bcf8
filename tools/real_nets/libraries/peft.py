"""The adapters of PEFT around a small language model."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import peft
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from tools.real_nets.libraries import Inputs, RealNet, first_that_works

LAYERS = ["q_proj", "v_proj"]
ADAPTERS: dict[str, dict[str, Any]] = {
    "LoraConfig": {"r": 2, "target_modules": LAYERS},
    "LoraConfig, DoRA": {"r": 2, "target_modules": LAYERS, "use_dora": True},
    "LoraConfig, rank-stabilized": {"r": 2, "target_modules": LAYERS, "use_rslora": True},
    "LoraConfig, embeddings": {"r": 2, "target_modules": [*LAYERS, "embed_tokens"]},
    "LoraConfig, saved head": {"r": 2, "target_modules": LAYERS, "modules_to_save": ["lm_head"]},
    "LoraConfig, all linear": {"r": 2, "target_modules": "all-linear"},
    "LoraConfig, PiSSA": {"r": 2, "target_modules": LAYERS, "init_lora_weights": "pissa"},
    "AdaLoraConfig": {"target_modules": LAYERS, "total_step": 10},
    "IA3Config": {"target_modules": [*LAYERS, "down_proj"], "feedforward_modules": ["down_proj"]},
    "LoHaConfig": {"r": 2, "target_modules": LAYERS},
    "LoKrConfig": {"r": 2, "target_modules": LAYERS},
    "OFTConfig": {"oft_block_size": 4, "r": 0, "target_modules": LAYERS},
    "BOFTConfig": {"boft_block_size": 4, "target_modules": LAYERS},
    "VeraConfig": {"r": 2, "target_modules": LAYERS},
    "FourierFTConfig": {"n_frequency": 8, "target_modules": LAYERS},
    "HRAConfig": {"r": 2, "target_modules": LAYERS},
    "LNTuningConfig": {"target_modules": ["input_layernorm"]},
    "VBLoRAConfig": {"num_vectors": 8, "vector_length": 8, "topk": 2, "r": 2, "target_modules": LAYERS},
    "MissConfig": {"r": 4, "target_modules": LAYERS},
    "RandLoraConfig": {"r": 2, "target_modules": LAYERS},
    "ShiraConfig": {"r": 2, "target_modules": LAYERS},
    "C3AConfig": {"block_size": 8, "target_modules": LAYERS},
    "RoadConfig": {"group_size": 8, "target_modules": LAYERS},
    "PromptTuningConfig": {"num_virtual_tokens": 3},
    "PrefixTuningConfig": {"num_virtual_tokens": 3},
    "PromptEncoderConfig": {"num_virtual_tokens": 3, "encoder_hidden_size": 16},
    "TrainableTokensConfig": {"token_indices": [1, 2], "target_modules": ["embed_tokens"]},
    "CPTConfig": {"cpt_token_ids": [1, 2], "cpt_mask": [1, 1], "cpt_tokens_type_mask": [1, 1]},
}


def nets() -> Iterator[RealNet]:
    for name, options in ADAPTERS.items():
        yield RealNet(name, partial(build, name, options, llama), inputs)
    yield RealNet("LoraConfig on GPT-2", partial(build, "LoraConfig", {"r": 2}, gpt2), inputs)
    classes = {"r": 2, "task_type": "SEQ_CLS"}
    yield RealNet("LoraConfig on BERT", partial(build, "LoraConfig", classes, bert), inputs)
    yield RealNet("two adapters", two_adapters, inputs)
    yield RealNet("merged", lambda: lora().merge_and_unload(), inputs)


def build(name: str, options: dict[str, Any], base: Any) -> nn.Module:
    kind = getattr(peft, name.partition(",")[0])
    return peft.get_peft_model(base(), kind(**{"task_type": "CAUSAL_LM", **options}))


def lora() -> nn.Module:
    return build("LoraConfig", {"r": 2, "target_modules": LAYERS}, llama)


def two_adapters() -> nn.Module:
    net = lora()
    net.add_adapter("other", peft.LoraConfig(r=4, target_modules=LAYERS, task_type="CAUSAL_LM"))
    return net


SIZES = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 32}


def llama() -> nn.Module:
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_attention_heads=2, num_key_value_heads=2))


def bert() -> nn.Module:
    return BertForSequenceClassification(BertConfig(**SIZES, num_attention_heads=2))


def gpt2() -> nn.Module:
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2))


def inputs(net: nn.Module) -> Inputs:
    return first_that_works(net, [((), {"input_ids": torch.randint(1, 60, (2, 8))})])
