"""Error messages are explained: those of the pages in any form, and no others."""

import json
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from d2lblocks import Explanation, Mistake, explain, explain_errors
from d2lblocks.diagnosis._messages import known
from d2lblocks.diagnosis._templates import HOLE, HOLES, Template
from d2lblocks.diagnosis._text import Text

EMPTY = "modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list"
USED_UP = "parameters.md#optimizer-got-an-empty-parameter-list-from-a-net-that-has-parameters"
PROPERTY = "modules.md#has-no-attribute-although-the-property-exists"
SHAPES = "modules.md#mat1-and-mat2-shapes-cannot-be-multiplied"
DTYPES = "modules.md#mat1-and-mat2-must-have-the-same-dtype-a-batch-from-numpy"
STRICT = "serialization.md#strict-loading-names-and-shapes-must-match"
WRAPPED = "serialization.md#missing-keys-in-state_dict-and-the-same-names-with-module"
NONE = "serialization.md#unexpected-keys-in-state_dict-a-buffer-that-was-none"
TIED = "serialization.md#some-tensors-share-memory-from-safetensors"
NORM = "serialization.md#missing-keys-weight_g-and-parametrizationsweightoriginal0"
CLASSES = "serialization.md#size-mismatch-even-with-strictfalse-a-different-number-of-classes"
COUNTED = "serialization.md#unexpected-keys-in-state_dict-total_ops-total_params"
SAME_DEVICE = "devices.md#expected-all-tensors-to-be-on-the-same-device"
FILE_CLASS = "serialization.md#no-module-named-models-or-cant-get-attribute-net"
LAZY_FILE = "lazy.md#weights-only-load-failed-from-a-file-that-you-saved-yourself"

SAID = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (104x13 and 676x4)"
LOADING = "RuntimeError: Error(s) in loading state_dict for Net:\n"
SIZES = "copying a param with shape torch.Size([10, 4]) from checkpoint, the shape in current model is torch.Size([3, 4])."


def links(error: BaseException | str) -> list[str]:
    return [mistake.link for mistake in explain(error)]


def raised(make: Callable[[], Any]) -> Exception:
    """The exception that a call raises, with its traceback."""
    try:
        make()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


class Sizes(nn.Module):
    """Its property `width` has a slip, so PyTorch's message names the property."""

    @property
    def width(self) -> int:
        return self.hiden

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return X


# The forms in which one message reaches us.


@pytest.mark.parametrize(
    "text",
    [
        SAID,
        SAID.removeprefix("RuntimeError: "),
        "mat1 and mat2 shapes cannot be multiplied",
        f"\x1b[31mRuntimeError\x1b[39m: \x1b[1m{SAID[14:]}\x1b[0m",
        "\x1b]8;;file\x1b\\" + SAID,
        textwrap.fill(SAID, 30),
        SAID[:40] + "\n" + SAID[40:],
        f"[rank0]: Traceback (most recent call last):\n[rank0]: {SAID}",
        f"E       {SAID}\n\ntest_net.py:3: RuntimeError",
        f"  + Exception Group Traceback (most recent call last):\n  | ExceptionGroup: two (2 sub-exceptions)\n  | {SAID}",
        f"step 1\rstep 2\r\n{SAID}\r\n",
        f"torch._dynamo.exc.TorchRuntimeError: {SAID}",
        json.dumps({"message": SAID}),
        SAID.replace("mat1", "`mat1`"),
        f"{SAID}\n" * 1000,
        "a log\n" * 100_000 + SAID,
        SAID + "\na log" * 100_000,
        "\0".join(SAID),
    ],
    ids=range(18),
)  # fmt: skip
def test_a_message_is_found_in_any_form(text: str) -> None:
    """Colors, line breaks, and what a tool puts before each line make no difference."""
    assert links(text) == [SHAPES]


def templates() -> Iterator[tuple[Mistake, Template]]:
    for mistake, there in known():
        yield from ((mistake, template) for template in there)


