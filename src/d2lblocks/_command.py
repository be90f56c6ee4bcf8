"""The command `d2lblocks`, also `python -m d2lblocks`; each function in COMMANDS adds one of its commands."""

import argparse
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from d2lblocks.diagnosis import explain
from d2lblocks.diagnosis._target import UsageError, diagnose_target
from d2lblocks.practice.command import add_practice

MATCHED, NOTHING, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
NO_ERRORS, ERRORS = 0, 1
BLOCK = 1 << 16
BLOCKS = 16  # kept of the end of a long standard input
PASTE = f"""\
Paste the error message or the whole traceback.
To end, press {"Ctrl-Z and then Enter" if os.name == "nt" else "Ctrl-D at the beginning of a line"}.
"""
WHICH = """\
You have an error message:
  python train.py 2>&1 | python -m d2lblocks explain

There is no error, but the net does not learn, or you want to know which layer the error comes from:
  python -m d2lblocks diagnose check.py:example      (see python -m d2lblocks diagnose --help)

A page such as modules.md#parameters is a page of the d2lblocks site, and a file in its folder docs/en.
"""
EXPLAIN_EXAMPLES = """\
examples:
  python -m d2lblocks explain "mat1 and mat2 shapes cannot be multiplied (56x28 and 20x256)"
  python train.py 2>&1 | python -m d2lblocks explain
  python -m d2lblocks explain < log.txt

exit status:
  0  a page explains the message
  1  no page explains it
  2  the command was used in a wrong way
"""
DIAGNOSE_EXAMPLES = """\
Write a file such as check.py, with a function that needs no arguments:

  import torch
  from model import Net  # the file with your net

  def example():
      return Net(), torch.rand(8, 20)

  python -m d2lblocks diagnose check.py:example

The function returns the net and its input. Several inputs are a tuple, inputs by name a dict.
To pass more, return a dict:

  return {"net": net, "args": (X,), "optimizer": optimizer, "loss": lambda Y: F.cross_entropy(Y, y)}

The files are imported, so everything in them runs. Put a training loop into a function of its own, or
below `if __name__ == "__main__":`, which is false then.

exit status:
  0  no errors; there may be questions
  1  errors
  2  the command was used in a wrong way, or the function failed
"""
Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or with those of the program, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="d2lblocks",
        description="Help with PyTorch modules that do not do what they should.",
        epilog=WHICH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for add in COMMANDS:
        add(commands)
    options = parser.parse_args(arguments)
    if not hasattr(options, "run"):
        parser.print_help(sys.stderr)
        return WRONG_USE
    run: Command = options.run
    try:
        status = run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of the output has ended, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return MATCHED
    return status


def add_diagnose(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `diagnose`."""
    parser = commands.add_parser(
        "diagnose",
        help="call a net, and name the mistakes in it",
        description="Call a net, and name the mistakes in it.",
        epilog=DIAGNOSE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "target",
        metavar="FILE.py:FUNCTION",
        help="the function that builds the net, in a file or in a module (package.module:function)",
    )
    parser.add_argument(
        "--silence", metavar="CODE", action="append", default=[], help="leave out the findings with this code"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run_diagnose)


def run_diagnose(options: argparse.Namespace) -> int:
    """Diagnose the net that the function returns, and say whether there are errors."""
    try:
        report = diagnose_target(options.target, options.silence)
    except UsageError as error:
        print(f"d2lblocks diagnose: {error}", file=sys.stderr)
        return WRONG_USE
    print(json.dumps(report.as_dict(), indent=2) if options.json else report)
    return ERRORS if report.errors else NO_ERRORS


def add_explain(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command `explain`."""
    parser = commands.add_parser(
        "explain",
        help="say what an error message means, and how to fix its cause",
        description="Say what an error message means, and how to fix its cause.",
        epilog=EXPLAIN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "text",
        metavar="TEXT",
        nargs="*",
        help="the message, in quotation marks; without it, standard input is read: "
        "a message, a traceback or a log",
    )
    parser.add_argument("--json", action="store_true", help="print the explanation as JSON")
    parser.set_defaults(run=run_explain)


def run_explain(options: argparse.Namespace) -> int:
    """Explain the text, and say whether anything was found."""
    text = " ".join(options.text) or standard_input()
    if not text.strip():
        print("d2lblocks explain: there is no text to explain.", file=sys.stderr)
    explanation = explain(text)
    if not explanation and len(options.text) == 1 and os.path.isfile(text):
        print(f"d2lblocks explain: to read a file: python -m d2lblocks explain < {text}", file=sys.stderr)
    if options.json:
        print(json.dumps(explanation.as_list(), indent=2))
    elif text.strip():
        print(explanation)
    return MATCHED if explanation else NOTHING


def standard_input() -> str:
    """All of standard input, or its beginning and its end; bytes that are not UTF-8 are replaced."""
    if sys.stdin is None:
        return ""
    if sys.stdin.isatty():
        print(PASTE, file=sys.stderr, flush=True)
    first, last = b"", deque[bytes](maxlen=BLOCKS)
    for block in blocks(sys.stdin.buffer):
        if len(first) < BLOCK:
            first += block
        else:
            last.append(block)
    return (first + b"\n" * bool(last) + b"".join(last)).decode("utf-8", "replace")


def blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


COMMANDS = [add_diagnose, add_explain, add_practice]
