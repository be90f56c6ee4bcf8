"""The built site without a mouse: the keyboard reaches and operates everything, and the focus is visible."""

import pytest
from tests.site.conftest import Open
from tests.site.built_site import PAGES, address
from playwright.sync_api import Page, expect

from tools.pages import ROOT

PHONE = 390
# The place of the focus, and the reasons why it is not visible. A switch is shown by its label.
FOCUS = """() => {
  const at = document.activeElement;
  if (at === document.body) return null;
  const shown = at.matches(".md-option") ? document.querySelector(".md-header__option label:not([hidden])") : at;
  const box = shown.getBoundingClientRect(), style = getComputedStyle(shown), problems = [];
  const [left, right] = [Math.max(box.left, 0), Math.min(box.right, innerWidth)];
  const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
  const free = [0.1, 0.5, 0.9].some((part) => {
    const hit = document.elementFromPoint(left + part * (right - left), top + part * (bottom - top));
    return shown.contains(hit);
  });
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) problems.push("no outline");
  if (right - left < 1 || bottom - top < 1) problems.push("not on the screen");
  else if (!free) problems.push("covered");
  return [at.outerHTML.slice(0, 120), problems];
}"""


@pytest.fixture
def tab(open_page: Open) -> Page:
    return open_page("modules/")


def walk(tab: Page, key: str) -> list[tuple[str, list[str]]]:
    """Every place that the key leads to, until it leaves the page."""
    places = []
    while len(places) < 500:
        tab.keyboard.press(key)
        if (place := tab.evaluate(FOCUS)) is None:
            return places
        if place[1]:
            tab.wait_for_timeout(300)  # for animations that open or close something
            place = tab.evaluate(FOCUS)
        places.append(place)
    raise AssertionError(f"caught at {places[-1]}")


@pytest.mark.parametrize(
    ("width", "scheme", "key"),
    [
        (1280, "light", "Tab"),
        (1280, "dark", "Shift+Tab"),
        (PHONE, "light", "Shift+Tab"),
        (PHONE, "dark", "Tab"),
    ],
)
def test_the_focus_is_seen(width: int, scheme: str, key: str, open_page: Open) -> None:
    """Forward and backward through a whole page, it is on the screen, not covered, and has an outline."""
    tab = open_page("api/layers/", width, color_scheme=scheme, reduced_motion="reduce")
    places = walk(tab, key)
    assert len(places) > 20
    assert [place for place in places if place[1]] == []


def hold_tab(tab: Page, times: int) -> int:
    """Hold down Tab, and return the number of places reached so far. After the last one, it starts again."""
    for _ in range(times):
        tab.keyboard.down("Tab")
    tab.keyboard.up("Tab")
    return int(tab.evaluate("reached.size"))


@pytest.mark.parametrize("page", PAGES)
def test_everything_is_reached(page: str, open_page: Open) -> None:
    """Tab reaches each link, button, fold and scrollable area on the page."""
    tab = open_page(address(page), reduced_motion="reduce")
    tab.evaluate("reached = new Set(); addEventListener('focusin', ({ target }) => reached.add(target))")
    seen = 0
    while seen < (seen := hold_tab(tab, 25)):
        assert seen < 500
    there = ["md-skip", "md-logo", "md-option", "md-search__input", "md-footer__link"]
    if page != "index.md":  # the home page has no navigation beside it
        there.append("md-nav__link")
    for name in there:
        assert tab.evaluate("name => [...reached].some((each) => each.outerHTML.includes(name))", name), name
    operated = tab.locator("article").locator("a[href], button, summary, [tabindex='0']")
    missed = "all => all.filter((each) => each.checkVisibility() && !reached.has(each)).map((each) => each.outerHTML)"
    assert operated.evaluate_all(missed) == []


def focus(tab: Page, selector: str) -> None:
    """Press Tab until this element has the focus."""
    for _ in range(500):
        tab.keyboard.press("Tab")
        if tab.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no way to {selector}")


def test_the_first_stop_skips_to_the_content(tab: Page) -> None:
    """The next stop is in the article."""
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('article') !== null")


def test_the_navigation_leads_to_a_page(tab: Page) -> None:
    """Tab and Enter are enough."""
    focus(tab, "[href='../parameters/']")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/parameters/")


def test_the_colors_can_be_switched(tab: Page) -> None:
    """Switching works in both directions, and the choice is kept."""
    body = tab.locator("body")
    for scheme in ("slate", "default", "slate"):
        tab.reload()
        focus(tab, ".md-option")
        tab.keyboard.press("Enter")
        expect(body).to_have_attribute("data-md-color-scheme", scheme)
    tab.reload()
    expect(body).to_have_attribute("data-md-color-scheme", "slate")


def test_code_can_be_copied(open_page: Open) -> None:
    """A button copies a snippet to the clipboard, unchanged, with its outputs."""
    tab = open_page("modules/", permissions=("clipboard-read", "clipboard-write"))
    focus(tab, ".highlight:has(.go) .md-code__button")
    tab.keyboard.press("Enter")
    expect(tab.locator(".md-dialog")).to_be_visible()
    code = tab.locator("pre > code:has(.go)").first.text_content()
    assert "#> " in code
    assert tab.evaluate("navigator.clipboard.readText()") == code.rstrip("\n")


