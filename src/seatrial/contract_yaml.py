"""A contract as YAML for people: one line a column, `# look at this` where somebody should, only what is not the default."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from seatrial.contract import Column, Contract, Table
from seatrial.contract_rules import Section

PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
COLUMN_KEYS = ("type", "role", "nullable", "range", "allowed", "pattern", "unique", "environments", "allow", "advisory", "description")


def to_yaml(contract: Contract, *, head: Sequence[str] = (), remarks: Mapping[str, str] | None = None) -> str:
    """The contract as YAML below `head`'s lines; `remarks` are by column, or by place (`table.rows`).

    Reading it gives an equal contract.
    """
    notes = remarks or {}
    lines = [*head, "columns:"]
    for name, column in contract.columns.items():
        lines.append(f"  {scalar(name)}: {_flow(_values(column))}{_note(notes, name)}")
    lines += ["", "table:", *(f"  {line}" for line in _table(contract.table, notes))]
    lines += ["", "checks:", *(f"  {line}" for line in _checks(contract, notes))]
    if contract.waivers:
        lines += ["", "waivers:", *(f"  - {_flow(_written(waiver))}" for waiver in contract.waivers)]
    return "\n".join(lines) + "\n"


def _note(notes: Mapping[str, str], place: str) -> str:
    return f"   # look at this: {' '.join(notes[place].split())}" if place in notes else ""


def _values(column: Column) -> dict[str, Any]:
    written = _written(column)
    return {key: written[key] for key in COLUMN_KEYS if key in written}


def _written(section: Section) -> dict[str, Any]:
    return section.model_dump(exclude_defaults=True)


def _table(table: Table, notes: Mapping[str, str]) -> Iterator[str]:
    yield f"rows: {_flow(table.rows.model_dump())}{_note(notes, 'table.rows')}"
    yield f"key: {_flow(table.key)}{_note(notes, 'table.key')}"
    yield f"extra: {table.extra}   # what a column that is not listed above means"
    if table.duplicates or "table.duplicates" in notes:
        yield f"duplicates: {scalar(table.duplicates)}{_note(notes, 'table.duplicates')}"
    parts = _written(table.parts)
    if parts:
        yield f"parts: {_flow(parts)}{_note(notes, 'table.parts')}"
    if table.conditions:
        yield "conditions:"
        yield from (f"  - {_flow(_written(condition))}" for condition in table.conditions)


def _checks(contract: Contract, notes: Mapping[str, str]) -> Iterator[str]:
    checks = contract.checks
    yield "statistics:   # against the reference profile: a change this large, and significant"
    yield from (f"  {key}: {scalar(value)}" for key, value in checks.statistics.model_dump().items())
    yield "freshness:   # column: a date column above, or null: then data.snapshot of params.yaml is the clock"
    event = next((name for name, column in contract.columns.items() if column.role == "event_time"), None)
    clock = {"column": None} if event is not None and event == checks.freshness.column else {}
    for key, value in (checks.freshness.model_dump() | clock).items():
        yield f"  {key}: {scalar(value)}{_note(notes, f'checks.freshness.{key}')}"
    for name in ("label", "split"):
        section: Section = getattr(checks, name)
        if _written(section) or f"checks.{name}" in notes:
            yield f"{name}: {_flow(section.model_dump())}{_note(notes, f'checks.{name}')}"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    return scalar(value)


def scalar(value: Any) -> str:
    """One YAML scalar; whatever YAML could read as something else is put in quotes."""
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float):
        text = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text  # YAML 1.1 reads 1e-05 as a word
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(value: str) -> str:
    import yaml

    if PLAIN.fullmatch(value) and not any(words.match(value) for _, words in _resolvers(value[0])):
        return value
    if value.isprintable():
        return json.dumps(value, ensure_ascii=False)
    written: str = yaml.safe_dump(value, default_style='"', allow_unicode=False, width=math.inf)
    return written.strip()


def _resolvers(first: str) -> list[tuple[str, re.Pattern[str]]]:
    """What YAML looks for in words that begin with this letter: `true`, `null`, numbers …"""
    import yaml

    return list(yaml.SafeLoader.yaml_implicit_resolvers.get(first, []))
