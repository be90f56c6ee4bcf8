"""`diagnose`: each mistake of the gallery is named, its twin is not, and nothing is changed."""

import warnings

import pytest

from d2lblocks import diagnosis
from d2lblocks.diagnosis.rules import RULES
from tests.gallery import CASES, Case, Given


def report(given: Given) -> diagnosis.Report:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return diagnosis.diagnose(given.net, *given.args, **given.options)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_mistake_is_named(case: Case) -> None:
    """The mistake has its finding, at the right place, and no other."""
    found = report(case.build(True))
    first, *others = [each for each in found if each.code == case.code]
    assert {each.code for each in found} == {case.code, *case.others}, str(found)
    names = [name for each in (first, *others) for name in each.names]
    assert (tuple(names), first.level) == (case.names, case.level), str(found)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_twin_has_no_finding(case: Case) -> None:
    """The mended net has no finding."""
    assert str(report(case.build(False))).endswith(": nothing found")


def test_the_gallery_has_each_rule() -> None:
    """There is a net for each code."""
    assert {case.code for case in CASES} == {*RULES, "cycle"}
