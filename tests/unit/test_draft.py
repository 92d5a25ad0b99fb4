"""The draft from data: the narrowest types over all batches, slack, what to look at, and that it passes on its own table."""

import datetime as dt
import math

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seatrial.checks.label import label_checks
from seatrial.checks.quality import quality_checks
from seatrial.checks.schema import schema_checks
from seatrial.checks.shift import statistics_checks
from seatrial.contract import check_roles, load_contract
from seatrial.contract_yaml import to_yaml
from seatrial.draft import draft, plain_contract, types_of
from seatrial.project import Project
from seatrial.scan import summarise
from seatrial.sources import batches, parts_of
from seatrial.verdict import Outcome

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
PARAMS = 'model: {name: m}\ndata: {raw: table, target: bought, positive: "yes", id: key}\n'


def project_of(folder, frames, params=PARAMS):
    (folder / "params.yaml").write_text(params)
    (folder / "table").mkdir()
    for at, frame in enumerate(frames):
        frame.write_csv(folder / f"table/{at}.csv")
    return Project(root=folder, env={})


def texts(**columns):
    return pl.DataFrame({name: pl.Series(values, dtype=pl.String) for name, values in columns.items()})


def summary_of(project, contract):
    return summarise(parts_of(project), contract, project.settings.data, home=project.home)


def drafted(project, now=NOW):
    """The draft with the summary that it was made from."""
    data = project.settings.data
    types = types_of(batch for part in parts_of(project) for batch in batches(part, data))
    plain = plain_contract(types, data)
    summary = summary_of(project, plain)
    if summary.repeats.get("unique:key") is not None and summary.repeats["unique:key"].count:
        plain = plain_contract(types, data, unique=False)
        summary = summary_of(project, plain)
    return draft(summary, plain, data, now=now)


def failures(project, contract, now=NOW):
    """What the validation has against the table, the table itself being the reference."""
    data, summary = project.settings.data, summary_of(project, contract)
    present = summary.profile(data=None)
    checks = (
        *schema_checks(contract, summary),
        *quality_checks(contract, summary, data, now),
        *label_checks(contract, summary, data),
        *statistics_checks(contract, present, present, identity=data.id),
    )
    return [f"{check.name}: {check.message}" for check in checks if check.outcome is not Outcome.PASS and not check.advisory]


def test_the_narrowest_type_of_each_column_is_found():
    frame = texts(
        key=["a1", "a2", "a3", "a4"],
        whole=["1", "-2", "3", None],
        number=["1", "2.5", "1e3", "4"],
        flag=["true", "False", "true", "true"],
        day=["2026-01-02", "2026-01-03", None, ""],
        moment=["2026-01-02T03:04:05", "2026-01-02 03:04:05", None, None],
        zip=["00123", "04321", "10000", "20000"],
        empty=[None, None, "", None],
        huge=["99999999999999999999", "1", "2", "3"],
        infinite=["1", "inf", "2", "3"],
    )
    kinds = ("string", "integer", "number", "boolean", "date", "datetime", "string", "string", "number", "string")
    assert types_of([frame]) == dict(zip(frame.columns, kinds, strict=True))


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ((["1"], ["2.5"]), "number"),
        ((["1"], ["x"]), "string"),
        (([None], ["2"]), "integer"),
        (([""], [None]), "string"),
        ((["2026-01-02"], ["2026-01-02T03:04"]), "datetime"),
        ((["2026-01-02"], ["2026-02-30"]), "string"),
        ((["true"], ["1"]), "string"),
        ((["1"], ["007"]), "string"),
    ],
)
def test_a_type_is_decided_over_all_batches_in_any_order(cells, kind):
    frames = [texts(a=values) for values in cells]
    assert types_of(frames) == {"a": kind}
    assert types_of(frames[::-1]) == {"a": kind}


@pytest.mark.parametrize(
    ("stored", "kind"),
    [
        (pl.Series([1], dtype=pl.UInt8), "integer"),
        (pl.Series([1.5], dtype=pl.Float32), "number"),
        (pl.Series([True]), "boolean"),
        (pl.Series([dt.date(2026, 1, 2)]), "date"),
        (pl.Series([dt.datetime(2026, 1, 2)]), "datetime"),
        (pl.Series([None], dtype=pl.Float64), "string"),
        (pl.Series(["a"], dtype=pl.Categorical), "string"),
    ],
)
def test_stored_types_are_taken_as_they_are(stored, kind):
    assert types_of([pl.DataFrame({"a": stored})]) == {"a": kind}


def test_there_is_slack_but_none_for_flags_nor_across_zero(tmp_path):
    frame = texts(key=list("abcd"), size=["0", "40", "70", "100"], flag=["0", "1", "0", "1"], bought=["yes", "no", "yes", "no"])
    contract = drafted(project_of(tmp_path, [frame])).contract
    assert contract.columns["size"].range == (0, 110)
    assert contract.columns["flag"].range == (0, 1)
    assert contract.columns["bought"].allowed == ("no", "yes")
    assert contract.columns["key"].unique
    assert contract.table.rows.min == 2
    assert contract.table.key == ("key",)


def test_roles_are_those_of_params_and_no_others(tmp_path):
    frame = texts(key=list("abcd"), region=list("nsns"), made=["2026-01-02", "2026-01-03"] * 2, bought=["yes", "no"] * 2)
    params = PARAMS.replace("id: key}", "id: key, groups: [region]}")
    project = project_of(tmp_path, [frame], params)
    found = drafted(project)
    assert {name: column.role for name, column in found.contract.columns.items()} == {
        "key": "id",
        "region": "group",
        "made": None,
        "bought": "target",
    }
    assert "role: event_time" in found.remarks["made"]
    check_roles(found.contract, project.settings.data)


