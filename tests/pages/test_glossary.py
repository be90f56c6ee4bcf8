"""The glossary: terms that the pages define, in sentences that make sense without the page around them."""

import re

import pytest

from tools.generate.glossary import definitions
from tools.pages import ROOT, project

DEFINITIONS = list(definitions(project().pages(), ROOT))
NEEDS_ITS_PAGE = re.compile(
    r"\b(this page|this section|here|above|below|the two|these two|the next snippet)\b", re.I
)


def test_there_are_enough() -> None:
    assert len(DEFINITIONS) >= 40


@pytest.mark.parametrize("each", DEFINITIONS, ids=lambda each: each.term)
def test_a_definition_is_a_sentence_that_stands_alone(each: object) -> None:
    assert hasattr(each, "sentence")
    sentence = each.sentence
    assert sentence[0].isupper() or sentence.startswith("`")
    assert sentence.endswith("."), sentence
    assert not NEEDS_ITS_PAGE.search(sentence), sentence
