"""Draft a data contract from the data, or show what the present one says.

seatrial contract infer    writes the contract and the reference profile; overwrites neither without --force
seatrial contract show     prints the columns, their rules and their roles
"""

from __future__ import annotations

import argparse

from seatrial.contract import Column, Contract, check_roles, load_contract
from seatrial.errors import ParamsError, RefusedError
from seatrial.files import md5_of, write_atomic
from seatrial.located import nearest
from seatrial.project import Project


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("verb", choices=("infer", "show"), help="draft from the data, or print")
    parser.add_argument("--force", action="store_true", help="infer: overwrite the contract and the reference")


def run(project: Project, options: argparse.Namespace) -> int:
    """Do one or the other; 0 where it was done."""
    if options.verb == "infer":
        infer_contract(project, force=options.force)
    else:
        print(describe(load_contract(project.contract), project))
    return 0


def infer_contract(project: Project, *, force: bool = False) -> Contract:
    """Write a drafted contract and the reference profile of the present data.

    Raises RefusedError where one of them exists and `force` is false, DataError for a table that cannot be read, ParamsError
    where params.yaml gives a role to a column that the table does not have.
    """
    from seatrial.draft import infer, remarks, to_yaml
    from seatrial.profile import profile
    from seatrial.tables import read_table, typed

    data = project.settings.data
    _refuse_overwriting(project, force)
    raw = read_table(project.raw, delimiter=data.delimiter, pattern=data.pattern)
    _refuse_unknown_roles(project, raw.columns)
    contract = infer(raw, data)
    frame, _ = typed(raw, contract)
    notes = remarks(frame, contract, data)
    write_atomic(project.contract, to_yaml(contract, remarks=notes, raw=data.raw, rows=frame.height).encode())
    profile(frame, contract, data=md5_of(project.raw)).save(project.reference)
    print(f"contract: {data.contract} and {data.reference} from {frame.height} rows; {len(notes)} columns are marked `look at this`")
    return contract


def _refuse_overwriting(project: Project, force: bool) -> None:
    data = project.settings.data
    present = [name for name, path in ((data.contract, project.contract), (data.reference, project.reference)) if path.exists()]
    if present and not force:
        raise RefusedError(f"{' and '.join(present)} would be overwritten", hint="keep a copy, then: seatrial contract infer --force")


def _refuse_unknown_roles(project: Project, columns: list[str]) -> None:
    data = project.settings.data
    roles = [("target", data.target), *([("id", data.id)] if data.id else []), *(("groups", name) for name in data.groups)]
    problems = tuple(
        f"params.yaml: data.{role} is {name!r}, which is no column of {data.raw}{nearest(name, columns)}"
        for role, name in roles
        if name not in columns
    )
    if problems:
        raise ParamsError(problems)


def describe(contract: Contract, project: Project) -> str:
    """The contract in aligned lines: each column with its rules and its role, then the table's own rules."""
    data = project.settings.data
    check_roles(contract, data)
    roles = dict.fromkeys(data.groups, "group") | {data.target: "target"} | ({data.id: "id"} if data.id else {})
    width = max(map(len, contract.columns))
    lines = [
        f"{name:<{width}}  {column.type:<8}  {roles.get(name, ''):<6}  {_rules(column)}".rstrip()
        for name, column in contract.columns.items()
    ]
    rows = contract.table.rows
    most = "" if rows.max is None else f", at most {rows.max}"
    freshness = contract.checks.freshness
    clock = freshness.column or "data.snapshot"
    lines.append(f"rows: at least {rows.min}{most}; key: {', '.join(contract.table.key) or 'none'}; other columns: {contract.table.extra}")
    lines.append(f"freshness: {clock}, at most {freshness.max_age_days:g} days{' (advisory)' if freshness.advisory else ''}")
    return "\n".join(lines)


def _rules(column: Column) -> str:
    rules = [f"missing ≤ {column.nullable:.2%}" if column.nullable else "never missing"]
    if column.range is not None:
        rules.append(" … ".join("any" if limit is None else str(limit) for limit in column.range))
    if column.allowed is not None:
        rules.append(" | ".join(map(str, column.allowed)))
    if column.pattern is not None:
        rules.append(f"like {column.pattern}")
    if column.unique:
        rules.append("unique")
    return ", ".join(rules)
