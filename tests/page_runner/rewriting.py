"""The difference between a page and its real outputs, as a remark, or removed by rewriting the page."""

import difflib
from itertools import zip_longest

from .atomic_write import replace_file
from .page import Page
from .snippet import Snippet

LONGEST = 100  # lines of a diff


def difference(snippet: Snippet, truth: list[str], page: Page, remedy: str) -> str:
    """The difference between the snippet and its true form, with the page's line numbers; empty if none."""
    if truth == snippet.code:
        return ""
    blank = " " * snippet.indent
    shown = page.text_lines()
    happened = [*shown]
    happened[snippet.line : snippet.last_line - 1] = [blank + line if line else "" for line in truth]
    names = f"{snippet.file}, as shown", "what happens"
    pairs = enumerate(zip_longest(snippet.code, truth), snippet.line + 1)
    first = next(line for line, (was, is_) in pairs if was != is_)
    diff = list(difflib.unified_diff(shown, happened, *names, lineterm="", n=2))
    diff[LONGEST:] = [f"... {len(diff) - LONGEST} lines more"] * (len(diff) > LONGEST)
    return "\n".join([f"{snippet.file}:{first}: what the page shows is not what happens", *diff, remedy])


def rewrite(page: Page, codes: dict[str, list[str]]) -> str:
    """Put new code into snippets, by id, and keep every other byte; return a message if anything was done."""
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
    replace_file(path, "\n".join(lines).encode())
    return f"rewritten: {page.name}"
