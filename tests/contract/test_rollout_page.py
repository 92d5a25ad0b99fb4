"""The page about a rollout in a real browser: self-contained, light and dark, on a phone, on paper, with two records and five thousand."""

import itertools
import math

import pytest

from seatrial.journal import read_records
from seatrial.rollout_page import rollout_page
from seatrial.rollout_story import stories
from seatrial.timeline import HIGH, LEFT, TOP, WIDE
from seatrial.verdict import Check, Outcome, Verdict
from tests import journals
from tests.browser import browser, opened  # noqa: F401 - fixtures
from tests.contract.test_pages import CONTRASTS, HOSTILE, overflow
from tests.journals import counts, part, state

INSIDE = (
    "[...document.querySelectorAll('.chart')].every(svg => [...svg.querySelectorAll('text, circle, rect:not(pattern *)')].every(one => "
    "(([a, b]) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1)"
    "([one.getBoundingClientRect(), svg.getBoundingClientRect()])))"
)
CHECKS = (
    Check(name="rollout.decision", outcome=Outcome.PASS, message="promoted: fine"),
    Check(name="step.005", outcome=Outcome.PASS, message="310 requests", observed=0.01, limit=0.02),
    Check(name="mirror.disagreement", outcome=Outcome.INCONCLUSIVE, message="few", advisory=True),
)


def written(folder, *rollouts):
    story = list(stories(read_records(journals.write(folder, *rollouts)), steps=("mirror", 5)))[-1]
    path = folder / "rollout.html"
    verdict = Verdict(kind="rollout", subject={"bundle": "sha256:0"}, checks=CHECKS)
    path.write_text(rollout_page(story, verdict=verdict, log_limit=math.log(300)))
    return path


@pytest.fixture
def plain(tmp_path):
    return written(tmp_path, journals.promoted(approval="eve: reviewed", started_by="bob", simulated=True))


