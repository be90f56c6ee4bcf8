"""One layer from a file."""

import torch
from torch import nn

from d2lblocks._arguments import kind_of

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "serialization.md#loading-part-of-a-net-into-another-net"
TASK = """
Reuse one layer of a saved net in another net, and train only the new layers.
Write `transfer(path, name, layer)`: in the state dict in the file `path`, the names of the layer's entries begin with `name` and a dot.
Load these entries into `layer`, which may have layers inside, freeze all its parameters and return it.
If the file lacks an entry, raise an error.
"""
STUB = """\
import torch


def transfer(path, name, layer):
    ...
"""
SOLUTION = """\
import torch


def transfer(path, name, layer):
    state = torch.load(path)
    part = {key: state[f"{name}.{key}"] for key in layer.state_dict()}
    layer.load_state_dict(part)
    return layer.requires_grad_(False)
"""
HINTS = (
    "If `name` is `hidden`, what is the entry `hidden.weight` called inside the layer?",
    "Read serialization.md#loading-part-of-a-net-into-another-net: it picks the entries of one layer out of a file.",
    'For each `key` in `layer.state_dict()`, take `state[f"{name}.{key}"]` from the file; load the dictionary of '
    "these, and call `layer.requires_grad_(False)`.",
)
AFTER = """
The layer itself says which entries it needs, and a `KeyError` names one that the file lacks.
Another way is to take the entries with `key.startswith(f"{name}.")` and to cut the prefix off with `key.removeprefix(f"{name}.")`.
"""


def check(answer: Answer) -> None:
    """The entries of the layer are loaded, those of no other, and all its parameters are frozen."""
    transfer = answer.function("transfer")
    for name, layer in (
        ("hidden", nn.Linear(1, 1)),
        ("hidden", nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))),
        ("hidden", nn.ModuleDict({"hidden": nn.Linear(2, 2), "out": nn.Linear(2, 2)})),
        ("body.0", nn.Linear(2, 2)),
    ):
        saved = {key: tensor + 1 for key, tensor in layer.state_dict().items()}
        other = {
            f"{name}2.weight": torch.rand(2),
            "out.weight": torch.rand(2),
            f"my.{name}.bias": torch.rand(2),
        }
        path = f"{name}.pt"
        torch.save({**{f"{name}.{key}": each for key, each in saved.items()}, **other}, path)
        answer.given = (
            f"the name {name!r}, a layer with {', '.join(saved)}, and a file that also has {', '.join(other)}"
        )
        before = {key: tensor.clone() for key, tensor in layer.state_dict().items()}
        try:
            result = transfer(path, name, layer)
        except RuntimeError as error:
            _explain(str(error), name)
            raise
        if result is not layer:
            answer.module(result, "transfer(path, name, layer)")
            raise Wrong("Return `layer` itself.", came=kind_of(result), expected="layer")
        buffers = {key for key, _ in layer.named_buffers()}
        if all(torch.equal(tensor, before[key]) for key, tensor in layer.state_dict().items()):
            raise Wrong(
                "Nothing was loaded into the layer. In case you use `strict=False`: it skips each name that does not match.",
                came="the values of a new layer",
                expected="the values from the file",
            )
        for key, tensor in layer.state_dict().items():
            why = "The buffers were not loaded, such as the running mean." if key in buffers else ""
            answer.same(tensor, saved[key], f"layer.state_dict()[{key!r}]", why, tolerance=0)
        if "requires_grad" in vars(layer):
            raise Wrong(
                "`layer.requires_grad = False` gives the module an attribute that nothing reads: "
                "the method that freezes parameters is `requires_grad_`.",
                came="parameters that train",
                expected="frozen parameters",
            )
        if training := [key for key, each in layer.named_parameters() if each.requires_grad]:
            raise Wrong(
                "A parameter of the layer would still train: its `requires_grad` is `True`.",
                came=f"requires_grad of {', '.join(training)}",
                expected="none",
            )
    answer.given = "a file without the bias of the layer"
    torch.save({"hidden.weight": torch.rand(1, 1)}, "part.pt")
    try:
        transfer("part.pt", "hidden", nn.Linear(1, 1))
    except Exception:
        return
    raise Wrong(
        "The file lacks a name, but there is no error: the layer keeps random values.",
        came="no error",
        expected="an error",
    )


def _explain(message: str, name: str) -> None:
    """Raise `Wrong` if the message of `load_state_dict` shows which names were wrong."""
    unexpected = message.partition("Unexpected key(s)")[2]
    if "2." in unexpected or '"my.' in unexpected or '"out.weight' in unexpected:
        why = (
            f"Entries of other layers were loaded too: those of `{name}` begin with `{name}.`, and the dot "
            f"keeps out `{name}2`."
        )
    elif f'"{name}.' in unexpected:
        why = f"Inside the layer, the names do not begin with `{name}.`: cut off this prefix."
    elif "Missing key(s)" in message:
        why = (
            f"What was cut off is not exactly `{name}.`: `replace` also changes the middle of a name, "
            "`split` does not know how many dots the prefix has, and `lstrip` removes letters, not a word."
        )
    else:
        return
    raise Wrong(why, came=message, expected="<All keys matched successfully>")


BY_PREFIX = """\
import torch


def transfer(path, name, layer):
    state, prefix = torch.load(path), f"{name}."
    part = {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
    layer.load_state_dict(part)
    return layer.requires_grad_(False)
"""
WRONG = (
    WrongAnswer("the dot keeps out", code=BY_PREFIX.replace("startswith(prefix)", "startswith(name)")),
    WrongAnswer("cut off this prefix", code=BY_PREFIX.replace("key.removeprefix(prefix)", "key")),
    WrongAnswer("What was cut off", code=BY_PREFIX.replace("removeprefix(prefix)", 'replace(prefix, "")')),
    WrongAnswer("Nothing was loaded", changes={"(part)": "(state, strict=False)"}),
    WrongAnswer("keeps random values", code=BY_PREFIX.replace("(part)", "(part, strict=False)")),
    WrongAnswer(
        "attribute that nothing reads",
        changes={"return layer.requires_grad_(False)": "layer.requires_grad = False\n    return layer"},
    ),
)
