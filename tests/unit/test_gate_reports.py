"""What the gate writes for people and CI, and what it leaves as it is."""

from types import SimpleNamespace
from xml.etree import ElementTree

import polars as pl
import pytest

from seatrial.gate_reports import keep_reports, write_reports
from seatrial.params import Gate
from seatrial.verdict import Check, Outcome, Verdict
from tests.gates import LABELS, ROWS, evidence, judged


@pytest.fixture
def project(tmp_path):
    """As much of a project as the reports need: where they lie, the held-out rows and the policy."""
    pl.DataFrame({"place": range(ROWS), "label": LABELS}).write_parquet(tmp_path / "test.parquet")
    return SimpleNamespace(
        settings=SimpleNamespace(gate=Gate(), data=SimpleNamespace(target="label")),
        test_data=tmp_path / "test.parquet",
        report=lambda name: tmp_path / "reports" / name,
    )


def read(project, name):
    return project.report(name).read_text()


def test_a_measured_verdict_gives_page_markdown_junit_and_a_table(project, capsys):
    found = evidence()
    verdict = judged(found)
    write_reports(project, verdict, found)
    assert "Largest changes of probability" in read(project, "gate.html")
    assert "<bdi>place</bdi>" in read(project, "gate.html")
    assert "<bdi>label</bdi>" not in read(project, "gate.html")
    assert "| ROC AUC |" in read(project, "gate.md")
    assert ElementTree.fromstring(read(project, "gate.xml")).get("tests") == str(len(verdict.checks))
    assert "ROC AUC" in capsys.readouterr().out


def test_a_recorded_verdict_keeps_the_page_with_its_evidence(project):
    found = evidence()
    write_reports(project, judged(found), found)
    before = read(project, "gate.html")
    keep_reports(project, judged(found))
    assert read(project, "gate.html") == before


@pytest.mark.parametrize("present", [None, b"about another verdict", b"\xff\xfe"])
def test_a_recorded_verdict_without_its_page_gets_one_without_evidence(project, present):
    if present:
        project.report("gate.html").parent.mkdir()
        project.report("gate.html").write_bytes(present)
    verdict = Verdict(kind="gate", subject={}, checks=(Check(name="champion.same_bundle", outcome=Outcome.PASS, message="already"),))
    keep_reports(project, verdict)
    assert verdict.digest in read(project, "gate.html")
    assert read(project, "gate.md").endswith("**gate: pass** · 1 check\n")
    assert 'tests="1"' in read(project, "gate.xml")
