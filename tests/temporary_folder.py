"""A temporary folder of its own for each test run, so that a run which passes leaves nothing behind.

Some of what the tests start, such as torchrun, never removes its temporary files.
After a failure the folder stays, because pytest's folders of the failed tests are in it.
"""

import os
import shutil
import tempfile
from multiprocessing.util import Finalize

import pytest

VARIABLES = ("TMPDIR", "TEMP", "TMP")  # the last two on Windows


class TemporaryFolder:
    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="tests-")
        os.chmod(self.path, 0o711)  # one test becomes another user, who has to get through
        self.passed = False
        os.environ |= dict.fromkeys(VARIABLES, self.path)
        tempfile.tempdir = None  # or Python would not look at the variables again
        # At the very end, after multiprocessing has removed its own temporary folder, which it does at -100.
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
    """Workers have the variables of the process that starts them."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(TemporaryFolder(), "temporary folder")
