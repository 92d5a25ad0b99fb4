"""The model server beside `mlflow models serve`, BentoML, MLServer and a constant answer (`-- --only envoy,start`).

All serve the sample's model and are asked for the same row, in turn on one machine; each figure stands beside its target.
`--record FILE` keeps the figures for `python -m benchmarks._serving_plot`. Everything that was started is stopped, also by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks._common import free_port, median, wrk
from benchmarks._figures import Figure, record, show
from benchmarks._open_loop import Client, percentile, pin, request
from benchmarks._servers import (
    Absent,
    Running,
    bentoml,
    bundle,
    constant,
    environment,
    mlflow,
    mlserver,
    one_row,
    records,
    seatrial,
    server_command,
    sklearn_model,
)

CONNECTIONS = (1, 16)
LOW = {("mlflow", 1): 60, ("mlflow", 16): 60, ("bentoml", 16): 40}
MANY_ROWS, FEW = 64, 4
STARTS = 5
SERVER_CORE, CLIENT_CORE = 1, 0
MORE = {"latency": 3}
"""So many times the turns of other parts: a virtual machine that is held up for 10 ms has lost the hundredth of a second that a p99 is."""
SHARES = (0.1, 0.5)
"""Of saturation, at which the time to answer is measured."""
STEADY, TRIES = 0.15, 4
"""By how much saturation may change within a turn that counts, and how many times the turns are tried at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """How one run measures: seconds of each load, turns of which the median counts, a folder for what is thrown away."""

    seconds: int
    turns: int
    scratch: Path

    def rate(self, server: Running, connections: int, rows: int = 1) -> float:
        """Requests a second; all answers must be good."""
        body = server.body([one_row()] * rows)
        return wrk(server.url, body, connections=connections, seconds=self.seconds, folder=self.scratch)

    def beside(self, ours: Running, other: Running, connections: int, rows: int = 1) -> tuple[float, float, float]:
        """The rates of both, loaded in turn, and the ratio: medians."""
        pairs = [(self.rate(ours, connections, rows), self.rate(other, connections, rows)) for _ in range(self.turns)]
        first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return median(first), median(second), median([one / two if two else float("inf") for one, two in pairs])


def main() -> None:
    """Measure the chosen parts, print a table for each."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    options.add_argument("--seconds", type=int, default=4)
    options.add_argument("--turns", type=int, default=3)
    options.add_argument("--record", type=Path, help="write the figures into this file")
    asked = options.parse_args()
    unknown = set(asked.only.split(",")) - set(PARTS)
    if unknown:
        options.error(f"unknown parts: {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    figures = []
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as scratch:
        for part in asked.only.split(","):
            bench = Bench(seconds=asked.seconds, turns=asked.turns * MORE.get(part, 1), scratch=Path(scratch))
            found = PARTS[part](bench)
            show(f"{part}, median of {bench.turns} turns of {bench.seconds} s", found)
            figures += found
    if asked.record:
        record(asked.record, figures)


def peers(bench: Bench) -> list[Figure]:
    """Each peer with our server in turn; what cannot be had here is named and left out."""
    model = sklearn_model(bench.scratch)
    figures = []
    with seatrial(bench.scratch) as ours:
        _warm(bench, ours)
        for start in (
            partial(mlflow, bench.scratch, model),
            partial(bentoml, bench.scratch, model),
            partial(mlserver, bench.scratch, model),
        ):
            try:
                with start() as peer:
                    figures += _against(bench, ours, peer)
            except Absent as reason:
                print(f"left out: {reason}")
        figures += _cost(bench, ours)
    return figures


def _against(bench: Bench, ours: Running, peer: Running) -> list[Figure]:
    _warm(bench, peer)
    figures = []
    for connections in CONNECTIONS:
        first, second, ratio = bench.beside(ours, peer, connections)
        place = f"{connections} connection{'s' * (connections > 1)}"
        figures += [
            Figure(name=f"seatrial beside {peer.name}, {place}", value=first, unit="requests/s"),
            Figure(name=f"{peer.name}, {place}", value=second, unit="requests/s"),
            Figure(name=f"seatrial by {peer.name}, {place}", value=ratio, unit="×", low=LOW.get((peer.name, connections))),
        ]
    _, rate, ratio = bench.beside(ours, peer, FEW, MANY_ROWS)
    figures += [
        Figure(name=f"{peer.name}, {MANY_ROWS} rows a request", value=rate, unit="requests/s"),
        Figure(
            name=f"seatrial by {peer.name}, {MANY_ROWS} rows a request", value=ratio, unit="×", low=15 if peer.name == "mlflow" else None
        ),
    ]
    return figures + _cost(bench, peer)


def _warm(bench: Bench, server: Running) -> None:
    """What loads at a server's first requests is not measured."""
    wrk(server.url, server.body([one_row()]), connections=4, seconds=1, folder=bench.scratch)


