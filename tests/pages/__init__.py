"""Tests of the pages.

test_docs.py       every snippet of the pages, the README and the docstrings
test_topics.py     the parts of every topic: sections, exercises, mistakes
test_frames.py     how every topic begins and ends
test_glossary.py   terms and the sentences that define them
test_mistakes.py   problems that people search for are in the list of mistakes
test_messages.py   every message on the pages is explained by its entry
test_findings.py   entries name the findings of `diagnose`, and findings link to entries
test_practice.py   exercises, their commands and their solutions are those of practice
test_notebooks.py  the notebook of every topic, run by a Jupyter kernel
test_scripts.py    the script of every topic
doc_tests.py       one run of the doc tests: it tests or rewrites pages, and records GPU runs
jupyter_kernel.py  runs a notebook
"""
