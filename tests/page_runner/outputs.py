"""What a page shows beside what happens, and pages rewritten to show it."""

import difflib
import io
import re
import tokenize
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from .library import library_lies, shows_library
from .read import Page
from .run import Outcome
from .snippet import Snippet
from .write import replace

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
LONGEST = 100  # lines of a diff
HOW = "If what happens is right, `make update` rewrites what is shown; then read the diff."


def troubles(snippet: Snippet, outcome: Outcome, root: Path) -> list[str]:
    """Why the snippet fails whatever outputs it shows, as review remarks."""
    if snippet.problems:
        return [f"{snippet.file}:{snippet.line}: {problem}" for problem in snippet.problems]
    if outcome.troubles:
        return outcome.troubles
    lies = library_lies(snippet, root) if shows_library(snippet) else []
    return [f"{lie}\n{HOW}" for lie in lies] + unshowable(snippet, outcome)


def truthful(snippet: Snippet, outcome: Outcome) -> list[str]:
    """The snippet's code with the outputs that happened, each after its statement."""
    shown = shown_lines(snippet.code)
    truth: list[str] = []
    for number, line in enumerate(snippet.code, 1):
        if number not in shown:
            truth.append(line)
        truth += [f"#> {text}" if text else "#>" for text in printed_lines(outcome.outputs.get(number, ""))]
    return truth


def printed_lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def shown_lines(code: list[str]) -> set[int]:
    """The lines that are an output comment and nothing else."""
    return {line for line, column in output_comments(code) if not code[line - 1][:column].strip()}


def output_comments(code: list[str]) -> Iterator[tuple[int, int]]:
    """Line and column of every output comment; a `#>` inside a string is a string."""
    if any("#>" in line for line in code):
        for token in tokenize.generate_tokens(io.StringIO("\n".join(code) + "\n").readline):
            if token.type == tokenize.COMMENT and token.string.startswith("#>"):
                yield token.start


def unshowable(snippet: Snippet, outcome: Outcome) -> list[str]:
    """Output that the lines of a fence cannot hold, and `#>` behind code, where no output belongs."""
    remarks = []
    for number, text in outcome.outputs.items():
        at = f"{snippet.file}:{snippet.line + number}"
        if "```" in text:
            remarks.append(f"{at}: this prints three backticks, which would end the fence")
        quotes = snippet.file.endswith(".py") and ('"""' in text or "'''" in text)
        if quotes or (not snippet.raw and "\\" in text):
            remarks.append(f"{at}: this prints quotes or backslashes, which would change the docstring")
        if control := sorted(set(CONTROL.findall(text))):
            codes = ", ".join(map(ascii, control))
            remarks.append(f"{at}: this prints control characters that a page cannot show: {codes}")
    for line, column in output_comments(snippet.code):
        if snippet.code[line - 1][:column].strip():
            at = f"{snippet.file}:{snippet.line + line}"
            remarks.append(f"{at}: output goes on lines of its own, after the statement that printed it")
    return remarks


def difference(snippet: Snippet, truth: list[str], page: Page) -> str:
    """How the snippet differs from the truth, in the page's line numbers; empty if it does not."""
    if truth == snippet.code:
        return ""
    blank = " " * snippet.indent
    shown = [line.removesuffix("\r") for line in page.lines]
    happened = [*shown]
    happened[snippet.line : snippet.last_line - 1] = [blank + line if line else "" for line in truth]
    names = f"{snippet.file}, as shown", "what happens"
    pairs = enumerate(zip_longest(snippet.code, truth), snippet.line + 1)
    first = next(line for line, (was, is_) in pairs if was != is_)
    diff = list(difflib.unified_diff(shown, happened, *names, lineterm="", n=2))
    diff[LONGEST:] = [f"... {len(diff) - LONGEST} lines more"] * (len(diff) > LONGEST)
    return "\n".join([f"{snippet.file}:{first}: what the page shows is not what happens", *diff, HOW])


def rewrite(page: Page, codes: dict[str, list[str]]) -> str:
    """Put new code into snippets, by id; every byte of every other line stays. What was done, if anything."""
    lines = [*page.lines]
    for snippet in sorted(page.snippets, key=lambda snippet: -snippet.line):
        start, blank = snippet.line, " " * snippet.indent
        ending = "\r" if page.lines[start - 1].endswith("\r") else ""
        old = [
            line.removesuffix("\r")[snippet.indent :] for line in page.lines[start : snippet.last_line - 1]
        ]
        new = codes.get(snippet.id, old)
        changes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        for kind, first, last, new_first, new_last in reversed(changes):
            if kind != "equal":
                fresh = [(blank + line if line else "") + ending for line in new[new_first:new_last]]
                lines[start + first : start + last] = fresh
    if lines == page.lines:
        return ""
    path = page.path.resolve()
    if path.read_bytes() != "\n".join(page.lines).encode():
        return f"left alone, because it was changed meanwhile: {page.name}"
    replace(path, "\n".join(lines).encode())
    return f"rewritten: {page.name}"
