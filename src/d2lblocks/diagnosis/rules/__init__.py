"""The rules of `diagnose`: a function for each kind of mistake, which looks at a net that was called.

To add one, write a function with `@rule` in one of these files, its net and its twin in `tests/gallery.py`,
and the line `diagnose: CODE` below the entry of the page that teaches it.

registration.py   what the net holds and does not know of
sharing.py        modules and tensors with several names
training.py       gradients, modes, the optimizer
equal_units.py    units of a layer that stay equal
calls.py          how the forward pass calls and writes
values.py         numbers: NaN, scales, dead units, rounded buffers
mixed.py          several dtypes or devices
losses.py         what the loss function is given
failures.py       errors that the call raises
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from ..report import Finding, Level
from .._seen import Seen
from .._source import Line


class Rule(NamedTuple):
    """A kind of mistake.

    Attributes:
        code: its name.
        level: the level of its findings, unless a finding has another.
        page: the place on the site that teaches it.
        find: yields what it finds.
    """

    code: str
    level: Level
    page: str
    find: Callable[[Seen], Iterator["Found"]]


class Found(NamedTuple):
    """A finding without what all findings of its rule share."""

    names: Sequence[str]
    text: str
    fix: str
    line: Line | None = None
    level: Level | Literal[""] = ""
    page: str = ""


RULES: dict[str, Rule] = {}


def rule(
    code: str, level: Level, page: str
) -> Callable[[Callable[[Seen], Iterator[Found]]], Callable[[Seen], Iterator[Found]]]:
    """Add a function to the rules."""

    def add(find: Callable[[Seen], Iterator[Found]]) -> Callable[[Seen], Iterator[Found]]:
        RULES[code] = Rule(code, level, page, find)
        return find

    return add


def findings(seen: Seen) -> Iterator[Finding]:
    """Apply all rules."""
    for each in RULES.values():
        for found in each.find(seen):
            file, number = found.line or seen.line_of(found.names[0]) or (None, None)
            level = found.level or each.level
            meant = f' If it is meant: silence=["{each.code}"].' if level == "question" else ""
            page = found.page or each.page
            fix = f"{found.fix}{meant}"
            yield Finding(each.code, level, tuple(found.names), file, number, found.text, fix, page)


# Import them at the end: each adds its rules to the table above, in this order.
from . import failures, registration, sharing, training, calls, mixed, values, losses, equal_units  # noqa: E402, F401  # isort: skip
