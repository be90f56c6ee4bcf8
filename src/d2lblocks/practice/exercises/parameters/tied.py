"""The memory of tied weights."""

from typing import Any

import torch
from torch import Tensor, nn

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
`parameters()` and `buffers()` list each tensor once, and the number of bytes follows from its shape and dtype, so nothing has to be in memory.
Three ways to write the bytes of a tensor: `numel() * element_size()`, `numel() * dtype.itemsize`, and `nbytes`; `parameter_table(net).bytes` of this library gives the same sum.
"""


def check(answer: Answer) -> None:
    """The tie, then the bytes of one layer, of buffers, of other dtypes, of tied weights, on the meta device."""
    model_of = answer.function("language_model")
    for words, features in ((2, 1), (5, 4)):
        answer.given = f"language_model({words}, {features})"
        model = _made(answer, model_of, words, features)
        _tied(answer, model, words, features)
    answer.given = ""
    size = answer.function("size")
    frozen = nn.Sequential(nn.Linear(4, 3).requires_grad_(False), nn.Linear(3, 1))
    mixed = nn.Sequential(nn.Linear(2, 3).double(), nn.Linear(3, 1).bfloat16())
    cases = [
        ("nn.Linear(1, 1, bias=False)", nn.Linear(1, 1, bias=False), 4),
        ("nn.Linear(4, 3)", nn.Linear(4, 3), 60),
        ("nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1)), the first layer frozen", frozen, 76),
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
    sliced = nn.Linear(2, 2)
    sliced.register_buffer("mask", torch.ones(9)[:2])
    answer.given = "nn.Linear(2, 2) with the buffer torch.ones(9)[:2]"
    _same_size(answer, size(sliced), 8 * 4, sliced)
    masked = nn.Linear(2, 2)
    masked.register_buffer("scale", torch.ones(1))
    masked.register_buffer("mask", torch.ones(2), persistent=False)
    answer.given = "nn.Linear(2, 2) with a buffer of 1 value, and one of 2 values that is not persistent"
    _same_size(answer, size(masked), 9 * 4, masked)


def _made(answer: Answer, model_of: Any, words: int, features: int) -> Any:
    try:
        model = model_of(words, features)
    except TypeError as error:
        message = str(error)
        if "cannot assign" not in message or "as parameter" not in message:
            raise
        if "Tensor'" in message:
            why = (
                "What is assigned is a plain tensor, such as `.T`, `.data` and `.detach()` give, and weights are tied "
                "only if both are one parameter. Both have the same shape: one row for each word."
            )
        else:
            why = "What is assigned to the weight is not a parameter: a layer has its parameter in `weight`."
        raise Wrong(why, came=message, expected="model[1].weight is model[0].weight") from None
    return answer.kind(model, answer.given, nn.Sequential, "an nn.Sequential")


def _tied(answer: Answer, model: Any, words: int, features: int) -> None:
    kinds = [type(each) for each in model]
    if kinds != [nn.Embedding, nn.Linear]:
        raise Wrong(
            "The model has to be a chain of an embedding and a linear layer, in this order.",
            came=f"layers: {', '.join(kind.__name__ for kind in kinds)}",
            expected="layers: Embedding, Linear",
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
        raise Wrong(
            "The linear layer has a bias: pass `bias=False`.",
            came=f"the entries {list(model.state_dict())}",
            expected="the entries ['0.weight', '1.weight']",
        )
    if repr(table) != repr(nn.Embedding(words, features)):
        raise Wrong(
            "The embedding has an option that the task does not name: pass only its two sizes.",
            came=repr(table),
            expected=repr(nn.Embedding(words, features)),
        )
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
    if came != expected:
        raise Wrong(
            _story(came, expected, net),
            came=f"{came} {'byte' if came == 1 else 'bytes'}",
            expected=f"{expected} bytes",
        )


def _story(came: int, expected: int, net: nn.Module) -> str:
    """What the wrong number of bytes probably comes from."""
    parameters, buffers = list(net.parameters()), list(net.buffers())
    tensors = [*parameters, *buffers]
    values, bytes_of = sum(each.numel() for each in tensors), [_bytes(each) for each in tensors]
    names = sum(map(_bytes, net.state_dict().values()))
    stories = {
        "This is the number of values: multiply it by the bytes of a value, `tensor.element_size()`.": values,
        "The buffers are not counted.": sum(map(_bytes, parameters)),
        "The tied weight is counted twice: it is one tensor with two names.": max(names, expected),
        "A buffer with `persistent=False` is not in the state dict, but it takes memory: use `buffers()`.": names,
        "Each value is counted as 4 bytes: `tensor.element_size()` gives the number for its dtype.": 4
        * values,
        "Each value is counted with the dtype of the first tensor.": tensors[0].element_size() * values,
        "This is the size of the first tensor alone: add up all of them.": bytes_of[0],
        "This is the size of the last tensor alone: add up all of them.": bytes_of[-1],
        "Each tensor is counted twice.": 2 * expected,
        "Frozen parameters are not counted: they take memory too.": sum(
            _bytes(each) for each in tensors if each.requires_grad
        ),
        "Tensors of integers are not counted: they take memory too.": sum(
            _bytes(each) for each in tensors if each.is_floating_point()
        ),
        "Nothing is counted: the net can have parameters of its own, outside its children.": 0,
        "This is the number of bits: a byte has 8 of them.": 8 * expected,
    }
    if tensors[0].is_meta:
        same = (
            "All tensors on the meta device have the same address, 0, so an address does not tell them apart."
        )
        stories = {same: max(bytes_of), **stories}
    elif all(tensor.device.type == "cpu" for tensor in tensors):
        slices = "The size of the whole memory is counted, of which a slice uses only a part: count the values of the tensor."
        stories[slices] = sum(each.untyped_storage().nbytes() for each in tensors)
    for story, number in stories.items():
        if number == came != expected:
            return story
    return "This is not the number of bytes: count all values of a tensor, each with the bytes of its dtype."


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


WRONG = (
    WrongAnswer("is a plain tensor", changes={"= table.weight\n": "= table.weight.detach()\n"}),
    WrongAnswer(
        "a slice uses only a part",
        changes={"tensor.numel() * tensor.element_size()": "tensor.untyped_storage().nbytes()"},
    ),
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
    WrongAnswer(
        "Frozen parameters are not counted",
        changes={"[*net.parameters(), *net.buffers()]": "[p for p in net.parameters() if p.requires_grad]"},
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
