"""Messages with holes: what is the reader's own in a message, such as a name or a shape, is a hole.

`{name}` in a template is a hole for a name; `{relu|view}` is a hole for one of these words.
"""

import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from ._text import Text, squeeze

# Classes that are not modules, for messages that a class of any kind can cause.
NOT_MODULES = "NoneType|Tensor|Parameter|DataFrame|Series|Image|PngImageFile|JpegImageFile|Dataset|DataLoader"
# What fits into a hole, without spaces. Each has a longest length, so that any text is searched quickly.
HOLES = {
    "name": r"[^'\"]{1,200}?",
    "word": r"\w{1,100}",
    "module": rf"(?!{NOT_MODULES})[A-Z]\w{{0,100}}",
    "number": r"-?\d[\d.,]{0,30}",
    "shape": r"[\w()\[\],.*]{1,200}?",
    "dtype": r"[\w.:]{1,60}?",
    "device": r"[a-z]{1,20}(?::\d{1,3})?",
    "path": r".{1,300}?",
    "text": r".{0,500}?",
}
OPEN = ("name", "word", "shape", "dtype", "path", "text")
HOLE = re.compile(r"\{([\w| .]+)\}")
CLASS = re.compile(r"\A([A-Za-z]\w*(?:Error|Exception|Warning)): ")
KINDS = "Error|Exception|Warning|Interrupt|Iteration|Exit|Group"
NAMED = re.compile(rf"\b([A-Za-z_]\w*(?:{KINDS}))[:(]\s*['\"]?\Z")
SUBCLASSES = {  # of torch
    "ModuleAttributeError": "AttributeError",
    "OutOfMemoryError": "RuntimeError",
    "TorchRuntimeError": "RuntimeError",
}
TRIES = 20


@dataclass(frozen=True)
class Template:
    """A message with holes.

    Args:
        text: the message; a name of an exception's class at its beginning has to fit, but need not be there.
        where: a file or a function that the traceback has to name, if there is a traceback.
        within: templates of which one has to be somewhere in the text, if there are any.
        without: templates of which none may be anywhere in the text.
        first: whether it comes before another template of the same length.
    """

    text: str
    where: str = ""
    within: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    first: bool = False

    @cached_property
    def error(self) -> str:
        """The class of the exception; empty if the template does not name one."""
        named = CLASS.match(self.text)
        return named[1] if named else ""

    @cached_property
    def words(self) -> list[str]:
        """The parts without holes, without the class."""
        return list(fixed(CLASS.sub("", self.text)))

    @cached_property
    def expression(self) -> re.Pattern[str]:
        return re.compile(expression(CLASS.sub("", self.text)))

    @cached_property
    def length(self) -> int:
        """The number of fixed characters, by which the most specific template is chosen."""
        choices = [hole.split("|") for hole in HOLE.findall(self.text) if "|" in hole]
        return sum(map(len, self.words)) + sum(min(map(len, words)) for words in choices)

    def score(self, text: Text, classes: frozenset[str] = frozenset()) -> tuple[float, str]:
        """How specific the template is for this text, and the line where it is found; 0 if it is not.

        Args:
            text: the text to search.
            classes: the names of the exception's classes, if there is an exception and not only a text.
        """
        if not all(word in text.said for word in self.words):
            return 0, ""
        if text.has_frames and squeeze(self.where) not in text.everything:
            return 0, ""
        inside = [length for each in self.within if (length := found(each, text.everything))]
        if (self.within and not inside) or any(found(each, text.everything) for each in self.without):
            return 0, ""
        for number, match in enumerate(self.expression.finditer(text.said)):
            line, before = text.line(match.start())
            if self.fits(before, classes):
                return self.length + max(inside, default=0) + self.first / 2, line
            if number == TRIES:
                break
        return 0, ""

    def fits(self, before: str, classes: frozenset[str]) -> bool:
        """Whether the class that the line names, or that the exception has, is that of the template."""
        named = NAMED.search(before)
        if not self.error or self.error in classes:
            return True
        return is_subclass(named[1], self.error) if named else not classes


def is_subclass(name: str, other: str) -> bool:
    """Whether an exception's class of this name is the other, or derived from it, as far as is known."""
    kinds = [getattr(builtins, SUBCLASSES.get(each, each), None) for each in (name, other)]
    return name == other or (all(isinstance(kind, type) for kind in kinds) and issubclass(*kinds))  # type: ignore[arg-type]


def fixed(text: str) -> Iterator[str]:
    """Yield the parts of a template without holes, squeezed."""
    yield from filter(None, map(squeeze, HOLE.split(text)[::2]))


def expression(text: str) -> str:
    """A regular expression for squeezed text.

    Each hole ends at the nearest place that fits, and no other place is tried: so no text takes long.
    Holes without limits at the beginning or the end are left out.
    """
    parts = [part if number % 2 else squeeze(part) for number, part in enumerate(HOLE.split(text))]
    if not parts[0] and len(parts) > 1 and parts[1] in OPEN:
        parts = parts[2:]
    if not parts[-1] and len(parts) > 1 and parts[-2] in OPEN:
        parts = parts[:-2]
    pieces = [re.escape(parts[0])]
    group = ""
    for hole, after in zip(parts[1::2], parts[2::2], strict=True):
        words = "|".join(re.escape(squeeze(word)) for word in hole.split("|"))
        group += HOLES.get(hole, f"(?:{words})") + re.escape(after)
        if after:
            pieces.append(f"(?>{group})")
            group = ""
    return "".join([*pieces, group])


def found(template: str, squeezed: str) -> int:
    """The number of fixed characters of a template that is somewhere in the text; 0 if it is not."""
    words = list(fixed(template))
    if all(word in squeezed for word in words) and re.search(expression(template), squeezed):
        return sum(map(len, words))
    return 0
