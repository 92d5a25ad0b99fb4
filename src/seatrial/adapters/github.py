"""GitHub's pull requests, through its own program `gh`.

`gh` reads its address and token itself (GH_TOKEN, GH_REPO), so that no secret passes through here.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seatrial.adapters.forge import TIMEOUT_S, refused
from seatrial.errors import PipelineError

# Numbers of comments passed 2³¹, which is as far as GraphQL's `databaseId` goes, so the id is taken from the address.
COMMENTS = """
query($owner: String!, $name: String!, $number: Int!, $endCursor: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      comments(first: 100, after: $endCursor) {
        pageInfo { hasNextPage endCursor }
        nodes { url body viewerDidAuthor }
      }
    }
  }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """The pull requests of the repository around `root`, or of GH_REPO."""

    root: Path
    env: Mapping[str, str] = field(repr=False)

    @property
    def server(self) -> str:
        """GitHub's address; GITHUB_SERVER_URL of an enterprise server."""
        host = self.env.get("GH_HOST")
        return (self.env.get("GITHUB_SERVER_URL") or (f"https://{host}" if host else "https://github.com")).rstrip("/")

    def number_of(self, pull_request: str) -> str:
        """A pull request's number, by it, its branch, or owner:branch for a fork's."""
        number = self.call("pr", "view", "--json", "number", "--jq", ".number", "--", pull_request)
        if not number.isdecimal():
            raise PipelineError(f"`gh` names no number for the pull request {pull_request!r}: {number[:80]!r}")
        return number

    def own_comments(self, number: str, marker: str) -> Sequence[str]:
        """Ids of the comments that this token's account wrote and that start with `marker`."""
        own = f'select(.viewerDidAuthor and (.body | startswith("{marker}"))) | .url'
        nodes = f".data.repository.pullRequest.comments.nodes[] | {own}"
        fields = ["-F", "owner={owner}", "-F", "name={repo}", "-F", f"number={number}", "-f", f"query={COMMENTS}"]
        found = self.call("api", "graphql", "--paginate", *fields, "--jq", nodes).split()
        return [address.rpartition("-")[2] for address in found]

    def write(self, number: str, text: str, known: str | None) -> tuple[str, str]:
        """Write a comment, or another text into the `known` one."""
        comments = f"repos/{{owner}}/{{repo}}/issues/{number}/comments"
        where = ["--method", "PATCH", f"repos/{{owner}}/{{repo}}/issues/comments/{known}"] if known else ["--method", "POST", comments]
        address = self.call("api", *where, "--field", "body=@-", "--jq", ".html_url", text=text)
        return address.rpartition("-")[2], address

    def remove(self, number: str, comment: str) -> None:
        """Take a comment away."""
        self.call("api", "--method", "DELETE", f"repos/{{owner}}/{{repo}}/issues/comments/{comment}")

    def call(self, *arguments: str, text: str | None = None, right: str = "write comments") -> str:
        """What `gh` answers, given `text` to read; PipelineError where it is missing or refuses; `right` is what it needs."""
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
            raise PipelineError("GitHub's program `gh` is not installed", hint="install it, or paste the text yourself") from None
        except subprocess.TimeoutExpired:
            raise PipelineError(f"`gh {arguments[0]}` did not answer within {TIMEOUT_S:.0f} s", hint="try again") from None
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["no reason given"]
            raise refused(f"`gh {' '.join(arguments[:2])}`", f"failed: {lines[0]}", f"it needs GH_TOKEN with the right to {right}")
        return done.stdout.strip()
