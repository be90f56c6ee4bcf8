"""The things that PyTorch users expect of any module, checked for a list of all blocks."""

import copy
import importlib.resources
import pickle
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.func import functional_call, grad, vmap
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, skip_init

from d2lblocks import (
    MLP,
    CenteredLayer,
    FixedHiddenMLP,
    MyLazyLinear,
    MyLinear,
    MySequential,
    NestMLP,
    Parallel,
    apply_init,
    get_tensor,
    init_by_type,
    parameter_table,
    set_tensor,
    shared_names,
    uninitialized_names,
)


def rows(batch: int, **factory: Any) -> Tensor:
    return torch.rand(batch, 20, **factory)


@dataclass
class Block:
    """A block under test; `make` takes `device` and `dtype`."""

    name: str
    make: Callable[..., nn.Module]
    keys: list[str]  # of the state dict, in order
    width: int | None = None  # of each row of the output; None: the whole batch gives one scalar
    inputs: Callable[..., Tensor] = rows
    buffers: list[str] = field(default_factory=list)  # the keys of constants
    ties: dict[str, str] = field(default_factory=dict)  # further name: first name
    absent: list[str] = field(default_factory=list)  # parameters registered as None
    lazy: bool = False  # the first batch determines the sizes of the parameters
    data_dependent: str = ""  # why meta forward, full graph, export and vmap are impossible

    def ready(self, **factory: Any) -> nn.Module:
        """A block whose parameters all have a size."""
        net = self.make(**factory)
        if self.lazy:
            net(self.inputs(1, **factory))
        return net

    def shape(self, *batch: int) -> tuple[int, ...]:
        """The output's shape for leading dimensions `batch`."""
        return () if self.width is None else (*batch, self.width)


LINEAR = (nn.Linear, MyLinear)
HALVES = "the number of halvings depends on the values"
MLP_KEYS = ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]
FIXED_KEYS = ["rand_weight", "linear.weight", "linear.bias"]
NEST_KEYS = ["net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias", "linear.weight", "linear.bias"]
BLOCKS = [
    Block("MLP", lambda **f: MLP(20, 8, 4, **f), MLP_KEYS, width=4),
    Block("lazy MLP", lambda **f: MLP(None, 8, 4, **f), MLP_KEYS, width=4, lazy=True),
    Block(
        "MySequential",
        lambda **f: MySequential(nn.Linear(20, 8, **f), nn.ReLU(), nn.Linear(8, 4, bias=False, **f)),
        ["0.weight", "0.bias", "2.weight"],
        width=4,
        absent=["2.bias"],
    ),
    Block(
        "one layer twice",
        lambda **f: MySequential(layer := nn.Linear(20, 20, **f), nn.Tanh(), layer),
        ["0.weight", "0.bias", "2.weight", "2.bias"],
        width=20,
        ties={"2.weight": "0.weight", "2.bias": "0.bias"},
    ),
    Block("FixedHiddenMLP", FixedHiddenMLP, FIXED_KEYS, buffers=["rand_weight"], data_dependent=HALVES),
    Block("NestMLP", NestMLP, NEST_KEYS, width=16),
    Block(
        "Parallel",
        lambda **f: Parallel(nn.Linear(20, 8, **f), nn.Linear(20, 4, **f)),
        ["nets.0.weight", "nets.0.bias", "nets.1.weight", "nets.1.bias"],
        width=12,
    ),
    Block(
        "lazy MySequential",
        lambda **f: MySequential(nn.LazyLinear(8, **f), nn.ReLU(), nn.LazyLinear(4, **f)),
        ["0.weight", "0.bias", "2.weight", "2.bias"],
        width=4,
        lazy=True,
    ),
    Block(
        "half lazy Parallel",
        lambda **f: Parallel(nn.LazyLinear(8, **f), nn.Linear(20, 4, **f)),
        ["nets.0.weight", "nets.0.bias", "nets.1.weight", "nets.1.bias"],
        width=12,
        lazy=True,
    ),
    Block("MyLinear", lambda **f: MyLinear(20, 4, **f), ["weight", "bias"], width=4),
    Block(
        "MyLinear without bias",
        lambda **f: MyLinear(20, 4, bias=False, **f),
        ["weight"],
        width=4,
        absent=["bias"],
    ),
    Block("MyLazyLinear", lambda **f: MyLazyLinear(4, **f), ["weight", "bias"], width=4, lazy=True),
    Block(
        "custom layers",
        lambda **f: MySequential(MyLinear(20, 8, **f), nn.Tanh(), CenteredLayer(-1), MyLinear(8, 4, **f)),
        ["0.weight", "0.bias", "3.weight", "3.bias"],
        width=4,
    ),
    Block(
        "chimera",
        lambda **f: MySequential(NestMLP(**f), nn.Linear(16, 20, **f), FixedHiddenMLP(**f)),
        [f"0.{key}" for key in NEST_KEYS] + ["1.weight", "1.bias"] + [f"2.{key}" for key in FIXED_KEYS],
        buffers=["2.rand_weight"],
        data_dependent=HALVES,
    ),
]


