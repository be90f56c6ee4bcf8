"""How pages are rewritten: stale parts are updated, every other byte stays, and nothing is damaged."""

from pathlib import Path

import pytest

from tests.machinery.toy_project import check, fence, project, pytest_run

STALE = (
    "# A page  \r\n\r\n!!! note\r\n\r\n"
    + fence("x = 'one'", "print(x)", "#> two", "", "  ", "#> lost", "print('two')", indent="    ").replace(
        "\n", "\r\n"
    )
    + "\r\ntext\t\r\n\r\n"
    + fence(
        "def scale(x, by=3):  # mine",
        "    return x + by",
        "",
        "HALF = 0.5  # mine",
        keys='title="d2lblocks/lib.py"',
    )
    + fence("print(scale(3))", "#> 6")
    + fence("{}['a']", keys='raises="KeyError"')
    + "end"
)
TRUE = (
    STALE.replace("    #> two\r\n\r\n", "    #> one\r\n\r\n")
    .replace("    #> lost\r\n    print('two')\r\n", "    print('two')\r\n    #> two\r\n")
    .replace(
        "def scale(x, by=3):  # mine\n    return x + by",
        "def scale(x, by=2):\n    # an old habit\n    return x * by",
    )
    .replace("{}['a']\n", "{}['a']\n#> KeyError: 'a'\n")
)


def test_update_rewrites_what_is_shown_and_nothing_else(tmp_path: Path) -> None:
    """Outputs and embedded definitions are updated. Line endings, blanks and comments stay, and a second
    update changes nothing.
    """
    root = project(tmp_path, **{"docs/en/page.md": STALE, "docs/en/fine.md": fence("x = 1")})
    place, fine = root / "docs/en/page.md", root / "docs/en/fine.md"
    before = fine.stat().st_mtime_ns
    for _ in range(2):
        run = pytest_run(root, "--update-examples")
        assert run.returncode == 0, run.stdout
        assert place.read_bytes().decode() == TRUE
    assert fine.stat().st_mtime_ns == before
    assert pytest_run(root).returncode == 0


def test_update_leaves_a_page_alone_when_a_snippet_fails(tmp_path: Path) -> None:
    """Causes are an exception, a name that the library does not have, and a wrong fence."""
    stale = fence("print(1)", "#> 2")
    pages = {
        "docs/en/raises.md": stale + fence("1 / 0"),
        "docs/en/unknown.md": stale + fence("unknown = 1", keys='title="d2lblocks/lib.py"'),
        "docs/en/fences.md": stale + "```py\nx = 1\n```\n",
        "docs/en/page.md": stale,
    }
    root = project(tmp_path, **pages)
    assert pytest_run(root, "--update-examples").returncode == 1
    pages["docs/en/page.md"] = stale.replace("2", "1")
    assert {name: (root / name).read_text() for name in pages} == pages


def test_update_of_one_snippet_leaves_the_others(tmp_path: Path) -> None:
    """The snippet is chosen by the name of its test."""
    stale = fence("print(1)", "#> 2")
    root = project(tmp_path, **{"docs/en/page.md": stale + stale})
    pytest_run(root, "--update-examples", "tests/pages/test_docs.py::test_snippet[page.md:5]")
    assert (root / "docs/en/page.md").read_text() == stale + stale.replace("2", "1")


def test_update_leaves_a_page_alone_when_it_would_damage_it(tmp_path: Path) -> None:
    """Damage would come from quotes that end a docstring, a backslash that joins lines, or overwriting a page
    that has just been edited.
    """
    pages = {
        "src/d2lblocks/a.py": '"""A.\n\n{}"""\n'.format(fence("print('\"' * 3)", "#> ?")),
        "src/d2lblocks/b.py": '"""B.\n\n{}"""\n'.format(fence("print(chr(92))", "#> ?")),
        "docs/en/page.md": fence("x = 1 \\", "#> 1", "y = 2"),
        "docs/en/late.md": fence("n = open(PLACE, 'a').write('late')", "print(1)", "#> ?"),
    }
    place = tmp_path / "docs" / "en" / "late.md"
    pages["docs/en/late.md"] = pages["docs/en/late.md"].replace("PLACE", repr(str(place)))
    root = project(tmp_path, **pages)
    said = check(root, update=True)
    assert all("which would change the docstring" in said[name] for name in ("a.py:3", "b.py:3"))
    assert said["page.md:1"]
    pages["docs/en/late.md"] += "late"
    assert {name: (root / name).read_text() for name in pages} == pages


def test_update_counts_the_failures_of_earlier_snippets(tmp_path: Path) -> None:
    """A page with a failure is not rewritten, whichever of its snippets was requested."""
    text = fence("import warnings", "warnings.warn('old')") + fence("print(1)", "#> 2")
    root = project(tmp_path, **{"docs/en/page.md": text})
    pytest_run(root, "--update-examples", "tests/pages/test_docs.py::test_snippet[page.md:5]")
    assert (root / "docs/en/page.md").read_text() == text


def test_update_refuses_workers(tmp_path: Path) -> None:
    """Two processes that write to one page could damage it."""
    stale = fence("print(1)", "#> 2")
    root = project(tmp_path, **{"docs/en/page.md": stale})
    run = pytest_run(root, "--update-examples", "-n", "2")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "run it without -n" in run.stderr
    assert (root / "docs/en/page.md").read_text() == stale


def test_pages_of_one_name_are_two(tmp_path: Path) -> None:
    """The pages are in two folders, or have names that look alike."""
    names = ["README.md", "docs/en/README.md", "docs/en/a/b.md", "docs/en/a-b.md"]
    root = project(tmp_path, **{name: fence(f"print({name!r})", "#> ?") for name in names})
    check(root, update=True)
    assert [(root / name).read_text() for name in names] == [fence(f"print({n!r})", f"#> {n}") for n in names]
