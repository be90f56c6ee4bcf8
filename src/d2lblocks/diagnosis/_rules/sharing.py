"""Modules and tensors with several names: meant, or by mistake."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from d2lblocks._tensors import identity

from .._seen import Seen, join
from .._source import line_that_assigns
from ._rule import Found, rule


@rule("same-memory", "error", "parameters.md#finding-tensors-that-use-the-same-memory-shared_names")
def same_memory(seen: Seen) -> Iterator[Found]:
    """Two Parameters over one piece of memory."""
    groups: dict[Hashable, list[str]] = {}
    trainable = {seen.names[known] for known in seen.trainable}
    for known, tensor in seen.tensors.items():
        if isinstance(tensor, nn.Parameter) and not is_lazy(tensor) and tensor.numel():
            groups.setdefault(identity(tensor), []).append(seen.names[known])
    for names in groups.values():
        if len(names) > 1:
            learn = sum(name in trainable for name in names) > 1
            yield Found(
                names,
                "These are different Parameters that share their memory. "
                + (
                    "Each has its own gradient, and the optimizer changes the shared values once for each of "
                    "them."
                    if learn
                    else "Whatever changes one of them changes the other."
                ),
                "To tie them, assign the Parameter itself, as in decoder.weight = encoder.weight. "
                "To separate them, copy the values: nn.Parameter(encoder.weight.detach().clone()).",
                level="error" if learn else "question",
            )


@rule("tie-lost", "error", "serialization.md#tied-weights-are-no-longer-tied-after-loading")
def tie_lost(seen: Seen) -> Iterator[Found]:
    """Two names that should refer to one parameter, and do not."""
    tensors = {
        join(path, own): tensor
        for path, module in seen.modules.items()
        for own, tensor in (*module._parameters.items(), *module._buffers.items())
    }
    declared = _own_ties(seen.net)
    pairs = [(source, target) for target, source in declared.items()] if isinstance(declared, Mapping) else []
    for first, second in (*seen.ties, *pairs):
        a, b = tensors.get(first), tensors.get(second)
        if a is None or b is None or a is b or identity(a) == identity(b):
            continue
        yield Found(
            (first, second),
            "These two should be one parameter, but they are two, and each is trained on its own. "
            "Loading with assign=True, to_empty() or a new assignment to one of them has separated them.",
            f"Tie them again: assign the parameter '{first}' to '{second}'.",
        )
    users = Counter(
        identity(tensor) for tensor in tensors.values() if tensor is not None and not is_lazy(tensor)
    )
    for name in () if isinstance(declared, Mapping) else declared:
        tensor = tensors.get(name)
        if tensor is not None and not is_lazy(tensor) and users[identity(tensor)] == 1:
            yield Found(
                (name,),
                "The net declares in _tied_weights_keys that this parameter has another name as well, and it "
                "has none.",
                "Tie it again: assign the other parameter to this name.",
                level="question",
            )


def _own_ties(net: nn.Module) -> Mapping[str, Any] | Sequence[str]:
    """What a net of transformers declares as tied: a dict of targets and sources, or a list of targets."""
    declared: Any = getattr(net, "all_tied_weights_keys", None)  # resolved by the net itself
    if declared is None and getattr(getattr(net, "config", None), "tie_word_embeddings", True):
        declared = getattr(net, "_tied_weights_keys", None)
    return declared if isinstance(declared, Mapping | list | tuple) else {}


@rule("runs-once", "error", "modules.md#a-layer-used-twice-in-a-container-runs-only-once")
def runs_once(seen: Seen) -> Iterator[Found]:
    """A container that holds a module several times, loops over `children()`, and so runs it once."""
    for module, call, line in seen.watch.loops:
        held = Counter(id(child) for child in module._modules.values() if child is not None)
        ran = Counter(id(each.module) for each in seen.watch.calls if each.above == call)
        for known, times in held.items():
            if 0 < ran[known] < times:
                path = seen.path(module)
                yield Found(
                    [join(path, name) for name, child in module._modules.items() if id(child) == known],
                    f"The container holds this module {times} times, but ran it "
                    f"only {'once' if ran[known] == 1 else f'{ran[known]} times'}: children() lists each "
                    "module once.",
                    "Loop over the container itself, or over self._modules.values().",
                    line,
                )


@rule("one-layer-many-names", "question", "parameters.md#layer-3-makes-one-layer-not-three")
def one_layer_many_names(seen: Seen) -> Iterator[Found]:
    """A module with parameters that one container holds several times, as `[layer] * 3` makes it.

    A module that different parents share was passed to each of them, so it is meant.
    """
    for path, module in seen.modules.items():
        names: dict[int, list[str]] = {}
        for name, child in module._modules.items():
            if child is not None and next(child.parameters(), None) is not None:
                names.setdefault(id(child), []).append(name)
        for same in names.values():
            if len(same) > 1:
                kind = type(module._modules[same[0]]).__name__
                owner, attribute = seen.parent(path) if same[0].isdigit() else (module, same[0])
                yield Found(
                    [join(path, name) for name in same],
                    f"This is one {kind} with {len(same)} names: its parameters are shared, not repeated.",
                    "For layers of their own, build each: nn.ModuleList(make() for _ in range(n)) instead of "
                    "[layer] * n.",
                    line_that_assigns(type(owner), attribute) if attribute else None,
                )
