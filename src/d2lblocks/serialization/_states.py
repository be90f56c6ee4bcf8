"""The named tensors of a net, compared with those of a file: what does not fit, and what is copied where."""

import difflib
from collections.abc import Collection, Hashable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from d2lblocks._tensors import identity, named_tensors, span_in_storage

from ._changes import uninterrupted
from ._format import FileContent, has_code
from ._renaming import renaming_hints

State = Mapping[str, Tensor]
Copy = tuple[Tensor, Tensor]  # a tensor of a net, and the tensor of a file with its new values


def named_state(net: nn.Module, prefix: str = "", extra: dict[str, Any] | None = None) -> dict[str, Tensor]:
    """The net's own parameters and persistent buffers, by name.

    All other entries of its `state_dict` are added to `extra`. If `extra` is None, they are an error.
    """
    own = {id(tensor) for _, tensor in named_tensors(net)}
    state: dict[str, Tensor] = {}
    for key, tensor in net.state_dict(keep_vars=True).items():
        name = prefix + key
        if id(tensor) not in own:
            if extra is None:
                raise TypeError(
                    f"'{name}' is neither a parameter nor a buffer, so this file cannot hold it: "
                    "save_checkpoint saves it"
                )
            extra[name] = tensor
            continue
        state[name] = tensor
        if is_lazy(tensor):
            continue
        wrapper = hasattr(tensor, "__tensor_flatten__")  # e.g. a DTensor, which stores its values elsewhere
        if wrapper or tensor.layout is not torch.strided or tensor.is_quantized:
            kind = f"{type(tensor).__name__} of {tensor.layout} and {tensor.dtype}"
            raise TypeError(f"'{name}' is a tensor of a kind that safetensors does not have: {kind}")
    _check_names(net, prefix, state)
    return state


def _check_names(net: nn.Module, prefix: str, state: State) -> None:
    """Raise an error if two tensors have the same name: the state contains only one of them."""
    for key, tensor in named_tensors(net):
        if (other := state.get(name := prefix + key)) is not None and other is not tensor:
            owners = [" > ".join(map(repr, way)) for way in _ways(net, key.rpartition(".")[0])]
            raise ValueError(
                f"two tensors have the name '{name}', of the children {' and '.join(owners)}. "
                "No child may have a dot in its name: net.set_submodule replaces the child at a path"
            )


def _ways(module: nn.Module, path: str) -> Iterator[list[str]]:
    """Yield the names of the children along a path; there are several ways if a name contains a dot."""
    for name, child in module._modules.items():
        if name == path:
            yield [name]
        elif child is not None and path.startswith(f"{name}."):
            yield from ([name, *way] for way in _ways(child, path.removeprefix(f"{name}.")))


def check_storable(state: State) -> None:
    """Raise an error if a tensor has no values, or has a type that the format does not support."""
    if lazy := [name for name, tensor in state.items() if is_lazy(tensor)]:
        names = ", ".join(map(repr, lazy))
        raise ValueError(f"cannot save {names}: not initialized yet, the shapes come with the first batch")
    for name, tensor in state.items():
        if tensor.is_meta:
            raise ValueError(f"cannot save '{name}': it is on the meta device, and has no values")
        if not has_code(tensor.dtype):
            raise TypeError(f"cannot save '{name}': safetensors has no {tensor.dtype}")


def check_loadable(state: State, net: nn.Module) -> None:
    """Raise an error if a tensor has no memory and loading would not give it any."""
    for name, tensor in state.items():
        if tensor.device.type == "meta":
            raise ValueError(
                f"cannot load '{name}': it is on the meta device, without memory. "
                f'Call net.to_empty(device="cpu") first{_left_to_do(net)}'
            )


def _left_to_do(net: nn.Module) -> str:
    """The end of a message: the steps that are needed after `to_empty` in addition to loading."""
    saved = {id(tensor) for tensor in net.state_dict(keep_vars=True).values()}
    names: dict[int, list[str]] = {}
    for name, tensor in named_tensors(net):
        names.setdefault(id(tensor), []).append(name)
    unsaved = [repr(each[0]) for key, each in names.items() if key not in saved]
    ties = [f"{other!r} to {first!r}" for first, *others in names.values() for other in others]
    tie = f", tie {', '.join(ties)} again" if ties else ""
    fill = f", and fill {', '.join(unsaved)}, which no file has" if unsaved else ""
    return f"{tie}{fill}."


