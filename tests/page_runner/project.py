"""The properties of a project that the page runner needs, and the entry point of the runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .page import Page
from .program import run_file
from .reading import read_page, read_pages
from .runner import PageRunner
from .snippet import Outcome

# The keys of a fence, each with its role.
KEYS = {"title": "title", "hl_lines": "lines", "linenums": "number", "gpu": "gpus", "raises": "raises"}


@dataclass(frozen=True)
class Project:
    """A project whose pages are tested.

    Args:
        root: the project's folder; all other paths are relative to it.
        docs: the folder whose Markdown files, at any depth, are pages.
        package: the folder of the package whose docstrings are tested too, and whose source pages may show;
            empty if there is none. A fence whose title begins with the package's name, as in
            `toy/blocks.py`, shows the source of that file.
        pictures: the folder of the plots that pages show and their snippets draw.
        other_pages: other Markdown files that are pages.
        keys: the keys that a fence may have, each with its role: `title`; `raises`, the class of the
            exception that ends the snippet; `gpus`, the number of GPUs that it needs; `lines` and `number`,
            lines and a line number that only the site uses; `text` for any other key of the site.
        not_run: the languages of fences that are not run.
        rewrite_command: the command that rewrites stale pages, for remarks.
    """

    root: Path
    docs: str = "docs"
    package: str = ""
    pictures: str = "docs/img"
    other_pages: tuple[str, ...] = ("README.md", "README.*.md")
    keys: Mapping[str, str] = field(default_factory=KEYS.copy)
    not_run: tuple[str, ...] = ("text", "console")
    rewrite_command: str = "pytest --update-examples"

    def pages(self) -> list[Page]:
        """Every page; the problems of a page as a whole are in its `problems`."""
        return read_pages(self)

    def page(self, path: Path, short: str) -> Page:
        """One page; `short` is the beginning of the names of its tests."""
        return read_page(self, path, short)

    def runner(
        self,
        pages: list[Page],
        folder: Path,
        *,
        seconds: float = 60,
        update: bool = False,
        environment: dict[str, str] | None = None,
    ) -> PageRunner:
        """Create the runner of these pages.

        Args:
            pages: the pages to run.
            folder: where each program gets an empty folder to run in.
            seconds: the time limit for a snippet.
            update: whether pages are rewritten instead of compared.
            environment: variables for the programs, in addition to those of this process.
        """
        return PageRunner(self, pages, folder, seconds, update, environment or {})

    def run_file(
        self, path: Path, folder: Path, *, seconds: float = 60, environment: dict[str, str] | None = None
    ) -> Outcome:
        """Run a Python file like a page, statement by statement, in an empty folder, and return the outcome.

        Args:
            path: the file.
            folder: a folder for the run; the file runs in the folder `files` inside it.
            seconds: the time limit.
            environment: variables for the file, in addition to those of this process.
        """
        return run_file(path, folder, seconds, environment or {}, self.hidden_folders)

    @property
    def hidden_folders(self) -> tuple[Path, ...]:
        """Folders in the import path that are only for the tests; a program does not see them."""
        return self.root, Path(__file__).parents[1]

    @property
    def source_folder(self) -> Path:
        """The folder that titles of source are relative to."""
        return (self.root / self.package).parent

    @property
    def source_prefix(self) -> str:
        """The beginning of a fence's title that shows the package's source."""
        return f"{Path(self.package).name}/"

    def is_source(self, title: str) -> bool:
        """Whether a snippet with this title shows the package's source."""
        return bool(self.package) and title.startswith(self.source_prefix)

    @property
    def remedy(self) -> str:
        """The advice in a remark on a stale page."""
        return (
            f"If what happens is right, `{self.rewrite_command}` rewrites what is shown; then read the diff."
        )
