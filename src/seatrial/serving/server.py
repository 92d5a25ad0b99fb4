"""The model server: one process that serves one bundle on a unix socket or a port.

    python -m seatrial.serving.server --bundle FOLDER --digest sha256:… --version 3 (--uds PATH | --port N) [--log DIR]

It refuses to start (exit 2) where the bundle is not the one that was promised, or where the model does not repeat the
bundle's golden answers. It listens only once it is ready. SIGTERM finishes what was asked, writes the log and ends it.
All settings come as arguments: nothing of a checkout is read while it serves.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seatrial.bundle import load_bundle
from seatrial.errors import BundleError, EndpointError, RequestError, SeatrialError
from seatrial.onnx_checks import OUTPUT, OUTPUTS
from seatrial.serving.app import Application, Limits
from seatrial.serving.batches import size_that_pays
from seatrial.serving.model_check import check_elsewhere
from seatrial.serving.predictions import LogSettings, PredictionLog
from seatrial.serving.rows import Decoder, Rows
from seatrial.serving.runtime import Runtime

GOLDEN_TOLERANCE = 1e-5
BACKLOG = 4096
"""So many may connect while the server looks away for a moment: as many as Envoy lets through to it. Past it, a unix socket refuses."""
DOORS = 32
"""So many connections are accepted in one pass of the event loop: libuv takes one of each listening socket, and a pass under load lasts
as long as 64 answers. New clients would wait for seconds while those who are connected are answered."""
FILES = 16_384
"""For those connections and the log's files: a shell's usual 1,024 would end connections that Envoy lets through."""
DRAIN_SECONDS = 10
SWITCH_SECONDS = 0.0005
"""How long the log's thread may hold the interpreter while a request waits; Python's own 5 ms would show in the p99."""

GC_THRESHOLD = 50_000
"""What waits for the log looks like growing garbage to Python, which would search it again every few hundred requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What a server needs to know: the bundle, its names, and where it listens (`uds`, else `host` and `port`)."""

    bundle: Path
    digest: str | None = None
    name: str = "model"
    version: str = "0"
    uds: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    threads: int = 1
    limits: Limits = field(default_factory=Limits)
    batch: bool = True
    log: LogSettings | None = None


def serve(settings: ServerSettings, *, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT (then KeyboardInterrupt is raised); `announce` is told the address once it is ready.

    Raises BundleError for a bundle that is refused, EndpointError for an address that is taken.
    """
    listener = listen(settings)
    try:
        runtime = Runtime(load_bundle(settings.bundle, expected=settings.digest), threads=settings.threads, check=check_elsewhere)
        task = runtime.bundle.manifest.task
        if settings.log is not None and task != "binary":
            raise BundleError(f"the prediction log keeps answers of binary tasks only, this bundle's is {task}", hint="serve without a log")
        golden = check_golden(runtime)
        _run(settings, runtime, golden, listener, announce)
    finally:
        listener.close()
        if settings.uds is not None:
            settings.uds.unlink(missing_ok=True)


class _Without:
    """Hides packages from this process that others import if they can: pyarrow pandas at the first array it makes, uvicorn watchfiles.

    pandas takes 45 MB, and a third of a second in which requests wait; the log needs nothing of it.
    """

    def __init__(self, *names: str) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(f"the model server does without {name}", name=name)


def _run(settings: ServerSettings, runtime: Runtime, golden: Rows, listener: socket.socket, announce: Callable[[str], None]) -> None:
    sys.meta_path.insert(0, _Without("pandas", "watchfiles"))
    import uvicorn

    from seatrial.serving.waiting import bounded

    version, digest = settings.version, runtime.bundle.digest
    log = PredictionLog(settings.log, runtime.bundle.manifest, version=version, digest=digest) if settings.log else None
    boot = os.urandom(8).hex()
    limits = replace(settings.limits, batch=size_that_pays(runtime, golden)) if settings.batch else settings.limits
    waiting, deadline = limits.max_waiting, limits.deadline_s
    application = _application(runtime)(runtime, name=settings.name, version=version, boot=boot, limits=limits, log=log)
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=bounded(application, max_waiting=waiting, deadline_s=deadline, read_seconds=limits.read_seconds),
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    # pyarrow reads this when the log loads it; its own pools keep 20 MB more of what the log has written.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    _allow_files()
    server = uvicorn.Server(config)
    # SIGTERM is an orderly end here, not a death: before uvicorn listens to it, and when uvicorn raises it again once it has drained.
    signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
    if log is not None:
        log.start()
    try:
        listener.listen(BACKLOG)
        announce(address(settings))
        server.run(sockets=[listener, *(listener.dup() for _ in range(DOORS - 1))])
    finally:
        if log is not None:
            log.close()


