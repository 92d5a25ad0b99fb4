"""`seatrial.merge_base`: which commit is compared with, and what it holds, in real git repositories."""

import os
import subprocess

import pytest

from seatrial.errors import PipelineError, UsageError
from seatrial.merge_base import commits_since, file_at, find_base


def git(root, *arguments):
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(["git", *arguments], cwd=root, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root, text):
    (root / "file").write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "--quiet", "--message", text)
    return git(root, "rev-parse", "--short=10", "HEAD")


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "work"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    commit(root, "one")
    return root


def test_a_branch_is_compared_with_where_it_left_main(repository):
    start = git(repository, "rev-parse", "--short=10", "HEAD")
    git(repository, "checkout", "--quiet", "-b", "feature")
    commit(repository, "two")
    git(repository, "checkout", "--quiet", "main")
    commit(repository, "three")
    git(repository, "checkout", "--quiet", "feature")
    base = find_base(repository, {})
    assert (base.commit, base.same) == (start, False)
    assert base.reason == "the merge base of HEAD with main"


def test_on_main_without_a_remote_head_is_the_base_and_there_is_nothing_to_compare(repository):
    assert find_base(repository, {}).same


def test_a_changed_file_is_something_to_compare_with_head_itself(repository):
    (repository / "file").write_text("changed")
    assert not find_base(repository, {}).same


def test_on_main_the_commits_not_yet_pushed_are_compared_with_its_upstream(repository, tmp_path):
    pushed = git(repository, "rev-parse", "--short=10", "HEAD")
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "remote.git")
    git(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(repository, "push", "--quiet", "--set-upstream", "origin", "main")
    commit(repository, "two")
    base = find_base(repository, {})
    assert (base.commit, base.same, base.reason) == (pushed, False, "the merge base of HEAD with origin/main")


def test_a_pull_request_is_compared_with_the_branch_that_it_asks_to_enter(repository, tmp_path):
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "remote.git")
    git(repository, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(repository, "checkout", "--quiet", "-b", "develop")
    entered = commit(repository, "two")
    git(repository, "push", "--quiet", "origin", "develop", "main")
    git(repository, "checkout", "--quiet", "--detach")
    commit(repository, "three")
    assert find_base(repository, {"GITHUB_BASE_REF": "develop"}).commit == entered
    assert find_base(repository, {}).commit != entered


def remote(repository, tmp_path, name):
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), f"{name}.git")
    git(repository, "remote", "add", name, str(tmp_path / f"{name}.git"))


def test_on_main_the_branch_s_own_upstream_counts_whatever_its_remote_is_called(repository, tmp_path):
    remote(repository, tmp_path, "fork")
    git(repository, "push", "--quiet", "--set-upstream", "fork", "main")
    commit(repository, "two")
    assert find_base(repository, {}).reason == "the merge base of HEAD with fork/main"


def test_a_pushed_branch_is_compared_with_main_and_not_with_its_own_upstream(repository, tmp_path):
    start = git(repository, "rev-parse", "--short=10", "HEAD")
    remote(repository, tmp_path, "origin")
    git(repository, "fetch", "--quiet", "origin")
    git(repository, "checkout", "--quiet", "-b", "feature")
    commit(repository, "two")
    git(repository, "push", "--quiet", "--set-upstream", "origin", "feature")
    assert find_base(repository, {}).commit == start


def test_the_remote_s_main_goes_before_a_local_one_that_fell_behind(repository, tmp_path):
    commit(repository, "two")
    remote(repository, tmp_path, "origin")
    git(repository, "fetch", "--quiet", "origin")
    two = git(repository, "rev-parse", "--short=10", "HEAD")
    git(repository, "checkout", "--quiet", "-b", "feature")
    git(repository, "branch", "--force", "main", "HEAD~1")
    commit(repository, "three")
    assert find_base(repository, {}).commit == two


@pytest.mark.parametrize("name", ["main", "HEAD~1", "tagged"])
def test_a_base_that_is_named_is_taken_as_it_is(repository, name):
    first = git(repository, "rev-parse", "--short=10", "HEAD")
    git(repository, "tag", "tagged")
    git(repository, "checkout", "--quiet", "-b", "feature")
    commit(repository, "two")
    assert find_base(repository, {}, name).commit == first


@pytest.mark.parametrize("name", ["nosuch", "--help", "-x", ""])
def test_a_base_that_is_no_revision_is_refused(repository, name):
    with pytest.raises(UsageError, match="is no revision"):
        find_base(repository, {}, name)


