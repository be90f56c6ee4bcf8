"""The checks of each optimizer, scheduler, wrapper and type of tensor: a run that is resumed.

Each kind yields pairs: a name, and a function that raises an error if the resumed run differs.
"""

import inspect
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing import current_process
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler, swa_utils

from tools.real_nets.digests import seed
from tools.real_nets.resuming import Training, resume
from tools.real_nets.runs import NotTried

STEPS = 5
Attempts = Iterator[tuple[str, Callable[[], None]]]
MakeOptimizer = Callable[[nn.Module], torch.optim.Optimizer]


def small_net(number: int, format: torch.memory_format = torch.contiguous_format) -> nn.Module:
    """A small net whose values depend on the number. It has dropout, so random numbers must continue too."""
    seed(number)
    net = nn.Sequential(nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.Tanh(), nn.Dropout(0.1), nn.Flatten())
    return net.append(nn.Linear(32, 6)).append(nn.Linear(6, 2)).to(memory_format=format)


def loss_of(net: nn.Module) -> Tensor:
    loss: Tensor = net(torch.randn(3, 4, 4, 4)).square().mean()
    return loss


# Optimizers.


def plain(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss_of(net).backward()
    optimizer.step()


def with_closure(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(net)
        loss.backward()
        return loss

    optimizer.step(closure)


def with_graph(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Make a step for optimizers that need second derivatives."""
    optimizer.zero_grad()
    loss_of(net).backward(create_graph=True)
    optimizer.step()


def resume_optimizer(
    make: MakeOptimizer,
    format: torch.memory_format = torch.contiguous_format,
    make_net: Callable[..., nn.Module] = small_net,
) -> None:
    """Resume with the kind of step that the optimizer needs."""
    error: NotTried | None = None
    for step in (plain, with_closure, with_graph):

        def training(number: int, step: Callable[..., None] = step) -> Training:
            net = make_net(number, format)
            optimizer = make(net)
            if hasattr(optimizer, "train"):  # schedulefree
                optimizer.train()
            return Training({"net": net, "optimizer": optimizer}, partial(step, net, optimizer))

        try:
            return resume(training, STEPS)
        except NotTried as reason:
            error = error or reason
    raise error or NotTried("")


def optimizers_of_torch() -> Attempts:
    for name in sorted(vars(torch.optim)):
        kind = getattr(torch.optim, name)
        if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)) or name == "Optimizer":
            continue
        options: list[dict[str, Any]] = [{}]
        flags = ("foreach", "fused", "amsgrad", "maximize", "nesterov", "centered", "line_search_fn")
        there = inspect.signature(kind).parameters
        options += [{flag: True} for flag in flags if flag in there]
        options += [{"momentum": 0.9, **more} for more in ({}, {"fused": True})] if name == "SGD" else []
        for option in options:
            option |= {"momentum": 0.9} if option.get("nesterov") else {}
            option |= {"line_search_fn": "strong_wolfe"} if option.get("line_search_fn") else {}
            named = ", ".join([name, *(f"{key}={value}" for key, value in option.items())])
            make = partial(make_optimizer_of_torch, kind, option)
            yield named, partial(resume_optimizer, make, make_net=net_for(name))
            if name not in ("SparseAdam", "Muon"):
                yield f"{named}, channels_last", partial(resume_optimizer, make, torch.channels_last)


def make_optimizer_of_torch(kind: type, options: dict[str, Any], net: nn.Module) -> torch.optim.Optimizer:
    optimizer: torch.optim.Optimizer = kind(net.parameters(), lr=0.01, **options)
    return optimizer


def net_for(name: str) -> Callable[..., nn.Module]:
    """A net for an optimizer: Muon needs parameters with two dimensions, and SparseAdam sparse gradients."""
    return {"Muon": matrices, "SparseAdam": sparse_gradients}.get(name, small_net)


class Indexed(nn.Module):
    """An embedding of random indices; its gradient is sparse."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 4, sparse=True)

    def forward(self, X: Tensor) -> Tensor:
        Y: Tensor = self.table(torch.randint(9, (3,)))
        return Y


def matrices(number: int, format: torch.memory_format) -> nn.Module:
    seed(number)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=False), nn.Tanh(), nn.Linear(8, 2, bias=False))


def sparse_gradients(number: int, format: torch.memory_format) -> nn.Module:
    seed(number)
    return Indexed()


def optimizers_of_pytorch_optimizer() -> Attempts:
    from pytorch_optimizer import get_supported_optimizers, load_optimizer

    for name in get_supported_optimizers():
        make = partial(make_from_anything, load_optimizer(name))
        yield name, partial(resume_optimizer, make)
        yield f"{name}, channels_last", partial(resume_optimizer, make, torch.channels_last)


def make_from_anything(kind: Callable[..., torch.optim.Optimizer], net: nn.Module) -> torch.optim.Optimizer:
    """Make an optimizer from parameters, from two groups, from another optimizer, or from the net itself."""
    parameters = list(net.parameters())
    groups = [
        {"params": [p for p in parameters if (p.dim() == 2) is use], "use_muon": use} for use in (True, False)
    ]
    ways: list[tuple[Any, dict[str, Any]]] = [(parameters, {"lr": 0.01}), (parameters, {}), (groups, {})]
    ways += [(torch.optim.AdamW(parameters, lr=0.01), {}), (net, {"lr": 0.01}), (net, {})]
    ways.append((parameters, {"base_optimizer": torch.optim.AdamW, "lr": 0.01}))
    for first, options in ways:
        with suppress(Exception):
            return kind(first, **options)
    raise NotTried("it cannot be made from parameters alone")


def optimizers_of_timm() -> Attempts:
    from timm.optim import create_optimizer_v2, list_optimizers

    for name in list_optimizers():

        def make(net: nn.Module, name: str = name) -> torch.optim.Optimizer:
            return create_optimizer_v2(net, opt=name, lr=0.01)

        yield name, partial(resume_optimizer, make)


def optimizers_of_schedulefree() -> Attempts:
    import schedulefree

    for name in ("AdamWScheduleFree", "SGDScheduleFree", "RAdamScheduleFree"):
        for option in ({}, {"foreach": False}):
            make = partial(make_optimizer_of_torch, getattr(schedulefree, name), option)
            yield f"{name} {option or ''}".strip(), partial(resume_optimizer, make)


def optimizers_of_torchao() -> Attempts:
    from torchao import optim

    for name in ("AdamW8bit", "AdamW4bit", "AdamWFp8"):
        make = partial(make_optimizer_of_torch, getattr(optim, name), {})
        yield name, partial(resume_optimizer, make, make_net=wide)


def wide(number: int, format: torch.memory_format) -> nn.Module:
    """A net large enough for states with few bits."""
    seed(number)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.Tanh(), nn.Linear(128, 64))


