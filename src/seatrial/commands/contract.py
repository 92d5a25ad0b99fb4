"""Draft a data contract from the data, show it, compare two, or carry it to and from editors and pandera.

seatrial contract infer                       writes the contract and the reference profile; overwrites neither without --force
seatrial contract show                        prints the columns, their rules and their roles
seatrial contract diff [OLD] [NEW]            what changed between two files or git revisions, and whom it concerns
seatrial contract schema [FILE]               writes the JSON Schema by which editors complete and explain the contract
seatrial contract export --pandera FILE       writes the contract as a pandera schema
seatrial contract import SCHEMA               writes the contract that a pandera schema says
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.contract import Column, Contract, check_roles, load_contract
from seatrial.contract_rules import BOTH
from seatrial.errors import ParamsError, RefusedError
from seatrial.files import write_atomic
from seatrial.located import nearest
from seatrial.project import Project

if TYPE_CHECKING:
    import polars as pl

    from seatrial.draft import Draft
    from seatrial.sources import Part
    from seatrial.summary import Summary

HEAD = "HEAD:"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's verbs and their options."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    one = verbs.add_parser("infer", help="draft from the data")
    one.add_argument("--force", action="store_true", help="overwrite the contract and the reference")
    verbs.add_parser("show", help="print columns, rules and roles")
    one = verbs.add_parser("diff", help="compare two contracts")
    one.add_argument("old", nargs="?", default=HEAD, help="a file, a git revision, or REVISION:PATH (default: HEAD)")
    one.add_argument("new", nargs="?", help="the same (default: the contract as it lies here)")
    one.add_argument("--json", action="store_true", help="print the changes as JSON")
    one.add_argument("--exit-code", action="store_true", help="1 where a change is breaking")
    one = verbs.add_parser("schema", help="write the contract's JSON Schema")
    one.add_argument("file", nargs="?", help="where to (default: docs/contract.schema.json; - prints it)")
    one = verbs.add_parser("export", help="write the contract as a pandera schema")
    one.add_argument("--pandera", metavar="FILE", required=True, type=Path, help="the Python file to write")
    one.add_argument("--backend", choices=("polars", "pandas"), default="polars", help="which frames it is for (default: polars)")
    one.add_argument("--force", action="store_true", help="overwrite the file")
    one = verbs.add_parser("import", help="write the contract that a pandera schema says")
    one.add_argument("schema", metavar="SCHEMA", help="FILE.py:OBJECT (the file is run), or pandera's YAML")
    one.add_argument("--force", action="store_true", help="overwrite the contract")


def run(project: Project, options: argparse.Namespace) -> int:
    """Do what the verb says; 0 where it was done, 1 for `diff --exit-code` where a change is breaking."""
    verbs: dict[str, Callable[[Project, argparse.Namespace], int]] = {
        "infer": _infer,
        "show": _show,
        "diff": _diff,
        "schema": _schema,
        "export": _export,
        "import": _import,
    }
    return verbs[options.verb](project, options)


def _infer(project: Project, options: argparse.Namespace) -> int:
    infer_contract(project, force=options.force)
    return 0


def _show(project: Project, options: argparse.Namespace) -> int:
    print(describe(load_contract(project.contract), project))
    return 0


def infer_contract(project: Project, *, force: bool = False, now: dt.datetime | None = None) -> Contract:
    """Write a drafted contract and the reference profile of the present data, reading it twice and never whole.

    Raises RefusedError where one of them exists and `force` is false, DataError for a table that cannot be read, ParamsError
    where params.yaml gives a role to a column that the table does not have.
    """
    from seatrial.contract_schema import editor_line
    from seatrial.contract_yaml import to_yaml
    from seatrial.sources import data_digest, parts_of

    data = project.settings.data
    _refuse_overwriting(project, force, data.contract, data.reference)
    parts = parts_of(project)
    drafted, summary = _drafted(project, parts, now or dt.datetime.now(dt.UTC))
    head = (
        editor_line(project.contract, project.root),
        f"# What {data.raw} may hold: `seatrial validate` holds every new version of the data to it; docs/contract.md explains each key.",
        f"# Drafted from {summary.rows} rows by `seatrial contract infer`. Review it: a limit is a promise about future data too.",
        "",
    )
    write_atomic(project.contract, to_yaml(drafted.contract, head=head, remarks=drafted.remarks).encode())
    summary.profile(data=data_digest(parts)).save(project.reference)
    marked = f"{len(drafted.remarks)} lines are marked `look at this`"
    print(f"contract: {data.contract} and {data.reference} from {summary.rows} rows; {marked}")
    return drafted.contract


def _drafted(project: Project, parts: Sequence[Part], now: dt.datetime) -> tuple[Draft, Summary]:
    from seatrial.draft import draft, plain_contract, types_of
    from seatrial.progress import reading
    from seatrial.scan import summarise

    data = project.settings.data
    _refuse_unknown_roles(project, parts)
    with reading(2 * sum(part.size for part in parts), f"contract: reading {data.raw}", stream=sys.stderr) as progress:
        types = types_of(_batches(parts, project, progress))
        plain = plain_contract(types, data)
        summary = summarise(parts, plain, data, home=project.home, progress=progress)
        if data.id and summary.repeats[f"unique:{data.id}"].count:
            plain = plain_contract(types, data, unique=False)
            summary = summarise(parts, plain, data, home=project.home)
    return draft(summary, plain, data, now=now), summary


def _batches(parts: Sequence[Part], project: Project, progress: Callable[[int, int], None]) -> Iterator[pl.DataFrame]:
    from seatrial.sources import batches

    for part in parts:
        told = 0
        for batch in batches(part, project.settings.data):
            size = min(part.size - told, int(batch.estimated_size()))
            told += size
            progress(size, batch.height)
            yield batch
        progress(part.size - told, 0)


def _refuse_overwriting(project: Project, force: bool, *names: str) -> None:
    present = [name for name in names if (project.root / name).exists()]
    if present and not force:
        raise RefusedError(f"{' and '.join(present)} would be overwritten", hint="keep a copy, then do the same with --force")


def _refuse_unknown_roles(project: Project, parts: Sequence[Part]) -> None:
    from seatrial.sources import columns_of

    data = project.settings.data
    columns = dict.fromkeys(name for part in parts for name in columns_of(part, data))
    roles = [("target", data.target), *([("id", data.id)] if data.id else []), *(("groups", name) for name in data.groups)]
    problems = tuple(
        f"params.yaml: data.{role} is {name!r}, which is no column of {data.raw}{nearest(name, columns)}"
        for role, name in roles
        if name not in columns
    )
    if problems:
        raise ParamsError(problems)


def _diff(project: Project, options: argparse.Namespace) -> int:
    """Print what changed; how many of each kind stands in the first line."""
    from seatrial.contract_diff import Kind, compare, contract_named

    root, here = project.root, project.contract
    old = contract_named(options.old, root, here)
    new = load_contract(here) if options.new is None else contract_named(options.new, root, here)
    changes = compare(old, new)
    counts = Counter(change.kind for change in changes)
    if options.json:
        rows = [{key: getattr(change, key) for key in ("kind", "place", "old", "new", "reason")} for change in changes]
        print(json.dumps({"counts": {kind.value: counts[kind] for kind in Kind}, "changes": rows}, indent=2, ensure_ascii=False))
    else:
        told = ", ".join(f"{counts[kind]} {kind}" for kind in Kind if counts[kind]) or "nothing changed"
        print(f"contract diff: {options.old} → {options.new or project.settings.data.contract}: {told}")
        for change in changes:
            print(f"{change.kind:<11}  {change}")
    return 1 if options.exit_code and counts[Kind.BREAKING] else 0


def _schema(project: Project, options: argparse.Namespace) -> int:
    from seatrial.contract_schema import FILE, schema_bytes

    if options.file == "-":
        print(schema_bytes().decode(), end="")
        return 0
    name = options.file or FILE
    write_atomic(project.root / FILE if options.file is None else Path(name).absolute(), schema_bytes())
    print(f"contract: {name}; editors find it by a first line such as `# yaml-language-server: $schema=../{FILE}`")
    return 0


def _export(project: Project, options: argparse.Namespace) -> int:
    from seatrial.pandera_schema import export

    if options.pandera.exists() and not options.force:
        raise RefusedError(f"{options.pandera} would be overwritten", hint="name another file, or add --force")
    exported = export(load_contract(project.contract), backend=options.backend, source=project.settings.data.contract)
    write_atomic(options.pandera.absolute(), exported.text.encode())
    print(f"contract: {options.pandera} defines `schema` for {options.backend}; not asked there:")
    for sentence in exported.unasked:
        print(f"  {sentence}")
    return 0


def _import(project: Project, options: argparse.Namespace) -> int:
    from seatrial.contract_schema import editor_line
    from seatrial.contract_yaml import to_yaml
    from seatrial.pandera_import import from_schema, load_schema

    data = project.settings.data
    _refuse_overwriting(project, options.force, data.contract)
    imported = from_schema(load_schema(options.schema))
    head = (editor_line(project.contract, project.root), f"# Read from {Path(options.schema).name} by `seatrial contract import`.", "")
    write_atomic(project.contract, to_yaml(imported.contract, head=head).encode())
    print(f"contract: {data.contract} has {len(imported.contract.columns)} columns; {_lost(imported.lost)}")
    for sentence in imported.lost:
        print(f"  {sentence}")
    return 0


def _lost(lost: Sequence[str]) -> str:
    return "the contract cannot say:" if lost else "nothing of the schema was lost"


def describe(contract: Contract, project: Project) -> str:
    """The contract in aligned lines: each column with its rules and its role, then the table's own rules."""
    data = project.settings.data
    check_roles(contract, data)
    roles: dict[str, Any] = {name: column.role for name, column in contract.columns.items() if column.role}
    roles |= dict.fromkeys(data.groups, "group") | {data.target: "target"} | ({data.id: "id"} if data.id else {})
    width = max(map(len, contract.columns))
    lines = [
        f"{name:<{width}}  {column.type:<8}  {roles.get(name, ''):<10}  {_rules(column)}".rstrip()
        for name, column in contract.columns.items()
    ]
    return "\n".join([*lines, *_table(contract)])


