"""What the net holds and does not know of: layers in lists, tensors that are no parameters, wrong names."""

import difflib
import functools
from collections.abc import Iterable, Iterator
from types import FunctionType

from torch import nn

from .._held import Held
from .._seen import Seen, join
from .._source import Line, line_of_class, line_that_assigns
from .._watch import Use
from . import Found, rule


@rule("unregistered", "error", "modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list")
def unregistered(seen: Seen) -> Iterator[Found]:
    """Modules or Parameters in a list, tuple, dict, set, partial or closure, which `forward` uses."""
    used = {known: use for known, use in seen.watch.strangers.items() if known in seen.held}
    for held, uses in _by_attribute(seen, used):
        modules = any(isinstance(each, nn.Module) for each in _contents(held[0]))
        kind = "modules" if modules else "parameters"
        count = len(uses)
        takes, them = ("parameters take", "them") if count > 1 else ("parameter takes", "it")
        text = (
            f"{count} {takes} part in the forward pass, but net.parameters() does not list {them}: "
            f"nothing trains, saves or moves {them} with the net. {_where(held[0].container)}"
        )
        learns = any(use.tensor.requires_grad and use.recorded for use in uses)
        yield Found(
            _names(held),
            text,
            _registered(held[0], kind),
            _line(held[0]),
            "error" if learns else "question",
            page="" if modules else "layers.md#parameters-in-a-python-list",
        )


def _contents(held: Held) -> Iterator[object]:
    """The values in the container of an attribute."""
    value = getattr(held.owner, held.attribute)
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    else:
        yield value


def _where(container: type | None) -> str:
    if container is None:
        return "The attribute was set in a way that does not register it."
    if container is FunctionType:
        return "It belongs to a function, which a module does not look into."
    return f"A module does not look into a {container.__name__}."


def _registered(held: Held, kind: str) -> str:
    name = held.attribute
    if held.container is None or not isinstance(getattr(held.owner, name), dict | list | tuple | set):
        one = "the module" if kind == "modules" else "the parameter"
        return f"Assign {one} to an attribute of its own: self.layer = ..."
    mapping = isinstance(getattr(held.owner, name), dict)
    made = {"modules": "Module", "parameters": "Parameter"}[kind] + ("Dict" if mapping else "List")
    return f"Write self.{name} = nn.{made}({'{...}' if mapping else '[...]'})."


@rule("built-in-forward", "error", "modules.md#a-layer-does-not-learn-because-forward-creates-it")
def built_in_forward(seen: Seen) -> Iterator[Found]:
    """Parameters that did not exist before the call, and that no lazy layer has waited for."""
    learning = (
        use
        for known, use in seen.watch.strangers.items()
        if known not in seen.held and use.tensor.requires_grad and use.recorded
    )
    for line, uses in _by_line(learning):
        kept = [use for use in uses if id(use.tensor) in seen.parameters_after]
        again = (
            "It is kept, but an optimizer that was built before the first call does not have it."
            if kept
            else "Each call makes a new one with new random values, which no optimizer gets."
        )
        yield Found(
            (uses[0].module or "net",),
            f"The forward pass uses a parameter that did not exist before the call. {again}",
            "Create the layer in __init__. If its sizes are not known there, use a lazy layer "
            "such as nn.LazyLinear.",
            line,
            "question" if kept else "error",
        )


@rule("not-a-parameter", "error", "layers.md#nnparametert-001-is-not-a-parameter")
def not_a_parameter(seen: Seen) -> Iterator[Found]:
    """A tensor that requires a gradient, and is used, but is neither a parameter nor computed in the call."""
    for known, held in seen.held.items():
        tensor, use = held.tensor, seen.watch.uses.get(known)
        if use is None or isinstance(tensor, nn.Parameter) or not tensor.requires_grad:
            continue
        how = (
            "It is the result of an operation on a parameter, such as nn.Parameter(t) * 0.01"
            if tensor.grad_fn is not None
            else "It was made with requires_grad=True, but is a plain tensor"
        )
        yield Found(
            (held.name,),
            f"This tensor requires a gradient, but is not a parameter of the net. {how}. "
            "net.parameters() does not list it: it is not trained, saved or moved with the net.",
            f"Do the arithmetic and the cast first, then wrap the result: "
            f"self.{held.attribute} = nn.Parameter(...).",
            _line(held),
        )


@rule("constant", "question", "modules.md#a-constant-is-not-saved-cast-or-moved-with-the-net")
def constant(seen: Seen) -> Iterator[Found]:
    """A plain tensor that existed before the call, and takes part in it."""
    used = {
        known: use
        for known, use in seen.watch.uses.items()
        if known in seen.held and not use.tensor.requires_grad and not isinstance(use.tensor, nn.Parameter)
    }
    for held, _ in _by_attribute(seen, used):
        yield Found(
            _names(held),
            "A plain tensor takes part in the forward pass: net.to(...) does not move or cast it, "
            "and state_dict() does not hold it.",
            f'Write self.register_buffer("{held[0].attribute}", ...), with persistent=False if it is not to '
            "be saved.",
            _line(held[0]),
        )


