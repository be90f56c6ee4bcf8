"""The notebook of every topic: valid, readable, and with the page's outputs when a kernel runs it."""

import base64
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from markdown_it import MarkdownIt
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from tests.page_runner import Page, plots
from tests.pages.jupyter_kernel import code, executed, figures, said
from tools.generate.notebook import NOTEBOOKS, code_cells
from tools.languages.catalogs import LANGUAGES, translations
from tools.languages.pictures import pictures
from tools.pages import ROOT, project, topics

TOPICS = topics(project().pages())
every_topic = pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.path.stem)
every_language = pytest.mark.parametrize("language", ["en", *LANGUAGES])
every_other_language = pytest.mark.parametrize("language", LANGUAGES)

# Markup that only the site understands, after code and formulas are removed; links to missing files.
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)|\$\$.*?\$\$|\$[^$\n]+\$", re.S)
MARKUP = re.compile(
    r"^[ >]*(?:!!!|\?\?\?|===)|#>|\{.*?\}|<!--|--8<--|</?(?:details|summary)"
    r"|\]\((?!https?://|data:image/|#|[\w-]+\.ipynb)",
    re.M,
)


def read(page: Page, language: str = "en") -> NotebookNode:
    return nbformat.read(ROOT / NOTEBOOKS.format(language) / f"{page.path.stem}.ipynb", as_version=4)


def say(text: str, language: str) -> str:
    return translations(ROOT / "docs" / language).say(text)


