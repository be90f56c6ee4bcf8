"""The home page's proof: how many snippets were run, how many lines of output compared, and on what."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.page_runner import Page

from .gpu_record import Record

HOME = "docs/en/index.md"


def proof(pages: list[Page], root: Path) -> Iterator[str]:
    """Of the pages as they are: their tests pass, or this is not shown. Without what no GPU has run."""
    record = Record(pages, root)
    snippets = [
        snippet
        for page in pages
        for snippet in page.snippets
        if not snippet.gpus or record.find(record.gated[snippet.id])[0] == "passed"
    ]
    outputs = sum(len(snippet.outputs()) for snippet in snippets)
    pins = root / "constraints.txt"
    torch = re.search(r"^torch==(\S+)$", pins.read_text("utf-8") if pins.is_file() else "", re.MULTILINE)
    yield f"- **{len(snippets):,}** snippets run"
    yield f"- **{outputs:,}** lines of output compared"
    if torch:
        yield f"- with **PyTorch {torch[1]}** on a CPU"
    yield from _on_gpus(record)


def _on_gpus(record: Record) -> Iterator[str]:
    """The last run on a GPU, if there was one."""
    found = [record.find(gated) for gated in record.gated.values()]
    passed = [entry for state, entry in found if entry and state == "passed"]
    if passed:
        last = max(passed, key=lambda entry: entry["date"])
        yield f"- and with **PyTorch {last['torch']}** on an **{last['gpu']}**, {last['date']}"
