"""Tests of the exercises that answer back, and of the program around them.

test_exercises.py   stub, solution and wrong answers of every exercise
test_edits.py       random edits of every solution; equivalent/ lists those that change nothing, and why
edits.py            these edits
test_judge.py       files that do anything: loops, crashes, a gigabyte of output
test_command.py     the subcommands, the folder and its progress
test_resuming.py    a project's run, killed and started again
test_terminal.py    the program in a terminal
pseudo_terminal.py  that terminal
conftest.py         a judge for a whole run
"""
