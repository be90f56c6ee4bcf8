"""Problems that people are known to have: each is in the list of mistakes, with a cause, a fix and a link."""

import re
from typing import NamedTuple

import pytest

from tools.generate.entries import parts
from tools.generate.mistakes import MISTAKES
from tools.pages import ROOT, project

# The page that helps, and the words that people search for: the fixed words at the start of a message, or
# the heading of a problem without a message.
KNOWN = [
    ("modules", "mat1 and mat2 shapes cannot be multiplied"),
    ("modules", "optimizer got an empty parameter list"),
    ("modules", "cannot assign module before Module.__init__() call"),
    ("modules", "has no attribute`, although the property exists"),
    ("modules", "unhashable type"),
    ("modules", "maximum recursion depth exceeded"),
    ("modules", "`setattr` with a dotted name does not replace a layer"),
    ("modules", "`nn.Sequential(*net.children())` computes something else"),
    ("modules", "mat1 and mat2 must have the same dtype"),
    ("parameters", "can't optimize a non-leaf Tensor"),
    ("parameters", "Only Tensors created explicitly by the user"),
    ("layers", "The positions are wrong in 16 bits: a rounded buffer"),
    ("layers", "The loss is `nan` from the first step: a weight that was never filled"),
    ("layers", "The constants are trained: `nn.ParameterList` of buffers"),
    ("layers", "torch._dynamo hit config.recompile_limit"),
    ("layers", "Index put requires the source and destination dtypes match"),
    ("layers", "Inference tensors cannot be saved for backward"),
    ("layers", "Trying to backward through the graph a second time"),
    ("devices", "Cannot convert a MPS Tensor to float64 dtype"),
    ("devices", "`Expected all tensors to be on the same device` at `optimizer.step()`"),
    ("init", "`net.apply(f)` runs, but the weights do not change"),
    ("init", "The row of `padding_idx` is not zero"),
    ("lazy", "`apply` skipped the lazy layers"),
    (
        "lazy",
        "Attempted to use an uninitialized parameter in <method 'numel' of 'torch._C.TensorBase' objects>",
    ),
    ("lazy", "`in_channels` is 0 after loading"),
    ("lazy", "SymIntArrayRef expected to contain only concrete integers"),
    ("lazy", "Modules with uninitialized parameters can't be used with"),
    ("lazy", "Cannot copy out of meta tensor"),
    ("lazy", "which is a no-op"),
    ("serialization", "Weights only load failed"),
    ("serialization", "Missing key(s) in state_dict"),
    ("serialization", "Unexpected key(s) in state_dict"),
    ("serialization", "_orig_mod."),
    ("serialization", "parametrizations.weight.original0"),
    ("serialization", "`Unexpected key(s) in state_dict`: a buffer that was `None`"),
    (
        "serialization",
        "loaded state dict contains a parameter group that doesn't match the size of optimizer's group",
    ),
    ("serialization", "The optimizer's state belongs to other layers"),
    ("serialization", "param 'initial_lr' is not specified"),
    ("serialization", "Attempting to deserialize object on a CUDA device"),
    ("serialization", "PytorchStreamReader failed reading zip archive"),
    ("serialization", "No module named 'models'"),
    ("serialization", "object has no attribute 'approximate'"),
    ("serialization", "Some tensors share memory"),
    ("serialization", "You are trying to save a non contiguous tensor"),
    ("serialization", "Loading changes the dtype"),
    ("serialization", "Can't pickle local object"),
    ("serialization", "`size mismatch`, even with `strict=False`"),
    ("serialization", "total_ops"),
    ("serialization", "The learning rate is reset after resuming"),
    ("modules", "'DataParallel' object has no attribute"),
    ("layers", "Only Tensors of floating point and complex dtype can require gradients"),
    ("lazy", "Expected more than 1 value per channel when training"),
    ("devices", "CUDA out of memory"),
]
ITEM = re.compile(r"^- \[(.+)\]\((\w+)\.md#(\S+)\)\n((?:    - .+\n)+)", re.M)


class Item(NamedTuple):
    """An entry in the list of mistakes."""

    heading: str
    page: str
    anchor: str
    lines: str


def items() -> list[Item]:
    return [Item(*match.groups()) for match in ITEM.finditer((ROOT / MISTAKES).read_text("utf-8"))]


def anchors(page: str, of_entries: bool = False) -> set[str]:
    """The anchors of a page's headings, or of the entries among them."""
    read = project().page(ROOT / f"docs/en/{page}.md", page)
    return {heading.anchor for heading, _, inside in parts(read) if inside or not of_entries}


@pytest.mark.parametrize(("page", "words"), KNOWN)
def test_a_known_problem_is_found(page: str, words: str) -> None:
    """The words that people search for lead to its cause, its fix, and a valid link."""
    found = [item for item in items() if item.page == page and words in f"{item.heading}\n{item.lines}"]
    told = [item for item in found if re.search(r"^    - Cause: .+\.\n    - Fix: .+\.\n\Z", item.lines, re.M)]
    assert told, f'no entry of {page}.md has "{words}" in its heading or its messages, and a cause and a fix'
    assert {item.anchor for item in told} <= anchors(page)


@pytest.mark.parametrize("made", ["notebooks/{}.ipynb", "scripts/{}.py"])
@pytest.mark.parametrize("page", sorted({item.page for item in items()}))
def test_the_line_of_an_entry_is_not_in_what_is_made_from_its_page(page: str, made: str) -> None:
    """Notebooks and scripts do not contain the comments of a page."""
    assert "<!--" in (ROOT / f"docs/en/{page}.md").read_text("utf-8")
    assert "<!--" not in (ROOT / "docs/en" / made.format(page)).read_text("utf-8")


def test_every_entry_is_in_the_list_by_its_symptom() -> None:
    """On every page, an entry of "When it goes wrong" is below one of the symptoms."""
    symptoms = (ROOT / MISTAKES).read_text("utf-8").partition("## By what you see")[2].partition("\n## ")[0]
    topics = {item.page for item in items()}
    assert len(topics) == 8
    links = [f"{page}.md#{anchor}" for page in topics for anchor in anchors(page, of_entries=True)]
    assert [link for link in links if f"({link})" not in symptoms] == []
