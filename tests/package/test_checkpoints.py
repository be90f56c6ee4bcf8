"""Checkpoints: a successful load restores everything, and a failed load changes nothing."""

import copy
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from d2lblocks import load_parameters, save_parameters
from d2lblocks.serialization import load_checkpoint, save_checkpoint
from tests.package.saved_states import fail, same


def net(value: float = 0.0) -> nn.Linear:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.fill_(value)
    return layer


Parts = dict[str, Any]


class Remembering:
    """Changes its state before it fails to load; a stubborn one fails even when it loads its own state."""

    def __init__(self, value: int) -> None:
        self.value, self.values, self.loads = value, [value], 0
        self.error: BaseException | None = None
        self.stubborn = False

    def state_dict(self) -> Parts:
        return {"value": self.value, "values": self.values}

    def load_state_dict(self, state: Parts) -> None:
        self.loads += 1
        self.value = state["value"]
        if not self.stubborn:
            self.values[:] = state["values"]
        if self.error and (self.stubborn or self.value == 1):
            raise self.error


class InPlace(torch.optim.SGD):
    """An optimizer with its own way of loading, which changes its groups before it fails."""

    def load_state_dict(self, state: Parts) -> None:
        self.param_groups[0]["lr"] = state["param_groups"][0]["lr"]
        if self.param_groups[0]["lr"] == 1.0:
            raise ValueError("in place")


def parts(value: int) -> Parts:
    """The parts of a run after this number of steps."""
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(value)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    optimizer = torch.optim.Adam(
        [{"params": [*layer.parameters()]} for layer in (model[0], model[2])], lr=value
    )
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    for _ in range(value):
        model(torch.rand(4, 3)).sum().backward()
        optimizer.step()
        scheduler.step()
    model[1].eval()
    return {"net": model, "optimizer": optimizer, "scheduler": scheduler, "mine": Remembering(value)}


def look(parts: Parts) -> list[Any]:
    """A copy of everything that a failed load must leave alone."""
    named = parts["net"].state_dict(keep_vars=True)
    others = [part for part in parts.values() if not isinstance(part, nn.Module)]
    return copy.deepcopy(
        [
            [(list(vars(part)), getattr(part, "loads", 0), part.state_dict()) for part in others],
            [
                (name, id(tensor), tensor.detach(), tensor._version, tensor.grad)
                for name, tensor in named.items()
            ],
            [(type(module), module.training) for module in parts["net"].modules()],
            [random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()],
        ]
    )


def another_net(parts: Parts) -> None:
    parts["net"][2] = nn.Linear(2, 3)


def other_groups(parts: Parts) -> None:
    parts["optimizer"] = torch.optim.Adam(parts["net"].parameters())


def another_order(parts: Parts) -> None:
    layers = parts["net"][2], parts["net"][0]
    parts["optimizer"] = torch.optim.Adam([{"params": [*layer.parameters()]} for layer in layers])


def another_class(parts: Parts) -> None:
    parts["optimizer"] = torch.optim.AdamW([{"params": g["params"]} for g in parts["optimizer"].param_groups])


def another_name(parts: Parts) -> None:
    parts["other"] = parts.pop("mine")


def a_net_for_a_scheduler(parts: Parts) -> None:
    parts["scheduler"] = nn.Linear(1, 1)


def breaking(error: BaseException, stubborn: bool, parts: Parts) -> None:
    parts["mine"].error, parts["mine"].stubborn = error, stubborn


