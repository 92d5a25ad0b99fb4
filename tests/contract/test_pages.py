"""The pages in a real browser: self-contained, sortable, on a phone, in the dark, on paper, and with hostile data."""

import itertools

import numpy as np
import pytest

from seatrial.checks.behaviour import Perturbation
from seatrial.data_page import data_page
from seatrial.gate_page import gate_page
from seatrial.html import page
from seatrial.profile import ColumnProfile, Profile
from seatrial.summary import Broken, ColumnSummary, Example, PartFacts, Summary
from seatrial.verdict import Check, Outcome, Verdict
from tests.browser import absent, browser, opened  # noqa: F401 - fixtures
from tests.gates import ROWS, evidence, judged, scores

HOSTILE = (
    "<script>document.title='owned'</script>",
    "\"quoted\" & 'so' `too`",
    "\u202eright to left",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\N{SHIP}" * 40,
    "x" * 10_000,
    "<img src=x onerror=alert(1)>",
    "\x00\x1b[31m",
    "--><style>body{display:none}</style>",
)

# Each element that holds text itself, with the WCAG 2.2 contrast of its colour to what lies behind it.
CONTRASTS = """
() => {
  const rgba = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const colour = rgba(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  document.querySelectorAll("details").forEach(one => one.open = true);
  const ink = one => getComputedStyle(one)[one instanceof SVGElement ? "fill" : "color"];
  const holds = one => [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  return [...document.body.querySelectorAll("*")]
    .filter(one => !["SCRIPT", "OPTION", "TITLE"].includes(one.tagName.toUpperCase()) && holds(one))
    .map(one => {
      const [low, high] = [light(rgba(ink(one))), light(behind(one))].sort((a, b) => a - b);
      return [one.tagName + "." + one.className, (high + 0.05) / (low + 0.05)];
    });
}
"""


def number(nulls, low, high):
    quantiles = tuple(low + (high - low) * step / 100 for step in range(101))
    return ColumnProfile(type="number", count=100, nulls=nulls, distinct=100, mean=0, std=1, low=low, high=high, quantiles=quantiles)


def words(*values):
    return ColumnProfile(type="string", count=100, nulls=0, distinct=len(values), values=values)


def finding(name, column, *, outcome=Outcome.FAIL, message=None, **more):
    return Check(name=name, outcome=outcome, message=message or f"column {column!r}: 3 of 100 values are odd", column=column, **more)


def written(folder, columns, checks=(), summary=None):
    """A page about 100 rows, in a file."""
    passed = Check(name="quality.rows", outcome=Outcome.PASS, message="the table has 100 rows")
    verdict = Verdict(kind="validation", subject={"data": "md5:0"}, checks=(*checks, passed))
    profile = Profile(rows=100, columns=columns)
    path = folder / "data_profile.html"
    path.write_text(data_page(verdict, profile, profile, summary=summary, roles={"d": "target"}))
    return path


@pytest.fixture
def plain(tmp_path):
    """Four columns, of which one fails, one is waived and one is advised about."""
    columns = {"a": number(5, 0, 1), "b": number(0, -5, 1), "c": number(70, 9, 10), "d": words(("yes", 60), ("no", 40))}
    waived = "column 'c': 70 of 100 cells are missing; waived until 2026-12-31 by ada because the branch closed"
    checks = (
        finding("quality.range", "b"),
        finding("quality.nulls", "c", message=waived, advisory=True),
        finding("statistics.categories", "d", advisory=True, observed=0.3),
    )
    return written(tmp_path, columns, checks)


def names(shown):
    return shown.ask("[...document.querySelectorAll('#columns tbody tr')].filter(row => !row.hidden).map(row => row.cells[0].textContent)")


def sorts(shown):
    return shown.ask("Object.fromEntries([...document.querySelectorAll('#columns th[aria-sort]')].map(h => [h.textContent, h.ariaSort]))")


