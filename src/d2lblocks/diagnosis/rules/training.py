"""Training: what gets a gradient, what is in which mode, and what the optimizer holds."""

from collections.abc import Iterable, Iterator

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .._seen import Seen
from . import Found, rule


@rule("no-gradient", "error", "diagnosis.md#no-gradient")
def no_gradient(seen: Seen) -> Iterator[Found]:
    """A loss from which no backward pass is possible."""
    if not seen.with_loss or seen.failure is not None or not seen.trainable:
        return
    if not isinstance(seen.loss, Tensor):
        yield Found(
            ("loss",),
            f"The loss function returned {_a(seen.loss)}, not a tensor: loss.backward() is not possible.",
            "Return the tensor; call .item() only to print it.",
        )
    elif not seen.loss.requires_grad:
        cut = not any(each.requires_grad for each in seen.outputs)
        where = "the output of the net" if cut else "the loss"
        yield Found(
            ("net" if cut else "loss",),
            f"No gradient reaches the net: {where} has no graph. Something cuts it, such as .detach(), .data, "
            ".item(), .numpy(), argmax, a comparison, torch.no_grad() or torch.tensor(...).",
            "Compute the loss from the output of the net with PyTorch's functions, without these.",
        )
    elif seen.loss.numel() != 1:
        yield Found(
            ("loss",),
            f"The loss has shape {tuple(seen.loss.shape)}: backward() needs one number.",
            "Reduce it: loss.mean() or loss.sum().",
        )


