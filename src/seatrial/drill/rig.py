"""The rig: a scratch project with an endpoint of its own, and what drills did to it, as records and as it stands.

Nothing of the project is touched but its bundle, which is read: state, port and registry are the rig's own. Whatever the rig
started is ended by its process id when its block ends.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from seatrial.adapters.endpoint import Inspection, LocalEndpoint, Route, Variant, inspect
from seatrial.adapters.sockets import recorded_folder
from seatrial.adapters.supervisor import wait_until
from seatrial.adapters.traffic import Envoy
from seatrial.bundle import Bundle, load_bundle, write_bundle
from seatrial.control import state_of
from seatrial.drill.processes import PATIENCE_S, Client, Processes, Running
from seatrial.drill.registry import FileRegistry
from seatrial.errors import EndpointError
from seatrial.files import locked, pretty_json
from seatrial.invariants import Allowed, Places, disagreements, read_records, shares_allowed
from seatrial.journal import journal_path, read_last
from seatrial.plan import Plan
from seatrial.project import Project
from seatrial.rollout_state import Phase, State, exposure
from seatrial.scratch import commands, free_port, plain_environment
from seatrial.verdict import Check, Outcome, Verdict

RATE = 100.0
POLL_S = 0.02
VERSIONS = 3


class Rig:
    """One scratch project. `rollout` is its section of params.yaml, and may be changed between drills."""

    def __init__(self, folder: Path, project: Project, stack: ExitStack) -> None:
        self.root = folder
        self.home = folder / "home"
        self.trigger = folder / "fault"
        self.registry = FileRegistry(folder)
        self.env = {**plain_environment(project.env), "SEATRIAL_HOME": str(self.home)}
        self._port = free_port()
        self._beside = Processes(folder, stack)
        self._sections = {name: msgspec.to_builtins(getattr(project.settings, name)) for name in ("model", "data")}
        self._kept: dict[str, tuple[int, dict[Path, bytes]]] = {}
        self.gated: dict[str, str] = {}
        self.digests = _copies(load_bundle(project.bundle), self.registry.bundles)
        rows = [one["row"] for one in load_bundle(project.bundle).golden]
        (folder / "rows.json").write_bytes(pretty_json(rows))
        (folder / ".git").mkdir()  # the search for params.yaml ends here

    @property
    def project(self) -> Project:
        """The scratch project, its params.yaml read anew."""
        return Project.find(self.root, env=self.env)

    @property
    def endpoint(self) -> LocalEndpoint:
        """The scratch endpoint."""
        return LocalEndpoint(self.home, self.project.settings.rollout, env=self.env)

    @property
    def champion(self) -> Route:
        """All traffic on version 1."""
        return Route(champion=1)

    def plan(self, **rollout: Any) -> None:
        """Write params.yaml with this section `rollout`; what is left out asks for little, so that a drill is short."""
        easy = {"min_requests": 20, "bake_seconds": 0, "max_increase": 0.4, "max_slow": 0.4, "max_broken": 0.4, "max_shift": None}
        easy |= {"max_disagreement": None, "max_latency_ratio": None, "replay": None, "request_timeout_s": 1, "lease_s": 5}
        sections = {**self._sections, "rollout": {**easy, **rollout, "port": self._port}, "monitor": {"log": {"flush_seconds": 0.2}}}
        (self.root / "params.yaml").write_bytes(pretty_json(sections))

    def gate(self, number: int) -> None:
        """Lay version `number` before the controller, with a passing verdict against the champion."""
        digest, holder = self.digests[number - 1], self.registry.holder("champion")
        shutil.rmtree(self.project.bundle, ignore_errors=True)
        shutil.copytree(self.registry.bundles / str(number), self.project.bundle)
        check = Check(name="drill", outcome=Outcome.PASS, message="gated for a drill")
        subject = {"bundle": digest, "champion": self.digests[holder - 1] if holder else None}
        verdict = Verdict(kind="gate", subject=subject, checks=(check,))
        verdict.save(self.project.verdict("gate"))
        self.gated[digest] = verdict.digest
        if self.registry.find_version(self.project, digest) is None:
            self.registry.add(digest, verdict.digest)

    def nothing(self) -> None:
        """Nothing runs, nothing was ever live, and version 1 is gated."""
        self._forget()
        self.down()
        for left in (self.registry.path, *(self.home.iterdir() if self.home.exists() else ())):
            if left.name != "runtimes":
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
        self.gate(1)

    def release(self) -> None:
        """From nothing to version 1 live, and version 2 gated: what `reset` returns to by itself."""
        self.nothing()
        self.deploy()
        self.gate(2)
        self.keep("one")

    def deploy(self) -> None:
        """Deploy what is gated, which has to go well."""
        ended = self.control("deploy").wait()
        if ended.code != 0:
            raise EndpointError(f"the drill could not be prepared: {ended.output}")

    def keep(self, name: str) -> None:
        """Note journal and registry as they are, between rollouts, to return to by this name."""
        files = {path: path.read_bytes() for path in (journal_path(self.home), self.registry.path)}
        self._kept[name] = (self.registry.holder("champion") or 0, files)

    def reset(self, name: str = "one") -> None:
        """Back to what was kept, whatever the last drill left; EndpointError where the endpoint does not come along."""
        champion, files = self._kept[name]
        self._forget()
        named = self._routed() | {champion}
        self.endpoint.ensure(self._variants(named))
        self.endpoint.route(Route(champion=champion))
        self.endpoint.ensure(self._variants({champion}))
        for path, data in files.items():
            path.write_bytes(data)
        later = self._folder(champion + 1)
        shutil.rmtree(later, ignore_errors=True)
        self.gate(champion + 1)

    def _forget(self) -> None:
        """Remove what a drill left beside the endpoint: requests, words, the fault, the switch of the registry."""
        for path in (self.trigger, self.registry.down, self.home / "stop.json", self.home / "words"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _folder(self, number: int) -> Path:
        return self.home / "store" / self.digests[number - 1].removeprefix("sha256:")

    def _routed(self) -> set[int]:
        live = self.endpoint.live_route()
        return set(live.versions) if live else set()

    def _variants(self, numbers: set[int]) -> tuple[Variant, ...]:
        return tuple(Variant(version=number, digest=self.digests[number - 1], bundle=self._folder(number)) for number in sorted(numbers))

    def run_both(self) -> None:
        """Start version 2 beside version 1, without a controller."""
        store = self._folder(2)
        if not store.exists():
            shutil.copytree(self.registry.bundles / "2", store)
        self.endpoint.ensure(self._variants({1, 2}))

    def down(self) -> None:
        """Stop the endpoint."""
        with suppress(EndpointError):
            LocalEndpoint(self.home, self.project.settings.rollout, env=self.env).down()

    def control(self, command: str, *options: str, failpoint: str | None = None, passed: Path | None = None) -> Running:
        """Start a controller; with a failpoint armed, or with the file where it writes those it passes."""
        more = {"SEATRIAL_FAILPOINT": failpoint, "SEATRIAL_FAILPOINT_LOG": str(passed) if passed else None}
        env = self.env | {name: value for name, value in more.items() if value}
        return Running(*self._beside.start("controller", ["seatrial.drill.desk", command, *options], env))

    def watch(self) -> None:
        """Start the lease's watchdog, where the endpoint has none of its own."""
        if any("seatrial.watchdog" in command for command in self.processes().values()):
            return
        self._beside.start("watchdog", ["seatrial.watchdog", "--home", str(self.home), "--timeout", "1"], self.env)

    def client(self, rate: float = RATE) -> Client:
        """Start the client; it is sending once this returns."""
        out = self._beside.file("answers", "jsonl")
        url = f"http://127.0.0.1:{self._port}/invocations"
        line = ["seatrial.drill.client", "--url", url, "--rows", str(self.root / "rows.json"), "--rate", str(rate), "--out", str(out)]
        process, log = self._beside.start("client", line, self.env)
        wait_until(lambda: "ready" in log.read_text() or process.poll() is not None, PATIENCE_S)
        return Client(process, out)

    def end_all(self) -> None:
        """End whatever the rig started and did not wait for: after a drill that could not be carried out."""
        self._beside.end_all()

    def state(self) -> State:
        """The journal's last state."""
        record = read_last(journal_path(self.home)).record
        return state_of(record.state if record else None)

    def records(self) -> list[tuple[float, State]]:
        """The journal's states with their times (unix seconds)."""
        path = journal_path(self.home)
        found = read_records(path.read_bytes()) if path.exists() else []
        return [(dt.datetime.fromisoformat(record.time).timestamp(), state_of(record.state)) for record in found]

    def timeline(self) -> list[Allowed]:
        """What share each digest may have, from record to record; on a way back, what it had until the next record says that it has gone.

        How long a way back may take is a promise of its own: a controller that is killed on it leaves it to the next one.
        """
        found: list[Allowed] = []
        for time_, state in self.records():
            shares = shares_allowed(state, self.weight_of(state))
            if state.phase is Phase.ROLLING_BACK and found:
                before = found[-1].shares
                shares = {digest: max(shares.get(digest, 0.0), before.get(digest, 0.0)) for digest in {*shares, *before}}
            found.append(Allowed(since=time_, shares=shares))
        return found

    def weight_of(self, state: State) -> int:
        """The percent of live traffic that a state gives its challenger."""
        return exposure(Plan.of(self.project.settings.rollout), state)[0]

    def places(self) -> Places:
        """What journal, route file, Envoy and registry say at this moment."""
        state, envoy = self.state(), self._envoy()
        expected = None
        if state.champion is not None:
            weight, mirror = exposure(Plan.of(self.project.settings.rollout), state)
            challenger = state.challenger.version if state.challenger and (weight or mirror) else None
            expected = Route(champion=state.champion.version, challenger=challenger, weight=weight, mirror=mirror)
        return Places(
            journal=state,
            expected=expected,
            stored=envoy.stored_route(),
            live=envoy.live_route(),
            alias=self.registry.holder("champion"),
        )

    def agree(self) -> bool:
        """Whether journal, route file, Envoy and registry say the same at this moment."""
        return not list(disagreements(self.places()))

    def _envoy(self) -> Envoy:
        folder = self.home / "endpoint"
        sockets = recorded_folder(self.home, folder / "sockets") or folder / "no-sockets"
        return Envoy(folder / "envoy", sockets / "admin", folder / "logs/envoy.log")

    def route_file(self) -> Path:
        """Envoy's route file."""
        return self.home / "endpoint/envoy/routes.json"

    def inspect(self) -> Inspection:
        """What runs, with process ids."""
        return inspect(self.home)

    def orphans(self) -> list[str]:
        """Commands of processes that are neither the endpoint's, as its supervisord knows it, nor the rig's."""
        found = self.inspect()
        known = {found.guardian, found.supervisord, *(one.pid for one in found.programs), *self._beside.pids}
        return [command for pid, command in self.processes().items() if pid not in known]

    def locked(self) -> bool:
        """Whether somebody holds the controller's lock."""
        try:
            with locked(self.home / "controller.lock", wait=False):
                return False
        except BlockingIOError:
            return True

    def processes(self) -> dict[int, str]:
        """Every process of this machine whose command names the scratch folder, without the rig's own."""
        own = {os.getpid(), os.getppid()}
        return {pid: command for pid, command in commands() if str(self.root) in command and pid not in own}

    def port_problem(self) -> str | None:
        """Why the port cannot be listened on, or None."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self._port))
            except OSError as error:
                return str(error)
        return None

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE_S, what: str = "it") -> float:
        """Wait until a condition is true; gives the time then (unix seconds). EndpointError where it does not come true."""
        if not wait_until(condition, seconds, every=POLL_S):
            raise EndpointError(f"{what} did not happen within {seconds:.0f} s")
        return time.time()


@contextmanager
def rig(project: Project) -> Iterator[Rig]:
    """A rig in a scratch folder with the project's bundle in three versions that answer the same; gone at the end, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="seatrial-drill-", ignore_cleanup_errors=True) as scratch, ExitStack() as stack:
        made = Rig(Path(scratch).resolve(), project, stack)
        made.plan(steps=[50, 100])
        stack.callback(made.down)
        yield made


def _copies(bundle: Bundle, folder: Path) -> tuple[str, ...]:
    """The bundle in versions with digests of their own: the same model, and a note in the manifest."""
    digests = []
    for number in range(1, VERSIONS + 1):
        params = {**bundle.manifest.training.params, "drill": number}
        training = msgspec.structs.replace(bundle.manifest.training, params=params)
        digests.append(write_bundle(folder / str(number), msgspec.structs.replace(bundle.manifest, training=training), bundle.files))
    return tuple(digests)
