"""Small drawings of a column: bars of its categories or a histogram of its numbers, the reference behind in another tone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from seatrial.html import escape
from seatrial.profile import ColumnProfile

WIDTH, HEIGHT = 240, 44
WIDEST = 30
BINS = 24
FEW = 4
TAIL = 0.01
FAR = 0.5

SWATCH = '<svg class="swatch" viewBox="0 0 12 12"><path class="{}" d="{}"/></svg>'
NOW = SWATCH.format("now", "M3 0h6v12h-6z")
THEN = SWATCH.format("then", "M0 0h12v12h-12z")


def drawing(name: str, column: ColumnProfile, reference: ColumnProfile | None) -> str:
    """The column as SVG, with its reference behind where that is of the same type; nothing where it has nothing to show."""
    pair = [column] if reference is None or reference.type != column.type or not reference.count else [column, reference]
    if not column.count:
        return ""
    if _named(pair):
        return _categories(name, pair)
    return _histogram(name, pair) if column.numeric else ""


def _histogram(name: str, pair: Sequence[ColumnProfile]) -> str:
    """Shares of at most 24 equal bins; a column of few whole numbers gets one bin each."""
    edges = _edges(pair)
    ends = [-float("inf"), *edges[1:-1], float("inf")]
    layers = [[_between(column, *bounds) for bounds in pairwise(ends)] for column in pair]
    words = f"{number(edges[0])} to {number(edges[-1])}; {_in_numbers(pair)}"
    label = escape(f"distribution of {name[:80]}: {words}")
    base = f'<path class="base" d="M0 {HEIGHT}.5h{WIDTH}"/>'
    return (
        f'<svg class="shape" viewBox="0 0 {WIDTH} {HEIGHT + 1}" role="img" aria-label="{label}">'
        f"<title>{escape(words)}</title>{_paths(layers)}{base}</svg>"
    )


def _in_numbers(pair: Sequence[ColumnProfile]) -> str:
    parts = [
        f"mean {number(column.mean)}, standard deviation {number(column.std)}"
        for column in pair
        if column.mean is not None and column.std is not None
    ]
    return "; in the reference ".join(parts)


def number(value: float | None) -> str:
    """A number in at most six digits, or in full where it is a whole one that fits."""
    if value is None:
        return ""
    whole = float(value).is_integer() or abs(value) >= 1e5
    return f"{value:,.0f}" if whole and abs(value) < 1e15 else f"{value:,.6g}"


def _edges(pair: Sequence[ColumnProfile]) -> list[float]:
    low, high = _ends(pair)
    if pair[0].type == "integer" and high - low < BINS:
        return [low - 0.5 + at for at in range(int(high - low) + 2)]
    width = (high - low) / BINS
    if not low < low + width < high:  # one value, or so close or far apart that floats cannot tell bins
        return [low, max(high, low + 1.0)]
    return [low + at * width for at in range(BINS)] + [high]


def _ends(pair: Sequence[ColumnProfile]) -> tuple[float, float]:
    """From the smallest to the largest value of both, unless a few lie so far out that they would hide all others.

    Those are counted in the first or last bin then.
    """
    distributions = [column.distribution for column in pair]
    low, high = min(one.points[0] for one in distributions), max(one.points[-1] for one in distributions)
    usual_low = min(_at(column, TAIL) for column in pair)
    usual_high = max(_at(column, 1 - TAIL) for column in pair)
    reach = FAR * (usual_high - usual_low)
    if not 0 < reach < float("inf"):
        return low, high
    return max(low, usual_low - reach), min(high, usual_high + reach)


def _at(column: ColumnProfile, share: float) -> float:
    """The value that this share of the column's values do not exceed."""
    found = column.distribution
    return next(point for point, sum_ in zip(found.points, found.shares, strict=True) if sum_ >= share or point == found.points[-1])


