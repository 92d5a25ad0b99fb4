"""Reading tables: what is refused, with which words, and how cells become values."""

import datetime as dt

import polars as pl
import pytest

from seatrial.contract import Column, Contract
from seatrial.errors import DataError
from seatrial.project import Project
from seatrial.tables import read_table, read_typed, typed


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        read_table(path, **options)
    return str(caught.value)


def test_every_csv_cell_is_text(tmp_path):
    frame = read_table(write(tmp_path / "t.csv", "a,b\n1,\n007,x\n"))
    assert frame.to_dict(as_series=False) == {"a": ["1", "007"], "b": ["", "x"]}


def test_a_missing_table_is_refused_with_what_to_do(tmp_path):
    assert "there is no table at none.csv" in refusal(tmp_path / "none.csv")
    assert "dvc pull" in refusal(tmp_path / "none.csv")


def test_a_table_that_truly_has_one_column_is_read(tmp_path):
    assert read_table(write(tmp_path / "t.csv", "a\n1\n2\n")).height == 2


def test_a_truncated_parquet_file_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"a": range(1000)}).write_parquet(path)
    write(path, path.read_bytes()[:-200])
    assert "no whole Parquet file" in refusal(path)


def test_the_parts_of_a_folder_are_one_table(tmp_path):
    write(tmp_path / "1.csv", "a,b\n1,2\n")
    write(tmp_path / "2.csv", "b,a\n4,3\n")
    write(tmp_path / "notes.md", "not a part")
    assert read_table(tmp_path).rows() == [("1", "2"), ("3", "4")]
    assert read_table(tmp_path, pattern="2*.csv").rows() == [("4", "3")]


def test_an_empty_folder_and_mixed_schemas_are_refused(tmp_path):
    assert "holds no table" in refusal(tmp_path)
    write(tmp_path / "1.csv", "a,b\n1,2\n")
    write(tmp_path / "2.csv", "a,c\n1,2\n")
    assert "2.csv has another schema than 1.csv: it lacks 'b'; it adds 'c'" in refusal(tmp_path)
    assert "matches data.pattern '*.tsv'" in refusal(tmp_path, pattern="*.tsv")


def convert(kind, cells, dtype=None):
    frame, findings = typed(pl.DataFrame({"x": pl.Series(cells, dtype=dtype)}), Contract(columns={"x": Column(type=kind)}))
    return frame["x"].to_list(), [(one.count, one.examples) for one in findings]


@pytest.mark.parametrize(
    ("kind", "cells", "values", "findings"),
    [
        ("integer", ["1", "2.0", "9223372036854775807", None], [1, 2, 9223372036854775807, None], []),
        ("integer", ["1", "two", "2.5"], [1, None, None], [(2, ("two", "2.5"))]),
        ("integer", [1.0, float("nan"), 2.5], [1, None, None], [(1, ("2.5",))]),
        ("number", ["1.5", "1e3", "-2"], [1.5, 1000.0, -2.0], []),
        ("number", ["inf", "1e400", "NaN", "1,5"], [None] * 4, [(4, ("inf", "1e400", "NaN", "1,5"))]),
        ("number", [1.5, float("nan"), float("inf")], [1.5, None, None], [(1, ("inf",))]),
        ("boolean", ["true", "False", "1", "0", "yes"], [True, False, True, False, None], [(1, ("yes",))]),
        ("string", ["a", "", None], ["a", None, None], []),
        ("date", ["2026-02-28", "2026-02-30", "2026-2-3"], [dt.date(2026, 2, 28), None, None], [(2, ("2026-02-30", "2026-2-3"))]),
        ("datetime", ["2026-02-28T10:00:00", "2026-02-28 10:00", "soon"], [dt.datetime(2026, 2, 28, 10)] * 2 + [None], [(1, ("soon",))]),
        ("datetime", ["2026-02-28T10:00:00+02:00"], [dt.datetime(2026, 2, 28, 8)], []),
    ],
)
def test_cells_become_values_of_the_contract_and_the_others_are_found(kind, cells, values, findings):
    assert convert(kind, cells) == (values, findings)


def test_a_finding_shows_at_most_five_different_cells():
    _, findings = convert("integer", ["x", "x", *(f"word {at}" for at in range(9))])
    assert findings == [(11, ("x", "word 0", "word 1", "word 2", "word 3"))]


def project_in(folder):
    write(folder / "params.yaml", "model: {name: m}\ndata: {raw: t.csv, target: b}\n")
    return Project(root=folder, env={})


CONTRACT = Contract(columns={"a": Column(type="integer"), "b": Column(type="string")})


def test_a_typed_table_has_the_contracts_columns_in_its_order(tmp_path):
    write(tmp_path / "t.csv", "more,b,a\n1,x,2\n,y,3\n")
    assert read_typed(project_in(tmp_path), CONTRACT).rows(named=True) == [{"a": 2, "b": "x"}, {"a": 3, "b": "y"}]


def test_a_table_that_does_not_fit_is_refused_with_its_cells(tmp_path):
    write(tmp_path / "t.csv", "a,c\nword,x\n")
    with pytest.raises(DataError) as caught:
        read_typed(project_in(tmp_path), CONTRACT)
    assert "no column 'b'" in str(caught.value)
    assert "column 'a': 1 cell is no integer: 'word'" in str(caught.value)