FAILURES: list[tuple[Callable[[Parts], None], type[BaseException], str]] = [
    (another_net, RuntimeError, r"size mismatch for net.2.weight: .*\n\tsize mismatch for net.2.bias: "),
    (other_groups, RuntimeError, r"\toptimizer: parameter groups of \[2, 2\] parameters in checkpoint, \[6\] in optimizer"),
    (another_order, RuntimeError, r"\toptimizer: parameter group 0: only in checkpoint: 'net.0.weight', 'net.0.bias'"),
    (another_class, RuntimeError, r"\toptimizer: Adam in checkpoint, AdamW in current program"),
    (another_name, RuntimeError, r"\tother: no such part in the checkpoint. Nets: 'net'. Others: 'optimizer', 'scheduler', 'mine'"),
    (a_net_for_a_scheduler, RuntimeError, r"\tscheduler: no such part in the checkpoint"),
    (partial(breaking, ValueError("odd"), False), RuntimeError, r"\tmine: ValueError\('odd'\)"),
    (partial(breaking, ValueError("odd"), True), RuntimeError, r"\tmine: ValueError\('odd'\)"),
    (partial(breaking, KeyboardInterrupt("now"), False), KeyboardInterrupt, "^now$"),
]  # fmt: skip


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize(("spoil", "kind", "message"), FAILURES)
def test_nothing_is_loaded_by_half(spoil: Any, kind: Any, message: str, turn: int, tmp_path: Path) -> None:
    """Whichever part does not fit or fails, and at whatever position, all parts are as they were."""
    save_checkpoint(tmp_path, 1, **parts(1))
    mine = parts(2)
    spoil(mine)
    names = [*mine][turn:] + [*mine][:turn]
    before = look(mine)
    with pytest.raises(kind, match=message):
        load_checkpoint(tmp_path, **{name: mine[name] for name in names})
    assert same(look(mine), before)


