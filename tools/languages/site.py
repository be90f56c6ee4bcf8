"""Build the site in all languages below one folder: `make site`.

    python -m tools.languages.site                 all of them, into site/
    python -m tools.languages.site zh-TW           one of them

The English site is at the root, and each other one in a folder with the name of the language.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mkdocs.commands.build import build
from mkdocs.config import load_config

from .catalogs import LANGUAGES, ROOT, Translations
from .pictures import pictures, translated

ENGLISH = "en"


def build_site(languages: Sequence[str], folder: Path) -> None:
    """Build these languages; the English site comes first, because building it empties the folder."""
    address = os.environ.get("SITE_URL", "")
    for language in sorted(languages, key=lambda each: each != ENGLISH):
        place = folder if language == ENGLISH else folder / language
        config = load_config(str(ROOT / name(language)), site_dir=str(place))
        if address and language != ENGLISH:
            config.site_url = f"{address.rstrip('/')}/{language}/"
        build(config)
        if language != ENGLISH:
            translations = Translations(ROOT / "docs" / language)
            for picture in pictures():
                (place / "img" / picture.name).write_text(
                    translated(picture.read_text("utf-8"), translations), "utf-8"
                )


def name(language: str) -> str:
    """The configuration of a language."""
    return "mkdocs.yml" if language == ENGLISH else f"mkdocs.{language}.yml"


if __name__ == "__main__":
    build_site(sys.argv[1:] or [ENGLISH, *LANGUAGES], ROOT / "site")
