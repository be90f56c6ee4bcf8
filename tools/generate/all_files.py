"""Everything made from pages: the proof, the table of GPU runs, mistakes, messages, notebooks, scripts."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.page_runner import Page, Snippet
from tools.languages.catalogs import LANGUAGES, translations
from tools.pages import topics

from .findings import DIAGNOSIS, findings
from .generated import GeneratedFile, GeneratedPart, marks
from .glossary import GLOSSARY, glossary
from .gpu_record import TESTED, Record
from .messages import MESSAGES, messages
from .mistakes import MISTAKES, mistakes
from .notebook import NOTEBOOKS, notebook
from .practice import PAGE, PRACTICE, exercise_table, practice
from .proof import HOME, proof
from .scales import INIT, scale_tables
from .script import SCRIPTS, script
from .terminal import PICTURE, picture
from .translated import translated


def generated(pages: list[Page], root: Path) -> list[GeneratedPart | GeneratedFile]:
    """Each part and each file, to be compared or written."""
    made: list[GeneratedPart | GeneratedFile] = [
        GeneratedPart(root, TESTED, "table of GPU runs", Record(pages, root).table()),
        GeneratedPart(root, MISTAKES, "list of mistakes", mistakes(pages, root)),
    ]
    for place, name, lines in (
        (HOME, "proof", proof(pages, root)),
        (INIT, "tables of scales", scale_tables(pages)),
        (GLOSSARY, "glossary", glossary(pages, root)),
        (DIAGNOSIS, "table of findings", findings(pages)),
        (PAGE, "table of exercises", exercise_table()),
    ):
        if has_place(root / place, name):
            made.append(GeneratedPart(root, place, name, lines))
    if (root / MESSAGES).parent.is_dir():
        made.append(GeneratedFile(root, MESSAGES, partial(messages, pages, root)))
    for language in ("en", *LANGUAGES):
        if (root / "docs" / language).is_dir():
            made += exports(topics(pages, root), language, root)
    if (root / PRACTICE).is_dir():
        made.append(GeneratedFile(root, PICTURE, picture))
        made += [
            GeneratedFile(root, page.name, partial(practice, page))
            for page in pages
            if page.name == PAGE or page in topics(pages, root)
        ]
    return made


def exports(pages: list[Page], language: str, root: Path) -> Iterator[GeneratedFile]:
    """Yield the notebook and the script of each of these pages, in a language."""
    sound = [page for page in pages if not page.problems and all(map(parses, page.snippets))]
    texts = translations(root / "docs" / language)
    shown: list[Page] = [translated(page, texts) if language in LANGUAGES else page for page in sound]
    for page in shown:
        stem = page.path.stem
        cells = partial(notebook, page, shown, root, texts)
        yield GeneratedFile(root, f"{NOTEBOOKS.format(language)}/{stem}.ipynb", cells)
        lines = partial(script, page, texts)
        yield GeneratedFile(root, f"{SCRIPTS.format(language)}/{stem}.py", lines)


def has_place(page: Path, name: str) -> bool:
    return page.is_file() and marks(name)[0] in page.read_text("utf-8")


def parses(snippet: Snippet) -> bool:
    try:
        snippet.tree()
    except SyntaxError:
        return False
    return True
