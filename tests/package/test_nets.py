"""The parameters of a net in a file: either all of them are loaded, or the net stays as it was."""

import json
import os
import re
from functools import partial
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from d2lblocks import MLP, load_parameters, save_parameters, shared_names
from tests.package.saved_states import Make, buffers, fail, same, state, tensors, tied

pytestmark = pytest.mark.usefixtures("folder")


class Kinds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scalar = nn.Parameter(torch.rand(()))
        self.empty = nn.Parameter(torch.ones(0, 3))
        self.brain = nn.Parameter(torch.rand(3, dtype=torch.bfloat16), requires_grad=False)
        self.across = nn.Parameter(torch.rand(2, 3).t())
        self.register_buffer("complex", torch.rand(2, dtype=torch.complex64))
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        whole = torch.rand(6)
        self.left, self.right = nn.Parameter(whole[:4]), nn.Parameter(whole[2:])


def in_one_memory() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight.data = net[0].weight.data
    return net


def transposed(outputs: int = 3) -> nn.Module:
    net = nn.Sequential(nn.Linear(2, outputs), nn.Linear(outputs, 2))
    net[1].weight = nn.Parameter(net[0].weight.detach().t())
    return net


def shared(lazy: bool) -> nn.Module:
    layer = nn.LazyLinear(4) if lazy else nn.Linear(4, 4)
    return nn.Sequential(layer, nn.LazyBatchNorm1d() if lazy else nn.BatchNorm1d(4), layer)


LAYERS: list[tuple[Make, Make]] = [
    *((make, make) for make in (lambda: nn.Linear(4, 4).requires_grad_(False), tied, Kinds, in_one_memory)),
    (lambda: nn.Linear(4, 4), lambda: nn.LazyLinear(4)),
    (lambda: nn.BatchNorm1d(4), nn.LazyBatchNorm1d),
    (partial(shared, False), partial(shared, True)),
]


@settings(deadline=None, max_examples=80)
@given(layers=st.lists(st.sampled_from(LAYERS), max_size=4), data=st.data())
def test_a_net_comes_back(layers: list[tuple[Make, Make]], data: st.DataObject) -> None:
    """The objects stay the same and shared as before; a failed load changes nothing at all."""
    order = data.draw(st.lists(st.integers(0, len(layers) - 1), max_size=6)) if layers else []
    made = [[sized(), lazy()] for sized, lazy in layers]
    net, fresh = (nn.Sequential(*(made[index][kind] for index in order)) for kind in (0, 1))
    save_parameters(net, "x.st")
    before, groups, named = state(fresh), shared_names(fresh), fresh.state_dict(keep_vars=True)
    more = nn.Sequential(*fresh, nn.Linear(2, 1))
    with pytest.raises(
        RuntimeError, match=rf'Missing key\(s\): "{len(order)}.weight", "{len(order)}.bias"\.$'
    ):
        load_parameters(more, "x.st")
    assert same(state(fresh), before)
    assert load_parameters(fresh, "x.st") is fresh
    assert all(named[name] is tensor for name, tensor in fresh.state_dict(keep_vars=True).items())
    assert shared_names(fresh) == groups == shared_names(net)
    for a, b in zip(
        fresh.state_dict(keep_vars=True).values(), net.state_dict(keep_vars=True).values(), strict=True
    ):
        assert same(a, b)


@settings(deadline=None, max_examples=60)
@given(values=st.lists(tensors(), max_size=4))
def test_tensors_of_all_kinds_come_back(values: list[Tensor]) -> None:
    """Buffers of all kinds come back, and other readers of safetensors read the same values."""
    plain = [value.detach() for value in values]
    save_parameters(buffers(*plain), "x.st")
    net = load_parameters(buffers(*(torch.zeros(v.shape, dtype=v.dtype) for v in plain)), "x.st")
    read = safetensors.torch.load_file("x.st")
    assert same(list(net.buffers()), plain)
    assert same([read[f"x{index}"] for index in range(len(plain))], plain)


def test_views_that_torch_computes_when_they_are_used_are_written_as_values() -> None:
    """Conjugate and negative views share memory with their tensor; only a flag tells how to read it."""
    values = torch.tensor([1 + 2j, 3 - 4j])
    views = [values.conj(), values.conj().imag]
    assert views[0].is_conj()
    assert views[1].is_neg()
    save_parameters(buffers(*views), "x.st")
    read = safetensors.torch.load_file("x.st")
    assert [read["x0"].tolist(), read["x1"].tolist()] == [[1 - 2j, 3 + 4j], [-2, 4]]


