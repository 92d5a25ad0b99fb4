"""What a review rests on: the base, what DVC says changed since, both contracts, both models, and the verdicts on what lies here.

What cannot be had is a sentence in `troubles`, with what to do, and never a reason to say nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial import contract_diff
from seatrial.base_files import base_files
from seatrial.bundle import read_digest
from seatrial.contract import load_contract
from seatrial.diff import Comparison, compare
from seatrial.dvc_lock import Locked, read_lock
from seatrial.errors import BundleError, DataError, SeatrialError, VerdictError
from seatrial.files import sha256_bytes
from seatrial.flips import Flips, flips_between
from seatrial.merge_base import Base, commits_since, file_at, find_base
from seatrial.noise import read_noise
from seatrial.profile import Profile, load_profile
from seatrial.project import Project
from seatrial.tolerances import tolerance_checks
from seatrial.verdict import Check, Verdict

if TYPE_CHECKING:
    from seatrial.rescored import Rescored

HELD_OUT = "data/processed/test.parquet"
CONFUSION = "metrics/plots/confusion.csv"
PIPELINE = ("params.yaml", "dvc.yaml", "dvc.lock")
CURVES = {"roc": ("false_positive_rate", "true_positive_rate"), "calibration": ("predicted", "observed")}
"""The plots that both commits may have below metrics/plots, with what lies across and up."""

Curve = tuple[tuple[float, float], ...]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """What dvc.lock names at the base and here, by path."""

    base: Mapping[str, Locked] = field(default_factory=dict)
    now: Mapping[str, Locked] = field(default_factory=dict)

    def changed(self, path: str) -> bool:
        """Whether both sides name a path, with other bytes."""
        old, new = self.base.get(path), self.now.get(path)
        return old is not None and new is not None and old.md5 != new.md5


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known about a change; `troubles` say what is not, `notes` what is worth knowing.

    `floors` are the noise floors by metric, where they were measured on the rows that the model was trained on; `curves` are
    those of base and workspace.
    """

    base: Base | None
    comparison: Comparison | None = None
    tolerances: tuple[Check, ...] = ()
    contract: tuple[contract_diff.Change, ...] = ()
    sides: Sides = Sides()
    rescored: Rescored | None = None
    flips: Flips | None = None
    profiles: tuple[Profile, Profile] | None = None
    floors: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, tuple[Curve, Curve]] = field(default_factory=dict)
    gate: Verdict | None = None
    validation: Verdict | None = None
    troubles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def gather(project: Project, wanted: str | None = None) -> Facts:
    """Look at everything, DVC and the models side by side; PipelineError only where DVC itself cannot answer."""
    troubles: list[str] = []
    notes: list[str] = []
    gate = _gate(project, troubles.append)
    base = _base(project, wanted, troubles.append)
    validation = _validation(project, notes.append)
    if base is None:
        return Facts(base=None, gate=gate, validation=validation, troubles=tuple(troubles), notes=tuple(notes))
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(compare, project.root, base, project.env, plots=False)
        sides = _sides(project, base)
        rescored = _rescored(project, base, sides, notes.append)
        contract = _contract_changes(project, base, troubles.append)
        notes += _moved_on(project, base)
        comparison = asked.result()
    return Facts(
        base=base,
        comparison=comparison,
        tolerances=tolerance_checks(project.settings.diff.tolerances, comparison.metrics.changes),
        contract=contract,
        sides=sides,
        rescored=rescored,
        flips=_flips(project, base, sides, rescored),
        profiles=_profiles(project, base, rescored),
        floors=_floors(project, notes.append),
        curves=_curves(project, base),
        gate=gate,
        validation=validation,
        troubles=tuple(troubles),
        notes=tuple(notes),
    )


def _base(project: Project, wanted: str | None, say: Say) -> Base | None:
    try:
        return find_base(project.root, project.env, wanted)
    except SeatrialError as error:
        say(f"No comparison: {error.message}. What to do: {error.hint}")
        return None


def _moved_on(project: Project, base: Base) -> list[str]:
    """Whether the branch has gone on since: what is compared here is not what a merge would give then."""
    total = commits_since(project.root, base)
    told = commits_since(project.root, base, (*PIPELINE, project.settings.data.contract, project.settings.data.reference))
    if not total:
        return []
    words = f"{base.branch} has gone on by {total} commit{'s' * (total != 1)} since {base.commit}"
    if not told:
        return [f"{words}; none of them changes params, pipeline, contract or reference."]
    return [f"{words}, of which {told} change params, pipeline, contract or reference: merge it, train and ask again."]


def _sides(project: Project, base: Base) -> Sides:
    path = project.root / "dvc.lock"
    now = path.read_bytes() if path.is_file() else b""
    return Sides(base=read_lock(file_at(project.root, base.commit, "dvc.lock") or b""), now=read_lock(now))


