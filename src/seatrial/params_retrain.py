"""The section `retrain` of params.yaml: what makes a new training worth a person's time, and how often at most."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from seatrial.located import PlacedError
from seatrial.section import Count, NotNegative, Positive, Section


class Windows(Section, frozen=True, kw_only=True):
    """`failing` of the newest `of` whole windows, the newest among them; `of` 0 never asks."""

    failing: Count = 3
    of: Annotated[int, Meta(ge=0, le=31)] = 5

    def __post_init__(self) -> None:
        """Refuse more failures than windows."""
        if self.of and self.failing > self.of:
            raise PlacedError(f"{self.failing} of {self.of} windows can never fail", "failing")


class Retrain(Section, frozen=True, kw_only=True):
    """When a training is requested: by a schedule, new data, drift, performance, or a person.

    A reason that was answered (by a training, or by a person who declined) counts again once `clear_windows` windows passed without
    it. `cooldown_hours` lie between two trainings or answers, and at most `budget` trainings in 30 days.
    """

    every_days: Positive | None = None
    data: bool = True
    drift: Windows = Windows()
    performance: Windows = Windows(failing=2, of=3)
    clear_windows: Annotated[int, Meta(ge=0, le=31)] = 2
    cooldown_hours: NotNegative = 72
    budget: Count = 4
    refit_rows: Count = 20_000
    refit_min_rows: Count = 300
