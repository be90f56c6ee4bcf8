"""The mistakes on the pages and their messages, read from the file that `make update` makes of the pages."""

import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from ._templates import Template
from .explanation import Mistake


class Known(NamedTuple):
    """A mistake on the pages, and the messages that lead to it."""

    mistake: Mistake
    templates: list[Template]


@cache
def known() -> list[Known]:
    """All mistakes, in the order of the pages."""
    entries = json.loads(files(__package__).joinpath("messages.json").read_text("utf-8"))
    return [Known(_mistake(link, entry), _templates(entry)) for link, entry in entries.items()]


def _mistake(link: str, entry: dict[str, Any]) -> Mistake:
    page, _, anchor = link.partition("#")
    return Mistake(entry["title"], entry.get("cause", ""), entry.get("fix", ""), page, anchor)


def _templates(entry: dict[str, Any]) -> list[Template]:
    lists = ("within", "without")
    return [
        Template(**message | {name: tuple(message[name]) for name in lists if name in message})
        for message in entry["messages"]
    ]
