"""Parts in S3, against a real S3 protocol server, with what DVC's configuration says."""

import os
import subprocess

import polars as pl
import pytest
from moto.server import ThreadedMotoServer

from seatrial import object_store
from seatrial.errors import DataError
from seatrial.object_store import remote_for
from seatrial.predict import predict
from seatrial.project import Project
from seatrial.serving.runtime import Runtime
from seatrial.sources import batches, columns_of, data_digest, parts_of
from tests.bundles import make_bundle, make_rows


@pytest.fixture(scope="module")
def store():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(store, monkeypatch, tmp_path):
    import boto3

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    object_store._file_system.cache_clear()
    client = boto3.client("s3", endpoint_url=store, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1")
    client.create_bucket(Bucket="tables")
    yield client
    for item in client.list_objects_v2(Bucket="tables").get("Contents", []):
        client.delete_object(Bucket="tables", Key=item["Key"])
    client.delete_bucket(Bucket="tables")


def project_of(folder, store, raw, *, remote="s3://tables/cache", credentials=True, **data):
    options = "".join(f", {name}: {value}" for name, value in data.items())
    (folder / "params.yaml").write_text(f"model: {{name: m}}\ndata: {{raw: '{raw}', target: a{options}}}\n")
    (folder / ".dvc").mkdir(exist_ok=True)
    lines = ["[core]", "    remote = storage", "['remote \"storage\"']", f"    url = {remote}", f"    endpointurl = {store}"]
    (folder / ".dvc/config").write_text("\n".join(lines) + "\n")
    keys = ["['remote \"storage\"']", "    access_key_id = key", "    secret_access_key = secret", "    region = us-east-1"]
    (folder / ".dvc/config.local").write_text("\n".join(keys) + "\n" if credentials else "")
    return Project(root=folder, env={})


def rows_of(project):
    data = project.settings.data
    return pl.concat([batch for part in parts_of(project) for batch in batches(part, data)]).rows()


def parquet(frame):
    from io import BytesIO

    stream = BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()


def test_one_object_is_read_with_the_remotes_endpoint_and_keys(store, bucket, tmp_path):
    bucket.put_object(Bucket="tables", Key="raw/t.csv", Body=b"a,b\n1,x\n")
    project = project_of(tmp_path, store, "s3://tables/raw/t.csv")
    assert rows_of(project) == [("1", "x")]
    (part,) = parts_of(project)
    assert part.name == "s3://tables/raw/t.csv"
    assert part.digest.startswith("etag:")


@pytest.mark.parametrize(("raw", "data"), [("s3://tables/raw", {}), ("s3://tables/raw/", {"pattern": "'*/t*'"})])
def test_a_prefix_and_a_pattern_are_parts_with_partitions(store, bucket, tmp_path, raw, data):
    for month in ("01", "02"):
        frame = pl.DataFrame({"a": [int(month)], "b": ["x"]})
        bucket.put_object(Bucket="tables", Key=f"raw/month={month}/t.parquet", Body=parquet(frame))
    bucket.put_object(Bucket="tables", Key="raw/readme.md", Body=b"no part")
    project = project_of(tmp_path, store, raw, partitions="[month]", **data)
    assert rows_of(project) == [(1, "x", "01"), (2, "x", "02")]
    assert columns_of(parts_of(project)[0], project.settings.data) == {"a": "Int64", "b": "String", "month": "String"}


def test_packed_csv_is_unpacked_on_the_way(store, bucket, tmp_path):
    import gzip

    bucket.put_object(Bucket="tables", Key="raw/t.csv.gz", Body=gzip.compress(b"a,b\n1,x\n"))
    assert rows_of(project_of(tmp_path, store, "s3://tables/raw/t.csv.gz")) == [("1", "x")]


def test_another_object_has_another_digest(store, bucket, tmp_path):
    project = project_of(tmp_path, store, "s3://tables/raw/t.csv")
    digests = []
    for body in (b"a\n1\n", b"a\n2\n"):
        bucket.put_object(Bucket="tables", Key="raw/t.csv", Body=body)
        object_store._file_system.cache_clear()
        digests.append(data_digest(parts_of(project)))
    assert digests[0] != digests[1]


def test_an_object_that_changes_while_it_is_read_is_refused(store, bucket, tmp_path):
    bucket.put_object(Bucket="tables", Key="raw/t.csv", Body=b"a\n1\n")
    project = project_of(tmp_path, store, "s3://tables/raw/t.csv")
    (part,) = parts_of(project)
    bucket.put_object(Bucket="tables", Key="raw/t.csv", Body=b"a\n1\n2\n")
    with pytest.raises(DataError, match="changed while it was read"):
        list(batches(part, project.settings.data))


def test_what_is_not_there_or_not_allowed_is_refused_in_one_sentence(store, bucket, tmp_path):
    with pytest.raises(DataError, match="there is no table at s3://tables/none"):
        parts_of(project_of(tmp_path, store, "s3://tables/none.csv"))
    object_store._file_system.cache_clear()
    with pytest.raises(DataError, match=r"s3://tables/t\.csv cannot be read .*redentials"):
        parts_of(project_of(tmp_path, store, "s3://tables/t.csv", credentials=False))
    object_store._file_system.cache_clear()
    with pytest.raises(DataError, match=r"s3://tables/t\.csv cannot be read"):
        parts_of(project_of(tmp_path, "http://127.0.0.1:9", "s3://tables/t.csv"))


@pytest.mark.parametrize("remote", ["s3://tables/raw", "s3://tables", "s3://other"])
def test_the_remote_is_the_one_that_covers_the_address_or_the_default(store, tmp_path, remote):
    project = project_of(tmp_path, store, "s3://tables/raw/t.csv", remote=remote)
    found = remote_for(project.root, "s3://tables/raw/t.csv")
    assert (found["url"], found["endpointurl"]) == ("s3://tables/raw/t.csv", store)


def test_a_default_remote_that_is_no_object_store_says_nothing(tmp_path):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    remote = disk\n['remote \"disk\"']\n    url = /cache\n")
    assert remote_for(tmp_path, "s3://tables/t.csv") == {"url": "s3://tables/t.csv"}


def test_a_repository_that_this_process_stands_in_by_chance_is_not_asked(tmp_path, monkeypatch):
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "project"
    root.mkdir()
    (elsewhere / ".dvc" / "tmp").mkdir(parents=True)
    (elsewhere / ".dvc" / "config").write_text(
        "[core]\n    remote = store\n['remote \"store\"']\n    url = s3://tables\n    profile = theirs\n"
    )
    monkeypatch.chdir(elsewhere)
    assert remote_for(root, "s3://tables/t.csv") == {"url": "s3://tables/t.csv"}
    below = elsewhere / "models" / "first"
    below.mkdir(parents=True)
    assert remote_for(below, "s3://tables/t.csv")["profile"] == "theirs"


def test_the_longest_remote_wins(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".dvc").mkdir()
    text = "".join(
        f"['remote \"{name}\"']\n    url = {url}\n    profile = {name}\n"
        for name, url in (("wide", "s3://tables"), ("near", "s3://tables/raw"))
    )
    (tmp_path / ".dvc/config").write_text(text)
    assert remote_for(tmp_path, "s3://tables/raw/t.csv")["profile"] == "near"
    assert remote_for(tmp_path, "s3://tables/rawer/t.csv")["profile"] == "wide"


def test_a_table_in_the_store_is_scored_as_one_on_disk_is(store, bucket, tmp_path):
    rows = pl.DataFrame(make_rows(120), infer_schema_length=None)
    bucket.put_object(Bucket="tables", Key="asked/a.csv", Body=rows[:50].write_csv().encode())
    bucket.put_object(Bucket="tables", Key="asked/b.parquet", Body=parquet(rows[50:]))
    project = project_of(tmp_path, store, "s3://tables/other.csv")
    runtime, data = Runtime(make_bundle(tmp_path / "bundle")), project.settings.data
    rows.write_csv(tmp_path / "rows.csv")
    predict(tmp_path / "rows.csv", tmp_path / "local.csv", runtime, data, version="1")
    found = predict("s3://tables/asked", tmp_path / "stored.csv", runtime, data, version="1", root=project.root)
    assert found.rows == 120
    assert (tmp_path / "stored.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    with pytest.raises(DataError, match="there is no table at s3://tables/none"):
        predict("s3://tables/none", tmp_path / "none.csv", runtime, data, version="1", root=project.root)