def test_every_tensor_begins_at_a_multiple_of_its_width() -> None:
    """Programs can therefore map the file, whatever tensors come before."""
    kinds = [torch.uint8, torch.float64, torch.bfloat16, torch.int32]
    save_parameters(buffers(*(torch.ones(3).to(kind) for kind in kinds)), "x.st")
    content = Path("x.st").read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    starts = [end + header[f"x{number}"]["data_offsets"][0] for number in range(len(kinds))]
    assert [start % kind.itemsize for start, kind in zip(starts, kinds, strict=True)] == [0] * len(kinds)


def test_types_of_several_numbers_in_a_byte_come_back() -> None:
    """The shape of such a tensor is kept: a file counts each number, but torch counts each byte."""
    packed = torch.arange(6, dtype=torch.uint8).view(2, 3)
    save_parameters(buffers(packed.view(torch.float4_e2m1fn_x2)), "x.st")
    net = buffers(torch.zeros_like(packed).view(torch.float4_e2m1fn_x2))
    assert torch.equal(load_parameters(net, "x.st").x0.view(torch.uint8), packed)


def test_a_shared_tensor_is_written_once() -> None:
    """Our file can be read by the functions of safetensors, and theirs by ours."""
    net, other, third = tied(), tied(), tied()
    save_parameters(net, "x.st")
    with safetensors.safe_open("x.st", "pt") as file:
        assert sorted(file.keys()) == ["embed.weight", "scores.bias"]
        metadata = file.metadata()
        assert {key: metadata[key] for key in metadata if "d2lblocks" not in key} == {
            "format": "pt",
            "scores.weight": "embed.weight",
        }
    assert safetensors.torch.load_model(other, "x.st") == (set(), [])
    safetensors.torch.save_model(net, "y.st")
    load_parameters(third, "y.st", verify=False)
    assert third["scores"].weight is third["embed"].weight
    assert same([n["scores"].weight for n in (other, third)], [net["embed"].weight] * 2)


def test_optimizers_and_autograd_go_on() -> None:
    """The optimizer trains the loaded values, and autograd notices that they changed."""
    net = nn.Linear(2, 1)
    save_parameters(net, "x.st")
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    Y = net(torch.ones(2)) ** 2 * net.weight
    load_parameters(net, "x.st")
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        Y.sum().backward()
    net.zero_grad()
    net(torch.ones(2)).sum().backward()
    optimizer.step()
    assert same(net.weight.detach(), safetensors.torch.load_file("x.st")["weight"] - 1)


@pytest.mark.parametrize("inside", [True, False])
def test_lazy_parameters_can_be_used(inside: bool) -> None:
    """Inference mode makes no difference. The file can be overwritten, because nothing refers to it."""
    sized = shared(lazy=False)
    save_parameters(sized, "x.st")
    with torch.inference_mode(not inside):
        net = shared(lazy=inside)  # torch cannot use lazy parameters made in inference mode
    with torch.inference_mode(inside):
        load_parameters(net, "x.st")
    with open("x.st", "r+b") as file:
        file.write(b"\xff" * os.path.getsize("x.st"))
    with torch.inference_mode(not inside):
        Y = net.eval()(torch.ones(2, 4))
    torch.testing.assert_close(Y, sized.eval()(torch.ones(2, 4)))
    assert not inside or Y.sum().backward() is None


def wrong(name: str, *lines: str) -> str:
    return (
        "^" + re.escape("\n\t".join([f"Error(s) in loading parameters for {name} from x.st:", *lines])) + "$"
    )


def size(name: str, there: str, here: str) -> str:
    shapes = f"torch.Size([{there}]) from checkpoint, the shape in current model is torch.Size([{here}])."
    return f"size mismatch for {name}: copying a param with shape {shapes}"


