"""Notebooks and scripts of invented pages: unusual content is exported correctly, stale files are noticed."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.machinery.toy_project import check, fence, pages_of, project, pytest_run
from tests.pages.jupyter_kernel import code, executed, said
from tools.generate.all_files import generated

DETAILS = '<details markdown="1"><summary>{}</summary>\n\n'
PAGE = (
    '# Odd *things*\n\n[`a`](other.md#the-end-of-it), [b](#nested), [c](notes.md), [d](https://a.b/c), `[x](y.md)`\n\n'
    "![A box.](img/box.svg)\n\n"
    + fence("import torch", "print('''a", "#> b", "", "c''')", "#> a", "#> #> b", "#>", "#> c", "x = 1", "x  # é")
    + "\n## Nested\n\n<!-- --8<-- [start:short] -->\n\n- one\n    - two\n\n      three\n\n"
    + "```console\n# no heading\n```\n\n<!-- --8<-- [end:short] -->\n\n"
    + fence(
        "def fail(text):",
        "    print()",
        "    raise ValueError(text)\n\n",
        "fail(",
        "    f'''one",
        "  two {x}",
        "''' 'three'",
        ")",
        "#>",
        "#> ValueError: one",
        "#>   two 1",
        "#> three",
        keys='raises="ValueError"',
    )
    + "\n" + DETAILS.format("Its source")
    + fence("HALF = 0.5", keys='title="d2lblocks/lib.py"')
    + "\n</details>\n\n1. No exercise.\n\n"
    + fence("x", "1 / 0", "#> ZeroDivisionError: division by zero", keys='gpu="99" title="Big" raises="ZeroDivisionError"')
    + "\n## Exercises\n\n1. How?\n   And why?\n\n    " + DETAILS.format("Solution") + "    So:\n\n"
    + fence("print('end', end='')", "#> end", indent="    ")
    + "\n    - a\n      b\n\n"
    + fence("{}['k']", "#> KeyError: 'k'", keys='raises="KeyError"', indent="    ")
    + "\n    </details>\n\n2. What?\n\n    " + DETAILS.format("Solution") + "    Nothing.\n\n    </details>\n"
)  # fmt: skip
FILES = {
    "mkdocs.yml": "nav:\n  - index.md\n  - Topics:\n      - odd.md\n      - other.md\n  - notes.md\n",
    "docs/en/index.md": "# Home\n",
    "docs/en/notes.md": "# Notes\n",
    "docs/en/other.md": "# Other\n\n## The *end* of `it`\n",
    "docs/en/odd.md": PAGE.replace("\n", "\r\n"),
    "docs/theme/img/box.svg": "<svg />",
}
NOTEBOOK, SCRIPT = "docs/en/notebooks/odd.ipynb", "docs/en/scripts/odd.py"
BOX = "data:image/svg+xml;base64,PHN2ZyBzdHlsZT0iYmFja2dyb3VuZDogI2ZmZiIgLz4="  # <svg style="background: #fff" />
CELLS = [
    '# Odd *things*\n\nThis is the page "Odd *things*" of d2lblocks as a notebook: made from the page, and executed.\n'
    "It needs `torch`.\nWhat needs a CUDA GPU says so: without one it fails or prints other things; the rest runs.\n\n"
    "[`a`](other.ipynb#The-end-of-it), [b](#Nested), c, [d](https://a.b/c), `[x](y.md)`\n\n"
    f"![A box.]({BOX})",
    ("import torch\nprint('''a\n#> b\n\nc''')", ("stream", "stdout", "a\n#> b\n\nc\n")),
    ("x = 1\nx;  # é",),
    "## Nested\n\n- one\n    - two\n\n      three\n\n```console\n# no heading\n```",
    (
        "def fail(text):\n    print()\n    raise ValueError(text)\n\n\nfail(\n    f'''one\n  two {x}\n''' 'three'\n)",
        ("stream", "stdout", "\n"),
        ("error", "ValueError", "one\n  two 1\nthree"),
    ),
    "Its source:\n\n*The library's own source, from `d2lblocks/lib.py`:*",
    ("HALF = 0.5",),
    "1. No exercise.\n\n*Big*\n\n*Needs 99 CUDA GPUs.*",
    ("x\n1 / 0", ("error", "ZeroDivisionError", "division by zero")),
    "## Exercises",
    "### Exercise 1\n\nHow?\nAnd why?",
    "#### Solution",
    "So:",
    ("print('end', end='')", ("stream", "stdout", "end\n")),
    "- a\n  b",
    ("{}['k']", ("error", "KeyError", "'k'")),
    "### Exercise 2\n\nWhat?",
    "#### Solution",
    "Nothing.",
]  # fmt: skip
PROGRAM = """\
# %% [markdown]
# # Odd *things*
#
# This is the page "Odd *things*" of d2lblocks as a script: made from the page, and executed.
# It needs `torch`.
#
# `a`, b, c, [d](https://a.b/c), `[x](y.md)`
#
# (A picture: A box.)

