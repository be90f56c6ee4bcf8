'''Prove that Markdown pages show the real outputs of their code: run the snippets and compare the outputs.

The snippets of a page are one program: they run in page order, in one namespace, in a separate process.
An output is written below the statement that printed it, as `#> ` and the printed line.
Another project can copy this folder unchanged. It needs pytest-examples, which finds the snippets,
and Markdown, which computes the anchors of headings.
`Project` is the entry point, and this file of tests is all that a project needs:

    """tests/test_pages.py"""
    from pathlib import Path
    import pytest
    from page_runner import Project

    PROJECT = Project(Path(__file__).parents[1], docs="docs", package="src/toy")
    PAGES = PROJECT.pages()
    SNIPPETS = [snippet for page in PAGES for snippet in page.snippets]

    @pytest.fixture(scope="session")
    def runner(tmp_path_factory, pytestconfig):
        update = pytestconfig.getoption("update_examples")
        runner = PROJECT.runner(PAGES, tmp_path_factory.mktemp("pages"), update=update)
        yield runner
        print(*runner.close(), sep="\\n")

    @pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.id)
    def test_snippet(snippet, runner):
        result = runner(snippet)
        assert not result.remark, result.remark

    def test_fences():
        assert [problem for page in PAGES for problem in page.problems] == []

project.py         the properties of a project that the runner needs: folders, keys, commands
reading.py         a project's pages, and everything on them that only looks like a snippet
page.py            a page: its snippets, its fences, its headings
fences.py          fences, their keys, and their problems
snippet.py         one snippet, and the outcome of running it
runner.py          tests pages, or rewrites them
program.py         the snippets of a page, run in a separate process
session.py         that process: it runs statement by statement
freeze.py          reduces the memory that the process copies
outputs.py         the outputs that a snippet shows, compared with the printed ones
package_source.py  a snippet that shows the package's source, compared with that source
plots.py           pictures that a page's code draws, compared with the published ones
rewriting.py       differences from the real outputs, as a remark or written to the page
atomic_write.py    replaces a file completely, or not at all
'''

from .atomic_write import replace_file
from .package_source import imported, statement_lines
from .page import HEADING, Heading, Page
from .plots import plot_lies, plots, svg
from .program import SMALLER_PROCESSOR, Program, warm_up
from .project import KEYS, Project
from .runner import PageRunner, Result
from .snippet import Snippet, parse_quietly, shown_text

__all__ = [
    "HEADING",
    "KEYS",
    "SMALLER_PROCESSOR",
    "Heading",
    "Page",
    "PageRunner",
    "Program",
    "Project",
    "Result",
    "Snippet",
    "imported",
    "parse_quietly",
    "plot_lies",
    "plots",
    "replace_file",
    "shown_text",
    "statement_lines",
    "svg",
    "warm_up",
]
