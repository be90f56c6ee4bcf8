"""A Python-Markdown extension: what the site shows of a snippet beside its code.

Lines of output look like output, and a label above the code says what the keys of the fence mean:
that the snippet raises, that it needs a GPU, that it is the library's own source.
`pymdownx.superfences`, which finds the fences and colours the code, has to be listed before it.
"""

import ast
import re
from html import escape

from markdown.extensions import Extension
from pymdownx.superfences import SuperFencesCodeExtension

# Pygments takes `#> ...` for a comment. Only one that has a line of its own is output.
OUTPUT = re.compile(r'(?m)(?:^[ ]*<span class="c1">#&gt;.*</span>\n)+')
LINE = re.compile(r'<span class="c1">(#&gt;)(.*)</span>')
KEYS = {"title", "hl_lines", "linenums", "gpu", "raises"}


class Fences(Extension):
    def extendMarkdown(self, md):  # noqa: N802 (Python-Markdown calls it so)
        loaded = md.registeredExtensions
        (superfences,) = (each for each in loaded if isinstance(each, SuperFencesCodeExtension))
        superfences.extend_super_fences("python", highlight, validate, None)


def validate(language, inputs, options, attrs, md):
    """Keep all keys of the fence; superfences wants its settings read before it colours."""
    md.preprocessors["fenced_code_block"].get_hl_settings()
    options.update(inputs)
    return KEYS.issuperset(inputs)


def highlight(src, language, options, md, **kwargs):
    """The coloured code, under a caption if there is something to say."""
    title, raises, gpu = (options.pop(key, "") for key in ("title", "raises", "gpu"))
    labels = [escape(title)]
    if title.startswith("d2lblocks/"):
        labels.append(f"the library's source: {', '.join(definitions(title, src))}")
    if raises:
        labels.append(f"raises <code>{escape(raises)}</code>")
    if gpu:
        labels.append("needs a GPU" if gpu == "1" else f"needs {escape(gpu)} GPUs")
    caption = "".join(f"<span>{label}</span>" for label in labels if label)
    options |= {"title": caption, "title_mode": "html"} if caption else {}
    fences = md.preprocessors["fenced_code_block"]
    return OUTPUT.sub(output, fences.highlight(src, language, options, md, **kwargs))


def definitions(title, source):
    """What the snippet defines, each name a link to its entry on the API page."""
    module = title.removesuffix(".py").replace("/", ".")
    for node in ast.parse(source).body:
        name = getattr(node, "name", None)
        if name and "._" in f"{module}.{name}":  # private, or in a private module: it has no entry
            yield f"<code>{name}</code>"
        elif name:
            yield f'<autoref identifier="{module}.{name}"><code>{name}</code></autoref>'


def output(lines):
    """Lines of output in a block of their own; their text stays the same, so that a copy runs as it is."""
    return '<span class="go">' + LINE.sub(r"<i>\1</i>\2", lines[0]) + "</span>"


def makeExtension(**options):  # noqa: N802 (Python-Markdown looks for this name)
    return Fences(**options)
