"""What changed between two contracts, and whom it concerns.

A change is breaking where data that was accepted is refused now (tell those who deliver it), statistical where it is about
the comparison with the reference, and additive otherwise: nothing is refused that was accepted.
"""

from __future__ import annotations

import datetime as dt
import math
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

from seatrial.contract import Column, Condition, Contract, Waiver, load_contract, parse_contract
from seatrial.contract_rules import Advisable, Section
from seatrial.errors import ContractError, PipelineError, UsageError
from seatrial.located import YamlProblem, yaml_of


class Kind(StrEnum):
    """What a change means for those who deliver data, worst first."""

    BREAKING = "breaking"
    STATISTICAL = "statistical"
    ADDITIVE = "additive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference: where it stands (`columns.price.range`), and both values in words (`-` where there is none)."""

    kind: Kind
    place: str
    old: str
    new: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.old} → {self.new} ({self.reason})"


REFUSES = "what was accepted may be refused now"
WIDER = "more is accepted than before"
ADVISES = "it only advises, so nothing is refused for it"
SAME = "the same data is accepted"
WIDENED = {("integer", "number"), ("integer", "string"), ("date", "datetime")}
"""Types that take every cell of another one."""


def compare(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Every difference between two contracts, breaking ones first, else in the order of the contract."""
    changes = [*_columns(old, new), *_table(old, new), *_conditions(old, new), *_checks(old, new), *_waivers(old, new)]
    return tuple(sorted(changes, key=lambda change: list(Kind).index(change.kind)))


def _change(place: str, old: Any, new: Any, *, stricter: bool, advises: bool = False) -> Change:
    kind = Kind.BREAKING if stricter and not advises else Kind.ADDITIVE
    reason = (ADVISES if advises else REFUSES) if stricter else WIDER
    return Change(kind=kind, place=place, old=words(old), new=words(new), reason=reason)


def _neutral(place: str, old: Any, new: Any) -> Change:
    return Change(kind=Kind.ADDITIVE, place=place, old=words(old), new=words(new), reason=SAME)


def words(value: Any) -> str:
    """A value of the contract as people write it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join('null' if one is None else words(one) for one in value)}]"
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


# Whether a key got stricter, by what larger and smaller values of it mean.


def _smaller(old: Any, new: Any) -> bool:
    """For ceilings; None is no ceiling."""
    return bool((math.inf if new is None else new) < (math.inf if old is None else old))


def _larger(old: Any, new: Any) -> bool:
    """For floors."""
    return bool(new > old)


def _given(old: Any, new: Any) -> bool:
    """For rules that are there or not; two different ones cannot be compared, so the new one counts as stricter."""
    return bool(new)


def _fewer(old: Sequence[Any], new: Sequence[Any]) -> bool:
    """For lists of what is accepted."""
    return not set(old) <= set(new)


def _more(old: Sequence[Any], new: Sequence[Any]) -> bool:
    """For lists of what is demanded."""
    return not set(new) <= set(old)


Stricter = Callable[[Any, Any], bool]


def _keys(place: str, old: Section, new: Section, keys: Mapping[str, Stricter], *, advises: bool = False) -> Iterator[Change]:
    for key, stricter in keys.items():
        before, after = getattr(old, key), getattr(new, key)
        if before != after:
            yield _change(f"{place}.{key}", before, after, stricter=stricter(before, after), advises=advises)


def _columns(old: Contract, new: Contract) -> Iterator[Change]:
    refused = new.table.extra == "refuse"
    for name, column in old.columns.items():
        if name in new.columns:
            yield from _column(f"columns.{name}", column, new.columns[name], refused=refused)
        else:
            reason = "data that has it is refused now" if refused else "other columns are allowed, so data may still have it"
            kind = Kind.BREAKING if refused else Kind.ADDITIVE
            yield Change(kind=kind, place=f"columns.{name}", old=column.type, new="-", reason=reason)
    for name, column in new.columns.items():
        if name not in old.columns:
            reason = "data without it is refused now"
            yield Change(kind=Kind.BREAKING, place=f"columns.{name}", old="-", new=column.type, reason=reason)


