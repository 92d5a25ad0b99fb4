"""The bundle: the files that are gated, registered and served, named by one digest.

A bundle is a folder with `manifest.json` and the files that the manifest lists by SHA-256; the digest is the SHA-256 of
the canonical manifest, so it covers every byte. Loading reads each file once, hashes what was read, and goes on with
those very bytes. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from seatrial.errors import BundleError
from seatrial.files import canonical_json, sha256_bytes

MANIFEST = "manifest.json"
MODEL = "model.onnx"
GOLDEN = "golden.json"
ANALYSIS = "model.skops"
MAX_FILE_BYTES = 512 * 2**20
FORMAT: Literal[1] = 1

InputType = Literal["number", "integer", "boolean", "category"]


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, and closed to fields that nobody reads."""


class Input(_Record, frozen=True, kw_only=True):
    """One column that the model reads; `categories`, `minimum` and `maximum` are those seen in training."""

    name: str
    type: InputType
    nullable: bool
    categories: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None


class Target(_Record, frozen=True, kw_only=True):
    """What is predicted: the column, its two classes (negative first) and which one counts as positive."""

    name: str
    classes: tuple[str, str]
    positive: str

    def __post_init__(self) -> None:
        """Refuse an order that would turn probabilities round."""
        if self.classes[1] != self.positive:
            raise ValueError("the positive class must be the second one")


class Training(_Record, frozen=True, kw_only=True):
    """Where the model comes from: hash of the rows it was fitted on, how many, the estimator and its settings.

    `held_out` is the hash of the rows that it never saw, on which its answers are a fair reference for those it gives live.
    """

    data: str
    held_out: str = ""
    rows: int
    estimator: str
    params: dict[str, Any]


class Manifest(_Record, frozen=True, kw_only=True):
    """All that is needed to serve the model, and to tell one bundle from another."""

    format: Literal[1] = FORMAT
    task: Literal["binary"] = "binary"
    inputs: Annotated[tuple[Input, ...], Meta(min_length=1)]
    target: Target
    threshold: Annotated[float, Meta(ge=0, le=1)]
    id: str | None = None
    groups: tuple[str, ...] = ()
    training: Training
    libraries: dict[str, str]
    files: Annotated[dict[str, str], Meta(min_length=1)]

    @property
    def digest(self) -> str:
        """The bundle's name: SHA-256 of the canonical manifest."""
        return sha256_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The canonical manifest, as it lies on disk."""
        return canonical_json(msgspec.to_builtins(self))


class Bundle(_Record, frozen=True, kw_only=True):
    """A manifest and the bytes that it names, both checked."""

    manifest: Manifest
    digest: str
    files: dict[str, bytes]

    def __repr__(self) -> str:
        """The digest alone: the files are megabytes."""
        return f"Bundle({self.digest})"

    @property
    def model(self) -> bytes:
        """The ONNX model."""
        return self.files[MODEL]

    @property
    def golden(self) -> list[dict[str, Any]]:
        """Rows with the answers that this model must give: `[{"row": {...}, "probability": 0.42}]`."""
        rows: list[dict[str, Any]] = json.loads(self.files[GOLDEN])
        return rows

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(len(data) for data in self.files.values())


def read_digest(folder: Path) -> str:
    """The digest of the bundle in `folder`, every file hashed; BundleError where one is missing or differs."""
    return load_bundle(folder).digest


def load_bundle(folder: Path, *, expected: str | None = None) -> Bundle:
    """Read a bundle into memory and refuse whatever is not what it says.

    `expected` is the digest that the caller was promised. Raises BundleError for a folder without a manifest, a manifest
    that is not canonical or has strange fields, a file that is missing, a link, too large, or of another hash.
    """
    manifest, raw = _read_manifest(folder)
    digest = sha256_bytes(raw)
    if raw != manifest.to_bytes():
        raise BundleError(
            f"{folder.name}/{MANIFEST} is not written canonically, so its digest means nothing", hint="train again: nox -s train"
        )
    if expected is not None and digest != expected:
        raise BundleError(f"the bundle in {folder.name} is {digest}, expected {expected}", hint="gate again: nox -s gate")
    for needed in (MODEL, GOLDEN):
        if needed not in manifest.files:
            raise BundleError(f"{folder.name}/{MANIFEST} lists no {needed}")
    files = {name: _read_file(folder, name, promised) for name, promised in manifest.files.items()}
    return Bundle(manifest=manifest, digest=digest, files=files)


def _read_manifest(folder: Path) -> tuple[Manifest, bytes]:
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"there is no bundle in {folder.name}: {MANIFEST} is missing", hint="train first: nox -s train") from None
    except OSError as error:
        raise BundleError(f"{folder.name}/{MANIFEST} cannot be read ({error})") from None
    try:
        return msgspec.json.decode(raw, type=Manifest), raw
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"{folder.name}/{MANIFEST} is no manifest of format {FORMAT}: {error}") from None


def _read_file(folder: Path, name: str, promised: str) -> bytes:
    path = folder / name
    if Path(name).name != name or name in (".", "..", MANIFEST):
        raise BundleError(f"the manifest names {name!r}: a bundle's files lie beside it, in no other folder")
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"{folder.name}/{name} is missing or not a regular file", hint="train again, or fetch it: dvc pull")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise BundleError(f"{folder.name}/{name} has more than {MAX_FILE_BYTES // 2**20} MiB")
    data = path.read_bytes()
    if sha256_bytes(data) != promised:
        raise BundleError(f"{folder.name}/{name} is not the file of the manifest: {sha256_bytes(data)}, promised {promised}")
    return data


def write_bundle(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> str:
    """Write a bundle to `folder` (replaced whole) and give its digest; the manifest's `files` are filled in here."""
    listed = msgspec.structs.replace(manifest, files={name: sha256_bytes(data) for name, data in sorted(files.items())})
    complete = msgspec.convert(msgspec.to_builtins(listed), Manifest)  # types as a reader will find them: 0 becomes 0.0
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        fresh = Path(scratch) / folder.name
        fresh.mkdir()
        for name, data in files.items():
            (fresh / name).write_bytes(data)
        (fresh / MANIFEST).write_bytes(complete.to_bytes())
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    return complete.digest


def store_bundle(bundle: Bundle, store: Path) -> Path:
    """Put a bundle into the content store, `<store>/<hex digest>`, and give its folder; one that is there is checked.

    The files are read-only: what was gated is what a server reads.
    """
    folder = store / bundle.digest.removeprefix("sha256:")
    try:
        load_bundle(folder, expected=bundle.digest)
    except BundleError:
        write_bundle(folder, bundle.manifest, bundle.files)
        for path in folder.iterdir():
            path.chmod(0o444)
    return folder
