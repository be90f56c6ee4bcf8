"""The command `python -m d2lblocks practice` and its subcommands."""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from .exercise import Exercise, all_exercises, find
from .folder import FOLDER, Folder
from .isolated import Judges
from .judge import Verdict
from .words import (
    Line,
    about_error,
    about_hint,
    about_list,
    about_progress,
    about_solution,
    about_verdict,
    shortest,
)

__all__ = ["add_practice"]

ALL_RIGHT, NOT_ALL, WRONG_USE = 0, 1, 2
EXAMPLES = f"""\
Without a subcommand, it starts where you stopped. The first time, it makes the
folder {FOLDER} here, with a file for each exercise. Open the file in
any editor; each time you save it, it is checked.

examples:
  python -m d2lblocks practice
  python -m d2lblocks practice start layers/2
  python -m d2lblocks practice check modules/1
  python -m d2lblocks practice check --json --folder anna/{FOLDER}

exit status:
  0  all that were checked are right
  1  at least one is wrong, or its file is missing
  2  the command was used in a wrong way
"""
NO_TERMINAL = """\
practice needs a terminal for its keys. To check what you have written:
  python -m d2lblocks practice check {}"""
NO_PACKAGES = """\
practice waits for you to save, and needs two more packages, rich and watchfiles:
  pip install "d2lblocks[practice]"      in a clone of the repository: pip install ".[practice]"
Without them, check your file after each change:
  python -m d2lblocks practice check {}"""
ASK_AGAIN = """\
The third hint is nearly the code: python -m d2lblocks practice hint {}
To see the solution, ask for it once more."""
Run = Callable[[argparse.Namespace, Folder, list[Exercise]], int]


def add_practice(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `practice`."""
    parser = commands.add_parser(
        "practice",
        help="exercises that are checked as you save them",
        description="Exercises that are checked as you save them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run_practice, action=start, exercises=[], folder=None)
    actions = parser.add_subparsers(metavar="SUBCOMMAND", title="subcommands")

    def add(name: str, action: Run, number: str, help: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        sub.add_argument("--folder", metavar="FOLDER", type=Path, help=f"the folder, instead of {FOLDER}")
        sub.set_defaults(run=run_practice, action=action, exercises=[])
        if number:
            one = "an exercise, such as modules/1"
            sub.add_argument("exercises", metavar="EXERCISE", nargs=number, help=one)
        return sub

    add("start", start, "?", "show an exercise, or the one that was open last, and wait for you to save")
    check_parser = add("check", check, "*", "check exercises, whole topics or all of them")
    check_parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    add("list", show_list, "", "list all exercises, and what is done")
    add("hint", hint, "?", "show the next hint")
    add("solution", solution, "?", "show the solution, if the exercise is done or if you ask twice")
    add("reset", reset, "?", "start an exercise again; the file that was there is kept beside it")


def run_practice(options: argparse.Namespace) -> int:
    """Find the folder and the exercises, and run the subcommand."""
    named = options.exercises if isinstance(options.exercises, list) else [options.exercises]
    try:
        path = options.folder or Folder.find(Path.cwd())
        exercises = [each for words in named if words for each in find(words)]
        if options.action in (hint, solution, reset) and len(exercises) > 1:
            raise ValueError(f"name one exercise, such as {exercises[0].id}")
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} is not a folder")
        if options.action in (check, hint, solution, reset) and not path.is_dir():
            raise ValueError(f"there is no folder {shortest(path)}: `python -m d2lblocks practice` makes one")
    except ValueError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(about_error(error))
    run: Run = options.action
    try:
        folder = Folder.open(path)
        status = run(options, folder, exercises)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _refuse(about_error(error))
    if not_saved := about_progress(folder):
        print(f"d2lblocks practice: {not_saved}", file=sys.stderr)
    return status


def _refuse(words: str) -> int:
    print(f"d2lblocks practice: {words}", file=sys.stderr)
    return WRONG_USE


def start(options: argparse.Namespace, folder: Folder, exercises: list[Exercise]) -> int:
    """Wait for the reader to save."""
    exercise = exercises[0] if exercises else folder.current()
    if made := folder.make():
        files = "file" if made == 1 else "files"
        print(f"{shortest(folder.path)} has {made} new {files}, one for each exercise.", flush=True)
    folder.save(now=exercise)
    try:
        from .terminal import practice
    except ModuleNotFoundError as error:
        if error.name not in ("rich", "watchfiles"):
            raise
        print(NO_PACKAGES.format(exercise.id), file=sys.stderr)
        return WRONG_USE
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        print(NO_TERMINAL.format(exercise.id), file=sys.stderr)
        return WRONG_USE
    return practice(folder, exercise)


def check(options: argparse.Namespace, folder: Folder, exercises: list[Exercise]) -> int:
    """Check files, and say what is right and what is wrong."""
    verdicts: list[tuple[Exercise, Verdict]] = []
    with Judges() as judges:
        for exercise in exercises or all_exercises():
            verdict = judges.verdict(exercise, folder.file(exercise))
            verdicts.append((exercise, verdict))
            # A folder that is named may be another's.
            if verdict.status == "right" and options.folder is None:
                folder.answered(exercise)
            if not options.json:
                say([("", "")] * (len(verdicts) > 1))
                say(about_verdict(verdict, exercise, folder))
    if options.json:
        shown = [
            {"exercise": exercise.id, "file": str(folder.file(exercise)), **verdict.as_dict()}
            for exercise, verdict in verdicts
        ]
        print(json.dumps(shown, indent=2))
    elif len(verdicts) > 1:
        right = sum(verdict.status == "right" for _, verdict in verdicts)
        print(f"{right} of {len(verdicts)} are right.")
    return ALL_RIGHT if all(verdict.status == "right" for _, verdict in verdicts) else NOT_ALL


def show_list(options: argparse.Namespace, folder: Folder, exercises: list[Exercise]) -> int:
    """List the exercises."""
    say(about_list(folder, folder.current()))
    return ALL_RIGHT


def hint(options: argparse.Namespace, folder: Folder, exercises: list[Exercise]) -> int:
    """Show the next hint."""
    exercise = exercises[0] if exercises else folder.current()
    say(about_hint(exercise, folder.next_hint(exercise)))
    return ALL_RIGHT


def solution(options: argparse.Namespace, folder: Folder, exercises: list[Exercise]) -> int:
    """Show the solution, the second time at the latest."""
    exercise = exercises[0] if exercises else folder.current()
    if not folder.may_see_solution(exercise):
        print(ASK_AGAIN.format(exercise.id))
        return NOT_ALL
    say(about_solution(exercise))
    return ALL_RIGHT


def reset(options: argparse.Namespace, folder: Folder, exercises: list[Exercise]) -> int:
    """Start an exercise again."""
    exercise = exercises[0] if exercises else folder.current()
    kept = folder.reset(exercise)
    print(f"{shortest(folder.file(exercise))} is as it was at the beginning.")
    if kept:
        print(f"Your file is now {shortest(kept)}.")
    return ALL_RIGHT


def say(lines: Iterable[Line]) -> None:
    """Print lines without their styles; characters that the output cannot show are replaced."""
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    for _, line in lines:
        print(line)
