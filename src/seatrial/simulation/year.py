"""A simulated year: month by month rows are sent, their logs moved, outcomes delivered; then monitor and retrain are asked as they are.

Where retrain asks for a training, the site trains and gates on what is known by then and takes a version that passes live. Everything
goes through the real endpoint and the real commands; only the clock is given to them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING

from seatrial.alerts import read_alerts
from seatrial.errors import PipelineError
from seatrial.live_performance import Interval
from seatrial.replay import ReplayResult, replay
from seatrial.retrain import Reason
from seatrial.simulation.judge import Seen, Training
from seatrial.simulation.moved import keep_requests, keep_rows, logged, requested, times_in
from seatrial.simulation.story import Act, Story
from seatrial.simulation.world import Dealt, Month, draws, live
from seatrial.windows import Window, window_at

if TYPE_CHECKING:
    import polars as pl

    from seatrial.adapters.registry import RegisteredVersion
    from seatrial.bundle import Bundle
    from seatrial.monitor_history import Record
    from seatrial.project import Project
    from seatrial.simulation.site import Site, Step

RATE = 150.0
AFTER = dt.timedelta(hours=1)
ACCESS_LOG = "endpoint/logs/access.log"

Say = Callable[[str], None]


class Year:
    """One story in one site."""

    def __init__(self, site: Site, story: Story, dealt: Dealt, *, say: Say) -> None:
        self._site = site
        self._story = story
        self._say = say
        self._data = site.desk.settings.data
        self._id = str(self._data.id)
        self._dealt = dealt
        self._rows: pl.DataFrame = dealt.history.clear()
        self._outcomes: list[pl.DataFrame] = []
        self._delivered: set[str] = set()

    def window(self, month: int) -> Window:
        """A month's window: the first begins at the story's start or at the next full window."""
        hours = self._site.desk.settings.monitor.window_hours
        start = dt.datetime.combine(self._story.start, dt.time(), dt.UTC)
        first = window_at(start, hours).since
        first += dt.timedelta(hours=hours) * ((first < start) + month - 1)
        return Window(since=first, until=first + dt.timedelta(hours=hours))

    def run(self, months: int) -> tuple[Seen, ...]:
        """The first release, then so many months; what each of them showed."""
        self._say(f"simulation: {months} months; a first version learns from {self._dealt.history.height:,} rows")
        self._release()
        seen = []
        for month in range(1, months + 1):
            seen.append(self._month(month))
            self._say(told(seen[-1], months))
        return self._in_the_end(seen)

    def _release(self) -> None:
        self._site.write_table(self._dealt.history)
        for verb, project in (("train", self._site.desk), ("gate", self._site.desk), ("deploy", self._site.live)):
            _went_well(verb, self._step(project, verb))

    def _step(self, project: Project, verb: str) -> Step:
        """One of the steps that take long, announced."""
        self._say(f"{verb} …")
        return self._site.step(project, verb)

    def _month(self, number: int) -> Seen:
        from seatrial.adapters.registry import champion_of
        from seatrial.drift_references import bundle_of

        window = self.window(number)
        now = window.until + AFTER
        champion = champion_of(self._site.desk)
        bundle = bundle_of(self._site.desk, champion)
        month = live(self._dealt.months[number - 1], self._story, number, self._data.target)
        result = self._ask(month, bundle, window)
        self._come_true(month, number, window)
        self._deliver(bundle, now)
        record = self._monitored(now)
        self._request(self._story.acts_in(number), now)
        training = self._retrain(champion, now)
        return self._seen(number, window, champion, record, result, training)

    def _ask(self, month: Month, bundle: Bundle, window: Window) -> ReplayResult:
        """Send a month's rows through the endpoint's port, and take what was logged about them to the desk."""
        began = dt.datetime.now(dt.UTC)
        url = f"{self._site.live.settings.rollout.url}/invocations"
        rows = month.asked.to_dicts()
        result = replay(url, rows, rate=RATE, requests=len(rows))
        ids = [str(one) for one in month.asked[self._id]]
        answered = logged(self._site.live.home / "log", since=began, rows=result.ok)
        keep_rows(self._site.desk.home / "log", answered, bundle.manifest, ids, window)
        requests = requested(self._site.live.home / ACCESS_LOG, since=began, requests=result.sent)
        keep_requests(self._site.desk.home / ACCESS_LOG, requests, window)
        return result

    def _come_true(self, month: Month, number: int, window: Window) -> None:
        """Note what comes true of a month's rows, and when it becomes known: half to one and a half times the story's delay later."""
        import polars as pl

        delays = self._story.delay_in(number) * (0.5 + draws(self._story, number, "delay").random(month.rows.height))
        known = [time + dt.timedelta(days=days) for time, days in zip(times_in(window, month.rows.height), delays.tolist(), strict=True)]
        ids, outcomes = (month.rows[name].cast(pl.String) for name in (self._id, self._data.target))
        times = pl.Series(known, dtype=pl.Datetime("us", "UTC"))
        self._outcomes.append(pl.DataFrame({"id": ids, "outcome": outcomes, "known": times}))
        self._rows = pl.concat([self._rows, month.rows])

    def _deliver(self, bundle: Bundle, now: dt.datetime) -> None:
        """Hand over the outcomes that became known since the last time, as `labels` takes them."""
        import polars as pl

        from seatrial.labels import Columns, add_labels

        fresh = pl.concat(self._outcomes).filter((pl.col("known") <= now) & ~pl.col("id").is_in(list(self._delivered)))
        if not fresh.height:
            return
        path = self._site.root / f"data/outcomes-{now:%Y%m%d}.parquet"
        fresh.with_columns(pl.col("known").dt.strftime("%Y-%m-%dT%H:%M:%S")).write_parquet(path)
        columns = Columns(id="id", outcome="outcome", known="known")
        add_labels(self._site.desk, [str(path)], columns, classes=bundle.manifest.target.classes, spelled={}, now=now)
        self._delivered |= set(fresh["id"])

    def _monitored(self, now: dt.datetime) -> Record:
        from seatrial.commands.monitor import Question, monitor
        from seatrial.monitor_history import project_history

        with self._quiet():
            monitor(self._site.desk, Question(), now=now)
        return [one for one in project_history(self._site.desk).records() if one.whole][-1]

    def _request(self, acts: tuple[Act, ...], now: dt.datetime) -> None:
        from seatrial.commands.retrain import request

        for act in acts:
            self._site.allow(act.allow)
            with self._quiet():
                request(self._site.desk, act.request, now=now)

    def _retrain(self, champion: RegisteredVersion, now: dt.datetime) -> Training | None:
        """Ask for the decision, and do what it asks for: train, gate, take live."""
        from seatrial.commands.retrain import decide_now

        with self._quiet():
            verdict, refit = decide_now(self._site.desk, champion, now=now)
        reasons = tuple(verdict.subject["reasons"])
        if not reasons:
            return None
        self._say(f"a training is asked for because of {', '.join(reasons)}, on what is known by then")
        training = Training(reasons=reasons, words="", helps=None if refit is None else refit.helps)
        step, done = self._train(champion, reasons, now)
        if done.code != 0:
            return replace(training, words=f"{step} ended with {done.code}: {done.last}")
        before = champion.digest
        deployed = self._step(self._site.live, "deploy")
        if deployed.code != 0:
            return replace(training, words=f"deploy ended with {deployed.code}: {deployed.last}")
        return self._live(training, before)

    def _live(self, training: Training, before: str) -> Training:
        from seatrial.adapters.registry import champion_of

        champion = champion_of(self._site.desk)
        if champion.digest == before:
            return replace(training, words="the same bytes came out; nothing to take live")
        return replace(training, words=f"version {champion.version} passed the gate and is live", live=champion.version)

    def _train(self, champion: RegisteredVersion, reasons: tuple[str, ...], now: dt.datetime) -> tuple[str, Step]:
        """The steps of `retrain --run` on a table with every row whose outcome is known."""
        from seatrial.commands.retrain import STEPS, train_for

        self._site.write_table(self.known_rows())
        ran: list[tuple[str, Step]] = []

        def steps(_: Project) -> tuple[str, int]:
            for verb in STEPS:
                ran.append((verb, self._step(self._site.desk, verb)))
                if ran[-1][1].code != 0:
                    break
            return ran[-1][0], ran[-1][1].code

        with self._quiet():
            train_for(self._site.desk, champion, tuple(map(Reason, reasons)), clock=lambda: now, steps=steps)
        return ran[-1]

    def known_rows(self) -> pl.DataFrame:
        """The history, and every row since whose outcome is known, as the warehouse has them."""
        import polars as pl

        known = self._rows.filter(pl.col(self._id).cast(pl.String).is_in(list(self._delivered)))
        return pl.concat([self._dealt.history, known])

    def _seen(
        self, number: int, window: Window, champion: RegisteredVersion, record: Record, result: ReplayResult, training: Training | None
    ) -> Seen:
        refused = sum(count for status, count in result.statuses.items() if status.startswith("4"))
        primary = self._site.desk.settings.model.primary
        alarms = {name: one.message for name, one in read_alerts(self._site.desk.home / "alerts.json").items()}
        return Seen(
            month=number,
            window=window.name,
            since=f"{window.since:%Y-%m-%d}",
            version=champion.version,
            rows=int(record.value("rows") or 0),
            failed=result.failed - refused,
            refused=refused,
            alarms=alarms,
            then=interval_of(record, "metric", primary),
            guess=interval_of(record, "estimate", primary),
            coverage=record.value("coverage") or 0.0,
            training=training,
        )

    def _in_the_end(self, seen: list[Seen]) -> tuple[Seen, ...]:
        """Each month's metric by all outcomes that came until the end of the year, as the history has it."""
        from seatrial.monitor_history import project_history

        records = {one.window.name: one for one in project_history(self._site.desk).records() if one.whole}
        primary = self._site.desk.settings.model.primary
        return tuple(replace(one, later=interval_of(records[one.window], "metric", primary)) for one in seen)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """What the commands say goes to the site's log."""
        with self._site.log.open("a") as log, redirect_stdout(log):
            yield


def interval_of(record: Record, name: str, part: str) -> Interval | None:
    """A measure with its bounds; None where it was not measured."""
    found = record.find(name, part)
    if found is None or found.value is None or found.low is None or found.high is None:
        return None
    return Interval(value=found.value, low=found.low, high=found.high)


def _went_well(verb: str, done: Step) -> None:
    if done.code != 0:
        words = "\n".join(done.output.splitlines()[-12:])
        raise PipelineError(f"the first release of the simulation failed: {verb} ended with {done.code}:\n{words}")


def told(seen: Seen, months: int) -> str:
    """One month as a line."""
    alarms = ", ".join(sorted(seen.alarms)) or "all quiet"
    asked = "" if seen.training is None else f"; training ({', '.join(seen.training.reasons)}): {seen.training.words}"
    rows = f"{seen.rows} rows by version {seen.version}{f', {seen.refused} refused as bad' if seen.refused else ''}"
    return f"month {seen.month} of {months} ({seen.since}): {rows}; {alarms}{asked}"
