"""The last lines of a test run: how many random edits of the solutions of exercises were refused."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what test_edits.py has recorded."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, [])]
    counts = [dict(each.user_properties) for each in reports if each.when == "call"]
    edits = sum(each.get("edits", 0) for each in counts)
    if edits:
        refused, same = (sum(each.get(name, 0) for each in counts) for name in ("refused", "equivalent"))
        terminalreporter.write_line(
            f"{edits} random edits of solutions: {refused} refused, {same} mean the same, "
            f"{edits - refused - same} were missed"
        )
