"""The tests, by subject.

package/      the package: a file for each topic, the contract of all blocks, files and checkpoints
pages/        the pages: their snippets, notebooks and scripts, and the parts that every topic must have
site/         the built site: its HTML, its links, and how it works in a browser
project/      the project itself: lint and types, the environment, the wheel, promises of the repository
page_runner/  a library: it proves that a page shows the real outputs of its code
practice/     the exercises that are checked as the reader saves them
languages/    the site in other languages
gallery/      nets with one mistake each, their mended twins, and unusual correct nets, for `diagnose`
machinery/    tests of that library, of the files generated from pages, and of the commands in tools/

workers.py           tests in several processes: which stay together, and what is made once for all of them
temporary_folder.py  a temporary folder for each run
edits_report.py      the sum of the random edits of solutions, at the end of a run
run_when_changed.py  when the tests in machinery/ run
"""
