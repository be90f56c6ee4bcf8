"""The list of mistakes: it is made from the pages, in their order, and it is complete."""

from pathlib import Path

import pytest

from tests.machinery.toy_project import check, fence, pages_of, project
from tools.generate.all_files import generated
from tools.generate.entries import SYMPTOMS
from tools.generate.generated import GeneratedPart, marks
from tools.generate.mistakes import MISTAKES

BEGIN, END = marks("list of mistakes")
NAVIGATION = "nav:\n  - index.md\n  - Topics:\n      - words.md\n      - numbers.md\n"
LINE = "<!-- slow | It is *long*. | Shorten `it`. -->"
FAILS = fence("1 / 0", "#> ZeroDivisionError: division by zero", keys='raises="ZeroDivisionError"')
OWN = fence(
    'raise ValueError("expected a number above zero, but got 0")',
    "#> ValueError: expected a number above zero, but got 0",
    keys='raises="ValueError"',
)
PACKAGE = 'def above(x):\n    raise ValueError(f"expected a number above zero, but got {x}")\n'
PAGE = (
    "# Numbers\n\n## Division\n\n"
    + FAILS
    + "\n## Halves\n\n"
    + fence("raise KeyError(2)", "#> KeyError: 2", keys='raises="KeyError"')
    + f"\n## Sums\n\nNo mistake.\n\n## When it goes wrong\n\n### It is *silent*\n{LINE}\n\n"
    + fence("# ## No heading", "print('KeyError: no message')", "#> KeyError: no message")
    + "\n### `division by zero`\n\n<!-- the values are wrong | The divisor is 0. | Check it. -->\n\n"
    + FAILS
    + FAILS
    + OWN
    + "\n## In short\n\n### Nothing\n"
)
LIST = """
## By what you see

- [The values are wrong](#the-values-are-wrong)
- [Slow](#slow)

### The values are wrong

- [`division by zero`](numbers.md#division-by-zero)
    - Cause: The divisor is 0.
    - Fix: Check it.

### Slow

- [Only `this one thing`](words.md#only-this-one-thing)
    - Cause: It is *long*.
    - Fix: Shorten `it`.
- [It is *silent*](numbers.md#it-is-silent)
    - Cause: It is *long*.
    - Fix: Shorten `it`.

## PyTorch's messages

### [Words](words.md)

- [Only `this one thing`](words.md#only-this-one-thing)
    - Cause: It is *long*.
    - Fix: Shorten `it`.

### [Numbers](numbers.md)

- [`division by zero`](numbers.md#division-by-zero)
    - ``ZeroDivisionError: division by zero``
    - Cause: The divisor is 0.
    - Fix: Check it.

## d2lblocks' messages

### [Numbers](numbers.md)

- [`division by zero`](numbers.md#division-by-zero)
    - ``ValueError: expected a number above zero, but got 0``
    - Cause: The divisor is 0.
    - Fix: Check it.

## Other messages on the pages

- [Numbers: Halves](numbers.md#halves)
    - ``KeyError: 2``
"""


def made_from(root: Path, *entries: str, walk: str = "") -> GeneratedPart:
    """The list for a project with one topic, which has these entries after a first section."""
    page = f"# Words\n\n{walk}\n## When it goes wrong\n\n" + "\n".join(entries)
    files = {"mkdocs.yml": NAVIGATION, "docs/en/words.md": page, MISTAKES: f"# Mistakes\n\n{BEGIN}\n{END}\n"}
    project(root, **files)
    (part,) = [each for each in generated(pages_of(root), root) if each.name == "list of mistakes"]
    assert isinstance(part, GeneratedPart)
    return part


def messages(part: GeneratedPart) -> list[str]:
    """The lines that are Markdown code."""
    return [line.removeprefix("    - ") for line in part.lines if line.startswith("    - `")]


def test_the_list_is_made_from_the_pages(tmp_path: Path) -> None:
    """The list follows the navigation. It omits pages outside the navigation or without such a section."""
    files = {
        "mkdocs.yml": NAVIGATION,
        "src/d2lblocks/numbers.py": PACKAGE,
        "docs/en/index.md": "# Home\n\n" + FAILS,
        "docs/en/words.md": f"# Words\n\n## When it goes wrong\n\n### Only `this one thing`\n{LINE}\n",
        "docs/en/numbers.md": PAGE,
        "docs/en/page.md": PAGE,
        MISTAKES: f"# Mistakes\n\n{BEGIN}\nold\n{END}\n\nend\n",
    }
    root = project(tmp_path, **files)
    assert "the list of mistakes is not what it is made from" in generated(pages_of(root), root)[1].lie()
    check(root, update=True)
    assert (root / MISTAKES).read_text("utf-8") == f"# Mistakes\n\n{BEGIN}\n{LIST}\n{END}\n\nend\n"
    assert generated(pages_of(root), root)[1].lie() == ""


