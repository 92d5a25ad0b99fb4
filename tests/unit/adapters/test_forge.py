"""One comment under a pull request: on GitHub through a stand-in for `gh`, on GitLab through a server that keeps notes."""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from seatrial.adapters.forge import forge_of, post
from seatrial.adapters.github import GitHub
from seatrial.adapters.gitlab import GitLab
from seatrial.errors import PipelineError
from seatrial.markdown import GAP

MARKER = "<!-- seatrial review -->"
TEXT = f"{MARKER}\n## fail\n\n@bob, look\n/merge\n"

GH = """\
#!{python}
import json, pathlib, re, sys
here = pathlib.Path(__file__).parent
state, arguments, text = json.loads((here / "state").read_text()), sys.argv[1:], sys.stdin.read()
state["calls"].append(arguments)
filter = arguments[-1]
address = lambda comment: "https://github.com/o/r/pull/12#issuecomment-%d" % comment["id"]
if state.get("refuses"):
    print("HTTP 403: Resource not accessible", file=sys.stderr)
    code = 1
else:
    code = 0
    if arguments[:2] == ["pr", "view"]:
        print(12)
    elif arguments[:2] == ["api", "graphql"]:
        (marker,) = re.findall(r'startswith\\("([^"]+)"\\)', filter)
        for one in state["comments"]:
            if one["body"].startswith(marker) and (one["mine"] or "viewerDidAuthor" not in filter):
                print(address(one))
        state["comments"] += state.pop("meanwhile", [])
    elif "POST" in arguments:
        state["comments"].append({{"id": 3_000_000_000 + len(state["comments"]), "mine": True, "body": text}})
        print(address(state["comments"][-1]))
    else:
        number = int(next(part for part in arguments if "comments/" in part).rpartition("/")[2])
        (one,) = [one for one in state["comments"] if one["id"] == number]
        if "PATCH" in arguments:
            one["body"] = text
            print(address(one))
        else:
            state["comments"].remove(one)
(here / "state").write_text(json.dumps(state))
sys.exit(code)
"""


