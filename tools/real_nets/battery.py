"""The checks of each net: the functions of the package, compared with torch and safetensors."""

import copy
import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from d2lblocks import (
    apply_init,
    get_tensor,
    init_by_type,
    load_parameters,
    parameter_table,
    save_parameters,
    set_tensor,
    shared_names,
    uninitialized_names,
)
from tools.real_nets.digests import difference, digest, look, seed, tensors
from tools.real_nets.libraries import Inputs, RealNet
from tools.real_nets.resuming import Training, resume
from tools.real_nets.runs import BUILD, NotTried, Report

STEPS = 2  # of training, before a checkpoint and after it


class Tried:
    """A net, its inputs, and a twin: a similar net to load into."""

    def __init__(self, real_net: RealNet) -> None:
        self.real_net = real_net
        self.as_built = self.build()
        self.lazy = any(map(is_lazy, tensors(self.as_built).values()))
        self.error: Exception | None = None
        self.example: Inputs = ((), {})
        try:
            self.example = real_net.inputs(self.build() if self.lazy else self.as_built)
        except Exception as error:
            self.error = error

    def build(self) -> nn.Module:
        """A new net, always with the same values; its lazy parts are still lazy."""
        seed(0)
        return self.real_net.build()

    def with_sizes(self) -> nn.Module:
        """A new net whose tensors all have their sizes."""
        net = self.build()
        if self.lazy:
            with torch.no_grad():
                self.call(net.eval())
        return net.train()

    @cached_property
    def net(self) -> nn.Module:
        return self.with_sizes() if self.lazy else self.as_built

    @cached_property
    def kept_twin(self) -> nn.Module:
        return self.with_sizes()

    def twin(self) -> nn.Module:
        """The twin, always with the same values, which differ from the net's."""
        change_values(self.kept_twin)
        return self.kept_twin

    def inputs(self) -> Inputs:
        if self.error:
            raise NotTried(f"cannot be called: {self.error}")
        return copy.deepcopy(self.example)

    def call(self, net: nn.Module) -> Any:
        args, kwargs = self.inputs()
        return net(*args, **kwargs)

    def outputs(self, net: nn.Module) -> Any:
        """A digest of the outputs in evaluation mode. Afterwards the net is in training mode."""
        seed(1)
        with torch.no_grad():
            found = digest(tree_leaves(self.call(net.eval())))
        net.train()
        return found


def change_values(net: nn.Module) -> None:
    """Change all saved values, so that a value that loading omits is noticed."""
    try:
        saved = net.state_dict(keep_vars=True)
    except Exception as error:
        raise NotTried(f"its own state_dict fails: {error}") from error
    with torch.no_grad():
        for tensor in {id(tensor): tensor for tensor in saved.values()}.values():
            if isinstance(tensor, Tensor) and tensor.numel() and not tensor.is_meta:
                tensor.copy_(tensor == 0 if tensor.dtype is torch.bool else tensor + 1)


def battery(real_net: RealNet, report: Report) -> None:
    """Run all checks on a net, and report each one."""
    tried: Tried | None = None
    with report(BUILD):
        tried = Tried(real_net)
    if tried is None:
        return
    for name, check in CHECKS.items():
        with report(name):
            check(tried)


def table(tried: Tried) -> None:
    """The rows have the right names, and the totals count each tensor once."""
    named = tensors(tried.as_built)
    once = {id(tensor): tensor for tensor in named.values() if not is_lazy(tensor)}.values()
    shown = parameter_table(tried.as_built)
    assert {row.name for row in shown} == named.keys(), "other names"
    assert shown.values == sum(tensor.numel() for tensor in once), "other number of values"
    parameters = [p for p in tried.as_built.parameters() if p.requires_grad and not is_lazy(p)]
    assert shown.trainable_values == sum(p.numel() for p in parameters), "other number of trainable values"
    assert shown.bytes == sum(tensor.numel() * tensor.element_size() for tensor in once), (
        "other number of bytes"
    )
    saved = {id(tensor) for tensor in tried.as_built.state_dict(keep_vars=True).values()}
    buffers = dict(tried.as_built.named_buffers(remove_duplicate=False))
    for row in shown:
        kind = "buffer" if id(named[row.name]) in saved else "buffer, not saved"
        kind = kind if row.name in buffers else "parameter"
        assert row.kind == kind, f"{row.name} is listed as {row.kind}"
    assert len(str(shown).splitlines()) == shown._repr_html_().count("<tr>") == len(shown) + 3


def shared(tried: Tried) -> None:
    """The groups contain the names of the same objects."""
    groups: defaultdict[int, set[str]] = defaultdict(set)
    for name, tensor in tensors(tried.as_built).items():
        groups[id(tensor)].add(name)
    expected = {frozenset(names) for names in groups.values() if len(names) > 1}
    assert set(map(frozenset, shared_names(tried.as_built))) == expected