# %%
import torch
print(\'\'\'a
#> b

c\'\'\')
#> a
#> #> b
#>
#> c
x = 1
x  # é

# %% [markdown]
# ## Nested
#
# - one
#     - two
#
#       three
#
# ```console
# # no heading
# ```

# %%
def fail(text):
    print()
    raise ValueError(text)


try:
    fail(
        f\'\'\'one
  two {x}
\'\'\' 'three'
    )
except ValueError as error:
    print(f"ValueError: {error}")
#>
#> ValueError: one
#>   two 1
#> three

# %% [markdown]
# Its source:
#
# *The library's own source, from `d2lblocks/lib.py`:*

# %%
HALF = 0.5

# %% [markdown]
# 1. No exercise.
#
# *Big*
#
# *Needs 99 CUDA GPUs.*

# %%
if torch.cuda.device_count() >= 99:
    x
    try:
        1 / 0
    except ZeroDivisionError as error:
        print(f"ZeroDivisionError: {error}")
    #> ZeroDivisionError: division by zero
else:
    print("skipped: this needs 99 CUDA GPUs")

# %% [markdown]
# ## Exercises

# %% [markdown]
# ### Exercise 1
#
# How?
# And why?

# %% [markdown]
# #### Solution

# %% [markdown]
# So:

# %%
print('end', end='')
#> end

# %% [markdown]
# - a
#   b

# %%
try:
    {}['k']
except KeyError as error:
    print(f"KeyError: {error}")
#> KeyError: 'k'

# %% [markdown]
# ### Exercise 2
#
# What?

# %% [markdown]
# #### Solution

# %% [markdown]
# Nothing.
"""
PRINTED = (
    "a\n#> b\n\nc\n\nValueError: one\n  two 1\nthree\nskipped: this needs 99 CUDA GPUs\nendKeyError: 'k'\n"
)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A small project with all the unusual content, up to date."""
    root = project(tmp_path / "project", **FILES)
    said = check(root, update=True)
    assert {remark for remark in said.values() if not remark.startswith("skipped")} == {""}
    assert (root / "docs/en/odd.md").read_bytes().decode() == FILES["docs/en/odd.md"]
    return root


def read(root: Path) -> NotebookNode:
    return nbformat.read(root / NOTEBOOK, as_version=4)


def test_a_notebook_of_odd_things(odd: Path) -> None:
    """Prose becomes plain Markdown, outputs are in their cells, and cells that may fail are tagged."""
    notebook = read(odd)
    nbformat.validate(notebook)
    found = [
        (cell.source, *said(cell)) if cell.cell_type == "code" else cell.source for cell in notebook.cells
    ]
    assert found == CELLS
    assert [cell.id for cell in notebook.cells] == [f"odd-{number}" for number in range(1, len(CELLS) + 1)]
    tags = [cell.metadata.get("tags", []) for cell in code(notebook)]
    assert tags == [[], [], ["raises-exception"], [], ["gpu", "raises-exception"], [], ["raises-exception"]]
    folded = [cell.source for cell in notebook.cells if cell.metadata.get("jp-MarkdownHeadingCollapsed")]
    assert folded == ["#### Solution", "#### Solution"]
    assert [cell.execution_count for cell in code(notebook)] == [1, 2, 3, 4, 5, 6, 7]


def test_a_kernel_runs_odd_things(odd: Path, tmp_path: Path) -> None:
    """A kernel gives the same outputs, except for a last line ending, which a page does not show."""
    notebook = read(odd)
    notebook.cells = [cell for cell in code(notebook) if "gpu" not in cell.metadata.get("tags", [])]
    for ran, cell in zip(executed(notebook, tmp_path / "run").cells, notebook.cells, strict=True):
        assert [(*kind, text.rstrip("\n")) for *kind, text in said(ran)] == [
            (*kind, text.rstrip("\n")) for *kind, text in said(cell)
        ]


def test_a_script_of_odd_things(odd: Path, tmp_path: Path) -> None:
    """Prose becomes comments, code stays as it is on the page, and the script runs."""
    assert (odd / SCRIPT).read_text("utf-8") == PROGRAM
    utf8 = os.environ | {"PYTHONUTF8": "1"}
    run = subprocess.run(
        [sys.executable, odd / SCRIPT], cwd=tmp_path, env=utf8, capture_output=True, text=True
    )
    assert (run.stdout, run.stderr) == (PRINTED, "")


@pytest.mark.parametrize("name", [NOTEBOOK, SCRIPT])
@pytest.mark.parametrize("old", ["three", "x = 1", "#> a\r", "A box."])
def test_a_page_that_changes_makes_them_stale(name: str, old: str, odd: Path) -> None:
    """Changes of prose, code, outputs and pictures are all noticed."""
    place = odd / "docs/en/odd.md"
    made = {part.name: part for part in generated(pages_of(odd), odd)}
    assert made[name].lie() == ""
    place.write_bytes(place.read_bytes().replace(old.encode(), b"y = 2"))
    made = {part.name: part for part in generated(pages_of(odd), odd)}
    assert made[name].lie().startswith(f"{name}: this is not what it is made from")


def test_update_writes_what_is_stale(odd: Path) -> None:
    """The doc tests fail and name the command, which restores the original files."""
    before = {name: (odd / name).read_bytes() for name in (NOTEBOOK, SCRIPT, "docs/en/odd.md")}
    (odd / NOTEBOOK).write_bytes(before[NOTEBOOK].replace(b"three", b"four"))
    (odd / SCRIPT).unlink()
    run = pytest_run(odd)
    for name in (NOTEBOOK, SCRIPT):
        assert f"{name}: this is not what it is made from" in run.stdout
    assert "`make update` rewrites" in run.stdout
    assert pytest_run(odd, "--update-examples").returncode == 0
    assert {name: (odd / name).read_bytes() for name in before} == before


def test_a_write_that_fails_leaves_the_old_notebook(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old notebook stays complete if the new one cannot be written."""
    old = (odd / NOTEBOOK).read_bytes().replace(b"three", b"four")
    (odd / NOTEBOOK).write_bytes(old)

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("tests.page_runner.atomic_write.os.replace", fail)
    with pytest.raises(OSError, match="full"):
        check(odd, update=True)
    assert (odd / NOTEBOOK).read_bytes() == old


def test_a_page_with_a_problem_has_no_notebook(tmp_path: Path) -> None:
    """The page itself fails; nothing is generated from it, and the generator does not crash."""
    pages = {"docs/en/odd.md": "# Odd\n\n```py\n1\n```\n", "docs/en/other.md": "# Other\n\n" + fence("x = (")}
    root = project(tmp_path, **FILES | pages)
    assert [part.name for part in generated(pages_of(root), root)][2:] == []
