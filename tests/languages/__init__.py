"""Tests of the site in other languages.

test_blocks.py        a page as blocks of prose, and what is kept of a block
test_translations.py  every block is translated, and every translation keeps to the rules
test_drift.py         a changed English sentence is shown in English, and marked
"""
