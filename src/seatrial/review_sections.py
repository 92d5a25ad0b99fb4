"""The sections of a review, each from facts to Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from seatrial.contract_diff import Kind
from seatrial.diff import Change, differs, find_notes, shown, signed
from seatrial.markdown import code, plain, table
from seatrial.params import METRICS, Settings
from seatrial.report import reason
from seatrial.review import Section
from seatrial.review_facts import Facts
from seatrial.verdict import Check, Outcome, Verdict, worst

SIGNS = {Outcome.PASS: "🟢", Outcome.INCONCLUSIVE: "🟡", Outcome.ERROR: "🟠", Outcome.FAIL: "🔴"}
MOST = 25


def outcome_of(facts: Facts) -> Outcome:
    """The worst of what was decided: the gate, the validation where there is one, the tolerances."""
    verdicts = [facts.gate, *([facts.validation] if facts.validation else [])]
    decided = [Outcome.INCONCLUSIVE if verdict is None else verdict.outcome for verdict in verdicts]
    return worst([*decided, *(check.outcome for check in facts.tolerances)])


def head(facts: Facts, settings: Settings) -> str:
    """The first lines: the outcome, what decided it, and what was compared with what."""
    outcome = outcome_of(facts)
    lines = [f"## {SIGNS[outcome]} {plain(settings.model.name)}: {outcome.value}", ""]
    lines += [f"- {line}" for line in _reasons(facts)]
    if facts.base is not None:
        same = " Nothing differs from it." if facts.base.same else ""
        lines += ["", f"Compared with `{facts.base.commit}`, {plain(facts.base.reason)}.{same}"]
    lines += [f"\n> {plain(words, 1000)}" for words in (*facts.troubles, *facts.notes)]
    return "\n".join(lines)


def _reasons(facts: Facts) -> Iterator[str]:
    for verdict in (facts.validation, facts.gate):
        if verdict is not None:
            yield f"{SIGNS[verdict.outcome]} **{verdict.kind}: {verdict.outcome.value}** · {plain(reason(verdict))}"
    for check in facts.tolerances:
        if check.outcome is not Outcome.PASS:
            yield f"{SIGNS[check.outcome]} **tolerance: {check.outcome.value}** · {plain(check.message)}"
    breaking = [change for change in facts.contract if change.kind is Kind.BREAKING]
    if breaking:
        yield f"🔴 **{len(breaking)} breaking change{'s' * (len(breaking) > 1)} of the data contract**"


def sections(facts: Facts, settings: Settings) -> list[Section]:
    """Every section that has something to say, the most important first."""
    found = [
        _metrics(facts, settings),
        _blocking(facts.gate),
        _contract(facts),
        _params(facts),
        _gate_table(facts.gate),
    ]
    return [section for section in found if section is not None]


def _metrics(facts: Facts, settings: Settings) -> Section | None:
    if facts.comparison is None or facts.base is None:
        return None
    changes = in_order(facts.comparison.metrics.changes, settings)
    rows = [(code(one.name), plain(shown(one.old)), plain(shown(one.new)), signed(one.delta)) for one in changes]
    notes = [f"- {note}" for note in find_notes(facts.comparison)]
    body = table(("metric", "base", "now", "change"), rows, numbers=("base", "now", "change")) if rows else "No metric on either side."
    return Section(title="Metrics", body="\n".join([body, *([""] if notes else []), *notes]))


def in_order(changes: Sequence[Change], settings: Settings) -> list[Change]:
    """The primary metric, those of the gate, the task's others, and then whatever else changed."""
    order = list(dict.fromkeys([settings.model.primary, *settings.gate.metrics, *METRICS[settings.model.task]]))
    known = sorted((one for one in changes if one.name in order), key=lambda one: order.index(one.name))
    return known + [one for one in changes if one.name not in order and differs(one)]


def _blocking(verdict: Verdict | None) -> Section | None:
    """What the gate did not pass."""
    found = [] if verdict is None else [check for check in verdict.worst_first() if check.outcome is not Outcome.PASS]
    if not found:
        return None
    return Section(title="What the gate found", body=_checks(found))


def _checks(checks: Sequence[Check]) -> str:
    rows = [(f"{SIGNS[one.outcome]} {_word(one)}", code(one.name), plain(one.message)) for one in checks[:MOST]]
    return "\n".join([table(("outcome", "check", "finding"), rows), *_more(len(checks))])


def _word(check: Check) -> str:
    return f"{check.outcome.value}, advisory" if check.advisory else check.outcome.value


def _more(count: int) -> list[str]:
    return ["", f"… and {count - MOST} more."] if count > MOST else []


def _contract(facts: Facts) -> Section | None:
    """Changes of the contract, breaking ones first."""
    if not facts.contract:
        return None
    signs: Mapping[Kind, str] = {Kind.BREAKING: "🔴", Kind.STATISTICAL: "🟡", Kind.ADDITIVE: "⚪"}
    rows = [
        (f"{signs[one.kind]} {one.kind.value}", code(one.place), plain(one.old), plain(one.new), plain(one.reason))
        for one in facts.contract[:MOST]
    ]
    return Section(
        title="Data contract", body="\n".join([table(("kind", "rule", "base", "now", "means"), rows), *_more(len(facts.contract))])
    )


def _params(facts: Facts) -> Section | None:
    changes = () if facts.comparison is None else facts.comparison.params.changes
    if not changes:
        return None
    rows = [(code(one.name), plain(shown(one.old)), plain(shown(one.new))) for one in changes[:MOST]]
    return Section(title="Params", body="\n".join([table(("param", "base", "now"), rows), *_more(len(changes))]))


def _gate_table(verdict: Verdict | None) -> Section | None:
    """How many checks of each kind there were, and how they ended."""
    if verdict is None:
        return None
    counts: dict[str, Counter[str]] = {}
    for check in verdict.checks:
        counts.setdefault(check.name.partition(".")[0], Counter())[_word(check)] += 1
    rows = [(code(family), " · ".join(f"{number} {word}" for word, number in sorted(found.items()))) for family, found in counts.items()]
    return Section(title="All checks of the gate", body=table(("checks", "outcomes"), rows), quiet=True)


def foot(reports: Sequence[str], env: Mapping[str, str]) -> str:
    """Where the rest is: the reports by name, and the run that has them."""
    return f"{', '.join(map(code, reports))}{_run_link(env)}" if reports else ""


def _run_link(env: Mapping[str, str]) -> str:
    if env.get("GITHUB_RUN_ID") and env.get("GITHUB_REPOSITORY"):
        server = env.get("GITHUB_SERVER_URL", "https://github.com")
        return f" are among the artifacts of [this run]({server}/{env['GITHUB_REPOSITORY']}/actions/runs/{env['GITHUB_RUN_ID']})."
    if env.get("CI_JOB_URL"):
        return f" are among the artifacts of [this job]({env['CI_JOB_URL']}/artifacts/browse/reports)."
    return " have the rest."
