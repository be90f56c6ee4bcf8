"""An exercise: its texts and its check, as its module below `exercises/` defines them."""

import importlib
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .answer import Answer
from .exercises import TOPICS

__all__ = ["Exercise", "WrongAnswer", "all_exercises", "find"]

_WIDTH = 80
_SECONDS = 5.0  # for a file and its check; those of the package take a tenth of it at most


@dataclass(frozen=True)
class WrongAnswer:
    """An answer that people give and that is refused with a sentence of its own.

    Attributes:
        says: a part of the sentence; no other wrong answer of the exercise gets it.
        code: the whole file.
        changes: instead of the file, what differs from the solution: the text there, and the text here.
    """

    says: str
    code: str = ""
    changes: dict[str, str] = field(default_factory=dict)

    def file(self, solution: str) -> str:
        """The text of the file; raise a ValueError if a change does not fit the solution."""
        if self.code:
            return self.code
        for old, new in self.changes.items():
            if old not in solution:
                raise ValueError(f"the solution does not contain {old!r}")
            solution = solution.replace(old, new)
        return solution


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        topic: the topic, such as `"modules"`, which is also the name of its page.
        number: its place in the topic, counted from 1.
        name: its short name, such as `"tower"`.
        title: what it is about, in a few words.
        level: `"easy"`, `"medium"` or `"hard"`.
        task: what to do, one sentence a line, with code in backticks.
        stub: the Python code that the reader begins with.
        solution: the whole code of a right answer.
        wrong: wrong answers with their sentences.
        hints: three: a question, where to read, nearly the code.
        after: why it is right, and another way to write it.
        page: where it is taught, such as `"modules.md#parameters"`.
        check: raises `Wrong` if an answer is wrong.
        seconds: the time limit for running the file and checking it.
        modules: names of modules that the answer imports and that take long to import.
    """

    topic: str
    number: int
    name: str
    title: str
    level: str
    task: str
    stub: str
    solution: str
    wrong: tuple[WrongAnswer, ...]
    hints: tuple[str, ...]
    after: str
    page: str
    check: Callable[[Answer], None]
    seconds: float = _SECONDS
    modules: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The topic and the number, as commands take it: `modules/1`."""
        return f"{self.topic}/{self.number}"

    @property
    def file(self) -> str:
        """Its file in the folder of the reader: `modules/1_tower.py`."""
        return f"{self.topic}/{self.number}_{self.name}.py"

    @property
    def heading(self) -> str:
        """Its place, its level and its title in one line."""
        number = f"{self.number} of {len(_topic(self.topic).EXERCISES)}"
        return f"{self.topic_title} {number} ({self.level}): {self.title}"

    @property
    def topic_title(self) -> str:
        """The title of its topic."""
        return str(_topic(self.topic).TITLE)

    @property
    def plain_task(self) -> str:
        """The task with the targets of links in parentheses; code such as `net[:3](X)` stays."""
        code_or_link = r"`[^`]*`|\[([^]]+)\]\(([^)]+)\)"
        return re.sub(
            code_or_link, lambda found: f"{found[1]} ({found[2]})" if found[1] else found[0], self.task
        )

    @property
    def text(self) -> str:
        """The file as the reader gets it: the task as a comment, and the stub."""
        lines = [self.heading, "", *wrapped(self.plain_task, _WIDTH - 2), "", f"Page: {self.page}"]
        return "\n".join(f"# {line}".rstrip() for line in lines) + "\n\n" + self.stub


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text of sentences, wrapped; paragraphs stay apart, and short code is not broken."""
    whole = re.sub(r"`[^`\n]{1,40}`", lambda code: code[0].replace(" ", "\0"), text.strip())
    paragraphs = [
        textwrap.wrap(" ".join(each.split()), width, break_long_words=False, break_on_hyphens=False)
        for each in whole.split("\n\n")
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs).replace("\0", " ").split("\n")


def find(words: str) -> list[Exercise]:
    """The exercises that a reader names: `modules/1`, `modules/tower`, `modules/1_tower.py` or `modules`.

    A path such as `builders-practice/modules/1_tower.py` is understood, too.

    Raises:
        ValueError: if there is none; the message says what there is.
    """
    parts = re.split(r"[/\\]", words.strip("/").removesuffix(".py"))
    topic, rest = parts[-2:] if len(parts) > 1 else (*parts, "")
    if topic not in TOPICS:
        raise ValueError(f"there is no topic {topic!r}: there are {', '.join(TOPICS)}")
    exercises = [_exercise(topic, number, name) for number, name in enumerate(_topic(topic).EXERCISES, 1)]
    found = [
        each for each in exercises if rest in ("", each.name, str(each.number), f"{each.number}_{each.name}")
    ]
    if rest and not found:
        raise ValueError(f"there is no exercise {words!r}: there are {topic}/1 to {topic}/{len(exercises)}")
    return found


def all_exercises() -> list[Exercise]:
    """All exercises, in the order of the topics."""
    return [each for topic in TOPICS for each in find(topic)]


def _topic(name: str) -> Any:
    return importlib.import_module(f"{__package__}.exercises.{name}")


def _exercise(topic: str, number: int, name: str) -> Exercise:
    module: Any = importlib.import_module(f"{__package__}.exercises.{topic}.{name}")
    return Exercise(
        topic=topic,
        number=number,
        name=name,
        title=module.__doc__.strip().rstrip("."),
        level=module.LEVEL,
        task=module.TASK.strip(),
        stub=module.STUB,
        solution=module.SOLUTION,
        wrong=tuple(module.WRONG),
        hints=tuple(module.HINTS),
        after=module.AFTER.strip(),
        page=module.PAGE,
        check=module.check,
        seconds=getattr(module, "SECONDS", _SECONDS),
        modules=getattr(module, "MODULES", ()),
    )
