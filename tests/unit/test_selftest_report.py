"""The self-test for people: every model in a row, the promises last, and a page whose prose nobody overwrites."""

import pytest

from seatrial.errors import DataError
from seatrial.params import Gate, MetricPolicy
from seatrial.selftest import Rate
from seatrial.selftest_report import END, START, curve_rows, findings, markdown, named_rows, print_rates, with_measured

POLICY = Gate(metrics={"roc_auc": MetricPolicy(margin=0.02)})


def rate(words, passed, *, expected="caught", metric=None, distance=None):
    return Rate(
        name=words,
        words=words,
        expected=expected,
        metric=metric,
        distance=distance,
        draws=100,
        passed=passed,
        inconclusive=100 - passed,
        failed=0,
        point_rule=50,
        predicted=None if metric is None else 0.05,
        caught_by="performance.roc_auc.floor" if metric is None else "",
    )


AT_MARGIN = rate("at the margin", 5, metric="roc_auc", distance=0.02)
EQUAL = rate("as good", 100, metric="roc_auc", distance=0.0)
RATES = [rate("a constant", 0), rate("another seed", 100, expected="pass"), AT_MARGIN, EQUAL]


def test_every_named_model_has_a_row_with_its_interval():
    rows = named_rows(RATES)
    assert [row[:5] for row in rows] == [("a constant", "never passed", "0", "100", "0"), ("another seed", "never failed", "100", "0", "0")]
    assert rows[0][5] == "100 % (96–100 %)"


def test_known_distances_stand_in_their_order():
    assert [row[0] for row in curve_rows(RATES, "roc_auc", 0.02)] == ["0.0000 (another model, as good)", "0.0200"]
    assert curve_rows(RATES, "roc_auc", 0.02)[1][1:] == ("5.0 % (2.2–11.2 %)", "5.0 %", "50.0 %")


def test_the_findings_say_what_the_rates_come_to():
    told = " ".join(findings(RATES, POLICY))
    assert "worse by the margin of 0.02 passes on 5.0 % of 100 test sets (2.2–11.2 %; predicted 5.0 %)" in told
    assert "point rule passes it on 50.0 %" in told
    assert "Models beyond the limits: 1, passed on 0 of 100 test sets" in told


@pytest.mark.parametrize("terminal", [True, False])
def test_the_last_line_says_whether_the_promises_hold(capsys, terminal):
    print_rates(RATES, POLICY, terminal=terminal)
    assert capsys.readouterr().out.splitlines()[-1] == "selftest: pass · the promises of the gate hold"
    print_rates([*RATES, rate("a leaky one", 6)], POLICY, terminal=terminal)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "selftest: fail · 1 promise is broken"
    assert lines[-2] == "broken: a leaky one: passed in 6 of 100 draws, at most 5% may"


def test_only_what_stands_between_the_marks_is_replaced():
    page = f"# Title\n\n{START}\nold\n{END}\n\nProse\n"
    new = with_measured(page, markdown(RATES, POLICY))
    assert new.startswith(f"# Title\n\n{START}\n")
    assert new.endswith(f"{END}\n\nProse\n")
    assert "old" not in new
    assert "| a constant |" in new
    assert with_measured(new, markdown(RATES, POLICY)) == new


@pytest.mark.parametrize("page", ["", START, END, f"{END}{START}"])
def test_a_page_without_its_marks_is_refused(page):
    with pytest.raises(DataError, match=r"docs/selftest\.md"):
        with_measured(page, "x")


@pytest.mark.parametrize(("columns", "whole"), [(70, False), (200, True)])
def test_a_narrow_terminal_gets_the_columns_that_matter_most(capsys, monkeypatch, columns, whole):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_rates(RATES, POLICY, terminal=True)
    table = capsys.readouterr().out.partition("ROC AUC, margin")[0]
    assert ("most often by" in table) is whole
    assert "inconclusive" in table
