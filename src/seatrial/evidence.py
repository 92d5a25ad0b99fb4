"""What the gate looks at: both bundles scored now, from their bytes, on the same held-out rows, through the serving runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seatrial.adapters.registry import RegisteredVersion, fetch_bundle
from seatrial.bundle import Bundle, Input, Manifest, load_bundle
from seatrial.checks.behaviour import Kind, Perturbation, Recorded
from seatrial.checks.noise import Noise
from seatrial.checks.slices import slices_of
from seatrial.errors import BundleError, BytesGoneError, DataError, RegistryError
from seatrial.gate import Evidence
from seatrial.latency import measure_latency
from seatrial.located import nearest
from seatrial.metrics import Answers, Scores, Targets
from seatrial.metrics_tasks import Classes, Values
from seatrial.noise import Measured, read_noise
from seatrial.onnx_checks import OUTPUTS
from seatrial.rivals import Rival
from seatrial.row_hashes import row_hashes, trained_on
from seatrial.serving.replica import score_elsewhere, scores_digest
from seatrial.serving.runtime import Probabilities, Runtime
from seatrial.stages import read_rows
from seatrial.suite import SuiteResult, run_suite

if TYPE_CHECKING:
    import polars as pl

    from seatrial.project import Project

UNSEEN = "never seen before"
FAR = 10.0
ROBUSTNESS_ROWS = 500
LATENCY_ROWS = 200
SUITE_S = 900.0


def labels_of(manifest: Manifest, rows: pl.DataFrame) -> Targets:
    """What is true of each row, shape (n,): 0 and 1 (the positive class), the number of its class, or the value of a regression.

    DataError where the target is missing, of a class that the bundle does not know, or no finite number.
    """
    if manifest.target.name not in rows.columns:
        raise DataError(
            f"the held-out rows have no column {manifest.target.name!r}, the target", hint="make them again: nox -s train -- --force"
        )
    target = rows[manifest.target.name]
    if manifest.task == "multiclass":
        return _class_numbers(manifest, target)
    if manifest.task == "regression":
        return _numbers(target)
    return np.asarray(target.cast(str) == manifest.binary.positive, dtype=np.int64)


def _class_numbers(manifest: Manifest, target: pl.Series) -> NDArray[np.int64]:
    numbers = {name: at for at, name in enumerate(manifest.target.classes)}
    found = target.cast(str)
    for name in found.unique(maintain_order=True):
        if name not in numbers:
            what = "a missing label" if name is None else f"the class {name!r}"
            raise DataError(
                f"the held-out rows' target {target.name!r} holds {what}, which the bundle does not know",
                hint="train again with rows of every class, or leave such rows out",
            )
    return np.array([numbers[name] for name in found], dtype=np.int64)


def _numbers(target: pl.Series) -> NDArray[np.float64]:
    import polars as pl

    try:
        values = target.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    except pl.exceptions.PolarsError:
        raise DataError(f"the target {target.name!r} is {target.dtype}, the target of a regression is a number") from None
    strange = int((~np.isfinite(values)).sum())
    if strange:
        raise DataError(f"the target {target.name!r} is missing or no finite number in {strange:,} of {len(values):,} held-out rows")
    return np.asarray(values, dtype=np.float64)


def answers_of(manifest: Manifest, raw: Probabilities) -> Answers:
    """What the runtime gave for a bundle, as the metrics of its task read it."""
    if manifest.task == "multiclass":
        return Classes(probabilities=raw)
    if manifest.task == "regression":
        return Values(values=raw)
    return Scores(probabilities=raw, threshold=manifest.binary.threshold)


def check_task(manifest: Manifest, task: str) -> None:
    """BundleError where a bundle's task is not the one that params.yaml speaks of, and so not that of its metrics."""
    if manifest.task != task:
        raise BundleError(f"the bundle's task is {manifest.task}, model.task of params.yaml is {task}", hint="train again: nox -s train")


def groups_of(names: tuple[str, ...], rows: pl.DataFrame) -> dict[str, list[str]]:
    """The group of each row as text, by group column; a missing value is a group of its own."""
    return {name: [("missing" if value is None else str(value)) for value in rows[name]] for name in names}


