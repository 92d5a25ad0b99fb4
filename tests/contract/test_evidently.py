"""What Seatrial relies on in Evidently: the tests' names and directions, pinned limits, a page that needs no network."""

import re
import subprocess
import sys

import numpy as np
import pytest

from seatrial.errors import DataError
from seatrial.evidently_report import ColumnPair, compare, framed

DRAW = np.random.default_rng(0)
SIDES = {
    "numeric": (DRAW.normal(size=2000), DRAW.normal(size=1500), DRAW.normal(3, 1, size=1500)),
    "category": (["a", "b"] * 1000, ["b", "a"] * 750, ["a"] * 1350 + ["b"] * 100 + ["new"] * 50),
}


def column(name="amount", *, kind="numeric", method="ks_stat", limit=0.1, reference=None, current=None):
    before, same, _ = SIDES[kind]
    return ColumnPair(
        name=name,
        kind=kind,
        method=method,
        limit=limit,
        reference=before if reference is None else reference,
        current=same if current is None else current,
    )


def score(one):
    return compare([one], drifted_share=0.5)[0][one.name]


def test_a_column_with_a_reference_of_its_own_length_is_compared_as_if_alone():
    inputs, answers = column(), column("prediction", reference=DRAW.normal(size=700), current=SIDES["numeric"][2])
    together, _ = compare([inputs], alone=[answers], drifted_share=0.5)
    assert together["prediction"].value == pytest.approx(score(answers).value)
    assert together["amount"].value == pytest.approx(score(inputs).value)


@pytest.mark.parametrize(
    ("method", "kind"), [("ks_stat", "numeric"), ("psi", "numeric"), ("psi", "category"), ("jensenshannon", "category")]
)
def test_every_distance_that_params_may_name_tells_same_from_moved(method, kind):
    _, same, moved = SIDES[kind]
    calm, loud = (score(column(kind=kind, method=method, limit=0.2, current=side)) for side in (same, moved))
    assert (calm.drifted, loud.drifted) == (False, True)
    assert loud.value > calm.value


def test_ks_stat_is_the_largest_distance_between_the_distribution_functions():
    found = score(column(reference=np.arange(10.0), current=np.arange(10.0) + 3))
    assert found.value == pytest.approx(0.3)


@pytest.mark.parametrize(("limit", "drifted"), [(0.29, True), (0.3, True), (0.31, False)])
def test_a_distance_counts_from_its_limit_on(limit, drifted):
    found = score(column(limit=limit, reference=np.arange(10.0), current=np.where(np.arange(10.0) < 3, 99.0, np.arange(10.0))))
    assert found.value == pytest.approx(0.3)
    assert found.drifted is drifted


def test_the_pinned_test_is_used_whatever_the_number_of_rows():
    for rows in (50, 2000):
        found = compare([column(reference=DRAW.normal(size=rows), current=DRAW.normal(size=rows))], drifted_share=0.5)[1]
        assert "K-S distance" in found


def test_one_empty_column_aborts_so_it_must_not_come_here():
    empty = column("nothing", current=np.full(1500, np.nan))
    with pytest.raises(DataError, match="empty column 'nothing'"):
        compare([column(), empty], drifted_share=0.5)


def test_missing_values_are_left_out():
    holes = np.where(np.arange(1500) % 10 == 0, SIDES["numeric"][1], np.nan)
    assert score(column(current=holes, limit=0.4)).drifted is False


def test_the_prediction_stands_for_itself_and_a_constant_column_is_no_problem():
    scores, page = compare([column(current=np.ones(1500))], alone=[column("prediction")], drifted_share=0.5)
    assert scores["amount"].drifted
    assert not scores["prediction"].drifted
    assert "prediction" in page


def test_text_from_requests_cannot_leave_its_script_block():
    words = ["</script><script>alert(1)</script>", "a&b"] * 100
    scores, page = compare([column("<b>colour</b>", kind="category", method="psi", current=words)], drifted_share=0.5)
    assert scores["<b>colour</b>"].drifted
    assert "<script>alert(1)" not in page
    assert "<b>colour" not in page


def test_the_framed_page_has_title_head_and_a_policy_against_loading():
    page = framed(compare([column()], drifted_share=0.5)[1], title="Drift <1>", head="<p>pass</p>")
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>Drift &lt;1&gt;</title>" in page
    assert "<h1>Drift &lt;1&gt;</h1><p>pass</p>" in page
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert re.search(r'<(script|link|img)[^>]+(src|href)="?http', page) is None


def test_neither_the_import_nor_the_report_tries_a_connection():
    code = """
import socket
def refuse(*arguments, **options):
    raise SystemExit(f"tried {arguments}")
socket.socket.connect = socket.getaddrinfo = refuse
from seatrial.evidently_report import ColumnPair, compare
pair = ColumnPair(name="a", kind="numeric", method="ks_stat", limit=0.1, reference=[1.0, 2.0], current=[1.0, 2.0])
print(compare([pair], drifted_share=1.0)[0]["a"].drifted)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout.strip(), found.stderr) == (0, "False", "")
