"""Tests of the exercises that answer back, and of the program around them.

test_exercises.py  stub, solution and wrong answers of every exercise
test_edits.py      random edits of every solution; equivalent/ lists those that change nothing, and why
"""