def split_ties(state: State) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Split a state: the tensors by their first names, and a dict from further names to first names."""
    return _split(state, _first_names(state))


def split_copies(state: State) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Split a state that is only read. Different views of the same memory are stored as separate tensors."""
    known: dict[Hashable, str] = {}
    first = {name: known.setdefault((identity(t), _view(t)), name) for name, t in state.items()}
    return _split(state, first)


def _split(state: State, first: Mapping[str, str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    ties = {name: known for name, known in first.items() if name != known}
    return {name: state[name] for name in state if name not in ties}, ties


def compare(file: FileContent, state: State, cast: bool | None = None) -> tuple[list[str], list[Copy]]:
    """Compare the tensors that both have: return the problems, and the copies to make, one for each tensor.

    `cast` says whether other types are cast; None means that the caller does not offer this choice.
    """
    first = _first_names(state)
    stored = {name: file[name] for name in state if name in file.names}
    name_of: dict[str, str] = {}  # for each tensor of the net, its first name that is in the file
    for name in stored:
        name_of.setdefault(first[name], name)
    copies = {name: (state[name], stored[name]) for name in name_of.values()}
    problems = [*_tensor_problems(stored, file.ties, state, first, cast)] or [*_overlap_problems(copies)]
    return problems, [*copies.values()]


def untold_names(file: FileContent, state: State) -> set[str]:
    """The names that a file of another program omits because it has the same tensor under another name.

    Some libraries write a shared tensor once, and do not write its other names to the file.
    """
    if file.checksums is not None:
        return set()
    first = _first_names(state)
    there = {first[name] for name in state if name in file.names}
    return {name for name in state if name not in file.names and first[name] in there}


def compare_names(there: Collection[str], here: Collection[str], net: nn.Module) -> Iterator[str]:
    """Yield messages about the names that only the file or only the net has, with possible explanations."""
    there, wanted = set(there), set(here)
    missing = [name for name in here if name not in there]
    unexpected = sorted(there - wanted)
    if not missing and not unexpected:
        return
    if missing:
        yield f"Missing key(s): {_listed(missing, [])}"
    if unexpected:
        yield f"Unexpected key(s): {_listed(unexpected, missing)}"
    if empty := {*unexpected} & {*_empty_names(net)}:
        names = ", ".join(f'"{name}"' for name in sorted(empty))
        yield f"None in current model: {names}. Give it a tensor of the shape in checkpoint before loading."
    yield from renaming_hints(there, wanted)


def _empty_names(net: nn.Module) -> Iterator[str]:
    """Yield the names of parameters and buffers that are None."""
    for path, module in net.named_modules():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is None:
                yield f"{path}.{name}".removeprefix(".")


def misfit(head: str, problems: list[str]) -> RuntimeError:
    """An error that lists all problems, or as many as fit into a million characters."""
    return RuntimeError("\n\t".join([head, *problems])[:1_000_000])


def fill(copies: list[Copy]) -> None:
    """Write new values into old tensors; lazy tensors get their shapes from the new values."""
    if not copies:
        return
    lazy: list[tuple[Any, type[Tensor]]] = [(old, type(old)) for old, _ in copies if is_lazy(old)]
    with uninterrupted():
        try:
            # In inference mode they would become inference tensors, which cannot be trained.
            with torch.inference_mode(False), torch.no_grad():
                for old, new in copies:
                    if is_lazy(old):
                        old.materialize(new.shape)
            # Inference mode can write to all tensors, also to inference tensors, and autograd still notices.
            with torch.inference_mode():
                torch._foreach_copy_([old for old, _ in copies], [new for _, new in copies])
        except BaseException:
            for tensor, kind in lazy:
                tensor.data = torch.empty(0, device=tensor.device, dtype=tensor.dtype)
                tensor.__class__ = kind
            raise


def _first_names(state: State) -> dict[str, str]:
    """For each name, the first name of the same tensor."""
    known: dict[Hashable, str] = {}
    first = {name: known.setdefault(identity(tensor), name) for name, tensor in state.items()}
    for name, other in first.items():
        if name != other and not is_lazy(state[name]) and _view(state[name]) != _view(state[other]):
            raise TypeError(
                f"'{name}' is another view of the memory of '{other}', such as its transpose, "
                "which a file cannot record: keep one parameter, and transpose it in forward"
            )
    return first


def _view(tensor: Tensor) -> Hashable:
    strides = [stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if size > 1]
    return tensor.shape, tuple(strides), tensor.is_conj(), tensor.is_neg()


def _listed(names: list[str], others: list[str]) -> str:
    """The names, at most 1,000. The first ones come with the most similar name among the others."""
    texts = [f'"{name}"' for name in names[:1000]]
    # Limit the number of comparisons, which would take too long for large nets.
    compared = min(len(texts), 50_000 // len(others)) if others else len(texts)
    for at, name in enumerate(names[:compared]):
        for near in difflib.get_close_matches(name, others, n=1):
            texts[at] += f' (the nearest is "{near}")'
    few = f" (The nearest names are given for the first {compared} only.)" if compared < len(texts) else ""
    if len(names) > 1000:
        texts.append(f"and {len(names) - 1000} more")
    return f"{', '.join(texts)}.{few}"


def _tensor_problems(
    stored: State,
    stored_ties: Mapping[str, str],
    state: State,
    first: Mapping[str, str],
    cast: bool | None,
) -> Iterator[str]:
    """Yield the problems of each tensor: its shape, its type, whether it is writable, and its ties."""
    first_there: dict[str, str] = {}
    first_here: dict[str, str] = {}
    for name in state:
        if name not in stored:
            continue
        new, old = stored[name], state[name]
        if not is_lazy(old) and new.shape != old.shape:
            shapes = f"{new.shape} from checkpoint, the shape in current model is {old.shape}"
            yield f"size mismatch for {name}: copying a param with shape {shapes}."
        if new.dtype != old.dtype and not (cast and torch.can_cast(new.dtype, old.dtype)):
            remedy = (
                f": load into a net of {new.dtype}, then cast that" if cast is None else ": cast=True casts"
            )
            if not torch.can_cast(new.dtype, old.dtype):
                remedy = ""
            types = f"{new.dtype} in checkpoint, {old.dtype} in current model"
            yield f"dtype mismatch for {name}: {types}{remedy}."
        if not is_lazy(old) and _is_read_only(old):
            yield f"cannot write to {name}: it is an expanded or conjugate view. Give the net a clone of it."
        tie_there = first_there.setdefault(stored_ties.get(name, name), name)
        tie_here = first_here.setdefault(first[name], name)
        if tie_there != tie_here:
            ties = f"{_tie(name, tie_there)} in checkpoint, {_tie(name, tie_here)} in current model"
            yield f"tie mismatch for {name}: {ties}."


def _tie(name: str, first: str) -> str:
    return "on its own" if name == first else f"the same tensor as {first}"


def _is_read_only(tensor: Tensor) -> bool:
    """Whether several values share a place in memory, or `_foreach_copy_` cannot write to the tensor."""
    if tensor.is_conj() or tensor.is_neg():
        return True
    if tensor.is_contiguous():  # as for nearly all tensors, and for all without values
        return False
    return any(n > 1 and stride == 0 for n, stride in zip(tensor.shape, tensor.stride(), strict=True))


def _overlap_problems(copies: Mapping[str, Copy]) -> Iterator[str]:
    """Yield tensors that overlap in memory, such as two slices, and cannot all receive their values."""
    memories: dict[int, list[str]] = {}
    for name, (old, _) in copies.items():
        if not is_lazy(old) and old.numel():
            memories.setdefault(old.untyped_storage()._cdata, []).append(name)
    for names in memories.values():
        if len(names) == 1:
            continue
        spans = sorted(span_in_storage(copies[name][0]) for name in names)
        if any(end > start for (_, end), (start, _) in pairwise(spans)):
            yield from _lost_values({name: copies[name] for name in names})


def _lost_values(copies: Mapping[str, Copy]) -> Iterator[str]:
    """Copy into a clone of the memory, and yield the tensors whose values are lost."""
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
