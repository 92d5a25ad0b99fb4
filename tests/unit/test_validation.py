"""The data test: what it writes, when it answers from the record, and that no older answer outlives bad data."""

import argparse
import datetime as dt
import json
import subprocess
import sys
from xml.etree import ElementTree

import polars as pl
import pytest

from seatrial.commands import validate as command
from seatrial.commands.contract import infer_contract
from seatrial.errors import ContractError, DataError, RefusedError, UsageError
from seatrial.project import Project
from seatrial.validation import validate as answered
from seatrial.verdict import Outcome, Verdict

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
PARAMS = """\
model: {name: buyers}
data:
  raw: data/raw/buyers.csv
  snapshot: "2026-11-01"
  target: bought
  positive: "yes"
  id: key
  groups: [region]
"""


def rows(n=400, **changes):
    columns = {
        "key": [f"K{at}" for at in range(n)],
        "age": [20 + at % 60 for at in range(n)],
        "region": [("north", "south", "west")[at % 3] for at in range(n)],
        "spent": [round(at * 1.5 % 97, 2) for at in range(n)],
        "bought": ["yes" if at % 4 == 0 else "no" for at in range(n)],
    }
    return pl.DataFrame(columns).with_columns(**changes)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "data/raw").mkdir(parents=True)
    project = Project(root=tmp_path, env={})
    rows().write_csv(project.raw)
    infer_contract(project)
    return project


def validate(project, **options):
    return answered(project, **options).verdict


def again(project):
    return Project(root=project.root, env={})


def recorded(project):
    return Verdict.load(project.verdict("validation"), kind="validation")


def failed(verdict):
    return {(check.name, check.column) for check in verdict.checks if check.outcome is not Outcome.PASS}


def test_inferred_files_pass_on_their_own_data_and_everything_is_written(project):
    verdict = validate(project, now=NOW)
    assert verdict.outcome is Outcome.PASS
    assert recorded(project) == verdict
    assert set(verdict.subject) == {"data", "contract", "reference", "policy"}
    assert all(verdict.subject.values())
    assert '<span class="badge">pass</span>' in project.report("data_profile.html").read_text()


def test_the_verdict_holds_no_time_and_no_absolute_path(project):
    validate(project, now=NOW)
    text = project.verdict("validation").read_text()
    assert str(project.root) not in text
    assert "2026-11-20" not in text


def test_an_unchanged_subject_is_answered_from_the_record_without_polars(project):
    validate(project, now=NOW)
    program = (
        "import datetime as dt, sys; from pathlib import Path; from seatrial.project import Project; "
        "from seatrial.validation import validate; "
        "print(validate(Project.find(Path.cwd()), now=dt.datetime(2026, 11, 20, tzinfo=dt.UTC)).recorded); "
        "print(sorted({'polars', 'numpy', 'pyarrow', 'rich', 'seatrial.contract'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=project.root, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["True", "[]"]


def test_the_age_is_asked_again_and_the_record_follows_it(project):
    project.contract.write_text(project.contract.read_text().replace("advisory: true", "advisory: false"))
    assert validate(project, now=NOW).outcome is Outcome.PASS
    late = validate(project, now=NOW + dt.timedelta(days=60))
    assert failed(late) == {("freshness.age", None)}
    assert recorded(project) == late
    assert late.digest == validate(project, now=NOW).digest


def test_an_old_snapshot_is_advisory_by_default(project):
    verdict = validate(project, now=NOW + dt.timedelta(days=365))
    assert verdict.outcome is Outcome.PASS
    assert failed(verdict) == {("freshness.age", None)}


@pytest.mark.parametrize("change", ["data", "contract", "reference", "params", "page"])
def test_whatever_changes_the_subject_makes_it_read_again(project, change):
    validate(project, now=NOW)
    assert answered(again(project), now=NOW).recorded
    match change:
        case "data":
            rows(410).write_csv(project.raw)
        case "contract":
            project.contract.write_text(project.contract.read_text() + "\n")
        case "reference":
            project.reference.write_bytes(project.reference.read_bytes() + b"\n")
        case "params":
            (project.root / "params.yaml").write_text(PARAMS.replace("2026-11-01", "2026-11-02"))
        case "page":
            project.report("data_profile.html").unlink()
    assert not answered(again(project), now=NOW).recorded


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        (rows().drop("age"), ("schema.columns", "age")),
        (rows(more=pl.lit(1)), ("schema.columns", "more")),
        (rows(bought=pl.lit("yes")), ("label.classes", "bought")),
        (rows(bought=pl.when(pl.col("age") == 30).then(pl.lit("maybe")).otherwise("bought")), ("label.classes", "bought")),
        (rows(age=pl.when(pl.col("key") == "K7").then(pl.lit("old")).otherwise(pl.col("age").cast(pl.String))), ("schema.type", "age")),
        (rows(age=pl.col("age") + 100), ("quality.range", "age")),
        (rows(key=pl.lit("K1")), ("quality.unique", "key")),
        (rows(90), ("quality.rows", None)),
    ],
)
def test_data_that_breaks_its_contract_fails_and_names_the_column(project, bad, found):
    bad.write_csv(project.raw)
    verdict = validate(project, now=NOW)
    assert verdict.outcome is Outcome.FAIL
    assert found in failed(verdict)
    assert recorded(project) == verdict


