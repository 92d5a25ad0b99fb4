"""Parts in an object store, read with the credentials and the endpoint of the DVC remote that covers their address.

That is the remote of DVC's configuration (project, local, user, system) whose url is the longest prefix of the address, else
the default remote if it is in S3, else what AWS's own environment variables say. DVC's own file system class opens it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.errors import DataError
from seatrial.sources import S3, Part, format_of, partition_of

if TYPE_CHECKING:
    from seatrial.params import Data
    from seatrial.project import Project


def parts_in_store(project: Project) -> tuple[Part, ...]:
    """The objects that data.raw names, in order of name: one object, or those below a prefix that match data.pattern."""
    return stored_parts(project.root, project.settings.data)


def stored_parts(root: Path, data: Data) -> tuple[Part, ...]:
    """The same for any table, opened as the project at `root` opens its own."""
    files = _file_system(str(root), data.raw)
    with told(data.raw):
        found = _found(files, data)
    parts = tuple(_part(key, facts, data, str(root)) for key, facts in sorted(found.items()))
    if not parts:
        raise DataError(f"there is no table at {data.raw}", hint="check data.raw and data.pattern in params.yaml")
    return parts


def _found(files: Any, data: Data) -> dict[str, Mapping[str, Any]]:
    address = data.raw.removeprefix(S3)
    found = files.find(address, detail=True)
    below = address.rstrip("/") + "/"
    return {
        key: facts for key, facts in found.items() if facts.get("size") and (key == address or _chosen(key, key.removeprefix(below), data))
    }


def _chosen(key: str, name: str, data: Data) -> bool:
    return fnmatch(name, data.pattern) if data.pattern else format_of(key) is not None


def _part(key: str, facts: Mapping[str, Any], data: Data, root: str) -> Part:
    return Part(
        name=f"{S3}{key}",
        location=f"{S3}{key}",
        format=format_of(key) or "csv",
        digest=_digest(facts),
        size=int(facts["size"]),
        partition=partition_of(key, data),
        root=root,
    )


def _digest(facts: Mapping[str, Any]) -> str:
    etag = str(facts.get("ETag", "")).strip('"')
    return f"etag:{etag}:{facts['size']}"


@contextmanager
def opened(part: Part) -> Iterator[Any]:
    """The object's bytes as a file; DataError where it is another object at the end than it was when it was listed."""
    files = _file_system(part.root, part.location)
    key = part.location.removeprefix(S3)
    with told(part.location):
        with files.open(key, "rb") as stream:
            yield stream
        files.invalidate_cache()
        if _digest(files.info(key)) != part.digest:
            raise DataError(f"{part.name} changed while it was read", hint="wait until it is written, then ask again")


@cache
def _file_system(root: str, address: str) -> Any:
    try:
        from dvc_s3 import S3FileSystem
    except ImportError:
        raise DataError(f"{address} needs DVC's S3 support", hint="pip install 'seatrial[dvc]'") from None
    return S3FileSystem(**remote_for(Path(root), address)).fs


def remote_for(root: Path, address: str) -> dict[str, Any]:
    """Settings of the DVC remote that covers an address, else of the default one of `root`'s repository; only the address without."""
    from dvc.config import Config, ConfigError

    try:
        config = Config(dvc_dir=_dvc_folder(root))
    except ConfigError as error:
        raise DataError(f"DVC's configuration cannot be read: {error}", hint="see: dvc config --list --show-origin") from None
    remotes = {name: dict(remote) for name, remote in config.get("remote", {}).items() if str(remote.get("url", "")).startswith(S3)}
    covering = [remote for remote in remotes.values() if _covers(remote["url"], address)]
    chosen = max(covering, key=lambda remote: len(remote["url"])) if covering else remotes.get(config.get("core", {}).get("remote", ""), {})
    return chosen | {"url": f"{S3}{address.removeprefix(S3)}"}


def _dvc_folder(root: Path) -> str | None:
    """The settings of the repository that `root` lies in, wherever this process stands; None outside of all."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        return str(Repo.find_dvc_dir(str(root)))
    except NotDvcRepoError:
        return None


def _covers(url: str, address: str) -> bool:
    return (
        address == url
        or address.startswith(url.rstrip("/") + "/")
        or url.removeprefix(S3).strip("/") == address.removeprefix(S3).split("/")[0]
    )


@contextmanager
def told(address: str) -> Iterator[None]:
    """What the store's client raises, as one sentence."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except FileNotFoundError:
        raise DataError(f"there is no table at {address}", hint="check data.raw in params.yaml") from None
    except (BotoCoreError, ClientError, PermissionError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{address} cannot be read ({reason})", hint="the DVC remote's settings are used: dvc remote list; dvc config --list"
        ) from None