def _a(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


@rule("unused", "question", "diagnosis.md#unused")
def unused(seen: Seen) -> Iterator[Found]:
    """Parameters that get no gradient, although others do."""
    if seen.reached is None or seen.failure is not None:
        return
    trainable = seen.trainable
    missed = [known for known, each in trainable.items() if known not in seen.reached and not is_lazy(each)]
    if not missed or len(missed) == len(trainable):
        return  # if it is all of them, something else is wrong, which another rule says
    read = {known for known in seen.watch.data_reads if known in missed}
    cut = [known for known in missed if known in seen.watch.uses and known not in read]
    never = [known for known in missed if known not in seen.watch.uses and known not in read]
    loss = "loss" if seen.with_loss else "output"
    if never:
        yield Found(
            _modules_of(seen, never),
            f"{_count(never)} no part in the forward pass: no gradient reaches {_them(never)}.",
            'Call the layer in forward, or remove it. If it runs only in other calls: silence=["unused"].',
        )
    if cut:
        yield Found(
            _modules_of(seen, cut),
            f"{_count(cut)} part in the forward pass, but the {loss} does not depend on {_them(cut)} through "
            "the graph: no gradient reaches it." if len(cut) == 1 else
            f"{_count(cut)} part in the forward pass, but the {loss} does not depend on {_them(cut)} through "
            "the graph: no gradient reaches them.",
            "Look for detach(), no_grad() or an output that is not used. "
            'If it is meant: silence=["unused"].',
        )  # fmt: skip


def _count(known: list[int]) -> str:
    return "1 parameter takes" if len(known) == 1 else f"{len(known)} parameters take"


def _them(known: list[int]) -> str:
    return "it" if len(known) == 1 else "them"


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
    held = {
        id(parameter): parameter
        for each in seen.optimizers
        for group in each.param_groups
        for parameter in group["params"]
    }
    missing = [known for known in seen.trainable if known not in held]
    foreign = [known for known in held if known not in seen.tensors]
    if missing:
        old = (
            f" It holds {len(foreign)} that the net does not have: it was built before the net was changed."
            if foreign
            else ""
        )
        yield Found(
            _modules_of(seen, missing),
            f"The optimizer does not hold {len(missing)} of the {len(seen.trainable)} parameters that require "
            f"a gradient: they do not learn.{old}",
            "Build the optimizer last: torch.optim.SGD(net.parameters(), ...). "
            "Freeze what is not to learn, with requires_grad_(False).",
        )
    elif foreign:
        yield Found(
            ("optimizer",),
            f"The optimizer holds {len(foreign)} parameters that are not in the net.",
            "If they belong to another net that is trained with it: silence=[\"optimizer\"].",
            level="question",
        )  # fmt: skip
    for each in seen.optimizers:
        for parameter, state in each.state.items():
            for key, value in state.items():
                if isinstance(value, Tensor) and value.dim() and value.device != parameter.device:
                    yield Found(
                        (seen.names.get(id(parameter), "optimizer"),),
                        f"The optimizer's '{key}' of this parameter is on {value.device}, the parameter on "
                        f"{parameter.device}: the net was moved after the optimizer's state was loaded.",
                        "Move the net first, then build the optimizer, then load its state.",
                        page="devices.md#expected-all-tensors-to-be-on-the-same-device-at-optimizerstep",
                    )
                    return


@rule("in-eval", "question", "modules.md#the-same-input-gives-a-different-output-every-time")
def in_eval(seen: Seen) -> Iterator[Found]:
    """Modules in evaluation mode while there is a loss or an optimizer."""
    if not (seen.with_loss or seen.optimizers):
        return
    # Only of modules that behave differently in the two modes.
    differ = (
        nn.modules.dropout._DropoutNd,
        nn.modules.batchnorm._NormBase,
        nn.RNNBase,
        nn.MultiheadAttention,
    )
    off = [
        path for path, each in seen.modules.items() if isinstance(each, differ) and not seen.modes[id(each)]
    ]
    if not seen.modes[id(seen.net)]:
        yield Found(
            ("net",),
            "The net is in evaluation mode, but there is a loss to train it with: dropout does nothing, and "
            "batch norms use stored statistics.",
            'Call net.train() before training. If it is meant: silence=["in-eval"].',
        )
    elif off:
        yield Found(
            off,
            "These are in evaluation mode, although the net is in training mode.",
            'Call net.train(), which sets all of them. If it is meant: silence=["in-eval"].',
        )


@rule("frozen", "question", "parameters.md#freezing-parameters")
def frozen(seen: Seen) -> Iterator[Found]:
    """Parameters that require no gradient while there is a loss or an optimizer."""
    if not (seen.with_loss or seen.optimizers):
        return
    off = [
        known
        for known, tensor in seen.tensors.items()
        if isinstance(tensor, nn.Parameter)
        and not tensor.requires_grad
        and (tensor.is_floating_point() or tensor.is_complex())
    ]
    if off:
        yield Found(
            _modules_of(seen, off),
            f"{len(off)} parameter{'s' * (len(off) > 1)} of the net "
            f"{'require' if len(off) > 1 else 'requires'} no gradient, and will not learn.",
            'Call requires_grad_(True) on them. If they are to stay as they are: silence=["frozen"].',
        )


@rule("data-read", "error", "layers.md#gradients-are-none-data-in-forward")
def data_read(seen: Seen) -> Iterator[Found]:
    """A parameter that takes part only through `.data`."""
    if seen.reached is None and seen.outputs and any(each.requires_grad for each in seen.outputs):
        return
    for known, use in seen.watch.data_reads.items():
        if known in (seen.reached or ()) or known not in seen.names:
            continue
        if any(write.tensor is use.tensor for write, _ in seen.watch.data_writes):
            continue  # a write, which has a rule of its own
        yield Found(
            (seen.names[known],),
            "The forward pass reads this parameter through .data, the value without autograd: it gets no "
            "gradient, and does not learn.",
            "Use the parameter itself: self." + seen.names[known].rpartition(".")[2] + ".",
            use.line,
        )


@rule("data-write", "error", "parameters.md#the-gradient-is-wrong-and-there-is-no-error")
def data_write(seen: Seen) -> Iterator[Found]:
    """A write into a parameter through `.data` during the forward pass."""
    told = set()
    for use, used_before in seen.watch.data_writes:
        known = id(use.tensor)
        if known in told or known not in seen.names:
            continue
        told.add(known)
        name = seen.names[known]
        text = "The forward pass changes this parameter through .data, which autograd does not notice"
        if used_before:
            text += ": it has already computed with the old values, so the gradients are wrong, without an error."
        elif known in seen.rewritten:
            text += ". Each call changes it again: two calls before a backward pass give wrong gradients."
        else:
            text += ". A second call leaves it as it is."
        wrong = used_before or known in seen.rewritten
        meant = "" if wrong else ' If it is meant: silence=["data-write"].'
        yield Found((name,), text, f"{_CHANGE}{meant}", use.line, "error" if wrong else "question")


_CHANGE = "Change parameters after the backward pass, under torch.no_grad(); or compute with a new tensor."


@rule("random-in-eval", "question", "modules.md#the-same-input-gives-a-different-output-every-time")
def random_in_eval(seen: Seen) -> Iterator[Found]:
    """Random numbers in evaluation mode on which the result depends."""
    if seen.draws:
        use = seen.draws[0]
        names = list(dict.fromkeys(each.module or "net" for each in seen.draws))
        yield Found(
            names,
            f"In evaluation mode the result still depends on random numbers ({use.function}): the same input "
            "gives another output each time.",
            "Pass the mode on, as in F.dropout(X, p, training=self.training), whose default is training=True. "
            'If it is meant: silence=["random-in-eval"].',
            use.line,
        )
