"""The state of an optimizer is matched with its parameters by name, in their memory format."""

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from d2lblocks.serialization import load_checkpoint, save_checkpoint
from tests.package.malicious_files import signed
from tests.package.saved_states import same

Make = Callable[..., optim.Optimizer]
OPTIMIZERS: dict[str, Make] = {
    "SGD": partial(optim.SGD, lr=0.1, momentum=0.9),
    "SGD, foreach": partial(optim.SGD, lr=0.1, momentum=0.9, foreach=True),
    "SGD, fused": partial(optim.SGD, lr=0.1, momentum=0.9, fused=True),
    "Adam": partial(optim.Adam, amsgrad=True),
    "Adam, fused": partial(optim.Adam, fused=True),
    "AdamW, fused": partial(optim.AdamW, fused=True),
    "NAdam": optim.NAdam,
    "RAdam": optim.RAdam,
    "Adamax": optim.Adamax,
    "RMSprop": partial(optim.RMSprop, momentum=0.5, centered=True),
    "Rprop": optim.Rprop,
    "Adagrad": optim.Adagrad,
    "Adagrad, fused": partial(optim.Adagrad, fused=True),
    "Adadelta": optim.Adadelta,
    "Adafactor": optim.Adafactor,
    "ASGD": optim.ASGD,
    "Muon": optim.Muon,
}


def layers(names: str) -> nn.ModuleDict:
    """Layers of one shape, so that sizes cannot tell them apart."""
    return nn.ModuleDict({name: nn.Linear(2, 2, bias=False) for name in names})


def train(optimizer: optim.Optimizer, steps: int = 2) -> None:
    """Train with different gradients for every parameter."""
    for _ in range(steps):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.randn(parameter.shape).to(parameter)
        optimizer.step(lambda: torch.ones(()))


def state_by_name(net: nn.Module, optimizer: optim.Optimizer) -> dict[str, Any]:
    return {name: dict(optimizer.state[p]) for name, p in sorted(net.named_parameters())}


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("order", ["vqk", "kqv"])
def test_a_state_goes_to_the_parameter_of_its_name(make: Make, order: str, tmp_path: Path) -> None:
    """The order in which layers are registered does not matter."""
    saved, other = layers("qkv"), layers(order)
    optimizer, other_optimizer = make(saved.parameters()), make(other.parameters())
    train(optimizer)
    save_checkpoint(tmp_path, 1, net=saved, optimizer=optimizer)
    load_checkpoint(tmp_path, net=other, optimizer=other_optimizer)
    assert same(state_by_name(other, other_optimizer), state_by_name(saved, optimizer))


def test_the_order_of_one_net_among_others_is_its_own(tmp_path: Path) -> None:
    """The optimizer has two nets and a parameter in no net. One of the nets is then loaded without names."""

    def run(order: str) -> dict[str, Any]:
        nets = {"actor": layers(order), "critic": layers("ab")}
        loose = nn.Parameter(torch.ones(2, 2))
        parameters = [*nets["critic"].parameters(), loose, *nets["actor"].parameters()]
        return nets | {"optimizer": optim.Adam(parameters)}

    saved, all_of_it, actor_only = run("qk"), run("kq"), run("kq")
    train(saved["optimizer"])
    save_checkpoint(tmp_path, 1, **saved)
    load_checkpoint(tmp_path, **all_of_it)
    load_checkpoint(tmp_path, actor=actor_only["actor"], optimizer=actor_only["optimizer"])
    for loaded in (all_of_it, actor_only):
        for net in ("actor", "critic"):
            there, here = (state_by_name(each[net], each["optimizer"]) for each in (saved, loaded))
            assert same(here, there)
        loose = [each["optimizer"].param_groups[0]["params"][2] for each in (saved, loaded)]
        assert same(loaded["optimizer"].state[loose[1]], saved["optimizer"].state[loose[0]])


