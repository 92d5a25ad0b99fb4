"""The contract as a pandera schema and back, held to pandera itself: what breaks one breaks the other."""

import datetime as dt
import subprocess
import sys

import pandas as pd
import pandera.pandas as pap
import pandera.polars as pa
import polars as pl
import pytest
import yaml
from pandera.errors import SchemaErrors

from seatrial.contract import Contract
from seatrial.errors import ContractError, UsageError
from seatrial.pandera_import import from_schema, load_schema
from seatrial.pandera_schema import export

CONTRACT = Contract.model_validate(
    yaml.safe_load(r"""
columns:
  key: {type: string, role: id, unique: true, pattern: "K[0-9]+"}
  size: {type: integer, range: [0, 9], nullable: 0.34}
  price: {type: number, range: [0.5, null], description: "euros, \"net\""}
  flag: {type: boolean, allowed: [true, false], nullable: true}
  made: {type: date, range: [2020-01-01, 2030-01-01]}
  seen: {type: datetime, range: [null, 2030-01-01 10:00:00], role: event_time, allow: [future]}
  word: {type: string, allowed: [it's, "b\\"]}
  alias: {type: string, nullable: 0.7, unique: true}
table:
  rows: {min: 2, max: 5}
  key: [key, word]
  parts: {min: 1, max: 4}
  conditions:
    - {name: covers, holds: "price >= size OR size = 0", share: 0.3}
    - {name: early, holds: "made < DATE '2029-01-01'"}
checks:
  statistics: {ks: 0.2}
waivers:
  - {check: quality.range, column: size, owner: ada, reason: known, expires: 2030-01-01}
""")
)
ROWS = {
    "key": ["K1", "K2", "K3"],
    "size": [0, 9, None],
    "price": [0.5, 10.0, 1e6],
    "flag": [True, None, False],
    "made": [dt.date(2020, 1, 1), dt.date(2026, 1, 1), dt.date(2028, 1, 1)],
    "seen": [dt.datetime(2020, 1, 1), dt.datetime(2026, 1, 1), dt.datetime(2030, 1, 1, 10)],
    "word": ["it's", "b\\", "it's"],
    "alias": ["a", None, None],
}
BREAKS = {
    "missing": ("size", [None, None, 1]),
    "too small": ("size", [-1, 9, 1]),
    "too large": ("size", [0, 10, 1]),
    "price": ("price", [0.4, 10.0, 1.0]),
    "pattern": ("key", ["K1", "K2", "xK3"]),
    "pattern's end": ("key", ["K1", "K2", "K3x"]),
    "not unique": ("key", ["K1", "K1", "K3"]),
    "unknown word": ("word", ["it's", "b", "it's"]),
    "missing word": ("word", ["it's", None, "it's"]),
    "early date": ("made", [dt.date(2019, 12, 31), dt.date(2026, 1, 1), dt.date(2026, 1, 1)]),
    "late moment": ("seen", [dt.datetime(2030, 1, 1, 10, 1)] * 3),
    "condition": ("made", [dt.date(2029, 6, 1), dt.date(2026, 1, 1), dt.date(2026, 1, 1)]),
    "condition with a share": ("price", [0.5, 8.0, 0.5]),
    "not unique among those present": ("alias", ["a", "a", None]),
}
DTYPES = {
    "key": pl.String,
    "size": pl.Int64,
    "price": pl.Float64,
    "flag": pl.Boolean,
    "made": pl.Date,
    "seen": pl.Datetime("us"),
    "word": pl.String,
    "alias": pl.String,
}


def frame(backend, rows=None, **columns):
    table = pl.DataFrame((rows or ROWS) | columns, schema_overrides=DTYPES)
    if backend == "polars":
        return table
    return pd.DataFrame(table.to_dict(as_series=False)).astype({"size": "Int64", "flag": "boolean"}, errors="ignore")


@pytest.fixture(scope="module", params=["polars", "pandas"])
def backend(request):
    return request.param


@pytest.fixture(scope="module")
def schema(backend, tmp_path_factory):
    path = tmp_path_factory.mktemp("pandera") / f"{backend}.py"
    path.write_text(export(CONTRACT, backend=backend, source="data/contract.yaml").text)
    return load_schema(f"{path}:schema")


def refused(schema, table):
    try:
        schema.validate(table, lazy=True)
    except SchemaErrors:
        return True
    return False


def test_a_frame_that_keeps_the_contract_keeps_the_schema(schema, backend):
    schema.validate(frame(backend), lazy=True)


@pytest.mark.parametrize("broken", BREAKS)
def test_a_frame_that_breaks_the_contract_breaks_the_schema(schema, backend, broken):
    column, values = BREAKS[broken]
    rows = ROWS | {"size": [0, 9, 1]} if broken == "condition with a share" else ROWS
    assert refused(schema, frame(backend, rows, **{column: values}))