@pytest.mark.parametrize(("scheme", "width"), list(itertools.product(("light", "dark"), (360, 700, 1280))))
def test_the_page_needs_nothing_else_fits_every_window_and_can_be_read(opened, plain, scheme, width):  # noqa: F811
    shown = opened(plain, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert shown.errors == []
    assert [address for address in shown.requests if not address.startswith("data:")] == [plain.as_uri()]
    assert shown.ask("document.scripts.length") == 0
    assert overflow(shown) <= 0
    assert shown.ask("Math.max(...[...document.querySelectorAll('.scroll')].map(one => one.scrollWidth - one.clientWidth))") <= 0
    contrasts = [one for one in shown.page.evaluate(CONTRASTS) if not one[0].startswith(("desc", "style"))]
    assert len(contrasts) > 100
    assert [(place, round(ratio, 2)) for place, ratio in contrasts if ratio < 4.5] == []
    assert shown.ask(INSIDE)


def test_assistive_technology_is_told_what_is_drawn(opened, plain):  # noqa: F811
    shown = opened(plain)
    drawings = shown.page.get_by_role("img")
    names = [drawings.nth(at).evaluate("one => one.querySelector('title').textContent") for at in range(drawings.count())]
    assert names == [
        "Weight of the challenger over time",
        "Requests of both sides over time",
        "Failures of both sides over time",
        "E-value against the challenger over time, logarithmic",
    ]
    assert shown.page.get_by_role("img", name="Requests of both sides over time").count() == 1


def test_sides_differ_in_colour_and_in_line(opened, plain):  # noqa: F811
    shown = opened(plain)
    style = "getComputedStyle(document.querySelector(`.chart .${name} .curve`))"
    for asked in ("stroke", "strokeDasharray"):
        assert len(set(shown.ask(f"['challenger', 'champion'].map(name => {style}.{asked})"))) == 2


def test_the_weight_is_drawn_where_it_was(opened, plain):  # noqa: F811
    shown = opened(plain)
    line = shown.ask("(one => [one.getPointAtLength(0).y, one.getPointAtLength(1e6).y])(document.querySelector('.chart .curve'))")
    assert line == [TOP + HIGH, TOP]  # from 0 % at the bottom to 100 % at the top
    band = shown.ask("(one => [one.x.baseVal.value, one.width.baseVal.value])(document.querySelector('.chart rect'))")
    assert band == pytest.approx([LEFT + WIDE / 42, WIDE * 10 / 42], rel=1e-4)  # mirror from second 1 to 11 of 42


@pytest.mark.parametrize("width", [360, 1280])
def test_a_first_release_of_two_records_is_a_page(opened, tmp_path, width):  # noqa: F811
    path = written(tmp_path, [(0, "began", state("starting", champion=None)), (0.2, "promoted", journals.idle(2))])
    shown = opened(path, viewport={"width": width, "height": 800})
    assert shown.errors == []
    assert shown.page.get_by_role("img").count() == 1
    assert overflow(shown) <= 0
    assert shown.ask(INSIDE)


def test_five_thousand_records_and_many_decisions_stay_readable(opened, tmp_path):  # noqa: F811
    waiting = [
        (at, f"turn {at}", state("canary", step=at // 30, now=part(1 + at // 50, counts(19 * at, at // 9), counts(at, at // 90))))
        for at in range(5000)
    ]
    shown = opened(written(tmp_path, waiting), viewport={"width": 360, "height": 800})
    assert shown.errors == []
    assert overflow(shown) <= 0
    assert shown.ask(INSIDE)
    places = shown.ask(
        "[...document.querySelector('.chart').querySelectorAll('text.strong[y=\"15\"]')].map(one => one.getBoundingClientRect())"
        ".map(box => [box.left, box.right]).sort((a, b) => a[0] - b[0])"
    )
    assert len(places) > 5
    assert all(one[1] <= other[0] + 0.5 for one, other in itertools.pairwise(places))


@pytest.mark.parametrize("width", [360, 1280])
def test_all_that_is_counted_fits_and_no_short_word_is_broken(opened, tmp_path, width):  # noqa: F811
    many = {"slow": 12_345, "broken": 12_345}
    parts = [part(step, counts(10**6, 12_345, **many), counts(10**6, 12_345, **many), name=f"bake at {step} %") for step in (5, 100)]
    told = [
        (0, "began", state("starting")),
        (9, "promote", state("promoting", evidence=parts, outcome="pass")),
        (10, "promoted", journals.idle(2)),
    ]
    shown = opened(written(tmp_path, told), viewport={"width": width, "height": 800})
    assert overflow(shown) <= 0
    assert shown.ask("Math.max(...[...document.querySelectorAll('.scroll')].map(one => one.scrollWidth - one.clientWidth))") <= 0
    heights = shown.ask("[...document.querySelectorAll('td .nobreak')].map(one => one.getClientRects().length)")
    assert set(heights) == {1}
    assert "bake at 100 %" in shown.page.locator("td .nobreak").all_inner_texts()


@pytest.mark.parametrize("width", [360, 1280])
def test_hostile_words_stay_text(opened, tmp_path, width):  # noqa: F811
    fields = ("reason", "approval", "gate")
    told = [
        (at, text, state("canary", step=at, now=part(5, counts(9), counts(9), name=text)) | dict.fromkeys(fields, text))
        for at, text in enumerate(HOSTILE)
    ]
    shown = opened(written(tmp_path, told), viewport={"width": width, "height": 800})
    assert shown.errors == []
    assert shown.ask("document.title") == "Rollout of version 2"
    assert shown.ask("[document.scripts.length, document.images.length, document.body.querySelectorAll('style').length]") == [0, 0, 0]
    assert overflow(shown) <= 0


def test_paper_is_white(opened, plain):  # noqa: F811
    shown = opened(plain, color_scheme="dark")
    shown.page.emulate_media(media="print", color_scheme="dark")
    assert shown.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.ask("getComputedStyle(document.querySelector('figure')).breakInside") == "avoid"
