"""What `diagnose` returns: a report of findings, as text, in a notebook, or as data."""

import html
import os
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding", "Report"]

_WIDTH = 80  # columns of the text
_MOST_NAMES = 4  # names that the text lists; the finding itself has all of them

Level = Literal["error", "question"]


@dataclass(frozen=True)
class Finding:
    """One mistake in a net, or one question about it.

    Attributes:
        code: the name of the kind of mistake, such as `"unregistered"`; it stays the same between versions.
        level: `"error"` for a mistake in any case, `"question"` for a mistake unless it is intended.
        names: the places in the net: dotted paths as in `state_dict`, such as `"hidden.weight"`, or
            attributes as they are seen from the net, such as `"self.layers[0]"`.
        file: the file of the line that causes it, or `None` if there is no such line.
        line: the number of that line, or `None`.
        text: what happens, in one or two sentences.
        fix: what to write instead.
        page: the place on the site that teaches it, such as `"modules.md#parameters"`.

    Examples:
        ```python
        import torch
        from torch import nn
        from d2lblocks import diagnose

        net = nn.Sequential(*[nn.Linear(4, 4)] * 2)
        finding = diagnose(net, torch.rand(2, 4)).questions[0]
        print(finding.code, finding.names)
        #> one-layer-many-names ('0', '1')
        ```
    """

    code: str
    level: Level
    names: tuple[str, ...]
    file: str | None
    line: int | None
    text: str
    fix: str
    page: str

    @property
    def place(self) -> str:
        """The file and the line, such as `"net.py:12"`; empty if they are not known."""
        if self.file is None:
            return ""
        path = os.path.relpath(self.file) if os.path.isabs(self.file) else self.file
        short = os.path.basename(self.file) if path.startswith("..") else path
        return short if self.line is None else f"{short}:{self.line}"

    def __str__(self) -> str:
        names = [*self.names[:_MOST_NAMES], *_more(len(self.names) - _MOST_NAMES)]
        head = _wrapped(f"{self.level:<10}{self.code:<22}{', '.join(names)}", after=32)
        gap = _WIDTH - len(head[-1]) - len(self.place)
        if not self.place:
            pass
        elif gap > 1:
            head[-1] += " " * gap + self.place
        else:
            head.append(" " * 10 + self.place)
        body = [line for part in (self.text, self.fix, self.page) for line in part.splitlines()]
        return "\n".join([*head, *(line for each in body for line in _wrapped(each, before=10, after=10))])


def _wrapped(line: str, before: int = 0, after: int = 0) -> list[str]:
    return textwrap.wrap(
        line, _WIDTH, initial_indent=" " * before, subsequent_indent=" " * after, break_long_words=False,
        break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False,
    )  # fmt: skip


def _more(number: int) -> list[str]:
    return [f"... ({number} more)"] if number > 0 else []


@dataclass(frozen=True)
class Report:
    """The findings of `diagnose`, errors first. Like a list, it is true if there are any, and has a length.

    It prints as text, and a notebook displays it as a table.

    Attributes:
        title: what was called, such as `"Net, called with (8, 20)"`.
        findings: the findings, errors first, each kind in the order of the net.

    Examples:
        ```python
        import torch
        from d2lblocks import MLP, diagnose

        report = diagnose(MLP(20), torch.rand(8, 20))
        print(report)
        #> MLP, called with (8, 20): nothing found
        print(bool(report), len(report.errors))
        #> False 0
        ```
    """

    title: str
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are mistakes in any case."""
        return tuple(each for each in self if each.level == "error")

    @property
    def questions(self) -> tuple[Finding, ...]:
        """The findings that are mistakes unless they are intended."""
        return tuple(each for each in self if each.level == "question")

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __getitem__(self, index: int) -> Finding:
        return self.findings[index]

    def __str__(self) -> str:
        return "\n\n".join([f"{self.title}: {self._counts()}", *map(str, self)])

    def _counts(self) -> str:
        kinds = (("error", len(self.errors)), ("question", len(self.questions)))
        return ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in kinds if n) or "nothing found"

    def _repr_html_(self) -> str:
        def row(each: Finding) -> str:
            fix = f"<pre>{html.escape(each.fix)}</pre>"
            place = f"<br>{html.escape(each.place)}" if each.place else ""
            cells = (
                f"{each.level}<br><code>{each.code}</code>",
                "<br>".join(f"<code>{html.escape(name)}</code>" for name in each.names) + place,
                f"{html.escape(each.text)}{fix}<small>{html.escape(each.page)}</small>",
            )
            return "<tr>" + "".join(f'<td style="text-align: left">{cell}</td>' for cell in cells) + "</tr>"

        title = html.escape(f"{self.title}: {self._counts()}")
        return f"<table><caption>{title}</caption><tbody>{''.join(map(row, self))}</tbody></table>"

    def as_dict(self) -> dict[str, Any]:
        """The report as dictionaries, lists, strings and numbers, for example to write it as JSON."""
        return {"title": self.title, "findings": [asdict(each) for each in self]}
