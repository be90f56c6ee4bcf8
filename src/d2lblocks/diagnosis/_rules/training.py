"""Training: what gets a gradient, what is in which mode, and what the optimizer holds."""

from collections.abc import Iterable, Iterator

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .._seen import Seen
from ._rule import Found, rule


@rule("no-gradient", "error", "diagnosis.md#no-gradient-at-all-item-detach-or-torchtensor")
def no_gradient(seen: Seen) -> Iterator[Found]:
    """A loss, or an output, from which no backward pass is possible."""
    if seen.failure is not None or not seen.trainable:
        return
    cut = not any(each.requires_grad for each in seen.outputs)
    if not seen.with_loss:
        if cut and any(each.is_floating_point() for each in seen.outputs):
            yield Found(("net",), f"The output of the net has no graph. {_CUT}", _UNCUT, level="question")
    elif not isinstance(seen.loss, Tensor):
        kind = "None" if seen.loss is None else f"a {type(seen.loss).__name__}"
        yield Found(
            ("loss",),
            f"The loss function returned {kind}, not a tensor, so there is no backward pass.",
            "Return the tensor, and call .item() only to print it.",
        )
    elif not seen.loss.requires_grad:
        where, name = ("output of the net", "net") if cut else ("loss", "loss")
        yield Found((name,), f"The {where} has no graph. {_CUT}", _UNCUT)
    elif seen.loss.numel() != 1:
        yield Found(
            ("loss",),
            f"The loss has shape {tuple(seen.loss.shape)}, but a backward pass starts from one number.",
            "Reduce it with loss.mean() or loss.sum().",
        )


_CUT = (
    "No gradient reaches any parameter. Look for detach(), .data, item(), numpy(), tolist(), argmax, "
    "a comparison, torch.tensor(...) or no_grad()."
)
_UNCUT = "Compute the result from the parameters with PyTorch's functions, without these."


@rule("unused", "question", "diagnosis.md#a-layer-gets-no-gradient-not-called-or-cut-off")
def unused(seen: Seen) -> Iterator[Found]:
    """Parameters that get no gradient, although others do: never used, or cut off."""
    if seen.reached is None or seen.failure is not None:
        return
    trainable = seen.trainable
    missed = [known for known, each in trainable.items() if known not in seen.reached and not is_lazy(each)]
    if len(missed) == len(trainable):
        return  # another rule says why
    # What another call uses, as in evaluation mode, is not forgotten: the net chooses layers at random.
    missed = [known for known in missed if known not in seen.watch.data_reads]
    # A hook that did not run may be what uses it: another rule says so.
    skipped = {seen.path(module) for module, _ in seen.watch.bypassed.values()}
    missed = [known for known in missed if seen.names[known].rpartition(".")[0] not in skipped]
    missed = [known for known in missed if known in seen.watch.uses or known not in seen.used_again]
    used = [known for known in missed if known in seen.watch.uses]
    never = [known for known in missed if known not in seen.watch.uses]
    if never:
        yield Found(
            _modules_of(seen, never),
            f"{_parameters(never)} no part in the forward pass, and {_gets(never)} no gradient.",
            "Call the layer in forward, or remove it.",
        )
    if used:
        yield Found(
            _modules_of(seen, used),
            f"{_parameters(used)} part in the forward pass, but {_gets(used)} no gradient: "
            f"the {'loss' if seen.with_loss else 'output'} does not use the result, or the graph is cut.",
            "Look for a result that is not used, detach() or no_grad().",
        )


def _parameters(known: list[int]) -> str:
    return "1 parameter takes" if len(known) == 1 else f"{len(known)} parameters take"


def _gets(known: list[int]) -> str:
    return "gets" if len(known) == 1 else "get"


def _modules_of(seen: Seen, tensors: Iterable[int]) -> list[str]:
    """The names of the tensors; the name of a module instead of all its parameters."""
    missed = set(tensors)
    whole: list[str] = []
    for path, module in seen.modules.items():
        own = [id(each) for each in module.parameters()]
        inside = any(path.startswith(f"{each}.") or path == each for each in whole)
        if path and own and missed.issuperset(own) and not inside:
            whole.append(path)
    names = [
        seen.names[known]
        for known in missed
        if not any(seen.names[known].startswith(f"{path}.") for path in whole)
    ]
    return whole + sorted(names, key=list(seen.names.values()).index)


@rule("optimizer", "error", "parameters.md#a-replaced-layer-does-not-learn")
def optimizer(seen: Seen) -> Iterator[Found]:
    """Trainable parameters that no optimizer holds, and held ones that are not the net's."""
    if not seen.optimizers:
        return
    groups = [group["params"] for each in seen.optimizers for group in each.param_groups]
    held = {id(parameter) for group in groups for parameter in group}
    missing = [known for known in seen.trainable if known not in held]
    foreign = len(held - seen.tensors.keys() - seen.watch.strangers.keys())
    if missing:
        old = f" It holds {foreign} that the net no longer has." if foreign else ""
        yield Found(
            _modules_of(seen, missing),
            f"The optimizer does not hold {len(missing)} of the {len(seen.trainable)} trainable parameters, "
            f"which will not learn.{old}",
            "Build the optimizer last, from net.parameters(). If these are not to learn, freeze them with "
            "requires_grad_(False). If several optimizers train the net, pass all of them in a list.",
        )
    elif foreign:
        yield Found(
            ("optimizer",),
            f"The optimizer holds {foreign} parameters that the net does not have.",
            "Build it from net.parameters().",
            level="question",
        )


