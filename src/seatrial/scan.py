"""One pass over the table: each part is read once, in batches of bounded size, and its summary kept by content hash.

    scanned = summarise(parts, contract, data, home=project.home)

Only parts that are new or changed are read again. Whether rows repeat is asked of all parts together (`repeats`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.contract import Column, Contract
from seatrial.files import locked, sha256_json, write_atomic
from seatrial.identities import Writer
from seatrial.params import Data
from seatrial.repeats import identities_of, repeats_of
from seatrial.rules import Rule, pattern_error, rules_of
from seatrial.sketches import Tally
from seatrial.summary import HASH, SAMPLE, Broken, ColumnSummary, Example, PartFacts, Summary, examples_of, finite, merged, merged_column

if TYPE_CHECKING:
    import polars as pl

    from seatrial.identities import Hashes
    from seatrial.sources import Part
    from seatrial.tables import Finding

FORMAT = 1
KEEP_SECONDS = 7 * 86400.0
FILE = "summary.json"
SAMPLE_FILE = "sample.parquet"
TOGETHER = 64
NUMERIC = ("integer", "number")
TIMES = ("date", "datetime")

Progress = Callable[[int, int], None]


def summarise(
    parts: Sequence[Part], contract: Contract, data: Data, *, home: Path, progress: Progress = lambda size, rows: None
) -> Summary:
    """Summarise all parts, reading only those whose bytes, contract or way of reading changed.

    `progress` is told of bytes and rows as they are read. Raises DataError for what cannot be read, and ContractError for a
    rule that Polars cannot ask.
    """
    store = home / "summaries"
    with locked(store / ".lock"):
        reading = _reading(contract, data)
        folders = [store / sha256_json([reading, part.name, part.digest, part.partition])[7:47] for part in parts]
        summaries = [_part(part, folder, contract, data, progress) for part, folder in zip(parts, folders, strict=True)]
        whole = merged(summaries)
        repeats = repeats_of(list(parts), folders, contract, data, store=store)
        _forget(store, folders)
    return replace(whole, repeats=repeats)


def _reading(contract: Contract, data: Data) -> dict[str, Any]:
    """Everything but the bytes that a part's summary depends on."""
    import polars as pl

    rules = contract.model_dump(mode="json", include={"columns": True, "table": {"key", "conditions"}})
    options = {name: value for name, value in data.to_dict().items() if name not in ("raw", "contract", "reference", "snapshot")}
    return {"format": FORMAT, "polars": pl.__version__, "contract": rules, "data": options}


def _part(part: Part, folder: Path, contract: Contract, data: Data, progress: Progress) -> Summary:
    """The kept summary of a part, or a new one."""
    kept = _kept(folder)
    if kept is None:
        _read(part, folder, contract, data, progress)
        kept = _kept(folder)
        assert kept is not None
    else:
        folder.touch()
    return kept


def _kept(folder: Path) -> Summary | None:
    """The summary in a folder; None where there is none, or it is torn or of another time."""
    import msgspec

    try:
        summary = msgspec.json.decode((folder / FILE).read_bytes(), type=Summary)
    except (OSError, msgspec.MsgspecError):
        return None
    return replace(summary, samples=(str(folder / SAMPLE_FILE),))


def _read(part: Part, folder: Path, contract: Contract, data: Data, progress: Progress) -> None:
    """Read a part and leave its summary, sample and hashes in `folder`, whole or not at all."""
    from seatrial.sources import batches, columns_of

    scratch = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        scan = PartScan(part.name, contract, data, scratch)
        told = 0
        for batch in batches(part, data):
            scan.add(batch)
            size = min(part.size - told, int(batch.estimated_size()))
            told += size
            progress(size, batch.height)
        progress(part.size - told, 0)
        summary = scan.close(PartFacts(name=part.name, digest=part.digest, rows=scan.rows, stored=columns_of(part, data)))
        write_atomic(scratch / FILE, _encoded(summary))
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _encoded(summary: Summary) -> bytes:
    import msgspec

    return msgspec.json.encode(summary)


def _forget(store: Path, used: Sequence[Path]) -> None:
    """Remove what no run has used for a week."""
    keep = {folder.name for folder in used}
    for folder in store.iterdir():
        if folder.is_dir() and folder.name not in keep and time.time() - folder.stat().st_mtime > KEEP_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class _Open:
    """What is known of one column so far."""

    column: Column
    tally: Tally | None
    facts: ColumnSummary


