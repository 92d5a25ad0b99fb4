"""The sections of a review, each from facts to Markdown, the most important first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from seatrial.contract_diff import Kind
from seatrial.diff import Change, differs, find_notes, is_finite, shown, signed
from seatrial.markdown import code, plain, table
from seatrial.movements import Interval, Movement, Reading, strip
from seatrial.params import METRICS, Settings
from seatrial.params_diff import LOWER_IS_BETTER
from seatrial.report import reason
from seatrial.review import Section
from seatrial.review_charts import drawing, mermaid
from seatrial.review_facts import HELD_OUT, Facts
from seatrial.review_gate import SIGNS, advisory, all_checks, begin, blocking, limits
from seatrial.verdict import Outcome, worst

READINGS = {
    Reading.BETTER: "🟢\u00a0better",
    Reading.WORSE: "🔴\u00a0worse",
    Reading.NOISE: "⚪\u00a0noise",
    Reading.UNCLEAR: "⚪\u00a0may\u00a0be\u00a0chance",
    Reading.SAME: "⚪\u00a0same",
    Reading.UNKNOWN: "🟠\u00a0not\u00a0comparable",
}
KINDS: Mapping[Kind, str] = {Kind.BREAKING: "🔴\u00a0breaking", Kind.STATISTICAL: "🟡\u00a0statistical", Kind.ADDITIVE: "⚪\u00a0additive"}
MOST = 20
MOST_SLICES = 8


def outcome_of(facts: Facts) -> Outcome:
    """The worst of what was decided: the gate, the validation where there is one, the tolerances."""
    verdicts = [facts.gate, *([facts.validation] if facts.validation else [])]
    decided = [Outcome.INCONCLUSIVE if verdict is None else verdict.outcome for verdict in verdicts]
    return worst([*decided, *(check.outcome for check in facts.tolerances)])


def head(facts: Facts, settings: Settings) -> str:
    """The first lines: the outcome with the primary metric, what decided it, and what was compared with what."""
    outcome = outcome_of(facts)
    lines = [f"## {SIGNS[outcome]} {plain(settings.model.name)}: {outcome.value}{_primary(facts, settings)}", ""]
    lines += [f"- {line}" for line in _reasons(facts)]
    if facts.base is not None:
        same = " Nothing differs from it." if facts.base.same else ""
        lines += ["", f"Compared with `{facts.base.commit}`, {plain(facts.base.reason)}.{same}"]
    if facts.troubles:
        lines += ["", *(f"> 🟠 {plain(words, 1000)}\n>" for words in facts.troubles)]
    lines += ["", *(f"- {plain(words, 1000)}" for words in facts.notes)] if facts.notes else []
    return "\n".join(lines)


def _primary(facts: Facts, settings: Settings) -> str:
    name = settings.model.primary
    found = next((one for one in movements(facts, settings) if one.name == name), None)
    if found is None or found.old is None or found.new is None:
        return ""
    return f" · {code(name)} {found.old:.3f} → {found.new:.3f} ({found.reading.value})"


def _reasons(facts: Facts) -> Iterator[str]:
    for verdict in (facts.validation, facts.gate):
        if verdict is not None:
            yield f"{SIGNS[verdict.outcome]} **{verdict.kind}: {verdict.outcome.value}** · {begin(reason(verdict))}"
    for check in facts.tolerances:
        if check.outcome is not Outcome.PASS:
            yield f"{SIGNS[check.outcome]} **tolerance: {check.outcome.value}** · {plain(check.message)}"
    breaking = [change for change in facts.contract if change.kind is Kind.BREAKING]
    if breaking:
        yield f"🔴 **{counted(len(breaking), 'breaking change')} of the data contract**"


def counted(count: int, noun: str) -> str:
    """`1 row`, `8 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def sections(facts: Facts, settings: Settings) -> list[Section]:
    """Every section that has something to say, the most important first."""
    found = [
        _metrics(facts, settings),
        blocking(facts.gate),
        _contract(facts),
        _params(facts),
        limits(facts.gate),
        _slices(facts),
        _flips(facts),
        _data(facts, settings),
        _drift(facts, settings),
        advisory(facts.gate),
        _curves(facts),
        all_checks(facts.gate),
    ]
    return [section for section in found if section is not None]


def movements(facts: Facts, settings: Settings) -> list[Movement]:
    """The task's metrics between base and workspace, with what is known about each."""
    changes = [] if facts.comparison is None else in_order(facts.comparison.metrics.changes, settings)
    known = METRICS[settings.model.task]
    return [_movement(facts, change) for change in changes if change.name in known]


def _movement(facts: Facts, change: Change) -> Movement:
    interval = facts.rescored.metrics.get(change.name) if facts.rescored else None
    return Movement(
        name=change.name,
        old=float(change.old or 0) if is_finite(change.old) else None,
        new=float(change.new or 0) if is_finite(change.new) else None,
        interval=interval if interval is not None and interval.finite else None,
        floor=facts.floors.get(change.name),
        higher_is_better=change.name not in LOWER_IS_BETTER,
    )


def in_order(changes: Sequence[Change], settings: Settings) -> list[Change]:
    """The primary metric, those of the gate, the task's others, and then whatever else changed."""
    order = list(dict.fromkeys([settings.model.primary, *settings.gate.metrics, *METRICS[settings.model.task]]))
    known = sorted((one for one in changes if one.name in order), key=lambda one: order.index(one.name))
    return known + [one for one in changes if one.name not in order and differs(one)]


def _metrics(facts: Facts, settings: Settings) -> Section | None:
    if facts.comparison is None:
        return None
    changes = in_order(facts.comparison.metrics.changes, settings)
    found = {one.name: one for one in movements(facts, settings)}
    rows = [_metric(one, found.get(one.name)) for one in changes]
    head_of = ("metric", "base", "now", "change", "worse ◂ ▸ better", "")
    body = [table(head_of, rows, numbers=("base", "now", "change")) if rows else "No metric on either side."]
    notes = find_notes(facts.comparison)
    body += ["\n".join(f"- {note}" for note in notes)] if notes else []
    body += [_explained(facts, settings)] if rows else []
    return Section(title="Metrics", body="\n\n".join(body))


def _metric(change: Change, found: Movement | None) -> tuple[str, ...]:
    values = code(change.name), plain(_rounded(change.old)), plain(_rounded(change.new))
    if found is None:
        return (*values, signed(change.delta), "", "")
    between = "" if found.interval is None else _bounds(found.interval, 4)
    delta = "–" if found.delta is None else f"{found.delta:+.4f}"
    return (*values, f"{delta}{between}", code(found.strip), READINGS[found.reading])


def _bounds(interval: Interval, digits: int) -> str:
    """An interval in small print on a line of its own."""
    return f"<br><sub>{interval.low:+.{digits}f}\u00a0to\u00a0{interval.high:+.{digits}f}</sub>"


def _rounded(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) and is_finite(value) else shown(value)  # type: ignore[arg-type]


def _explained(facts: Facts, settings: Settings) -> str:
    """What the columns mean, in small print."""
    parts = []
    if facts.rescored is not None:
        found, level = facts.rescored, 100 * float(settings.gate.confidence)
        of = "" if found.rows == found.every else f" of {found.every:,}"
        parts.append(f"Change and {level:g} % interval are paired: both models on the same {found.rows:,}{of} held-out rows.")
        if found.learned:
            parts.append(
                f"Left out {'is' if found.learned == 1 else 'are'} {counted(found.learned, 'row')} that the base's model was trained on."
            )
    if facts.floors:
        parts.append("░ is the noise floor: what training by luck alone exceeds once in twenty times.")
    parts.append("━ is the interval, ╋ the change, │ none.") if facts.rescored is not None or facts.floors else None
    if facts.sides.changed(HELD_OUT):
        parts.append("The held-out rows are others than at the base, so base and now are not about the same rows.")
    return f"<sub>{' '.join(parts)}</sub>" if parts else ""


def _more(count: int, most: int = MOST) -> list[str]:
    return ["", f"… and {count - most} more."] if count > most else []


def _contract(facts: Facts) -> Section | None:
    """Changes of the contract, breaking ones first."""
    if not facts.contract:
        return None
    rows = [(KINDS[one.kind], code(one.place), plain(one.old), plain(one.new), plain(one.reason)) for one in facts.contract[:MOST]]
    body = [table(("kind", "rule", "base", "now", "means"), rows), *_more(len(facts.contract))]
    return Section(title="Data contract", body="\n".join(body))


def _params(facts: Facts) -> Section | None:
    changes = () if facts.comparison is None else facts.comparison.params.changes
    if not changes:
        return None
    several = len({one.path for one in changes}) > 1
    rows = [
        (code(f"{one.path}:{one.name}" if several else one.name), plain(shown(one.old)), plain(shown(one.new))) for one in changes[:MOST]
    ]
    return Section(title="Params", body="\n".join([table(("param", "base", "now"), rows), *_more(len(changes))]))


def _slices(facts: Facts) -> Section | None:
    """Slices that moved beyond chance; where none did, only that."""
    if facts.rescored is None or not facts.rescored.slices:
        return None
    every, metric = facts.rescored.slices, facts.rescored.slice_metric
    moved = [one for one in every if one.moved]
    said = (
        f"{len(moved)} of {counted(len(every), 'slice')} moved beyond chance by {code(metric)} "
        "(<sub>each interval for itself; what moved is decided over all of them, Holm at 5 %</sub>)."
    )
    shown_ones = (moved or every)[:MOST_SLICES]
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    rows = [
        (
            code(f"{one.column} = {one.value}"),
            f"{one.rows:,}",
            f"{one.old:.3f}",
            f"{one.new:.3f}",
            f"{one.interval.value:+.3f}{_bounds(one.interval, 3)}",
            code(_strip(one.interval, sign)),
            _slice_word(one.interval.value * sign, moved=one.moved),
        )
        for one in shown_ones
    ]
    header = ("slice", "rows", "base", "now", "change", "worse ◂ ▸ better", "")
    title = f"Slices: {len(moved)} moved" if moved else "Slices: none moved"
    body = [said, "", table(header, rows, numbers=("rows", "base", "now", "change")), *_more(len(moved), MOST_SLICES)]
    return Section(title=title, body="\n".join(body), quiet=not moved)


def _strip(interval: Interval, sign: float) -> str:
    return strip(interval.value * sign, *sorted((interval.low * sign, interval.high * sign)))


def _slice_word(gain: float, *, moved: bool) -> str:
    return READINGS[Reading.UNCLEAR] if not moved else READINGS[Reading.BETTER if gain > 0 else Reading.WORSE]


def _flips(facts: Facts) -> Section | None:
    """How many rows get another label than at the base; where that is unknown, what the gate says about the champion."""
    found = facts.flips
    if found is None:
        asked = [] if facts.gate is None else [check for check in facts.gate.checks if check.name == "behaviour.flips"]
        return Section(title="Prediction flips", body=f"Against the champion: {plain(asked[0].message)}", quiet=True) if asked else None
    if not found.count:
        return Section(title="Prediction flips: none", body=f"All {found.rows:,} rows get the label that they got at the base.", quiet=True)
    most = sorted(found.kinds.items(), key=lambda one: -one[1][0])[:MOST]
    rows = [(f"{code(was)} → {code(now)}", f"{count:,}", f"{right:,}", f"{count - right:,}") for (was, now), (count, right) in most]
    share = f"{found.count:,} of {found.rows:,} rows ({found.count / found.rows:.1%})"
    body = [f"{share} get another label than at the base; {found.right:,} of them are right now.", ""]
    body += [table(("base → now", "rows", "right now", "wrong now"), rows, numbers=("rows", "right now", "wrong now"))]
    return Section(title="Prediction flips", body="\n".join([*body, *_more(len(found.kinds))]))


def _data(facts: Facts, settings: Settings) -> Section | None:
    """Which of the data's files have other bytes than at the base, and how many rows both sides have."""
    if facts.base is None:
        return None
    names = (settings.data.raw, "data/processed/train.parquet", HELD_OUT)
    rows = [
        (code(name), _locked(facts.sides.base.get(name)), _locked(facts.sides.now.get(name)))
        for name in names
        if facts.sides.changed(name) or (name in facts.sides.base) is not (name in facts.sides.now)
    ]
    if facts.profiles is not None and facts.profiles[0].rows != facts.profiles[1].rows:
        rows.append(("rows", f"{facts.profiles[1].rows:,}", f"{facts.profiles[0].rows:,}"))
    return Section(title="Data", body=table(("file", "base", "now"), rows)) if rows else None


def _locked(found: object) -> str:
    from seatrial.dvc_lock import Locked

    if not isinstance(found, Locked):
        return "–"
    return f"{code(found.short)}{f' ({found.size:,} bytes)' if found.size is not None else ''}"


def _drift(facts: Facts, settings: Settings) -> Section | None:
    """Columns of the data that are distributed otherwise than at the base, by the monitor's own distances."""
    if facts.profiles is None or facts.profiles[0].columns == facts.profiles[1].columns:
        return None
    from seatrial.checks.drift_scores import scores_of

    now, then = (profile.columns for profile in facts.profiles)
    names = [name for name in now if name in then]
    scores = scores_of(settings.monitor.drift, {name: (now[name], then[name]) for name in names}).columns
    drifted = sorted((name for name in scores if scores[name].drifted), key=lambda name: -scores[name].value / scores[name].limit)
    gone, come = [name for name in then if name not in now], [name for name in now if name not in then]
    said = [f"{len(drifted)} of {counted(len(scores), 'column')} drifted from the base's data."]
    said += [f"New: {', '.join(map(code, come[:MOST]))}."] if come else []
    said += [f"Gone: {', '.join(map(code, gone[:MOST]))}."] if gone else []
    rows = [(code(name), plain(str(scores[name])), _bar(scores[name].value / scores[name].limit)) for name in drifted[:MOST]]
    body = [" ".join(said), *(["", table(("column", "distance", "against its limit"), rows)] if rows else []), *_more(len(drifted))]
    return Section(title="Drift since the base", body="\n".join(body), quiet=not drifted and not gone and not come)


def _bar(times: float) -> str:
    """How many times the limit, as a bar of at most twelve signs."""
    return f"{code('▇' * max(1, min(round(times * 3), 12)))} {times:.1f}×"


def _curves(facts: Facts) -> Section | None:
    """ROC and calibration of both sides, drawn by the forge."""
    found = {name: pair for name, pair in facts.curves.items() if pair[0] != pair[1]}
    if not found:
        return None
    charts = [mermaid(name, now=pair[1], base=pair[0]) for name, pair in found.items()]
    drawn = "".join(drawing(name, now=pair[1], base=pair[0]) for name, pair in found.items())
    return Section(title="Curves", body="\n\n".join(charts), page=f'<div class="pair">{drawn}</div>', quiet=True)


def foot(reports: Sequence[str], env: Mapping[str, str]) -> str:
    """Where the rest is: the reports by name, and the run that has them."""
    return f"{', '.join(map(code, reports))}{_run_link(env)}" if reports else ""


def _run_link(env: Mapping[str, str]) -> str:
    if env.get("GITHUB_RUN_ID") and env.get("GITHUB_REPOSITORY"):
        server = env.get("GITHUB_SERVER_URL", "https://github.com")
        run = f"{server}/{env['GITHUB_REPOSITORY']}/actions/runs/{env['GITHUB_RUN_ID']}"
        return f" are among [the artifacts of this run]({run}#artifacts)."
    if env.get("CI_JOB_URL"):
        return f" are among [the artifacts of this job]({env['CI_JOB_URL']}/artifacts/browse/reports)."
    return " have the rest."
