"""A hook of MkDocs: what a reader fetches is smaller, and looks and does the same.

Styles and scripts lose their comments and indentation, and pages the indentation outside their text.
Styles also lose the rules for parts of the theme that this site does not have.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tinycss2  # type: ignore[import-untyped]

COMMENT = re.compile(r"^\s*(//.*)?", re.M)  # and the indentation of a line of a script
CSS_COMMENT = re.compile(r"/\*.*?\*/", re.S)
ARTICLE = re.compile(r"(<article.*</article>)", re.S)
# A class that an element must have; a comma between two selectors.
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
NOT = re.compile(r":not\([^)]*\)")
COMMA = re.compile(r",(?![^(]*\))")


def on_post_page(output: str, page: Any, config: Any) -> str:
    """In the article, code has blanks that count."""
    return "".join(
        part if ARTICLE.match(part) else re.sub(r"\s*\n\s*", "\n", part) for part in ARTICLE.split(output)
    )


def on_post_build(config: Any) -> None:
    site = Path(config.site_dir)
    for path in site.glob("js/*.js"):
        path.write_text(COMMENT.sub("", path.read_text("utf-8")), "utf-8")
    words = names(site)
    for path in (*site.glob("css/*.css"), *site.glob("assets/stylesheets/main.*.css")):
        path.write_text("".join(used(styles(path.read_text("utf-8")), words)), "utf-8")


def styles(text: str) -> Any:
    """The rules of a style sheet, without comments and indentation."""
    return tinycss2.parse_stylesheet(re.sub(r"\s+", " ", CSS_COMMENT.sub("", text)), skip_whitespace=True)


def names(site: Path) -> set[str]:
    """Every name that a class has on a page, or that a script may give to one."""
    found: set[str] = set()
    for page in site.rglob("*.html"):
        for classes in re.findall(r'class="([^"]*)"', page.read_text("utf-8")):
            found.update(classes.split())
    for script in (*site.glob("assets/javascripts/*.js"), *site.glob("js/*.js")):
        found.update(re.findall(r"[\w-]+", script.read_text("utf-8")))
    return found


def used(rules: list[Any], words: set[str]) -> Iterator[str]:
    """Yield the rules that can apply to an element of the site, as CSS."""
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = [each.strip() for each in COMMA.split(tinycss2.serialize(rule.prelude))]
            kept = [each for each in selectors if words.issuperset(CLASS.findall(NOT.sub("", each)))]
            if kept:
                yield f"{','.join(kept)}{{{tinycss2.serialize(rule.content).strip()}}}"
        elif rule.type == "at-rule" and rule.at_keyword in ("media", "supports"):
            if inner := "".join(used(tinycss2.parse_rule_list(rule.content, skip_whitespace=True), words)):
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inner}}}"
        else:
            yield rule.serialize()