def _column(place: str, old: Column, new: Column, *, refused: bool) -> Iterator[Change]:
    if old.type != new.type:
        yield _change(f"{place}.type", old.type, new.type, stricter=(old.type, new.type) not in WIDENED)
    for key, rule, stricter in (("nullable", "nulls", _smaller), ("unique", "unique", _larger), ("pattern", "pattern", _given)):
        yield from _keys(place, old, new, {key: stricter}, advises=new.advises(rule))
    yield from _range(f"{place}.range", old, new)
    yield from _allowed(f"{place}.allowed", old, new)
    if set(old.allow) != set(new.allow):
        yield _change(f"{place}.allow", old.allow, new.allow, stricter=_fewer(old.allow, new.allow))
    if set(old.environments) != set(new.environments):
        appears = bool(set(new.environments) - set(old.environments))
        yield _change(f"{place}.environments", old.environments, new.environments, stricter=appears or refused)
    if old.advisory != new.advisory:
        rules = get_args(Advisable)
        blocks = any(old.advises(rule) and not new.advises(rule) for rule in rules)
        yield _change(f"{place}.advisory", old.advisory, new.advisory, stricter=blocks)
    for key in ("role", "description"):
        if getattr(old, key) != getattr(new, key):
            yield _neutral(f"{place}.{key}", getattr(old, key), getattr(new, key))


def _range(place: str, old: Column, new: Column) -> Iterator[Change]:
    before, after = old.range or (None, None), new.range or (None, None)
    if before != after:
        below = after[0] is not None and (before[0] is None or _comparable(after[0]) > _comparable(before[0]))
        above = after[1] is not None and (before[1] is None or _comparable(after[1]) < _comparable(before[1]))
        yield _change(place, old.range, new.range, stricter=below or above, advises=new.advises("range"))


def _comparable(limit: Any) -> Any:
    """Numbers, dates and moments, each in one order; a limit of another type than before counts as far away."""
    if isinstance(limit, dt.datetime):
        return limit.replace(tzinfo=dt.UTC).timestamp()
    if isinstance(limit, dt.date):
        return dt.datetime.combine(limit, dt.time(), dt.UTC).timestamp()
    return limit


def _allowed(place: str, old: Column, new: Column) -> Iterator[Change]:
    """Values that are no longer accepted and those that are now are two changes."""
    advises = new.advises("allowed")
    if old.allowed is None or new.allowed is None:
        if old.allowed != new.allowed:
            yield _change(place, old.allowed, new.allowed, stricter=new.allowed is not None, advises=advises)
        return
    gone = [value for value in old.allowed if value not in new.allowed]
    come = [value for value in new.allowed if value not in old.allowed]
    if gone:
        yield _change(place, gone, None, stricter=True, advises=advises)
    if come:
        yield _change(place, None, come, stricter=False)


def _table(old: Contract, new: Contract) -> Iterator[Change]:
    yield from _keys("table.rows", old.table.rows, new.table.rows, {"min": _larger, "max": _smaller})
    if set(old.table.key) != set(new.table.key):
        stricter = bool(new.table.key) and not (old.table.key and set(old.table.key) <= set(new.table.key))
        yield _change("table.key", old.table.key, new.table.key, stricter=stricter)
    if old.table.extra != new.table.extra:
        yield _change("table.extra", old.table.extra, new.table.extra, stricter=new.table.extra == "refuse")
    yield from _keys("table", old.table, new.table, {"duplicates": _smaller})
    yield from _keys("table.parts", old.table.parts, new.table.parts, {"min": _larger, "max": _smaller, "names": _more})


def _conditions(old: Contract, new: Contract) -> Iterator[Change]:
    before = {condition.name: condition for condition in old.table.conditions}
    after = {condition.name: condition for condition in new.table.conditions}
    for name in dict.fromkeys((*before, *after)):
        yield from _condition(f"table.conditions.{name}", before.get(name), after.get(name))


def _condition(place: str, old: Condition | None, new: Condition | None) -> Iterator[Change]:
    if old is None or new is None:
        advises = new is not None and new.advisory
        yield _change(place, old and old.holds, new and new.holds, stricter=new is not None, advises=advises)
        return
    yield from _keys(place, old, new, {"holds": _given, "share": _smaller, "environments": _more}, advises=new.advisory)
    yield from _keys(place, old, new, {"advisory": _advised_before})


