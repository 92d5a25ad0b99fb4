"""Fetch from DVC's remote what changed stages and the later sessions need; each object is checked by its hash.

    nox -s pull                       # what is needed and not here
    nox -s pull -- --all              # all that DVC keeps
    nox -s pull -- --remote backup    # from another remote than the default one

A corrupt or missing object is refused by name. Without a remote it exits 0 where the data is here, and says so.
"""

from __future__ import annotations

import argparse

from seatrial.project import Project


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--all", action="store_true", dest="everything", help="all that DVC keeps, needed or not")
    parser.add_argument("--remote", metavar="NAME", help="another remote than the default one")


def run(project: Project, options: argparse.Namespace) -> int:
    """Pull and say what is here; 0, or an exception that says why not."""
    from seatrial.remote import pull

    pulled = pull(project, remote=options.remote, everything=options.everything)
    if pulled.remote is None:
        absent = f"; not here, and made by nox -s train: {', '.join(pulled.left)}" if pulled.left else ""
        print(f"pull: no remote is configured, and the data is here{absent}")
        return 0
    if pulled.left:
        print(f"left where it is, because nothing needs it (-- --all fetches it): {', '.join(pulled.left)}")
    again = f", {pulled.replaced} of them in place of a corrupt one" if pulled.replaced else ""
    print(f"pull: {len(pulled.here)} outputs are here and whole · {pulled.fetched} objects fetched from {pulled.remote!r}{again}")
    return 0
