"""The memory of tied weights."""

from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "parameters.md#two-layers-with-one-weight"
TASK = """
Write two functions, to see how much memory a model saves by sharing one matrix.
`language_model(words, features)` returns an `nn.Sequential` of an `nn.Embedding(words, features)` and an `nn.Linear(features, words, bias=False)` with tied weights.
`size(net)` returns how many bytes the parameters and buffers of any net take, with each tensor counted once.
Different tensors of a net can have different dtypes.
`size` also works for a net on the meta device, where a tensor has a shape and a dtype but no memory.
"""
STUB = """\
from torch import nn


def language_model(words, features): ...


def size(net): ...
"""
SOLUTION = """\
from torch import nn


def language_model(words, features):
    table = nn.Embedding(words, features)
    scores = nn.Linear(features, words, bias=False)
    scores.weight = table.weight
    return nn.Sequential(table, scores)


def size(net):
    tensors = [*net.parameters(), *net.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
"""
HINTS = (
    "Which of `parameters()`, `buffers()` and `state_dict()` list a tensor once, even if it has two names?",
    "Read parameters.md#two-layers-with-one-weight for the tie, and parameters.md#the-difference-between-state_dict-and-parameters for what to count.",
    "Assign `scores.weight = table.weight`; add up `tensor.numel() * tensor.element_size()` over `net.parameters()` and `net.buffers()`.",
)
AFTER = """
`parameters()` and `buffers()` list each tensor once, and `element_size()` is the number of bytes of one value, so nothing has to be in memory.
`parameter_table(net).bytes` of this library gives the same number.
"""


def check(answer: Answer) -> None:
    """The tie, then the bytes of one layer, of buffers, of other dtypes, of tied weights, on the meta device."""
    model_of = answer.function("language_model")
    for words, features in ((2, 1), (5, 4)):
        answer.given = f"language_model({words}, {features})"
        model = answer.module(model_of(words, features), answer.given)
        _tied(answer, model, words, features)
    size = answer.function("size")
    mixed = nn.Sequential(nn.Linear(2, 3).double(), nn.Linear(3, 1).bfloat16())
    cases = [
        ("nn.Linear(1, 1, bias=False)", nn.Linear(1, 1, bias=False), 4),
        ("nn.Linear(3, 2)", nn.Linear(3, 2), 32),
        ("nn.Sequential(nn.Linear(2, 3).double(), nn.Linear(3, 1).bfloat16())", mixed, 9 * 8 + 4 * 2),
        ("nn.BatchNorm1d(3)", nn.BatchNorm1d(3), 4 * 3 * 4 + 8),
        ("language_model(5, 4)", model, 80),
    ]
    for given, net, expected in cases:
        answer.given = given
        _same_size(answer, size(net), expected, net)
    plain = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)).to("meta")
    answer.given = "nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)).to('meta')"
    _same_size(answer, size(plain), 160, plain)
    masked = nn.Linear(2, 2)
    masked.register_buffer("mask", torch.ones(2), persistent=False)
    answer.given = "nn.Linear(2, 2) with a buffer of 2 values, persistent=False"
    _same_size(answer, size(masked), 8 * 4, masked)


def _tied(answer: Answer, model: Any, words: int, features: int) -> None:
    kinds = [type(each) for each in model.children()]
    if kinds != [nn.Embedding, nn.Linear]:
        raise Wrong(
            "The model has to be a chain of an embedding and a linear layer, in this order.",
            came=[kind.__name__ for kind in kinds],
            expected=["Embedding", "Linear"],
        )
    table, scores = model[0], model[1]
    sizes = table.num_embeddings, table.embedding_dim, scores.in_features, scores.out_features
    if sizes != (words, features, features, words):
        raise Wrong(
            "The layers have the wrong sizes: the embedding turns a word into features, and the linear layer turns "
            "features into one score for each word.",
            came=f"nn.Embedding({sizes[0]}, {sizes[1]}), nn.Linear({sizes[2]}, {sizes[3]})",
            expected=f"nn.Embedding({words}, {features}), nn.Linear({features}, {words})",
        )
    if scores.bias is not None:
        raise Wrong("The linear layer has a bias: pass `bias=False`.", came=list(model.state_dict()))
    if table.weight is scores.weight:
        return
    if table.weight.data_ptr() == scores.weight.data_ptr():
        why = (
            "The weights are in the same memory but are two parameters, and each has its own gradient: assign the "
            "parameter itself, not its `.data` or a new `nn.Parameter`."
        )
    elif torch.equal(table.weight, scores.weight):
        why = "The weights have equal values but are not tied: training makes them different. Assign the parameter itself."
    else:
        why = "The weights are not tied: assign the parameter of one layer to the other."
    raise Wrong(why, came="two parameters", expected="model[1].weight is model[0].weight")


def _same_size(answer: Answer, came: Any, expected: int, net: nn.Module) -> None:
    answer.kind(came, "size(net)", int, "an integer")
    parameters, buffers = list(net.parameters()), list(net.buffers())
    tensors = [*parameters, *buffers]
    saved = sum(each.numel() * each.element_size() for each in net.state_dict().values())
    stories = {
        "This is the number of values: multiply it by the bytes of a value, `tensor.element_size()`.": sum(
            each.numel() for each in tensors
        ),
        "The tied weight is counted twice: a state dict has an entry for each name.": max(saved, expected),
        "A buffer with `persistent=False` is not in the state dict, but it takes memory: use `buffers()`.": saved,
        "The buffers are not counted.": sum(each.numel() * each.element_size() for each in parameters),
        "Each value is counted as 4 bytes: `tensor.element_size()` gives the number for its dtype.": 4
        * sum(each.numel() for each in tensors),
        "All tensors on the meta device have the same address, 0, so an address does not tell them apart.": max(
            each.numel() * each.element_size() for each in tensors
        ),
    }
    why = next((story for story, size in stories.items() if size == came != expected), "")
    why = (
        why
        or "This is not the number of bytes: a tensor takes `tensor.numel() * tensor.element_size()` bytes."
    )
    answer.same(came, expected, "size(net)", why)


WRONG = (
    WrongAnswer(
        "are not tied: training",
        changes={"    scores.weight = table.weight\n": "    scores.load_state_dict(table.state_dict())\n"},
    ),
    WrongAnswer(
        "in the same memory",
        changes={"scores.weight = table.weight": "scores.weight.data = table.weight.data"},
    ),
    WrongAnswer(
        "is counted twice", changes={"[*net.parameters(), *net.buffers()]": "net.state_dict().values()"}
    ),
    WrongAnswer("multiply it by the bytes", changes={" * tensor.element_size()": ""}),
    WrongAnswer(
        "buffers are not counted", changes={"[*net.parameters(), *net.buffers()]": "net.parameters()"}
    ),
    WrongAnswer(
        "does not tell them apart",
        changes={
            "    tensors = [*net.parameters(), *net.buffers()]\n": "    tensors = {each.data_ptr(): each for each in net.state_dict().values()}.values()\n"
        },
    ),
)
