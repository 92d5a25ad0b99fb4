"""Which rows repeat an earlier one, over all parts: unique columns, the key, or whole rows where nothing names them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.contract import Contract
from seatrial.files import canonical_json, sha256_json, write_atomic
from seatrial.identities import any_shared, load, repeated
from seatrial.params import Data
from seatrial.summary import EXAMPLES, Broken, Example, shown

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from seatrial.identities import Hashes
    from seatrial.sources import Part

MOST_CONFIRMED = 1000
FEW = 0.25
KNOWN = "unrepeated.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What should name one row each: `unique:<column>` (cells without a value do not count), `key`, or `rows` (all cells)."""

    name: str
    columns: tuple[str, ...]

    @property
    def file(self) -> str:
        """Its file of hashes in a part's folder."""
        return f"{sha256_json(self.name)[7:23]}.u64"

    def hashes(self, frame: pl.DataFrame) -> tuple[Hashes, np.ndarray | None]:
        """One hash a row, and which rows count (None: all)."""
        if self.name.startswith("unique:"):
            cells = frame[self.columns[0]]
            return cells.hash().to_numpy(), None if not cells.null_count() else cells.is_not_null().to_numpy()
        return frame.select(self.columns).hash_rows().to_numpy(), None


def identities_of(contract: Contract) -> tuple[Identity, ...]:
    """Each unique column, and the key; whole rows only where there is neither, because named rows cannot repeat."""
    unique = [Identity(name=f"unique:{name}", columns=(name,)) for name, column in contract.columns.items() if column.unique]
    key = tuple(contract.table.key)
    if key and not _is_unique(contract, key):
        unique.append(Identity(name="key", columns=key))
    return tuple(unique) or (Identity(name="rows", columns=tuple(contract.columns)),)


def _is_unique(contract: Contract, key: tuple[str, ...]) -> bool:
    """Whether the key is one column, which is asked already."""
    return len(key) == 1 and contract.columns[key[0]].unique


def repeats_of(parts: Sequence[Part], folders: Sequence[Path], contract: Contract, data: Data, *, store: Path) -> dict[str, Broken]:
    """For each identity that the parts have the columns of: how many rows repeat an earlier one, with examples."""
    found = {}
    for identity in identities_of(contract):
        if all((folder / identity.file).exists() for folder in folders):
            found[identity.name] = _repeats(identity, parts, folders, contract, data, store)
    key = tuple(contract.table.key)
    if _is_unique(contract, key) and f"unique:{key[0]}" in found:
        found["key"] = found[f"unique:{key[0]}"]
    return found


def _repeats(identity: Identity, parts: Sequence[Part], folders: Sequence[Path], contract: Contract, data: Data, store: Path) -> Broken:
    if _known_apart(identity, folders, store):
        return Broken()
    count, hashes = repeated([load(folder / identity.file) for folder in folders], most=MOST_CONFIRMED)
    if count <= MOST_CONFIRMED:
        confirmed = _confirmed(identity, hashes, parts, contract, data) if count else Broken()
    else:
        confirmed = Broken(count=count, examples=_confirmed(identity, hashes[:EXAMPLES], parts, contract, data, enough=EXAMPLES).examples)
    if not confirmed.count:
        _remember(identity, folders, store)
    return confirmed


def _known_apart(identity: Identity, folders: Sequence[Path], store: Path) -> bool:
    """Whether no rows repeat, because most parts are known to have none in common, and the few others share none with them."""
    known = set(_remembered(store).get(identity.file, ()))
    new = [folder for folder in folders if folder.name not in known]
    if len(new) > FEW * len(folders) or len({folder.name for folder in folders}) < len(folders):
        return False
    rest = [load(folder / identity.file) for folder in folders if folder.name in known]
    if new and any_shared([load(folder / identity.file) for folder in new], rest):
        return False
    if new:
        _remember(identity, folders, store)
    return True


def _remembered(store: Path) -> dict[str, list[str]]:
    """Per identity, the parts of the last table without repeats."""
    try:
        value = json.loads((store / KNOWN).read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _remember(identity: Identity, folders: Sequence[Path], store: Path) -> None:
    known = _remembered(store) | {identity.file: sorted(folder.name for folder in folders)}
    write_atomic(store / KNOWN, canonical_json(known))


def _confirmed(
    identity: Identity, hashes: Hashes, parts: Sequence[Part], contract: Contract, data: Data, *, enough: int | None = None
) -> Broken:
    """Read again what seems to repeat, and compare it by its cells; up to `enough` repeated rows, where given."""
    seen: set[str] = set()
    repeats: list[Example] = []
    for name, row, value in (place for part in parts for place in _rows(identity, hashes, part, contract, data)):
        if value in seen:
            repeats.append(Example(part=name, row=row, value=_short(value)))
        seen.add(value)
        if len(repeats) == enough:
            break
    first = {example.value: example for example in reversed(repeats)}
    examples = [example for example in repeats if first[example.value] is example]
    return Broken(count=len(repeats), examples=tuple(examples[:EXAMPLES]))


def _rows(identity: Identity, hashes: Hashes, part: Part, contract: Contract, data: Data) -> Iterator[tuple[str, int, str]]:
    """Part, row number and cells, as one text, of each row that has one of the hashes."""
    import numpy as np

    from seatrial.sources import batches
    from seatrial.tables import typed

    before = 0
    for batch in batches(part, data):
        frame, _ = typed(batch, contract)
        own, present = identity.hashes(frame)
        hit = np.isin(own, hashes) if present is None else np.isin(own, hashes) & present
        cells = frame.select(identity.columns)
        for at in np.flatnonzero(hit).tolist():
            yield part.name, before + at + 1, ", ".join(shown(cell) or "missing" for cell in cells.row(at))
        before += frame.height


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