class PartScan:
    """Takes the batches of one part, in order, and gives its summary; what is asked per row is compiled once."""

    def __init__(self, name: str, contract: Contract, data: Data, folder: Path) -> None:
        self.rows = 0
        self._name = name
        self._contract = contract
        self._id = data.id if data.id in contract.columns else None
        self._folder = folder
        self._identities = identities_of(contract)
        self._writers: dict[str, Writer] = {}
        self._rules = rules_of(contract)
        self._broken: dict[str, Broken] = {}
        self._columns: dict[str, _Open] = {}
        self._sample: pl.DataFrame | None = None

    def add(self, raw: pl.DataFrame) -> None:
        """Take one batch as it is stored."""
        from seatrial.tables import typed

        frame, findings = typed(raw, self._contract)
        self._begin(frame)
        self._missing(frame, raw, findings)
        self._ask(frame)
        self._count(frame)
        hashes = self._identify(frame)
        self._draw(frame, hashes)
        self.rows += frame.height

    def close(self, facts: PartFacts) -> Summary:
        """The summary of all batches; the sample and the hashes are in the folder."""
        for writer in self._writers.values():
            writer.close()
        if self._sample is not None:
            self._sample.write_parquet(self._folder / SAMPLE_FILE)
        columns = {
            name: replace(one.facts, values=one.tally.freeze()) if one.tally is not None else one.facts
            for name, one in self._columns.items()
        }
        return Summary(rows=self.rows, parts=(facts,), columns=columns, broken=self._broken)

    def _begin(self, frame: pl.DataFrame) -> None:
        """On the first batch: which of the contract's columns and rules this part has."""
        if self._columns:
            return
        names = set(frame.columns)
        unique = {identity.columns[0] for identity in self._identities if identity.name != "rows" and len(identity.columns) == 1}
        for name, column in self._contract.columns.items():
            if name in names:
                tally = _tally(column, named=name in unique)
                self._columns[name] = _Open(column=column, tally=tally, facts=ColumnSummary(type=column.type))
        self._rules = tuple(rule for rule in self._rules if names.issuperset(rule.columns))
        self._identities = tuple(identity for identity in self._identities if names.issuperset(identity.columns))
        self._broken = {rule.key: Broken() for rule in self._rules}
        self._writers = {identity.name: Writer(self._folder / identity.file) for identity in self._identities}

    def _missing(self, frame: pl.DataFrame, raw: pl.DataFrame, findings: Sequence[Finding]) -> None:
        """Count cells without a value, and those of another type, which `typed` made null too."""
        found = {finding.column: finding for finding in findings}
        for name, one in self._columns.items():
            empty = frame[name].null_count()
            unread = _unread(raw[name], frame[name]) if name in found else None
            if unread is not None:
                lost = Broken(count=found[name].count, examples=self._examples(frame, raw[name], unread))
                one.facts = replace(one.facts, unread=one.facts.unread + lost)
                empty -= lost.count
            if empty:
                blank = frame[name].is_null() if unread is None else frame[name].is_null() & ~unread
                rows = Broken(count=empty, examples=self._examples(frame, frame[self._id] if self._id in frame.columns else None, blank))
                one.facts = replace(one.facts, missing=one.facts.missing + rows)

    def _examples(self, frame: pl.DataFrame, cells: pl.Series | None, broken: pl.Series, *, plain: bool = False) -> tuple[Example, ...]:
        import polars as pl

        at = broken.arg_true()
        if cells is None:
            return examples_of([(self.rows + row + 1, None) for row in at.head(5)], self._name)
        chosen = pl.DataFrame({"row": at, "cell": cells.gather(at)}).unique("cell", keep="first", maintain_order=True).head(5)
        return examples_of([(self.rows + row + 1, cell) for row, cell in chosen.rows()], self._name, plain=plain)

    def _ask(self, frame: pl.DataFrame) -> None:
        """One query for all rules and all extremes and moments."""
        import polars as pl

        questions = [rule.broken.sum().alias(rule.key) for rule in self._rules]
        questions += [question for one in self._columns.values() for question in _moments(one.column)]
        try:
            answers = frame.lazy().select(questions).collect().row(0, named=True) if questions else {}
        except pl.exceptions.PolarsError as error:
            raise pattern_error(error) from None
        for rule in self._rules:
            if answers[rule.key]:
                self._broken[rule.key] += self._violations(frame, rule, int(answers[rule.key]))
        for name, one in self._columns.items():
            one.facts = _with_moments(one.facts, answers, name, frame.height - frame[name].null_count())

    def _violations(self, frame: pl.DataFrame, rule: Rule, count: int) -> Broken:
        import polars as pl

        broken = frame.select(rule.broken.fill_null(value=False).alias("broken")).to_series()
        if len(rule.columns) == 1:
            cells = frame[rule.columns[0]]
        else:
            cells = frame.select(
                pl.concat_str(
                    [pl.format("{} = {}", pl.lit(name), pl.col(name).cast(pl.String).fill_null("missing")) for name in rule.columns],
                    separator=", ",
                )
            ).to_series()
        return Broken(count=count, examples=self._examples(frame, cells, broken, plain=rule.name == "quality.condition"))

    def _count(self, frame: pl.DataFrame) -> None:
        """Add each column's different values with their counts."""
        import polars as pl

        counted = [(name, one.tally) for name, one in self._columns.items() if one.tally is not None]
        for start in range(0, len(counted), TOGETHER):
            some = counted[start : start + TOGETHER]
            queries = [_values(frame, name, self._contract.columns[name]) for name, _ in some]
            for (_, tally), counts in zip(some, pl.collect_all(queries), strict=True):
                tally.add(counts["value"].to_list(), counts["count"].to_list())

    def _identify(self, frame: pl.DataFrame) -> Hashes:
        """Hash what names the rows; gives one hash a row, of the first identity."""
        first: Hashes | None = None
        for identity in self._identities:
            hashes, present = identity.hashes(frame)
            self._writers[identity.name].add(hashes if present is None else hashes[present])
            first = hashes if first is None else first
        return frame.hash_rows().to_numpy() if first is None else first

    def _draw(self, frame: pl.DataFrame, hashes: Hashes) -> None:
        """Keep the rows with the smallest hashes."""
        import numpy as np
        import polars as pl

        limit = None if self._sample is None or self._sample.height < SAMPLE else self._sample[HASH][-1]
        if len(hashes) > SAMPLE:
            own = np.partition(hashes, SAMPLE)[SAMPLE]
            limit = own if limit is None else min(limit, own)
        chosen = frame.select(list(self._columns)).with_columns(pl.Series(HASH, hashes))
        if limit is not None:
            chosen = chosen.filter(pl.col(HASH) <= limit)
        both = chosen if self._sample is None else pl.concat([self._sample, chosen])
        self._sample = both.sort(HASH, maintain_order=True).head(SAMPLE)


