"""The gate page's prediction flips: which rows get another label than from the champion, and who was right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from seatrial.checks.wording import counted
from seatrial.drawings import short
from seatrial.gate_figures import BinaryRows
from seatrial.html import escape, table

EXAMPLES = 10
MOST_FACTS = 200
WORDS = {True: "positive", False: "negative"}


def flips_section(rows: BinaryRows, examples: Sequence[Mapping[str, object]]) -> str:
    """Counts both ways and the rows whose probability moved most; nothing without a champion."""
    if rows.champion is None:
        return ""
    now, was = rows.challenger.positive, rows.champion.positive
    flipped = now != was
    count, total = int(flipped.sum()), len(flipped)
    said = f"{count:,} of {total:,} rows ({count / max(total, 1):.1%}) get another label than from the champion."
    if not count:
        return f'<section><h2>Prediction flips</h2><p class="card">{said}</p></section>'
    return f"<section><h2>Prediction flips</h2><p>{said}</p>{_counts(rows, now, was)}{_examples(rows, flipped, examples)}</section>"


def _counts(rows: BinaryRows, now: NDArray[np.bool_], was: NDArray[np.bool_]) -> str:
    lines = []
    for positive in (True, False):
        changed = (now == positive) & (was != positive)
        count, right = int(changed.sum()), int((changed & ((rows.labels == 1) == positive)).sum())
        lines.append([f"{WORDS[not positive]} → {WORDS[positive]}", f"{count:,}", f"{right:,}", f"{count - right:,}"])
    head = ("champion → challenger", "rows", "challenger right", "champion right")
    return table(head, lines, numbers=head[1:])


def _examples(rows: BinaryRows, flipped: NDArray[np.bool_], examples: Sequence[Mapping[str, object]]) -> str:
    """The flipped rows with the largest change of probability."""
    if rows.champion is None:
        return ""
    change = rows.challenger.probabilities - rows.champion.probabilities
    places = np.flatnonzero(flipped)
    chosen = places[np.argsort(-np.abs(change[places]), kind="stable")][:EXAMPLES]
    lines = []
    for place in chosen:
        at = int(rows.at[place])
        lines.append(
            [
                f"{at + 1:,}",
                WORDS[bool(rows.labels[place] == 1)],
                f"{rows.champion.probabilities[place]:.3f}",
                f"{rows.challenger.probabilities[place]:.3f}",
                f"{change[place]:+.3f}",
                _facts(examples[at]) if at < len(examples) else "",
            ]
        )
    head = ("held-out row", "is", "champion", "challenger", "change", "values")
    return f"<h3>Largest changes of probability</h3>{table(head, lines, numbers=head[2:5])}"


def _facts(row: Mapping[str, object]) -> str:
    """A row's values, folded away."""
    shown = list(row.items())[:MOST_FACTS]
    facts = "".join(
        f"<div><dt><bdi>{escape(short(str(name), 80))}</bdi></dt><dd><bdi>{escape(_word(value))}</bdi></dd></div>" for name, value in shown
    )
    more = f'<p class="soft small">… and {len(row) - len(shown):,} more</p>' if len(row) > len(shown) else ""
    return f'<details><summary>{counted(len(row), "value")}</summary><dl class="facts">{facts}</dl>{more}</details>'


def _word(value: object) -> str:
    if value is None:
        return "(missing)"
    return f"{value:.6g}" if isinstance(value, float) else short(str(value), 120)
