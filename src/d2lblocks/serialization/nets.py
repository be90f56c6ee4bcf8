"""The parameters and buffers of a net in a safetensors file: all of them are loaded, or none."""

import difflib
import os
from collections.abc import Collection, Hashable, Iterator, Mapping
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from d2lblocks._tensors import identity, named_tensors

from .changes import _uninterrupted
from .files import _Path, _replacing
from .tensors import _Content, _has_code, _reading, _write

_Net = TypeVar("_Net", bound=nn.Module)


def save_parameters(net: nn.Module, path: _Path) -> None:
    """Write a net's parameters and buffers to a safetensors file, by their names in `state_dict`.

    A shared tensor is written once, and its other names are kept in the file's metadata.
    Buffers with `persistent=False` are left out.

    The file has a checksum of everything in its metadata, which `load_parameters` compares.
    The file at `path` is replaced at once, when the new one is complete.
    A tensor that is on another device is in the CPU's memory while it is written.

    Args:
        net: any module.
        path: the file; a link stays, and the file that it leads to is replaced.

    Raises:
        ValueError: when a tensor is lazy or on the meta device, and so has no values.
        TypeError: when a tensor is of a kind that the format does not have,
            or the state has an entry that is no parameter and no buffer.
        OSError: when the file cannot be written; an older one is as it was.

    Examples:
        ```python
        from safetensors.torch import load_file
        from d2lblocks import MLP, save_parameters

        save_parameters(MLP(20), "mlp.safetensors")
        print(sorted(load_file("mlp.safetensors")))
        #> ['hidden.bias', 'hidden.weight', 'out.bias', 'out.weight']
        ```
    """
    tensors, ties = _storable(_state(net))
    with _replacing(path) as file:
        _write(file, tensors, ties)


def load_parameters(net: _Net, path: _Path, *, cast: bool = False, verify: bool = True) -> _Net:
    """Read a net's parameters and buffers from a safetensors file, all of them or none.

    Everything is checked before the first value changes.
    The tensors stay the same objects, where they are: what shares them, and an optimizer that holds them,
    see the new values. Lazy parameters get their shapes from the file;
    a layer such as `nn.LazyLinear` keeps its class until its first call.

    Args:
        net: a module with the names, shapes, types and shared tensors of the one that was saved.
        path: the file, from `save_parameters` or another program.
        cast: whether values of another type are cast to the net's, as from float64 to float32;
            complex numbers do not become real ones, nor fractions whole ones.
        verify: whether everything is compared with the checksums of the file, which reads it once more.
            A file of another program has none, and needs `verify=False`.

    Returns:
        the net.

    Raises:
        RuntimeError: when the file does not fit the net, with all that does not. The net is as it was.
        DamagedFileError: when the file is no safetensors file, is damaged, or cannot be verified.
            It is a RuntimeError, too, and the net is as it was.
        ValueError: when the net is on the meta device.
        TypeError: when the net holds a tensor of a kind that the format does not have.
        OSError: when there is no such file, or it cannot be read.

    Examples:
        ```python
        import torch
        from d2lblocks import MLP, load_parameters, save_parameters

        net, X = MLP(20), torch.rand(2, 20)
        save_parameters(net, "mlp.safetensors")
        clone = load_parameters(MLP(20), "mlp.safetensors")
        print(torch.equal(clone(X), net(X)))
        #> True
        ```
    """
    state = _loadable(_state(net))
    with _reading(path) as file:
        if verify and (file.names == state.keys() or file.checksums is None):
            file.verify()
        problems, pairs = _compare(state, file, cast)
        if problems := [*_wrong_names(file.names, state), *problems]:
            head = f"Error(s) in loading parameters for {type(net).__name__} from {os.fspath(path)}:"
            raise _misfit(head, problems)
        _fill(pairs)
    return net


def _misfit(head: str, problems: list[str]) -> RuntimeError:
    """An error that lists all problems, or as many as fit into a megabyte."""
    return RuntimeError("\n\t".join([head, *problems])[:1_000_000])


