"""What the page runner has to know of a project, and the way in to all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .page import Page
from .program import run_file
from .reading import read_page, read_pages
from .runner import PageRunner
from .snippet import Outcome

# The keys of a fence, and the role that each of them has.
KEYS = {"title": "title", "hl_lines": "lines", "linenums": "number", "gpu": "gpus", "raises": "raises"}


@dataclass(frozen=True)
class Project:
    """A project whose pages are to be proven.

    Args:
        root: the project's folder; all other paths are relative to it.
        docs: the folder whose Markdown files are pages, in whatever depth.
        package: the folder of the package whose docstrings are proven, too, and whose source pages may show;
            empty for none. A fence whose title begins with the package's name, as in `toy/blocks.py`,
            shows the source of that file.
        pictures: the folder of the plots that pages show and their snippets draw.
        other_pages: other Markdown files that are pages.
        keys: the keys that a fence may have, each with its role: `title`; `raises`, the class of the
            exception that ends the snippet; `gpus`, how many it needs; `lines` and `number`, of lines, which
            only the site reads; `text` for anything else that only the site reads.
        not_run: the languages of fences that are not run.
        rewrite_command: what rewrites stale pages, as remarks name it.
    """

    root: Path
    docs: str = "docs"
    package: str = ""
    pictures: str = "docs/img"
    other_pages: tuple[str, ...] = ("README.md",)
    keys: Mapping[str, str] = field(default_factory=KEYS.copy)
    not_run: tuple[str, ...] = ("text", "console")
    rewrite_command: str = "pytest --update-examples"

    def pages(self) -> list[Page]:
        """Every page; what is wrong with a page as a whole is in its `problems`."""
        return read_pages(self)

    def page(self, path: Path, short: str) -> Page:
        """One page, by its path and the name that its tests begin with."""
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
        """What runs these pages.

        Args:
            pages: those to run.
            folder: where each program gets an empty folder to run in.
            seconds: how long a snippet may take.
            update: whether pages are rewritten in place of compared.
            environment: variables that the programs get besides those of this process.
        """
        return PageRunner(self, pages, folder, seconds, update, environment or {})

    def run_file(
        self, path: Path, folder: Path, *, seconds: float = 60, environment: dict[str, str] | None = None
    ) -> Outcome:
        """What happens when a Python file is run as a page is: statement by statement, in an empty folder.

        Args:
            path: the file.
            folder: a folder for the run; the file runs in its folder `files`.
            seconds: how long it may take.
            environment: variables that it gets besides those of this process.
        """
        return run_file(path, folder, seconds, environment or {}, self.hidden_folders)

    @property
    def hidden_folders(self) -> tuple[Path, ...]:
        """Folders of the path that only the tests have: what is run does not see them."""
        return self.root, Path(__file__).parents[1]

    @property
    def source_folder(self) -> Path:
        """The folder that titles of source are relative to."""
        return (self.root / self.package).parent

    @property
    def source_prefix(self) -> str:
        """How the title of a fence begins that shows the package's source."""
        return f"{Path(self.package).name}/"

    def is_source(self, title: str) -> bool:
        """Whether a snippet of this title shows the package's source."""
        return bool(self.package) and title.startswith(self.source_prefix)

    @property
    def remedy(self) -> str:
        """What a remark says of a page that is stale."""
        return (
            f"If what happens is right, `{self.rewrite_command}` rewrites what is shown; then read the diff."
        )
