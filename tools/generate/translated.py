"""A page in another language, for its notebook and its script."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.page_runner import Heading, Page
from tools.languages.blocks import with_texts
from tools.languages.catalogs import Translations


@dataclass
class TranslatedPage(Page):
    """A page with translated prose. Its code, outputs and anchors are those of the English page."""

    anchors: tuple[str, ...] = ()

    def headings(self) -> Iterator[Heading]:
        for heading, anchor in zip(super().headings(), self.anchors, strict=True):
            yield replace(heading, anchor=anchor)


def translated(page: Page, translations: Translations) -> TranslatedPage:
    """The page in another language; a block that has no translation stays English."""
    lines = with_texts(page.text_lines(), lambda block: translations.say(block.text))
    anchors = tuple(heading.anchor for heading in page.headings())
    other = TranslatedPage(page.path, page.name, page.short, lines, anchors=anchors)
    places = {old.line: new.line for old, new in zip(page.fences(), other.fences(), strict=True)}
    other.snippets = [
        replace(each, line=places[each.line], title=translations.say(each.title)) for each in page.snippets
    ]
    return other
