"""Every snippet of every page, of the README and of the docstrings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page_runner import SMALLER_PROCESSOR, Page, Snippet, warm_up
from tests.pages.doc_tests import DocTests
from tools.generate.all_files import generated
from tools.generate.generated import GeneratedFile, GeneratedPart
from tools.generate.gpu_record import this_machine
from tools.pages import ROOT, project, topics

PAGES = project().pages()
SNIPPETS = [snippet for page in PAGES for snippet in page.snippets]
TOPICS = topics(PAGES)
WITHOUT_SCRIPT = [page for page in PAGES if page.snippets and page not in TOPICS]
# Imports of pages that contain these words. The first optimizer imports torch._dynamo, which takes a second.
IMPORTED = {"torch": ["torch"], "optim.": ["torch._dynamo"], "d2lblocks": ["html", "safetensors", "xxhash"]}
WORDS = [word for word in IMPORTED if any(word in line for page in PAGES for line in page.lines)]
warm_up([module for word in WORDS for module in IMPORTED[word]])


@pytest.fixture(scope="session")
def check(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocTests]:
    pytestconfig = request.config
    check = DocTests(
        PAGES,
        ROOT,
        folder=tmp_path_factory.mktemp("pages"),
        seconds=pytestconfig.getoption("snippet_seconds"),
        update=pytestconfig.getoption("update_examples"),
        machine=this_machine() if pytestconfig.getoption("gpu_record") else None,
    )
    if not hasattr(pytestconfig, "workerinput"):  # a worker does not know which tests it will run
        wanted = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
        check.run_ahead([params["snippet"] for params in wanted if "snippet" in params])
    yield check
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # the output of the last test would be hidden
        for done in check.close():
            pytestconfig.get_terminal_writer().line(f"\n{done}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.short)
def test_fences(page: Page) -> None:
    """Everything on a page that looks like Python is run, or says that it is not."""
    if page.problems:
        pytest.fail("\n".join(page.problems), pytrace=False)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.id)
def test_snippet(snippet: Snippet, check: DocTests, pytestconfig: pytest.Config) -> None:
    """The page shows the real outputs."""
    remark, skipped = check(snippet)
    if skipped and snippet.gpus <= pytestconfig.getoption("gpus_required"):
        remark, skipped = f"{snippet.file}:{snippet.line}: {skipped}", ""
    if remark and check.record.excuses(snippet):
        pytest.xfail(f"on a torch that constraints.txt does not pin: {remark}")
    if remark:
        pytest.fail(remark, pytrace=False)
    if skipped:
        pytest.skip(skipped)


@pytest.mark.parametrize("part", generated(PAGES, ROOT), ids=lambda part: part.name.replace(" ", "_"))
def test_part_that_is_made(part: GeneratedPart | GeneratedFile, pytestconfig: pytest.Config) -> None:
    """A part of a page that is generated from other files is up to date."""
    if pytestconfig.getoption("update_examples") or pytestconfig.getoption("gpu_record"):
        pytest.skip("it is being rewritten")
    if lie := part.lie():
        pytest.fail(lie, pytrace=False)


@pytest.mark.parametrize("page", WITHOUT_SCRIPT, ids=lambda page: page.short)
def test_a_page_holds_on_a_smaller_processor(page: Page, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """The outputs are the same with fewer vector instructions. The scripts of topics run like that too."""
    if pytestconfig.getoption("update_examples") or pytestconfig.getoption("gpu_record"):
        pytest.skip("pages are being rewritten, or put on record")
    seconds = pytestconfig.getoption("snippet_seconds")
    check = DocTests([page], ROOT, tmp_path, seconds, environment=SMALLER_PROCESSOR)
    try:
        remarks = [remark for snippet in page.snippets if (remark := check(snippet)[0])]
    finally:
        check.close()
    if remarks:
        pytest.fail("\n".join([f"with {SMALLER_PROCESSOR}:", *remarks]), pytrace=False)
