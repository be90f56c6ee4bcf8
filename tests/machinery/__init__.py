"""Tests of what the other tests stand on: the page runner, the generators in tools/, its commands.

They run when one of those files has changed since they last passed, and always with --machinery.

test_lying_pages.py            every way in which a page can lie is caught
test_page_runner.py            the page runner in another project, by its docstring
test_programs.py               how pages are run: in processes of their own, once, in any order, to an end
test_rewriting.py              how pages are rewritten
test_plots.py                  plots on pages are what their code draws
test_notebooks_and_scripts.py  notebooks and scripts of odd pages
test_mutants.py                `make mutants`
test_real_nets.py              `make real-nets`
test_mistakes.py               the list of mistakes
test_gpu_record.py             GPU runs on record
test_fast_tests.py             `make test-fast`
test_run_when_changed.py       when these tests run
test_workers.py                how tests are shared among workers
test_temporary_folder.py       what a test run leaves behind
toy_project.py                 a small project with pages, for these tests
"""
