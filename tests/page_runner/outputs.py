"""The output lines of a snippet, compared with the outputs that it printed."""

import re
from pathlib import Path

from .package_source import library_lies
from .snippet import Outcome, Snippet, output_comments

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")


def troubles(snippet: Snippet, outcome: Outcome, sources: Path, remedy: str) -> list[str]:
    """The reasons why the snippet fails, whatever outputs it shows, as review remarks."""
    if snippet.problems:
        return [f"{snippet.file}:{snippet.line}: {problem}" for problem in snippet.problems]
    if outcome.troubles:
        return outcome.troubles
    lies = library_lies(snippet, sources) if snippet.source else []
    return [f"{lie}\n{remedy}" for lie in lies] + unshowable(snippet, outcome)


def truthful(snippet: Snippet, outcome: Outcome) -> list[str]:
    """The snippet's code with the real outputs, each after its statement."""
    shown = snippet.output_lines()
    truth: list[str] = []
    for number, line in enumerate(snippet.code, 1):
        if number not in shown:
            truth.append(line)
        truth += [f"#> {text}" if text else "#>" for text in printed_lines(outcome.outputs.get(number, ""))]
    return truth


def printed_lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def unshowable(snippet: Snippet, outcome: Outcome) -> list[str]:
    """Find output that a fence cannot show, and output comments that follow code on the same line."""
    remarks = []
    for number, text in outcome.outputs.items():
        at = f"{snippet.file}:{snippet.line + number}"
        if "```" in text:
            remarks.append(f"{at}: this prints three backticks, which would end the fence")
        quotes = snippet.file.endswith(".py") and ('"""' in text or "'''" in text)
        if quotes or (not snippet.raw and "\\" in text):
            remarks.append(f"{at}: this prints quotes or backslashes, which would change the docstring")
        if control := sorted(set(CONTROL.findall(text))):
            codes = ", ".join(map(ascii, control))
            remarks.append(f"{at}: this prints control characters that a page cannot show: {codes}")
    for line, column in output_comments(snippet.code):
        if snippet.code[line - 1][:column].strip():
            at = f"{snippet.file}:{snippet.line + line}"
            remarks.append(f"{at}: output goes on lines of its own, after the statement that printed it")
    return remarks
