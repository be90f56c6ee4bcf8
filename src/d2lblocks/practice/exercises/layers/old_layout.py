"""Old checkpoints, new layout."""

from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "layers.md#the-shape-of-the-weight-outputs-first"
TASK = """
`OldLinear` stores its weight as `(in_features, out_features)`, and you have checkpoints in this layout.
`NewLinear` stores it as `(out_features, in_features)`.
Change `NewLinear` so that it loads the state dict of either class, also inside another module and also if the weight is square.
A state dict without a version counts as an old one.
If the state dict does not contain the weight, PyTorch still reports the key as missing.
Loading does not change the tensors of the state dict.
"""
STUB = """\
import torch
from torch import nn
from torch.nn import functional as F


class OldLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(in_features, out_features))

    def forward(self, X):
        return X @ self.weight


class NewLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(out_features, in_features))

    def forward(self, X):
        return F.linear(X, self.weight)
"""
SOLUTION = """\
import torch
from torch import nn
from torch.nn import functional as F


class OldLinear(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(in_features, out_features))

    def forward(self, X):
        return X @ self.weight


class NewLinear(nn.Module):
    _version = 2

    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(out_features, in_features))

    def forward(self, X):
        return F.linear(X, self.weight)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        key = f"{prefix}weight"
        if (local_metadata.get("version") or 1) < 2 and key in state_dict:
            state_dict = state_dict | {key: state_dict[key].T}
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)
"""
HINTS = (
    "What does `OldLinear(5, 3).state_dict()._metadata` contain, and how does it change if the class has a line `_version = 2`?",
    "Read layers.md#the-shape-of-the-weight-outputs-first for the two layouts, and the source of `nn.BatchNorm2d`, whose method `_load_from_state_dict` uses the version.",
    'Set `_version = 2` in the class, and override `_load_from_state_dict(self, state_dict, prefix, local_metadata, *rest)`: if the version is below 2, transpose the entry `prefix + "weight"` in a copy, then call the method of `super()`.',
)
AFTER = """
The version in the metadata tells the layouts apart where the shape cannot, and the prefix finds the weight inside another module.
Two ways to get both: override `_load_from_state_dict`, or register a function with `register_load_state_dict_pre_hook`, which gets the same arguments.
"""