@rule("misspelt", "error", "parameters.md#a-frozen-layer-still-trains-require_grad")
def misspelt(seen: Seen) -> Iterator[Found]:
    """An attribute of a tensor or a module whose name is almost that of PyTorch's, with another value."""
    for known, name in seen.names.items():
        tensor = seen.tensors[known]
        for attribute, value in vars(tensor).items():
            if _is_slip(attribute, "requires_grad") and value != tensor.requires_grad:
                yield _slip(name, attribute, f"{name}.requires_grad is still {tensor.requires_grad}.", value)
    for path, module in seen.modules.items():
        for attribute, value in vars(module).items():
            if type(value) is not bool:
                continue
            if attribute == "requires_grad" or _is_slip(attribute, "requires_grad"):
                trains = [each.requires_grad for each in module.parameters()]
                if _is_argument(type(module), attribute):
                    continue  # the class keeps what it was built with
                if trains and all(each != value for each in trains):
                    still = f"The parameters still have requires_grad={trains[0]}."
                    yield _slip(path, attribute, still, value, line_that_assigns(type(module), attribute))
            elif _is_slip(attribute, "training") and value != seen.modes[id(module)]:
                still = (
                    f"The module is still in {'training' if seen.modes[id(module)] else 'evaluation'} mode."
                )
                fix = f"Call {'train' if value else 'eval'}() on the module."
                line = line_that_assigns(type(module), attribute)
                yield Found((join(path, attribute),), _only(attribute) + still, fix, line)


@functools.cache
def _is_slip(attribute: str, name: str) -> bool:
    alike = difflib.SequenceMatcher(None, attribute, name).ratio()
    # One letter more or less, or two that changed places; `retraining` is another word.
    return not attribute.endswith(name) and not attribute.startswith("_") and alike > 0.85


def _is_argument(kind: type, name: str) -> bool:
    """Whether a class is built with an argument of this name."""
    codes = [getattr(vars(base).get("__init__"), "__code__", None) for base in kind.__mro__]
    return any(
        name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] for code in codes if code
    )


def _only(attribute: str) -> str:
    return f"Setting `{attribute}` only makes a new attribute with that name, which nothing reads. "


def _slip(name: str, attribute: str, still: str, value: object, line: Line | None = None) -> Found:
    return Found((name,), _only(attribute) + still, f"Call requires_grad_({bool(value)}) on it.", line)


@rule("dotted-name", "error", "modules.md#setattr-with-a-dotted-name-does-not-replace-a-layer")
def dotted_name(seen: Seen) -> Iterator[Found]:
    """A child whose own name contains a dot, as `setattr` with a path makes it."""
    for path, module in seen.modules.items():
        for name, child in module._modules.items():
            if "." in name and child is not None:
                hides = join(path, name) in _paths(module, path)
                yield Found(
                    (join(path, name),),
                    f"A child of {type(module).__name__} has the name '{name}', with a dot: setattr does not "
                    "follow a path, so nothing was replaced"
                    + (", and two modules now have the same names in the state_dict." if hides else "."),
                    f'Call net.set_submodule("{join(path, name)}", new, strict=True) instead of setattr.',
                    level="error" if hides else "question",
                )


def _paths(module: nn.Module, path: str) -> set[str]:
    """The paths below a module that lead through names without dots."""
    found = set()
    for name, child in module._modules.items():
        if child is not None and "." not in name:
            found |= {join(path, name)} | _paths(child, join(path, name))
    return found


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
            "backward pass goes into the graph of the first, which no longer exists.",
            f"Keep the value without its graph: self.{attribute} = self.{attribute}.detach()."
            + (f" If {resets[0]}() is called before each backward pass, it is right." if resets else ""),
            line_that_assigns(type(module), attribute),
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
            line_that_assigns(type(module), own),
        )


@rule("still-lazy", "error", "lazy.md#the-lazy-layer-has-shape-0")
def still_lazy(seen: Seen) -> Iterator[Found]:
    """Parameters without a shape after the call."""
    if seen.still_lazy and seen.failure is None:
        yield Found(
            seen.still_lazy,
            "These have no shape yet: the call did not reach their layers, so they stay without values, "
            "and an optimizer or a file cannot take them.",
            "Call the layers in forward, or remove them; if they run only sometimes, give them their sizes.",
        )


def _by_attribute(seen: Seen, uses: dict[int, Use]) -> Iterator[tuple[list[Held], list[Use]]]:
    """Group what is held by the line that assigns it, or else by module and attribute."""
    groups: dict[object, tuple[list[Held], list[Use]]] = {}
    for known, use in uses.items():
        held = seen.held[known]
        group = groups.setdefault((type(held.owner), held.attribute, held.container), ([], []))
        group[0].append(held)
        group[1].append(use)
    yield from groups.values()


def _names(held: Iterable[Held]) -> list[str]:
    return list(dict.fromkeys(each.name for each in held))


def _line(held: Held) -> Line | None:
    kind = type(held.owner)
    return line_that_assigns(kind, held.attribute) or line_of_class(kind)


def _by_line(uses: Iterable[Use]) -> Iterator[tuple[Line | None, list[Use]]]:
    groups: dict[Line | None, list[Use]] = {}
    for use in uses:
        groups.setdefault(use.line, []).append(use)
    yield from groups.items()
