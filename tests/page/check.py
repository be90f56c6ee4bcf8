"""All pages of one test run: checked, or rewritten."""

from pathlib import Path

from .compare import difference, rewrite, troubles, truthful
from .library import refreshed, shows_library
from .read import Page
from .run import Program
from .snippet import Snippet


class Check:
    """Called with a snippet, it says why the snippet fails (empty: it does not) and why it was skipped."""

    def __init__(
        self, pages: list[Page], root: Path, folder: Path, seconds: float = 60, update: bool = False
    ) -> None:
        self.root = root
        self.update = update
        self.pages = {page.name: page for page in pages}
        self.failed = {page.name for page in pages if page.problems}
        self.codes: dict[str, list[str]] = {}  # what a rewritten page will hold, by snippet
        self.programs: dict[str, Program] = {}
        for page in pages:
            for number, name in enumerate(dict.fromkeys(snippet.program for snippet in page.snippets)):
                snippets = [snippet for snippet in page.snippets if snippet.program == name]
                if update and page.name not in self.failed:
                    self.refresh(snippets)
                place = folder / page.name.replace("/", "-") / str(number)
                self.programs[name] = Program(snippets, page.lines, place, seconds)

    def refresh(self, snippets: list[Snippet]) -> None:
        """Bring embedded definitions up to date before the page is run: its outputs may depend on them."""
        for snippet in filter(shows_library, snippets):
            snippet.code = refreshed(snippet, self.root)

    def __call__(self, snippet: Snippet) -> tuple[str, str]:
        outcome = self.programs[snippet.program].outcome(snippet)
        remarks = troubles(snippet, outcome, self.root)
        truth = snippet.code if remarks or outcome.skipped else truthful(snippet, outcome)
        if self.update:
            self.codes[snippet.id] = truth
        elif not remarks and (remark := difference(snippet, truth, self.pages[snippet.file])):
            remarks.append(remark)
        if remarks:
            self.failed.add(snippet.file)
        return "\n".join(remarks), outcome.skipped

    def close(self) -> list[str]:
        """End every program; when updating, write the pages of which nothing failed. The names written."""
        for program in self.programs.values():
            program.close()
        if not self.update:
            return []
        return [
            name for name, page in self.pages.items() if name not in self.failed and rewrite(page, self.codes)
        ]
