"""What the hook `tools/lighter.py` leaves out: nothing that an element of the site needs."""

import pytest

from tools.lighter import COMMENT, on_post_page, styles, used


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (".used{a:b}", ".used{a:b}"),
        (".unused{a:b}", ""),
        (".used .unused{a:b}", ""),
        (".used,.unused>p{a:b}", ".used{a:b}"),
        ("p:hover{a:b}", "p:hover{a:b}"),
        (".used:not(.unused){a:b}", ".used:not(.unused){a:b}"),
        (":is(.used,.also) p{a:b}", ":is(.used,.also) p{a:b}"),
        ("@media print{.unused{a:b}}", ""),
        ("@media print{.used{a:b}.unused{a:b}}", "@media print{.used{a:b}}"),
        ("@supports (a:b){.unused{a:b}}", ""),
        ("@keyframes unused{to{a:b}}", "@keyframes unused{to{a:b}}"),
        ('@font-face{src:url("a")}', '@font-face{src:url("a")}'),
        (":root{--a:b}", ":root{--a:b}"),
        ("/* a\n comment */\n.used,\n.also {\n  a: b\n    c; /* one\n more */\n}\n\n", ".used,.also{a: b c;}"),
    ],
)
def test_a_rule_stays_if_it_can_apply(rule: str, left: str) -> None:
    """Selectors with a class that nothing has are left out, and rules without any other selector."""
    assert "".join(used(styles(rule), {"used", "also"})) == left


def test_scripts_lose_comments_and_indentation() -> None:
    """Comments on lines of their own; a string with slashes stays."""
    script = '{\n  // a comment\n  const url = "https://a.b"; // said\n\n  f();\n}\n'
    assert COMMENT.sub("", script).split("\n") == ["{", "", 'const url = "https://a.b"; // said', "f();", "}", ""]


def test_the_text_of_a_page_stays() -> None:
    """Code has blanks that count; around the article, lines lose their indentation."""
    page = "<html>\n  <nav>\n\n    a\n  </nav>\n<article>\n  <pre>\n    code\n\n  </pre>\n</article>\n  </html>\n"
    assert on_post_page(page, None, None) == (
        "<html>\n<nav>\na\n</nav>\n<article>\n  <pre>\n    code\n\n  </pre>\n</article>\n</html>\n"
    )
