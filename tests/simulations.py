"""A small table with a story about it, and a simulated year as it could have been seen."""

from seatrial.contract import parse_contract
from seatrial.convert import convert
from seatrial.live_performance import Interval
from seatrial.located import yaml_of
from seatrial.params import Settings
from seatrial.simulation.judge import Seen
from seatrial.simulation.story import load_story

CONTRACT = """\
columns:
  client: {type: string, unique: true}
  age: {type: integer, range: [0, 120]}
  amount: {type: number}
  plan: {type: string, allowed: [basic, plus]}
  left: {type: string, allowed: ["No", "Yes"]}
"""
SETTINGS = {
    "model": {"name": "leavers"},
    "data": {"raw": "data/raw.csv", "target": "left", "positive": "Yes", "id": "client"},
    "gate": {"metrics": {"roc_auc": {"floor": 0.7}, "f1": {"floor": 0.3, "tier": "advisory"}}},
}
STORY = """\
start: 2025-01-01
months: 4
seed: 3
history: 0.5
delay_days: 5
chapters:
  - name: stable
    months: [1]
    words: Nothing happens.
  - name: shock
    months: [2, 3]
    words: Amounts double, and the old leave.
    world:
      - {column: amount, times: 2}
      - {column: plan, value: plus, share: 0.5}
    outcomes:
      - {value: "Yes", where: {column: age, since: 60}}
    traffic: 2
    fires: {drift.columns: [2, 3], retrain: [3]}
    may: {drift.prediction: [2, 3]}
  - name: broken
    months: [4]
    words: Ages do not arrive.
    wire:
      - {column: age, missing: true, share: 0.5}
    mix: {times: 3, where: {column: plan, equals: plus}}
    delay_days: 60
    fires: {drift.missing: [4]}
acts:
  - {month: 3, request: they stay away, allow: {plan: [gold]}}
"""


def contract():
    return parse_contract(yaml_of(CONTRACT, __import__("pathlib").Path("contract.yaml")))


def settings():
    found, problems = convert(Settings, SETTINGS)
    assert problems == []
    return found


def told(folder, text=STORY):
    (folder / "story.yaml").write_text(text)
    return load_story(folder / "story.yaml")


def near(value):
    return Interval(value=value, low=value - 0.05, high=value + 0.05)


def seen(month, *alarms, **more):
    """What a month showed: these alarms, each with some words."""
    known = {"then": near(0.84), "later": near(0.83), "guess": near(0.86), "coverage": 0.8}
    window = f"2025-{month:02d}-01T00:00Z/2025-{month + 1:02d}-01T00:00Z"
    values = {"window": window, "since": f"2025-{month:02d}-01", "version": 1, "rows": 200} | known | more
    return Seen(month=month, alarms={name: f"words about {name}" for name in alarms}, **values)
