"""The table of a page that has one line for each column: sorted and filtered by a small script, readable without it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seatrial.drawings import NOW, THEN, drawing, number
from seatrial.html import escape
from seatrial.profile import ColumnProfile, Profile
from seatrial.verdict import Check, Outcome

MANY = 30
DRAWN = 1000
CHANGES = ("statistics.shift", "statistics.categories")

# Name, class, and whether its largest value comes first when it is chosen.
HEADS = (
    ("column", "", False),
    ("role", "", False),
    ("type", "", False),
    ("findings", "", True),
    ("missing", "number", True),
    ("distinct", "number", True),
    ("min", "number", False),
    ("median", "number", False),
    ("max", "number", False),
    ("distribution", "", True),
)

STYLE = """
#tools { display: flex; flex-wrap: wrap; gap: .4rem 1.2rem; align-items: center; margin: .5rem 0 }
#tools[hidden], #tools label[hidden], .narrow { display: none } #tools label { color: var(--soft) }
#tools input, #tools select { font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--soft);
  border-radius: 6px; padding: .3rem .5rem; margin-left: .4rem; max-width: 100% }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; align-items: center } .legend span { white-space: nowrap }
.swatch { display: inline-block; width: .8em; height: .8em; vertical-align: -.05em; margin-right: .3em }
.waived, .advises { --tone: var(--note) }
.role { border: 1px solid var(--line); border-radius: 9px; padding: 0 .45em; font-size: .85em; color: var(--soft); white-space: nowrap }
.shape { width: 17.5rem } .shape .base { stroke: var(--line); fill: none }
.shares { list-style: none; margin: 0; padding: 0; width: 17.5rem; font-size: .8rem; line-height: 1.4 }
.shares li { display: grid; grid-template-columns: minmax(0, 1.3fr) minmax(0, 1fr) 2.5rem; gap: .4rem; align-items: center;
  text-align: right }
.shares bdi { text-align: left; overflow: hidden; text-overflow: ellipsis; white-space: pre }
.shares svg { width: 100%; height: 12px }
#columns td, #columns th { padding: .4rem .55rem } #columns td { vertical-align: middle }
#columns td:nth-child(-n+9) { max-width: 14rem }
#columns thead th { vertical-align: bottom } #columns td:nth-child(10) { width: 18.6rem }
#columns tbody th { vertical-align: middle; font-weight: 600; color: var(--ink); font-size: 1em; white-space: normal;
  overflow-wrap: anywhere; min-width: 9rem; border-left: 4px solid transparent }
