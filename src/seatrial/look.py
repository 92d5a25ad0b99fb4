"""One look at the world for a rollout: the endpoint's counters, the answers beside each other, what a person or the calendar says.

A signal that does not come is None, and advances nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import EndpointError
from seatrial.params_rollout import Freeze
from seatrial.plan import Plan
from seatrial.rollout_state import Counters, Counts, Observation, Pairs, Phase, State
from seatrial.tools import Span

if TYPE_CHECKING:
    from seatrial.adapters.endpoint import Endpoint, Traffic
    from seatrial.project import Project
    from seatrial.tools import Tools

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WEEK_MINUTES = 7 * 24 * 60


def look(project: Project, tools: Tools, plan: Plan, state: State) -> Observation:
    """What there is to know now, for this phase."""
    stop = asked_to_stop(project.home)
    frozen = frozen_words(project, tools.clock.wall())
    if state.phase not in (Phase.MIRROR, Phase.CANARY):
        return Observation(stop=stop, frozen=frozen)
    stop = stop or (tools.source.problem() if tools.source else None)
    counters = _counters(tools.endpoint, state, plan.slow_ms)
    return Observation(counters=counters, pairs=_pairs(tools, plan, state), stop=stop, frozen=frozen)


def stop_request(home: Path) -> Path:
    """The file by which `rollback` asks a running rollout to end; it holds who asks and why."""
    return home / "stop.json"


def stop_the_line(home: Path) -> Path:
    """The file that keeps everything from advancing while it is there; it may hold the reason."""
    return home / "stop-the-line"


def asked_to_stop(home: Path) -> str | None:
    """Who wants the rollout ended, and why; None where nobody does."""
    try:
        asked = json.loads(stop_request(home).read_bytes())
        return f"asked for by {asked['who']}: {asked['reason']}"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return "asked for by a person"


def frozen_words(project: Project, wall: str) -> str | None:
    """Why nothing may advance now: the line is stopped, or this part of the week is frozen. `wall` is an ISO time with its zone."""
    line = stop_the_line(project.home)
    try:
        reason = line.read_text(errors="replace").strip()[:200]
    except FileNotFoundError:
        return _freeze_words(project.settings.rollout.freeze, dt.datetime.fromisoformat(wall))
    except OSError as error:
        reason = str(error)
    return f"the line is stopped: {reason or 'no reason given'}; remove {line.name} in {project.home.name} to go on"


def _freeze_words(windows: Iterable[Freeze], now: dt.datetime) -> str | None:
    for window in windows:
        if within(window, now):
            return f"frozen from {window.since} until {window.until} ({window.zone})"
    return None


def within(window: Freeze, now: dt.datetime) -> bool:
    """Whether `now` (aware) lies in the window of its week; `since` is in it, `until` is not."""
    from zoneinfo import ZoneInfo

    local = now.astimezone(ZoneInfo(window.zone))
    at = (local.weekday() * 24 + local.hour) * 60 + local.minute
    since, until = _minute(window.since), _minute(window.until)
    return (at - since) % WEEK_MINUTES < (until - since) % WEEK_MINUTES


def _minute(text: str) -> int:
    day, clock = text.split()
    return DAYS.index(day) * 24 * 60 + int(clock[:2]) * 60 + int(clock[3:])


def _counters(endpoint: Endpoint, state: State, slow_ms: float) -> Counters | None:
    """The endpoint's counters of both sides; None where one is missing."""
    if state.champion is None or state.challenger is None:
        return None
    try:
        telemetry = endpoint.observe()
        side = telemetry.mirror if state.phase is Phase.MIRROR else telemetry.variants
        champion, challenger = telemetry.variants[state.champion.version], side[state.challenger.version]
    except (EndpointError, KeyError):
        return None
    return Counters(boot=telemetry.boot, champion=_counts(champion, slow_ms), challenger=_counts(challenger, slow_ms))


def _counts(traffic: Traffic, slow_ms: float) -> Counts:
    return Counts(
        requests=traffic.requests,
        failures=traffic.failures,
        slow=slower_than(traffic.times, slow_ms),
        broken=traffic.broken,
        times=traffic.times,
    )


def slower_than(times: tuple[tuple[float, int], ...], slow_ms: float) -> int:
    """Requests that took longer than `slow_ms`, or than the next larger bound of the histogram, which is what is known of them."""
    if not times:
        return 0
    within_limit = next((count for bound, count in times if bound >= slow_ms), times[-1][1])
    return times[-1][1] - within_limit


def _pairs(tools: Tools, plan: Plan, state: State) -> Pairs | None:
    """The answers of both sides beside each other, once the step has its requests and its time, so that they are asked for rarely."""
    step = plan.steps[state.step]
    if not step.judges or state.champion is None or state.challenger is None:
        return None
    if step.ceilings.shift is None and not (step.mirrors and step.ceilings.disagreement is not None):
        return None
    if state.counts is None or state.counts.challenger.requests < step.min_requests or state.baked < (step.seconds or 0.0):
        return None
    span = Span(step=state.waited, rollout=state.elapsed, mirrored=step.mirrors)
    return tools.compare(state.champion.version, state.challenger.version, span)
