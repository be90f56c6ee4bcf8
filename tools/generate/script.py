"""A page as a program that runs from top to bottom, with cells in the percent format of editors."""

import ast
import re
from collections.abc import Iterator

from tests.page_runner import Page, Snippet, parse_quietly, shown_text, statement_lines
from tools.languages import phrases
from tools.languages.catalogs import Translations

from .cells import error_shown, page_cells, relinked

SCRIPTS = "docs/{}/scripts"  # of a language
BEFORE_TEXT = re.compile(r" *(?:[-*] |\d+\. )?")
CHINESE_END = re.compile(r"(?<=[。！？])(?=[^\s。！？」”）*])")  # of a sentence that another one follows


def script(page: Page, translations: Translations) -> str:
    """The text of the script. What it prints is in English, like its code."""

    def picture(words: str, _: str) -> str:
        return translations.say(phrases.PICTURE).format(words)

    cells = []
    for part in page_cells(page, phrases.SCRIPT, translations.say):
        if isinstance(part, Snippet):
            cells.append("\n".join(["# %%", *program(part)]))
        else:
            prose = [each for line in relinked(part, link, picture).split("\n") for each in sentences(line)]
            cells.append("\n".join(["# %% [markdown]", *(f"# {line}" if line else "#" for line in prose)]))
    return "\n\n".join(cells) + "\n"


def sentences(line: str) -> list[str]:
    """A line for each Chinese sentence, as the English pages have; a row of a table stays whole."""
    if line.lstrip().startswith("|"):
        return [line]
    indent = BEFORE_TEXT.match(line)
    return CHINESE_END.sub("\n" + " " * (indent.end() if indent else 0), line).split("\n")


def link(text: str, target: str) -> str:
    return f"[{text}]({target})" if "://" in target else text


def program(snippet: Snippet) -> list[str]:
    """The snippet's lines. Expected exceptions are caught, and code for GPUs first checks that they exist."""
    lines = list(caught(snippet)) if snippet.raises else snippet.code
    if snippet.gpus:
        there = f"if torch.cuda.device_count() >= {snippet.gpus}:"
        lines = [there, *indented(lines), "else:", f'    print("{skipped(snippet)}")']
    return lines


def skipped(snippet: Snippet) -> str:
    """The text that the script prints instead of a snippet that needs more GPUs."""
    return f"skipped: this needs {'a CUDA GPU' if snippet.gpus == 1 else f'{snippet.gpus} CUDA GPUs'}"


def caught(snippet: Snippet) -> Iterator[str]:
    """Put the snippet's last statement in a `try`, and print the exception as the page shows it."""
    code, shown = snippet.code, snippet.output_lines()
    last = snippet.tree().body[-1]
    first, end = statement_lines(last)
    outputs = [shown_text(code[number - 1]) for number in sorted(shown) if number > end]
    _, name, message = error_shown(outputs, snippet.raises)
    yield from code[: first - 1]
    yield "try:"
    yield from indented(code[first - 1 : end])
    yield f"except {snippet.raises} as error:"
    yield f'    print(f"{name}: {{error}}")' if message else f'    print("{name}")'
    yield from code[end:]


def indented(lines: list[str]) -> Iterator[str]:
    """Indent the lines, except for those that start inside a string."""
    strings = [
        node
        for node in ast.walk(parse_quietly("\n".join(lines), "block"))
        if isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))
    ]
    inside = {line for each in strings for line in range(each.lineno + 1, (each.end_lineno or 0) + 1)}
    for number, line in enumerate(lines, 1):
        yield line if not line or number in inside else f"    {line}"
