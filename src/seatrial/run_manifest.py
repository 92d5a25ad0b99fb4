"""What a run was made from: `metrics/run.json`, written by `train` and, with the verdict, by `gate`; `rerun` repeats it.

Canonical: no time, no host and no path of a machine, so that two machines that did the same have the same bytes.
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.errors import VerdictError
from seatrial.files import pretty_json, sha256_bytes, shown_path, write_atomic
from seatrial.verdict import Verdict

if TYPE_CHECKING:
    from seatrial.project import Project

KIND = "run"
SHOWN = 20
REMEDY = "make it: nox -s train gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """One training and, where it was judged, its gate.

    `commit` is None outside git; `changed` names files that differed from it, the first twenty. `lock`, `params`, `requirements`
    are digests of dvc.lock, params.yaml and requirements.lock, None where there is no such file; `data` is the raw table's hash by
    DVC. `files` maps the bundle's files to their digests; `gate` is the verdict without its volatile checks.
    """

    commit: str | None
    changed: tuple[str, ...]
    environment: str
    lock: str | None
    params: str | None
    data: str | None
    requirements: str | None
    python: str
    seatrial: str
    bundle: str
    files: Mapping[str, str]
    gate: Verdict | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"kind": KIND, **asdict(self), "gate": self.gate.to_dict() if self.gate else None}

    @classmethod
    def load(cls, path: Path) -> RunManifest:
        """Read it from a file; VerdictError where it is missing, torn or something else."""
        try:
            value = json.loads(path.read_bytes())
            if value.pop("kind") != KIND:
                raise ValueError("it is of another kind")
            gate = value.pop("gate")
            changed, files = tuple(map(str, value.pop("changed"))), {str(name): str(digest) for name, digest in value.pop("files").items()}
            return cls(**value, changed=changed, files=files, gate=Verdict.from_dict(gate) if gate else None)
        except FileNotFoundError:
            raise VerdictError(f"{shown_path(path)}: there is no such manifest of a run", hint=REMEDY) from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise VerdictError(f"{shown_path(path)} is no manifest of a run: {error}", hint=REMEDY) from None


def record_run(project: Project, verdict: Verdict | None = None) -> RunManifest:
    """Write what the bundle in `artifacts/model` was made from, and how the gate judged it."""
    from seatrial import __version__
    from seatrial.manifest import MANIFEST, parse_manifest

    raw = (project.bundle / MANIFEST).read_bytes()
    bundle = sha256_bytes(raw)
    asked = verdict is not None and verdict.subject.get("champion") != bundle  # the champion itself is not judged again
    manifest = RunManifest(
        commit=commit_at(project.root),
        changed=tuple(changed_at(project.root)[:SHOWN]),
        environment=project.environment,
        lock=digest_of(project.root / "dvc.lock"),
        params=digest_of(project.root / "params.yaml"),
        data=_raw_hash(project),
        requirements=digest_of(project.root / "requirements.lock"),
        python=platform.python_version(),
        seatrial=__version__,
        bundle=bundle,
        files=dict(parse_manifest(raw, MANIFEST).files),
        gate=verdict.without_volatile() if verdict and asked else None,
    )
    write_atomic(project.verdict(KIND), pretty_json(manifest.to_dict()))
    return manifest


def commit_at(root: Path) -> str | None:
    """The commit that is checked out, in full; None where there is none."""
    return _git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}").strip() or None


def changed_at(root: Path) -> list[str]:
    """The files below `root` that differ from the commit, new ones among them; ignored ones are left out."""
    lines = _git(root, "status", "--porcelain", "--no-renames", "-z", "--", ".").split("\0")
    return sorted(line[3:] for line in lines if line)


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False).stdout


def digest_of(path: Path) -> str | None:
    """Digest of a file; None where there is none."""
    return sha256_bytes(path.read_bytes()) if path.is_file() else None


def _raw_hash(project: Project) -> str | None:
    """The raw table's hash as dvc.lock has it: hashing it again would cost minutes where it is large."""
    import yaml

    try:
        stages = yaml.safe_load((project.root / "dvc.lock").read_bytes())["stages"].values()
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return None
    found = (part for stage in stages for part in stage.get("deps", ()) if part.get("path") == project.settings.data.raw)
    return next((f"md5:{part['md5']}" for part in found if "md5" in part), None)