#columns tbody tr[class] th { border-left-color: var(--tone) } #columns tr:last-child th { border-bottom: 0 }
#columns tr:target { outline: 2px solid var(--link); outline-offset: -2px }
.name { display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical; overflow: hidden }
#columns th button { all: unset; cursor: pointer; white-space: nowrap } #columns th button:hover { color: var(--ink) }
#columns th button:focus-visible { outline: 2px solid var(--link); outline-offset: 2px }
#columns th button::after { content: "\\2195"; content: "\\2195" / ""; opacity: .4; padding-left: .25em }
#columns th[aria-sort] { color: var(--ink) }
#columns th[aria-sort=ascending] button::after { content: "\\2191"; content: "\\2191" / ""; opacity: 1 }
#columns th[aria-sort=descending] button::after { content: "\\2193"; content: "\\2193" / ""; opacity: 1 }
@media screen and (max-width: 64rem) { .narrow { display: inline } #columns thead { display: none }
  #columns tbody tr { display: block; padding: .7rem .8rem; border-left: 4px solid transparent; border-bottom: 1px solid var(--line) }
  #columns tbody tr[hidden] { display: none } #columns tbody tr[class] { border-left-color: var(--tone) }
  #columns tbody tr:last-child { border-bottom: 0 }
  #columns tbody th { display: block; border: 0; padding: 0; font-size: 1.05em }
  #columns td { display: inline-block; border: 0; padding: 0; margin: .15rem .9rem .15rem 0; max-width: 100%; overflow-wrap: anywhere }
  #columns td:nth-child(n+5):not(:nth-child(10))::before { color: var(--soft); font-size: .85em; padding-right: .35em }
  #columns td:nth-child(5)::before { content: "missing" } #columns td:nth-child(6)::before { content: "distinct" }
  #columns td:nth-child(7)::before { content: "min" } #columns td:nth-child(8)::before { content: "median" }
  #columns td:nth-child(9)::before { content: "max" } #columns td:empty { display: none }
  #columns td:nth-child(10):not(:empty) { display: block; width: auto; margin-right: 0 }
  #columns :is(.shape, .shares) { width: 100%; max-width: 24rem } }
@media screen and (min-width: 44rem) and (max-width: 64rem) {
  #columns, #columns tbody { display: grid } #columns tbody { grid-template-columns: repeat(2, minmax(0, 1fr)) } }
@media print { #tools, #columns th button::after { display: none } #columns { font-size: 7.5pt } #columns thead th { font-size: 7.5pt }
  #columns td, #columns th { padding: .25rem .35rem } #columns tbody th { min-width: 27mm } #columns td:nth-child(10) { width: 46mm }
  .shape, .shares { width: 46mm } .shares { font-size: 6.5pt } .shares li { grid-template-columns: minmax(0, 1.3fr) minmax(0, 1fr) 7mm }
  .shares svg { height: 7pt } }
"""

SCRIPT = """
(() => {
const table = document.getElementById("columns"), tools = document.getElementById("tools");
if (!table || !tools) return;
const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
const choice = tools.querySelector("select"), box = tools.querySelector("input"), told = tools.querySelector("output");
const words = new Intl.Collator("en", {numeric: true}).compare;
const key = (row, at) => { const {dataset, textContent} = row.cells[at]; return dataset.v === undefined ? textContent.trim() : +dataset.v };
const order = (a, b, sign) => a === "" || b === "" ? (a === "") - (b === "")
  : typeof a !== typeof b ? (typeof a === "number" ? -1 : 1) : sign * (typeof a === "number" ? a - b : words(a, b));
const sort = (at, down) => {
  const keys = new Map(rows.map(row => [row, key(row, at)]));
  body.append(...[...rows].sort((a, b) => order(keys.get(a), keys.get(b), down ? -1 : 1)));
  heads.forEach(head => head.removeAttribute("aria-sort"));
  heads[at].setAttribute("aria-sort", down ? "descending" : "ascending");
  choice.value = at;
};
heads.forEach((head, at) => {
  const button = document.createElement("button"), first = head.dataset.first === "down";
  button.type = "button";
  button.append(...head.childNodes);
  button.onclick = () => { const now = head.getAttribute("aria-sort"); sort(at, now ? now === "ascending" : first) };
  choice.add(new Option(button.textContent, at, false, head.hasAttribute("aria-sort")));
  head.append(button);
});
choice.onchange = () => sort(+choice.value, heads[choice.value].dataset.first === "down");
box.oninput = () => {
  const text = box.value.trim().toLowerCase();
  let shown = 0;
  for (const row of rows) shown += !(row.hidden = !row.cells[0].textContent.toLowerCase().includes(text));
  told.textContent = text ? `${shown} of ${rows.length}` : "";
};
tools.hidden = false;
})();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What was found about a column: how bad in one word, how it reads, and where on the page it is said."""

    tone: str
    words: str
    rank: int
    link: str


def mark(findings: Sequence[Check], waived: Sequence[Check], link: str) -> Mark | None:
    """The mark of a column with these findings, of which some are waived; none where all is well."""
    if not findings:
        return None
    blocking = [check for check in findings if check.blocks]
    advising = len(findings) - len(blocking) - len(waived)
    words = [
        *(f"{count} {_word(outcome)}" for outcome in reversed(Outcome) if (count := sum(one.outcome is outcome for one in blocking))),
        *([f"{len(waived)} waived"] if waived else []),
        *([f"{advising} advisory"] if advising else []),
    ]
    tone = max((check.outcome for check in blocking), key=list(Outcome).index).value if blocking else "waived" if waived else "advises"
    weight = list(Outcome).index(Outcome(tone)) if blocking else 0
    return Mark(tone=tone, words=", ".join(words), rank=weight * 10_000 + len(blocking) * 100 + min(len(findings), 99), link=link)


def _word(outcome: Outcome) -> str:
    return "failed" if outcome is Outcome.FAIL else outcome.value


def column_table(
    present: Profile,
    reference: Profile | None,
    *,
    marks: Mapping[str, Mark],
    roles: Mapping[str, str],
    checks: Sequence[Check],
    ids: Mapping[str, str],
) -> str:
    """Legend, tools and table; columns with the worst findings first, else in the table's own order."""
    known = {} if reference is None else reference.columns
    changes = {check.column: check.observed for check in checks if check.name in CHANGES}
    names = sorted(present.columns, key=lambda name: -marks[name].rank if name in marks else 0)
    drawn = len(names) <= DRAWN
    rows = [
        _row(
            name,
            present.columns[name],
            drawing(name, present.columns[name], known.get(name)) if drawn or name in marks else "",
            mark=marks.get(name),
            role=roles.get(name, ""),
            change=changes.get(name),
            identity=ids[name],
        )
        for name in names
    ]
    less = "" if drawn else f'<p class="soft small">Of {len(names):,} columns, only those with findings are drawn.</p>'
    head = "".join(_head(*head) for head in HEADS)
    return (
        f"{_legend(reference)}{less}{_tools(len(names))}"
        f'<div class="card scroll"><table id="columns" class="stack"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
        "</table></div>"
    )


def _head(name: str, kind: str, down: bool) -> str:
    style = f' class="{kind}"' if kind else ""
    first = ' data-first="down"' if down else ""
    now = ' aria-sort="descending"' if name == "findings" else ""
    return f'<th scope="col"{style}{first}{now}>{name}</th>'


def _legend(reference: Profile | None) -> str:
    then = f"<span>{THEN}the reference, {reference.rows:,} rows</span>" if reference else "<span>no reference to compare with</span>"
    return f'<p class="legend soft small"><span>{NOW}this data</span>{then}</p>'


def _tools(columns: int) -> str:
    hidden = "" if columns > MANY else " hidden"
    box = f"<label{hidden}>columns named<input type=search autocomplete=off spellcheck=false></label>"
    return f'<div id="tools" hidden>{box}<label class="narrow">sorted by<select></select></label><output class="soft small"></output></div>'


def _row(
    name: str, column: ColumnProfile, shape: str, *, mark: Mark | None, role: str, change: float | int | str | None, identity: str
) -> str:
    tone = f' class="{mark.tone}"' if mark else ""
    found = f'<a class="tag" href="#{mark.link}">{escape(mark.words)}</a>' if mark else ""
    missing = f"{column.nulls:,} <span class=soft>({_percent(column.missing)})</span>" if column.nulls else "0"
    chip = f'<span class="role">{escape(role)}</span>' if role else ""
    cells = (
        f'<th scope="row"><bdi class="name">{_breakable(name)}</bdi></th>',
        f"<td>{chip}</td>",
        f'<td class="soft">{escape(column.type)}</td>',
        _keyed(mark.rank if mark else 0, found, kind=""),
        _keyed(round(column.missing, 9), missing),
        _keyed(column.distinct, f"{column.distinct:,}"),
        *(_value(value) for value in (column.low, column.median, column.high)),
        _keyed(change if isinstance(change, float | int) else -1, shape, kind=""),
    )
    return f'<tr id="{identity}"{tone}>{"".join(cells)}</tr>\n'


def _breakable(name: str) -> str:
    """A name that is wrapped between its words rather than within them."""
    return re.sub(r"([_./-])(?=[^_./-])", r"\1<wbr>", escape(name)) if len(name) < 200 else escape(name)


def _percent(share: float) -> str:
    return "&lt;0.1%" if 0 < share < 0.001 else f"{share:.1%}"


def _keyed(key: float, html: str, *, kind: str = ' class="number"') -> str:
    """A cell that is sorted by a number, not by its text."""
    return f'<td{kind} data-v="{key:.9g}">{html}</td>'


def _value(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return f'<td class="number">{escape(value or "")}</td>'
    return _keyed(value, number(value))
