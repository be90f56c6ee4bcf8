"""What builds, generates and checks beside the tests.

pages.py              the pages of this project, as the page runner reads them
generate/             what is made from pages: notebooks, scripts, lists, records, tables
markdown_extensions/  what the site makes of a page beyond Markdown
environment.py        makes .venv and installs into it
real_nets/            `make real-nets`: what the package makes of nets of other libraries
mutants/              `make mutants`: which promises of the package have no test
reading_time.py       how long a page takes to read
fast_tests.py         `make test-fast`
offline_site.py       `make offline`
release_notes.py      the notes of a release, if there can be one
"""