NAMES = [
    'Missing key(s): "hidden.weight", "hidden.bias".',
    'Unexpected key(s): "hiden.bias" (the nearest is "hidden.bias"), "hiden.weight" (the nearest is "hidden.weight"), "zzz.0".',
]
TYPES = "torch.float32 in checkpoint, torch.int64 in current model."
compiled = partial(torch.compile, backend="eager")
MISFITS: list[tuple[Make, Make, str]] = [
    (lambda: MLP(20, 5), lambda: MLP(20, 6), wrong("MLP", size("hidden.weight", "5, 20", "6, 20"), size("hidden.bias", "5", "6"), size("out.weight", "10, 5", "10, 6"))),
    (lambda: nn.ModuleDict({"hiden": nn.Linear(2, 1), "zzz": nn.ParameterList([torch.ones(1)])}), lambda: nn.ModuleDict({"hidden": nn.Linear(2, 3)}), wrong("ModuleDict", *NAMES)),
    (lambda: nn.DataParallel(MLP(2)), lambda: MLP(2), r'\n\tThe checkpoint is wrapped: without "module." its keys fit. Save net.module. To load this one, rename each'),
    (lambda: compiled(MLP(2)), lambda: MLP(2), r'\n\tThe checkpoint is wrapped: without "_orig_mod." its keys fit. Save net._orig_mod. To load this one, rename each'),
    (lambda: MLP(2), lambda: compiled(MLP(2)), r'\n\tThe current model is wrapped: without "_orig_mod." its keys fit. Load into net._orig_mod.$'),
    (lambda: buffers(torch.ones(1).double()), lambda: buffers(torch.ones(1)), wrong("Module", "dtype mismatch for x0: torch.float64 in checkpoint, torch.float32 in current model: cast=True casts.")),
    (lambda: buffers(torch.ones(1)), lambda: buffers(torch.tensor([1])), wrong("Module", f"dtype mismatch for x0: {TYPES}")),
    (partial(tied, False), tied, wrong("ModuleDict", "tie mismatch for scores.weight: on its own in checkpoint, the same tensor as embed.weight in current model.")),
    (tied, partial(tied, False), wrong("ModuleDict", "tie mismatch for scores.weight: the same tensor as embed.weight in checkpoint, on its own in current model.")),
    (lambda: buffers(torch.ones(3)), lambda: buffers(torch.ones(1).expand(3)), wrong("Module", "cannot write to x0: it is an expanded or conjugate view. Give the net a clone of it.")),
    (lambda: buffers(torch.ones(3, dtype=torch.complex64)), lambda: buffers(torch.ones(3, dtype=torch.complex64).conj()), wrong("Module", "cannot write to x0: it is an expanded or conjugate view. Give the net a clone of it.")),
    (lambda: nn.Sequential(nn.Linear(4, 3), nn.PReLU(2)), lambda: nn.Sequential(nn.LazyLinear(3), nn.PReLU(1)), wrong("Sequential", size("1.weight", "2", "1"))),
]  # fmt: skip


@pytest.mark.parametrize(("make", "other", "message"), MISFITS)
def test_a_file_that_does_not_fit_changes_nothing(make: Make, other: Make, message: str) -> None:
    """One error lists all problems."""
    save_parameters(make(), "x.st")
    net = other().eval()
    for parameter in net.parameters():
        if not is_lazy(parameter):
            parameter.grad = torch.ones_like(parameter)
    before = state(net)
    with pytest.raises(RuntimeError, match=message):
        load_parameters(net, "x.st")
    assert same(state(net), before)


def test_of_many_names_a_thousand_are_listed() -> None:
    """The message says how many more there are."""
    save_parameters(
        nn.ParameterDict({f"x{number}": nn.Parameter(torch.ones(1)) for number in range(1200)}), "x.st"
    )
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\): "x0", .*, and 200 more\.$') as caught:
        load_parameters(nn.Module(), "x.st")
    assert str(caught.value).count('"x') == 1000
    save_parameters(buffers(*torch.ones(1000)), "x.st")
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\): "x0", .*"x999"\.$'):
        load_parameters(nn.Module(), "x.st")


@pytest.mark.parametrize(("there", "here"), [(1.0, 1), (1j, 1.0), (1, True)])
def test_a_cast_drops_nothing_but_digits(there: complex, here: complex) -> None:
    """Casts that would drop a fraction or an imaginary part are refused; the opposite casts work."""
    there, here = torch.tensor(there), torch.tensor(here)
    save_parameters(buffers(there), "x.st")
    with pytest.raises(RuntimeError, match="dtype mismatch for x0"):
        load_parameters(buffers(here), "x.st", cast=True)
    save_parameters(buffers(here), "x.st")
    assert same(load_parameters(buffers(there * 0), "x.st", cast=True).x0, here.to(there.dtype))


def test_a_stride_of_0_is_no_matter_for_a_single_value() -> None:
    """Only where several values lie in one place would one of them be lost."""
    net = buffers(torch.zeros(4).as_strided((2, 1), (2, 0)))
    save_parameters(buffers(torch.ones(2, 1)), "x.st")
    assert load_parameters(net, "x.st").x0.tolist() == [[1.0], [1.0]]


