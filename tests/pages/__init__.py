"""Tests of the pages.

test_docs.py       every snippet of every page, of the README and of the docstrings
test_topics.py     what every topic has to hold: parts, exercises, mistakes
test_frames.py     how every topic begins and ends
test_glossary.py   terms and the sentences that define them
test_mistakes.py   what people are known to search for is in the list of mistakes
test_notebooks.py  the notebook of every topic, run by a Jupyter kernel
test_scripts.py    the script of every topic
doc_tests.py       one run of the doc tests: proves pages, rewrites them, puts GPU runs on record
jupyter_kernel.py  runs a notebook
"""
