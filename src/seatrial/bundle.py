"""The bundle: the files that are gated, registered and served, named by one digest.

A bundle is a folder with `manifest.json` and the files that the manifest lists by SHA-256; the digest is the SHA-256 of
the canonical manifest, so it covers every byte. Loading opens each file once, reads it whole, hashes what was read, and
goes on with those very bytes. Nothing is ever unpickled.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from seatrial.bundle_files import names_in, open_folder, read_regular
from seatrial.errors import BundleError
from seatrial.files import sha256_bytes
from seatrial.manifest import (
    ANALYSIS,
    FORMAT,
    GOLDEN,
    MANIFEST,
    MAX_BYTES,
    MODEL,
    PROFILE,
    TRAINED_ON,
    Input,
    InputType,
    Manifest,
    Target,
    Training,
    check_manifest,
    parse_manifest,
)
from seatrial.row_hashes import check_row_hashes, row_hashes, trained_on

__all__ = [
    "ANALYSIS",
    "FORMAT",
    "GOLDEN",
    "MANIFEST",
    "MLFLOW_FILES",
    "MODEL",
    "PROFILE",
    "TRAINED_ON",
    "Bundle",
    "Input",
    "InputType",
    "Manifest",
    "Target",
    "Training",
    "load_bundle",
    "read_digest",
    "row_hashes",
    "trained_on",
    "write_bundle",
]

MAX_GOLDEN_ROWS = 10_000
MLFLOW_FILES = frozenset({"MLmodel", "requirements.txt", "python_env.yaml"})
"""What the registry keeps beside a bundle for MLflow's own tools. Seatrial never reads them: an `MLmodel` can name code to run."""


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
        return msgspec.json.decode(self.files[GOLDEN], type=list[dict[str, Any]])

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(len(data) for data in self.files.values())


def read_digest(folder: Path) -> str:
    """The digest of the bundle in `folder`, every file hashed; BundleError where one is missing or differs.

    It names bytes and judges none: what is in the files is checked when somebody loads them.
    """
    return _opened(folder, None, ()).digest


def load_bundle(folder: Path, *, expected: str | None = None, beside: Collection[str] = ()) -> Bundle:
    """Read a bundle into memory and refuse whatever is not what it says.

    `expected` is the digest that the caller was promised; with it, nothing else is so much as parsed. `beside` names files
    that may lie in the folder and are left alone. Raises BundleError for a folder without a manifest, a manifest that is not
    canonical or says what none may say, a file that is missing, not listed, a link, no regular file, too large, of another
    hash, or not what its name says. The model itself is checked by `Runtime`.
    """
    bundle = _opened(folder, expected, beside)
    _check_contents(bundle, folder.name)
    return bundle


def _opened(folder: Path, expected: str | None, beside: Collection[str]) -> Bundle:
    """The bundle's files in memory, each of the hash that the manifest promises."""
    try:
        with open_folder(folder) as descriptor:
            return _load(descriptor, folder.name, expected, beside)
    except (FileNotFoundError, NotADirectoryError):
        if folder.is_symlink():
            raise BundleError(f"{folder.name} is a link; a bundle is a folder of its own") from None
        raise BundleError(f"there is no bundle in {folder.name}: {MANIFEST} is missing", hint="train first: nox -s train") from None
    except OSError as error:
        raise BundleError(f"{folder.name} cannot be read ({error.strerror})") from None


def _load(descriptor: int, place: str, expected: str | None, beside: Collection[str]) -> Bundle:
    raw = read_regular(descriptor, place, MANIFEST, MAX_BYTES[MANIFEST])
    digest = sha256_bytes(raw)
    if expected is not None and digest != expected:
        raise BundleError(f"the bundle in {place} is {digest}, expected {expected}", hint="gate again: nox -s gate")
    manifest = parse_manifest(raw, f"{place}/{MANIFEST}")
    for needed in (MODEL, GOLDEN):
        if needed not in manifest.files:
            raise BundleError(f"{place}/{MANIFEST} lists no {needed}")
    unknown = names_in(descriptor, place) - {MANIFEST, *manifest.files, *beside}
    if unknown:
        raise BundleError(f"{place} holds {', '.join(map(ascii, sorted(unknown)[:5]))}, which its manifest does not list")
    files = {name: _read_listed(descriptor, place, name, promised) for name, promised in manifest.files.items()}
    return Bundle(manifest=manifest, digest=digest, files=files)


def _read_listed(descriptor: int, place: str, name: str, promised: str) -> bytes:
    try:
        data = read_regular(descriptor, place, name, MAX_BYTES[name])
    except FileNotFoundError:
        raise BundleError(f"{place}/{name} is missing or not a regular file", hint="train again, or fetch it: dvc pull") from None
    if sha256_bytes(data) != promised:
        raise BundleError(f"{place}/{name} is not the file of the manifest: {sha256_bytes(data)}, promised {promised}")
    return data


def _check_contents(bundle: Bundle, place: str) -> None:
    """A right hash says who wrote a file, not that it is what its name says."""
    try:
        rows = bundle.golden
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BundleError(f"{place}/{GOLDEN} is no list of golden rows: {error}") from None
    if len(rows) > MAX_GOLDEN_ROWS:
        raise BundleError(f"{place}/{GOLDEN} holds {len(rows)} rows, more than {MAX_GOLDEN_ROWS}")
    if ANALYSIS in bundle.files:
        from seatrial.skops_checks import check_skops

        check_skops(bundle.files[ANALYSIS], f"{place}/{ANALYSIS}")
    if TRAINED_ON in bundle.files:
        check_row_hashes(bundle.files[TRAINED_ON], f"{place}/{TRAINED_ON}")
    if PROFILE in bundle.files:
        from seatrial.live_profile import read_live_profile

        read_live_profile(bundle.files[PROFILE], f"{place}/{PROFILE}")


def write_bundle(folder: Path, manifest: Manifest, files: Mapping[str, bytes]) -> str:
    """Write a bundle to `folder` (replaced whole) and give its digest; the manifest's `files` are filled in here.

    Raises BundleError for what `load_bundle` would refuse in the manifest or for its size.
    """
    complete = _completed(manifest, files, folder.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        fresh = Path(scratch) / folder.name
        write_files(fresh, Bundle(manifest=complete, digest=complete.digest, files=dict(files)))
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    return complete.digest


def write_files(folder: Path, bundle: Bundle, *, mode: int = 0o644) -> None:
    """Write a bundle's files, durably, into a folder that this call makes; the manifest is the last of them."""
    folder.mkdir()
    for name, data in [*bundle.files.items(), (MANIFEST, bundle.manifest.to_bytes())]:
        file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())


def _completed(manifest: Manifest, files: Mapping[str, bytes], place: str) -> Manifest:
    """The manifest with the files' hashes, and types as a reader will find them: 0 becomes 0.0."""
    listed = msgspec.structs.replace(manifest, files={name: sha256_bytes(data) for name, data in sorted(files.items())})
    try:
        complete = msgspec.convert(msgspec.to_builtins(listed), Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{place}/{MANIFEST} would be no manifest of format {FORMAT}: {error}") from None
    check_manifest(complete, f"{place}/{MANIFEST}")
    for name, data in [*files.items(), (MANIFEST, complete.to_bytes())]:
        if len(data) > MAX_BYTES[name]:
            raise BundleError(f"{place}/{name} would have {len(data)} bytes, more than {MAX_BYTES[name]}", hint="train a smaller model")
    return complete
