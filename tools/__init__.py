"""Programs that build, generate and check, in addition to the tests.

pages.py              the pages of this project, as the page runner reads them
generate/             files and parts made from pages: notebooks, scripts, lists, records, tables
languages/            the site in other languages: catalogs, rules, a hook that builds all sites
markdown_extensions/  Markdown extensions for the site
environment.py        makes .venv and installs packages into it
corpus/               `make corpus`: real nets through `diagnose` and two other tools
real_nets/            `make real-nets`: the package with nets of other libraries
mutants/              `make mutants`: which promises of the package have no test
reading_time.py       how long a page takes to read
fast_tests.py         `make test-fast`
lighter.py            a hook of MkDocs: what a reader fetches is smaller
zensical_site.py      `make zensical`
offline_site.py       `make offline`
release_notes.py      the notes of a release, if it is consistent
"""
