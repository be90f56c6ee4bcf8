"""The picture of scales on the page about initialization, in a browser: what the sliders show is the page's."""

import gzip
import re

import pytest
from playwright.sync_api import Page, expect

from tests.site.conftest import Open
from tools.pages import ROOT

SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
PICTURE = ROOT / "docs/theme/js/scales.js"


def number(text: str) -> float:
    """A number of the sentence below the picture, such as 9.8 · 10⁻⁴."""
    digits, _, power = text.replace("\u00a0", "").translate(SUPERSCRIPTS).partition("·10")
    return float(digits) * 10 ** int(power or 0)


def rows(tab: Page) -> list[dict[tuple[str, str], list[float]]]:
    """Of both tables on the page: the numbers of each activation and gain."""
    tables = tab.locator("details.scales table").evaluate_all(
        "tables => tables.map(table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent)))"
    )
    return [{(name, gain): [*map(float, values)] for name, gain, *values in table} for table in tables]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_sliders_show_the_numbers_of_the_tables(width: int, open_page: Open) -> None:
    """All of them, by keyboard alone; the sentence is what a screen reader announces."""
    tab = open_page("init/", width)
    picture = tab.locator(".scale-picture")
    sizes, gradients = rows(tab)
    gains, layers = sorted({gain for _, gain in sizes}, key=lambda gain: float(gain.replace("√2", "1.41"))), 6
    gain, depth = (picture.get_by_label(name) for name in ("Gain", "Depth"))
    for activation in ("none", "tanh", "ReLU"):
        picture.get_by_label(activation).check()
        gain.press("Home")
        for at, label in enumerate(gains):
            if at:
                gain.press("ArrowRight")
            expect(gain).to_have_attribute("aria-valuetext", label)
            depth.press("Home")
            for place in range(layers):
                if place:
                    depth.press("ArrowRight")
                text = picture.locator("output").inner_text()
                found = re.findall(r"(?:are|is) ([^ ]+) times", text)
                shown = [number(match) for match in found]
                wanted = [table[activation, label][place] for table in (sizes, gradients)]
                assert shown == pytest.approx(wanted, rel=0.01), text
    assert picture.locator("svg").get_attribute("aria-label") == picture.locator("output").inner_text()


def test_its_text_can_be_read_on_a_phone(open_page: Open) -> None:
    """At 12 pixels or more, and inside the picture."""
    tab = open_page("init/", 390)
    boxes = tab.locator(".scale-picture svg text").evaluate_all(
        """texts => texts.map(text => {
          const box = text.getBoundingClientRect(), frame = text.ownerSVGElement.getBoundingClientRect();
          return [parseFloat(getComputedStyle(text).fontSize), box.left >= frame.left && box.right <= frame.right];
        })"""
    )
    assert len(boxes) > 5
    assert all(size >= 12 and inside for size, inside in boxes)


def test_without_scripts_there_are_the_tables(open_page: Open) -> None:
    """And no picture that does nothing."""
    tab = open_page("init/", java_script_enabled=False)
    assert tab.locator(".scale-picture").count() == 0
    tab.locator("details.scales summary").click()
    expect(tab.locator("details.scales table").first).to_be_visible()


def test_it_is_light() -> None:
    """Its script, on the way to the reader."""
    assert len(gzip.compress(PICTURE.read_bytes())) < 15 * 1024