def over(blocks: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", blocks, ids=lambda block: block.name.replace(" ", "_"))


every_block = over(BLOCKS)
one_graph = over([block for block in BLOCKS if not block.data_dependent])
data_dependent = over([block for block in BLOCKS if block.data_dependent])
lazy = over([block for block in BLOCKS if block.lazy])
tied = over([block for block in BLOCKS if block.ties])
every_class = pytest.mark.parametrize("cls", [MLP, FixedHiddenMLP, NestMLP])  # the first argument is a size
both_copies = pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"]
)


def assert_same(net: nn.Module, other: Callable[[Tensor], Tensor], X: Tensor) -> None:
    assert torch.equal(net(X), other(X))


def assert_tied(block: Block, net: nn.Module) -> None:
    for second, first in block.ties.items():
        assert net.get_parameter(second) is net.get_parameter(first)


# How a block is built.


@every_block
def test_device_and_dtype_reach_every_tensor(block: Block) -> None:
    """`device` and `dtype` apply to every parameter and buffer."""
    for build in block.make, block.ready:
        net = build(device="meta", dtype=torch.float64)
        tensors = [*net.parameters(), *net.buffers()]
        assert {(tensor.device.type, tensor.dtype) for tensor in tensors} == {("meta", torch.float64)}


@every_block
def test_device_context_is_honored(block: Block) -> None:
    """`with torch.device(...)` sets the device of every tensor."""
    with torch.device("meta"):
        net = block.ready()
    assert all(tensor.is_meta for tensor in net.state_dict().values())


@every_block
def test_reset_parameters_fills_everything(block: Block) -> None:
    """After `to_empty`, calling `reset_parameters` on all modules replaces every value."""
    net = block.ready(device="meta").to_empty(device="cpu")
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.fill_(torch.nan)
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert [key for key, tensor in net.state_dict().items() if tensor.isnan().any()] == []


@every_class
def test_skip_init_draws_nothing(cls: Callable[..., nn.Module]) -> None:
    """`skip_init` gives the block's tensors on the CPU without drawing a random number."""
    made = cls(7)
    before = torch.get_rng_state()
    net = skip_init(cls, 7)
    assert torch.equal(torch.get_rng_state(), before)
    for skipped, initialized in zip(net.state_dict().values(), made.state_dict().values(), strict=True):
        assert (skipped.shape, skipped.device) == (initialized.shape, initialized.device)