def _allow_files() -> None:
    """Raise this process's limit of open files, as far as its user may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _application(runtime: Runtime) -> type[Application]:
    if runtime.bundle.manifest.task == "binary":
        return Application
    from seatrial.serving.app_tasks import TaskApplication

    return TaskApplication


def check_golden(runtime: Runtime) -> Rows:
    """Score the bundle's golden rows as requests are scored and give them; BundleError unless every answer is the promised one."""
    golden, output = runtime.bundle.golden, OUTPUTS[runtime.bundle.manifest.task]
    try:
        rows = Decoder(runtime.bundle.manifest).records([case["row"] for case in golden])
        promised = [_promised(case[output]) for case in golden]
    except RequestError as error:
        raise BundleError(f"the bundle's golden rows do not fit its manifest: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the bundle's golden rows cannot be read: {error!r}") from None
    if not promised:
        raise BundleError("the bundle has no golden rows, so nothing shows that it answers rightly", hint="train again: nox -s train")
    found = runtime.score(runtime.blocks(*rows.flat)).tolist()
    for row, (answer, expected) in enumerate(zip(found, promised, strict=True)):
        if not _kept(answer, expected, probability=output == OUTPUT):
            raise BundleError(
                f"golden row {row}: the model answers {answer}, its bundle promises {expected}", hint="train again: nox -s train"
            )
    return rows


def _promised(answer: Any) -> float | list[float]:
    return [float(one) for one in answer] if isinstance(answer, list) else float(answer)


def _kept(answer: float | list[float], expected: float | list[float], *, probability: bool) -> bool:
    """Whether an answer, or each of its parts, is the promised one, but for rounding."""
    if isinstance(answer, list) or isinstance(expected, list):
        if not (isinstance(answer, list) and isinstance(expected, list) and len(answer) == len(expected)):
            return False
        return all(_kept(one, other, probability=True) for one, other in zip(answer, expected, strict=True))
    if probability and not 0 <= expected <= 1:
        return False
    return abs(answer - expected) <= GOLDEN_TOLERANCE * max(1.0, abs(expected))


def listen(settings: ServerSettings) -> socket.socket:
    """A socket that has its address but does not accept yet; a unix socket is for this user only (0600)."""
    if settings.uds is not None:
        return _unix_socket(settings.uds)
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise EndpointError(f"cannot listen on {address(settings)}: {error}", hint="choose another port with --port") from None
    return listener


def _unix_socket(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        _remove_stale(path)
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise EndpointError(f"cannot listen on {path}: {error}") from None
    finally:
        os.umask(mask)
    return listener


def _remove_stale(path: Path) -> None:
    """Remove the socket of a server that was killed; EndpointError where somebody still answers there."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise EndpointError(f"another server listens on {path}", hint="stop it first")


def address(settings: ServerSettings) -> str:
    """Where the server listens, as a person or curl would write it."""
    if settings.uds is not None:
        return f"unix:{settings.uds}"
    return f"http://[{settings.host}]:{settings.port}" if ":" in settings.host else f"http://{settings.host}:{settings.port}"


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seatrial.serving.server", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--digest", required=True, help="the digest that the bundle must have")
    parser.add_argument("--version", required=True, help="the registered version, named in every answer")
    parser.add_argument("--name", default="model", help="the model's name in /v2/models/NAME (default: model)")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--uds", type=Path, help="listen on this unix socket")
    where.add_argument("--port", type=int, help="listen on this port")
    parser.add_argument("--host", default="127.0.0.1", help="address of the port (default: 127.0.0.1)")
    parser.add_argument("--threads", type=int, default=1, help="threads of ONNX Runtime (default: 1)")
    parser.add_argument("--max-rows", type=int, default=Limits().max_rows, help="rows in one request")
    parser.add_argument("--max-body", type=int, default=Limits().max_body, help="bytes in one request")
    parser.add_argument("--max-waiting", type=int, default=Limits().max_waiting, help="requests that may wait; the next ones get 503")
    parser.add_argument("--deadline-seconds", type=float, default=Limits().deadline_s, help="a request that waited longer gets 503")
    parser.add_argument("--no-batches", action="store_true", help="score requests one by one even where they wait together")
    parser.add_argument("--read-seconds", type=float, default=Limits().read_seconds, help="cut off who takes longer to send a request")
    parser.add_argument("--log", type=Path, help="folder of the prediction log (default: no log)")
    parser.add_argument("--flush-seconds", type=float, default=1.0, help="write the log this often")
    parser.add_argument("--flush-rows", type=int, default=4000, help="write the log when so many rows wait")
    parser.add_argument("--keep-days", type=int, default=30, help="remove parts of the log that are older")
    parser.add_argument("--sample", type=float, default=1.0, help="share of the requests that the log keeps (default: 1, all)")
    parser.add_argument("--drop", action="append", default=[], metavar="COLUMN", help="leave this column out of the log (may be repeated)")
    return parser


def _settings(options: argparse.Namespace) -> ServerSettings:
    log = options.log and LogSettings(
        folder=options.log,
        flush_seconds=options.flush_seconds,
        flush_rows=options.flush_rows,
        keep_days=options.keep_days,
        sample=options.sample,
        drop=tuple(options.drop),
    )
    return ServerSettings(
        bundle=options.bundle,
        digest=options.digest,
        name=options.name,
        version=options.version,
        uds=options.uds,
        host=options.host,
        port=options.port or 0,
        threads=options.threads,
        limits=Limits(
            max_rows=options.max_rows,
            max_body=options.max_body,
            max_waiting=options.max_waiting,
            deadline_s=options.deadline_seconds,
            read_seconds=options.read_seconds,
        ),
        batch=not options.no_batches,
        log=log,
    )


def main(argv: list[str] | None = None) -> int:
    """Serve until told to stop: 0 after SIGTERM, 2 where the bundle or the address is refused, 130 after Ctrl-C."""
    try:
        serve(_settings(_arguments().parse_args(argv)), announce=lambda where: print(f"ready on {where}", flush=True))
    except SeatrialError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
