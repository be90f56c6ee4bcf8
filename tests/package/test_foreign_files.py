"""Files found in practice: of other programs, of other kinds, with other names, and wrong arguments."""

import gzip
import io
import json
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import Tensor, nn

from d2lblocks import (
    DamagedFileError,
    MyLazyLinear,
    load,
    load_checkpoint,
    load_parameters,
    save,
    save_checkpoint,
    save_parameters,
)
from tests.package.saved_states import Make, same, state

pytestmark = pytest.mark.usefixtures("folder")

# Shared tensors that another program has written once.


def head(first: str, tie: bool = True) -> nn.Module:
    """A table of words and the scores of words; `first` says which is registered first."""
    table, scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
    if tie:
        scores.weight = table.weight
    modules = {"table": table, "scores": scores}
    return nn.ModuleDict({name: modules[name] for name in sorted(modules, key=lambda name: name != first)})


@pytest.mark.parametrize("first", ["table", "scores"])
@pytest.mark.parametrize("written", ["table.weight", "scores.weight"])
def test_a_shared_tensor_may_have_any_of_its_names(first: str, written: str) -> None:
    """Libraries write it once, and do not store its other names in the file."""
    weight = torch.rand(5, 4)
    save_file({written: weight}, "x.st", {"format": "pt"})
    net = head(first)
    parameter = net["table"].weight
    load_parameters(net, "x.st", verify=False)
    assert net["scores"].weight is net["table"].weight is parameter
    assert same(parameter.detach(), weight)


@pytest.mark.parametrize("name", ["table.weight", "scores.weight"])
def test_a_name_is_missing_where_nothing_is_shared(name: str) -> None:
    """The error also comes for our own files, which state what is shared."""
    missing = {"table.weight": "scores.weight", "scores.weight": "table.weight"}[name]
    save_file({name: torch.rand(5, 4)}, "x.st")
    net = head("table", tie=False)
    before = state(net)
    with pytest.raises(RuntimeError, match=rf'Missing key\(s\): "{missing}"\.$'):
        load_parameters(net, "x.st", verify=False)
    assert same(state(net), before)
    save_parameters(nn.ModuleDict({"table": nn.Embedding(5, 4)}), "ours.st")
    with pytest.raises(RuntimeError, match=r'Missing key\(s\): "scores.weight"\.$'):
        load_parameters(head("table"), "ours.st")


def test_what_another_program_has_left_out_may_be_one_of_many() -> None:
    """Three names share one tensor, and two other names share another."""
    net = nn.ModuleList([nn.Linear(3, 3) for _ in range(5)])
    net[2].weight = net[4].weight = net[0].weight
    net[3].bias = net[1].bias
    save_model(net, "whole.st")
    tensors = load_file("whole.st")
    save_file(tensors, "x.st")  # without the metadata, which holds the other names
    other = nn.ModuleList([nn.Linear(3, 3) for _ in range(5)])
    other[2].weight = other[4].weight = other[0].weight
    other[3].bias = other[1].bias
    load_parameters(other, "x.st", verify=False)
    assert same([*other.state_dict().values()], [*net.state_dict().values()])


# Names that would fit after renaming.


def averaged() -> nn.Module:
    return torch.optim.swa_utils.AveragedModel(two())


def two() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def inside(name: str) -> nn.Module:
    return nn.ModuleDict({name: two()})


def compiled(net: nn.Module) -> nn.Module:
    return torch.compile(net, backend="eager")


def part_compiled() -> nn.Module:
    net = two()
    net[0] = compiled(net[0])
    return net


def normed(new: bool) -> nn.Module:
    function = nn.utils.parametrizations.weight_norm if new else nn.utils.weight_norm
    return nn.Sequential(function(nn.Linear(2, 2)))


def spectral(new: bool) -> nn.Module:
    function = nn.utils.parametrizations.spectral_norm if new else nn.utils.spectral_norm
    return nn.Sequential(function(nn.Linear(2, 2)))