NAMES = st.from_regex(r"\A[a-z][a-z_]{0,8}(?:\.[a-z0-9]{1,5}){0,3}\Z")
NUMBERS = st.integers(0, 10**6).map(str)
VALUES = {
    "name": NAMES,
    "word": st.from_regex(r"\A[A-Za-z_]\w{0,12}\Z", alphabet=st.characters(codec="ascii")),
    "module": st.from_regex(r"\A(?:Net|My|Res)[A-Z]?[a-z]{0,8}\Z"),
    "number": NUMBERS,
    "shape": st.lists(NUMBERS, min_size=1, max_size=4).map(lambda sizes: f"torch.Size([{', '.join(sizes)}])"),
    "dtype": st.sampled_from(["Float", "double", "c10::Half", "BFloat16", "torch.float32"]),
    "device": st.sampled_from(["cpu", "cuda:0", "cuda:12", "mps", "mps:0", "meta"]),
    "path": st.from_regex(r"\A(?:/|C:\\)?(?:[\w ]{1,8}/){0,3}\w{1,8}\.(?:pt|safetensors)\Z"),
    "text": NAMES,
}


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_what_is_the_readers_own_may_be_anything(data: st.DataObject) -> None:
    """Each message is found with other names, shapes, numbers, dtypes and devices."""
    assert VALUES.keys() == HOLES.keys()
    mistake, template = data.draw(st.sampled_from(list(templates())))

    def fill(match: re.Match[str]) -> str:
        return str(data.draw(st.sampled_from(match[1].split("|")) if "|" in match[1] else VALUES[match[1]]))

    text = HOLE.sub(fill, template.text)
    if template.within:
        text += "\n" + HOLE.sub(fill, template.within[0])
    assume(template.score(Text(text))[0])
    assert mistake.link in links(text)
    assert mistake.link in links(f"{text}\n")


# A message that can mean several things.


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ('Missing key(s) in state_dict: "0.weight", "0.bias". \n\tUnexpected key(s) in state_dict: "module.0.weight", "module.0.bias". ', WRAPPED),
        ('Missing key(s) in state_dict: "0.weight". \n\tUnexpected key(s) in state_dict: "0._orig_mod.weight". ', WRAPPED),
        ('Missing key(s) in state_dict: "0.weight". \n\tUnexpected key(s) in state_dict: "_orig_mod.0.weight". ', WRAPPED),
        ('Missing key(s) in state_dict: "a.weight". \n\tUnexpected key(s) in state_dict: "n_averaged", "module.a.weight". ', WRAPPED),
        ('Missing key(s) in state_dict: "weight_g", "weight_v". \n\tUnexpected key(s) in state_dict: "parametrizations.weight.original0", "parametrizations.weight.original1". ', NORM),
        ('Missing key(s) in state_dict: "a.weight_g", "a.weight_v". \n\tUnexpected key(s) in state_dict: "a.parametrizations.weight.original0", "a.parametrizations.weight.original1". ', NORM),
        ('Unexpected key(s) in state_dict: "mean". ', NONE),
        ('Unexpected key(s) in state_dict: "norm.running". ', NONE),
        ('Missing key(s) in state_dict: "1.weight". ', TIED),
        ('Missing key(s) in state_dict: "lm_head.weight". ', TIED),
        ('Missing key(s) in state_dict: "1.weight". \n\tUnexpected key(s) in state_dict: "2.weight". ', STRICT),
        ('Missing key(s) in state_dict: "1.weight", "1.bias". ', STRICT),
        ('Unexpected key(s) in state_dict: "2.weight", "2.bias". ', STRICT),
        ('Unexpected key(s) in state_dict: "total_ops", "total_params", "0.total_ops". ', COUNTED),
        (f"size mismatch for head.weight: {SIZES}", CLASSES),
        (f'Missing key(s) in state_dict: "1.weight", "1.bias". \n\tsize mismatch for head.weight: {SIZES}', STRICT),
    ],
)  # fmt: skip
def test_the_names_in_a_message_tell_its_cause(text: str, first: str) -> None:
    """Of the causes of a state dict that does not fit, the one that its names show comes first."""
    assert links(f"{LOADING}\t{text}")[0] == first
    assert links(f"{LOADING}\t{text}")[-1] == STRICT


