"""How long does a page take to read?

python -m tools.reading_time docs/en/PAGE.md

The estimate is 150 words of prose per minute, which suits readers whose first language is not English, and
half a minute for each snippet. Folded source code of the library is not counted.
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

END_OF_FIRST_READING = "**The first reading ends here.**"
WORDS_A_MINUTE = 150
MINUTES_A_SNIPPET = 0.5
FENCE = re.compile(r"^ *```(.*?)^ *```$", re.MULTILINE | re.DOTALL)
EMBEDDED = re.compile(r'^ *```python \{title="d2lblocks/.*?^ *```$', re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


class ReadingTime(NamedTuple):
    """Minutes."""

    first: float
    whole: float


def reading_time(text: str) -> ReadingTime:
    """The times for a page in Markdown: up to the end of a first reading, and to the end of the page."""
    first, _, _ = text.partition(END_OF_FIRST_READING)
    return ReadingTime(_minutes(first), _minutes(text))


def _minutes(text: str) -> float:
    text = COMMENT.sub("", EMBEDDED.sub("", text))
    prose, snippets = FENCE.subn("", text)
    return len(prose.split()) / WORDS_A_MINUTE + snippets * MINUTES_A_SNIPPET


def main() -> None:
    for name in sys.argv[1:]:
        first, whole = reading_time(Path(name).read_text("utf-8"))
        print(f"{name}: the first reading {first:.0f} minutes, the whole page {whole:.0f} minutes")


if __name__ == "__main__":
    main()
