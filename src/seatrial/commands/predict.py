"""Score a table in batch with the champion's bundle, or with a named version's.

    seatrial predict data/new.parquet --output scores.parquet

Every line names the version and the digest that answered.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.files import shown_path
from seatrial.places import table_at
from seatrial.predict import Predicted, predict
from seatrial.project import Project

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.adapters.registry import RegisteredVersion


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("table", help="a CSV or Parquet file, or a folder of them; or one at s3://")
    parser.add_argument("--output", type=Path, required=True, help="where the answers go, .csv or .parquet")
    parser.add_argument("--version", type=int, help="a registered version (default: the champion)")
    parser.add_argument("--inputs", action="store_true", help="write the table's columns beside the answers")


def run(project: Project, options: argparse.Namespace) -> int:
    """Score, and say what came of it; 0, or an exception that says why not."""
    from seatrial.adapters.registry import champion_of, version_of

    version = champion_of(project) if options.version is None else version_of(project, options.version)
    found = score_table(project, options.table, options.output, version, inputs=options.inputs)
    _print(found, version, options.output)
    return 0


def score_table(project: Project, table: str | Path, output: Path, version: RegisteredVersion, *, inputs: bool = False) -> Predicted:
    """Score `table` with a registered version's bundle; raises BundleError, DataError or UsageError."""
    from seatrial.drift_references import bundle_of
    from seatrial.serving.runtime import Runtime

    bundle = bundle_of(project, version)
    data = table_at(project.settings.data, str(table))
    runtime = Runtime(bundle)
    return predict(table, output, runtime, data, version=str(version.version), inputs=inputs, root=project.root)


def _print(found: Predicted, version: RegisteredVersion, output: Path) -> None:
    labels = ", ".join(f"{count:,} {label}" for label, count in found.labels.items())
    for what, counts in (("categories that training never saw", found.unseen), ("numbers outside the range of training", found.outside)):
        shown = _counts(counts)
        if shown:
            print(f"predict: answered all the same: {what} in {shown}")
    print(f"predict: {found.rows:,} rows ({labels}) by version {version.version}, {version.digest[:19]}… · {shown_path(output)}")


def _counts(counts: Mapping[str, int]) -> str:
    found = sorted(((name, count) for name, count in counts.items() if count), key=lambda pair: -pair[1])
    return ", ".join(f"{name} ({count:,})" for name, count in found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
