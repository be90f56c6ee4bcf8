"""Tests of the project itself.

test_imports.py       modules of the package import no private name, and no later topic
test_project.py       lint, types, pins, the wheel, and what the commands say when they fail
test_contributing.py  the maps of the house lead to what is there
test_environment.py   `.venv`, made with uv or with pip
test_repository.py    workflows, forms, citation, what is promised of security, releases
"""
