"""`make real-nets`: try nets and optimizers of other libraries, and tabulate the results.

python -m tools.real_nets.command [--libraries NAME ...] [-n N] [--jobs J] [--write]

Results are added to a file as they come. After a run that was stopped or partial, the next run continues
from there, until the package or the tools change.
"""

import argparse
import hashlib
import itertools
import json
import logging
import os
import platform
import re
import signal
import sys
import tempfile
import time
import tomllib
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import torch

from tools.generate.generated import GeneratedPart
from tools.pages import ROOT
from tools.real_nets.libraries import LIBRARIES, MOST_VALUES, real_nets, with_torchvision_operators
from tools.real_nets.runs import BUILD, Report, Result, Task, results

RESULTS = ROOT / ".cache" / "real-nets.jsonl"
EXPLAINED = ROOT / "tools" / "real_nets" / "explained.toml"
PAGE, TABLE = "docs/en/tested.md", "table of real nets"
# The files below this folder that determine the results of all tasks.
DECIDING = ["battery.py", "digests.py", "resuming.py", "runs.py", "libraries/__init__.py", "constraints.txt"]
MORE_PACKAGES = ["pytorch_optimizer", "schedulefree", "torchdata", "torchao", "accelerate", "torchmetrics"]
TRAINING = "save_checkpoint"  # the only check of tasks that are not nets


class Failure(NamedTuple):
    """A failed check of a net."""

    collection: str
    net: str
    check: str
    outcome: str


class Explanation(NamedTuple):
    """A known reason why some checks fail.

    Attributes:
        check: a regular expression for the name of the check.
        message: a regular expression to find in the outcome.
        reason: the reason for the failure, in one line.
        nets: a regular expression to find in the names of library and net, as in "timm resnet".
        sometimes: whether it fails only in some runs, for example on some machines.
    """

    check: str
    message: str
    reason: str
    nets: str = ""
    sometimes: bool = False

    def explains(self, failure: Failure) -> bool:
        return (
            re.fullmatch(self.check, failure.check) is not None
            and re.search(self.message, failure.outcome) is not None
            and re.search(self.nets, f"{failure.collection} {failure.net}") is not None
        )


def explanations(path: Path) -> list[Explanation]:
    return [Explanation(**entry) for entry in tomllib.loads(path.read_text("utf-8")).get("failure", [])]


# The tasks.


def kinds_of_training() -> dict[str, Callable[[], Iterable[tuple[str, Callable[[], None]]]]]:
    return import_module("tools.real_nets.training").KINDS


def tasks(library: str, number: int | None = None) -> list[Task]:
    """All tasks of a library, or only some of them, evenly chosen."""
    if library in LIBRARIES:
        battery = import_module("tools.real_nets.battery").battery
        found = [Task(library, net.name, partial(battery, net)) for net in real_nets(library)]
    else:
        with_torchvision_operators()
        attempts = kinds_of_training()[library]()
        found = [Task(library, name, partial(alone, attempt)) for name, attempt in attempts]
    return some(found, number)


