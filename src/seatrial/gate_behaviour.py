"""The gate page's view of behaviour and latency: labels that change when a column is disturbed, and how long calls take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from seatrial.checks.behaviour import Perturbation
from seatrial.checks.wording import counted
from seatrial.drawings import short
from seatrial.html import escape, table
from seatrial.metrics import Scores

KINDS = {"missing": "values missing", "unseen": "unseen category", "range": "far out of range"}
MOST_BARS = 20
QUANTILES = (0.5, 0.9, 0.99)


def behaviour_section(perturbations: Sequence[Perturbation], threshold: float) -> str:
    """For each kind of disturbance and column, the share of labels that change; nothing where none was tried."""
    kinds = dict.fromkeys(one.kind for one in perturbations)
    cards = "".join(_kind(kind, [one for one in perturbations if one.kind == kind], threshold) for kind in kinds)
    if not cards:
        return ""
    said = "Share of labels that change when one column is disturbed in every row. It is shown, not judged: a column may well matter."
    return f'<section><h2>Behaviour</h2><p class="soft">{said}</p><div class="pair">{cards}</div></section>'


def _kind(kind: str, found: Sequence[Perturbation], threshold: float) -> str:
    """The columns that matter most; of several disturbances of a column, the one that changes most."""
    shares: dict[str, float] = {}
    for one in found:
        shares[one.column] = max(_changed(one, threshold), shares.get(one.column, 0.0))
    ordered = sorted(shares, key=lambda name: (-shares[name], name))
    bars = "".join(_bar(name, shares[name]) for name in ordered[:MOST_BARS])
    rest = len(ordered) - MOST_BARS
    more = (
        f'<p class="soft small">… and {counted(rest, "more column")}, at most {shares[ordered[MOST_BARS]]:.1%} each</p>' if rest > 0 else ""
    )
    return f'<div class="card"><h3>{KINDS.get(kind, escape(kind))}</h3><ul class="bars">{bars}</ul>{more}{_strange(found, threshold)}</div>'


def _changed(one: Perturbation, threshold: float) -> float:
    if len(one.after) != len(one.before) or not len(one.after):
        return 0.0
    return float(((one.before >= threshold) != (one.after >= threshold)).mean())


def _strange(found: Sequence[Perturbation], threshold: float) -> str:
    """What hides behind the shares: answers that are no probability, rows without one."""
    strange = sum(Scores(probabilities=one.after, threshold=threshold).strange for one in found)
    lost = sum(len(one.after) != len(one.before) for one in found)
    words = [f"{strange:,} of the answers are no probability"] * bool(strange) + [
        f"in {counted(lost, 'column')}, not every row was answered"
    ] * bool(lost)
    return f'<p class="tag fail">{"; ".join(words)}</p>' if words else ""


def _bar(name: str, share: float) -> str:
    bar = f'<path class="now" d="M0 0h{max(100 * share, 0.6):.3g}v10H0z"/>' if share else ""
    drawn = f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><path class="back" d="M0 0h100v10H0z"/>{bar}</svg>'
    return f"<li><bdi>{escape(short(name, 80))}</bdi>{drawn}<span>{share:.1%}</span></li>"


def latency_section(latency: Mapping[str, Sequence[float]]) -> str:
    """Percentiles of both models' milliseconds; nothing where none was measured."""
    lines = [_percentiles(name, np.asarray(latency[name], dtype=np.float64)) for name in ("challenger", "champion") if latency.get(name)]
    if not lines:
        return ""
    head = ("model", "calls", *(f"p{100 * share:g}" for share in QUANTILES), "max")
    said = "Milliseconds of one-row calls to the real server of each bundle, in turn on the same machine."
    return f'<section><h2>Latency</h2><p class="soft">{said}</p>{table(head, lines, numbers=head[1:])}</section>'


def _percentiles(name: str, times: np.ndarray) -> list[str]:
    good = times[np.isfinite(times)]
    values = [*np.quantile(good, QUANTILES, method="higher"), good.max()] if len(good) else []
    return [name, f"{len(times):,}", *(f"{value:.2f}" for value in values), *[""] * (len(QUANTILES) + 1 - len(values))]
