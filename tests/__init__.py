"""The tests, by what they test.

package/      the package: a file for each topic, the contract of all blocks, files and checkpoints
pages/        the pages: their snippets, their notebooks and scripts, what every topic has to hold
site/         the built site: its HTML, its links, and what a reader meets in a browser
project/      the project itself: lint and types, the environment, the wheel, what the repository promises
page_runner/  a library: it proves that what a page shows is what happens
machinery/    tests of that library, of what is generated from pages, and of the commands in tools/

workers.py           tests on several processes: which stay together, and what is made once for all of them
temporary_folder.py  a temporary folder for each run
run_when_changed.py  when the tests in machinery/ run
"""
