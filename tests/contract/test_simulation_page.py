"""The simulation's page in a real browser: self-contained, readable in the dark, and on a phone."""

import itertools

import pytest

from seatrial.simulation.report import Simulated, simulation_page
from tests.browser import browser, opened  # noqa: F401 - fixtures
from tests.contract.test_pages import CONTRASTS, loads_nothing_and_fits
from tests.simulations import seen, settings, told


@pytest.mark.parametrize(("scheme", "width"), list(itertools.product(("light", "dark"), (375, 1280))))
def test_the_page_needs_nothing_else_and_fits_every_window(opened, tmp_path, scheme, width):  # noqa: F811
    year = (seen(1), seen(2, "drift.columns"), seen(3, "drift.prediction"), seen(4, "drift.columns", version=2, then=None))
    path = tmp_path / "simulate.html"
    path.write_text(simulation_page(Simulated(story=told(tmp_path).story, settings=settings(), year=year)))
    shown = loads_nothing_and_fits(opened, path, scheme, width)
    contrasts = shown.page.evaluate(CONTRASTS)
    assert [(place, round(ratio, 2)) for place, ratio in contrasts if ratio < 4.5 and not place.startswith("style")] == []
    inside = (
        "[...document.querySelectorAll('.sim text, .sim circle, .sim rect')].every(one => (([a, b]) => a.left >= b.left - 1 && "
        "a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1)"
        "([one.getBoundingClientRect(), document.querySelector('.sim').getBoundingClientRect()]))"
    )
    assert shown.ask(inside)
    signs = shown.ask("['missed', 'false', 'open', 'fired', 'quiet'].map(one => document.querySelectorAll(`.sim .${one}`).length)")
    assert all(signs)