@pytest.mark.parametrize("content", [None, b"", b"key,age\n", b"key;age\n1;2\n"])
def test_unreadable_data_is_an_error_and_no_older_pass_stays_behind(project, content):
    validate(project, now=NOW)
    project.raw.unlink()
    if content is not None:
        project.raw.write_bytes(content)
    with pytest.raises(DataError):
        validate(project, now=NOW)
    assert recorded(project).outcome is Outcome.ERROR
    with pytest.raises(DataError):
        validate(project, now=NOW)
    rows().write_csv(project.raw)
    assert validate(project, now=NOW).outcome is Outcome.PASS


def test_truncated_parquet_is_an_error(project):
    (project.root / "params.yaml").write_text(PARAMS.replace(".csv", ".parquet"))
    project = again(project)
    rows().write_parquet(project.raw)
    assert validate(project, now=NOW).outcome is Outcome.PASS
    project.raw.write_bytes(project.raw.read_bytes()[:-100])
    with pytest.raises(DataError, match="no whole Parquet file"):
        validate(project, now=NOW)


@pytest.mark.parametrize("name", ["contract", "reference"])
def test_a_missing_contract_or_reference_says_what_to_run(project, name):
    getattr(project, name).unlink()
    with pytest.raises(ContractError, match="seatrial contract infer"):
        validate(project, now=NOW)
    assert recorded(project).outcome is Outcome.ERROR


def test_a_contract_with_a_typo_or_without_the_target_is_refused_with_its_place(project):
    text = project.contract.read_text()
    project.contract.write_text(text.replace("range:", "rnage:", 1))
    with pytest.raises(ContractError, match=r"contract\.yaml:\d+: .*did you mean 'range'"):
        validate(project, now=NOW)
    project.contract.write_text(text.replace("  bought:", "  baught:"))
    with pytest.raises(ContractError, match=r"data\.target is 'bought'"):
        validate(project, now=NOW)


def test_a_contract_that_names_a_column_the_data_lacks_fails_on_it(project):
    project.contract.write_text(project.contract.read_text().replace("  age:", "  aged: {type: number}\n  age:"))
    verdict = validate(project, now=NOW)
    assert ("schema.columns", "aged") in failed(verdict)


def test_accept_makes_shifted_data_the_reference(project):
    rows(age=(pl.col("age") * 0.6 + 5).round().cast(int)).write_csv(project.raw)
    project.contract.write_text(project.contract.read_text().replace("range: [14, 85]", "range: [0, 120]"))
    shifted = validate(project, now=NOW)
    assert ("statistics.shift", "age") in failed(shifted)
    assert {name.split(".")[0] for name, _ in failed(shifted)} == {"statistics"}
    assert validate(project, now=NOW, accept=True).outcome is Outcome.PASS
    reference = json.loads(project.reference.read_text())
    assert reference["data"] == recorded(project).subject["data"]
    assert validate(project, now=NOW).outcome is Outcome.PASS


def test_accept_refuses_where_anything_else_fails_and_writes_nothing(project):
    before = project.reference.read_bytes()
    rows(age=pl.col("age") + 100).write_csv(project.raw)
    with pytest.raises(RefusedError, match=r"quality\.range"):
        validate(project, now=NOW, accept=True)
    assert project.reference.read_bytes() == before


