"""Bundles: one digest over every byte; whatever is not what the manifest says is refused."""

import json
import os

import pytest

from seatrial.bundle import (
    GOLDEN,
    MANIFEST,
    MODEL,
    Input,
    Manifest,
    Target,
    Training,
    load_bundle,
    read_digest,
    write_bundle,
)
from seatrial.errors import BundleError
from seatrial.files import canonical_json, sha256_bytes
from seatrial.manifest import MAX_BYTES
from seatrial.store import store_bundle

FILES = {MODEL: b"model", GOLDEN: b'[{"row": {"size": 1}, "probability": 0.5}]'}


def manifest(**changes):
    return Manifest(
        **{
            "inputs": (Input(name="size", type="number", nullable=True),),
            "target": Target(name="left", classes=("no", "yes"), positive="yes"),
            "threshold": 0.5,
            "training": Training(data="md5:0", rows=10, estimator="tree", params={"seed": 0}),
            "libraries": {"onnx": "1"},
            "files": {MODEL: ""},
        }
        | changes
    )


@pytest.fixture
def folder(tmp_path):
    write_bundle(tmp_path / "model", manifest(), FILES)
    return tmp_path / "model"


def rewrite(folder, **changes):
    """Give the manifest other fields, canonically, as somebody who forges one would."""
    value = json.loads((folder / MANIFEST).read_bytes()) | changes
    (folder / MANIFEST).write_bytes(canonical_json(value))


def refused(folder, words, **options):
    with pytest.raises(BundleError) as raised:
        load_bundle(folder, **options)
    assert words in str(raised.value)


def test_a_bundle_reads_back_as_it_was_written(folder):
    bundle = load_bundle(folder)
    assert (bundle.model, bundle.golden[0]["probability"]) == (b"model", 0.5)
    assert bundle.digest == sha256_bytes((folder / MANIFEST).read_bytes()) == read_digest(folder)
    assert bundle.size == sum(map(len, FILES.values()))
    assert load_bundle(folder, expected=bundle.digest) == bundle


def test_the_same_files_give_the_same_digest_wherever_they_lie(tmp_path, folder):
    again = write_bundle(tmp_path / "elsewhere", manifest(), dict(reversed(FILES.items())))
    assert again == read_digest(folder)


@pytest.mark.parametrize("change", [{"threshold": 0.4}, {"id": "key"}, {"libraries": {"onnx": "2"}}, {"groups": ("size",)}])
def test_each_field_is_part_of_the_digest(tmp_path, folder, change):
    assert write_bundle(tmp_path / "other", manifest(**change), FILES) != read_digest(folder)


def test_writing_replaces_the_folder_whole(tmp_path, folder):
    (folder / "left over").write_text("old")
    write_bundle(folder, manifest(), FILES)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*FILES, MANIFEST])
    assert list(tmp_path.iterdir()) == [folder]


def test_a_promise_of_another_digest_is_refused(folder):
    refused(folder, "expected sha256:0", expected="sha256:0")


@pytest.mark.parametrize("name", list(FILES))
def test_one_changed_byte_is_refused(folder, name):
    data = bytearray((folder / name).read_bytes())
    for place in range(len(data)):
        changed = data.copy()
        changed[place] ^= 1
        (folder / name).write_bytes(changed)
        refused(folder, f"{name} is not the file of the manifest")


@pytest.mark.parametrize("name", list(FILES))
def test_a_file_that_is_missing_is_refused(folder, name):
    (folder / name).unlink()
    refused(folder, f"{name} is missing or not a regular file")


def test_a_link_is_refused_even_to_the_right_bytes(folder, tmp_path):
    (folder / MODEL).rename(tmp_path / "bytes")
    (folder / MODEL).symlink_to(tmp_path / "bytes")
    refused(folder, "not a regular file")


def test_a_pipe_is_refused_and_not_waited_for(folder):
    (folder / MODEL).unlink()
    os.mkfifo(folder / MODEL)
    refused(folder, "not a regular file")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", ".", MANIFEST])
def test_a_path_in_the_manifest_is_refused(folder, tmp_path, name):
    (tmp_path / "secret").write_bytes(b"secret")
    files = {path: sha256_bytes(data) for path, data in FILES.items()}
    rewrite(folder, files=files | {name: sha256_bytes(b"secret")})
    refused(folder, "the manifest names")


def test_a_file_that_is_too_large_is_refused_before_it_is_read(folder, monkeypatch):
    monkeypatch.setitem(MAX_BYTES, MODEL, len(b"model") - 1)
    refused(folder, "has 5 bytes, more than 4")
    monkeypatch.setitem(MAX_BYTES, MODEL, len(b"model"))
    assert load_bundle(folder).model == b"model"
    monkeypatch.setitem(MAX_BYTES, MODEL, len(b"model") + 1)
    assert load_bundle(folder).model == b"model"


@pytest.mark.parametrize("name", [MODEL, GOLDEN])
def test_a_manifest_without_a_model_or_golden_rows_is_refused(folder, name):
    files = {path: sha256_bytes(data) for path, data in FILES.items() if path != name}
    rewrite(folder, files=files)
    refused(folder, f"lists no {name}")


def test_a_manifest_that_is_not_written_canonically_is_refused(folder):
    value = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps(value, indent=2))
    refused(folder, "not written canonically")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"task": "regression"},
        {"inputs": []},
        {"threshold": 2},
        {"threshold": None},
        {"loader": "os.system"},
        {"target": {"name": "left", "classes": ["no", "yes"], "positive": "no"}},
        {"inputs": [{"name": "size", "type": "pickle", "nullable": True}]},
        {"files": {}},
        {"training": "unknown"},
    ],
)
def test_a_manifest_with_a_strange_field_is_refused(folder, changes):
    rewrite(folder, **changes)
    refused(folder, "is no manifest of format 1")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_manifest_that_is_torn_is_refused(folder, data):
    (folder / MANIFEST).write_bytes(data)
    refused(folder, "is no manifest of format 1")


def test_a_folder_without_a_manifest_says_to_train(tmp_path):
    refused(tmp_path / "nosuch", "train first: nox -s train")
    (tmp_path / "model" / MANIFEST).mkdir(parents=True)
    refused(tmp_path / "model", "not a regular file, but a folder")


def test_the_store_keeps_a_bundle_by_its_digest_and_read_only(folder, tmp_path):
    bundle = load_bundle(folder)
    stored = store_bundle(bundle, tmp_path / "store")
    assert stored.name == bundle.digest.removeprefix("sha256:")
    assert {path.stat().st_mode & 0o777 for path in stored.iterdir()} == {0o444}
    assert store_bundle(bundle, tmp_path / "store") == stored


def test_the_store_mends_what_was_changed_in_it(folder, tmp_path):
    bundle = load_bundle(folder)
    stored = store_bundle(bundle, tmp_path / "store")
    (stored / MODEL).chmod(0o644)
    (stored / MODEL).write_bytes(b"forged")
    assert load_bundle(store_bundle(bundle, tmp_path / "store")).model == b"model"