def _cost(bench: Bench, server: Running) -> list[Figure]:
    """Memory after a load, and CPU for a thousand requests."""
    before = server.cpu()
    rate = bench.rate(server, CONNECTIONS[-1])
    spent = (server.cpu() - before) / (rate * bench.seconds) * 1000
    limit = 150 if server.name == "seatrial" else None
    return [
        Figure(name=f"memory of {server.name}", value=server.memory(), unit="MB", high=limit),
        Figure(name=f"CPU of {server.name} for 1,000 requests", value=spent, unit="s"),
    ]


def constants(bench: Bench) -> list[Figure]:
    """Our server beside uvicorn with a constant answer, and beside the constant answered by our own short way."""
    figures = []
    for options, name, low in (((), "uvicorn's constant answer", 0.3), (("--queue",), "a constant answer by our own queue", None)):
        with seatrial(bench.scratch) as ours, constant(bench.scratch, *options) as other:
            _warm(bench, ours)
            for connections in CONNECTIONS:
                _, rate, ratio = bench.beside(ours, other, connections)
                figures.append(Figure(name=f"{name}, {connections} connections", value=rate, unit="requests/s"))
                figures.append(
                    Figure(name=f"seatrial by {name}, {connections} connections", value=100 * ratio, unit="%", low=low and 100 * low)
                )
    return figures


def envoy(bench: Bench) -> list[Figure]:
    """One server asked directly, and one behind Envoy as `deploy` starts both, on the same cores."""
    from seatrial.adapters.endpoint import LocalEndpoint, Route, Variant
    from seatrial.bundle import load_bundle
    from seatrial.params import Rollout

    port, figures = free_port(), []
    endpoint = LocalEndpoint(bench.scratch / "home", Rollout(port=port))
    with ExitStack() as stack:
        ours = stack.enter_context(seatrial(bench.scratch))
        stack.callback(endpoint.down)
        endpoint.ensure((Variant(version=1, digest=load_bundle(bundle()).digest, bundle=bundle()),))
        endpoint.route(Route(champion=1))
        behind = Running(name="envoy", pid=os.getpid(), url=f"http://127.0.0.1:{port}/invocations", body=records)
        _warm(bench, ours)
        _warm(bench, behind)
        for connections in (*CONNECTIONS, 64):
            through, direct, share = bench.beside(behind, ours, connections)
            name = f"{connections} connections"
            figures += [
                Figure(name=f"direct, {name}", value=direct, unit="requests/s"),
                Figure(name=f"through Envoy, {name}", value=through, unit="requests/s"),
                Figure(name=f"Envoy by direct, {name}", value=100 * share, unit="%", low=60 if connections == CONNECTIONS[-1] else None),
            ]
    return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Saturation in requests a second, and sorted milliseconds at a share of it: our server's, and those of a constant answer."""

    saturation: float
    ours: list[float]
    machine: list[float]


def latency(bench: Bench) -> list[Figure]:
    """Time to answer at shares of saturation, from when each request was due, and what a constant answer takes at the same rate.

    A machine that is slower in one minute than in the next has another saturation too: a turn counts where it was the same before
    and after. What the machine itself holds up is in the constant answer's time too.
    """
    with seatrial(bench.scratch) as server, constant(bench.scratch) as other:
        for one in (server, other):
            pin(one.pid, SERVER_CORE)
            _warm(bench, one)
        with own_core(), closing(_client(server)) as client, closing(_client(other)) as aside:
            return [figure for share in SHARES for figure in _at_share(bench, share, server, client, aside)]