def _rescored(project: Project, base: Base, sides: Sides, say: Say) -> Rescored | None:
    """Both models on the same rows, where the base's can be had and is another one."""
    place = project.bundle.relative_to(project.root).as_posix()
    old, new = sides.base.get(place), sides.now.get(place)
    if old is None or not project.bundle.is_dir():
        return None
    if new is not None and old.md5 == new.md5:
        say("The model is the base's, byte for byte.")
        return None
    from seatrial.rescored import bundle_from, rescore

    try:
        return rescore(project, bundle_from(base_files(project.root, project.env, commit=base.commit, path=place, locked=old)))
    except SeatrialError as error:
        remedy = "nox -s push where the base was trained, or let both share DVC's cache"
        say(f"Without intervals: the base's model cannot be asked ({error.message}). What to do: {remedy}")
        return None


def _contract_changes(project: Project, base: Base, say: Say) -> tuple[contract_diff.Change, ...]:
    """What changed in the contract since the base; a new one, or one that cannot be read, is told in words."""
    name = project.settings.data.contract
    now, then = project.contract, file_at(project.root, base.commit, name)
    if then is None:
        say(f"The base has no {name}, so every rule of the contract is new.")
        return ()
    if now.is_file() and now.read_bytes() == then:
        return ()
    try:
        return contract_diff.compare(contract_diff.contract_at(base.commit, project.root, f"./{name}"), load_contract(now))
    except SeatrialError as error:
        say(f"The contracts cannot be compared: {error.message}")
        return ()


def _profiles(project: Project, base: Base, rescored: Rescored | None) -> tuple[Profile, Profile] | None:
    """What the data looked like, now and at the base: of the training rows where both bundles say, else both references."""
    if rescored is not None and rescored.profiles is not None:
        return rescored.profiles[0].inputs, rescored.profiles[1].inputs
    raw = file_at(project.root, base.commit, project.settings.data.reference)
    if raw is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        then = Path(scratch) / "reference.json"
        then.write_bytes(raw)
        try:
            return load_profile(project.reference), load_profile(then)
        except SeatrialError:
            return None


def _flips(project: Project, base: Base, sides: Sides, rescored: Rescored | None) -> Flips | None:
    """Rows that get another class: from both models, else from what both commits say about the same held-out rows."""
    if rescored is not None:
        return rescored.flips
    path, name = project.root / CONFUSION, HELD_OUT
    if sides.changed(name) or name not in sides.base or not path.is_file():
        return None
    return flips_between(file_at(project.root, base.commit, CONFUSION) or b"", path.read_bytes())


def _floors(project: Project, say: Say) -> Mapping[str, float]:
    """By how much each metric moves by luck alone, if that was measured on these training rows."""
    try:
        found = read_noise(project.noise)
        trained = json.loads((project.bundle / "manifest.json").read_bytes())["training"]["data"]
    except (DataError, OSError, ValueError, KeyError, TypeError):
        return {}
    if found is None:
        return {}
    if found.training != trained:
        say("The noise floor was measured on other training rows, so it is left out. Measure it again: nox -s noise")
        return {}
    return found.noise.floors


def _curves(project: Project, base: Base) -> Mapping[str, tuple[Curve, Curve]]:
    """The curves that both sides have."""
    found = {}
    for name in CURVES:
        path = project.root / "metrics/plots" / f"{name}.csv"
        old = read_curve(file_at(project.root, base.commit, f"metrics/plots/{name}.csv") or b"", name)
        new = read_curve(path.read_bytes() if path.is_file() else b"", name)
        if old and new:
            found[name] = (old, new)
    return found


def read_curve(raw: bytes, name: str) -> Curve:
    """The points of a curve's CSV; none where it is not one."""
    head, *lines = raw.decode(errors="replace").splitlines() or [""]
    if tuple(head.split(",")) != CURVES[name]:
        return ()
    try:
        points = [tuple(map(float, line.split(","))) for line in lines]
        return tuple((across, up) for across, up in points if 0 <= across <= 1 and 0 <= up <= 1)
    except ValueError:
        return ()


def _gate(project: Project, say: Say) -> Verdict | None:
    """The gate's verdict, if it is about the bundle that lies here."""
    try:
        verdict, digest = Verdict.load(project.verdict("gate"), kind="gate"), read_digest(project.bundle)
    except (VerdictError, BundleError) as error:
        say(f"No gate: {error.message}. What to do: {error.hint or 'nox -s train gate'}")
        return None
    if verdict.subject.get("bundle") != digest:
        say("The gate's verdict is about another bundle than the one in artifacts/model. What to do: nox -s gate")
        return None
    return verdict


def _validation(project: Project, say: Say) -> Verdict | None:
    """The data's verdict, if it is about the contract and the reference that lie here."""
    try:
        verdict = Verdict.load(project.verdict("validation"), kind="validation")
    except VerdictError:
        return None
    for name, path in (("contract", project.contract), ("reference", project.reference)):
        if path.is_file() and verdict.subject.get(name) not in (None, sha256_bytes(path.read_bytes())):
            say(f"The validation's verdict is about another {name} than the one here, so it is left out. What to do: nox -s validate")
            return None
    return verdict
