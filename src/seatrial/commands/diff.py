"""Compare metrics, params and plots with a base commit: by default the merge base of HEAD with the default branch.

Writes reports/diff.md, the page reports/plots/index.html, and the same Markdown to the terminal. It decides nothing:
0 whatever changed, 2 where there is nothing to compare with. `--post FILE` compares nothing: it puts a text that was
written before under a pull request, in place of the one that it put there last.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from seatrial.errors import UsageError
from seatrial.project import Project


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--base", metavar="REV", help="compare with this commit, branch or tag instead")
    parser.add_argument("--post", metavar="FILE", type=Path, help="only post this file under --pull-request, with GitHub's `gh`")
    parser.add_argument("--pull-request", metavar="PR", help="its number, branch, or owner:branch for a fork's")


def run(project: Project, options: argparse.Namespace) -> int:
    """Compare and print, or post; 0 unless an exception says why not."""
    if (options.post is None) != (options.pull_request is None):
        raise UsageError("--post and --pull-request belong together: which file, and where to")
    if options.post is None:
        diff(project, base=options.base)
        return 0
    from seatrial.adapters.forge import GitHub
    from seatrial.diff import MARKER

    url = GitHub(root=project.root, env=project.env).comment(options.pull_request, read_text(options.post), marker=MARKER)
    print(f"diff: posted to {url}")
    return 0


def diff(project: Project, *, base: str | None = None) -> str:
    """Compare the workspace with `base`, write reports/diff.md and give its Markdown; empty where HEAD is the base and nothing changed.

    Raises PipelineError without git, DVC or a common history, UsageError for a `base` that is no revision.
    """
    from seatrial.diff import compare, find_base, to_markdown
    from seatrial.files import write_atomic
    from seatrial.pipeline import require_repository

    require_repository(project.root)
    chosen = find_base(project.root, project.env, base)
    path = project.report("diff.md")
    path.unlink(missing_ok=True)  # it may be about other commits, and must not outlive a failure
    if chosen.same:
        print(f"diff: nothing to compare: HEAD is {chosen.commit}, {chosen.reason}, and no file differs from it")
        return ""
    with _waiting(f"asking DVC what changed since {chosen.commit}"):
        text = to_markdown(compare(project.root, chosen, project.env))
    write_atomic(path, text.encode())
    _show(text)
    print("diff: reports/diff.md")
    return text


def read_text(path: Path) -> str:
    """The text to post; UsageError where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UsageError(f"--post {path.name}: cannot be read ({error})", hint="write it first: nox -s diff") from None


def _waiting(sentence: str) -> AbstractContextManager[Any]:
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
