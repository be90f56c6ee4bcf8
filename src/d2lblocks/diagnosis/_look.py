"""The calls of a net from which `diagnose` learns: as it is, and in evaluation mode."""

import random
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from typing import Any

import torch
from torch import Tensor, nn

from d2lblocks._random import global_generators
from d2lblocks._snapshot import Snapshot
from d2lblocks._tensors import named_modules, own_tensors
from d2lblocks.lazy import uninitialized_names

from ._held import Held, held_tensors
from ._rules.equal_units import equal_units
from ._seen import Failure, Seen, join, tensors_in
from ._watch import Watch, Write


def look(
    net: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    loss: Callable[..., Any] | None,
    optimizers: Sequence[torch.optim.Optimizer],
    ties: Sequence[tuple[str, str]],
    before: Snapshot,
) -> Seen:
    """Call the net, and record what the rules need. The net is left as the calls leave it."""
    seen = _describe(net, args, kwargs, loss is not None, optimizers, ties)
    start = before
    if seen.still_lazy:
        # Let it take its shapes first: the calls that follow begin with the same values.
        with torch.no_grad(), suppress(Exception):
            net(*args, **kwargs)
        seen = _describe(net, args, kwargs, loss is not None, optimizers, ties, seen)
        start = Snapshot(net, args, kwargs)
    _forward(seen, loss, start)
    seen.still_lazy = uninitialized_names(net)
    if seen.failure is None:
        seen.held_after = held_tensors(net, registered=True)
        _look_at_gradients(seen)
        if not seen.still_lazy:
            seen.rewritten = _rewritten(seen)
            seen.kept = _kept(seen)
            _look_at_evaluation(seen, start)
            seen.equal = equal_units(seen, start)
    return seen


def _describe(
    net: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    with_loss: bool,
    optimizers: Sequence[torch.optim.Optimizer],
    ties: Sequence[tuple[str, str]],
    earlier: Seen | None = None,
) -> Seen:
    """Describe the net before it is called."""
    modules = list(named_modules(net))  # two of them may have one path
    paths: dict[int, str] = {}
    names: dict[int, str] = {}
    tensors: dict[int, Tensor] = {}
    none = []
    for path, module in modules:
        paths.setdefault(id(module), path)
        for own, tensor in own_tensors(module):
            names.setdefault(id(tensor), join(path, own))
            tensors[id(tensor)] = tensor
        none += [join(path, own) for own, tensor in module._buffers.items() if tensor is None]
    parameters = {known for known, tensor in tensors.items() if isinstance(tensor, nn.Parameter)}
    held = earlier.held if earlier else held_tensors(net)
    given = list(tensors_in((args, kwargs)))
    watch = Watch(
        paths,
        known={**tensors, **{known: each.tensor for known, each in held.items() if not _is_parameter(each)}},
        owned=parameters | {id(tensor) for tensor in given},
        inputs=given,
        measure=True,
    )
    return Seen(
        net, args, kwargs, optimizers, ties, with_loss, dict(modules), names, tensors, held,
        buffers_none=none,
        modes={id(module): module.training for _, module in modules},
        watch=watch,
        still_lazy=uninitialized_names(net),
    )  # fmt: skip


def _is_parameter(held: Held) -> bool:
    return isinstance(held.tensor, nn.Parameter)


