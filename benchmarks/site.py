"""How long does it take to build the site, and until an edit is visible?

python benchmarks/site.py [--copies N ...] [--rounds N] [--write]

The same pages are built by MkDocs, by Zensical and by Sphinx with MyST, once as they are and then with
copies of the topics in additional folders. The first build starts without the results of an earlier one;
the second build has them.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from functools import partial
from pathlib import Path

from measure import ROOT, arguments, origin, seconds, show, table, take_turns

SPHINX = """
extensions = ["myst_parser"]
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_update_mathjax = False  # what it updates is a changed configuration, with which all is built again
suppress_warnings = ["*"]
"""
COMMANDS = {
    "MkDocs": ["-m", "mkdocs", "build", "--quiet"],
    "Zensical": ["-m", "zensical", "build", "--config-file", "mkdocs.zensical.yml"],
    "Sphinx, MyST": ["-m", "sphinx", "-Q", "docs/en", "site"],
}
BUILT = ("site", ".cache", "dist")


def project(folder: Path, copies: int) -> Path:
    """Copy this project's site, with this number of copies of its topics."""
    for name in ("docs", "src", "tools", "mkdocs.yml", "mkdocs.zensical.yml", "README.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    config = folder / "mkdocs.yml"  # in strict mode, it refuses pages outside the navigation
    config.write_text(config.read_text("utf-8").replace("strict: true", "strict: false"), "utf-8")
    docs = folder / "docs" / "en"
    shutil.copytree(ROOT / "docs" / "theme" / "img", docs / "img")  # Sphinx looks for pictures here
    for number in range(1, copies):
        shutil.copytree(docs, folder / "copy", ignore=shutil.ignore_patterns("api", "copy*"))
        (folder / "copy").rename(docs / f"copy{number}")
    (docs / "conf.py").write_text(SPHINX)
    return folder


def build(folder: Path, tool: str) -> list[float]:
    """The seconds of a first build and of a second one."""
    for name in BUILT:
        shutil.rmtree(folder / name, ignore_errors=True)
    times = []
    for _ in ("first", "second"):
        start = time.perf_counter()
        command = [sys.executable, *COMMANDS[tool]]
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        times.append(time.perf_counter() - start)
        if done.returncode:
            raise RuntimeError(f"{tool}: {done.stdout}")
    return times


def until_seen(folder: Path, edits: int) -> list[float]:
    """The seconds from writing a page until the waiting browser is told to reload it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [sys.executable, "-m", "mkdocs", "serve", "--dev-addr", address],
        cwd=folder,
        env=os.environ | {"TMPDIR": str(folder)},  # the server does not remove what it has built
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        page, times = folder / "docs" / "en" / "modules.md", []
        for number in range(edits):
            epoch, request = re.findall(r"livereload\((\d+), (\d+)\)", read(f"http://{address}/modules/"))[0]
            time.sleep(1)  # the server looks for changes while the browser waits
            start = time.perf_counter()
            page.write_text(f"{page.read_text('utf-8')}\nEdit {number}.\n", "utf-8")
            while read(f"http://{address}/livereload/{epoch}/{request}") == epoch:
                pass
            times.append(time.perf_counter() - start)
        return times
    finally:
        server.terminate()
        server.wait()


def read(url: str) -> str:
    """A response of the server, as soon as the server is ready."""
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=120) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--copies", nargs="+", type=int, default=[1, 4, 16])
    options = parser.parse_args()
    builds = ("first", "second")
    rows: dict[str, list[str]] = {f"{tool}, {which}": [] for tool in COMMANDS for which in builds}
    for copies in options.copies:
        with tempfile.TemporaryDirectory() as name:
            folder = project(Path(name), copies)
            found = take_turns(COMMANDS, partial(build, folder), options.rounds)
        for tool, results in found.items():
            for number, which in enumerate(builds):
                times = [each[number] for each in results]
                rows[f"{tool}, {which}"].append(seconds(times, with_spread=True))
    with tempfile.TemporaryDirectory() as name:
        edits = until_seen(project(Path(name), 1), options.rounds)
    packages = ("mkdocs", "mkdocs-material", "zensical", "Sphinx", "myst-parser")
    lines = table(
        ["copies of the topics", *map(str, options.copies)], [[way, *cells] for way, cells in rows.items()]
    )
    lines += ["", f"With `make serve`, an edit is visible after {seconds(edits, with_spread=True)}."]
    show({("speed.md", "table of builds"): [*lines, "", origin(options.rounds, *packages)]}, options.write)


if __name__ == "__main__":
    main()
