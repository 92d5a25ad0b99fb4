"""The server's own counters, as Prometheus reads them.

The endpoint is judged by Envoy's statistics, not by these: they say what only the server knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from seatrial.bundle import Manifest


class Metrics:
    """Counted in the event loop only, so without a lock."""

    def __init__(self, manifest: Manifest, *, version: str, digest: str) -> None:
        self.requests: Counter[int] = Counter()
        self.rows = 0
        self.unknown = 0
        self._columns = manifest.inputs
        self._unusual = [0] * len(manifest.inputs)
        self._version = version
        self._digest = digest

    def answered(self, count: int, unusual: Sequence[int], unknown: int = 0) -> None:
        """Count the rows of one answered request; `unusual` and `unknown` as in Rows."""
        self.rows += count
        self.unknown += unknown
        for position in unusual:
            self._unusual[position] += 1

    def render(self, *, log_written: int = 0, log_dropped: int = 0, log_lost: int = 0) -> bytes:
        """The text format of Prometheus."""
        unseen = self._by_column("category")
        outside = self._by_column("number", "integer")
        families = (
            ("seatrial_server_info", "gauge", "The bundle that is served.", {_labels(version=self._version, digest=self._digest): 1}),
            (
                "seatrial_requests_total",
                "counter",
                "Requests by status.",
                {_labels(status=str(k)): v for k, v in sorted(self.requests.items())},
            ),
            ("seatrial_rows_total", "counter", "Rows answered.", {"": self.rows}),
            ("seatrial_unseen_categories_total", "counter", "Values of a category that training never saw.", unseen),
            ("seatrial_out_of_range_total", "counter", "Numbers outside the range of training.", outside),
            ("seatrial_unknown_columns_total", "counter", "Values in columns that the model does not read.", {"": self.unknown}),
            ("seatrial_log_rows_written_total", "counter", "Rows in the prediction log.", {"": log_written}),
            ("seatrial_log_rows_dropped_total", "counter", "Rows that the prediction log could not keep.", {"": log_dropped}),
            (
                "seatrial_log_rows_lost_total",
                "counter",
                "Rows that killed servers took along, as this one found at its start.",
                {"": log_lost},
            ),
        )
        return "".join(_family(*family) for family in families).encode()

    def _by_column(self, *kinds: str) -> dict[str, int]:
        pairs = zip(self._columns, self._unusual, strict=True)
        return {_labels(column=column.name): count for column, count in pairs if column.type in kinds}


def _labels(**labels: str) -> str:
    def quoted(value: str) -> str:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return "{" + ",".join(f'{key}="{quoted(value)}"' for key, value in labels.items()) + "}"


def _family(name: str, kind: str, text: str, samples: dict[str, int]) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *[f"{name}{labels} {value}" for labels, value in samples.items()]]
    return "\n".join(lines) + "\n"
