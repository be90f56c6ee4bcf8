"""Resuming from a checkpoint: the run ends exactly like one that never stopped."""

import collections
import random
import subprocess
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn, optim
from torch.optim import lr_scheduler as schedulers

from d2lblocks.serialization import load_checkpoint, save_checkpoint
from tests.package.saved_states import Stating, same

Make = Callable[[Any], Any]
sgd = partial(optim.SGD, lr=0.1, momentum=0.9, nesterov=True)
step_lr = partial(schedulers.StepLR, step_size=2)


class Run:
    """A training run that draws random numbers for its data and for dropout, from torch, Python and NumPy."""

    def __init__(
        self,
        optimizer: Make = sgd,
        scheduler: Make = step_lr,
        scaled: bool = False,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        for set_seed in (torch.manual_seed, random.seed, np.random.seed):
            set_seed(seed)
        self.device = device
        layer = nn.Linear(4, 4, device=device)
        self.net = nn.Sequential(layer, nn.BatchNorm1d(4, device=device), nn.ReLU(), nn.Dropout(0.3), layer)
        self.optimizer = optimizer(self.net.parameters())
        self.scheduler = scheduler(self.optimizer)
        self.scaler = torch.amp.GradScaler(device, enabled=scaled, growth_interval=3)
        self.losses: list[float] = []

    @property
    def parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("net", "optimizer", "scheduler", "scaler")}

    def go(self, steps: int) -> "Run":
        for _ in range(steps):
            # Both functions draw two numbers at a time and keep one for the next call.
            X = torch.rand(8, 4, device=self.device) + random.gauss(0, 1) + np.random.standard_normal()

            def closure(X: Tensor = X) -> Tensor:
                self.optimizer.zero_grad()
                loss = self.net(X).square().mean()
                self.scaler.scale(loss).backward()
                return loss

            if isinstance(self.optimizer, optim.LBFGS):
                loss = self.optimizer.step(closure)
            else:
                loss = closure()
                self.scaler.step(self.optimizer)
                self.scaler.update()
            self.losses.append(loss.item())
            plateau = isinstance(self.scheduler, schedulers.ReduceLROnPlateau)
            self.scheduler.step(*self.losses[-1:] * plateau)
        return self

    def look(self) -> list[Any]:
        """Everything that is compared at the end."""
        states = [part.state_dict() for part in self.parts.values()]
        return [
            *states,
            self.losses[-5:],
            random.getstate(),
            torch.get_rng_state(),
            np.random.get_state()[1].tolist(),
        ]


def weights(parameters: Any) -> list[nn.Parameter]:
    """Muon supports only matrices."""
    return [parameter for parameter in parameters if parameter.ndim == 2]


OPTIMIZERS: dict[str, Make] = {
    "SGD": sgd,
    "Adam": lambda parameters: optim.Adam(parameters, amsgrad=True, lr=torch.tensor(0.01)),
    "AdamW": partial(optim.AdamW, betas=(0.8, 0.9), maximize=True),
    "NAdam": optim.NAdam,
    "RAdam": optim.RAdam,
    "Adamax": optim.Adamax,
    "RMSprop": partial(optim.RMSprop, momentum=0.5, centered=True),
    "Rprop": optim.Rprop,
    "Adagrad": partial(optim.Adagrad, lr_decay=0.1),
    "Adadelta": optim.Adadelta,
    "Adafactor": optim.Adafactor,
    "ASGD": optim.ASGD,
    "LBFGS": partial(optim.LBFGS, max_iter=4, history_size=3),
    "Muon": lambda parameters: optim.Muon(weights(parameters)),
    "groups": lambda parameters: sgd([{"params": [p], "lr": 0.1 / n} for n, p in enumerate(parameters, 1)]),
    "names": lambda parameters: sgd([(f"p{n}", p) for n, p in enumerate(parameters)]),
}
SCHEDULERS: dict[str, Make] = {
    "StepLR": step_lr,
    "MultiStepLR": partial(schedulers.MultiStepLR, milestones=[2, 2, 6]),
    "LambdaLR": partial(schedulers.LambdaLR, lr_lambda=lambda step: 0.9**step),
    "ExponentialLR": partial(schedulers.ExponentialLR, gamma=0.7),
    "OneCycleLR": partial(schedulers.OneCycleLR, max_lr=0.2, total_steps=20),
    "CyclicLR": partial(schedulers.CyclicLR, base_lr=0.1, max_lr=0.3, step_size_up=3),
    "ReduceLROnPlateau": partial(schedulers.ReduceLROnPlateau, patience=0),
    "CosineAnnealingWarmRestarts": partial(schedulers.CosineAnnealingWarmRestarts, T_0=3, T_mult=2),
    "SequentialLR": lambda optimizer: schedulers.SequentialLR(optimizer, [schedulers.LinearLR(optimizer), schedulers.CosineAnnealingLR(optimizer, 8)], [3]),
    "ChainedScheduler": lambda optimizer: schedulers.ChainedScheduler([schedulers.ConstantLR(optimizer), schedulers.PolynomialLR(optimizer, 9)]),
}  # fmt: skip
RUNS = [
    *((make, step_lr, False) for make in OPTIMIZERS.values()),
    *((sgd, make, True) for make in SCHEDULERS.values()),
]