RENAMED: dict[str, tuple[Make, Make]] = {
    "wrapped": (lambda: nn.DataParallel(two()), two),
    "wrapped twice": (lambda: nn.DataParallel(compiled(two())), two),
    "wrapped inside": (part_compiled, two),
    "averaged": (averaged, two),
    "a prefix more": (lambda: inside("model"), two),
    "a prefix less": (two, lambda: inside("net")),
    "a prefix and a wrapper": (lambda: nn.DataParallel(inside("model")), two),
    "a base model and a head": (lambda: nn.ModuleDict({"bert": two(), "cls": nn.Linear(2, 1)}), two),
    "the new weight_norm": (lambda: normed(True), lambda: normed(False)),
    "the old weight_norm": (lambda: normed(False), lambda: normed(True)),
    "the new spectral_norm": (lambda: spectral(True), lambda: spectral(False)),
    "the old spectral_norm": (lambda: spectral(False), lambda: spectral(True)),
    "a name that holds that of a wrapper": (lambda: nn.DataParallel(inside("net")), lambda: inside("net")),
}


@pytest.mark.filterwarnings("ignore:.*is deprecated in favor of")
@pytest.mark.parametrize(("make", "other"), RENAMED.values(), ids=RENAMED)
def test_a_hint_says_how_to_rename_and_is_right(make: Make, other: Make) -> None:
    """If the hint is followed, the file can be loaded; otherwise nothing is loaded."""
    save_file({name: tensor.clone() for name, tensor in make().state_dict().items()}, "x.st")
    net = other()
    with pytest.raises(RuntimeError) as caught:
        load_parameters(net, "x.st", verify=False)
    _, _, hint = str(caught.value).partition("rename each by ")
    code, _, left_out = hint.removesuffix(".").partition(" and leave out ")
    names = left_out.replace('"', "").split(" and ")
    renamed = {eval(code, {"name": name}): t for name, t in load_file("x.st").items() if name not in names}
    save_file(renamed, "renamed.st")
    load_parameters(net, "renamed.st", verify=False)
    for name, tensor in renamed.items():
        assert same(net.state_dict()[name], tensor)


def test_a_net_that_is_wrapped_is_told() -> None:
    """The error names the path to the net inside, if the wrapper is around all of it."""
    save_parameters(two(), "x.st")
    for net, remedy in (
        (compiled(two()), "Load into net._orig_mod."),
        (nn.DataParallel(compiled(two())), "Load into net.module._orig_mod."),
        (part_compiled(), "Load before you wrap it."),
    ):
        with pytest.raises(RuntimeError) as caught:
            load_parameters(net, "x.st")
        assert str(caught.value).endswith(f"its keys fit. {remedy}")
    net = two()
    load_parameters(nn.DataParallel(compiled(net)).module._orig_mod, "x.st")
    net.cpu()  # on a machine with a GPU, DataParallel moves it there
    assert same(dict(sorted(net.state_dict().items())), dict(sorted(load_file("x.st").items())))


def test_where_nothing_would_fit_there_is_no_hint() -> None:
    """A few names that happen to be similar are not enough."""
    save_file({f"encoder.{at}.weight": torch.ones(1) for at in range(9)} | {"x.bias": torch.ones(1)}, "x.st")
    net = nn.ModuleDict({f"decoder{at}": nn.Linear(1, 1) for at in range(9)})
    with pytest.raises(RuntimeError) as caught:
        load_parameters(net, "x.st", verify=False)
    assert "keys fit" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "end"),
    [
        (0, 'rename each by name.removeprefix("encoder.").'),
        (1, 'removeprefix("encoder.") and leave out "x0".'),
        (3, 'removeprefix("encoder.") and leave out "x0" and "x1" and "x2".'),
        (4, 'rename each by name.removeprefix("encoder.").'),
    ],
)
def test_up_to_three_names_are_left_out_by_name(number: int, end: str) -> None:
    net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(4)))
    renamed = {f"encoder.{name}": tensor for name, tensor in net.state_dict().items()}
    save_file(renamed | {f"x{at}": torch.ones(1) for at in range(number)}, "x.st")
    with pytest.raises(RuntimeError) as caught:
        load_parameters(net, "x.st", verify=False)
    assert str(caught.value).endswith(end)


def test_a_zip_archive_that_cannot_be_opened_is_damaged() -> None:
    """It has the end of an archive, which names a place beyond the file."""
    end = b"PK\x05\x06" + bytes(4) + b"\x05\0\x05\0" + b"\xff\0\0\0" + b"\xff\xff\0\0" + bytes(2)
    Path("x.st").write_bytes(bytes(100) + end)
    with pytest.raises(DamagedFileError, match="it is not a safetensors file, or it is damaged"):
        load_parameters(nn.Linear(1, 1), "x.st")


def test_a_checkpoint_gives_the_same_hints() -> None:
    """The hint is given for each of its nets."""
    save_checkpoint("run", 1, net=nn.DataParallel(two()))
    with pytest.raises(RuntimeError, match=r'net: The checkpoint is wrapped: without "module." its keys fit'):
        load_checkpoint("run", net=two())


