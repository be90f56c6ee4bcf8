"""One net of another library through `diagnose`: its findings, whether it is as it was, and the time."""

import copy
import json
import sysconfig
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from d2lblocks.diagnosis import Report as Diagnosis
from d2lblocks.diagnosis import diagnose
from d2lblocks.diagnosis._seen import tensors_in
from tools.real_nets.digests import difference, digest, look, seed, tensors
from tools.real_nets.libraries import Inputs, RealNet
from tools.real_nets.runs import BUILD, NotTried, Report

FINDINGS, SECONDS = "findings", "seconds"  # parts of a result that are data
MOST_NAMES = 12  # of one finding, in a result
SLOWEST = 5.0  # seconds of a forward and backward pass; a slower net is left out
LIBRARIES = Path(sysconfig.get_path("purelib"))


class Seen(NamedTuple):
    """A finding of `diagnose` on a real net.

    Attributes:
        way: `"call"`, or `"loss"` if a loss and an optimizer were given.
        file: the file of the library, such as `timm/layers/mlp.py`; empty if the finding has no line.
    """

    way: str
    code: str
    level: str
    names: list[str]
    file: str
    line: int | None
    text: str


class Subject:
    """A real net and its inputs, built anew for each use.

    Attributes:
        seconds: of the shorter of two forward and backward passes.
        learns: whether there is a backward pass.

    Raises:
        Exception: that of the net, if it cannot be built, or cannot be called in training mode.
        ValueError: if it is too slow.
    """

    def __init__(self, real_net: RealNet) -> None:
        self.real_net = real_net
        net = self.build()
        lazy = any(map(is_lazy, tensors(net).values()))
        seed(0)
        self.example: Inputs = real_net.inputs(self.build() if lazy else net)
        self.seconds, self.learns = self.step()
        if self.seconds > SLOWEST:
            raise ValueError(f"too slow: {self.seconds:.1f} s for a forward and backward pass")

    def step(self) -> tuple[float, bool]:
        """Run two forward and backward passes; return the seconds of the shorter one."""
        net, times = self.build(), []
        for _ in range(2):
            args, kwargs = self.inputs()
            seed(0)
            start = time.perf_counter()
            loss = loss_of(net(*args, **kwargs))
            if loss is not None:
                loss.backward()
            times.append(time.perf_counter() - start)
            if times[0] > 2 * SLOWEST:
                break
        return min(times), loss is not None

    def build(self) -> nn.Module:
        """A new net in training mode, always with the same values."""
        seed(0)
        return self.real_net.build().train()

    def inputs(self) -> Inputs:
        return copy.deepcopy(self.example)


def loss_of(Y: Any) -> Tensor | None:
    """The mean square of all differences between floating outputs and fixed random targets.

    Without targets, as the mean square of the outputs, it would not depend on a net that normalizes them.
    It is None if no output requires a gradient.
    """
    generator = torch.Generator().manual_seed(0)
    parts = [
        (flat - torch.randn(flat.shape, generator=generator)).square()
        for each in tensors_in(Y)
        if each.requires_grad and each.layout is torch.strided and not each.is_nested and each.numel()
        for flat in [(each.abs() if each.is_complex() else each).flatten().float()]
    ]
    return torch.cat(parts).mean() if parts else None


def optimizer_of(net: nn.Module) -> torch.optim.Optimizer | None:
    parameters = list(net.parameters())
    return torch.optim.SGD(parameters, lr=0.01) if parameters else None


def diagnosed(real_net: RealNet, report: Report) -> None:
    """Diagnose a net in three ways, and report findings, seconds, and whether anything was changed."""
    subject: Subject | None = None
    with report(BUILD):
        subject = Subject(real_net)
    if subject is None:
        return
    found: list[Seen] = []
    spent = {"plain": subject.seconds}
    for way in ("call", "loss"):
        with report(way):
            if way == "loss" and not subject.learns:
                raise NotTried("no output requires a gradient")
            diagnosis, seconds = as_it_was(subject, way, subject.inputs())
            if seconds > 6 * spent["plain"] + 0.5:  # the machine may have been slow for a moment
                spent["plain"] = max(spent["plain"], subject.step()[0])
                seconds = min(seconds, as_it_was(subject, way, subject.inputs())[1])
            spent[way] = seconds
            found += [seen(way, each) for each in diagnosis]
    with report("refused"):
        as_it_was(subject, "call", wrong(subject.inputs()))
    report.tell((FINDINGS, json.dumps(found)))
    report.tell((SECONDS, json.dumps(spent)))


def as_it_was(subject: Subject, way: str, inputs: Inputs) -> tuple[Diagnosis, float]:
    """Diagnose a new net; raise an AssertionError if anything differs afterward."""
    net = subject.build()
    args, kwargs = inputs
    options: dict[str, Any] = {"loss": loss_of, "optimizer": optimizer_of(net)} if way == "loss" else {}
    before = everything(net, inputs)
    start = time.perf_counter()
    diagnosis = diagnose(net, *args, **options, **kwargs)
    seconds = time.perf_counter() - start
    if differs := difference(before, everything(net, inputs)):
        raise AssertionError(differs)
    return diagnosis, seconds


def everything(net: nn.Module, inputs: Inputs) -> dict[str, Any]:
    """The state of a net, the attributes of its modules, and the inputs, in a form that can be compared."""
    found = {**look(net), "inputs": [(id(each), digest(each)) for each in tensors_in(inputs)]}
    for path, module in net.named_modules(remove_duplicate=False):
        for name, value in vars(module).items():
            found[f"attribute {path}.{name}"] = entries(value)
    return found


def entries(value: Any) -> Any:
    """Which object this is, and which objects it holds if it is a container."""
    if isinstance(value, dict):
        return id(value), [(repr(key), id(part)) for key, part in value.items()]
    if isinstance(value, list | tuple | set | deque):
        return id(value), [id(part) for part in value]
    return id(value)


def wrong(inputs: Inputs) -> Inputs:
    """Inputs of shapes that few nets accept."""

    def spoilt(value: Any) -> Any:
        if isinstance(value, Tensor) and value.layout is torch.strided:
            return value[..., :-1].unsqueeze(0).unsqueeze(0) if value.dim() else value.expand(3, 1)
        if isinstance(value, list | tuple) and type(value) in (list, tuple):
            return type(value)(map(spoilt, value))
        return value

    args, kwargs = inputs
    return tuple(map(spoilt, args)), {name: spoilt(value) for name, value in kwargs.items()}


def seen(way: str, finding: Any) -> Seen:
    file = finding.file or ""
    if Path(file).is_relative_to(LIBRARIES):
        file = Path(file).relative_to(LIBRARIES).as_posix()
    names = list(finding.names[:MOST_NAMES])
    return Seen(way, finding.code, finding.level, names, file, finding.line, finding.text[:300])