def by_name(tried: Tried) -> None:
    """Each tensor is found, can be set, and stays the same object; the lazy ones are listed."""
    net = tried.as_built
    named = tensors(net)
    assert uninitialized_names(net) == [name for name, tensor in named.items() if is_lazy(tensor)]
    before = look(net)
    for name, tensor in named.items():
        assert get_tensor(net, name) is tensor
        if not is_lazy(tensor):
            assert set_tensor(net, name, tensor.detach().clone()) is tensor
    assert not (found := difference(before, look(net))), found


def round_trip(tried: Tried) -> None:
    """Loading restores all bits in the same objects, safetensors reads the file, and outputs are equal."""
    net, twin = tried.net, tried.twin()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.safetensors")
        save_parameters(net, path)
        state = net.state_dict(keep_vars=True)
        for name, tensor in load_file(path).items():
            assert digest(tensor) == digest(state[name]), f"safetensors reads another '{name}'"
        check_loading(net, twin, lambda: load_parameters(twin, path))
    if not tried.error:
        expected = tried.outputs(net)
        # The net itself may give different outputs each time.
        assert tried.outputs(twin) == expected or tried.outputs(net) != expected, "other outputs"


def check_loading(net: nn.Module, twin: nn.Module, load: Callable[[], object]) -> None:
    """The twin gets the values of the net, and nothing else changes."""
    before = {name: (id(t), t.requires_grad, t.stride()) for name, t in tensors(twin).items()}
    load()
    after = {name: (id(t), t.requires_grad, t.stride()) for name, t in tensors(twin).items()}
    assert not (found := difference(before, after)), f"other tensors: {found}"
    saved = digest(net.state_dict()), digest(twin.state_dict())
    assert not (found := difference(*saved)), f"other values: {found}"


def other_files(tried: Tried) -> None:
    """A file of safetensors' save_model can be loaded, and its load_model can load ours."""
    net, twin = tried.net, tried.twin()
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = Path(folder, "theirs"), Path(folder, "ours")
        try:
            save_model(net, str(theirs))
            load_model(tried.twin(), str(theirs))
        except Exception as error:
            raise NotTried(f"safetensors cannot do it by itself: {error}") from error
        check_loading(net, tried.twin(), lambda: load_parameters(twin, theirs, verify=False))
        save_parameters(net, ours)
        load_model(tried.twin(), str(ours))
        saved = digest(net.state_dict()), digest(twin.state_dict())
        assert not (found := difference(*saved)), f"load_model reads other values: {found}"


def pretrained_files(tried: Tried) -> None:
    """A file of save_pretrained can be loaded, although it omits further names of shared tensors."""
    net, twin = tried.net, tried.twin()
    if not hasattr(net, "save_pretrained"):
        raise NotTried("it has no save_pretrained")
    with tempfile.TemporaryDirectory() as folder:
        try:
            net.save_pretrained(folder)
            (path,) = Path(folder).glob("*.safetensors")
            load_model(twin, str(path))
        except Exception as error:
            raise NotTried(f"safetensors' load_model does not read it either: {error}") from error
        check_loading(net, tried.twin(), lambda: load_parameters(twin, path, verify=False))