def test_a_buffer_that_is_none_is_told() -> None:
    """The name exists, but has no tensor to load into."""

    def net(mean: Tensor | None) -> nn.Module:
        layer = nn.Linear(1, 1)
        layer.register_buffer("mean", mean)
        return layer

    save_parameters(net(torch.ones(3)), "x.st")
    with pytest.raises(RuntimeError, match=r'None in current model: "mean". Give it a tensor of the shape'):
        load_parameters(net(None), "x.st")
    assert load_parameters(net(torch.empty(3)), "x.st").mean.tolist() == [1, 1, 1]


def test_the_nearest_names_are_looked_for_in_large_nets_as_well() -> None:
    """Similar names are searched for as many names as time allows, and the message says how many."""
    names = [f"layer{at}" for at in range(2000)]
    save_file({f"{name}.weigth": torch.ones(1) for name in names}, "x.st")
    net = nn.ModuleDict({name: nn.PReLU() for name in names})
    with pytest.raises(RuntimeError) as caught:
        load_parameters(net, "x.st", verify=False)
    assert str(caught.value).count("the nearest is") == 25
    assert str(caught.value).endswith("and 1000 more. (The nearest names are given for the first 25 only.)")


# Sizes that a lazy layer knows.

CONTRADICTIONS: dict[str, tuple[Make, Make, str]] = {
    "outputs": (lambda: nn.Linear(3, 5), lambda: nn.LazyLinear(2), r"weight: .*\[5, 3\]\) from checkpoint, .* is torch.Size\(\[2, \?\]\)"),
    "outputs of our own": (lambda: nn.Linear(3, 5), lambda: MyLazyLinear(2), r"bias: .*\[5\]\) from checkpoint, .* is torch.Size\(\[2\]\)"),
    "channels": (lambda: nn.Conv2d(3, 8, 3), lambda: nn.LazyConv2d(4, 3), r"weight: .*\[8, 3, 3, 3\]\).* is torch.Size\(\[4, \?, 3, 3\]\)"),
    "a kernel": (lambda: nn.Conv2d(3, 4, 5), lambda: nn.LazyConv2d(4, 3), r"weight: .*\[4, 3, 5, 5\]\)"),
    "dimensions": (lambda: nn.Conv1d(3, 4, 3), lambda: nn.LazyConv2d(4, 3), r"weight: .*\[4, 3, 3\]\)"),
    "transposed": (lambda: nn.ConvTranspose2d(3, 8, 3), lambda: nn.LazyConvTranspose2d(4, 3), r"weight: .*\[3, 8, 3, 3\]\).* is torch.Size\(\[\?, 4, 3, 3\]\)"),
    "groups": (lambda: nn.ConvTranspose1d(4, 8, 3), lambda: nn.LazyConvTranspose1d(8, 3, groups=2), r"weight: .* is torch.Size\(\[\?, 4, 3\]\)"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "lazy", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_size_that_a_lazy_layer_knows_is_compared(
    make: Make, lazy: Make, message: str, checkpoint: bool
) -> None:
    """The layer stays lazy. Sizes that the first batch determines can have any value."""
    net = nn.Sequential(lazy())
    if checkpoint:
        save_checkpoint("run", 1, net=nn.Sequential(make()))
        read = partial(load_checkpoint, "run", net=net)
    else:
        save_parameters(nn.Sequential(make()), "x.st")
        read = partial(load_parameters, net, "x.st")
    with pytest.raises(RuntimeError, match=rf"size mismatch for {'net.' * checkpoint}0.{message}"):
        read()
    assert net[0].has_uninitialized_params()


def test_the_tensors_of_a_lazy_norm_have_one_size() -> None:
    """Any size fits if all tensors have it."""
    tensors = nn.BatchNorm1d(3).state_dict()
    save_file(tensors | {"running_var": torch.ones(4)}, "x.st")
    with pytest.raises(
        RuntimeError, match=r"size mismatch for running_var: .*\[4\]\).* is torch.Size\(\[3\]\)"
    ):
        load_parameters(nn.LazyBatchNorm1d(), "x.st", verify=False)


LEARNED: dict[str, tuple[nn.Module, nn.Module, str, Tensor]] = {
    "linear": (nn.Linear(3, 2), nn.LazyLinear(2), "in_features", torch.rand(4, 3)),
    "of our own": (nn.Linear(3, 2), MyLazyLinear(2), "in_features", torch.rand(4, 3)),
    "conv": (nn.Conv2d(6, 4, 3, groups=2), nn.LazyConv2d(4, 3, groups=2), "in_channels", torch.rand(1, 6, 5, 5)),
    "transposed": (nn.ConvTranspose1d(6, 4, 3, groups=2), nn.LazyConvTranspose1d(4, 3, groups=2), "in_channels", torch.rand(1, 6, 5)),
    "batch norm": (nn.BatchNorm2d(3), nn.LazyBatchNorm2d(), "num_features", torch.rand(2, 3, 4, 4)),
    "statistics only": (nn.BatchNorm1d(3, affine=False), nn.LazyBatchNorm1d(affine=False), "num_features", torch.rand(2, 3)),
    "instance norm": (nn.InstanceNorm1d(3, affine=True, track_running_stats=True), nn.LazyInstanceNorm1d(affine=True), "num_features", torch.rand(2, 3, 4)),
}  # fmt: skip


@pytest.mark.parametrize(("made", "lazy", "size", "X"), LEARNED.values(), ids=LEARNED)
def test_a_lazy_layer_learns_its_size_from_a_file(made: Any, lazy: Any, size: str, X: Tensor) -> None:
    """The layer then prints its size, runs, and is no longer lazy."""
    save_parameters(made, "x.st")
    load_parameters(lazy, "x.st")
    assert getattr(lazy, size) == getattr(made, size)
    assert same(lazy.eval()(X), made.eval()(X))
    assert getattr(lazy, size) == getattr(made, size)
    assert "Lazy" not in type(lazy).__name__


def test_a_norm_without_tensors_learns_nothing() -> None:
    """PyTorch does the same: the size of such a layer stays 0 even after the first batch."""
    made, lazy = (
        nn.Sequential(nn.Linear(2, 3), norm(affine=False, track_running_stats=False))
        for norm in (partial(nn.BatchNorm1d, 3), nn.LazyBatchNorm1d)
    )
    save_parameters(made, "x.st")
    load_parameters(lazy, "x.st")
    assert lazy[1].num_features == 0
    X = torch.rand(4, 2)
    assert same(lazy(X), made(X))


# Two tensors under one name, and nets that have no values yet.


def dotted() -> nn.Module:
    net = nn.ModuleDict({"block": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))})
    setattr(net, "block.1", nn.BatchNorm1d(2))
    return net


