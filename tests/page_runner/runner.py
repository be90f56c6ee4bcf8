"""Pages tested one snippet at a time, or rewritten."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .outputs import troubles, truthful
from .package_source import refreshed
from .page import Page
from .plots import plot_lies, plots, publish
from .program import Program
from .rewriting import difference, rewrite
from .snippet import Snippet, parse_quietly

if TYPE_CHECKING:
    from .project import Project


class Result(NamedTuple):
    """The result of a snippet: it is correct if both texts are empty."""

    remark: str = ""  # why it fails
    skipped: str = ""  # why it was not run, if that is not a failure


class PageRunner:
    """Calling it with a snippet runs the page up to there, each snippet once, and returns the Result.

    With `update`, closing it rewrites the pages without failures.
    """

    def __init__(
        self,
        project: Project,
        pages: list[Page],
        folder: Path,
        seconds: float,
        update: bool,
        environment: dict[str, str],
    ) -> None:
        self.project = project
        self.update = update
        self.pages = {page.name: page for page in pages}
        self.failed = {page.name for page in pages if page.problems}
        self.codes: dict[str, list[str]] = {}  # the new code of a page that is rewritten, by snippet
        self.programs: dict[str, Program] = {}
        self.pool: ThreadPoolExecutor | None = None
        hidden = project.hidden_folders
        for number, page in enumerate(pages):
            if update and page.name not in self.failed:
                self.refresh(page)
            for name in dict.fromkeys(snippet.program for snippet in page.snippets):
                snippets = [snippet for snippet in page.snippets if snippet.program == name]
                place = folder / f"{number}-{page.path.stem}" / str(len(self.programs))
                self.programs[name] = Program(snippets, page.lines, place, seconds, environment, hidden)

    def refresh(self, page: Page) -> None:
        """Update embedded definitions before the page is run, because its outputs may depend on them."""
        for snippet in page.snippets:
            if snippet.source:
                with contextlib.suppress(SyntaxError):  # running it will report the error
                    self.codes[snippet.id] = snippet.code = refreshed(snippet, self.project.source_folder)

    def run_ahead(self, snippets: list[Snippet]) -> None:
        """Run programs up to these snippets, as many at once as there are processors."""
        last = {snippet.program: snippet for snippet in snippets}
        self.pool = ThreadPoolExecutor(os.cpu_count())
        for name, snippet in last.items():
            self.pool.submit(self.programs[name].outcome, snippet)

    def __call__(self, snippet: Snippet) -> Result:
        project, page = self.project, self.pages[snippet.file]
        outcome = self.programs[snippet.program].outcome(snippet)
        remarks = troubles(snippet, outcome, project.source_folder, project.remedy)
        truth = snippet.code if remarks or outcome.skipped else truthful(snippet, outcome)
        if self.update:
            self.codes[snippet.id] = truth
            if not remarks and not parses(truth):
                remarks.append(f"{snippet.file}:{snippet.line}: with its outputs this is no longer Python")
        elif not remarks and (remark := difference(snippet, truth, page, project.remedy)):
            remarks.append(remark)
        elif not remarks and not outcome.skipped:
            files = self.programs[snippet.program].files
            lies = plot_lies(snippet, page.lines, files, project.root, project.pictures)
            remarks += [f"{lie}\n{project.remedy}" for lie in lies]
        if remarks:
            self.failed.add(snippet.file)
        return Result("\n".join(remarks), outcome.skipped)

    def close(self) -> list[str]:
        """End every program, rewrite pages if asked to, and return messages."""
        if self.pool:
            self.pool.shutdown(wait=False, cancel_futures=True)
        for program in self.programs.values():
            program.close()
            # A snippet that was run only because a later one was requested may have failed too.
            if any(outcome.troubles for outcome in program.outcomes.values()):
                self.failed.add(program.snippets[0].file)
        return self.rewrite() if self.update else []

    def rewrite(self) -> list[str]:
        """Write the pages without failures, and their plots, and return messages."""
        pages = [page for name, page in self.pages.items() if name not in self.failed]
        done = [rewrite(page, self.codes) for page in pages]
        for page in pages:
            for snippet in page.snippets:
                files = self.programs[snippet.program].files
                for name in plots(snippet, page.lines):
                    done.append(publish(name, files, self.project.root, self.project.pictures))
        return [what for what in done if what]


def parses(code: list[str]) -> bool:
    try:
        parse_quietly("\n".join(code), "snippet")
    except SyntaxError:
        return False
    return True
