"""The self-test's rates for people: a table on a terminal, lines elsewhere, Markdown between two marks of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seatrial.marked import replaced
from seatrial.metrics import METRICS
from seatrial.params import Gate
from seatrial.selftest import Rate, against_prediction, as_good, broken_promises, curve_metrics, margin_rate

START, END = "<!-- measured: nox -s selftest -- --write -->", "<!-- /measured -->"
NAMED = ("model", "expected", "passed", "inconclusive", "failed", "not passed, 95 % interval", "most often by", "point rule passes")
CURVE = ("truly worse by", "passed, 95 % interval", "predicted", "point rule passes")
FEW = 5
NEAR = 0.03
"""How far a measured share may lie from the predicted one and still count as near."""
EXPECTED = {"pass": "never failed", "caught": "never passed", "open": "open: within the limits"}


def named_rows(rates: Sequence[Rate]) -> list[tuple[str, ...]]:
    """A row for each named model."""
    return [
        (
            rate.words,
            EXPECTED[rate.expected],
            str(rate.passed),
            str(rate.inconclusive),
            str(rate.failed),
            f"{_percent(rate.caught, 0)} ({_between(rate.caught_interval, 0)})",
            rate.caught_by,
            str(rate.point_rule),
        )
        for rate in rates
        if rate.metric is None
    ]


def curve_rows(rates: Sequence[Rate], metric: str, margin: float) -> list[tuple[str, ...]]:
    """A row for each known distance of one metric, smallest first."""
    own = sorted((rate for rate in rates if rate.metric == metric), key=lambda rate: rate.distance or 0.0)
    return [
        (
            f"{rate.distance:.4f}{' (another model, as good)' if as_good(rate, margin) else ''}",
            f"{_percent(rate.share, 1)} ({_between(rate.interval, 1)})",
            "" if rate.predicted is None else _percent(rate.predicted, 1),
            _point_rule(rate),
        )
        for rate in own
    ]


def _between(interval: tuple[float, float], digits: int) -> str:
    low, high = interval
    return f"{100 * low:.{digits}f}–{100 * high:.{digits}f} %"


def findings(rates: Sequence[Rate], policy: Gate) -> Iterator[str]:
    """What the rates come to, a sentence each."""
    for metric in curve_metrics(policy):
        yield from _of_curve([rate for rate in rates if rate.metric == metric], metric, float(policy.metrics[metric].margin or 0))
    yield from _of_named(rates)


def _of_curve(rates: Sequence[Rate], metric: str, margin: float) -> Iterator[str]:
    title, rate = METRICS[metric].title, margin_rate(rates, metric, margin)
    if rate is not None and rate.predicted is not None:
        yield (
            f"{title}: a model worse by the margin of {margin:g} passes on {_percent(rate.share, 1)} of {rate.draws:,} test sets "
            f"({_between(rate.interval, 1)}; predicted {_percent(rate.predicted, 1)}). A point rule passes it on {_point_rule(rate)}."
        )
    equal = next((one for one in rates if as_good(one, margin)), None)
    if equal is not None:
        yield (
            f"{title}: another model that is as good passes on {_percent(equal.share, 1)} of {equal.draws:,} test sets "
            f"and fails on {_percent(equal.failed / equal.draws, 1)}."
        )
    apart = against_prediction(rates, metric)
    if apart:
        near = sum(one <= NEAR for one in apart)
        yield (
            f"{title}: at {near} of {len(apart)} known distances the measured share lies within {100 * NEAR:g} points of the predicted "
            f"one; the largest difference is {100 * max(apart):.1f} points."
        )


def _point_rule(rate: Rate) -> str:
    return _percent(rate.point_rule / rate.draws, 1)


def _percent(share: float, digits: int) -> str:
    return f"{100 * share:.{digits}f} %"


def _of_named(rates: Sequence[Rate]) -> Iterator[str]:
    named = [rate for rate in rates if rate.metric is None]
    for expected, words in (("caught", "Models beyond the limits: {}, passed"), ("pass", "Models without a fault: {}, failed")):
        own = [rate for rate in named if rate.expected == expected]
        count = sum(rate.passed if expected == "caught" else rate.failed for rate in own)
        if own:
            yield f"{words.format(len(own))} on {count} of {sum(rate.draws for rate in own)} test sets."


def print_rates(rates: Sequence[Rate], policy: Gate, *, terminal: bool) -> None:
    """Print the tables, the findings, and last whether the promises hold."""
    for title, header, rows in _tables(rates, policy):
        (_print_table if terminal else _print_lines)(title, header, rows)
    print()
    for sentence in findings(rates, policy):
        print(sentence)
    broken = broken_promises(rates, policy)
    for sentence in broken:
        print(f"broken: {sentence}")
    promises = "1 promise is" if len(broken) == 1 else f"{len(broken)} promises are"
    print(f"selftest: {f'fail · {promises} broken' if broken else 'pass · the promises of the gate hold'}")


def _tables(rates: Sequence[Rate], policy: Gate) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    """Title, header and rows of each table."""
    yield "Models with a name", NAMED, named_rows(rates)
    for metric in curve_metrics(policy):
        margin = float(policy.metrics[metric].margin or 0)
        yield f"{METRICS[metric].title}, margin {margin:g}: models at known distances", CURVE, curve_rows(rates, metric, margin)


def _print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table by rich, with the first five columns where all of them would not fit."""
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    fits = sum(_widths(header, rows)) + 2 * len(header) <= console.width
    shown = len(header) if fits else FEW
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for at, name in enumerate(header[:shown]):
        table.add_column(name, justify="left" if at == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row[:shown])
    console.print(f"\n{title}", style="bold")
    console.print(table)


def _widths(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[at]) for row in (header, *rows)) for at in range(len(header))]


def _print_lines(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = _widths(header, rows)
    print(f"\n{title}")
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def markdown(rates: Sequence[Rate], policy: Gate) -> str:
    """The findings and the tables, as Markdown; those of the known distances folded away."""
    named, *curves = _tables(rates, policy)
    lines = [*(f"- {sentence}" for sentence in findings(rates, policy)), "", *_markdown_table(named[1], named[2])]
    for title, header, rows in curves:
        lines += ["", f"<details><summary>{title}</summary>", "", *_markdown_table(header, rows), "", "</details>"]
    return "\n".join(lines) + "\n"


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    sides = "|".join("---" if at == 0 else "---:" for at in range(len(header)))
    return [f"| {' | '.join(header)} |", f"|{sides}|", *(f"| {' | '.join(row)} |" for row in rows)]


def with_measured(page: str, measured: str) -> str:
    """The page with everything between its two marks replaced; DataError where it lacks them."""
    return replaced(page, START, END, measured, place="docs/selftest.md")
