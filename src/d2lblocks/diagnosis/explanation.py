"""What `explain` returns: mistakes, best first, to be printed or displayed."""

import html
import re
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass

__all__ = ["Explanation", "Mistake"]
SEARCH_PAGE = "mistakes.md"
WIDTH = 80
NOTHING = f"""\
No page explains this message.
Look for a part of it, or for what you see, on the page {SEARCH_PAGE}."""


@dataclass(frozen=True)
class Mistake:
    """A mistake that the pages explain.

    It prints as text of at most 80 columns; only a longer link is not broken.

    Attributes:
        title: the heading of the entry, without its marks for code.
        cause: the cause, in one sentence of Markdown; empty if the page only shows the message.
        fix: what to do about it, in one sentence of Markdown; empty if the page only shows the message.
        page: the page, such as `modules.md`.
        anchor: the anchor of the entry on the page.
        message: the line of the message by which it was found.

    Examples:
        ```python
        from d2lblocks import explain

        mistake = explain("AttributeError: cannot assign module before Module.__init__() call")[0]
        print(mistake.link)
        #> modules.md#cannot-assign-module-before-module__init__-call
        ```
    """

    title: str
    cause: str
    fix: str
    page: str
    anchor: str
    message: str = ""

    @property
    def link(self) -> str:
        """The page and the anchor."""
        return f"{self.page}#{self.anchor}"

    def rows(self) -> list[tuple[str, str]]:
        """The cause, the fix and the link, each with its name, without those that are empty."""
        rows = [("Cause", self.cause), ("Fix", self.fix), ("Page", self.link)]
        return [(name, text) for name, text in rows if text]

    def __str__(self) -> str:
        lines = textwrap.wrap(self.title, WIDTH)
        for name, text in self.rows():
            plain = text.replace("`", "")
            lines += textwrap.wrap(
                f"  {name + ':':<6} {plain}",
                WIDTH,
                subsequent_indent=" " * 9,
                break_long_words=False,
                break_on_hyphens=False,
            )
        return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True)
class Explanation:
    """The mistakes that an error message fits, the most specific first.

    It prints as text, and a notebook displays it.
    It is empty, and false, if no page explains the message.

    Attributes:
        mistakes: what the message can mean.

    Examples:
        ```python
        from d2lblocks import explain

        explanation = explain("ValueError: optimizer got an empty parameter list")
        print(bool(explanation), len(explanation), explanation[0].page, explanation[1].page)
        #> True 2 modules.md parameters.md
        ```
    """

    mistakes: tuple[Mistake, ...] = ()

    def __len__(self) -> int:
        return len(self.mistakes)

    def __iter__(self) -> Iterator[Mistake]:
        return iter(self.mistakes)

    def __getitem__(self, index: int) -> Mistake:
        return self.mistakes[index]

    def as_list(self) -> list[dict[str, str]]:
        """The mistakes as dictionaries of strings, to be written as JSON."""
        return [asdict(mistake) for mistake in self]

    def __str__(self) -> str:
        return "\n\n".join(map(str, self)) or NOTHING

    def _repr_html_(self) -> str:
        items = []
        for each in self:
            rows = "".join(f"<dt>{name}</dt><dd>{_html(text)}</dd>" for name, text in each.rows())
            items.append(f"<p><strong>{html.escape(each.title)}</strong></p><dl>{rows}</dl>")
        return "".join(items) or f"<p>{html.escape(NOTHING)}</p>"


def _html(text: str) -> str:
    """A sentence of Markdown as HTML."""
    return re.sub(r"`(.+?)`", r"<code>\1</code>", html.escape(text, quote=False))