def _at_share(bench: Bench, share: float, server: Running, client: Client, aside: Client) -> list[Figure]:
    turns, tries = _turns(bench, share, server, client, aside)
    place = f"{100 * share:.0f} % of saturation"
    figures = [
        Figure(name=f"64 connections, before turns at {place}", value=median([turn.saturation for turn in turns]), unit="requests/s"),
        Figure(name=f"turns at {place} that count, of {tries}", value=len(turns), unit="", low=bench.turns),
    ]
    for part in (0.5, 0.99):
        name, high = f"p{100 * part:.0f} at {place}", 5.0 if (part, share) == (0.99, 0.5) else None
        figures += [Figure(name=name, value=median([percentile(turn.ours, part) for turn in turns]), unit="ms", high=high)]
        machine = median([percentile(turn.machine, part) for turn in turns])
        figures += [Figure(name=f"{name}, a constant answer", value=machine, unit="ms")]
    return figures


def _turns(bench: Bench, share: float, server: Running, client: Client, aside: Client) -> tuple[list[Turn], int]:
    """The turns that count, until they are enough or too many do not, and how many were tried; with fewer the median says less."""
    turns: list[Turn] = []
    tries = 0
    while len(turns) < bench.turns and tries < TRIES * bench.turns:
        tries += 1
        before = _saturation(bench, server)
        ours = _offer(bench, client, share * before)
        if abs(_saturation(bench, server) - before) <= STEADY * before:
            turns.append(Turn(saturation=before, ours=ours, machine=_offer(bench, aside, share * before)))
    if not turns:
        raise SystemExit(
            f"in {tries} turns of {bench.seconds} s saturation was never the same before and after; measure on a quieter machine"
        )
    return turns, tries


def _saturation(bench: Bench, server: Running) -> float:
    return replace(bench, seconds=max(1, bench.seconds // 2)).rate(server, 64)


def _client(server: Running) -> Client:
    return Client(int(server.url.split(":")[2].split("/")[0]), connections=64)


def _offer(bench: Bench, client: Client, rate: float) -> list[float]:
    """Milliseconds of the answers to one row at this rate."""
    return client.offer(request(json.dumps(records([one_row()])).encode()), rate=rate, seconds=bench.seconds).latencies()


class own_core:  # noqa: N801 - used as a statement
    """Keep this process, and the clients that it starts, off the server's core for a while."""

    def __enter__(self) -> None:
        self._before = os.sched_getaffinity(0)
        pin(0, CLIENT_CORE)

    def __exit__(self, *_: object) -> None:
        os.sched_setaffinity(0, self._before)


def batches(bench: Bench) -> list[Figure]:
    """Our server with requests scored together where they wait together, and one by one."""
    figures = []
    with seatrial(bench.scratch) as together, seatrial(bench.scratch, "--no-batches") as alone:
        for server in (together, alone):
            _warm(bench, server)
        for connections in (1, 16, 64):
            first, second, ratio = bench.beside(together, alone, connections)
            name = f"{connections} connections"
            figures += [
                Figure(name=f"scored together, {name}", value=first, unit="requests/s"),
                Figure(name=f"scored one by one, {name}", value=second, unit="requests/s"),
                Figure(name=f"together by one by one, {name}", value=ratio, unit="×"),
            ]
    return figures


def start(bench: Bench) -> list[Figure]:
    """Seconds from the command to the first good answer."""
    return [
        Figure(
            name=f"start to ready, median of {STARTS}", value=statistics.median(_start(bench) for _ in range(STARTS)), unit="s", high=1.5
        )
    ]


def _start(bench: Bench) -> float:
    begun = time.perf_counter()
    command = server_command(bench.scratch, "--uds", str(bench.scratch / "s"))
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if not process.stdout.readline().startswith("ready"):
            raise SystemExit("the server did not start")
        return time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait(20)


PARTS: dict[str, Callable[[Bench], list[Figure]]] = {
    "start": start,
    "constant": constants,
    "batches": batches,
    "latency": latency,
    "envoy": envoy,
    "peers": peers,
}

if __name__ == "__main__":
    main()
