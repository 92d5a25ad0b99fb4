"""The gate in a review: what it did not pass, its limits metric by metric, its advisory findings, and how many checks there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from seatrial.markdown import code, plain, table
from seatrial.review import Section
from seatrial.verdict import Check, Outcome, Verdict

SIGNS = {Outcome.PASS: "🟢", Outcome.INCONCLUSIVE: "🟡", Outcome.ERROR: "🟠", Outcome.FAIL: "🔴"}
KINDS = ("floor", "ceiling", "champion", "anchor")
MOST = 12
SHORT = 300


def blocking(verdict: Verdict | None) -> Section | None:
    """What keeps the gate shut."""
    found = [] if verdict is None else [check for check in verdict.worst_first() if check.blocks]
    return Section(title="What the gate did not pass", body=_checks(found)) if found else None


def limits(verdict: Verdict | None) -> Section | None:
    """A line for each metric that the gate asks about: its value, its limits, and how far it may fall behind champion and anchor."""
    rows: dict[str, dict[str, Check]] = {}
    for check in () if verdict is None else verdict.checks:
        family, _, rest = check.name.partition(".")
        metric, _, kind = rest.partition(".")
        if family == "performance" and kind in KINDS:
            rows.setdefault(metric, {})[kind] = check
    if not rows:
        return None
    shown = [kind for kind in KINDS if any(kind in found for found in rows.values())]
    lines = [(code(metric), *(_limit(kind, found.get(kind)) for kind in shown)) for metric, found in rows.items()]
    return Section(title="The gate's limits", body=table(("metric", *(_title(kind) for kind in shown)), lines))


def _title(kind: str) -> str:
    return f"against the {kind}" if kind in ("champion", "anchor") else kind


def _limit(kind: str, check: Check | None) -> str:
    """What was seen and what is acceptable: `🟢 0.857, at least 0.8`, `🟢 +0.005, at least -0.02`."""
    if check is None:
        return ""
    sign, observed, limit = SIGNS[check.outcome], check.observed, check.limit
    if not isinstance(observed, float | int) or not isinstance(limit, float | int):
        return f"{sign} {check.outcome.value}"
    at_least = kind == "floor" or (kind in ("champion", "anchor") and limit <= 0)
    value = f"{observed:+.3f}" if kind in ("champion", "anchor") else f"{observed:.3f}"
    words = f"{sign} {value}, {'at least' if at_least else 'at most'} {limit:g}{' (advisory)' if check.advisory else ''}"
    return words.replace(" ", "\u00a0")


def advisory(verdict: Verdict | None) -> Section | None:
    """What the gate found and does not block."""
    checks = [] if verdict is None else [check for check in verdict.worst_first() if check.advisory and check.outcome is not Outcome.PASS]
    if not checks:
        return None
    title = f"Advisory: {len(checks)} finding{'s' * (len(checks) > 1)} of the gate"
    return Section(title=title, body=_checks(checks), quiet=True)


def _checks(checks: Sequence[Check]) -> str:
    rows = [(f"{SIGNS[one.outcome]}\u00a0{one.outcome.value}", f"{code(one.name)}<br>{begin(one.message)}") for one in checks[:MOST]]
    more = ["", f"… and {len(checks) - MOST} more."] if len(checks) > MOST else []
    return "\n".join([table(("outcome", "finding"), rows), *more])


def begin(message: str, most: int = SHORT) -> str:
    """The begin of a message as Markdown, up to a space."""
    return plain(message if len(message) <= most else f"{message[:most].rpartition(' ')[0]} …", most + 10)


def all_checks(verdict: Verdict | None) -> Section | None:
    """How many checks of each kind there were, and how they ended."""
    if verdict is None:
        return None
    counts: dict[str, Counter[Outcome]] = {}
    for check in verdict.checks:
        counts.setdefault(check.name.partition(".")[0], Counter())[check.outcome] += 1
    order = (Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL, Outcome.ERROR)
    rows = [(code(family), *(str(found[one] or "") for one in order)) for family, found in counts.items()]
    head = ("checks", *(f"{SIGNS[one]} {one.value}" for one in order))
    title = f"The gate's {len(verdict.checks)} check{'s' * (len(verdict.checks) > 1)}"
    return Section(title=title, body=table(head, rows, numbers=head[1:]), quiet=True)
