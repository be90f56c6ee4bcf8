"""Everything made from pages: the proof, the table of GPU runs, the list of mistakes, notebooks, scripts."""

from functools import partial
from pathlib import Path

from tests.page_runner import Page, Snippet
from tools.pages import topics

from .generated import GeneratedFile, GeneratedPart
from .glossary import GLOSSARY, glossary
from .gpu_record import TESTED, Record
from .mistakes import MISTAKES, mistakes
from .notebook import NOTEBOOKS, notebook
from .proof import HOME, proof
from .scales import INIT, scale_tables
from .script import SCRIPTS, script


def generated(pages: list[Page], root: Path) -> list[GeneratedPart | GeneratedFile]:
    """Each part and each file, to be compared or written."""
    made: list[GeneratedPart | GeneratedFile] = [
        GeneratedPart(root, HOME, "proof", proof(pages, root)),
        GeneratedPart(root, INIT, "tables of scales", scale_tables(pages)),
        GeneratedPart(root, TESTED, "table of GPU runs", Record(pages, root).table()),
        GeneratedPart(root, GLOSSARY, "glossary", glossary(pages, root)),
        GeneratedPart(root, MISTAKES, "list of mistakes", mistakes(pages, root)),
    ]
    for page in topics(pages, root):
        if not page.problems and all(map(parses, page.snippets)):
            stem = page.path.stem
            cells = partial(notebook, page, topics(pages, root), root)
            made.append(GeneratedFile(root, f"{NOTEBOOKS}/{stem}.ipynb", cells))
            made.append(GeneratedFile(root, f"{SCRIPTS}/{stem}.py", partial(script, page)))
    return made


def parses(snippet: Snippet) -> bool:
    try:
        snippet.tree()
    except SyntaxError:
        return False
    return True
