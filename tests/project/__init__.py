"""Tests of the project itself.

test_project.py       lint, types, pins, the wheel, and what the commands say when they fail
test_contributing.py  the maps of the house lead to what is there
"""
