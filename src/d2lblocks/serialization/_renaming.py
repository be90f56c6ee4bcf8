"""Names in a file that would fit a net after renaming."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import takewhile
from typing import NamedTuple

# Names that wrappers add, at the beginning or inside: DataParallel, DistributedDataParallel and
# AveragedModel; torch.compile; fully sharded and checkpointed nets; strategies of Lightning.
_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
# Names of the same tensor in torch.nn.utils.parametrizations and in the older functions of torch.nn.utils.
_PARAMETRIZATIONS = (
    (r"parametrizations\.(\w+)\.original0$", r"\1_g"),  # weight_norm
    (r"parametrizations\.(\w+)\.original1$", r"\1_v"),
    (r"parametrizations\.(\w+)\.original$", r"\1_orig"),  # spectral_norm
    (r"parametrizations\.(\w+)\.0\._u$", r"\1_u"),
    (r"parametrizations\.(\w+)\.0\._v$", r"\1_v"),
)
_ENOUGH = 0.8  # the fraction of the missing names that a hint must explain: a hint with fewer would mislead


def renaming_hints(there: Collection[str], here: Collection[str]) -> Iterator[str]:
    """Yield hints on how to rename the keys of a file, if that makes them fit a net."""
    missing = {*here} - {*there}
    file, net = ({_plain(name): name for name in names} for names in (there, here))
    renamed: dict[str, str] = {}
    for lost, gained in [("", ""), *sorted(_prefixes(file, net))]:
        fits = {
            name: net[key]
            for plain, name in file.items()
            if plain.startswith(lost) and (key := gained + plain.removeprefix(lost)) in net
        }
        if len(fits) > len(renamed):
            renamed, prefixes = fits, (lost, gained)
    changes = {old: new for old, new in renamed.items() if old != new}
    if not changes or len(missing & {*changes.values()}) < _ENOUGH * len(missing):
        return
    fit = f"{'its' if len(renamed) == len(there) else f'{len(renamed)} of its {len(there)}'} keys fit"
    if wrapped := _more(changes.values(), changes):
        remedy = "Load before you wrap it."
        if inner := _inner(wrapped, here):
            remedy = f"Load into net.{inner}."
        yield f"The current model is wrapped: without {_quoted(wrapped)} {fit}. {remedy}"
    if steps := [*_steps(changes, *prefixes)]:
        wrapped = _more(changes, changes.values())
        said = " and ".join(step.said for step in steps)
        head = "is wrapped" if wrapped else "has other names"
        inner = _inner(wrapped, there) if len(steps) == len(wrapped) else ""
        save = f" Save net.{inner}." if inner else ""
        left = sorted({*there} - renamed.keys())
        leave_out = f"leave out {_quoted(left)}" if 0 < len(left) <= 3 else ""
        to_do = " and ".join(filter(None, (_in_python(steps, changes), leave_out)))
        load = f" To load this one, {to_do}." if to_do else ""
        yield f"The checkpoint {head}: {said} {fit}.{save}{load}"


def _inner(wrapped: list[str], names: Collection[str]) -> str:
    """The path to the net inside the wrappers, if they wrap all of it."""
    beginning = next(iter(names)).split(".")
    chain = ".".join(takewhile(lambda part: f"{part}." in wrapped, beginning))
    return chain if all(name.startswith(f"{chain}.") for name in names) else ""


class _Step(NamedTuple):
    """One step of renaming: in words, in Python, and as a function."""

    said: str
    python: str
    change: Callable[[str], str]


def _steps(changes: Mapping[str, str], lost: str, gained: str) -> Iterator[_Step]:
    """Yield the steps that turn a name in the file into a name in the net."""
    for wrapper in _more(changes, changes.values()):
        yield _replace(f'without "{wrapper}"', wrapper, "")
    if lost:
        said, python = f'without "{lost}" at the beginning', f'{{}}.removeprefix("{lost}")'
        yield _Step(said, python, lambda name: name.removeprefix(lost))
    pairs: dict[str, str] = {}
    for old, new in changes.items():
        for modern, older in _PARAMETRIZATIONS:
            at_old, at_new = (re.search(modern, name) for name in (old, new))
            if at_old and not at_new:
                pairs[at_old[0]] = at_old.expand(older)
            elif at_new and not at_old:
                pairs[at_new.expand(older)] = at_new[0]
    for old, new in pairs.items():
        yield _replace(f'with "{new}" for "{old}"', old, new)
    if gained:
        said, python = f'with "{gained}" at the beginning', f'"{gained}" + {{}}'
        yield _Step(said, python, lambda name: gained + name)


def _replace(said: str, old: str, new: str) -> _Step:
    return _Step(said, f'{{}}.replace("{old}", "{new}")', lambda name: name.replace(old, new))


def _in_python(steps: list[_Step], changes: Mapping[str, str]) -> str:
    """The Python expression that renames a key, if it is right for all of the keys."""
    text, names = "name", [*changes]
    for step in steps:
        text, names = step.python.format(text), [*map(step.change, names)]
    return f"rename each by {text}" if names == [*changes.values()] else ""


def _plain(name: str) -> str:
    """A name without wrappers, with the names of the older functions for parametrizations."""
    name = ".".join(part for part in name.split(".") if part not in _WRAPPERS)
    for new, old in _PARAMETRIZATIONS:
        name = re.sub(new, old, name)
    return name


def _prefixes(file: Collection[str], net: Collection[str]) -> set[tuple[str, str]]:
    """Guess, from a few names, the prefixes that only the file or only the net has."""

    def longer(names: Collection[str], others: Collection[str]) -> set[str]:
        few = sorted({*others} - {*names}, key=len, reverse=True)[:10]
        return {name.removesuffix(end) for end in few for name in names if name.endswith(f".{end}")}

    return {(lost, "") for lost in longer(file, net)} | {("", gained) for gained in longer(net, file)}


def _more(names: Collection[str], others: Collection[str]) -> list[str]:
    """The wrappers that occur more often in some of the names than in their counterparts."""
    return [
        f"{wrapper}."
        for wrapper in _WRAPPERS
        if any(
            name.split(".").count(wrapper) > other.split(".").count(wrapper)
            for name, other in zip(names, others, strict=True)
        )
    ]


def _quoted(names: Collection[str]) -> str:
    return " and ".join(f'"{name}"' for name in names)
