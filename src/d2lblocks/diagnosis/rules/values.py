"""Numbers: dtypes, scales, units that are always 0, NaN."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .._seen import Seen, join, tensors_in
from .._source import line_of_class
from . import Found, rule
from .failures import first_line

_GREAT = 1e4  # how many times larger or smaller than the first layer's counts as growing or vanishing
_FEWEST = 4  # layers over which that can be said
_RELU = (nn.ReLU, nn.ReLU6, nn.Threshold)
_WEIGHTED = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd)


@rule("nan", "question", "layers.md#the-loss-is-nan-from-the-first-step-a-weight-that-was-never-filled")
def nan(seen: Seen) -> Iterator[Found]:
    """The first place that holds NaN, in the order parameters, input, modules, loss, gradients."""
    if bad := [seen.names[known] for known, tensor in seen.tensors.items() if has_nan(tensor)]:
        yield Found(
            bad,
            "These hold NaN: they were never filled, as after torch.empty(...), or training diverged.",
            "Fill them in reset_parameters, and call it in __init__.",
        )
    elif any(map(has_nan, seen.inputs)):
        yield Found(("input",), "The input holds NaN.", "Find the examples with torch.isnan(X).", page=_NAN)
    elif first := next((each for each in seen.outputs_of_modules if math.isnan(each.rms)), None):
        yield Found(
            (first.path or "net",),
            f"{type(first.module).__name__} is the first module that returns NaN. Its input and its "
            "parameters hold none.",
            "Look in its forward for a logarithm, a root or a division of 0, and for numbers too large for "
            "16 bits.",
            line_of_class(type(first.module)),
            page=_NAN,
        )
    elif isinstance(seen.loss, Tensor) and has_nan(seen.loss):
        yield Found(
            ("loss",),
            "The loss is NaN, although the output of the net is not.",
            "Look in the loss for a logarithm, a root or a division of 0.",
            page=_NAN,
        )
    elif bad := [seen.names[known] for known, each in seen.gradients.items() if has_nan(each)]:
        yield Found(
            bad,
            "The gradients of these hold NaN, although the loss does not: the derivative of a root or a norm "
            "at 0, or a torch.where whose other branch is NaN.",
            "Call the backward pass under torch.autograd.detect_anomaly(), which names the operation.",
            page=_NAN,
        )


_NAN = "diagnosis.md#nan"


def has_nan(tensor: Tensor) -> bool:
    strided = tensor.layout is torch.strided and not (tensor.is_nested or tensor.is_meta or is_lazy(tensor))
    floating = tensor.is_floating_point() and tensor.dtype.itemsize > 1
    return (
        strided and floating and bool(torch.isnan(tensor.detach().sum())) and bool(torch.isnan(tensor).any())
    )


@rule("scale", "question", "init.md#why-the-scale-matters")
def scale(seen: Seen) -> Iterator[Found]:
    """Outputs of layers, or gradients of their weights, that grow or shrink by a large factor."""
    layers = [each for each in seen.outputs_of_modules if isinstance(each.module, _WEIGHTED)]
    layers = layers[:-1]  # the last one has its own scale: it makes the prediction
    first: dict[str, float] = {}
    for each in layers:
        first.setdefault(each.path, each.rms)
    yield from _over_depth("The outputs of the layers", first)
    gradients: dict[str, float] = {}
    for each in layers:
        gradient = seen.gradients.get(id(each.module.weight))
        if gradient is not None and gradient.numel():
            gradients[each.path] = float(gradient.detach().float().norm()) / math.sqrt(gradient.numel())
    yield from _over_depth("The gradients of the weights", gradients)


def _over_depth(what: str, sizes: dict[str, float]) -> Iterator[Found]:
    sizes = {path: size for path, size in sizes.items() if size and math.isfinite(size)}
    if len(sizes) < _FEWEST:
        return
    (start, first), *_, (end, last) = sizes.items()
    # All layers take part in a trend: two layers of different kinds may differ for other reasons.
    third = len(sizes) // 3
    begin, finish = (
        statistics.median([*sizes.values()][part]) for part in (slice(third), slice(-third, None))
    )
    if 1 / _GREAT < last / first < _GREAT or 1 / math.sqrt(_GREAT) < finish / begin < math.sqrt(_GREAT):
        return
    yield Found(
        (start, end),
        f"{what} {'grow' if last > first else 'shrink'} over the depth of the net: their root mean square is "
        f"{first:.2g} in '{start}' and {last:.2g} in '{end}'.",
        "Draw the weights with a gain that fits the activation (init_by_type, nn.init.kaiming_normal_), "
        "or put a normalization between the layers.",
    )


@rule("dead-units", "question", "diagnosis.md#dead-units")
def dead_units(seen: Seen) -> Iterator[Found]:
    """A ReLU that returns 0 for all examples."""
    dead = [
        each.path or "net"
        for each in seen.outputs_of_modules
        if isinstance(each.module, _RELU) and each.rms == 0
    ]
    if dead:
        yield Found(
            dead,
            "This ReLU returns only zeros for this batch: the layers before it get no gradient through it.",
            "Check the bias and the weights of the layer before it. A lower learning rate or nn.LeakyReLU "
            "keeps units from dying.",
        )


@rule("mixed-dtype", "error", "modules.md#mat1-and-mat2-must-have-the-same-dtype-a-batch-from-numpy")
def mixed_dtype(seen: Seen) -> Iterator[Found]:
    """Floating dtypes that differ, where the call fails because of it."""
    yield from _mixed(seen, "dtype", ("dtype", "expected scalar type", "same type"), lambda each: each.dtype)


@rule("mixed-device", "error", "devices.md#expected-all-tensors-to-be-on-the-same-device")
def mixed_device(seen: Seen) -> Iterator[Found]:
    """Devices that differ, where the call fails because of it."""
    yield from _mixed(seen, "device", ("device", "meta"), lambda each: each.device)


def _mixed(seen: Seen, what: str, words: tuple[str, ...], of: Callable[[Tensor], Any]) -> Iterator[Found]:
    failure = seen.failure
    if (
        failure is None
        or failure.during != "forward"
        or not any(word in str(failure.error) for word in words)
    ):
        return
    module = failure.call.module if failure.call else seen.net
    own = [(seen.names[id(each)], each) for each in _own(module) if id(each) in seen.names]
    given = [("input", each) for each in tensors_in(failure.given)]
    relevant = [pair for pair in own + given if what == "device" or pair[1].is_floating_point()]
    kinds = Counter(of(each) for _, each in relevant)
    if len(kinds) < 2:
        return
    # What most of the net has is right; what differs from it is named.
    usual = Counter(
        of(each) for each in seen.tensors.values() if what == "device" or each.is_floating_point()
    )
    right = usual.most_common(1)[0][0] if usual else kinds.most_common(1)[0][0]
    odd = [(name, of(each)) for name, each in relevant if of(each) != right]
    names = list(dict.fromkeys(name for name, _ in odd)) or [seen.path(module) or "net"]
    fix = (
        f"Cast it: X.to({right})." if names == ["input"] else f"Cast the whole net: net.to({right})."
    ) if what == "dtype" else (
        f"Move it: X.to('{right}')." if names == ["input"] else f"Move the whole net: net.to('{right}')."
    )  # fmt: skip
    where = f"'{seen.path(module)}'" if seen.path(module) else type(module).__name__
    kind = " and ".join(sorted({str(each) for _, each in odd} or map(str, kinds)))
    yield Found(
        names,
        f"In {where}, {', '.join(names[:3])} {'has' if len(names) == 1 else 'have'} the {what} {kind}; "
        f"most of the net has {right}: {first_line(failure.error)}",
        fix,
    )


def _own(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


@rule("rounded-buffer", "question", "layers.md#the-positions-are-wrong-in-16-bits-a-rounded-buffer")
def rounded_buffer(seen: Seen) -> Iterator[Found]:
    """A buffer in 16 bits that holds positions or frequencies: it only grows, or only falls."""
    for known, tensor in seen.tensors.items():
        if isinstance(tensor, nn.Parameter) or tensor.dtype not in (torch.float16, torch.bfloat16):
            continue
        if tensor.numel() < _FEWEST * 2 or max(tensor.shape) != tensor.numel():
            continue
        steps = tensor.detach().float().flatten().diff()
        if bool((steps >= 0).all() or (steps <= 0).all()) and bool(steps.any()):
            bits = str(tensor.dtype).removeprefix("torch.")
            yield Found(
                (seen.names[known],),
                f"This buffer looks like positions or frequencies, and was rounded to {bits}: a cast of the "
                "net casts its buffers, and casting back does not undo it.",
                "Keep integers in the buffer, and compute the table from them in float32 in forward. ",
            )


@rule("padding-row", "question", "init.md#the-row-of-padding_idx-is-not-zero")
def padding_row(seen: Seen) -> Iterator[Found]:
    """An embedding whose row for padding is not 0."""
    for path, module in seen.modules.items():
        if not isinstance(module, nn.Embedding) or module.padding_idx is None or module.weight.is_meta:
            continue
        if bool(module.weight[module.padding_idx].any()):
            yield Found(
                (join(path, "weight"),),
                f"Row {module.padding_idx}, that of padding_idx, is not 0. It gets no gradient, so it keeps "
                "these values: a function of torch.nn.init has filled the whole weight.",
                "Set the row to 0 after filling the weight: embedding.weight[padding_idx].zero_() under "
                "torch.no_grad().",
            )
