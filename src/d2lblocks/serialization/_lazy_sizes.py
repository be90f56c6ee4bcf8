"""The sizes that lazy layers know before the first batch, and those that they learn from a file."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Size, nn
from torch.nn.modules.batchnorm import _LazyNormBase
from torch.nn.modules.conv import _LazyConvXdMixin
from torch.nn.parameter import is_lazy

from d2lblocks._tensors import own_tensors
from d2lblocks.layers import MyLazyLinear

from ._format import FileContent

_Known = Mapping[str, tuple[int | None, ...]]  # None is a size that comes with the first batch


def lazy_problems(net: nn.Module, prefix: str, file: FileContent) -> Iterator[str]:
    """Yield the tensors of a file that contradict the arguments of the net's lazy layers."""
    modules = net.named_modules(prefix=prefix.removesuffix("."))
    for path, module in ((path, module) for path, module in modules if hasattr(module, "cls_to_become")):
        names = {own: f"{path}.{own}".removeprefix(".") for own, t in own_tensors(module) if is_lazy(t)}
        shapes = {own: file[name].shape for own, name in names.items() if name in file.names}
        for own, known in _known(module, shapes).items():
            if own in shapes and not _agree(shapes[own], known):
                text = ", ".join("?" if size is None else str(size) for size in known)
                came = f"{shapes[own]} from checkpoint, the shape in current model is torch.Size([{text}])"
                yield f"size mismatch for {names[own]}: copying a param with shape {came}."


def learn_sizes(net: nn.Module) -> None:
    """Give lazy layers whose tensors come from a file the sizes that a first batch would have given them."""
    for module in net.modules():
        match module:
            case nn.LazyLinear(in_features=0, weight=weight) | MyLazyLinear(in_features=0, weight=weight):
                module.in_features = weight.shape[1]
            case _LazyConvXdMixin(in_channels=0, transposed=True, weight=weight):
                module.in_channels = weight.shape[0]
            case _LazyConvXdMixin(in_channels=0, weight=weight, groups=groups):
                module.in_channels = weight.shape[1] * groups
            case _LazyNormBase(num_features=0, weight=weight, running_mean=mean):
                module.num_features = next((len(each) for each in (weight, mean) if each is not None), 0)


def _known(module: Any, shapes: Mapping[str, Size]) -> _Known:
    match module:
        case nn.LazyLinear(out_features=out) | MyLazyLinear(out_features=out):
            return {"weight": (out, None), "bias": (out,)}
        case _LazyConvXdMixin(out_channels=out, kernel_size=kernel, groups=groups, transposed=transposed):
            first = (None, out // groups) if transposed else (out, None)
            return {"weight": (*first, *kernel), "bias": (out,)}
        case _LazyNormBase():  # all of its tensors have the same size
            size = next((shape[0] for shape in shapes.values() if shape), None)
            return dict.fromkeys(shapes, (size,))
    return {}


def _agree(shape: Size, known: tuple[int | None, ...]) -> bool:
    return len(shape) == len(known) and all(k in (None, size) for size, k in zip(shape, known, strict=True))