def _forward(seen: Seen, loss: Callable[..., Any] | None, start: Snapshot) -> None:
    """Call the net and the loss function while they are watched."""
    during, watch = "forward", seen.watch
    copies = {id(each): each.detach().clone() for each in seen.inputs}
    for module in {id(each): each for each in seen.modules.values()}.values():
        children = [child for child in module._modules.values() if child is not None]
        if len(children) > len({*map(id, children)}):
            watch.watch_loops(module)
    try:
        with watch:
            Y = seen.net(*seen.args, **seen.kwargs)
            seen.outputs = list(tensors_in(Y))
            during = "loss"
            if loss is not None:
                seen.loss = watch.loss(loss, Y)
        seen.changed_inputs = [
            (each, watch.changes.get(id(each))) for each in seen.inputs if not _same(copies[id(each)], each)
        ]
    except Exception as error:
        call, given = None, ()
        if watch.deepest is not None and watch.deepest[0] is error:
            _, call, given = watch.deepest
        seen.failure = Failure(error, during, call, given)
        try:  # The watching itself may be the reason, for example with an operator of another library.
            start.restore()
            Y = seen.net(*seen.args, **seen.kwargs)
            seen.outputs = list(tensors_in(Y))
            if loss is not None:
                seen.loss = loss(Y)
            seen.failure = None
        except Exception as plain:
            if type(plain) is not type(error):
                seen.failure = Failure(plain, during, None, ())


def _look_at_gradients(seen: Seen) -> None:
    """Find what the backward pass reaches; run it if there is a loss."""
    ends = [seen.loss] if seen.with_loss else seen.outputs
    roots = [each for each in ends if isinstance(each, Tensor) and each.requires_grad]
    nodes = _nodes(roots)
    leaves = {id(each): each for each in roots if each.is_leaf}
    leaves |= {id(node.variable): node.variable for node in nodes if hasattr(node, "variable")}
    names = {node.name() for node in nodes}
    seen.outdated = _outdated(nodes, seen.watch.data_writes)
    # Such a node calls the net once more in the backward pass, and hides what it reaches until then.
    hidden = any("Checkpoint" in name for name in names)
    seen.reached = None if hidden or not roots else set(leaves)
    parameters = list(seen.trainable.values())
    if not seen.with_loss or not roots or roots[0].numel() != 1 or not parameters:
        return
    try:
        if hidden:  # which supports only this, and only this runs the hooks of parameters
            strangers = [use.tensor for use in seen.watch.strangers.values() if use.tensor.requires_grad]
            # It also runs through what the loss adds, such as a penalty on another net.
            found = _gradients_by_backward(roots[0], [*parameters, *strangers, *leaves.values()])
            seen.reached = set(found)
            seen.gradients = {known: each for known, each in found.items() if known in seen.tensors}
        else:
            # The graph may lead beyond the net, for example to a penalty that the loss adds: keep it.
            results = torch.autograd.grad(roots[0], parameters, retain_graph=True, allow_unused=True)
            pairs = zip(parameters, results, strict=True)
            seen.gradients = {id(each): gradient for each, gradient in pairs if gradient is not None}
    except Exception as error:
        seen.failure = Failure(error, "backward", None, ())


def _gradients_by_backward(loss: Tensor, parameters: Sequence[Tensor]) -> dict[int, Tensor]:
    before = {id(each): (each, each.grad) for each in parameters}
    try:
        for parameter, _ in before.values():
            parameter.grad = None
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        return {known: each.grad for known, (each, _) in before.items() if each.grad is not None}
    finally:  # one that the net does not hold is not restored with it
        for parameter, gradient in before.values():
            parameter.grad = gradient


def _nodes(roots: Iterable[Tensor]) -> set[Any]:
    """The nodes of the graph from which these tensors were computed."""
    todo: list[Any] = [each.grad_fn for each in roots if each.grad_fn is not None]
    known = set(todo)
    while todo:
        for following, _ in todo.pop().next_functions:
            if following is not None and following not in known:
                known.add(following)
                todo.append(following)
    return known


def _outdated(nodes: Iterable[Any], writes: Sequence[Write]) -> set[int]:
    """The ids of parameters that a node of the graph has saved, and that were written after that."""
    if not writes:
        return set()
    last = {id(write.use.tensor): write for write in writes}
    memory = {_memory_of(write.use.tensor): known for known, write in last.items()}
    found = set()
    for node in nodes:
        for name in dir(node):
            saved = getattr(node, name) if name.startswith("_saved_") else None
            known = memory.get(_memory_of(saved)) if isinstance(saved, Tensor) else None
            if known is not None and node._sequence_nr() < last[known].time:
                found.add(known)
    return found