@pytest.mark.parametrize(("optimizer", "scheduler", "scaled"), RUNS, ids=[*OPTIMIZERS, *SCHEDULERS])
def test_a_run_that_was_stopped_ends_like_one_that_was_not(
    optimizer: Make, scheduler: Make, scaled: bool, tmp_path: Path
) -> None:
    """All later losses, all values and states, and the next random numbers are equal."""
    unstopped = Run(optimizer, scheduler, scaled).go(9).look()
    save_checkpoint(tmp_path, 4, **Run(optimizer, scheduler, scaled).go(4).parts)
    resumed = Run(optimizer, scheduler, scaled, seed=1).go(2)
    assert load_checkpoint(tmp_path, **resumed.parts) == 4
    assert same(resumed.go(5).look(), unstopped)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(
    "optimizer", [sgd, partial(optim.AdamW, fused=True), partial(optim.Adam, capturable=True)]
)
def test_a_run_on_a_gpu_ends_like_one_that_was_not_stopped(optimizer: Make, tmp_path: Path) -> None:
    """Dropout on a GPU draws from the GPU's own generator."""
    on_gpu = partial(Run, optimizer, scaled=True, device="cuda")
    unstopped = on_gpu().go(9).look()
    save_checkpoint(tmp_path, 4, **on_gpu().go(4).parts)
    resumed = on_gpu(seed=1).go(2)
    assert load_checkpoint(tmp_path, **resumed.parts) == 4
    assert same(resumed.go(5).look(), unstopped)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_run_on_the_cpu_starts_no_gpu(tmp_path: Path) -> None:
    """A GPU that is used later starts with the seed, even after a failed load of a checkpoint from a GPU."""
    save_checkpoint(tmp_path / "gpu", 1, net=nn.Linear(1, 1, device="cuda"))
    code = f"""if True:
        import torch
        from torch import nn
        from d2lblocks import load_checkpoint, save_checkpoint

        class Broken(nn.Module):
            def set_extra_state(self, state):
                raise ValueError("broken")
            def get_extra_state(self):
                return 1

        torch.manual_seed(5)
        save_checkpoint({str(tmp_path)!r}, 1, net=Broken())
        try:
            load_checkpoint({str(tmp_path)!r}, net=Broken())
        except RuntimeError as error:
            print("broken" in str(error))
        try:
            load_checkpoint({str(tmp_path / "gpu")!r}, net=Broken())
        except RuntimeError as error:
            pass
        assert not torch.cuda.is_initialized()
        first = torch.rand(3, device="cuda")
        torch.manual_seed(5)
        assert torch.equal(first, torch.rand(3, device="cuda"))
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout == "True\n", run.stderr


def test_a_gpu_that_is_not_in_use_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process that was forked from one with CUDA in use, asking for its state would fail."""

    def refused() -> list[Tensor]:
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess")

    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", refused)
    monkeypatch.setattr(torch.cuda, "default_generators", (None,))
    net = nn.Linear(1, 1)
    save_checkpoint(tmp_path, 1, net=net)
    assert load_checkpoint(tmp_path, net=net) == 1


def test_saving_changes_nothing(tmp_path: Path) -> None:
    """Loading what was just saved changes nothing either."""
    unstopped, saved, loaded = Run().go(9).look(), Run(), Run()
    for step in range(9):
        saved.go(1)
        save_checkpoint(tmp_path, step, keep=1, **saved.parts)
    assert same(saved.look(), unstopped)
    for set_seed in (torch.manual_seed, random.seed, np.random.seed):
        set_seed(0)
    loaded = Run()
    for step in range(9):
        loaded.go(1)
        save_checkpoint(tmp_path / "again", step, keep=1, **loaded.parts)
        assert load_checkpoint(tmp_path / "again", step, **loaded.parts) == step
    assert same(loaded.look(), unstopped)


def test_inference_mode_has_no_part_in_it(tmp_path: Path) -> None:
    """A state that was loaded in inference mode can be trained outside."""
    unstopped = Run().go(9).look()
    stopped = Run().go(4)
    with torch.inference_mode():
        save_checkpoint(tmp_path, 4, **stopped.parts)
    resumed = Run(seed=1)
    with torch.inference_mode():
        load_checkpoint(tmp_path, **resumed.parts)
    assert same(resumed.go(5).look(), unstopped)


