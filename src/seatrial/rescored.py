"""Both models of a change on the same held-out rows: paired intervals, slices, flips, and what each had learned from.

The base's bundle comes out of DVC's cache, checked byte by byte, and answers through the serving runtime as the gate's rivals do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.bundle import Bundle, load_bundle, read_digest
from seatrial.errors import BundleError, DataError
from seatrial.flips import Flips, count_flips
from seatrial.movements import Interval
from seatrial.params import METRICS
from seatrial.project import Project

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seatrial.live_profile import LiveProfile
    from seatrial.metrics import Answers, Targets
    from seatrial.statistics import Estimate

ALPHA = 0.05
MOST_ROWS = 50_000
"""Of more held-out rows a sample is judged, so that a comment does not take minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceMove:
    """One slice's paired difference by one metric; `p` is that of no difference, adjusted over all slices (Holm)."""

    column: str
    value: str
    rows: int
    old: float
    new: float
    interval: Interval
    p: float

    @property
    def moved(self) -> bool:
        """Whether chance does not explain it."""
        return self.p < ALPHA


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """What came of it: the `rows` that both were judged on, of `every` held-out row; `learned` ones the base's model was trained on."""

    rows: int
    every: int
    learned: int
    metrics: Mapping[str, Interval]
    slice_metric: str
    slices: tuple[SliceMove, ...]
    flips: Flips | None
    profiles: tuple[LiveProfile, LiveProfile] | None


def bundle_from(files: Mapping[str, bytes]) -> Bundle:
    """The bundle that these files are, checked as any other; BundleError where they are none."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "base"
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return load_bundle(folder)


def rescore(project: Project, base: Bundle) -> Rescored:
    """Judge the bundle in `artifacts/model` and the base's on the held-out rows; SeatrialError where one cannot answer."""
    import numpy as np

    from seatrial.evidence import answers_of, labels_of, rival_answers
    from seatrial.row_hashes import row_hashes, trained_on
    from seatrial.serving.runtime import Runtime
    from seatrial.stages import read_rows

    rows = read_rows(project.test_data)
    now = load_bundle(project.bundle, expected=read_digest(project.bundle))
    new = answers_of(now.manifest, Runtime(now).score_frame(rows))
    old = rival_answers(now.manifest, base.manifest, Runtime(base).score_frame(rows))
    known = trained_on(base)
    fresh = np.ones(rows.height, dtype=bool) if known is None else ~np.isin(row_hashes(rows, base.manifest), known)
    chosen = fresh & _sample(int(fresh.sum()), fresh, project.settings.gate.seed)
    if not chosen.any():
        raise DataError("the base's model was trained on every held-out row")
    labels = labels_of(now.manifest, rows)[chosen]
    found = _judged(project, rows.filter(chosen), labels, new.only(chosen), old.only(chosen), (now, base))
    return replace(found, every=rows.height, learned=int((~fresh).sum()))


def _sample(count: int, fresh: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """All rows, or where there are very many, about MOST_ROWS of the fresh ones."""
    import numpy as np

    if count <= MOST_ROWS:
        return np.ones(len(fresh), dtype=bool)
    return np.random.default_rng(seed).random(len(fresh)) < MOST_ROWS / count


def _judged(project: Project, rows: Any, labels: Targets, new: Answers, old: Answers, bundles: tuple[Bundle, Bundle]) -> Rescored:
    from seatrial.resampling import estimate_differences

    policy, settings = project.settings.gate, project.settings
    names = METRICS[settings.model.task]
    found = estimate_differences(names, labels, new, old, resamples=policy.resamples, seed=policy.seed)
    metric = policy.slices.metric or settings.model.primary
    return Rescored(
        rows=len(labels),
        every=len(labels),
        learned=0,
        metrics={name: _interval(one, float(policy.confidence)) for name, one in found.items()},
        slice_metric=metric,
        slices=_slices(project, rows, labels, new, old),
        flips=_flips(bundles[0], labels, new, old),
        profiles=_profiles(*bundles),
    )


def _interval(estimate: Estimate, confidence: float) -> Interval:
    from seatrial.checks.performance import bounds

    low, high = bounds(estimate, confidence)
    return Interval(value=float(estimate.value), low=float(low), high=float(high))


def _slices(project: Project, rows: Any, labels: Targets, new: Answers, old: Answers) -> tuple[SliceMove, ...]:
    """Each slice and group with enough rows, those that moved most surely first."""
    from seatrial.checks.performance import Level
    from seatrial.checks.slices import slice_questions, slices_of
    from seatrial.statistics import holm

    settings, policy = project.settings, project.settings.gate
    columns = [name for name in dict.fromkeys((*policy.slices.columns, *settings.data.groups)) if name in rows.columns]
    level = Level(confidence=float(policy.confidence), resamples=policy.resamples, seed=policy.seed)
    asked = slice_questions(policy.slices, settings.model.primary, labels, slices_of(columns, rows), new, old, level)
    sure = holm([_chance(one.difference) for one in asked])
    moves = [
        SliceMove(
            column=one.column or "",
            value=one.name.removeprefix(f"slices.{one.column}."),
            rows=one.rows,
            old=one.values[1],
            new=one.values[0],
            interval=_interval(one.difference, float(policy.confidence)),
            p=p,
        )
        for one, p in zip(asked, sure, strict=True)
    ]
    return tuple(sorted(moves, key=lambda move: (move.p, -abs(move.interval.value), move.column, move.value)))


def _chance(difference: Estimate) -> float:
    """The two-sided p of no difference; a difference of nothing is no difference, however exact."""
    if difference.value == 0:
        return 1.0
    return min(1.0, 2 * min(difference.p_above(0), difference.p_below(0)))


def _flips(bundle: Bundle, labels: Targets, new: Answers, old: Answers) -> Flips | None:
    """Rows that get another class, by the classes' names; nothing of a regression."""
    if new.task == "regression":
        return None
    names = bundle.manifest.target.classes
    return count_flips(
        (names[actual], names[was], names[now])
        for actual, was, now in zip(labels, old.given, new.given, strict=True)  # type: ignore[arg-type]
    )


def _profiles(now: Bundle, base: Bundle) -> tuple[LiveProfile, LiveProfile] | None:
    """What both models learned from, where both bundles say."""
    from seatrial.live_profile import profile_of_bundle

    try:
        pair = profile_of_bundle(now), profile_of_bundle(base)
    except BundleError:
        return None
    return None if pair[0] is None or pair[1] is None else (pair[0], pair[1])
