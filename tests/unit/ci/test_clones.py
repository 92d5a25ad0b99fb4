"""Clones hold what is committed and what upstream has, and nothing else."""

import subprocess

import pytest

from seatrial.ci.clones import check_out, clone, resolve
from seatrial.ci.source import committed_yaml, describe, uncommitted
from seatrial.errors import PipelineError, UsageError
from seatrial.merge_base import git


def run(folder, *arguments):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A clone whose branch `topic` has left upstream's `main` by one commit."""
    upstream, root = tmp_path_factory.mktemp("upstream"), tmp_path_factory.mktemp("clones") / "work"
    run(upstream, "init", "-q", "-b", "main")
    (upstream / "file.yml").write_text("a: 1\n")
    run(upstream, "add", "-A")
    run(upstream, "commit", "-qm", "one")
    run(upstream.parent, "clone", "-q", str(upstream), str(root))
    run(root, "checkout", "-q", "-b", "topic")
    (root / "file.yml").write_text("a: 2\n")
    run(root, "commit", "-qam", "two")
    run(root, "branch", "-q", "-D", "main")
    (root / "file.yml").write_text("a: 3\n")
    (root / "new.txt").write_text("x")
    return root


def asked(root, **more):
    return describe(root, **{"actor": "ann", "event": "", "variables": {}, "inputs": {}} | more)


def test_a_clone_is_clean_and_knows_upstream_s_branches(repository, tmp_path):
    source = asked(repository)
    clone(repository, tmp_path / "made", source.head)
    assert (tmp_path / "made/file.yml").read_text() == "a: 2\n"
    assert not (tmp_path / "made/new.txt").exists()
    assert git(tmp_path / "made", "rev-parse", "origin/main") == source.base != source.head
    assert git(tmp_path / "made", "symbolic-ref", "--quiet", "HEAD") is None
    assert uncommitted(repository) == ["file.yml", "new.txt"]


@pytest.mark.parametrize("clean", [True, False])
def test_a_second_checkout_keeps_what_lies_there_only_where_it_is_asked_to(repository, tmp_path, clean):
    source = asked(repository)
    clone(repository, tmp_path / "made", source.base)
    (tmp_path / "made/left.txt").write_text("x")
    (tmp_path / "made/file.yml").write_text("changed")
    check_out(tmp_path / "made", source.head, clean=clean)
    assert (tmp_path / "made/left.txt").exists() is not clean
    assert (tmp_path / "made/file.yml").read_text() == "a: 2\n"


def test_a_ref_is_a_branch_here_or_upstream_or_a_commit(repository):
    source = asked(repository)
    assert resolve(repository, "refs/heads/topic") == resolve(repository, source.head) == source.head
    assert resolve(repository, "main") == source.base
    for ref in ("nowhere", "--all"):
        with pytest.raises(PipelineError, match="no commit"):
            resolve(repository, ref)


def test_a_file_is_read_as_it_is_committed(repository):
    assert committed_yaml(repository, "file.yml") == {"a": 2}
    with pytest.raises(UsageError, match="commit it first"):
        committed_yaml(repository, "new.txt")


def test_where_nothing_is_committed_nothing_can_be_cloned(tmp_path):
    run(tmp_path, "init", "-q")
    with pytest.raises(PipelineError, match="has no commit"):
        asked(tmp_path)
