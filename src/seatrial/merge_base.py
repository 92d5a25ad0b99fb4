"""The commit that a change is compared with: by default the merge base of HEAD with the branch that it asks to enter.

The base is named, not assumed: in a clean checkout HEAD equals the workspace, and a comparison with it would always say
that nothing changed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seatrial.errors import PipelineError, UsageError

MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The commit that is compared with; `reason` says in words how it was chosen, `same` that there is nothing to compare.

    `branch` is the one that HEAD shares it with, None where the commit was asked for.
    """

    commit: str
    reason: str
    same: bool = False
    branch: str | None = None


def find_base(root: Path, env: Mapping[str, str], wanted: str | None = None) -> Base:
    """The commit to compare with: `wanted`, or the merge base of HEAD with the default branch.

    GITHUB_BASE_REF and CI_MERGE_REQUEST_TARGET_BRANCH_NAME name a pull request's target branch, which then counts alone. Raises
    PipelineError where git has no such branch or no common history (a shallow clone), UsageError where `wanted` is no revision.
    """
    head = _commit(root, "HEAD")
    if head is None:
        raise PipelineError(f"{root.name} has no commit yet, so there is nothing to compare with", hint="commit, then ask again")
    if wanted is not None:
        found = None if wanted.startswith("-") else _commit(root, wanted)
        if found is None:
            remedy = "git fetch --unshallow" if is_shallow(root) else "git log --oneline --all lists them"
            raise UsageError(f"--base {wanted!r} is no revision of this repository{_shallow_note(root)}", hint=remedy)
        return _base(root, head, found, f"{wanted}, as asked")
    branch = _default_branch(root, env)
    merge_base = git(root, "merge-base", "HEAD", branch)
    if merge_base is None:
        remedy = "git fetch --unshallow" if is_shallow(root) else "rebase it, or name a commit yourself: --base REV"
        raise PipelineError(f"HEAD and {branch} have no common commit here{_shallow_note(root)}", hint=remedy)
    return _base(root, head, merge_base, f"the merge base of HEAD with {branch}", branch)


def _base(root: Path, head: str, commit: str, reason: str, branch: str | None = None) -> Base:
    clean = git(root, "status", "--porcelain", "--", ".") == ""
    short = git(root, "rev-parse", "--short=10", commit) or commit
    return Base(commit=short, reason=reason, same=clean and commit == head, branch=branch)


def _default_branch(root: Path, env: Mapping[str, str]) -> str:
    """The target branch, else the first of the usual names that exists; on that branch itself, what it is pushed to."""
    if target := env.get("GITHUB_BASE_REF") or env.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME"):
        return _target_branch(root, target)
    names = ["origin/HEAD", "origin/main", "main", "origin/master", "master"]
    for name in names:
        if _commit(root, name) is None:
            continue
        name = git(root, "rev-parse", "--abbrev-ref", name) or name
        upstream = git(root, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
        on_it = git(root, "symbolic-ref", "--short", "HEAD") == name.removeprefix("origin/")
        return upstream if on_it and upstream else name
    remedy = "git fetch --unshallow origin" if is_shallow(root) else "name a commit yourself: --base REV"
    raise PipelineError(f"git knows no default branch: none of {', '.join(names)}{_shallow_note(root)}", hint=remedy)


def _target_branch(root: Path, target: str) -> str:
    """The branch that CI names; no other one stands in for it, with which there might be nothing to compare."""
    found = next((name for name in (f"origin/{target}", target) if _commit(root, name) is not None), None)
    if found is None:
        depth = "--unshallow " if is_shallow(root) else ""
        raise PipelineError(
            f"the branch {target!r}, which this change asks to enter, is not here{_shallow_note(root)}",
            hint=f"git fetch {depth}origin {target}:refs/remotes/origin/{target}; in CI, fetch all of the history and every branch",
        )
    return found


def _commit(root: Path, revision: str) -> str | None:
    return git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")


def is_shallow(root: Path) -> bool:
    """Whether the clone lacks older commits."""
    return git(root, "rev-parse", "--is-shallow-repository") == "true"


def _shallow_note(root: Path) -> str:
    return " (the clone is shallow: its history was not fetched)" if is_shallow(root) else ""


def commits_since(root: Path, base: Base, paths: Sequence[str] = ()) -> int:
    """How many commits the branch of `base` has that HEAD has not; with `paths`, those that change one of them."""
    if base.branch is None:
        return 0
    found = git(root, "rev-list", "--count", f"HEAD..{base.branch}", "--", *paths)
    return int(found) if found and found.isdecimal() else 0


def file_at(root: Path, commit: str, name: str) -> bytes | None:
    """A file's bytes in a commit, by its path from `root`; None where that commit has no such file, or one beyond 64 MB."""
    place = f"{commit}:./{name}"
    size = git(root, "cat-file", "-s", place)
    if size is None or int(size) > MAX_BYTES:
        return None
    done = _run(root, "cat-file", "blob", place)
    return done.stdout if done.returncode == 0 else None


def git(root: Path, *arguments: str) -> str | None:
    """What git prints, or None where it says no; PipelineError where there is no git."""
    done = _run(root, *arguments)
    return done.stdout.decode("utf-8", errors="replace").strip() if done.returncode == 0 else None


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        raise PipelineError("git is not installed, or not on the path", hint="install git") from None
