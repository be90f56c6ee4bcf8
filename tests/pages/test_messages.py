"""Every message on the pages is explained by its entry, and so is each wording of other versions."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from d2lblocks import explain
from tests.pages.jupyter_kernel import code, executed
from tools.generate.entries import Entry, entries, parts, shown_below
from tools.generate.messages import WORDINGS as WORDINGS_FILE
from tools.generate.messages import wordings
from tools.pages import ROOT, project

# Entries whose message alone does not tell them from another entry, which comes first.
OTHERS_FIRST = {
    "modules.md#a-constant-is-not-saved-cast-or-moved-with-the-net": "modules.md#mat1-and-mat2-must-have-the-same-dtype-a-batch-from-numpy",
    "layers.md#the-constant-is-not-cast-or-moved-a-plain-tensor-attribute": "modules.md#mat1-and-mat2-must-have-the-same-dtype-a-batch-from-numpy",
    "parameters.md#optimizer-got-an-empty-parameter-list-from-a-net-that-has-parameters": "modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list",
    "lazy.md#weights-only-load-failed-from-a-file-that-you-saved-yourself": "serialization.md#weights-only-load-failed-a-whole-module-a-numpy-scalar",
    "lazy.md#attempted-to-use-an-uninitialized-parameter-from-requires_grad_": "init.md#attempted-to-use-an-uninitialized-parameter",
    "lazy.md#in_channels-is-0-after-loading": "serialization.md#size-mismatch-even-with-strictfalse-a-different-number-of-classes",
    "devices.md#create-and-move-tensors": "devices.md#expected-all-tensors-to-be-on-the-same-device",
    "devices.md#expected-all-tensors-to-be-on-the-same-device-at-optimizerstep": "devices.md#expected-all-tensors-to-be-on-the-same-device",
}


def link(entry: Entry) -> str:
    return f"{entry.page.short}#{entry.heading.anchor}"


ENTRIES = {link(entry): entry for entry in entries(project().pages(), ROOT)}


def shown() -> Iterator[tuple[str, str]]:
    """Yield each message on the pages as a whole, with the link of its entry."""
    for page in {entry.page.short: entry.page for entry in ENTRIES.values()}.values():
        for heading, end, _ in parts(page):
            if (where := f"{page.short}#{heading.anchor}") in ENTRIES:
                told = [message.text for message in ENTRIES[where].messages]
                groups = [group for group in shown_below(heading, end, page) if set(group) & set(told)]
                yield from ((where, "\n".join(group)) for group in groups)
                yield from ((where, text) for text in told if all(text not in group for group in groups))


@pytest.mark.parametrize(("where", "message"), dict.fromkeys(shown()))
def test_a_message_is_explained_by_its_entry(where: str, message: str) -> None:
    """The entry comes first, or after one that has the same message, and each line of the message is known."""
    links = [mistake.link for mistake in explain(message)]
    assert links[0] == OTHERS_FIRST.get(where, where)
    assert where in links
    for line in message.splitlines():
        assert explain(line), line


WORDINGS = [(where, each) for where, there in wordings(ROOT).items() for each in there]


@pytest.mark.parametrize(
    ("where", "text"), [(where, text) for where, each in WORDINGS for text in each.get("examples", ())]
)
def test_a_wording_of_another_version_is_explained_by_its_entry(where: str, text: str) -> None:
    """What PyTorch writes in other versions, on GPUs, or with other words in it leads to the same entry."""
    assert explain(text)[0].link == where


def test_wordings_have_only_the_keys_that_are_explained() -> None:
    """The top of the file says what each key is for."""
    told = (ROOT / WORDINGS_FILE).read_text("utf-8").partition("\n\n")[0]
    assert {key for _, each in WORDINGS for key in each} <= set(re.findall(r"^# (\w+)  ", told, re.M))


def test_what_is_explained_is_on_the_pages() -> None:
    """The title, the cause and the fix are those of the entry."""
    for where, message in shown():
        (mistake,) = [each for each in explain(message) if each.link == where]
        assert (mistake.cause, mistake.fix) == (ENTRIES[where].cause, ENTRIES[where].fix)
        assert mistake.title.endswith(ENTRIES[where].heading.text.replace("`", ""))


def test_a_notebook_explains_what_it_does_not_catch(tmp_path: Path) -> None:
    """In a real kernel, the explanation is below the traceback, once, and the error stays what it is."""
    fails = {"metadata": {"tags": ["raises-exception"]}}
    cells = [
        new_code_cell("from d2lblocks import explain, explain_errors\nexplain_errors()\nexplain_errors()"),
        new_code_cell("import torch\ntorch.optim.SGD([], lr=0.1)", **fails),
        new_code_cell("{}['x']", **fails),
        new_code_cell("explain('mat1 and mat2 shapes cannot be multiplied')"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = executed(new_notebook(cells=cells, metadata=kernel), tmp_path / "run")
    nbformat.validate(notebook)
    _, failed, other, shown = (cell.outputs for cell in code(notebook))
    assert (failed[0].ename, failed[0].evalue) == ("ValueError", "optimizer got an empty parameter list")
    text = "\n".join(failed[0].traceback)
    assert text.count("d2lblocks explains:") == 1
    assert str(explain(failed[0].evalue)) in text
    assert [each.link for each in explain(text)] == [each.link for each in explain(failed[0].evalue)]
    assert "d2lblocks" not in "\n".join(other[0].traceback)
    assert "<code>nn.LazyLinear</code>" in shown[0].data["text/html"]
