'''Prove that what Markdown pages show is what happens: their snippets are run, their outputs compared.

The snippets of a page are one program: they run in page order, in one namespace, in a process of their own.
An output stands below the statement that printed it, as `#> ` and the printed line.
Another project can take this folder as it is. It needs pytest-examples, which finds the snippets,
and Markdown, which knows the anchors of headings.
`Project` is the entry point, and this file of tests is all it takes:

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

project.py         what the runner has to know of a project: folders, keys, commands
reading.py         a project's pages, and everything on them that only looks like a snippet
page.py            a page: its snippets, its fences, its headings
fences.py          fences, their keys, and what is wrong with them
snippet.py         one snippet, and what happened when it was run
runner.py          pages proven, or rewritten
program.py         the snippets of a page, run in a process of their own
session.py         that process: statement by statement
freeze.py          less memory for it to copy
outputs.py         the outputs that a snippet shows, beside those that it printed
package_source.py  a snippet that shows the package's source, beside that source
plots.py           pictures that a page's code draws, beside the published ones
rewriting.py       what is shown beside what happened, as a remark or written to the page
atomic_write.py    a file replaced, whole or not at all
'''

from .atomic_write import replace_file
from .package_source import statement_lines
from .page import HEADING, Heading, Page
from .plots import plot_lies, plots, svg
from .program import SMALLER_PROCESSOR, warm_up
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
    "Project",
    "Result",
    "Snippet",
    "parse_quietly",
    "plot_lies",
    "plots",
    "replace_file",
    "shown_text",
    "statement_lines",
    "svg",
    "warm_up",
]
