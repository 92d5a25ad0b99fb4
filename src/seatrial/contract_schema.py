"""The contract's JSON Schema (draft 2020-12), made from the classes that read it: what an editor completes and explains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seatrial.contract import Contract
from seatrial.contract_rules import DATED, LISTED, RANGED
from seatrial.files import pretty_json

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ADDRESS = "https://raw.githubusercontent.com/seatrial/seatrial/main/docs/contract.schema.json"
FILE = "docs/contract.schema.json"

SAYS: Mapping[str, Mapping[str, str]] = {
    "Contract": {
        "columns": "One entry for each column of the table, by its name.",
        "table": "What holds for the table as a whole.",
        "checks": "The limits of the checks that are not a single column's.",
        "waivers": "Findings that a person answers for until a day.",
    },
    "Column": {
        "type": "What every cell that is not missing must be.",
        "nullable": "Which share of the cells may be missing: 0 to 1; false is none, true is any.",
        "range": "[smallest, largest] value, both accepted; null is open. For integer, number, date and datetime.",
        "allowed": "The only values. For string, integer and boolean. Put Yes, No, on and off in quotes.",
        "unique": "Whether no value stands twice; missing cells do not count.",
        "pattern": "A regular expression (Rust's syntax, no look-around) that matches the whole cell. For string.",
        "role": "What the column is for. Target, id and groups are named in params.yaml; a role given here has to agree.",
        "environments": "Where the column exists; its checks are asked only there.",
        "allow": "Oddities that are accepted: numbers among words (mixed), spellings that differ by case or white space (variants), "
        "dates in the future (future).",
        "advisory": "true: this column's own rules are shown and cannot block; a list: only those do not.",
        "description": "For people.",
    },
    "Table": {
        "rows": "How many rows the table may have.",
        "key": "The columns that together name one row.",
        "extra": "What a column means that the contract does not list.",
        "duplicates": "Which share of the rows may repeat an earlier one; asked where neither a key nor a unique column names rows.",
        "parts": "Which files the table consists of.",
        "conditions": "What holds between the columns of each row.",
    },
    "Rows": {"min": "The fewest rows.", "max": "The most rows; null is any number."},
    "Parts": {
        "min": "The fewest files.",
        "max": "The most files; null is any number.",
        "names": "Files that must be among them, by their path below data.raw.",
    },
    "Condition": {
        "name": "How reports and waivers know it.",
        "holds": "SQL about one row, such as: price >= cost OR cost = 0. A row breaks it where it is false, not where it is null.",
        "share": "Which share of the rows may break it.",
        "advisory": "true: shown, and cannot block.",
        "environments": "Where it is asked.",
    },
    "Checks": {
        "statistics": "How far the data may move from the reference.",
        "freshness": "How old the newest record may be.",
        "label": "What the target must keep.",
        "split": "How much of the held-out rows may stand among the training rows.",
    },
    "Statistics": {
        "alpha": "The false discovery rate over all comparisons of one run.",
        "ks": "Numbers: Kolmogorov-Smirnov distance from which on a shift counts.",
        "psi": "Categories: population stability index, less its bias, from which on a shift counts.",
        "missing": "Change in the share of missing cells from which on it counts.",
        "rows": "The smaller table must have this share of the larger one's rows.",
        "advisory": "true: shown, and cannot block.",
    },
    "Freshness": {
        "max_age_days": "The largest age of the newest record.",
        "column": "The date or datetime column that is the clock; null: the column whose role is event_time, else data.snapshot.",
        "advisory": "true: shown, and cannot block.",
    },
    "Label": {
        "min_share": "The smallest class must have this share of the rows.",
        "max_auc": "A single feature that tells the label apart better than this ROC AUC gives it away.",
        "advisory": "true: shown, and cannot block.",
    },
    "Split": {
        "max_share": "Which share of the held-out rows may also stand, but for the id, among the training rows.",
        "advisory": "true: shown, and cannot block.",
    },
    "Waiver": {
        "check": "The check's name, such as quality.range.",
        "column": "The column (or condition) that the check names; null where it names none.",
        "owner": "Who answers for it.",
        "reason": "Why it is acceptable.",
        "expires": "The last day on which it counts; an expired waiver fails.",
    },
}
LIMITS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
NUMBERS = [{"type": "integer"}, {"type": "number"}]


def schema() -> dict[str, Any]:
    """The JSON Schema of a contract."""
    found: dict[str, Any] = _plain(Contract.model_json_schema())
    sections = {"Contract": found, **found["$defs"]}
    for name, section in sections.items():
        for key, value in section["properties"].items():
            value["description"] = SAYS[name][key]
    sections["Column"]["allOf"] = _for_types()
    return {"$schema": DIALECT, "$id": ADDRESS, "title": "Data contract of Seatrial", **found}


def schema_bytes() -> bytes:
    """The file: sorted keys, so that one grammar gives one sequence of bytes."""
    return pretty_json(schema())


def editor_line(contract: Path, root: Path) -> str:
    """The comment by which an editor finds the schema: the project's own copy, where it has one, else the published one."""
    copy = root / FILE
    if not copy.is_file() or not contract.is_relative_to(root):
        return f"# yaml-language-server: $schema={ADDRESS}"
    up = "../" * (len(contract.relative_to(root).parts) - 1)
    return f"# yaml-language-server: $schema={up}{FILE}"


def _plain(value: Any) -> Any:
    """pydantic's schema in fewer words: limits by their standard names, numbers as one type, no titles that repeat a key."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if not isinstance(value.get("title", ""), str):  # a mapping of keys, one of which is named title
        return {key: _plain(item) for key, item in value.items()}
    found = {LIMITS.get(key, key): _plain(item) for key, item in value.items() if key != "title"}
    branches = found.get("anyOf", [])
    rest = [branch for branch in branches if branch not in NUMBERS]
    if len(branches) - len(rest) == len(NUMBERS):
        found["anyOf"] = [{"type": "number"}, *rest]
    if len(found.get("anyOf", [])) == 1:
        found |= found.pop("anyOf")[0]
    return found


def _for_types() -> list[dict[str, Any]]:
    """Rules that only some types have."""
    places = (("range", [*RANGED]), ("allowed", [*LISTED]), ("pattern", ["string"]))
    rules = [_only(key, types) for key, types in places]
    oddities: dict[str, Any] = {"not": {"contains": {"const": "future"}}}
    dated = {"properties": {"type": {"enum": [*DATED]}}}
    return [*rules, {"if": {"not": dated}, "then": {"properties": {"allow": oddities}}}]


def _only(key: str, types: list[str]) -> dict[str, Any]:
    return {"if": {"not": {"properties": {"type": {"enum": types}}}}, "then": {"properties": {key: {"type": "null"}}}}
