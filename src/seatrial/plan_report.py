"""`deploy --plan`: the schedule of a plan, and what it does to challengers of known quality, as plain text."""

from __future__ import annotations

from collections.abc import Sequence

from seatrial.forecast import Forecast, Need
from seatrial.plan import Plan


def schedule(plan: Plan, needed: Sequence[Need], rate: float) -> list[str]:
    """The steps with what each one needs at least, and the sum."""
    rows = [("step", "challenger gets", "its requests", "all requests", "at least")]
    rows += [(one.step, one.share, f"{one.challenger:,}", f"{one.requests:,}", _lasting(one.seconds)) for one in needed]
    known = [one.seconds for one in needed if one.seconds is not None]
    waits = " and a person" if len(known) < len(needed) else ""
    total = f"in all {sum(one.requests for one in needed):,} requests, {_lasting(sum(known))}{waits} at {rate:g} requests a second"
    ends = f"strategy {plan.strategy}; a failure: {plan.on_fail}; undecided: {plan.on_inconclusive}"
    return [*_aligned(rows), total, ends]


def prospects(found: Sequence[Forecast], *, base: float, rollouts: int) -> list[str]:
    """What becomes of challengers that fail so many times as often as a champion that fails with probability `base`."""
    rows = [("fails", "promoted", "sent back", "undecided", "sent back after")]
    for one in found:
        after = "–" if one.challenger is None else f"{one.challenger:,.0f} of its requests (median)"
        rows.append((f"{one.ratio:g} ×", f"{one.promoted:.1%}", f"{one.failed:.1%}", f"{one.undecided:.1%}", after))
    head = f"of a champion that fails {base:.2%} of the time, {rollouts:,} simulated rollouts each:"
    return [head, *_aligned(rows)]


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _lasting(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "a person"
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
