"""What a net holds outside the tables of its modules: in attributes, lists, dicts, closures."""

import functools
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from torch import Tensor, nn

from d2lblocks._tensors import named_modules

_DEPTH = 8  # of containers inside containers
_NO_HOLDERS = str, bytes, int, float, complex, type, ModuleType  # hold no tensors of the net
_PLAIN = {str, bytes, int, float, bool, type(None)}  # the usual contents of a long list
_PROXIES = weakref.ProxyTypes  # hold nothing, and may be dead


class Held(NamedTuple):
    """A tensor that an attribute of a module holds, directly or inside something else.

    Attributes:
        tensor: the tensor.
        owner: the module with the attribute.
        path: the dotted path of that module, empty for the net itself.
        attribute: the name of the attribute.
        place: how to reach what holds the tensor from the module, such as `layers[0]`: the module in a
            container if the tensor is one of its parameters, and otherwise the tensor itself.
        container: the class of the innermost container, or None if the attribute itself is the tensor.
        in_module: whether the tensor belongs to a module that is held.
    """

    tensor: Tensor
    owner: nn.Module
    path: str
    attribute: str
    place: str
    container: type | None
    in_module: bool

    @property
    def name(self) -> str:
        """The place as it is seen from the net."""
        return ".".join(filter(None, ("self", self.path, self.place)))


def held_tensors(net: nn.Module, registered: bool = False) -> dict[int, Held]:
    """The tensors that the net's modules hold outside their tables, by their ids; the first place of each.

    Args:
        net: the net.
        registered: whether to include the parameters and buffers of the net itself.
    """
    modules = list(named_modules(net))
    own = {id(module) for _, module in modules}
    owned = {id(tensor) for _, module in modules for tensor in _tables(module)}
    found: dict[int, Held] = {}
    known: set[int] = set()
    for path, module in modules:
        for attribute, value in vars(module).items():
            if attribute in _TABLES:
                continue
            for place, container, part in _inside(value, attribute, None, own, known):
                inside = isinstance(part, nn.Module)
                for tensor in _all_tensors(part) if isinstance(part, nn.Module) else (part,):
                    if id(tensor) not in owned:
                        held = Held(tensor, module, path, attribute, place, container, inside)
                        found.setdefault(id(tensor), held)
        for name, own_tensor in (*module._parameters.items(), *module._buffers.items()):
            if registered and own_tensor is not None:
                held = Held(own_tensor, module, path, name, name, None, False)
                found.setdefault(id(own_tensor), held)
    return found


def held_modules(net: nn.Module) -> list[nn.Module]:
    """The modules that the net's modules hold outside their tables."""
    modules = list(named_modules(net))
    own, known = {id(module) for _, module in modules}, set[int]()
    return [
        part
        for _, module in modules
        for attribute, value in vars(module).items()
        if attribute not in _TABLES
        for _, _, part in _inside(value, attribute, None, own, known)
        if isinstance(part, nn.Module)
    ]


def _all_tensors(module: nn.Module) -> Iterator[Tensor]:
    for _, each in named_modules(module):
        yield from _tables(each)


_TABLES = vars(nn.Module()).keys() - {"training"}  # _parameters, _buffers, _modules, the tables of hooks


def _tables(module: nn.Module) -> Iterator[Tensor]:
    yield from (each for each in module._parameters.values() if each is not None)
    yield from (each for each in module._buffers.values() if each is not None)


_Found = tuple[str, type | None, Tensor | nn.Module]


def _inside(
    value: Any, place: str, container: type | None, registered: set[int], known: set[int], depth: int = 0
) -> Iterator[_Found]:
    """Yield the tensors and outermost modules that can be reached from a value, except registered ones.

    What is known was reached before, and is not entered again.
    """
    if type(value) in _PROXIES:
        return
    if isinstance(value, Tensor):
        yield place, container, value
        return
    if depth > _DEPTH or id(value) in known or isinstance(value, _NO_HOLDERS):
        return
    known.add(id(value))
    if isinstance(value, nn.Module):
        if id(value) not in registered:
            yield place, container, value
        return
    for step, part in _parts(value):
        yield from _inside(part, f"{place}{step}", type(value), registered, known, depth + 1)


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    """What a value holds, and how it is reached."""
    match value:
        case list() | tuple() | deque():
            return ((f"[{index}]", part) for index, part in enumerate(value) if type(part) not in _PLAIN)
        case dict():
            keys = [("", key) for key in value if isinstance(key, nn.Module)]
            values = [(f"[{key!r}]", part) for key, part in value.items() if type(part) not in _PLAIN]
            return (*keys, *values)
        case set() | frozenset():
            return (("", part) for part in value if type(part) not in _PLAIN)
        case functools.partial():
            return (("", part) for part in (value.func, *value.args, *value.keywords.values()))
        case MethodType():
            return (("", value.__self__),)
        case FunctionType():
            return (("", part) for part in (*enclosed(value), *(value.__defaults__ or ())))
    # An object of a class of one's own, such as a dataclass. Nothing of other libraries, which may be large.
    if hasattr(value, "__dict__") and type(value).__module__.partition(".")[0] not in ("torch", "numpy"):
        return ((f".{name}", part) for name, part in list(vars(value).items()))
    return ()


def enclosed(function: FunctionType) -> list[Any]:
    """What a function has taken from the functions around it."""
    return [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]


def _filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 (an empty cell raises a ValueError)
    except ValueError:
        return False
    return True