def check(answer: Answer) -> None:
    """States of both classes, alone and nested, with and without a version, give the old outputs."""
    old_class, new_class = answer.module_class("OldLinear"), answer.module_class("NewLinear")
    for inputs, outputs in (1, 2), (2, 3), (3, 3):
        X = torch.rand(2, inputs)
        answer.given = f"the state dict of OldLinear({inputs}, {outputs})"
        old: Any = old_class(inputs, outputs)
        values = old.weight.detach().clone()
        answer.same(
            tuple(values.shape),
            (inputs, outputs),
            "tuple(old.weight.shape)",
            "`OldLinear` has another layout than its checkpoints: change `NewLinear` only.",
        )
        new: Any = new_class(inputs, outputs)
        answer.same(
            tuple(new.weight.shape),
            (outputs, inputs),
            "tuple(new.weight.shape)",
            "The weight of `NewLinear` has to keep the shape `(out_features, in_features)`.",
        )
        weight, start = new.weight, new.weight.detach().clone()
        state: Any = old.state_dict()
        if (version := state._metadata[""].get("version")) != 1:
            raise Wrong(
                "The state dict of `OldLinear` has another version than the old checkpoints: change `NewLinear` only.",
                came=f"version {version}",
                expected="version 1",
                at=vars(old_class).get("__init__"),
            )
        loaded(answer, new, state, "an old state dict", new_class(inputs, outputs))
        if torch.equal(new.weight, start):
            raise Wrong(
                "The weight of the new layer keeps its values: the method of `super()` copies the loaded ones into it.",
                came="the old values",
                expected="the values of the state dict",
            )
        if state.keys() != {"weight"} or not torch.equal(state["weight"], values):
            raise Wrong(
                "Loading changes the tensor in the state dict, so loading the same dict again goes wrong: put `.T`, "
                "a transposed view, into a copy of the dict.",
                came=state.get("weight"),
                expected=values,
            )
        square = (
            "A square weight is not transposed: its shape is the same in both layouts, so only the version tells "
            "them apart."
            if inputs == outputs
            else ""
        )
        if inputs != outputs and torch.equal(new.weight, values.reshape(outputs, inputs)):
            square = "`reshape` and `view` keep the order of the values in memory, so rows and columns are mixed: transpose the weight."
        answer.same(new(X), X @ values, "new(X)", square)
        answer.same(old(X), X @ values, "old(X)", "`OldLinear` computes something else now.")
        if not isinstance(weight, nn.Parameter):
            raise Wrong(
                "The weight of `NewLinear` is no parameter, so no optimizer would train it.",
                came=f"a {type(weight).__name__}",
                expected="nn.Parameter",
            )
        if not new(X).requires_grad:
            raise Wrong(
                "No gradient reaches the weight of `NewLinear`: keep its `forward` as it is.",
                came="new(X).requires_grad is False",
                expected="True",
            )
        if new.weight is not weight:
            raise Wrong(
                "Loading replaces the parameter, but an optimizer still has the old one: copy the values into the old one."
            )
        answer.given = f"the state dict of NewLinear({inputs}, {outputs})"
        state = new.state_dict()
        answer.same(
            tuple(state["weight"].shape),
            (outputs, inputs),
            "tuple(state['weight'].shape)",
            "A new state dict has the old layout.",
        )
        again = new_class(inputs, outputs)
        loaded(answer, again, state, "a new state dict")
        why = "A new state dict is transposed, too. With `_version = 2`, the class marks what it saves as the new layout; `local_metadata` has the version of what is loaded."
        answer.same(again(X), X @ values, "again(X)", why)
        answer.given = f"a plain dict with the weight of OldLinear({inputs}, {outputs}), without a version"
        again = new_class(inputs, outputs)
        loaded(answer, again, {"weight": values}, "one without a version")
        answer.same(
            again(X),
            X @ values,
            "again(X)",
            "A state dict without a version is not transposed: it counts as an old one.",
        )
        answer.given = f"nn.Sequential(OldLinear({inputs}, {outputs}), nn.Tanh())"
        nested = nn.Sequential(nn.Sequential(new_class(inputs, outputs)), nn.Tanh())
        loaded(answer, nested, nn.Sequential(nn.Sequential(old), nn.Tanh()).state_dict(), "")
        why = (
            "Inside another module, the weight is not transposed: its key begins with `prefix`, and the method "
            "`load_state_dict` of a child is not called."
        )
        answer.same(nested(X), (X @ values).tanh(), "nested(X)", why)
    for missing in OrderedDict(), old_class(1, 2).state_dict():
        missing.pop("weight", None)
        version = "version 1" if hasattr(missing, "_metadata") else "no version"
        answer.given = f"a state dict with {version} and without the weight"
        try:
            came = new_class(1, 2).load_state_dict(missing, strict=False).missing_keys
        except KeyError as error:
            raise Wrong(
                "A state dict without the weight raises a `KeyError`: look first whether the key is there, so that "
                "PyTorch reports it as missing.",
                came=f"KeyError: {error}",
                expected='Missing key(s) in state_dict: "weight"',
                page="serialization.md#strict-loading-names-and-shapes-must-match",
            ) from error
        answer.same(
            came,
            ["weight"],
            "new.load_state_dict(state, strict=False).missing_keys",
            "A missing weight is not reported.",
        )

    answer.given = "load_state_dict(state, assign=True), state of OldLinear(1, 2)"
    old, new = old_class(1, 2), new_class(1, 2)
    weight = new.weight
    new.load_state_dict(old.state_dict(), assign=True)
    if new.weight is weight:
        raise Wrong(
            "With `assign=True`, the layer keeps its old parameter: `local_metadata` also tells the method of "
            "`super()` what to do, so pass it on.",
            came="the old parameter with new values",
            expected="a new parameter",
        )
    answer.given = "a state dict of OldLinear(1, 2) that also has the key 'bias'"
    more = old.state_dict()
    more["bias"] = torch.ones(2)
    answer.same(
        new_class(1, 2).load_state_dict(more, strict=False).unexpected_keys,
        ["bias"],
        "new.load_state_dict(state, strict=False).unexpected_keys",
        "PyTorch no longer reports a key that the layer does not have: pass on all keys.",
    )


