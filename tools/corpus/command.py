"""`make corpus`: nets of other libraries and a gallery of mistakes, through `diagnose` and two other tools.

python -m tools.corpus.command [--libraries NAME ...] [-n N] [--jobs J] [--parts nets peers gallery] [--write]

It fails if `diagnose` crashes, changes anything, or reports something on a real net that triaged.toml does
not explain; an error has to be explained as true. Results are added to files as they come, so the next run
continues after the last one, until the package or the tools change.
"""

import argparse
import itertools
import json
import logging
import os
import re
import signal
import statistics
import sys
import tempfile
import tomllib
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import torch

from tools.corpus.gallery import GALLERY, verdict
from tools.corpus.nets import FINDINGS, SECONDS, Seen, diagnosed
from tools.corpus.peers import PEERS, tried
from tools.generate.generated import GeneratedPart
from tools.pages import ROOT
from tools.real_nets.command import complete, digest_of_files, origin, some
from tools.real_nets.libraries import LIBRARIES, real_nets
from tools.real_nets.runs import Result, Task

TRIAGED = ROOT / "tools" / "corpus" / "triaged.toml"
PAGE, NETS_TABLE, PEERS_TABLE = "docs/en/diagnosis.md", "table of real nets", "table of peers"
FILES = {"nets": "diagnosed.jsonl", "peers": "peers.jsonl", "gallery": "gallery.jsonl"}  # of results
SHARED = ["digests.py", "runs.py", "libraries/__init__.py", "constraints.txt", "../corpus/nets.py"]
NETS = [f"../../tests/gallery/{each.name}" for each in sorted((ROOT / "tests" / "gallery").glob("*.py"))]
DECIDING = {
    "nets": SHARED,
    "peers": [*SHARED, "../corpus/peers.py"],
    "gallery": [*SHARED, "../corpus/peers.py", "../corpus/gallery.py", *NETS],
}
SOURCES = {"nets": "src/**/*.py", "peers": "none", "gallery": "src/**/*.py"}
WAYS = ("call", "loss", "refused")  # the ways in which a net is diagnosed
LIMIT = 6, 0.5  # the promise: at most so many times one forward and backward pass, plus so many seconds


class Verdict(NamedTuple):
    """What findings on real nets mean, and why; the fields of triaged.toml.

    Attributes:
        code: the code of the findings.
        verdict: `"true"` if the net would be better without it, `"meant"` if its authors want it so,
            `"false"` if the finding is wrong.
        reason: in one line.
        nets: a regular expression to find in the names of library and net, as in "timm resnet".
        names: a regular expression to find in one of the finding's names.
        file: a regular expression to find in its file.
        text: a regular expression to find in its text.
        sometimes: whether it is found only in some runs.
    """

    code: str
    verdict: Literal["true", "meant", "false"]
    reason: str
    nets: str = ""
    names: str = ""
    file: str = ""
    text: str = ""
    sometimes: bool = False

    def explains(self, found: "OnNet") -> bool:
        finding = found.finding
        return (
            self.code == finding.code
            and (finding.level != "error" or self.verdict == "true")
            and re.search(self.nets, " ".join(found[:2])) is not None
            and (not self.names or any(re.search(self.names, name) for name in finding.names))
            and re.search(self.file, finding.file) is not None
            and re.search(self.text, finding.text) is not None
        )


class OnNet(NamedTuple):
    """A finding on a net."""

    library: str
    net: str
    finding: Seen


def verdicts(path: Path) -> list[Verdict]:
    return [Verdict(**entry) for entry in tomllib.loads(path.read_text("utf-8")).get("finding", [])]


# The tasks.


def tasks(part: str, library: str, number: int | None = None) -> list[Task]:
    """All tasks of a part of the comparison, or only some of those of a library, evenly chosen."""
    if part == "gallery":
        return list(import_module("tools.corpus.gallery").tasks())
    run = partial(tried, library) if part == "peers" else diagnosed
    nets = [Task(library, net.name, partial(run, net)) for net in real_nets(library)]
    return some(nets, number)


# The results of `diagnose`.


def built(found: Iterable[Result]) -> list[Result]:
    return [result for result in found if result.built]


