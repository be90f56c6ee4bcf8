"""The script of every topic: a program that prints what the page shows."""

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
from tools.pages import PICTURES, ROOT, project, topics

TOPICS = topics(project().pages())
every_topic = pytest.mark.parametrize("page", TOPICS, ids=lambda page: page.path.stem)


def place(page: Page) -> Path:
    return ROOT / SCRIPTS / f"{page.path.stem}.py"


def test_every_topic_has_a_script_and_nothing_else_has() -> None:
    """One that was left behind would be published, and be stale."""
    found = {path.name for path in (ROOT / SCRIPTS).iterdir() if path.name != "__pycache__"}
    assert TOPICS
    assert found == {place(page).name for page in TOPICS}


@every_topic
def test_a_script_prints_what_the_page_shows(page: Page, tmp_path: Path) -> None:
    """A fresh Python that runs it, in an empty folder, prints and draws nothing else, and nothing goes wrong.

    With the vector instructions turned down: so it is seen that what a page shows does not depend on them.
    """
    here = [snippet for snippet in page.snippets if snippet.gpus <= torch.cuda.device_count()]
    lines = []
    for snippet in page.snippets:
        if snippet not in here:
            lines.append(skipped(snippet))
        else:
            lines += snippet.outputs()
    environment = os.environ | SMALLER_PROCESSOR | {"PYTHONUTF8": "1"}
    run = subprocess.run(
        [sys.executable, place(page)], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8"
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines() == lines
    assert [lie for each in here for lie in plot_lies(each, page.lines, tmp_path, ROOT, PICTURES)] == []


@every_topic
def test_what_raises_is_caught_whole(page: Page) -> None:
    """The statement is, to the syntax tree, the page's, and only the class that the page names is caught."""
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
    """A cell of code for each snippet, in which its lines are, and prose in comments."""
    head, *cells = re.split(r"^# %%", place(page).read_text("utf-8"), flags=re.M)
    assert head == ""
    found = [cell.removeprefix("\n").rstrip("\n") for cell in cells if not cell.startswith(" [markdown]\n")]
    for cell, snippet in zip(found, page.snippets, strict=True):
        dedented = {line.strip() for line in cell.split("\n")}
        assert {line.strip() for line in snippet.code} <= dedented
    prose = [cell for cell in cells if cell.startswith(" [markdown]\n")]
    assert all(line.startswith("#") for cell in prose for line in cell.strip("\n").split("\n")[1:])
