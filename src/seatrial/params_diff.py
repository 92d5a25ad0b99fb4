"""The section `diff` of params.yaml: how much worse than the base commit each metric may be."""

from __future__ import annotations

from typing import Literal

from seatrial.located import PlacedError
from seatrial.section import NotNegative, Section

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "calibration_error", "mae", "rmse", "median_absolute_error"})
"""The metrics of which less is better; of all others it is more. `seatrial.metrics` says the same, and takes longer to load."""


class Tolerance(Section, frozen=True, kw_only=True):
    """How far one metric may move away from the base's value: by `absolute`, by `relative` times that value, or neither more.

    `direction` says which values are better, and so which way is not held against it; null is the metric's own.
    """

    absolute: NotNegative | None = None
    relative: NotNegative | None = None
    direction: Literal["higher", "lower", "either"] | None = None

    def __post_init__(self) -> None:
        """Refuse one that tolerates anything."""
        if self.absolute is None and self.relative is None:
            raise PlacedError("write absolute, relative or both: without either, nothing is asked")


class Diff(Section, frozen=True, kw_only=True):
    """What `nox -s diff` fails for."""

    tolerances: dict[str, Tolerance] = {}  # noqa: RUF012 - a struct copies its defaults