@every_block
def test_same_seed_gives_the_same_block(block: Block) -> None:
    """Only the global generator determines the values. On the meta device it is not used."""
    states = []
    for seed in 1, 1, 2:
        torch.manual_seed(seed)
        states.append(torch.cat([tensor.flatten() for tensor in block.ready().state_dict().values()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
    before = torch.get_rng_state()
    block.ready(device="meta")
    assert torch.equal(torch.get_rng_state(), before)


@every_block
def test_repr_names_every_child(block: Block) -> None:
    """`repr` starts with the class and shows each module under its name."""
    net = block.ready()
    shown = repr(net)
    assert shown.startswith(f"{type(net).__name__}(")
    for name, module in net.named_modules(remove_duplicate=False):
        assert not name or f"({name.split('.')[-1]}): {type(module).__name__}(" in shown


# The tensors that a block registers, and their names.


@every_block
def test_children_are_registered(block: Block) -> None:
    """The parameters have the names in the contract, and a tied parameter counts once."""
    net, names = block.ready(), set(block.keys) - set(block.buffers)
    assert {name for name, _ in net.named_parameters(remove_duplicate=False)} == names
    assert {name for name, _ in net.named_parameters()} == names - set(block.ties)
    assert_tied(block, net)


@every_block
def test_constants_are_buffers(block: Block) -> None:
    """A constant is saved, moved and cast, and is not a parameter."""
    net = block.ready()
    assert [name for name, _ in net.named_buffers()] == block.buffers
    assert set(block.buffers) <= set(net.state_dict())
    assert {buffer.dtype for buffer in net.double().buffers()} <= {torch.float64}
    assert all(buffer.is_meta for buffer in net.to("meta").buffers())


@every_block
def test_absent_parameters_have_a_name_and_no_key(block: Block) -> None:
    """A parameter that is switched off is registered as None and not saved."""
    net = block.ready()
    found = [
        f"{path}.{name}".lstrip(".")
        for path, module in net.named_modules()
        for name, parameter in module._parameters.items()
        if parameter is None
    ]
    assert found == block.absent
    assert not set(found) & set(net.state_dict())


@every_block
def test_state_dict_keys_are_a_contract(block: Block) -> None:
    """The keys equal the literal list, and a strict load into another block gives equal outputs."""
    net, other, X = block.ready(), block.ready(), block.inputs(3)
    assert list(net.state_dict()) == block.keys
    assert not torch.equal(net(X), other(X))
    other.load_state_dict(net.state_dict(), strict=True)
    assert_same(net, other, X)


# Copies and files.


@every_block
def test_assign_fills_a_meta_block(block: Block) -> None:
    """`load_state_dict(assign=True)` turns a block without memory into an equal one."""
    net, other = block.ready(), block.make(device="meta")
    other.load_state_dict(net.state_dict(), assign=True)
    assert_same(net, other, block.inputs(3))
    assert_tied(block, other)


@both_copies
@every_block
def test_copies_are_equal_and_independent(block: Block, copied: Callable[[nn.Module], nn.Module]) -> None:
    """A copy computes the same with its own memory, and its parameters are tied like the original's."""
    net = block.ready()
    other = copied(net)
    assert_same(net, other, block.inputs(3))
    pointers = [{tensor.data_ptr() for tensor in module.state_dict().values()} for module in (net, other)]
    assert pointers[0].isdisjoint(pointers[1])
    assert_tied(block, other)


@tied
def test_tying_survives_moves(block: Block) -> None:
    """A cast, a move and `to_empty` keep tied parameters tied."""
    net = block.ready()
    for moved in net.double(), net.to("meta"), net.to_empty(device="cpu"):
        assert_tied(block, moved)


@every_block
def test_parametrized_blocks_copy_and_refuse_pickle(block: Block) -> None:
    """With parametrized weights `deepcopy` works, and pickling tells the user to use `state_dict()`."""
    net = block.ready()
    linears = [(name, module) for name, module in net.named_modules() if isinstance(module, LINEAR)]
    for _, linear in linears:
        parametrize.register_parametrization(linear, "weight", nn.Tanh())
    assert_same(net, copy.deepcopy(net), block.inputs(3))
    longer = {f"{name}.parametrizations.weight.original".lstrip(".") for name, _ in linears}
    assert longer <= set(net.state_dict())
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(net)


@every_block
def test_weights_only_load(block: Block, tmp_path: Path) -> None:
    """A saved state dict loads with `weights_only=True`; a pickled module is refused by default."""
    net, other, path = block.ready(), block.ready(), tmp_path / "net.pt"
    torch.save(net.state_dict(), path)
    other.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    assert_same(net, other, block.inputs(3))
    torch.save(net, path)
    with pytest.raises(pickle.UnpicklingError, match="weights_only"):
        torch.load(path)


@every_block
def test_safetensors_round_trip(block: Block, tmp_path: Path) -> None:
    """`save_model` and `load_model` restore every value, and tied weights stay tied."""
    net, other, path = block.ready(), block.ready(), tmp_path / "net.safetensors"
    safetensors.torch.save_model(net, str(path))
    assert safetensors.torch.load_model(other, path) == (set(), [])
    assert_same(net, other, block.inputs(3))
    assert_tied(block, other)


@lazy
def test_lazy_block_takes_its_sizes_from_the_first_batch(block: Block) -> None:
    """Before the first call the parameters have no size; after it the layers are ordinary ones."""
    net = block.make()
    with pytest.raises(ValueError, match="uninitialized parameter"):
        sum(p.numel() for p in net.parameters())
    copy.deepcopy(net)(block.inputs(2))
    assert any(is_lazy(p) for p in net.parameters())
    net(block.inputs(2))
    assert not any(is_lazy(p) for p in net.parameters())
    assert not any(isinstance(module, LazyModuleMixin) for module in net.modules())


@lazy
def test_lazy_block_takes_its_sizes_from_a_state_dict(block: Block) -> None:
    """Loading gives a lazy block its weights before any call."""
    net, other = block.ready(), block.make()
    other.load_state_dict(net.state_dict())
    assert not any(is_lazy(p) for p in other.parameters())
    assert_same(net, other, block.inputs(3))


# The package's functions for any module, applied to a block.


@every_block
def test_the_table_names_every_tensor(block: Block) -> None:
    """Its names are the keys, tied names refer to the first one, and only lazy blocks have unknown shapes."""
    table = parameter_table(block.ready())
    assert {row.name for row in table} == set(block.keys)
    assert {row.name: row.shared_with for row in table if row.shared_with} == block.ties
    assert uninitialized_names(block.ready()) == []
    assert bool(uninitialized_names(block.make())) == block.lazy


@every_block
def test_init_by_type_reaches_every_linear_layer(block: Block) -> None:
    """The report names all weights of linear layers and nothing else, even on the meta device."""
    weights = {key for key in block.keys if key.endswith("weight")} - set(block.buffers)
    kinds = {type(module) for module in block.ready().modules() if isinstance(module, LINEAR)}
    for net in block.ready(), block.ready(device="meta"):
        report = init_by_type(net, {kind: {"weight": nn.init.zeros_} for kind in kinds})
        assert {name for name, function in report.items() if function} == weights
        assert all(net.is_meta or not net.any() for net in map(net.get_parameter, weights))
        assert_tied(block, net)


@every_block
def test_apply_init_gives_the_values_of_a_first_batch(block: Block) -> None:
    """A dry run leaves a block in the same state as its first batch does."""
    X, states = block.inputs(1), []
    for first_batch in (nn.Module.__call__, apply_init):
        torch.manual_seed(1)
        net = block.make()
        first_batch(net, X)
        states.append(net.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in block.keys)


# Inputs and outputs.


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@every_block
def test_dtype_follows_the_input(block: Block, dtype: torch.dtype) -> None:
    """Input and block of one dtype give an output of that dtype and of the right shape."""
    Y = block.ready(dtype=dtype)(block.inputs(3, dtype=dtype))
    assert (Y.dtype, Y.shape) == (dtype, block.shape(3))


@every_block
def test_autocast(block: Block) -> None:
    """Under autocast the output is bfloat16, and the parameters stay float32."""
    net = block.ready()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net(block.inputs(3)).dtype == torch.bfloat16
    assert {p.dtype for p in net.parameters()} == {torch.float32}


@every_block
def test_empty_and_unbatched_inputs(block: Block) -> None:
    """The shape is right for no rows, for one row without a batch, and for two leading dimensions."""
    net = block.ready()
    assert net(block.inputs(0)).shape == block.shape(0)
    assert net(block.inputs(1)[0]).shape == block.shape()
    assert net(block.inputs(6).unflatten(0, (2, 3))).shape == block.shape(2, 3)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors is a no-op")
@every_class
def test_no_features(cls: Callable[..., nn.Module]) -> None:
    """A block with 0 input features runs, and its output is finite."""
    assert cls(0)(torch.rand(2, 0)).isfinite().all()


@every_block
def test_input_may_be_strided_and_is_untouched(block: Block) -> None:
    """A non-contiguous input gives the same output, and no input is changed."""
    net, X = block.ready(), block.inputs(3)
    strided = X.t().contiguous().t()
    assert not strided.is_contiguous()
    torch.testing.assert_close(net(strided), net(X))
    assert (X._version, strided._version) == (0, 0)


@every_block
def test_train_and_eval_do_not_differ(block: Block) -> None:
    """None of these blocks behaves differently in training."""
    net, X = block.ready(), block.inputs(3)
    assert torch.equal(net.eval()(X), net.train()(X))


@one_graph
def test_meta_forward(block: Block) -> None:
    """On the meta device, `forward` gives the output's shape."""
    Y = block.ready(device="meta")(block.inputs(3, device="meta"))
    assert (Y.device.type, Y.shape) == ("meta", block.shape(3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@every_block
def test_cuda_parity(block: Block) -> None:
    """The same weights give the same output on the GPU."""
    net, X = block.ready(), block.inputs(3)
    on_gpu = block.ready(device="cuda")
    on_gpu.load_state_dict(net.state_dict())
    torch.testing.assert_close(on_gpu(X.cuda()).cpu(), net(X))


@every_block
def test_every_hook_fires(block: Block) -> None:
    """Blocks call modules instead of their `forward`, so a hook on each of them runs."""
    net, fired = block.ready(), set()
    modules = {module for module in net.modules() if not isinstance(module, nn.ModuleList)}
    for module in modules:
        module.register_forward_hook(lambda module, inputs, output: fired.add(module))
    net(block.inputs(3))
    assert fired == modules


# Gradients, and forward as a function of the parameters.


def run(net: nn.Module, values: dict[str, Tensor], X: Tensor) -> Tensor:
    # With tie_weights=True, a layer used twice would keep the new values (pytorch issue 164759).
    return functional_call(net, values, (X,), tie_weights=False)


@every_block
def test_every_parameter_is_trained(block: Block) -> None:
    """After `backward` every parameter has a gradient with some value other than zero."""
    net = block.ready()
    net(block.inputs(3)).sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


@every_block
def test_first_and_second_gradients_are_right(block: Block) -> None:
    """`gradcheck` and `gradgradcheck` pass for the input and the parameters."""
    net = block.ready(dtype=torch.float64)
    names, parameters = zip(*net.named_parameters(), strict=True)
    inputs = block.inputs(2, dtype=torch.float64, requires_grad=True), *parameters
    for check in torch.autograd.gradcheck, torch.autograd.gradgradcheck:
        assert check(lambda X, *p: run(net, dict(zip(names, p, strict=True)), X), inputs, fast_mode=True)


@every_block
def test_functional_call_replaces_every_parameter(block: Block) -> None:
    """With all parameters zero the output is zero, and the block keeps its own values."""
    net, X = block.ready(), block.inputs(3)
    Y = net(X)
    zeros = {name: torch.zeros_like(p) for name, p in net.named_parameters()}
    assert not run(net, zeros, X).any()
    assert torch.equal(net(X), Y)


def per_sample_gradients(net: nn.Module, X: Tensor) -> dict[str, Tensor]:
    values = {name: p.detach() for name, p in net.named_parameters()}
    return vmap(grad(lambda values, x: run(net, values, x).sum()), (None, 0))(values, X)


@one_graph
def test_per_sample_gradients(block: Block) -> None:
    """`vmap(grad(...))` gives one gradient per row, and their sum is the gradient of the batch."""
    net, X = block.ready(), block.inputs(3)
    net(X).sum().backward()
    gradients = per_sample_gradients(net, X)
    for name, p in net.named_parameters():
        assert gradients[name].shape == (3, *p.shape)
        torch.testing.assert_close(gradients[name].sum(0), p.grad)


# Compilers and sharding.


@pytest.fixture
def compiler() -> Iterator[None]:
    """Start and end without compiled graphs: those of other tests count toward a limit."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled(net: nn.Module, **options: Any) -> Callable[[Tensor], Tensor]:
    return torch.compile(net, backend="eager", fullgraph=True, **options)


def exported(net: nn.Module, X: Tensor) -> nn.Module:
    batch = torch.export.Dim("batch", min=2)
    return torch.export.export(net.eval(), (X,), dynamic_shapes=({0: batch},), strict=True).module()


@one_graph
def test_compiles_to_one_graph(block: Block, compiler: None) -> None:
    """`torch.compile(fullgraph=True)` gives the block's own outputs, from one graph for every batch size."""
    net = block.ready()
    graph = compiled(net, dynamic=True)
    assert_same(net, graph, block.inputs(3))
    with torch.compiler.set_stance("fail_on_recompile"):
        assert_same(net, graph, block.inputs(5))


@every_block
@torch.no_grad()  # with gradients, a graph break triggers a warning inside Dynamo
def test_compile_keeps_keys(block: Block, compiler: None) -> None:
    """`net.compile()` keeps keys and outputs; `torch.compile(net)` makes the keys longer."""
    net, X = block.ready(), block.inputs(3)
    Y = net(X)
    longer = [f"_orig_mod.{key}" for key in block.keys]
    assert list(torch.compile(net, backend="eager").state_dict()) == longer
    net.compile(backend="eager")
    assert torch.equal(net(X), Y)
    assert list(net.state_dict()) == block.keys


@one_graph
def test_exports_with_a_dynamic_batch(block: Block, compiler: None) -> None:
    """`torch.export` gives a program for batches of every size."""
    net = block.ready()
    assert_same(net, exported(net, block.inputs(3)), block.inputs(5))


REFUSED = {
    "compile": (lambda net, X: compiled(net)(X), torch._dynamo.exc.Unsupported, "Data-dependent branching"),
    "export": (exported, torch._dynamo.exc.Unsupported, "Data-dependent branching"),
    "vmap": (per_sample_gradients, RuntimeError, "data-dependent control flow"),
    "meta": (lambda net, X: net.to("meta")(X.to("meta")), RuntimeError, "cannot be called on meta"),
}


@pytest.mark.parametrize("how", REFUSED)
@data_dependent
def test_data_dependent_blocks_say_so(block: Block, how: str, compiler: None) -> None:
    """Transforms that need to know the control flow without the values refuse a loop that depends on them."""
    run, error, text = REFUSED[how]
    with pytest.raises(error, match=text):
        run(block.ready(), block.inputs(3))


@pytest.fixture
def one_process() -> Iterator[DeviceMesh]:
    """A mesh of one CPU."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


@every_block
def test_fully_shard(block: Block, one_process: DeviceMesh) -> None:
    """FSDP2 changes neither keys nor outputs. It needs calls of modules instead of `forward`."""
    net, X = block.ready(), block.inputs(3)
    Y = net(X)
    for module in [module for module in net.modules() if isinstance(module, LINEAR) and module is not net]:
        fully_shard(module, mesh=one_process)
    fully_shard(net, mesh=one_process)
    assert torch.equal(net(X), Y)
    assert list(net.state_dict()) == block.keys
    assert all(isinstance(p, DTensor) for p in net.parameters())


def test_types_are_shipped() -> None:
    """`py.typed` tells type checkers to read the package's annotations."""
    assert importlib.resources.files("d2lblocks").joinpath("py.typed").is_file()


# Functions that take a net.

NETS: dict[str, Callable[[Any], Any]] = {
    "parameter_table": parameter_table,
    "shared_names": shared_names,
    "get_tensor": lambda net: get_tensor(net, "weight"),
    "set_tensor": lambda net: set_tensor(net, "weight", 0.0),
    "uninitialized_names": uninitialized_names,
    "apply_init": lambda net: apply_init(net, rows(2)),
    "init_by_type": lambda net: init_by_type(net, {nn.Linear: {"weight": nn.init.ones_}}),
}
SLIPS: dict[str, tuple[Any, str]] = {
    "a state": (MLP(20).state_dict(), "collections.OrderedDict: pass the net itself, not its state_dict()"),
    "an empty state": ({}, "dict: pass the net itself, not its state_dict()"),
    "rules": ({nn.Linear: {"weight": nn.init.ones_}}, "dict: the net comes first"),
    "a class": (MLP, "the class d2lblocks.modules.MLP: call it first, as in MLP(...)"),
    "another class": (dict, "the class dict"),
    "a path": ("net.pt", "str, 'net.pt': the net comes first, then the path"),
    "a path of pathlib": (Path("net.pt"), "pathlib.PosixPath, 'net.pt': the net comes first, then the path"),
    "a batch": (torch.ones(2, 20), "torch.Tensor: the net comes first"),
    "a parameter": (nn.Parameter(torch.ones(2)), "torch.nn.parameter.Parameter: the net comes first"),
    "parameters": (MLP(20).parameters(), "generator: pass the net itself, not its parameters()"),
    "layers": ([MLP(20)], "list: put its modules in an nn.Sequential or an nn.ModuleList"),
    "a result": (
        nn.ReLU().load_state_dict({}),
        "torch.nn.modules.module._IncompatibleKeys: load_state_dict() does",
    ),
    "numbers": ([1, 2], "list"),
    "no layers": ([], "list"),
    "a function": (nn.init.ones_, "function"),
    "nothing": (None, "NoneType"),
}


@pytest.mark.parametrize(("slip", "message"), SLIPS.values(), ids=SLIPS)
@pytest.mark.parametrize("function", NETS.values(), ids=NETS)
def test_what_is_no_net_is_refused(function: Callable[[Any], Any], slip: Any, message: str) -> None:
    """The error names the argument's class, the expected class, and the most likely intention."""
    start = f"expected a net, which is an nn.Module, but got {message}"
    end = "" if ":" in message else "$"
    with pytest.raises(TypeError, match=f"^{re.escape(start)}{end}"):
        function(slip)