def prose(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def leftovers(text: str) -> list[str]:
    return MARKUP.findall(CODE.sub("`code`", text))


@every_language
def test_every_topic_has_a_notebook_and_nothing_else_has(language: str) -> None:
    """A leftover notebook would be published and become outdated."""
    found = {path.name for path in (ROOT / NOTEBOOKS.format(language)).iterdir()}
    assert TOPICS
    assert found == {f"{page.path.stem}.ipynb" for page in TOPICS}


@every_other_language
@every_topic
def test_chinese_sentences_have_no_blank_between_them(page: Page, language: str) -> None:
    """The end of a line inside a paragraph would be shown as one."""
    texts = "\n\n".join(prose(read(page, language)))
    assert re.search(r"。\S", texts)
    assert re.findall(r"。\n(?=[\u4e00-\u9fff`])", texts) == []


@every_language
@every_topic
def test_a_notebook_is_valid(page: Page, language: str) -> None:
    """A notebook follows the format, every cell has an id, and nothing tells which machine made it."""
    notebook = read(page, language)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.language_info == {"name": "python"}


@every_language
@every_topic
def test_a_notebook_is_plain_markdown(page: Page, language: str) -> None:
    """A notebook contains no markup that only the site understands, and no link to a missing file."""
    assert {text: found for text in prose(read(page, language)) if (found := leftovers(text))} == {}


@every_language
@every_topic
def test_bold_text_is_bold(page: Page, language: str) -> None:
    """CommonMark, which notebooks are written in, has stricter rules for stars than the site."""
    unseen = re.compile(r"<(code|pre)>.*?</\1>|\$[^$\n]+\$|2\*\*30", re.S)
    shown = [MarkdownIt().render(CODE.sub("`code`", text)) for text in prose(read(page, language))]
    assert [text for text in shown if "**" in unseen.sub("", text)] == []


@every_other_language
@every_topic
def test_a_translated_notebook_has_the_same_code(page: Page, language: str) -> None:
    """Code cells, their outputs and their tags are those of the English one; the prose is not."""
    english, other = (read(page, each) for each in ("en", language))
    assert [cell.cell_type for cell in other.cells] == [cell.cell_type for cell in english.cells]
    assert code(other) == code(english)
    names = re.compile(r"\*[\w./]+\*|#+ `.*`")  # a file or an API is the whole text of some cells
    pairs = list(zip(prose(english), prose(other), strict=True))
    same = [one for one, two in pairs if one == two and not names.fullmatch(one)]
    assert len(same) <= len(pairs) / 10  # test_translations.py names what is not translated


@pytest.mark.parametrize(
    "text",
    [
        "!!! note", '    ??? note "a"', '=== "A"', "#> output", "![a](img/a.png){ width=5 }", "# A {#b}", "a {: .b}",
        "<!-- hidden -->", '--8<-- "a.md"', '<details markdown="1">', "<summary>A</summary>", "</details>",
        "[a](tested.md)", "![a](img/a.svg)", "[`a`](api/a.md#b)", "`a` {.b} `c`",
    ],
)  # fmt: skip
def test_markup_of_the_site_is_noticed(text: str) -> None:
    """The check above can fail."""
    assert leftovers(f"before\n\n{text}\n")


@pytest.mark.parametrize(
    "text",
    ["`#> {a}`", "``a `b` {c}``", "$\\frac{1}{2}$", "$$ U({-a}, a) $$", "[a](b.ipynb#c) [a](#c)", "a < b"],
)
def test_plain_markdown_is_left_alone(text: str) -> None:
    """Code, formulas and links between notebooks stay."""
    assert not leftovers(text)


@every_language
@every_topic
def test_a_notebook_leads_to_headings_that_are_there(page: Page, language: str) -> None:
    """JupyterLab's anchors are the words of a heading, with dashes for blanks."""
    words = {
        topic.path.stem: {
            re.sub(r"`|(?<! )\*|\*(?! )", "", heading).replace(" ", "-")
            for text in prose(read(topic, language))
            for heading in re.findall(r"^#+ (.+)$", text, re.M)
        }
        for topic in TOPICS
    }
    links = re.compile(r"\]\(([\w-]*)(?:\.ipynb)?(?:#((?:[^\s()]|\([^\s()]*\))+))?\)")
    found = links.findall(re.sub(r"`[^`\n]+`", "", "\n".join(prose(read(page, language)))))
    assert found
    assert [(stem, word) for stem, word in found if word not in words[stem or page.path.stem] | {""}] == []


@every_language
@every_topic
def test_pictures_are_in_the_notebook(page: Page, language: str) -> None:
    """All pictures of the page are included with their descriptions, and nothing is fetched."""
    shown = re.findall(r"!\[([^]]+)\]\(img/([^)]+)\)", "\n".join(page.lines))
    text = "\n".join(prose(read(page, language)))
    found = re.findall(r"!\[([^]]+)\]\(data:image/svg\+xml;base64,([^)]+)\)", text)
    assert len(found) == len(shown)
    if language == "en":
        assert [words for words, _ in found] == [words for words, _ in shown]
    else:
        translated = {each.name for each in pictures()}
        drawn = [
            base64.b64decode(data).decode()
            for (_, name), (_, data) in zip(shown, found, strict=True)
            if name in translated
        ]
        assert [each for each in drawn if not re.search("[\u4e00-\u9fff]", each)] == []


@every_language
@every_topic
def test_solutions_are_folded(page: Page, language: str) -> None:
    """Each solution has a heading of its own, and ends before the next exercise."""
    heading, exercise = f"#### {say('Solution', language)}", say("Exercise {}", language)
    cells = read(page, language).cells
    solutions = [number for number, cell in enumerate(cells) if cell.source == heading]
    assert len(solutions) == "\n".join(page.lines).count("<summary>Solution</summary>") > 0
    assert all(cells[number].metadata["jp-MarkdownHeadingCollapsed"] for number in solutions)
    for number in solutions:  # the code of an exercise may come between
        told = [cell.source for cell in cells[:number] if cell.cell_type == "markdown"]
        assert told[-1].startswith(f"### {exercise.partition('{')[0]}")


@every_topic
def test_a_notebook_shows_what_the_page_shows(page: Page) -> None:
    """A notebook has every line of output, in order, and no other."""
    shown = [line for snippet in page.snippets for line in snippet.outputs()]
    outputs = [output for cell in code(read(page)) for output in cell.outputs]
    texts = [output.get("text") or "\n".join(output.traceback) + "\n" for output in outputs]
    assert "".join(texts) == "".join(f"{line}\n" for line in shown)


@every_topic
def test_a_kernel_gives_what_the_notebook_shows(page: Page, tmp_path: Path) -> None:
    """A fresh kernel in an empty folder runs all of it, and prints and raises nothing else."""
    stored = read(page)
    needed = [snippet.gpus for snippet in page.snippets for _ in code_cells(snippet)]
    stored.cells = [
        cell for cell, gpus in zip(code(stored), needed, strict=True) if gpus <= torch.cuda.device_count()
    ]
    ran = executed(stored, tmp_path / "run")
    differing = [
        cell.id for cell, was in zip(ran.cells, stored.cells, strict=True) if said(cell) != said(was)
    ]
    assert [(cell.source, said(cell)) for cell in ran.cells if cell.id in differing] == []
    assert [cell.execution_count for cell in ran.cells] == list(range(1, len(ran.cells) + 1))
    assert figures(ran) == sum(len(plots(snippet, page.lines)) for snippet in page.snippets)


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a process by its number")
def test_a_kernel_ends_with_a_failure(tmp_path: Path) -> None:
    """A cell that fails without saying so in advance is a failure."""
    place = tmp_path / "number"
    cells = [f"import os; open({str(place)!r}, 'w').write(str(os.getpid()))", "1 / 0"]
    with pytest.raises(CellExecutionError, match="division by zero"):
        executed(new_notebook(cells=[new_code_cell(each) for each in cells]), tmp_path / "run")
    with pytest.raises(ProcessLookupError):
        os.kill(int(place.read_text()), 0)
