"""Which changes are told, in which words, where addresses come from; and that nothing of it can stop a rollout."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest

from seatrial.errors import ParamsError
from seatrial.notify import MOST, Notifier, addresses, kind_of, message_of
from seatrial.project import Project
from seatrial.rollout_state import Ended, Phase, Pin, State
from seatrial.verdict import Outcome

PARAMS = Path(__file__).parents[2] / "params.yaml"
NEW, OLD = Pin(version=2, digest="sha256:2"), Pin(version=1, digest="sha256:1")
ENDED = Ended(challenger=NEW, champion=OLD, outcome=Outcome.PASS, reason="100 %: fine")


def state(phase, *, challenger=NEW, champion=OLD, id="2-a", **more):
    return State(phase=phase, challenger=challenger, champion=champion, id=id, environment="production", model="m", **more)


def later(phase, **more):
    """A state of a later version of Seatrial, with fields that this one does not have."""
    known = {field.name: getattr(state(phase), field.name) for field in dataclasses.fields(State)}
    return SimpleNamespace(**{**known, **more})


IDLE = State(champion=OLD)
PROMOTED = State(champion=NEW, previous=OLD, last=ENDED, environment="production", model="m")
PAUSE = SimpleNamespace(reason="eve: lunch")


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (IDLE, state(Phase.STARTING), "started"),
        (state(Phase.HELD, id="2-0"), state(Phase.STARTING), "started"),
        (state(Phase.STARTING), state(Phase.STARTING), None),
        (IDLE, state(Phase.HELD), "held"),
        (state(Phase.HELD), state(Phase.HELD, reason="again"), None),
        (later(Phase.CANARY, pause=None), later(Phase.CANARY, pause=PAUSE), "held"),
        (later(Phase.CANARY, pause=PAUSE), later(Phase.CANARY, pause=PAUSE), None),
        (later(Phase.CANARY, pause=PAUSE), later(Phase.CANARY, pause=None), None),
        (state(Phase.STARTING), state(Phase.MIRROR), "advanced"),
        (state(Phase.MIRROR), state(Phase.MIRROR, waited=9), None),
        (state(Phase.MIRROR), state(Phase.CANARY, step=1), "advanced"),
        (state(Phase.CANARY, step=1), state(Phase.CANARY, step=2), "advanced"),
        (state(Phase.CANARY, step=2), state(Phase.PROMOTING, step=2), None),
        (state(Phase.PROMOTING), PROMOTED, "promoted"),
        (PROMOTED, dataclasses.replace(PROMOTED, pending=()), None),
        (state(Phase.CANARY), state(Phase.ROLLING_BACK, outcome=Outcome.FAIL), "rolled_back"),
        (state(Phase.CANARY), state(Phase.ROLLING_BACK, outcome=Outcome.INCONCLUSIVE), "rolled_back"),
        (state(Phase.PROMOTING), state(Phase.ROLLING_BACK, outcome=Outcome.ERROR), "error"),
        (state(Phase.ROLLING_BACK), state(Phase.ROLLING_BACK), None),
        (state(Phase.ROLLING_BACK), IDLE, None),
        (IDLE, State(champion=NEW), None),
    ],
)
def test_each_change_is_told_once_and_progress_is_not(before, after, kind):
    assert kind_of(before, after) == kind


def test_a_message_says_what_which_version_where_why_and_what_to_do():
    told = message_of("rolled_back", "event", state(Phase.ROLLING_BACK, reason="5 %: 30 of 100 failed"))
    assert told.title == "m in production: version 2 goes back"
    assert told.body == "Why: 5 %: 30 of 100 failed\nWhat to do: read reports/rollout.html and metrics/rollout.json; the champion serves"
    assert message_of("promoted", "promoted", PROMOTED).title == "m in production: version 2 is champion"
    assert "100 %: fine" in message_of("promoted", "promoted", PROMOTED).body
    assert "eve: lunch" in message_of("held", "pause", later(Phase.CANARY, pause=PAUSE)).body


@pytest.mark.parametrize(
    ("phase", "step", "steps", "words"),
    [
        (Phase.MIRROR, 0, ("mirror", 5), "the mirror step"),
        (Phase.CANARY, 1, ("mirror", 5), "5 %"),
        (Phase.CANARY, 2, ("mirror", 5), "step 3"),
    ],
)
def test_an_advance_names_its_step(phase, step, steps, words):
    assert message_of("advanced", "e", state(phase, step=step), steps=steps).title.endswith(f"goes on to {words}")


def test_a_message_is_short_whatever_a_person_wrote():
    told = message_of("held", "e", state(Phase.HELD, reason="x\ny" * 5000))
    assert len(told.body) < 800
    assert told.body.count("\n") == 1


def test_addresses_come_from_the_environment(tmp_path):
    assert addresses("URLS", {"URLS": " json://a  mailto://b\njson://c "}, tmp_path) == ("json://a", "mailto://b", "json://c")
    assert addresses("URLS", {}, tmp_path) == ()


@pytest.mark.parametrize(("mode", "taken"), [(0o600, True), (0o400, True), (0o640, False), (0o604, False)])
def test_addresses_come_from_a_file_that_nobody_else_can_read(tmp_path, mode, taken):
    path = tmp_path / "urls"
    path.write_text("# ours\njson://secret\n")
    path.chmod(mode)
    if taken:
        assert addresses("./urls", {}, tmp_path) == ("json://secret",)
        return
    with pytest.raises(ValueError, match=r"can be read by others: chmod 600 \./urls") as refused:
        addresses("./urls", {}, tmp_path)
    assert "secret" not in str(refused.value)


def project(tmp_path, section, env=None):
    (tmp_path / "params.yaml").write_text(PARAMS.read_text() + f"\nnotify: {section}\n")
    return Project.find(tmp_path, env=env or {})


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("{urls_from: 'slack://token/secret'}", "an address is a secret"),
        ("{urls_from: 'two words'}", "expected the name of an environment variable"),
        ("{events: [finished]}", "finished"),
        ("{timeout_s: 0}", "0"),
        ("{timeout_s: 61}", "61"),
    ],
)
def test_params_refuse_an_address_and_what_is_not_known(tmp_path, section, words):
    with pytest.raises(ParamsError, match=words):
        assert project(tmp_path, section).settings


def test_it_is_off_unless_an_event_is_named(tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(Notifier, "send", lambda self, message: sent.append(message.kind))
    (tmp_path / "params.yaml").write_text(PARAMS.read_text())
    Notifier(Project.find(tmp_path, env={"SEATRIAL_NOTIFY_URLS": "json://a"}), print)("began", IDLE, state(Phase.STARTING))
    assert sent == []
    notifier = Notifier(project(tmp_path, "{events: [held, promoted]}"), print)
    for before, after in ((IDLE, state(Phase.STARTING)), (IDLE, state(Phase.HELD)), (state(Phase.PROMOTING), PROMOTED)):
        notifier("event", before, after)
    assert sent == ["held", "promoted"]


def test_what_is_wrong_is_said_once_and_raises_nothing(tmp_path):
    said = []
    for section in ("{events: [started]}", "{events: [started], urls_from: ./none}"):
        notifier = Notifier(project(tmp_path, section), said.append)
        for _ in range(3):
            notifier("began", IDLE, state(Phase.STARTING))
    assert said == [
        "notify: SEATRIAL_NOTIFY_URLS holds no address; the rollout goes on, and this is not said again",
        "notify: notify.urls_from: ./none cannot be read: No such file or directory; the rollout goes on, and this is not said again",
    ]


def test_messages_that_hang_do_not_pile_up(tmp_path, monkeypatch):
    spawned, said = [], []
    still = SimpleNamespace(poll=lambda: None, returncode=None)
    monkeypatch.setattr("seatrial.notify._spawn", lambda told, log: spawned.append(told) or still)
    notifier = Notifier(project(tmp_path, "{events: [started]}", {"SEATRIAL_NOTIFY_URLS": "json://a"}), said.append)
    for _ in range(MOST + 2):
        notifier("began", IDLE, state(Phase.STARTING))
    assert len(spawned) == MOST
    assert len(said) == 1
