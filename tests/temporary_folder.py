"""A temporary folder for each test run, so that a run that passes leaves nothing behind.

Some programs that the tests start, such as torchrun, never remove their temporary files.
After a failure the folder stays, because it contains pytest's folders of the failed tests.
"""

import os
import shutil
import tempfile
from multiprocessing.util import Finalize

import pytest

VARIABLES = ("TMPDIR", "TEMP", "TMP")  # the last two are for Windows


class TemporaryFolder:
    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="tests-")
        os.chmod(self.path, 0o711)  # one test becomes another user, who needs to pass through
        self.passed = False
        os.environ |= dict.fromkeys(VARIABLES, self.path)
        tempfile.tempdir = None  # otherwise Python would not read the variables again
        # Run at the very end, after multiprocessing has removed its own temporary folder (priority -100).
        Finalize(None, self.remove, exitpriority=-200)

    def remove(self) -> None:
        if self.passed:
            shutil.rmtree(self.path, ignore_errors=True)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.passed = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
        if not self.passed:
            terminalreporter.write_line(f"What the tests have left is in {self.path}.")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Workers get the variables of the process that starts them."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(TemporaryFolder(), "temporary folder")