def test_a_shared_parameter_has_all_its_names(tmp_path: Path) -> None:
    """The parameter is still matched if another of its names is now the first."""

    def tied(order: str) -> nn.ModuleDict:
        net = layers(order)
        net["k"].weight = net["q"].weight
        return net

    saved, other = tied("qkv"), tied("vkq")
    optimizers = [optim.Adam(net.parameters()) for net in (saved, other)]
    train(optimizers[0])
    save_checkpoint(tmp_path, 1, net=saved, optimizer=optimizers[0])
    load_checkpoint(tmp_path, net=other, optimizer=optimizers[1])
    for name in "qkv":
        states = [
            optimizer.state[net[name].weight]
            for net, optimizer in zip((saved, other), optimizers, strict=True)
        ]
        assert same(*map(dict, states))


@pytest.mark.parametrize("with_nets", [True, False])
def test_names_that_an_optimizer_was_given_count(with_nets: bool, tmp_path: Path) -> None:
    """The optimizer's names count even if the nets are not loaded; afterwards they are in its own order."""
    saved, other = layers("qk"), layers("kq")
    optimizers = [optim.Adam(net.named_parameters()) for net in (saved, other)]
    train(optimizers[0])
    save_checkpoint(tmp_path, 1, net=saved, optimizer=optimizers[0])
    load_checkpoint(tmp_path, optimizer=optimizers[1], **{"net": other} if with_nets else {})
    assert same(state_by_name(other, optimizers[1]), state_by_name(saved, optimizers[0]))
    assert optimizers[1].param_groups[0]["param_names"] == ["k.weight", "q.weight"]


def in_groups(net: nn.ModuleDict, *groups: str) -> optim.Optimizer:
    return optim.SGD(
        [
            {"params": [net[name].weight for name in names], "lr": 1 / at}
            for at, names in enumerate(groups, 1)
        ],
        momentum=0.9,
    )


def test_each_group_is_matched_by_itself(tmp_path: Path) -> None:
    """The other options of the group are loaded too."""
    saved, other = layers("qkvo"), layers("ovkq")
    optimizers = in_groups(saved, "qk", "vo"), in_groups(other, "kq", "ov")
    train(optimizers[0])
    optimizers[0].param_groups[1]["lr"] = 0.125
    save_checkpoint(tmp_path, 1, net=saved, optimizer=optimizers[0])
    load_checkpoint(tmp_path, net=other, optimizer=optimizers[1])
    assert same(state_by_name(other, optimizers[1]), state_by_name(saved, optimizers[0]))
    assert [group["lr"] for group in optimizers[1].param_groups] == [1.0, 0.125]


def frozen(net: nn.ModuleDict, name: str) -> optim.Optimizer:
    return optim.SGD(
        [p for key, p in net.named_parameters() if key != f"{name}.weight"], lr=0.1, momentum=0.9
    )


def refused(
    saved: nn.Module, optimizer: optim.Optimizer, net: nn.Module, other: optim.Optimizer, folder: Path
) -> str:
    """The message of a load that must change nothing."""
    train(optimizer)
    train(other)
    save_checkpoint(folder, 1, net=saved, optimizer=optimizer)
    before = copy.deepcopy((net.state_dict(), other.state_dict()))
    with pytest.raises(RuntimeError) as caught:
        load_checkpoint(folder, net=net, optimizer=other)
    assert same((net.state_dict(), other.state_dict()), before)
    return str(caught.value)


def test_a_parameter_that_has_changed_groups_is_refused(tmp_path: Path) -> None:
    """Each group has its own options, so the run would change."""
    saved, net = layers("qkv"), layers("qkv")
    message = refused(saved, in_groups(saved, "qk", "v"), net, in_groups(net, "qv", "k"), tmp_path)
    assert message.splitlines()[1:] == [
        "\toptimizer: parameter group 0: only in checkpoint: 'net.k.weight'.",
        "\toptimizer: parameter group 0: only in optimizer: 'net.v.weight'.",
        "\toptimizer: parameter group 1: only in checkpoint: 'net.v.weight'.",
        "\toptimizer: parameter group 1: only in optimizer: 'net.k.weight'.",
    ]


