"""Split: no held-out row stands among the training rows; by row hash on disk, equality confirmed on the cells."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.checks.wording import counted, percent
from seatrial.contract import Contract
from seatrial.errors import DataError
from seatrial.identities import Writer, load
from seatrial.params import Data
from seatrial.summary import EXAMPLES, shown
from seatrial.verdict import Check, Outcome

if TYPE_CHECKING:
    import polars as pl

    from seatrial.identities import Hashes

BATCH = 250_000
CHUNK = 1_000_000
MOST_CONFIRMED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Held-out rows that also stand among the training rows: how many, and some of them, each with its training twin."""

    rows: int
    count: int
    twins: tuple[tuple[str, str], ...]


def split_checks(contract: Contract, train: Path, test: Path, data: Data) -> tuple[Check, ...]:
    """Compare two Parquet files of the same columns; without an id, only whole rows.

    Equal in all cells may be none: the row was trained on. Equal in all cells but the id may be some: in a table of few
    columns different subjects look alike. Memory does not grow with rows. DataError where a file cannot be read, or the
    files' columns differ.
    """
    columns = _columns(train, test)
    named = data.id if data.id in columns else None
    same = shared_rows(train, test, columns, named=named)
    checks = [_leak(same)]
    others = [name for name in columns if name != named]
    if named is not None and others:
        alike = shared_rows(train, test, others, named=named)
        checks.append(_alike(alike, named, float(contract.checks.split.max_share), advisory=contract.checks.split.advisory))
    return tuple(checks)


def _columns(train: Path, test: Path) -> list[str]:
    theirs, ours = _schema(train), _schema(test)
    for name in dict.fromkeys([*theirs, *ours]):
        if theirs.get(name) != ours.get(name):
            kinds = [f"{path.name} has {schema.get(name, 'no such column')}" for path, schema in ((train, theirs), (test, ours))]
            hint = "one stage writes both: dvc repro preprocess"
            raise DataError(f"{train.name} and {test.name} differ in column {name!r}: {', '.join(kinds)}", hint=hint)
    return list(theirs)


def _schema(path: Path) -> dict[str, Any]:
    import polars as pl

    try:
        return dict(pl.read_parquet_schema(path))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{path.name} cannot be read ({str(error).splitlines()[0]})", hint="write it anew: dvc repro preprocess") from None


def _leak(same: Shared) -> Check:
    message = f"none of {counted(same.rows, 'held-out row')} stands among the training rows"
    if same.count:
        verb = "stands" if same.count == 1 else "stand"
        message = f"{same.count} of {counted(same.rows, 'held-out row')} {verb} among the training rows too, none may{_examples(same)}"
    return Check(name="split.leak", outcome=Outcome.FAIL if same.count else Outcome.PASS, message=message, observed=same.count, limit=0)


def _examples(found: Shared) -> str:
    words = [one if one == other else f"{one} as {other} in training" for one, other in found.twins]
    return f": {', '.join(words)}{', …' if found.count > len(words) else ''}" if words else ""


def _alike(alike: Shared, named: str, limit: float, *, advisory: bool) -> Check:
    share = alike.count / alike.rows if alike.rows else 0.0
    message = (
        f"{alike.count} of {counted(alike.rows, 'held-out row')} {'equals' if alike.count == 1 else 'equal'} a training row in all cells "
        f"but {named!r} ({percent(share)}), at most {percent(limit)} may{_examples(alike)}"
    )
    outcome = Outcome.PASS if share <= limit else Outcome.FAIL
    return Check(name="split.rows", outcome=outcome, message=message, observed=round(share, 9), limit=limit, advisory=advisory)


def shared_rows(train: Path, test: Path, columns: Sequence[str], *, named: str | None) -> Shared:
    """The rows of `test` that equal a row of `train` in `columns`, with examples by the column `named`, else by row number.

    Up to 1,000 different ones are compared by their cells; of more, the count is that of equal 64-bit hashes.
    """
    with tempfile.TemporaryDirectory() as scratch:
        theirs, ours = (_hashed(path, columns, Path(scratch) / f"{side}.u64") for side, path in (("train", train), ("test", test)))
        count, hashes = _common(load(theirs), load(ours))
        rows = len(load(ours))
    if not count:
        return Shared(rows=rows, count=0, twins=())
    training: dict[tuple[Any, ...], str] = {}
    for cells, name in _rows_with(train, columns, hashes, named):
        training.setdefault(cells, name)
    twins = [(name, training[cells]) for cells, name in _rows_with(test, columns, hashes, named) if cells in training]
    return Shared(rows=rows, count=count if len(hashes) == MOST_CONFIRMED else len(twins), twins=tuple(twins[:EXAMPLES]))


def _hashed(path: Path, columns: Sequence[str], target: Path) -> Path:
    writer = Writer(target)
    for batch in _batches(path, columns):
        writer.add(batch.hash_rows().to_numpy())
    writer.close()
    return target


def _batches(path: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    import polars as pl
    from polars import selectors

    frame = pl.scan_parquet(path, glob=False).select(columns).with_columns(selectors.float().fill_nan(None))
    yield from frame.collect_batches(chunk_size=BATCH, maintain_order=True)


def _common(theirs: Hashes, ours: Hashes) -> tuple[int, Hashes]:
    """How many of our sorted hashes are among theirs, and up to 1,000 different ones, a slice of both in memory at a time."""
    import numpy as np

    count, found = 0, np.empty(0, dtype=np.uint64)
    for start in range(0, len(ours), CHUNK):
        mine = np.asarray(ours[start : start + CHUNK])
        first, last = np.searchsorted(theirs, mine[0]), np.searchsorted(theirs, mine[-1], side="right")
        hit = np.zeros(len(mine), dtype=bool)
        for at in range(int(first), int(last), CHUNK):
            hit |= _among(mine, np.asarray(theirs[at : min(at + CHUNK, int(last))]))
        count += int(hit.sum())
        if len(found) < MOST_CONFIRMED:
            found = np.unique(np.concatenate([found, mine[hit]]))[:MOST_CONFIRMED]
    return count, found


def _among(mine: Hashes, sorted_others: Hashes) -> Any:
    import numpy as np

    at = np.minimum(np.searchsorted(sorted_others, mine), len(sorted_others) - 1)
    return sorted_others[at] == mine


def _rows_with(path: Path, columns: Sequence[str], hashes: Hashes, named: str | None) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Cells and name of each row whose hash is one of `hashes`."""
    import numpy as np

    before = 0
    for batch in _batches(path, list(dict.fromkeys([*columns, *([named] if named else [])]))):
        asked = batch.select(columns)
        for at in np.flatnonzero(np.isin(asked.hash_rows().to_numpy(), hashes)):
            name = f"row {before + int(at) + 1}" if named is None else shown(batch[named][int(at)]) or "missing"
            yield asked.row(int(at)), name
        before += batch.height
