"""The sections of a review, from facts made by hand."""

from dataclasses import replace

import pytest

from seatrial.contract_diff import Change as ContractChange
from seatrial.contract_diff import Kind
from seatrial.diff import Answer, Change, Comparison
from seatrial.dvc_lock import Locked
from seatrial.flips import Flips
from seatrial.merge_base import Base
from seatrial.movements import Interval
from seatrial.params import Data, Model, Settings
from seatrial.profile import ColumnProfile, Profile
from seatrial.rescored import Rescored, SliceMove
from seatrial.review_facts import Facts, Sides
from seatrial.review_page import html_of, review_page
from seatrial.review_sections import foot, head, outcome_of, sections
from seatrial.verdict import Check, Outcome, Verdict

SETTINGS = Settings(model=Model(name="m"), data=Data(raw="t.csv", target="bought"))
GATE = Verdict(
    kind="gate",
    subject={},
    checks=(
        Check(name="performance.roc_auc.floor", outcome=Outcome.PASS, message="fine", observed=0.84, limit=0.8),
        Check(name="performance.roc_auc.champion", outcome=Outcome.FAIL, message="worse", observed=-0.03, limit=-0.02),
        Check(name="fairness.a", outcome=Outcome.FAIL, message="apart " * 200, advisory=True),
        Check(name="behaviour.flips", outcome=Outcome.PASS, message="3 rows flip"),
    ),
)


def slice_move(value, gain, p):
    interval = Interval(value=gain, low=gain - 0.01, high=gain + 0.01)
    return SliceMove(column="plan", value=value, rows=100, old=0.8, new=0.8 + gain, interval=interval, p=p)


RESCORED = Rescored(
    rows=90,
    every=100,
    learned=10,
    metrics={"roc_auc": Interval(value=-0.05, low=-0.07, high=-0.03)},
    slice_metric="roc_auc",
    slices=(slice_move("plus", -0.1, 0.001), slice_move("basic", 0.001, 0.9)),
    flips=None,
    profiles=None,
)
METRICS = tuple(Change(path="e.json", name=name, old=old, new=new) for name, old, new in (("f1", 0.6, 0.6), ("roc_auc", 0.85, 0.8)))


def facts(**changes):
    base = Base(commit="abc1234567", reason="the merge base of HEAD with main", branch="main")
    found = Facts(base=base, comparison=Comparison(base=base, metrics=Answer(changes=METRICS), params=Answer()), gate=GATE)
    return replace(found, **changes)


def text_of(found):
    return "\n\n".join(section.markdown for section in sections(found, SETTINGS))


def titles(found):
    return [section.title for section in sections(found, SETTINGS)]


def test_the_first_line_has_the_outcome_and_the_primary_metric():
    lines = head(facts(rescored=RESCORED), SETTINGS).splitlines()
    assert lines[0] == "## 🔴 m: fail · `roc_auc` 0.850 → 0.800 (worse)"
    assert "- 🔴 **gate: fail** · 1 of 4 checks did not pass, first performance.roc\\_auc.champion: worse" in lines
    assert "Compared with `abc1234567`, the merge base of HEAD with main." in lines


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "fail"),
        ({"gate": None}, "inconclusive"),
        ({"gate": replace(GATE, checks=GATE.checks[:1])}, "pass"),
        ({"gate": replace(GATE, checks=GATE.checks[:1]), "validation": GATE}, "fail"),
        ({"gate": replace(GATE, checks=GATE.checks[:1]), "tolerances": (replace(GATE.checks[0], outcome=Outcome.ERROR),)}, "error"),
    ],
)
def test_the_outcome_is_the_worst_of_what_was_decided(changes, outcome):
    assert outcome_of(facts(**changes)) == outcome


def test_troubles_and_notes_stand_above_everything_as_words():
    text = head(facts(troubles=("No gate: <b>",), notes=("main has gone on",)), SETTINGS)
    assert "> 🟠 No gate: &lt;b&gt;" in text
    assert "- main has gone on" in text


def test_without_a_base_the_gate_is_shown_all_the_same():
    found = facts(base=None, comparison=None)
    assert titles(found)[0] == "What the gate did not pass"
    assert "Metrics" not in titles(found)


def test_metrics_show_their_paired_change_with_interval_strip_and_reading():
    text = text_of(facts(rescored=RESCORED, floors={"roc_auc": 0.005}))
    (line,) = [line for line in text.splitlines() if line.startswith("| `roc_auc` | 0.8500")]
    cells = line.split(" | ")
    assert cells[3] == "-0.0500<br><sub>-0.0700\u00a0to\u00a0-0.0300</sub>"
    assert cells[4].strip("`").index("╋") < cells[4].strip("`").index("│")
    assert cells[5] == "🔴\u00a0worse |"
    assert "both models on the same 90 of 100 held-out rows. Left out are 10 rows that the base's model was trained on." in text
    assert "░ is the noise floor" in text


def test_the_primary_metric_comes_first_and_what_is_no_metric_only_where_it_changed():
    changes = (*METRICS, Change(path="e.json", name="rows", old=5, new=5), Change(path="e.json", name="threshold", old=0.3, new=0.4))
    base = facts().base
    text = text_of(facts(comparison=Comparison(base=base, metrics=Answer(changes=changes), params=Answer())))
    assert text.index("`roc_auc` | 0.85") < text.index("`f1`") < text.index("`threshold`")
    assert "`rows`" not in text