def test_a_heading_has_an_address(tab: Page) -> None:
    """The link beside it leads to it."""
    focus(tab, "h2 .headerlink")
    link = tab.evaluate("document.activeElement.href")
    tab.keyboard.press("Enter")
    assert tab.url == link
    assert tab.evaluate("document.querySelector(':target').tagName") == "H2"


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_solution_unfolds(key: str, open_page: Open) -> None:
    """Only then can its content be reached."""
    tab = open_page("modules/#exercises")
    focus(tab, "summary")
    fold = tab.locator("details:has(summary:focus)")
    expect(fold).not_to_have_attribute("open", "")
    tab.keyboard.press(key)
    expect(fold).to_have_attribute("open", "")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('details') !== null")


@pytest.mark.parametrize("key", ["/", "s", "f"])
def test_the_search_leads_to_a_section(key: str, tab: Page) -> None:
    """A key opens it; words, an arrow key and Enter lead to the section."""
    tab.keyboard.press(key)
    tab.keyboard.type("state_dict")
    links = tab.locator(".md-search-result__link:visible")
    expect(links.nth(2)).to_be_visible()
    tab.wait_for_timeout(500)  # until everything typed has been answered
    for number in range(2):  # the first result is the page, the second one the section
        tab.keyboard.press("ArrowDown")
        expect(links.nth(number)).to_be_focused()
    link = tab.evaluate("document.activeElement.href")
    assert "#" in link
    tab.keyboard.press("Enter")
    tab.wait_for_url(link)


def test_the_search_can_be_left(tab: Page) -> None:
    """Escape closes it, and keys work on the page again."""
    tab.keyboard.press("/")
    results = tab.locator(".md-search__output")
    expect(results).to_be_visible()
    tab.keyboard.press("Escape")
    expect(results).to_be_hidden()
    assert tab.evaluate("document.activeElement === document.body")


def test_the_drawer_leads_to_a_page(open_page: Open) -> None:
    """On a phone, its button opens it, and Enter opens its entries."""
    tab = open_page("", PHONE)
    focus(tab, ".drawer-button")
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.closest('.md-sidebar--primary') !== null")
    focus(tab, "label[for=__nav_2]")
    tab.keyboard.press("Enter")
    focus(tab, "[href='lazy/']")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/lazy/")


def test_the_drawer_is_for_small_screens(tab: Page) -> None:
    """On a wide screen the navigation is beside the page."""
    expect(tab.locator(".drawer-button")).to_be_hidden()
    expect(tab.get_by_role("link", name="Parameters", exact=True).first).to_be_visible()


def test_the_drawer_has_the_table_of_contents(open_page: Open) -> None:
    """The table of contents leads to a section, and the drawer closes and shows the section."""
    tab = open_page("modules/", PHONE)
    focus(tab, ".drawer-button")
    tab.keyboard.press("Enter")
    focus(tab, "label[for=__toc]")
    tab.keyboard.press("Enter")
    focus(tab, "[href='#exercises']")
    tab.keyboard.press("Enter")
    expect(tab.locator("#exercises")).to_be_in_viewport()
    expect(tab.locator(".md-sidebar--primary")).to_be_hidden()


def test_the_drawer_can_be_left(open_page: Open) -> None:
    """Escape closes it, and the focus returns to where it was."""
    tab = open_page("modules/", PHONE)
    focus(tab, ".drawer-button")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Escape")
    expect(tab.locator(".md-sidebar--primary")).to_be_hidden()
    assert tab.evaluate("document.activeElement.ariaLabel") == "Navigation"


@pytest.mark.parametrize("width", [1280, PHONE])
def test_nothing_moves_for_those_who_ask_for_stillness(width: int, open_page: Open) -> None:
    """There are no transitions, animations or smooth scrolling."""
    tab = open_page("modules/", width, reduced_motion="reduce")
    moving = """() => [...document.querySelectorAll("*")].filter((each) => {
      const { animationName, scrollBehavior, transitionDuration } = getComputedStyle(each);
      return animationName !== "none" || scrollBehavior !== "auto" || !/^(0s(, )?)+$/.test(transitionDuration);
    }).map((each) => each.outerHTML.slice(0, 120))"""
    assert tab.evaluate(moving) == []
    tab.keyboard.press("/")
    assert tab.evaluate("document.getAnimations().length") == 0
    tab.evaluate("document.querySelector('code').style.height = '1em'")
    glide = "(code) => { code.scrollTo({ top: 9, behavior: 'smooth' }); return code.scrollTop; }"
    assert tab.locator("pre > code").first.evaluate(glide) == 9


def test_all_code_of_a_page_can_be_copied(open_page: Open) -> None:
    """It is the page's script, which is tested to run."""
    tab = open_page("layers/", permissions=("clipboard-read", "clipboard-write"))
    focus(tab, ".copy-code")
    tab.keyboard.press("Enter")
    expect(tab.locator(".copy-code")).to_have_text("Copied")
    script = (ROOT / "docs/en/scripts/layers.py").read_text("utf-8")
    assert tab.evaluate("navigator.clipboard.readText()") == script
