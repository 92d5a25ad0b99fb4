"""The content store: whole or not there, checked whenever it is opened, mended from its source or refused."""

import json
import multiprocessing
import os

import pytest

from seatrial.bundle import GOLDEN, MANIFEST, MODEL, load_bundle
from seatrial.errors import BundleError
from seatrial.store import find_damage, folder_of, open_stored, store_bundle
from tests.bundles import make_bundle


@pytest.fixture
def bundle(tmp_path):
    return make_bundle(tmp_path / "model")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "home/store"


def cut_short(folder):
    (folder / MODEL).chmod(0o644)
    os.truncate(folder / MODEL, 10)


def overwritten(folder):
    (folder / GOLDEN).chmod(0o644)
    (folder / GOLDEN).write_bytes(b"[]")


def without_manifest(folder):
    (folder / MANIFEST).unlink()


def without_model(folder):
    (folder / MODEL).unlink()


def with_a_file_more(folder):
    (folder / "model.pkl").touch()


def with_a_link(folder):
    (folder / MODEL).unlink()
    (folder / MODEL).symlink_to("/dev/zero")


def replaced_by_a_file(folder):
    folder.rename(folder.with_name("old"))
    folder.touch()


def replaced_by_a_link(folder):
    folder.rename(folder.with_name("old"))
    folder.symlink_to("old")


DAMAGE = [cut_short, overwritten, without_manifest, without_model, with_a_file_more, with_a_link, replaced_by_a_file, replaced_by_a_link]


