"""Where pull requests live: one comment for each, written again in place, on GitHub or GitLab.

A comment is found by the marker that it starts with *and* by being our own: anybody can write the marker.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from seatrial.comment_text import comment_of
from seatrial.errors import PipelineError

TIMEOUT_S = 60.0


class Forge(Protocol):
    """The pull requests of one repository; every method raises PipelineError where the forge refuses or does not answer."""

    @property
    def server(self) -> str:
        """The forge's own address, `https://forge.example`."""

    def number_of(self, pull_request: str) -> str:
        """The number of a pull request that is named by it, by its branch, or as owner:branch."""

    def own_comments(self, number: str, marker: str) -> Sequence[str]:
        """The comments that we wrote under a pull request and that start with `marker`, by their ids, oldest first."""

    def write(self, number: str, text: str, known: str | None) -> tuple[str, str]:
        """Write a comment, in place of the `known` one; its id and its address."""

    def remove(self, number: str, comment: str) -> None:
        """Take a comment of ours away."""


def post(forge: Forge, pull_request: str, text: str, *, marker: str) -> str:
    """Put a text, made harmless, under a pull request and give the comment's address; there is one, however often it is posted.

    Where two jobs post at once and both write a first comment, the older one gets the newer text and the other one goes.
    """
    number = forge.number_of(pull_request)
    body = comment_of(text, marker=marker, server=forge.server)
    known = forge.own_comments(number, marker)
    written, address = forge.write(number, body, known[0] if known else None)
    now = known or forge.own_comments(number, marker)
    if now and now[0] != written:
        _, address = forge.write(number, body, now[0])
    for other in now[1:]:
        forge.remove(number, other)
    return address


def forge_of(root: Path, env: Mapping[str, str]) -> Forge:
    """The forge that the environment names (CI's own variables, GITLAB_HOST, GH_REPO), else the one that `origin` lies on."""
    from seatrial.adapters.github import GitHub
    from seatrial.adapters.gitlab import GitLab

    if env.get("GITHUB_ACTIONS") or env.get("GH_REPO"):
        return GitHub(root=root, env=env)
    if env.get("GITLAB_CI") or env.get("CI_API_V4_URL") or env.get("GITLAB_HOST"):
        return GitLab(root=root, env=env)
    host, _ = origin_of(root)
    return GitLab(root=root, env=env) if "gitlab" in host else GitHub(root=root, env=env)


def origin_of(root: Path) -> tuple[str, str]:
    """Host and path (without `.git`) of the remote `origin`; empty where there is none."""
    done = subprocess.run(["git", "remote", "get-url", "origin"], cwd=root, capture_output=True, text=True, check=False)
    address = done.stdout.strip()
    if "://" not in address and ":" in address:  # git@host:group/project.git
        address = "ssh://" + address.replace(":", "/", 1)
    parts = urlsplit(address)
    return parts.hostname or "", parts.path.strip("/").removesuffix(".git")


def refused(program: str, reason: str, hint: str) -> PipelineError:
    """The error for a forge that says no, with at most a line of what it said."""
    return PipelineError(f"{program} {reason[:300]}", hint=hint)
