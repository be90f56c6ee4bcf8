"""The words in the pictures: messages of a catalog of their own, and pictures with translated words."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from .blocks import is_prose
from .catalogs import ROOT, Translations

PICTURES = ROOT / "docs/theme/img"
# A drawn terminal shows a real run of a program that speaks English, and a plot has names of functions only.
NOT_TRANSLATED = re.compile(r"practice|plot-.*|favicon")
WORDS = re.compile(r"(?<=>)[^<>]+(?=<(?:/text|/tspan|/title|tspan))")


def pictures() -> Iterator[Path]:
    """Yield each picture with words."""
    for path in sorted(PICTURES.glob("*.svg")):
        if not NOT_TRANSLATED.fullmatch(path.stem):
            yield path


def words(picture: Path) -> Iterator[str]:
    """Yield the words of a picture, one line of it at a time."""
    for match in WORDS.finditer(picture.read_text("utf-8")):
        if is_prose(text := html.unescape(match[0]).strip()):
            yield text


def translated(picture: str, translations: Translations) -> str:
    """The text of a picture in another language; words without a translation stay English."""

    def other(match: re.Match[str]) -> str:
        found = translations.find(html.unescape(match[0]).strip())
        return html.escape(found, quote=False) if found else match[0]

    here = picture.replace('xml:lang="en"', f'xml:lang="{translations.language}"', 1)
    return WORDS.sub(other, here)