def test_too_many_rows_extra_columns_and_missing_ones_break_the_schema(schema, backend):
    rows = {name: values * 2 for name, values in ROWS.items()} | {"key": [f"K{at}" for at in range(6)], "alias": [None] * 3 + list("abc")}
    assert refused(schema, frame(backend, rows))
    assert refused(schema, frame(backend, more=[1, 2, 3]))
    assert refused(schema, frame(backend).drop(columns="word") if backend == "pandas" else frame(backend).drop("word"))


def test_another_type_breaks_the_schema(schema, backend):
    assert refused(schema, frame(backend).assign(price="x") if backend == "pandas" else frame(backend).with_columns(price=pl.lit("x")))


def test_the_way_there_and_back_gives_the_same_contract(schema):
    imported = from_schema(schema)
    assert imported.lost == ()
    assert imported.contract == CONTRACT


def test_what_pandera_does_not_ask_is_said_and_written_into_the_file(backend):
    exported = export(CONTRACT, backend=backend, source="data/contract.yaml")
    told = "\n".join(exported.unasked)
    for words in ("statistics", "freshness", "table.parts", "waivers", "columns.key.role: id"):
        assert words in told
    assert all(sentence in exported.text for sentence in exported.unasked)


def test_rules_that_only_advise_warn(tmp_path):
    contract = Contract.model_validate(
        {"columns": {"a": {"type": "integer", "range": [0, 1], "unique": True, "advisory": ["range", "unique"]}}}
    )
    (tmp_path / "s.py").write_text(export(contract, backend="polars", source="c.yaml").text)
    schema = load_schema(f"{tmp_path / 's.py'}:schema")
    with pytest.warns(UserWarning, match="failed validator"):
        schema.validate(pl.DataFrame({"a": [5, 5]}), lazy=True)
    assert from_schema(schema).contract == contract


def test_repeated_rows_and_a_share_of_them(tmp_path, backend):
    contract = Contract.model_validate({"columns": {"a": {"type": "integer"}}, "table": {"duplicates": 0.5}})
    (tmp_path / "s.py").write_text(export(contract, backend=backend, source="c.yaml").text)
    schema = load_schema(f"{tmp_path / 's.py'}:schema")
    tables = [pl.DataFrame({"a": values}) if backend == "polars" else pd.DataFrame({"a": values}) for values in ([1, 1], [1, 1, 1])]
    assert [refused(schema, table) for table in tables] == [False, True]
    assert from_schema(schema).contract == contract


def test_a_column_that_is_not_everywhere_may_be_missing_and_stays_so(tmp_path, backend):
    contract = Contract.model_validate({"columns": {"a": {"type": "integer"}, "b": {"type": "string", "environments": ["training"]}}})
    exported = export(contract, backend=backend, source="c.yaml")
    (tmp_path / "s.py").write_text(exported.text)
    schema = load_schema(f"{tmp_path / 's.py'}:schema")
    schema.validate(pl.DataFrame({"a": [1]}) if backend == "polars" else pd.DataFrame({"a": [1]}))
    assert from_schema(schema).contract == contract
    assert any("columns.b.environments" in sentence for sentence in exported.unasked)


def test_the_exported_file_is_python_that_a_linter_accepts(tmp_path, backend):
    (tmp_path / "s.py").write_text(export(CONTRACT, backend=backend, source='odd """ name').text)
    compile((tmp_path / "s.py").read_text(), "s.py", "exec")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "F,E9", "--isolated", tmp_path / "s.py"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode()


THEIRS = pa.DataFrameSchema(
    {
        "whole": pa.Column(pl.UInt8, [pa.Check.gt(0), pa.Check.le(9), pa.Check.ne(5)]),
        "part": pa.Column(pl.Float32, [pa.Check.gt(0.5), pa.Check.lt(2)], nullable=True),
        "word": pa.Column(pl.String, [pa.Check.str_startswith("a.")], unique=True),
        "kind": pa.Column(pl.Categorical, [pa.Check.isin(["x", "y"]), pa.Check.notin(["z"])]),
        "made": pa.Column(pl.Date, pa.Check.gt(dt.date(2020, 1, 1))),
        "seen": pa.Column(pl.Datetime("ns", "UTC"), pa.Check.ge(dt.datetime(2020, 1, 1))),
        "size": pa.Column(pl.Int64, [pa.Check.in_range(0, 9), pa.Check.in_range(5, 20, include_max=False, raise_warning=True)]),
        "long": pa.Column(pl.String, pa.Check.str_length(2, 3)),
        "one": pa.Column(bool, pa.Check.eq(True)),
        "own": pa.Column(pl.Int64, pa.Check(lambda data: data.lazyframe, name="my own"), required=False),
        "any": pa.Column(),
        "^x.*$": pa.Column(pl.Int64, regex=True),
    },
    checks=pa.Check(lambda data: data.lazyframe, name="whole frame"),
    unique=["word", "kind"],
    strict="filter",
    ordered=True,
)