def test_the_code_of_a_traceback_tells_the_cause() -> None:
    """An optimizer that gets a variable may have got a generator that was used up."""
    parameters = nn.Linear(1, 1).parameters()
    list(parameters)
    assert links(raised(lambda: torch.optim.SGD(parameters, lr=0.1))) == [USED_UP, EMPTY]
    assert links(raised(lambda: torch.optim.SGD(nn.ReLU().parameters(), lr=0.1))) == [EMPTY, USED_UP]
    assert links("ValueError: optimizer got an empty parameter list") == [EMPTY, USED_UP]


def test_an_attribute_of_a_module_may_be_a_property() -> None:
    """With the exception, it is known; with the text, the traceback has to come from a module."""
    assert links(raised(lambda: Sizes().width)) == [PROPERTY]
    assert links(raised(lambda: Sizes().depth)) == []
    assert links("AttributeError: 'Sizes' object has no attribute 'width'") == [PROPERTY]
    frames = 'Traceback (most recent call last):\n  File "{}", line 3, in f\n    x\n'
    said = "AttributeError: 'Sizes' object has no attribute 'width'"
    assert links(frames.format("/x/torch/nn/modules/module.py") + said) == [PROPERTY]
    assert links(frames.format("C:\\x\\torch\\nn\\modules\\module.py") + said) == [PROPERTY]
    assert links(frames.format("/x/net.py") + said) == []


def test_a_class_that_is_missing_is_explained_if_a_file_needs_it() -> None:
    """`No module named` has this cause only while a file is loaded."""
    frames = (
        'Traceback (most recent call last):\n  File "/x/torch/serialization.py", line 3, in load\n    x\n'
    )
    assert links(f"{frames}ModuleNotFoundError: No module named 'nets.old'") == [FILE_CLASS]
    assert links("ModuleNotFoundError: No module named 'nets.old'") == []
    worker = frames.replace("torch/serialization.py", "multiprocessing/spawn.py")
    assert links(f"{frames}AttributeError: Can't get attribute 'MLP' on <module '__main__'>") == [FILE_CLASS]
    assert links(f"{worker}AttributeError: Can't get attribute 'work' on <module '__main__'>") == []


def test_a_lazy_net_in_a_file_is_recognized(tmp_path: Path) -> None:
    """The message of `torch.load` names the class of a lazy parameter."""
    torch.save(nn.LazyLinear(2).state_dict(), tmp_path / "net.pt")
    assert links(raised(lambda: torch.load(tmp_path / "net.pt")))[0] == LAZY_FILE


# Exceptions.


def test_what_belongs_to_an_exception_is_read() -> None:
    """The notes of an error, the errors that led to it, and the members of a group are explained."""
    inner = raised(lambda: nn.Linear(2, 3)(torch.ones(1, 3)))
    assert links(inner) == [SHAPES]
    caused, in_context, noted = (RuntimeError(f"training failed {number}") for number in range(3))
    caused.__cause__ = inner
    in_context.__context__ = inner
    noted.add_note(SAID)
    for outer in (
        caused,
        in_context,
        noted,
        ExceptionGroup("all", [KeyError("x"), ExceptionGroup("b", [inner])]),
    ):
        assert links(outer) == [SHAPES]
    in_context.__suppress_context__ = True
    assert links(in_context) == []
    inner.__cause__ = caused  # a ring
    assert links(caused) == [SHAPES]


def test_the_class_has_to_fit() -> None:
    """A text need not name the class; if it does, it is the class of the message or one derived from it."""
    said = "optimizer got an empty parameter list"
    assert links(f"ValueError: {said}")[0] == links(said)[0] == links(ValueError(said))[0] == EMPTY
    assert links(type("OwnError", (ValueError,), {})(said))[0] == EMPTY
    assert links(f"UnicodeError: {said}")[0] == EMPTY
    assert links(f"KeyError: {said}") == links(KeyError(said)) == []


