"""One comment for a pull request: verdicts, metrics against the merge base, params, contract, gate, and what is missing.

Writes reports/review.md and reports/review.html, and adds the text to the job's summary where GITHUB_STEP_SUMMARY names one. It
decides nothing: 0 whatever it found, 2 where there is nothing to compare with, which the text then says too. `--post FILE` reviews
nothing: it puts a text that was written before under a pull request, in place of the one that it put there last.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.commands.diff import post, posting, waiting
from seatrial.project import Project

if TYPE_CHECKING:
    from seatrial.review_facts import Facts


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
    """Write reports/review.md and reports/review.html about the workspace against `base`; whether there was a base.

    Raises PipelineError without git or DVC, and where DVC cannot answer.
    """
    from seatrial.pipeline import require_repository
    from seatrial.review_facts import gather
    from seatrial.review_sections import outcome_of

    require_repository(project.root)
    for name in ("review.md", "review.html"):  # they may be about other commits, and must not outlive a failure
        project.report(name).unlink(missing_ok=True)
    with waiting("asking DVC what changed, and both models"):
        facts = gather(project, base)
    _write(project, facts)
    for words in (*facts.troubles, *facts.notes):
        print(f"review: {words}")
    print(f"review: {outcome_of(facts).value} · reports/review.md")
    return facts.base is not None


def _write(project: Project, facts: Facts) -> None:
    """Text and page, and the text once more for the job's summary."""
    from seatrial.files import write_atomic
    from seatrial.review import to_markdown
    from seatrial.review_page import review_page
    from seatrial.review_sections import foot, head, sections

    settings = project.settings
    above, parts, below = head(facts, settings), sections(facts, settings), foot(_reports(project), project.env)
    text = to_markdown(above, parts, below)
    write_atomic(project.report("review.html"), review_page(above, parts, below, title=f"Review of {settings.model.name}").encode())
    write_atomic(project.report("review.md"), text.encode())
    if summary := project.env.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")


def _reports(project: Project) -> list[str]:
    """The pages that lie in reports/ by now."""
    names = ("gate.html", "data_profile.html", "plots/index.html")
    return ["reports/review.html", *(f"reports/{name}" for name in names if project.report(name).is_file())]
