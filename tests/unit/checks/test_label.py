"""Label checks: the classes, labels that are missing, the balance, and features that give the label away."""

import msgspec
import numpy as np
import polars as pl
import pytest

from seatrial.checks.label import label_checks, leak_checks, roc_auc, separation
from seatrial.contract import Checks, Column, Contract, Label
from seatrial.params import Data
from seatrial.sketches import Tally
from seatrial.summary import HASH, Broken, ColumnSummary, Example, PartFacts, Summary
from seatrial.verdict import Outcome

DATA = Data(raw="t.csv", target="bought", positive="yes", id="id")
TARGET = Column(type="string")


def contract_of(target=TARGET, label=None, **columns):
    own = {name: column.model_copy() for name, column in {**columns, "bought": target}.items()}
    return Contract(columns=own, checks=Checks(label=label or Label()))


def labelled(labels, *, missing=0, kind="string"):
    """A summary of nothing but labels."""
    tally = Tally()
    tally.add(labels, [1] * len(labels))
    examples = (Example(part="a.csv", row=4, value="'C4'"),) if missing else ()
    found = ColumnSummary(type=kind, count=len(labels), missing=Broken(count=missing, examples=examples), values=tally.freeze())
    part = PartFacts(name="a.csv", digest="md5:0", rows=len(labels) + missing, stored={"bought": "String"})
    return Summary(rows=len(labels) + missing, parts=(part,), columns={"bought": found})


def asked(name, found, contract=None, data=DATA):
    (check,) = [one for one in label_checks(contract or contract_of(), found, data) if one.name == name]
    return check


@pytest.mark.parametrize(
    ("labels", "positive", "words"),
    [
        (["yes", "yes"], "yes", "1 class instead of two: 'yes' (2)"),
        (["yes", "no", "maybe"], "yes", "3 classes instead of two: 'maybe' (1), 'no' (1), 'yes' (1)"),
        (["ja", "nein"], "yes", "data.positive of params.yaml is 'yes', which is none of them"),
        ([], "yes", "every label is missing"),
        ([*"abcdefg"], "yes", "7 classes instead of two: 'a' (1), 'b' (1), 'c' (1), 'd' (1), 'e' (1), …"),
    ],
)
def test_a_target_without_exactly_two_classes_fails_and_names_them(labels, positive, words):
    check = asked("label.classes", labelled(labels), data=msgspec.structs.replace(DATA, positive=positive))
    assert (check.outcome, check.column) == (Outcome.FAIL, "bought")
    assert words in check.message


def test_a_target_of_very_many_classes_fails_without_a_list():
    check = asked("label.classes", labelled([f"c{at}" for at in range(20_001)]))
    assert check.outcome is Outcome.FAIL
    assert "too many to list" in check.message


@pytest.mark.parametrize(
    ("labels", "positive"), [(["yes", "no"], "yes"), ([1, 0], 1), ([1, 0], "1"), ([True, False], True), (["a", "b"], None)]
)
def test_a_target_of_two_classes_passes_however_they_are_written(labels, positive):
    check = asked("label.classes", labelled(labels), data=msgspec.structs.replace(DATA, positive=positive))
    assert check.outcome is Outcome.PASS


def test_a_target_that_is_not_there_is_the_schemas_to_say():
    assert label_checks(contract_of(), Summary(rows=3), DATA) == ()


@pytest.mark.parametrize(("missing", "outcome"), [(0, "pass"), (1, "pass"), (2, "fail")])
def test_missing_labels_up_to_the_rate(missing, outcome):
    found = labelled(["yes", "no"] * 4 + ["no"] * (2 - missing), missing=missing)
    check = asked("label.missing", found, contract_of(Column(type="string", nullable=0.1)))
    assert (check.outcome, check.observed, check.limit) == (outcome, missing / 10, 0.1)
    assert ("row 4 ('C4')" in check.message) is (missing == 2)


def test_missing_labels_may_only_advise():
    assert asked("label.missing", labelled(["yes", "no"], missing=1), contract_of(Column(type="string", advisory=("nulls",)))).advisory


