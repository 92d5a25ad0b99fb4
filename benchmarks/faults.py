"""What the data test finds: 40 single faults planted in the sample, one at a time, and 200 clean resamples left alone."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks._common import ROOT, table
from seatrial.errors import SeatrialError
from seatrial.project import Project
from seatrial.validation import validate
from seatrial.verdict import Outcome, Verdict

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
RESAMPLES = 200
SAMPLE = "data/raw/telco_churn.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong with a delivery, and the column that a person should be pointed at (None: the whole table)."""

    words: str
    column: str | None
    plant: Callable[[pl.DataFrame], pl.DataFrame]


def cells(column: str, value: object, rows: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Another value in every so-many-th row, so that `rows` rows have it."""

    def plant(frame: pl.DataFrame) -> pl.DataFrame:
        chosen = pl.int_range(pl.len()) % max(1, frame.height // rows) == 0
        limited = chosen & (chosen.cum_sum() <= rows)
        text = pl.lit(None if value is None else str(value), dtype=pl.String)
        return frame.with_columns(pl.when(limited).then(text).otherwise(pl.col(column)).alias(column))

    return plant


def change(column: str, expression: pl.Expr) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Another value in every row, computed from what is there."""
    return lambda frame: frame.with_columns(expression.cast(pl.String).alias(column))


def number(column: str) -> pl.Expr:
    """A column as numbers; cells without a value stay empty."""
    return pl.col(column).cast(pl.Float64)


def flipped(column: str, one: str, other: str) -> pl.Expr:
    """The two values exchanged."""
    return pl.col(column).replace({one: other, other: one})


def some(share: float) -> pl.Expr:
    """True in a share of the rows that has nothing to do with their content."""
    return (pl.int_range(pl.len()) * 7919 % 1000) < share * 1000


FAULTS = (
    Fault(words="one id missing", column="customer_id", plant=cells("customer_id", None, 1)),
    Fault(words="one id written differently", column="customer_id", plant=cells("customer_id", "7590-VHVEG", 1)),
    Fault(
        words="one id used twice",
        column="customer_id",
        plant=lambda f: f.with_columns(
            pl.when(pl.int_range(pl.len()) == 500).then(pl.col("customer_id").first()).otherwise(pl.col("customer_id")).alias("customer_id")
        ),
    ),
    Fault(words="the file delivered twice in one", column="customer_id", plant=lambda f: pl.concat([f, f])),
    Fault(words="one tenure missing", column="tenure", plant=cells("tenure", None, 1)),
    Fault(words="5 % of total_charges missing", column="total_charges", plant=cells("total_charges", None, 352)),
    Fault(words="three internet_service missing", column="internet_service", plant=cells("internet_service", None, 3)),
    Fault(words="five labels missing", column="churn", plant=cells("churn", None, 5)),
    Fault(words="tech_support empty", column="tech_support", plant=change("tech_support", pl.lit(None))),
    Fault(words="one tenure of -1", column="tenure", plant=cells("tenure", -1, 1)),
    Fault(words="one tenure of 999", column="tenure", plant=cells("tenure", 999, 1)),
    Fault(words="one monthly_charges of 0", column="monthly_charges", plant=cells("monthly_charges", 0, 1)),
    Fault(words="one monthly_charges without its decimal point", column="monthly_charges", plant=cells("monthly_charges", 7035, 1)),
    Fault(words="one negative total_charges", column="total_charges", plant=cells("total_charges", -29.85, 1)),
    Fault(words="one senior_citizen of 2", column="senior_citizen", plant=cells("senior_citizen", 2, 1)),
    Fault(words="'n/a' in one monthly_charges", column="monthly_charges", plant=cells("monthly_charges", "n/a", 1)),
    Fault(words="one total_charges with a thousands separator", column="total_charges", plant=cells("total_charges", "1,889.50", 1)),
    Fault(words="one tenure of 12.5", column="tenure", plant=cells("tenure", 12.5, 1)),
    Fault(words="female written as F in ten rows", column="female", plant=cells("female", "F", 10)),
    Fault(words="1e400 in one total_charges", column="total_charges", plant=cells("total_charges", "1e400", 1)),
    Fault(words="a new payment method in one row", column="payment_method", plant=cells("payment_method", "Bitcoin", 1)),
    Fault(words="'dsl' for 'DSL' in three rows", column="internet_service", plant=cells("internet_service", "dsl", 3)),
    Fault(words="a space behind 'No' in three rows", column="multiple_lines", plant=cells("multiple_lines", "No ", 3)),
    Fault(words="'Month to month' in one row", column="contract", plant=cells("contract", "Month to month", 1)),
    Fault(words="'yes' for 'Yes' in the label, once", column="churn", plant=cells("churn", "yes", 1)),
    Fault(words="a column missing", column="tech_support", plant=lambda f: f.drop("tech_support")),
    Fault(words="a column renamed", column="monthly_charges", plant=lambda f: f.rename({"monthly_charges": "MonthlyCharges"})),
    Fault(words="a column more", column="comment", plant=lambda f: f.with_columns(comment=pl.lit("ok"))),
    Fault(words="the export cut after 30 % of the rows", column=None, plant=lambda f: f.head(int(f.height * 0.3))),
    Fault(
        words="prices up by a fifth", column="monthly_charges", plant=change("monthly_charges", (number("monthly_charges") * 1.2).round(2))
    ),
    Fault(
        words="total_charges in hundreds", column="total_charges", plant=change("total_charges", (number("total_charges") / 100).round(2))
    ),
    Fault(words="a year added to every tenure", column="tenure", plant=change("tenure", (number("tenure") + 12).cast(pl.Int64))),
    Fault(
        words="dependents coded the other way round in three rows of ten",
        column="dependents",
        plant=change("dependents", pl.when(some(0.3)).then(flipped("dependents", "0", "1")).otherwise(pl.col("dependents"))),
    ),
    Fault(words="senior_citizen 0 for everybody", column="senior_citizen", plant=change("senior_citizen", pl.lit(0))),
    Fault(
        words="phone_service lost for a fifth of the customers",
        column="phone_service",
        plant=change("phone_service", pl.when(some(0.2)).then(pl.lit("0")).otherwise(pl.col("phone_service"))),
    ),
    Fault(words="one contract type gone", column="contract", plant=lambda f: f.filter(pl.col("contract") != "Two year")),
    Fault(words="streaming_tv 'No' for everybody", column="streaming_tv", plant=change("streaming_tv", pl.lit("No"))),
    Fault(words="the label has one class", column="churn", plant=lambda f: f.filter(pl.col("churn") == "No")),
    Fault(words="the label's classes exchanged", column="churn", plant=change("churn", flipped("churn", "Yes", "No"))),
    Fault(
        words="a column that copies the label",
        column="paperless_billing",
        plant=change("paperless_billing", (pl.col("churn") == "Yes").cast(pl.Int64)),
    ),
)


def main() -> None:
    """Plant each fault, then validate the resamples."""
    sample = pl.read_csv(ROOT / SAMPLE, infer_schema=False)
    with tempfile.TemporaryDirectory() as scratch:
        project = _project(Path(scratch))
        rows = [_planted(project, sample, fault) for fault in FAULTS]
        false = [failures for failures in _resampled(project, sample) if failures]
    named = sum(row[1] == "found" for row in rows)
    table(f"{named} of {len(FAULTS)} planted faults found, the column named", ["fault", "", "by", "says"], rows)
    print(f"\n{len(false)} of {RESAMPLES} clean resamples failed")
    for failures in false:
        print(f"  {'; '.join(failures)}")


def _project(folder: Path) -> Project:
    """The sample's contract and reference around a table that can be written over."""
    for name in ("params.yaml", "data/contract.yaml", "data/reference.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    (folder / "data/raw").mkdir()
    return Project(root=folder, env={})


def _planted(project: Project, sample: pl.DataFrame, fault: Fault) -> list[str]:
    verdict = _validated(project, fault.plant(sample))
    if isinstance(verdict, str):
        return [fault.words, "found" if fault.column is None or fault.column in verdict else "refused", "exit 2", verdict]
    blocking = [check for check in verdict.worst_first() if check.blocks]
    own = [
        check for check in blocking if check.column == fault.column or (check.name == "schema.columns" and fault.column in check.message)
    ]
    if not own:
        return [fault.words, "wrong column" if blocking else "missed", "", ""]
    return [fault.words, "found", f"`{own[0].name}`", own[0].message.replace("|", "\\|")]


def _resampled(project: Project, sample: pl.DataFrame) -> Iterator[list[str]]:
    """Each time as many rows drawn from the sample with replacement, with ids of their own."""
    for seed in range(RESAMPLES):
        at = np.random.default_rng(seed).integers(0, sample.height, sample.height)
        drawn = sample[at].with_columns(("C" + pl.int_range(10_000, 10_000 + sample.height).cast(pl.String)).alias("customer_id"))
        verdict = _validated(project, drawn)
        yield [verdict] if isinstance(verdict, str) else [f"{check.name} {check.column}" for check in verdict.checks if check.blocks]


def _validated(project: Project, frame: pl.DataFrame) -> Verdict | str:
    """The verdict on a table, or the sentence that refuses it."""
    frame.write_csv(project.root / SAMPLE)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            verdict = validate(Project(root=project.root, env={}), now=NOW).verdict
    except SeatrialError as error:
        return error.message
    return verdict if verdict.outcome is not Outcome.PASS or verdict.checks else "nothing was asked"


if __name__ == "__main__":
    main()
