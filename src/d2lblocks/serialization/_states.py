"""The named tensors of a net, beside those of a file: what does not fit, and what goes where."""

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

State = Mapping[str, Tensor]
Copy = tuple[Tensor, Tensor]  # a tensor of a net, and the one of a file whose values it gets


def named_state(net: nn.Module, prefix: str = "") -> dict[str, Tensor]:
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


def check_storable(state: State) -> None:
    """An error if a tensor has no values, or the format has no place for them."""
    if lazy := [name for name, tensor in state.items() if is_lazy(tensor)]:
        names = ", ".join(map(repr, lazy))
        raise ValueError(f"cannot save {names}: not initialised yet, the shapes come with the first batch")
    for name, tensor in state.items():
        if tensor.is_meta:
            raise ValueError(f"cannot save '{name}': it is on the meta device, and has no values")
        if not has_code(tensor.dtype):
            raise TypeError(f"cannot save '{name}': safetensors has no {tensor.dtype}")


def check_loadable(state: State) -> None:
    """An error if a tensor has no memory, and will have none."""
    for name, tensor in state.items():
        if tensor.device.type == "meta":
            remedy = 'call net.to_empty(device="cpu") first'
            raise ValueError(f"cannot load '{name}': it is on the meta device, without memory: {remedy}")


def split_ties(state: State) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors by their first names, and their first names by their further ones."""
    first = _first_names(state)
    ties = {name: known for name, known in first.items() if name != known}
    return {name: state[name] for name in state if name not in ties}, ties


def compare(file: FileContent, state: State, cast: bool = False) -> tuple[list[str], list[Copy]]:
    """What does not fit of the tensors that both have, and what is to be copied, each tensor once."""
    first = _first_names(state)
    stored = {name: file[name] for name in state if name in file.names}
    copies = {name: (state[name], stored[name]) for name in stored if first[name] == name}
    problems = [*_tensor_problems(stored, file.ties, state, first, cast)] or [*_overlap_problems(copies)]
    return problems, [*copies.values()]


def compare_names(there: Collection[str], here: Collection[str]) -> Iterator[str]:
    """Which names of a file and of a net the other one has not."""
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


def misfit(head: str, problems: list[str]) -> RuntimeError:
    """An error that lists all problems, or as many as fit into a megabyte."""
    return RuntimeError("\n\t".join([head, *problems])[:1_000_000])


def fill(copies: list[Copy]) -> None:
    """Write new values into old tensors, which get their shapes if they are lazy."""
    if not copies:
        return
    lazy: list[tuple[Any, type[Tensor]]] = [(old, type(old)) for old, _ in copies if is_lazy(old)]
    with uninterrupted():
        try:
            with torch.inference_mode(False), torch.no_grad():  # or they could not be trained later
                for old, new in copies:
                    if is_lazy(old):
                        old.materialize(new.shape)
            # Inference mode writes to all tensors, also to those that were made in it, and autograd notices.
            with torch.inference_mode():
                torch._foreach_copy_([old for old, _ in copies], [new for _, new in copies])
        except BaseException:
            for tensor, kind in lazy:
                tensor.data = torch.empty(0, device=tensor.device, dtype=tensor.dtype)
                tensor.__class__ = kind
            raise


def _first_names(state: State) -> dict[str, str]:
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


def _listed(names: list[str], others: list[str]) -> str:
    """All names, or as many as one would read, each with the nearest of the others."""
    near = [difflib.get_close_matches(name, others, n=1) if others else [] for name in names[:1000]]
    texts = [
        f'"{name}"' + "".join(f' (the nearest is "{other}")' for other in nearest)
        for name, nearest in zip(names, near, strict=False)
    ]
    return ", ".join(texts + [f"and {len(names) - 1000} more"] * (len(names) > 1000))


def _tensor_problems(
    stored: State,
    stored_ties: Mapping[str, str],
    state: State,
    first: Mapping[str, str],
    cast: bool,
) -> Iterator[str]:
    """What does not fit of each tensor: its shape, its type, whether it can be written to, its ties."""
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
            remedy = ": cast=True casts" if torch.can_cast(new.dtype, old.dtype) else ""
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
    """Whether several values have one place, or torch writes to the tensor only alone."""
    if tensor.is_conj() or tensor.is_neg():
        return True
    if tensor.is_contiguous():  # as nearly all are, and all without values
        return False
    return any(n > 1 and stride == 0 for n, stride in zip(tensor.shape, tensor.stride(), strict=True))


def _overlap_problems(copies: Mapping[str, Copy]) -> Iterator[str]:
    """Tensors that share a part of their memory, such as two slices, and cannot all get their values."""
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
