"""Random changes of the package, to see which promises have no test: `make mutants`.

command.py  chooses changes, and reports which of them no test noticed
changes.py  the small changes that can be made in a file of Python
runs.py     the tests of each changed copy, in a forked process

explained.toml lists the changes that no test can notice, and why.
"""
