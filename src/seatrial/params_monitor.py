"""The section `monitor` of params.yaml: the prediction log, and what is asked of the live side."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from seatrial.section import Count, Positive, Section, Share, Text


class Log(Section, frozen=True, kw_only=True):
    """The prediction log: how often it is written, which share of the requests it keeps, and which columns stay out of it.

    It is written to the disk; `uri` is an address in an object store that its parts are taken to.
    """

    uri: Annotated[str, Meta(pattern=r"^s3://[^/?#]+(/[^?#]*)?$")] | None = None
    flush_seconds: Positive = 1
    flush_rows: Count = 4000
    keep_days: Count = 30
    sample: Annotated[float, Meta(gt=0, le=1)] = 1.0
    drop: tuple[Text, ...] = ()


class NumericDrift(Section, frozen=True, kw_only=True):
    """The distance that is asked of numbers, and the value from which it counts as drift."""

    method: Literal["ks_stat", "psi"] = "ks_stat"
    limit: Positive = 0.1


class CategoryDrift(Section, frozen=True, kw_only=True):
    """The distance that is asked of categories and booleans, and the value from which it counts as drift."""

    method: Literal["psi", "jensenshannon"] = "psi"
    limit: Positive = 0.2


class Drift(Section, frozen=True, kw_only=True):
    """When a column has drifted: by its distance, and only where chance does not explain it (`alpha`, over all columns together).

    `window` is how many of the newest rows are asked about, `min_rows` how many are needed, `max_rows` how many the page's charts show.
    """

    numeric: NumericDrift = NumericDrift()
    category: CategoryDrift = CategoryDrift()
    alpha: Annotated[float, Meta(gt=0, le=0.2)] = 0.01
    min_rows: Count = 500
    window: Count = 2000
    max_rows: Count = 20_000
    max_columns: Annotated[int, Meta(ge=0)] = 0
    missing_increase: Share = 0.05


class Labels(Section, frozen=True, kw_only=True):
    """Outcomes that come after the answers: how many a metric needs."""

    min_rows: Count = 100


class Monitor(Section, frozen=True, kw_only=True):
    """The live side: the prediction log, drift, outcomes, and what a window of `window_hours` may show before somebody is told.

    `history` is an address in an object store that what was measured is taken to; without it, it stays on the disk.
    """

    log: Log = Log()
    drift: Drift = Drift()
    labels: Labels = Labels()
    window_hours: Annotated[int, Meta(ge=1, le=744)] = 24
    max_errors: Share = 0.01
    max_unseen: Share = 0.05
    max_p99_ms: Positive | None = None
    alert_again_hours: Positive = 168
    history: Annotated[str, Meta(pattern=r"^s3://[^/?#]+(/[^?#]*)?$")] | None = None
