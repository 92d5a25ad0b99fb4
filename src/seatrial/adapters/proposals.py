"""What a decision asks of people at the forge: one issue while it stands, and a pull request with the files that a training changed.

GitHub by its own program `gh`, GitLab by its API; addresses and tokens come from the environment and go nowhere else. Each call can be
made again: an issue is known by the marker that its text starts with and by being our own, a pull request by its branch.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from seatrial.adapters.forge import forge_of
from seatrial.adapters.github import GitHub
from seatrial.adapters.gitlab import GitLab
from seatrial.comment_text import MAX_CHARACTERS

ISSUES = """
query($owner: String!, $name: String!, $endCursor: String) {
  repository(owner: $owner, name: $name) {
    issues(first: 100, after: $endCursor, states: OPEN) {
      pageInfo { hasNextPage endCursor }
      nodes { number body viewerDidAuthor }
    }
  }
}
"""
COMMIT = """mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A pull request to be: its branch off the commit `base` of `target`, and each file with its new bytes, None where it goes."""

    branch: str
    base: str
    target: str
    title: str
    text: str
    files: Mapping[str, bytes | None]


class Proposals(Protocol):
    """A forge that takes issues and pull requests."""

    def tell(self, title: str, text: str, *, marker: str) -> str:
        """Write the open issue that starts with `marker` anew, or open one; gives its address."""

    def withdraw(self, words: str, *, marker: str) -> str | None:
        """Close that issue with a comment; gives its address, None where none is open."""

    def propose(self, change: Change) -> str:
        """Put the files on the branch, open a pull request and see that its checks start; gives its address."""


def proposals_of(root: Path, env: Mapping[str, str]) -> Proposals:
    """The forge that the environment names, else the one that `origin` lies on."""
    forge = forge_of(root, env)
    return GitLabProposals(forge=forge) if isinstance(forge, GitLab) else GitHubProposals(forge=GitHub(root=root, env=env))


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubProposals:
    """GitHub, by `gh`. What a workflow's own token does starts no workflow except by a dispatch, so that one is made."""

    forge: GitHub
    workflow: str = "train.yml"

    def tell(self, title: str, text: str, *, marker: str) -> str:
        """Write the issue."""
        known = self._issue(marker)
        where = (
            ["--method", "PATCH", f"repos/{{owner}}/{{repo}}/issues/{known}"]
            if known
            else ["--method", "POST", "repos/{owner}/{repo}/issues"]
        )
        return self._api(*where, "--raw-field", f"title={title}", "--field", "body=@-", "--jq", ".html_url", text=bounded(text, marker))

    def withdraw(self, words: str, *, marker: str) -> str | None:
        """Close the issue."""
        known = self._issue(marker)
        if not known:
            return None
        issue = f"repos/{{owner}}/{{repo}}/issues/{known}"
        self._api("--method", "POST", f"{issue}/comments", "--field", "body=@-", "--silent", text=words)
        return self._api("--method", "PATCH", issue, "--raw-field", "state=closed", "--jq", ".html_url")

    def propose(self, change: Change) -> str:
        """Branch, commit, pull request, dispatch; where one is open from this branch, only its address is given."""
        open_ones = "--method", "GET", "repos/{owner}/{repo}/pulls", "--raw-field", "state=open"
        known = self._api(*open_ones, "--jq", f'.[] | select(.head.ref == "{change.branch}") | .html_url')
        if known:
            return known.splitlines()[0]
        self._branch(change)
        self._commit(change)
        fields = [f"{name}={value}" for name, value in (("title", change.title), ("head", change.branch), ("base", change.target))]
        pull = ["--method", "POST", "repos/{owner}/{repo}/pulls", *(part for field in fields for part in ("--raw-field", field))]
        url = self._api(*pull, "--field", "body=@-", "--jq", ".html_url", text=change.text)
        dispatch = f"repos/{{owner}}/{{repo}}/actions/workflows/{self.workflow}/dispatches"
        self._api("--method", "POST", dispatch, "--raw-field", f"ref={change.branch}")
        return url

    def _branch(self, change: Change) -> None:
        """The branch at the base; one that an interrupted run left there is put back to it."""
        refs = "repos/{owner}/{repo}/git"
        known = self._api("--method", "GET", f"{refs}/matching-refs/heads/{change.branch}", "--jq", ".[].ref").split()
        if f"refs/heads/{change.branch}" in known:
            self._api(
                "--method",
                "PATCH",
                f"{refs}/refs/heads/{change.branch}",
                "--raw-field",
                f"sha={change.base}",
                "--field",
                "force=true",
                "--silent",
            )
        else:
            self._api(
                "--method",
                "POST",
                f"{refs}/refs",
                "--raw-field",
                f"ref=refs/heads/{change.branch}",
                "--raw-field",
                f"sha={change.base}",
                "--silent",
            )

    def _commit(self, change: Change) -> None:
        """One commit with all files, signed by GitHub; it is refused where somebody else moved the branch meanwhile."""
        repository = self._api("repos/{owner}/{repo}", "--jq", ".full_name")
        added = [{"path": path, "contents": _base64(data)} for path, data in sorted(change.files.items()) if data is not None]
        gone = [{"path": path} for path, data in sorted(change.files.items()) if data is None]
        asked = {
            "branch": {"repositoryNameWithOwner": repository, "branchName": change.branch},
            "message": {"headline": change.title},
            "expectedHeadOid": change.base,
            "fileChanges": {"additions": added, "deletions": gone},
        }
        self._api("graphql", "--input", "-", "--silent", text=json.dumps({"query": COMMIT, "variables": {"input": asked}}))

    def _issue(self, marker: str) -> str:
        """The number of our open issue with the marker; empty where there is none."""
        own = f'select(.viewerDidAuthor and (.body | startswith("{marker}"))) | .number'
        fields = ["-F", "owner={owner}", "-F", "name={repo}", "-f", f"query={ISSUES}"]
        found = self._api("graphql", "--paginate", *fields, "--jq", f".data.repository.issues.nodes[] | {own}").split()
        return found[0] if found else ""

    def _api(self, *arguments: str, text: str | None = None) -> str:
        return self.forge.call("api", *arguments, text=text, right="write issues and pull requests")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitLabProposals:
    """GitLab, by its API; a project's token starts pipelines, so nothing else has to."""

    forge: GitLab

    def tell(self, title: str, text: str, *, marker: str) -> str:
        """Write the issue."""
        known = self._issue(marker)
        body = {"title": title, "description": bounded(text, marker)}
        answer = self._ask("PUT", f"/issues/{known}", body) if known else self._ask("POST", "/issues", body)
        return str(answer["web_url"])

    def withdraw(self, words: str, *, marker: str) -> str | None:
        """Close the issue."""
        known = self._issue(marker)
        if not known:
            return None
        self._ask("POST", f"/issues/{known}/notes", {"body": words})
        return str(self._ask("PUT", f"/issues/{known}", {"state_event": "close"})["web_url"])

    def propose(self, change: Change) -> str:
        """One commit on the branch, put back to the base, and a merge request, if none is open from there."""
        known = self.forge.every("merge_requests", {"state": "opened", "source_branch": change.branch})
        if known:
            return str(known[0]["web_url"])
        actions = [_action(path, data) for path, data in sorted(change.files.items())]
        commit = {"branch": change.branch, "start_sha": change.base, "force": True, "commit_message": change.title, "actions": actions}
        self._ask("POST", "/repository/commits", commit)
        asked = {"source_branch": change.branch, "target_branch": change.target, "title": change.title, "description": change.text}
        return str(self._ask("POST", "/merge_requests", {**asked, "remove_source_branch": True})["web_url"])

    def _issue(self, marker: str) -> str:
        """The number of our open issue with the marker; empty where there is none."""
        me, _ = self.forge.ask("GET", "/user")
        opened = self.forge.every("issues", {"state": "opened"})
        own = (one for one in opened if one["author"]["id"] == me["id"] and (one.get("description") or "").startswith(marker))
        return str(next(own, {"iid": ""})["iid"])

    def _ask(self, method: str, place: str, body: Mapping[str, Any]) -> Any:
        return self.forge.ask(method, f"/projects/{self.forge.project}{place}", body)[0]


def _action(path: str, data: bytes | None) -> dict[str, str]:
    if data is None:
        return {"action": "delete", "file_path": path}
    return {"action": "update", "file_path": path, "encoding": "base64", "content": _base64(data)}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def bounded(text: str, marker: str = "") -> str:
    """The text with its marker first, cut to what a forge takes."""
    whole = text if text.startswith(marker) else f"{marker}\n{text}"
    return whole if len(whole) <= MAX_CHARACTERS else f"{whole[:MAX_CHARACTERS]}\n\n… cut here; the whole text is in the run's files.\n"
