"""reports/rollout.html: how a rollout went, from the journal: its timeline, its decisions with their sentences, and its evidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from seatrial import rollout_records as records
from seatrial.drawings import short
from seatrial.html import escape, page, table, tag
from seatrial.rollout_story import Story, Turn, last_story, story_of
from seatrial.timeline import STYLE as TIMELINE_STYLE
from seatrial.timeline import duration, timeline
from seatrial.verdict import Check, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.project import Project

LONGEST = 1500
MOST_TURNS = 200
MOST_CHECKS = 200
NAME = 24
TONES = {"pass": "pass", "fail": "fail", "error": "error", "inconclusive": "inconclusive"}
COUNTED = {"failures": "failed", "slow": "slow", "broken": "broken"}

STYLE = """
.facts { display: grid; gap: 0 1.2rem; margin: .6rem 0 0; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)) }
.facts div { border-bottom: 1px solid var(--line); min-width: 0; padding: .2rem 0 } .facts dt { color: var(--soft); font-size: .85rem }
.facts dd { margin: 0; overflow-wrap: anywhere } .card .facts div:last-child { border-bottom: 0 }
.nobreak { white-space: nowrap } .other { white-space: nowrap } @media screen and (min-width: 44.01rem) { .other { display: block } }
 .stack td { overflow-wrap: anywhere } section > .card { margin-bottom: .6rem }
"""


def write_rollout_page(project: Project, say: Callable[[str], None], *, id: str | None = None) -> Path | None:
    """Write `reports/rollout.html` about a rollout, by default the newest one; gives its path, None where there was none.

    Nothing is raised: a page that cannot be written is said, and stops nobody.
    """
    try:
        return _write(project, id)
    except Exception as error:  # noqa: BLE001 - a page is not worth a rollout
        say(f"reports/rollout.html could not be written: {type(error).__name__}: {error}")
        return None


def _write(project: Project, id: str | None) -> Path | None:
    from seatrial.files import write_atomic
    from seatrial.samples import read_samples, with_samples

    steps = planned_steps(project)
    story = story_of(project.home, id, steps=steps) if id else last_story(project.home, steps=steps)
    if story is None:
        return None
    samples = list(read_samples(project.home, story.id))
    told = with_samples(story, samples) if samples else story
    path = project.report("rollout.html")
    text = rollout_page(told, verdict=verdict_about(project, story), log_limit=_limit(project, samples))
    write_atomic(path, text.encode())
    return path


def planned_steps(project: Project) -> tuple[records.Exposure, ...]:
    """What each step of the plan of params.yaml gives the challenger."""
    from seatrial.plan import Plan

    return tuple(step.exposure for step in Plan.of(project.settings.rollout).steps)


def _limit(project: Project, samples: Sequence[Mapping[str, Any]]) -> float | None:
    """The logarithm from which the challenger goes back: as it was while it ran, else by params.yaml."""
    seen = [sample.get("log_limit") for sample in samples if isinstance(sample.get("log_limit"), float) and sample["log_limit"] > 0]
    return seen[-1] if seen else math.log(3 / project.settings.rollout.alpha)


def verdict_about(project: Project, story: Story) -> Verdict | None:
    """metrics/rollout.json, if it is about this rollout."""
    from seatrial.errors import VerdictError

    try:
        verdict = Verdict.load(project.verdict("rollout"), kind="rollout")
    except VerdictError:
        return None
    subject = {"bundle": story.challenger.digest, "plan": records.words(story.state, "plan"), "gate": records.words(story.state, "gate")}
    same = all(verdict.subject.get(key) == value for key, value in subject.items())
    return verdict if same and verdict.outcome.value == story.outcome else None


def rollout_page(story: Story, *, verdict: Verdict | None = None, log_limit: float | None = None) -> str:
    """The page about one rollout; `log_limit` is the logarithm of the e-value from which the challenger goes back."""
    title = f"Rollout of version {story.challenger.version}"
    return page(
        title,
        _head(title, story),
        f"<section><h2>Timeline</h2>{timeline(story, log_limit=log_limit)}</section>",
        _decisions(story),
        _steps(story, verdict),
        _besides(story),
        _checks(verdict),
        style=TIMELINE_STYLE + STYLE,
    )


def _head(title: str, story: Story) -> str:
    tone = TONES.get(story.outcome or "", "inconclusive")
    simulated = bool(story.state.get("simulated"))
    champion = f"version {story.champion.version} <code>{_digest(story.champion.digest)}</code>" if story.champion else "none"
    facts = {
        "challenger": f"version {story.challenger.version} <code>{_digest(story.challenger.digest)}</code>",
        "champion at the start": champion,
        "requests": "simulated: replayed rows" if simulated else "not simulated: the endpoint's own traffic",
        "environment": escape(_bounded(records.words(story.state, "environment") or "not recorded")),
        "model": escape(_bounded(records.words(story.state, "model") or "not recorded")),
        "began": escape(clock(story.started)),
        "ended": escape(clock(story.ended)) if story.ended else "not yet",
        "took": duration(story.seconds),
        "started by": escape(_bounded(records.words(story.state, "started_by") or "not recorded")),
        "ended by": escape(_bounded(story.who or "not recorded")),
        "approved by": escape(_bounded("; ".join(story.approvals) or "nobody was asked")),
        "gate's verdict": f"<code>{_digest(records.words(story.state, 'gate'))}</code>",
    }
    return (
        f'<header class="card verdict {tone}"><h1>{escape(title)}: <strong>{escape(story.how)}</strong></h1>'
        f"<p>{escape(_bounded(story.reason or 'no reason was recorded'))}</p>{_facts(facts)}</header>"
    )


def _facts(facts: Mapping[str, str]) -> str:
    """Names and values (HTML) beside each other."""
    return '<dl class="facts">' + "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items()) + "</dl>"


def _decisions(story: Story) -> str:
    shown = story.turns if len(story.turns) <= MOST_TURNS else (*story.turns[: MOST_TURNS - 20], *story.turns[-20:])
    rows = [_decision(turn) for turn in shown]
    left = len(story.turns) - len(shown) + story.more_turns
    more = f'<p class="soft">… and {left:,} more in journal.jsonl.</p>' if left else ""
    body = table(("#", "time", "after", "now", "decision"), rows, numbers=("#", "after"))
    return f"<section><h2>Decisions</h2>{body}{more}</section>"


def _decision(turn: Turn) -> list[str]:
    time = f'<span class="nobreak" title="{escape(clock(turn.time))}">{escape(clock(turn.time)[11:19])}</span>'
    return [str(turn.number), time, duration(turn.seconds), _whole(turn.what), escape(_bounded(turn.words))]


def _steps(story: Story, verdict: Verdict | None) -> str:
    """What each step saw, in the order in which it was seen."""
    found = records.parts(story.state)
    if not found:
        return ""
    asked = [signal for signal in COUNTED if signal == "failures" or any(records.counted(part, signal) for part in found)]
    header = ["step", "requests", *(COUNTED[signal] for signal in asked), "increase below", "allowed", "state"]
    rows = [_step(part, asked, verdict, carried=at < story.carried) for at, part in enumerate(found)]
    note = (
        "<p class=\"soft small\">Counts are the challenger's, below them the champion's in the same step. The increase is that of the "
        "challenger's share of failures, by a one-sided bound of 95 %.</p>"
    )
    return f"<section><h2>Steps</h2>{table(header, rows, numbers=set(header) - {'step', 'state'})}{note}</section>"


def _step(part: Mapping[str, Any], asked: Sequence[str], verdict: Verdict | None, *, carried: bool) -> list[str]:
    sides = [_both(part, name) for name in ("requests", *asked)]
    bound, allowed = part.get("bound"), _allowed(part, verdict)
    state = "from an earlier rollout" if carried else "complete" if part.get("complete") else "not completed"
    return [_whole(step_name(part)), *sides, _percent(bound), _percent(allowed), state]


def _both(part: Mapping[str, Any], name: str) -> str:
    """A count of the challenger, and below it the champion's."""
    challenger, champion = (records.count(part, role, name) for role in ("challenger", "champion"))
    return f'{challenger:,} <span class="other soft small">champion {champion:,}</span>'


