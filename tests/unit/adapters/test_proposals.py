"""Issues and pull requests through a stand-in for `gh` that writes down what it is asked, and through HTTP for GitLab."""

import base64
import http.server
import json
import threading
from pathlib import Path

import pytest

from seatrial.adapters.github import GitHub
from seatrial.adapters.gitlab import GitLab
from seatrial.adapters.proposals import Change, GitHubProposals, GitLabProposals, proposals_of
from seatrial.errors import PipelineError
from tests.hub import Hub

MARKER = "<!-- seatrial retrain m -->"
OURS = {"id": 5}
CHANGE = Change(
    branch="retrain/m-0123",
    base="a" * 40,
    target="main",
    title="Train m again: drift",
    text="the evidence",
    files={"dvc.lock": b"new", "metrics/plots/old.csv": None},
)


def forge_of(hub):
    return GitHubProposals(forge=GitHub(root=hub.folder, env=hub.env()))


@pytest.fixture
def hub(tmp_path):
    return Hub(tmp_path)


def test_the_first_issue_is_opened_with_its_marker_first(hub):
    hub.answers = {"--method POST": "https://example.org/issues/3"}
    assert forge_of(hub).tell("Train?", "why", marker=MARKER) == "https://example.org/issues/3"
    assert hub.asked()[-1] == ("POST", "repos/{owner}/{repo}/issues")
    written = hub.calls()[-1]
    assert written["input"].startswith(f"{MARKER}\nwhy")
    assert "title=Train?" in written["arguments"]


def test_an_issue_that_is_open_is_written_anew(hub):
    hub.answers = {"--paginate": "12\n15"}
    forge_of(hub).tell("Train?", f"{MARKER}\nwhy", marker=MARKER)
    assert hub.asked()[-1] == ("PATCH", "repos/{owner}/{repo}/issues/12")
    assert MARKER in " ".join(hub.calls()[0]["arguments"])


def test_an_issue_is_closed_with_its_reason_and_none_is_left_alone(hub):
    assert forge_of(hub).withdraw("over", marker=MARKER) is None
    assert len(hub.calls()) == 1
    hub.answers = {"--paginate": "12", "state=closed": "https://example.org/issues/12"}
    assert forge_of(hub).withdraw("over", marker=MARKER) == "https://example.org/issues/12"
    comment, closed = hub.calls()[-2:]
    assert comment["input"] == "over"
    assert "state=closed" in closed["arguments"]


def test_a_pull_request_has_one_signed_commit_and_its_checks_are_started(hub):
    hub.answers = {"--jq .full_name": "o/n", "title=": "https://example.org/pull/9"}
    assert forge_of(hub).propose(CHANGE) == "https://example.org/pull/9"
    assert hub.asked() == [
        ("GET", "repos/{owner}/{repo}/pulls"),
        ("GET", "repos/{owner}/{repo}/git/matching-refs/heads/retrain/m-0123"),
        ("POST", "repos/{owner}/{repo}/git/refs"),
        ("GET", "repos/{owner}/{repo}"),
        ("GET", "graphql"),
        ("POST", "repos/{owner}/{repo}/pulls"),
        ("POST", "repos/{owner}/{repo}/actions/workflows/train.yml/dispatches"),
    ]
    commit = json.loads(next(call["input"] for call in hub.calls() if "graphql" in call["arguments"]))["variables"]["input"]
    assert commit["branch"] == {"repositoryNameWithOwner": "o/n", "branchName": "retrain/m-0123"}
    assert commit["expectedHeadOid"] == "a" * 40
    assert commit["fileChanges"] == {
        "additions": [{"path": "dvc.lock", "contents": base64.b64encode(b"new").decode()}],
        "deletions": [{"path": "metrics/plots/old.csv"}],
    }
    assert "ref=retrain/m-0123" in hub.calls()[-1]["arguments"]


def test_a_pull_request_that_is_open_is_not_opened_again(hub):
    hub.answers = {"repos/{owner}/{repo}/pulls": "https://example.org/pull/9"}
    assert forge_of(hub).propose(CHANGE) == "https://example.org/pull/9"
    assert len(hub.calls()) == 1


