"""The script of every topic: a program that prints the page's outputs."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.page_runner import SMALLER_PROCESSOR, Page, plot_lies
from tools.generate.script import SCRIPTS, skipped
from tools.languages.catalogs import LANGUAGES
from tools.pages import PICTURES, ROOT, project, topics

TOPICS = topics(project().pages())
every_topic = pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.path.stem)


def place(page: Page, language: str = "en") -> Path:
    return ROOT / SCRIPTS.format(language) / f"{page.path.stem}.py"


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_every_topic_has_a_script_and_nothing_else_has(language: str) -> None:
    """A leftover script would be published and become outdated."""
    folder = ROOT / SCRIPTS.format(language)
    found = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    assert TOPICS
    assert found == {place(page).name for page in TOPICS}


def shown_by(page: Page) -> list[str]:
    """The lines that the script must print on this machine."""
    lines = []
    for snippet in page.snippets:
        if snippet.gpus > torch.cuda.device_count():
            lines.append(skipped(snippet))
        else:
            lines += snippet.outputs()
    return lines


@every_topic
def test_a_script_prints_what_the_page_shows(page: Page, tmp_path: Path) -> None:
    """In a separate process and an empty folder, it prints and draws nothing else, and nothing fails.

    It runs with fewer vector instructions, to show that the page's outputs do not depend on them.
    """
    ran = project().run_file(place(page), tmp_path / "run", seconds=300, environment=SMALLER_PROCESSOR)
    assert ran.troubles == []
    assert (tmp_path / "run" / "stderr").read_text("utf-8") == ""
    assert ran.printed().splitlines() == shown_by(page)
    here = [snippet for snippet in page.snippets if snippet.gpus <= torch.cuda.device_count()]
    files = tmp_path / "run" / "files"
    assert [lie for each in here for lie in plot_lies(each, page.lines, files, ROOT, PICTURES)] == []


def test_a_script_runs_by_itself(tmp_path: Path) -> None:
    """A fresh Python prints the same. Only the shortest script is tested, because each run imports torch."""
    page = min(TOPICS, key=lambda page: len(page.snippets))
    utf8 = os.environ | {"PYTHONUTF8": "1", "PYTEST_ADDOPTS": ""}  # a page runs pytest, too
    run = subprocess.run(
        [sys.executable, place(page)], cwd=tmp_path, env=utf8, capture_output=True, encoding="utf-8"
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines() == shown_by(page)


@pytest.mark.parametrize("language", LANGUAGES)
@every_topic
def test_a_translated_script_is_the_same_program(page: Page, language: str) -> None:
    """Apart from prose, which is in comments, each line is that of the English script."""
    english, other = (place(page, each).read_text("utf-8").split("\n\n# %%") for each in ("en", language))
    assert [cell for cell in other if not cell.startswith((" [markdown]", "# %% [markdown]"))] == [
        cell for cell in english if not cell.startswith((" [markdown]", "# %% [markdown]"))
    ]
    assert [len(cell) for cell in other] != [len(cell) for cell in english]
    lines = [line for cell in other for line in cell.split("\n") if line.startswith("# ") and "|" not in line]
    assert sum("。" in line for line in lines) > 100
    assert [line for line in lines if re.search("。[\u4e00-\u9fff]", line)] == []  # a line for each sentence
    assert ast.dump(ast.parse("\n\n# %%".join(other))) == ast.dump(ast.parse("\n\n# %%".join(english)))


@every_topic
def test_what_raises_is_caught_whole(page: Page) -> None:
    """The statement has the page's syntax tree, and only the class that the page names is caught."""
    tries = [
        node for node in ast.walk(ast.parse(place(page).read_text("utf-8"))) if isinstance(node, ast.Try)
    ]
    caught = {(ast.dump(each.body[0]), ast.unparse(each.handlers[0].type)) for each in tries if each.handlers}
    raising = [snippet for snippet in page.snippets if snippet.raises]
    statements = [ast.parse("\n".join(snippet.code)).body[-1] for snippet in raising]
    assert raising
    assert {
        (ast.dump(statement), snippet.raises) for statement, snippet in zip(statements, raising, strict=True)
    } <= caught


@every_topic
def test_a_script_has_the_cells_that_editors_know(page: Page) -> None:
    """There is a code cell for the lines of each snippet, and prose is in comments."""
    head, *cells = re.split(r"^# %%", place(page).read_text("utf-8"), flags=re.M)
    assert head == ""
    found = [cell.removeprefix("\n").rstrip("\n") for cell in cells if not cell.startswith(" [markdown]\n")]
    for cell, snippet in zip(found, page.snippets, strict=True):
        dedented = {line.strip() for line in cell.split("\n")}
        assert {line.strip() for line in snippet.code} <= dedented
    prose = [cell for cell in cells if cell.startswith(" [markdown]\n")]
    assert all(line.startswith("#") for cell in prose for line in cell.strip("\n").split("\n")[1:])
