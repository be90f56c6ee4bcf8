"""The exercises of a page: task, command and solution, as the package's exercises have them."""

import ast
import re
import textwrap
from collections.abc import Iterator

from tests.page_runner import Page, imported

PRACTICE = "src/d2lblocks/practice"
PAGE = "docs/en/practice.md"
COMMAND = "python -m d2lblocks practice start"
ITEM = re.compile(r"^(\d+)\. ", re.M)
COMMAND_LINE = re.compile(r"^    To practice \(\w+\): `.*`\n\n", re.M)
SECTION = re.compile(r"^## (Exercises|Projects)$", re.M)
END = re.compile(r"^## ", re.M)


def practice(page: Page) -> str:
    """The text of the page with the tasks and solutions of its topic.

    Exercise N of the topic is item N of the section "Exercises". An item begins with the task and the
    command; anything may follow. A fence titled like the exercise's file shows the solution, without the
    imports that the page already has. Raise a ValueError if there is no such item or fence.
    """
    # Import it only here: other projects whose pages are tested do not have it.
    from d2lblocks.practice.exercise import find

    text = page.path.read_text("utf-8")  # another part of it may have been written since the page was read
    topic = "projects" if page.path.stem == "practice" else page.path.stem
    for exercise in find(topic):
        start, end = item(text, page.name, exercise.number)
        first, *others = textwrap.dedent(exercise.task).strip().split("\n\n")
        begin = f"{exercise.number}. " + first.replace("\n", "\n   ")
        parts = [begin, *(textwrap.indent(each, " " * 4) for each in others)]
        parts.append(f"    To practice ({exercise.level}): `{COMMAND} {exercise.id}`")
        found = COMMAND_LINE.search(text, start, end)
        body = text[found.end() if found else text.index("    <details", start, end) : end]
        body = with_solution(body, page, exercise.file, exercise.solution)
        text = text[:start] + "\n\n".join([*parts, body]) + text[end:]
    return text


def exercise_table() -> Iterator[str]:
    """Yield the lines of the table of all exercises, by topic."""
    from d2lblocks.practice.exercise import all_exercises

    yield "| Exercise | Level | What it is about |"
    yield "|---|---|---|"
    for exercise in all_exercises():
        place = "#projects" if exercise.topic == "projects" else f"{exercise.topic}.md#exercises"
        yield f"| [`{exercise.id}`]({place}) | {exercise.level} | {exercise.title} |"


def item(text: str, page: str, number: int) -> tuple[int, int]:
    """Start and end of an item of the section "Exercises", or of the projects."""
    section = found.start() if (found := SECTION.search(text)) else -1
    end = found.start() if (found := END.search(text, section + 3)) else len(text)
    starts = {int(each[1]): each.start() for each in ITEM.finditer(text, section, end)}
    if section < 0 or number not in starts:
        raise ValueError(f"{page}: exercise {number} has no place in the section Exercises")
    return starts[number], starts.get(number + 1, end)


def with_solution(body: str, page: Page, file: str, solution: str) -> str:
    """The item with the solution in its fence."""
    fence = re.compile(
        rf'^(?P<head>    ```python {{title="{re.escape(file)}"}}\n)(?P<code>.*?)^    ```$', re.M | re.S
    )
    if not fence.search(body):
        raise ValueError(f'{page.name}: the solution has no fence ```python {{title="{file}"}}')
    code = textwrap.indent(without_known_imports(solution, page, file), " " * 4)
    return fence.sub(lambda match: f"{match['head']}{code}    ```", body, count=1)


def without_known_imports(solution: str, page: Page, file: str) -> str:
    """The solution without the imports at its top that earlier snippets of the page contain."""
    known: set[str] = set()
    for snippet in page.snippets:
        if snippet.title == file:
            break
        known |= {name for statement in snippet.tree().body for name in imported(statement)}
    lines = solution.splitlines(keepends=True)
    for statement in reversed(ast.parse(solution).body):
        if (names := set(imported(statement))) and names <= known:
            del lines[statement.lineno - 1 : statement.end_lineno]
    return re.sub(r"\n{4,}", "\n\n\n", "".join(lines).strip("\n")) + "\n"
