"""How tests are divided among workers: the listed files exist, and a page stays in one worker."""

import pytest

from tests import workers
from tools.pages import ROOT


def test_every_long_file_is_there() -> None:
    """Each listed name belongs to exactly one file."""
    stems = [path.stem for path in ROOT.glob("tests/*/test_*.py")]
    assert [stems.count(name) for name in workers.LONG] == [1] * len(workers.LONG)


@pytest.mark.parametrize(
    ("test", "scope"),
    [
        ("tests/pages/test_docs.py::test_snippet[a.md:5]", "tests/pages/test_docs.py a.md"),
        ("tests/pages/test_docs.py::test_fences[a.md]", "tests/pages/test_docs.py a.md"),
        ("tests/site/test_site.py::test_home", "tests/site/test_site.py test_home"),
        ("tests/package/test_init.py::test_it[1]", "tests/package/test_init.py"),
    ],
)
def test_what_stays_together(test: str, scope: str) -> None:
    """The tests of a page, one test with all of its cases, or a whole file that is quick."""
    assert workers.Schedule._split_scope(None, test) == scope