def test_an_id_that_repeats_is_drafted_as_it_is_and_marked(tmp_path):
    project = project_of(tmp_path, [texts(key=["a", "a", "b"], bought=["yes", "no", "no"])])
    found = drafted(project)
    assert not found.contract.columns["key"].unique
    assert found.contract.table.key == ()
    assert "not unique" in found.remarks["key"]


def test_rows_that_repeat_are_accepted_with_slack_and_marked(tmp_path):
    project = project_of(tmp_path, [texts(size=["1", "1", "2", "3"], bought=["yes", "yes", "no", "no"])], PARAMS.replace(", id: key", ""))
    found = drafted(project)
    assert found.contract.table.duplicates == 0.5
    assert "1 of 4 rows" in found.remarks["table.duplicates"]
    assert failures(project, found.contract) == []


ODD = {
    "mixed": [*map(str, range(120)), *("x" * at for at in range(1, 121))],
    "variants": [*(f"name {at // 4}" for at in range(237)), "Name 1", "name  2", "NAME 3"],
    "future": ["2026-11-25", *["2020-01-01"] * 239],
}


@pytest.mark.parametrize("oddity", ODD)
def test_an_oddity_is_accepted_where_the_data_has_it_and_marked(tmp_path, oddity):
    label = ["yes" if at % 2 else "no" for at in range(240)]
    project = project_of(tmp_path, [texts(key=[f"k{at}" for at in range(240)], odd=ODD[oddity], bought=label)])
    found = drafted(project)
    assert found.contract.columns["odd"].allow == (oddity,)
    assert "odd" in found.remarks
    assert failures(project, found.contract) == []


def test_a_feature_that_gives_the_label_away_is_marked_and_accepted(tmp_path):
    label = ["yes" if at % 2 else "no" for at in range(200)]
    project = project_of(tmp_path, [texts(key=[f"k{at}" for at in range(200)], paid=[one[0] for one in label], bought=label)])
    found = drafted(project)
    assert found.contract.checks.label.max_auc == 1
    assert "paid alone tells the label" in found.remarks["checks.label"]
    assert failures(project, found.contract) == []


def test_a_rare_class_is_marked_and_accepted_with_slack(tmp_path):
    label = ["yes" if at == 7 else "no" for at in range(500)]
    project = project_of(tmp_path, [texts(key=[f"k{at}" for at in range(500)], bought=label)])
    found = drafted(project)
    assert found.contract.checks.label.min_share == 0.001
    assert "smallest class" in found.remarks["checks.label"]
    assert failures(project, found.contract) == []


@pytest.mark.parametrize(
    "values", [["7"] * 4, ["0.5"] * 4, ["true"] * 4, ["2026-01-02"] * 4, ["word"] * 4, ["9007199254740993"] * 4, [""] * 4]
)
def test_a_constant_column_is_written_down_as_constant(tmp_path, values):
    project = project_of(tmp_path, [texts(key=list("abcd"), same=values, bought=["yes", "no"] * 2)])
    found = drafted(project)
    assert "tells a model nothing" in found.remarks["same"] or "no cell has a value" in found.remarks["same"]
    assert failures(project, found.contract) == []


CELLS = {
    "any": st.one_of(
        st.none(),
        st.integers(-(10**6), 10**6).map(str),
        st.floats(-1e9, 1e9).map(repr),
        st.text("abyesNo,:#'\"- é{}[]\n\t\x7f\u2028😀", min_size=1, max_size=6),
    ),
    "number": st.one_of(st.none(), st.floats(-1e120, 1e120).map(repr)),
    "integer": st.one_of(st.none(), st.integers(-(10**18) + 1, 10**18 - 1).map(str)),
    "date": st.one_of(st.none(), st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)).map(str)),
    "moment": st.one_of(st.none(), st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)).map(lambda value: value.isoformat())),
    "word": st.sampled_from(["No", "no", "yes", "true", "1", "0", "null", "~", " a", "a", "A", "1e5", "", "2026-01-02"]),
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_drafted_contract_written_and_read_again_passes_its_table(tmp_path_factory, data):
    kinds = data.draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=4))
    rows = data.draw(st.lists(st.tuples(*(CELLS[kind] for kind in kinds)), min_size=2, max_size=14))
    named = data.draw(st.sampled_from(["unique", "repeats", "none"]))
    columns = {f"c{at}": [row[at] for row in rows] for at in range(len(kinds))}
    frame = texts(
        **({"key": [str(at if named == "unique" else at // 2) for at in range(len(rows))]} if named != "none" else {}),
        **columns,
        bought=["yes" if at % 2 else "no" for at in range(len(rows))],
    )
    cut = data.draw(st.integers(0, len(rows) - 1))
    params = PARAMS if named != "none" else PARAMS.replace(", id: key", "")
    project = project_of(tmp_path_factory.mktemp("draft"), [frame[:cut], frame[cut:]] if cut else [frame], params)
    found = drafted(project)
    (project.root / "contract.yaml").write_text(to_yaml(found.contract, remarks=found.remarks))
    contract = load_contract(project.root / "contract.yaml")
    assert contract == found.contract
    assert failures(project, contract) == []


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_drafted_range_holds_both_ends(one, other):
    from seatrial.draft import _range
    from seatrial.sketches import Values
    from seatrial.summary import ColumnSummary

    low, high = sorted((one, other))
    facts = ColumnSummary(type="number", count=2, low=low, high=high, mean=0.0, values=Values(exact=(low, high), counts=(1, 1)))
    bottom, top = _range(facts, "number") or (None, None)
    assert -math.inf if bottom is None else bottom <= low
    assert math.inf if top is None else top >= high