def test_somebody_else_s_schema_becomes_the_rules_that_ask_the_same():
    contract = from_schema(THEIRS).contract
    columns = contract.columns
    assert {name: column.type for name, column in columns.items()} == {
        "whole": "integer",
        "part": "number",
        "word": "string",
        "kind": "string",
        "made": "date",
        "seen": "datetime",
        "size": "integer",
        "long": "string",
        "one": "boolean",
        "own": "integer",
        "any": "string",
    }
    assert columns["whole"].range == (1, 9)
    assert columns["part"].nullable == 1
    assert columns["word"].pattern == "a\\.(?s:.*)"
    assert columns["word"].unique
    assert columns["kind"].allowed == ("x", "y")
    assert columns["made"].range == (dt.date(2020, 1, 2), None)
    assert columns["seen"].range == (dt.datetime(2020, 1, 1), None)
    assert columns["size"].range == (5, 9)
    assert columns["size"].advisory == ("range",)
    assert columns["long"].pattern == "(?s:.{2,3})"
    assert columns["one"].allowed == (True,)
    assert contract.table.key == ("word", "kind")
    assert contract.table.extra == "allow"
    assert contract.table.duplicates == 1
    assert {condition.name: condition.holds for condition in contract.table.conditions} == {
        "whole_not": '"whole" <> 5',
        "part_above": '"part" > 0.5',
        "part_below": '"part" < 2',
        "kind_none_of": "\"kind\" NOT IN ('z')",
    }


@pytest.mark.parametrize(
    "words",
    [
        "'own': the check my own",
        "column 'own' may be missing",
        "'any' has no type",
        "'^x.*$' is a pattern of names",
        "whole frame",
        "strict='filter'",
        "an order of its columns",
    ],
)
def test_what_a_contract_cannot_say_is_told(words):
    assert any(words in sentence for sentence in from_schema(THEIRS).lost)


def test_pandas_types_and_an_index():
    schema = pap.DataFrameSchema(
        {
            "a": pap.Column("int64"),
            "b": pap.Column(float),
            "c": pap.Column(object),
            "d": pap.Column("datetime64[ns]", pap.Check.ge(pd.Timestamp("2020-01-01"))),
        },
        index=pap.Index(int),
        strict=True,
    )
    imported = from_schema(schema)
    assert [column.type for column in imported.contract.columns.values()] == ["integer", "number", "string", "datetime"]
    assert imported.contract.columns["d"].range == (dt.datetime(2020, 1, 1), None)
    assert imported.contract.table.extra == "refuse"
    assert imported.lost == ("the schema has an index, which a contract does not know",)


def test_pandera_s_own_yaml_of_both_kinds(tmp_path):
    from pandera.io.polars_io import to_yaml

    theirs = pap.DataFrameSchema({"a": pap.Column("Int64", pap.Check.in_range(0, 5), nullable=True)}, strict=True)
    (tmp_path / "pandas.yaml").write_text(theirs.to_yaml())
    (tmp_path / "polars.yml").write_text(
        to_yaml(pa.DataFrameSchema({"a": pa.Column(pl.Int64, pa.Check.in_range(0, 5), nullable=True)}, strict=True))
    )
    found = [from_schema(load_schema(str(tmp_path / name))).contract for name in ("pandas.yaml", "polars.yml")]
    assert found[0] == found[1]
    assert found[0].columns["a"].range == (0, 5)
    assert found[0].columns["a"].nullable == 1


def test_a_model_class_is_a_schema_too(tmp_path):
    (tmp_path / "m.py").write_text("import pandera.polars as pa\nclass Model(pa.DataFrameModel):\n    a: int = pa.Field(ge=1)\n")
    assert from_schema(load_schema(f"{tmp_path / 'm.py'}:Model")).contract.columns["a"].range == (1, None)


def test_a_python_file_is_not_run_unless_its_object_is_named(tmp_path):
    (tmp_path / "s.py").write_text("raise SystemExit('it was run')\n")
    for name in (str(tmp_path / "s.py"), "s.txt", "s.py:", "s.py:a b"):
        with pytest.raises(UsageError, match=r"FILE\.py:OBJECT"):
            load_schema(name)


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("x = 1\n", "s.py:schema", "defines no 'schema'"),
        ("schema = 1\n", "s.py:schema", "no pandera DataFrameSchema but int"),
        ("1 / 0\n", "s.py:schema", "ZeroDivisionError"),
        ("import nowhere_to_be_found\n", "s.py:schema", "needs the package 'nowhere_to_be_found'"),
        ("a: [", "s.yaml", "cannot be read as a pandera schema"),
        ("[1]", "s.yaml", "cannot be read as a pandera schema"),
        ("import pandera.polars as pa\nschema = pa.DataFrameSchema({})\n", "s.py:schema", "no contract can say this schema: columns"),
        (
            "import pandera.polars as pa\nschema = pa.DataFrameSchema({'a': pa.Column(int)}, unique='b')\n",
            "s.py:schema",
            "no contract can say",
        ),
    ],
)
def test_a_file_that_is_no_schema_is_refused(tmp_path, text, name, words):
    (tmp_path / name.partition(":")[0]).write_text(text)
    with pytest.raises(ContractError, match=words):
        from_schema(load_schema(f"{tmp_path}/{name}"))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    for name in ("no.py:schema", "no.yaml"):
        with pytest.raises(ContractError, match="no"):
            load_schema(f"{tmp_path}/{name}")