def test_warnings_are_explained() -> None:
    """A warning is explained as an object, and as the line that Python prints."""
    with torch.device("meta"):
        net = nn.Linear(2, 2)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        net.load_state_dict(nn.Linear(2, 2).state_dict())
    expected = ["lazy.md#cannot-copy-out-of-meta-tensor-no-data"]
    assert isinstance(seen[0].message, Warning)
    assert links(seen[0].message) == expected
    printed = warnings.formatwarning(seen[0].message, seen[0].category, seen[0].filename, seen[0].lineno)
    assert links(printed) == expected


def test_the_code_in_a_traceback_is_not_a_message() -> None:
    """A line of code may contain a message of another error."""
    code = '    raise ValueError("optimizer got an empty parameter list")'
    assert (
        links(f'Traceback (most recent call last):\n  File "a.py", line 3, in f\n{code}\nKeyError: 1') == []
    )
    cell = f"KeyError     Traceback (most recent call last)\nCell In[1], line 2\n      1 x\n----> 2 {code}\n\nKeyError: 1"
    assert links(cell) == []
    assert links(f">   {code}\nE   KeyError: 1\n\na.py:3: KeyError") == []


UNRELATED = """\
KeyError: 'x'
KeyError: 'state_dict'
KeyError: "attribute 'hidden' already exists"
IndexError: list index out of range
IndexError: index 3 is out of bounds for dimension 0 with size 3
IndexError: index 3 is out of bounds for axis 0 with size 3
IndexError: Target 5 is out of bounds.
IndexError: too many indices for tensor of dimension 1
IndexError: Dimension out of range (expected to be in range of [-1, 0], but got 1)
TypeError: unhashable type: 'list'
TypeError: unhashable type: 'dict'
TypeError: unhashable type: 'numpy.ndarray'
TypeError: unhashable type: 'Series'
TypeError: 'NoneType' object is not subscriptable
TypeError: 'int' object is not callable
TypeError: 'Linear' object is not subscriptable
TypeError: 'NoneType' object is not iterable
TypeError: unsupported operand type(s) for +: 'int' and 'str'
TypeError: forward() missing 1 required positional argument: 'mask'
TypeError: Net.forward() takes 1 positional argument but 2 were given
TypeError: __init__() got an unexpected keyword argument 'bias'
TypeError: linear(): argument 'input' (position 1) must be Tensor, not NoneType
TypeError: conv2d(): argument 'input' (position 1) must be Tensor, not numpy.ndarray
TypeError: expected Tensor as element 0 in argument 0, but got list
AttributeError: 'list' object has no attribute 'shape'
AttributeError: 'NoneType' object has no attribute 'shape'
AttributeError: 'NoneType' object has no attribute 'backward'
AttributeError: 'Tensor' object has no attribute 'foo'
AttributeError: 'DataFrame' object has no attribute 'append'
AttributeError: 'Series' object has no attribute 'relu'
AttributeError: 'str' object has no attribute 'decode'
AttributeError: module 'torch' has no attribute 'foo'
ModuleNotFoundError: No module named 'foo'
ImportError: cannot import name 'foo' from 'torch' (unknown location)
NameError: name 'nn' is not defined
FileNotFoundError: [Errno 2] No such file or directory: 'net.pt'
ValueError: too many values to unpack (expected 2)
ValueError: not enough values to unpack (expected 3, got 2)
ValueError: could not convert string to float: 'a'
ValueError: operands could not be broadcast together with shapes (2,3) (4,)
ValueError: setting an array element with a sequence.
ValueError: Expected input batch_size (4) to match target batch_size (8).
ValueError: Using a target size (torch.Size([4])) that is different to the input size (torch.Size([4, 1]))
ValueError: Cannot set a frame with no defined index and a value that cannot be converted to a Series
ValueError: The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()
RuntimeError: The size of tensor a (3) must match the size of tensor b (4) at non-singleton dimension 1
RuntimeError: shape '[2, 5]' is invalid for input of size 12
RuntimeError: Sizes of tensors must match except in dimension 1. Expected size 2 but got size 3 for tensor number 1 in the list.
RuntimeError: expected scalar type Long but found Float
RuntimeError: Boolean value of Tensor with more than one value is ambiguous
RuntimeError: CUDA error: device-side assert triggered
RuntimeError: CUDA error: no kernel image is available for execution on the device
RuntimeError: cuDNN error: CUDNN_STATUS_NOT_INITIALIZED
RuntimeError: NCCL error in: ProcessGroupNCCL.cpp:1, unhandled system error
RuntimeError: DataLoader worker (pid 3) is killed by signal: Killed.
RuntimeError: Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.
RuntimeError: stack expects each tensor to be equal size, but got [3] at entry 0 and [4] at entry 1
AssertionError
MemoryError
KeyboardInterrupt
OSError: [Errno 28] No space left on device
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
UnicodeDecodeError: 'utf-8' codec can't decode byte 0x80 in position 0: invalid start byte
ZeroDivisionError: division by zero
UserWarning: Lazy modules are a new feature under heavy development
Segmentation fault (core dumped)
Epoch 3: loss 0.25, accuracy 0.93""".splitlines()


