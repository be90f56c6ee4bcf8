"""Files and parts made from pages: the tests compare them with the pages, and `make update` rewrites them.

generated.py   a part of a page, or a whole file, that a command writes
all_files.py   everything that `make update` makes from the pages
notebook.py    a page as a Jupyter notebook
script.py      a page as a program
cells.py       a page as prose and snippets, for these two
translated.py  a page in another language, for these two
entries.py     the entries of "When it goes wrong": symptoms, causes, fixes, messages
mistakes.py    the list of all entries, by symptom and by message
messages.py    the messages that the package explains; wordings.toml holds what is written by hand
findings.py    the table of what `diagnose` finds
glossary.py    the sentences that define a term
practice.py    the exercises of a page: tasks, commands, solutions; and the table of all
terminal.py    the picture of a terminal in which somebody practices
scales.py      the tables behind the picture with sliders
proof.py       how much was run, and on what, for the home page
gpu_record.py  the record of GPU runs: results, dates and GPUs
"""
