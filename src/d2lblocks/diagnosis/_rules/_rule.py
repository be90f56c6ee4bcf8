"""What a rule is, and the table of all rules."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from .._seen import Seen
from .._source import Line
from ..report import Finding, Level


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


PART = Line("", 0)  # the line on which the part with the first name is assigned


class Found(NamedTuple):
    """A finding without what all findings of its rule share."""

    names: Sequence[str]
    text: str
    fix: str
    line: Line | None = PART
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
    """Apply all rules. What one line of code does in several places is one finding."""
    for each in RULES.values():
        groups: dict[Finding, list[str]] = {}
        for found in each.find(seen):
            line = seen.line_of(found.names[0]) if found.line is PART else found.line
            level = found.level or each.level
            intended = f' If this is intended: silence=["{each.code}"].' if level == "question" else ""
            page = found.page or each.page
            file, number = line or (None, None)
            one = Finding(each.code, level, (), file, number, found.text, f"{found.fix}{intended}", page)
            groups.setdefault(one, []).extend(found.names)
        for one, names in groups.items():
            yield replace(one, names=tuple(dict.fromkeys(names)))
