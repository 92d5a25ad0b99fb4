"""The seven invariants asked of a rig: what it holds is gathered, `seatrial.invariants` judges it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from seatrial.adapters.supervisor import wait_until
from seatrial.drill.processes import Running, Traffic
from seatrial.drill.rig import POLL_S, Rig
from seatrial.invariants import disagreements, journal_problems, left_behind, overexposed, strangers, unanswered, unearned
from seatrial.journal import journal_path

AGREE_S = 5.0
"""Within so many seconds of a restart journal, route, Envoy and registry have to agree."""


def examine(rig: Rig, traffic: Traffic | None, *, harmless: bool = True, shares: bool = True) -> Iterator[str]:
    """What does not hold once everything is at rest; without `harmless` a request may have failed, without `shares` I2 is not asked."""
    if traffic is not None:
        if harmless:
            yield from unanswered(traffic.answers, traffic.sent)
        if shares:
            yield from overexposed(traffic.answers, rig.timeline())
        yield from strangers(traffic.answers, rig.gated)
    wait_until(lambda: not list(disagreements(rig.places())), AGREE_S, every=POLL_S)
    yield from disagreements(rig.places())
    yield from unearned(rig.registry.moves(), rig.gated)
    wait_until(lambda: not rig.orphans(), AGREE_S)
    yield from left_behind(processes=rig.orphans(), port=None, locked=rig.locked())
    yield from journal_problems(journal_path(rig.home).read_bytes())


def torn_down(rig: Rig) -> Iterator[str]:
    """I6 once the endpoint is stopped: no process, port or lock."""
    rig.down()
    wait_until(lambda: not rig.orphans() and rig.port_problem() is None, AGREE_S)
    yield from left_behind(processes=rig.orphans(), port=rig.port_problem(), locked=rig.locked())


def agreeing_after(rig: Rig, restarted: Running) -> float | None:
    """Seconds from now until the four places agreed for the first time; None where they did not before `restarted` ended."""
    start = time.monotonic()
    while True:
        over = restarted.over()
        if not list(disagreements(rig.places())):
            return time.monotonic() - start
        if over:
            return None
        time.sleep(POLL_S)
