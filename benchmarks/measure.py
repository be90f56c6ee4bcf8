"""Functions shared by the benchmarks: ways that take turns, each in a fresh process, and tables on pages."""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.generate.all_files import generated  # noqa: E402
from tools.generate.generated import GeneratedPart  # noqa: E402
from tools.pages import project  # noqa: E402

_Way = TypeVar("_Way")
_Result = TypeVar("_Result")


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """The arguments that every benchmark has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often the ways take turns")
    parser.add_argument("--write", action="store_true", help="put the tables on their pages")
    return parser


def take_turns(
    ways: Iterable[_Way], once: Callable[[_Way], _Result], rounds: int
) -> dict[_Way, list[_Result]]:
    """Run the ways in turn, so that a slow moment of the machine affects all of them; return the results."""
    found: dict[_Way, list[_Result]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, results in found.items():
            results.append(once(way))
    return found


def fresh(file: str, *arguments: str) -> Any:
    """Run a script in a fresh process, and return the JSON that it prints."""
    done = subprocess.run([sys.executable, file, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def ratio(values: list[float], limits: list[float]) -> str:
    """The median of the ratios of each round, and their spread if there are several."""
    ratios = [value / limit for value, limit in zip(values, limits, strict=True)]
    median = f"{statistics.median(ratios):.2f}"
    return f"{median} ± {spread(ratios):.2f}" if len(ratios) > 1 else median


def spread(values: list[float]) -> float:
    """Half of the distance between the quartiles."""
    quarter, _, three = statistics.quantiles(values, n=4) if len(values) > 1 else (0, 0, 0)
    return (three - quarter) / 2


def seconds(values: list[float], with_spread: bool = False) -> str:
    """The median in a suitable unit, with the spread of the values if wanted."""
    median, factor = statistics.median(values), 1
    for unit in ("s", "ms", "µs"):
        if abs(median * factor) >= 0.9995 or unit == "µs":  # rounds to at least 1.000
            break
        factor *= 1000
    if not with_spread:
        return f"{median * factor:.3g} {unit}"
    return f"{with_its_spread([value * factor for value in values])} {unit}"


def with_its_spread(values: list[float]) -> str:
    """The median, and the spread if there are several values, with about three digits."""
    median, half = statistics.median(values), spread(values)
    decimals = 0 if max(abs(median), half) >= 100 else 1 if max(abs(median), half) >= 10 else 2
    text = f"{median:.{decimals}f}"
    return f"{text} ± {half:.{decimals}f}" if len(values) > 1 else text


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """A Markdown table: the first column has names, the others have numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def origin(rounds: int, *packages: str) -> str:
    """A sentence on where and when the numbers of a table were measured."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    cores = f"{os.cpu_count()} cores of {model[1] if model else platform.machine()}"
    versions = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in packages)
    what = f"Medians of {rounds} rounds and half of the distance between their quartiles"
    return (
        f"{what if rounds > 1 else 'One round'}, "
        f"{time.strftime('%Y-%m-%d')}: {cores}, Python {platform.python_version()}, {versions}."
    )


def show(tables: Mapping[tuple[str, str], list[str]], write: bool) -> None:
    """Print tables and, if wanted, write them; the key of a table is its page and its name there."""
    for (page, name), lines in tables.items():
        print(f"\n{name}\n", *lines, sep="\n")
        if write:
            print(GeneratedPart(ROOT, f"docs/en/{page}", name, lines, "make bench").show())
    if write:
        for part in generated(project().pages(), ROOT):  # notebooks contain the tables of their pages
            part.show()
