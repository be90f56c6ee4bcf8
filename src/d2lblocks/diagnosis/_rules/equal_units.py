"""Units of a layer that start equal and stay equal, because they get equal gradients."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from d2lblocks._snapshot import Snapshot

from .._seen import Seen, tensors_in
from ._rule import Found, rule

_STEPS = 5  # a layer that starts at 0 gets its first gradient only after those behind it have one
_ROWS = {"linear", "conv1d", "conv2d", "conv3d", "lstm", "gru", "rnn_tanh", "rnn_relu"}
_COLUMNS = {"matmul", "__matmul__", "mm", "addmm", "__rmatmul__", "conv_transpose1d", "conv_transpose2d"}


@rule("equal-units", "error", "init.md#the-hidden-neurons-stay-equal-constant-weights")
def equal_units_rule(seen: Seen) -> Iterator[Found]:
    """Weights whose units are equal, and remain so during training."""
    for name, number in seen.equal:
        yield Found(
            (name,),
            f"{number} units of this layer have equal weights and get equal gradients: they stay equal, "
            "however long the net is trained, and count as one.",
            "Draw the weights at random, for example with nn.init.xavier_uniform_ or init_by_type; "
            "a bias may be constant.",
        )


def equal_units(seen: Seen, start: Snapshot) -> list[tuple[str, int]]:
    """The names of such weights, and the number of their equal units.

    The net is trained for a few steps, for a loss in which every number of the output has its own random
    weight. Units that can become different do so: their rows or their gradients differ.
    """
    pairs = {known: found for known, axis in _weights(seen) if (found := _equal(seen.tensors[known], axis))}
    if not pairs:
        return []
    start.restore()
    generator = torch.Generator().manual_seed(0)
    weights: list[Tensor] = []
    try:
        for _ in range(_STEPS):
            outputs = [each for each in tensors_in(seen.net(*seen.args, **seen.kwargs)) if each.requires_grad]
            if not outputs:
                return []
            weights = weights or [
                torch.randn(each.shape, generator=generator).to(each.device) for each in outputs
            ]
            loss: Tensor = sum(
                (each.float() * weight).sum() for each, weight in zip(outputs, weights, strict=True)
            )  # type: ignore[assignment]
            parameters = list(seen.trainable.items())
            gradients = torch.autograd.grad(loss, [each for _, each in parameters], allow_unused=True)
            by_id = dict(zip((known for known, _ in parameters), gradients, strict=True))
            pairs = {
                known: left
                for known, pair in pairs.items()
                if by_id.get(known) is not None and (left := _still_equal(pair, by_id[known]))
            }
            if not pairs:
                return []
            _step(parameters, by_id)
            torch.clear_autocast_cache()  # under autocast, it would keep the weights as they were
    except Exception:  # such as checkpointing, which does not allow gradients of this kind
        return []
    numbers = {known: pair.number() for known, pair in pairs.items()}
    return [(seen.names[known], number) for known, number in numbers.items() if number]


class _Pairs:
    """Pairs of units of a weight with equal values, and which of them had a gradient other than 0."""

    def __init__(self, axis: int, first: Tensor, second: Tensor, learns: Tensor) -> None:
        self.axis, self.first, self.second, self.learns = axis, first, second, learns

    def number(self) -> int:
        """The number of units that learn, but only the same. Without a gradient, that is not known."""
        return len({*self.first[self.learns].tolist(), *self.second[self.learns].tolist()})


def _weights(seen: Seen) -> Iterator[tuple[int, int]]:
    """The weights of hidden layers with the dimension of their units."""
    for known, use in seen.watch.uses.items():
        if not isinstance(use.tensor, nn.Parameter) or not use.tensor.requires_grad or use.tensor.dim() < 2:
            continue
        if use.function in _ROWS and use.argument > 0:
            yield known, 0
        elif use.function in _COLUMNS and use.argument > 0:
            yield known, 1


def _equal(tensor: Tensor, axis: int) -> _Pairs | None:
    """Neighbors among the sorted units that are equal in all values."""
    if not tensor.is_floating_point() or tensor.is_meta or tensor.layout is not torch.strided:
        return None
    rows = tensor.detach().transpose(0, axis).flatten(1)
    if len(rows) < 2:
        return None
    order = rows[:, 0].argsort()
    near = (rows[order[1:], 0] == rows[order[:-1], 0]).nonzero().flatten()
    if not len(near):
        return None
    first, second = order[near], order[near + 1]
    same = (rows[first] == rows[second]).all(dim=1)
    first, second = first[same], second[same]
    return _Pairs(axis, first, second, torch.zeros_like(first, dtype=torch.bool)) if len(first) else None


def _still_equal(pairs: _Pairs, gradient: Tensor | None) -> _Pairs | None:
    """The pairs whose gradients are equal too, up to rounding."""
    if gradient is None:
        return None
    rows = gradient.transpose(0, pairs.axis).flatten(1).float()
    first, second = rows[pairs.first], rows[pairs.second]
    largest = first.abs().amax(dim=1)
    close = (first - second).abs().amax(dim=1) <= 1e-4 * largest
    learns = pairs.learns | (largest > 0)
    left = _Pairs(pairs.axis, pairs.first[close], pairs.second[close], learns[close])
    return left if bool(close.any()) else None


def _step(parameters: Iterable[tuple[int, nn.Parameter]], gradients: Mapping[int, Tensor | None]) -> None:
    """A step along the gradient that changes no value by more than 0.1."""
    with torch.no_grad():
        for known, parameter in parameters:
            gradient = gradients[known]
            if gradient is not None and (largest := float(gradient.abs().max())):
                parameter.sub_(gradient * (0.1 / largest))
