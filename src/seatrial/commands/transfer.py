"""Bring the champion of one environment, with its verdict and its rollout's evidence, into the registered model of another.

The bytes are fetched and hashed again. Refused (1) are versions that were never live there, that went back, or that were judged on
replayed traffic. Run twice, it changes nothing more.
"""

from __future__ import annotations

import argparse
import datetime as dt
from dataclasses import replace

from seatrial.project import Project
from seatrial.tools import who
from seatrial.transfer import transfer


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--from", dest="source", required=True, metavar="ENVIRONMENT", help="where it is champion")
    parser.add_argument("--to", dest="target", required=True, metavar="ENVIRONMENT", help="where it is to ask for traffic")
    parser.add_argument("--version", type=int, help="another version than the champion, which was champion once")


def run(project: Project, options: argparse.Namespace) -> int:
    """Transfer, and say what comes next; 0, or an exception that says why not."""
    source, target = (replace(project, environment=name) for name in (options.source, options.target))
    print(f"transfer: fetching and hashing what {source.environment!r} has", flush=True)
    done = transfer(source, target, number=options.version, who=who(), now=dt.datetime.now(dt.UTC))
    what = "registered as" if done.fresh else "there already, as"
    print(f"transfer: {what} version {done.version} of {target.settings.registered_model!r}")
    if done.stands:
        print(f"transfer: its verdict stands in {target.environment!r} too: nox -s deploy -- --env {target.environment}")
    else:
        print(
            f"transfer: champion, anchor or policy of {target.environment!r} are others than its verdict is about: "
            f"nox -s gate -- --env {target.environment}"
        )
    return 0