def test_what_blocks_comes_before_advisory_findings_which_are_folded_and_short():
    text = text_of(facts())
    assert text.index("### What the gate did not pass\n\n| outcome | finding |") < text.index("Advisory")
    assert "🔴\u00a0fail | `performance.roc_auc.champion`<br>worse |" in text
    folded = text[text.index("<details><summary>Advisory: 1 finding of the gate") :]
    assert len(folded.split("</details>")[0]) < 600


def test_the_gate_s_limits_are_one_line_for_each_metric():
    text = text_of(facts()).replace("\u00a0", " ")
    assert "| metric | floor | against the champion |" in text
    assert "| `roc_auc` | 🟢 0.840, at least 0.8 | 🔴 -0.030, at least -0.02 |" in text


def test_breaking_changes_of_the_contract_are_told_in_the_head_too():
    change = ContractChange(kind=Kind.BREAKING, place="columns.age.range", old="[0, 9]", new="[0, 5]", reason="refused now")
    found = facts(contract=(change,))
    assert "🔴 **1 breaking change of the data contract**" in head(found, SETTINGS)
    assert "| 🔴\u00a0breaking | `columns.age.range` | \\[0, 9\\] | \\[0, 5\\] | refused now |" in text_of(found)


def test_slices_that_moved_are_shown_and_the_others_counted():
    text = text_of(facts(rescored=RESCORED))
    assert "### Slices: 1 moved" in text
    assert "1 of 2 slices moved beyond chance by `roc_auc`" in text
    assert "`plan = plus` | 100 | 0.800 | 0.700" in text
    assert "`plan = basic`" not in text


def test_where_no_slice_moved_the_section_is_folded():
    quiet = replace(RESCORED, slices=RESCORED.slices[1:])
    assert "<details><summary>Slices: none moved</summary>" in text_of(facts(rescored=quiet))


def test_flips_against_the_base_go_before_those_against_the_champion():
    text = text_of(facts(flips=Flips(rows=50, kinds={("Yes", "No"): (4, 3)})))
    assert "4 of 50 rows (8.0%) get another label than at the base; 3 of them are right now." in text
    assert "| `Yes` → `No` | 4 | 3 | 1 |" in text
    assert "Against the champion: 3 rows flip" in text_of(facts())


def test_data_with_other_bytes_is_named_with_both_hashes():
    sides = Sides(base={"t.csv": Locked(md5="a" * 32, size=10)}, now={"t.csv": Locked(md5="b" * 32, size=12)})
    assert "| `t.csv` | `aaaaaaaa` (10 bytes) | `bbbbbbbb` (12 bytes) |" in text_of(facts(sides=sides))
    assert "Data" not in titles(facts(sides=Sides(base=sides.base, now=sides.base)))


def profile(*counts):
    values = tuple((name, count) for name, count in zip("abc", counts, strict=False))
    column = ColumnProfile(type="string", count=sum(counts), nulls=0, distinct=len(counts), values=values)
    return Profile(rows=sum(counts), columns={"plan": column})


def test_columns_that_drifted_from_the_base_s_data_are_shown():
    text = text_of(facts(profiles=(profile(900, 100), profile(500, 500))))
    assert "### Drift since the base\n\n1 of 1 column drifted" in text
    assert "| `plan` | psi 0.87" in text
    assert "Drift" not in text_of(facts(profiles=(profile(500, 500), profile(500, 500))))


def test_little_drift_is_folded():
    assert "<details><summary>Drift since the base</summary>" in text_of(facts(profiles=(profile(501, 499), profile(500, 500))))


def test_curves_are_drawn_by_the_forge_in_the_comment_and_by_the_page_itself():
    curves = {"roc": (((0.0, 0.0), (0.5, 0.8), (1.0, 1.0)), ((0.0, 0.0), (0.5, 0.7), (1.0, 1.0)))}
    found = facts(curves=curves)
    assert "```mermaid\n%%{init" in text_of(found)
    html = review_page(head(found, SETTINGS), sections(found, SETTINGS), "", title="Review")
    assert "mermaid" not in html
    assert html.count('<path class="curve') == 2


def test_the_page_holds_the_same_words_and_no_html_of_theirs():
    found = facts(troubles=("<script>alert(1)</script>",), rescored=RESCORED)
    html = review_page(head(found, SETTINGS), sections(found, SETTINGS), foot(["reports/gate.html"], {}), title="Review")
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert '<span class="tag fail">●</span>' in html
    assert "reports/gate.html" in html
    assert "🔴" not in html


def test_html_in_the_page_s_markdown_is_text_but_for_small_print():
    assert html_of("<b>x</b> <sub>y</sub>") == "<p>&lt;b&gt;x&lt;/b&gt; <sub>y</sub></p>\n"


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "7"}, "(https://github.com/o/r/actions/runs/7#artifacts)"),
        ({"CI_JOB_URL": "https://lab.example/-/jobs/7"}, "(https://lab.example/-/jobs/7/artifacts/browse/reports)"),
        ({}, "`reports/gate.html` have the rest."),
    ],
)
def test_the_last_line_leads_to_the_reports(env, words):
    assert words in foot(["reports/gate.html"], env)
