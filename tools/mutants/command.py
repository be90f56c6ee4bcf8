"""Make small random changes to the package, one at a time, and check whether its tests notice.

    python -m tools.mutants.command N SEED [TOPIC ...]    N changes, of the named topics or of all

A change that no test notices is a survivor: a promise without a test, or code that makes no difference.
`explained.toml` explains the latter. More than 3 % of survivors without an explanation are an error,
and so is an explanation of a change that can no longer be made.

Each mutant is a copy of `src/` in a temporary folder, tested in a fork of a process that has imported torch,
so it only costs the time of its tests. These are the tests that call the changed function, and those that
start other programs, whose calls are unknown. The fastest files come first, and the first failure ends it.

No library does this here: mutatest 3.1 fails on Python 3.11; mutmut 3.8 skips functions with decorators,
and so every context manager and property; cosmic-ray 8.7 writes into the work tree, imports torch for every
mutant, and neither removes statements nor changes arguments. The last two take no random sample.
"""

import itertools
import os
import random
import signal
import sys
import tempfile
import tomllib
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

from tools.mutants.changes import Mutant, is_python, mutants
from tools.mutants.runs import Run, Tests, case_of, finished, prepare

ROOT = Path(__file__).parents[2]
LARGEST_SHARE = 0.03  # of survivors without an explanation
# In addition to tests/**/test_TOPIC.py. If that file does not exist, the tests of all topics are used.
MORE_TESTS = {
    **{name: ["snapshot"] for name in ("_memory", "_random", "_snapshot", "_tensors")},
    "diagnosis": ["diagnosis", "diagnose_command", "explain"],
    "_command": ["diagnose_command", "explain"],
    "practice": ["command", "exercises", "judge", "terminal"],
    "layers": ["contract"],
    "modules": ["contract"],
    **{name: ["contract"] for name in ("init", "lazy", "parameters")},
    "serialization": [
        "nets",
        "files",
        "checkpoints",
        "refusals",
        "resuming",
        "rotation",
        "round_trips",
        "writers",
        "optimizers",
        "states",
        "foreign_files",
    ],
}

IN_OTHER_PROCESSES = {"practice"}  # topics whose functions are called there: it is not seen by which tests


def test_files(root: Path, topic: str) -> list[str]:
    """The files with the tests of a topic, anywhere below tests/."""
    there = {path.stem.removeprefix("test_"): path for path in root.glob("tests/**/test_*.py")}

    def path_of(name: str) -> str:
        return there[name].relative_to(root).as_posix()

    if topic not in there:
        topics = [path.stem for path in root.glob("src/*/*") if path.stem in there]
        files = {file for each in topics for file in test_files(root, each)}
        return sorted(files | {path_of(name) for name in MORE_TESTS.get(topic, ())})
    return [path_of(name) for name in (topic, *MORE_TESTS.get(topic, ()))]


def test_file(name: str) -> str:
    return name.partition("::")[0]


def may_notice(mutant: Mutant, known: Tests, files: list[str]) -> Tests:
    """The tests of a mutant, in the order in which to run them."""
    tests = {name: test for name, test in known.items() if test_file(name) in files}
    call = [str(mutant.file), mutant.function]
    unknown = mutant.topic in IN_OTHER_PROCESSES or not mutant.function
    reach = [n for n, test in tests.items() if test.starts or call in test.calls or unknown]
    # Run all cases of a test, because its first case creates the objects that its module shares.
    names = {case_of(name) for name in reach}
    seconds: Counter[str] = Counter()
    for name, test in tests.items():
        seconds[test_file(name)] += test.seconds
    found = [name for name in tests if case_of(name) in names]
    found.sort(key=lambda name: (seconds[test_file(name)], test_file(name), tests[name].seconds))
    return {name: tests[name] for name in found}


def explanations(root: Path) -> dict[tuple[str, str], str]:
    """The reasons for survivors, by file and change."""
    path = root / "tools" / "mutants" / "explained.toml"
    entries = tomllib.loads(path.read_text("utf-8")).get("survivor", []) if path.exists() else []
    return {(entry["file"], entry["change"].strip()): entry["reason"] for entry in entries}


def main(root: Path, number: int, seed: int, *topics: str, jobs: int) -> int:
    # The exercises are not changed: they are checks themselves, and test_edits.py changes what they check.
    paths = [path for path in sorted(root.glob("src/**/*.py")) if "exercises" not in path.parts]
    every = [mutant for path in paths for mutant in mutants(path, root / "src")]
    reasons = explanations(root)
    if gone := sorted(reasons.keys() - {(str(mutant.file), mutant.diff) for mutant in every}):
        for file, change in gone:
            print(f"tools/mutants/explained.toml explains a change of {file} that cannot be made any more:")
            print(change)
        return 2
    random.Random(seed).shuffle(every)
    sound = (mutant for mutant in every if mutant.topic in (topics or [mutant.topic]) and is_python(mutant))
    chosen = list(itertools.islice(sound, number))
    files = {topic: test_files(root, topic) for topic in sorted({mutant.topic for mutant in chosen})}
    # As after Ctrl-C, the forks are stopped and their folders are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        start = partial(partial, Run, root, Path(folder))
        known: Tests = {}
        watched = [start([file], {}, None) for file in sorted({*itertools.chain(*files.values())})]
        for run, failed, tests in finished(watched, jobs):
            if failed:
                print((run.folder / "log").read_text("utf-8"), f"The code as it is fails {failed}", sep="\n")
                return 2
            known |= tests
        runs = []
        for mutant in chosen:
            tests = may_notice(mutant, known, files[mutant.topic])
            runs.append(start([*dict.fromkeys(map(test_file, tests))], tests, mutant))
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        survivors: list[Mutant] = []
        for place, (run, failed, _) in enumerate(finished(runs, jobs), start=1):
            mutant = run.mutant
            reason = reasons.get((str(mutant.file), mutant.diff), "")
            outcome = f"caught by {failed}" if failed else f"explained: {reason}" if reason else "SURVIVED"
            print(f"{place}/{len(chosen)} {mutant.file}:{mutant.line} {outcome}", flush=True)
            counts[mutant.topic]["caught" if failed else "explained" if reason else "survived"] += 1
            if not failed and not reason:
                survivors.append(mutant)
    return report(counts, survivors)


def report(counts: dict[str, Counter[str]], survivors: list[Mutant]) -> int:
    """Print the surviving changes and all counts; return 1 if too many survived."""
    for mutant in survivors:
        print(f"\n{mutant.file}:{mutant.line}\n{mutant.diff}")
    print(f"\n{'topic':16}   tried  caught  explained  survived")
    for topic, count in sorted(counts.items()):
        print(f"{topic:16}{count.total():8}{count['caught']:8}{count['explained']:11}{count['survived']:10}")
    tried = sum(count.total() for count in counts.values())
    share = len(survivors) / max(tried, 1)
    print(f"{len(survivors)} of {tried} changes survived unexplained: {share:.1%}")
    return int(share > LARGEST_SHARE)


if __name__ == "__main__":
    sys.exit(main(ROOT, int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:], jobs=min(os.cpu_count() or 1, 4)))
