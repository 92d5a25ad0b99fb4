import numpy as np
import polars as pl
import pytest

from seatrial.errors import DataError
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


CODE = {"blue": 1, "green": 2, "red": 3, "basic": 4, "plus": 5}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    return Runtime(make_bundle(tmp_path_factory.mktemp("bundle") / "model"))


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """The runtime of a model that takes numbers for categories."""
    return Runtime(make_bundle(tmp_path_factory.mktemp("bundle") / "model", together=True))


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
        runtime.blocks(*decoder.records(rows).flat),
        runtime.blocks(*joined([decoder.records([row]) for row in rows])),
    ]
    assert len({(one.rows, one.numbers.tobytes(), tuple(one.categories)) for one in found}) == 1
    assert np.isnan(found[0].numbers[9])


def test_every_row_gets_its_own_answer_however_many_are_asked_together(runtime, monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 8)
    rows, decoder = make_rows(21), Decoder(runtime.bundle.manifest)
    expected = [probability_of(row) for row in rows]
    for count in (0, 1, 7, 8, 9, 16, 21):
        found = runtime.score(runtime.blocks(*decoder.records(rows[:count]).flat))
        assert found.tolist() == pytest.approx(expected[:count], abs=1e-6)


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical, pl.Enum(["red", "plus", "basic", "blue", "green", "new"])])
def test_a_model_that_numbers_categories_gets_the_numbers_from_tables_and_requests_alike(coded, kind):
    manifest, rows = coded.bundle.manifest, [*make_rows(20), {**make_rows(1)[0], "colour": "new"}]
    asked = coded.blocks(*Decoder(manifest).records(rows).flat)
    table = pl.DataFrame(rows).with_columns(pl.col("colour", "plan").cast(kind))
    columns = encode_frame(manifest, table, coded.codes)
    assert columns["colour"].tolist() == [CODE.get(row["colour"], 0) for row in rows]
    assert as_blocks(manifest, columns, 21).categories.tolist() == asked.categories.tolist()
    assert asked.categories.dtype == np.int64
    assert coded.score(asked).tolist() == coded.score_frame(table).tolist() == pytest.approx(list(map(probability_of, rows)), abs=1e-6)


def test_a_column_of_another_type_is_named_whatever_the_model_takes(coded, runtime):
    table = pl.DataFrame(make_rows(2)).with_columns(plan=pl.Series([["a"], ["b"]], dtype=pl.List(pl.String)))
    for one in (coded, runtime):
        with pytest.raises(DataError, match=r"column 'plan' is List\(String\), the model reads a category"):
            one.score_frame(table)
