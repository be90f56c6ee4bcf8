"""Print the notes of a release, or say why it is not possible: the release workflow runs this first.

    python tools/release_notes.py v0.1.0

The tag must name the version of the package, the files that contain the version must agree, and no
entry of the changelog may be left under "Unreleased".
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def notes(tag: str, root: Path = ROOT) -> str:
    """The section of CHANGELOG.md on the version that the tag names."""
    version, unreleased, entries = newest(root)
    if tag != f"v{version}":
        raise ValueError(f"the tag is {tag}, but src/d2lblocks/__init__.py has version {version}")
    if unreleased:
        raise ValueError(f'CHANGELOG.md has entries under "Unreleased": move them below {version}')
    return entries


def newest(root: Path = ROOT) -> tuple[str, str, str]:
    """The newest version, later entries, and its own entries; raise a ValueError if the files disagree."""
    version = find(r'^__version__ = "(.+)"$', root / "src" / "d2lblocks" / "__init__.py")
    cited = find(r"^version: (.+)$", root / "CITATION.cff")
    date = find(r"^date-released: (\d{4}-\d\d-\d\d)$", root / "CITATION.cff")
    sections = r"^## Unreleased\n((?s:.*?))^## (.+)\n((?s:.*?))(?=^## |\Z)"
    unreleased, title, entries = re.findall(sections, (root / "CHANGELOG.md").read_text("utf-8"), re.M)[0]
    if cited != version or title != f"{version} ({date})":
        raise ValueError(
            f"src/d2lblocks/__init__.py has version {version}, CITATION.cff has {cited} of {date}, "
            f"and the newest section of CHANGELOG.md is {title!r}"
        )
    return version, unreleased.strip(), entries.strip()


def find(pattern: str, path: Path) -> str:
    found = re.search(pattern, path.read_text("utf-8"), re.M)
    if found is None:
        raise ValueError(f"{path.name} has no line like {pattern}")
    return found[1]


if __name__ == "__main__":
    try:
        print(notes(sys.argv[1]))
    except ValueError as error:
        sys.exit(f"No release: {error}.")