def test_a_repository_without_a_commit_is_refused(tmp_path):
    git(tmp_path, "init", "--quiet")
    with pytest.raises(PipelineError, match="no commit yet"):
        find_base(tmp_path, {})


def test_without_a_default_branch_the_message_says_to_name_one(repository):
    git(repository, "branch", "--move", "main", "trunk")
    with pytest.raises(PipelineError, match="no default branch") as raised:
        find_base(repository, {})
    assert "--base REV" in str(raised.value)


def test_a_shallow_clone_without_history_says_how_to_fetch_it(repository, tmp_path):
    git(repository, "checkout", "--quiet", "-b", "feature")
    commit(repository, "two")
    git(repository, "checkout", "--quiet", "main")
    commit(repository, "three")
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--no-single-branch", f"file://{repository}", "shallow")
    shallow = tmp_path / "shallow"
    git(shallow, "checkout", "--quiet", "--detach", "origin/feature")
    with pytest.raises(PipelineError, match="shallow") as raised:
        find_base(shallow, {})
    assert "git fetch --unshallow" in str(raised.value)


def test_unrelated_histories_say_to_name_a_base(repository):
    git(repository, "checkout", "--quiet", "--orphan", "other")
    commit(repository, "another start")
    with pytest.raises(PipelineError, match="no common commit") as raised:
        find_base(repository, {})
    assert "--base REV" in str(raised.value)


def test_git_that_is_not_installed_is_said(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(PipelineError, match="git is not installed"):
        find_base(repository, {})


def test_gitlab_s_merge_request_is_compared_with_the_branch_that_it_asks_to_enter(repository, tmp_path):
    remote(repository, tmp_path, "origin")
    git(repository, "checkout", "--quiet", "-b", "develop")
    entered = commit(repository, "two")
    git(repository, "push", "--quiet", "origin", "develop")
    git(repository, "checkout", "--quiet", "--detach")
    commit(repository, "three")
    assert find_base(repository, {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "develop"}).commit == entered


@pytest.mark.parametrize("name", ["GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"])
def test_no_other_branch_stands_in_for_a_target_that_was_not_fetched(repository, tmp_path, name):
    git(repository, "checkout", "--quiet", "-b", "feature")
    commit(repository, "two")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", "shallow")
    with pytest.raises(PipelineError, match=r"the branch 'main', which this change asks to enter, is not here .*shallow") as raised:
        find_base(tmp_path / "shallow", {name: "main"})
    remedy = str(raised.value).partition("→ ")[2].partition(";")[0]
    assert remedy == "git fetch --unshallow origin main:refs/remotes/origin/main"
    git(tmp_path / "shallow", *remedy.split()[1:])
    assert find_base(tmp_path / "shallow", {name: "main"}).commit == git(repository, "rev-parse", "--short=10", "main")
    with pytest.raises(PipelineError, match="is not here"):
        find_base(repository, {name: "develop"})


def test_a_base_that_a_shallow_clone_lacks_says_how_to_fetch_it(repository, tmp_path):
    first = git(repository, "rev-parse", "HEAD")
    commit(repository, "two")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", "shallow")
    with pytest.raises(UsageError, match="shallow") as raised:
        find_base(tmp_path / "shallow", {}, first)
    assert "git fetch --unshallow" in str(raised.value)


def test_a_branch_that_has_gone_on_since_is_counted_by_what_its_commits_touch(repository):
    git(repository, "checkout", "--quiet", "-b", "feature")
    commit(repository, "two")
    git(repository, "checkout", "--quiet", "main")
    commit(repository, "three")
    (repository / "params.yaml").write_text("a: 1")
    commit(repository, "four")
    git(repository, "checkout", "--quiet", "feature")
    base = find_base(repository, {})
    assert commits_since(repository, base) == 2
    assert commits_since(repository, base, ["params.yaml"]) == 1
    assert commits_since(repository, find_base(repository, {}, "main")) == 0


def test_a_file_of_a_commit_is_given_byte_for_byte(repository):
    (repository / "below").mkdir()
    (repository / "below/bytes").write_bytes(b"\xff\n")
    commit(repository, "two")
    (repository / "below/bytes").write_text("changed")
    assert file_at(repository, "HEAD", "below/bytes") == b"\xff\n"
    assert file_at(repository / "below", "HEAD", "bytes") == b"\xff\n"
    assert file_at(repository, "HEAD~1", "below/bytes") is None
