"""Every kind of wrong page is caught, for the right reason, and no correct page is."""

import re
from pathlib import Path

import pytest

from tests.machinery.toy_project import check, fence, project

NOT_WHAT_HAPPENS = r"^docs/en/page\.md:{}: what the page shows is not what happens\n"

LIES = {
    "an output that nobody printed": (fence("x = 1", "#> 1"), NOT_WHAT_HAPPENS.format(3)),
    "a printed line that is not shown": (fence("print(1)"), NOT_WHAT_HAPPENS.format(3)),
    "one character": (fence("print('abc')", "#> abd"), NOT_WHAT_HAPPENS.format(3)),
    "a blank at the end": (fence("print('abc')", "#> abc "), NOT_WHAT_HAPPENS.format(3)),
    "no blank after the sign": (fence("print(1)", "#>1"), NOT_WHAT_HAPPENS.format(3)),
    "an empty line left out": (fence("print('a\\n\\nb')", "#> a", "#> b"), NOT_WHAT_HAPPENS.format(4)),
    "an output before its statement": (fence("#> 1", "print(1)"), NOT_WHAT_HAPPENS.format(2)),
    "an output after the next statement": (fence("print(1)", "x = 1", "#> 1"), NOT_WHAT_HAPPENS.format(3)),
    "an output after a blank line": (fence("print(1)", "", "#> 1"), NOT_WHAT_HAPPENS.format(3)),
    "an output inside the loop": (
        fence("for i in range(1):", "    print(i)", "    #> 0"),
        NOT_WHAT_HAPPENS.format(4),
    ),
    "an output in another column": (fence("print(1)", "  #> 1"), NOT_WHAT_HAPPENS.format(3)),
    "an output behind the code": (fence("print(1)  #> 1"), r":2: output goes on lines of its own"),
    "an old tensor": (
        fence("import torch", "print(torch.eye(2))", "#> tensor([[1., 0.],", "#>         [0., 2.]])"),
        NOT_WHAT_HAPPENS.format(5),
    ),
    "an old repr of a module": (
        fence(
            "from torch import nn",
            "print(nn.Sequential(nn.ReLU()))",
            "#> Sequential(",
            "#>   (0): Tanh()",
            "#> )",
        ),
        NOT_WHAT_HAPPENS.format(5),
    ),
    "a wrong line from an earlier function": (
        fence("def f():", "    print(1)") + fence("f()", "#> 2"),
        NOT_WHAT_HAPPENS.format(7),
    ),
    "a wrong line without a newline": (fence("print('a', end='')", "#> b"), NOT_WHAT_HAPPENS.format(3)),
    "a wrong line through sys.stdout": (
        fence("import sys", "sys.stdout.write('a')", "#> b"),
        NOT_WHAT_HAPPENS.format(4),
    ),
    "a wrong line from a child process": (
        fence("import os", "status = os.system('echo a')", "#> b"),
        NOT_WHAT_HAPPENS.format(4),
    ),
    "a wrong line from a thread": (
        fence(
            "import threading",
            "t = threading.Thread(target=print, args=(1,))",
            "t.start(); t.join()",
            "#> 2",
        ),
        NOT_WHAT_HAPPENS.format(5),
    ),
    "a line after sys.stdout was given back": (
        fence("import io, sys", "sys.stdout = io.StringIO()", "print(1)", "sys.stdout = sys.__stdout__", "print(2)"),
        NOT_WHAT_HAPPENS.format(7),
    ),
    "a line printed by C": (
        fence("import ctypes", "n = ctypes.CDLL(None).puts(b'a')", "#> b"),
        NOT_WHAT_HAPPENS.format(4),
    ),
    "a line from a forked function of the page": (
        fence(
            "import multiprocessing",
            "process = multiprocessing.get_context('fork').Process(target=print, args=(1,))",
            "process.start(); process.join()",
        ),
        NOT_WHAT_HAPPENS.format(5),
    ),
    "a line after a fork that ran on": (
        fence("import os, time", "if not os.fork(): time.sleep(0.1)") + fence("time.sleep(0.3)", "print(1)"),
        NOT_WHAT_HAPPENS.format(8),
    ),
    "a line of a thread that comes late": (
        fence("import threading", "threading.Timer(0.2, print, [1]).start()"),
        r":3: printed after the last statement: 1",
    ),
    "a line at the end of Python": (
        fence("import atexit", "a = atexit.register(print, 1)"),
        r":3: printed after the last statement: 1",
    ),
    "a line of a finalizer at the end of Python": (
        fence("import weakref", "class A: pass", "a = A()", "f = weakref.finalize(a, print, 1)"),
        r":5: printed after the last statement: 1",
    ),
    "a warning in a forked process": (
        fence("import os, warnings", "if not os.fork(): warnings.warn('old'); os._exit(0)", "status = os.wait()"),
        r":3: this warns, UserWarning: old",
    ),
    "a warning of the parser": (fence('x = "\\d"'), r":1: this warns, \w+: (\"\\d\" is an )?invalid escape sequence"),
    "a future import that comes late": (
        fence("x = 1", "from __future__ import annotations"),
        r":3: SyntaxError: from __future__ imports must occur at the beginning",
    ),
    "a syntax error that no GPU sees": (fence("x = (1", keys='gpu="1"'), r":2: SyntaxError"),
    "an exception": (
        fence("def f():", "    return 1 / 0", "f()"),
        r"^docs/en/page\.md:4: this raises ZeroDivisionError: division by zero\n"
        r'  File "docs/en/page.md", line 4, in <module>\n    f\(\)\n[ ~^\n]*'
        r'  File "docs/en/page.md", line 3, in f\n    return 1 / 0\n[ ~^]*$',
    ),
    "an exception after lines that are right": (
        fence("print(1)", "#> 1", "1 / 0"),
        r"^docs/en/page\.md:4: this raises ZeroDivisionError",
    ),
    "a syntax error": (fence("x = (1"), r"^docs/en/page\.md:2: SyntaxError"),
    "SystemExit": (fence("raise SystemExit(0)"), r":2: this raises SystemExit: 0"),
    "exit()": (fence("import sys", "sys.exit()"), r":3: this raises SystemExit"),
    "the end of the process": (
        fence("import os", "os._exit(0)"),
        r":1: ended the process \(exit status 0\)",
    ),
    "a crash": (
        fence("import os, signal", "os.kill(os.getpid(), signal.SIGSEGV)"),
        r":1: ended the process \(SIGSEGV\)",
    ),
    "a warning": (
        fence("import warnings", "warnings.warn('old', DeprecationWarning)"),
        r":3: this warns, DeprecationWarning: old",
    ),
    "a warning of torch": (
        fence("from torch import nn", "layer = nn.Linear(0, 1)"),
        r":3: this warns, UserWarning: Initializing zero-element tensors is a no-op",
    ),
    "a warning among exceptions that are caught": (
        fence("import warnings", "try:", "    warnings.warn('old')", "except Warning:", "    pass"),
        r":3: this warns, UserWarning: old",
    ),
    "an exception in a thread": (
        fence("import threading", "t = threading.Thread(target=lambda: 1 / 0)", "t.start(); t.join()"),
        r"a thread raised ZeroDivisionError",
    ),
    "another message": (
        fence("{}['a']", "#> KeyError: 'b'", keys='raises="KeyError"'),
        NOT_WHAT_HAPPENS.format(3),
    ),
    "a message that is not shown": (fence("{}['a']", keys='raises="KeyError"'), NOT_WHAT_HAPPENS.format(3)),
    "another class": (
        fence("{}['a']", "#> KeyError: 'a'", keys='raises="ValueError"'),
        r":2: this was to raise exactly ValueError, and raised KeyError",
    ),
    "a base class": (
        fence("{}['a']", "#> KeyError: 'a'", keys='raises="LookupError"'),
        r":2: this was to raise exactly LookupError, and raised KeyError",
    ),
    "nothing raised": (
        fence("x = 1", keys='raises="KeyError"'),
        r":2: this was to raise KeyError, and raised nothing",
    ),
    "an earlier statement raised": (
        fence("{}['a']", "#> KeyError: 'a'", "x = 1", keys='raises="KeyError"'),
        r":2: this raises KeyError",
    ),
    "a class that is none": (
        fence("{}['a']", "#> KeyError: 'a'", keys='raises="Banana"'),
        r'raises="Banana" names no exception class',
    ),
    "a carriage return": (fence("print('10%\\r20%')", "#> 20%"), r"control characters .*: '\\r'"),
    "three backticks": (fence("print('`' * 3)", "#> '''"), r":2: this prints three backticks"),
    "a late output of an unknown name": (fence("print(name)"), r":2: this raises NameError"),
    "a changed default": (
        fence("def scale(x, by=3):", "    return x * by", keys='title="d2lblocks/lib.py"'),
        r"(?s):2: scale is not the one of d2lblocks/lib\.py\n.*-def scale\(x, by=3\)",
    ),
    "a changed constant": (
        fence("HALF = 0.25", keys='title="d2lblocks/lib.py"'),
        r":2: HALF is not the one of",
    ),
    "a changed method": (
        fence(
            "class Scaler:",
            "    def __init__(self, by: float = HALF) -> None:",
            "        self.by = 2 * by",
            keys='title="d2lblocks/lib.py"',
        ).replace("HALF", "0.5"),
        r"Scaler is not the one of",
    ),
    "a name the library does not have": (
        fence("def scales(x):", "    return x", keys='title="d2lblocks/lib.py"'),
        r":2: d2lblocks/lib\.py defines no scales",
    ),
    "a line the library does not have": (
        fence("HALF = 0.5", "HALF.real", keys='title="d2lblocks/lib.py"'),
        r":3: `HALF\.real` is not in d2lblocks/lib\.py",
    ),
    "an import the library does not have": (
        fence("from math import sqrt as math", "HALF = 0.5", keys='title="d2lblocks/lib.py"'),
        r":2: d2lblocks/lib\.py has no `from math import sqrt as math`",
    ),
    "a changed docstring": (
        fence("def scale(x, by=2):", "    'Divide.'", "    return x * by", keys='title="d2lblocks/lib.py"'),
        r":2: scale is not the one of",
    ),
    "an overload left out": (
        fence("def pick(x: int) -> int: ...", "def pick(x):", "    return x", keys='title="d2lblocks/lib.py"'),
        r"d2lblocks/lib\.py defines no pick like this",
    ),
    "a title over nothing": (fence("import math", keys='title="d2lblocks/lib.py"'), r":1: this defines nothing"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_caught(lie: str, tmp_path: Path) -> None:
    """The last snippet of the page fails with this remark; the snippets before it pass."""
    text, remark = LIES[lie]
    *before, last = check(project(tmp_path, **{"docs/en/page.md": text})).values()
    assert not any(before)
    assert re.search(remark, last), last


TRUTHS = {
    "nothing printed": fence("x = 1"),
    "only a comment": fence("# to be continued"),
    "lines, empty ones too": fence("print('a\\n\\nb')", "#> a", "#>", "#> b"),
    "blanks at both ends": fence("print('  a ')", "#>   a "),
    "a tab": fence("print('\\ta')", "#> \ta"),
    "text of other scripts": fence("print('参数 ✓')", "#> 参数 ✓"),
    "a sign inside a string": fence('text = """', "#> not an output", '"""', "print(len(text))", "#> 18"),
    "a loop is one statement": fence("for i in range(2):", "    print(i)", "", "#> 0", "#> 1").replace("\n\n", "\n"),
    "two statements on a line": fence("print(1); print(2)", "#> 1", "#> 2"),
    "a statement over several lines": fence("print(", "    1,", ")", "#> 1"),
    "a decorated function": fence("import functools", "@functools.cache", "def f():", "    print(1)", "f()", "#> 1"),
    "a remark after the output": fence("print(1)", "#> 1", "# as it should be"),
    "no newline at the end": fence("print('a', end='')", "#> a"),
    "a line past a stand-in for sys.stdout": fence("import io, sys", "sys.stdout = io.StringIO()", "print(1, file=sys.__stdout__)", "#> 1"),
    "a process of the page": fence("import multiprocessing as mp", "def f():", "    print(1)", "p = mp.get_context('fork').Process(target=f)", "p.start(); p.join()", "#> 1"),
    "workers of the page": fence("from torch.utils.data import DataLoader", "class Squares:", "    def __len__(self): return 4", "    def __getitem__(self, i): return i * i", "loader = DataLoader(Squares(), num_workers=1, multiprocessing_context='fork')", "print([int(X) for X in loader])", "#> [0, 1, 4, 9]"),
    "the main process": fence("import multiprocessing as mp", "print(mp.current_process().name, mp.parent_process())", "#> MainProcess None"),
    "an exit in a thread": fence("import sys, threading", "t = threading.Thread(target=sys.exit)", "t.start(); t.join()"),
    "a tensor": fence("import torch", "print(torch.eye(2))", "#> tensor([[1., 0.],", "#>         [0., 1.]])"),
    "one program": fence("def f():", "    print(g())") + "\n" + fence("def g():", "    return 1", "f()", "#> 1"),
    "a future import": fence("from __future__ import annotations", "def f(x: Nothing): ...") + fence("def g(x: No): ..."),
    "output of a child process": fence("import os", "print('a')", "#> a", "status = os.system('echo b')", "#> b"),
    "a pickled class of the page": fence("import pickle", "class A: pass", "a = pickle.loads(pickle.dumps(A()))", "print(type(a) is A)", "#> True"),
    "a class the page defines": fence("class Oops(Exception): pass", "raise Oops('no')", "#> Oops: no", keys='raises="Oops"'),
    "a class with dots": fence("import pickle", "raise pickle.UnpicklingError('no')", "#> _pickle.UnpicklingError: no", keys='raises="pickle.UnpicklingError"'),
    "output before the exception": fence("print(1)", "#> 1", "print(2); {}['a']", "#> 2", "#> KeyError: 'a'", keys='raises="KeyError"'),
    "a message of several lines": fence("raise ValueError('a\\n\\tb')", "#> ValueError: a", "#> \tb", keys='raises="ValueError"'),
    "an exception without a message": fence("raise ValueError", "#> ValueError", keys='raises="ValueError"'),
    "a syntax error while running": fence("compile('x = (', 'name', 'exec')", "#> SyntaxError: '(' was never closed", keys='raises="SyntaxError"'),
    "a message that fails": fence("class Oops(Exception):", "    def __str__(self): return 1", "raise Oops", "#> Oops: <exception str() failed>", keys='raises="Oops"'),
    "half a character": fence("raise ValueError('\\ud800')", "#> ValueError: \\ud800", keys='raises="ValueError"'),
    "SystemExit, announced": fence("raise SystemExit(1)", "#> SystemExit: 1", keys='raises="SystemExit"'),
    "the page goes on after it": fence("{}['a']", "#> KeyError: 'a'", keys='raises="KeyError"') + fence("print(1)", "#> 1"),
    "a warning that is caught": fence("import warnings", "with warnings.catch_warnings(record=True) as caught:", "    warnings.warn('old')", "print(caught[0].message)", "#> old"),
    "a warning that is ignored": fence("import warnings", "warnings.simplefilter('ignore')", "warnings.warn('old')"),
    "all keys": fence("x = 1", "y = 2", keys='title="a caption" hl_lines="1 1-2" linenums="1"'),
    "the library's function, without docstring and comment": fence("def scale(x, by=2):", "    return x * by", keys='title="d2lblocks/lib.py"'),
    "the library's function, with other comments": fence("import math", "def scale(x, by=2):", "    return x * by  # here", keys='title="d2lblocks/lib.py"'),
    "the library's constant and class": fence("HALF = 0.5", "", "class Scaler:", "    def __init__(self, by: float = HALF) -> None:", "        self.by = by", keys='title="d2lblocks/lib.py"'),
    "the library's docstring": fence("def scale(x, by=2):", '    """Multiply."""', "    return x * by", keys='title="d2lblocks/lib.py"'),
    "the library's two constants": fence("ONE, TWO = 1, 2", keys='title="d2lblocks/lib.py"'),
    "the library's overloads": fence("from typing import overload", "@overload", "def pick(x: int) -> int: ...", "@overload", "def pick(x: str) -> str: ...", "def pick(x):", "    return x", keys='title="d2lblocks/lib.py"'),
    "what an overload comes to": fence("def pick(x):", "    return x", keys='title="d2lblocks/lib.py"'),
    "an indented fence": "!!! note\n\n" + fence("for i in range(1):", "    print(i)", "#> 0", "", "print(2)", "#> 2", indent="    "),
    "what is not run": "```text\n>>> 1 / 0\n```\n\n```console\n$ python\n```\n\n" + fence("x = 1"),
    "the end of a line is \\r\\n": fence("print('a')", "#> a", "print('b')", "#> b").replace("\n", "\r\n"),
    "reading nothing from the keyboard": fence("input()", "#> EOFError: EOF when reading a line", keys='raises="EOFError"'),
}  # fmt: skip


@pytest.mark.parametrize("truth", TRUTHS)
def test_a_truth_passes(truth: str, tmp_path: Path) -> None:
    """No snippet of the page fails, and nothing is wrong with its fences."""
    said = check(project(tmp_path, **{"docs/en/page.md": TRUTHS[truth]}))
    assert said
    assert not any(said.values()), said


PRETENDERS = {
    "an unknown key": ('```python {gup="1"}\nx = 1\n```', 1, "there is no key gup"),
    "a key twice": ('```python {gpu="1" gpu="2"}\nx = 1\n```', 1, "the key gpu stands here twice"),
    "keys without a brace": ('```python gpu="1"\nx = 1\n```', 1, "keys go into one brace"),
    "a value without quotes": ("```python {gpu=1}\nx = 1\n```", 1, 'keys are written key="value"'),
    "no GPU": ('```python {gpu="0"}\nx = 1\n```', 1, "makes no sense"),
    "some GPUs": ('```python {gpu="some"}\nx = 1\n```', 1, "makes no sense"),
    "an empty title": ('```python {title=""}\nx = 1\n```', 1, "makes no sense"),
    "a line that is not there": ('```python {hl_lines="2"}\nx = 1\n```', 1, "makes no sense"),
    "lines that are none": ('```python {hl_lines="a"}\nx = 1\n```', 1, "makes no sense"),
    "raising a sentence": ('```python {raises="a b"}\nx = 1\n```', 1, "makes no sense"),
    "a file that is not there": ('```python {title="d2lblocks/no.py"}\nx = 1\n```', 1, "no src/d2lblocks/no.py"),
    "a title almost the library's": (
        '```python {title="src/d2lblocks/lib.py"}\nx = 1\n```', 1, 'begins "d2lblocks/"',
    ),
    "a blank in the brace": ("```{ .python }\nx = 1\n```", 1, "a fence is ```python"),
    "a class in the brace": ("```{.python}\nx = 1\n```", 1, "a fence is ```python"),
    "py": ("```py\nx = 1\n```", 1, "a fence is ```python"),
    "Python": ("```Python\nx = 1\n```", 1, "a fence is ```python"),
    "python3": ("```python3\nx = 1\n```", 1, "a fence is ```python"),
    "pycon": ("```pycon\n>>> x = 1\n```", 1, "a fence is ```python"),
    "no language": ("```\nx = 1\n```", 1, "a fence is ```python"),
    "tildes": ("~~~python\nx = 1\n~~~", 1, "a fence is three backticks"),
    "four backticks": ("````python\nx = 1\n````", 1, "a fence is three backticks"),
    "four backticks around a snippet": ("````text\n```python\nx = 1\n```\n````", 1, "three backticks"),
    "a block quote": ("> ```python\n> x = 1\n> ```", 1, "after `>`"),
    "a list item": ("- ```python\n  x = 1\n  ```", 1, "after `-`"),
    "a tab": ("!!! note\n\n\t```python\n\tx = 1\n\t```", 3, "indented by a tab"),
    "never closed": ("text\n\n```python\nx = 1\n", 3, "never closed"),
    "closed in another column": ("```python\nx = 1\n    ```", 1, "never closed"),
    "opened inside what is not run": ("```text\nx\n\n```python\nx = 1\n```", 1, "line 4, inside this fence"),
    "in a comment": ("<!--\n```python\nx = 1\n```\n-->", 2, "after `<!--`"),
    "the library's title over a text": ('```text {title="d2lblocks/lib.py"}\nx\n```', 1, "what is not run cannot"),
    "a quoted console": ("> >>> 1 + 1", 1, "a `>>>` example is not run"),
    "empty": ("```python\n```", 1, "this snippet is empty"),
    "inside what is not run": ("~~~text\n```python\nx = 1\n```\n~~~\n", 2, "inside something that is not run"),
    "backticks in a string": ('```python\nx = "```"\n```', 1, "three backticks stand inside it"),
    "less indented than its fence": ("  ```python\n  x = 1\ny = 2\n  ```", 1, "indented less"),
    "more indented than its fence": ("```python\n    x = 1\n```", 1, "indented more"),
    "a console in the prose": ("Look:\n\n>>> 1 + 1\n2\n", 3, "a `>>>` example is not run"),
}  # fmt: skip


@pytest.mark.parametrize("pretender", PRETENDERS)
def test_what_looks_like_a_snippet_is_one_or_an_error(pretender: str, tmp_path: Path) -> None:
    """The page fails, with file and line. If there is a snippet, it fails as well."""
    text, line, remark = PRETENDERS[pretender]
    said = check(project(tmp_path, **{"docs/en/page.md": text}))
    assert re.search(rf"^docs/en/page\.md:{line}: .*{re.escape(remark)}", said.pop("page.md"), re.M)
    assert all(said.values()), said


def test_a_docstring_is_a_program_of_its_own(tmp_path: Path) -> None:
    """The examples of a docstring have a namespace of their own, and name the source file's lines."""
    source = '"""Top.\n\n{}"""\n\n\ndef f():\n    """F.\n\n{}    """\n'.format(
        fence("x = 1", "print(x)", "#> 1"),
        fence("x = 2", "#> 2", indent="    ") + "\n" + fence("print(x)", "#> 2", indent="    "),
    )
    said = check(
        project(
            tmp_path, **{"src/d2lblocks/a.py": source, "src/d2lblocks/b.py": source.replace("x = 2", "y = 2")}
        )
    )
    assert not said["a.py:3"]
    assert said["a.py:14"].startswith("src/d2lblocks/a.py:16: what the page shows")
    assert not said["a.py:19"]
    assert "NameError: name 'x' is not defined" in said["b.py:19"]


@pytest.mark.parametrize(
    "source", ['def f():\n    """F.\n\n    >>> f()\n    """\n', 'x = 1\n""">>> x\n1"""\n']
)
def test_a_docstring_shows_no_console(source: str, tmp_path: Path) -> None:
    """An example with `>>>` is refused, because it would look tested but would not be run. This includes
    docstrings below attributes.
    """
    said = check(project(tmp_path, **{"src/d2lblocks/a.py": source}))
    line = source[: source.index(">>>")].count("\n") + 1
    assert said == {"a.py": f"src/d2lblocks/a.py:{line}: a `>>>` example is not run: write a python fence"}


def test_a_docstring_says_what_is_run(tmp_path: Path) -> None:
    """A snippet with a backslash needs a raw docstring; single quotes are allowed."""
    source = "def f():\n    QUOTES\n{}    '''\n".format(fence("print('\\\\')", "#> \\", indent="    "))
    pages = {"a.py": source.replace("QUOTES", "'''"), "b.py": source.replace("QUOTES", "r'''")}
    said = check(project(tmp_path, **{f"src/d2lblocks/{name}": text for name, text in pages.items()}))
    assert "src/d2lblocks/a.py:3: a snippet with a backslash needs a raw docstring" in said["a.py:3"]
    assert said["b.py:3"] == ""


def test_a_file_that_is_no_page_is_told(tmp_path: Path) -> None:
    """Files that the site shows but nothing tests, and files that cannot be read, are reported. The other
    pages are tested.
    """
    root = project(
        tmp_path, **{"docs/en/a.markdown": fence("x = 1"), "src/d2lblocks/b.py": "x = (", "README.md": ""}
    )
    (root / "docs" / "en" / "c.md").write_bytes(b"\xff")
    (root / "docs" / "en" / ".#page.md").symlink_to("nowhere")
    assert check(root) == {
        "a.markdown": "docs/en/a.markdown: the site shows this file and nothing tests it: name it .md",
        "c.md": "docs/en/c.md: this file is not UTF-8: "
        "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        "b.py": "src/d2lblocks/b.py:1: '(' was never closed",
    }
