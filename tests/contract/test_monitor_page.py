"""The monitor's page in a real browser: self-contained, on a phone, in the dark, and with hostile names."""

import itertools

import pytest

from seatrial.alerts import Alert
from seatrial.monitor_history import Measure
from seatrial.monitor_page import monitor_page
from seatrial.project import Project
from seatrial.verdict import Check, Outcome, Verdict
from tests.browser import browser, opened  # noqa: F401 - fixtures
from tests.contract.test_pages import HOSTILE, needs_nothing_and_fits, overflow
from tests.monitors import DIGEST, record
from tests.sites import PARAMS


def days(count=40, names=("amount", "visits", "colour")):
    """Windows of two versions: a drift, an outage, a day of simulation."""
    for day in range(count):
        bad = day in (12, 13)
        found = record(
            day,
            failing=("drift.columns",) if bad else ("monitor.errors",) if day == 25 else (),
            digest=DIGEST if day < 30 else DIGEST.replace("a", "b"),
            version=3 if day < 30 else 4,
            simulated=700.0 if day == 5 else 0.0,
            metric=None if day > 35 else 0.84 - day / 1000,
            errors=0.04 if day == 25 else 0.001,
            p50_ms=1.1,
            p95_ms=2.4,
            p99_ms=4.0 + day % 5,
            coverage=1.0 if day < 30 else 0.4,
        )
        distances = [
            Measure(name="distance", part=name, value=0.14 if bad and at == 1 else 0.02 + (day * 7 + at) % 10 / 250, high=0.1)
            for at, name in enumerate(names)
        ]
        groups = [Measure(name="group", part=f"plan = {one}", value=0.8, low=0.75, high=0.85, rows=300) for one in ("basic", "plus")]
        yield type(found)(**{name: getattr(found, name) for name in found.__slots__} | {"measures": (*found.measures, *distances, *groups)})


def written(folder, names=("amount", "visits", "colour"), message="2 of 3 columns drifted"):
    (folder / "params.yaml").write_text(PARAMS)
    records = list(days(names=names))
    checks = (
        Check(name="monitor.rows", outcome=Outcome.PASS, message="700 rows"),
        Check(name="drift.columns", outcome=Outcome.FAIL, message=message),
    )
    verdict = Verdict(kind="monitor", subject={"window": records[-1].window.name}, checks=checks)
    alert = Alert(check="drift.columns", since=records[-1].window.name, told=records[-1].recorded, message=message)
    page = monitor_page(Project(root=folder, env={}).settings, records[-1], verdict, records, {"drift.columns": alert})
    path = folder / "monitor.html"
    path.write_text(page)
    return path


@pytest.mark.parametrize(("scheme", "width"), list(itertools.product(("light", "dark"), (375, 1280))))
def test_the_page_needs_nothing_else_and_fits_every_window(opened, tmp_path, scheme, width):  # noqa: F811
    needs_nothing_and_fits(opened, written(tmp_path), scheme, width, texts=100)


def test_trends_are_drawn_inside_their_frames(opened, tmp_path):  # noqa: F811
    shown = opened(written(tmp_path))
    titles = shown.ask("[...document.querySelectorAll('.trends h3')].map(one => one.textContent)")
    assert titles[:3] == ["Rows", "Failed requests", "Latency in the server, ms"]
    assert "roc_auc" in titles
    inside = (
        "[...document.querySelectorAll('.trend, .map')].every(svg => [...svg.querySelectorAll('text, circle, rect')].every(one => "
        "(([a, b]) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1)"
        "([one.getBoundingClientRect(), svg.getBoundingClientRect()])))"
    )
    assert shown.ask(inside)
    assert shown.ask("document.querySelectorAll('.map .fail').length") == 2
    assert shown.ask("document.querySelectorAll('.map rect').length") == 120
    colours = "['first', 'fail'].map(name => getComputedStyle(document.querySelector(`.trend circle.${name}`)).fill)"
    assert len(set(shown.ask(colours))) == 2


@pytest.mark.parametrize("width", [375, 1280])
def test_hostile_names_stay_text(opened, tmp_path, width):  # noqa: F811
    shown = opened(written(tmp_path, names=HOSTILE, message=HOSTILE[0]), viewport={"width": width, "height": 800})
    assert shown.errors == []
    assert shown.ask("[document.title, document.scripts.length, document.images.length]") == ["Live: leavers in local", 0, 0]
    assert overflow(shown) <= 0
