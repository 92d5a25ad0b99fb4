"""Reports: worst first, bounded, one last line, and nothing from the data gets into a page unescaped."""

import io
import re

import pytest

from seatrial.report import last_line, print_verdict, verdict_markdown, verdict_page
from seatrial.verdict import Check, Outcome, Verdict


def check(name, outcome="pass", message="as it should be", **more):
    return Check(name=name, outcome=Outcome(outcome), message=message, **more)


def verdict(*checks):
    return Verdict(kind="validation", subject={"data": "md5:0123456789abcdef", "contract": None}, checks=checks)


@pytest.mark.parametrize(
    ("checks", "line"),
    [
        ([check("a"), check("b")], "validate: pass · 2 checks · metrics/v.json"),
        ([check("a"), check("b", "fail", advisory=True)], "validate: pass · 2 checks, 1 advisory · metrics/v.json"),
        ([check("a"), check("b", "fail", "x is 3")], "validate: fail · 1 of 2 checks did not pass, first b: x is 3 · metrics/v.json"),
        ([], "validate: inconclusive · no check that could block was made · metrics/v.json"),
    ],
)
def test_the_last_line_says_outcome_reason_and_file(checks, line):
    assert last_line(verdict(*checks), title="validate", path="metrics/v.json") == line


def test_a_recorded_verdict_is_one_line(capsys):
    print_verdict(verdict(check("a", "fail")), title="validate", path="v.json", recorded=True)
    assert capsys.readouterr().out.splitlines() == [
        "validate: fail · 1 of 1 check did not pass, first a: as it should be · v.json (recorded: nothing changed)"
    ]


@pytest.mark.parametrize(("findings", "lines"), [(9, 10), (10, 11), (11, 11)])
def test_at_most_ten_lines_come_before_the_last(capsys, findings, lines):
    print_verdict(verdict(*(check(f"c{at}", "fail") for at in range(findings))), title="validate", path="v.json")
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == lines
    assert ("… and 2 more in v.json" in printed) == (findings == 11)


def test_the_worst_is_printed_first_and_passes_are_not(capsys):
    print_verdict(
        verdict(check("good"), check("note", "fail", advisory=True), check("odd", "inconclusive"), check("bad", "fail")),
        title="t",
        path="v.json",
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.removesuffix("  as it should be").split()[-1] for line in lines[:3]] == ["bad", "odd", "note"]
    assert not any("good" in line for line in lines)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_terminal(monkeypatch, width, *checks):
    """What a terminal of so many columns shows, without its colours."""
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    print_verdict(verdict(*checks), title="t", path="v.json")
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()


MESSAGE = "column 'monthly_charges': 7 of 7043 values are not between 10 and 200: 99999.0 (row 17), 250.5 (row 3334), …"


@pytest.mark.parametrize("width", [60, 80, 109, 110, 200])
def test_a_terminal_wraps_sentences_between_words(monkeypatch, width):
    lines = on_terminal(monkeypatch, width, check("statistics.new_categories", "inconclusive", MESSAGE, advisory=True))
    assert all(len(line) <= width for line in lines[:-1])
    words = " ".join(lines[:-1]).split()
    assert "statistics.new_categories" in words
    assert [word for word in words if word in MESSAGE.split()] == MESSAGE.split()


@pytest.mark.parametrize(("width", "columns"), [(109, False), (110, True)])
def test_a_narrow_terminal_has_the_sentence_below_the_name(monkeypatch, width, columns):
    lines = on_terminal(monkeypatch, width, check("quality.range", "fail", "x is 3"))
    assert (lines[0].split() == ["outcome", "check", "finding"]) == columns
    assert any(line.split() == ["fail", "quality.range", "x", "is", "3"] for line in lines) == columns


def test_a_terminal_shows_the_worst_first_and_ten_lines(monkeypatch):
    checks = [check(f"c{at:02}", "fail", advisory=at < 5) for at in range(20)]
    lines = on_terminal(monkeypatch, 120, *checks)
    assert [line.split()[1] for line in lines[1:10]] == [f"c{at:02}" for at in range(5, 14)]
    assert lines[10] == "… and 11 more in v.json"
    assert len(lines) == 12


@pytest.mark.parametrize("terminal", [True, False])
def test_messages_are_bounded_and_cannot_steer_a_terminal(monkeypatch, capsys, terminal):
    bad = check("a", "fail", f"begin \x1b]0;owned\x07 [bold]x[/bold] {'x' * 10_000} end")
    if terminal:
        text = "\n".join(on_terminal(monkeypatch, 200, bad))
    else:
        print_verdict(verdict(bad), title="t", path="v.json")
        text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\\x1b]0;owned\\x07 [bold]x[/bold]" in text
    assert len(text) < 2500


def test_markdown_keeps_what_the_data_says_harmless():
    text = verdict_markdown(verdict(check("quality.allowed", "fail", "found '<img src=x>' | `a`\n## b")))
    assert "<img" not in text
    assert "\\|" in text
    assert len([line for line in text.splitlines() if line.startswith("| fail")]) == 1


def test_a_page_is_self_contained_and_escapes_the_data():
    html = verdict_page(verdict(check("quality.allowed", "fail", "<script>alert(1)</script>")), title="Data <1>", sections=("<p>own</p>",))
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "Data &lt;1&gt;" in html
    assert "<p>own</p>" in html
    assert "http" not in html.replace("http-equiv", "")
    assert "prefers-color-scheme: dark" in html
    assert "md5:0123456789ab<" in html
