"""`seatrial contract`: the draft is written once and never over somebody's review; contracts are compared, shown and carried over."""

import argparse
import datetime as dt
import gzip
import json
import subprocess

import pytest

from seatrial.commands import contract as command
from seatrial.commands.contract import describe, infer_contract
from seatrial.contract import load_contract
from seatrial.contract_schema import schema_bytes
from seatrial.errors import DataError, ParamsError, PipelineError, RefusedError, UsageError
from seatrial.profile import load_profile
from seatrial.project import Project
from seatrial.validation import validate
from seatrial.verdict import Outcome

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
PARAMS = 'model: {name: m}\ndata: {raw: t.csv, target: bought, positive: "yes", id: key, groups: [region]}\n'
TABLE = "key,region,size,bought\nk1,north,1.5,yes\nk2,south,,no\nk3,north,2.5,no\nk4,south,9,yes\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "t.csv").write_text(TABLE)
    return Project(root=tmp_path, env={})


def call(project, *words):
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    return command.run(project, parser.parse_args(words))


def test_infer_writes_a_contract_and_the_profile_it_belongs_to(project, capsys):
    contract = infer_contract(project)
    assert load_contract(project.contract) == contract
    assert load_profile(project.reference).rows == 4
    assert "from 4 rows" in capsys.readouterr().out


def test_a_drafted_contract_passes_its_table_and_says_where_its_schema_is(project):
    assert call(project, "infer") == 0
    assert project.contract.read_text().startswith("# yaml-language-server: $schema=https://")
    assert validate(project, now=NOW).verdict.outcome is Outcome.PASS


def test_infer_reads_parts_of_several_formats(project):
    (project.root / "t.csv").unlink()
    (project.root / "t.csv").mkdir()
    head, *rows = TABLE.splitlines()
    (project.root / "t.csv/a.csv").write_text("\n".join([head, *rows[:2], ""]))
    (project.root / "t.csv/b.csv.gz").write_bytes(gzip.compress("\n".join([head, *rows[2:], ""]).encode()))
    assert infer_contract(project).columns["size"].range == (0.75, 9.75)


@pytest.mark.parametrize("name", ["contract", "reference"])
def test_infer_overwrites_neither_without_force(project, name):
    infer_contract(project)
    other = "reference" if name == "contract" else "contract"
    getattr(project, other).unlink()
    getattr(project, name).write_text("reviewed by hand")
    with pytest.raises(RefusedError, match="--force"):
        infer_contract(project)
    assert getattr(project, name).read_text() == "reviewed by hand"
    assert not getattr(project, other).exists()
    infer_contract(project, force=True)
    assert getattr(project, name).read_text() != "reviewed by hand"


def test_an_id_that_repeats_is_inferred_as_it_is(project):
    (project.root / "t.csv").write_text(TABLE.replace("k2", "k1"))
    contract = infer_contract(project)
    assert not contract.columns["key"].unique
    assert validate(project, now=NOW).verdict.outcome is Outcome.PASS


def test_infer_refuses_a_role_that_the_table_does_not_have(project):
    (project.root / "t.csv").write_text(TABLE.replace("bought", "baught"))
    with pytest.raises(ParamsError, match=r"data\.target is 'bought', which is no column of t\.csv; did you mean 'baught'"):
        infer_contract(project)
    assert not project.contract.exists()


def test_infer_refuses_a_table_that_cannot_be_read(project):
    (project.root / "t.csv").write_text("")
    with pytest.raises(DataError, match="empty"):
        infer_contract(project)


def test_show_tells_types_roles_and_rules(project, capsys):
    text = describe(infer_contract(project), project)
    lines = {line.split()[0]: " ".join(line.split()) for line in text.splitlines()}
    assert lines["key"] == "key string id never missing, unique"
    assert lines["region"] == "region string group never missing, north | south"
    assert lines["bought"] == "bought string target never missing, no | yes"
    assert lines["size"].startswith("size number missing ≤ 50.00%, ")
    assert "data.snapshot, at most 30 days (advisory)" in text
    capsys.readouterr()
    assert call(project, "show") == 0
    assert capsys.readouterr().out == f"{text}\n"


