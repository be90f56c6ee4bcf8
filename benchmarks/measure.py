"""What the benchmarks share: ways that take turns, each in a fresh process, and tables on pages."""

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
sys.path.insert(0, str(ROOT / "tests"))

from page.made import Made  # noqa: E402

_Result = TypeVar("_Result")


def arguments(doc: str | None, rounds: int = 5) -> argparse.ArgumentParser:
    """What every benchmark is told."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="how often the ways take turns")
    parser.add_argument("--write", action="store_true", help="put the tables on their pages")
    return parser


def take_turns(ways: Iterable[str], once: Callable[[str], _Result], rounds: int) -> dict[str, list[_Result]]:
    """What each way gave in each round; so what slows the machine for a while slows all of them."""
    found: dict[str, list[_Result]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, results in found.items():
            results.append(once(way))
    return found


def fresh(file: str, *arguments: str) -> Any:
    """What a script prints, as JSON, when a fresh process runs it."""
    done = subprocess.run([sys.executable, file, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def ratio(values: list[float], limits: list[float]) -> str:
    """The median of the ratios of each round, and half of the distance between their quartiles."""
    ratios = [value / limit for value, limit in zip(values, limits, strict=True)]
    quarter, _, three = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (0, 0, 0)
    return f"{statistics.median(ratios):.2f} ± {(three - quarter) / 2:.2f}"


def seconds(values: list[float]) -> str:
    """The median, in a unit that fits."""
    median = statistics.median(values)
    for unit in ("s", "ms"):
        if median >= 0.9995:  # what would be written as 1000 of the next unit
            return f"{median:.3g} {unit}"
        median *= 1000
    return f"{median:.3g} µs"


def table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Markdown: the first column is a name, the others are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def origin(rounds: int, *packages: str) -> str:
    """Where and when the numbers of a table were measured."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    cores = f"{os.cpu_count()} cores of {model[1] if model else platform.machine()}"
    versions = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in packages)
    return (
        f"Medians of {rounds} rounds and half of the distance between their quartiles, "
        f"{time.strftime('%Y-%m-%d')}: {cores}, Python {platform.python_version()}, {versions}."
    )


def show(tables: Mapping[tuple[str, str], list[str]], write: bool) -> None:
    """Print tables; each has a page and a name there."""
    for (page, name), lines in tables.items():
        print(f"\n{name}\n", *lines, sep="\n")
        if write:
            print(Made(ROOT, f"docs/en/{page}", name, lines, "make bench").show())
