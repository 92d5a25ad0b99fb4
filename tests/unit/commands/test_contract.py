"""`seatrial contract`: the draft is written once, and never over somebody's review."""

import pytest

from seatrial.commands.contract import describe, infer_contract
from seatrial.contract import load_contract
from seatrial.errors import DataError, ParamsError, RefusedError
from seatrial.profile import load_profile
from seatrial.project import Project

PARAMS = 'model: {name: m}\ndata: {raw: t.csv, target: bought, positive: "yes", id: key, groups: [region]}\n'
TABLE = "key,region,size,bought\nk1,north,1.5,yes\nk2,south,,no\nk3,north,2.5,no\nk4,south,9,yes\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "t.csv").write_text(TABLE)
    return Project(root=tmp_path, env={})


def test_infer_writes_a_contract_and_the_profile_it_belongs_to(project, capsys):
    contract = infer_contract(project)
    assert load_contract(project.contract) == contract
    assert load_profile(project.reference).rows == 4
    assert "from 4 rows" in capsys.readouterr().out


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


def test_infer_refuses_a_role_that_the_table_does_not_have(project):
    (project.root / "t.csv").write_text(TABLE.replace("bought", "baught"))
    with pytest.raises(ParamsError, match=r"data\.target is 'bought', which is no column of t\.csv; did you mean 'baught'"):
        infer_contract(project)
    assert not project.contract.exists()


def test_infer_refuses_a_table_that_cannot_be_read(project):
    (project.root / "t.csv").write_text("")
    with pytest.raises(DataError, match="empty"):
        infer_contract(project)


def test_show_tells_types_roles_and_rules(project):
    text = describe(infer_contract(project), project)
    lines = {line.split()[0]: " ".join(line.split()) for line in text.splitlines()}
    assert lines["key"] == "key string id never missing, unique"
    assert lines["region"] == "region string group never missing, north | south"
    assert lines["bought"] == "bought string target never missing, no | yes"
    assert lines["size"].startswith("size number missing ≤ 50.00%, ")
    assert "data.snapshot, at most 30 days (advisory)" in text