def test_another_parameter_that_is_frozen_is_refused(tmp_path: Path) -> None:
    """The number and the shapes of the parameters are the same, but not the parameters."""
    saved, net = layers("qkv"), layers("qkv")
    message = refused(saved, frozen(saved, "q"), net, frozen(net, "v"), tmp_path)
    assert message.splitlines()[1:] == [
        "\toptimizer: parameter group 0: only in checkpoint: 'net.v.weight'.",
        "\toptimizer: parameter group 0: only in optimizer: 'net.q.weight'.",
    ]


def test_more_or_fewer_parameters_are_named(tmp_path: Path) -> None:
    """One layer was added later."""
    saved, net = layers("qkv"), layers("qkv")
    message = refused(saved, frozen(saved, "q"), net, optim.SGD(net.parameters(), momentum=0.9), tmp_path)
    assert message.splitlines()[1:] == [
        "\toptimizer: parameter groups of [2] parameters in checkpoint, [3] in optimizer.",
        "\toptimizer: parameter group 0: only in optimizer: 'net.q.weight'.",
    ]


def test_of_other_numbers_no_sizes_are_compared(tmp_path: Path) -> None:
    """Without names, the parameters could not be matched."""

    def unnamed(*sizes: int) -> optim.Optimizer:
        return optim.SGD([nn.Parameter(torch.ones(size)) for size in sizes], momentum=0.9)

    net = nn.Identity()
    message = refused(net, unnamed(1, 2), net, unnamed(3, 4, 5), tmp_path)
    assert message.splitlines()[1:] == [
        "\toptimizer: parameter groups of [2] parameters in checkpoint, [3] in optimizer."
    ]
    saved, net = layers("q"), nn.ModuleDict({"q": nn.Linear(2, 2, bias=False), "k": nn.Linear(3, 3)})
    save_checkpoint(tmp_path / "named", 1, optimizer=optim.SGD(saved.named_parameters(), momentum=0.9))
    with pytest.raises(RuntimeError) as caught:
        load_checkpoint(tmp_path / "named", optimizer=optim.SGD(net["k"].named_parameters(), momentum=0.9))
    assert str(caught.value).splitlines()[1:] == [
        "\toptimizer: parameter groups of [1] parameters in checkpoint, [2] in optimizer.",
        "\toptimizer: parameter group 0: only in checkpoint: 'q.weight'.",
    ]


def test_parameters_without_a_shape_have_their_place(tmp_path: Path) -> None:
    """The parameters belong to a lazy layer that is not saved itself."""
    saved, other = (optim.SGD(nn.LazyLinear(2).parameters(), lr=lr) for lr in (0.5, 0.1))
    save_checkpoint(tmp_path, 1, optimizer=saved)
    assert load_checkpoint(tmp_path, optimizer=other) == 1
    assert other.param_groups[0]["lr"] == 0.5


def test_own_names_that_differ_are_refused(tmp_path: Path) -> None:
    """The parameters are in no net."""

    def named(*names: str) -> optim.Optimizer:
        return optim.SGD([(name, nn.Parameter(torch.ones(2))) for name in names], momentum=0.9)

    net = nn.Identity()
    message = refused(net, named("a", "b"), net, named("a", "c"), tmp_path)
    assert message.splitlines()[1:] == ["\toptimizer: parameter group 0: only in checkpoint: 'b'."]


def test_an_optimizer_with_one_state_for_all_needs_its_order(tmp_path: Path) -> None:
    """LBFGS keeps vectors of all parameters, so it can be loaded only in the same order."""
    saved, net, same_order = layers("qk"), layers("kq"), layers("qk")
    message = refused(saved, optim.LBFGS(saved.parameters()), net, optim.LBFGS(net.parameters()), tmp_path)
    assert message.splitlines()[1:] == [
        "\toptimizer: parameter group 0 is in another order than in checkpoint: "
        "'net.k.weight', 'net.q.weight'. It needs that order, because the state of LBFGS is not one for "
        "each parameter.",
    ]
    optimizer = optim.LBFGS(same_order.parameters())
    assert load_checkpoint(tmp_path, net=same_order, optimizer=optimizer) == 1


