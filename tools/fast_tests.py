"""Test everything that has changed since a commit: python tools/fast_tests.py [COMMIT]

A page is tested by its snippets. A file of the package is tested by the examples in its docstrings, by the
page of its topic, and by tests/package/test_TOPIC.py. A file of tests is run. All other changed files are
listed: `make test` tests all of them.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = Path("src", "d2lblocks")
DOC_TESTS = "tests/pages/test_docs.py"


def changed(commit: str) -> list[Path]:
    """The files that differ from a commit, and the files that git does not know yet."""
    commands = (
        ["diff", "--name-only", "-z", commit, "--"],
        ["ls-files", "--others", "--exclude-standard", "-z"],
    )
    found = [
        subprocess.run(["git", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True) for command in commands
    ]
    if any(each.returncode for each in found):
        sys.exit(f"git cannot tell what has changed since {commit}.")
    return sorted({Path(name) for each in found for name in each.stdout.split("\0") if name})


def tests_of(path: Path) -> tuple[set[str], set[str]]:
    """The files of tests, and the names of pages, that test a file."""
    if path.suffix == ".md" and (path.parts[:2] == ("docs", "en") or path.name == "README.md"):
        return set(), {path.name}
    if path.is_relative_to(PACKAGE) and path.suffix == ".py":
        topic = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        # A file of a topic may have separate tests: test_nets.py tests serialization/nets.py.
        tests = {f"tests/package/test_{name.lstrip('_')}.py" for name in (topic, path.stem)}
        return {each for test in tests for each in there(test)}, {path.name, f"{topic}.md"}
    if path.match("tests/*/test_*.py") and path.as_posix() != DOC_TESTS:
        return there(path.as_posix()), set()
    return set(), set()


def there(test: str) -> set[str]:
    return {test} if (ROOT / test).exists() else set()


def main(commit: str) -> int:
    files: set[str] = set()
    pages: set[str] = set()
    for path in changed(commit):
        tests, names = tests_of(path)
        files |= tests
        pages |= names
        if not tests and not names:
            print(f"not tested: {path}")
    if not files and not pages:
        print(f"Nothing that it tests has changed since {commit}: `make test` tests everything.")
        return 0
    wanted = " or ".join([*sorted(pages), *sorted(Path(file).name for file in files)])
    # Pages come last: the process that runs them imports torch while the other tests run.
    places = sorted(files) + [DOC_TESTS] * bool(pages)
    print(f"tested: {wanted.replace(' or ', ', ')}", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", *places, "-k", wanted]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:] or ["HEAD"]))