def _storable(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors by their first names, and their first names by their further ones."""
    if lazy := [name for name, tensor in state.items() if is_lazy(tensor)]:
        names = ", ".join(map(repr, lazy))
        raise ValueError(f"cannot save {names}: not initialised yet, the shapes come with the first batch")
    for name, tensor in state.items():
        if tensor.is_meta:
            raise ValueError(f"cannot save '{name}': it is on the meta device, and has no values")
        if not _has_code(tensor.dtype):
            raise TypeError(f"cannot save '{name}': safetensors has no {tensor.dtype}")
    first = _first_names(state)
    ties = {name: known for name, known in first.items() if name != known}
    return {name: state[name] for name in state if name not in ties}, ties


def _loadable(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same, if all tensors have memory, or will have."""
    for name, tensor in state.items():
        if tensor.device.type == "meta":
            remedy = 'call net.to_empty(device="cpu") first'
            raise ValueError(f"cannot load '{name}': it is on the meta device, without memory: {remedy}")
    return state


def _compare(
    state: Mapping[str, Tensor], file: _Content, cast: bool = False
) -> tuple[list[str], list[tuple[Tensor, Tensor]]]:
    """What does not fit of the tensors that both have, and what is to be copied where, each tensor once."""
    first = _first_names(state)
    stored = {name: file[name] for name in state if name in file.names}
    copies = {name: (state[name], stored[name]) for name in stored if first[name] == name}
    problems = list(_wrong_tensors(stored, file.ties, state, first, cast)) or list(_wrong_overlaps(copies))
    return problems, list(copies.values())


def _state(net: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """A net's own parameters and persistent buffers, by name; an error if there is more to its state."""
    own = {id(tensor) for _, tensor in named_tensors(net)}
    state: dict[str, Tensor] = {prefix + name: t for name, t in net.state_dict(keep_vars=True).items()}
    for name, tensor in state.items():
        if id(tensor) not in own:
            raise TypeError(
                f"'{name}' is no parameter and no buffer, and a file of those has no place for it"
            )
        if is_lazy(tensor):
            continue
        wrapper = hasattr(tensor, "__tensor_flatten__")  # such as a DTensor, whose values are elsewhere
        if wrapper or tensor.layout is not torch.strided or tensor.is_quantized:
            kind = f"{type(tensor).__name__} of {tensor.layout} and {tensor.dtype}"
            raise TypeError(f"'{name}' is a tensor of a kind that safetensors does not have: {kind}")
    return state


def _first_names(state: Mapping[str, Tensor]) -> dict[str, str]:
    """For each name the first name of the same tensor."""
    known: dict[Hashable, str] = {}
    first = {name: known.setdefault(identity(tensor), name) for name, tensor in state.items()}
    for name, other in first.items():
        if name != other and not is_lazy(state[name]) and _view(state[name]) != _view(state[other]):
            raise TypeError(
                f"'{name}' is another view of the memory of '{other}', such as its transpose, "
                "which a file cannot tell: share the tensor itself"
            )
    return first


def _view(tensor: Tensor) -> Hashable:
    strides = [stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1]
    return tensor.shape, tuple(strides), tensor.is_conj(), tensor.is_neg()


def _is_read_only(tensor: Tensor) -> bool:
    """Whether several values have one place, or torch writes to the tensor only alone."""
    if tensor.is_conj() or tensor.is_neg():
        return True
    if tensor.is_contiguous():  # as nearly all are, and all without values
        return False
    return any(n > 1 and stride == 0 for n, stride in zip(tensor.shape, tensor.stride(), strict=True))


def _wrong_names(there: Collection[str], here: Collection[str]) -> Iterator[str]:
    there, wanted = set(there), set(here)
    missing = [name for name in here if name not in there]
    unexpected = sorted(there - wanted)
    # Comparing all with all takes its time.
    few = sum(map(len, missing)) * sum(map(len, unexpected)) < 10_000_000
    if missing:
        yield f"Missing key(s): {_listed(missing, [])}."
    if unexpected:
        yield f"Unexpected key(s): {_listed(unexpected, missing if few else [])}."
    for wrapper in ("module", "_orig_mod") if missing and len(there) == len(wanted) else ():
        if {f"{wrapper}.{name}" for name in wanted} == there:
            yield f'The checkpoint is wrapped: without "{wrapper}." its keys fit. Save net.{wrapper}.'
        if {f"{wrapper}.{name}" for name in there} == wanted:
            yield f'The current model is wrapped: without "{wrapper}." its keys fit. Load into net.{wrapper}.'


def _listed(names: list[str], others: list[str]) -> str:
    """All names, or as many as one would read, each with the nearest of the others."""
    near = [difflib.get_close_matches(name, others, n=1) if others else [] for name in names[:1000]]
    texts = [
        f'"{name}"' + "".join(f' (the nearest is "{other}")' for other in nearest)
        for name, nearest in zip(names, near, strict=False)
    ]
    return ", ".join(texts + [f"and {len(names) - 1000} more"] * (len(names) > 1000))


def _wrong_tensors(
    stored: Mapping[str, Tensor],
    stored_ties: Mapping[str, str],
    state: Mapping[str, Tensor],
    first: Mapping[str, str],
    cast: bool,
) -> Iterator[str]:
    known: tuple[dict[str, str], dict[str, str]] = {}, {}
    for name in state:
        if name not in stored:
            continue
        new, old = stored[name], state[name]
        if not is_lazy(old) and new.shape != old.shape:
            shapes = f"{new.shape} from checkpoint, the shape in current model is {old.shape}"
            yield f"size mismatch for {name}: copying a param with shape {shapes}."
        if new.dtype != old.dtype and not (cast and torch.can_cast(new.dtype, old.dtype)):
            remedy = ": cast=True casts" if torch.can_cast(new.dtype, old.dtype) else ""
            types = f"{new.dtype} in checkpoint, {old.dtype} in current model"
            yield f"dtype mismatch for {name}: {types}{remedy}."
        if not is_lazy(old) and _is_read_only(old):
            yield f"cannot write to {name}: it is an expanded or conjugate view. Give the net a clone of it."
        ties = known[0].setdefault(stored_ties.get(name, name), name), known[1].setdefault(first[name], name)
        if ties[0] != ties[1]:
            texts = ["on its own" if tie == name else f"the same tensor as {tie}" for tie in ties]
            yield f"tie mismatch for {name}: {texts[0]} in checkpoint, {texts[1]} in current model."


def _wrong_overlaps(copies: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[str]:
    """Tensors that share a part of their memory, such as two slices, and cannot all get their values."""
    memories: dict[int, list[str]] = {}
    for name, (old, _) in copies.items():
        if not is_lazy(old) and old.numel():
            memories.setdefault(old.untyped_storage()._cdata, []).append(name)
    for names in memories.values():
        if len(names) == 1:
            continue
        spans = sorted(_span(copies[name][0]) for name in names)
        if any(end > start for (_, end), (start, _) in pairwise(spans)):
            yield from _lost_values({name: copies[name] for name in names})


def _span(tensor: Tensor) -> tuple[int, int]:
    """The first byte of a tensor in its memory, and the one after the last."""
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    first = int(tensor.storage_offset())
    return first * tensor.itemsize, (first + int(reach) + 1) * tensor.itemsize


def _lost_values(copies: Mapping[str, tuple[Tensor, Tensor]]) -> Iterator[str]:
    """Copy into a copy of the memory, and see what is there in the end."""
    memory: Any = next(iter(copies.values()))[0].untyped_storage()
    memory = memory.clone()
    views = {
        name: torch.empty(0, dtype=old.dtype, device=old.device)
        .set_(memory, old.storage_offset(), old.shape, old.stride())
        .copy_(new)
        for name, (old, new) in copies.items()
    }
    for name, view in views.items():
        there, wanted = (t.contiguous().flatten().view(torch.uint8) for t in (view, copies[name][1].to(view)))
        if not torch.equal(there, wanted):
            texts = "of its own in checkpoint, in part the same memory as another in current model"
            yield f"tie mismatch for {name}: {texts}."


def _fill(pairs: list[tuple[Tensor, Tensor]]) -> None:
    """Write the second of each pair into the first, which gets its shape if it is lazy."""
    if not pairs:
        return
    lazy: list[tuple[Any, type[Tensor]]] = [(old, type(old)) for old, _ in pairs if is_lazy(old)]
    with _uninterrupted():
        try:
            with torch.inference_mode(False), torch.no_grad():  # or they could not be trained later
                for old, new in pairs:
                    if is_lazy(old):
                        old.materialize(new.shape)
            # Inference mode writes to all tensors, also to those that were made in it, and autograd notices.
            with torch.inference_mode():
                torch._foreach_copy_([old for old, _ in pairs], [new for _, new in pairs])
        except BaseException:
            for tensor, kind in lazy:
                tensor.data = torch.empty(0, device=tensor.device, dtype=tensor.dtype)
                tensor.__class__ = kind
            raise
