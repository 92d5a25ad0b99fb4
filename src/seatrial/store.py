"""The content store: bundles by digest, `<store>/<hex>`, read-only, checked whenever one is opened.

A bundle appears under its name whole or not at all, so any number of processes may put and open the same one. One that was
changed is taken away and replaced by the bytes of its digest, or refused; it is never served.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from seatrial.bundle import Bundle, load_bundle, write_files
from seatrial.errors import BundleError
from seatrial.failpoints import failpoint
from seatrial.files import locked, sync_folder

_HEX = re.compile(r"[0-9a-f]{64}")


def folder_of(digest: str, store: Path) -> Path:
    """Where the store keeps the bundle of a digest; BundleError for what is no digest."""
    name = digest.removeprefix("sha256:")
    if not _HEX.fullmatch(name):
        raise BundleError(f"{ascii(digest)[:100]} is no digest of a bundle")
    return store / name


def store_bundle(bundle: Bundle, store: Path) -> Path:
    """Put a bundle into the store and give its folder; one that is there is checked, and replaced where it was changed."""
    folder = folder_of(bundle.digest, store)
    if isinstance(_read(folder, bundle.digest), Bundle):
        return folder
    store.mkdir(parents=True, exist_ok=True)
    with locked(store / ".lock"):
        if isinstance(_read(folder, bundle.digest), BundleError):  # another writer may have been first
            _publish(bundle, folder)
    return folder


def open_stored(digest: str, store: Path, *, source: Callable[[], Bundle] | None = None, report: Callable[[str], None] = print) -> Bundle:
    """The bundle of a digest, its bytes checked now.

    Where it is missing or changed, `source` is asked for it again and the store is mended; `report` is told what was found.
    Raises BundleError where there is no source, or the source has other bytes.
    """
    folder = folder_of(digest, store)
    found = _read(folder, digest)
    if isinstance(found, BundleError) and store.is_dir():
        with locked(store / ".lock"):  # somebody may be mending it at this moment
            found = _read(folder, digest)
    if isinstance(found, Bundle):
        return found
    if source is None:
        raise BundleError(f"the store's bundle {digest} cannot be used: {found.message}", hint="gate again: nox -s gate")
    fresh = source()
    if fresh.digest != digest:
        raise BundleError(f"the store's bundle {digest} cannot be used ({found.message}), and its source has {fresh.digest}")
    report(f"store: {folder.name[:12]}… is fetched again: {found.message}")
    store_bundle(fresh, store)
    return fresh


def find_damage(store: Path) -> tuple[str, ...]:
    """One sentence for each bundle of the store that is not what its name says; nothing is changed."""
    names = sorted(path.name for path in store.iterdir()) if store.is_dir() else []
    found = ((name, _read(store / name, f"sha256:{name}")) for name in names if not name.startswith("."))
    return tuple(f"{name[:19]}: {one.message}" for name, one in found if isinstance(one, BundleError))


def _read(folder: Path, digest: str) -> Bundle | BundleError:
    try:
        return load_bundle(folder, expected=digest)
    except BundleError as error:
        return error


def _publish(bundle: Bundle, folder: Path) -> None:
    """Write beside, then rename; what is in the way is moved aside first, and is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".writing-", ignore_cleanup_errors=True) as scratch:
        fresh = Path(scratch) / "fresh"
        write_files(fresh, bundle, mode=0o444)
        sync_folder(fresh)
        failpoint("store.publish")
        if os.path.lexists(folder):
            folder.rename(Path(scratch) / "damaged")
        fresh.rename(folder)
        sync_folder(folder.parent)
        failpoint("store.published")
        _remove(Path(scratch) / "damaged")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
