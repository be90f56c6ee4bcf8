"""The data file by which `explain` recognizes the messages on the pages: their templates, with holes.

What is the reader's own in a message, such as a name, a shape or a number, becomes a hole.
`wordings.toml` holds the templates of entries for which that is not enough.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.page_runner import Page

from .entries import Entry, entries, plain
from .mistakes import topic

MESSAGES = "src/d2lblocks/diagnosis/messages.json"
WORDINGS = "tools/generate/wordings.toml"
SENTENCE = re.compile(r"(?<=[\w)\]}`'\"])[.!;](?= |$).*", re.S)
# What is a hole, and the name of the hole; in this order.
HOLES = [
    (r"(?<![\w.])[\w/\\-]+(?:\.[\w-]+)*\.(?:safetensors|pt|pth|py)\b", "{path}"),
    (r"torch\.Size\(\[[\d, ]*\]\)|\[\d[\d, ]*\]|\(\d+,[\d, ]*\)", "{shape}"),
    (r"\b\d+x\d+\b", "{shape}"),
    (r"(?<!\w)'[^'{}]+'", "'{name}'"),
    (r'"[^"{}]+"', '"{name}"'),
    (r"`[^`{}]+`", "{name}"),
    (r"\.\.\.", "{text}"),
    (r"(?<![\w.:{])-?\d+(?:\.\d+)?\b(?!\w)", "{number}"),
]
Messages = list[dict[str, Any]]


def messages(pages: list[Page], root: Path) -> str:
    """The text of the data file. An entry without a symptom has a link only.

    Raises:
        ValueError: if `wordings.toml` has an entry that the pages do not have.
    """
    made: dict[str, dict[str, Any]] = {}
    others = wordings(root)
    for entry in entries(pages, root):
        link = f"{entry.page.short}#{entry.heading.anchor}"
        found = others.get(link) or [{"text": text} for text in dict.fromkeys(templates(entry))]
        if found:
            title = plain(entry.heading.text)
            said = {"cause": entry.cause, "fix": entry.fix} if entry.symptom else {}
            title = title if entry.symptom else f"{plain(topic(entry))}: {title}"
            made[link] = {"title": title, **said, "messages": [without_examples(each) for each in found]}
    if unknown := others.keys() - made.keys():
        raise ValueError(f"{WORDINGS} has links that are not on the pages: {', '.join(sorted(unknown))}")
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def wordings(root: Path) -> dict[str, Messages]:
    """The templates that are written by hand, by the links of their entries; another project has none."""
    file = root / WORDINGS
    read: dict[str, Messages] = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
    return read


def without_examples(message: dict[str, Any]) -> dict[str, Any]:
    """The part of a message that the package needs."""
    return {key: value for key, value in message.items() if key not in ("examples", "torch", "note")}


def templates(entry: Entry) -> Iterator[str]:
    """Yield the first sentence of each message of an entry, with holes."""
    for message in entry.messages:
        yield template(message.text)


def template(message: str) -> str:
    """The first sentence of a message, with holes."""
    message = SENTENCE.sub("", message)
    for own, hole in HOLES:
        message = re.sub(own, hole, message)
    return message
