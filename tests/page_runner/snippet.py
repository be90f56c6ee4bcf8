"""One snippet of a page, and the outcome of running it: all that the page's process has to know."""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Snippet:
    """One Python fence. Lines are counted from 1: `line` in the file, all others in `code`."""

    id: str
    file: str  # relative to the project's root, for messages
    line: int  # of the opening fence
    program: str  # the snippets of one program share one namespace
    code: list[str]  # without the fence's indentation
    indent: int
    raw: bool = True  # False in a docstring where a backslash starts an escape
    title: str = ""
    source: str = (
        ""  # the file of the package whose source the snippet shows, relative to the package's parent
    )
    raises: str = ""  # the class of the exception that ends it
    gpus: int = 0  # the number of CUDA GPUs that it needs
    problems: list[str] = field(default_factory=list)

    @property
    def last_line(self) -> int:
        """The line of the closing fence, in the file as it was read."""
        return self.line + self.length + 1

    def __post_init__(self) -> None:
        self.length = len(self.code)  # the length in the file; `code` may be rewritten

    def tree(self) -> ast.Module:
        """The syntax tree; raise a SyntaxError if there is none."""
        return parse_quietly("\n".join(self.code), self.file)

    def output_lines(self) -> set[int]:
        """The lines that contain only an output comment."""
        comments = output_comments(self.code)
        return {line for line, column in comments if not self.code[line - 1][:column].strip()}

    def outputs(self) -> list[str]:
        """The text of those lines, as it was printed."""
        return [shown_text(self.code[line - 1]) for line in sorted(self.output_lines())]


@dataclass
class Outcome:
    """The outcome of running a snippet."""

    outputs: dict[int, str] = field(default_factory=dict)  # the last line of each statement, and its output
    troubles: list[str] = field(default_factory=list)  # why it fails, whatever outputs it shows
    skipped: str = ""  # why it was not run, if that is not a failure
    fatal: bool = False  # the program cannot go on

    def printed(self) -> str:
        """Everything that was printed."""
        return "".join(self.outputs.values())


def shown_text(line: str) -> str:
    """The printed text that an output comment shows."""
    return line.lstrip().removeprefix("#>").removeprefix(" ")


def output_comments(code: list[str]) -> Iterator[tuple[int, int]]:
    """Yield line and column of every output comment. A `#>` inside a string is not a comment."""
    if any("#>" in line for line in code):
        for token in tokenize.generate_tokens(io.StringIO("\n".join(code) + "\n").readline):
            if token.type == tokenize.COMMENT and token.string.startswith("#>"):
                yield token.start


def parse_quietly(source: str, name: str) -> ast.Module:
    """The syntax tree, without the warnings of Python's parser."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source, name)