def _whole(words: str) -> str:
    """A short name, which is not broken."""
    return f'<span class="nobreak">{escape(words)}</span>' if len(words) <= NAME else escape(_bounded(words))


def step_name(part: Mapping[str, Any]) -> str:
    """A step as people read it."""
    step = part.get("step")
    return str(part.get("name") or ("mirror" if step == "mirror" else f"{step} %"))


def _allowed(part: Mapping[str, Any], verdict: Verdict | None) -> object:
    """The ceiling over the increase, as the verdict says it."""
    step = part.get("step")
    name = "step.mirror" if step == "mirror" else f"step.{records.whole(step):03d}"
    name += ".bake" if str(part.get("name", "")).startswith("bake") else ""
    return next((check.limit for check in verdict.checks if check.name == name), None) if verdict else None


def _percent(value: object) -> str:
    return f"{value:.2%}" if isinstance(value, float) and math.isfinite(value) else "–"


def _besides(story: Story) -> str:
    """Smoke test and mirrored answers, in sentences."""
    smoke, facts = story.state.get("smoke"), {}
    if isinstance(smoke, Mapping):
        problem = smoke.get("problem")
        good = f"{records.whole(smoke.get('rows'))} golden rows answered as the bundle promises"
        worst = smoke.get("worst")
        more = f"; the largest difference is {worst:.2g}" if isinstance(worst, float) else ""
        facts["smoke test"] = escape(_bounded(str(problem) if problem else good + more))
    if story.mirrored:
        asked, differing = story.mirrored
        share = f" ({differing / asked:.2%})" if asked else ""
        facts["mirror disagreement"] = f"{differing:,} of {asked:,} mirrored requests got another label than the champion's{share}"
    return f'<section><h2>Answers</h2><div class="card">{_facts(facts)}</div></section>' if facts else ""


def _checks(verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    rows = [_check(check) for check in verdict.worst_first()[:MOST_CHECKS]]
    return (
        f"<section><h2>All {len(verdict.checks)} checks</h2>{table(('outcome', 'check', 'finding'), rows)}"
        f'<p class="soft small">verdict {verdict.digest}, in metrics/rollout.json</p></section>'
    )


def _check(check: Check) -> list[str]:
    name = escape(short(check.name, 160)).replace(".", ".<wbr>")
    return [tag(check.outcome.value, advisory=check.advisory), f"<code>{name}</code>", escape(_bounded(check.message))]


def _digest(digest: str) -> str:
    """A digest by its first twelve digits."""
    kind, _, digits = digest.partition(":")
    return escape(f"{kind}:{digits[:12]}" if digits else short(digest, 20) or "none")


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def clock(time: str) -> str:
    """A recorded time for people, in UTC and whole seconds."""
    found = records.when(time)
    return f"{found:%Y-%m-%d %H:%M:%S} UTC" if found else short(time, 40)
