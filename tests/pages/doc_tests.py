"""One run of the doc tests: it tests or rewrites pages and generated files, and records GPU runs."""

from pathlib import Path

from tests.page_runner import Page, Result, Snippet
from tools.generate.all_files import generated
from tools.generate.gpu_record import Machine, Record
from tools.languages.catalogs import LANGUAGES
from tools.languages.messages import update
from tools.pages import project


class DocTests:
    """Calling it with a snippet returns the result; for a skipped snippet, with its recorded GPU run."""

    def __init__(
        self,
        pages: list[Page],
        root: Path,
        folder: Path,
        seconds: float = 60,
        update: bool = False,
        machine: Machine | None = None,  # the machine, if its GPU runs are recorded
        environment: dict[str, str] | None = None,  # more variables for the programs
    ) -> None:
        self.root = root
        self.update = update
        self.record = Record(pages, root, machine)
        self.runner = project(root).runner(
            pages, folder, seconds=seconds, update=update, environment=environment
        )

    def run_ahead(self, snippets: list[Snippet]) -> None:
        self.runner.run_ahead(snippets)

    def __call__(self, snippet: Snippet) -> Result:
        result = self.runner(snippet)
        return Result(result.remark, self.record.note(snippet, result.remark, result.skipped))

    def close(self) -> list[str]:
        """End every program, write the files of this run, and return messages."""
        done = self.runner.close()
        done += [self.record.write()] if self.record.machine else []
        if self.update or self.record.machine:
            done += [part.show() for part in generated(project(self.root).pages(), self.root)]
            for language in LANGUAGES:
                if (self.root / "docs" / language).is_dir():
                    done += update(language, self.root)
        return [what for what in done if what]