@pytest.mark.parametrize(
    ("below", "problem"),
    [
        ("Text.", "does not say its symptom, cause and fix."),
        ("Text.\n\n<!-- slow | A. | B. -->", "does not say its symptom, cause and fix."),
        ("<!-- slow |\n A. | B. -->", "does not say its symptom, cause and fix."),
        ("<!-- -->", "does not say its symptom, cause and fix."),
        ("<!-- slow | A. -->", "needs a symptom, a cause and a fix between `|`, but has 2 of 3."),
        ("<!-- slow | `a | b`. | B. -->", "needs a symptom, a cause and a fix between `|`, but has 4 of 3."),
        ("<!-- sluggish | A. | B. -->", 'has a symptom that is not in the list: "sluggish".'),
        ("<!-- | A. | B. -->", 'has a symptom that is not in the list: "".'),
        ("<!-- slow | | B. -->", 'has a cause that is no sentence with a period at its end: "".'),
        ("<!-- slow | A. | . -->", 'has a fix that is no sentence with a period at its end: ".".'),
        ("<!-- slow | A. | B -->", 'has a fix that is no sentence with a period at its end: "B".'),
    ],
)
def test_an_entry_without_its_line_is_an_error_that_says_what_to_write(
    below: str, problem: str, tmp_path: Path
) -> None:
    """Each wrong entry is reported with its place, and the page stays as it is."""
    part = made_from(tmp_path, f"### First\n{LINE}\n", f"### It\n{below}\n", "### Last\n")
    said = part.lie()
    assert f'docs/en/words.md:9: the entry "It" {problem}' in said
    assert ': the entry "Last" does not say its symptom, cause and fix.' in said
    assert "First" not in said
    assert "<!-- it does not load | " in said
    assert all(symptom in said for symptom in SYMPTOMS)
    assert part.show() == said
    assert part.path.read_text("utf-8") == f"# Mistakes\n\n{BEGIN}\n{END}\n"


def test_a_heading_elsewhere_with_the_line_is_an_entry(tmp_path: Path) -> None:
    """Without the comment, its message is among the others. A wrong comment is an error; a comment about
    something else is ignored.
    """
    assert "## Other messages on the pages" in made_from(tmp_path, walk=f"## Walk\n\n{FAILS}").lines
    entry = made_from(tmp_path, walk=f"## Walk\n\n{LINE}\n\n{FAILS}").lines
    assert [line for line in entry if line[:3] == "## "] == ["## By what you see", "## PyTorch's messages"]
    assert "does not" not in made_from(tmp_path, walk=f"## Walk\n\n<!-- table -->\n\n{FAILS}").lie()
    assert "of 3" in made_from(tmp_path, walk="## Walk\n\n<!-- slow | A. -->\n").lie()


def test_the_messages_of_an_entry_are_those_that_it_shows(tmp_path: Path) -> None:
    """Messages are found if they are raised, caught or warned of; no other printed text is."""
    raised = fence(
        "raise ValueError('no \\n\\ttwo three four\\n\\tfive')",
        *("#> ValueError: no ", "#> \ttwo three four", "#> \tfive"),
        keys='raises="ValueError"',
    )
    caught = fence(
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    print(error)\n    print(True)",
        *("#> division by zero", "#> True", "print('this is no message')", "#> this is no message"),
    )
    warned = fence(
        "import warnings\nwith warnings.catch_warnings(record=True) as seen:\n    warnings.warn('it is a no-op')",
        *("print(seen[0].message)", "#> it is a no-op", "print('nor is this one')", "#> nor is this one"),
    )
    part = made_from(tmp_path, f"### It\n{LINE}\n\n{raised}{caught}{warned}")
    shown = ["ValueError: no", "two three four", "division by zero", "it is a no-op"]
    assert messages(part) == [f"``{message}``" for message in shown]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`weight` is no `tensor`", "`` `weight` is no `tensor` ``"),
        ("a `b` and ``c`` d", "```a `b` and ``c`` d```"),
    ],
)
def test_a_message_keeps_its_backticks(message: str, shown: str, tmp_path: Path) -> None:
    """Backticks in a message are shown, and do not end the code."""
    caught = fence("try:\n    f()\nexcept TypeError as error:\n    print(error)", f"#> {message}")
    assert messages(made_from(tmp_path, f"### It\n{LINE}\n\n{caught}")) == [shown]


def test_a_heading_that_is_a_message_is_among_the_messages(tmp_path: Path) -> None:
    """Words in code count as a message, but Python code does not. An entry with neither is not listed."""
    said = ["`No module named models`", "`Missing key(s)`: a tie", "`unhashable type`", "`can't do it`"]
    silent = [
        "`nn.Parameter(t) * 0.01` is none",
        "A net that is slow",
        "`.data` is read",
        "The shape `(0, 1)`",
    ]
    headings = [*silent[:2], *said, *silent[2:]]
    part = made_from(tmp_path, *(f"### {heading}\n{LINE}\n" for heading in headings))
    by_message = "\n".join(part.lines).partition("## PyTorch's messages")[2]
    assert [heading for heading in headings if f"- [{heading}]" in by_message] == said
