"""Tests of the tools for testing: the page runner, the generators in tools/, and its commands.

They run if one of those files has changed since they last passed, and always with --machinery.

test_lying_pages.py            every kind of wrong page is caught
test_page_runner.py            the page runner in another project, set up as its docstring says
test_programs.py               how pages are run: in separate processes, once, in any order, and to the end
test_rewriting.py              how pages are rewritten
test_plots.py                  the plots on pages are the plots that their code draws
test_notebooks_and_scripts.py  notebooks and scripts of unusual pages
test_mutants.py                `make mutants`
test_real_nets.py              `make real-nets`
test_corpus.py                 `make corpus`
test_mistakes.py               the list of mistakes
test_messages.py               the messages that `explain` knows
test_gpu_record.py             the record of GPU runs
test_fast_tests.py             `make test-fast`
test_run_when_changed.py       when these tests run
test_workers.py                how tests are divided among workers
test_temporary_folder.py       the files that a test run leaves behind
toy_project.py                 a small project with pages, for these tests
"""
