"""The comparison as text: Markdown that leads with the outcome, aligned lines, and a table in a terminal."""

import io
import re
import sys

import pytest

from seatrial.gate_comment import MARKER, gate_markdown, print_comparison
from seatrial.gate_figures import compare
from seatrial.verdict import Check, Outcome, Verdict
from tests.gates import evidence, judged, scores


def both(**changes):
    found = evidence(**changes)
    verdict = judged(found)
    return verdict, compare(verdict, found, confidence=0.95)


def test_markdown_gives_the_outcome_the_metrics_and_then_the_findings():
    text = gate_markdown(*both(challenger=scores(noise=1.5)))
    lines = text.splitlines()
    assert lines[0] == MARKER
    assert lines[1].startswith("**gate: fail** · ")
    assert lines[3] == "| metric | challenger | champion | difference | limit | outcome |"
    assert [line.count(" | ") for line in lines[5:9]] == [5] * 4
    assert lines[5].endswith("| floor 0.7, margin 0.03 (fail) | fail |")
    assert "1,000 held-out rows" in lines[10]
    assert text.index("| metric |") < text.index("| outcome | check | finding |") < text.index("`performance.roc_auc.champion`")


def test_markdown_without_evidence_is_the_verdict_alone():
    verdict, _ = both()
    assert gate_markdown(verdict, None) == f"{MARKER}\n**gate: pass** · {len(verdict.checks)} checks\n"


@pytest.mark.parametrize(("findings", "shown", "more"), [(9, 9, False), (10, 10, False), (11, 10, True)])
def test_findings_are_bounded(findings, shown, more):
    checks = tuple(Check(name=f"suite.{at}", outcome=Outcome.FAIL, message="no") for at in range(findings))
    text = gate_markdown(Verdict(kind="gate", subject={}, checks=checks), None)
    assert (text.count("| fail | `suite."), "… and 1 more." in text) == (shown, more)


def test_lines_are_aligned_where_nobody_watches(capsys):
    print_comparison(both()[1])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert {line.index(word) for line, word in zip(lines, ("limit", "floor", "ceiling", "floor", "ceiling"), strict=True)} == {
        lines[0].index("limit")
    }
    assert not any("\x1b" in line or line != line.rstrip() for line in lines)


def test_a_first_release_says_so(capsys):
    print_comparison(both(champion=None)[1])
    assert capsys.readouterr().out.splitlines()[-1] == "First release: there is no champion to compare with."


def test_nothing_measured_prints_nothing(capsys):
    print_comparison(None)
    assert capsys.readouterr().out == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("width", "intervals"), [(79, 4), (80, 4), (95, 4), (96, 12), (129, 12), (130, 12)])
def test_a_terminal_shows_a_table_that_fits(monkeypatch, width, intervals):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    print_comparison(both(challenger=scores(noise=0.8))[1])
    lines = re.sub(r"\x1b\[[\d;]*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) == (5 if width == 130 else 9)
    assert all(word in " ".join(lines) for word in ("challenger", "difference", "log loss", "ceiling 0.9", "fail", "pass"))
    assert " ".join(lines).count("[") == intervals
