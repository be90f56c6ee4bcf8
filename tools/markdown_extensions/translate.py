"""A Python-Markdown extension: the prose of a page in another language, from its catalogs.

It runs after snippets are included and before fences are taken out, so it sees the page as it is written.
Code, outputs, anchors and all else come from the English page. A block without a translation stays English,
and is marked as such. A page of which less than half is translated stays English as a whole, and says so.
"""

import re
from pathlib import Path

from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor

from tools.languages.blocks import Block, blocks, is_prose, with_texts
from tools.languages.catalogs import anchors, translations


class Translate(Extension):
    def __init__(self, **options):
        self.config = {
            "catalogs": ["", "the folder with the PO files"],
            "note": ["", "the words above a page that is only in English"],
            "title": ["", "the words that appear over a block that is not translated"],
        }
        super().__init__(**options)

    def extendMarkdown(self, md):  # noqa: N802 (Python-Markdown calls it so)
        page = Page(md, self.getConfigs())
        md.preprocessors.register(page, "translate", 28)  # snippets: 32, fences: 25
        # After code in a line, at 20, and before the table of contents, at 5.
        md.treeprocessors.register(Anchors(md, page), "anchors", 15)


class Page(Preprocessor):
    def __init__(self, md, options):
        super().__init__(md)
        self.options = options
        self.folder = Path(options["catalogs"])
        self.translations = translations(self.folder)
        self.anchors = []  # of the headings of the English page, if this one is translated

    def run(self, lines):
        self.anchors = []
        prose = [each for each in blocks(lines) if isinstance(each, Block)]
        headings = [each for each in prose if each.kind == "heading"]
        if not headings or headings[0].before != "# ":  # a docstring, not a page
            return lines
        found = {each: self.translations.find(each.text) for each in prose if is_prose(each.text)}
        if sum(map(bool, found.values())) < len(found) / 2:  # the few are those of other pages
            return [
                *lines[: headings[0].line],
                "",
                f'<p class="english" lang="{self.folder.name}">{self.options["note"]}</p>',
                "",
                *lines[headings[0].line :],
            ]
        self.anchors = anchors([each.text for each in headings])
        return with_texts(lines, lambda block: self.text_of(block, found))

    def text_of(self, block, found):
        """The translation, or the English text, marked if it should have one."""
        return (found[block] or self.marked(block)) if block in found else block.text

    def marked(self, block):
        """The English text of a block, marked; a caption is an attribute and cannot be."""
        if block.kind == "caption":
            return block.text
        return f'<span class="english" lang="en" title="{self.options["title"]}">{block.text}</span>'


class Anchors(Treeprocessor):
    """Gives each heading the anchor of the English one, so that links lead to it in every language."""

    def __init__(self, md, page):
        super().__init__(md)
        self.page = page

    def run(self, root):
        headings = [each for each in root.iter() if re.fullmatch("h[1-6]", str(each.tag))]
        for heading, anchor in zip(headings, self.page.anchors, strict=False):
            heading.set("id", anchor)


def makeExtension(**options):  # noqa: N802 (Python-Markdown looks for this name)
    return Translate(**options)
