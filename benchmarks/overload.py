"""Three times as many requests as the server can answer, by an open-loop client, for a minute (`-- --seconds N --rows R`).

Reports what is still answered, how long that takes, what the others are told, and when all is as before. The server listens on
a unix socket, as behind Envoy, and has one core; the client has another. With `--envoy` the whole endpoint is asked, as `deploy`
starts it, and the cores are everybody's.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks._common import free_port, median
from benchmarks._figures import Figure, record, show
from benchmarks._open_loop import Client, Offered, percentile, pin, request
from benchmarks._servers import bundle, environment, one_row, records, server_command
from benchmarks.serving import SERVER_CORE, own_core
from seatrial.serving.app import Limits

FEW = 64
CALM = 0.1
"""The share of saturation at which answers are timed before and after."""
RECOVERY_S = 2.0
PATIENCE_S = 0.05
"""A request that finds none of the connections free for so long is not asked: its client is at its own limit."""
SLACK_MS = 2.0


def main() -> None:
    """Measure saturation, overload, recovery; print one table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--rows", type=int, default=1, help="rows in each request")
    options.add_argument("--times", type=float, default=3.0, help="how many times saturation is offered")
    options.add_argument("--connections", type=int, default=3_000, help="of the clients that ask too much")
    options.add_argument("--envoy", action="store_true", help="ask the endpoint instead of a server")
    options.add_argument("--record", type=Path, help="write the figures into this file")
    asked = options.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parts = request(json.dumps(records([one_row()] * asked.rows)).encode())
    with tempfile.TemporaryDirectory() as scratch, (_endpoint if asked.envoy else _server)(Path(scratch)) as (address, running):
        figures = _figures(address, parts, running, asked)
    place = "the endpoint" if asked.envoy else "one server"
    show(f"{place}, {asked.times:g} × saturation for {asked.seconds:g} s, {asked.rows} rows a request", figures)
    if asked.record:
        record(asked.record, figures)


@contextmanager
def _server(scratch: Path) -> Iterator[tuple[Path, Callable[[], bool]]]:
    """A server on a core of its own: its socket, and whether it still runs."""
    uds = scratch / "s"
    process = subprocess.Popen(server_command(scratch, "--uds", str(uds)), env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if not process.stdout.readline().startswith("ready"):
            raise SystemExit("the server did not start")
        pin(process.pid, SERVER_CORE)
        with own_core():
            yield uds, lambda: process.poll() is None
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _endpoint(scratch: Path) -> Iterator[tuple[int, Callable[[], bool]]]:
    """Envoy with one server: its port, and whether the processes that were started are still the same."""
    from seatrial.adapters.endpoint import LocalEndpoint, Route, Variant, inspect
    from seatrial.bundle import load_bundle
    from seatrial.params import Rollout

    home, port = scratch / "home", free_port()
    endpoint = LocalEndpoint(home, Rollout(port=port))
    try:
        endpoint.ensure((Variant(version=1, digest=load_bundle(bundle()).digest, bundle=bundle()),))
        endpoint.route(Route(champion=1))
        started = inspect(home)
        yield port, lambda: (inspect(home).envoy, inspect(home).variants) == (started.envoy, started.variants)
    finally:
        endpoint.down()


def _figures(address: int | Path, parts: tuple[bytes, bytes], running: Callable[[], bool], asked: argparse.Namespace) -> list[Figure]:
    seconds = asked.seconds
    with closing(Client(address, connections=FEW)) as few:
        saturation = _saturation(few, parts)
        before = few.offer(parts, rate=CALM * saturation, seconds=5)
        calm = percentile(before.latencies(), 0.99)
        with closing(Client(address, connections=asked.connections)) as many:
            found = many.offer(parts, rate=asked.times * saturation, seconds=seconds, grace=0, patience=PATIENCE_S)
        after = few.offer(parts, rate=CALM * saturation, seconds=5)
        again = _saturation(few, parts)
    share = found.good_put(start=1) / ((saturation + again) / 2)
    answered = found.latencies(start=1)
    return [
        Figure(name="saturation before", value=saturation, unit="requests/s"),
        Figure(name="saturation after", value=again, unit="requests/s"),
        Figure(name="offered", value=found.planned / seconds, unit="requests/s"),
        Figure(name="good answers", value=found.good_put(start=1), unit="requests/s"),
        Figure(name="good answers by the mean of both saturations", value=100 * share, unit="%", low=80),
        Figure(name="p50 of the good answers", value=percentile(answered, 0.5), unit="ms"),
        Figure(name="p99 of the good answers", value=percentile(answered, 0.99), unit="ms", high=1000 * Limits().deadline_s),
        Figure(name="told to come again (503 with Retry-After)", value=float(found.told_when)),
        Figure(name=_neither(found), value=float(len(found.status) - found.statuses[200] - found.told_when), high=0),
        Figure(name="connections that broke", value=float(found.broken), high=0),
        Figure(name="without an answer when the load ended", value=float(found.unanswered)),
        Figure(name="crashes", value=float(not running()), high=0),
        Figure(name="p99 before, at a tenth of saturation", value=calm, unit="ms"),
        Figure(name="p99 after, from 2 s on", value=percentile(after.latencies(start=RECOVERY_S), 0.99), unit="ms"),
        Figure(name="until p99 is back", value=_recovered(after, max(calm + SLACK_MS, *_spans(before))), unit="s", high=RECOVERY_S),
    ]


def _saturation(client: Client, parts: tuple[bytes, bytes]) -> float:
    """Good answers a second where the client asks for more than there can be, on few connections: nobody is refused."""
    client.offer(parts, rate=500, seconds=2)
    return median([client.offer(parts, rate=60_000, seconds=3, grace=0).good_put() for _ in range(3)])


def _neither(offered: Offered) -> str:
    """What the row of all other answers is called: with their statuses, where there are any."""
    others = offered.statuses - Counter({200: offered.statuses[200], 503: offered.told_when})
    return "answers that are neither" + "".join(f", {count:,} × {status}" for status, count in sorted(others.items()))


def _spans(offered: Offered) -> list[float]:
    """The p99 of each second, from one quarter of a second to the next, ms; infinite where nothing was answered."""
    starts = [at / 4 for at in range(int(offered.seconds * 4) - 3)]
    spans = [offered.latencies(start=start, end=start + 1) for start in starts]
    return [percentile(span, 0.99) if span else float("inf") for span in spans]


def _recovered(after: Offered, limit: float) -> float:
    """Seconds until a whole second is no worse than the worst one before was; infinite where that never comes."""
    return next((at / 4 for at, worst in enumerate(_spans(after)) if worst <= limit), float("inf"))


if __name__ == "__main__":
    main()
