"""A Python-Markdown extension: `<details>` in a list is a block, as it is on code hosts.

Markdown itself takes the tag for one within a line, and puts it into a paragraph, which HTML forbids.
"""

from xml.etree.ElementTree import Element, SubElement

from markdown import Extension, Markdown
from markdown.blockprocessors import BlockProcessor


class Block(BlockProcessor):
    def test(self, parent: Element, block: str) -> bool:
        return block.startswith("<details")

    def run(self, parent: Element, blocks: list[str]) -> None:
        tag = blocks.pop(0).replace(' markdown="1"', "")
        SubElement(parent, "p").text = self.parser.md.htmlStash.store(tag)


class Details(Extension):
    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name that Markdown calls)
        md.parser.blockprocessors.register(
            Block(md.parser), "details", 95
        )  # before paragraphs, lists and code
