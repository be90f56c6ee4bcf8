"""What is made from pages: compared with the pages by the tests, rewritten by `make update`.

generated.py   a part of a page, or a whole file, that a command writes
all_files.py   everything that `make update` makes from the pages
notebook.py    a page as a Jupyter notebook
script.py      a page as a program
cells.py       a page as prose and snippets, for these two
entries.py     what the pages have in "When it goes wrong": symptoms, causes, fixes, messages
mistakes.py    the list of them all, by symptom and by message
glossary.py    the sentences that define a term
scales.py      the tables behind the picture with sliders
proof.py       how much was run, and on what, for the home page
gpu_record.py  what passed on a GPU, when, and on which
"""
