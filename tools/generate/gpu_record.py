"""The record of GPU runs: what passed where, quoted on machines without a GPU, and shown as a table."""

import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TypedDict

from tests.page_runner import Page, Snippet, replace_file

RECORD = "docs/gpu-record.json"  # beside the site, not on it
TESTED = "docs/en/tested.md"  # the page with the table
QUOTES = {
    "passed": "last passed on {gpu}, torch {torch}, {date}",
    "failed": "failed on {gpu}, torch {torch}, {date}",
    "stale": "never run since it changed",
    "never run": "never run",
}
ASK = """
import json, torch
if torch.cuda.device_count() and torch.version.cuda:
    gpu, version = torch.cuda.get_device_name(), torch.__version__.split("+")[0]
    print(json.dumps({"gpu": gpu, "torch": version, "cuda": torch.version.cuda}))
"""


class Machine(TypedDict):
    """The properties of a machine on which the outputs of a GPU snippet may depend."""

    gpu: str
    torch: str
    cuda: str


class Entry(Machine):
    """The result of a snippet in the last run with enough GPUs."""

    digest: str
    passed: bool
    date: str  # UTC


@dataclass(frozen=True)
class Gated:
    """A snippet that needs GPUs, and the key that finds it on any line."""

    key: str  # page and heading
    link: str
    needs: str
    digest: str


class Record:
    """The recorded GPU snippets of a project. With a machine, one more run there is recorded."""

    def __init__(self, pages: list[Page], root: Path, machine: Machine | None = None) -> None:
        self.root = root
        self.machine = machine
        self.gated = dict(gated(pages))
        self.waiting = {snippet.id for page in pages for snippet in page.snippets}
        self.ran: dict[str, str] = {}  # for each snippet, the first line of the reason why it failed
        place = root / RECORD
        known = json.loads(place.read_text("utf-8")) if place.is_file() else {"snippets": {}}
        self.entries: dict[str, Entry] = known["snippets"]

    def note(self, snippet: Snippet, remark: str, skipped: str) -> str:
        """Remember the result of a snippet; return the reason why it was skipped, with its recorded run."""
        self.waiting.discard(snippet.id)
        if not skipped:
            self.ran[snippet.id] = remark.partition("\n")[0]
        elif snippet.id in self.gated:
            state, entry = self.find(self.gated[snippet.id])
            skipped += "; " + QUOTES[state].format_map(entry or {})
        return skipped

    def find(self, gated: Gated) -> tuple[str, Entry | None]:
        """The state of a snippet, and the run it comes from. The digest finds it under a new heading."""
        entry = self.entries.get(gated.key)
        if entry is None or entry["digest"] != gated.digest:
            alike = (each for each in self.entries.values() if each["digest"] == gated.digest)
            entry = next(alike, entry)
        if entry is None:
            return "never run", None
        if entry["digest"] != gated.digest:
            return "stale", entry
        return "passed" if entry["passed"] else "failed", entry

    def excuses(self, snippet: Snippet) -> bool:
        """Whether its failure may be due to a torch that the pages do not use."""
        if self.machine is None or snippet.id in self.gated:
            return False
        pins = (self.root / "constraints.txt").read_text("utf-8")
        return f"torch=={self.machine['torch']}" not in pins.split()

    def write(self) -> str:
        """Record the run if it was complete, and return a message."""
        assert self.machine is not None
        if self.waiting:
            return f"not recorded, because snippets were not run: {len(self.waiting)}"
        date = datetime.now(UTC).date().isoformat()
        entries: dict[str, Entry] = {}
        for id, gated in sorted(self.gated.items(), key=lambda item: item[1].key):
            _, entry = self.find(gated)
            if id in self.ran:
                entry = {"digest": gated.digest, "passed": not self.ran[id], **self.machine, "date": date}
            if entry is not None:
                entries[gated.key] = entry
        differed = [remark for id, remark in self.ran.items() if remark and id not in self.gated]
        record = {"snippets": entries, "others": {"torch": self.machine["torch"], "differed": differed}}
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        replace_file(self.root / RECORD, text.encode())
        return f"recorded: {RECORD}"

    def table(self) -> Iterator[str]:
        yield "| snippet | needs | GPU | torch | CUDA | date | state |"
        yield "|---|---|---|---|---|---|---|"
        for gated in self.gated.values():
            state, entry = self.find(gated)
            run = (entry["gpu"], entry["torch"], entry["cuda"], entry["date"]) if entry else [""] * 4
            yield f"| {' | '.join([gated.link, gated.needs, *run, state])} |"


@cache
def this_machine() -> Machine | None:
    """The GPU and versions, read from torch in a separate process; None if it finds no CUDA GPU."""
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True)
    machine: Machine | None = json.loads(asked.stdout or "null")
    return machine


def gated(pages: list[Page]) -> Iterator[tuple[str, Gated]]:
    """Yield the snippets that need GPUs, by id."""
    for page in pages:
        places = list(page.headings())
        taken: Counter[str] = Counter()
        for number, snippet in enumerate(page.snippets, 1):
            if snippet.problems or not snippet.gpus:
                continue
            above = [(each.text, each.anchor) for each in places if each.line < snippet.line]
            title, anchor = above[-1] if above else ("", "")
            key, name = f"{page.short}#{anchor}", f"{page.short}: {title}" if title else page.short
            taken[key] += 1
            if taken[key] > 1:
                key, name = f"{key} {taken[key]}", f"{name}, {taken[key]}"
            inside = page.name.removeprefix("docs/en/")
            link = f"[{name}]({inside}#{anchor})" if inside != page.name else name
            needs = "1 GPU" if snippet.gpus == 1 else f"{snippet.gpus} GPUs"
            program = [each for each in page.snippets[:number] if each.program == snippet.program]
            yield snippet.id, Gated(key, link, needs, digest(program))


def digest(program: list[Snippet]) -> str:
    """A digest of everything that determines the outputs of a program's last snippet, and of its outputs."""
    parts = [[each.code, each.gpus, each.raises] for each in program]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
