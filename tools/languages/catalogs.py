"""The catalogs of a language: a PO file for each page, read by Babel, and what they say about a block."""

import re
from collections import Counter
from functools import cached_property
from pathlib import Path

from babel.messages.pofile import read_po

from .blocks import NUMBER

ROOT = Path(__file__).parents[2]
LANGUAGES = {"zh-CN": "zh_Hans_CN", "zh-TW": "zh_Hant_TW"}  # the folder below docs/, and Babel's name


class Translations:
    """All translations into a language, whatever page they are from; fuzzy ones do not count."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def texts(self) -> dict[str, str]:
        """Each translated message, and its translation."""
        found: dict[str, str] = {}
        for path in sorted(self.folder.glob("*.po")):
            with path.open("rb") as file:
                for message in read_po(file):
                    if message.id and message.string and not message.fuzzy:
                        found[str(message.id)] = str(message.string)
        return found

    @cached_property
    def by_skeleton(self) -> dict[str, str]:
        """The messages with numbers, by their text without the numbers."""
        return {skeleton(text): text for text in self.texts if NUMBER.search(text)}

    def find(self, text: str) -> str | None:
        """The translation of a text, or of one that differs only in its numbers, which are then changed."""
        if text in self.texts:
            return self.texts[text]
        if (known := self.by_skeleton.get(skeleton(text))) is None:
            return None
        return with_numbers(self.texts[known], NUMBER.findall(known), NUMBER.findall(text))

    def say(self, text: str) -> str:
        """The translation of a text, or the text."""
        return self.find(text) or text


def skeleton(text: str) -> str:
    """The text with the same mark for each number."""
    return NUMBER.sub("0", text)


def with_numbers(translation: str, old: list[str], new: list[str]) -> str | None:
    """The translation with other numbers; `None` if it is not clear which one goes where."""
    if NUMBER.findall(translation) == old:
        numbers = iter(new)
        return NUMBER.sub(lambda _: next(numbers), translation)
    places = dict(zip(old, new, strict=True))
    unclear = any(places[before] != after for before, after in zip(old, new, strict=True))
    if unclear or Counter(NUMBER.findall(translation)) != Counter(old):
        return None
    return NUMBER.sub(lambda number: places[number[0]], translation)


LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


def anchors(headings: list[str]) -> list[str]:
    """The anchors that the site gives to these headings of a page, in order."""
    from markdown.extensions.toc import slugify, unique  # type: ignore[import-untyped]

    taken: set[str] = set()
    shown = (LINK.sub(r"\1", re.sub(r"[ \t]*#*$", "", text)) for text in headings)
    return [unique(slugify(text, "-"), taken) for text in shown]