# Schedulers.


def halved(epoch: int) -> float:
    return float(0.5**epoch)


SCHEDULERS: dict[str, dict[str, Any]] = {
    "LambdaLR": {"lr_lambda": halved},
    "MultiplicativeLR": {"lr_lambda": halved},
    "StepLR": {"step_size": 2},
    "MultiStepLR": {"milestones": [2, 6]},
    "ConstantLR": {},
    "LinearLR": {},
    "ExponentialLR": {"gamma": 0.9},
    "PolynomialLR": {},
    "CosineAnnealingLR": {"T_max": 7},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": 2 * STEPS + 1},
    "ReduceLROnPlateau": {"patience": 1},
}


def schedulers_of_torch() -> Attempts:
    for name, options in SCHEDULERS.items():
        yield name, partial(resume_scheduler, partial(make_scheduler, getattr(lr_scheduler, name), options))
    yield "ChainedScheduler", partial(resume_scheduler, chained)
    yield "SequentialLR", partial(resume_scheduler, one_after_the_other)
    yield "SWALR", partial(resume_scheduler, partial(make_scheduler, swa_utils.SWALR, {"swa_lr": 0.05}))


def make_scheduler(kind: type, options: dict[str, Any], optimizer: torch.optim.Optimizer) -> Any:
    return kind(optimizer, **options)


def chained(optimizer: torch.optim.Optimizer) -> Any:
    parts = [lr_scheduler.ConstantLR(optimizer), lr_scheduler.ExponentialLR(optimizer, gamma=0.9)]
    return lr_scheduler.ChainedScheduler(parts, optimizer)


def one_after_the_other(optimizer: torch.optim.Optimizer) -> Any:
    parts = [lr_scheduler.LinearLR(optimizer), lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)]
    return lr_scheduler.SequentialLR(optimizer, parts, milestones=[3])


def schedulers_of_transformers() -> Attempts:
    from transformers import SchedulerType, get_scheduler

    for kind in SchedulerType:

        def make(optimizer: torch.optim.Optimizer, kind: Any = kind) -> Any:
            more = {"num_decay_steps": 4} if "stable_decay" in kind.value else {}
            more |= {"min_lr_rate": 0.1} if "min_lr" in kind.value else {}
            return get_scheduler(kind, optimizer, 2, 12, more)

        yield kind.value, partial(resume_scheduler, make)


