"""Tests of the project itself.

test_imports.py       modules of the package import no private names and no later topics
test_project.py       lint, types, pins, the wheel, and the messages of failing commands
test_contributing.py  the maps of the project name files that exist
test_environment.py   `.venv`, made with uv or with pip
test_repository.py    workflows, forms, citation, security promises, releases
"""
