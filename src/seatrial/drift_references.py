"""What a window may be compared with: a version's training rows, or another window of the same version's answers."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from seatrial.bundle import Bundle, load_bundle
from seatrial.drift import Reference
from seatrial.errors import BundleError, DataError
from seatrial.files import md5_of, sha256_bytes
from seatrial.live_profile import LiveProfile, profile_of_bundle, training_profile
from seatrial.live_rows import Sample, Selection, own_columns, read_window
from seatrial.times import parse_window

if TYPE_CHECKING:
    import polars as pl

    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.project import Project


def bundle_of(project: Project, version: RegisteredVersion) -> Bundle:
    """A version's bundle: from the content store, else the one at hand if it is the same, else from the registry."""
    from seatrial.adapters.registry import fetch_bundle

    store = project.home / "store"
    for folder in (store / version.digest.removeprefix("sha256:"), project.bundle):
        try:
            return load_bundle(folder, expected=version.digest)
        except BundleError:
            continue
    return load_bundle(fetch_bundle(project, version, store), expected=version.digest)


def training_reference(project: Project, version: RegisteredVersion, bundle: Bundle) -> Reference:
    """What a version learned from: the profile in its bundle, and the rows themselves for charts where they are at hand.

    A bundle without a profile needs the rows; DataError where those at hand are others or none.
    """
    at_hand = project.train_data.exists() and md5_of(project.train_data) == bundle.manifest.training.data
    kept = profile_of_bundle(bundle)
    if kept is None and not at_hand:
        raise DataError(
            f"version {version.version} keeps no profile of its training rows, and data/processed/train.parquet holds other rows or none",
            hint="check out the commit that trained it and run: dvc pull data/processed/train.parquet; later versions keep a profile",
        )
    words = f"the {bundle.manifest.training.rows} rows that version {version.version} learned from"
    if kept is not None and not at_hand:
        return Reference(words=words, digest=bundle.digest, profile=kept)
    rows, answers = _rows(project, bundle)
    most = project.settings.monitor.drift.max_rows
    profile = kept or training_profile(rows, bundle.manifest.inputs, segments=bundle.manifest.groups, answers=answers)
    sample = Sample(most)
    sample.add(rows)
    return Reference(words=words, digest=bundle.digest, profile=profile, rows=sample.rows, answers=answers[:most].tolist())


def _rows(project: Project, bundle: Bundle) -> tuple[pl.DataFrame, Any]:
    """The training rows, and the answers on those that the version was held back from, on which it is no surer than it should be."""
    from seatrial.serving.runtime import Runtime
    from seatrial.stages import read_rows

    rows, held_out = read_rows(project.train_data), bundle.manifest.training.held_out
    known = bool(held_out) and project.test_data.exists() and md5_of(project.test_data) == held_out
    return rows, Runtime(bundle).score_frame(read_rows(project.test_data) if known else rows)


def chosen_reference(project: Project, text: str | None, champion: RegisteredVersion, bundle: Bundle, *, now: dt.datetime) -> Reference:
    """The reference that `text` names: a version's number, `START..END`, or None for what the champion learned from.

    Raises UsageError for what is neither, RegistryError for a version that is not there, DataError for one without a profile or a
    window without answers.
    """
    if text is None:
        return training_reference(project, champion, bundle)
    if text.isdecimal():
        return _of_version(project, int(text))
    return _of_window(project, text, bundle, now=now)


def _of_version(project: Project, number: int) -> Reference:
    from seatrial.adapters.registry import version_of

    version = version_of(project, number)
    return training_reference(project, version, bundle_of(project, version))


def _of_window(project: Project, text: str, bundle: Bundle, *, now: dt.datetime) -> Reference:
    since, until = parse_window(text, now=now)
    policy = project.settings.monitor.drift
    selection = Selection(since=since, until=until)
    found = read_window(project, bundle.manifest, bundle.digest, selection, segments=bundle.manifest.groups, sample=policy.max_rows)
    if found.rows < policy.min_rows:
        raise DataError(
            f"--reference {text}: the champion answered {found.rows} rows in it, {policy.min_rows} are needed",
            hint="choose a longer window (monitor.drift.min_rows), or a version's number",
        )
    profile: LiveProfile = found.tally.profile()
    own = own_columns(bundle.manifest)
    answers = found.sample.rows[own["probability"]].drop_nulls().to_list()
    return Reference(
        words=f"{found.rows} rows that were answered in {text}",
        digest=sha256_bytes(profile.to_bytes()),
        profile=profile,
        rows=found.sample.rows,
        answers=answers,
    )
