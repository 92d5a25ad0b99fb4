"""Under load: 100 weight moves, one full rollout with its promotion, one rollback; how many answers were not 2xx."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from benchmarks._common import clone, free_port, nox_command, plain_environment, table, timed, use_port

RATE = 200.0
MOVES = 100
SESSIONS = ["-s", "validate", "train", "gate", "deploy"]


class Load:
    """An open-loop client in a thread: one request every 1/RATE s until it is told to stop."""

    def __init__(self, port: int, body: bytes) -> None:
        """Send `body` to the endpoint on `port`."""
        self.url = f"http://127.0.0.1:{port}/invocations"
        self.body = body
        self.statuses: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        import aiohttp

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
            start, sent, calls = time.perf_counter(), 0, set()
            while not self._stop.is_set():
                await asyncio.sleep(max(0.0, start + sent / RATE - time.perf_counter()))
                call = asyncio.ensure_future(self._call(session))
                calls.add(call)
                call.add_done_callback(calls.discard)
                sent += 1
            await asyncio.gather(*calls)

    async def _call(self, session: object) -> None:
        import aiohttp

        assert isinstance(session, aiohttp.ClientSession)
        try:
            async with session.post(self.url, data=self.body, headers={"content-type": "application/json"}) as answer:
                await answer.read()
                self.statuses["2xx" if answer.ok else str(answer.status)] += 1
                self.versions[answer.headers.get("x-seatrial-version", "none")] += 1
        except aiohttp.ClientError as error:
            self.statuses[type(error).__name__] += 1


def main() -> None:
    """Release, roll out and roll back a second version, then move weights, each under load."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, env, port = clone(Path(scratch)), plain_environment(), free_port()
        use_port(folder, port)
        try:
            timed([*nox_command(), *SESSIONS], cwd=folder, env=env)
            body = json.dumps({"dataframe_records": [json.loads((folder / "artifacts/model/golden.json").read_text())[0]["row"]]}).encode()
            rows = [_rollout(folder, env, port, body), _rollback(folder, env, port, body), _moves(folder, env, port, body)]
        finally:
            timed([*nox_command(), "-s", "down"], cwd=folder, env=env, expect=None)
    table(f"Under {RATE:.0f} requests/s", ["what", "requests", "not 2xx", "by version", "seconds"], rows)
    if any(row[2] != "0" for row in rows):
        raise SystemExit("some answers were not 2xx")


def _rollout(folder: Path, env: dict[str, str], port: int, body: bytes) -> list[str]:
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("max_iter: 150", "max_iter: 180"))
    timed([*nox_command(), "-s", "train", "gate"], cwd=folder, env=env)
    with Load(port, body) as load:
        seconds = timed([*nox_command(), "-s", "deploy"], cwd=folder, env=env)
    return _row("rollout with promotion", load, seconds)


def _rollback(folder: Path, env: dict[str, str], port: int, body: bytes) -> list[str]:
    with Load(port, body) as load:
        time.sleep(1)
        seconds = timed([*nox_command(), "-s", "rollback"], cwd=folder, env=env)
        time.sleep(1)
    return _row("rollback", load, seconds)


def _moves(folder: Path, env: dict[str, str], port: int, body: bytes) -> list[str]:
    """Both versions run; the challenger's weight goes 5, 10, … 95, 5, …"""
    script = Path(__file__).parent / "_moves.py"
    with Load(port, body) as load:
        seconds = timed([str(folder / ".venv/bin/python"), str(script), str(MOVES)], cwd=folder, env=env)
    return _row(f"{MOVES} weight moves", load, seconds)


def _row(what: str, load: Load, seconds: float) -> list[str]:
    bad = sum(count for status, count in load.statuses.items() if status != "2xx")
    versions = ", ".join(f"{version}: {count:,}" for version, count in sorted(load.versions.items()))
    return [what, f"{load.statuses.total():,}", str(bad), versions, f"{seconds:.1f}"]


if __name__ == "__main__":
    main()
