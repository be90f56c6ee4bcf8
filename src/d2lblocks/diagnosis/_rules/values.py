"""Numbers: NaN, scales, units that are always 0, rounded buffers."""

import math
import statistics
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .._seen import Seen, join
from .._source import line_of_class
from ._rule import Found, rule

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


_NAN = "diagnosis.md#nan-in-the-output-which-layer-is-the-first"


def has_nan(tensor: Tensor) -> bool:
    strided = tensor.layout is torch.strided and not (tensor.is_nested or tensor.is_meta or is_lazy(tensor))
    floating = tensor.is_floating_point() and tensor.dtype.itemsize > 1
    return (
        strided and floating and bool(torch.isnan(tensor.detach().sum())) and bool(torch.isnan(tensor).any())
    )


@rule("scale", "question", "init.md#vanishing-and-exploding-activations")
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
    third, values = len(sizes) // 3, [*sizes.values()]
    trend = statistics.median(values[-third:]) / statistics.median(values[:third])
    if 1 / _GREAT < last / first < _GREAT or 1 / math.sqrt(_GREAT) < trend < math.sqrt(_GREAT):
        return
    yield Found(
        (start, end),
        f"{what} {'grow' if last > first else 'shrink'} over the depth of the net: their root mean square is "
        f"{first:.2g} in '{start}' and {last:.2g} in '{end}'.",
        "Draw the weights with a gain that fits the activation (init_by_type, nn.init.kaiming_normal_), "
        "or put a normalization between the layers.",
    )


@rule("dead-units", "question", "diagnosis.md#a-relu-returns-only-zeros")
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
                "Keep integers in the buffer, and compute the table from them in float32 in forward.",
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
