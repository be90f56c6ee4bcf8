"""`diagnose`: call a net, look at what happens, and name the mistakes."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from threading import RLock
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map_only

from d2lblocks._arguments import check_net, kind_of, nearest
from d2lblocks._snapshot import Snapshot
from d2lblocks._tensors import named_modules, named_tensors

from ._held import enclosed, held_modules
from ._look import look, without_compiling
from ._rules import RULES, findings
from ._rules.structure import unusable
from ._seen import objects_in, tensors_in
from .report import Finding, Report

__all__ = ["diagnose"]


def diagnose(
    net: nn.Module,
    /,
    *args: Any,
    loss: Callable[[Any], Any] | None = None,
    optimizer: torch.optim.Optimizer | Iterable[torch.optim.Optimizer] | None = None,
    ties: Iterable[tuple[str, str]] = (),
    silence: Iterable[str] = (),
    **kwargs: Any,
) -> Report:
    """Find mistakes in a net: layers that do not learn, tensors that stay behind, gradients that are cut off.

    The net is called as `net(*args, **kwargs)` a few times: as it is, and in evaluation mode.
    With a loss, the backward pass runs too. No optimizer takes a step.

    An error is a mistake in any case. A question is a mistake unless it is intended; it says how to silence
    it. If the call raises an error, the report explains it, and names the layer and the shapes that came in.

    Afterward everything is as it was: parameters, buffers, gradients, training modes, lazy parameters, hooks,
    attributes, lists and dicts in attributes, the optimizer, the inputs, and the random number generators.
    So a call in the middle of training does not change the run. Changes inside an object of a class of your
    own are not undone.

    It takes up to six times as long as one forward and backward pass, plus half a second, and the memory of
    one copy of the net.

    Args:
        net: any module.
        *args: the arguments of the call; a small batch is enough.
        loss: a function that takes the output of the net and returns the loss, such as
            `lambda Y: F.cross_entropy(Y, y)`.
        optimizer: the optimizer, or several that together train the net.
        ties: pairs of names of parameters that should be one, such as `("encoder.weight", "decoder.weight")`.
        silence: codes of findings to leave out, such as `"constant"`; `"constant:self.scale"` leaves out the
            findings with this code at one place.
        **kwargs: the keyword arguments of the call.

    Returns:
        the findings, errors first.

    Raises:
        TypeError: if `net` is not a module, `loss` is not a function, `optimizer` is not an optimizer, or
            `ties` has anything but pairs of names.
        ValueError: if `silence` has an unknown code, or `ties` a name that the net does not have.

    Examples:
        ```python
        import torch
        from torch import nn
        from d2lblocks import diagnose

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = [nn.Linear(20, 20), nn.Linear(20, 10)]

            def forward(self, X):
                for layer in self.layers:
                    X = layer(X)
                return X

        report = diagnose(Net(), torch.rand(8, 20))
        print(report.errors[0].code, report.errors[0].names)
        #> unregistered ('self.layers[0]', 'self.layers[1]')
        ```
    """
    check_net(net)
    silenced = _silenced(silence)
    if loss is not None and not callable(loss):
        hint = ": pass a function of the output, as in lambda Y: F.cross_entropy(Y, y)"
        raise TypeError(f"expected a loss, which is a function, but got {kind_of(loss)}{hint}")
    optimizers, pairs = _optimizers(optimizer), _pairs(ties)
    title = f"{type(net).__name__}, called with {_shapes(args, kwargs)}"
    if wrong := unusable(net):
        return Report(title, _without((wrong,), silenced))
    _check_names(net, pairs)
    with _ONE_AT_A_TIME:
        return Report(title, _without(_findings(net, args, kwargs, loss, optimizers, pairs), silenced))


_ONE_AT_A_TIME = RLock()  # of several threads: the net of one may be that of another


def _findings(
    net: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    loss: Callable[..., Any] | None,
    optimizers: tuple[torch.optim.Optimizer, ...],
    ties: list[tuple[str, str]],
) -> tuple[Finding, ...]:
    """Call the net and apply the rules; then everything is restored."""
    before = Snapshot(
        net, args, kwargs, *objects_in((args, kwargs)), *optimizers, *held_modules(net), *_of_function(loss)
    )
    modes = [(module, module.training) for _, module in named_modules(net)]
    # A graph that was recorded before still fits: at the end all values are those that it needs.
    counted = tuple(each for each in before.tensors() if not (is_lazy(each) or each.is_inference()))
    dtype = torch.get_default_dtype()
    with _unsafe_preserve_version_counter(counted):
        try:
            with torch.inference_mode(False), torch.enable_grad(), without_compiling():
                given, named = tree_map_only(Tensor, _own_input, (args, kwargs))
                seen = look(net, given, named, loss, optimizers, ties, before)
                found = tuple(findings(seen))
                if seen.failure is not None:  # its frames hold the tensors of the call
                    seen.failure.error.__traceback__ = None
                return found
        finally:
            before.restore()
            for module, training in modes:  # a scripted module does not keep its mode in an attribute
                if module.training != training:
                    module.training = training
            torch.set_default_dtype(dtype)
            torch.clear_autocast_cache()  # it has the weights of the steps of training


def _own_input(tensor: Tensor) -> Tensor:
    """An input that leads to no graph of the caller, and that autograd may use."""
    if tensor.is_inference():
        return tensor.clone()
    return tensor.detach().requires_grad_() if tensor.grad_fn is not None else tensor


def _silenced(silence: Iterable[str]) -> set[tuple[str, str]]:
    if isinstance(silence, str):
        silence = (silence,)
    pairs = {(code, name) for code, _, name in (each.partition(":") for each in silence)}
    for code, _ in pairs:
        if code not in RULES:
            raise ValueError(f"there is no finding with the code '{code}': {nearest(code, list(RULES))}")
    return pairs


def _without(found: Sequence[Finding], silenced: set[tuple[str, str]]) -> tuple[Finding, ...]:
    """The findings that are not silenced, errors first; one is silenced if each of its places is."""

    def is_silenced(finding: Finding) -> bool:
        places = [place for code, place in silenced if code == finding.code]
        return bool(places) and all(
            any(_is_at(name, place) for place in places) for name in finding.names or ("",)
        )

    left = [each for each in found if not is_silenced(each)]
    return tuple(sorted(left, key=lambda each: each.level != "error"))


def _is_at(name: str, place: str) -> bool:
    """Whether a name is at a place, or inside it."""
    return not place or name == place or name.startswith((f"{place}.", f"{place}["))


def _pairs(ties: Any) -> list[tuple[str, str]]:
    pairs = [] if isinstance(ties, str) else list(ties)
    for pair in pairs or ([ties] if isinstance(ties, str) else []):
        if not (
            isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(each, str) for each in pair)
        ):
            raise TypeError(
                f"expected pairs of names, such as ('encoder.weight', 'decoder.weight'), but got {pair!r}"
            )
    return [(first, second) for first, second in pairs]


def _check_names(net: nn.Module, ties: list[tuple[str, str]]) -> None:
    names = [name for name, _ in named_tensors(net)] if ties else []
    for name in [name for pair in ties for name in pair if name not in names]:
        raise ValueError(f"{type(net).__name__} has no parameter or buffer '{name}': {nearest(name, names)}")


def _optimizers(given: Any) -> tuple[torch.optim.Optimizer, ...]:
    if given is None:
        return ()
    found = (given,) if not isinstance(given, Iterable) else tuple(given)
    if not all(hasattr(each, "param_groups") for each in found):
        raise TypeError(f"expected an optimizer, or several, but got {kind_of(given)}")
    return found


def _shapes(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The arguments of a call in short, such as `(8, 20)`."""

    def shown(value: Any) -> str:
        if isinstance(value, Tensor):
            return str(tuple(value.shape))
        tensors = list(tensors_in(value))
        return shown(tensors[0]) if len(tensors) == 1 else type(value).__name__

    named = [f"{name}={shown(value)}" for name, value in kwargs.items()]
    return ", ".join([*map(shown, args), *named]) or "nothing"


def _of_function(loss: Any) -> list[Any]:
    """What a loss function uses, and may change: its object, what it encloses, and global variables."""
    function = getattr(loss, "__func__", loss)
    code = getattr(function, "__code__", None)
    if code is None:
        return [] if loss is None else [loss]
    names = [function.__globals__[name] for name in code.co_names if name in function.__globals__]
    kinds = nn.Module, Tensor, list, dict, set, deque
    return [
        getattr(loss, "__self__", None),
        *(each for each in (*enclosed(function), *names) if isinstance(each, kinds)),
    ]