def findings(result: Result) -> list[Seen]:
    """The findings on a net, each once, although the net was diagnosed in two ways."""
    each = [Seen(*entry) for entry in json.loads(result.checks.get(FINDINGS, "[]"))]
    return list({(one.code, one.level, *one.names): one for one in each}.values())


def failures(found: Iterable[Result]) -> list[str]:
    """Where `diagnose` crashed, changed something, or did not end."""
    return [
        f"{result.collection} {result.name}: {way}: {outcome}"
        for result in built(found)
        for way in WAYS
        if (outcome := result.checks.get(way, "failed: not reached")).startswith("failed")
    ]


def triage(
    found: Iterable[Result], known: Sequence[Verdict]
) -> tuple[dict[Verdict, list[OnNet]], list[OnNet]]:
    """The findings that each verdict explains, and those that none does. The first that fits counts."""
    explained: dict[Verdict, list[OnNet]] = {each: [] for each in known}
    unexplained: list[OnNet] = []
    for result in built(found):
        for finding in findings(result):
            on_net = OnNet(result.collection, result.name, finding)
            fitting = next((each for each in known if each.explains(on_net)), None)
            (unexplained if fitting is None else explained[fitting]).append(on_net)
    return explained, unexplained


def has(result: Result, level: str) -> bool:
    return any(each.level == level for each in findings(result))


