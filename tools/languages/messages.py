"""Bring the catalogs in step with the pages: `make messages`.

New blocks are empty, changed ones are fuzzy, with the old text beside them; those that are gone are dropped.
A message that several pages have is in the catalog of the first one.
"""

import re
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from .blocks import Block, blocks, is_prose
from .catalogs import LANGUAGES, ROOT, Translations
from .pictures import pictures, words

# Without dates, which would change with every run.
HEADER = """\
# {page}.md in {language}. `make messages` keeps it in step with the page.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.S)
PAGES = [
    "index", "modules", "parameters", "init", "lazy", "layers", "serialization", "devices", "diagnosis",
    "practice", "mistakes", "cheatsheet", "glossary", "tested", "pictures",
]  # fmt: skip


def template(page: str, taken: set[str], root: Path = ROOT) -> Catalog:
    """The messages of a page that no earlier page has, in the order of the page."""
    catalog = Catalog()
    if page == "pictures":
        for picture in pictures():
            for text in words(picture):
                if text not in taken:
                    taken.add(text)
                    catalog.add(text, locations=[(picture.name, 1)], auto_comments=["picture:"])
        return catalog
    heading = ""
    text = (root / "docs/en" / f"{page}.md").read_text("utf-8")
    for block in blocks(FRONT_MATTER.sub("", text).split("\n")):
        if not isinstance(block, Block) or not is_prose(block.text):
            continue
        heading = block.text if block.kind == "heading" else heading
        if block.text not in taken:
            taken.add(block.text)
            catalog.add(
                block.text, locations=[(f"{page}.md", block.line)], auto_comments=[f"{block.kind}: {heading}"]
            )
    return catalog


def update(language: str, root: Path = ROOT) -> list[str]:
    """Write the catalogs of a language, and return a line about each that changed."""
    folder = root / "docs" / language
    folder.mkdir(exist_ok=True)
    known = Translations(folder)
    taken: set[str] = set()
    changed = []
    for page in PAGES:
        path = folder / f"{page}.po"
        catalog = Catalog(locale=LANGUAGES[language])
        if path.is_file():
            with path.open("rb") as file:
                catalog = read_po(file, locale=LANGUAGES[language])
        before = path.read_bytes() if path.is_file() else b""
        catalog.update(template(page, taken, root))
        for message in catalog:
            # It may have moved here from another page, or differ only in its numbers.
            if message.id and (translation := known.find(str(message.id))):
                message.string = translation
                message.flags.discard("fuzzy")
        with path.open("wb") as file:
            file.write(HEADER.format(page=page, language=language).encode())
            write_po(file, catalog, width=0, ignore_obsolete=True, include_lineno=False, omit_header=True)
        if path.read_bytes() != before:
            empty = sum(not each.string for each in catalog if each.id)
            fuzzy = sum(each.fuzzy for each in catalog if each.id)
            changed.append(f"{language}/{page}.po: {len(catalog)} messages, {empty} empty, {fuzzy} fuzzy")
    return changed


if __name__ == "__main__":
    for changed in map(update, LANGUAGES):
        sys.stdout.writelines(f"{line}\n" for line in changed)
