"""The prediction log's parts in an object store: listed, read, written and removed under `s3://bucket/prefix/date=…/`.

The store is reached as data in a store is (see `object_store`): with the settings of the DVC remote that covers the address,
else with what AWS's own environment variables and files say.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from seatrial.errors import DataError

if TYPE_CHECKING:
    from seatrial.project import Project

S3 = "s3://"
DIGEST = "seatrial-sha256"
LOG = "the prediction log"
CONNECT_S, READ_S, ATTEMPTS = 5, 30, 2
REMOVED_AT_ONCE = 1000
PART = re.compile(r"date=\d{4}-\d\d-\d\d/[^./][^/]*\.parquet")
GONE = frozenset({"NoSuchKey", "404", "NotFound"})
REFUSED = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "ExpiredToken", "InvalidToken", "AuthFailure", "403", "Forbidden"}
)
REMOTE = {
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
    "region": "region_name",
    "profile": "profile_name",
}
"""DVC's words for what boto calls so."""

CREDENTIALS = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE, or the DVC remote's keys, and what they may do there"
NETWORK = "check the network, and AWS_ENDPOINT_URL where the store is not Amazon's"


class LogStore:
    """One prefix of a bucket. Every method raises DataError, in one sentence, where the store does not do what it is asked."""

    def __init__(self, uri: str, client: Any, *, what: str = LOG) -> None:
        self.uri = uri
        self._what = what
        self._client = client
        self._bucket, _, prefix = uri.removeprefix(S3).partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def parts(self, *, since: dt.date | None = None) -> list[PurePath]:
        """The parts of all days, or of those from `since` on, as `date=…/name.parquet`, in order of name."""
        # In order of name the first day wanted is a place to begin at, so that a long log is not listed from its start.
        first = {} if since is None else {"StartAfter": f"{self._prefix}date={since.isoformat()}/"}
        found = []
        with self._told():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=f"{self._prefix}date=", **first)
            for page in pages:
                names = (str(item["Key"]).removeprefix(self._prefix) for item in page.get("Contents", ()))
                found += [PurePath(name) for name in names if PART.fullmatch(name)]
        return sorted(found)

    def read(self, part: PurePath) -> bytes | None:
        """A part's bytes; None where it is not there any more."""
        with self._told():
            answer = self._asked(self._client.get_object, part)
            return None if answer is None else bytes(answer["Body"].read())

    def write(self, part: PurePath, data: bytes) -> None:
        """Put a part there whole: the store refuses bytes that do not have their hash."""
        md5 = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        known = {DIGEST: hashlib.sha256(data).hexdigest()}
        with self._told():
            self._client.put_object(Bucket=self._bucket, Key=self._key(part), Body=data, ContentMD5=md5, Metadata=known)

    def holds(self, part: PurePath, data: bytes) -> bool:
        """Whether the store says that it has these very bytes under this name."""
        with self._told():
            head = self._asked(self._client.head_object, part)
        if head is None:
            return False
        return bool(head["ContentLength"] == len(data) and head.get("Metadata", {}).get(DIGEST) == hashlib.sha256(data).hexdigest())

    def remove(self, part: PurePath) -> None:
        """Remove one part; one that is not there is no error."""
        with self._told():
            self._client.delete_object(Bucket=self._bucket, Key=self._key(part))

    def remove_before(self, day: dt.date) -> int:
        """Remove the parts of all days before this one; gives how many. Nothing but parts of a log is touched."""
        old = [part for part in self.parts() if part.parent.name < f"date={day.isoformat()}"]
        for start in range(0, len(old), REMOVED_AT_ONCE):
            keys = [{"Key": self._key(part)} for part in old[start : start + REMOVED_AT_ONCE]]
            with self._told():
                self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})
        return len(old)

    def _key(self, part: PurePath) -> str:
        return f"{self._prefix}{part.as_posix()}"

    def _asked(self, method: Any, part: PurePath) -> Any:
        """The answer about one part; None where the store has no such part."""
        try:
            return method(Bucket=self._bucket, Key=self._key(part))
        except self._client.exceptions.ClientError as error:
            if _code(error) in GONE:
                return None
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What boto raises, as one sentence with what to do."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield
        except NoCredentialsError:
            raise self._problem("there are no credentials", CREDENTIALS) from None
        except ClientError as error:
            if _code(error) in REFUSED:
                raise self._problem(f"the store refuses the credentials: {_words(error)}", CREDENTIALS) from None
            if _code(error) == "NoSuchBucket":
                raise self._problem(
                    "there is no such bucket", f"make the bucket {self._bucket!r}, or change the address in params.yaml"
                ) from None
            raise self._problem(_words(error), NETWORK) from None
        except (BotoCoreError, OSError) as error:
            raise self._problem(_words(error), NETWORK) from None

    def _problem(self, reason: str, hint: str) -> DataError:
        return DataError(f"{self._what} at {self.uri} cannot be used ({reason})", hint=hint)


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _words(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__


def open_store(uri: str, remote: Mapping[str, str] | None = None, *, what: str = LOG) -> LogStore:
    """The store of `what` (in words) at an address; `remote` are settings as a DVC remote has them, which go before the environment's.

    Raises DataError where boto is not installed, or a profile is named that does not exist.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise DataError(f"{uri} needs S3 support", hint="pip install 'seatrial[dvc]'") from None
    known = remote or {}
    named = {theirs: known[ours] for ours, theirs in REMOTE.items() if ours in known}
    # Checksums beyond the MD5 that is sent anyway are not known to every store that speaks S3.
    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        client = boto3.Session(**named).client("s3", endpoint_url=known.get("endpointurl"), config=config)
    except (BotoCoreError, ValueError) as error:
        raise DataError(f"{what} at {uri} cannot be opened ({_words(error)})", hint=CREDENTIALS) from None
    return LogStore(uri, client, what=what)


def remote_settings(root: Path, uri: str) -> dict[str, str]:
    """What DVC's configuration says about an address, as `open_store` takes it; empty where it says nothing or there is no DVC."""
    try:
        from seatrial.object_store import remote_for

        found = remote_for(root, uri)
    except ImportError:
        return {}
    return {name: str(found[name]) for name in (*REMOTE, "endpointurl") if found.get(name)}


def log_store(project: Project) -> LogStore | None:
    """The store that a project's prediction log goes to; None where it stays on the disk."""
    uri = project.settings.monitor.log.uri
    return None if uri is None else open_store(uri, remote_settings(project.root, uri))
