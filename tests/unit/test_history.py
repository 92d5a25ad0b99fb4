"""What was champion when, who promoted it, on what evidence: from journal, gate's ledger and registry's ledger."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from seatrial.cli import main
from seatrial.history import champion_at, from_ledger, read_history, rollout_of, way_back_of
from seatrial.looks import Look, append_look
from seatrial.rollout_records import Named, when
from tests import journals

PARAMS = Path(__file__).parents[2] / "params.yaml"
ASKED = {"when": journals.at(-60), "who": "gil", "environment": "local", "model": "m", "bundle": "b", "test_data": "t", "champion": None}
LOOK = Look(**ASKED, verdict=journals.GATE, outcome="pass")


def named(version):
    return Named(**journals.pin(version))


@pytest.fixture
def home(tmp_path):
    """Version 2 was promoted, 3 went back by evidence, then a person went back to 1."""
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    home = tmp_path / ".seatrial"
    journals.write(home, journals.promoted(approval="eve: reviewed", started_by="bob"), journals.rolled_back(), journals.taken_back())
    append_look(home, LOOK)
    return home


def asked(home, capsys, monkeypatch, *options):
    """What `seatrial history` prints, and its exit code."""
    monkeypatch.chdir(home.parent)
    with pytest.raises(SystemExit) as ended:
        main(["history", *options])
    captured = capsys.readouterr()
    return captured.out + captured.err, ended.value.code


@pytest.mark.parametrize(
    ("seconds", "version"),
    [(-0.001, None), (0, 1), (41.999, 1), (42, 2), (42.001, 2), (109, 2), (199.999, 2), (200, 1), (10_000, 1)],
)
def test_the_champion_at_a_time_is_the_one_of_the_last_record_until_then(home, seconds, version):
    reign = champion_at(read_history(home), when(journals.at(seconds)))
    assert (reign.champion if reign else None) == (named(version) if version else None)


def test_a_champion_is_traced_to_the_rollout_that_promoted_it(home):
    past = read_history(home)
    rollout = rollout_of(past, champion_at(past, when(journals.at(60))))
    assert (rollout.id, rollout.who, rollout.started_by, rollout.approval) == ("2-a", "ann", "bob", "eve: reviewed")
    assert (rollout.gate.verdict, rollout.gate.outcome, rollout.gate.who) == (journals.GATE, "pass", "gil")


def test_a_version_that_was_promoted_twice_is_traced_to_the_rollout_of_that_time(tmp_path):
    journals.write(
        tmp_path, journals.promoted(), journals.promoted(3, 2, id="3-a", start=100), journals.promoted(2, 3, id="2-b", start=200)
    )
    past = read_history(tmp_path)
    assert [rollout_of(past, champion_at(past, when(journals.at(seconds)))).id for seconds in (60, 160, 260)] == ["2-a", "3-a", "2-b"]


def test_a_champion_that_came_back_says_after_what(home):
    past = read_history(home)
    reign = champion_at(past, when(journals.at(300)))
    assert way_back_of(past, reign).reason == "asked for by bob: complaints"
    assert way_back_of(past, champion_at(past, when(journals.at(60)))) is None


def test_every_rollout_is_there_with_its_end_and_reason(home):
    assert [(one.version, one.how, one.outcome, one.reason, one.ended) for one in read_history(home).rollouts] == [
        (2, "promoted", "pass", "5 %: fine", journals.at(42)),
        (3, "rolled back", "fail", "5 %: 30 of 100 failed", journals.at(110)),
        (2, "rolled back", "fail", "asked for by bob: complaints", journals.at(201)),
    ]


def test_an_empty_home_has_no_past(tmp_path):
    past = read_history(tmp_path / "none")
    assert (past.rollouts, past.reigns, past.notes) == ((), (), ())


def test_a_torn_journal_gives_what_can_be_read_and_says_so(home):
    with (home / "journal.jsonl").open("ab") as stream:
        stream.write(b'{"torn')
    past = read_history(home)
    assert len(past.rollouts) == 3
    assert past.notes == ("the journal ends in the middle of a record, which is left out",)


def test_a_model_that_was_set_aside_leaves_no_champion(tmp_path):
    journals.write(tmp_path, journals.promoted(), [(500, "set aside", journals.idle(None))])
    past = read_history(tmp_path)
    assert champion_at(past, when(journals.at(600))).champion is None


def test_the_command_prints_lines_without_a_terminal(home, capsys, monkeypatch):
    out, code = asked(home, capsys, monkeypatch)
    lines = out.splitlines()
    assert code == 0
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["2026-11-20", time, "2026-11-20"] for time in ("10:00:00", "10:01:40", "10:03:20")
    ]
    assert "promoted" in lines[1]
    assert "gate pass" in lines[1]
    assert "bob, ann" in lines[1]
    assert lines[1].endswith("5 %: fine · approved by eve: reviewed")
    assert lines[-1] == "history: champion is version 1 since 2026-11-20 10:03:20"


def test_the_command_answers_for_a_time(home, capsys, monkeypatch):
    out, code = asked(home, capsys, monkeypatch, "--at", "2026-11-20T11:01:00+01:00")
    assert code == 0
    assert out.startswith("history: 2026-11-20 10:01:00: version 2 was champion, sha256:")
    for words in (
        "by ann, started by bob",
        "rollout 2-a: pass: 5 %: fine",
        "pass, asked by gil",
        "approval: eve: reviewed",
        "before it: version 1",
    ):
        assert words in out
    again, _ = asked(home, capsys, monkeypatch, "--at", "2026-11-20T10:05")
    assert "again, after version 2: asked for by bob: complaints" in again


def test_a_time_of_which_nothing_is_known_is_inconclusive(home, capsys, monkeypatch):
    out, code = asked(home, capsys, monkeypatch, "--at", "2020-01-01")
    assert (code, "nothing is known; journal.jsonl begins at 2026-11-20 10:00:00" in out) == (3, True)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", ""])
def test_what_is_no_time_is_refused(home, capsys, monkeypatch, text):
    out, code = asked(home, capsys, monkeypatch, "--at", text)
    assert code == 2
    assert "is no time" in out


def test_json_holds_all_of_it(home, capsys, monkeypatch):
    out, code = asked(home, capsys, monkeypatch, "--json")
    told = json.loads(out)
    assert (code, len(told["rollouts"]), len(told["reigns"])) == (0, 3, 3)
    out, code = asked(home, capsys, monkeypatch, "--json", "--at", "2026-11-20T10:01")
    told = json.loads(out)
    assert (told["reign"]["champion"]["version"], told["rollout"]["gate"]["outcome"], code) == (2, "pass", 0)
    out, code = asked(home, capsys, monkeypatch, "--json", "--at", "2020-01-01")
    assert (json.loads(out)["known"], code) == (False, 3)


def test_only_the_newest_are_shown_and_the_rest_is_counted(home, capsys, monkeypatch):
    out, _ = asked(home, capsys, monkeypatch, "--limit", "1")
    assert out.startswith("history: 2 earlier ones are not shown; --limit 0 shows all")
    assert out.count("2026-11-20 10:03:20") == 2  # its beginning, and the champion since


def test_the_command_says_that_there_is_nothing(home, capsys, monkeypatch):
    (home / "journal.jsonl").unlink()
    out, code = asked(home, capsys, monkeypatch)
    assert (code, out) == (0, "history: no rollout is recorded in journal.jsonl; deploy a version: nox -s deploy\n")


def line(event, version, champion, seconds, **more):
    told = {"event": event, "rollout": f"{version}-{journals.at(seconds)}", "version": str(version), "bundle": named(version).digest}
    champions = {"champion_version": str(champion), "champion": named(champion).digest} if champion else {}
    return {
        **told,
        **champions,
        "outcome": "pass" if event == "promoted" else "fail",
        "when": journals.at(seconds + 30),
        "who": "ann",
        **more,
    }


def test_the_registrys_ledger_tells_the_same():
    lines = [
        line("promoted", 1, None, 0, gate=journals.GATE, simulated="True"),
        line("promoted", 2, 1, 100, approval="eve: reviewed"),
        line("rolled back", 3, 2, 200),
        {"strange": "line"},
        line("rolled back", 2, 1, 300),
    ]
    past = from_ledger(lines, [replace(LOOK, outcome="pass")])
    assert [(one.version, one.how) for one in past.rollouts] == [(1, "promoted"), (2, "promoted"), (3, "rolled back"), (2, "rolled back")]
    assert [(one.since, one.champion.version) for one in past.reigns] == [
        (journals.at(30), 1),
        (journals.at(130), 2),
        (journals.at(330), 1),
    ]
    assert (past.rollouts[0].started, past.rollouts[0].simulated, past.rollouts[0].gate.outcome) == (journals.at(0), True, "pass")
