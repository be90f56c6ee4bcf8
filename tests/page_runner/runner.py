"""All pages of one test run: checked, or rewritten."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from .compare import HOW, difference, rewrite, troubles, truthful
from .library import refreshed, shows_library
from .made import Made, MadeFile
from .mistakes import MISTAKES, mistakes
from .notebook import NOTEBOOKS, notebook
from .plots import plot_lies, plots, publish
from .read import Page, parse_quietly, read_pages, topics
from .record import TESTED, Machine, Record
from .run import Program
from .script import SCRIPTS, script
from .snippet import Snippet


class Check:
    """Called with a snippet, it says why the snippet fails (empty: it does not) and why it was skipped."""

    def __init__(
        self,
        pages: list[Page],
        root: Path,
        folder: Path,
        seconds: float = 60,
        update: bool = False,
        machine: Machine | None = None,  # whose GPUs this run puts on record
        environment: dict[str, str] | None = None,  # what the programs have beside that of the tests
    ) -> None:
        self.root = root
        self.update = update
        self.record = Record(pages, root, machine)
        self.pages = {page.name: page for page in pages}
        self.failed = {page.name for page in pages if page.problems}
        self.codes: dict[str, list[str]] = {}  # what a rewritten page will hold, by snippet
        self.programs: dict[str, Program] = {}
        self.pool: ThreadPoolExecutor | None = None
        for number, page in enumerate(pages):
            if update and page.name not in self.failed:
                self.refresh(page)
            for name in dict.fromkeys(snippet.program for snippet in page.snippets):
                snippets = [snippet for snippet in page.snippets if snippet.program == name]
                place = folder / f"{number}-{page.path.stem}" / str(len(self.programs))
                self.programs[name] = Program(snippets, page.lines, place, seconds, environment or {})

    def refresh(self, page: Page) -> None:
        """Bring embedded definitions up to date before the page is run: its outputs may depend on them."""
        for snippet in filter(shows_library, page.snippets):
            with contextlib.suppress(SyntaxError):  # running it will tell
                self.codes[snippet.id] = snippet.code = refreshed(snippet, self.root)

    def run_ahead(self, snippets: list[Snippet]) -> None:
        """Run programs as far as these snippets go, as many at once as there are processors."""
        last = {snippet.program: snippet for snippet in snippets}
        self.pool = ThreadPoolExecutor(os.cpu_count())
        for name, snippet in last.items():
            self.pool.submit(self.programs[name].outcome, snippet)

    def __call__(self, snippet: Snippet) -> tuple[str, str]:
        outcome = self.programs[snippet.program].outcome(snippet)
        remarks = troubles(snippet, outcome, self.root)
        truth = snippet.code if remarks or outcome.skipped else truthful(snippet, outcome)
        if self.update:
            self.codes[snippet.id] = truth
            if not remarks and not parses(truth):
                remarks.append(f"{snippet.file}:{snippet.line}: with its outputs this is no longer Python")
        elif not remarks and (remark := difference(snippet, truth, self.pages[snippet.file])):
            remarks.append(remark)
        elif not remarks and not outcome.skipped:
            files, page = self.programs[snippet.program].files, self.pages[snippet.file]
            remarks += [f"{lie}\n{HOW}" for lie in plot_lies(snippet, page.lines, files, self.root)]
        if remarks:
            self.failed.add(snippet.file)
        remark = "\n".join(remarks)
        return remark, self.record.note(snippet, remark, outcome.skipped)

    def close(self) -> list[str]:
        """End every program; write what this run is to write. What was done."""
        if self.pool:
            self.pool.shutdown(wait=False, cancel_futures=True)
        for program in self.programs.values():
            program.close()
            # A snippet that was run only because a later one was asked for may have failed as well.
            if any(outcome.troubles for outcome in program.outcomes.values()):
                self.failed.add(program.snippets[0].file)
        done = [self.record.write()] if self.record.machine else []
        if self.update:
            done += self.rewrite()
        if self.update or self.record.machine:
            done += [part.show() for part in made_parts(read_pages(self.root), self.root)]
        return [what for what in done if what]

    def rewrite(self) -> list[str]:
        """Write the pages of which nothing failed, and their plots. What was done."""
        pages = [page for name, page in self.pages.items() if name not in self.failed]
        done = [rewrite(page, self.codes) for page in pages]
        for page in pages:
            for snippet in page.snippets:
                files = self.programs[snippet.program].files
                done += [publish(name, files, self.root) for name in plots(snippet, page.lines)]
        return done


def made_parts(pages: list[Page], root: Path) -> list[Made | MadeFile]:
    """What is made from other files: the table of GPU runs, the list of mistakes, notebooks and scripts."""
    made: list[Made | MadeFile] = [
        Made(root, TESTED, "table of GPU runs", Record(pages, root).table()),
        Made(root, MISTAKES, "list of mistakes", mistakes(pages, root)),
    ]
    for page in topics(pages, root):
        if not page.problems and all(parses(snippet.code) for snippet in page.snippets):
            stem = page.path.stem
            cells = partial(notebook, page, topics(pages, root), root)
            made.append(MadeFile(root, f"{NOTEBOOKS}/{stem}.ipynb", cells))
            made.append(MadeFile(root, f"{SCRIPTS}/{stem}.py", partial(script, page)))
    return made


def parses(code: list[str]) -> bool:
    try:
        parse_quietly("\n".join(code), "snippet")
    except SyntaxError:
        return False
    return True
