"""The record of GPU runs: written by complete runs, quoted without a GPU, outdated when a page changes."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.machinery.toy_project import check, fake_torch, fence, pages_of, project, pytest_run, results
from tools.generate.all_files import generated
from tools.generate.generated import marks
from tools.generate.gpu_record import RECORD, TESTED, Machine

BEGIN, END = marks("table of GPU runs")
MACHINE = Machine(gpu="NVIDIA H100", torch="2.11.0", cuda="13.0")
TABLE = f"# Tested\r\n\r\n{BEGIN}\r\n\r\nold\r\n\r\n{END}\r\n\r\nend\r\n"
HEAD = "| snippet | needs | GPU | torch | CUDA | date | state |\n|---|---|---|---|---|---|---|\n"
PINS = {"constraints.txt": "pytest==9\ntorch==2.12.0\n"}
GPU = fence("print(1)", "#> 1", keys='gpu="1"')


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def site(root: Path, **pages: str) -> Path:
    """A project with two GPU snippets under one heading. A file says how many GPUs its page finds."""
    count = f"torch.cuda.device_count = lambda: int(Path({str(root / 'gpus')!r}).read_text())"
    page = (
        "# Page\n\n"
        + fence("import torch; from pathlib import Path", count, "# On a GPU")
        + "\n## On a `GPU`\n\n"
        + GPU
        + fence("print(2)", "#> 2", keys='gpu="2"')
        + fence("print('after')", "#> after")
    )
    return project(root, **{"docs/en/page.md": page, TESTED: TABLE, **PINS, **pages})


def run(root: Path, gpus: int, machine: Machine | None = None) -> list[str]:
    """The remarks on the two GPU snippets, after checking that there are no others."""
    (root / "gpus").write_text(str(gpus))
    first, one, two, last = check(root, machine=machine).values()
    assert first == last == ""
    return [one, two]


def edit(root: Path, old: str, new: str) -> None:
    text = (root / "docs/en/page.md").read_text("utf-8")
    assert text.count(old) == 1
    (root / "docs/en/page.md").write_text(text.replace(old, new), "utf-8")


def entries(root: Path) -> dict[str, dict[str, object]]:
    snippets: dict[str, dict[str, object]] = json.loads((root / RECORD).read_text("utf-8"))["snippets"]
    return snippets


def table(root: Path) -> list[str]:
    """The last cells of all rows of the table on the page, whose line endings must be those of the page."""
    lines = (root / TESTED).read_bytes().decode().split("\r\n")
    assert lines[:2] + lines[-4:] == ["# Tested", "", END, "", "end", ""]
    return [line.split(" | ")[-1].removesuffix(" |") for line in lines[6:-5]]


def test_a_run_is_put_on_record(tmp_path: Path) -> None:
    """Each GPU snippet is recorded by page and heading, with other differences and the table. A second run
    on the same day changes nothing.
    """
    root = site(tmp_path, **{"README.md": fence("print(1)", "#> 2")})
    (root / "gpus").write_text("2")
    for _ in range(2):
        check(root, machine=MACHINE)
        record = json.loads((root / RECORD).read_text("utf-8"))
        digests = [entry.pop("digest") for entry in record["snippets"].values()]
        where = {**MACHINE, "passed": True, "date": today()}
        assert record == {
            "snippets": {"page.md#on-a-gpu": where, "page.md#on-a-gpu 2": where},
            "others": {
                "torch": "2.11.0",
                "differed": ["README.md:3: what the page shows is not what happens"],
            },
        }
        assert len(set(digests)) == 2
        cells = f"| NVIDIA H100 | 2.11.0 | 13.0 | {today()} | passed |"
        rows = (
            f"| [page.md: On a `GPU`](page.md#on-a-gpu) | 1 GPU {cells}\n"
            f"| [page.md: On a `GPU`, 2](page.md#on-a-gpu) | 2 GPUs {cells}\n"
        )
        made = TABLE.replace("old\r\n", (HEAD + rows).replace("\n", "\r\n"))
        assert (root / TESTED).read_bytes().decode() == made
    before = (root / RECORD).read_bytes()
    check(root, machine=MACHINE)
    assert (root / RECORD).read_bytes() == before


PASSED = f"last passed on NVIDIA H100, torch 2.11.0, {today()}"
CHANGED = "never run since it changed"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("# Page\n", "# Another page\n\nAnd a line.\n", [PASSED, PASSED]),
        ("## On a `GPU`", "## On two", [PASSED, PASSED]),
        ("print('after')\n#> after", "x = 1", [PASSED, PASSED]),
        ("# On a GPU", "# a comment", [CHANGED, CHANGED]),
        ("print(1)", "print(1 )", [CHANGED, CHANGED]),
        ("#> 1\n", "#> 2\n", [CHANGED, CHANGED]),
        ("print(2)", "print(2 )", [PASSED, CHANGED]),
        ('gpu="2"', 'gpu="3"', [PASSED, CHANGED]),
        ('gpu="2"', 'gpu="2" raises="KeyError"', [PASSED, CHANGED]),
        ('gpu="2"', 'gpu="2" title="b"', [PASSED, PASSED]),
        ("## On a `GPU`\n\n" + GPU, "## Here\n\n" + GPU + "\n## On a `GPU`\n\n", [PASSED, PASSED]),
        ("```python {gpu=\"2\"}", "## Two\n\n```python {gpu=\"2\"}", [PASSED, PASSED]),
    ],
    ids=["lines", "heading", "after", "before", "code", "output", "second", "count", "raises", "title", "swap", "split"],
)  # fmt: skip
def test_a_skip_quotes_the_record(old: str, new: str, words: list[str], tmp_path: Path) -> None:
    """The record is found if the snippet moves, but not if its code or anything before it changes."""
    root = site(tmp_path)
    never = [f"skipped: needs {gpus}, found none; never run" for gpus in ("1 CUDA GPU", "2 CUDA GPUs")]
    assert run(root, 0) == never
    assert run(root, 2, MACHINE) == ["", ""]
    edit(root, old, new)
    assert [said.partition(", found none; ")[2] for said in run(root, 0)] == words
    assert check(root, update=True)
    assert table(root) == ["passed" if word == PASSED else "stale" for word in words]


def test_a_failure_is_on_record(tmp_path: Path) -> None:
    """A failure is recorded as one, whatever the version of torch. The other snippets are not affected."""
    root = site(tmp_path)
    edit(root, "#> 1\n", "#> 0\n")
    said = run(root, 2, MACHINE)
    assert "what the page shows is not what happens" in said[0]
    assert not said[1]
    assert [entry["passed"] for entry in entries(root).values()] == [False, True]
    assert json.loads((root / RECORD).read_text("utf-8"))["others"]["differed"] == []
    assert run(root, 0) == [
        f"skipped: needs 1 CUDA GPU, found none; failed on NVIDIA H100, torch 2.11.0, {today()}",
        f"skipped: needs 2 CUDA GPUs, found none; {PASSED}",
    ]
    assert table(root) == ["failed", "passed"]


def test_too_few_gpus_change_nothing_on_record(tmp_path: Path) -> None:
    """A snippet that the machine cannot run keeps its entry from another machine, or stays without one."""
    root = site(tmp_path)
    assert run(root, 1, MACHINE) == ["", "skipped: needs 2 CUDA GPUs, found 1; never run"]
    assert table(root) == ["passed", "never run"]
    run(root, 2, MACHINE)
    two = entries(root)["page.md#on-a-gpu 2"]
    edit(root, "## On a `GPU`", "## Here")
    assert (
        run(root, 1, {**MACHINE, "gpu": "NVIDIA B300"})[1] == f"skipped: needs 2 CUDA GPUs, found 1; {PASSED}"
    )
    assert entries(root)["page.md#here 2"] == two
    assert entries(root)["page.md#here"]["gpu"] == "NVIDIA B300"


def test_what_left_the_project_leaves_the_record(tmp_path: Path) -> None:
    """A snippet that no longer exists leaves the record at the next run. Pages, README and docstrings are
    all recorded.
    """
    snippet = fence("import torch; torch.cuda.device_count = lambda: 1") + fence("x = 1", keys='gpu="1"')
    pages = {
        "docs/en/deep/gone.md": "# One\n\n## One\n\n" + snippet,
        "README.md": snippet,
        "src/d2lblocks/a.py": f'# comment\n"""A.\n\n{snippet}"""\n',
    }
    root = project(tmp_path, **pages, **PINS, **{TESTED: TABLE})
    check(root, machine=MACHINE)
    assert list(entries(root)) == ["README.md#", "a.py#", "deep/gone.md#one_1"]
    assert "| [deep/gone.md: One](deep/gone.md#one_1) | 1 GPU |" in (root / TESTED).read_text("utf-8")
    assert "| README.md | 1 GPU |" in (root / TESTED).read_text("utf-8")
    (root / "docs/en/deep/gone.md").unlink()
    check(root, machine=MACHINE)
    assert list(entries(root)) == ["README.md#", "a.py#"]
    assert table(root) == ["passed", "passed"]


def test_the_table_has_to_be_there(tmp_path: Path) -> None:
    """A page without a place for the table is left alone and fails. Without the page, nothing is shown."""
    root = site(tmp_path, **{TESTED: TABLE.replace(END, "")})
    check(root, update=True)
    assert (root / TESTED).read_bytes().decode() == TABLE.replace(END, "")
    assert "has no place between" in generated(pages_of(root), root)[0].lie()
    (root / TESTED).unlink()
    check(root, update=True)
    assert generated(pages_of(root), root)[0].lie() == ""


VERSION = fence("import torch", "print(torch.__version__)", "#> 2.12.0")


def test_another_torch_is_excused_where_no_gpu_is_needed(tmp_path: Path) -> None:
    """With another torch, differences of ordinary snippets are listed and are no failures. With the pinned
    torch they are failures, and so are differences of GPU snippets with any torch.
    """
    root = project(tmp_path, **{"docs/en/page.md": VERSION + GPU, **PINS, TESTED: TABLE})
    ran = pytest_run(root, "--gpu-record", **fake_torch(root, gpus=1, version="2.11.0+cu130"))
    assert ran.returncode == 0, ran.stdout
    assert results(ran) == {"page.md:1": "XFAIL", "page.md:6": "PASSED"}
    assert f"recorded: {RECORD}" in ran.stdout
    record = json.loads((root / RECORD).read_text("utf-8"))
    assert record["others"] == {
        "torch": "2.11.0",
        "differed": ["docs/en/page.md:4: what the page shows is not what happens"],
    }
    assert PASSED in pytest_run(root).stdout
    (root / "docs/en/page.md").write_text(VERSION.replace("2.12.0", "2.11.0") + GPU.replace("#> 1", "#> 2"))
    ran = pytest_run(root, "--gpu-record", **fake_torch(root, gpus=1, version="2.12.0"))
    assert ran.returncode == 1
    assert results(ran) == {"page.md:1": "FAILED", "page.md:6": "FAILED"}
    ran = pytest_run(root, "--gpu-record", **fake_torch(root, gpus=1, version="2.11.0"))
    assert ran.returncode == 1
    assert results(ran) == {"page.md:1": "PASSED", "page.md:6": "FAILED"}


def test_a_stale_table_fails_and_is_rewritten(tmp_path: Path) -> None:
    """`make update` rewrites the table; it does not need a GPU."""
    root = project(tmp_path, **{"docs/en/page.md": fence("x = 1") + GPU, TESTED: TABLE})
    without = fake_torch(root, gpus=0, version="2.12.0")
    stale = pytest_run(root, **without)
    assert stale.returncode == 1
    assert f"{TESTED}: the table of GPU runs is not what it is made from" in stale.stdout
    update = pytest_run(root, "--update-examples", **without)
    assert update.returncode == 0
    assert f"rewritten: the table of GPU runs of {TESTED}" in update.stdout
    assert table(root) == ["never run"]
    assert pytest_run(root, **without).returncode == 0


@pytest.mark.parametrize(
    ("gpus", "arguments", "sentence"),
    [
        (0, [], "--gpu-record needs a CUDA GPU, and torch finds none here"),
        (1, ["-n", "2"], "--gpu-record writes pages, so one process must do it: run it without -n"),
        (1, ["--update-examples"], "--gpu-record compares what --update-examples rewrites: run them in turn"),
    ],
    ids=["no GPU", "workers", "update"],
)
def test_a_record_is_refused(gpus: int, arguments: list[str], sentence: str, tmp_path: Path) -> None:
    """One sentence says why, before anything is run."""
    root = project(tmp_path, **{"docs/en/page.md": GPU, TESTED: TABLE})
    ran = pytest_run(root, "--gpu-record", *arguments, **fake_torch(root, gpus, version="2.12.0"))
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert ran.stderr.strip() == f"ERROR: {sentence}"
    assert not (root / RECORD).exists()
    assert (root / TESTED).read_bytes().decode() == TABLE


def test_a_run_of_some_snippets_is_not_recorded(tmp_path: Path) -> None:
    """The output says that nothing is recorded, because a record covers all pages."""
    root = project(tmp_path, **{"docs/en/page.md": GPU + GPU, **PINS})
    some = "tests/pages/test_docs.py::test_snippet[page.md:1]"
    ran = pytest_run(root, "--gpu-record", some, **fake_torch(root, gpus=1, version="2.12.0"))
    assert results(ran) == {"page.md:1": "PASSED"}
    assert "not recorded, because snippets were not run: 1" in ran.stdout
    assert not (root / RECORD).exists()