def loaded(
    answer: Answer, net: nn.Module, state: dict[str, torch.Tensor], what: str, plain: nn.Module | None = None
) -> None:
    """Load the state; raise `Wrong` if that fails. `plain` tells whether one without a version can be loaded."""
    nested = "." in next(iter(state))
    try:
        net.load_state_dict(state)
    except TypeError as error:
        if "NoneType" in str(error):
            why = "The version of a state dict without one is `None`, which cannot be compared with a number."
            raise Wrong(
                why, came=f"TypeError: {error}", expected="<All keys matched successfully>"
            ) from error
        if "_load_from_state_dict" not in str(error):
            raise
        raise Wrong(
            "PyTorch calls `_load_from_state_dict` with seven arguments after `self`, and the method of `super()` needs all of them, too: pass on the rest with `*rest`.",
            came=f"TypeError: {error}",
            expected="<All keys matched successfully>",
            at=vars(answer["NewLinear"]).get("_load_from_state_dict")
            if "Module." not in str(error)
            else None,
        ) from error
    except KeyError as error:
        if error.args == ("version",):
            why = "The metadata of a state dict without a version has no key `version`."
        elif nested:
            why = "The layer is inside another module, and its weight is not found: its key begins with `prefix`."
        else:
            raise
        raise Wrong(why, came=f"KeyError: {error}", expected="<All keys matched successfully>") from error
    except RuntimeError as error:
        text = str(error)
        if "size mismatch" not in text and not (nested and "Missing key" in text):
            raise
        if "size mismatch" not in text:
            why = "The layer is inside another module, and its weight is not loaded: the method of `super()` needs the same `prefix`."
        elif nested:
            why = (
                "The layer is inside another module, and its weight is not transposed: its key begins with `prefix`, "
                "and the method `load_state_dict` of a child is not called."
            )
        elif "version" in what:
            why = "A state dict without a version is not transposed: it counts as an old one."
        elif "new" in what:
            why = "A new state dict is transposed, too. With `_version = 2`, the class marks what it saves as the new layout; `local_metadata` has the version of what is loaded."
        elif vars(answer["NewLinear"]).get("_version") == 1:
            why = "A class that sets no version has version 1, `OldLinear` too: give `NewLinear` a higher one, as in `_version = 2`."
        elif plain is not None and _loads(plain, dict(state)):
            why = "Only a state dict without a version is transposed, but that of `OldLinear` has the version 1."
        else:
            why = (
                "An old state dict cannot be loaded yet: its weight has to be transposed before it is copied."
            )
        raise Wrong(
            why, came=text.split("\t")[-1].strip(), expected="<All keys matched successfully>"
        ) from error


def _loads(net: nn.Module, state: dict[str, torch.Tensor]) -> bool:
    try:
        net.load_state_dict(state)
    except RuntimeError:
        return False
    return True


WRONG = (
    WrongAnswer(
        "its shape is the same in both layouts",
        changes={
            '(local_metadata.get("version") or 1) < 2 and key in state_dict': "key in state_dict and state_dict[key].shape != self.weight.shape"
        },
    ),
    WrongAnswer("`OldLinear` too", changes={"_version = 2": "_version = 1", " or 1) < 2": " or 0) < 1"}),
    WrongAnswer("With `_version = 2`", changes={"    _version = 2\n\n": ""}),
    WrongAnswer(
        "is no parameter",
        changes={
            "nn.Parameter(torch.rand(out_features, in_features))": "nn.Buffer(torch.rand(out_features, in_features))"
        },
    ),
    WrongAnswer(
        "`local_metadata` also tells", changes={"prefix, local_metadata, *rest)\n": "prefix, {}, *rest)\n"}
    ),
    WrongAnswer("needs the same `prefix`", changes={"(state_dict, prefix,": '(state_dict, "",'}),
    WrongAnswer("begins with `prefix`", changes={'f"{prefix}weight"': '"weight"'}),
    WrongAnswer(
        "changes the tensor in the state dict",
        changes={
            "            state_dict = state_dict | {key: state_dict[key].T}": "            state_dict[key].t_()"
        },
    ),
    WrongAnswer("is not transposed: it counts as an old one", changes={" or 1) < 2": " or 2) < 2"}),
    WrongAnswer(
        "Only a state dict without a version",
        changes={'(local_metadata.get("version") or 1) < 2': 'local_metadata.get("version") is None'},
    ),
    WrongAnswer(
        "another version than the old checkpoints",
        changes={"class OldLinear(nn.Module):\n": "class OldLinear(nn.Module):\n    _version = 2\n\n"},
    ),
    WrongAnswer(
        "keeps its values",
        changes={"        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)\n": ""},
    ),
    WrongAnswer(
        "keep the order of the values",
        changes={"state_dict[key].T": "state_dict[key].reshape(self.weight.shape)"},
    ),
    WrongAnswer("seven arguments after `self`", changes={", *rest": ""}),
    WrongAnswer(
        "has no key `version`", changes={'(local_metadata.get("version") or 1)': 'local_metadata["version"]'}
    ),
    WrongAnswer("raises a `KeyError`", changes={" and key in state_dict": ""}),
)
