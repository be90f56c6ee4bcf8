"""Plots: the pictures on a page that its own code draws."""

import ast
import re
from itertools import zip_longest
from pathlib import Path

from .atomic_write import replace_file
from .snippet import Snippet

SHOWN = re.compile(r"!\[[^\]]*\]\(img/([^)\s]+\.svg)\)")
PLOTTED = "<dc:title>Matplotlib"  # Matplotlib writes this into all of its pictures


def plots(snippet: Snippet, lines: list[str]) -> list[str]:
    """The pictures that the page shows and whose file names are in this snippet's code."""
    shown = SHOWN.findall("\n".join(lines))
    if not shown:
        return []
    try:
        tree = ast.parse("\n".join(snippet.code))
    except SyntaxError:  # running it will report the error
        return []
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return sorted(set(shown) & strings)


def never_drawn(snippets: list[Snippet], lines: list[str], published: Path) -> list[str]:
    """The plots that a page shows but none of its snippets draws."""
    drawn = {name for snippet in snippets for name in plots(snippet, lines)}
    return [
        name
        for name in SHOWN.findall("\n".join(lines))
        if name not in drawn and PLOTTED in (svg(published / name) or "")
    ]


def plot_lies(snippet: Snippet, lines: list[str], folder: Path, root: Path, pictures: str) -> list[str]:
    """The differences between the published plots and those that the snippet has drawn in this folder."""
    lies = []
    for name in plots(snippet, lines):
        at = f"{snippet.file}:{snippet.line}"
        published, drawn = svg(root / pictures / name), plot(folder / name)
        if drawn is None:
            lies.append(f"{at}: this does not draw {name}, which the page shows")
        elif drawn != published:
            pairs = enumerate(zip_longest((published or "").split("\n"), drawn.split("\n")), 1)
            line = next(line for line, (was, is_) in pairs if was != is_)
            lies.append(f"{at}: {pictures}/{name} is not what this draws, from line {line} on")
    return lies


def publish(name: str, folder: Path, root: Path, pictures: str) -> str:
    """Copy a plot to its place on the site, and return a message, or an empty text if nothing changed."""
    drawn, place = plot(folder / name), root / pictures / name
    if drawn is None or drawn == svg(place):
        return ""
    replace_file(place, drawn.encode())
    return f"drawn: {pictures}/{name}"


def svg(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def plot(path: Path) -> str | None:
    """The plot that a snippet has drawn, as it is published."""
    text = svg(path)
    return light(text) if text and PLOTTED in text else text


def light(drawn: str) -> str:
    """A plot with the reader's own font, without rotations by 0, and with two digits after the point."""
    drawn = re.sub(r'font-family: [^;"]+', "font-family: sans-serif", drawn)
    drawn = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", drawn)
    return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", drawn)