def test_an_optimizer_with_its_own_way_of_loading_is_put_back(tmp_path: Path) -> None:
    """Only torch's own optimizers are known to keep their lists and dicts."""
    layer = net()
    save_checkpoint(tmp_path, 1, optimizer=InPlace(layer.parameters(), lr=1.0))
    mine = {"net": layer, "optimizer": InPlace(layer.parameters(), lr=2.0)}
    before = look(mine)
    with pytest.raises(RuntimeError, match=r"optimizer: ValueError\('in place'\)"):
        load_checkpoint(tmp_path, optimizer=mine["optimizer"])
    assert same(look(mine), before)


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Press Ctrl-C while values are copied. A handler is set, because a background job may ignore Ctrl-C."""
    copies, before = torch._foreach_copy_, signal.signal(signal.SIGINT, signal.default_int_handler)

    def copying(*args: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        copies(*args)

    monkeypatch.setattr(torch, "_foreach_copy_", copying)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupted")
@pytest.mark.parametrize("checkpoint", [True, False])
def test_ctrl_c_waits_for_the_values(checkpoint: bool, tmp_path: Path) -> None:
    """Ctrl-C waits until all values have changed, including those of lazy layers."""
    saved = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model = nn.Sequential(nn.LazyLinear(2), nn.Linear(2, 2))
    mine = Remembering(2)
    save_checkpoint(tmp_path, 1, net=saved, mine=Remembering(1))
    save_parameters(saved, tmp_path / "x")
    load_ours = partial(load_checkpoint, tmp_path, mine=mine)
    load = load_ours if checkpoint else partial(load_parameters, path=tmp_path / "x")
    with pytest.raises(KeyboardInterrupt):
        load(net=model)
    assert same([*model.parameters()], [*saved.parameters()])
    assert mine.values == ([1] if checkpoint else [2])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("interrupted")
def test_ctrl_c_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """A background job of a shell ignores Ctrl-C, for example."""
    save_checkpoint(tmp_path, 1, net=net(1.0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert load_checkpoint(tmp_path, net=net(2.0)) == 1
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_a_load_in_another_thread_is_like_any_other(tmp_path: Path) -> None:
    """Python handles signals only in the main thread, and only there allows handlers to be set."""
    save_checkpoint(tmp_path, 1, net=net(1.0))
    layer = net(2.0)
    thread = threading.Thread(target=load_checkpoint, args=(tmp_path,), kwargs={"net": layer})
    thread.start()
    thread.join()
    assert layer.weight.tolist() == [[1.0, 1.0]]


def test_a_copy_that_fails_puts_the_rest_back(tmp_path: Path, monkeypatch: Any) -> None:
    """One cause is a GPU that runs out of memory."""
    save_checkpoint(tmp_path, 1, **parts(1))
    mine = parts(2)
    before = look(mine)
    monkeypatch.setattr(torch, "_foreach_copy_", partial(fail, torch.OutOfMemoryError()))
    with pytest.raises(torch.OutOfMemoryError):
        load_checkpoint(tmp_path, **mine)
    assert same(look(mine), before)


def test_a_net_of_another_type_is_loaded_as_the_error_says(tmp_path: Path) -> None:
    """The net must have the saved type and be cast later: loading a checkpoint does not cast."""
    save_checkpoint(tmp_path, 1, net=net(0.5))
    message = r"dtype mismatch for net.weight: torch.float32 in checkpoint, torch.bfloat16 in current model: load into a net of torch.float32, then cast that\."
    with pytest.raises(RuntimeError, match=message):
        load_checkpoint(tmp_path, net=net().bfloat16())
    loaded = net()
    load_checkpoint(tmp_path, net=loaded)
    assert loaded.bfloat16().weight.tolist() == [[0.5, 0.5]]


class Box:
    """An object that a snapshot does not follow."""

    value = 0


class Boxed:
    """A part that needs its own attributes to load the content of its box."""

    def __init__(self, value: int) -> None:
        self.names, self.box = ["value"], Box()
        self.box.value = value

    def state_dict(self) -> Parts:
        return {"value": self.box.value}

    def load_state_dict(self, state: Parts) -> None:
        for name in self.names:
            setattr(self.box, name, state[name])
        if self.box.value == 1:
            self.names.clear()
            raise ValueError("odd")


def test_a_part_that_is_broken_halfway_is_put_back(tmp_path: Path) -> None:
    """The attributes are restored first, because loading the old state needs them."""
    save_checkpoint(tmp_path, 1, part=Boxed(1))
    part = Boxed(2)
    with pytest.raises(RuntimeError, match=r"part: ValueError\('odd'\)"):
        load_checkpoint(tmp_path, part=part)
    assert (part.names, part.box.value) == (["value"], 2)


def test_tensors_shared_by_two_nets_stay_shared(tmp_path: Path) -> None:
    """Shared tensors are stored once, and one net can be loaded alone. Different sharing is an error."""

    def pair(shared: bool) -> Parts:
        encoder = nn.Linear(2, 2)
        return {name: nn.Sequential(encoder if shared else nn.Linear(2, 2)) for name in ("actor", "critic")}

    for shared in (True, False):
        saved = pair(shared)
        save_checkpoint(tmp_path, 1, **saved)
        again, other = pair(shared), pair(not shared)
        assert load_checkpoint(tmp_path, **again) == load_checkpoint(tmp_path, critic=other["critic"]) == 1
        assert (again["actor"][0] is again["critic"][0]) == shared
        for name in saved:
            assert same(*([*nets[name].parameters()] for nets in (saved, again)))
        assert same(*([*nets["critic"].parameters()] for nets in (saved, other)))
        with pytest.raises(RuntimeError, match=r"tie mismatch for critic.0.weight: "):
            load_checkpoint(tmp_path, **pair(not shared))


def test_nothing_keeps_pointing_into_the_file(tmp_path: Path) -> None:
    """The file can be overwritten, truncated and removed; values and states stay."""
    saved, mine = parts(1), parts(2)
    path = save_checkpoint(tmp_path, 1, **saved)
    save_parameters(saved["net"], tmp_path / "x")
    layer = load_parameters(parts(3)["net"], tmp_path / "x")
    load_checkpoint(tmp_path, **mine)
    before = look(mine)
    for file in (path, tmp_path / "x"):
        with open(file, "r+b") as raw:
            raw.write(b"\xff" * os.path.getsize(file))
            assert same(look(mine), before)
            assert same([*layer.state_dict().values()], [*saved["net"].state_dict().values()])
            raw.truncate(0)
        file.unlink()
    assert same(look(mine), before)


class Overwriting(torch.optim.SGD):
    """An optimizer that keeps its tensors when it loads, and writes to them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for own, new in zip(self.state.values(), state["state"].values(), strict=True):
            own["momentum_buffer"].copy_(new["momentum_buffer"])


class Failing:
    """A part that cannot be loaded."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise ValueError("not today")


def test_an_optimizer_that_loads_in_place_is_put_back(tmp_path: Path) -> None:
    """The optimizer has been loaded when another part fails."""

    def stepped(gradient: float) -> Overwriting:
        weight = nn.Parameter(torch.ones(2))
        weight.grad = torch.full((2,), gradient)
        optimizer = Overwriting([weight], lr=0.1, momentum=0.9)
        optimizer.step()
        return optimizer

    save_checkpoint(tmp_path, 1, optimizer=stepped(1.0), last=Failing())
    optimizer = stepped(2.0)
    with pytest.raises(RuntimeError, match="not today"):
        load_checkpoint(tmp_path, optimizer=optimizer, last=Failing())
    (state,) = optimizer.state.values()
    assert state["momentum_buffer"].tolist() == [2.0, 2.0]
