"""Files: tensors, nested lists and dicts of them, and the parameters of a net."""

import copy
import difflib
import os
import re
import secrets
import shutil
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, BinaryIO, TypeVar

import safetensors
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from d2lblocks.parameters import _identity, _named_tensors

__all__ = ["load", "load_parameters", "save", "save_parameters"]

_Path = str | os.PathLike[str]
_Net = TypeVar("_Net", bound=nn.Module)

# What `torch.load` gives back as it was. Subclasses are other classes, which it refuses.
_TENSORS = (Tensor, nn.Parameter, nn.Buffer)
_NESTED = (list, tuple, set, dict, OrderedDict, Counter)
_PLAIN = (type(None), bool, int, float, complex, str, torch.Size, torch.dtype, torch.device)
_EXPECTED = "tensors, numbers, strings, None, and lists, tuples and dicts of them"


def save(obj: Any, path: _Path) -> None:
    """Write tensors, or nested lists, tuples and dicts of them, to a file that `torch.load` reads.

    Tensors that share memory share it after `load`.
    Of a larger memory that only one tensor uses, only the part that it uses is written.
    A tensor that was computed is written without its gradient graph.

    The file at `path` is replaced at once, when the new one is complete: it is never half of it.

    Args:
        obj: a tensor, a number, a string, None, or a nested list, tuple or dict of those.
        path: the file; a link stays, and the file that it leads to is replaced.

    Raises:
        TypeError: when a part could not be loaded again; the message says which.
        OSError: when the file cannot be written; an older one is as it was.

    Examples:
        ```python
        import torch
        from d2lblocks import load, save

        save({"x": torch.arange(4), "epoch": 3}, "x.pt")
        print(load("x.pt"))
        #> {'x': tensor([0, 1, 2, 3]), 'epoch': 3}
        ```
    """
    tensors = list(_tensors(obj, "", set()))
    users = Counter(map(_memory, tensors))
    # What a copy finds in its memo it does not copy, so lists are copied, and tensors replaced.
    obj = copy.deepcopy(obj, {id(tensor): _stored(tensor, users[_memory(tensor)] == 1) for tensor in tensors})
    with _replacing(path) as file:
        try:
            torch.save(obj, file)
        except RuntimeError as error:  # torch finds the file too short, which hides why it is
            raise error.__context__ or error from None


def load(path: _Path, *, device: torch.device | str = "cpu") -> Any:
    """Read what `save` has written, without running any code that the file may hold.

    Args:
        path: the file.
        device: where the tensors go.

    Returns:
        the object.

    Raises:
        RuntimeError: when the file holds other things than `save` writes, or is damaged.
        OSError: when there is no such file, or it cannot be read.

    Examples:
        ```python
        import torch
        from d2lblocks import load, save

        save([torch.zeros(2), torch.ones(2)], "pair.pt")
        x, y = load("pair.pt")
        print(x + y)
        #> tensor([1., 1.])
        ```
    """
    device = torch.device(device)
    with open(path, "rb") as file:
        try:
            return torch.load(file, map_location=device, weights_only=True)
        except Exception as error:
            reason = "it is damaged, or no file of torch.save"
            if found := re.search(r"GLOBAL (\S+)", str(error)):
                reason = f"it holds {found[1]}, and only {_EXPECTED} are safe to load"
            elif "Attempting to deserialize" in str(error):  # there is no such device
                reason = str(error)
            raise RuntimeError(f"cannot load {os.fspath(path)}: {reason}") from error


