"""Make .venv and install one dependency group of pyproject.toml into it.

    python tools/environment.py docs       packages for the site, without torch
    python tools/environment.py test       all other packages, and this package as editable
    python tools/environment.py zensical   Zensical, in a separate environment: .venv-zensical
    python tools/environment.py bench      packages of the tests and of other tools, in another: .venv-bench
    python tools/environment.py real-nets  libraries with nets to try, in another: .venv-real-nets

If uv is on the PATH, it is used, because it is faster; otherwise Python's venv and pip are.
The result is the same and includes pip, so each tool can continue with an environment of the other.
`UV=/path/to/uv` selects another uv; an empty `UV=` selects pip.

A second run with the same Python, pyproject.toml and pins installs nothing.
If something is missing on the machine, one sentence says so.
The syntax is readable for old versions of Python, so that they can report that they are too old.
"""

from __future__ import print_function

import ast
import hashlib
import os
import re
import subprocess
import sys

NEEDED = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
APART = [group for group in ("zensical", "bench", "real-nets") if sys.argv[1:] == [group]]
VENV = os.path.join(ROOT, ".venv" + "".join("-" + group for group in APART))
VENV_PYTHON = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")
LOG = os.path.join(VENV, "install.log")
GROUPS = {
    "docs": ("the site needs (no torch)", ["--group", "docs"]),
    "test": ("the tests need (torch: some 1.2 GB)", ["--group", "test", "--editable", ".[practice]"]),
    "bench": ("the benchmarks need (torch: some 1.2 GB)", ["--group", "bench", "--editable", "."]),
    "zensical": ("Zensical needs", ["--group", "zensical"]),
    "real-nets": (
        "the nets of other libraries need (torch and them: some 2 GB)",
        ["--group", "real-nets", "--editable", "."],
    ),
}
PINS = ["constraints.txt"]
if sys.argv[1:] == ["real-nets"]:
    PINS.append("tools/real_nets/constraints.txt")
# Messages of pip and uv if they cannot reach an index.
OFFLINE = (
    "ConnectTimeoutError",
    "Connection refused",
    "Failed to establish a new connection",
    "NameResolutionError",
    "NewConnectionError",
    "Temporary failure in name resolution",
    "client error (Connect)",
)
# uv ignores pip's settings for package indexes. It has its own variables, with these separators.
SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_EXTRA_INDEX_URL", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
}


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
    uv = find_uv()
    # A .venv of another Python is useless for this one, because its packages are in other places.
    python = "{} {}".format(sys.version, sys.base_prefix)
    if read("python") != python or not works(VENV_PYTHON):
        make_venv(uv, group)
    if read(group) == wanted():
        return
    print("Installing what {} into {}, once ...".format(what, os.path.basename(VENV)))
    install(uv, group, arguments)
    write("python", python)  # only now, because an environment that uv has made has no pip before
    write("docs", wanted())  # the other groups include this one
    write(group, wanted())


def target(group):
    return "serve" if group == "docs" else group


def works(python):
    return os.path.exists(python) or os.path.exists(python + ".exe")


def find_uv():
    from shutil import which  # Python 2 does not have it

    uv = which(os.environ.get("UV", "uv"))
    # A uv that is installed in this environment cannot replace the environment.
    return uv if uv and os.path.dirname(os.path.abspath(uv)) != os.path.dirname(VENV_PYTHON) else None


def base_python():
    """The Python from which to make an environment, even if this one is in an environment itself."""
    return getattr(sys, "_base_executable", sys.executable)


def make_venv(uv, group):
    if uv:
        command = [uv, "venv", "--quiet", "--clear", "--python", base_python(), VENV]
    else:
        try:
            import ensurepip  # noqa: F401 (Debian has venv without it)
            import venv  # noqa: F401
        except ImportError:
            stop(
                "This Python cannot make virtual environments: install its venv module (on Debian and "
                "Ubuntu: apt install python3-venv), or name another, as in `PYTHON=python3.12 make {}`.",
                target(group),
            )
        command = [base_python(), "-m", "venv", "--clear", VENV]
    if subprocess.call(command) != 0:
        maker = "uv" if uv else "Python"
        stop("{} could not make {}: remove that folder and run the same command again.", maker, VENV)


def install(uv, group, arguments):
    environment = dict(os.environ)
    constraints = [word for pins in PINS for word in ("--constraint", pins)]
    if uv:
        # pip compiles installed packages too. Without it, each of the many Pythons of a test run would.
        command = [uv, "pip", "install", "--python", VENV_PYTHON, "--compile-bytecode"]
        command += constraints
        command.append("pip")
        commands = [command + arguments]
        environment = dict(settings_of_pip(), **environment)  # uv's own settings have priority
    else:
        command = [VENV_PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--retries", "2"]
        command += constraints
        # pip supports --group since 25.1.
        commands = [command + each for each in (["--upgrade", "pip"], arguments)]
    with open(LOG, "w") as log:
        options = {"cwd": ROOT, "env": environment, "stdout": log, "stderr": log}
        if not any(subprocess.call(command, **options) for command in commands):
            return
    with open(LOG) as log:
        words = log.read()
    tool = "uv" if uv else "pip"
    if any(sign in words for sign in OFFLINE):
        stop(
            "The packages could not be fetched: connect to the network and run the same command "
            "again ({}'s own words are in {}).",
            tool,
            os.path.relpath(LOG),
        )
    error = re.search(r"^error: (.+(?:\n +.+)*)", words, re.IGNORECASE | re.MULTILINE)
    stop(
        "{} could not install the packages, and says: {} (all of it is in {}).{}",
        tool,
        re.sub(r"\n +(cause: )?", ": ", error.group(1)) if error else "nothing",
        os.path.relpath(LOG),
        " To use pip instead, run `UV= make {}`.".format(target(group)) if uv else "",
    )


def settings_of_pip():
    """The places where pip would look for packages, as variables for uv."""
    settings = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # like pip: the best version in all indexes
    pip = [base_python(), "-m", "pip", "config", "list"]
    files = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8").stdout
    for option, (variable, separator) in SETTINGS.items():
        value = os.environ.get("PIP_" + option.upper().replace("-", "_"), "")
        for section in ("install", "global"):  # in order of priority
            found = re.search(r"^{}\.{}=(.*)$".format(section, option), files, re.MULTILINE)
            value = value or (ast.literal_eval(found.group(1)) if found else "")
        if value.split():
            settings[variable] = separator.join(value.split())
    return settings


def wanted():
    """A digest of everything that determines whether an installation is up to date."""
    digest = hashlib.sha256()
    for name in sorted({"pyproject.toml"}.union(PINS)):
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
        stop("usage: python tools/environment.py {}", "|".join(sorted(GROUPS)))
    main(sys.argv[1])
