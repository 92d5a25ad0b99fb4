"""JUnit XML: each check is a test case, and no outcome but pass looks like one."""

from xml.etree import ElementTree

import pytest

from seatrial.junit import to_junit
from seatrial.verdict import Check, Outcome, Verdict


def tree(*checks):
    return ElementTree.fromstring(to_junit(Verdict(kind="validation", subject={}, checks=checks)))


def check(name="quality.range", outcome=Outcome.PASS, **more):
    return Check(name=name, outcome=outcome, message=more.pop("message", "said"), **more)


@pytest.mark.parametrize(
    ("outcome", "advisory", "child"),
    [
        (Outcome.PASS, False, None),
        (Outcome.FAIL, False, "failure"),
        (Outcome.ERROR, False, "error"),
        (Outcome.INCONCLUSIVE, False, "error"),
        (Outcome.FAIL, True, "skipped"),
        (Outcome.INCONCLUSIVE, True, "skipped"),
    ],
)
def test_only_a_pass_is_a_test_that_passed(outcome, advisory, child):
    (case,) = tree(check(outcome=outcome, advisory=advisory)).iter("testcase")
    assert [element.tag for element in case] == ([] if child is None else [child])


def test_suites_are_families_and_count_their_cases():
    root = tree(
        check("quality.range", Outcome.FAIL, column="price"),
        check("quality.nulls"),
        check("schema.type", Outcome.ERROR),
        check("schema.columns", Outcome.FAIL, advisory=True),
    )
    counts = {suite.get("name"): [suite.get(key) for key in ("tests", "failures", "errors", "skipped")] for suite in root.iter("testsuite")}
    assert counts == {"validation.quality": ["2", "1", "0", "0"], "validation.schema": ["2", "0", "1", "1"]}
    assert [root.get(key) for key in ("tests", "failures", "errors")] == ["4", "1", "1"]


def test_a_failure_says_what_was_seen_and_what_is_allowed():
    (case,) = tree(check(outcome=Outcome.FAIL, column="price", observed=3, limit=0, message="column 'price': too much")).iter("testcase")
    assert case.get("name") == "quality.range [price]"
    assert case[0].get("message") == "column 'price': too much"
    assert case[0].text == "observed 3, limit 0"


def test_hostile_text_stays_text():
    message = 'a\0b\x1b[31m <script> & "quoted" \ufffe'
    (case,) = tree(check(outcome=Outcome.FAIL, column="<b>", message=message)).iter("testcase")
    assert case[0].get("message") == 'a\ufffdb\ufffd[31m <script> & "quoted" \ufffd'
    assert case.get("name") == "quality.range [<b>]"


def test_the_order_of_checks_does_not_matter():
    one, other = check("a.x"), check("b.y")
    assert ElementTree.tostring(tree(one, other)) == ElementTree.tostring(tree(other, one))