def save_parameters(net: nn.Module, path: _Path) -> None:
    """Write a net's parameters and buffers to a safetensors file, by their names in `state_dict`.

    A shared tensor is written once, and its other names are kept in the file's metadata.
    Buffers with `persistent=False` are left out.

    The file at `path` is replaced at once, when the new one is complete.
    While it is written, the net is in memory twice.

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
    state = _state(net)
    if lazy := [name for name, tensor in state.items() if is_lazy(tensor)]:
        names = ", ".join(map(repr, lazy))
        raise ValueError(f"cannot save {names}: not initialised yet, the shapes come with the first batch")
    for name, tensor in state.items():
        if tensor.is_meta:
            raise ValueError(f"cannot save '{name}': it is on the meta device, and has no values")
        if not _has_format(tensor.dtype):
            raise TypeError(f"cannot save '{name}': safetensors has no {tensor.dtype}")
    first = _first_names(state)
    users = Counter(_memory(state[name]) for name in set(first.values()))
    tensors = {name: _values(state[name], users[_memory(state[name])] == 1) for name in set(first.values())}
    ties = {name: known for name, known in first.items() if name != known}
    content = _serialized(tensors, {"format": "pt", **ties})
    with _replacing(path) as file:
        file.write(content)


def load_parameters(net: _Net, path: _Path, *, cast: bool = False) -> _Net:
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

    Returns:
        the net.

    Raises:
        RuntimeError: when the file does not fit the net, with all that does not,
            or when it is no safetensors file, or damaged. The net is as it was.
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
    state = _state(net)
    for name, tensor in state.items():
        if tensor.device.type == "meta":
            remedy = 'call net.to_empty(device="cpu") first'
            raise ValueError(f"cannot load '{name}': it is on the meta device, without memory: {remedy}")
    first = _first_names(state)
    stored = _read(path)
    if problems := [*_wrong_names(stored, state), *_wrong_tensors(stored, state, first, cast)]:
        head = f"Error(s) in loading parameters for {type(net).__name__} from {os.fspath(path)}:"
        raise RuntimeError("\n\t".join([head, *problems]))
    _fill([(state[name], stored[name]) for name in state if first[name] == name])
    return net


@contextmanager
def _replacing(path: _Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of the one at `path` when it is complete, and not before."""
    target = os.path.realpath(path)
    exists = os.path.isfile(target)
    if os.path.exists(target) and not exists:  # a device, which is written to, or a folder: an error
        with open(path, "wb") as device:
            yield device
        return
    temporary = os.path.join(os.path.dirname(target), f".d2lblocks-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            if exists:
                shutil.copymode(target, temporary)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync_folder(os.path.dirname(target))
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.errno:  # with the name that the caller knows
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise


def _sync_folder(folder: str) -> None:
    """Make a new name last. Windows opens no folders."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _tensors(value: Any, where: str, seen: set[int]) -> Iterator[Tensor]:
    """Every tensor inside a value, once; an error if a part of it could not be loaded again."""
    kind = type(value)
    if kind in _PLAIN and (kind is not int or value.bit_length() < 2040):  # which it reads only so long
        return
    if kind not in _TENSORS and kind not in _NESTED:
        name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
        hint = "; save_parameters saves a net" if isinstance(value, nn.Module) else ""
        raise TypeError(f"cannot save {name}{f' at {where}' if where else ''}: expected {_EXPECTED}{hint}")
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
    for place, part in _parts(value):
        yield from _tensors(part, where + place, seen)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value holds, each with the way to it; attributes too, because torch saves them."""
    if isinstance(value, dict):
        for key, part in value.items():
            place = f"[{key!r}]"
            yield from ((place, key), (place, part))
    elif not isinstance(value, Tensor):
        for index, part in enumerate(value):
            yield "" if isinstance(value, set) else f"[{index}]", part
    for name, part in getattr(value, "__dict__", {}).items():
        yield f".{name}", part


def _memory(tensor: Tensor) -> Hashable:
    return tensor.untyped_storage()._cdata if tensor.layout is torch.strided else id(tensor)


def _stored(tensor: Tensor, alone: bool) -> Tensor:
    """A tensor as it goes into a file: without a graph, and without memory that it does not use."""
    if not tensor.is_leaf:
        tensor = tensor.detach()
    used = tensor.numel() * tensor.element_size()
    if not alone or tensor.layout is not torch.strided or used >= tensor.untyped_storage().nbytes():
        return tensor
    compact = tensor.detach().clone()
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(compact, requires_grad=tensor.requires_grad)
    return compact.requires_grad_(tensor.requires_grad)


def _values(tensor: Tensor, alone: bool) -> Tensor:
    """A tensor whose memory, the CPU's, holds its values in order, and is no other tensor's."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg()
    return plain.contiguous() if alone else plain.clone(memory_format=torch.contiguous_format)


def _serialized(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """The content of a safetensors file; `safetensors.torch.save` would need numpy for it."""
    specs = {
        name: safetensors.TensorSpec(
            dtype=str(tensor.dtype).removeprefix("torch."),
            shape=tensor.shape,
            data_ptr=tensor.data_ptr(),
            data_len=tensor.nbytes,
        )
        for name, tensor in tensors.items()
    }
    content: bytes = safetensors.serialize(specs, metadata)
    return content


@cache
def _has_format(dtype: torch.dtype) -> bool:
    """Whether the installed safetensors can write a type."""
    try:
        _serialized({"": torch.empty(0, dtype=dtype, device="cpu")}, {})
    except Exception:
        return False
    return True


def _state(net: nn.Module) -> dict[str, Tensor]:
    """A net's own parameters and persistent buffers, by name; an error if there is more to its state."""
    own = {id(tensor) for _, tensor in _named_tensors(net)}
    state: dict[str, Tensor] = net.state_dict(keep_vars=True)
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


def _first_names(state: dict[str, Tensor]) -> dict[str, str]:
    """For each name the first name of the same tensor."""
    known: dict[Hashable, str] = {}
    first = {name: known.setdefault(_identity(tensor), name) for name, tensor in state.items()}
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
    expanded = any(n > 1 and stride == 0 for n, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (expanded and tensor.numel() > 0) or tensor.is_conj() or tensor.is_neg()


def _read(path: _Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, not yet read into memory; tied names have the same object."""
    open(path, "rb").close()  # the system's own error, which names the path
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata: dict[str, str] = file.metadata() or {}
    except Exception as error:
        reason = f"it is no safetensors file, or damaged: {error}"
        raise RuntimeError(f"cannot load {os.fspath(path)}: {reason}") from error
    ties = {name: stored[first] for name, first in metadata.items() if first in stored}
    return ties | stored


def _wrong_names(stored: Iterable[str], state: Iterable[str]) -> Iterator[str]:
    there, wanted = set(stored), set(state)
    missing = [name for name in state if name not in there]
    unexpected = [name for name in stored if name not in wanted]
    if missing:
        yield f"Missing key(s): {', '.join(_with_nearest(name, []) for name in missing)}."
    if unexpected:
        few = len(missing) * len(unexpected) < 10_000  # comparing all with all takes its time
        near = [difflib.get_close_matches(name, missing, n=1) if few else [] for name in unexpected]
        yield f"Unexpected key(s): {', '.join(map(_with_nearest, unexpected, near))}."
    for wrapper in ("module", "_orig_mod") if missing else ():
        if {f"{wrapper}.{name}" for name in wanted} == there:
            yield f'The checkpoint is wrapped: without "{wrapper}." its keys fit. Save net.{wrapper}.'
        if {f"{wrapper}.{name}" for name in there} == wanted:
            yield f'The current model is wrapped: without "{wrapper}." its keys fit. Load into net.{wrapper}.'


def _with_nearest(name: str, near: list[str]) -> str:
    return f'"{name}"' + "".join(f' (the nearest is "{other}")' for other in near)


def _wrong_tensors(
    stored: dict[str, Tensor], state: dict[str, Tensor], first: dict[str, str], cast: bool
) -> Iterator[str]:
    known: tuple[dict[int, str], dict[str, str]] = {}, {}
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
        ties = known[0].setdefault(id(new), name), known[1].setdefault(first[name], name)
        if ties[0] != ties[1]:
            texts = ["on its own" if tie == name else f"the same tensor as {tie}" for tie in ties]
            yield f"tie mismatch for {name}: {texts[0]} in checkpoint, {texts[1]} in current model."


def _fill(pairs: list[tuple[Tensor, Tensor]]) -> None:
    """Write the second of each pair into the first, which gets its shape if it is lazy."""
    if not pairs:
        return
    lazy: list[tuple[Any, type[Tensor]]] = [(old, type(old)) for old, _ in pairs if is_lazy(old)]
    try:
        with torch.inference_mode(False), torch.no_grad():  # or they could not be trained later
            for old, new in pairs:
                if is_lazy(old):
                    old.materialize(new.shape)
        # Inference mode writes to all tensors, also to those that were made in it, and autograd notices.
        # One call, because Ctrl-C comes between calls.
        with torch.inference_mode():
            torch._foreach_copy_([old for old, _ in pairs], [new for _, new in pairs])
    except BaseException:
        for tensor, kind in lazy:
            tensor.data = torch.empty(0, device=tensor.device, dtype=tensor.dtype)
            tensor.__class__ = kind
        raise