def _advised_before(old: bool, new: bool) -> bool:
    return old and not new


def _checks(old: Contract, new: Contract) -> Iterator[Change]:
    yield from _statistics(old, new)
    before, after = old.checks, new.checks
    limits: dict[str, dict[str, Stricter]] = {
        "freshness": {"max_age_days": _smaller, "column": _given},
        "label": {"min_share": _larger, "max_auc": _smaller},
        "split": {"max_share": _smaller},
    }
    for section, keys in limits.items():
        one, other = getattr(before, section), getattr(after, section)
        yield from _keys(f"checks.{section}", one, other, keys, advises=other.advisory)
        yield from _keys(f"checks.{section}", one, other, {"advisory": _advised_before})


def _statistics(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = old.checks.statistics.model_dump(), new.checks.statistics.model_dump()
    for key, value in before.items():
        if value != after[key]:
            reason = "the comparison with the reference answers by another limit"
            yield Change(kind=Kind.STATISTICAL, place=f"checks.statistics.{key}", old=words(value), new=words(after[key]), reason=reason)


def _waivers(old: Contract, new: Contract) -> Iterator[Change]:
    before, after = _by_finding(old.waivers), _by_finding(new.waivers)
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            yield _change(f"waivers.{name}", one and one.expires, other and other.expires, stricter=other is None)
        else:
            yield from _keys(f"waivers.{name}", one, other, {"expires": _smaller_day})
            for key in ("owner", "reason"):
                if getattr(one, key) != getattr(other, key):
                    yield _neutral(f"waivers.{name}.{key}", getattr(one, key), getattr(other, key))


def _smaller_day(old: dt.date, new: dt.date) -> bool:
    return new < old


def _by_finding(waivers: Iterable[Waiver]) -> dict[str, Waiver]:
    return {f"{waiver.check}:{waiver.column}" if waiver.column else waiver.check: waiver for waiver in waivers}


def contract_named(name: str, root: Path, path: Path) -> Contract:
    """The contract that `name` says: a file; or a git revision (`v1`, `HEAD~3:`), of `path` or of what follows its colon.

    Raises UsageError for a name that is neither or a file that the revision does not have, PipelineError without git or a
    repository, ContractError for a contract that cannot be read.
    """
    file = Path(name) if Path(name).is_absolute() else Path.cwd() / name
    if file.is_file():
        return load_contract(file)
    revision, _, inside = name.partition(":")
    return contract_at(revision, root, inside or _inside(root, path))


def _inside(root: Path, path: Path) -> str:
    return f"./{path.relative_to(root).as_posix()}" if path.is_relative_to(root) else str(path)


def contract_at(revision: str, root: Path, inside: str) -> Contract:
    """The contract that a commit has at `inside`; errors as `contract_named`."""
    if _git(root, "rev-parse", "--git-dir") is None:
        remedy = "name two files: seatrial contract diff OLD NEW"
        raise PipelineError(f"{root.name} is in no git repository, so there is no earlier contract", hint=remedy)
    commit = None if revision.startswith("-") else _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if not revision or commit is None:
        raise UsageError(f"{revision!r} is neither a file nor a git revision", hint="git log --oneline --all lists the revisions")
    text = _git(root, "show", f"{commit}:{inside}")
    name = inside.removeprefix("./")
    if text is None:
        raise UsageError(f"{revision} has no file {name}", hint=f"say where it was: {revision}:PATH")
    try:
        return parse_contract(yaml_of(text, Path(f"{commit[:10]}:{Path(name).name}")))
    except YamlProblem as error:
        raise ContractError(str(error)) from None


def _git(root: Path, *arguments: str) -> str | None:
    """What git prints, or None where it says no."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        raise PipelineError("git is not installed, or not on the path", hint="install git") from None
    if done.returncode != 0:
        return None
    text = done.stdout.decode("utf-8", errors="replace")
    return text if arguments[0] == "show" else text.strip()