def test_states_come_back(tmp_path: Path) -> None:
    """Keys and their order are kept, even if the names of tensors would collide."""
    keys = [1, "1", 1.5, (2, ("x", None)), True, "a.b", "a"]
    nested = {key: torch.tensor([number]) for number, key in enumerate(keys)} | {"a": {"b": torch.ones(())}}
    state = [nested, collections.OrderedDict(b=1, a=[()]), collections.Counter("aab"), float("inf"), 2**70, "\ud800\0", float("nan"), -0.0, torch.ones(2, 2)[:, 1], torch.zeros(0, dtype=torch.bfloat16)]  # fmt: skip
    part = Stating()
    save_checkpoint(tmp_path, 1, part=Stating(state))
    load_checkpoint(tmp_path, part=part)
    assert same(part.state, state)
    assert str(part.state[-3]) == "-0.0"


class Warmup:
    """A schedule as an object: torch saves its attributes."""

    def __init__(self, length: Any) -> None:
        self.length = length

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / float(self.length))


def test_a_schedule_that_is_an_object_comes_back(tmp_path: Path) -> None:
    """Its attributes must be storable."""
    optimizer = sgd([nn.Parameter(torch.ones(1))])
    made, other = (schedulers.LambdaLR(optimizer, Warmup(length)) for length in (3, 5))
    save_checkpoint(tmp_path, 1, scheduler=made)
    load_checkpoint(tmp_path, scheduler=other)
    assert other.lr_lambdas[0].length == 3


def lambda_lr(length: Any) -> Any:
    return schedulers.LambdaLR(sgd([nn.Parameter(torch.ones(1))]), Warmup(length))


class Odd(float):
    """A number of a class that a file does not support."""


EXPECTED = "expected tensors, numbers, strings, None, and lists, tuples and dicts of them$"
UNFIT: list[tuple[Any, type[Exception], str]] = [
    (lambda_lr(Odd(3)), TypeError, f"cannot save tests.package.test_resuming.Odd at part.lr_lambdas.0.length: {EXPECTED}"),
    (sgd([nn.Parameter(torch.ones(1))], weight_decay=Odd(0)), TypeError, f"cannot save tests.package.test_resuming.Odd at part.param_groups.0.weight_decay: {EXPECTED}"),
    (Stating({"a": [1, (2, {b""})]}), TypeError, f"cannot save bytes at part.a.1.1.0: {EXPECTED}"),
    (Stating({Odd(3): 1}), TypeError, f"cannot save tests.package.test_resuming.Odd at part: {EXPECTED}"),
    (Stating({(torch.ones(1),): 1}), TypeError, "cannot save a tensor that is a key at part$"),
    (Stating([b"", lambda: 1]), TypeError, f"cannot save bytes at part.0: {EXPECTED}"),
    (Stating(nn.Linear(1, 1)), TypeError, f"cannot save torch.nn.modules.linear.Linear at part: {EXPECTED}"),
    (Stating([torch.eye(2).to_sparse()]), TypeError, "cannot save part.0: safetensors has no Tensor of torch.sparse_coo"),
    (Stating([torch.ones(2, device="meta")]), TypeError, "cannot save part.0: safetensors has no Tensor .* on meta"),
    (Stating([nn.UninitializedParameter()]), TypeError, "cannot save part.0: safetensors has no UninitializedParameter"),
    (Stating(10**5000), ValueError, "Exceeds the limit"),
    (Stating("x" * 10**8), ValueError, "cannot save: names and values that are not tensors take 1.*, and safetensors has a place for 100,000,000"),
    (nn.ModuleDict({"\ud800": nn.Linear(1, 1)}), ValueError, r"cannot save 'part.\\ud800.weight': safetensors does not allow such a name"),
    (nn.LazyLinear(1), ValueError, "cannot save 'part.weight', 'part.bias': not initialized yet"),
    (nn.Linear(1, 1, device="meta"), ValueError, "cannot save 'part.weight': it is on the meta device"),
    ((), TypeError, "cannot save 'part': tuple has no state_dict and load_state_dict, and loading does not change it"),
    (types.SimpleNamespace(state_dict=dict), TypeError, "cannot save 'part': types.SimpleNamespace has no state_dict and load_state_dict"),
    (types.SimpleNamespace(load_state_dict=print), TypeError, "cannot save 'part': types.SimpleNamespace has no state_dict and"),
]  # fmt: skip


@pytest.mark.parametrize(("part", "kind", "message"), UNFIT)
def test_what_could_not_be_loaded_is_not_saved(part: Any, kind: Any, message: str, tmp_path: Path) -> None:
    """The error names the place, and no file is created."""
    with pytest.raises(kind, match=message):
        save_checkpoint(tmp_path, 1, net=nn.Linear(1, 1), part=part)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match=r"expected names of parts like those of variables, but got 'a\.b'"):
        save_checkpoint(tmp_path, 1, **{"a.b": nn.Linear(1, 1)})
