"""A page is split into blocks of prose and lines that stay; nothing is lost between them."""

import re

import pytest

from tools.languages.blocks import Block, blocks, fixed, is_prose, with_texts
from tools.pages import ROOT, project

PAGES = sorted(path.name for path in (ROOT / "docs/en").glob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_the_sum_of_its_parts(page: str) -> None:
    """Put together again without translations, a page has the same text, apart from how lines are broken."""
    text = (ROOT / "docs/en" / page).read_text("utf-8")
    lines = with_texts(text.split("\n"), lambda block: block.text)
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("# A heading\n\nOne sentence.\nAnother one.\n", [("heading", "A heading"), ("paragraph", "One sentence. Another one.")]),
        ("- one item,\n  which goes on\n- another\n", [("item", "one item, which goes on"), ("item", "another")]),
        ("1. A task.\n   More.\n\n    A paragraph in it.\n", [("item", "A task. More."), ("paragraph", "A paragraph in it.")]),
        ("| You want | Write |\n|---|---|\n| a `a|b` bar | `x` |\n", [("cell", "You want"), ("cell", "Write"), ("cell", "a `a|b` bar")]),
        ("```python\n# a comment\nx = 1\n```\ntext\n", [("paragraph", "text")]),
        ('    ```python {title="Two ways to do it"}\n    x = 1\n    ```\n', [("caption", "Two ways to do it")]),
        ('```python {title="d2lblocks/modules.py"}\nx = 1\n```\n', []),
        ("<!-- a comment\nof two lines -->\ntext\n", [("paragraph", "text")]),
        ('<details markdown="1"><summary>Solution</summary>\n\ntext\n\n</details>\n', [("summary", "Solution"), ("paragraph", "text")]),
        ('<div class="hero" markdown>\n\n</div>\n\n$$ x = 1 $$\n\n--8<-- "modules.md:short"\n\n`x` 12\n', []),
    ],
)  # fmt: skip
def test_what_is_prose(text: str, found: list[tuple[str, str]]) -> None:
    """Paragraphs, headings, items, cells, captions and summaries are; code, comments, HTML and formulas are not."""
    assert [(each.kind, each.text) for each in blocks(text.split("\n")) if isinstance(each, Block)] == found


MARKDOWN = {  # not taken apart as Markdown is: each would be shown wrong, or not be translated
    "an admonition, a fold or a tab": r"^ *(?:!!!|\?\?\?|===)",
    "a quote": r"^ *>",
    "a line break made of blanks": r"\S  $",
    "a heading with a line below it": r"^(?:===+|---+)$",
    "a heading with attributes": r"^#.*\{.*\} *$",
    "a fence of tildes": r"^ *~~~",
    "a title in single quotes": r"^ *```.*title='",
    "text beside a tag or a comment": r"^ *(?:<(?:div|p|figure)[^>]*>|.*-->) *[^\s<]",
    "a table without bars at its edges": r"^ *:?-+:? *\|",
}


@pytest.mark.parametrize("kind", MARKDOWN)
def test_pages_have_only_markdown_that_is_translated(kind: str) -> None:
    """If a page needs one of these, blocks.py has to know it first."""
    found = []
    for name in PAGES:
        page = project().page(ROOT / "docs/en" / name, name)
        code = {line for each in page.fences() for line in range(each.line + 1, each.last_line or 0)}
        settings = page.lines.index("---", 1) + 1 if page.lines[0] == "---" else 0
        found += [
            f"{name}:{number}: {line}"
            for number, line in enumerate(page.lines, 1)
            if number > settings and number not in code and re.search(MARKDOWN[kind], line)
        ]
    assert found == []


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("an admonition, a fold or a tab", '    ??? note "a"'), ("a quote", "> a"),
        ("a line break made of blanks", "a  "), ("a heading with a line below it", "---"),
        ("a heading with attributes", "## a { .b }"), ("a fence of tildes", "  ~~~python"),
        ("a title in single quotes", "```python {title='a'}"),
        ("text beside a tag or a comment", "<p>a"), ("text beside a tag or a comment", "a --> b"),
        ("a table without bars at its edges", "--- | ---"),
    ],
)  # fmt: skip
def test_other_markdown_is_noticed(kind: str, line: str) -> None:
    """Each line of the list above can fail."""
    assert [each for each in MARKDOWN if re.search(MARKDOWN[each], line)] == [kind]


def test_a_translated_row_keeps_its_other_cells() -> None:
    """Only the cells with prose are replaced."""
    row = "| `x` | one thing | 12 | another |"
    assert with_texts([row], lambda block: block.text.upper()) == ["| `x` | ONE THING | 12 | ANOTHER |"]


def test_what_a_translation_has_to_keep() -> None:
    """Code, targets of links, tags, attributes, formulas and numbers; words of links are translated."""
    text = "Use `f(1)` [in two](a.md#b){ .c } <dfn>ways</dfn>, $n = 3$, 4.5 times ([x](y.md))"
    assert fixed(text) == sorted(
        ["`f(1)`", "](a.md#b)", "{ .c }", "<dfn>", "</dfn>", "$n = 3$", "4.5", "](y.md)"]
    )
    assert not is_prose("`x` and.md 12 $y$ [`z`](z.md)")