def _table(contract: Contract) -> Iterator[str]:
    table, freshness = contract.table, contract.checks.freshness
    most = "" if table.rows.max is None else f", at most {table.rows.max}"
    yield f"rows: at least {table.rows.min}{most}; key: {', '.join(table.key) or 'none'}; other columns: {table.extra}"
    for condition in table.conditions:
        share = f" (at most {condition.share:.2%} may break it)" if condition.share else ""
        yield f"condition {condition.name}: {condition.holds}{share}{' (advisory)' if condition.advisory else ''}"
    clock = freshness.column or "data.snapshot"
    yield f"freshness: {clock}, at most {freshness.max_age_days:g} days{' (advisory)' if freshness.advisory else ''}"
    for waiver in contract.waivers:
        where = f" of {waiver.column}" if waiver.column else ""
        yield f"waiver: {waiver.check}{where} until {waiver.expires}, {waiver.owner}: {waiver.reason}"


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
    if set(column.environments) != set(BOTH):
        rules.append(f"only {', '.join(column.environments)}")
    if column.allow:
        rules.append(f"may be {', '.join(column.allow)}")
    if column.advisory:
        rules.append("advisory" if isinstance(column.advisory, bool) else f"advisory: {', '.join(column.advisory)}")
    return ", ".join(rules)
