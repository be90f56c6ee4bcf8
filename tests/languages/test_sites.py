"""The sites in other languages build without a warning, and show the page in that language."""

import re
from pathlib import Path

import pytest

from tools.languages.catalogs import LANGUAGES, Translations
from tools.languages.pictures import pictures
from tools.languages.site import build_site
from tools.pages import ROOT


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_site_builds(language: str, tmp_path: Path) -> None:
    """Its pages say which language they are in; titles, menus, labels and pictures are translated."""
    build_site([language], tmp_path)
    site = tmp_path / language
    page = (site / "modules/index.html").read_text("utf-8")
    title = Translations(ROOT / "docs" / language).find("Layers and modules")
    assert title
    assert f'<html lang="{language}"' in page
    assert re.search(rf"<h1[^>]*>{title}<", page)
    assert 'class="english"' not in page
    assert "the library's source" not in page
    assert re.findall(r'<a href="([^"]*)" hreflang', page) == [
        "../../modules/",
        *(f"{'../' if each == language else '../../' + each + '/'}modules/" for each in LANGUAGES),
    ]
    assert 'class="english"' in (site / "api/modules/index.html").read_text("utf-8")
    english = {path.name: path.read_text("utf-8") for path in pictures()}
    assert [name for name, text in english.items() if (site / "img" / name).read_text("utf-8") == text] == []