class Hub:
    """GitHub as `gh` shows it, its state in a file beside the program."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "gh").write_text(GH.format(python=sys.executable))
        (folder / "gh").chmod(0o755)
        self.comments = []

    @property
    def forge(self):
        return GitHub(root=self.folder, env={"PATH": str(self.folder)})

    @property
    def state(self):
        return json.loads((self.folder / "state").read_text())

    @property
    def comments(self):
        return [(one["mine"], one["body"]) for one in self.state["comments"]]

    @comments.setter
    def comments(self, pairs):
        comments = [{"id": 2_500_000_000 + at, "mine": mine, "body": body} for at, (mine, body) in enumerate(pairs)]
        self.save({"calls": [], "comments": comments})

    def meanwhile(self, body):
        self.save(self.state | {"meanwhile": [{"id": 2_999_999_999, "mine": True, "body": body}]})

    def save(self, state):
        (self.folder / "state").write_text(json.dumps(state))


class Notes(BaseHTTPRequestHandler):
    """As much of GitLab's API as notes of merge requests need."""

    def do_GET(self):
        self._answer()

    do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self):
        lab, parts = self.server.lab, urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        lab.asked.append(parts.path)
        if lab.redirects:
            return self._send(302, {}, {"Location": lab.redirects})
        if self.headers.get("PRIVATE-TOKEN") != "secret":
            return self._send(401, {"message": "401 Unauthorized"})
        return self._route(lab, parts.path.removeprefix("/api/v4"), parse_qs(parts.query), body)

    def _route(self, lab, path, query, body):
        requests = "/projects/group%2Fproject/merge_requests"
        if path == "/user":
            return self._send(200, {"id": 1})
        if path == "/projects/77":
            return self._send(200, {"path_with_namespace": "somebody/project"})
        if path == requests:
            return self._send(200, [{"iid": 12, "source_project_id": 77}] if query["source_branch"] == ["branch"] else [])
        if path == f"{requests}/12":
            return self._send(200, {"web_url": "https://lab.example/group/project/-/merge_requests/12"})
        if path == f"{requests}/12/notes" and self.command == "GET":
            page = int(query["page"][0])
            more = {"X-Next-Page": str(page + 1) if page < len(lab.notes) else ""}
            return self._send(200, [lab.note(lab.notes[page - 1])] if lab.notes else [], more)
        if path == f"{requests}/12/notes":
            lab.notes.append([100 + len(lab.notes), True, body["body"]])
            return self._send(201, lab.note(lab.notes[-1]))
        (found,) = [note for note in lab.notes if path == f"{requests}/12/notes/{note[0]}"]
        if self.command == "DELETE":
            lab.notes.remove(found)
            return self._send(204, None)
        found[2] = body["body"]
        return self._send(200, lab.note(found))

    def _send(self, code, value, headers=None):
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(code)
        for name, text in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Be quiet."""


class Lab:
    """GitLab: a server of its own on a free port, one note a page."""

    def __init__(self, folder):
        self.folder, self.notes, self.redirects, self.token, self.asked = folder, [], None, "secret", []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Notes)
        self.server.lab = self
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def forge(self):
        env = {"CI_API_V4_URL": f"{self.address}/api/v4", "CI_PROJECT_ID": "group/project", "GITLAB_TOKEN": self.token}
        return GitLab(root=self.folder, env=env)

    def note(self, note):
        return {"id": note[0], "system": False, "author": {"id": 1 if note[1] else 2}, "body": note[2]}

    @property
    def comments(self):
        return [(mine, body) for _, mine, body in self.notes]

    @comments.setter
    def comments(self, pairs):
        self.notes = [[at, mine, body] for at, (mine, body) in enumerate(pairs, 1)]


@pytest.fixture
def hub(tmp_path):
    return Hub(tmp_path)


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    yield lab
    lab.server.shutdown()
    lab.server.server_close()


@pytest.fixture(params=["hub", "lab"])
def service(request):
    """Each forge in turn."""
    return request.getfixturevalue(request.param)


def test_the_first_comment_is_written_anew_and_harmless(service):
    address = post(service.forge, "12", TEXT, marker=MARKER)
    ((mine, body),) = service.comments
    assert mine
    assert body.startswith(f"{MARKER}\n## fail\n\n@{GAP}bob, look\n{GAP}/merge\n")
    assert address.startswith("https://")
    assert any(sign in address for sign in ("#issuecomment-", "#note_"))


def test_the_comment_of_an_earlier_run_is_written_again_in_place(service):
    service.comments = [(False, "hello"), (True, f"{MARKER}\nold"), (False, "bye")]
    post(service.forge, "12", TEXT, marker=MARKER)
    post(service.forge, "12", TEXT, marker=MARKER)
    bodies = [body for _, body in service.comments]
    assert [body.splitlines()[0] for body in bodies] == ["hello", MARKER, "bye"]
    assert "## fail" in bodies[1]


def test_somebody_else_s_comment_with_our_marker_is_left_alone(service):
    service.comments = [(False, f"{MARKER}\nforged")]
    post(service.forge, "12", TEXT, marker=MARKER)
    assert service.comments[0] == (False, f"{MARKER}\nforged")
    assert [mine for mine, _ in service.comments] == [False, True]


def test_our_comment_with_another_marker_is_left_alone(service):
    service.comments = [(True, "<!-- seatrial diff -->\nthe other one")]
    post(service.forge, "12", TEXT, marker=MARKER)
    assert service.comments[0] == (True, "<!-- seatrial diff -->\nthe other one")


def test_of_several_comments_of_ours_one_stays(service):
    service.comments = [(True, f"{MARKER}\none"), (True, f"{MARKER}\ntwo")]
    post(service.forge, "12", TEXT, marker=MARKER)
    ((_, body),) = service.comments
    assert "## fail" in body


def test_two_jobs_that_both_write_a_first_comment_leave_one_with_the_newer_text(hub):
    hub.meanwhile(f"{MARKER}\nfrom the other job")
    post(hub.forge, "12", TEXT, marker=MARKER)
    ((_, body),) = hub.comments
    assert "## fail" in body


@pytest.mark.parametrize("name", ["branch", "somebody:branch"])
def test_a_pull_request_is_found_by_its_branch(service, name):
    assert service.forge.number_of(name) == "12"


@pytest.mark.parametrize("name", ["nosuch", "nobody:branch"])
def test_a_branch_without_a_merge_request_is_said(lab, name):
    with pytest.raises(PipelineError, match="no open merge request"):
        lab.forge.number_of(name)


def test_the_name_of_a_branch_is_no_option_of_gh(hub):
    hub.forge.number_of("--web")
    assert hub.state["calls"][0][-2:] == ["--", "--web"]


def test_a_refusal_of_github_is_told_with_its_reason(hub):
    hub.save(hub.state | {"refuses": True})
    with pytest.raises(PipelineError, match="HTTP 403"):
        post(hub.forge, "12", TEXT, marker=MARKER)


def test_without_gh_the_message_says_so(hub):
    (hub.folder / "gh").unlink()
    with pytest.raises(PipelineError, match="`gh` is not installed"):
        post(hub.forge, "12", TEXT, marker=MARKER)


def test_a_refusal_of_gitlab_is_told_without_the_token(lab):
    lab.token = "wrong-token"
    with pytest.raises(PipelineError, match="answered 401") as raised:
        post(lab.forge, "12", TEXT, marker=MARKER)
    assert "wrong-token" not in str(raised.value)
    assert "GITLAB_TOKEN" in str(raised.value)


def test_without_a_token_gitlab_is_not_asked(lab):
    lab.token = ""
    with pytest.raises(PipelineError, match="GITLAB_TOKEN is not set"):
        post(lab.forge, "12", TEXT, marker=MARKER)


def test_a_redirect_does_not_take_the_token_elsewhere(lab):
    lab.redirects = f"{lab.address}/elsewhere"
    with pytest.raises(PipelineError, match="answered 302"):
        post(lab.forge, "12", TEXT, marker=MARKER)
    assert "/elsewhere" not in lab.asked


def test_a_gitlab_that_does_not_answer_is_said(tmp_path):
    forge = GitLab(root=tmp_path, env={"CI_API_V4_URL": "http://127.0.0.1:1/api/v4", "CI_PROJECT_ID": "1", "GITLAB_TOKEN": "x"})
    with pytest.raises(PipelineError, match="did not answer"):
        post(forge, "12", TEXT, marker=MARKER)


@pytest.mark.parametrize(
    ("env", "kind", "server"),
    [
        ({"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://hub.example"}, GitHub, "https://hub.example"),
        ({"GITLAB_CI": "true", "CI_API_V4_URL": "https://lab.example/api/v4"}, GitLab, "https://lab.example"),
        ({"GITLAB_HOST": "lab.example"}, GitLab, "https://lab.example"),
        ({}, GitHub, "https://github.com"),
    ],
)
def test_the_environment_says_which_forge_it_is(tmp_path, env, kind, server):
    forge = forge_of(tmp_path, env)
    assert (type(forge), forge.server) == (kind, server)


@pytest.mark.parametrize(
    ("remote", "api", "project"),
    [
        ("git@gitlab.example:group/sub/project.git", "https://gitlab.example/api/v4", "group%2Fsub%2Fproject"),
        ("https://gitlab.com/group/project.git", "https://gitlab.com/api/v4", "group%2Fproject"),
    ],
)
def test_outside_of_ci_the_remote_says_it(tmp_path, remote, api, project):
    for arguments in (["init", "--quiet"], ["remote", "add", "origin", remote]):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    forge = forge_of(tmp_path, {})
    assert isinstance(forge, GitLab)
    assert (forge.api, forge.project) == (api, project)


@pytest.mark.parametrize("forge", [GitHub, GitLab])
def test_a_forge_shows_no_token_where_it_is_shown(forge, tmp_path):
    assert "hush" not in repr(forge(root=tmp_path, env={"GH_TOKEN": "hush", "GITLAB_TOKEN": "hush"}))
