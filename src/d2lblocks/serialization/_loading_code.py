"""Nets with loading code of their own, which `load_state_dict` runs."""

from collections.abc import Mapping
from functools import partial
from itertools import chain
from typing import Any

from torch import nn

_METHODS = ("load_state_dict", "_load_from_state_dict", "set_extra_state")


def has_loading_code(net: nn.Module) -> bool:
    """Whether `load_state_dict` would do more for a net than copy its tensors."""
    kinds = {type(module) for module in net.modules()}
    methods = (getattr(kind, name) for kind in kinds for name in _METHODS if hasattr(kind, name))
    hooks = (
        getattr(hook, "hook", hook)
        for module in net.modules()
        for hooks in (module._load_state_dict_pre_hooks, module._load_state_dict_post_hooks)
        for hook in hooks.values()
    )
    return not all(map(_is_torch_s, chain(methods, hooks)))


def run_loading_code(net: nn.Module, extra: Mapping[str, Any]) -> None:
    """Load the net's own tensors into it again, together with `extra`, so that its loading code sees both."""
    state = net.state_dict()
    state.update(extra)
    net.load_state_dict(state)


def _is_torch_s(function: Any) -> bool:
    """Whether a function is PyTorch's own: such code changes tensors, and computes nothing else from them."""
    while isinstance(function, partial):
        function = function.func
    return (getattr(function, "__module__", None) or "").partition(".")[0] == "torch"
