"""Tensors of different dtypes or devices in one net."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from torch import Tensor

from .._seen import Seen, tensors_in
from ._rule import Found, rule


@rule("mixed-dtype", "error", "modules.md#mat1-and-mat2-must-have-the-same-dtype-a-batch-from-numpy")
def mixed_dtype(seen: Seen) -> Iterator[Found]:
    """Floating dtypes that differ: an error if the call fails because of it."""
    if conflict := differing_dtypes(seen):
        cast = "the input: X" if conflict.names == ["input"] else "the whole net: net"
        yield Found(conflict.names, conflict.text("dtype"), f"Cast {cast}.to({conflict.usual}).")
    elif seen.failure is None:
        used = {
            known: each for known, each in seen.tensors.items() if known in seen.watch.uses and _dtype(each)
        }
        usual = _most_common(map(_dtype, used.values()))
        odd = [known for known, each in used.items() if each.dtype != usual]
        kinds = ", ".join(sorted({str(seen.tensors[known].dtype) for known in odd}))
        if odd:
            yield Found(
                [seen.names[known] for known in odd],
                f"Most of the net has the dtype {usual}, and these have {kinds}.",
                f"Cast the whole net: net.to({usual}).",
                level="question",
            )


@rule("mixed-device", "error", "devices.md#expected-all-tensors-to-be-on-the-same-device")
def mixed_device(seen: Seen) -> Iterator[Found]:
    """Devices that differ, where the call fails because of it."""
    if conflict := differing_devices(seen):
        moved = "the input: X" if conflict.names == ["input"] else "the whole net: net"
        yield Found(conflict.names, conflict.text("device"), f"Move {moved}.to('{conflict.usual}').")


def differing_dtypes(seen: Seen) -> "_Conflict | None":
    return _conflict(seen, ("dtype", "expected scalar type", "same type"), _dtype)


def differing_devices(seen: Seen) -> "_Conflict | None":
    return _conflict(seen, ("device", "meta"), lambda each: each.device)


class _Conflict(NamedTuple):
    """What differs from the rest of the net in the module that raised the error."""

    module: str
    names: list[str]
    odd: str
    usual: Hashable
    message: str

    def text(self, what: str) -> str:
        shown = f"{', '.join(self.names[:3])}{', ...' if self.names[3:] else ''}"
        has = "have" if self.names[1:] else "has"
        return (
            f"In {self.module}, {shown} {has} the {what} {self.odd}, and most of the net has {self.usual}: "
            f"{self.message}"
        )


def _conflict(seen: Seen, words: tuple[str, ...], kind: Callable[[Tensor], Hashable]) -> _Conflict | None:
    """Compare the tensors of the module that raised the error, and those that it got, with the net."""
    failure = seen.failure
    if failure is None or failure.during != "forward" or failure.call is None:
        return None
    if not any(word in first_line(failure.error) for word in words):
        return None
    module = failure.call.module
    own = [(seen.names.get(id(each), ""), each) for each in (*module.parameters(), *module.buffers())]
    given = [("input", each) for each in tensors_in(failure.given)]
    kinds = [(name, kind(each)) for name, each in own + given if kind(each)]
    usual = _most_common(map(kind, seen.tensors.values()))
    odd = [(name, each) for name, each in kinds if each != usual]
    if usual is None or not all(name for name, _ in odd):
        return None  # the module is not registered, so net.to(...) does not reach it: that is the mistake
    if not odd or len({each for _, each in kinds}) < 2:
        return None
    path = seen.path(module)
    return _Conflict(
        f"'{path}'" if path else type(module).__name__,
        list(dict.fromkeys(name for name, _ in odd)),
        " and ".join(sorted({str(each) for _, each in odd})),
        usual,
        first_line(failure.error),
    )


def _dtype(tensor: Tensor) -> Hashable:
    """The dtype of a floating-point tensor; None for others, which may differ."""
    return tensor.dtype if tensor.is_floating_point() else None


def _most_common(kinds: Iterable[Hashable]) -> Hashable:
    counted = Counter(kind for kind in kinds if kind).most_common(1)
    return counted[0][0] if counted else None


def first_line(error: BaseException) -> str:
    """The first line of a message; empty if the error has none."""
    with suppress(Exception):  # from a __str__
        return next(iter(str(error).splitlines()), "")
    return ""
