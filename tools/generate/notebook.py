"""A page as a Jupyter notebook: its prose, its code, and the outputs that it shows."""

import ast
import base64
import html
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from markdown import markdown  # type: ignore[import-untyped]
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.page_runner import Page, Snippet, parse_quietly, svg
from tools.languages import phrases
from tools.languages.catalogs import Translations
from tools.languages.pictures import translated
from tools.pages import PICTURES

from .cells import error_shown, page_cells, relinked, solution

NOTEBOOKS = "docs/{}/notebooks"  # of a language
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
# In Markdown, bold text does not end between a Chinese punctuation mark and a letter; in HTML it does.
STRONG = re.compile(r"\*\*((?:[^*`\n]|`[^`\n]*`)+(?<=[。：，；！？）」”]))\*\*(?=\w)")
# Chinese has no blank between sentences; the end of a line would be shown as one.
SENTENCES = re.compile(r"(?<=[。！？])\n(?=[^\W\d]|`)")
LANGUAGE = {"language_info": {"name": "python"}}


def notebook(page: Page, topics: list[Page], root: Path, translations: Translations) -> str:
    """The text of the notebook; its links lead to the notebooks of these pages.

    The pages are in the language of the translations, which also have the words of pictures.
    """
    anchors = {f"{topic.path.stem}#{each.anchor}": each.text for topic in topics for each in topic.headings()}

    def link(text: str, target: str) -> str:
        place, _, anchor = target.partition("#")
        stem = place.removesuffix(".md") or page.path.stem
        if "://" in target:
            return f"[{text}]({target})"
        if all(stem != topic.path.stem for topic in topics):
            return text  # the target has no notebook, and the address of the site is unknown here
        fragment = f"#{jupyter_anchor(anchors[f'{stem}#{anchor}'])}" if anchor else ""
        return f"[{text}]({f'{stem}.ipynb' if place else ''}{fragment})"

    def picture(words: str, target: str) -> str:
        drawn = svg(root / PICTURES / Path(target).name)
        return f"![{words}]({data_address(translated(drawn, translations))})" if drawn else words

    cells: list[NotebookNode] = []
    for part in page_cells(page, phrases.NOTEBOOK, translations.say):
        if isinstance(part, Snippet):
            cells += code_cells(part)
        else:
            folded = {"jp-MarkdownHeadingCollapsed": True} if part == solution(translations.say) else {}
            text = STRONG.sub(r"<strong>\1</strong>", SENTENCES.sub("", relinked(part, link, picture)))
            cells.append(new_markdown_cell(text, metadata=folded))
    count = 0
    for number, cell in enumerate(cells, 1):
        cell.id = f"{page.path.stem}-{number}"
        if cell.cell_type == "code":
            cell.execution_count = count = count + 1
    made = new_notebook(cells=cells, metadata=KERNEL | LANGUAGE)
    return f"{nbformat.writes(made, version=4)}\n"


def code_cells(snippet: Snippet) -> Iterator[NotebookNode]:
    """Yield the cells of a snippet; a cell ends after an output."""
    runs = list(code_and_outputs(snippet))
    for number, (code, shown) in enumerate(runs, 1):
        raises = snippet.raises if number == len(runs) else ""
        printed, name, message = error_shown(shown, raises) if raises else (shown, "", "")
        outputs = []
        if printed:
            outputs.append(new_output("stream", name="stdout", text="\n".join(printed) + "\n"))
        if raises:
            error = {"ename": name.rpartition(".")[2], "evalue": message}
            outputs.append(new_output("error", **error, traceback=["\n".join(shown[len(printed) :])]))
        tags = ["gpu"] * (snippet.gpus > 0) + ["raises-exception"] * bool(snippet.gpus or raises)
        source = "\n".join(code).strip("\n")
        metadata = {"tags": tags} if tags else {}
        yield new_code_cell(source if raises else hushed(source), metadata=metadata, outputs=outputs)


def code_and_outputs(snippet: Snippet) -> Iterator[tuple[list[str], list[str]]]:
    """Yield blocks of code lines, each with the lines of output below it."""
    shown = snippet.output_lines()
    code: list[str] = []
    output: list[str] = []
    for number, line in enumerate(snippet.code, 1):
        if number in shown:
            output.append(line.lstrip().removeprefix("#>").removeprefix(" "))
        elif output:
            yield code, output
            code, output = [line], []
        else:
            code.append(line)
    if "".join(code).strip() or output:
        yield code, output


def hushed(source: str) -> str:
    """Add a semicolon to a last expression, because a notebook would display its value."""
    body = parse_quietly(source, "cell").body
    match body[-1:]:
        case [ast.Expr(value=ast.Call(func=ast.Name(id="print")))]:
            return source
        case [ast.Expr(end_lineno=int(line), end_col_offset=int(column))]:
            lines = source.split("\n")
            last = lines[line - 1].encode()
            lines[line - 1] = f"{last[:column].decode()};{last[column:].decode()}"
            return "\n".join(lines)
    return source


def jupyter_anchor(heading: str) -> str:
    """JupyterLab's anchor of a heading: its text as shown, with dashes for blanks."""
    return html.unescape(re.sub(r"<[^>]+>", "", markdown(heading))).replace(" ", "-")


def data_address(drawn: str) -> str:
    """The picture itself as an address, in light colors, because it cannot know the notebook's colors."""
    light = drawn.replace("(prefers-color-scheme: dark)", "not all")
    light = light.replace("<svg ", '<svg style="background: #fff" ', 1)
    return f"data:image/svg+xml;base64,{base64.b64encode(light.encode()).decode()}"
