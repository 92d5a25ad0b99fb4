"""JUnit XML: each check is a test case, and no outcome but pass looks like one."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert case[0].get("type") == "quality.range"
    assert case[0].text == "column 'price': too much\nobserved 3, limit 0"


def test_checks_of_one_name_and_column_are_test_cases_of_their_own():
    cases = tree(check(column="a", message="one"), check(column="a", message="two"), check(column="b")).iter("testcase")
    assert [case.get("name") for case in cases] == ["quality.range [a]", "quality.range [a] (2)", "quality.range [b]"]


# What the schemas of Jenkins (junit-10.xsd) and Ant allow in each element, and what all readers need.
ALLOWED = {
    "testsuites": ({"name", "time", "tests", "failures", "errors", "disabled"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname"}, {"testcase"}),
    "testcase": ({"name", "classname", "time"}, {"failure", "error", "skipped"}),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
}
NEEDED = {"testsuite": {"name", "tests"}, "testcase": {"name", "classname"}, "failure": {"type"}, "error": {"type"}}


def test_the_document_keeps_to_the_schemas_of_its_readers():
    outcomes = [(outcome, advisory) for outcome in Outcome for advisory in (False, True)]
    root = tree(*(check(f"{name}.x", outcome, advisory=advisory) for name in "ab" for outcome, advisory in outcomes))
    for element in root.iter():
        attributes, children = ALLOWED[element.tag]
        assert set(element.keys()) <= attributes
        assert {child.tag for child in element} <= children
        assert NEEDED.get(element.tag, set()) <= set(element.keys())


def test_counts_are_those_of_the_test_cases():
    root = tree(check("a.x", Outcome.FAIL), check("a.y", Outcome.ERROR), check("b.x"), check("b.y", Outcome.FAIL, advisory=True))
    for suite in root.iter("testsuite"):
        for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(attribute)) == len(list(suite.iter(tag)))


def test_a_verdict_without_checks_is_a_document_too():
    root = tree()
    assert (root.tag, root.get("tests"), len(root)) == ("testsuites", "0", 0)


def test_hostile_text_stays_text():
    message = 'a\0b\x1b[31m <script> & "quoted" \ufffe'
    (case,) = tree(check(outcome=Outcome.FAIL, column="<b>", message=message)).iter("testcase")
    assert case[0].get("message") == 'a\ufffdb\ufffd[31m <script> & "quoted" \ufffd'
    assert case.get("name") == "quality.range [<b>]"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_any_message_is_legal_xml(text):
    (case,) = tree(check(outcome=Outcome.FAIL, column=text or None, message=text)).iter("testcase")
    assert len(case[0].get("message")) == len(text)


def test_the_order_of_checks_does_not_matter():
    one, other = check("a.x"), check("b.y")
    assert ElementTree.tostring(tree(one, other)) == ElementTree.tostring(tree(other, one))
