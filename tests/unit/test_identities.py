"""Sorted hashes on disk: what repeats is found, across runs and parts, whatever their order."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatrial.identities import Writer, any_shared, in_order, load, repeated

HASHES = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 20), max_size=50)


def run(hashes):
    return np.sort(np.array(hashes, dtype=np.uint64))


@given(st.lists(HASHES, min_size=1, max_size=4), st.integers(1, 20))
def test_runs_come_out_as_one_in_order(runs, chunk):
    chunks = list(in_order([run(one) for one in runs], chunk=chunk))
    assert np.concatenate(chunks).tolist() == sorted(hash_ for one in runs for hash_ in one)
    for left, right in itertools.pairwise(chunks):
        assert not set(left.tolist()) & set(right.tolist())


@given(st.lists(HASHES, min_size=1, max_size=4))
def test_repeats_are_those_beyond_the_first(runs):
    everything = [hash_ for one in runs for hash_ in one]
    count, found = repeated([run(one) for one in runs], most=1000)
    assert count == len(everything) - len(set(everything))
    assert found.tolist() == sorted({hash_ for hash_ in everything if everything.count(hash_) > 1})


@given(HASHES, st.lists(HASHES, max_size=3))
def test_few_share_with_others_only_what_they_share(few, others):
    shared = len(set(few)) < len(few) or bool(set(few) & {hash_ for one in others for hash_ in one})
    assert any_shared([run(few)], [run(one) for one in others]) is shared


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_written_file_is_sorted_and_alone(tmp_path, size):
    writer = Writer(tmp_path / "id.u64", run=size)
    hashes = np.random.default_rng(0).integers(0, 2**64, 20, dtype=np.uint64)
    for batch in np.split(hashes, 4):
        writer.add(batch)
    writer.close()
    assert load(tmp_path / "id.u64").tolist() == sorted(hashes.tolist())
    assert [path.name for path in tmp_path.iterdir()] == ["id.u64"]


def test_a_part_without_rows_has_no_hashes(tmp_path):
    Writer(tmp_path / "id.u64").close()
    assert len(load(tmp_path / "id.u64")) == 0
