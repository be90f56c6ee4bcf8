"""Names that do not do what they seem to do: misspelt ones, and those with a dot."""

import difflib
import functools
from collections.abc import Iterator

from torch import nn

from .._seen import Seen, join
from .._source import line_that_assigns, reads
from ._rule import Found, rule


@rule("misspelt", "error", "parameters.md#a-frozen-layer-still-trains-require_grad")
def misspelt(seen: Seen) -> Iterator[Found]:
    """An attribute whose name is almost `requires_grad` or `training`, and which nothing reads."""
    for known, name in seen.names.items():
        tensor = seen.tensors[known]
        for attribute, value in vars(tensor).items():
            if type(value) is bool and _is_slip(attribute, "requires_grad") and value != tensor.requires_grad:
                yield _slip(name, attribute, f"still has requires_grad={tensor.requires_grad}", value)
    for path, module in seen.modules.items():
        for attribute, value in vars(module).items():
            grad = attribute == "requires_grad" or _is_slip(attribute, "requires_grad")
            mode = _is_slip(attribute, "training")
            if type(value) is not bool or not (grad or mode) or reads(type(module), attribute):
                continue
            name, training = join(path, attribute), seen.modes[id(module)]
            trains = [each.requires_grad for each in module.parameters()]
            if grad and trains and all(each != value for each in trains):
                still = f"has parameters that still have requires_grad={trains[0]}"
                yield _slip(name, attribute, still, value, type(module))
            elif mode and value != training:
                still = "training" if training else "evaluation"
                yield Found(
                    (name,),
                    f"{_only(attribute)} The module is still in {still} mode.",
                    f"Call {'train' if value else 'eval'}() on the module.",
                    line_that_assigns(type(module), attribute),
                )


@functools.cache
def _is_slip(attribute: str, name: str) -> bool:
    alike = difflib.SequenceMatcher(None, attribute, name).ratio()
    return attribute != name and not attribute.startswith("_") and alike > 0.9


def _only(attribute: str) -> str:
    return f"Setting {attribute} creates an attribute with this name, which nothing reads."


def _slip(name: str, attribute: str, still: str, value: bool, kind: type | None = None) -> Found:
    line = line_that_assigns(kind, attribute) if kind else None
    fix = f"Set requires_grad = {value} on a parameter, or call requires_grad_({value}) on a module."
    return Found((name,), f"{_only(attribute)} It {still}.", fix, line)


@rule("dotted-name", "error", "modules.md#setattr-with-a-dotted-name-does-not-replace-a-layer")
def dotted_name(seen: Seen) -> Iterator[Found]:
    """A child whose own name contains a dot, as `setattr` with a path makes it."""
    for path, module in seen.modules.items():
        for name, child in module._modules.items():
            if "." in name and child is not None:
                hides = join(path, name) in _paths(module, path)
                yield Found(
                    (join(path, name),),
                    f"A child of {type(module).__name__} has the name '{name}', with a dot. setattr does not "
                    "follow a path: it has replaced nothing"
                    + (", and two modules have the same names in the state_dict." if hides else "."),
                    f'Call net.set_submodule("{join(path, name)}", new, strict=True) instead of setattr.',
                    level="error" if hides else "question",
                )


def _paths(module: nn.Module, path: str) -> set[str]:
    """The paths below a module that lead through names without dots."""
    found = set()
    for name, child in module._modules.items():
        if child is not None and "." not in name:
            found |= {join(path, name)} | _paths(child, join(path, name))
    return found
