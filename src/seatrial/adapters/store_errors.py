"""What a store of objects (S3 and others) can refuse, as one sentence that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from seatrial.errors import PipelineError
from seatrial.stored import Store

AGAIN = "nothing is lost: mend that, and run the same command again"
REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "403", "AuthFailure", "InvalidToken")
CREDENTIALS = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or AWS_PROFILE (docs/remotes.md), and what they may do there"
ADDRESS = "check AWS_ENDPOINT_URL, or the remote's endpointurl, and that the store is up; " + AGAIN


@contextmanager
def told(place: str) -> Iterator[None]:
    """Raise PipelineError with a sentence for whatever a store's client raises."""
    try:
        yield
    except (PipelineError, KeyboardInterrupt):
        raise
    except Exception as error:
        if (sentence := sentence_for(error, place)) is None:
            raise
        raise sentence from None


def sentence_for(error: BaseException, place: str) -> PipelineError | None:
    """The error that says it, with what to do; None where it is none of a store's, but a defect."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    code = _code(error)
    if getattr(error, "errno", None) == errno.ENOSPC:
        return PipelineError(f"the disk is full ({reason})", hint="make room (DVC keeps its cache in .dvc/cache); " + AGAIN)
    if code == "NoSuchBucket" or "bucket does not exist" in reason:
        return PipelineError(f"{place}: there is no such bucket ({reason})", hint="create it, or mend the url: .venv/bin/dvc remote list")
    if isinstance(error, PermissionError) or code in REFUSED or type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
        return PipelineError(f"{place} refuses this access ({reason})", hint=CREDENTIALS)
    if _is_connection(error):
        return PipelineError(f"{place} cannot be reached ({reason})", hint=ADDRESS)
    if isinstance(error, OSError) or _is_client(error):
        return PipelineError(f"{place} failed ({reason})", hint=AGAIN)
    return None


def _code(error: BaseException) -> str:
    answer: Any = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""


def _is_connection(error: BaseException) -> bool:
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    try:
        from botocore.exceptions import ConnectionError as Unreachable
        from botocore.exceptions import HTTPClientError
    except ImportError:
        return False
    return isinstance(error, Unreachable | HTTPClientError)


def _is_client(error: BaseException) -> bool:
    from dvc.exceptions import DvcException
    from dvc_objects.fs.errors import AuthError

    kinds: tuple[type[BaseException], ...] = (DvcException, AuthError)
    try:
        from botocore.exceptions import BotoCoreError, ClientError

        kinds = (*kinds, BotoCoreError, ClientError)
    except ImportError:
        pass
    return isinstance(error, kinds)


def ask(store: Store) -> None:
    """Ask a store whether it is there and lets us in; PipelineError otherwise.

    S3 answers a missing bucket as it answers a missing object, so it is asked for one name of the bucket's.
    """
    with told(store.place):
        files, path = store.odb.fs, store.odb.path
        if files.protocol == "s3":
            bucket, _, prefix = path.partition("/")
            from fsspec.asyn import sync

            sync(files.fs.loop, files.fs._call_s3, "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        else:
            files.exists(path)
