"""The verdict on a file: run it, check what it defines, and say what is wrong. In this process."""

import ast
import inspect
import re
import sys
import traceback
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, Literal

import torch

from d2lblocks.diagnosis import explain

from .answer import Answer, Wrong
from .exercise import Exercise

__all__ = ["Verdict", "judge", "line_text"]

_PACKAGES = {"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python", "yaml": "pyyaml"}
_UNCHANGED = "Nothing has changed yet. The task is at the top of the file."
_LONGEST = 300  # characters of an error message


@dataclass(frozen=True)
class Verdict:
    """What is said about a file.

    Attributes:
        status: `"right"` or `"wrong"`; `"missing"` if there is no file.
        why: what is wrong, or why it is right.
        came: what the code gave; empty if the sentence says it all, as for the next three.
        expected: what it should have given.
        given: for which input.
        line: the number of the reader's line.
        code: the text of that line.
        page: the place on the site to read.
        printed: what the file printed.
    """

    status: Literal["right", "wrong", "missing"]
    why: str
    came: str = ""
    expected: str = ""
    given: str = ""
    line: int | None = None
    code: str = ""
    page: str = ""
    printed: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The verdict as strings and numbers, for example to write it as JSON."""
        return asdict(self)


def judge(exercise: Exercise, path: Path) -> Verdict:
    """Run the file as a program and check it. The process is not as it was afterward."""
    try:
        if path.exists() and not path.is_file():
            return Verdict("wrong", f"{path.name} is not a file. To get the exercise back, reset it.")
        source = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return Verdict("missing", f"There is no file {path.name}.")
    except OSError as error:
        return Verdict("wrong", f"The file cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        return Verdict("wrong", "The file is not UTF-8 text: save it with the encoding UTF-8.")
    try:
        tree = ast.parse(source, str(path))
        code = compile(source, str(path), "exec")
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes
        return _not_python(error, source)
    except (MemoryError, RecursionError) as error:
        name = type(error).__name__
        return Verdict("wrong", f"The file is too long, or too deeply nested, for Python to read (`{name}`).")
    if not tree.body:
        return Verdict(
            "wrong",
            "The file has no code. To get the exercise back, reset it (r): your file is kept beside it.",
        )
    answer = Answer({}, str(path))
    returned = _Returned(str(path))
    try:
        answer.names = _run(code, path)
        _defaults()
        with returned:
            try:
                exercise.check(answer)
            finally:
                _with_gradients()
    except Wrong as wrong:
        verdict = _wrong(wrong, answer, returned)
    except SystemExit as error:
        verdict = _at(Verdict("wrong", "The file ends Python, with `sys.exit()` or `quit()`."), error, path)
    except BaseException as error:  # a KeyboardInterrupt that the file raises, too
        verdict = _failed(error, answer, path)
    else:
        return Verdict("right", exercise.after)
    if ast.dump(tree) == ast.dump(ast.parse(exercise.stub)):
        verdict = replace(verdict, why=_UNCHANGED)
    verdict = verdict if verdict.page else replace(verdict, page=exercise.page)
    return replace(verdict, code=line_text(source, verdict.line))


def line_text(source: str, number: int | None) -> str:
    """The line with this number, as Python counts, without its indentation; empty if there is none."""
    lines = re.split(r"\r\n|\r|\n", source)  # `splitlines` also splits at form feeds and others
    return lines[number - 1].strip() if number and number <= len(lines) else ""


def _run(code: Any, path: Path) -> dict[str, Any]:
    """Run a program as Python does: as `__main__`, with its folder first on the path of imports."""
    module = ModuleType("__main__")
    module.__file__ = str(path)
    sys.modules["__main__"] = module
    sys.path.insert(0, str(path.parent))
    sys.argv = [str(path)]
    torch.manual_seed(0)
    exec(code, vars(module))
    return vars(module)


def _defaults() -> None:
    """Undo what a file may have set for all of PyTorch, and draw the inputs of the check from a seed."""
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    torch.manual_seed(1)


def _with_gradients() -> None:
    """Refuse code that leaves gradients off; what the check found after that comes from it."""
    if not torch.is_grad_enabled():
        raise Wrong(
            "Your code turns gradients off and leaves them off, as `torch.set_grad_enabled(False)` does. "
            "`with torch.no_grad():` turns them on again at its end.",
            came="torch.is_grad_enabled() is False",
            expected="True",
        )


def _not_python(error: SyntaxError | ValueError, source: str) -> Verdict:
    message, line = (error.msg, error.lineno) if isinstance(error, SyntaxError) else (error, None)
    code = line_text(source, line)
    return Verdict("wrong", f"This is not valid Python yet: {message}.", line=line, code=code)


class _Returned:
    """While entered, it notes the line in which each function of a file returns."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[CodeType, int] = {}  # the latest at the end

    def __enter__(self) -> None:
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename != self.file:
            return None
        frame.f_trace_lines = False
        return self._event

    def _event(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "return":
            self.lines.pop(frame.f_code, None)
            self.lines[frame.f_code] = frame.f_lineno
        return self._event

    def line(self, at: Any) -> int | None:
        """The line for a definition: where it returned last; for a class, where its `forward` did.

        Without a definition, it is that of the function that returned last.
        """
        if at is None:
            return next(reversed(self.lines.values()), None)
        if isinstance(at, type):
            at = vars(at).get("forward", at)
        code = getattr(at, "__code__", None)
        if code in self.lines and at.__name__ != "__init__":
            return self.lines[code]
        try:
            return inspect.getsourcelines(at)[1] if inspect.getsourcefile(at) == self.file else None
        except (OSError, TypeError):
            return None


def _wrong(wrong: Wrong, answer: Answer, returned: _Returned) -> Verdict:
    line = wrong.at if isinstance(wrong.at, int) else None
    if wrong.at is None:  # raised while the reader's code ran, or for an error that it raised
        line = _own_line(wrong, answer.file)
        if line is None and wrong.__cause__:
            line = _own_line(wrong.__cause__, answer.file)
    if line is None:
        line = next(filter(None, map(returned.line, (wrong.at, None, answer.last))), None)
    return Verdict(
        "wrong", wrong.why, wrong.came, wrong.expected, wrong.given or answer.given, line, page=wrong.page
    )


def _failed(error: BaseException, answer: Answer, path: Path) -> Verdict:
    """The verdict on an answer that raised an error."""
    message = " ".join(str(error).split())
    name = type(error).__name__
    came = f"{name}: {message}" if message else name
    if len(came) > _LONGEST:
        came = f"{came[:_LONGEST]}..."
    explained = explain(error) if isinstance(error, Exception) else ()
    if isinstance(error, EOFError):
        why = "The file waits for `input()`, but nobody types while it is checked. Write the value instead."
    elif name == "BdbQuit":
        why = "The file stops in the debugger, but nobody types while it is checked. Remove `breakpoint()`."
    elif isinstance(error, ModuleNotFoundError) and error.name:
        module = error.name.partition(".")[0]
        package = _PACKAGES.get(module, module)
        why = f"There is no module `{module}` here: is it misspelled? To install it: `pip install {package}`."
    elif isinstance(error, MemoryError) or "can't allocate memory" in message:
        why = (
            "Your code needs too much memory: is there a loop that collects more and more, or a huge tensor?"
        )
    elif isinstance(error, NotImplementedError) and not message:
        why = "Something is not written yet."
    elif isinstance(error, StopIteration):
        why = "`next(...)` finds nothing, for example because a module has no parameters."
    elif plain := _plain(error, message):
        why = plain
    elif explained and explained[0].cause:
        why = f"{explained[0].cause} {explained[0].fix}"
    elif _in_check(error):
        why = "The check cannot use what your code gave it."
    else:
        why = f"Your code raised {_article(name)} `{name}`."
    page = explained[0].link if explained else ""
    verdict = _at(Verdict("wrong", why, came, given=answer.given, page=page), error, path)
    definition = answer.last
    if isinstance(definition, type) and ".__init__()" in message:
        definition = definition.__init__  # type: ignore[misc]
    return verdict if verdict.line else replace(verdict, line=_Returned(str(path)).line(definition))


# Errors of Python that beginners meet, and what they mean here; {0}, {1} ... are the parts of the message.
_PLAIN = [
    (
        r"TypeError: (\S+)\(\) takes (?:from \d+ to )?(\d+) positional arguments? but (\d+) w\w+ given",
        "`{0}` is called with too many arguments, {2} instead of {1}: compare its parameters with the call "
        "and with the task. In a class, the first one is `self`, and it counts.",
    ),
    (
        r"TypeError: (\S+)\(\) missing (\d+) required (?:positional|keyword-only) arguments?: (.+)",
        "`{0}` is called without {2}: compare its parameters with the call and with the task.",
    ),
    (
        r"TypeError: (\S+)\(\) got an unexpected keyword argument '(\w+)'",
        "`{0}` has no parameter `{1}`: compare its parameters with the task.",
    ),
    (
        r"TypeError: (list|tuple|dict|generator|set) is not a Module subclass",
        "A container got a {0} where it needs a module. `nn.ModuleList` takes one list of modules; "
        "`nn.Sequential` takes the modules one by one, as in `nn.Sequential(*modules)`.",
    ),
    (
        r"ImportError: cannot import name '(\w+)' from '([\w.]+)'.*",
        "`{1}` has no `{0}` to import: is it misspelled, or does it have another name?",
    ),
    (
        r"NameError: name '(\w+)' is not defined.*",
        "There is nothing called `{0}` here: is it misspelled, not imported, or an attribute (`self.{0}`)?",
    ),
    (
        r"AttributeError: '([\w.]+)' object has no attribute '(\w+)'.*",
        "This {0} has no `{1}`: is it misspelled, or never assigned?",
    ),
    (
        r"AttributeError: module '([\w.]+)' has no attribute '(\w+)'.*",
        "`{0}` has no `{1}`: is it misspelled?",
    ),
    (
        r"KeyError: \"attribute '(\w+)' already exists\"",
        "`{0}` is already an attribute: registering it takes the place of `self.{0} = ...`, so remove that.",
    ),
    (
        r"TypeError: '(\w+)' object is not callable",
        "An object of the type `{0}` is followed by parentheses, but it cannot be called.",
    ),
    (
        r"TypeError: type '(\w+)' is not subscriptable",
        "`{0}` is followed by square brackets; a call has round ones, as in `{0}(...)`.",
    ),
    (
        r"TypeError: '(int|float|bool|NoneType)' object is not iterable",
        "A loop, or a function that needs a list, gets something of the type `{0}`.",
    ),
    (
        r"RuntimeError: Boolean value of Tensor with more than one value is ambiguous",
        "A tensor is used as if it were true or false, as by `if`, `or` or `in`. "
        "To compare objects, use `is` or `is not`.",
    ),
    (
        r"RuntimeError: (?:\w+ )+(?:changed|mutated)(?: size)? during iteration",
        "The loop changes the container that it runs over: run over a copy, as in `for name in list(state):`,"
        " or fill a new one.",
    ),
    (
        r"UnboundLocalError: .*'(\w+)'.*",
        "`{0}` is used before it gets a value: in a function, a name that is assigned anywhere is its own.",
    ),
]


def _plain(error: BaseException, message: str) -> str:
    """The meaning of an error that comes from Python rather than from PyTorch; empty if it is another one."""
    for pattern, meaning in _PLAIN:
        if match := re.fullmatch(pattern, f"{type(error).__name__}: {message}"):
            return meaning.format(*match.groups())
    return ""


def _in_check(error: BaseException) -> bool:
    """Whether the error was raised by a line of a check, not by the reader's code or by what it calls.

    A check that only watches the operations of PyTorch does not count.
    """
    watches = ("__torch_function__", "__torch_dispatch__")
    frames = [
        frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_name not in watches
    ]
    return str(frames[-1].f_globals.get("__package__")).startswith(f"{__package__}.exercises")


def _article(word: str) -> str:
    return "an" if re.match("[AEIO]|U(?!ni|se)", word, re.IGNORECASE) else "a"


def _at(verdict: Verdict, error: BaseException, path: Path) -> Verdict:
    """The verdict with the reader's line: the last one of the traceback that is in the file."""
    line = _own_line(error, str(path))
    return replace(verdict, line=line) if line else verdict


def _own_line(error: BaseException, file: str) -> int | None:
    """The last line of the traceback that is in the file."""
    own = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    return own[-1] if own else None
