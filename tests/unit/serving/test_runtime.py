import numpy as np
import polars as pl
import pytest

from seatrial.serving import runtime as module
from seatrial.serving.rows import Decoder, joined
from seatrial.serving.runtime import Blocks, Runtime, as_blocks, encode_frame
from tests.bundles import make_bundle, make_rows, probability_of

COLUMNS = {
    "amount": np.float32([1, 2, 3]),
    "visits": np.float32([4, 5, 6]),
    "member": np.float32([0, 1, 0]),
    "colour": np.array(["red", "", "blue"], dtype=object),
    "plan": np.array(["plus", "plus", "basic"], dtype=object),
}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    return Runtime(make_bundle(tmp_path_factory.mktemp("bundle") / "model"))


def shown(blocks):
    return blocks.rows, blocks.numbers.tolist(), blocks.categories.tolist()


def test_a_block_holds_column_after_column_in_the_order_of_the_manifest(runtime):
    blocks = as_blocks(runtime.bundle.manifest, dict(reversed(COLUMNS.items())), 3)
    assert shown(blocks) == (3, [1, 2, 3, 4, 5, 6, 0, 1, 0], ["red", "", "blue", "plus", "plus", "basic"])
    assert (blocks.numbers.dtype, blocks.categories.dtype) == (np.float32, object)


@pytest.mark.parametrize("chosen", [slice(1, 3), np.array([1, 2])])
def test_some_rows_of_blocks_are_blocks(runtime, chosen):
    blocks = as_blocks(runtime.bundle.manifest, COLUMNS, 3).taken(chosen)
    assert shown(blocks) == (2, [2, 3, 5, 6, 1, 0], ["", "blue", "plus", "basic"])
    assert shown(Blocks(3, np.float32([]), blocks.categories[:3]).taken(slice(0, 1))) == (1, [], [""])


def test_a_table_a_request_and_requests_put_together_become_the_same_blocks(runtime):
    rows, decoder = make_rows(20), Decoder(runtime.bundle.manifest)
    manifest = runtime.bundle.manifest
    found = [
        as_blocks(manifest, encode_frame(manifest, pl.DataFrame(rows)), 20),
        decoder.records(rows).blocks,
        joined([decoder.records([row]) for row in rows]),
    ]
    assert len({(one.rows, one.numbers.tobytes(), tuple(one.categories)) for one in found}) == 1
    assert np.isnan(found[0].numbers[9])


def test_every_row_gets_its_own_answer_however_many_are_asked_together(runtime, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 8)
    rows, decoder = make_rows(21), Decoder(runtime.bundle.manifest)
    expected = [probability_of(row) for row in rows]
    for count in (0, 1, 7, 8, 9, 16, 21):
        found = runtime.score(decoder.records(rows[:count]).blocks)
        assert found.tolist() == pytest.approx(expected[:count], abs=1e-6)