def _memory_of(tensor: Tensor) -> Any:
    strided = tensor.layout is torch.strided and not tensor.is_nested
    return tensor.untyped_storage()._cdata if strided else id(tensor)


def _rewritten(seen: Seen) -> set[int]:
    """The parameters that the call wrote, and that the next call changes again, such as by a decay."""
    written = {id(write.use.tensor): write.use.tensor for write in seen.watch.data_writes}
    if not written:
        return set()
    values = {known: tensor.detach().clone() for known, tensor in written.items()}
    with torch.no_grad(), suppress(Exception):
        seen.net(*seen.args, **seen.kwargs)
    return {known for known, tensor in written.items() if _differ(values[known], tensor)}


def _kept(seen: Seen) -> list[tuple[str, nn.Module, str]]:
    """Attributes and buffers whose tensor was computed in the call, and which the next call uses again."""
    computed: dict[int, tuple[str, nn.Module, str]] = {}
    for path, module in seen.modules.items():
        for name, value in (*vars(module).items(), *module._buffers.items()):
            # Ask the class: isinstance would ask a weak reference, which may be dead.
            is_tensor = issubclass(type(value), Tensor)
            if is_tensor and value.grad_fn is not None and id(value) not in seen.held:
                computed[id(value)] = (join(path, name), module, name)
    if not computed:
        return []
    alive = [getattr(module, name) for _, module, name in computed.values()]
    again = Watch(seen.watch.paths, dict(zip(computed, alive, strict=True)), owned=set())
    with again, suppress(Exception):
        seen.net(*seen.args, **seen.kwargs)
    return [computed[known] for known, use in again.uses.items() if use.recorded]


def _look_at_evaluation(seen: Seen, start: Snapshot) -> None:
    """Call the net in evaluation mode, and once more with other random numbers if it draws any."""
    start.restore()
    _evaluate(seen.net)
    watch = Watch(seen.watch.paths, seen.watch.known, seen.watch.owned)
    states = [_state(each) for each in global_generators()]
    with torch.no_grad(), suppress(Exception):
        with watch:
            first = list(tensors_in(seen.net(*seen.args, **seen.kwargs)))
        seen.used_again = {**watch.uses, **watch.strangers}
        seen.written_again = {id(write.use.tensor) for write in watch.data_writes}
        if states == [_state(each) for each in global_generators()]:
            return
        start.restore()
        _evaluate(seen.net)
        _seed(1)
        second = list(tensors_in(seen.net(*seen.args, **seen.kwargs)))
        if len(first) != len(second) or any(map(_differ, first, second)):
            seen.draws = watch.random


def _evaluate(net: nn.Module) -> None:
    """Put all modules into evaluation mode; not by eval(), which the net may define for another purpose."""
    for _, module in named_modules(net):
        module.training = False


def _state(generator: Any) -> Any:
    if isinstance(generator, torch.Generator):
        return generator.get_state().tolist()
    return repr(generator.getstate() if isinstance(generator, random.Random) else generator.get_state())


def _seed(number: int) -> None:
    random.seed(number)
    torch.manual_seed(number)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(number)


def _differ(X: Tensor, Y: Tensor) -> bool:
    if X.shape != Y.shape or X.dtype != Y.dtype:
        return True
    if X.layout is not torch.strided or X.is_nested or X.is_meta:
        return False
    if X.is_floating_point() or X.is_complex():
        return not torch.allclose(X, Y, rtol=1e-3, atol=1e-5, equal_nan=True)
    return not torch.equal(X, Y)


def _same(X: Tensor, Y: Tensor) -> bool:
    """Whether all values are equal, NaN included."""
    if X.shape != Y.shape or X.layout is not torch.strided:
        return X is Y
    return torch.allclose(X, Y, rtol=0, atol=0, equal_nan=True) if X.numel() else True


def without_compiling() -> Any:
    """A context in which compiled nets run without compilation: compiled code has no operations to watch."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
