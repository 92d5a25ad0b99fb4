"""Models with one known fault each, beside others that have none: what the gate's self-test asks the gate about.

Those that are trained are trained by the stage itself, in a scratch project; the others are the champion, asked wrongly.
"""

from __future__ import annotations

import contextlib
import csv
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray

from churn import train as stage
from seatrial.bundle import Manifest, load_bundle
from seatrial.errors import DataError
from seatrial.evidence import groups_of, labels_of
from seatrial.metrics import Scores
from seatrial.project import Project
from seatrial.selftest import Candidate, Expected, Population, from_log_odds, log_odds
from seatrial.serving.runtime import Runtime
from seatrial.stages import read_rows

if TYPE_CHECKING:
    import polars as pl

UNIT = 100
"""A number in another unit: cents for euros, centimetres for metres."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The champion (the bundle in artifacts/model), the rows, and its most important category and number."""

    project: Project
    runtime: Runtime
    training: pl.DataFrame
    held_out: pl.DataFrame
    answers: NDArray[np.float64]
    category: str
    number: str

    @classmethod
    def of(cls, project: Project) -> Sample:
        """Score the held-out rows; BundleError or DataError where `nox -s train` did not run."""
        runtime = Runtime(load_bundle(project.bundle))
        held_out = read_rows(project.test_data)
        return cls(
            project=project,
            runtime=runtime,
            training=read_rows(project.train_data),
            held_out=held_out,
            answers=runtime.score_frame(held_out),
            category=most_important(project, runtime.bundle.manifest, ("category",)),
            number=most_important(project, runtime.bundle.manifest, ("number", "integer")),
        )

    @property
    def manifest(self) -> Manifest:
        """What the champion reads."""
        return self.runtime.bundle.manifest

    @property
    def champion(self) -> Scores:
        """The champion's answers."""
        return Scores(probabilities=self.answers, threshold=self.manifest.binary.threshold)

    def population(self) -> Population:
        """The held-out rows as the gate sees them."""
        settings = self.project.settings
        groups = groups_of(settings.data.groups, self.held_out)
        labels = np.asarray(labels_of(self.manifest, self.held_out), dtype=np.int64)
        return Population(labels=labels, champion=self.champion, groups=groups, policy=settings.gate)


def most_important(project: Project, manifest: Manifest, types: tuple[str, ...]) -> str:
    """The input of these types with the largest permutation importance, as `evaluate` measured it."""
    path = project.evaluation.parent / "plots/importance.csv"
    known = {column.name for column in manifest.inputs if column.type in types}
    try:
        with path.open(newline="") as stream:
            names = [row["feature"] for row in csv.DictReader(stream)]
    except (OSError, KeyError) as error:
        raise DataError(f"metrics/plots/importance.csv cannot be read ({error})", hint="make it: nox -s train") from None
    found = next((name for name in names if name in known), None)
    if found is None:
        raise DataError(f"metrics/plots/importance.csv names no input of type {' or '.join(types)}", hint="make it again: nox -s train")
    return found


Answers = Callable[[Sample, Path], Scores]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one candidate's answers to the held-out rows come to be; a scratch folder is given for those that are trained."""

    name: str
    words: str
    expected: Expected
    answers: Answers

    def candidate(self, sample: Sample, scratch: Path) -> Candidate:
        """Train or ask, and give the candidate."""
        scores = self.answers(sample, scratch)
        return Candidate(
            name=self.name, words=self.words, expected=self.expected, probabilities=scores.probabilities, threshold=scores.threshold
        )


def recipes(sample: Sample) -> tuple[Recipe, ...]:
    """Every named candidate, in the order of the table."""
    return (*_good(), *_trained_badly(sample), *_asked_wrongly(sample), *_answering_wrongly(sample))


def _good() -> Iterator[Recipe]:
    yield Recipe(
        name="seed", words="trained again with another seed", expected="pass", answers=lambda s, f: retrained(s, f, train={"seed": 1})
    )
    for seed in (1, 2):
        yield Recipe(
            name=f"bootstrap {seed}",
            words=f"trained on a bootstrap resample of the training rows ({seed})",
            expected="pass",
            answers=_on_a_bootstrap(seed),
        )
    yield Recipe(
        name="logistic",
        words="another estimator, as good: logistic regression",
        expected="pass",
        answers=lambda s, f: retrained(s, f, train={"estimator": "logistic_regression"}),
    )


def _on_a_bootstrap(seed: int) -> Answers:
    return lambda s, f: retrained(s, f, rows=bootstrap(s.training, seed))


def _lowering(column: str) -> Answers:
    return lambda s, _: lowered(s, column)


