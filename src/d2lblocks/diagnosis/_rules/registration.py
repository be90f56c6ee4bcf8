"""What the net uses and does not hold as a parameter, a buffer or a module."""

from collections import deque
from collections.abc import Iterator

from torch import nn

from .._held import Held
from .._seen import Seen
from .._source import Line, line_of_class, line_that_assigns
from .._watch import Use
from ._rule import Found, rule


@rule("unregistered", "error", "modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list")
def unregistered(seen: Seen) -> Iterator[Found]:
    """Modules or Parameters in a list, tuple, dict, closure or global variable, which `forward` uses."""
    strangers = seen.watch.strangers
    for held, uses in _by_attribute(seen.held, strangers):
        takes, them = _parameters(uses)
        yield Found(
            list(dict.fromkeys(each.name for each in held)),
            f"{takes} part in the forward pass, but net.parameters() does not list {them}: an optimizer "
            f"built from it does not train {them}, and the net does not save or move {them}. "
            f"{_where(held[0].container)}",
            _registered(held[0]),
            _line(held[0]),
            "error" if _learns(seen, uses) else "question",
            "" if held[0].in_module else "layers.md#parameters-in-a-python-list",
        )
    # What another call uses as well was not made in this one, wherever it is.
    elsewhere = [
        use for known, use in strangers.items() if known in seen.used_again and known not in _all_held(seen)
    ]
    for use in elsewhere:
        yield Found(
            (use.module or "net",),
            "The forward pass uses a parameter that no module of the net holds: it belongs to a global "
            "variable, a class attribute or another object.",
            "Assign its module to an attribute of the net in __init__: self.layer = ...",
            use.line,
            "error" if _learns(seen, [use]) else "question",
        )


@rule("built-in-forward", "error", "modules.md#a-layer-does-not-learn-because-forward-creates-it")
def built_in_forward(seen: Seen) -> Iterator[Found]:
    """Layers that `forward` creates: new ones in each call, or once in the first."""
    for known, use in seen.watch.strangers.items():
        if known in seen.held or not _learns(seen, [use]):
            continue  # what gets no gradient, such as a fixed filter, cannot be meant to learn
        kept = seen.held_after.get(known)
        if kept is not None:
            owner, own = seen.parent(kept.path) if kept.path else (seen.net, kept.attribute)
            yield Found(
                (kept.path or kept.name,),
                "The first call creates this parameter. An optimizer that was built before does not get it, "
                "and a new net cannot load what was saved after it.",
                _CREATE,
                line_that_assigns(type(owner), own, later=True),
                "question",
            )
        elif known not in seen.used_again:
            yield Found(
                (use.module or "net",),
                "The forward pass creates a parameter. Each call creates a new one with new values, which no "
                "optimizer gets.",
                _CREATE,
                use.line,
            )


_CREATE = (
    "Create the layer in __init__. If a size is not known there, use a lazy layer such as nn.LazyLinear."
)


@rule("not-a-parameter", "error", "layers.md#nnparametert-001-is-not-a-parameter")
def not_a_parameter(seen: Seen) -> Iterator[Found]:
    """A tensor in an attribute that requires a gradient, and is used, but is no parameter."""
    for known, held in seen.held.items():
        tensor = held.tensor
        used = known in seen.watch.uses and tensor.requires_grad and not isinstance(tensor, nn.Parameter)
        if not used or held.name in [f"self.{name}" for name, _, _ in seen.kept]:
            continue
        how = (
            "The result of an operation on a parameter, such as nn.Parameter(t) * 0.01, is a plain tensor"
            if tensor.grad_fn is not None
            else "A tensor with requires_grad=True is still a plain tensor"
        )
        yield Found(
            (held.name,),
            f"{how}: net.parameters() does not list it, so the optimizer does not get it, and the net does "
            "not save or move it.",
            "Do the arithmetic and the cast first, and call nn.Parameter on the result.",
            _line(held),
        )


@rule("constant", "question", "modules.md#a-constant-is-not-saved-cast-or-moved-with-the-net")
def constant(seen: Seen) -> Iterator[Found]:
    """A plain tensor in an attribute that takes part in the call."""
    told = {
        (seen.held[known].path, seen.held[known].attribute)
        for known in seen.watch.strangers
        if known in seen.held
    }
    used = {
        known: use
        for known, use in seen.watch.uses.items()
        if (held := seen.held.get(known)) is not None
        and not use.tensor.requires_grad
        and (held.path, held.attribute) not in told  # the buffers of a layer in a list: that is said already
        and f"{held.attribute}_orig" not in held.owner._parameters  # what spectral_norm and pruning compute
    }
    for group, _ in _by_attribute(seen.held, used):
        name = group[0].attribute
        fix = f'Write self.register_buffer("{name}", ...), with persistent=False if it is not to be saved.'
        yield Found(
            list(dict.fromkeys(each.name for each in group)),
            "A plain tensor takes part in the forward pass: net.to(...) does not move or cast it, and "
            "state_dict() does not hold it.",
            fix
            if group[0].container is None
            else "Register each tensor as a buffer: self.register_buffer(...).",
            _line(group[0]),
        )


