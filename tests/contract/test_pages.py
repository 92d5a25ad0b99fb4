"""The data page in a real browser: self-contained, sortable, on a phone, in the dark, and with hostile data."""

import pytest

from seatrial.data_page import data_page
from seatrial.html import page, table
from seatrial.profile import ColumnProfile, Profile
from seatrial.verdict import Check, Outcome, Verdict
from tests.browser import browser, opened  # noqa: F401 - fixtures

HOSTILE = ("<script>document.title='owned'</script>", "\"quoted\" & 'so'", "‮right to left", "🚢" * 40, "x" * 10_000)


def number(nulls, low, high):
    quantiles = tuple(low + (high - low) * step / 100 for step in range(101))
    return ColumnProfile(type="number", count=100, nulls=nulls, distinct=100, mean=0, std=1, low=low, high=high, quantiles=quantiles)


def written(folder, columns, checks=()):
    verdict = Verdict(
        kind="validation", subject={"data": "md5:0"}, checks=checks or (Check(name="a.b", outcome=Outcome.PASS, message="fine"),)
    )
    profile = Profile(rows=100, columns=columns)
    path = folder / "data_profile.html"
    path.write_text(data_page(verdict, profile, profile))
    return path


@pytest.fixture
def plain(tmp_path):
    failing = Check(name="quality.range", outcome=Outcome.FAIL, message="column 'b': 3 rows", column="b")
    columns = {"a": number(5, 0, 1), "b": number(0, -5, 1), "c": number(70, 9, 10)}
    columns["d"] = ColumnProfile(type="string", count=100, nulls=0, distinct=2, values=(("yes", 60), ("no", 40)))
    return written(tmp_path, columns, (failing,))


def names(shown):
    return shown.ask("[...document.querySelectorAll('table.sortable tbody tr')].map(row => row.cells[0].dataset.key)")


def test_the_page_loads_nothing_else_and_has_no_errors(opened, plain):  # noqa: F811
    shown = opened(plain)
    assert shown.requests == [plain.as_uri()]
    assert shown.errors == []
    assert shown.ask("document.querySelector('h1').textContent") == "Data: fail"


def test_columns_with_findings_come_first_and_clicks_sort(opened, plain):  # noqa: F811
    shown = opened(plain)
    assert names(shown)[0] == "b"
    shown.page.get_by_role("button", name="missing").click()
    assert names(shown) == ["b", "d", "a", "c"]
    shown.page.get_by_role("button", name="missing").click()
    assert names(shown) == ["c", "a", "b", "d"]
    assert shown.ask("[...document.querySelectorAll('th')].map(head => head.ariaSort).filter(Boolean)").count("descending") == 1
    shown.page.get_by_role("button", name="column").focus()
    shown.page.keyboard.press("Enter")
    assert names(shown) == ["a", "b", "c", "d"]


def test_cells_without_a_value_are_sorted_last_both_ways(opened, plain):  # noqa: F811
    shown = opened(plain)
    for expected in (["b", "a", "c", "d"], ["c", "a", "b", "d"]):
        shown.page.get_by_role("button", name="min").click()
        assert names(shown) == expected


@pytest.mark.parametrize(("columns", "boxes"), [(30, 0), (31, 1)])
def test_many_columns_can_be_filtered(opened, tmp_path, columns, boxes):  # noqa: F811
    shown = opened(written(tmp_path, {f"c{at:02}": number(0, 0, 1) for at in range(columns)}))
    assert shown.page.get_by_role("searchbox").count() == boxes
    if boxes:
        shown.page.get_by_role("searchbox").fill("c1")
        assert shown.ask("[...document.querySelectorAll('table.sortable tbody tr')].filter(row => !row.hidden).length") == 10


@pytest.mark.parametrize("width", [360, 390, 1200])
def test_no_width_makes_the_page_scroll_sideways(opened, plain, width):  # noqa: F811
    shown = opened(plain, viewport={"width": width, "height": 800})
    assert shown.ask("document.documentElement.scrollWidth") <= width


def test_the_dark_is_dark_and_text_stays_readable(opened, plain):  # noqa: F811
    light, dark = (opened(plain, color_scheme=scheme) for scheme in ("light", "dark"))
    assert brightness(light, "body", "backgroundColor") > 0.8
    assert brightness(dark, "body", "backgroundColor") < 0.1
    for shown in (light, dark):
        for place in ("td", "th", ".soft", ".tag"):
            assert contrast(shown, place) >= 4.5, place


def brightness(shown, place, style):
    """Relative luminance (WCAG 2.2) of a colour of the page."""
    text = shown.ask(f"getComputedStyle(document.querySelector('{place}')).{style}")
    parts = [float(part) / 255 for part in text[text.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(shown, place):
    low, high = sorted((brightness(shown, place, "color"), brightness(shown, ".card", "backgroundColor")))
    return (high + 0.05) / (low + 0.05)


def test_print_shows_all_rows_and_no_controls(opened, plain):  # noqa: F811
    shown = opened(plain)
    shown.page.emulate_media(media="print")
    assert shown.ask("getComputedStyle(document.querySelector('.scroll')).overflowX") == "visible"
    assert shown.ask("getComputedStyle(document.querySelector('th button'), '::after').display") == "none"


@pytest.mark.parametrize("width", [390, 1200])
def test_hostile_names_and_values_stay_text(opened, tmp_path, width):  # noqa: F811
    values = tuple((text, 10) for text in HOSTILE)
    columns = {name: ColumnProfile(type="string", count=50, nulls=0, distinct=5, values=values) for name in HOSTILE}
    checks = tuple(Check(name="quality.allowed", outcome=Outcome.FAIL, message=text, column=text) for text in HOSTILE)
    shown = opened(written(tmp_path, columns, checks), viewport={"width": width, "height": 800})
    assert shown.errors == []
    assert shown.ask("document.title") == "Data"
    assert shown.ask("document.scripts.length") == 1
    assert set(names(shown)) == set(HOSTILE)
    assert shown.ask("document.documentElement.scrollWidth") <= width


def test_only_the_script_with_the_right_hash_runs(opened, tmp_path):  # noqa: F811
    path = tmp_path / "page.html"
    path.write_text(page("t", table(["a"], [["1"]], keys=[[1]]), "<script>document.title = 'owned'</script>"))
    shown = opened(path)
    assert shown.ask("document.title") == "t"
    assert any("Content Security Policy" in error for error in shown.errors)


def test_a_page_without_a_sortable_table_has_no_script():
    assert "<script" not in page("t", table(["a"], [["1"]]))
