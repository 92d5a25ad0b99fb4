"""DVC's remote over a real S3 protocol server: what is whole travels, what is not is named, and nothing is lost where it fails."""

import os
import shutil
import subprocess
import sys

import pytest

from seatrial import remote
from seatrial.errors import BusyError, PipelineError
from seatrial.pipeline import reproduce
from seatrial.project import Project
from tests.dvc_projects import begun, commit, dvc, environment, git, make_project
from tests.stores import Door, s3_server

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIAPLANTEDKEY", "AWS_SECRET_ACCESS_KEY": "planted/secret/42", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def store():
    with s3_server() as (address, client):
        client.create_bucket(Bucket="data")
        yield address, client


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    """A project whose table is DVC's, trained, with a remote that only the environment leads to."""
    project = make_project(tmp_path_factory.mktemp("remote") / "project")
    (project.root / ".gitignore").write_text((project.root / ".gitignore").read_text() + "/data/raw.csv\n")
    git(project.root, "rm", "--quiet", "--cached", "data/raw.csv")
    dvc(project, "add", "data/raw.csv")
    dvc(project, "remote", "add", "--default", "storage", "s3://data/project")
    reproduce(project)
    commit(project.root)
    return project


@pytest.fixture
def copied(trained, store, monkeypatch, tmp_path):
    """The same in a folder of its own; the environment is that of the store's user."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "DVC_"))]:
        monkeypatch.delenv(name)
    address, _ = store
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": address, "AWS_CONFIG_FILE": str(tmp_path / "none")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)  # DVC asks git about a path from here, and what is ignored here counts
    shutil.copytree(trained.root, tmp_path / "project", symlinks=True)
    return Project(root=tmp_path / "project", env=environment(tmp_path / "project", **credentials()))


@pytest.fixture
def pushed(copied, store):
    """The same, pushed."""
    _, client = store
    remote.push(copied)
    yield copied
    for key in keys(client):
        client.delete_object(Bucket="data", Key=key)


def credentials():
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def clone_of(project, folder):
    git(project.root, "clone", "--quiet", str(project.root), str(folder))
    return Project(root=folder, env=environment(folder, **credentials()))


def keys(client):
    return [item["Key"] for item in client.list_objects_v2(Bucket="data").get("Contents", [])]


def key_of(client, project, name):
    """The key of the object of a file, by its bytes' hash."""
    from seatrial.files import md5_of

    digest = md5_of(project.root / name).removeprefix("md5:")
    return f"project/files/md5/{digest[:2]}/{digest[2:]}"


def oid(key):
    return key[-33:].replace("/", "")


def cached(project, key):
    return project.root / ".dvc/cache" / key.removeprefix("project/")


def objects_in_cache(project):
    return sorted(
        path.relative_to(project.root / ".dvc/cache").as_posix()
        for path in (project.root / ".dvc/cache/files").rglob("*")
        if path.is_file()
    )


def test_a_clone_pulls_trains_nothing_and_verifies(pushed, store, tmp_path):
    _, client = store
    clone = clone_of(pushed, tmp_path / "clone")
    pulled = remote.pull(clone)
    assert (pulled.here, pulled.left, pulled.fetched) == (("artifacts/model", "data/raw.csv"), (), 4)
    assert len(keys(client)) == 4
    reproduce(clone)
    assert begun(clone) == []
    assert git(clone.root, "status", "--short") == ""
    found = remote.verify(clone)
    assert found.holds
    assert found.objects == 4
    assert remote.pull(clone).fetched == 0
    assert remote.push(clone).sent == 0


def test_only_what_changed_stages_need_is_pulled(pushed, tmp_path):
    clone = clone_of(pushed, tmp_path / "clone")
    (clone.root / "measure.py").write_text((clone.root / "measure.py").read_text() + "# another measure\n")
    (clone.root / "params.yaml").write_text("model: {name: m}\ndata: {raw: s3://data/elsewhere.csv, target: a}\ntrain: {seed: 0}\n")
    clone = Project(root=clone.root, env=clone.env)
    pulled = remote.pull(clone)
    assert (pulled.here, pulled.left, pulled.fetched) == (("artifacts/model",), ("data/raw.csv",), 3)
    assert len(objects_in_cache(clone)) == 3
    reproduce(clone)
    assert begun(clone) == []  # the table is not here, and nothing that changed takes it
    assert not (clone.root / "data/raw.csv").exists()
    assert remote.pull(clone, everything=True).fetched == 1


