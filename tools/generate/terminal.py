"""The picture of a terminal in which somebody practices, drawn from a real run."""

import tempfile
from io import StringIO
from pathlib import Path

PICTURE = "docs/theme/img/practice.svg"
EXERCISE = "modules/chain"
COLUMNS = 64
# Without fonts from elsewhere; rich fills in the rest.
FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px }}
.{unique_id}-title {{ font: bold 18px sans-serif }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def picture() -> str:
    """Start an exercise, save a wrong answer, then the right one; and draw what the terminal showed."""
    # Import them only here: most commands need neither.
    from rich.console import Console
    from rich.text import Text

    from d2lblocks.practice.exercise import find
    from tests.practice.pseudo_terminal import Terminal

    exercise = find(EXERCISE)[0]
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(Path(folder), "start", exercise.id, columns=COLUMNS)
        terminal.wait("q quit")
        file = Path(folder, "builders-practice", exercise.file)
        for program in (exercise.wrong[0].file(exercise.solution), exercise.solution):
            file.write_text(program, "utf-8")
            terminal.wait("q quit")
        terminal.press("q")
        terminal.end()
    shown = terminal.raw.decode().replace("\r\n", "\n")
    shown = shown[: shown.rindex("q quit") + len("q quit")]
    console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(f"$ python -m d2lblocks practice start {exercise.id}\n{shown}"))
    return console.export_svg(title="builders-practice", code_format=FORMAT, unique_id="practice")
