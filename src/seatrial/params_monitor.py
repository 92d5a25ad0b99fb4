"""The section `monitor` of params.yaml: the prediction log, and what is asked of the live side."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from seatrial.section import Count, Positive, Section, Share, Text


class Log(Section, frozen=True, kw_only=True):
    """The prediction log: how often it is written, which share of the requests it keeps, and which columns stay out of it.

    It is written to the disk; `uri` is an address in an object store that its parts are taken to.
    """

    uri: Annotated[str, Meta(pattern=r"^s3://[^/?#]+(/[^?#]*)?$")] | None = None
    flush_seconds: Positive = 1
    flush_rows: Count = 2000
    keep_days: Count = 30
    sample: Annotated[float, Meta(gt=0, le=1)] = 1.0
    drop: tuple[Text, ...] = ()


class DriftMethod(Section, frozen=True, kw_only=True):
    """One Evidently test and the value from which it counts as drift."""

    method: Text
    limit: Positive


class Drift(Section, frozen=True, kw_only=True):
    """Which test is asked of which type of column, how many rows are needed to answer, and how many of the newest are asked about."""

    numeric: DriftMethod = DriftMethod(method="ks_stat", limit=0.1)
    category: DriftMethod = DriftMethod(method="psi", limit=0.2)
    min_rows: Count = 500
    window: Count = 2000
    max_rows: Count = 100_000
    max_columns: Annotated[int, Meta(ge=0)] = 0
    missing_increase: Share = 0.05


class Monitor(Section, frozen=True, kw_only=True):
    """The live side: the prediction log and drift."""

    log: Log = Log()
    drift: Drift = Drift()
