"""Ask whether everything is reproduced and pushed: 0 yes; 1 no, and what is missing; 2 it cannot be asked.

    nox -s verify
    nox -s verify -- --remote backup    # another remote than the default one

Reproduced: no stage would run, and outputs that are here have the bytes that were recorded. Pushed: every object that the
recorded outputs are made of is read from the remote, and hashes to its name.
"""

from __future__ import annotations

import argparse

from seatrial.project import Project


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--remote", metavar="NAME", help="another remote than the default one")


def run(project: Project, options: argparse.Namespace) -> int:
    """Verify and say what is missing; 0 or 1, or an exception where it cannot be asked."""
    from seatrial.remote import verify
    from seatrial.stored import listed

    found = verify(project, remote=options.remote)
    if found.holds:
        print(f"verify: yes, everything is reproduced and pushed · {found.objects} objects of {found.remote!r} read and whole")
        return 0
    if found.stages:
        print(f"not reproduced (nox -s train runs them): {', '.join(found.stages)}")
    if found.faults:
        print(f"not whole (nox -s push sends what is missing):\n{listed(found.faults)}")
    print(f"verify: no, {len(found.stages)} stages to run, {len(found.faults)} objects missing or corrupt")
    return 1
