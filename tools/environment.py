"""Make .venv and install one dependency group of pyproject.toml into it.

    python tools/venv.py docs       what the site needs, without torch
    python tools/venv.py test       the rest, and this package, editable
    python tools/venv.py zensical   Zensical, in an environment of its own: .venv-zensical
    python tools/venv.py bench      the tests' packages and their peers, in another: .venv-bench

A second run with the same Python, pyproject.toml and constraints.txt installs nothing.
What is missing on the machine is said in one sentence.
The syntax stays readable for old Pythons, so that they can say that they are too old.
"""

from __future__ import print_function

import hashlib
import os
import subprocess
import sys

NEEDED = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
APART = [group for group in ("zensical", "bench") if sys.argv[1:] == [group]]
VENV = os.path.join(ROOT, ".venv" + "".join("-" + group for group in APART))
VENV_PYTHON = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")
LOG = os.path.join(VENV, "install.log")
GROUPS = {
    "docs": ("the site needs (no torch)", ["--group", "docs"]),
    "test": ("the tests need (torch: some 1.2 GB)", ["--group", "test", "--editable", "."]),
    "bench": ("the benchmarks need (torch: some 1.2 GB)", ["--group", "bench", "--editable", "."]),
    "zensical": ("Zensical needs", ["--group", "zensical"]),
}
# What pip writes when it cannot reach an index.
OFFLINE = (
    "ConnectTimeoutError",
    "Connection refused",
    "Failed to establish a new connection",
    "NameResolutionError",
    "NewConnectionError",
    "Temporary failure in name resolution",
)


def main(group):
    if sys.version_info < NEEDED:
        stop(
            "This is Python {0[0]}.{0[1]}, and d2lblocks needs {1[0]}.{1[1]} or newer: "
            "name another one, as in `PYTHON=python3.12 make {2}`.",
            sys.version_info,
            NEEDED,
            target(group),
        )
    what, arguments = GROUPS[group]
    # A .venv of another Python is of no use to this one: its packages are elsewhere.
    python = "{} {}".format(sys.version, sys.base_prefix)
    if read("python") != python or not works(VENV_PYTHON):
        make_venv(group, clear=read("python") is not None)
        write("python", python)
    if read(group) == wanted():
        return
    print("Installing what {} into {}, once ...".format(what, os.path.basename(VENV)))
    pip("--upgrade", "pip")  # pip learned --group in 25.1
    pip(*arguments)
    write("docs", wanted())  # which the other groups include
    write(group, wanted())


def target(group):
    return "serve" if group == "docs" else group


def works(python):
    return os.path.exists(python) or os.path.exists(python + ".exe")


def make_venv(group, clear):
    try:
        import ensurepip  # noqa: F401 (Debian has venv without it)
        import venv  # noqa: F401
    except ImportError:
        stop(
            "This Python cannot make virtual environments: install its venv module (on Debian and "
            "Ubuntu: apt install python3-venv), or name another, as in `PYTHON=python3.12 make {}`.",
            target(group),
        )
    base = getattr(sys, "_base_executable", sys.executable)
    if subprocess.call([base, "-m", "venv", VENV] + ["--clear"] * clear) != 0:
        stop("Python could not make {}: remove that folder and run the same command again.", VENV)


def pip(*arguments):
    command = [VENV_PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--retries", "2"]
    command += ["--constraint", "constraints.txt"]
    with open(LOG, "w") as log:
        failed = subprocess.call(command + list(arguments), cwd=ROOT, stdout=log, stderr=log)
    if not failed:
        return
    with open(LOG) as log:
        words = log.read()
    if any(sign in words for sign in OFFLINE):
        stop(
            "The packages could not be fetched: connect to the network and run the same command "
            "again (pip's own words are in {}).",
            os.path.relpath(LOG),
        )
    errors = [line for line in words.splitlines() if line.startswith("ERROR: ")]
    stop(
        "pip could not install the packages, and says: {} (all of it is in {}).",
        (errors or ["nothing"])[0][len("ERROR: ") :],
        os.path.relpath(LOG),
    )


def wanted():
    """What decides whether an installation is still the right one."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def read(stamp):
    try:
        with open(os.path.join(VENV, "installed-" + stamp)) as file:
            return file.read()
    except IOError:
        return None


def write(stamp, text):
    with open(os.path.join(VENV, "installed-" + stamp), "w") as file:
        file.write(text)


def stop(sentence, *words):
    print(sentence.format(*words), file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in GROUPS:
        stop("usage: python tools/venv.py {}", "|".join(sorted(GROUPS)))
    main(sys.argv[1])