def test_accept_makes_a_reference_where_there_is_none(project):
    project.reference.unlink()
    assert validate(project, now=NOW, accept=True).outcome is Outcome.PASS
    assert project.reference.exists()


def test_serving_asks_without_the_label_and_leaves_the_answer_about_training_alone(project):
    text = project.contract.read_text()
    project.contract.write_text(text.replace("  bought: {", "  bought: {environments: [training], "))
    first = validate(project, now=NOW)
    rows().drop("bought").write_csv(project.root / "delivery.csv")
    delivery = Project(root=project.root, env={}, table="delivery.csv")
    assert ("schema.columns", "bought") in failed(validate(delivery, now=NOW))
    served = answered(delivery, now=NOW, environment="serving")
    assert served.verdict.outcome is Outcome.PASS
    assert served.path.name == "validation.table.serving.json"
    assert recorded(project) == first


def test_only_the_table_of_training_can_be_accepted(project):
    for options, one in (({}, Project(root=project.root, env={}, table="data/raw/buyers.csv")), ({"environment": "serving"}, project)):
        with pytest.raises(UsageError, match="--accept"):
            validate(one, now=NOW, accept=True, **options)


def test_a_date_in_the_future_is_asked_again_until_it_has_come(project):
    rows(day=pl.lit(dt.date(2026, 11, 30))).write_csv(project.raw)
    project.contract.unlink()
    infer_contract(project, force=True)
    project.contract.write_text(project.contract.read_text().replace("allow: [future]", "allow: []"))
    assert ("quality.future", "day") in failed(validate(project, now=NOW))
    assert not answered(project, now=NOW).recorded
    assert ("quality.future", "day") not in failed(validate(project, now=NOW + dt.timedelta(days=20)))


@pytest.mark.parametrize(("day", "outcome"), [(20, Outcome.PASS), (30, Outcome.PASS), (31, Outcome.FAIL)])
def test_a_waived_failure_passes_until_the_waiver_ends(project, day, outcome):
    rows(age=pl.col("age") + 7).write_csv(project.raw)
    waiver = "{check: quality.range, column: age, owner: ada, reason: moved, expires: 2026-11-30}"
    project.contract.write_text(project.contract.read_text() + f"\nwaivers:\n  - {waiver}\n")
    validate(project, now=NOW)
    verdict = validate(project, now=dt.datetime(2026, 11, 1, tzinfo=dt.UTC) + dt.timedelta(days=day - 1))
    assert {name for name, _ in failed(verdict) if name != "statistics.shift"} >= {"quality.range"}
    blocking = {check.name for check in verdict.checks if check.blocks} - {"statistics.shift"}
    assert (not blocking) is (outcome is Outcome.PASS)


def test_a_waived_age_stays_waived_when_it_is_asked_again(project):
    text = project.contract.read_text().replace("advisory: true", "advisory: false")
    waiver = "{check: freshness.age, owner: ada, reason: late, expires: 2027-03-01}"
    project.contract.write_text(f"{text}\nwaivers:\n  - {waiver}\n")
    late = NOW + dt.timedelta(days=60)
    for _ in range(2):
        verdict = validate(project, now=late)
        assert verdict.outcome is Outcome.PASS
        assert failed(verdict) == {("freshness.age", None)}


def run_command(project, *argv):
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    return command.run(project, parser.parse_args(argv))


def test_the_command_prints_one_line_where_everything_passes(project, capsys):
    assert run_command(project) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("validate: pass · ")
    assert line.endswith("metrics/validation.json")
    run_command(project)
    assert capsys.readouterr().out.endswith("(recorded: nothing changed)\n")


def test_json_is_the_verdict_and_nothing_else(project, capsys):
    rows(age=pl.col("age") + 100).write_csv(project.raw)
    assert run_command(project, "--json") == 1
    assert json.loads(capsys.readouterr().out) == json.loads(project.verdict("validation").read_text())


def test_junit_has_each_check(project, tmp_path):
    run_command(project, "--junit", str(tmp_path / "out/validation.xml"))
    cases = list(ElementTree.parse(tmp_path / "out/validation.xml").iter("testcase"))
    assert len(cases) == len(recorded(project).checks)