def test_a_branch_that_an_interrupted_run_left_is_put_back_to_the_base(hub):
    hub.answers = {"matching-refs": "refs/heads/retrain/m-0123", "title=": "https://example.org/pull/9"}
    forge_of(hub).propose(CHANGE)
    forced = next(call["arguments"] for call in hub.calls() if "force=true" in call["arguments"])
    assert f"sha={'a' * 40}" in forced


class Lab(http.server.ThreadingHTTPServer):
    """GitLab's API, as far as it is asked: writes down each request, answers by method and path."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests, self.answers = [], {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def forge(self):
        env = {"CI_API_V4_URL": f"http://127.0.0.1:{self.server_port}", "CI_PROJECT_ID": "7", "GITLAB_TOKEN": "a-token"}
        return GitLabProposals(forge=GitLab(root=Path(), env=env))


class Handler(http.server.BaseHTTPRequestHandler):
    def _any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.removeprefix("/projects/7")
        if path == "/user":
            return self._answer(200, OURS)
        self.server.requests.append((self.command, path, json.loads(body or b"null"), self.headers["PRIVATE-TOKEN"]))
        status, answer = self.server.answers.get((self.command, path.partition("?")[0]), (200, []))
        return self._answer(status, answer)

    def _answer(self, status, answer):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_GET = do_POST = do_PUT = _any

    def log_message(self, *_):
        pass


@pytest.fixture
def lab():
    server = Lab()
    yield server
    server.shutdown()
    server.server_close()


def test_gitlab_s_issue_is_opened_written_anew_and_closed(lab):
    lab.answers = {("POST", "/issues"): (201, {"web_url": "u/1"})}
    assert lab.forge.tell("Train?", "why", marker=MARKER) == "u/1"
    method, path, body, token = lab.requests[-1]
    assert (method, path, body["title"], token) == ("POST", "/issues", "Train?", "a-token")
    assert body["description"].startswith(MARKER)
    lab.answers = {
        ("GET", "/issues"): (
            200,
            [
                {"iid": 1, "description": None, "author": OURS},
                {"iid": 3, "description": MARKER, "author": {"id": 6}},
                {"iid": 4, "description": f"{MARKER}\nold", "author": OURS},
            ],
        ),
        ("PUT", "/issues/4"): (200, {"web_url": "u/4"}),
        ("POST", "/issues/4/notes"): (201, {}),
    }
    assert lab.forge.tell("Train?", "new", marker=MARKER) == "u/4"
    assert lab.forge.withdraw("over", marker=MARKER) == "u/4"
    assert [(one[0], one[1], one[2]) for one in lab.requests[-2:]] == [
        ("POST", "/issues/4/notes", {"body": "over"}),
        ("PUT", "/issues/4", {"state_event": "close"}),
    ]


def test_gitlab_s_merge_request_has_one_commit_and_is_opened_once(lab):
    lab.answers = {("POST", "/repository/commits"): (201, {}), ("POST", "/merge_requests"): (201, {"web_url": "u/mr"})}
    assert lab.forge.propose(CHANGE) == "u/mr"
    commit = lab.requests[1][2]
    assert (commit["start_sha"], commit["branch"], commit["force"]) == ("a" * 40, "retrain/m-0123", True)
    assert [action["action"] for action in commit["actions"]] == ["update", "delete"]
    lab.answers = {("GET", "/merge_requests"): (200, [{"web_url": "u/open"}])}
    assert lab.forge.propose(CHANGE) == "u/open"
    assert len(lab.requests) == 4


def test_a_refusal_of_gitlab_is_told_with_its_reason_and_without_the_token(lab):
    lab.answers = {("GET", "/issues"): (403, {"message": "insufficient_scope"})}
    with pytest.raises(PipelineError, match="403") as refused:
        lab.forge.withdraw("over", marker=MARKER)
    assert "a-token" not in str(refused.value)


def test_the_environment_says_which_forge_it_is(tmp_path):
    assert isinstance(proposals_of(tmp_path, {"GH_REPO": "o/n"}), GitHubProposals)
    assert isinstance(proposals_of(tmp_path, {"GITLAB_CI": "true", "CI_PROJECT_ID": "7"}), GitLabProposals)
