"""The data file of `explain`: it is made from the pages, with holes for what is the reader's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.machinery.toy_project import check, fence, pages_of, project
from tools.generate import messages as generator
from tools.generate.all_files import generated
from tools.generate.messages import MESSAGES, template

NAVIGATION = "nav:\n  - index.md\n  - Topics:\n      - words.md\n"
FAILS = fence("1 / 0", "#> ZeroDivisionError: division by zero", keys='raises="ZeroDivisionError"')
MISSING = fence("raise KeyError(2)", "#> KeyError: 2", keys='raises="KeyError"')
PAGE = (
    f"# Words\n\n## A *look*\n\n{MISSING}\n## When it goes wrong\n\n"
    "### `division by zero`: a sum\n<!-- slow | The `divisor` is 0. | Check it. -->\n\n" + FAILS + "\n"
    "### No message\n<!-- slow | It is long. | Shorten it. -->\n"
)  # fmt: skip
DIVISION = {
    "title": "division by zero: a sum",
    "cause": "The `divisor` is 0.",
    "fix": "Check it.",
    "messages": [{"text": "ZeroDivisionError: division by zero"}],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one topic, and the folder of the data file."""
    files = {"mkdocs.yml": NAVIGATION, "docs/en/words.md": PAGE, MESSAGES: "old"}
    return project(tmp_path, **files)


def test_the_file_is_made_from_the_pages(root: Path) -> None:
    """It holds each entry with a message: title, cause, fix and messages. Without a symptom, it is a link."""
    (file,) = [each for each in generated(pages_of(root), root) if each.name == MESSAGES]
    assert f"{MESSAGES}: this is not what it is made from" in file.lie()
    check(root, update=True)
    made = json.loads((root / MESSAGES).read_text("utf-8"))
    look = {"title": "Words: A *look*", "messages": [{"text": "KeyError: {number}"}]}
    assert made == {"words.md#a-look": look, "words.md#division-by-zero-a-sum": DIVISION}
    assert file.lie() == ""


def test_a_package_without_the_folder_gets_no_file(root: Path) -> None:
    """Other projects have no such file."""
    (root / MESSAGES).unlink()
    (root / MESSAGES).parent.rmdir()
    assert [each for each in generated(pages_of(root), root) if each.name == MESSAGES] == []


def test_what_is_written_by_hand_replaces_the_messages(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Templates by hand are taken as they are, without their examples; an unknown link is an error."""
    wanted = {"text": "division by {word}", "without": ["one"]}
    mine: dict[str, list[dict[str, Any]]] = {
        "words.md#division-by-zero-a-sum": [
            wanted | {"examples": ["division by nil"], "torch": "2.11", "note": "x"}
        ],
        "words.md#no-message": [{"text": "too long"}],
    }
    monkeypatch.setattr(generator, "wordings", lambda root: mine)
    made = json.loads(generator.messages(pages_of(root), root))
    assert made["words.md#division-by-zero-a-sum"] == DIVISION | {"messages": [wanted]}
    assert made["words.md#no-message"]["messages"] == [{"text": "too long"}]
    mine["words.md#gone"] = [{"text": "gone"}]
    with pytest.raises(ValueError, match=r"has links that are not on the pages: words.md#gone"):
        generator.messages(pages_of(root), root)


@pytest.mark.parametrize(
    ("message", "made"),
    [
        ("ValueError: no layer 3 of 12. Add one.", "ValueError: no layer {number} of {number}"),
        ("shape (1, 8, 30) is not torch.Size([2, 3])", "shape {shape} is not {shape}"),
        ("shapes of 3x4 and [2, 1]", "shapes of {shape} and {shape}"),
        ("it doesn't match 'a.b' of \"c\" or `d`", "it doesn't match '{name}' of \"{name}\" or {name}"),
        ("cannot load a/net-1.safetensors: damaged", "cannot load {path}: damaged"),
        ("Expected one of cpu, cuda, ...", "Expected one of cpu, cuda, {text}"),
        ("torch.nn is 2.5 of float32 and conv2d", "torch.nn is {number} of float32 and conv2d"),
    ],
)
def test_what_is_the_readers_own_is_a_hole(message: str, made: str) -> None:
    """Names, shapes, numbers and paths become holes; only the first sentence counts."""
    assert template(message) == made
