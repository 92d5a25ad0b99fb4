"""The judge of a rollout: what the counts of a step say about the challenger. Pure.

Two questions are kept apart. *Back?* is asked at every look, by an e-process for each of failures, slow and broken answers: it
holds however often one looks. *On?* is asked once a step has its requests and its time: every ceiling must be kept, surely;
what is surely not kept sends the challenger back, and what stays open is undecided.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from seatrial.plan import Plan, Step
from seatrial.rollout_state import Buckets, Counts, Evidence, Pairs, State
from seatrial.verdict import Outcome

CONFIDENCE = 0.95
UNDECIDED_AFTER = 3
"""A step that has seen so many times its requests without a decision is inconclusive."""
EXCUSED = 0.1
"""The champion's failures excuse the challenger's up to this rate: a champion that crashes promotes nobody."""
SHARE_Z = 4.0
"""Standard deviations by which the challenger's share of requests may differ from its weight."""
SLOW_QUANTILE = 0.95
LEAST_MS = 10.0
"""Quantiles below this are taken for it: no client is harmed by three milliseconds where there was one."""

SIGNALS = {"failures": "increase", "slow": "slow", "broken": "broken"}
"""What is counted of answers, and the ceiling over how much more often the challenger may have it."""
_WORDS = {"failures": "requests failed", "slow": "answers were slow", "broken": "answers were no probability"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One ceiling's answer: kept (pass), surely not (fail), open (inconclusive); `bound` is of the increase of failures."""

    outcome: Outcome
    words: str
    bound: float | None = None


def log_e(state: State, signal: str = "failures") -> float:
    """Logarithm of a signal's e-value over all steps that both sides had a share of."""
    from seatrial.statistics import log_e_value

    seen = [*state.evidence, *([state.counts] if state.counts else [])]
    steps = [(part.share, getattr(part.champion, signal), getattr(part.challenger, signal)) for part in seen if part.split]
    return log_e_value(steps) if any(champion + challenger for _, champion, challenger in steps) else 0.0


def worst_e(state: State, step: Step | None = None) -> tuple[str, float]:
    """The signal that speaks most against the challenger, and its log e-value; one whose ceiling is null is not asked.

    A signal without a single event has log e 0, which says nothing: one that has events goes before it.
    """
    asked = [signal for signal, ceiling in SIGNALS.items() if step is None or getattr(step.ceilings, ceiling) is not None]
    found = ((signal, log_e(state, signal)) for signal in asked)
    return max(found, key=lambda pair: (pair[1] != 0, pair[1]), default=("failures", 0.0))


def failed_words(step: Step, state: State, signal: str, evidence: float, plan: Plan) -> str:
    """Why the challenger goes back, by an e-process."""
    counts = state.counts or Evidence(step=step.exposure)
    return f"{_rates(step, counts.challenger, counts.champion, signal)}: e-value {_e(evidence)} against a limit of {_e(plan.log_limit)}"


def weigh(plan: Plan, state: State, counts: Evidence) -> Iterator[Finding]:
    """What each ceiling of the step says of its counts, one finding for each that is asked about."""
    step = plan.steps[state.step]
    champion = champion_side(step, state, counts)
    for signal, name in SIGNALS.items():
        ceiling = getattr(step.ceilings, name)
        if ceiling is not None:
            yield _increase(plan, step, counts.challenger, champion, signal, ceiling)
    if step.ceilings.latency_ratio is not None:
        yield _latency(step, counts.challenger.times, champion.times, step.ceilings.latency_ratio)
    yield from _answers(step, state.pairs)
    if 0 < step.weight < 100 and not plan.sticky:
        yield _share(step, counts)


def sum_up(findings: list[Finding]) -> tuple[Outcome, str]:
    """The outcome of all findings (fail before open), and the sentences that decide it."""
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        words = [finding.words for finding in findings if finding.outcome is outcome]
        if words:
            return outcome, "; ".join(words)
    return Outcome.PASS, "; ".join(finding.words for finding in findings[:1])


def champion_side(step: Step, state: State, counts: Evidence) -> Counts:
    """What the challenger is compared with.

    The champion in the same step; where that saw too little (at weight 100 nothing), all steps of this rollout together;
    where that is too little too, a champion that never failed. Its failures count up to the rate EXCUSED.
    """
    found = counts.champion
    if found.requests < step.min_requests:
        found = sum((part.champion for part in state.evidence if part.complete), found)
    if found.requests < step.min_requests:
        found = Counts(requests=max(found.requests, counts.challenger.requests))
    most = math.floor(EXCUSED * found.requests)
    return replace(found, failures=min(found.failures, most), slow=min(found.slow, most), broken=min(found.broken, most))


def _increase(plan: Plan, step: Step, challenger: Counts, champion: Counts, signal: str, ceiling: float) -> Finding:
    """How much more often the challenger's answers failed (were slow, broken), by one-sided bounds."""
    increase = _bound(challenger, champion, signal, CONFIDENCE)
    rates = _rates(step, challenger, champion, signal)
    if increase < ceiling:
        return Finding(outcome=Outcome.PASS, words=f"{rates}: the increase is below {increase:.2%} (allowed {ceiling:.2%})", bound=increase)
    # Below weight 100 the e-process answers this; at 100 the champion has no requests beside the challenger's.
    if step.weight == 100 and -_bound(champion, challenger, signal, 1 - plan.alpha / 3) > ceiling:
        return Finding(outcome=Outcome.FAIL, words=f"{rates}: that is more than {ceiling:.1%} more often")
    return Finding(outcome=Outcome.INCONCLUSIVE, words=f"{rates}: the increase may be {increase:.2%}, allowed is {ceiling:.2%}")


def _latency(step: Step, challenger: Buckets, champion: Buckets, ceiling: float) -> Finding:
    """The ratio of 95th percentiles: surely above where even the bounds say so, kept where the estimates do."""
    one, other = quantile_of(challenger, SLOW_QUANTILE), quantile_of(champion, SLOW_QUANTILE)
    if one is None or other is None:
        return Finding(outcome=Outcome.INCONCLUSIVE, words=f"{step.name}: nothing was measured about the time of answers")
    ratio = max(one[1], LEAST_MS) / max(other[1], LEAST_MS)
    words = f"{step.name}: 95th percentile {one[1]:.3g} ms, {other[1]:.3g} ms of the champion's (ratio {ratio:.2f}, allowed {ceiling:g})"
    if max(one[0], LEAST_MS) / max(other[2], LEAST_MS) > ceiling:
        return Finding(outcome=Outcome.FAIL, words=words)
    return Finding(outcome=Outcome.PASS if ratio <= ceiling else Outcome.INCONCLUSIVE, words=words)


def quantile_of(times: Buckets, share: float) -> tuple[float, float, float] | None:
    """Lower bound, estimate and upper bound of a quantile in milliseconds; None without requests.

    The bounds are order statistics (ranks n·share ± 2·√(n·share·(1 - share))), each moved outwards to its bucket's edge; the
    estimate is interpolated within its bucket.
    """
    total = times[-1][1] if times else 0
    if total <= 0:
        return None
    rank, spread = total * share, 2 * math.sqrt(total * share * (1 - share))
    return _at(times, max(1.0, rank - spread))[0], _at(times, rank)[1], _at(times, min(float(total), rank + spread))[2]


def _at(times: Buckets, rank: float) -> tuple[float, float, float]:
    """Lower edge, interpolated time and upper edge of the bucket that holds the request of this rank."""
    edge, below = 0.0, 0
    for bound, count in times:
        if count >= rank and count > below:
            return edge, edge + (bound - edge) * (rank - below) / (count - below), bound
        edge, below = bound, count
    return edge, edge, edge


def _answers(step: Step, pairs: Pairs | None) -> Iterator[Finding]:
    """The challenger's answers beside the champion's: labels of mirrored requests, and the distribution of probabilities."""
    disagreement, shift = (step.ceilings.disagreement if step.mirrors else None), step.ceilings.shift
    if disagreement is None and shift is None:
        return
    asked = pairs.asked if pairs else 0
    if pairs is None or asked < step.min_requests:
        words = f"{step.name}: {asked} of {step.min_requests} answers compared with the champion's"
        yield Finding(outcome=Outcome.INCONCLUSIVE, words=words)
        return
    if disagreement is not None:
        words = f"{step.name}: {pairs.differing} of {asked} requests got another label than the champion's (allowed {disagreement:.0%})"
        yield Finding(outcome=Outcome.FAIL if pairs.differing > disagreement * asked else Outcome.PASS, words=words)
    if shift is not None:
        yield _shift(step, pairs, shift)


def _shift(step: Step, pairs: Pairs, ceiling: float) -> Finding:
    """The distance of distributions: surely above where it is so by more than chance explains."""
    if pairs.shift is None or not math.isfinite(pairs.shift):
        return Finding(outcome=Outcome.INCONCLUSIVE, words=f"{step.name}: the probabilities could not be compared")
    words = f"{step.name}: probabilities differ from the champion's by {pairs.shift:.3f} (Lévy distance, allowed {ceiling:g})"
    if pairs.shift - pairs.slack > ceiling:
        return Finding(outcome=Outcome.FAIL, words=words)
    return Finding(outcome=Outcome.PASS if pairs.shift <= ceiling else Outcome.INCONCLUSIVE, words=words)


def _share(step: Step, counts: Evidence) -> Finding:
    """Whether the challenger's share of requests is the step's weight: else routing or counting is not what was asked for."""
    total, weight = counts.champion.requests + counts.challenger.requests, step.weight / 100
    distance = abs(counts.challenger.requests - weight * total) / math.sqrt(max(1.0, total * weight * (1 - weight)))
    words = f"{step.name}: the challenger had {counts.challenger.requests} of {total} requests"
    if distance <= SHARE_Z:
        return Finding(outcome=Outcome.PASS, words=words)
    return Finding(outcome=Outcome.INCONCLUSIVE, words=f"{words}, {distance:.1f} standard deviations from its weight")


def _bound(one: Counts, other: Counts, signal: str, confidence: float) -> float:
    """One-sided upper bound of `one`'s rate of a signal minus `other`'s."""
    from seatrial.statistics import increase_upper_bound

    mine, theirs = min(getattr(one, signal), one.requests), min(getattr(other, signal), other.requests)
    return increase_upper_bound(mine, one.requests, theirs, other.requests, confidence)


def _rates(step: Step, challenger: Counts, champion: Counts, signal: str) -> str:
    mine, theirs = getattr(challenger, signal), getattr(champion, signal)
    return f"{step.name}: {mine} of {challenger.requests} {_WORDS[signal]}, {theirs} of {champion.requests} of the champion's"


def _e(logarithm: float) -> str:
    """An e-value in words, from its logarithm."""
    return f"{math.exp(logarithm):.3g}" if logarithm < 30 else f"10^{logarithm / math.log(10):.0f}"