def _trained_badly(sample: Sample) -> Iterator[Recipe]:
    yield _bad("shuffled", "trained on shuffled answers", lambda s, f: retrained(s, f, rows=shuffled(s.training, s.manifest.target.name)))
    yield _bad("tenth", "trained on a tenth of the rows", lambda s, f: retrained(s, f, rows=s.training.head(s.training.height // 10)))
    yield _bad("short", "training stopped after five rounds", lambda s, f: retrained(s, f, train={"max_iter": 5}))
    yield _bad("without", f"trained without {sample.category}", lambda s, f: retrained(s, f, without=s.category))
    yield _bad("leak", "trained on the held-out rows, too", lambda s, f: retrained(s, f, rows=s.training.vstack(s.held_out)))


def _asked_wrongly(sample: Sample) -> Iterator[Recipe]:
    category, number = sample.category, sample.number
    yield _bad("category empty", f"{category} missing in every row", lambda s, _: asked(s, emptied(s.held_out, s.category)))
    yield _bad("number empty", f"{number} missing in every row", lambda s, _: asked(s, emptied(s.held_out, s.number)))
    yield _bad(
        "stale encoder", f"an encoder of other data: the values of {category} exchanged", lambda s, _: asked(s, exchanged(s, s.category))
    )
    yield _bad("unit", f"{number} in another unit, × {UNIT}", lambda s, _: asked(s, in_another_unit(s.held_out, s.number)))


def _answering_wrongly(sample: Sample) -> Iterator[Recipe]:
    yield _bad("constant", "always the base rate", lambda s, _: constant(s))
    yield _bad("swapped", "the classes swapped", lambda s, _: _with(s, 1 - s.answers))
    yield _bad("off by one", "each row gets the answer of the row before", lambda s, _: _with(s, np.roll(s.answers, 1)))
    yield _bad("overconfident", "twice as sure of itself, the labels unchanged", lambda s, _: surer(s, 2.0))
    for column in sample.project.settings.data.groups[:1]:
        yield _bad("unfair", f"one value of {column} rated lower", _lowering(column))


def _bad(name: str, words: str, answers: Answers) -> Recipe:
    return Recipe(name=name, words=words, expected="caught", answers=answers)


def retrained(
    sample: Sample, scratch: Path, *, rows: pl.DataFrame | None = None, train: Mapping[str, Any] | None = None, without: str | None = None
) -> Scores:
    """Run the stage `train` in a scratch project: on other rows, with other settings, or with one column ignored."""
    project = scratch_project(sample, scratch, rows=sample.training if rows is None else rows, train=train or {}, without=without)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a training was stopped early is what was asked for
        stage.train(project)
    runtime = Runtime(load_bundle(project.bundle))
    return Scores(probabilities=runtime.score_frame(sample.held_out), threshold=runtime.bundle.manifest.binary.threshold)


def scratch_project(sample: Sample, folder: Path, *, rows: pl.DataFrame, train: Mapping[str, Any], without: str | None) -> Project:
    """A project in `folder` with this one's held-out rows, and with the rows and settings given."""
    own = sample.project
    params = yaml.safe_load((own.root / "params.yaml").read_text())
    params["train"] = {**params.get("train", {}), **train}
    contract = yaml.safe_load(own.contract.read_text())
    if without is not None:
        contract["columns"][without]["role"] = "ignore"
    made = Project(root=folder, env={})
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    for path in (made.contract, made.train_data):
        path.parent.mkdir(parents=True, exist_ok=True)
    made.contract.write_text(yaml.safe_dump(contract, sort_keys=False))  # the order of the columns is that of the model's inputs
    rows.write_parquet(made.train_data)
    sample.held_out.write_parquet(made.test_data)
    return made


def bootstrap(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """As many rows, drawn with replacement."""
    return rows[np.random.default_rng(seed).integers(0, rows.height, rows.height)]


def shuffled(rows: pl.DataFrame, target: str) -> pl.DataFrame:
    """The rows with their answers dealt out anew."""
    return rows.with_columns(rows[target].shuffle(seed=0))


def emptied(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """The rows with one column missing everywhere."""
    import polars as pl

    return rows.with_columns(pl.lit(None, dtype=rows[column].dtype).alias(column))


def exchanged(sample: Sample, column: str) -> pl.DataFrame:
    """The held-out rows with each value of a category replaced by the next, as an encoder with another order would read them."""
    import polars as pl

    values = next(one.categories or () for one in sample.manifest.inputs if one.name == column)
    return sample.held_out.with_columns(pl.col(column).replace(dict(zip(values, (*values[1:], *values[:1]), strict=True))))


def in_another_unit(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    """The rows with one number in a unit a hundred times smaller."""
    return rows.with_columns(rows[column].cast(float) * UNIT)


def asked(sample: Sample, rows: pl.DataFrame) -> Scores:
    """The champion's answers to damaged rows."""
    return _with(sample, sample.runtime.score_frame(rows))


def _with(sample: Sample, answers: NDArray[np.float64]) -> Scores:
    return Scores(probabilities=answers, threshold=sample.manifest.binary.threshold)


def constant(sample: Sample) -> Scores:
    """The training rows' share of positives for every row."""
    share = float(labels_of(sample.manifest, sample.training).mean())
    return _with(sample, np.full(sample.held_out.height, share))


def surer(sample: Sample, factor: float) -> Scores:
    """The champion's log-odds times a factor, and the threshold's, so that each row keeps its rank and its label."""
    odds, own = log_odds(sample.answers), log_odds(np.array([sample.manifest.threshold]))
    return Scores(probabilities=from_log_odds(factor * odds), threshold=float(from_log_odds(factor * own)[0]))


def lowered(sample: Sample, column: str, by: float = 0.8) -> Scores:
    """The champion's answers with the log-odds of one group lowered: that of the column's last value in order."""
    values = np.array(groups_of((column,), sample.held_out)[column], dtype=object)
    return _with(sample, from_log_odds(log_odds(sample.answers) - by * (values == max(values))))
