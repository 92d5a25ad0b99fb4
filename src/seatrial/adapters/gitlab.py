"""GitLab's merge requests, through its API: notes are its comments.

The token is GITLAB_TOKEN (a project's access token with the scope `api`; a job's own token may not write notes). It is sent to
the API's address only: a redirect is refused, not followed.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from seatrial.adapters.forge import TIMEOUT_S, origin_of, refused
from seatrial.errors import PipelineError

MAX_BYTES = 32_000_000
PAGES = 200
REMEDY = "it needs GITLAB_TOKEN, a project access token with the scope `api`"


class _Still(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would take the token along."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Nothing, so that the redirect is an error."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GitLab:
    """The merge requests of CI_PROJECT_ID, else of the project that `origin` names."""

    root: Path
    env: Mapping[str, str] = field(repr=False)

    @property
    def api(self) -> str:
        """The API's address: CI_API_V4_URL, else that of GITLAB_HOST or of `origin`."""
        host = self.env.get("GITLAB_HOST") or origin_of(self.root)[0] or "gitlab.com"
        address = host if "://" in host else f"https://{host}"
        return (self.env.get("CI_API_V4_URL") or f"{address}/api/v4").rstrip("/")

    @property
    def server(self) -> str:
        """GitLab's address: CI_SERVER_URL, else the API's."""
        return (self.env.get("CI_SERVER_URL") or self.api.removesuffix("/api/v4")).rstrip("/")

    @property
    def project(self) -> str:
        """The project's number, or its path in one word."""
        known = self.env.get("CI_MERGE_REQUEST_PROJECT_ID") or self.env.get("CI_PROJECT_ID")
        path = known or origin_of(self.root)[1]
        if not path:
            raise PipelineError("no GitLab project is known", hint="set CI_PROJECT_ID, or a remote `origin`")
        return quote(path, safe="")

    def number_of(self, pull_request: str) -> str:
        """A merge request's number (its `iid`), by it, its branch, or owner:branch for a fork's."""
        if pull_request.isdecimal():
            return pull_request
        owner, _, branch = pull_request.rpartition(":")
        found = self.every("merge_requests", {"state": "opened", "source_branch": branch})
        ours = [one for one in found if not owner or self._owner(one) == owner]
        if not ours:
            raise PipelineError(f"there is no open merge request of {pull_request!r}", hint="name it by its number")
        return str(ours[0]["iid"])

    def _owner(self, request: Mapping[str, Any]) -> str:
        """The namespace of the project that a merge request comes from."""
        project, _ = self.ask("GET", f"/projects/{int(request['source_project_id'])}")
        return str(project["path_with_namespace"]).rpartition("/")[0]

    def own_comments(self, number: str, marker: str) -> Sequence[str]:
        """Ids of the notes that this token's account wrote and that start with `marker`."""
        me, _ = self.ask("GET", "/user")
        notes = self.every(f"merge_requests/{number}/notes", {"sort": "asc", "order_by": "created_at"})
        own = [note for note in notes if not note.get("system") and note["author"]["id"] == me["id"]]
        return [str(note["id"]) for note in own if str(note["body"]).startswith(marker)]

    def write(self, number: str, text: str, known: str | None) -> tuple[str, str]:
        """Write a note, or another text into the `known` one."""
        place = f"/projects/{self.project}/merge_requests/{number}/notes"
        note, _ = self.ask("PUT" if known else "POST", f"{place}/{known}" if known else place, {"body": text})
        request, _ = self.ask("GET", f"/projects/{self.project}/merge_requests/{number}")
        return str(note["id"]), f"{request['web_url']}#note_{note['id']}"

    def remove(self, number: str, comment: str) -> None:
        """Take a note away."""
        self.ask("DELETE", f"/projects/{self.project}/merge_requests/{number}/notes/{comment}")

    def every(self, place: str, query: Mapping[str, str]) -> list[Any]:
        """Every item of a list, page by page."""
        found: list[Any] = []
        page = "1"
        for _ in range(PAGES):
            asked = urlencode({**query, "per_page": "100", "page": page})
            items, headers = self.ask("GET", f"/projects/{self.project}/{place}?{asked}")
            found += items
            page = headers.get("X-Next-Page") or ""
            if not page:
                break
        return found

    def ask(self, method: str, place: str, body: Mapping[str, Any] | None = None) -> tuple[Any, Mapping[str, str]]:
        """What the API answers, and its headers; PipelineError where it refuses or does not answer."""
        token = self.env.get("GITLAB_TOKEN")
        if not token:
            raise PipelineError("GITLAB_TOKEN is not set, and GitLab lets nobody else write", hint=REMEDY)
        data = None if body is None else json.dumps(body).encode()
        headers = {"PRIVATE-TOKEN": token, "Content-Type": "application/json", "User-Agent": "seatrial"}
        request = urllib.request.Request(f"{self.api}{place}", data=data, headers=headers, method=method)  # noqa: S310
        what = f"GitLab ({method} {place.partition('?')[0]})"
        if urlsplit(self.api).scheme not in ("http", "https"):
            raise refused(what, f"cannot be asked: {self.api} is no web address", "set CI_API_V4_URL")
        try:
            with urllib.request.build_opener(_Still).open(request, timeout=TIMEOUT_S) as answer:
                raw = answer.read(MAX_BYTES)
                return (json.loads(raw) if raw else None), dict(answer.headers)
        except urllib.error.HTTPError as error:
            raise refused(what, f"answered {error.code} {error.reason}", REMEDY) from None
        except (OSError, HTTPException, ValueError) as error:
            raise refused(what, f"did not answer: {getattr(error, 'reason', error)}", "look at CI_API_V4_URL, and try again") from None