def test_what_will_be_made_again_is_not_pulled(pushed, tmp_path):
    clone = clone_of(pushed, tmp_path / "clone")
    params = clone.root / "params.yaml"
    params.write_text(params.read_text().replace("seed: 0", "seed: 1"))
    pulled = remote.pull(Project(root=clone.root, env=clone.env))
    assert (pulled.here, pulled.left, pulled.fetched) == (("data/raw.csv",), ("artifacts/model",), 1)
    reproduce(clone)
    assert len(begun(clone)) == 1
    assert remote.verify(clone).holds  # another seed, the same bytes


def test_damaged_objects_of_the_remote_are_named_and_never_reach_the_folder(pushed, store, tmp_path):
    _, client = store
    table, model = key_of(client, pushed, "data/raw.csv"), key_of(client, pushed, "artifacts/model/model.bin")
    gone = key_of(client, pushed, "artifacts/model/manifest.json")
    client.put_object(Bucket="data", Key=table, Body=b"a,b")
    client.put_object(Bucket="data", Key=model, Body=b"a,b\n1,3\n" * 500)
    client.delete_object(Bucket="data", Key=gone)
    named = {
        "data/raw.csv": f"object {oid(table)} is truncated in remote 'storage' (3 of 8 bytes)",
        "artifacts/model/model.bin": f"object {oid(model)} is corrupt in remote 'storage' (4,000 bytes that hash to ",
        "artifacts/model/manifest.json": f"object {oid(gone)} is missing in remote 'storage'",
    }
    found = remote.verify(pushed)
    assert {fault.stored.name: str(fault)[len(fault.stored.name) + 2 :][: len(named[fault.stored.name])] for fault in found.faults} == named
    clone = clone_of(pushed, tmp_path / "clone")
    with pytest.raises(PipelineError) as refused:
        remote.pull(clone)
    assert f"artifacts/model/manifest.json: {named['artifacts/model/manifest.json']}" in refused.value.message
    assert not (clone.root / "artifacts").exists()
    assert not (clone.root / "data/raw.csv").exists()
    assert not {key.removeprefix("project/") for key in (table, model, gone)} & set(objects_in_cache(clone))
    assert "Everything is up to date" in dvc(pushed, "push")  # DVC takes a folder that it sent once for whole
    with pytest.raises(PipelineError, match=r"data/raw\.csv: object .* is truncated"):
        remote.push(pushed)
    assert remote.push(pushed, replace=True).sent == 2
    assert remote.verify(pushed).holds
    assert remote.pull(clone).here == ("artifacts/model", "data/raw.csv")


def test_a_corrupt_object_of_the_cache_is_found_before_it_goes(pushed, store):
    _, client = store
    key = key_of(client, pushed, "artifacts/model/model.bin")
    client.delete_object(Bucket="data", Key=key)
    client.delete_object(Bucket="data", Key=next(name for name in keys(client) if name.endswith(".dir")))
    damaged = cached(pushed, key)
    damaged.chmod(0o644)
    damaged.write_bytes(b"z" + damaged.read_bytes()[1:])
    damaged.chmod(0o444)
    before = keys(client)
    with pytest.raises(
        PipelineError, match=r"nothing was sent.*\n.*artifacts/model/model\.bin: object .* is corrupt in the cache"
    ) as error:
        remote.push(pushed)
    assert keys(client) == before
    assert damaged.name in error.value.hint
    assert "2 files pushed" in dvc(pushed, "push")  # DVC does not notice, and sends it
    assert [fault.kind for fault in remote.verify(pushed).faults] == ["corrupt"]