def _between(column: ColumnProfile, left: float, right: float) -> float:
    """The share of values from `left` up to, not including, `right`."""
    return column.distribution.share(right, through=False) - column.distribution.share(left, through=False)


def _paths(layers: Sequence[Sequence[float]]) -> str:
    """One path for each table: hundreds of histograms have to fit on a page."""
    top = max(share for layer in layers for share in layer) or 1.0
    step = min(WIDTH / len(layers[0]), WIDEST)
    drawn = [
        f'<path class="{kind}" d="{"".join(_bar(at, step, share / top, kind) for at, share in enumerate(layer))}"/>'
        for kind, layer in zip(("now", "then"), layers, strict=False)
    ]
    return "".join(reversed(drawn))


def _bar(at: int, step: float, share: float, kind: str) -> str:
    """One bar of a path: the reference's wide, this table's narrower; the smallest share can still be seen."""
    if share <= 0:
        return ""
    height = round(min(max(share * HEIGHT, 1.0), HEIGHT), 1)
    left, width = (0.04, 0.92) if kind == "then" else (0.22, 0.56)
    return f"M{(at + left) * step:.4g} {round(HEIGHT - height, 1):g}h{width * step:.3g}v{height:g}h-{width * step:.3g}z"


def _named(pair: Sequence[ColumnProfile]) -> bool:
    """Whether values are named one by one: categories, and numbers of which there are only a few, such as 0 and 1."""
    return all(column.values for column in pair) and (not pair[0].numeric or all(one.complete and one.distinct <= FEW for one in pair))


def _categories(name: str, pair: Sequence[ColumnProfile]) -> str:
    """A line for each of the most frequent categories, and one for all others."""
    shares = [{value: count / column.count for value, count in column.values or ()} for column in pair]
    most: dict[str, float] = {}
    for one in shares:
        most |= {value: max(share, most.get(value, 0.0)) for value, share in one.items()}
    order = {value: at for at, value in enumerate(shares[0])}
    named = sorted(most, key=lambda value: (-most[value], value))[: FEW if len(most) > FEW else None]
    named.sort(key=lambda value: order.get(value, len(order)))
    bars = [(value, [one.get(value, 0.0) for one in shares]) for value in named]
    others = max(pair[0].distinct, len(most)) - len(named)
    rest = [(f"{others:,} other{'s' if others > 1 else ''}", [1 - sum(parts) for parts in zip(*(own for _, own in bars), strict=True)])]
    top = max(share for _, own in bars for share in own) or 1.0
    lines = [_line(value, own, top, "") for value, own in bars] + ([_line(*rest[0], top, ' class="soft"')] if others else [])
    return f'<ul class="shares" aria-label="{escape(f"values of {name[:80]}")}">{"".join(lines)}</ul>'


def _line(value: str, shares: Sequence[float], top: float, style: str) -> str:
    """Name, bar and share of one category; a pointer over it is told the reference's share."""
    told = ", was ".join(f"{share:.1%}" for share in shares)
    paths = "".join(
        f'<path class="{kind}" d="{_across(min(share / top, 1.0), kind)}"/>'
        for kind, share in reversed(list(zip(("now", "then"), shares, strict=False)))
        if share > 0
    )
    name = escape(short(value if value == value.strip() and value else repr(value), 60))
    drawn = f'<svg viewBox="0 0 100 12" preserveAspectRatio="none">{paths}</svg>'
    return f'<li{style} title="{name}: {told}"><bdi>{name}</bdi>{drawn}{_rounded(shares[0])}</li>'


def _rounded(share: float) -> str:
    """A share in whole percent, in which little is not nothing."""
    return "&lt;1%" if 0 < share < 0.01 else "&gt;99%" if 0.99 < share < 1 else f"{share:.0%}"


def _across(share: float, kind: str) -> str:
    top, height = (0, 12) if kind == "then" else (3, 6)
    return f"M0 {top}h{max(100 * share, 1.0):.3g}v{height}H0z"


def short(text: str, most: int) -> str:
    """Text in at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
