"""Classes that cannot be a module: nothing that walks through such a net works, so these are found first."""

import functools
import inspect
from collections.abc import Iterator

from torch import nn

from d2lblocks._tensors import named_modules

from .._seen import Seen, join
from .._source import line_of_class, line_that_assigns
from ..report import Finding
from ._rule import RULES, Found, rule

_METHODS = {
    "parameters", "named_parameters", "buffers", "named_buffers", "children", "named_children", "modules",
    "named_modules", "state_dict", "load_state_dict", "forward", "train", "eval", "apply", "to", "zero_grad",
}  # fmt: skip


@rule("cycle", "error", "modules.md#maximum-recursion-depth-exceeded-a-child-that-holds-its-parent")
def cycle(seen: Seen) -> Iterator[Found]:
    """A module that contains itself."""
    yield from ()  # found by `unusable`


@rule("unhashable", "error", "modules.md#unhashable-type-a-module-as-a-dataclass")
def unhashable(seen: Seen) -> Iterator[Found]:
    """A module without a hash, such as a dataclass."""
    yield from ()  # found by `unusable`


@rule("hidden-method", "error", "diagnosis.md#an-attribute-called-parameters-hides-the-method")
def hidden_method(seen: Seen) -> Iterator[Found]:
    """An attribute or a method that hides a method of `nn.Module`, such as `parameters` or `eval`."""
    for path, module in seen.modules.items():
        for name in ("train", "eval"):
            method = getattr(type(module), name)
            calls = ((), ("mode",)) if name == "train" else ((),)
            if method is not getattr(nn.Module, name) and not all(_takes(method, *each) for each in calls):
                yield Found(
                    (join(path, name),),
                    f"{type(module).__name__} defines {name}() with other arguments. nn.Module has a method "
                    f"with this name, which PyTorch calls to switch the mode, so net.{name}() fails.",
                    f"Rename the method, for example to {'fit' if name == 'train' else 'evaluate'}.",
                    line_of_class(type(module)),
                    "question",
                )


def _takes(method: object, *arguments: str) -> bool:
    try:
        inspect.signature(method).bind("self", *arguments)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def unusable(net: nn.Module) -> Finding | None:
    """The finding for a net that cannot be looked at any further."""
    try:
        for path, module in named_modules(net):
            kind = type(module)
            if kind.__hash__ is None:
                return _finding(
                    "unhashable",
                    path or "net",
                    f"{kind.__name__} has no hash: parameters(), to() and all that walks through a net fail.",
                    "Write @dataclass(eq=False), which keeps the hash, or a plain class with __init__.",
                )
            for name in sorted(_METHODS & (vars(module).keys() | _own_names(kind))):
                value = vars(module).get(name, inspect.getattr_static(kind, name, None))
                if value is not None and not _is_method(value):
                    return _finding(
                        "hidden-method",
                        join(path, name),
                        f"The attribute '{name}' hides the method {name}() of nn.Module: whatever calls "
                        f"it fails with \"'{type(value).__name__}' object is not callable\".",
                        "Give the attribute another name.",
                        kind,
                        name,
                    )
    except ValueError as error:  # a module that contains itself
        text, _, fix = str(error).partition(". ")
        name = text.split("'")[1] if "'" in text else "net"
        return _finding("cycle", name, f"{text}.", f"{fix}.")
    return None


def _own_names(kind: type) -> set[str]:
    """The names that a class defines, or its base classes below `nn.Module`."""
    return {name for base in kind.__mro__ if base.__module__ != nn.Module.__module__ for name in vars(base)}


def _is_method(value: object) -> bool:
    """Whether it can be called, directly or as an attribute, such as the `forward` of a scripted module."""
    if isinstance(value, property | functools.cached_property):
        return False
    return callable(value) or hasattr(type(value), "__get__")


def _finding(
    code: str, name: str, text: str, fix: str, kind: type | None = None, attribute: str = ""
) -> Finding:
    line = (line_that_assigns(kind, attribute) or line_of_class(kind)) if kind else None
    file, number = line or (None, None)
    return Finding(code, "error", (name,), file, number, text, fix, RULES[code].page)
