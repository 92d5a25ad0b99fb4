"""Compare metrics, params and plots with a base commit: by default the merge base of HEAD with the default branch.

Writes reports/diff.md, the page reports/plots/index.html, and the same Markdown to the terminal. 1 where a metric moved further
than `diff.tolerances` of params.yaml allows, 3 where the base has no value for one of those, 2 where a value is no number or there
is nothing to compare with; else 0, whatever changed. `--post FILE` compares nothing: it puts a text that was written before under
a pull request, in place of the one that it put there last.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.errors import UsageError
from seatrial.project import Project

if TYPE_CHECKING:
    from seatrial.verdict import Check

MAX_BYTES = 4_000_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--base", metavar="REV", help="compare with this commit, branch or tag instead")
    posting(parser)


def posting(parser: argparse.ArgumentParser) -> None:
    """The options of a command that can post what it wrote."""
    parser.add_argument("--post", metavar="FILE", type=Path, help="only post this file under --pull-request")
    parser.add_argument("--pull-request", metavar="PR", help="its number, branch, or owner:branch for a fork's")


def run(project: Project, options: argparse.Namespace) -> int:
    """Compare and print, or post; the exit code is that of the worst tolerance."""
    from seatrial.diff import MARKER

    if post(project, options, command="diff", marker=MARKER):
        return 0
    from seatrial.verdict import Outcome, worst

    _, checks = diff(project, base=options.base)
    outcome = worst([Outcome.PASS, *(check.outcome for check in checks)])
    return outcome.exit_code


def post(project: Project, options: argparse.Namespace, *, command: str, marker: str) -> bool:
    """Put the file of `--post` under the pull request; whether that was asked for."""
    if (options.post is None) != (options.pull_request is None):
        raise UsageError("--post and --pull-request belong together: which file, and where to")
    if options.post is None:
        return False
    from seatrial.adapters.forge import forge_of
    from seatrial.adapters.forge import post as post_text

    text = read_text(options.post)
    address = post_text(forge_of(project.root, project.env), options.pull_request, text, marker=marker)
    print(f"{command}: posted to {address}")
    return True


def diff(project: Project, *, base: str | None = None) -> tuple[str, tuple[Check, ...]]:
    """Compare the workspace with `base`, write reports/diff.md; its Markdown, and one check for each tolerance.

    Both are empty where HEAD is the base and nothing changed. Raises PipelineError without git, DVC or a common history,
    UsageError for a `base` that is no revision.
    """
    from seatrial.diff import compare, to_markdown
    from seatrial.files import write_atomic
    from seatrial.merge_base import find_base
    from seatrial.pipeline import require_repository
    from seatrial.tolerances import tolerance_checks

    require_repository(project.root)
    chosen = find_base(project.root, project.env, base)
    path = project.report("diff.md")
    path.unlink(missing_ok=True)  # it may be about other commits, and must not outlive a failure
    if chosen.same:
        print(f"diff: nothing to compare: HEAD is {chosen.commit}, {chosen.reason}, and no file differs from it")
        return "", ()
    with waiting(f"asking DVC what changed since {chosen.commit}"):
        found = compare(project.root, chosen, project.env)
    checks = tolerance_checks(project.settings.diff.tolerances, found.metrics.changes)
    text = to_markdown(found, checks)
    write_atomic(path, text.encode())
    _show(text)
    print(last_line(checks))
    return text, checks


def last_line(checks: tuple[Check, ...]) -> str:
    """What was decided, and where the text is."""
    from seatrial.verdict import Outcome, worst

    if not checks:
        return "diff: reports/diff.md"
    bad = [check for check in checks if check.outcome is not Outcome.PASS]
    found = f", first {bad[0].message}" if bad else ""
    outcome = worst(check.outcome for check in checks).value
    return f"diff: {outcome} · {len(bad)} of {len(checks)} tolerances not kept{found} · reports/diff.md"


def read_text(path: Path) -> str:
    """The text to post; UsageError where there is none, or where it lies behind a link: a stranger may have put that there."""
    try:
        if path.is_symlink():
            raise UsageError(f"--post {path.name}: is a link, and may lead to a file that is not meant to be posted", hint="name the file")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES).decode("utf-8", errors="strict" if path.stat().st_size <= MAX_BYTES else "ignore")
    except (OSError, ValueError) as error:
        raise UsageError(f"--post {path.name}: cannot be read ({error})", hint="write it first: nox -s diff, or nox -s review") from None


def waiting(sentence: str) -> AbstractContextManager[Any]:
    """A spinner for a terminal, as long as the block lasts."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status(sentence)


def _show(text: str) -> None:
    visible = text.partition("\n")[2]
    if not sys.stdout.isatty():
        print(visible)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(visible))
