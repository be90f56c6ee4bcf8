"""The list of mistakes: made from the pages, in their order, and nothing is missing from it."""

from pathlib import Path

from tests.machinery.toy_project import check, fence, pages_of, project
from tools.generate.all_files import generated
from tools.generate.generated import marks
from tools.generate.mistakes import MISTAKES

BEGIN, END = marks("list of mistakes")
FAILS = fence("1 / 0", "#> ZeroDivisionError: division by zero", keys='raises="ZeroDivisionError"')
PAGE = (
    "# Numbers\n\n## Division\n\n"
    + FAILS
    + "\n## Sums\n\nNo mistake.\n\n## When it goes wrong\n\n### It is *silent*\n\n"
    + fence("# ## No heading", "print('KeyError: no message')", "#> KeyError: no message")
    + "\n### `division by zero`\n\n"
    + FAILS
    + FAILS
    + "\n## In short\n\n### Nothing\n"
)
LIST = """
## [Words](words.md)

- [Only this](words.md#only-this)

## [Numbers](numbers.md)

- [Division](numbers.md#division)
    - ``ZeroDivisionError: division by zero``
- [It is *silent*](numbers.md#it-is-silent)
- [`division by zero`](numbers.md#division-by-zero)
    - ``ZeroDivisionError: division by zero``

"""


def test_the_list_is_made_from_the_pages(tmp_path: Path) -> None:
    """In the order of the navigation; a page that is not in it, or has no such section, is left out."""
    files = {
        "mkdocs.yml": "nav:\n  - index.md\n  - Topics:\n      - words.md\n      - numbers.md\n",
        "docs/en/index.md": "# Home\n\n" + FAILS,
        "docs/en/words.md": "# Words\n\n## When it goes wrong\n\n### Only this\n",
        "docs/en/numbers.md": PAGE,
        "docs/en/page.md": PAGE,
        MISTAKES: f"# Mistakes\n\n{BEGIN}\nold\n{END}\n\nend\n",
    }
    root = project(tmp_path, **files)
    assert "the list of mistakes is not what it is made from" in generated(pages_of(root), root)[1].lie()
    check(root, update=True)
    assert (root / MISTAKES).read_text("utf-8") == f"# Mistakes\n\n{BEGIN}\n{LIST}\n{END}\n\nend\n"
    assert generated(pages_of(root), root)[1].lie() == ""