def test_show_tells_conditions_waivers_and_what_only_advises(project):
    infer_contract(project)
    text = project.contract.read_text().replace("{type: number,", "{type: number, advisory: [range], environments: [training],")
    text += "waivers:\n  - {check: quality.nulls, column: size, owner: ada, reason: known, expires: 2030-01-01}\n"
    condition = "  conditions:\n    - {name: small, holds: size < 10, share: 0.1, environments: [training]}\n"
    project.contract.write_text(text.replace("table:\n", f"table:\n{condition}"))
    shown = describe(load_contract(project.contract), project)
    assert "condition small: size < 10 (at most 10.00% may break it)" in shown
    assert "waiver: quality.nulls of size until 2030-01-01, ada: known" in shown
    assert "only training, advisory: range" in shown


@pytest.fixture
def repository(project):
    infer_contract(project)

    def git(*arguments):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], cwd=project.root, check=True, capture_output=True
        )

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    project.contract.write_text(project.contract.read_text().replace("allowed: [north, south]", "allowed: [north]"))
    return project


def test_diff_compares_the_last_commit_with_the_file_here(repository, capsys):
    assert call(repository, "diff") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "contract diff: HEAD: → data/contract.yaml: 1 breaking"
    assert lines[1].split(maxsplit=1)[0] == "breaking"
    assert "columns.region.allowed: [south] → -" in lines[1]


def test_diff_says_by_its_exit_code_that_a_change_is_breaking_where_asked(repository, capsys):
    assert call(repository, "diff", "--exit-code") == 1
    assert call(repository, "diff", "HEAD", "HEAD", "--exit-code") == 0
    assert "nothing changed" in capsys.readouterr().out


def test_diff_as_json(repository, capsys):
    call(repository, "diff", "--json")
    value = json.loads(capsys.readouterr().out)
    assert value["counts"] == {"breaking": 1, "statistical": 0, "additive": 0}
    assert value["changes"][0]["place"] == "columns.region.allowed"


def test_diff_of_two_files_needs_no_repository(project, capsys):
    infer_contract(project)
    other = project.root / "other.yaml"
    other.write_text(project.contract.read_text().replace("extra: refuse", "extra: allow"))
    assert call(project, "diff", str(project.contract), str(other)) == 0
    assert "1 additive" in capsys.readouterr().out
    with pytest.raises(PipelineError, match="no git repository"):
        call(project, "diff")


def test_diff_names_an_unknown_revision(repository):
    with pytest.raises(UsageError, match="'v9' is neither a file nor a git revision"):
        call(repository, "diff", "v9")


def test_schema_writes_the_file_that_the_drafted_contract_then_names(project, capsys):
    assert call(project, "schema") == 0
    assert (project.root / "docs/contract.schema.json").read_bytes() == schema_bytes()
    infer_contract(project)
    assert project.contract.read_text().startswith("# yaml-language-server: $schema=../docs/contract.schema.json\n")
    capsys.readouterr()
    assert call(project, "schema", "-") == 0
    assert capsys.readouterr().out.encode() == schema_bytes()


@pytest.mark.parametrize("backend", ["polars", "pandas"])
def test_export_and_import_are_the_way_there_and_back(project, capsys, backend):
    contract = infer_contract(project)
    target = project.root / "checks.py"
    assert call(project, "export", "--pandera", str(target), "--backend", backend) == 0
    assert "not asked there" in capsys.readouterr().out
    with pytest.raises(RefusedError, match="would be overwritten"):
        call(project, "export", "--pandera", str(target))
    with pytest.raises(RefusedError, match=r"data/contract\.yaml would be overwritten"):
        call(project, "import", f"{target}:schema")
    assert call(project, "import", f"{target}:schema", "--force") == 0
    assert "nothing of the schema was lost" in capsys.readouterr().out
    assert load_contract(project.contract) == contract


def test_import_tells_what_was_lost(project, capsys):
    (project.root / "s.py").write_text(
        "import pandera.polars as pa\nschema = pa.DataFrameSchema({'a': pa.Column(int, pa.Check(lambda data: True, name='own'))})\n"
    )
    assert call(project, "import", f"{project.root / 's.py'}:schema") == 0
    assert "column 'a': the check own has no counterpart" in capsys.readouterr().out
    assert load_contract(project.contract).columns["a"].type == "integer"