def test_two_tensors_of_one_name_are_refused() -> None:
    """One tensor would be lost. The error names the child with the dot, and the suggested method works."""
    message = (
        r"two tensors have the name '(net\.)?block.1.weight', of the children 'block' > '1' and 'block.1'"
    )
    net = dotted()
    with pytest.raises(ValueError, match=message):
        save_parameters(net, "x.st")
    with pytest.raises(ValueError, match=message):
        save_checkpoint("run", 1, net=net)
    save_parameters(nn.ModuleDict({"block": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))}), "x.st")
    with pytest.raises(ValueError, match=message):
        load_parameters(net, "x.st")
    delattr(net, "block.1")
    net.set_submodule("block.1", replaced := nn.BatchNorm1d(2))
    save_parameters(net, "x.st")
    assert net["block"][1] is replaced


def test_a_net_without_memory_is_filled_as_the_error_says() -> None:
    """`to_empty` unties tensors, and leaves buffers empty that are in no file."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.scores = nn.Embedding(5, 4), nn.Linear(4, 5, bias=False)
            self.scores.weight = self.table.weight
            self.register_buffer("positions", torch.arange(3.0), persistent=False)

    saved = Net()
    save_parameters(saved, "x.st")
    with torch.device("meta"):
        net = Net()
    with pytest.raises(ValueError, match=r"^cannot load 'table.weight': it is on the meta device") as caught:
        load_parameters(net, "x.st")
    assert str(caught.value).endswith(
        "Call net.to_empty(device=\"cpu\") first, tie 'scores.weight' to 'table.weight' again, "
        "and fill 'positions', which no file has."
    )
    net.to_empty(device="cpu")
    with pytest.raises(RuntimeError, match="tie mismatch"):
        load_parameters(net, "x.st")
    net.scores.weight = net.table.weight
    net.positions.copy_(torch.arange(3.0))
    load_parameters(net, "x.st")
    assert same([*net.state_dict().values()], [*saved.state_dict().values()])
    with pytest.raises(ValueError, match=r'Call net.to_empty\(device="cpu"\) first\.$'):
        load_parameters(nn.Linear(1, 1, device="meta"), "x.st")
    save_checkpoint("run", 1, net=saved)
    with pytest.raises(ValueError, match=r"^cannot load .* Call net.to_empty"):
        load_checkpoint("run", net=Net().to("meta"))


# Files of other kinds.


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def written(write: Callable[[io.BytesIO], Any]) -> bytes:
    write(buffer := io.BytesIO())
    return buffer.getvalue()


def tar(buffer: io.BytesIO) -> None:
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))


@pytest.fixture(scope="module")
def scripted() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return written(partial(torch.jit.save, torch.jit.script(nn.Linear(1, 1))))


INDEX = {
    "metadata": {},
    "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"},
}
KINDS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty: the program that wrote it was stopped"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "a Git LFS pointer: git lfs pull"),
    "HTML": (b"\n<!DOCTYPE html>\n<html lang=en>", "a web page: "),
    "GGUF": (b"GGUF\x03\0\0\0" + bytes(99), "a GGUF file: "),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file: h5py"),
    "ONNX": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:" + bytes(99), "an ONNX model: onnx.load"),
    "TFLite": (b"\x1c\0\0\0TFL3" + bytes(99), "a TensorFlow Lite model: "),
    "npy": (written(lambda file: np.save(file, np.ones(3))), "a NumPy file: numpy.load"),
    "npz": (written(lambda file: np.savez(file, a=np.ones(3))), "a NumPy file: numpy.load"),
    "Keras": (zipped(**{"config.json": b"{}", "model.weights.h5": b""}), "a Keras model: "),
    "zip": (zipped(x=b"1"), "an archive: unpack it first"),
    "gzip": (gzip.compress(b"x"), "a compressed file: unpack it first"),
    "tar": (written(tar), "an archive: unpack it first"),
    "pickle": (pickle.dumps({"a": 1}), "a pickle: pickle.load reads it, and runs the code in it"),
    "index": (json.dumps(INDEX).encode(), "the index of a checkpoint in 2 files: load the tensors of each of them, model-1.safetensors, model-2.safetensors"),
    "JSON without files": (b'{"weight_map": []}', "text, which begins with '{\"weight_map\": []}'"),
    "JSON of other files": (b'{"weight_map": {"a": [1]}}', "text, which begins with '{\"weight_map\": {\"a\": [1]}}'"),
    "a long index": (json.dumps({"weight_map": {n: f"{n}.safetensors" for n in "abcd"}}).encode(), "the index of a checkpoint in 4 files: load the tensors of each of them, a.safetensors, b.safetensors, c.safetensors, ..."),
    "JSON": (b'{"hidden_size": 8}', "text, which begins with '{\"hidden_size\": 8}'"),
    "long text": (b"x" * 99 + b"\nsecond line", f"text, which begins with '{'x' * 60}'"),
    "text": (b"Invalid username or password.", "text, which begins with 'Invalid username or password.'"),
}  # fmt: skip


@pytest.mark.parametrize(
    "read", [load, partial(load_parameters, nn.Linear(2, 1))], ids=["load", "load_parameters"]
)
@pytest.mark.parametrize(("content", "kind"), KINDS.values(), ids=KINDS)
def test_a_file_of_another_kind_is_recognized(content: bytes, kind: str, read: Callable[..., Any]) -> None:
    """The content decides, whatever the file's name is, and the file is not called damaged."""
    for name in ("x.pt", "x.safetensors"):
        Path(name).write_bytes(content)
        with pytest.raises(RuntimeError) as caught:
            read(name)
        assert str(caught.value).startswith(f"cannot load {name}: it is {kind}")
        assert not kind.endswith("'") or str(caught.value).endswith(kind)
        assert "damaged" not in str(caught.value)