def swapped_for_another(store, bundle, tmp_path):
    """Another good bundle under this one's name: nothing in it is torn."""
    other = make_bundle(tmp_path / "other", weight=-1.0)
    folder = store_bundle(bundle, store)
    for name in (MODEL, GOLDEN, MANIFEST):
        (folder / name).chmod(0o644)
        (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
    return other


def entries(store):
    return sorted(path.name for path in store.iterdir() if path.name != ".lock")


def test_a_bundle_is_kept_under_its_digest_and_read_only(bundle, store):
    folder = store_bundle(bundle, store)
    assert folder == store / bundle.digest.removeprefix("sha256:")
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
    assert open_stored(bundle.digest, store) == bundle
    assert entries(store) == [folder.name]


def test_putting_it_again_writes_nothing(bundle, store):
    folder = store_bundle(bundle, store)
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert store_bundle(bundle, store) == folder
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before


@pytest.mark.parametrize("digest", ["", "sha256:", "../model", "sha256:../" + "0" * 61, "sha256:" + "A" * 64, "0" * 65])
def test_what_is_no_digest_names_no_folder(store, digest):
    with pytest.raises(BundleError, match="is no digest"):
        folder_of(digest, store)


def test_a_digest_that_was_never_stored_is_refused(store):
    with pytest.raises(BundleError, match="cannot be used: there is no bundle"):
        open_stored("sha256:" + "0" * 64, store)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_refused_where_there_is_no_source(bundle, store, damage):
    damage(store_bundle(bundle, store))
    with pytest.raises(BundleError, match=f"the store's bundle {bundle.digest} cannot be used"):
        open_stored(bundle.digest, store)


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_mended_from_the_source_and_reported(bundle, store, damage):
    folder, said = store_bundle(bundle, store), []
    damage(folder)
    found = open_stored(bundle.digest, store, source=lambda: bundle, report=said.append)
    assert found == bundle == open_stored(bundle.digest, store)
    assert len(said) == 1
    assert said[0].startswith(f"store: {folder.name[:12]}… is fetched again: ")
    assert not [name for name in entries(store) if name.startswith(".")]


@pytest.mark.parametrize("damage", DAMAGE)
def test_putting_a_bundle_mends_what_is_there(bundle, store, damage):
    damage(store_bundle(bundle, store))
    assert load_bundle(store_bundle(bundle, store), expected=bundle.digest) == bundle


def test_a_good_bundle_under_another_name_is_refused(bundle, store, tmp_path):
    other = swapped_for_another(store, bundle, tmp_path)
    with pytest.raises(BundleError, match=other.digest):
        open_stored(bundle.digest, store)


def test_a_source_with_other_bytes_is_refused(bundle, store, tmp_path):
    other = make_bundle(tmp_path / "other", weight=-1.0)
    with pytest.raises(BundleError, match=f"its source has {other.digest}"):
        open_stored(bundle.digest, store, source=lambda: other)
    assert not store.exists()


def test_damage_is_listed_by_name_and_left_alone(bundle, store, tmp_path):
    assert find_damage(store) == ()
    good, bad = store_bundle(bundle, store), store_bundle(make_bundle(tmp_path / "other", weight=2.0), store)
    assert find_damage(store) == ()
    cut_short(bad)
    (store / "stranger").mkdir()
    found = find_damage(store)
    assert [one.partition(":")[0] for one in found] == sorted([bad.name[:19], "stranger"])
    assert "is not the file of the manifest" in " ".join(found)
    assert find_damage(store) == found
    assert good.name[:19] not in " ".join(found)


@pytest.mark.parametrize("step", ["write_files", "sync_folder"])
def test_a_writer_that_fails_leaves_no_bundle_and_no_rest(bundle, store, monkeypatch, step):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(f"seatrial.store.{step}", full)
        with pytest.raises(OSError, match="No space"):
            store_bundle(bundle, store)
    assert entries(store) == []
    assert open_stored(bundle.digest, store, source=lambda: bundle, report=print) == bundle


def test_a_writer_that_was_killed_is_no_obstacle(bundle, store):
    (store / ".writing-left/fresh").mkdir(parents=True)
    (store / ".writing-left/fresh" / MODEL).write_bytes(b"half")
    assert open_stored(bundle.digest, store, source=lambda: bundle, report=print) == bundle
    assert find_damage(store) == ()


def put_and_open(folder, store, start, answers):
    bundle = load_bundle(folder)
    start.wait()
    try:
        for _ in range(20):
            store_bundle(bundle, store)
            assert open_stored(bundle.digest, store) == bundle
        answers.put("good")
    except BaseException as error:  # noqa: BLE001 - the parent reads what it was
        answers.put(repr(error))


def damage_again_and_again(folder, store, start, answers):
    """What a failing disk does: the model's bytes change under everybody, twenty times."""
    bundle = load_bundle(folder)
    start.wait()
    for _ in range(20):
        stored = store_bundle(bundle, store)
        swap = stored.parent / f".swap-{os.getpid()}"
        swap.write_bytes(b"forged")
        try:
            swap.replace(stored / MODEL)
        except FileNotFoundError:
            swap.unlink()
    answers.put("damaged")


def run_together(workers, *arguments):
    context = multiprocessing.get_context("spawn")
    start, answers = context.Event(), context.Queue()
    processes = [context.Process(target=worker, args=(*arguments, start, answers), daemon=True) for worker in workers]
    try:
        for process in processes:
            process.start()
        start.set()
        return [answers.get(timeout=60) for _ in processes]
    finally:
        for process in processes:
            process.join(timeout=10)
            if process.is_alive():
                process.kill()


@pytest.mark.slow
def test_writers_at_once_are_harmless(tmp_path, bundle, store):
    assert run_together([put_and_open] * 4, tmp_path / "model", store) == ["good"] * 4
    assert entries(store) == [bundle.digest.removeprefix("sha256:")]


def read_only_good_bytes(folder, store, start, answers):
    bundle = load_bundle(folder)
    start.wait()
    seen = set()
    for _ in range(60):
        seen.add(open_stored(bundle.digest, store, source=lambda: bundle, report=lambda said: None).digest)
    answers.put(json.dumps(sorted(seen)))


@pytest.mark.slow
def test_damage_while_others_read_is_never_read(tmp_path, bundle, store):
    store_bundle(bundle, store)
    found = run_together([damage_again_and_again, read_only_good_bytes, read_only_good_bytes], tmp_path / "model", store)
    assert sorted(found) == sorted(["damaged", json.dumps([bundle.digest]), json.dumps([bundle.digest])])
