"""A Python-Markdown extension: labels of snippets and the style of their outputs.

Lines of output look like output, and a label above the code says what the keys of the fence mean:
that the snippet raises, that it needs a GPU, that it is the library's own source.
`pymdownx.superfences`, which finds the fences and colors the code, must be listed before it.
"""

import ast
import re
from functools import partial
from html import escape

from markdown.extensions import Extension
from pymdownx.superfences import SuperFencesCodeExtension

# Pygments marks `#> ...` as a comment. It is output only if it is on a line of its own.
OUTPUT = re.compile(r'(?m)(?:^[ ]*<span class="c1">#&gt;.*</span>\n)+')
LINE = re.compile(r'<span class="c1">(#&gt;)(.*)</span>')
KEYS = {"title", "hl_lines", "linenums", "gpu", "raises"}


class Fences(Extension):
    def __init__(self, **options):
        self.config = {
            "source": ["the library's source: {}", "above source of the library; the names follow"],
            "raises": ["raises {}", "above a snippet that ends with an exception"],
            "gpu": ["needs a GPU", "above a snippet that needs one"],
            "gpus": ["needs {} GPUs", "above a snippet that needs more"],
        }
        super().__init__(**options)

    def extendMarkdown(self, md):  # noqa: N802 (Python-Markdown calls it so)
        loaded = md.registeredExtensions
        (superfences,) = (each for each in loaded if isinstance(each, SuperFencesCodeExtension))
        superfences.extend_super_fences("python", partial(highlight, self.getConfigs()), validate, None)


def validate(language, inputs, options, attrs, md):
    """Keep all keys of the fence. superfences needs its settings to be read before it colors code."""
    md.preprocessors["fenced_code_block"].get_hl_settings()
    options.update(inputs)
    return KEYS.issuperset(inputs)


def highlight(words, src, language, options, md, **kwargs):
    """The colored code, with a caption if there are labels."""
    title, raises, gpu = (options.pop(key, "") for key in ("title", "raises", "gpu"))
    labels = [escape(title)]
    if title.startswith("d2lblocks/"):
        labels.append(words["source"].format(", ".join(definitions(title, src))))
    if raises:
        labels.append(words["raises"].format(f"<code>{escape(raises)}</code>"))
    if gpu:
        labels.append(words["gpu"] if gpu == "1" else words["gpus"].format(escape(gpu)))
    caption = "".join(f"<span>{label}</span>" for label in labels if label)
    options |= {"title": caption, "title_mode": "html"} if caption else {}
    fences = md.preprocessors["fenced_code_block"]
    return OUTPUT.sub(output, fences.highlight(src, language, options, md, **kwargs))


def definitions(title, source):
    """Yield each name that the snippet defines, as a link to its entry on the API page."""
    module = title.removesuffix(".py").replace("/", ".")
    for node in ast.parse(source).body:
        name = getattr(node, "name", None)
        if name and "._" in f"{module}.{name}":  # private, or in a private module: it has no entry
            yield f"<code>{name}</code>"
        elif name:
            yield f'<autoref identifier="{module}.{name}"><code>{name}</code></autoref>'


def output(lines):
    """Put lines of output in a block of their own. Their text does not change, so a copy still runs."""
    return '<span class="go">' + LINE.sub(r"<i>\1</i>\2", lines[0]) + "</span>"


def makeExtension(**options):  # noqa: N802 (Python-Markdown looks for this name)
    return Fences(**options)
