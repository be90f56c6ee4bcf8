"""What nets and training loops do, observed from outside, and files that run again as a new process."""

import ast
import contextlib
import copy
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from ...answer import Wrong


class Stopped(KeyboardInterrupt):
    """Raised instead of a step, as Ctrl-C raises it."""


@dataclass(frozen=True)
class Step:
    """A step of an optimizer, and the last call of the net before it.

    Attributes:
        training: whether all modules of the net were in training mode in that call.
        X: the batch; `None` if there was no call of the net.
        rate: the learning rate.
        before: parameters and buffers of the net before that call, if the step is recorded in full.
        gradients: the gradient of each parameter of the net, by its name, if it is recorded in full.
        moments: the optimizer's state of each parameter, in order, if it is recorded in full.
    """

    training: bool
    X: Tensor | None
    rate: float
    before: dict[str, Tensor]
    gradients: dict[str, Tensor | None]
    moments: list[dict[str, Any]]


class Watch:
    """Records the steps of every optimizer while it is entered.

    Args:
        kind: the class of the net that is trained.
        full: record the first two steps in full, and each step with a number that this divides.
        stop: raise `Stopped` instead of the step of this number, counted from 0.
    """

    def __init__(self, kind: Any, full: int = 1, stop: int | None = None) -> None:
        self.kind = kind
        self.full = full
        self.stop = stop
        self.steps: list[Step] = []
        self.net: nn.Module | None = None  # called last
        self.measured: list[Tensor] = []  # the inputs of calls without gradients
        self._call: tuple[nn.Module, Tensor, dict[str, Tensor], bool] | None = None

    def __enter__(self) -> Self:
        self._hooks = [
            nn.modules.module.register_module_forward_pre_hook(self._called),
            register_optimizer_step_pre_hook(self._stepped),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()

    def _in_full(self) -> bool:
        number = len(self.steps)
        return number < 2 or number % self.full == 0

    def _called(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if isinstance(module, self.kind) and torch.is_grad_enabled() and args:
            state = module.state_dict().items() if self._in_full() else ()
            before = {name: each.clone() for name, each in state}
            training = all(each.training for each in module.modules())
            self.net = module
            self._call = module, args[0].detach().clone(), before, training
        elif isinstance(module, self.kind) and args:
            self.measured.append(args[0].detach().clone())

    def _stepped(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.stop == len(self.steps):
            raise Stopped
        rate = optimizer.param_groups[0]["lr"]
        if self._call is None:
            self.steps.append(Step(True, None, rate, {}, {}, []))
            return
        net, X, before, training = self._call
        gradients: dict[str, Tensor | None] = {}
        moments: list[dict[str, Any]] = []
        if self._in_full():
            for name, each in net.named_parameters():
                gradients[name] = None if each.grad is None else each.grad.clone()
                moments.append(copy.deepcopy(optimizer.state.get(each, {})))
        self.steps.append(Step(training, X, rate, before, gradients, moments))
        self._call = None


def calls_of(net: nn.Module, X: Tensor, blocks: Sequence[nn.Module]) -> tuple[Tensor, list[nn.Module]]:
    """The output of the net, and the blocks in the order in which it calls them."""
    called: list[nn.Module] = []
    hooks = [block.register_forward_pre_hook(lambda block, args: called.append(block)) for block in blocks]
    Y: Tensor = net(X)
    for hook in hooks:
        hook.remove()
    return Y, called


def with_graph(measure: Callable[..., Any], net: nn.Module, X: Tensor, y: Tensor) -> tuple[Any, bool]:
    """What the function returns, and whether it calls the net with gradients."""
    graphs: list[bool] = []
    hook = net.register_forward_hook(lambda net, args, Y: graphs.append(Y.requires_grad))
    came = measure(net, X, y)
    hook.remove()
    return came, any(graphs)


def run_again(file: str) -> dict[str, Any]:
    """What the file defines when it runs once more, silently: nothing is left from the run before."""
    module = ModuleType("__main__")
    module.__file__ = file
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(Path(file).read_bytes(), file, "exec"), vars(module))
    return vars(module)


def same_values(first: Any, second: Any) -> bool:
    """Whether two containers of tensors and numbers are equal to the bit."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same_values(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same_values, first, second))
    return bool(first == second)


@contextlib.contextmanager
def located(at: Any) -> Iterator[None]:
    """Let a verdict in the `with` block name a line of this definition, unless it names another one."""
    try:
        yield
    except Wrong as wrong:
        wrong.at = wrong.at or at
        raise


def line_of(file: str, name: str) -> int | None:
    """The line in which a program assigns a name at its top level."""
    for statement in ast.parse(Path(file).read_bytes()).body:
        if isinstance(statement, ast.Assign) and name in ast.unparse(ast.Tuple(statement.targets)):
            return statement.lineno
    return None


def places(X: Tensor, rows: Tensor) -> list[int]:
    """For each row, the number of the equal row of X; -1 if there is none."""
    known = {tuple(row): number for number, row in enumerate(X.tolist())}
    return [known.get(tuple(row), -1) for row in rows.tolist()]
