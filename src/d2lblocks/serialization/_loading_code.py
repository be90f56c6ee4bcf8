"""Nets with code of their own for loading, which `load_state_dict` runs."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from torch import nn

_METHODS = ("load_state_dict", "_load_from_state_dict", "set_extra_state")


def has_loading_code(net: nn.Module) -> bool:
    """Whether `load_state_dict` would do more for a net than copy its tensors."""
    return any(not _is_torch_s(function) for module in net.modules() for function in _loading_code(module))


def run_loading_code(net: nn.Module, extra: Mapping[str, Any]) -> None:
    """Load into a net the tensors that it holds already, and `extra`, so that its code sees both."""
    state = net.state_dict()
    state.update(extra)
    net.load_state_dict(state)


def _loading_code(module: nn.Module) -> Iterator[Any]:
    yield from (getattr(type(module), name) for name in _METHODS if hasattr(type(module), name))
    hooks = (*module._load_state_dict_pre_hooks.values(), *module._load_state_dict_post_hooks.values())
    yield from (getattr(hook, "hook", hook) for hook in hooks)


def _is_torch_s(function: Any) -> bool:
    """Whether it is PyTorch's own code: that of its layers changes tensors, and derives nothing from them."""
    while isinstance(function, partial):
        function = function.func
    return (getattr(function, "__module__", None) or "").partition(".")[0] == "torch"
