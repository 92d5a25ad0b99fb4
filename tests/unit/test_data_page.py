"""The data page: the verdict in a sentence, findings with examples and waivers apart, every column, and a bounded size."""

import re

import pytest

from seatrial.checks.wording import examples_of, rows_of
from seatrial.contract import Contract
from seatrial.data_page import data_page, roles_of, sentence
from seatrial.params import Data
from seatrial.profile import ColumnProfile, Profile
from seatrial.summary import Broken, ColumnSummary, Example, PartFacts, Summary
from seatrial.verdict import Check, Outcome, Verdict
from tests.markup import Balance

POINTS = tuple(float(step) for step in range(101))
VALUES = tuple((f"category {at}", 100 - at) for at in range(12))


def number():
    return ColumnProfile(type="number", count=900, nulls=100, distinct=900, mean=1, std=2, low=0.0, high=100.0, quantiles=POINTS)


def words(count=1000):
    return ColumnProfile(type="string", count=count, nulls=0, distinct=12, values=VALUES)


def check(name="quality.range", outcome=Outcome.FAIL, **more):
    return Check(name=name, outcome=outcome, message=more.pop("message", "said"), **more)


def verdict(*checks):
    return Verdict(kind="validation", subject={"data": "md5:0123456789abcdef"}, checks=checks)


def profile(*names):
    return Profile(rows=1000, columns={name: number() for name in names})


def summary(broken, *, parts=1, **more):
    facts = tuple(PartFacts(name=f"p{at}.csv", digest="md5:0", rows=10, stored={}) for at in range(parts))
    return Summary(rows=1000, parts=facts, broken=broken, **more)


def shown(*checks, columns=("price",), of=None, **more):
    present = profile(*columns)
    return data_page(verdict(*checks), present, present, summary=of, **more)


def test_the_markup_is_balanced_and_ids_are_unique():
    broken = Broken(count=1, examples=(Example(part="p0.csv", row=1, value="9"),))
    html = shown(check(column="price"), check("statistics.shift", column="other"), columns=("price", "other"), of=summary({"x": broken}))
    parser = Balance("meta", "link", "br", "path", "rect", "wbr", "input")
    parser.feed(html)
    assert parser.open == []
    ids = re.findall(r' id="([^"]*)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', html)) <= set(ids)


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ([check(outcome=Outcome.PASS)], "Of 1 check on 1,000 rows and 1 column, none failed."),
        (
            [check(), check(), check(outcome=Outcome.INCONCLUSIVE)],
            "Of 3 checks on 1,000 rows and 1 column, 2 failed and 1 is inconclusive.",
        ),
        ([check(outcome=Outcome.ERROR)], "Of 1 check on 1,000 rows and 1 column, 1 could not be answered."),
        (
            [check(outcome=Outcome.PASS), check(advisory=True), check(advisory=True, message="x; waived until 2026-12-31 by a because b")],
            "Of 3 checks on 1,000 rows and 1 column, none failed, 1 is waived and 1 only advises.",
        ),
        ([], "Of 0 checks on 1,000 rows and 1 column, none of them could block."),
    ],
)
def test_the_verdict_is_one_sentence_with_its_counts(checks, said):
    assert sentence(verdict(*checks), profile("price")) == said


def test_findings_come_in_the_verdicts_order_worst_first():
    html = shown(check("b.inconclusive", Outcome.INCONCLUSIVE), check("a.advises", advisory=True), check("c.fails"))
    assert html.index("<code>c.fails</code>") < html.index("<code>b.inconclusive</code>") < html.index("<code>a.advises</code>")


@pytest.mark.parametrize("parts", [1, 2])
def test_examples_stand_apart_with_value_row_and_part(parts):
    broken = Broken(count=7, examples=(Example(part="p0.csv", row=17, value="'<b>'"), Example(part="p1.csv", row=2003, value="-5.0")))
    message = f"column 'price': 7 of 9 values are not between 1 and 2{examples_of(broken, parts=parts)}; look there"
    html = shown(check(message=message, column="price"), of=summary({"quality.range:price": broken}, parts=parts))
    assert "<p>7 of 9 values are not between 1 and 2; look there</p>" in html
    place = "<bdi>p1.csv</bdi>, " if parts == 2 else ""
    assert f"<code><bdi>-5.0</bdi></code><span>{place}row 2,003</span>" in html
    assert "<code><bdi>&#x27;&lt;b&gt;&#x27;</bdi></code>" in html


@pytest.mark.parametrize(
    ("name", "column", "found"),
    [
        ("schema.type", "price", lambda broken: {"columns": {"price": ColumnSummary(type="number", unread=broken)}}),
        ("quality.nulls", "price", lambda broken: {"columns": {"price": ColumnSummary(type="number", missing=broken)}}),
        ("label.missing", "price", lambda broken: {"columns": {"price": ColumnSummary(type="number", missing=broken)}}),
        ("quality.unique", "price", lambda broken: {"repeats": {"unique:price": broken}}),
        ("quality.key", None, lambda broken: {"repeats": {"key": broken}}),
        ("quality.duplicates", None, lambda broken: {"repeats": {"rows": broken}}),
    ],
)
def test_every_kind_of_example_is_found(name, column, found):
    broken = Broken(count=1, examples=(Example(part="p0.csv", row=4, value="'C4'"),))
    words_of = rows_of if name.endswith((".nulls", ".missing")) else examples_of
    message = f"so it is{words_of(broken, parts=1)}"
    html = shown(check(name, message=message, column=column), of=summary({}, **found(broken)))
    assert "<p>So it is</p>" in html
    assert "<code><bdi>&#x27;C4&#x27;</bdi></code><span>row 4</span>" in html