@pytest.mark.parametrize("text", UNRELATED)
def test_nothing_is_guessed(text: str) -> None:
    """An error that no page explains gives an empty explanation, also in a traceback of PyTorch."""
    explanation = explain(text)
    assert not explanation
    assert len(explanation) == 0
    assert "mistakes.md" in str(explanation)
    assert "mistakes.md" in explanation._repr_html_()
    frames = (
        'Traceback (most recent call last):\n  File "/x/torch/nn/modules/module.py", line 3, in f\n    x\n'
    )
    assert links(frames + text) == []


HOSTILE = {
    "letters": "a" * 10**6,
    "quotes": "'" * 10**6,
    "spaces": " " * 10**6,
    "lines": "\n" * 10**6,
    "nulls": "\0" * 10**6,
    "backslashes": "\\" * 10**6,
    "escapes": "\x1b[" * 500_000,
    "links": "\x1b]8;;" * 200_000,
    "brackets": "[" * 10**6,
    "surrogates": "\ud800" * 10**6,
    "beginnings": "'A' object has no attribute 'x" * 30_000,
    "ends": "' object has no attribute '" * 40_000,
    "keys": 'Missing key(s) in state_dict: "a' * 30_000,
    "one long line": 'Unexpected key(s) in state_dict: "' + "a.b" * 300_000,
    "sizes": "size mismatch for " * 60_000,
    "frames": '  File "x", line 1\n' * 50_000,
    "pytest": "E  x\n" * 200_000,
    "templates": " ".join(template.text for _, template in templates()) * 50,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_text_takes_long(text: str) -> None:
    """A megabyte of anything is answered: in far less than a second, where a bad pattern would take hours."""
    explain("")
    start = time.process_time()
    explain(text)
    assert time.process_time() - start < 30


@given(st.text(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_text_is_answered(text: str) -> None:
    """No text raises an error, and the answer can be printed."""
    assert str(explain(text))


# What is returned.


def test_an_explanation_is_read_in_any_way() -> None:
    """It is a sequence of mistakes, true if there are any; it prints as text and as HTML."""
    explanation = explain(SAID)
    assert isinstance(explanation, Explanation)
    (mistake,) = explanation
    assert explanation[0] is mistake is explanation.mistakes[0]
    assert (mistake.page, mistake.message, mistake.link) == ("modules.md", SAID, SHAPES)
    assert str(explanation) == str(mistake) == (
        "mat1 and mat2 shapes cannot be multiplied\n"
        "  Cause: The last dimension of the input differs from the number of features\n"
        "         that the linear layer was built for.\n"
        "  Fix:   Build the layer for the size that arrives, or use nn.LazyLinear;\n"
        "         between convolutions and linear layers, put nn.Flatten() directly\n"
        "         before the first linear layer.\n"
        "  Page:  modules.md#mat1-and-mat2-shapes-cannot-be-multiplied"
    )  # fmt: skip
    assert "<code>nn.LazyLinear</code>" in explanation._repr_html_()
    with pytest.raises(AttributeError):
        mistake.title = ""  # type: ignore[misc]
    assert hash(mistake) == hash(explain(SAID)[0])
    assert explain(SAID) == explanation


def test_every_mistake_fits_a_terminal() -> None:
    """No line has more than 80 columns, except for a link, which is not broken."""
    for mistake, _ in known():
        for line in str(mistake).splitlines():
            assert len(line) <= 80 or line.split()[-1] == mistake.link
        assert mistake.link in str(mistake)
        assert len(mistake.rows()) == (3 if mistake.fix else 1)
        assert mistake.cause.endswith("." * bool(mistake.fix))
        html = Explanation((mistake,))._repr_html_()
        assert html.count("<code>") == (mistake.cause + mistake.fix).count("`") / 2
        assert "<" not in re.sub(r"</?(?:p|strong|dl|dt|dd|code)>", "", html)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (3, "but got int"),
        (None, "but got NoneType"),
        (ValueError, "but got the class ValueError: pass the exception itself, as in `except ... as error`"),
        (b"text", r"but got bytes: decode it first, as in text.decode()"),
        (Path("log.txt"), "Path: pass the text of the file"),
        (sys.stdin, ": pass the text of the file"),
        (warnings.WarningMessage("text", UserWarning, "a.py", 3), "but got WarningMessage: pass its message"),
    ],
)
def test_anything_else_is_refused_with_a_hint(value: Any, hint: str) -> None:
    """The message says what was expected, and what to pass instead."""
    with pytest.raises(
        TypeError, match=r"^expected an exception or the text of a message, but got "
    ) as caught:
        explain(value)
    assert hint in str(caught.value)


def test_an_exception_that_cannot_be_printed_is_answered() -> None:
    """A wrong `__str__`, or notes that are none, do not hide anything."""

    class BadError(Exception):
        def __str__(self) -> str:
            raise KeyError("x")

    error = BadError()
    error.__notes__ = [1, SAID]
    assert links(error) == [SHAPES]
    error.__notes__ = 3  # type: ignore[assignment]
    assert links(error) == []


# Errors that nothing catches.


def run(
    *command: str, text: bytes | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, and this standard input."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, *command], input=text or b"", capture_output=True, env=environment, cwd=cwd, check=False)  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


PROGRAM = """\
import sys, threading
from torch import nn, optim
from d2lblocks import explain_errors

before = sys.excepthook
sys.excepthook = lambda *error: (print("my own", file=sys.stderr), before(*error))
assert explain_errors() is None
hooks = sys.excepthook, threading.excepthook
explain_errors()
assert hooks == (sys.excepthook, threading.excepthook)

def fail():
    optim.SGD(nn.ReLU().parameters(), lr=0.1)

thread = threading.Thread(target=fail)
thread.start()
thread.join()
thread = threading.Thread(target=lambda: {}["x"])
thread.start()
thread.join()
try:
    fail()
except ValueError as error:
    raise RuntimeError("training failed") from error
"""


def test_a_program_explains_what_it_does_not_catch(tmp_path: Path) -> None:
    """In the program and in a thread: the traceback as ever, and below it the explanation, once."""
    (tmp_path / "train.py").write_text(PROGRAM)
    done = run("train.py", cwd=tmp_path)
    assert done.returncode == 1
    thread, other, main = re.split(r"(?=^Exception in thread Thread-2)|(?=^my own)", done.stderr, flags=re.M)
    for said, last in (
        (thread, "ValueError: optimizer got an empty parameter list"),
        (main, "RuntimeError: training failed"),
    ):
        before, _, after = said.partition("\nd2lblocks explains:\n")
        assert before.endswith(last)
        assert after == f"{explain(before)}\n"
    assert "d2lblocks" not in other.partition("KeyError")[2]
    assert "Traceback (most recent call last)" in other


def test_a_shell_explains_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython calls `showtraceback`, with the exception or while it is handled; it is replaced once."""
    shown: list[Any] = []

    def showtraceback(exc_tuple: Any = None, **options: Any) -> str:
        shown.append(exc_tuple[1] if exc_tuple else sys.exc_info()[1])
        return "shown"

    shell = SimpleNamespace(showtraceback=showtraceback)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    explain_errors()
    once = shell.showtraceback
    explain_errors()
    assert shell.showtraceback is once is not showtraceback
    try:
        raise RuntimeError(SAID)
    except RuntimeError:
        result = once(running_compiled_code=True)
    assert result == "shown"
    assert (str(shown[0]), shown[0].__notes__) == (SAID, [f"d2lblocks explains:\n{explain(SAID)}"])
    other = RuntimeError(SAID)
    once((RuntimeError, other, None))
    assert shown[-1] is other
    assert len(other.__notes__) == 1
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))  # type: ignore[arg-type]
    explain_errors()


def test_explaining_never_hides_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens while an error is explained, it reaches the hook that was there before."""
    seen: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: seen.append(error[1]))
    monkeypatch.setattr(threading, "excepthook", lambda args: seen.append(args.exc_value))
    explain_errors()

    class BadError(Exception):
        __notes__ = property(lambda self: 1 / 0)

        def add_note(self, note: str) -> None:
            raise RuntimeError("no notes")

    for error in (BadError(SAID), KeyError("x"), RuntimeError(SAID)):
        sys.excepthook(type(error), error, None)
        threading.excepthook(threading.ExceptHookArgs((type(error), error, None, None)))  # type: ignore[arg-type]
        assert seen[-2:] == [error, error]
    threading.excepthook(threading.ExceptHookArgs((ValueError, None, None, None)))  # type: ignore[arg-type]
    assert seen[-1] is None
    assert len(error.__notes__) == 1
    assert "d2lblocks explains" in "".join(traceback.format_exception(error))


# The command.


def command(*arguments: str, text: bytes = b"") -> subprocess.CompletedProcess[str]:
    return run("-m", "d2lblocks", *arguments, text=text)


def test_the_command_explains_its_text() -> None:
    """It prints what `explain` returns."""
    done = command("explain", SAID)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{explain(SAID)}\n", "")


def test_the_command_reads_standard_input() -> None:
    """Without a text, it reads a traceback, of any length, even if that is not valid UTF-8."""
    text = b"\xff\xfe\x00 step\n" * 400_000 + SAID.encode()
    done = command("explain", "--json", text=text)
    assert (done.returncode, json.loads(done.stdout)) == (0, explain(SAID).as_list())


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("explain", "foo"), 1, "No page explains this message."),
        (("explain", "foo", "--json"), 1, "[]"),
        (("explain",), 1, "there is no text to explain"),
        (("explain", "--xml"), 2, "unrecognized arguments: --xml"),
        (("exlain",), 2, "invalid choice: 'exlain'"),
        ((), 2, "say what an error message means"),
        (("--help",), 0, "say what an error message means"),
        (("explain", "--help"), 0, "python train.py 2>&1 | python -m d2lblocks explain"),
    ],
)
def test_the_command_has_a_status(
    arguments: tuple[str, ...],
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """0 if a page explains the message, 1 if none does, 2 if the command was used in a wrong way."""
    from d2lblocks._command import main

    monkeypatch.setattr(sys, "stdin", None)
    try:
        result = main(arguments)
    except SystemExit as end:
        result = end.code  # type: ignore[assignment]
    printed = capsys.readouterr()
    assert result == status
    assert said in printed.out + printed.err
    assert bool(printed.out) == (status < 2 and arguments != ("explain",))


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, 130), (BrokenPipeError, 0)])
def test_the_command_ends_quietly(error: type[BaseException], status: int) -> None:
    """Ctrl-C, and an output that nobody reads, show no traceback."""
    script = (
        "import sys; from d2lblocks import _command as c\n"
        f"def fail(*a): raise {error.__name__}\n"
        "c.explain = fail; sys.exit(c.main(['explain', 'text']))"
    )
    done = run("-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_the_command_says_what_to_paste(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At a terminal, it says what it waits for, and how to end."""
    import io

    from d2lblocks._command import main

    terminal = io.TextIOWrapper(io.BytesIO(SAID.encode()))
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    assert main(["explain"]) == 0
    printed = capsys.readouterr()
    assert "Paste the error message" in printed.err
    assert "To end, press Ctrl-" in printed.err
    assert printed.out == f"{explain(SAID)}\n"
