"""The shell of pages: nothing loaded, nothing run but what is named by its digest, nothing unescaped."""

import base64
import hashlib
import re

import pytest

from seatrial.html import STYLE, escape, page, table, tag


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<b> & \"q\" 'r'", "&lt;b&gt; &amp; &quot;q&quot; &#x27;r&#x27;"),
        ("a\x00b\x1b[31m\r", "a\\x00b\\x1b[31m\\x0d"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("\ud800", "\\ud800"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("שלום 🚢 é", "שלום 🚢 é"),
        (3.5, "3.5"),
    ],
)
def test_text_is_escaped_and_what_nobody_sees_is_named(text, escaped):
    assert escape(text) == escaped
    assert escape(text).encode()


def test_a_page_forbids_all_loading_and_runs_nothing():
    html = page("t <1>", "<p>own</p>", "")
    assert "<title>t &lt;1&gt;</title>" in html
    assert "default-src 'none'" in html
    assert "script" not in html
    assert "base-uri 'none'" in html


def test_the_policy_names_the_digest_of_the_script():
    html = page("t", script="let a = '<é>';")
    (named,) = re.findall(r"script-src 'sha256-([^']+)'", html)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert base64.b64decode(named) == hashlib.sha256(script.encode()).digest()


def test_styles_load_nothing():
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    assert "p { color: red }" in page("t", style="p { color: red }")


def test_a_table_names_its_cells_for_narrow_screens():
    html = table(["a", "b<"], [["<i>1</i>", "2"]], numbers=["b<"])
    assert '<td data-name="a"><i>1</i></td><td class="number" data-name="b&lt;">2</td>' in html
    assert '<th>a</th><th class="number">b&lt;</th>' in html


def test_a_tag_says_whether_it_only_advises():
    assert tag("fail") == '<span class="tag fail">fail</span>'
    assert tag("fail", advisory=True) == '<span class="tag fail">fail (advisory)</span>'
