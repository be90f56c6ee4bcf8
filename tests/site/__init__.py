"""Tests of the built site.

test_site.py                 page by page in a browser: private, light, accessible, as wide as the screen
test_keyboard.py             without a mouse
test_search.py               the search, in a browser
test_scales.py               the picture with sliders
test_print.py                a page on paper
test_html.py                 the HTML: its code comes from the pages, its links work, it is valid
test_markdown_extensions.py  the site's own Markdown extensions
test_lighter.py              what is left out on the way to the reader
test_languages.py            the same pages in other languages, and the ways between them
test_llms.py                 the site as plain text
test_offline.py              the site that can be opened from a disk
conftest.py                  the browser, a server for the site, and pages opened in it
built_site.py                builds the site, and knows the address of each page
broken_links.py              finds broken links
"""
