"""What changed since a base commit, told by DVC: metrics, params and plots as one Markdown text.

The base is named, not assumed: in a clean checkout HEAD equals the workspace, and a comparison with it would always say
that nothing changed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seatrial.errors import PipelineError, UsageError
from seatrial.pipeline import dvc_environment

MARKER = "<!-- seatrial diff -->"
"""The first line of the text, by which a forge adapter finds the comment that it wrote before."""

PLOTS = Path("reports/plots")
_UNREADABLE = re.compile(r"failed to load some (\w+) for following revisions: (.+?)\.?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The commit that is compared with; `reason` says in words how it was chosen, `same` that there is nothing to compare."""

    commit: str
    reason: str
    same: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one DVC command said: its Markdown table, and the complaints beside it."""

    text: str
    complaints: str = ""

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The table's rows without the heading, cell by cell."""
        lines = [line for line in self.text.splitlines() if line.startswith("|")]
        return tuple(tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[2:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The three answers about one base; `page` says whether DVC drew a page of plots."""

    base: Base
    metrics: Answer
    params: Answer
    plots: Answer
    page: bool


def find_base(root: Path, env: Mapping[str, str], wanted: str | None = None) -> Base:
    """The commit to compare with: `wanted`, or the merge base of HEAD with the default branch.

    GITHUB_BASE_REF names a pull request's target branch, and is looked at before the default branch. Raises PipelineError
    where git has no such commit or no common history (a shallow clone), UsageError where `wanted` is no revision.
    """
    head = _commit(root, "HEAD")
    if head is None:
        raise PipelineError(f"{root.name} has no commit yet, so there is nothing to compare with", hint="commit, then ask again")
    if wanted is not None:
        found = None if wanted.startswith("-") else _commit(root, wanted)
        if found is None:
            raise UsageError(
                f"--base {wanted!r} is no revision of this repository{_shallow_note(root)}", hint="git log --oneline --all lists them"
            )
        return _base(root, head, found, f"{wanted}, as asked")
    branch = _default_branch(root, env)
    merge_base = _git(root, "merge-base", "HEAD", branch)
    if merge_base is None:
        remedy = "git fetch --unshallow" if _is_shallow(root) else "name a commit yourself: --base REV"
        raise PipelineError(f"HEAD and {branch} have no common commit here{_shallow_note(root)}", hint=remedy)
    return _base(root, head, merge_base, f"the merge base of HEAD with {branch}")


def _base(root: Path, head: str, commit: str, reason: str) -> Base:
    clean = _git(root, "status", "--porcelain", "--", ".") == ""
    return Base(commit=_git(root, "rev-parse", "--short=10", commit) or commit, reason=reason, same=clean and commit == head)


def _default_branch(root: Path, env: Mapping[str, str]) -> str:
    """The first of the usual names that exists; on that branch itself, what it is pushed to."""
    target = env.get("GITHUB_BASE_REF")
    names = [f"origin/{target}"] if target else []
    names += ["origin/HEAD", "origin/main", "main", "origin/master", "master"]
    for name in names:
        if _commit(root, name) is None:
            continue
        name = _git(root, "rev-parse", "--abbrev-ref", name) or name
        upstream = _git(root, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
        on_it = _git(root, "symbolic-ref", "--short", "HEAD") == name.removeprefix("origin/")
        return upstream if on_it and upstream else name
    remedy = "git fetch --unshallow origin" if _is_shallow(root) else "name a commit yourself: --base REV"
    raise PipelineError(f"git knows no default branch: none of {', '.join(names)}{_shallow_note(root)}", hint=remedy)


def _commit(root: Path, revision: str) -> str | None:
    return _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")


def _is_shallow(root: Path) -> bool:
    return _git(root, "rev-parse", "--is-shallow-repository") == "true"


def _shallow_note(root: Path) -> str:
    return " (the clone is shallow: its history was not fetched)" if _is_shallow(root) else ""


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints, or None where it says no."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PipelineError("git is not installed, or not on the path", hint="install git") from None
    return done.stdout.strip() if done.returncode == 0 else None


def compare(root: Path, base: Base, env: Mapping[str, str]) -> Comparison:
    """Ask DVC three questions at once (each costs a start of its own); PipelineError where it cannot answer one.

    Draws the page of plots to reports/plots, in place of the last one.
    """
    shutil.rmtree(root / PLOTS, ignore_errors=True)
    (root / PLOTS).mkdir(parents=True)
    questions = (
        ("metrics", "diff", base.commit, "--md"),
        ("params", "diff", base.commit, "--md"),
        ("plots", "diff", base.commit, "--out", str(PLOTS)),
    )
    metrics, params, plots = _ask(root, questions, env)
    return Comparison(base=base, metrics=metrics, params=params, plots=plots, page=(root / PLOTS / "index.html").is_file())


def _ask(root: Path, questions: Sequence[tuple[str, ...]], env: Mapping[str, str]) -> list[Answer]:
    started: list[subprocess.Popen[str]] = []
    try:
        for question in questions:
            command = [sys.executable, "-m", "dvc", *question]
            pipe = subprocess.PIPE
            started.append(subprocess.Popen(command, cwd=root, env=dvc_environment(env), stdout=pipe, stderr=pipe, text=True))
        return [_answer(question, process) for question, process in zip(questions, started, strict=True)]
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.communicate()


def _answer(question: tuple[str, ...], process: subprocess.Popen[str]) -> Answer:
    text, complaints = process.communicate()
    if process.returncode != 0:
        lines = [line for line in complaints.strip().splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no reason given")
        raise PipelineError(f"`dvc {' '.join(question)}` failed: {reason}", hint="look at dvc.yaml and at what that command says")
    return Answer(text=text.strip(), complaints=complaints)


def to_markdown(comparison: Comparison) -> str:
    """The comparison as Markdown: a heading, the base, tables of metrics and params, and what could not be compared."""
    base = comparison.base
    lines = [MARKER, "## Metrics and params", "", f"Compared with `{base.commit}`, {base.reason}.", ""]
    for title, answer in (("Metrics", comparison.metrics), ("Params", comparison.params)):
        lines += [f"### {title}", "", answer.text if answer.rows else f"No {title.lower()} changed.", ""]
    lines += ["### Plots", "", _plots_sentence(comparison), ""]
    notes = find_notes(comparison)
    if notes:
        lines += ["### What could not be compared", "", *(f"- {note}" for note in notes), ""]
    return "\n".join(lines)


def _plots_sentence(comparison: Comparison) -> str:
    if not comparison.page:
        return "DVC drew no plots."
    return f"Both sides of each plot: `{PLOTS.as_posix()}/index.html`."


def find_notes(comparison: Comparison) -> tuple[str, ...]:
    """One sentence for each thing that one of the two sides does not have."""
    rows = [row for row in comparison.metrics.rows if len(row) == 5]
    only_now = [row[1] for row in rows if row[2] == "-"]
    only_then = [row[1] for row in rows if row[3] == "-"]
    notes = []
    if only_now:
        notes.append(f"The base has no value for {_listed(only_now)}.")
    if only_then:
        notes.append(f"The workspace has no value for {_listed(only_then)}: run `nox -s train`.")
    known = "metrics" if notes else ""
    for answer in (comparison.metrics, comparison.params, comparison.plots):
        notes += [f"DVC could not read the {kind} of {where}." for kind, where in _UNREADABLE.findall(answer.complaints) if kind != known]
    return tuple(notes)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
