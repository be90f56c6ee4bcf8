"""Build the site in all languages with Zensical, the successor of MkDocs, into dist/zensical/."""

import os
import subprocess
import sys
from pathlib import Path

from tools.languages.catalogs import LANGUAGES, ROOT
from tools.languages.site import complete

SITE = ROOT / "dist" / "zensical"


def build(config: str, folder: Path) -> None:
    """Build one language; any warning is an error."""
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "--config-file", config]
    place = os.environ | {"SITE_DIR": folder.relative_to(ROOT).as_posix()}
    subprocess.run(command, cwd=ROOT, env=place, check=True)


if __name__ == "__main__":
    build("mkdocs.yml", SITE)
    for language in LANGUAGES:
        build(f"mkdocs.{language}.yml", SITE / language)
        complete(SITE / language, language)
