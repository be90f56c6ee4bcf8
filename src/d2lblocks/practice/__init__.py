"""The exercises of the pages, checked as the reader saves them: `python -m d2lblocks practice`.

command.py    the command
terminal.py   the program that waits for the reader to save
keys.py       single keys of the keyboard
words.py      what the reader is told
folder.py     the reader's folder: files and progress
exercise.py   an exercise
exercises/    all of them, by topic
answer.py     what a check works with
judge.py      the verdict on a file
isolated.py   the same in a process of its own, within limits
warm.py       what that process imports before a file comes
"""