def test_a_message_that_names_no_examples_stays_whole():
    broken = Broken(count=1, examples=(Example(part="p0.csv", row=4, value="4"),))
    html = shown(check(message="column 'price': it is odd", column="price"), of=summary({"quality.range:price": broken}))
    assert "<p>It is odd</p>" in html
    assert 'class="examples"' not in html.split("</style>")[1]


def test_a_waiver_is_shown_with_owner_reason_and_date():
    message = "column 'price': odd; waived until 2026-12-31 by ada@example.org because it is <known>"
    html = shown(check(message=message, column="price", advisory=True))
    assert "<p>Odd</p>" in html
    assert "Waived until <strong>2026-12-31</strong> by <strong>ada@example.org</strong>: it is &lt;known&gt;" in html
    assert "1 waived" in html


def test_a_value_that_reads_like_a_waiver_waives_nothing():
    message = "column 'price': 'x; waived until 2026-12-31 by eve because so'"
    html = shown(check(message=message, column="price"))
    assert "Waived until" not in html
    assert "What failed" in html


def test_a_column_with_findings_is_marked_and_comes_first():
    html = shown(check(column="b"), check("quality.nulls", column="b"), check(column="c", advisory=True), columns=("a", "b", "c"))
    rows = re.findall(r'<tr id="(c\d)"(?: class="(\w+)")?>', html)
    assert rows == [("c2", "fail"), ("c3", "advises"), ("c1", "")]
    assert "2 failed" in html


def test_each_column_has_its_line_with_numbers_and_role():
    html = shown(roles={"price": "event time"})
    (line,) = re.findall(r'<tr id="c1">(.*?)</tr>', html)
    cells = [re.sub("<[^>]+>", "", cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", line)]
    assert cells[:9] == ["price", "event time", "number", "", "100 (10.0%)", "900", "0", "50", "100"]
    assert "<svg" in line


def test_all_checks_are_folded_away_by_name():
    html = shown(check("a.b", Outcome.PASS, message="m1"), check("a.b", message="m2"), check("c.d", Outcome.PASS))
    folded = html[html.index('<details class="card checks">') :]
    assert "<code>a.b</code> 1 fail, 1 pass" in folded
    assert folded.index("m2") < folded.index("m1")
    assert "<details open" not in html


def test_what_a_column_is_for_comes_from_params_and_contract():
    contract = Contract.model_validate(
        {
            "columns": {name: {"type": "date" if name == "t" else "string"} for name in "igtyx"}
            | {"t": {"type": "date", "role": "event_time"}}
        }
    )
    data = Data(raw="t.csv", target="y", id="i", groups=("g",))
    assert roles_of(contract, data) == {"i": "id", "g": "group", "y": "target", "t": "event time"}


def many(count):
    """A table of so many columns of both kinds, and eight checks on each, with messages of usual length."""
    columns = {f"column_number_{at:04}": number() if at % 2 else words() for at in range(count)}
    names = (
        "schema.type",
        "quality.nulls",
        "quality.range",
        "quality.constant",
        "quality.mixed",
        "label.leak",
        "statistics.missing",
        "statistics.shift",
    )
    message = (
        "0.00% of the cells are missing, 0.00% in the reference; from 0.05 on it counts, if significant (p = 1 after Benjamini-Hochberg)"
    )
    checks = [
        Check(name=name, outcome=Outcome.FAIL if at % 50 == 0 else Outcome.PASS, message=f"column {column!r}: {message}", column=column)
        for at, column in enumerate(columns)
        for name in names
    ]
    return data_page(verdict(*checks), *[Profile(rows=1000, columns=columns)] * 2)


def test_five_hundred_columns_are_less_than_two_megabytes():
    page = many(500)
    assert len(page.encode()) < 2_000_000
    assert page.count('<tr id="c') == 500


def test_thousands_of_columns_stay_bounded():
    page = many(2500)
    assert len(page.encode()) < 3_000_000
    assert page.count('<tr id="c') == 2500
    assert "only those with findings are drawn" in page
    assert page.count('class="card finding') == 100
    assert "and 300 more, among all checks below" in page


def test_very_long_messages_are_cut_in_the_middle():
    html = shown(check(message=f"begins {'x' * 100_000} ends", column="price"))
    assert len(html) < 40_000
    assert re.search(r"<p>Begins x+ … x+ ends</p>", html)


def test_a_page_without_reference_checks_or_columns_is_a_page_too():
    html = data_page(verdict(), Profile(rows=0, columns={}), None)
    assert "no reference to compare with" in html
    assert "0 columns" in html
