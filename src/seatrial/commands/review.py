"""One comment for a pull request: verdicts, metrics against the merge base, params, contract, gate, and what is missing.

Writes reports/review.md, and adds it to the job's summary where GITHUB_STEP_SUMMARY names one. It decides nothing: 0 whatever
it found, 2 where there is nothing to compare with, which the text then says too. `--post FILE` reviews nothing: it puts a text
that was written before under a pull request, in place of the one that it put there last.
"""

from __future__ import annotations

import argparse

from seatrial.commands.diff import post, posting, waiting
from seatrial.project import Project


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--base", metavar="REV", help="compare with this commit, branch or tag instead of the merge base")
    posting(parser)


def run(project: Project, options: argparse.Namespace) -> int:
    """Review and print, or post; 0, or 2 where there was nothing to compare with."""
    from seatrial.review import MARKER

    if post(project, options, command="review", marker=MARKER):
        return 0
    return 0 if review(project, base=options.base) else 2


def review(project: Project, *, base: str | None = None) -> bool:
    """Write reports/review.md about the workspace against `base`; whether there was a base to compare with.

    Raises PipelineError without git or DVC, and where DVC cannot answer.
    """
    from seatrial.files import write_atomic
    from seatrial.pipeline import require_repository
    from seatrial.review import to_markdown
    from seatrial.review_facts import append_summary, gather
    from seatrial.review_sections import foot, head, outcome_of, sections

    require_repository(project.root)
    path = project.report("review.md")
    path.unlink(missing_ok=True)  # it may be about other commits, and must not outlive a failure
    with waiting("asking DVC what changed"):
        facts = gather(project, base)
    settings = project.settings
    text = to_markdown(head(facts, settings), sections(facts, settings), foot(_reports(project), project.env))
    write_atomic(path, text.encode())
    append_summary(project.env, text)
    for trouble in facts.troubles:
        print(f"review: {trouble}")
    print(f"review: {outcome_of(facts).value} · reports/review.md")
    return facts.base is not None


def _reports(project: Project) -> list[str]:
    """The pages and texts that lie in reports/ already."""
    names = ("gate.html", "data_profile.html", "plots/index.html")
    return [f"reports/{name}" for name in names if project.report(name).is_file()]