def _tally(column: Column, *, named: bool) -> Tally | None:
    """Values of text that name their rows are not counted: they would only be listed to be thrown away."""
    if named:
        return Tally(distinct=False) if column.type in NUMERIC else None
    return Tally()


def _values(frame: pl.DataFrame, name: str, column: Column) -> pl.LazyFrame:
    """Different values of a column with their counts; dates as text."""
    import polars as pl

    cell = pl.col(name).dt.to_string("iso") if column.type in TIMES else pl.col(name)
    return frame.select(name).lazy().select(cell.alias("value")).drop_nulls().group_by("value").agg(pl.len().alias("count"))


def _unread(stored: pl.Series, typed: pl.Series) -> pl.Series:
    """Which cells hold something that is not of the contract's type."""
    import polars as pl

    filled = stored.is_not_null() & (stored != "") if stored.dtype == pl.String else stored.is_not_null()
    if stored.dtype.is_float():
        filled = filled & stored.is_not_nan()
    return filled & typed.is_null()


def _moments(column: Column) -> list[pl.Expr]:
    import polars as pl

    cell, name = pl.col(column.name), column.name
    if column.type not in (*NUMERIC, *TIMES):
        return []
    extremes = [cell.min().alias(f"low:{name}"), cell.max().alias(f"high:{name}")]
    if column.type in TIMES:
        return extremes
    return [*extremes, cell.mean().alias(f"mean:{name}"), cell.var(ddof=0).alias(f"variance:{name}")]


def _with_moments(facts: ColumnSummary, answers: Mapping[str, Any], name: str, count: int) -> ColumnSummary:
    if not count:
        return facts
    low, high = answers.get(f"low:{name}"), answers.get(f"high:{name}")
    if facts.type in TIMES:
        low, high = low.isoformat(), high.isoformat()  # type: ignore[union-attr]
    mean = answers.get(f"mean:{name}")
    batch = ColumnSummary(
        type=facts.type,
        count=count,
        low=low,
        high=high,
        mean=None if mean is None else finite(mean),
        deviations=finite((answers.get(f"variance:{name}") or 0.0) * count),
    )
    return merged_column([facts, batch])
