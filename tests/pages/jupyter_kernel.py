"""Notebooks run by a real Jupyter kernel."""

import os
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

from nbclient import NotebookClient
from nbformat import NotebookNode

OWN = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")


def executed(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook after a kernel has run it in this folder, which starts empty."""
    settings = folder.with_name(f"{folder.name}-settings")  # empty, instead of the user's own settings
    before = dict(os.environ)
    os.environ |= {name: str(settings / name) for name in OWN} | {"JUPYTER_PREFER_ENV_PATH": "1"}
    for name in ("MPLBACKEND", "JUPYTER_PATH", "PYTEST_ADDOPTS"):  # a page runs pytest, too
        os.environ.pop(name, None)
    for place in (folder, settings):
        place.mkdir()
    notebook = deepcopy(notebook)
    try:
        NotebookClient(
            notebook,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            coalesce_streams=True,  # the kernel may send a stream in pieces
            extra_arguments=["--InteractiveShell.xmode=Minimal"],  # the tracebacks are not used
            shutdown_kernel="immediate",
            timeout=120,
        ).execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return notebook


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def said(cell: NotebookNode) -> list[tuple[str, str, str]]:
    """The printed text and the errors of a cell, without tracebacks: they depend on what runs the cell."""
    return list(said_by(cell.outputs))


def said_by(outputs: list[NotebookNode]) -> Iterator[tuple[str, str, str]]:
    for output in outputs:
        if output.output_type == "stream":
            yield "stream", output.name, output.text
        elif output.output_type == "error":
            yield "error", output.ename, output.evalue
        elif not output.data.get("text/plain", "").startswith("<Figure"):
            yield output.output_type, "", str(output.data)


def figures(notebook: NotebookNode) -> int:
    """The number of figures that a kernel has displayed: it displays those of Matplotlib by itself."""
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    return sum(output.get("data", {}).get("text/plain", "").startswith("<Figure") for output in outputs)