def overflow(shown):
    return shown.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def loads_nothing_and_fits(opened, path, scheme, width):  # noqa: F811
    """The page, opened: it has no scripts, loads nothing, and fits the window."""
    shown = opened(path, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert shown.errors == []
    assert [address for address in shown.requests if not address.startswith("data:")] == [path.as_uri()]
    assert shown.ask("document.scripts.length") == 0
    assert overflow(shown) <= 0
    return shown


def needs_nothing_and_fits(opened, path, scheme, width, *, texts):  # noqa: F811
    """A page without scripts loads nothing, fits the window, and its more than `texts` texts can be read."""
    shown = loads_nothing_and_fits(opened, path, scheme, width)
    contrasts = shown.page.evaluate(CONTRASTS)
    assert len(contrasts) > texts
    assert [(place, round(ratio, 2)) for place, ratio in contrasts if ratio < 4.5] == []


def press(shown, name):
    shown.page.get_by_role("button", name=name, exact=True).click()


def test_the_page_loads_nothing_else_and_has_no_errors(opened, plain):  # noqa: F811
    shown = opened(plain)
    assert shown.errors == []
    assert [address for address in shown.requests if not address.startswith("data:")] == [plain.as_uri()]


def test_the_verdict_stands_on_top_in_a_sentence(opened, plain):  # noqa: F811
    shown = opened(plain)
    top = shown.ask("document.querySelector('main').firstElementChild.innerText")
    assert top.splitlines()[0].startswith("fail")
    assert "Of 4 checks on 100 rows and 4 columns, 1 failed, 1 is waived and 1 only advises." in top


def test_columns_with_the_worst_findings_come_first(opened, plain):  # noqa: F811
    shown = opened(plain)
    assert names(shown) == ["b", "c", "d", "a"]
    assert sorts(shown) == {"findings": "descending"}


def test_a_click_sorts_and_the_next_one_turns_the_order(opened, plain):  # noqa: F811
    shown = opened(plain)
    press(shown, "missing")
    assert (names(shown), sorts(shown)) == (["c", "a", "b", "d"], {"missing": "descending"})
    press(shown, "missing")
    assert (names(shown), sorts(shown)) == (["b", "d", "a", "c"], {"missing": "ascending"})


def test_the_keyboard_sorts_by_name(opened, plain):  # noqa: F811
    shown = opened(plain)
    shown.page.get_by_role("button", name="column", exact=True).focus()
    shown.page.keyboard.press("Enter")
    assert (names(shown), sorts(shown)) == (["a", "b", "c", "d"], {"column": "ascending"})
    shown.page.keyboard.press("Space")
    assert names(shown) == ["d", "c", "b", "a"]


def test_every_column_of_the_table_sorts(opened, plain):  # noqa: F811
    shown = opened(plain)
    heads = shown.ask("[...document.querySelectorAll('#columns th button')].map(one => one.textContent)")
    assert heads == ["column", "role", "type", "findings", "missing", "distinct", "min", "median", "max", "distribution"]
    press(shown, "role")
    assert names(shown)[0] == "d"
    for head in heads:
        press(shown, head)
        assert list(sorts(shown)) == [head]


def test_cells_without_a_value_are_sorted_last_both_ways(opened, plain):  # noqa: F811
    shown = opened(plain)
    for expected in (["b", "a", "c", "d"], ["c", "a", "b", "d"]):
        press(shown, "min")
        assert names(shown) == expected


@pytest.mark.parametrize(("columns", "boxes"), [(29, 0), (30, 0), (31, 1)])
def test_many_columns_can_be_filtered(opened, tmp_path, columns, boxes):  # noqa: F811
    shown = opened(written(tmp_path, {f"C{at:02}": number(0, 0, 1) for at in range(columns)}))
    assert shown.page.get_by_role("searchbox").count() == boxes
    if boxes:
        shown.page.get_by_role("searchbox").fill("c1")
        assert names(shown) == [f"C{at}" for at in range(10, 20)]
        assert shown.ask("document.querySelector('output').textContent") == "10 of 31"


@pytest.mark.parametrize("width", [360, 390, 700, 800, 1020, 1200])
def test_no_width_makes_the_page_scroll_sideways(opened, plain, width):  # noqa: F811
    shown = opened(plain, viewport={"width": width, "height": 800})
    assert overflow(shown) <= 0
    assert shown.ask("(one => one.scrollWidth - one.clientWidth)(document.querySelector('.scroll'))") <= 0


def test_a_phone_sorts_by_a_choice(opened, plain):  # noqa: F811
    shown = opened(plain, viewport={"width": 360, "height": 800})
    assert not shown.page.get_by_role("button", name="missing").is_visible()
    shown.page.get_by_label("sorted by").select_option("missing")
    assert names(shown) == ["c", "a", "b", "d"]


def test_the_dark_is_dark(opened, plain):  # noqa: F811
    light, dark = (
        opened(plain, color_scheme=scheme).ask("getComputedStyle(document.body).backgroundColor") for scheme in ("light", "dark")
    )
    sums = [sum(int(part) for part in colour[4:-1].split(",")) for colour in (light, dark)]
    assert sums[0] > 3 * 230
    assert sums[1] < 3 * 40


@pytest.mark.parametrize(("scheme", "width"), list(itertools.product(("light", "dark"), (360, 1200))))
def test_all_text_stands_out_from_what_is_behind(opened, plain, scheme, width):  # noqa: F811
    shown = opened(plain, color_scheme=scheme, viewport={"width": width, "height": 800})
    contrasts = shown.page.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert [(place, round(ratio, 2)) for place, ratio in contrasts if ratio < 4.5] == []


def test_paper_is_white_shows_all_rows_and_no_controls(opened, tmp_path):  # noqa: F811
    shown = opened(written(tmp_path, {f"c{at:02}": number(0, 0, 1) for at in range(40)}), color_scheme="dark")
    shown.page.emulate_media(media="print", color_scheme="dark")
    assert shown.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.ask("getComputedStyle(document.body).color") == "rgb(23, 32, 43)"
    assert shown.ask("getComputedStyle(document.querySelector('th button'), '::after').display") == "none"
    assert not shown.page.get_by_role("searchbox").is_visible()
    assert shown.ask("getComputedStyle(document.querySelector('#columns tbody tr')).breakInside") == "avoid"
    assert shown.ask("getComputedStyle(document.querySelector('#columns svg')).printColorAdjust") == "exact"


def test_the_page_reads_as_well_without_its_script(browser, plain):  # noqa: F811
    context = browser.new_context(java_script_enabled=False)
    window = context.new_page()
    window.goto(plain.as_uri())
    shown = window.inner_text("main")
    context.close()
    assert shown.index("1 failed") < shown.index("What failed") < shown.index("distribution") < shown.index("All 4 checks")
    assert "Waived until 2026-12-31 by ada: the branch closed" in shown
    assert "sorted by" not in shown


@pytest.mark.parametrize("width", [360, 1200])
def test_hostile_names_and_values_stay_text(opened, tmp_path, width):  # noqa: F811
    values = tuple((text, 10) for text in HOSTILE)
    columns = {name: words(*values) for name in HOSTILE}
    examples = tuple(Example(part=text, row=at, value=repr(text)[:60]) for at, text in enumerate(HOSTILE[:5], 1))
    broken = Broken(count=9, examples=examples)
    summary = Summary(
        rows=100,
        parts=tuple(PartFacts(name=text, digest="md5:0", rows=50, stored={}) for text in HOSTILE[:2]),
        columns={name: ColumnSummary(type="string", count=100) for name in HOSTILE},
        broken={f"quality.allowed:{name}": broken for name in HOSTILE},
    )
    checks = [finding("quality.allowed", text, message=f"column {text!r}: {text}") for text in HOSTILE]
    shown = opened(written(tmp_path, columns, checks, summary), viewport={"width": width, "height": 800})
    assert shown.errors == []
    assert shown.ask("document.title") == "Data: 2 parts"
    assert shown.ask("[document.scripts.length, document.images.length, document.body.querySelectorAll('style').length]") == [1, 0, 0]
    escaped = {text.replace("\u202e", "\\u202e").replace("\x00", "\\x00").replace("\x1b", "\\x1b") for text in HOSTILE}
    assert set(names(shown)) == escaped
    assert overflow(shown) <= 0
    assert shown.ask("Math.max(...[...document.querySelectorAll('#columns tbody th')].map(one => one.offsetHeight))") < 150


def test_examples_stand_apart_from_their_sentence(opened, tmp_path):  # noqa: F811
    broken = Broken(count=7, examples=(Example(part="t.csv", row=17, value="99999.0"), Example(part="t.csv", row=2003, value="-5.0")))
    summary = Summary(
        rows=100, parts=(PartFacts(name="t.csv", digest="md5:0", rows=100, stored={}),), broken={"quality.range:price": broken}
    )
    message = "column 'price': 7 of 100 values are not between 0 and 9: 99999.0 (row 17), -5.0 (row 2003), …"
    shown = opened(written(tmp_path, {"price": number(0, -5, 99999)}, [finding("quality.range", "price", message=message)], summary))
    assert shown.page.locator(".finding p").all_inner_texts() == ["7 of 100 values are not between 0 and 9"]
    assert shown.page.locator(".examples li").all_inner_texts() == ["99999.0\nrow 17", "-5.0\nrow 2,003", "…"]


def test_marks_lead_to_their_finding_and_back(opened, plain):  # noqa: F811
    shown = opened(plain)
    shown.page.get_by_role("link", name="1 failed").click()
    assert shown.ask("document.querySelector(':target').innerText").splitlines()[-1] == "3 of 100 values are odd"
    shown.page.get_by_role("link", name="b", exact=True).click()
    assert shown.ask("document.querySelector(':target').cells[0].textContent") == "b"


def test_five_hundred_columns_sort_at_once(opened, tmp_path):  # noqa: F811
    shown = opened(written(tmp_path, {f"c{at}": number(at % 90, 0, 1) for at in range(500)}))
    took = shown.ask(
        "(() => { const t = performance.now(); document.querySelectorAll('th button')[4].click(); return performance.now() - t })()"
    )
    assert names(shown)[0] == "c89"
    assert took < 2000


def test_only_the_script_with_the_right_hash_runs(opened, tmp_path):  # noqa: F811
    path = tmp_path / "page.html"
    path.write_text(page("t", "<script>document.title = 'owned'</script>", script="document.body.dataset.ran = 'yes';"))
    shown = opened(path)
    assert shown.ask("[document.title, document.body.dataset.ran]") == ["t", "yes"]
    assert any("Content Security Policy" in error for error in shown.errors)


def gate_written(folder, found, examples=()):
    path = folder / "gate.html"
    path.write_text(gate_page(judged(found), found, examples, confidence=0.95))
    return path


@pytest.fixture
def gate(tmp_path):
    """A gate page with every section, findings among them."""
    examples = [{"place": at, "note": "a longer value, " * 5, "price": at / 7} for at in range(ROWS)]
    return gate_written(tmp_path, evidence(challenger=scores(noise=0.8, threshold=0.4)), examples)


@pytest.mark.parametrize(("scheme", "width"), list(itertools.product(("light", "dark"), (375, 1280))))
def test_the_gates_page_needs_nothing_else_and_fits_every_window(opened, gate, scheme, width):  # noqa: F811
    shown = opened(gate, color_scheme=scheme, viewport={"width": width, "height": 800})
    assert shown.errors == []
    assert [address for address in shown.requests if not address.startswith("data:")] == [gate.as_uri()]
    assert shown.ask("document.scripts.length") == 0
    assert overflow(shown) <= 0
    contrasts = shown.page.evaluate(CONTRASTS)  # opens all details
    assert len(contrasts) > 300
    assert [(place, round(ratio, 2)) for place, ratio in contrasts if ratio < 4.5] == []
    assert overflow(shown) <= 0
    assert shown.ask("Math.max(...[...document.querySelectorAll('.scroll')].map(one => one.scrollWidth - one.clientWidth))") <= 0


@pytest.mark.parametrize("width", [375, 1280])
def test_curves_and_their_numbers_can_be_read(opened, gate, width):  # noqa: F811
    shown = opened(gate, viewport={"width": width, "height": 800})
    sizes = shown.ask("[...document.querySelectorAll('.chart text')].map(one => one.getBoundingClientRect().height)")
    assert len(sizes) == 28
    assert min(sizes) >= 11
    inside = (
        "[...document.querySelectorAll('.chart, .forest')].every(svg => [...svg.querySelectorAll('text, circle')].every(one => "
        "(([a, b]) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1)"
        "([one.getBoundingClientRect(), svg.getBoundingClientRect()])))"
    )
    assert shown.ask(inside)
    colours = "['challenger', 'champion'].map(name => getComputedStyle(document.querySelector(`.chart .${name} .curve`)).stroke)"
    assert len(set(shown.ask(colours))) == 2


def test_the_gates_page_on_paper_is_white_and_shows_all_checks(opened, gate):  # noqa: F811
    shown = opened(gate, color_scheme="dark")
    shown.page.emulate_media(media="print", color_scheme="dark")
    assert shown.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown.ask("getComputedStyle(document.querySelector('.chart text')).fill") == "rgb(86, 98, 113)"


@pytest.mark.parametrize("width", [375, 1280])
def test_hostile_columns_stay_text_on_the_gates_page(opened, tmp_path, width):  # noqa: F811
    values = [HOSTILE[at % len(HOSTILE)] for at in range(ROWS)]
    found = evidence(
        slices=dict.fromkeys(HOSTILE, values),
        perturbations=tuple(Perturbation(kind="missing", column=name, before=np.full(3, 0.5), after=np.full(3, 0.4)) for name in HOSTILE),
    )
    shown = opened(gate_written(tmp_path, found, [dict.fromkeys(HOSTILE, HOSTILE[0])] * ROWS), viewport={"width": width, "height": 800})
    assert shown.errors == []
    assert shown.ask("[document.title, document.scripts.length, document.images.length]") == ["Gate", 0, 0]
    assert shown.ask("document.body.querySelectorAll('style').length") == 0
    shown.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert overflow(shown) <= 0
    assert "\u202e" not in shown.ask("document.body.textContent")


def test_without_a_chromium_tests_skip_but_not_in_ci():
    with pytest.raises(pytest.skip.Exception, match="no Chromium is installed"):
        absent({})
    with pytest.raises(pytest.fail.Exception, match="in CI no test may skip"):
        absent({"CI": "true"})
