"""Nested tensors in a file of PyTorch's own format, which is read without running code."""

import copy
import os
import re
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from d2lblocks._arguments import check_path, kind_of

from ._file_kinds import TORCH_SAVE, kind_of_file, open_to_read
from ._files import FilePath, replacing
from ._trees import EXPECTED

# The types that `torch.load` restores as they were. It refuses subclasses, because they are other classes.
_TENSORS = (Tensor, nn.Parameter, nn.Buffer)
_NESTED = (list, tuple, set, dict, OrderedDict, Counter)
_PLAIN = (type(None), bool, int, float, complex, str, torch.Size, torch.dtype, torch.device)


def save(obj: Any, path: FilePath) -> None:
    """Write tensors, or nested lists, tuples and dicts of tensors, to a file that `torch.load` can read.

    Tensors that share memory share it again after `load`.
    If only one tensor uses a piece of memory, only the part that it uses is written.
    A tensor that was computed is written without its gradient graph.

    The file at `path` is replaced in one step, after the new file is complete; it is never half written.

    Args:
        obj: a tensor, a number, a string, `None`, or a nested list, tuple or dict of these.
        path: the file. If it is a symbolic link, the link stays, and the file it points to is replaced.

    Raises:
        TypeError: if a part could not be loaded again; the message names it. If `path` is not a path.
        OSError: if the file cannot be written; an older file is left as it was.

    Examples:
        ```python
        import torch
        from d2lblocks import load, save

        save({"x": torch.arange(4), "epoch": 3}, "x.pt")
        print(load("x.pt"))
        #> {'x': tensor([0, 1, 2, 3]), 'epoch': 3}
        ```
    """
    check_path(path)
    tensors = list(_tensors(obj, "", set()))
    users = Counter(map(_memory, tensors))
    # deepcopy does not copy objects in its memo, so the containers are copied and the tensors replaced.
    obj = copy.deepcopy(obj, {id(tensor): _stored(tensor, users[_memory(tensor)] == 1) for tensor in tensors})
    with replacing(path) as file:
        try:
            torch.save(obj, file)
        except RuntimeError as error:  # torch says only that the file is too short, but not why
            raise error.__context__ or error from None


def load(path: FilePath, *, device: torch.device | str = "cpu") -> Any:
    """Read a file that `save` has written, without running any code that the file may contain.

    Args:
        path: the file.
        device: the device to put the tensors on.

    Returns:
        the object.

    Raises:
        RuntimeError: if the file holds something that `save` does not write, if it is damaged,
            or if it is a file of another kind; the message says which.
        TypeError: if `path` is not a path.
        OSError: if there is no such file, or if it cannot be read.

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
    check_path(path)
    device = torch.device(device)
    with open_to_read(path) as file:
        try:
            return torch.load(file, map_location=device, weights_only=True)
        except Exception as error:
            reason = "it is damaged, or not a file of torch.save"
            if kind := kind_of_file(path, but=TORCH_SAVE):
                reason = f"it is {kind}"
            elif found := re.search(r"GLOBAL (\S+)", str(error)):
                reason = f"it holds {found[1]}, and only {EXPECTED} are safe to load"
            elif "Attempting to deserialize" in str(error):  # there is no such device
                reason = str(error)
            raise RuntimeError(f"cannot load {os.fspath(path)}: {reason}") from error


def _tensors(value: Any, where: str, seen: set[int]) -> Iterator[Tensor]:
    """Find every tensor inside a value, each once; raise an error if a part could not be loaded again."""
    kind = type(value)
    if kind in _PLAIN and (kind is not int or value.bit_length() < 2040):  # torch.load cannot read more
        return
    if kind not in _TENSORS and kind not in _NESTED:
        hint = "; save_parameters saves a net" if isinstance(value, nn.Module) else ""
        place = f" at {where}" if where else ""
        raise TypeError(f"cannot save {kind_of(value)}{place}: expected {EXPECTED}{hint}")
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
    for place, part in _parts(value):
        yield from _tensors(part, where + place, seen)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """The parts of a value, each with the path to it; attributes too, because torch saves them."""
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
    """A tensor as it is written to a file: without a graph, and without memory that it does not use."""
    if not tensor.is_leaf:
        tensor = tensor.detach()
    used = tensor.numel() * tensor.element_size()
    if not alone or tensor.layout is not torch.strided or used >= tensor.untyped_storage().nbytes():
        return tensor
    compact = tensor.detach().clone()
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(compact, requires_grad=tensor.requires_grad)
    return compact.requires_grad_(tensor.requires_grad)
