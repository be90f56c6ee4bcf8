"""The entries of "When it goes wrong" on the pages.

Directly below its heading, an entry has one comment line with its symptom, its cause and its fix.
Its messages are those that its snippets show, and those that its heading contains as code.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from tests.page_runner import Heading, Page, Snippet, parse_quietly
from tools.pages import topics

from .cells import error_shown

SECTION = "When it goes wrong"
SYMPTOMS = (
    "it does not learn",
    "the result changes from call to call",
    "the values are wrong",
    "a layer or parameter is missing",
    "it does not load",
    "it does not save",
    "shapes do not fit",
    "wrong device or dtype",
    "out of memory",
    "slow",
    "it hangs or crashes",
    "an attribute or argument is wrong",
)
COMMENT = re.compile(r" *<!--(.*)-->\s*")
CODE = re.compile(r"(`+)(.+?)\1")
NEEDED = f"""\
Write one line directly below the heading, such as
<!-- it does not load | The file holds a whole module. | Save `net.state_dict()`. -->
with a cause and a fix of one sentence each, and one of these symptoms: {"; ".join(SYMPTOMS)}."""


@dataclass(frozen=True)
class Message:
    """A line of an error message or of a warning, and whether it is a message of this package."""

    text: str
    own: bool


@dataclass(frozen=True)
class Entry:
    """A heading with the content below it; without a symptom, it only shows messages."""

    page: Page
    heading: Heading
    messages: tuple[Message, ...] = ()
    symptom: str = ""
    cause: str = ""
    fix: str = ""


def entries(pages: list[Page], root: Path) -> list[Entry]:
    """All entries, in the order of the site.

    A heading elsewhere is also an entry if it has such a line, or if messages are shown below it.
    Messages shown elsewhere that are part of a heading are left out, because that heading leads to them.

    Raises:
        ValueError: if an entry has no such line, or a wrong one; the message says what to write.
    """
    there = [page for page in topics(pages, root) if any(each.text == SECTION for each in page.headings())]
    headings = "\n".join(plain(heading.text) for page in there for heading in page.headings())
    words = words_of_package(root)
    found, problems = [], []
    for page in there:
        for heading, end, inside in parts(page):
            shown = [
                Message(text, own(group[0], words))
                for group in shown_below(heading, end, page)
                for text in group
            ]
            line = line_below(heading, page)
            if inside or "|" in line:
                fields = [field.strip() for field in line.split("|")]
                if problem := wrong(fields):
                    problems.append(f'{page.name}:{heading.line}: the entry "{heading.text}" {problem}')
                else:
                    messages = in_heading(heading.text, shown, words) + shown
                    found.append(Entry(page, heading, tuple(dict.fromkeys(messages)), *fields))
            elif messages := [message for message in shown if message.text not in headings]:
                found.append(Entry(page, heading, tuple(dict.fromkeys(messages))))
    if problems:
        raise ValueError("\n".join([*problems, NEEDED]))
    return found


def parts(page: Page) -> Iterator[tuple[Heading, int, bool]]:
    """Yield each heading, the line of the next one, and whether the heading is in the section."""
    headings = list(page.headings())
    inside = False
    for heading, end in zip(
        headings, [*(each.line for each in headings[1:]), len(page.lines) + 1], strict=True
    ):
        inside = heading.text == SECTION if heading.level <= 2 else inside
        yield heading, end, inside and heading.level > 2


def line_below(heading: Heading, page: Page) -> str:
    """The text of the comment directly below a heading; empty if there is none."""
    below = page.text_lines()[heading.line :]
    first = next((line for line in below if line.strip()), "")
    comment = COMMENT.fullmatch(first)
    return comment[1].strip() if comment else ""


def wrong(fields: list[str]) -> str:
    """The error in a line with these fields; empty if there is none."""
    if fields == [""]:
        return "does not say its symptom, cause and fix."
    if len(fields) != 3:
        return f"needs a symptom, a cause and a fix between `|`, but has {len(fields)} of 3."
    if fields[0] not in SYMPTOMS:
        return f'has a symptom that is not in the list: "{fields[0]}".'
    for what, sentence in zip(("cause", "fix"), fields[1:], strict=True):
        if not sentence.endswith(".") or len(sentence) < 2:
            return f'has a {what} that is no sentence with a period at its end: "{sentence}".'
    return ""


def shown_below(heading: Heading, end: int, page: Page) -> Iterator[list[str]]:
    """Yield the messages that the snippets below a heading show, each as its lines."""
    for snippet in page.snippets:
        if heading.line < snippet.line < end:
            yield from filter(None, [*caught(snippet), raised(snippet)])


def raised(snippet: Snippet) -> list[str]:
    """The lines of the message that ends a snippet, if there is one."""
    if not snippet.raises:
        return []
    before, _, _ = error_shown(snippet.outputs(), snippet.raises)
    first, *others = [line.strip() for line in snippet.outputs()[len(before) :]] or [""]
    return [first, *filter(is_sentence, others)]


def caught(snippet: Snippet) -> Iterator[list[str]]:
    """Yield the printed texts of caught exceptions and recorded warnings, without short ones such as True."""
    shown = snippet.output_lines()
    recorded: set[str] = set()
    for node in snippet.tree().body:
        recorded |= warnings_recorded(node)
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        handles = isinstance(node, ast.Try) and any(handler.name for handler in node.handlers)
        if handles or names & recorded:
            after = range((node.end_lineno or 0) + 1, len(snippet.code) + 1)
            lines = [snippet.code[number - 1] for number in takewhile(shown.__contains__, after)]
            yield list(filter(is_sentence, (line.strip().removeprefix("#>").strip() for line in lines)))


def warnings_recorded(node: ast.stmt) -> set[str]:
    """The names of the lists that `with warnings.catch_warnings(record=True) as NAME` fills."""
    items = node.items if isinstance(node, ast.With) else []
    names = [each.optional_vars for each in items if "catch_warnings" in ast.unparse(each.context_expr)]
    return {name.id for name in names if isinstance(name, ast.Name)}


def is_sentence(line: str) -> bool:
    return line.count(" ") > 1


def in_heading(heading: str, shown: list[Message], words: list[str]) -> list[Message]:
    """The messages that a heading contains as code (words, not Python), unless they are shown below it."""
    code = [match[2] for match in CODE.finditer(heading)]
    said = [text for text in code if " " in text and not is_python(text)]
    return [Message(text, own(text, words)) for text in said if all(text not in each.text for each in shown)]


def is_python(text: str) -> bool:
    try:
        parse_quietly(text, "heading")
    except SyntaxError:
        return False
    return True


def own(message: str, words: list[str]) -> bool:
    """Whether a message comes from this package."""
    return any(each in message or message in each for each in words)


def words_of_package(root: Path) -> list[str]:
    """The package's strings for messages: those with four words or more in one line."""
    nodes = [
        node
        for file in sorted((root / "src").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
    ]
    # Exclude strings that are compared with messages of others, as in `"no such file" in str(error)`.
    compared = {id(part) for node in nodes if isinstance(node, ast.Compare) for part in ast.walk(node)}
    strings = [
        node.value.strip()
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in compared
    ]
    return [each for each in strings if "\n" not in each and len(re.findall("[A-Za-z]+", each)) > 3]


def plain(heading: str) -> str:
    return heading.replace("`", "")
