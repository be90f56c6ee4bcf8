"""The states of optimizers, matched with the parameters by name: an optimizer itself only has positions."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from ._trees import unusual_strides, with_strides


class Parameter(NamedTuple):
    """The description of a parameter in a checkpoint, at one position of an optimizer."""

    shape: tuple[int, ...] | None  # None while it is lazy
    strides: list[int] | None = None  # None if they are the usual ones
    name: str | None = None  # in the nets of the checkpoint, if one of them contains it
    own_name: str | None = None  # in the optimizer, if it was created from named parameters


Groups = list[list[Parameter]]


class Names:
    """The names of the parameters of nets."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.ids = {name: id(tensor) for name, tensor in state.items()}
        self.first: dict[int, str] = {}
        for name, key in self.ids.items():
            self.first.setdefault(key, name)


def described(part: Any, names: Names) -> Groups:
    """The parameters of each group of an optimizer; an empty list for any other part."""

    def describe(parameter: Tensor, own_name: str | None) -> Parameter:
        name = names.first.get(id(parameter))
        if is_lazy(parameter):
            return Parameter(None, None, name, own_name)
        return Parameter(tuple(parameter.shape), unusual_strides(parameter), name, own_name)

    groups = part.param_groups if isinstance(part, Optimizer) else []
    return [[*map(describe, group["params"], _own_names(group))] for group in groups]


def optimizer_problems(saved: Groups, state: Any, optimizer: Optimizer, names: Names) -> Iterator[str]:
    """Yield the reasons why the state in a checkpoint does not fit the parameters of an optimizer."""
    counts = [len(group) for group in saved]
    counts_now = [len(group["params"]) for group in optimizer.param_groups]
    if counts != counts_now:
        yield f"parameter groups of {counts} parameters in checkpoint, {counts_now} in optimizer."
    for number, (there, group) in enumerate(zip(saved, optimizer.param_groups, strict=False)):
        match = _Match(there, group, names)
        for where, only in (("checkpoint", match.lost), ("optimizer", match.new)):
            if only:
                yield f"parameter group {number}: only in {where}: {', '.join(map(repr, only))}."
        if counts != counts_now or match.lost or match.new:
            continue
        for parameter, at in zip(group["params"], match.order, strict=True):
            old, new = there[at].shape, None if is_lazy(parameter) else tuple(parameter.shape)
            if new not in (None, old):
                label = f"{at} of group {number}" if there[at].name is None else repr(there[at].name)
                yield f"size mismatch for parameter {label}: {old} in checkpoint, {new} in optimizer."
        if match.moved and not _is_by_parameter(state, number):
            yield (
                f"parameter group {number} is in another order than in checkpoint: "
                f"{', '.join(map(repr, match.moved))}. It needs that order, because the state of "
                f"{type(optimizer).__name__} is not one for each parameter."
            )


def arranged(saved: Groups, state: Any, optimizer: Optimizer, names: Names) -> Any:
    """The state in a checkpoint, rearranged for the current order and memory format of the parameters."""
    if not _is_usual(state):
        return state
    groups = []
    for there, group, current in zip(saved, state["param_groups"], optimizer.param_groups, strict=True):
        order = _Match(there, current, names).order
        for key in group.keys() & {"params", "param_names"}:
            group = {**group, key: [group[key][at] for at in order]}
        groups.append(group)
        for at, number, parameter in zip(order, group["params"], current["params"], strict=True):
            if isinstance(values := state["state"].get(number), dict) and not is_lazy(parameter):
                for key, value in values.items():
                    if isinstance(value, Tensor):
                        values[key] = _in_format(value, there[at], parameter)
    return {**state, "param_groups": groups}


class _Match:
    """The parameters of a group in a checkpoint, matched with the parameters of a group in an optimizer."""

    def __init__(self, there: list[Parameter], group: Mapping[str, Any], names: Names) -> None:
        here = [id(parameter) for parameter in group["params"]]
        own = {name: key for name, key in zip(_own_names(group), here, strict=True) if name}
        wanted = [names.ids.get(p.name or "") or own.get(p.own_name or "") for p in there]
        present = {*here}
        found = {key: at for at, key in enumerate(wanted) if key in present}
        unnamed = iter(sorted({*range(len(there))} - {*found.values()}))
        # Parameters that cannot be matched by name are matched by position.
        self.order = [found[key] if key in found else next(unnamed, -1) for key in here]
        self.moved = [_label(there[at], at) for now, at in enumerate(self.order) if now != at != -1]
        self.lost = [
            _label(p, at)
            for at, (p, key) in enumerate(zip(there, wanted, strict=True))
            if key not in found and (key or (own and p.own_name))
        ]
        named = any(p.name for p in there)
        self.new = [names.first[key] for key in here if named and key in names.first and key not in found]


def _own_names(group: Mapping[str, Any]) -> list[str | None]:
    return group.get("param_names") or [None] * len(group["params"])


def _label(parameter: Parameter, at: int) -> str:
    return parameter.name or parameter.own_name or f"number {at}"


def _is_usual(state: Any) -> bool:
    """Whether a state has the usual form of `torch.optim.Optimizer`."""
    match state:
        case {"state": dict(), "param_groups": [*groups]}:
            numbers = [group.get("params") if isinstance(group, dict) else None for group in groups]
            return all(isinstance(each, list) and {*map(type, each)} <= {int} for each in numbers)
    return False


def _is_by_parameter(state: Any, number: int) -> bool:
    """Whether each parameter of a group has its own state. In LBFGS, the first parameter has all of it."""
    if not _is_usual(state):
        return False
    states = [state["state"].get(at) for at in state["param_groups"][number]["params"]]
    there = [at for at, values in enumerate(states) if values]
    return there != [0] and len({frozenset(states[at]) for at in there}) <= 1


def _in_format(value: Tensor, saved: Parameter, parameter: Tensor) -> Tensor:
    """Give a value the memory format of its parameter if it had it before: fused kernels require that."""
    if value.shape != parameter.shape or unusual_strides(value) != saved.strides:
        return value
    strides = unusual_strides(parameter)
    if strides == saved.strides:
        return value
    return value.contiguous() if strides is None else with_strides(value, strides)