@pytest.mark.parametrize(("rare", "outcome"), [(1, "fail"), (2, "pass"), (3, "pass")])
def test_the_smallest_class_has_its_share(rare, outcome):
    check = asked("label.balance", labelled(["yes"] * rare + ["no"] * (10 - rare)), contract_of(label=Label(min_share=0.2)))
    assert (check.outcome, check.observed, check.limit, check.advisory) == (outcome, rare / 10, 0.2, False)
    assert f"'yes' with {rare} of 10 rows" in check.message


def test_the_balance_may_only_advise_and_needs_two_classes():
    assert asked("label.balance", labelled(["yes", "no"]), contract_of(label=Label(advisory=True))).advisory
    assert [check.name for check in label_checks(contract_of(), labelled(["yes"]), DATA)] == ["label.missing", "label.classes"]


def rows(seed=0, n=1000, **features):
    """A table whose label is `yes` in 30 % of the rows; features are functions of (truth, generator)."""
    generator = np.random.default_rng(seed)
    truth = generator.random(n) < 0.3
    return pl.DataFrame(
        {name: make(truth, generator) for name, make in features.items()} | {"bought": ["yes" if one else "no" for one in truth]}
    )


def leak_of(column, make, **options):
    frame = rows(x=make, **options)
    return leak_checks(contract_of(x=column), frame, DATA)


NUMBER, TEXT = Column(type="number", nullable=1), Column(type="string", nullable=1)


def pairs(truth, others):
    return zip(truth, others, strict=True)


