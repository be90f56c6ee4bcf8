"""Other tools that look for mistakes in a net: torchtest2 and torch-audit, called as their pages show it."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tools.corpus.nets import Subject, loss_of, optimizer_of
from tools.real_nets.digests import seed
from tools.real_nets.libraries import RealNet
from tools.real_nets.runs import BUILD, Report

NO_BATCH = {"torch_geometric"}  # libraries whose nets take whole graphs instead of a batch
Loss = Callable[[Any], Any]


class Alarm(NamedTuple):
    """Something that a tool reports.

    Attributes:
        code: the tool's name for it.
        is_error: whether the tool is sure: FAIL of torchtest2, ERROR or FATAL of torch-audit.
        place: the module, if the tool names one.
    """

    code: str
    is_error: bool
    place: str = ""


def torchtest2(
    net: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    loss: Loss | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    has_batch: bool = True,
) -> list[Alarm]:
    from torchtest2 import Status, check_model

    options: dict[str, Any] = {} if has_batch else {"batch_dim": None}
    inputs: Any = kwargs or args
    if args and kwargs:  # it has no form for both
        inputs = (args, kwargs)
        options["forward_fn"] = lambda net, inputs, targets: net(*inputs[0], **inputs[1])
        options["eval_forward_fn"] = lambda net, inputs: net(*inputs[0], **inputs[1])
    report = check_model(net, inputs, loss_fn=loss, optimizer=optimizer, **options)
    return [
        Alarm(each.name, each.status is Status.FAIL)
        for each in report
        if each.status in (Status.FAIL, Status.WARN)
    ]


def torch_audit(
    net: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    loss: Loss | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    has_batch: bool = True,
) -> list[Alarm]:
    from torch_audit import Severity, audit_dynamic

    with audit_dynamic(net, optimizer=optimizer) as auditor:
        found = (loss or loss_of)(auditor.forward(*args, **kwargs))
        if isinstance(found, Tensor):
            auditor.backward(found)
            if optimizer is not None:
                auditor.optimizer_step()
    severe = (Severity.ERROR, Severity.FATAL)
    return [
        Alarm(each.rule_id, each.severity in severe, each.module_path or "")
        for each in auditor.finish().findings
    ]


PEERS = {"torch-audit": torch_audit, "torchtest2": torchtest2}


def alarms(peer: Callable[..., list[Alarm]], *given: Any, **options: Any) -> list[Alarm]:
    """What a tool reports. An error that it raises is an alarm, too."""
    try:
        return peer(*given, **options)
    except RecursionError:
        return [Alarm("RecursionError", True)]
    except Exception as error:
        return [Alarm(f"raises {type(error).__name__}", True)]


def tried(library: str, real_net: RealNet, report: Report) -> None:
    """One net of another library through both tools."""
    subject: Subject | None = None
    with report(BUILD):
        subject = Subject(real_net)
    if subject is None:
        return
    for name, peer in PEERS.items():
        report.tell((name, ""))  # a tool that does not end has no outcome
        net = subject.build()
        args, kwargs = subject.inputs()
        optimizer = optimizer_of(net) if name == "torch-audit" else None  # it audits a whole training step
        seed(0)
        found = alarms(peer, net, args, kwargs, None, optimizer, library not in NO_BATCH)
        report.tell((name, json.dumps(found)))
