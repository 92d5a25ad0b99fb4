"""Serve one bundle on a port, without an endpoint around it: to try a model, or behind your own proxy.

The server is the one that `deploy` starts for each variant; Ctrl-C stops it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from seatrial.project import Project


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which bundle, and where."""
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE", help="folder of the bundle (default: what `train` wrote)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    parser.add_argument("--log", type=Path, help="keep a prediction log in this folder (default: none)")


def run(project: Project, options: argparse.Namespace) -> int:
    """Serve until Ctrl-C (130) or SIGTERM (0)."""
    from seatrial.serving.predictions import LogSettings
    from seatrial.serving.server import ServerSettings, serve

    wanted = project.settings.monitor.log
    log = options.log and LogSettings(
        folder=options.log,
        flush_seconds=wanted.flush_seconds,
        flush_rows=wanted.flush_rows,
        keep_days=wanted.keep_days,
        sample=wanted.sample,
        drop=wanted.drop,
    )
    bundle = options.bundle or project.bundle
    name = project.settings.model.name
    settings = ServerSettings(bundle=bundle, name=name, host=options.host, port=options.port, log=log)
    serve(settings, announce=lambda where: print(f"serving {bundle} on {where}/invocations (Ctrl-C stops it)", flush=True))
    return 0