LEAKS = {
    "a number that rises with it": (NUMBER, lambda truth, generator: truth * 5.0 + generator.random(len(truth))),
    "a number that falls with it": (NUMBER, lambda truth, generator: truth * -5.0 + generator.random(len(truth))),
    "a number that is missing with it": (NUMBER, lambda truth, _: [None if one else 1.5 for one in truth]),
    "a number that is there with it": (NUMBER, lambda truth, g: [x if one else None for one, x in pairs(truth, g.random(len(truth)))]),
    "a number that is high or missing with it": (
        NUMBER,
        lambda truth, g: [x if not one else x + 1 if x < 0.5 else None for one, x in pairs(truth, g.random(len(truth)))],
    ),
    "a copy": (TEXT, lambda truth, _: ["ja" if one else "nein" for one in truth]),
    "a category that is missing with it": (TEXT, lambda truth, _: [None if one else "a" for one in truth]),
    "many categories of one class each": (TEXT, lambda truth, g: [f"{one}{x}" for one, x in pairs(truth, g.integers(0, 30, len(truth)))]),
    "codes in no order": (
        Column(type="integer"),
        lambda truth, g: [int(x) * 2 + bool(one) for one, x in pairs(truth, g.integers(0, 6, len(truth)))],
    ),
    "a flag": (Column(type="boolean"), lambda truth, _: truth),
}
HARMLESS = {
    "noise": (NUMBER, lambda truth, generator: generator.normal(size=len(truth))),
    "a good feature": (NUMBER, lambda truth, generator: truth * 2 + generator.normal(size=len(truth))),
    "a constant": (NUMBER, lambda truth, generator: [1.0] * len(truth)),
    "nothing": (NUMBER, lambda truth, generator: pl.Series([None] * len(truth), dtype=pl.Float64)),
    "a few categories": (TEXT, lambda truth, generator: [f"c{x}" for x in generator.integers(0, 5, len(truth))]),
    "very many categories": (TEXT, lambda truth, generator: [f"c{x}" for x in generator.integers(0, len(truth) // 4, len(truth))]),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_feature_that_gives_the_label_away_fails(name):
    (check,) = leak_of(*LEAKS[name])
    assert (check.name, check.column, check.outcome, check.limit) == ("label.leak", "x", Outcome.FAIL, 0.995)
    assert check.observed > 0.995


@pytest.mark.parametrize("name", HARMLESS)
def test_a_feature_that_tells_something_or_nothing_passes(name):
    (check,) = leak_of(*HARMLESS[name])
    assert check.outcome is Outcome.PASS
    assert 0.5 <= check.observed < 0.95


def test_many_categories_do_not_tell_their_own_label():
    (check,) = leak_of(*HARMLESS["very many categories"])
    assert check.observed < 0.56


@pytest.mark.parametrize(("limit", "outcome"), [(0.83, "fail"), (0.84, "pass"), (0.85, "pass")])
def test_the_area_may_reach_its_limit(limit, outcome):
    truth = [True] * 100 + [False] * 100
    cells = [1] * 68 + [0] * 32 + [0] * 100
    frame = pl.DataFrame({"x": [float(cell) for cell in cells], "bought": ["yes" if one else "no" for one in truth]})
    (check,) = leak_checks(contract_of(x=NUMBER, label=Label(max_auc=limit)), frame, DATA)
    assert (check.observed, check.outcome) == (0.84, outcome)


def test_a_leak_names_column_area_rows_and_limit_and_may_only_advise():
    frame = rows(x=LEAKS["a copy"][1])
    (check,) = leak_checks(contract_of(x=TEXT, label=Label(advisory=True)), frame, DATA)
    assert check.advisory
    assert check.message == (
        "column 'x' alone tells the label apart with ROC AUC 1.0000 (1000 sampled rows); above 0.995 it gives the label away"
    )


@pytest.mark.parametrize(
    ("count", "positives", "known"),
    [(99, 50, False), (100, 50, True), (101, 50, True), (200, 9, False), (200, 10, True), (200, 190, True), (200, 191, False)],
)
def test_few_rows_or_few_of_one_class_are_inconclusive_and_only_advise(count, positives, known):
    frame = pl.DataFrame({"x": [float(at) for at in range(count)], "bought": ["yes"] * positives + ["no"] * (count - positives)})
    checks = leak_checks(contract_of(x=NUMBER, y=NUMBER), frame, DATA)
    if known:
        assert [check.column for check in checks] == ["x"]
    else:
        assert [(check.name, check.outcome, check.advisory, check.column) for check in checks] == [
            ("label.leak", Outcome.INCONCLUSIVE, True, None)
        ]
        assert f"{count} rows with {min(positives, count - positives)} of the smaller class" in checks[0].message


def test_rows_without_a_label_do_not_count():
    frame = rows(x=LEAKS["a copy"][1]).with_columns(bought=pl.when(pl.int_range(pl.len()) < 950).then(None).otherwise(pl.col("bought")))
    (check,) = leak_checks(contract_of(x=TEXT), frame, DATA)
    assert (check.outcome, check.observed) == (Outcome.INCONCLUSIVE, 50)


def test_only_what_a_model_would_read_is_asked():
    copy = LEAKS["a copy"][1]
    columns = {
        "id": TEXT,
        "x": TEXT,
        "aside": Column(type="string", role="ignore"),
        "later": Column(type="string", environments=("training",)),
    }
    frame = rows(**dict.fromkeys(columns, copy))
    assert [check.column for check in leak_checks(contract_of(**columns), frame, DATA)] == ["x"]


def test_text_that_hardly_repeats_is_left_out():
    assert leak_of(TEXT, lambda truth, generator: [f"{t} {at}" for at, t in enumerate(truth)]) == ()


def test_the_summarys_sample_is_asked(tmp_path):
    frame = rows(x=LEAKS["a copy"][1])
    path = tmp_path / "sample.parquet"
    frame.with_columns(pl.int_range(pl.len(), dtype=pl.UInt64).alias(HASH)).write_parquet(path)
    found = labelled(frame["bought"].to_list())
    whole = Summary(rows=found.rows, parts=found.parts, columns=found.columns, samples=(str(path),))
    assert asked("label.leak", whole, contract_of(x=TEXT)).outcome is Outcome.FAIL
    assert asked("label.leak", found, contract_of(x=TEXT)).outcome is Outcome.INCONCLUSIVE


def test_the_area_is_scikit_learns():
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(3)
    truth = generator.random(400) < 0.4
    scores = np.round(generator.normal(truth, 1), 1)
    assert roc_auc(pl.Series(scores), truth) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)


def test_the_same_rows_give_the_same_area():
    frame = rows(x=HARMLESS["very many categories"][1])
    truth = (frame["bought"] == "yes").to_numpy()
    assert separation(frame["x"], truth) == separation(frame["x"], truth)