def by_library(found: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    """The results of each library, and of all."""
    rows: defaultdict[str, list[Result]] = defaultdict(list)
    for result in found:
        rows[result.collection].append(result)
    return [*rows.items(), ("all", [each for own in rows.values() for each in own])]


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]], text: int = 1) -> list[str]:
    """A table whose first columns hold text, and whose others hold numbers."""
    lines = [list(head), ["---"] * text + ["--:"] * (len(head) - text)]
    lines += [[str(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def table_of_nets(found: Iterable[Result]) -> list[str]:
    head = ["library", "nets", "with an error", "with a question", "with nothing", "time"]
    rows = []
    for library, own in by_library(built(found)):
        errors = sum(has(each, "error") for each in own)
        questions = sum(has(each, "question") for each in own)
        nothing = sum(not findings(each) for each in own)
        rows.append([library, len(own), errors, questions, nothing, cost(own)])
    return markdown(head, rows)


def cost(found: Iterable[Result]) -> str:
    """How many times longer a diagnosis with a loss takes than one forward and backward pass; the median."""
    ratios = [each["loss"] / each["plain"] for each in map(seconds, found) if "loss" in each]
    return f"{statistics.median(ratios):.1f}" if ratios else ""


def seconds(result: Result) -> dict[str, float]:
    times: dict[str, float] = json.loads(result.checks.get(SECONDS, "{}"))
    return times


def slow(found: Iterable[Result]) -> list[str]:
    """The nets for which a diagnosis took longer than it is meant to."""
    times, plus = LIMIT
    return [
        f"{result.collection} {result.name}: {spent[way]:.2f} s, for a step of {spent['plain']:.2f} s"
        for result in built(found)
        for spent in [seconds(result)]
        for way in WAYS
        if spent.get(way, 0) > times * spent["plain"] + plus
    ]


def table_of_questions(explained: dict[Verdict, list[OnNet]]) -> list[str]:
    """The number of nets with each question, by what it means there."""
    nets: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for each, found in explained.items():
        for library, net, finding in found:
            if finding.level == "question":
                nets[finding.code, each.verdict].add((library, net))
                nets[finding.code, ""].add((library, net))
    codes = sorted({code for code, _ in nets}, key=lambda code: -len(nets[code, ""]))
    kinds = ("", "true", "meant", "false")
    rows = [[f"`{code}`", *(len(nets[code, kind]) or "" for kind in kinds)] for code in codes]
    return markdown(["question", "nets", "true", "meant", "false"], rows)


def reasons(explained: dict[Verdict, list[OnNet]], level: str) -> list[str]:
    """A line for each verdict, starting with those on the most nets."""
    lines = []
    for each, found in explained.items():
        of_level = [on_net for on_net in found if on_net.finding.level == level]
        nets = list(dict.fromkeys((library, net) for library, net, _ in of_level))
        if nets:
            lines.append((len(nets), f"- `{each.code}`, {where(nets)}, {each.verdict}: {each.reason}."))
    return [line for _, line in sorted(lines, key=lambda pair: -pair[0])]


def where(nets: Sequence[tuple[str, str]]) -> str:
    """The nets in short: their number and libraries, or their names if they are few."""
    if len(nets) > 3:
        return f"{len(nets)} ({', '.join(dict.fromkeys(library for library, _ in nets))})"
    return f"{len(nets)} ({'; '.join(f'{library} {net}' for library, net in nets)})"


def places(explained: dict[Verdict, list[OnNet]]) -> list[str]:
    """Each line of a library with an error, and the number of nets that have it."""
    nets: defaultdict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for library, net, finding in itertools.chain.from_iterable(explained.values()):
        if finding.level == "error":
            place = f"`{finding.file}`, line {finding.line}" if finding.line else f"`{library} {net}`"
            nets[finding.code, place].add((library, net))
    return [f"- `{code}` at {place}: {where(sorted(found))}" for (code, place), found in nets.items()]


def nets_part(found: list[Result], explained: dict[Verdict, list[OnNet]], missing: int) -> list[str]:
    errors = reasons(explained, "error")
    late = slow(found)
    parts = [
        table_of_nets(found),
        [
            "Time is that of a diagnosis with a loss and an optimizer, divided by that of one forward and "
            "backward pass; the median of the nets."
        ],
        ["Errors, and why they are true:", "", *errors, "", "Where:", "", *places(explained)]
        if errors
        else [],
        table_of_questions(explained),
        ["What the questions mean:", "", *reasons(explained, "question")],
        [f"Took longer than {LIMIT[0]} forward and backward passes and {LIMIT[1]} s: {len(late)}."],
        origin(found, missing, ()),
    ]
    return joined(parts)


def joined(parts: Iterable[list[str]]) -> list[str]:
    return [line for part in parts if part for line in ("", *part)][1:]


# The results of the other tools.


def alarms_of(result: Result, tool: str) -> list[tuple[str, bool]]:
    """The codes that a tool reports for a net, and whether it is sure."""
    outcome = result.checks.get(tool, "")
    if not outcome.startswith("["):
        return [(outcome.removeprefix("failed: ") or "not reached", True)]
    return [(code, is_error) for code, is_error, *_ in json.loads(outcome)]


def table_of_peers(ours: list[Result], theirs: list[Result], false: set[tuple[str, str]]) -> list[str]:
    """The number of nets on which each tool reports an error, on the nets that all tools were given.

    Args:
        ours: the results of `diagnose`.
        theirs: those of the other tools.
        false: the nets with an error of `diagnose` that is not true.
    """
    peers = {result[:2]: result for result in built(theirs)}
    both = [(each, peers[each[:2]]) for each in built(ours) if each[:2] in peers]
    head = ["library", "nets", "`diagnose`", "not true", *PEERS]
    rows = []
    for library, own in by_library([each for each, _ in both]):
        row: list[object] = [library, len(own), sum(has(each, "error") for each in own)]
        row.append(sum(each[:2] in false for each in own))
        for tool in PEERS:
            row.append(sum(any(sure for _, sure in alarms_of(peers[each[:2]], tool)) for each in own))
        rows.append(row)
    return markdown(head, rows)


def codes_of_peers(theirs: list[Result]) -> list[str]:
    """What the other tools are sure of, by their names for it."""
    lines = []
    for tool in PEERS:
        counts = Counter(
            code for result in built(theirs) for code in {c for c, sure in alarms_of(result, tool) if sure}
        )
        shown = ", ".join(f"{code} {number}" for code, number in counts.most_common(8))
        lines.append(f"- {tool}: {shown or 'nothing'}")
    return lines


def table_of_gallery(found: list[Result]) -> list[str]:
    """What each tool detects of the gallery, and what it reports for the mended nets."""
    rows = []
    for tool in ("diagnose", *PEERS):
        each = [verdict(result.checks, tool) for result in found]
        counts = [sum(one[what] for one in each) for what in ("detected", "errors", "anything")]
        rows.append([f"`{tool}`" if tool == "diagnose" else tool, *(f"{n} of {len(each)}" for n in counts)])
    return markdown(["tool", "mistakes detected", "mended nets with an error", "with anything"], rows)


def peers_part(
    ours: list[Result], theirs: list[Result], gallery: list[Result], false: set[tuple[str, str]]
) -> list[str]:
    parts = [
        ["Real nets on which a tool reports an error:", "", *table_of_peers(ours, theirs, false)],
        ["What the other tools report as errors, and on how many nets:", "", *codes_of_peers(theirs)],
        [
            "Most of these nets have parameters that the inputs do not reach, which both call an error, and "
            "`diagnose` a question."
        ],
        [
            "The gallery of mistakes, which are those that `diagnose` is made for, and its mended nets:",
            "",
            *table_of_gallery(gallery),
        ],
    ]
    return joined(part for part in parts)


# The command.


def main(
    libraries: list[str],
    number: int | None = None,
    jobs: int = 2,
    write: bool = False,
    parts: Sequence[str] = tuple(FILES),
    root: Path = ROOT,
    find: Callable[[str, str, int | None], list[Task]] = tasks,
) -> int:
    """Run all tasks and print the tables; return 0 if everything that `diagnose` reports is explained.

    Args:
        libraries: the libraries, in the order of the table.
        number: how many nets of each; None for all.
        jobs: how many processes; 0 makes the tables from the known results.
        write: whether to write the tables of a whole run to the page.
        parts: which parts of the comparison to run.
        root: the folder of the project.
        find: returns the tasks of a part and a library.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as after Ctrl-C, the tasks are stopped
    found: dict[str, list[Result]] = {part: [] for part in FILES}
    missing = 0
    for part in parts:
        own = [GALLERY] if part == "gallery" else libraries
        todo = list(itertools.chain.from_iterable(find(part, library, number) for library in own))
        digests = {each: digest_of_files(each, root, DECIDING[part], SOURCES[part]) for each in own}
        found[part] = list(complete(todo, root / ".cache" / FILES[part], digests, jobs))
        found[part].sort(key=lambda result: own.index(result.collection))
        missing += (len(todo) - len(found[part])) * (part == "nets")
    explained, unexplained = triage(found["nets"], verdicts(root / TRIAGED.relative_to(ROOT)))
    whole = number is None and libraries == LIBRARIES and set(parts) == {*FILES} and not missing
    stale = (
        [each for each, findings in explained.items() if not (findings or each.sometimes)] if whole else []
    )
    false = {on_net[:2] for on_net in unexplained if on_net.finding.level == "error"}
    tables = {
        NETS_TABLE: nets_part(found["nets"], explained, missing),
        PEERS_TABLE: peers_part(found["nets"], found["peers"], found["gallery"], false),
    }
    for name, lines in tables.items():
        print(f"\n{name}\n", *lines, sep="\n")
        (root / ".cache" / f"{name.replace(' ', '-')}.md").write_text("\n".join([*lines, ""]), "utf-8")
    wrong = [f"FAILED {each}" for each in failures(found["nets"])]
    wrong += [f"UNEXPLAINED {shown(each)}" for each in unexplained]
    wrong += [f"{TRIAGED.name} explains what is not found: {each.code}: {each.reason}" for each in stale]
    print(*(f"SLOW {each}" for each in slow(found["nets"])), *wrong, sep="\n")
    if wrong:
        return 1
    if write and whole:
        for name, lines in tables.items():
            print(GeneratedPart(root, PAGE, name, lines, "make corpus").show())
    return 0


def shown(found: OnNet) -> str:
    library, net, finding = found
    place = f" ({finding.file}:{finding.line})" if finding.file else ""
    return f"{library} {net}: {finding.level} {finding.code}: {', '.join(finding.names[:4])}{place}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)  # a forked process has no other threads
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--libraries", nargs="+", default=LIBRARIES, choices=LIBRARIES, metavar="NAME")
    parser.add_argument("-n", type=int, help="how many nets of each library; all, if it is left out")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes; 0 tabulates what is known")
    parser.add_argument("--parts", nargs="+", default=list(FILES), choices=list(FILES), metavar="PART")
    parser.add_argument("--write", action="store_true", help="put the tables of a whole run on their page")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:  # libraries write code here
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        sys.exit(main(given.libraries, given.n, given.jobs, given.write, given.parts))
