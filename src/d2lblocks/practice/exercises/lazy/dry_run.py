"""A dry run by hand."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from d2lblocks.lazy import uninitialized_names

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "lazy.md#the-dry-run"
TASK = """
Write `dry_run(net, X)`, which gives a lazy net its shapes with one forward pass and returns the net.
One example in `X` has to be enough.
Nothing but the uninitialized tensors may change: running statistics keep their values, and each module keeps its training mode, even if the mode differs from module to module.
The forward pass runs without gradients, but the net can be trained afterward.
"""
STUB = """\
import torch


def dry_run(net, X):
    net(X)
    return net
"""
SOLUTION = """\
import torch


def dry_run(net, X):
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    with torch.no_grad():
        net(X)
    for module, training in modes:
        module.training = training
    return net
"""
HINTS = (
    "What does a forward pass in training mode change, apart from shapes?",
    "Read the end of lazy.md#the-dry-run: what to do before and after a dry run by hand.",
    "Keep `module.training` of each module in a list; call `net.eval()`, then the net under `torch.no_grad()`; then put each mode back.",
)
AFTER = """
In evaluation mode, batch norm changes no statistics and dropout draws no random numbers, so the pass only sets shapes.
A call of `net.train()` afterward would put every module into training mode.
Another way: `apply_init(net, X)` does all of this, and also undoes everything if the pass fails.
"""


class _Calls:
    """Whether gradients were on in each call; an object of its own, because `apply_init` restores lists."""

    def __init__(self) -> None:
        self.gradients: list[bool] = []


class _Probe(nn.Module):
    """Records how it is called, and counts the calls in training mode, as a layer with statistics does."""

    def __init__(self, calls: _Calls) -> None:
        super().__init__()
        self.calls = calls
        self.batches: Tensor
        self.register_buffer("batches", torch.zeros(()))

    def forward(self, X: Tensor) -> Tensor:
        self.batches = self.batches + float(self.training)
        self.calls.gradients.append(torch.is_grad_enabled())
        return X


def check(answer: Answer) -> None:
    """Shapes come, and modes, statistics and gradients stay, for training, mixed and evaluation mode."""
    dry_run = answer.function("dry_run")
    for text, batch, first, norm in (
        ("in training mode", 4, True, True),
        ("in training mode", 1, True, True),
        ("in evaluation mode", 4, False, False),
        ("in training mode, but its batch norm in evaluation mode", 4, True, False),
    ):
        answer.given = f"net = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), ...) {text}, and X with {batch} example{'s' * (batch > 1)}"
        calls = _Calls()
        batch_norm, probe, sized, used = nn.LazyBatchNorm1d(), _Probe(calls), nn.Linear(4, 3), _used()
        net = nn.Sequential(nn.LazyLinear(4), batch_norm, probe, nn.Sequential(sized, used), nn.LazyLinear(2))
        net.train(first)
        batch_norm.train(norm)
        modes = {name: module.training for name, module in net.named_modules()}
        weight = sized.weight.detach().clone()
        came = answer.module(_call(dry_run, net, torch.rand(batch, 5)), "dry_run(net, X)")
        if came is not net:
            raise Wrong(
                "`dry_run` returns another net: give shapes to the one that it gets.",
                came="another net",
                expected="the same net",
            )
        if names := uninitialized_names(net):
            raise Wrong(
                f"`{names[0]}` is still uninitialized.",
                came=f"uninitialized: {', '.join(names)}",
                expected="uninitialized: none",
            )
        _check_statistics(batch_norm, used, probe)
        _check_modes(net, modes)
        _check_gradients(net, calls)
        answer.same(
            sized.weight, weight, "net[3][0].weight", "A weight that had values has changed.", tolerance=0
        )
    answer.given = "net = nn.LazyLinear(4), and X with 1 example"
    _call(dry_run, nn.LazyLinear(4), torch.rand(1, 5))


def _used() -> nn.BatchNorm1d:
    """A batch norm that has seen batches."""
    norm = nn.BatchNorm1d(3)
    norm(torch.rand(4, 3))
    return norm


def _call(dry_run: Callable[..., object], net: nn.Module, X: Tensor) -> object:
    try:
        return dry_run(net, X)
    except ValueError as error:
        if isinstance(net, nn.LazyLinear) and "uninitialized parameter" in str(error):
            why = "`net.forward(X)` skips the step that gives a lazy layer its shapes: call `net(X)`."
            raise Wrong(why, came=f"ValueError: {error}"[:100], expected="no error") from error
        if "__deepcopy__" not in str(error):
            raise
        why = "A net with a lazy batch norm cannot be copied before its first batch: send the batch through the net itself."
        raise Wrong(why, came="ValueError in copy.deepcopy", expected="no copy") from error


def _check_statistics(norm: nn.LazyBatchNorm1d, used: nn.BatchNorm1d, probe: _Probe) -> None:
    if norm.num_batches_tracked != 0 or cast(Tensor, norm.running_mean).any():
        raise Wrong(
            "The batch norm has counted the batch and changed its running mean, as it does in training mode.",
            came=f"num_batches_tracked = {norm.num_batches_tracked}, running_mean = {norm.running_mean}",
            expected="num_batches_tracked = 0, running_mean = zeros",
        )
    if used.num_batches_tracked != 1:
        raise Wrong(
            "A batch norm that had statistics of earlier batches has others now: they have to stay as they were.",
            came=f"num_batches_tracked = {used.num_batches_tracked}",
            expected="num_batches_tracked = 1",
        )
    if probe.batches:
        raise Wrong(
            "A layer was in training mode in the forward pass and changed its statistics. A layer of any class can "
            "have some, so put the whole net into evaluation mode.",
            came="net[2].training was True",
            expected="net[2].training was False",
        )


def _check_modes(net: nn.Module, modes: dict[str, bool]) -> None:
    now = {name: module.training for name, module in net.named_modules()}
    if now == modes:
        return
    if all(now.values()) and not any(modes.values()):
        why = "The net was in evaluation mode and is in training mode now: put back the mode that it had."
    elif all(now.values()):
        why = "`train(mode)` sets the mode of a module and of all modules inside it, even of one that was in evaluation mode on purpose."
    elif not any(now.values()):
        why = "The net is in evaluation mode now: put back the training mode of each module."
    elif all(now[name] == mode for name, mode in modes.items() if "." not in name):
        why = "A module inside a block does not have its old training mode: `net.modules()` also gives the modules inside blocks, unlike `net.children()`."
    elif all(now[name] == mode for name, mode in modes.items() if name and "." not in name):
        why = "The layers have their old training mode, but the net itself, which is a module too, does not."
    elif now[""] == modes[""] and not any(now[name] for name in now if name):
        why = "The net itself has its old training mode, but its layers are in evaluation mode now."
    else:
        why = "Some modules do not have their old training mode: `net.modules()` gives the net itself, its blocks and the layers inside them."
    changed = [name for name in modes if now[name] != modes[name]]
    if len(changed) == len(modes):
        raise Wrong(why, came=_mode("", now[""]), expected=_mode("", modes[""]))
    raise Wrong(
        why,
        came=", ".join(_mode(name, now[name]) for name in changed),
        expected=", ".join(_mode(name, modes[name]) for name in changed),
    )


def _mode(name: str, training: bool) -> str:
    return f"{f'net[{name}]'.replace('.', '][') if name else 'net'}.training is {training}"


def _check_gradients(net: nn.Module, calls: _Calls) -> None:
    if any(parameter.is_inference() for parameter in net.parameters()):
        raise Wrong(
            "The parameters were created in inference mode, so the net often cannot be trained: use `torch.no_grad()`.",
            came="parameters from inference mode",
            expected="parameters that can be trained",
        )
    if len(calls.gradients) != 1:
        raise Wrong(
            "The net is called more than once.", came=f"{len(calls.gradients)} calls", expected="1 call"
        )
    if calls.gradients[0]:
        why = "The forward pass runs with gradients: `torch.no_grad()` turns them off."
        raise Wrong(why, came="torch.is_grad_enabled() is True", expected="False")
    if not torch.is_grad_enabled():
        torch.set_grad_enabled(True)
        raise Wrong(
            "Gradients are still off after the dry run.",
            came="torch.is_grad_enabled() is False",
            expected="True",
        )
    if frozen := [name for name, parameter in net.named_parameters() if not parameter.requires_grad]:
        raise Wrong(
            f"`{frozen[0]}` does not require a gradient anymore, so the net cannot be trained.",
            came=f"frozen: {', '.join(frozen)}",
            expected="frozen: none",
        )


WRONG = (
    WrongAnswer("skips the step that gives", changes={"        net(X)": "        net.forward(X)"}),
    WrongAnswer(
        "A layer of any class can have some",
        changes={
            "    net.eval()\n": "    for module, _ in modes:\n"
            "        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):\n"
            "            module.eval()\n"
        },
    ),
    WrongAnswer("as it does in training mode", changes={"    net.eval()\n": ""}),
    WrongAnswer(
        "is in evaluation mode now",
        changes={"    for module, training in modes:\n        module.training = training\n": ""},
    ),
    WrongAnswer(
        "put back the mode that it had",
        changes={
            "    for module, training in modes:\n        module.training = training\n": "    net.train()\n"
        },
    ),
    WrongAnswer(
        "on purpose",
        changes={
            "    modes = [(module, module.training) for module in net.modules()]": "    training = net.training",
            "    for module, training in modes:\n        module.training = training": "    net.train(training)",
        },
    ),
    WrongAnswer("were created in inference mode", changes={"no_grad()": "inference_mode()"}),
    WrongAnswer(
        "cannot be copied",
        changes={
            "    net.eval()": "    net = copy.deepcopy(net)\n    net.eval()",
            "import torch\n": "import copy\n\nimport torch\n",
        },
    ),
    WrongAnswer(
        "inside a block",
        changes={
            "in net.modules()]": "in net.children()]\n    modes.append((net, net.training))",
        },
    ),
    WrongAnswer("the net itself, which is a module too", changes={"net.modules()": "net.children()"}),
    WrongAnswer("runs with gradients", changes={"no_grad()": "enable_grad()"}),
)
