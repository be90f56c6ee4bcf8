"""Plots: a page shows the picture that its code draws."""

from pathlib import Path

import pytest

from tests.machinery.toy_project import check, fence, project

PLOT = "<svg><dc:title>Matplotlib</dc:title>\n<path/></svg>\n"
SAVES = fence("from pathlib import Path", f"done = Path('a.svg').write_text({PLOT!r})")
SHOWS = "\n![a line](img/a.svg)\n"
PLACE = "docs/theme/img/a.svg"


def test_a_plot_is_what_the_page_draws(tmp_path: Path) -> None:
    """A published plot that equals the drawn one passes. A picture drawn by hand needs no code."""
    by_hand = "\n![a box](img/box.svg)\n"
    files = {"docs/en/page.md": SAVES + SHOWS + by_hand, PLACE: PLOT, "docs/theme/img/box.svg": "<svg/>"}
    assert check(project(tmp_path, **files)) == {"page.md:1": ""}


@pytest.mark.parametrize(
    ("page", "published", "remark"),
    [
        (SAVES + SHOWS, PLOT.replace("path", "rect"), f"page.md:1: {PLACE} is not what this draws, from line 2"),
        (SAVES + SHOWS, PLOT + "<!-- more -->", f"{PLACE} is not what this draws, from line 3"),
        (fence("name = 'a.svg'") + SHOWS, PLOT, "page.md:1: this does not draw a.svg, which the page shows"),
        (SHOWS, PLOT, "page.md: a.svg is a plot, and no snippet of this page draws it"),
    ],
    ids=["changed", "longer", "not saved", "no code"],
)  # fmt: skip
def test_a_plot_that_differs_fails(page: str, published: str, remark: str, tmp_path: Path) -> None:
    """The remark names the file and the first line that differs."""
    said = check(project(tmp_path, **{"docs/en/page.md": page, PLACE: published}))
    assert remark in "".join(said.values())


def test_update_publishes_what_is_drawn(tmp_path: Path) -> None:
    """A missing or stale plot is published, but no plot of a page that fails."""
    fails = SAVES.replace("a.svg", "b.svg") + SHOWS.replace("a.svg", "b.svg") + fence("1 / 0")
    pages = {"docs/en/page.md": SAVES + SHOWS, "docs/en/fails.md": fails}
    root = project(tmp_path, **pages, **{PLACE: "<svg/>"})
    check(root, update=True)
    assert (root / PLACE).read_text("utf-8") == PLOT
    assert [path.name for path in (root / PLACE).parent.iterdir()] == ["a.svg"]
