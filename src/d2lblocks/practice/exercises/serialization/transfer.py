"""One layer from a file."""

import torch
from torch import nn

from d2lblocks._arguments import kind_of

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from ._loads import Load, observed

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
Only the entries of this layer are loaded, and a missing one is an error.
There are two ways: for each `key` of `layer.state_dict()`, take `state[f"{name}.{key}"]`; or take the entries that begin with `f"{name}."`, and remove this prefix with `removeprefix`.
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
        own = {f"{name}.{key}": each for key, each in saved.items()}
        first = {f"my.{name}.weight": torch.rand(2)}
        torch.save({**first, **own, **other}, path)
        other |= first
        answer.given = (
            f"the name {name!r}, a layer with {', '.join(saved)}, and a file that also has {', '.join(other)}"
        )
        before = {key: tensor.clone() for key, tensor in layer.state_dict().items()}
        with observed() as loads:
            try:
                result = transfer(path, name, layer)
            except (RuntimeError, KeyError) as error:
                raise _mistake(error, name, list(saved), loads[-1] if loads else None) or error from None
        if hasattr(result, "missing_keys"):
            why = "`load_state_dict` returns a report, the names that did not fit, not the layer."
            raise Wrong(why, came=result, expected="layer")
        if result is not layer:
            answer.module(result, "transfer(path, name, layer)")
            raise Wrong("Return `layer` itself.", came=kind_of(result), expected="layer")
        buffers = {key for key, _ in layer.named_buffers()}
        if all(torch.equal(tensor, before[key]) for key, tensor in layer.state_dict().items()):
            why = "Nothing was loaded into the layer."
            if loads and not loads[-1].strict:
                why = "Nothing was loaded into the layer: `strict=False` skips each name that does not match."
            came = str(loads[-1]) if loads else "the values of a new layer"
            raise Wrong(why, came=came, expected=f"entries named {', '.join(saved)}")
        for key, tensor in layer.state_dict().items():
            why = "The buffers were not loaded, such as the running mean." if key in buffers else ""
            answer.same(tensor, saved[key], f"layer.state_dict()[{key!r}]", why, tolerance=0)
        if "requires_grad" in vars(layer):
            raise Wrong(
                "`layer.requires_grad = False` gives the module an attribute that nothing reads: "
                "the method that freezes parameters is `requires_grad_`.",
                came=f"requires_grad of weight is {next(layer.parameters()).requires_grad}",
                expected="requires_grad of weight is False",
            )
        if training := [key for key, each in layer.named_parameters() if each.requires_grad]:
            number = len(list(layer.parameters()))
            raise Wrong(
                f"{len(training)} of the {number} parameters of the layer can still be trained: `requires_grad` is `True`.",
                came=f"trainable: {', '.join(training)}",
                expected="trainable: none",
            )
    answer.given = "a file without the bias of the layer"
    torch.save({"hidden.weight": torch.rand(1, 1)}, "part.pt")
    try:
        transfer("part.pt", "hidden", nn.Linear(1, 1))
    except Exception:
        return
    raise Wrong(
        "The file lacks an entry, but there is no error: the layer keeps random values.",
        came="no error",
        expected="an error",
    )


def _mistake(error: Exception, name: str, keys: list[str], load: Load | None) -> Wrong | None:
    """The verdict on an error, from the names of the entries that were loaded."""
    file = [f"{name}.{key}" for key in keys]
    expected = f"entries named {', '.join(keys)}"
    if isinstance(error, KeyError):
        why = f"There is no entry `{error.args[0]}`: a layer with layers inside has others than `weight` and `bias`."
        if "weight" in keys:
            why = f"There is no entry `{error.args[0]}` here: the file has {' and '.join(f'`{each}`' for each in file)}."
        return Wrong(why, came=f"KeyError: {error}", expected=expected)
    if load and set(load.names) == set(keys) and "size mismatch" in str(error):
        why = f"An entry of another layer is loaded: the names of this one begin with `{name}.`, and not only contain it."
        return Wrong(why, came=f"{type(error).__name__}: {error}", expected=expected)
    if load is None or set(load.names) == set(keys):
        return None
    names = set(load.names)
    if {*file, "out.weight"} <= names:
        why = f"All entries of the file are loaded, under the names that they have in the whole net: this layer calls them {' and '.join(f'`{each}`' for each in keys)}."
    elif names == set(file):
        why = f"Inside the layer, the names do not begin with `{name}.`."
    elif names > set(keys):
        why = f"Entries of other layers are loaded too: the names of this one begin with `{name}.`, dot included."
    elif not names:
        why = "No entry was taken from the file." + (
            " The name of a layer can contain dots of its own." if "." in name else ""
        )
    elif names == {each.replace(f"{name}.", "") for each in file}:
        why = f"`{name}.{name}.weight` in the file is `{name}.weight` in the layer: `{name}.` goes only once, at the beginning."
    else:
        why = f"These are not the names in the layer: at the beginning of each, exactly `{name}.` has to go, no more and no less."
    return Wrong(why, came=str(load), expected=expected)


BY_PREFIX = """\
import torch


def transfer(path, name, layer):
    state, prefix = torch.load(path), f"{name}."
    part = {key.removeprefix(prefix): state[key] for key in state if key.startswith(prefix)}
    layer.load_state_dict(part)
    return layer.requires_grad_(False)
"""
WRONG = (
    WrongAnswer("dot included", code=BY_PREFIX.replace("startswith(prefix)", "startswith(name)")),
    WrongAnswer(
        "and not only contain it",
        code=BY_PREFIX.replace("key.removeprefix(prefix)", "key.split(prefix)[1]").replace(
            "key.startswith(prefix)", "prefix in key"
        ),
    ),
    WrongAnswer("do not begin with", code=BY_PREFIX.replace("key.removeprefix(prefix)", "key")),
    WrongAnswer("only once", code=BY_PREFIX.replace("removeprefix(prefix)", 'replace(prefix, "")')),
    WrongAnswer(
        "others than `weight` and `bias`", changes={"in layer.state_dict()}": 'in ("weight", "bias")}'}
    ),
    WrongAnswer(
        "dots of its own", code=BY_PREFIX.replace("key.startswith(prefix)", 'key.split(".")[0] == name')
    ),
    WrongAnswer("All entries of the file", changes={"(part)": "(state)"}),
    WrongAnswer("parameters of the layer can still", changes={"layer.requires_grad_(False)": "layer"}),
    WrongAnswer("Nothing was loaded", changes={"(part)": "(state, strict=False)"}),
    WrongAnswer("keeps random values", code=BY_PREFIX.replace("(part)", "(part, strict=False)")),
    WrongAnswer(
        "attribute that nothing reads",
        changes={"return layer.requires_grad_(False)": "layer.requires_grad = False\n    return layer"},
    ),
)
