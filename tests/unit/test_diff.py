"""`seatrial.diff`: what DVC's JSON says, and the Markdown made of it."""

import math

import pytest

from seatrial.diff import MARKER, Answer, Change, Comparison, find_notes, parse_changes, to_markdown
from seatrial.errors import PipelineError
from seatrial.merge_base import Base
from seatrial.verdict import Check, Outcome


def change(name="auc", old=0.3, new=0.4):
    return Change(path="m.json", name=name, old=old, new=new)


def comparison(*metrics, params=(), complaints="", page=True):
    return Comparison(
        base=Base(commit="abc", reason="as asked"),
        metrics=Answer(changes=metrics, complaints=complaints),
        params=Answer(changes=params),
        page=page,
    )


def test_dvc_s_json_gives_one_change_for_each_name_in_order():
    found = parse_changes('{"m.json": {"b": {"old": 1, "new": 2, "diff": 1}, "a": {"old": null, "new": "x"}}}')
    assert found == (Change(path="m.json", name="a", old=None, new="x"), Change(path="m.json", name="b", old=1, new=2))


def test_bare_nan_and_infinity_in_dvc_s_json_are_values_that_are_no_number():
    nan, infinite = parse_changes('{"m.json": {"a": {"old": 0.3, "new": NaN, "diff": NaN}, "b": {"old": null, "new": -Infinity}}}')
    assert math.isnan(nan.new)
    assert (nan.delta, infinite.new) == (None, -math.inf)


@pytest.mark.parametrize("text", ["[1]", "{", '{"m.json": 3}', '{"m.json": {"a": 3}}'])
def test_an_answer_that_is_no_json_of_dvc_s_is_an_error(text):
    with pytest.raises(PipelineError, match="something else"):
        parse_changes(text)


def test_the_text_names_the_base_and_shows_the_tables():
    text = to_markdown(comparison(change(), params=(change("train.max_iter", 3, 5),)))
    assert text.startswith(MARKER)
    assert "Compared with `abc`, as asked." in text
    assert "| `m.json` | `auc` | 0.3 | 0.4 | +0.1 |" in text
    assert "| `m.json` | `train.max_iter` | 3 | 5 |" in text
    assert "reports/plots/index.html" in text
    assert "could not be compared" not in text


def test_a_metric_that_did_not_change_is_left_out():
    text = to_markdown(comparison(change(), change("rows", 5, 5)))
    assert "`rows`" not in text


def test_where_nothing_changed_the_text_says_so():
    text = to_markdown(comparison(page=False))
    assert "No metrics changed." in text
    assert "No params changed." in text
    assert "DVC drew no plots." in text


def test_words_of_a_stranger_stay_words():
    text = to_markdown(comparison(change("a`|@bob", "<b>", "x | y"), page=False))
    assert "| `aˋǀ@\u200bbob` | &lt;b&gt; | x \\| y | – |" in text


def test_tolerances_are_told_with_their_outcome():
    check = Check(name="tolerance.auc", outcome=Outcome.FAIL, message="auc went from 0.4 to 0.3")
    assert "- **fail** auc went from 0.4 to 0.3" in to_markdown(comparison(), [check])


def test_a_metric_that_the_base_lacks_is_said_with_what_to_do():
    (note,) = find_notes(comparison(change(old=None)))
    assert note.startswith("The base has no value for `auc`")
    assert "`--base REV`" in note


def test_a_metric_that_the_workspace_lacks_is_said_with_what_to_do():
    assert find_notes(comparison(change(new=None))) == ("The workspace has no value for `auc`: run `nox -s train`.",)


@pytest.mark.parametrize(
    ("sides", "words"),
    [({"old": math.nan}, "at the base"), ({"new": math.inf}, "in the workspace"), ({"new": math.nan}, "in the workspace")],
)
def test_a_value_that_is_no_finite_number_is_said_with_its_side(sides, words):
    (note,) = find_notes(comparison(change(**sides)))
    assert f"`auc` is no finite number {words}" in note


def test_many_missing_metrics_are_counted():
    metrics = [change(f"m{number}", old=None) for number in range(8)]
    assert "`m4` and 3 more" in find_notes(comparison(*metrics))[0]


def test_what_dvc_could_not_read_is_said_even_where_the_table_is_empty():
    complaints = "DVC failed to load some metrics for following revisions: 'abc', 'workspace'.\n"
    text = to_markdown(comparison(complaints=complaints))
    assert "DVC could not read the metrics of 'abc', 'workspace'.\n" in text
