"""Where pull requests live: one comment for each, written again in place. GitHub, through its own program `gh`.

`gh` reads its address and token itself (GH_TOKEN, GH_REPO), so that no secret passes through here.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seatrial.errors import PipelineError

MAX_CHARACTERS = 60_000  # GitHub takes 65,536
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """The pull requests of the repository around `root`."""

    root: Path
    env: Mapping[str, str]

    def comment(self, pull_request: str, text: str, *, marker: str) -> str:
        """Put `text` under a pull request and give the comment's address; the one that starts with `marker` is replaced.

        `pull_request` is a number, a branch, or owner:branch for a fork's. Raises PipelineError where `gh` is missing or refuses.
        """
        number = self._gh("pr", "view", "--json", "number", "--jq", ".number", "--", pull_request)
        if not number.isdecimal():
            raise PipelineError(f"`gh` names no number for the pull request {pull_request!r}: {number[:80]!r}")
        comments = f"repos/{{owner}}/{{repo}}/issues/{number}/comments"
        starts = f'.[] | select(.body | startswith("{marker}")) | .id'
        known = self._gh("api", "--paginate", comments, "--jq", starts).split()
        where = ["--method", "PATCH", f"repos/{{owner}}/{{repo}}/issues/comments/{known[0]}"] if known else ["--method", "POST", comments]
        return self._gh("api", *where, "--field", "body=@-", "--jq", ".html_url", text=_bounded(text, marker))

    def _gh(self, *arguments: str, text: str | None = None) -> str:
        try:
            done = subprocess.run(
                ["gh", *arguments],
                cwd=self.root,
                env=dict(self.env),
                input=text or "",
                capture_output=True,
                text=True,
                check=False,
                timeout=TIMEOUT_S,
            )
        except FileNotFoundError:
            raise PipelineError("GitHub's program `gh` is not installed", hint="install it, or paste reports/diff.md yourself") from None
        except subprocess.TimeoutExpired:
            raise PipelineError(f"`gh {arguments[0]}` did not answer within {TIMEOUT_S:.0f} s", hint="try again") from None
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines() or ["no reason given"]
            raise PipelineError(
                f"`gh {' '.join(arguments[:2])}` failed: {reason[0]}", hint="it needs GH_TOKEN with the right to write comments"
            )
        return done.stdout.strip()


def _bounded(text: str, marker: str) -> str:
    """The text with its marker first, cut to what GitHub takes."""
    whole = text if text.startswith(marker) else f"{marker}\n{text}"
    return whole if len(whole) <= MAX_CHARACTERS else f"{whole[:MAX_CHARACTERS]}\n\n… cut here; the whole text is in the run's files.\n"
