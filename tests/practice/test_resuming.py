"""The project `projects/digits` in real processes: a run that is killed ends as one that is not."""

import os
import subprocess
import sys
from pathlib import Path

import torch

from d2lblocks.practice.exercises.projects import digits

KILLED = [9 if os.name == "nt" else -9]
# The program kills itself in an optimizer step: no `finally`, no flushing, nothing is cleaned up.
RUN = """
if __name__ == "__main__":
    import os
    import sys

    folder, file, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
    step = torch.optim.Adam.step

    def counted(*arguments):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
        return step(*arguments)

    torch.set_num_threads(1)
    torch.optim.Adam.step = counted
    torch.save(train(folder, 4).state_dict(), file)
"""


def test_a_killed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    """Killed in the middle of its second epoch, and the next process after an epoch and a half more."""
    program = tmp_path / "digits.py"
    program.write_text(digits.SOLUTION + RUN, "utf-8")

    def run(name: str, steps: int) -> int:
        command = [sys.executable, program, tmp_path / name, tmp_path / f"{name}.pt", str(steps)]
        return subprocess.run(command).returncode

    assert [run("stopped", 22), run("stopped", 22)] == KILLED * 2
    assert not (tmp_path / "stopped.pt").exists()
    assert [run("stopped", 0), run("whole", 0)] == [0, 0]
    stopped, whole = (torch.load(tmp_path / f"{name}.pt") for name in ("stopped", "whole"))
    assert stopped.keys() == whole.keys()
    assert [name for name in whole if not torch.equal(stopped[name], whole[name])] == []
