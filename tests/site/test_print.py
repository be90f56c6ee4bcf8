"""A page on paper: light, all of it, and without what leads elsewhere."""

from playwright.sync_api import expect

from tests.site.conftest import Open


def test_a_page_is_printed_light_and_open(open_page: Open) -> None:
    """Also by a reader of dark pages, who gets them back afterwards."""
    tab = open_page("parameters/", color_scheme="dark")
    body = tab.locator("body")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    folds = tab.locator("article details").count()
    assert folds > 3
    tab.emulate_media(media="print", color_scheme="dark")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(body).to_have_attribute("data-md-color-scheme", "default")
    assert tab.locator("article details[open]").count() == folds
    for hidden in (".md-header", ".md-sidebar--primary", ".md-footer", ".headerlink", ".md-code__nav"):
        expect(tab.locator(hidden).first).to_be_hidden()
    link = tab.locator("article a[href^=http]").first
    address = link.get_attribute("href")
    assert address in link.evaluate("link => getComputedStyle(link, '::after').content")
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(body).to_have_attribute("data-md-color-scheme", "slate")
    assert tab.locator("article details[open]").count() == 0
    tab.emulate_media(media="screen", color_scheme="light")