def resume_scheduler(make: Callable[[torch.optim.Optimizer], Any]) -> None:
    def training(number: int) -> Training:
        net = small_net(number)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        scheduler = make(optimizer)
        needs_loss = "metrics" in inspect.signature(scheduler.step).parameters

        def step() -> None:
            plain(net, optimizer)
            scheduler.step(*([float(torch.rand(()))] if needs_loss else []))

        return Training({"net": net, "optimizer": optimizer, "scheduler": scheduler}, step)

    resume(training, STEPS)


# Other parts of a run.


def resume_with(
    add: Callable[[nn.Module, torch.optim.Optimizer], tuple[dict[str, Any], Callable[[], object]]],
) -> None:
    """Resume a run with Adam, additional parts, and its own step."""

    def training(number: int) -> Training:
        net = small_net(number)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        parts, step = add(net, optimizer)
        return Training({"net": net, "optimizer": optimizer} | parts, step)

    resume(training, STEPS)


def grad_scaler(
    net: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], Callable[[], object]]:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8, growth_interval=2)

    def step() -> None:
        optimizer.zero_grad()
        scaler.scale(loss_of(net)).backward()
        scaler.step(optimizer)
        scaler.update()

    return {"scaler": scaler}, step


def averaged(
    net: nn.Module, optimizer: torch.optim.Optimizer, average: Callable[[nn.Module], Any]
) -> tuple[dict[str, Any], Callable[[], object]]:
    mean = average(net)
    update = getattr(mean, "update_parameters", None) or mean.update

    def step() -> None:
        plain(net, optimizer)
        update(*([net] if "model" in inspect.signature(update).parameters else []))

    return {"mean": mean}, step


def averages() -> Attempts:
    from ema_pytorch import EMA
    from timm.utils import ModelEmaV2, ModelEmaV3

    ways: dict[str, Callable[[nn.Module], Any]] = {
        "AveragedModel": swa_utils.AveragedModel,
        "AveragedModel, EMA": partial(
            swa_utils.AveragedModel, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True
        ),
        "timm ModelEmaV2": partial(ModelEmaV2, decay=0.9),
        "timm ModelEmaV3": partial(ModelEmaV3, decay=0.9),
        "ema-pytorch EMA": partial(EMA, beta=0.9, update_every=1, include_online_model=False),
    }
    for name, way in ways.items():
        yield name, partial(resume_with, partial(averaged, average=way))
    yield "GradScaler", partial(resume_with, grad_scaler)


def loaders() -> Attempts:
    for workers in (0, 1):
        for shuffle in (False, True):
            yield (
                f"StatefulDataLoader, {workers} workers, shuffle={shuffle}",
                partial(loader, workers, shuffle),
            )


def loader(workers: int, shuffle: bool) -> None:
    from torchdata.stateful_dataloader import StatefulDataLoader

    current_process()._config["daemon"] = False  # so that it may start the workers, which end with it
    data = torch.arange(24.0)

    def training(number: int) -> Training:
        net, chance = nn.Linear(2, 1), torch.Generator().manual_seed(number)
        loads = StatefulDataLoader(data, batch_size=2, shuffle=shuffle, num_workers=workers, generator=chance)
        batches: list[Any] = []

        def step() -> None:
            if not batches:  # only now, because a loader reads its state when it starts
                batches.append(iter(loads))
            with torch.no_grad():
                net.bias += net(next(batches[0])[None])[0]

        return Training({"net": net, "loader": loads}, step)

    resume(training, STEPS)


def distributed() -> Attempts:
    yield "DistributedDataParallel", partial(in_a_group, data_parallel)
    yield "fully_shard", partial(in_a_group, sharded)


def in_a_group(wrap: Callable[[nn.Module], nn.Module]) -> None:
    """Run it in a process group of one process."""
    with tempfile.TemporaryDirectory() as folder:
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/group", rank=0, world_size=1
        )
        resume_optimizer(adam, make_net=lambda number, format: wrap(small_net(number)))
        torch.distributed.destroy_process_group()


def data_parallel(net: nn.Module) -> nn.Module:
    return nn.parallel.DistributedDataParallel(net)


def sharded(net: nn.Module) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    fully_shard(net, mesh=init_device_mesh("cpu", (1,)))
    return net


