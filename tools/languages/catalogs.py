"""The catalogs of a language: a PO file for each page, read by Babel, and what they say about a block."""

import re
from collections import Counter
from functools import cached_property
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import denormalize, read_po

from .blocks import NUMBER

ROOT = Path(__file__).parents[2]
LANGUAGES = {"zh-CN": "zh_Hans_CN", "zh-TW": "zh_Hant_TW"}  # the folder below docs/, and Babel's name
PREVIOUS = "| msgid "
LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")


def read_catalog(path: Path, locale: str | None = None) -> Catalog:
    """The catalog in a file; raise a ValueError or a PoFileError that names the line if it is not sound."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            # Babel would take the last letter for the missing mark.
            if re.match(r'msg|"', line) and not re.fullmatch(r'(?:msg\w+ )?"(?:[^"\\]|\\.)*"', line.rstrip()):
                raise ValueError(f"{path}:{number}: a quotation mark is missing")
    with path.open("rb") as file:
        catalog = read_po(file, locale=locale, abort_invalid=True)
    for message in catalog:
        # Babel writes the English that was translated before, and reads it as a comment.
        for comment in [each for each in message.user_comments if each.startswith(PREVIOUS)]:
            message.user_comments.remove(comment)
            message.previous_id = [denormalize(comment.removeprefix(PREVIOUS))]
    return catalog


class Translations:
    """All translations into a language, whatever page they are from; fuzzy ones do not count."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.language = folder.name

    @cached_property
    def texts(self) -> dict[str, str]:
        """Each translated message, and its translation."""
        found: dict[str, str] = {}
        for path in sorted(self.folder.glob("*.po")):
            for message in read_catalog(path):
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


_read: dict[Path, tuple[object, Translations]] = {}


def translations(folder: Path) -> Translations:
    """The translations of a folder, read again only if a file has changed: `make serve` shows it."""
    state = sorted((file, file.stat().st_mtime_ns) for file in folder.glob("*.po"))
    if folder not in _read or _read[folder][0] != state:
        _read[folder] = state, Translations(folder)
    return _read[folder][1]


def skeleton(text: str) -> str:
    """The text with the same mark for each number."""
    return NUMBER.sub("0", text)


def with_numbers(translation: str, old: list[str], new: list[str]) -> str | None:
    """The translation with other numbers; `None` if it is not clear which one goes where.

    Equal numbers that become different ones are not clear: the translation may have them in another order.
    """
    places = dict(zip(old, new, strict=True))
    unclear = any(places[before] != after for before, after in zip(old, new, strict=True))
    if unclear or Counter(NUMBER.findall(translation)) != Counter(old):
        return None
    return NUMBER.sub(lambda number: places[number[0]], translation)


def anchors(headings: list[str]) -> list[str]:
    """The anchors that the site gives to these headings of a page, in order."""
    from markdown.extensions.toc import slugify, unique  # type: ignore[import-untyped]

    taken: set[str] = set()
    shown = (LINK.sub(r"\1", re.sub(r"[ \t]*#*$", "", text)) for text in headings)
    return [unique(slugify(text, "-"), taken) for text in shown]
