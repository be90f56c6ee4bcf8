"""One snippet of a page, and what happened when it was run: all that the page's process has to know of it."""

import ast
import io
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Snippet:
    """One Python fence. Lines are counted from 1: `line` in the file, others in `code`."""

    id: str
    file: str  # relative to the project's root, as failures name it
    line: int  # of the opening fence
    program: str  # the snippets of one program share one namespace
    code: list[str]  # without the fence's indentation
    indent: int
    raw: bool = True  # False in a docstring in which a backslash means something else
    title: str = ""
    source: str = (
        ""  # the file of the package whose source the snippet shows, relative to the package's parent
    )
    raises: str = ""  # the class of the exception that ends it
    gpus: int = 0  # how many CUDA GPUs it needs
    problems: list[str] = field(default_factory=list)

    @property
    def last_line(self) -> int:
        """The line of the closing fence, in the file as it was read."""
        return self.line + self.length + 1

    def __post_init__(self) -> None:
        self.length = len(self.code)  # `code` may be rewritten; the file's lines are these

    def tree(self) -> ast.Module:
        """The syntax tree; a SyntaxError if it has none."""
        return parse_quietly("\n".join(self.code), self.file)

    def output_lines(self) -> set[int]:
        """The lines that are an output comment and nothing else."""
        comments = output_comments(self.code)
        return {line for line, column in comments if not self.code[line - 1][:column].strip()}

    def outputs(self) -> list[str]:
        """The text of those lines, as it was printed."""
        return [shown_text(self.code[line - 1]) for line in sorted(self.output_lines())]


@dataclass
class Outcome:
    """What happened when a snippet was run."""

    outputs: dict[int, str] = field(default_factory=dict)  # the last line of a statement: what it printed
    troubles: list[str] = field(default_factory=list)  # why it fails, whatever it shows
    skipped: str = ""  # why it was not run, where that is no failure
    fatal: bool = False  # the program cannot go on

    def printed(self) -> str:
        """All that was printed."""
        return "".join(self.outputs.values())


def shown_text(line: str) -> str:
    """What an output comment says was printed."""
    return line.lstrip().removeprefix("#>").removeprefix(" ")


def output_comments(code: list[str]) -> Iterator[tuple[int, int]]:
    """Line and column of every output comment; a `#>` inside a string is a string."""
    if any("#>" in line for line in code):
        for token in tokenize.generate_tokens(io.StringIO("\n".join(code) + "\n").readline):
            if token.type == tokenize.COMMENT and token.string.startswith("#>"):
                yield token.start


def parse_quietly(source: str, name: str) -> ast.Module:
    """The syntax tree; what Python would warn about is no matter of reading."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source, name)
