"""One snippet of a page: what the page's process has to know, and quick to import there."""

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
    keys: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def gpus(self) -> int:
        return int(self.keys.get("gpu", 0))

    @property
    def last_line(self) -> int:
        """The line of the closing fence, in the file as it was read."""
        return self.line + self.length + 1

    def __post_init__(self) -> None:
        self.length = len(self.code)  # `code` may be rewritten; the file's lines are these
