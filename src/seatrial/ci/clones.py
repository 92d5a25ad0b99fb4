"""Clean clones of this repository: what is committed and what upstream has, and nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

from seatrial.errors import PipelineError
from seatrial.merge_base import git


def clone(root: Path, folder: Path, commit: str) -> None:
    """Clone `root` to `folder` and check out `commit`, detached, with the branches that `root` knows of its own upstream."""
    top = git(root, "rev-parse", "--show-toplevel") or str(root)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _must(root, "clone", "--quiet", "--no-checkout", "--", top, str(folder))
    if git(root, "for-each-ref", "refs/remotes/origin"):
        _must(folder, "fetch", "--quiet", "--force", "origin", "+refs/remotes/origin/*:refs/remotes/origin/*")
    check_out(folder, commit, clean=True)


def check_out(folder: Path, commit: str, *, clean: bool) -> None:
    """Another commit in a clone; with `clean`, without what earlier steps left, else beside it."""
    _must(folder, "checkout", "--quiet", "--force", "--detach", commit)
    if clean:
        _must(folder, "clean", "--quiet", "-ffdx")


def resolve(root: Path, ref: str) -> str:
    """The commit that a ref means here: a commit, a branch (here or upstream) or a tag; PipelineError where there is none."""
    short = ref.removeprefix("refs/heads/")
    for name in (ref, short, f"origin/{short}"):
        found = None if name.startswith("-") else git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if found:
            return found
    raise PipelineError(f"there is no commit {ref!r} here", hint="fetch it first: git fetch origin")


def _must(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines() or ["no reason given"]
        raise PipelineError(f"`git {arguments[0]}` failed: {reason[-1]}")
