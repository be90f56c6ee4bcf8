"""The page of all mistakes on the pages, made from their entries: by symptom, and by message."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from tests.page_runner import Page

from .entries import SYMPTOMS, Entry, entries

MISTAKES = "docs/en/mistakes.md"


def mistakes(pages: list[Page], root: Path) -> Iterator[str]:
    """Yield the lines of the page."""
    found = entries(pages, root)
    full = [entry for entry in found if entry.symptom]
    yield from by_symptom(full)
    yield from by_topic("PyTorch's messages", [with_messages(entry, own=False) for entry in full])
    yield from by_topic("d2lblocks' messages", [with_messages(entry, own=True) for entry in full])
    told = {message for entry in full for message in entry.messages}
    yield from others(entry for entry in found if not entry.symptom and not told.issuperset(entry.messages))


def with_messages(entry: Entry, own: bool) -> Entry:
    """The entry with only the messages of the package, or with only the others."""
    return replace(entry, messages=tuple(message for message in entry.messages if message.own == own))


def by_symptom(found: list[Entry]) -> Iterator[str]:
    """Yield links to the existing symptoms, and a list of entries for each."""
    groups = {
        symptom[0].upper() + symptom[1:]: [entry for entry in found if entry.symptom == symptom]
        for symptom in SYMPTOMS
    }
    there = {title: group for title, group in groups.items() if group}
    yield from ("## By what you see", "")
    yield from (f"- [{title}](#{title.lower().replace(' ', '-')})" for title in there)
    for title, group in there.items():
        yield from ("", f"### {title}", "")
        for entry in group:
            yield from item(replace(entry, messages=()))


def by_topic(title: str, found: list[Entry]) -> Iterator[str]:
    """Yield, for each topic, a list of its entries that have messages."""
    there = [entry for entry in found if entry.messages]
    if there:
        yield from ("", f"## {title}")
    for (page, name), group in groupby(there, lambda entry: (entry.page.short, topic(entry))):
        yield from ("", f"### [{name}]({page})", "")
        for entry in group:
            yield from item(entry)


def others(found: Iterable[Entry]) -> Iterator[str]:
    """Yield the messages that are shown elsewhere."""
    lines = [line for entry in found for line in item(entry, f"{topic(entry)}: ")]
    if lines:
        yield from ("", "## Other messages on the pages", "", *lines)


def topic(entry: Entry) -> str:
    return next(entry.page.headings()).text


def item(entry: Entry, before: str = "") -> Iterator[str]:
    """Yield the list item of an entry, with a link to it. Messages in the heading are not repeated."""
    heading = entry.heading
    yield f"- [{before}{heading.text}]({entry.page.short}#{heading.anchor})"
    yield from (f"    - {code(each.text)}" for each in entry.messages if each.text not in heading.text)
    if entry.symptom:
        yield from (f"    - Cause: {entry.cause}", f"    - Fix: {entry.fix}")


def code(text: str) -> str:
    """The text as Markdown code, even if it contains backticks."""
    marks = "`" * max(2, *(len(run) + 1 for run in re.findall("`+", text)), 0)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{marks}{space}{text}{space}{marks}"