def some(found: list[Task], number: int | None) -> list[Task]:
    """At most this many tasks, evenly chosen; None for all."""
    return found[:: max(1, -(-len(found) // number))] if number else found


def alone(attempt: Callable[[], None], report: Report) -> None:
    """Report an attempt as a single check."""
    with report(TRAINING):
        attempt()


# Known results.


def digest_of_files(
    library: str, root: Path, deciding: list[str] = DECIDING, sources: str = "src/**/*.py"
) -> str:
    """A digest of everything that determines the results of a library."""
    tools = root / "tools" / "real_nets"
    own = tools / "libraries" / f"{library}.py" if library in LIBRARIES else tools / "training.py"
    files = [*root.glob(sources), *(tools / name for name in deciding), own, root / "constraints.txt"]
    found = hashlib.sha256(f"{sys.version} {torch.__version__}".encode())
    for path in sorted(path for path in files if path.is_file()):
        found.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


def known_results(path: Path, digests: dict[str, str]) -> dict[tuple[str, str], Result]:
    """The results in a file that are still valid, by library and name."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    found = {}
    for line in lines:
        with suppress(json.JSONDecodeError):  # if a run was killed, its last line may be incomplete
            entry = json.loads(line)
            if digests.get(entry["collection"]) == entry.pop("digest"):
                found[entry["collection"], entry["name"]] = Result(**entry)
    return found


def complete(todo: list[Task], path: Path, digests: dict[str, str], jobs: int) -> Iterator[Result]:
    """Yield the results of all tasks: known ones from the file, and new ones, which are added to it."""
    known = known_results(path, digests)
    yield from (known[task[:2]] for task in todo if task[:2] in known)
    missing = [task for task in todo if task[:2] not in known] if jobs else []
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = path.is_file() and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" if cut else "")
        for place, result in enumerate(results(missing, jobs), start=1):
            entry = {**result._asdict(), "digest": digests[result.collection]}
            print(json.dumps(entry), file=file, flush=True)
            print(f"{place}/{len(missing)} {result.collection} {result.name} {summary(result)}", flush=True)
            yield result


def summary(result: Result) -> str:
    failed = [
        f"{check} {outcome}" for check, outcome in result.checks.items() if outcome.startswith("failed")
    ]
    return "; ".join([f"{result.seconds} s", *failed])


# The tables.


def failures(found: Iterable[Result]) -> list[Failure]:
    return [
        Failure(result.collection, result.name, check, outcome)
        for result in found
        for check, outcome in result.checks.items()
        if outcome.startswith("failed") and check != BUILD
    ]


def table(found: list[Result]) -> list[str]:
    """A row for each library: the number of nets, and how many passed each check that applies to them."""
    nets = [result for result in found if result.built and BUILD in result.checks]
    checks = list(dict.fromkeys(check for result in nets for check in result.checks if check != BUILD))
    lines = [["library", "nets", *(f"`{check}`" for check in checks)]]
    lines.append(["---", *["--:"] * (1 + len(checks))])
    rows = {
        library: [r for r in nets if r.collection == library]
        for library in dict.fromkeys(r.collection for r in nets)
    }
    for library, own in [*rows.items(), ("all", nets)]:
        lines.append([library, str(len(own)), *(share(own, check) for check in checks)])
    return [f"| {' | '.join(line)} |" for line in lines]


def share(found: list[Result], check: str) -> str:
    """How many of the tried nets passed."""
    ends = Counter(result.checks.get(check, "not tried").partition(":")[0] for result in found)
    tried = ends["passed"] + ends["failed"]
    return f"{ends['passed']} of {tried}" if tried else ""


def training_table(found: list[Result]) -> list[str]:
    lines = ["| what trains a net | number | resumed to the bit |", "|---|--:|--:|"]
    own: defaultdict[str, list[Result]] = defaultdict(list)
    for result in found:
        if BUILD not in result.checks:
            own[result.collection].append(result)
    return [*lines, *(f"| {name} | {len(own[name])} | {share(own[name], TRAINING)} |" for name in own)]


def reasons(explained: dict[Explanation, list[Failure]]) -> list[str]:
    """A line for each explanation, starting with those of the most failures."""
    lines = []
    for explanation, failed in sorted(explained.items(), key=lambda item: -len(item[1])):
        number = len({failure[:2] for failure in failed})
        names = sorted({failure.collection for failure in failed})
        which = ", ".join(names) if number > 3 else "; ".join(sorted({failure.net for failure in failed}))
        checks = ", ".join(dict.fromkeys(f"`{failure.check}`" for failure in failed))
        lines.append(f"- {checks}, {number} ({which}): {explanation.reason}.")
    return lines


def origin(found: list[Result], left_out: int, more: Iterable[str] = MORE_PACKAGES) -> list[str]:
    """The nets that are not in the tables, and the date, machine and versions of the run."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    versions = []
    for name in ["torch", "safetensors", *LIBRARIES, *more]:
        with suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name).partition('+')[0]}")
    not_built = sum(not result.built for result in found)
    return [
        f"Left out: {not_built} nets that cannot be built from generic sizes, have more than {MOST_VALUES:,} "
        "parameters, or need packages that are not installed.",
        *([f"Not reached in this run: {left_out}."] if left_out else []),
        f"{time.strftime('%Y-%m-%d')}: {os.cpu_count()} cores of {cpu[1] if cpu else platform.machine()}, "
        f"Python {platform.python_version()}, {', '.join(versions)}.",
    ]


def page_part(found: list[Result], explained: dict[Explanation, list[Failure]], left_out: int) -> list[str]:
    parts = [
        table(found),
        training_table(found),
        ["What failed, and why:", "", *reasons(explained)],
        origin(found, left_out),
    ]
    return [line for part in parts for line in ("", *part)][1:]


# The command.


def main(
    libraries: list[str],
    number: int | None = None,
    jobs: int = 2,
    write: bool = False,
    root: Path = ROOT,
    find: Callable[[str, int | None], list[Task]] = tasks,
) -> int:
    """Run all tasks and print the results; return 0 if the failures are exactly those that are explained.

    Args:
        libraries: the libraries, in the order of the table.
        number: how many nets of each; None for all.
        jobs: how many processes; 0 makes the table from the known results.
        write: whether to write the table of all libraries to the page.
        root: the folder of the project.
        find: returns the tasks of a library.
    """
    # As after Ctrl-C, the tasks are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    todo = list(itertools.chain.from_iterable(find(library, number) for library in libraries))
    digests = {library: digest_of_files(library, root) for library in libraries}
    found = list(complete(todo, root / RESULTS.relative_to(ROOT), digests, jobs))
    found.sort(key=lambda result: libraries.index(result.collection))
    known = explanations(root / EXPLAINED.relative_to(ROOT))
    explained: dict[Explanation, list[Failure]] = {explanation: [] for explanation in known}
    unexplained = []
    for failure in failures(found):
        for explanation in [each for each in known if each.explains(failure)][:1]:
            explained[explanation].append(failure)
            break
        else:
            unexplained.append(failure)
    whole = number is None and libraries == everything()
    stale = [each for each, failed in explained.items() if not (failed or each.sometimes)] if whole else []
    needed = {explanation: failed for explanation, failed in explained.items() if failed}
    lines = page_part(found, needed, len(todo) - len(found))
    print("", *lines, sep="\n")
    for failure in unexplained:
        print(f"UNEXPLAINED {failure.collection} {failure.net}: {failure.check} {failure.outcome}")
    for explanation in stale:
        print(f"{EXPLAINED.name} explains what no longer fails: {explanation.check}: {explanation.reason}")
    if unexplained or stale:
        return 1
    if write and whole:
        print(GeneratedPart(root, PAGE, TABLE, lines, "make real-nets").show())
    return 0


def everything() -> list[str]:
    return [*LIBRARIES, *kinds_of_training()]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)  # a forked process has no other threads
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--libraries", nargs="+", default=everything(), choices=everything(), metavar="NAME")
    parser.add_argument("-n", type=int, help="how many nets of each library; all, if it is left out")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes; 0 tabulates what is known")
    parser.add_argument("--write", action="store_true", help="put the table of a whole run on its page")
    given = parser.parse_args()
    # torch_geometric writes the code of its layers here; in other places it would not be removed.
    with TemporaryDirectory() as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        sys.exit(main(given.libraries, given.n, given.jobs, given.write))
