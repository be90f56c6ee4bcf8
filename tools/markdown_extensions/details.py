"""A Python-Markdown extension: `<details>` in a list is a block, as it is on code hosts.

Markdown itself treats the tag as inline and puts it into a paragraph, which HTML does not allow.
"""

from xml.etree.ElementTree import SubElement

from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension


class Details(Extension):
    def extendMarkdown(self, md):  # noqa: N802 (Python-Markdown calls it so)
        md.parser.blockprocessors.register(Tag(md.parser), "details", 95)  # before paragraphs


class Tag(BlockProcessor):
    def test(self, parent, block):
        return block.startswith("<details")

    def run(self, parent, blocks):
        tag = blocks.pop(0).replace(' markdown="1"', "")
        SubElement(parent, "p").text = self.parser.md.htmlStash.store(tag)


def makeExtension(**options):  # noqa: N802 (Python-Markdown looks for this name)
    return Details(**options)
