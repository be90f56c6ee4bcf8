"""A page is a program: read it, run it, and compare what it shows with what happens.

snippet.py  one snippet
read.py     a page's snippets, and everything on it that only looks like one
library.py  a snippet that shows the library's source, beside that source
run.py      a page run statement by statement, in a process of its own
compare.py  what is shown beside what happened; pages rewritten
plots.py    pictures that the page's code draws, beside the published ones
write.py    a file replaced, whole or not at all
headings.py the headings of a page, and their anchors
mistakes.py the list of all mistakes that the pages show
record.py   what passed on a GPU, when, and on which
parts.py    a page as prose and snippets, for the two that follow
notebook.py a page as a Jupyter notebook
script.py   a page as a program
made.py     what is made from the rest, such as those four
check.py    all of it, for all pages of one test run
"""
