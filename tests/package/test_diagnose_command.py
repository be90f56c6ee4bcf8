"""The command `d2lblocks diagnose`: which net it calls, what it prints, and its exit status."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from d2lblocks._command import main

CHECK = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 4)]
        self.scale = torch.tensor(2.0)

    def forward(self, X, Y=0):
        for layer in self.layers:
            X = layer(X)
        return X * self.scale + Y


X = torch.ones(2, 4)


def wrong():
    return Net(), X


def right():
    return nn.Linear(4, 2), X


def question():
    net = Net()
    net.layers = nn.ModuleList(net.layers)
    return net, X


def two_inputs():
    return Net(), (X, X)


def by_name():
    return Net(), {"X": X, "Y": X}


def with_loss():
    return {"net": nn.Linear(4, 2), "args": (X,), "loss": lambda Y: Y.sum().item(), "silence": ["frozen"]}


def without_inputs():
    class Empty(nn.Module):
        def forward(self):
            return torch.ones(1)

    return Empty()


def without_its_input():
    return nn.Linear(4, 2)


def three():
    return nn.Linear(4, 2), X, X


def one_argument():
    return {"net": nn.Linear(4, 2), "args": X}


def no_net():
    return 3


def wrong_key():
    return {"net": nn.Linear(4, 2), "arguments": (X,)}


def no_key():
    return {"args": (X,)}


def fails():
    return nn.Linear(4, 2)(torch.ones(2, 3)), X
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "check.py").write_text(CHECK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "check", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("target", "status", "first"),
    [
        ("check.py:wrong", 1, "Net, called with (2, 4): 1 error, 1 question"),
        ("check:wrong", 1, "Net, called with (2, 4): 1 error, 1 question"),
        ("check.py:right", 0, "Linear, called with (2, 4): nothing found"),
        ("check.py:question", 0, "Net, called with (2, 4): 1 question"),
        ("check.py:two_inputs", 1, "Net, called with (2, 4), (2, 4): 1 error, 1 question"),
        ("check.py:by_name", 1, "Net, called with X=(2, 4), Y=(2, 4): 1 error, 1 question"),
        ("check.py:with_loss", 1, "Linear, called with (2, 4): 1 error"),
        ("check.py:one_argument", 0, "Linear, called with (2, 4): nothing found"),
        ("check.py:without_inputs", 0, "Empty, called with nothing: nothing found"),
    ],
)
def test_a_net_is_diagnosed(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str, status: int, first: str
) -> None:
    """The status tells errors from questions."""
    assert main(["diagnose", target]) == status
    assert capsys.readouterr().out.splitlines()[0] == first


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("check.py", "but got 'check.py': the function returns the net and its input; --help shows one"),
        (":wrong", "expected FILE.py:FUNCTION or package.module:function, but got ':wrong'"),
        ("other.py:wrong", "there is no file other.py"),
        ("no.such.module:wrong", "there is no module no"),
        ("check.py:wrnog", "there is no function 'wrnog' in check.py: the nearest is 'wrong'"),
        ("check.py:X", "there is no function 'X' in check.py"),
        ("check.py:no_net", "expected no_net() to return a net and its input, as in `return net, X`, but it returned int"),
        ("check.py:without_its_input", "without_its_input() returned a net without its input: return net, input"),
        ("check.py:three", "but it returned tuple of torch.nn.modules.linear.Linear, torch.Tensor, torch.Tensor"),
        ("check.py:wrong_key", "wrong_key() returned a dict with the key 'arguments'"),
        ("check.py:no_key", "no_key() returned a dict without the key 'net'"),
        ("check.py:fails", "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x2)"),
    ],
)  # fmt: skip
def test_a_wrong_target_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str, message: str
) -> None:
    """The message says what is wrong, and the status is 2."""
    assert main(["diagnose", target]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.out == ""


def test_a_function_that_fails_is_explained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines of the reader's own files are shown, and the explanation of the error."""
    main(["diagnose", "check.py:fails"])
    shown = capsys.readouterr().err
    assert "in fails" in shown
    assert "modules.md#mat1-and-mat2-shapes-cannot-be-multiplied" in shown
    assert "_target.py" not in shown


def test_the_report_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The findings have the fields of `Finding`."""
    assert main(["diagnose", "check.py:wrong", "--json", "--silence", "constant"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["code"], finding["names"], finding["line"]) == ("unregistered", ["self.layers[0]"], 9)


def test_the_command_finds_the_files_of_its_folder(folder: Path) -> None:
    """Also as a script, which does not look into the current folder by itself."""
    (folder / "package").mkdir()
    (folder / "package" / "nets.py").write_text("import check\nmade = check.right\n")
    for target in ("package.nets:made", "package/nets.py:made"):
        script = f"import sys; sys.path.pop(0); from d2lblocks._command import main; sys.exit(main(['diagnose', '{target}']))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout == "Linear, called with (2, 4): nothing found\n"


def test_a_file_that_fails_when_it_is_imported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says that a training loop in it runs, too."""
    (folder / "train.py").write_text(f"{CHECK}\nwrong_key_error = {{}}['epochs']\n")
    assert main(["diagnose", "train.py:right"]) == 2
    shown = capsys.readouterr().err
    assert "KeyError: 'epochs'" in shown
    assert 'if __name__ == "__main__":' in shown
    assert "exec_module" not in shown


def test_explain_knows_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name is no message."""
    assert main(["explain", "check.py"]) == 1
    assert "python -m d2lblocks explain < check.py" in capsys.readouterr().err
