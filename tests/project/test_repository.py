"""Files for the code host: workflows, forms, citation; the project's promises; and its releases."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools.pages import ROOT
from tools.release_notes import newest, notes

GITHUB = ROOT / ".github"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def check(schema: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Compare files with a schema that is included in check-jsonschema, so nothing is fetched."""
    return run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *paths)


SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "custom.github-workflows-require-timeout": WORKFLOWS,
    "vendor.dependabot": [GITHUB / "dependabot.yml"],
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "vendor.github-issue-forms": sorted(GITHUB.glob("ISSUE_TEMPLATE/[0-9]*.yml")),
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_host_can_read_it(schema: str, tmp_path: Path) -> None:
    """Each file matches its published schema, every job has a time limit, and wrong files are refused."""
    files = SCHEMAS[schema]
    assert files
    checked = check(schema, *files)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    wrong = tmp_path / files[0].name
    wrong.write_text(
        re.sub(r"timeout-minutes|version|name|blank_issues_enabled", "x", files[0].read_text("utf-8"))
    )
    assert check(schema, wrong).returncode == 1


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_named_with_their_major_version(path: Path) -> None:
    """Fixes then arrive automatically, and Dependabot proposes new major versions in pull requests."""
    used = re.findall(r"\buses: (\S+)", path.read_text("utf-8"))
    assert used
    for action in used:
        if action.startswith("./"):
            assert (ROOT / action).is_file()
        else:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@(v\d+|release/v\d+)", action)


def test_workflows_are_safe() -> None:
    """zizmor finds no unneeded permission, no input that is run as code, and no token left on disk."""
    zizmor = shutil.which("zizmor", path=Path(sys.executable).parent)
    checked = run(zizmor, "--offline", "--no-progress", "--quiet", ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_only_jobs_that_publish_may_write() -> None:
    """Every workflow may read the repository. Only these jobs may do more."""
    rights = {}
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text("utf-8"))
        assert workflow["permissions"] == {"contents": "read"}, path.name
        for name, job in workflow["jobs"].items():
            given = {right for right, level in job.get("permissions", {}).items() if level == "write"}
            rights |= {(path.name, name): given} if given else {}
    assert rights == {
        ("test.yml", "site"): {"id-token", "pages"},
        ("release.yml", "publish"): {"id-token"},
        ("release.yml", "github"): {"contents"},
    }


def test_the_package_is_tested_with_what_it_allows() -> None:
    """The tests use the oldest and the newest torch, and every Python in pyproject.toml, on every system."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    oldest_torch = re.search(r'"torch>=([\d.]+)"', project)[1]
    pythons = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    jobs = yaml.safe_load((GITHUB / "workflows" / "package.yml").read_text("utf-8"))["jobs"]
    matrix = jobs["test"]["strategy"]["matrix"]
    assert matrix["torch"] == [f"torch~={oldest_torch}.0", "torch"]
    assert matrix["python"] == pythons
    assert f'requires-python = ">={pythons[0]}"' in project
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_what_security_promises_is_tested() -> None:
    """Each promise in SECURITY.md names its tests, and they exist."""
    promises = re.findall(r"^\| (.+\.) \|.*\| (.+) \|$", (ROOT / "SECURITY.md").read_text("utf-8"), re.M)
    tests = "".join(path.read_text("utf-8") for path in ROOT.glob("tests/package/test_*.py"))
    assert len(promises) >= 4
    for promise, proof in promises:
        named = re.findall(r"`(\w+)`", proof)
        assert named, promise
        assert all(f"\ndef {name}(" in tests for name in named), promise


def test_the_version_is_the_same_everywhere() -> None:
    """The places are the package, CITATION.cff, and the newest dated section of CHANGELOG.md."""
    version, _, entries = newest()
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert entries


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A project that can be released: nothing is under "Unreleased"."""
    (tmp_path / "src" / "d2lblocks").mkdir(parents=True)
    for name in ("src/d2lblocks/__init__.py", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path / name)
    version, _, entries = newest()
    date = re.search(r"^date-released: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M)[1]
    changelog = f"# Changelog\n\n## Unreleased\n\n## {version} ({date})\n\n{entries}\n\n## 0.0.1 (2020-01-01)\n\nOld.\n"
    (tmp_path / "CHANGELOG.md").write_text(changelog, "utf-8")
    return tmp_path


def test_notes_are_those_of_the_version(release: Path) -> None:
    """The notes are the whole section of the version, and nothing of an older one."""
    version, _, entries = newest()
    assert notes(f"v{version}", release) == entries


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "src/d2lblocks/__init__.py",
            r'(__version__ = ").+"',
            r'\g<1>9.9.9"',
            "has version 9.9.9, CITATION.cff has",
        ),
        ("CITATION.cff", r"^version: .+", "version: 9.9.9", "CITATION.cff has 9.9.9 of"),
        ("CITATION.cff", r"^date-released: .+", "date-released: 2020-01-01", "of 2020-01-01"),
        ("CITATION.cff", r"^date-released: .+", "", "CITATION.cff has no line like"),
        ("CHANGELOG.md", r" \(\d.+\)$", "", "the newest section of CHANGELOG.md is"),
        ("CHANGELOG.md", r"Unreleased\n", "Unreleased\n\nAdded more.\n", "has entries under"),
    ],
)
def test_what_does_not_agree_is_not_released(
    name: str, old: str, new: str, message: str, release: Path
) -> None:
    """A tag cannot be taken back, so an inconsistent release is refused before anything is built."""
    version, _, _ = newest()
    path = release / name
    path.write_text(re.sub(old, new, path.read_text("utf-8"), flags=re.M), "utf-8")
    with pytest.raises(ValueError, match=re.escape(message)):
        notes(f"v{version}", release)


def test_a_tag_of_another_version_is_refused() -> None:
    """The message is one line on the standard error output."""
    refused = run(sys.executable, "tools/release_notes.py", "v9.9.9")
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "No release: the tag is v9.9.9, but src/d2lblocks/__init__.py has version "
    )
    assert refused.stdout == ""