def test_a_size_that_differs_is_told_with_the_name(tmp_path: Path) -> None:
    """If the net itself is not loaded, its parameters can only be identified by their number."""
    saved, net = nn.Linear(2, 3), nn.Linear(2, 4)
    optimizers = [optim.SGD(each.parameters(), momentum=0.9) for each in (saved, net)]
    train(optimizers[0])
    save_checkpoint(tmp_path, 1, net=saved, optimizer=optimizers[0])
    with pytest.raises(
        RuntimeError, match=r"size mismatch for parameter 'net.bias': \(3,\) in checkpoint, \(4,\)"
    ):
        load_checkpoint(tmp_path, net=net, optimizer=optimizers[1])
    with pytest.raises(
        RuntimeError, match=r"size mismatch for parameter 'net.weight': \(3, 2\) in checkpoint"
    ):
        load_checkpoint(tmp_path, optimizer=optimizers[1])


FORMATS = {
    "usual": lambda net: net.to(memory_format=torch.contiguous_format),
    "channels_last": lambda net: net.to(memory_format=torch.channels_last),
}


def pictures(memory_format: str) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 1, (2, 1), bias=False))
    return FORMATS[memory_format](net)


def go(net: nn.Module, optimizer: optim.Optimizer, seed: int) -> None:
    torch.manual_seed(seed)
    for _ in range(5):
        optimizer.zero_grad()
        net(torch.randn(2, 4, 8, 8)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("version", ["this one", "0.1.0"])
@pytest.mark.parametrize("there", FORMATS)
@pytest.mark.parametrize("here", FORMATS)
@pytest.mark.parametrize("make", [make for name, make in OPTIMIZERS.items() if name != "Muon"])
def test_a_state_lies_in_memory_as_its_parameter(
    make: Make, here: str, there: str, version: str, tmp_path: Path
) -> None:
    """Otherwise fused kernels would give values to the wrong weights. Checkpoints of version 0.1.0 always
    have the usual order.
    """
    net, other = pictures(there), pictures(here)
    optimizer, resumed = make(net.parameters()), make(other.parameters())
    go(net, optimizer, 1)
    path = save_checkpoint(tmp_path, 5, net=net, optimizer=optimizer)
    if version == "0.1.0":
        signed(path, as_before)
    load_checkpoint(tmp_path, net=other, optimizer=resumed)
    for mine, its in zip(other.parameters(), net.parameters(), strict=True):
        for key, value in resumed.state[mine].items():
            saved = optimizer.state[its][key]
            assert same(value, saved) if isinstance(value, Tensor) else value == saved
            if isinstance(value, Tensor) and value.shape == mine.shape and saved.stride() == its.stride():
                assert value.stride() == mine.stride()
    go(net, optimizer, 2)
    go(other, resumed, 2)
    torch.testing.assert_close([*other.parameters()], [*net.parameters()])
    if here == there:
        assert same([*other.parameters()], [*net.parameters()])


def as_before(ours: dict[str, Any]) -> None:
    """Turn the notes into those of version 0.1.0."""
    del ours["notes"]["parameters"], ours["notes"]["extra"]

    def forget(value: Any) -> Any:
        if isinstance(value, list):
            return [*map(forget, value)]
        if isinstance(value, dict):
            return {
                key: part[0] if key == "Tensor" and isinstance(part, list) else forget(part)
                for key, part in value.items()
            }
        return value

    ours["notes"]["states"] = forget(ours["notes"]["states"])


def test_checkpoints_without_names_go_by_position(tmp_path: Path) -> None:
    """Checkpoints of version 0.1.0 have no names."""
    saved, net = layers("qk"), layers("qk")
    optimizers = [optim.Adam(each.parameters()) for each in (saved, net)]
    train(optimizers[0])
    signed(save_checkpoint(tmp_path, 1, net=saved, optimizer=optimizers[0]), as_before)
    load_checkpoint(tmp_path, net=net, optimizer=optimizers[1])
    assert same(state_by_name(net, optimizers[1]), state_by_name(saved, optimizers[0]))
