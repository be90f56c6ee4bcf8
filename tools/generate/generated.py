"""Parts of pages and whole files made from other files: compared with their true content, or rewritten."""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from tests.page_runner import replace_file
from tools.pages import project


def marks(name: str, command: str = "make update") -> tuple[str, str]:
    """The two lines of a page between which the part with this name is."""
    return f"<!-- {name}: made by `{command}`, not by hand -->", f"<!-- end of {name} -->"


class GeneratedPart:
    """A generated part, and its true lines. If computing them raises a ValueError, that is the problem."""

    def __init__(
        self, root: Path, page: str, name: str, lines: Iterable[str], command: str = "make update"
    ) -> None:
        self.path = root / page
        self.page = page
        self.name = name
        self.lines: list[str] = []
        self.problem = ""
        try:
            self.lines = list(lines)
        except ValueError as error:
            self.problem = str(error)
        self.marks = marks(name, command)

    def pages(self) -> tuple[str, str]:
        """The page as it is, and its true content, which is empty if the page has no place for the part."""
        begin, end = self.marks
        shown = self.path.read_bytes().decode()
        before, _, rest = shown.partition(begin)
        _, found, after = rest.partition(end)
        newline = "\r\n" if rest.startswith("\r") else "\n"
        part = newline.join(["", "", *self.lines, "", ""])
        return shown, f"{before}{begin}{part}{end}{after}" if found else ""

    def lie(self) -> str:
        """The reason why the part fails; empty if it does not, or if the project has no such page."""
        shown, true = self.pages() if self.path.is_file() else ("", "")
        if shown and self.problem:
            return self.problem
        if shown and not true:
            begin, end = self.marks
            return f"{self.page}: the {self.name} has no place between `{begin}` and `{end}`"
        return (
            f"{self.page}: the {self.name} is not what it is made from\n{project().remedy}"
            if shown != true
            else ""
        )

    def show(self) -> str:
        """Update the part, and return a message if anything was done."""
        lie = self.lie()
        if not lie or self.problem or not (true := self.pages()[1]):
            return lie
        replace_file(self.path, true.encode())
        return f"rewritten: the {self.name} of {self.page}"


class GeneratedFile:
    """A file that is completely generated, and the function that makes its true text."""

    def __init__(self, root: Path, name: str, make: Callable[[], str]) -> None:
        self.path = root / name
        self.name = name
        self.make = make

    @cached_property
    def text(self) -> str:
        return self.make()

    def lie(self) -> str:
        """The reason why the file fails; empty if it does not."""
        true = self.path.is_file() and self.path.read_text("utf-8") == self.text
        return "" if true else f"{self.name}: this is not what it is made from\n{project().remedy}"

    def show(self) -> str:
        """Update the file, and return a message if anything was done."""
        if not self.lie():
            return ""
        replace_file(self.path, self.text.encode())
        return f"rewritten: {self.name}"
