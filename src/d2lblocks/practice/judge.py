"""The verdict on a file: run it, check what it defines, and say what is wrong. In this process."""

import ast
import inspect
import linecache
import sys
import traceback
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch

from d2lblocks.diagnosis import explain

from .answer import Answer, Wrong
from .exercise import Exercise

__all__ = ["Verdict", "judge"]


_PACKAGES = {"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python", "yaml": "pyyaml"}
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
        source = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return Verdict("missing", f"There is no file {path.name}.")
    except UnicodeDecodeError:
        return Verdict("wrong", "The file is not UTF-8 text: save it with the encoding UTF-8.")
    try:
        tree = ast.parse(source, str(path))
        code = compile(source, str(path), "exec")
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes
        return _not_python(error, source)
    if not tree.body:
        return Verdict(
            "wrong", "The file has no code. To get the exercise back, start it again: the file is kept."
        )
    answer = Answer({}, str(path))
    try:
        answer.names = _run(code, path)
        _defaults()
        exercise.check(answer)
    except Wrong as wrong:
        verdict = _wrong(wrong, answer)
    except SystemExit as error:
        verdict = _at(Verdict("wrong", "The file ends Python, with `sys.exit()` or `quit()`."), error, path)
    except BaseException as error:  # a KeyboardInterrupt that the file raises, too
        verdict = _failed(error, answer, path)
    else:
        return Verdict("right", exercise.after)
    if ast.dump(tree) == ast.dump(ast.parse(exercise.stub)):
        verdict = replace(verdict, why=f"Nothing has changed yet. {verdict.why}")
    verdict = verdict if verdict.page else replace(verdict, page=exercise.page)
    return replace(verdict, code=linecache.getline(str(path), verdict.line or 0).strip())


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
    torch.set_default_device("cpu")
    torch.set_grad_enabled(True)
    torch.manual_seed(1)


def _not_python(error: SyntaxError | ValueError, source: str) -> Verdict:
    message, line = (error.msg, error.lineno) if isinstance(error, SyntaxError) else (error, None)
    lines = source.splitlines()
    code = lines[line - 1].strip() if line and line <= len(lines) else ""
    return Verdict("wrong", f"This is not valid Python yet: {message}.", line=line, code=code)


def _wrong(wrong: Wrong, answer: Answer) -> Verdict:
    line = wrong.at if isinstance(wrong.at, int) else _line_of(wrong.at or answer.last, answer.file)
    return Verdict(
        "wrong", wrong.why, wrong.came, wrong.expected, wrong.given or answer.given, line, page=wrong.page
    )


def _line_of(definition: Any, file: str) -> int | None:
    """The line of a function, or of `forward` in a class, if it is in the file."""
    if isinstance(definition, type):
        definition = vars(definition).get("forward", definition)
    try:
        if inspect.getsourcefile(definition) == file:
            return inspect.getsourcelines(definition)[1]
    except (OSError, TypeError):
        pass
    return None


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
    elif explained and explained[0].cause:
        why = f"{explained[0].cause} {explained[0].fix}"
    elif _in_check(error):
        why = "The check cannot use what your code gave it."
    else:
        why = f"Your code raised {_article(name)} `{name}`."
    page = explained[0].link if explained else ""
    verdict = Verdict("wrong", why, came, given=answer.given, page=page)
    return _at(verdict, error, path)


def _in_check(error: BaseException) -> bool:
    """Whether the error was raised by a line of a check, not by the reader's code or by what it calls."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__package__")).startswith(f"{__package__}.exercises")


def _article(word: str) -> str:
    return "an" if word[0] in "AEIOU" else "a"


def _at(verdict: Verdict, error: BaseException, path: Path) -> Verdict:
    """The verdict with the reader's line: the last one of the traceback that is in the file."""
    frames = traceback.walk_tb(error.__traceback__)
    own = [line for frame, line in frames if frame.f_code.co_filename == str(path)]
    return replace(verdict, line=own[-1]) if own else verdict