def perturbed(manifest: Manifest, rows: pl.DataFrame) -> Iterator[tuple[Kind, str, pl.DataFrame]]:
    """The rows with one column changed at a time: kind of change, column, table.

    Nullable columns become missing; categories become one that nobody has seen; numbers move ten ranges below and above
    what training saw.
    """
    import polars as pl

    for column in manifest.inputs:
        if column.nullable:
            yield "missing", column.name, rows.with_columns(pl.lit(None, dtype=rows[column.name].dtype).alias(column.name))
        if column.type == "category":
            yield "unseen", column.name, rows.with_columns(pl.lit(UNSEEN).alias(column.name))
        for value in _far_values(column):
            yield "range", column.name, rows.with_columns(pl.lit(value).alias(column.name))


def _far_values(column: Input) -> tuple[float, ...]:
    if column.type not in ("number", "integer") or column.minimum is None or column.maximum is None:
        return ()
    width = max(column.maximum - column.minimum, 1.0) * FAR
    return column.minimum - width, column.maximum + width


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a challenger stands: the champion, the anchor (None where it is the champion), and how many bundles were judged here."""

    champion: RegisteredVersion | None = None
    anchor: RegisteredVersion | None = None
    look: int = 1


def gather(project: Project, standing: Standing, digest: str, say: Callable[[str], None]) -> Evidence:
    """Measure the bundle in `artifacts/model` and its rivals on the held-out rows; `say` is told what comes next.

    Raises BundleError or DataError where the challenger cannot be scored; a rival that cannot be is part of the evidence.
    """
    policy, rows, version = project.settings.gate, read_rows(project.test_data), standing.champion
    slices, measured_noise = slices_of(_known(policy.slices.columns, rows), rows), read_noise(project.noise)
    say(f"scoring {rows.height:,} held-out rows")
    runtime, answers = score(project.bundle, digest, rows)
    manifest = runtime.bundle.manifest
    check_task(manifest, project.settings.model.task)
    champion, folder = _rival(project, version, rows, manifest)
    anchor, _ = _rival(project, standing.anchor, rows, manifest)
    say("scoring them again in a second process")
    digests = (scores_digest(answers), score_elsewhere(project.bundle, digest, project.test_data))
    say(f"running the model test suite in {policy.suite}")
    suite = _suite(project, digest, version, folder)
    say(f"timing {policy.latency.requests:,} requests to the real server")
    return Evidence(
        labels=labels_of(manifest, rows),
        challenger=answers_of(manifest, answers),
        champion=champion,
        anchor=anchor,
        slices=slices,
        look=standing.look,
        noise=_dated(measured_noise, manifest),
        groups=groups_of(project.settings.data.groups, rows),
        perturbations=tuple(_perturbations(runtime, rows.head(ROBUSTNESS_ROWS))),
        digests=digests,
        golden=_golden(runtime),
        bundle_bytes=runtime.bundle.size,
        latency=_latency(project, digest, version, folder, first_rows(manifest, rows, LATENCY_ROWS)),
        suite=suite,
    )


def _dated(found: Measured | None, manifest: Manifest) -> Noise | None:
    """The noise floor, stale where it was measured on other rows than the challenger's."""
    return None if found is None else replace(found.noise, stale=found.training != manifest.training.data)


def _known(columns: tuple[str, ...], rows: pl.DataFrame) -> tuple[str, ...]:
    """The columns of `gate.slices`; DataError names one that the table does not have."""
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        raise DataError(f"gate.slices.columns: the held-out rows have no column {missing[0]!r}{nearest(missing[0], rows.columns)}")
    return columns