def test_each_of_our_readers_names_the_other(scripted: bytes) -> None:
    """The message also names the program for other files that PyTorch writes."""
    net = nn.Linear(2, 1)
    save_parameters(net, "x.pt")
    with pytest.raises(
        RuntimeError, match=r"^cannot load x.pt: it is a safetensors file: load_parameters loads it"
    ):
        load("x.pt")
    for zip_file in (True, False):
        torch.save(net.state_dict(), "x.st", _use_new_zipfile_serialization=zip_file)
        with pytest.raises(
            RuntimeError, match=r"^cannot load x.st: it is a file of torch.save: torch.load reads it"
        ):
            load_parameters(net, "x.st")
    Path("x").write_bytes(scripted)
    torch.export.save(torch.export.export(nn.Linear(1, 1), (torch.ones(1, 1),)), "x.pt2")
    for read in (load, partial(load_parameters, net)):
        with pytest.raises(RuntimeError, match=r"it is a TorchScript archive: torch.jit.load opens it"):
            read("x")
        with pytest.raises(RuntimeError, match=r"it is a torch.export archive: torch.export.load opens it"):
            read("x.pt2")


def test_what_is_cut_off_is_damaged() -> None:
    """A file of the right kind that is incomplete is called damaged."""
    save_parameters(nn.Linear(2, 1), "x.st")
    save(torch.ones(30), "x.pt")
    for read, name in ((partial(load_parameters, nn.Linear(2, 1)), "x.st"), (load, "x.pt")):
        content = Path(name).read_bytes()
        for end in (7, len(content) // 2, len(content) - 1):
            Path(name).write_bytes(content[:end])
            with pytest.raises(RuntimeError, match=r"it is .*damaged"):
                read(name)


def test_a_folder_says_what_it_holds() -> None:
    """The error is still the system's own."""
    save_checkpoint("run", 1, net=nn.Linear(1, 1))
    Path("distributed").mkdir()
    Path("distributed", ".metadata").write_bytes(b"")
    Path("model").mkdir()
    Path("model", "model.safetensors").write_bytes(b"")
    Path("nothing").mkdir()
    for read in (load, partial(load_parameters, nn.Linear(1, 1))):
        for folder, kind in (
            ("run", "Is a directory, a folder of checkpoints: load_checkpoint reads it"),
            (
                "distributed",
                "Is a directory, a distributed checkpoint: torch.distributed.checkpoint.load reads it",
            ),
            ("model", "Is a directory, a folder, with model.safetensors"),
            ("nothing", "Is a directory"),
        ):
            with pytest.raises(IsADirectoryError) as caught:
                read(folder)
            assert (caught.value.strerror, caught.value.filename) == (kind, folder)


def test_a_checkpoint_is_found_by_its_folder() -> None:
    """The path of a file would look like a folder without checkpoints."""
    path = save_checkpoint("run", 5, net=nn.Linear(1, 1))
    with pytest.raises(NotADirectoryError, match="give the folder, and the step as which"):
        load_checkpoint(path, net=nn.Linear(1, 1))


# Wrong arguments.

SLIPS: dict[str, tuple[Callable[[], Any], str]] = {
    "a state_dict": (lambda: save_parameters(nn.Linear(1, 1).state_dict(), "x"), "expected a net, .* but got collections.OrderedDict: pass the net itself"),  # type: ignore[type-var]
    "a path for a net": (lambda: load_parameters(Path("x"), nn.Linear(1, 1)), "expected a net, .* but got .*Path, 'x': the net comes first"),  # type: ignore[type-var, arg-type]
    "a class": (lambda: save_parameters(nn.ReLU, "x"), "expected a net, .* but got the class .*ReLU: call it first"),  # type: ignore[arg-type]
    "a file object": (lambda: save_parameters(nn.ReLU(), io.BytesIO()), "expected a path, .* but got _io.BytesIO: pass the path"),  # type: ignore[arg-type]
    "a file object to read": (lambda: load_parameters(nn.ReLU(), io.BytesIO()), "expected a path, .* but got _io.BytesIO"),  # type: ignore[arg-type]
    "the wrong way around": (lambda: save("x", {"a": 1}), "expected a path, .* but got dict: the path comes after it"),  # type: ignore[arg-type]
    "a net for a path": (lambda: load(nn.ReLU()), "expected a path, .* but got .*ReLU"),  # type: ignore[arg-type]
    "None": (lambda: load_parameters(nn.ReLU(), None), "expected a path, .* but got NoneType"),  # type: ignore[arg-type]
    "no folder": (lambda: save_checkpoint(nn.ReLU(), 1), "expected a path, .* but got .*ReLU"),  # type: ignore[arg-type]
    "no folder to load from": (lambda: load_checkpoint({"net": nn.ReLU()}), "expected a path, .* but got dict"),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), SLIPS.values(), ids=SLIPS)
def test_a_slip_is_told(call: Callable[[], Any], message: str, folder: Path) -> None:
    """The error names the wrong argument and the expected one, and no file is created."""
    with pytest.raises(TypeError, match=f"^{message}"):
        call()
    assert list(folder.iterdir()) == []