def refusals(tried: Tried) -> None:
    """Files that do not fit or are damaged are refused, and the net stays as it was."""
    net, twin = tried.net, tried.twin()
    with tempfile.TemporaryDirectory() as folder:
        path, bad = Path(folder, "net.safetensors"), Path(folder, "bad.safetensors")
        save_parameters(net, path)
        content, state = path.read_bytes(), load_file(path)
        name = next((name for name, tensor in state.items() if tensor.numel()), None)
        if name is None:
            raise NotTried("the net has no tensor with values")
        values = state[name]
        others: dict[str, dict[str, Tensor]] = {
            "missing": {key: tensor for key, tensor in state.items() if key != name},
            "extra": {**state, "extra.name": torch.zeros(1)},
            "shape": {**state, name: torch.zeros(values.numel() + 1, dtype=values.dtype)},
            "dtype": {
                **state,
                name: values.to(torch.int16 if values.dtype is torch.float64 else torch.float64),
            },
        }
        before = look(twin)

        def refused(what: str, verify: bool) -> None:
            try:
                load_parameters(twin, bad, verify=verify)
            except RuntimeError:
                pass
            else:
                raise AssertionError(f"{what}: not refused")
            assert not (found := difference(before, look(twin))), f"{what}: changed: {found}"

        for what, tensors_of_file in others.items():
            save_file(tensors_of_file, bad)
            refused(what, verify=False)
        save_file(state, bad)
        refused("unverified", verify=True)
        bad.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        refused("damaged", verify=True)
        bad.write_bytes(content[: len(content) // 2])
        refused("cut", verify=True)


KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding, nn.LayerNorm)


def types(tried: Tried) -> None:
    """Rules fill only the layers of their types, the report is right, and an error undoes them."""
    net = tried.twin()
    layers, skip = layers_by_type(net)
    there = [kind for kind in KINDS if any(isinstance(layer, kind) for layer in layers)]
    if not there:
        raise NotTried("it has no layer of the types of the rules")
    weights = {id(layer.weight) for layer in layers}
    kept = {name: digest(t) for name, t in tensors(net).items() if id(t) not in weights}
    told = init_by_type(net, {kind: {"weight": fill} for kind in there}, skip=skip)
    assert list(told) == [name for name, _ in net.named_parameters(remove_duplicate=False)]
    padding = {(id(layer.weight), getattr(layer, "padding_idx", None)) for layer in layers}
    for name, tensor in tensors(net).items():
        if id(tensor) in weights:
            expected = torch.full_like(tensor, 0.5)
            for row in [row for weight, row in padding if weight == id(tensor) and row is not None]:
                expected[row] = 0
            assert torch.equal(tensor, expected), f"'{name}' is not filled"
            assert told.get(name, "fill") == "fill", f"'{name}' is told to be {told[name]}"
    assert not (found := difference(kept, {name: digest(tensors(net)[name]) for name in kept})), found
    filled = 0

    def fail(tensor: Tensor) -> Tensor:
        nonlocal filled
        filled += 1
        if filled == min(2, len(weights)):
            raise KeyError("of the caller")
        return nn.init.normal_(tensor)

    before = look(net)
    try:
        init_by_type(net, {kind: {"weight": fail} for kind in there}, skip=skip)
    except KeyError:
        assert not (found := difference(before, look(net))), f"not undone: {found}"
    else:
        raise AssertionError("the error of the rule is lost")


def layers_by_type(net: nn.Module) -> tuple[list[nn.Module], list[str]]:
    """The layers whose weights can be filled by rules, and the names of those whose weight is computed."""
    named = [(name, m) for name, m in net.named_modules(remove_duplicate=False) if isinstance(m, KINDS)]
    skip = [name for name, module in named if "weight" not in module._parameters]
    inside = tuple(f"{name}." for name in skip)
    layers = [m for name, m in named if name not in skip and not name.startswith(inside)]
    return [layer for layer in layers if layer.weight is not None], skip


def fill(tensor: Tensor) -> Tensor:
    return nn.init.constant_(tensor, 0.5)


def dry_run(tried: Tried) -> None:
    """A net with sizes stays as it was, and a lazy net is initialized if a plain call initializes it."""
    args, kwargs = tried.inputs()
    net = tried.build()
    given = digest(tree_leaves((args, kwargs)))
    if tried.lazy:
        plain = tried.build()
        with torch.no_grad():
            tried.call(plain.eval())
        if uninitialized_names(plain):
            raise NotTried("a plain call does not initialize it either")
        apply_init(net, *args, **kwargs)
        shapes = {name: tensor.shape for name, tensor in tensors(plain).items()}
        assert {name: tensor.shape for name, tensor in tensors(net).items()} == shapes, "other shapes"
    else:
        before = look(net)
        apply_init(net, *args, **kwargs)
        assert not (found := difference(before, look(net))), found
    assert digest(tree_leaves((args, kwargs))) == given, "other inputs"


def checkpoint(tried: Tried) -> None:
    """A run with AdamW and a scheduler continues from a checkpoint like a run that was not stopped."""
    tried.inputs()

    def make(number: int) -> Training:
        net = tried.with_sizes()
        if number:
            change_values(net)
        trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
        if not trained:
            raise NotTried("nothing to train")
        optimizer = torch.optim.AdamW(trained, lr=1e-3)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=2 * STEPS + 1)

        def step() -> None:
            optimizer.zero_grad()
            leaves = [leaf for leaf in tree_leaves(tried.call(net)) if isinstance(leaf, Tensor)]
            sum(leaf.float().square().mean() for leaf in leaves if leaf.grad_fn).backward()
            optimizer.step()
            scheduler.step()

        return Training({"net": net, "optimizer": optimizer, "scheduler": scheduler}, step)

    resume(make, STEPS)


CHECKS: dict[str, Callable[[Tried], None]] = {
    "parameter_table": table,
    "shared_names": shared,
    "get_tensor, set_tensor": by_name,
    "save_parameters": round_trip,
    "save_model": other_files,
    "save_pretrained": pretrained_files,
    "refusals": refusals,
    "init_by_type": types,
    "apply_init": dry_run,
    "save_checkpoint": checkpoint,
}
