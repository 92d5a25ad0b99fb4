"""Send to DVC's remote what it lacks, each object checked by its hash before it goes, and read every object back.

    nox -s push
    nox -s push -- --replace          # send those again that the remote holds corrupt
    nox -s push -- --remote backup    # to another remote than the default one

A corrupt or missing object is refused by name, and nothing is sent then. Without a remote it exits 2.
"""

from __future__ import annotations

import argparse

from seatrial.project import Project


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--replace", action="store_true", help="send objects again that are corrupt in the remote")
    parser.add_argument("--remote", metavar="NAME", help="another remote than the default one")


def run(project: Project, options: argparse.Namespace) -> int:
    """Push and say what the remote holds; 0, or an exception that says why not."""
    from seatrial.remote import push

    pushed = push(project, remote=options.remote, replace=options.replace)
    print(f"push: {pushed.objects} objects are in {pushed.remote!r} and whole, each read back · {pushed.sent} sent")
    return 0
