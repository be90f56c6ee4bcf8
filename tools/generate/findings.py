"""The table of everything that `diagnose` finds, made from its rules and from the gallery of mistakes."""

from collections.abc import Iterator

from tests.page_runner import Page

DIAGNOSIS = "docs/en/diagnosis.md"


def findings(pages: list[Page]) -> Iterator[str]:
    """Yield the lines of the table: a row for each code, in the order of the rules."""
    # Import them only here: other projects whose pages are tested do not have them.
    from d2lblocks.diagnosis._rules import RULES
    from tests.gallery import CASES

    titles = {f"{page.short}#{heading.anchor}": page for page in pages for heading in page.headings()}
    yield "| Code | What it finds |"
    yield "|---|---|"
    for rule in RULES.values():
        levels = " or ".join(sorted({case.level for case in CASES if case.code == rule.code}))
        told = (rule.find.__doc__ or "").partition("\n\n")[0].replace("\n    ", " ").rstrip(".")
        page = titles.get(rule.page)
        here = page is not None and page.path.name == "diagnosis.md"
        place = f"#{rule.page.partition('#')[2]}" if here else rule.page
        where = "below" if here else next(page.headings()).text if page else "the list of mistakes"
        yield f"| `{rule.code}`, {levels} | {told} ([{where}]({place})) |"
