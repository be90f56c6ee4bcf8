"""How the forward pass calls its modules, and where it writes."""

from collections.abc import Iterator

from torch import nn
from torch.nn.parameter import is_lazy

from .._seen import Seen
from . import Found, rule


@rule("forward-called", "error", "diagnosis.md#forward-called")
def forward_called(seen: Seen) -> Iterator[Found]:
    """A module whose `forward` was called by its name."""
    for module, line in seen.watch.bypassed.values():
        hooks = [kind for kind, table in _hooks(module) if table]
        lazy = any(map(is_lazy, module.parameters()))
        skipped = "its lazy initialization" if lazy else "its hooks" if hooks else ""
        yield Found(
            (seen.path(module),),
            "forward() of this module is called by its name, which skips "
            + (f"{skipped}." if skipped else "all hooks: it has none now, but profilers, quantization, "
            "torch.nn.utils.prune and lazy layers rely on them."),
            "Call the module itself: layer(X) instead of layer.forward(X)."
            + ("" if skipped else ' If it is meant: silence=["forward-called"].'),
            line,
            "error" if skipped else "question",
        )  # fmt: skip


def _hooks(module: nn.Module) -> Iterator[tuple[str, object]]:
    for name in ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks"):
        yield name, getattr(module, name)


@rule("input-changed", "error", "modules.md#the-net-changes-its-input-tensor")
def input_changed(seen: Seen) -> Iterator[Found]:
    """An operation that wrote into an input, and changed its values."""
    for use in seen.changed_inputs:
        yield Found(
            (use.module or "net",),
            f"The forward pass writes into a tensor that was passed to it ({use.function}): whoever passed it "
            "goes on with other values.",
            "Make a new tensor: X = X / 2 instead of X /= 2, nn.ReLU() instead of nn.ReLU(inplace=True), "
            "or X = X.clone() first.",
            use.line,
        )
