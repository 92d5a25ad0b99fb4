"""An endpoint, a registry and a clock in memory: the same signatures as the real ones, and a whole rollout in milliseconds."""

import datetime as dt
import random
import shutil
from dataclasses import dataclass, replace

from seatrial.adapters.endpoint import Route, Telemetry, Traffic
from seatrial.adapters.registry import RegisteredVersion
from seatrial.deploy import deploy
from seatrial.errors import EndpointError, RegistryError
from seatrial.journal import journal_path, read_last
from seatrial.rollout_state import Pairs, Smoke, State
from seatrial.store import store_bundle
from seatrial.tools import Tools
from seatrial.verdict import Check, Outcome, Verdict

BOUNDS = (1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0)


class MemoryClock:
    """Time that passes when somebody sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.on_sleep = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        for hook in list(self.on_sleep):
            hook(seconds)

    def boot(self):
        return "boot-1"

    def wall(self):
        return (dt.datetime(2026, 11, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=self.now - 1000)).isoformat(timespec="milliseconds")


class MemoryEndpoint:
    """Counts requests as time passes; `error_rates` and `times` (ms) by version, `broken` versions do not start, `dead` answers nothing."""

    def __init__(self, clock, *, rate=400.0, error_rates=None, seed=0):
        self.rate, self.error_rates, self.random = rate, error_rates or {}, random.Random(seed)
        self.running, self.current, self.boot = {}, None, 1
        self.live, self.mirrored = {}, {}
        self.routes, self.broken, self.dead, self.blind = [], set(), False, False
        self.times, self.broken_answers = {}, set()
        clock.on_sleep.append(self._pass)

    def ensure(self, variants):
        self._alive()
        wanted = {variant.version: variant for variant in variants}
        for version in set(wanted) & self.broken:
            raise EndpointError(f"version {version} does not start")
        named = set(self.current.versions) if self.current else set()
        if named - set(wanted):
            raise EndpointError("a version that gets traffic cannot be stopped")
        self.running = wanted

    def route(self, route):
        self._alive()
        if not set(route.versions) <= set(self.running):
            raise EndpointError("no route to what is not there")
        self.current = route
        self.routes.append(route)

    def observe(self):
        self._alive()
        if self.blind or not self.running:
            raise EndpointError("no telemetry")
        counted = {version: self.live.get(version, Traffic(requests=0, failures=0)) for version in self.running}
        return Telemetry(boot=str(self.boot), variants=counted, mirror=dict(self.mirrored))

    def down(self):
        self.running, self.current, self.live, self.mirrored = {}, None, {}, {}
        self.boot += 1

    def reset(self):
        """Envoy was started again: counters begin at zero."""
        self.live, self.mirrored = {}, {}
        self.boot += 1

    def _alive(self):
        if self.dead:
            raise EndpointError("nobody answers")

    def _pass(self, seconds):
        route = self.current
        if route is None:
            return
        live, mirrored = {}, {}
        for _ in range(round(self.rate * seconds)):
            chosen = route.challenger if route.weight and self.random.random() < route.weight / 100 else route.champion
            self._tally(live, chosen)
            if route.mirror:
                self._tally(mirrored, route.challenger)
        self._count(self.live, live)
        self._count(self.mirrored, mirrored)

    def _tally(self, table, version):
        """One request more, and whether it failed."""
        requests, failures = table.get(version, (0, 0))
        table[version] = (requests + 1, failures + (self.random.random() < self.error_rates.get(version, 0.0)))

    def _count(self, table, found):
        for version, (requests, failures) in found.items():
            times = tuple((bound, requests if bound >= self.times.get(version, 3.0) else 0) for bound in BOUNDS)
            broken = failures if version in self.broken_answers else 0
            more = Traffic(requests=requests, failures=failures, broken=broken, times=times)
            table[version] = table.get(version, Traffic(requests=0, failures=0)) + more


class MemoryRegistry:
    """Versions, aliases and a ledger; `down` answers nothing, `failing` refuses the next writes."""

    def __init__(self):
        self.versions, self.aliases, self.ledger = {}, {}, []
        self.down, self.failing = False, False

    def add(self, digest, gate, beats=""):
        number = len(self.versions) + 1
        version = RegisteredVersion(version=number, digest=digest, gate=gate, source="memory", run_id="run", beats=beats)
        self.versions[version.version] = version
        self.aliases["challenger"] = version.version
        return version

    def read_alias(self, project, alias):
        self._answer()
        return self.versions.get(self.aliases.get(alias))

    def find_version(self, project, digest):
        self._answer()
        return next((one for one in reversed(self.versions.values()) if one.digest == digest), None)

    def move_aliases(self, project, *, expected, to):
        self._answer()
        if self.failing:
            raise RegistryError("the database is locked")
        for alias, version in expected.items():
            if self.aliases.get(alias) != version:
                raise RegistryError(f"{alias} is held by another version")
        self.aliases = {alias: version for alias, version in {**self.aliases, **to}.items() if version is not None}

    def record_rollout(self, project, *, record):
        self._answer()
        self.ledger.append(record)

    def fetch_bundle(self, project, version, store):
        self._answer()
        return store / version.digest.removeprefix("sha256:")

    def _answer(self):
        if self.down:
            raise RegistryError("the registry does not answer")


@dataclass
class MemorySource:
    """Requests that a rollout sends itself; `broken` says why they ended."""

    started: bool = False
    stopped: bool = False
    broken: str | None = None

    def start(self):
        self.started = True

    def problem(self):
        return self.broken

    def stop(self):
        self.stopped = True


class World:
    """A project with its collaborators in memory; `decisions` and `said` are what a person would have seen."""

    def __init__(self, project):
        self.project = project
        self.clock = MemoryClock()
        self.endpoint = MemoryEndpoint(self.clock)
        self.registry = MemoryRegistry()
        self.source = MemorySource()
        self.decisions, self.said = [], []
        self.smoke = Smoke(rows=16, worst=0.0)
        self.pairs = Pairs(asked=10_000, differing=100, shift=0.02)

    @property
    def tools(self):
        return Tools(
            endpoint=self.endpoint,
            registry=self.registry,
            clock=self.clock,
            smoke=lambda pin, folder: self.smoke,
            compare=lambda champion, challenger, span: self.pairs,
            show=lambda plan, decision: self.decisions.append(decision),
            say=self.said.append,
            who="ann",
            source=self.source,
        )

    def store(self, bundle):
        store_bundle(bundle, self.project.home / "store")

    def weights(self):
        """What the challenger was given, in order, `mirror` for copies."""
        return ["mirror" if route.mirror else route.weight for route in self.endpoint.routes]


def route_of(version):
    """The route that gives one version all traffic."""
    return Route(champion=version)


def without(tools, **changes):
    """The same tools but for some."""
    return replace(tools, **changes)


def gate(world, number, *, outcome=Outcome.PASS, champion="present"):
    """The bundle `number` is trained, gated against the champion, and registered."""
    bundle = world.bundles[number]
    target = world.project.bundle
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(world.folder / str(number), target)
    holder = world.registry.versions.get(world.registry.aliases.get("champion"))
    against = (holder.digest if holder else None) if champion == "present" else champion
    check = Check(name="performance.roc_auc.floor", outcome=outcome, message="measured")
    verdict = Verdict(kind="gate", subject={"bundle": bundle.digest, "champion": against}, checks=(check,))
    verdict.save(world.project.verdict("gate"))
    return world.registry.add(bundle.digest, verdict.digest)


def released(world):
    """Version 1 is champion."""
    version = gate(world, 0)
    assert deploy(world.project, world.tools).exit_code == 0
    world.endpoint.routes.clear()
    world.decisions.clear()
    world.said.clear()
    return version


def state(world):
    return State.from_dict(read_last(journal_path(world.project.home)).record.state)
