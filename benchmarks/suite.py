"""How long do `make test` and `make test-fast` take, and which tests take the time?

python benchmarks/suite.py [--rounds N] [--write]

`make test` runs here, with nothing to install, and after a run that has passed, so that it leaves out the
tests of the machinery. `make test-fast` runs in a clone with one difference at a time from the last
commit: the page of a topic, or the topic's source.
"""

import collections
import statistics
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

from measure import ROOT, arguments, origin, seconds, show, table, take_turns

from tools.pages import project, topics

SHARE = 0.03  # of all seconds: files of tests that take less are combined
WHOLE = "all tests of all files, in turn"
COMMAND = "`make test`, until it ends"
NO_BROWSER = "`make test` without a browser, until it ends"
OTHERS = "all others"


def run(*command: str | Path, cwd: Path) -> float:
    """The seconds of a command that must succeed."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{command} in {cwd}: {done.stdout}")
    return time.perf_counter() - start


def whole(way: str = COMMAND) -> dict[str, tuple[int, float]]:
    """The number of tests in each file, and their seconds."""
    with tempfile.TemporaryDirectory() as name:
        report = Path(name, "report.xml")
        browser = "--no-browser" if way == NO_BROWSER else ""
        wall = run("env", f"PYTEST_ADDOPTS=--junit-xml={report} {browser}", "make", "test", cwd=ROOT)
        cases = [case for case in ET.parse(report).iter("testcase") if case.find("skipped") is None]
    counts, sums = collections.Counter[str](), collections.defaultdict[str, float](float)
    for case in cases:
        file = case.attrib["classname"].replace(".", "/") + ".py"
        for key in (file, WHOLE):
            counts[key] += 1
            sums[key] += float(case.attrib["time"])
    return {way: (len(cases), wall), **{key: (counts[key], sums[key]) for key in sums}}


def fast(clone: Path, files: list[Path]) -> float:
    """The seconds of `make test-fast` after an edit of these files, which is undone."""
    texts = {file: file.read_text("utf-8") for file in files}
    try:
        for file, text in texts.items():
            file.write_text(f"{text}\n", "utf-8")
        return run(ROOT / ".venv" / "bin" / "python", "tools/fast_tests.py", cwd=clone)
    finally:
        for file, text in texts.items():
            file.write_text(text, "utf-8")


def main() -> None:
    options = arguments(__doc__).parse_args()

    whole()  # the first run may include the tests of the machinery
    ran = take_turns([NO_BROWSER, COMMAND], whole, options.rounds)
    tests = ran[COMMAND]
    for result, without in zip(tests, ran[NO_BROWSER], strict=True):
        result[NO_BROWSER] = without[NO_BROWSER]
    medians = {file: statistics.median(result[file][1] for result in tests) for file in tests[0]}
    files = sorted(medians.keys() - {COMMAND, NO_BROWSER, WHOLE}, key=lambda file: -medians[file])
    long = [file for file in files if medians[file] >= SHARE * medians[WHOLE]]
    others = [file for file in files if file not in long]
    for result in tests:
        result[OTHERS] = (
            sum(result[file][0] for file in others),
            sum(result[file][1] for file in others),
        )
    rows = [
        [
            f"`{file}`" if file in long else file,
            f"{tests[0][file][0]:,}",
            seconds([result[file][1] for result in tests], with_spread=True),
        ]
        for file in [NO_BROWSER, COMMAND, WHOLE, *long, OTHERS]
    ]
    notes = ["", origin(options.rounds, "torch", "pytest", "pytest-xdist", "playwright")]
    whole_table = table(["tests of", "tests", "seconds"], rows) + notes

    with tempfile.TemporaryDirectory() as name:
        clone = Path(name, "clone")
        run("git", "clone", "--quiet", ROOT, clone, cwd=ROOT)
        edits = {}
        for page in topics(project(clone).pages(), clone):
            source = clone / "src" / "d2lblocks" / page.path.stem
            edits[page.path.stem] = (
                [page.path],
                list(source.glob("*.py")) if source.is_dir() else [source.with_suffix(".py")],
            )
        ways = [(topic, kind) for topic in edits for kind in (0, 1)]
        times = take_turns(ways, lambda way: fast(clone, edits[way[0]][way[1]]), options.rounds)
    rows = [
        [f"`{topic}`", *(seconds(times[topic, kind], with_spread=True) for kind in (0, 1))] for topic in edits
    ]
    fast_table = table(["`make test-fast`, after an edit of", "the page", "the source"], rows) + notes

    tables = {
        ("speed.md", "table of tests"): whole_table,
        ("speed.md", "table of fast tests"): fast_table,
    }
    show(tables, options.write)


if __name__ == "__main__":
    main()