def adam(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(net.parameters(), lr=0.01)


def compiled() -> Attempts:
    for backend in ("eager", "aot_eager", "inductor"):

        def make(number: int, format: torch.memory_format, backend: str = backend) -> nn.Module:
            net = small_net(number, format)
            net.compile(backend=backend)
            return net

        def wrap(number: int, format: torch.memory_format, backend: str = backend) -> nn.Module:
            net: nn.Module = torch.compile(small_net(number, format), backend=backend)  # type: ignore[assignment]
            return net

        yield f"net.compile, {backend}", partial(resume_optimizer, adam, make_net=make)
        yield f"torch.compile, {backend}", partial(resume_optimizer, adam, make_net=wrap)


# Types of tensors.


def with_buffer(make: Callable[[], Tensor]) -> None:
    """A net that has such a tensor as a buffer."""

    def make_net(number: int, format: torch.memory_format) -> nn.Module:
        net = small_net(number)
        net.register_buffer("extra", make())
        return net

    resume_optimizer(adam, make_net=make_net)


def dtypes() -> Attempts:
    every = {value for value in vars(torch).values() if isinstance(value, torch.dtype)}
    for dtype in sorted(every, key=str):
        yield str(dtype).removeprefix("torch."), partial(with_buffer, partial(of_type, dtype))
    for dtype in (torch.float64, torch.bfloat16, torch.float16, torch.complex64):
        name = f"{str(dtype).removeprefix('torch.')} parameters"
        yield name, partial(resume_optimizer, adam, make_net=partial(net_of_type, dtype))


def of_type(dtype: torch.dtype) -> Tensor:
    """Random bits, viewed as values of this type."""
    try:
        if dtype is torch.bool:
            return torch.rand(8) < 0.5
        return torch.randint(256, (16,), dtype=torch.uint8).view(dtype)
    except (RuntimeError, TypeError) as error:
        raise NotTried(f"torch cannot make a tensor of it: {error}") from error


class Typed(nn.Module):
    """A layer whose parameters and inputs have one type."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 2, dtype=dtype)

    def forward(self, X: Tensor) -> Tensor:
        Y: Tensor = self.inner(X.to(self.inner.weight.dtype)).abs()
        return Y


def net_of_type(dtype: torch.dtype, number: int, format: torch.memory_format) -> nn.Module:
    seed(number)
    return Typed(dtype)


def subclasses() -> Attempts:
    yield "sparse COO buffer", partial(with_buffer, lambda: torch.eye(3).to_sparse())
    yield "sparse CSR buffer", partial(with_buffer, lambda: torch.eye(3).to_sparse_csr())
    yield "quantized buffer", partial(with_buffer, quantized)
    yield "nested buffer", partial(with_buffer, nested)
    yield "torchao int8 weights", partial(resume_optimizer, adam, make_net=int8_weights)
    yield "subclass of Parameter", partial(resume_optimizer, adam, make_net=marked)
    yield "TwoTensor buffer", partial(with_buffer, two_tensors)


def quantized() -> Tensor:
    return torch.quantize_per_tensor(torch.rand(4), 0.1, 0, torch.qint8)


def nested() -> Tensor:
    return torch.nested.nested_tensor([torch.rand(2), torch.rand(3)], layout=torch.jagged)


def two_tensors() -> Tensor:
    from torch.testing._internal.two_tensor import TwoTensor

    return TwoTensor(torch.rand(3), torch.rand(3))


class Marked(nn.Parameter):
    """A marked parameter, as in accelerate and other libraries."""


def marked(number: int, format: torch.memory_format) -> nn.Module:
    net = small_net(number)
    net[-1].weight = Marked(net[-1].weight.detach())
    return net


def int8_weights(number: int, format: torch.memory_format) -> nn.Module:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    net = small_net(number)
    quantize_(net[-1], Int8WeightOnlyConfig())
    return net


KINDS: dict[str, Callable[[], Attempts]] = {
    "optimizers of torch": optimizers_of_torch,
    "schedulers of torch": schedulers_of_torch,
    "optimizers of pytorch_optimizer": optimizers_of_pytorch_optimizer,
    "optimizers of timm": optimizers_of_timm,
    "optimizers of schedulefree": optimizers_of_schedulefree,
    "optimizers of torchao": optimizers_of_torchao,
    "schedulers of transformers": schedulers_of_transformers,
    "averages and gradient scalers": averages,
    "loaders of torchdata": loaders,
    "distributed nets": distributed,
    "compiled nets": compiled,
    "dtypes": dtypes,
    "subclasses and layouts of tensors": subclasses,
}
