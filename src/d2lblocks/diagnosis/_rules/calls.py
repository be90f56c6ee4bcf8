"""How the forward pass calls its modules, and where it writes."""

from collections.abc import Iterator

from torch.nn.parameter import is_lazy

from .._seen import Seen, plain_tensors_in
from ._rule import Found, rule


@rule("forward-called", "error", "diagnosis.md#layerforwardx-skips-the-hooks")
def forward_called(seen: Seen) -> Iterator[Found]:
    """A module whose method `forward` was called, instead of the module itself."""
    for module, line in seen.watch.bypassed.values():
        lazy = any(map(is_lazy, module.parameters()))
        hooks = (
            module._forward_pre_hooks, module._forward_hooks,
            module._backward_pre_hooks, module._backward_hooks,
        )  # fmt: skip
        if lazy:
            skips = "its lazy initialization"
        elif any(hooks):
            skips = "its hooks"
        else:
            skips = "hooks: it has none now, but profilers, pruning and quantization add them"
        yield Found(
            (seen.path(module),),
            f"The method forward() of this module is called, which skips {skips}.",
            "Call the module itself: layer(X) instead of layer.forward(X).",
            line,
            "error" if lazy or any(hooks) else "question",
        )


@rule("input-changed", "error", "modules.md#the-net-changes-its-input-tensor")
def input_changed(seen: Seen) -> Iterator[Found]:
    """An operation that wrote into an input, and changed its values."""
    given = {id(each) for each in plain_tensors_in((seen.args, seen.kwargs))}
    for tensor, use in seen.changed_inputs:
        if id(tensor) not in given:
            continue  # that of a cache or another object, which exists to be changed
        how = f" ({use.function})" if use else ""
        yield Found(
            ((use.module if use else "") or "net",),
            f"The forward pass writes into a tensor that was passed to the net{how}: the caller's tensor has "
            "other values afterward.",
            "Create a new tensor: X = X / 2 instead of X /= 2, nn.ReLU() instead of nn.ReLU(inplace=True).",
            use.line if use else None,
        )
