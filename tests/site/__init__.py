"""Tests of the built site.

test_site.py                 page by page in a browser: private, light, accessible, as wide as the screen
test_keyboard.py             without a mouse
test_search.py               the search, in a browser
test_scales.py               the picture with sliders
test_print.py                a page on paper
test_html.py                 the HTML: its code is the pages', its links lead somewhere, it is valid
test_markdown_extensions.py  what the site's own extensions make of a page
test_llms.py                 the site as plain text
test_offline.py              the site that opens from a disk
conftest.py                  the browser, a server for the site, and pages opened in it
built_site.py                builds the site, and knows where each page is
broken_links.py              links that lead nowhere
"""
