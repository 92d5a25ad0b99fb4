"""A story is read whole, or refused with file, line and what may stand there."""

import pytest

from seatrial.errors import ParamsError
from seatrial.simulation.story import check_story, known_alarms, load_story, span
from tests.simulations import STORY, contract, settings, told

ROOT = __import__("pathlib").Path(__file__).parents[3]


def test_a_story_says_what_happens_when(tmp_path):
    story = told(tmp_path).story
    assert [[one.name for one in story.chapters_in(month)] for month in (1, 2, 3, 4)] == [["stable"], ["shock"], ["shock"], ["broken"]]
    assert [story.delay_in(month) for month in (3, 4)] == [5, 60]
    assert [act.request for act in story.acts_in(3)] == ["they stay away"]
    assert list(span((4,))) == [4]
    check_story(told(tmp_path), contract(), settings())


def test_the_repository_s_own_story_is_one():
    story = load_story(ROOT / "data/story.yaml").story
    assert story.months == 12
    assert {one.name for one in story.chapters} == {"stable", "price shock", "new product", "broken column", "late outcomes", "season"}


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("months: 4", "months: 0", 2, "expected a whole number of at least 1 and of at most 36, found 0"),
        ("seed: 3", "sed: 3", 3, "did you mean 'seed'?"),
        ("months: [2, 3]", "months: [3, 2]", 11, "[3, 2] are no months"),
        ("drift.columns: [2, 3]", "drift.columns: [2, 3, 4]", 19, "are no months"),
        ("column: amount, times: 2", "column: amount, times: 2, missing: true", 14, "exactly one of times, value and missing"),
        ("column: amount, times: 2", "column: amount", 14, "exactly one of times, value and missing"),
        ("column: amount, times: 2", "column: amount, tims: 2", 14, "did you mean 'times'?"),
        ("{column: age, since: 60}", "{column: age}", 17, "a condition is equals, or since and until"),
        ("{column: age, since: 60}", "{column: age, since: 60, equals: 3}", 17, "a condition is equals, or since and until"),
        ("share: 0.5}\n    outcomes", "share: 1.5}\n    outcomes", 15, "found 1.5"),
        ("{month: 3, request", "{month: 5, request", 30, "comes after the story's last, month 4"),
        ("months: [4]", "months: [4, 7]", 22, "month 7 comes after the story's last, month 4"),
        ("chapters:\n", "chapters: 3\nothers:\n", 6, "expected a list, found 3"),
    ],
)
def test_what_makes_no_story_is_refused_with_its_line(tmp_path, old, new, line, words):
    assert old in STORY
    with pytest.raises(ParamsError) as refused:
        told(tmp_path, STORY.replace(old, new, 1))
    assert any(f"story.yaml:{line}:" in one and words in one for one in refused.value.problems), refused.value.problems
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "a: [", "- 1\n", "start: 2025-01-01\nstart: 2025-01-01\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    with pytest.raises(ParamsError, match=r"story\.yaml"):
        told(tmp_path, text)


def test_without_a_file_there_is_no_story(tmp_path):
    with pytest.raises(ParamsError, match="there is no such file"):
        load_story(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("column: amount, times: 2", "column: amont, times: 2", 14, "no column 'amont'; did you mean 'amount'?"),
        ("{column: age, since: 60}", "{column: ago, since: 60}", 17, "no column 'ago'; did you mean 'age'?"),
        ("{column: age, since: 60}", "{column: plan, since: 60}", 17, "since and until are for numbers"),
        ("column: amount, times: 2", "column: plan, times: 2", 14, "'plan' is a string, and cannot be multiplied"),
        ("column: amount, times: 2", "column: amount, value: many", 14, "'amount' is a number, 'many' is none"),
        ("column: amount, times: 2", "column: left, value: Yes", 14, "is the id or the target"),
        ('value: "Yes", where', 'value: "Perhaps", where', 17, "no class of 'left'"),
        ("fires: {drift.missing", "fires: {drift.mising", 28, "did you mean 'drift.missing'?"),
        ("may: {drift.prediction", "may: {monitor.performance.f1", 20, "there is no alarm 'monitor.performance.f1'"),
        ("allow: {plan", "allow: {plans", 30, "no column 'plans'"),
        ("equals: plus", "until: 3", 26, "since and until are for numbers"),
    ],
)
def test_what_the_project_does_not_have_is_refused_with_its_line(tmp_path, old, new, line, words):
    assert old in STORY
    with pytest.raises(ParamsError) as refused:
        check_story(told(tmp_path, STORY.replace(old, new, 1)), contract(), settings())
    assert any(f"story.yaml:{line}:" in one and words in one for one in refused.value.problems), refused.value.problems


def test_alarms_are_what_somebody_is_told_about():
    names = known_alarms(settings())
    assert {"drift.columns", "monitor.unseen", "monitor.performance.roc_auc", "retrain", "release"} < set(names)
    assert not {"monitor.performance.f1", "monitor.latency"} & set(names)  # advisory, and without a limit
