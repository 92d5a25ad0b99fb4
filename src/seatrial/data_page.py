"""reports/data_profile.html: the verdict on the data, and one line for each column, the reference behind."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from seatrial.html import escape, table
from seatrial.profile import ColumnProfile, Profile
from seatrial.report import verdict_page
from seatrial.verdict import Check, Outcome, Verdict

WIDTH, HEIGHT = 220, 40
BINS = 24
MAX_BARS = 12

HEADER = ("column", "type", "missing", "distinct", "min", "median", "max", "shape")
NUMBERS = ("missing", "distinct", "min", "median", "max")


def data_page(verdict: Verdict, present: Profile, reference: Profile | None) -> str:
    """The page about a table: verdict and findings, the columns (those with findings first), then every check."""
    columns = {} if reference is None else reference.columns
    findings = [check for check in verdict.checks if check.outcome is not Outcome.PASS]
    worst = sorted(present.columns, key=lambda name: -_weight(name, findings))
    rows = [_row(name, present.columns[name], columns.get(name), findings) for name in worst]
    keys = [_keys(name, present.columns[name]) for name in worst]
    whole = table(HEADER, rows, numbers=NUMBERS, keys=keys)
    section = f"<section><h2>{present.rows:,} rows, {len(rows)} columns</h2>{_legend(reference)}{whole}</section>"
    return verdict_page(verdict, title="Data", sections=(section,))


def _legend(reference: Profile | None) -> str:
    if reference is None:
        return ""
    swatch = '<svg width="12" height="12" style="display:inline"><rect width="12" height="12" class="{}"/></svg>'
    return f'<p class="soft small">{swatch.format("now")} this data · {swatch.format("then")} the reference, {reference.rows:,} rows</p>'


def _row(name: str, column: ColumnProfile, reference: ColumnProfile | None, findings: Sequence[Check]) -> list[str]:
    own = [check for check in findings if check.column == name]
    tone = "pass" if not own else "fail" if any(check.blocks for check in own) else "inconclusive"
    missing = f"{column.nulls:,} ({column.missing:.1%})" if column.nulls else "0"
    named = "".join(f'<br><span class="soft small">{escape(check.name)}</span>' for check in own)
    title = f'<strong class="{tone}{" tag" if own else ""}">{escape(name)}</strong>{named}'
    return [
        title,
        column.type,
        missing,
        f"{column.distinct:,}",
        _value(column.low),
        _value(column.median),
        _value(column.high),
        _shape(name, column, reference),
    ]


def _weight(name: str, findings: Sequence[Check]) -> int:
    """How much is wrong with a column: what blocks counts more than anything that only advises."""
    return sum(1000 if check.blocks else 1 for check in findings if check.column == name)


def _keys(name: str, column: ColumnProfile) -> list[object]:
    """What each cell of a column's line is sorted by."""
    spread = column.distribution.points[-1] - column.distribution.points[0] if column.numeric else None
    return [
        name,
        column.type,
        column.missing,
        column.distinct,
        column.low,
        column.median,
        column.high,
        spread,
    ]


def _value(value: float | str | None) -> str:
    if value is None:
        return ""
    return escape(value) if isinstance(value, str) else f"{value:,.6g}"


def _shape(name: str, column: ColumnProfile, reference: ColumnProfile | None) -> str:
    """A small drawing: bars of categories, or a histogram over the range of both tables."""
    if reference is not None and reference.type != column.type:
        reference = None
    pair = [column] if reference is None else [column, reference]
    if column.numeric:
        return _drawing(name, _histogram([one for one in pair if one.numeric]))
    if column.values:
        return _drawing(name, _bars(pair)) + _caption(column)
    return ""


def _caption(column: ColumnProfile) -> str:
    """The three most frequent values in words."""
    words = ", ".join(
        f"{value if len(value) <= 24 else value[:23] + '…'} {count / column.count:.0%}" for value, count in (column.values or ())[:3]
    )
    return f'<span class="soft small">{escape(words)}{", …" if column.distinct > 3 else ""}</span>'


Bars = list[tuple[str, list[float]]]


def _histogram(pair: Sequence[ColumnProfile]) -> Bars:
    """Words and shares (this table's, then the reference's) of at most 24 equal bins; a column of few whole numbers gets one each."""
    points = [point for column in pair for point in (column.distribution.points[0], column.distribution.points[-1])]
    low, high = min(points), max(points)
    if pair[0].type == "integer" and high - low < BINS:
        edges = [low - 0.5 + at for at in range(int(high - low) + 2)]
    else:
        width = (high - low or 1.0) / BINS
        edges = [low + at * width for at in range(BINS)] + [max(high, low + 1.0 if high == low else high)]
    bins = list(pairwise(edges))
    return [(f"{left:.4g} to {right:.4g}", [_between(column, left, right, right == edges[-1]) for column in pair]) for left, right in bins]


def _between(column: ColumnProfile, left: float, right: float, last: bool) -> float:
    return column.distribution.share(right, through=last) - column.distribution.share(left, through=False)


def _bars(pair: Sequence[ColumnProfile]) -> Bars:
    shares = [{value: count / column.count for value, count in column.values or ()} for column in pair if column.count]
    names = list(dict.fromkeys(value for one in shares for value in one))[:MAX_BARS]
    return [(name, [one.get(name, 0.0) for one in shares]) for name in names]


def _drawing(name: str, bars: Bars) -> str:
    top = max((share for _, shares in bars for share in shares), default=0.0) or 1.0
    step = min(WIDTH / len(bars), 28.0)
    shapes = "".join(_bar(at * step, step, words, shares, top) for at, (words, shares) in enumerate(bars))
    label = escape(f"distribution of {name}")
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="{label}">{shapes}</svg>'


def _bar(x: float, step: float, words: str, shares: Sequence[float], top: float) -> str:
    """The reference wide and muted behind, this table's narrower in front; the title says both in words."""
    then = ", was ".join(f"{share:.1%}" for share in shares)
    behind = _rect(x, step * 0.92, shares[1] / top, "then") if len(shares) > 1 else ""
    front = _rect(x + step * 0.2, step * 0.52, shares[0] / top, "now")
    return f"<g><title>{escape(words)}: {then}</title>{behind}{front}</g>"


def _rect(x: float, width: float, share: float, kind: str) -> str:
    height = max(share * HEIGHT, 1.0 if share > 0 else 0.0)
    return f'<rect class="{kind}" x="{x:.1f}" y="{HEIGHT - height:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