def test_a_load_that_is_stopped_leaves_lazy_parameters_lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause may be a lack of memory, or an interruption by the user."""
    net = shared(lazy=True)
    save_parameters(shared(lazy=False), "x.st")
    before = state(net)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "_foreach_copy_", partial(fail, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            load_parameters(net, "x.st")
    assert same(state(net), before)
    assert [parameter.data.numel() for parameter in net.parameters()] == [0] * 4  # and no memory is used
    load_parameters(net, "x.st")


class Extra(nn.Linear):
    def get_extra_state(self) -> int:
        return 3


UNFIT: list[tuple[Make, type[Exception], str, str]] = [
    (partial(shared, True), ValueError, "cannot save '0.weight', .*'2.bias': not initialized yet, the shapes come with", ""),
    (lambda: nn.Linear(2, 1, device="meta"), ValueError, "cannot save 'weight': it is on the meta device", "cannot load 'weight': .*to_empty"),
    (lambda: nn.LazyLinear(1, device="meta"), ValueError, "cannot save 'weight', 'bias': not init", "cannot load 'weight': .*to_empty"),
    (lambda: buffers(torch.ones(2, dtype=torch.complex128)), TypeError, "cannot save 'x0': safetensors has no torch.complex128$", ""),
    (lambda: buffers(torch.eye(2).to_sparse()), TypeError, "'x0' is a tensor of a kind that .*: Tensor of torch.sparse_coo", "'x0' is"),
    (lambda: Extra(2, 1), TypeError, "'_extra_state' is neither a parameter nor a buffer", "'_extra_state' is"),
    (transposed, TypeError, "'1.weight' is another view of the memory of '0.weight', such as its transpose", "'1.weight' is"),
    (partial(transposed, 2), TypeError, "'1.weight' is another view of the memory of '0.weight'", "'1.weight' is"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "saving", "loading"), UNFIT)
def test_nets_that_no_file_can_hold(make: Make, kind: type[Exception], saving: str, loading: str) -> None:
    """The error names the tensor, and the file does not change."""
    save_parameters(nn.Linear(2, 1), "x.st")
    content, net = Path("x.st").read_bytes(), make()
    with pytest.raises(kind, match=f"^{saving}"):
        save_parameters(net, "x.st")
    if loading:
        with pytest.raises(kind, match=f"^{loading}"):
            load_parameters(net, "x.st")
    assert Path("x.st").read_bytes() == content


def test_what_an_error_recommends_works() -> None:
    """A clone can be written to, and a single parameter that forward transposes can be saved."""
    net = buffers(torch.ones(1).expand(3))
    save_parameters(buffers(torch.arange(3.0)), "x.st")
    with pytest.raises(RuntimeError, match=r"cannot write to x0: .* Give the net a clone of it\."):
        load_parameters(net, "x.st")
    net.x0 = net.x0.clone()
    assert load_parameters(net, "x.st").x0.tolist() == [0.0, 1.0, 2.0]

    class Autoencoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(2, 3))

        def forward(self, X: Tensor) -> Tensor:
            return X @ self.weight.T @ self.weight

    with pytest.raises(TypeError, match=r"keep one parameter, and transpose it in forward$"):
        save_parameters(transposed(), "x.st")
    saved, X = Autoencoder(), torch.rand(1, 3)
    save_parameters(saved, "x.st")
    assert same(load_parameters(Autoencoder(), "x.st")(X), saved(X))


def test_a_tensor_larger_than_what_is_written_at_once_comes_back() -> None:
    """Large tensors are written in chunks."""
    saved, net = (nn.Linear(700, 1200) for _ in range(2))
    save_parameters(saved, "x.st")
    assert same([*load_parameters(net, "x.st").state_dict().values()], [*saved.state_dict().values()])
    assert os.path.getsize("x.st") < sum(tensor.nbytes for tensor in saved.parameters()) + 4096


def test_steps_that_nobody_takes_do_not_tell_views_apart() -> None:
    """The stride of a dimension of size 1 has no meaning, so such views are the same tensor."""
    net = nn.Sequential(nn.Linear(1, 3), nn.Linear(1, 3))
    net[1].weight = nn.Parameter(net[0].weight.detach().as_strided((3, 1), (1, 7)))
    save_parameters(net, "x.st")
    weight = net[0].weight.tolist()
    nn.init.zeros_(net[0].weight)
    assert load_parameters(net, "x.st")[1].weight.tolist() == weight


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.uint8])
def test_overlapping_parts_of_any_type_are_told_apart(dtype: torch.dtype) -> None:
    """Overlapping parts can be loaded only if the values they share are equal in the file."""
    numbers = torch.arange(1, 7).to(dtype)
    others = numbers[2:] + (1e-12 if dtype is torch.float64 else 1)
    save_parameters(buffers(numbers[:4], numbers[2:]), "shared.st")
    save_parameters(buffers(numbers[:4], others), "apart.st")
    there = torch.zeros(6, dtype=dtype)
    net = buffers(there[:4], there[2:])
    with pytest.raises(RuntimeError, match="in part the same memory as another in current model"):
        load_parameters(net, "apart.st")
    assert not there.any()
    load_parameters(net, "shared.st")
    assert torch.equal(there, numbers)