def _rival(project: Project, version: RegisteredVersion | None, rows: pl.DataFrame, manifest: Manifest) -> tuple[Rival | None, Path | None]:
    """Another version's answers to the same rows and the folder of its bytes, or in words why there are none."""
    if version is None:
        return None, None
    if version.digest == manifest.digest:
        return Rival(same_bundle=True), None
    try:
        folder = fetch_bundle(project, version, project.home / "store")
        runtime, raw = score(folder, version.digest, rows)
        answers = rival_answers(manifest, runtime.bundle.manifest, raw)
    except (BundleError, DataError, RegistryError) as error:
        return Rival(problem=error.message, gone=isinstance(error, BytesGoneError)), None
    mine, theirs = ({column.name for column in one.inputs} for one in (manifest, runtime.bundle.manifest))
    rival = Rival(
        scores=answers,
        learned=_learned(runtime.bundle, rows),
        only_challenger=tuple(sorted(mine - theirs)),
        only_champion=tuple(sorted(theirs - mine)),
    )
    return rival, folder


def rival_answers(challenger: Manifest, champion: Manifest, raw: Probabilities) -> Answers:
    """The champion's answers beside the challenger's, the classes of a multiclass task in the challenger's order.

    BundleError where they answer another question: another task, or other classes than the challenger's.
    """
    advice = "another question needs a model.name of its own"
    if challenger.task != champion.task:
        raise BundleError(f"its task is {champion.task}, the challenger's is {challenger.task}; {advice}")
    if challenger.task == "multiclass":
        different = sorted({*challenger.target.classes} ^ {*champion.target.classes})
        if different:
            raise BundleError(f"only one of both knows the class {', '.join(map(repr, different[:5]))}; {advice}")
        raw = raw[:, [champion.target.classes.index(name) for name in challenger.target.classes]]
    return answers_of(champion, raw)


def _learned(bundle: Bundle, rows: pl.DataFrame) -> NDArray[np.bool_] | None:
    """Which of the rows a bundle was trained on; None where it does not say."""
    known = trained_on(bundle)
    return None if known is None else np.isin(row_hashes(rows, bundle.manifest), known)


def _perturbations(runtime: Runtime, rows: pl.DataFrame) -> Iterator[Perturbation]:
    before = runtime.score_frame(rows)
    for kind, column, table in perturbed(runtime.bundle.manifest, rows):
        yield Perturbation(kind=kind, column=column, before=before, after=runtime.score_frame(table))


def _golden(runtime: Runtime) -> Recorded:
    import polars as pl

    golden, name = runtime.bundle.golden, OUTPUTS[runtime.bundle.manifest.task]
    try:
        promised = np.asarray([one[name] for one in golden], dtype=np.float64)
        rows = [one["row"] for one in golden]
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the bundle's golden rows cannot be read: {error!r}") from None
    given = runtime.score_frame(pl.from_dicts(rows, infer_schema_length=None))
    return Recorded(promised=promised.tolist(), given=given.tolist())


def _suite(project: Project, digest: str, version: RegisteredVersion | None, folder: Path | None) -> tuple[SuiteResult, ...]:
    subject = {
        "bundle": str(project.bundle),
        "digest": digest,
        "champion": str(folder) if folder else None,
        "champion_digest": version.digest if version and folder else None,
    }
    policy = project.settings.gate
    folder_of_tests, environment = project.root / policy.suite, project.settings.environment
    return run_suite(folder_of_tests, root=project.root, environment=environment, subject=subject, timeout=SUITE_S)


def _latency(
    project: Project, digest: str, version: RegisteredVersion | None, folder: Path | None, rows: list[dict[str, Any]]
) -> dict[str, list[float]]:
    bundles = {"challenger": (project.bundle, digest)}
    if version is not None and folder is not None:
        bundles["champion"] = (folder, version.digest)
    policy = project.settings.gate.latency
    return measure_latency(bundles, rows, requests=policy.requests, rate=float(policy.rate))


def score(folder: Path, digest: str, rows: pl.DataFrame) -> tuple[Runtime, Probabilities]:
    """The bundle in ONNX Runtime and its answer to each row; BundleError or DataError where it cannot answer."""
    runtime = Runtime(load_bundle(folder, expected=digest))
    return runtime, runtime.score_frame(rows)


def first_rows(manifest: Manifest, rows: pl.DataFrame, count: int) -> list[dict[str, Any]]:
    """Rows as a client sends them: the model's inputs by name."""
    records: list[dict[str, Any]] = rows.select([column.name for column in manifest.inputs]).head(count).to_dicts()
    return records