@rule(
    "kept-graph", "error", "layers.md#trying-to-backward-through-the-graph-a-second-time-a-state-that-is-kept"
)
def kept_graph(seen: Seen) -> Iterator[Found]:
    """A tensor computed in one call that the next one uses, with its graph."""
    for name, module, attribute in seen.kept:
        resets = [each for each in dir(type(module)) if _is_reset(each)]
        yield Found(
            (name if attribute in module._buffers else f"self.{name}",),
            "One call keeps this tensor with its graph, and the next call computes with it: the second "
            "backward pass goes into the graph of the first, which no longer exists."
            + (f" If {resets[0]}() is called before each backward pass, it is right." if resets else ""),
            f"Detach it where the next call reads it: use self.{attribute}.detach() there.",
            line_that_assigns(type(module), attribute, later=True),
            "question" if resets else "error",
        )


def _is_reset(name: str) -> bool:
    """Whether a method seems to drop a state, which then belongs to a sequence of calls."""
    words = name.strip("_").split("_")
    return "parameters" not in words and any(word in ("reset", "detach", "clear") for word in words)


@rule(
    "filled-at-first-call",
    "question",
    "serialization.md#unexpected-keys-in-state_dict-a-buffer-that-was-none",
)
def filled_at_first_call(seen: Seen) -> Iterator[Found]:
    """A buffer that was None, and is a tensor after the call."""
    for name in seen.buffers_none:
        path, _, own = name.rpartition(".")
        module = seen.modules.get(path)
        if module is None or module._buffers.get(own) is None or own in module._non_persistent_buffers_set:
            continue
        yield Found(
            (name,),
            "This buffer is None until the first call: a new net cannot load a state_dict that was saved "
            "after it.",
            f'Register it with its shape: self.register_buffer("{own}", torch.zeros(...)).',
        )


@rule("still-lazy", "error", "lazy.md#apply_init")
def still_lazy(seen: Seen) -> Iterator[Found]:
    """Parameters without a shape after the call."""
    if seen.still_lazy and seen.failure is None:
        yield Found(
            seen.still_lazy,
            "These have no shape yet: the call did not reach their layers, so they stay without values, "
            "and an optimizer or a file cannot take them.",
            "Call the layers in forward, or remove them; if they run only sometimes, give them their sizes.",
        )


def _parameters(uses: list[Use]) -> tuple[str, str]:
    return ("1 parameter takes", "it") if len(uses) == 1 else (f"{len(uses)} parameters take", "them")


def _learns(seen: Seen, uses: list[Use]) -> bool:
    """Whether the backward pass would give one of them a gradient."""
    if seen.reached is None and not seen.outputs:
        return any(use.tensor.requires_grad and use.recorded for use in uses)
    if seen.reached is None:  # not known, as with checkpoints
        return any(use.tensor.requires_grad for use in uses)
    return any(id(use.tensor) in seen.reached for use in uses)


def _all_held(seen: Seen) -> set[int]:
    return seen.held.keys() | seen.held_after.keys()


def _where(container: type | None) -> str:
    if container is None:
        return "The attribute was set in a way that does not register it."
    if container.__name__ in ("function", "partial", "method"):
        return "A module does not look into functions."
    return f"A module does not look into a {container.__name__}."


def _registered(held: Held) -> str:
    """The line to write instead."""
    name, value = held.attribute, vars(held.owner)[held.attribute]
    mapping = isinstance(value, dict)
    parts = list(value.values()) if mapping else list(value) if isinstance(value, _SEQUENCES) else []
    of = "{...}" if mapping else "[...]"
    for kind, made in ((nn.Module, "Module"), (nn.Parameter, "Parameter")):
        if parts and all(isinstance(part, kind) for part in parts):
            if mapping and not all(isinstance(key, str) for key in value):
                return f"Write self.{name} = nn.{made}Dict({of}), with names as keys."
            return f"Write self.{name} = nn.{made}{'Dict' if mapping else 'List'}({of})."
    nested = any(isinstance(part, (*_SEQUENCES, dict)) for part in parts)
    if nested and issubclass(held.container or object, (*_SEQUENCES, dict)):
        return "Replace the containers at every level: nn.ModuleList for a list, nn.ModuleDict for a dict."
    what = "module" if held.in_module else "Parameter"
    return f"Assign the {what} to an attribute of its own as well, as in self.layer = ..."


_SEQUENCES = (list, tuple, set, frozenset, deque)


def _by_attribute(held: dict[int, Held], uses: dict[int, Use]) -> Iterator[tuple[list[Held], list[Use]]]:
    """Group the tensors that are held by class, attribute and container."""
    groups: dict[object, tuple[list[Held], list[Use]]] = {}
    for known, use in uses.items():
        if known in held:
            one = held[known]
            group = groups.setdefault((type(one.owner), one.attribute, one.container), ([], []))
            group[0].append(one)
            group[1].append(use)
    yield from groups.values()


def _line(held: Held) -> Line | None:
    kind = type(held.owner)
    return line_that_assigns(kind, held.attribute) or line_of_class(kind)
