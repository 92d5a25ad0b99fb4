"""Objects are read to their end and named where they are not what their names promise."""

import hashlib

import pytest
from dvc.fs import localfs
from dvc_data.hashfile.db import get_odb

from seatrial.stored import SHOWN, Fault, Store, Stored, copy, listed


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def store(tmp_path):
    return Store(get_odb(localfs, str(tmp_path / "store"), hash_name="md5"), "the store")


def put(store, promised, data):
    """An object that promises `promised` and holds `data`, read-only as DVC leaves it."""
    stored = Stored(oid=md5(promised), name="out/file", size=len(promised))
    path = store.path(stored)
    localfs.makedirs(localfs.parent(path), exist_ok=True)
    with localfs.open(path, "wb") as stream:
        stream.write(data)
    store.odb.protect(path)
    return stored


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (b"promised", None),
        (b"promise", "truncated in the store (7 of 8 bytes)"),
        (b"", "truncated in the store (0 of 8 bytes)"),
        (b"promisea", f"corrupt in the store (8 bytes that hash to {md5(b'promisea')})"),
        (b"promised!", f"corrupt in the store (9 bytes that hash to {md5(b'promised!')})"),
    ],
)
def test_an_object_is_what_its_name_promises_or_named(store, held, said):
    fault = store.fault(put(store, b"promised", held))
    assert (fault and str(fault)) == (said and f"out/file: object {md5(b'promised')} is {said}")


def test_an_object_that_is_not_there_is_missing(store):
    fault = store.fault(Stored(oid="0" * 32, name="out"))
    assert (fault.kind, str(fault)) == ("missing", f"out: object {'0' * 32} is missing in the store")


def test_the_list_of_a_folder_hashes_to_its_name_without_the_suffix(store):
    put(store, b"[]", b"[]")
    stored = Stored(oid=md5(b"[]") + ".dir", name="out")
    localfs.copy(store.path(Stored(oid=md5(b"[]"), name="out")), store.path(stored))
    assert store.fault(stored) is None


def test_faults_come_in_the_order_of_the_objects(store):
    good, bad = put(store, b"good", b"good"), put(store, b"better", b"bitter")
    gone = Stored(oid="1" * 32, name="gone")
    assert [fault.stored for fault in store.faults([gone, good, bad], "reading")] == [gone, bad]


def test_what_reaches_the_cache_and_is_not_whole_is_taken_away_again(store, tmp_path):
    cache = Store(get_odb(localfs, str(tmp_path / "cache"), hash_name="md5"), "the cache")
    good, bad = put(store, b"good", b"good"), put(store, b"better", b"bitter")
    gone = Stored(oid="1" * 32, name="gone")
    failed = copy([gone, good, bad], store, cache, "copying")
    assert list(failed) == [gone.oid]
    assert [fault.kind for fault in cache.faults([gone, good, bad], "reading")] == ["missing", "missing"]
    assert cache.fault(good) is None


def test_a_whole_copy_takes_the_place_of_a_corrupt_one(store, tmp_path):
    cache = Store(get_odb(localfs, str(tmp_path / "cache"), hash_name="md5"), "the cache")
    put(cache, b"good", b"evil")
    good = put(store, b"good", b"good")
    assert copy([good], store, cache, "copying") == {}
    assert cache.fault(good) is None


def test_ten_faults_are_shown_and_the_rest_is_counted():
    faults = [Fault(stored=Stored(oid=str(number), name=f"f{number}"), place="there", kind="missing") for number in range(SHOWN + 3)]
    lines = listed(faults).splitlines()
    assert len(lines) == SHOWN + 1
    assert lines[-1] == "  … and 3 more"
    assert "more" not in listed(faults[:SHOWN])
