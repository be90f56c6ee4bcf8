"""The home page's proof: how many snippets were run, how many lines of output compared, and on what."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.page_runner import Page

from .gpu_record import Record

HOME = "docs/en/index.md"
LEFT_OUT = {"never run": "not run yet", "stale": "changed since the last run", "failed": "failed"}


def proof(pages: list[Page], root: Path) -> Iterator[str]:
    """Of the pages as they are: their tests pass, or this is not shown. It also counts what has not run."""
    record = Record(pages, root)
    found = {id: record.find(gated) for id, gated in record.gated.items()}
    passed = [
        (entry["date"], entry["torch"], entry["gpu"])
        for state, entry in found.values()
        if entry and state == "passed"
    ]
    left_out = [id for id, (state, _) in found.items() if state != "passed"]
    snippets = [snippet for page in pages for snippet in page.snippets]
    run = [snippet for snippet in snippets if snippet.id not in left_out]
    outputs = sum(len(snippet.outputs()) for snippet in run)
    pins = root / "constraints.txt"
    pinned = re.search(r"^torch==(\S+)$", pins.read_text("utf-8") if pins.is_file() else "", re.MULTILINE)
    yield f"- **{len(run):,}** of {len(snippets):,} snippets run"
    yield f"- **{outputs:,}** lines of output compared"
    if pinned:
        yield f"- with **PyTorch {pinned[1]}** on a CPU"
    if passed:
        date, torch, gpu = max(passed)
        number = passed.count((date, torch, gpu))
        yield f"- **{number}** of the snippets with **PyTorch {torch}** on an **{gpu}**, {date}"
    counts = Counter((found[id][0], record.gated[id].needs) for id in left_out)
    for (state, needs), number in counts.items():
        yield f"- **{number}** for {needs}: {LEFT_OUT[state]}"
