"""What was decided about a training, told at the forge: an issue while one is asked for, a pull request once one has passed the gate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.errors import PipelineError
from seatrial.retrain_report import MARKER

if TYPE_CHECKING:
    from seatrial.adapters.proposals import Proposals
    from seatrial.project import Project
    from seatrial.retrain import Reason
    from seatrial.verdict import Verdict


def tell(project: Project, verdict: Verdict, forge: Proposals | None = None) -> str:
    """Open, renew or close the issue about a training, as the verdict says; gives a sentence. Raises what the forge raises."""
    forge = forge or _forge(project)
    reasons = verdict.subject["reasons"]
    marker = marker_of(project)
    if not reasons:
        closed = forge.withdraw("No training is asked for any more: no reason holds, or it was answered.", marker=marker)
        return f"nothing is asked for; {closed} is closed" if closed else "nothing is asked for, and no issue is open"
    url = forge.tell(f"Train {project.settings.model.name} again? {', '.join(reasons)}", evidence(project, marker), marker=marker)
    return f"a person decides: {url}"


def propose(project: Project, reasons: Sequence[Reason], forge: Proposals | None = None) -> str:
    """Open the pull request with what the training changed in git, and close the issue; gives a sentence.

    Raises PipelineError where git or the forge says no.
    """
    from seatrial.adapters.proposals import Change, bounded
    from seatrial.commands.train import manifest_digest

    files = changed_files(project.root)
    if not files:
        return "the training changed no file of git, so there is nothing to propose"
    forge, name, marker = forge or _forge(project), project.settings.model.name, marker_of(project)
    change = Change(
        branch=f"retrain/{name}-{manifest_digest(project).removeprefix('sha256:')[:12]}",
        base=_git(project.root, "rev-parse", "HEAD"),
        target=_target(project),
        title=f"Train {name} again: {', '.join(map(str, reasons))}",
        text=bounded("\n".join([evidence(project, marker), _gate(project)])),
        files=files,
    )
    url = forge.propose(change)
    forge.withdraw(f"Trained, and the gate passed: {url}", marker=marker)
    return f"proposed: {url}"


def marker_of(project: Project) -> str:
    """The first line of the issue: one for each model and environment."""
    return MARKER.replace(" -->", f" {project.settings.registered_model} -->")


def evidence(project: Project, marker: str) -> str:
    """reports/retrain.md under the marker of this model and environment."""
    text = project.report("retrain.md").read_text(encoding="utf-8")
    return f"{marker}\n{text.removeprefix(MARKER).lstrip()}"


def changed_files(root: Path) -> dict[str, bytes | None]:
    """The files of git that differ from HEAD, with their bytes; None for one that is gone. New files are not among them."""
    top = Path(_git(root, "rev-parse", "--show-toplevel"))
    names = [name for name in _git(root, "diff", "--name-only", "-z", "HEAD").split("\0") if name]
    return {name: (top / name).read_bytes() if (top / name).is_file() else None for name in names}


def _gate(project: Project) -> str:
    path = project.report("gate.md")
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _target(project: Project) -> str:
    """The branch that the training began from: the one that CI runs for, or that is checked out."""
    named = project.env.get("GITHUB_REF_NAME") or project.env.get("CI_COMMIT_BRANCH") or project.env.get("CI_DEFAULT_BRANCH")
    return named or _git(project.root, "symbolic-ref", "--short", "HEAD")


def _forge(project: Project) -> Proposals:
    from seatrial.adapters.proposals import proposals_of

    return proposals_of(project.root, project.env)


def _git(root: Path, *arguments: str) -> str:
    from seatrial.merge_base import git

    found = git(root, *arguments)
    if found is None:
        raise PipelineError(f"`git {' '.join(arguments)}` says no in {root.name}", hint="a training is proposed from a git checkout")
    return found
