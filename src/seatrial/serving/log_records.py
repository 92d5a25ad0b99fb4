"""A usual request of one row on its way to the prediction log: a record of fixed size, made in a microsecond where the request is answered.

What is kept of thousands of requests are numbers, not the objects that they were read into, and they become Arrow's columns
without a look at each: a record holds 64-bit floats, and for a category its position in the manifest. What does not fit, as a
category that training never saw, has no record.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from seatrial.bundle import Input, Manifest
from seatrial.serving.log_arrays import array_from, moments_from, texts_from

if TYPE_CHECKING:
    from seatrial.serving.log_parts import Entry

EXACT = 2**53
"""Integers up to here are themselves as 64-bit floats."""
MOST_CATEGORIES = 2**15
NULL = -1
Made = dict[str, Callable[[], Any]]
"""What makes a column's array, by the column's name."""
_code = dict.__getitem__


class Records:
    """Writes and reads the records of one bundle's answers."""

    def __init__(self, manifest: Manifest) -> None:
        self._numbers = [column for column in manifest.inputs if column.type != "category"]
        self._categories = [column for column in manifest.inputs if column.type == "category"]
        self._classes = manifest.target.classes
        self._labels = {label: at for at, label in enumerate(self._classes)}
        self._variants: dict[str, int] = {}
        self._fit = all(map(_fits, manifest.inputs))
        self._codes = [{"": NULL} | {name: at for at, name in enumerate(column.categories or ())} for column in self._categories]
        own = [("time", "q"), ("variant", "h"), ("simulated", "?"), ("label", "h"), ("probability", "d"), ("latency_ms", "d")]
        self._fields = [*own, *((f"number {at}", "d") for at in range(len(self._numbers)))]
        self._fields += [(f"category {at}", "h") for at in range(len(self._categories))]
        self._pack = struct.Struct("<" + "".join(kind for _, kind in self._fields)).pack

    def write(self, entry: Entry) -> bytes | None:
        """The record of an entry; None for one that has none: of several rows, or with what training never saw."""
        rows = entry.rows
        if rows.count != 1 or rows.unusual or not self._fit:
            return None
        try:
            return self._pack(
                entry.time,
                self._variants.setdefault(entry.variant, len(self._variants)),
                entry.simulated,
                self._labels[entry.labels[0]],
                entry.probabilities[0],
                entry.latency_ms,
                *rows.numbers,
                *map(_code, self._codes, rows.categories),
            )
        except (KeyError, struct.error):  # whatever it is, the answer goes on its way
            return None

    def read(self, records: bytes) -> tuple[Made, Made]:
        """What makes the columns of joined records, by name: of the log's own those that a record holds, and all inputs."""
        import numpy as np

        fields = np.frombuffer(records, dtype=[(name, f"<{kind}") for name, kind in self._fields])
        own: Made = {
            "time": partial(moments_from, fields["time"]),
            "variant": partial(texts_from, list(self._variants), fields["variant"]),
            "simulated": partial(array_from, "boolean", fields["simulated"]),
            "label": partial(texts_from, self._classes, fields["label"]),
            "probability": partial(array_from, "number", fields["probability"]),
            "latency_ms": partial(array_from, "number", fields["latency_ms"]),
        }
        inputs: Made = {column.name: partial(array_from, column.type, fields[f"number {at}"]) for at, column in enumerate(self._numbers)}
        for at, column in enumerate(self._categories):
            inputs[column.name] = partial(texts_from, column.categories or (), fields[f"category {at}"])
        return own, inputs


def _fits(column: Input) -> bool:
    """Whether all usual values of an input have a place in a record."""
    if column.type == "category":
        return column.categories is not None and "" not in column.categories and len(column.categories) < MOST_CATEGORIES
    return column.type != "integer" or (_exact(column.minimum) and _exact(column.maximum))


def _exact(bound: float | None) -> bool:
    return bound is not None and abs(bound) <= EXACT