def test_a_corrupt_object_of_the_cache_is_replaced_by_a_pull(pushed, store):
    _, client = store
    damaged = cached(pushed, key_of(client, pushed, "artifacts/model/model.bin"))
    whole = damaged.read_bytes()
    damaged.chmod(0o644)
    damaged.write_bytes(whole[:10])
    damaged.chmod(0o444)
    shutil.rmtree(pushed.root / "artifacts")
    pulled = remote.pull(pushed)
    assert (pulled.fetched, pulled.replaced) == (1, 1)
    assert damaged.read_bytes() == whole == (pushed.root / "artifacts/model/model.bin").read_bytes()


def test_work_that_is_nowhere_else_is_not_overwritten(pushed):
    table = pushed.root / "data/raw.csv"
    table.chmod(0o644)
    table.write_text("a,b\nmy,work\n")
    remote.pull(pushed)
    assert table.read_text() == "a,b\nmy,work\n"
    with pytest.raises(PipelineError, match=r"raw\.csv"):
        remote.pull(pushed, everything=True)
    assert table.read_text() == "a,b\nmy,work\n"
    found = remote.verify(pushed)
    assert not found.holds
    assert found.stages == ("data/raw.csv.dvc", "train", "measure")


@pytest.mark.parametrize(
    ("variables", "url", "message"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "s3://data/project", "cannot be reached"),
        ({}, "s3://nowhere/project", "there is no such bucket"),
        ({"AWS_ACCESS_KEY_ID": ""}, "s3://data/project", "refuses this access"),
    ],
)
def test_a_remote_that_cannot_be_used_is_said_in_one_sentence(copied, monkeypatch, variables, url, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value) if value else [monkeypatch.delenv(key) for key in CREDENTIALS]
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    dvc(copied, "remote", "modify", "storage", "url", url)
    before = objects_in_cache(copied)
    for ask in (remote.push, remote.verify):
        with pytest.raises(PipelineError, match=f"remote 'storage'.* {message}") as error:
            ask(copied)
        assert error.value.hint
    assert objects_in_cache(copied) == before


def test_a_store_that_is_down_loses_nothing(pushed, store, monkeypatch):
    address, client = store
    client.delete_object(Bucket="data", Key=key_of(client, pushed, "data/raw.csv"))
    door = Door(address)
    door.mode = "busy"
    monkeypatch.setenv("AWS_ENDPOINT_URL", door.address)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(PipelineError, match="remote 'storage'"):
        remote.push(pushed)
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    door.close()
    assert remote.push(pushed).sent == 1
    assert remote.verify(pushed).holds


def test_while_dvc_is_at_work_nothing_is_sent(copied):
    from dvc.repo import Repo, lock_repo

    with lock_repo(Repo(str(copied.root))), pytest.raises(BusyError, match="DVC is busy"):
        remote.push(copied)


def test_without_a_remote_pull_says_what_is_here_and_push_and_verify_say_how_to_get_one(tmp_path):
    project = make_project(tmp_path / "project")
    pulled = remote.pull(project)
    assert (pulled.remote, pulled.fetched) == (None, 0)
    for ask in (remote.push, remote.verify):
        with pytest.raises(PipelineError, match="no remote is configured") as error:
            ask(project)
        assert "dvc remote add" in error.value.hint
    (project.root / "data/raw.csv").unlink()
    with pytest.raises(PipelineError, match=r"data/raw\.csv is not here, and no remote"):
        remote.pull(project)


def test_the_commands_say_it_by_exit_code_and_no_secret_is_written_anywhere(pushed, store):
    _, client = store
    client.delete_object(Bucket="data", Key=key_of(client, pushed, "data/raw.csv"))

    def run(verb, *more, expect):
        command = [sys.executable, "-m", "seatrial", verb, *more]
        done = subprocess.run(command, cwd=pushed.root, env=dict(pushed.env), capture_output=True, text=True, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    lacking = run("verify", expect=1)
    assert lacking.splitlines()[-1] == "verify: no, 0 stages to run, 1 objects missing or corrupt"
    sent = run("push", expect=0)
    assert "4 objects are in 'storage' and whole, each read back · 1 sent" in sent
    written = b"".join(path.read_bytes() for path in pushed.root.rglob("*") if path.is_file())
    for secret in (CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in lacking + sent
        assert secret.encode() not in written
