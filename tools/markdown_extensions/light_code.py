"""A Python-Markdown extension: code with fewer spans, so that a page is lighter and has fewer colors.

Pygments marks every name, operator, bracket and blank.
A page shows them in the color of plain text, so their marks are removed: they are half of its elements.
"""

import re

from markdown.extensions import Extension
from markdown.postprocessors import Postprocessor

PLAIN = re.compile(r'<span class="(?:fm|n|o|p|sa|vm|w)">([^<]*)</span>|(?<=<pre>)<span></span>')


class LightCode(Extension):
    def extendMarkdown(self, md):  # noqa: N802 (Python-Markdown calls it so)
        md.postprocessors.register(Plain(md), "light_code", 0)  # after all others


class Plain(Postprocessor):
    def run(self, text):
        return PLAIN.sub(r"\1", text)


def makeExtension(**options):  # noqa: N802 (Python-Markdown looks for this name)
    return LightCode(**options)