@rule(
    "optimizer-device", "error", "devices.md#expected-all-tensors-to-be-on-the-same-device-at-optimizerstep"
)
def optimizer_device(seen: Seen) -> Iterator[Found]:
    """The optimizer's state of a parameter is on another device than the parameter."""
    for each in seen.optimizers:
        own = type(each).__module__.startswith("torch.optim.")  # others may keep it on the CPU
        for parameter, state in each.state.items():
            for key, value in state.items():
                if isinstance(value, Tensor) and value.dim() and value.device != parameter.device:
                    yield Found(
                        (seen.names.get(id(parameter), "optimizer"),),
                        f"The optimizer's '{key}' of this parameter is on {value.device}, and the parameter "
                        f"is on {parameter.device}: the net was moved after that state was loaded.",
                        "Move the net first, then build the optimizer, then load its state.",
                        level="error" if own else "question",
                    )
                    return


@rule("in-eval", "question", "modules.md#the-same-input-gives-a-different-output-every-time")
def in_eval(seen: Seen) -> Iterator[Found]:
    """Modules in evaluation mode while there is a loss or an optimizer."""
    if not (seen.with_loss or seen.optimizers):
        return
    off = [path for path, each in seen.modules.items() if not seen.modes[id(each)] and _has_modes(each)]
    if not seen.modes[id(seen.net)]:
        yield Found(
            ("net",),
            "The net is in evaluation mode, although it is to be trained: dropout does nothing, and batch "
            "normalization uses its stored statistics.",
            "Call net.train() before training.",
        )
    elif off and all(type(each).train is nn.Module.train for each in seen.modules.values()):
        yield Found(
            off, "These are in evaluation mode, although the net is in training mode.", "Call net.train()."
        )


def _has_modes(module: nn.Module) -> bool:
    """Whether a module of PyTorch behaves differently in the two modes."""
    kinds = nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase, nn.RNNBase, nn.MultiheadAttention
    return isinstance(module, kinds)


@rule("frozen", "question", "parameters.md#freezing-parameters")
def frozen(seen: Seen) -> Iterator[Found]:
    """Parameters that require no gradient while there is a loss or an optimizer."""
    if not (seen.with_loss or seen.optimizers):
        return
    parameters = {known: each for known, each in seen.tensors.items() if isinstance(each, nn.Parameter)}
    off = [known for known, each in parameters.items() if not each.requires_grad and each.is_floating_point()]
    held = {
        id(each)
        for optimizer in seen.optimizers
        for group in optimizer.param_groups
        for each in group["params"]
    }
    if off and not (held and held.isdisjoint(off)):  # an optimizer without them knows that they are frozen
        yield Found(
            _modules_of(seen, off),
            f"{len(off)} of the {len(parameters)} parameters of the net have requires_grad=False, and will "
            "not learn.",
            "Call requires_grad_(True) on them.",
        )


@rule("data-read", "error", "layers.md#gradients-are-none-data-in-forward")
def data_read(seen: Seen) -> Iterator[Found]:
    """A parameter that the forward pass computes with only through `.data`."""
    if seen.reached is None and any(each.requires_grad for each in seen.outputs):
        return
    written = {id(write.use.tensor) for write in seen.watch.data_writes}  # another rule is for these
    for known, use in seen.watch.data_reads.items():
        if known in seen.names and known not in written and known not in (seen.reached or ()):
            yield Found(
                (seen.names[known],),
                "The forward pass computes with the .data of this parameter, which has no graph: the "
                "parameter gets no gradient, and does not learn.",
                "Use the parameter itself, without .data.",
                use.line,
                # In training mode, the call may change it itself, as a running average.
                "error" if seen.modes[id(seen.net)] else "question",
            )


@rule("data-write", "error", "parameters.md#the-gradient-is-wrong-and-there-is-no-error")
def data_write(seen: Seen) -> Iterator[Found]:
    """A write into a parameter through `.data` during the forward pass."""
    writes = {id(write.use.tensor): write for write in reversed(seen.watch.data_writes)}
    for known, (use, used_before, _) in writes.items():
        if known not in seen.names or (seen.reached is not None and known not in seen.reached):
            continue  # without a gradient, as in a teacher that follows the net, nothing can be wrong with it
        outdated = used_before if seen.reached is None else known in seen.outdated
        # In training mode only, it may be a running average: right for one backward pass after each call.
        always = known in seen.rewritten and known in seen.written_again
        if outdated:
            why = "It has already computed with the old values, so the gradients are wrong, without an error."
        elif known in seen.rewritten:
            why = "Each call changes it again: after two calls, the gradients of the first are wrong."
        else:
            why = "A second call leaves the values as they are."
        yield Found(
            (seen.names[known],),
            f"The forward pass changes this parameter through .data, which autograd does not notice. {why}",
            "Change parameters after the backward pass, under torch.no_grad(), or compute a new tensor from "
            "the parameter.",
            use.line,
            "error" if outdated or always else "question",
        )


@rule("random-in-eval", "question", "modules.md#the-same-input-gives-a-different-output-every-time")
def random_in_eval(seen: Seen) -> Iterator[Found]:
    """Random numbers in evaluation mode on which the result depends."""
    # The same list may hold layers that have parameters, which another rule names.
    told = not seen.held.keys().isdisjoint(seen.watch.strangers)
    if draws := [each for each in seen.draws if each.registered or not told]:
        draw = draws[0]
        fix = "Pass the mode, as in F.dropout(X, p, training=self.training): the default is training=True."
        if not draw.registered:
            fix = (
                "The module that draws them is not registered, so net.eval() does not reach it: register it."
            )
        yield Found(
            list(dict.fromkeys(each.module or "net" for each in draws)),
            f"In evaluation mode, the result still depends on random numbers, which {draw.function} draws: "
            "the same input gives a different output each time.",
            fix,
            draw.line,
        )
