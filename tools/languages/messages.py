"""Bring the catalogs in step with the pages: `make messages`.

New blocks are empty, changed ones are fuzzy, with the old text beside them; those that are gone are dropped.
A message that several pages have is in the catalog of the first one.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from .blocks import Block, blocks, is_prose
from .catalogs import LANGUAGES, ROOT, Translations, read_catalog
from .phrases import PHRASES
from .pictures import pictures, words

# Without dates, which would change with every run.
HEADER = """\
# {page} in {language}: `make messages` keeps it in step with the English.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.S)
ENGLISH_ONLY = ("speed",)


def pages(root: Path = ROOT) -> list[str]:
    """The pages that are translated, in the order of the site: those of the API are in English only."""
    nav = re.findall(r"^ *- (?:\w+: )?(\w+)\.md$", (root / "mkdocs.yml").read_text("utf-8"), re.M)
    return [page for page in nav if page not in ENGLISH_ONLY]


def catalogs(root: Path = ROOT) -> list[str]:
    """The names of the catalogs of a language."""
    return [*pages(root), "pictures", "notebooks"]


def template(name: str, taken: set[str], root: Path = ROOT) -> Catalog:
    """The messages that a catalog should have: those of its page that no earlier page has, in their order."""
    catalog = Catalog()
    for text, place, line, comment in messages(name, root):
        if text not in taken:
            taken.add(text)
            catalog.add(text, locations=[(place, line)], auto_comments=[comment])
    return catalog


def messages(name: str, root: Path) -> Iterator[tuple[str, str, int, str]]:
    """Yield each message of a page, of the pictures or of the notebooks, its file and line, and a comment."""
    if name == "pictures":
        yield from ((text, each.name, 1, "picture:") for each in pictures() for text in words(each))
    elif name == "notebooks":
        yield from ((text, "phrases.py", 1, "notebook or script:") for text in PHRASES)
    else:
        text = (root / "docs/en" / f"{name}.md").read_text("utf-8")
        heading = ""
        for block in blocks(FRONT_MATTER.sub("", text).split("\n")):
            if isinstance(block, Block) and is_prose(block.text):
                heading = block.text if block.kind == "heading" else heading
                yield block.text, f"{name}.md", block.line, f"{block.kind}: {heading}"


def update(language: str, root: Path = ROOT) -> list[str]:
    """Write the catalogs of a language, and return a line about each that changed."""
    folder = root / "docs" / language
    folder.mkdir(exist_ok=True)
    known = Translations(folder)
    taken: set[str] = set()
    changed = []
    for page in catalogs(root):
        path = folder / f"{page}.po"
        before = path.read_bytes() if path.is_file() else b""
        catalog = read_catalog(path, LANGUAGES[language]) if before else Catalog(locale=LANGUAGES[language])
        changed_before = {each.id: each.previous_id for each in catalog if each.fuzzy and each.previous_id}
        # If the English changes back, the translation is right again.
        replaced = {str(old[0]): catalog[new].string for new, old in changed_before.items()}
        catalog.update(template(page, taken, root))
        for message in catalog:
            message.previous_id = changed_before.get(message.id, message.previous_id)
            # It may have moved here from another page, or differ only in its numbers.
            translation = message.id and (known.find(str(message.id)) or replaced.get(str(message.id)))
            if translation:
                message.string, message.previous_id = translation, []
                message.flags.discard("fuzzy")
        with path.open("wb") as file:
            file.write(HEADER.format(page=page, language=language).encode())
            write_po(
                file, catalog, width=0, ignore_obsolete=True, include_previous=True, include_lineno=False,
                omit_header=True,
            )  # fmt: skip
        if path.read_bytes() != before:
            empty = sum(not each.string for each in catalog if each.id)
            fuzzy = sum(each.fuzzy for each in catalog if each.id)
            changed.append(f"{language}/{page}.po: {len(catalog)} messages, {empty} empty, {fuzzy} fuzzy")
    return changed


if __name__ == "__main__":
    for changed in map(update, LANGUAGES):
        sys.stdout.writelines(f"{line}\n" for line in changed)
