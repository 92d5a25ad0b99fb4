"""The faults of the self-test: each is the one that its words say, and leaves everything else alone."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from churn.faults import (
    Sample,
    bootstrap,
    constant,
    emptied,
    exchanged,
    in_another_unit,
    lowered,
    most_important,
    recipes,
    retrained,
    scratch_project,
    shuffled,
    surer,
)
from seatrial.bundle import load_bundle
from seatrial.errors import DataError
from seatrial.metrics import METRICS
from seatrial.stages import read_rows
from tests.bundles import TARGET
from tests.unit.churn.samples import trained_project

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return Sample.of(trained_project(tmp_path_factory.mktemp("project")))


def auc(sample, scores):
    return METRICS["roc_auc"](sample.population().labels, scores.probabilities, scores.threshold)


def changed(before, after):
    return [name for name in before.columns if before[name].cast(str).to_list() != after[name].cast(str).to_list()]


def test_the_most_important_category_and_number_are_those_of_evaluate(sample):
    assert (sample.category, sample.number) == ("plan", "visits")


def test_an_importance_that_is_missing_or_names_nothing_is_refused(sample, tmp_path):
    with pytest.raises(DataError, match="names no input of type date"):
        most_important(sample.project, sample.manifest, ("date",))
    elsewhere = type(sample.project)(root=tmp_path, env={})
    with pytest.raises(DataError, match=r"importance\.csv cannot be read"):
        most_important(elsewhere, sample.manifest, ("category",))


def test_the_population_holds_the_champions_answers_to_the_held_out_rows(sample):
    population = sample.population()
    assert len(population.labels) == sample.held_out.height
    assert population.labels.tolist() == [int(value == TARGET.positive) for value in sample.held_out[TARGET.name]]
    assert population.champion.probabilities.tolist() == sample.runtime.score_frame(sample.held_out).tolist()
    assert population.groups["plan"] == sample.held_out["plan"].to_list()


def test_a_scratch_project_differs_in_what_was_asked_for_and_is_trained_by_the_stage(sample, tmp_path):
    rows = sample.training.head(100)
    project = scratch_project(sample, tmp_path, rows=rows, train={"seed": 7}, without="plan")
    assert (project.settings.train.seed, project.settings.train.estimator) == (7, "logistic_regression")
    assert project.settings.gate == sample.project.settings.gate
    assert read_rows(project.train_data).equals(rows)
    assert read_rows(project.test_data).equals(sample.held_out)


def test_training_again_with_nothing_changed_gives_the_champion(sample, tmp_path):
    again = retrained(sample, tmp_path)
    assert again.threshold == sample.champion.threshold
    assert np.array_equal(again.probabilities, sample.answers)


def test_a_model_trained_without_a_column_does_not_read_it(sample, tmp_path):
    retrained(sample, tmp_path, without="plan")
    names = [column.name for column in load_bundle(tmp_path / "artifacts/model").manifest.inputs]
    assert names == ["amount", "visits", "member", "colour"]


def test_nothing_is_printed_by_a_training_of_the_self_test(sample, tmp_path, capsys):
    retrained(sample, tmp_path)
    assert capsys.readouterr().out == ""


def test_a_bootstrap_repeats_rows_and_depends_on_its_seed(sample):
    drawn = bootstrap(sample.training, 1)
    assert drawn.height == sample.training.height
    assert 0.55 < drawn.n_unique() / drawn.height < 0.72
    assert not drawn.equals(bootstrap(sample.training, 2))


def test_shuffled_answers_are_the_same_answers_to_other_rows(sample):
    dealt = shuffled(sample.training, TARGET.name)
    assert changed(sample.training, dealt) == [TARGET.name]
    assert dealt[TARGET.name].sort().equals(sample.training[TARGET.name].sort())


def test_damaged_rows_differ_in_one_column(sample):
    empty = emptied(sample.held_out, "visits")
    assert changed(sample.held_out, empty) == ["visits"]
    assert empty["visits"].null_count() == empty.height
    other = in_another_unit(sample.held_out, "visits")
    assert changed(sample.held_out.with_columns(pl.col("visits").cast(float)), other) == ["visits"]
    assert other["visits"].to_list() == [100 * value for value in sample.held_out["visits"]]


def test_exchanged_categories_are_all_known_and_none_is_what_it_was(sample):
    new = exchanged(sample, "plan")
    assert changed(sample.held_out, new) == ["plan"]
    assert set(new["plan"]) == {"basic", "plus"}
    assert (new["plan"] != sample.held_out["plan"]).all()


def test_a_constant_model_answers_the_share_of_positives_in_training(sample):
    share = (sample.training[TARGET.name] == TARGET.positive).mean()
    assert constant(sample).probabilities == pytest.approx(np.full(sample.held_out.height, share))


def test_a_surer_model_keeps_every_rank_and_label(sample):
    sure, labels = surer(sample, 2.0), sample.population().labels
    assert auc(sample, sure) == auc(sample, sample.champion)
    assert np.array_equal(sure.positive, sample.champion.positive)
    assert METRICS["log_loss"](labels, sure.probabilities) > METRICS["log_loss"](labels, sample.answers)


def test_one_group_alone_is_rated_lower(sample):
    lower, last = lowered(sample, "plan").probabilities, (sample.held_out["plan"] == "plus").to_numpy()
    assert (lower[last] < sample.answers[last]).all()
    assert np.allclose(lower[~last], sample.answers[~last], atol=1e-12)


def test_every_recipe_gives_a_probability_for_every_row(sample, tmp_path):
    names = []
    for recipe in recipes(sample):
        folder = tmp_path / recipe.name
        folder.mkdir()
        found = recipe.candidate(sample, folder)
        names.append(found.name)
        assert (found.scores.strange, len(found.probabilities), found.expected) == (0, sample.held_out.height, recipe.expected)
    assert len(set(names)) == len(names)


def test_swapped_classes_and_rows_off_by_one_are_what_they_say(sample, tmp_path):
    made = {one.name: one for one in recipes(sample)}
    swapped = made["swapped"].candidate(sample, tmp_path)
    assert auc(sample, swapped.scores) == pytest.approx(1 - auc(sample, sample.champion))
    moved = made["off by one"].candidate(sample, tmp_path).probabilities
    assert moved[1:].tolist() == sample.answers[:-1].tolist()
    assert moved[0] == sample.answers[-1]


def test_every_named_model_stands_in_the_page_of_this_repository(sample):
    page = (ROOT / "docs/selftest.md").read_text()
    own = {"plan": "contract", "visits": "tenure"}
    for recipe in recipes(sample):
        words = recipe.words if not recipe.name.startswith("unfair") else "one value of female rated lower"
        for small, large in own.items():
            words = words.replace(small, large)
        assert f"| {words} |" in page
