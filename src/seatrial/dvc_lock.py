"""What dvc.lock says of a commit's files, and those files out of DVC's cache, each byte checked against it.

Read without DVC, which takes seconds to start. DVC itself does not notice a damaged object in its cache; here it is refused.
"""

from __future__ import annotations

import configparser
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seatrial.errors import DataError
from seatrial.located import YamlProblem, yaml_of

FOLDER = ".dir"


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A file or folder by its hash (a folder's ends in `.dir`), with its bytes where the lock says them."""

    md5: str
    size: int | None = None

    @property
    def short(self) -> str:
        """The hash's first digits."""
        return self.md5[:8]


def read_lock(raw: bytes) -> Mapping[str, Locked]:
    """Each path that a dvc.lock names, what stages give before what they take; empty for bytes that are no lock."""
    try:
        stages = yaml_of(raw.decode(), Path("dvc.lock")).values["stages"].values()
        places = [place for key in ("deps", "outs") for stage in stages for place in stage.get(key, ())]
        return {str(place["path"]): _locked(place) for place in places if "md5" in place}
    except (YamlProblem, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return {}


def _locked(place: Mapping[str, Any]) -> Locked:
    size = place.get("size")
    return Locked(md5=str(place["md5"]), size=size if isinstance(size, int) else None)


def cache_of(root: Path) -> Path:
    """DVC's cache: `cache.dir` of its configuration, by default .dvc/cache. What is wrong with a configuration, DVC says."""
    folder = root / ".dvc"
    for name in ("config.local", "config"):
        found = configparser.ConfigParser(interpolation=None)
        with suppress(configparser.Error, UnicodeDecodeError):
            found.read(folder / name)
        if found.has_option("cache", "dir"):
            return folder / found.get("cache", "dir")
    return folder / "cache"


def cached_files(cache: Path, locked: Locked) -> dict[str, bytes]:
    """The files of a locked folder by name; DataError where the cache lacks one, or where one's bytes are not those of its hash."""
    if not locked.md5.endswith(FOLDER):
        raise DataError("it is no folder in dvc.lock")
    try:
        listed = [(str(one["relpath"]), str(one["md5"])) for one in json.loads(_object(cache, locked.md5))]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"the object {locked.short} of DVC's cache is no list of files") from None
    if strange := [name for name, _ in listed if Path(name).name != name]:
        raise DataError(f"the object {locked.short} of DVC's cache names a file elsewhere: {strange[0]!r}")
    return {name: _object(cache, md5) for name, md5 in listed}


def _object(cache: Path, md5: str) -> bytes:
    path = cache / "files/md5" / md5[:2] / md5[2:]
    try:
        data = path.read_bytes()
    except OSError:
        raise DataError(f"the object {md5[:8]} is not in DVC's cache") from None
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5.removesuffix(FOLDER):
        raise DataError(f"the object {md5[:8]} of DVC's cache is damaged: its bytes have another hash")
    return data
