"""A Python-Markdown extension: code with fewer spans, so that a page is lighter and fewer colours say more.

Pygments marks every name, operator, bracket and blank.
A page shows them in the colour of plain text, so their marks go: they are half of the page's elements.
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
