"""A poisoned bundle runs nothing, is refused in a sentence, and takes neither long nor much memory to refuse."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import tests.poisons_bombs
import tests.poisons_files
import tests.poisons_onnx  # noqa: F401 - the makers enter themselves into POISONS
from seatrial.bundle import GOLDEN, MANIFEST, MODEL, load_bundle
from seatrial.errors import BundleError
from seatrial.files import canonical_json
from seatrial.serving.runtime import Runtime, check_model
from seatrial.serving.server import check_golden
from tests.bundles import make_bundle, make_full_bundle
from tests.poison import POISONS, Code, Place, load_whole, payload

ROOT = Path(__file__).parents[2]
SECONDS, MEGABYTES = 5, 1000
QUIET = [name for name, poison in POISONS.items() if not poison.bomb]
BOMBS = [name for name, poison in POISONS.items() if poison.bomb]


@pytest.fixture(scope="module")
def load_elsewhere():
    """Loads a folder in a process of its own: what it said, its seconds, its memory."""
    command = [sys.executable, "-m", "tests.poison"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(folder):
            process.stdin.write(f"{folder}\n")
            process.stdin.flush()
            found = json.loads(process.stdout.readline())
            assert "died" not in found, found
            return found

        try:
            yield ask
        finally:
            process.stdin.close()


@pytest.fixture
def place(tmp_path):
    (tmp_path / "outside").mkdir()
    made = Place(folder=tmp_path / "model", outside=tmp_path / "outside", canary=tmp_path / "canary")
    make_full_bundle(made.folder)
    return made


def test_the_corpus_is_no_smaller_than_promised():
    assert len(POISONS) >= 40
    assert len(BOMBS) >= 20


def test_the_bundle_that_is_poisoned_is_a_good_one(place, load_elsewhere):
    load_whole(place.folder)
    found = load_elsewhere(place.folder)
    assert found["said"] is None
    assert found["megabytes"] < MEGABYTES / 2


def test_the_canary_sings(place):
    """Unpickling what the corpus hides would be seen."""
    import pickle

    pickle.loads(payload(place))
    assert place.canary.exists()
    assert isinstance(Code(place.canary), Code)


@pytest.mark.parametrize("name", QUIET)
def test_a_poisoned_bundle_is_refused_and_runs_nothing(place, name):
    poison = POISONS[name]
    poison.make(place)
    begin = time.perf_counter()
    with pytest.raises(BundleError) as raised:
        load_whole(place.folder)
    assert time.perf_counter() - begin < SECONDS
    assert poison.words in str(raised.value)
    assert len(str(raised.value)) < 1000
    assert not place.canary.exists()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_time_and_memory(place, load_elsewhere, name):
    poison = POISONS[name]
    poison.make(place)
    found = load_elsewhere(place.folder)
    assert found["said"] is not None
    assert poison.words in found["said"]
    assert len(found["said"]) < 1000
    assert found["seconds"] < SECONDS
    assert found["megabytes"] < MEGABYTES
    assert not place.canary.exists()


def leaves(value, path=()):
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path


def mutated(value, path):
    if path:
        copy = dict(value) if isinstance(value, dict) else list(value)
        copy[path[0]] = mutated(value[path[0]], path[1:])
        return copy
    if isinstance(value, bool) or value is None:
        return not value
    return value + 1 if isinstance(value, int | float) else value + "x" if isinstance(value, str) else ["x"]


def test_each_field_of_the_manifest_mutated_once_is_refused_by_who_was_promised_a_digest(place):
    raw = (place.folder / MANIFEST).read_bytes()
    promised = load_bundle(place.folder).digest
    paths = list(leaves(json.loads(raw)))
    assert len(paths) > 40
    for path in paths:
        (place.folder / MANIFEST).write_bytes(canonical_json(mutated(json.loads(raw), path)))
        with pytest.raises(BundleError) as raised:
            load_bundle(place.folder, expected=promised)
        assert f"expected {promised}" in str(raised.value)


def test_each_field_of_the_manifest_removed_is_refused(place):
    value = json.loads((place.folder / MANIFEST).read_bytes())
    for name in value:
        (place.folder / MANIFEST).write_bytes(canonical_json({key: one for key, one in value.items() if key != name}))
        with pytest.raises(BundleError):
            load_bundle(place.folder)


def test_a_model_that_is_swapped_after_it_was_hashed_is_never_loaded(place, tmp_path):
    bundle = load_bundle(place.folder)
    other = make_bundle(tmp_path / "other", weight=-1.0)
    (place.folder / MODEL).write_bytes(other.model)
    check_golden(Runtime(bundle))
    with pytest.raises(BundleError, match="is not the file of the manifest"):
        load_bundle(place.folder, expected=bundle.digest)


@pytest.mark.parametrize("name", [MODEL, GOLDEN, MANIFEST])
def test_a_file_that_is_swapped_between_looking_and_reading_is_refused(place, tmp_path, monkeypatch, name):
    """At the moment at which the loader opens a file, another one takes its place."""
    import os

    other = make_bundle(tmp_path / "other", weight=-1.0)
    promised, opened = load_bundle(place.folder).digest, os.open

    def swap_and_open(path, *arguments, **options):
        if path == name:
            (place.folder / name).unlink()
            (place.folder / name).symlink_to(tmp_path / "other" / name)
        return opened(path, *arguments, **options)

    monkeypatch.setattr("seatrial.bundle_files.os.open", swap_and_open)
    with pytest.raises(BundleError, match="cannot be opened"):
        load_bundle(place.folder, expected=promised)
    assert other.digest != promised


def test_a_file_that_grows_while_it_is_read_is_refused(place, monkeypatch):
    import os

    read = os.read

    def read_and_grow(file, count):
        with (place.folder / MODEL).open("ab") as stream:
            stream.write(b"more")
        return read(file, count)

    monkeypatch.setattr("seatrial.bundle_files.os.read", read_and_grow)
    with pytest.raises(BundleError, match="changed while it was read"):
        load_bundle(place.folder)


def test_of_a_thousand_loads_under_a_writer_that_swaps_files_none_gives_other_bytes(place, tmp_path):
    """Each file is replaced by another bundle's and back, one after the other, as fast as it goes."""
    other = make_full_bundle(tmp_path / "other", weight=-1.0)
    promised = load_bundle(place.folder)
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            for bundle in (other, promised):
                for name, data in [*bundle.files.items(), (MANIFEST, bundle.manifest.to_bytes())]:
                    (tmp_path / "next").write_bytes(data)
                    (tmp_path / "next").replace(place.folder / name)

    writer = threading.Thread(target=swap)
    writer.start()
    loaded, refused = 0, 0
    try:
        for _ in range(1000):
            try:
                assert load_bundle(place.folder, expected=promised.digest) == promised
                loaded += 1
            except BundleError:
                refused += 1
    finally:
        stop.set()
        writer.join()
    assert loaded + refused == 1000
    assert refused > 0


def test_each_file_is_opened_once(place, monkeypatch):
    import os

    opened, seen = os.open, []

    def watched(path, *arguments, **options):
        seen.append(path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr("seatrial.bundle_files.os.open", watched)
    bundle = load_bundle(place.folder)
    Runtime(bundle)
    assert sorted(map(str, seen)) == sorted([str(place.folder), MANIFEST, *bundle.files])


def test_the_session_is_made_of_the_bytes_that_were_hashed(place, monkeypatch):
    import onnxruntime

    given = []
    session = onnxruntime.InferenceSession

    def watched(model, *arguments, **options):
        given.append(model)
        return session(model, *arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", watched)
    bundle = load_bundle(place.folder)
    hashed = bundle.files[MODEL]
    (place.folder / MODEL).write_bytes(b"others")
    Runtime(bundle)
    assert bundle.files[MODEL] is hashed
    assert given == [check_model(bundle)]
