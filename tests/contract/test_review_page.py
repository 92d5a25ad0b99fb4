"""The review's page in a real browser: self-contained, readable in the light, in the dark and on a phone, and with a stranger's text."""

import itertools

import pytest

from seatrial.review import Section
from seatrial.review_page import review_page
from tests.browser import browser, opened  # noqa: F401 - fixtures
from tests.contract.test_pages import HOSTILE, needs_nothing_and_fits, overflow

TABLE = """| metric | base | here | |
|---|---|---|---|
| roc_auc | 0.842 | 0.851 | 🟢 better `····░░░░░░│░━━━━╋━━━━` |
| f1 | 0.62 | – | 🟠 not comparable |
| log loss | 0.407 | 0.431 | 🔴 worse<br><sub>beyond its margin</sub> |

- a line with `code` and ⚪ noise
"""


def written(folder, *, title="Review of leavers", more=""):
    sections = [Section(title="Metrics", body=TABLE), Section(title="Slices " + more, body=more or TABLE, quiet=True)]
    path = folder / "review.html"
    path.write_text(review_page(f"## 🔴 fail\n\n{more or 'roc_auc fell'}", sections, "made from `abc`", title=title), encoding="utf-8")
    return path


@pytest.mark.parametrize(("scheme", "width"), list(itertools.product(("light", "dark"), (375, 1280))))
def test_the_page_needs_nothing_else_and_fits_every_window(opened, tmp_path, scheme, width):  # noqa: F811
    needs_nothing_and_fits(opened, written(tmp_path), scheme, width, texts=30)


def test_verdicts_are_dots_in_their_colours(opened, tmp_path):  # noqa: F811
    shown = opened(written(tmp_path))
    found = shown.ask(
        "Object.fromEntries(['pass', 'error', 'fail'].map(n => [n, getComputedStyle(document.querySelector(`.tag.${n}`)).color]))"
    )
    assert len(set(found.values())) == 3
    assert "🔴" not in shown.ask("document.body.innerText")


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("width", [375, 1280])
def test_a_strangers_text_stays_text(opened, tmp_path, text, width):  # noqa: F811
    shown = opened(written(tmp_path, more=text), viewport={"width": width, "height": 800})
    assert shown.errors == []
    assert shown.ask("[document.title, document.scripts.length, document.images.length]") == ["Review of leavers", 0, 0]
    assert shown.ask("getComputedStyle(document.body).display") != "none"
    assert overflow(shown) <= 0
